/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finders of a swarm: all of them at its beginning, then each again after a
 * while, sooner when few members are left. A member that is lost makes room
 * for what the next lookup finds.
 */
#include "base/monotonic.h"
#include "swarm_state.h"

#define AGAIN_NS     (120 * NS_PER_S)
#define AGAIN_FEW_NS (15 * NS_PER_S)
#define FEW_MEMBERS  4u
#define REFUSED_NS   (60 * NS_PER_S)

static void on_found(void *arg, const struct mesh_peer *peer)
{
	struct swarm_run *run = arg;

	(void)blobs_swarm_member_add(run->swarm, peer, false);
}

static void on_done(void *arg, uint64_t now_ns)
{
	struct swarm_run *run = arg;
	struct swarm *swarm = run->swarm;

	swarm->swarms->now_ns = now_ns;
	run->run = NULL;
	run->due_ns = now_ns + (swarm->member_cnt < FEW_MEMBERS ? AGAIN_FEW_NS : AGAIN_NS);
	blobs_swarm_changed(swarm);
}

/* Those there was no room for may be found now. */
static bool find_is_wanted(const struct swarm *swarm)
{
	return swarm->is_cut && swarm->member_cnt < SWARM_MEMBERS_MAX / 2;
}

void blobs_swarm_finds_run(struct swarm *swarm, uint64_t now_ns)
{
	const struct swarms *swarms = swarm->swarms;

	for (unsigned i = 0; i < swarms->finder_cnt; i++) {
		const struct swarm_finder *finder = &swarms->finders[i];
		struct swarm_run *run = &swarm->runs[i];
		const struct swarm_find find = {
			.kind = swarm->kind,
			.id = swarm->id,
			.found = on_found,
			.done = on_done,
			.arg = run,
		};

		if (run->run || (now_ns < run->due_ns && !find_is_wanted(swarm)))
			continue;
		swarm->is_cut = false;
		run->swarm = swarm;
		run->due_ns = now_ns + REFUSED_NS;
		if (finder->ops->find(finder->ctx, &find, now_ns, &run->run) < 0)
			run->run = NULL;
	}
}

void blobs_swarm_finds_end(struct swarm *swarm)
{
	for (unsigned i = 0; i < swarm->swarms->finder_cnt; i++) {
		struct swarm_run *run = &swarm->runs[i];

		if (run->run)
			swarm->swarms->finders[i].ops->cancel(run->run);
		run->run = NULL;
	}
}

bool blobs_swarm_finds_are_out(const struct swarm *swarm)
{
	if (swarm->is_cut && swarm->swarms->finder_cnt)
		return true;
	for (unsigned i = 0; i < swarm->swarms->finder_cnt; i++)
		if (swarm->runs[i].run || swarm->runs[i].due_ns <= swarm->joined_ns)
			return true;
	return false;
}
