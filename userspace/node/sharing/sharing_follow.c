/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares that are followed: what the part is handed, and what it tells as events and, where
 * somebody should look, as one line of the log.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/log.h"
#include "codec/zbase32.h"
#include "shares/follow/follow.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

#define SHOWN_NAME_CAP MANIFEST_TITLE_CAP

static const char *const event_names[] = {
	[FOLLOW_REVISION] = "follow.revision",
	[FOLLOW_OLD_HEAD] = "follow.old-head",
	[FOLLOW_FORKED] = "follow.forked",
	[FOLLOW_WAS_REVOKED] = "follow.revoked",
	[FOLLOW_HAS_MOVED] = "follow.moved",
	[FOLLOW_HAS_EXPIRED] = "follow.expired",
	[FOLLOW_BAD_REVISION] = "follow.bad-revision",
	[FOLLOW_BAD_BLOCKLIST] = "follow.bad-blocklist",
};

/* What people know it by. */
static const char *shown_name(const struct follow *follow, char text[static SHOWN_NAME_CAP])
{
	char id[ZBASE32_KEY_TEXT_CAP];

	if (follow->name[0] || follow->title[0])
		snprintf(text, SHOWN_NAME_CAP, "%s",
			 follow->name[0] ? follow->name : follow->title);
	else
		snprintf(text, SHOWN_NAME_CAP, "%.12s",
			 zbase32_write(follow->share_id, SHARE_ID_LEN, id));
	return text;
}

static void blocklist_log(const struct follow_event *event, const char *name)
{
	const struct blocklist_fault *fault = &event->follow->fault;

	if (event->err)
		log_warn("share %s: its file " BLOCKLIST_NAME " is no blocklist, and none of it "
			 "holds: line %u: %s",
			 name, fault->first_line, fault->why);
	else
		log_warn("share %s: file " BLOCKLIST_NAME ", line %u: %s; lines left out: %u, the "
			 "others hold",
			 name, fault->first_line, fault->why, fault->line_cnt);
}

static void event_log(const struct follow_event *event)
{
	const struct follow *follow = event->follow;
	unsigned long long seq = event->seq, newest = follow->head.seq;
	char name[SHOWN_NAME_CAP];

	shown_name(follow, name);
	switch (event->kind) {
	case FOLLOW_OLD_HEAD:
		log_warn("share %s: revision %llu was offered as the newest, and %llu was seen "
			 "before; it was refused",
			 name, seq, newest);
		break;
	case FOLLOW_FORKED:
		log_warn("share %s: two revisions have the number %llu; the later one holds", name,
			 seq);
		break;
	case FOLLOW_WAS_REVOKED:
		log_warn("share %s was revoked by its key; nothing of it is used any more", name);
		break;
	case FOLLOW_HAS_MOVED:
		log_notice("share %s goes on under another key, which its own has signed; that is "
			   "followed from now on",
			   name);
		break;
	case FOLLOW_HAS_EXPIRED:
		log_notice("share %s: revision %llu has expired; it is not used until there is "
			   "another",
			   name, seq);
		break;
	case FOLLOW_BAD_REVISION:
		log_warn("share %s: what it names as revision %llu is none (%s); the former one "
			 "stays",
			 name, seq, weft_err_text(event->err));
		break;
	case FOLLOW_BAD_BLOCKLIST:
		if (seq)
			blocklist_log(event, name);
		else
			log_warn(
				"share %s: its blocklist does not hold: it is longer than %u bytes",
				name, BLOCKLIST_LEN_MAX);
		break;
	case FOLLOW_REVISION:
		break;
	}
}

static void on_event(void *ctx, const struct follow_event *event)
{
	struct node *node = ((struct sharing *)ctx)->node;
	char share[ZBASE32_KEY_TEXT_CAP], peer[ZBASE32_KEY_TEXT_CAP], name[SHOWN_NAME_CAP];
	json_t *fields;

	event_log(event);
	if (!node->control)
		return;
	fields = json_pack("{s:s, s:s, s:I}", "share_id",
			   zbase32_write(event->follow->share_id, SHARE_ID_LEN, share), "name",
			   shown_name(event->follow, name), "number",
			   (json_int_t)(event->seq > INT64_MAX ? INT64_MAX : (int64_t)event->seq));
	if (event->peer_key)
		json_object_set_new(
			fields, "peer",
			json_string(zbase32_write(event->peer_key, MESH_KEY_LEN, peer)));
	if (event->kind == FOLLOW_BAD_BLOCKLIST && event->seq)
		json_object_set_new(fields, "error", json_string(event->follow->fault.why));
	else if (event->err)
		json_object_set_new(fields, "error", json_string(weft_err_text(event->err)));
	node_tell(node, event_names[event->kind], fields);
}

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void public_each(void *ctx, const uint8_t *after,
			bool (*fn)(void *arg, const uint8_t share_id[static SHARE_ID_LEN]),
			void *arg)
{
	shares_publisher_public_each(((struct sharing *)ctx)->publisher, after, fn, arg);
}

_Static_assert(FOLLOW_KEEPERS_MAX >= COMMUNITY_KEEPERS_MAX, "as many as there may be");

static unsigned keepers(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
			struct link_node out[static FOLLOW_KEEPERS_MAX])
{
	const struct sharing *sharing = ctx;

	return sharing->communities
		       ? community_keepers_of_share(sharing->communities, share_id, out)
		       : 0;
}

static bool is_blocked(void *ctx, const uint8_t content_id[static 32])
{
	const struct sharing *sharing = ctx;

	return shares_follow_blocker(sharing->follows, BLOCKLIST_CONTENT, content_id) != NULL;
}

struct choosing {
	const uint8_t *key;
	uint32_t choices;
};

/* Whom a followed share's link names is who has it; a share we trust is one whose nodes we do. */
static bool choose_by_follow(void *arg, const struct follow *follow)
{
	struct choosing *choosing = arg;

	for (unsigned i = 0; i < follow->hint_cnt; i++) {
		if (memcmp(follow->hints[i].key, choosing->key, MESH_KEY_LEN) != 0)
			continue;
		choosing->choices |= MESH_CHOICE_FOLLOWED;
		if (follow->tier == FOLLOW_TRUSTED)
			choosing->choices |= MESH_CHOICE_TRUSTED;
	}
	return true;
}

uint32_t node_sharing_choices(const struct sharing *sharing, const uint8_t key[static MESH_KEY_LEN])
{
	struct choosing choosing = {.key = key};

	if (sharing->follows)
		shares_follows_each(sharing->follows, choose_by_follow, &choosing);
	return choosing.choices;
}

int node_sharing_open_follows(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct follows_params params = {
		.config = node->config->sharing.follow,
		.content = node->home.content,
		.mesh = mesh_seam_of(node->home.mesh),
		.overlay = node_sharing_overlay(sharing),
		.store = node->store,
		.timers = &node->home.timers,
		.jobs = node->home.jobs,
		.random = node->random,
		.own_key = node->own_key,
		.now_ns = node->home.now_ns,
		.wall_s = wall_s,
		.on_changed = node_sharing_search_follow,
		.on_event = on_event,
		.public_each = public_each,
		.keepers = keepers,
		.ctx = sharing,
	};
	int err = shares_follows_new(&params, &sharing->follows);

	if (err == 0)
		blobs_set_blocker(node->home.content, is_blocked, sharing);
	return err;
}
