/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of the modules, by tables of names and fields, summed over the workers. */
#include "api/figures.h"

#include <stddef.h>
#include <string.h>

#include "api/http/web_routes.h"
#include "api/methods.h"
#include "blobs/serve/servers.h"
#include "lan/lan_discovery.h"

struct row {
	const char *name, *meaning;
	size_t off;
	size_t len; /* of the field: 4 or 8 */
	enum figure_kind kind;
};
#define ROW(section, kind, field, meaning)                                                         \
	{#section "." #field, meaning, offsetof(struct figures, section.field),                    \
	 sizeof(((struct figures *)0)->section.field), FIGURE_##kind},

/* The figures of Status, WatchLoad and /metrics, and of the workers' sums. */
/* clang-format off */
static const struct row rows[] = {
#define FIGURE(kind, field, meaning) ROW(quic, kind, field, meaning)
#include "quic/quic_counters.def"
#define FIGURE(kind, field, meaning) ROW(tcp, kind, field, meaning)
#include "tcp/tcp_counters.def"
#define FIGURE(kind, field, meaning) ROW(line, kind, field, meaning)
#include "tcp/line_counters.def"
#define FIGURE(kind, field, meaning) ROW(mesh, kind, field, meaning)
#include "mesh/mesh_counters.def"
#define FIGURE(kind, field, meaning) ROW(rendezvous, kind, field, meaning)
#include "mesh/peers/rendezvous_counters.def"
#define FIGURE(kind, field, meaning) ROW(overlay, kind, field, meaning)
#include "overlay/overlay_counters.def"
#define FIGURE(kind, field, meaning) ROW(dht, kind, field, meaning)
#include "dht/dht_counters.def"
#define FIGURE(kind, field, meaning) ROW(lan, kind, field, meaning)
#include "lan/lan_counters.def"
#define FIGURE(kind, field, meaning) ROW(locate, kind, field, meaning)
#include "locate/locate_counters.def"
#define FIGURE(kind, field, meaning) ROW(reachability, kind, field, meaning)
#include "reachability/reachability_counters.def"
#define FIGURE(kind, field, meaning) ROW(punch, kind, field, meaning)
#include "punch/punch_counters.def"
#define FIGURE(kind, field, meaning) ROW(offers_store, kind, field, meaning)
#include "offers/store/offers_store_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_people, kind, field, meaning)
#include "social/people/social_people_counters.def"
#define FIGURE(kind, field, meaning) ROW(deposits, kind, field, meaning)
#include "deposits/deposits_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_groups, kind, field, meaning)
#include "social/groups/social_groups_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_read, kind, field, meaning)
#include "social/read/social_read_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_write, kind, field, meaning)
#include "social/write/social_write_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_mail, kind, field, meaning)
#include "social/mail/social_mail_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_routes, kind, field, meaning)
#include "social/routes/social_routes_counters.def"
#define FIGURE(kind, field, meaning) ROW(replicas, kind, field, meaning)
#include "social/replicas/replicas_counters.def"
#define FIGURE(kind, field, meaning) ROW(revoke, kind, field, meaning)
#include "social/revoke/revoke_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_sync, kind, field, meaning)
#include "social/sync/social_sync_counters.def"
#define FIGURE(kind, field, meaning) ROW(attachments, kind, field, meaning)
#include "social/attachments/attachments_counters.def"
#define FIGURE(kind, field, meaning) ROW(posts, kind, field, meaning)
#include "social/keep/posts_counters.def"
#define FIGURE(kind, field, meaning) ROW(intake, kind, field, meaning)
#include "social/intake/intake_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_slots, kind, field, meaning)
#include "social/slots/social_slots_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_search, kind, field, meaning)
#include "social/routes/social_search_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_rounds, kind, field, meaning)
#include "social/reach/social_rounds_counters.def"
#define FIGURE(kind, field, meaning) ROW(social_anchors, kind, field, meaning)
#include "social/anchors/social_anchors_counters.def"
#define FIGURE(kind, field, meaning) ROW(offers_spread, kind, field, meaning)
#include "offers/spread/offers_spread_counters.def"
#define FIGURE(kind, field, meaning) ROW(offers_endorse, kind, field, meaning)
#include "offers/endorse/offers_endorse_counters.def"
#define FIGURE(kind, field, meaning) ROW(offers_legacy, kind, field, meaning)
#include "offers/legacy/offers_legacy_counters.def"
#define FIGURE(kind, field, meaning) ROW(service_relays, kind, field, meaning)
#include "offers/relays/service_relays_counters.def"
#define FIGURE(kind, field, meaning) ROW(offers_reserve, kind, field, meaning)
#include "offers/reserve/offers_reserve_counters.def"
#define FIGURE(kind, field, meaning) ROW(port_mapping, kind, field, meaning)
#include "port_mapping/port_mapping_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay, kind, field, meaning)
#include "relay/relay_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_end, kind, field, meaning)
#include "relay/end/relay_end_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_find, kind, field, meaning)
#include "relay/find/relay_find_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_broker, kind, field, meaning)
#include "relay/broker/relay_broker_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_pool, kind, field, meaning)
#include "relay/pool/relay_pool_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_messages, kind, field, meaning)
#include "relay/messages/relay_messages_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_role, kind, field, meaning)
#include "relay/role/relay_role_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_receipts, kind, field, meaning)
#include "relay/receipts/relay_receipts_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_slots, kind, field, meaning)
#include "relay/slots/relay_slots_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_web, kind, field, meaning)
#include "relay/web/relay_web_counters.def"
#define FIGURE(kind, field, meaning) ROW(relay_web_end, kind, field, meaning)
#include "relay/web_end/relay_web_end_counters.def"
#define FIGURE(kind, field, meaning) ROW(content, kind, field, meaning)
#include "blobs/blobs_counters.def"
#define FIGURE(kind, field, meaning) ROW(announce, kind, field, meaning)
#include "shares/announce/announce_counters.def"
#define FIGURE(kind, field, meaning) ROW(follows, kind, field, meaning)
#include "shares/follow/follows_counters.def"
#define FIGURE(kind, field, meaning) ROW(search, kind, field, meaning)
#include "search/search_counters.def"
#define FIGURE(kind, field, meaning) ROW(community, kind, field, meaning)
#include "community/community_counters.def"
#define FIGURE(kind, field, meaning) ROW(service, kind, field, meaning)
#include "service/service_counters.def"
#define FIGURE(kind, field, meaning) ROW(directory, kind, field, meaning)
#include "service/directory/directory_counters.def"
#define FIGURE(kind, field, meaning) ROW(publisher, kind, field, meaning)
#include "service/directory/publisher_counters.def"
#define FIGURE(kind, field, meaning) ROW(reputation, kind, field, meaning)
#include "service/limits/reputation_counters.def"
#define FIGURE(kind, field, meaning) ROW(provider, kind, field, meaning)
#include "provider/provider_counters.def"
#define FIGURE(kind, field, meaning) ROW(gateway, kind, field, meaning)
#include "gateway/gateway_counters.def"
#define FIGURE(kind, field, meaning) ROW(control, kind, field, meaning)
#include "control/control_counters.def"
#define FIGURE(kind, field, meaning) ROW(store, kind, field, meaning)
#include "store/store_counters.def"
#define FIGURE(kind, field, meaning) ROW(worker, kind, field, meaning)
#include "worker/worker_counters.def"
#define FIGURE(kind, field, meaning) ROW(worker_streams, kind, field, meaning)
#include "worker/worker_streams_counters.def"
#define FIGURE(kind, field, meaning) ROW(rx, kind, field, meaning)
#include "net/packet_counters.def"
#define FIGURE(kind, field, meaning) ROW(tx, kind, field, meaning)
#include "net/packet_counters.def"
};
/* clang-format on */
#define ROW_CNT (sizeof(rows) / sizeof(rows[0]))

static uint64_t row_value(const struct figures *figures, const struct row *row)
{
	const char *at = (const char *)figures + row->off;
	uint32_t narrow;
	uint64_t wide;

	if (row->len == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void row_add(struct figures *sum, const struct figures *more, const struct row *row)
{
	uint64_t value = row_value(sum, row) + row_value(more, row);
	uint32_t narrow = (uint32_t)value;

	memcpy((char *)sum + row->off,
	       row->len == sizeof(value) ? (const void *)&value : (const void *)&narrow, row->len);
}

/* Sums a pool; the account named is the one that holds most of them. */
static void pool_add(struct fair_view *sum, struct addr *largest, const struct fair_view *more,
		     const struct addr *more_largest)
{
	if (more->largest_cnts[0] > sum->largest_cnts[0])
		*largest = *more_largest;
	fair_view_add(sum, more);
}

static void pools_add(struct figures *sum, const struct worker_figures *worker,
		      const struct blobs_stats *content)
{
	struct quic_stats *quic = &sum->quic;
	struct tcp_stats *tcp = &sum->tcp;

	for (size_t i = 0; i < MESH_POOL_CNT; i++)
		pool_add(&sum->mesh.pools[i], &sum->mesh.pools_largest[i], &worker->mesh.pools[i],
			 &worker->mesh.pools_largest[i]);
	for (size_t i = 0; i < BLOBS_POOL_CNT; i++)
		pool_add(&sum->content.pools[i], &sum->content.pools_largest[i], &content->pools[i],
			 &content->pools_largest[i]);
	pool_add(&quic->conns, &quic->conns_largest, &worker->quic.conns,
		 &worker->quic.conns_largest);
	pool_add(&quic->handshakes, &quic->handshakes_largest, &worker->quic.handshakes,
		 &worker->quic.handshakes_largest);
	pool_add(&tcp->conns, &tcp->conns_largest, &worker->tcp.conns, &worker->tcp.conns_largest);
	pool_add(&tcp->handshakes, &tcp->handshakes_largest, &worker->tcp.handshakes,
		 &worker->tcp.handshakes_largest);
}

static struct worker_counters worker_counters(const struct worker_figures *worker)
{
	return (struct worker_counters){
#define FIGURE(kind, field, meaning) .field = worker->field,
#include "worker/worker_counters.def"
	};
}

static void figures_add(struct figures *sum, const struct worker_figures *worker,
			const struct blobs_stats *content)
{
	const struct figures more = {
		.quic = worker->quic,
		.tcp = worker->tcp,
		.line = worker->line,
		.mesh = worker->mesh,
		.content = *content,
		.worker_streams = worker->worker_streams,
		.rx = worker->rx,
		.tx = worker->tx,
		.worker = worker_counters(worker),
	};

	for (size_t i = 0; i < ROW_CNT; i++)
		row_add(sum, &more, &rows[i]);
	pools_add(sum, worker, content);
	load_networks_add(sum->networks, worker->networks);
}

/* Rooms that are off count nothing. */
static void fabric_read(const struct api *api, struct figures *figures)
{
	if (api->rendezvous)
		mesh_rendezvous_stats(api->rendezvous, &figures->rendezvous);
	if (api->overlay)
		overlay_stats(api->overlay, api->home->now_ns, &figures->overlay);
	if (api->relay_end)
		relay_end_stats(api->relay_end, &figures->relay_end);
	if (api->relay_find)
		relay_find_stats(api->relay_find, &figures->relay_find);
	if (api->service) {
		service_stats(api->service, &figures->service);
		service_directory_stats(api->directory, &figures->directory);
		service_publisher_stats(api->service_publisher, &figures->publisher);
		service_reputation_stats(api->reputation, &figures->reputation);
	}
	if (api->provider)
		provider_stats(api->provider, &figures->provider);
}

static void sharing_read(const struct api *api, struct figures *figures)
{
	const struct lan *lan = api->lan ? lan_discovery_lan(api->lan) : NULL;

	if (lan)
		lan_stats(lan, &figures->lan);
	if (api->announce)
		shares_announce_stats(api->announce, api->home->now_ns, &figures->announce);
	if (api->follows)
		shares_follows_stats(api->follows, &figures->follows);
	if (api->search)
		search_stats(api->search, &figures->search);
	if (api->communities)
		communities_stats(api->communities, &figures->community);
}

static void social_figures_read(const struct social *social, struct figures *out_figures)
{
	social_posts_stats(social_posts_of(social), &out_figures->posts);
	social_intake_stats(social_intake_of(social), &out_figures->intake);
	social_people_stats(social_people(social), &out_figures->social_people);
	social_groups_stats(social_groups_of(social), &out_figures->social_groups);
	social_routes_stats(social_routes_of(social), &out_figures->social_routes);
	social_read_stats(social_read_of(social), &out_figures->social_read);
	social_write_stats(social_write_of(social), &out_figures->social_write);
	social_mail_stats(social_mail_of(social), &out_figures->social_mail);
	social_sync_stats(social_sync_of(social), &out_figures->social_sync);
	social_replicas_stats(social_replicas_of(social), &out_figures->replicas);
	social_attachments_stats(social_attachments_of(social), &out_figures->attachments);
	social_revoke_stats(social_revocations_of(social), &out_figures->revoke);
	social_searches_stats(social_searches_of(social), &out_figures->social_search);
	social_rounds_stats(social_rounds_of(social), &out_figures->social_rounds);
	social_anchors_stats(social_anchors_of(social), &out_figures->social_anchors);
	if (social_slots_of(social))
		social_slots_stats(social_slots_of(social), &out_figures->social_slots);
}

void api_figures_read(struct api *api, struct figures *out_figures)
{
	struct worker_figures home;

	worker_figures_read(api->home, &home);
	*out_figures = (struct figures){
		.quic = home.quic,
		.tcp = home.tcp,
		.line = home.line,
		.mesh = home.mesh,
		.rx = home.rx,
		.tx = home.tx,
		.worker = worker_counters(&home),
		.locate = api->locate->stats,
	};
	blobs_stats(api->home->content, &out_figures->content);
	memcpy(out_figures->networks, home.networks, sizeof(home.networks));
	store_stats(api->store, &out_figures->store);
	control_stats(api->control, &out_figures->control);
	api_http_stats(api->web, &out_figures->gateway);
	if (api->locate->dht)
		dht_stats(api->locate->dht, api->home->now_ns, &out_figures->dht);
	fabric_read(api, out_figures);
	sharing_read(api, out_figures);
	out_figures->reachability = *reachability_stats(api->reachability);
	if (api->punch)
		punch_stats(api->punch, &out_figures->punch);
	port_mapping_stats(api->port_mapping, &out_figures->port_mapping);
	if (api->relay)
		out_figures->relay = *relay_stats(api->relay);
	if (api->relay_broker)
		relay_broker_stats(api->relay_broker, &out_figures->relay_broker);
	if (api->relay_pool)
		relay_pool_stats(api->relay_pool, &out_figures->relay_pool);
	if (api->relay_messages)
		relay_messages_stats(api->relay_messages, &out_figures->relay_messages);
	if (api->relay_role)
		relay_role_stats(api->relay_role, &out_figures->relay_role);
	if (api->relay_receipts)
		relay_receipts_stats(api->relay_receipts, &out_figures->relay_receipts);
	if (api->deposits)
		deposits_stats(api->deposits, &out_figures->deposits);
	if (api->social)
		social_figures_read(api->social, out_figures);
	if (api->offers) {
		offers_store_stats(offers_store(api->offers), &out_figures->offers_store);
		offers_spread_stats(offers_spread(api->offers), &out_figures->offers_spread);
		offers_endorse_stats(offers_endorse_book(api->offers),
				     &out_figures->offers_endorse);
		offers_relays_stats(offers_service_relays(api->offers),
				    &out_figures->service_relays);
		offers_legacy_stats(api->offers, api->home->now_ns, &out_figures->offers_legacy);
		offers_reservations_stats(offers_reservations(api->offers),
					  &out_figures->offers_reserve);
	}
	if (api->relay_slots)
		relay_slots_stats(api->relay_slots, &out_figures->relay_slots);
	if (api->relay_web)
		relay_web_read_stats(api->relay_web, &out_figures->relay_web);
	if (api->relay_web_end)
		relay_web_end_read_stats(api->relay_web_end, &out_figures->relay_web_end);
	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++)
		figures_add(out_figures, workers_figures(api->workers, i),
			    blobs_servers_stats(api->servers, i));
}

bool api_figures_next(struct figure_iter *iter, struct figure *out_figure)
{
	if (iter->idx == ROW_CNT)
		return false;
	*out_figure = (struct figure){
		.name = rows[iter->idx].name,
		.meaning = rows[iter->idx].meaning,
		.kind = rows[iter->idx].kind,
		.value = row_value(iter->figures, &rows[iter->idx]),
	};
	iter->idx++;
	return true;
}
