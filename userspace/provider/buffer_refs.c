/* SPDX-License-Identifier: Apache-2.0 */
#include "provider/buffer_refs.h"

#include "base/memory/heap.h"

#define COPY_LEN_MAX 4096 /* less is copied by the channel: a block that waits costs more */

bool provider_buffer_refs_init(struct buffer_refs *buffer_refs, struct heap *heap, size_t head_len,
			       void (*returned)(struct buffer_refs *buffer_refs))
{
	*buffer_refs = (struct buffer_refs){.heap = heap, .returned = returned};
	buffer_refs->head.buffer_refs = buffer_refs;
	for (unsigned i = 0; i < BUFFER_REFS_BLOCK_CNT; i++)
		buffer_refs->blocks[i].buffer_refs = buffer_refs;
	buffer_refs->head.data = heap_alloc(heap, head_len);
	return buffer_refs->head.data;
}

void provider_buffer_refs_release(struct buffer_ref *ref)
{
	heap_release(ref->buffer_refs->heap, ref->data);
	ref->data = NULL;
}

void provider_buffer_refs_fini(struct buffer_refs *buffer_refs)
{
	provider_buffer_refs_release(&buffer_refs->head);
	for (unsigned i = 0; i < BUFFER_REFS_BLOCK_CNT; i++)
		provider_buffer_refs_release(&buffer_refs->blocks[i]);
}

struct buffer_ref *provider_buffer_refs_acquire(struct buffer_refs *buffer_refs)
{
	struct buffer_ref *ref = NULL;

	for (unsigned i = 0; i < BUFFER_REFS_BLOCK_CNT && !ref; i++)
		if (!buffer_refs->blocks[i].data)
			ref = &buffer_refs->blocks[i];
	if (!ref)
		return NULL;
	ref->data = heap_alloc(buffer_refs->heap, BUFFER_REFS_BLOCK_LEN);
	buffer_refs->is_starved = !ref->data;
	return ref->data ? ref : NULL;
}

void provider_buffer_refs_pend(struct buffer_ref *ref, size_t len)
{
	struct buffer_refs *buffer_refs = ref->buffer_refs;

	ref->len = len;
	buffer_refs->pending[buffer_refs->pending_cnt++] = ref;
}

static void ref_returned(void *arg)
{
	struct buffer_ref *ref = arg;

	ref->is_lent = false;
	provider_buffer_refs_release(ref);
	ref->buffer_refs->returned(ref->buffer_refs);
}

static int ref_send(struct buffer_ref *ref, struct service_channel *channel)
{
	const struct service_piece piece = {.data = ref->data, .len = ref->len, .is_last = true};
	int err;

	if (ref->len <= COPY_LEN_MAX) {
		err = service_channel_send(channel, &piece, NULL, NULL);
		if (err == 0)
			provider_buffer_refs_release(ref);
		return err;
	}
	ref->is_lent = true;
	err = service_channel_send(channel, &piece, ref_returned, ref);
	if (err < 0)
		ref->is_lent = false;
	return err;
}

bool provider_buffer_refs_send(struct buffer_refs *buffer_refs, struct service_channel *channel)
{
	while (buffer_refs->pending_cnt) {
		/* A closed channel reports its end by ended. */
		if (ref_send(buffer_refs->pending[0], channel) < 0)
			return false;
		buffer_refs->pending[0] = buffer_refs->pending[1];
		buffer_refs->pending_cnt--;
	}
	return true;
}

bool provider_buffer_refs_has_room(const struct buffer_refs *buffer_refs)
{
	for (unsigned i = 0; i < BUFFER_REFS_BLOCK_CNT; i++)
		if (!buffer_refs->blocks[i].data)
			return true;
	return false;
}

bool provider_buffer_refs_owes(const struct buffer_refs *buffer_refs)
{
	if (buffer_refs->head.is_lent)
		return true;
	for (unsigned i = 0; i < BUFFER_REFS_BLOCK_CNT; i++)
		if (buffer_refs->blocks[i].is_lent)
			return true;
	return false;
}
