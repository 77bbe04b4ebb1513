/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a single file: bytes [off, off + len). They are asked for in pieces of a few groups
 * that prove themselves against the content id, so no chunk list is needed. The part is written
 * as "<name>.<off>-<len>" in the target. Several parts are fetched one after the other, and put
 * in their places when all are whole.
 *
 * Without a chunk list nothing says later whether staged bytes are right. So beside them lies a
 * file of one hash per part, of the bytes as they were verified. A later run keeps the parts
 * that still have their hash. A part that a crash tore or a disk lost has another hash and is
 * fetched again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "get_run.h"
#include "blobs/get/get_state.h"

#define PART_LEN	 (MESSAGE_GROUPS_MAX * BLAKE3_GROUP_LEN)
#define PARTS_MAX	 (GET_RUN_CHUNKS_MAX * (BLAKE3_CHUNK_LEN / PART_LEN))
#define RANGE_STAGED_CAP 64
#define RANGE_NAME_CAP	 (MANIFEST_NAME_LEN_MAX + 48)

static const struct manifest_item *range_item(const struct get_run *get_run)
{
	return blobs_get_run_manifest_item(get_run, 0);
}

/* Part idx as groups: parts are cut at multiples of their length in the file. */
static struct blake3_range part_range(const struct get_run *get_run, uint64_t idx)
{
	uint64_t part = get_run->range.off / PART_LEN + idx;
	uint64_t end = (get_run->range.end + BLAKE3_GROUP_LEN - 1) / BLAKE3_GROUP_LEN;
	uint64_t first = part * MESSAGE_GROUPS_MAX;
	uint64_t begin = get_run->range.off / BLAKE3_GROUP_LEN;

	first = first > begin ? first : begin;
	end = end < (part + 1) * MESSAGE_GROUPS_MAX ? end : (part + 1) * MESSAGE_GROUPS_MAX;
	return (struct blake3_range){
		.file_len = range_item(get_run)->size,
		.first_group = first,
		.group_cnt = end - first,
	};
}

/* Where the wanted bytes of part idx lie in the file. */
static uint64_t part_begin(const struct get_run *get_run, uint64_t idx)
{
	uint64_t off = part_range(get_run, idx).first_group * BLAKE3_GROUP_LEN;

	return off > get_run->range.off ? off : get_run->range.off;
}

static size_t part_len(const struct get_run *get_run, uint64_t idx)
{
	struct blake3_range range = part_range(get_run, idx);
	uint64_t end = range.first_group * BLAKE3_GROUP_LEN + blake3_range_len(&range);

	end = end < get_run->range.end ? end : get_run->range.end;
	return (size_t)(end - part_begin(get_run, idx));
}

/* The hash of the bytes also covers their content id and their place. */
static void part_sum(const struct get_run *get_run, uint64_t idx, const uint8_t *data,
		     uint8_t sum[static BLAKE3_HASH_LEN])
{
	uint8_t begin[8];
	struct writer w = writer_of(begin, sizeof(begin));
	struct blake3 hash;

	writer_be64(&w, part_begin(get_run, idx));
	blake3_init_keyed(&hash, range_item(get_run)->content_id);
	blake3_update(&hash, begin, sizeof(begin));
	blake3_update(&hash, data, part_len(get_run, idx));
	blake3_final(&hash, sum, BLAKE3_HASH_LEN);
}

/* Range at of the get, cut at the end of the file. */
static struct blobs_range range_at(const struct get_run *get_run, unsigned at)
{
	struct blobs_range range = get_run->get->asked.ranges[at];
	uint64_t left = range_item(get_run)->size - range.off;

	range.len = range.len < left ? range.len : left;
	return range;
}

/* The length of the name that a range gets in the target; it fits MANIFEST_NAME_LEN_MAX or not. */
static int place_name(const struct get_run *get_run, const struct blobs_range *range,
		      char name[static RANGE_NAME_CAP])
{
	const struct manifest_item *item = range_item(get_run);
	const char *slash = memrchr(item->path, '/', item->path_len);
	const char *base = slash ? slash + 1 : item->path;

	return snprintf(name, RANGE_NAME_CAP, "%.*s.%llu-%llu",
			(int)(item->path + item->path_len - base), base,
			(unsigned long long)range->off, (unsigned long long)range->len);
}

static void staged_name(const struct blobs_range *range, char name[static RANGE_STAGED_CAP])
{
	snprintf(name, RANGE_STAGED_CAP, "range-%llu-%llu", (unsigned long long)range->off,
		 (unsigned long long)range->len);
}

static int ranges_check(struct get_run *get_run)
{
	uint64_t size = range_item(get_run)->size, len = 0;
	char name[RANGE_NAME_CAP];

	for (unsigned i = 0; i < get_run->get->asked.range_cnt; i++) {
		struct blobs_range range;

		if (get_run->get->asked.ranges[i].off >= size) {
			blobs_get_run_stop(get_run, WEFT_ETOOLARGE,
					   "the range begins beyond the file's %llu bytes",
					   (unsigned long long)size);
			return WEFT_ETOOLARGE;
		}
		range = range_at(get_run, i);
		len += range.len;
		if (range.len / PART_LEN >= PARTS_MAX) {
			blobs_get_run_stop(get_run, WEFT_ETOOLARGE,
					   "a range is less than 1 TiB; give it in several");
			return WEFT_ETOOLARGE;
		}
		if (place_name(get_run, &range, name) > (int)MANIFEST_NAME_LEN_MAX) {
			blobs_get_run_stop(get_run, WEFT_ETOOLARGE,
					   "%s: the name of the range is too long", name);
			return WEFT_ETOOLARGE;
		}
	}
	get_run->get->view.item_cnt = get_run->get->asked.range_cnt;
	get_run->get->view.byte_cnt = len;
	return 0;
}

static void range_open(struct get_run *get_run)
{
	struct blobs_range range = range_at(get_run, get_run->range.at);

	blobs_get_run_range_free(get_run);
	get_run->range.off = range.off;
	get_run->range.end = range.off + range.len;
	get_run->range.done_cnt = get_run->range.next = get_run->range.scan = 0;
	get_run->range.part_cnt =
		(get_run->range.end - 1) / PART_LEN - get_run->range.off / PART_LEN + 1;
	get_run->range.parts = calloc(1, (size_t)get_run->range.part_cnt);
	if (!get_run->range.parts) {
		blobs_get_run_stop(get_run, -ENOMEM, "no memory for the range");
		return;
	}
	get_run->step = GET_RUN_RANGE_OPENING;
	blobs_get_run_wake(get_run);
}

void blobs_get_run_range_begin(struct get_run *get_run)
{
	if (get_run->part.root || get_run->items.cnt != 1) {
		blobs_get_run_stop(get_run, WEFT_EREFUSED, "a range needs a link to a single file");
		return;
	}
	get_run->range.at = 0;
	if (ranges_check(get_run) == 0)
		range_open(get_run);
}

static int staged_open(struct get_run *get_run)
{
	const struct blobs_range range = range_at(get_run, get_run->range.at);
	char staged[RANGE_STAGED_CAP], name[RANGE_STAGED_CAP + 8];
	bool is_new;

	staged_name(&range, staged);
	snprintf(name, sizeof(name), "%s.sums", staged);
	get_run->range.fd = blobs_target_stage_open(&get_run->target, staged, &is_new);
	if (get_run->range.fd < 0)
		return get_run->range.fd;
	get_run->range.sum_fd = blobs_target_stage_open(&get_run->target, name, &is_new);
	if (get_run->range.sum_fd < 0)
		return get_run->range.sum_fd;
	if (ftruncate(get_run->range.fd, (off_t)(get_run->range.end - get_run->range.off)) < 0)
		return -errno;
	return 0;
}

/* Did an earlier run verify and write part idx, and is it still what it was? */
static bool part_is_staged(const struct get_run *get_run, uint64_t idx, uint8_t *buffer)
{
	static const uint8_t none[BLAKE3_HASH_LEN];
	uint8_t want[BLAKE3_HASH_LEN], sum[BLAKE3_HASH_LEN];

	if (blobs_scan_read(get_run->range.sum_fd, idx * sizeof(want), want, sizeof(want)) < 0 ||
	    memcmp(want, none, sizeof(want)) == 0 ||
	    blobs_scan_read(get_run->range.fd, part_begin(get_run, idx) - get_run->range.off,
			    buffer, part_len(get_run, idx)) < 0)
		return false;
	part_sum(get_run, idx, buffer, sum);
	return memcmp(want, sum, sizeof(sum)) == 0;
}

/* A job's share of looking; range.parts and range.scan are the job's meanwhile. */
static int staged_scan(struct get_run *get_run)
{
	uint8_t *buffer = malloc(PART_LEN);

	if (!buffer)
		return -ENOMEM;
	for (uint64_t i = 0; i < GET_RUN_JOB_LEN / PART_LEN; i++) {
		if (get_run->range.scan == get_run->range.part_cnt)
			break;
		if (part_is_staged(get_run, get_run->range.scan, buffer))
			get_run->range.parts[get_run->range.scan] = CHUNK_HAVE;
		get_run->range.scan++;
	}
	free(buffer);
	return 0;
}

static void open_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	step->err = get_run->range.fd < 0 ? staged_open(get_run) : 0;
	if (!step->err)
		step->err = staged_scan(get_run);
}

static void range_found(struct get_run *get_run)
{
	for (uint64_t i = 0; i < get_run->range.part_cnt; i++) {
		if (get_run->range.parts[i] != CHUNK_HAVE)
			continue;
		get_run->range.done_cnt++;
		get_run->get->view.byte_done_cnt += part_len(get_run, i);
		get_run->get->view.reused_byte_cnt += part_len(get_run, i);
	}
}

static void open_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	if (step->err) {
		blobs_get_run_stop_at(get_run, 0, step->err);
	} else if (get_run->range.scan == get_run->range.part_cnt) {
		range_found(get_run);
		get_run->step = GET_RUN_RANGE;
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

		is_same = blobs_scan_read(a, off, buffer, part) == 0 &&
			  blobs_scan_read(b, off, buffer + PART_LEN, part) == 0 &&
			  memcmp(buffer, buffer + PART_LEN, part) == 0;
	}
	free(buffer);
	return is_same;
}

/* The place is taken only by nothing or, when replacing, by what stands there now. */
static int range_place(const struct get_run *get_run, const struct blobs_range *range,
		       struct target_dir *dir)
{
	struct object_stamp replaced = {.size = 0};
	char name[RANGE_NAME_CAP], staged[RANGE_STAGED_CAP];
	size_t len = (size_t)place_name(get_run, range, name);
	struct stat st;
	int fd = blobs_target_lookup(dir, name, len), staged_fd, err;
	bool may_replace = fd >= 0 && get_run->get->asked.is_replacing && fstat(fd, &st) == 0;

	staged_name(range, staged);
	if (may_replace)
		blobs_object_stamp_of(&st, &replaced);
	err = blobs_target_place(dir, staged, name, len, may_replace ? &replaced : NULL);
	if (err == WEFT_EEXISTS && fd >= 0) {
		staged_fd = blobs_target_stage_lookup(&get_run->target, staged);
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
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	struct target_dir dir;

	get_run->range.at = 0;
	step->err = syncfs(get_run->target.fd) < 0 ? -errno : 0;
	get_run->records.must_clear = step->err < 0;
	blobs_target_dir_init(&dir, &get_run->target);
	for (; !step->err && get_run->range.at < get_run->get->asked.range_cnt;
	     get_run->range.at++) {
		struct blobs_range range = range_at(get_run, get_run->range.at);

		step->err = range_place(get_run, &range, &dir);
		if (step->err)
			break;
	}
	if (!step->err)
		step->err = blobs_target_dir_sync(&dir, "", 0);
	blobs_target_dir_fini(&dir);
}

static void place_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	struct blobs_range range;
	char name[RANGE_NAME_CAP];

	if (!blobs_get_run_step_done(get_run))
		return;
	if (step->err == WEFT_EEXISTS) {
		range = range_at(get_run, get_run->range.at);
		(void)place_name(get_run, &range, name);
		blobs_get_run_stop(get_run, step->err,
				   "%s: something else is there; remove it or replace it", name);
		return;
	}
	if (get_run->records.must_clear) {
		blobs_get_run_stop(get_run, step->err,
				   "%s: what was received does not get to the disk: %s",
				   get_run->get->asked.target, weft_err_text(step->err));
		return;
	}
	if (step->err) {
		blobs_get_run_stop_at(get_run, 0, step->err);
		return;
	}
	get_run->get->view.item_done_cnt = get_run->get->asked.range_cnt;
	get_run->step = GET_RUN_FLUSH;
}

void blobs_get_run_range_run(struct get_run *get_run)
{
	if (get_run->step == GET_RUN_RANGE_OPENING) {
		blobs_get_run_step_submit(get_run, open_run, open_done);
	} else if (get_run->range.done_cnt == get_run->range.part_cnt && !get_run->step_is_out) {
		if (get_run->range.at + 1 < get_run->get->asked.range_cnt) {
			get_run->range.at++;
			range_open(get_run);
		} else {
			blobs_get_run_step_submit(get_run, place_run, place_done);
		}
	}
}

static bool part_is_for(const struct get_run *get_run, uint64_t part,
			const struct swarm_member *member)
{
	uint64_t chunk =
		part_range(get_run, part).first_group * BLAKE3_GROUP_LEN / BLAKE3_CHUNK_LEN;

	return get_run->range.parts[part] == CHUNK_MISSING &&
	       blobs_swarm_member_has(member, 0, chunk);
}

bool blobs_get_run_range_pick(struct get_run *get_run, struct get_run_slot *slot,
			      const struct swarm_member *member)
{
	uint64_t part;

	while (get_run->range.next < get_run->range.part_cnt &&
	       get_run->range.parts[get_run->range.next] != CHUNK_MISSING)
		get_run->range.next++;
	part = get_run->range.next;
	while (part < get_run->range.part_cnt && !part_is_for(get_run, part, member))
		part++;
	if (part == get_run->range.part_cnt)
		return false;
	slot->kind = SLOT_PROOF;
	slot->file = NULL;
	slot->item = 0;
	slot->part = part;
	slot->idx = part_range(get_run, slot->part).first_group;
	get_run->range.parts[slot->part] = CHUNK_ASKED;
	return true;
}

uint64_t blobs_get_run_range_groups(const struct get_run *get_run, uint64_t part)
{
	return part_range(get_run, part).group_cnt;
}

void blobs_get_run_range_again(struct get_run *get_run, uint64_t part)
{
	get_run->range.parts[part] = CHUNK_MISSING;
	if (part < get_run->range.next)
		get_run->range.next = part;
}

/* The wanted bytes of a verified part, and what they hash to. In a job. */
static int part_write(struct get_run_slot *slot, const uint8_t *wanted)
{
	const struct get_run *get_run = slot->get_run;
	uint8_t sum[BLAKE3_HASH_LEN];
	int err;

	slot->len = part_len(get_run, slot->part);
	err = blobs_get_run_write_at(get_run->range.fd,
				     part_begin(get_run, slot->part) - get_run->range.off, wanted,
				     slot->len);
	if (err)
		return err;
	part_sum(get_run, slot->part, wanted, sum);
	return blobs_get_run_write_at(get_run->range.sum_fd, slot->part * sizeof(sum), sum,
				      sizeof(sum));
}

int blobs_get_run_range_write(struct get_run_slot *slot)
{
	const struct get_run *get_run = slot->get_run;
	struct blake3_range range = part_range(get_run, slot->part);
	struct cursor proof = cursor_of(slot->bytes, slot->len);
	uint8_t *data = malloc(PART_LEN);
	uint64_t off = range.first_group * BLAKE3_GROUP_LEN;
	int err;

	if (!data)
		return -ENOMEM;
	err = blake3_proof_verify(range_item(get_run)->content_id, &range, &proof, data);
	err = err ? WEFT_EDAMAGED
		  : part_write(slot, data + (part_begin(get_run, slot->part) - off));
	free(data);
	return err;
}

void blobs_get_run_range_part_done(struct get_run *get_run, const struct get_run_slot *slot)
{
	get_run->range.parts[slot->part] = CHUNK_HAVE;
	get_run->range.done_cnt++;
	get_run->get->view.byte_done_cnt += slot->len;
}

void blobs_get_run_range_free(struct get_run *get_run)
{
	if (get_run->range.fd >= 0)
		close(get_run->range.fd);
	if (get_run->range.sum_fd >= 0)
		close(get_run->range.sum_fd);
	get_run->range.fd = get_run->range.sum_fd = -1;
	free(get_run->range.parts);
	get_run->range.parts = NULL;
}
