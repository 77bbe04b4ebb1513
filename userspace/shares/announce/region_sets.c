/* SPDX-License-Identifier: Apache-2.0 */
#include "region_sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/memory/pool.h"
#include "announce_rules.h"

/* The overlay could not be asked, or liars filled the memory: so long it is not asked again. */
#define CUT_KEEP_NS (30 * NS_PER_S)

/* One holder's set; the bytes it borrows follow. */
struct cached_set {
	struct cached_set *next;
	struct golomb_set set;
	uint8_t bytes[];
};

struct region {
	struct announce_sets *sets;
	struct list_node used; /* least recently first */
	unsigned depth;
	uint32_t number;
	struct overlay_run *run; /* NULL: all that there is has come */
	struct list_node wants;
	struct cached_set *first;
	uint64_t asked_ns;
	bool is_telling; /* a callback may ask for more: it must not go meanwhile */
	bool is_cut;	 /* not all of it is here: it is asked for again soon */
};

struct announce_sets {
	struct overlay_seam overlay;
	struct pool regions;
	struct list_node used;
	struct heap *heap;
};

int shares_announce_sets_new(struct arena *arena, uint32_t region_cap, size_t memory_len,
			     const struct overlay_seam *overlay, struct announce_sets **out_sets)
{
	struct announce_sets *sets = calloc(1, sizeof(*sets));
	int err;

	if (!sets)
		return -ENOMEM;
	sets->overlay = *overlay;
	list_init(&sets->used);
	if ((err = heap_new(memory_len, &sets->heap)) < 0 ||
	    (err = pool_init(&sets->regions, arena, sizeof(struct region), region_cap)) < 0) {
		shares_announce_sets_free(sets);
		return err;
	}
	*out_sets = sets;
	return 0;
}

void shares_announce_sets_free(struct announce_sets *sets)
{
	if (!sets)
		return;
	heap_free(sets->heap);
	free(sets);
}

/* --- regions --- */

static void region_empty(struct region *region)
{
	while (region->first) {
		struct cached_set *kept = region->first;

		region->first = kept->next;
		heap_release(region->sets->heap, kept);
	}
}

static void region_forget(struct region *region)
{
	if (region->run)
		region->sets->overlay.ops->cancel(region->run);
	region_empty(region);
	list_unlink(&region->used);
	pool_release(&region->sets->regions, region);
}

static void region_use(struct region *region)
{
	list_unlink(&region->used);
	list_push_back(&region->sets->used, &region->used);
}

/* The one used least recently, without waiters, other than this. */
static bool region_evict(struct announce_sets *sets, const struct region *other)
{
	for (struct list_node *node = sets->used.next; node != &sets->used; node = node->next) {
		struct region *region = container_of(node, struct region, used);

		if (region == other || region->run || region->is_telling)
			continue;
		region_forget(region);
		return true;
	}
	return false;
}

static struct region *region_find(const struct announce_sets *sets, unsigned depth, uint32_t number)
{
	struct region *region = NULL;

	while ((region = pool_next(&sets->regions, region)))
		if (region->depth == depth && region->number == number)
			return region;
	return NULL;
}

static struct cached_set *kept_make(struct region *region, const uint8_t *bytes, size_t len)
{
	struct announce_sets *sets = region->sets;
	struct cached_set *kept;

	do
		kept = heap_alloc(sets->heap, sizeof(*kept) + len);
	while (!kept && region_evict(sets, region));
	if (!kept)
		return NULL;
	memcpy(kept->bytes, bytes, len);
	if (shares_golomb_set_parse(kept->bytes, len, &kept->set) == 0)
		return kept;
	heap_release(sets->heap, kept);
	return NULL;
}

/* The latest set of a holder counts; false: there is a later one. */
static bool holder_replace(struct region *region, const struct cached_set *kept)
{
	for (struct cached_set **at = &region->first; *at; at = &(*at)->next) {
		struct cached_set *former = *at;

		if (memcmp(former->set.key, kept->set.key, sizeof(kept->set.key)) != 0)
			continue;
		if (former->set.time_s >= kept->set.time_s)
			return false;
		*at = former->next;
		heap_release(region->sets->heap, former);
		return true;
	}
	return true;
}

static struct announce_want *first_want(struct list_node *list)
{
	return container_of(list->next, struct announce_want, node);
}

static void wants_tell(struct region *region, const struct golomb_set *set)
{
	struct list_node told;

	/* A waiter may leave in its callback, and take others along. */
	list_init(&told);
	while (!list_is_empty(&region->wants)) {
		struct announce_want *want = first_want(&region->wants);

		list_unlink(&want->node);
		list_push_back(&told, &want->node);
		if (shares_golomb_set_may_have(set, want->id))
			want->found(want, set);
	}
	while (!list_is_empty(&told)) {
		struct announce_want *want = first_want(&told);

		list_unlink(&want->node);
		list_push_back(&region->wants, &want->node);
	}
}

/* The overlay has judged it by the rule: tag and signature are right. */
static void value_take(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct region *region = arg;
	struct golomb_set set;
	struct cached_set *kept;

	(void)claim;
	if (shares_golomb_set_parse(value + 1, len - 1, &set) < 0)
		return;
	wants_tell(region, &set);
	kept = kept_make(region, value + 1, len - 1);
	if (!kept) {
		region->is_cut = true;
		return;
	}
	if (!holder_replace(region, kept)) {
		heap_release(region->sets->heap, kept);
		return;
	}
	kept->next = region->first;
	region->first = kept;
}

static void get_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct region *region = arg;

	region->run = NULL;
	region->is_cut |= result->err < 0;
	region->is_telling = true;
	while (!list_is_empty(&region->wants)) {
		struct announce_want *want = first_want(&region->wants);

		list_unlink(&want->node);
		want->done(want, now_ns);
	}
	region->is_telling = false;
}

static int region_ask(struct announce_sets *sets, unsigned depth, uint32_t number, uint64_t now_ns,
		      struct region **out_region)
{
	struct region *region = pool_acquire(&sets->regions);
	uint8_t name[ANNOUNCE_NAME_CAP];
	int err;

	if (!region && region_evict(sets, NULL))
		region = pool_acquire(&sets->regions);
	if (!region)
		return WEFT_EFULL;
	region->sets = sets;
	region->depth = depth;
	region->number = number;
	region->asked_ns = now_ns;
	list_init(&region->wants);
	list_init(&region->used);
	err = sets->overlay.ops->get(
		sets->overlay.overlay,
		&(struct overlay_get_params){
			.name = name,
			.name_len = shares_announce_name_of_region(depth, number, name),
			.tag = ANNOUNCE_SET,
			.value = value_take,
			.done = get_done,
			.arg = region},
		now_ns, &region->run);
	if (err < 0) {
		pool_release(&sets->regions, region);
		return err;
	}
	*out_region = region;
	return 0;
}

static bool region_is_old(const struct region *region, uint64_t now_ns)
{
	return !region->run && !region->is_telling &&
	       now_ns >= region->asked_ns + (region->is_cut ? CUT_KEEP_NS : ANNOUNCE_SETS_KEEP_NS);
}

static void region_tell_kept(struct region *region, struct announce_want *want)
{
	bool was_telling = region->is_telling;

	region->is_telling = true;
	for (const struct cached_set *kept = region->first; kept; kept = kept->next)
		if (shares_golomb_set_may_have(&kept->set, want->id))
			want->found(want, &kept->set);
	region->is_telling = was_telling;
}

/* --- the face --- */

int shares_announce_sets_want(struct announce_sets *sets, unsigned depth,
			      struct announce_want *want, uint64_t now_ns)
{
	uint32_t number = shares_golomb_set_region_of(want->id, depth);
	struct region *region = region_find(sets, depth, number);
	int err;

	list_init(&want->node);
	if (region && region_is_old(region, now_ns)) {
		region_forget(region);
		region = NULL;
	}
	if (!region && (err = region_ask(sets, depth, number, now_ns, &region)) < 0)
		return err;
	region_use(region);
	region_tell_kept(region, want);
	if (!region->run)
		return 0;
	list_push_back(&region->wants, &want->node);
	return 1;
}

void shares_announce_sets_leave(struct announce_want *want)
{
	list_unlink(&want->node);
}

void shares_announce_sets_stop(struct announce_sets *sets)
{
	struct region *region = NULL;

	while ((region = pool_next(&sets->regions, region)))
		region_forget(region);
}

void shares_announce_sets_count(const struct announce_sets *sets, uint32_t *out_region_cnt,
				size_t *out_len)
{
	struct heap_usage usage;

	heap_usage(sets->heap, &usage);
	*out_region_cnt = sets->regions.used_cnt;
	*out_len = usage.used_len;
}
