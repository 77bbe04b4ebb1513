/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a manifest that another node wrote. Each of its items is found by the words of
 * its own name and of its tags. A shard that the disk damaged is refused, or its lengths at
 * least stay inside it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "blobs/manifest/manifest.h"
#include "search/query/match.h"
#include "search/query/top_hits.h"
#include "search/index/index_shard.h"
#include "search/index/index_shard_builder.h"

#define FOUND_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* false: text is no query, or one of too many words. */
static bool finds(const struct shard *shard, const char *text, size_t len, uint32_t document)
{
	static struct matcher *matcher;
	static struct query query;
	struct match_ask ask = {.query = &query, .weight = 1};
	struct rank rank;
	bool is_found = false;

	if (search_query_parse(text, len, &query) < 0)
		return false;
	weft_assert(matcher || search_matcher_new(&matcher) == 0);
	weft_assert(search_rank_init(&rank, FOUND_MAX) == 0);
	search_match_shard(matcher, shard, &ask, &rank);
	search_rank_finish(&rank);
	for (unsigned i = 0; i < rank.cnt; i++)
		is_found |= rank.documents[i].document == document;
	weft_assert(is_found || rank.cnt == FOUND_MAX);
	search_rank_fini(&rank);
	return true;
}

static void check_item(const struct shard *shard, const struct manifest_item *item, uint32_t idx)
{
	const char *slash = memrchr(item->path, '/', item->path_len);
	const char *name = slash ? slash + 1 : item->path;

	(void)finds(shard, name, (size_t)(item->path + item->path_len - name), idx);
	for (uint32_t i = 0; i < item->tag_cnt; i++)
		(void)finds(shard, item->tags[i].text, item->tags[i].len, idx);
}

static void check_manifest(const uint8_t *data, size_t len)
{
	static const uint64_t secret[2] = {1, 2};
	static const uint8_t id[32] = {9};
	struct shard_builder *builder;
	struct manifest *manifest;
	struct shard shard;
	uint8_t *bytes;
	size_t bytes_len;

	if (blobs_manifest_parse(data, len, &manifest) < 0)
		return;
	weft_assert(search_shard_builder_new(secret, &builder) == 0);
	weft_assert(search_shard_builder_add_part(builder, id, (uint32_t)len) == 0);
	for (uint32_t i = 0; i < manifest->item_cnt; i++)
		weft_assert(search_shard_builder_add_item(builder, &manifest->items[i], i) == 0);
	weft_assert(search_shard_builder_finish(builder, &bytes, &bytes_len) == 0);
	weft_assert(search_shard_verify(bytes, bytes_len) == 0);
	weft_assert(search_shard_open(bytes, bytes_len, &shard) == 0);
	weft_assert(shard.head.document_cnt == manifest->item_cnt);
	for (uint32_t i = 0; i < manifest->item_cnt && i < FOUND_MAX; i++)
		check_item(&shard, &manifest->items[i], i);
	search_shard_builder_free(builder);
	blobs_manifest_free(manifest);
	free(bytes);
}

static void check_damaged(const uint8_t *data, size_t len)
{
	struct shard shard;

	(void)!search_shard_verify(data, len);
	if (search_shard_open(data, len, &shard) == 0)
		weft_assert(shard.postings + shard.head.postings_len + BLAKE3_HASH_LEN ==
			    data + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_manifest(data, len);
	check_damaged(data, len);
	return 0;
}
