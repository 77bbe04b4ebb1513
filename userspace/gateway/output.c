/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/output.h"

#include <string.h>

#include "base/memory/heap.h"

static void block_release(struct output *output, struct heap *heap, struct output_block *block)
{
	if (block != &output->first)
		heap_release(heap, block);
}

static void chain_release(struct output *output, struct heap *heap, struct output_block *block)
{
	while (block) {
		struct output_block *next = block->next;

		block_release(output, heap, block);
		block = next;
	}
}

static struct output_block *block_new(struct output *output, struct heap *heap, bool takes_first)
{
	struct output_block *block =
		takes_first ? &output->first : heap_alloc(heap, sizeof(*block));

	if (block) {
		block->next = NULL;
		block->begin = block->end = 0;
	}
	return block;
}

static size_t block_fill(struct output_block *block, const char *data, size_t len)
{
	size_t room = block ? sizeof(block->data) - block->end : 0;
	size_t part = len < room ? len : room;

	if (part)
		memcpy(block->data + block->end, data, part);
	return part;
}

int gateway_output_append(struct output *output, struct heap *heap, const void *data, size_t len)
{
	size_t in_tail = block_fill(output->tail, data, len);
	struct output_block *chain = NULL, *last = NULL;

	for (size_t at = in_tail; at < len; at += last->end) {
		struct output_block *block = block_new(output, heap, !output->head && !chain);

		if (!block) {
			chain_release(output, heap, chain);
			return WEFT_EFULL;
		}
		block->end = block_fill(block, (const char *)data + at, len - at);
		if (last)
			last->next = block;
		else
			chain = block;
		last = block;
	}
	if (in_tail)
		output->tail->end += in_tail;
	if (chain && output->tail)
		output->tail->next = chain;
	else if (chain)
		output->head = chain;
	if (last)
		output->tail = last;
	output->len += len;
	return 0;
}

size_t gateway_output_peek(const struct output *output, const char **out_data)
{
	*out_data = "";
	if (!output->head)
		return 0;
	*out_data = output->head->data + output->head->begin;
	return output->head->end - output->head->begin;
}

void gateway_output_drop(struct output *output, struct heap *heap, size_t len)
{
	struct output_block *block = output->head;

	if (!len)
		return;
	block->begin += len;
	output->len -= len;
	if (block->begin < block->end)
		return;
	output->head = block->next;
	if (!output->head)
		output->tail = NULL;
	block_release(output, heap, block);
}

void gateway_output_clear(struct output *output, struct heap *heap)
{
	chain_release(output, heap, output->head);
	output->head = output->tail = NULL;
	output->len = 0;
}
