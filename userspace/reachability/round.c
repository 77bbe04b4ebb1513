/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A round: round_begin -> ask_stun, ask_peers -> on_answer, reachability_round_probe ->
 * round_judge. A probe counts when this node has not written to its source: a source that was
 * written to may answer through any NAT. Home worker.
 */
#include "reachability_state.h"

#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/dgram.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "codec/cbor.h"

#define ASK_TIMEOUT_NS	 (4 * NS_PER_S)
#define JUDGE_NS	 (5 * NS_PER_S)
#define CONFIRM_NS	 (12 * NS_PER_S) /* until the round that decides, beyond REACHABILITY_GAP_NS */
#define ROUND_UNKNOWN_NS (60 * NS_PER_S)
#define ROUND_NS	 (600 * NS_PER_S)
#define STUN_CNT	 2
#define SEEN_ASK_CNT	 3
#define DIAL_BACK_CNT	 2
_Static_assert(SEEN_ASK_CNT + DIAL_BACK_CNT == PEER_ASK_CNT, "each has its place");

void reachability_round_in(struct reachability *reachability, uint64_t in_ns, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + in_ns;

	if (reachability->round_ns && at_ns < reachability->round_ns + REACHABILITY_GAP_NS)
		at_ns = reachability->round_ns + REACHABILITY_GAP_NS;
	if (!timer_is_set(&reachability->round_timer) || reachability->round_timer.at_ns > at_ns)
		timer_set(reachability->params.timers, &reachability->round_timer, at_ns);
}

void reachability_round_seen(struct reachability *reachability, const struct observation *seen)
{
	reachability_observed_add(&reachability->observed[seen->seen.family == ADDR_IPV6], seen);
}

/* --- what peers answer --- */

static void on_seen(struct peer_ask *ask, const struct addr *addr, uint64_t now_ns)
{
	struct reachability *reachability = ask->reachability;
	const struct observation seen = {
		.network = fair_network_of_addr(&reachability->paths, &ask->remote),
		.voter = ask->remote,
		.seen = *addr,
		.by = OBSERVED_BY_PEER,
		.at_ns = now_ns,
	};

	/* A session of one family says nothing of the other. */
	if (addr->family == ask->remote.family)
		reachability_round_seen(reachability, &seen);
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct peer_ask *ask = arg;
	struct addr addr;

	ask->request = NULL;
	if (reply->err < 0 ||
	    reachability_address_parse(reply->payload, reply->payload_len, &addr) < 0)
		return;
	if (!ask->is_dial_back) {
		on_seen(ask, &addr, now_ns);
		return;
	}
	ask->is_sent = true;
	ask->at = addr;
}

/* --- asking --- */

static void peer_ask(struct reachability *reachability, struct peer_ask *ask,
		     const struct mesh_neighbour *peer, uint64_t now_ns)
{
	uint8_t payload[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct path_dial_back message = {.port = ask->port};
	struct mesh_ask request = {
		.type = ask->is_dial_back ? MESH_DIAL_BACK : MESH_OBSERVED_ADDR,
		.payload = payload,
		.reply_buf = ask->reply,
		.reply_cap = sizeof(ask->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_answer,
		.arg = ask,
	};

	ask->reachability = reachability;
	ask->remote = peer->remote;
	if (ask->is_dial_back) {
		random_fill(reachability->params.random, ask->ticket, sizeof(ask->ticket));
		memcpy(message.ticket, ask->ticket, sizeof(message.ticket));
		reachability_dial_back_write(&w, &message);
	} else {
		cbor_write_map(&w, 0);
	}
	request.payload_len = writer_len(&w);
	memcpy(request.peer.key, peer->key, sizeof(request.peer.key));
	if (reachability->params.mesh.ops->ask(reachability->params.mesh.mesh, &request, now_ns,
					       &ask->request) < 0)
		ask->request = NULL;
}

/* A session on a side port says nothing of the node's own one. */
static bool is_by_own_port(struct reachability *reachability, const uint8_t *key)
{
	const struct reachability_params *params = &reachability->params;
	struct addr own[MESH_PEER_ADDRS_MAX];
	unsigned cnt = params->own_addrs(params->ctx, own);
	struct mesh_path path;

	if (!cnt || !params->neighbours->path(params->mesh.mesh, key, &path) ||
	    path.local.family == ADDR_NONE)
		return true;
	for (unsigned i = 0; i < cnt; i++)
		if (own[i].port == path.local.port)
			return true;
	return false;
}

/*
 * Connected peers, one of each network, drawn anew each round. Those of an address of this machine
 * cannot know how it looks from outside.
 */
static unsigned peers_draw(struct reachability *reachability,
			   struct mesh_neighbour out_peers[static SEEN_ASK_CNT])
{
	const struct reachability_params *params = &reachability->params;
	struct mesh_neighbour peer;
	struct mesh_walk walk = {0};
	unsigned cnt = 0, met_cnt = 0;

	while (params->neighbours->next(params->mesh.mesh, &walk, &peer) && peer.is_connected) {
		uint64_t network = fair_network_of_addr(&reachability->paths, &peer.remote), pick;
		unsigned at = 0;

		if (peer.is_relayed || addr_is_loopback(&peer.remote) ||
		    peer.remote.transport != ADDR_UDP || !is_by_own_port(reachability, peer.key))
			continue;
		while (at < cnt &&
		       fair_network_of_addr(&reachability->paths, &out_peers[at].remote) != network)
			at++;
		if (at < cnt)
			continue;
		pick = random_below(params->random, ++met_cnt);
		if (cnt < SEEN_ASK_CNT)
			out_peers[cnt++] = peer;
		else if (pick < SEEN_ASK_CNT)
			out_peers[pick] = peer;
	}
	return cnt;
}

static void ask_peers(struct reachability *reachability, const struct mesh_neighbour *peers,
		      unsigned cnt, uint64_t now_ns)
{
	for (unsigned i = 0; i < PEER_ASK_CNT; i++) {
		struct peer_ask *ask = &reachability->asks[i];
		unsigned at = i < SEEN_ASK_CNT ? i : i - SEEN_ASK_CNT;

		*ask = (struct peer_ask){.is_dial_back = i >= SEEN_ASK_CNT};
		/* The router's port first, then that of the session, if need be by the same peer. */
		if (i == SEEN_ASK_CNT)
			ask->port = reachability->mapped.port;
		else if (ask->is_dial_back && reachability->mapped.port && at == cnt)
			at = 0;
		if (at < cnt)
			peer_ask(reachability, ask, &peers[at], now_ns);
	}
}

/* Configured servers first, then peers at addresses where this node dialled them. */
static void ask_stun(struct reachability *reachability, const struct mesh_neighbour *peers,
		     unsigned cnt, uint64_t now_ns)
{
	const struct reachability_config *config = &reachability->params.config;
	unsigned asked_cnt = 0;

	for (unsigned i = 0; i < config->server_cnt && asked_cnt < STUN_CNT; i++)
		asked_cnt +=
			reachability_stun_ask(&reachability->stun, &config->servers[i], now_ns);
	for (unsigned i = 0; i < cnt && asked_cnt < STUN_CNT; i++)
		asked_cnt += peers[i].is_proved &&
			     reachability_stun_ask(&reachability->stun, &peers[i].remote, now_ns);
	reachability->stats.stun_asked_cnt += asked_cnt;
}

/* --- the judgement --- */

static bool is_own(const struct reachability *reachability, const struct addr *addr)
{
	struct addr own[MESH_PEER_ADDRS_MAX];
	unsigned cnt = reachability->params.own_addrs(reachability->params.ctx, own);

	for (unsigned i = 0; i < cnt; i++)
		if (own[i].family == addr->family &&
		    memcmp(own[i].ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	return false;
}

static void findings_fill(struct reachability *reachability, uint64_t now_ns)
{
	const struct reachability_params *params = &reachability->params;
	struct reachability_findings *found = &reachability->found;
	struct mesh_neighbour peer;
	struct mesh_walk walk = {0};

	for (unsigned i = 0; i < PEER_ASK_CNT; i++) {
		const struct peer_ask *ask = &reachability->asks[i];

		found->lost_cnt += ask->is_sent && !ask->has_arrived;
		if (ask->is_proof)
			found->arrived_at = ask->at;
	}
	for (unsigned family = 0; family < 2 && found->observed.addr.family == ADDR_NONE; family++)
		reachability_observed_judge(&reachability->observed[family], now_ns,
					    &found->observed);
	found->is_own = is_own(reachability, &found->arrived_at);
	found->silent_cnt = reachability->silent_cnt;
	while (!found->has_sessions && params->neighbours->next(params->mesh.mesh, &walk, &peer) &&
	       peer.is_connected)
		found->has_sessions = !peer.is_relayed && peer.remote.transport == ADDR_UDP;
}

static bool is_open(enum reachability_kind kind)
{
	return kind == REACHABILITY_DIRECT || kind == REACHABILITY_MAPPED;
}

static void view_set(struct reachability *reachability, enum reachability_kind kind,
		     const char *evidence, uint64_t now_ns)
{
	const struct reachability_findings *found = &reachability->found;
	struct reachability_view *view = &reachability->view;
	struct addr addr = is_open(kind) ? found->arrived_at : found->observed.addr;
	bool is_news = view->kind != kind || !addr_equal(&view->addr, &addr);

	if (view->kind != kind || !view->judged_ns)
		view->since_ns = now_ns;
	view->kind = kind;
	view->addr = addr;
	view->judged_ns = now_ns;
	snprintf(view->evidence, sizeof(view->evidence), "%s", evidence);
	if (is_news)
		reachability->params.changed(reachability->params.ctx, view);
}

/* One lost probe is no proof that a door was shut: a second round has to say so as well. */
static void round_judge(struct timer *timer, uint64_t now_ns)
{
	struct reachability *reachability = container_of(timer, struct reachability, judge_timer);
	char evidence[REACHABILITY_EVIDENCE_CAP];
	enum reachability_kind kind;

	findings_fill(reachability, now_ns);
	kind = reachability_judge(&reachability->found, evidence);
	reachability->view.is_asking = false;
	if (is_open(reachability->view.kind) && !is_open(kind) && !reachability->is_confirming) {
		reachability->is_confirming = true;
		reachability_round_in(reachability, CONFIRM_NS, now_ns);
		return;
	}
	reachability->is_confirming = false;
	view_set(reachability, kind, evidence, now_ns);
	reachability_round_in(reachability,
			      kind == REACHABILITY_UNKNOWN ? ROUND_UNKNOWN_NS : ROUND_NS, now_ns);
}

static void round_begin(struct timer *timer, uint64_t now_ns)
{
	struct reachability *reachability = container_of(timer, struct reachability, round_timer);
	struct mesh_neighbour peers[SEEN_ASK_CNT];
	unsigned cnt = peers_draw(reachability, peers);

	reachability_round_stop(reachability);
	/* One that finds nothing to ask puts off no other: the first session may begin right now. */
	reachability->round_ns = cnt || reachability->params.config.server_cnt ? now_ns : 0;
	for (unsigned family = 0; family < 2; family++)
		reachability->observed[family].round_ns = now_ns;
	reachability->found = (struct reachability_findings){.lost_cnt = 0};
	reachability->view.is_asking = true;
	ask_stun(reachability, peers, cnt, now_ns);
	ask_peers(reachability, peers, cnt, now_ns);
	timer_set(reachability->params.timers, &reachability->judge_timer, now_ns + JUDGE_NS);
}

/* --- probes --- */

/* Written to over a session, now or earlier, for another node, or by another protocol of this port. */
static bool has_written_to(const struct reachability *reachability, const struct addr *addr,
			   uint64_t now_ns)
{
	const struct reachability_params *params = &reachability->params;
	struct mesh_neighbour peer;
	struct mesh_walk walk = {0};

	while (params->neighbours->next(params->mesh.mesh, &walk, &peer))
		if (peer.remote.family == addr->family &&
		    memcmp(peer.remote.ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	for (unsigned i = 0; i < params->config.server_cnt; i++)
		if (memcmp(params->config.servers[i].ip, addr->ip, sizeof(addr->ip)) == 0)
			return true;
	return reachability_dial_back_wrote(&reachability->dial_backs, addr, now_ns) ||
	       params->has_contacted(params->ctx, addr);
}

bool reachability_round_probe(struct reachability *reachability, const struct dgram *dgram,
			      const uint8_t ticket[static PATH_TICKET_LEN], uint64_t now_ns)
{
	for (unsigned i = 0; i < PEER_ASK_CNT; i++) {
		struct peer_ask *ask = &reachability->asks[i];

		if (!ask->is_dial_back || !ask->reachability || ask->has_arrived ||
		    memcmp(ask->ticket, ticket, PATH_TICKET_LEN) != 0)
			continue;
		ask->has_arrived = true;
		if (has_written_to(reachability, &dgram->remote, now_ns)) {
			reachability->stats.probe_known_cnt++;
			reachability->found.known_cnt++;
			return true;
		}
		ask->is_proof = reachability->found.has_arrived = true;
		reachability->found.arrived_from = dgram->remote;
		if (!ask->is_sent)
			ask->at = dgram->local;
		return true;
	}
	return false;
}

void reachability_round_init(struct reachability *reachability)
{
	timer_init(&reachability->round_timer, round_begin);
	timer_init(&reachability->judge_timer, round_judge);
}

void reachability_round_stop(struct reachability *reachability)
{
	for (unsigned i = 0; i < PEER_ASK_CNT; i++) {
		if (reachability->asks[i].request)
			reachability->params.mesh.ops->cancel(reachability->asks[i].request);
		reachability->asks[i] = (struct peer_ask){.request = NULL};
	}
	timer_cancel(reachability->params.timers, &reachability->judge_timer);
}
