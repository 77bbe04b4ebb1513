/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces become a file again, and what is known of one without reading all of it. In jobs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread/jobs.h"
#include "social/attachments/attachments_state.h"
#include "social/read/social_read.h"

/* What the job has of the post: opened is not touched by it. */
struct reading {
	struct job job; /* first */
	struct attachments *attachments;
	struct store *store;
	struct post post;
	bool is_public;
	uint8_t key[CONTENT_KEY_LEN];
	int err;
	/* Of a look. */
	struct attachment_look look;
	struct attachment_view views[POST_ATTACHMENTS_MAX];
	/* Of a part. */
	struct attachment_ask ask;
	struct attachment_part part;
	uint8_t *bytes; /* PIECE_LEN_MAX */
};

/* --- in the job --- */

/* The bytes of a piece as it is stored: 0, WEFT_EABSENT or an error. */
static int piece_load(struct reading *reading, const struct attachment_pieces *pieces, uint32_t idx,
		      uint8_t **out_bytes, size_t *out_len)
{
	uint8_t blob[BLAKE3_HASH_LEN];
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(reading->store, &snapshot);

	if (err < 0)
		return err;
	err = social_piece_find(snapshot, pieces, idx, blob);
	store_snapshot_close(snapshot);
	return err < 0 ? err
		       : store_blob_load(reading->store, blob, PIECE_LEN_MAX, out_bytes, out_len);
}

/* A unit of a private attachment, opened into reading->bytes. */
static int unit_open(struct reading *reading, const struct attachment_pieces *pieces,
		     struct content_unit which, size_t *out_len)
{
	uint8_t *sealed;
	size_t len;
	int err = piece_load(reading, pieces, which.unit, &sealed, &len);

	if (err < 0)
		return err;
	err = len < CONTENT_TAG_LEN
		      ? WEFT_EDAMAGED
		      : social_unit_open(reading->key, which, sealed, len, reading->bytes);
	free(sealed);
	if (err == 0)
		*out_len = len - CONTENT_TAG_LEN;
	return err;
}

/* The first unit, in reading->bytes, and the head at its start. */
static int head_open(struct reading *reading, const struct attachment_pieces *pieces,
		     unsigned attachment, struct attachment_head *out_head, size_t *out_head_len)
{
	size_t len;
	int err = unit_open(reading, pieces, (struct content_unit){attachment, 0}, &len);

	if (err == 0 &&
	    social_attachment_head_parse(reading->bytes, len, out_head, out_head_len) < 0)
		err = WEFT_EDAMAGED;
	return err;
}

/* Its first chaining value: verified anew, since this is what a person gets. */
static int chunk_read(struct reading *reading, const struct attachment_pieces *pieces, uint32_t idx)
{
	struct store_snapshot *snapshot;
	const uint8_t *list = NULL;
	uint8_t *bytes;
	size_t len;
	int err = piece_load(reading, pieces, idx, &bytes, &len);

	if (err < 0)
		return err;
	if ((err = store_snapshot_open(reading->store, &snapshot)) == 0) {
		if (social_pieces_have_list(pieces))
			err = social_list_get(snapshot, pieces, &list);
		if (err == 0 && !social_piece_verify(pieces, list, idx, bytes, len))
			err = WEFT_EDAMAGED;
		store_snapshot_close(snapshot);
	}
	if (err == 0)
		memcpy(reading->bytes, bytes, len);
	free(bytes);
	reading->part.len = len;
	return err;
}

static int public_part_read(struct reading *reading, const struct attachment_pieces *pieces)
{
	const struct post_attachment *from = &reading->post.attachments[reading->ask.attachment];
	size_t before = (size_t)(reading->ask.off % PIECE_LEN_MAX);
	int err;

	social_attachment_type_parse(from->type, from->type_len, &reading->part.head);
	reading->part.head.size = from->size;
	if (reading->ask.off >= from->size)
		return 0;
	err = chunk_read(reading, pieces, (uint32_t)(reading->ask.off / PIECE_LEN_MAX));
	if (err == 0) {
		reading->part.bytes = reading->bytes + before;
		reading->part.len -= before;
	}
	return err;
}

/* Units follow each other without a gap: a sender that left one short is found out. */
static int private_part_read(struct reading *reading, const struct attachment_pieces *pieces)
{
	struct attachment_part *part = &reading->part;
	size_t head_len, len;
	uint64_t at, want;
	int err = head_open(reading, pieces, reading->ask.attachment, &part->head, &head_len);

	if (err < 0)
		return err;
	if (social_attachment_unit_cnt(&part->head, head_len) != pieces->cnt)
		return WEFT_EDAMAGED;
	if (reading->ask.off >= part->head.size)
		return 0;
	at = reading->ask.off + head_len;
	err = unit_open(reading, pieces,
			(struct content_unit){reading->ask.attachment,
					      (uint32_t)(at / CONTENT_UNIT_TEXT_MAX)},
			&len);
	if (err < 0)
		return err;
	want = part->head.size + head_len - at / CONTENT_UNIT_TEXT_MAX * CONTENT_UNIT_TEXT_MAX;
	want = want < CONTENT_UNIT_TEXT_MAX ? want : CONTENT_UNIT_TEXT_MAX;
	if (len != want)
		return WEFT_EDAMAGED;
	part->bytes = reading->bytes + at % CONTENT_UNIT_TEXT_MAX;
	part->len = len - (size_t)(at % CONTENT_UNIT_TEXT_MAX);
	return 0;
}

static void part_run(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	struct attachment_pieces pieces;

	if (!social_pieces_of(&reading->post.attachments[reading->ask.attachment],
			      reading->is_public, &pieces))
		reading->err = WEFT_EDAMAGED;
	else
		reading->err = reading->is_public ? public_part_read(reading, &pieces)
						  : private_part_read(reading, &pieces);
}

static int stored_count(struct reading *reading, const struct attachment_pieces *pieces,
			struct attachment_view *view)
{
	uint8_t blob[BLAKE3_HASH_LEN];
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(reading->store, &snapshot);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < pieces->cnt && err == 0; i++) {
		err = social_piece_find(snapshot, pieces, i, blob);
		if (err == 0) {
			int64_t len = store_blob_len(snapshot, blob);

			view->stored_cnt++;
			view->stored_len += len > 0 ? (uint64_t)len : 0;
		}
		err = err == WEFT_EABSENT ? 0 : err;
	}
	store_snapshot_close(snapshot);
	return err;
}

static int view_fill(struct reading *reading, unsigned idx)
{
	const struct post_attachment *from = &reading->post.attachments[idx];
	struct attachment_view *view = &reading->views[idx];
	struct attachment_pieces pieces;
	size_t head_len;
	int err;

	if (reading->is_public) {
		social_attachment_type_parse(from->type, from->type_len, &view->head);
		view->head.size = from->size;
		view->has_head = true;
	}
	if (!(view->is_sound = social_pieces_of(from, reading->is_public, &pieces)))
		return 0;
	view->piece_cnt = pieces.cnt;
	view->total_len = social_pieces_len(&pieces);
	if ((err = stored_count(reading, &pieces, view)) < 0 || reading->is_public)
		return err;
	err = head_open(reading, &pieces, idx, &view->head, &head_len);
	view->has_head = err == 0;
	if (err == 0)
		view->total_len =
			view->head.size + head_len + (uint64_t)pieces.cnt * CONTENT_TAG_LEN;
	else
		view->head = (struct attachment_head){.size = 0};
	view->is_sound =
		err == WEFT_EABSENT ||
		(err == 0 && social_attachment_unit_cnt(&view->head, head_len) == pieces.cnt);
	return 0;
}

static void look_run(struct job *job)
{
	struct reading *reading = (struct reading *)job;

	for (unsigned i = 0; i < reading->post.attachment_cnt && reading->err == 0; i++)
		reading->err = view_fill(reading, i);
}

/* --- on home --- */

static void reading_free(struct reading *reading)
{
	free(reading->bytes);
	explicit_bzero(reading, sizeof(*reading));
	free(reading);
}

static struct reading *reading_new(struct attachments *attachments,
				   const struct opened_post *opened)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (!reading || !(reading->bytes = malloc(PIECE_LEN_MAX))) {
		free(reading);
		return NULL;
	}
	reading->attachments = attachments;
	reading->store = attachments->params.ground->store;
	reading->post = opened->post;
	reading->is_public = opened->view.kind == VISIBILITY_PUBLIC;
	memcpy(reading->key, opened->content_key, sizeof(reading->key));
	return reading;
}

static int reading_begin(struct reading *reading, job_fn run, job_fn done)
{
	reading->job = (struct job){.run = run, .done = done};
	if (jobs_submit(reading->attachments->params.jobs, &reading->job) < 0) {
		reading_free(reading);
		return WEFT_EBUSY;
	}
	reading->attachments->job_cnt++;
	reading->attachments->read_cnt++;
	return 0;
}

static int reading_end(struct reading *reading)
{
	reading->attachments->job_cnt--;
	reading->attachments->read_cnt--;
	return reading->attachments->is_stopped ? WEFT_ECLOSED : reading->err;
}

static void look_done(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	int err = reading_end(reading);

	reading->look.done(reading->look.arg, err, reading->views,
			   err < 0 ? 0 : reading->post.attachment_cnt);
	reading_free(reading);
}

int social_attachments_look(struct attachments *attachments, const struct attachment_look *look)
{
	struct reading *reading;

	if (attachments->read_cnt >= ATTACHMENT_READS_MAX)
		return WEFT_EBUSY;
	if (!(reading = reading_new(attachments, look->opened)))
		return -ENOMEM;
	reading->look = *look;
	return reading_begin(reading, look_run, look_done);
}

static void part_done(struct job *job)
{
	struct reading *reading = (struct reading *)job;
	int err = reading_end(reading);

	if (!reading->part.bytes)
		reading->part.len = 0;
	reading->ask.done(reading->ask.arg, err, &reading->part);
	reading_free(reading);
}

int social_attachment_read(struct attachments *attachments, const struct attachment_ask *ask)
{
	struct reading *reading;

	if (ask->attachment >= ask->opened->post.attachment_cnt)
		return WEFT_EABSENT;
	if (attachments->read_cnt >= ATTACHMENT_READS_MAX)
		return WEFT_EBUSY;
	if (!(reading = reading_new(attachments, ask->opened)))
		return -ENOMEM;
	reading->ask = *ask;
	return reading_begin(reading, part_run, part_done);
}
