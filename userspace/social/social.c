/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the social layer, opened from below. */
#include "social/social.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "social/people/person_profiles.h"
#include "social/social_state.h"
#include "social/write/social_write.h"

void social_config_defaults(struct social_config *config)
{
	*config = (struct social_config){.is_on = true};
	social_posts_config_defaults(&config->posts);
	social_replicas_config_defaults(&config->replicas);
	social_sync_config_defaults(&config->sync);
	social_anchors_config_defaults(&config->anchors);
	social_attachments_config_defaults(&config->attachments);
}

size_t social_footprint(const struct social_config *config)
{
	struct slots_config slots;

	if (!config->is_on)
		return 0;
	social_slots_config_defaults(&slots);
	return social_people_footprint() + social_posts_footprint(&config->posts) +
	       social_groups_footprint() + social_routes_footprint() + social_anchors_footprint() +
	       social_attachments_footprint() + social_slots_footprint(&slots) +
	       social_mail_footprint() + social_rounds_footprint(SOCIAL_FOLLOWS_MAX);
}

/* A person of this node. */
static bool on_is_own(void *ctx, const uint8_t *key)
{
	const struct social *social = ctx;

	return social_own_key(social->people, key) != NULL;
}

static int posts_open(struct social *social, uint64_t now_ns)
{
	const struct post_store_params params = {.config = social->config.posts,
						 .ground = &social->ground,
						 .is_own = on_is_own,
						 .ctx = social,
						 .now_ns = now_ns};

	return social_posts_open(&params, &social->posts);
}

/* --- what the parts ask each other --- */

static bool on_is_blocked(void *ctx, const uint8_t *key)
{
	return social_is_blocked(((const struct social *)ctx)->people, key);
}

static bool on_is_followed(void *ctx, const uint8_t *key)
{
	return social_is_acquainted(((const struct social *)ctx)->people, key);
}

static bool on_is_in_group(void *ctx, const uint8_t *group, uint64_t epoch, bool *out_opens)
{
	return social_group_is_ours(((const struct social *)ctx)->groups, group, epoch, out_opens);
}

static bool on_opens_group(void *ctx, const struct visibility_group *of)
{
	return social_group_secret(((const struct social *)ctx)->groups, of) != NULL;
}

static bool on_is_refused(void *ctx, const uint8_t *key)
{
	return social_is_refused(((const struct social *)ctx)->people, key);
}

static bool on_is_poster(void *ctx, const uint8_t *group, const uint64_t *epoch,
			 const uint8_t *author)
{
	return social_group_is_poster(((const struct social *)ctx)->groups, group, epoch, author);
}

struct people_source social_source_of(const struct social *social, const uint8_t *key,
				      struct addr *addr)
{
	struct people_source source = {.addr = addr};

	social_payer(&social->ground, key, addr, &source.class);
	return source;
}

/* The first persona of this node among the readers of the post; the node's own key without one. */
static void addressee_find(const struct social *social, const uint8_t *post,
			   uint8_t out_key[static NODE_KEY_LEN])
{
	struct visibility *visibility = malloc(sizeof(*visibility));
	struct post_copy *copy = NULL;
	const uint8_t *found = node_key_public(social->ground.key);

	if (visibility && social_posts_read(social->posts, post, &copy) == 0 &&
	    social_visibility_read(copy->parts.visibility, copy->parts.visibility_len,
				   visibility) == 0)
		for (unsigned i = visibility->recipient_cnt; i-- > 0;)
			if (social_own_key(social->people, visibility->recipients[i].reader))
				found = visibility->recipients[i].reader;
	memcpy(out_key, found, NODE_KEY_LEN);
	if (copy)
		social_post_copy_free(copy);
	free(visibility);
}

/*
 * What others see, too, is no first word: a mention in a public post, or a reply to one. Words of a
 * person that was refused go again.
 */
static void on_addressed(void *ctx, const uint8_t *author, const uint8_t *post, uint64_t now_ns)
{
	struct social *social = ctx;
	uint8_t to[NODE_KEY_LEN];
	struct addr addr;
	const struct request_note note = {.person = author,
					  .to = to,
					  .post = post,
					  .source = social_source_of(social, author, &addr)};
	struct post_view view;

	if (social_posts_look(social->posts, post, &view) < 0 || view.kind != VISIBILITY_RECIPIENTS)
		return;
	addressee_find(social, post, to);
	if (social_request_note(social->people, &note, now_ns) == REQUEST_REFUSED)
		social_intake_unasked(social->intake, post, now_ns);
}

/* The peer that brought it is not offered it in turn. */
static void on_changed(void *ctx, const struct intake_change *change, uint64_t now_ns)
{
	const struct social *social = ctx;

	if (social->sync && change->from)
		social_sync_news_from(social->sync, change->post, change->from);
	if (!change->is_put)
		social_replicas_changed(social->replicas, change->post, change->from, now_ns);
}

static void on_will_go(void *ctx, const uint8_t *post, const uint8_t *from)
{
	const struct social *social = ctx;

	if (social->sync)
		social_sync_leaving(social->sync, post, from);
}

static int on_profile(void *ctx, const struct intake_object *object, uint64_t now_ns)
{
	struct social *social = ctx;
	struct addr addr;
	const struct profile_put put = {.bytes = object->bytes,
					.len = object->len,
					.source = social_source_of(social, object->from, &addr)};

	return social_said_put(social->people, &put, now_ns);
}

static void on_person(void *ctx, const struct people_change *change, uint64_t now_ns)
{
	struct social *social = ctx;

	if (change->kind == PEOPLE_FOLLOWED || change->kind == PEOPLE_ACCEPTED)
		social_intake_followed(social->intake, change->person, now_ns);
	if (change->kind == PEOPLE_REQUEST_GONE)
		social_intake_unasked(social->intake, change->other, now_ns);
}

static int intake_open(struct social *social)
{
	const struct intake_params params = {.ground = &social->ground,
					     .posts = social->posts,
					     .ways = {.is_own = on_is_own,
						      .is_blocked = on_is_blocked,
						      .is_followed = on_is_followed,
						      .is_refused = on_is_refused,
						      .is_in_group = on_is_in_group,
						      .opens_group = on_opens_group,
						      .is_poster = on_is_poster,
						      .was_addressed = on_addressed,
						      .changed = on_changed,
						      .will_go = on_will_go,
						      .profile = on_profile,
						      .ctx = social}};
	int err = social_intake_open(&params, &social->intake);

	social->watch = (struct people_watch){.changed = on_person, .ctx = social};
	if (err == 0)
		social_people_watch(social->people, &social->watch);
	return err;
}

static int people_open(struct social *social, uint64_t now_ns)
{
	const struct people_params params = {.ground = &social->ground, .now_ns = now_ns};

	return social_people_open(&params, &social->people);
}

static const struct node_key *on_own_key(void *ctx, const uint8_t *key)
{
	return social_own_key(((const struct social *)ctx)->people, key);
}

static void hidden_mark(const struct social *social, const uint8_t *post, bool is_hidden,
			uint64_t now_ns)
{
	const struct post_marking marking = {.id = post,
					     .set = is_hidden ? POST_HIDDEN : 0,
					     .clear = is_hidden ? 0 : POST_HIDDEN};
	const struct post_change_done none = {0};
	int err = social_posts_mark(social->posts, &marking, none, now_ns);

	(void)err; /* one that is not held is marked when it comes */
}

/* All editions that are here, of whatever shard, and no post of another group. */
static void on_hidden(void *ctx, const struct group_hide *hide, uint64_t now_ns)
{
	const struct social *social = ctx;
	struct post_editions *editions = malloc(sizeof(*editions));
	struct post_view view;

	if (!editions)
		return;
	social_posts_editions(social->posts, hide->author, hide->logical_id, editions);
	for (unsigned i = 0; i < editions->cnt; i++)
		if (social_posts_look(social->posts, editions->ids[i], &view) == 0 &&
		    view.kind == VISIBILITY_GROUP &&
		    memcmp(view.group, hide->group, sizeof(view.group)) == 0)
			hidden_mark(social, view.id, hide->is_hidden, now_ns);
	free(editions);
}

/* The author may post to the group; where that cannot be read, too. */
static bool may_write(const struct social *social, const struct post_view *view)
{
	struct visibility *visibility = malloc(sizeof(*visibility));
	struct post_copy *copy = NULL;
	bool may = true;

	if (visibility && social_posts_read(social->posts, view->id, &copy) == 0 &&
	    social_visibility_read(copy->parts.visibility, copy->parts.visibility_len,
				   visibility) == 0 &&
	    visibility->kind == VISIBILITY_GROUP)
		may = social_group_may_write(social->groups, &visibility->group, view->author);
	if (copy)
		social_post_copy_free(copy);
	free(visibility);
	return may;
}

/* A post of a viewer is dropped: any node can seal for the public key of a group. */
static void on_post_moved(void *ctx, enum post_moved what, const struct post_view *view,
			  uint64_t now_ns)
{
	const struct social *social = ctx;
	const struct group_hide hide = {
		.group = view->group, .author = view->author, .logical_id = view->logical_id};

	if (what != POST_MOVED_PUT || view->kind != VISIBILITY_GROUP)
		return;
	if (may_write(social, view)) {
		if (social_group_is_hidden(social->groups, &hide))
			hidden_mark(social, view->id, true, now_ns);
	} else if (social_posts_forget(social->posts, view->id, now_ns) < 0) {
		hidden_mark(social, view->id, true, now_ns);
	}
}

static bool on_may_leave(void *ctx, const uint8_t *member)
{
	const struct social *social = ctx;

	return social->mail && social_mail_may_leave(social->mail, member);
}

static void on_group_word(void *ctx, const struct group_word *word, uint64_t now_ns)
{
	const struct social *social = ctx;

	if (social->mail)
		social_mail_group(social->mail, word, now_ns);
}

/* Words of its members came from others before this node heard of it, and were refused. */
static void on_joined(void *ctx, uint64_t now_ns)
{
	const struct social *social = ctx;

	if (!social->sync)
		return;
	social_sync_refusals_forget(social->sync);
	social_sync_follows_changed(social->sync, now_ns);
}

static int groups_open(struct social *social, uint64_t now_ns)
{
	const struct groups_params params = {.ground = social->ground,
					     .own_key = on_own_key,
					     .may_leave = on_may_leave,
					     .leave = on_group_word,
					     .hidden = on_hidden,
					     .joined = on_joined,
					     .ctx = social,
					     .now_ns = now_ns};
	int err = social_groups_open(&params, &social->groups);

	if (err < 0)
		return err;
	social->hidden_watch = (struct post_watch){.moved = on_post_moved, .ctx = social};
	social_posts_watch(social->posts, &social->hidden_watch);
	return 0;
}

/* --- life --- */

int social_open(const struct social_params *params, struct social **out_social)
{
	struct social *social = calloc(1, sizeof(*social));
	int err;

	if (!social)
		return -ENOMEM;
	social->config = params->config;
	social->ground = params->ground;
	social->ways = params->ways;
	social->jobs = params->jobs;
	if (params->bootstrap)
		social->bootstrap = *params->bootstrap;
	if ((err = people_open(social, params->now_ns)) < 0 ||
	    (err = posts_open(social, params->now_ns)) < 0 || (err = intake_open(social)) < 0 ||
	    (err = groups_open(social, params->now_ns)) < 0 ||
	    (err = social_places_open(social, params->now_ns)) < 0 ||
	    (err = social_holders_open(&social->ground, &social->holders)) < 0 ||
	    (err = social_sync_ways_open(social, params->now_ns)) < 0 ||
	    (err = social_copies_open(social, params->now_ns)) < 0 ||
	    (err = social_writing_open(social, params->now_ns)) < 0 ||
	    (err = social_files_open(social, params->now_ns)) < 0 ||
	    (err = social_posting_open(social, &params->boxes, params->now_ns)) < 0 ||
	    (err = social_slot_links_open(social, &params->slots, params->now_ns)) < 0 ||
	    (err = social_finding_open(social, params->now_ns)) < 0) {
		social_close(social);
		return err;
	}
	*out_social = social;
	return 0;
}

void social_stop(struct social *social)
{
	if (!social || social->is_stopped)
		return;
	social->is_stopped = true;
	social_finding_stop(social);
	social_slots_stop(social->slots);
	social_mail_stop(social->mail);
	social_attachments_stop(social->attachments);
	social_write_stop(social->write);
	social_copies_stop(social);
	social_sync_ways_stop(social);
	social_holders_stop(social->holders);
	social_places_stop(social);
	social_groups_stop(social->groups);
	social_intake_stop(social->intake);
	social_posts_stop(social->posts);
	social_people_stop(social->people);
}

void social_close(struct social *social)
{
	if (!social)
		return;
	social_stop(social);
	social_slot_links_close(social);
	social_mail_close(social->mail);
	social_attachments_close(social->attachments);
	social_write_free(social->write);
	social_read_free(social->read);
	social_copies_close(social);
	social_sync_close(social->sync);
	social_holders_close(social->holders);
	social_places_close(social);
	social_groups_close(social->groups);
	social_intake_close(social->intake);
	social_finding_close(social);
	social_posts_close(social->posts);
	social_people_close(social->people);
	free(social);
}

struct post_store *social_posts_of(const struct social *social)
{
	return social->posts;
}

struct intake *social_intake_of(const struct social *social)
{
	return social->intake;
}

struct people *social_people(const struct social *social)
{
	return social->people;
}

struct groups *social_groups_of(const struct social *social)
{
	return social->groups;
}

struct sync *social_sync_of(const struct social *social)
{
	return social->sync;
}

struct slots *social_slots_of(const struct social *social)
{
	return social->slots;
}

const struct first_nodes *social_bootstrap_of(const struct social *social)
{
	return &social->bootstrap;
}

void social_session_up(struct social *social, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns)
{
	if (!social)
		return;
	social_routes_session_up(social->routes, key, now_ns);
	social_groups_session_up(social->groups, key, now_ns);
	social_sync_session_up(social->sync, key, now_ns);
	social_anchors_session_up(social->anchors, key, now_ns);
	social_slots_session(social->slots, key, true, now_ns);
	social_mail_session_up(social->mail, key, now_ns);
}
