/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Range proofs for peers. The hashes above a range come from the whole
 * chunk list, the ones below from hashing the one or two chunks it touches.
 * Runs in a job.
 */
#include <errno.h>
#include <stdlib.h>

#include "blobs/manifest/manifest.h"
#include "serve_call.h"
#include "crypto/blake3/blake3.h"

/* The chunk list of a 64 GiB file; a proof for a larger one is refused. */
#define PROOF_CHUNKS_MAX (64ull * 4096u)

/* The chunks the range touches, at most two, and the whole chunk list. */
struct proof_input {
	uint64_t off;
	size_t len;
	uint8_t *data;
	uint8_t *hashes; /* NULL: the file is one chunk */
};

static int hashes_load(const struct serve_call *call, uint64_t chunk_cnt, uint8_t **out_hashes)
{
	uint8_t *hashes;
	int err;

	*out_hashes = NULL;
	if (chunk_cnt == 1)
		return 0;
	hashes = malloc((size_t)chunk_cnt * BLAKE3_HASH_LEN);
	if (!hashes)
		return -ENOMEM;
	err = blobs_object_hashes_read(
		call->store,
		&(struct object_hashes){.content_id = call->request.id,
					.size = call->file->object.stamp.size,
					.cnt = (size_t)chunk_cnt},
		hashes);
	if (err) {
		free(hashes);
		return err;
	}
	*out_hashes = hashes;
	return 0;
}

static int data_load(struct serve_call *call, const struct blake3_range *range,
		     struct proof_input *input)
{
	uint64_t end = (range->first_group + range->group_cnt) * BLAKE3_GROUP_LEN;
	int err;

	input->off = range->first_group * BLAKE3_GROUP_LEN / BLAKE3_CHUNK_LEN * BLAKE3_CHUNK_LEN;
	end = (end + BLAKE3_CHUNK_LEN - 1) / BLAKE3_CHUNK_LEN * BLAKE3_CHUNK_LEN;
	end = end < range->file_len ? end : range->file_len;
	input->len = (size_t)(end - input->off);
	input->data = malloc(input->len);
	if (!input->data)
		return -ENOMEM;
	err = blobs_serve_call_read(call, input->off, input->data, input->len);
	if (err)
		free(input->data);
	return err;
}

/*
 * The proof is verified before it leaves: a file that changed under its
 * stamp would else make us look like a liar.
 */
static int proof_make(struct serve_call *call, const struct blake3_range *range,
		      const struct proof_input *input)
{
	struct writer w = writer_of(call->buffer, call->buffer_cap);
	struct cursor proof;
	int err = blake3_proof_write(range, input->hashes, input->data, &w);

	if (err)
		return err;
	call->answer.total = range->file_len;
	call->answer.len = writer_len(&w);
	proof = cursor_of(call->buffer, call->answer.len);
	err = blake3_proof_verify(call->request.id, range, &proof, input->data);
	return err ? WEFT_ECHANGED : 0;
}

int blobs_serve_proof_run(struct serve_call *call)
{
	struct blake3_range range = {
		.file_len = call->file->object.stamp.size,
		.first_group = call->request.first,
		.group_cnt = call->request.cnt,
	};
	struct proof_input input;
	int err;

	if (!blake3_range_is_valid(&range) || range.group_cnt > MESSAGE_GROUPS_MAX)
		return WEFT_EABSENT;
	if (blobs_manifest_chunk_cnt(range.file_len) > PROOF_CHUNKS_MAX)
		return WEFT_ETOOLARGE;
	err = hashes_load(call, blobs_manifest_chunk_cnt(range.file_len), &input.hashes);
	if (err)
		return err;
	err = data_load(call, &range, &input);
	if (!err) {
		err = proof_make(call, &range, &input);
		free(input.data);
	}
	free(input.hashes);
	return err;
}
