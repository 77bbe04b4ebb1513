/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MANIFEST_RIG_H
#define WEFT_TESTS_MANIFEST_RIG_H

#include "blobs/manifest/manifest.h"

#include <errno.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "support/check.h"

/* Manifests built in memory and read back. */

static uint8_t id[32] = {1, 2, 3};

static inline int add(struct manifest_builder *b, const char *path, uint64_t size)
{
	struct manifest_item item = {
		.content_id = id, .size = size, .path = path, .path_len = strlen(path)};

	return blobs_manifest_builder_add_item(b, &item);
}

static inline int add_link(struct manifest_builder *b, const char *path, const char *text)
{
	const struct manifest_link link = {path, strlen(path), text, strlen(text)};

	return blobs_manifest_builder_add_link(b, &link);
}

struct craft {
	uint8_t bytes[2 << 20];
	struct writer w;
};
static struct craft craft;

static inline void craft_begin(uint64_t field_cnt)
{
	craft.w = writer_of(craft.bytes, sizeof(craft.bytes));
	cbor_write_map(&craft.w, field_cnt);
	cbor_write_uint(&craft.w, 0);
	cbor_write_uint(&craft.w, 1);
}

static inline void craft_created(void)
{
	cbor_write_uint(&craft.w, 4);
	cbor_write_uint(&craft.w, 99);
}

static inline void craft_list(unsigned key, uint64_t cnt)
{
	cbor_write_uint(&craft.w, key);
	cbor_write_array(&craft.w, cnt);
}

static inline void craft_item(const char *name, const char *path, uint64_t size, uint64_t chunk_cnt)
{
	struct writer *w = &craft.w;

	cbor_write_map(w, path ? 5 : 4);
	cbor_write_uint(w, 0);
	cbor_write_bytes(w, id, 32);
	cbor_write_uint(w, 1);
	cbor_write_uint(w, size);
	cbor_write_uint(w, 2);
	cbor_write_text(w, name, strlen(name));
	if (path) {
		cbor_write_uint(w, 3);
		cbor_write_text(w, path, strlen(path));
	}
	cbor_write_uint(w, 6);
	cbor_write_uint(w, chunk_cnt);
}

static inline int craft_parse(void)
{
	struct manifest *m = NULL;
	int err = blobs_manifest_parse(craft.bytes, writer_len(&craft.w), &m);

	if (err == 0)
		blobs_manifest_free(m);
	return err;
}

#endif
