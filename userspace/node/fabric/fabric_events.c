/* SPDX-License-Identifier: Apache-2.0 */
/* Bans by reputation, and what the parts of the fabric say of what happened. Home worker. */
#include <string.h>

#include "api/events/events.h"
#include "base/log.h"
#include "codec/text/zbase32.h"
#include "mesh/seam_neighbours.h"
#include "node/fabric/fabric_state.h"
#include "node/node_state.h"

bool node_fabric_is_banned(void *ctx, const uint8_t *key)
{
	const struct fabric *fabric = ctx;
	struct ban_target target = {.kind = BAN_KEY};

	if (service_reputation_is_banned(fabric->reputation, key))
		return true;
	if (!fabric->node->firewall->bans.list)
		return false;
	memcpy(target.key, key, sizeof(target.key));
	return firewall_ban_list_lookup(fabric->node->firewall->bans.list, &target) != NULL;
}

/* A known peer is at the place of key, which is banned. */
static bool place_has_known(struct mesh *mesh, const struct ban_target *place, const uint8_t *key)
{
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};

	while (mesh_neighbour_ops.next(mesh, &walk, &neighbour))
		if (neighbour.is_known && memcmp(neighbour.key, key, MESH_KEY_LEN) != 0 &&
		    firewall_ban_target_has(place, &neighbour.remote))
			return true;
	return false;
}

void node_fabric_on_ban(void *ctx, const uint8_t key[MESH_KEY_LEN], uint64_t until_s,
			const char *reason, uint64_t now_ns)
{
	struct node *node = ((struct fabric *)ctx)->node;
	struct mesh *mesh = node->home->mesh;
	struct ban_target place;
	struct ban_offender offender = {.key = key};
	struct mesh_neighbour neighbour;
	char text[ZBASE32_KEY_TEXT_CAP];

	(void)now_ns;
	if (mesh_neighbour_ops.find(mesh, key, &neighbour) &&
	    neighbour.remote.family != ADDR_NONE) {
		offender.at = neighbour.remote;
		place = firewall_ban_target_of(&neighbour.remote);
		if (place.kind == BAN_IPV6)
			place = firewall_ban_target_cut(&place, 64);
		offender.is_known_there = place_has_known(mesh, &place, key);
	}
	if (firewall_bans_add_peer(&node->firewall->bans, &offender, until_s, reason))
		log_notice("peer %.12s is banned: %s; weft why tells more",
			   zbase32_write(key, MESH_KEY_LEN, text), reason);
}

void node_fabric_on_violation(void *ctx, const uint8_t key[MESH_KEY_LEN], const char *why,
			      uint64_t now_ns)
{
	struct fabric *fabric = ctx;

	api_tell_violation(fabric->node->api, key, why, now_ns);
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

static struct api *api_of(void *ctx)
{
	return ((struct fabric *)ctx)->node->api;
}

void node_fabric_on_abuse(void *ctx, const struct service_abuse_event *event, uint64_t now_ns)
{
	(void)now_ns;
	api_tell_abuse(api_of(ctx), event);
}

void node_fabric_on_access(void *ctx, const struct service_access_record *record, uint64_t now_ns)
{
	(void)now_ns;
	api_log_access(api_of(ctx), record);
}

void node_fabric_on_event(void *ctx, const struct service_event *event, uint64_t now_ns)
{
	(void)now_ns;
	api_tell_circuit(api_of(ctx), event);
}

void node_fabric_on_provider(void *ctx, const struct provider_event *event, uint64_t now_ns)
{
	(void)now_ns;
	api_tell_program(api_of(ctx), event);
}
