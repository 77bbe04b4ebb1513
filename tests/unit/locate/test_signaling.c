/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signaling endpoint as a client sees it: one question at a time, and publishing. The endpoint
 * is http_websocket_ask below, in the place of http/.
 */
#include <stdio.h>

#include "http/websocket.h"
#include "locator_rig.h"

#define LOOKS	 8 /* of the client at once */
#define RETRY_NS (60 * NS_PER_S)
#define HOUR_NS	 (3600 * NS_PER_S)
#define HEAD_LEN (1 + NODE_KEY_LEN)
#define CAP	 (HEAD_LEN + PKARR_BODY_LEN_MAX)

/* docs/wire/signaling.md */
enum { FIND = 1, PUBLISH, UNKNOWN, REFUSED };

/* What the endpoint answers; written while no question runs. The key is that of the question. */
static struct {
	int err;
	unsigned status;
	uint8_t signal;
	bool is_of_another, is_cut;
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len;
} answer;
static uint8_t question[CAP]; /* the last */
static size_t question_len;

int http_websocket_ask(struct websocket_ask *ask)
{
	rig_arrive(0);
	memcpy(question, ask->question, ask->question_len);
	question_len = ask->question_len;
	ask->status = answer.err ? 0 : answer.status;
	ask->answer_len = HEAD_LEN + answer.len - answer.is_cut;
	if (ask->answer_len > ask->answer_cap)
		return WEFT_ETOOLARGE;
	ask->answer[0] = answer.signal;
	memcpy(ask->answer + 1, ask->question + 1, NODE_KEY_LEN);
	ask->answer[1] ^= answer.is_of_another;
	memcpy(ask->answer + HEAD_LEN, answer.body, answer.len);
	return answer.err;
}

static void endpoint_says(uint8_t signal)
{
	memset(&answer, 0, sizeof(answer));
	answer.status = 101;
	answer.signal = signal;
}

static void endpoint_has(uint64_t seq)
{
	struct pkarr_packet packet = rig_packet(seq);

	endpoint_says(FIND);
	answer.len = dht_pkarr_packet_write_body(&packet, answer.body);
}

static int client_open(const char *url)
{
	rig_open();
	snprintf(rig.signaling.url, sizeof(rig.signaling.url), "%s", url);
	return locate_signaling_open(&rig.locate, rig.what);
}

static void client_close(void)
{
	locate_signaling_close(rig.locate.signaling);
}

static int look(unsigned i)
{
	struct mesh_locator locator = locate_signaling_locator(rig.locate.signaling);

	return locator.look(locator.ctx, node_key_public(rig.key), &rig.looks[i].look, rig.now_ns,
			    &rig.looks[i].run);
}

static void cancel(unsigned i)
{
	struct mesh_locator locator = locate_signaling_locator(rig.locate.signaling);

	locator.cancel(locator.ctx, rig.looks[i].run);
}

static void publish(const struct pkarr_packet *packet)
{
	locate_signaling_publish(rig.locate.signaling, packet, rig.now_ns);
	rig_pass(0);
}

/* The question was this packet's publishing. */
static bool has_published(const struct pkarr_packet *packet)
{
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len = dht_pkarr_packet_write_body(packet, body);

	return question_len == HEAD_LEN + len && question[0] == PUBLISH &&
	       memcmp(question + 1, packet->key, NODE_KEY_LEN) == 0 &&
	       memcmp(question + HEAD_LEN, body, len) == 0;
}

static void test_a_look_asks_for_the_key_and_reports_its_record(void)
{
	CHECK_EQ(client_open("ws://endpoint.test/signal"), 0);
	endpoint_has(5);
	CHECK_EQ(look(0), 0);
	RIG_AWAIT(rig.looks[0].ended_cnt == 1);
	CHECK_EQ(rig.looks[0].err, 0);
	CHECK_EQ(rig.looks[0].found_cnt, 1);
	CHECK_EQ(rig.looks[0].seqs[0], RIG_WALL_US + 5);
	CHECK_EQ(question_len, HEAD_LEN);
	CHECK_EQ(question[0], FIND);
	CHECK_MEM(question + 1, node_key_public(rig.key), NODE_KEY_LEN);
	CHECK_EQ(rig.locate.stats.signaling_lookup_cnt, 1);
	client_close();
}

static void test_answers_that_report_nothing(void)
{
	static const struct {
		const char *why;
		uint8_t signal;
		bool is_of_another, is_cut, has_damage, has_record;
		unsigned status;
		int err, want;
	} rows[] = {
		{"unknown", .signal = UNKNOWN, .status = 101, .want = 0},
		{"refused", .signal = REFUSED, .status = 101, .want = WEFT_EMALFORMED},
		{"another key", .signal = UNKNOWN, .is_of_another = true, .status = 101,
		 .want = WEFT_EMALFORMED},
		{"a byte too short", .signal = UNKNOWN, .is_cut = true, .status = 101,
		 .want = WEFT_EMALFORMED},
		{"a record of another signer", .signal = FIND, .has_record = true,
		 .has_damage = true, .status = 101, .want = WEFT_EDAMAGED},
		{"no record", .signal = FIND, .status = 101, .want = WEFT_EDAMAGED},
		{"no switch", .signal = FIND, .has_record = true, .status = 403,
		 .want = WEFT_EREFUSED},
		{"no way", .err = WEFT_EUNREACHABLE, .want = WEFT_EUNREACHABLE},
	};

	CHECK_EQ(client_open("ws://endpoint.test"), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		endpoint_has(5);
		answer.signal = rows[i].signal;
		answer.status = rows[i].status;
		answer.err = rows[i].err;
		answer.is_of_another = rows[i].is_of_another;
		answer.is_cut = rows[i].is_cut;
		answer.body[0] ^= rows[i].has_damage;
		if (!rows[i].has_record)
			answer.len = 0;
		rig.looks[0].ended_cnt = 0;
		CHECK_EQ(look(0), 0);
		RIG_AWAIT(rig.looks[0].ended_cnt == 1);
		printf("# %s\n", rows[i].why);
		CHECK_EQ(rig.looks[0].err, rows[i].want);
		CHECK_EQ(rig.looks[0].found_cnt, 0);
	}
	CHECK_EQ(rig.locate.stats.damaged_cnt, 2);
	client_close();
}

static void test_one_look_too_many_is_refused(void)
{
	CHECK_EQ(client_open("wss://endpoint.test"), 0);
	endpoint_has(5);
	rig_hold(0, true);
	for (unsigned i = 0; i < LOOKS; i++)
		CHECK_EQ(look(i), 0);
	CHECK_EQ(look(LOOKS), WEFT_EFULL);
	CHECK_EQ(rig.locate.stats.refused_cnt, 1);
	/* What was taken back has its place until its question has ended. */
	cancel(0);
	CHECK_EQ(look(LOOKS), WEFT_EFULL);
	rig_hold(0, false);
	for (unsigned i = 1; i < LOOKS; i++)
		RIG_AWAIT(rig.looks[i].ended_cnt == 1);
	CHECK_EQ(look(LOOKS), 0);
	RIG_AWAIT(rig.looks[LOOKS].ended_cnt == 1);
	CHECK_EQ(rig.looks[0].found_cnt + rig.looks[0].ended_cnt, 0);
	client_close();
}

static void test_the_record_is_published_and_again_each_hour(void)
{
	struct pkarr_packet packet = rig_packet(5);

	CHECK_EQ(client_open("ws://endpoint.test"), 0);
	endpoint_says(PUBLISH);
	publish(&packet);
	RIG_AWAIT(rig.locate.stats.signaling_publish_cnt == 1);
	CHECK(has_published(&packet));
	/* The same record is no news. */
	publish(&packet);
	rig_pass(HOUR_NS - 1);
	CHECK_EQ(rig_asked(0), 1);
	rig_pass(1);
	RIG_AWAIT(rig.locate.stats.signaling_publish_cnt == 2);
	publish(NULL);
	rig_pass(2 * HOUR_NS);
	CHECK_EQ(rig_asked(0), 2);
	client_close();
}

static void test_a_record_that_is_refused_is_published_a_minute_later(void)
{
	struct pkarr_packet packet = rig_packet(5);

	CHECK_EQ(client_open("ws://endpoint.test"), 0);
	endpoint_says(REFUSED);
	publish(&packet);
	RIG_AWAIT(rig.locate.stats.publish_failed_cnt == 1);
	endpoint_says(PUBLISH);
	rig_pass(RETRY_NS - 1);
	CHECK_EQ(rig_asked(0), 1);
	rig_pass(1);
	RIG_AWAIT(rig.locate.stats.signaling_publish_cnt == 1);
	client_close();
}

static void test_a_record_that_changes_while_it_is_published_is_published_again(void)
{
	struct pkarr_packet first = rig_packet(5), second = rig_packet(6);

	CHECK_EQ(client_open("ws://endpoint.test"), 0);
	endpoint_says(PUBLISH);
	rig_hold(0, true);
	publish(&first);
	rig_await_asked(0, 1);
	publish(&second);
	rig_hold(0, false);
	RIG_AWAIT(rig.locate.stats.signaling_publish_cnt == 1);
	rig_pass(NS_PER_S);
	RIG_AWAIT(rig.locate.stats.signaling_publish_cnt == 2);
	CHECK(has_published(&second));
	client_close();
}

static void test_the_url_is_of_a_websocket(void)
{
	CHECK_EQ(client_open(""), 0);
	CHECK(!rig.locate.signaling);
	CHECK_EQ(locate_signaling_footprint(&rig.signaling), 0);
	client_close();
	CHECK_EQ(client_open("https://endpoint.test"), WEFT_EMALFORMED);
	CHECK(strcmp(rig.what, "signaling.url: https://endpoint.test") == 0);
	CHECK(locate_signaling_footprint(&rig.signaling) > 0);
	client_close();
}

int main(void)
{
	rig_init();
	RUN(test_a_look_asks_for_the_key_and_reports_its_record);
	RUN(test_answers_that_report_nothing);
	RUN(test_one_look_too_many_is_refused);
	RUN(test_the_record_is_published_and_again_each_hour);
	RUN(test_a_record_that_is_refused_is_published_a_minute_later);
	RUN(test_a_record_that_changes_while_it_is_published_is_published_again);
	RUN(test_the_url_is_of_a_websocket);
	node_key_free(rig.key);
	return check_done();
}
