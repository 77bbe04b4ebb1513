/* SPDX-License-Identifier: Apache-2.0 */
#include "api/daemon/memory_plan.h"

#include "blobs/read/read.h"
#include "blobs/blobs.h"
#include "firewall/ban_list.h"
#include "api/http/web_routes.h"
#include "config/config.h"
#include "firewall/drop_counters.h"
#include "firewall/ingress.h"
#include "firewall/incidents.h"
#include "firewall/policy_record.h"
#include "worker/stream_inlet.h"
#include "worker/stream_relay.h"

#define CHUNK_BUFFER_LEN (256u * 1024)
/* ngtcp2's objects aside, TLS keeps about this much per connection (measured, docs/operations.md). */
#define TLS_LEN_PER_CONN (24u * 1024)

static size_t tcp_len(const struct node_config *config)
{
	return config->tcp.is_on || config->tcp.line_cnt ? tcp_config_footprint(&config->tcp) : 0;
}

static uint64_t receipts_len(const struct node_config *config)
{
	const struct relay_receipts_config receipts =
		relay_receipts_config_of(&config->relay_receipts, config->relay.is_on);

	return relay_receipts_footprint(&receipts);
}

/* One worker's end, home's, and what may be between them. */
static uint64_t relay_len(const struct node_config *config)
{
	return worker_stream_relay_footprint(config->mesh.stream_cap) +
	       worker_stream_inlet_footprint(config->mesh.stream_cap) + RELAY_LEN_MAX +
	       RELAY_MESSAGES_LEN_MAX;
}

static size_t web_end_len(const struct node_config *config)
{
	bool is_used = config->relay_web_end.relays[0] || config->relay_end.use != RELAY_USE_NO;

	return is_used ? relay_web_end_footprint(&config->relay_web_end) : 0;
}

static size_t broker_len(const struct node_config *config)
{
	return config->relay.is_on
		       ? relay_broker_footprint(&config->relay_broker, config->relay.flow_cap) +
				 relay_messages_footprint(&config->relay_messages)
		       : 0;
}

/* Without a relay the messages about deposits are counted all the same. */
static size_t deposits_len(const struct node_config *config)
{
	size_t messages_len = config->deposits.is_store && !config->relay.is_on
				      ? relay_messages_footprint(&config->relay_messages)
				      : 0;

	return messages_len + deposits_footprint(&config->deposits);
}

unsigned api_memory_plan(const struct node_config *config,
			 struct memory_region out_regions[MEMORY_REGION_CAP])
{
	uint64_t workers = config->worker_cnt;
	const struct memory_region regions[] = {
		{"QUIC connections and streams (quic.heap)", workers * config->quic.heap_cap,
		 MEMORY_QUIC_HEAP},
		{"TLS of open connections (quic.conn_cap)",
		 workers * config->quic.conn_cap * TLS_LEN_PER_CONN, MEMORY_UNTOLD},
		{"TCP connections and streams (tcp.conn_cap, tcp.heap)", workers * tcp_len(config),
		 MEMORY_UNTOLD},
		{"chunk buffers and tables of serving (content.chunk_buffers)",
		 workers * blobs_serve_footprint(config->content.chunk_buffer_cnt), MEMORY_UNTOLD},
		{"files that are read by the gateway, 32 at once (content)",
		 blobs_readers_footprint(), MEMORY_UNTOLD},
		{"sessions, requests, peers (mesh)", workers * mesh_footprint(&config->mesh),
		 MEMORY_UNTOLD},
		{"what was dropped and what happened (node)",
		 sizeof(struct drops) + sizeof(struct incidents), MEMORY_UNTOLD},
		{"what unvalidated sources sent in the last day (node)",
		 firewall_record_footprint(config->worker_cnt, net_xdp_cpu_cnt()), MEMORY_UNTOLD},
		{"bans (node)", firewall_ban_list_footprint(), MEMORY_UNTOLD},
		{"the DHT (dht.item_cap, dht.peer_cap)",
		 locate_mainline_footprint(&config->mainline), MEMORY_UNTOLD},
		{"HTTP clients and records (gateway), asking relays (pkarr)",
		 api_http_footprint(&config->web) +
			 locate_pkarr_relay_footprint(&config->pkarr_client),
		 MEMORY_UNTOLD},
		{"signaling (node)", locate_signaling_footprint(&config->signaling), MEMORY_UNTOLD},
		{"services (service.memory, overlay.value_memory)",
		 config_fabric_footprint(&config->fabric), MEMORY_UNTOLD},
		{"service offers, their index and endorsements, messages (offers.room)",
		 config->offers.is_on ? offers_footprint(&config->offers) : 0, MEMORY_UNTOLD},
		{"shares that are published, followed, searched, announced (sharing)",
		 config_sharing_footprint(&config->sharing), MEMORY_UNTOLD},
		{"streams to services on sessions of other workers (mesh.stream_cap)",
		 config->fabric.is_on ? (workers - 1) * relay_len(config) : 0,
		 MEMORY_WORKER_STREAMS},
		{"control clients and events (control)", control_footprint(&config->control),
		 MEMORY_UNTOLD},
		{"limits, proven addresses (xdp.session_cap), bans in force",
		 workers * firewall_ingress_footprint(config->fastpath.xdp.session_cap),
		 MEMORY_UNTOLD},
		{"relayed flows and grants (relay.flow_cap)", relay_footprint(&config->relay),
		 MEMORY_UNTOLD},
		{"ends of relayed flows, requests and messages (relay.flow_cap, relay.requests, "
		 "relay.messages)",
		 broker_len(config), MEMORY_UNTOLD},
		{"ends of flows through relays (node)", relay_end_footprint(&config->relay_end),
		 MEMORY_UNTOLD},
		{"receipts of relays (relay.receipts)", receipts_len(config), MEMORY_UNTOLD},
		{"slots of the relay (relay.slots)",
		 config->relay.is_on ? relay_slots_footprint(&config->relay_slots) : 0,
		 MEMORY_UNTOLD},
		{"the relay over WebSocket (relay.web_clients, relay.web_memory)",
		 config->relay.is_on ? relay_web_footprint(&config->relay_web) : 0, MEMORY_UNTOLD},
		{"relays used over WebSocket (relay.websocket)", web_end_len(config),
		 MEMORY_UNTOLD},
		{"deposits (deposits.room)", deposits_len(config), MEMORY_UNTOLD},
		{"people and posts (social.posts, social.room)", social_footprint(&config->social),
		 MEMORY_UNTOLD},
		{"socket buffers (net)",
		 workers * config->udp.listen_cnt *
			 (config->udp.rx_buffer_len + config->udp.tx_buffer_len),
		 MEMORY_UNTOLD},
	};
	unsigned cnt = sizeof(regions) / sizeof(regions[0]);

	_Static_assert(sizeof(regions) / sizeof(regions[0]) <= MEMORY_REGION_CAP, "room");
	for (unsigned i = 0; i < cnt; i++)
		out_regions[i] = regions[i];
	return cnt;
}
