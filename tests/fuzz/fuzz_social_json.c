/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "social/sync/sync_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read as a post has the id that it says, so it is the same bytes when it is read again. */
static void check_post(const json_t *item)
{
	struct sync_json_post post;
	uint8_t id[POST_ID_LEN];

	if (social_sync_json_post_read(item, &post) < 0)
		return;
	social_post_id(post.post.bytes, post.post.len, id);
	if (memcmp(id, post.id, sizeof(id)) != 0)
		abort();
	social_sync_json_post_free(&post);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t ids[64][32];
	struct sync_json json;
	const json_t *item;
	size_t i;
	int cnt;

	json_heap_begin();
	if (social_sync_json_parse((const char *)data, len, &json) < 0)
		return 0;
	cnt = social_sync_json_ids(json.body, "post_ids", ids, 64);
	if (cnt > 64 || social_sync_json_ids(json.body, "follows", ids, 64) > 64)
		abort();
	json_array_foreach(json_object_get(json.body, "posts"), i, item) check_post(item);
	json_decref(json.root);
	return 0;
}
