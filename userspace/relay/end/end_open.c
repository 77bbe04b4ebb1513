/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this end asks for: flows, and their end. Sessions with relays are in end_legs.c.
 *
 * A relay that restarted has lost its flows. The opener asks for the flow every END_RETRY_NS until its
 * peer is there, too. A dial that wants the flow ends a longer pause.
 */
#include <string.h>

#include "relay_end_state.h"

/* The relay waits for the peer for 5 s. */
#define ASK_TIMEOUT_NS	 (6 * NS_PER_S)
#define CLOSE_TIMEOUT_NS (5 * NS_PER_S)
/* After so many failures, or a refusal that time alone mends, pauses double up to PAUSE_MAX_NS. */
#define FIRST_TRIES  3
#define PAUSE_NS     NS_PER_S
#define PAUSE_MAX_NS (16 * NS_PER_S)
/*
 * A peer that a relay has lost may be back there any moment, and the relay does not say so. A lost flow
 * is given up after GIVE_UP_NS, so these are 60 small requests over a session that is there.
 */
#define PAUSE_ABSENT_NS NS_PER_S
/* A lost flow is given up after this; QUIC's own idle timeout is about as long. */
#define GIVE_UP_NS (60 * NS_PER_S)
/* An offer that no FLOW follows. */
#define AWAIT_NS (10 * NS_PER_S)
/* A session through a relay is kept alive by QUIC, each 25 s at least. */
#define IDLE_NS (120 * NS_PER_S)
/* --- FLOW_OPEN --- */

/* The relay has judged: asked at once it would say the same. */
static bool is_answered(const struct mesh_reply *reply)
{
	return reply && (reply->err == WEFT_EABSENT || reply->err == WEFT_EREFUSED ||
			 reply->err == WEFT_EUNKNOWN || reply->err == 0);
}

static void flow_failed(struct end_flow *flow, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct relay_end *end = flow->end;
	bool is_final = reply && reply->err == WEFT_EREFUSED;
	uint64_t pause_ns = END_RETRY_NS;

	flow->fail_cnt++;
	end->stats.failed_cnt++;
	if (is_final || flow->is_spare || flow->fail_cnt > END_FAST_CNT)
		pause_ns = PAUSE_NS << (flow->fail_cnt < 5 ? flow->fail_cnt - 1 : 4);
	if (pause_ns > PAUSE_ABSENT_NS && reply && reply->err == WEFT_EABSENT)
		pause_ns = PAUSE_ABSENT_NS;
	if (pause_ns > PAUSE_MAX_NS)
		pause_ns = PAUSE_MAX_NS;
	flow->retry_ns = now_ns + pause_ns;
	flow->deferred_ns = reply ? reply->not_before_ns : 0;
	if (flow->deferred_ns > flow->retry_ns)
		flow->retry_ns = flow->deferred_ns;
	relay_end_hurry(end, flow->retry_ns);
	/* One that never was goes, and the next relay is asked. What may be mended is asked for again. */
	if (!flow->was_open && (is_answered(reply) || flow->fail_cnt == FIRST_TRIES)) {
		flow->is_over = true;
		relay_end_hurry(end, now_ns);
	}
}

static void on_opened(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct end_flow *flow = arg;
	struct relay_end *end = flow->end;
	struct relay_flow_message message;
	bool was_open = flow->was_open;

	flow->request = NULL;
	end->now_ns = relay_end_later(end->now_ns, now_ns);
	if (flow->has_shown && reply->not_before_ns)
		flow->relay->granted_ns = reply->not_before_ns;
	/* The refusal may be of the grant or of the flow: without the grant the latter is said again. */
	if (flow->is_trial && reply->err < 0)
		flow->relay->refuses_grant = false;
	flow->is_trial = flow->has_shown && reply->err == WEFT_EREFUSED;
	if (flow->is_trial) {
		flow->relay->refuses_grant = true;
		end->stats.grant_refused_cnt++;
		flow->retry_ns = now_ns;
		relay_end_hurry(end, now_ns);
		return;
	}
	if (reply->err < 0 ||
	    relay_message_flow_parse(reply->payload, reply->payload_len, &message) < 0 ||
	    memcmp(message.peer, flow->peer, MESH_KEY_LEN) != 0 ||
	    message.class != flow->asked_class || relay_end_flow_tell(flow, &message) < 0) {
		flow_failed(flow, reply, now_ns);
		return;
	}
	(void)relay_end_relay_look(flow->relay);
	relay_end_queue_drop(&flow->out, flow->carried_cnt);
	if (!was_open && end->params.tell_relay)
		end->params.tell_relay(end->params.ctx, flow->relay->place.key,
				       relay_end_later(now_ns - flow->asked_ns, 1));
}

static void open_first(const struct end_flow *flow, struct relay_first *first)
{
	for (unsigned i = 0; i < flow->out.cnt && first->cnt < RELAY_FIRST_CNT_MAX; i++) {
		const struct end_queued *queued = &flow->out.dgrams[i];

		/* The first ones alone, or none: so many leave the queue when the flow opens. */
		if (queued->len < WEFT_RELAY_INNER_LEN_MIN)
			break;
		first->dgrams[first->cnt].data = queued->bytes;
		first->dgrams[first->cnt++].len = queued->len;
	}
}

/* False: there is none for this relay, or the relay has refused it in this session. */
static bool grant_at(const struct end_relay *relay, struct relay_end_grant *out_grant)
{
	const struct relay_end_params *params = &relay->end->params;

	return params->grant && !relay->refuses_grant &&
	       params->grant(params->ctx, relay->place.key, out_grant);
}

enum relay_class relay_end_class_at(const struct end_relay *relay)
{
	struct relay_end_grant grant;

	/* Over TCP content is refused, whatever a grant says. */
	if (relay->place.is_web)
		return RELAY_CONTROL;
	return grant_at(relay, &grant) && grant.is_content ? RELAY_CONTENT : RELAY_CONTROL;
}

static void grant_show(struct end_flow *flow, struct relay_open_message *message)
{
	const struct relay_end *end = flow->end;
	struct relay_end_grant grant = {.len = 0};

	flow->has_shown = grant_at(flow->relay, &grant);
	message->grant = grant.bytes;
	message->grant_len = (uint16_t)grant.len;
	/* The relay may have said when to come again to a request without one. */
	if (flow->has_shown && end->params.undefer && end->now_ns >= flow->relay->granted_ns)
		end->params.undefer(end->params.ctx, flow->relay->place.key);
}

/*
 * QUIC has the label of a flow that was never open, and its handshake cannot move to that of another
 * class. So another flow takes its place.
 */
static bool flow_is_outdated(struct end_flow *flow)
{
	flow->asked_class = relay_end_class_at(flow->relay);
	flow->is_replaced = !flow->was_open && flow->asked_class != flow->class;
	if (flow->is_replaced) {
		flow->is_over = true;
		relay_end_hurry(flow->end, flow->end->now_ns);
	}
	return flow->is_replaced;
}

static void flow_ask(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	const struct end_relay *relay = flow->relay;
	struct relay_open_message message = {.mtu = END_LEG_MTU};
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.peer = {.addrs = relay->place.addrs, .addr_cnt = relay->place.addr_cnt},
		.type = MESH_FLOW_OPEN,
		.payload = payload,
		.reply_buf = flow->reply,
		.reply_cap = sizeof(flow->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_opened,
		.arg = flow,
	};

	if (flow_is_outdated(flow))
		return;
	message.class = flow->asked_class;
	memcpy(ask.peer.key, relay->place.key, MESH_KEY_LEN);
	/* A session that is there is used wherever it leads. */
	if (relay->is_up)
		ask.peer.addr_cnt = 0;
	else if (relay->place.is_told)
		ask.peer.told_cnt = ask.peer.addr_cnt;
	memcpy(message.peer, flow->peer, MESH_KEY_LEN);
	grant_show(flow, &message);
	open_first(flow, &message.first);
	flow->carried_cnt = message.first.cnt;
	relay_message_open_write(&w, &message);
	ask.payload_len = writer_len(&w);
	flow->asked_ns = end->now_ns;
	if (end->params.mesh.ops->ask(end->params.mesh.mesh, &ask, end->now_ns, &flow->request) <
	    0) {
		flow->request = NULL;
		flow_failed(flow, NULL, end->now_ns);
		return;
	}
}

void relay_end_open_stop(struct end_flow *flow)
{
	if (flow->request)
		flow->end->params.mesh.ops->cancel(flow->request);
	flow->request = NULL;
}

/* --- FLOW_CLOSE --- */

static void on_said(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct end_farewell *farewell = arg;

	(void)reply, (void)now_ns;
	farewell->request = NULL;
}

/* The relay forgets a flow that is not used: without room here nothing is said. */
void relay_end_say_closed(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	const struct relay_close_message message = {.flow = flow->number, .why = RELAY_END_DONE};
	struct end_farewell *farewell = NULL;
	uint8_t payload[32];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_FLOW_CLOSE,
		.payload = payload,
		.reply_cap = sizeof(farewell->reply),
		.timeout_ns = CLOSE_TIMEOUT_NS,
		.reply = on_said,
	};

	for (unsigned i = 0; i < END_FAREWELL_CAP && !farewell; i++)
		if (!end->farewells[i].request)
			farewell = &end->farewells[i];
	if (!farewell || !flow->is_open || !flow->relay->is_up || flow->relay->place.is_web)
		return;
	memcpy(ask.peer.key, flow->relay->place.key, MESH_KEY_LEN);
	relay_message_close_write(&w, &message);
	ask.payload_len = writer_len(&w);
	ask.reply_buf = farewell->reply;
	ask.arg = farewell;
	if (end->params.mesh.ops->ask(end->params.mesh.mesh, &ask, end->now_ns,
				      &farewell->request) < 0)
		farewell->request = NULL;
}

/* --- flows --- */

static bool flow_is_done(const struct end_flow *flow)
{
	const struct relay_end *end = flow->end;

	if (flow->is_over)
		return true;
	if (flow->is_open)
		return end->now_ns >=
		       relay_end_later(relay_end_flow_used_ns(flow), flow->warm_ns) + IDLE_NS;
	if (!flow->was_open)
		return end->now_ns >= flow->made_ns + AWAIT_NS;
	return end->now_ns >= flow->lost_ns + GIVE_UP_NS;
}

static void flow_move(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	struct addr old = flow->addr;

	flow->is_moving = false;
	if (relay_end_flow_relabel(flow) < 0)
		return;
	end->stats.moved_cnt++;
	if (end->params.move)
		end->params.move(end->params.ctx, &old, &flow->addr);
}

static void flow_deliver(struct end_flow *flow)
{
	unsigned cnt = flow->in.cnt;

	flow->in.cnt = 0;
	for (unsigned i = 0; i < cnt; i++) {
		struct dgram dgram = {
			.data = flow->in.dgrams[i].bytes,
			.len = flow->in.dgrams[i].len,
			.local = flow->addr,
			.remote = flow->addr,
		};

		flow->heard_ns = flow->end->now_ns;
		flow->end->params.deliver(flow->end->params.ctx, &dgram);
	}
}

static void flow_end(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	struct end_search *search = flow->is_replaced ? flow->search : NULL;
	const struct relay_end_place place = flow->relay->place;
	struct addr addr = flow->addr;

	relay_end_say_closed(flow);
	relay_end_flow_free(flow);
	end->params.expel(end->params.ctx, &addr);
	if (search)
		relay_end_search_again(search, &place);
}

/* A flow that was lost is opened again unasked. */
static bool flow_is_missed(const struct end_flow *flow)
{
	return flow->was_open && (flow->is_spare || relay_end_flow_is_recent(flow));
}

static void flow_turn(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	if (flow->relay->place.is_web)
		relay_end_web_turn(flow);
	relay_end_spare_turn(flow);
	relay_end_content_turn(flow);
	if (end->now_ns >= flow->noted_ns + END_NOTE_NS)
		relay_end_flow_note(flow);
	if (flow->is_open && end->now_ns >= flow->expires_ns)
		relay_end_flow_lose(flow);
	if (flow_is_done(flow)) {
		flow_end(flow);
		return;
	}
	if (flow->is_moving)
		flow_move(flow);
	flow_deliver(flow);
	if (flow->is_open) {
		relay_end_flow_count(flow, false);
		relay_end_search_settle(flow, true);
		relay_end_queue_send(flow);
		if (flow->is_back && end->params.path_back)
			end->params.path_back(end->params.ctx, &flow->addr);
		flow->is_back = false;
		return;
	}
	if (!flow->is_opener || flow->request || flow->relay->place.is_web ||
	    (!flow->out.cnt && !flow->is_wanted && !flow_is_missed(flow)))
		return;
	/* The request would hold the dial up that it waits for (leg_connect). */
	if (!flow->relay->is_up && flow->relay->path.remote.transport == ADDR_TCP)
		return;
	if (end->now_ns >= flow->retry_ns)
		flow_ask(flow);
	else
		relay_end_hurry(end, flow->retry_ns);
}

void relay_end_open_turn(struct relay_end *end)
{
	relay_end_keep_turn(end);
	for (unsigned i = 0; i < end->relay_cap; i++)
		relay_end_leg_turn(&end->relays[i]);
	relay_end_vias_turn(end);
	for (unsigned i = 0; i < end->flow_cap; i++)
		if (end->flows[i].relay)
			flow_turn(&end->flows[i]);
}
