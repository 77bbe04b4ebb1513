/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_THREAD_MAILBOX_H
#define WEFT_BASE_THREAD_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory/arena.h"
#include "weft/err.h"

/*
 * One way between two threads, bounded: the writer posts a function and its
 * bytes, and the reader runs them in that order. The bytes are copied into the
 * mailbox's own memory, so posting allocates nothing. An empty mailbox begins
 * at the start of its memory again, and pages that were never full are never touched.
 */
struct ring;

/* Context: the reader's thread. */
typedef void (*mailbox_fn)(void *object, const void *bytes, size_t len);

struct mailbox_message {
	unsigned
		to; /* of the objects that the reader gives to mailbox_run, the one that run gets */
	mailbox_fn run;
	/* Frees what the bytes own when run never gets them; NULL: they own nothing. */
	void (*drop)(const void *bytes);
	const void *bytes;
	size_t len;
	const void *tail; /* follows the bytes: run gets both as one */
	size_t tail_len;
};

struct mailbox {
	struct ring *records;
	int fd;		   /* an eventfd that may be many mailboxes': wakes the reader */
	uint64_t lost_cnt; /* the writer's, as all below */
	struct arena memory;
	/* Records that the reader may still need: [begin, end), or [begin, wrap) and [0, end). */
	size_t begin, end, wrap;
	uint32_t cnt;
};

/*
 * mailbox_init makes room for message_cnt messages (power of two) and len bytes, and borrows fd.
 * 0 or -errno. mailbox_fini drops what was not read; it takes a zeroed one.
 */
WEFT_MUST_CHECK
int mailbox_init(struct mailbox *mailbox, uint32_t message_cnt, size_t len, int fd);
void mailbox_fini(struct mailbox *mailbox);
/*
 * mailbox_post takes what the bytes own in any case. False: the mailbox is full;
 * counted in lost_cnt, and dropped. Context: the writer's thread.
 */
bool mailbox_post(struct mailbox *mailbox, const struct mailbox_message *message);
/* mailbox_put: as mailbox_post, but wakes no reader, and false takes and counts nothing. */
bool mailbox_put(struct mailbox *mailbox, const struct mailbox_message *message);
/*
 * mailbox_post_object posts a pointer to object, which run has to take or drop to free.
 * NULL, no memory for one, counts as lost. As mailbox_post.
 */
bool mailbox_post_object(struct mailbox *mailbox, mailbox_fn run, void (*drop)(const void *bytes),
			 void *object);
/* mailbox_run runs the oldest message; false: there is none. Context: the reader's thread. */
bool mailbox_run(struct mailbox *mailbox, void *const *objects);
/* mailbox_fill: about how many wait. Any thread. */
unsigned mailbox_fill(const struct mailbox *mailbox);
/* mailbox_wake makes the reader's fd readable, and mailbox_rest ends that. */
void mailbox_wake(int fd);
void mailbox_rest(int fd);

#endif
