/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and their limits (directory.h).
 */
#include "directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "base/random.h"
#include "directory_state.h"

#define EXPIRE_EVERY_NS (60 * NS_PER_S)
#define NONE_FRESH_NS	NS_PER_S

void service_directory_config_defaults(struct service_directory_config *config)
{
	*config = (struct service_directory_config){
		.entry_cap = 1024,
		.entry_memory_len = 4u << 20,
		.find_cap = 256,
		.lookups_per_min = 200,
		.fetches_per_min = 100,
	};
}

/* --- answers from the cache, in the next turn --- */

static void find_wait(struct service_find *find, int err, uint64_t now_ns)
{
	struct service_directory *directory = find->directory;

	find->err = err;
	list_push_back(&directory->waiting, &find->node);
	timer_set(directory->params.timers, &directory->answer_timer, now_ns);
}

static void answer_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_directory *directory =
		container_of(timer, struct service_directory, answer_timer);
	struct list_node due;

	/* A find that is added meanwhile is answered in the next turn. */
	list_init(&due);
	while (!list_is_empty(&directory->waiting)) {
		struct list_node *node = directory->waiting.next;

		list_unlink(node);
		list_push_back(&due, node);
	}
	while (!list_is_empty(&due)) {
		struct service_find *find = container_of(due.next, struct service_find, node);
		struct service_finding finding = {.err = find->err, .is_cached = true};

		service_find_answer(find, &finding, now_ns);
	}
}

static void expire_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_directory *directory =
		container_of(timer, struct service_directory, expire_timer);

	service_cache_expire(&directory->cache, service_directory_wall_s(directory), now_ns);
	timer_set(directory->params.timers, timer, now_ns + EXPIRE_EVERY_NS);
}

void service_find_answer(struct service_find *find, struct service_finding *finding,
			 uint64_t now_ns)
{
	struct service_directory *directory = find->directory;
	service_found_fn tell = find->found;
	void *arg = find->arg;

	service_rank(directory, &find->wanted, SERVICE_FOUND_MAX, now_ns, finding);
	finding->took_ns = now_ns - find->started_ns;
	list_unlink(&find->node);
	pool_release(&directory->finds, find);
	tell(arg, finding, now_ns);
}

/* --- finding --- */

/* Asks the overlay, unless it was asked too often in this minute. */
static int fetch_begin(struct service_directory *directory, const struct service_wanted *wanted,
		       uint64_t now_ns, struct service_directory_get **out_fetch)
{
	uint64_t wait_ns;
	int err;

	if (!directory->params.overlay.ops)
		return WEFT_EUNREACHABLE;
	if (!service_window_has_room(&directory->fetched, directory->params.config.fetches_per_min,
				     1, now_ns, &wait_ns)) {
		directory->stats.held_back_cnt++;
		return WEFT_EBUSY;
	}
	err = service_directory_get_start(directory, wanted, now_ns, out_fetch);
	if (err < 0)
		return err;
	service_window_take(&directory->fetched, 1, now_ns);
	directory->stats.fetch_cnt++;
	return 0;
}

static void find_join(struct service_find *find, struct service_directory_get *fetch)
{
	find->fetch = fetch;
	list_push_back(&fetch->finds, &find->node);
}

/*
 * An answer without providers is fresh for a second only: a restarting provider withdraws its
 * offers.
 */
static bool answer_is_fresh(struct service_directory *directory,
			    const struct service_wanted *wanted, uint64_t now_ns)
{
	struct service_finding finding = {.found_cnt = 0};

	if (service_wanted_was_asked(directory, wanted, NONE_FRESH_NS, now_ns))
		return true;
	if (!service_wanted_was_asked(directory, wanted, SERVICE_FRESH_NS, now_ns))
		return false;
	service_rank(directory, wanted, 1, now_ns, &finding);
	return finding.found_cnt > 0;
}

/* Asks the overlay, unless a get runs, ran lately or is not possible: then the cache answers. */
static void find_begin(struct service_find *find, bool is_anew, uint64_t now_ns)
{
	struct service_directory *directory = find->directory;
	struct service_directory_get *fetch = service_directory_get_join(directory, &find->wanted);
	int err = 0;

	if (fetch) {
		directory->stats.joined_cnt++;
		find_join(find, fetch);
		return;
	}
	if (is_anew || !answer_is_fresh(directory, &find->wanted, now_ns)) {
		err = fetch_begin(directory, &find->wanted, now_ns, &fetch);
		if (err == 0) {
			find_join(find, fetch);
			return;
		}
	}
	directory->stats.cached_cnt++;
	find_wait(find, err, now_ns);
}

static void abuse_note(struct service_directory *directory, const struct service_query *query,
		       const struct service_wanted *wanted, uint64_t now_ns)
{
	const uint8_t *caller = query->caller ? query->caller : directory->params.own_key;

	if (wanted->has_name)
		service_abuse_note(&directory->abuse, caller, wanted->name, strlen(wanted->name),
				   now_ns);
	else
		service_abuse_note(&directory->abuse, caller, wanted->id, SERVICE_ID_LEN, now_ns);
}

int service_find_start(struct service_directory *directory, const struct service_query *query,
		       uint64_t now_ns, struct service_find **out_find, uint64_t *out_wait_ns)
{
	struct service_find *find = pool_acquire(&directory->finds);
	int err;

	if (!find)
		return WEFT_EFULL;
	if ((err = service_wanted_read(query, &find->wanted)) < 0)
		goto release_find;
	abuse_note(directory, query, &find->wanted, now_ns);
	if (!service_window_has_room(&directory->lookups, directory->params.config.lookups_per_min,
				     1, now_ns, out_wait_ns)) {
		directory->stats.refused_cnt++;
		err = WEFT_EREFUSED;
		goto release_find;
	}
	service_window_take(&directory->lookups, 1, now_ns);
	directory->stats.find_cnt++;
	find->directory = directory;
	find->started_ns = now_ns;
	find->found = query->found;
	find->arg = query->arg;
	list_init(&find->node);
	find_begin(find, query->is_anew, now_ns);
	*out_find = find;
	return 0;
release_find:
	pool_release(&directory->finds, find);
	return err;
}

void service_find_cancel(struct service_find *find)
{
	struct service_directory_get *fetch = find->fetch;

	list_unlink(&find->node);
	if (fetch && !fetch->is_over && list_is_empty(&fetch->finds))
		service_directory_get_stop(fetch);
	pool_release(&find->directory->finds, find);
}

/* An answer that is getting old is asked for again; no find waits for it. */
static bool peek_is_fresh(struct service_directory *directory, const struct service_wanted *wanted,
			  uint64_t now_ns)
{
	struct service_directory_get *fetch;

	if (service_wanted_was_asked(directory, wanted, SERVICE_FRESH_NS, now_ns))
		return true;
	return service_wanted_was_asked(directory, wanted, SERVICE_PEEK_NS, now_ns) &&
	       (service_directory_get_join(directory, wanted) ||
		fetch_begin(directory, wanted, now_ns, &fetch) == 0);
}

void service_directory_peek(struct service_directory *directory, const struct service_query *query,
			    unsigned cap, uint64_t now_ns, struct service_finding *out_finding)
{
	struct service_wanted wanted;

	directory->stats.peek_cnt++;
	*out_finding = (struct service_finding){.is_cached = true};
	if (service_wanted_read(query, &wanted) < 0)
		return;
	service_rank(directory, &wanted, cap, now_ns, out_finding);
	out_finding->is_fresh =
		out_finding->found_cnt > 0 && peek_is_fresh(directory, &wanted, now_ns);
}

void service_directory_doubt(struct service_directory *directory,
			     const uint8_t id[static SERVICE_ID_LEN])
{
	struct service_cache_entry *entry = service_cache_lookup_id(&directory->cache, id);

	for (; entry; entry = entry->next_of_id) {
		entry->asked_ns = 0;
		entry->name->asked_ns = 0;
	}
}

/* --- life --- */

static unsigned cache_rank(void *ctx, const struct service_descriptor *descriptor)
{
	const struct service_directory_params *params = ctx;

	return params->reputation ? params->reputation(params->ctx, descriptor->owner) : 0;
}

static int directory_lay_out(struct service_directory *directory)
{
	struct service_directory_params *params = &directory->params;
	const struct service_directory_config *config = &params->config;
	struct arena *arena = &directory->arena;
	int err;

	directory->rules.on_refused = service_directory_get_note_refused;
	directory->rules.ctx = directory;
	directory->cache.store = params->store;
	directory->cache.timers = params->timers;
	directory->cache.rank = cache_rank;
	directory->cache.ctx = params;
	if ((err = arena_open(arena, ARENA_GROWS)) < 0 ||
	    (err = service_abuse_init(&directory->abuse, arena, directory->secret, params->on_abuse,
				      params->ctx)) < 0 ||
	    (err = service_rules_init(&directory->rules, arena)) < 0 ||
	    (err = pool_init(&directory->finds, arena, sizeof(struct service_find),
			     config->find_cap)) < 0 ||
	    (err = pool_init(&directory->fetches, arena, sizeof(struct service_directory_get),
			     SERVICE_DIRECTORY_GET_CNT)) < 0)
		return err;
	err = service_cache_init(&directory->cache, arena, config->entry_cap,
				 config->entry_memory_len, directory->secret);
	arena_fit(arena);
	return err;
}

size_t service_directory_footprint(const struct service_directory_config *config)
{
	struct service_directory *directory = calloc(1, sizeof(*directory));
	size_t len = 0;

	if (!directory)
		return 0;
	directory->params.config = *config;
	if (directory_lay_out(directory) == 0)
		len = directory->arena.used_len;
	service_cache_fini(&directory->cache);
	arena_close(&directory->arena);
	free(directory);
	return len;
}

int service_directory_new(const struct service_directory_params *params,
			  struct service_directory **out_directory)
{
	struct service_directory *directory = calloc(1, sizeof(*directory));
	int err;

	if (!directory)
		return -ENOMEM;
	directory->params = *params;
	directory->secret[0] = random_u64(params->random);
	directory->secret[1] = random_u64(params->random);
	list_init(&directory->waiting);
	timer_init(&directory->answer_timer, answer_expire);
	timer_init(&directory->expire_timer, expire_expire);
	if ((err = directory_lay_out(directory)) < 0 ||
	    (err = service_cache_load(&directory->cache, service_directory_wall_s(directory),
				      params->now_ns)) < 0)
		goto free_directory;
	if (params->overlay.ops &&
	    (err = service_rules_add(&directory->rules, &params->overlay)) < 0)
		goto free_directory;
	timer_set(params->timers, &directory->expire_timer, params->now_ns + EXPIRE_EVERY_NS);
	*out_directory = directory;
	return 0;
free_directory:
	service_directory_free(directory);
	return err;
}

void service_directory_free(struct service_directory *directory)
{
	struct service_directory_get *fetch = NULL;

	if (!directory)
		return;
	timer_cancel(directory->params.timers, &directory->answer_timer);
	timer_cancel(directory->params.timers, &directory->expire_timer);
	while ((fetch = pool_next(&directory->fetches, fetch)))
		if (!fetch->is_over)
			service_directory_get_stop(fetch);
	service_cache_fini(&directory->cache);
	arena_close(&directory->arena);
	free(directory);
}

void service_directory_configure(struct service_directory *directory,
				 const struct service_directory_config *config)
{
	directory->params.config.lookups_per_min = config->lookups_per_min;
	directory->params.config.fetches_per_min = config->fetches_per_min;
}

void service_directory_stats(const struct service_directory *directory,
			     struct service_directory_stats *out_stats)
{
	struct heap_usage usage;

	heap_usage(directory->cache.heap, &usage);
	*out_stats = directory->stats;
	out_stats->abuse_cnt = directory->abuse.event_cnt;
	out_stats->entry_cnt = directory->cache.entries.used_cnt;
	out_stats->entry_cap = directory->cache.entries.cap_cnt;
	out_stats->memory_len = usage.used_len;
	out_stats->memory_cap = usage.cap;
}
