/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ends of flows through relays: life and turn.
 *
 *	end_table.c	flows, relays, labels
 *	end_search.c	a dial wants a flow
 *	end_open.c	FLOW_OPEN and FLOW_CLOSE
 *	end_legs.c	sessions with relays
 *	end_hear.c	FLOW_OFFER, FLOW and FLOW_CLOSE of relays
 *	end_sink.c	datagrams out and in
 *	end_leg.c	where a relay sees the peer
 *	end_web.c	paths over WebSocket, which are flows without a word to the relay
 */
#include "relay_end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay_end_state.h"

void relay_end_config_defaults(struct relay_end_config *config)
{
	*config = (struct relay_end_config){
		.use = RELAY_USE_AUTO,
		.accept = RELAY_ACCEPT_ALL,
		.opened_cap = 64,
		.accepted_cap = 64,
	};
}

size_t relay_end_footprint(const struct relay_end_config *config)
{
	return sizeof(struct relay_end) +
	       (size_t)(config->opened_cap + config->accepted_cap + 1) *
		       (sizeof(struct end_flow) + sizeof(struct end_relay) + sizeof(struct addr));
}

static int end_init(struct relay_end *end)
{
	const struct mesh_seam *mesh = &end->params.mesh;
	int err;

	if ((err = arena_open(&end->arena, ARENA_GROWS)) < 0 ||
	    (err = relay_end_table_init(end)) < 0)
		return err;
	arena_fit(&end->arena);
	if ((err = mesh->ops->handle(mesh->mesh, MESH_FLOW_OFFER, relay_end_on_offer, end)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_FLOW, relay_end_on_flow, end);
}

int relay_end_new(const struct relay_end_params *params, struct relay_end **out_end)
{
	struct relay_end *end = calloc(1, sizeof(*end));
	int err;

	if (!end)
		return -ENOMEM;
	end->params = *params;
	end->sink.ops = &relay_end_sink_ops;
	end->now_ns = params->now_ns;
	end->review_ns = params->now_ns;
	end->keep_ns = params->now_ns + NS_PER_S;
	err = end_init(end);
	if (err < 0) {
		relay_end_free(end);
		return err;
	}
	*out_end = end;
	return 0;
}

void relay_end_stop(struct relay_end *end)
{
	if (!end)
		return;
	for (unsigned i = 0; i < end->flow_cap; i++)
		if (end->flows[i].relay)
			relay_end_open_stop(&end->flows[i]);
	for (unsigned i = 0; i < END_FAREWELL_CAP; i++)
		if (end->farewells[i].request)
			end->params.mesh.ops->cancel(end->farewells[i].request);
	relay_end_cancel_leg(end);
}

void relay_end_free(struct relay_end *end)
{
	if (!end)
		return;
	arena_close(&end->arena);
	free(end);
}

/* A handshake that ends may have its dial look for another way, and so for a flow. */
static void gone_expel(struct relay_end *end)
{
	while (end->gone_cnt) {
		const struct addr label = end->gone[--end->gone_cnt];

		end->params.expel(end->params.ctx, &label);
	}
}

void relay_end_turn(struct relay_end *end, uint64_t now_ns)
{
	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	if (end->now_ns < end->next_ns)
		return;
	end->next_ns = UINT64_MAX;
	gone_expel(end);
	relay_end_search_turn(end);
	relay_end_open_turn(end);
}

uint64_t relay_end_next_ns(const struct relay_end *end)
{
	return end->next_ns;
}

void relay_end_session(struct relay_end *end, const uint8_t *key, bool is_up, uint64_t now_ns)
{
	struct end_relay *relay = end ? relay_end_relay_find(end, key) : NULL;

	if (!relay)
		return;
	if (now_ns > end->now_ns)
		end->now_ns = now_ns;
	/* A relay whose sessions end at once is not dialled more often for that. */
	relay->connect_ns = relay->dialled_ns + END_RETRY_NS;
	relay_end_hurry(end, end->now_ns);
	if (is_up) {
		(void)relay_end_relay_look(relay);
		for (unsigned i = 0; i < end->flow_cap; i++)
			if (end->flows[i].relay == relay)
				relay_end_flow_retry(&end->flows[i]);
		return;
	}
	/* A session that ends in silence is no sign of its relay: those kept in its place stay. */
	relay->fail_cnt += relay->is_silent;
	/* Its flows are those of the session. */
	relay->is_up = relay->is_silent = false;
	for (unsigned i = 0; i < end->flow_cap; i++)
		if (end->flows[i].relay == relay)
			relay_end_flow_lose(&end->flows[i]);
}

void relay_end_review(struct relay_end *end, uint64_t now_ns)
{
	if (!end)
		return;
	end->keep_ns = end->review_ns = end->better_ns = now_ns;
	relay_end_hurry(end, now_ns);
}

void relay_end_expel(struct relay_end *end, uint64_t now_ns)
{
	if (!end || !end->params.refuses)
		return;
	for (unsigned i = 0; i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];

		flow->is_over |= flow->relay &&
				 (end->params.refuses(end->params.ctx, flow->peer) ||
				  end->params.refuses(end->params.ctx, flow->relay->place.key));
	}
	/* Trust judges the relays that are kept. */
	relay_end_review(end, now_ns);
}

void relay_end_granted(struct relay_end *end)
{
	for (unsigned i = 0; i < end->relay_cap; i++)
		end->relays[i].refuses_grant = false;
	/* A day that is used up bars those without a grant alone. */
	for (unsigned i = 0; i < end->flow_cap; i++) {
		struct end_flow *flow = &end->flows[i];

		if (!flow->relay || flow->is_open || !flow->deferred_ns)
			continue;
		flow->deferred_ns = 0;
		flow->fail_cnt = 0;
		relay_end_flow_retry(flow);
		relay_end_hurry(end, end->now_ns);
	}
}

/* --- asking --- */

/* Its address of QUIC: others may reach it by UDP. False: none is known. */
static bool via_addr(const struct end_relay *relay, struct addr *out_addr)
{
	*out_addr = relay->path.remote;
	for (unsigned i = 0; out_addr->transport != ADDR_UDP && i < relay->place.addr_cnt; i++)
		if (relay->place.addrs[i].transport == ADDR_UDP)
			*out_addr = relay->place.addrs[i];
	return out_addr->transport == ADDR_UDP;
}

static unsigned kept_add(const struct relay_end *end, bool is_doubted, struct peer_via *out,
			 unsigned cnt)
{
	for (unsigned i = 0; i < end->relay_cap && cnt < PEER_VIAS_MAX; i++) {
		const struct end_relay *relay = &end->relays[i];
		struct addr addr;

		bool is_there;

		if (!relay->is_used || !relay->is_kept || relay->is_trial ||
		    !(relay->is_up ? !relay->is_silent : relay_end_leg_is_web(relay)))
			continue;
		is_there = relay_end_leg_is_there(relay);
		if (is_there == is_doubted || !via_addr(relay, &addr))
			continue;
		out[cnt] = (struct peer_via){.addr = addr};
		memcpy(out[cnt++].key, relay->place.key, MESH_KEY_LEN);
	}
	return cnt;
}

unsigned relay_end_kept(const struct relay_end *end, struct peer_via out[static PEER_VIAS_MAX])
{
	return kept_add(end, true, out, kept_add(end, false, out, 0));
}

bool relay_end_relay_at(const struct relay_end *end, unsigned idx, struct relay_end_relay *out)
{
	for (unsigned i = 0; i < end->relay_cap; i++) {
		const struct end_relay *relay = &end->relays[i];

		if (!relay->is_used || !relay->is_kept || idx--)
			continue;
		*out = (struct relay_end_relay){.key = relay->place.key,
						.is_up = relay->is_up,
						.is_silent = relay->is_silent,
						.is_web = relay_end_leg_is_web(relay),
						.is_trial = relay->is_trial};
		return true;
	}
	return false;
}

size_t relay_end_len_max(const struct relay_end *end, const struct addr *label)
{
	const struct end_flow *flow = map_lookup(&end->flows_by_addr, label);

	return flow ? flow->mtu : 0;
}

const uint8_t *relay_end_relay_of(const struct relay_end *end, const struct addr *label)
{
	const struct end_flow *flow = map_lookup(&end->flows_by_addr, label);

	return flow ? flow->relay->place.key : NULL;
}

unsigned relay_end_row_cap(const struct relay_end *end)
{
	return end->flow_cap;
}

bool relay_end_row(const struct relay_end *end, unsigned idx, struct relay_end_row *out_row)
{
	const struct end_flow *flow = &end->flows[idx];

	if (idx >= end->flow_cap || !flow->relay)
		return false;
	*out_row = (struct relay_end_row){
		.relay = flow->relay->place.key,
		.peer = flow->peer,
		.is_web = flow->relay->place.is_web,
		.label = flow->addr,
		.class = flow->class,
		.is_opener = flow->is_opener,
		.is_open = flow->is_open,
		.mtu = flow->mtu,
		.sent_cnt = flow->sent_cnt,
		.heard_cnt = flow->heard_cnt,
		.since_ns = flow->is_open ? flow->opened_ns : flow->lost_ns,
		.heard_ns = flow->heard_ns,
		.slow_ns = flow->is_open ? flow->slow_ns : 0,
	};
	return true;
}

void relay_end_stats(const struct relay_end *end, struct relay_end_stats *out_stats)
{
	*out_stats = end->stats;
}

void relay_end_view(const struct relay_end *end, struct fair_view *out)
{
	fair_read(&end->places.fair, out);
}
