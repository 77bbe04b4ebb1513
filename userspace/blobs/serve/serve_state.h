/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVE_STATE_H
#define WEFT_BLOBS_SERVE_SERVE_STATE_H

#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "base/fair/fair.h"
#include "blobs/blobs.h"
#include "buffer_queue.h"
#include "chunk_buffers.h"
#include "members.h"
#include "in_progress.h"
#include "served_index.h"
#include "serve.h"
#include "serve_call.h"
#include "uploads.h"
#include "usage.h"

/*
 * The state that the files of blobs/serve share.
 *
 *	serve.c		life; a request becomes a call, or is refused
 *	serve_limit.c	when a call begins that asks for bytes
 *	serve_call.c	a call's way to its answer
 *	buffer_queue.c	whose turn it is when all buffers are in use
 *	serve_locate.c	where the bytes are that it asks for
 *	serve_read.c	reading them
 *	serve_proof.c	range proofs
 *	serve_have.c	which contents are here (499)
 *	serve_members.c which other nodes have them (498)
 *	serve_usage.c	what was sent to each peer
 */
#define MANIFEST_BUFFERS 8u
/* Calls that share a buffer are cheap, but not free. */
#define SERVE_CALLS_PER_BUFFER 32u

/*
 * Range proofs in work: each has a room for a whole chunk list. Any peer that may read a file can
 * have its proofs made here, in a room for each. A call that finds none waits for one, in order.
 * It has a buffer already, and buffers are shared fairly. So a network holds no more of the order
 * than of the buffers. An honest peer waits for as many proofs as there are buffers at most.
 * Pages of a room are touched as far as the chunk list of the largest file goes.
 */
#define PROOF_ROOMS 2u
struct proofs {
	struct proof_room *rooms;
	struct fair slots; /* of calls with a room; for the view of it */
	struct list_node waiting;
};

struct have_table;

struct serve {
	struct blobs *content;
	const struct mesh_ops *mesh; /* of content */
	struct chunk_buffers buffers, manifests;
	struct fair chunk_slots, manifest_slots;	 /* of calls that pay for a buffer */
	struct buffer_queue chunk_queue, manifest_queue; /* of calls that wait for one */
	struct arena arena;
	struct pool calls;
	uint32_t job_cnt; /* out */
	bool is_ended;	  /* freed with the last span that is lent */
	uint64_t served_byte_cnt, served_chunk_cnt, refused_busy_cnt, changed_cnt;
	uint64_t shared_read_cnt; /* chunks that were answered from what another call read */
	uint64_t read_byte_cnt;	  /* of chunks that were read from files */
	struct serve_files files;
	struct in_progress in_progress;
	struct have_table *haves;
	struct proofs proofs;
	struct members members;
	struct uploads uploads;
	struct timer upload_timer;
	struct usage peer_usage, content_usage;
	uint64_t now_ns; /* the time of the last turn that passed one */
};

static inline const struct mesh_ops *serve_mesh(const struct serve *serve)
{
	return serve->mesh;
}

/*
 * serve.c. blobs_serve_unblind: id is asked for by a blinded name with that second half. It
 * becomes the id that this names. Where this node cannot tell, it stays one that nothing here
 * has. blobs_serve_reader: the peer of key as a reader here, by the name it asked with; name is
 * borrowed. blobs_serve_in_progress_find: the in-progress file or manifest of id that the reader
 * may read, or NULL.
 */
void blobs_serve_unblind(struct serve *serve, uint8_t id[static 32],
			 const uint8_t veiled[static 32], struct serve_name *out_name);
struct served_reader blobs_serve_reader(struct serve *serve, const uint8_t key[static MESH_KEY_LEN],
					const struct serve_name *name);
/*
 * serve_have.c: a file of the content is here that reader may read; counts_changed: also one that
 * was found changed.
 */
bool blobs_serve_has_content(struct serve *serve, struct store_snapshot *snapshot,
			     const uint8_t *id, const struct served_reader *reader,
			     bool counts_changed);
struct in_progress_file *blobs_serve_in_progress_find(const struct serve *serve,
						      const uint8_t id[static 32],
						      const struct served_reader *reader);

/*
 * serve_call.c. blobs_serve_call_new makes a call of a request. Returns NULL when there are too
 * many, and then has answered. blobs_serve_call_start goes on as far as it can with a call that
 * has all it needs to be answered. It ends with the answer, with a job, or with waiting for
 * another call's job. blobs_serve_call_refuse ends a call.
 */
/* blobs_serve_call_drop ends a call whose asker left, before it was started. */
void blobs_serve_call_drop(struct serve_call *call);
struct serve_call *blobs_serve_call_new(struct serve *serve, const struct mesh_call *asked);
void blobs_serve_call_start(struct serve_call *call);
void blobs_serve_call_refuse(struct serve_call *call, enum mesh_code code, const char *text,
			     uint64_t not_before_ms);
/* blobs_serve_call_refuse_busy: pool has nothing for the asker; BUSY states when to retry. */
void blobs_serve_call_refuse_busy(struct serve_call *call, struct fair *pool);
/* blobs_serve_call_slots: of the calls that pay for a buffer such as call's. */
struct fair *blobs_serve_call_slots(const struct serve_call *call);
/*
 * blobs_serve_call_acquire_buffer: call has a buffer; false: it waits for one, and
 * blobs_serve_call_start will be called, or it was refused.
 */
bool blobs_serve_call_acquire_buffer(struct serve_call *call);
/* blobs_serve_call_send answers call, which is still to be answered: head, and len bytes of its buffer. */
void blobs_serve_call_send(struct serve_call *call, unsigned type, const void *head,
			   size_t head_len, size_t len);
/* serve.c: frees what is left of a serve that was freed, once nothing of it is lent any more. */
void blobs_serve_try_destroy(struct serve *serve);

/*
 * serve_limit.c. blobs_serve_call_admit begins a call now, or when the limits allow,
 * or refuses it.
 */
void blobs_serve_call_admit(struct serve_call *call);
void blobs_serve_limits_init(struct serve *serve);
void blobs_serve_limits_fini(struct serve *serve);

/*
 * serve_proof.c. blobs_serve_proof_enter gives call a room; false: it is in the order of those
 * that wait for one. blobs_serve_proof_leave gives the call's room back, if it has one.
 * blobs_serve_proof_next takes the first call out of the order while a room is free, or NULL.
 */
WEFT_MUST_CHECK
int blobs_serve_proofs_init(struct serve *serve, const uint64_t secret[2]);
bool blobs_serve_proof_enter(struct serve_call *call);
void blobs_serve_proof_leave(struct serve_call *call);
struct serve_call *blobs_serve_proof_next(struct proofs *proofs);

/*
 * blobs_serve_locate finds the in-progress file or the file that a call is answered from,
 * not yet opened. 0, WEFT_EABSENT, WEFT_EFULL (all places for files are in use) or
 * an error. blobs_serve_leave_place gives back what it found.
 */
WEFT_MUST_CHECK
int blobs_serve_locate(struct serve_call *call);
void blobs_serve_leave_place(struct serve_call *call);

/*
 * serve_have.c. blobs_have_table_stop when no job of it is out: nothing begins any
 * more. All but init take NULL.
 */
WEFT_MUST_CHECK
int blobs_have_table_init(struct serve *serve, const uint64_t secret[2]);
bool blobs_have_table_has_jobs(const struct have_table *haves);
void blobs_have_table_stop(struct have_table *haves);
/* blobs_have_table_read: its places, and the address that holds most of them. */
void blobs_have_table_read(const struct have_table *haves, struct fair_view *out_view,
			   struct addr *out_largest);
bool blobs_have_table_is_lent(const struct have_table *haves);
void blobs_serve_have_asked(void *ctx, const struct mesh_call *asked, uint64_t now_ns);

/* serve_members.c; blobs_serve_members_start answers a call for members. */
void blobs_serve_members_start(struct serve_call *call);
void blobs_serve_members_asked(void *ctx, const struct mesh_call *asked, uint64_t now_ns);

#endif
