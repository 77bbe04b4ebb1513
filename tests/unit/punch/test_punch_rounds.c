/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer can have a node do in a round. It sends probes that are forged, overheard or of no round,
 * and names third parties. It asks for more rounds than there are places. The test plays the mesh.
 */
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "punch/punch_message.h"
#include "support/check.h"

#define SENT_CAP 256

static const uint8_t probe_key[PUNCH_KEY_LEN] = "thirty-two bytes of the session.";

static struct {
	struct dgram_sink sink;
	uint8_t data[64];
	struct addr remotes[SENT_CAP];
	unsigned cnt;
} sent;

static struct {
	mesh_handler_fn on_candidates, on_punch_now;
	void *ctx;
	struct addr asker; /* where its session leads */
	unsigned type;	   /* of the last answer; 0: an error */
	enum mesh_code code;
	uint8_t answer[PUNCH_MESSAGE_LEN_MAX];
	size_t answer_len;
} mesh;

static struct mesh_ask asked; /* the last request of the node */
static struct punch *punch;
static struct timer_wheel timers;
static struct random rng;
static uint64_t now_ns;

static bool sent_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink, (void)len;
	*out_slot = (struct dgram_slot){.data = sent.data, .cap = sizeof(sent.data)};
	return true;
}

static void sent_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)sink, (void)slot;
	CHECK_EQ(len, WEFT_PROBE_LEN);
	if (sent.cnt < SENT_CAP)
		sent.remotes[sent.cnt] = route->remote;
	sent.cnt++;
}

static const struct dgram_sink_ops sent_ops = {.reserve = sent_reserve, .commit = sent_commit};

static int op_handle(struct mesh *of, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)of;
	if (type == MESH_CANDIDATES)
		mesh.on_candidates = handler;
	else
		mesh.on_punch_now = handler;
	mesh.ctx = ctx;
	return 0;
}

static int op_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		     size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)tail;
	mesh.type = type;
	mesh.answer_len = head_len;
	memcpy(mesh.answer, head, head_len);
	return 0;
}

static void op_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			    uint64_t not_before_ms)
{
	(void)incoming, (void)text, (void)not_before_ms;
	mesh.type = 0;
	mesh.code = code;
}

static void op_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	(void)incoming, (void)gone, (void)arg;
}

static void op_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	(void)incoming;
	*out_addr = mesh.asker;
}

/* Each asker is a network of its own, so none has more than its share. */
static void op_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	uintptr_t number = (uintptr_t)incoming;

	*out_path = (struct fair_path){.ids = {1, number + 2, number + 1000}, .level_cnt = 3};
}

static int op_ask(struct mesh *of, const struct mesh_ask *ask, uint64_t at_ns,
		  struct mesh_request **out_request)
{
	(void)of, (void)at_ns;
	asked = *ask;
	*out_request = (struct mesh_request *)&asked;
	return 0;
}

static void op_cancel(struct mesh_request *request)
{
	(void)request;
}

static const struct mesh_ops ops = {
	.ask = op_ask,
	.cancel = op_cancel,
	.handle = op_handle,
	.answer = op_answer,
	.answer_error = op_answer_error,
	.abandoned = op_abandoned,
	.asker_addr = op_asker_addr,
	.asker_path = op_asker_path,
};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static unsigned on_candidates(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX])
{
	(void)ctx;
	out[0] = addr_of("198.51.100.1:7000");
	return 1;
}

static enum punch_nat on_nat(void *ctx)
{
	(void)ctx;
	return PUNCH_NAT_EASY;
}

static bool on_refuses(void *ctx, const uint8_t *key, const struct addr *addr)
{
	(void)ctx, (void)key, (void)addr;
	return false;
}

static int on_probe_key(void *ctx, const uint8_t *key, uint8_t out[static 32])
{
	(void)ctx, (void)key;
	memcpy(out, probe_key, PUNCH_KEY_LEN);
	return 0;
}

static bool on_move(void *ctx, const uint8_t *key, const struct addr *local,
		    const struct addr *remote)
{
	(void)ctx, (void)key, (void)local, (void)remote;
	return true;
}

static void rig_open(void)
{
	const struct punch_params params = {
		.sink = &sent.sink,
		.timers = &timers,
		.random = &rng,
		.mesh = {.ops = &ops},
		.candidates = on_candidates,
		.nat = on_nat,
		.refuses = on_refuses,
		.probe_key = on_probe_key,
		.move = on_move,
	};

	now_ns = NS_PER_S;
	sent.sink.ops = &sent_ops;
	sent.cnt = 0;
	mesh.asker = addr_of("[fd6d:6573:68::1]:1");
	mesh.asker.transport = ADDR_RELAY;
	timer_wheel_init(&timers, now_ns);
	random_init_seeded(&rng, 1);
	if (punch_new(&params, &punch) < 0)
		abort();
}

static void rig_close(void)
{
	punch_stop(punch);
	punch_free(punch);
}

/* Peer number asks; its own handle is "theirs". */
static void ask_candidates(unsigned number, const struct addr *addrs, unsigned cnt)
{
	struct punch_candidates message = {.handle = "theirs", .addr_cnt = cnt};
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX], key[MESH_KEY_LEN] = {(uint8_t)(number + 1)};
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.incoming = (struct mesh_incoming *)(uintptr_t)(number + 1),
				 .peer_key = key,
				 .type = MESH_CANDIDATES,
				 .payload = payload};

	memcpy(message.addrs, addrs, cnt * sizeof(addrs[0]));
	punch_candidates_write(&w, &message);
	call.payload_len = writer_len(&w);
	mesh.on_candidates(mesh.ctx, &call, now_ns);
}

static void ask_now(unsigned number, const uint8_t *handle)
{
	struct punch_now message;
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX], key[MESH_KEY_LEN] = {(uint8_t)(number + 1)};
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.incoming = (struct mesh_incoming *)(uintptr_t)(number + 1),
				 .peer_key = key,
				 .type = MESH_PUNCH_NOW,
				 .payload = payload};

	memcpy(message.handle, handle, sizeof(message.handle));
	punch_now_write(&w, &message);
	call.payload_len = writer_len(&w);
	mesh.on_punch_now(mesh.ctx, &call, now_ns);
}

/* A whole question of peer number; handle is that of the node. */
static void round_begin(unsigned number, const char *candidate,
			uint8_t out_handle[static PUNCH_HANDLE_LEN])
{
	const struct addr addr = addr_of(candidate);
	struct punch_candidates own;

	ask_candidates(number, &addr, 1);
	CHECK_EQ(mesh.type, MESH_CANDIDATES);
	CHECK_EQ(punch_candidates_parse(mesh.answer, mesh.answer_len, &own), 0);
	memcpy(out_handle, own.handle, PUNCH_HANDLE_LEN);
	ask_now(number, own.handle);
}

static void input(const uint8_t *handle, uint8_t nonce, bool is_askers, const char *remote)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE, .nonce = {nonce}, .is_askers = is_askers};
	uint8_t data[WEFT_PROBE_LEN];
	const struct dgram dgram = {.data = data,
				    .len = sizeof(data),
				    .local = addr_of("198.51.100.1:7000"),
				    .remote = addr_of(remote)};

	memcpy(probe.handle, handle, sizeof(probe.handle));
	punch_probe_write(&probe, probe_key, data);
	CHECK(punch_input(punch, &dgram, now_ns));
}

static struct punch_stats stats(void)
{
	struct punch_stats now;

	punch_stats(punch, &now);
	return now;
}

static void test_a_session_without_a_relay_is_refused(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");

	rig_open();
	mesh.asker = addr;
	ask_candidates(0, &addr, 1);
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_ABSENT);
	CHECK_EQ(stats().refused_cnt, 1);
	rig_close();
}

static void test_another_handle_begins_nothing(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");

	rig_open();
	ask_candidates(0, &addr, 1);
	ask_now(0, (const uint8_t *)"wrong!");
	CHECK_EQ(mesh.type, 0);
	CHECK_EQ(mesh.code, MESH_CODE_ABSENT);
	CHECK_EQ(sent.cnt, 0);
	rig_close();
}

static void test_a_candidate_is_sent_one_probe_and_the_round_ends(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];
	struct punch_result result;

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	CHECK_EQ(sent.cnt, 1);
	now_ns += 1500 * NS_PER_MS - 1;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(mesh.type, MESH_CANDIDATES);
	now_ns += NS_PER_MS;
	timer_wheel_expire(&timers, now_ns);
	CHECK_EQ(mesh.type, MESH_PUNCH_RESULT);
	CHECK_EQ(punch_result_parse(mesh.answer, mesh.answer_len, &result), 0);
	CHECK_EQ(result.addr.family, ADDR_NONE);
	CHECK_EQ(sent.cnt, 1);
	input(handle, 1, true, "203.0.113.9:7000");
	CHECK_EQ(stats().stray_cnt, 1);
	CHECK_EQ(sent.cnt, 1);
	rig_close();
}

static void test_forged_and_strange_probes_are_not_answered(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	/* Its own probe sent back to it: the proof says that the other node sent it. */
	input(handle, 1, false, "203.0.113.9:7000");
	CHECK_EQ(stats().forged_cnt, 1);
	input((const uint8_t *)"wrong!", 1, true, "203.0.113.9:7000");
	CHECK_EQ(stats().stray_cnt, 1);
	CHECK_EQ(sent.cnt, 1);
	rig_close();
}

static const uint8_t peer_key[MESH_KEY_LEN] = {9};

/* The peer names these addresses, and asks for the node's probes. */
static void answer_candidates(const struct addr *addrs, unsigned cnt)
{
	struct punch_candidates message = {
		.handle = "theirs", .addr_cnt = cnt, .nat = PUNCH_NAT_HARD};
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	memcpy(message.addrs, addrs, cnt * sizeof(addrs[0]));
	punch_candidates_write(&w, &message);
	asked.reply(asked.arg,
		    &(struct mesh_reply){.type = MESH_CANDIDATES,
					 .payload = payload,
					 .payload_len = writer_len(&w)},
		    now_ns);
}

static void test_what_a_round_tried_is_shown(void)
{
	const struct addr addrs[2] = {addr_of("203.0.113.9:7000"), addr_of("192.168.1.2:7000")};
	struct punch_tried tried;
	struct punch_view view;

	rig_open();
	CHECK(!punch_tried(punch, peer_key, 0, &tried));
	punch_begin(punch, peer_key, now_ns);
	CHECK(!punch_tried(punch, peer_key, 0, &tried));
	answer_candidates(addrs, 2);
	CHECK(punch_tried(punch, peer_key, 0, &tried));
	CHECK(addr_equal(&tried.addr, &addrs[0]));
	CHECK(tried.is_named && tried.is_probed && !tried.is_answered);
	/* The node is in no private network. */
	CHECK(punch_tried(punch, peer_key, 1, &tried));
	CHECK(tried.is_named && !tried.is_probed);
	CHECK(!punch_tried(punch, peer_key, 2, &tried));
	CHECK(punch_show(punch, peer_key, &view));
	CHECK(view.is_under_way);
	CHECK_EQ(view.peers, PUNCH_NAT_HARD);
	rig_close();
}

static void test_a_peer_that_knows_no_rounds_is_shown_as_such(void)
{
	struct punch_view view;

	rig_open();
	punch_begin(punch, peer_key, now_ns);
	asked.reply(asked.arg, &(struct mesh_reply){.err = WEFT_EUNKNOWN}, now_ns);
	CHECK(punch_show(punch, peer_key, &view));
	CHECK_EQ(view.outcome, PUNCH_UNANSWERED);
	CHECK_EQ(view.err, WEFT_EUNKNOWN);
	CHECK_EQ(view.round_cnt, 1);
	rig_close();
}

/* Each is answered, and where it came from gets a probe, within the bounds of docs/wire/punch.md. */
static void test_an_overheard_probe_does_little_from_elsewhere(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "203.0.113.9:7000", handle);
	for (unsigned i = 0; i < 100; i++) {
		char remote[ADDR_TEXT_CAP];

		snprintf(remote, sizeof(remote), "203.0.113.%u:7000", 100 + i);
		input(handle, 1, true, remote);
	}
	CHECK_EQ(stats().heard_cnt, 100);
	/* One to the candidate, 16 answers; 4 places and what is left of the candidates' 8. */
	CHECK_EQ(sent.cnt, 1 + 16 + 11);
	rig_close();
}

static void test_a_network_gets_so_many_probes_a_minute(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	for (unsigned i = 0; i < PUNCH_NETWORK_PER_MIN + 1; i++) {
		round_begin(0, "203.0.113.9:7000", handle);
		now_ns += NS_PER_MS;
	}
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN);
	CHECK_EQ(stats().unsent_cnt, 1);
	round_begin(0, "198.51.101.9:7000", handle);
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN + 1);
	now_ns += 60 * NS_PER_S;
	round_begin(0, "203.0.113.9:7000", handle);
	CHECK_EQ(sent.cnt, PUNCH_NETWORK_PER_MIN + 2);
	rig_close();
}

static void test_private_addresses_of_others_are_no_candidates(void)
{
	uint8_t handle[PUNCH_HANDLE_LEN];

	rig_open();
	round_begin(0, "192.168.7.7:7000", handle);
	round_begin(0, "127.0.0.1:7000", handle);
	round_begin(0, "198.51.100.1:7000", handle); /* its own */
	CHECK_EQ(sent.cnt, 0);
	rig_close();
}

/* The 65th takes the place of another one, whose peer then finds no round. */
static void test_one_round_more_than_there_are_places_ends_another(void)
{
	const struct addr addr = addr_of("203.0.113.9:7000");
	struct punch_candidates own[PUNCH_ANSWERED_MAX + 1];
	struct fair_view view;
	unsigned absent_cnt = 0;

	rig_open();
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1; i++) {
		ask_candidates(i, &addr, 1);
		CHECK_EQ(mesh.type, MESH_CANDIDATES);
		CHECK_EQ(punch_candidates_parse(mesh.answer, mesh.answer_len, &own[i]), 0);
		now_ns += NS_PER_MS;
	}
	punch_fair_view(punch, &view);
	CHECK_EQ(view.cap_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.held_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
	/* A second question takes the place of its first one. */
	ask_candidates(PUNCH_ANSWERED_MAX, &addr, 1);
	punch_fair_view(punch, &view);
	CHECK_EQ(view.held_cnt, PUNCH_ANSWERED_MAX);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX; i++) {
		mesh.type = MESH_CANDIDATES;
		ask_now(i, own[i].handle);
		absent_cnt += mesh.type == 0 && mesh.code == MESH_CODE_ABSENT;
	}
	CHECK_EQ(absent_cnt, 1);
	/* Rounds end by themselves, also those that go no further. */
	now_ns += 6 * NS_PER_S;
	timer_wheel_expire(&timers, now_ns);
	punch_fair_view(punch, &view);
	CHECK_EQ(view.held_cnt, 0);
	rig_close();
}

int main(void)
{
	RUN(test_a_session_without_a_relay_is_refused);
	RUN(test_another_handle_begins_nothing);
	RUN(test_a_candidate_is_sent_one_probe_and_the_round_ends);
	RUN(test_forged_and_strange_probes_are_not_answered);
	RUN(test_what_a_round_tried_is_shown);
	RUN(test_a_peer_that_knows_no_rounds_is_shown_as_such);
	RUN(test_an_overheard_probe_does_little_from_elsewhere);
	RUN(test_a_network_gets_so_many_probes_a_minute);
	RUN(test_private_addresses_of_others_are_no_candidates);
	RUN(test_one_round_more_than_there_are_places_ends_another);
	return check_done();
}
