/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes out and in. punch_input -> the round whose handle the probe bears -> its proof -> an answer to
 * where it came from. There a probe goes as well, so that this node learns the same; an answer to one
 * of its own ends in punch_found. Home worker.
 */
#include <string.h>

#include "base/dgram.h"
#include "base/random.h"
#include "punch_state.h"
#include "weft/endpoint.h"

bool punch_probe_send(struct punch *punch, const struct punch_probe *probe,
		      const uint8_t key[static PUNCH_KEY_LEN], const struct dgram_route *route)
{
	struct dgram_sink *sink = punch->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, WEFT_PROBE_LEN, &slot)) {
		punch->stats.unsent_cnt++;
		return false;
	}
	punch_probe_write(probe, key, slot.data);
	sink->ops->commit(sink, &slot, WEFT_PROBE_LEN, route);
	punch->stats.sent_cnt++;
	return true;
}

static bool probe_send(struct punch_round *round, const struct punch_probe *probe,
		       const struct dgram_route *route)
{
	return punch_probe_send(round->punch, probe, round->probe_key, route);
}

static void budget_renew(struct punch_budget *row, uint64_t now_ns)
{
	if (now_ns - row->since_ns >= 60 * NS_PER_S || !row->since_ns)
		*row = (struct punch_budget){.id = row->id, .since_ns = now_ns};
}

/*
 * A network without a row takes one that is over, else the one with the fewest probes, whose number it
 * goes on from ("space saving": Metwally, Agrawal and El Abbadi, 2005). So none is counted for less than
 * it had, however many others are named in between.
 */
static struct punch_budget *budget_of(struct punch_budget rows[static PUNCH_NETWORKS], uint64_t id,
				      uint64_t now_ns)
{
	struct punch_budget *row = NULL;

	for (unsigned i = 0; i < PUNCH_NETWORKS; i++) {
		struct punch_budget *other = &rows[i];

		budget_renew(other, now_ns);
		if (other->id == id) {
			row = other;
			break;
		}
		if (!row || other->cnt < row->cnt)
			row = other;
	}
	row->id = id;
	return row;
}

/*
 * What was sent cannot be taken back. So the peers at one host, or behind one relay, may have as much as
 * they leave to others. Each of them has a quarter of what is left to all of them. All together stay
 * at half of what the rows of networks can count, so many names never use these up.
 */
static bool namer_may(struct punch_round *round, uint64_t now_ns)
{
	struct punch *punch = round->punch;
	unsigned left, host_cnt, key_cnt;

	budget_renew(&punch->all, now_ns);
	budget_renew(&punch->unknown, now_ns);
	left = PUNCH_PER_MIN - punch->all.cnt;
	if (round->is_unknown && left > PUNCH_PER_MIN / 2 - punch->unknown.cnt)
		left = PUNCH_PER_MIN / 2 - punch->unknown.cnt;
	host_cnt = budget_of(punch->hosts, round->host_account, now_ns)->cnt;
	key_cnt = budget_of(punch->keys, round->key_account, now_ns)->cnt;
	return host_cnt < left && key_cnt <= (left - host_cnt) / 4;
}

static bool budget_take(struct punch_round *round, const struct addr *addr, uint64_t now_ns)
{
	struct punch *punch = round->punch;
	struct punch_budget *network;

	if (!namer_may(round, now_ns))
		return false;
	network = budget_of(punch->networks, fair_network_of_addr(&punch->places.paths, addr),
			    now_ns);
	if (network->cnt >= PUNCH_NETWORK_PER_MIN)
		return false;
	network->cnt++;
	budget_of(punch->hosts, round->host_account, now_ns)->cnt++;
	budget_of(punch->keys, round->key_account, now_ns)->cnt++;
	punch->all.cnt++;
	punch->unknown.cnt += round->is_unknown;
	return true;
}

_Static_assert(PUNCH_PER_MIN < PUNCH_NETWORKS * PUNCH_NETWORK_PER_MIN, "no names use up all rows");

struct punch_sent *punch_sent_find(struct punch_round *round, const struct addr *addr)
{
	for (unsigned i = 0; i < round->sent_cnt; i++)
		if (addr_equal(&round->sent[i].addr, addr))
			return &round->sent[i];
	return NULL;
}

static void sent_send(struct punch_round *round, struct punch_sent *sent, const struct addr *local,
		      uint64_t now_ns)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE, .is_askers = round->is_asker};
	struct dgram_route route = {.remote = sent->addr};

	if (local)
		route.local = *local;
	/* The time to an answer is that of its own probe. */
	if (round->is_direct || !sent->sent_ns)
		random_fill(round->punch->params.random, sent->nonce, sizeof(sent->nonce));
	sent->sent_ns = now_ns;
	sent->is_answered = false;
	memcpy(probe.handle, round->theirs.handle, sizeof(probe.handle));
	memcpy(probe.nonce, sent->nonce, sizeof(probe.nonce));
	(void)probe_send(round, &probe, &route);
}

/* local NULL: the kernel chooses the address. */
static void probe_begin(struct punch_round *round, const struct addr *addr,
			const struct addr *local, uint64_t now_ns)
{
	struct punch *punch = round->punch;
	struct punch_sent *sent = &round->sent[round->sent_cnt];

	if (round->sent_cnt == PUNCH_SENT_MAX + round->named_cnt ||
	    punch->params.refuses(punch->params.ctx, round->key, addr))
		return;
	/* A probe from there was proved, so no third party is bothered. */
	if (!local && !budget_take(round, addr, now_ns)) {
		punch->stats.unsent_cnt++;
		return;
	}
	*sent = (struct punch_sent){.addr = *addr, .is_repeated = local != NULL};
	round->sent_cnt++;
	sent_send(round, sent, local, now_ns);
}

void punch_probe_anew(struct punch_round *round, struct punch_sent *sent, uint64_t now_ns)
{
	const struct addr *local = sent->rtt_ns ? &sent->local : &round->used_local;

	sent_send(round, sent, local, now_ns);
}

static enum weft_addr_scope scope_of(const struct addr *addr)
{
	struct weft_endpoint endpoint = addr_endpoint(addr);

	return weft_endpoint_scope(&endpoint);
}

/* An address of a private network means a host of this node's network, if it has one at all. */
bool punch_is_candidate(const struct punch_candidates *own, const struct addr *addr)
{
	enum weft_addr_scope scope = scope_of(addr);
	bool has_scope = scope == WEFT_ADDR_SCOPE_GLOBAL;

	for (unsigned i = 0; i < own->addr_cnt; i++) {
		if (addr_equal(&own->addrs[i], addr))
			return false;
		has_scope |= scope != WEFT_ADDR_SCOPE_NONE && scope_of(&own->addrs[i]) == scope;
	}
	return has_scope;
}

/* Another program's word: one probe, and no second one. */
static void named_probe(struct punch_round *round, const struct addr *addr, uint64_t now_ns)
{
	unsigned before_cnt = round->sent_cnt;

	if (punch_sent_find(round, addr))
		return;
	probe_begin(round, addr, NULL, now_ns);
	if (round->sent_cnt > before_cnt)
		round->sent[before_cnt].is_repeated = true;
}

void punch_probe_all(struct punch_round *round, uint64_t now_ns)
{
	const struct punch_candidates *theirs = &round->theirs;
	struct punch_candidates own;

	punch_own_candidates(round, &own);
	/* What the session's path takes is measured beside the others. */
	if (round->is_direct && round->is_asker)
		probe_begin(round, &round->used, &round->used_local, now_ns);
	for (unsigned i = 0; i < theirs->addr_cnt; i++)
		if (punch_is_candidate(&own, &theirs->addrs[i]) &&
		    !punch_sent_find(round, &theirs->addrs[i]))
			probe_begin(round, &theirs->addrs[i], NULL, now_ns);
	for (unsigned i = 0; i < round->named_cnt; i++)
		if (punch_is_candidate(&own, &round->named[i]))
			named_probe(round, &round->named[i], now_ns);
}

void punch_probe_again(struct punch_round *round, uint64_t now_ns)
{
	struct punch *punch = round->punch;

	for (unsigned i = 0; i < round->sent_cnt; i++) {
		struct punch_sent *sent = &round->sent[i];

		if (sent->is_repeated || sent->is_answered)
			continue;
		sent->is_repeated = true;
		if (budget_take(round, &sent->addr, now_ns))
			sent_send(round, sent, NULL, now_ns);
		else
			punch->stats.unsent_cnt++;
	}
}

/* --- in --- */

static struct punch_round *round_find(struct punch *punch, const struct punch_probe *probe)
{
	for (unsigned i = 0; i < PUNCH_ASKED_MAX + PUNCH_ANSWERED_MAX + 1; i++) {
		struct punch_round *round = i < PUNCH_ASKED_MAX
						    ? &punch->asked[i]
						    : &punch->answered[i - PUNCH_ASKED_MAX];

		if (round->phase != PUNCH_IDLE &&
		    memcmp(round->handle, probe->handle, sizeof(round->handle)) == 0)
			return round;
	}
	return NULL;
}

/*
 * The probe that opened this node's NAT may have come before the peer's NAT was open, so one that was
 * sent already goes once more.
 */
static void on_probe(struct punch_round *round, const struct dgram *dgram,
		     const struct punch_probe *probe, uint64_t now_ns)
{
	const struct dgram_route route = {.local = dgram->local, .remote = dgram->remote};
	struct punch_probe answer = {.kind = PUNCH_PROBE_ANSWER, .is_askers = round->is_asker};
	struct punch_sent *sent = punch_sent_find(round, &dgram->remote);

	/* A row that lasts is no place for new addresses, whose senders may forge them. */
	if (round->phase == PUNCH_WARM && !sent)
		return;
	if (round->phase == PUNCH_WARM && now_ns - round->answers_ns >= PUNCH_ANSWERS_NS) {
		round->answers_ns = now_ns;
		round->answer_cnt = 0;
	}
	if (round->answer_cnt == PUNCH_ANSWERS_MAX || !round->is_agreed)
		return;
	round->used_ns = now_ns;
	round->answer_cnt++;
	memcpy(answer.handle, round->theirs.handle, sizeof(answer.handle));
	memcpy(answer.nonce, probe->nonce, sizeof(answer.nonce));
	if (!probe_send(round, &answer, &route))
		return;
	if (!sent)
		probe_begin(round, &dgram->remote, &dgram->local, now_ns);
	else if (!sent->is_repeated && !sent->is_answered) {
		sent->is_repeated = true;
		sent_send(round, sent, &dgram->local, now_ns);
	}
}

static void on_answer(struct punch_round *round, const struct dgram *dgram,
		      const struct punch_probe *probe, uint64_t now_ns)
{
	struct punch_sent *sent = punch_sent_find(round, &dgram->remote);

	if (!sent || memcmp(sent->nonce, probe->nonce, sizeof(sent->nonce)) != 0)
		return;
	if (!sent->is_answered) {
		/* 0 is "never". */
		sent->rtt_ns = now_ns > sent->sent_ns ? now_ns - sent->sent_ns : 1;
		sent->is_answered = true;
		sent->local = dgram->local;
	}
	if (!sent->since_ns)
		sent->since_ns = now_ns;
	punch_found(round, &dgram->local, &dgram->remote);
}

bool punch_input(struct punch *punch, const struct dgram *dgram, uint64_t now_ns)
{
	struct punch_round *round;
	struct punch_probe probe;

	if (!punch_probe_parse(dgram->data, dgram->len, &probe))
		return false;
	if (punch_sweep_input(punch, dgram, &probe, now_ns))
		return true;
	round = round_find(punch, &probe);
	if (!round) {
		punch->stats.stray_cnt++;
		return true;
	}
	probe.is_askers = !round->is_asker;
	if (!punch_probe_is_proved(&probe, round->probe_key, dgram->data)) {
		punch->stats.forged_cnt++;
		return true;
	}
	punch->stats.heard_cnt++;
	if (probe.kind == PUNCH_PROBE)
		on_probe(round, dgram, &probe, now_ns);
	else
		on_answer(round, dgram, &probe, now_ns);
	return true;
}
