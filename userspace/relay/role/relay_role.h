/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_ROLE_RELAY_ROLE_H
#define WEFT_RELAY_ROLE_RELAY_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fair/contribution.h"
#include "base/figure.h"

/*
 * Whether this node is a relay now. Where the configuration leaves it to contribution, it is judged
 * each minute. A node that others can dial takes the role at 10 points of its own contribution, and
 * leaves it below 2. Between them it stays what it is. It leaves at once when others cannot dial it.
 *
 * A node that stopped as a relay is one again from its start on, if it has 2 points still. So its flows
 * come back at once. Others need a while to find out whether they can dial it. Until they have, it
 * counts as a node that they can, for RELAY_ROLE_RESUME_NS at most.
 *
 * A person may choose instead of the configuration, until the choice is taken back.
 *
 * Home worker; pure. Zeroed and initialised by relay_role_init.
 */
#define RELAY_ROLE_RESUME_NS 600000000000ull
#define RELAY_ROLE_TAKE	     (10 * CONTRIBUTION_POINT)
#define RELAY_ROLE_LEAVE     (2 * CONTRIBUTION_POINT)
#define RELAY_ROLE_EVERY_NS  60000000000ull

enum relay_role_rule {
	RELAY_ROLE_NEVER,
	RELAY_ROLE_ALWAYS,
	RELAY_ROLE_EARNED, /* by contribution */
};

/* What a person chose; of it the numbers are stored. */
enum relay_role_choice {
	RELAY_ROLE_AS_CONFIGURED,
	RELAY_ROLE_CHOSEN_OFF,
	RELAY_ROLE_CHOSEN_ON,
	RELAY_ROLE_CHOICE_CNT,
};

enum relay_role_why {
	RELAY_ROLE_IS_OFF,
	RELAY_ROLE_IS_ON,
	RELAY_ROLE_HIDDEN,  /* others cannot dial this node */
	RELAY_ROLE_LITTLE,  /* it has not had 10 points since it was started, or left the role */
	RELAY_ROLE_ENOUGH,  /* it had, and has 2 still */
	RELAY_ROLE_IDLE,    /* it left the role below 2 points */
	RELAY_ROLE_RESUMED, /* it was one when it stopped, and is not known to be hidden */
	RELAY_ROLE_BY_OFF,  /* a person chose so */
	RELAY_ROLE_BY_ON,
	RELAY_ROLE_WHY_CNT,
};
/* relay_role_word: a sentence for people. */
const char *relay_role_word(enum relay_role_why why);

struct relay_role_stats {
#define FIGURE FIGURE_FIELD
#include "relay/role/relay_role_counters.def"
};

struct relay_role {
	enum relay_role_rule rule;	 /* in force */
	enum relay_role_rule configured; /* in force without a choice */
	enum relay_role_why why;
	bool is_relay;
	uint64_t since_ns; /* it is, or is not */
	uint64_t next_ns;  /* of the next judgement; UINT64_MAX: there is none */
	uint64_t resumed_until_ns;
	struct contribution own;
	struct relay_role_stats stats;
};

void relay_role_init(struct relay_role *role, enum relay_role_rule rule, uint64_t now_ns);
/* relay_role_choose: true: this node is a relay from now on, or no more. Earned, judge it at once. */
bool relay_role_choose(struct relay_role *role, enum relay_role_choice choice, uint64_t now_ns);
/* relay_role_resume, after role->own was loaded: the node stopped as a relay. */
void relay_role_resume(struct relay_role *role, uint64_t wall_s, uint64_t now_ns);
/* What this node did for others in the time since the last judgement. */
struct relay_role_work {
	uint64_t served_cnt, failed_cnt; /* requests of peers */
	bool can_be_dialled;		 /* as third nodes found out */
	bool is_judged;			 /* they have, one way or the other */
};
/*
 * relay_role_judge, when next_ns is over. True: this node is a relay from now on, or no more.
 * Content and flows are noted in role->own as they come.
 */
bool relay_role_judge(struct relay_role *role, const struct relay_role_work *work, uint64_t wall_s,
		      uint64_t now_ns);
void relay_role_stats(const struct relay_role *role, struct relay_role_stats *out_stats);

#endif
