/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkarr relays as a client sees them: looks at all of them, and publishing to each. The relays are
 * http_get_run below, in the place of http/.
 */
#include <stdio.h>

#include "codec/text/zbase32.h"
#include "http/http_get.h"
#include "locator_rig.h"

#define URL_CAP	 128
#define LOOKS	 8 /* of the client at once */
#define RETRY_NS (30 * NS_PER_S)
#define HOUR_NS	 (3600 * NS_PER_S)

/* What a relay answers; written while no request runs. */
static struct {
	int err;
	unsigned status;
	uint8_t body[PKARR_BODY_LEN_MAX + 1];
	size_t len;
} answers[RIG_HOSTS];
/* What the last PUT to it brought. */
static struct {
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len;
} puts_of[RIG_HOSTS];
static char asked_url[RIG_HOSTS][URL_CAP];

/* http://relay0.test/... is host 0. */
int http_get_run(struct http_get *fetch)
{
	unsigned host = (unsigned)(fetch->url[strlen("http://relay")] - '0');

	rig_arrive(host);
	fetch->status = answers[host].err ? 0 : answers[host].status;
	snprintf(asked_url[host], URL_CAP, "%s", fetch->url);
	if (strcmp(fetch->method, "PUT") == 0) {
		memcpy(puts_of[host].body, fetch->body, fetch->body_len);
		puts_of[host].len = fetch->body_len;
	} else if (answers[host].len > fetch->answer_cap) {
		return WEFT_ETOOLARGE;
	} else {
		memcpy(fetch->answer, answers[host].body, answers[host].len);
		fetch->answer_len = answers[host].len;
	}
	return answers[host].err;
}

static void relay_has(unsigned host, uint64_t seq)
{
	struct pkarr_packet packet = rig_packet(seq);

	answers[host].err = 0;
	answers[host].status = 200;
	answers[host].len = dht_pkarr_packet_write_body(&packet, answers[host].body);
}

static void relay_fails(unsigned host, unsigned status, int err)
{
	answers[host].err = err;
	answers[host].status = status;
	answers[host].len = 0;
}

static int client_open(const char *relays)
{
	rig_open();
	memset(answers, 0, sizeof(answers));
	memset(puts_of, 0, sizeof(puts_of));
	snprintf(rig.pkarr_client.relays, sizeof(rig.pkarr_client.relays), "%s", relays);
	return locate_pkarr_relay_open(&rig.locate, rig.what);
}

static void client_close(void)
{
	locate_pkarr_relay_close(rig.locate.pkarr_client);
}

static int look(unsigned i)
{
	struct mesh_locator locator = locate_pkarr_relay_locator(rig.locate.pkarr_client);

	return locator.look(locator.ctx, node_key_public(rig.key), &rig.looks[i].look, rig.now_ns,
			    &rig.looks[i].run);
}

static void cancel(unsigned i)
{
	struct mesh_locator locator = locate_pkarr_relay_locator(rig.locate.pkarr_client);

	locator.cancel(locator.ctx, rig.looks[i].run);
}

static void test_a_look_asks_every_relay_and_reports_newer_records(void)
{
	char want[URL_CAP], text[ZBASE32_KEY_TEXT_CAP];

	CHECK_EQ(client_open("http://relay0.test/, http://relay1.test"), 0);
	relay_has(0, 5);
	relay_has(1, 7);
	rig_hold(1, true);
	CHECK_EQ(look(0), 0);
	RIG_AWAIT(rig.looks[0].found_cnt == 1);
	CHECK_EQ(rig.looks[0].seqs[0], RIG_WALL_US + 5);
	CHECK_EQ(rig.looks[0].ended_cnt, 0);
	rig_hold(1, false);
	RIG_AWAIT(rig.looks[0].ended_cnt == 1);
	CHECK_EQ(rig.looks[0].found_cnt, 2);
	CHECK_EQ(rig.looks[0].seqs[1], RIG_WALL_US + 7);
	CHECK_EQ(rig.looks[0].err, 0);
	zbase32_write(node_key_public(rig.key), NODE_KEY_LEN, text);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(want, sizeof(want), "http://relay%u.test/%s", i, text);
		CHECK(strcmp(asked_url[i], want) == 0);
	}
	CHECK_EQ(rig.locate.stats.relay_lookup_cnt, 1);
	client_close();
}

static void test_an_older_record_than_one_reported_is_left_out(void)
{
	CHECK_EQ(client_open("http://relay0.test http://relay1.test"), 0);
	relay_has(0, 5);
	relay_has(1, 7);
	rig_hold(0, true);
	CHECK_EQ(look(0), 0);
	RIG_AWAIT(rig.looks[0].found_cnt == 1);
	rig_hold(0, false);
	RIG_AWAIT(rig.looks[0].ended_cnt == 1);
	CHECK_EQ(rig.looks[0].found_cnt, 1);
	CHECK_EQ(rig.looks[0].seqs[0], RIG_WALL_US + 7);
	client_close();
}

static void test_a_record_that_its_owner_did_not_sign_is_no_record(void)
{
	CHECK_EQ(client_open("http://relay0.test"), 0);
	relay_has(0, 5);
	answers[0].body[answers[0].len - 1] ^= 1;
	CHECK_EQ(look(0), 0);
	RIG_AWAIT(rig.looks[0].ended_cnt == 1);
	CHECK_EQ(rig.looks[0].found_cnt, 0);
	CHECK_EQ(rig.locate.stats.damaged_cnt, 1);
	client_close();
}

/* A relay that knows nothing is an answer; one that fails is the result when no other answers. */
static void test_how_a_look_ends(void)
{
	static const struct {
		unsigned statuses[2];
		int errs[2];
		int want;
	} rows[] = {
		{{404, 404}, {0, 0}, 0},
		{{404, 0}, {0, WEFT_ETIMEOUT}, 0},
		{{0, 404}, {WEFT_ETIMEOUT, 0}, 0},
		{{0, 0}, {WEFT_EABSENT, WEFT_EABSENT}, WEFT_EABSENT},
		{{500, 500}, {0, 0}, WEFT_EUNREACHABLE},
		{{301, 301}, {0, 0}, WEFT_EUNREACHABLE},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(client_open("http://relay0.test,http://relay1.test"), 0);
		for (unsigned host = 0; host < 2; host++)
			relay_fails(host, rows[i].statuses[host], rows[i].errs[host]);
		CHECK_EQ(look(0), 0);
		RIG_AWAIT(rig.looks[0].ended_cnt == 1);
		CHECK_EQ(rig.looks[0].err, rows[i].want);
		CHECK_EQ(rig.looks[0].found_cnt, 0);
		client_close();
	}
}

static void test_one_look_too_many_is_refused(void)
{
	CHECK_EQ(client_open("http://relay0.test"), 0);
	relay_has(0, 5);
	rig_hold(0, true);
	for (unsigned i = 0; i < LOOKS; i++)
		CHECK_EQ(look(i), 0);
	CHECK_EQ(look(LOOKS), WEFT_EFULL);
	CHECK_EQ(rig.locate.stats.refused_cnt, 1);
	/* What was taken back has its place until its requests have ended. */
	cancel(0);
	CHECK_EQ(look(LOOKS), WEFT_EFULL);
	rig_hold(0, false);
	for (unsigned i = 1; i < LOOKS; i++)
		RIG_AWAIT(rig.looks[i].ended_cnt == 1);
	CHECK_EQ(look(LOOKS), 0);
	RIG_AWAIT(rig.looks[LOOKS].ended_cnt == 1);
	CHECK_EQ(rig.looks[LOOKS].found_cnt, 1);
	CHECK_EQ(rig.looks[0].found_cnt + rig.looks[0].ended_cnt, 0);
	client_close();
}

static void test_the_record_is_put_to_each_relay_and_again_each_hour(void)
{
	struct pkarr_packet packet = rig_packet(5);
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len = dht_pkarr_packet_write_body(&packet, body);

	CHECK_EQ(client_open("http://relay0.test,http://relay1.test"), 0);
	relay_fails(0, 204, 0);
	relay_fails(1, 200, 0);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &packet, rig.now_ns);
	rig_pass(0);
	RIG_AWAIT(rig.locate.stats.relay_publish_cnt == 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(puts_of[i].len, len);
		CHECK_MEM(puts_of[i].body, body, len);
	}
	/* The same record is no news. */
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &packet, rig.now_ns);
	rig_pass(HOUR_NS - 1);
	CHECK_EQ(rig_asked(0), 1);
	rig_pass(1);
	RIG_AWAIT(rig.locate.stats.relay_publish_cnt == 4);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, NULL, rig.now_ns);
	rig_pass(2 * HOUR_NS);
	CHECK_EQ(rig_asked(0), 2);
	CHECK_EQ(rig_asked(1), 2);
	client_close();
}

static void test_a_relay_that_refuses_is_asked_again_later_each_time(void)
{
	struct pkarr_packet packet = rig_packet(5);
	uint64_t wait_ns = RETRY_NS;

	CHECK_EQ(client_open("http://relay0.test"), 0);
	relay_fails(0, 429, 0);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &packet, rig.now_ns);
	rig_pass(0);
	RIG_AWAIT(rig.locate.stats.publish_failed_cnt == 1);
	for (unsigned i = 2; i < 12; i++) {
		rig_pass(wait_ns - 1);
		CHECK_EQ(rig_asked(0), i - 1);
		rig_pass(1);
		RIG_AWAIT(rig.locate.stats.publish_failed_cnt == i);
		wait_ns = 2 * wait_ns < HOUR_NS ? 2 * wait_ns : HOUR_NS;
	}
	CHECK_EQ(wait_ns, HOUR_NS);
	CHECK_EQ(rig.locate.stats.relay_publish_cnt, 0);
	/* A new record is put at once. */
	packet = rig_packet(6);
	relay_fails(0, 204, 0);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &packet, rig.now_ns);
	rig_pass(0);
	RIG_AWAIT(rig.locate.stats.relay_publish_cnt == 1);
	client_close();
}

static void test_a_record_that_changes_while_it_is_put_is_put_again(void)
{
	struct pkarr_packet first = rig_packet(5), second = rig_packet(6);
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len = dht_pkarr_packet_write_body(&second, body);

	CHECK_EQ(client_open("http://relay0.test"), 0);
	relay_fails(0, 204, 0);
	rig_hold(0, true);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &first, rig.now_ns);
	rig_pass(0);
	rig_await_asked(0, 1);
	locate_pkarr_relay_publish(rig.locate.pkarr_client, &second, rig.now_ns);
	rig_pass(0);
	rig_hold(0, false);
	RIG_AWAIT(rig.locate.stats.relay_publish_cnt == 1);
	rig_pass(NS_PER_S);
	RIG_AWAIT(rig.locate.stats.relay_publish_cnt == 2);
	CHECK_EQ(puts_of[0].len, len);
	CHECK_MEM(puts_of[0].body, body, len);
	client_close();
}

static void test_the_list_of_relays_names_four_at_most(void)
{
	CHECK_EQ(client_open(""), 0);
	CHECK(!rig.locate.pkarr_client);
	CHECK_EQ(locate_pkarr_relay_footprint(&rig.pkarr_client), 0);
	client_close();
	CHECK_EQ(client_open("http://relay0.test, ftp://relay1.test"), WEFT_EMALFORMED);
	CHECK(strcmp(rig.what, "pkarr.relays: ftp://relay1.test") == 0);
	client_close();
	CHECK_EQ(client_open("http://relay0.test http://relay1.test http://relay2.test "
			     "http://relay3.test http://relay4.test"),
		 0);
	CHECK(locate_pkarr_relay_footprint(&rig.pkarr_client) > 0);
	for (unsigned i = 0; i < RIG_HOSTS; i++)
		relay_fails(i, 404, 0);
	CHECK_EQ(look(0), 0);
	RIG_AWAIT(rig.looks[0].ended_cnt == 1);
	for (unsigned i = 0; i < RIG_HOSTS; i++)
		CHECK_EQ(rig_asked(i), 1);
	client_close();
}

int main(void)
{
	rig_init();
	RUN(test_a_look_asks_every_relay_and_reports_newer_records);
	RUN(test_an_older_record_than_one_reported_is_left_out);
	RUN(test_a_record_that_its_owner_did_not_sign_is_no_record);
	RUN(test_how_a_look_ends);
	RUN(test_one_look_too_many_is_refused);
	RUN(test_the_record_is_put_to_each_relay_and_again_each_hour);
	RUN(test_a_relay_that_refuses_is_asked_again_later_each_time);
	RUN(test_a_record_that_changes_while_it_is_put_is_put_again);
	RUN(test_the_list_of_relays_names_four_at_most);
	node_key_free(rig.key);
	return check_done();
}
