/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_role.h"

/* More answers than that in a minute say nothing new: the average is where it goes. */
#define ANSWERS_MAX 64u

const char *relay_role_word(enum relay_role_why why)
{
	static const char *const words[RELAY_ROLE_WHY_CNT] = {
		[RELAY_ROLE_IS_OFF] = "relay.enabled is no",
		[RELAY_ROLE_IS_ON] = "relay.enabled is yes",
		[RELAY_ROLE_HIDDEN] = "other nodes cannot dial this one, as far as it is known",
		[RELAY_ROLE_LITTLE] =
			"its contribution has not come to 10 points since it was started",
		[RELAY_ROLE_ENOUGH] = "its contribution came to 10 points, and is not below 2",
		[RELAY_ROLE_IDLE] = "its contribution fell below 2 points",
		[RELAY_ROLE_RESUMED] = "it was one when it stopped, and has 2 points still",
		[RELAY_ROLE_BY_OFF] = "weft relay off; weft relay reset takes that back",
		[RELAY_ROLE_BY_ON] = "weft relay on; weft relay reset takes that back",
	};

	return words[why];
}

static void rule_apply(struct relay_role *role, enum relay_role_rule rule)
{
	role->rule = rule;
	if (rule != RELAY_ROLE_EARNED)
		role->is_relay = rule == RELAY_ROLE_ALWAYS;
	role->why = rule == RELAY_ROLE_ALWAYS  ? RELAY_ROLE_IS_ON
		    : rule == RELAY_ROLE_NEVER ? RELAY_ROLE_IS_OFF
		    : role->is_relay	       ? RELAY_ROLE_ENOUGH
					       : RELAY_ROLE_HIDDEN;
}

void relay_role_init(struct relay_role *role, enum relay_role_rule rule, uint64_t now_ns)
{
	*role = (struct relay_role){
		.configured = rule,
		.since_ns = now_ns,
		.next_ns = now_ns + RELAY_ROLE_EVERY_NS,
	};
	rule_apply(role, rule);
}

static void count_change(struct relay_role *role, bool was_relay, uint64_t now_ns)
{
	role->since_ns = now_ns;
	role->stats.taken_cnt += role->is_relay;
	role->stats.left_cnt += was_relay;
}

bool relay_role_choose(struct relay_role *role, enum relay_role_choice choice, uint64_t now_ns)
{
	bool was_relay = role->is_relay;

	rule_apply(role, choice == RELAY_ROLE_CHOSEN_ON	   ? RELAY_ROLE_ALWAYS
			 : choice == RELAY_ROLE_CHOSEN_OFF ? RELAY_ROLE_NEVER
							   : role->configured);
	if (choice == RELAY_ROLE_AS_CONFIGURED)
		role->next_ns = now_ns;
	else
		role->why = choice == RELAY_ROLE_CHOSEN_ON ? RELAY_ROLE_BY_ON : RELAY_ROLE_BY_OFF;
	if (role->is_relay == was_relay)
		return false;
	count_change(role, was_relay, now_ns);
	return true;
}

static void own_note(struct contribution *own, const struct relay_role_work *work, uint64_t wall_s)
{
	for (uint64_t i = 0; i < work->failed_cnt && i < ANSWERS_MAX; i++)
		contribution_answered(own, false, wall_s);
	for (uint64_t i = 0; i < work->served_cnt && i < ANSWERS_MAX; i++)
		contribution_answered(own, true, wall_s);
	contribution_age(own, wall_s);
}

void relay_role_resume(struct relay_role *role, uint64_t wall_s, uint64_t now_ns)
{
	contribution_age(&role->own, wall_s);
	if (role->rule != RELAY_ROLE_EARNED || contribution_score(&role->own) < RELAY_ROLE_LEAVE)
		return;
	role->is_relay = true;
	role->why = RELAY_ROLE_RESUMED;
	role->resumed_until_ns = now_ns + RELAY_ROLE_RESUME_NS;
}

static enum relay_role_why why_of(const struct relay_role *role, const struct relay_role_work *work,
				  uint64_t now_ns)
{
	uint32_t score = contribution_score(&role->own);
	bool is_resumed = role->is_relay && !work->is_judged && now_ns < role->resumed_until_ns;

	if (is_resumed && score >= RELAY_ROLE_LEAVE)
		return RELAY_ROLE_RESUMED;
	if (!work->can_be_dialled && !is_resumed)
		return RELAY_ROLE_HIDDEN;
	if (score >= RELAY_ROLE_TAKE || (role->is_relay && score >= RELAY_ROLE_LEAVE))
		return RELAY_ROLE_ENOUGH;
	return role->is_relay || role->why == RELAY_ROLE_IDLE ? RELAY_ROLE_IDLE : RELAY_ROLE_LITTLE;
}

bool relay_role_judge(struct relay_role *role, const struct relay_role_work *work, uint64_t wall_s,
		      uint64_t now_ns)
{
	bool was_relay = role->is_relay;

	role->next_ns = now_ns + RELAY_ROLE_EVERY_NS;
	own_note(&role->own, work, wall_s);
	if (role->rule != RELAY_ROLE_EARNED)
		return false;
	role->why = why_of(role, work, now_ns);
	role->is_relay = role->why == RELAY_ROLE_ENOUGH || role->why == RELAY_ROLE_RESUMED;
	if (work->is_judged)
		role->resumed_until_ns = 0;
	if (role->is_relay == was_relay)
		return false;
	count_change(role, was_relay, now_ns);
	return true;
}

void relay_role_stats(const struct relay_role *role, struct relay_role_stats *out_stats)
{
	*out_stats = role->stats;
	out_stats->is_now = role->is_relay;
	out_stats->score_now = contribution_score(&role->own);
}
