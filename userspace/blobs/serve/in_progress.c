/* SPDX-License-Identifier: Apache-2.0 */
#include "in_progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "blobs/manifest/manifest.h"

void blobs_in_progress_init(struct in_progress *in_progress)
{
	list_init(&in_progress->list);
	list_init(&in_progress->spare);
	in_progress->cnt = in_progress->spare_cnt = 0;
	in_progress->is_changed = false;
}

/* Gives back what it holds but its own memory. */
static void in_progress_file_clear(struct in_progress_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->bits != file->bits_few)
		free(file->bits);
}

static void in_progress_file_free(struct in_progress_file *file)
{
	in_progress_file_clear(file);
	free(file);
}

static struct in_progress_file *in_progress_file_acquire(struct in_progress *in_progress)
{
	struct in_progress_file *file;

	if (list_is_empty(&in_progress->spare))
		return calloc(1, sizeof(*file));
	file = container_of(in_progress->spare.next, struct in_progress_file, node);
	list_unlink(&file->node);
	in_progress->spare_cnt--;
	memset(file, 0, sizeof(*file));
	return file;
}

static void in_progress_file_end(struct in_progress *in_progress, struct in_progress_file *file)
{
	if (in_progress->spare_cnt == IN_PROGRESS_SPARE) {
		in_progress_file_free(file);
		return;
	}
	in_progress_file_clear(file);
	list_push_back(&in_progress->spare, &file->node);
	in_progress->spare_cnt++;
}

void blobs_in_progress_fini(struct in_progress *in_progress)
{
	while (!list_is_empty(&in_progress->list))
		blobs_in_progress_drop(in_progress, container_of(in_progress->list.next,
								 struct in_progress_file, node));
	while (!list_is_empty(&in_progress->spare)) {
		struct in_progress_file *file =
			container_of(in_progress->spare.next, struct in_progress_file, node);

		list_unlink(&file->node);
		free(file);
	}
	in_progress->spare_cnt = 0;
}

static size_t bits_len(uint64_t chunk_cnt)
{
	return (size_t)(chunk_cnt + 7) / 8;
}

struct in_progress_file *blobs_in_progress_add(struct in_progress *in_progress,
					       const uint8_t content_id[static 32], uint64_t size,
					       int fd, const uint8_t *hashes)
{
	struct in_progress_file *file;

	if (in_progress->cnt == IN_PROGRESS_MAX)
		return NULL;
	file = in_progress_file_acquire(in_progress);
	if (!file)
		return NULL;
	file->size = size;
	file->chunk_cnt = blobs_manifest_chunk_cnt(size);
	file->hashes = hashes;
	file->bits = bits_len(file->chunk_cnt) <= sizeof(file->bits_few)
			     ? file->bits_few
			     : calloc(1, bits_len(file->chunk_cnt));
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!file->bits || file->fd < 0) {
		in_progress_file_free(file);
		return NULL;
	}
	memcpy(file->content_id, content_id, sizeof(file->content_id));
	memset(file->manifest_id, 0, sizeof(file->manifest_id));
	list_push_back(&in_progress->list, &file->node);
	in_progress->cnt++;
	return file;
}

void blobs_in_progress_file_set_manifest(struct in_progress_file *file,
					 const uint8_t manifest_id[static 32])
{
	memcpy(file->manifest_id, manifest_id, sizeof(file->manifest_id));
}

bool blobs_in_progress_file_has(const struct in_progress_file *file, uint64_t chunk)
{
	return chunk < file->chunk_cnt && file->bits[chunk / 8] & 1u << chunk % 8;
}

void blobs_in_progress_file_note(struct in_progress *in_progress, struct in_progress_file *file,
				 uint64_t chunk)
{
	weft_assert(chunk < file->chunk_cnt);
	if (blobs_in_progress_file_has(file, chunk))
		return;
	file->bits[chunk / 8] |= (uint8_t)(1u << chunk % 8);
	file->have_cnt++;
	in_progress->is_changed = true;
}

void blobs_in_progress_drop(struct in_progress *in_progress, struct in_progress_file *file)
{
	if (!file)
		return;
	weft_assert(!file->is_dropped);
	list_unlink(&file->node);
	in_progress->cnt--;
	in_progress->is_changed = true;
	file->hashes = NULL;
	file->is_dropped = true;
	if (file->use_cnt == 0)
		in_progress_file_end(in_progress, file);
}

struct in_progress_file *
blobs_in_progress_find(const struct in_progress *in_progress, const uint8_t content_id[static 32],
		       bool (*lets)(void *arg, const uint8_t manifest_id[static 32]), void *arg)
{
	struct in_progress_file *best = NULL;

	for (struct list_node *node = in_progress->list.next; node != &in_progress->list;
	     node = node->next) {
		struct in_progress_file *file = container_of(node, struct in_progress_file, node);

		if (memcmp(file->content_id, content_id, sizeof(file->content_id)) == 0 &&
		    (!best || best->have_cnt < file->have_cnt) && lets(arg, file->manifest_id))
			best = file;
	}
	return best;
}

void blobs_in_progress_file_use(struct in_progress_file *file)
{
	file->use_cnt++;
}

void blobs_in_progress_file_release(struct in_progress_file *file)
{
	weft_assert(file->use_cnt > 0);
	if (--file->use_cnt == 0 && file->is_dropped)
		in_progress_file_free(file);
}

int blobs_in_progress_copy_list(struct in_progress *in_progress, struct in_progress *out_copy)
{
	for (struct list_node *node = in_progress->list.next; node != &in_progress->list;
	     node = node->next) {
		const struct in_progress_file *file =
			container_of(node, struct in_progress_file, node);
		struct in_progress_file *copy = blobs_in_progress_add(out_copy, file->content_id,
								      file->size, file->fd, NULL);

		if (!copy)
			return -ENOMEM;
		blobs_in_progress_file_set_manifest(copy, file->manifest_id);
		memcpy(copy->bits, file->bits, bits_len(file->chunk_cnt));
		copy->have_cnt = file->have_cnt;
	}
	in_progress->is_changed = false;
	return 0;
}

void blobs_in_progress_take(struct in_progress *in_progress, struct in_progress *from)
{
	blobs_in_progress_fini(in_progress);
	while (!list_is_empty(&from->list)) {
		struct list_node *node = from->list.next;

		list_unlink(node);
		list_push_back(&in_progress->list, node);
	}
	in_progress->cnt = from->cnt;
	from->cnt = 0;
}

int blobs_in_progress_file_read(const struct in_progress_file *file, uint64_t off, void *dst,
				size_t len, bool is_waiting)
{
	size_t done = 0;

	while (done < len) {
		struct iovec part = {(uint8_t *)dst + done, len - done};
		ssize_t got = preadv2(file->fd, &part, 1, (off_t)(off + done),
				      is_waiting ? 0 : RWF_NOWAIT);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return -EIO; /* truncated by another process */
		else if (errno == EOPNOTSUPP && !is_waiting)
			return -EAGAIN;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}
