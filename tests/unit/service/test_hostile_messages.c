/* SPDX-License-Identifier: Apache-2.0 */
/* A raw peer says to a fabric what no fabric would. */
#include "mesh/stream/mesh_frame.h"
#include "service/call_head.h"
#include "service/directory/service_id.h"
#include "service/incoming/descriptor_proof.h"
#include "support/check.h"
#include "support/mesh_rig.h"
#include "support/pair_raw.h"
#include "support/service_rig.h"

static struct srig rig;
static struct pair_raw raw;
static struct node_key *raw_key;
static struct srig_provider echo, idempotent;
static uint8_t bytes[2 * SERVICE_PAYLOAD_LEN_MAX];

static bool raw_dial(void)
{
	struct transport_dial dial = {.remote = pair_addr(1)};
	struct transport_conn *conn;
	uint8_t hello[256];

	raw.stream_cnt = 0;
	memset(raw.streams, 0, sizeof(raw.streams));
	memcpy(dial.peer_key, rig.nodes[SRIG_A].key, sizeof(dial.peer_key));
	if (raw.end->transport.ops->dial(&raw.end->transport, &dial, rig.net.now_ns, &conn) < 0)
		return false;
	srig_run(&rig, 100 * PAIR_MS);
	if (!raw.conn)
		return false;
	pair_raw_send(&raw, pair_raw_open(&raw), hello,
		      rig_hello(hello, sizeof(hello), rig.wall_ms / 1000), false);
	srig_run(&rig, 100 * PAIR_MS);
	return true;
}

static void raw_close(void)
{
	raw.end->transport.ops->close(raw.conn, 0, NULL);
	srig_run(&rig, 100 * PAIR_MS);
}

static bool bench_init(const struct service_config *config)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {99};

	memset(&raw, 0, sizeof(raw));
	memset(&echo, 0, sizeof(echo));
	memset(&idempotent, 0, sizeof(idempotent));
	idempotent.mode = SRIG_KEEP;
	srig_init(&rig, 1, config);
	raw.end = pair_net_add(&rig.net, 9, &pair_raw_events, &raw);
	if (node_key_from_seed(seed, &raw_key) < 0)
		return false;
	memcpy(raw.end->key, node_key_public(raw_key), MESH_KEY_LEN);
	return raw_dial() && srig_offer(&rig, &echo, SRIG_A, "echo") &&
	       srig_offer(&rig, &idempotent, SRIG_A, "kept");
}

static void bench_fini(void)
{
	srig_fini(&rig);
	node_key_free(raw_key);
}

static struct service_call_head head_of(const char *name, uint8_t correlation, size_t len)
{
	struct service_call_head head = {.left_ms = 10000, .body_len = (uint32_t)len};

	service_id_of(name, rig.nodes[SRIG_A].key, head.service_id);
	strcpy(head.method, "Do");
	memset(head.correlation, correlation, sizeof(head.correlation));
	return head;
}

/* Writes a frame of type with head and len bytes of a body into bytes; returns its length. */
static size_t write_call(unsigned type, const struct service_call_head *head, const void *body,
			 size_t len)
{
	uint8_t *payload = malloc(SERVICE_CALL_HEAD_LEN_MAX + len);
	struct writer w = writer_of(payload, SERVICE_CALL_HEAD_LEN_MAX + len);

	service_call_head_write(&w, head);
	if (body)
		writer_bytes(&w, body, len);
	else
		memset(writer_reserve(&w, len), 7, len);
	len = rig_frame(bytes, sizeof(bytes), type, 5, 0, payload, writer_len(&w));
	free(payload);
	return len;
}

static unsigned say(const void *data, size_t len, bool fin)
{
	unsigned stream = pair_raw_open(&raw);

	pair_raw_send(&raw, stream, data, len, fin);
	srig_run(&rig, 100 * PAIR_MS);
	return stream;
}

static unsigned call(const struct service_call_head *head)
{
	return say(bytes, write_call(MESH_CALL, head, NULL, head->body_len), true);
}

/* The reply that came on stream, or false. */
static bool reply_on(unsigned stream, struct service_reply_head *out_head)
{
	const struct pair_raw_stream *at = &raw.streams[stream];
	struct mesh_frame frame;
	int head_len = mesh_frame_parse(at->bytes, at->len, &frame);

	return head_len > 0 && frame.type == MESH_REPLY && frame.req_id == 5 &&
	       service_reply_head_parse(at->bytes + head_len, at->len - (size_t)head_len,
					out_head) > 0;
}

static int status_on(unsigned stream)
{
	struct service_reply_head head;

	return reply_on(stream, &head) ? (int)head.status : -1;
}

static void test_a_call_by_hand_is_answered(void)
{
	struct service_call_head head;
	struct service_reply_head reply;

	CHECK(bench_init(NULL));
	head = head_of("echo", 1, 100);
	CHECK(reply_on(call(&head), &reply));
	CHECK_EQ(reply.status, SERVICE_OK);
	CHECK_EQ(reply.body_len, 100);
	CHECK_MEM(reply.correlation, head.correlation, SERVICE_KEY_LEN);
	CHECK_MEM(echo.caller.key, raw.end->key, MESH_KEY_LEN);
	CHECK(!echo.caller.is_local);
	bench_fini();
}

static void test_malformed_calls_are_refused_and_reported_upward(void)
{
	/* Bytes of a head, or added to its end when beyond; and how much follows the head. */
	static const struct {
		size_t at;
		uint8_t value;
		size_t body_len;
	} rows[] = {
		{0, 0xff, 10}, {0, 0xa4, 10}, {1, 1, 10},     {1, 9, 10},    {2, 0x57, 10},
		{36, 3, 10},   {36, 9, 10},   {37, 0x63, 10}, {38, ' ', 10}, {38, 0xff, 10},
		{38, 'D', 9},  {38, 'D', 11}, {38, 'D', 0},
	};
	uint8_t payload[SERVICE_CALL_HEAD_LEN_MAX + 11];
	struct service_call_head head;
	struct writer w;

	CHECK(bench_init(NULL));
	head = head_of("echo", 1, 10);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(payload, 0, sizeof(payload));
		w = writer_of(payload, sizeof(payload));
		service_call_head_write(&w, &head);
		payload[rows[i].at] = rows[i].value;
		(void)say(bytes,
			  rig_frame(bytes, sizeof(bytes), MESH_CALL, 5, 0, payload,
				    writer_len(&w) + rows[i].body_len),
			  true);
		CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_INVALID_PAYLOAD);
		CHECK_EQ(rig.nodes[SRIG_A].violation_cnt, i + 1);
	}
	CHECK_EQ(echo.call_cnt, 0);
	CHECK(raw.conn); /* a bad call costs its stream, not the session */
	bench_fini();
}

static void test_an_empty_frame_and_an_early_end_are_malformed(void)
{
	struct service_call_head head;
	size_t len;

	CHECK(bench_init(NULL));
	(void)say(bytes, rig_frame(bytes, sizeof(bytes), MESH_CALL, 5, 0, "", 0), true);
	CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_INVALID_PAYLOAD);
	head = head_of("echo", 1, 50);
	len = write_call(MESH_CALL, &head, NULL, 50);
	(void)say(bytes, len - 1, true);
	CHECK_EQ(echo.call_cnt, 0);
	CHECK(raw.conn);
	bench_fini();
}

static void test_one_peer_holds_a_quarter_of_the_memory_and_not_a_byte_more(void)
{
	struct service_config config;
	struct service_call_head head;
	struct service_stats stats;
	unsigned first;
	size_t len;

	service_config_defaults(&config);
	config.limits.memory_len = 4 << 20;
	CHECK(bench_init(&config));
	head = head_of("echo", 1, (1 << 20) - 50000);
	len = write_call(MESH_CALL, &head, NULL, head.body_len);
	first = say(bytes, len - 1000, false);
	head = head_of("echo", 2, 50001);
	(void)say(bytes, write_call(MESH_CALL, &head, NULL, head.body_len) - 1, false);
	CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_UNAVAILABLE);
	head = head_of("echo", 3, 50000);
	(void)call(&head);
	CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_OK);
	pair_raw_send(&raw, first, bytes, 1000, true);
	srig_run(&rig, PAIR_S);
	CHECK_EQ(echo.call_cnt, 2);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.refused_cnt[SERVICE_REFUSED_MEMORY], 1);
	bench_fini();
}

static void test_a_call_that_does_not_arrive_in_time_is_let_go(void)
{
	struct service_call_head head;
	struct service_stats stats;

	CHECK(bench_init(NULL));
	head = head_of("echo", 1, 50000);
	(void)say(bytes, write_call(MESH_CALL, &head, NULL, head.body_len) - 1, false);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK(stats.memory_len >= 50000);
	srig_run(&rig, 11 * PAIR_S);
	CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_TIMEOUT);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK(stats.memory_len < 10000);
	CHECK_EQ(echo.call_cnt, 0);
	bench_fini();
}

static void test_a_correlation_id_in_flight_is_not_taken_twice(void)
{
	struct service_call_head head;

	CHECK(bench_init(NULL));
	head = head_of("kept", 1, 0);
	(void)call(&head);
	CHECK_EQ(idempotent.kept_cnt, 1);
	head = head_of("echo", 1, 0);
	CHECK_EQ(status_on(call(&head)), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(echo.call_cnt, 0);
	CHECK_EQ(rig.nodes[SRIG_A].violation_cnt, 1);
	service_reply(idempotent.calls[0], &(struct service_outcome){.status = SERVICE_OK},
		      rig.net.now_ns);
	CHECK_EQ(status_on(call(&head)), SERVICE_OK); /* it is free again */
	bench_fini();
}

static void test_a_caller_that_cancels_or_leaves_ends_its_call(void)
{
	struct service_call_head head;

	CHECK(bench_init(NULL));
	head = head_of("kept", 1, 0);
	(void)call(&head);
	raw.end->transport.ops->reset(raw.streams[raw.stream_cnt - 1].stream, MESH_CANCEL);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(idempotent.cancelled_cnt, 1);
	head = head_of("kept", 2, 0);
	(void)call(&head);
	raw_close();
	CHECK_EQ(idempotent.cancelled_cnt, 2);
	bench_fini();
}

static void test_a_call_with_a_key_outlives_its_caller_and_is_answered_again(void)
{
	struct service_call_head head;
	struct service_stats stats;

	CHECK(bench_init(NULL));
	head = head_of("kept", 1, 0);
	head.has_key = true;
	head.key[0] = 77;
	(void)call(&head);
	CHECK_EQ(idempotent.kept_cnt, 1);
	raw_close();
	CHECK_EQ(idempotent.cancelled_cnt, 0);
	CHECK(raw_dial());
	srig_run(&rig, 12 * PAIR_S); /* longer than its caller waited */
	CHECK_EQ(idempotent.cancelled_cnt, 0);
	head.correlation[0] = 2;
	(void)call(&head); /* again: it waits for the first */
	head.correlation[0] = 3;
	head.left_ms = 1000;
	(void)call(&head);
	CHECK_EQ(idempotent.call_cnt, 1);
	srig_run(&rig, 2 * PAIR_S); /* a waiter has a deadline, too */
	CHECK_EQ(status_on(2), SERVICE_TIMEOUT);
	service_reply(idempotent.calls[0],
		      &(struct service_outcome){.status = SERVICE_OK, .payload = "done", .len = 4},
		      rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	CHECK_EQ(status_on(1), SERVICE_OK);
	head.correlation[0] = 4;
	CHECK_EQ(status_on(call(&head)), SERVICE_OK); /* and again, from what is kept */
	CHECK_EQ(idempotent.call_cnt, 1);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.repeated_cnt, 2);
	CHECK_EQ(stats.idempotency_cnt, 1);
	/* Another call under the same key is a mistake, one of another time a new call. */
	head.body_len = 1;
	CHECK_EQ(status_on(call(&head)), SERVICE_INVALID_PAYLOAD);
	head.body_len = 0;
	srig_run(&rig, 601 * PAIR_S);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.idempotency_cnt, 0);
	bench_fini();
}

static void test_a_withdrawn_service_is_done_with_calls_that_arrive_or_wait_too(void)
{
	struct service_call_head head;
	struct service_stats stats;

	CHECK(bench_init(NULL));
	head = head_of("kept", 1, 50000);
	(void)say(bytes, write_call(MESH_CALL, &head, NULL, head.body_len) - 1, false);
	head = head_of("kept", 2, 0);
	head.has_key = true;
	(void)call(&head);
	head.correlation[0] = 3;
	(void)call(&head);
	CHECK_EQ(idempotent.kept_cnt, 1);
	service_withdraw(idempotent.offer, rig.net.now_ns);
	srig_run(&rig, 100 * PAIR_MS);
	for (unsigned stream = 1; stream <= 3; stream++) {
		struct service_reply_head reply;

		CHECK(reply_on(stream, &reply));
		CHECK_EQ(reply.status, SERVICE_UNAVAILABLE);
		CHECK_EQ(reply.is_refused, stream == 1); /* a handler had what the others ask */
	}
	CHECK_EQ(idempotent.cancelled_cnt, 0);
	pair_raw_send(&raw, 1, bytes, 1, true); /* the rest of the first */
	srig_run(&rig, 31 * PAIR_S);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.in_hand_cnt, 0);
	CHECK_EQ(stats.offer_cnt, 1);
	bench_fini();
}

static void withdraw_when_cancelled(void *ctx, struct service_call *gone)
{
	struct srig_provider *provider = ctx;

	(void)gone;
	provider->cancelled_cnt++;
	if (provider->offer)
		service_withdraw(provider->offer, rig.net.now_ns);
	provider->offer = NULL;
}

static void test_a_handler_may_withdraw_when_a_call_is_cancelled(void)
{
	struct service_handler handler = srig_handler;
	struct service_offering offering = {.name = "shy", .version = "1.0.0", .handler = &handler};

	handler.cancelled = withdraw_when_cancelled;
	for (unsigned row = 0; row < 2; row++) {
		struct srig_provider shy = {.mode = SRIG_KEEP};
		struct service_call_head head;
		struct service_stats stats;

		CHECK(bench_init(NULL));
		CHECK(srig_offer_with(&rig, &shy, SRIG_A, &offering));
		head = head_of("shy", 1, 0);
		(void)call(&head);
		head = head_of("shy", 2, 0);
		(void)call(&head);
		CHECK_EQ(shy.kept_cnt, 2);
		if (row) /* one is taken back, the other is in hand still */
			raw.end->transport.ops->reset(raw.streams[1].stream, MESH_CANCEL);
		srig_run(&rig, 11 * PAIR_S); /* else its deadline passes */
		CHECK_EQ(shy.cancelled_cnt, 1);
		CHECK_EQ(status_on(2), SERVICE_UNAVAILABLE);
		srig_run(&rig, 31 * PAIR_S);
		service_stats(rig.nodes[SRIG_A].service, &stats);
		CHECK_EQ(stats.in_hand_cnt, 0);
		bench_fini();
	}
}

static void session_id(uint8_t out_id[16])
{
	raw.end->transport.ops->exporter(raw.conn, "EXPORTER-mesh-session-v1", out_id, 16);
}

static bool offer_signed(struct srig_provider *provider)
{
	struct service_offering offering = {
		.name = "signed", .version = "1.0.0", .needs_signature = true};

	return srig_offer_with(&rig, provider, SRIG_A, &offering);
}

static void test_a_signed_call_counts_on_its_own_session_alone(void)
{
	struct srig_provider provider = {.mode = SRIG_ECHO};
	struct service_call_head head;
	uint8_t body[20] = {1}, id[16];
	uint64_t wall_ms;
	size_t len;

	CHECK(bench_init(NULL));
	CHECK(offer_signed(&provider));
	session_id(id);
	wall_ms = rig.wall_ms + rig.net.now_ns / PAIR_MS;
	head = head_of("signed", 1, sizeof(body));
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_UNAUTHORIZED); /* not signed */
	service_proof_make(&head, &(struct service_proof){id, body, sizeof(body)}, raw_key,
			   wall_ms);
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_OK);
	CHECK_EQ(provider.call_cnt, 1);
	strcpy(head.method, "Other");
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_UNAUTHORIZED);
	strcpy(head.method, "Do");
	body[3] ^= 1;
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_UNAUTHORIZED);
	body[3] ^= 1;
	raw_close();
	CHECK(raw_dial()); /* the very same bytes on another session */
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_UNAUTHORIZED);
	session_id(id);
	service_proof_make(&head, &(struct service_proof){id, body, sizeof(body)}, raw_key,
			   wall_ms - SERVICE_PROOF_SKEW_MS - 10000);
	len = write_call(MESH_CALL, &head, body, sizeof(body));
	CHECK_EQ(status_on(say(bytes, len, true)), SERVICE_UNAUTHORIZED); /* too old */
	CHECK_EQ(provider.call_cnt, 1);
	CHECK_EQ(rig.nodes[SRIG_A].violation_cnt, 4);
	bench_fini();
}

/* Ed25519 has one signature of a message and key: it stands for the bytes that are signed. */
static void test_a_proof_signs_the_bytes_of_the_wire_page(void)
{
	static const uint8_t want[SERVICE_SIGNATURE_LEN] = {
		0,    59,   0xc7, 0x88, 0xe6, 12,   0x81, 0x75, 0xa1, 0xa0, 48,	  0xdf, 0x4f,
		0xd2, 0xfe, 0x6e, 0xda, 43,   0x4b, 29,	  0x6a, 0xc8, 16,   0x58, 17,	54,
		0x51, 0xbd, 0x58, 0xdb, 0xc4, 0xfa, 1,	  0x47, 15,   0xd4, 3,	  0x77, 44,
		0x72, 18,   0xc3, 0xab, 0xa6, 0xa2, 0xcb, 0xb2, 0x57, 0x7a, 18,	  0xac, 0xcc,
		0xcd, 0xe4, 0xea, 0x97, 8,    0x87, 0x41, 0xdd, 0xc3, 0x8f, 0xee, 8};
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, id[16] = {2}, body[3] = {4};
	struct service_call_head head = {
		.service_id = {5}, .method = "Do", .correlation = {6}, .body_len = sizeof(body)};
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	service_proof_make(&head, &(struct service_proof){id, body, sizeof(body)}, key, 70000);
	node_key_free(key);
	CHECK_MEM(head.signature, want, sizeof(want));
}

static void test_an_optional_signature_is_checked(void)
{
	struct service_call_head head;

	CHECK(bench_init(NULL));
	head = head_of("echo", 1, 0);
	head.has_signature = true;
	head.signed_ms = rig.wall_ms;
	CHECK_EQ(status_on(call(&head)), SERVICE_UNAUTHORIZED);
	CHECK_EQ(echo.call_cnt, 0);
	bench_fini();
}

static void test_more_calls_than_there_are_places_for_are_reset(void)
{
	struct service_config config;
	struct service_call_head head;

	service_config_defaults(&config);
	config.limits.in_hand_cnt = 16;
	CHECK(bench_init(&config));
	for (unsigned i = 0; i < 17; i++) {
		head = head_of("kept", (uint8_t)(i + 1), 0);
		(void)call(&head);
	}
	CHECK_EQ(idempotent.kept_cnt, 16);
	CHECK_EQ(status_on(raw.stream_cnt - 1), -1);
	CHECK(raw.streams[raw.stream_cnt - 1].is_reset);
	CHECK(raw.conn);
	/* The node's own programs have places of their own. */
	CHECK_EQ(srig_once(&rig, SRIG_A, SRIG_A, "echo", 1), SERVICE_OK);
	bench_fini();
}

static void test_answers_do_not_wait_for_the_end_of_the_callers_side(void)
{
	struct service_call_head head;
	struct service_stats stats;

	CHECK(bench_init(NULL));
	for (unsigned i = 0; i < 10; i++) {
		head = head_of("echo", 1, 10);
		(void)say(bytes, write_call(MESH_CALL, &head, NULL, 10), false);
		CHECK_EQ(status_on(raw.stream_cnt - 1), SERVICE_OK);
	}
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.in_hand_cnt, 10);
	srig_run(&rig, 31 * PAIR_S);
	service_stats(rig.nodes[SRIG_A].service, &stats);
	CHECK_EQ(stats.in_hand_cnt, 0);
	bench_fini();
}

int main(void)
{
	RUN(test_a_call_by_hand_is_answered);
	RUN(test_malformed_calls_are_refused_and_reported_upward);
	RUN(test_an_empty_frame_and_an_early_end_are_malformed);
	RUN(test_one_peer_holds_a_quarter_of_the_memory_and_not_a_byte_more);
	RUN(test_a_call_that_does_not_arrive_in_time_is_let_go);
	RUN(test_a_correlation_id_in_flight_is_not_taken_twice);
	RUN(test_a_caller_that_cancels_or_leaves_ends_its_call);
	RUN(test_a_call_with_a_key_outlives_its_caller_and_is_answered_again);
	RUN(test_a_withdrawn_service_is_done_with_calls_that_arrive_or_wait_too);
	RUN(test_a_handler_may_withdraw_when_a_call_is_cancelled);
	RUN(test_a_signed_call_counts_on_its_own_session_alone);
	RUN(test_a_proof_signs_the_bytes_of_the_wire_page);
	RUN(test_an_optional_signature_is_checked);
	RUN(test_more_calls_than_there_are_places_for_are_reset);
	RUN(test_answers_do_not_wait_for_the_end_of_the_callers_side);
	return check_done();
}
