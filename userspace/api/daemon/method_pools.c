/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pools of ShowLimits: each that is shared fairly (base/fair/fair.h), by class. An owner
 * adds its pool with a function that reads it and one row of pools[]. Home worker.
 */
#include "base/fair/fair.h"
#include "dht/dht.h"
#include "overlay/overlay.h"
#include "provider/endpoint/program_endpoint.h"
#include "method_accounts.h"
#include "api/figures.h"
#include "api/methods.h"
#include "service/topics/topics.h"
#include "api/http/web_routes.h"

/* For local programs. */
static const char *const role_classes[FAIR_CLASS_CNT] = {"view", "operate", NULL, "admin"};

static bool read_control(const struct api *api, struct fair_view *out)
{
	control_places(api->control, out);
	return true;
}

static const char *const caller_classes[FAIR_CLASS_CNT] = {"programs", NULL, NULL, NULL};

static bool read_pending(const struct api *api, struct fair_view *out)
{
	control_pending(api->control, out);
	return true;
}

static bool read_asks(const struct api *api, struct fair_view *out)
{
	struct service *service = api->service;

	if (service)
		service_pending(service, out);
	return service;
}

/* For clients of the gateway: the daemon's own user and root, and all others. */
static const char *const client_classes[FAIR_CLASS_CNT] = {"other", NULL, NULL, "own"};

/* One class, of peers and of the programs of this node. */
static const char *const all_callers[FAIR_CLASS_CNT] = {"callers", NULL, NULL, NULL};

static bool read_program_calls(const struct api *api, struct fair_view *out)
{
	struct provider *provider = api->provider;

	if (provider)
		provider_places(provider, out);
	return provider;
}

static bool read_processes(const struct api *api, struct fair_view *out)
{
	struct provider *provider = api->provider;

	if (provider)
		provider_process_places(provider, out);
	return provider;
}

/* Peers, and programs of this node, which may have the last place. */
static const char *const process_classes[FAIR_CLASS_CNT] = {"peers", NULL, NULL, "programs"};

static bool read_endpoint_streams(const struct api *api, struct fair_view *out)
{
	struct provider *provider = api->provider;

	if (provider)
		provider_endpoint_places(provider, out);
	return provider;
}

static bool read_endpoint_waiting(const struct api *api, struct fair_view *out)
{
	struct provider *provider = api->provider;

	if (provider)
		provider_endpoint_waiting(provider, out);
	return provider;
}

static bool read_searches(const struct api *api, struct fair_view *out)
{
	return api->service && builtin_dht_places(api->builtin, out);
}

static bool read_readings(const struct api *api, struct fair_view *out)
{
	return api->service && builtin_content_places(api->builtin, out);
}

static bool read_punches(const struct api *api, struct fair_view *out)
{
	return api->service && builtin_punch_places(api->builtin, out);
}

static bool read_subscribers(const struct api *api, struct fair_view *out)
{
	struct service *service = api->service;

	if (service)
		service_topics_places(service_topics_of(service), out);
	return service;
}

static bool read_gateway(const struct api *api, struct fair_view *out)
{
	return api_http_places(api->web, out);
}

static const char *const socket_classes[FAIR_CLASS_CNT] = {"clients", NULL, NULL, NULL};

static bool read_sockets(const struct api *api, struct fair_view *out)
{
	return api_http_sockets(api->web, out);
}

static bool read_items(const struct api *api, struct fair_view *out)
{
	if (api->locate->dht)
		dht_items_pool(api->locate->dht, out);
	return api->locate->dht && out->name;
}

static bool read_swarm_peers(const struct api *api, struct fair_view *out)
{
	if (api->locate->dht)
		dht_peers_pool(api->locate->dht, out);
	return api->locate->dht && out->name;
}

static bool read_overlay(const struct api *api, struct fair_view *out)
{
	struct overlay *overlay = api->overlay;

	if (overlay)
		overlay_view(overlay, out);
	return overlay;
}

static bool read_overlay_silent(const struct api *api, struct fair_view *out)
{
	struct overlay *overlay = api->overlay;

	if (overlay)
		overlay_silent_view(overlay, out);
	return overlay;
}

static bool read_known_relays(const struct api *api, struct fair_view *out)
{
	if (api->relay_find)
		relay_find_view(api->relay_find, out);
	return api->relay_find;
}

static bool read_relay_flows(const struct api *api, struct fair_view *out)
{
	if (api->relay)
		relay_places(api->relay, out);
	return api->relay;
}

static bool read_relay_receipts(const struct api *api, struct fair_view *out)
{
	if (api->relay_receipts)
		relay_receipts_view(api->relay_receipts, out);
	return api->relay_receipts;
}

static bool read_relay_slots(const struct api *api, struct fair_view *out)
{
	if (api->relay)
		relay_slots_view(api->relay_slots, out);
	return api->relay;
}

static bool read_relay_asks(const struct api *api, struct fair_view *out)
{
	if (api->relay_broker)
		relay_broker_view(api->relay_broker, out);
	return api->relay_broker;
}

static bool read_deposits(const struct api *api, struct fair_view *out)
{
	if (api->deposits)
		deposits_view(api->deposits, out);
	return api->deposits;
}

/* The pools of the social layer: none where it is off. */
#define READ_SOCIAL(name, call)                                                                    \
	static bool read_##name(const struct api *api, struct fair_view *out)                      \
	{                                                                                          \
		if (api->social)                                                                   \
			call;                                                                      \
		return api->social;                                                                \
	}
READ_SOCIAL(hosted_posts, social_posts_hosted_view(social_posts_of(api->social), out))
READ_SOCIAL(addressed_posts, social_posts_addressed_view(social_posts_of(api->social), out))
READ_SOCIAL(social_requests, social_requests_view(social_people(api->social), out))
READ_SOCIAL(social_audience, social_audience_view(social_people(api->social), out))
READ_SOCIAL(social_profiles, social_profiles_view(social_people(api->social), out))
READ_SOCIAL(group_invites, social_group_invites_view(social_groups_of(api->social), out))
READ_SOCIAL(social_routes, social_routes_view(social_routes_of(api->social), out))
READ_SOCIAL(check_ins, social_anchors_view(social_anchors_of(api->social), out))
READ_SOCIAL(mesh_slots, social_slots_view(social_slots_of(api->social), out))
READ_SOCIAL(slot_searches, social_slots_searches(social_slots_of(api->social), out))
READ_SOCIAL(former_slots,
	    social_slots_known_view(social_slots_of(api->social), SLOT_TIER_FORMER, out))
READ_SOCIAL(first_anchors,
	    social_slots_known_view(social_slots_of(api->social), SLOT_TIER_ANCHOR, out))
READ_SOCIAL(first_contacts,
	    social_slots_known_view(social_slots_of(api->social), SLOT_TIER_FOLLOW, out))
READ_SOCIAL(lan_nodes, social_slots_known_view(social_slots_of(api->social), SLOT_TIER_NEARBY, out))
READ_SOCIAL(pulling_nodes,
	    social_slots_known_view(social_slots_of(api->social), SLOT_TIER_PULLED, out))
READ_SOCIAL(sync_peers, social_sync_view(social_sync_of(api->social), out))
READ_SOCIAL(sync_pages, social_sync_pages_view(social_sync_of(api->social), out))
READ_SOCIAL(sync_literal, social_sync_literal_view(social_sync_of(api->social), out))
READ_SOCIAL(hosting, social_replicas_hosting_view(social_replicas_of(api->social), out))

static bool read_relay_messages(const struct api *api, struct fair_view *out)
{
	if (api->relay_messages)
		relay_messages_view(api->relay_messages, api->home->now_ns, out);
	return api->relay_messages;
}

static bool read_accepted_flows(const struct api *api, struct fair_view *out)
{
	if (api->relay_end)
		relay_end_view(api->relay_end, out);
	return api->relay_end;
}

static bool read_punch_rounds(const struct api *api, struct fair_view *out)
{
	if (api->punch)
		punch_fair_view(api->punch, out);
	return api->punch;
}

static bool read_port_searches(const struct api *api, struct fair_view *out)
{
	if (api->punch)
		punch_search_fair_view(api->punch, api->home->now_ns, out);
	return api->punch;
}

static bool read_side_ports(const struct api *api, struct fair_view *out)
{
	*out = (struct fair_view){
		.name = "side ports",
		.cap_cnt = SIDE_PORT_CAP,
		.held_cnt = api->home->ports.cnt,
		.is_busy = api->home->ports.cnt == SIDE_PORT_CAP,
	};
	return true;
}

static bool read_relay_web_clients(const struct api *api, struct fair_view *out)
{
	if (api->relay_web)
		relay_web_places(api->relay_web, out);
	return api->relay_web;
}

static bool read_relay_web_memory(const struct api *api, struct fair_view *out)
{
	if (api->relay_web)
		relay_web_blocks(api->relay_web, out);
	return api->relay_web;
}

static bool read_offers(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_store_fair(offers_store(api->offers), out);
	return api->offers;
}

static bool read_offer_queries(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_spread_view(offers_spread(api->offers), out);
	return api->offers;
}

static bool read_endorsements(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_endorse_fair(offers_endorse_book(api->offers), out);
	return api->offers;
}

static bool read_service_relays(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_relays_fair(offers_service_relays(api->offers), out);
	return api->offers;
}

static bool read_relay_exchanges(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_relays_exchanges(offers_service_relays(api->offers), out);
	return api->offers;
}

static bool read_reservations(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_reservations_fair(offers_reservations(api->offers), out);
	return api->offers;
}

static bool read_offer_watches(const struct api *api, struct fair_view *out)
{
	if (api->offers)
		offers_watches_fair(api->offers, out);
	return api->offers;
}

static bool read_foreign(const struct api *api, struct fair_view *out)
{
	const struct lan *lan = api->lan ? lan_discovery_lan(api->lan) : NULL;

	if (lan)
		lan_foreign_places(lan, out);
	return lan;
}

static const struct pool_row {
	/* False: this node has no such pool now. */
	bool (*read)(const struct api *api, struct fair_view *out);
	const char *const *classes; /* NULL: those of peers */
} pools[] = {
	{read_control, role_classes},
	{read_pending, caller_classes},
	{read_asks, caller_classes},
	{read_program_calls, all_callers},
	{read_processes, process_classes},
	{read_endpoint_streams, NULL},
	{read_endpoint_waiting, NULL},
	{read_gateway, client_classes},
	{read_sockets, socket_classes},
	{read_searches, NULL},
	{read_subscribers, NULL},
	{read_readings, NULL},
	{read_punches, NULL},
	{read_items, NULL},
	{read_swarm_peers, NULL},
	{read_overlay, NULL},
	{read_overlay_silent, NULL},
	{read_offers, NULL},
	{read_offer_queries, NULL},
	{read_endorsements, NULL},
	{read_service_relays, NULL},
	{read_relay_exchanges, NULL},
	{read_reservations, NULL},
	{read_offer_watches, caller_classes},
	{read_foreign, NULL},
	{read_known_relays, NULL},
	{read_relay_flows, NULL},
	{read_relay_asks, NULL},
	{read_relay_messages, NULL},
	{read_deposits, NULL},
	{read_social_requests, NULL},
	{read_social_audience, NULL},
	{read_social_profiles, NULL},
	{read_hosted_posts, NULL},
	{read_addressed_posts, NULL},
	{read_group_invites, NULL},
	{read_social_routes, NULL},
	{read_check_ins, NULL},
	{read_mesh_slots, NULL},
	{read_slot_searches, NULL},
	{read_former_slots, NULL},
	{read_first_anchors, NULL},
	{read_first_contacts, NULL},
	{read_lan_nodes, NULL},
	{read_pulling_nodes, NULL},
	{read_sync_peers, NULL},
	{read_sync_pages, NULL},
	{read_sync_literal, NULL},
	{read_hosting, NULL},
	{read_relay_slots, NULL},
	{read_relay_receipts, NULL},
	{read_accepted_flows, NULL},
	{read_punch_rounds, NULL},
	{read_port_searches, NULL},
	{read_side_ports, NULL},
	{read_relay_web_clients, NULL},
	{read_relay_web_memory, NULL},
};

/* The last level that has an account: the one whose slot goes next. */
static uint32_t largest_cnt(const struct fair_view *view)
{
	uint32_t cnt = 0;

	for (unsigned i = 0; i < FAIR_LEVEL_MAX && view->largest_cnts[i]; i++)
		cnt = view->largest_cnts[i];
	return cnt;
}

static struct api_pool pool_of(struct varlink_blocks *blocks, const struct fair_view *view,
			       const char *const *names, unsigned worker_cnt)
{
	struct api_pool row = {
		.name = view->name,
		.limit = api_uint(view->cap_cnt),
		.used = api_uint(view->held_cnt),
		.share = api_uint(view->share_cnt),
		.largest = largest_cnt(view),
		.busy = view->is_busy,
		.overdue = api_uint(view->overdue_cnt),
		.workers = worker_cnt,
	};

	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		const struct api_pool_class class = {
			.class = names ? names[i] : fair_class_name(i),
			.used = api_uint(view->held_cnts[i]),
			.floor = api_uint(view->floor_cnts[i]),
			.evicted = api_uint(view->evicted_cnts[i]),
			.refused = api_uint(view->refused_cnts[i]),
		};

		if (class.class)
			varlink_push(blocks, &row.classes, class);
	}
	return row;
}

/* Where rows of ShowLimits go. */
struct pool_listing {
	struct varlink_blocks *blocks;
	struct api *api;
	enum control_role role;
	struct api_pool_list *pools;
};

/* Each worker has pools of its own for its sessions. largest of family ADDR_NONE: no account. */
static void peer_pool_add(const struct pool_listing *listing, const struct fair_view *view,
			  const struct addr *largest)
{
	struct api *api = listing->api;
	struct api_pool row =
		pool_of(listing->blocks, view, NULL, config_live(api->config)->worker_cnt);
	char text[METHOD_NETWORK_CAP];

	if (largest->family != ADDR_NONE) {
		struct load_network network = load_network_of(&api->home->load, largest);

		row.largest_network = varlink_text(
			listing->blocks, api_network_name(api, &network, listing->role, text));
	}
	varlink_push(listing->blocks, listing->pools, row);
}

static void peer_pools_add(const struct pool_listing *listing)
{
	struct figures f;

	api_figures_read(listing->api, &f);
	peer_pool_add(listing, &f.quic.conns, &f.quic.conns_largest);
	peer_pool_add(listing, &f.quic.handshakes, &f.quic.handshakes_largest);
	if (f.tcp.conns.name) {
		peer_pool_add(listing, &f.tcp.conns, &f.tcp.conns_largest);
		peer_pool_add(listing, &f.tcp.handshakes, &f.tcp.handshakes_largest);
	}
	for (unsigned i = 0; i < MESH_POOL_CNT; i++)
		peer_pool_add(listing, &f.mesh.pools[i], &f.mesh.pools_largest[i]);
	for (unsigned i = 0; i < BLOBS_POOL_CNT; i++)
		peer_pool_add(listing, &f.content.pools[i], &f.content.pools_largest[i]);
}

void api_pools(struct varlink_blocks *blocks, struct api *api, enum control_role role,
	       struct api_pool_list *out_pools)
{
	const struct pool_listing listing = {blocks, api, role, out_pools};
	struct fair_view view;

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		struct api_pool row;

		if (!pools[i].read(api, &view))
			continue;
		row = pool_of(blocks, &view, pools[i].classes, 1);
		varlink_push(blocks, out_pools, row);
	}
	peer_pools_add(&listing);
}
