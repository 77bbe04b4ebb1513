/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of communities as sources of the content that is bound to them (swarm's finder).
 * No public record names the holders of a share for strict communities. Home worker.
 */
#include "community/member_finder.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/timer.h"
#include "community/community.h"

struct member_find {
	struct timer timer;
	struct member_finder *finder;
	bool is_on;
	struct swarm_find asked;
};

struct member_finder {
	struct communities *communities;
	struct timer_wheel *timers;
	struct member_find finds[COMMUNITY_FINDS_MAX];
};

/* All members are given at once; the end of the search comes in a turn of its own. */
static void find_ended(struct timer *timer, uint64_t now_ns)
{
	struct member_find *find = container_of(timer, struct member_find, timer);

	find->is_on = false;
	find->asked.done(find->asked.arg, now_ns);
}

static int find(void *ctx, const struct swarm_find *asked, uint64_t now_ns, void **out_run)
{
	struct member_finder *finder = ctx;
	struct member_find *find = finder->finds;
	struct link_node keepers[COMMUNITY_KEEPERS_MAX];
	unsigned cnt;

	if (asked->kind != FINDER_MANIFEST)
		return WEFT_EABSENT;
	while (find < finder->finds + COMMUNITY_FINDS_MAX && find->is_on)
		find++;
	if (find == finder->finds + COMMUNITY_FINDS_MAX)
		return WEFT_EFULL;
	cnt = community_keepers_of_manifest(finder->communities, asked->id, keepers);
	for (unsigned i = 0; i < cnt; i++) {
		struct mesh_peer peer = mesh_peer_at(keepers[i].key, &keepers[i].places);

		peer.told_cnt = peer.addr_cnt;
		asked->found(asked->arg, &peer);
	}
	find->asked = *asked;
	find->finder = finder;
	find->is_on = true;
	timer_init(&find->timer, find_ended);
	timer_set(finder->timers, &find->timer, now_ns);
	*out_run = find;
	return 0;
}

static void cancel(void *run)
{
	struct member_find *find = run;

	timer_cancel(find->finder->timers, &find->timer);
	find->is_on = false;
}

struct member_finder *community_finder_new(struct communities *communities,
					   struct timer_wheel *timers)
{
	struct member_finder *finder = calloc(1, sizeof(*finder));

	if (finder)
		*finder = (struct member_finder){.communities = communities, .timers = timers};
	return finder;
}

void community_finder_free(struct member_finder *finder)
{
	free(finder);
}

struct swarm_finder community_finder(struct member_finder *finder)
{
	static const struct swarm_finder_ops ops = {.find = find, .cancel = cancel};

	return (struct swarm_finder){&ops, finder};
}
