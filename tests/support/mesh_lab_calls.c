/* SPDX-License-Identifier: Apache-2.0 */
/* The seam of a node of the lab: the requests that it sends, and those that it answers. */
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"
#include "net/packet_io.h"
#include "support/mesh_lab_wire.h"

/* --- requests --- */

void mesh_lab_request_free(struct mesh_request *request)
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
	struct mesh_connect connect = request->connect;
	struct mesh_ask ask = request->ask;
	uint64_t now_ns = request->node->lab->now_ns;

	mesh_lab_request_free(request);
	if (connect.done)
		connect.done(connect.arg, reply->err, NULL);
	else
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
	struct mesh_lab_session *session = mesh_lab_session_lookup(node, request->ask.peer.key);

	if (session && request->connect.done) {
		/* Not inside the call. */
		request->is_dialling = false;
		request->deadline_ns = node->lab->now_ns;
		node->due_ns = request->deadline_ns;
		return;
	}
	if (session) {
		request->is_dialling = false;
		session->used_ns = node->lab->now_ns;
		mesh_lab_send_long(node, &session->remote, ASK, request->id, request->ask.type,
				   request->payload, request->ask.payload_len);
		return;
	}
	request->is_dialling = true;
	node->dial_cnt++;
	for (unsigned i = 0; i < request->ask.peer.addr_cnt; i++)
		mesh_lab_send_short(node, &request->addrs[i], DIAL, request->id);
}

static int request_begin(struct mesh *node, const struct mesh_ask *ask,
			 const struct mesh_connect *connect, uint64_t now_ns,
			 struct mesh_request **out_request)
{
	struct mesh_request *request;

	if (memcmp(ask->peer.key, node->key, MESH_KEY_LEN) == 0 ||
	    (!ask->peer.addr_cnt && !mesh_lab_session_lookup(node, ask->peer.key)))
		return WEFT_EMALFORMED;
	request = mesh_lab_take(1, sizeof(*request));
	request->node = node;
	request->id = ++node->next_id;
	request->ask = *ask;
	request->payload = mesh_lab_take(ask->payload_len, 1);
	if (ask->payload_len)
		memcpy(request->payload, ask->payload, ask->payload_len);
	if (ask->peer.addr_cnt)
		memcpy(request->addrs, ask->peer.addrs, ask->peer.addr_cnt * sizeof(struct addr));
	request->deadline_ns = now_ns + ask->timeout_ns;
	if (connect)
		request->connect = *connect;
	request->next = node->requests;
	node->requests = request;
	node->asked_cnt += !connect;
	if (request->deadline_ns < node->due_ns)
		node->due_ns = request->deadline_ns;
	request_go(request);
	*out_request = request;
	return 0;
}

static int op_ask(struct mesh *node, const struct mesh_ask *ask, uint64_t now_ns,
		  struct mesh_request **out_request)
{
	return request_begin(node, ask, NULL, now_ns, out_request);
}

static int op_connect(struct mesh *node, const struct mesh_connect *connect, uint64_t now_ns,
		      struct mesh_request **out_request)
{
	const struct mesh_ask ask = {.peer = *connect->peer, .timeout_ns = connect->timeout_ns};

	return request_begin(node, &ask, connect, now_ns, out_request);
}

static struct mesh_request *request_find(struct mesh *node, uint32_t id)
{
	struct mesh_request *request = node->requests;

	while (request && request->id != id)
		request = request->next;
	return request;
}

void mesh_lab_requests_expire(struct mesh *node)
{
	struct mesh_request *request = node->requests;

	while (request) {
		if (request->deadline_ns > node->lab->now_ns) {
			request = request->next;
			continue;
		}
		if (request->connect.done && !request->is_dialling) {
			request_fail(request, 0);
			request = node->requests;
			continue;
		}
		mesh_lab_session_drop(node, request->ask.peer.key);
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

void mesh_lab_hear_answer(struct mesh *node, uint32_t id, struct cursor *c)
{
	struct mesh_request *request = request_find(node, id);
	unsigned type = cursor_be16(c);
	struct mesh_reply reply = {.type = type};

	if (!request || !mesh_lab_assemble(&request->answer, c))
		return;
	if (!type) {
		struct cursor error = cursor_of(request->answer.bytes, request->answer.len);

		reply.code = cursor_be32(&error);
		reply.not_before_ns = cursor_be64(&error);
		if (reply.not_before_ns)
			reply.not_before_ns += node->lab->now_ns;
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

void mesh_lab_incoming_free(struct mesh_incoming *incoming)
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
	struct mesh_lab_session *session = mesh_lab_session_lookup(node, incoming->key);
	size_t len = head_len + (tail ? tail->len : 0);
	uint8_t *bytes;

	if (!session) {
		mesh_lab_incoming_free(incoming);
		return WEFT_ECLOSED;
	}
	bytes = mesh_lab_take(len, 1);
	memcpy(bytes, head_len ? head : "", head_len);
	if (tail)
		memcpy(bytes + head_len, tail->data, tail->len);
	mesh_lab_send_long(node, &session->remote, ANSWER, incoming->id, type, bytes, len);
	free(bytes);
	mesh_lab_incoming_free(incoming);
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

static void op_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	if (!mesh_lab_is_under_way(incoming))
		mesh_lab_die("a request that was answered is spoken of");
	/* No event reports that an asker has left. */
	(void)gone;
	(void)arg;
}

static void op_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	(void)incoming;
	*out_addr = (struct addr){.family = ADDR_NONE};
}

void mesh_lab_hear_ask(struct mesh *node, const uint8_t *key, uint32_t id, struct cursor *c)
{
	struct mesh_incoming *incoming = node->incoming;
	unsigned type = cursor_be16(c);
	struct mesh_call call = {.type = type};

	while (incoming && (incoming->id != id || memcmp(incoming->key, key, MESH_KEY_LEN) != 0))
		incoming = incoming->next;
	if (!incoming) {
		incoming = mesh_lab_take(1, sizeof(*incoming));
		incoming->node = node;
		incoming->id = id;
		incoming->type = type;
		incoming->begin_ns = node->lab->now_ns;
		memcpy(incoming->key, key, MESH_KEY_LEN);
		incoming->next = node->incoming;
		node->incoming = incoming;
	}
	if (incoming->is_handed || !mesh_lab_assemble(&incoming->request, c))
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

/* Answers of the lab are on their way whole, and cannot be taken back. */
static void op_recall(struct mesh *mesh, const void *arg)
{
	(void)mesh, (void)arg;
}

/* Both sides give the same. */
static void session_id_of(const struct mesh *node, const uint8_t *key,
			  uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	for (unsigned i = 0; i < MESH_SESSION_ID_LEN; i++)
		out_id[i] = node->key[i] ^ key[i];
	out_id[0] ^= (uint8_t)node->lab->session_epoch;
}

static void op_asker_session(const struct mesh_incoming *incoming,
			     uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	session_id_of(incoming->node, incoming->key, out_id);
}

static int op_session(const struct mesh *node, const uint8_t key[static MESH_KEY_LEN],
		      uint8_t out_id[static MESH_SESSION_ID_LEN])
{
	if (!mesh_lab_session_lookup((struct mesh *)(uintptr_t)node, key))
		return WEFT_EABSENT;
	session_id_of(node, key, out_id);
	return 0;
}

static const struct mesh_ops lab_ops = {
	.ask = op_ask,
	.cancel = mesh_lab_request_free,
	.handle = op_handle,
	.answer = op_answer,
	.answer_error = op_answer_error,
	.abandoned = op_abandoned,
	.asker_addr = op_asker_addr,
	.asker_path = op_asker_path,
	.asker_session = op_asker_session,
	.session = op_session,
	.note_refused = op_note_refused,
	.hurry = op_hurry,
	.recall = op_recall,
	.connect = op_connect,
};

struct mesh_seam mesh_lab_seam_of(struct mesh *node)
{
	return (struct mesh_seam){&lab_ops, node};
}

void mesh_lab_hear_dialled(struct mesh *node, const uint8_t *key, const struct addr *remote,
			   uint32_t id, uint32_t caps)
{
	struct mesh_request *request = request_find(node, id);

	if (!request || !request->is_dialling)
		return;
	if (memcmp(request->ask.peer.key, key, MESH_KEY_LEN) != 0) {
		request_fail(request, WEFT_EWRONGKEY);
		return;
	}
	(void)mesh_lab_session_make(node, key, remote, caps, true);
	request_go(request);
}

void mesh_lab_hear_unknown(struct mesh *node, const uint8_t *key, uint32_t id)
{
	struct mesh_request *request = request_find(node, id);

	mesh_lab_session_drop(node, key);
	if (!request)
		return;
	if (request->was_reset || !request->ask.peer.addr_cnt) {
		request_fail(request, WEFT_ECLOSED);
		return;
	}
	request->was_reset = true;
	request_go(request);
}

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
		mesh_lab_die("a request cannot be sent");
	packet_tx_flush(node->tx);
	(void)mesh_lab_run(node->lab, 20 * NS_PER_S, ask_is_done, ask);
}
