/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_FOLLOW_FOLLOW_SYNC_H
#define WEFT_SHARES_FOLLOW_FOLLOW_SYNC_H

#include "base/thread/jobs.h"
#include "follow_state.h"
#include "shares/head_ask.h"
#include "blobs/swarm/swarm.h"

/*
 * A sync under way, private to sync*.c:
 *
 *	heads	  the overlay and the hinted nodes are asked at once; when all have
 *		  answered or failed, the newest head is judged
 *	move	  the head names another key: back to heads, of that (follow_sync_move.c)
 *	manifests its manifest and the parts of that, a few at a time, from our own
 *		  store or from the swarm of the revision
 *	blocklist the file of that name, if the revision has another one
 *	saving	  waits until all of it is durable
 */
#define SYNC_ASKS_MAX  4u /* manifests on their way at once, a MiB each */
#define SYNC_REPLY_CAP (MANIFEST_LEN_MAX + MESSAGE_HEAD_CAP + MESH_FRAME_OVERHEAD)
/* Manifests are handed to the store when so many bytes wait. */
#define SYNC_BATCH_LEN	(4u << 20)
#define FOLLOW_NOTE_CAP 160u

enum sync_step { SYNC_HEADS, SYNC_MANIFESTS, SYNC_BLOCKLIST, SYNC_SAVING };

/* The question to one node for a head. */
struct sync_head_ask {
	struct head_ask ask; /* first */
	struct sync *sync;
	const uint8_t *key; /* of the node */
};

/* An object on its way here: a manifest, or the one chunk of a blocklist. */
struct sync_ask {
	struct job job; /* first: reads it from our own store */
	struct sync *sync;
	bool is_busy;
	bool is_stored; /* it came from our own store */
	void (*got)(struct sync_ask *ask, uint64_t now_ns);
	uint32_t index; /* of a part in the root; SYNC_ROOT: the root, or a whole */
	uint8_t id[32];
	uint8_t *buf;	      /* SYNC_REPLY_CAP bytes; NULL: none yet */
	const uint8_t *bytes; /* what came, inside buf */
	size_t len;
	int err;
	struct swarm_ask swarm;
};
#define SYNC_ROOT UINT32_MAX
/* Nodes that are asked for a head: those of the link, and members. */
#define SYNC_NODES_MAX (FOLLOW_HINTS_MAX + FOLLOW_KEEPERS_MAX)

struct sync {
	struct follows *follows;
	struct followed *followed; /* NULL: no share wants it any more */
	enum sync_step step;
	int err;
	const char *what; /* it was about */

	/* heads */
	struct overlay_run *run;
	struct share_head overlay_head; /* the newest that the overlay gave; seq 0: none */
	struct link_node keepers[FOLLOW_KEEPERS_MAX]; /* asked after those of the link */
	unsigned keeper_cnt;
	struct sync_head_ask head_asks[SYNC_NODES_MAX];
	unsigned head_wait_cnt; /* of run and head_asks */
	bool is_heard;		/* a node answered, with a head or without */
	struct head_seen best;	/* seq 0: none */
	struct share_head
		future; /* the newest of the share's that is dated ahead of us; seq 0: none */
	char note[FOLLOW_NOTE_CAP]; /* why a known revision is not taken; "" */

	/* manifests */
	struct swarm *swarm;
	struct follow_revision revision; /* that is fetched */
	struct manifest *root;		 /* or the whole */
	uint8_t *root_bytes;
	uint8_t *part_ids; /* of the root, 32 bytes each */
	uint32_t part_cnt, part_next, part_done_cnt;
	struct sync_ask asks[SYNC_ASKS_MAX];
	struct store_batch *batch; /* NULL: nothing waits */
	size_t batch_len;
	unsigned save_cnt; /* batches under way */
	unsigned job_cnt;
	unsigned row_cnt; /* followed->row_cnt when it was */

	/* blocklist: the item of that name in the revision, if there is one */
	bool has_blocklist;
	uint8_t blocklist_id[32];
	uint64_t blocklist_len;
	uint8_t blocklist_stored[32]; /* the manifest that has the item */
	uint32_t blocklist_item;
	struct blocklist blocklist; /* verified, not in use yet */
	bool is_blocklist_here;
};

/* follow_sync.c: shares_sync_step_done: the step is over; with sync->err set the sync is. */
void shares_sync_step_done(struct sync *sync, uint64_t now_ns);
/* shares_sync_fail notes the first error; what is a literal. */
void shares_sync_fail(struct sync *sync, int err, const char *what);

/* shares_sync_free_unused frees a sync without a share when nothing of it is under way. */
void shares_sync_free_unused(struct sync *sync);

/* follow_sync_head.c */
void shares_sync_heads_begin(struct sync *sync, uint64_t now_ns);
void shares_sync_heads_cancel(struct sync *sync);
/*
 * shares_sync_heads_judge takes the newest head into followed, if it is newer than what was
 * ever seen, and reports those that are older. 0, WEFT_EABSENT or WEFT_EUNREACHABLE.
 */
WEFT_MUST_CHECK
int shares_sync_heads_judge(struct sync *sync);
/*
 * follow_sync_move.c: where the newest head names a successor, followed becomes one of that share, and its heads
 * are to be asked for: true. False: it names none, or more than HEAD_SUCCESSORS_MAX one after the
 * other, or one that is followed already.
 */
bool shares_sync_move(struct sync *sync);
/* shares_sync_put puts the head into the overlay again when that has lost it, or soon will have. */
void shares_sync_put(struct sync *sync, uint64_t now_ns);

/*
 * follow_sync_ask.c: shares_sync_ask_start fetches the object that ask's id names, from this
 * node's store or from the swarm. got later receives the bytes that the id names, or err. type
 * is MESH_GET_MANIFEST, or MESH_GET_CHUNK for a file of one chunk. 0, -ENOMEM or as
 * blobs_swarm_ask.
 */
WEFT_MUST_CHECK
int shares_sync_ask_start(struct sync_ask *ask, unsigned type,
			  void (*got)(struct sync_ask *ask, uint64_t now_ns), uint64_t now_ns);
/* shares_sync_batch: what is saved next; shares_sync_save puts an object there. */
struct store_batch *shares_sync_batch(struct sync *sync);
void shares_sync_save(struct sync *sync, const struct sync_ask *ask);
/* shares_sync_save_flush submits what waits. */
void shares_sync_save_flush(struct sync *sync);

/* follow_sync_manifest.c */
void shares_sync_manifests_begin(struct sync *sync, uint64_t now_ns);
/* follow_sync_blocklist.c */
void shares_sync_blocklist_begin(struct sync *sync, uint64_t now_ns);

#endif
