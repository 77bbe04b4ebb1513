/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_FIGURES_H
#define WEFT_API_FIGURES_H

#include "varlink/node.h"
#include "base/fair/load.h"
#include "base/figure.h"
#include "blobs/blobs.h"
#include "community/community.h"
#include "control/control.h"
#include "dht/dht.h"
#include "gateway/gateway.h"
#include "lan/lan.h"
#include "locate/locate.h"
#include "mesh/mesh.h"
#include "mesh/peers/rendezvous.h"
#include "net/packet_io.h"
#include "overlay/overlay.h"
#include "provider/provider.h"
#include "quic/quic.h"
#include "port_mapping/port_mapping.h"
#include "punch/punch.h"
#include "reachability/reachability.h"
#include "relay/broker/relay_broker.h"
#include "relay/end/relay_end.h"
#include "relay/find/relay_find.h"
#include "relay/pool/relay_pool.h"
#include "relay/receipts/relay_receipts.h"
#include "relay/relay.h"
#include "relay/role/relay_role.h"
#include "deposits/deposits.h"
#include "social/social.h"
#include "offers/service_offers.h"
#include "relay/slots/relay_slots.h"
#include "social/groups/groups.h"
#include "social/mail/social_mail.h"
#include "social/reach/follow_rounds.h"
#include "social/replicas/replicas.h"
#include "social/revoke/revoke.h"
#include "social/read/social_read.h"
#include "social/anchors/social_anchors.h"
#include "social/routes/social_search.h"
#include "social/routes/social_routes.h"
#include "social/write/social_write.h"
#include "social/sync/sync.h"
#include "social/social.h"
#include "relay/web/web.h"
#include "relay/web_end/web_end.h"
#include "search/search.h"
#include "social/slots/social_slots.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"
#include "service/limits/reputation.h"
#include "service/service.h"
#include "shares/announce/announce.h"
#include "shares/follow/follow.h"
#include "social/people/people.h"
#include "store/store.h"
#include "tcp/tcp.h"
#include "worker/stream_relay.h"

struct api;

struct worker_counters {
#define FIGURE FIGURE_FIELD
#include "worker/worker_counters.def"
};

/* All modules' figures of one moment, over all workers; zeros of a room that is off. */
struct figures {
	struct quic_stats quic;
	struct tcp_stats tcp;
	struct tcp_line_stats line;
	struct mesh_stats mesh;
	struct blobs_stats content;
	struct stream_relay_stats worker_streams;
	struct packet_counters rx, tx;
	struct worker_counters worker;
	struct load_network networks[LOAD_NETWORK_CNT]; /* that cost most; prefix_len 0: no more */
	struct store_stats store;
	struct control_stats control;
	struct gateway_stats gateway;
	struct mesh_rendezvous_stats rendezvous;
	struct overlay_stats overlay;
	struct dht_stats dht;
	struct lan_stats lan;
	struct locate_stats locate;
	struct reachability_stats reachability;
	struct punch_stats punch;
	struct port_mapping_stats port_mapping;
	struct relay_stats relay;
	struct relay_end_stats relay_end;
	struct relay_find_stats relay_find;
	struct relay_broker_stats relay_broker;
	struct relay_pool_stats relay_pool;
	struct relay_messages_stats relay_messages;
	struct relay_role_stats relay_role;
	struct relay_receipts_stats relay_receipts;
	struct relay_slots_stats relay_slots;
	struct offer_store_stats offers_store;
	struct deposits_stats deposits;
	struct groups_stats social_groups;
	struct social_read_stats social_read;
	struct social_write_stats social_write;
	struct social_routes_stats social_routes;
	struct replicas_stats replicas;
	struct attachments_stats attachments;
	struct social_mail_stats social_mail;
	struct revoke_stats revoke;
	struct sync_stats social_sync;
	struct social_search_stats social_search;
	struct social_rounds_stats social_rounds;
	struct social_anchors_stats social_anchors;
	struct posts_stats posts;
	struct intake_stats intake;
	struct slots_stats social_slots;
	struct spread_stats offers_spread;
	struct endorse_stats offers_endorse;
	struct service_relays_stats service_relays;
	struct offers_legacy_stats offers_legacy;
	struct reservations_stats offers_reserve;
	struct people_stats social_people;
	struct relay_web_stats relay_web;
	struct relay_web_end_stats relay_web_end;
	struct announce_stats announce;
	struct follows_stats follows;
	struct search_stats search;
	struct community_stats community;
	struct service_stats service;
	struct service_directory_stats directory;
	struct service_publisher_stats publisher;
	struct service_reputation_stats reputation;
	struct provider_stats provider;
};

/* api_figures_read: home worker. */
void api_figures_read(struct api *api, struct figures *out_figures);

/* A row of a *_counters.def. */
enum figure_kind {
	FIGURE_COUNTER, /* only grows since the start */
	FIGURE_FILL,	/* what there is now */
	FIGURE_BYTES,	/* likewise, in bytes */
};
struct figure {
	const char *name; /* of its module and its field: "quic.conn_cnt" */
	const char *meaning;
	enum figure_kind kind;
	uint64_t value;
};
/* A figure_iter walks them in the order of the modules; false: behind the last. */
struct figure_iter {
	const struct figures *figures;
	size_t idx; /* of the next */
};
bool api_figures_next(struct figure_iter *iter, struct figure *out_figure);

#endif
