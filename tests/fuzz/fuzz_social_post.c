/* SPDX-License-Identifier: Apache-2.0 */
/* What travels of a post, and its row in the database. The first byte says which parser gets the rest. */
#include <stdlib.h>
#include <string.h>

#include "social/keep/post_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[POST_LEN_MAX + 4096];

/* A post has one encoding: that of its id. */
static void check_post(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct post post;

	if (social_post_parse(data, len, &post) < 0)
		return;
	social_post_write(&w, &post);
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0)
		abort();
}

static void check_signed(const uint8_t *data, size_t len)
{
	static struct visibility visibility;
	struct post_deletion deletion;
	struct post_claim claim;
	unsigned read_cnt = 0;

	read_cnt += social_claim_read(data, len, &claim) == 0;
	read_cnt += social_deletion_read(data, len, &deletion) == 0;
	read_cnt += social_visibility_read(data, len, &visibility) == 0;
	if (read_cnt > 1)
		abort(); /* a signature is of one kind */
}

/* Two lengths, then the post, its claim and its readers. */
static void check_judge(const uint8_t *data, size_t len)
{
	struct cursor c = cursor_of(data, len);
	uint16_t post_len = cursor_be16(&c), claim_len = cursor_be16(&c);
	struct post_parts parts = {.post_len = post_len, .claim_len = claim_len};
	struct judged_post *judged;

	parts.post = cursor_bytes(&c, post_len);
	parts.claim = cursor_bytes(&c, claim_len);
	parts.visibility_len = cursor_left(&c);
	parts.visibility = cursor_bytes(&c, parts.visibility_len);
	if (c.bad || social_post_judge(&parts, &judged) < 0)
		return;
	if (memcmp(judged->visibility.author, judged->post.author, NODE_KEY_LEN) != 0 ||
	    memcmp(judged->visibility.post, judged->id, POST_ID_LEN) != 0)
		abort();
	social_judged_free(judged);
}

static void check_record(const uint8_t *data, size_t len)
{
	static const uint8_t id[POST_ID_LEN];
	struct writer w = writer_of(out, sizeof(out));
	struct post_record record;

	if (social_post_record_parse(id, data, len, &record) < 0)
		return;
	social_post_record_write(&w, &record);
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const checks[])(const uint8_t *data, size_t len) = {
		check_post, check_signed, check_judge, check_record};

	if (len > 0)
		checks[data[0] % 4](data + 1, len - 1);
	return 0;
}
