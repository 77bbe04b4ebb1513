/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk_buffers.h"

#include <string.h>

#include "base/assert.h"

_Static_assert(sizeof(struct chunk_name) == 40, "a name is a key without holes");

static int lay_out(struct chunk_buffers *buffers, uint32_t cnt)
{

	/* Names are of content shared here, and few: an attacker gains nothing by choosing them. */
	static const uint64_t secret[2] = {0};

	buffers->bytes = arena_alloc(&buffers->arena, cnt * buffers->buffer_len);
	buffers->buffers = arena_alloc(&buffers->arena, cnt * sizeof(buffers->buffers[0]));
	if (!buffers->bytes || !buffers->buffers)
		return WEFT_EFULL;
	return map_init(&buffers->by_name, &buffers->arena, sizeof(struct chunk_name), cnt, secret);
}

int blobs_chunk_buffers_init(struct chunk_buffers *buffers, uint32_t cnt, size_t buffer_len)
{
	int err = arena_open(&buffers->arena, ARENA_GROWS);

	if (err)
		return err;
	buffers->buffer_len = buffer_len;
	err = lay_out(buffers, cnt);
	arena_fit(&buffers->arena);
	if (err) {
		blobs_chunk_buffers_fini(buffers);
		return err;
	}
	list_init(&buffers->unused);
	buffers->cap_cnt = buffers->free_cnt = cnt;
	for (uint32_t i = cnt; i-- > 0;) {
		struct chunk_buffer *buffer = &buffers->buffers[i];

		memset(buffer, 0, sizeof(*buffer));
		buffer->bytes = buffers->bytes + i * buffer_len;
		list_init(&buffer->node);
		list_init(&buffer->waiting);
		list_init(&buffer->users);
		list_push_back(&buffers->unused, &buffer->node);
	}
	return 0;
}

void blobs_chunk_buffers_fini(struct chunk_buffers *buffers)
{
	arena_close(&buffers->arena);
}

uint8_t *blobs_chunk_buffers_acquire(struct chunk_buffers *buffers)
{
	struct chunk_buffer *buffer;

	if (list_is_empty(&buffers->unused))
		return NULL;
	buffer = container_of(buffers->unused.prev, struct chunk_buffer, node);
	list_unlink(&buffer->node);
	if (buffer->is_named)
		blobs_chunk_buffers_unname(buffers, buffer);
	buffers->free_cnt--;
	buffer->use_cnt = 1;
	return buffer->bytes;
}

struct chunk_buffer *blobs_chunk_buffers_at(struct chunk_buffers *buffers, const uint8_t *bytes)
{
	size_t off = (size_t)(bytes - buffers->bytes);

	weft_assert(off % buffers->buffer_len == 0);
	weft_assert(off / buffers->buffer_len < buffers->cap_cnt);
	return &buffers->buffers[off / buffers->buffer_len];
}

static void buffer_free(struct chunk_buffers *buffers, struct chunk_buffer *buffer)
{
	weft_assert(list_is_empty(&buffer->waiting));
	if (buffer->is_named && !buffer->is_filled)
		blobs_chunk_buffers_unname(buffers, buffer);
	list_push_back(&buffers->unused, &buffer->node);
	buffers->free_cnt++;
}

void blobs_chunk_buffers_release(struct chunk_buffers *buffers, uint8_t *bytes)
{
	struct chunk_buffer *buffer = blobs_chunk_buffers_at(buffers, bytes);

	weft_assert(buffer->use_cnt > 0);
	if (--buffer->use_cnt == 0)
		buffer_free(buffers, buffer);
	if (buffers->released)
		buffers->released(buffers->released_arg);
}

const struct chunk_buffer *blobs_chunk_buffers_peek(const struct chunk_buffers *buffers,
						    const struct chunk_name *name)
{
	return map_lookup(&buffers->by_name, name);
}

struct chunk_buffer *blobs_chunk_buffers_find(struct chunk_buffers *buffers,
					      const struct chunk_name *name)
{
	struct chunk_buffer *buffer = map_lookup(&buffers->by_name, name);

	if (!buffer)
		return NULL;
	if (buffer->use_cnt++ == 0) {
		list_unlink(&buffer->node);
		buffers->free_cnt--;
	}
	return buffer;
}

void blobs_chunk_buffers_name(struct chunk_buffers *buffers, struct chunk_buffer *buffer,
			      const struct chunk_name *name)
{
	weft_assert(!buffer->is_named);
	buffer->name = *name;
	/* The map has room for a name of each. */
	buffer->is_named = map_put(&buffers->by_name, name, buffer) == 0;
	buffer->is_filled = false;
}

void blobs_chunk_buffers_unname(struct chunk_buffers *buffers, struct chunk_buffer *buffer)
{
	weft_assert(buffer->is_named);
	(void)map_delete(&buffers->by_name, &buffer->name);
	buffer->is_named = buffer->is_filled = false;
}
