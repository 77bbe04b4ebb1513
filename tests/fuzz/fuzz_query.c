/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A valid query finds an item whose name is the same text, with the points of an
 * exact name. The shown name is marked.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/utf8.h"
#include "blobs/manifest/manifest.h"
#include "search/query/match.h"
#include "search/query/top_hits.h"
#include "search/index/index_shard.h"
#include "search/index/index_shard_builder.h"
#include "search/query/snippet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void name_find(const char *name, size_t len, const struct query *query)
{
	static const uint64_t secret[2] = {1, 2};
	static const uint8_t id[32] = {9};
	static struct matcher *matcher;
	const struct manifest_item item = {.content_id = id, .path = name, .path_len = len};
	struct match_ask ask = {.query = query, .weight = 1};
	struct shard_builder *builder;
	struct shard shard;
	struct rank rank;
	uint8_t *bytes;
	size_t bytes_len;

	must(matcher || search_matcher_new(&matcher) == 0);
	must(search_shard_builder_new(secret, &builder) == 0);
	must(search_shard_builder_add_part(builder, id, 100) == 0);
	must(search_shard_builder_add_item(builder, &item, 0) == 0);
	must(search_shard_builder_finish(builder, &bytes, &bytes_len) == 0);
	must(search_shard_verify(bytes, bytes_len) == 0 &&
	     search_shard_open(bytes, bytes_len, &shard) == 0);
	must(search_rank_init(&rank, 4) == 0);
	must(search_match_shard(matcher, &shard, &ask, &rank) == 1);
	search_rank_finish(&rank);
	must(rank.cnt == 1 && rank_score(&rank.documents[0]) == MATCH_NAME_EXACT * query->term_cnt);
	search_rank_fini(&rank);
	search_shard_builder_free(builder);
	free(bytes);
}

static void text_show(const char *text, size_t len, const struct query *query)
{
	struct snippet snippet;
	size_t at = 0, shown_len;

	search_snippet_make(text, len, query, &snippet);
	shown_len = strlen(snippet.text);
	must(shown_len <= SNIPPET_LEN_MAX && utf8_is_valid(snippet.text, shown_len));
	for (unsigned i = 0; i < snippet.mark_cnt; i++) {
		must(snippet.marks[i].off >= at && snippet.marks[i].len > 0);
		at = (size_t)snippet.marks[i].off + snippet.marks[i].len;
		must(at <= shown_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct query query;
	const char *text = (const char *)data;

	if (search_query_parse(text, len, &query) < 0)
		return 0;
	must(query.term_cnt > 0 && query.term_cnt <= QUERY_TERMS_MAX);
	if (!memchr(text, '\0', len))
		text_show(text, len, &query);
	if (blobs_manifest_path_is_safe(text, len) && !memchr(text, '/', len))
		name_find(text, len, &query);
	return 0;
}
