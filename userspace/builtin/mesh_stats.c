/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_stats.h"

#include "builtin.h"

static void get_mesh_status(void *ctx, struct request *request)
{
	const struct builtin_figures *figures = ctx;
	struct builtin_mesh_status status = {0};

	if (!builtin_request_unpack(request, "{}"))
		return;
	figures->mesh_status(figures->ctx, &status);
	builtin_request_reply(request, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "uptime_s",
						 (json_int_t)status.uptime_s, "session_cnt",
						 (json_int_t)status.session_cnt, "service_cnt",
						 (json_int_t)status.offer_cnt, "call_cnt",
						 (json_int_t)status.call_cnt, "refused_cnt",
						 (json_int_t)status.refused_cnt, "bytes_in",
						 (json_int_t)status.bytes_in, "bytes_out",
						 (json_int_t)status.bytes_out));
}

static void get_peers_summary(void *ctx, struct request *request)
{
	const struct builtin_figures *figures = ctx;
	struct builtin_peers_summary summary = {0};

	if (!builtin_request_unpack(request, "{}"))
		return;
	figures->peers_summary(figures->ctx, &summary);
	builtin_request_reply(request, json_pack("{s:I, s:I, s:I, s:I}", "known_cnt",
						 (json_int_t)summary.known_cnt, "connected_cnt",
						 (json_int_t)summary.connected_cnt, "banned_cnt",
						 (json_int_t)summary.banned_cnt, "rtt_median_us",
						 (json_int_t)summary.rtt_median_us));
}

const struct request_method builtin_mesh_stats_methods[] = {
	{"GetMeshStatus", get_mesh_status, true, .takes = "",
	 .gives = "uptime_s:int session_cnt:int service_cnt:int call_cnt:int refused_cnt:int "
		  "bytes_in:int bytes_out:int",
	 .about = "Counts of this node since it started", .example = "{}"},
	{"GetPeersSummary", get_peers_summary, true, .takes = "",
	 .gives = "known_cnt:int connected_cnt:int banned_cnt:int rtt_median_us:int",
	 .about = "Counts of the peers of this node", .example = "{}"},
	{.name = NULL},
};
