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
	json_t *fields;

	if (!api->control)
		return;
	fields =
		json_pack("{s:s, s:i, s:I}", "step", step->name, "addresses", (int)step->addr_cnt,
			  "took_us", (json_int_t)((step->ended_ns - step->started_ns) / NS_PER_US));
	api_event_set_error(fields, step->err);
	api_tell_of(api, "peer.looked-for", step->key, fields);
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
	json_t *fields;

	if (!api->control)
		return;
	incident.at_ns = api->home->now_ns;
	if (failure->end.err == WEFT_EWRONGKEY)
		incident.kind = INCIDENT_WRONG_KEY;
	memcpy(incident.who.key, failure->key, BAN_KEY_LEN);
	firewall_incidents_add(api->incidents, &incident);
	fields = json_pack("{s:b, s:s}", "dialled", failure->is_dialler, "why",
			   weft_err_text(failure->end.err));
	api_tell_of(api, "peer.failed", failure->key, fields);
}

void api_tell_session(struct api *api, const struct mesh_peer_info *peer, bool is_up)
{
	json_t *fields;

	if (!api->control)
		return;
	note_session(api, peer, is_up);
	fields = is_up ? json_pack("{s:b}", "dialled", peer->conn.is_dialler)
		       : json_pack("{s:s}", "why", weft_err_text(peer->end.err));
	api_tell_of(api, is_up ? "peer.connected" : "peer.disconnected", peer->key, fields);
}

void api_tell_dht(struct api *api, const struct locate_event *event)
{
	json_int_t took_us = (json_int_t)(event->took_ns / NS_PER_US);

	switch (event->kind) {
	case LOCATE_DHT_JOINED:
		api_tell(api, "dht.joined", json_pack("{s:I}", "took_us", took_us));
		break;
	case LOCATE_DHT_LOST:
		api_tell(api, "dht.lost", json_object());
		break;
	case LOCATE_DHT_ADDRESS:
		api_tell(api, "dht.address",
			 json_pack("{s:s}", "network",
				   event->net == DHT_NET_IPV6 ? "ipv6" : "ipv4"));
		break;
	case LOCATE_DHT_PUBLISHED:
		api_tell(
			api, "dht.published",
			json_pack("{s:i, s:I}", "nodes", (int)event->node_cnt, "took_us", took_us));
		break;
	}
}

/* As a ban: without the address, and so without the evidence, which names it. */
void api_tell_reachability(struct api *api, const struct reachability_view *view)
{
	if (api->control)
		api_tell(api, "reachability.changed",
			 json_pack("{s:s}", "state", reachability_word(view->kind)));
}

/* Likewise without the address. */
void api_tell_mapping(struct api *api, const struct port_mapping_row *row)
{
	if (api->control)
		api_tell(api, "port_mapping.changed",
			 json_pack("{s:s, s:s, s:s}", "transport",
				   row->port.transport == ADDR_TCP ? "tcp" : "udp", "state",
				   port_mapping_state_word(row->state), "method",
				   port_mapping_method_word(row->method)));
}

/* A caller with the role view learns no address. */
void api_tell_ban(struct api *api, enum incident_kind kind, const struct ban *ban)
{
	static const char *const events[] = {[INCIDENT_BANNED] = "ban.added",
					     [INCIDENT_BAN_REMOVED] = "ban.removed",
					     [INCIDENT_BAN_ENDED] = "ban.ended"};
	char key[BAN_TARGET_TEXT_CAP];

	firewall_ban_target_format(&ban->target, key);
	api_tell(api, events[kind],
		 ban->target.kind == BAN_KEY ? json_pack("{s:s}", "peer", key) : json_object());
}

void api_tell_device(struct api *api, const char *kind, const char *device, const char *text)
{
	api_tell(api, kind, json_pack("{s:s, s:s}", "device", device, "text", text));
}
