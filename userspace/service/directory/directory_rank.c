/* SPDX-License-Identifier: Apache-2.0 */
/* Compares queries with descriptors, and makes the answer from the cache. */
#include <string.h>

#include "base/assert.h"
#include "directory_state.h"
#include "service_id.h"

#define GRADE_UNKNOWN 50u
#define GRADE_MAX     100u

int service_wanted_read(const struct service_query *query, struct service_wanted *wanted)
{
	const char *range = query->version ? query->version : "";
	size_t range_len = strnlen(range, sizeof(wanted->range_text));

	*wanted = (struct service_wanted){
		.has_name = query->name,
		.has_id = query->id,
		.has_owner = query->owner,
	};
	if (!query->name && !query->id)
		return WEFT_EMALFORMED;
	if (query->name) {
		size_t len = strnlen(query->name, sizeof(wanted->name));

		if (!service_name_is_valid(query->name, len))
			return WEFT_EMALFORMED;
		memcpy(wanted->name, query->name, len);
	}
	if (query->id)
		memcpy(wanted->id, query->id, sizeof(wanted->id));
	if (query->owner)
		memcpy(wanted->owner, query->owner, sizeof(wanted->owner));
	memcpy(wanted->range_text, range, range_len);
	return semver_range_parse(wanted->range_text, range_len, &wanted->range);
}

bool service_wanted_was_asked(const struct service_directory *directory,
			      const struct service_wanted *wanted, uint64_t for_ns, uint64_t now_ns)
{
	const struct service_cache_entry *entry;
	const struct service_cache_name *name;
	uint64_t asked_ns;

	if (wanted->has_name) {
		name = service_cache_lookup_name(&directory->cache, wanted->name);
		asked_ns = name ? name->asked_ns : 0;
	} else {
		entry = service_cache_lookup_id(&directory->cache, wanted->id);
		asked_ns = entry ? entry->asked_ns : 0;
	}
	return asked_ns && now_ns - asked_ns < for_ns;
}

static bool is_wanted(const struct service_cache_entry *entry, const struct service_wanted *wanted)
{
	const struct service_descriptor *descriptor = &entry->descriptor;

	if (wanted->has_id && memcmp(descriptor->id, wanted->id, sizeof(wanted->id)) != 0)
		return false;
	if (wanted->has_owner &&
	    memcmp(descriptor->owner, wanted->owner, sizeof(wanted->owner)) != 0)
		return false;
	return semver_range_has(&wanted->range, &entry->version);
}

static enum service_fault descriptor_judge(const struct service_directory *directory,
					   const struct service_descriptor *descriptor,
					   uint64_t wall_s)
{
	const struct service_directory_params *params = &directory->params;
	enum service_fault fault = service_descriptor_check_times(descriptor, wall_s);

	if (fault)
		return fault;
	if (params->is_banned && params->is_banned(params->ctx, descriptor->owner))
		return SERVICE_BANNED;
	return descriptor->is_gone ? SERVICE_GONE : SERVICE_FINE;
}

static unsigned grade(unsigned value)
{
	return value < GRADE_MAX ? value : GRADE_MAX;
}

/* A provider that may be shown, with its marks. */
struct candidate {
	const struct service_cache_entry *entry;
	unsigned reputation, health;
};

static struct candidate candidate_of(const struct service_directory *directory,
				     const struct service_cache_entry *entry, uint64_t now_ns)
{
	const struct service_directory_params *params = &directory->params;
	const struct service_descriptor *descriptor = &entry->descriptor;

	return (struct candidate){
		.entry = entry,
		.reputation = params->reputation
				      ? grade(params->reputation(params->ctx, descriptor->owner))
				      : GRADE_UNKNOWN,
		.health = params->health ? grade(params->health(params->ctx, descriptor, now_ns))
					 : GRADE_UNKNOWN,
	};
}

/*
 * Equals are ordered by the version, then as chance has it, for each node another: else all the
 * mesh would go to the same provider.
 */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	unsigned a_rank = a->reputation + a->health, b_rank = b->reputation + b->health;
	int order;

	if (a_rank != b_rank)
		return a_rank > b_rank;
	order = semver_compare(&a->entry->version, &b->entry->version);
	return order ? order > 0 : a->entry->lot < b->entry->lot;
}

/* Keeps the best cap, in order. */
static unsigned candidates_add(struct candidate *best, unsigned cnt, unsigned cap,
			       const struct candidate *one)
{
	unsigned at = cnt;

	while (at > 0 && is_better(one, &best[at - 1]))
		at--;
	if (at == cap)
		return cnt;
	if (cnt == cap)
		cnt--;
	memmove(&best[at + 1], &best[at], (cnt - at) * sizeof(*best));
	best[at] = *one;
	return cnt + 1;
}

static struct service_found found_of(const struct candidate *candidate, uint64_t wall_s)
{
	const struct service_cache_entry *entry = candidate->entry;

	return (struct service_found){
		.descriptor = &entry->descriptor,
		.bytes = entry->bytes,
		.len = entry->len,
		.age_s = wall_s > entry->heard_s ? wall_s - entry->heard_s : 0,
		.reputation = candidate->reputation,
		.health = candidate->health,
	};
}

/* The first and the next entry of the name, or of the id, that is looked through; NULL: no more. */
static const struct service_cache_entry *first_of(const struct service_directory *directory,
						  const struct service_wanted *wanted)
{
	const struct service_cache_name *name;

	if (!wanted->has_name)
		return service_cache_lookup_id(&directory->cache, wanted->id);
	name = service_cache_lookup_name(&directory->cache, wanted->name);
	return name ? container_of(name->entries.next, struct service_cache_entry, of_name) : NULL;
}

static const struct service_cache_entry *next_of(const struct service_wanted *wanted,
						 const struct service_cache_entry *entry)
{
	if (!wanted->has_name)
		return entry->next_of_id;
	if (entry->of_name.next == &entry->name->entries)
		return NULL;
	return container_of(entry->of_name.next, struct service_cache_entry, of_name);
}

void service_rank(struct service_directory *directory, const struct service_wanted *wanted,
		  unsigned cap, uint64_t now_ns, struct service_finding *finding)
{
	uint64_t wall_s = service_directory_wall_s(directory);
	const struct service_cache_entry *entry;
	struct candidate best[SERVICE_FOUND_MAX];
	unsigned cnt = 0;

	weft_assert(cap <= SERVICE_FOUND_MAX);
	for (entry = first_of(directory, wanted); entry; entry = next_of(wanted, entry)) {
		enum service_fault fault;
		struct candidate one;

		if (!is_wanted(entry, wanted))
			continue;
		fault = descriptor_judge(directory, &entry->descriptor, wall_s);
		if (fault) {
			finding->hidden[fault]++;
			continue;
		}
		one = candidate_of(directory, entry, now_ns);
		cnt = candidates_add(best, cnt, cap, &one);
	}
	for (unsigned i = 0; i < cnt; i++)
		finding->found[i] = found_of(&best[i], wall_s);
	finding->found_cnt = cnt;
}

bool service_directory_next(struct service_directory_iter *iter, struct service_found *out_found)
{
	const struct service_directory *directory = iter->directory;
	const struct list_node *head = &directory->cache.by_age;
	const struct list_node *at = iter->entry ? iter->entry->by_age.prev : head->prev;
	uint64_t wall_s = service_directory_wall_s(directory);

	for (; at != head; at = at->prev) {
		const struct service_cache_entry *entry =
			container_of(at, struct service_cache_entry, by_age);
		struct candidate candidate;

		if (descriptor_judge(directory, &entry->descriptor, wall_s))
			continue;
		candidate = candidate_of(directory, entry, iter->now_ns);
		*out_found = found_of(&candidate, wall_s);
		iter->entry = entry;
		return true;
	}
	return false;
}
