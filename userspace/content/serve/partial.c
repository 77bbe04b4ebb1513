/* SPDX-License-Identifier: Apache-2.0 */
#include "content/serve/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "content/manifest.h"

void partials_init(struct partials *partials)
{
	list_init(&partials->list);
	list_init(&partials->spare);
	partials->cnt = partials->spare_cnt = 0;
	partials->is_changed = false;
}

/* Gives back what it holds but its own memory. */
static void partial_clear(struct partial *partial)
{
	if (partial->fd >= 0)
		close(partial->fd);
	if (partial->bits != partial->bits_few)
		free(partial->bits);
}

static void partial_free(struct partial *partial)
{
	partial_clear(partial);
	free(partial);
}

static struct partial *partial_acquire(struct partials *partials)
{
	struct partial *partial;

	if (list_is_empty(&partials->spare))
		return calloc(1, sizeof(*partial));
	partial = list_entry(partials->spare.next, struct partial, node);
	list_unlink(&partial->node);
	partials->spare_cnt--;
	memset(partial, 0, sizeof(*partial));
	return partial;
}

static void partial_end(struct partials *partials, struct partial *partial)
{
	if (partials->spare_cnt == PARTIALS_SPARE) {
		partial_free(partial);
		return;
	}
	partial_clear(partial);
	list_push_back(&partials->spare, &partial->node);
	partials->spare_cnt++;
}

void partials_fini(struct partials *partials)
{
	while (!list_is_empty(&partials->list))
		partials_drop(partials, list_entry(partials->list.next, struct partial, node));
	while (!list_is_empty(&partials->spare)) {
		struct partial *partial = list_entry(partials->spare.next, struct partial, node);

		list_unlink(&partial->node);
		free(partial);
	}
	partials->spare_cnt = 0;
}

static size_t bits_len(uint64_t chunk_cnt)
{
	return (size_t)(chunk_cnt + 7) / 8;
}

struct partial *partials_add(struct partials *partials, const uint8_t content_id[static 32],
			     uint64_t size, int fd, const uint8_t *hashes)
{
	struct partial *partial;

	if (partials->cnt == PARTIALS_MAX)
		return NULL;
	partial = partial_acquire(partials);
	if (!partial)
		return NULL;
	partial->size = size;
	partial->chunk_cnt = manifest_chunk_cnt(size);
	partial->hashes = hashes;
	partial->bits = bits_len(partial->chunk_cnt) <= sizeof(partial->bits_few)
				? partial->bits_few
				: calloc(1, bits_len(partial->chunk_cnt));
	partial->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!partial->bits || partial->fd < 0) {
		partial_free(partial);
		return NULL;
	}
	memcpy(partial->content_id, content_id, sizeof(partial->content_id));
	memset(partial->manifest_id, 0, sizeof(partial->manifest_id));
	list_push_back(&partials->list, &partial->node);
	partials->cnt++;
	return partial;
}

void partial_set_manifest(struct partial *partial, const uint8_t manifest_id[static 32])
{
	memcpy(partial->manifest_id, manifest_id, sizeof(partial->manifest_id));
}

bool partial_has(const struct partial *partial, uint64_t chunk)
{
	return chunk < partial->chunk_cnt && partial->bits[chunk / 8] & 1u << chunk % 8;
}

void partial_note(struct partials *partials, struct partial *partial, uint64_t chunk)
{
	weft_assert(chunk < partial->chunk_cnt);
	if (partial_has(partial, chunk))
		return;
	partial->bits[chunk / 8] |= (uint8_t)(1u << chunk % 8);
	partial->have_cnt++;
	partials->is_changed = true;
}

void partials_drop(struct partials *partials, struct partial *partial)
{
	if (!partial)
		return;
	weft_assert(!partial->is_dropped);
	list_unlink(&partial->node);
	partials->cnt--;
	partials->is_changed = true;
	partial->hashes = NULL;
	partial->is_dropped = true;
	if (partial->use_cnt == 0)
		partial_end(partials, partial);
}

struct partial *partials_find(const struct partials *partials, const uint8_t content_id[static 32],
			      bool (*lets)(void *arg, const uint8_t manifest_id[static 32]),
			      void *arg)
{
	struct partial *best = NULL;

	for (struct list_node *node = partials->list.next; node != &partials->list;
	     node = node->next) {
		struct partial *partial = list_entry(node, struct partial, node);

		if (memcmp(partial->content_id, content_id, sizeof(partial->content_id)) == 0 &&
		    (!best || best->have_cnt < partial->have_cnt) &&
		    lets(arg, partial->manifest_id))
			best = partial;
	}
	return best;
}

static bool lets_all(void *arg, const uint8_t manifest_id[static 32])
{
	(void)arg, (void)manifest_id;
	return true;
}

struct partial *partials_lookup(const struct partials *partials,
				const uint8_t content_id[static 32])
{
	return partials_find(partials, content_id, lets_all, NULL);
}

void partial_use(struct partial *partial)
{
	partial->use_cnt++;
}

void partial_release(struct partial *partial)
{
	weft_assert(partial->use_cnt > 0);
	if (--partial->use_cnt == 0 && partial->is_dropped)
		partial_free(partial);
}

int partials_copy(struct partials *partials, struct partials *out_copy)
{
	for (struct list_node *node = partials->list.next; node != &partials->list;
	     node = node->next) {
		const struct partial *partial = list_entry(node, struct partial, node);
		struct partial *copy = partials_add(out_copy, partial->content_id, partial->size,
						    partial->fd, NULL);

		if (!copy)
			return -ENOMEM;
		partial_set_manifest(copy, partial->manifest_id);
		memcpy(copy->bits, partial->bits, bits_len(partial->chunk_cnt));
		copy->have_cnt = partial->have_cnt;
	}
	partials->is_changed = false;
	return 0;
}

void partials_take(struct partials *partials, struct partials *from)
{
	partials_fini(partials);
	while (!list_is_empty(&from->list)) {
		struct list_node *node = from->list.next;

		list_unlink(node);
		list_push_back(&partials->list, node);
	}
	partials->cnt = from->cnt;
	from->cnt = 0;
}

int partial_read(const struct partial *partial, uint64_t off, void *dst, size_t len,
		 bool is_waiting)
{
	size_t done = 0;

	while (done < len) {
		struct iovec part = {(uint8_t *)dst + done, len - done};
		ssize_t got = preadv2(partial->fd, &part, 1, (off_t)(off + done),
				      is_waiting ? 0 : RWF_NOWAIT);

		if (got > 0)
			done += (size_t)got;
		else if (got == 0)
			return -EIO; /* cut by somebody else */
		else if (errno == EOPNOTSUPP && !is_waiting)
			return -EAGAIN;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}
