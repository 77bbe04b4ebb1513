/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds that this node asks for: punch_begin -> CANDIDATES -> on_candidates -> PUNCH_NOW, and with it
 * probes (punch_probe.c), which open this node's NAT before the peer's come. They go once more when the
 * peer's NAT is open, too. -> punch_found -> QUIC moves. The peer's PUNCH_RESULT ends the round. Home
 * worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "punch_state.h"

static const struct fair_config answered_config = {
	.name = "rounds of hole punching",
	.cap_cnt = PUNCH_ANSWERED_MAX,
	.idle_ns = PUNCH_PATIENCE_NS + PUNCH_ROUND_NS,
	.busy_ns = PUNCH_ROUND_NS,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_LEVEL_MAX,
	.parts = FAIR_PEER_PARTS,
};

/* --- rounds --- */

struct punch_round *punch_asked_find(const struct punch *punch, const uint8_t *key)
{
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++) {
		const struct punch_round *round = &punch->asked[i];

		if (round->used_ns && memcmp(round->key, key, sizeof(round->key)) == 0)
			return (struct punch_round *)round;
	}
	return NULL;
}

/* That of key, or a free one, or the one that ended longest ago; NULL: all are under way. */
static struct punch_round *asked_place(struct punch *punch, const uint8_t *key)
{
	struct punch_round *oldest = punch_asked_find(punch, key);

	if (oldest)
		return oldest;
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++) {
		struct punch_round *round = &punch->asked[i];

		if ((round->phase == PUNCH_IDLE || round->phase == PUNCH_WARM) &&
		    (!oldest || round->used_ns < oldest->used_ns))
			oldest = round;
	}
	if (oldest) {
		timer_cancel(punch->params.timers, &oldest->timer);
		oldest->phase = PUNCH_IDLE;
		oldest->view = (struct punch_view){.outcome = PUNCH_NEVER};
		oldest->search_ns = 0;
	}
	return oldest;
}

void punch_own_candidates(struct punch_round *round, struct punch_candidates *out_message)
{
	const struct punch_params *params = &round->punch->params;
	struct punch_candidates own = {.nat = (uint8_t)params->nat(params->ctx)};

	memcpy(own.handle, round->handle, sizeof(own.handle));
	own.addr_cnt = params->candidates(params->ctx, own.addrs, &own.mapped);
	*out_message = own;
}

bool punch_round_begin(struct punch_round *round, const uint8_t *key, uint64_t now_ns)
{
	const struct punch_params *params = &round->punch->params;

	if (params->probe_key(params->ctx, key, round->probe_key) < 0)
		return false;
	round->is_direct = round->is_requested = false;
	round->named_cnt = 0;
	memcpy(round->key, key, sizeof(round->key));
	random_fill(params->random, round->handle, sizeof(round->handle));
	round->sent_cnt = round->answer_cnt = 0;
	round->is_agreed = false;
	round->proved = (struct addr){.family = ADDR_NONE};
	round->used_ns = now_ns;
	round->phase = PUNCH_AGREEING;
	return true;
}

void punch_round_charge(struct punch_round *round, const struct fair_path *account)
{
	round->key_account = account->ids[account->level_cnt - 1];
	round->host_account = account->ids[account->level_cnt > 1 ? account->level_cnt - 2 : 0];
	round->is_unknown = account->class == FAIR_UNKNOWN;
}

static void asked_end(struct punch_round *round, enum punch_outcome outcome, uint64_t now_ns)
{
	struct punch_stats *stats = &round->punch->stats;

	stats->moved_cnt += outcome == PUNCH_MOVED;
	stats->silent_cnt += outcome == PUNCH_SILENT;
	stats->unanswered_cnt += outcome == PUNCH_UNANSWERED || outcome == PUNCH_NO_CANDIDATE;
	timer_cancel(round->punch->params.timers, &round->timer);
	round->phase = PUNCH_IDLE;
	/* What peers have this node do takes the place of no other outcome for long: the oldest row goes. */
	round->used_ns = round->is_requested ? 1 : now_ns;
	round->view.outcome = outcome;
	round->view.ended_ns = now_ns;
	round->view.round_cnt++;
}

/* The view is of rounds of relayed sessions alone: it says why they are. */
static void round_over(struct punch_round *round, enum punch_outcome outcome, uint64_t now_ns)
{
	if (!round->is_direct) {
		asked_end(round, outcome, now_ns);
		return;
	}
	timer_cancel(round->punch->params.timers, &round->timer);
	round->phase = PUNCH_IDLE;
	round->used_ns = now_ns;
	if (punch_warm_has_rival(round))
		punch_warm_begin(round, now_ns);
}

void punch_found(struct punch_round *round, const struct addr *local, const struct addr *remote)
{
	const struct punch_params *params = &round->punch->params;

	if (round->proved.family != ADDR_NONE || (round->is_asker && round->is_direct))
		return;
	if (!round->is_asker) {
		round->proved = *remote;
		/* A node that did not dial may ask, too. It cannot move the session: this one does. */
		if (!round->is_direct)
			(void)params->move(params->ctx, round->key, local, remote);
		punch_answer_say(round);
	} else if (params->move(params->ctx, round->key, local, remote)) {
		round->proved = *remote;
	}
}

/* --- the asker's steps --- */

/* The peer has a path, and is the one that moves. */
static bool is_peers_move(const struct punch_round *round, const struct punch_result *result)
{
	const struct punch_params *params = &round->punch->params;
	struct punch_path path;

	return result->addr.family != ADDR_NONE && params->path(params->ctx, round->key, &path) &&
	       !path.is_dialled;
}

/* What a peer has this node ask for is followed by no search. */
static void on_silent(struct punch_round *round, uint64_t now_ns)
{
	round_over(round, PUNCH_SILENT, now_ns);
	if (!round->is_direct && !round->is_requested)
		punch_search_after(round, now_ns);
}

static void on_result(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct punch_round *round = arg;
	struct punch_result result;

	round->request = NULL;
	round->view.err = reply->err;
	if (round->proved.family != ADDR_NONE)
		round_over(round, PUNCH_MOVED, now_ns);
	else if (reply->err < 0 || reply->type != MESH_PUNCH_RESULT ||
		 punch_result_parse(reply->payload, reply->payload_len, &result) < 0)
		round_over(round, PUNCH_UNANSWERED, now_ns);
	else if (is_peers_move(round, &result))
		round_over(round, PUNCH_MOVED, now_ns);
	else
		on_silent(round, now_ns);
}

static int round_ask(struct punch_round *round, unsigned type, const struct writer *w,
		     void (*done)(void *arg, const struct mesh_reply *reply, uint64_t now_ns),
		     uint64_t now_ns)
{
	const struct mesh_seam *mesh = &round->punch->params.mesh;
	struct mesh_ask ask = {
		.type = type,
		.payload = w->start,
		.payload_len = writer_len(w),
		.reply_buf = round->reply,
		.reply_cap = sizeof(round->reply),
		.timeout_ns = PUNCH_PATIENCE_NS,
		.reply = done,
		.arg = round,
	};
	int err;

	memcpy(ask.peer.key, round->key, sizeof(ask.peer.key));
	err = mesh->ops->ask(mesh->mesh, &ask, now_ns, &round->request);
	if (err < 0)
		round->request = NULL;
	return err;
}

/* Its addresses are old, or silent: the peer may have others. */
static void asked_renew(struct punch_round *round, uint64_t now_ns)
{
	struct punch *punch = round->punch;
	struct punch_path path;

	round->phase = PUNCH_IDLE;
	if (punch->params.path(punch->params.ctx, round->key, &path) && path.is_direct &&
	    path.is_used)
		punch_begin(punch, round->key, now_ns);
}

static void asked_expire(struct timer *timer, uint64_t now_ns)
{
	struct punch_round *round = container_of(timer, struct punch_round, timer);

	if (round->phase == PUNCH_WARM) {
		if (!punch_warm_turn(round, now_ns))
			asked_renew(round, now_ns);
	} else if (round->proved.family == ADDR_NONE) {
		punch_probe_again(round, now_ns);
	}
}

static void on_candidates(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct punch_round *round = arg;
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct punch_now message;

	round->request = NULL;
	round->view.err = reply->err;
	if (reply->err < 0 || reply->type != MESH_CANDIDATES ||
	    punch_candidates_parse(reply->payload, reply->payload_len, &round->theirs) < 0) {
		round_over(round, PUNCH_UNANSWERED, now_ns);
		return;
	}
	round->is_agreed = true;
	round->view.peers = (enum punch_nat)round->theirs.nat;
	memcpy(message.handle, round->theirs.handle, sizeof(message.handle));
	punch_now_write(&w, &message);
	if (round_ask(round, MESH_PUNCH_NOW, &w, on_result, now_ns) < 0) {
		round_over(round, PUNCH_UNANSWERED, now_ns);
		return;
	}
	round->phase = PUNCH_PROBING;
	punch_probe_all(round, now_ns);
	timer_set(round->punch->params.timers, &round->timer, now_ns + (now_ns - round->asked_ns));
}

static void round_end_warm(struct punch_round *round)
{
	timer_cancel(round->punch->params.timers, &round->timer);
	round->phase = PUNCH_IDLE;
}

/* round was begun for the session that goes by path: the peer is asked for its candidates. */
static void candidates_ask(struct punch_round *round, const struct punch_path *path,
			   uint64_t now_ns)
{
	struct punch *punch = round->punch;
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct punch_candidates own;
	struct fair_path account;

	round->is_direct = path->is_direct;
	round->used = path->remote;
	round->used_local = path->local;
	punch->params.account(punch->params.ctx, round->key, path, &account);
	punch_round_charge(round, &account);
	punch->stats.asked_cnt += !path->is_direct;
	punch->stats.compared_cnt += path->is_direct;
	punch_own_candidates(round, &own);
	round->view.own = (enum punch_nat)own.nat;
	round->asked_ns = now_ns;
	punch_candidates_write(&w, &own);
	if (own.nat == PUNCH_NAT_BLOCKED || !own.addr_cnt)
		round_over(round, PUNCH_NO_CANDIDATE, now_ns);
	else if (round_ask(round, MESH_CANDIDATES, &w, on_candidates, now_ns) < 0)
		round_over(round, PUNCH_UNANSWERED, now_ns);
}

void punch_begin(struct punch *punch, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct punch_round *round = asked_place(punch, key);
	struct punch_path path;

	if (!round || !punch->params.path(punch->params.ctx, key, &path))
		return;
	/* The relay is no rival. */
	if (round->phase == PUNCH_WARM && !path.is_direct)
		round_end_warm(round);
	if (round->phase == PUNCH_IDLE && punch_round_begin(round, key, now_ns))
		candidates_ask(round, &path, now_ns);
}

static bool is_under_way(const struct punch_round *round)
{
	return round->phase != PUNCH_IDLE && round->phase != PUNCH_WARM;
}

static bool asked_has_room(const struct punch *punch)
{
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++)
		if (!is_under_way(&punch->asked[i]))
			return true;
	return false;
}

int punch_may_ask(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN])
{
	const struct punch_params *params = &punch->params;
	const struct punch_round *round = punch_asked_find(punch, key);
	uint8_t probe_key[PUNCH_KEY_LEN];
	struct punch_path path;

	if (!params->path(params->ctx, key, &path))
		return WEFT_EABSENT;
	if (path.is_direct)
		return WEFT_EEXISTS;
	if (!addr_is_relayed(&path.remote))
		return WEFT_EREFUSED;
	if (round ? is_under_way(round) : !asked_has_room(punch))
		return round ? WEFT_EBUSY : WEFT_EFULL;
	return params->probe_key(params->ctx, key, probe_key) < 0 ? WEFT_EABSENT : 0;
}

int punch_ask(struct punch *punch, const uint8_t key[static MESH_KEY_LEN], const struct addr *named,
	      unsigned cnt, uint64_t now_ns)
{
	int err = punch_may_ask(punch, key);
	struct punch_round *round;
	struct punch_path path;

	if (err < 0)
		return err;
	round = asked_place(punch, key);
	if (round && round->phase == PUNCH_WARM)
		round_end_warm(round);
	if (!round || !punch_round_begin(round, key, now_ns) ||
	    !punch->params.path(punch->params.ctx, key, &path))
		return WEFT_EABSENT;
	round->is_requested = true;
	for (unsigned i = 0; i < cnt && i < PUNCH_NAMED_MAX; i++)
		round->named[round->named_cnt++] = named[i];
	candidates_ask(round, &path, now_ns);
	return 0;
}

/* --- the whole --- */

void punch_config_defaults(struct punch_config *config)
{
	*config = (struct punch_config){.is_search_on = true,
					.search_socket_cnt = PUNCH_SEARCH_SOCKETS_MAX};
}

int punch_new(const struct punch_params *params, struct punch **out_punch)
{
	struct punch *punch = calloc(1, sizeof(*punch));
	int err;

	if (!punch)
		return -ENOMEM;
	punch->params = *params;
	punch->sink = params->sink;
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++) {
		punch->asked[i].punch = punch;
		punch->asked[i].is_asker = true;
		timer_init(&punch->asked[i].timer, asked_expire);
	}
	err = arena_open(&punch->arena, ARENA_GROWS);
	if (err == 0)
		err = fair_places_init(&punch->places, &punch->arena, &answered_config);
	punch->places.paths.site = params->site;
	if (err == 0)
		err = punch_answer_open(punch);
	if (err == 0)
		err = punch_search_open(punch);
	if (err < 0) {
		punch_free(punch);
		return err;
	}
	arena_fit(&punch->arena);
	*out_punch = punch;
	return 0;
}

static void round_stop(struct punch_round *round)
{
	const struct punch_params *params = &round->punch->params;

	timer_cancel(params->timers, &round->timer);
	if (round->request)
		params->mesh.ops->cancel(round->request);
	round->request = NULL;
	if (round->incoming)
		params->mesh.ops->answer_error(round->incoming, MESH_CODE_ABSENT, "stopping", 0);
	round->incoming = NULL;
	round->phase = PUNCH_IDLE;
}

void punch_stop(struct punch *punch)
{
	if (!punch)
		return;
	for (unsigned i = 0; i < PUNCH_ASKED_MAX; i++)
		round_stop(&punch->asked[i]);
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1; i++)
		round_stop(&punch->answered[i]);
	punch_search_stop(punch);
}

bool punch_cancel(struct punch *punch, const uint8_t key[static MESH_KEY_LEN])
{
	struct punch_round *round = punch_asked_find(punch, key);

	if (!round || !round->is_requested ||
	    (round->phase != PUNCH_AGREEING && round->phase != PUNCH_PROBING))
		return false;
	round_stop(round);
	round->used_ns = 1;
	return true;
}

void punch_free(struct punch *punch)
{
	if (!punch)
		return;
	arena_close(&punch->arena);
	free(punch);
}

void punch_set_sink(struct punch *punch, struct dgram_sink *sink)
{
	punch->sink = sink;
}

static bool is_named(const struct punch_round *round, const struct addr *addr)
{
	for (unsigned i = 0; i < round->theirs.addr_cnt; i++)
		if (addr_equal(&round->theirs.addrs[i], addr))
			return true;
	return false;
}

/* The named ones, then the others that were sent a probe. */
static const struct addr *tried_at(const struct punch_round *round, unsigned idx)
{
	if (idx < round->theirs.addr_cnt)
		return &round->theirs.addrs[idx];
	idx -= round->theirs.addr_cnt;
	for (unsigned i = 0; i < round->sent_cnt; i++)
		if (!is_named(round, &round->sent[i].addr) && !idx--)
			return &round->sent[i].addr;
	return NULL;
}

bool punch_tried(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN], unsigned idx,
		 struct punch_tried *out_tried)
{
	const struct punch_round *round = punch_asked_find(punch, key);
	const struct addr *addr = round && round->is_agreed ? tried_at(round, idx) : NULL;
	const struct punch_sent *sent;

	if (!addr)
		return false;
	sent = punch_sent_find((struct punch_round *)round, addr);
	*out_tried = (struct punch_tried){
		.addr = *addr,
		.is_named = idx < round->theirs.addr_cnt,
		.is_mapped = idx < round->theirs.addr_cnt && round->theirs.mapped & 1ull << idx,
		.is_probed = sent,
		.is_answered = addr_equal(&round->proved, addr) || (sent && sent->rtt_ns),
	};
	if (!sent)
		return true;
	out_tried->rtt_ns = sent->rtt_ns;
	out_tried->since_ns = sent->since_ns;
	out_tried->lost_cnt = sent->lost_cnt;
	out_tried->better_cnt = sent->better_cnt;
	out_tried->rival = punch_warm_rival(round, sent);
	return true;
}

void punch_stats(const struct punch *punch, struct punch_stats *out_stats)
{
	*out_stats = punch->stats;
}

void punch_fair_view(const struct punch *punch, struct fair_view *out)
{
	fair_read(&punch->places.fair, out);
}
