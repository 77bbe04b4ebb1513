/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what is published: made, found, shown and forgotten (publish.h). */
#include "publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/monotonic.h"
#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"
#include "blobs/blobs.h"
#include "blobs/retainer.h"
#include "publish_state.h"
#include "crypto/node_key.h"
#include "store/store.h"

/* Letters of an id that are enough to mean it. */
#define ID_LETTERS_MIN 8

void shares_publisher_config_defaults(struct publisher_config *config)
{
	*config = (struct publisher_config){
		.share_cap = 256,
		.revision_cap = 16,
		.life_ns = PUBLISH_LIFE_S * NS_PER_S,
	};
}

/* --- one publication --- */

struct publication *shares_publication_new(struct publisher *publisher, struct node_key *key,
					   const struct publish_settings *settings)
{
	struct publication *publication = calloc(1, sizeof(*publication));
	uint32_t cap = publisher->params.config.revision_cap;

	if (!publication)
		return NULL;
	publication->revision_cap = cap ? cap : 1;
	publication->revisions = calloc(publication->revision_cap, sizeof(*publication->revisions));
	publication->parts = calloc(publication->revision_cap, sizeof(*publication->parts));
	if (!publication->revisions || !publication->parts) {
		shares_publication_free(publication);
		return NULL;
	}
	publication->publisher = publisher;
	publication->key = key;
	publication->settings = *settings;
	publication->view.settings = &publication->settings;
	memcpy(publication->view.share_key, node_key_public(key), 32);
	share_id_of(publication->view.share_key, publication->view.share_id);
	timer_init(&publication->timer, shares_keep_fire);
	return publication;
}

void shares_publication_free(struct publication *publication)
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

void shares_publication_push(struct publication *publication,
			     const struct publish_revision *revision, struct revision_parts *parts)
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

const struct publish_revision *shares_publication_own(const struct publication *publication)
{
	uint32_t cnt = publication->view.revision_cnt;

	return cnt ? &publication->revisions[cnt - 1] : NULL;
}

uint64_t shares_publisher_ahead_s(const struct publisher *publisher, uint64_t dated_s)
{
	uint64_t wall_s = publisher_wall_s(publisher);

	return dated_s > wall_s + HEAD_SKEW_S ? dated_s - wall_s : 0;
}

static enum publisher_state state_of(const struct publication *publication)
{
	const struct publish_revision *own = shares_publication_own(publication);
	const struct share_head *newest = &publication->newest.head;

	if (newest->seq && shares_head_is_revoked(newest))
		return PUBLISH_REVOKED;
	if (newest->seq && (!own || memcmp(own->manifest_id, newest->manifest_id, 32) != 0))
		return PUBLISH_BEHIND;
	return own ? PUBLISH_CURRENT : PUBLISH_EMPTY;
}

void shares_publication_refresh(struct publication *publication)
{
	struct published *view = &publication->view;

	view->state = state_of(publication);
	view->newest = publication->newest.head;
	view->revisions = publication->revisions;
	view->is_busy = publication->revise != NULL;
	view->ahead_s = shares_publisher_ahead_s(publication->publisher, view->newest.updated_s);
}

void shares_publication_tell(struct publication *publication, enum publish_event_kind kind,
			     uint64_t seq, int err)
{
	const struct publisher_params *params = &publication->publisher->params;
	struct publish_event event = {kind, &publication->view, seq, err};

	shares_publication_refresh(publication);
	if (params->event)
		params->event(params->ctx, &event);
}

void shares_publication_put_removal(const struct publication *publication,
				    struct store_batch *batch)
{
	const struct publish_revision *own = shares_publication_own(publication);

	if (own)
		blobs_shares_put_removal(batch, own->manifest_id);
}

void shares_publication_unlist(const struct publication *publication)
{
	const struct publish_revision *own = shares_publication_own(publication);

	if (own)
		blobs_shares_forget(publication->publisher->params.content, own->manifest_id);
}

/* --- the table --- */

static bool manifests_each(void *ctx, blobs_holder_fn fn, void *arg)
{
	struct publisher *publisher = ctx;

	for (struct publication *at = publisher->first; at; at = at->next)
		for (uint32_t i = 0; i < at->view.revision_cnt; i++)
			if (!fn(arg, at->revisions[i].manifest_id, at->parts[i].ids,
				at->parts[i].cnt))
				return false;
	return true;
}

int shares_publisher_new(const struct publisher_params *params, struct publisher **out_publisher)
{
	struct publisher *publisher = calloc(1, sizeof(*publisher));
	const struct blobs_retainer holder = {.manifests_each = manifests_each, .ctx = publisher};
	int err;

	if (!publisher)
		return -ENOMEM;
	publisher->params = *params;
	err = shares_record_load(publisher);
	if (err == 0)
		err = blobs_add_holder(params->content, &holder);
	if (err < 0) {
		shares_publisher_free(publisher);
		return err;
	}
	for (struct publication *at = publisher->first; at; at = at->next) {
		shares_publication_refresh(at);
		if (at->view.state == PUBLISH_REVOKED)
			shares_keep_end(at);
		shares_keep_soon(at, params->now_ns);
	}
	shares_record_seal(publisher);
	*out_publisher = publisher;
	return 0;
}

void shares_publisher_stop(struct publisher *publisher)
{
	if (!publisher)
		return;
	publisher->is_stopped = true;
	for (struct publication *at = publisher->first; at; at = at->next) {
		shares_keep_stop(at);
		shares_revise_stop(at);
	}
}

static void publications_free(struct publication *first)
{
	while (first) {
		struct publication *next = first->next;

		shares_publication_free(first);
		first = next;
	}
}

void shares_publisher_free(struct publisher *publisher)
{
	if (!publisher)
		return;
	publications_free(publisher->first);
	publications_free(publisher->adding);
	free(publisher);
}

void shares_publisher_configure(struct publisher *publisher, const struct publisher_config *config)
{
	/* How many revisions are kept was laid out with each share. */
	publisher->params.config.share_cap = config->share_cap;
	publisher->params.config.life_ns = config->life_ns;
}

void shares_publisher_hurry(struct publisher *publisher, uint64_t now_ns)
{
	for (struct publication *at = publisher->first; at; at = at->next)
		if (at->view.holder_cnt == 0)
			shares_keep_soon(at, now_ns);
}

/* --- asking --- */

struct publication *shares_publication_find(const struct publisher *publisher,
					    const uint8_t share_id[static SHARE_ID_LEN])
{
	struct publication *at = publisher->first;

	while (at && memcmp(at->view.share_id, share_id, SHARE_ID_LEN) != 0)
		at = at->next;
	return at && !at->is_leaving ? at : NULL;
}

const struct published *shares_publisher_lookup(const struct publisher *publisher,
						const uint8_t share_id[static SHARE_ID_LEN])
{
	struct publication *publication = shares_publication_find(publisher, share_id);

	if (!publication)
		return NULL;
	shares_publication_refresh(publication);
	return &publication->view;
}

static bool id_begins_with(const struct publication *publication, const char *text, size_t len)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(publication->view.share_id, SHARE_ID_LEN, id);
	return len >= ID_LETTERS_MIN && len < sizeof(id) && strncasecmp(id, text, len) == 0;
}

const struct published *shares_publisher_find(const struct publisher *publisher, const char *text)
{
	const struct publication *found = NULL;

	for (const struct publication *at = publisher->first; at; at = at->next)
		if (strcmp(at->settings.name, text) == 0)
			return shares_publisher_lookup(publisher, at->view.share_id);
	for (const struct publication *at = publisher->first; at; at = at->next) {
		if (!id_begins_with(at, text, strlen(text)))
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found ? shares_publisher_lookup(publisher, found->view.share_id) : NULL;
}

const struct published *shares_publisher_next(const struct publisher *publisher,
					      const struct published *share)
{
	struct publication *at =
		share ? container_of(share, struct publication, view)->next : publisher->first;

	for (; at; at = at->next) {
		shares_publication_refresh(at);
		if (!at->is_leaving)
			return &at->view;
	}
	return NULL;
}

/* A share of a community is not listed to all. */
const uint8_t *shares_publisher_public_next(const struct publisher *publisher, const uint8_t *after)
{
	const uint8_t *least = NULL;

	for (const struct publication *at = publisher->first; at; at = at->next) {
		const uint8_t *id = at->view.share_id;

		if (at->settings.is_public && !at->settings.community_cnt && at->newest.head.seq &&
		    !at->is_leaving && (!after || memcmp(id, after, SHARE_ID_LEN) > 0) &&
		    (!least || memcmp(id, least, SHARE_ID_LEN) < 0))
			least = id;
	}
	return least;
}

uint32_t shares_publisher_cnt(const struct publisher *publisher)
{
	return publisher->cnt;
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

int shares_settings_check(const struct publisher *publisher,
			  const struct publish_settings *settings, const struct publication *own)
{
	if (!name_is_sound(settings->name) || !blobs_manifest_title_is_safe(settings->title) ||
	    !blobs_manifest_description_is_safe(settings->description,
						strlen(settings->description)) ||
	    shares_label_rules_check(settings->rules) < 0 || !blobs_only_is_sound(settings->only) ||
	    !ids_ascend(settings->communities, settings->community_cnt, MANIFEST_COMMUNITIES_MAX) ||
	    !ids_ascend(settings->recommended, settings->recommended_cnt, MANIFEST_RECOMMENDED_MAX))
		return WEFT_EMALFORMED;
	return name_is_taken(publisher->first, settings->name, own) ||
			       name_is_taken(publisher->adding, settings->name, own)
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
	struct publisher *publisher = publication->publisher;
	struct publisher_caller caller = publication->caller;

	if (publisher->is_stopped)
		return;
	list_drop(&publisher->adding, publication);
	if (err < 0) {
		publisher->cnt--;
		shares_publication_free(publication);
	} else {
		publication->next = publisher->first;
		publisher->first = publication;
		shares_publication_refresh(publication);
		/* A key that was used elsewhere has a head already. */
		shares_keep_soon(publication, 0);
	}
	if (caller.done)
		caller.done(caller.arg, err);
}

/* A new one, with what is known of its key from before. NULL: no memory, or no randomness. */
static struct publication *publication_make(struct publisher *publisher,
					    const struct publish_settings *settings,
					    const uint8_t *seed)
{
	struct publication *publication;
	struct store_snapshot *snapshot;
	struct node_key *key;

	if ((seed ? node_key_from_seed(seed, &key) : node_key_generate(&key)) < 0)
		return NULL;
	publication = shares_publication_new(publisher, key, settings);
	if (!publication) {
		node_key_free(key);
		return NULL;
	}
	if (store_snapshot_open(publisher->params.store, &snapshot) == 0) {
		if (shares_head_seen_get(snapshot, publication->view.share_id,
					 &publication->newest) < 0)
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

int shares_publisher_create(struct publisher *publisher, const struct publish_settings *settings,
			    const uint8_t *seed, struct publisher_caller caller,
			    uint8_t out_share_id[static SHARE_ID_LEN])
{
	struct publication *publication;
	struct store_batch *batch;
	int err = shares_settings_check(publisher, settings, NULL);

	if (err < 0)
		return err;
	if (publisher->cnt >= publisher->params.config.share_cap)
		return WEFT_EFULL;
	publication = publication_make(publisher, settings, seed);
	if (!publication)
		return -ENOMEM;
	if (key_is_known(publisher->first, publication) ||
	    key_is_known(publisher->adding, publication)) {
		shares_publication_free(publication);
		return WEFT_EEXISTS;
	}
	publication->caller = caller;
	memcpy(out_share_id, publication->view.share_id, SHARE_ID_LEN);
	batch = store_batch_new(publisher->params.store);
	shares_record_put_settings(batch, publication, settings);
	err = store_submit(publisher->params.store, batch, publication_created, publication);
	if (err < 0) {
		store_batch_free(batch);
		shares_publication_free(publication);
		return err;
	}
	publication->next = publisher->adding;
	publisher->adding = publication;
	publisher->cnt++;
	return 0;
}

/* --- another key --- */

/* "maps" is "maps.old" from now on, or "maps.old2" where that is taken. */
static void name_write_old(const struct publisher *publisher, const char *name,
			   char out[static PUBLISH_NAME_LEN_MAX + 1])
{
	char end[16] = ".old";

	for (unsigned i = 2;; i++) {
		int room = (int)(PUBLISH_NAME_LEN_MAX - strlen(end));

		/* A text is cut between two characters. */
		while (room > 0 && (name[room] & 0xc0) == 0x80 && strlen(name) > (size_t)room)
			room--;
		snprintf(out, PUBLISH_NAME_LEN_MAX + 1, "%.*s%s", room, name, end);
		if (!name_is_taken(publisher->first, out, NULL) &&
		    !name_is_taken(publisher->adding, out, NULL))
			return;
		snprintf(end, sizeof(end), ".old%u", i);
	}
}

int shares_publication_succeed(const struct publication *own, struct store_batch *batch,
			       struct publish_settings *out_was, struct publication **out_successor)
{
	struct publisher *publisher = own->publisher;
	struct publication *successor;

	if (publisher->cnt >= publisher->params.config.share_cap)
		return WEFT_EFULL;
	successor = publication_make(publisher, &own->settings, NULL);
	if (!successor)
		return -ENOMEM;
	*out_was = own->settings;
	name_write_old(publisher, own->settings.name, out_was->name);
	shares_record_put_settings(batch, successor, &successor->settings);
	successor->next = publisher->adding;
	publisher->adding = successor;
	publisher->cnt++;
	*out_successor = successor;
	return 0;
}

void shares_publication_succeeded(struct publication *successor, int err)
{
	publication_created(successor, err);
}

static void publication_removed(void *arg, int err)
{
	struct publication *publication = arg;
	struct publisher *publisher = publication->publisher;
	struct publisher_caller caller = publication->caller;

	if (publisher->is_stopped)
		return;
	publication->is_leaving = false;
	if (err == 0) {
		shares_publication_unlist(publication);
		shares_keep_stop(publication);
		list_drop(&publisher->first, publication);
		publisher->cnt--;
		shares_publication_free(publication);
		blobs_holder_changed(publisher->params.content);
	}
	if (caller.done)
		caller.done(caller.arg, err);
}

int shares_publisher_remove(struct publisher *publisher,
			    const uint8_t share_id[static SHARE_ID_LEN],
			    struct publisher_caller caller)
{
	struct publication *publication = shares_publication_find(publisher, share_id);
	struct store_batch *batch;
	int err;

	if (!publication)
		return WEFT_EABSENT;
	if (publication->revise)
		return WEFT_EBUSY;
	batch = store_batch_new(publisher->params.store);
	shares_publication_put_removal(publication, batch);
	store_batch_delete(batch, STORE_PUBLISHED, store_key(share_id, SHARE_ID_LEN));
	for (uint32_t i = 0; i < publication->view.revision_cnt; i++)
		shares_record_delete_revision(batch, publication, publication->revisions[i].seq);
	publication->caller = caller;
	err = store_submit(publisher->params.store, batch, publication_removed, publication);
	if (err < 0)
		store_batch_free(batch);
	publication->is_leaving = err == 0;
	return err;
}
