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
#include "content_message_holders.h"
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
#include "blobs/serve/servers.h"
#include "blobs/share_table.h"
#include "blobs/swarm/swarm.h"
#include "store/store.h"

#define SCOPE_AGAIN_NS NS_PER_S

void blobs_config_defaults(struct blobs_config *config)
{
	*config = (struct blobs_config){
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
static void zones_take(struct blobs *content)
{
	const char *at;

	(void)!blobs_zones_parse(content->params.config.zones, &content->zones, &at);
}

/* The limits that were set while the node ran, before. */
static int kept_limits_load(struct blobs *content)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(content->params.store, &snapshot);

	if (err)
		return err;
	err = blobs_limits_load(content, snapshot);
	if (err == 0)
		err = blobs_months_load(&content->months, snapshot);
	store_snapshot_close(snapshot);
	return err;
}

static int content_begin(const struct blobs_params *params, struct blobs **out_content)
{
	struct blobs *content = calloc(1, sizeof(*content));

	if (!content)
		return -ENOMEM;
	content->params = *params;
	memcpy(content->limits.configured, params->config.limits, sizeof(params->config.limits));
	zones_take(content);
	content->served_index = blobs_served_index_new();
	if (!content->served_index) {
		free(content);
		return -ENOMEM;
	}
	*out_content = content;
	return 0;
}

int blobs_new(const struct blobs_params *params, struct blobs **out_content)
{
	struct blobs *content;
	int err = content_begin(params, &content);

	if (err < 0)
		return err;
	content->is_served_stale = true;
	err = blobs_shares_new(content, &content->shares);
	if (err == 0)
		err = blobs_imports_new(content, &content->imports);
	if (err == 0)
		err = blobs_gc_new(content, &content->gc);
	if (err == 0)
		err = blobs_serve_new(content, &content->serve);
	if (err == 0)
		err = kept_limits_load(content);
	if (err == 0) {
		blobs_months_init(content, params->now_ns);
		blobs_hours_init(content, params->now_ns);
		blobs_limits_apply(content, params->now_ns);
	}
	if (err == 0)
		err = blobs_swarms_new(content, &content->swarms);
	if (err == 0)
		err = blobs_gets_new(content, &content->gets);
	if (err == 0)
		err = blobs_readers_new(content, &content->readers);
	if (err == 0)
		err = blobs_scrub_new(content, &content->scrub);
	if (err < 0) {
		blobs_free(content);
		return err;
	}
	*out_content = content;
	return 0;
}

int blobs_server_new(const struct blobs_params *params, struct blobs **out_content)
{
	struct blobs *content;
	int err = content_begin(params, &content);

	if (err < 0)
		return err;
	content->is_server = true;
	err = blobs_serve_new(content, &content->serve);
	if (err < 0) {
		blobs_free(content);
		return err;
	}
	blobs_limits_apply(content, params->now_ns);
	*out_content = content;
	return 0;
}

void blobs_free(struct blobs *content)
{
	if (!content)
		return;
	if (!content->is_server) {
		/* Callbacks to callers stop first; then work under way comes back. */
		blobs_imports_stop(content->imports);
		blobs_shares_stop(content->shares);
		blobs_gc_stop(content->gc);
		content->limits.is_stopped = true;
		blobs_hours_fini(content);
		blobs_months_fini(content);
		store_flush(content->params.store);
		blobs_scrub_free(content->scrub);
		blobs_readers_free(content->readers);
		blobs_gets_free(content->gets);
		blobs_swarms_free(content->swarms);
	}
	blobs_serve_free(content->serve);
	blobs_gc_free(content->gc);
	blobs_imports_free(content->imports);
	blobs_shares_free(content->shares);
	blobs_blind_keys_fini(&content->blinds);
	blobs_served_index_free(content->served_index);
	free(content);
}

void blobs_configure(struct blobs *content, const struct blobs_config *config)
{
	struct blobs_config *own = &content->params.config;

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
	/* Home passes the limits on to the other workers: which knows those that were set, too. */
	if (content->is_server)
		return;
	blobs_scrub_configured(content->scrub);
	blobs_gets_configured(content->gets, blobs_serve_now_ns(content->serve));
	memcpy(content->limits.configured, config->limits, sizeof(config->limits));
	blobs_hours_configure(content, config, blobs_serve_now_ns(content->serve));
	blobs_limits_apply(content, blobs_serve_now_ns(content->serve));
	if (content->params.on_limits_changed)
		content->params.on_limits_changed(content->params.ctx);
}

int blobs_fd(const struct blobs *content)
{
	return content->is_server ? -1 : blobs_imports_fd(content->imports);
}

void blobs_reap(struct blobs *content, uint64_t now_ns)
{
	if (!content->is_server)
		blobs_imports_reap(content->imports, now_ns);
}

bool blobs_is_hashing(const struct blobs *content)
{
	return !content->is_server && blobs_imports_is_hashing(content->imports);
}

void blobs_tell(struct blobs *content, const struct blobs_event *event)
{
	if (content->params.on_event)
		content->params.on_event(content->params.ctx, event);
}

void blobs_tell_sent(struct blobs *content, const uint8_t *key, uint64_t len)
{
	if (content->params.on_sent)
		content->params.on_sent(content->params.ctx, key, len);
}

/* --- what peers may read --- */

void blobs_served_changed(struct blobs *content)
{
	content->is_served_stale = true;
	if (content->params.on_served_changed)
		content->params.on_served_changed(content->params.ctx);
}

static void served_take(void *arg, const uint8_t manifest_id[static 32], uint64_t len)
{
	blobs_note_served(arg, manifest_id, len);
}

void blobs_collect_served(struct blobs *content)
{
	blobs_served_index_served_each(content->served_index, served_take, content);
}

int blobs_add_holder(struct blobs *content, const struct blobs_retainer *holder)
{
	if (content->holder_cnt == BLOBS_HOLDERS_MAX)
		return WEFT_EFULL;
	content->holders[content->holder_cnt++] = *holder;
	blobs_served_changed(content);
	return 0;
}

void blobs_holder_changed(struct blobs *content)
{
	blobs_served_changed(content);
}

int blobs_holder_begin(struct blobs *content)
{
	if (content->is_sweeping)
		return WEFT_EBUSY;
	content->unheld_cnt++;
	return 0;
}

void blobs_holder_end(struct blobs *content)
{
	content->unheld_cnt--;
}

bool blobs_admits(const struct blobs *content, const uint8_t id[static 32],
		  const uint8_t key[static MESH_KEY_LEN])
{
	const struct blobs_params *params = &content->params;

	return params->admits && params->admits(params->store, id, key, blobs_wall_s(content));
}

static bool manifest_scope(const struct blobs *content, const uint8_t *id, struct scope *out_scope)
{
	return blobs_served_index_scope_of(content->served_index, id, out_scope) ||
	       blobs_scope_load(content->params.store, id, out_scope) == 0;
}

bool blobs_scope_hides(const struct blobs *content, const struct scope *scope)
{
	const struct blobs_params *params = &content->params;

	if (blobs_scope_is_open(scope))
		return false;
	for (uint32_t i = 0; i < scope->cnt && !scope->is_closed; i++)
		if (params->hides && !params->hides(params->store, scope->ids[i]))
			return false;
	return true;
}

bool blobs_scope_of(const struct blobs *content, const uint8_t manifest_id[static 32],
		    struct scope *out_scope)
{
	struct scope scope;

	if (!manifest_scope(content, manifest_id, &scope) || scope.is_closed)
		return false;
	*out_scope = scope;
	return true;
}

bool blobs_has_scope(const struct blobs *content, const uint8_t manifest_id[static 32])
{
	struct scope scope;

	return manifest_scope(content, manifest_id, &scope);
}

bool blobs_hides(const struct blobs *content, const uint8_t manifest_id[static 32])
{
	struct scope scope;

	return !manifest_scope(content, manifest_id, &scope) || blobs_scope_hides(content, &scope);
}

bool blobs_lets(const struct blobs *content, const uint8_t manifest_id[static 32],
		const uint8_t key[static MESH_KEY_LEN])
{
	struct scope scope;

	if (!manifest_scope(content, manifest_id, &scope) || scope.is_closed)
		return false;
	for (uint32_t i = 0; i < scope.cnt; i++)
		if (blobs_admits(content, scope.ids[i], key))
			return true;
	return scope.cnt == 0;
}

/*
 * From the list of before, else from the store. A change that is not stored yet is closed until
 * it is.
 */
static void scope_find(struct served_filling *filling, const uint8_t *id, struct scope *out_scope)
{
	struct blobs *content = filling->content;
	int err;

	if (blobs_served_index_scope_of(content->served_index, id, out_scope) &&
	    !out_scope->is_closed)
		return;
	err = blobs_scope_load(content->params.store, id, out_scope);
	if (err == 0)
		return;
	content->is_scope_absent |= err != WEFT_EMALFORMED;
	*out_scope = (struct scope){.is_closed = true};
}

int blobs_scope_set(struct served_filling *filling, const uint8_t id[static 32])
{
	struct scope scope;

	scope_find(filling, id, &scope);
	return blobs_served_index_set_scope(filling->served_index, &scope);
}

static bool held_fill(void *arg, const uint8_t manifest_id[static 32], const uint8_t *part_ids,
		      size_t part_cnt)
{
	struct served_filling *filling = arg;
	struct served_index *served_index = filling->served_index;
	int err = blobs_scope_set(filling, manifest_id);

	if (!err)
		err = blobs_served_index_add_manifest(served_index, manifest_id);
	for (size_t i = 0; i < part_cnt && !err; i++)
		err = blobs_served_index_add_manifest(served_index, part_ids + 32 * i);
	return err == 0;
}

static bool served_index_fill(struct served_filling *filling)
{
	const struct blobs *content = filling->content;

	if (blobs_shares_fill_served(content->shares, filling) < 0 ||
	    (content->gets && blobs_gets_fill_served(content->gets, filling) < 0))
		return false;
	for (unsigned i = 0; i < content->holder_cnt; i++) {
		const struct blobs_retainer *holder = &content->holders[i];

		if (!holder->manifests_each(holder->ctx, held_fill, filling))
			return false;
	}
	return true;
}

/* Once a second it looks whether a manifest of unknown scope was stored, or can be read, by now. */
static bool served_index_is_current(const struct blobs *content)
{
	return !content->is_served_stale &&
	       !(content->is_scope_absent &&
		 blobs_serve_now_ns(content->serve) >= content->served_index_ns + SCOPE_AGAIN_NS);
}

/* When a new list cannot be made the old one stays, and is_served_stale says so. */
struct served_index *blobs_served_index(struct blobs *content)
{
	struct served_filling filling = {.content = content};
	struct served_index *served_index;
	bool is_filled;

	if (content->is_server || served_index_is_current(content))
		return content->served_index;
	content->is_scope_absent = false;
	content->served_index_ns = blobs_serve_now_ns(content->serve);
	filling.served_index = served_index = blobs_served_index_new();
	is_filled = served_index && served_index_fill(&filling);
	if (!is_filled) {
		blobs_served_index_free(served_index);
		return content->served_index;
	}
	blobs_served_index_seal(served_index);
	/*
	 * The counted bytes may end the seeding of a get, and then the new list is stale
	 * already.
	 */
	content->is_served_stale = false;
	blobs_collect_served(content);
	blobs_served_index_free(content->served_index);
	content->served_index = served_index;
	return served_index;
}

struct served_index *blobs_served_copy(struct blobs *content)
{
	struct served_index *served_index = blobs_served_index(content);

	return content->is_served_stale ? NULL : blobs_served_index_copy(served_index);
}

void blobs_take_served(struct blobs *content, struct served_index *served_index)
{
	blobs_served_index_free(content->served_index);
	content->served_index = served_index;
	blobs_serve_forget_files(content->serve);
}

void blobs_note_served(struct blobs *content, const uint8_t manifest_id[static 32], uint64_t len)
{
	blobs_shares_note_served(content->shares, manifest_id, len);
	if (content->gets)
		blobs_gets_note_served(content->gets, manifest_id, len);
}

/* --- what serving finds out --- */

void blobs_forget_file(struct blobs *content, const struct object_file *file)
{
	struct store_batch *batch;

	if (content->is_server) {
		blobs_server_report_file(content, true, file);
		return;
	}
	batch = store_batch_new(content->params.store);
	blobs_object_file_forget(batch, file);
	/* A store that is full now will see the file again: its next reader reports it. */
	if (store_submit(content->params.store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
	blobs_shares_note_changed(content->shares, file->path);
}

/* Imports and gets have records under way that no snapshot shows yet. */
void blobs_trust_file(struct blobs *content, const struct object_file *file)
{
	struct blobs_stats stats;

	if (content->is_server) {
		blobs_server_report_file(content, false, file);
		return;
	}
	blobs_stats(content, &stats);
	if (stats.import_cnt == 0 && stats.get_active_cnt == 0)
		blobs_object_file_trust(content->params.store, file);
}

void blobs_note_member(struct blobs *content, const struct blobs_member *member, uint64_t now_ns)
{
	blobs_serve_note_member(content->serve, member, now_ns);
}

bool blobs_gives(struct blobs *content, const uint8_t content_id[static 32],
		 const uint8_t key[static MESH_KEY_LEN])
{
	return blobs_serve_gives(content->serve, content_id, key);
}

unsigned blobs_member_cnt(const struct blobs *content, const uint8_t id[static 32])
{
	return blobs_serve_member_cnt(content->serve, id);
}

unsigned blobs_members(struct blobs *content, const uint8_t id[static 32], uint64_t now_ns,
		       struct blobs_member out_members[static BLOBS_MEMBERS_MAX])
{
	struct message_holder holders[HOLDERS_MAX];
	unsigned cnt = blobs_serve_members(content->serve, id, now_ns, holders);

	_Static_assert(HOLDERS_MAX == BLOBS_MEMBERS_MAX, "one answer names them all");
	for (unsigned i = 0; i < cnt; i++) {
		struct blobs_member *member = &out_members[i];

		*member = (struct blobs_member){.addr_cnt = holders[i].addr_cnt};
		memcpy(member->id, id, sizeof(member->id));
		memcpy(member->key, holders[i].key, sizeof(member->key));
		memcpy(member->addrs, holders[i].addrs, sizeof(member->addrs));
	}
	return cnt;
}

void blobs_set_blocker(struct blobs *content,
		       bool (*is_blocked)(void *ctx, const uint8_t content_id[static 32]),
		       void *ctx)
{
	content->is_blocked = is_blocked;
	content->blocker = ctx;
}

bool blobs_is_blocked(const struct blobs *content, const uint8_t content_id[static 32])
{
	return content->is_blocked && content->is_blocked(content->blocker, content_id);
}

uint64_t blobs_wall_s(const struct blobs *content)
{
	return content->params.wall_s ? content->params.wall_s(content->params.ctx) : 0;
}

int64_t blobs_utc_offset_s(const struct blobs *content, uint64_t wall_s)
{
	const struct blobs_params *params = &content->params;

	return params->utc_offset_s ? params->utc_offset_s(params->ctx, wall_s) : 0;
}

void blobs_stats(const struct blobs *content, struct blobs_stats *out_stats)
{
	*out_stats = (struct blobs_stats){0};
	blobs_serve_fill_stats(content->serve, out_stats);
	if (content->is_server)
		return;
	out_stats->share_cnt = blobs_shares_cnt(content->shares);
	out_stats->import_cnt = blobs_imports_cnt(content->imports);
	blobs_gets_fill_stats(content->gets, out_stats);
	out_stats->streamed_byte_cnt = content->streamed_byte_cnt;
	out_stats->received_byte_cnt += content->streamed_byte_cnt;
	blobs_scrub_fill_stats(content->scrub, out_stats);
}

int blobs_check_files(struct blobs *content, const struct blobs_files_ask *ask, uint64_t now_ns)
{
	return blobs_scrub_check(content->scrub, ask, now_ns);
}

unsigned blobs_bad_files(struct blobs *content, char *out_path, size_t cap)
{
	return blobs_scrub_bad_files(content->scrub, out_path, cap);
}

void blobs_check_files_cancel(struct blobs *content)
{
	blobs_scrub_check_cancel(content->scrub);
}
