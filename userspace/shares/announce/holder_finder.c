/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks in the overlay for holders of a manifest or a content. It asks for the holder records
 * under the id, and for a content the sets of its region at both depths, all at once. Each
 * holder is reported once in a search, as far as memory lasts. The swarm asks the holder whether
 * it is true.
 */
#include <errno.h>
#include <string.h>

#include "announce_state.h"
#include "region_sets.h"
#include "crypto/node_key.h"

/* Holders of a search, each reported once; liars may fill this, and are reported more often. */
#define FINDER_HOLDERS_MAX 64

enum { WANT_COARSE, WANT_FINE, WANT_CNT };
static const unsigned want_depths[WANT_CNT] = {GOLOMB_SET_DEPTH_COARSE, GOLOMB_SET_DEPTH_FINE};

struct want {
	struct announce_want base; /* first */
	struct announce_lookup *search;
	bool is_out;
};

struct announce_lookup {
	struct announce *announce;
	struct swarm_find asked;
	struct overlay_run *run;
	struct want wants[WANT_CNT];
	uint8_t holders[FINDER_HOLDERS_MAX][MESH_KEY_LEN];
	unsigned holder_cnt;
};

/* --- what is found --- */

static bool holder_is_new(struct announce_lookup *search, const uint8_t *key)
{
	if (memcmp(key, node_key_public(search->announce->params.key), MESH_KEY_LEN) == 0)
		return false;
	for (unsigned i = 0; i < search->holder_cnt; i++)
		if (memcmp(search->holders[i], key, MESH_KEY_LEN) == 0)
			return false;
	if (search->holder_cnt < FINDER_HOLDERS_MAX)
		memcpy(search->holders[search->holder_cnt++], key, MESH_KEY_LEN);
	return true;
}

static void holder_tell(struct announce_lookup *search, const uint8_t *key,
			const struct peer_places *places)
{
	const struct mesh_peer peer = mesh_peer_at(key, places);

	if (!holder_is_new(search, key))
		return;
	search->announce->stats.found_cnt++;
	search->asked.found(search->asked.arg, &peer);
}

static void record_take(void *arg, const uint8_t *value, size_t len,
			const struct overlay_claim *claim)
{
	struct holder holder;

	(void)claim;
	if (shares_holder_record_parse(value + 1, len - 1, &holder) == 0)
		holder_tell(arg, holder.key, &holder.places);
}

static void set_found(struct announce_want *base, const struct golomb_set *set)
{
	holder_tell(((struct want *)base)->search, set->key, &set->places);
}

/* --- the end --- */

static void lookup_silence(struct announce_lookup *search)
{
	for (unsigned i = 0; i < WANT_CNT; i++) {
		if (search->wants[i].is_out)
			shares_announce_sets_leave(&search->wants[i].base);
		search->wants[i].is_out = false;
	}
	if (search->run)
		search->announce->params.overlay.ops->cancel(search->run);
	search->run = NULL;
}

static void search_free(struct announce_lookup *search)
{
	lookup_silence(search);
	pool_release(&search->announce->searches, search);
}

static void part_done(struct announce_lookup *search, uint64_t now_ns)
{
	struct swarm_find asked = search->asked;

	if (search->run || search->wants[WANT_COARSE].is_out || search->wants[WANT_FINE].is_out)
		return;
	search_free(search);
	asked.done(asked.arg, now_ns);
}

static void records_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct announce_lookup *search = arg;

	(void)result;
	search->run = NULL;
	part_done(search, now_ns);
}

static void want_done(struct announce_want *base, uint64_t now_ns)
{
	struct want *want = (struct want *)base;

	want->is_out = false;
	part_done(want->search, now_ns);
}

/* --- the beginning --- */

/* Sets that cannot be asked for now are done without: the records may be enough. */
static void sets_want(struct announce_lookup *search, uint64_t now_ns)
{
	for (unsigned i = 0; i < WANT_CNT; i++) {
		struct want *want = &search->wants[i];

		want->search = search;
		want->base.found = set_found;
		want->base.done = want_done;
		memcpy(want->base.id, search->asked.id, sizeof(want->base.id));
		want->is_out = shares_announce_sets_want(search->announce->sets, want_depths[i],
							 &want->base, now_ns) == 1;
	}
}

static int finder_find(void *ctx, const struct swarm_find *asked, uint64_t now_ns, void **out_run)
{
	struct announce *announce = ctx;
	const struct overlay_seam *overlay = &announce->params.overlay;
	bool is_content = asked->kind == FINDER_CONTENT;
	enum announce_tag tag = is_content ? ANNOUNCE_CONTENT : ANNOUNCE_MANIFEST;
	struct announce_lookup *search =
		announce->is_stopped ? NULL : pool_acquire(&announce->searches);
	uint8_t name[ANNOUNCE_NAME_CAP];
	int err;

	if (!search)
		return WEFT_EFULL;
	search->announce = announce;
	search->asked = *asked;
	err = overlay->ops->get(overlay->overlay,
				&(struct overlay_get_params){.name = name,
							     .name_len = shares_announce_name_of_id(
								     tag, asked->id, name),
							     .tag = (uint8_t)tag,
							     .value = record_take,
							     .done = records_done,
							     .arg = search},
				now_ns, &search->run);
	if (err < 0) {
		pool_release(&announce->searches, search);
		return err;
	}
	announce->stats.lookup_cnt++;
	if (is_content)
		sets_want(search, now_ns);
	search->asked.id = NULL; /* was borrowed */
	*out_run = search;
	return 0;
}

static void finder_cancel(void *run)
{
	search_free(run);
}

static const struct swarm_finder_ops finder_ops = {
	.find = finder_find,
	.cancel = finder_cancel,
};

struct swarm_finder shares_announce_finder(struct announce *announce)
{
	return (struct swarm_finder){&finder_ops, announce};
}

/* --- life --- */

int shares_announce_finder_init(struct announce *announce)
{
	const struct announce_config *config = &announce->params.config;
	int err = shares_announce_sets_new(&announce->arena, config->region_cap,
					   config->set_memory_len, &announce->params.overlay,
					   &announce->sets);

	return err < 0 ? err
		       : pool_init(&announce->searches, &announce->arena,
				   sizeof(struct announce_lookup), config->lookup_cap);
}

/* Searches stay until their owner, which outlives the overlay, takes them back. */
void shares_announce_finder_stop(struct announce *announce)
{
	struct announce_lookup *search = NULL;

	while ((search = pool_next(&announce->searches, search)))
		lookup_silence(search);
	shares_announce_sets_stop(announce->sets);
}

void shares_announce_finder_fini(struct announce *announce)
{
	shares_announce_sets_free(announce->sets);
}

void shares_announce_finder_fill_stats(const struct announce *announce,
				       struct announce_stats *stats)
{
	stats->lookup_out_cnt = announce->searches.used_cnt;
	shares_announce_sets_count(announce->sets, &stats->region_kept_cnt, &stats->set_len);
}
