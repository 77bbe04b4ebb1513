/* SPDX-License-Identifier: Apache-2.0 */
#include "workers_content.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "workers.h"
#include "weft/cid.h"

/* As often as workers report: parts follow where getters are within half a second. */
#define TELL_NS (250 * NS_PER_MS)

_Static_assert(UPLOAD_PARTS_MAX > WEFT_CID_WORKER_MAX, "a part for every worker there can be");

static void figures_read(struct workers_content *state, uint64_t now_ns)
{
	struct blobs_traffic traffic;

	blobs_traffic(state->home, now_ns, &traffic);
	state->parts[0].charged_cnt = traffic.upload_charged_cnt;
	state->parts[0].is_waiting = traffic.upload_waiting_cnt > 0;
	for (unsigned i = 1; i <= workers_cnt(state->workers); i++) {
		const struct blobs_traffic *of = &workers_figures(state->workers, i)->traffic;

		state->parts[i].charged_cnt = of->upload_charged_cnt;
		state->parts[i].is_waiting = of->upload_waiting_cnt > 0;
	}
}

/* Worker i's own count comes with its figures; what it may take it is told. */
static void credit_grow(struct workers_content *state, unsigned i, unsigned zone, uint64_t now_ns)
{
	struct worker_credits *worker = &state->credits[i];
	struct blobs_credit home[BLOBS_ZONE_CNT], *credit = &worker->credits[zone];
	uint64_t rate;

	blobs_credits_get(state->home, home);
	credit->taken = workers_figures(state->workers, i)->traffic.upload_taken[zone];
	if (home[zone].is_capped && !credit->is_capped)
		credit->granted = credit->taken;
	credit->is_capped = home[zone].is_capped;
	credit->is_reached = home[zone].is_reached;
	credit->per_s = home[zone].per_s;
	rate = (credit->taken - worker->before[zone]) * (NS_PER_S / TELL_NS);
	worker->before[zone] = credit->taken;
	if (credit->is_capped)
		credit->granted += blobs_month_grant(state->home, BLOBS_UPLOADS,
						     (enum blobs_zone)zone, credit, rate, now_ns);
}

/* True: there are caps. Workers take turns, as a glide has little for each. */
static bool credits_grow(struct workers_content *state, uint64_t now_ns)
{
	unsigned cnt = workers_cnt(state->workers);
	bool has_cap = false;

	state->credit_turn++;
	for (unsigned k = 0; k < cnt; k++) {
		unsigned i = 1 + (state->credit_turn + k) % cnt;

		for (unsigned zone = 0; zone < BLOBS_ZONE_CNT; zone++) {
			has_cap |= state->credits[i].credits[zone].is_capped;
			credit_grow(state, i, zone, now_ns);
			has_cap |= state->credits[i].credits[zone].is_capped;
		}
	}
	return has_cap;
}

static void limits_tell(struct workers_content *state, uint64_t now_ns)
{
	uint64_t values[BLOBS_LIMIT_CNT];
	uint64_t span_ns = state->divided_ns ? now_ns - state->divided_ns : 0;

	blobs_limits_get(state->home, values);
	state->is_limits_due |= credits_grow(state, now_ns);
	if (!values[BLOBS_LIMIT_UPLOAD] && !state->is_limits_due)
		return;
	figures_read(state, now_ns);
	worker_upload_parts_divide(state->parts, 1 + workers_cnt(state->workers),
				   values[BLOBS_LIMIT_UPLOAD], span_ns);
	state->divided_ns = now_ns;
	blobs_limits_take(state->home, values, state->parts[0].part, now_ns);
	state->is_limits_due = !workers_spread_limits(state->workers, values, state);
}

static void tell(struct timer *timer, uint64_t now_ns)
{
	struct workers_content *state = (struct workers_content *)timer;

	timer_set(state->timers, timer, now_ns + TELL_NS);
	limits_tell(state, now_ns);
	/* Those who could not be told are, when it changes again. */
	if (blobs_has_new_in_progress(state->home))
		(void)workers_spread_in_progress(state->workers, state->home);
}

void workers_content_start(struct workers_content *state, struct workers *workers,
			   struct blobs *home, struct timer_wheel *timers, uint64_t now_ns)
{
	memset(state, 0, sizeof(*state));
	state->workers = workers;
	state->home = home;
	state->timers = timers;
	state->is_limits_due = true;
	timer_init(&state->timer, tell);
	tell(&state->timer, now_ns);
}

void workers_content_stop(struct workers_content *state)
{
	if (state->workers)
		timer_cancel(state->timers, &state->timer);
	state->workers = NULL;
}

void workers_content_limits_changed(struct workers_content *state)
{
	if (!state->workers)
		return;
	state->is_limits_due = true;
	timer_set(state->timers, &state->timer, 0);
}

void workers_content_member(struct workers_content *state, unsigned idx,
			    const struct blobs_member *member, uint64_t now_ns)
{
	if (!state->workers)
		return;
	if (idx > 0)
		blobs_note_member(state->home, member, now_ns);
	workers_spread_member(state->workers, idx, member);
}
