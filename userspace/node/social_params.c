/* SPDX-License-Identifier: Apache-2.0 */
/* What the social layer takes of the node. Home worker. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/events/events.h"
#include "base/log.h"
#include "blobs/retainer.h"
#include "dht/items/pkarr.h"
#include "lan/lan.h"
#include "lan/lan_discovery.h"
#include "node/node_state.h"
#include "quic/quic.h"
#include "social/sync/sync.h"
#include "store/store.h"

static uint64_t on_wall_ms(void *ctx)
{
	return node_wall_us(ctx) / 1000;
}

static bool on_admit(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	return relay_messages_admit(((struct node *)ctx)->relay_messages, call, now_ns);
}

static void on_happened(void *ctx, const struct social_event *event)
{
	struct node *node = ctx;

	if (node->api)
		api_tell_social(node->api, event);
}

/* --- what posts refer to is no garbage --- */

static bool on_no_manifest(void *ctx, blobs_holder_fn fn, void *arg)
{
	(void)ctx, (void)fn, (void)arg;
	return true;
}

/* While the layer is off, it cannot be said what its posts refer to, so nothing is swept. */
static bool on_attachments(void *ctx, bool (*fn)(void *arg, const uint8_t id[static 32]), void *arg)
{
	struct node *node = ctx;
	struct store_stats stats;

	if (node->social)
		return social_intake_attachments(social_intake_of(node->social), fn, arg) &&
		       social_attachments_each_blob(social_attachments_of(node->social), fn, arg);
	store_stats(node->store, &stats);
	return stats.item_cnt[STORE_POSTS] == 0;
}

static int attachments_keep(struct node *node)
{
	const struct blobs_retainer holder = {
		.manifests_each = on_no_manifest, .ctx = node, .blobs_each = on_attachments};

	return blobs_add_holder(node_content(node), &holder);
}

static int on_hold(void *ctx)
{
	return blobs_holder_begin(node_content(ctx));
}

static void on_release(void *ctx)
{
	blobs_holder_end(node_content(ctx));
}

static int on_sweep(void *ctx)
{
	return blobs_gc(node_content(ctx), true, NULL, NULL);
}

/*
 * Nodes to begin with. One that is wrong is no reason not to start: the log says what is, and weft peer
 * suggest does so, too. NULL: there are none.
 */
static struct first_nodes *bootstrap_read(struct node *node)
{
	const char *named = node->config->social.bootstrap;
	struct first_nodes *list = calloc(1, sizeof(*list));
	char why[FIRST_WHY_CAP], path[2 * CONFIG_PATH_CAP];
	int err;

	snprintf(path, sizeof(path), "%s%s", *named ? named : node->config->state_dir,
		 *named ? "" : "/bootstrap.json");
	err = list ? social_bootstrap_read(path, list, why) : -ENOMEM;
	if (err < 0 && (*named || err != -ENOENT)) {
		log_error("%s: %s; using none of its nodes: mend it and start weftd again", path,
			  list ? why : "there is no memory");
		if (list)
			snprintf(list->fault, sizeof(list->fault), "%.448s: %s", path, why);
	}
	return list;
}

/* Programs that are no node speak to the first worker. */
static int literal_open(struct node *node)
{
	const struct quic_guest guest = {SYNC_LITERAL_ALPN, &social_sync_literal_events,
					 social_sync_of(node->social)};

	return quic_engine_serve(node->home->quic, &guest);
}

static void literal_close(struct node *node)
{
	const struct quic_guest none = {.alpn = SYNC_LITERAL_ALPN};

	(void)!quic_engine_serve(node->home->quic, &none);
}

/* Addresses that third nodes proved come first, then the machine's own. */
static void all_add(struct pkarr_record *all, const struct addr *addrs, unsigned cnt)
{
	for (unsigned i = 0; i < cnt && all->addr_cnt < PKARR_ADDRS_MAX; i++)
		all->addrs[all->addr_cnt++] = addrs[i];
}

static void on_places(void *ctx, bool shows_direct, struct peer_places *out_places)
{
	struct node *node = ctx;
	struct pkarr_policy policy = node->config->publish.policy;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	struct pkarr_record all = {.addr_cnt = 0}, record;

	policy.publish = shows_direct ? PKARR_DIRECT : PKARR_RELAY_ONLY;
	all_add(&all, addrs, node_outer_addrs(node, addrs));
	all_add(&all, addrs, node_own_addrs(node, addrs));
	all.via_cnt = node->relay_end ? relay_end_kept(node->relay_end, all.vias) : 0;
	*out_places = (struct peer_places){.addr_cnt = 0};
	if (dht_pkarr_record_select(&all, &policy, &record) < 0)
		return;
	out_places->addr_cnt = record.addr_cnt;
	out_places->via_cnt = record.via_cnt;
	memcpy(out_places->addrs, record.addrs, sizeof(record.addrs));
	memcpy(out_places->vias, record.vias, sizeof(record.vias));
}

static unsigned on_lan(void *ctx, const uint8_t *key, struct addr *out_addrs)
{
	const struct node *node = ctx;
	const struct lan *lan = node->api->lan ? lan_discovery_lan(node->api->lan) : NULL;
	const struct lan_node *there = NULL;
	unsigned cnt = 0;

	while (lan && cnt < MESH_PEER_ADDRS_MAX && (there = lan_next(lan, there)))
		if (there->has_key && there->addr.port &&
		    memcmp(there->key, key, MESH_KEY_LEN) == 0)
			out_addrs[cnt++] = there->addr;
	return cnt;
}

int node_open_social(struct node *node, char *what)
{
	struct social_params params = {
		.config = node->config->social,
		.ground =
			{
				.site = node->config->mesh.site,
				.key = node->key,
				.store = node->store,
				.mesh = mesh_seam_of(node->home->mesh),
				.neighbours = &mesh_neighbour_ops,
				.timers = &node->home->timers,
				.random = node->random,
				.wall_ms = on_wall_ms,
				.class_of = node_peer_class,
				.admit = on_admit,
				.happened = on_happened,
				.ctx = node,
			},
		.ways = {.places = on_places,
			 .lan = on_lan,
			 .attachments = {.hold = on_hold,
					 .release = on_release,
					 .sweep = on_sweep,
					 .ctx = node}},
		.jobs = node->home->jobs,
		.boxes = node->deposits ? node_mail_boxes : (struct mail_boxes){.put = NULL},
		.slots = {.is_light = node->config->mesh.is_light,
			  .session_cap = node->config->mesh.session_cap},
		.now_ns = node->home->now_ns,
	};
	struct first_nodes *bootstrap;
	int err;

	snprintf(what, NODE_WHAT_CAP, "posts and people");
	if ((err = attachments_keep(node)) < 0 || !params.config.is_on)
		return err;
	bootstrap = bootstrap_read(node);
	params.bootstrap = bootstrap;
	err = social_open(&params, &node->social);
	free(bootstrap);
	if (err < 0 || (err = node_register_mail(node)) < 0)
		return err;
	return literal_open(node);
}

bool node_is_unsought(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return social_is_unsought(node->social, key);
}

void node_stop_social(struct node *node)
{
	node->api->social = NULL;
	if (node->social)
		literal_close(node);
	social_stop(node->social);
}

void node_close_social(struct node *node)
{
	social_close(node->social);
	node->social = NULL;
}
