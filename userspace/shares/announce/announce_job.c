/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads off the worker: a manifest, or the contents of a region. The job owns its fields from
 * submit to done, and reads nothing else of the announcer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "announce_state.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "store/store.h"

int shares_announce_job_init(struct announce_job *job, struct announce *announce,
			     struct arena *arena)
{
	job->announce = announce;
	job->ids = arena_alloc(arena, GOLOMB_SET_ITEMS_MAX * sizeof(*job->ids));
	job->numbers = arena_alloc(arena, GOLOMB_SET_ITEMS_MAX * sizeof(*job->numbers));
	job->code = arena_alloc(arena, GOLOMB_SET_LEN_MAX);
	job->gone = arena_alloc(arena, ANNOUNCE_SINGLES_MAX * sizeof(*job->gone));
	return job->ids && job->numbers && job->code && job->gone ? 0 : WEFT_EFULL;
}

/* --- on a job's thread --- */

static bool id_collect(void *arg, const uint8_t id[static 32])
{
	struct announce_job *job = arg;

	if (shares_golomb_set_region_of(id, job->depth) != job->region)
		return false;
	if (job->id_cnt < GOLOMB_SET_ITEMS_MAX)
		memcpy(job->ids[job->id_cnt++], id, 32);
	else
		job->left_out_cnt++;
	return true;
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static bool is_listed(const struct announce_job *job, const uint8_t *id)
{
	return job->id_cnt && bsearch(id, job->ids, job->id_cnt, sizeof(*job->ids), id_compare);
}

static int rows_look(struct announce_job *job, const uint8_t from[static 32])
{
	struct announce_log_row row = {.kind = ANNOUNCE_LOG_CONTENT};
	uint8_t key[ANNOUNCE_LOG_KEY_CAP];
	struct store_iter iter;
	struct store_item item;

	memcpy(row.id, from, sizeof(row.id));
	iter = store_iter(job->snapshot, STORE_ANNOUNCED,
			  store_key(key, shares_announce_log_key(&row, key)));
	while (job->gone_cnt < ANNOUNCE_SINGLES_MAX && store_iter_next(&iter, &item)) {
		if (shares_announce_log_parse(&item, &row) < 0)
			continue;
		if (row.kind != ANNOUNCE_LOG_CONTENT ||
		    shares_golomb_set_region_of(row.id, job->depth) != job->region)
			break;
		if (job->shape != ANNOUNCE_SINGLES || !is_listed(job, row.id))
			job->gone[job->gone_cnt++] = row;
	}
	return store_iter_end(&iter);
}

/* Keeps those that are to be announced now. */
static void singles_filter(struct announce_job *job)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < job->id_cnt; i++) {
		struct announce_log_row row = {.kind = ANNOUNCE_LOG_CONTENT};
		uint32_t seed = shares_golomb_set_region_of(job->ids[i], 32);
		uint64_t announced_s, due_s;

		memcpy(row.id, job->ids[i], sizeof(row.id));
		announced_s = shares_announce_log_time_s(job->snapshot, &row);
		due_s = shares_announce_due_s(announced_s, seed);
		if (shares_announce_is_due(announced_s, job->changed_s, seed, job->wall_s))
			memmove(job->ids[cnt++], job->ids[i], sizeof(*job->ids));
		else if (due_s < job->next_due_s)
			job->next_due_s = due_s;
	}
	if (cnt > ANNOUNCE_SINGLES_MAX) {
		job->left_out_cnt += cnt - ANNOUNCE_SINGLES_MAX;
		cnt = ANNOUNCE_SINGLES_MAX;
	}
	job->id_cnt = cnt;
}

static void set_encode(struct announce_job *job)
{
	/* The signed object around the code has at most these. */
	size_t cap = GOLOMB_SET_LEN_MAX - 1024;
	uint8_t hash[BLAKE3_HASH_LEN];

	for (;;) {
		uint32_t less = job->id_cnt / 16;
		struct golomb_contents contents = {node_key_public(job->announce->params.key),
						   (const uint8_t(*)[32])job->ids, job->id_cnt,
						   job->numbers};

		job->code_len = shares_golomb_set_encode(&contents, job->code, cap);
		if (job->code_len || !job->id_cnt)
			break;
		job->id_cnt -= less;
		job->left_out_cnt += less;
	}
	blake3_hash(job->ids, sizeof(*job->ids) * job->id_cnt, hash);
	memcpy(&job->print, hash, sizeof(job->print));
}

static int region_list(struct announce_job *job)
{
	const struct blobs_held_ops *held = job->announce->params.held->ops;
	struct writer w;
	uint8_t from[32] = {0};
	int err;

	w = writer_of(from, sizeof(from));
	writer_be32(&w, job->region << (32 - job->depth));
	if ((err = held->each(job->view, from, id_collect, job)) < 0 ||
	    (err = store_snapshot_open(job->announce->params.store, &job->snapshot)) < 0)
		return err;
	err = rows_look(job, from);
	if (job->shape == ANNOUNCE_SINGLES)
		singles_filter(job);
	else
		set_encode(job);
	store_snapshot_close(job->snapshot);
	return err;
}

static void job_run(struct job *arg)
{
	struct announce_job *job = (struct announce_job *)arg;
	const struct blobs_held *held = job->announce->params.held;

	job->err = job->task == TASK_LOOK ? held->ops->look(held->ctx, job->id, &job->manifest)
					  : region_list(job);
}

/* --- on the worker --- */

static void job_done(struct job *arg)
{
	struct announce_job *job = (struct announce_job *)arg;

	job->is_out = false;
	if (job->task == TASK_LIST)
		job->announce->params.held->ops->close(job->view);
	job->view = NULL;
	shares_announce_job_done(job->announce);
}

static int job_begin(struct announce_job *job)
{
	int err;

	job->job = (struct job){.run = job_run, .done = job_done};
	err = jobs_submit(job->announce->params.jobs, &job->job);
	job->is_out = err == 0;
	return err;
}

int shares_announce_job_look(struct announce_job *job, const uint8_t id[static 32])
{
	job->task = TASK_LOOK;
	memcpy(job->id, id, sizeof(job->id));
	job->manifest = (struct held_manifest){0};
	return job_begin(job);
}

int shares_announce_job_list(struct announce_job *job, uint32_t region,
			     bool (*is_wanted)(void *arg, const uint8_t id[static 32]))
{
	struct announce *announce = job->announce;
	const struct blobs_held *held = announce->params.held;
	int err;

	job->view = held->ops->open(held->ctx, is_wanted, announce);
	if (!job->view)
		return -ENOMEM;
	job->task = TASK_LIST;
	job->shape = announce->shape;
	job->depth = announce->depth;
	job->region = region;
	job->wall_s = shares_announce_wall_s(announce);
	job->changed_s = announce->changed_s;
	job->id_cnt = 0;
	job->left_out_cnt = 0;
	job->gone_cnt = 0;
	job->code_len = 0;
	job->next_due_s = UINT64_MAX;
	err = job_begin(job);
	if (err < 0) {
		held->ops->close(job->view);
		job->view = NULL;
	}
	return err;
}

void shares_announce_job_stop(struct announce_job *job)
{
	while (job->is_out)
		jobs_reap_wait(job->announce->params.jobs);
}
