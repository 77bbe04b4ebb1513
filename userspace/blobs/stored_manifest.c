/* SPDX-License-Identifier: Apache-2.0 */
#include "stored_manifest.h"

#include <stdlib.h>
#include <string.h>

#include "blobs/manifest/manifest.h"
#include "store/store.h"

int blobs_stored_manifest_load(struct store *store, const uint8_t id[static 32],
			       struct stored_manifest *out_stored)
{
	struct stored_manifest stored = {0};
	int err = store_blob_load(store, id, MANIFEST_LEN_MAX, &stored.bytes, &stored.len);

	if (err == 0)
		err = blobs_manifest_parse(stored.bytes, stored.len, &stored.manifest);
	if (err < 0) {
		blobs_stored_manifest_fini(&stored);
		return err;
	}
	memcpy(stored.id, id, sizeof(stored.id));
	*out_stored = stored;
	return 0;
}

void blobs_stored_manifest_fini(struct stored_manifest *stored)
{
	blobs_manifest_free(stored->manifest);
	free(stored->bytes);
	*stored = (struct stored_manifest){0};
}
