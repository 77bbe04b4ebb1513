/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DEPOSITS_DEPOSITS_STATE_H
#define WEFT_DEPOSITS_DEPOSITS_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "deposit_record.h"
#include "deposit_seal.h"
#include "deposits.h"
#include "store/store.h"

/* Private to deposits/. */

#define DEPOSITS_WRITE_WINDOW_NS 5000000ull /* changes are collected for so long, then one batch */
#define DEPOSITS_WRITE_BYTES_MAX (4u << 20) /* or until they are so many */
#define DEPOSITS_LAG_MAX	 (16u << 20) /* bytes on their way to the disk: then puts are refused */
#define DEPOSITS_WAITER_CAP	 8192u	     /* calls that wait for a batch */
#define DEPOSITS_COMMIT_CAP	 8u	     /* batches on their way */
#define DEPOSITS_EXPIRE_MAX	 1024u	     /* in one turn */
#define DEPOSITS_ASKED_CAP	 4096u	     /* requests of peers that wait for the disk */
#define DEPOSITS_PULL_CAP	 16u	     /* pulls under way */
#define DEPOSITS_PULL_QUEUE_CAP	 1024u	     /* neighbours that are still to be asked */
#define DEPOSITS_PULL_OWN_MAX	 8u	     /* pulls under way that no part asked for */
#define DEPOSITS_PULL_PAGES_MAX	 320u	     /* of one pull */
#define DEPOSITS_ANSWER_CAP	 64u	     /* answers to pulls on their way */
#define DEPOSITS_PULL_EVERY_NS	 60000000000ull /* STORE nodes in session are asked so often */
#define DEPOSITS_PULL_TIMEOUT_NS 20000000000ull
#define DEPOSITS_TICKET_CAP	 256u /* deposits that parts have in hand */
#define DEPOSITS_ACK_CAP	 1024u
#define DEPOSITS_ACK_WINDOW_NS	 50000000ull
#define DEPOSITS_ACKS_AT_ONCE	 4u
#define DEPOSITS_OUT_AT_ONCE	 16u /* PUTs under way; */
#define DEPOSITS_OUT_PER_STORE	 4u  /* to one STORE node */

/* --- rows --- */

/* A unit of room. The first of a row is in it. */
struct deposit_unit {
	struct fair_item slot;
	struct deposit_row *row;
	struct deposit_unit *next;
};

/* A key for which something is here. */
struct deposit_recipient {
	uint8_t key[DEPOSIT_KEY_LEN];
	struct list_node kept; /* by order */
	uint32_t row_cnt, kept_cnt;
};
/* What pays for a deposit of others, widest first; its class stands above. */
enum deposit_account { DEPOSIT_FAMILY, DEPOSIT_NETWORK, DEPOSIT_DEPOSITOR, DEPOSIT_ACCOUNT_CNT };

struct deposit_row {
	struct deposit_unit unit;
	struct list_node link; /* kept: of its recipient; delivered here: of seen; out: waiting */
	struct list_node writing; /* in a batch that is not durable; unlinked: it is */
	struct list_node leaving; /* gives its room to a newcomer, if that gets all of it */
	struct deposit_recipient *recipient;
	uint64_t order; /* the key of its record */
	uint64_t expires_s;
	uint64_t accounts[DEPOSIT_ACCOUNT_CNT]; /* keyed hashes */
	uint8_t id[DEPOSIT_ID_LEN];
	uint8_t peer[DEPOSIT_KEY_LEN];
	uint8_t receipt[DEPOSIT_RECEIPT_LEN];
	bool has_receipt;
	bool is_own;
	uint8_t kind; /* enum deposit_record_kind */
	uint8_t part;
	uint8_t class;
	struct addr source;
	uint32_t sealed_len;
	uint32_t heap_at;
	struct deposit_out *out; /* of the outbox */
};
static inline bool deposit_row_is_durable(const struct deposit_row *row)
{
	return list_is_empty(&row->writing);
}

/* --- batches: deposit_write.c --- */

struct deposit_waiter {
	void (*done)(void *arg, int err);
	void *arg;
};
struct deposit_writes {
	bool is_open;
	struct store_batch *batch; /* NULL: there was no memory for it, so all of it fails */
	size_t batch_len, lag_len; /* lag_len: of the batches that were submitted */
	uint64_t due_ns;
	struct list_node rows, waiters; /* of the open batch */
	struct pool waiter_pool, commits;
};

/* --- what one recipient has: deposit_recipient.c --- */

/* Of one call: the deposits that are kept for a recipient, and how much each account has of them. */
struct deposit_holder {
	struct deposit_row *row;
	uint32_t place_cnt;
	bool is_leaving, is_in;
};
#define DEPOSITS_TALLY_CNT (2 * DEPOSITS_PER_RECIPIENT)
struct deposit_holders {
	struct deposit_holder rows[DEPOSITS_PER_RECIPIENT];
	unsigned cnt;
	uint32_t place_cnt; /* of those that stay */
	struct {
		uint64_t id;
		uint32_t cnt; /* 0: free */
	} tally[DEPOSITS_TALLY_CNT];
};

/* --- what parts have in hand: deposit_deliver.c --- */

struct deposit_ticket {
	struct deposits *deposits;
	uint8_t id[DEPOSIT_ID_LEN], recipient[DEPOSIT_KEY_LEN], store[DEPOSIT_KEY_LEN];
	uint8_t receipt[DEPOSIT_RECEIPT_LEN];
	uint64_t expires_s;
	bool is_settled; /* its mark is on its way to the disk */
};
/* An ACK that is still to be said. */
struct deposit_ack {
	struct list_node link;
	uint8_t recipient[DEPOSIT_KEY_LEN], store[DEPOSIT_KEY_LEN];
	uint8_t receipt[DEPOSIT_RECEIPT_LEN];
};
struct deposit_ack_run {
	struct deposits *deposits;
	struct mesh_request *request; /* NULL: free */
	uint8_t reply[256];
};

/* --- pulls: deposit_pull.c --- */

struct deposit_pull {
	struct deposits *deposits;
	struct list_node link; /* of this node itself: waits for the next turn */
	struct mesh_request *request;
	struct node_key *key; /* NULL: this node's own */
	void (*done)(void *arg, int err, unsigned cnt, uint64_t now_ns);
	void *arg;
	uint8_t store[DEPOSIT_KEY_LEN];
	uint64_t after;
	unsigned cnt;
	unsigned useless_cnt; /* rows that no part took */
	unsigned page_cnt;
	bool is_over;	  /* no page is asked for any more: deposit_patience.c */
	bool is_greeting; /* the request makes the session by which key then signs */
	bool was_refused; /* its session was another one: once more */
	bool is_erasing;  /* the request takes junk away */
	uint64_t next;	  /* where it goes on behind that */
	uint8_t junk[DEPOSIT_PAGE_MAX][DEPOSIT_ID_LEN];
	uint16_t junk_cnt;
	uint8_t reply[MESH_ASK_LEN_MAX + MESH_FRAME_OVERHEAD];
};

/*
 * What rows cost that no part takes. An honest STORE node has at most DEPOSITS_PER_RECIPIENT of them.
 * The pull of one that gives more ends, and the node is left alone: for a minute, then two, up to ten. All
 * STORE nodes but chosen ones share so many a minute. Behind that, DEPOSITS_USELESS_SURE end a pull.
 * A row costs 40 us, so a minute of liars costs 0.2 s of it.
 */
#define DEPOSITS_USELESS_SURE 4u
#define DEPOSITS_REST_CAP     256u /* nodes left alone; the one whose rest ends first is forgotten */
#define DEPOSITS_REST_NS      60000000000ull
#define DEPOSITS_REST_MAX_NS  600000000000ull
struct deposit_rest {
	uint8_t store[DEPOSIT_KEY_LEN];
	uint64_t until_ns; /* 0: free */
	uint64_t len_ns;
};
struct deposit_patience {
	struct deposit_rest rests[DEPOSITS_REST_CAP];
	uint64_t minute_ns; /* when it began */
	unsigned useless_cnt;
};

/* A request of a peer that waits for the disk: deposit_answer.c. */
struct deposit_asked {
	struct deposits *deposits;
	struct mesh_incoming *incoming; /* NULL: the asker left */
	bool is_put;
	uint8_t recipient[DEPOSIT_KEY_LEN], id[DEPOSIT_ID_LEN]; /* of a PUT */
	uint64_t cnt;						/* of an ACK */
};
/* An answer to a pull, lent to the mesh. */
struct deposit_answer {
	struct deposits *deposits;
	uint8_t asker[DEPOSIT_KEY_LEN];
	uint8_t bytes[MESH_ASK_LEN_MAX];
};

/* --- the outbox: deposit_outbox.c --- */

struct deposit_out {
	struct timer timer;
	struct deposits *deposits;
	struct deposit_row *row;
	struct mesh_request *request;
	enum deposit_state state;
	unsigned try_cnt;
	unsigned lost_cnt; /* how often the STORE node had it no more */
	int err;
	const char *why;
	uint8_t reply[256];
};

struct deposits {
	struct deposits_params params;
	struct arena arena;
	struct timer timer; /* batches and expiry */
	struct timer pull_timer, ack_timer;

	struct pool rows, recipients, units;
	struct map kept, outs, by_recipient; /* rows by name; recipients by key */
	struct deposit_row **heap;	     /* by expiry */
	uint32_t heap_cnt;
	uint64_t order_next;
	uint32_t unit_cap;
	struct list_node seen; /* delivered to this node, the oldest first */
	uint32_t seen_cnt;

	struct fair fair;
	struct fair_paths paths;
	struct deposit_holders holders;
	struct deposit_writes writes;
	struct pool asked;

	struct deposit_part parts[DEPOSIT_KIND_MAX + 1];
	struct pool tickets, acks;
	struct list_node acks_due;
	struct deposit_ack_run ack_runs[DEPOSITS_ACKS_AT_ONCE];

	struct pool pulls;
	struct list_node pulls_due; /* those of this node itself, in the next turn */
	uint8_t pull_queue[DEPOSITS_PULL_QUEUE_CAP][DEPOSIT_KEY_LEN];
	uint32_t pull_queue_at, pull_queue_cnt;
	uint64_t pull_round_ns;
	struct deposit_patience patience;
	bool is_own_due; /* something is kept here for this node itself */
	struct pool answers;

	struct pool out_pool;
	uint32_t out_cnts[DEPOSIT_KIND_MAX + 1];
	struct deposit_out *out_runs[DEPOSITS_OUT_AT_ONCE]; /* NULL: free */

	uint64_t now_ns; /* the latest time that was named */
	struct deposits_stats stats;
	struct deposit_scratch opened, sealing; /* what parts are given; what they give */
	uint8_t sealed[DEPOSIT_SEALED_LEN_MAX];
	struct deposit_page page;
	uint8_t made[DEPOSIT_RECORD_LEN_MAX]; /* the record at hand */
	uint8_t message[MESH_ASK_LEN_MAX];    /* what is said */
	bool is_stopped;
};

static inline uint64_t deposits_wall_s(const struct deposits *deposits)
{
	return deposits->params.wall_s(deposits->params.ctx);
}
static inline const uint8_t *deposits_own_key(const struct deposits *deposits)
{
	return node_key_public(deposits->params.key);
}
static inline bool deposits_is_own_key(const struct deposits *deposits, const uint8_t *key)
{
	return memcmp(key, deposits_own_key(deposits), DEPOSIT_KEY_LEN) == 0;
}

/* deposits.c: batches or expiry may be due earlier. */
void deposits_due(struct deposits *deposits, uint64_t now_ns);
/* deposits_peer: store as it is to be dialled for deposits of kind; 0: for a pull. */
struct mesh_peer deposits_peer(const struct deposits *deposits, unsigned kind, const uint8_t *store,
			       struct peer_places *out_places, uint64_t now_ns);

/* --- deposit_rows.c: names, recipients and the end of lives --- */

WEFT_MUST_CHECK
int deposits_rows_init(struct deposits *deposits, const uint64_t secret[2]);
/* deposits_rows_lookup: kept for recipient, or delivered; deposits_rows_lookup_out: for store. Or NULL. */
struct deposit_row *deposits_rows_lookup(const struct deposits *deposits, const uint8_t *recipient,
					 const uint8_t *id);
struct deposit_row *deposits_rows_lookup_out(const struct deposits *deposits,
					     const struct deposit_record *record);
struct deposit_recipient *deposits_recipient_lookup(const struct deposits *deposits,
						    const uint8_t *key);
/* deposits_rows_add makes the row of record, without room and without a record; NULL: no place is left. */
struct deposit_row *deposits_rows_add(struct deposits *deposits,
				      const struct deposit_record *record, uint64_t order);
/* deposits_rows_remove: its room, its batch and its place in the outbox were given back before. */
void deposits_rows_remove(struct deposits *deposits, struct deposit_row *row);
/* deposits_rows_delivered: row was kept, and is a tombstone from now on; receipt may be NULL. */
void deposits_rows_delivered(struct deposits *deposits, struct deposit_row *row,
			     const uint8_t *receipt);
/* deposits_rows_first: what expires first, or NULL. */
struct deposit_row *deposits_rows_first(const struct deposits *deposits);

/* --- deposit_share.c: room for deposits of others --- */

WEFT_MUST_CHECK
int deposits_share_init(struct deposits *deposits);
uint32_t deposits_share_units(size_t sealed_len);
/*
 * deposits_share_take gives row its units; rows of others may leave for it. false: its account has its
 * share, or the recipient has as much as it may.
 */
bool deposits_share_take(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns);
/* deposits_share_shrink leaves one unit; deposits_share_release none. */
void deposits_share_shrink(struct deposits *deposits, struct deposit_row *row);
void deposits_share_release(struct deposits *deposits, struct deposit_row *row);

/* --- deposit_recipient.c --- */

#define DEPOSITS_RECIPIENT_PART 16u /* of the room */
/*
 * deposits_recipient_choose appends to leaving what gives way to newcomer among all that is kept for its
 * recipient. newcomer is linked and has no units. false: it does not get in, and nothing gives way.
 */
WEFT_MUST_CHECK
bool deposits_recipient_choose(struct deposits *deposits, const struct deposit_row *newcomer,
			       struct list_node *leaving);

/* --- deposit_write.c --- */

WEFT_MUST_CHECK
int deposits_write_init(struct deposits *deposits);
void deposits_write_fini(struct deposits *deposits);
/* deposits_write_lags: no more is taken now. */
bool deposits_write_lags(const struct deposits *deposits);
/* deposits_write_put writes record under row's order; row is not durable until then. */
void deposits_write_put(struct deposits *deposits, struct deposit_row *row,
			const struct deposit_record *record, uint64_t now_ns);
void deposits_write_delete(struct deposits *deposits, uint64_t order, uint64_t now_ns);
/* deposits_write_wait: waiter is called when all that was written so far is durable, or is not. */
void deposits_write_wait(struct deposits *deposits, const struct deposit_waiter *waiter,
			 uint64_t now_ns);
void deposits_write_expire(struct deposits *deposits, uint64_t now_ns);
uint64_t deposits_write_next_ns(const struct deposits *deposits);

/* --- deposit_keep.c --- */

/*
 * deposits_row_keep adds the row of record, with room, and writes it: 0 or WEFT_EFULL. A caller that may be
 * refused asks deposits_write_lags before.
 */
WEFT_MUST_CHECK
int deposits_row_keep(struct deposits *deposits, const struct deposit_record *record,
		      uint64_t now_ns);
/* deposits_row_deliver makes a kept row a tombstone, durably; receipt may be NULL. */
void deposits_row_deliver(struct deposits *deposits, struct deposit_row *row,
			  const uint8_t *receipt, uint64_t now_ns);
/* deposits_row_drop takes row out; its record is deleted if is_deleted. */
void deposits_row_drop(struct deposits *deposits, struct deposit_row *row, bool is_deleted,
		       uint64_t now_ns);
/* deposits_row_revert: what was written of row is not durable. What the database has holds. */
void deposits_row_revert(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns);
/* deposits_row_read lends row's record while *io_snapshot, opened if NULL, is open. 0 or an error. */
WEFT_MUST_CHECK
int deposits_row_read(struct deposits *deposits, struct store_snapshot **io_snapshot,
		      const struct deposit_row *row, struct deposit_record *out_record);
WEFT_MUST_CHECK
int deposits_load(struct deposits *deposits, uint64_t now_ns);
void deposits_expire(struct deposits *deposits, uint64_t now_ns);
/*
 * deposits_page_fill reads what is kept for recipient behind order after into a page, as far as an answer has
 * room; its pointers borrow *io_snapshot.
 */
void deposits_page_fill(struct deposits *deposits, const uint8_t *recipient, uint64_t after,
			struct store_snapshot **io_snapshot, struct deposit_page *out_page);

/* --- deposit_answer.c --- */

WEFT_MUST_CHECK
int deposits_answer_init(struct deposits *deposits);
/* deposits_answer_stop answers what waits for the disk: this node ends. */
void deposits_answer_stop(struct deposits *deposits);
/*
 * deposits_place says of a record of depositor, whose recipient is set, whose room it takes and how long it
 * may stay: class, source and expires_s.
 */
void deposits_place(struct deposits *deposits, const uint8_t *depositor,
		    struct deposit_record *record);

/* --- deposit_deliver.c --- */

WEFT_MUST_CHECK
int deposits_deliver_init(struct deposits *deposits);
void deposits_deliver_stop(struct deposits *deposits);
/*
 * deposits_hear: row of a page of the STORE node store is for key. Returns whether a part has it in hand now.
 * *out_is_junk: the recipient cannot open it.
 */
struct deposit_hearing {
	const uint8_t *store;
	const struct node_key *key;
	uint64_t now_ns;
	uint64_t now_s; /* wall clock */
};
bool deposits_hear(struct deposits *deposits, const struct deposit_hearing *hearing,
		   const struct deposit_row_message *row, bool *out_is_junk);

/* --- deposit_pull.c --- */

WEFT_MUST_CHECK
int deposits_pull_init(struct deposits *deposits);
void deposits_pull_stop(struct deposits *deposits);
/* deposits_pull_look queues the neighbour of key, if it is a STORE node. */
void deposits_pull_look(struct deposits *deposits, const uint8_t *key, uint64_t now_ns);
/* deposits_pull_own: something is kept here for this node. */
void deposits_pull_own(struct deposits *deposits, uint64_t now_ns);

/* --- deposit_patience.c --- */

/* deposits_patience_rests: store is left alone now. */
bool deposits_patience_rests(struct deposits *deposits, const uint8_t *store, uint64_t now_ns);
/* deposits_patience_spend: pull brought a row that no part took. false: pull is to end. */
bool deposits_patience_spend(struct deposit_pull *pull, uint64_t now_ns);
/* deposits_patience_note: pull is over; is_whole: it came to its end. */
void deposits_patience_note(const struct deposit_pull *pull, bool is_whole, uint64_t now_ns);

/* --- deposit_outbox.c --- */

WEFT_MUST_CHECK
int deposits_out_init(struct deposits *deposits);
void deposits_out_stop(struct deposits *deposits);
/* deposits_out_enter: row, which is new or was loaded, goes on its way when it is durable. false: no place. */
bool deposits_out_enter(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns);
void deposits_out_leave(struct deposits *deposits, struct deposit_row *row);
/* deposits_out_look: what is kept here of id for recipient changed; the deposit may be of this node. */
void deposits_out_look(struct deposits *deposits, const uint8_t *recipient, const uint8_t *id,
		       uint64_t now_ns);
/* deposits_out_hurry: a session with store is there; what waits for it goes at once. */
void deposits_out_hurry(struct deposits *deposits, const uint8_t *store, uint64_t now_ns);
/* deposits_out_expire drops row, whose life is over. */
void deposits_out_expire(struct deposits *deposits, struct deposit_row *row, uint64_t now_ns);

#endif
