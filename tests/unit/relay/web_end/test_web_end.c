/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/relay_web_end_rig.h"

#include "base/monotonic.h"
#include "relay/web/web_proof.h"

static struct web_end_rig rig;

/* The text of a field in the request. */
static struct http_text field_of(const char *request, const char *name)
{
	const char *at = strstr(request, name);

	if (!at)
		return (struct http_text){NULL, 0};
	at += strlen(name) + 2;
	return (struct http_text){at, strcspn(at, "\r")};
}

static void test_relays_are_read(void)
{
	static const struct {
		const char *text;
		int cnt;
	} rows[] = {
		{"", 0},
		{WEB_END_RELAY, 1},
		{" relay.example@[2001:db8::1]:443 , " WEB_END_RELAY, 2},
		{"a.b@192.0.2.1:1,a.b@192.0.2.1:2,a.b@192.0.2.1:3,a.b@192.0.2.1:4", 4},
		{"a.b@192.0.2.1:1,a.b@192.0.2.1:2,a.b@192.0.2.1:3,a.b@192.0.2.1:4,a.b@192.0.2.1:5",
		 WEFT_EFULL},
		{"a.b@192.0.2.1:1,a.b@192.0.2.1:1", WEFT_EEXISTS},
		{"192.0.2.1:1", WEFT_EMALFORMED},
		{"@192.0.2.1:1", WEFT_EMALFORMED},
		{"relay@192.0.2.1:1", WEFT_EMALFORMED},
		{"a.b@relay.example:1", WEFT_EMALFORMED},
		{"a.b@192.0.2.1:0", WEFT_EMALFORMED},
		{"a b.c@192.0.2.1:1", WEFT_EMALFORMED},
	};
	struct relay_web_place places[RELAY_WEB_END_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(relay_web_end_parse(rows[i].text, places), rows[i].cnt);
	CHECK_EQ(relay_web_end_parse("Relay.Example@192.0.2.1:443", places), 1);
	CHECK_STR(places[0].name, "Relay.Example");
	CHECK_EQ(places[0].addr.transport, ADDR_TCP);
}

static void test_the_request_proves_the_key_by_tls(void)
{
	uint8_t exported[RELAY_WEB_EXPORTED_LEN];
	struct relay_web_proof proof;
	char request[2048];

	web_end_rig_init(&rig, NULL);
	web_end_rig_accept(&rig, request, sizeof(request));
	CHECK(strncmp(request, "GET /relay HTTP/1.1\r\nHost: 192.0.2.1:7001\r\n", 43) == 0);
	CHECK(http_text_is(field_of(request, "Sec-WebSocket-Protocol"),
			   "mesh-relay-v1, iroh-relay-v2, iroh-relay-v1"));
	CHECK_EQ(relay_web_proof_parse(field_of(request, RELAY_WEB_AUTH_FIELD), &proof), 0);
	CHECK_MEM(proof.key, node_key_public(rig.key), sizeof(proof.key));
	rig.channel.ops->exporter(&rig.channel, RELAY_WEB_EXPORTER_LABEL, proof.key, exported);
	CHECK_EQ(relay_web_proof_verify(&proof, exported), 0);
	/* The same proof at another connection. */
	exported[31] ^= 1;
	CHECK_EQ(relay_web_proof_verify(&proof, exported), WEFT_ECLOSED);
	CHECK_EQ(rig.up_cnt, 0);
	web_end_rig_fini(&rig);
}

static void test_a_named_relay_is_offered_the_iroh_versions(void)
{
	struct relay_web_end_config config = {.relays = "relay.example@192.0.2.1:443"};
	char request[2048];

	web_end_rig_init(&rig, &config);
	CHECK_STR(rig.place.name, "relay.example");
	web_end_rig_accept(&rig, request, sizeof(request));
	CHECK(http_text_is(field_of(request, "Host"), "relay.example"));
	CHECK(http_text_is(field_of(request, "Sec-WebSocket-Protocol"),
			   "iroh-relay-v2, iroh-relay-v1"));
	web_end_rig_fini(&rig);
	/* One that was not offered is none. */
	web_end_rig_init(&rig, &config);
	web_end_rig_upgrade(&rig, "mesh-relay-v1");
	CHECK_EQ(web_end_rig_stats(&rig).malformed_cnt, 1);
	web_end_rig_fini(&rig);
}

/* A relay that speaks protocol sends a challenge. */
static void challenged(enum relay_web_version version, bool is_allowed, bool is_answered)
{
	struct relay_web_end_config config = {.answers_challenges = is_allowed};
	uint8_t bytes[RELAY_WEB_CHALLENGE_LEN] = {1, 2, 3};
	struct relay_web_frame frame;
	bool is_good = false;

	web_end_rig_init(&rig, &config);
	web_end_rig_upgrade(&rig, relay_web_protocol(version));
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_CHALLENGE,
							  .data = bytes,
							  .len = sizeof(bytes)});
	if (rig.is_open && web_end_rig_hear(&rig, &frame) && frame.type == RELAY_WEB_AUTH) {
		const struct relay_web_challenge challenge = {
			.version = version, .bytes = bytes, .relay_key = rig.place.key};
		uint8_t other[RELAY_WEB_KEY_LEN] = {9};
		struct relay_web_challenge elsewhere = challenge;

		elsewhere.relay_key = other;
		is_good = relay_web_challenge_verify(&frame, &challenge) == 0;
		/* At another relay it is worth nothing, where the version can see to that. */
		CHECK_EQ(relay_web_challenge_verify(&frame, &elsewhere) < 0,
			 version == RELAY_WEB_MESH_V1);
		web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_CONFIRMED});
		CHECK_EQ(rig.up_cnt, 1);
	}
	CHECK_EQ(is_good, is_answered);
	CHECK_EQ(web_end_rig_stats(&rig).challenged_cnt, is_answered);
	CHECK_EQ(web_end_rig_stats(&rig).unanswered_cnt, !is_answered);
	web_end_rig_fini(&rig);
}

static void test_a_challenge_that_may_be_of_another_relay_is_not_answered(void)
{
	challenged(RELAY_WEB_MESH_V1, false, true);
	challenged(RELAY_WEB_IROH_V2, false, false);
	challenged(RELAY_WEB_IROH_V1, false, false);
	challenged(RELAY_WEB_IROH_V2, true, true);
	challenged(RELAY_WEB_IROH_V1, true, true);
}

static void test_one_challenge_is_answered(void)
{
	const struct relay_web_frame challenge = {.type = RELAY_WEB_CHALLENGE,
						  .data = (const uint8_t *)"0123456789abcdef",
						  .len = RELAY_WEB_CHALLENGE_LEN};

	web_end_rig_init(&rig, NULL);
	web_end_rig_upgrade(&rig, "mesh-relay-v1");
	web_end_rig_frame(&rig, &challenge);
	CHECK(rig.is_open);
	web_end_rig_frame(&rig, &challenge);
	CHECK_EQ(web_end_rig_stats(&rig).malformed_cnt, 1);
	CHECK_EQ(web_end_rig_stats(&rig).challenged_cnt, 1);
	web_end_rig_fini(&rig);
}

static void test_datagrams_go_and_come_with_their_ecn(void)
{
	struct relay_web_frame frame;
	uint8_t key[RELAY_WEB_KEY_LEN];

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	CHECK_EQ(rig.up_cnt, 1);
	memset(key, 5, sizeof(key));
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		web_end_rig_send(&rig, 5, 100, ecn);
		web_end_rig_turn(&rig);
		CHECK(web_end_rig_hear(&rig, &frame));
		CHECK_EQ(frame.type, RELAY_WEB_SEND);
		CHECK_EQ(frame.ecn, ecn);
		CHECK_EQ(frame.len, 100);
		CHECK_MEM(frame.key, key, sizeof(key));
		web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_RECV,
								  .key = key,
								  .ecn = ecn,
								  .data = (const uint8_t *)"hello",
								  .len = 5});
		CHECK_EQ(rig.input_cnt, ecn + 1u);
		CHECK_EQ(rig.ecn, ecn);
		CHECK_MEM(rig.bytes, "hello", 5);
		CHECK_MEM(rig.peer, key, sizeof(key));
	}
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_RECV_BATCH,
							  .key = key,
							  .segment_len = 3,
							  .data = (const uint8_t *)"aaabbbc",
							  .len = 7});
	CHECK_EQ(rig.input_cnt, 7);
	CHECK_MEM(rig.bytes, "c", 1);
	web_end_rig_fini(&rig);
}

static void test_equal_datagrams_of_a_peer_share_a_frame(void)
{
	struct relay_web_frame frame;

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	for (unsigned i = 0; i < 3; i++)
		web_end_rig_send(&rig, 5, 1200, 1);
	web_end_rig_send(&rig, 5, 1300, 1); /* longer: of the next frame */
	web_end_rig_send(&rig, 5, 1299, 1); /* shorter: the last of it */
	web_end_rig_send(&rig, 5, 1299, 1);
	web_end_rig_send(&rig, 6, 1299, 1);
	web_end_rig_send(&rig, 6, 1299, 2);
	web_end_rig_turn(&rig);
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_SEND_BATCH);
	CHECK_EQ(frame.segment_len, 1200);
	CHECK_EQ(frame.len, 3600);
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_EQ(frame.segment_len, 1300);
	CHECK_EQ(frame.len, 1300 + 1299);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(web_end_rig_hear(&rig, &frame));
		CHECK_EQ(frame.type, RELAY_WEB_SEND);
		CHECK_EQ(frame.len, 1299);
		CHECK_EQ(frame.key[0], i ? 6 : 5);
	}
	CHECK_EQ(web_end_rig_stats(&rig).sent_cnt, 8);
	CHECK_EQ(web_end_rig_stats(&rig).batch_cnt, 2);
	web_end_rig_fini(&rig);
}

static void test_a_full_queue_loses_its_oldest_datagram(void)
{
	struct relay_web_frame frame;
	unsigned cnt = 0;

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_send(&rig, 1, 50, 0);
	for (unsigned i = 0; i < RELAY_WEB_QUEUE_MAX - 1; i++)
		web_end_rig_send(&rig, 2, 51, 0);
	CHECK_EQ(web_end_rig_stats(&rig).queue_full_cnt, 0);
	CHECK_EQ(web_end_rig_stats(&rig).queue_cnt, 512);
	web_end_rig_send(&rig, 3, 52, 0);
	CHECK_EQ(web_end_rig_stats(&rig).queue_full_cnt, 1);
	web_end_rig_turn(&rig);
	while (web_end_rig_hear(&rig, &frame)) {
		CHECK_EQ(frame.key[0], cnt < 511 ? 2 : 3);
		cnt++;
	}
	CHECK_EQ(cnt, 512);
	web_end_rig_fini(&rig);
}

static void test_a_silent_relay_is_asked_and_then_left(void)
{
	struct relay_web_frame frame;

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_run(&rig, RELAY_WEB_PING_NS - 20 * NS_PER_MS);
	CHECK(!web_end_rig_hear(&rig, &frame));
	web_end_rig_run(&rig, 40 * NS_PER_MS);
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_PING);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_PONG,
							  .data = frame.data,
							  .len = frame.len});
	web_end_rig_run(&rig, RELAY_WEB_PING_NS + 20 * NS_PER_MS);
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_PING);
	CHECK(rig.is_open);
	web_end_rig_run(&rig, RELAY_WEB_PING_NS);
	CHECK_EQ(rig.down_cnt, 1);
	CHECK_EQ(web_end_rig_stats(&rig).silent_cnt, 1);
	web_end_rig_fini(&rig);
}

static void test_pings_of_both_kinds_are_answered(void)
{
	struct relay_web_frame frame;

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_PING,
							  .data = (const uint8_t *)"12345678",
							  .len = 8});
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_EQ(frame.type, RELAY_WEB_PONG);
	CHECK_MEM(frame.data, "12345678", 8);
	web_end_rig_message(&rig, WEBSOCKET_PING, true, "alive", 5);
	CHECK(web_end_rig_hear(&rig, &frame));
	CHECK_MEM(frame.data, "alive", 5);
	web_end_rig_fini(&rig);
}

static void test_pauses_between_dials_double_up_to_a_bound(void)
{
	uint64_t pause_ns = 0, max_ns = 0;

	web_end_rig_init(&rig, NULL);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t lost_ns = rig.now_ns;
		unsigned dial_cnt = rig.dial_cnt;

		web_end_rig_lose(&rig);
		while (rig.dial_cnt == dial_cnt)
			web_end_rig_run(&rig, 10 * NS_PER_MS);
		pause_ns = rig.dialled_ns - lost_ns;
		if (i == 0)
			CHECK(pause_ns <= RELAY_WEB_END_PAUSE_MIN_NS + 10 * NS_PER_MS);
		max_ns = pause_ns > max_ns ? pause_ns : max_ns;
	}
	CHECK(max_ns <= RELAY_WEB_END_PAUSE_MAX_NS + 10 * NS_PER_MS);
	CHECK(max_ns >= RELAY_WEB_END_PAUSE_MAX_NS / 2);
	/* A connection that was well for a while begins anew. */
	web_end_rig_join(&rig);
	web_end_rig_run(&rig, 11 * NS_PER_S);
	web_end_rig_lose(&rig);
	web_end_rig_run(&rig, RELAY_WEB_END_PAUSE_MIN_NS + 10 * NS_PER_MS);
	CHECK(rig.is_open);
	web_end_rig_fini(&rig);
}

static void test_a_relay_that_was_lost_is_dialled_often_for_half_a_minute(void)
{
	uint64_t lost_ns;

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_lose(&rig);
	lost_ns = rig.now_ns;
	while (rig.now_ns < lost_ns + 29 * NS_PER_S) {
		unsigned dial_cnt = rig.dial_cnt;

		web_end_rig_run(&rig, 510 * NS_PER_MS);
		CHECK(rig.dial_cnt > dial_cnt);
		web_end_rig_lose(&rig);
	}
	web_end_rig_run(&rig, 10 * NS_PER_S);
	CHECK(rig.dial_cnt < 120);
	web_end_rig_fini(&rig);
}

static void test_a_dial_that_cannot_be_begun_is_tried_again(void)
{
	web_end_rig_init(&rig, NULL);
	rig.is_refused = true;
	web_end_rig_lose(&rig);
	web_end_rig_run(&rig, 5 * NS_PER_S);
	CHECK(rig.dial_cnt > 3 && rig.dial_cnt < 20);
	rig.is_refused = false;
	web_end_rig_run(&rig, RELAY_WEB_END_PAUSE_MAX_NS);
	web_end_rig_join(&rig);
	CHECK_EQ(rig.up_cnt, 1);
	web_end_rig_fini(&rig);
}

static void test_a_ban_ends_an_open_connection_and_bars_the_next(void)
{
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	CHECK_EQ(relay_web_end_expel(rig.end, rig.now_ns), 0);
	CHECK(rig.is_open);
	rig.is_banned = true;
	CHECK_EQ(relay_web_end_expel(rig.end, rig.now_ns), 1);
	CHECK(!rig.is_open);
	CHECK_EQ(rig.down_cnt, 1);
	CHECK_EQ(relay_web_end_expel(rig.end, rig.now_ns), 0);
	CHECK_EQ(web_end_rig_stats(&rig).banned_cnt, 1);
	web_end_rig_run(&rig, 2 * RELAY_WEB_END_PAUSE_MAX_NS);
	CHECK_EQ(rig.dial_cnt, 1);
	CHECK_STR(web_end_rig_view(&rig).why, "a ban keeps it out");
	rig.is_banned = false;
	web_end_rig_run(&rig, RELAY_WEB_END_PAUSE_MAX_NS);
	CHECK_EQ(rig.dial_cnt, 2);
	web_end_rig_fini(&rig);
	/* So is one that is not open yet. */
	web_end_rig_init(&rig, NULL);
	web_end_rig_upgrade(&rig, "iroh-relay-v2");
	rig.is_banned = true;
	CHECK_EQ(relay_web_end_expel(rig.end, rig.now_ns), 1);
	CHECK(!rig.is_open);
	CHECK_EQ(rig.down_cnt, 0);
	rig.is_banned = false;
	web_end_rig_fini(&rig);
}

static struct relay_web_place kept_place(uint8_t number)
{
	return (struct relay_web_place){.key = {number},
					.addr = {.ip = {192, 0, 2, number},
						 .port = 7001,
						 .family = ADDR_IPV4,
						 .transport = ADDR_TCP}};
}

static void test_kept_relays_are_connected_to_until_they_are_kept_no_more(void)
{
	const struct relay_web_place places[] = {kept_place(1), kept_place(2), kept_place(3)};
	struct relay_web_end_view view;

	web_end_rig_init(&rig, NULL);
	rig.is_refused = true; /* the rig has one channel */
	web_end_rig_lose(&rig);
	relay_web_end_use(rig.end, places, 3, rig.now_ns);
	CHECK(relay_web_end_view(rig.end, 2, &view));
	CHECK_MEM(view.place->key, places[1].key, RELAY_WEB_KEY_LEN);
	CHECK(!relay_web_end_view(rig.end, 3, &view)); /* two at most */
	/* The same again changes nothing; another takes the place of one. */
	relay_web_end_use(rig.end, places, 2, rig.now_ns);
	CHECK(relay_web_end_view(rig.end, 2, &view));
	relay_web_end_use(rig.end, &places[1], 1, rig.now_ns);
	web_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK(relay_web_end_view(rig.end, 1, &view));
	CHECK_MEM(view.place->key, places[1].key, RELAY_WEB_KEY_LEN);
	CHECK(!relay_web_end_view(rig.end, 2, &view));
	relay_web_end_use(rig.end, &places[1], 2, rig.now_ns);
	CHECK(relay_web_end_view(rig.end, 2, &view));
	relay_web_end_use(rig.end, NULL, 0, rig.now_ns);
	web_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK(relay_web_end_view(rig.end, 0, &view)); /* the configuration's stays */
	CHECK(!relay_web_end_view(rig.end, 1, &view));
	web_end_rig_fini(&rig);
}

/* A relay with two connections of one key ends the older. */
static void test_a_kept_relay_that_is_configured_by_name_has_one_connection(void)
{
	const struct relay_web_end_config config = {.relays = "relay.example@192.0.2.2:7001"};
	const struct relay_web_place places[] = {kept_place(2), kept_place(3)};
	struct relay_web_end_view view;

	web_end_rig_init(&rig, &config);
	relay_web_end_use(rig.end, places, 2, rig.now_ns);
	CHECK(relay_web_end_view(rig.end, 1, &view));
	CHECK_MEM(view.place->key, places[1].key, RELAY_WEB_KEY_LEN);
	CHECK(!relay_web_end_view(rig.end, 2, &view));
	web_end_rig_fini(&rig);
}

static void test_a_relay_that_restarts_says_when_it_is_back(void)
{
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_RESTARTING,
							  .reconnect_ms = 2000,
							  .try_ms = 10000});
	CHECK_EQ(rig.down_cnt, 1);
	web_end_rig_run(&rig, 1990 * NS_PER_MS);
	CHECK_EQ(rig.dial_cnt, 1);
	web_end_rig_run(&rig, 20 * NS_PER_MS);
	CHECK_EQ(rig.dial_cnt, 2);
	/* While it says so it is dialled often. */
	for (unsigned i = 3; i < 12; i++) {
		web_end_rig_lose(&rig);
		web_end_rig_run(&rig, 520 * NS_PER_MS);
		CHECK_EQ(rig.dial_cnt, i);
	}
	web_end_rig_fini(&rig);
	/* A relay cannot keep its client away for days. */
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_RESTARTING,
							  .reconnect_ms = UINT32_MAX,
							  .try_ms = UINT32_MAX});
	web_end_rig_run(&rig, 61 * NS_PER_S);
	CHECK_EQ(rig.dial_cnt, 2);
	web_end_rig_fini(&rig);
}

static void test_a_refused_key_and_a_newer_connection_wait_longer(void)
{
	for (unsigned i = 0; i < 2; i++) {
		web_end_rig_init(&rig, NULL);
		if (i == 0) {
			web_end_rig_upgrade(&rig, "iroh-relay-v2");
			web_end_rig_frame(&rig, &(struct relay_web_frame){
							.type = RELAY_WEB_DENIED,
							.data = (const uint8_t *)"no\x1b[31m",
							.len = 7});
			CHECK_STR(web_end_rig_view(&rig).said, "no?[31m");
			CHECK_EQ(web_end_rig_stats(&rig).refused_cnt, 1);
		} else {
			web_end_rig_join(&rig);
			web_end_rig_frame(&rig,
					  &(struct relay_web_frame){.type = RELAY_WEB_STATUS,
								    .status = RELAY_WEB_SAME_KEY});
			CHECK_EQ(web_end_rig_stats(&rig).replaced_cnt, 1);
		}
		CHECK(!rig.is_open);
		web_end_rig_run(&rig, RELAY_WEB_END_REFUSED_NS - 20 * NS_PER_MS);
		CHECK_EQ(rig.dial_cnt, 1);
		web_end_rig_run(&rig, 30 * NS_PER_MS);
		CHECK_EQ(rig.dial_cnt, 2);
		web_end_rig_fini(&rig);
	}
}

static void test_what_a_relay_says_of_itself_is_shown(void)
{
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	CHECK_STR(web_end_rig_view(&rig).protocol, "iroh-relay-v2");
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_STATUS,
							  .status = RELAY_WEB_LIMITED});
	CHECK(web_end_rig_view(&rig).is_limited);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_STATUS});
	CHECK(!web_end_rig_view(&rig).is_limited);
	web_end_rig_fini(&rig);
	web_end_rig_init(&rig, NULL);
	web_end_rig_upgrade(&rig, "iroh-relay-v1");
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_CONFIRMED});
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_HEALTH,
							  .data = (const uint8_t *)"ill",
							  .len = 3});
	CHECK_STR(web_end_rig_view(&rig).said, "ill");
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_HEALTH});
	CHECK_STR(web_end_rig_view(&rig).said, "");
	web_end_rig_fini(&rig);
}

static void test_a_peer_that_is_not_there_is_known_by_its_key(void)
{
	const uint8_t key[RELAY_WEB_KEY_LEN] = {8};

	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	web_end_rig_frame(&rig, &(struct relay_web_frame){.type = RELAY_WEB_GONE, .key = key});
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_MEM(rig.peer, key, sizeof(key));
	web_end_rig_fini(&rig);
}

static void test_a_connection_that_is_not_wanted_ends(void)
{
	web_end_rig_init(&rig, NULL);
	web_end_rig_join(&rig);
	relay_web_end_want(rig.end, false, rig.now_ns);
	web_end_rig_turn(&rig);
	CHECK(!rig.is_open);
	web_end_rig_run(&rig, 60 * NS_PER_S);
	CHECK_EQ(rig.dial_cnt, 1);
	CHECK_EQ(relay_web_end_next_ns(rig.end), UINT64_MAX);
	web_end_rig_send(&rig, 1, 100, 0);
	CHECK_EQ(web_end_rig_stats(&rig).unsent_cnt, 1);
	relay_web_end_want(rig.end, true, rig.now_ns);
	web_end_rig_turn(&rig);
	CHECK_EQ(rig.dial_cnt, 2);
	web_end_rig_fini(&rig);
}

int main(void)
{
	RUN(test_relays_are_read);
	RUN(test_the_request_proves_the_key_by_tls);
	RUN(test_a_named_relay_is_offered_the_iroh_versions);
	RUN(test_a_challenge_that_may_be_of_another_relay_is_not_answered);
	RUN(test_one_challenge_is_answered);
	RUN(test_datagrams_go_and_come_with_their_ecn);
	RUN(test_equal_datagrams_of_a_peer_share_a_frame);
	RUN(test_a_full_queue_loses_its_oldest_datagram);
	RUN(test_a_silent_relay_is_asked_and_then_left);
	RUN(test_pings_of_both_kinds_are_answered);
	RUN(test_pauses_between_dials_double_up_to_a_bound);
	RUN(test_a_relay_that_was_lost_is_dialled_often_for_half_a_minute);
	RUN(test_a_dial_that_cannot_be_begun_is_tried_again);
	RUN(test_a_ban_ends_an_open_connection_and_bars_the_next);
	RUN(test_kept_relays_are_connected_to_until_they_are_kept_no_more);
	RUN(test_a_kept_relay_that_is_configured_by_name_has_one_connection);
	RUN(test_a_relay_that_restarts_says_when_it_is_back);
	RUN(test_a_refused_key_and_a_newer_connection_wait_longer);
	RUN(test_what_a_relay_says_of_itself_is_shown);
	RUN(test_a_peer_that_is_not_there_is_known_by_its_key);
	RUN(test_a_connection_that_is_not_wanted_ends);
	return check_done();
}
