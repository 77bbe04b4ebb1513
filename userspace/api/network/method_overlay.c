/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowOverlay: the table that nodes of the mesh keep together, as it looks from here.
 */
#include "overlay/overlay.h"

#include "api/methods.h"

/* Those of the overlay, then those of peer exchange. */
static void reasons_write(const struct overlay_stats *stats, const struct mesh_pex *pex,
			  struct api_overlay_reason *row)
{
	uint64_t pex_reasons[MESH_PEX_REASON_CNT];

	mesh_pex_stats(pex, pex_reasons);
	for (enum overlay_reason i = 0; i < OVERLAY_REASON_CNT; i++)
		*row++ = (struct api_overlay_reason){overlay_reasons[i].word,
						     api_uint(stats->reasons[i]),
						     overlay_reasons[i].text};
	for (enum mesh_pex_reason i = 0; i < MESH_PEX_REASON_CNT; i++)
		*row++ = (struct api_overlay_reason){mesh_pex_reasons[i].word,
						     api_uint(pex_reasons[i]),
						     mesh_pex_reasons[i].text};
}

void api_show_overlay(struct api *api, struct control_call *call,
		      const struct api_show_overlay_in *in, uint64_t now_ns)
{
	const struct overlay_config *config = &config_live(api->config)->fabric.overlay;
	struct api_overlay_reason reasons[OVERLAY_REASON_CNT + MESH_PEX_REASON_CNT];
	struct overlay_stats stats;

	(void)in;
	if (!api->service) {
		control_fail(call, WEFT_EREFUSED, "the overlay", "it is switched off",
			     "set service.enabled = yes in weft.conf and start weftd again");
		return;
	}
	overlay_stats(api->overlay, now_ns, &stats);
	reasons_write(&stats, api->pex, reasons);
	struct api_fill fills[] = {
		{"values kept for others", stats.value_cnt, config->value_cap, "overlay.value_cap"},
		{"bytes of them", api_uint(stats.value_len), api_uint(config->value_memory_len),
		 "overlay.value_memory"},
		{"searches and puts", stats.run_cnt, config->run_cap, "overlay.run_cap"},
		{"requests on the way", stats.query_cnt, config->query_cap, "overlay.query_cap"},
	};
	const struct api_show_overlay_out out = {.overlay = {
							 .serving = stats.is_serving,
							 .good = stats.table.good,
							 .questionable = stats.table.questionable,
							 .bad = stats.table.bad,
							 .candidates = stats.table.candidates,
							 .keys = api_uint(stats.key_cnt),
							 .puts = api_uint(stats.put_cnt),
							 .gets = api_uint(stats.get_cnt),
							 .requests_sent = api_uint(stats.sent_cnt),
							 .fills = API_ROWS(fills),
							 .reasons = API_ROWS(reasons),
						 }};
	control_reply(call, api_show_overlay_out_write(&out));
}
