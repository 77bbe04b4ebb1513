/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FLOW_OPEN and FLOW_CLOSE of ends. A flow opens once the other end accepted the offer; until then
 * the request waits in a place of the opener's account.
 */
#include <string.h>

#include "base/container_of.h"
#include "broker_state.h"

#define BUSY_WAIT_MS 1000u
#define OFF_WAIT_MS  10000u /* a person may switch it on again */

struct refusal {
	enum mesh_code code;
	uint64_t wait_ms;
	const char *text;
};

static const struct refusal malformed = {MESH_CODE_MALFORMED, 0, "no request for a flow"};
static const struct refusal too_many = {
	MESH_CODE_REFUSED, 0, "three flows without a grant are open or on their way, close one"};
static const struct refusal busy = {MESH_CODE_BUSY, BUSY_WAIT_MS,
				    "this relay has no place for the request, ask later"};
static const struct refusal off = {MESH_CODE_REFUSED, OFF_WAIT_MS, "this node is no relay now"};
static const struct refusal spent = {
	MESH_CODE_REFUSED, 0,
	"as many flows were opened today as a key, or its network, has "
	"without a grant"};
static const struct refusal absent = {MESH_CODE_ABSENT, 0,
				      "the peer has no session over UDP with this relay"};
static const struct refusal own_tcp = {MESH_CODE_REFUSED, 0,
				       "a flow needs a session over UDP with this relay"};
static const struct refusal content = {MESH_CODE_REFUSED, 0,
				       "content flows need a grant at this relay"};
static const struct refusal full = {MESH_CODE_REFUSED, BUSY_WAIT_MS,
				    "this relay has no flow left for the account"};
static const struct refusal peer_full = {MESH_CODE_REFUSED, 0,
					 "the peer has 64 flows of others here"};
static const struct refusal same_addr = {MESH_CODE_REFUSED, 0,
					 "both ends are at one address, or at the relay's own"};
static const struct refusal silent = {MESH_CODE_TIMEOUT, 0, "the peer did not answer the offer"};
static const struct refusal declined = {MESH_CODE_REFUSED, 0, "the peer does not take the flow"};
static const struct refusal grant_gone = {MESH_CODE_BUSY, BUSY_WAIT_MS,
					  "the grant lost its place meanwhile, show it again"};
static const struct refusal left = {MESH_CODE_ABSENT, 0, "the peer's session with the relay ended"};

/* incoming is NULL for a guest's request. */
static void refuse(struct relay_broker *broker, struct mesh_incoming *incoming,
		   const struct refusal *refusal)
{
	uint64_t wait_ms = refusal->wait_ms;

	if (refusal == &spent)
		wait_ms = (uint64_t)relay_day_left_s(broker->params.relay) * 1000;
	broker->stats.refused_cnt++;
	if (incoming)
		broker->params.mesh.ops->answer_error(incoming, refusal->code, refusal->text,
						      wait_ms);
}

/* --- the request --- */

struct opening {
	const struct mesh_call *call;
	struct relay_open_message message;
	struct mesh_path opener, peer;
	bool is_guest, is_peer_guest;
	unsigned grant;
};

/* NULL: go on. A refusal of a grant has its own words, in *own. */
static const struct refusal *terms_judge(struct relay_broker *broker, struct opening *opening,
					 struct refusal *own)
{
	const struct relay_open_message *message = &opening->message;
	const struct relay_broker_params *params = &broker->params;

	opening->grant = RELAY_NO_GRANT;
	*own = (struct refusal){MESH_CODE_REFUSED, 0, "this relay takes no grants"};
	if (message->grant_len &&
	    (!params->grant || params->grant(params->ctx, opening->call->peer_key, message,
					     &opening->grant, &own->text) < 0))
		return own;
	if (message->class == RELAY_CONTENT && !message->grant_len &&
	    !params->config.has_free_content)
		return &content;
	return NULL;
}

static bool is_day_spent(const struct relay_broker *broker, const struct opening *opening)
{
	const uint8_t *key = opening->call->peer_key;
	const struct relay_flow_terms terms = {
		.owner = key,
		.addr = &opening->opener.remote,
		.class = broker->params.class_of ? broker->params.class_of(broker->params.ctx, key)
						 : FAIR_UNKNOWN,
	};

	return relay_flow_judge(broker->params.relay, &terms) == WEFT_EBUSY;
}

static const struct refusal *ends_judge(struct relay_broker *broker, struct opening *opening)
{
	const uint8_t *key = opening->call->peer_key, *peer = opening->message.peer;
	const struct broker_end *end = relay_broker_end_find(broker, key);

	if (memcmp(peer, key, RELAY_KEY_LEN) == 0 ||
	    memcmp(peer, broker->params.own_key, RELAY_KEY_LEN) == 0)
		return &malformed;
	if (!relay_broker_end_look(broker, key, &opening->opener, &opening->is_guest))
		return &own_tcp;
	/* Guests reach each other without flows. */
	if (!relay_broker_end_look(broker, peer, &opening->peer, &opening->is_peer_guest) ||
	    (opening->is_guest && opening->is_peer_guest))
		return &absent;
	if (!opening->message.grant_len && end && end->free_cnt >= RELAY_OPENED_MAX)
		return &too_many;
	return opening->message.grant_len || !is_day_spent(broker, opening) ? NULL : &spent;
}

static void pending_begin(struct broker_end *opener, bool has_grant)
{
	opener->pending_cnt++;
	opener->free_cnt += !has_grant;
}

/* opener is gone after this if it has nothing else. */
static void pending_end(struct relay_broker *broker, struct broker_end *opener, bool has_grant)
{
	opener->pending_cnt--;
	opener->free_cnt -= !has_grant;
	relay_broker_end_drop(broker, opener);
}

static void on_opener_gone(void *arg)
{
	struct broker_ask *ask = arg;

	pending_end(ask->broker, ask->opener, ask->has_grant);
	relay_broker_ask_end(ask->broker, ask);
}

/* The place of the offer that was begun last. */
static struct broker_ask *newest(const struct relay_broker *broker)
{
	return container_of(broker->asks.prev, struct broker_ask, link);
}

static struct broker_ask fields_of(const struct relay_broker *broker, const struct opening *opening,
				   struct broker_end *opener, enum fair_class account)
{
	const struct relay_open_message *message = &opening->message;
	const uint8_t *grant_id = relay_grant_id_at(broker->params.relay, opening->grant);
	struct broker_ask fields = {
		.kind = BROKER_OFFER,
		.opening = opening->call->incoming,
		.opener = opener,
		.is_peer_guest = opening->is_peer_guest,
		.has_grant = grant_id != NULL,
		.mtu = message->mtu,
		.class = message->class,
		.account = account,
	};

	memcpy(fields.peer, message->peer, sizeof(fields.peer));
	if (grant_id)
		memcpy(fields.grant_id, grant_id, sizeof(fields.grant_id));
	return fields;
}

static const struct refusal *offer_send(struct relay_broker *broker, const struct opening *opening,
					struct broker_end *opener)
{
	const struct relay_open_message *message = &opening->message;
	struct relay_offer_message offer = {.class = message->class, .first = message->first};
	const uint8_t *key = opening->call->peer_key;
	struct fair_path path = relay_broker_path_of(broker, key, &opening->opener.remote);
	const struct broker_ask fields = fields_of(broker, opening, opener, path.class);
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct broker_ask_terms terms = {.path = &path,
					 .key = message->peer,
					 .type = MESH_FLOW_OFFER,
					 .payload = payload,
					 .timeout_ns = RELAY_OFFER_NS};

	memcpy(offer.opener, key, sizeof(offer.opener));
	relay_message_offer_write(&w, &offer);
	terms.payload_len = writer_len(&w);
	/* Counted before: a full pool may take the place of another offer of this opener. */
	pending_begin(opener, fields.has_grant);
	if (relay_broker_ask_begin(broker, &fields, &terms) < 0) {
		pending_end(broker, opener, fields.has_grant);
		return &busy;
	}
	broker->stats.offered_cnt++;
	if (opening->call->incoming)
		broker->params.mesh.ops->abandoned(opening->call->incoming, on_opener_gone,
						   newest(broker));
	return NULL;
}

static const struct refusal *flow_begin(struct relay_broker *broker, const struct broker_ask *ask,
					uint16_t mtu, struct relay_flow_id *out_id);
static void flow_answer(struct relay_broker *broker, struct mesh_incoming *opening,
			struct broker_flow *flow);

/* A flow to a guest, which is open when this returns, unless it is refused. */
static const struct refusal *to_guest_open(struct relay_broker *broker,
					   const struct opening *opening, struct broker_end *opener)
{
	struct fair_path path = relay_broker_path_of(broker, opener->key, &opening->opener.remote);
	const struct broker_ask fields = fields_of(broker, opening, opener, path.class);
	const struct refusal *refusal;
	struct relay_flow_id id;

	/* So that opener stays, whatever makes room. */
	pending_begin(opener, fields.has_grant);
	refusal = flow_begin(broker, &fields, BROKER_GUEST_MTU, &id);
	pending_end(broker, opener, fields.has_grant);
	if (refusal)
		return refusal;
	relay_broker_guest_deliver(broker, fields.peer, opening->call->peer_key,
				   &opening->message.first);
	flow_answer(broker, fields.opening, &broker->flows[id.idx]);
	return NULL;
}

static const struct refusal *open_begin(struct relay_broker *broker, struct opening *opening,
					struct refusal *own)
{
	const struct refusal *refusal = ends_judge(broker, opening);
	struct broker_end *opener;

	if (!refusal)
		refusal = terms_judge(broker, opening, own);
	if (refusal)
		return refusal;
	opener = relay_broker_end_make(broker, opening->call->peer_key);
	if (!opener)
		return &busy;
	return opening->is_peer_guest ? to_guest_open(broker, opening, opener)
				      : offer_send(broker, opening, opener);
}

void relay_broker_on_open(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_broker *broker = ctx;
	struct opening opening = {.call = call};
	const struct refusal *refusal = &malformed;
	struct refusal own;

	broker->now_ns = now_ns;
	if (!relay_messages_admit(broker->params.messages, call, now_ns))
		return;
	broker->stats.asked_cnt++;
	if (broker->is_off)
		refusal = &off;
	else if (relay_message_open_parse(call->payload, call->payload_len, &opening.message) == 0)
		refusal = open_begin(broker, &opening, &own);
	if (refusal)
		refuse(broker, call->incoming, refusal);
}

bool relay_broker_guest_open(struct relay_broker *broker, const uint8_t *guest,
			     const struct relay_open_message *message)
{
	const struct mesh_call call = {.peer_key = guest};
	struct opening opening = {.call = &call, .message = *message};
	const struct refusal *refusal;
	struct refusal own;

	broker->stats.asked_cnt++;
	refusal = broker->is_off ? &off : open_begin(broker, &opening, &own);
	if (refusal)
		refuse(broker, NULL, refusal);
	return !refusal;
}

/* --- the other end's answer --- */

static void leg_enter(struct broker_flow *flow, unsigned leg, struct broker_end *end,
		      const struct mesh_path *path)
{
	flow->legs[leg] = (struct broker_leg){.end = end};
	/* Older legs may be elsewhere still: the sweep moves all of them together. */
	if (list_is_empty(&end->legs)) {
		end->remote = path->remote;
		end->local = path->local;
		end->session = path->session;
	}
	list_push_back(&end->legs, &flow->legs[leg].by_end);
}

/* The row is open: both legs get their addresses. False: they cannot be legs of one flow. */
static bool legs_set(struct relay_broker *broker, struct relay_flow_id id,
		     struct broker_end *const ends[static 2],
		     const struct mesh_path paths[static 2])
{
	for (unsigned leg = 0; leg < 2; leg++)
		if (relay_broker_leg_set(broker, id, leg, ends[leg], &paths[leg]) < 0) {
			relay_flow_close(broker->params.relay, id);
			return false;
		}
	return true;
}

static void flow_enter(struct relay_broker *broker, const struct broker_ask *ask,
		       struct broker_end *const ends[static 2], struct relay_flow_id id,
		       const struct mesh_path paths[static 2])
{
	struct broker_flow *flow = &broker->flows[id.idx];
	struct relay_flow_view view;

	*flow = (struct broker_flow){
		.id = id, .class = ask->class, .is_open = true, .is_free = !ask->has_grant};
	if (relay_flow_read(broker->params.relay, id, &view) == 0) {
		flow->mtu = (uint16_t)view.mtu;
		flow->generation = view.generation;
		flow->is_slow = view.is_slow;
	}
	for (unsigned leg = 0; leg < 2; leg++)
		leg_enter(flow, leg, ends[leg], &paths[leg]);
	ends[0]->free_cnt += flow->is_free;
	ends[1]->accepted_cnt++;
	broker->open_cnt++;
	broker->stats.opened_cnt++;
}

static const struct refusal *flow_refusal(int err)
{
	if (err == 0)
		return NULL;
	return err == WEFT_EBUSY ? &spent : &full;
}

/* A session may have moved or ended since the request. */
static const struct refusal *flow_begin(struct relay_broker *broker, const struct broker_ask *ask,
					uint16_t mtu, struct relay_flow_id *out_id)
{
	struct broker_end *ends[2] = {ask->opener, relay_broker_end_make(broker, ask->peer)};
	const struct relay_flow_terms terms = {
		.owner = ask->opener->key,
		.class = ask->account,
		.grant = ask->has_grant ? relay_grant_row(broker->params.relay, ask->grant_id)
					: RELAY_NO_GRANT,
		.traffic = ask->class == RELAY_CONTENT ? RELAY_CONTENT : RELAY_CONTROL,
		.mtu = mtu < ask->mtu ? mtu : ask->mtu,
	};
	struct relay_flow_terms of_opener = terms;
	struct mesh_path paths[2];
	const struct refusal *refusal = NULL;
	bool is_guest = false, is_peer_guest = false;

	if (!ends[1])
		return &busy;
	if (!relay_broker_end_look(broker, ask->opener->key, &paths[0], &is_guest) ||
	    !relay_broker_end_look(broker, ask->peer, &paths[1], &is_peer_guest) ||
	    is_guest != !ask->opening || is_peer_guest != ask->is_peer_guest ||
	    (ask->opener->is_guest != is_guest && !list_is_empty(&ask->opener->legs)) ||
	    (ends[1]->is_guest != is_peer_guest && !list_is_empty(&ends[1]->legs)))
		refusal = &left;
	else if (ask->has_grant && terms.grant == RELAY_NO_GRANT)
		refusal = &grant_gone;
	else if (ends[1]->accepted_cnt >= RELAY_ACCEPTED_MAX &&
		 !(is_peer_guest && relay_broker_guest_room(broker, ends[1], &paths[0].remote)))
		refusal = &peer_full;
	else
		ask->opener->is_guest = is_guest;
	of_opener.addr = &paths[0].remote;
	if (!refusal)
		refusal = flow_refusal(relay_flow_open(broker->params.relay, &of_opener, out_id));
	/* A flow that made room may have been the peer's last. */
	ends[1] = relay_broker_end_make(broker, ask->peer);
	/* Its session is the leg, if it has one. What it was as a client over WebSocket is over then. */
	if (!refusal)
		ends[1]->is_guest = is_peer_guest;
	if (!refusal && !legs_set(broker, *out_id, ends, paths))
		refusal = &same_addr;
	if (!refusal)
		flow_enter(broker, ask, ends, *out_id, paths);
	relay_broker_end_drop(broker, ends[1]);
	return refusal;
}

static const struct refusal *refusal_of(struct relay_broker *broker, const struct mesh_reply *reply)
{
	if (reply->err == WEFT_ETIMEOUT) {
		broker->stats.silent_cnt++;
		return &silent;
	}
	if (reply->err == WEFT_ECLOSED || reply->err == WEFT_EUNREACHABLE)
		return &left;
	broker->stats.declined_cnt++;
	return &declined;
}

static void flow_answer(struct relay_broker *broker, struct mesh_incoming *opening,
			struct broker_flow *flow)
{
	uint8_t payload[256];
	size_t len = relay_broker_flow_write(broker, flow, 0, payload, sizeof(payload));

	relay_broker_label_tell(broker, flow, 1);
	if (!opening) {
		relay_broker_label_tell(broker, flow, 0);
		return;
	}
	/* An opener that left has taken its session's flows along, or closes this one by its word. */
	if (broker->params.mesh.ops->answer(opening, MESH_FLOW, payload, len, NULL) == 0) {
		flow->legs[0].is_told = true;
		flow->legs[0].told_generation = flow->generation;
		flow->legs[0].told_slow = flow->is_slow;
	}
}

void relay_broker_offer_done(struct relay_broker *broker, struct broker_ask *ask,
			     const struct mesh_reply *reply)
{
	const struct broker_ask offer = *ask;
	struct relay_accept_message accept = {.mtu = 0};
	const struct refusal *refusal = NULL;
	struct relay_flow_id id;

	if (reply->err < 0 ||
	    relay_message_accept_parse(reply->payload, reply->payload_len, &accept) < 0)
		refusal = refusal_of(broker, reply);
	/* From here on nothing takes the request back, and what follows may need the place. */
	if (offer.opening)
		broker->params.mesh.ops->abandoned(offer.opening, NULL, NULL);
	relay_broker_ask_end(broker, ask);
	if (!refusal)
		refusal = flow_begin(broker, &offer, accept.mtu, &id);
	if (refusal && !offer.opening)
		relay_broker_guest_refuse(broker, offer.opener->key, offer.peer, NULL);
	pending_end(broker, offer.opener, offer.has_grant);
	if (refusal)
		refuse(broker, offer.opening, refusal);
	else
		flow_answer(broker, offer.opening, &broker->flows[id.idx]);
}

void relay_broker_offer_evicted(struct relay_broker *broker, struct broker_ask *ask)
{
	if (ask->opening)
		broker->params.mesh.ops->abandoned(ask->opening, NULL, NULL);
	else
		relay_broker_guest_refuse(broker, ask->opener->key, ask->peer, NULL);
	pending_end(broker, ask->opener, ask->has_grant);
	refuse(broker, ask->opening, &busy);
}

/* --- FLOW_CLOSE --- */

void relay_broker_on_close(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static const struct refusal no_close = {MESH_CODE_MALFORMED, 0, "no end of a flow"};
	struct relay_broker *broker = ctx;
	struct relay_close_message message;
	struct broker_flow *flow;
	unsigned leg;

	broker->now_ns = now_ns;
	if (!relay_messages_admit(broker->params.messages, call, now_ns))
		return;
	if (relay_message_close_parse(call->payload, call->payload_len, &message) < 0) {
		refuse(broker, call->incoming, &no_close);
		return;
	}
	flow = relay_broker_flow_of(broker, relay_flow_of_number(message.flow, &leg));
	/* The number of another's leg says nothing: it is answered as an unknown one. */
	if (flow && memcmp(flow->legs[leg].end->key, call->peer_key, RELAY_KEY_LEN) == 0)
		relay_broker_flow_end(broker, flow, leg ^ 1, message.why);
	else if (broker->params.end_closed)
		broker->params.end_closed(broker->params.ctx, call->peer_key, &message, now_ns);
	(void)broker->params.mesh.ops->answer(call->incoming, MESH_FLOW_CLOSE, call->payload,
					      call->payload_len, NULL);
}
