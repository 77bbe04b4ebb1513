/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends that say to a relay's broker what the input says, in any order, by a mesh that is this file.
 * Each request is answered once at most. The broker and the tables have the same flows, and a key
 * has no more of them than it may. Once all sessions are over, nothing is left.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "crypto/node_key.h"
#include "relay/broker/relay_broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define END_CNT	  32u
#define ASK_CNT	  RELAY_ASK_MIN
#define OPEN_CNT  256u
#define FLOW_CNT  64u
#define STEPS_MAX 400u

struct mesh_request {
	struct mesh_ask ask;
	bool is_used;
};
struct mesh_incoming {
	void (*gone)(void *arg);
	void *arg;
	bool is_used;
};
struct mesh {
	struct mesh_request requests[ASK_CNT + 1];
	struct mesh_incoming incoming[OPEN_CNT];
	mesh_handler_fn on_open, on_close;
	void *ctx;
	struct mesh_path paths[END_CNT];
	bool is_up[END_CNT];
	uint64_t now_ns, wall_s;
	uint64_t flow; /* number of the last one that an end was told */
};

static struct mesh mesh;
static struct relay *relay;
static struct relay_broker *broker;
static struct random dice;

/* --- the mesh --- */

static int fake_ask(struct mesh *self, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	(void)now_ns;
	weft_assert(ask->payload_len <= RELAY_MESSAGE_LEN_MAX);
	for (unsigned i = 0; i <= ASK_CNT; i++)
		if (!self->requests[i].is_used) {
			self->requests[i] = (struct mesh_request){*ask, true};
			*out_request = &self->requests[i];
			return 0;
		}
	return WEFT_EFULL;
}

static void fake_cancel(struct mesh_request *request)
{
	weft_assert(request->is_used);
	request->is_used = false;
}

static int fake_handle(struct mesh *self, unsigned type, mesh_handler_fn handler, void *ctx)
{
	if (type == MESH_FLOW_OPEN)
		self->on_open = handler;
	else
		self->on_close = handler;
	self->ctx = ctx;
	return 0;
}

static void incoming_end(struct mesh_incoming *incoming)
{
	weft_assert(incoming->is_used);
	incoming->is_used = false;
}

static int fake_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		       size_t head_len, const struct transport_span *tail)
{
	struct relay_flow_message flow;

	(void)tail;
	if (type == MESH_FLOW) {
		weft_assert(relay_message_flow_parse(head, head_len, &flow) == 0);
		mesh.flow = flow.flow;
	}
	incoming_end(incoming);
	return 0;
}

static void fake_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			      uint64_t not_before_ms)
{
	(void)code;
	(void)not_before_ms;
	weft_assert(text);
	incoming_end(incoming);
}

static void fake_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	weft_assert(incoming->is_used);
	incoming->gone = gone;
	incoming->arg = arg;
}

static const struct mesh_ops ops = {
	.ask = fake_ask,
	.cancel = fake_cancel,
	.handle = fake_handle,
	.answer = fake_answer,
	.answer_error = fake_answer_error,
	.abandoned = fake_abandoned,
};

static bool fake_path(struct mesh *self, const uint8_t key[static MESH_KEY_LEN],
		      struct mesh_path *out_path)
{
	if (key[1] || key[0] >= END_CNT || !self->is_up[key[0]])
		return false;
	*out_path = self->paths[key[0]];
	return true;
}

static const struct mesh_neighbour_ops neighbours = {.path = fake_path};

/* --- steps --- */

static void end_place(unsigned end, unsigned port)
{
	struct addr addr = {
		.family = ADDR_IPV4, .ip = {10, (uint8_t)end}, .port = (uint16_t)(port + 1)};

	/* Some are at one address, and some are by TCP: both are refused. */
	if (port > 250)
		addr.ip[1] = 77;
	if (port == 250)
		addr.transport = ADDR_TCP;
	mesh.paths[end] = (struct mesh_path){.remote = addr};
}

static void end_down(unsigned end)
{
	uint8_t key[MESH_KEY_LEN] = {(uint8_t)end};

	mesh.is_up[end] = false;
	relay_broker_session_changed(broker, key, mesh.now_ns);
}

static void call(mesh_handler_fn handler, unsigned end, const uint8_t *payload, size_t len)
{
	const uint8_t key[MESH_KEY_LEN] = {(uint8_t)end};
	struct mesh_call of_end = {.peer_key = key, .payload = payload, .payload_len = len};

	for (unsigned i = 0; i < OPEN_CNT && !of_end.incoming; i++)
		if (!mesh.incoming[i].is_used)
			of_end.incoming = &mesh.incoming[i];
	if (!of_end.incoming)
		return;
	*of_end.incoming = (struct mesh_incoming){.is_used = true};
	handler(mesh.ctx, &of_end, mesh.now_ns);
}

static void step_open(struct cursor *input)
{
	unsigned end = cursor_u8(input) % END_CNT, peer = cursor_u8(input) % END_CNT;
	uint8_t terms = cursor_u8(input), payload[RELAY_MESSAGE_LEN_MAX];
	static const uint8_t dgram[RELAY_FIRST_LEN_MAX] = {0x40};
	struct relay_open_message message = {
		.peer = {(uint8_t)peer}, .class = terms & 1, .mtu = (uint16_t)(1200 + terms)};
	struct writer w = writer_of(payload, sizeof(payload));

	message.first.cnt = terms >> 1 & 1;
	message.first.dgrams[0].data = dgram;
	message.first.dgrams[0].len = sizeof(dgram);
	message.grant = dgram;
	message.grant_len = terms >> 7;
	relay_message_open_write(&w, &message);
	call(mesh.on_open, end, payload, writer_len(&w));
}

static void step_raw(struct cursor *input, mesh_handler_fn handler)
{
	unsigned end = cursor_u8(input) % END_CNT;
	struct cursor payload = cursor_sub(input, cursor_u8(input));

	if (!payload.bad)
		call(handler, end, payload.pos, cursor_left(&payload));
}

/* The end says that it accepts, or says an error, or what the input has. */
static void step_reply(struct cursor *input)
{
	static const enum mesh_code codes[] = {MESH_CODE_ABSENT, MESH_CODE_REFUSED, MESH_CODE_BUSY,
					       MESH_CODE_UNKNOWN};
	static const int errs[] = {WEFT_EREFUSED, WEFT_ETIMEOUT, WEFT_ECLOSED, WEFT_EUNREACHABLE};
	struct mesh_request *request = &mesh.requests[cursor_u8(input) % (ASK_CNT + 1)];
	uint8_t how = cursor_u8(input), payload[64];
	struct relay_accept_message accept = {.mtu = (uint16_t)(1200 + how)};
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_reply reply = {.type = MESH_FLOW_ACCEPT, .payload = payload};
	struct cursor raw;

	if (!request->is_used)
		return;
	relay_message_accept_write(&w, &accept);
	reply.payload_len = writer_len(&w);
	if (how >= 224) {
		reply = (struct mesh_reply){.err = errs[how & 3], .code = codes[how >> 2 & 3]};
	} else if (how >= 192) {
		raw = cursor_sub(input, how & 31);
		reply.payload = raw.pos;
		reply.payload_len = cursor_left(&raw);
	}
	request->is_used = false;
	request->ask.reply(request->ask.arg, &reply, mesh.now_ns);
}

static void step_session(struct cursor *input)
{
	unsigned end = cursor_u8(input) % END_CNT;
	uint8_t port = cursor_u8(input);

	if (port == 0) {
		end_down(end);
		return;
	}
	mesh.is_up[end] = true;
	end_place(end, port);
}

static void step_time(struct cursor *input)
{
	unsigned power = cursor_u8(input) % 24;

	mesh.now_ns += NS_PER_MS << power;
	mesh.wall_s += (1ull << power) / 1000;
	relay_turn(relay, mesh.now_ns, mesh.wall_s);
	relay_broker_turn(broker, mesh.now_ns, mesh.wall_s);
}

static void step_close(struct cursor *input)
{
	unsigned end = cursor_u8(input) % END_CNT;
	struct relay_close_message message = {.flow = mesh.flow ^ cursor_u8(input)};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));

	message.flow ^= (uint64_t)(cursor_u8(input) & 1) << 32;
	relay_message_close_write(&w, &message);
	call(mesh.on_close, end, payload, writer_len(&w));
}

static void step_abandon(struct cursor *input)
{
	struct mesh_incoming *incoming = &mesh.incoming[cursor_u8(input) % OPEN_CNT];

	if (!incoming->is_used)
		return;
	incoming->is_used = false;
	if (incoming->gone)
		incoming->gone(incoming->arg);
}

static void step(struct cursor *input)
{
	switch (cursor_u8(input) % 8) {
	case 0:
		step_open(input);
		break;
	case 1:
		step_raw(input, mesh.on_open);
		break;
	case 2:
		step_reply(input);
		break;
	case 3:
		step_session(input);
		break;
	case 4:
		step_time(input);
		break;
	case 5:
		step_close(input);
		break;
	case 6:
		step_raw(input, mesh.on_close);
		break;
	default:
		step_abandon(input);
		break;
	}
}

/* --- what holds after each step --- */

static void check(void)
{
	unsigned asked = 0, open = 0, opened[END_CNT] = {0};
	struct relay_broker_stats stats;
	struct relay_broker_flow flow;
	struct relay_flow_view view;
	uint32_t idx = 0;

	relay_broker_stats(broker, &stats);
	for (unsigned i = 0; i <= ASK_CNT; i++)
		asked += mesh.requests[i].is_used;
	weft_assert(asked == stats.asking_cnt);
	while (relay_broker_next(broker, &idx, &flow)) {
		open++;
		weft_assert(relay_flow_read(relay, flow.id, &view) == 0);
		weft_assert(++opened[flow.keys[0][0]] <= RELAY_OPENED_MAX);
		weft_assert(memcmp(flow.keys[0], flow.keys[1], RELAY_KEY_LEN) != 0);
	}
	weft_assert(open == relay_stats(relay)->open_cnt);
}

static void on_closed(void *ctx, struct relay_flow_id id, enum relay_close_why why)
{
	(void)ctx;
	relay_broker_closed(broker, id, why);
}

static void begin(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {3}, own[RELAY_KEY_LEN] = {1, 1};
	static struct node_key *key;
	struct relay_params params = {.random = &dice, .on_closed = on_closed};
	struct relay_broker_params of_broker = {.flow_cap = FLOW_CNT, .random = &dice};

	memset(&mesh, 0, sizeof(mesh));
	mesh.now_ns = 1000 * NS_PER_S;
	mesh.wall_s = 1800000000;
	random_init_seeded(&dice, 5);
	broker = NULL;
	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	relay_config_defaults(&params.config);
	params.config.is_on = true;
	params.config.flow_cap = FLOW_CNT;
	params.key = key;
	params.now_ns = of_broker.now_ns = mesh.now_ns;
	params.wall_s = of_broker.wall_s = mesh.wall_s;
	if (relay_new(&params, &relay) < 0)
		abort();
	of_broker.config.ask_cap = ASK_CNT;
	of_broker.relay = relay;
	of_broker.own_key = own;
	of_broker.mesh = (struct mesh_seam){&ops, &mesh};
	of_broker.neighbours = &neighbours;
	if (relay_broker_new(&of_broker, &broker) < 0)
		abort();
	for (unsigned i = 0; i < END_CNT; i++) {
		mesh.is_up[i] = true;
		end_place(i, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor input = cursor_of(data, len);
	struct relay_broker_stats stats;

	begin();
	for (unsigned i = 0; i < STEPS_MAX && cursor_left(&input); i++) {
		step(&input);
		check();
	}
	for (unsigned i = 0; i < END_CNT; i++)
		end_down(i);
	check();
	relay_broker_stop(broker);
	for (unsigned i = 0; i < OPEN_CNT; i++)
		weft_assert(!mesh.incoming[i].is_used);
	relay_broker_stats(broker, &stats);
	weft_assert(stats.asking_cnt == 0 && stats.end_cnt == 0);
	weft_assert(relay_stats(relay)->open_cnt == 0);
	relay_broker_free(broker);
	relay_free(relay);
	return 0;
}
