/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice between direct paths. The row of a round is kept where the session has a direct path. Each
 * TURN_NS the asking node sends a probe there, and one to each other address that answered. So the
 * routers on these ways let datagrams pass. Each turn compares the round trips of probes that left
 * together. The session moves where a path was better by BETTER_NS three times in a row. Round
 * trips that swing are never that. The answering node keeps its row as long as probes come. Home worker.
 */
#include "punch_state.h"

#define TURN_NS (15 * NS_PER_S)
/* The peer may have other addresses by then: the next round asks. */
#define WARM_NS (600 * NS_PER_S)
#define KEPT_NS (45 * NS_PER_S)
/* A NAT on the way there may have another port by now: the next round asks. */
#define SILENT_TURNS 2
/* The numbers of iroh 1.0. */
#define GOOD_NS	      (10 * NS_PER_MS)
#define BETTER_NS     (5 * NS_PER_MS)
#define IPV6_BONUS_NS (3 * NS_PER_MS)

static bool is_good_enough(const struct punch_sent *used)
{
	return used->rtt_ns <= GOOD_NS;
}

/* The bonus is a malus of IPv4, so that nothing is below zero. */
static uint64_t worth_ns(const struct punch_sent *sent)
{
	return sent->rtt_ns + (sent->addr.family == ADDR_IPV4 ? IPV6_BONUS_NS : 0);
}

static bool is_better(const struct punch_sent *sent, const struct punch_sent *used)
{
	return used && used->is_answered && sent != used && sent->is_answered &&
	       !is_good_enough(used) && worth_ns(sent) + BETTER_NS <= worth_ns(used);
}

static bool is_rival(const struct punch_round *round, const struct punch_sent *sent)
{
	return sent->rtt_ns && !addr_equal(&sent->addr, &round->used);
}

/* Counts this turn for each path, and returns the one to move to, or NULL. */
static struct punch_sent *turn_judge(struct punch_round *round, const struct punch_sent *used)
{
	struct punch_sent *best = NULL;

	round->silent_cnt++;
	for (unsigned i = 0; i < round->sent_cnt; i++) {
		struct punch_sent *sent = &round->sent[i];

		if (is_rival(round, sent) && sent->is_answered)
			round->silent_cnt = 0;
		sent->lost_cnt += sent->rtt_ns && !sent->is_answered;
		sent->better_cnt = is_better(sent, used) ? sent->better_cnt + 1 : 0;
		if (sent->better_cnt >= PUNCH_BETTER_CNT &&
		    (!best || worth_ns(sent) < worth_ns(best)))
			best = sent;
	}
	return best;
}

static void turn_move(struct punch_round *round, const struct punch_sent *to)
{
	const struct punch_params *params = &round->punch->params;

	round->punch->stats.better_cnt +=
		params->move(params->ctx, round->key, &to->local, &to->addr);
	for (unsigned i = 0; i < round->sent_cnt; i++)
		round->sent[i].better_cnt = 0;
}

/* Of those that answered in the last turn the nearest. */
static void turn_spare(struct punch_round *round)
{
	const struct punch_params *params = &round->punch->params;
	const struct punch_sent *best = NULL;

	for (unsigned i = 0; i < round->sent_cnt; i++) {
		const struct punch_sent *sent = &round->sent[i];

		if (is_rival(round, sent) && sent->is_answered &&
		    (!best || worth_ns(sent) < worth_ns(best)))
			best = sent;
	}
	if (best)
		params->spare(params->ctx, &round->used, &best->local, &best->addr);
}

bool punch_warm_has_rival(const struct punch_round *round)
{
	for (unsigned i = 0; i < round->sent_cnt; i++)
		if (is_rival(round, &round->sent[i]))
			return true;
	return false;
}

void punch_warm_begin(struct punch_round *round, uint64_t now_ns)
{
	round->phase = PUNCH_WARM;
	round->warm_ns = now_ns;
	round->silent_cnt = 0;
	if (round->is_asker)
		turn_spare(round);
	timer_set(round->punch->params.timers, &round->timer,
		  now_ns + (round->is_asker ? TURN_NS : KEPT_NS));
}

bool punch_warm_turn(struct punch_round *round, uint64_t now_ns)
{
	const struct punch_params *params = &round->punch->params;
	struct punch_sent *used, *best;
	struct punch_path path;

	if (now_ns >= round->warm_ns + WARM_NS || !params->path(params->ctx, round->key, &path) ||
	    !path.is_direct || !path.is_used)
		return false;
	round->used = path.remote;
	used = punch_sent_find(round, &path.remote);
	best = turn_judge(round, used);
	if (round->silent_cnt >= SILENT_TURNS)
		return false;
	if (best)
		turn_move(round, best);
	turn_spare(round);
	for (unsigned i = 0; i < round->sent_cnt; i++)
		if (round->sent[i].rtt_ns || &round->sent[i] == used)
			punch_probe_anew(round, &round->sent[i], now_ns);
	timer_set(params->timers, &round->timer, now_ns + TURN_NS);
	return true;
}

bool punch_warm_is_kept(struct punch_round *round, uint64_t now_ns)
{
	if (now_ns >= round->used_ns + KEPT_NS)
		return false;
	timer_set(round->punch->params.timers, &round->timer, round->used_ns + KEPT_NS);
	return true;
}

enum punch_rival punch_warm_rival(const struct punch_round *round, const struct punch_sent *sent)
{
	const struct punch_sent *used = punch_sent_find((struct punch_round *)round, &round->used);

	if (round->phase != PUNCH_WARM || !sent->rtt_ns)
		return PUNCH_RIVAL_NONE;
	if (used && used->rtt_ns && is_good_enough(used))
		return PUNCH_RIVAL_NOT_NEEDED;
	return sent->better_cnt ? PUNCH_RIVAL_BETTER : PUNCH_RIVAL_NOT_BETTER;
}
