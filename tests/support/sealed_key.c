/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sealed_key.h"

#include "support/scratch.h"

#define PASSPHRASE "open sesame"

int sealed_key_new(const uint8_t seed[static NODE_KEY_SEED_LEN], struct node_key **out_key)
{
	char dir[SCRATCH_CAP], path[SCRATCH_CAP + 16];
	struct node_key *key;
	int err = node_key_from_seed(seed, &key);

	if (err < 0)
		return err;
	scratch_make(dir);
	scratch_path(path, sizeof(path), dir, "node.key");
	err = node_key_save(key, path, PASSPHRASE);
	node_key_free(key);
	if (err == 0)
		err = node_key_load(path, PASSPHRASE, out_key);
	scratch_remove(dir);
	return err;
}
