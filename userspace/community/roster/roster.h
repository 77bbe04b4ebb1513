/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_ROSTER_ROSTER_H
#define WEFT_COMMUNITY_ROSTER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "community/record/community_message.h"
#include "community/record/community_record.h"
#include "store/store.h"

struct arena;

/*
 * The known records of one community: the newest of each member and each share, in the store. An
 * event for each says when it came here. A record that replaces another takes a new event, and
 * the old event goes. So there are never more events than records, and a reader that has seen
 * them up to one has missed nothing before it.
 *
 *	STORE_MEMBERS		id, node key -> row
 *	STORE_COMMUNITY_SHARES	id, share id -> row
 *	STORE_COMMUNITY_EVENTS	id, event u64be -> kind u8, node key or share id
 *
 * In memory are counts, digests of buckets, and how many shares each node announced.
 *
 * Home worker, but for roster_iter and community_roster_get, which read a snapshot on any thread.
 */
enum roster_kind { ROSTER_MEMBER = 1, ROSTER_SHARE = 2 };
#define ROSTER_KEY_LEN	32u
#define ROSTER_TEXT_CAP 3072u /* a share's folded title and description */

/* How many shares a node announced; slots that once held one stay, with cnt 0. */
struct roster_tally {
	uint64_t tag; /* 0: never used */
	uint32_t cnt;
};

struct roster_limits {
	uint32_t member_cap, share_cap; /* rows, those of leavers among them */
	uint32_t shares_per_member;
};

struct roster {
	uint8_t id[COMMUNITY_ID_LEN];
	const struct roster_limits *limits;
	bool is_strict;					 /* members need a token that is valid */
	const struct community_revocations *revocations; /* expelled nodes; NULL: none */
	uint32_t member_cnt, share_cnt;			 /* rows */
	uint32_t joined_cnt, bound_cnt;			 /* of them */
	uint64_t event;					 /* the last one */
	struct community_digests members, shares;
	struct roster_tally *tallies;
	uint32_t tally_cap; /* a power of two */
	uint64_t secret;    /* that tags are mixed with */
	/* Where the next sweep goes on. */
	enum roster_kind sweep_kind;
	uint8_t sweep_key[ROSTER_KEY_LEN];
};

/* A row; borrowed from the snapshot. */
struct roster_row {
	const uint8_t *key; /* ROSTER_KEY_LEN */
	uint64_t event;
	uint64_t until_s; /* it counts no more from then on */
	bool is_live;	  /* a member that joined, a share that is bound */
	const uint8_t *record;
	size_t len;
	const char *text; /* of a share: folded, title first; not a member's */
	size_t text_len;
};

WEFT_MUST_CHECK
int community_roster_init(struct roster *roster, struct arena *arena,
			  const struct roster_limits *limits, uint64_t secret);
/* community_roster_open takes id and reads what is in the store of it. 0 or -errno. */
WEFT_MUST_CHECK
int community_roster_open(struct roster *roster, struct store *store,
			  const uint8_t id[static COMMUNITY_ID_LEN]);

/* community_roster_get: 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno. A row that is over is one. */
WEFT_MUST_CHECK
int community_roster_get(struct store_snapshot *snapshot, const uint8_t *id, enum roster_kind kind,
			 const uint8_t *key, struct roster_row *out_row);
/*
 * A roster_iter walks the rows of a community whose key is >= from (NULL: all), or its events from
 * a number on. With wraps set, rows go on from the first one until they meet from again.
 * community_roster_end, always called, gives the outcome: 0 or -errno.
 */
struct roster_iter {
	struct store_iter rows;
	const uint8_t *id;
	bool wraps, has_wrapped;
	uint8_t from[COMMUNITY_ID_LEN + ROSTER_KEY_LEN];
};
struct roster_event {
	uint64_t number;
	enum roster_kind kind;
	const uint8_t *key; /* of the row */
};
void community_roster_walk(struct roster_iter *iter, struct store_snapshot *snapshot,
			   const uint8_t *id, enum roster_kind kind, const uint8_t *from);
bool community_roster_next(struct roster_iter *iter, struct roster_row *out_row);
void community_roster_events(struct roster_iter *iter, struct store_snapshot *snapshot,
			     const uint8_t *id, uint64_t from);
bool community_roster_event_next(struct roster_iter *iter, struct roster_event *out_event);
WEFT_MUST_CHECK
int community_roster_end(struct roster_iter *iter);
/* community_roster_is_expelled: the node of key is a member no more. */
bool community_roster_is_expelled(const struct roster *roster,
				  const uint8_t key[static ROSTER_KEY_LEN]);
/* community_roster_share_cnt: how many shares the node of key announced. */
uint32_t community_roster_share_cnt(const struct roster *roster, const uint8_t *key);

/*
 * A draft collects changes of rows for one batch; what roster holds in memory changes
 * when community_roster_draft_apply says that the batch is durable. At most one at a time.
 */
#define ROSTER_DRAFT_MAX 256
struct roster_change {
	enum roster_kind kind;
	uint8_t bucket;
	uint64_t digest; /* added to its bucket's */
	int row_delta, live_delta;
	uint64_t off_tag, on_tag; /* nodes with one share less, and one more; 0: none */
};
struct roster_draft {
	struct roster *roster;
	struct store_batch *batch; /* borrowed */
	uint64_t event;
	unsigned change_cnt;
	struct roster_change changes[ROSTER_DRAFT_MAX];
};
/* The new state of a row. */
struct roster_entry {
	enum roster_kind kind;
	uint8_t key[ROSTER_KEY_LEN];
	uint64_t until_s;
	bool is_live;
	const uint8_t *record;
	size_t len;
	const uint8_t *announcer; /* of a share: the node's key */
	const char *text;
	size_t text_len;
};
void community_roster_draft_begin(struct roster_draft *draft, struct roster *roster,
				  struct store_batch *batch);
/* community_roster_draft_{put,drop}: 0, WEFT_EFULL (of changes), -errno. Rows are as snapshot has them. */
WEFT_MUST_CHECK
int community_roster_draft_put(struct roster_draft *draft, struct store_snapshot *snapshot,
			       const struct roster_entry *entry);
WEFT_MUST_CHECK
int community_roster_draft_drop(struct roster_draft *draft, const struct roster_row *row,
				enum roster_kind kind);
void community_roster_draft_apply(struct roster_draft *draft);

/*
 * community_roster_sweep looks at the next rows and drops those that are over at wall_s, or all
 * of them with UINT64_MAX. True: it came to the end.
 */
WEFT_MUST_CHECK
bool community_roster_sweep(struct roster_draft *draft, struct store_snapshot *snapshot,
			    uint64_t wall_s);

/*
 * The ids of the shares that this node announced in one community, in order. So they are found
 * without a walk through those of all others. An id may stay a while after its row has gone.
 */
struct own_shares {
	uint8_t (*ids)[ROSTER_KEY_LEN];
	unsigned cnt, cap;
};

/* community_own_shares_find: the place of the first id >= from; cnt when there is none. */
unsigned community_own_shares_find(const struct own_shares *own, const uint8_t *from);
/* community_own_shares_set: id is one, or is none any more. Ids beyond cap are left out. */
void community_own_shares_set(struct own_shares *own, const uint8_t *id, bool is_own);

#endif
