/* SPDX-License-Identifier: Apache-2.0 */
/* The member whose turn a part is, as each of several getters reckons it for itself. */
#include "base/monotonic.h"
#include "blobs/swarm/swarm.h"
#include "support/check.h"
#include "support/source_net.h"

#define GETTERS 5u
#define PARTS	1000u

static struct source_net net;

/* What getter idx makes of the turns, when all of its members have told what they have. */
static void turns_of(unsigned idx, unsigned turns[static PARTS])
{
	struct swarm *swarm;

	net.content.params.own_key = net.sources[idx].key;
	swarm = source_net_join(&net, 0, GETTERS);
	(void)source_net_run(&net, NS_PER_S, NULL, NULL);
	for (unsigned part = 0; part < PARTS; part++)
		turns[part] = blobs_swarm_turn(swarm, 0, part);
	blobs_swarm_leave(swarm);
}

static void getters_begin(void)
{
	source_net_init(&net);
	for (unsigned i = 0; i < GETTERS; i++) {
		net.sources[i].chunks_begin = i;
		net.sources[i].chunks_end = i + 1;
		net.sources[i].is_growing = true;
	}
}

/* And each getter has about as many first turns as the others. */
static void test_every_part_is_one_getters_turn(void)
{
	static unsigned turns[GETTERS][PARTS];
	unsigned first_cnt[GETTERS] = {0}, wrong_cnt = 0;

	getters_begin();
	for (unsigned i = 0; i < GETTERS; i++)
		turns_of(i, turns[i]);
	for (unsigned part = 0; part < PARTS; part++) {
		unsigned seen = 0;

		for (unsigned i = 0; i < GETTERS; i++) {
			seen |= 1u << turns[i][part];
			first_cnt[i] += turns[i][part] == 0;
		}
		wrong_cnt += seen != (1u << GETTERS) - 1;
	}
	CHECK_EQ(wrong_cnt, 0);
	for (unsigned i = 0; i < GETTERS; i++) {
		CHECK(first_cnt[i] > PARTS / GETTERS * 3 / 4);
		CHECK(first_cnt[i] < PARTS / GETTERS * 5 / 4);
	}
	source_net_fini(&net);
}

/*
 * One has it all, one has a part and fetches no more, one is not there: the remaining member has
 * every turn.
 */
static void test_a_member_that_does_not_fetch_takes_no_turn(void)
{
	unsigned turns[PARTS], later_cnt = 0;

	getters_begin();
	net.sources[1].chunks_begin = net.sources[1].chunks_end = 0;
	net.sources[2].is_growing = net.sources[3].is_growing = false;
	net.sources[4].has_none = true;
	net.sources[1].is_growing = false;
	turns_of(0, turns);
	for (unsigned part = 0; part < PARTS; part++)
		later_cnt += turns[part] > 0;
	CHECK_EQ(later_cnt, 0);
	source_net_fini(&net);
}

int main(void)
{
	RUN(test_every_part_is_one_getters_turn);
	RUN(test_a_member_that_does_not_fetch_takes_no_turn);
	return check_done();
}
