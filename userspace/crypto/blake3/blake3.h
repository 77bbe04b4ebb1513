/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_BLAKE3_BLAKE3_H
#define WEFT_CRYPTO_BLAKE3_BLAKE3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * BLAKE3 with its tree in the open. Bytes are cut into leaves of 1 KiB;
 * here a *group* is 16 leaves (16 KiB) and a *chunk* 256 leaves (256 KiB).
 * A subtree has a chaining value of 32 bytes; a parent combines two; the
 * root flag is set only at the top. See the BLAKE3 paper, sections 2 and 5.
 */
#define BLAKE3_HASH_LEN	 32
#define BLAKE3_KEY_LEN	 32
#define BLAKE3_BLOCK_LEN 64
#define BLAKE3_LEAF_LEN	 1024u
#define BLAKE3_GROUP_LEN (16u * BLAKE3_LEAF_LEN)
#define BLAKE3_CHUNK_LEN (256u * BLAKE3_LEAF_LEN)
#define BLAKE3_DEPTH_MAX 54 /* of a tree over 2^64 bytes */

/* blake3_hash is the plain hash of len bytes. Thread-safe, as all here. */
void blake3_hash(const void *data, size_t len, uint8_t out[static BLAKE3_HASH_LEN]);
void blake3_keyed(const uint8_t key[static BLAKE3_KEY_LEN], const void *data, size_t len,
		  uint8_t out[static BLAKE3_HASH_LEN]);
/*
 * blake3_mac_is_equal compares len bytes of two keyed hashes. The time does not depend on where they
 * differ: a sender that guesses learns nothing from it.
 */
bool blake3_mac_is_equal(const uint8_t *a, const uint8_t *b, size_t len);
/* blake3_derive_key: context is a NUL-terminated constant of the application. */
void blake3_derive_key(const char *context, const void *material, size_t len, uint8_t *out,
		       size_t out_len);

/* Incremental hashing in any step size. */
struct blake3 {
	uint32_t key[8];
	uint64_t leaf_counter;
	uint32_t leaf_cv[8];
	uint8_t block[BLAKE3_BLOCK_LEN];
	uint8_t block_len;
	uint8_t blocks_compressed;
	uint8_t flags;
	uint8_t stack_len;
	uint8_t stack[BLAKE3_DEPTH_MAX * BLAKE3_HASH_LEN];
};

void blake3_init(struct blake3 *hash);
void blake3_init_keyed(struct blake3 *hash, const uint8_t key[static BLAKE3_KEY_LEN]);
void blake3_init_derive_key(struct blake3 *hash, const char *context);
void blake3_update(struct blake3 *hash, const void *data, size_t len);
/* blake3_final writes out_len bytes of output; the hasher may go on afterwards. */
void blake3_final(const struct blake3 *hash, uint8_t *out, size_t out_len);

/*
 * blake3_subtree computes the chaining value of the subtree over data,
 * which begins at leaf first_leaf of its file: [first_leaf * 1024,
 * + len). len is in [1, ...]; first_leaf is a multiple of the subtree's
 * width in leaves. If is_root, the subtree is the whole file and out is
 * its hash.
 */
void blake3_subtree(const void *data, size_t len, uint64_t first_leaf, bool is_root,
		    uint8_t out[static BLAKE3_HASH_LEN]);

/* blake3_parent combines two chaining values. */
void blake3_parent(const uint8_t left[static BLAKE3_HASH_LEN],
		   const uint8_t right[static BLAKE3_HASH_LEN], bool is_root,
		   uint8_t out[static BLAKE3_HASH_LEN]);

/*
 * A file's root from the chaining values of its chunks in order, without
 * holding them: push each, then finish. One chunk: its value must have
 * been computed with is_root, and finish returns it as it is.
 */
struct blake3_chunk_tree {
	uint64_t chunk_cnt;
	uint8_t stack_len;
	uint8_t stack[BLAKE3_DEPTH_MAX][BLAKE3_HASH_LEN];
};
void blake3_chunk_tree_init(struct blake3_chunk_tree *tree);
void blake3_chunk_tree_push(struct blake3_chunk_tree *tree,
			    const uint8_t chunk_cv[static BLAKE3_HASH_LEN]);
/*
 * blake3_chunk_tree_finish gives the root, blake3_chunk_tree_fold with
 * is_root false the value of a subtree of whole chunks. At least one chunk
 * was pushed.
 */
void blake3_chunk_tree_fold(const struct blake3_chunk_tree *tree, bool is_root,
			    uint8_t out[static BLAKE3_HASH_LEN]);
void blake3_chunk_tree_finish(const struct blake3_chunk_tree *tree,
			      uint8_t out_root[static BLAKE3_HASH_LEN]);

/*
 * blake3_chunk_groups computes the chaining values of the groups of one
 * chunk (at most 16; out has 32 bytes for each). Returns their number.
 */
unsigned blake3_chunk_groups(const void *data, size_t len, uint64_t chunk_idx,
			     uint8_t *out_group_cvs);

/*
 * blake3_cvs_combine combines cnt >= 1 chaining values of equal-width
 * subtrees (the last may be narrower) into that of their common subtree.
 */
void blake3_cvs_combine(const uint8_t *cvs, size_t cnt, bool is_root,
			uint8_t out[static BLAKE3_HASH_LEN]);

/*
 * Proof that bytes of a file at 16 KiB granularity belong to its root. A
 * proof is for groups [first, first + cnt) of a file of file_len bytes. It
 * lists the parent nodes above any group of the range, in pre-order from
 * the root, 64 bytes each: left, right. The groups' bytes stand between
 * them. So it is a bao slice with 16 leaves to a group and without its
 * length header.
 */
#define BLAKE3_PROOF_GROUPS_MAX 16u

struct cursor;
struct writer;
struct blake3_range {
	uint64_t file_len;
	uint64_t first_group;
	uint64_t group_cnt; /* in [1, BLAKE3_PROOF_GROUPS_MAX] */
};

/* blake3_range_is_valid: the range is not too wide and inside the file. */
bool blake3_range_is_valid(const struct blake3_range *range);
/* blake3_range_len: bytes of the file the groups hold. */
size_t blake3_range_len(const struct blake3_range *range);

/*
 * blake3_proof_write makes the proof of a valid range. chunk_cvs is the
 * file's chunk list, or NULL where the file has one chunk. data begins
 * with the chunk that holds the first group. It ends with the chunk that
 * holds the last group, or with the file. 0, or WEFT_ETOOSMALL when w has
 * no room.
 */
WEFT_MUST_CHECK
int blake3_proof_write(const struct blake3_range *range, const uint8_t *chunk_cvs,
		       const uint8_t *data, struct writer *w);

/*
 * blake3_proof_verify reads a peer's proof and writes the range's bytes to dst, each group only
 * after it was verified. 0, WEFT_EDAMAGED (it does not lead to root) or WEFT_EMALFORMED (the
 * range is not valid, or the proof is too short or too long).
 */
WEFT_MUST_CHECK
int blake3_proof_verify(const uint8_t root[static BLAKE3_HASH_LEN],
			const struct blake3_range *range, struct cursor *proof, uint8_t *dst);

/* blake3_backend_name: "avx512", "avx2", "sse41" or "portable", chosen at first use. */
const char *blake3_backend_name(void);
/* blake3_backend_force for tests and bench: 0, or WEFT_EABSENT when this CPU lacks it. */
WEFT_MUST_CHECK
int blake3_backend_force(const char *name);

#endif
