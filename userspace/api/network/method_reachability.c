/* SPDX-License-Identifier: Apache-2.0 */
/* ShowReachability: where this node is, as others see it. */
#include "reachability/reachability.h"

#include "api/methods.h"
#include "base/monotonic.h"
#include "locate/locate.h"
#include "port_mapping/port_mapping.h"
#include "reachability/observed.h"

static void observations_add(struct varlink_blocks *blocks, const struct api *api, uint64_t now_ns,
			     struct api_observation_list *observations)
{
	static const char *const by[] = {[OBSERVED_BY_STUN] = "stun", [OBSERVED_BY_PEER] = "peer"};
	struct observation seen;

	for (unsigned i = 0; reachability_seen(api->reachability, i, &seen); i++) {
		const struct api_observation row = {
			.seen = api_addr(blocks, &seen.seen),
			.voter = api_addr(blocks, &seen.voter),
			.by = by[seen.by],
			.age_s = api_uint((now_ns - seen.at_ns) / NS_PER_S),
		};

		varlink_push(blocks, observations, row);
	}
}

static void mappings_add(struct control_call *call, const struct api *api, uint64_t now_ns,
			 struct api_port_mapping_list *mappings)
{
	struct addr router = port_mapping_router(api->port_mapping);
	bool is_told = control_role_of(call) != CONTROL_VIEW;
	struct varlink_blocks *blocks = control_blocks(call);
	struct port_mapping_row row;

	for (unsigned i = 0; port_mapping_row(api->port_mapping, i, now_ns, &row); i++) {
		struct api_port_mapping mapping = {
			.transport = row.port.transport == ADDR_TCP ? "tcp" : "udp",
			.port = row.port.port,
			.state = port_mapping_state_word(row.state),
			.method = port_mapping_method_word(row.method),
			.lifetime_s = api_uint(row.lifetime_s),
			.why = varlink_text(blocks, row.why),
		};

		if (is_told && row.external.family != ADDR_NONE)
			mapping.external = api_addr(blocks, &row.external);
		if (is_told && router.family != ADDR_NONE)
			mapping.router = varlink_format(blocks, "%u.%u.%u.%u", router.ip[0],
							router.ip[1], router.ip[2], router.ip[3]);
		varlink_push(blocks, mappings, mapping);
	}
}

/* The host of a NAT, or the network of IPv6 in which hosts change their addresses. */
static const char *network_text(struct varlink_blocks *blocks, const struct addr *addr)
{
	const uint8_t *ip = addr->ip;

	if (addr->family == ADDR_IPV4)
		return varlink_format(blocks, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
	return varlink_format(blocks, "%x:%x:%x:%x::/64", ip[0] << 8 | ip[1], ip[2] << 8 | ip[3],
			      ip[4] << 8 | ip[5], ip[6] << 8 | ip[7]);
}

static void lives_add(struct control_call *call, const struct api *api, uint64_t now_ns,
		      struct api_reachability *out)
{
	bool is_told = control_role_of(call) != CONTROL_VIEW;
	struct varlink_blocks *blocks = control_blocks(call);
	struct reachability_life life;

	for (unsigned i = 0; reachability_life_at(api->reachability, i, now_ns, &life); i++) {
		struct api_mapping_life row = {
			.family = life.outside.family == ADDR_IPV6 ? "ipv6" : "ipv4",
			.life_s = life.life_s,
			.measured_s = api_uint(life.age_ns / NS_PER_S),
			.present = life.is_present,
		};

		if (is_told)
			row.network = network_text(blocks, &life.outside);
		varlink_push(blocks, &out->mapping_lives, row);
		if (life.is_present && (!out->has_nat_life_s || life.life_s < out->nat_life_s))
			API_SET(out, nat_life_s, life.life_s);
	}
	if (out->has_nat_life_s)
		API_SET(out, keepalive_s,
			api_uint(reachability_keepalive_ns(api->reachability, ADDR_NONE) /
				 NS_PER_S));
}

/* The findings name addresses of this node and of others, which a viewer does not see. */
static const char *evidence_text(struct control_call *call, const struct reachability_view *view)
{
	if (!view->judged_ns)
		return "other nodes were not asked yet";
	if (control_role_of(call) == CONTROL_VIEW)
		return view->kind == REACHABILITY_UNKNOWN ? "nothing shows it"
							  : "probes of other nodes";
	return varlink_text(control_blocks(call), view->evidence);
}

void api_show_reachability(struct api *api, struct control_call *call,
			   const struct api_show_reachability_in *in, uint64_t now_ns)
{
	const struct reachability_view *view = reachability_show(api->reachability);
	struct api_show_reachability_out out = {.reachability = {0}};
	struct varlink_blocks *blocks = control_blocks(call);
	struct publish_state published;

	out.reachability = (struct api_reachability){
		.state = reachability_word(view->kind),
		.evidence = evidence_text(call, view),
		.since_s = view->judged_ns ? api_uint((now_ns - view->since_ns) / NS_PER_S) : 0,
		.judged = view->judged_ns != 0,
		.asking = view->is_asking,
	};
	if (control_role_of(call) != CONTROL_VIEW) {
		if (view->addr.family != ADDR_NONE)
			out.reachability.address = api_addr(blocks, &view->addr);
		observations_add(blocks, api, now_ns, &out.reachability.observations);
	}
	lives_add(call, api, now_ns, &out.reachability);
	mappings_add(call, api, now_ns, &out.reachability.mappings);
	locate_publish_state(api->locate->publish, &published);
	if (published.err == 0 && locate_publish_has_place(api->locate->publish))
		api_published_relays(call, published.record.vias, published.record.via_cnt,
				     &out.reachability.published_relays);
	if (in->has_again && in->again)
		reachability_look(api->reachability, now_ns);
	control_reply(call, api_show_reachability_out_write(&out));
}
