/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows of this node's ends and the relays that they go through. A label is keyed over relay,
 * peer and instance. Its first 16 bits after the prefix are those of the relay alone, so whatever
 * counts by IPv6 networks counts peers behind one relay together.
 */
#include <string.h>

#include "base/random.h"
#include "base/siphash_bytes.h"
#include "relay_end_state.h"

static const uint8_t label_prefix[ADDR_RELAY_PREFIX_LEN] = {0xfd, 0x6d, 0x65, 0x73, 0x00, 0x68};

static const struct fair_config accepted_config = {
	.name = "accepted relay flows",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

void relay_end_hurry(struct relay_end *end, uint64_t at_ns)
{
	if (at_ns < end->next_ns)
		end->next_ns = at_ns;
}

int relay_end_table_init(struct relay_end *end)
{
	struct fair_config config = accepted_config;
	uint64_t secret[2];
	int err;

	/* One slot more than shares: a flow that takes another's has a slot before that one goes. */
	end->flow_cap = end->params.config.opened_cap + end->params.config.accepted_cap + 1;
	end->relay_cap = end->flow_cap + RELAY_END_PLACES_MAX;
	config.cap_cnt = end->params.config.accepted_cap;
	random_fill(end->params.random, secret, sizeof(secret));
	random_fill(end->params.random, end->label_secret, sizeof(end->label_secret));
	end->flows = arena_alloc(&end->arena, end->flow_cap * sizeof(*end->flows));
	end->relays = arena_alloc(&end->arena, end->relay_cap * sizeof(*end->relays));
	end->gone = arena_alloc(&end->arena, end->flow_cap * sizeof(*end->gone));
	if (!end->flows || !end->relays || !end->gone)
		return WEFT_EFULL;
	if ((err = fair_places_init(&end->places, &end->arena, &config)) < 0 ||
	    (err = map_init(&end->flows_by_addr, &end->arena, sizeof(struct addr), end->flow_cap,
			    secret)) < 0 ||
	    (err = map_init(&end->flows_by_heard, &end->arena, RELAY_MESSAGE_LABEL_LEN,
			    end->flow_cap, secret)) < 0)
		return err;
	end->places.paths.site = end->params.site;
	return 0;
}

/* --- relays --- */

struct end_relay *relay_end_relay_of_place(struct relay_end *end,
					   const struct relay_end_place *place)
{
	for (unsigned i = 0; i < end->relay_cap; i++)
		if (end->relays[i].is_used && end->relays[i].place.is_web == place->is_web &&
		    memcmp(end->relays[i].place.key, place->key, MESH_KEY_LEN) == 0)
			return &end->relays[i];
	return NULL;
}

struct end_relay *relay_end_relay_find(struct relay_end *end, const uint8_t *key)
{
	struct relay_end_place place = {.is_web = false};

	memcpy(place.key, key, sizeof(place.key));
	return relay_end_relay_of_place(end, &place);
}

struct end_relay *relay_end_relay_make(struct relay_end *end, const struct relay_end_place *place)
{
	struct end_relay *relay = relay_end_relay_of_place(end, place);

	for (unsigned i = 0; !relay && i < end->relay_cap; i++) {
		struct end_relay *at = &end->relays[i];

		/* A connect under way still points to its row. */
		if (at->is_connecting || (at->is_used && (at->flow_cnt || at->is_kept)))
			continue;
		*at = (struct end_relay){
			.end = end, .is_used = true, .place.is_web = place->is_web};
		memcpy(at->place.key, place->key, MESH_KEY_LEN);
		relay = at;
	}
	/* Another node's word does not replace what is better known. */
	if (relay && place->addr_cnt &&
	    (!place->is_told || relay->place.is_told || !relay->place.addr_cnt))
		relay->place = *place;
	return relay;
}

static unsigned worker_of(const struct end_relay *relay)
{
	const struct relay_end_params *params = &relay->end->params;

	return params->worker_of ? params->worker_of(params->ctx, relay->place.key) : 0;
}

bool relay_end_relay_look(struct end_relay *relay)
{
	struct relay_end *end = relay->end;
	bool was_up = relay->is_up;
	uint64_t had_len = relay->path.received_len;

	relay->path_ns = end->now_ns;
	if (relay->place.is_web)
		return relay_end_web_look(relay);
	relay->is_up = end->params.path(end->params.ctx, relay->place.key, &relay->path);
	if (!relay->is_up)
		return false;
	relay->fail_cnt = 0;
	relay->leg = relay->path.remote;
	if (relay->leg.transport == ADDR_TCP || addr_is_line(&relay->leg))
		relay->leg = addr_of_leg(relay->place.key, worker_of(relay));
	if (!was_up || relay->path.received_len != had_len ||
	    relay->path.local.family == ADDR_NONE) {
		relay->session_ns = end->now_ns;
		relay->owes_ns = 0;
		relay->is_silent = relay->is_gone = relay->has_warned = false;
	}
	if (!was_up)
		relay->refuses_grant = false;
	if (!relay->place.addr_cnt) {
		relay->place.addrs[0] = relay->path.remote;
		relay->place.addr_cnt = 1;
	}
	return true;
}

/*
 * A relay whose last session was on TCP is dialled by TCP alone. It is dialled anew after half a
 * second, then one, two. A port that is closed says so at once, and QUIC without an answer would hold
 * the next dial up for seconds. Each eighth time UDP has its turn as well.
 */
#define CONNECT_NS	     (10 * NS_PER_S)
#define TCP_PATIENCE_NS	     (500 * NS_PER_MS)
#define TCP_PATIENCE_DOUBLES 4
#define UDP_TURN	     8

uint64_t relay_end_relay_dial(const struct end_relay *relay, struct relay_end_place *out_place)
{
	unsigned doubles =
		relay->fail_cnt < TCP_PATIENCE_DOUBLES ? relay->fail_cnt : TCP_PATIENCE_DOUBLES;

	*out_place = relay->place;
	if (relay->path.remote.transport != ADDR_TCP || relay->fail_cnt % UDP_TURN == UDP_TURN - 1)
		return CONNECT_NS;
	out_place->addrs[0] = relay->path.remote;
	out_place->addr_cnt = 1;
	return TCP_PATIENCE_NS << doubles;
}

/* --- flows --- */

struct end_flow *relay_end_flow_find(struct relay_end *end, const struct end_relay *relay,
				     const uint8_t *peer, bool is_opener)
{
	for (unsigned i = 0; i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];

		if (flow->relay == relay && (flow->is_opener == is_opener || relay->place.is_web) &&
		    memcmp(flow->peer, peer, MESH_KEY_LEN) == 0)
			return flow;
	}
	return NULL;
}

struct label_source {
	uint8_t relay[MESH_KEY_LEN], peer[MESH_KEY_LEN];
	uint32_t instance;
};

static struct addr label_of(const struct end_flow *flow)
{
	const struct relay_end *end = flow->end;
	struct label_source source = {.instance = flow->instance};
	struct addr addr = {
		.family = ADDR_IPV6,
		.transport = ADDR_RELAY,
		.port = flow->relay->place.is_web      ? ADDR_RELAY_WEB_PORT
			: flow->class == RELAY_CONTENT ? ADDR_RELAY_CONTENT_PORT
						       : ADDR_RELAY_CONTROL_PORT,
	};
	uint64_t network, host;

	memcpy(source.relay, flow->relay->place.key, MESH_KEY_LEN);
	memcpy(source.peer, flow->peer, MESH_KEY_LEN);
	network = siphash(end->label_secret, source.relay, sizeof(source.relay));
	host = siphash(end->label_secret, &source, sizeof(source));
	memcpy(addr.ip, label_prefix, sizeof(label_prefix));
	memcpy(addr.ip + 6, &network, 2);
	memcpy(addr.ip + 8, &host, 8);
	return addr;
}

/* Each label of a node's life has an instance of its own. */
static int flow_label(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	struct addr addr;

	flow->instance = ++end->next_instance;
	addr = label_of(flow);
	if (map_lookup(&end->flows_by_addr, &addr))
		return WEFT_EFULL;
	if (map_put(&end->flows_by_addr, &addr, flow) < 0)
		return WEFT_EFULL;
	flow->addr = addr;
	return 0;
}

int relay_end_flow_relabel(struct end_flow *flow)
{
	struct addr old = flow->addr;
	int err = flow_label(flow);

	if (err < 0)
		return err;
	(void)map_delete(&flow->end->flows_by_addr, &old);
	return 0;
}

static struct end_flow *flow_slot(struct relay_end *end)
{
	for (unsigned i = 0; i < end->flow_cap; i++)
		if (!end->flows[i].relay)
			return &end->flows[i];
	return NULL;
}

/* The relay learns it now, and QUIC in the next turn, as this may be inside a handler. */
bool relay_end_flow_yield(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	if (end->gone_cnt == end->flow_cap)
		return false;
	end->gone[end->gone_cnt++] = flow->addr;
	relay_end_hurry(end, end->now_ns);
	relay_end_say_closed(flow);
	relay_end_flow_free(flow);
	return true;
}

/* The account is the relay's: it could name any opener. */
static bool flow_take_share(struct end_flow *flow)
{
	struct relay_end *end = flow->end;
	const struct end_relay *relay = flow->relay;
	struct fair_item *victim = NULL;
	struct fair_path path;

	/* More go in one turn than there are: the relays that ask so often are asked to wait. */
	if (end->gone_cnt == end->flow_cap)
		return false;
	fair_path_of_addr(&end->places.paths, &relay->path.remote,
			  end->params.key_class(end->params.ctx, relay->place.key), &path);
	fair_path_add(&end->places.paths, &path, relay->place.key, MESH_KEY_LEN);
	switch (fair_take(&end->places.fair, &path, &flow->share, end->now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		((struct end_flow *)victim)->is_evicted = true;
		return relay_end_flow_yield((struct end_flow *)victim);
	case FAIR_BUSY:
		break;
	}
	return false;
}

/* relay NULL: any. NULL: all are used, or wanted. */
static struct end_flow *idlest_flow(struct relay_end *end, const struct end_relay *relay)
{
	struct end_flow *idlest = NULL;

	for (unsigned i = 0; i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];
		bool may_yield = relay ? flow->relay == relay && flow->is_spare : !!flow->relay;

		if (may_yield && flow->is_opener && !flow->search &&
		    (!idlest || flow->sent_ns < idlest->sent_ns))
			idlest = flow;
	}
	return idlest;
}

/* With a grant the relay says how many there may be; without one the spare ones yield. */
static bool is_full_at(struct relay_end *end, const struct end_relay *relay)
{
	struct relay_end_grant grant;
	unsigned cnt = 0;

	for (unsigned i = 0; i < end->flow_cap; i++)
		cnt += end->flows[i].relay == relay && end->flows[i].is_opener;
	if (cnt < RELAY_OPENED_MAX || relay->place.is_web)
		return false;
	return relay->refuses_grant || !end->params.grant ||
	       !end->params.grant(end->params.ctx, relay->place.key, &grant);
}

/* A flow of this node's own that nothing used lately makes room for another. */
#define YIELD_NS 10000000000ull
static bool opened_make_room(struct relay_end *end, const struct end_relay *relay)
{
	bool is_full = end->stats.opened_now >= end->params.config.opened_cap;
	struct end_flow *idlest = NULL;

	if (is_full)
		idlest = idlest_flow(end, NULL);
	else if (is_full_at(end, relay))
		idlest = idlest_flow(end, relay);
	if (!idlest || end->now_ns < idlest->sent_ns + YIELD_NS)
		return !is_full;
	return relay_end_flow_yield(idlest) || !is_full;
}

struct end_flow *relay_end_flow_make(struct relay_end *end, struct end_relay *relay,
				     const struct end_flow_of *of)
{
	struct end_flow *flow = flow_slot(end);
	bool is_opener = of->is_opener, has_share;

	if (!flow || (is_opener && !opened_make_room(end, relay)))
		return NULL;
	*flow = (struct end_flow){
		.end = end,
		.relay = relay,
		.class = of->class,
		.asked_class = of->class,
		.is_opener = is_opener,
		.made_ns = end->now_ns,
		.lost_ns = end->now_ns,
		.sent_ns = end->now_ns,
		.mtu = END_LEG_MTU,
	};
	memcpy(flow->peer, of->peer, MESH_KEY_LEN);
	has_share = is_opener || flow_take_share(flow);
	if (!has_share || flow_label(flow) < 0) {
		if (!is_opener && has_share)
			fair_release(&end->places.fair, &flow->share, end->now_ns);
		flow->relay = NULL;
		return NULL;
	}
	relay->flow_cnt++;
	*(is_opener ? &end->stats.opened_now : &end->stats.accepted_now) += 1;
	return flow;
}

void relay_end_flow_note(struct end_flow *flow)
{
	const struct relay_end_params *params = &flow->end->params;

	if (!flow->heard_len || flow->relay->place.is_web)
		return;
	if (params->relayed && params->relayed(params->ctx, flow->relay->place.key, flow->peer,
					       flow->heard_len, !flow->has_carried))
		flow->has_carried = true;
	flow->heard_len = 0;
	flow->noted_ns = flow->end->now_ns;
}

void relay_end_flow_free(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	relay_end_flow_note(flow);
	relay_end_open_stop(flow);
	relay_end_search_settle(flow, false);
	if (flow->is_open)
		relay_end_flow_lose(flow);
	if (!flow->is_opener && !flow->is_evicted)
		fair_release(&end->places.fair, &flow->share, end->now_ns);
	(void)map_delete(&end->flows_by_addr, &flow->addr);
	flow->relay->flow_cnt--;
	*(flow->is_opener ? &end->stats.opened_now : &end->stats.accepted_now) -= 1;
	flow->relay = NULL;
}

void relay_end_flow_count(struct end_flow *flow, bool is_over)
{
	const struct relay_end_params *params = &flow->end->params;
	const uint64_t lens[2] = {flow->used_sent_len, flow->used_heard_len};

	flow->used_sent_len = flow->used_heard_len = 0;
	if (flow->is_opener && params->used && !flow->relay->place.is_web &&
	    (lens[0] || lens[1] || is_over))
		params->used(params->ctx, flow->relay->place.key, lens, is_over);
}

static void flow_tell_event(const struct end_flow *flow, enum relay_end_event_kind kind)
{
	const struct relay_end_params *params = &flow->end->params;

	if (params->on_event)
		params->on_event(params->ctx, &(struct relay_end_event){
						      .kind = kind,
						      .relay = flow->relay->place.key,
						      .peer = flow->peer,
						      .is_opener = flow->is_opener,
						      .mtu = flow->mtu,
					      });
}

void relay_end_flow_retry(struct end_flow *flow)
{
	flow->retry_ns = flow->asked_ns + END_RETRY_NS;
}

void relay_end_flow_lose(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	if (!flow->is_open)
		return;
	flow->is_open = false;
	relay_end_flow_count(flow, true);
	flow->lost_ns = end->now_ns;
	relay_end_flow_retry(flow);
	flow->fail_cnt = 0;
	(void)map_delete(&end->flows_by_heard, flow->heard_label);
	flow_tell_event(flow, RELAY_END_EVENT_LOST);
	relay_end_hurry(end, end->now_ns);
}

/* Labels of both kinds differ in the second byte alone. */
static bool label_is_sound(const uint8_t *label)
{
	return label[0] == WEFT_RELAY_FIRST_BYTE && (label[1] & 0x7f) == WEFT_RELAY_TO_RELAY &&
	       label[2] & 0x80;
}

/* Each shorter length costs a label, so there are as many of them as lengths: it never grows. */
static void flow_set_mtu(struct end_flow *flow, uint16_t mtu)
{
	if (mtu >= flow->mtu)
		return;
	flow->is_moving |= flow->was_open;
	flow->mtu = mtu;
}

static void flow_set_slow(struct end_flow *flow, bool is_slow)
{
	uint64_t now_ns = flow->end->now_ns;

	if (!is_slow)
		flow->slow_ns = 0;
	if (!is_slow || flow->slow_ns)
		return;
	flow->slow_ns = now_ns;
	flow->end->stats.slowed_cnt++;
	if (flow->slow_told_ns && now_ns - flow->slow_told_ns < END_SLOWED_NS)
		return;
	flow->slow_told_ns = now_ns;
	flow_tell_event(flow, RELAY_END_EVENT_SLOWED);
}

static void flow_set_class(struct end_flow *flow, enum relay_class class)
{
	flow->is_moving |= flow->was_open && class != flow->class;
	flow->class = class;
}

void relay_end_flow_begin(struct end_flow *flow)
{
	struct relay_end *end = flow->end;

	flow->is_back |= flow->was_open;
	flow->is_open = true;
	flow->fail_cnt = 0;
	flow->opened_ns = end->now_ns;
	flow_tell_event(flow, flow->was_open ? RELAY_END_EVENT_REOPENED : RELAY_END_EVENT_OPENED);
	*(flow->was_open    ? &end->stats.reopened_cnt
	  : flow->is_opener ? &end->stats.opened_cnt
			    : &end->stats.accepted_cnt) += 1;
	flow->was_open = true;
	relay_end_hurry(end, end->now_ns);
}

int relay_end_flow_tell(struct end_flow *flow, const struct relay_flow_message *message)
{
	struct relay_end *end = flow->end;
	uint8_t heard[RELAY_MESSAGE_LABEL_LEN];
	struct end_flow *other;
	bool is_renewal = flow->is_open;

	if (!label_is_sound(message->label))
		return WEFT_EMALFORMED;
	memcpy(heard, message->label, sizeof(heard));
	heard[1] |= WEFT_RELAY_TO_END;
	other = map_lookup(&end->flows_by_heard, heard);
	/* Another relay may tell any bytes, even those of a flow that is there. */
	if (other && other != flow)
		return WEFT_EFULL;
	if (flow->is_open)
		(void)map_delete(&end->flows_by_heard, flow->heard_label);
	if (map_put(&end->flows_by_heard, heard, flow) < 0)
		return WEFT_EFULL;
	memcpy(flow->label, message->label, sizeof(flow->label));
	memcpy(flow->heard_label, heard, sizeof(heard));
	flow->number = message->flow;
	flow->expires_ns = end->now_ns + message->expires_s * NS_PER_S;
	flow_set_mtu(flow, message->mtu);
	flow_set_class(flow, message->class);
	if (is_renewal)
		end->stats.renewed_cnt++;
	else
		relay_end_flow_begin(flow);
	flow_set_slow(flow, message->is_slow);
	relay_end_hurry(end, end->now_ns);
	return 0;
}
