/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_RUN_GET_RUN_H
#define WEFT_BLOBS_GET_RUN_GET_RUN_H

#include "base/thread/jobs.h"
#include "blobs/serve/chunk_buffers.h"
#include "blobs/target/link_claims.h"
#include "blobs/get/get_run_calls.h"
#include "base/timer.h"
#include "blobs/blobs.h"
#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "blobs/target/placing.h"
#include "rarest.h"
#include "blobs/scan.h"
#include "blobs/target/target_dir.h"
#include "blobs/content_message.h"
#include "blobs/serve/in_progress.h"
#include "blobs/serve/serve.h"
#include "blobs/swarm/swarm.h"

struct store_batch;

/*
 * A get while it runs. It goes through its manifests one at a time, and
 * through the items of a manifest so:
 *
 *	NEW -> CHECKING: a job looks what is on this disk already
 *	    -> NEEDED -> ASKED -> DONE  at most one chunk: one request,
 *				       one job that verifies and writes
 *	    -> NEEDED -> LARGE -> DONE  a get_run_file: chunk list, what an
 *				       earlier run left, chunks
 *	TWIN: waits for another item of the same content and is copied
 *
 * DONE is whole and verified, in its place or staged. Staged files go to their places with many
 * others, after they are on the disk (get_run_record.c).
 *
 * Every event (an answer, an ended job) is noted and the timer is set. get_run_pump, which the
 * timer calls, decides what is next. So a turn decides once, over all that arrived in it.
 */
#define GET_RUN_FILES_MAX      4u	    /* large files at once */
#define GET_RUN_JOBS_MAX       4u	    /* write jobs at once */
#define GET_RUN_WRITES_MAX     16u	    /* chunks of one write job */
#define GET_RUN_CHECKS_MAX     128u	    /* items of one check job */
#define GET_RUN_CHUNKS_MAX     (1ull << 22) /* of one file: 1 TiB, a list of 128 MiB */
#define GET_RUN_NONE	       UINT32_MAX
#define GET_RUN_INTENT_IDS_MAX 16u /* gets of one folder whose notes are read */
#define GET_RUN_NO_CHUNK       UINT64_MAX
#define GET_RUN_RECORDS_MAX    16384u /* that wait for a sync: some 6 MB; nothing is added then */
#define GET_RUN_FDS_MAX	       8192u  /* of files without a name: two batches of them */
/* A job's share: long enough to be worth it, short enough to be cancelled. */
#define GET_RUN_JOB_LEN (64ull << 20)

enum item_state {
	ITEM_NEW,
	ITEM_SKIPPED, /* not wanted: done from the beginning */
	ITEM_TWIN,
	ITEM_CHECKING,
	ITEM_NEEDED,
	ITEM_ASKED,
	ITEM_LARGE,
	ITEM_DONE,
};

struct get_run_item {
	enum item_state state;
	bool is_first;	    /* to be fetched before those that are not */
	uint32_t twin_of;   /* the item of the same content that came first */
	uint32_t next_twin; /* chain of those that wait for this one */
	bool has_replaced;
	uint64_t replaced_inode, replaced_dev; /* of the file in its place */
};

enum chunk_state { CHUNK_MISSING, CHUNK_ASKED, CHUNK_HAVE };

enum file_step {
	FILE_UNUSED,
	FILE_LIST,    /* its chunk list is fetched */
	FILE_FOLDING, /* job: does the list lead to the content id */
	FILE_OPENING, /* jobs: the staged file, and what of it is right already */
	FILE_CHUNKS,
	FILE_SETTLING, /* job */
	FILE_WHOLE,    /* done; stays open to serve peers while no other file needs the slot */
};

/* FILE_LIST and FILE_FOLDING: the hashes of the chunks. */
struct get_run_file_list {
	uint8_t *hashes;
	uint64_t hash_cnt; /* fetched so far */
	bool is_asked;
	uint8_t key[MESH_KEY_LEN]; /* the list's holder; another one restarts the list */
};

/* FILE_OPENING: what of the staged file is right already. */
struct get_run_file_scan {
	uint64_t idx;	    /* chunks looked at */
	uint64_t found_len; /* bytes found right by the last job */
	bool is_done;
};

/* Zeros (zeros.h): samples in FILE_OPENING; then the neighbours of a chunk of zeros. */
struct get_run_file_zeros {
	unsigned sample_idx;
	bool is_sampled;
	uint64_t idx;	     /* its neighbours are to be looked at; GET_RUN_NO_CHUNK: none */
	bool goes_on;	     /* it is the last of a run */
	uint64_t begin, end; /* what the last job found */
};

struct get_run_file {
	struct job job; /* first */
	struct get_run *get_run;
	enum file_step step;
	bool job_is_out;
	int err;
	uint32_t item;
	uint8_t content_id[OBJECT_ID_LEN];
	uint64_t size;
	uint64_t chunk_cnt;
	uint64_t chunk_cap; /* of list.hashes, chunks and order, kept for the next file here */
	struct get_run_file_list list;
	/* From FILE_OPENING on: the staged file. */
	int fd;
	char name[PLACING_NAME_CAP];
	struct get_run_file_scan scan;
	struct get_run_file_zeros zeros;
	struct in_progress_file *partial; /* what of it is served meanwhile; NULL: nothing */
	/* FILE_CHUNKS */
	uint8_t *chunks; /* enum chunk_state of each */
	uint64_t have_cnt;
	struct rarest order;
	/* Members that had nothing of what was missing, as of these versions of both. */
	struct get_run_exhausted {
		uint32_t member, order;
	} exhausted[SWARM_MEMBERS_MAX];
	struct object_stamp stamp; /* from FILE_SETTLING on */
};

enum slot_kind { SLOT_WHOLE, SLOT_CHUNK, SLOT_LIST, SLOT_PROOF };

/*
 * A request of this node and then its answer, until that is written. At the end
 * two may be out for the same; the first answer takes the other back.
 */
struct get_run_slot {
	struct get_run *get_run;
	bool is_used;
	enum slot_kind kind;
	struct swarm_ask ask;		/* under way while its swarm is set */
	uint64_t expect_ns;		/* when an answer was expected as it was asked */
	uint64_t expect_for_ns;		/* the interval to expect_ns, when asked */
	uint8_t from_key[MESH_KEY_LEN]; /* the holder asked, then the holder that answered */
	uint8_t *buffer;
	uint32_t item;
	struct get_run_file *file;
	uint64_t idx;	      /* of the chunk, first hash or first group */
	uint64_t part;	      /* of a range */
	const uint8_t *bytes; /* verified by a job before anything else */
	size_t len;
	struct get_run_slot *next; /* of those that wait for a write job */
	int err;
	bool is_zeros;		   /* of a chunk that was written: as a hole */
	struct object_stamp stamp; /* of a whole file that is staged */
	bool has_fd;		   /* and has no name but this descriptor */
	int fd;
};

struct get_run_write {
	struct job job; /* first */
	struct get_run *get_run;
	bool is_out;
	bool may_hold; /* descriptors of small files */
	unsigned cnt;
	struct get_run_slot *slots[GET_RUN_WRITES_MAX];
	struct target_dir dir;
};

enum check_phase { CHECK_LOOK, CHECK_SCAN, CHECK_COPY, CHECK_SCAN_COPY };

/*
 * Where check found an item: in its place, or staged, as a copy or not. In its place, it has a
 * record that is right for this get or for another, or no record.
 */
enum check_found {
	FOUND_NONE,
	FOUND_RECORDED,
	FOUND_IN_PLACE,
	FOUND_SCANNED,
	FOUND_STAGED,
	FOUND_COPY,
	FOUND_KEPT, /* not weft's to change */
};

/* Looks at items in order until one is found here, which it reports. */
struct get_run_check {
	struct job job; /* first */
	struct get_run *get_run;
	bool is_out;
	unsigned cnt;
	unsigned at;	 /* items before it are absent or done */
	unsigned marked; /* and home knows of those before this */
	uint32_t items[GET_RUN_CHECKS_MAX];
	enum check_phase phase;
	int fd;		   /* the file at its place, or the source of a copy */
	bool is_own;	   /* the file at its place came by this collection and is as it was left */
	bool may_settle;   /* it came by a get, and is as it was left */
	bool has_obstacle; /* with FOUND_KEPT: of another kind than a file, or above it */
	bool has_known;	   /* known is the record of the file at its place */
	struct object_file known;
	bool was_placed; /* a get wrote the file at its place, and no program since */
	int staged_fd;	 /* a copy */
	uint64_t copied_len;
	unsigned source_cnt; /* places copied from so far */
	struct served_index
		*served_index; /* as of when items were filled in; other gets change their own */
	struct scan scan;
	uint8_t *buffer;
	struct target_dir dir;
	uint64_t needed_len;	/* the get's, when the job began */
	uint64_t lacking_len;	/* what did not fit, when err is -ENOSPC */
	uint64_t free_len;	/* on the target's filesystem, when the job ran */
	uint64_t reserved_len;	/* that staged files of the items looked at have already */
	enum check_found found; /* of items[at], right when is_found */
	bool is_found;
	int err;
	struct object_stamp stamp;
};

/* The result of looking at an item; negative: an error. */
enum check_verdict { ITEM_IS_ABSENT, ITEM_IS_FOUND, ITEM_WANTS_MORE };

enum get_run_step {
	GET_RUN_OPENING,  /* job: the target */
	GET_RUN_LOADING,  /* job: the manifest from our own store */
	GET_RUN_MANIFEST, /* or from the peer */
	GET_RUN_ITEMS,
	GET_RUN_RANGE_OPENING, /* job: its file */
	GET_RUN_RANGE,
	GET_RUN_DIRS, /* job: empty directories, symbolic links */
	GET_RUN_FLUSH,
	GET_RUN_REMOVING, /* jobs: of a share's folder, what is in the revision no more */
	GET_RUN_CLOSING,  /* job: the staging directory goes */
	GET_RUN_ENDING,	  /* waits for what is under way */
};

enum get_run_sync_step {
	SYNC_NONE,
	SYNC_NOTING,
	SYNC_NOTING_OUT,
	SYNC_WAITING,
	SYNC_OUT,
	SYNC_DONE
};

/* Files that are brought to the disk, then to their places, before their records are stored. */
struct get_run_sync {
	struct job job; /* first */
	struct get_run *get_run;
	enum get_run_sync_step step;
	/* From SYNC_WAITING on: */
	struct store_batch *batch;
	struct placing placing;
	uint64_t began_ns, due_ns; /* the last; for the sake of others not before due_ns */
	int err;
};

/* A job about the whole: open, load, dirs and links, close. */
struct get_run_step_job {
	struct job job; /* first */
	struct get_run *get_run;
	const char *path; /* of the directory or link at hand */
	size_t path_len;
	uint32_t link_left_cnt;
	uint32_t link_kept_cnt; /* something else stands there */
	int err;
};

/* Of a followed share's folder: get_run_folder.c, get_run_intent.c, get_run_links.c. */
struct get_run_folder {
	uint64_t intent_ids[GET_RUN_INTENT_IDS_MAX];
	unsigned intent_id_cnt;
	uint8_t *intents; /* that were left there, sorted, from GET_RUN_LOADING on */
	uint32_t intent_cnt;
	/* That gets of the folder made; of the step's job when it is out. */
	struct link_claims links;
	/* Of the manifest at hand, to be stored before they are made. */
	struct link_claims new_links;
	bool are_links_noted; /* they are stored */
	bool is_noting_links;
	uint64_t link_left_cnt; /* symbolic links that the filesystem does not have */
	struct removal *removal;
	uint64_t removal_id;   /* the get whose files removal looks at, or the last */
	uint64_t removed_cnt;  /* in this round */
	uint64_t obstacle_cnt; /* files in the way of folders, or the other way round */
	bool is_second_round;
};

/* The manifest at hand while it is fetched, and the root whose part it is: get_run_manifest.c. */
struct get_run_part {
	uint8_t id[OBJECT_ID_LEN];
	uint8_t *buf;
	const uint8_t *bytes; /* in buf */
	size_t len;
	struct swarm_ask ask;
	struct manifest
		*root; /* NULL: the manifest is the whole; else with the buffer it borrows */
	uint8_t *root_buf;
	uint32_t idx;
};

/* The items of the manifest at hand: get_run_check.c finds them, get_run_pick.c takes them. */
struct get_run_items {
	struct get_run_item *all;
	uint32_t cnt;
	uint32_t done_cnt;
	uint32_t check_idx; /* the next to check */
	bool checks_others; /* all that are to be fetched first were */
	uint32_t need_idx;  /* none before it is NEEDED */
	uint32_t ready_duplicates;
	uint64_t needed_len; /* of items found to be needed and not begun */
};

/* get_run_request.c and get_run_pick.c; ready is the way to get_run_write.c. */
struct get_run_requests {
	struct get_run_slot *slots;
	uint32_t slot_cnt;
	uint32_t asked_cnt;
	uint64_t counted_ns; /* the last count of the members that have each chunk */
	uint32_t counted_version;
	struct get_run_slot *ready;
	struct get_run_slot **ready_end;
	uint64_t look_ns; /* 0: not; else the next look at late members, or at hope */
};

/* get_run_range.c: of the get's ranges, one after the other. */
struct get_run_range {
	unsigned at;
	uint64_t off, end; /* of the one item, cut at its size */
	uint64_t part_cnt, done_cnt, next;
	uint8_t *parts; /* enum chunk_state of each */
	uint64_t scan;	/* parts before it were looked for in what is staged */
	int fd, sum_fd;
};

/* get_run_record.c: since the last sync began, what waits for the next. */
struct get_run_records {
	struct store_batch *batch; /* chunk lists, files that are whole */
	struct placing placing;
	size_t fd_cap; /* descriptors that files without a name may hold, in all */
	bool has_unsynced;
	bool must_clear; /* a sync failed: what is staged may not be on the disk */
	struct get_run_sync sync;
};

struct get_run {
	struct timer timer; /* first */
	struct get *get;
	struct blobs *content;
	enum get_run_step step;
	struct get_run_step_job step_job;
	bool step_is_out;
	unsigned out_cnt;     /* jobs and batches under way */
	bool must_retry_soon; /* a table was full: again in a moment */
	bool is_clearing;     /* only removes what is staged */
	bool has_left;	      /* an empty staging directory is gone */
	int end_err;
	char end_detail[GET_DETAIL_CAP];
	uint64_t told_ns; /* the last progress event */
	uint64_t told_byte_cnt;

	struct target target;
	struct swarm *swarm;
	struct manifest *manifest; /* at hand */
	struct get_run_part part;
	struct get_run_items items;
	struct get_run_folder folder;
	struct get_run_check check;
	struct get_run_requests requests;
	struct get_run_file files[GET_RUN_FILES_MAX];
	struct get_run_range range;
	struct get_run_write writes[GET_RUN_JOBS_MAX];
	struct get_run_records records;
};

/* get_run.c: the pump, beside what get_run_calls.h declares. */
bool blobs_get_run_is_stopping(const struct get_run *get_run);
/* blobs_get_run_wake: something happened; the pump runs in this turn. */
void blobs_get_run_wake(struct get_run *get_run);
/* blobs_get_run_submit: false when no job can be submitted now; it is tried again. */
bool blobs_get_run_submit(struct get_run *get_run, struct job *job, job_fn run, job_fn done);
/* blobs_get_run_job_done: each done function calls it first; false when the run is stopping. */
bool blobs_get_run_job_done(struct get_run *get_run);
/*
 * blobs_get_run_step_submit submits the step's one job unless it is out; its done calls
 * blobs_get_run_step_done.
 */
void blobs_get_run_step_submit(struct get_run *get_run, job_fn run, job_fn done);
bool blobs_get_run_step_done(struct get_run *get_run);
const struct manifest_item *blobs_get_run_manifest_item(const struct get_run *get_run,
							uint32_t item);
/* blobs_get_run_item_path: for messages to people; text of the item's path. */
const char *blobs_get_run_item_path(const struct get_run *get_run, uint32_t item,
				    char text[static OBJECT_PATH_LEN_MAX]);
/* blobs_get_run_stop_at, blobs_get_run_stop_at_path: a place in the target cannot be written. */
void blobs_get_run_stop_at(struct get_run *get_run, uint32_t item, int err);
void blobs_get_run_stop_at_path(struct get_run *get_run, const char *path, size_t path_len,
				int err);
/* blobs_get_run_name: the staged file of an item, the same in every run. */
void blobs_get_run_name(const struct get_run *get_run, uint32_t item,
			char name[static PLACING_NAME_CAP]);

/*
 * get_run_record.c. blobs_get_run_staged: the item is whole as this staged file, which is
 * settled. blobs_get_run_nameless: it is whole as the file of the slot's descriptor, which is
 * taken. blobs_get_run_found: it is in its place already. hashes only of a large file. All make
 * it DONE and add it to the batch under way, whose records are blobs_get_run_batch.
 * blobs_get_run_records_run brings that batch a step closer to the store when it is due, or
 * is_last. The steps are a sync of the target's filesystem and the renames (placing.h).
 * blobs_get_run_records_pending: something is on that way, or would be.
 * blobs_get_run_records_due: 0, or when to look again.
 */
void blobs_get_run_staged(struct get_run *get_run, uint32_t item, const struct object_stamp *stamp,
			  const char *staged, const uint8_t *hashes);
void blobs_get_run_nameless(struct get_run *get_run, struct get_run_slot *slot);
void blobs_get_run_found(struct get_run *get_run, uint32_t item, const struct get_run_check *check,
			 bool is_settled_racy);
struct store_batch *blobs_get_run_batch(struct get_run *get_run);
void blobs_get_run_records_run(struct get_run *get_run, bool is_last);
bool blobs_get_run_records_pending(const struct get_run *get_run);
uint64_t blobs_get_run_records_due(const struct get_run *get_run);
void blobs_get_run_records_free(struct get_run *get_run);
/* blobs_get_run_item_done: the item is whole; duplicates may follow. */
void blobs_get_run_item_done(struct get_run *get_run, uint32_t item);

/* get_run_manifest.c */
void blobs_get_run_manifest_begin(struct get_run *get_run, const uint8_t id[static OBJECT_ID_LEN]);
void blobs_get_run_manifest_run(struct get_run *get_run, uint64_t now_ns);
/* blobs_fetch_stored_next: all items of a manifest are done; the next part, or the end. */
void blobs_fetch_stored_next(struct get_run *get_run);
void blobs_fetch_stored_free(struct get_run *get_run);

/* get_run_check.c */
void blobs_get_run_check_init(struct get_run *get_run);
void blobs_get_run_check_fini(struct get_run *get_run);
void blobs_get_run_check_run(struct get_run *get_run);

/* get_run_file.c */
WEFT_MUST_CHECK
int blobs_get_run_file_start(struct get_run *get_run, uint32_t item);
void blobs_get_run_file_run(struct get_run_file *file);
/*
 * blobs_get_run_file_list_check: the page is as long as was asked for. So no peer holds a file
 * by giving its list hash by hash. blobs_get_run_file_list_arrived keeps the page.
 */
bool blobs_get_run_file_list_check(const struct get_run_file *file,
				   const struct message_answer *answer);
void blobs_get_run_file_list_arrived(struct get_run_file *file,
				     const struct message_answer *answer);
/* blobs_get_run_file_list_failed: the holder of the first pages failed; the list restarts. */
void blobs_get_run_file_list_failed(struct get_run_file *file);
/* blobs_get_run_file_take, blobs_get_run_file_again: chunk idx is asked for; it is missing again. */
void blobs_get_run_file_take(struct get_run_file *file, uint64_t idx);
void blobs_get_run_file_again(struct get_run_file *file, uint64_t idx);
void blobs_get_run_file_chunk_done(struct get_run_file *file, uint64_t idx, size_t len);
/*
 * get_run_zeros.c. blobs_get_run_zeros_sample, in a job before anything is asked for, looks for
 * zeros here and there until zeros.is_sampled. blobs_get_run_zeros_run and blobs_get_run_zeros_done
 * are the job about the neighbours of zeros.idx.
 */
WEFT_MUST_CHECK
int blobs_get_run_zeros_sample(struct get_run_file *file);
void blobs_get_run_zeros_run(struct job *job);
void blobs_get_run_zeros_done(struct job *job);
/* blobs_get_run_file_zeros: chunk idx turned out to be zeros; its neighbours may be, too. */
void blobs_get_run_file_zeros(struct get_run_file *file, uint64_t idx);
/* blobs_get_run_file_end leaves the slot to another file, blobs_get_run_file_fini frees what it keeps. */
void blobs_get_run_file_end(struct get_run_file *file);
void blobs_get_run_file_fini(struct get_run_file *file);
size_t blobs_get_run_file_chunk_len(const struct get_run_file *file, uint64_t idx);

/*
 * get_run_copy.c, in the job of get_run_check.c. blobs_get_run_copy_next steps to the next source
 * that can be opened: CHECK_COPY begun and wanting more, or absent. blobs_get_run_copy_run copies
 * up to budget bytes: a check_verdict or an error. blobs_get_run_copy_give_up: the source is no
 * longer what its record says, or cannot be read to its end. blobs_get_run_copy_drop removes a copy
 * that cannot go on.
 */
uint32_t blobs_get_run_check_item(const struct get_run_check *check);
const struct manifest_item *blobs_get_run_check_entry(const struct get_run_check *check);
void blobs_get_run_fd_close(int *fd);
void blobs_get_run_copy_name(const struct get_run *get_run, uint32_t item,
			     char name[static PLACING_NAME_CAP]);
WEFT_MUST_CHECK
int blobs_get_run_copy_next(struct get_run_check *check, struct store_snapshot *snapshot);
WEFT_MUST_CHECK
int blobs_get_run_copy_run(struct get_run_check *check, struct store_snapshot *snapshot,
			   uint64_t budget);
WEFT_MUST_CHECK
int blobs_get_run_copy_give_up(struct get_run_check *check, struct store_snapshot *snapshot);
void blobs_get_run_copy_drop(const struct get_run_check *check);

/* get_run_request.c */
void blobs_get_run_requests_run(struct get_run *get_run, uint64_t now_ns);
void blobs_get_run_slot_free(struct get_run_slot *slot);
/* blobs_get_run_slot_again gives a slot's work back to be asked for again. */
void blobs_get_run_slot_again(struct get_run_slot *slot);
/* cancel_twin: the slower of two members that were asked for the same need not go on. */
void blobs_get_run_slot_cancel_twin(const struct get_run_slot *slot);
/* blobs_get_run_slot_bad: what the slot's answer said does not verify. */
void blobs_get_run_slot_bad(struct get_run_slot *slot);
/* blobs_get_run_answered: len bytes came. */
void blobs_get_run_answered(struct get_run *get_run, size_t len, uint64_t now_ns);
/* blobs_get_run_swarm_failed: no member is left for what is missing; err is blobs_swarm_failure's. */
void blobs_get_run_swarm_failed(struct get_run *get_run, int err, const char *detail);

/* get_run_pick.c */
/* blobs_get_run_pick: what to ask member for next, in slot; false: nothing. NULL: what needs no member. */
bool blobs_get_run_pick(struct get_run *get_run, struct get_run_slot *slot,
			struct swarm_member *member, uint64_t now_ns);
/* blobs_get_run_pick_list: a file whose chunk list is to be asked for. */
bool blobs_get_run_pick_list(struct get_run *get_run, struct get_run_slot *slot);
/* blobs_get_run_file_order: the file's chunks are to be asked for; in sequence, where that is wanted. */
void blobs_get_run_file_order(struct get_run_file *file);
/* blobs_get_run_count brings up to date how many have what. */
void blobs_get_run_count(struct get_run *get_run, uint64_t now_ns);

/*
 * get_run_write.c. answer_fits and on_answer are of a slot's ask: the length is right as far as it
 * is known before bytes are verified. ready: the slot's bytes wait for a job. write_at: in a job.
 */
bool blobs_get_run_answer_fits(void *arg, const struct message_answer *answer);
void blobs_get_run_on_answer(void *arg, const struct swarm_answer *answer, uint64_t now_ns);
void blobs_get_run_ready(struct get_run_slot *slot);
void blobs_get_run_writes_run(struct get_run *get_run);
WEFT_MUST_CHECK
int blobs_get_run_write_at(int fd, uint64_t off, const uint8_t *data, size_t len);

/*
 * settle.c, in jobs. blobs_get_run_settle gives a staged file the mode and time of the item, and
 * takes its stamp, which can be trusted. Where the item tells no time, the file's is set two
 * seconds back. So any later write changes it, however coarse the filesystem's clock is.
 * blobs_get_run_settled_is_racy: the stamp cannot be trusted, as the item's time is hardly over,
 * or yet to come. blobs_get_run_settle_again brings a file that this node placed before up to a
 * later revision.
 */
WEFT_MUST_CHECK
int blobs_get_run_settle(int fd, const struct manifest_item *item, struct object_stamp *out_stamp);
bool blobs_get_run_settled_is_racy(const struct manifest_item *item,
				   const struct object_stamp *stamp);
WEFT_MUST_CHECK
int blobs_get_run_settle_again(int fd, const struct manifest_item *item,
			       struct object_stamp *io_stamp);

/*
 * get_run_intent.c. blobs_get_run_intents_begin, on home, says whose notes
 * blobs_get_run_intents_load reads, in a job: 0 or -errno. blobs_get_run_intents_store notes what
 * get_run->sync is to place, done gets the result: as store_submit or -ENOMEM. blobs_get_run_intents_end
 * takes that back in the batch of the records. blobs_get_run_intent_find: the file at path is one that was about to be placed, as
 * out_file says.
 */
void blobs_get_run_intents_begin(struct get_run *get_run);
WEFT_MUST_CHECK
int blobs_get_run_intents_load(struct get_run *get_run);
bool blobs_get_run_intents_are_wanted(const struct get_run *get_run);
WEFT_MUST_CHECK
int blobs_get_run_intents_store(struct get_run *get_run, void (*done)(void *arg, int err));
void blobs_get_run_intents_end(struct get_run *get_run, struct store_batch *batch);

/*
 * get_run_links.c: blobs_get_run_dirs_run makes the directories and symbolic links of a manifest.
 * blobs_get_run_links_load, in a job, reads which links the gets of the folder made.
 */
void blobs_get_run_dirs_run(struct get_run *get_run);
WEFT_MUST_CHECK
int blobs_get_run_links_load(struct get_run *get_run);
bool blobs_get_run_intent_find(const struct get_run *get_run, const char *path,
			       const struct object_stamp *stamp, struct object_file *out_file);

/*
 * get_run_folder.c: of a followed share's folder. get_run_kept: the file in an item's place stays.
 * blobs_get_run_removing_run: what former revisions brought and this one has not goes.
 */
void blobs_get_run_kept(struct get_run *get_run, uint32_t item);
void blobs_get_run_removing_run(struct get_run *get_run);

/* get_run_range.c */
void blobs_get_run_range_begin(struct get_run *get_run);
void blobs_get_run_range_run(struct get_run *get_run);
bool blobs_get_run_range_pick(struct get_run *get_run, struct get_run_slot *slot,
			      const struct swarm_member *member);
uint64_t blobs_get_run_range_groups(const struct get_run *get_run, uint64_t part);
void blobs_get_run_range_again(struct get_run *get_run, uint64_t part);
/* blobs_get_run_range_write verifies and writes a part in a job: 0, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int blobs_get_run_range_write(struct get_run_slot *slot);
void blobs_get_run_range_part_done(struct get_run *get_run, const struct get_run_slot *slot);
void blobs_get_run_range_free(struct get_run *get_run);

#endif
