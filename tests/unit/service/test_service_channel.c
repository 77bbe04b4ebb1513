/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between two nodes, and what may become of them. Each row runs within one node, too. */
#include "support/check.h"
#include "support/service_rig.h"

static struct srig rig;
static struct srig_stream asker, taker;
static struct srig_provider provider;
static uint8_t blob[SERVICE_PIECE_LEN_MAX];
static unsigned done_cnt;

static void piece_done(void *arg)
{
	(void)arg;
	done_cnt++;
}

/* A stream from A to node to, taken by taker. */
static bool open_to(unsigned to, const struct service_config *config)
{
	memset(&asker, 0, sizeof(asker));
	memset(&taker, 0, sizeof(taker));
	memset(&provider, 0, sizeof(provider));
	for (size_t i = 0; i < sizeof(blob); i++)
		blob[i] = (uint8_t)(i * 11 + i / 251);
	provider.stream = &taker;
	done_cnt = 0;
	srig_init(&rig, 2, config);
	if (!srig_offer(&rig, &provider, to, "chat") ||
	    srig_open(&rig, &asker, SRIG_A, to, "chat", "hi", 2) < 0)
		return false;
	srig_run(&rig, 100 * PAIR_MS);
	return asker.opened_cnt == 1 && provider.len == 2;
}

static void close_all(void)
{
	srig_fini(&rig);
}

static int send_text(struct service_channel *channel, const char *text, bool is_last)
{
	struct service_piece piece = {.data = (const uint8_t *)text,
				      .len = strlen(text),
				      .is_text = true,
				      .is_last = is_last};

	return service_channel_send(channel, &piece, NULL, NULL);
}

#define FOR_BOTH(to) for (unsigned to = SRIG_A; to <= SRIG_B; to++)

static void test_messages_in_pieces_arrive_in_order_both_ways(void)
{
	FOR_BOTH(to)
	{
		CHECK(open_to(to, NULL));
		taker.is_echo = true;
		CHECK_MEM(asker.provider, rig.nodes[to].key, MESH_KEY_LEN);
		for (unsigned i = 0; i < 100; i++) {
			CHECK_EQ(send_text(asker.channel, "one ", false), 0);
			CHECK_EQ(send_text(asker.channel, "two", true), 0);
			srig_run(&rig, 10 * PAIR_MS);
		}
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(taker.message_cnt, 100);
		CHECK_EQ(asker.message_cnt, 100);
		CHECK_EQ(asker.len, 700);
		CHECK_EQ(asker.sum, taker.sum);
		CHECK(asker.is_text);
		service_channel_finish(asker.channel);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(taker.finished_cnt, 1);
		CHECK_EQ(asker.finished_cnt, 1);
		CHECK_EQ(asker.ended_cnt, 1);
		CHECK_EQ(taker.ended_cnt, 1);
		CHECK_EQ(asker.status, SERVICE_OK);
		CHECK_EQ(taker.status, SERVICE_OK);
		close_all();
	}
}

static void test_buffer_references_come_back_and_an_empty_message_is_one(void)
{
	FOR_BOTH(to)
	{
		struct service_piece piece = {.data = blob, .len = sizeof(blob), .is_last = true};

		CHECK(open_to(to, NULL));
		CHECK_EQ(service_channel_send(asker.channel, &piece, piece_done, NULL), 0);
		piece.len = 0;
		CHECK_EQ(service_channel_send(asker.channel, &piece, NULL, NULL), 0);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(done_cnt, 1);
		CHECK_EQ(taker.message_cnt, 2);
		CHECK_EQ(taker.len, sizeof(blob));
		CHECK_EQ(taker.sum, srig_sum(0, blob, sizeof(blob)));
		CHECK(!taker.is_text);
		close_all();
	}
}

static void test_a_receiver_that_does_not_consume_holds_the_sender_back(void)
{
	struct service_piece piece = {.data = blob, .len = sizeof(blob), .is_last = true};
	unsigned sent_cnt = 0;

	CHECK(open_to(SRIG_A, NULL));
	taker.is_holding = true;
	for (unsigned i = 0; i < 50; i++) {
		sent_cnt += service_channel_send(asker.channel, &piece, piece_done, NULL) == 0;
		srig_run(&rig, PAIR_MS);
	}
	CHECK(sent_cnt < 50);
	CHECK_EQ(taker.len, sizeof(blob));
	CHECK_EQ(asker.writable_cnt, 0);
	for (unsigned i = 0; i < sent_cnt; i++) {
		service_channel_consume(taker.channel, sizeof(blob));
		srig_run(&rig, PAIR_MS);
	}
	CHECK_EQ(taker.message_cnt, sent_cnt);
	CHECK(asker.writable_cnt > 0);
	CHECK_EQ(done_cnt, sent_cnt);
	close_all();
}

static void test_either_side_ends_both_with_a_status_and_a_text(void)
{
	for (unsigned row = 0; row < 4; row++) {
		struct srig_stream *ends = row & 1 ? &taker : &asker;
		struct srig_stream *hears = row & 1 ? &asker : &taker;

		CHECK(open_to(row & 2 ? SRIG_A : SRIG_B, NULL));
		CHECK_EQ(send_text(ends->channel, "last words", true), 0);
		service_channel_end(ends->channel, SERVICE_FORBIDDEN, "enough");
		srig_run(&rig, PAIR_S);
		CHECK_EQ(hears->message_cnt, 1);
		CHECK_EQ(hears->ended_cnt, 1);
		CHECK_EQ(hears->status, SERVICE_FORBIDDEN);
		CHECK_STR(hears->text, "enough");
		CHECK_EQ(ends->ended_cnt, 0);
		close_all();
	}
}

static void test_a_stream_that_is_finished_is_still_ended_with_a_status(void)
{
	for (unsigned row = 0; row < 4; row++) {
		struct srig_stream *ends = row & 1 ? &taker : &asker;
		struct srig_stream *hears = row & 1 ? &asker : &taker;

		CHECK(open_to(row & 2 ? SRIG_A : SRIG_B, NULL));
		service_channel_finish(ends->channel);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(hears->finished_cnt, 1);
		service_channel_end(ends->channel, SERVICE_TIMEOUT, "too slow");
		srig_run(&rig, PAIR_S);
		CHECK_EQ(hears->ended_cnt, 1);
		CHECK_EQ(hears->status, SERVICE_TIMEOUT);
		CHECK_EQ(ends->ended_cnt, 0);
		close_all();
	}
}

static void test_a_stream_is_refused_with_its_handlers_status(void)
{
	FOR_BOTH(to)
	{
		struct service_stats stats;

		CHECK(open_to(to, NULL));
		provider.status = SERVICE_UNAUTHORIZED;
		memset(&asker, 0, sizeof(asker));
		CHECK_EQ(srig_open(&rig, &asker, SRIG_A, to, "chat", NULL, 0), 0);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(asker.opened_cnt, 0);
		CHECK_EQ(asker.ended_cnt, 1);
		CHECK_EQ(asker.status, SERVICE_UNAUTHORIZED);
		service_stats(rig.nodes[to].service, &stats);
		CHECK_EQ(stats.in.status_cnt[SERVICE_UNAUTHORIZED], 1);
		CHECK_EQ(stats.in.status_cnt[SERVICE_OK], 1); /* the one that was taken */
		CHECK_STR(asker.text, "as told");
		/* A handler that decides nothing has failed. */
		provider.status = SERVICE_OK;
		provider.stream = NULL;
		CHECK_EQ(srig_open(&rig, &asker, SRIG_A, to, "chat", NULL, 0), 0);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(asker.status, SERVICE_UNKNOWN_ERROR);
		/* And there is none. */
		CHECK_EQ(srig_open(&rig, &asker, SRIG_A, to, "none", NULL, 0), 0);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(asker.status, SERVICE_NOT_FOUND);
		CHECK_EQ(asker.ended_cnt, 3);
		close_all();
	}
}

static void test_an_opening_may_be_taken_back(void)
{
	FOR_BOTH(to)
	{
		CHECK(open_to(to, NULL));
		memset(&asker, 0, sizeof(asker));
		CHECK_EQ(srig_open(&rig, &asker, SRIG_A, to, "chat", NULL, 0), 0);
		service_channel_end(asker.channel, SERVICE_OK, NULL);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(asker.opened_cnt + asker.ended_cnt, 0);
		close_all();
	}
}

static void test_a_service_that_is_withdrawn_ends_its_streams_and_calls(void)
{
	FOR_BOTH(to)
	{
		struct service_stats stats;
		struct srig_ask ask;

		CHECK(open_to(to, NULL));
		provider.mode = SRIG_KEEP;
		CHECK_EQ(srig_call(&rig, &ask, SRIG_A, to, "chat", "", 0), 0);
		srig_run(&rig, 100 * PAIR_MS);
		CHECK_EQ(provider.kept_cnt, 1);
		service_withdraw(provider.offer, rig.net.now_ns);
		srig_run(&rig, PAIR_S);
		CHECK_EQ(ask.answer.status, SERVICE_UNAVAILABLE);
		CHECK_EQ(asker.ended_cnt, 1);
		CHECK_EQ(asker.status, SERVICE_UNAVAILABLE);
		CHECK_STR(asker.text, "the service was withdrawn");
		CHECK_EQ(taker.ended_cnt + provider.cancelled_cnt, 0);
		service_stats(rig.nodes[to].service, &stats);
		CHECK_EQ(stats.in_hand_cnt + stats.offer_cnt, 0);
		srig_ask_fini(&ask);
		close_all();
	}
}

static void test_bytes_may_follow_an_opening_before_it_is_taken(void)
{
	CHECK(open_to(SRIG_B, NULL));
	memset(&asker, 0, sizeof(asker));
	memset(&taker, 0, sizeof(taker));
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_B, "chat", NULL, 0), 0);
	CHECK_EQ(send_text(asker.channel, "early", true), 0);
	service_channel_finish(asker.channel);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(taker.message_cnt, 1);
	CHECK_EQ(taker.finished_cnt, 1);
	close_all();
}

static void test_a_head_of_16_kib_is_taken_and_one_byte_more_is_not(void)
{
	struct service_config config;
	struct service_piece piece = {.data = blob, .len = 1, .is_last = true};

	service_config_defaults(&config);
	CHECK(open_to(SRIG_B, &config));
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_B, "chat", blob, 16384), 0);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(provider.len, 16384);
	CHECK_EQ(service_channel_send(asker.channel, &piece, NULL, NULL), 0);
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_B, "chat", blob, 16385), WEFT_ETOOLARGE);
	config.limits.head_len = 65536;
	service_configure(rig.nodes[SRIG_A].service, &config);
	memset(&asker, 0, sizeof(asker));
	CHECK_EQ(srig_open(&rig, &asker, SRIG_A, SRIG_B, "chat", blob, 16385), 0);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(asker.status, SERVICE_PAYLOAD_TOO_LARGE);
	CHECK_EQ(rig.nodes[SRIG_B].violation_cnt, 1);
	close_all();
}

static void test_a_lost_session_ends_the_stream_on_both_sides(void)
{
	struct service_stats stats;

	CHECK(open_to(SRIG_B, NULL));
	pair_net_close_dialled(&rig.net, SRIG_A);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(asker.ended_cnt, 1);
	CHECK_EQ(taker.ended_cnt, 1);
	CHECK_EQ(asker.status, SERVICE_UNAVAILABLE);
	CHECK_EQ(taker.status, SERVICE_UNAVAILABLE);
	for (unsigned i = 0; i < 2; i++) {
		service_stats(rig.nodes[i].service, &stats);
		CHECK_EQ(stats.channel_cnt + stats.in_hand_cnt + stats.pending_cnt, 0);
	}
	close_all();
}

static void test_open_streams_count_as_calls_in_hand_and_leave_the_callers_queue(void)
{
	static struct srig_stream askers[100];
	struct service_stats stats;
	struct srig_ask ask;

	CHECK(open_to(SRIG_B, NULL));
	/* Ten calls may be at a provider; a stream that is open is none of them. */
	for (unsigned i = 0; i < 99; i++)
		CHECK_EQ(srig_open(&rig, &askers[i], SRIG_A, SRIG_B, "chat", NULL, 0), 0);
	srig_run(&rig, PAIR_S);
	service_stats(rig.nodes[SRIG_B].service, &stats);
	CHECK_EQ(stats.in_hand_cnt, 100);
	CHECK_EQ(stats.in.stream_cnt, 100);
	srig_run(&rig, 120 * PAIR_S);
	CHECK_EQ(srig_call(&rig, &ask, SRIG_A, SRIG_B, "chat", "", 0), 0);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(ask.answer.status, SERVICE_RATE_LIMITED);
	service_channel_end(askers[0].channel, SERVICE_OK, NULL);
	srig_run(&rig, PAIR_S);
	srig_ask_fini(&ask);
	provider.mode = SRIG_ECHO;
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_B, "chat", 3), SERVICE_OK);
	close_all();
}

static void test_streams_beyond_the_pool_are_refused(void)
{
	static struct srig_stream askers[17];
	struct service_config config;

	service_config_defaults(&config);
	config.limits.channel_cnt = 16;
	CHECK(open_to(SRIG_B, &config));
	for (unsigned i = 0; i < 15; i++)
		CHECK_EQ(srig_open(&rig, &askers[i], SRIG_A, SRIG_B, "chat", NULL, 0), 0);
	CHECK_EQ(srig_open(&rig, &askers[15], SRIG_A, SRIG_B, "chat", NULL, 0), WEFT_EFULL);
	srig_run(&rig, PAIR_S);
	/* B has 16 of its own to give, and no more. */
	CHECK_EQ(srig_open(&rig, &askers[16], SRIG_B, SRIG_B, "chat", NULL, 0), WEFT_EFULL);
	close_all();
}

int main(void)
{
	RUN(test_messages_in_pieces_arrive_in_order_both_ways);
	RUN(test_buffer_references_come_back_and_an_empty_message_is_one);
	RUN(test_a_receiver_that_does_not_consume_holds_the_sender_back);
	RUN(test_either_side_ends_both_with_a_status_and_a_text);
	RUN(test_a_stream_that_is_finished_is_still_ended_with_a_status);
	RUN(test_a_stream_is_refused_with_its_handlers_status);
	RUN(test_an_opening_may_be_taken_back);
	RUN(test_a_service_that_is_withdrawn_ends_its_streams_and_calls);
	RUN(test_bytes_may_follow_an_opening_before_it_is_taken);
	RUN(test_a_head_of_16_kib_is_taken_and_one_byte_more_is_not);
	RUN(test_a_lost_session_ends_the_stream_on_both_sides);
	RUN(test_open_streams_count_as_calls_in_hand_and_leave_the_callers_queue);
	RUN(test_streams_beyond_the_pool_are_refused);
	return check_done();
}
