/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a file that is here. Its record is believed as little as that of another node: every
 * chunk is verified. A file that turns out to be another by now is left, and other nodes are
 * asked.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "blobs/blobs_state.h"
#include "blobs/manifest/manifest.h"
#include "read_state.h"
#include "blobs/serve/served_index.h"
#include "blobs/serve/serve_file.h"
#include "store/store.h"

/* --- finding its places --- */

static void find_run(struct job *job)
{
	struct reader_find *find = (struct reader_find *)job;
	struct reader *reader = find->reader;
	const struct object_file *file;
	struct store_snapshot *snapshot;

	if (store_snapshot_open(reader->content->params.store, &snapshot) < 0)
		return;
	blobs_object_locations_begin(&find->locations, snapshot, reader->ask.content_id);
	while (find->place_cnt < READER_PLACES_MAX &&
	       (file = blobs_object_locations_next(&find->locations)))
		if (!reader->is_sized || file->stamp.size == reader->ask.size)
			find->places[find->place_cnt++] = *file;
	/* Damaged records are no places; a check of the store names them. */
	if (blobs_object_locations_end(&find->locations) < 0)
		find->place_cnt = 0;
	store_snapshot_close(snapshot);
}

/*
 * Content that is neither served nor held for a get is not for programs that ask by hash,
 * either.
 */
static void places_filter(struct reader *reader)
{
	struct reader_find *find = &reader->find;
	const struct served_index *served_index = blobs_served_index(reader->content);
	unsigned kept = 0;

	for (unsigned i = 0; i < find->place_cnt; i++)
		if (served_index && blobs_served_index_holds_file(served_index, &find->places[i]))
			find->places[kept++] = find->places[i];
	find->place_cnt = kept;
}

static void find_done(struct job *job)
{
	struct reader *reader = ((struct reader_find *)job)->reader;

	if (!blobs_reader_job_done(reader))
		return;
	places_filter(reader);
	reader->step = reader->find.place_cnt ? READER_OPENING : READER_SIZING;
}

bool blobs_reader_find_begin(struct reader *reader)
{
	return blobs_reader_submit(reader, &reader->find.job, find_run, find_done);
}

/* --- opening --- */

static void open_run(struct job *job)
{
	struct reader_find *find = (struct reader_find *)job;

	for (unsigned i = 0; i < find->place_cnt && find->fd < 0; i++) {
		int fd = blobs_serve_file_open(&find->places[i], true);

		if (fd < 0)
			continue;
		find->fd = fd;
		find->found = i;
	}
}

static void open_done(struct job *job)
{
	struct reader_find *find = (struct reader_find *)job;
	struct reader *reader = find->reader;

	reader->fd = find->fd;
	if (find->fd >= 0)
		reader->file = find->places[find->found];
	find->fd = -1;
	if (blobs_reader_job_done(reader))
		reader->step = READER_SIZING;
}

bool blobs_reader_open_begin(struct reader *reader)
{
	return blobs_reader_submit(reader, &reader->find.job, open_run, open_done);
}

void blobs_reader_file_close(struct reader *reader)
{
	if (!reader->is_stale || reader->reading_cnt > 0 || reader->fd < 0)
		return;
	close(reader->fd);
	reader->fd = -1;
}

/* --- chunks --- */

static int chunk_verify(const struct reader_chunk *chunk)
{
	const struct reader *reader = chunk->reader;
	bool is_whole = reader->ask.size <= BLAKE3_CHUNK_LEN;
	uint8_t want[BLAKE3_HASH_LEN], got[BLAKE3_HASH_LEN];

	if (is_whole) {
		memcpy(want, reader->ask.content_id, sizeof(want));
	} else {
		int err = blobs_object_hashes_read(
			reader->content->params.store,
			&(struct object_hashes){.content_id = reader->ask.content_id,
						.size = reader->ask.size,
						.first = chunk->idx,
						.cnt = 1},
			want);

		if (err)
			return err;
	}
	blake3_subtree(chunk->data, chunk->len, chunk->idx * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN),
		       is_whole, got);
	return memcmp(got, want, sizeof(got)) == 0 ? 0 : WEFT_ECHANGED;
}

static void chunk_run(struct job *job)
{
	struct reader_chunk *chunk = (struct reader_chunk *)job;
	const struct reader *reader = chunk->reader;

	chunk->err = blobs_serve_file_read(
		reader->fd, &reader->file,
		&(struct serve_part){chunk->idx * BLAKE3_CHUNK_LEN, chunk->data, chunk->len}, true);
	if (!chunk->err)
		chunk->err = chunk_verify(chunk);
}

static void chunk_done(struct job *job)
{
	struct reader_chunk *chunk = (struct reader_chunk *)job;
	struct reader *reader = chunk->reader;

	reader->reading_cnt--;
	if (!blobs_reader_job_done(reader))
		return;
	chunk->state = chunk->err ? READER_CHUNK_NONE : READER_CHUNK_READY;
	if (!chunk->err)
		return;
	reader->is_stale = true;
	if (chunk->err == WEFT_ECHANGED)
		blobs_forget_file(reader->content, &reader->file);
	if (!reader->has_origin)
		blobs_reader_fail(reader, chunk->err, "%s: %s", reader->file.path,
				  weft_err_text(chunk->err));
}

bool blobs_reader_chunk_read(struct reader_chunk *chunk)
{
	if (!blobs_reader_submit(chunk->reader, &chunk->job, chunk_run, chunk_done))
		return false;
	chunk->state = READER_CHUNK_HERE;
	chunk->reader->reading_cnt++;
	return true;
}
