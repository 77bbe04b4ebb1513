/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_KEEP_POST_STORE_STATE_H
#define WEFT_SOCIAL_KEEP_POST_STORE_STATE_H

#include "base/fair/fair_units.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "social/ground/social_ground.h"
#include "social/keep/post_record.h"
#include "social/keep/post_store.h"
#include "store/store.h"

/* Private to this folder. */

#define POSTS_UNIT_LEN	       4096u	      /* of the shares of unknown people */
#define POSTS_AUTHORS_MAX      (128u << 10)   /* with posts or deletions here */
#define POSTS_WRITE_WINDOW_NS  5000000ull     /* changes are collected for so long */
#define POSTS_WRITE_BYTES_MAX  (4u << 20)     /* or until they are so many bytes */
#define POSTS_LAG_MAX	       (32u << 20)    /* bytes on their way to the disk */
#define POSTS_CHANGE_CAP       16384u	      /* changes that are not durable */
#define POSTS_CHANGE_SPARE     2048u	      /* of them for what gives way */
#define POSTS_COMMIT_CAP       8u	      /* batches on their way */
#define POSTS_SWEEP_NS	       10000000000ull /* a slice of the entries is looked at so often */
#define POSTS_SWEEP_CNT	       4096u
#define POSTS_AUDIENCES_MAX    4096u
#define POSTS_AUDIENCE_READERS (512u << 10) /* of all audiences */

/* --- entries: post_entries.c --- */

enum post_state {
	POST_STATE_FREE,
	POST_STATE_NEW, /* not durable yet: not in the order */
	POST_STATE_HELD,
	POST_STATE_GONE, /* deleted; time_ms is the end of the mark */
};

/* A share of unknown people. */
struct post_holding {
	struct fair_holding holding;
	struct post_entry *entry;
	struct addr source;
	enum fair_class class;
};

/* 96 bytes. Entries do not move. An index of 0 is none. */
struct post_entry {
	uint8_t id[POST_ID_LEN];
	uint64_t time_ms;
	uint64_t edition;	      /* keyed hash of author and logical id */
	struct post_holding *holding; /* of the shares of unknown people; or NULL */
	struct post_change *change;   /* the latest that is not durable; NULL: all is */
	uint32_t supersedes;	      /* of the id of the post that it replaces, odd; 0: none */
	uint32_t author, id_next, edition_next;
	uint32_t len;  /* of all parts */
	uint8_t state; /* enum post_state */
	uint8_t share; /* enum post_share */
	bool is_pinned;
	bool is_body_changing; /* its bytes on the disk are not those that count */
	bool is_readable;
	bool is_replaced, is_superseded; /* among editions */
};

struct post_author {
	uint8_t key[NODE_KEY_LEN];
	uint32_t next;
	uint32_t ref_cnt; /* entries; 0: free */
	uint32_t wanted_cnt, gone_cnt;
};

/* --- batches: post_commit.c --- */

/* A change on its way to the disk. A row that it writes is read from here until it is there. */
struct post_change {
	struct list_node node;
	uint8_t id[POST_ID_LEN];
	uint8_t moved;	 /* enum post_moved */
	bool is_silent;	 /* watches do not hear of it */
	bool has_record; /* of POST_MOVED_GONE: what was there; else the row that is written */
	uint16_t record_len;
	uint8_t record[POST_RECORD_LEN_MAX];
	struct post_change_done done;
};

struct post_writes {
	bool is_open;
	struct store_batch *batch; /* NULL: there was no memory for it, so all of it fails */
	size_t batch_len, lag_len;
	uint64_t due_ns;
	struct list_node changes; /* of the open batch */
	struct pool change_pool, commits;
};

/* --- equal sets of readers: post_audience.c --- */

struct post_audience_row {
	uint8_t digest[POST_AUDIENCE_LEN];
	uint64_t *readers; /* sorted keyed hashes, on the heap; NULL: not read yet */
	uint32_t cnt;
	uint32_t ref_cnt;	 /* rows in the order; 0: free */
	struct post_audience of; /* but for is_reader */
};
struct post_audiences {
	struct map by_digest;
	struct post_audience_row *rows; /* POSTS_AUDIENCES_MAX; 0 is the public one */
	uint16_t free[POSTS_AUDIENCES_MAX];
	uint32_t free_cnt;
	uint32_t reader_cnt; /* of all */
};

struct post_store {
	struct post_store_params params;
	struct arena arena;
	struct timer timer, sweep_timer;
	uint64_t secret[2];
	uint64_t now_ns; /* the latest time that was named */
	bool is_stopped, is_loading;

	struct post_index index;
	struct post_entry *entries;
	uint32_t entry_cap, entry_free, entry_used, entry_cnt; /* used: ever */
	uint32_t new_cnt;				       /* of POST_STATE_NEW */
	uint32_t *ids, *editions;			       /* buckets */
	uint32_t bucket_cnt;
	struct post_author *authors;
	uint32_t *author_buckets;
	uint32_t author_free, author_used;

	struct fair_units hosted, addressed;
	struct pool holdings;
	struct post_quota quota;
	uint32_t wanted_cap;

	struct post_audiences audiences;
	struct post_writes writes;
	uint32_t sweep_at;
	struct list_node watches;
	struct posts_stats stats;
};

static inline uint64_t posts_wall_ms(const struct post_store *posts)
{
	return social_wall_ms(posts->params.ground);
}

/* --- post_entries.c --- */

WEFT_MUST_CHECK
int social_posts_entries_init(struct post_store *posts);
struct post_entry *social_posts_entry(const struct post_store *posts, const uint8_t *id);
/* social_posts_entry_add: in no list of editions yet; NULL: no place is left for it or its author. */
struct post_entry *social_posts_entry_add(struct post_store *posts, const uint8_t *id,
					  const uint8_t *author);
void social_posts_entry_remove(struct post_store *posts, struct post_entry *entry);
/* social_posts_edition_{add,remove}: entry counts as an edition, whose row is in the order. */
void social_posts_edition_add(struct post_store *posts, struct post_entry *entry);
void social_posts_edition_remove(struct post_store *posts, struct post_entry *entry);
/* social_posts_edition_name: what entries of one logical id have in common. */
uint64_t social_posts_edition_name(const struct post_store *posts, const uint8_t *author,
				   const uint8_t *logical_id);
/* social_posts_edition_cnt: how many there are, counted to POSTS_EDITIONS_MAX. */
uint32_t social_posts_edition_cnt(const struct post_store *posts, uint64_t edition);
/* social_posts_edition_settle says of all editions which one is to be shown. */
void social_posts_edition_settle(struct post_store *posts, uint64_t edition);
struct post_entry *social_posts_edition_shown(const struct post_store *posts, uint64_t edition);
static inline uint32_t social_posts_supersedes(const struct post_record *record)
{
	struct cursor c = cursor_of(record->supersedes, sizeof(record->supersedes));

	return record->has_supersedes ? cursor_be32(&c) | 1 : 0;
}

/* --- post_room.c --- */

WEFT_MUST_CHECK
int social_posts_room_init(struct post_store *posts);
/*
 * social_posts_room_take gives entry, whose author, len and time_ms are set, room in record's share; others
 * may go for it. false: there is none.
 */
bool social_posts_room_take(struct post_store *posts, struct post_entry *entry,
			    const struct post_record *record, uint64_t now_ns);
/* social_posts_pin_fits: entry, which is not pinned yet and not own, may be. */
bool social_posts_pin_fits(const struct post_store *posts, const struct post_entry *entry);
void social_posts_room_release(struct post_store *posts, struct post_entry *entry);
/* social_posts_room_fit drops hosted posts until the quota is kept. */
void social_posts_room_fit(struct post_store *posts, uint64_t now_ns);

/* --- post_commit.c --- */

WEFT_MUST_CHECK
int social_posts_commit_init(struct post_store *posts);
/* social_posts_commit_stop writes what waits; nothing is called any more. */
void social_posts_commit_stop(struct post_store *posts);
/* social_posts_lags: a change that peers ask for is not taken now. */
bool social_posts_lags(const struct post_store *posts);
/* social_posts_batch: the open batch, which len bytes more go to; NULL: there is no memory. */
struct store_batch *social_posts_batch(struct post_store *posts, size_t len, uint64_t now_ns);
/*
 * social_posts_change notes a change of the open batch. entry (NULL: it is gone) is not durable until it is
 * there; record is the row that is written, or what was there.
 */
struct post_change *social_posts_change(struct post_store *posts, struct post_entry *entry,
					const struct post_record *record, enum post_moved moved);
void social_posts_commit_expire(struct post_store *posts, uint64_t now_ns);

/* --- post_rows.c --- */

/* social_posts_entry_fill: what record says, but for id and author. */
void social_posts_entry_fill(struct post_store *posts, struct post_entry *entry,
			     const struct post_record *record);
struct post_row *social_posts_row(struct post_store *posts, const struct post_entry *entry);
/* social_posts_row_flags: of a row in the order, but for POST_SUPERSEDED. */
uint16_t social_posts_row_flags(const struct post_view *view);
/* social_posts_row_read: as it is to be, durable or not. 0, WEFT_EABSENT, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_posts_row_read(struct post_store *posts, const struct post_entry *entry,
			  struct post_record *out_record);
/*
 * The same within *io_snapshot, which is opened if it is NULL. social_posts_body_in lends the parts as they
 * are on the disk: 0, WEFT_EDAMAGED or -errno.
 */
WEFT_MUST_CHECK
int social_posts_row_read_in(struct post_store *posts, struct store_snapshot **io_snapshot,
			     const struct post_entry *entry, struct post_record *out_record);
WEFT_MUST_CHECK
int social_posts_body_in(struct post_store *posts, struct store_snapshot **io_snapshot,
			 const struct post_record *record, struct post_parts *out_parts);
/* social_posts_enter: entry's row goes into the order of all. */
void social_posts_enter(struct post_store *posts, struct post_entry *entry,
			const struct post_record *record);
/* social_posts_leave takes entry out of the order, its room and its editions; it stays an entry. */
void social_posts_leave(struct post_store *posts, struct post_entry *entry);
/* social_posts_view: of record, with what is known here alone. */
void social_posts_view(const struct post_store *posts, const struct post_record *record,
		       struct post_view *out_view);
/* What the open batch writes; scratch has POST_BODY_LEN_MAX bytes. */
void social_posts_row_write(struct post_store *posts, const struct post_record *record,
			    uint64_t now_ns);
void social_posts_body_write(struct post_store *posts, const struct post_view *view,
			     const struct post_parts *parts, uint8_t *scratch, uint64_t now_ns);
void social_posts_orders_write(struct post_store *posts, const struct post_view *view,
			       uint64_t now_ns);
void social_posts_row_delete(struct post_store *posts, const struct post_view *view,
			     uint64_t now_ns);

/* --- post_removal.c --- */

/* social_posts_drop: entry goes, also from the disk, without a mark. */
void social_posts_drop(struct post_store *posts, struct post_entry *entry, uint64_t now_ns);
/* social_posts_mark_drop: the mark of a deletion goes. */
void social_posts_mark_drop(struct post_store *posts, struct post_entry *entry, uint64_t now_ns);

/* --- post_load.c --- */

WEFT_MUST_CHECK
int social_posts_load(struct post_store *posts, uint64_t now_ns);
/* social_posts_reload: what is on the disk of id is how it is. */
void social_posts_reload(struct post_store *posts, const uint8_t *id, uint64_t now_ns);
void social_posts_sweep(struct post_store *posts, uint64_t now_ns);

/* --- post_audience.c --- */

WEFT_MUST_CHECK
int social_posts_audience_init(struct post_store *posts);
void social_posts_audience_fini(struct post_store *posts);
void social_posts_audience_name(const struct visibility *visibility,
				uint8_t out_digest[static POST_AUDIENCE_LEN]);
/* social_posts_audience_number: POST_AUDIENCE_OTHER when there is no place. */
uint16_t social_posts_audience_number(struct post_store *posts, const struct post_record *record);
void social_posts_audience_release(struct post_store *posts, uint16_t number);

#endif
