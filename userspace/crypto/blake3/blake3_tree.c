/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree over the compression function: leaves, parents, subtrees and
 * roots. A list of neighbouring chaining values becomes its common
 * subtree. Neighbours are paired level by level, while an odd last one
 * moves up as it is. That gives the left-full tree of the paper, section
 * 2.1.
 */
#include <string.h>

#include "base/assert.h"
#include "crypto/blake3/blake3_compress.h"

const uint32_t blake3_iv[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void blake3_hash_one(const struct blake3_many *many, size_t idx,
		     void (*compress)(const struct blake3_block *block, uint32_t out[static 16]))
{
	uint32_t out[16];
	struct blake3_block block = {
		.cv = many->key,
		.bytes = many->data + idx * many->block_cnt * BLAKE3_BLOCK_LEN,
		.counter = many->first_counter + many->counter_step * idx,
		.len = BLAKE3_BLOCK_LEN,
	};

	for (unsigned n = 0; n < many->block_cnt; n++) {
		block.flags = (uint8_t)(many->flags | (n == 0 ? many->flags_start : 0) |
					(n + 1 == many->block_cnt ? many->flags_end : 0));
		compress(&block, out);
		block.cv = out;
		block.bytes += BLAKE3_BLOCK_LEN;
	}
	memcpy(many->out + BLAKE3_HASH_LEN * idx, out, BLAKE3_HASH_LEN);
}

static struct blake3_block block_of(const struct blake3_output *output)
{
	return (struct blake3_block){
		.cv = output->cv,
		.bytes = output->block,
		.counter = output->counter,
		.len = output->block_len,
		.flags = output->flags,
	};
}

void blake3_output_cv(const struct blake3_output *output, uint8_t out[static BLAKE3_HASH_LEN])
{
	struct blake3_block block = block_of(output);
	uint32_t words[16];

	blake3_backend()->compress(&block, words);
	memcpy(out, words, BLAKE3_HASH_LEN);
}

/* The root's counter numbers blocks of output, paper section 2.6. */
void blake3_output_root(const struct blake3_output *output, uint8_t *out, size_t out_len)
{
	struct blake3_block block = block_of(output);
	uint32_t words[16];

	block.flags |= BLAKE3_ROOT;
	for (block.counter = 0; out_len > 0; block.counter++) {
		size_t len = out_len < sizeof(words) ? out_len : sizeof(words);

		blake3_backend()->compress(&block, words);
		memcpy(out, words, len);
		out += len;
		out_len -= len;
	}
}

const struct blake3_mode blake3_plain = {blake3_iv, 0};

void blake3_output_of_parent(const uint8_t children[static 2 * BLAKE3_HASH_LEN],
			     struct blake3_mode mode, struct blake3_output *out_output)
{
	memcpy(out_output->cv, mode.key, sizeof(out_output->cv));
	memcpy(out_output->block, children, sizeof(out_output->block));
	out_output->counter = 0;
	out_output->block_len = BLAKE3_BLOCK_LEN;
	out_output->flags = mode.flags | BLAKE3_PARENT;
}

void blake3_leaf_output(const uint8_t *data, size_t len, uint64_t counter, struct blake3_mode mode,
			struct blake3_output *out_output)
{
	struct blake3_output *o = out_output;
	uint32_t words[16];

	memcpy(o->cv, mode.key, sizeof(o->cv));
	o->counter = counter;
	o->flags = mode.flags | BLAKE3_LEAF_START;
	o->block_len = BLAKE3_BLOCK_LEN;
	while (len > BLAKE3_BLOCK_LEN) {
		struct blake3_block block = block_of(o);

		block.bytes = data;
		blake3_backend()->compress(&block, words);
		memcpy(o->cv, words, sizeof(o->cv));
		o->flags = mode.flags;
		data += BLAKE3_BLOCK_LEN;
		len -= BLAKE3_BLOCK_LEN;
	}
	memset(o->block, 0, sizeof(o->block));
	if (len)
		memcpy(o->block, data, len);
	o->block_len = (uint8_t)len;
	o->flags |= BLAKE3_LEAF_END;
}

size_t blake3_reduce(uint8_t *cvs, size_t cnt, size_t target_cnt, struct blake3_mode mode)
{
	while (cnt > target_cnt) {
		size_t pair_cnt = cnt / 2;
		struct blake3_many parents = {
			.data = cvs,
			.cnt = pair_cnt,
			.block_cnt = 1,
			.key = mode.key,
			.flags = mode.flags | BLAKE3_PARENT,
			.out = cvs,
		};

		blake3_backend()->hash_many(&parents);
		if (cnt % 2)
			memcpy(cvs + BLAKE3_HASH_LEN * pair_cnt, cvs + BLAKE3_HASH_LEN * (cnt - 1),
			       BLAKE3_HASH_LEN);
		cnt = pair_cnt + cnt % 2;
	}
	return cnt;
}

size_t blake3_leaves(const uint8_t *data, size_t len, uint64_t first_leaf, struct blake3_mode mode,
		     uint8_t *cvs)
{
	size_t full_cnt = len / BLAKE3_LEAF_LEN;
	struct blake3_many leaves = {
		.data = data,
		.cnt = full_cnt,
		.block_cnt = BLAKE3_LEAF_BLOCKS,
		.key = mode.key,
		.first_counter = first_leaf,
		.counter_step = 1,
		.flags = mode.flags,
		.flags_start = BLAKE3_LEAF_START,
		.flags_end = BLAKE3_LEAF_END,
		.out = cvs,
	};
	struct blake3_output output;

	if (full_cnt)
		blake3_backend()->hash_many(&leaves);
	if (len % BLAKE3_LEAF_LEN == 0)
		return full_cnt;
	blake3_leaf_output(data + full_cnt * BLAKE3_LEAF_LEN, len % BLAKE3_LEAF_LEN,
			   first_leaf + full_cnt, mode, &output);
	blake3_output_cv(&output, cvs + BLAKE3_HASH_LEN * full_cnt);
	return full_cnt + 1;
}

static void parent_hash(const uint8_t children[static 2 * BLAKE3_HASH_LEN], bool is_root,
			uint8_t out[static BLAKE3_HASH_LEN])
{
	struct blake3_output output;

	blake3_output_of_parent(children, blake3_plain, &output);
	if (is_root)
		blake3_output_root(&output, out, BLAKE3_HASH_LEN);
	else
		blake3_output_cv(&output, out);
}

/* A subtree of one chunk at most. */
static void chunk_hash(const uint8_t *data, size_t len, uint64_t first_leaf, bool is_root,
		       uint8_t out[static BLAKE3_HASH_LEN])
{
	uint8_t cvs[BLAKE3_CHUNK_LEAVES * BLAKE3_HASH_LEN];
	struct blake3_output output;
	size_t cnt;

	if (len <= BLAKE3_LEAF_LEN) {
		blake3_leaf_output(data, len, first_leaf, blake3_plain, &output);
		if (is_root)
			blake3_output_root(&output, out, BLAKE3_HASH_LEN);
		else
			blake3_output_cv(&output, out);
		return;
	}
	cnt = blake3_leaves(data, len, first_leaf, blake3_plain, cvs);
	(void)blake3_reduce(cvs, cnt, 2, blake3_plain);
	parent_hash(cvs, is_root, out);
}

void blake3_subtree(const void *data, size_t len, uint64_t first_leaf, bool is_root,
		    uint8_t out[static BLAKE3_HASH_LEN])
{
	struct blake3_chunk_tree tree;
	const uint8_t *at = data;

	if (len <= BLAKE3_CHUNK_LEN) {
		chunk_hash(at, len, first_leaf, is_root, out);
		return;
	}
	blake3_chunk_tree_init(&tree);
	while (len > 0) {
		size_t part = len < BLAKE3_CHUNK_LEN ? len : BLAKE3_CHUNK_LEN;
		uint8_t cv[BLAKE3_HASH_LEN];

		chunk_hash(at, part, first_leaf, false, cv);
		blake3_chunk_tree_push(&tree, cv);
		at += part;
		len -= part;
		first_leaf += BLAKE3_CHUNK_LEAVES;
	}
	blake3_chunk_tree_fold(&tree, is_root, out);
}

void blake3_parent(const uint8_t left[static BLAKE3_HASH_LEN],
		   const uint8_t right[static BLAKE3_HASH_LEN], bool is_root,
		   uint8_t out[static BLAKE3_HASH_LEN])
{
	uint8_t children[2 * BLAKE3_HASH_LEN];

	memcpy(children, left, BLAKE3_HASH_LEN);
	memcpy(children + BLAKE3_HASH_LEN, right, BLAKE3_HASH_LEN);
	parent_hash(children, is_root, out);
}

void blake3_chunk_tree_init(struct blake3_chunk_tree *tree)
{
	tree->chunk_cnt = 0;
	tree->stack_len = 0;
}

/*
 * The stack holds complete subtrees, the widest first. It is merged before
 * a push and not after, because the last merge may be the root.
 */
void blake3_chunk_tree_push(struct blake3_chunk_tree *tree,
			    const uint8_t chunk_cv[static BLAKE3_HASH_LEN])
{
	unsigned keep = (unsigned)__builtin_popcountll(tree->chunk_cnt);

	while (tree->stack_len > keep) {
		uint8_t *pair = tree->stack[tree->stack_len - 2];

		parent_hash(pair, false, pair);
		tree->stack_len--;
	}
	weft_assert(tree->stack_len < BLAKE3_DEPTH_MAX);
	memcpy(tree->stack[tree->stack_len++], chunk_cv, BLAKE3_HASH_LEN);
	tree->chunk_cnt++;
}

void blake3_chunk_tree_fold(const struct blake3_chunk_tree *tree, bool is_root,
			    uint8_t out[static BLAKE3_HASH_LEN])
{
	uint8_t cv[BLAKE3_HASH_LEN];
	unsigned at = tree->stack_len;

	weft_assert(at > 0);
	memcpy(cv, tree->stack[--at], sizeof(cv));
	while (at-- > 0)
		blake3_parent(tree->stack[at], cv, is_root && at == 0, cv);
	memcpy(out, cv, sizeof(cv));
}

void blake3_chunk_tree_finish(const struct blake3_chunk_tree *tree,
			      uint8_t out_root[static BLAKE3_HASH_LEN])
{
	blake3_chunk_tree_fold(tree, true, out_root);
}

unsigned blake3_chunk_groups(const void *data, size_t len, uint64_t chunk_idx,
			     uint8_t *out_group_cvs)
{
	uint8_t cvs[BLAKE3_CHUNK_LEAVES * BLAKE3_HASH_LEN];
	size_t group_cnt = (len + BLAKE3_GROUP_LEN - 1) / BLAKE3_GROUP_LEN;
	size_t cnt = blake3_leaves(data, len, chunk_idx * BLAKE3_CHUNK_LEAVES, blake3_plain, cvs);

	/* Groups are aligned, so four levels of pairing never cross one. */
	cnt = blake3_reduce(cvs, cnt, group_cnt, blake3_plain);
	memcpy(out_group_cvs, cvs, cnt * BLAKE3_HASH_LEN);
	return (unsigned)cnt;
}

/*
 * Blocks of the list are reduced many lanes wide; their values are again a
 * list of equal-width subtrees with a narrower one at its end.
 */
void blake3_cvs_combine(const uint8_t *cvs, size_t cnt, bool is_root,
			uint8_t out[static BLAKE3_HASH_LEN])
{
	uint8_t block[BLAKE3_CHUNK_LEAVES * BLAKE3_HASH_LEN];
	struct blake3_chunk_tree tree;

	blake3_chunk_tree_init(&tree);
	while (cnt > 0) {
		size_t part = cnt < BLAKE3_CHUNK_LEAVES ? cnt : BLAKE3_CHUNK_LEAVES;
		bool is_all = tree.chunk_cnt == 0 && part == cnt;
		size_t left;

		memcpy(block, cvs, part * BLAKE3_HASH_LEN);
		left = blake3_reduce(block, part, is_all ? 2 : 1, blake3_plain);
		for (size_t i = 0; i < left; i++)
			blake3_chunk_tree_push(&tree, block + i * BLAKE3_HASH_LEN);
		cvs += part * BLAKE3_HASH_LEN;
		cnt -= part;
	}
	blake3_chunk_tree_fold(&tree, is_root, out);
}
