/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_broker.h"

#include <errno.h>
#include <stdlib.h>

#include "base/random.h"
#include "broker_state.h"

/* Rows looked at in a turn: each of them every four seconds. */
#define SWEEP_TURNS 40u
#define IDLE_NS	    1000000000ull
/* A label has half of its life left when the next one is sent. */
#define RENEW_AFTER (WEFT_RELAY_KEY_CNT / 2)

static const struct fair_config ask_pool = {
	.name = "relay requests to ends",
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

void relay_broker_config_defaults(struct relay_broker_config *config)
{
	*config = (struct relay_broker_config){.ask_cap = 1024};
}

/* --- life --- */

static int broker_lay_out(struct relay_broker *broker, struct random *random)
{
	const struct relay_broker_params *params = &broker->params;
	uint32_t end_cap = 2 * params->flow_cap + params->config.ask_cap;
	struct fair_config pool = ask_pool;
	uint64_t secret[2];
	int err = arena_open(&broker->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	pool.cap_cnt = params->config.ask_cap;
	random_fill(random, secret, sizeof(secret));
	broker->flows = arena_alloc(&broker->arena, params->flow_cap * sizeof(*broker->flows));
	if (!broker->flows)
		return WEFT_EFULL;
	if ((err = fair_places_init(&broker->places, &broker->arena, &pool)) < 0 ||
	    (err = pool_init(&broker->ask_slots, &broker->arena, sizeof(struct broker_ask),
			     params->config.ask_cap + 1)) < 0 ||
	    (err = pool_init(&broker->end_slots, &broker->arena, sizeof(struct broker_end),
			     end_cap)) < 0 ||
	    (err = map_init(&broker->ends_by_key, &broker->arena, RELAY_KEY_LEN, end_cap, secret)) <
		    0)
		return err;
	arena_fit(&broker->arena);
	broker->places.paths.site = params->site;
	return 0;
}

size_t relay_broker_footprint(const struct relay_broker_config *config, uint32_t flow_cap)
{
	struct relay_broker *broker = calloc(1, sizeof(*broker));
	struct random random;
	size_t len = 0;

	if (!broker)
		return 0;
	random_init_seeded(&random, 1);
	broker->params.config = *config;
	broker->params.flow_cap = flow_cap;
	if (broker_lay_out(broker, &random) == 0)
		len = sizeof(*broker) + broker->arena.used_len;
	arena_close(&broker->arena);
	free(broker);
	return len;
}

int relay_broker_new(const struct relay_broker_params *params, struct relay_broker **out_broker)
{
	struct relay_broker *broker = calloc(1, sizeof(*broker));
	const struct mesh_seam *mesh = &params->mesh;
	int err;

	if (!broker)
		return -ENOMEM;
	broker->params = *params;
	broker->now_ns = params->now_ns;
	broker->wall_s = params->wall_s;
	list_init(&broker->asks);
	list_init(&broker->ends);
	if ((err = broker_lay_out(broker, params->random)) < 0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_FLOW_OPEN, relay_broker_on_open, broker)) <
		    0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_FLOW_CLOSE, relay_broker_on_close, broker)) <
		    0 ||
	    (err = mesh->ops->handle(mesh->mesh, MESH_FLOW_LEG, relay_broker_on_leg, broker)) < 0) {
		relay_broker_free(broker);
		return err;
	}
	*out_broker = broker;
	return 0;
}

void relay_broker_stop(struct relay_broker *broker)
{
	struct broker_ask *ask;

	while (broker && !list_is_empty(&broker->asks)) {
		ask = list_first(&broker->asks, struct broker_ask, link);
		if (ask->kind == BROKER_OFFER)
			relay_broker_offer_evicted(broker, ask);
		relay_broker_ask_end(broker, ask);
	}
}

void relay_broker_free(struct relay_broker *broker)
{
	if (!broker)
		return;
	arena_close(&broker->arena);
	free(broker);
}

/* --- time --- */

static void flow_renew(struct relay_broker *broker, struct broker_flow *flow)
{
	struct relay_flow_view view;

	if (relay_flow_renew(broker->params.relay, flow->id) < 0 ||
	    relay_flow_read(broker->params.relay, flow->id, &view) < 0 ||
	    view.generation == flow->generation)
		return;
	flow->generation = view.generation;
	broker->stats.renewed_cnt++;
}

static bool leg_is_told(const struct broker_flow *flow, const struct broker_leg *leg)
{
	return leg->is_told && leg->told_generation == flow->generation &&
	       leg->told_slow == flow->is_slow;
}

void relay_broker_flow_note(struct relay_broker *broker, struct broker_flow *flow)
{
	const struct relay_broker_params *params = &broker->params;
	struct relay_flow_view view;
	uint64_t len;
	bool is_first;

	if (!params->carried || relay_flow_read(params->relay, flow->id, &view) < 0)
		return;
	len = view.bytes[0] + view.bytes[1] - flow->noted_len;
	is_first = !flow->has_carried && view.packets[0] && view.packets[1];
	if (!len && !is_first)
		return;
	flow->noted_len += len;
	flow->has_carried |= is_first;
	params->carried(params->ctx, flow->legs[0].end->key, len, is_first);
}

/* An end that has not got the newest label, or does not know that the volume ended, is told. */
static void flow_look(struct relay_broker *broker, struct broker_flow *flow)
{
	uint64_t hour = broker->wall_s / WEFT_RELAY_KEY_LIFE_S;

	relay_broker_flow_note(broker, flow);
	/* Of a clock that was put back it is ahead. */
	if (hour >= flow->generation + RENEW_AFTER || hour + 1 < flow->generation)
		flow_renew(broker, flow);
	for (unsigned leg = 0; leg < 2; leg++)
		if (!leg_is_told(flow, &flow->legs[leg]))
			relay_broker_label_tell(broker, flow, leg);
}

static void flows_sweep(struct relay_broker *broker)
{
	uint32_t cnt = broker->params.flow_cap, step = (cnt + SWEEP_TURNS - 1) / SWEEP_TURNS;

	for (uint32_t i = 0; i < step; i++) {
		broker->sweep_idx = broker->sweep_idx + 1 < cnt ? broker->sweep_idx + 1 : 0;
		if (broker->flows[broker->sweep_idx].is_open)
			flow_look(broker, &broker->flows[broker->sweep_idx]);
	}
}

void relay_broker_turn(struct relay_broker *broker, uint64_t now_ns, uint64_t wall_s)
{
	broker->now_ns = now_ns;
	if (wall_s)
		broker->wall_s = wall_s;
	if (now_ns < relay_broker_next_ns(broker))
		return;
	broker->turned_ns = now_ns;
	relay_broker_ends_sweep(broker);
	if (broker->open_cnt)
		flows_sweep(broker);
}

uint64_t relay_broker_next_ns(const struct relay_broker *broker)
{
	return broker->turned_ns + (broker->open_cnt ? RELAY_TURN_NS : IDLE_NS);
}

void relay_broker_closed(struct relay_broker *broker, struct relay_flow_id id,
			 enum relay_close_why why)
{
	static const enum relay_end_why words[] = {
		[RELAY_CLOSED_IDLE] = RELAY_END_IDLE,
		[RELAY_CLOSED_EVICTED] = RELAY_END_EVICTED,
		[RELAY_CLOSED_GRANT] = RELAY_END_GRANT,
	};
	struct broker_flow *flow = broker ? relay_broker_flow_of(broker, id) : NULL;

	if (!flow)
		return;
	for (unsigned leg = 0; leg < 2; leg++)
		relay_broker_close_tell(broker, flow, leg, words[why]);
	relay_broker_flow_drop(broker, flow);
}

void relay_broker_slowed(struct relay_broker *broker, struct relay_flow_id id, bool is_slow)
{
	struct broker_flow *flow = broker ? relay_broker_flow_of(broker, id) : NULL;

	/* The next look at it tells its ends. */
	if (flow)
		flow->is_slow = is_slow;
}

void relay_broker_set_off(struct relay_broker *broker, bool is_off)
{
	broker->is_off = is_off;
}

/* --- for the eyes of the operator --- */

bool relay_broker_next(const struct relay_broker *broker, uint32_t *idx,
		       struct relay_broker_flow *out_flow)
{
	const struct broker_flow *flow;

	while (*idx < broker->params.flow_cap && !broker->flows[*idx].is_open)
		(*idx)++;
	if (*idx == broker->params.flow_cap)
		return false;
	flow = &broker->flows[(*idx)++];
	*out_flow = (struct relay_broker_flow){.id = flow->id, .class = flow->class};
	for (unsigned leg = 0; leg < 2; leg++) {
		out_flow->keys[leg] = flow->legs[leg].end->key;
		out_flow->remotes[leg] = &flow->legs[leg].end->remote;
	}
	return true;
}

void relay_broker_stats(const struct relay_broker *broker, struct relay_broker_stats *out_stats)
{
	*out_stats = broker->stats;
	out_stats->asking_cnt = broker->places.fair.held_cnt;
}

void relay_broker_view(const struct relay_broker *broker, struct fair_view *out)
{
	fair_read(&broker->places.fair, out);
}
