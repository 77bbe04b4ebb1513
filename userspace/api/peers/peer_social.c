/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer is to the people of this node, and where their routes say that it is. */
#include <string.h>

#include "api/methods.h"
#include "social/routes/social_routes.h"
#include "social/slots/social_slots.h"
#include "social/social.h"

struct slot_look {
	const uint8_t *key;
	struct api_peer_social *out;
};

static bool on_slot(void *arg, const struct slot_info *info)
{
	struct slot_look *look = arg;

	if (memcmp(info->key, look->key, MESH_KEY_LEN) != 0)
		return true;
	API_SET(look->out, slot, (enum api_peer_social_slot)info->class);
	look->out->anchor |= info->is_anchor;
	return false;
}

static void route_add(struct control_call *call, const struct api *api,
		      const struct social_route *route, struct api_peer_social *out)
{
	struct varlink_blocks *blocks = control_blocks(call);
	unsigned proved_cnt = route->places.addr_cnt - route->told_cnt;

	out->relation = (enum api_peer_social_relation)route->tier;
	out->anchor |= (route->caps & MESH_CAP_ANCHOR) != 0;
	if (route->is_introduced)
		out->introduced_by = api_id(blocks, route->introduced_by);
	if (route->seen_ms)
		API_SET(out, last_session_s, api_uint(route->seen_ms / 1000));
	for (unsigned i = 0; i < route->places.addr_cnt; i++)
		varlink_push(
			blocks, &out->addresses,
			((struct api_person_address){
				.address = api_peer_address(call, api, &route->places.addrs[i]),
				.proved = i < proved_cnt,
			}));
}

struct api_peer_social api_peer_social(struct control_call *call, const struct api *api,
				       const uint8_t *key, uint32_t caps, uint64_t now_ns)
{
	struct api_peer_social out = {.anchor = (caps & MESH_CAP_ANCHOR) != 0};
	struct slot_look look = {key, &out};
	struct social_route route;

	if (!api->social)
		return out;
	if (social_route_look(social_routes_of(api->social), key, &route))
		route_add(call, api, &route, &out);
	social_slots_each(social_slots_of(api->social), now_ns, on_slot, &look);
	return out;
}

bool api_peer_introduced(const struct api *api, const uint8_t *key, struct mesh_peer_info *out_peer)
{
	struct social_route route;

	if (!api->social || !social_route_look(social_routes_of(api->social), key, &route))
		return false;
	*out_peer = (struct mesh_peer_info){
		.caps = route.caps, .last_seen_s = route.seen_ms / 1000, .share_cnt = 1};
	memcpy(out_peer->key, key, MESH_KEY_LEN);
	if (route.places.addr_cnt)
		out_peer->last_addr = route.places.addrs[0];
	return true;
}
