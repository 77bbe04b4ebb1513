/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Range proofs for peers. The hashes above a range come from the whole
 * chunk list, the ones below from hashing the one or two chunks it touches.
 * blobs_serve_proof_run runs in a job, the rest on the worker.
 */
#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "blobs/manifest/manifest.h"
#include "crypto/blake3/blake3.h"
#include "serve_state.h"

/* The chunk list of a 64 GiB file; a proof for a larger one is refused. */
#define PROOF_CHUNKS_MAX (64ull * 4096u)
/* Chunks that a range touches. */
#define PROOF_DATA_CHUNKS 2u
_Static_assert(MESSAGE_GROUPS_MAX <= BLAKE3_CHUNK_LEN / BLAKE3_GROUP_LEN,
	       "a range touches two chunks at most");

struct proof_room {
	bool is_used;
	uint8_t data[PROOF_DATA_CHUNKS * BLAKE3_CHUNK_LEN];
	uint8_t hashes[PROOF_CHUNKS_MAX * BLAKE3_HASH_LEN];
};

/* The chunks the range touches, at most two, and the whole chunk list; both in the call's room. */
struct proof_input {
	uint64_t off;
	size_t len;
	uint8_t *data;
	const uint8_t *hashes; /* NULL: the file is one chunk */
};

/* --- rooms --- */

int blobs_serve_proofs_init(struct serve *serve, const uint64_t secret[2])
{
	const struct fair_config slots = {.name = "range proofs in work",
					  .kind = FAIR_WORK,
					  .cap_cnt = PROOF_ROOMS,
					  .level_cnt = FAIR_PEER_LEVELS};

	list_init(&serve->proofs.waiting);
	serve->proofs.rooms =
		arena_alloc(&serve->arena, PROOF_ROOMS * sizeof(serve->proofs.rooms[0]));
	if (!serve->proofs.rooms)
		return WEFT_EFULL;
	return fair_init(&serve->proofs.slots, &serve->arena, &slots, secret);
}

static struct proof_room *room_free(const struct proofs *proofs)
{
	for (unsigned i = 0; i < PROOF_ROOMS; i++)
		if (!proofs->rooms[i].is_used)
			return &proofs->rooms[i];
	return NULL;
}

bool blobs_serve_proof_enter(struct serve_call *call)
{
	struct proofs *proofs = &call->serve->proofs;
	struct fair_item *victim;
	enum fair_verdict verdict;

	call->room = room_free(proofs);
	if (!call->room) {
		list_push_back(&proofs->waiting, &call->waiting);
		return false;
	}
	call->room->is_used = true;
	verdict = fair_take(&proofs->slots, &call->path, &call->proof_slot, call->serve->now_ns,
			    &victim);
	weft_assert(verdict == FAIR_TAKEN); /* there are as many slots as rooms */
	return true;
}

void blobs_serve_proof_leave(struct serve_call *call)
{
	if (!call->room)
		return;
	call->room->is_used = false;
	call->room = NULL;
	fair_release(&call->serve->proofs.slots, &call->proof_slot, call->serve->now_ns);
}

struct serve_call *blobs_serve_proof_next(struct proofs *proofs)
{
	struct list_node *next = proofs->waiting.next;

	if (!room_free(proofs) || list_is_empty(&proofs->waiting))
		return NULL;
	list_unlink(next);
	return container_of(next, struct serve_call, waiting);
}

/* --- the job --- */

static int hashes_load(const struct serve_call *call, uint64_t chunk_cnt,
		       const uint8_t **out_hashes)
{
	*out_hashes = chunk_cnt == 1 ? NULL : call->room->hashes;
	if (chunk_cnt == 1)
		return 0;
	return blobs_object_hashes_read(
		call->store,
		&(struct object_hashes){.content_id = call->request.id,
					.size = call->file->object.stamp.size,
					.cnt = (size_t)chunk_cnt},
		call->room->hashes);
}

static int data_load(struct serve_call *call, const struct blake3_range *range,
		     struct proof_input *input)
{
	uint64_t end = (range->first_group + range->group_cnt) * BLAKE3_GROUP_LEN;

	input->off = range->first_group * BLAKE3_GROUP_LEN / BLAKE3_CHUNK_LEN * BLAKE3_CHUNK_LEN;
	end = (end + BLAKE3_CHUNK_LEN - 1) / BLAKE3_CHUNK_LEN * BLAKE3_CHUNK_LEN;
	end = end < range->file_len ? end : range->file_len;
	input->len = (size_t)(end - input->off);
	input->data = call->room->data;
	weft_assert(input->len <= sizeof(call->room->data));
	return blobs_serve_call_read(call, input->off, input->data, input->len);
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
	return err ? err : proof_make(call, &range, &input);
}
