/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers on their way to disk: they wait until a job verifies a handful of
 * them, and writes those that verify. A file of at most one chunk is whole
 * then, so ten thousand small files cost a few calls each.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "get_run.h"
#include "zeros.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

#define CHUNK_LEAVES (BLAKE3_CHUNK_LEN / BLAKE3_LEAF_LEN)

/* --- answers of members --- */

bool blobs_get_run_answer_fits(void *arg, const struct message_answer *answer)
{
	const struct get_run_slot *slot = arg;

	switch (slot->kind) {
	case SLOT_WHOLE:
		return answer->len == blobs_get_run_manifest_item(slot->get_run, slot->item)->size;
	case SLOT_CHUNK:
		return answer->len == blobs_get_run_file_chunk_len(slot->file, slot->idx);
	case SLOT_LIST:
		return blobs_get_run_file_list_check(slot->file, answer);
	case SLOT_PROOF:
		break;
	}
	return answer->total == blobs_get_run_manifest_item(slot->get_run, slot->item)->size;
}

void blobs_get_run_ready(struct get_run_slot *slot)
{
	slot->next = NULL;
	*slot->get_run->requests.ready_end = slot;
	slot->get_run->requests.ready_end = &slot->next;
}

static void slot_failed(struct get_run_slot *slot, const struct swarm_answer *answer)
{
	struct get_run *get_run = slot->get_run;
	bool is_list = slot->kind == SLOT_LIST;
	struct get_run_file *file = slot->file;

	blobs_get_run_slot_again(slot);
	if (is_list && slot->ask.from)
		blobs_get_run_file_list_failed(file);
	else if (is_list)
		blobs_get_run_swarm_failed(get_run, answer->err, answer->detail);
}

void blobs_get_run_on_answer(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct get_run_slot *slot = arg;
	struct get_run *get_run = slot->get_run;

	get_run->get->gets->now_ns = now_ns;
	get_run->requests.asked_cnt--;
	blobs_get_run_wake(get_run);
	if (answer->err) {
		slot_failed(slot, answer);
		return;
	}
	blobs_get_run_answered(get_run, answer->message.len, now_ns);
	blobs_get_run_slot_cancel_twin(slot);
	memcpy(slot->from_key, answer->from_key, sizeof(slot->from_key));
	if (slot->kind == SLOT_LIST) {
		memcpy(slot->file->list.key, slot->from_key, sizeof(slot->from_key));
		blobs_get_run_file_list_arrived(slot->file, &answer->message);
		blobs_get_run_slot_free(slot);
		return;
	}
	slot->bytes = answer->message.bytes;
	slot->len = answer->message.len;
	blobs_get_run_ready(slot);
}

/* --- in a job --- */

int blobs_get_run_write_at(int fd, uint64_t off, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t put = pwrite(fd, data, len, (off_t)off);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			data += put;
			off += (uint64_t)put;
			len -= (size_t)put;
		}
	}
	return 0;
}

static int hash_check(const struct get_run_slot *slot, const uint8_t *want, bool is_root)
{
	uint8_t hash[BLAKE3_HASH_LEN];

	blake3_subtree(slot->bytes, slot->len, slot->idx * CHUNK_LEAVES, is_root, hash);
	return memcmp(hash, want, sizeof(hash)) == 0 ? 0 : WEFT_EDAMAGED;
}

static int fd_fill(struct get_run_slot *slot, int fd)
{
	/* Zeros become a hole: the file is new, or empty again. */
	int err = blobs_zeros_only(slot->bytes, slot->len)
			  ? ftruncate(fd, (off_t)slot->len) < 0 ? -errno : 0
			  : blobs_get_run_write_at(fd, 0, slot->bytes, slot->len);

	return err ? err
		   : blobs_get_run_settle(fd,
					  blobs_get_run_manifest_item(slot->get_run, slot->item),
					  &slot->stamp);
}

static int staged_write(struct get_run_slot *slot)
{
	char name[PLACING_NAME_CAP];
	bool is_new;
	int fd, err;

	blobs_get_run_name(slot->get_run, slot->item, name);
	fd = blobs_target_stage_open(&slot->get_run->target, name, &is_new);
	if (fd < 0)
		return fd;
	err = !is_new && ftruncate(fd, 0) < 0 ? -errno : fd_fill(slot, fd);
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

static int nameless_write(struct get_run_slot *slot, struct target_dir *dir)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(slot->get_run, slot->item);

	slot->fd = blobs_target_nameless_open(dir, entry->path, entry->path_len);
	slot->has_fd = slot->fd >= 0;
	return slot->has_fd ? fd_fill(slot, slot->fd) : slot->fd;
}

/* A file needs a name to be found by if others are copied from it, or if it replaces another. */
static bool is_nameless(const struct get_run_write *write, const struct get_run_slot *slot)
{
	const struct get_run_item *item = &slot->get_run->items.all[slot->item];

	return write->may_hold && item->next_twin == GET_RUN_NONE && !item->has_replaced;
}

/* The directories above its place are made now: the sync before the rename is for them, too. */
static int whole_write(struct get_run_write *write, struct get_run_slot *slot)
{
	const struct get_run *get_run = slot->get_run;
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, slot->item);
	int err = hash_check(slot, entry->content_id, true);

	if (err)
		return err;
	if (is_nameless(write, slot))
		return nameless_write(slot, &write->dir);
	err = blobs_target_dir_make(&write->dir, entry->path, entry->path_len);
	return err ? err : staged_write(slot);
}

static int chunk_check(const struct get_run_slot *slot)
{
	return hash_check(slot, slot->file->list.hashes + slot->idx * BLAKE3_HASH_LEN, false);
}

/* Writes all of iov, of cnt parts, at off; iov is used up. */
static int write_all(int fd, uint64_t off, struct iovec *iov, unsigned cnt)
{
	while (cnt > 0) {
		ssize_t put = pwritev(fd, iov, (int)cnt, (off_t)off);

		if (put < 0 && errno != EINTR)
			return -errno;
		for (off += put > 0 ? (uint64_t)put : 0; put > 0 && cnt > 0;) {
			size_t len = (size_t)put < iov->iov_len ? (size_t)put : iov->iov_len;

			iov->iov_base = (uint8_t *)iov->iov_base + len;
			iov->iov_len -= len;
			put -= (ssize_t)len;
			if (iov->iov_len > 0)
				break;
			iov++;
			cnt--;
		}
	}
	return 0;
}

/* Alone, as what is beside it is data or another hole. */
static void zeros_place(struct get_run_slot *slot)
{
	slot->is_zeros = true;
	slot->err = blobs_zeros_punch(slot->file->fd, slot->idx * BLAKE3_CHUNK_LEN, slot->len);
}

/* Neighbours in a file that are right go to the disk in one call. How many slots it took. */
static unsigned chunks_write(struct get_run_slot *const *slots, unsigned cnt)
{
	struct iovec iov[GET_RUN_WRITES_MAX];
	const struct get_run_slot *first = slots[0];
	unsigned len = 0;
	int err;

	while (len < cnt && slots[len]->kind == SLOT_CHUNK && slots[len]->file == first->file &&
	       slots[len]->idx == first->idx + len) {
		slots[len]->err = chunk_check(slots[len]);
		slots[len]->is_zeros = false;
		if (slots[len]->err || blobs_zeros_only(slots[len]->bytes, slots[len]->len))
			break;
		iov[len].iov_base = (void *)slots[len]->bytes;
		iov[len].iov_len = slots[len]->len;
		len++;
	}
	if (len == 0) {
		if (!slots[0]->err)
			zeros_place(slots[0]);
		return 1;
	}
	err = write_all(first->file->fd, first->idx * BLAKE3_CHUNK_LEN, iov, len);
	/* The disk begins now: what it has left to do when the last chunk is here is waited for. */
	if (!err)
		(void)sync_file_range(first->file->fd, (off_t)(first->idx * BLAKE3_CHUNK_LEN),
				      (off_t)(len * BLAKE3_CHUNK_LEN), SYNC_FILE_RANGE_WRITE);
	for (unsigned i = 0; i < len; i++)
		slots[i]->err = err;
	return len;
}

static bool comes_before(const struct get_run_slot *a, const struct get_run_slot *b)
{
	return a->file != b->file ? a->file < b->file : a->idx < b->idx;
}

/* Answers come in any order; their places are in one. */
static void slots_sort(struct get_run_slot **slots, unsigned cnt)
{
	for (unsigned i = 1; i < cnt; i++) {
		struct get_run_slot *slot = slots[i];
		unsigned at = i;

		for (; at > 0 && comes_before(slot, slots[at - 1]); at--)
			slots[at] = slots[at - 1];
		slots[at] = slot;
	}
}

static void write_run(struct job *job)
{
	struct get_run_write *write = (struct get_run_write *)job;
	unsigned at = 0;

	slots_sort(write->slots, write->cnt);
	while (at < write->cnt) {
		struct get_run_slot *slot = write->slots[at];

		if (slot->kind == SLOT_CHUNK) {
			at += chunks_write(write->slots + at, write->cnt - at);
			continue;
		}
		slot->err = slot->kind == SLOT_PROOF ? blobs_get_run_range_write(slot)
						     : whole_write(write, slot);
		at++;
	}
}

/* --- on the worker again --- */

static void whole_take(struct get_run *get_run, struct get_run_slot *slot)
{
	char name[PLACING_NAME_CAP];

	if (slot->has_fd) {
		blobs_get_run_nameless(get_run, slot);
		return;
	}
	blobs_get_run_name(get_run, slot->item, name);
	blobs_get_run_staged(get_run, slot->item, &slot->stamp, name, NULL);
}

/* The source's bytes proved right and are kept: its work for this node, wherever that counts. */
static void slot_tell_verified(const struct get_run_slot *slot)
{
	const struct blobs_params *params = &slot->get_run->content->params;

	if (params->on_verified)
		params->on_verified(params->ctx, slot->from_key, slot->len);
}

static void slot_written(struct get_run_slot *slot)
{
	struct get_run *get_run = slot->get_run;

	if (slot->err == WEFT_EDAMAGED) {
		blobs_get_run_slot_bad(slot);
		return;
	}
	if (!slot->err)
		slot_tell_verified(slot);
	if (slot->err) {
		blobs_get_run_stop_at(get_run, slot->item, slot->err);
	} else if (slot->kind == SLOT_CHUNK) {
		blobs_get_run_file_chunk_done(slot->file, slot->idx, slot->len);
		if (slot->is_zeros)
			blobs_get_run_file_zeros(slot->file, slot->idx);
	} else if (slot->kind == SLOT_PROOF) {
		blobs_get_run_range_part_done(get_run, slot);
	} else {
		get_run->get->view.byte_done_cnt += slot->len;
		whole_take(get_run, slot);
	}
	blobs_get_run_slot_free(slot);
}

static void write_done(struct job *job)
{
	struct get_run_write *write = (struct get_run_write *)job;

	write->is_out = false;
	(void)blobs_get_run_job_done(write->get_run);
	for (unsigned i = 0; i < write->cnt; i++) {
		/* Written bytes count even when the get stops for another reason. */
		if (write->slots[i]->err && blobs_get_run_is_stopping(write->get_run))
			blobs_get_run_slot_free(write->slots[i]);
		else
			slot_written(write->slots[i]);
	}
}

static bool write_fill(struct get_run *get_run, struct get_run_write *write)
{
	struct get_run_slot *slot = get_run->requests.ready;

	for (write->cnt = 0; slot && write->cnt < GET_RUN_WRITES_MAX; slot = slot->next)
		write->slots[write->cnt++] = slot;
	return write->cnt > 0;
}

/* With those of jobs that are out, each full. */
static bool may_hold(const struct get_run *get_run)
{
	return get_run->target.has_nameless &&
	       get_run->records.placing.fd_cnt + get_run->records.sync.placing.fd_cnt +
			       GET_RUN_JOBS_MAX * GET_RUN_WRITES_MAX <=
		       get_run->records.fd_cap;
}

void blobs_get_run_writes_run(struct get_run *get_run)
{
	for (unsigned i = 0; i < GET_RUN_JOBS_MAX && get_run->requests.ready; i++) {
		struct get_run_write *write = &get_run->writes[i];
		const struct get_run_slot *last;

		if (write->is_out || !write_fill(get_run, write))
			continue;
		write->may_hold = may_hold(get_run);
		last = write->slots[write->cnt - 1]; /* the job sorts them */
		if (!blobs_get_run_submit(get_run, &write->job, write_run, write_done))
			return;
		write->is_out = true;
		get_run->requests.ready = last->next;
		if (!get_run->requests.ready)
			get_run->requests.ready_end = &get_run->requests.ready;
	}
}
