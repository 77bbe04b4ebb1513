/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_BLOCKS_H
#define WEFT_API_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

/*
 * The memory of one message of the control interface: texts and rows that its
 * structs point to. All zero is empty; api_blocks_free frees everything at
 * once. An allocation that fails is noted as json_heap's are (codec/json_heap.h),
 * so that the answer it was for is not sent as if it were whole.
 */
struct api_block;
struct api_blocks {
	struct api_block *first;
};

/* api_alloc: len bytes of zeros, aligned for any type, or NULL. */
void *api_alloc(struct api_blocks *blocks, size_t len);
/* api_text copies text; api_format is sprintf. NULL without memory. */
const char *api_text(struct api_blocks *blocks, const char *text);
__attribute__((format(printf, 2, 3))) const char *api_format(struct api_blocks *blocks,
							     const char *format, ...);
/* api_base64 writes bytes as messages have them. NULL without memory. */
const char *api_base64(struct api_blocks *blocks, const void *data, size_t len);
/* api_base64_read gives the bytes of text (NULL: none). Returns 0, -ENOMEM or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int api_base64_read(struct api_blocks *blocks, const char *text, const void **out_data,
		    size_t *out_len);
void api_blocks_free(struct api_blocks *blocks);

/*
 * api_push appends a row to a list or a map, whose rows are in blocks. The row is an
 * expression, or an initialiser: api_push(blocks, &out.fills, {.name = name, .used = 3}).
 * The list stays as it was without memory.
 */
#define api_push(blocks, list, ...)                                                                \
	api_push_row((blocks), (list), sizeof(*(list)->rows),                                      \
		     (__typeof__(*(list)->rows)[1]){__VA_ARGS__})
/* Every struct api_X_list and struct api_X_map is laid out as this one. */
struct api_list {
	void *rows;
	size_t cnt, cap;
};
void api_push_row(struct api_blocks *blocks, void *any_list, size_t row_len, const void *row);

#endif
