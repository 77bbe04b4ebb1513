/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_queue.h"

int worker_stream_queue_init(struct stream_queue *queue, const struct stream_queue_params *params)
{
	*queue = (struct stream_queue){.on_say = params->on_say};
	queue->last_at = &queue->waiting;
	return mailbox_init(&queue->mailbox, params->message_cnt, params->len, params->fd);
}

static void say_give_back(const struct stream_say *say)
{
	if (say->tail.data && say->tail.done)
		say->tail.done(say->tail.arg);
}

static void say_drop(const void *bytes)
{
	say_give_back(*(struct stream_say *const *)bytes);
}

void worker_stream_queue_fini(struct stream_queue *queue)
{
	struct stream_say *say;

	mailbox_fini(&queue->mailbox);
	while ((say = worker_stream_queue_take(queue)))
		say_give_back(say);
}

bool worker_stream_queue_post(struct stream_queue *queue, const struct mailbox_message *message)
{
	/* A message about a stream does not overtake its frames. */
	if (queue->waiting || !mailbox_put(&queue->mailbox, message))
		return false;
	queue->has_news = true;
	return true;
}

static bool say_put(struct stream_queue *queue, struct stream_say *say)
{
	const struct mailbox_message message = {
		.run = queue->on_say, .drop = say_drop, .bytes = &say, .len = sizeof(say)};
	bool is_put = mailbox_put(&queue->mailbox, &message);

	queue->has_news |= is_put;
	return is_put;
}

void worker_stream_queue_post_say(struct stream_queue *queue, struct stream_say *say)
{
	say->next = NULL;
	if (!queue->waiting && say_put(queue, say))
		return;
	*queue->last_at = say;
	queue->last_at = &say->next;
}

bool worker_stream_queue_flush(struct stream_queue *queue)
{
	struct stream_say *say;

	while ((say = queue->waiting)) {
		struct stream_say *next = say->next;

		/* It is the reader's at once. */
		if (!say_put(queue, say))
			break;
		queue->waiting = next;
		if (!next)
			queue->last_at = &queue->waiting;
	}
	if (queue->has_news)
		mailbox_wake(queue->mailbox.fd);
	queue->has_news = false;
	return queue->waiting != NULL;
}

struct stream_say *worker_stream_queue_take(struct stream_queue *queue)
{
	struct stream_say *say = queue->waiting;

	if (!say)
		return NULL;
	queue->waiting = say->next;
	if (!queue->waiting)
		queue->last_at = &queue->waiting;
	return say;
}
