/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run at a time: a job finds the files in the manifests that are held here, then they are read
 * one after the other. A share that is wanted anew or forgotten meanwhile ends the run.
 */
#include "shares/texts/share_texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "base/timer.h"
#include "blobs/read/read.h"

#define RETRY_MIN_NS (30 * NS_PER_S)
#define RETRY_MAX_NS (600 * NS_PER_S)

/* A share that is wanted. */
struct wanted {
	struct share_texts_ask ask;
	struct link_node hints[LINK_NODES_MAX];
	bool is_due; /* not read yet */
	uint64_t at_ns;
	unsigned fail_cnt;
};

struct found {
	char name[TEXTS_NAME_CAP];
	struct tree_place place;
};

struct share_texts {
	struct share_texts_params params;
	struct timer timer;
	struct wanted *wanted[TEXTS_SHARES_MAX];
	unsigned cnt;

	/* The run. */
	struct wanted *running; /* NULL: none, or its share is wanted no more */
	bool is_job_out;
	struct job job;
	uint8_t manifest_id[32]; /* the job's own */
	struct found found[TEXTS_FILES_MAX];
	unsigned found_cnt;
	bool has_more;
	int err;
	struct reader *reader;
	unsigned at;   /* the file that is read */
	size_t filled; /* of its bytes */
	char *bytes[TEXTS_FILES_MAX];

	uint64_t now_ns; /* of the last call that passed one */
	bool is_closing;
};

/* The next run begins in a turn of its own, so no caller of this module is called within its call. */
static void run_soon(struct share_texts *texts, uint64_t at_ns)
{
	if (!texts->is_closing && (!timer_is_set(&texts->timer) || texts->timer.at_ns > at_ns))
		timer_set(texts->params.timers, &texts->timer, at_ns);
}

/* --- the end of a run --- */

static void run_clear(struct share_texts *texts)
{
	if (texts->reader)
		blobs_reader_cancel(texts->reader);
	texts->reader = NULL;
	for (unsigned i = 0; i < TEXTS_FILES_MAX; i++) {
		free(texts->bytes[i]);
		texts->bytes[i] = NULL;
	}
	texts->running = NULL;
}

static uint64_t retry_ns(unsigned fail_cnt)
{
	uint64_t after_ns = RETRY_MIN_NS << (fail_cnt < 6 ? fail_cnt : 6);

	return after_ns < RETRY_MAX_NS ? after_ns : RETRY_MAX_NS;
}

static void run_failed(struct share_texts *texts)
{
	struct wanted *wanted = texts->running;

	wanted->at_ns = texts->now_ns + retry_ns(wanted->fail_cnt++);
	run_clear(texts);
	run_soon(texts, texts->now_ns);
}

static void run_done(struct share_texts *texts)
{
	struct wanted *wanted = texts->running;
	struct share_texts_revision revision = {
		.seq = wanted->ask.seq,
		.file_cnt = texts->found_cnt,
		.has_more = texts->has_more,
	};

	memcpy(revision.share_id, wanted->ask.share_id, sizeof(revision.share_id));
	for (unsigned i = 0; i < texts->found_cnt; i++) {
		struct share_text *file = &revision.files[i];

		memcpy(file->name, texts->found[i].name, sizeof(file->name));
		file->bytes = texts->bytes[i];
		file->len = texts->bytes[i] ? (size_t)texts->found[i].place.size : 0;
	}
	wanted->is_due = false;
	wanted->fail_cnt = 0;
	/* The callee may want and forget, also this share. */
	texts->running = NULL;
	texts->params.came(texts->params.ctx, &revision);
	run_clear(texts);
	run_soon(texts, texts->now_ns);
}

/* --- reading --- */

static void read_next(struct share_texts *texts);

static bool on_piece(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct share_texts *texts = arg;
	const size_t room = (size_t)texts->found[texts->at].place.size - texts->filled;

	(void)now_ns;
	if (len > room)
		len = room;
	memcpy(texts->bytes[texts->at] + texts->filled, data, len);
	texts->filled += len;
	return true;
}

static void on_read(void *arg, int err, const char *detail, uint64_t now_ns)
{
	struct share_texts *texts = arg;

	(void)detail;
	texts->now_ns = now_ns;
	texts->reader = NULL;
	if (err == 0 && texts->filled != texts->found[texts->at].place.size)
		err = WEFT_EDAMAGED;
	if (err < 0) {
		run_failed(texts);
		return;
	}
	texts->at++;
	read_next(texts);
}

static int read_start(struct share_texts *texts, const struct found *found)
{
	const struct wanted *wanted = texts->running;
	struct mesh_peer hints[LINK_NODES_MAX];
	struct reader_origin origin = {.has_manifest = true, .item = found->place.item};
	struct reader_ask ask = {
		.size = found->place.size,
		.len = found->place.size,
		.origin = &origin,
		.piece = on_piece,
		.done = on_read,
		.arg = texts,
	};

	for (unsigned i = 0; i < wanted->ask.hint_cnt; i++)
		hints[i] = mesh_peer_at(wanted->hints[i].key, &wanted->hints[i].places);
	memcpy(origin.manifest_id, texts->manifest_id, sizeof(origin.manifest_id));
	memcpy(origin.part_id, found->place.part_id, sizeof(origin.part_id));
	origin.hints = hints;
	origin.hint_cnt = wanted->ask.hint_cnt;
	memcpy(ask.content_id, found->place.content_id, sizeof(ask.content_id));
	texts->filled = 0;
	return blobs_reader_start(texts->params.content, &ask, texts->now_ns, &texts->reader);
}

static void read_next(struct share_texts *texts)
{
	for (; texts->at < texts->found_cnt; texts->at++) {
		const struct found *found = &texts->found[texts->at];

		if (found->place.size > texts->params.len_max)
			continue;
		texts->bytes[texts->at] = malloc((size_t)found->place.size + 1);
		if (!texts->bytes[texts->at]) {
			run_failed(texts);
			return;
		}
		if (found->place.size == 0)
			continue;
		if (read_start(texts, found) < 0)
			run_failed(texts);
		return;
	}
	run_done(texts);
}

/* --- listing --- */

static bool on_entry(void *arg, const struct tree_entry *entry)
{
	struct share_texts *texts = arg;
	const size_t ending_len = strlen(texts->params.ending);
	struct found *found = &texts->found[texts->found_cnt];

	if (entry->kind != TREE_FILE || entry->name_len <= ending_len ||
	    memcmp(entry->name + entry->name_len - ending_len, texts->params.ending, ending_len) !=
		    0)
		return true;
	if (texts->found_cnt == TEXTS_FILES_MAX ||
	    entry->name_len - ending_len >= sizeof(found->name)) {
		texts->has_more = true;
		return true;
	}
	memcpy(found->name, entry->name, entry->name_len - ending_len);
	found->name[entry->name_len - ending_len] = '\0';
	texts->found_cnt++;
	return true;
}

/* On a thread of the jobs. */
static void job_list(struct job *job)
{
	struct share_texts *texts = container_of(job, struct share_texts, job);
	char path[TEXTS_NAME_CAP + 16];

	texts->err =
		blobs_tree_list(texts->params.store, &(struct tree_ask){texts->manifest_id, "", 0},
				on_entry, texts);
	for (unsigned i = 0; texts->err == 0 && i < texts->found_cnt; i++) {
		const int len = snprintf(path, sizeof(path), "%s%s", texts->found[i].name,
					 texts->params.ending);
		const struct tree_ask ask = {texts->manifest_id, path, (size_t)len};

		texts->err = blobs_tree_find(texts->params.store, &ask, &texts->found[i].place);
	}
}

static void job_done(struct job *job)
{
	struct share_texts *texts = container_of(job, struct share_texts, job);

	texts->is_job_out = false;
	if (!texts->running)
		run_soon(texts, texts->now_ns);
	else if (texts->err < 0)
		run_failed(texts);
	else
		read_next(texts);
}

/* --- one after the other --- */

static struct wanted *wanted_next(const struct share_texts *texts)
{
	struct wanted *next = NULL;

	for (unsigned i = 0; i < texts->cnt; i++) {
		struct wanted *wanted = texts->wanted[i];

		if (wanted->is_due && (!next || wanted->at_ns < next->at_ns))
			next = wanted;
	}
	return next;
}

static void run_begin(struct timer *timer, uint64_t now_ns)
{
	struct share_texts *texts = container_of(timer, struct share_texts, timer);
	struct wanted *wanted = wanted_next(texts);

	texts->now_ns = now_ns;
	if (!wanted || texts->running || texts->is_job_out)
		return;
	if (wanted->at_ns > now_ns) {
		run_soon(texts, wanted->at_ns);
		return;
	}
	texts->running = wanted;
	memcpy(texts->manifest_id, wanted->ask.manifest_id, sizeof(texts->manifest_id));
	texts->found_cnt = texts->at = 0;
	texts->has_more = false;
	texts->job = (struct job){.run = job_list, .done = job_done};
	texts->is_job_out = jobs_submit(texts->params.jobs, &texts->job) == 0;
	if (!texts->is_job_out)
		run_failed(texts);
}

static unsigned wanted_idx(const struct share_texts *texts, const uint8_t *share_id)
{
	unsigned idx = 0;

	while (idx < texts->cnt && memcmp(texts->wanted[idx]->ask.share_id, share_id, 32) != 0)
		idx++;
	return idx;
}

/* What is read of it is of no use any more. */
static void wanted_stop(struct share_texts *texts, const struct wanted *wanted)
{
	if (texts->running != wanted)
		return;
	run_clear(texts);
	run_soon(texts, texts->now_ns);
}

int shares_texts_want(struct share_texts *texts, const struct share_texts_ask *ask, uint64_t now_ns)
{
	unsigned idx = wanted_idx(texts, ask->share_id);
	struct wanted *wanted;

	if (idx == TEXTS_SHARES_MAX)
		return WEFT_EFULL;
	if (idx == texts->cnt) {
		wanted = calloc(1, sizeof(*wanted));
		if (!wanted)
			return -ENOMEM;
		texts->wanted[texts->cnt++] = wanted;
	}
	texts->now_ns = now_ns;
	wanted = texts->wanted[idx];
	wanted_stop(texts, wanted);
	wanted->ask = *ask;
	if (wanted->ask.hint_cnt > LINK_NODES_MAX)
		wanted->ask.hint_cnt = LINK_NODES_MAX;
	memcpy(wanted->hints, ask->hints, wanted->ask.hint_cnt * sizeof(wanted->hints[0]));
	wanted->is_due = true;
	wanted->at_ns = now_ns;
	wanted->fail_cnt = 0;
	run_soon(texts, now_ns);
	return 0;
}

void shares_texts_forget(struct share_texts *texts, const uint8_t share_id[static 32])
{
	unsigned idx = wanted_idx(texts, share_id);
	struct wanted *wanted;

	if (idx == texts->cnt)
		return;
	wanted = texts->wanted[idx];
	wanted_stop(texts, wanted);
	texts->cnt--;
	texts->wanted[idx] = texts->wanted[texts->cnt];
	free(wanted);
}

int shares_texts_new(const struct share_texts_params *params, struct share_texts **out_texts)
{
	struct share_texts *texts = calloc(1, sizeof(*texts));

	if (!texts)
		return -ENOMEM;
	texts->params = *params;
	timer_init(&texts->timer, run_begin);
	*out_texts = texts;
	return 0;
}

void shares_texts_free(struct share_texts *texts)
{
	if (!texts)
		return;
	texts->is_closing = true;
	run_clear(texts);
	while (texts->is_job_out)
		jobs_reap_wait(texts->params.jobs);
	timer_cancel(texts->params.timers, &texts->timer);
	for (unsigned i = 0; i < texts->cnt; i++)
		free(texts->wanted[i]);
	free(texts);
}
