/* SPDX-License-Identifier: Apache-2.0 */
/* The node, as the handlers of the control interface see it (api/api.h). Home worker. */
#include "base/process/last_crash.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

static uint64_t on_wall_us(void *ctx)
{
	return node_wall_us(ctx);
}

static void on_shares_changed(void *ctx)
{
	((struct node *)ctx)->threads->is_shares_due = true;
}

static void on_read_schemas(void *ctx, const uint8_t share_id[static 32], uint64_t now_ns)
{
	node_sharing_read_schemas(((struct node *)ctx)->sharing, share_id, now_ns);
}

static void on_own_places(void *ctx, struct peer_places *out_places)
{
	node_places(ctx, out_places);
}

static void on_stop(void *ctx)
{
	node_stop(ctx);
}

static int on_reload(void *ctx, config_change_fn changed, void *arg,
		     char message[static CONFIG_MESSAGE_CAP])
{
	return node_reload(ctx, changed, arg, message);
}

static void wire_fabric(struct api *api, const struct fabric *fabric)
{
	api->overlay = fabric->overlay;
	api->relay_find = fabric->relay_find;
	api->pex = fabric->pex;
	api->rendezvous = fabric->meeting.rendezvous;
	api->service = fabric->service;
	api->directory = fabric->directory;
	api->service_publisher = fabric->publisher;
	api->reputation = fabric->reputation;
	api->provider = fabric->provider;
	api->builtin = fabric->builtin;
	api->tenants = fabric->tenants;
}

static void wire_sharing(struct api *api, const struct sharing *sharing)
{
	api->publisher = sharing->publisher;
	api->watches = sharing->watches;
	api->follows = sharing->follows;
	api->search = sharing->search;
	api->communities = sharing->communities;
	api->announce = sharing->announce;
	api->lan = sharing->lan;
}

void node_wire_api(struct node *node, const struct last_crash *last_crash)
{
	*node->api = (struct api){
		.config = node->config,
		.key = node->key,
		.own_key = node_key_public(node->key),
		.last_crash = last_crash && last_crash->died_at_s ? last_crash : NULL,
		.random = node->random,
		.store = node->store,
		.home = node->home,
		.fastpath = node->fastpath,
		.bans = &node->firewall->bans,
		.drops = &node->firewall->drops,
		.incidents = &node->firewall->incidents,
		.record = &node->firewall->record,
		.locate = node->locate,
		.reachability = node->reachability,
		.punch = node->punch,
		.offers = node->offers,
		.deposits = node->deposits,
		.social = node->social,
		.port_mapping = node->port_mapping,
		.relay = node->relay,
		.relay_broker = node->relay_broker,
		.relay_messages = node->relay_messages,
		.relay_role = &node->relay_role,
		.relay_honoured = node->relay_honoured,
		.relay_pool = node->relay_pool,
		.relay_receipts = node->relay_receipts,
		.relay_slots = node->relay_slots,
		.relay_trust = &node->relay_trust,
		.relay_end = node->relay_end,
		.relay_held = node->relay_held,
		.relay_web = node->relay_web,
		.relay_web_end = node->relay_web_end,
		.started_ns = node->wall->started_ns,
		.wall_us = on_wall_us,
		.own_addrs = node_own_addrs,
		.own_places = on_own_places,
		.shares_changed = on_shares_changed,
		.read_schemas = on_read_schemas,
		.stop = on_stop,
		.choose_relay = node_choose_relay,
		.reload = on_reload,
		.ctx = node,
	};
	if (node->fabric)
		wire_fabric(node->api, node->fabric);
	if (node->sharing)
		wire_sharing(node->api, node->sharing);
}
