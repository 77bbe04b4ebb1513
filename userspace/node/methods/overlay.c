/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowOverlay: the table that nodes of the mesh keep together, as it looks from here.
 */
#include "mesh/overlay/overlay.h"

#include "node/fabric/fabric.h"
#include "node/methods/methods.h"

static json_t *json_fills(const struct overlay_config *config, const struct overlay_stats *stats)
{
	json_t *json = json_array();

	json_array_append_new(json, method_json_fill("values kept for others", stats->value_cnt,
						     config->value_cap, "overlay.value_cap"));
	json_array_append_new(json,
			      method_json_fill("bytes of them", stats->value_len,
					       config->value_memory_len, "overlay.value_memory"));
	json_array_append_new(json, method_json_fill("searches and puts", stats->run_cnt,
						     config->run_cap, "overlay.run_cap"));
	json_array_append_new(json, method_json_fill("requests on the way", stats->query_cnt,
						     config->query_cap, "overlay.query_cap"));
	return json;
}

static json_t *json_reason(const char *word, uint64_t times, const char *meaning)
{
	return json_pack("{s:s, s:o, s:s}", "reason", word, "times", method_json_uint(times),
			 "meaning", meaning);
}

/* Those of the overlay, then those of peer exchange. */
static json_t *json_reasons(const struct overlay_stats *stats, const struct mesh_pex *pex)
{
	uint64_t pex_reasons[MESH_PEX_REASON_CNT];
	json_t *json = json_array();

	mesh_pex_stats(pex, pex_reasons);
	for (unsigned i = 0; i < OVERLAY_REASON_CNT; i++)
		json_array_append_new(json,
				      json_reason(overlay_reason_word((enum overlay_reason)i),
						  stats->reasons[i],
						  overlay_reason_text((enum overlay_reason)i)));
	for (unsigned i = 0; i < MESH_PEX_REASON_CNT; i++)
		json_array_append_new(json,
				      json_reason(mesh_pex_reason_word((enum mesh_pex_reason)i),
						  pex_reasons[i],
						  mesh_pex_reason_text((enum mesh_pex_reason)i)));
	return json;
}

void method_show_overlay(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	struct node *node = ctx;
	struct overlay_stats stats;
	json_t *overlay;

	(void)parameters;
	if (!node->fabric) {
		control_fail(call, WEFT_EREFUSED, "the overlay", "it is switched off",
			     "set service.enabled = yes in weft.conf and start weftd again");
		return;
	}
	overlay_stats(fabric_overlay(node->fabric), now_ns, &stats);
	overlay =
		json_pack("{s:b, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "serving",
			  stats.is_serving, "good", stats.table.good, "questionable",
			  stats.table.questionable, "bad", stats.table.bad, "candidates",
			  stats.table.candidates, "keys", method_json_uint(stats.key_cnt), "puts",
			  method_json_uint(stats.put_cnt), "gets", method_json_uint(stats.get_cnt),
			  "requests_sent", method_json_uint(stats.sent_cnt), "fills",
			  json_fills(&config_live(node->config)->fabric.overlay, &stats), "reasons",
			  json_reasons(&stats, fabric_pex(node->fabric)));
	control_reply(call, json_pack("{s:o}", "overlay", overlay));
}
