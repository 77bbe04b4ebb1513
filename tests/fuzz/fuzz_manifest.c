/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest that parses is built again from what was read, to the same bytes or better. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "content/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct manifest_builder *builder;
	struct manifest *m, *again;
	const uint8_t *bytes;
	size_t bytes_len;

	if (manifest_parse(data, len, &m) < 0)
		return 0;
	if (manifest_builder_new(&builder) < 0)
		abort();
	/* The builder keeps some bytes for heads, so a very long one does not fit again. */
	if (len > MANIFEST_LEN_MAX / 2)
		goto done;
	for (uint32_t i = 0; i < m->item_cnt; i++)
		if (manifest_builder_add_item(builder, &m->items[i]) < 0)
			abort();
	for (uint32_t i = 0; i < m->dir_cnt; i++)
		if (manifest_builder_add_dir(builder, m->dirs[i].path, m->dirs[i].path_len) < 0)
			abort();
	for (uint32_t i = 0; i < m->part_cnt; i++)
		if (manifest_builder_add_part(builder, &m->parts[i]) < 0)
			abort();
	bytes = manifest_builder_encode(builder, m->shape, m->created_s, m->title, &bytes_len);
	if (manifest_parse(bytes, bytes_len, &again) < 0 || again->shape != m->shape ||
	    again->all_byte_cnt != m->all_byte_cnt || again->item_cnt != m->item_cnt)
		abort();
	manifest_free(again);
done:
	manifest_free(m);
	manifest_builder_free(builder);
	return 0;
}
