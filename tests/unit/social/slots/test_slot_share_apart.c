/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D12: a share does not say which of its nodes have slots and which are people that are followed. A
 * classifier sees what stands in one share: the order, the bytes of the keys, and the digest. Its AUC,
 * the odds that it ranks a node with a slot above a contact, is at most 0.55; 0.5 is chance.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "social/slots/social_slot_message.h"
#include "social/slots/social_slots.h"
#include "support/check.h"
#include "support/seed.h"
#include "support/social_slots_lab.h"

#define NETS	    7u
#define PEERS	    240u
#define UP	    60u
#define CONTACTS    8u
#define SOURCES	    3u
#define SESSIONS    20u
#define AUC_MAX	    0.55
#define ENTRY_CAP   (NETS * UP * 32u)
#define LEARN_STEPS 200u

enum feature {
	PLACE,
	PLACE_IS_ODD,
	FIRST_BYTE,
	LAST_BYTE,
	MEAN_BYTE,
	BITS_SET,
	RANK_OF_KEY,
	STEP_FROM_BEFORE,
	IS_IN_DIGEST,
	FEATURE_CNT,
};
static const char *const feature_names[FEATURE_CNT] = {
	"place", "odd place",	    "first byte",  "last byte",	       "mean byte",
	"bits",	 "rank of its key", "step of key", "is in the digest",
};

struct entry {
	double features[FEATURE_CNT];
	bool has_slot;
	unsigned share; /* the number of it */
};
static struct entry entries[ENTRY_CAP];
static unsigned entry_cnt;
static struct random dice;

/* --- features --- */

static double rank_of(const struct slot_share *share, unsigned at)
{
	unsigned before = 0;

	for (unsigned i = 0; i < share->cnt; i++)
		before += memcmp(share->nodes[i], share->nodes[at], SLOT_KEY_LEN) < 0;
	return before / (double)share->cnt;
}

static double distance(double a, double b)
{
	return a < b ? b - a : a - b;
}

static double start_of(const uint8_t *key)
{
	return (key[0] * 256 + key[1]) / 65536.0;
}

static void features_fill(const struct slot_share *share, unsigned at, double *out)
{
	const uint8_t *key = share->nodes[at];
	unsigned sum = 0, bits = 0;

	for (unsigned i = 0; i < SLOT_KEY_LEN; i++) {
		sum += key[i];
		bits += (unsigned)__builtin_popcount(key[i]);
	}
	out[PLACE] = at / (double)share->cnt;
	out[PLACE_IS_ODD] = at % 2;
	out[FIRST_BYTE] = key[0] / 256.0;
	out[LAST_BYTE] = key[SLOT_KEY_LEN - 1] / 256.0;
	out[MEAN_BYTE] = sum / 256.0 / SLOT_KEY_LEN;
	out[BITS_SET] = bits / 256.0;
	out[RANK_OF_KEY] = rank_of(share, at);
	out[STEP_FROM_BEFORE] = at ? distance(start_of(key), start_of(share->nodes[at - 1])) : 0.5;
	out[IS_IN_DIGEST] = share->digest.bits &&
			    social_slot_digest_has(share->digest.bits, share->digest.len, key);
}

/* --- a classifier --- */

static double score_of(const struct entry *entry, const double *weights)
{
	double score = 0;

	for (unsigned f = 0; f < FEATURE_CNT; f++)
		score += entry->features[f] * weights[f];
	return score;
}

/* The middle of each feature is 0 from here on, and its distance from there 1 on average. */
static void entries_scale(void)
{
	for (unsigned f = 0; f < FEATURE_CNT; f++) {
		double sum = 0, spread = 0;

		for (unsigned i = 0; i < entry_cnt; i++)
			sum += entries[i].features[f];
		for (unsigned i = 0; i < entry_cnt; i++) {
			entries[i].features[f] -= sum / entry_cnt;
			spread += distance(entries[i].features[f], 0);
		}
		for (unsigned i = 0; i < entry_cnt && spread > 0; i++)
			entries[i].features[f] *= entry_cnt / spread;
	}
}

/* Linear least squares over the shares with an even number. */
static void learn(double *out_weights)
{
	double bias = 0;

	memset(out_weights, 0, FEATURE_CNT * sizeof(*out_weights));
	for (unsigned step = 0; step < LEARN_STEPS; step++) {
		double slopes[FEATURE_CNT] = {0}, bias_slope = 0, cnt = 0;

		for (unsigned i = 0; i < entry_cnt; i++) {
			double miss;

			if (entries[i].share % 2)
				continue;
			miss = entries[i].has_slot - bias - score_of(&entries[i], out_weights);
			for (unsigned f = 0; f < FEATURE_CNT; f++)
				slopes[f] += miss * entries[i].features[f];
			bias_slope += miss;
			cnt++;
		}
		for (unsigned f = 0; f < FEATURE_CNT; f++)
			out_weights[f] += slopes[f] / cnt / FEATURE_CNT;
		bias += bias_slope / cnt / FEATURE_CNT;
	}
}

struct ranked {
	double score;
	bool has_slot;
};

static int ranked_compare(const void *a, const void *b)
{
	double x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;

	return (x > y) - (x < y);
}

/* The odds that a node with a slot has the higher score; a tie counts half. Odd shares alone. */
static double auc_of(const double *weights)
{
	static struct ranked rows[ENTRY_CAP];
	double wins = 0, slots = 0, contacts = 0;
	unsigned cnt = 0;

	for (unsigned i = 0; i < entry_cnt; i++)
		if (entries[i].share % 2)
			rows[cnt++] = (struct ranked){score_of(&entries[i], weights),
						      entries[i].has_slot};
	qsort(rows, cnt, sizeof(rows[0]), ranked_compare);
	for (unsigned i = 0, end; i < cnt; i = end) {
		double tied_slots = 0, tied_contacts = 0;

		for (end = i; end < cnt && rows[end].score == rows[i].score; end++) {
			tied_slots += rows[end].has_slot;
			tied_contacts += !rows[end].has_slot;
		}
		wins += tied_slots * (contacts + tied_contacts / 2);
		slots += tied_slots;
		contacts += tied_contacts;
	}
	return wins / slots / contacts;
}

static double apart(double auc)
{
	return auc < 0.5 ? 1 - auc : auc;
}

/* --- a net of which the shares are --- */

static void contact_add(struct slots_lab_place *place, unsigned number)
{
	for (unsigned i = 0; i < place->friend_cnt; i++)
		if (place->friends[i] == number)
			return;
	if (&slots_lab_places[number] != place)
		place->friends[place->friend_cnt++] = number;
}

/* Each follows 8 of all, and three of four nodes are away. */
static void net_begin(void)
{
	slots_lab_begin(0);
	for (unsigned i = 0; i < PEERS; i++)
		slots_lab_add()->config.session_cap = SESSIONS;
	for (unsigned i = 0; i < PEERS; i++) {
		struct slots_lab_place *place = &slots_lab_places[i];

		while (place->friend_cnt < CONTACTS)
			contact_add(place, (unsigned)random_below(&dice, PEERS));
		while (place->source_cnt < SOURCES)
			place->sources[place->source_cnt++] = (unsigned)random_below(&dice, PEERS);
	}
	for (unsigned cnt = 0; cnt < UP;) {
		struct slots_lab_place *place = &slots_lab_places[random_below(&dice, PEERS)];

		if (place->slots)
			continue;
		slots_lab_up(place);
		cnt++;
	}
}

static bool peer_pick(void *arg, const struct slot_info *info)
{
	*(struct slots_lab_place **)arg = slots_lab_place_of(info->key);
	return false;
}

static bool is_contact(const struct slots_lab_place *place, const struct slots_lab_place *of)
{
	for (unsigned i = 0; i < place->friend_cnt; i++)
		if (&slots_lab_places[place->friends[i]] == of)
			return true;
	return false;
}

/* What a node with a slot at hub hears of it. A contact that has a slot is in neither class. */
static void share_take(struct slots_lab_place *hub, unsigned number)
{
	struct slots_lab_place *peer = NULL;

	social_slots_each(hub->slots, slots_lab.now_ns, peer_pick, &peer);
	if (!peer || slots_lab_send_share(peer, hub, 0) < 0)
		return;
	for (unsigned i = 0; i < slots_lab_share.cnt && entry_cnt < ENTRY_CAP; i++) {
		const struct slots_lab_place *of = slots_lab_place_of(slots_lab_share.nodes[i]);
		bool has_slot = social_slots_has(hub->slots, slots_lab_share.nodes[i]);

		if (has_slot && is_contact(hub, of))
			continue;
		features_fill(&slots_lab_share, i, entries[entry_cnt].features);
		entries[entry_cnt].has_slot = has_slot;
		entries[entry_cnt++].share = number;
	}
}

static void shares_take(void)
{
	unsigned number = 0;

	for (unsigned i = 0; i < PEERS; i++)
		if (slots_lab_places[i].slots)
			share_take(&slots_lab_places[i], number++);
}

static void test_a_classifier_cannot_tell_slots_from_contacts(void)
{
	double weights[FEATURE_CNT], auc;

	random_init_seeded(&dice, seed_of_run(11));
	entry_cnt = 0;
	for (unsigned n = 0; n < NETS; n++) {
		net_begin();
		slots_lab_pass(700 * NS_PER_S);
		shares_take();
		slots_lab_end();
	}
	entries_scale();
	CHECK(entry_cnt > PEERS);
	for (unsigned f = 0; f < FEATURE_CNT; f++) {
		memset(weights, 0, sizeof(weights));
		weights[f] = 1;
		auc = apart(auc_of(weights));
		printf("# AUC by %s: %.3f\n", feature_names[f], auc);
		CHECK(auc <= AUC_MAX);
	}
	learn(weights);
	auc = apart(auc_of(weights));
	printf("# AUC of all of them, %u nodes named: %.3f\n", entry_cnt, auc);
	CHECK(auc <= AUC_MAX);
}

/* --- many shares of one node --- */

static unsigned seen_cnts[PEERS];
static bool had_slot[PEERS];

/* A quarter of the nodes that are up go, and as many come. The first one stays. */
static void day_pass(struct slots_lab_place *hub)
{
	for (unsigned i = 0; i < PEERS; i++) {
		struct slots_lab_place *place = &slots_lab_places[i];

		if (place == hub || random_below(&dice, 4) != 0)
			continue;
		if (place->slots) {
			slots_lab_down(place);
			for (unsigned k = 0; k < PEERS; k++)
				if (slots_lab_places[k].slots)
					slots_lab_part(place, &slots_lab_places[k]);
		} else if (random_below(&dice, PEERS / UP) == 0) {
			slots_lab_up(place);
		}
	}
	slots_lab_pass(300 * NS_PER_S);
}

static void day_look(struct slots_lab_place *hub)
{
	struct slots_lab_place *peer = NULL;

	social_slots_each(hub->slots, slots_lab.now_ns, peer_pick, &peer);
	if (!peer || slots_lab_send_share(peer, hub, 0) < 0)
		return;
	for (unsigned i = 0; i < slots_lab_share.cnt; i++) {
		const struct slots_lab_place *of = slots_lab_place_of(slots_lab_share.nodes[i]);

		seen_cnts[of - slots_lab_places]++;
		had_slot[of - slots_lab_places] |= !is_contact(hub, of);
	}
}

/*
 * Contacts stay, and nodes with slots come and go: 30 shares, one a day, show that. The figure is what
 * a peer learns in a month, and no limit is set to it.
 */
static void test_thirty_shares_of_a_node_are_measured(void)
{
	const double weight[FEATURE_CNT] = {[PLACE] = 1};
	struct slots_lab_place *hub = NULL;

	random_init_seeded(&dice, seed_of_run(11));
	net_begin();
	for (unsigned i = 0; i < PEERS && !hub; i++)
		if (slots_lab_places[i].slots)
			hub = &slots_lab_places[i];
	memset(seen_cnts, 0, sizeof(seen_cnts));
	memset(had_slot, 0, sizeof(had_slot));
	for (unsigned day = 0; day < 30; day++) {
		day_pass(hub);
		day_look(hub);
	}
	entry_cnt = 0;
	for (unsigned i = 0; i < PEERS; i++)
		if (seen_cnts[i])
			entries[entry_cnt++] = (struct entry){.features[PLACE] = seen_cnts[i],
							      .has_slot = had_slot[i],
							      .share = 1};
	printf("# AUC by days of 30 in which a node is named, %u nodes: %.3f\n", entry_cnt,
	       apart(auc_of(weight)));
	slots_lab_end();
	CHECK(entry_cnt > CONTACTS);
}

int main(void)
{
	RUN(test_thirty_shares_of_a_node_are_measured);
	RUN(test_a_classifier_cannot_tell_slots_from_contacts);
	return check_done();
}
