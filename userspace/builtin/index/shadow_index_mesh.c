/* SPDX-License-Identifier: Apache-2.0 */
#include "shadow_index_mesh.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "crypto/node_key.h"
#include "builtin/builtin.h"
#include "shadow_index.h"
#include "index_entry_value.h"

#define STEP_NS	     NS_PER_S
#define STEP_ROW_MAX 1024 /* looked at for one of this node */

/* ---- lookups ---- */

struct shadow_lookup {
	struct shadow_mesh *mesh;
	struct service_call *call;
	struct provider_run *run;
	uint8_t key[SHARD_KEY_LEN];
	struct shard here, found;
};

static void answer(struct service_call *call, const uint8_t key[SHARD_KEY_LEN],
		   const struct shard *here, const struct shard *found, uint64_t now_ns)
{
	struct shard all = *here;

	builtin_shard_merge(&all, found);
	builtin_shadow_index_answer(call, key, &all, now_ns);
}

static void on_value(void *arg, const uint8_t *value, size_t len, const struct overlay_claim *claim)
{
	struct shadow_lookup *lookup = arg;

	(void)claim;
	builtin_shard_value_merge(&lookup->found, value, len);
}

/*
 * A get that failed half-way also answers with the values until then; neither these nor an empty
 * result are cached.
 */
static void on_found(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct shadow_lookup *lookup = arg;
	struct shadow_mesh *mesh = lookup->mesh;
	struct shadow_cached *cached = &mesh->cache[lookup->key[0]];

	if (result->err == 0 && lookup->found.variant_cnt) {
		memcpy(cached->key, lookup->key, SHARD_KEY_LEN);
		cached->shard = lookup->found;
		cached->until_ns = now_ns + SHADOW_INDEX_CACHE_NS;
	}
	answer(lookup->call, lookup->key, &lookup->here, &lookup->found, now_ns);
	pool_release(&mesh->lookups, lookup);
}

static const struct shard *cache_find(const struct shadow_mesh *mesh,
				      const uint8_t key[SHARD_KEY_LEN], uint64_t now_ns)
{
	const struct shadow_cached *cached = &mesh->cache[key[0]];
	bool is_it = now_ns < cached->until_ns && memcmp(cached->key, key, SHARD_KEY_LEN) == 0;

	return is_it ? &cached->shard : NULL;
}

static bool has_overlay(const struct shadow_mesh *mesh)
{
	return provider_overlay_is_there(mesh->index->tenant);
}

static bool lookup_start(struct shadow_mesh *mesh, const struct request *request,
			 const struct shard_place *place, const struct shard *here)
{
	struct shadow_lookup *lookup = has_overlay(mesh) ? pool_acquire(&mesh->lookups) : NULL;
	char name[SHARD_NAME_CAP];
	size_t name_len = builtin_shard_name(place->kind, place->mbid, name);

	if (!lookup)
		return false;
	lookup->mesh = mesh;
	lookup->call = request->call;
	lookup->here = *here;
	memcpy(lookup->key, place->key, SHARD_KEY_LEN);
	if (provider_overlay_get(mesh->index->tenant,
				 &(struct overlay_get_params){.name = name,
							      .name_len = name_len,
							      .tag = SHARD_VALUE_TAG,
							      .value = on_value,
							      .done = on_found,
							      .arg = lookup},
				 request->now_ns, &lookup->run) == 0) {
		provider_counter_add(mesh->index->tenant, SHADOW_INDEX_ASKED, 1);
		return true;
	}
	pool_release(&mesh->lookups, lookup);
	return false;
}

void builtin_shadow_mesh_lookup(struct shadow_mesh *mesh, const struct request *request,
				const struct shard_place *place, const struct shard *shard)
{
	const struct shard *cached = cache_find(mesh, place->key, request->now_ns);
	static const struct shard nothing;

	if (!cached && has_overlay(mesh) && !service_spend(request->call, 1, request->now_ns))
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "the caller's work is used up");
	else if (cached || !lookup_start(mesh, request, place, shard))
		answer(request->call, place->key, shard, cached ? cached : &nothing,
		       request->now_ns);
}

void builtin_shadow_mesh_forget(struct shadow_mesh *mesh, const struct service_call *call)
{
	struct shadow_lookup *lookup = NULL;

	while ((lookup = pool_next(&mesh->lookups, lookup)))
		if (lookup->call == call) {
			provider_run_cancel(lookup->run);
			pool_release(&mesh->lookups, lookup);
		}
}

/* ---- publishing ---- */

struct row_find {
	const struct shadow_index *index;
	const uint8_t *own_key;
	unsigned row_cnt;
	struct shard row; /* of own_key, if has_row */
	bool has_row, has_more;
	uint8_t next[SHADOW_INDEX_KEY_LEN];
};

static bool row_find_take(struct row_find *find, const struct provider_row *row)
{
	if (find->has_row || find->row_cnt++ == STEP_ROW_MAX) {
		find->has_more = true;
		memcpy(find->next, row->key, SHADOW_INDEX_KEY_LEN);
		return false;
	}
	find->has_row = memcmp(row->key + SHARD_KEY_LEN, find->own_key, MESH_KEY_LEN) == 0 &&
			builtin_shard_parse(&find->row, row->value, row->value_len) == 0 &&
			!builtin_shadow_index_is_over(find->index, &find->row);
	return true;
}

static void on_put(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct shadow_mesh *mesh = arg;

	(void)result, (void)now_ns;
	mesh->put = NULL;
}

static void row_put(struct shadow_mesh *mesh, const struct shard *row, uint64_t now_ns)
{
	uint8_t value[SHARD_VALUE_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));
	char name[SHARD_NAME_CAP];
	size_t name_len = builtin_shard_name(row->kind, row->mbid, name);

	builtin_shard_value_write(row, mesh->key, builtin_shadow_index_wall_s(mesh->index), &w);
	/* A row that no node takes now comes again in a later cycle. */
	if (provider_overlay_put(
		    mesh->index->tenant,
		    &(struct overlay_put_params){.value = {name, name_len, value, writer_len(&w)},
						 .done = on_put,
						 .arg = mesh},
		    now_ns, &mesh->put) < 0)
		mesh->put = NULL;
	else
		provider_counter_add(mesh->index->tenant, SHADOW_INDEX_PUBLISHED, 1);
	mesh->cycle_cnt++;
}

/* Returns whether there are more rows to look at. */
static bool row_find_step(struct shadow_mesh *mesh, struct row_find *find)
{
	const struct provider_row_range range = {.from = mesh->publish_from,
						 .from_len = SHADOW_INDEX_KEY_LEN};
	struct provider_walk *walk = provider_walk_open(mesh->index->tenant, &range);
	struct provider_row row;

	while (provider_walk_next(walk, &row) &&
	       (row.key_len != SHADOW_INDEX_KEY_LEN || row_find_take(find, &row)))
		;
	if (provider_walk_close(walk) < 0)
		find->has_more = false;
	memcpy(mesh->publish_from, find->next, sizeof(mesh->publish_from));
	return find->has_more;
}

static void publish_fire(struct timer *timer, uint64_t now_ns)
{
	struct shadow_mesh *mesh = container_of(timer, struct shadow_mesh, publish.base);
	struct row_find find = {.index = mesh->index, .own_key = node_key_public(mesh->key)};
	bool has_more;

	if (now_ns >= mesh->cycle_ns + SHADOW_INDEX_CYCLE_NS) {
		mesh->cycle_ns = now_ns;
		mesh->cycle_cnt = 0;
	}
	has_more = mesh->put || row_find_step(mesh, &find);
	if (find.has_row)
		row_put(mesh, &find.row, now_ns);
	if (has_more && mesh->cycle_cnt < SHADOW_INDEX_CYCLE_MAX)
		provider_timer_set(&mesh->publish, now_ns + STEP_NS);
	else
		provider_timer_set(&mesh->publish, mesh->cycle_ns + SHADOW_INDEX_CYCLE_NS);
}

int builtin_shadow_mesh_init(struct shadow_mesh *mesh, struct shadow_index *index,
			     struct arena *arena, const struct builtin_params *params)
{
	int err;

	mesh->index = index;
	mesh->key = params->key;
	mesh->cache = arena_alloc(arena, SHADOW_INDEX_CACHE_CNT * sizeof(*mesh->cache));
	if (!mesh->cache)
		return WEFT_EFULL;
	err = pool_init(&mesh->lookups, arena, sizeof(struct shadow_lookup),
			SHADOW_INDEX_LOOKUP_MAX);
	if (err < 0 || !has_overlay(mesh))
		return err;
	if ((err = provider_timer_acquire(index->tenant, &mesh->publish, publish_fire)) < 0)
		return err;
	mesh->cycle_ns = params->now_ns;
	provider_timer_set(&mesh->publish, mesh->cycle_ns + SHADOW_INDEX_CYCLE_NS);
	return 0;
}

void builtin_shadow_mesh_hurry(struct shadow_mesh *mesh, uint64_t now_ns)
{
	if (!provider_timer_is_set(&mesh->publish))
		return;
	mesh->has_keepers = true;
	if (mesh->cycle_cnt >= SHADOW_INDEX_CYCLE_MAX)
		return;
	memset(mesh->publish_from, 0, sizeof(mesh->publish_from));
	provider_timer_set(&mesh->publish, now_ns);
}

void builtin_shadow_mesh_written(struct shadow_mesh *mesh, const uint8_t key[SHADOW_INDEX_KEY_LEN],
				 const struct shard *row, uint64_t now_ns)
{
	bool is_own = memcmp(key + SHARD_KEY_LEN, node_key_public(mesh->key), MESH_KEY_LEN) == 0;

	if (is_own && mesh->has_keepers && !mesh->put && mesh->cycle_cnt < SHADOW_INDEX_CYCLE_MAX)
		row_put(mesh, row, now_ns);
}

void builtin_shadow_mesh_fini(struct shadow_mesh *mesh)
{
	struct shadow_lookup *lookup = NULL;

	provider_timer_release(&mesh->publish);
	if (mesh->put)
		provider_run_cancel(mesh->put);
	while ((lookup = pool_next(&mesh->lookups, lookup)))
		provider_run_cancel(lookup->run);
}
