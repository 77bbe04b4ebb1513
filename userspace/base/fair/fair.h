/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_FAIR_H
#define WEFT_BASE_FAIR_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/memory/pool.h"
#include "weft/err.h"

struct arena;
struct fair_account;

/*
 * Fair shares of one pool: a fixed number of slots that unknown peers can
 * take from. Accounts nest: class, then the levels of a path, widest
 * first (family, network, address, key). The last account of a path is a
 * leaf and holds slots.
 *
 * An idle pool may be used whole by one account. A full pool takes a slot
 * back from the account that holds most (longest-queue drop), at each
 * level from the top. It does so only where that account holds at least
 * two more than the asker's. So an account within its share never loses a
 * slot to its own class or a lower one. One take evicts at most one slot.
 *
 * A class has a floor. Floors are lent while they are unused. A class
 * below its floor takes from the one furthest above its own floor. A class
 * above it takes from the lowest class above its floor, itself last.
 * FAIR_USEFUL never holds more than its floor: a slot beyond it counts as
 * FAIR_KNOWN.
 *
 * A slot makes progress or does not. The progress clock runs only while
 * the peer owes something. While this node owes (its handler, its disk),
 * the slot rests: it never expires and is evicted last.
 *
 * All operations are O(1) in the number of slots: at most a few nodes a
 * level. One worker, no locks. Times are monotonic; a time before the
 * latest one counts as the latest.
 */
#define FAIR_LEVEL_MAX 6

enum fair_class { FAIR_UNKNOWN, FAIR_KNOWN, FAIR_USEFUL, FAIR_CHOSEN, FAIR_CLASS_CNT };

const char *fair_class_name(enum fair_class class);

enum fair_verdict {
	FAIR_TAKEN,	 /* a free slot */
	FAIR_TAKEN_FROM, /* *out_victim left the tree: its owner closes the object now */
	FAIR_BUSY,	 /* refused; fair_not_before_ms says when to ask again */
};

enum fair_kind {
	FAIR_WORK,    /* ends by itself: the slot longest without progress goes first */
	FAIR_LASTING, /* may stay: the youngest slot goes first, and a tie refuses the asker */
};

/* A pool's row. Parts are sixteenths of cap_cnt and add up to at most 16; 0 is no floor. */
struct fair_config {
	const char *name; /* static */
	uint64_t idle_ns; /* without progress for so long, a slot is overdue; 0: never */
	uint64_t busy_ns; /* the same from the first full take until 10 % were free for 1 s */
	uint32_t cap_cnt;
	enum fair_kind kind;
	uint8_t level_cnt; /* the most that a path of this pool has */
	uint8_t parts[FAIR_CLASS_CNT];
	bool spares_acquainted; /* only unknown peers are ever overdue */
};

/* The parts that pools of peers have: unknown peer 1/4, known 1/4, useful 1/8, chosen 3/8. */
#define FAIR_PEER_PARTS {4, 4, 2, 6}

/*
 * Where a slot belongs, widest level first. Each id is a keyed hash of
 * the one before and of the level's own value (base/fair/fair_path.h), so it
 * names one account of one place. Paths of one pool all end at the same
 * kind of level.
 *
 * A path with a share of N is N branches below its widest level. It shares one with its
 * neighbours and has N - 1 of its own. A take goes to the branch that holds least, so it looks
 * at N accounts.
 */
#define FAIR_SHARE_MAX 64
struct fair_path {
	uint64_t ids[FAIR_LEVEL_MAX];
	uint8_t level_cnt;
	uint8_t class;
	uint8_t share_cnt; /* as so many siblings it counts, at most FAIR_SHARE_MAX; 0 is 1 */
};

/* A slot, embedded in the owner's object and zeroed before its first take. */
struct fair_item {
	struct list_node by_leaf;
	struct list_node by_progress;
	struct fair_account *leaf; /* NULL: holds no slot, or is the pool's latest */
	uint64_t taken_at_ns;
	uint64_t progress_at_ns;
	uint32_t unit_cnt; /* bytes since the latest progress */
	uint8_t class;
	bool is_held;
	bool is_resting;
	bool has_progressed;
};

/*
 * fair_poll_fn is asked for an item that seems to lack progress, where
 * looking progress up is cheaper than noting each step. It calls
 * fair_progress for what came, and returns whether there was any.
 */
typedef bool (*fair_poll_fn)(struct fair_item *item, uint64_t now_ns);

/* Private to base/fair/fair*.c, but for what fair_read gives. */
struct fair {
	struct fair_config config;
	fair_poll_fn poll; /* NULL: progress is noted as it comes */
	struct fair_account *classes[FAIR_CLASS_CNT];
	struct fair_account **buckets;
	struct fair_refusal *refusals;
	struct pool accounts;
	struct pool ranks;
	/*
	 * The item taken last goes into the tree when something else happens to the pool. Where
	 * an answer takes no time the item is given back before, and costs no accounts.
	 */
	struct fair_item *latest;
	struct fair_path latest_path;
	struct list_node by_progress[FAIR_CLASS_CNT]; /* slots whose peer owes, stalest first */
	uint64_t secret[2];
	uint64_t now_ns;	 /* the latest time that was named */
	uint64_t median_ns;	 /* what completed slots take, estimated */
	uint64_t roomy_since_ns; /* 10 % are free since then; 0: they are not */
	uint64_t pressed_until_ns;
	uint64_t draw_cnt;  /* of the jitter */
	uint64_t visit_cnt; /* accounts and ranks looked at */
	uint64_t taken_cnt;
	uint64_t evicted_cnts[FAIR_CLASS_CNT];
	uint64_t refused_cnts[FAIR_CLASS_CNT];
	uint64_t overdue_cnt;
	uint32_t floor_cnts[FAIR_CLASS_CNT];
	uint32_t bucket_cnt;
	uint32_t held_cnt;
	bool is_busy;
};

struct fair_view {
	const char *name;
	uint32_t cap_cnt;
	uint32_t held_cnt;
	uint32_t held_cnts[FAIR_CLASS_CNT];
	uint32_t floor_cnts[FAIR_CLASS_CNT];
	uint32_t largest_cnts[FAIR_LEVEL_MAX]; /* of the branch that pays next, level by level */
	uint32_t share_cnt; /* slots that an unknown peer of a new network is sure of; 0: none */
	uint64_t taken_cnt;
	uint64_t evicted_cnts[FAIR_CLASS_CNT]; /* by the class that lost the slot */
	uint64_t refused_cnts[FAIR_CLASS_CNT];
	uint64_t overdue_cnt; /* released after their deadline */
	uint64_t median_ns;
	bool is_busy;
};

/*
 * fair_init lays the tree out in arena. secret draws the jitter.
 *
 * Returns 0, or:
 *   WEFT_EFULL     the arena has no room for it
 *   WEFT_ETOOSMALL cap_cnt is too small to divide: a part would get no slot
 *   WEFT_ETOOLARGE the parts add up to more than the pool, or a path is too deep
 */
WEFT_MUST_CHECK
int fair_init(struct fair *fair, struct arena *arena, const struct fair_config *config,
	      const uint64_t secret[2]);

/* fair_set_poll: from now on poll is asked before an item counts as one without progress. */
void fair_set_poll(struct fair *fair, fair_poll_fn poll);

/*
 * fair_take asks for one slot for item, which holds none. The peer owes
 * from now on. FAIR_TAKEN_FROM writes *out_victim: an item that holds no
 * slot any more, whose owner closes its object before the next take.
 */
WEFT_MUST_CHECK
enum fair_verdict fair_take(struct fair *fair, const struct fair_path *path, struct fair_item *item,
			    uint64_t now_ns, struct fair_item **out_victim);

/*
 * fair_move puts the slot that item holds under path (its key is proven,
 * its class changed). Never refused; counts as progress.
 */
void fair_move(struct fair *fair, struct fair_item *item, const struct fair_path *path,
	       uint64_t now_ns);

/*
 * fair_progress notes units bytes that the peer sent or gave credit for.
 * They count as progress once they reach FAIR_RATE_PER_S for each second
 * since the latest progress, a second begun counting as whole: one byte is
 * none. FAIR_WHOLE is a whole flight or message and always counts.
 */
#define FAIR_RATE_PER_S 1000
#define FAIR_WHOLE	UINT32_MAX
void fair_progress(struct fair *fair, struct fair_item *item, uint32_t units, uint64_t now_ns);

/*
 * fair_wait_{own,peer}: from now on only this node owes something and the
 * slot rests; the peer owes again, from now. Both count as progress when
 * they change something, and neither does anything to an item without a
 * slot.
 */
void fair_wait_own(struct fair *fair, struct fair_item *item, uint64_t now_ns);
void fair_wait_peer(struct fair *fair, struct fair_item *item, uint64_t now_ns);

/* fair_release gives item's slot back; an item without one is left alone. */
void fair_release(struct fair *fair, struct fair_item *item, uint64_t now_ns);

static inline bool fair_item_holds(const struct fair_item *item)
{
	return item->is_held;
}

/*
 * fair_overdue gives the item longest over its deadline, which its owner
 * closes and releases, or NULL. Then *out_next_ns is when to ask again,
 * UINT64_MAX for never; a full take may bring that forward.
 */
struct fair_item *fair_overdue(struct fair *fair, uint64_t now_ns, uint64_t *out_next_ns);

/*
 * fair_not_before_ms: how long the asker of path, refused just now, waits
 * before it asks again. It is the median completion times one more than
 * its refusals in a row, times a random 0.5 to 1.5, in [1, 30000].
 */
uint32_t fair_not_before_ms(struct fair *fair, const struct fair_path *path, uint64_t now_ns);

/*
 * fair_may_hold: for slots that cannot be taken back (lent to a stream, in
 * the hands of another thread). Whether the account of path may hold one
 * more while free_cnt are free: the dynamic threshold (Choudhury, Hahne
 * 1998). A key holds fewer than are free, its address fewer than three
 * times as many, its networks fewer than seven times as many. The chosen
 * class may have the last.
 */
bool fair_may_hold(struct fair *fair, const struct fair_path *path, uint32_t free_cnt);

/*
 * For a limit that is reached though slots are free, such as the bytes that values of many
 * sizes take. fair_victim gives the item from which a full pool would take a slot for path, or
 * NULL for none, and changes nothing. fair_evict takes its slot back, counted as evicted.
 * fair_victim_within: the same among those that share the account of path's first level alone,
 * for a limit of that account.
 */
struct fair_item *fair_victim(struct fair *fair, const struct fair_path *path, uint64_t now_ns);
struct fair_item *fair_victim_within(struct fair *fair, const struct fair_path *path,
				     uint64_t now_ns);
void fair_evict(struct fair *fair, struct fair_item *item, uint64_t now_ns);

/*
 * For a caller that asks before it makes the object: whether fair_take would give path a slot
 * now. fair_refuse counts that it would not.
 */
bool fair_may_take(struct fair *fair, const struct fair_path *path, uint64_t now_ns);
void fair_refuse(struct fair *fair, const struct fair_path *path, uint64_t now_ns);

/*
 * fair_held: slots that the account of path at level, 0 being the widest, holds in path's class.
 * For a path with a share it is the branch that its next take goes to.
 */
uint32_t fair_held(struct fair *fair, const struct fair_path *path, unsigned level);

/*
 * fair_press: another pool waits for what these slots hold, so the busy deadline counts for a
 * while.
 */
void fair_press(struct fair *fair, uint64_t now_ns);

/* fair_reserve makes cnt the floor of class. 0, or WEFT_ETOOLARGE when the floors exceed the pool. */
WEFT_MUST_CHECK
int fair_reserve(struct fair *fair, enum fair_class class, uint32_t cnt);

void fair_read(const struct fair *fair, struct fair_view *out);
/* fair_largest: some item of the account that pays next (largest_cnts); NULL: none is held. */
const struct fair_item *fair_largest(const struct fair *fair);
/* fair_view_add adds more, the view of the same pool of another worker, to sum. */
void fair_view_add(struct fair_view *sum, const struct fair_view *more);

#endif
