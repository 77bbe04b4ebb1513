/* SPDX-License-Identifier: Apache-2.0 */
/* Heads for peers: by id all that was seen, in pages only what is published. */
#include "follow_publisher.h"

#define SHARES 130

static struct frig rig;
static struct frig_share shares[SHARES];
static uint8_t ids[SHARES][32];
static struct list_answer answer;

static int id_order(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static void heads_keep(unsigned cnt)
{
	struct store_batch *batch = store_batch_new(rig.store);
	uint8_t id[32] = {1};

	for (unsigned i = 0; i < cnt; i++) {
		frig_share_init(&shares[i], (uint8_t)i);
		frig_head_make(&shares[i], 1 + i, id, FRIG_WALL_S);
		memcpy(ids[i], shares[i].id, 32);
		store_batch_put(batch, STORE_HEADS, store_key(shares[i].id, 32), shares[i].bytes,
				shares[i].len);
	}
	if (store_submit(rig.store, batch, NULL, NULL) < 0)
		abort();
	store_flush(rig.store);
	qsort(ids, cnt, sizeof(ids[0]), id_order);
}

static void blobs_shares_free(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		frig_share_fini(&shares[i]);
}

static void test_an_asker_that_knows_an_id_gets_the_head_that_was_seen(void)
{
	struct list_request request = {.has_share = true};

	frig_init(&rig);
	heads_keep(2);
	memcpy(request.share_id, shares[1].id, 32);
	frig_list(&rig, &request);
	CHECK_EQ(shares_list_answer_parse(rig.answer, rig.answer_len, &answer), 0);
	CHECK_EQ(answer.head_cnt, 1);
	CHECK_EQ(answer.heads[0].len, shares[1].len);
	CHECK_MEM(answer.heads[0].bytes, shares[1].bytes, shares[1].len);
	request.share_id[0] ^= 1;
	frig_list(&rig, &request);
	CHECK_EQ(rig.answer_code, MESH_CODE_ABSENT);
	blobs_shares_free(2);
	frig_fini(&rig);
}

static void test_a_followed_share_is_listed_to_no_asker(void)
{
	frig_init(&rig);
	heads_keep(2);
	frig_list(&rig, &(struct list_request){0});
	CHECK_EQ(shares_list_answer_parse(rig.answer, rig.answer_len, &answer), 0);
	CHECK_EQ(answer.head_cnt, 0);
	CHECK(!answer.has_cursor);
	blobs_shares_free(2);
	frig_fini(&rig);
}

static void test_pages_have_all_that_is_published_once(void)
{
	static const unsigned cnts[] = {1, LIST_HEADS_MAX, LIST_HEADS_MAX + 1, SHARES};

	for (unsigned k = 0; k < 4; k++) {
		struct list_request request = {0};
		unsigned seen_cnt = 0, page_cnt = 0;

		frig_init(&rig);
		heads_keep(cnts[k]);
		rig.public_ids = (const uint8_t(*)[32])ids;
		rig.public_cnt = cnts[k];
		do {
			frig_list(&rig, &request);
			CHECK_EQ(shares_list_answer_parse(rig.answer, rig.answer_len, &answer), 0);
			for (unsigned i = 0; i < answer.head_cnt; i++) {
				struct share_head head;

				CHECK_EQ(shares_head_parse(answer.heads[i].bytes,
							   answer.heads[i].len, &head),
					 0);
				CHECK_MEM(head.share_id, ids[seen_cnt++], 32);
			}
			request.has_cursor = answer.has_cursor;
			memcpy(request.cursor, answer.cursor, sizeof(request.cursor));
			page_cnt++;
		} while (answer.has_cursor);
		CHECK_EQ(seen_cnt, cnts[k]);
		CHECK_EQ(page_cnt, (cnts[k] + LIST_HEADS_MAX - 1) / LIST_HEADS_MAX);
		blobs_shares_free(cnts[k]);
		frig_fini(&rig);
	}
}

static void test_a_request_that_is_none_is_refused(void)
{
	uint8_t peer[MESH_KEY_LEN] = {9};
	struct mesh_call call = {.peer_key = peer,
				 .type = MESH_LIST_SHARES,
				 .payload = (const uint8_t *)"\xa1\x07\x00",
				 .payload_len = 3};

	frig_init(&rig);
	call.incoming = (struct mesh_incoming *)(void *)&rig;
	for (unsigned i = 0; i < rig.mesh.handler_cnt; i++)
		if (rig.mesh.handler_types[i] == MESH_LIST_SHARES)
			rig.mesh.handlers[i](rig.mesh.handler_ctx[i], &call, rig.now_ns);
	CHECK_EQ(rig.answer_code, MESH_CODE_MALFORMED);
	frig_fini(&rig);
}

int main(void)
{
	RUN(test_an_asker_that_knows_an_id_gets_the_head_that_was_seen);
	RUN(test_a_followed_share_is_listed_to_no_asker);
	RUN(test_pages_have_all_that_is_published_once);
	RUN(test_a_request_that_is_none_is_refused);
	return check_done();
}
