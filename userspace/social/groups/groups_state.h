/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_GROUPS_GROUPS_STATE_H
#define WEFT_SOCIAL_GROUPS_GROUPS_STATE_H

#include "base/fair/fair_path.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/chain/group_message.h"
#include "social/groups/groups.h"
#include "store/store.h"

/* Private to this folder. */
#define GROUP_SENDS_MAX	      32u
#define GROUP_ASKS_MAX	      16u
#define GROUP_WAITING_MAX     256u
#define GROUP_ANSWERS_MAX     16u
#define GROUP_SECRETS_CAP     64u /* keys of epochs that were used lately */
#define GROUP_MEMBERS_PER_ASK 1024u
#define GROUP_TIMEOUT_NS      (20ull * 1000000000)
#define GROUP_ABSENT_NS	      (60ull * 1000000000)
#define GROUP_ROUND_NS	      (300ull * 1000000000)
#define GROUP_FRESH_MS	      (300ull * 1000) /* hides that came since then go with each question */

/* A state with its bytes, on the heap; bytes NULL: none. */
struct group_held {
	uint8_t *bytes;
	size_t len;
	struct group_state *state; /* borrows bytes */
	uint8_t hash[GROUP_HASH_LEN];
};

struct group_past {
	uint64_t epoch, at_ms; /* when this node took it */
	uint8_t hash[GROUP_HASH_LEN], key[NODE_KEY_LEN];
};

/* What a fork undid, to be done again. */
struct group_redo {
	struct group_member set[GROUP_ROWS_MAX];
	bool is_new[GROUP_ROWS_MAX]; /* of set: added, not changed */
	uint8_t gone[GROUP_ROWS_MAX][NODE_KEY_LEN];
	unsigned set_cnt, gone_cnt;
	bool rekeys;
	uint8_t person[NODE_KEY_LEN];
};

/* A shard of a group. */
struct group_row {
	struct list_node link; /* of group->rows, ascending by shard */
	struct group *group;
	uint32_t shard;
	struct group_held now, before; /* before of no bytes: not in memory */
	struct group_past past[GROUP_STATES_KEPT];
	unsigned past_cnt;	 /* ascending; the last is now's */
	struct node_key *secret; /* of now's key, or NULL */
	bool is_busy;		 /* an edit of it is on its way to the disk */
	struct group_redo *redo;
	struct list_node push; /* of groups->pushes */
	unsigned push_at;
	unsigned round;	    /* the member that the next round asks */
	uint64_t absent_ns; /* a member said that it has no state in common */
};

struct group {
	struct list_node link;
	uint8_t id[GROUP_ID_LEN];
	char name[GROUP_NAME_CAP];
	uint8_t person[NODE_KEY_LEN];
	bool is_leaving;
	struct list_node rows;
	unsigned row_cnt, hide_cnt;
	uint64_t hidden_ms; /* when the newest hide came */
	uint8_t hides_sum[GROUP_HASH_LEN];
};

struct group_invite {
	struct fair_item slot;
	bool is_used;
	uint8_t group[GROUP_ID_LEN], from[NODE_KEY_LEN], person[NODE_KEY_LEN];
	uint32_t shard;
	uint64_t epoch, time_ms;
	unsigned member_cnt;
	char name[GROUP_NAME_CAP];
	uint8_t *bytes; /* the message 640 */
	size_t len;
};

struct group_refusal {
	uint8_t group[GROUP_ID_LEN], from[NODE_KEY_LEN];
	uint64_t at_ms; /* 0: none */
};

struct group_send {
	struct groups *groups;
	struct mesh_request *request;
	uint8_t peer[NODE_KEY_LEN];
	uint8_t group[GROUP_ID_LEN]; /* of the state that was sent */
	uint32_t shard;
	uint64_t epoch;
	uint8_t reply[64 + MESH_FRAME_OVERHEAD];
};

/* A question to be asked. */
struct group_waiting {
	uint8_t group[GROUP_ID_LEN], peer[NODE_KEY_LEN];
	uint32_t shard;
};
struct group_asking {
	struct groups *groups;
	struct mesh_request *request;
	struct group_waiting what;
	unsigned page_cnt;
	uint8_t reply[GROUP_PAGE_LEN_MAX + 4096];
};
struct group_answer {
	struct groups *groups;
	uint8_t asker[NODE_KEY_LEN];
	uint8_t bytes[GROUP_PAGE_LEN_MAX + 4096];
};

struct group_secret {
	struct node_key *key;
	uint64_t used;
};

struct groups {
	struct groups_params params;
	struct arena arena;
	struct list_node all;
	unsigned group_cnt, row_cnt;
	struct group_secret secrets[GROUP_SECRETS_CAP];
	uint64_t secret_use;
	struct fair_places invite_places;
	struct group_invite
		*invites; /* GROUP_INVITES_MAX + 1: a newcomer has its place before another goes */
	struct group_refusal refused[GROUP_REFUSED_MAX];
	unsigned refused_at; /* the next place */
	struct pool sends, asks, answers;
	struct list_node pushes;
	struct group_waiting waiting[GROUP_WAITING_MAX];
	unsigned waiting_at, waiting_cnt;
	struct timer timer;
	uint64_t now_ns;
	bool is_stopped;
	struct groups_stats stats;
	/* Of one call. */
	struct group_state read, edited;
	struct group_change change;
	struct group_ask_message ask;
	struct group_page_message page;
	struct group_key_message key_message;
	uint8_t made[GROUP_PAGE_LEN_MAX + 4096];
};

/* --- groups.c --- */

static inline const struct mesh_ops *groups_ops(const struct groups *groups)
{
	return groups->params.ground.mesh.ops;
}
static inline const struct node_key *groups_own(const struct groups *groups, const uint8_t *key)
{
	return groups->params.own_key(groups->params.ctx, key);
}
struct group *social_groups_lookup(const struct groups *groups, const uint8_t *id);
struct group_row *social_groups_row(const struct group *group, uint32_t shard);
/* social_groups_row_next: the first behind NULL, ascending by shard; NULL behind the last. */
struct group_row *social_groups_row_next(const struct group *group, const struct group_row *row);
/* social_groups_row_home: the row in which person is a member; NULL: none. */
struct group_row *social_groups_row_home(const struct group *group, const uint8_t *person);
/* social_groups_role: of key in any shard; false: it is no member. */
bool social_groups_role(const struct group *group, const uint8_t *key, enum group_role *out_role);
/* social_groups_add, social_groups_row_add: NULL when there are too many, or no memory. */
struct group *social_groups_add(struct groups *groups, const uint8_t *id);
struct group_row *social_groups_row_add(struct groups *groups, struct group *group, uint32_t shard);
void social_groups_row_drop(struct groups *groups, struct group_row *row);
void social_groups_drop(struct groups *groups, struct group *group);
bool social_groups_has_session(const struct groups *groups, const uint8_t *key);
void social_groups_happened(const struct groups *groups, enum social_event_kind kind,
			    const uint8_t *person, const char *text);

/* social_group_held_set copies bytes, which social_group_parse takes. 0, WEFT_EMALFORMED or -ENOMEM. */
WEFT_MUST_CHECK
int social_group_held_set(struct group_held *held, const uint8_t *bytes, size_t len);
void social_group_held_free(struct group_held *held);

/* --- group_store.c --- */

#define GROUP_KEY_BYTES	   41u
#define GROUP_EPOCH_BITS   48u
#define GROUP_KIND_GROUP   'G'
#define GROUP_KIND_STATE   'S'
#define GROUP_KIND_SECRET  'K'
#define GROUP_KIND_HIDE	   'H'
#define GROUP_KIND_POST	   'P'
#define GROUP_KIND_INVITE  'I'
#define GROUP_KIND_REFUSED 'R'
/* group_load.c */
WEFT_MUST_CHECK
int social_groups_load(struct groups *groups);
void social_group_sum_add(struct group *group, const void *bytes, size_t len); /* takes away, too */
/* Puts and deletes of a batch. */
void social_groups_put_group(struct store_batch *batch, const struct group *group);
void social_groups_put_state(struct store_batch *batch, const struct group_row *row,
			     const struct group_past *past, const struct group_held *held);
void social_groups_drop_state(struct store_batch *batch, const struct group_row *row,
			      uint64_t epoch);
void social_groups_put_secret(struct groups *groups, struct store_batch *batch,
			      const struct group_row *row, uint64_t epoch,
			      const struct node_key *secret);
/* social_groups_forget: a group with its states and what was hidden goes; keys stay for what was written. */
void social_groups_forget(struct groups *groups, struct store_batch *batch, struct group *group);
void social_groups_put_invite(struct store_batch *batch, const struct group_invite *invite);
void social_groups_put_refusal(struct store_batch *batch, const struct group_refusal *refusal,
			       unsigned place);
void social_groups_drop_invite(struct store_batch *batch, const struct group_invite *invite);
/* social_groups_submit takes batch in any case; an error is counted, and done then is not called. */
int social_groups_submit(struct groups *groups, struct store_batch *batch,
			 void (*done)(void *arg, int err), void *arg);
/* social_groups_submit_for: ask's done is called when it is durable, while groups is not stopped. */
WEFT_MUST_CHECK
int social_groups_submit_for(struct groups *groups, struct store_batch *batch,
			     const struct group_ask *ask);
/* social_groups_load_state: a past state of row, from memory or disk. 0, WEFT_EABSENT, WEFT_EDAMAGED, -ENOMEM. */
WEFT_MUST_CHECK
int social_groups_load_state(struct groups *groups, const struct group_row *row, uint64_t epoch,
			     struct group_held *out_held);
/* social_groups_secret: of the public key, as social_group_secret gives it. */
const struct node_key *social_groups_secret(struct groups *groups, const uint8_t *group,
					    const uint8_t *key);
/* social_groups_secret_take: from the disk, the caller's to free; NULL: none. */
struct node_key *social_groups_secret_take(struct groups *groups, const uint8_t *key);
void social_groups_secrets_fini(struct groups *groups);
/*
 * What was hidden: 0 or WEFT_EFULL, WEFT_EEXISTS (not newer), an error of the disk. done->done (NULL: an
 * error is counted) is called when it is durable if 0 is returned.
 */
struct group_put_done {
	void (*done)(void *arg, int err);
	void *arg;
};
WEFT_MUST_CHECK
int social_groups_put_hide(struct groups *groups, struct group *group,
			   const struct group_hide *hide, const struct group_span *bytes,
			   const struct group_put_done *done);
/* social_groups_hides fills page with the hides that came after that; they lie in snapshot. */
void social_groups_hides(struct groups *groups, const struct group *group, uint64_t after,
			 struct store_snapshot *snapshot, struct group_page_message *page);

/* --- group_take.c --- */

enum group_outcome {
	GROUP_TOOK,
	GROUP_KNOWN,   /* it is here, and its secret key, if it came with one, is too now */
	GROUP_MISSING, /* a state before it is */
	GROUP_LOST,    /* of a fork, or it came too late */
	GROUP_REFUSED,
	GROUP_BUSY, /* the disk does not keep up */
};
/*
 * social_groups_take: bytes are a state that was read with its signature. secret (may be NULL) is its key's, and
 * becomes this function's.
 */
enum group_outcome social_groups_take(struct groups *groups, struct group_row *row,
				      const uint8_t *bytes, size_t len, struct node_key *secret);
/* social_groups_take_change reads, applies and takes; a secret key in it is opened. */
enum group_outcome social_groups_take_change(struct groups *groups, const uint8_t *bytes,
					     size_t len, struct group_row **out_row);
/* social_groups_unseal: the secret key of state that was sealed to a person of this node; NULL: none. */
struct node_key *social_groups_unseal(struct groups *groups, const struct group_state *state,
				      const uint8_t *wrapped, const uint8_t *wrapped_by);
/* social_groups_begin_row: a new row has its first state, durable or on its way. */
WEFT_MUST_CHECK
int social_groups_begin_row(struct groups *groups, struct group_row *row,
			    const struct group_span *state, struct node_key *secret,
			    struct store_batch *batch);

/* --- group_op.c --- */

/* A state on its way to the disk. row NULL: of a shard that there was not. */
struct group_step {
	struct group_row *row;
	uint32_t shard;
	uint8_t *bytes;
	size_t len;
	struct node_key *secret; /* NULL: the key stays */
};
struct group_op {
	struct groups *groups;
	uint8_t group[GROUP_ID_LEN];
	const struct node_key *person; /* while it is built */
	struct group_step *steps;
	unsigned step_cnt, step_cap;
	void (*done)(void *arg, int err);
	void *arg;
};
struct group_op *social_groups_op_new(struct groups *groups, const uint8_t *group,
				      const struct node_key *person, unsigned step_cap);
void social_groups_op_free(struct group_op *op);
/* social_groups_op_add signs state of row (NULL: a new shard); secret is op's from here on. */
WEFT_MUST_CHECK
int social_groups_op_add(struct group_op *op, struct group_row *row, struct group_state *state,
			 struct node_key *secret);
/* social_groups_op_edit: the state that follows the row's with edit; none where nothing changes. */
WEFT_MUST_CHECK
int social_groups_op_edit(struct group_op *op, struct group_row *row, const struct group_edit *edit,
			  bool rekeys);
/* social_groups_op_submit: what is durable is taken and pushed. An error frees op. */
WEFT_MUST_CHECK
int social_groups_op_submit(struct group_op *op, struct group *group,
			    void (*done)(void *arg, int err), void *arg);
/* social_groups_secret_draw: 0 or -errno. */
WEFT_MUST_CHECK
int social_groups_secret_draw(struct groups *groups, struct node_key **out_key);

/* --- group_redo.c --- */

/* social_groups_redo_add: the state of that epoch in row is undone. */
void social_groups_redo_add(struct groups *groups, struct group_row *row, uint64_t epoch);
/* social_groups_redo does again what a fork undid in row, if it can be now. */
void social_groups_redo(struct groups *groups, struct group_row *row, uint64_t now_ns);

/* --- group_push.c --- */

void social_groups_push(struct groups *groups, struct group_row *row, uint64_t now_ns);
/* social_groups_push_whole: the newest state to one member that has a session and none of the group. */
void social_groups_push_whole(struct groups *groups, const struct group_row *row,
			      const uint8_t *peer, uint64_t now_ns);
void social_groups_push_run(struct groups *groups, uint64_t now_ns);
void social_groups_push_stop(struct groups *groups);
/* social_groups_wrap: the secret key of state for member, sealed by the group's person here. */
bool social_groups_wrap(struct groups *groups, const struct group_state *state,
			const struct node_key *secret, const uint8_t *member,
			uint8_t out[static GROUP_KEY_WRAPPED_LEN]);

/* --- group_ask.c, group_answer.c --- */

void social_groups_ask(struct groups *groups, const struct group_row *row, const uint8_t *peer,
		       uint64_t now_ns);
void social_groups_ask_run(struct groups *groups, uint64_t now_ns);
void social_groups_ask_stop(struct groups *groups);
WEFT_MUST_CHECK
int social_groups_answer_init(struct groups *groups);

/* --- group_invites.c, group_notes.c --- */

WEFT_MUST_CHECK
int social_groups_invites_init(struct groups *groups);
void social_groups_invites_fini(struct groups *groups);
/*
 * social_groups_invite_note: groups->key_message and groups->read are of a 640, whose group is not here.
 * _unheard: what its sender hears of it, and nothing is kept: for one that may not know that the group is
 * here. 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int social_groups_invite_unheard(const struct groups *groups);
WEFT_MUST_CHECK
int social_groups_invite_note(struct groups *groups, const uint8_t *from,
			      const struct group_span *bytes);
int social_groups_invite_load(struct groups *groups, const uint8_t *value, size_t len);
int social_groups_refusal_load(struct groups *groups, uint64_t place, struct cursor *value);
void social_groups_note_take(struct groups *groups, struct group *group, const uint8_t *bytes,
			     size_t len, uint64_t now_ns);

#endif
