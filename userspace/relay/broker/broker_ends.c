/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of flows: which flows a key has, and where its session is. A leg is where its session is
 * validated to be, so it moves when the session does, and ends with it.
 */
#include <string.h>

#include "base/container_of.h"
#include "broker_state.h"

/* Ends looked at in a turn: a tenth of them, and so many at least and at most. */
#define SWEEP_PARTS 10u
#define SWEEP_MIN   256u
#define SWEEP_MAX   4096u

/* --- ends --- */

struct broker_end *relay_broker_end_find(const struct relay_broker *broker, const uint8_t *key)
{
	return map_lookup(&broker->ends_by_key, key);
}

struct broker_end *relay_broker_end_make(struct relay_broker *broker, const uint8_t *key)
{
	struct broker_end *end = relay_broker_end_find(broker, key);

	if (end)
		return end;
	end = pool_acquire(&broker->end_slots);
	if (!end)
		return NULL;
	*end = (struct broker_end){.pending_cnt = 0};
	memcpy(end->key, key, sizeof(end->key));
	list_init(&end->legs);
	if (map_put(&broker->ends_by_key, end->key, end) < 0) {
		pool_release(&broker->end_slots, end);
		return NULL;
	}
	list_push_back(&broker->ends, &end->by_sweep);
	broker->stats.end_cnt++;
	return end;
}

void relay_broker_end_drop(struct relay_broker *broker, struct broker_end *end)
{
	if (end->pending_cnt || !list_is_empty(&end->legs))
		return;
	(void)map_delete(&broker->ends_by_key, end->key);
	list_unlink(&end->by_sweep);
	pool_release(&broker->end_slots, end);
	broker->stats.end_cnt--;
}

/* --- flows --- */

struct broker_flow *relay_broker_flow_of(const struct relay_broker *broker, struct relay_flow_id id)
{
	struct broker_flow *flow;

	if (id.idx >= broker->params.flow_cap)
		return NULL;
	flow = &broker->flows[id.idx];
	return flow->is_open && flow->id.salt == id.salt ? flow : NULL;
}

void relay_broker_flow_drop(struct relay_broker *broker, struct broker_flow *flow)
{
	flow->is_open = false;
	broker->open_cnt--;
	flow->legs[0].end->free_cnt -= flow->is_free;
	flow->legs[1].end->accepted_cnt--;
	for (unsigned leg = 0; leg < 2; leg++) {
		list_unlink(&flow->legs[leg].by_end);
		relay_broker_end_drop(broker, flow->legs[leg].end);
	}
}

struct broker_flow *relay_broker_flow_at(const struct relay_broker *broker,
					 const struct broker_leg *leg, unsigned *out_leg)
{
	size_t idx = (size_t)((const char *)leg - (const char *)broker->flows) /
		     sizeof(broker->flows[0]);

	*out_leg = leg == &broker->flows[idx].legs[1];
	return &broker->flows[idx];
}

/* --- sessions --- */

bool relay_broker_session_look(const struct relay_broker *broker, const uint8_t *key,
			       struct mesh_path *out_path)
{
	return broker->params.neighbours->path(broker->params.mesh.mesh, key, out_path) &&
	       !addr_is_relayed(&out_path->remote);
}

int relay_broker_leg_set(const struct relay_broker *broker, struct relay_flow_id id, unsigned leg,
			 const struct broker_end *end, const struct mesh_path *path)
{
	const struct relay_broker_params *params = &broker->params;
	struct addr remote = path->remote;

	if (end->is_guest)
		remote = addr_of_leg(end->key, ADDR_LEG_GUEST);
	else if (remote.transport == ADDR_TCP || addr_is_line(&remote))
		remote = addr_of_leg(
			end->key, params->worker_of ? params->worker_of(params->ctx, end->key) : 0);
	return relay_flow_set_leg(params->relay, id, leg, &remote, &path->local);
}

/* All flows of end are closed; their other ends learn why. end may be gone after this. */
static void end_close(struct relay_broker *broker, struct broker_end *end)
{
	struct broker_flow *flow;
	unsigned leg, left = 0;

	for (const struct list_node *at = end->legs.next; at != &end->legs; at = at->next)
		left++;
	/* The last one of them takes end along. */
	while (left--) {
		flow = relay_broker_flow_at(
			broker, list_first(&end->legs, struct broker_leg, by_end), &leg);
		broker->stats.gone_cnt++;
		relay_broker_flow_end(broker, flow, leg ^ 1, RELAY_END_PEER_GONE);
	}
}

/* A leg that may not be where its session is now takes its flow along. end may be gone after this. */
static void end_move(struct relay_broker *broker, struct broker_end *end,
		     const struct mesh_path *path)
{
	struct list_node *at = end->legs.next, *const head = &end->legs;
	struct broker_flow *flow;
	unsigned leg;

	end->remote = path->remote;
	end->local = path->local;
	while (at != head) {
		flow = relay_broker_flow_at(broker, container_of(at, struct broker_leg, by_end),
					    &leg);
		at = at->next;
		broker->stats.moved_cnt++;
		if (relay_broker_leg_set(broker, flow->id, leg, end, path) < 0) {
			relay_broker_close_tell(broker, flow, leg, RELAY_END_REFUSED);
			relay_broker_flow_end(broker, flow, leg ^ 1, RELAY_END_REFUSED);
		}
	}
}

/*
 * An end that took its session for lost has lost its flows with it, and began another before this relay
 * noticed. So it gets its labels anew. One that has the flow yet goes on, and one that has not says so.
 */
static void end_renew(struct relay_broker *broker, struct broker_end *end, uint64_t session)
{
	struct list_node *at = end->legs.next, *const head = &end->legs;
	struct broker_flow *flow;
	unsigned leg;
	bool was_known = end->session;

	end->session = session;
	for (; was_known && at != head; at = at->next) {
		flow = relay_broker_flow_at(broker, container_of(at, struct broker_leg, by_end),
					    &leg);
		flow->legs[leg].is_told = false;
		relay_broker_label_tell(broker, flow, leg);
	}
}

static void end_look(struct relay_broker *broker, struct broker_end *end)
{
	struct mesh_path path;
	bool is_guest;

	/* A guest knows no labels, and an end with a session expects them: its flows end with either. */
	if (!relay_broker_end_look(broker, end->key, &path, &is_guest) ||
	    is_guest != end->is_guest) {
		end_close(broker, end);
		return;
	}
	/* 0: of another worker; to tell a label there brings the session home. */
	if (path.session != end->session)
		end_renew(broker, end, path.session);
	if (!addr_equal(&path.remote, &end->remote) || !addr_equal(&path.local, &end->local))
		end_move(broker, end, &path);
}

void relay_broker_ends_sweep(struct relay_broker *broker)
{
	uint32_t cnt = broker->stats.end_cnt, step = cnt / SWEEP_PARTS;
	struct broker_end *end;

	step = step < SWEEP_MIN ? SWEEP_MIN : step > SWEEP_MAX ? SWEEP_MAX : step;
	for (uint32_t i = 0; i < step && i < cnt && !list_is_empty(&broker->ends); i++) {
		end = list_first(&broker->ends, struct broker_end, by_sweep);
		list_unlink(&end->by_sweep);
		list_push_back(&broker->ends, &end->by_sweep);
		end_look(broker, end);
	}
}

void relay_broker_session_changed(struct relay_broker *broker, const uint8_t *key, uint64_t now_ns)
{
	struct broker_end *end;

	if (!broker)
		return;
	broker->now_ns = now_ns;
	end = relay_broker_end_find(broker, key);
	if (end)
		end_look(broker, end);
}

void relay_broker_settle(struct relay_broker *broker, const uint8_t *key)
{
	const struct broker_end *end = broker ? relay_broker_end_find(broker, key) : NULL;
	const struct broker_flow *flow;
	unsigned leg;

	for (const struct list_node *at = end ? end->legs.next : NULL; at && at != &end->legs;
	     at = at->next) {
		flow = relay_broker_flow_at(broker, container_of(at, struct broker_leg, by_end),
					    &leg);
		if (leg == 0)
			relay_flow_settle(broker->params.relay, flow->id);
	}
}
