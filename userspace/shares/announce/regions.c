/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents, by the region of their ids: how they are announced, which region is listed next,
 * and what comes of a list.
 */
#include <string.h>

#include "announce_state.h"
#include "store/store.h"

/* A region that could not be listed is listed again after this. */
#define RETRY_S 60u

uint32_t shares_announce_region_cnt(const struct announce *announce)
{
	return announce->shape == ANNOUNCE_NOTHING ? 0 : 1u << announce->depth;
}

static int regions_load(struct announce *announce)
{
	struct announce_log_row row = {.kind = ANNOUNCE_LOG_REGION, .depth = announce->depth};
	uint8_t key[ANNOUNCE_LOG_KEY_CAP];
	struct store_iter iter =
		store_iter_fresh(announce->params.store, STORE_ANNOUNCED,
				 store_key(key, shares_announce_log_key(&row, key)));
	struct store_item item;

	while (store_iter_next(&iter, &item)) {
		if (shares_announce_log_parse(&item, &row) < 0)
			continue;
		if (row.kind != ANNOUNCE_LOG_REGION || row.depth != announce->depth ||
		    row.region >= shares_announce_region_cnt(announce))
			break;
		announce->regions[row.region].announced_s = row.time_s;
		announce->regions[row.region].print = row.print;
	}
	return store_iter_end(&iter);
}

/* All are listed once; a set that is the same as the announced one is not put before its time. */
static void regions_begin(struct announce *announce)
{
	memset(announce->regions, 0, ANNOUNCE_REGION_CAP * sizeof(*announce->regions));
	announce->cursor = 0;
	announce->has_listed = false;
	/* After an error all regions are announced again. */
	if (announce->shape == ANNOUNCE_SETS && regions_load(announce) < 0)
		memset(announce->regions, 0, ANNOUNCE_REGION_CAP * sizeof(*announce->regions));
}

/* False while there are manifests not looked at yet. */
bool shares_announce_shape_decide(struct announce *announce)
{
	const struct announce_manifest *manifest = NULL;
	enum announce_shape shape = ANNOUNCE_SETS;
	unsigned depth = GOLOMB_SET_DEPTH_COARSE;
	uint64_t item_cnt = 0;

	while ((manifest = pool_next(&announce->manifests, manifest))) {
		if (!manifest->is_looked)
			return false;
		if (shares_announce_manifest_is_wanted(announce, manifest))
			item_cnt += manifest->item_cnt;
	}
	announce->stats.item_cnt = (uint32_t)item_cnt;
	if (item_cnt == 0)
		shape = ANNOUNCE_NOTHING;
	else if (item_cnt <= ANNOUNCE_SINGLES_MAX)
		shape = ANNOUNCE_SINGLES;
	else if (item_cnt > ANNOUNCE_COARSE_MAX)
		depth = GOLOMB_SET_DEPTH_FINE;
	if (shape == announce->shape && depth == announce->depth)
		return true;
	announce->shape = shape;
	announce->depth = depth;
	regions_begin(announce);
	return true;
}

static struct announce_region *region_next_due(struct announce *announce)
{
	uint32_t cnt = shares_announce_region_cnt(announce);
	uint64_t wall_s = shares_announce_wall_s(announce);

	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t at = (announce->cursor + i) % cnt;

		if (announce->regions[at].due_s > wall_s)
			continue;
		announce->cursor = (at + 1) % cnt;
		return &announce->regions[at];
	}
	return NULL;
}

static uint32_t region_number(const struct announce *announce, const struct announce_region *region)
{
	return (uint32_t)(region - announce->regions);
}

/* It was made due again while it was announced: then it stays that. */
static void region_rest(struct announce_region *region, uint64_t due_s)
{
	if (region->due_s == REGION_BUSY)
		region->due_s = due_s;
}

void shares_announce_regions_touch(struct announce *announce, const struct held_manifest *manifest)
{
	uint32_t cnt = shares_announce_region_cnt(announce), step = cnt ? HELD_REGION_CNT / cnt : 0;

	for (uint32_t i = 0; i < cnt; i++) {
		bool is_touched = !manifest->has_regions;

		for (uint32_t at = i * step; at < (i + 1) * step && !is_touched; at++)
			is_touched = manifest->regions[at / 8] >> at % 8 & 1;
		if (is_touched)
			announce->regions[i].due_s = 0;
	}
}

int shares_announce_list_begin(struct announce *announce)
{
	struct announce_region *region = region_next_due(announce);
	int err;

	if (!region)
		return 0;
	err = shares_announce_job_list(&announce->job, region_number(announce, region),
				       shares_announce_id_is_wanted);
	if (err == 0)
		region->due_s = REGION_BUSY;
	return err;
}

static void gone_delete(struct announce *announce)
{
	struct announce_job *job = &announce->job;
	struct store_batch *batch;

	if (!job->gone_cnt)
		return;
	batch = store_batch_new(announce->params.store);
	for (uint32_t i = 0; i < job->gone_cnt; i++)
		shares_announce_log_delete(batch, &job->gone[i]);
	shares_announce_submit(announce, batch);
}

static bool set_is_due(const struct announce *announce, const struct announce_region *region)
{
	const struct announce_job *job = &announce->job;
	bool is_same = region->announced_s && region->print == job->print;

	if (job->id_cnt == 0)
		return region->announced_s && !is_same;
	return !is_same || shares_announce_is_due(region->announced_s, announce->changed_s,
						  job->region, shares_announce_wall_s(announce));
}

void shares_announce_list_done(struct announce *announce)
{
	struct announce_job *job = &announce->job;
	uint64_t wall_s = shares_announce_wall_s(announce), later_s = wall_s + ANNOUNCE_PERIOD_S;
	struct announce_region *region = &announce->regions[job->region];

	if (job->shape != announce->shape || job->depth != announce->depth)
		return;
	if (job->err < 0) {
		region_rest(region, wall_s + RETRY_S);
		return;
	}
	gone_delete(announce);
	announce->stats.item_left_out_cnt += job->left_out_cnt;
	announce->listed_cnt = 0;
	if (announce->shape == ANNOUNCE_SINGLES) {
		region_rest(region, job->next_due_s < later_s ? job->next_due_s : later_s);
		announce->has_listed = job->id_cnt > 0;
	} else if (set_is_due(announce, region)) {
		announce->has_listed = true;
	} else {
		region_rest(region,
			    job->id_cnt ? shares_announce_due_s(region->announced_s, job->region)
					: later_s);
	}
}

/* A region that no node took is listed again; a single one of it has no row. */
static struct announce_region *region_of_row(struct announce *announce,
					     const struct announce_log_row *row)
{
	uint32_t cnt = shares_announce_region_cnt(announce), at = row->region;

	if (row->kind == ANNOUNCE_LOG_CONTENT)
		at = shares_golomb_set_region_of(row->id, announce->depth);
	else if (row->depth != announce->depth || announce->shape != ANNOUNCE_SETS)
		return NULL;
	return at < cnt ? &announce->regions[at] : NULL;
}

void shares_announce_region_logged(struct announce *announce, const struct announce_log_row *row,
				   int err)
{
	struct announce_region *region = region_of_row(announce, row);

	if (!region)
		return;
	if (err < 0) {
		region->due_s = 0;
	} else if (row->kind == ANNOUNCE_LOG_REGION) {
		region->announced_s = row->time_s;
		region->print = row->print;
		region_rest(region, shares_announce_due_s(row->time_s, row->region));
	}
}

uint32_t shares_announce_regions_due_cnt(const struct announce *announce)
{
	uint64_t wall_s = shares_announce_wall_s(announce);
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < shares_announce_region_cnt(announce); i++)
		cnt += announce->regions[i].due_s <= wall_s;
	return cnt;
}
