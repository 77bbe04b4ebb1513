/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted, and the answer that the cache gives to it. */
#include <string.h>

#include "base/siphash.h"
#include "service/directory_state.h"
#include "service/id.h"

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
	return service_range_parse(wanted->range_text, range_len, &wanted->range);
}

static bool heard_lately(uint64_t heard_ns, uint64_t now_ns)
{
	return heard_ns && now_ns - heard_ns < SERVICE_FRESH_NS;
}

bool service_wanted_is_fresh(const struct service_directory *directory,
			     const struct service_wanted *wanted, uint64_t now_ns)
{
	const struct service_cache_entry *entry;
	const struct service_cache_name *name;

	if (wanted->has_name) {
		name = service_cache_lookup_name(&directory->cache, wanted->name);
		return name && heard_lately(name->asked_ns, now_ns);
	}
	entry = service_cache_lookup_id(&directory->cache, wanted->id);
	return entry && heard_lately(entry->asked_ns, now_ns);
}

static bool descriptor_is_wanted(const struct service_descriptor *descriptor,
				 const struct service_wanted *wanted)
{
	struct service_version version;

	if (wanted->has_id && memcmp(descriptor->id, wanted->id, sizeof(wanted->id)) != 0)
		return false;
	if (wanted->has_owner &&
	    memcmp(descriptor->owner, wanted->owner, sizeof(wanted->owner)) != 0)
		return false;
	return service_version_parse(descriptor->version, strlen(descriptor->version), &version) ==
		       0 &&
	       service_range_has(&wanted->range, &version);
}

static enum service_fault descriptor_judge(const struct service_directory *directory,
					   const struct service_descriptor *descriptor)
{
	const struct service_directory_params *params = &directory->params;
	enum service_fault fault =
		service_descriptor_check_times(descriptor, service_directory_wall_s(directory));

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

static struct service_found found_of(const struct service_directory *directory,
				     const struct service_cache_entry *entry, uint64_t now_ns)
{
	const struct service_directory_params *params = &directory->params;
	const struct service_descriptor *descriptor = &entry->descriptor;
	uint64_t wall_s = service_directory_wall_s(directory);

	return (struct service_found){
		.descriptor = descriptor,
		.bytes = entry->bytes,
		.len = entry->len,
		.age_s = wall_s > entry->heard_s ? wall_s - entry->heard_s : 0,
		.conduct = params->conduct ? grade(params->conduct(params->ctx, descriptor->owner))
					   : GRADE_UNKNOWN,
		.health = params->health ? grade(params->health(params->ctx, descriptor, now_ns))
					 : GRADE_UNKNOWN,
	};
}

static int version_compare(const struct service_found *a, const struct service_found *b)
{
	const char *a_text = a->descriptor->version, *b_text = b->descriptor->version;
	struct service_version a_version, b_version;

	if (service_version_parse(a_text, strlen(a_text), &a_version) < 0 ||
	    service_version_parse(b_text, strlen(b_text), &b_version) < 0)
		return 0;
	return service_version_compare(&a_version, &b_version);
}

/*
 * Equals are ordered by the version, then as chance has it, for each node another: else all the
 * mesh would go to the same provider.
 */
static bool is_better(const struct service_directory *directory, const struct service_found *a,
		      const struct service_found *b)
{
	unsigned a_rank = a->conduct + a->health, b_rank = b->conduct + b->health;
	int order;

	if (a_rank != b_rank)
		return a_rank > b_rank;
	order = version_compare(a, b);
	if (order != 0)
		return order > 0;
	return siphash(directory->secret, a->descriptor->id, SERVICE_ID_LEN) <
	       siphash(directory->secret, b->descriptor->id, SERVICE_ID_LEN);
}

/* Keeps the best cap, in order. */
static unsigned found_insert(const struct service_directory *directory, struct service_found *found,
			     unsigned cnt, unsigned cap, const struct service_found *one)
{
	unsigned at = cnt;

	while (at > 0 && is_better(directory, one, &found[at - 1]))
		at--;
	if (at == cap)
		return cnt;
	if (cnt == cap)
		cnt--;
	memmove(&found[at + 1], &found[at], (cnt - at) * sizeof(*found));
	found[at] = *one;
	return cnt + 1;
}

static const struct service_cache_entry *first_of_name(const struct service_cache_name *name)
{
	return list_entry(name->entries.next, struct service_cache_entry, of_name);
}

/* The next entry of the name, or of the id, that is looked through; NULL after the last. */
static const struct service_cache_entry *next_of(const struct service_wanted *wanted,
						 const struct service_cache_entry *entry)
{
	if (!wanted->has_name)
		return entry->next_of_id;
	if (entry->of_name.next == &entry->name->entries)
		return NULL;
	return list_entry(entry->of_name.next, struct service_cache_entry, of_name);
}

unsigned service_rank(struct service_directory *directory, const struct service_wanted *wanted,
		      uint64_t now_ns, struct service_found *found, unsigned cap,
		      uint32_t hidden[static SERVICE_FAULT_CNT])
{
	const struct service_cache_entry *entry;
	unsigned cnt = 0;

	if (wanted->has_name) {
		const struct service_cache_name *name =
			service_cache_lookup_name(&directory->cache, wanted->name);

		entry = name ? first_of_name(name) : NULL;
	} else {
		entry = service_cache_lookup_id(&directory->cache, wanted->id);
	}
	for (; entry; entry = next_of(wanted, entry)) {
		enum service_fault fault;
		struct service_found one;

		if (!descriptor_is_wanted(&entry->descriptor, wanted))
			continue;
		fault = descriptor_judge(directory, &entry->descriptor);
		if (fault) {
			hidden[fault]++;
			continue;
		}
		one = found_of(directory, entry, now_ns);
		cnt = found_insert(directory, found, cnt, cap, &one);
	}
	return cnt;
}

void service_directory_each(const struct service_directory *directory, uint64_t now_ns,
			    bool (*fn)(void *arg, const struct service_found *found), void *arg)
{
	const struct list_node *head = &directory->cache.by_age;
	bool goes_on = true;

	for (const struct list_node *node = head->prev; node != head && goes_on;
	     node = node->prev) {
		const struct service_cache_entry *entry =
			list_entry(node, struct service_cache_entry, by_age);
		struct service_found one;

		if (descriptor_judge(directory, &entry->descriptor))
			continue;
		one = found_of(directory, entry, now_ns);
		goes_on = fn(arg, &one);
	}
}
