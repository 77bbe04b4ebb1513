/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking other nodes for chunks that are not here. A chunk is asked for in pieces of some groups
 * that prove themselves against the content id. So the first byte of a seek costs no list of
 * hashes. Verifying a piece takes some 50 us, so it is done where the answer comes in.
 */
#include <stddef.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "read_state.h"
#include "blobs/blobs_state.h"

#define READ_WHAT "the file"
#define WATCH_NS  (500 * NS_PER_MS) /* between two looks at what is asked */

static struct blake3_range half_range(const struct reader_half *half)
{
	const struct reader_chunk *chunk = half->chunk;
	unsigned at = (unsigned)(half - chunk->halves);
	uint64_t begin = chunk->idx * BLAKE3_CHUNK_LEN + at * READER_PROOF_LEN;
	uint64_t end = chunk->idx * BLAKE3_CHUNK_LEN + chunk->len;
	uint64_t len = end - begin;

	len = len < READER_PROOF_LEN ? len : READER_PROOF_LEN;
	return (struct blake3_range){
		.file_len = chunk->reader->ask.size,
		.first_group = begin / BLAKE3_GROUP_LEN,
		.group_cnt = (len + BLAKE3_GROUP_LEN - 1) / BLAKE3_GROUP_LEN,
	};
}

static bool half_is_empty(const struct reader_half *half)
{
	const struct reader_chunk *chunk = half->chunk;

	return (size_t)(half - chunk->halves) * READER_PROOF_LEN >= chunk->len;
}

static size_t half_len(const struct reader_half *half)
{
	size_t off = (size_t)(half - half->chunk->halves) * READER_PROOF_LEN;
	size_t left = half->chunk->len - off;

	return left < READER_PROOF_LEN ? left : READER_PROOF_LEN;
}

static bool half_check(void *arg, const struct message_answer *answer)
{
	struct reader_half *half = arg;
	struct reader_chunk *chunk = half->chunk;
	struct blake3_range range = half_range(half);
	struct cursor proof = cursor_of(answer->bytes, answer->len);

	return answer->total == range.file_len &&
	       blake3_proof_verify(chunk->reader->ask.content_id, &range, &proof,
				   chunk->data + (half - chunk->halves) * READER_PROOF_LEN) == 0;
}

static void half_done(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct reader_half *half = arg;
	struct reader_chunk *chunk = half->chunk;

	chunk->reader->now_ns = now_ns;
	half->is_out = false;
	if (answer->err) {
		blobs_reader_fail(chunk->reader, answer->err, "%s", answer->detail);
		return;
	}
	half->is_here = true;
	chunk->reader->content->streamed_byte_cnt += half_len(half);
	chunk->reader->has_streamed = true;
	chunk->reader->came_ns = now_ns;
	for (unsigned i = 0; i < READER_HALF_CNT; i++)
		if (!chunk->halves[i].is_here && !half_is_empty(&chunk->halves[i]))
			return;
	chunk->state = READER_CHUNK_READY;
	blobs_reader_wake(chunk->reader);
}

/* True when a request of the reader is out; *out_lost: the way to the asked node failed. */
static bool is_asking(const struct reader *reader, bool *out_lost)
{
	bool is_out = false;

	*out_lost = false;
	for (unsigned i = 0; i < READER_CHUNK_CNT * READER_HALF_CNT; i++) {
		const struct reader_half *half =
			&reader->chunks[i / READER_HALF_CNT].halves[i % READER_HALF_CNT];

		is_out |= half->is_out;
		*out_lost |= half->is_out && half->ask.lost_cnt > 0;
	}
	return is_out;
}

/* A source that is slow is no dead one: from it bytes come, and its way does not fail. */
void blobs_reader_watch(struct timer *watch, uint64_t now_ns)
{
	struct reader *reader = container_of(watch, struct reader, watch);
	bool is_lost;

	if (!is_asking(reader, &is_lost) || reader->step == READER_ENDING)
		return;
	if (reader->has_streamed && is_lost && now_ns - reader->came_ns >= READER_SILENT_NS) {
		reader->now_ns = now_ns;
		blobs_reader_fail(reader, WEFT_ETIMEOUT,
				  "the nodes that had the file do not answer any more");
		return;
	}
	timer_set(reader->content->params.timers, watch, now_ns + WATCH_NS);
}

static void watch_begin(struct reader *reader, uint64_t now_ns)
{
	bool is_lost;

	if (!is_asking(reader, &is_lost))
		reader->came_ns = now_ns;
	if (!timer_is_set(&reader->watch))
		timer_set(reader->content->params.timers, &reader->watch, now_ns + WATCH_NS);
}

static int half_ask(struct reader_half *half, uint64_t now_ns)
{
	struct reader *reader = half->chunk->reader;
	struct blake3_range range = half_range(half);

	half->ask = (struct swarm_ask){
		.type = MESH_RANGE_PROOF,
		.request = {.first = range.first_group, .cnt = range.group_cnt},
		.what = READ_WHAT,
		.what_len = sizeof(READ_WHAT) - 1,
		.item = reader->origin.item,
		.chunk = half->chunk->idx,
		.buf = half->proof,
		.cap = sizeof(half->proof),
		.stall_ns = READER_STALL_NS,
		.check = half_check,
		.done = half_done,
		.arg = half,
	};

	watch_begin(reader, now_ns);
	memcpy(half->ask.request.id, reader->ask.content_id, sizeof(half->ask.request.id));
	return blobs_swarm_ask(reader->swarm, &half->ask, now_ns);
}

static bool swarm_is_there(struct reader *reader, uint64_t now_ns)
{
	const struct reader_origin *origin = &reader->origin;
	const struct swarm_join join = {
		.kind = origin->has_manifest ? FINDER_MANIFEST : FINDER_CONTENT,
		.id = origin->has_manifest ? origin->manifest_id : reader->ask.content_id,
		.hints = origin->hints,
		.hint_cnt = origin->hint_cnt,
	};

	if (reader->swarm)
		return true;
	reader->swarm = blobs_swarm_join(reader->content, &join, now_ns);
	if (reader->swarm && origin->has_manifest)
		blobs_swarm_set_manifest(reader->swarm, origin->part_id, false);
	if (reader->swarm)
		return true;
	blobs_reader_fail(reader, WEFT_EFULL, "too many swarms at once; end a get or wait for one");
	return false;
}

bool blobs_reader_chunk_ask(struct reader_chunk *chunk, uint64_t now_ns)
{
	struct reader *reader = chunk->reader;

	if (!swarm_is_there(reader, now_ns))
		return false;
	chunk->state = READER_CHUNK_THERE;
	for (unsigned i = 0; i < READER_HALF_CNT; i++) {
		struct reader_half *half = &chunk->halves[i];
		int err;

		half->chunk = chunk;
		half->is_here = false;
		if (half_is_empty(half))
			continue;
		err = half_ask(half, now_ns);
		if (err) {
			blobs_reader_fail(reader, err, "nobody can be asked: %s",
					  weft_err_text(err));
			return false;
		}
		half->is_out = true;
	}
	return true;
}

void blobs_reader_chunk_ask_cancel(struct reader_chunk *chunk)
{
	for (unsigned i = 0; i < READER_HALF_CNT; i++) {
		if (chunk->halves[i].is_out)
			blobs_swarm_cancel(&chunk->halves[i].ask);
		chunk->halves[i].is_out = false;
	}
}

/* --- how long it is --- */

static bool size_verify(struct reader_half *half, const struct message_answer *answer,
			const struct blake3_range *range)
{
	struct cursor proof = cursor_of(answer->bytes, answer->len);

	return blake3_range_is_valid(range) &&
	       blake3_proof_verify(half->chunk->reader->ask.content_id, range, &proof,
				   half->chunk->data) == 0;
}

static bool size_told_check(void *arg, const struct message_answer *answer)
{
	const struct blake3_range range = {.file_len = answer->total, .group_cnt = 1};

	return size_verify(arg, answer, &range);
}

static struct blake3_range last_group(const struct reader *reader)
{
	return (struct blake3_range){
		.file_len = reader->size_told,
		.first_group = (reader->size_told - 1) / BLAKE3_GROUP_LEN,
		.group_cnt = 1,
	};
}

static bool size_proof_check(void *arg, const struct message_answer *answer)
{
	struct reader_half *half = arg;
	const struct blake3_range range = last_group(half->chunk->reader);

	return answer->total == range.file_len && size_verify(half, answer, &range);
}

static void size_known(struct reader *reader)
{
	reader->ask.size = reader->size_told;
	reader->is_sized = true;
	blobs_reader_wake(reader);
}

static void size_proved(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct reader_half *half = arg;
	struct reader *reader = half->chunk->reader;

	reader->now_ns = now_ns;
	half->is_out = false;
	if (!answer->err)
		size_known(reader);
	else if (reader->size_try_cnt < READER_SIZE_TRIES_MAX)
		blobs_reader_wake(reader); /* another is asked */
	else
		blobs_reader_fail(reader, answer->err, "%s", answer->detail);
}

static void size_ask(struct reader_half *half, const struct swarm_ask *ask, uint64_t now_ns)
{
	struct reader *reader = half->chunk->reader;
	int err;

	half->ask = *ask;
	half->ask.type = MESH_RANGE_PROOF;
	half->ask.what = READ_WHAT;
	half->ask.what_len = sizeof(READ_WHAT) - 1;
	half->ask.item = reader->origin.item;
	half->ask.buf = half->proof;
	half->ask.cap = sizeof(half->proof);
	half->ask.arg = half;
	half->ask.request.cnt = 1;
	memcpy(half->ask.request.id, reader->ask.content_id, sizeof(half->ask.request.id));
	err = blobs_swarm_ask(reader->swarm, &half->ask, now_ns);
	half->is_out = err == 0;
	if (err)
		blobs_reader_fail(reader, err, "nobody can be asked: %s", weft_err_text(err));
}

static void size_told(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct reader_half *half = arg;
	struct reader *reader = half->chunk->reader;
	struct swarm_ask proof = {.check = size_proof_check, .done = size_proved};

	reader->now_ns = now_ns;
	half->is_out = false;
	if (answer->err && reader->size_tried_cnt > 0) {
		reader->size_tried_cnt = 0; /* no other is left: a busy one may be free now */
		blobs_reader_wake(reader);
		return;
	}
	if (answer->err) {
		blobs_reader_fail(reader, answer->err, "%s", answer->detail);
		return;
	}
	reader->size_told = answer->message.total;
	if (reader->size_told <= BLAKE3_GROUP_LEN) {
		size_known(reader); /* the first group is the last */
		return;
	}
	/* The node that named it proves it: others do not answer for it. */
	proof.from = blobs_swarm_lookup(reader->swarm, answer->from_key);
	if (!proof.from) {
		blobs_reader_wake(reader); /* it was lost meanwhile: another is asked */
		return;
	}
	memcpy(reader->size_tried[reader->size_tried_cnt++], answer->from_key, MESH_KEY_LEN);
	reader->size_try_cnt++;
	proof.request.first = last_group(reader).first_group;
	proof.chunk = (reader->size_told - 1) / BLAKE3_CHUNK_LEN;
	size_ask(half, &proof, now_ns);
}

void blobs_reader_size_ask(struct reader *reader, uint64_t now_ns)
{
	struct reader_half *half = &reader->chunks[0].halves[0];
	const struct swarm_ask first = {
		.not_of = reader->size_tried,
		.not_of_cnt = reader->size_tried_cnt,
		.check = size_told_check,
		.done = size_told,
	};

	half->chunk = &reader->chunks[0];
	if (!half->is_out && swarm_is_there(reader, now_ns))
		size_ask(half, &first, now_ns);
}
