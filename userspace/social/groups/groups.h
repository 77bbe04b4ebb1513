/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_GROUPS_GROUPS_H
#define WEFT_SOCIAL_GROUPS_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "social/ground/social_ground.h"
#include "social/chain/group_rules.h"
#include "social/object/group_note.h"
#include "social/object/visibility.h"

/*
 * Groups of people (docs/social.md). A group is a chain of signed states. Each names the members with
 * their roles and the public key of its epoch, and each has the hash of the one before. A member that
 * goes takes no key along: the next epoch has another one, sealed to the others.
 *
 *	admin:	edit -> new state -> durable -> taken here -> GROUP_KEY to new members, GROUP_REKEY to
 *		the others that have a session; the others ask
 *	member: session up -> GROUP_STATE (the epochs that I have) -> what changed since -> judge ->
 *		durable
 *
 *	groups.c	life, and the table; group_look.c what others ask of it
 *	chain/		what is pure: roles and what a state has to prove, changes, messages
 *	group_store.c	what is durable; group_load.c
 *	group_take.c	states that come, and forks; group_redo.c does again what one undid
 *	group_edit.c	what persons of this node do in their groups; group_op.c their way to the disk
 *	group_push.c	states and keys to members with sessions
 *	group_answer.c	messages 640 to 642; group_ask.c asks
 *	group_invites.c	groups that one did not ask for
 *	group_notes.c	posts that are hidden, and members that go
 *	group_parts.c	groups that go to another node of their person
 *
 * Secret keys are not kept for others. A node that has the key of an epoch seals it to any member of
 * that epoch that asks. The public key in the signed state proves it. So each member gives each other
 * what it missed, up to GROUP_STATES_KEPT epochs.
 *
 * A group of more than GROUP_SHARD_MAX members has shards. A state is that of one shard, and a member
 * has the key of its own shard alone. Posters, moderators and admins are visitors in all other ones.
 *
 * Tables, and what fills them:
 *
 *	groups	GROUPS_MAX, GROUP_ROWS_TOTAL shards in all: persons of this node made or accepted them
 *	states	GROUP_STATES_KEPT of a shard: its admins; the oldest is forgotten
 *	secrets	one for each key of each epoch: the admins of those groups
 *	hides	GROUP_HIDES_MAX of a group: its moderators; then one more is refused
 *	invitations	GROUP_INVITES_MAX: any peer, by fair shares of network, address and key
 *	refused	GROUP_REFUSED_MAX: persons of this node; a ring, of which each place holds for 30 days
 *
 * Home worker only; nothing blocks.
 */
struct groups;

#define GROUPS_MAX	  256u
#define GROUP_ROWS_TOTAL  1024u
#define GROUP_STATES_KEPT 32u
#define GROUP_HIDES_MAX	  4096u
#define GROUP_INVITES_MAX 64u
#define GROUP_REFUSED_MAX 256u
#define GROUP_REFUSED_MS  (30ull * 86400000)
#define GROUP_NAME_CAP	  65u
/* A state that comes later than that after another of its epoch is refused, whatever its hash. */
#define GROUP_FORK_MS (24ull * 3600 * 1000)

/* A 640 or 641 for a member; borrowed for the call. The same state and member: the same word. */
struct group_word {
	const uint8_t *group, *member; /* GROUP_ID_LEN, NODE_KEY_LEN */
	uint64_t epoch;
	uint32_t shard;
	unsigned type;
	const void *bytes;
	size_t len;
};
struct groups_params {
	struct social_ground ground; /* copied */
	/* The key of a person of this node; NULL: it is none. */
	const struct node_key *(*own_key)(void *ctx, const uint8_t *key);
	/*
	 * A message for a member without a session, where it may be left. may_leave says whether it may.
	 * Both may be NULL: nothing is left, and all may.
	 */
	bool (*may_leave)(void *ctx, const uint8_t *member);
	void (*leave)(void *ctx, const struct group_word *word, uint64_t now_ns);
	/* A post is hidden, or no longer; may be NULL. */
	void (*hidden)(void *ctx, const struct group_hide *hide, uint64_t now_ns);
	/* A person of this node is in a group, or in a shard, that was not here. May be NULL. */
	void (*joined)(void *ctx, uint64_t now_ns);
	void *ctx;
	uint64_t now_ns;
};
/* social_groups_footprint: bytes that open lays out, touched as they are used; groups come on top. */
size_t social_groups_footprint(void);
/* social_groups_open reads what is durable: 0 or a negative code. stop and close take NULL. */
WEFT_MUST_CHECK
int social_groups_open(const struct groups_params *params, struct groups **out_groups);
void social_groups_stop(struct groups *groups);
void social_groups_close(struct groups *groups);
/* social_groups_session_up: a neighbour is there. It is asked for what is new in groups of both. */
void social_groups_session_up(struct groups *groups, const uint8_t key[static NODE_KEY_LEN],
			      uint64_t now_ns);
/*
 * social_groups_left: a 640 or 641 that was left for a person of this node. 0: it was judged, and what it
 * changed is on its way to the disk. WEFT_EFULL, WEFT_EBUSY, -ENOMEM: not now. Others: it is of no use.
 */
WEFT_MUST_CHECK
int social_groups_left(struct groups *groups, unsigned type, const void *bytes, size_t len,
		       uint64_t now_ns);
/*
 * social_groups_leave_again: members without a session get the words of states of the last GROUP_AGAIN_MS
 * once more, where a person here made them. A crash may have come between a state and its words.
 */
#define GROUP_AGAIN_MS (3600ull * 1000)
void social_groups_leave_again(struct groups *groups, uint64_t now_ns);

/* --- what persons of this node do; done is called once if 0 is returned --- */

struct group_ask {
	const uint8_t *group;  /* GROUP_ID_LEN; of create: where the new id goes to */
	const uint8_t *person; /* a key of this node; NULL: the one that is in the group */
	const uint8_t (*members)[NODE_KEY_LEN];
	unsigned member_cnt;
	enum group_role role; /* of create, add and role */
	const char *name;     /* of create */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * social_group_create: the person is its admin, and the members get invitations. The others need a group
 * that the node has. Returns 0, or:
 *   WEFT_EABSENT    no such group, or one of the members is none
 *   WEFT_EEXISTS    add: one of the members is one
 *   WEFT_EREFUSED   the person's role does not allow it, or no admin would be left
 *   WEFT_EMALFORMED a key is none, or is named twice
 *   WEFT_EFULL      too many groups, shards, members, or visitors
 *   WEFT_EBUSY      another edit is on its way, or the disk does not keep up
 *   -ENOMEM
 */
WEFT_MUST_CHECK
int social_group_create(struct groups *groups, const struct group_ask *ask, uint64_t now_ns,
			uint8_t out_group[static GROUP_ID_LEN]);
WEFT_MUST_CHECK
int social_group_add(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
WEFT_MUST_CHECK
int social_group_remove(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
WEFT_MUST_CHECK
int social_group_give_role(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
/* social_group_rekey: another key in all shards. New members cannot read what was before. */
WEFT_MUST_CHECK
int social_group_rekey(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
/*
 * social_group_leave: the person asks to be removed, which any admin's or moderator's node does by itself
 * when it hears of it. WEFT_EREFUSED: the person is the only admin of others.
 */
WEFT_MUST_CHECK
int social_group_leave(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
/*
 * social_group_hide_post: author, logical_id and is_hidden of what. Once that is durable, members that
 * have a session hear of it. WEFT_EREFUSED: the person is no moderator. WEFT_EFULL: GROUP_HIDES_MAX.
 */
WEFT_MUST_CHECK
int social_group_hide_post(struct groups *groups, const struct group_ask *ask,
			   const struct group_hide *what, uint64_t now_ns);
/*
 * social_group_{accept,refuse}: an invitation. WEFT_EABSENT: there is none. One that is refused does not
 * come again from the same node for 30 days.
 */
WEFT_MUST_CHECK
int social_group_accept(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);
WEFT_MUST_CHECK
int social_group_refuse(struct groups *groups, const struct group_ask *ask, uint64_t now_ns);

/* --- what the other parts ask --- */

/* A group as this node has it; borrowed for the call. */
struct group_view {
	const uint8_t *group;
	const char *name;
	const uint8_t *person; /* of this node, in it */
	enum group_role role;
	bool is_member;		  /* false: the person was removed, or left */
	bool is_leaving, has_key; /* of the newest epoch of its own shard */
	uint32_t shard, shard_cnt;
	unsigned row_cnt;    /* shards that this node has the states of */
	unsigned member_cnt; /* in those */
	uint64_t epoch;	     /* of its own shard */
	const uint8_t *key;  /* of that epoch */
};
/* social_group_now: false: no such group here. */
bool social_group_now(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      struct group_view *out_view);
void social_groups_each(const struct groups *groups,
			void (*fn)(void *arg, const struct group_view *view), void *arg);
/* social_group_members: each member once, with the epoch and the number of its shard. */
struct group_row_view {
	const struct group_member *member;
	uint32_t shard;
};
void social_group_members(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			  void (*fn)(void *arg, const struct group_row_view *view), void *arg);
/* social_group_shards: where a post for the group goes: once per shard, for the key of its epoch. */
struct group_shard_view {
	uint32_t shard;
	uint64_t epoch;
	const uint8_t *key;
};
void social_group_shards(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			 void (*fn)(void *arg, const struct group_shard_view *view), void *arg);
/*
 * social_group_shard: the same for a caller that goes from number 0 on. 0; 1: another shard is behind
 * this one; WEFT_EABSENT: no such group or shard; WEFT_EREFUSED: the person may not post.
 */
struct group_shard_ask {
	const uint8_t *group, *person;
	unsigned number;
};
WEFT_MUST_CHECK
int social_group_shard(const struct groups *groups, const struct group_shard_ask *ask,
		       struct group_shard_view *out_view);
/*
 * For callers that have a group and an epoch, and not the key of it. _has: key is a member of any shard at
 * that epoch. _key: the secret key of that epoch in the shard of the person here, as social_group_secret
 * gives it. _is_ours: a person of this node is in the group, or was. _keys: the newest key of each group,
 * for groupproofs; at most cap.
 */
bool social_group_has(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      uint64_t epoch, const uint8_t key[static NODE_KEY_LEN]);
const struct node_key *social_group_key(struct groups *groups,
					const uint8_t group[static GROUP_ID_LEN], uint64_t epoch);
bool social_group_is_ours(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			  uint64_t epoch, bool *out_opens);
/*
 * social_group_is_poster: key may post by the newest state of a shard here, or with epoch (NULL: none) by a
 * state of that epoch. One that is not the newest is read from the disk.
 */
bool social_group_is_poster(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			    const uint64_t *epoch, const uint8_t key[static NODE_KEY_LEN]);
struct group_epoch_key {
	const uint8_t *group;
	uint64_t epoch;
	const struct node_key *key;
};
unsigned social_group_keys(const struct groups *groups, struct group_epoch_key *out, unsigned cap);
/* social_group_may: in the newest state of any shard here. */
bool social_group_may(const struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
		      const uint8_t key[static NODE_KEY_LEN], enum group_act act);
/*
 * social_group_may_write: author had the right to post at the epoch of a post that is sealed for of. Any
 * node can seal for a public key, so it is for readers to look. Also true where the state of that epoch
 * is not kept here.
 */
bool social_group_may_write(struct groups *groups, const struct visibility_group *of,
			    const uint8_t author[static NODE_KEY_LEN]);
/*
 * social_group_is_reader: key is a member of the shard whose epoch of is, as this node has its state. That
 * is what lets a post of that epoch go to key without a groupproof. Not of an epoch that is forgotten.
 */
bool social_group_is_reader(struct groups *groups, const struct visibility_group *of,
			    const uint8_t key[static NODE_KEY_LEN]);
/* social_group_secret: the key that opens what is wrapped for of, until the next call; or NULL. */
const struct node_key *social_group_secret(struct groups *groups,
					   const struct visibility_group *of);
/*
 * social_group_proof_make writes a groupproof for the session, of the newest epoch of the person's own
 * shard; false: no key is here. social_group_proof_check: the proof is by the key that a post is sealed for.
 * That key is in the post's own readers, so a node that is no member checks, too.
 */
bool social_group_proof_make(struct groups *groups, const uint8_t group[static GROUP_ID_LEN],
			     const uint8_t session[static GROUP_SESSION_LEN], struct writer *w);
bool social_group_proof_check(const void *bytes, size_t len,
			      const uint8_t session[static GROUP_SESSION_LEN],
			      const struct visibility_group *of);
/* social_group_is_hidden: a moderator hid the post with group, author and logical_id of what. */
bool social_group_is_hidden(struct groups *groups, const struct group_hide *what);

struct group_invite_view {
	const uint8_t *group, *from, *person;
	const char *name; /* as from calls it */
	unsigned member_cnt;
	uint64_t time_ms;
};
void social_group_invites(const struct groups *groups,
			  void (*fn)(void *arg, const struct group_invite_view *view), void *arg);

/* social_group_invites_view: the places of invitations, by the class of their senders. */
void social_group_invites_view(const struct groups *groups, struct fair_view *out_view);

/*
 * Groups of a person that go to another node (social/bundle/). fn is given each group, then the newest
 * state of each of its shards. Behind a state come the secret keys of the epochs that are kept. Restore
 * takes them in this order:
 *	GROUP_PART_GROUP   group 32 | person 32 | name
 *	GROUP_PART_STATE   as its admin signed it; the signature was verified
 *	GROUP_PART_SECRET  shard u32be | epoch u64be | secret key 32
 * 0, or:
 *   WEFT_EEXISTS    it is here
 *   WEFT_EREFUSED   the person is none of this node; or no admin known here signed the state
 *   WEFT_EABSENT    the group or the shard before it was not taken
 *   WEFT_EMALFORMED, WEFT_EFULL, WEFT_EBUSY, -ENOMEM
 */
enum group_part { GROUP_PART_GROUP, GROUP_PART_STATE, GROUP_PART_SECRET };
#define GROUP_PART_SECRET_LEN 44u
struct group_part_view {
	enum group_part part;
	const uint8_t *of; /* GROUP_PART_GROUP that the others come behind; NULL: of itself */
	size_t of_len;
	const uint8_t *bytes;
	size_t len;
};
void social_groups_export(struct groups *groups,
			  void (*fn)(void *arg, enum group_part part, const void *bytes,
				     size_t len),
			  void *arg);
WEFT_MUST_CHECK
int social_groups_restore(struct groups *groups, const struct group_part_view *part);

struct groups_stats {
#define FIGURE FIGURE_FIELD
#include "social/groups/social_groups_counters.def"
};
void social_groups_stats(const struct groups *groups, struct groups_stats *out_stats);

#endif
