/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_VARLINK_BLOCKS_H
#define WEFT_VARLINK_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "weft/err.h"

/*
 * The memory of one message of the control interface: texts and rows that its
 * structs point to. All zero is empty; varlink_blocks_free frees everything at
 * once. An allocation that fails is noted as json_heap's are (codec/json_heap.h),
 * so that the answer it was for is not sent as if it were whole.
 */
struct varlink_block;
struct varlink_blocks {
	struct varlink_block *first;
};

/* varlink_alloc: len bytes of zeros, aligned for any type, or NULL. */
void *varlink_alloc(struct varlink_blocks *blocks, size_t len);
/* varlink_text copies text; varlink_format is sprintf. NULL without memory. */
const char *varlink_text(struct varlink_blocks *blocks, const char *text);
__attribute__((format(printf, 2, 3))) const char *varlink_format(struct varlink_blocks *blocks,
								 const char *format, ...);
/* varlink_base64 writes bytes as messages have them. NULL without memory. */
const char *varlink_base64(struct varlink_blocks *blocks, const void *data, size_t len);
/* varlink_base64_read gives the bytes of text (NULL: none). Returns 0, -ENOMEM or WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int varlink_base64_read(struct varlink_blocks *blocks, const char *text, const void **out_data,
			size_t *out_len);
void varlink_blocks_free(struct varlink_blocks *blocks);

/*
 * varlink_push appends a row to a list or a map, whose rows are in blocks. The row is an
 * expression, or an initialiser: varlink_push(blocks, &out.fills, {.name = name, .used = 3}).
 * The list stays as it was without memory.
 */
#define varlink_push(blocks, list, ...)                                                            \
	varlink_push_row((blocks), (list), sizeof(*(list)->rows),                                  \
			 (__typeof__(*(list)->rows)[1]){__VA_ARGS__})
/* Every struct api_X_list and struct api_X_map is laid out as this one. */
struct varlink_list {
	void *rows;
	size_t cnt, cap;
};
void varlink_push_row(struct varlink_blocks *blocks, void *any_list, size_t row_len,
		      const void *row);

#endif
