/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory's gets of the overlay. Values that the rules accept go to the cache; refused values
 * are counted for the fetch of their name. When the get is done, all finds that wait for it are
 * answered from the cache.
 */
#include <string.h>

#include "directory_state.h"

/* The text under which the wanted descriptors lie; a name has all versions and owners. */
static size_t wanted_text(const struct service_wanted *wanted,
			  char text[static SERVICE_VALUE_NAME_CAP])
{
	return wanted->has_name ? service_value_name(wanted->name, text)
				: service_value_id(wanted->id, text);
}

static struct service_directory_get *fetch_of(const struct service_directory *directory,
					      const void *text, size_t len)
{
	struct service_directory_get *fetch = NULL;

	while ((fetch = pool_next(&directory->fetches, fetch)))
		if (!fetch->is_over && fetch->text_len == len &&
		    memcmp(fetch->text, text, len) == 0)
			return fetch;
	return NULL;
}

struct service_directory_get *service_directory_get_join(struct service_directory *directory,
							 const struct service_wanted *wanted)
{
	char text[SERVICE_VALUE_NAME_CAP];
	size_t len = wanted_text(wanted, text);

	return fetch_of(directory, text, len);
}

/* True for a new hash. A hash without room is not counted. */
static bool refused_add(struct service_directory_get *fetch, const uint8_t *hash)
{
	uint64_t word;
	unsigned at;

	memcpy(&word, hash, sizeof(word));
	if (fetch->refused_cnt == SERVICE_DIRECTORY_GET_REFUSED_MAX)
		return false;
	for (at = word % SERVICE_DIRECTORY_GET_REFUSED_SLOTS; fetch->refused[at];
	     at = (at + 1) % SERVICE_DIRECTORY_GET_REFUSED_SLOTS)
		if (fetch->refused[at] == word)
			return false;
	fetch->refused[at] = word;
	fetch->refused_cnt++;
	return true;
}

void service_directory_get_note_refused(void *ctx, const void *name, size_t len,
					const uint8_t hash[static SERVICE_VALUE_HASH_LEN],
					enum service_fault fault)
{
	struct service_directory *directory = ctx;
	struct service_directory_get *fetch = fetch_of(directory, name, len);

	if (!fetch || !refused_add(fetch, hash))
		return;
	fetch->hidden[fault]++;
	directory->stats.hidden[fault]++;
}

/*
 * The overlay has checked value by the directory's rule. It does not say when it came; the start is
 * near enough.
 */
static void value_take(void *arg, const uint8_t *value, size_t len,
		       const struct overlay_claim *claim)
{
	struct service_directory_get *fetch = arg;
	struct service_directory *directory = fetch->directory;
	enum service_fault fault =
		service_cache_put(&directory->cache, value + 1, len - 1,
				  service_directory_wall_s(directory), fetch->started_ns);

	/* Nodes that missed a renewal have the one before, every time. */
	if (fault && refused_add(fetch, claim->writer)) {
		fetch->hidden[fault]++;
		directory->stats.hidden[fault]++;
	}
}

static void asked_note(const struct service_directory_get *fetch, uint64_t now_ns)
{
	const struct service_cache *cache = &fetch->directory->cache;
	struct service_cache_entry *entry;
	struct service_cache_name *name;

	if (fetch->name[0]) {
		name = service_cache_lookup_name(cache, fetch->name);
		if (name)
			name->asked_ns = now_ns;
		return;
	}
	entry = service_cache_lookup_id(cache, fetch->id);
	for (; entry; entry = entry->next_of_id)
		entry->asked_ns = now_ns;
}

static void fetch_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct service_directory_get *fetch = arg;
	struct service_directory *directory = fetch->directory;

	fetch->is_over = true;
	fetch->run = NULL;
	if (result->err == 0)
		asked_note(fetch, now_ns);
	while (!list_is_empty(&fetch->finds)) {
		struct service_find *find =
			container_of(fetch->finds.next, struct service_find, node);
		struct service_finding finding = {
			.err = result->err,
			.is_cached = result->err < 0,
			.asked_cnt = result->asked_cnt,
		};

		memcpy(finding.hidden, fetch->hidden, sizeof(finding.hidden));
		service_find_answer(find, &finding, now_ns);
	}
	pool_release(&directory->fetches, fetch);
}

int service_directory_get_start(struct service_directory *directory,
				const struct service_wanted *wanted, uint64_t now_ns,
				struct service_directory_get **out_fetch)
{
	const struct overlay_seam *overlay = &directory->params.overlay;
	struct service_directory_get *fetch = pool_acquire(&directory->fetches);
	int err;

	if (!fetch)
		return WEFT_EFULL;
	fetch->directory = directory;
	fetch->started_ns = now_ns;
	memcpy(fetch->name, wanted->name, sizeof(fetch->name));
	memcpy(fetch->id, wanted->id, sizeof(fetch->id));
	fetch->text_len = wanted_text(wanted, fetch->text);
	list_init(&fetch->finds);
	err = overlay->ops->get(overlay->overlay,
				&(struct overlay_get_params){.name = fetch->text,
							     .name_len = fetch->text_len,
							     .tag = wanted->has_name
									    ? SERVICE_TAG_BY_NAME
									    : SERVICE_TAG_BY_ID,
							     .value = value_take,
							     .done = fetch_done,
							     .arg = fetch},
				now_ns, &fetch->run);
	if (err < 0) {
		pool_release(&directory->fetches, fetch);
		return err;
	}
	*out_fetch = fetch;
	return 0;
}

void service_directory_get_stop(struct service_directory_get *fetch)
{
	fetch->directory->params.overlay.ops->cancel(fetch->run);
	pool_release(&fetch->directory->fetches, fetch);
}
