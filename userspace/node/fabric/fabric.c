/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fabric's composition: each part is handed what it may know of the
 * others. Their events are in fabric_events.c.
 */
#include "node/fabric/fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/events/events.h"
#include "api/services/mesh_figures.h"
#include "base/monotonic.h"
#include "community/access/community_access.h"
#include "mesh/session/hello.h"
#include "mesh/seam_neighbours.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

static uint64_t wall_s(void *ctx)
{
	return node_wall_us(((struct fabric *)ctx)->node) / 1000000;
}

static uint64_t wall_ms(void *ctx)
{
	return node_wall_us(((struct fabric *)ctx)->node) / 1000;
}

static uint64_t turn_ns(void *ctx)
{
	return ((struct fabric *)ctx)->node->home->now_ns;
}

/* Others can dial an address that is advertised and no private one. */
static bool is_public(const struct node *node)
{
	for (unsigned i = 0; i < node->machine->advertised.cnt; i++)
		if (addr_is_global(&node->machine->advertised.addrs[i]))
			return true;
	return false;
}

static int open_overlay(struct fabric *fabric)
{
	struct node *node = fabric->node;
	struct overlay_params params = {
		.config = node->config->fabric.overlay,
		.own_key = node_key_public(node->key),
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.store = node->store,
		.random = node->random,
		.now_ns = node->home->now_ns,
		.wall_s = wall_s(fabric),
	};

	params.config.is_public = is_public(node);
	params.config.site = node->config->mesh.site;
	if (node->config->mesh.is_light)
		params.config.serve = OVERLAY_SERVE_OFF;
	return overlay_new(&params, &fabric->overlay);
}

static void pex_found(void *ctx, const struct mesh_pex_node *found, uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	struct mesh_peer peer = {.addrs = found->addrs, .addr_cnt = found->addr_cnt};

	memcpy(peer.key, found->key, sizeof(peer.key));
	if (found->caps & MESH_CAP_DHT)
		overlay_know(fabric->overlay, &peer, now_ns);
}

static int open_pex(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct mesh_pex_params params = {
		.config = node->config->fabric.pex,
		.own_key = node_key_public(node->key),
		.mesh = mesh_seam_of(node->home->mesh),
		.neighbours = &mesh_neighbour_ops,
		.random = node->random,
		.now_ns = node->home->now_ns,
		.wall_s = wall_s(fabric),
		.found = pex_found,
		.ctx = fabric,
	};

	return mesh_pex_new(&params, &fabric->pex);
}

static void meeting_found(void *ctx, const struct mesh_peer *peer, uint64_t now_ns)
{
	overlay_know(((struct fabric *)ctx)->overlay, peer, now_ns);
}

static int open_rendezvous(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct mesh_rendezvous_params params = {
		.mesh = node->home->mesh,
		.found = meeting_found,
		.ctx = fabric,
		.now_ns = node->home->now_ns,
	};

	if (!node->config->fabric.has_rendezvous)
		return 0;
	return locate_rendezvous_point_open(&fabric->meeting, node->locate, &params);
}

static int open_reputation(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct service_reputation_params params = {
		.peer_cap = node->config->fabric.reputation_peer_cap,
		.store = node->store,
		.timers = &node->home->timers,
		.random = node->random,
		.wall_s = wall_s,
		.on_ban = node_fabric_on_ban,
		.ctx = fabric,
	};

	return service_reputation_new(&params, &fabric->reputation);
}

static unsigned score_of(void *ctx, const uint8_t *key)
{
	return service_reputation_score(((struct fabric *)ctx)->reputation, key);
}

static unsigned health_of(void *ctx, const struct service_descriptor *descriptor, uint64_t now_ns)
{
	return service_health(((struct fabric *)ctx)->service, descriptor, now_ns);
}

/* Rates of the directory and the publisher stand among the limits of the fabric. */
static struct service_directory_config directory_config(const struct fabric_config *config)
{
	struct service_directory_config directory = config->directory;

	directory.lookups_per_min = (uint32_t)config->service.limits.lookups_per_min;
	directory.fetches_per_min = (uint32_t)config->service.limits.fetches_per_min;
	return directory;
}

static struct service_publisher_config publisher_config(const struct fabric_config *config)
{
	struct service_publisher_config publisher = config->publisher;

	publisher.publishes_per_min = (uint32_t)config->service.limits.publishes_per_min;
	return publisher;
}

static int open_directory(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct service_directory_params params = {
		.config = directory_config(&node->config->fabric),
		.overlay = overlay_seam_of(fabric->overlay),
		.store = node->store,
		.timers = &node->home->timers,
		.random = node->random,
		.own_key = node_key_public(node->key),
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.is_banned = node_fabric_is_banned,
		.reputation = score_of,
		.health = health_of,
		.on_abuse = node_fabric_on_abuse,
		.ctx = fabric,
	};

	return service_directory_new(&params, &fabric->directory);
}

static int open_publisher(struct fabric *fabric)
{
	struct node *node = fabric->node;
	struct peer_places places;
	const struct service_publisher_params params = {
		.config = publisher_config(&node->config->fabric),
		.overlay = overlay_seam_of(fabric->overlay),
		.key = node->key,
		.store = node->store,
		.timers = &node->home->timers,
		.now_ns = node->home->now_ns,
		.wall_s = wall_s,
		.ctx = fabric,
	};
	int err = service_publisher_new(&params, &fabric->publisher);

	if (err == 0) {
		node_places(node, &places);
		service_publisher_set_places(fabric->publisher, &places, params.now_ns);
	}
	return err;
}

/* Offers that are to be found are published while they are ready. */
static void on_offer(void *ctx, const struct service_offering *offering, uint32_t major,
		     bool is_there, uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	enum service_fault fault;

	if (!is_there)
		service_publisher_withdraw(fabric->publisher, offering->name, major, now_ns);
	else if (service_publisher_offer(fabric->publisher, offering, now_ns, &fault) < 0)
		api_tell_unpublished(fabric->node->api, offering);
}

static bool is_member(void *ctx, const uint8_t community[SERVICE_COMMUNITY_LEN],
		      const uint8_t key[MESH_KEY_LEN])
{
	struct node *node = ((struct fabric *)ctx)->node;

	return community_admits(node->store, community, key, node_wall_us(node) / 1000000);
}

static int open_service(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct service_params params = {
		.config = node->config->fabric.service,
		.streams = mesh_stream_seam_of(node->home->mesh),
		.directory = fabric->directory,
		.key = node->key,
		.store = node->store,
		.timers = &node->home->timers,
		.random = node->random,
		.now_ns = node->home->now_ns,
		.wall_ms = wall_ms,
		.on_offer = on_offer,
		.on_violation = node_fabric_on_violation,
		.on_event = node_fabric_on_event,
		.on_access = node_fabric_on_access,
		.is_member = is_member,
		.ctx = fabric,
	};

	mesh_set_caps(node->home->mesh, mesh_caps(node->home->mesh) | MESH_CAP_TRACE);
	return service_new(&params, &fabric->service);
}

static int open_tenants(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct provider_tenants_params params = {
		.config = node->config->fabric.tenants,
		.store = node->store,
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.random = node->random,
		.overlay = overlay_seam_of(fabric->overlay),
		.overlay_run_cap = node->config->fabric.overlay.run_cap,
		.mesh = mesh_seam_of(node->home->mesh),
		.key = node->key,
		.wall_ms = wall_ms,
		.ctx = fabric,
	};

	return provider_tenants_new(&params, &fabric->tenants);
}

static int open_builtin(struct fabric *fabric)
{
	struct node *node = fabric->node;
	struct builtin_params params = {
		.config = node->config->fabric.builtin,
		.service = fabric->service,
		.topics = service_topics_of(fabric->service),
		.tenants = fabric->tenants,
		.random = node->random,
		.clock = {turn_ns, wall_ms, fabric},
		.figures = {api_mesh_status, api_peers_summary, node->api},
		.dht = node_fabric_builtin_dht(fabric),
		.content = node_fabric_builtin_content(fabric),
		.punch = node_fabric_builtin_punch(fabric),
		.key = node->key,
		.is_member = is_member,
		.ctx = fabric,
		.now_ns = node->home->now_ns,
	};

	if (!builtin_names_parse(node->config->fabric.builtin_names, &params.config.offered))
		return WEFT_EMALFORMED;
	return builtin_new(&params, &fabric->builtin);
}

static int open_provider(struct fabric *fabric)
{
	struct node *node = fabric->node;
	const struct node_config *config = node->config;
	/* Paths that hold a secret or lead to another program's rights. */
	const char *const hidden[PROVIDER_HIDDEN_MAX] = {
		config->state_dir,	   config->control_path,    config->key_file,
		config->passphrase_file,   config->web.token_file,  getenv("CREDENTIALS_DIRECTORY"),
		getenv("XDG_RUNTIME_DIR"), config->proxy_user_file,
	};
	const struct provider_params params = {
		.config = node->config->fabric.provider,
		.service = fabric->service,
		.poller = node->home->poller,
		.timers = &node->home->timers,
		.store = node->store,
		.launcher = node->launcher,
		.tenants = fabric->tenants,
		.random = node->random,
		.hidden = hidden,
		.event = node_fabric_on_provider,
		.ctx = fabric,
	};
	int err;

	/* A simulated node without local programs. */
	if (!params.poller)
		return 0;
	err = provider_new(&params, &fabric->provider);
	return err < 0 ? err : provider_restore(fabric->provider, node->home->now_ns);
}

int node_fabric_open(struct node *node, char *what)
{
	static const struct {
		const char *what;
		int (*open)(struct fabric *fabric);
	} parts[] = {
		{"overlay", open_overlay},
		{"search for relays", node_fabric_open_relays},
		{"exchange of peers", open_pex},
		{"rendezvous", open_rendezvous},
		{"reputation of peers", open_reputation},
		{"directory of services", open_directory},
		{"publisher of services", open_publisher},
		{"services", open_service},
		{"rows and timers of services", open_tenants},
		{"built-in services", open_builtin},
		{"services of local programs", open_provider},
	};
	struct fabric *fabric;
	int err;

	if (!node->config->fabric.is_on)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "services");
	fabric = calloc(1, sizeof(*fabric));
	if (!fabric)
		return -ENOMEM;
	node->fabric = fabric;
	fabric->node = node;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(what, NODE_WHAT_CAP, "%s", parts[i].what);
		if ((err = parts[i].open(fabric)) < 0)
			return err;
	}
	return 0;
}

int node_fabric_start(struct fabric *fabric, char *what)
{
	if (!fabric)
		return 0;
	snprintf(what, NODE_WHAT_CAP, "overlay");
	return overlay_start(fabric->overlay, fabric->node->home->now_ns);
}

void node_fabric_stop(struct fabric *fabric)
{
	if (!fabric)
		return;
	provider_stop(fabric->provider, fabric->node->home->now_ns);
	builtin_free(fabric->builtin, fabric->node->home->now_ns);
	fabric->builtin = NULL;
	provider_tenants_free(fabric->tenants);
	fabric->tenants = NULL;
	service_publisher_free(fabric->publisher);
	fabric->publisher = NULL;
	service_directory_free(fabric->directory);
	fabric->directory = NULL;
	locate_rendezvous_point_close(&fabric->meeting);
	mesh_pex_stop(fabric->pex);
	relay_find_stop(fabric->relay_find);
	overlay_stop(fabric->overlay);
}

void node_fabric_leave(struct fabric *fabric, uint64_t now_ns)
{
	if (!fabric)
		return;
	service_publisher_leave(fabric->publisher, now_ns);
	service_drain(fabric->service);
}

bool node_fabric_has_left(const struct fabric *fabric)
{
	return !fabric || (service_publisher_has_left(fabric->publisher) &&
			   service_is_drained(fabric->service));
}

void node_fabric_free(struct fabric *fabric)
{
	if (!fabric)
		return;
	fabric->node->fabric = NULL;
	service_free(fabric->service);
	provider_free(fabric->provider);
	service_reputation_free(fabric->reputation);
	mesh_pex_free(fabric->pex);
	relay_find_free(fabric->relay_find);
	overlay_free(fabric->overlay);
	free(fabric);
}

void node_fabric_turn(struct fabric *fabric, uint64_t now_ns)
{
	enum overlay_keepers keepers;

	if (!fabric)
		return;
	overlay_expire(fabric->overlay, now_ns);
	mesh_pex_expire(fabric->pex, now_ns);
	node_fabric_turn_relays(fabric, now_ns);
	if (fabric->meeting.rendezvous)
		mesh_rendezvous_expire(fabric->meeting.rendezvous,
				       overlay_is_serving(fabric->overlay), now_ns);
	keepers = overlay_keepers(fabric->overlay);
	if (keepers > fabric->keepers) {
		service_publisher_hurry(fabric->publisher, now_ns);
		builtin_hurry(fabric->builtin, now_ns);
		relay_find_hurry(fabric->relay_find, now_ns);
	}
	fabric->keepers = keepers;
}

uint64_t node_fabric_next_ns(const struct fabric *fabric)
{
	uint64_t next_ns, other_ns;

	if (!fabric)
		return UINT64_MAX;
	next_ns = overlay_next_ns(fabric->overlay);
	other_ns = mesh_pex_next_ns(fabric->pex);
	if (other_ns < next_ns)
		next_ns = other_ns;
	other_ns = relay_find_next_ns(fabric->relay_find);
	if (other_ns < next_ns)
		next_ns = other_ns;
	if (!fabric->meeting.rendezvous)
		return next_ns;
	other_ns = mesh_rendezvous_next_ns(fabric->meeting.rendezvous);
	return other_ns < next_ns ? other_ns : next_ns;
}

void node_fabric_set_wall(struct fabric *fabric, uint64_t wall_s, uint64_t now_ns)
{
	if (!fabric)
		return;
	overlay_set_wall(fabric->overlay, wall_s, now_ns);
	mesh_pex_set_wall(fabric->pex, wall_s, now_ns);
	relay_find_set_wall(fabric->relay_find, wall_s, now_ns);
	service_publisher_set_wall(fabric->publisher, now_ns);
}

static void configure_overlay(struct fabric *fabric, uint64_t now_ns)
{
	struct overlay_config overlay = config_live(fabric->node->config)->fabric.overlay;

	overlay.is_public = is_public(fabric->node);
	overlay_configure(fabric->overlay, &overlay, now_ns);
}

void node_fabric_session_down(struct fabric *fabric, const uint8_t *key)
{
	if (fabric && fabric->service)
		service_peer_returned(fabric->service, key);
}

void node_fabric_session_up(struct fabric *fabric, const uint8_t *key, uint64_t now_ns)
{
	if (!fabric)
		return;
	if (fabric->overlay)
		overlay_session_up(fabric->overlay, now_ns);
	if (fabric->overlay)
		overlay_node_returned(fabric->overlay, key);
	if (fabric->service)
		service_peer_returned(fabric->service, key);
}

void node_fabric_addresses_changed(struct fabric *fabric, uint64_t now_ns)
{
	if (!fabric)
		return;
	configure_overlay(fabric, now_ns);
	node_fabric_offer_relay(fabric, now_ns);
	node_fabric_relays_changed(fabric, now_ns);
}

void node_fabric_relays_changed(struct fabric *fabric, uint64_t now_ns)
{
	struct peer_places places;

	if (!fabric)
		return;
	node_places(fabric->node, &places);
	service_publisher_set_places(fabric->publisher, &places, now_ns);
}

void node_fabric_configure(struct fabric *fabric, const struct fabric_config *config,
			   uint64_t now_ns)
{
	const struct service_directory_config directory = directory_config(config);
	const struct service_publisher_config publisher = publisher_config(config);

	if (!fabric)
		return;
	configure_overlay(fabric, now_ns);
	service_configure(fabric->service, &config->service);
	service_directory_configure(fabric->directory, &directory);
	service_publisher_configure(fabric->publisher, &publisher);
}

struct overlay *node_fabric_overlay(struct fabric *fabric)
{
	return fabric->overlay;
}

struct service *node_fabric_service(struct fabric *fabric)
{
	return fabric->service;
}

struct provider *node_fabric_provider(struct fabric *fabric)
{
	return fabric->provider;
}
