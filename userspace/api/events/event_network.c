/* SPDX-License-Identifier: Apache-2.0 */
/* Events of sessions, the DHT, bans and attached devices. Home worker. */
#include <string.h>

#include "api/api.h"
#include "api/events/events.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"

/* For `weft why`, which shows the last day. */
static void note_session(struct api *api, const struct mesh_peer_info *peer, bool is_up)
{
	struct incident incident = {
		.at_ns = api->home->now_ns,
		.at_s = clock_wall_s(),
		.kind = is_up ? INCIDENT_SESSION_OPENED : INCIDENT_SESSION_CLOSED,
		.end = peer->end,
		.who.kind = BAN_KEY,
		.addr = peer->last_addr,
	};

	memcpy(incident.who.key, peer->key, BAN_KEY_LEN);
	firewall_incidents_add(api->incidents, &incident);
}

void api_tell_step(struct api *api, const struct mesh_step *step)
{
	char peer[ZBASE32_KEY_TEXT_CAP];

	if (api->control)
		api_tell(api, "peer.looked-for", peer_looked_for, .step = step->name,
			 .addresses = step->addr_cnt,
			 .took_us = api_uint((step->ended_ns - step->started_ns) / NS_PER_US),
			 .error = api_event_error(step->err),
			 .peer = api_event_key(step->key, peer));
}

void api_tell_failure(struct api *api, const struct mesh_failure *failure)
{
	struct incident incident = {
		.at_s = clock_wall_s(),
		.kind = failure->is_dialler ? INCIDENT_DIAL_FAILED : INCIDENT_REFUSED,
		.end = failure->end,
		.who.kind = BAN_KEY,
		.addr = failure->remote,
	};
	char peer[ZBASE32_KEY_TEXT_CAP];

	if (!api->control)
		return;
	incident.at_ns = api->home->now_ns;
	if (failure->end.err == WEFT_EWRONGKEY)
		incident.kind = INCIDENT_WRONG_KEY;
	memcpy(incident.who.key, failure->key, BAN_KEY_LEN);
	firewall_incidents_add(api->incidents, &incident);
	api_tell(api, "peer.failed", peer_failed, .dialled = failure->is_dialler,
		 .why = weft_err_text(failure->end.err), .peer = api_event_key(failure->key, peer));
}

void api_tell_session(struct api *api, const struct mesh_peer_info *peer, bool is_up)
{
	char id[ZBASE32_KEY_TEXT_CAP];

	if (!api->control)
		return;
	note_session(api, peer, is_up);
	if (is_up)
		api_tell(api, "peer.connected", peer_connected, .dialled = peer->conn.is_dialler,
			 .peer = api_event_key(peer->key, id));
	else
		api_tell(api, "peer.disconnected", peer_disconnected,
			 .why = weft_err_text(peer->end.err), .peer = api_event_key(peer->key, id));
}

void api_tell_moved(struct api *api, const uint8_t *key, const struct addr *remote)
{
	char id[ZBASE32_KEY_TEXT_CAP], relay[ZBASE32_KEY_TEXT_CAP];
	const uint8_t *relay_key = NULL;

	if (!api->control)
		return;
	if (api->relay_end && addr_is_relayed(remote))
		relay_key = relay_end_relay_of(api->relay_end, remote);
	api_tell(api, "peer.moved", peer_moved, .transport = mesh_way_name(mesh_way_of(remote)),
		 .relayed_by = api_event_key(relay_key, relay), .peer = api_event_key(key, id));
}

void api_tell_dht(struct api *api, const struct locate_event *event)
{
	int64_t took_us = api_uint(event->took_ns / NS_PER_US);

	switch (event->kind) {
	case LOCATE_DHT_JOINED:
		api_tell(api, "dht.joined", dht, API_IF(took_us, true, took_us));
		break;
	case LOCATE_DHT_LOST:
		api_tell(api, "dht.lost", dht, .has_took_us = false);
		break;
	case LOCATE_DHT_ADDRESS:
		api_tell(api, "dht.address", dht_address,
			 .network = event->net == DHT_NET_IPV6
					    ? API_DHT_ADDRESS_EVENT_NETWORK_IPV6
					    : API_DHT_ADDRESS_EVENT_NETWORK_IPV4);
		break;
	case LOCATE_DHT_PUBLISHED:
		api_tell(api, "dht.published", dht_published, .nodes = event->node_cnt,
			 .took_us = took_us);
		break;
	}
}

/* As a ban: without the address, and so without the evidence, which names it. */
void api_tell_reachability(struct api *api, const struct reachability_view *view)
{
	if (api->control)
		api_tell(api, "reachability.changed", reachability,
			 .state = reachability_word(view->kind));
}

/* Likewise without the address. */
void api_tell_mapping(struct api *api, const struct port_mapping_row *row)
{
	if (api->control)
		api_tell(api, "port_mapping.changed", port_mapping,
			 .transport = row->port.transport == ADDR_TCP
					      ? API_PORT_MAPPING_EVENT_TRANSPORT_TCP
					      : API_PORT_MAPPING_EVENT_TRANSPORT_UDP,
			 .state = port_mapping_state_word(row->state),
			 .method = port_mapping_method_word(row->method));
}

void api_tell_relay_role(struct api *api, const struct relay_role *role)
{
	if (api->control)
		api_tell(api, "relay_role.changed", relay_role, .relay = role->is_relay,
			 .why = relay_role_word(role->why),
			 .score = contribution_score(&role->own) / CONTRIBUTION_POINT);
}

void api_tell_relay_flow(struct api *api, const struct relay_end_event *event)
{
	static const char *const kinds[] = {
		[RELAY_END_EVENT_OPENED] = "relay_flow.opened",
		[RELAY_END_EVENT_REOPENED] = "relay_flow.reopened",
		[RELAY_END_EVENT_LOST] = "relay_flow.lost",
		[RELAY_END_EVENT_SLOWED] = "relay_flow.slowed",
	};
	char relay[ZBASE32_KEY_TEXT_CAP], peer[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(event->relay, MESH_KEY_LEN, relay);
	zbase32_write(event->peer, MESH_KEY_LEN, peer);
	if (api->control)
		api_tell(api, kinds[event->kind], relay_flow, .relay = relay, .peer = peer,
			 .opened_by_us = event->is_opener, .mtu = event->mtu);
}

/* A caller with the role view learns no address. */
void api_tell_ban(struct api *api, enum incident_kind kind, const struct ban *ban)
{
	static const char *const events[] = {[INCIDENT_BANNED] = "ban.added",
					     [INCIDENT_BAN_REMOVED] = "ban.removed",
					     [INCIDENT_BAN_ENDED] = "ban.ended"};
	char key[BAN_TARGET_TEXT_CAP];

	firewall_ban_target_format(&ban->target, key);
	api_tell(api, events[kind], ban, .peer = ban->target.kind == BAN_KEY ? key : NULL);
}

void api_tell_device(struct api *api, const char *kind, const char *device, const char *text)
{
	api_tell(api, kind, device, .device = device, .text = text);
}
