/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a reader.
 *
 *	find (job) -> open (job) -> how long is it? -> chunks, some at a time -> pieces in order -> done
 *
 * Whatever happens is noted and the timer set; reader_run, which it calls,
 * decides what is next.
 */
#include "read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "read_state.h"
#include "blobs/blobs_state.h"

#define RETRY_NS (10 * NS_PER_MS)

struct readers {
	struct blobs *content;
	struct reader *first;
	unsigned cnt;
};

static void reader_run(struct timer *timer, uint64_t now_ns);

int blobs_readers_new(struct blobs *content, struct readers **out_readers)
{
	struct readers *readers = calloc(1, sizeof(*readers));

	if (!readers)
		return -ENOMEM;
	readers->content = content;
	*out_readers = readers;
	return 0;
}

unsigned blobs_readers_cnt(const struct readers *readers)
{
	return readers->cnt;
}

size_t blobs_readers_footprint(void)
{
	return READERS_MAX *
	       (sizeof(struct reader) + READER_CHUNK_CNT * sizeof(struct reader_chunk));
}

/* --- what the parts of a reader call --- */

void blobs_reader_wake(struct reader *reader)
{
	timer_set(reader->content->params.timers, &reader->timer, reader->now_ns);
}

static void reader_retry(struct reader *reader, uint64_t now_ns)
{
	timer_set(reader->content->params.timers, &reader->timer, now_ns + RETRY_NS);
}

bool blobs_reader_submit(struct reader *reader, struct job *job, job_fn run, job_fn done)
{
	job->run = run;
	job->done = done;
	if (jobs_submit(reader->content->params.jobs, job) < 0)
		return false;
	reader->job_cnt++;
	return true;
}

bool blobs_reader_job_done(struct reader *reader)
{
	reader->job_cnt--;
	blobs_reader_wake(reader);
	return reader->step != READER_ENDING;
}

static void requests_cancel(struct reader *reader)
{
	for (unsigned i = 0; i < READER_CHUNK_CNT; i++)
		blobs_reader_chunk_ask_cancel(&reader->chunks[i]);
}

void blobs_reader_fail(struct reader *reader, int err, const char *fmt, ...)
{
	va_list args;

	if (reader->step == READER_ENDING)
		return;
	va_start(args, fmt);
	vsnprintf(reader->detail, sizeof(reader->detail), fmt, args);
	va_end(args);
	reader->err = err;
	reader->step = READER_ENDING;
	requests_cancel(reader);
	blobs_reader_wake(reader);
}

/* --- life --- */

static void reader_free(struct reader *reader)
{
	struct readers *readers = reader->content->readers;
	struct reader **at = &readers->first;

	while (*at != reader)
		at = &(*at)->next;
	*at = reader->next;
	readers->cnt--;
	timer_cancel(reader->content->params.timers, &reader->timer);
	timer_cancel(reader->content->params.timers, &reader->watch);
	if (reader->swarm)
		blobs_swarm_leave(reader->swarm);
	reader->is_stale = true;
	blobs_reader_file_close(reader);
	free(reader->chunks);
	free(reader);
}

static void origin_copy(struct reader *reader, const struct reader_origin *origin)
{
	reader->has_origin = true;
	reader->origin = *origin;
	reader->origin.hints = reader->hints;
	if (reader->origin.hint_cnt > READER_HINTS_MAX)
		reader->origin.hint_cnt = READER_HINTS_MAX;
	for (unsigned i = 0; i < reader->origin.hint_cnt; i++) {
		struct mesh_peer *hint = &reader->hints[i];

		*hint = origin->hints[i];
		if (hint->addr_cnt > MESH_PEER_ADDRS_MAX)
			hint->addr_cnt = MESH_PEER_ADDRS_MAX;
		if (hint->via_cnt > PEER_VIAS_MAX)
			hint->via_cnt = PEER_VIAS_MAX;
		memcpy(reader->hint_addrs[i], hint->addrs, hint->addr_cnt * sizeof(struct addr));
		hint->addrs = reader->hint_addrs[i];
		if (hint->via_cnt)
			memcpy(reader->hint_vias[i], hint->vias,
			       hint->via_cnt * sizeof(struct peer_via));
		hint->vias = reader->hint_vias[i];
	}
}

static bool part_fits(const struct reader_ask *ask, uint64_t size)
{
	return ask->off <= size && ask->len <= size - ask->off;
}

/* Nothing of an empty file can be proved, but its hash says all. */
static bool is_nothing(const uint8_t content_id[static OBJECT_ID_LEN])
{
	uint8_t id[BLAKE3_HASH_LEN];

	blake3_hash("", 0, id);
	return memcmp(id, content_id, sizeof(id)) == 0;
}

int blobs_reader_start(struct blobs *content, const struct reader_ask *ask, uint64_t now_ns,
		       struct reader **out_reader)
{
	struct readers *readers = content->readers;
	struct reader *reader;

	if (readers->cnt >= READERS_MAX)
		return WEFT_EFULL;
	if (!ask->opened && !part_fits(ask, ask->size))
		return WEFT_EMALFORMED;
	if (blobs_is_blocked(content, ask->content_id))
		return WEFT_EREFUSED;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	reader->chunks = calloc(READER_CHUNK_CNT, sizeof(*reader->chunks));
	if (!reader->chunks) {
		free(reader);
		return -ENOMEM;
	}
	reader->content = content;
	reader->ask = *ask;
	reader->ask.origin = NULL;
	reader->now_ns = now_ns;
	reader->fd = -1;
	reader->find.fd = -1;
	reader->find.reader = reader;
	for (unsigned i = 0; i < READER_CHUNK_CNT; i++)
		reader->chunks[i].reader = reader;
	if (ask->size == READER_SIZE_UNTOLD && is_nothing(ask->content_id))
		reader->ask.size = 0;
	reader->is_sized = reader->ask.size != READER_SIZE_UNTOLD;
	timer_init(&reader->timer, reader_run);
	timer_init(&reader->watch, blobs_reader_watch);
	reader->next = readers->first;
	readers->first = reader;
	readers->cnt++;
	if (ask->origin)
		origin_copy(reader, ask->origin);
	*out_reader = reader;
	timer_set(content->params.timers, &reader->timer, now_ns);
	return 0;
}

void blobs_reader_resume(struct reader *reader, uint64_t now_ns)
{
	reader->now_ns = now_ns;
	reader->is_paused = false;
	blobs_reader_wake(reader);
}

void blobs_reader_cancel(struct reader *reader)
{
	reader->is_silent = true;
	blobs_reader_fail(reader, WEFT_ECANCELLED, "cancelled");
	blobs_reader_wake(reader);
}

void blobs_readers_free(struct readers *readers)
{
	struct jobs *jobs;

	if (!readers)
		return;
	jobs = readers->content->params.jobs;
	for (struct reader *reader = readers->first; reader; reader = reader->next)
		blobs_reader_cancel(reader);
	while (readers->first) {
		if (readers->first->job_cnt == 0) {
			reader_free(readers->first);
			continue;
		}
		jobs_reap_wait(jobs);
	}
	free(readers);
}

/* --- running --- */

/* The bytes of a chunk that were asked for. */
static size_t chunk_part(const struct reader *reader, const struct reader_chunk *chunk,
			 const uint8_t **out_data)
{
	uint64_t begin = chunk->idx * BLAKE3_CHUNK_LEN, end = begin + chunk->len;
	uint64_t ask_end = reader->ask.off + reader->ask.len;
	uint64_t from = begin > reader->ask.off ? begin : reader->ask.off;

	end = end < ask_end ? end : ask_end;
	*out_data = chunk->data + (from - begin);
	return (size_t)(end - from);
}

static void chunks_hand_out(struct reader *reader, uint64_t now_ns)
{
	while (!reader->is_paused && reader->out_chunk < reader->next_chunk) {
		struct reader_chunk *chunk = &reader->chunks[reader->out_chunk % READER_CHUNK_CNT];
		const uint8_t *data;
		size_t len;

		if (chunk->state != READER_CHUNK_READY)
			return;
		len = chunk_part(reader, chunk, &data);
		if (!reader->ask.piece(reader->ask.arg, data, len, now_ns)) {
			reader->is_paused = true;
			return;
		}
		if (reader->step == READER_ENDING)
			return; /* piece cancelled it */
		chunk->state = READER_CHUNK_NONE;
		reader->out_chunk++;
	}
}

/* A chunk that is not read here, for whatever reason, is asked for there. */
static bool chunk_begin(struct reader_chunk *chunk, uint64_t now_ns)
{
	struct reader *reader = chunk->reader;

	if (reader->fd >= 0 && !reader->is_stale)
		return blobs_reader_chunk_read(chunk);
	if (reader->has_origin)
		return blobs_reader_chunk_ask(chunk, now_ns);
	blobs_reader_fail(reader, WEFT_EABSENT, "it is not here, or no longer what it was");
	return false;
}

static void chunks_fetch(struct reader *reader, uint64_t now_ns)
{
	bool is_held_up = false;

	blobs_reader_file_close(reader);
	while (reader->next_chunk < reader->end_chunk &&
	       reader->next_chunk < reader->out_chunk + READER_CHUNK_CNT) {
		struct reader_chunk *chunk = &reader->chunks[reader->next_chunk % READER_CHUNK_CNT];
		uint64_t left = reader->ask.size - reader->next_chunk * BLAKE3_CHUNK_LEN;

		chunk->idx = reader->next_chunk++;
		chunk->len = left < BLAKE3_CHUNK_LEN ? (size_t)left : BLAKE3_CHUNK_LEN;
		chunk->state = READER_CHUNK_NONE;
	}
	for (uint64_t idx = reader->out_chunk;
	     idx < reader->next_chunk && reader->step != READER_ENDING; idx++) {
		struct reader_chunk *chunk = &reader->chunks[idx % READER_CHUNK_CNT];

		if (chunk->state == READER_CHUNK_NONE && !chunk_begin(chunk, now_ns))
			is_held_up = true;
	}
	if (is_held_up && reader->step != READER_ENDING)
		reader_retry(reader, now_ns);
}

static void reader_begin(struct reader *reader, uint64_t now_ns)
{
	struct reader_ask *ask = &reader->ask;

	reader->step = READER_RUNNING;
	if (ask->opened && !ask->opened(ask->arg, ask->size, &ask->off, &ask->len, now_ns)) {
		blobs_reader_cancel(reader);
		return;
	}
	if (!part_fits(ask, ask->size)) {
		blobs_reader_fail(reader, WEFT_EMALFORMED, "the range lies beyond the end");
		return;
	}
	blobs_reader_wake(reader);
	reader->out_chunk = reader->next_chunk = ask->off / BLAKE3_CHUNK_LEN;
	reader->end_chunk = reader->out_chunk;
	if (ask->len > 0)
		reader->end_chunk = (ask->off + ask->len - 1) / BLAKE3_CHUNK_LEN + 1;
}

/* How long the file is, is known or asked for; then what part of it is wanted. */
static void reader_size(struct reader *reader, uint64_t now_ns)
{
	if (!reader->is_sized && reader->fd >= 0) {
		reader->ask.size = reader->file.stamp.size;
		reader->is_sized = true;
	}
	if (reader->is_sized)
		reader_begin(reader, now_ns);
	else if (reader->has_origin)
		blobs_reader_size_ask(reader, now_ns);
	else
		blobs_reader_fail(reader, WEFT_EABSENT, "it is not here");
}

static void reader_end(struct reader *reader, uint64_t now_ns)
{
	struct reader_ask ask = reader->ask;
	char detail[READER_DETAIL_CAP];
	bool is_silent = reader->is_silent;
	int err = reader->err;

	memcpy(detail, reader->detail, sizeof(detail));
	reader_free(reader);
	if (!is_silent)
		ask.done(ask.arg, err, detail, now_ns);
}

static void reader_run(struct timer *timer, uint64_t now_ns)
{
	struct reader *reader = (struct reader *)timer;

	reader->now_ns = now_ns;
	switch (reader->step) {
	case READER_SEARCHING:
		if (reader->job_cnt == 0 && !blobs_reader_find_begin(reader))
			reader_retry(reader, now_ns);
		return;
	case READER_OPENING:
		if (reader->job_cnt == 0 && !blobs_reader_open_begin(reader))
			reader_retry(reader, now_ns);
		return;
	case READER_SIZING:
		reader_size(reader, now_ns);
		break;
	case READER_RUNNING:
		chunks_hand_out(reader, now_ns);
		if (reader->step == READER_RUNNING)
			chunks_fetch(reader, now_ns);
		if (reader->step == READER_RUNNING && reader->out_chunk == reader->end_chunk)
			reader->step = READER_ENDING;
		break;
	case READER_ENDING:
		break;
	}
	if (reader->step == READER_ENDING && reader->job_cnt == 0)
		reader_end(reader, now_ns);
}
