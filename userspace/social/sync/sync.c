/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/sync.h"

#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "social/sync/sync_state.h"

void social_sync_config_defaults(struct sync_config *config)
{
	*config = (struct sync_config){.every_ns = 300 * NS_PER_S};
}

/* --- time --- */

void social_sync_due(struct sync *sync, uint64_t now_ns)
{
	uint64_t next_ns = social_sync_pull_next_ns(sync);

	if (sync->is_stopped)
		return;
	if (sync->peers.used_cnt && sync->sweep_ns < next_ns)
		next_ns = sync->sweep_ns;
	timer_set(sync->params.ground->timers, &sync->timer, next_ns < now_ns ? now_ns : next_ns);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct sync *sync = container_of(timer, struct sync, timer);

	sync->now_ns = now_ns;
	if (now_ns >= sync->sweep_ns) {
		sync->sweep_ns = now_ns + SYNC_SWEEP_NS;
		social_sync_peers_sweep(sync, now_ns);
	}
	social_sync_pull_due(sync, now_ns);
	social_sync_due(sync, now_ns);
}

void social_sync_follows_changed(struct sync *sync, uint64_t now_ns)
{
	const struct sync_parts *parts = &sync->params.parts;
	struct sync_peer *peer = NULL;

	while ((peer = pool_next(&sync->peers, peer)))
		if (parts->is_related(parts->ctx, peer->keys[0]))
			peer->due_ns = now_ns;
	social_sync_due(sync, now_ns);
}

/* --- life --- */

static int lay_out(struct sync *sync)
{
	uint64_t secret[2];
	int err = arena_open(&sync->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	random_fill(sync->params.ground->random, secret, sizeof(secret));
	random_fill(sync->params.ground->random, sync->holding.secret, sizeof(secret));
	sync->holding.notes = arena_alloc(&sync->arena, 2 * sizeof(*sync->holding.notes));
	if (!sync->holding.notes)
		return WEFT_EFULL;
	if ((err = social_sync_peers_init(sync, secret)) < 0 ||
	    (err = social_sync_pull_init(sync, secret)) < 0 ||
	    (err = social_sync_answer_init(sync, secret)) < 0 ||
	    (err = social_sync_literal_init(sync, secret)) < 0 ||
	    (err = social_sync_news_init(sync, secret)) < 0)
		return err;
	arena_fit(&sync->arena);
	return 0;
}

int social_sync_open(const struct sync_params *params, struct sync **out_sync)
{
	struct sync *sync = calloc(1, sizeof(*sync));
	int err;

	if (!sync)
		return -ENOMEM;
	sync->params = *params;
	sync->now_ns = params->now_ns;
	list_init(&sync->givings);
	timer_init(&sync->timer, on_due);
	timer_init(&sync->news_timer, NULL);
	err = lay_out(sync);
	if (err < 0) {
		social_sync_close(sync);
		return err;
	}
	params->ground->neighbours->announce(params->ground->mesh.mesh, MESH_CAP_SOCIAL_RANGES,
					     true);
	*out_sync = sync;
	return 0;
}

void social_sync_stop(struct sync *sync)
{
	struct timer_wheel *timers;

	if (!sync || sync->is_stopped)
		return;
	sync->is_stopped = true;
	timers = sync->params.ground->timers;
	timer_cancel(timers, &sync->timer);
	if (!sync->pushes.objects)
		return;
	social_sync_news_stop(sync);
	social_sync_pull_stop(sync);
	social_sync_givings_stop(sync);
	social_sync_literal_stop(sync);
}

void social_sync_close(struct sync *sync)
{
	struct sync_peer *peer = NULL;
	struct sync_pull *pull = NULL;

	if (!sync)
		return;
	social_sync_stop(sync);
	social_sync_givings_close(sync);
	while (sync->pulls.objects && (pull = pool_next(&sync->pulls, pull)))
		social_sync_pull_release(pull);
	while (sync->peers.objects && (peer = pool_next(&sync->peers, peer)))
		social_sync_peer_drop(sync, peer, sync->now_ns);
	arena_close(&sync->arena);
	free(sync);
}

/* --- figures --- */

void social_sync_stats(const struct sync *sync, struct sync_stats *out_stats)
{
	*out_stats = sync->stats;
	out_stats->peer_cnt = sync->peers.used_cnt;
	out_stats->unit_cnt = sync->unit_slots.held_cnt;
	out_stats->running_cnt = sync->pulls.used_cnt;
}

void social_sync_view(const struct sync *sync, struct fair_view *out)
{
	fair_read(&sync->unit_slots, out);
}

void social_sync_pages_view(const struct sync *sync, struct fair_view *out)
{
	fair_read(&sync->lent_slots, out);
}

void social_sync_literal_view(const struct sync *sync, struct fair_view *out)
{
	fair_read(&sync->literal_slots, out);
}
