/* SPDX-License-Identifier: Apache-2.0 */
#include "node/crew/crew_letter.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/ring.h"

struct letter *letter_new(enum letter_kind kind, size_t bytes_len)
{
	struct letter *letter = malloc(sizeof(*letter) + bytes_len);

	if (letter)
		letter->kind = kind;
	return letter;
}

void letter_free(struct letter *letter)
{
	if (letter && letter->kind == LETTER_REACH)
		content_reach_free(letter->reach);
	if (letter && letter->kind == LETTER_PARTIALS)
		content_partials_free(letter->partials);
	if (letter && letter->kind == LETTER_BANS)
		free(letter->bans);
	free(letter);
}

int mailbox_init(struct mailbox *mailbox, int fd)
{
	mailbox->letters = ring_new(LETTER_CNT_MAX);
	mailbox->fd = fd;
	mailbox->lost_cnt = 0;
	return mailbox->letters ? 0 : -ENOMEM;
}

void mailbox_fini(struct mailbox *mailbox)
{
	struct letter *letter;

	while (mailbox->letters && (letter = mailbox_take(mailbox)))
		letter_free(letter);
	ring_free(mailbox->letters);
	mailbox->letters = NULL;
}

bool mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	if (!letter || ring_push(mailbox->letters, letter) < 0) {
		mailbox->lost_cnt++;
		letter_free(letter);
		return false;
	}
	mailbox_wake(mailbox->fd);
	return true;
}

struct letter *mailbox_take(struct mailbox *mailbox)
{
	return ring_pop(mailbox->letters);
}

unsigned mailbox_fill(const struct mailbox *mailbox)
{
	return ring_fill(mailbox->letters);
}

void mailbox_wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

void mailbox_rest(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}
