/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_heap.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* At the end of each block that a reading allocates, so that free takes the block as it is. */
struct block_link {
	struct block_link *next, *prev;
	void *block;
};

/* One json_heap_load: where it goes on without memory, and what is to be freed there. */
struct loading {
	sigjmp_buf out;
	struct block_link blocks; /* a ring */
};

static bool is_ours; /* jansson allocates by the functions below; set once */
static _Thread_local bool has_lost;
static _Thread_local struct loading *loading;

static struct block_link *link_of(void *block)
{
	size_t end = malloc_usable_size(block) / sizeof(void *) * sizeof(void *);

	return (void *)((char *)block + end - sizeof(struct block_link));
}

static void *loading_malloc(size_t len)
{
	void *block = malloc(len + sizeof(struct block_link) + sizeof(void *));
	struct block_link *link;

	if (!block)
		siglongjmp(loading->out, 1);
	link = link_of(block);
	*link = (struct block_link){&loading->blocks, loading->blocks.prev, block};
	link->prev->next = link;
	loading->blocks.prev = link;
	return block;
}

static void *heap_malloc(size_t len)
{
	void *block = loading ? loading_malloc(len) : malloc(len);

	if (!block && len)
		has_lost = true;
	return block;
}

static void heap_free(void *block)
{
	if (block && loading) {
		struct block_link *link = link_of(block);

		link->prev->next = link->next;
		link->next->prev = link->prev;
	}
	free(block);
}

/* A program that gave jansson an allocator of its own keeps it: libweft is a guest there. */
static void functions_set(void)
{
	json_malloc_t allocates;
	json_free_t frees;

	json_get_alloc_funcs(&allocates, &frees);
	is_ours = allocates == malloc && frees == free;
	if (is_ours)
		json_set_alloc_funcs(heap_malloc, heap_free);
}

void json_heap_begin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, functions_set);
}

bool json_heap_swap_lost(bool is_lost)
{
	bool had_lost = has_lost;

	has_lost = is_lost;
	return had_lost;
}

json_t *json_heap_text(const char *text)
{
	json_t *json = json_string(text ? text : "");
	char *clean;

	/* Content that is no text is valid, so memory is lacking. */
	if (json || !text)
		return json;
	clean = strdup(text);
	for (char *c = clean; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	json = clean ? json_string(clean) : NULL;
	if (!clean)
		has_lost = true;
	free(clean);
	return json;
}

int json_heap_load(const char *text, size_t len, size_t flags, json_t **out_json)
{
	struct loading own = {.blocks = {&own.blocks, &own.blocks, NULL}};
	json_t *json;

	json_heap_begin();
	if (sigsetjmp(own.out, 0) != 0) {
		loading = NULL;
		while (own.blocks.next != &own.blocks) {
			struct block_link *link = own.blocks.next;

			own.blocks.next = link->next;
			free(link->block);
		}
		return -ENOMEM;
	}
	loading = is_ours ? &own : NULL;
	json = json_loadb(text, len, flags, NULL);
	loading = NULL;
	if (!json)
		return WEFT_EMALFORMED;
	*out_json = json;
	return 0;
}
