/* SPDX-License-Identifier: Apache-2.0 */
/* Members of communities as sources, without a swarm. */
#include "community/member_finder.h"

#include "base/monotonic.h"
#include "support/check.h"
#include "support/community_lab.h"

static struct community_lab lab;
static struct community_lab_node *node;
static struct member_finder *finder;
static struct swarm_finder seam;
static unsigned done_cnt;

static void on_found(void *arg, const struct mesh_peer *peer)
{
	(void)arg, (void)peer;
}

static void on_done(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	done_cnt++;
}

static int find(enum finder_kind kind, void **out_run)
{
	static const uint8_t id[32] = {7};
	const struct swarm_find asked = {kind, id, on_found, on_done, NULL};

	return seam.ops->find(seam.ctx, &asked, NS_PER_S, out_run);
}

static void begin(void)
{
	community_lab_init(&lab, 1, 1);
	node = community_lab_add(&lab);
	community_lab_start(node);
	finder = community_finder_new(node->communities, &node->timers);
	seam = community_finder(finder);
	done_cnt = 0;
}

static void end(void)
{
	community_finder_free(finder);
	community_lab_fini(&lab);
}

static void test_only_manifests_are_looked_for(void)
{
	void *run;

	begin();
	CHECK_EQ(find(FINDER_CONTENT, &run), WEFT_EABSENT);
	CHECK_EQ(find(FINDER_MANIFEST, &run), 0);
	seam.ops->cancel(run);
	end();
}

static void test_a_search_ends_in_a_turn_of_its_own(void)
{
	void *run;

	begin();
	CHECK_EQ(find(FINDER_MANIFEST, &run), 0);
	CHECK_EQ(done_cnt, 0);
	timer_wheel_expire(&node->timers, 2 * NS_PER_S);
	CHECK_EQ(done_cnt, 1);
	timer_wheel_expire(&node->timers, 3 * NS_PER_S);
	CHECK_EQ(done_cnt, 1);
	end();
}

static void test_a_cancelled_search_has_no_end(void)
{
	void *run;

	begin();
	CHECK_EQ(find(FINDER_MANIFEST, &run), 0);
	seam.ops->cancel(run);
	timer_wheel_expire(&node->timers, 2 * NS_PER_S);
	CHECK_EQ(done_cnt, 0);
	end();
}

static void test_one_search_too_many_is_refused_until_another_has_ended(void)
{
	void *runs[COMMUNITY_FINDS_MAX], *run;

	begin();
	for (unsigned i = 0; i < COMMUNITY_FINDS_MAX; i++)
		CHECK_EQ(find(FINDER_MANIFEST, &runs[i]), 0);
	CHECK_EQ(find(FINDER_MANIFEST, &run), WEFT_EFULL);
	seam.ops->cancel(runs[5]);
	CHECK_EQ(find(FINDER_MANIFEST, &run), 0);
	timer_wheel_expire(&node->timers, 2 * NS_PER_S);
	CHECK_EQ(done_cnt, COMMUNITY_FINDS_MAX);
	end();
}

int main(void)
{
	RUN(test_only_manifests_are_looked_for);
	RUN(test_a_search_ends_in_a_turn_of_its_own);
	RUN(test_a_cancelled_search_has_no_end);
	RUN(test_one_search_too_many_is_refused_until_another_has_ended);
	return check_done();
}
