/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket, put together from both sides. The relay: TLS connections of HTTP come from the engines
 * of all workers, become channels on home's poller, and the relay speaks over them. The client of
 * other relays: its channels are dialled, and its datagrams are those of paths of relay/end/. Home.
 */
#include <stdio.h>
#include <string.h>

#include "crypto/node_key.h"
#include "firewall/ingress.h"
#include "mesh/mesh.h"
#include "node/node_state.h"
#include "base/dgram.h"
#include "relay/broker/relay_broker.h"
#include "relay/end/relay_end.h"
#include "relay/web/web.h"
#include "relay/web_end/web_end.h"
#include "tcp/tcp.h"
#include "tcp/tcp_channel.h"
#include "worker/tcp_legs.h"

bool node_has_relay_web(const struct node_config *config)
{
	return config->relay.is_on && config->relay_web.is_on && config->tcp.is_on;
}

bool node_has_relay_web_end(const struct node_config *config)
{
	return config->relay_web_end.relays[0] || config->relay_end.use != RELAY_USE_NO;
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

void node_guest_deliver(void *ctx, const struct relay_guest_dgram *dgram)
{
	const struct node *node = ctx;

	if (node->relay_web)
		relay_web_deliver(node->relay_web,
				  &(struct relay_web_dgram){.client = dgram->guest,
							    .peer = dgram->peer,
							    .data = dgram->data,
							    .len = dgram->len},
				  node->home->now_ns);
}

static int relay_open(struct node *node, char *what)
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

	snprintf(what, NODE_WHAT_CAP, "the relay over WebSocket (relay.web_clients, web_memory)");
	err = relay_web_new(&web, &node->relay_web);
	if (err < 0)
		return err;
	node->home->on_guest = on_guest;
	node->home->guest_ctx = node;
	channels.ctx = node->relay_web;
	return tcp_channels_open(&channels, &node->channels);
}

/* --- relays that this node uses --- */

static const uint8_t *internet_ranks(const struct node *node)
{
	return config_live(node->config)->mesh.ways[MESH_NETWORK_INTERNET].ranks;
}

static unsigned on_places(void *ctx, struct relay_end_place out[static RELAY_END_WEB_MAX])
{
	const struct node *node = ctx;
	struct relay_web_end_view view;
	unsigned cnt = 0;

	if (!node->relay_web_end || !internet_ranks(node)[MESH_WAY_WEBSOCKET])
		return 0;
	while (cnt < RELAY_END_WEB_MAX && relay_web_end_view(node->relay_web_end, cnt, &view)) {
		out[cnt] = (struct relay_end_place){
			.addrs = {view.place->addr}, .addr_cnt = 1, .is_web = true};
		memcpy(out[cnt].key, view.place->key, sizeof(out[cnt].key));
		cnt++;
	}
	return cnt;
}

static bool on_is_up(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->relay_web_end && relay_web_end_is_up(node->relay_web_end, key);
}

static void on_web_send(void *ctx, const uint8_t *key, const uint8_t *peer,
			const struct dgram *dgram)
{
	relay_web_end_send(
		((struct node *)ctx)->relay_web_end, key,
		&(struct relay_web_end_dgram){
			.peer = peer, .data = dgram->data, .len = dgram->len, .ecn = dgram->ecn});
}

/* Where a relay takes TCP: one port above QUIC's, unless it says otherwise. False: nowhere. */
static bool tcp_addr_of(const struct relay_end_place *relay, struct addr *out_addr)
{
	for (unsigned i = 0; i < relay->addr_cnt; i++)
		if (relay->addrs[i].transport == ADDR_TCP) {
			*out_addr = relay->addrs[i];
			return true;
		}
	for (unsigned i = 0; i < relay->addr_cnt; i++)
		if (relay->addrs[i].transport == ADDR_UDP && relay->addrs[i].port < UINT16_MAX) {
			*out_addr = relay->addrs[i];
			out_addr->transport = ADDR_TCP;
			out_addr->port++;
			return true;
		}
	return false;
}

static void on_use(void *ctx, const struct relay_end_place *relays, unsigned cnt)
{
	struct node *node = ctx;
	struct relay_web_place places[RELAY_WEB_END_KEPT_MAX];
	unsigned place_cnt = 0;

	if (!node->relay_web_end)
		return;
	for (unsigned i = 0; i < cnt && place_cnt < RELAY_WEB_END_KEPT_MAX; i++) {
		struct relay_web_place *place = &places[place_cnt];

		*place = (struct relay_web_place){.name = ""};
		memcpy(place->key, relays[i].key, sizeof(place->key));
		place->is_told = node_relay_rank(node, place->key) >= RELAY_TRUST_UNKNOWN;
		place_cnt += tcp_addr_of(&relays[i], &place->addr);
	}
	relay_web_end_use(node->relay_web_end, places, place_cnt, node->home->now_ns);
}

const struct relay_end_web node_relay_end_web = {
	.places = on_places, .is_up = on_is_up, .use = on_use, .send = on_web_send};

/* A relay with a name has no key that could be banned. */
static bool on_place_refused(void *ctx, const struct relay_web_place *place)
{
	return refuses(ctx, place->name[0] ? NULL : place->key, &place->addr);
}

static int on_dial(void *ctx, const struct relay_web_place *place, void *user,
		   struct byte_channel **out_channel)
{
	struct node *node = ctx;
	const struct tcp_channel_target target = {
		.addr = place->addr,
		.name = place->name[0] ? place->name : NULL,
		.key = place->name[0] ? NULL : place->key,
		.user = user,
	};

	if (place->is_told &&
	    !mesh_may_dial_web(node->home->mesh, place->key, &place->addr, node->home->now_ns))
		return WEFT_EREFUSED;
	return tcp_channels_dial(node->dialled_channels, &target, out_channel);
}

static void on_web_input(void *ctx, const uint8_t *relay, const struct relay_web_end_dgram *in,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	struct dgram dgram = {.data = in->data, .len = in->len, .ecn = in->ecn};

	/* Bytes come between turns, perhaps long after the last one. */
	if (now_ns > node->home->now_ns)
		node->home->now_ns = now_ns;
	if (relay_end_web_input(node->relay_end, relay, in->peer, &dgram, now_ns))
		worker_input_relayed(node->home, &dgram);
}

static void on_web_gone(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t now_ns)
{
	relay_end_web_gone(((struct node *)ctx)->relay_end, relay, peer, now_ns);
}

static void on_web_changed(void *ctx, const uint8_t *relay, bool is_up, uint64_t now_ns)
{
	struct node *node = ctx;

	struct relay_web_end_view view;

	for (unsigned i = 0; is_up && relay_web_end_view(node->relay_web_end, i, &view); i++)
		if (memcmp(view.place->key, relay, RELAY_WEB_KEY_LEN) == 0)
			mesh_web_answered(node->home->mesh, &view.place->addr);
	relay_end_web_changed(node->relay_end, relay, now_ns);
}

static int used_open(struct node *node, char *what)
{
	const struct node_config *config = node->config;
	const struct relay_web_end_params end = {
		.config = config->relay_web_end,
		.key = node->key,
		.random = node->random,
		.dial = on_dial,
		.refuses = on_place_refused,
		.input = on_web_input,
		.gone = on_web_gone,
		.changed = on_web_changed,
		.ctx = node,
		.now_ns = node->home->now_ns,
	};
	const struct tcp_channel_dials dials = {
		.proxy = config->tcp.proxy,
		.proxy_user = node->threads->config.proxy_user,
		.ca_file = config->relay_web_end.ca_file,
	};
	const struct tcp_channels_params channels = {
		.poller = node->home->poller,
		.channel_cap = RELAY_WEB_END_CAP,
		.events = &relay_web_end_events,
		.dials = &dials,
	};
	int err;

	snprintf(what, NODE_WHAT_CAP,
		 "relay.websocket: up to 4 of KEY@ADDRESS:PORT or NAME@ADDRESS:PORT, each once");
	err = relay_web_end_new(&end, &node->relay_web_end);
	if (err < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "relay.websocket_ca_file %.300s", dials.ca_file);
	return tcp_channels_open(&channels, &node->dialled_channels);
}

int node_open_relay_web(struct node *node, char *what)
{
	int err = 0;

	if (!node->home->poller)
		return 0;
	if (node_has_relay_web(node->config))
		err = relay_open(node, what);
	if (err == 0 && node_has_relay_web_end(node->config))
		err = used_open(node, what);
	return err;
}

void node_close_relay_web(struct node *node)
{
	relay_web_end_free(node->relay_web_end);
	node->relay_web_end = NULL;
	tcp_channels_close(node->dialled_channels);
	node->dialled_channels = NULL;
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

static void used_turn(struct node *node, uint64_t now_ns)
{
	bool is_wanted = internet_ranks(node)[MESH_WAY_WEBSOCKET] &&
			 node->config->relay_end.use != RELAY_USE_NO;

	relay_web_end_want(node->relay_web_end, is_wanted, now_ns);
	if (relay_web_end_next_ns(node->relay_web_end) <= now_ns)
		relay_web_end_turn(node->relay_web_end, now_ns);
}

void node_turn_relay_web(struct node *node, uint64_t now_ns)
{
	if (node->relay_web_end)
		used_turn(node, now_ns);
	if (!node->relay_web || relay_web_next_ns(node->relay_web) > now_ns)
		return;
	relay_web_expire(node->relay_web, now_ns);
	relay_web_flush(node->relay_web, now_ns);
}

uint64_t node_relay_web_next_ns(const struct node *node)
{
	uint64_t web_ns = node->relay_web ? relay_web_next_ns(node->relay_web) : UINT64_MAX;
	uint64_t end_ns =
		node->relay_web_end ? relay_web_end_next_ns(node->relay_web_end) : UINT64_MAX;

	return web_ns < end_ns ? web_ns : end_ns;
}

void node_expel_relays(struct node *node, uint64_t now_ns)
{
	if (node->relay_web)
		(void)relay_web_expel(node->relay_web, now_ns);
	if (node->relay_web_end)
		(void)relay_web_end_expel(node->relay_web_end, now_ns);
	relay_end_expel(node->relay_end, now_ns);
	relay_slots_expel(node->relay_slots, now_ns);
}

void node_drain_relay_web(struct node *node, uint64_t now_ns)
{
	if (!node->relay_web)
		return;
	relay_web_restart(node->relay_web, now_ns);
	relay_web_flush(node->relay_web, now_ns);
}
