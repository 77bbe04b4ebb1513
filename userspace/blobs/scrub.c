/* SPDX-License-Identifier: Apache-2.0 */
#include "scrub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/random.h"
#include "base/timer.h"
#include "blobs_state.h"
#include "blobs/get/get.h"
#include "scan.h"
#include "blobs/manifest/manifest.h"
#include "object.h"
#include "blobs/serve/served_index.h"
#include "blobs/share_table.h"
#include "store/store.h"

/* Read at once, then waited for: 0.25 s of the default rate. */
#define STEP_LEN    (1u << 20)
#define REST_NS	    (5 * NS_PER_S) /* while others need the disk, and after the start */
#define ROUND_NS    (24ull * 3600 * NS_PER_S)
#define PROGRESS_NS (200 * NS_PER_MS) /* of a check */

enum scrub_verdict {
	SCRUB_GOES_ON,
	SCRUB_RIGHT,
	SCRUB_BAD,
	SCRUB_PASSED,
	SCRUB_GONE,
	SCRUB_AT_END
};

struct scrub_figures {
	uint64_t file_cnt, byte_cnt; /* verified */
	uint64_t bad_cnt;
	uint64_t passed_cnt; /* were changed, are gone or could not be opened */
	uint64_t round_cnt;  /* through all files */
};

struct scrub {
	struct job job; /* first */
	struct timer timer;
	struct blobs *content;
	struct scrub_figures figures;
	bool job_is_out, is_closing;
	uint64_t stepped_ns, round_ns; /* when this step and this round began */
	uint64_t served_byte_cnt;      /* when it was looked whether others are busy */
	/* The job's while it is out: */
	uint8_t key[OBJECT_ID_LEN];	 /* the next path, by its key */
	bool is_past_marks;		 /* marked files were looked at; those recorded are next */
	uint8_t mark_key[OBJECT_ID_LEN]; /* of the marked ones the next */
	bool is_mark;			 /* file is one of these */
	bool is_marked;			 /* it is recorded as well: a get is to fetch it again */
	struct object_file file;
	int fd; /* -1: none is open */
	struct scan scan;
	uint8_t *buffer;
	uint64_t read_len; /* of the last step */
	enum scrub_verdict verdict;
	bool reads_racy; /* also what verdict may not be bad of */
	int err;	 /* of a file that is bad or passed over, or why none can be looked at */
	/* A check that was asked for; the slow round goes on where it was. */
	bool is_checking, is_turning; /* it begins or ends with the next step */
	struct blobs_files_ask ask;
	struct blobs_files checked;
	bool has_slow_key;
	uint8_t slow_key[OBJECT_ID_LEN];
	uint64_t told_ns;
};

/* --- in the job --- */

/* The key after this one; false after the last. */
static bool key_step(uint8_t key[static OBJECT_ID_LEN])
{
	for (size_t i = OBJECT_ID_LEN; i-- > 0;)
		if (++key[i] != 0)
			return true;
	return false;
}

/* A marked file that is recorded as well, for a get to fetch again, is judged by its record. */
static bool mark_next(struct scrub *scrub, struct store_snapshot *snapshot)
{
	struct object_bad_iter iter;
	const struct object_file *file;
	const void *record;
	size_t len;
	bool is_found = false;

	blobs_object_bad_begin(&iter, scrub->content->params.store, scrub->mark_key);
	while (!is_found && (file = blobs_object_bad_next(&iter))) {
		blobs_object_path_key(file->path, scrub->mark_key);
		is_found = store_get(snapshot, STORE_PATHS,
				     store_key(scrub->mark_key, sizeof(scrub->mark_key)), &record,
				     &len) != 0;
		if (is_found)
			scrub->file = *file;
	}
	scrub->err = blobs_object_bad_end(&iter);
	return is_found;
}

static bool path_next(struct scrub *scrub, struct store_snapshot *snapshot)
{
	struct store_iter iter =
		store_iter(snapshot, STORE_PATHS, store_key(scrub->key, sizeof(scrub->key)));
	struct store_item item;
	bool is_found = false;

	while (!is_found && store_iter_next(&iter, &item)) {
		if (item.key_len != sizeof(scrub->key))
			continue;
		memcpy(scrub->key, item.key, item.key_len);
		is_found = blobs_object_file_parse(item.value, item.value_len, &scrub->file) == 0;
	}
	scrub->err = store_iter_end(&iter);
	scrub->is_marked =
		is_found && scrub->file.is_racy && blobs_object_is_bad(snapshot, scrub->key);
	return is_found;
}

/* Those that are marked come first: what becomes bad in this round is then named once. */
static enum scrub_verdict row_next(struct scrub *scrub)
{
	struct store_snapshot *snapshot;
	bool is_found;

	scrub->is_mark = scrub->is_marked = false;
	scrub->err = store_snapshot_open(scrub->content->params.store, &snapshot);
	if (scrub->err)
		return SCRUB_AT_END;
	if (!scrub->is_past_marks)
		scrub->is_mark = mark_next(scrub, snapshot);
	scrub->is_past_marks = !scrub->is_mark;
	is_found = scrub->is_mark || (scrub->err == 0 && path_next(scrub, snapshot));
	store_snapshot_close(snapshot);
	return is_found ? SCRUB_GOES_ON : SCRUB_AT_END;
}

static bool is_as_recorded(const struct scrub *scrub)
{
	struct object_stamp stamp;
	struct stat st;

	if (fstat(scrub->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	blobs_object_stamp_of(&st, &stamp);
	return blobs_object_stamp_equal(&stamp, &scrub->file.stamp);
}

static enum scrub_verdict file_pass(struct scrub *scrub, int err)
{
	scrub->err = err;
	return SCRUB_PASSED;
}

/* A file that was repaired has another stamp: its bytes alone count. */
static enum scrub_verdict mark_open(struct scrub *scrub)
{
	uint64_t size = scrub->file.stamp.size;
	struct stat st;

	scrub->fd = open(scrub->file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	scrub->err = scrub->fd < 0 || fstat(scrub->fd, &st) < 0 ? -errno : 0;
	if (scrub->err == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size))
		scrub->err = WEFT_EDAMAGED;
	if (scrub->err)
		return SCRUB_BAD;
	blobs_object_stamp_of(&st, &scrub->file.stamp);
	scrub->err = blobs_scan_init(&scrub->scan, scrub->fd, size);
	(void)posix_fadvise(scrub->fd, 0, 0, POSIX_FADV_DONTNEED);
	return scrub->err ? SCRUB_PASSED : SCRUB_GOES_ON;
}

static enum scrub_verdict file_open(struct scrub *scrub)
{
	if (scrub->is_mark)
		return mark_open(scrub);
	if (scrub->file.is_racy && !scrub->reads_racy && !scrub->is_marked)
		return file_pass(scrub, 0); /* its bytes may be new: serving verifies them */
	scrub->fd = open(scrub->file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (scrub->fd < 0)
		return file_pass(scrub, -errno);
	if (!is_as_recorded(scrub))
		return file_pass(scrub, WEFT_ECHANGED);
	scrub->err = blobs_scan_init(&scrub->scan, scrub->fd, scrub->file.stamp.size);
	if (scrub->err)
		return SCRUB_PASSED;
	/* The bytes in memory are those that were written; the question is those on the disk. */
	(void)posix_fadvise(scrub->fd, 0, 0, POSIX_FADV_DONTNEED);
	return SCRUB_GOES_ON;
}

static enum scrub_verdict file_read(struct scrub *scrub)
{
	uint64_t from = scrub->scan.off;
	int err = blobs_scan_run(&scrub->scan, STEP_LEN, scrub->buffer);

	scrub->read_len = scrub->scan.off - from;
	(void)posix_fadvise(scrub->fd, (off_t)from, (off_t)scrub->read_len, POSIX_FADV_DONTNEED);
	if (err > 0)
		return SCRUB_GOES_ON;
	if (err == -EIO) {
		scrub->err = err;
		return SCRUB_BAD;
	}
	if (err || !is_as_recorded(scrub))
		return file_pass(scrub, err ? err : WEFT_ECHANGED);
	scrub->err = 0;
	if (memcmp(scrub->scan.id, scrub->file.content_id, OBJECT_ID_LEN) == 0)
		return SCRUB_RIGHT;
	if (scrub->file.is_racy && !scrub->is_mark && !scrub->is_marked)
		return file_pass(scrub, WEFT_ECHANGED); /* whether it was written is not known */
	scrub->err = WEFT_EDAMAGED;
	return SCRUB_BAD;
}

static void step_run(struct job *job)
{
	struct scrub *scrub = (struct scrub *)job;

	scrub->read_len = 0;
	scrub->verdict = SCRUB_GOES_ON;
	if (!scrub->buffer)
		scrub->buffer = malloc(BLAKE3_CHUNK_LEN);
	if (!scrub->buffer) {
		scrub->err = -ENOMEM;
		scrub->verdict = SCRUB_AT_END;
		return;
	}
	if (scrub->fd < 0)
		scrub->verdict = row_next(scrub);
	if (scrub->verdict == SCRUB_GOES_ON && scrub->fd < 0)
		scrub->verdict = file_open(scrub);
	if (scrub->verdict == SCRUB_GOES_ON)
		scrub->verdict = file_read(scrub);
}

/* --- at home --- */

static void file_close(struct scrub *scrub)
{
	if (scrub->fd >= 0)
		close(scrub->fd);
	scrub->fd = -1;
	blobs_scan_fini(&scrub->scan);
}

/* Not recorded, it is found again. */
static void batch_send(struct scrub *scrub, struct store_batch *batch)
{
	if (store_submit(scrub->content->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

/*
 * A file that a get brought keeps its record, as one whose bytes are not to be trusted. So the
 * get knows the file as its own and may replace it. Files of gets and shares are both marked. A
 * file beyond OBJECT_BAD_MAX of them is reported once.
 */
static void bad_record(struct scrub *scrub)
{
	struct store *store = scrub->content->params.store;
	struct store_batch *batch = store_batch_new(store);
	struct object_file file = scrub->file;

	file.is_racy = true;
	if (file.is_got)
		blobs_object_file_put(batch, &file, &scrub->file);
	else
		blobs_object_file_forget(batch, &file);
	(void)!blobs_object_bad_put(store, batch, &file);
	batch_send(scrub, batch);
}

static void mark_drop(struct scrub *scrub)
{
	struct store_batch *batch = store_batch_new(scrub->content->params.store);

	blobs_object_bad_delete(batch, &scrub->file);
	batch_send(scrub, batch);
}

/* Its bytes are right again: it is recorded as it is now, and served. */
static bool mark_mend(struct scrub *scrub)
{
	struct store *store = scrub->content->params.store;
	struct store_snapshot *snapshot;
	struct store_batch *batch;
	bool has_hashes;

	if (store_snapshot_open(store, &snapshot) < 0)
		return false;
	has_hashes = blobs_object_has_hashes(snapshot, &scrub->file);
	store_snapshot_close(snapshot);
	if (!has_hashes)
		return false; /* gc took them: it is to be shared anew */
	scrub->file.is_racy = blobs_object_stamp_is_racy(
		&scrub->file.stamp, (int64_t)(blobs_wall_s(scrub->content) * NS_PER_S));
	batch = store_batch_new(store);
	blobs_object_file_put(batch, &scrub->file, NULL);
	batch_send(scrub, batch);
	blobs_shares_note_mended(scrub->content->shares, scrub->file.path);
	return true;
}

/* The verdict on a marked file, as far as the served index still holds it. */
static enum scrub_verdict mark_judge(struct scrub *scrub)
{
	if (!blobs_served_index_holds_file(blobs_served_index(scrub->content), &scrub->file)) {
		mark_drop(scrub);
		return SCRUB_GONE;
	}
	if (scrub->verdict == SCRUB_RIGHT && !mark_mend(scrub)) {
		scrub->err = WEFT_EABSENT;
		return SCRUB_BAD;
	}
	return scrub->verdict;
}

static void bad_tell(struct scrub *scrub)
{
	const struct blobs_event event = {
		.kind = BLOBS_FILE_BAD,
		.manifest_id = scrub->file.is_got ? scrub->file.got_id : NULL,
		.err = scrub->err,
		.text = scrub->file.path,
	};

	if (scrub->is_mark)
		return; /* reported when it was marked */
	blobs_tell(scrub->content, &event);
	bad_record(scrub);
	if (scrub->file.is_got)
		blobs_gets_again(scrub->content->gets, scrub->file.got_id);
	else
		blobs_shares_note_changed(scrub->content->shares, scrub->file.path);
}

static bool others_are_busy(struct scrub *scrub)
{
	struct blobs_stats stats;
	uint64_t served;

	blobs_stats(scrub->content, &stats);
	served = stats.served_byte_cnt - scrub->served_byte_cnt;
	scrub->served_byte_cnt = stats.served_byte_cnt;
	return stats.get_active_cnt > 0 || stats.import_cnt > 0 || served > 0 ||
	       scrub->content->is_sweeping;
}

static void next_set(struct scrub *scrub, uint64_t at_ns)
{
	timer_set(scrub->content->params.timers, &scrub->timer, at_ns);
}

static uint64_t rate_of(const struct scrub *scrub)
{
	return scrub->content->params.config.scrub_rate;
}

static void marks_again(struct scrub *scrub)
{
	memset(scrub->mark_key, 0, sizeof(scrub->mark_key));
	scrub->is_past_marks = false;
}

static void round_end(struct scrub *scrub)
{
	uint64_t next_ns = scrub->round_ns + ROUND_NS;

	scrub->figures.round_cnt++;
	memset(scrub->key, 0, sizeof(scrub->key));
	marks_again(scrub);
	scrub->round_ns = next_ns > scrub->stepped_ns ? next_ns : scrub->stepped_ns + REST_NS;
	next_set(scrub, scrub->round_ns);
}

/* --- a check that was asked for --- */

static void check_end(struct scrub *scrub, int err)
{
	const struct blobs_files_ask ask = scrub->ask;

	scrub->is_checking = false;
	scrub->is_turning = true;
	next_set(scrub, scrub->stepped_ns + REST_NS);
	ask.done(ask.arg, err, &scrub->checked);
}

static void check_found(struct scrub *scrub)
{
	const struct blobs_file_finding finding = {
		.path = scrub->file.path,
		.err = scrub->err,
		.is_bad = scrub->verdict == SCRUB_BAD,
		.is_got = scrub->file.is_got,
	};

	if (scrub->verdict == SCRUB_GONE)
		return;
	scrub->checked.file_cnt++;
	scrub->checked.bad_cnt += finding.is_bad;
	scrub->checked.passed_cnt += scrub->verdict == SCRUB_PASSED;
	if (finding.err)
		scrub->ask.found(scrub->ask.arg, &finding);
}

static void check_step(struct scrub *scrub)
{
	scrub->checked.byte_cnt += scrub->read_len;
	if (scrub->verdict != SCRUB_GOES_ON && scrub->verdict != SCRUB_AT_END)
		check_found(scrub);
	if (scrub->stepped_ns - scrub->told_ns < PROGRESS_NS)
		return;
	scrub->told_ns = scrub->stepped_ns;
	scrub->ask.progress(scrub->ask.arg, &scrub->checked);
}

/* The other round knows nothing of the open file. */
static void round_turn(struct scrub *scrub)
{
	scrub->is_turning = false;
	marks_again(scrub);
	file_close(scrub);
	if (scrub->is_checking) {
		memcpy(scrub->slow_key, scrub->key, sizeof(scrub->key));
		memset(scrub->key, 0, sizeof(scrub->key));
	} else if (scrub->has_slow_key) {
		memcpy(scrub->key, scrub->slow_key, sizeof(scrub->key));
	}
	scrub->has_slow_key = scrub->is_checking;
}

int blobs_scrub_check(struct scrub *scrub, const struct blobs_files_ask *ask, uint64_t now_ns)
{
	struct store_stats stats;

	if (scrub->is_checking)
		return WEFT_EBUSY;
	store_stats(scrub->content->params.store, &stats);
	scrub->ask = *ask;
	scrub->checked = (struct blobs_files){.total_cnt = stats.item_cnt[STORE_PATHS]};
	scrub->is_checking = scrub->is_turning = true;
	scrub->told_ns = now_ns;
	next_set(scrub, now_ns);
	return 0;
}

void blobs_scrub_check_cancel(struct scrub *scrub)
{
	scrub->is_turning |= scrub->is_checking;
	scrub->is_checking = false;
}

/* --- steps --- */

/* When the next step is due: at the rate, or at once. */
static void next_step(struct scrub *scrub)
{
	uint64_t rate = rate_of(scrub);

	if (scrub->is_checking || scrub->is_turning)
		next_set(scrub, scrub->stepped_ns);
	else if (rate)
		next_set(scrub, scrub->stepped_ns + scrub->read_len * NS_PER_S / rate + 1);
}

static void step_done(struct job *job)
{
	struct scrub *scrub = (struct scrub *)job;

	scrub->job_is_out = false;
	scrub->figures.byte_cnt += scrub->read_len;
	if (scrub->is_closing)
		return;
	if (scrub->is_mark && scrub->verdict != SCRUB_GOES_ON && scrub->verdict != SCRUB_AT_END)
		scrub->verdict = mark_judge(scrub);
	if (scrub->is_checking && !scrub->is_turning)
		check_step(scrub);
	if (scrub->verdict == SCRUB_GOES_ON) {
		next_step(scrub);
		return;
	}
	file_close(scrub);
	scrub->figures.file_cnt += scrub->verdict == SCRUB_RIGHT;
	scrub->figures.bad_cnt += scrub->verdict == SCRUB_BAD;
	scrub->figures.passed_cnt += scrub->verdict == SCRUB_PASSED;
	if (scrub->verdict == SCRUB_BAD)
		bad_tell(scrub);
	/* It was mended behind the record: that is trusted again, and the mark goes. */
	if (scrub->verdict == SCRUB_RIGHT && scrub->is_marked)
		blobs_trust_file(scrub->content, &scrub->file);
	if (scrub->verdict != SCRUB_AT_END &&
	    key_step(scrub->is_mark ? scrub->mark_key : scrub->key))
		next_step(scrub);
	else if (scrub->is_turning)
		next_set(scrub, scrub->stepped_ns);
	else if (scrub->is_checking)
		check_end(scrub, scrub->verdict == SCRUB_AT_END ? scrub->err : 0);
	else
		round_end(scrub);
}

static void on_timer(struct timer *timer, uint64_t now_ns)
{
	struct scrub *scrub = container_of(timer, struct scrub, timer);

	if (scrub->job_is_out)
		return;
	if (scrub->is_turning)
		round_turn(scrub);
	if (!rate_of(scrub) && !scrub->is_checking)
		return;
	scrub->stepped_ns = now_ns;
	if (!scrub->is_checking && others_are_busy(scrub)) {
		next_set(scrub, now_ns + REST_NS);
		return;
	}
	scrub->reads_racy = scrub->is_checking;
	scrub->job.run = step_run;
	scrub->job.done = step_done;
	scrub->job_is_out = jobs_submit(scrub->content->params.jobs, &scrub->job) == 0;
	if (!scrub->job_is_out)
		next_set(scrub, now_ns + REST_NS);
}

int blobs_scrub_new(struct blobs *content, struct scrub **out_scrub)
{
	struct scrub *scrub = calloc(1, sizeof(*scrub));

	if (!scrub)
		return -ENOMEM;
	scrub->content = content;
	scrub->fd = -1;
	scrub->stepped_ns = scrub->round_ns = content->params.now_ns;
	timer_init(&scrub->timer, on_timer);
	if (content->params.random)
		random_fill(content->params.random, scrub->key, sizeof(scrub->key));
	*out_scrub = scrub;
	if (rate_of(scrub))
		next_set(scrub, content->params.now_ns + REST_NS);
	return 0;
}

void blobs_scrub_free(struct scrub *scrub)
{
	if (!scrub)
		return;
	scrub->is_closing = true;
	timer_cancel(scrub->content->params.timers, &scrub->timer);
	while (scrub->job_is_out)
		jobs_reap_wait(scrub->content->params.jobs);
	file_close(scrub);
	free(scrub->buffer);
	free(scrub);
}

void blobs_scrub_configured(struct scrub *scrub)
{
	if (rate_of(scrub) && !scrub->job_is_out && !timer_is_set(&scrub->timer))
		next_set(scrub, scrub->stepped_ns + REST_NS);
}

unsigned blobs_scrub_bad_files(struct scrub *scrub, char *out_path, size_t cap)
{
	const struct object_file *file;
	struct object_bad_iter iter;
	unsigned cnt = 0;

	blobs_object_bad_begin(&iter, scrub->content->params.store, NULL);
	while ((file = blobs_object_bad_next(&iter)))
		/* Peers may not yet read all of a get that runs. */
		if ((file->is_got ||
		     blobs_served_index_holds_file(blobs_served_index(scrub->content), file)) &&
		    cnt++ == 0)
			snprintf(out_path, cap, "%s", file->path);
	(void)!blobs_object_bad_end(&iter);
	return cnt;
}

void blobs_scrub_fill_stats(const struct scrub *scrub, struct blobs_stats *stats)
{
	if (!scrub)
		return;
	stats->scrub_file_cnt = scrub->figures.file_cnt;
	stats->scrub_byte_cnt = scrub->figures.byte_cnt;
	stats->scrub_bad_cnt = scrub->figures.bad_cnt;
	stats->scrub_passed_cnt = scrub->figures.passed_cnt;
	stats->scrub_round_cnt = scrub->figures.round_cnt;
}
