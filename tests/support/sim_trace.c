/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locate/address_record.h"
#include "locate/locate.h"
#include "mesh/mesh_state.h"
#include "node/node_state.h"
#include "relay/end/relay_end_state.h"
#include "support/sim.h"

#define LINE_CAP 640

/* What is printed of the pair, each of them where it differs from the last time. */
enum trace_line {
	TRACE_SESSION,
	TRACE_PEER_SESSION,
	TRACE_DIAL,
	TRACE_LOOKS,
	TRACE_FLOWS,
	TRACE_PEER_FLOWS,
	TRACE_KEPT,
	TRACE_PEER_KEPT,
	TRACE_RECORD,
	TRACE_LINE_CNT,
};

static const char *const words[TRACE_LINE_CNT] = {
	[TRACE_SESSION] = "session",
	[TRACE_PEER_SESSION] = "peer's session",
	[TRACE_DIAL] = "dial",
	[TRACE_LOOKS] = "looks",
	[TRACE_FLOWS] = "flows",
	[TRACE_PEER_FLOWS] = "peer's flows",
	[TRACE_KEPT] = "kept relays",
	[TRACE_PEER_KEPT] = "peer's kept relays",
	[TRACE_RECORD] = "peer's record",
};

struct text {
	char bytes[LINE_CAP];
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *fmt, ...)
{
	size_t room = sizeof(text->bytes) - text->len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text->bytes + text->len, room, fmt, args);
	va_end(args);
	text->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
}

/* The number of a node, as its key is no news to the reader. */
static unsigned number_of(const struct sim *sim, const uint8_t *key)
{
	for (unsigned i = 0; i < sim->node_cnt; i++)
		if (memcmp(node_key_public(sim->nodes[i].key), key, MESH_KEY_LEN) == 0)
			return i;
	return sim->node_cnt;
}

static void say_addr(struct text *text, const struct addr *addr)
{
	char buf[ADDR_TEXT_CAP];

	say(text, " %s", addr_is_relayed(addr) ? "a label" : addr_format(addr, buf));
}

static void say_session(struct text *text, const struct sim_node *node, const struct sim_node *peer)
{
	const struct mesh *mesh = node_mesh(node->node);
	const struct mesh_session *session =
		map_lookup(&mesh->sessions_by_key, node_key_public(peer->key));
	const uint8_t *relay;

	if (!session) {
		say(text, "none");
		return;
	}
	relay = addr_is_relayed(&session->remote)
			? relay_end_relay_of(node->node->relay_end, &session->remote)
			: NULL;
	say(text, "%s%s%s%s", session->is_dialler ? "dialled" : "accepted",
	    session->has_hello ? "" : ", no HELLO", session->is_retired ? ", retired" : "",
	    session->is_leaving ? ", leaving" : "");
	say_addr(text, &session->remote);
	if (relay)
		say(text, " of relay %u", number_of(node->sim, relay));
}

static struct mesh_dial *dial_of(const struct sim_node *node, const struct sim_node *peer)
{
	return map_lookup(&node_mesh(node->node)->dials_by_key, node_key_public(peer->key));
}

static void say_dial(struct text *text, const struct sim_node *node, const struct sim_node *peer)
{
	const struct mesh_dial *dial = dial_of(node, peer);

	if (!dial) {
		say(text, "none");
		return;
	}
	say(text, "%s%u waiters, %u of %u addresses tried, %u live%s:",
	    dial->beside ? "beside a session, " : "", dial->waiter_cnt, dial->next_idx,
	    dial->addr_cnt, dial->live_cnt, dial->put_off ? ", some put off" : "");
	for (unsigned i = 0; i < dial->addr_cnt; i++) {
		say_addr(text, &dial->addrs[i]);
		if (dial->attempts[i].conn)
			say(text, " (live)");
	}
}

static void say_vias(struct text *text, const struct sim *sim, const struct peer_via *vias,
		     unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		say(text, " %u", number_of(sim, vias[i].key));
}

static void say_looks(struct text *text, const struct sim_node *node, const struct sim_node *peer)
{
	const struct mesh *mesh = node_mesh(node->node);
	const struct mesh_dial *dial = dial_of(node, peer);

	for (unsigned i = 0; dial && i < mesh->locator_cnt; i++) {
		const struct mesh_dial_look *look = &dial->discovery.looks[i];

		if (look->is_asked)
			say(text, "%s %s%s, ", mesh->locators[i].name,
			    look->is_running ? "runs" : "ended", look->is_stale ? ", stale" : "");
	}
	if (!dial)
		return;
	say(text, "relays of the record:");
	say_vias(text, node->sim, dial->discovery.vias, dial->discovery.via_cnt);
}

static void say_flows(struct text *text, const struct sim_node *node, const struct sim_node *peer)
{
	const struct relay_end *end = node->node->relay_end;

	for (unsigned i = 0; i < end->flow_cap; i++) {
		const struct end_flow *flow = &end->flows[i];

		if (!flow->relay || memcmp(flow->peer, node_key_public(peer->key), MESH_KEY_LEN))
			continue;
		say(text, "at %u%s%s%s%s%s, failed %u; ",
		    number_of(node->sim, flow->relay->place.key),
		    flow->is_opener ? " opener" : " acceptor", flow->is_open ? " open" : "",
		    flow->was_open && !flow->is_open ? " lost" : "", flow->is_spare ? " spare" : "",
		    flow->request ? " asked for" : "", flow->fail_cnt);
	}
}

static void say_kept(struct text *text, const struct sim_node *node)
{
	const struct relay_end *end = node->node->relay_end;

	for (unsigned i = 0; i < end->relay_cap; i++) {
		const struct end_relay *relay = &end->relays[i];

		if (relay->is_used && (relay->is_kept || relay->flow_cnt))
			say(text, "%u%s%s%s%s%s%s failed %u; ",
			    number_of(node->sim, relay->place.key), relay->is_kept ? " kept" : "",
			    relay->is_trial ? " trial" : "", relay->is_up ? " up" : "",
			    relay->is_silent ? " silent" : "",
			    relay_end_leg_is_doubted(relay) ? " doubted" : "",
			    relay->is_connecting ? " connecting" : "", relay->fail_cnt);
	}
}

static void say_record(struct text *text, const struct sim_node *node)
{
	struct publish_state state;

	locate_publish_state(node->node->locate->publish, &state);
	if (!state.packet) {
		say(text, "none");
		return;
	}
	say(text, "at %u nodes, relays:", state.stored_cnt);
	say_vias(text, node->sim, state.record.vias, state.record.via_cnt);
}

static void line_make(enum trace_line line, const struct sim_node *from, const struct sim_node *to,
		      struct text *text)
{
	const bool is_of_peer = line == TRACE_PEER_SESSION || line == TRACE_PEER_FLOWS ||
				line == TRACE_PEER_KEPT || line == TRACE_RECORD;
	const struct sim_node *node = is_of_peer ? to : from, *peer = is_of_peer ? from : to;

	if (!node->node) {
		say(text, "down");
		return;
	}
	switch (line) {
	case TRACE_SESSION:
	case TRACE_PEER_SESSION:
		say_session(text, node, peer);
		break;
	case TRACE_DIAL:
		say_dial(text, node, peer);
		break;
	case TRACE_LOOKS:
		say_looks(text, node, peer);
		break;
	case TRACE_FLOWS:
	case TRACE_PEER_FLOWS:
		say_flows(text, node, peer);
		break;
	case TRACE_KEPT:
	case TRACE_PEER_KEPT:
		say_kept(text, node);
		break;
	case TRACE_RECORD:
		say_record(text, node);
		break;
	case TRACE_LINE_CNT:
		break;
	}
}

void sim_trace_init(struct sim *sim)
{
	const char *pair = getenv("SIM_TRACE");

	if (pair && sscanf(pair, "%u:%u", &sim->traced[0], &sim->traced[1]) != 2)
		sim->traced[0] = sim->traced[1] = 0;
}

static void line_print(const struct sim *sim, enum trace_line line, const struct text *text)
{
	printf("# %.3f s, %s: %s\n", (double)(sim->now_ns - sim->begin_ns) / NS_PER_S, words[line],
	       text->bytes);
}

void sim_trace_turn(const struct sim *sim)
{
	static char told[TRACE_LINE_CNT][LINE_CAP];
	unsigned from = sim->traced[0], to = sim->traced[1];

	if (from == to || from >= sim->node_cnt || to >= sim->node_cnt)
		return;
	for (unsigned line = 0; line < TRACE_LINE_CNT; line++) {
		struct text text = {.len = 0};

		line_make(line, &sim->nodes[from], &sim->nodes[to], &text);
		if (strcmp(text.bytes, told[line]) == 0)
			continue;
		memcpy(told[line], text.bytes, sizeof(told[line]));
		line_print(sim, line, &text);
	}
}

void sim_trace_print(const struct sim_node *from, const struct sim_node *to)
{
	for (unsigned line = 0; line < TRACE_LINE_CNT; line++) {
		struct text text = {.len = 0};

		line_make(line, from, to, &text);
		line_print(from->sim, line, &text);
	}
}
