/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file becomes pieces: a job reads, seals and hashes some of them, and home stores those before the
 * next ones are read. So a large file takes no more memory than a step of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/thread/jobs.h"
#include "social/attachments/attachments_state.h"

#define STEP_PIECES 8u

struct make_file {
	char *path;
	struct attachment_head head;
	char type[POST_TYPE_LEN_MAX + 1];  /* of a public one, with its name */
	uint8_t (*blobs)[BLAKE3_HASH_LEN]; /* of its pieces */
	uint8_t (*list)[BLAKE3_HASH_LEN];  /* the chaining values of a public one */
	uint32_t piece_cnt, done_cnt;
	uint8_t content_id[BLAKE3_HASH_LEN]; /* of a public one */
};

struct make {
	struct job job; /* first */
	struct attachments *attachments;
	struct make_file files[POST_ATTACHMENTS_MAX];
	struct post_attachment rows[POST_ATTACHMENTS_MAX];
	unsigned cnt, at;
	bool is_public;
	uint8_t key[CONTENT_KEY_LEN];
	void (*done)(void *arg, int err, const struct made_attachments *made);
	void *arg;
	uint64_t len; /* of all files so far */
	/* The step of the file at hand. */
	int fd;
	unsigned step_cnt;
	size_t step_lens[STEP_PIECES];
	uint8_t *text;	/* PIECE_LEN_MAX */
	uint8_t *bytes; /* STEP_PIECES of PIECE_LEN_MAX */
	int err;
};

/* --- in the job --- */

static int read_whole(int fd, uint8_t *dst, size_t len)
{
	while (len) {
		ssize_t got = read(fd, dst, len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : WEFT_ECHANGED;
		dst += got;
		len -= (size_t)got;
	}
	return 0;
}

static size_t head_write(const struct make_file *file, uint8_t head[static ATTACHMENT_HEAD_MAX])
{
	struct writer w = writer_of(head, ATTACHMENT_HEAD_MAX);

	social_attachment_head_write(&w, &file->head);
	return w.bad ? 0 : writer_len(&w);
}

static int file_begin(struct make *make, struct make_file *file)
{
	uint8_t head[ATTACHMENT_HEAD_MAX];
	uint64_t cnt;
	struct stat st;

	make->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (make->fd < 0 || fstat(make->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return WEFT_EUNSAFE;
	file->head.size = (uint64_t)st.st_size;
	make->len += file->head.size;
	cnt = make->is_public ? social_attachment_chunk_cnt(file->head.size)
			      : social_attachment_unit_cnt(&file->head, head_write(file, head));
	if (cnt > PIECES_CNT_MAX || make->len > ATTACHED_LEN_MAX)
		return WEFT_ETOOLARGE;
	file->piece_cnt = (uint32_t)cnt;
	file->blobs = calloc(cnt, sizeof(*file->blobs));
	file->list = make->is_public ? calloc(cnt, sizeof(*file->list)) : NULL;
	return file->blobs && (file->list || !make->is_public) ? 0 : -ENOMEM;
}

/* Bytes of the file before a unit: the first one has the head before them. */
static uint64_t unit_off(uint32_t idx, size_t head_len)
{
	return idx ? (uint64_t)idx * CONTENT_UNIT_TEXT_MAX - head_len : 0;
}

static int unit_make(struct make *make, struct make_file *file, uint32_t idx, uint8_t *out,
		     size_t *out_len)
{
	uint8_t head[ATTACHMENT_HEAD_MAX];
	size_t head_len = head_write(file, head), before_len = idx ? 0 : head_len;
	uint64_t left = file->head.size - unit_off(idx, head_len);
	size_t len = CONTENT_UNIT_TEXT_MAX - before_len;
	int err;

	len = left < len ? (size_t)left : len;
	memcpy(make->text, head, before_len);
	if ((err = read_whole(make->fd, make->text + before_len, len)) < 0)
		return err;
	social_unit_seal(make->key, (struct content_unit){make->at, idx}, make->text,
			 before_len + len, out);
	*out_len = before_len + len + CONTENT_TAG_LEN;
	return 0;
}

static int chunk_make(struct make *make, struct make_file *file, uint32_t idx, uint8_t *out,
		      size_t *out_len)
{
	uint64_t left = file->head.size - (uint64_t)idx * PIECE_LEN_MAX;
	size_t len = left < PIECE_LEN_MAX ? (size_t)left : PIECE_LEN_MAX;
	int err = read_whole(make->fd, out, len);

	if (err < 0)
		return err;
	*out_len = len;
	if (len)
		blake3_subtree(out, len, (uint64_t)idx * (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN),
			       file->piece_cnt == 1, file->list[idx]);
	else
		blake3_hash(out, 0, file->list[idx]);
	return 0;
}

static int file_end(struct make *make, struct make_file *file)
{
	uint8_t more;
	ssize_t got = read(make->fd, &more, 1);

	close(make->fd);
	make->fd = -1;
	if (got != 0)
		return got < 0 ? -errno : WEFT_ECHANGED;
	if (make->is_public)
		blake3_cvs_combine(file->list[0], file->piece_cnt, true, file->content_id);
	if (make->is_public && file->piece_cnt == 1)
		memcpy(file->content_id, file->list[0], BLAKE3_HASH_LEN);
	return 0;
}

static int step_make(struct make *make)
{
	struct make_file *file = &make->files[make->at];
	int err = make->fd < 0 ? file_begin(make, file) : 0;

	make->step_cnt = 0;
	while (err == 0 && make->step_cnt < STEP_PIECES && file->done_cnt < file->piece_cnt) {
		uint8_t *out = make->bytes + (size_t)make->step_cnt * PIECE_LEN_MAX;
		size_t *out_len = &make->step_lens[make->step_cnt];
		uint32_t idx = file->done_cnt;

		err = make->is_public ? chunk_make(make, file, idx, out, out_len)
				      : unit_make(make, file, idx, out, out_len);
		if (err < 0)
			return err;
		blake3_hash(out, *out_len, file->blobs[idx]);
		make->step_cnt++;
		file->done_cnt++;
	}
	return err == 0 && file->done_cnt == file->piece_cnt ? file_end(make, file) : err;
}

static void make_run(struct job *job)
{
	struct make *make = (struct make *)job;

	make->err = step_make(make);
}

/* --- on home --- */

static void make_free(struct make *make)
{
	for (unsigned i = 0; i < make->cnt; i++) {
		free(make->files[i].path);
		free(make->files[i].blobs);
		free(make->files[i].list);
	}
	if (make->fd >= 0)
		close(make->fd);
	free(make->text);
	free(make->bytes);
	explicit_bzero(make, sizeof(*make));
	free(make);
}

static void rows_fill(struct make *make)
{
	for (unsigned i = 0; i < make->cnt; i++) {
		struct make_file *file = &make->files[i];
		struct post_attachment *row = &make->rows[i];

		if (!make->is_public) {
			*row = (struct post_attachment){.ids = file->blobs[0],
							.ids_len = (size_t)file->piece_cnt *
								   BLAKE3_HASH_LEN,
							.type = ""};
			continue;
		}
		social_attachment_type_write(&file->head, file->type);
		*row = (struct post_attachment){file->content_id, POST_ID_LEN, file->type,
						strlen(file->type), file->head.size};
	}
}

static void make_end(struct make *make, int err)
{
	struct attachments *attachments = make->attachments;
	struct made_attachments made = {.rows = make->rows,
					.cnt = make->cnt,
					.content_key = make->is_public ? NULL : make->key};

	if (err < 0 && make->at < make->cnt)
		made.path = make->files[make->at].path;
	if (err == 0)
		rows_fill(make);
	make->done(make->arg, err, &made);
	attachments->make_cnt--;
	attachments->params.ways.release(attachments->params.ways.ctx);
	make_free(make);
}

static void step_begin(struct make *make);

static void on_stored(void *arg, int err)
{
	struct make *make = arg;
	const struct make_file *file = &make->files[make->at];

	make->attachments->job_cnt--;
	if (err == 0 && file->done_cnt == file->piece_cnt)
		make->at++;
	if (err == 0 && make->attachments->is_stopped)
		err = WEFT_ECLOSED;
	if (err < 0 || make->at == make->cnt)
		make_end(make, err);
	else
		step_begin(make);
}

/* A list is stored behind all of its chunks. */
static void step_put(struct make *make, struct store_batch *batch)
{
	struct make_file *file = &make->files[make->at];
	uint32_t first = file->done_cnt - make->step_cnt;

	for (unsigned i = 0; i < make->step_cnt; i++)
		store_batch_put_blob(batch, file->blobs[first + i],
				     make->bytes + (size_t)i * PIECE_LEN_MAX, make->step_lens[i]);
	if (file->done_cnt < file->piece_cnt || !make->is_public || file->piece_cnt == 1)
		return;
	for (uint32_t i = 0; i < file->piece_cnt; i++)
		social_chunk_put(batch, file->content_id, i, file->blobs[i]);
	social_list_put(batch, file->content_id, file->list[0], file->piece_cnt);
}

static void step_done(struct job *job)
{
	struct make *make = (struct make *)job;
	struct store *store = make->attachments->params.ground->store;
	struct store_batch *batch;
	int err = make->attachments->is_stopped ? WEFT_ECLOSED : make->err;

	if (err < 0) {
		make->attachments->job_cnt--;
		make_end(make, err);
		return;
	}
	batch = store_batch_new(store);
	if (batch)
		step_put(make, batch);
	err = batch ? store_submit(store, batch, on_stored, make) : -ENOMEM;
	if (err == 0)
		return;
	store_batch_free(batch);
	on_stored(make, err);
}

static void step_begin(struct make *make)
{
	make->job = (struct job){.run = make_run, .done = step_done};
	make->attachments->job_cnt++;
	if (jobs_submit(make->attachments->params.jobs, &make->job) == 0)
		return;
	make->attachments->job_cnt--;
	make_end(make, WEFT_EBUSY);
}

static bool make_fill(struct make *make, const struct attachments_making *making)
{
	make->fd = -1;
	make->is_public = making->is_public;
	make->done = making->done;
	make->arg = making->arg;
	make->text = malloc(PIECE_LEN_MAX);
	make->bytes = malloc((size_t)STEP_PIECES * PIECE_LEN_MAX);
	for (; make->cnt < making->cnt; make->cnt++) {
		const struct attachment_file *from = &making->files[make->cnt];
		struct make_file *file = &make->files[make->cnt];

		if (!(file->path = strdup(from->path)))
			return false;
		social_attachment_head_set(&file->head, from->type, from->name);
	}
	return make->text && make->bytes;
}

int social_attachments_make(struct attachments *attachments,
			    const struct attachments_making *making)
{
	const struct attachment_ways *ways = &attachments->params.ways;
	struct make *make;
	int err;

	if (attachments->make_cnt == ATTACHMENT_MAKES_MAX)
		return WEFT_EBUSY;
	if (!(make = calloc(1, sizeof(*make))))
		return -ENOMEM;
	make->attachments = attachments;
	if (!make_fill(make, making) || (err = ways->hold(ways->ctx)) < 0) {
		err = make->text && make->bytes && make->cnt == making->cnt ? WEFT_EBUSY : -ENOMEM;
		make_free(make);
		return err;
	}
	random_fill(attachments->params.ground->random, make->key, sizeof(make->key));
	attachments->make_cnt++;
	step_begin(make);
	return 0;
}
