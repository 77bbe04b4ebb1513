/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that this node publishes, put together with the node (shares/publish/). */
#include <jansson.h>

#include "base/log.h"
#include "codec/zbase32.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct sharing *)ctx)->node) / 1000000;
}

static void event_log(const struct publish_event *event)
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

static void on_publish(void *ctx, const struct publish_event *event)
{
	static const char *const kinds[] = {
		[PUBLISH_REVISED] = "share.revised",
		[PUBLISH_RENEW_ERROR] = "share.renew-error",
		[PUBLISH_SUPERSEDED] = "share.superseded",
		[PUBLISH_FORKED] = "share.forked",
		[PUBLISH_WAS_REVOKED] = "share.revoked",
	};
	struct node *node = ((struct sharing *)ctx)->node;
	char id[ZBASE32_KEY_TEXT_CAP];

	event_log(event);
	node_sharing_bind_soon(ctx);
	if (node->control)
		node_tell(node, kinds[event->kind],
			  json_pack("{s:s, s:s, s:I}", "share_id",
				    zbase32_write(event->share->share_id, SHARE_ID_LEN, id), "name",
				    event->share->settings->name, "revision",
				    (json_int_t)event->seq));
}

/* Who follows what he publishes has a link that somebody else gave him. */
static unsigned hints(void *ctx, const uint8_t share_id[static SHARE_ID_LEN],
		      const struct link_node **out_hints)
{
	const struct sharing *sharing = ctx;
	const struct follow *follow =
		sharing->follows ? shares_follow_lookup(sharing->follows, share_id) : NULL;

	if (!follow)
		return 0;
	*out_hints = follow->hints;
	return follow->hint_cnt;
}

int node_sharing_open_publisher(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct publisher_params params = {
		.config = node->config->sharing.publisher,
		.content = node->home.content,
		.store = node->store,
		.seal = sharing->seal,
		.jobs = node->home.jobs,
		.timers = &node->home.timers,
		.overlay = node_sharing_overlay(sharing),
		.mesh = mesh_seam_of(node->home.mesh),
		.hints = hints,
		.now_ns = node->home.now_ns,
		.wall_s = wall_s,
		.event = on_publish,
		.ctx = sharing,
	};

	return shares_publisher_new(&params, &sharing->publisher);
}
