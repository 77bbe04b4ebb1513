/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_BUFFER_REFS_H
#define WEFT_PROVIDER_BUFFER_REFS_H

#include "service/service.h"

struct heap;
struct buffer_refs;

/*
 * Private to provider/: blocks of a bounded heap whose bytes are on their way to a caller. A block
 * is filled, waits its turn (pending), is lent to the channel, and comes back when its bytes were
 * acknowledged. So the number of blocks bounds the bytes under way, and a reader without a free
 * block waits for one.
 */
#define BUFFER_REFS_BLOCK_LEN                                                                      \
	65536 /* a block size that wastes nothing of a heap; 16 of them are 1 MiB under way */
#define BUFFER_REFS_BLOCK_CNT 16

struct buffer_ref {
	struct buffer_refs *buffer_refs;
	uint8_t *data; /* of the heap; NULL: none was acquired */
	size_t len;
	bool is_lent;
};

/* Callers may read head, pending_cnt and is_starved. */
struct buffer_refs {
	struct heap *heap;
	/* A block came back; maybe while the channel is being called. */
	void (*returned)(struct buffer_refs *buffer_refs);
	struct buffer_ref head; /* one more, for a message that goes before all others */
	struct buffer_ref blocks[BUFFER_REFS_BLOCK_CNT];
	struct buffer_ref *pending[2]; /* in order: head, and a block behind it */
	unsigned pending_cnt;
	bool is_starved; /* the last acquire met a full heap, not the limit */
};

/* provider_buffer_refs_init: false: the heap has no head_len bytes for head. */
bool provider_buffer_refs_init(struct buffer_refs *buffer_refs, struct heap *heap, size_t head_len,
			       void (*returned)(struct buffer_refs *buffer_refs));
/* provider_buffer_refs_fini gives back all memory; nothing is lent any more. */
void provider_buffer_refs_fini(struct buffer_refs *buffer_refs);
/* provider_buffer_refs_acquire: a block of BUFFER_REFS_BLOCK_LEN bytes, or NULL. */
struct buffer_ref *provider_buffer_refs_acquire(struct buffer_refs *buffer_refs);
void provider_buffer_refs_release(struct buffer_ref *ref);
/*
 * provider_buffer_refs_pend: len bytes of buffer reference are to be sent. At most one block pends.
 */
void provider_buffer_refs_pend(struct buffer_ref *ref, size_t len);
/*
 * provider_buffer_refs_send hands the pending blocks to channel, each as a message; true: none is
 * left.
 */
bool provider_buffer_refs_send(struct buffer_refs *buffer_refs, struct service_channel *channel);
/* provider_buffer_refs_has_room: a block is to be had, as far as the limit goes. */
bool provider_buffer_refs_has_room(const struct buffer_refs *buffer_refs);
/* provider_buffer_refs_owes: something is lent. */
bool provider_buffer_refs_owes(const struct buffer_refs *buffer_refs);

#endif
