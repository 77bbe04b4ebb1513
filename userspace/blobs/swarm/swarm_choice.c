/* SPDX-License-Identifier: Apache-2.0 */
/* Which member of a swarm is asked next, and whether there is hope for one. */
#include "base/monotonic.h"
#include "crypto/blake3/blake3.h"
#include "swarm.h"
#include "swarm_state.h"
#include "blobs/blobs_state.h"

bool blobs_swarm_member_is_usable(const struct swarm_member *member)
{
	return member->state == MEMBER_OPEN && !member->is_going && !member->source->is_refused;
}

unsigned blobs_swarm_window_max(const struct swarm *swarm)
{
	return swarm->swarms->content->params.config.chunks_in_flight;
}

bool blobs_swarm_member_has_room(const struct swarm_member *member, uint64_t now_ns)
{
	if (member->asked_cnt == 0)
		return blobs_source_is_ready(member->source, now_ns);
	return blobs_source_has_room(member->source, blobs_swarm_window_max(member->swarm), now_ns);
}

bool blobs_swarm_member_has_credit(const struct swarm_member *member)
{
	const struct blobs *content = member->swarm->swarms->content;

	return blobs_credit_has(&content->credits[BLOBS_DOWNLOADS][member->source->zone],
				SWARM_CREDIT_LEN);
}

void blobs_swarm_round(struct swarm *swarm)
{
	swarm->round++;
}

void blobs_swarm_skip(struct swarm *swarm, struct swarm_member *member)
{
	member->skipped_round = swarm->round;
}

struct swarm_member *blobs_swarm_best(struct swarm *swarm, uint64_t now_ns)
{
	struct swarm_member *best = NULL;
	uint64_t best_cost = 0;

	swarm->is_held = false;

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		struct swarm_member *member = &swarm->members[i];
		uint64_t cost;

		if (member->state != MEMBER_OPEN || member->skipped_round == swarm->round ||
		    !blobs_swarm_member_is_usable(member) ||
		    !blobs_swarm_member_has_room(member, now_ns))
			continue;
		if (!blobs_swarm_member_has_credit(member)) {
			swarm->is_held = true;
			continue;
		}
		cost = blobs_source_rank(member->source);
		if (best && cost >= best_cost)
			continue;
		best = member;
		best_cost = cost;
	}
	return best;
}

bool blobs_swarm_is_held(const struct swarm *swarm)
{
	return swarm->is_held;
}

const uint8_t *blobs_swarm_member_key(const struct swarm_member *member)
{
	return member->source->key;
}

bool blobs_swarm_member_has(const struct swarm_member *member, uint32_t item, uint64_t chunk)
{
	return blobs_have_has(&member->have, item, chunk);
}

uint64_t blobs_swarm_member_chunks(const struct swarm_member *member, uint32_t item, uint64_t first)
{
	return blobs_have_chunks(&member->have, item, first);
}

uint32_t blobs_swarm_member_version(const struct swarm_member *member)
{
	return member->have.version;
}

uint64_t blobs_swarm_member_cost(const struct swarm_member *member)
{
	return blobs_source_cost(member->source);
}

unsigned blobs_swarm_holder_cnt(const struct swarm *swarm, uint32_t item, uint64_t chunk)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		const struct swarm_member *member = &swarm->members[i];

		cnt += member->state == MEMBER_OPEN && blobs_swarm_member_is_usable(member) &&
		       blobs_have_has(&member->have, item, chunk);
	}
	return cnt;
}

uint32_t blobs_swarm_version(const struct swarm *swarm)
{
	return swarm->version;
}

bool blobs_swarm_is_even(const struct swarm *swarm)
{
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++)
		if (swarm->members[i].source && swarm->members[i].have.kind == HAVE_SOME)
			return false;
	return true;
}

/* Is there hope in what goes on apart from asks? */
static bool members_are_pending(const struct swarm *swarm, uint64_t now_ns)
{
	bool is_growing = now_ns - swarm->progress_ns < SWARM_GIVE_UP_NS;

	for (unsigned i = 0; i < SWARM_MEMBERS_MAX; i++) {
		const struct swarm_member *member = &swarm->members[i];

		if (!member->source || member->is_going)
			continue;
		/* One that says to come back later, or that no place gets free for, is no hope for ever. */
		if (member->state == MEMBER_FOUND && now_ns - member->found_ns < SWARM_GIVE_UP_NS)
			return true;
		if (blobs_swarm_contacts_are_out(member))
			return true;
		if (is_growing &&
		    (blobs_have_may_grow(&member->have) || member->source->asked_cnt > 0 ||
		     member->source->not_before_ns > now_ns))
			return true;
	}
	return false;
}

enum swarm_outlook blobs_swarm_outlook(const struct swarm *swarm, uint64_t now_ns)
{
	struct swarm_member *usable = NULL;
	bool has_hope = now_ns - swarm->progress_ns < SWARM_HOPE_NS;

	if (has_hope && (blobs_swarm_finds_are_out(swarm) || members_are_pending(swarm, now_ns)))
		return SWARM_WAITING;
	for (unsigned i = 0; i < SWARM_MEMBERS_MAX && !usable; i++)
		if (swarm->members[i].source && blobs_swarm_member_is_usable(&swarm->members[i]))
			usable = (struct swarm_member *)&swarm->members[i];
	if (!usable || now_ns - swarm->progress_ns >= SWARM_GIVE_UP_NS)
		return SWARM_LOST;
	return SWARM_LACKING;
}
