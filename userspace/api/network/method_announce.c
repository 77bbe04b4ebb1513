/* SPDX-License-Identifier: Apache-2.0 */
/* ShowAnnounce: what this node announces to the overlay. */
#include "shares/announce/announce.h"

#include "base/monotonic.h"
#include "api/methods.h"

_Static_assert((int)API_ANNOUNCE_SCOPE_ALL == (int)ANNOUNCE_ALL &&
		       (int)API_ANNOUNCE_CONTENTS_SETS == (int)ANNOUNCE_SETS,
	       "numbered as announce_stats has them");

void api_show_announce(struct api *api, struct control_call *call,
		       const struct api_show_announce_in *in, uint64_t now_ns)
{
	const struct announce_config *config = &config_live(api->config)->sharing.announce;
	struct api_show_announce_out out;
	struct announce_stats stats;

	(void)in;
	if (!api->follows || !api->announce) {
		control_fail(call, WEFT_EREFUSED, "announcements of content",
			     "sharing or the overlay is switched off",
			     "set sharing.enabled = yes and service.enabled = yes in weft.conf and "
			     "start weftd again");
		return;
	}
	shares_announce_stats(api->announce, now_ns, &stats);
	struct api_fill fills[] = {
		{"collections and shares", stats.manifest_cnt, config->manifest_cap,
		 "sharing.announce_cap"},
		{"searches", stats.lookup_out_cnt, config->lookup_cap, "sharing.find_cap"},
		{"bytes of others' sets", api_uint(stats.set_len), api_uint(config->set_memory_len),
		 "sharing.find_memory"},
	};
	out.announce = (struct api_announce){
		.scope = (enum api_announce_scope)stats.scope,
		.contents = (enum api_announce_contents)stats.shape,
		.depth = stats.depth,
		.manifests = stats.manifest_cnt,
		.told = stats.manifest_announced_cnt,
		.left_out = stats.manifest_left_out_cnt,
		.items = api_uint(stats.item_cnt),
		.items_left_out = api_uint(stats.item_left_out_cnt),
		.regions = stats.region_cnt,
		.due = stats.region_due_cnt,
		.puts = api_uint(stats.put_cnt),
		.put_bytes = api_uint(stats.put_len),
		.asked = api_uint(stats.request_cnt),
		.stored = api_uint(stats.stored_cnt),
		.failed = api_uint(stats.failed_cnt),
		.error = stats.err ? weft_err_text(stats.err) : NULL,
		.searches = api_uint(stats.lookup_cnt),
		.found = api_uint(stats.found_cnt),
		.fills = API_ROWS(fills),
	};
	if (stats.next_ns != UINT64_MAX)
		API_SET(&out.announce, next_ms,
			api_uint(stats.next_ns > now_ns ? (stats.next_ns - now_ns) / NS_PER_MS
							: 0));
	control_reply(call, api_show_announce_out_write(&out));
}
