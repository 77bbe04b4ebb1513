/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the items that are on this disk already, before anything is asked for. First the file in
 * its place, if it has the right content. Else a copy of the same content, from a duplicate in
 * this collection or from another file that peers may read anyway. Other files are not used: a
 * peer that names a hash in a collection learns, by what is not asked for, whether it is here.
 * Copies are hashed before they count.
 *
 * One job at a time looks at a batch of items. It stops at the first that it finds, or when it has
 * read enough for one job.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "get_run.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/target/removal.h"
#include "blobs/serve/served_index.h"
#include "blobs/serve/servers.h"
#include "store/store.h"

void blobs_get_run_fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void check_reset(struct get_run_check *check)
{
	blobs_get_run_fd_close(&check->fd);
	blobs_get_run_fd_close(&check->staged_fd);
	blobs_scan_fini(&check->scan);
	check->phase = CHECK_LOOK;
	check->found = FOUND_NONE;
	check->has_known = check->has_obstacle = false;
	check->source_cnt = 0;
	check->may_settle = false;
}

/* --- the file in its place --- */

/*
 * The store's knowledge of the file in its place: nothing (absent), or the record. One that this
 * collection brought and no program wrote since is its own: whatever its bytes have become, it
 * may be replaced without asking.
 */
static int record_look(struct get_run_check *check, struct store_snapshot *snapshot,
		       struct object_file *known)
{
	const struct get_run *get_run = check->get_run;
	const struct manifest_item *entry = blobs_get_run_check_entry(check);
	int err = blobs_target_join(&get_run->target, entry->path, entry->path_len, known->path);

	if (!err)
		err = blobs_object_file_get(snapshot, known->path, known);
	if (err != WEFT_ETOOLARGE &&
	    blobs_get_run_intent_find(get_run, known->path, &check->stamp, known))
		err = 0;
	check->is_own = !err && known->is_got && known->stamp.inode == check->stamp.inode &&
			known->stamp.mtime_ns == check->stamp.mtime_ns &&
			memcmp(known->got_id, get_run->get->asked.manifest_id, OBJECT_ID_LEN) == 0;
	/* The same file by inode and time of writing; its bytes are hashed wherever that counts. */
	check->was_placed = !err && known->is_placed && known->stamp.inode == check->stamp.inode &&
			    known->stamp.size == check->stamp.size &&
			    known->stamp.mtime_ns == check->stamp.mtime_ns;
	return err;
}

/*
 * The right bytes are in their place. Where a get brought them, time and mode
 * follow the manifest; a file that the user put there keeps its own.
 */
static int place_found(struct get_run_check *check)
{
	struct object_stamp stamp = check->stamp;
	int err = check->may_settle ? blobs_get_run_settle_again(
					      check->fd, blobs_get_run_check_entry(check), &stamp)
				    : 0;

	/* One that cannot be changed is as good as it was. */
	if (err || blobs_object_stamp_equal(&stamp, &check->stamp))
		return ITEM_IS_FOUND;
	check->stamp = stamp;
	check->found = FOUND_IN_PLACE;
	return ITEM_IS_FOUND;
}

/*
 * A get that goes on believes its record of a file. One that begins reads what
 * is there, for a disk may have changed bytes and nothing else.
 */
static int place_look(struct get_run_check *check, struct store_snapshot *snapshot)
{
	const struct get_run *get_run = check->get_run;
	const struct manifest_item *entry = blobs_get_run_check_entry(check);
	struct object_file *known = &check->known;
	struct stat st;
	bool is_known;

	check->fd = blobs_target_lookup(&check->dir, entry->path, entry->path_len);
	if (check->fd < 0)
		return check->fd;
	if (fstat(check->fd, &st) < 0)
		return -errno;
	blobs_object_stamp_of(&st, &check->stamp);
	check->has_known = record_look(check, snapshot, known) == 0;
	is_known = check->has_known && !known->is_racy &&
		   blobs_object_stamp_equal(&known->stamp, &check->stamp) &&
		   memcmp(known->content_id, entry->content_id, OBJECT_ID_LEN) == 0;
	if (check->stamp.size != entry->size)
		return WEFT_EEXISTS;
	/* Recorded by a share or another get, it is this one's from now on. */
	check->found = !is_known ? FOUND_NONE : check->is_own ? FOUND_RECORDED : FOUND_IN_PLACE;
	check->may_settle = is_known && known->is_got;
	if (is_known && get_run->get->record.is_continued)
		return place_found(check);
	check->phase = CHECK_SCAN;
	return blobs_scan_init(&check->scan, check->fd, entry->size);
}

static bool scan_matches(const struct get_run_check *check)
{
	return memcmp(check->scan.id, blobs_get_run_check_entry(check)->content_id,
		      OBJECT_ID_LEN) == 0;
}

/* Another file is in the way: it may be replaced, but only itself. */
static int place_conflict(struct get_run_check *check)
{
	struct get_run_item *item = &check->get_run->items.all[blobs_get_run_check_item(check)];

	if (check->get_run->get->view.folder && !check->is_own &&
	    !(check->has_known && blobs_placed_is_unchanged(&check->known, check->fd))) {
		check->found = FOUND_KEPT;
		return 0;
	}
	if (!check->get_run->get->asked.is_replacing && !check->get_run->get->view.folder &&
	    !check->is_own)
		return WEFT_EEXISTS;
	check->found = FOUND_NONE;
	item->has_replaced = true;
	item->replaced_inode = check->stamp.inode;
	item->replaced_dev = check->stamp.dev;
	blobs_get_run_fd_close(&check->fd);
	blobs_scan_fini(&check->scan);
	return 0;
}

/* --- what an earlier run of this get staged and did not place --- */

static int staged_verify(struct get_run_check *check, int fd)
{
	const struct manifest_item *entry = blobs_get_run_check_entry(check);
	uint8_t id[BLAKE3_HASH_LEN];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != entry->size ||
	    blobs_scan_read(fd, 0, check->buffer, (size_t)entry->size) < 0)
		return ITEM_IS_ABSENT;
	blake3_hash(check->buffer, (size_t)entry->size, id);
	if (memcmp(id, entry->content_id, sizeof(id)) != 0 ||
	    blobs_get_run_settle(fd, entry, &check->stamp) < 0)
		return ITEM_IS_ABSENT;
	check->found = FOUND_STAGED;
	return ITEM_IS_FOUND;
}

/* Small files alone: of a large one each chunk is looked at when its list is here. */
static int staged_look(struct get_run_check *check)
{
	const struct target *target = &check->get_run->target;
	char name[PLACING_NAME_CAP];
	int fd, verdict;

	if (!target->is_stage_old || blobs_get_run_check_entry(check)->size > BLAKE3_CHUNK_LEN)
		return ITEM_IS_ABSENT;
	blobs_get_run_name(check->get_run, blobs_get_run_check_item(check), name);
	fd = blobs_target_stage_lookup(target, name);
	if (fd < 0)
		return ITEM_IS_ABSENT;
	verdict = staged_verify(check, fd);
	close(fd);
	return verdict;
}

/* --- an item --- */

static int phase_look(struct get_run_check *check, struct store_snapshot *snapshot)
{
	int err = place_look(check, snapshot);

	if (err == WEFT_EEXISTS && check->fd >= 0)
		err = place_conflict(check);
	else if (err == WEFT_EABSENT)
		err = 0;
	else if (check->get_run->get->view.folder && (err == WEFT_EEXISTS || err == WEFT_EUNSAFE)) {
		/* A folder where a file should be, or the other way round, or a link. */
		check->found = FOUND_KEPT;
		check->has_obstacle = true;
		return ITEM_IS_FOUND;
	}
	if (!err && check->found == FOUND_KEPT)
		return ITEM_IS_FOUND;
	if (err || check->phase == CHECK_SCAN)
		return err ? err : ITEM_WANTS_MORE;
	err = staged_look(check);
	return err ? err : blobs_get_run_copy_next(check, snapshot);
}

static int phase_scan(struct get_run_check *check, struct store_snapshot *snapshot, uint64_t budget)
{
	int err = blobs_scan_run(&check->scan, budget, check->buffer);

	if (err > 0)
		return ITEM_WANTS_MORE;
	if (!err && scan_matches(check)) {
		if (check->found == FOUND_NONE)
			check->found = FOUND_SCANNED;
		return place_found(check);
	}
	if (err && err != WEFT_ECHANGED)
		return err;
	err = place_conflict(check);
	if (!err && check->found == FOUND_KEPT)
		return ITEM_IS_FOUND;
	return err ? err : blobs_get_run_copy_next(check, snapshot);
}

static int phase_scan_copy(struct get_run_check *check, struct store_snapshot *snapshot,
			   uint64_t budget)
{
	const struct manifest_item *entry = blobs_get_run_check_entry(check);
	int err = blobs_scan_run(&check->scan, budget, check->buffer);

	if (err > 0)
		return ITEM_WANTS_MORE;
	if (err)
		return err;
	if (!scan_matches(check))
		return blobs_get_run_copy_give_up(check, snapshot);
	err = blobs_target_dir_make(&check->dir, entry->path, entry->path_len);
	if (!err)
		err = blobs_get_run_settle(check->staged_fd, entry, &check->stamp);
	check->found = FOUND_COPY;
	return err ? err : ITEM_IS_FOUND;
}

static int item_step(struct get_run_check *check, struct store_snapshot *snapshot)
{
	switch (check->phase) {
	case CHECK_LOOK:
		return phase_look(check, snapshot);
	case CHECK_SCAN:
		return phase_scan(check, snapshot, GET_RUN_JOB_LEN);
	case CHECK_COPY:
		return blobs_get_run_copy_run(check, snapshot, GET_RUN_JOB_LEN);
	default:
		return phase_scan_copy(check, snapshot, GET_RUN_JOB_LEN);
	}
}

/* The room that an earlier run reserved for the item at hand need not be free. */
static void reserved_note(struct get_run_check *check)
{
	char name[PLACING_NAME_CAP];
	struct stat st;

	if (!check->get_run->target.is_stage_old)
		return;
	blobs_get_run_name(check->get_run, blobs_get_run_check_item(check), name);
	if (fstatat(check->get_run->target.stage_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		check->reserved_len += (uint64_t)st.st_blocks * 512;
}

static void check_run(struct job *job)
{
	struct get_run_check *check = (struct get_run_check *)job;
	struct store_snapshot *snapshot;
	int verdict = ITEM_IS_ABSENT;

	if (!check->buffer)
		check->buffer = malloc(BLAKE3_CHUNK_LEN);
	check->err = check->buffer
			     ? store_snapshot_open(check->get_run->content->params.store, &snapshot)
			     : -ENOMEM;
	if (check->err)
		return;
	/* An item that is not there costs little; one that wants more gets a job for each phase. */
	do {
		enum check_phase phase = check->phase;

		verdict = item_step(check, snapshot);
		if (verdict == ITEM_IS_ABSENT) {
			reserved_note(check);
			check_reset(check);
			check->at++;
		} else if (verdict == ITEM_WANTS_MORE && check->phase != phase) {
			verdict = ITEM_IS_ABSENT; /* the next phase begins at once */
		}
	} while (verdict == ITEM_IS_ABSENT && check->at < check->cnt);
	store_snapshot_close(snapshot);
	check->free_len = blobs_target_free_len(&check->get_run->target);
	if (verdict < 0)
		blobs_get_run_copy_drop(check);
	check->is_found = verdict == ITEM_IS_FOUND;
	check->err = verdict < 0 ? verdict : 0;
}

static void found_take(struct get_run_check *check)
{
	struct get_run *get_run = check->get_run;
	uint32_t item = blobs_get_run_check_item(check);
	uint64_t size = blobs_get_run_check_entry(check)->size;
	char name[PLACING_NAME_CAP];

	if (check->found == FOUND_KEPT)
		size = 0;
	get_run->get->view.byte_done_cnt += size;
	get_run->get->view.reused_byte_cnt += size;
	switch (check->found) {
	case FOUND_NONE:
		break;
	case FOUND_KEPT:
		get_run->folder.obstacle_cnt += check->has_obstacle;
		blobs_get_run_kept(get_run, item);
		break;
	case FOUND_RECORDED:
		get_run->get->view.item_done_cnt++;
		blobs_get_run_item_done(get_run, item);
		break;
	case FOUND_IN_PLACE:
	case FOUND_SCANNED:
		blobs_get_run_found(get_run, item, check,
				    check->may_settle && blobs_get_run_settled_is_racy(
								 blobs_get_run_check_entry(check),
								 &check->stamp));
		break;
	case FOUND_STAGED:
		blobs_get_run_name(get_run, item, name);
		blobs_get_run_staged(get_run, item, &check->stamp, name, NULL);
		break;
	case FOUND_COPY:
		blobs_get_run_copy_name(get_run, item, name);
		blobs_get_run_staged(get_run, item, &check->stamp, name, check->scan.hashes);
		break;
	}
	check_reset(check);
	check->is_found = false;
	check->at++;
	check->marked = check->at;
}

/* A lack of room is reported before the first byte is asked for, not when the disk is full. */
static void space_check(struct get_run_check *check)
{
	struct get_run *get_run = check->get_run;
	uint64_t len = get_run->items.needed_len;

	len -= check->reserved_len < len ? check->reserved_len : len;
	if (check->lacking_len > len)
		len = check->lacking_len;
	if (len > check->free_len)
		blobs_get_run_stop(
			get_run, -ENOSPC,
			"%s: %llu MiB are needed and %llu MiB are free; make room and resume",
			get_run->get->asked.target, (unsigned long long)((len >> 20) + 1),
			(unsigned long long)(check->free_len >> 20));
}

static void check_done(struct job *job)
{
	struct get_run_check *check = (struct get_run_check *)job;
	struct get_run *get_run = check->get_run;

	check->is_out = false;
	if (!blobs_get_run_job_done(get_run))
		return;
	for (; check->marked < check->at; check->marked++) {
		uint32_t item = check->items[check->marked];

		get_run->items.all[item].state = ITEM_NEEDED;
		get_run->items.needed_len += blobs_get_run_manifest_item(get_run, item)->size;
		if (item < get_run->items.need_idx)
			get_run->items.need_idx = item;
	}
	space_check(check);
	if (check->err)
		blobs_get_run_stop_at(get_run, blobs_get_run_check_item(check), check->err);
	else if (check->is_found)
		found_take(check);
}

/* check_idx comes to the next item to check: all that are to be fetched first, then the others. */
static bool check_idx_next(struct get_run *get_run)
{
	for (;;) {
		for (; get_run->items.check_idx < get_run->items.cnt; get_run->items.check_idx++) {
			const struct get_run_item *item =
				&get_run->items.all[get_run->items.check_idx];

			if (item->state == ITEM_NEW &&
			    (get_run->items.checks_others || item->is_first))
				return true;
		}
		if (get_run->items.checks_others)
			return false;
		get_run->items.checks_others = true;
		get_run->items.check_idx = 0;
	}
}

static void batch_fill(struct get_run_check *check)
{
	struct get_run *get_run = check->get_run;

	check->cnt = check->at = check->marked = 0;
	while (get_run->items.ready_duplicates != GET_RUN_NONE && check->cnt < GET_RUN_CHECKS_MAX) {
		struct get_run_item *twin = &get_run->items.all[get_run->items.ready_duplicates];

		check->items[check->cnt++] = get_run->items.ready_duplicates;
		get_run->items.ready_duplicates = twin->next_twin;
		twin->next_twin = GET_RUN_NONE;
		twin->state = ITEM_CHECKING;
	}
	while (check->cnt < GET_RUN_CHECKS_MAX && check_idx_next(get_run)) {
		check->items[check->cnt++] = get_run->items.check_idx;
		get_run->items.all[get_run->items.check_idx++].state = ITEM_CHECKING;
	}
	blobs_served_index_free(check->served_index);
	/* This is asked at every step of a get, most of them with nothing left to look at. */
	check->served_index = check->cnt ? blobs_served_copy(get_run->content) : NULL;
}

void blobs_get_run_check_run(struct get_run *get_run)
{
	struct get_run_check *check = &get_run->check;

	if (check->is_out)
		return;
	if (check->at == check->cnt)
		batch_fill(check);
	check->needed_len = get_run->items.needed_len;
	check->lacking_len = 0;
	if (check->at < check->cnt)
		check->is_out = blobs_get_run_submit(get_run, &check->job, check_run, check_done);
}

void blobs_get_run_check_init(struct get_run *get_run)
{
	struct get_run_check *check = &get_run->check;

	check->get_run = get_run;
	check->fd = -1;
	check->staged_fd = -1;
	blobs_target_dir_init(&check->dir, &get_run->target);
}

void blobs_get_run_check_fini(struct get_run *get_run)
{
	struct get_run_check *check = &get_run->check;

	check_reset(check);
	blobs_target_dir_fini(&check->dir);
	blobs_served_index_free(check->served_index);
	check->served_index = NULL;
	free(check->buffer);
	check->buffer = NULL;
}
