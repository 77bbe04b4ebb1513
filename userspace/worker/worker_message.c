/* SPDX-License-Identifier: Apache-2.0 */
#include "worker_message.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ring.h"

struct worker_message *worker_message_new(enum worker_message_kind kind, size_t bytes_len)
{
	struct worker_message *message = malloc(sizeof(*message) + bytes_len);

	if (message)
		message->kind = kind;
	return message;
}

void worker_message_free(struct worker_message *message)
{
	if (message && message->kind == WORKER_MESSAGE_SERVED_INDEX)
		blobs_served_free(message->served_index);
	if (message && message->kind == WORKER_MESSAGE_IN_PROGRESS)
		blobs_in_progress_free(message->in_progress);
	if (message && message->kind == WORKER_MESSAGE_BANS)
		free(message->bans);
	free(message);
}

int worker_mailbox_init(struct mailbox *mailbox, int fd)
{
	mailbox->messages = ring_new(WORKER_MESSAGE_CNT_MAX);
	mailbox->fd = fd;
	mailbox->lost_cnt = 0;
	return mailbox->messages ? 0 : -ENOMEM;
}

void worker_mailbox_fini(struct mailbox *mailbox)
{
	struct worker_message *message;

	while (mailbox->messages && (message = worker_mailbox_take(mailbox)))
		worker_message_free(message);
	ring_free(mailbox->messages);
	mailbox->messages = NULL;
}

bool worker_mailbox_post(struct mailbox *mailbox, struct worker_message *message)
{
	if (!message || ring_push(mailbox->messages, message) < 0) {
		mailbox->lost_cnt++;
		worker_message_free(message);
		return false;
	}
	worker_mailbox_wake(mailbox->fd);
	return true;
}

struct worker_message *worker_mailbox_take(struct mailbox *mailbox)
{
	return ring_pop(mailbox->messages);
}

unsigned worker_mailbox_fill(const struct mailbox *mailbox)
{
	return ring_fill(mailbox->messages);
}

void worker_mailbox_wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

void worker_mailbox_rest(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}
