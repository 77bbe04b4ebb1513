/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How two nodes agree on a search of ports, over their relayed session (RFC 5128 3.5 has the idea).
 *
 *	asks:	  punch_search_after -> witness -> [STUN] -> SEARCH_PORTS -> punch_sweep_run
 *	answers:  on_search -> witness -> [STUN] -> SEARCH_PORTS -> punch_sweep_run
 *
 * Both send many probes to one host, so neither takes the other's word for where that is. The relay of
 * the session is asked, which has a proved path to the peer. The easy side opens one socket of its
 * own and asks the relay by STUN where that is seen; the hard side writes there. Home worker.
 */
#include <string.h>

#include "base/random.h"
#include "punch_state.h"

#define ASK_TIMEOUT_NS	(8 * NS_PER_S)
#define BUSY_WAIT_MS	5000
#define LIMITED_WAIT_MS 300000
#define COMPLAINED_NS	(3600 * NS_PER_S)

/* From one search with a peer to the next. What failed once mostly fails again. */
static uint64_t pause_ns(enum punch_search_outcome outcome)
{
	switch (outcome) {
	case PUNCH_SEARCH_FOUND:
		return 60 * NS_PER_S;
	case PUNCH_SEARCH_SILENT:
		return 1800 * NS_PER_S;
	case PUNCH_SEARCH_BUSY:
		return 5 * NS_PER_S;
	case PUNCH_SEARCH_COMPLAINED:
		return COMPLAINED_NS;
	default:
		return 300 * NS_PER_S;
	}
}

/* The time of a search that found something ends with that. */
static void view_of(const struct punch_search *search, uint64_t now_ns,
		    struct punch_search_view *out_view)
{
	uint64_t at_ns = search->found_ns ? search->found_ns : now_ns;

	*out_view = (struct punch_search_view){
		.outcome = search->outcome,
		.is_under_way = search->phase != PUNCH_SEARCH_IDLE,
		.is_hard = search->is_hard,
		.probe_cnt = search->probe_cnt,
		.socket_cnt = search->socket_cnt,
		.took_ns = search->begun_ns ? at_ns - search->begun_ns : 0,
	};
}

static void outcome_count(struct punch_stats *stats, enum punch_search_outcome outcome)
{
	stats->search_found_cnt += outcome == PUNCH_SEARCH_FOUND;
	stats->search_silent_cnt += outcome == PUNCH_SEARCH_SILENT;
	stats->search_unproved_cnt += outcome == PUNCH_SEARCH_UNPROVED;
	stats->search_limited_cnt += outcome == PUNCH_SEARCH_LIMITED;
	stats->search_complained_cnt += outcome == PUNCH_SEARCH_COMPLAINED;
}

/* Answers the peer that asked, if it is not answered yet. */
static void search_refuse(struct punch_search *search, enum punch_search_outcome outcome)
{
	struct mesh_incoming *incoming = search->incoming;
	const struct mesh_ops *ops = search->punch->params.mesh.ops;

	search->incoming = NULL;
	if (!incoming)
		return;
	if (outcome == PUNCH_SEARCH_LIMITED)
		ops->answer_error(incoming, MESH_CODE_BUSY, "that network was searched enough",
				  LIMITED_WAIT_MS);
	else
		ops->answer_error(incoming, MESH_CODE_REFUSED,
				  "the relay does not confirm where the nodes are", 0);
}

static void search_view_keep(struct punch_search *search, uint64_t now_ns)
{
	struct punch_round *round =
		search->is_asker ? punch_asked_find(search->punch, search->key) : NULL;

	if (!round)
		return;
	view_of(search, now_ns, &round->view.search);
	round->search_ns = now_ns + pause_ns(search->outcome);
	if (round->search_ns < search->again_ns)
		round->search_ns = search->again_ns;
}

/* A peer that names a host of others costs this node a question to its relay each time. */
static void unproved_note(struct punch_search *search, uint64_t now_ns)
{
	struct punch *punch = search->punch;
	struct punch_unproved *row = &punch->unproved[punch->unproved_at++ % PUNCH_UNPROVED_MAX];

	memcpy(row->key, search->key, sizeof(row->key));
	row->at_ns = now_ns;
}

static bool is_unproved(const struct punch *punch, const uint8_t *key, uint64_t now_ns)
{
	for (unsigned i = 0; i < PUNCH_UNPROVED_MAX; i++) {
		const struct punch_unproved *row = &punch->unproved[i];

		if (row->at_ns && now_ns < row->at_ns + PUNCH_UNPROVED_NS &&
		    memcmp(row->key, key, sizeof(row->key)) == 0)
			return true;
	}
	return false;
}

/* No probe was sent, so none counts. Of peers each counts: they could ask for ever. */
static void search_uncount(struct punch_search *search)
{
	struct punch *punch = search->punch;

	if (search->is_asker && search->is_counted && !search->begun_ns && punch->past_cnt)
		punch->past_cnt--;
	search->is_counted = false;
}

void punch_search_end(struct punch_search *search, enum punch_search_outcome outcome,
		      uint64_t now_ns)
{
	struct punch *punch = search->punch;
	const struct punch_params *params = &punch->params;

	if (search->phase == PUNCH_SEARCH_IDLE)
		return;
	if (search->phase == PUNCH_SEARCH_WITNESS)
		params->unask(params->ctx);
	if (search->request)
		params->mesh.ops->cancel(search->request);
	search->request = NULL;
	search->phase = PUNCH_SEARCH_IDLE;
	search->outcome = outcome;
	timer_cancel(params->timers, &search->timer);
	params->ports->close(params->ports_ctx);
	search_refuse(search, outcome);
	search_uncount(search);
	if (!search->is_asker && !search->begun_ns)
		unproved_note(search, now_ns);
	outcome_count(&punch->stats, outcome);
	search_view_keep(search, now_ns);
}

static void search_init(struct punch *punch, const uint8_t *key)
{
	struct punch_search *search = &punch->search;

	*search = (struct punch_search){.punch = punch, .timer = search->timer};
	memcpy(search->key, key, sizeof(search->key));
	random_fill(punch->params.random, search->handle, sizeof(search->handle));
	random_fill(punch->params.random, search->nonce, sizeof(search->nonce));
	random_fill(punch->params.random, search->transaction, sizeof(search->transaction));
	search->port_at = (uint32_t)random_u64(punch->params.random);
	search->goal.family = search->host.family = ADDR_NONE;
}

/* One of both NATs has one port for all remotes, and the other one has not. */
static bool is_pair(enum punch_nat own, enum punch_nat peers)
{
	return (own == PUNCH_NAT_EASY && peers == PUNCH_NAT_HARD) ||
	       (own == PUNCH_NAT_HARD && peers == PUNCH_NAT_EASY);
}

static bool has_complaint(const struct punch *punch, uint64_t now_ns)
{
	return punch->complained_ns && now_ns < punch->complained_ns + COMPLAINED_NS;
}

static struct punch_past_search past_of(const struct punch_search *search, uint64_t network,
					uint64_t now_ns)
{
	return (struct punch_past_search){.at_ns = now_ns,
					  .network = network,
					  .is_asked = search->is_asker,
					  .is_unknown = search->owner.is_unknown};
}

/* --- the steps of both --- */

static void message_of(const struct punch_search *search, struct punch_candidates *out_message)
{
	const struct punch_params *params = &search->punch->params;
	struct punch_candidates own = {.nat = PUNCH_NAT_EASY, .addr_cnt = 1};

	own.addrs[0] = search->goal;
	if (search->is_hard) {
		own.nat = PUNCH_NAT_HARD;
		own.addr_cnt = params->candidates(params->ctx, own.addrs, &own.mapped);
		own.mapped = 0;
	}
	memcpy(own.handle, search->handle, sizeof(own.handle));
	*out_message = own;
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct punch_search *search = arg;
	struct punch_candidates theirs;

	search->request = NULL;
	if (reply->err == WEFT_EBUSY) {
		search->again_ns = reply->not_before_ns;
		punch_search_end(search, PUNCH_SEARCH_BUSY, now_ns);
		return;
	}
	if (reply->err < 0 || reply->type != MESH_SEARCH_PORTS ||
	    punch_candidates_parse(reply->payload, reply->payload_len, &theirs) < 0 ||
	    theirs.nat != (search->is_hard ? PUNCH_NAT_EASY : PUNCH_NAT_HARD)) {
		punch_search_end(search, PUNCH_SEARCH_REFUSED, now_ns);
		return;
	}
	memcpy(search->their_handle, theirs.handle, sizeof(search->their_handle));
	if (search->is_hard) {
		if (!theirs.addr_cnt || !addr_is_same_host(&theirs.addrs[0], &search->host)) {
			punch_search_end(search, PUNCH_SEARCH_UNPROVED, now_ns);
			return;
		}
		search->goal = theirs.addrs[0];
	}
	punch_sweep_run(search, now_ns);
}

static void search_ask(struct punch_search *search, const struct writer *w, uint64_t now_ns)
{
	const struct mesh_seam *mesh = &search->punch->params.mesh;
	struct mesh_ask ask = {
		.type = MESH_SEARCH_PORTS,
		.payload = w->start,
		.payload_len = writer_len(w),
		.reply_buf = search->reply,
		.reply_cap = sizeof(search->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_answer,
		.arg = search,
	};

	search->phase = PUNCH_SEARCH_ASKING;
	memcpy(ask.peer.key, search->key, sizeof(ask.peer.key));
	if (mesh->ops->ask(mesh->mesh, &ask, now_ns, &search->request) < 0) {
		search->request = NULL;
		punch_search_end(search, PUNCH_SEARCH_REFUSED, now_ns);
	}
}

/* All is known that the peer is to hear. */
static void search_say(struct punch_search *search, uint64_t now_ns)
{
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_incoming *incoming = search->incoming;
	struct punch_candidates message;

	message_of(search, &message);
	punch_candidates_write(&w, &message);
	if (search->is_asker) {
		search_ask(search, &w, now_ns);
		return;
	}
	search->incoming = NULL;
	if (!incoming) {
		punch_search_end(search, PUNCH_SEARCH_NEVER, now_ns);
		return;
	}
	search->punch->stats.search_answered_cnt++;
	(void)search->punch->params.mesh.ops->answer(incoming, MESH_SEARCH_PORTS, payload,
						     writer_len(&w), NULL);
	punch_sweep_run(search, now_ns);
}

void punch_search_mapped(struct punch_search *search, const struct addr *goal, uint64_t now_ns)
{
	search->goal = *goal;
	search_say(search, now_ns);
}

static void on_witness(void *arg, const struct addr *host, const struct addr *relay,
		       uint64_t now_ns)
{
	struct punch_search *search = arg;
	struct punch *punch = search->punch;
	struct punch_past_search next;

	search->phase = PUNCH_SEARCH_MAPPING;
	if (!host) {
		punch_search_end(search, PUNCH_SEARCH_UNPROVED, now_ns);
		return;
	}
	search->owner.network = fair_network_of_addr(&punch->places.paths, host);
	next = past_of(search, search->owner.network, now_ns);
	if (!punch->params.ports->room(punch->params.ports_ctx, &search->owner) ||
	    !punch_past_take(punch, &next)) {
		punch_search_end(search, PUNCH_SEARCH_LIMITED, now_ns);
		return;
	}
	search->is_counted = true;
	search->host = *host;
	search->relay = *relay;
	if (search->is_hard)
		search_say(search, now_ns);
	else
		punch_sweep_map(search, now_ns);
}

/* The relay is asked for those of addrs that may be the peer's, by IPv4. */
static void search_begin(struct punch_search *search, const struct addr *addrs, unsigned cnt,
			 uint64_t now_ns)
{
	const struct punch_params *params = &search->punch->params;
	struct addr hosts[PUNCH_CANDIDATES_MAX];
	struct punch_question question = {
		.key = search->key, .addrs = hosts, .done = on_witness, .arg = search};
	struct punch_candidates own;
	unsigned host_cnt = 0;

	own.addr_cnt = params->candidates(params->ctx, own.addrs, &own.mapped);
	for (unsigned i = 0; i < cnt; i++)
		if (addrs[i].family == ADDR_IPV4 && punch_is_candidate(&own, &addrs[i]) &&
		    !params->refuses(params->ctx, search->key, &addrs[i]))
			hosts[host_cnt++] = addrs[i];
	search->phase = PUNCH_SEARCH_WITNESS;
	question.addr_cnt = host_cnt;
	if (host_cnt && params->witness(params->ctx, &question) == 0)
		return;
	search->phase = PUNCH_SEARCH_MAPPING;
	punch_search_end(search, PUNCH_SEARCH_UNPROVED, now_ns);
}

/* --- asked --- */

static bool is_relayed(const struct punch *punch, const uint8_t *key)
{
	struct punch_path path;

	return punch->params.path(punch->params.ctx, key, &path) && !path.is_direct;
}

void punch_search_after(struct punch_round *round, uint64_t now_ns)
{
	struct punch *punch = round->punch;
	const struct punch_params *params = &punch->params;
	struct punch_search *search = &punch->search;
	struct punch_past_search next = {.at_ns = now_ns, .is_asked = true};
	const struct punch_port_owner owner = {.is_unknown = round->is_unknown};

	if (!params->ports || !params->config.is_search_on || now_ns < round->search_ns ||
	    search->phase != PUNCH_SEARCH_IDLE || !is_pair(round->view.own, round->view.peers) ||
	    !is_relayed(punch, round->key))
		return;
	if (has_complaint(punch, now_ns)) {
		round->view.search.outcome = PUNCH_SEARCH_COMPLAINED;
		return;
	}
	if (!params->ports->room(params->ports_ctx, &owner) || !punch_past_has_room(punch, &next)) {
		round->view.search.outcome = PUNCH_SEARCH_LIMITED;
		round->search_ns = now_ns + pause_ns(PUNCH_SEARCH_LIMITED);
		punch->stats.search_limited_cnt++;
		return;
	}
	search_init(punch, round->key);
	if (params->probe_key(params->ctx, round->key, search->probe_key) < 0)
		return;
	search->is_asker = true;
	search->owner = owner;
	search->is_hard = round->view.own == PUNCH_NAT_HARD;
	punch->stats.search_asked_cnt++;
	search_begin(search, round->theirs.addrs, round->theirs.addr_cnt, now_ns);
}

/* --- answered --- */

static void refuse(struct punch *punch, const struct mesh_call *call, enum mesh_code code,
		   const char *why, uint64_t wait_ms)
{
	punch->params.mesh.ops->answer_error(call->incoming, code, why, wait_ms);
}

/* False: call is answered by a refusal. */
static bool may_take_part(struct punch *punch, const struct mesh_call *call, enum punch_nat peers,
			  struct punch_past_search *next)
{
	const struct punch_params *params = &punch->params;
	const struct punch_port_owner owner = {.is_unknown = next->is_unknown};
	struct addr addr;

	params->mesh.ops->asker_addr(call->incoming, &addr);
	if (!addr_is_relayed(&addr))
		refuse(punch, call, MESH_CODE_ABSENT, "the session goes through no relay", 0);
	else if (!params->ports || !params->config.is_search_on)
		refuse(punch, call, MESH_CODE_REFUSED, "this node searches no ports", 0);
	else if (has_complaint(punch, next->at_ns))
		refuse(punch, call, MESH_CODE_REFUSED, "a router here complained of a search", 0);
	else if (!is_pair(params->nat(params->ctx), peers))
		refuse(punch, call, MESH_CODE_REFUSED, "a search does not help these NATs", 0);
	else if (is_unproved(punch, call->peer_key, next->at_ns))
		refuse(punch, call, MESH_CODE_BUSY, "what it said of itself was not confirmed",
		       LIMITED_WAIT_MS);
	else if (punch->search.phase != PUNCH_SEARCH_IDLE)
		refuse(punch, call, MESH_CODE_BUSY, "a search is under way", BUSY_WAIT_MS);
	else if (next->is_unknown && punch->unknown_ns &&
		 next->at_ns < punch->unknown_ns + PUNCH_UNKNOWN_EVERY_NS)
		refuse(punch, call, MESH_CODE_BUSY, "another peer has just asked", BUSY_WAIT_MS);
	else if (params->ports->room(params->ports_ctx, &owner) && punch_past_has_room(punch, next))
		return true;
	else {
		punch->stats.search_limited_cnt++;
		refuse(punch, call, MESH_CODE_BUSY, "this node had its searches of the hour",
		       LIMITED_WAIT_MS);
	}
	return false;
}

static void on_asker_gone(void *arg)
{
	((struct punch_search *)arg)->incoming = NULL;
}

static void on_search(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct punch *punch = ctx;
	struct punch_search *search = &punch->search;
	struct punch_past_search next = {.at_ns = now_ns};
	struct punch_candidates theirs;
	struct fair_path path;

	if (punch_candidates_parse(call->payload, call->payload_len, &theirs) < 0 ||
	    !theirs.addr_cnt) {
		refuse(punch, call, MESH_CODE_MALFORMED, "no SEARCH_PORTS", 0);
		return;
	}
	punch->params.mesh.ops->asker_path(call->incoming, &path);
	next.is_unknown = path.class == FAIR_UNKNOWN;
	if (!may_take_part(punch, call, (enum punch_nat)theirs.nat, &next))
		return;
	search_init(punch, call->peer_key);
	if (punch->params.probe_key(punch->params.ctx, call->peer_key, search->probe_key) < 0) {
		refuse(punch, call, MESH_CODE_ABSENT, "the session is not on QUIC", 0);
		return;
	}
	if (next.is_unknown)
		punch->unknown_ns = now_ns;
	search->owner.is_unknown = next.is_unknown;
	search->is_hard = theirs.nat == PUNCH_NAT_EASY;
	memcpy(search->their_handle, theirs.handle, sizeof(search->their_handle));
	search->incoming = call->incoming;
	punch->params.mesh.ops->abandoned(call->incoming, on_asker_gone, search);
	/* The easy side's socket is its only address that is written to. */
	search->goal = theirs.addrs[0];
	search_begin(search, theirs.addrs, search->is_hard ? 1 : theirs.addr_cnt, now_ns);
}

/* --- the whole --- */

int punch_search_open(struct punch *punch)
{
	const struct mesh_seam *mesh = &punch->params.mesh;

	punch->search.punch = punch;
	timer_init(&punch->search.timer, punch_sweep_expire);
	return mesh->ops->handle(mesh->mesh, MESH_SEARCH_PORTS, on_search, punch);
}

void punch_search_stop(struct punch *punch)
{
	struct punch_search *search = &punch->search;

	if (search->phase != PUNCH_SEARCH_IDLE)
		punch_search_end(search, PUNCH_SEARCH_NEVER, search->begun_ns);
}

void punch_port_complained(struct punch *punch, uint64_t now_ns)
{
	if (punch->search.phase == PUNCH_SEARCH_IDLE)
		return;
	punch->complained_ns = now_ns;
	punch_search_end(&punch->search, PUNCH_SEARCH_COMPLAINED, now_ns);
}

bool punch_show(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN],
		struct punch_view *out_view)
{
	const struct punch_round *round = punch_asked_find(punch, key);
	const struct punch_search *search = &punch->search;

	if (!round)
		return false;
	*out_view = round->view;
	out_view->is_under_way = round->phase != PUNCH_IDLE && round->phase != PUNCH_WARM;
	if (search->phase != PUNCH_SEARCH_IDLE && search->is_asker &&
	    memcmp(search->key, key, sizeof(search->key)) == 0)
		view_of(search, search->now_ns, &out_view->search);
	return true;
}
