/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "mesh/seam.h"
#include "social/sync/sync_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[4u << 20];

static void check_hello(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct sync_hello hello, again;

	if (social_sync_hello_parse(data, len, &hello) < 0)
		return;
	social_sync_hello_write(&w, &hello);
	if (w.bad || social_sync_hello_parse(out, writer_len(&w), &again) < 0 ||
	    again.follows_len != hello.follows_len || again.proof_cnt != hello.proof_cnt ||
	    again.question != hello.question || again.ranges_len != hello.ranges_len)
		abort();
}

static void check_answer(const uint8_t *data, size_t len)
{
	static struct sync_answer answer, again;
	struct writer w = writer_of(out, sizeof(out));

	if (social_sync_answer_parse(data, len, &answer) < 0)
		return;
	social_sync_answer_write(&w, &answer);
	if (w.bad || social_sync_answer_parse(out, writer_len(&w), &again) < 0 ||
	    again.rows_len != answer.rows_len || again.profile_cnt != answer.profile_cnt ||
	    again.deletion_cnt != answer.deletion_cnt)
		abort();
}

static void check_get(const uint8_t *data, size_t len)
{
	struct writer w = writer_of(out, sizeof(out));
	struct sync_get get, again;

	if (social_sync_get_parse(data, len, &get) < 0)
		return;
	social_sync_get_write(&w, &get);
	if (w.bad || social_sync_get_parse(out, writer_len(&w), &again) < 0 ||
	    again.posts_len != get.posts_len || again.visibilities_len != get.visibilities_len)
		abort();
}

static void check_page(const uint8_t *data, size_t len)
{
	static struct sync_page page, again;
	struct writer w = writer_of(out, sizeof(out));

	if (social_sync_page_parse(data, len, &page) < 0)
		return;
	social_sync_page_write(&w, &page);
	if (w.bad || social_sync_page_parse(out, writer_len(&w), &again) < 0 ||
	    again.post_cnt != page.post_cnt || again.has_rest != page.has_rest)
		abort();
}

static void lacking(void *ctx, const uint8_t row[static RANGE_ROW_LEN])
{
	(void)row;
	++*(unsigned *)ctx;
}

/* 300 posts on this side, whatever the other one says. */
static void check_ranges(const uint8_t *data, size_t len)
{
	static struct arena arena;
	static struct post_index index;
	static unsigned lacking_cnt;
	const struct range_posts posts = {.index = &index, .lacking = lacking, .ctx = &lacking_cnt};
	struct writer w = writer_of(out, RANGE_MESSAGE_MAX);

	if (!arena.start) {
		if (arena_open(&arena, ARENA_GROWS) < 0 ||
		    social_index_init(&index, &arena, 512) < 0)
			abort();
		for (unsigned i = 0; i < 300; i++) {
			const struct post_row row = {.time_ms = i / 3, .id = {(uint8_t)(i * 37)}};

			if (!social_index_put(&index, &row))
				abort();
		}
	}
	if (social_ranges_answer(&posts, data, len, &w) >= 0 && w.bad)
		abort();
}

static void check_proof(const uint8_t *data, size_t len)
{
	static const uint8_t session[SYNC_SESSION_LEN];
	const struct sync_bytes bytes = {data, len};
	struct sync_proof proof;

	if (social_sync_proof_read(&bytes, session, &proof) == 0)
		abort(); /* no seed of the corpus signs for that session */
}

/* The first byte says which format; the others are one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sync_bytes object;

	if (len < 1)
		return 0;
	switch (data[0] % 7) {
	case 0:
		check_hello(data + 1, len - 1);
		break;
	case 1:
		check_answer(data + 1, len - 1);
		break;
	case 2:
		check_get(data + 1, len - 1);
		break;
	case 3:
		check_page(data + 1, len - 1);
		break;
	case 4:
		check_ranges(data + 1, len - 1);
		break;
	case 5:
		check_proof(data + 1, len - 1);
		break;
	default:
		(void)!social_sync_object_parse(data + 1, len - 1, &object);
		break;
	}
	return 0;
}
