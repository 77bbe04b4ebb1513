/* SPDX-License-Identifier: Apache-2.0 */
#include "content/serve/buffers.h"

#include "base/assert.h"

int chunk_buffers_init(struct chunk_buffers *buffers, uint32_t cnt)
{
	size_t bytes_len = (size_t)cnt * CHUNK_BUFFER_LEN;
	int err = arena_open(&buffers->arena, bytes_len + cnt * sizeof(uint32_t) + 128);

	if (err)
		return err;
	buffers->bytes = arena_alloc(&buffers->arena, bytes_len);
	buffers->free = arena_alloc(&buffers->arena, cnt * sizeof(uint32_t));
	if (!buffers->bytes || !buffers->free) {
		chunk_buffers_fini(buffers);
		return WEFT_EFULL;
	}
	buffers->cap_cnt = cnt;
	for (buffers->free_cnt = 0; buffers->free_cnt < cnt; buffers->free_cnt++)
		buffers->free[buffers->free_cnt] = cnt - 1 - buffers->free_cnt;
	return 0;
}

void chunk_buffers_fini(struct chunk_buffers *buffers)
{
	arena_close(&buffers->arena);
}

uint8_t *chunk_buffers_acquire(struct chunk_buffers *buffers)
{
	if (buffers->free_cnt == 0)
		return NULL;
	return buffers->bytes + (size_t)buffers->free[--buffers->free_cnt] * CHUNK_BUFFER_LEN;
}

void chunk_buffers_release(struct chunk_buffers *buffers, uint8_t *buffer)
{
	size_t off = (size_t)(buffer - buffers->bytes);

	weft_assert(off % CHUNK_BUFFER_LEN == 0);
	weft_assert(buffers->free_cnt < buffers->cap_cnt);
	buffers->free[buffers->free_cnt++] = (uint32_t)(off / CHUNK_BUFFER_LEN);
}
