/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread/mailbox.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/thread/ring.h"

struct mailbox_record {
	mailbox_fn run;
	void (*drop)(const void *bytes);
	size_t len;
	unsigned to;
	_Alignas(16) uint8_t bytes[];
};

static size_t record_len(size_t bytes_len)
{
	return sizeof(struct mailbox_record) + ((bytes_len + 15) & ~(size_t)15);
}

int mailbox_init(struct mailbox *mailbox, uint32_t message_cnt, size_t len, int fd)
{
	int err;

	*mailbox = (struct mailbox){.fd = fd, .wrap = len};
	err = arena_open(&mailbox->memory, len);
	if (err < 0)
		return err;
	mailbox->records = ring_new(message_cnt);
	return mailbox->records ? 0 : -ENOMEM;
}

void mailbox_fini(struct mailbox *mailbox)
{
	struct mailbox_record *record;

	while (mailbox->records && (record = ring_pop(mailbox->records)))
		if (record->drop)
			record->drop(record->bytes);
	ring_free(mailbox->records);
	mailbox->records = NULL;
	arena_close(&mailbox->memory);
}

/* Gives the room of records that were read back. They were read in the order of their posting. */
static void mailbox_settle(struct mailbox *mailbox)
{
	uint32_t waiting_cnt = ring_fill(mailbox->records);

	while (mailbox->cnt > waiting_cnt) {
		const struct mailbox_record *record =
			(const void *)(mailbox->memory.start + mailbox->begin);

		mailbox->begin += record_len(record->len);
		if (mailbox->begin == mailbox->wrap) {
			mailbox->begin = 0;
			mailbox->wrap = mailbox->memory.cap;
		}
		mailbox->cnt--;
	}
	if (mailbox->cnt)
		return;
	mailbox->begin = mailbox->end = 0;
	mailbox->wrap = mailbox->memory.cap;
}

/* Room for a record in one piece, at *out_at. */
static bool mailbox_find_room(const struct mailbox *mailbox, size_t len, size_t *out_at)
{
	bool is_wrapped = mailbox->cnt && mailbox->end <= mailbox->begin;

	if ((is_wrapped ? mailbox->begin : mailbox->memory.cap) - mailbox->end >= len)
		*out_at = mailbox->end;
	else if (!is_wrapped && mailbox->begin >= len)
		*out_at = 0;
	else
		return false;
	return true;
}

bool mailbox_put(struct mailbox *mailbox, const struct mailbox_message *message)
{
	size_t len = message->len + message->tail_len, at;
	struct mailbox_record *record;

	mailbox_settle(mailbox);
	if (!mailbox_find_room(mailbox, record_len(len), &at))
		return false;
	record = (void *)(mailbox->memory.start + at);
	record->to = message->to;
	record->run = message->run;
	record->drop = message->drop;
	record->len = len;
	if (message->len)
		memcpy(record->bytes, message->bytes, message->len);
	if (message->tail_len)
		memcpy(record->bytes + message->len, message->tail, message->tail_len);
	if (ring_push(mailbox->records, record) < 0)
		return false;
	if (at != mailbox->end)
		mailbox->wrap = mailbox->end;
	mailbox->end = at + record_len(len);
	mailbox->cnt++;
	return true;
}

bool mailbox_post(struct mailbox *mailbox, const struct mailbox_message *message)
{
	if (!mailbox_put(mailbox, message)) {
		mailbox->lost_cnt++;
		if (message->drop)
			message->drop(message->bytes);
		return false;
	}
	mailbox_wake(mailbox->fd);
	return true;
}

bool mailbox_post_object(struct mailbox *mailbox, mailbox_fn run, void (*drop)(const void *bytes),
			 void *object)
{
	const struct mailbox_message message = {
		.run = run, .drop = drop, .bytes = &object, .len = sizeof(object)};

	if (object)
		return mailbox_post(mailbox, &message);
	mailbox->lost_cnt++;
	return false;
}

bool mailbox_run(struct mailbox *mailbox, void *const *objects)
{
	const struct mailbox_record *record = ring_peek(mailbox->records);

	if (!record)
		return false;
	record->run(objects[record->to], record->bytes, record->len);
	/* Only now the writer may use its room again. */
	(void)ring_pop(mailbox->records);
	return true;
}

unsigned mailbox_fill(const struct mailbox *mailbox)
{
	return ring_fill(mailbox->records);
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
