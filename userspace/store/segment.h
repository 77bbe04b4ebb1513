/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_STORE_SEGMENT_H
#define WEFT_STORE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/stop.h"
#include "weft/err.h"

/*
 * Segment files: append-only, numbered from 1, named NNNNNNNN.seg. A
 * record is a header of 64 bytes and the blob's bytes, padded to 64:
 *	"WSEG" | version u8 1 | zero 3 | length u64be | blob id 32 | zero 8 |
 *	check u64be
 * check is the SipHash of the 56 bytes before it, chained through the
 * SipHash of every 64 KiB of the blob. Only bytes that a database commit has
 * named are durable. Any bytes after them in the newest segment are a torn
 * tail and are cut off at open.
 *
 * Context: the holder of the store's write lock, except store_segment_read,
 * store_segment_verify and store_segment_scan, which any thread may call.
 */
#define SEGMENT_RECORD_ALIGN 64u
#define SEGMENT_HEADER_LEN   64u

struct segment_place {
	const uint8_t *id; /* of the blob, 32 bytes; borrowed */
	uint32_t segment;
	uint64_t off; /* of the record's header */
	uint64_t len; /* of the blob */
};

struct segments {
	int dir_fd;
	int head_fd;	      /* -1: the next append opens it */
	uint32_t head;	      /* number of the segment that grows; 0: none yet */
	uint64_t head_len;    /* bytes written to it */
	uint32_t durable;     /* the segment that grew at the last commit */
	uint64_t durable_len; /* its bytes that the commit covers */
	uint64_t len_max;     /* a segment is sealed beyond this */
	bool is_dir_dirty;    /* a file was made since the last sync */
};

/* The bytes that a blob of len bytes takes in a segment. */
static inline uint64_t segment_record_len(uint64_t len)
{
	uint64_t whole = SEGMENT_HEADER_LEN + len;

	return (whole + SEGMENT_RECORD_ALIGN - 1) / SEGMENT_RECORD_ALIGN * SEGMENT_RECORD_ALIGN;
}

/*
 * store_segments_open makes the directory "segments" under state_fd if absent
 * and cuts the torn tail of segment durable (0: none yet). A segment
 * shorter than durable_len is damaged; it is sealed as it is, and reads
 * beyond its end say so. 0 or -errno.
 */
WEFT_MUST_CHECK
int store_segments_open(struct segments *s, int state_fd, uint64_t len_max, uint32_t durable,
			uint64_t durable_len);
void store_segments_close(struct segments *s);

/* store_segments_append writes a record at the head. 0 or -errno; undo takes back. */
WEFT_MUST_CHECK
int store_segments_append(struct segments *s, const uint8_t id[static 32], const void *data,
			  size_t len, struct segment_place *out_place);
/* store_segments_seal makes the next append begin a new segment. */
void store_segments_seal(struct segments *s);
/* store_segments_sync makes what was appended survive a power cut. 0 or -errno. */
WEFT_MUST_CHECK
int store_segments_sync(struct segments *s);
/* store_segments_keep: the databases named what was appended. */
void store_segments_keep(struct segments *s);
/*
 * store_segments_undo forgets all appends since the last keep. The files stay
 * as they are, since a commit that failed half-way may yet turn out to name
 * them. store_segments_trim gives the bytes back to the file system, when no
 * commit was tried.
 */
void store_segments_undo(struct segments *s);
void store_segments_trim(struct segments *s);
/* store_segment_file_len: 0, WEFT_EABSENT or -errno. */
WEFT_MUST_CHECK
int store_segment_file_len(int dir_fd, uint32_t number, uint64_t *out_len);
/* store_segments_remove unlinks a sealed segment. 0 or -errno. */
WEFT_MUST_CHECK
int store_segments_remove(struct segments *s, uint32_t number);
/* store_segments_each lists the files that are there, in no order. 0 or -errno. */
WEFT_MUST_CHECK
int store_segments_each(int dir_fd, void (*fn)(void *arg, uint32_t number), void *arg);

/*
 * store_segment_read reads [off, off + len) of the blob at place and checks its
 * record whole, for which it reads all of it. 0,
 * WEFT_EABSENT (no such file), WEFT_EDAMAGED or -errno. May wait on disk.
 */
WEFT_MUST_CHECK
int store_segment_read(int dir_fd, const struct segment_place *place, uint64_t off, void *dst,
		       size_t len);
/* store_segment_verify checks the whole record in bounded memory; errors as store_segment_read. */
WEFT_MUST_CHECK
int store_segment_verify(int dir_fd, const struct segment_place *place);
/*
 * store_segment_scan calls fn for every record in the file with a sound
 * header, in order, until fn returns other than 0. Bytes that are no
 * record are stepped over. stop (NULL: none) is asked before each read.
 * Returns what fn returned, 0, WEFT_ECANCELLED or -errno.
 */
WEFT_MUST_CHECK
int store_segment_scan(int dir_fd, uint32_t number, const struct store_stop *stop,
		       int (*fn)(void *arg, const struct segment_place *place), void *arg);

/* store_file_read fills dst with bytes of any file: 0, WEFT_EDAMAGED (it ends before) or -errno. */
WEFT_MUST_CHECK
int store_file_read(int fd, void *dst, size_t len, uint64_t off);

#endif
