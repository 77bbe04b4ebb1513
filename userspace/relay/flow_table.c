/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows as their owner keeps them: rows are given out by fair shares, have
 * legs and labels, and go when nothing used them for RELAY_IDLE_NS. A row
 * is written under its version, so no datagram meets half of a leg. Home.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/random.h"
#include "relay_state.h"

/* Rows looked at in a turn: each of them every four seconds. */
#define SWEEP_TURNS 40
/* Beyond its volume a flow may save up two packets. */
#define SLOW_BURST_LEN 3000
/* Headers, which a relay's own count has. */
#define IPV4_LEN 20u
#define IPV6_LEN 40u
#define UDP_LEN	 8u

static const struct fair_config pool_config = {
	.name = "relay flows",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static uint32_t idx_of(const struct relay *relay, const struct relay_flow *flow)
{
	return (uint32_t)(flow - relay->flows);
}

static struct weft_relay_flow *row_of(const struct relay *relay, const struct relay_flow *flow)
{
	return &relay->tables.flows[idx_of(relay, flow)];
}

/* NULL: it is not open, or of another allocation. */
static struct relay_flow *flow_at(const struct relay *relay, struct relay_flow_id id)
{
	const struct weft_relay_flow *row;

	if (id.idx >= relay->tables.flow_cnt)
		return NULL;
	row = &relay->tables.flows[id.idx];
	return row->state == WEFT_RELAY_OPEN && row->salt == id.salt ? &relay->flows[id.idx] : NULL;
}

int relay_flows_init(struct relay *relay)
{
	struct fair_config config = pool_config;
	uint32_t cap = relay->params.config.flow_cap;
	int err;

	/* One row more than shares: a flow that takes another's has a row before that one goes. */
	config.cap_cnt = cap - 1;
	relay->flows = arena_alloc(&relay->arena, cap * sizeof(*relay->flows));
	if (!relay->flows)
		return WEFT_EFULL;
	if ((err = fair_places_init(&relay->places, &relay->arena, &config)) < 0 ||
	    (err = relay_owners_init(relay)) < 0)
		return err;
	if (relay->params.site)
		relay->places.paths.site = *relay->params.site;
	list_init(&relay->free_flows);
	for (uint32_t i = 0; i < cap; i++)
		list_push_back(&relay->free_flows, &relay->flows[i].link);
	return 0;
}

/* --- rows --- */

static struct weft_relay_rate rate_of(const struct relay *relay, const struct relay_flow *flow)
{
	const struct relay_config *config = &relay->params.config;

	if (flow->is_slow)
		return weft_relay_rate(config->slow_per_s, SLOW_BURST_LEN);
	/* A grant's rate is that of its row, which all its flows share. */
	if (!flow->owner)
		return weft_relay_rate(0, 0);
	return weft_relay_rate(config->free_per_s, config->free_burst_len);
}

static struct weft_relay_label label_to_end(const struct relay *relay,
					    const struct relay_flow *flow, unsigned leg)
{
	uint64_t place =
		weft_relay_place(leg, flow->worker, idx_of(relay, flow), row_of(relay, flow)->salt);
	struct weft_relay_label label = {0, 0};

	if (weft_relay_label_make(relay->tables.keys, flow->generation, place, &label))
		label.head = weft_relay_head_of_kind(label.head, WEFT_RELAY_TO_END);
	return label;
}

/* A row's own version goes on, so a reader of the last allocation sees that it is another. */
static void row_open(struct relay *relay, struct relay_flow *flow,
		     const struct relay_flow_terms *terms)
{
	struct weft_relay_flow *row = row_of(relay, flow);
	struct weft_relay_flow fresh = {
		.salt = (__u16)random_u64(relay->params.random),
		.grant = terms->grant,
		.mtu = (__u16)terms->mtu,
		.rate = rate_of(relay, flow),
	};

	if (fresh.salt == row->salt)
		fresh.salt++;
	relay_row_write_begin(row);
	fresh.version = row->version;
	*row = fresh;
	for (unsigned leg = 0; leg < 2; leg++)
		row->legs[leg].label = label_to_end(relay, flow, leg);
	row->state = WEFT_RELAY_OPEN;
	relay_row_write_end(row);
}

struct relay_flow_id relay_flow_id_of(const struct relay *relay, const struct relay_flow *flow)
{
	return (struct relay_flow_id){.idx = idx_of(relay, flow),
				      .salt = row_of(relay, flow)->salt};
}

void relay_flow_set_slow(struct relay *relay, struct relay_flow *flow, bool is_slow)
{
	struct weft_relay_flow *row = row_of(relay, flow);

	if (flow->is_slow == is_slow)
		return;
	flow->is_slow = is_slow;
	relay_row_write_begin(row);
	row->rate = rate_of(relay, flow);
	relay_row_write_end(row);
	relay->stats.slowed_cnt += is_slow;
	if (relay->params.on_slowed)
		relay->params.on_slowed(relay->params.ctx, relay_flow_id_of(relay, flow), is_slow);
}

/*
 * Bytes behind labels of len bytes in packets that left to leg: without the headers of IP and UDP,
 * and the label. A leg may have been of another family for a part of them.
 */
static uint64_t behind_labels(const struct weft_relay_flow *row, unsigned leg, uint64_t len,
			      uint64_t packets)
{
	bool is_ipv4 = addr_of_endpoint(&row->legs[leg].remote).family == ADDR_IPV4;
	uint64_t headers =
		packets * ((is_ipv4 ? IPV4_LEN : IPV6_LEN) + UDP_LEN + WEFT_RELAY_LABEL_LEN);

	return len > headers ? len - headers : 0;
}

/* What flow carried since the last time. False: nothing. */
static bool flow_charge(struct relay *relay, struct relay_flow *flow)
{
	const struct weft_relay_flow *row = row_of(relay, flow);
	uint64_t lens[2], charged = 0, packets = 0;

	for (unsigned from = 0; from < 2; from++) {
		uint64_t len = row->bytes[from] - flow->seen_bytes[from];
		uint64_t cnt = row->packets[from] - flow->seen_packets[from];

		lens[from] = behind_labels(row, from ^ 1, len, cnt);
		flow->seen_bytes[from] += len;
		flow->seen_packets[from] += cnt;
		charged += len;
		packets += cnt;
	}
	if (flow->owner)
		relay_owners_charge(relay, flow, charged);
	if (packets && relay->params.on_carried)
		relay->params.on_carried(relay->params.ctx, flow->owner_key, lens);
	return packets > 0;
}

void relay_flow_settle(struct relay *relay, struct relay_flow_id id)
{
	struct relay_flow *flow = flow_at(relay, id);

	if (flow && flow_charge(relay, flow))
		flow->used_ns = relay->now_ns;
}

/* The row is free for another; its share is given back by the caller. */
static void flow_vacate(struct relay *relay, struct relay_flow *flow)
{
	struct weft_relay_flow *row = row_of(relay, flow);

	relay_row_write_begin(row);
	row->state = WEFT_RELAY_FREE;
	relay_row_write_end(row);
	(void)flow_charge(relay, flow);
	if (flow->owner) {
		relay_owners_leave(relay, flow);
	} else {
		list_unlink(&flow->link);
		relay_grant_at(relay, row->grant)->flow_cnt--;
	}
	list_push_back(&relay->free_flows, &flow->link);
	relay->stats.open_cnt--;
}

void relay_flow_end(struct relay *relay, struct relay_flow *flow, enum relay_close_why why)
{
	struct relay_flow_id id = relay_flow_id_of(relay, flow);

	relay->stats.idle_cnt += why == RELAY_CLOSED_IDLE;
	relay->stats.evicted_cnt += why == RELAY_CLOSED_EVICTED;
	fair_release(&relay->places.fair, &flow->share, relay->now_ns);
	flow_vacate(relay, flow);
	if (relay->params.on_closed)
		relay->params.on_closed(relay->params.ctx, id, why);
}

void relay_flow_close(struct relay *relay, struct relay_flow_id id)
{
	struct relay_flow *flow = flow_at(relay, id);

	if (!flow)
		return;
	fair_release(&relay->places.fair, &flow->share, relay->now_ns);
	flow_vacate(relay, flow);
}

/* --- opening --- */

static struct fair_path path_of(const struct relay *relay, const struct relay_flow_terms *terms)
{
	struct fair_path path;

	fair_path_of_addr(&relay->places.paths, terms->addr,
			  terms->grant ? FAIR_CHOSEN : terms->class, &path);
	fair_path_add(&relay->places.paths, &path, terms->owner, RELAY_KEY_LEN);
	return path;
}

/* A share for flow. False: refused, and counted. */
static bool share_take(struct relay *relay, struct relay_flow *flow,
		       const struct relay_flow_terms *terms)
{
	struct fair_path path = path_of(relay, terms);
	struct fair_item *victim;

	flow->share = (struct fair_item){.leaf = NULL};
	switch (fair_take(&relay->places.fair, &path, &flow->share, relay->now_ns, &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		relay_flow_end(relay, (struct relay_flow *)victim, RELAY_CLOSED_EVICTED);
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

int relay_flow_judge(const struct relay *relay, const struct relay_flow_terms *terms)
{
	const struct relay_grant *grant = relay_grant_at(relay, terms->grant);

	if (!terms->grant)
		return relay_owners_judge(relay, terms);
	if (!grant || !grant->is_open)
		return WEFT_EABSENT;
	return grant->terms.flow_max && grant->flow_cnt >= grant->terms.flow_max ? WEFT_EREFUSED
										 : 0;
}

/* Its account: the grant that it belongs to, or the owner. */
static int account_enter(struct relay *relay, struct relay_flow *flow,
			 const struct relay_flow_terms *terms)
{
	struct relay_grant *grant = relay_grant_at(relay, terms->grant);
	int err;

	flow->owner = flow->network = NULL;
	if (terms->grant) {
		list_push_back(&grant->flows, &flow->link);
		grant->flow_cnt++;
		flow->is_slow = grant->is_slow;
		return 0;
	}
	err = relay_owners_enter(relay, flow, terms);
	if (err == 0)
		flow->is_slow = relay_owners_are_spent(relay, flow);
	return err;
}

static int flow_start(struct relay *relay, struct relay_flow *flow,
		      const struct relay_flow_terms *terms)
{
	int err;

	list_unlink(&flow->link);
	err = account_enter(relay, flow, terms);
	if (err < 0) {
		fair_release(&relay->places.fair, &flow->share, relay->now_ns);
		list_push_back(&relay->free_flows, &flow->link);
		return err;
	}
	memcpy(flow->owner_key, terms->owner, sizeof(flow->owner_key));
	memset(flow->seen_packets, 0, sizeof(flow->seen_packets));
	memset(flow->seen_bytes, 0, sizeof(flow->seen_bytes));
	flow->opened_ns = flow->used_ns = relay->now_ns;
	flow->generation = relay->hour;
	flow->worker = (uint8_t)(terms->worker & 0x7f);
	row_open(relay, flow, terms);
	relay->stats.open_cnt++;
	relay->stats.opened_cnt++;
	return 0;
}

int relay_flow_open(struct relay *relay, const struct relay_flow_terms *terms,
		    struct relay_flow_id *out_id)
{
	int err = relay_flow_judge(relay, terms);
	struct relay_flow *flow = container_of(relay->free_flows.next, struct relay_flow, link);

	if (terms->mtu < RELAY_MTU_MIN || terms->mtu > UINT16_MAX)
		err = WEFT_ETOOSMALL;
	if (err == 0)
		err = share_take(relay, flow, terms) ? flow_start(relay, flow, terms) : WEFT_EFULL;
	if (err < 0) {
		relay->stats.refused_cnt++;
		relay->stats.spent_cnt += err == WEFT_EBUSY;
		return err;
	}
	*out_id = relay_flow_id_of(relay, flow);
	return 0;
}

/* --- legs and labels --- */

int relay_flow_set_leg(struct relay *relay, struct relay_flow_id id, unsigned leg,
		       const struct addr *remote, const struct addr *local)
{
	const struct weft_endpoint endpoint = addr_endpoint(remote);
	struct relay_flow *flow = flow_at(relay, id);
	struct weft_relay_flow *row;

	if (!flow)
		return WEFT_EABSENT;
	row = row_of(relay, flow);
	leg &= 1;
	if ((relay->params.is_own && relay->params.is_own(relay->params.ctx, remote)) ||
	    weft_endpoint_equal(&endpoint, &row->legs[leg ^ 1].remote))
		return WEFT_EREFUSED;
	relay_row_write_begin(row);
	row->legs[leg].remote = endpoint;
	row->legs[leg].local = addr_endpoint(local);
	/* Frames of the new path teach how to reach it; until then the socket sends. */
	row->legs[leg].link = (struct weft_relay_link){.ifindex = 0};
	relay_row_write_end(row);
	flow->used_ns = relay->now_ns;
	return 0;
}

int relay_flow_label(const struct relay *relay, struct relay_flow_id id, unsigned leg,
		     struct weft_relay_label *out_label)
{
	const struct relay_flow *flow = flow_at(relay, id);

	if (!flow)
		return WEFT_EABSENT;
	*out_label = row_of(relay, flow)->legs[leg & 1].label;
	out_label->head = weft_relay_head_of_kind(out_label->head, WEFT_RELAY_TO_RELAY);
	return 0;
}

int relay_flow_renew(struct relay *relay, struct relay_flow_id id)
{
	struct relay_flow *flow = flow_at(relay, id);
	struct weft_relay_flow *row;

	if (!flow)
		return WEFT_EABSENT;
	row = row_of(relay, flow);
	flow->generation = relay->hour;
	relay_row_write_begin(row);
	for (unsigned leg = 0; leg < 2; leg++)
		row->legs[leg].label = label_to_end(relay, flow, leg);
	relay_row_write_end(row);
	return 0;
}

/* --- asking --- */

int relay_flow_read(const struct relay *relay, struct relay_flow_id id,
		    struct relay_flow_view *out_view)
{
	const struct relay_flow *flow = flow_at(relay, id);
	const struct weft_relay_flow *row;

	if (!flow)
		return WEFT_EABSENT;
	row = row_of(relay, flow);
	*out_view = (struct relay_flow_view){
		.owner = flow->owner_key,
		.grant = row->grant,
		.mtu = row->mtu,
		.generation = flow->generation,
		.bytes = {row->bytes[0], row->bytes[1]},
		.packets = {row->packets[0], row->packets[1]},
		.refused = {row->refused[0], row->refused[1]},
		.opened_ns = flow->opened_ns,
		.opened_today = flow->owner ? (uint32_t)flow->owner->counts[RELAY_DAY_OPENED] : 0,
		.used_ns = flow->used_ns,
		.is_slow = flow->is_slow,
	};
	return 0;
}

/* --- the turn --- */

static void flow_look(struct relay *relay, struct relay_flow *flow)
{
	if (flow_charge(relay, flow))
		flow->used_ns = relay->now_ns;
	if (relay->now_ns - flow->used_ns >= RELAY_IDLE_NS) {
		relay_flow_end(relay, flow, RELAY_CLOSED_IDLE);
		return;
	}
	if (flow->owner)
		relay_flow_set_slow(relay, flow, relay_owners_are_spent(relay, flow));
}

void relay_flows_sweep(struct relay *relay)
{
	uint32_t cnt = relay->tables.flow_cnt, step = (cnt + SWEEP_TURNS - 1) / SWEEP_TURNS;

	for (uint32_t i = 0; i < step; i++) {
		relay->sweep_idx = relay->sweep_idx + 1 < cnt ? relay->sweep_idx + 1 : 0;
		if (relay->tables.flows[relay->sweep_idx].state == WEFT_RELAY_OPEN)
			flow_look(relay, &relay->flows[relay->sweep_idx]);
	}
}

void relay_settle(struct relay *relay)
{
	for (uint32_t idx = 0; relay && idx < relay->tables.flow_cnt; idx++)
		if (relay->tables.flows[idx].state == WEFT_RELAY_OPEN)
			(void)flow_charge(relay, &relay->flows[idx]);
}
