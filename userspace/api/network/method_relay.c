/* SPDX-License-Identifier: Apache-2.0 */
/* ListRelays: the relays that this node knows of. */
#include "relay/find/relay_find.h"

#include <stdio.h>
#include <string.h>

#include "api/methods.h"
#include "base/monotonic.h"

static const char *state_of(const struct relay_known_row *row)
{
	if (relay_known_is_live(row))
		return "live";
	return row->score.failed_in_row ? "failed" : "untried";
}

static const char *addrs_text(struct varlink_blocks *blocks,
			      const struct relay_announcement *announcement)
{
	char text[PEER_ADDRS_MAX * (ADDR_TEXT_CAP + 1)] = "";
	size_t len = 0;

	for (unsigned i = 0; i < announcement->addr_cnt; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
					api_addr(blocks, &announcement->addrs[i]));
	return varlink_text(blocks, text);
}

static struct api_relay_row row_of(struct varlink_blocks *blocks, const struct relay_known_row *row,
				   uint64_t now_ns, uint64_t wall_s)
{
	struct relay_score aged = row->score;
	struct api_relay_row out = {
		.node_id = api_id(blocks, row->announcement.key),
		.addresses = addrs_text(blocks, &row->announcement),
		.state = state_of(row),
		.told_by = relay_teller_word(row->teller),
		.flows = row->announcement.capacity.flow_cap,
	};

	relay_score_age(&aged, now_ns);
	out.score = aged.score / RELAY_SCORE_POINT;
	out.latency_ms = api_uint(row->score.latency_ns / NS_PER_MS);
	if (row->announcement.expires_s > wall_s)
		out.expires_s = api_uint(row->announcement.expires_s - wall_s);
	return out;
}

void api_list_relays(struct api *api, struct control_call *call,
		     const struct api_list_relays_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	const struct relay_known_row *row = NULL;
	struct api_relay_row_list relays = {0};

	(void)in;
	if (!api->relay_find) {
		control_fail(call, WEFT_EREFUSED, "relays", "services are switched off",
			     "set service.enabled in weft.conf and start weftd again");
		return;
	}
	while ((row = relay_find_next(api->relay_find, row)))
		varlink_push(blocks, &relays,
			     row_of(blocks, row, now_ns, api->wall_us(api->ctx) / 1000000));
	api_reply(call, list_relays, .relays = relays);
}
