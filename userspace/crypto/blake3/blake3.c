/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAKE3's public face: the choice of a back end and incremental hashing.
 *
 * A hasher keeps the leaf it is in the middle of and a stack of complete
 * subtrees. Whole aligned subtrees of the input, up to a chunk, are hashed
 * in place. They are pushed as two halves, never as one value, because the
 * last one may turn out to be the root.
 */
#include <string.h>

#include "base/assert.h"
#include "crypto/blake3/blake3_compress.h"

/* Best first. */
static const struct blake3_backend *const backends[] = {
#if defined(__x86_64__)
	&blake3_backend_avx512,
	&blake3_backend_avx2,
	&blake3_backend_sse41,
#endif
	&blake3_backend_portable,
};

#define BACKEND_CNT (sizeof(backends) / sizeof(backends[0]))

/*
 * The chosen back end: the same for every thread that chooses, so a lost
 * race writes the same pointer.
 */
static const struct blake3_backend *chosen;

static bool backend_is_usable(const struct blake3_backend *backend)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (backend == &blake3_backend_avx512)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("sse4.1");
	if (backend == &blake3_backend_avx2)
		return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("sse4.1");
	if (backend == &blake3_backend_sse41)
		return __builtin_cpu_supports("sse4.1");
#endif
	return backend == &blake3_backend_portable;
}

static const struct blake3_backend *backend_choose(void)
{
	size_t i = 0;

	while (!backend_is_usable(backends[i]))
		i++;
	__atomic_store_n(&chosen, backends[i], __ATOMIC_RELAXED);
	return backends[i];
}

const struct blake3_backend *blake3_backend(void)
{
	const struct blake3_backend *backend = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	return backend ? backend : backend_choose();
}

const char *blake3_backend_name(void)
{
	return blake3_backend()->name;
}

int blake3_backend_force(const char *name)
{
	for (size_t i = 0; i < BACKEND_CNT; i++) {
		if (strcmp(backends[i]->name, name) != 0)
			continue;
		if (!backend_is_usable(backends[i]))
			return WEFT_EABSENT;
		__atomic_store_n(&chosen, backends[i], __ATOMIC_RELAXED);
		return 0;
	}
	return WEFT_EABSENT;
}

static struct blake3_mode mode_of(const struct blake3 *hash)
{
	return (struct blake3_mode){hash->key, hash->flags};
}

static void hasher_init(struct blake3 *hash, const uint32_t key[static 8], uint8_t flags)
{
	memcpy(hash->key, key, sizeof(hash->key));
	memcpy(hash->leaf_cv, key, sizeof(hash->leaf_cv));
	hash->leaf_counter = 0;
	hash->block_len = 0;
	hash->blocks_compressed = 0;
	hash->flags = flags;
	hash->stack_len = 0;
}

void blake3_init(struct blake3 *hash)
{
	hasher_init(hash, blake3_iv, 0);
}

void blake3_init_keyed(struct blake3 *hash, const uint8_t key[static BLAKE3_KEY_LEN])
{
	uint32_t words[8];

	memcpy(words, key, sizeof(words));
	hasher_init(hash, words, BLAKE3_KEYED_HASH);
}

void blake3_init_derive_key(struct blake3 *hash, const char *context)
{
	uint32_t words[8];
	uint8_t key[BLAKE3_HASH_LEN];

	hasher_init(hash, blake3_iv, BLAKE3_DERIVE_KEY_CONTEXT);
	blake3_update(hash, context, strlen(context));
	blake3_final(hash, key, sizeof(key));
	memcpy(words, key, sizeof(words));
	hasher_init(hash, words, BLAKE3_DERIVE_KEY_MATERIAL);
}

static size_t leaf_len(const struct blake3 *hash)
{
	return (size_t)hash->blocks_compressed * BLAKE3_BLOCK_LEN + hash->block_len;
}

static uint8_t leaf_start_flag(const struct blake3 *hash)
{
	return hash->blocks_compressed ? 0 : BLAKE3_LEAF_START;
}

/* Into the leaf in the middle; the last block is kept, it may be the leaf's end. */
static void leaf_update(struct blake3 *hash, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t part = BLAKE3_BLOCK_LEN - hash->block_len;

		if (part == 0) {
			struct blake3_block block = {
				.cv = hash->leaf_cv,
				.bytes = hash->block,
				.counter = hash->leaf_counter,
				.len = BLAKE3_BLOCK_LEN,
				.flags = hash->flags | leaf_start_flag(hash),
			};
			uint32_t words[16];

			blake3_backend()->compress(&block, words);
			memcpy(hash->leaf_cv, words, sizeof(hash->leaf_cv));
			hash->blocks_compressed++;
			hash->block_len = 0;
			continue;
		}
		part = part < len ? part : len;
		memcpy(hash->block + hash->block_len, data, part);
		hash->block_len = (uint8_t)(hash->block_len + part);
		data += part;
		len -= part;
	}
}

static void leaf_output(const struct blake3 *hash, struct blake3_output *out_output)
{
	memcpy(out_output->cv, hash->leaf_cv, sizeof(out_output->cv));
	memset(out_output->block, 0, sizeof(out_output->block));
	memcpy(out_output->block, hash->block, hash->block_len);
	out_output->counter = hash->leaf_counter;
	out_output->block_len = hash->block_len;
	out_output->flags = hash->flags | leaf_start_flag(hash) | BLAKE3_LEAF_END;
}

/*
 * Merges what is complete once it is known that more follows: before a
 * push and before the first byte of a leaf, see blake3_chunk_tree_push.
 */
static void stack_merge(struct blake3 *hash, uint64_t leaf_cnt)
{
	unsigned keep = (unsigned)__builtin_popcountll(leaf_cnt);

	while (hash->stack_len > keep) {
		uint8_t *pair = hash->stack + BLAKE3_HASH_LEN * (hash->stack_len - 2);
		struct blake3_output output;

		blake3_output_of_parent(pair, mode_of(hash), &output);
		blake3_output_cv(&output, pair);
		hash->stack_len--;
	}
}

/* cv is the subtree that begins at leaf first_leaf. */
static void stack_push(struct blake3 *hash, const uint8_t *cv, uint64_t first_leaf)
{
	stack_merge(hash, first_leaf);
	weft_assert(hash->stack_len < BLAKE3_DEPTH_MAX);
	memcpy(hash->stack + BLAKE3_HASH_LEN * hash->stack_len, cv, BLAKE3_HASH_LEN);
	hash->stack_len++;
}

static void leaf_finish(struct blake3 *hash)
{
	struct blake3_output output;
	uint8_t cv[BLAKE3_HASH_LEN];

	leaf_output(hash, &output);
	blake3_output_cv(&output, cv);
	stack_push(hash, cv, hash->leaf_counter);
	memcpy(hash->leaf_cv, hash->key, sizeof(hash->leaf_cv));
	hash->leaf_counter++;
	hash->block_len = 0;
	hash->blocks_compressed = 0;
}

/* The largest aligned complete subtree at the front of len bytes, at least a leaf. */
static size_t subtree_len(uint64_t leaf_counter, size_t len)
{
	size_t width = BLAKE3_CHUNK_LEAVES;

	while (width * BLAKE3_LEAF_LEN > len || leaf_counter % width)
		width /= 2;
	return width * BLAKE3_LEAF_LEN;
}

static void subtree_update(struct blake3 *hash, const uint8_t *data, size_t len)
{
	uint8_t cvs[BLAKE3_CHUNK_LEAVES * BLAKE3_HASH_LEN];
	uint64_t leaf_cnt = len / BLAKE3_LEAF_LEN;
	size_t cnt = blake3_leaves(data, len, hash->leaf_counter, mode_of(hash), cvs);

	(void)blake3_reduce(cvs, cnt, 2, mode_of(hash));
	stack_push(hash, cvs, hash->leaf_counter);
	if (leaf_cnt > 1)
		stack_push(hash, cvs + BLAKE3_HASH_LEN, hash->leaf_counter + leaf_cnt / 2);
	hash->leaf_counter += leaf_cnt;
}

void blake3_update(struct blake3 *hash, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		size_t part = BLAKE3_LEAF_LEN - leaf_len(hash);

		if (part == 0) {
			leaf_finish(hash);
			continue;
		}
		if (part < BLAKE3_LEAF_LEN || len <= BLAKE3_LEAF_LEN) {
			part = part < len ? part : len;
			stack_merge(hash, hash->leaf_counter);
			leaf_update(hash, at, part);
		} else {
			/* More follows than a leaf, so this subtree is not the end of the leaf. */
			part = subtree_len(hash->leaf_counter, len);
			subtree_update(hash, at, part);
		}
		at += part;
		len -= part;
	}
}

/*
 * A stack without an unfinished leaf ends in the two halves of the subtree
 * hashed last. So both branches end in an output not yet computed.
 */
void blake3_final(const struct blake3 *hash, uint8_t *out, size_t out_len)
{
	const uint8_t *stack = hash->stack;
	unsigned left = hash->stack_len;
	struct blake3_output output;
	uint8_t children[2 * BLAKE3_HASH_LEN];

	if (left == 0 || leaf_len(hash) > 0) {
		leaf_output(hash, &output);
	} else {
		left -= 2;
		blake3_output_of_parent(stack + BLAKE3_HASH_LEN * left, mode_of(hash), &output);
	}
	while (left-- > 0) {
		memcpy(children, stack + BLAKE3_HASH_LEN * left, BLAKE3_HASH_LEN);
		blake3_output_cv(&output, children + BLAKE3_HASH_LEN);
		blake3_output_of_parent(children, mode_of(hash), &output);
	}
	blake3_output_root(&output, out, out_len);
}

void blake3_hash(const void *data, size_t len, uint8_t out[static BLAKE3_HASH_LEN])
{
	blake3_subtree(data, len, 0, true, out);
}

void blake3_keyed(const uint8_t key[static BLAKE3_KEY_LEN], const void *data, size_t len,
		  uint8_t out[static BLAKE3_HASH_LEN])
{
	struct blake3 hash;

	blake3_init_keyed(&hash, key);
	blake3_update(&hash, data, len);
	blake3_final(&hash, out, BLAKE3_HASH_LEN);
}

bool blake3_mac_is_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t differing = 0;

	for (size_t i = 0; i < len; i++)
		differing |= (uint8_t)(a[i] ^ b[i]);
	return differing == 0;
}

void blake3_derive_key(const char *context, const void *material, size_t len, uint8_t *out,
		       size_t out_len)
{
	struct blake3 hash;

	blake3_init_derive_key(&hash, context);
	blake3_update(&hash, material, len);
	blake3_final(&hash, out, out_len);
}
