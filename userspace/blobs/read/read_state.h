/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_READ_READ_STATE_H
#define WEFT_BLOBS_READ_READ_STATE_H

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs/blobs.h"
#include "blobs/content_message.h"
#include "blobs/object.h"
#include "read.h"
#include "blobs/swarm/swarm.h"
#include "crypto/blake3/blake3.h"

/* The state that read*.c share. */
#define READER_PLACES_MAX     8u /* files of the content that are tried */
#define READER_DETAIL_CAP     256
#define READER_SIZE_TRIES_MAX 3u /* of nodes that state a length without proof */
#define READER_PROOF_LEN      (MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN)
#define READER_HALF_CNT	      ((unsigned)(BLAKE3_CHUNK_LEN / READER_PROOF_LEN))
/*
 * A user watches the bytes as they are read. A source from which no byte comes for so long is
 * left. A reader that had bytes and gets no more from any source ends.
 */
#define READER_STALL_NS	 (4 * NS_PER_S)
#define READER_SILENT_NS (8 * NS_PER_S)
/* Nodes above the groups of a proof, and the frame around it. */
#define READER_PROOF_CAP (READER_PROOF_LEN + 8192u)

enum reader_chunk_state {
	READER_CHUNK_NONE,
	READER_CHUNK_HERE,  /* a job reads it */
	READER_CHUNK_THERE, /* others are asked */
	READER_CHUNK_READY,
};

/* A part of a chunk as it is asked for and proved. */
struct reader_half {
	struct swarm_ask ask;
	struct reader_chunk *chunk;
	bool is_out, is_here;
	uint8_t proof[READER_PROOF_CAP];
};

struct reader_chunk {
	struct job job; /* first */
	struct reader *reader;
	enum reader_chunk_state state;
	uint64_t idx;
	size_t len;
	int err; /* of the job */
	struct reader_half halves[READER_HALF_CNT];
	uint8_t data[BLAKE3_CHUNK_LEN];
};

/* Looks for a file of the content on this disk. */
struct reader_find {
	struct job job; /* first */
	struct reader *reader;
	struct object_file places[READER_PLACES_MAX];
	unsigned place_cnt;
	struct object_locations locations;
	unsigned found; /* of places, with fd */
	int fd;
};

enum reader_step {
	READER_SEARCHING,
	READER_OPENING,
	READER_SIZING, /* how long is it, and what of it is wanted? */
	READER_RUNNING,
	READER_ENDING,
};

struct reader {
	struct timer timer; /* first */
	struct timer watch; /* while others are asked */
	bool has_streamed;  /* a part came from others */
	uint64_t came_ns;   /* the last one, or when the first was asked for behind it */
	struct reader *next;
	struct blobs *content;
	uint64_t now_ns; /* the time of the last call that passed one */
	struct reader_ask ask;
	enum reader_step step;
	bool is_paused;	  /* the last piece was not taken */
	bool is_silent;	  /* cancelled: no callback comes any more */
	unsigned job_cnt; /* out */
	struct reader_find find;
	int fd;	       /* of the file here; -1: there is none */
	bool is_stale; /* it is not what it was: closed when no job reads it */
	unsigned reading_cnt;
	struct object_file file;
	bool is_sized;
	uint64_t size_told; /* by a node, which is yet to prove it */
	unsigned size_try_cnt;
	unsigned size_tried_cnt; /* nodes that stated a length and did not prove it */
	uint8_t size_tried[READER_SIZE_TRIES_MAX][MESH_KEY_LEN];
	bool has_origin;
	struct reader_origin origin; /* its hints point below */
	struct mesh_peer hints[READER_HINTS_MAX];
	struct addr hint_addrs[READER_HINTS_MAX][MESH_PEER_ADDRS_MAX];
	struct peer_via hint_vias[READER_HINTS_MAX][PEER_VIAS_MAX];
	struct swarm *swarm; /* NULL: no node was asked yet */
	uint64_t next_chunk; /* the next to fetch */
	uint64_t out_chunk;  /* the next to hand out */
	uint64_t end_chunk;
	struct reader_chunk *chunks; /* READER_CHUNK_CNT; chunk idx is at idx % READER_CHUNK_CNT */
	int err;
	char detail[READER_DETAIL_CAP];
};

/* read.c */
/* blobs_reader_wake: something happened; reader_run follows in this turn. */
void blobs_reader_wake(struct reader *reader);
/* blobs_reader_submit: false: no job can be submitted now, it is tried again. */
bool blobs_reader_submit(struct reader *reader, struct job *job, job_fn run, job_fn done);
/* blobs_reader_job_done: each done function calls it first; false: the reader is ending. */
bool blobs_reader_job_done(struct reader *reader);
/* blobs_reader_fail ends it; the first reason counts. */
void blobs_reader_fail(struct reader *reader, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* read_here.c */
bool blobs_reader_find_begin(struct reader *reader);
bool blobs_reader_open_begin(struct reader *reader);
bool blobs_reader_chunk_read(struct reader_chunk *chunk);
void blobs_reader_file_close(struct reader *reader);

/* read_there.c */
/* blobs_reader_chunk_ask: false: no node can be asked now, it is tried again, or the reader failed. */
bool blobs_reader_chunk_ask(struct reader_chunk *chunk, uint64_t now_ns);
void blobs_reader_chunk_ask_cancel(struct reader_chunk *chunk);
/*
 * blobs_reader_size_ask asks for the file's length, unless a request is under way. It takes two
 * steps: the length in the first group's answer may be false, the last group's proof is not.
 */
void blobs_reader_size_ask(struct reader *reader, uint64_t now_ns);
/* blobs_reader_watch ends a reader whose sources are gone; its timer runs while others are asked. */
void blobs_reader_watch(struct timer *watch, uint64_t now_ns);

#endif
