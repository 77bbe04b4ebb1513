/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of shares that are watched, put together with the node (shares/publish/share_watch.h). */
#include <errno.h>
#include <jansson.h>

#include "base/log.h"
#include "codec/zbase32.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

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

static void event_log(enum watch_event_kind kind, const char *name, int err)
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
		log_notice("share %s: more changed at once than the kernel told; its folder is "
			   "read again",
			   name);
		break;
	}
}

static void on_watch(void *ctx, enum watch_event_kind kind,
		     const uint8_t share_id[static SHARE_ID_LEN], int err)
{
	static const char *const kinds[] = {
		[WATCH_FAILED] = "share.watch-error",
		[WATCH_RESCANS] = "share.rescanned",
		[WATCH_OVERFLOW] = "share.watch-overflow",
	};
	const struct sharing *sharing = ctx;
	const struct published *share = shares_publisher_lookup(sharing->publisher, share_id);
	const char *name = share ? share->settings->name : "?";
	char id[ZBASE32_KEY_TEXT_CAP];

	event_log(kind, name, err);
	if (sharing->node->control)
		node_tell(sharing->node, kinds[kind],
			  json_pack("{s:s, s:s, s:s}", "share_id",
				    zbase32_write(share_id, SHARE_ID_LEN, id), "name", name,
				    "error", err ? reason(err) : ""));
}

int node_sharing_open_watches(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct watches_params params = {
		.config = node->config->sharing.watches,
		.publisher = sharing->publisher,
		.store = node->store,
		.jobs = node->home.jobs,
		.timers = &node->home.timers,
		.now_ns = node->home.now_ns,
		.event = on_watch,
		.ctx = sharing,
	};

	return shares_watches_new(&params, &sharing->watches);
}
