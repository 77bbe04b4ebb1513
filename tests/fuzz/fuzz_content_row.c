/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of content in the store, damaged: a file, a get, a followed share, a community, a
 * publication with its revisions, and the announce log. The first byte says which. An accepted
 * row keeps its limits, and a row with a writer is written as bytes that read the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "shares/announce/announce_log.h"
#include "community/community_state.h"
#include "community/joined_record.h"
#include "shares/follow/follow_state.h"
#include "blobs/get/get_state.h"
#include "blobs/object.h"
#include "shares/publish/publish_state.h"
#include "crypto/key_seal.h"
#include "crypto/node_key.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_file(const uint8_t *data, size_t len)
{
	static struct object_file file;

	if (blobs_object_file_parse(data, len, &file) == 0)
		weft_assert(strlen(file.path) < sizeof(file.path));
}

static void get_fini(struct get *get)
{
	free(get->manifest.part_ids);
	blobs_get_choice_free(get);
}

static void check_get(const uint8_t *data, size_t len)
{
	static struct get get, again;
	size_t cap = len + 65536;
	uint8_t *record = malloc(cap);
	int record_len;

	weft_assert(record);
	memset(&get, 0, sizeof(get));
	memset(&again, 0, sizeof(again));
	if (blobs_get_record_parse(data, len, &get) == 0) {
		weft_assert(get.asked.target[0] == '/' &&
			    get.asked.range_cnt <= BLOBS_GET_RANGES_MAX);
		weft_assert(get.view.node_cnt <= BLOBS_GET_NODES_MAX);
		record_len = blobs_get_record_write(&get, record, cap);
		weft_assert(record_len > 0);
		weft_assert(blobs_get_record_parse(record, (size_t)record_len, &again) == 0);
		weft_assert(strcmp(get.asked.target, again.asked.target) == 0);
		weft_assert(get.manifest.part_cnt == again.manifest.part_cnt &&
			    get.asked.range_cnt == again.asked.range_cnt);
		weft_assert(get.view.node_cnt == again.view.node_cnt);
		weft_assert(get.view.only_len == again.view.only_len);
		(void)blobs_get_wants(&get, "a/b.txt", 7);
	}
	get_fini(&get);
	get_fini(&again);
	free(record);
}

static void check_followed(const uint8_t *data, size_t len)
{
	static struct followed followed;

	memset(&followed, 0, sizeof(followed));
	if (shares_follow_row_parse(data, len, &followed) < 0)
		return;
	weft_assert(followed.view.hint_cnt <= FOLLOW_HINTS_MAX);
	weft_assert(followed.view.revision_cnt <= FOLLOW_REVISIONS_MAX);
	weft_assert(followed.view.tier < FOLLOW_TIER_CNT);
	weft_assert(followed.view.weight <= FOLLOW_WEIGHT_MAX);
	for (unsigned i = 0; i < followed.view.hint_cnt; i++)
		weft_assert(followed.hints[i].places.addr_cnt <= PEER_ADDRS_MAX);
}

static void check_community(const uint8_t *data, size_t len)
{
	static struct communities all; /* with no seal */
	static struct community community, again;
	uint8_t record[JOINED_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));

	memset(&community, 0, sizeof(community));
	memset(&again, 0, sizeof(again));
	community.all = again.all = &all;
	if (community_joined_record_parse(data, len, &community) == 0) {
		community_joined_record_write(&w, &community);
		weft_assert(!w.bad);
		weft_assert(community_joined_record_parse(record, writer_len(&w), &again) == 0);
		weft_assert(strcmp(community.name, again.name) == 0);
		weft_assert(community.seed_cnt == again.seed_cnt);
		weft_assert(community.partner_cnt == again.partner_cnt);
		weft_assert(community.token_len == again.token_len);
		weft_assert(!community.secret == !again.secret);
	}
	node_key_free(community.secret);
	node_key_free(again.secret);
}

static void check_publication(const uint8_t *data, size_t len)
{
	static struct publish_settings_row row;
	uint8_t seed[NODE_KEY_SEED_LEN];

	memset(&row, 0, sizeof(row));
	if (shares_record_parse_settings(data, len, &row) < 0)
		return;
	weft_assert(row.settings.name[0]);
	if (row.seed_len != NODE_KEY_SEED_LEN)
		weft_assert(key_seal_open(NULL, row.seed, row.seed_len, seed) < 0);
	weft_assert(row.settings.community_cnt <= MANIFEST_COMMUNITIES_MAX);
	weft_assert(row.settings.recommended_cnt <= MANIFEST_RECOMMENDED_MAX);
}

/* The key of a row is as long as the first byte says. */
static struct store_item item_of(const uint8_t *data, size_t len)
{
	size_t key_len = len ? data[0] : 0;

	if (key_len >= len)
		return (struct store_item){.key = data, .value = data + len};
	return (struct store_item){.key = data + 1,
				   .key_len = key_len,
				   .value = data + 1 + key_len,
				   .value_len = len - 1 - key_len};
}

static void check_keyed(const uint8_t *data, size_t len)
{
	struct store_item item = item_of(data, len);
	struct publish_revision revision = {0};
	struct announce_log_row told;
	uint8_t digest[32], key[ANNOUNCE_LOG_KEY_CAP];

	(void)!shares_record_parse_revision(&item, &revision, digest);
	if (shares_announce_log_parse(&item, &told) < 0)
		return;
	weft_assert(shares_announce_log_key(&told, key) == item.key_len);
	weft_assert(memcmp(key, item.key, item.key_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const checks[])(const uint8_t *, size_t) = {
		check_file,	 check_get,	    check_followed,
		check_community, check_publication, check_keyed,
	};

	if (len)
		checks[data[0] % (sizeof(checks) / sizeof(checks[0]))](data + 1, len - 1);
	return 0;
}
