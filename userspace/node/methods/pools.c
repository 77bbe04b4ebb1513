/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pools of ShowLimits: each that is shared fairly (base/fair.h), by class. An owner
 * adds its pool with a function that reads it and one row of pools[]. Home worker.
 */
#include "base/fair.h"
#include "dht/dht.h"
#include "mesh/overlay/overlay.h"
#include "node/fabric/fabric.h"
#include "node/methods/accounts.h"
#include "node/methods/figures.h"
#include "node/methods/methods.h"
#include "service/topics.h"

/* Of local programs. */
static const char *const role_classes[FAIR_CLASS_CNT] = {"view", "operate", NULL, "admin"};

static bool read_control(const struct node *node, struct fair_view *out)
{
	control_places(node->control, out);
	return true;
}

static const char *const caller_classes[FAIR_CLASS_CNT] = {"programs", NULL, NULL, NULL};

static bool read_pending(const struct node *node, struct fair_view *out)
{
	control_pending(node->control, out);
	return true;
}

static bool read_asks(const struct node *node, struct fair_view *out)
{
	struct service *service = node->fabric ? fabric_service(node->fabric) : NULL;

	if (service)
		service_pending(service, out);
	return service;
}

/* Of clients of the gateway: the daemon's own user and root, and all others. */
static const char *const client_classes[FAIR_CLASS_CNT] = {"other", NULL, NULL, "own"};

/* One class, of peers and of the programs of this node. */
static const char *const all_callers[FAIR_CLASS_CNT] = {"callers", NULL, NULL, NULL};

static bool read_program_calls(const struct node *node, struct fair_view *out)
{
	struct provider *provider = node->fabric ? fabric_provider(node->fabric) : NULL;

	if (provider)
		provider_places(provider, out);
	return provider;
}

static bool read_processes(const struct node *node, struct fair_view *out)
{
	struct provider *provider = node->fabric ? fabric_provider(node->fabric) : NULL;

	if (provider)
		provider_process_places(provider, out);
	return provider;
}

/* Peers, and programs of this node, which may have the last place. */
static const char *const process_classes[FAIR_CLASS_CNT] = {"peers", NULL, NULL, "programs"};

static bool read_searches(const struct node *node, struct fair_view *out)
{
	return node->fabric && builtin_dht_places(fabric_builtin(node->fabric), out);
}

static bool read_readings(const struct node *node, struct fair_view *out)
{
	return node->fabric && builtin_content_places(fabric_builtin(node->fabric), out);
}

static bool read_subscribers(const struct node *node, struct fair_view *out)
{
	struct service *service = node->fabric ? fabric_service(node->fabric) : NULL;

	if (service)
		service_topics_places(service_topics_of(service), out);
	return service;
}

static bool read_gateway(const struct node *node, struct fair_view *out)
{
	return web_places(node->web, out);
}

static const char *const socket_classes[FAIR_CLASS_CNT] = {"clients", NULL, NULL, NULL};

static bool read_sockets(const struct node *node, struct fair_view *out)
{
	return web_sockets(node->web, out);
}

static bool read_items(const struct node *node, struct fair_view *out)
{
	if (node->home.dht)
		dht_items_pool(node->home.dht, out);
	return node->home.dht && out->name;
}

static bool read_swarm_peers(const struct node *node, struct fair_view *out)
{
	if (node->home.dht)
		dht_peers_pool(node->home.dht, out);
	return node->home.dht && out->name;
}

static bool read_overlay(const struct node *node, struct fair_view *out)
{
	struct overlay *overlay = node->fabric ? fabric_overlay(node->fabric) : NULL;

	if (overlay)
		overlay_view(overlay, out);
	return overlay;
}

static bool read_overlay_silent(const struct node *node, struct fair_view *out)
{
	struct overlay *overlay = node->fabric ? fabric_overlay(node->fabric) : NULL;

	if (overlay)
		overlay_silent_view(overlay, out);
	return overlay;
}

static const struct pool_row {
	/* False: this node has no such pool now. */
	bool (*read)(const struct node *node, struct fair_view *out);
	const char *const *classes; /* NULL: those of peers */
} pools[] = {
	{read_control, role_classes},
	{read_pending, caller_classes},
	{read_asks, caller_classes},
	{read_program_calls, all_callers},
	{read_processes, process_classes},
	{read_gateway, client_classes},
	{read_sockets, socket_classes},
	{read_searches, NULL},
	{read_subscribers, NULL},
	{read_readings, NULL},
	{read_items, NULL},
	{read_swarm_peers, NULL},
	{read_overlay, NULL},
	{read_overlay_silent, NULL},
};

static json_t *class_json(const struct fair_view *view, unsigned class, const char *name)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "class", name, "used",
			 method_json_uint(view->held_cnts[class]), "floor",
			 method_json_uint(view->floor_cnts[class]), "evicted",
			 method_json_uint(view->evicted_cnts[class]), "refused",
			 method_json_uint(view->refused_cnts[class]));
}

/* The last level that has an account: the one whose slot goes next. */
static uint32_t largest_cnt(const struct fair_view *view)
{
	uint32_t cnt = 0;

	for (unsigned i = 0; i < FAIR_LEVEL_MAX && view->largest_cnts[i]; i++)
		cnt = view->largest_cnts[i];
	return cnt;
}

static json_t *pool_json(const struct fair_view *view, const char *const *names,
			 uint64_t worker_cnt)
{
	json_t *classes = json_array();

	for (unsigned i = 0; i < FAIR_CLASS_CNT; i++) {
		const char *name = names ? names[i] : fair_class_name(i);

		if (name)
			json_array_append_new(classes, class_json(view, i, name));
	}
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "name", view->name, "limit",
		method_json_uint(view->cap_cnt), "used", method_json_uint(view->held_cnt), "share",
		method_json_uint(view->share_cnt), "largest", method_json_uint(largest_cnt(view)),
		"busy", view->is_busy, "overdue", method_json_uint(view->overdue_cnt), "workers",
		method_json_uint(worker_cnt), "classes", classes);
}

struct peer_pool {
	const struct fair_view *view;
	const struct addr *largest; /* of family ADDR_NONE: nobody */
};

/* Each worker has pools of its own for its sessions. */
static void peer_pool_add(json_t *list, struct node *node, enum control_role role,
			  struct peer_pool pool)
{
	json_t *json = pool_json(pool.view, NULL, config_live(node->config)->worker_cnt);
	char text[METHOD_NETWORK_CAP];

	if (pool.largest->family != ADDR_NONE) {
		struct load_network network = load_network_of(&node->home.load, pool.largest);

		json_object_set_new(json, "largest_network",
				    json_string(method_network_name(node, &network, role, text)));
	}
	json_array_append_new(list, json);
}

static void peer_pools_add(json_t *list, struct node *node, enum control_role role)
{
	struct figures f;

	figures_read(node, &f);
	peer_pool_add(list, node, role, (struct peer_pool){&f.quic.conns, &f.quic.conns_largest});
	peer_pool_add(list, node, role,
		      (struct peer_pool){&f.quic.handshakes, &f.quic.handshakes_largest});
	for (unsigned i = 0; i < MESH_POOL_CNT; i++)
		peer_pool_add(list, node, role,
			      (struct peer_pool){&f.mesh.pools[i], &f.mesh.pools_largest[i]});
	for (unsigned i = 0; i < CONTENT_POOL_CNT; i++)
		peer_pool_add(list, node, role,
			      (struct peer_pool){&f.content.pools[i], &f.content.pools_largest[i]});
}

json_t *method_json_pools(struct node *node, enum control_role role)
{
	json_t *list = json_array();
	struct fair_view view;

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++)
		if (pools[i].read(node, &view))
			json_array_append_new(list, pool_json(&view, pools[i].classes, 1));
	peer_pools_add(list, node, role);
	return list;
}
