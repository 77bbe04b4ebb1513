/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/queue.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory/heap.h"

#define BLOCK_LEN 16384

struct queue_block {
	struct queue_block *next;
	uint32_t begin, end;
	uint8_t data[BLOCK_LEN - 2 * sizeof(void *)];
};

/* block_chain acquires as many empty blocks as hold len bytes; NULL: the heap is full. */
static struct queue_block *block_chain(struct heap *heap, size_t len, struct queue_block **out_last)
{
	struct queue_block *first = NULL, *last = NULL;

	for (size_t room = 0; room < len; room += sizeof(first->data)) {
		struct queue_block *block = heap_alloc(heap, sizeof(*block));

		if (!block)
			goto release_chain;
		block->next = first;
		block->begin = block->end = 0;
		if (!first)
			last = block;
		first = block;
	}
	*out_last = last;
	return first;
release_chain:
	while (first) {
		struct queue_block *next = first->next;

		heap_release(heap, first);
		first = next;
	}
	return NULL;
}

static size_t block_fill(struct queue_block *block, const uint8_t *data, size_t len)
{
	size_t room = sizeof(block->data) - block->end;
	size_t taken = len < room ? len : room;

	memcpy(block->data + block->end, data, taken);
	block->end += (uint32_t)taken;
	return taken;
}

int provider_queue_push(struct queue *queue, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t left = len, room = queue->last ? sizeof(queue->last->data) - queue->last->end : 0;
	struct queue_block *chain = NULL, *chain_last = NULL, *block = queue->last;

	if (left > room && !(chain = block_chain(queue->heap, left - room, &chain_last)))
		return WEFT_EFULL;
	if (chain && block)
		block->next = chain;
	else if (chain)
		queue->first = block = chain;
	if (chain)
		queue->last = chain_last;
	for (; left; block = block->next) {
		size_t taken = block_fill(block, at, left);

		at += taken;
		left -= taken;
	}
	queue->len += len;
	return 0;
}

void provider_queue_append(struct queue *queue, struct queue *from)
{
	if (!from->first)
		return;
	if (queue->last)
		queue->last->next = from->first;
	else
		queue->first = from->first;
	queue->last = from->last;
	queue->len += from->len;
	from->first = from->last = NULL;
	from->len = 0;
}

static void queue_drop(struct queue *queue, size_t len)
{
	struct queue_block *block = queue->first;

	queue->len -= len;
	block->begin += (uint32_t)len;
	if (block->begin < block->end)
		return;
	queue->first = block->next;
	if (!queue->first)
		queue->last = NULL;
	heap_release(queue->heap, block);
}

int64_t provider_queue_flush(struct queue *queue, int fd)
{
	int64_t sent = 0;

	while (queue->len) {
		const struct queue_block *block = queue->first;
		ssize_t n = send(fd, block->data + block->begin, block->end - block->begin,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? sent : -errno;
		queue_drop(queue, (size_t)n);
		sent += n;
	}
	return sent;
}

void provider_queue_clear(struct queue *queue)
{
	while (queue->len)
		queue_drop(queue, queue->first->end - queue->first->begin);
}
