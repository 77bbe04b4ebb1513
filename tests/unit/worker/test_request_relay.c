/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose handlers are at home. */
#include "relay_of_home_rig.h"

/* --- requests, whose handlers are at home --- */

static struct rig_ask asked, asked_too;
static struct rig_kept kept;

static void request_bench_init(void)
{
	bench_init();
	memset(&asked, 0, sizeof(asked));
	memset(&asked_too, 0, sizeof(asked_too));
	kept = (struct rig_kept){.ops = rig.nodes[2].seam.ops, .wants_gone = true};
	check_failed |= kept.ops->handle(rig.nodes[2].mesh, MESH_FIND_NODE, rig_keep, &kept) < 0;
}

static void request_bench_fini(void)
{
	rig_ask_fini(&asked);
	rig_ask_fini(&asked_too);
	bench_fini();
}

static bool requests_gone(void)
{
	struct mesh_stats stats;

	mesh_stats(rig.nodes[2].mesh, &stats);
	return all_gone() && !stats.incoming_cnt;
}

static void count_done(void *arg)
{
	++*(unsigned *)arg;
}

static uint8_t seen_key, seen_payload[8];
static struct addr seen_addr;

static void request_look(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	kept.ops->asker_addr(call->incoming, &seen_addr);
	seen_key = call->peer_key[0];
	memcpy(seen_payload, call->payload, call->payload_len < 8 ? call->payload_len : 8);
	rig_keep(ctx, call, now_ns);
}

static void test_request_reaches_home_and_its_answer_the_peer(void)
{
	static uint8_t payload[64 * 1024] = "first", tail[50000];
	struct mesh_peer_info asker = {.is_connected = true, .last_addr = pair_addr(1)};
	unsigned done_cnt = 0;
	struct transport_span span = {tail, sizeof(tail), count_done, &done_cnt};

	request_bench_init();
	CHECK_EQ(kept.ops->handle(rig.nodes[2].mesh, MESH_STORE, request_look, &kept), 0);
	memset(asker.key, 1, sizeof(asker.key));
	mesh_note_peer(rig.nodes[2].mesh, &asker, rig.net.now_ns);
	memset(tail, 't', sizeof(tail));
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_STORE, payload, sizeof(payload)), 0);
	run();
	CHECK_EQ(kept.cnt, 1);
	CHECK_EQ(seen_key, 1);
	CHECK(addr_equal(&seen_addr, &asker.last_addr));
	CHECK_STR((char *)seen_payload, "first");
	CHECK_EQ(asked.reply_cnt, 0);
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_STORE, "head ", 5, NULL), 0);
	run();
	CHECK_EQ(asked.reply.err, 0);
	CHECK_EQ(asked.reply.type, MESH_STORE);
	CHECK_EQ(asked.reply.payload_len, 5);
	CHECK_MEM(asked.reply.payload, "head ", 5);
	/* What is lent comes back once. */
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_NODE, "", 0), 0);
	run();
	CHECK_EQ(kept.cnt, 2);
	CHECK_EQ(kept.ops->answer(kept.incoming[1], MESH_FIND_NODE, "x", 1, &span), 0);
	run();
	CHECK_EQ(asked_too.reply.err, 0);
	CHECK_EQ(asked_too.reply.payload_len, 1 + sizeof(tail));
	CHECK_EQ(asked_too.reply.payload[sizeof(tail)], 't');
	CHECK_EQ(done_cnt, 1);
	CHECK_EQ(kept.gone_cnt, 0);
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_requests_for_lists_of_shares_and_of_communities_reach_home(void)
{
	static const unsigned types[] = {MESH_LIST_SHARES,
					 MESH_ASK_COMMUNITY,
					 MESH_LIST_OWN_SHARES,
					 MESH_LIST_MEMBERS,
					 MESH_LIST_COMMUNITY_SHARES,
					 MESH_SEARCH_COMMUNITY,
					 MESH_ASK_EVENTS,
					 MESH_SHOW_MEMBER};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		request_bench_init();
		CHECK_EQ(kept.ops->handle(rig.nodes[2].mesh, types[i], rig_keep, &kept), 0);
		CHECK_EQ(rig_ask(&rig, &asked, 0, 1, types[i], "x", 1), 0);
		run();
		CHECK_EQ(kept.cnt, 1);
		kept.ops->answer_error(kept.incoming[0], MESH_CODE_ABSENT, "none", 0);
		run();
		CHECK_EQ(asked.reply.code, MESH_CODE_ABSENT);
		CHECK(requests_gone());
		request_bench_fini();
	}
}

static void test_home_says_why_it_refuses_a_request(void)
{
	request_bench_init();
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	run();
	CHECK_EQ(kept.cnt, 1);
	kept.ops->answer_error(kept.incoming[0], MESH_CODE_REFUSED, "too often", 5000);
	run();
	CHECK_EQ(asked.reply.err, WEFT_EREFUSED);
	CHECK_EQ(asked.reply.code, MESH_CODE_REFUSED);
	CHECK(asked.reply.not_before_ns > rig.net.now_ns);
	CHECK(requests_gone());
	/* No handler at home takes those. */
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_VALUE, "x", 1), 0);
	run();
	CHECK(asked_too.reply.err < 0);
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_home_hears_that_the_asker_left(void)
{
	request_bench_init();
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	CHECK_EQ(rig_ask(&rig, &asked_too, 0, 1, MESH_FIND_NODE, "y", 1), 0);
	run();
	CHECK_EQ(kept.cnt, 2);
	rig.nodes[0].seam.ops->cancel(asked.request);
	run();
	CHECK_EQ(kept.gone_cnt, 1);
	/* The worker ends while home has the other one in hand. */
	worker_stop();
	CHECK_EQ(kept.gone_cnt, 2);
	CHECK_EQ(stream_cnt(2), 0);
	rig_ask_fini(&asked);
	rig_ask_fini(&asked_too);
	rig_fini(&rig);
}

static void test_answer_after_the_asker_left_is_ignored(void)
{
	static uint8_t tail[5000];
	unsigned done_cnt = 0;
	struct transport_span span = {tail, sizeof(tail), count_done, &done_cnt};

	request_bench_init();
	kept.wants_gone = false;
	CHECK_EQ(rig_ask(&rig, &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
	run();
	rig.nodes[0].seam.ops->cancel(asked.request);
	run();
	CHECK_EQ(kept.ops->answer(kept.incoming[0], MESH_FIND_NODE, "x", 1, &span), WEFT_ECLOSED);
	CHECK_EQ(done_cnt, 0);
	CHECK(requests_gone());
	request_bench_fini();
}

/* The worker's stream takes nothing, as that of a peer that gives no credit. */
static void test_an_answer_that_home_recalls_is_sent_no_further(void)
{
	static uint8_t tail[50000];
	unsigned done_cnts[2] = {0};

	request_bench_init();
	for (unsigned i = 0; i < 2; i++) {
		struct transport_span span = {tail, sizeof(tail), count_done, &done_cnts[i]};

		CHECK_EQ(rig_ask(&rig, i ? &asked_too : &asked, 0, 1, MESH_FIND_NODE, "x", 1), 0);
		run();
		CHECK_EQ(kept.cnt, i + 1);
		rig.nodes[1].end->send_full_cnt = UINT32_MAX;
		CHECK_EQ(kept.ops->answer(kept.incoming[i], MESH_FIND_NODE, "y", 1, &span), 0);
		run();
		if (i == 0)
			kept.ops->recall(rig.nodes[2].mesh, &done_cnts[0]);
		run();
		rig.nodes[1].end->send_full_cnt = 0;
		run();
	}
	CHECK(asked.reply_cnt == 1 && asked.reply.err < 0);
	CHECK(asked_too.reply_cnt == 1 && asked_too.reply.err == 0);
	CHECK(done_cnts[0] == 1 && done_cnts[1] == 1);
	kept.ops->recall(rig.nodes[2].mesh, &done_cnts[1]); /* it is whole */
	CHECK(requests_gone());
	request_bench_fini();
}

static void test_requests_beyond_homes_limit_are_refused(void)
{
	struct rig_ask asks[HOME_CAP + 1];

	request_bench_init();
	rig.nodes[2].mesh->slots.pools[MESH_POOL_INCOMING].config.cap_cnt = HOME_CAP;
	for (unsigned i = 0; i <= HOME_CAP; i++) {
		CHECK_EQ(rig_ask(&rig, &asks[i], 0, 1, MESH_FIND_NODE, "x", 1), 0);
		run();
	}
	CHECK_EQ(kept.cnt, HOME_CAP);
	CHECK_EQ(asks[HOME_CAP].reply_cnt, 1);
	CHECK(asks[HOME_CAP].reply.err < 0);
	for (unsigned i = 0; i < HOME_CAP; i++)
		CHECK_EQ(kept.ops->answer(kept.incoming[i], MESH_FIND_NODE, "ok", 2, NULL), 0);
	run();
	for (unsigned i = 0; i < HOME_CAP; i++)
		CHECK_EQ(asks[i].reply.err, 0);
	CHECK(requests_gone());
	for (unsigned i = 0; i <= HOME_CAP; i++)
		rig_ask_fini(&asks[i]);
	request_bench_fini();
}

static void check_say(void *object, const void *bytes, size_t len)
{
	const struct stream_say *say = *(struct stream_say *const *)bytes;
	pool_handle *next = object;

	CHECK_EQ(len, sizeof(say));
	CHECK_EQ(say->stream, ++*next);
}

static void test_queue_keeps_order_when_it_is_full(void)
{
	const struct stream_queue_params params = {
		.message_cnt = 64, .len = 1 << 20, .fd = -1, .on_say = check_say};
	const struct mailbox_message turn = {.run = worker_relay_turn};
	static struct stream_say says[1000];
	struct stream_queue queue;
	pool_handle next = 0;

	CHECK_EQ(worker_stream_queue_init(&queue, &params), 0);
	for (pool_handle i = 1; i <= 1000; i++) {
		says[i - 1].stream = i;
		worker_stream_queue_post_say(&queue, &says[i - 1]);
	}
	CHECK(!worker_stream_queue_post(&queue, &turn));
	for (bool has_more = true; has_more;) {
		has_more = worker_stream_queue_flush(&queue);
		while (mailbox_run(&queue.mailbox, (void *[]){&next}))
			;
	}
	CHECK_EQ(next, 1000);
	worker_stream_queue_fini(&queue);
}

static void count_gone(void *arg)
{
	++*(unsigned *)arg;
}

static void test_tails_of_unread_frames_come_back(void)
{
	const struct stream_queue_params params = {
		.message_cnt = 4, .len = 1 << 20, .fd = -1, .on_say = check_say};
	static struct stream_say says[6];
	struct stream_queue queue;
	unsigned gone_cnt = 0;

	CHECK_EQ(worker_stream_queue_init(&queue, &params), 0);
	for (unsigned i = 0; i < 6; i++) {
		says[i].tail =
			(struct transport_span){(const uint8_t *)"x", 1, count_gone, &gone_cnt};
		worker_stream_queue_post_say(&queue, &says[i]);
	}
	worker_stream_queue_fini(&queue);
	CHECK_EQ(gone_cnt, 6);
}

int main(void)
{
	RUN(test_request_reaches_home_and_its_answer_the_peer);
	RUN(test_requests_for_lists_of_shares_and_of_communities_reach_home);
	RUN(test_home_says_why_it_refuses_a_request);
	RUN(test_home_hears_that_the_asker_left);
	RUN(test_answer_after_the_asker_left_is_ignored);
	RUN(test_an_answer_that_home_recalls_is_sent_no_further);
	RUN(test_requests_beyond_homes_limit_are_refused);
	RUN(test_queue_keeps_order_when_it_is_full);
	RUN(test_tails_of_unread_frames_come_back);
	return check_done();
}
