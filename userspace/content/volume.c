/* SPDX-License-Identifier: Apache-2.0 */
#include "content/volume.h"

#include <stdlib.h>
#include <string.h>

#include "content/manifest.h"
#include "store/store.h"

int volume_load(struct store *store, const uint8_t id[static 32], struct volume *out_volume)
{
	struct volume volume = {0};
	int err = store_blob_load(store, id, MANIFEST_LEN_MAX, &volume.bytes, &volume.len);

	if (err == 0)
		err = manifest_parse(volume.bytes, volume.len, &volume.manifest);
	if (err < 0) {
		volume_fini(&volume);
		return err;
	}
	memcpy(volume.id, id, sizeof(volume.id));
	*out_volume = volume;
	return 0;
}

void volume_fini(struct volume *volume)
{
	manifest_free(volume->manifest);
	free(volume->bytes);
	*volume = (struct volume){0};
}
