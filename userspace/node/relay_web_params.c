/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay over WebSocket, put together: TLS connections of HTTP come from the engines of all
 * workers, become channels on home's poller, and the relay speaks over them. Home.
 */
#include <stdio.h>

#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "relay/web/web.h"
#include "tcp/tcp.h"
#include "tcp/tcp_channel.h"

bool node_has_relay_web(const struct node_config *config)
{
	return config->relay.is_on && config->relay_web.is_on && config->tcp.is_on;
}

static enum fair_class key_class(void *ctx, const uint8_t *key)
{
	const struct worker *home = ctx;

	return mesh_peer_class(home->mesh, key);
}

static bool refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct ingress *ingress = ((const struct worker *)ctx)->ingress;

	return key ? firewall_ingress_refuses(ingress, key, remote)
		   : firewall_ingress_refuses_addr(ingress, remote);
}

int node_open_relay_web(struct node *node, char *what)
{
	const struct relay_web_params web = {
		.config = node->config->relay_web,
		.site = &node->config->mesh.site,
		.random = node->random,
		.load = &node->home->load,
		.key_class = key_class,
		.refuses = refuses,
		.ctx = node->home,
		.now_ns = node->home->now_ns,
	};
	struct tcp_channels_params channels = {
		.poller = node->home->poller,
		/* One is there before another makes room. */
		.channel_cap = web.config.client_cap + 1,
		.events = &relay_web_events,
	};
	int err;

	if (!node->home->poller || !node_has_relay_web(node->config))
		return 0;
	snprintf(what, NODE_WHAT_CAP, "the relay over WebSocket (relay.web_clients, web_memory)");
	err = relay_web_new(&web, &node->relay_web);
	if (err < 0)
		return err;
	channels.ctx = node->relay_web;
	return tcp_channels_open(&channels, &node->channels);
}

void node_close_relay_web(struct node *node)
{
	relay_web_free(node->relay_web);
	node->relay_web = NULL;
	tcp_channels_close(node->channels);
	node->channels = NULL;
}

void node_on_passed(void *ctx, const struct tcp_passed *passed)
{
	struct node *node = ctx;

	if (node->channels)
		tcp_channels_take(node->channels, passed, node->home->now_ns);
	else
		tcp_passed_drop(passed);
}

void node_turn_relay_web(struct node *node, uint64_t now_ns)
{
	if (!node->relay_web || relay_web_next_ns(node->relay_web) > now_ns)
		return;
	relay_web_expire(node->relay_web, now_ns);
	relay_web_flush(node->relay_web, now_ns);
}

uint64_t node_relay_web_next_ns(const struct node *node)
{
	return node->relay_web ? relay_web_next_ns(node->relay_web) : UINT64_MAX;
}

void node_expel_relay_web(struct node *node, uint64_t now_ns)
{
	if (node->relay_web)
		(void)relay_web_expel(node->relay_web, now_ns);
}

void node_drain_relay_web(struct node *node, uint64_t now_ns)
{
	if (!node->relay_web)
		return;
	relay_web_restart(node->relay_web, now_ns);
	relay_web_flush(node->relay_web, now_ns);
}
