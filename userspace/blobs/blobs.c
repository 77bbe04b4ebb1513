/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts blobs/ together: shares, imports, serving, getting, sweeping. Each
 * is an object with a file of its own; they find each other through struct
 * content (blobs_state.h).
 */
#include "blobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "blobs_state.h"
#include "gc.h"
#include "blobs/get/get.h"
#include "blobs/import/import.h"
#include "blobs/manifest/manifest.h"
#include "object.h"
#include "blobs/read/read.h"
#include "blobs/serve/in_progress.h"
#include "scope.h"
#include "blobs/serve/served_index.h"
#include "scrub.h"
#include "blobs/serve/serve.h"
#include "shares/share_table.h"
#include "blobs/swarm/swarm.h"
#include "store/store.h"

#define SCOPE_AGAIN_NS NS_PER_S

void content_config_defaults(struct content_config *config)
{
	*config = (struct content_config){
		.import_threads = 2,
		.share_cap = 1024,
		.get_cap = 1024,
		.get_active_cap = 4,
		.chunks_in_flight = 32,
		.chunk_buffer_cnt = 128,
		.request_timeout_ns = 30 * NS_PER_S,
		.stall_ns = 10 * NS_PER_S,
		.item_cap = MANIFEST_ITEMS_MAX,
		.month_reset_day = 1,
		.month_glide_percent = 50,
	};
}

/* The configuration was checked before it got here; what is wrong all the same changes nothing. */
static void zones_take(struct content *content)
{
	const char *at;

	(void)!zones_parse(content->params.config.zones, &content->zones, &at);
}

/* What was set while the node ran, before. */
static int kept_limits_load(struct content *content)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(content->params.store, &snapshot);

	if (err)
		return err;
	err = content_limits_load(content, snapshot);
	if (err == 0)
		err = months_load(&content->months, snapshot);
	store_snapshot_close(snapshot);
	return err;
}

static int content_begin(const struct content_params *params, struct content **out_content)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content)
		return -ENOMEM;
	content->params = *params;
	memcpy(content->limits.configured, params->config.limits, sizeof(params->config.limits));
	zones_take(content);
	content->served_index = served_index_new();
	if (!content->served_index) {
		free(content);
		return -ENOMEM;
	}
	*out_content = content;
	return 0;
}

int content_new(const struct content_params *params, struct content **out_content)
{
	struct content *content;
	int err = content_begin(params, &content);

	if (err < 0)
		return err;
	content->is_served_stale = true;
	err = shares_new(content, &content->shares);
	if (err == 0)
		err = imports_new(content, &content->imports);
	if (err == 0)
		err = gc_new(content, &content->gc);
	if (err == 0)
		err = serve_new(content, &content->serve);
	if (err == 0)
		err = kept_limits_load(content);
	if (err == 0) {
		months_init(content, params->now_ns);
		hours_init(content, params->now_ns);
		content_limits_apply(content, params->now_ns);
	}
	if (err == 0)
		err = swarms_new(content, &content->swarms);
	if (err == 0)
		err = gets_new(content, &content->gets);
	if (err == 0)
		err = readers_new(content, &content->readers);
	if (err == 0)
		err = scrub_new(content, &content->scrub);
	if (err < 0) {
		content_free(content);
		return err;
	}
	*out_content = content;
	return 0;
}

int content_server_new(const struct content_params *params, struct content **out_content)
{
	struct content *content;
	int err = content_begin(params, &content);

	if (err < 0)
		return err;
	content->is_server = true;
	err = serve_new(content, &content->serve);
	if (err < 0) {
		content_free(content);
		return err;
	}
	content_limits_apply(content, params->now_ns);
	*out_content = content;
	return 0;
}

void content_free(struct content *content)
{
	if (!content)
		return;
	if (!content->is_server) {
		/* Nobody is told anything any more; then what is under way comes back. */
		imports_stop(content->imports);
		shares_stop(content->shares);
		gc_stop(content->gc);
		content->limits.is_stopped = true;
		hours_fini(content);
		months_fini(content);
		store_flush(content->params.store);
		scrub_free(content->scrub);
		readers_free(content->readers);
		gets_free(content->gets);
		swarms_free(content->swarms);
	}
	serve_free(content->serve);
	gc_free(content->gc);
	imports_free(content->imports);
	shares_free(content->shares);
	blind_keys_fini(&content->blinds);
	served_index_free(content->served_index);
	free(content);
}

void content_configure(struct content *content, const struct content_config *config)
{
	struct content_config *own = &content->params.config;

	own->share_cap = config->share_cap;
	own->get_active_cap = config->get_active_cap;
	own->request_timeout_ns = config->request_timeout_ns;
	own->stall_ns = config->stall_ns;
	own->item_cap = config->item_cap;
	own->scrub_rate = config->scrub_rate;
	own->seed_percent = config->seed_percent;
	own->seed_for_ns = config->seed_for_ns;
	own->month_reset_day = config->month_reset_day;
	own->month_glide_percent = config->month_glide_percent;
	memcpy(own->zones, config->zones, sizeof(own->zones));
	zones_take(content);
	/* Other workers hear of limits from home, which knows those that were set, too. */
	if (content->is_server)
		return;
	scrub_configured(content->scrub);
	gets_configured(content->gets, serve_now_ns(content->serve));
	memcpy(content->limits.configured, config->limits, sizeof(config->limits));
	hours_configure(content, config, serve_now_ns(content->serve));
	content_limits_apply(content, serve_now_ns(content->serve));
	if (content->params.on_limits_changed)
		content->params.on_limits_changed(content->params.ctx);
}

int content_fd(const struct content *content)
{
	return content->is_server ? -1 : imports_fd(content->imports);
}

void content_reap(struct content *content, uint64_t now_ns)
{
	if (!content->is_server)
		imports_reap(content->imports, now_ns);
}

bool content_is_hashing(const struct content *content)
{
	return !content->is_server && imports_is_hashing(content->imports);
}

void content_tell(struct content *content, const struct content_event *event)
{
	if (content->params.on_event)
		content->params.on_event(content->params.ctx, event);
}

/* --- what peers may read --- */

void content_served_changed(struct content *content)
{
	content->is_served_stale = true;
	if (content->params.on_served_changed)
		content->params.on_served_changed(content->params.ctx);
}

static void served_take(void *arg, const uint8_t manifest_id[static 32], uint64_t len)
{
	content_note_served(arg, manifest_id, len);
}

void content_collect_served(struct content *content)
{
	served_index_served_each(content->served_index, served_take, content);
}

int content_add_holder(struct content *content, const struct content_retainer *holder)
{
	if (content->holder_cnt == CONTENT_HOLDERS_MAX)
		return WEFT_EFULL;
	content->holders[content->holder_cnt++] = *holder;
	content_served_changed(content);
	return 0;
}

void content_holder_changed(struct content *content)
{
	content_served_changed(content);
}

int content_holder_begin(struct content *content)
{
	if (content->is_sweeping)
		return WEFT_EBUSY;
	content->unheld_cnt++;
	return 0;
}

void content_holder_end(struct content *content)
{
	content->unheld_cnt--;
}

bool content_admits(const struct content *content, const uint8_t id[static 32],
		    const uint8_t key[static MESH_KEY_LEN])
{
	const struct content_params *params = &content->params;

	return params->admits && params->admits(params->store, id, key, content_wall_s(content));
}

static bool manifest_scope(const struct content *content, const uint8_t *id,
			   struct scope *out_scope)
{
	return served_index_scope_of(content->served_index, id, out_scope) ||
	       scope_load(content->params.store, id, out_scope) == 0;
}

bool content_scope_hides(const struct content *content, const struct scope *scope)
{
	const struct content_params *params = &content->params;

	if (scope_is_open(scope))
		return false;
	for (uint32_t i = 0; i < scope->cnt && !scope->is_closed; i++)
		if (params->hides && !params->hides(params->store, scope->ids[i]))
			return false;
	return true;
}

bool content_scope_of(const struct content *content, const uint8_t manifest_id[static 32],
		      struct scope *out_scope)
{
	struct scope scope;

	if (!manifest_scope(content, manifest_id, &scope) || scope.is_closed)
		return false;
	*out_scope = scope;
	return true;
}

bool content_has_scope(const struct content *content, const uint8_t manifest_id[static 32])
{
	struct scope scope;

	return manifest_scope(content, manifest_id, &scope);
}

bool content_hides(const struct content *content, const uint8_t manifest_id[static 32])
{
	struct scope scope;

	return !manifest_scope(content, manifest_id, &scope) ||
	       content_scope_hides(content, &scope);
}

bool content_lets(const struct content *content, const uint8_t manifest_id[static 32],
		  const uint8_t key[static MESH_KEY_LEN])
{
	struct scope scope;

	if (!manifest_scope(content, manifest_id, &scope) || scope.is_closed)
		return false;
	for (uint32_t i = 0; i < scope.cnt; i++)
		if (content_admits(content, scope.ids[i], key))
			return true;
	return scope.cnt == 0;
}

/* From the list of before, else from the store. What is not stored yet is closed until it is. */
static void scope_find(struct served_filling *filling, const uint8_t *id, struct scope *out_scope)
{
	struct content *content = filling->content;
	int err;

	if (served_index_scope_of(content->served_index, id, out_scope) && !out_scope->is_closed)
		return;
	err = scope_load(content->params.store, id, out_scope);
	if (err == 0)
		return;
	content->is_scope_absent |= err != WEFT_EMALFORMED;
	*out_scope = (struct scope){.is_closed = true};
}

int content_scope_set(struct served_filling *filling, const uint8_t id[static 32])
{
	struct scope scope;

	scope_find(filling, id, &scope);
	return served_index_set_scope(filling->served_index, &scope);
}

static bool held_fill(void *arg, const uint8_t manifest_id[static 32], const uint8_t *part_ids,
		      size_t part_cnt)
{
	struct served_filling *filling = arg;
	struct served_index *served_index = filling->served_index;
	int err = content_scope_set(filling, manifest_id);

	if (!err)
		err = served_index_add_manifest(served_index, manifest_id);
	for (size_t i = 0; i < part_cnt && !err; i++)
		err = served_index_add_manifest(served_index, part_ids + 32 * i);
	return err == 0;
}

static bool served_index_fill(struct served_filling *filling)
{
	const struct content *content = filling->content;

	if (shares_fill_served(content->shares, filling) < 0 ||
	    (content->gets && gets_fill_served(content->gets, filling) < 0))
		return false;
	for (unsigned i = 0; i < content->holder_cnt; i++) {
		const struct content_retainer *holder = &content->holders[i];

		if (!holder->manifests_each(holder->ctx, held_fill, filling))
			return false;
	}
	return true;
}

/* Once a second it looks whether a manifest of unknown scope was stored, or can be read, by now. */
static bool served_index_is_current(const struct content *content)
{
	return !content->is_served_stale &&
	       !(content->is_scope_absent &&
		 serve_now_ns(content->serve) >= content->served_index_ns + SCOPE_AGAIN_NS);
}

/* When a new list cannot be made the old one stays, and is_served_stale says so. */
struct served_index *content_served_index(struct content *content)
{
	struct served_filling filling = {.content = content};
	struct served_index *served_index;
	bool is_filled;

	if (content->is_server || served_index_is_current(content))
		return content->served_index;
	content->is_scope_absent = false;
	content->served_index_ns = serve_now_ns(content->serve);
	filling.served_index = served_index = served_index_new();
	is_filled = served_index && served_index_fill(&filling);
	if (!is_filled) {
		served_index_free(served_index);
		return content->served_index;
	}
	served_index_seal(served_index);
	/* What was counted may end the seeding of a get, and then the new list is stale already. */
	content->is_served_stale = false;
	content_collect_served(content);
	served_index_free(content->served_index);
	content->served_index = served_index;
	return served_index;
}

struct served_index *content_served_copy(struct content *content)
{
	struct served_index *served_index = content_served_index(content);

	return content->is_served_stale ? NULL : served_index_copy(served_index);
}

void content_take_served(struct content *content, struct served_index *served_index)
{
	served_index_free(content->served_index);
	content->served_index = served_index;
	serve_forget_files(content->serve);
}

bool content_has_new_in_progress(const struct content *content)
{
	return serve_in_progress(content->serve)->is_changed;
}

struct in_progress *content_in_progress_copy(struct content *content)
{
	struct in_progress *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	in_progress_init(copy);
	if (in_progress_copy(serve_in_progress(content->serve), copy) == 0)
		return copy;
	content_in_progress_free(copy);
	return NULL;
}

void content_take_in_progress(struct content *content, struct in_progress *in_progress)
{
	in_progress_take(serve_in_progress(content->serve), in_progress);
	content_in_progress_free(in_progress);
}

void content_in_progress_free(struct in_progress *in_progress)
{
	if (in_progress)
		in_progress_fini(in_progress);
	free(in_progress);
}

void content_served_free(struct served_index *served_index)
{
	served_index_free(served_index);
}

void content_served_each(struct content *content,
			 void (*fn)(void *arg, const uint8_t manifest_id[static 32], uint64_t len),
			 void *arg)
{
	served_index_served_each(content->served_index, fn, arg);
}

void content_note_served(struct content *content, const uint8_t manifest_id[static 32],
			 uint64_t len)
{
	shares_note_served(content->shares, manifest_id, len);
	if (content->gets)
		gets_note_served(content->gets, manifest_id, len);
}

/* --- what serving finds out --- */

static void content_tell_finding(struct content *content, bool is_changed,
				 const struct object_file *file)
{
	const struct content_finding finding = {is_changed, file, sizeof(*file)};

	content->params.on_finding(content->params.ctx, &finding);
}

void content_forget_file(struct content *content, const struct object_file *file)
{
	struct store_batch *batch;

	if (content->is_server) {
		content_tell_finding(content, true, file);
		return;
	}
	batch = store_batch_new(content->params.store);
	object_file_forget(batch, file);
	/* A store that is full now will see the file again: whoever reads it tells us. */
	if (store_submit(content->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
	shares_note_changed(content->shares, file->path);
}

/* Imports and gets have records under way that nobody can read yet. */
void content_trust_file(struct content *content, const struct object_file *file)
{
	struct content_stats stats;

	if (content->is_server) {
		content_tell_finding(content, false, file);
		return;
	}
	content_stats(content, &stats);
	if (stats.import_cnt == 0 && stats.get_active_cnt == 0)
		object_file_trust(content->params.store, file);
}

void content_note_finding(struct content *content, const struct content_finding *finding)
{
	if (finding->is_changed)
		content_forget_file(content, finding->bytes);
	else
		content_trust_file(content, finding->bytes);
}

void content_note_member(struct content *content, const struct content_member *member,
			 uint64_t now_ns)
{
	serve_note_member(content->serve, member, now_ns);
}

bool content_gives(struct content *content, const uint8_t content_id[static 32],
		   const uint8_t key[static MESH_KEY_LEN])
{
	return serve_gives(content->serve, content_id, key);
}

unsigned content_member_cnt(const struct content *content, const uint8_t id[static 32])
{
	return serve_member_cnt(content->serve, id);
}

void content_set_blocker(struct content *content,
			 bool (*is_blocked)(void *ctx, const uint8_t content_id[static 32]),
			 void *ctx)
{
	content->is_blocked = is_blocked;
	content->blocker = ctx;
}

bool content_is_blocked(const struct content *content, const uint8_t content_id[static 32])
{
	return content->is_blocked && content->is_blocked(content->blocker, content_id);
}

uint64_t content_wall_s(const struct content *content)
{
	return content->params.wall_s ? content->params.wall_s(content->params.ctx) : 0;
}

int64_t content_utc_offset_s(const struct content *content, uint64_t wall_s)
{
	const struct content_params *params = &content->params;

	return params->utc_offset_s ? params->utc_offset_s(params->ctx, wall_s) : 0;
}

void content_stats(const struct content *content, struct content_stats *out_stats)
{
	*out_stats = (struct content_stats){0};
	serve_fill_stats(content->serve, out_stats);
	if (content->is_server)
		return;
	out_stats->share_cnt = shares_cnt(content->shares);
	out_stats->import_cnt = imports_cnt(content->imports);
	gets_fill_stats(content->gets, out_stats);
	out_stats->streamed_byte_cnt = content->streamed_byte_cnt;
	out_stats->received_byte_cnt += content->streamed_byte_cnt;
}

int content_check_files(struct content *content, const struct content_files_ask *ask,
			uint64_t now_ns)
{
	return scrub_check(content->scrub, ask, now_ns);
}

unsigned content_bad_files(struct content *content, char *out_path, size_t cap)
{
	return scrub_bad_files(content->scrub, out_path, cap);
}

void content_check_files_cancel(struct content *content)
{
	scrub_check_cancel(content->scrub);
}
