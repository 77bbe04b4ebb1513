/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_BUNDLE_BUNDLE_FILE_H
#define WEFT_SOCIAL_BUNDLE_BUNDLE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "social/object/post_claim.h"
#include "social/object/visibility.h"
#include "weft/err.h"

/*
 * Everything that a node has of people and posts, as one file:
 *
 *	"weft social bundle 1\n" | records | end
 *	record: kind u8 | length u32be | bytes
 *	end: kind 0 | length 40 u32be | how many records u64be | BLAKE3 of all before this record 32
 *
 * Under a passphrase the same bytes lie in a sealed file (crypto/sealed_file.h). Keys are in such a
 * bundle alone: the writer refuses their records otherwise, and so does the reader.
 *
 * Whatever the file's length, one record is in memory. Any thread; waits on the disk, and for a second
 * on a passphrase.
 */
enum bundle_kind {
	BUNDLE_END,
	BUNDLE_POST, /* marks u16be | lengths of post and claim u32be | post, claim, visibility */
	BUNDLE_DELETION, /* as its author signed it */
	BUNDLE_PROFILE,	 /* likewise */
	BUNDLE_FOLLOW,	 /* persona 32 | person 32 | enum follow_kind u8 | petname */
	/* persona 32 | rank u8 | has it a profile? u8 | picture 32 | length u8, name; likewise of the
	   profile | text of the profile */
	BUNDLE_CIRCLE,
	BUNDLE_MEMBER,	/* person 32, of the circle before */
	BUNDLE_BLOCK,	/* person 32 */
	BUNDLE_PERSONA, /* seed 32 | flags u8 | next seed 32, drawn u64be | label; sealed alone */
	BUNDLE_DRAFT,	/* id 16 | a row of STORE_DRAFTS (write/post_drafts.h) */
	BUNDLE_FEED,	/* length u8, name | filter */
	BUNDLE_GROUP,	/* group 32 | person of this node 32 | name */
	BUNDLE_STATE,	/* the newest of a shard, of the group before, as its admin signed it */
	BUNDLE_SECRET, /* shard u32be | epoch u64be | secret key 32, of the group before; sealed alone */
	BUNDLE_ANSWER, /* person 32 | accepted 1 or refused 0 u8 | when u64be in ms */
	BUNDLE_KIND_CNT,
};
#define BUNDLE_POST_HEAD_LEN 10u
#define BUNDLE_RECORD_MAX                                                                          \
	(BUNDLE_POST_HEAD_LEN + POST_LEN_MAX + POST_CLAIM_LEN_MAX + VISIBILITY_LEN_MAX)

struct bundle_writer;
/* bundle_writer_open: fd, borrowed, is an empty file; passphrase NULL: it is not sealed. */
WEFT_MUST_CHECK
int social_bundle_writer_open(int fd, const char *passphrase, struct bundle_writer **out_writer);
/* social_bundle_add: an error is sticky, and comes from finish: WEFT_EREFUSED for a key, WEFT_ETOOLARGE. */
void social_bundle_add(struct bundle_writer *writer, enum bundle_kind kind, const void *bytes,
		       size_t len);
/* social_bundle_finish writes the end, and waits for the disk. */
WEFT_MUST_CHECK
int social_bundle_finish(struct bundle_writer *writer);
/* social_bundle_writer_close takes NULL. A file that was not finished is refused when it is read. */
void social_bundle_writer_close(struct bundle_writer *writer);

/* Why a file is none, and where. */
struct bundle_fault {
	uint64_t off;	  /* of the record in the bundle, as it was written */
	const char *what; /* for people; static */
};
struct bundle_record {
	enum bundle_kind kind;
	const uint8_t *bytes; /* until the next one */
	size_t len;
};
struct bundle_reader;
/*
 * social_bundle_reader_open reads the whole file of fd, borrowed, once: what it gives later was found
 * whole. 0, or, with *out_fault set but for the last three:
 *   WEFT_EMALFORMED it is no bundle, or one of a later version
 *   WEFT_EDAMAGED   it was altered, or cut short
 *   WEFT_ESEALED    it is sealed, under another passphrase or where passphrase is NULL
 *   -ENOMEM, -errno
 */
WEFT_MUST_CHECK
int social_bundle_reader_open(int fd, const char *passphrase, struct bundle_reader **out_reader,
			      struct bundle_fault *out_fault);
/* social_bundle_next: 1 and a record; 0 behind the last one; or an error as above. */
WEFT_MUST_CHECK
int social_bundle_next(struct bundle_reader *reader, struct bundle_record *out_record);
/* social_bundle_off: where the latest record began. */
uint64_t social_bundle_off(const struct bundle_reader *reader);
void social_bundle_reader_close(struct bundle_reader *reader);

/* social_bundle_post_{write,parse}: the record of a post. 0 or WEFT_EMALFORMED. */
struct bundle_post {
	uint16_t marks;
	const uint8_t *post, *claim, *visibility;
	size_t post_len, claim_len, visibility_len;
};
void social_bundle_post_write(struct writer *w, const struct bundle_post *post);
WEFT_MUST_CHECK
int social_bundle_post_parse(const struct bundle_record *record, struct bundle_post *out_post);

#endif
