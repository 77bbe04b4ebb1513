/* SPDX-License-Identifier: Apache-2.0 */
/* Shelves of equal buffers; memory is touched only when one is used. */
#include "request_buffers.h"

#include "base/memory/arena.h"
#include "base/assert.h"
#include "mesh_frame.h"
#include "mesh/message_types.h"

#define ARENA_ALIGN 64

static size_t shelf_buffer_len(enum mesh_buffer_size size)
{
	static const enum mesh_class classes[MESH_BUFFER_SIZE_CNT] = {
		[MESH_BUFFER_SMALL] = MESH_CLASS_DGRAM,
		[MESH_BUFFER_MEDIUM] = MESH_CLASS_VALUE,
		[MESH_BUFFER_LARGE] = MESH_CLASS_ENVELOPE,
		[MESH_BUFFER_OWN] = MESH_CLASS_VALUE,
	};
	size_t len = mesh_class_payload_max(classes[size]) + MESH_FRAME_HEAD_LEN_MAX;

	return (len + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

int mesh_buffers_init(struct mesh_buffers *buffers, struct arena *arena,
		      const uint32_t cnts[static MESH_BUFFER_SIZE_CNT])
{
	for (unsigned i = 0; i < MESH_BUFFER_SIZE_CNT; i++) {
		struct mesh_buffer_shelf *shelf = &buffers->shelves[i];

		shelf->buffer_len = shelf_buffer_len(i);
		shelf->bytes = arena_alloc(arena, cnts[i] * shelf->buffer_len);
		shelf->free = arena_alloc(arena, cnts[i] * sizeof(*shelf->free));
		if (!shelf->bytes || !shelf->free)
			return WEFT_EFULL;
		for (uint32_t k = 0; k < cnts[i]; k++)
			shelf->free[k] = cnts[i] - 1 - k;
		shelf->free_cnt = cnts[i];
		shelf->cap_cnt = cnts[i];
	}
	return 0;
}

enum mesh_buffer_size mesh_buffers_size(const struct mesh_buffers *buffers, size_t len)
{
	for (unsigned i = MESH_BUFFER_SMALL; i <= MESH_BUFFER_LARGE; i++)
		if (buffers->shelves[i].buffer_len >= len)
			return i;
	return MESH_BUFFER_SIZE_CNT;
}

static uint8_t *shelf_acquire(struct mesh_buffers *buffers, enum mesh_buffer_size size)
{
	struct mesh_buffer_shelf *shelf = &buffers->shelves[size];

	if (size == MESH_BUFFER_SIZE_CNT || !shelf->free_cnt)
		return NULL;
	return shelf->bytes + shelf->free[--shelf->free_cnt] * shelf->buffer_len;
}

uint8_t *mesh_buffers_acquire(struct mesh_buffers *buffers, size_t len)
{
	return shelf_acquire(buffers, mesh_buffers_size(buffers, len));
}

uint8_t *mesh_buffers_acquire_own(struct mesh_buffers *buffers, size_t len)
{
	enum mesh_buffer_size size = mesh_buffers_size(buffers, len);

	return shelf_acquire(buffers, size == MESH_BUFFER_MEDIUM ? MESH_BUFFER_OWN : size);
}

void mesh_buffers_release(struct mesh_buffers *buffers, uint8_t *bytes)
{
	struct mesh_buffer_shelf *shelf = buffers->shelves;

	if (!bytes)
		return;
	while (bytes < shelf->bytes || bytes >= shelf->bytes + shelf->cap_cnt * shelf->buffer_len)
		shelf++;
	weft_assert(shelf->free_cnt < shelf->cap_cnt);
	shelf->free[shelf->free_cnt++] =
		(uint32_t)((size_t)(bytes - shelf->bytes) / shelf->buffer_len);
}
