/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a single file: bytes [off, off + len), asked for in pieces of a
 * few groups that prove themselves against the content id, so no chunk list
 * is needed. It is written as "<name>.<off>-<len>" in the target. Several
 * are fetched one after the other, and put in their places when all are whole.
 *
 * Without a chunk list nothing says later whether staged bytes are right.
 * So beside them lies a file of one hash per part, of the bytes as they
 * were verified; a later run keeps the parts that still have theirs. What
 * a crash tore or a disk lost has another hash and is fetched again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content/get/fetch.h"

#define PART_LEN	 (MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN)
#define PARTS_MAX	 (FETCH_CHUNKS_MAX * (BLAKE3_CHUNK_LEN / PART_LEN))
#define RANGE_STAGED_CAP 64
#define RANGE_NAME_CAP	 (MANIFEST_NAME_LEN_MAX + 48)

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

/* Where the wanted bytes of part idx lie in the file. */
static uint64_t part_begin(const struct fetch *fetch, uint64_t idx)
{
	uint64_t off = part_range(fetch, idx).first_group * BLAKE3_GROUP_LEN;

	return off > fetch->range_off ? off : fetch->range_off;
}

static size_t part_len(const struct fetch *fetch, uint64_t idx)
{
	struct blake3_range range = part_range(fetch, idx);
	uint64_t end = range.first_group * BLAKE3_GROUP_LEN + blake3_range_len(&range);

	end = end < fetch->range_end ? end : fetch->range_end;
	return (size_t)(end - part_begin(fetch, idx));
}

/* Of which content and from where the bytes are is part of what they hash to. */
static void part_sum(const struct fetch *fetch, uint64_t idx, const uint8_t *data,
		     uint8_t sum[static BLAKE3_HASH_LEN])
{
	uint8_t begin[8];
	struct writer w = writer_of(begin, sizeof(begin));
	struct blake3 hash;

	writer_be64(&w, part_begin(fetch, idx));
	blake3_init_keyed(&hash, range_item(fetch)->content_id);
	blake3_update(&hash, begin, sizeof(begin));
	blake3_update(&hash, data, part_len(fetch, idx));
	blake3_final(&hash, sum, BLAKE3_HASH_LEN);
}

/* Range at of the get, cut at the end of the file. */
static struct content_range range_at(const struct fetch *fetch, unsigned at)
{
	struct content_range range = fetch->get->ranges[at];
	uint64_t left = range_item(fetch)->size - range.off;

	range.len = range.len < left ? range.len : left;
	return range;
}

/* The length of the name that a range gets in the target; it fits MANIFEST_NAME_LEN_MAX or not. */
static int place_name(const struct fetch *fetch, const struct content_range *range,
		      char name[static RANGE_NAME_CAP])
{
	const struct manifest_item *item = range_item(fetch);
	const char *slash = memrchr(item->path, '/', item->path_len);
	const char *base = slash ? slash + 1 : item->path;

	return snprintf(name, RANGE_NAME_CAP, "%.*s.%llu-%llu",
			(int)(item->path + item->path_len - base), base,
			(unsigned long long)range->off, (unsigned long long)range->len);
}

static void staged_name(const struct content_range *range, char name[static RANGE_STAGED_CAP])
{
	snprintf(name, RANGE_STAGED_CAP, "range-%llu-%llu", (unsigned long long)range->off,
		 (unsigned long long)range->len);
}

static int ranges_check(struct fetch *fetch)
{
	uint64_t size = range_item(fetch)->size, len = 0;
	char name[RANGE_NAME_CAP];

	for (unsigned i = 0; i < fetch->get->range_cnt; i++) {
		struct content_range range;

		if (fetch->get->ranges[i].off >= size) {
			fetch_stop(fetch, WEFT_ETOOLARGE,
				   "the range begins beyond the file's %llu bytes",
				   (unsigned long long)size);
			return WEFT_ETOOLARGE;
		}
		range = range_at(fetch, i);
		len += range.len;
		if (range.len / PART_LEN >= PARTS_MAX) {
			fetch_stop(fetch, WEFT_ETOOLARGE,
				   "a range is less than 1 TiB; give it in several");
			return WEFT_ETOOLARGE;
		}
		if (place_name(fetch, &range, name) > (int)MANIFEST_NAME_LEN_MAX) {
			fetch_stop(fetch, WEFT_ETOOLARGE, "%s: the name of the range is too long",
				   name);
			return WEFT_ETOOLARGE;
		}
	}
	fetch->get->view.item_cnt = fetch->get->range_cnt;
	fetch->get->view.byte_cnt = len;
	return 0;
}

static void range_open(struct fetch *fetch)
{
	struct content_range range = range_at(fetch, fetch->range_at);

	fetch_range_free(fetch);
	fetch->range_off = range.off;
	fetch->range_end = range.off + range.len;
	fetch->range_done_cnt = fetch->range_next = fetch->range_scan = 0;
	fetch->range_part_cnt = (fetch->range_end - 1) / PART_LEN - fetch->range_off / PART_LEN + 1;
	fetch->range_parts = calloc(1, (size_t)fetch->range_part_cnt);
	if (!fetch->range_parts) {
		fetch_stop(fetch, -ENOMEM, "no memory for the range");
		return;
	}
	fetch->step = FETCH_RANGE_OPENING;
	fetch_wake(fetch);
}

void fetch_range_begin(struct fetch *fetch)
{
	if (fetch->root || fetch->item_cnt != 1) {
		fetch_stop(fetch, WEFT_EREFUSED, "a range needs a link to a single file");
		return;
	}
	fetch->range_at = 0;
	if (ranges_check(fetch) == 0)
		range_open(fetch);
}

static int staged_open(struct fetch *fetch)
{
	const struct content_range range = range_at(fetch, fetch->range_at);
	char staged[RANGE_STAGED_CAP], name[RANGE_STAGED_CAP + 8];
	bool is_new;

	staged_name(&range, staged);
	snprintf(name, sizeof(name), "%s.sums", staged);
	fetch->range_fd = target_stage_open(&fetch->target, staged, &is_new);
	if (fetch->range_fd < 0)
		return fetch->range_fd;
	fetch->range_sum_fd = target_stage_open(&fetch->target, name, &is_new);
	if (fetch->range_sum_fd < 0)
		return fetch->range_sum_fd;
	if (ftruncate(fetch->range_fd, (off_t)(fetch->range_end - fetch->range_off)) < 0)
		return -errno;
	return 0;
}

/* Did an earlier run verify and write part idx, and is it still what it was? */
static bool part_is_staged(const struct fetch *fetch, uint64_t idx, uint8_t *buffer)
{
	static const uint8_t none[BLAKE3_HASH_LEN];
	uint8_t want[BLAKE3_HASH_LEN], sum[BLAKE3_HASH_LEN];

	if (scan_read(fetch->range_sum_fd, idx * sizeof(want), want, sizeof(want)) < 0 ||
	    memcmp(want, none, sizeof(want)) == 0 ||
	    scan_read(fetch->range_fd, part_begin(fetch, idx) - fetch->range_off, buffer,
		      part_len(fetch, idx)) < 0)
		return false;
	part_sum(fetch, idx, buffer, sum);
	return memcmp(want, sum, sizeof(sum)) == 0;
}

/* A job's share of looking; range_parts and range_scan are the job's meanwhile. */
static int staged_scan(struct fetch *fetch)
{
	uint8_t *buffer = malloc(PART_LEN);

	if (!buffer)
		return -ENOMEM;
	for (uint64_t i = 0; i < FETCH_JOB_LEN / PART_LEN; i++) {
		if (fetch->range_scan == fetch->range_part_cnt)
			break;
		if (part_is_staged(fetch, fetch->range_scan, buffer))
			fetch->range_parts[fetch->range_scan] = CHUNK_HAVE;
		fetch->range_scan++;
	}
	free(buffer);
	return 0;
}

static void open_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	step->err = fetch->range_fd < 0 ? staged_open(fetch) : 0;
	if (!step->err)
		step->err = staged_scan(fetch);
}

static void range_found(struct fetch *fetch)
{
	for (uint64_t i = 0; i < fetch->range_part_cnt; i++) {
		if (fetch->range_parts[i] != CHUNK_HAVE)
			continue;
		fetch->range_done_cnt++;
		fetch->get->view.byte_done_cnt += part_len(fetch, i);
		fetch->get->view.reused_byte_cnt += part_len(fetch, i);
	}
}

static void open_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (step->err) {
		fetch_stop_at(fetch, 0, step->err);
	} else if (fetch->range_scan == fetch->range_part_cnt) {
		range_found(fetch);
		fetch->step = FETCH_RANGE;
	}
}

/* A run that was cut off may have placed it; only its bytes can tell. */
static bool is_same_file(int a, int b, uint64_t len)
{
	uint8_t *buffer = malloc(2 * PART_LEN);
	struct stat st;
	bool is_same = buffer && fstat(b, &st) == 0 && (uint64_t)st.st_size == len;

	for (uint64_t off = 0; off < len && is_same; off += PART_LEN) {
		size_t part = len - off < PART_LEN ? (size_t)(len - off) : PART_LEN;

		is_same = scan_read(a, off, buffer, part) == 0 &&
			  scan_read(b, off, buffer + PART_LEN, part) == 0 &&
			  memcmp(buffer, buffer + PART_LEN, part) == 0;
	}
	free(buffer);
	return is_same;
}

/* The place is taken only by nothing or, when replacing, by what stands there now. */
static int range_place(const struct fetch *fetch, const struct content_range *range,
		       struct target_dir *dir)
{
	struct object_stamp replaced = {.size = 0};
	char name[RANGE_NAME_CAP], staged[RANGE_STAGED_CAP];
	size_t len = (size_t)place_name(fetch, range, name);
	struct stat st;
	int fd = target_lookup(&fetch->target, dir, name, len), staged_fd, err;
	bool may_replace = fd >= 0 && fetch->get->is_replacing && fstat(fd, &st) == 0;

	staged_name(range, staged);
	if (may_replace)
		object_stamp_of(&st, &replaced);
	err = target_place(&fetch->target, dir, staged, name, len, may_replace ? &replaced : NULL);
	if (err == WEFT_EEXISTS && fd >= 0) {
		staged_fd = target_stage_lookup(&fetch->target, staged);
		if (staged_fd >= 0 && is_same_file(staged_fd, fd, range->len))
			err = 0;
		if (staged_fd >= 0)
			close(staged_fd);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Their bytes to the disk, then their names (placing.h). A sync's error concerns all of them. */
static void place_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	struct target_dir dir;

	fetch->range_at = 0;
	step->err = syncfs(fetch->target.fd) < 0 ? -errno : 0;
	fetch->must_clear = step->err < 0;
	target_dir_init(&dir);
	for (; !step->err && fetch->range_at < fetch->get->range_cnt; fetch->range_at++) {
		struct content_range range = range_at(fetch, fetch->range_at);

		step->err = range_place(fetch, &range, &dir);
		if (step->err)
			break;
	}
	if (!step->err)
		step->err = target_dir_sync(&fetch->target, &dir, "", 0);
	target_dir_fini(&dir);
}

static void place_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	struct content_range range;
	char name[RANGE_NAME_CAP];

	if (!fetch_step_done(fetch))
		return;
	if (step->err == WEFT_EEXISTS) {
		range = range_at(fetch, fetch->range_at);
		(void)place_name(fetch, &range, name);
		fetch_stop(fetch, step->err, "%s: something else is there; remove it or replace it",
			   name);
		return;
	}
	if (fetch->must_clear) {
		fetch_stop(fetch, step->err, "%s: what was fetched does not get to the disk: %s",
			   fetch->get->target, weft_err_text(step->err));
		return;
	}
	if (step->err) {
		fetch_stop_at(fetch, 0, step->err);
		return;
	}
	fetch->get->view.item_done_cnt = fetch->get->range_cnt;
	fetch->step = FETCH_FLUSH;
}

void fetch_range_run(struct fetch *fetch)
{
	if (fetch->step == FETCH_RANGE_OPENING) {
		fetch_step_submit(fetch, open_run, open_done);
	} else if (fetch->range_done_cnt == fetch->range_part_cnt && !fetch->step_is_out) {
		if (fetch->range_at + 1 < fetch->get->range_cnt) {
			fetch->range_at++;
			range_open(fetch);
		} else {
			fetch_step_submit(fetch, place_run, place_done);
		}
	}
}

static bool part_is_for(const struct fetch *fetch, uint64_t part, const struct swarm_member *member)
{
	uint64_t chunk = part_range(fetch, part).first_group * BLAKE3_GROUP_LEN / BLAKE3_CHUNK_LEN;

	return fetch->range_parts[part] == CHUNK_MISSING && swarm_member_has(member, 0, chunk);
}

bool fetch_range_pick(struct fetch *fetch, struct fetch_slot *slot,
		      const struct swarm_member *member)
{
	uint64_t part;

	while (fetch->range_next < fetch->range_part_cnt &&
	       fetch->range_parts[fetch->range_next] != CHUNK_MISSING)
		fetch->range_next++;
	part = fetch->range_next;
	while (part < fetch->range_part_cnt && !part_is_for(fetch, part, member))
		part++;
	if (part == fetch->range_part_cnt)
		return false;
	slot->kind = SLOT_PROOF;
	slot->file = NULL;
	slot->item = 0;
	slot->part = part;
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

/* The wanted bytes of a verified part, and what they hash to. In a job. */
static int part_write(struct fetch_slot *slot, const uint8_t *wanted)
{
	const struct fetch *fetch = slot->fetch;
	uint8_t sum[BLAKE3_HASH_LEN];
	int err;

	slot->len = part_len(fetch, slot->part);
	err = fetch_write_at(fetch->range_fd, part_begin(fetch, slot->part) - fetch->range_off,
			     wanted, slot->len);
	if (err)
		return err;
	part_sum(fetch, slot->part, wanted, sum);
	return fetch_write_at(fetch->range_sum_fd, slot->part * sizeof(sum), sum, sizeof(sum));
}

int fetch_range_write(struct fetch_slot *slot)
{
	const struct fetch *fetch = slot->fetch;
	struct blake3_range range = part_range(fetch, slot->part);
	struct cursor proof = cursor_of(slot->bytes, slot->len);
	uint8_t *data = malloc(PART_LEN);
	uint64_t off = range.first_group * BLAKE3_GROUP_LEN;
	int err;

	if (!data)
		return -ENOMEM;
	err = blake3_proof_verify(range_item(fetch)->content_id, &range, &proof, data);
	err = err ? WEFT_EDAMAGED : part_write(slot, data + (part_begin(fetch, slot->part) - off));
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
	if (fetch->range_sum_fd >= 0)
		close(fetch->range_sum_fd);
	fetch->range_fd = fetch->range_sum_fd = -1;
	free(fetch->range_parts);
	fetch->range_parts = NULL;
}
