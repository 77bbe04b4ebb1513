/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's functions for the ends of flows through relays (relay/end/relay_end.h). Relays are found
 * here, QUIC is joined to labels, and a dial has its way "relay". Home worker.
 */
#include <stdio.h>
#include <string.h>

#include "api/events/events.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "mesh/mesh.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "worker/tcp_legs.h"

/* Records of the key's own addresses are asked first; each has this long before a relay is. */
#define LOCATOR_STAGGER_NS NS_PER_S
#define LOCATOR_BUDGET_NS  (20 * NS_PER_S)
/* A third node's probe has had its time; docs/paths.md tells it. */
#define UNKNOWN_NS (30 * NS_PER_S)

/* --- for the loop of home --- */

static bool on_input(void *ctx, struct dgram *dgram, uint64_t now_ns)
{
	return relay_end_input(ctx, dgram, now_ns);
}

static struct dgram_sink *on_wrap(void *ctx, struct dgram_sink *sink)
{
	return relay_end_sink(ctx, sink);
}

static size_t on_len_max(void *ctx, const struct addr *label)
{
	return relay_end_len_max(ctx, label);
}

static void on_ask(void *ctx, const struct addr *label)
{
	relay_end_ask(ctx, label);
}

static void on_leg_silent(void *ctx, const struct addr *label)
{
	relay_end_leg_silent(ctx, label);
}

static bool on_relabel(void *ctx, struct addr *label)
{
	return relay_end_relabel(ctx, label);
}

static const struct worker_relay_end relay_end_ops = {
	.input = on_input,
	.wrap = on_wrap,
	.len_max = on_len_max,
	.ask = on_ask,
	.leg_silent = on_leg_silent,
	.relabel = on_relabel,
};

/* --- for the ends --- */

static bool on_path(void *ctx, const uint8_t *key, struct mesh_path *out_path)
{
	const struct node *node = ctx;

	return mesh_neighbour_ops.path(node->home->mesh, key, out_path) &&
	       !addr_is_relayed(&out_path->remote);
}

unsigned node_session_worker(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;
	const struct workers_session *session = NULL;
	struct mesh_path path;

	if (!mesh_neighbour_ops.path(node->home->mesh, key, &path) ||
	    path.local.family != ADDR_NONE)
		return node->home->idx;
	if (node->threads->workers)
		session = workers_session_lookup(node->threads->workers, key);
	return session ? session->worker_idx : node->home->idx;
}

static void on_leg_send(void *ctx, const struct addr *leg, const struct dgram *dgram)
{
	worker_leg_send(((struct node *)ctx)->home, leg, dgram);
}

static void on_relay_told(void *ctx, const uint8_t *key, uint64_t took_ns)
{
	struct node *node = ctx;

	if (!node->fabric)
		return;
	if (took_ns)
		relay_find_succeeded(node->fabric->relay_find, key, took_ns, node->home->now_ns);
	else
		relay_find_failed(node->fabric->relay_find, key, node->home->now_ns);
}

/*
 * The relay's work for this node. A key is free, so an unknown peer is no witness: relay and peer may
 * be one.
 */
static bool on_relayed(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t len,
		       bool is_first)
{
	struct mesh *mesh = ((struct node *)ctx)->home->mesh;

	if (mesh_peer_class(mesh, peer) == FAIR_UNKNOWN)
		return false;
	mesh_note_work(mesh, relay, is_first ? MESH_WORK_OPENED : MESH_WORK_RELAYED, len);
	return true;
}

/*
 * Where no third node can ask, nothing ever shows it: a node that others cannot write to would wait
 * for good. Other nodes come to a relay first in any case.
 */
static bool on_is_hidden(void *ctx)
{
	const struct node *node = ctx;
	const struct reachability_view *view = reachability_show(node->reachability);
	uint64_t since_ns = node->wall->started_ns;

	/* STUN needs a minute to find it out. */
	if (mesh_udp_is_silent(node->home->mesh))
		return true;
	/* Its address record names relays alone, so no node finds it by its key without one. */
	if (reachability_is_open(view->kind))
		return !node->relay && node->config->publish.policy.publish == PKARR_RELAY_ONLY &&
		       locate_publish_has_place(node->locate->publish);
	if (view->kind != REACHABILITY_UNKNOWN || node->relay)
		return reachability_is_hidden(view->kind);
	if (view->since_ns > since_ns)
		since_ns = view->since_ns;
	return view->judged_ns && node->home->now_ns >= since_ns + UNKNOWN_NS;
}

static uint64_t on_keepalive(void *ctx, enum addr_family family)
{
	return reachability_keepalive_ns(((const struct node *)ctx)->reachability, family);
}

/* The address record names them, and all else that says where this node is. */
static void on_kept(void *ctx)
{
	struct node *node = ctx;

	locate_publish_changed(node->locate->publish, node->home->now_ns);
	social_moved(node->social, node->home->now_ns);
	node_fabric_relays_changed(node->fabric, node->home->now_ns);
	node_sharing_relays_changed(node->sharing, node->home->now_ns);
	relay_slots_kept(node->relay_slots, node->home->now_ns);
}

static void on_probe(void *ctx, const uint8_t *key)
{
	mesh_session_probe(((struct node *)ctx)->home->mesh, key);
}

static void on_deliver(void *ctx, struct dgram *dgram)
{
	worker_input_relayed(((struct node *)ctx)->home, dgram);
}

static bool is_label(void *ctx, const struct addr *remote)
{
	return addr_equal(remote, ctx);
}

static void on_expel(void *ctx, const struct addr *label)
{
	struct node *node = ctx;
	struct addr gone = *label;

	(void)quic_engine_expel(node->home->quic, is_label, &gone, node->home->now_ns);
}

struct label_move {
	struct addr from, to;
};

static bool move_choose(void *ctx, const struct addr *remote, const struct addr *local,
			struct addr *out_local)
{
	const struct label_move *move = ctx;

	(void)local;
	*out_local = move->to;
	return addr_equal(remote, &move->from);
}

static void on_move(void *ctx, const struct addr *from, const struct addr *to)
{
	struct node *node = ctx;
	struct label_move move = {*from, *to};

	quic_engine_rebind(node->home->quic, move_choose, &move, node->home->now_ns);
}

static void on_spare(void *ctx, const struct addr *remote, const struct addr *label)
{
	quic_engine_fall_back_to(((struct node *)ctx)->home->quic, remote, label);
}

static void on_relabelled(void *ctx, const struct addr *from, const struct addr *to)
{
	quic_engine_relabel(((struct node *)ctx)->home->quic, from, to);
}

void node_on_barred(void *ctx, const uint8_t *key)
{
	struct node *node = ctx;

	if (node->relay_end)
		relay_end_want_content(node->relay_end, key, node->home->now_ns);
}

/* Of the end that did not dial nothing moves. */
static void on_content(void *ctx, const uint8_t *peer, const struct addr *label)
{
	struct node *node = ctx;
	struct mesh_path path;

	if (mesh_neighbour_ops.path(node->home->mesh, peer, &path) &&
	    addr_is_relayed_control(&path.remote))
		(void)quic_engine_move(node->home->quic, &path.remote, label, label,
				       node->home->now_ns);
}

static void on_path_back(void *ctx, const struct addr *label)
{
	struct node *node = ctx;

	quic_engine_path_is_back(node->home->quic, label, node->home->now_ns);
}

static int on_connect(void *ctx, const struct relay_end_place *place, uint64_t timeout_ns,
		      mesh_connect_fn done, void *arg)
{
	struct node *node = ctx;
	struct mesh_peer peer = {
		.addrs = place->addrs, .addr_cnt = place->addr_cnt, .told_cnt = place->addr_cnt};

	memcpy(peer.key, place->key, sizeof(peer.key));
	return mesh_connect(
		node->home->mesh,
		&(struct mesh_connect){
			.peer = &peer, .timeout_ns = timeout_ns, .done = done, .arg = arg},
		node->home->now_ns);
}

static void on_event(void *ctx, const struct relay_end_event *event)
{
	api_tell_relay_flow(((struct node *)ctx)->api, event);
}

static void on_used(void *ctx, const uint8_t *relay, const uint64_t lens[static 2], bool is_over)
{
	relay_receipts_used(((struct node *)ctx)->relay_receipts, relay,
			    &(struct relay_count){.sent = lens[0], .received = lens[1]}, is_over);
}

/* --- the way "relay" of a dial --- */

static void look_found(void *arg, const struct addr *label, uint64_t now_ns)
{
	struct mesh_look *look = arg;

	(void)look->found(look, &(struct mesh_found){.addrs = label, .addr_cnt = 1}, now_ns);
}

static void look_ended(void *arg, int err, uint64_t now_ns)
{
	struct mesh_look *look = arg;

	look->ended(look, err, now_ns);
}

static int on_look(void *ctx, const uint8_t key[static MESH_KEY_LEN], struct mesh_look *look,
		   uint64_t now_ns, void **out_run)
{
	const struct node *node = ctx;
	const uint8_t *ranks = config_live(node->config)->mesh.ways[MESH_NETWORK_INTERNET].ranks;
	struct relay_end_look relayed = {.found = look_found,
					 .ended = look_ended,
					 .arg = look,
					 .is_named = look->is_unsought};

	/* No relay is asked for a flow that would not be dialled. */
	relayed.is_web = !ranks[MESH_WAY_RELAY];
	if (relayed.is_web && !ranks[MESH_WAY_WEBSOCKET])
		return WEFT_EREFUSED;
	return relay_end_look(node->relay_end, key, &relayed, now_ns, out_run);
}

static void on_look_hint(void *ctx, void *run, const struct peer_via *vias, unsigned cnt,
			 uint64_t now_ns)
{
	relay_end_look_hint(((struct node *)ctx)->relay_end, run, vias, cnt, now_ns);
}

static void on_look_cancel(void *ctx, void *run)
{
	relay_end_look_cancel(((struct node *)ctx)->relay_end, run);
}

/* --- FLOW_CLOSE, which a relay says to an end; where this node is a relay, too, its broker hears it --- */

static void on_flow_close(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct node *node = ctx;
	const struct mesh_ops *mesh = mesh_seam_of(node->home->mesh).ops;
	struct relay_close_message message;

	if (relay_message_close_parse(call->payload, call->payload_len, &message) < 0) {
		mesh->answer_error(call->incoming, MESH_CODE_MALFORMED, "no end of a flow", 0);
		return;
	}
	(void)relay_end_closed(node->relay_end, call->peer_key, &message, now_ns);
	(void)mesh->answer(call->incoming, MESH_FLOW_CLOSE, call->payload, call->payload_len, NULL);
}

static void on_undefer(void *ctx, const uint8_t *key)
{
	mesh_undefer(((struct node *)ctx)->home->mesh, key, MESH_FLOW_OPEN);
}

static bool on_grant_wanted(void *ctx, const uint8_t *key, struct relay_end_grant *out_grant)
{
	const struct node *node = ctx;
	const struct relay_held *held = node->relay_held;
	unsigned idx;

	if (!held)
		return false;
	idx = relay_held_choose(held, key, node_wall_us(node) / 1000000);
	if (idx == RELAY_HELD_MAX)
		return false;
	*out_grant = (struct relay_end_grant){
		.bytes = held->grants[idx].bytes,
		.len = held->grants[idx].len,
		.is_content = held->grants[idx].shown.grant.is_content,
	};
	return true;
}

int node_open_relay_end(struct node *node, char *what)
{
	const struct mesh_seam mesh = mesh_seam_of(node->home->mesh);
	const struct relay_end_params params = {
		.config = node->config->relay_end,
		.own_key = node_key_public(node->key),
		.mesh = mesh,
		.random = node->random,
		.site = node->config->mesh.site,
		.now_ns = node->home->now_ns,
		.path = on_path,
		.worker_of = node_session_worker,
		.leg_send = on_leg_send,
		.refuses = node_refuses_key,
		.key_class = node_peer_class,
		.relays = node_choose_relays,
		.trust = node_relay_trust,
		.tell_relay = on_relay_told,
		.relayed = on_relayed,
		.grant = on_grant_wanted,
		.undefer = on_undefer,
		.is_hidden = on_is_hidden,
		.keepalive_ns = on_keepalive,
		.on_kept = on_kept,
		.probe = on_probe,
		.deliver = on_deliver,
		.expel = on_expel,
		.move = on_move,
		.spare = on_spare,
		.relabelled = on_relabelled,
		.content = on_content,
		.path_back = on_path_back,
		.used = on_used,
		.web = &node_relay_end_web,
		.on_event = on_event,
		.connect = on_connect,
		.ctx = node,
	};
	struct mesh_locator locator = {
		.name = "relay",
		.stagger_ns = LOCATOR_STAGGER_NS,
		.budget_ns = LOCATOR_BUDGET_NS,
		.look = on_look,
		.cancel = on_look_cancel,
		.hint = on_look_hint,
		.keeps_unsought = true,
	};
	int err = node_open_relay_held(node, what);

	if (err < 0 || (err = node_open_relay_trust(node, what)) < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "ends of flows through relays");
	err = relay_end_new(&params, &node->relay_end);
	if (err < 0)
		return err;
	worker_set_relay_end(node->home, &relay_end_ops, node->relay_end);
	if (node->relay_role.is_relay)
		mesh_neighbour_ops.announce(mesh.mesh, MESH_CAP_RELAY, true);
	locator.ctx = node;
	if (!node->relay_broker &&
	    (err = mesh.ops->handle(mesh.mesh, MESH_FLOW_CLOSE, on_flow_close, node)) < 0)
		return err;
	return mesh_add_locator(node->home->mesh, &locator);
}

void node_close_relay_end(struct node *node)
{
	if (node->home->quic)
		worker_set_relay_end(node->home, NULL, NULL);
}
