/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with relays: they are made where a flow or a kept relay wants one, and asked whether the
 * relay is there.
 *
 * A relay that restarted ends the session, or answers a datagram of a flow that it has lost (kind 2).
 * Both ends then dial it at once, and again as soon as a dial has failed. An acceptor that only listens
 * would not notice: while the relay is silent, its session is probed.
 *
 * Kept relays are asked in turn, so that the death of all shows as soon as that of one. One that owes an
 * answer is doubted after a second, and the others are asked at once. Where all are doubted, another is
 * kept beside them, and the record names that one alone (end_keep.c). One alone has more time: peers
 * come by the others meanwhile.
 */
#include <string.h>

#include "base/monotonic.h"
#include "relay_end_state.h"

#define PAUSE_MAX_NS (16 * NS_PER_S)
/* In use and nothing heard of the relay for so long: is it there? */
#define PROBE_NS       (400 * NS_PER_MS)
#define DOUBT_PROBE_NS (50 * NS_PER_MS) /* relay_end_leg_silent */
#define OWED_PROBE_NS                                                                              \
	(500 * NS_PER_MS)      /* until a kept one answers: six of them before it is silent */
#define IDLE_PROBE_NS NS_PER_S /* while its flows are idle */
/* Of two kept ones that are idle: 20 small packets a minute. */
#define KEPT_PROBE_NS (6 * NS_PER_S)
#define DOUBTED_NS    NS_PER_S
#define SILENT_NS     (3 * NS_PER_S)
#define IN_USE_NS     (10 * NS_PER_S)
#define LOOK_NS	      NS_PER_S

/*
 * That a peer is not at a relay is no fault of the relay's; that the relay itself is not there is.
 * It is one fault, however often the relay is dialled meanwhile.
 */
static void relay_is_gone(struct end_relay *relay)
{
	const struct relay_end_params *params = &relay->end->params;

	if (params->tell_relay && !relay->is_gone)
		params->tell_relay(params->ctx, relay->place.key, 0);
	relay->is_gone = true;
}

/* --- the session --- */

static void on_connected(void *arg, int err, const uint8_t *actual_key)
{
	struct end_relay *relay = arg;

	(void)actual_key;
	relay->is_connecting = false;
	relay_end_hurry(relay->end, 0);
	/* A session that is itself relayed is none for a leg. */
	if (!relay->is_used || (err == 0 && relay_end_relay_look(relay)))
		return;
	relay->fail_cnt++;
	if (err == WEFT_EUNREACHABLE || err == WEFT_ETIMEOUT || err == WEFT_EWRONGKEY)
		relay_is_gone(relay);
	/* Over WebSocket it is there meanwhile. */
	relay->connect_ns =
		relay->end->now_ns + (relay->fail_cnt > END_FAST_CNT || relay_end_leg_is_web(relay)
					      ? PAUSE_MAX_NS
					      : END_RETRY_NS);
}

static void leg_connect(struct end_relay *relay)
{
	struct relay_end *end = relay->end;
	struct relay_end_place place;
	uint64_t timeout_ns;

	if (relay->is_connecting)
		return;
	if (end->now_ns < relay->connect_ns) {
		relay_end_hurry(end, relay->connect_ns);
		return;
	}
	relay->is_connecting = true;
	relay->dialled_ns = end->now_ns;
	relay->connect_ns = end->now_ns + END_RETRY_NS;
	timeout_ns = relay_end_relay_dial(relay, &place);
	if (end->params.connect(end->params.ctx, &place, timeout_ns, on_connected, relay) < 0) {
		relay->is_connecting = false;
		relay_end_hurry(end, relay->connect_ns);
	}
}

/* --- is it there? --- */

bool relay_end_leg_is_doubted(const struct end_relay *relay)
{
	return relay->owes_ns && relay->end->now_ns >= relay->owes_ns + DOUBTED_NS;
}

bool relay_end_leg_is_web(const struct end_relay *relay)
{
	const struct relay_end_params *params = &relay->end->params;

	return relay->is_kept && !relay->is_up && !relay->place.is_web && params->web &&
	       params->web->is_up(params->ctx, relay->place.key);
}

bool relay_end_leg_is_there(const struct end_relay *relay)
{
	if (!relay->is_up)
		return relay_end_leg_is_web(relay);
	return !relay->is_silent && !relay_end_leg_is_doubted(relay);
}

/* A relay that is kept, and with which there is a session. */
static bool leg_is_held(const struct end_relay *relay)
{
	return relay->is_used && relay->is_kept && relay->is_up;
}

bool relay_end_legs_are_doubted(const struct relay_end *end)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < end->relay_cap; i++) {
		const struct end_relay *relay = &end->relays[i];

		if (!leg_is_held(relay))
			continue;
		if (!relay->is_silent && !relay_end_leg_is_doubted(relay))
			return false;
		cnt++;
	}
	return cnt > 0;
}

static uint64_t kept_probe_ns(const struct end_relay *relay)
{
	return relay_end_pause_ns(relay, KEPT_PROBE_NS, KEPT_PROBE_NS);
}

static uint64_t flow_probe_ns(const struct end_flow *flow)
{
	if (flow->is_spare)
		return kept_probe_ns(flow->relay);
	return flow->end->now_ns < relay_end_flow_used_ns(flow) + IN_USE_NS ? PROBE_NS
									    : IDLE_PROBE_NS;
}

/* Whether some flow of relay wants its session, and how often to ask if it is there; 0: never. */
static void leg_needs(const struct end_relay *relay, bool *out_session, uint64_t *out_probe_ns)
{
	const struct relay_end *end = relay->end;

	uint64_t every_ns;

	*out_session = relay->is_kept;
	*out_probe_ns = relay->is_kept ? kept_probe_ns(relay) : 0;
	for (unsigned i = 0; i < end->flow_cap; i++) {
		const struct end_flow *flow = &end->flows[i];

		if (flow->relay != relay)
			continue;
		*out_session |= relay_end_flow_is_recent(flow) || flow->is_spare;
		every_ns = !flow->was_open ? 0 : flow_probe_ns(flow);
		if (every_ns && (!*out_probe_ns || every_ns < *out_probe_ns))
			*out_probe_ns = every_ns;
	}
	if (!relay->owes_ns)
		return;
	if (relay->is_kept && !relay->is_silent && *out_probe_ns > OWED_PROBE_NS)
		*out_probe_ns = OWED_PROBE_NS;
	else if (*out_probe_ns > IDLE_PROBE_NS)
		*out_probe_ns = IDLE_PROBE_NS;
}

static void leg_ask(struct end_relay *relay)
{
	struct relay_end *end = relay->end;

	relay->is_doubted = false;
	relay->probed_ns = end->now_ns;
	if (!relay->owes_ns)
		relay->owes_ns = end->now_ns;
	if (end->params.probe)
		end->params.probe(end->params.ctx, relay->place.key);
}

static uint64_t leg_sign_ns(const struct end_relay *relay)
{
	return relay_end_later(relay->session_ns,
			       relay_end_later(relay->heard_ns, relay->probed_ns));
}

/* The one that was asked longest ago is asked when its part of every_ns has passed since any was. */
static uint64_t leg_turn_ns(const struct end_relay *relay, uint64_t every_ns)
{
	const struct relay_end *end = relay->end;
	uint64_t sign_ns = leg_sign_ns(relay), newest_ns = sign_ns;
	unsigned cnt = 1;

	for (unsigned i = 0; i < end->relay_cap; i++) {
		const struct end_relay *other = &end->relays[i];
		uint64_t other_ns = leg_sign_ns(other);

		if (other == relay || !leg_is_held(other) || other->is_silent)
			continue;
		if (other_ns < sign_ns || (other_ns == sign_ns && other < relay))
			return sign_ns + every_ns;
		newest_ns = relay_end_later(newest_ns, other_ns);
		cnt++;
	}
	newest_ns += every_ns / cnt;
	return newest_ns < sign_ns + every_ns ? newest_ns : sign_ns + every_ns;
}

static void leg_probe(struct end_relay *relay, uint64_t every_ns)
{
	struct relay_end *end = relay->end;
	uint64_t due_ns = relay_end_later(relay->heard_ns, relay->probed_ns) + every_ns;

	/* That the relay is there says little of its flows. */
	if (every_ns == kept_probe_ns(relay))
		due_ns = leg_turn_ns(relay, every_ns);
	if (relay->is_doubted)
		due_ns = relay->probed_ns + DOUBT_PROBE_NS;
	if (end->now_ns >= due_ns) {
		leg_ask(relay);
		due_ns = end->now_ns + every_ns;
	}
	relay_end_hurry(end, due_ns);
}

void relay_end_leg_silent(struct relay_end *end, const struct addr *label)
{
	const struct end_flow *flow = map_lookup(&end->flows_by_addr, label);

	if (!flow || !flow->relay->is_up || flow->relay->is_doubted)
		return;
	flow->relay->is_doubted = true;
	relay_end_hurry(end, end->now_ns);
}

/* What has taken one kept relay may have taken the others: those not heard since are asked. */
static void legs_doubt(const struct end_relay *relay)
{
	struct relay_end *end = relay->end;

	for (unsigned i = 0; i < end->relay_cap; i++) {
		struct end_relay *other = &end->relays[i];

		if (other == relay || !leg_is_held(other) || leg_sign_ns(other) >= relay->owes_ns)
			continue;
		other->is_doubted = true;
		relay_end_hurry(end, end->now_ns);
	}
}

static void keep_at(struct relay_end *end, uint64_t at_ns)
{
	if (at_ns < end->keep_ns)
		end->keep_ns = at_ns;
	relay_end_hurry(end, at_ns);
}

/* Another is to be kept in its place; QUIC takes a minute to notice. */
static void leg_judge(struct end_relay *relay)
{
	struct relay_end *end = relay->end;

	if (relay->is_silent || !relay->is_up || !relay->owes_ns)
		return;
	if (!relay_end_leg_is_doubted(relay)) {
		relay_end_hurry(end, relay->owes_ns + DOUBTED_NS);
		return;
	}
	if (relay->is_kept)
		legs_doubt(relay);
	if (end->now_ns >= relay->owes_ns + SILENT_NS) {
		relay->is_silent = true;
		relay_is_gone(relay);
		keep_at(end, end->now_ns);
	} else {
		relay_end_hurry(end, relay->owes_ns + SILENT_NS);
	}
	if (relay->is_kept && !relay->has_warned && relay_end_legs_are_doubted(end)) {
		relay->has_warned = true;
		keep_at(end, end->now_ns);
	}
}

void relay_end_leg_turn(struct end_relay *relay)
{
	struct relay_end *end = relay->end;
	bool wants_session;
	uint64_t probe_ns;

	if (!relay->is_used || (!relay->flow_cnt && !relay->is_kept))
		return;
	if (!relay->is_up || relay->owes_ns || end->now_ns >= relay->path_ns + LOOK_NS)
		(void)relay_end_relay_look(relay);
	relay_end_hurry(end, end->now_ns + LOOK_NS);
	/* Its connection is kept by the part that speaks over it. */
	if (relay->place.is_web)
		return;
	leg_needs(relay, &wants_session, &probe_ns);
	if (wants_session && !relay->is_up)
		leg_connect(relay);
	if (probe_ns && relay->is_up)
		leg_probe(relay, probe_ns);
	leg_judge(relay);
}
