/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PUNCH_RIG_H
#define WEFT_TESTS_PUNCH_RIG_H

/* Hole punching of one node, for tests that play the mesh and the wire. One rig at a time. */
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
	struct punch_probe probes[SENT_CAP];
	unsigned cnt;
} sent;

static struct {
	mesh_handler_fn on_candidates, on_punch_now, on_search;
	void *ctx;
	struct addr asker; /* where its session leads */
	bool is_dialled;   /* by the node */
	unsigned type;	   /* of the last answer; 0: an error */
	enum mesh_code code;
	enum fair_class class; /* of all askers */
	bool is_one_host;      /* are they at */
	uint8_t answer[PUNCH_MESSAGE_LEN_MAX];
	size_t answer_len;
} mesh;

static struct mesh_ask asked;			   /* the last request of the node */
static uint8_t asked_first[PUNCH_MESSAGE_LEN_MAX]; /* CANDIDATES */
static size_t asked_first_len;
static uint8_t asked_search[PUNCH_MESSAGE_LEN_MAX]; /* SEARCH_PORTS */
static size_t asked_search_len;
static struct punch *punch;
static struct timer_wheel timers;
static struct random rng;
static uint64_t now_ns;

static inline bool sent_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink, (void)len;
	*out_slot = (struct dgram_slot){.data = sent.data, .cap = sizeof(sent.data)};
	return true;
}

static inline void sent_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			       const struct dgram_route *route)
{
	(void)sink, (void)slot;
	CHECK_EQ(len, WEFT_PROBE_LEN);
	if (sent.cnt < SENT_CAP)
		sent.remotes[sent.cnt] = route->remote;
	if (sent.cnt < SENT_CAP)
		CHECK(punch_probe_parse(sent.data, len, &sent.probes[sent.cnt]));
	sent.cnt++;
}

static const struct dgram_sink_ops sent_ops = {.reserve = sent_reserve, .commit = sent_commit};

static inline int op_handle(struct mesh *of, unsigned type, mesh_handler_fn handler, void *ctx)
{
	(void)of;
	if (type == MESH_CANDIDATES)
		mesh.on_candidates = handler;
	else if (type == MESH_SEARCH_PORTS)
		mesh.on_search = handler;
	else
		mesh.on_punch_now = handler;
	mesh.ctx = ctx;
	return 0;
}

static inline int op_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
			    size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)tail;
	mesh.type = type;
	mesh.answer_len = head_len;
	memcpy(mesh.answer, head, head_len);
	return 0;
}

static inline void op_answer_error(struct mesh_incoming *incoming, enum mesh_code code,
				   const char *text, uint64_t not_before_ms)
{
	(void)incoming, (void)text, (void)not_before_ms;
	mesh.type = 0;
	mesh.code = code;
}

static inline void op_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	(void)incoming, (void)gone, (void)arg;
}

static inline void op_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	(void)incoming;
	*out_addr = mesh.asker;
}

/* Each asker is a network of its own, so none has more than its share. */
static inline void op_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	uintptr_t number = (uintptr_t)incoming;

	*out_path = (struct fair_path){
		.ids = {1, mesh.is_one_host ? 2 : number + 2, number + 100000}, .level_cnt = 3};
	out_path->class = mesh.class;
}

static inline int op_ask(struct mesh *of, const struct mesh_ask *ask, uint64_t at_ns,
			 struct mesh_request **out_request)
{
	(void)of, (void)at_ns;
	asked = *ask;
	if (ask->type == MESH_CANDIDATES) {
		memcpy(asked_first, ask->payload, ask->payload_len);
		asked_first_len = ask->payload_len;
	}
	if (ask->type == MESH_SEARCH_PORTS) {
		memcpy(asked_search, ask->payload, ask->payload_len);
		asked_search_len = ask->payload_len;
	}
	*out_request = (struct mesh_request *)&asked;
	return 0;
}

static inline void op_cancel(struct mesh_request *request)
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

static inline struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static inline unsigned on_candidates(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX],
				     uint64_t *out_mapped)
{
	(void)ctx;
	*out_mapped = 0;
	out[0] = addr_of("198.51.100.1:7000");
	return 1;
}

static enum punch_nat own_nat;
static inline enum punch_nat on_nat(void *ctx)
{
	(void)ctx;
	return own_nat;
}

static inline bool on_refuses(void *ctx, const uint8_t *key, const struct addr *addr)
{
	(void)ctx, (void)key, (void)addr;
	return false;
}

/* Of all peers that this node asks. */
static inline void on_account(void *ctx, const uint8_t *key, const struct punch_path *path,
			      struct fair_path *out_account)
{
	(void)ctx, (void)key, (void)path;
	*out_account = (struct fair_path){
		.ids = {1, 2000, 3000}, .level_cnt = 3, .class = (uint8_t)mesh.class};
}

static inline int on_probe_key(void *ctx, const uint8_t *key, uint8_t out[static 32])
{
	(void)ctx, (void)key;
	memcpy(out, probe_key, PUNCH_KEY_LEN);
	return 0;
}

static inline bool on_path(void *ctx, const uint8_t *key, struct punch_path *out_path)
{
	(void)ctx, (void)key;
	*out_path = (struct punch_path){.local = addr_of("198.51.100.1:7000"),
					.remote = mesh.asker,
					.is_direct = !addr_is_relayed(&mesh.asker) &&
						     mesh.asker.transport == ADDR_UDP,
					.is_dialled = mesh.is_dialled,
					.is_used = true};
	return true;
}

static struct addr moved_to; /* family ADDR_NONE: nowhere */

static inline bool on_move(void *ctx, const uint8_t *key, const struct addr *local,
			   const struct addr *remote)
{
	(void)ctx, (void)key, (void)local;
	moved_to = *remote;
	return true;
}

static inline void on_spare(void *ctx, const struct addr *from, const struct addr *local,
			    const struct addr *remote)
{
	(void)ctx, (void)from, (void)local, (void)remote;
}

/* Sockets of searches, and the question to the relay. */
static struct {
	unsigned open_cnt, cap, sent_cnt, kept_cnt, room, close_cnt;
	bool is_network_full;
	struct punch_port_owner owner; /* that was last asked about */
	unsigned idx;		       /* of the last datagram */
	struct addr to;
	uint8_t data[64];
	size_t len;
	void (*on_send)(unsigned idx, const struct addr *to); /* NULL: nothing else happens */
} ports;

static inline int ports_open(void *ctx)
{
	(void)ctx;
	return ports.open_cnt == ports.cap ? WEFT_EFULL : (int)ports.open_cnt++;
}

static inline void ports_send(void *ctx, unsigned idx, const struct addr *to, const uint8_t *data,
			      size_t len)
{
	(void)ctx;
	CHECK(idx < ports.open_cnt && len <= sizeof(ports.data));
	ports.sent_cnt++;
	ports.idx = idx;
	ports.to = *to;
	ports.len = len;
	memcpy(ports.data, data, len);
	if (ports.on_send)
		ports.on_send(idx, to);
}

static inline bool ports_keep(void *ctx, unsigned idx, const struct punch_port_owner *owner,
			      uint64_t at_ns)
{
	(void)ctx, (void)idx, (void)at_ns;
	ports.owner = *owner;
	ports.kept_cnt++;
	return true;
}

static inline void ports_close(void *ctx)
{
	(void)ctx;
	ports.close_cnt++;
	ports.open_cnt = 0;
}

static inline unsigned ports_room(void *ctx, const struct punch_port_owner *owner)
{
	(void)ctx;
	ports.owner = *owner;
	return owner->network && ports.is_network_full ? 0 : ports.room;
}

static const struct punch_ports_ops ports_ops = {.open = ports_open,
						 .send = ports_send,
						 .keep = ports_keep,
						 .close = ports_close,
						 .room = ports_room};

static struct {
	void (*done)(void *arg, const struct addr *host, const struct addr *relay,
		     uint64_t now_ns); /* NULL: nothing is asked */
	void *arg;
	struct addr addrs[PUNCH_CANDIDATES_MAX];
	unsigned addr_cnt, asked_cnt;
	int err;
} witness;

static inline int on_witness(void *ctx, const struct punch_question *question)
{
	(void)ctx;
	witness.asked_cnt++;
	if (witness.err < 0)
		return witness.err;
	witness.done = question->done;
	witness.arg = question->arg;
	witness.addr_cnt = question->addr_cnt;
	memcpy(witness.addrs, question->addrs, question->addr_cnt * sizeof(question->addrs[0]));
	return 0;
}

static inline void on_unask(void *ctx)
{
	(void)ctx;
	witness.done = NULL;
}

static inline void rig_open(void)
{
	const struct punch_params params = {
		.config = {.is_search_on = true, .search_socket_cnt = PUNCH_SEARCH_SOCKETS_MAX},
		.witness = on_witness,
		.unask = on_unask,
		.ports = &ports_ops,
		.sink = &sent.sink,
		.timers = &timers,
		.random = &rng,
		.mesh = {.ops = &ops},
		.candidates = on_candidates,
		.nat = on_nat,
		.refuses = on_refuses,
		.account = on_account,
		.probe_key = on_probe_key,
		.path = on_path,
		.move = on_move,
		.spare = on_spare,
	};

	now_ns = NS_PER_S;
	own_nat = PUNCH_NAT_EASY;
	memset(&ports, 0, sizeof(ports));
	ports.cap = PUNCH_SEARCH_SOCKETS_MAX;
	ports.room = 1;
	memset(&witness, 0, sizeof(witness));
	mesh.class = FAIR_UNKNOWN;
	mesh.is_one_host = false;
	sent.sink.ops = &sent_ops;
	sent.cnt = 0;
	mesh.is_dialled = true;
	moved_to = (struct addr){.family = ADDR_NONE};
	mesh.asker = addr_of("[fd6d:6573:68::1]:1");
	mesh.asker.transport = ADDR_RELAY;
	timer_wheel_init(&timers, now_ns);
	random_init_seeded(&rng, 1);
	if (punch_new(&params, &punch) < 0)
		abort();
}

static inline void rig_close(void)
{
	punch_stop(punch);
	punch_free(punch);
}

/* Peer number asks; its own handle is "theirs". */
static inline void ask_candidates(unsigned number, const struct addr *addrs, unsigned cnt)
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

static inline void ask_now(unsigned number, const uint8_t *handle)
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
static inline void round_begin(unsigned number, const char *candidate,
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

static inline void input(const uint8_t *handle, uint8_t nonce, bool is_askers, const char *remote)
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

static inline struct punch_stats stats(void)
{
	struct punch_stats now;

	punch_stats(punch, &now);
	return now;
}

static const uint8_t peer_key[MESH_KEY_LEN] = {9};

/* The peer names these addresses, and asks for the node's probes. */
static inline void answer_candidates(const struct addr *addrs, unsigned cnt)
{
	struct punch_candidates message = {
		.handle = "theirs", .addr_cnt = cnt, .nat = PUNCH_NAT_HARD};
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	if (cnt)
		memcpy(message.addrs, addrs, cnt * sizeof(addrs[0]));
	punch_candidates_write(&w, &message);
	asked.reply(asked.arg,
		    &(struct mesh_reply){.type = MESH_CANDIDATES,
					 .payload = payload,
					 .payload_len = writer_len(&w)},
		    now_ns);
}

#endif
