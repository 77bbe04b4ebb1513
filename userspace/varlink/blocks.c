/* SPDX-License-Identifier: Apache-2.0 */
#include "varlink/blocks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/text/base64.h"

#define BLOCK_LEN   4096 /* at least; most replies fit into one */
#define ROW_CNT_MIN 8

struct varlink_block {
	struct varlink_block *next;
	size_t used, len; /* of data */
	max_align_t data[];
};

static struct varlink_block *block_add(struct varlink_blocks *blocks, size_t len)
{
	struct varlink_block *block;

	if (len < BLOCK_LEN)
		len = BLOCK_LEN;
	block = len < SIZE_MAX - sizeof(*block) ? calloc(1, sizeof(*block) + len) : NULL;
	if (!block) {
		(void)json_heap_swap_lost(true);
		return NULL;
	}
	block->len = len;
	block->next = blocks->first;
	blocks->first = block;
	return block;
}

void *varlink_alloc(struct varlink_blocks *blocks, size_t len)
{
	struct varlink_block *block = blocks->first;
	void *at;

	len = (len + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (!block || block->len - block->used < len)
		block = block_add(blocks, len);
	if (!block)
		return NULL;
	at = (char *)block->data + block->used;
	block->used += len;
	return at;
}

const char *varlink_text(struct varlink_blocks *blocks, const char *text)
{
	size_t len = strlen(text) + 1;
	char *copy = varlink_alloc(blocks, len);

	return copy ? memcpy(copy, text, len) : NULL;
}

const char *varlink_format(struct varlink_blocks *blocks, const char *format, ...)
{
	va_list args, again;
	char *text;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	text = len < 0 ? NULL : varlink_alloc(blocks, (size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

const char *varlink_base64(struct varlink_blocks *blocks, const void *data, size_t len)
{
	char *text = varlink_alloc(blocks, BASE64_LEN(len) + 1);

	return text ? base64_write(data, len, text) : NULL;
}

int varlink_base64_read(struct varlink_blocks *blocks, const char *text, const void **out_data,
			size_t *out_len)
{
	size_t cap = text ? strlen(text) / 4 * 3 : 0;
	uint8_t *data = varlink_alloc(blocks, cap + 1);

	*out_len = 0;
	*out_data = data;
	if (!data)
		return -ENOMEM;
	return text ? base64_read(text, strlen(text), data, cap, out_len) : 0;
}

void varlink_push_row(struct varlink_blocks *blocks, void *any_list, size_t row_len,
		      const void *row)
{
	struct varlink_list *list = any_list;

	if (list->cnt >= list->cap) {
		size_t more = list->cnt < ROW_CNT_MIN ? ROW_CNT_MIN : 2 * list->cnt;
		void *grown = varlink_alloc(blocks, more * row_len);

		if (!grown)
			return;
		if (list->cnt)
			memcpy(grown, list->rows, list->cnt * row_len);
		list->rows = grown;
		list->cap = more;
	}
	memcpy((char *)list->rows + list->cnt * row_len, row, row_len);
	list->cnt++;
}

void varlink_blocks_free(struct varlink_blocks *blocks)
{
	while (blocks->first) {
		struct varlink_block *block = blocks->first;

		blocks->first = block->next;
		free(block);
	}
}
