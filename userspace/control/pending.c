/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have how many calls with an id under way: the dynamic threshold of
 * fair shares (fair_may_hold) over role > user > program. Home worker.
 */
#include "control/pending.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/fair/load.h"
#include "base/random.h"
#include "control/control_server.h"

#define PENDING_LEVELS 3 /* role, user, program */

/* Nothing is taken back, so no class has a part of its own. */
static struct fair_config fair_config_of(uint32_t call_cap)
{
	return (struct fair_config){
		.name = "control.calls",
		.kind = FAIR_WORK,
		.cap_cnt = call_cap,
		.level_cnt = PENDING_LEVELS,
	};
}

size_t control_pending_footprint(uint32_t call_cap)
{
	const struct fair_config config = fair_config_of(call_cap);

	return fair_footprint(&config);
}

int control_pending_init(struct pending *pending, struct arena *arena, uint32_t call_cap)
{
	const struct fair_config config = fair_config_of(call_cap);
	struct random random;

	random_init_system(&random);
	random_fill(&random, pending->paths.secret, sizeof(pending->paths.secret));
	return fair_init(&pending->fair, arena, &config, pending->paths.secret);
}

static struct fair_path path_of(const struct pending *pending, const struct control_client *client)
{
	const struct place_peer *peer = &client->peer;
	struct fair_path path;

	fair_path_start(FAIR_UNKNOWN, &path);
	fair_path_add(&pending->paths, &path, &peer->role, sizeof(peer->role));
	fair_path_add(&pending->paths, &path, &peer->uid, sizeof(peer->uid));
	fair_path_add(&pending->paths, &path, &peer->pid, sizeof(peer->pid));
	return path;
}

bool control_pending_may_take(struct pending *pending, struct control_client *client,
			      uint32_t *out_wait_ms)
{
	struct control *control = client->control;
	const struct fair_path path = path_of(pending, client);
	struct fair *fair = &pending->fair;

	if (fair_may_hold(fair, &path, fair->config.cap_cnt - fair->held_cnt))
		return true;
	control->stats.pending_refused_cnt++;
	fair_refuse(fair, &path, control->now_ns);
	*out_wait_ms = fair_not_before_ms(fair, &path, control->now_ns);
	load_refuse(control->load, &(struct load_who){.uid = client->peer.uid}, fair->config.name,
		    *out_wait_ms, control->now_ns);
	return false;
}

void control_pending_take(struct pending *pending, struct control_call *call)
{
	struct control *control = call->control;
	const struct fair_path path = path_of(pending, call->client);
	struct fair_item *victim;
	enum fair_verdict verdict =
		fair_take(&pending->fair, &path, &call->share, control->now_ns, &victim);

	/* control_pending_may_take saw a free one. */
	weft_assert(verdict == FAIR_TAKEN);
	control->stats.pending_cnt++;
	if (control->stats.pending_cnt > control->stats.pending_peak_cnt)
		control->stats.pending_peak_cnt = control->stats.pending_cnt;
}

void control_pending_release(struct pending *pending, struct control_call *call)
{
	if (!fair_item_holds(&call->share))
		return;
	fair_release(&pending->fair, &call->share, call->control->now_ns);
	call->control->stats.pending_cnt--;
}
