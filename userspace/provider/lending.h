/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_LENDING_H
#define WEFT_PROVIDER_LENDING_H

#include "service/service.h"

struct heap;
struct lending;

/*
 * Private to provider/: blocks of a bounded heap whose bytes are on their way to a
 * caller. A block is filled, waits its turn (pending), is lent to the channel,
 * and comes back when its bytes were acknowledged. So what is under way is at
 * most so many blocks, and who fills them waits for one.
 */
#define LENDING_BLOCK_LEN 65536 /* what a heap gives without loss; 16 of them are 1 MiB under way */
#define LENDING_BLOCK_CNT 16

struct loan {
	struct lending *lending;
	uint8_t *data; /* of the heap; NULL: none was acquired */
	size_t len;
	bool is_lent;
};

/* Callers may read head, pending_cnt and is_starved. */
struct lending {
	struct heap *heap;
	/* A block came back; maybe while the channel is being called. */
	void (*returned)(struct lending *lending);
	struct loan head; /* one more, for what goes before all others */
	struct loan blocks[LENDING_BLOCK_CNT];
	struct loan *pending[2]; /* in order: head, and a block behind it */
	unsigned pending_cnt;
	bool is_starved; /* the last acquire met a full heap, not the limit */
};

/* lending_init: false: the heap has no head_len bytes for head. */
bool lending_init(struct lending *lending, struct heap *heap, size_t head_len,
		  void (*returned)(struct lending *lending));
/* lending_fini gives back all memory; nothing is lent any more. */
void lending_fini(struct lending *lending);
/* lending_acquire: a block of LENDING_BLOCK_LEN bytes, or NULL. */
struct loan *lending_acquire(struct lending *lending);
void lending_release(struct loan *loan);
/* lending_pend: len bytes of loan are to be sent. At most one block pends. */
void lending_pend(struct loan *loan, size_t len);
/* lending_send hands what pends to channel, each as a message; true: nothing pends any more. */
bool lending_send(struct lending *lending, struct service_channel *channel);
/* lending_has_room: a block is to be had, as far as the limit goes. */
bool lending_has_room(const struct lending *lending);
/* lending_owes: something is lent. */
bool lending_owes(const struct lending *lending);

#endif
