/* SPDX-License-Identifier: Apache-2.0 */
/* Events of shares that are published, watched, followed and searched, and of communities. Home worker. */
#include <errno.h>
#include <stdio.h>

#include "api/api.h"
#include "api/events/events.h"
#include "api/methods.h"
#include "base/log.h"
#include "codec/text/zbase32.h"
#include "community/community.h"
#include "search/search.h"
#include "shares/follow/follow.h"
#include "shares/publish/publish.h"

/* --- published --- */

static void publish_log(const struct publish_event *event)
{
	const char *name = event->share->settings->name;
	unsigned long long seq = event->seq;

	switch (event->kind) {
	case PUBLISH_REVISED:
		log_info("share %s: revision %llu is published", name, seq);
		break;
	case PUBLISH_RENEW_ERROR:
		log_warn("share %s: revision %llu could not be signed again before it expires: %s; "
			 "publish it again",
			 name, seq, weft_err_text(event->err));
		break;
	case PUBLISH_SUPERSEDED:
		log_notice("share %s: another holder of its key published revision %llu", name,
			   seq);
		break;
	case PUBLISH_FORKED:
		log_warn("share %s: another holder of its key published a revision %llu too; the "
			 "later one holds",
			 name, seq);
		break;
	case PUBLISH_WAS_REVOKED:
		log_notice("share %s is revoked: nothing is published by its key any more", name);
		break;
	}
}

void api_tell_publish(struct api *api, const struct publish_event *event)
{
	static const char *const kinds[] = {
		[PUBLISH_REVISED] = "share.revised",
		[PUBLISH_RENEW_ERROR] = "share.renew-error",
		[PUBLISH_SUPERSEDED] = "share.superseded",
		[PUBLISH_FORKED] = "share.forked",
		[PUBLISH_WAS_REVOKED] = "share.revoked",
	};
	char id[ZBASE32_KEY_TEXT_CAP];

	publish_log(event);
	if (api->control)
		api_tell(api, kinds[event->kind], share_revision,
			 .share_id = zbase32_write(event->share->share_id, SHARE_ID_LEN, id),
			 .name = event->share->settings->name, .revision = api_uint(event->seq));
}

/* --- watched --- */

static const char *reason(int err)
{
	switch (err) {
	case WEFT_EFULL:
		return "it has more directories than sharing.watch_dirs";
	case -ENOSPC:
		return "no inotify watches are left (fs.inotify.max_user_watches)";
	case -EMFILE:
		return "no inotify instances are left (fs.inotify.max_user_instances)";
	default:
		return weft_err_text(err);
	}
}

static void watch_log(enum watch_event_kind kind, const char *name, int err)
{
	switch (kind) {
	case WATCH_FAILED:
		log_warn("share %s: its folder changed and cannot be published: %s; it is tried "
			 "again in a minute",
			 name, weft_err_text(err));
		break;
	case WATCH_RESCANS:
		log_warn("share %s: its folder cannot be watched: %s; it is looked at every "
			 "sharing.watch_rescan instead",
			 name, reason(err));
		break;
	case WATCH_OVERFLOW:
		log_notice("share %s: more changed at once than the kernel reported; its folder is "
			   "read again",
			   name);
		break;
	}
}

void api_tell_watch(struct api *api, const struct watch_notice *told)
{
	static const char *const kinds[] = {
		[WATCH_FAILED] = "share.watch-error",
		[WATCH_RESCANS] = "share.rescanned",
		[WATCH_OVERFLOW] = "share.watch-overflow",
	};
	const char *name = told->share ? told->share->settings->name : "?";
	char id[ZBASE32_KEY_TEXT_CAP];

	watch_log(told->kind, name, told->err);
	if (api->control)
		api_tell(api, kinds[told->kind], share_watch,
			 .share_id = zbase32_write(told->share_id, SHARE_ID_LEN, id), .name = name,
			 .error = told->err ? reason(told->err) : "");
}

/* --- followed --- */

#define SHOWN_NAME_CAP MANIFEST_TITLE_CAP

static const char *const follow_names[] = {
	[FOLLOW_REVISION] = "follow.revision",
	[FOLLOW_OLD_HEAD] = "follow.old-head",
	[FOLLOW_FORKED] = "follow.forked",
	[FOLLOW_WAS_REVOKED] = "follow.revoked",
	[FOLLOW_HAS_MOVED] = "follow.moved",
	[FOLLOW_HAS_EXPIRED] = "follow.expired",
	[FOLLOW_BAD_REVISION] = "follow.bad-revision",
	[FOLLOW_BAD_BLOCKLIST] = "follow.bad-blocklist",
};

/* The name that people use. */
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

static void follow_log(const struct follow_event *event)
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

void api_tell_follow(struct api *api, const struct follow_event *event)
{
	char share[ZBASE32_KEY_TEXT_CAP], peer[ZBASE32_KEY_TEXT_CAP], name[SHOWN_NAME_CAP];
	bool is_bad_list = event->kind == FOLLOW_BAD_BLOCKLIST && event->seq;

	follow_log(event);
	if (api->control)
		api_tell(api, follow_names[event->kind], follow,
			 .share_id = zbase32_write(event->follow->share_id, SHARE_ID_LEN, share),
			 .name = shown_name(event->follow, name), .number = api_uint(event->seq),
			 .peer = api_event_key(event->peer_key, peer),
			 .error = is_bad_list ? event->follow->fault.why
					      : api_event_error(event->err));
}

/* --- searched --- */

static const char *const search_names[] = {
	[SEARCH_INDEX_RESET] = "search.index-reset",
	[SEARCH_SHARE_READY] = "search.share-ready",
	[SEARCH_SHARE_FAILED] = "search.share-failed",
};

static void search_log(const struct search_event *event, const char *share)
{
	switch (event->kind) {
	case SEARCH_INDEX_RESET:
		log_notice("the search index is made again: the one that was there is %s",
			   event->err ? "damaged" : "of another version of weft");
		break;
	case SEARCH_SHARE_FAILED:
		log_warn("share %.12s could not be indexed for search: %s; it is tried again in "
			 "ten minutes",
			 share, weft_err_text(event->err));
		break;
	case SEARCH_SHARE_READY:
		break;
	}
}

void api_tell_search(struct api *api, const struct search_event *event)
{
	char share[ZBASE32_KEY_TEXT_CAP] = "";

	if (event->share_id)
		zbase32_write(event->share_id, SHARE_ID_LEN, share);
	search_log(event, share);
	if (api->control)
		api_tell(
			api, search_names[event->kind], search,
			.share_id = event->share_id ? share : NULL,
			API_IF(items, event->kind == SEARCH_SHARE_READY, api_uint(event->item_cnt)),
			API_IF(cut_shards, event->cut_cnt, api_uint(event->cut_cnt)),
			.error = api_event_error(event->err));
}

/* --- communities --- */

void api_tell_community(struct api *api, const struct community_event *event)
{
	static const char *const names[] = {
		[COMMUNITY_JOINED] = "community.joined",
		[COMMUNITY_LEFT] = "community.left",
		[COMMUNITY_MEMBER_JOINED] = "community.member-joined",
		[COMMUNITY_MEMBER_LEFT] = "community.member-left",
		[COMMUNITY_SHARE_UPSERTED] = "community.share-upserted",
		[COMMUNITY_SHARE_ENDED] = "community.share-ended",
		[COMMUNITY_KEY_TWICE] = "community.key-twice",
	};
	bool is_share =
		event->kind == COMMUNITY_SHARE_UPSERTED || event->kind == COMMUNITY_SHARE_ENDED;
	char community[ZBASE32_KEY_TEXT_CAP], key[ZBASE32_KEY_TEXT_CAP];
	const char *named = api_event_key(event->key, key);

	if (api->control)
		api_tell(api, names[event->kind], community,
			 .community = api_event_key(event->id, community),
			 .share = is_share ? named : NULL, .node = is_share ? NULL : named);
}
