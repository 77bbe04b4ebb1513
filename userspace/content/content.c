/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts content/ together: shares, imports, serving, getting, sweeping. Each
 * is an object with a file of its own; they find each other through struct
 * content (content_state.h).
 */
#include "content/content.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "content/content_state.h"
#include "content/gc.h"
#include "content/get.h"
#include "content/import.h"
#include "content/manifest.h"
#include "content/object.h"
#include "content/serve.h"
#include "content/share.h"
#include "store/store.h"

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
	};
}

int content_new(const struct content_params *params, struct content **out_content)
{
	struct content *content = calloc(1, sizeof(*content));
	int err;

	if (!content)
		return -ENOMEM;
	content->params = *params;
	err = shares_new(content, &content->shares);
	if (err == 0)
		err = imports_new(content, &content->imports);
	if (err == 0)
		err = gc_new(content, &content->gc);
	if (err == 0)
		err = serve_new(content, &content->serve);
	if (err == 0)
		err = gets_new(content, &content->gets);
	if (err < 0) {
		content_free(content);
		return err;
	}
	*out_content = content;
	return 0;
}

void content_free(struct content *content)
{
	if (!content)
		return;
	/* Nobody is told anything any more; then what is under way comes back. */
	imports_stop(content->imports);
	shares_stop(content->shares);
	gc_stop(content->gc);
	store_flush(content->params.store);
	gets_free(content->gets);
	serve_free(content->serve);
	gc_free(content->gc);
	imports_free(content->imports);
	shares_free(content->shares);
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
}

int content_fd(const struct content *content)
{
	return imports_fd(content->imports);
}

void content_reap(struct content *content, uint64_t now_ns)
{
	imports_reap(content->imports, now_ns);
}

bool content_is_hashing(const struct content *content)
{
	return imports_is_hashing(content->imports);
}

void content_tell(struct content *content, const struct content_event *event)
{
	if (content->params.on_event)
		content->params.on_event(content->params.ctx, event);
}

void content_forget_file(struct content *content, const struct object_file *file)
{
	struct store_batch *batch = store_batch_new(content->params.store);

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

	content_stats(content, &stats);
	if (stats.import_cnt == 0 && stats.get_active_cnt == 0)
		object_file_trust(content->params.store, file);
}

uint64_t content_wall_s(const struct content *content)
{
	return content->params.wall_s ? content->params.wall_s(content->params.ctx) : 0;
}

void content_stats(const struct content *content, struct content_stats *out_stats)
{
	*out_stats = (struct content_stats){
		.share_cnt = shares_cnt(content->shares),
		.import_cnt = imports_cnt(content->imports),
	};
	serve_fill_stats(content->serve, out_stats);
	gets_fill_stats(content->gets, out_stats);
}
