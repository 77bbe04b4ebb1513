/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay over WebSocket, put together: TLS connections of HTTP come from the engines of all
 * workers, become channels on home's poller, and the relay speaks over them. Home.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "base/dgram.h"
#include "relay/broker/relay_broker.h"
#include "relay/web/web.h"
#include "tcp/tcp.h"
#include "tcp/tcp_channel.h"
#include "worker/tcp_legs.h"

bool node_has_relay_web(const struct node_config *config)
{
	return config->relay.is_on && config->relay_web.is_on && config->tcp.is_on;
}

static enum fair_class key_class(void *ctx, const uint8_t *key)
{
	return mesh_peer_class(((const struct node *)ctx)->home->mesh, key);
}

static bool refuses(void *ctx, const uint8_t *key, const struct addr *remote)
{
	struct ingress *ingress = ((const struct node *)ctx)->home->ingress;

	return key ? firewall_ingress_refuses(ingress, key, remote)
		   : firewall_ingress_refuses_addr(ingress, remote);
}

/* --- clients whose datagrams go to nodes, by flows --- */

static int on_send(void *ctx, const struct relay_web_dgram *dgram)
{
	struct node *node = ctx;
	const struct relay_guest_dgram guest = {.guest = dgram->client,
						.peer = dgram->peer,
						.data = dgram->data,
						.len = dgram->len};
	uint8_t bytes[RELAY_MESSAGE_LABEL_LEN + RELAY_WEB_DGRAM_MAX];
	struct tcp_dgram labelled = {.data = bytes, .ecn = dgram->ecn & 3};
	int err;

	if (!node->relay_broker)
		return WEFT_EABSENT;
	err = relay_broker_guest_send(node->relay_broker, &guest, node->home->now_ns, bytes);
	if (err < 0)
		return err == WEFT_EBUSY ? 0 : err;
	memcpy(bytes + RELAY_MESSAGE_LABEL_LEN, dgram->data, dgram->len);
	labelled.len = RELAY_MESSAGE_LABEL_LEN + dgram->len;
	worker_guest_input(node->home, dgram->client, &labelled);
	return 0;
}

static void on_guest(void *ctx, const struct dgram *dgram)
{
	struct node *node = ctx;
	struct relay_guest_dgram guest;

	if (!node->relay_web || !node->relay_broker ||
	    !relay_broker_guest_of(node->relay_broker, dgram->data, dgram->len, &guest))
		return;
	relay_web_deliver(node->relay_web,
			  &(struct relay_web_dgram){.client = guest.guest,
						    .peer = guest.peer,
						    .data = guest.data,
						    .len = guest.len,
						    .ecn = dgram->ecn},
			  node->home->now_ns);
}

bool node_is_guest(void *ctx, const uint8_t *key, struct addr *out_remote)
{
	const struct node *node = ctx;

	return node->relay_web && relay_web_client(node->relay_web, key, out_remote);
}

void node_guest_refused(void *ctx, const uint8_t *guest, const uint8_t *peer)
{
	const struct node *node = ctx;

	if (node->relay_web)
		relay_web_gone(node->relay_web, guest, peer);
}

int node_open_relay_web(struct node *node, char *what)
{
	const struct relay_web_params web = {
		.config = node->config->relay_web,
		.own_key = node_key_public(node->key),
		.site = &node->config->mesh.site,
		.random = node->random,
		.load = &node->home->load,
		.key_class = key_class,
		.refuses = refuses,
		.send = on_send,
		.ctx = node,
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
	node->home->on_guest = on_guest;
	node->home->guest_ctx = node;
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
