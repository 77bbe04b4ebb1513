/* SPDX-License-Identifier: Apache-2.0 */
/* What sync/ has of the parts below it: posts, people, and the intake that judges what comes. */
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "social/object/post_claim.h"
#include "social/people/person_profiles.h"
#include "social/social_state.h"
#include "social/ground/sorted_keys.h"

/* --- posts --- */

static const uint8_t *way_author(void *ctx, const struct post_row *row)
{
	return social_posts_author(((struct social *)ctx)->posts, row);
}

static int way_readers(void *ctx, const struct post_row *row,
		       const uint8_t key[static NODE_KEY_LEN], struct sync_readers *out)
{
	struct post_audience audience;
	int err = social_posts_audience(((struct social *)ctx)->posts, row, key, &audience);

	if (err < 0)
		return err;
	*out = (struct sync_readers){
		.kind = audience.kind, .is_reader = audience.is_reader, .epoch = audience.epoch};
	memcpy(out->group, audience.group, sizeof(out->group));
	return 0;
}

static bool way_row(void *ctx, const uint8_t id[static POST_ID_LEN], struct post_row *out_row)
{
	struct post_store *posts = ((struct social *)ctx)->posts;
	const struct post_index *index = social_posts_index(posts);
	const struct post_row *row;
	struct post_place place;
	struct post_view view;

	if (social_posts_look(posts, id, &view) < 0)
		return false;
	place = social_index_place(index, view.time_ms, id);
	row = social_index_next(index, &place);
	if (!row || memcmp(row->id, id, POST_ID_LEN) != 0)
		return false;
	*out_row = *row;
	return true;
}

static bool way_read(void *ctx, const uint8_t id[static POST_ID_LEN], struct sync_copy *out)
{
	struct post_copy *copy;
	const struct post_parts *parts;

	if (social_posts_read(((struct social *)ctx)->posts, id, &copy) < 0)
		return false;
	parts = &copy->parts;
	*out = (struct sync_copy){.post = {parts->post, parts->post_len},
				  .claim = {parts->claim, parts->claim_len},
				  .visibility = {parts->visibility, parts->visibility_len},
				  .owner = copy};
	return true;
}

static void way_release(void *ctx, struct sync_copy *copy)
{
	(void)ctx;
	social_post_copy_free(copy->owner);
}

static size_t way_deletion(void *ctx, const uint8_t id[static POST_ID_LEN],
			   uint8_t out[static SYNC_DELETION_LEN_MAX],
			   uint8_t out_author[static NODE_KEY_LEN])
{
	struct post_store *posts = ((struct social *)ctx)->posts;
	struct writer w = writer_of(out, SYNC_DELETION_LEN_MAX);
	struct post_deletion deletion;

	if (social_posts_known(posts, id) != POST_GONE || social_posts_deletion(posts, id, &w) < 0)
		return 0;
	if (w.bad || social_deletion_parse(out, writer_len(&w), &deletion) < 0)
		return 0;
	memcpy(out_author, deletion.author, NODE_KEY_LEN);
	return writer_len(&w);
}

/* --- people --- */

/* Own anchors, as the profiles of the personas say. A session links no persona that is reached by them. */
static bool is_own_anchor(struct social *social, const uint8_t *key)
{
	for (unsigned i = 0; i < social_persona_cnt(social->people); i++)
		if (!social_persona_is_via_anchors(social->people, i) &&
		    social_persona_names(social->people, i, key))
			return true;
	return false;
}

static bool way_is_chosen(void *ctx, const uint8_t *key)
{
	struct social *social = ctx;

	return social_follow_of(social->people, SOCIAL_EACH_PERSONA, key) != FOLLOW_NONE ||
	       is_own_anchor(social, key);
}

bool social_is_related(void *ctx, const uint8_t *key)
{
	struct social *social = ctx;
	struct social_route route;

	/* What a lost machine wrote for a group comes from other members alone. */
	if (way_is_chosen(ctx, key) || social_audience_of(social->people, key) ||
	    social_is_fellow(ctx, key))
		return true;
	return social_route_look(social->routes, key, &route) && route.tier == SOCIAL_TIER_ANCHOR;
}

/*
 * A persona that is reached by anchors alone is said to these alone. A peer with another session would
 * learn that this node has the persona.
 */
static bool way_is_hidden(void *ctx, const uint8_t *author, const uint8_t *key)
{
	const struct social *social = ctx;
	struct people *people = social->people;
	unsigned idx = social_persona_of(people, author);

	/* This node itself, when both sides compare what they have. */
	if (memcmp(key, node_key_public(social->ground.key), NODE_KEY_LEN) == 0)
		return false;
	return idx != SOCIAL_PERSONA_NONE && social_persona_is_hidden(people, idx, key);
}

static bool way_is_blocked(void *ctx, const uint8_t *key)
{
	return social_is_blocked(((struct social *)ctx)->people, key);
}

struct follows {
	uint8_t (*keys)[NODE_KEY_LEN];
	unsigned cnt, cap;
};

static bool follow_add(void *arg, const struct follow_view *view)
{
	struct follows *follows = arg;

	if (!view->is_frozen && follows->cnt < follows->cap)
		memcpy(follows->keys[follows->cnt++], view->person, NODE_KEY_LEN);
	return follows->cnt < follows->cap;
}

/* A persona that is reached by anchors alone is not linked with this node by what it follows. */
static unsigned way_follows(void *ctx, uint8_t (*keys)[NODE_KEY_LEN], unsigned cap)
{
	struct people *people = ((struct social *)ctx)->people;
	struct follows follows = {keys, 0, cap};

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (!social_persona_is_via_anchors(people, i))
			social_follows_each(people, i, follow_add, &follows);
	return social_keys_sort_once(keys, follows.cnt);
}

static void way_followed(void *ctx, const uint8_t *key, const uint8_t (*follows)[NODE_KEY_LEN],
			 unsigned cnt, uint64_t now_ns)
{
	struct social *social = ctx;
	struct addr addr;
	struct audience_note note = {.person = key, .source = social_source_of(social, key, &addr)};

	for (unsigned i = 0; cnt && i < social_persona_cnt(social->people); i++)
		if (social_keys_have(follows, cnt,
				     node_key_public(social_persona(social->people, i))))
			note.personas |= 1u << i;
	if (note.personas != social_audience_of(social->people, key))
		(void)!social_audience_note(social->people, &note, now_ns);
}

/* Of personas that a session may be linked with; NULL behind the last. */
static const struct node_key *way_persona(void *ctx, unsigned idx)
{
	struct people *people = ((struct social *)ctx)->people;

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (!social_persona_is_via_anchors(people, i) && idx-- == 0)
			return social_persona(people, i);
	return NULL;
}

struct said {
	struct writer *buf;
	struct sync_bytes *out;
	unsigned cnt;
};

static bool said_add(void *arg, const void *bytes, size_t len)
{
	struct said *said = arg;
	const uint8_t *at = said->buf->pos;

	writer_bytes(said->buf, bytes, len);
	if (said->buf->bad)
		return false;
	said->out[said->cnt++] = (struct sync_bytes){at, len};
	return said->cnt < SYNC_PROFILES_MAX;
}

static unsigned way_profiles(void *ctx, const uint8_t *reader, struct writer *buf,
			     struct sync_bytes out[static SYNC_PROFILES_MAX])
{
	struct said said = {buf, out, 0};

	social_said_to(((struct social *)ctx)->people, reader, said_add, &said);
	return said.cnt;
}

struct records {
	struct writer *buf;
	struct sync_bytes *out;
	unsigned cnt;
};

/* A place of an anchor. */
static void record_add(struct records *records, const struct social *social, const uint8_t *anchor)
{
	const uint8_t *at = records->buf->pos, *record;
	size_t len = 0;

	record = social_route_record(social->routes, anchor, &len);
	if (!record || records->cnt == SYNC_RECORDS_MAX)
		return;
	writer_bytes(records->buf, record, len);
	records->out[records->cnt++] = (struct sync_bytes){at, len};
}

/* Where this node is, as far as it says so to anchors, and anchors of personas whose profile reader gets. */
static unsigned way_records(void *ctx, const uint8_t *reader, struct writer *buf,
			    struct sync_bytes out[static SYNC_RECORDS_MAX])
{
	struct social *social = ctx;
	struct records records = {buf, out, 0};
	uint32_t said = social_audience_of(social->people, reader) | 1u;
	const uint8_t *at = buf->pos;

	if (social_anchors_write_record(social->anchors, buf))
		out[records.cnt++] = (struct sync_bytes){at, (size_t)(buf->pos - at)};
	for (unsigned i = 0; i < social_persona_cnt(social->people); i++) {
		const struct person *self = social_person(
			social->people, node_key_public(social_persona(social->people, i)));

		if (!(said & 1u << i) || social_persona_is_hidden(social->people, i, reader))
			continue;
		for (unsigned j = 0; self && j < self->anchor_cnt; j++)
			record_add(&records, social, self->anchors[j]);
	}
	return buf->bad ? 0 : records.cnt;
}

/* One of a node that is no anchor of a person here is not kept. */
static void way_take_record(void *ctx, const uint8_t *from, const struct sync_bytes *record,
			    uint64_t now_ns)
{
	const struct social_record said = {
		.bytes = record->bytes, .len = record->len, .introduced_by = from};
	struct social_address address;

	(void)!social_route_take_record(((struct social *)ctx)->routes, &said, &address, now_ns);
}

/* --- groups --- */

static bool way_is_member(void *ctx, const uint8_t group[static 32], uint64_t epoch,
			  const uint8_t *key)
{
	return social_group_has(((struct social *)ctx)->groups, group, epoch, key);
}

static unsigned way_group_keys(void *ctx, struct sync_group_key out[static SYNC_PROOFS_MAX])
{
	struct group_epoch_key keys[SYNC_PROOFS_MAX];
	unsigned cnt = social_group_keys(((struct social *)ctx)->groups, keys, SYNC_PROOFS_MAX);

	for (unsigned i = 0; i < cnt; i++) {
		memcpy(out[i].group, keys[i].group, sizeof(out[i].group));
		out[i].epoch = keys[i].epoch;
		out[i].key = keys[i].key;
	}
	return cnt;
}

/* --- what comes --- */

struct intake_ask social_take_ask(const struct sync_take *take)
{
	return (struct intake_ask){
		.parts = {.post = take->post.bytes,
			  .post_len = take->post.len,
			  .claim = take->claim.bytes,
			  .claim_len = take->claim.len,
			  .visibility = take->visibility.bytes,
			  .visibility_len = take->visibility.len},
		.from = take->from,
		.source = INTAKE_SYNC,
		.done = take->done,
		.arg = take->arg,
	};
}

static void way_take_post(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	const struct intake_ask ask = social_take_ask(take);

	social_intake_post(((struct social *)ctx)->intake, &ask, now_ns);
}

static struct intake_object object_of(const struct sync_take *take)
{
	return (struct intake_object){.bytes = take->post.bytes,
				      .len = take->post.len,
				      .from = take->from,
				      .source = INTAKE_SYNC,
				      .done = take->done,
				      .arg = take->arg};
}

static void way_take_visibility(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	const struct intake_object object = object_of(take);

	social_intake_visibility(((struct social *)ctx)->intake, &object, now_ns);
}

static void way_take_deletion(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	const struct intake_object object = object_of(take);

	social_intake_deletion(((struct social *)ctx)->intake, &object, now_ns);
}

static void way_take_profile(void *ctx, const struct sync_take *take, uint64_t now_ns)
{
	const struct intake_object object = object_of(take);

	social_intake_profile(((struct social *)ctx)->intake, &object, now_ns);
}

/* --- what went out --- */

_Static_assert(SYNC_GIVE_MAX <= HOLDERS_GIVEN_MAX, "the posts of an answer are marked at once");

/* Of posts of this node's personas alone: only these are ever taken from readers here. */
static int way_give(void *ctx, const struct sync_give *give)
{
	struct social *social = ctx;
	uint8_t own[SYNC_GIVE_MAX][POST_ID_LEN];
	struct holders_give marks = {
		.person = give->person, .posts = own, .done = give->done, .arg = give->arg};
	struct post_view view;

	for (unsigned i = 0; i < give->post_cnt; i++)
		if (social_posts_look(social->posts, give->posts[i], &view) == 0 &&
		    social_own_key(social->people, view.author))
			memcpy(own[marks.post_cnt++], give->posts[i], POST_ID_LEN);
	return social_holders_give(social->holders, &marks);
}

static void way_synced(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct social *social = ctx;

	if (social->replicas)
		social_replicas_synced(social->replicas, key, now_ns);
	social_attachments_synced(social->attachments, key, now_ns);
}

/* A node to begin with. A private follow gets no slot for that, since slots are named to others. */
static void way_pulled(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns)
{
	struct social *social = ctx;

	if (social->slots && !social_is_blocked(social->people, key) &&
	    social_follow_of(social->people, SOCIAL_EACH_PERSONA, key) != FOLLOW_PRIVATE)
		social_slots_note(social->slots, key, SLOT_TIER_PULLED, now_ns);
}

/* --- what is new here --- */

static void post_moved(void *ctx, enum post_moved what, const struct post_view *view,
		       uint64_t now_ns)
{
	struct social *social = ctx;

	if (what == POST_MOVED_PUT || what == POST_MOVED_VISIBILITY)
		social_sync_news(social->sync, view->id, NULL, now_ns);
	else if (what == POST_MOVED_GONE)
		social_sync_gone(social->sync, view->id, now_ns);
}

static void people_changed(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	struct social *social = ctx;

	switch (change->kind) {
	case PEOPLE_ACCEPTED:
	case PEOPLE_UNBLOCKED:
	case PEOPLE_SUCCEEDED:
		social_sync_refusals_forget(social->sync);
		break;
	case PEOPLE_FOLLOWED:
		social_sync_refusals_forget(social->sync);
		social_sync_session_up(social->sync, change->person, now_ns);
		social_sync_follows_changed(social->sync, now_ns);
		break;
	case PEOPLE_UNFOLLOWED:
		social_sync_follows_changed(social->sync, now_ns);
		break;
	case PEOPLE_OWN_PROFILE:
		social_sync_profile_changed(social->sync, now_ns);
		break;
	default:
		break;
	}
}

/* --- life --- */

int social_sync_ways_open(struct social *social, uint64_t now_ns)
{
	const struct sync_params params = {
		.config = social->config.sync,
		.ground = &social->ground,
		.parts = {.index = social_posts_index(social->posts),
			  .author = way_author,
			  .readers = way_readers,
			  .row = way_row,
			  .read = way_read,
			  .release = way_release,
			  .deletion = way_deletion,
			  .is_chosen = way_is_chosen,
			  .is_related = social_is_related,
			  .is_blocked = way_is_blocked,
			  .is_hidden = way_is_hidden,
			  .follows = way_follows,
			  .followed = way_followed,
			  .profiles = way_profiles,
			  .records = way_records,
			  .take_record = way_take_record,
			  .persona = way_persona,
			  .is_member = way_is_member,
			  .group_keys = way_group_keys,
			  .take_post = way_take_post,
			  .take_visibility = way_take_visibility,
			  .take_deletion = way_take_deletion,
			  .take_profile = way_take_profile,
			  .give = way_give,
			  .synced = way_synced,
			  .pulled = way_pulled,
			  .ctx = social},
		.now_ns = now_ns,
	};
	int err = social_sync_open(&params, &social->sync);

	if (err < 0)
		return err;
	social->post_watch = (struct post_watch){.moved = post_moved, .ctx = social};
	social_posts_watch(social->posts, &social->post_watch);
	social->people_watch = (struct people_watch){.changed = people_changed, .ctx = social};
	social_people_watch(social->people, &social->people_watch);
	return 0;
}

void social_sync_ways_stop(struct social *social)
{
	if (!social->sync)
		return;
	social_posts_unwatch(&social->post_watch);
	social_people_unwatch(&social->people_watch);
	social_sync_stop(social->sync);
}
