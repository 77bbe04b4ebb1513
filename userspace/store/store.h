/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_STORE_H
#define WEFT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/figure.h"
#include "store/stop.h"
#include "weft/err.h"

/*
 * The persistent state of a node: an LMDB environment of named databases, and append-only segment
 * files for blobs. It is one state directory, held by one process. Writes are batches, applied
 * whole or not at all, by one store thread with group commit; done is called only after the commit
 * is durable. Reads happen where they are needed, in a snapshot.
 */
struct store;
struct store_batch;
struct store_snapshot;

/* The named databases; names and key lengths are one table in store/env.c. */
enum store_db {
	STORE_META,	 /* text -> schema version, node facts */
	STORE_PEERS,	 /* node key32 -> peer record (mesh/) */
	STORE_OBJECTS,	 /* content id32, BLAKE3(path)32 -> nothing: a location of it */
	STORE_PATHS,	 /* BLAKE3(absolute path) -> path, size, mtime, inode, content id */
	STORE_OUTBOARDS, /* content id32 -> blob ids of the pages of its chunk list */
	STORE_SHARES,	 /* manifest id32 -> root path, title, time */
	STORE_GETS,	 /* get id u64be -> link, target, options, state */
	STORE_BLOBS,	 /* blob id32 (BLAKE3 of the bytes) -> segment, offset, length */
	STORE_BANS,	 /* kind u8, key32 or addr16 and prefix length -> ban (node/) */
	STORE_OFFERS,	 /* service name, '@', major version -> what a local program provides */
	STORE_DIRECTORY, /* service id32, major u32be -> descriptor and when it was seen (service/) */
	STORE_REPUTATION, /* node key32 -> score, violations, automatic bans (service/) */
	STORE_OVERLAY,	  /* key32, tag u8, writer32 -> a value kept for the overlay (mesh/) */
	STORE_ROWS, /* service name, '@', major version, 0, key -> a row of that offer (provider/) */
	STORE_PUBLISHED, /* share id32 -> a share that this node publishes: name, key, path (blobs/) */
	STORE_REVISIONS, /* share id32, sequence u64be -> a revision of it that was published here */
	STORE_HEADS,	 /* share id32 -> the highest head ever seen of it; outlives its follower */
	STORE_FOLLOWS,	 /* share id32 -> a share that this node follows */
	STORE_ANNOUNCED,	/* kind u8, what of that kind -> time of its last announcement */
	STORE_COMMUNITIES,	/* community id32 -> a community that was joined */
	STORE_MEMBERS,		/* community id32, node key32 -> a member */
	STORE_COMMUNITY_SHARES, /* community id32, share id32 -> a share bound to it */
	STORE_COMMUNITY_EVENTS, /* community id32, sequence u64be -> what changed in it */
	STORE_SERVICE_OFFERS,	/* order u64be -> a service offer, or its tombstone (offers/) */
	STORE_ENDORSEMENTS, /* endorser16, service u32be, provider16 -> an endorsement (offers/) */
	STORE_DEPOSITS,	    /* order u64be -> a deposit, or its tombstone (deposits/) */
	STORE_RESERVATIONS, /* reservation id16 -> one side's part in a reservation (offers/) */
	STORE_WAYS, /* kind u8, id16 -> a way to a provider, or a message that waits for one (offers/) */
	STORE_POSTS,	    /* post id32 -> what feeds and sync need of a post (social/keep/) */
	STORE_POST_BODIES,  /* post id32 -> the post, its claim and its readers */
	STORE_POST_AUTHORS, /* author32, ~time u64be, post id32 -> a post of that author */
	STORE_POST_REPLIES, /* post id32, time u64be, post id32 -> a reply to the first */
	STORE_POST_GONE,    /* post id32 -> how its author deleted it */
	STORE_PEOPLE,	/* kind u8, key32 -> a person, as this node knows them (social/people/) */
	STORE_CIRCLES,	/* circle id16, member32 or zeros -> a member, or the circle itself */
	STORE_DRAFTS,	/* draft id16 -> a post that is not published yet (social/write/) */
	STORE_GROUPS,	/* kind u8, group32, epoch u64be -> of a group (social/groups/) */
	STORE_ROUTES,	/* kind u8, key32 -> where a person's node was (social/routes/) */
	STORE_REPLICAS, /* post id32, holder32 -> a copy of the post (social/replicas/) */
	STORE_DB_CNT,
};

/* The key of a row, borrowed. */
struct store_key {
	const void *bytes;
	size_t len;
};
static inline struct store_key store_key(const void *bytes, size_t len)
{
	return (struct store_key){bytes, len};
}

#define STORE_FINDING_CAP 160
struct store_config {
	const char *dir;	  /* made if absent, 0700; locked while open */
	uint64_t map_len;	  /* room for the databases at first; grows ahead of need */
	uint64_t map_len_max;	  /* to at most this; taken of the address space at once */
	uint64_t segment_len_max; /* a segment is sealed beyond this */
	unsigned reader_cap;
	unsigned batch_cap; /* batches waiting, at most */
	uint64_t proof_ns;  /* a start reads late databases (env.h) ahead for so long at most */
	int stop_fd;   /* readable when the process is to end: no reading holds that up; -1: none */
	char *finding; /* STORE_FINDING_CAP bytes: what is damaged, if it is refused; or NULL */
	bool is_inline; /* no thread: store_reap commits (simulator, tests) */
};
void store_config_defaults(struct store_config *config);

/*
 * store_open. Errors: WEFT_EBUSY (another process holds dir),
 * WEFT_ENEWER (newer schema), WEFT_EDAMAGED, WEFT_EFULL, WEFT_ECANCELLED
 * (stop_fd became readable), -errno. The ways out of damaged databases: a backup, or store_salvage.
 */
WEFT_MUST_CHECK
int store_open(const struct store_config *config, struct store **out_store);
/*
 * store_close commits what was submitted, then closes. done is not called
 * any more: store_flush before, to learn the outcome.
 */
void store_close(struct store *store);
/*
 * store_hurry: what goes over the whole of the store (store_check,
 * store_compact, the reading behind a start) ends with WEFT_ECANCELLED at the
 * next page or record. A database that was not read by then is not used any
 * more. Before jobs are waited for; any thread. NULL: nothing.
 */
void store_hurry(struct store *store);
/*
 * store_freeze ends commits for good: batches that wait or are still to come end with -EIO and
 * nothing of them is stored. A simulated crash calls it first, since owners flush and wait for done
 * while they are freed.
 */
void store_freeze(struct store *store);
/* store_crash closes as kill -9 would: what is not durable is gone. Simulator only. */
void store_crash(struct store *store);

/*
 * The newest schema this program writes. It moves with the kinds of stored
 * things, not with their format. A new database, or a new kind of row that
 * refers to blobs, makes a new version. An older program's sweep would
 * delete blobs without a use known to it. tests/states keeps a state of
 * each.
 */
#define STORE_SCHEMA_VERSION 9

/*
 * A batch collects puts and deletes; it copies what it is given. NULL or
 * errors are sticky: store_submit returns them.
 */
struct store_batch *store_batch_new(struct store *store);
void store_batch_free(struct store_batch *batch); /* one that was not submitted */
void store_batch_put(struct store_batch *batch, enum store_db db, struct store_key key,
		     const void *value, size_t value_len);
void store_batch_delete(struct store_batch *batch, enum store_db db, struct store_key key);
/*
 * store_batch_put_blob stores bytes under id, their BLAKE3 (the caller
 * computed it), in a segment, unless they are there already.
 */
void store_batch_put_blob(struct store_batch *batch, const uint8_t id[static 32], const void *data,
			  size_t len);
void store_batch_delete_blob(struct store_batch *batch, const uint8_t id[static 32]);

/*
 * store_submit takes batch on success. done(arg, err) is called on the
 * submitting worker from store_reap: err 0 after the durable commit, else
 * -ENOSPC, -EIO, WEFT_EFULL, ... and nothing of the batch is stored.
 * Returns 0, WEFT_EFULL (too many wait: batch stays the caller's), or the
 * batch's sticky error. Several workers may not share a store (home owns it).
 */
WEFT_MUST_CHECK
int store_submit(struct store *store, struct store_batch *batch, void (*done)(void *arg, int err),
		 void *arg);
/* store_reap calls done for finished batches; returns how many. store_fd wakes for it (-1: inline). */
unsigned store_reap(struct store *store);
int store_fd(const struct store *store);
/* store_is_pending: batches were submitted whose done was not called yet. */
bool store_is_pending(const struct store *store);
/* store_flush waits until everything submitted is durable and reaped. Start-up, shut-down, tests. */
void store_flush(struct store *store);

/*
 * A snapshot is a consistent view, open for a turn, not longer. One
 * thread uses it. store_get lends the value until the snapshot ends. Every
 * row has a check: what is read is what was put, or an error.
 */
WEFT_MUST_CHECK
int store_snapshot_open(struct store *store, struct store_snapshot **out_snapshot);
void store_snapshot_close(struct store_snapshot *snapshot);
/* store_get: 0 with value and length, WEFT_EABSENT, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int store_get(struct store_snapshot *snapshot, enum store_db db, struct store_key key,
	      const void **out_value, size_t *out_len);
/*
 * store_len: the length of a row's value, which is not read and so not checked: a damaged row has
 * one too. WEFT_EABSENT or -errno.
 */
WEFT_MUST_CHECK
int64_t store_len(struct store_snapshot *snapshot, enum store_db db, struct store_key key);
/*
 * A store_iter walks the rows of a database in key order, from the first key >= from (empty: all).
 * store_iter_next: false behind the last row, or at one whose check does not match. A row whose
 * key has another length than its database wants is passed over; store_check reports it.
 * store_iter_end, always called, gives the outcome: 0, WEFT_EDAMAGED or -errno. A caller whose
 * own work on a row fails sets err: it ends the walk and is its outcome.
 * store_iter_fresh: a walk in a snapshot of its own, which store_iter_end closes.
 * store_iter_next_len: as store_iter_next, for the lengths alone: values are not read, so damaged
 * rows are among them. Of the item only key, key_len and value_len are set.
 */
struct store_item {
	const uint8_t *key;
	size_t key_len;
	const uint8_t *value;
	size_t value_len;
};
struct store_iter {
	struct store *store; /* of store_iter_fresh, else NULL */
	struct store_snapshot *snapshot;
	enum store_db db;
	struct store_key from;
	struct MDB_cursor *cursor;
	int err; /* positive: behind the last row */
};
static inline struct store_iter store_iter(struct store_snapshot *snapshot, enum store_db db,
					   struct store_key from)
{
	return (struct store_iter){.snapshot = snapshot, .db = db, .from = from};
}
static inline struct store_iter store_iter_fresh(struct store *store, enum store_db db,
						 struct store_key from)
{
	return (struct store_iter){.store = store, .db = db, .from = from};
}
bool store_iter_next(struct store_iter *iter, struct store_item *out_item);
bool store_iter_next_len(struct store_iter *iter, struct store_item *out_item);
WEFT_MUST_CHECK
int store_iter_end(struct store_iter *iter);
#define STORE_ALL store_key(NULL, 0)

/*
 * store_blob_len: the length of a stored blob or WEFT_EABSENT.
 * store_blob_read reads [off, off + len) of it. May wait on the disk: call
 * it in a job, or for small blobs at start. 0, WEFT_EABSENT,
 * WEFT_EDAMAGED (beyond its end or its record does not check), -errno.
 * A part costs a read of the whole record, too: that is what the check covers.
 */
WEFT_MUST_CHECK
int64_t store_blob_len(struct store_snapshot *snapshot, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int store_blob_read(struct store *store, const uint8_t id[static 32], uint64_t off, void *dst,
		    size_t len);
/*
 * store_blob_load reads a whole blob of at most len_max bytes, which the
 * caller frees; one of none has an address, too. Waits as store_blob_read
 * does. 0, WEFT_EABSENT, WEFT_EDAMAGED (or longer than len_max), -errno.
 */
WEFT_MUST_CHECK
int store_blob_load(struct store *store, const uint8_t id[static 32], size_t len_max,
		    uint8_t **out_bytes, size_t *out_len);

/* Fill, for status and limits. */
struct store_stats {
#define FIGURE FIGURE_FIELD
#include "store/store_counters.def"
	uint64_t item_cnt[STORE_DB_CNT];
};
void store_stats(struct store *store, struct store_stats *out_stats);
const char *store_db_name(enum store_db db);
/* store_damage: the first damage of the databases met since the start, one sentence; NULL: none. */
const char *store_damage(const struct store *store);

/*
 * store_check walks databases and segments and verifies every blob. With repair, it drops
 * derivable content that cannot be verified, and rebuilds the blob index from the segments.
 * Blocks: run it in a job or offline. report is called per finding with a plain sentence.
 * WEFT_EDAMAGED: pages of a database are damaged, which is the last finding; nothing was repaired.
 */
struct store_check_result {
	uint64_t blob_cnt, blob_bad_cnt, item_cnt, item_bad_cnt, repaired_cnt;
};
WEFT_MUST_CHECK
int store_check(struct store *store, bool repair, void (*report)(void *arg, const char *finding),
		void *arg, struct store_check_result *out_result);
/*
 * store_check_until: as store_check, and stop ends it with WEFT_ECANCELLED; a
 * slice that was repaired stays so. It reads about as many bytes as the
 * databases and segments have (store_stats).
 */
struct store_check_ask {
	bool repairs;
	void (*report)(void *arg, const char *finding);
	void *arg; /* of report */
	struct store_stop stop;
};
WEFT_MUST_CHECK
int store_check_until(struct store *store, const struct store_check_ask *ask,
		      struct store_check_result *out_result);
/*
 * store_salvage makes a sound store of the damaged one under dir, which no
 * process has open. Rows with matching checks go into new databases; the old
 * ones are renamed. report is called for what is lost, at most 50 times. 0,
 * WEFT_EBUSY, WEFT_ENEWER or -errno, and nothing was renamed then. Blocks:
 * offline.
 */
#define STORE_ASIDE_CAP 40
struct store_salvage_result {
	uint64_t row_cnt;	     /* copied */
	uint64_t row_found_cnt;	     /* of them: a damaged page led to them */
	uint64_t row_bad_cnt;	     /* left out: their checks do not match */
	uint64_t page_bad_cnt;	     /* and what was on these pages */
	bool has_lost_blobs;	     /* store_check with repair may index more of them again */
	char aside[STORE_ASIDE_CAP]; /* in dir: the old databases */
};
WEFT_MUST_CHECK
int store_salvage(const char *dir, void (*report)(void *arg, const char *finding), void *arg,
		  struct store_salvage_result *out_result);
/*
 * store_backup copies what is stored at one commit into the folder to,
 * which it makes, and extra_file of the state directory, if that is there.
 * 0, WEFT_EDAMAGED (nothing was made), -EEXIST, -errno. Blocks: in a job.
 */
WEFT_MUST_CHECK
int store_backup(struct store *store, const char *to, const char *extra_file);
/*
 * store_restore puts the backup from in the place of the store under dir,
 * which no process has open. First the backup is copied there and checked
 * whole. The old store is renamed; extra_file comes back where there is
 * none. 0, WEFT_EBUSY, WEFT_EDAMAGED (of the backup), WEFT_ENEWER, -errno.
 */
struct store_restore_ask {
	const char *from, *dir;
	const char *extra_file; /* of the backup; NULL: none */
	void (*report)(void *arg, const char *finding);
	void *arg; /* of report */
};
struct store_restore_result {
	char aside[STORE_ASIDE_CAP]; /* in dir: the databases of before; empty: none */
	bool is_of_backup;	     /* an error is the backup's */
};
WEFT_MUST_CHECK
int store_restore(const struct store_restore_ask *ask, struct store_restore_result *out_result);
/* store_compact rewrites segments with dead bytes; returns bytes freed or an error. Blocks. */
WEFT_MUST_CHECK
int64_t store_compact(struct store *store);

#endif
