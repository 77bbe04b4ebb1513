/* SPDX-License-Identifier: Apache-2.0 */
/* What a node saved, damaged: taken whole or not at all, and saved again it is the same. */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "dht/dht.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct dht *node_new(struct random *random)
{
	struct dht_params params = {.random = random};
	struct dht *dht;

	random_init_seeded(random, 3);
	dht_config_defaults(&params.config);
	params.config.item_cap = params.config.peer_cap = 16;
	params.config.lookup_cap = 2;
	params.config.own_cap = 4;
	if (dht_new(&params, &dht) < 0)
		abort();
	return dht;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t first[DHT_SAVE_CAP], second[DHT_SAVE_CAP];
	struct random random;
	struct dht *dht = node_new(&random);
	int before = dht_save(dht, first, sizeof(first), 0), after;

	if (dht_load(dht, data, len, 0) < 0) {
		after = dht_save(dht, second, sizeof(second), 0);
		if (before < 0 || after != before || memcmp(first, second, (size_t)before) != 0)
			abort();
	} else {
		struct dht *other = node_new(&random);

		before = dht_save(dht, first, sizeof(first), 0);
		if (before < 0 || dht_load(other, first, (size_t)before, 0) < 0)
			abort();
		after = dht_save(other, second, sizeof(second), 0);
		if (after != before || memcmp(first, second, (size_t)before) != 0)
			abort();
		dht_free(other);
	}
	dht_free(dht);
	return 0;
}
