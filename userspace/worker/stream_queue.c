/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "base/ring.h"
#include "worker_message.h"

#define RING_CNT 4096

struct stream_message *worker_stream_message_new(enum stream_message_kind kind, pool_handle stream,
						 size_t bytes_len)
{
	struct stream_message *message = malloc(sizeof(*message) + bytes_len);

	if (message) {
		message->kind = kind;
		message->stream = stream;
		message->next = NULL;
	}
	return message;
}

int worker_stream_queue_init(struct stream_queue *queue, int fd)
{
	*queue = (struct stream_queue){.ring = ring_new(RING_CNT), .fd = fd};
	queue->last_at = &queue->first;
	return queue->ring ? 0 : -ENOMEM;
}

void worker_stream_queue_fini(struct stream_queue *queue)
{
	struct stream_message *message;

	if (!queue->ring)
		return;
	while ((message = worker_stream_queue_drain(queue)))
		free(message);
	ring_free(queue->ring);
	queue->ring = NULL;
}

void worker_stream_queue_post(struct stream_queue *queue, struct stream_message *message)
{
	queue->has_news = true;
	if (!queue->first && ring_push(queue->ring, message) == 0)
		return;
	message->next = NULL;
	*queue->last_at = message;
	queue->last_at = &message->next;
}

bool worker_stream_queue_flush(struct stream_queue *queue)
{
	struct stream_message *message;

	while ((message = queue->first)) {
		struct stream_message *next = message->next;

		/* It is the reader's at once. */
		if (ring_push(queue->ring, message) < 0)
			break;
		queue->first = next;
		if (!next)
			queue->last_at = &queue->first;
	}
	if (queue->has_news)
		worker_mailbox_wake(queue->fd);
	queue->has_news = queue->first != NULL;
	return queue->first != NULL;
}

struct stream_message *worker_stream_queue_take(struct stream_queue *queue)
{
	return ring_pop(queue->ring);
}

struct stream_message *worker_stream_queue_drain(struct stream_queue *queue)
{
	struct stream_message *message = worker_stream_queue_take(queue);

	if (message || !queue->first)
		return message;
	message = queue->first;
	queue->first = message->next;
	return message;
}
