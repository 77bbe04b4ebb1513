/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CRYPTO_BLAKE3_BLAKE3_COMPRESS_H
#define WEFT_CRYPTO_BLAKE3_BLAKE3_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/blake3/blake3.h"

/*
 * Private to blake3_*.c: the compression function and what a back end
 * offers. Words are loaded as they lie in memory, so this code is for
 * little-endian machines.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "BLAKE3 words are little-endian");

/* Domain flags, paper table 3; a leaf here is what the paper calls a chunk. */
enum blake3_flag {
	BLAKE3_LEAF_START = 1 << 0,
	BLAKE3_LEAF_END = 1 << 1,
	BLAKE3_PARENT = 1 << 2,
	BLAKE3_ROOT = 1 << 3,
	BLAKE3_KEYED_HASH = 1 << 4,
	BLAKE3_DERIVE_KEY_CONTEXT = 1 << 5,
	BLAKE3_DERIVE_KEY_MATERIAL = 1 << 6,
};

#define BLAKE3_LEAF_BLOCKS  (BLAKE3_LEAF_LEN / BLAKE3_BLOCK_LEN)
#define BLAKE3_CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)
#define BLAKE3_ROUNDS	    7

extern const uint32_t blake3_iv[8];

/* Message word order of each round, paper table 2 applied again and again. */
static const uint8_t blake3_schedule[BLAKE3_ROUNDS][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
	{3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
	{10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
	{12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
	{9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
	{11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

/* One block to compress: bytes beyond block_len are zero. */
struct blake3_block {
	const uint32_t *cv; /* 8 words in */
	const uint8_t *bytes;
	uint64_t counter;
	uint8_t len;
	uint8_t flags;
};

/*
 * cnt equal inputs that lie one after the other, block_cnt blocks each:
 * leaves (16 blocks, counters first_counter + i) or parents (1 block,
 * counter 0). out gets 32 bytes for each and may be data itself.
 */
struct blake3_many {
	const uint8_t *data;
	size_t cnt;
	unsigned block_cnt;
	const uint32_t *key;
	uint64_t first_counter;
	unsigned counter_step;
	uint8_t flags;	     /* of every block */
	uint8_t flags_start; /* and of the first */
	uint8_t flags_end;   /* and of the last */
	uint8_t *out;
};

struct blake3_backend {
	const char *name;
	/* All 16 words of output; the first 8 are the chaining value. */
	void (*compress)(const struct blake3_block *block, uint32_t out[static 16]);
	void (*hash_many)(const struct blake3_many *many);
};

extern const struct blake3_backend blake3_backend_portable;
#if defined(__x86_64__)
extern const struct blake3_backend blake3_backend_sse41;
extern const struct blake3_backend blake3_backend_avx2;
extern const struct blake3_backend blake3_backend_avx512;
void blake3_compress_sse41(const struct blake3_block *block, uint32_t out[static 16]);
#endif

/* blake3_hash_one does input idx of many alone: cheaper than a vector with few lanes in use. */
void blake3_hash_one(const struct blake3_many *many, size_t idx,
		     void (*compress)(const struct blake3_block *block, uint32_t out[static 16]));

/* blake3_backend: the chosen one. Thread-safe. */
const struct blake3_backend *blake3_backend(void);

/*
 * The last step of a node, kept back because only its caller knows
 * whether it is the root.
 */
struct blake3_output {
	uint32_t cv[8];
	uint8_t block[BLAKE3_BLOCK_LEN];
	uint64_t counter;
	uint8_t block_len;
	uint8_t flags;
};

void blake3_output_cv(const struct blake3_output *output, uint8_t out[static BLAKE3_HASH_LEN]);
void blake3_output_root(const struct blake3_output *output, uint8_t *out, size_t out_len);

/* How all nodes of one tree are hashed; blake3_plain: without a key. */
struct blake3_mode {
	const uint32_t *key; /* 8 */
	uint8_t flags;
};
extern const struct blake3_mode blake3_plain;

void blake3_output_of_parent(const uint8_t children[static 2 * BLAKE3_HASH_LEN],
			     struct blake3_mode mode, struct blake3_output *out_output);

/* blake3_leaf_output: the leaf over len <= BLAKE3_LEAF_LEN bytes. */
void blake3_leaf_output(const uint8_t *data, size_t len, uint64_t counter, struct blake3_mode mode,
			struct blake3_output *out_output);

/*
 * blake3_reduce halves cnt chaining values in place, level by level, until
 * at most target_cnt (>= 1) remain. An odd last one moves up as it is.
 * Returns how many remain.
 */
size_t blake3_reduce(uint8_t *cvs, size_t cnt, size_t target_cnt, struct blake3_mode mode);

/*
 * blake3_leaves computes the chaining values of all leaves of data, len in
 * [1, BLAKE3_CHUNK_LEN]; cvs has room for each. Returns how many.
 */
size_t blake3_leaves(const uint8_t *data, size_t len, uint64_t first_leaf, struct blake3_mode mode,
		     uint8_t *cvs);

#endif
