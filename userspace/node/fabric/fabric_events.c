/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the fabric tell becomes an event, a line of the log,
 * an incident of `weft why`, or a ban. Peers and services by name, never by
 * address, and nothing of what was called with.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "base/siphash_bytes.h"
#include "codec/zbase32.h"
#include "mesh/seam_neighbours.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

static void tell(struct node *node, const char *kind, const uint8_t *key, json_t *fields)
{
	char text[ZBASE32_KEY_TEXT_CAP];

	if (!node->control) {
		json_decref(fields);
		return;
	}
	if (key)
		json_object_set_new(fields, "peer",
				    json_string(zbase32_write(key, MESH_KEY_LEN, text)));
	node_tell(node, kind, fields);
}

bool node_fabric_is_banned(void *ctx, const uint8_t *key)
{
	const struct fabric *fabric = ctx;
	struct ban_target target = {.kind = BAN_KEY};

	if (service_reputation_is_banned(fabric->reputation, key))
		return true;
	if (!fabric->node->bans.list)
		return false;
	memcpy(target.key, key, sizeof(target.key));
	return firewall_ban_list_lookup(fabric->node->bans.list, &target) != NULL;
}

/* Looks for a known peer at the place of one that is banned. */
struct place_search {
	const uint8_t *key;
	struct ban_target place;
	bool is_known_there;
};

static bool place_look(void *arg, const struct mesh_neighbour *neighbour)
{
	struct place_search *search = arg;

	search->is_known_there = neighbour->is_known &&
				 memcmp(neighbour->key, search->key, MESH_KEY_LEN) != 0 &&
				 firewall_ban_target_has(&search->place, &neighbour->remote);
	return !search->is_known_there;
}

void node_fabric_on_ban(void *ctx, const uint8_t key[MESH_KEY_LEN], uint64_t until_s,
			const char *reason, uint64_t now_ns)
{
	struct node *node = ((struct fabric *)ctx)->node;
	struct mesh *mesh = node->home.mesh;
	struct place_search search = {.key = key};
	struct ban_offender offender = {.key = key};
	struct mesh_neighbour neighbour;
	char text[ZBASE32_KEY_TEXT_CAP];

	(void)now_ns;
	if (mesh_neighbour_ops.find(mesh, key, &neighbour) &&
	    neighbour.remote.family != ADDR_NONE) {
		offender.at = neighbour.remote;
		search.place = firewall_ban_target_of(&neighbour.remote);
		if (search.place.kind == BAN_IPV6)
			search.place = firewall_ban_target_cut(&search.place, 64);
		mesh_neighbour_ops.each(mesh, place_look, &search);
		offender.is_known_there = search.is_known_there;
	}
	if (firewall_bans_add_peer(&node->bans, &offender, until_s, reason))
		log_notice("peer %.12s is banned: %s; weft why tells more",
			   zbase32_write(key, MESH_KEY_LEN, text), reason);
}

void node_fabric_on_violation(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *why,
			      uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	struct incident incident = {
		.at_ns = now_ns,
		.at_s = node_wall_us(fabric->node) / 1000000,
		.kind = INCIDENT_VIOLATION,
		.rule = why,
		.who.kind = BAN_KEY,
	};

	memcpy(incident.who.key, key, BAN_KEY_LEN);
	firewall_incidents_add(&fabric->node->incidents, &incident);
	tell(fabric->node, "service.violation", key, json_pack("{s:s}", "why", why));
	service_reputation_note(fabric->reputation, key, SERVICE_OBSERVATION_VIOLATION, why,
				now_ns);
}

void node_fabric_note_false_content(struct fabric *fabric, const uint8_t key[static MESH_KEY_LEN],
				    uint64_t now_ns)
{
	if (fabric)
		service_reputation_note(fabric->reputation, key, SERVICE_OBSERVATION_FALSE_CONTENT,
					"chunks that do not match their hash", now_ns);
}

void node_fabric_on_abuse(void *ctx, const struct service_abuse_event *event, uint64_t now_ns)
{
	struct fabric *fabric = ctx;

	(void)now_ns;
	tell(fabric->node, "service.abuse", event->caller,
	     json_pack("{s:s, s:i, s:i}", "pattern", service_abuse_name(event->kind), "queries",
		       (int)event->query_cnt, "names", (int)event->name_cnt));
}

/* One of so many is written in mode sampled. */
#define ACCESS_SAMPLE 100

void node_fabric_on_access(void *ctx, const struct service_access_record *record, uint64_t now_ns)
{
	struct fabric *fabric = ctx;
	enum fabric_access_log mode = fabric->node->config->fabric.access_log;
	uint64_t tag;

	(void)now_ns;
	if (mode == FABRIC_ACCESS_OFF ||
	    (mode == FABRIC_ACCESS_SAMPLED && fabric->access_cnt++ % ACCESS_SAMPLE))
		return;
	if (!fabric->has_access_salt)
		random_fill(fabric->node->random, fabric->access_salt, sizeof(fabric->access_salt));
	fabric->has_access_salt = true;
	tag = siphash(fabric->access_salt, record->caller, MESH_KEY_LEN);
	log_notice("access: service=%s@%s method=%s peer=%s%08llx status=%s ms=%llu.%03llu",
		   record->service, record->version, record->method,
		   record->is_local ? "local-" : "", (unsigned long long)(tag & 0xffffffff),
		   service_status_name(record->status),
		   (unsigned long long)(record->took_ns / NS_PER_MS),
		   (unsigned long long)(record->took_ns % NS_PER_MS / NS_PER_US));
}

void node_fabric_on_event(void *ctx, const struct service_event *event, uint64_t now_ns)
{
	static const char *const kinds[] = {
		[SERVICE_EVENT_CIRCUIT_OPENED] = "service.rests",
		[SERVICE_EVENT_CIRCUIT_AT_PEER] = "service.rests-at-peer",
	};
	struct fabric *fabric = ctx;
	char id[ZBASE32_KEY_TEXT_CAP];

	(void)now_ns;
	tell(fabric->node, kinds[event->kind], event->peer_key,
	     json_pack("{s:s}", "service_id",
		       zbase32_write(event->service_id, SERVICE_ID_LEN, id)));
}

void node_fabric_on_provider(void *ctx, const struct provider_event *event, uint64_t now_ns)
{
	static const char *const kinds[] = {
		[PROVIDER_EVENT_READY] = "service.ready",
		[PROVIDER_EVENT_DOWN] = "service.down",
		[PROVIDER_EVENT_FAILED] = "service.failed",
		[PROVIDER_EVENT_STDERR] = "service.said",
		[PROVIDER_EVENT_DROPPED] = "service.dropped",
	};
	struct fabric *fabric = ctx;
	const char *text = event->text ? event->text : "";

	(void)now_ns;
	switch (event->kind) {
	case PROVIDER_EVENT_READY:
		log_info("service %s %s: its program answers", event->name, event->version);
		break;
	case PROVIDER_EVENT_DOWN:
		log_warn("service %s %s is not offered now: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_FAILED:
		log_warn("service %s %s: a call failed: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_STDERR:
		log_info("service %s %s says: %s", event->name, event->version, text);
		break;
	case PROVIDER_EVENT_DROPPED:
		log_warn("service %s %s is in the store and cannot be offered: %s", event->name,
			 event->version, text);
		break;
	}
	tell(fabric->node, kinds[event->kind], NULL,
	     json_pack("{s:s, s:s, s:s}", "name", event->name, "version", event->version, "text",
		       text));
}

void node_fabric_on_unpublished(struct fabric *fabric, const struct service_offering *offering)
{
	log_warn("service %s %s is offered, but found only by who knows this node: as many as "
		 "there may be are published",
		 offering->name, offering->version);
	tell(fabric->node, "service.unpublished", NULL,
	     json_pack("{s:s, s:s}", "name", offering->name, "version", offering->version));
}
