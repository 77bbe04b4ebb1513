/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_READ_READ_H
#define WEFT_BLOBS_READ_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/seam.h"
#include "weft/err.h"

/*
 * Reading a part of a file by its content id, in order, whether the file is here or not. Every
 * byte is verified before it is handed out:
 *
 *	read.c	     life, the window of chunks ahead, handing out
 *	read_here.c  finds a file on this disk and reads it, in jobs
 *	read_there.c asks the nodes of a swarm for proofs of what is not here
 *	tree.c	     from a path in a collection to its content id
 *
 * Bytes that come from others are kept nowhere: a reader is for looking into a file, a get is
 * for having it. Home worker; nothing blocks.
 */
struct blobs;
struct store;
struct reader;
struct readers;

#define READERS_MAX	   32u /* at once */
#define READER_CHUNK_CNT   4u  /* ahead of what was handed out */
#define READER_HINTS_MAX   8u
#define READER_SIZE_UNTOLD UINT64_MAX

/* The origin of a file that is not here: its place in a collection, or any node. */
struct reader_origin {
	bool has_manifest;	 /* else the reader looks for nodes that have the content */
	uint8_t manifest_id[32]; /* the nodes to ask are those that have this collection */
	uint8_t part_id[32];	 /* the manifest, it or a part of it, that lists the file */
	uint32_t item;		 /* at this place */
	const struct mesh_peer *hints;
	unsigned hint_cnt; /* those beyond READER_HINTS_MAX are left out */
};

struct reader_ask {
	uint8_t content_id[32];
	uint64_t size;			    /* of the file, or READER_SIZE_UNTOLD */
	uint64_t off, len;		    /* inside it; left to opened, if there is one */
	const struct reader_origin *origin; /* copied; NULL: only if it is here */
	/*
	 * opened, may be NULL unless the size is untold: once, before any piece: what part
	 * of the file, which has size bytes, is wanted? false: none, and done is not called.
	 * piece: the next bytes, borrowed; false: not now, they come again after
	 * blobs_reader_resume. done ends the reader, once: 0, or why with a sentence for
	 * people. Neither is called from within blobs_reader_start, blobs_reader_resume or
	 * blobs_reader_cancel.
	 */
	bool (*opened)(void *arg, uint64_t size, uint64_t *out_off, uint64_t *out_len,
		       uint64_t now_ns);
	bool (*piece)(void *arg, const uint8_t *data, size_t len, uint64_t now_ns);
	void (*done)(void *arg, int err, const char *detail, uint64_t now_ns);
	void *arg;
};

WEFT_MUST_CHECK
int blobs_readers_new(struct blobs *content, struct readers **out_readers);
/* blobs_readers_free ends all, untold; it waits for jobs. */
void blobs_readers_free(struct readers *readers);
unsigned blobs_readers_cnt(const struct readers *readers);
/* blobs_readers_footprint: bytes that all readers take, when there are as many as there may be. */
size_t blobs_readers_footprint(void);

/*
 * blobs_reader_start: 0, WEFT_EFULL (READERS_MAX), WEFT_EMALFORMED (beyond size), WEFT_EREFUSED
 * (blobs_set_blocker) or -ENOMEM.
 */
WEFT_MUST_CHECK
int blobs_reader_start(struct blobs *content, const struct reader_ask *ask, uint64_t now_ns,
		       struct reader **out_reader);
void blobs_reader_resume(struct reader *reader, uint64_t now_ns);
/* blobs_reader_cancel ends it untold. */
void blobs_reader_cancel(struct reader *reader);

/*
 * Paths in a collection whose manifest is held here, with its parts. One
 * part at a time is in memory; a path among a million files costs some ten
 * parts. Waits on the disk: for jobs. Any thread.
 */
#define TREE_MIME_CAP 128

enum tree_kind { TREE_FILE, TREE_DIR };

struct tree_place {
	enum tree_kind kind;
	/* of a file */
	uint8_t content_id[32];
	uint64_t size;
	char mime[TREE_MIME_CAP]; /* "" when the manifest names none */
	uint8_t part_id[32];	  /* the manifest, or part of it, that lists the file */
	uint32_t item;		  /* at this place */
};

/* A path of a collection, without '/' at either end; "" is the whole. */
struct tree_ask {
	const uint8_t *manifest_id;
	const char *path;
	size_t len;
};
/*
 * blobs_tree_find looks for a path. 0,
 * WEFT_EABSENT (no such path), WEFT_EUNKNOWN (the manifest is not held),
 * WEFT_EDAMAGED (nor some part that is needed), -ENOMEM or -errno.
 */
WEFT_MUST_CHECK
int blobs_tree_find(struct store *store, const struct tree_ask *ask, struct tree_place *out_place);

/* The entries of a directory; texts are borrowed and have no NUL. */
struct tree_entry {
	enum tree_kind kind;
	const char *name;
	size_t name_len;
	uint64_t size; /* of a file */
};
/*
 * blobs_tree_list calls fn with each entry of a directory, in order, until it returns false. As
 * blobs_tree_find.
 */
WEFT_MUST_CHECK
int blobs_tree_list(struct store *store, const struct tree_ask *ask,
		    bool (*fn)(void *arg, const struct tree_entry *entry), void *arg);

#endif
