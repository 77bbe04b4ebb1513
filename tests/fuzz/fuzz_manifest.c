/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest that parses is built again from what was read, to the same bytes or better.
 * Input that begins with the magic below is the body of one, and is signed first.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "blobs/manifest/manifest.h"
#include "blobs/scope.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char magic[] = "sign";
#define MAGIC_LEN (sizeof(magic) - 1)

static const struct node_key *fuzz_key(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	static struct node_key *key;

	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

/* The revision that was read, signed with the one key there is. */
static void sign_again(struct manifest_builder *builder, const struct manifest *m)
{
	static uint8_t communities[MANIFEST_COMMUNITIES_MAX][32];
	static uint8_t recommended[MANIFEST_RECOMMENDED_MAX][32];
	static char description[MANIFEST_DESCRIPTION_LEN_MAX + 1];
	struct manifest_revision revision = {.key = fuzz_key(),
					     .seq = m->seq,
					     .created_s = m->created_s,
					     .expires_s = m->expires_s,
					     .title = m->title,
					     .description = description,
					     .is_public = m->is_public,
					     .communities = (const uint8_t(*)[32])communities,
					     .community_cnt = m->community_cnt,
					     .recommended = (const uint8_t(*)[32])recommended,
					     .recommended_cnt = m->recommended_cnt};
	struct manifest *again;
	const uint8_t *bytes;
	size_t len;

	for (uint32_t i = 0; i < m->community_cnt; i++)
		memcpy(communities[i], m->communities[i], 32);
	for (uint32_t i = 0; i < m->recommended_cnt; i++)
		memcpy(recommended[i], m->recommended[i], 32);
	if (m->description_len)
		memcpy(description, m->description, m->description_len);
	description[m->description_len] = '\0';
	if (blobs_manifest_builder_sign(builder, m->shape, &revision, &bytes, &len) < 0 ||
	    blobs_manifest_parse(bytes, len, &again) < 0)
		abort();
	if (!again->is_signed || again->seq != m->seq || again->is_public != m->is_public ||
	    again->tag_cnt != m->tag_cnt || again->community_cnt != m->community_cnt ||
	    again->all_byte_cnt != m->all_byte_cnt)
		abort();
	blobs_manifest_free(again);
}

static void check_manifest(const uint8_t *data, size_t len)
{
	struct manifest_builder *builder;
	struct manifest *m, *again;
	const uint8_t *bytes;
	size_t bytes_len;

	struct scope scope, same;
	bool has_scope = blobs_scope_parse(data, len, &scope) == 0;

	if (blobs_manifest_parse(data, len, &m) < 0)
		return;
	blobs_scope_of_manifest(m, &same);
	if (!has_scope || !blobs_scope_is_equal(&scope, &same))
		abort();
	if (blobs_manifest_builder_new(&builder) < 0)
		abort();
	/* The builder keeps some bytes for heads, so a very long one does not fit again. */
	if (len > MANIFEST_LEN_MAX / 2)
		goto done;
	for (uint32_t i = 0; i < m->item_cnt; i++)
		if (blobs_manifest_builder_add_item(builder, &m->items[i]) < 0)
			abort();
	for (uint32_t i = 0; i < m->dir_cnt; i++)
		if (blobs_manifest_builder_add_dir(builder, m->dirs[i].path, m->dirs[i].path_len) <
		    0)
			abort();
	for (uint32_t i = 0; i < m->part_cnt; i++)
		if (blobs_manifest_builder_add_part(builder, &m->parts[i]) < 0)
			abort();
	if (m->is_signed) {
		sign_again(builder, m);
		goto done;
	}
	bytes = blobs_manifest_builder_encode(builder, m->shape, m->created_s, m->title,
					      &bytes_len);
	if (blobs_manifest_parse(bytes, bytes_len, &again) < 0 || again->shape != m->shape ||
	    again->all_byte_cnt != m->all_byte_cnt || again->item_cnt != m->item_cnt)
		abort();
	blobs_manifest_free(again);
done:
	blobs_manifest_free(m);
	blobs_manifest_builder_free(builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct writer w;
	uint8_t *bytes;

	if (len < MAGIC_LEN || memcmp(data, magic, MAGIC_LEN) != 0) {
		check_manifest(data, len);
		return 0;
	}
	bytes = malloc(len + SIGNED_OVERHEAD_MAX);
	if (!bytes)
		return 0;
	w = writer_of(bytes, len + SIGNED_OVERHEAD_MAX);
	signed_write(&w, fuzz_key(), MANIFEST_TAG, data + MAGIC_LEN, len - MAGIC_LEN);
	if (!w.bad)
		check_manifest(bytes, writer_len(&w));
	free(bytes);
	return 0;
}
