/* SPDX-License-Identifier: Apache-2.0 */
/*
 * D11: in a net of clusters growth leads out of them first. Nodes know a few of their own cluster, and
 * two of each know one node of the next. What a node asks for is compared with what a random pick among
 * the same candidates would give. Prints that, the classes of slots, and hops before and after.
 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "social/slots/social_slots.h"
#include "support/check.h"
#include "support/seed.h"
#include "support/social_slots_lab.h"

#define CLUSTERS 4u
#define PER	 50u
#define PEERS	 (CLUSTERS * PER)
#define SOURCES	 5u
#define BRIDGES	 2u
#define STEP_NS	 NS_PER_S
#define SESSIONS 64u /* of the mesh: about 30 slots, less than the cluster has */

static struct random dice;
static bool had_slot[PEERS][PEERS];

static unsigned cluster_of(unsigned number)
{
	return number / PER;
}

static void net_begin(void)
{
	slots_lab_begin(0);
	random_init_seeded(&dice, seed_of_run(11));
	memset(had_slot, 0, sizeof(had_slot));
	for (unsigned i = 0; i < PEERS; i++) {
		struct slots_lab_place *place = slots_lab_add();
		unsigned first = cluster_of(i) * PER;

		place->config.session_cap = SESSIONS;
		while (place->source_cnt < SOURCES)
			place->sources[place->source_cnt++] =
				first + (unsigned)random_below(&dice, PER);
		if (i - first < BRIDGES)
			place->sources[place->source_cnt++] = (i + PER) % PEERS;
	}
	slots_lab_all_up();
}

/* --- what was asked for, and what could have been --- */

struct pick {
	double got, expected; /* nodes of other clusters; by a random pick */
	unsigned cnt;
	unsigned wide_out, wide, local_out, local;
};

struct look {
	struct pick *pick;
	unsigned of;
	double odds; /* of a node of another cluster, among what was open before */
};

static bool slot_look(void *arg, const struct slot_info *info)
{
	struct look *look = arg;
	unsigned to = (unsigned)(slots_lab_place_of(info->key) - slots_lab_places);
	bool is_out = cluster_of(to) != cluster_of(look->of);

	if (had_slot[look->of][to])
		return true;
	had_slot[look->of][to] = true;
	*(info->class == SLOT_WIDE ? &look->pick->wide : &look->pick->local) += 1;
	*(info->class == SLOT_WIDE ? &look->pick->wide_out : &look->pick->local_out) += is_out;
	if (!info->is_own || look->odds < 0)
		return true;
	look->pick->got += is_out;
	look->pick->expected += look->odds;
	look->pick->cnt++;
	return true;
}

/* The share of other clusters among the nodes that were reported and have no slot; below 0: none were. */
static double odds_of(unsigned of)
{
	const struct slots *slots = slots_lab_places[of].slots;
	unsigned cnt = 0, out = 0;

	for (unsigned i = 0; i < PEERS; i++) {
		const uint8_t *key = slots_lab_places[i].node->key;

		if (i == of || social_slots_has(slots, key) || !social_slots_reporter(slots, key))
			continue;
		cnt++;
		out += cluster_of(i) != cluster_of(of);
	}
	return cnt ? out / (double)cnt : -1;
}

static void watch(unsigned step_cnt, struct pick *pick)
{
	static double odds[PEERS];

	for (unsigned step = 0; step < step_cnt; step++) {
		for (unsigned i = 0; i < PEERS; i++)
			odds[i] = odds_of(i);
		slots_lab_pass(STEP_NS);
		for (unsigned i = 0; i < PEERS; i++) {
			struct look look = {.pick = pick, .of = i, .odds = odds[i]};

			social_slots_each(slots_lab_places[i].slots, slots_lab.now_ns, slot_look,
					  &look);
		}
	}
}

/* --- hops --- */

static double mean_hops(unsigned *out_apart)
{
	static unsigned queue[PEERS], far[PEERS];
	double sum = 0;
	unsigned pairs = 0;

	*out_apart = 0;
	for (unsigned from = 0; from < PEERS; from++) {
		unsigned head = 0, tail = 0;

		memset(far, 0xff, sizeof(far));
		far[from] = 0;
		queue[tail++] = from;
		while (head < tail) {
			unsigned at = queue[head++];

			for (unsigned to = 0; to < PEERS; to++)
				if (far[to] == UINT32_MAX &&
				    social_slots_has(slots_lab_places[at].slots,
						     slots_lab_places[to].node->key)) {
					far[to] = far[at] + 1;
					queue[tail++] = to;
				}
		}
		for (unsigned to = 0; to < PEERS; to++) {
			if (far[to] == UINT32_MAX)
				++*out_apart;
			else if (to != from)
				sum += far[to], pairs++;
		}
	}
	return sum / pairs;
}

static void test_growth_leads_out_of_a_cluster_first(void)
{
	struct pick early = {0}, late = {0};
	unsigned apart;
	double before, after;

	net_begin();
	watch(2, &early);
	before = mean_hops(&apart);
	watch(8, &early);
	watch(30, &late);
	after = mean_hops(&apart);
	printf("# first 10 s: %u asked for, %.0f%% of them in other clusters, %.0f%% by chance\n",
	       early.cnt, 100 * early.got / early.cnt, 100 * early.expected / early.cnt);
	printf("# next 30 s: %u, %.0f%%, %.0f%% by chance\n", late.cnt, 100 * late.got / late.cnt,
	       100 * late.expected / late.cnt);
	early.wide += late.wide;
	early.wide_out += late.wide_out;
	printf("# wide slots to other clusters: %u of %u; hops %.2f after 2 s, %.2f after 40 s\n",
	       early.wide_out, early.wide, before, after);
	slots_lab_end();
	/* Measured: 60% and 31%; 95% and 73%; 64% of wide slots; 3.5 and 1.9 hops. */
	CHECK(early.got >= 1.5 * early.expected);
	CHECK(late.got >= 1.1 * late.expected);
	CHECK(early.wide_out * 2 >= early.wide);
	CHECK_EQ(apart, 0);
	CHECK(after < 2.1 && after < before - 0.5);
}

int main(void)
{
	RUN(test_growth_leads_out_of_a_cluster_first);
	return check_done();
}
