/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_MANIFEST_MANIFEST_H
#define WEFT_BLOBS_MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/sha256.h"
#include "weft/err.h"

struct node_key;
struct store;

/* A share is named by the SHA-256 of its public key; manifests of its revisions carry the id. */
#define SHARE_ID_LEN 32

/* The revision that says that there will be none any more; its manifest id is all zero. */
#define HEAD_SEQ_REVOKED UINT64_MAX

static inline void share_id_of(const uint8_t key[static 32], uint8_t out_id[static SHARE_ID_LEN])
{
	sha256(key, 32, out_id);
}

/*
 * The list of a collection's files, as deterministic CBOR with integer
 * keys (docs/wire/content.md):
 *	0 version 1 | 4 created s | 6 title? | 10 items[] | 12 parts[] |
 *	13 empty directories[]? | 14 symbolic links[]?
 *	item: 0 content id 32 | 1 size | 2 name | 3 path? | 4 mime? | 5 tags[]? | 6 chunk count |
 *	      7 mtime ns? | 8 executable (true)?
 *	link: 0 path | 1 text
 *	part: 0 manifest id 32 | 1 item count | 2 bytes | 3 length
 * Its name is the BLAKE3 of these bytes. There are three shapes:
 *	whole  4, 6?, 10, 13?, 14?  all items of a small collection
 *	root   4, 6?, 12            names parts, in order, never roots
 *	part   10, 13?, 14?         items of a large collection
 * path is relative and given only where it differs from name, its last part. Items, directories
 * and links each ascend by blobs_manifest_path_compare. This order makes the bytes a function of
 * the files. It also shows in one pass a path that is used twice, or as a file and a directory.
 * A link leads to a place in the collection (blobs_manifest_link_is_safe). The files' chunk
 * hashes are not in here: they prove themselves against the content id.
 *
 * A whole or root may be a revision of a share (docs/wire/share.md). Then it is the body of a
 * signed object (crypto/signed.h) with the tag "manifest", and also has
 *	1 share key 32 | 2 share id 32 | 3 sequence number | 5 expires s? | 7 description? |
 *	8 visibility (0 private, 1 public) | 9 communities[]? | 11 recommended shares[]?
 * Its name is the BLAKE3 of the whole signed object. Parts are never signed: the root
 * that names them is.
 */
#define MANIFEST_TAG	   "manifest"
#define MANIFEST_VERSION   1
#define MANIFEST_ITEMS_MAX 3000u /* of one manifest; larger folders have parts */
#define MANIFEST_PARTS_MAX 3000u
#define MANIFEST_DIRS_MAX  3000u
#define MANIFEST_LINKS_MAX 3000u
/* A call's payload is at most 1 MiB; the answer's own fields need a few bytes. */
#define MANIFEST_LEN_MAX	     ((1u << 20) - 1024u)
#define MANIFEST_PATH_LEN_MAX	     4096u
#define MANIFEST_NAME_LEN_MAX	     255u
#define MANIFEST_LINK_LEN_MAX	     4095u /* Linux: PATH_MAX with its NUL */
#define MANIFEST_TITLE_CAP	     256u
#define MANIFEST_DESCRIPTION_LEN_MAX 4096u
#define MANIFEST_MIME_LEN_MAX	     127u /* of an item: "audio/flac" */
#define MANIFEST_TAGS_MAX	     16u  /* of an item */
#define MANIFEST_TAG_LEN_MAX	     64u
#define MANIFEST_COMMUNITIES_MAX     16u
#define MANIFEST_RECOMMENDED_MAX     64u
#define MANIFEST_BYTES_MAX	     (1ull << 62) /* all sizes added up */
/* Names that begin so are weft's in a target directory, and refused in manifests. */
#define MANIFEST_STAGING_PREFIX ".weft-"

enum manifest_shape { MANIFEST_WHOLE, MANIFEST_ROOT, MANIFEST_PART };

/* Pointers borrow the bytes that were parsed; texts have no NUL. */
struct manifest_tag {
	const char *text;
	size_t len;
};
struct manifest_item {
	const char *path; /* relative, safe: "a/b/c.txt" */
	size_t path_len;
	const uint8_t *encoding; /* where it begins in the bytes */
	const uint8_t *content_id;
	uint64_t size;
	const char *mime; /* NULL: not stated */
	size_t mime_len;
	const struct manifest_tag *tags; /* ascending; NULL: none */
	uint32_t tag_cnt;
	uint64_t mtime_ns; /* of the publisher's file, since 1970; 0: not stated */
	bool is_executable;
};
struct manifest_dir {
	const char *path;
	size_t path_len;
};
struct manifest_link {
	const char *path;
	size_t path_len;
	const char *text; /* what it points to, from its own directory */
	size_t text_len;
};
struct manifest_part {
	const uint8_t *manifest_id;
	uint64_t item_cnt;
	uint64_t byte_cnt; /* of its items */
	uint64_t len;	   /* of its encoding */
};
struct manifest {
	enum manifest_shape shape;
	uint64_t created_s;
	char title[MANIFEST_TITLE_CAP]; /* "" when there is none */
	struct manifest_item *items;
	uint32_t item_cnt;
	struct manifest_part *parts;
	uint32_t part_cnt;
	struct manifest_dir *dirs; /* empty directories */
	uint32_t dir_cnt;
	struct manifest_link *links;
	uint32_t link_cnt;
	uint64_t all_item_cnt; /* with those of the parts */
	uint64_t all_byte_cnt;
	struct manifest_tag *tags; /* of all items, in their order */
	size_t tag_cnt;

	/* Of a revision of a share; zero in others. */
	bool is_signed;
	bool is_public;
	uint8_t share_key[32];
	uint8_t share_id[32];	 /* SHA-256 of it */
	uint64_t seq;		 /* in [1, 2^64 - 2] */
	uint64_t expires_s;	 /* 0: never */
	const char *description; /* NULL: none */
	size_t description_len;
	const uint8_t *communities[MANIFEST_COMMUNITIES_MAX]; /* ids of 32 bytes, ascending */
	uint32_t community_cnt;
	const uint8_t *recommended[MANIFEST_RECOMMENDED_MAX]; /* share ids, ascending */
	uint32_t recommended_cnt;
};

/* blobs_manifest_chunk_cnt: the number of 256 KiB chunks of a file; 0 when it is empty. */
uint64_t blobs_manifest_chunk_cnt(uint64_t size);

/*
 * blobs_manifest_parse reads bytes, which must outlive the manifest, signed or not. is_signed
 * says which, and a signature is verified. The caller checks whether it has expired. Returns 0,
 * -ENOMEM, or
 *   WEFT_EMALFORMED
 *   WEFT_ETOOLARGE  a limit above
 *   WEFT_EUNSAFE    a path or text that must not be written
 *   WEFT_EUNKNOWN   another version
 *   WEFT_EDAMAGED   signature, or a key that is not the share's
 */
WEFT_MUST_CHECK
int blobs_manifest_parse(const void *bytes, size_t len, struct manifest **out_manifest);
void blobs_manifest_free(struct manifest *manifest);
/*
 * blobs_manifest_part_ids copies the ids of its parts, 32 bytes each; the caller
 * frees them. 0 (with NULL, if it has no parts) or -ENOMEM.
 */
WEFT_MUST_CHECK
int blobs_manifest_part_ids(const struct manifest *manifest, uint8_t **out_ids);
/*
 * blobs_manifest_parse_item reads one item of a manifest that was verified before, whose
 * encoding begins at bytes; what is behind it is not looked at. It is the only one of
 * *out_manifest. Errors as blobs_manifest_parse's.
 */
WEFT_MUST_CHECK
int blobs_manifest_parse_item(const void *bytes, size_t len, struct manifest **out_manifest);

/* A manifest that is stored here, a whole one, a root or a part, with the bytes it points into. */
struct stored_manifest {
	uint8_t id[32];
	struct manifest *manifest; /* NULL: none is loaded */
	uint8_t *bytes;
	size_t len;
};

/*
 * blobs_stored_manifest_load reads the manifest named by id.
 *
 * Returns 0, or:
 *   WEFT_EABSENT  no such blob
 *   WEFT_EDAMAGED it cannot be read, or is longer than any manifest
 *   what blobs_manifest_parse says of its bytes, or -errno
 * Owns:    *out_stored, until blobs_stored_manifest_fini; on failure it is untouched.
 * Context: any thread; waits on the disk (store_blob_read).
 */
WEFT_MUST_CHECK
int blobs_stored_manifest_load(struct store *store, const uint8_t id[static 32],
			       struct stored_manifest *out_stored);
/* blobs_stored_manifest_fini takes one that is all zero, too, and leaves it so. */
void blobs_stored_manifest_fini(struct stored_manifest *stored);

/*
 * blobs_manifest_path_is_safe: path is relative, UTF-8, at most 4096 bytes in all, and without
 * NUL or control characters. Its parts are divided by one '/'. No part is empty, ".", "..",
 * longer than 255 bytes or begins with weft's staging prefix.
 */
bool blobs_manifest_path_is_safe(const char *path, size_t len);
/*
 * blobs_manifest_link_is_safe: text of the link at path is parts divided by one '/'. First come
 * any number of "..", at most as many as path has directories, then names as in a path. As no
 * ".." follows a name, a link that leads through others still ends inside the collection.
 */
bool blobs_manifest_link_is_safe(const char *path, size_t path_len, const char *text,
				 size_t text_len);
/*
 * blobs_manifest_link_normalise takes "." and empty parts out of text, in place: the length that
 * is left. The meaning of the text stays the same.
 */
size_t blobs_manifest_link_normalise(char *text, size_t len);
/* blobs_manifest_title_is_safe: UTF-8 without control characters that fits MANIFEST_TITLE_CAP. */
bool blobs_manifest_title_is_safe(const char *title);
/* blobs_manifest_description_is_safe: the same for each line of at most 4096 bytes. */
bool blobs_manifest_description_is_safe(const char *text, size_t len);
/* blobs_manifest_mime_is_safe: type/subtype in visible ASCII, at most 127 bytes. */
bool blobs_manifest_mime_is_safe(const char *mime, size_t len);
/* blobs_manifest_tag_is_safe: 1 to 64 bytes of UTF-8 without control characters. */
bool blobs_manifest_tag_is_safe(const char *tag, size_t len);
int blobs_manifest_tag_compare(const struct manifest_tag *a, const struct manifest_tag *b);
/* blobs_manifest_path_compare orders paths byte by byte with '/' before all others. */
int blobs_manifest_path_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/*
 * A builder encodes as it goes and never holds more than one manifest.
 * Items, directories and links each come in ascending order.
 */
struct manifest_builder;
WEFT_MUST_CHECK
int blobs_manifest_builder_new(struct manifest_builder **out_builder);
void blobs_manifest_builder_free(struct manifest_builder *builder);
/* blobs_manifest_builder_limit: at most item_cap items, if that is less than MANIFEST_ITEMS_MAX. */
void blobs_manifest_builder_limit(struct manifest_builder *builder, uint32_t item_cap);
/*
 * blobs_manifest_builder_add_{item,dir,link,part}: 0, WEFT_EFULL (does not fit any
 * more: finish this one and begin the next), WEFT_EUNSAFE, or
 * WEFT_EMALFORMED (not in order). Nothing is added then.
 */
WEFT_MUST_CHECK
int blobs_manifest_builder_add_item(struct manifest_builder *builder,
				    const struct manifest_item *item);
WEFT_MUST_CHECK
int blobs_manifest_builder_add_dir(struct manifest_builder *builder, const char *path, size_t len);
WEFT_MUST_CHECK
int blobs_manifest_builder_add_link(struct manifest_builder *builder,
				    const struct manifest_link *link);
WEFT_MUST_CHECK
int blobs_manifest_builder_add_part(struct manifest_builder *builder,
				    const struct manifest_part *part);
/* The items added since the last finish. */
uint32_t blobs_manifest_builder_item_cnt(const struct manifest_builder *builder);
uint64_t blobs_manifest_builder_byte_cnt(const struct manifest_builder *builder);
bool blobs_manifest_builder_is_empty(const struct manifest_builder *builder);
/*
 * blobs_manifest_builder_encode writes what was added as shape; created_s and
 * title ("" for none) are of whole and root. The bytes are lent until the
 * next call. blobs_manifest_builder_reset forgets what was added.
 */
const uint8_t *blobs_manifest_builder_encode(struct manifest_builder *builder,
					     enum manifest_shape shape, uint64_t created_s,
					     const char *title, size_t *out_len);
/*
 * blobs_manifest_builder_sign writes what was added, a whole or a root, as a revision of the
 * share whose key signs. 0 with bytes lent until the next call, WEFT_EMALFORMED (the
 * revision breaks a limit above, or ids do not ascend) or -ENOMEM.
 */
struct manifest_revision {
	const struct node_key *key;
	uint64_t seq, created_s;
	uint64_t expires_s;		 /* 0: never */
	const char *title, *description; /* "": none */
	bool is_public;
	const uint8_t (*communities)[32];
	uint32_t community_cnt;
	const uint8_t (*recommended)[32];
	uint32_t recommended_cnt;
};
WEFT_MUST_CHECK
int blobs_manifest_builder_sign(struct manifest_builder *builder, enum manifest_shape shape,
				const struct manifest_revision *revision, const uint8_t **out_bytes,
				size_t *out_len);
/*
 * blobs_manifest_builder_digest names what a revision says but for its number and times: two of
 * one digest differ in nothing that a get would fetch.
 */
void blobs_manifest_builder_digest(struct manifest_builder *builder, enum manifest_shape shape,
				   const struct manifest_revision *revision,
				   uint8_t out_digest[static 32]);
void blobs_manifest_builder_reset(struct manifest_builder *builder);

#endif
