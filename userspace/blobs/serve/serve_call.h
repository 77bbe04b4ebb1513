/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SERVE_SERVE_CALL_H
#define WEFT_BLOBS_SERVE_SERVE_CALL_H

#include "base/fair/fair.h"
#include "base/thread/jobs.h"
#include "base/list.h"
#include "base/fair/turns.h"
#include "blobs/content_message.h"
#include "chunk_buffers.h"
#include "serve_file.h"
#include "uploads.h"
#include "mesh/seam.h"

struct in_progress_file;
struct proof_room;
struct serve;
struct store;

/* By what name something was asked for (blobs/scope.h). */
struct serve_name {
	bool is_blind;
	uint8_t community[32]; /* its members can compute the name */
	uint8_t half[32];      /* of the blinded id; the answer says it again */
};

/*
 * A request in hand. Its worker owns it; while its job is out the job reads
 * type, request and store, works on file and buffer, and writes answer.
 */
struct serve_call {
	struct job job; /* first: the job is the call */
	struct serve *serve;
	struct store *store;
	struct mesh_incoming *incoming; /* NULL: the asker left */
	uint8_t peer_key[MESH_KEY_LEN]; /* of the asker */
	struct addr asker_addr;		/* when it asked */
	uint64_t asked_ns;
	struct fair_path path;	/* where its slot belongs */
	struct fair_item slot;	/* while it pays for a buffer (serve_call.c) */
	struct fair_item place; /* while it waits for one (buffer_queue.h) */
	struct turns_item turn; /* likewise */
	bool has_turn;		/* the next buffer is its own */
	bool is_named;		/* it asks for what others may ask for: */
	struct chunk_name name;
	unsigned type;			/* of the request */
	struct message_request request; /* its id as it is, unblinded */
	struct serve_name asked_by;
	struct upload upload;		  /* of a call that asks for bytes */
	struct in_progress_file *partial; /* or file, or neither for a manifest */
	struct serve_file *file;
	int fd;				 /* the file's, or one the job opened */
	unsigned seen_cnt;		 /* locations that were looked at */
	uint8_t seen_key[OBJECT_ID_LEN]; /* the last of them */
	unsigned try_cnt;		 /* and searches for one to try */
	bool was_changed;		 /* one of them is not what it was */
	bool is_racy;			 /* the chunk is verified after it is read */
	bool is_settling;		 /* and then it is racy no longer */
	uint32_t ahead_cnt;		 /* chunks behind it that are read ahead */
	bool is_reader;			 /* others may wait for what this call reads */
	struct list_node waiting;	 /* for the reader of the same chunk, or for a room */
	struct proof_room *room;	 /* while it makes a proof */
	struct fair_item proof_slot;	 /* likewise */
	struct list_node user;		 /* of the calls that use its buffer */
	uint8_t *buffer;
	size_t buffer_cap;
	struct message_answer answer; /* its bytes lie in buffer */
	int err;
};

/*
 * blobs_serve_call_work reads what the call's answer consists of; with is_waiting
 * only in a job. 0, -EAGAIN (a disk must be waited for), WEFT_EABSENT,
 * WEFT_ECHANGED, WEFT_ETOOLARGE, or another error.
 */
WEFT_MUST_CHECK
int blobs_serve_call_work(struct serve_call *call, bool is_waiting);
/* blobs_serve_call_read opens the call's file if need be and reads from it, in a job. */
WEFT_MUST_CHECK
int blobs_serve_call_read(struct serve_call *call, uint64_t off, void *dst, size_t len);
/* blobs_serve_call_recheck: the file, which is open, is what it was. 0 or as blobs_serve_call_work. */
WEFT_MUST_CHECK
int blobs_serve_call_recheck(const struct serve_call *call);

/*
 * blobs_serve_proof_run makes the proof a RANGE_PROOF asks for, in a job that has a room. 0,
 * WEFT_EABSENT (no such groups), WEFT_ETOOLARGE (the chunk list of so
 * large a file is not held), WEFT_ECHANGED or another error.
 */
WEFT_MUST_CHECK
int blobs_serve_proof_run(struct serve_call *call);

#endif
