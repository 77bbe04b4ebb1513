/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_GET_STATE_H
#define WEFT_BLOBS_GET_GET_STATE_H

#include "base/timer.h"
#include "blobs/blobs.h"
#include "get.h"
#include "get_run_calls.h"
#include "blobs/manifest/manifest.h"
#include "blobs/object.h"
#include "blobs/scope.h"

struct get_run;
struct store_batch;
struct cbor_reader;

/* What the caller asked for, from the beginning on. */
struct get_asked {
	uint8_t manifest_id[OBJECT_ID_LEN];
	struct link_node nodes[BLOBS_GET_NODES_MAX];
	char target[OBJECT_PATH_LEN_MAX];
	bool is_replacing;
	struct blobs_range ranges[BLOBS_GET_RANGES_MAX];
	unsigned range_cnt;
	char *only;		    /* view.only, or NULL */
	char *exclude, *first;	    /* of view.choice, or NULL */
	struct blobs_folder folder; /* view.folder, or unused */
};

/* From the arrival of the manifest on. */
struct get_manifest {
	struct scope scope; /* closed until the manifest is here */
	char title[MANIFEST_TITLE_CAP];
	uint8_t *part_ids; /* of a root manifest, 32 bytes each */
	uint32_t part_cnt;
};

/* While another choice of files takes the place of the one asked for: get.c. */
struct get_choosing {
	struct get *chosen; /* its choice replaces this one's when its run has ended */
	void (*done)(void *arg, int err); /* NULL: no caller waits until it is stored */
	void *arg;
	unsigned save_cnt; /* batches until then */
};

/* Of a followed share's folder: get_folder.c. */
struct get_revision {
	uint64_t version;      /* the number of its files below .weft-versions; 0: none yet */
	uint64_t base_version; /* of what lies in the folder, as its last run began */
	bool is_superseded;    /* the get stops, and what is staged goes */
};

/* How the run ends, or ended: get.c. */
struct get_ending {
	bool is_cancelled; /* becomes taken back when its run has ended */
	bool keeps_staged; /* cancelled, what is staged stays for a resumption */
	bool is_pausing;   /* becomes paused then */
	bool has_staged;   /* it stopped with something staged to go on with */
	bool is_told;
	char detail[GET_DETAIL_CAP];
};

/* After the end, while peers are served from it: get_seed.c. */
struct get_seed {
	uint64_t base;	/* of view.seed.sent_byte_cnt, when counting began */
	uint64_t saved; /* and as it was stored last */
};

/* While it leaves the table: get_forget.c. */
struct get_leave {
	bool is_deleting;	 /* with the files that it wrote */
	struct removal *removal; /* of those; NULL: none runs */
	bool is_removed;	 /* they are gone, as far as they go */
	struct blobs_forgotten forgotten;
	char first_kept[256];
	int err;
	blobs_forgotten_fn done; /* NULL: no caller waits */
	void *arg;
};

/* Its record in the store, at all times: get_record.c. */
struct get_record {
	bool is_durable;   /* its first record, or its resumption, is committed: it may start */
	bool is_continued; /* its earlier run looked at what lay in the target */
	bool is_unsaved;   /* the store had no room for a batch: try again */
	unsigned save_cnt; /* batches under way */
};

/* One get as it is remembered; its run is there while it goes. */
struct get {
	struct gets *gets;
	struct blobs_get view; /* its pointers point below */
	struct get_asked asked;
	struct get_run *get_run; /* looks for the manifest, then fetches, verifies and writes */
	struct get_manifest manifest;
	struct get_choosing choosing;
	struct get_revision revision;
	struct get_ending ending;
	struct get_seed seed;
	struct get_leave leave;
	struct get_record record;
};

struct gets {
	struct timer save_timer; /* first */
	struct timer seed_timer; /* bounds of time are looked at, counts are saved */
	struct blobs *content;
	struct get **slots; /* by ascending id */
	uint32_t cnt;
	uint32_t active_cnt;
	unsigned top_priority; /* of those that are active */
	bool is_closing;       /* nothing new starts */
	uint64_t next_id;
	uint64_t now_ns;	  /* the time of the last call that passed one */
	uint64_t counts_saved_ns; /* of bytes sent */
	uint64_t received_byte_cnt;
	uint64_t bad_chunk_cnt;
};

bool blobs_get_is_ended(const struct get *get);
/* blobs_get_state_set: a step from or to an end is shown when blobs_get_save_soon's batch is stored. */
void blobs_get_state_set(struct get *get, enum blobs_get_state state);
struct get *blobs_gets_lookup(const struct gets *gets, uint64_t id);
/* blobs_get_save_soon stores a get that is stored already; when there is no room, later. */
void blobs_get_save_soon(struct get *get);
/* blobs_get_put puts the record of get into batch: 0, WEFT_EFULL or -ENOMEM. */
WEFT_MUST_CHECK
int blobs_get_put(const struct get *get, struct store_batch *batch);
/* blobs_gets_run_next starts what waits, as far as there are places. */
void blobs_gets_run_next(struct gets *gets);
/* blobs_gets_serve_less: peers may read less of what gets brought than before. */
void blobs_gets_serve_less(struct gets *gets);
/* blobs_gets_drop takes a get off the table, whose record is deleted, and frees it. */
void blobs_gets_drop(struct gets *gets, struct get *get);

/* get_forget.c: blobs_get_leave advances a leaving get after any of its work ended. */
void blobs_get_leave(struct get *get);
/* blobs_get_leave_cancel, at shut-down: waits for its job, then notifies the waiting callers. */
void blobs_get_leave_cancel(struct get *get);
/*
 * blobs_get_forget_record deletes the record of get and its notes of files to place. done is called
 * with get, and counts the batch off save_cnt; NULL: none is counted. Returns what store_submit
 * does.
 */
WEFT_MUST_CHECK
int blobs_get_forget_record(struct get *get, void (*done)(void *arg, int err));
/* blobs_gets_make_room: 0 when there is a place for one more, WEFT_EFULL. */
WEFT_MUST_CHECK
int blobs_gets_make_room(struct gets *gets);

/*
 * get_folder.c: gets of followed shares. blobs_gets_folder_other: the next get of the same folder
 * after number id, or NULL. blobs_get_folder_begin: a run begins. blobs_get_folder_done drops those
 * that a finished one came after.
 */
struct get *blobs_gets_folder_other(const struct gets *gets, const struct get *of, uint64_t id);
void blobs_get_folder_begin(struct get *get);
void blobs_get_folder_done(struct get *get);

/* get_seed.c: blobs_get_seed_begin when it finished, or was loaded; blobs_gets_seed_timer is seed_timer's. */
void blobs_get_seed_begin(struct get *get);
/* blobs_get_seed_inherit: a new revision is seeded as the one before in its folder. */
void blobs_get_seed_inherit(struct get *get);
void blobs_gets_seed_timer(struct timer *timer, uint64_t now_ns);
void blobs_gets_seed_look(struct gets *gets);
void blobs_gets_save_counts(struct gets *gets);
/* blobs_get_tell hands an event about get to node/. */
void blobs_get_tell(const struct get *get, enum blobs_event_kind kind, int err, const char *text);

/*
 * get_ask.c. blobs_get_ask_take makes a new get that of ask. Returns 0, WEFT_EMALFORMED,
 * WEFT_EUNSAFE (target is no absolute path), WEFT_ETOOLARGE or -ENOMEM. On an error get is only
 * to be freed. blobs_get_ask_merge: asked asks for the same as get, and may name nodes that get
 * does not know. blobs_get_sender returns the node that a collection's link names.
 */
WEFT_MUST_CHECK
int blobs_get_ask_take(struct get *get, const struct blobs_get_ask *ask);
void blobs_get_ask_merge(struct get *get, const struct get *asked);
struct link_node blobs_get_sender(const struct link *link);
/*
 * blobs_get_only_take copies patterns, if they are what blobs_get_ask says: 0,
 * WEFT_EMALFORMED or -ENOMEM. blobs_get_wants: path matches one, or there is none.
 */
WEFT_MUST_CHECK
int blobs_get_only_take(struct get *get, const char *only, size_t len);
bool blobs_get_wants(const struct get *get, const char *path, size_t len);
/* blobs_get_is_partial: some files may not be wanted. blobs_get_wants_first: path before others. */
bool blobs_get_is_partial(const struct get *get);
bool blobs_get_wants_first(const struct get *get, const char *path, size_t len);
/*
 * get_{exclude,first,choice}_take copy, as blobs_get_only_take; blobs_get_choice_equal: nothing of
 * it differs.
 */
WEFT_MUST_CHECK
int blobs_get_exclude_take(struct get *get, const char *exclude, size_t len);
WEFT_MUST_CHECK
int blobs_get_first_take(struct get *get, const char *first, size_t len);
WEFT_MUST_CHECK
int blobs_get_choice_take(struct get *get, const struct blobs_get_choice *choice);
bool blobs_get_choice_equal(const struct get *get, const struct get *other);
/* blobs_get_choice_move hands what other wants over to get; blobs_get_choice_free forgets it. */
void blobs_get_choice_move(struct get *get, struct get *other);
void blobs_get_choice_free(struct get *get);

/*
 * get_record.c: a get as bytes in STORE_GETS, key id u64be. blobs_get_save stores it: as
 * store_submit, and is_durable follows. blobs_gets_save_timer is save_timer's.
 * blobs_get_choose_saved: a batch with the choice was stored, or will not be.
 */
WEFT_MUST_CHECK
int blobs_get_save(struct get *get);
void blobs_gets_save_timer(struct timer *timer, uint64_t now_ns);
void blobs_get_choose_saved(struct get *get, int err);
#define GET_RECORD_KEY_LEN 8
void blobs_get_record_key(uint64_t id, uint8_t key[static GET_RECORD_KEY_LEN]);
/* blobs_get_record_write: the length, or WEFT_EFULL. */
WEFT_MUST_CHECK
int blobs_get_record_write(const struct get *get, uint8_t *out, size_t cap);
WEFT_MUST_CHECK
int blobs_get_record_parse(const void *data, size_t len, struct get *get);

/*
 * get.c, for get_run_*.c: blobs_get_ended is called once per blobs_get_run_start, when none
 * of its work is under way any more; err 0 is success. detail is copied.
 */
void blobs_get_ended(struct get *get, int err, const char *detail);

#endif
