/* SPDX-License-Identifier: Apache-2.0 */
/* ShowAnnounce: what the overlay is told of what this node has. */
#include "content/announce/announce.h"

#include "base/clock.h"
#include "node/methods/methods.h"
#include "node/sharing/sharing_state.h"

static json_t *json_fills(const struct announce_config *config, const struct announce_stats *stats)
{
	json_t *json = json_array();

	json_array_append_new(json, method_json_fill("collections and shares", stats->manifest_cnt,
						     config->manifest_cap, "sharing.announce_cap"));
	json_array_append_new(json, method_json_fill("searches", stats->search_out_cnt,
						     config->search_cap, "sharing.find_cap"));
	json_array_append_new(json,
			      method_json_fill("bytes of others' sets", stats->set_len,
					       config->set_memory_len, "sharing.find_memory"));
	return json;
}

static json_t *json_announce(const struct announce_config *config,
			     const struct announce_stats *stats, uint64_t now_ns)
{
	static const char *const scopes[] = {"off", "public", "all"};
	static const char *const shapes[] = {"nothing", "singles", "sets"};
	json_t *json = json_pack(
		"{s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o}",
		"scope", scopes[stats->scope], "contents", shapes[stats->shape], "depth",
		stats->depth, "manifests", stats->manifest_cnt, "told", stats->manifest_told_cnt,
		"left_out", stats->manifest_left_out_cnt, "items",
		method_json_uint(stats->item_cnt), "items_left_out",
		method_json_uint(stats->item_left_out_cnt), "regions", stats->region_cnt, "due",
		stats->region_due_cnt, "puts", method_json_uint(stats->put_cnt), "put_bytes",
		method_json_uint(stats->put_len), "asked", method_json_uint(stats->request_cnt),
		"stored", method_json_uint(stats->stored_cnt), "failed",
		method_json_uint(stats->failed_cnt), "searches",
		method_json_uint(stats->search_cnt), "found", method_json_uint(stats->found_cnt),
		"fills", json_fills(config, stats));

	if (stats->err)
		json_object_set_new(json, "error", json_string(weft_err_text(stats->err)));
	if (stats->next_ns != UINT64_MAX)
		json_object_set_new(json, "next_ms",
				    method_json_uint(stats->next_ns > now_ns
							     ? (stats->next_ns - now_ns) / NS_PER_MS
							     : 0));
	return json;
}

void method_show_announce(void *ctx, struct control_call *call, const json_t *parameters,
			  uint64_t now_ns)
{
	struct node *node = ctx;
	struct announce_stats stats;

	(void)parameters;
	if (!node->sharing || !node->sharing->announce) {
		control_fail(call, WEFT_EREFUSED, "announcements of content",
			     "sharing or the overlay is switched off",
			     "set sharing.enabled = yes and service.enabled = yes in weft.conf and "
			     "start weftd again");
		return;
	}
	announce_stats(node->sharing->announce, now_ns, &stats);
	control_reply(call, json_pack("{s:o}", "announce",
				      json_announce(&config_live(node->config)->sharing.announce,
						    &stats, now_ns)));
}
