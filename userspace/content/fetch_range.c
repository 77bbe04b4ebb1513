/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a single file: bytes [off, off + len), asked for in pieces of a
 * few groups that prove themselves against the content id, so no chunk list
 * is needed. It is written as "<name>.<off>-<len>" in the target. What an
 * earlier run had is not kept: a range is fetched again from its start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/fetch.h"

#define PART_LEN (MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN)

static const struct manifest_item *range_item(const struct fetch *fetch)
{
	return fetch_manifest_item(fetch, 0);
}

/* Part idx as groups: parts are cut at multiples of their length in the file. */
static struct blake3_range part_range(const struct fetch *fetch, uint64_t idx)
{
	uint64_t part = fetch->range_off / PART_LEN + idx;
	uint64_t end = (fetch->range_end + BLAKE3_GROUP_LEN - 1) / BLAKE3_GROUP_LEN;
	uint64_t first = part * MESSAGE_GROUPS_MAX;
	uint64_t begin = fetch->range_off / BLAKE3_GROUP_LEN;

	first = first > begin ? first : begin;
	end = end < (part + 1) * MESSAGE_GROUPS_MAX ? end : (part + 1) * MESSAGE_GROUPS_MAX;
	return (struct blake3_range){
		.file_len = range_item(fetch)->size,
		.first_group = first,
		.group_cnt = end - first,
	};
}

static void range_open(struct fetch *fetch)
{
	const struct manifest_item *item = range_item(fetch);
	const char *slash = memrchr(item->path, '/', item->path_len);
	const char *name = slash ? slash + 1 : item->path;
	int name_len = (int)(item->path + item->path_len - name);
	int len = snprintf(fetch->range_name, sizeof(fetch->range_name), "%.*s.%llu-%llu", name_len,
			   name, (unsigned long long)fetch->range_off,
			   (unsigned long long)(fetch->range_end - fetch->range_off));

	if (len > (int)MANIFEST_NAME_LEN_MAX) {
		fetch_stop(fetch, WEFT_ETOOLARGE, "%.*s: the name of the range is too long",
			   name_len, name);
		return;
	}
	fetch->step = FETCH_RANGE_OPENING;
	fetch_wake(fetch);
}

void fetch_range_begin(struct fetch *fetch)
{
	struct get *get = fetch->get;
	uint64_t size;

	if (fetch->root || fetch->item_cnt != 1) {
		fetch_stop(fetch, WEFT_EREFUSED, "a range needs a link to a single file");
		return;
	}
	size = range_item(fetch)->size;
	if (get->range_off >= size) {
		fetch_stop(fetch, WEFT_ETOOLARGE, "the range begins beyond the file's %llu bytes",
			   (unsigned long long)size);
		return;
	}
	fetch->range_off = get->range_off;
	fetch->range_end =
		get->range_len < size - get->range_off ? get->range_off + get->range_len : size;
	fetch->range_part_cnt = (fetch->range_end - 1) / PART_LEN - fetch->range_off / PART_LEN + 1;
	fetch->range_parts = calloc(1, (size_t)fetch->range_part_cnt);
	if (!fetch->range_parts) {
		fetch_stop(fetch, -ENOMEM, "no memory for the range");
		return;
	}
	get->view.byte_cnt = fetch->range_end - fetch->range_off;
	range_open(fetch);
}

static void open_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	bool is_new;

	fetch->range_fd = target_stage_open(&fetch->target, "range", &is_new);
	step->err = fetch->range_fd < 0 ? fetch->range_fd : 0;
	if (!step->err && ftruncate(fetch->range_fd, 0) < 0)
		step->err = -errno;
}

static void open_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (step->err)
		fetch_stop_at(fetch, 0, step->err);
	else
		fetch->step = FETCH_RANGE;
}

/* The place is taken only by nothing or, when replacing, by what stands there now. */
static void place_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	size_t len = strlen(fetch->range_name);
	struct object_stamp replaced = {.size = 0};
	struct target_dir dir;
	struct stat st;
	int fd = -1;

	target_dir_init(&dir);
	if (fetch->get->is_replacing)
		fd = target_lookup(&fetch->target, &dir, fetch->range_name, len);
	if (fd >= 0 && fstat(fd, &st) == 0)
		object_stamp_of(&st, &replaced);
	step->err = target_place(&fetch->target, &dir, "range", fetch->range_name, len,
				 fd >= 0 ? &replaced : NULL);
	if (fd >= 0)
		close(fd);
	target_dir_fini(&dir);
}

static void place_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (step->err == WEFT_EEXISTS) {
		fetch_stop(fetch, step->err, "%s: something else is there; remove it or replace it",
			   fetch->range_name);
		return;
	}
	if (step->err) {
		fetch_stop_at(fetch, 0, step->err);
		return;
	}
	fetch->get->view.item_done_cnt++;
	fetch->step = FETCH_FLUSH;
}

void fetch_range_run(struct fetch *fetch)
{
	if (fetch->step == FETCH_RANGE_OPENING)
		fetch_step_submit(fetch, open_run, open_done);
	else if (fetch->range_done_cnt == fetch->range_part_cnt)
		fetch_step_submit(fetch, place_run, place_done);
}

bool fetch_range_pick(struct fetch *fetch, struct fetch_slot *slot)
{
	while (fetch->range_next < fetch->range_part_cnt &&
	       fetch->range_parts[fetch->range_next] != CHUNK_MISSING)
		fetch->range_next++;
	if (fetch->range_next == fetch->range_part_cnt)
		return false;
	slot->kind = SLOT_PROOF;
	slot->file = NULL;
	slot->item = 0;
	slot->part = fetch->range_next++;
	slot->idx = part_range(fetch, slot->part).first_group;
	fetch->range_parts[slot->part] = CHUNK_ASKED;
	return true;
}

uint64_t fetch_range_groups(const struct fetch *fetch, uint64_t part)
{
	return part_range(fetch, part).group_cnt;
}

void fetch_range_again(struct fetch *fetch, uint64_t part)
{
	fetch->range_parts[part] = CHUNK_MISSING;
	if (part < fetch->range_next)
		fetch->range_next = part;
}

/* The wanted bytes of a verified part, cut at the range's ends. In a job. */
int fetch_range_write(struct fetch_slot *slot)
{
	const struct fetch *fetch = slot->fetch;
	struct blake3_range range = part_range(fetch, slot->part);
	struct cursor proof = cursor_of(slot->bytes, slot->len);
	uint8_t *data = malloc(PART_LEN);
	uint64_t off = range.first_group * BLAKE3_GROUP_LEN;
	uint64_t begin = off > fetch->range_off ? off : fetch->range_off;
	uint64_t end;
	int err;

	if (!data)
		return -ENOMEM;
	err = blake3_proof_verify(range_item(fetch)->content_id, &range, &proof, data);
	if (err) {
		free(data);
		return WEFT_EDAMAGED;
	}
	end = off + blake3_range_len(&range);
	end = end < fetch->range_end ? end : fetch->range_end;
	slot->len = (size_t)(end - begin);
	err = fetch_write_at(fetch->range_fd, begin - fetch->range_off, data + (begin - off),
			     slot->len);
	free(data);
	return err;
}

void fetch_range_part_done(struct fetch *fetch, const struct fetch_slot *slot)
{
	fetch->range_parts[slot->part] = CHUNK_HAVE;
	fetch->range_done_cnt++;
	fetch->get->view.byte_done_cnt += slot->len;
}

void fetch_range_free(struct fetch *fetch)
{
	if (fetch->range_fd >= 0)
		close(fetch->range_fd);
	fetch->range_fd = -1;
	free(fetch->range_parts);
	fetch->range_parts = NULL;
}
