/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_ANNOUNCE_STATE_H
#define WEFT_SHARES_ANNOUNCE_ANNOUNCE_STATE_H

#include "base/memory/arena.h"
#include "base/thread/jobs.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "announce.h"
#include "blobs/held_manifests.h"
#include "holder_record.h"
#include "golomb_set.h"
#include "announce_rules.h"
#include "announce_log.h"

/* The state that the files of shares/announce/ share; each object has one file that owns it. */

/*
 * Announced again after half its life, less up to an hour by its id: so that not all are due at
 * once.
 */
#define ANNOUNCE_PERIOD_S (HOLDER_RECORD_LIFE_S / 2)
#define ANNOUNCE_SPREAD_S 3600u

#define ANNOUNCE_PUTS_OUT_MAX 4u
#define ANNOUNCE_REGION_CAP   (1u << GOLOMB_SET_DEPTH_FINE)

/* A manifest that is held; announce.c. */
struct announce_manifest {
	uint8_t id[32];
	uint64_t announced_s; /* 0: never */
	bool is_held;	      /* seen in the walk that is on */
	bool is_out;	      /* a put of it is under way */
	bool is_looked;	      /* what follows is known */
	bool is_signed, is_public;
	bool is_hidden; /* nothing of it is announced */
	uint64_t item_cnt;
};

#define REGION_BUSY UINT64_MAX

struct announce_region {
	uint64_t announced_s; /* of the set; 0: never */
	uint64_t print;	      /* of the contents that were announced */
	uint64_t due_s;	      /* wall clock; REGION_BUSY: it is being announced */
};

/* announce_job.c: reads one manifest, or lists one region, off the worker. */
enum announce_task { TASK_LOOK, TASK_LIST };

struct announce_job {
	struct job job; /* first */
	struct announce *announce;
	enum announce_task task;
	bool is_out;
	int err;
	/* TASK_LOOK */
	uint8_t id[32];
	struct held_manifest manifest;
	/* TASK_LIST */
	void *view;
	enum announce_shape shape;
	unsigned depth;
	uint32_t region;
	uint64_t wall_s, changed_s;
	struct store_snapshot *snapshot;
	uint8_t (*ids)[32]; /* GOLOMB_SET_ITEMS_MAX: of the set, or due one by one */
	uint64_t *numbers;
	uint32_t id_cnt;
	uint64_t left_out_cnt;
	uint64_t next_due_s; /* of the single ones that are not due yet */
	uint64_t print;
	uint8_t *code; /* GOLOMB_SET_LEN_MAX */
	size_t code_len;
	struct announce_log_row *gone; /* ANNOUNCE_SINGLES_MAX: rows no longer announced */
	uint32_t gone_cnt;
};

/* announce_put.c: one value on its way. */
struct announce_put {
	struct announce *announce;
	struct overlay_run *run;
	struct announce_log_row row; /* written when a node took it */
};

/* The value to put next. */
enum announce_due { DUE_NONE, DUE_MANIFEST, DUE_SINGLE, DUE_SET };

struct announce_sets;
struct store_batch;
struct store_snapshot;

/* The log's hash is half of the addresses', and half of the relays'. */
#define ANNOUNCE_SAID_HASH_LEN (ANNOUNCE_LOG_HASH_LEN / 2)

struct announce {
	struct announce_params params;
	struct arena arena;
	struct timer timer;
	struct peer_places places;
	struct peer_via said_vias[PEER_VIAS_MAX];  /* relays that announcements name */
	unsigned said_via_cnt;			   /* 0: none, or those of an earlier life */
	uint8_t said_hash[ANNOUNCE_SAID_HASH_LEN]; /* of those relays, also of an earlier life */
	bool has_put_bare;			   /* something, while no relay was there */
	uint64_t changed_s;			   /* older announcements are made again */
	bool is_lonely;				   /* one node alone has some announcements */

	struct map by_id;
	struct pool manifests;
	uint32_t manifest_left_out_cnt;

	enum announce_shape shape;
	unsigned depth;
	struct announce_region *regions; /* ANNOUNCE_REGION_CAP, the first 2^depth in use */
	uint32_t cursor;		 /* the region that is looked at first */
	bool wants_walk;		 /* manifests are to be walked over again */

	struct announce_job job;
	bool has_listed;     /* job's outcome is being put */
	uint32_t listed_cnt; /* of ids, put so far */

	struct announce_put puts[ANNOUNCE_PUTS_OUT_MAX];
	uint64_t put_at_ns; /* not before: the budget */
	uint64_t paused_ns; /* not before: a failure */
	bool is_stopped;

	struct announce_sets *sets;
	struct pool searches;
	struct announce_stats stats; /* what is counted */
};

uint64_t shares_announce_wall_s(const struct announce *announce);
/*
 * shares_announce_is_due: what was announced at announced_s is due again at wall_s; seed is a part
 * of its id.
 */
bool shares_announce_is_due(uint64_t announced_s, uint64_t changed_s, uint32_t seed,
			    uint64_t wall_s);
/* shares_announce_due_s: when it is due, if nothing changes. */
uint64_t shares_announce_due_s(uint64_t announced_s, uint32_t seed);

/*
 * shares_announce_submit hands batch over: rows that are not written are announced again after a
 * restart, no more.
 */
void shares_announce_submit(struct announce *announce, struct store_batch *batch);

/*
 * manifests.c. walk has the table follow the manifests that are held. A manifest is wanted when
 * its files are announced by content id. Files of a collection are announced so only with
 * ANNOUNCE_ALL, for a collection says nothing of its visibility.
 */
void shares_announce_manifests_walk(struct announce *announce);
struct announce_manifest *shares_announce_manifest_to_look_at(const struct announce *announce);
bool shares_announce_manifest_is_due(const struct announce *announce,
				     const struct announce_manifest *manifest);
bool shares_announce_manifest_is_wanted(const struct announce *announce,
					const struct announce_manifest *manifest);
bool shares_announce_id_is_wanted(void *announce, const uint8_t manifest_id[static 32]);
void shares_announce_manifest_looked(struct announce *announce);
void shares_announce_manifest_logged(struct announce *announce, const struct announce_log_row *row,
				     int err);

/*
 * regions.c. shape_decide says how contents are announced; false while there are manifests not
 * looked at yet. touch makes those regions due that a manifest has items in. list_begin: 0,
 * also when no region is due, or what shares_announce_job_list says.
 */
uint32_t shares_announce_region_cnt(const struct announce *announce);
uint32_t shares_announce_regions_due_cnt(const struct announce *announce);
bool shares_announce_shape_decide(struct announce *announce);
void shares_announce_regions_touch(struct announce *announce, const struct held_manifest *manifest);
WEFT_MUST_CHECK
int shares_announce_list_begin(struct announce *announce);
void shares_announce_list_done(struct announce *announce);
void shares_announce_region_logged(struct announce *announce, const struct announce_log_row *row,
				   int err);

/*
 * announce_job.c. A job is begun when none is out; shares_announce_job_done (announce.c) gets its
 * end.
 */
WEFT_MUST_CHECK
int shares_announce_job_init(struct announce_job *job, struct announce *announce,
			     struct arena *arena);
/* shares_announce_job_{look,list}: 0, WEFT_EFULL (later), -ENOMEM. */
WEFT_MUST_CHECK
int shares_announce_job_look(struct announce_job *job, const uint8_t id[static 32]);
WEFT_MUST_CHECK
int shares_announce_job_list(struct announce_job *job, uint32_t region,
			     bool (*is_wanted)(void *arg, const uint8_t id[static 32]));
void shares_announce_job_stop(struct announce_job *job);
void shares_announce_job_done(struct announce *announce);

/*
 * announce_put.c. shares_announce_put_{record,set}: 0 when it is under way, or what the overlay
 * says. shares_announce_put_done (announce.c) gets its end: err 0 when a node took it.
 */
bool shares_announce_can_put(const struct announce *announce);
WEFT_MUST_CHECK
int shares_announce_put_record(struct announce *announce, enum announce_tag tag,
			       const uint8_t id[static 32], uint64_t announced_s, uint64_t now_ns);
WEFT_MUST_CHECK
int shares_announce_put_set(struct announce *announce, const struct announce_job *listed,
			    uint64_t announced_s, uint64_t now_ns);
void shares_announce_puts_stop(struct announce *announce);
void shares_announce_put_done(struct announce *announce, const struct announce_log_row *row,
			      int err, uint64_t now_ns);

/* holder_finder.c */
WEFT_MUST_CHECK
int shares_announce_finder_init(struct announce *announce);
void shares_announce_finder_stop(struct announce *announce);
void shares_announce_finder_fini(struct announce *announce);
void shares_announce_finder_fill_stats(const struct announce *announce,
				       struct announce_stats *stats);

#endif
