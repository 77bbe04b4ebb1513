/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of communities as sources of what is bound to them (swarm's finder): of a share for
 * strict communities no public record says who has it.
 */
#include <string.h>

#include "base/list.h"
#include "blobs/swarm/finder.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

/* All is told at once; the end of it in a turn of its own. */
static void find_ended(struct timer *timer, uint64_t now_ns)
{
	struct member_find *find = container_of(timer, struct member_find, timer);

	find->is_on = false;
	find->asked.done(find->asked.arg, now_ns);
}

static int find(void *ctx, const struct swarm_find *asked, uint64_t now_ns, void **out_run)
{
	struct sharing *sharing = ctx;
	struct member_find *find = sharing->member_finds;
	struct link_node keepers[COMMUNITY_KEEPERS_MAX];
	struct mesh_peer peer = {0};
	unsigned cnt;

	if (asked->kind != FINDER_MANIFEST || !sharing->communities)
		return WEFT_EABSENT;
	while (find < sharing->member_finds + SHARING_MEMBER_FINDS_MAX && find->is_on)
		find++;
	if (find == sharing->member_finds + SHARING_MEMBER_FINDS_MAX)
		return WEFT_EFULL;
	cnt = community_keepers_of_manifest(sharing->communities, asked->id, keepers);
	for (unsigned i = 0; i < cnt; i++) {
		memcpy(peer.key, keepers[i].key, sizeof(peer.key));
		peer.addrs = keepers[i].addrs;
		peer.addr_cnt = peer.told_cnt = keepers[i].addr_cnt;
		asked->found(asked->arg, &peer);
	}
	find->asked = *asked;
	find->sharing = sharing;
	find->is_on = true;
	timer_init(&find->timer, find_ended);
	timer_set(&sharing->node->home.timers, &find->timer, now_ns);
	*out_run = find;
	return 0;
}

static void cancel(void *run)
{
	struct member_find *find = run;

	timer_cancel(&find->sharing->node->home.timers, &find->timer);
	find->is_on = false;
}

int node_sharing_open_member_finder(struct sharing *sharing)
{
	static const struct swarm_finder_ops ops = {.find = find, .cancel = cancel};
	const struct swarm_finder finder = {&ops, sharing};

	return blobs_add_finder(sharing->node->home.content, &finder);
}
