/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Range proofs: prover and verifier walk the same tree over groups, down
 * from the root to the groups of the range. A node is the groups
 * [first, first + cnt); its left child is the widest power of two that
 * leaves something for the right one. The walk is as deep as the tree,
 * at most BLAKE3_DEPTH_MAX.
 */
#include <string.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"

#define GROUP_LEAVES (BLAKE3_GROUP_LEN / BLAKE3_LEAF_LEN)
#define CHUNK_GROUPS (BLAKE3_CHUNK_LEN / BLAKE3_GROUP_LEN)
/* A range of at most 16 groups touches at most two chunks. */
#define TOUCHED_MAX 2
#define NODE_LEN    (2 * BLAKE3_HASH_LEN)

_Static_assert(BLAKE3_PROOF_GROUPS_MAX <= CHUNK_GROUPS, "a range touches two chunks at most");

struct node {
	uint64_t first;
	uint64_t cnt;
};

static uint64_t group_cnt_of(uint64_t file_len)
{
	return file_len / BLAKE3_GROUP_LEN + (file_len % BLAKE3_GROUP_LEN != 0);
}

static struct node root_node(const struct blake3_range *range)
{
	return (struct node){0, group_cnt_of(range->file_len)};
}

static struct node left_child(struct node node)
{
	uint64_t width = 1ull << (63 - __builtin_clzll(node.cnt - 1));

	return (struct node){node.first, width};
}

static struct node right_child(struct node node)
{
	uint64_t width = left_child(node).cnt;

	return (struct node){node.first + width, node.cnt - width};
}

static bool node_meets(struct node node, const struct blake3_range *range)
{
	return node.first < range->first_group + range->group_cnt &&
	       range->first_group < node.first + node.cnt;
}

static size_t group_len(const struct blake3_range *range, uint64_t group)
{
	uint64_t left = range->file_len - group * BLAKE3_GROUP_LEN;

	return left < BLAKE3_GROUP_LEN ? (size_t)left : BLAKE3_GROUP_LEN;
}

bool blake3_range_is_valid(const struct blake3_range *range)
{
	uint64_t cnt = group_cnt_of(range->file_len);

	return range->group_cnt >= 1 && range->group_cnt <= BLAKE3_PROOF_GROUPS_MAX &&
	       range->first_group < cnt && range->group_cnt <= cnt - range->first_group;
}

size_t blake3_range_len(const struct blake3_range *range)
{
	uint64_t last = range->first_group + range->group_cnt - 1;

	return (size_t)(range->group_cnt - 1) * BLAKE3_GROUP_LEN + group_len(range, last);
}

/* The prover's knowledge of the tree. */
struct prover {
	const struct blake3_range *range;
	const uint8_t *chunk_cvs;
	const uint8_t *data;
	uint64_t first_chunk; /* data begins there */
	uint8_t group_cvs[TOUCHED_MAX][CHUNK_GROUPS * BLAKE3_HASH_LEN];
};

static void prover_init(struct prover *prover)
{
	const struct blake3_range *range = prover->range;
	uint64_t last = (range->first_group + range->group_cnt - 1) / CHUNK_GROUPS;

	prover->first_chunk = range->first_group / CHUNK_GROUPS;
	for (uint64_t chunk = prover->first_chunk; chunk <= last; chunk++) {
		uint64_t idx = chunk - prover->first_chunk;
		uint64_t left = range->file_len - chunk * BLAKE3_CHUNK_LEN;

		(void)blake3_chunk_groups(prover->data + idx * BLAKE3_CHUNK_LEN,
					  left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN,
					  chunk, prover->group_cvs[idx]);
	}
}

/* The value of a node below a parent that meets the range. */
static void node_cv(const struct prover *prover, struct node node, uint8_t out[BLAKE3_HASH_LEN])
{
	uint64_t first = node.first / CHUNK_GROUPS;
	uint64_t end = (node.first + node.cnt - 1) / CHUNK_GROUPS + 1;
	bool is_whole_chunks = node.first % CHUNK_GROUPS == 0 &&
			       (node.cnt % CHUNK_GROUPS == 0 ||
				node.first + node.cnt == group_cnt_of(prover->range->file_len));

	if (is_whole_chunks && prover->chunk_cvs)
		blake3_cvs_combine(prover->chunk_cvs + first * BLAKE3_HASH_LEN,
				   (size_t)(end - first), false, out);
	else
		blake3_cvs_combine(prover->group_cvs[first - prover->first_chunk] +
					   node.first % CHUNK_GROUPS * BLAKE3_HASH_LEN,
				   (size_t)node.cnt, false, out);
}

static void node_write(const struct prover *prover, struct node node, struct writer *w)
{
	uint8_t pair[NODE_LEN];

	if (!node_meets(node, prover->range))
		return;
	if (node.cnt == 1) {
		uint64_t off =
			node.first * BLAKE3_GROUP_LEN - prover->first_chunk * BLAKE3_CHUNK_LEN;

		writer_bytes(w, prover->data + off, group_len(prover->range, node.first));
		return;
	}
	node_cv(prover, left_child(node), pair);
	node_cv(prover, right_child(node), pair + BLAKE3_HASH_LEN);
	writer_bytes(w, pair, sizeof(pair));
	node_write(prover, left_child(node), w);
	node_write(prover, right_child(node), w);
}

int blake3_proof_write(const struct blake3_range *range, const uint8_t *chunk_cvs,
		       const uint8_t *data, struct writer *w)
{
	struct prover prover = {.range = range, .chunk_cvs = chunk_cvs, .data = data};

	prover_init(&prover);
	node_write(&prover, root_node(range), w);
	return w->bad ? WEFT_ETOOSMALL : 0;
}

struct verifier {
	const struct blake3_range *range;
	struct cursor *proof;
	uint8_t *dst;
};

static int group_verify(const struct verifier *v, uint64_t group, bool is_root,
			const uint8_t want[static BLAKE3_HASH_LEN])
{
	size_t len = group_len(v->range, group);
	const uint8_t *bytes = cursor_bytes(v->proof, len);
	uint8_t got[BLAKE3_HASH_LEN];

	if (!bytes)
		return WEFT_EMALFORMED;
	blake3_subtree(bytes, len, group * GROUP_LEAVES, is_root, got);
	if (memcmp(got, want, sizeof(got)) != 0)
		return WEFT_EDAMAGED;
	memcpy(v->dst + (group - v->range->first_group) * BLAKE3_GROUP_LEN, bytes, len);
	return 0;
}

static int node_verify(const struct verifier *v, struct node node, bool is_root,
		       const uint8_t want[static BLAKE3_HASH_LEN])
{
	const uint8_t *pair;
	uint8_t got[BLAKE3_HASH_LEN];
	int err;

	if (!node_meets(node, v->range))
		return 0;
	if (node.cnt == 1)
		return group_verify(v, node.first, is_root, want);
	pair = cursor_bytes(v->proof, NODE_LEN);
	if (!pair)
		return WEFT_EMALFORMED;
	blake3_parent(pair, pair + BLAKE3_HASH_LEN, is_root, got);
	if (memcmp(got, want, sizeof(got)) != 0)
		return WEFT_EDAMAGED;
	err = node_verify(v, left_child(node), false, pair);
	return err ? err : node_verify(v, right_child(node), false, pair + BLAKE3_HASH_LEN);
}

int blake3_proof_verify(const uint8_t root[static BLAKE3_HASH_LEN],
			const struct blake3_range *range, struct cursor *proof, uint8_t *dst)
{
	struct verifier v = {.range = range, .proof = proof, .dst = dst};
	int err;

	if (!blake3_range_is_valid(range))
		return WEFT_EMALFORMED;
	err = node_verify(&v, root_node(range), true, root);
	if (!err && cursor_left(proof) > 0)
		err = WEFT_EMALFORMED;
	return err;
}
