/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of the service mesh-stats: counts alone, of all workers. */
#include "api/services/mesh_figures.h"

#include <stdlib.h>

#include "api/methods.h"
#include "base/monotonic.h"
#include "service/service.h"

/* The median is of so many round trips; more of them change it little. */
#define RTTS_MAX 1024

struct peer_figures {
	uint64_t known_cnt, connected_cnt;
	uint64_t bytes_in, bytes_out;
	uint64_t rtts_us[RTTS_MAX];
	unsigned rtt_cnt;
};

static void add_peer(struct peer_figures *figures, const struct mesh_peer_info *peer)
{
	figures->known_cnt++;
	if (!peer->is_connected)
		return;
	figures->connected_cnt++;
	figures->bytes_in += peer->conn.received_len;
	figures->bytes_out += peer->conn.sent_len;
	if (peer->conn.rtt_ns && figures->rtt_cnt < RTTS_MAX)
		figures->rtts_us[figures->rtt_cnt++] = peer->conn.rtt_ns / NS_PER_US;
}

static void peer_figures(struct api *api, struct peer_figures *out_figures)
{
	struct api_peer_iter iter = {.api = api};
	struct mesh_peer_info peer;

	*out_figures = (struct peer_figures){0};
	while (api_peers_next(&iter, &peer))
		add_peer(out_figures, &peer);
}

void api_mesh_status(void *ctx, struct builtin_mesh_status *out_status)
{
	struct api *api = ctx;
	struct peer_figures figures;
	struct service_stats stats;

	peer_figures(api, &figures);
	service_stats(api->service, &stats);
	*out_status = (struct builtin_mesh_status){
		.uptime_s = (api->home->now_ns - api->started_ns) / NS_PER_S,
		.session_cnt = figures.connected_cnt,
		.offer_cnt = stats.offer_cnt,
		.bytes_in = figures.bytes_in,
		.bytes_out = figures.bytes_out,
	};
	for (unsigned i = 0; i < SERVICE_STATUS_CNT; i++)
		out_status->call_cnt += stats.in.status_cnt[i];
	for (unsigned i = 0; i < SERVICE_REFUSED_CNT; i++)
		out_status->refused_cnt += stats.refused_cnt[i];
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void api_peers_summary(void *ctx, struct builtin_peers_summary *out_summary)
{
	struct api *api = ctx;
	struct peer_figures figures;

	peer_figures(api, &figures);
	*out_summary = (struct builtin_peers_summary){
		.known_cnt = figures.known_cnt,
		.connected_cnt = figures.connected_cnt,
		.banned_cnt = api->bans->list ? firewall_ban_list_cnt(api->bans->list) : 0,
	};
	if (!figures.rtt_cnt)
		return;
	qsort(figures.rtts_us, figures.rtt_cnt, sizeof(figures.rtts_us[0]), compare_u64);
	out_summary->rtt_median_us = figures.rtts_us[figures.rtt_cnt / 2];
}
