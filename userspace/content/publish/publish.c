/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is published: made, found, shown and forgotten (publish.h). */
#include "content/publish/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/utf8.h"
#include "codec/zbase32.h"
#include "content/content_state.h"
#include "content/publish/publish_state.h"
#include "crypto/node_key.h"
#include "store/store.h"

/* Letters of an id that are enough to mean it. */
#define ID_LETTERS_MIN 8

void publish_config_defaults(struct publish_config *config)
{
	*config = (struct publish_config){
		.share_cap = 256,
		.revision_cap = 16,
		.life_s = PUBLISH_LIFE_S,
	};
}

const char *publish_state_name(enum publish_state state)
{
	static const char *const names[] = {"empty", "current", "behind", "revoked"};

	return names[state];
}

/* --- one publication --- */

struct publication *publication_new(struct publish *publish, struct node_key *key,
				    const struct publish_settings *settings)
{
	struct publication *publication = calloc(1, sizeof(*publication));
	uint32_t cap = publish->params.config.revision_cap;

	if (!publication)
		return NULL;
	publication->revision_cap = cap ? cap : 1;
	publication->revisions = calloc(publication->revision_cap, sizeof(*publication->revisions));
	publication->parts = calloc(publication->revision_cap, sizeof(*publication->parts));
	if (!publication->revisions || !publication->parts) {
		publication_free(publication);
		return NULL;
	}
	publication->publish = publish;
	publication->key = key;
	publication->settings = *settings;
	publication->view.settings = &publication->settings;
	memcpy(publication->view.share_key, node_key_public(key), 32);
	share_id_of(publication->view.share_key, publication->view.share_id);
	timer_init(&publication->timer, keep_fire);
	return publication;
}

void publication_free(struct publication *publication)
{
	if (!publication)
		return;
	for (uint32_t i = 0; i < publication->view.revision_cnt; i++)
		free(publication->parts[i].ids);
	free(publication->parts);
	free(publication->revisions);
	if (publication->revise) {
		free(publication->revise->parts.ids);
		free(publication->revise->bytes);
	}
	free(publication->revise);
	node_key_free(publication->key);
	free(publication);
}

void publication_push(struct publication *publication, const struct publish_revision *revision,
		      struct revision_parts *parts)
{
	uint32_t cnt = publication->view.revision_cnt;

	if (cnt == publication->revision_cap) {
		free(publication->parts[0].ids);
		cnt--;
		memmove(publication->parts, publication->parts + 1,
			cnt * sizeof(*publication->parts));
		memmove(publication->revisions, publication->revisions + 1,
			cnt * sizeof(*publication->revisions));
	}
	publication->revisions[cnt] = *revision;
	publication->parts[cnt] = *parts;
	parts->ids = NULL;
	publication->view.revision_cnt = cnt + 1;
}

const struct publish_revision *publication_own(const struct publication *publication)
{
	uint32_t cnt = publication->view.revision_cnt;

	return cnt ? &publication->revisions[cnt - 1] : NULL;
}

static enum publish_state state_of(const struct publication *publication)
{
	const struct publish_revision *own = publication_own(publication);
	const struct share_head *newest = &publication->newest.head;

	if (newest->seq && head_is_revoked(newest))
		return PUBLISH_REVOKED;
	if (newest->seq && (!own || memcmp(own->manifest_id, newest->manifest_id, 32) != 0))
		return PUBLISH_BEHIND;
	return own ? PUBLISH_CURRENT : PUBLISH_EMPTY;
}

void publication_refresh(struct publication *publication)
{
	struct published *view = &publication->view;

	view->state = state_of(publication);
	view->newest = publication->newest.head;
	view->revisions = publication->revisions;
	view->is_busy = publication->revise != NULL;
}

void publication_tell(struct publication *publication, enum publish_event_kind kind, uint64_t seq,
		      int err)
{
	const struct publish_params *params = &publication->publish->params;
	struct publish_event event = {kind, &publication->view, seq, err};

	publication_refresh(publication);
	if (params->event)
		params->event(params->ctx, &event);
}

/* --- the table --- */

static bool manifests_each(void *ctx, content_holder_fn fn, void *arg)
{
	struct publish *publish = ctx;

	for (struct publication *at = publish->first; at; at = at->next)
		for (uint32_t i = 0; i < at->view.revision_cnt; i++)
			if (!fn(arg, at->revisions[i].manifest_id, at->parts[i].ids,
				at->parts[i].cnt))
				return false;
	return true;
}

int publish_new(const struct publish_params *params, struct publish **out_publish)
{
	struct publish *publish = calloc(1, sizeof(*publish));
	const struct content_holder holder = {manifests_each, publish};
	struct overlay_rule rule;
	int err;

	if (!publish)
		return -ENOMEM;
	publish->params = *params;
	head_rule(&rule);
	err = record_load(publish);
	if (err == 0 && params->overlay.ops)
		err = params->overlay.ops->add_rule(params->overlay.overlay, &rule);
	if (err == 0)
		err = content_add_holder(params->content, &holder);
	if (err < 0) {
		publish_free(publish);
		return err;
	}
	for (struct publication *at = publish->first; at; at = at->next) {
		publication_refresh(at);
		keep_soon(at, params->now_ns);
	}
	*out_publish = publish;
	return 0;
}

void publish_stop(struct publish *publish)
{
	if (!publish)
		return;
	publish->is_stopped = true;
	for (struct publication *at = publish->first; at; at = at->next) {
		keep_stop(at);
		revise_stop(at);
	}
}

static void publications_free(struct publication *first)
{
	while (first) {
		struct publication *next = first->next;

		publication_free(first);
		first = next;
	}
}

void publish_free(struct publish *publish)
{
	if (!publish)
		return;
	publications_free(publish->first);
	publications_free(publish->adding);
	free(publish);
}

void publish_configure(struct publish *publish, const struct publish_config *config)
{
	/* How many revisions are kept was laid out with each share. */
	publish->params.config.share_cap = config->share_cap;
	publish->params.config.life_s = config->life_s;
}

void publish_session_up(struct publish *publish, uint64_t now_ns)
{
	for (struct publication *at = publish->first; at; at = at->next)
		if (at->view.holder_cnt == 0)
			keep_soon(at, now_ns);
}

/* --- asking --- */

struct publication *publication_find(const struct publish *publish,
				     const uint8_t share_id[static SHARE_ID_LEN])
{
	struct publication *at = publish->first;

	while (at && memcmp(at->view.share_id, share_id, SHARE_ID_LEN) != 0)
		at = at->next;
	return at && !at->is_leaving ? at : NULL;
}

const struct published *publish_lookup(const struct publish *publish,
				       const uint8_t share_id[static SHARE_ID_LEN])
{
	struct publication *publication = publication_find(publish, share_id);

	if (!publication)
		return NULL;
	publication_refresh(publication);
	return &publication->view;
}

static bool id_begins_with(const struct publication *publication, const char *text, size_t len)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(publication->view.share_id, SHARE_ID_LEN, id);
	return len >= ID_LETTERS_MIN && len < sizeof(id) && strncasecmp(id, text, len) == 0;
}

const struct published *publish_find(const struct publish *publish, const char *text)
{
	const struct publication *found = NULL;

	for (const struct publication *at = publish->first; at; at = at->next)
		if (strcmp(at->settings.name, text) == 0)
			return publish_lookup(publish, at->view.share_id);
	for (const struct publication *at = publish->first; at; at = at->next) {
		if (!id_begins_with(at, text, strlen(text)))
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found ? publish_lookup(publish, found->view.share_id) : NULL;
}

void publish_each(const struct publish *publish,
		  bool (*fn)(void *arg, const struct published *share), void *arg)
{
	for (struct publication *at = publish->first; at; at = at->next) {
		publication_refresh(at);
		if (!at->is_leaving && !fn(arg, &at->view))
			return;
	}
}

uint32_t publish_cnt(const struct publish *publish)
{
	return publish->cnt;
}

const uint8_t *publish_head(const struct publish *publish,
			    const uint8_t share_id[static SHARE_ID_LEN], size_t *out_len)
{
	const struct publication *publication = publication_find(publish, share_id);

	if (!publication || !publication->newest.head.seq)
		return NULL;
	*out_len = publication->newest.len;
	return publication->newest.bytes;
}

/* --- making and forgetting --- */

/* A name is typed on a command line, and no link. */
static bool name_is_sound(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && name[0] != '-' && strncasecmp(name, "mesh:", 5) != 0 &&
	       !strchr(name, '/') && utf8_is_plain(name, len);
}

static bool name_is_taken(const struct publication *first, const char *name,
			  const struct publication *own)
{
	for (const struct publication *at = first; at; at = at->next)
		if (at != own && strcmp(at->settings.name, name) == 0)
			return true;
	return false;
}

static bool ids_ascend(const uint8_t (*ids)[32], uint32_t cnt, uint32_t max)
{
	for (uint32_t i = 1; i < cnt && cnt <= max; i++)
		if (memcmp(ids[i - 1], ids[i], 32) >= 0)
			return false;
	return cnt <= max;
}

int settings_check(const struct publish *publish, const struct publish_settings *settings,
		   const struct publication *own)
{
	if (!name_is_sound(settings->name) || !manifest_title_is_safe(settings->title) ||
	    !manifest_description_is_safe(settings->description, strlen(settings->description)) ||
	    label_rules_check(settings->rules) < 0 ||
	    !ids_ascend(settings->communities, settings->community_cnt, MANIFEST_COMMUNITIES_MAX) ||
	    !ids_ascend(settings->recommended, settings->recommended_cnt, MANIFEST_RECOMMENDED_MAX))
		return WEFT_EMALFORMED;
	return name_is_taken(publish->first, settings->name, own) ||
			       name_is_taken(publish->adding, settings->name, own)
		       ? WEFT_EEXISTS
		       : 0;
}

static void list_drop(struct publication **link, const struct publication *publication)
{
	while (*link != publication)
		link = &(*link)->next;
	*link = publication->next;
}

static void publication_created(void *arg, int err)
{
	struct publication *publication = arg;
	struct publish *publish = publication->publish;
	publish_done_fn done = publication->done;
	void *done_arg = publication->arg;

	if (publish->is_stopped)
		return;
	list_drop(&publish->adding, publication);
	if (err < 0) {
		publish->cnt--;
		publication_free(publication);
	} else {
		publication->next = publish->first;
		publish->first = publication;
		publication_refresh(publication);
		/* A key that was used elsewhere has a head already. */
		keep_soon(publication, 0);
	}
	if (done)
		done(done_arg, err);
}

/* A new one, with what is known of its key from before. NULL: no memory, or no randomness. */
static struct publication *publication_make(struct publish *publish,
					    const struct publish_settings *settings,
					    const uint8_t *seed)
{
	struct publication *publication;
	struct store_snapshot *snapshot;
	struct node_key *key;

	if ((seed ? node_key_from_seed(seed, &key) : node_key_generate(&key)) < 0)
		return NULL;
	publication = publication_new(publish, key, settings);
	if (!publication) {
		node_key_free(key);
		return NULL;
	}
	if (store_snapshot_open(publish->params.store, &snapshot) == 0) {
		if (head_seen_get(snapshot, publication->view.share_id, &publication->newest) < 0)
			publication->newest.head.seq = 0;
		store_snapshot_close(snapshot);
	}
	return publication;
}

static bool key_is_known(const struct publication *first, const struct publication *publication)
{
	for (; first; first = first->next)
		if (memcmp(first->view.share_id, publication->view.share_id, SHARE_ID_LEN) == 0)
			return true;
	return false;
}

int publish_create(struct publish *publish, const struct publish_settings *settings,
		   const uint8_t *seed, publish_done_fn done, void *arg,
		   uint8_t out_share_id[static SHARE_ID_LEN])
{
	struct publication *publication;
	struct store_batch *batch;
	int err = settings_check(publish, settings, NULL);

	if (err < 0)
		return err;
	if (publish->cnt >= publish->params.config.share_cap)
		return WEFT_EFULL;
	publication = publication_make(publish, settings, seed);
	if (!publication)
		return -ENOMEM;
	if (key_is_known(publish->first, publication) ||
	    key_is_known(publish->adding, publication)) {
		publication_free(publication);
		return WEFT_EEXISTS;
	}
	publication->done = done;
	publication->arg = arg;
	memcpy(out_share_id, publication->view.share_id, SHARE_ID_LEN);
	batch = store_batch_new(publish->params.store);
	record_put_settings(batch, publication, settings);
	err = store_submit(publish->params.store, batch, publication_created, publication);
	if (err < 0) {
		store_batch_free(batch);
		publication_free(publication);
		return err;
	}
	publication->next = publish->adding;
	publish->adding = publication;
	publish->cnt++;
	return 0;
}

static void publication_removed(void *arg, int err)
{
	struct publication *publication = arg;
	struct publish *publish = publication->publish;
	publish_done_fn done = publication->done;
	void *done_arg = publication->arg;

	if (publish->is_stopped)
		return;
	publication->is_leaving = false;
	if (err == 0) {
		keep_unshare(publication);
		keep_stop(publication);
		list_drop(&publish->first, publication);
		publish->cnt--;
		publication_free(publication);
		content_holder_changed(publish->params.content);
	}
	if (done)
		done(done_arg, err);
}

int publish_remove(struct publish *publish, const uint8_t share_id[static SHARE_ID_LEN],
		   publish_done_fn done, void *arg)
{
	struct publication *publication = publication_find(publish, share_id);
	struct store_batch *batch;
	int err;

	if (!publication)
		return WEFT_EABSENT;
	if (publication->revise)
		return WEFT_EBUSY;
	batch = store_batch_new(publish->params.store);
	store_batch_delete(batch, STORE_PUBLISHED, share_id, SHARE_ID_LEN);
	for (uint32_t i = 0; i < publication->view.revision_cnt; i++)
		record_delete_revision(batch, publication, publication->revisions[i].seq);
	publication->done = done;
	publication->arg = arg;
	err = store_submit(publish->params.store, batch, publication_removed, publication);
	if (err < 0)
		store_batch_free(batch);
	publication->is_leaving = err == 0;
	return err;
}

int publish_export_key(const struct publish *publish, const uint8_t share_id[static SHARE_ID_LEN],
		       const char *path)
{
	const struct publication *publication = publication_find(publish, share_id);

	if (!publication)
		return WEFT_EABSENT;
	if (access(path, F_OK) == 0)
		return WEFT_EEXISTS;
	return node_key_save(publication->key, path, NULL);
}
