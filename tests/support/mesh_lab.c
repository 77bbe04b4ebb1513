/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datagram: u8 kind, the sender's key, u32 id, then by kind
 *	DIAL, DIALLED	u32 caps of the sender
 *	ASK, ANSWER	u16 type (0: error, and the payload is its code), u16 index and u16 number of
 *			pieces, a piece of the payload
 *	UNKNOWN		nothing: there is no such session
 */
#include "support/mesh_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "base/byte_cursor.h"
#include "net/packet_io.h"

#define STEP_NS	  (2 * NS_PER_MS)
#define DGRAM_CAP 65536
#define PIECE_LEN 8000

enum kind { DIAL, DIALLED, ASK, ANSWER, UNKNOWN };

struct assembly {
	uint8_t *bytes;
	size_t len;
	unsigned piece_cnt, got_cnt;
};

struct mesh_request {
	struct mesh *node;
	struct mesh_request *next;
	uint32_t id;
	struct mesh_ask ask;
	uint8_t *payload;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	uint64_t deadline_ns;
	bool is_dialling, was_reset;
	struct assembly answer;
};

struct mesh_incoming {
	struct mesh *node;
	struct mesh_incoming *next;
	uint8_t key[MESH_KEY_LEN];
	uint32_t id;
	unsigned type;
	struct assembly request;
	uint64_t begin_ns;
	bool is_handed;
};

static struct mesh_lab *lab_begun; /* last */

static void die(const char *what)
{
	printf("# mesh_lab: %s\n", what);
	exit(1);
}

static void *take(size_t cnt, size_t len)
{
	void *memory = calloc(cnt ? cnt : 1, len ? len : 1);

	if (!memory)
		die("no memory");
	return memory;
}

/* --- datagrams --- */

static void send_bytes(struct mesh *node, const struct addr *to, const void *data, size_t len)
{
	const struct dgram_route route = {.remote = *to};
	struct dgram_sink *sink = &node->tx->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot)) {
		packet_tx_flush(node->tx);
		if (!sink->ops->reserve(sink, len, &slot))
			die("no room to send");
	}
	memcpy(slot.data, data, len);
	sink->ops->commit(sink, &slot, len, &route);
}

static struct writer head_begin(const struct mesh *node, enum kind kind, uint32_t id, uint8_t *buf,
				size_t cap)
{
	struct writer w = writer_of(buf, cap);

	writer_u8(&w, (uint8_t)kind);
	writer_bytes(&w, node->key, sizeof(node->key));
	writer_be32(&w, id);
	return w;
}

static void send_short(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id)
{
	uint8_t buf[64];
	struct writer w = head_begin(node, kind, id, buf, sizeof(buf));

	writer_be32(&w, node->caps);
	send_bytes(node, to, buf, writer_len(&w));
}

static void send_long(struct mesh *node, const struct addr *to, enum kind kind, uint32_t id,
		      unsigned type, const uint8_t *payload, size_t len)
{
	unsigned cnt = (unsigned)(len / PIECE_LEN) + 1;

	for (unsigned i = 0; i < cnt; i++) {
		uint8_t buf[PIECE_LEN + 64];
		struct writer w = head_begin(node, kind, id, buf, sizeof(buf));
		size_t off = (size_t)i * PIECE_LEN;

		writer_be16(&w, (uint16_t)type);
		writer_be16(&w, (uint16_t)i);
		writer_be16(&w, (uint16_t)cnt);
		writer_bytes(&w, payload + off, len - off < PIECE_LEN ? len - off : PIECE_LEN);
		send_bytes(node, to, buf, writer_len(&w));
	}
}

/* True: whole. */
static bool assemble(struct assembly *a, struct cursor *c)
{
	unsigned idx = cursor_be16(c), cnt = cursor_be16(c);
	size_t len = cursor_left(c);

	if (!a->bytes)
		a->bytes = take(cnt, PIECE_LEN);
	a->piece_cnt = cnt;
	memcpy(a->bytes + (size_t)idx * PIECE_LEN, c->pos, len);
	if (idx == cnt - 1)
		a->len = (size_t)idx * PIECE_LEN + len;
	return ++a->got_cnt == cnt;
}

/* --- sessions --- */

static struct mesh_lab_session *session_find(struct mesh *node, const uint8_t *key)
{
	for (unsigned i = 0; i < node->session_cnt; i++)
		if (memcmp(node->sessions[i].key, key, MESH_KEY_LEN) == 0)
			return &node->sessions[i];
	return NULL;
}

static void session_drop(struct mesh *node, const uint8_t *key)
{
	struct mesh_lab_session *session = session_find(node, key);

	if (session)
		*session = node->sessions[--node->session_cnt];
}

static struct mesh_lab_session *session_make(struct mesh *node, const uint8_t *key,
					     const struct addr *remote, uint32_t caps,
					     bool is_dialled)
{
	struct mesh_lab_session *session = session_find(node, key);

	if (!session) {
		if (node->session_cnt == node->session_cap) {
			node->session_cap = 2 * node->session_cap + 16;
			node->sessions = realloc(node->sessions,
						 node->session_cap * sizeof(*node->sessions));
			if (!node->sessions)
				die("no memory");
		}
		session = &node->sessions[node->session_cnt++];
		memset(session, 0, sizeof(*session));
		memcpy(session->key, key, MESH_KEY_LEN);
		session->is_dialled = is_dialled;
	}
	session->remote = *remote;
	session->caps = caps;
	session->used_ns = node->lab->now_ns;
	return session;
}

static void sessions_prune(struct mesh *node)
{
	for (unsigned i = node->session_cnt; i-- > 0;)
		if (node->sessions[i].used_ns + node->lab->idle_ns < node->lab->now_ns)
			node->sessions[i] = node->sessions[--node->session_cnt];
}

/* --- requests --- */

static void request_free(struct mesh_request *request)
{
	struct mesh_request **at = &request->node->requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	free(request->payload);
	free(request->answer.bytes);
	free(request);
}

static void request_finish(struct mesh_request *request, const struct mesh_reply *reply)
{
	struct mesh_ask ask = request->ask;
	uint64_t now_ns = request->node->lab->now_ns;

	request_free(request);
	ask.reply(ask.arg, reply, now_ns);
}

static void request_fail(struct mesh_request *request, int err)
{
	struct mesh_reply reply = {.err = err};

	request_finish(request, &reply);
}

static void request_go(struct mesh_request *request)
{
	struct mesh *node = request->node;
	struct mesh_lab_session *session = session_find(node, request->ask.peer.key);

	if (session) {
		request->is_dialling = false;
		session->used_ns = node->lab->now_ns;
		send_long(node, &session->remote, ASK, request->id, request->ask.type,
			  request->payload, request->ask.payload_len);
		return;
	}
	request->is_dialling = true;
	node->dial_cnt++;
	for (unsigned i = 0; i < request->ask.peer.addr_cnt; i++)
		send_short(node, &request->addrs[i], DIAL, request->id);
}

static int op_ask(struct mesh *node, const struct mesh_ask *ask, uint64_t now_ns,
		  struct mesh_request **out_request)
{
	struct mesh_request *request;

	if (memcmp(ask->peer.key, node->key, MESH_KEY_LEN) == 0 ||
	    (!ask->peer.addr_cnt && !session_find(node, ask->peer.key)))
		return WEFT_EMALFORMED;
	request = take(1, sizeof(*request));
	request->node = node;
	request->id = ++node->next_id;
	request->ask = *ask;
	request->payload = take(ask->payload_len, 1);
	if (ask->payload_len)
		memcpy(request->payload, ask->payload, ask->payload_len);
	if (ask->peer.addr_cnt)
		memcpy(request->addrs, ask->peer.addrs, ask->peer.addr_cnt * sizeof(struct addr));
	request->deadline_ns = now_ns + ask->timeout_ns;
	request->next = node->requests;
	node->requests = request;
	node->asked_cnt++;
	if (request->deadline_ns < node->due_ns)
		node->due_ns = request->deadline_ns;
	request_go(request);
	*out_request = request;
	return 0;
}

static struct mesh_request *request_find(struct mesh *node, uint32_t id)
{
	struct mesh_request *request = node->requests;

	while (request && request->id != id)
		request = request->next;
	return request;
}

static void requests_expire(struct mesh *node)
{
	struct mesh_request *request = node->requests;

	while (request) {
		if (request->deadline_ns > node->lab->now_ns) {
			request = request->next;
			continue;
		}
		session_drop(node, request->ask.peer.key);
		request_fail(request, request->is_dialling ? WEFT_EUNREACHABLE : WEFT_ETIMEOUT);
		request = node->requests; /* a callee may have cancelled others */
	}
}

static int code_err(uint32_t code)
{
	static const struct {
		enum mesh_code code;
		int err;
	} rows[] = {
		{MESH_CODE_MALFORMED, WEFT_EMALFORMED}, {MESH_CODE_ABSENT, WEFT_EABSENT},
		{MESH_CODE_REFUSED, WEFT_EREFUSED},	{MESH_CODE_TOO_LARGE, WEFT_ETOOLARGE},
		{MESH_CODE_BUSY, WEFT_EBUSY},		{MESH_CODE_CHANGED, WEFT_ECHANGED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((uint32_t)rows[i].code == code)
			return rows[i].err;
	return WEFT_EUNKNOWN;
}

static void answer_hear(struct mesh *node, uint32_t id, struct cursor *c)
{
	struct mesh_request *request = request_find(node, id);
	unsigned type = cursor_be16(c);
	struct mesh_reply reply = {.type = type};

	if (!request || !assemble(&request->answer, c))
		return;
	if (!type) {
		struct cursor error = cursor_of(request->answer.bytes, request->answer.len);

		reply.code = cursor_be32(&error);
		reply.not_before_ns = cursor_be64(&error);
		reply.err = code_err(reply.code);
	} else if (request->answer.len > request->ask.reply_cap) {
		reply.err = WEFT_ETOOLARGE;
	} else {
		memcpy(request->ask.reply_buf, request->answer.bytes, request->answer.len);
		reply.payload = request->ask.reply_buf;
		reply.payload_len = request->answer.len;
	}
	request_finish(request, &reply);
}

/* --- incoming --- */

static void incoming_free(struct mesh_incoming *incoming)
{
	struct mesh_incoming **at = &incoming->node->incoming;

	while (*at != incoming)
		at = &(*at)->next;
	*at = incoming->next;
	free(incoming->request.bytes);
	free(incoming);
}

static int op_handle(struct mesh *node, unsigned type, mesh_handler_fn handler, void *ctx)
{
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++) {
		if (node->handlers[i].type == type)
			return WEFT_EEXISTS;
		if (node->handlers[i].type)
			continue;
		node->handlers[i].type = type;
		node->handlers[i].fn = handler;
		node->handlers[i].ctx = ctx;
		return 0;
	}
	return WEFT_EFULL;
}

static int op_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		     size_t head_len, const struct transport_span *tail)
{
	struct mesh *node = incoming->node;
	struct mesh_lab_session *session = session_find(node, incoming->key);
	size_t len = head_len + (tail ? tail->len : 0);
	uint8_t *bytes;

	if (!session) {
		incoming_free(incoming);
		return WEFT_ECLOSED;
	}
	bytes = take(len, 1);
	memcpy(bytes, head_len ? head : "", head_len);
	if (tail)
		memcpy(bytes + head_len, tail->data, tail->len);
	send_long(node, &session->remote, ANSWER, incoming->id, type, bytes, len);
	free(bytes);
	incoming_free(incoming);
	if (tail && node->is_unacknowledged && node->lent_cnt < MESH_LAB_LENT_MAX)
		node->lent[node->lent_cnt++] = *tail;
	else if (tail && tail->done)
		tail->done(tail->arg);
	return 0;
}

void mesh_lab_acknowledge(struct mesh *node)
{
	node->is_unacknowledged = false;
	while (node->lent_cnt > 0) {
		const struct transport_span *span = &node->lent[--node->lent_cnt];

		if (span->done)
			span->done(span->arg);
	}
}

static void op_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			    uint64_t not_before_ms)
{
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)text;
	writer_be32(&w, code);
	writer_be64(&w, not_before_ms * NS_PER_MS);
	(void)op_answer(incoming, 0, bytes, writer_len(&w), NULL);
}

/* incoming may be gone: it is looked for, not looked at. */
static bool is_under_way(const struct mesh_lab *lab, const struct mesh_incoming *incoming)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		for (const struct mesh_incoming *at = lab->nodes[i].incoming; at; at = at->next)
			if (at == incoming)
				return true;
	return false;
}

static void op_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	if (!is_under_way(lab_begun, incoming))
		die("a request that was answered is spoken of");
	/* No event reports that an asker has left. */
	(void)gone;
	(void)arg;
}

static void op_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	(void)incoming;
	*out_addr = (struct addr){.family = ADDR_NONE};
}

static void ask_hear(struct mesh *node, const uint8_t *key, uint32_t id, struct cursor *c)
{
	struct mesh_incoming *incoming = node->incoming;
	unsigned type = cursor_be16(c);
	struct mesh_call call = {.type = type};

	while (incoming && (incoming->id != id || memcmp(incoming->key, key, MESH_KEY_LEN) != 0))
		incoming = incoming->next;
	if (!incoming) {
		incoming = take(1, sizeof(*incoming));
		incoming->node = node;
		incoming->id = id;
		incoming->type = type;
		incoming->begin_ns = node->lab->now_ns;
		memcpy(incoming->key, key, MESH_KEY_LEN);
		incoming->next = node->incoming;
		node->incoming = incoming;
	}
	if (incoming->is_handed || !assemble(&incoming->request, c))
		return;
	incoming->is_handed = true;
	call.incoming = incoming;
	call.peer_key = incoming->key;
	call.payload = incoming->request.bytes;
	call.payload_len = incoming->request.len;
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		if (node->handlers[i].type == type) {
			node->handlers[i].fn(node->handlers[i].ctx, &call, node->lab->now_ns);
			return;
		}
	op_answer_error(incoming, MESH_CODE_UNKNOWN, "unknown type", 0);
}

static void op_note_refused(const struct mesh_incoming *incoming, const char *pool,
			    uint32_t wait_ms)
{
	incoming->node->refused_pool = pool;
	incoming->node->refused_wait_ms = wait_ms;
	incoming->node->refused_cnt++;
}

static void op_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	static const struct fair_paths paths;
	struct addr addr;

	op_asker_addr(incoming, &addr);
	fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, out_path);
	fair_path_add(&paths, out_path, &addr.port, sizeof(addr.port));
}

static void op_hurry(struct mesh *mesh)
{
	(void)mesh;
}

static const struct mesh_ops lab_ops = {
	.ask = op_ask,
	.cancel = request_free,
	.handle = op_handle,
	.answer = op_answer,
	.answer_error = op_answer_error,
	.abandoned = op_abandoned,
	.asker_addr = op_asker_addr,
	.asker_path = op_asker_path,
	.note_refused = op_note_refused,
	.hurry = op_hurry,
};

struct mesh_seam mesh_lab_seam_of(struct mesh *node)
{
	return (struct mesh_seam){&lab_ops, node};
}

/* --- neighbours --- */

static struct mesh_neighbour describe(const struct mesh *node,
				      const struct mesh_lab_session *session)
{
	struct mesh_neighbour neighbour = {
		.caps = session->caps,
		.remote = session->remote,
		.last_seen_s = mesh_lab_wall_s(node->lab),
		.is_connected = true,
		.is_dialled = session->is_dialled,
		.is_proved = session->is_dialled,
	};

	memcpy(neighbour.key, session->key, MESH_KEY_LEN);
	neighbour.addrs[0] = node->lab->announced;
	neighbour.addr_cnt = node->lab->announced.family != ADDR_NONE;
	return neighbour;
}

static bool neighbour_find(struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_neighbour *out_neighbour)
{
	const struct mesh_lab_session *session = session_find(node, key);

	if (session)
		*out_neighbour = describe(node, session);
	return session != NULL;
}

/* The session's place stands for it. */
static bool neighbours_next(struct mesh *node, struct mesh_walk *walk,
			    struct mesh_neighbour *out_neighbour)
{
	const struct mesh_lab_session *last = (const void *)walk->session;
	const struct mesh_lab_session *session = last ? last + 1 : node->sessions;

	if (session == node->sessions + node->session_cnt)
		return false;
	walk->session = (void *)(uintptr_t)session;
	*out_neighbour = describe(node, session);
	return true;
}

static bool neighbour_path(struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
			   struct mesh_path *out_path)
{
	const struct mesh_lab_session *session = session_find(node, key);

	if (session)
		*out_path = (struct mesh_path){.remote = session->remote, .local = node->addr};
	return session != NULL;
}

static void neighbours_announce(struct mesh *node, uint32_t caps, bool is_on)
{
	node->caps = is_on ? node->caps | caps : node->caps & ~caps;
}

const struct mesh_neighbour_ops mesh_lab_neighbours = {
	.find = neighbour_find,
	.next = neighbours_next,
	.path = neighbour_path,
	.announce = neighbours_announce,
};

/* --- the loop --- */

static void dialled_hear(struct mesh *node, const uint8_t *key, const struct addr *remote,
			 uint32_t id, uint32_t caps)
{
	struct mesh_request *request = request_find(node, id);

	if (!request || !request->is_dialling)
		return;
	if (memcmp(request->ask.peer.key, key, MESH_KEY_LEN) != 0) {
		request_fail(request, WEFT_EWRONGKEY);
		return;
	}
	(void)session_make(node, key, remote, caps, true);
	request_go(request);
}

static void unknown_hear(struct mesh *node, const uint8_t *key, uint32_t id)
{
	struct mesh_request *request = request_find(node, id);

	session_drop(node, key);
	if (!request)
		return;
	if (request->was_reset || !request->ask.peer.addr_cnt) {
		request_fail(request, WEFT_ECLOSED);
		return;
	}
	request->was_reset = true;
	request_go(request);
}

static void node_hear(struct mesh *node, const struct dgram *dgram)
{
	struct cursor c = cursor_of(dgram->data, dgram->len);
	enum kind kind = cursor_u8(&c);
	const uint8_t *key = cursor_bytes(&c, MESH_KEY_LEN);
	uint32_t id = cursor_be32(&c);
	struct mesh_lab_session *session = session_find(node, key);

	if (session)
		session->used_ns = node->lab->now_ns;
	switch (kind) {
	case DIAL:
		if (node->is_deaf && !session)
			return;
		(void)session_make(node, key, &dgram->remote, cursor_be32(&c), false);
		send_short(node, &dgram->remote, DIALLED, id);
		return;
	case DIALLED:
		dialled_hear(node, key, &dgram->remote, id, cursor_be32(&c));
		return;
	case ASK:
		if (session)
			ask_hear(node, key, id, &c);
		else if (!node->is_deaf)
			send_short(node, &dgram->remote, UNKNOWN, id);
		return;
	case ANSWER:
		answer_hear(node, id, &c);
		return;
	case UNKNOWN:
		unknown_hear(node, key, id);
		return;
	}
}

static void node_turn(struct mesh *node)
{
	struct mesh_lab *lab = node->lab;
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt;

	while ((cnt = packet_rx_burst(node->rx, dgrams, PACKET_BURST_MAX)))
		for (unsigned i = 0; i < cnt; i++)
			node_hear(node, &dgrams[i]);
	sessions_prune(node);
	requests_expire(node);
	if (node->expire)
		node->expire(node->ctx, lab->now_ns);
	node->due_ns = node->next_ns ? node->next_ns(node->ctx) : UINT64_MAX;
	for (struct mesh_request *at = node->requests; at; at = at->next)
		if (at->deadline_ns < node->due_ns)
			node->due_ns = at->deadline_ns;
	packet_tx_flush(node->tx);
}

bool mesh_lab_run(struct mesh_lab *lab, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	uint64_t end_ns = lab->now_ns + for_ns;

	for (;;) {
		uint64_t next_ns = UINT64_MAX;

		for (unsigned i = 0; i < lab->node_cnt; i++) {
			struct mesh *node = &lab->nodes[i];

			if (!node->is_up)
				continue;
			if (net_mem_rx_is_waiting(node->rx) || node->due_ns <= lab->now_ns)
				node_turn(node);
			if (node->due_ns < next_ns)
				next_ns = node->due_ns;
		}
		if (done && done(arg))
			return true;
		if (lab->now_ns >= end_ns)
			return false;
		if (net_mem_net_next_ns(lab->mem) < next_ns)
			next_ns = net_mem_net_next_ns(lab->mem);
		if (next_ns < lab->now_ns + STEP_NS)
			next_ns = lab->now_ns + STEP_NS;
		lab->now_ns = next_ns < end_ns ? next_ns : end_ns;
		net_mem_net_advance(lab->mem, lab->now_ns);
	}
}

/* --- life --- */

void mesh_lab_init(struct mesh_lab *lab, uint64_t seed, unsigned node_cap,
		   const struct mem_link *link)
{
	const struct mem_link usual = {.delay_ns = 20 * NS_PER_MS,
				       .jitter_ns = 80 * NS_PER_MS,
				       .loss_per_1000 = 10,
				       .mtu_len = MEM_DGRAM_LEN_MAX};

	memset(lab, 0, sizeof(*lab));
	lab_begun = lab;
	lab->seed = seed;
	lab->now_ns = NS_PER_S;
	lab->idle_ns = 60 * NS_PER_S;
	random_init_seeded(&lab->dice, seed);
	random_init_seeded(&lab->wire, seed + 1);
	lab->nodes = take(node_cap, sizeof(*lab->nodes));
	lab->node_cap = node_cap;
	if (net_mem_net_new(node_cap, DGRAM_CAP, &lab->wire, &lab->mem) < 0)
		die("no memory");
	net_mem_net_set_default_link(lab->mem, link ? link : &usual);
	net_mem_net_advance(lab->mem, lab->now_ns);
}

void mesh_lab_fini(struct mesh_lab *lab)
{
	for (unsigned i = 0; i < lab->node_cnt; i++)
		mesh_lab_down(&lab->nodes[i]);
	net_mem_net_free(lab->mem);
	free(lab->nodes);
	lab->nodes = NULL;
}

struct mesh *mesh_lab_add(struct mesh_lab *lab)
{
	struct mesh *node = &lab->nodes[lab->node_cnt];
	unsigned number = lab->node_cnt;

	if (lab->node_cnt++ == lab->node_cap)
		die("more nodes than room");
	node->lab = lab;
	node->number = number;
	random_fill(&lab->dice, node->key, sizeof(node->key));
	node->addr = (struct addr){
		.ip = {(uint8_t)(20 + number % 100), (uint8_t)(number >> 8), (uint8_t)number, 7},
		.port = 7000,
		.family = ADDR_IPV4};
	return node;
}

void mesh_lab_up(struct mesh *node)
{
	if (net_mem_net_attach(node->lab->mem, &node->addr, &node->rx, &node->tx) < 0)
		die("no room on the network");
	memset(node->handlers, 0, sizeof(node->handlers));
	node->caps = 0;
	node->due_ns = 0;
	node->is_up = true;
}

void mesh_lab_down(struct mesh *node)
{
	if (!node->is_up)
		return;
	while (node->requests)
		request_free(node->requests);
	while (node->incoming)
		incoming_free(node->incoming);
	free(node->sessions);
	node->sessions = NULL;
	node->session_cnt = node->session_cap = 0;
	packet_rx_close(node->rx);
	packet_tx_close(node->tx);
	node->rx = NULL;
	node->tx = NULL;
	node->expire = NULL;
	node->next_ns = NULL;
	node->is_up = false;
}

uint64_t mesh_lab_wall_s(const struct mesh_lab *lab)
{
	return MESH_LAB_WALL_S + lab->now_ns / NS_PER_S;
}

/* --- requests of a test --- */

static void ask_done(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct mesh_lab_ask *ask = arg;

	(void)now_ns;
	ask->is_done = true;
	ask->reply = *reply;
}

static bool ask_is_done(void *arg)
{
	return ((const struct mesh_lab_ask *)arg)->is_done;
}

void mesh_lab_ask(struct mesh *node, const struct mesh *to, unsigned type, const void *payload,
		  size_t len, struct mesh_lab_ask *ask)
{
	struct mesh_ask params = {
		.peer = {.addrs = &to->addr, .addr_cnt = 1},
		.type = type,
		.payload = payload,
		.payload_len = len,
		.reply_buf = ask->buf,
		.reply_cap = sizeof(ask->buf),
		.timeout_ns = 10 * NS_PER_S,
		.reply = ask_done,
		.arg = ask,
	};

	ask->is_done = false;
	memcpy(params.peer.key, to->key, sizeof(params.peer.key));
	if (op_ask(node, &params, node->lab->now_ns, &ask->request) < 0)
		die("a request cannot be sent");
	packet_tx_flush(node->tx);
	(void)mesh_lab_run(node->lab, 20 * NS_PER_S, ask_is_done, ask);
}
