/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_CHAIN_GROUP_RULES_H
#define WEFT_SOCIAL_CHAIN_GROUP_RULES_H

#include "social/object/group_epoch.h"

/*
 * What a role allows, what a state has to prove, and which of two states of one epoch counts. Pure,
 * and thread-safe.
 */

/* What members do in a group. Roles limit all of it but reading. */
enum group_act {
	GROUP_ACT_READ,
	GROUP_ACT_POST,
	GROUP_ACT_HIDE,		/* any post of the group, for all of its readers */
	GROUP_ACT_REMOVE,	/* a viewer or a poster */
	GROUP_ACT_REMOVE_STAFF, /* a moderator or an admin */
	GROUP_ACT_ADD,
	GROUP_ACT_GIVE_ROLE,
	GROUP_ACT_REKEY,
	GROUP_ACT_CNT,
};
bool social_role_may(enum group_role role, enum group_act act);

/* Rows of a state that are written anew, by key, and members that are no longer there. */
struct group_edit {
	const struct group_member *set;
	unsigned set_cnt;
	const uint8_t (*gone)[NODE_KEY_LEN];
	unsigned gone_cnt;
};
/*
 * social_group_edit makes the rows of out_next of those of before; the other fields are copied, and the
 * epoch is one higher. 0, or WEFT_EFULL: more members or visitors than a shard has.
 */
WEFT_MUST_CHECK
int social_group_edit(const struct group_state *before, const struct group_edit *edit,
		      struct group_state *out_next);
/* social_group_needs_key: a member of before's shard is none in next, so the key has to be another. */
bool social_group_needs_key(const struct group_state *before, const struct group_state *next);

enum group_verdict {
	GROUP_VERDICT_NEXT,	    /* follows before */
	GROUP_VERDICT_ELSEWHERE,    /* another group, or another shard of it */
	GROUP_VERDICT_OLDER,	    /* its epoch is before's, or one before that */
	GROUP_VERDICT_SKIPPED,	    /* epochs lie between the two */
	GROUP_VERDICT_FORKED,	    /* of the right epoch, and made of another state than before */
	GROUP_VERDICT_NOT_ENTITLED, /* its signer may not do that */
	GROUP_VERDICT_OLD_KEY,	    /* a member is gone, and the key stays */
	GROUP_VERDICT_NO_ADMIN,	    /* no member could ever change it */
	GROUP_VERDICT_CNT,
};
/*
 * social_group_judge: next was verified, hash is that of before's bytes. An admin of before may make any
 * state, a moderator one that lacks viewers and posters and is else the same.
 */
enum group_verdict social_group_judge(const struct group_state *before,
				      const uint8_t hash[static GROUP_HASH_LEN],
				      const struct group_state *next);
/*
 * social_group_wins: two states follow the same one. Of these the one with the lower hash counts, on each
 * node and in whatever order they come. What the admin of the other one did is done again by that admin.
 */
bool social_group_wins(const uint8_t hash[static GROUP_HASH_LEN],
		       const uint8_t other[static GROUP_HASH_LEN]);

#endif
