/* SPDX-License-Identifier: Apache-2.0 */
/* What the modules count, by tables of names and fields, summed over the workers. */
#include "method_figures.h"

#include <stddef.h>
#include <string.h>

#include "api/methods.h"

struct figure {
	const char *name;
	size_t off;
	size_t len; /* of the field: 4 or 8 */
};
#define FIGURE(section, field)                                                                     \
	{#section "." #field, offsetof(struct figures, section.field),                             \
	 sizeof(((struct figures *)0)->section.field)}

static const struct figure counters[] = {
	FIGURE(quic, accepted_cnt),
	FIGURE(quic, dialled_cnt),
	FIGURE(quic, resumed_cnt),
	FIGURE(quic, completed_cnt),
	FIGURE(quic, refused_full_cnt),
	FIGURE(quic, refused_key_cnt),
	FIGURE(quic, evicted_unknown_cnt),
	FIGURE(quic, evicted_known_cnt),
	FIGURE(quic, evicted_useful_cnt),
	FIGURE(quic, evicted_chosen_cnt),
	FIGURE(quic, evicted_handshake_cnt),
	FIGURE(quic, waiting_dropped_cnt),
	FIGURE(quic, overdue_cnt),
	FIGURE(quic, refused_heap_cnt),
	FIGURE(quic, refused_alpn_cnt),
	FIGURE(quic, handshake_timeout_cnt),
	FIGURE(quic, idle_timeout_cnt),
	FIGURE(quic, half_open_retry_cnt),
	FIGURE(quic, answer_limit_cnt),
	FIGURE(quic, retry_sent_cnt),
	FIGURE(quic, version_sent_cnt),
	FIGURE(quic, reset_sent_cnt),
	FIGURE(quic, close_sent_cnt),
	FIGURE(quic, bad_tag_cnt),
	FIGURE(quic, garbage_cnt),
	FIGURE(quic, bad_token_cnt),
	FIGURE(quic, used_token_cnt),
	FIGURE(quic, migrated_cnt),
	FIGURE(quic, probe_cnt),
	FIGURE(quic, wake_cnt),
	FIGURE(quic, wake_refused_cnt),
	FIGURE(quic, key_update_cnt),
	FIGURE(mesh, frame_in_cnt),
	FIGURE(mesh, frame_out_cnt),
	FIGURE(mesh, malformed_cnt),
	FIGURE(mesh, unknown_type_cnt),
	FIGURE(mesh, refused_cnt),
	FIGURE(mesh, timeout_cnt),
	FIGURE(mesh, hello_cnt),
	FIGURE(mesh, skew_cnt),
	FIGURE(mesh, stale_record_cnt),
	FIGURE(content, served_chunk_cnt),
	FIGURE(content, refused_busy_cnt),
	FIGURE(content, changed_cnt),
	FIGURE(worker_streams, refused_cnt),
	FIGURE(store, commit_cnt),
	FIGURE(store, batch_cnt),
	FIGURE(store, failed_cnt),
	FIGURE(control, call_cnt),
	FIGURE(control, refused_cnt),
	FIGURE(control, malformed_cnt),
	FIGURE(control, dropped_slow_cnt),
	FIGURE(control, event_cnt),
};

/* Fills and sums that Status and ShowLimits show in places of their own. */
static const struct figure fills[] = {
	FIGURE(quic, conn_cnt),
	FIGURE(quic, waiting_cnt),
	FIGURE(quic, waiting_peak_cnt),
	FIGURE(quic, waiting_cap),
	FIGURE(quic, conn_peak_cnt),
	FIGURE(quic, handshake_cnt),
	FIGURE(quic, half_open_cnt),
	FIGURE(quic, half_open_peak_cnt),
	FIGURE(quic, half_open_cap),
	FIGURE(quic, validated_cnt),
	FIGURE(quic, validated_cap),
	FIGURE(quic, unknown_cnt),
	FIGURE(quic, known_cnt),
	FIGURE(quic, useful_cnt),
	FIGURE(quic, chosen_cnt),
	FIGURE(quic, stream_cnt),
	FIGURE(quic, stream_peak_cnt),
	FIGURE(quic, heap_used_len),
	FIGURE(quic, heap_peak_len),
	FIGURE(mesh, session_cnt),
	FIGURE(mesh, request_cnt),
	FIGURE(mesh, incoming_cnt),
	FIGURE(mesh, stream_cnt),
	FIGURE(content, chunk_buffer_used_cnt),
	FIGURE(content, manifest_buffer_cap),
	FIGURE(content, manifest_buffer_used_cnt),
	FIGURE(content, served_byte_cnt),
	FIGURE(worker_streams, used_len),
	FIGURE(worker_streams, peak_len),
	FIGURE(rx, dgram_cnt),
	FIGURE(rx, byte_cnt),
	FIGURE(rx, call_cnt),
	FIGURE(rx, dropped_cnt),
	FIGURE(tx, dgram_cnt),
	FIGURE(tx, byte_cnt),
	FIGURE(tx, call_cnt),
	FIGURE(tx, dropped_cnt),
};

static uint64_t figure_value(const struct figures *figures, const struct figure *figure)
{
	const char *at = (const char *)figures + figure->off;
	uint32_t narrow;
	uint64_t wide;

	if (figure->len == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void figure_add(struct figures *sum, const struct figures *more, const struct figure *figure)
{
	uint64_t value = figure_value(sum, figure) + figure_value(more, figure);
	uint32_t narrow = (uint32_t)value;

	memcpy((char *)sum + figure->off,
	       figure->len == sizeof(value) ? (const void *)&value : (const void *)&narrow,
	       figure->len);
}

/* Sums a pool; the account named is the one that holds most of them. */
static void pool_add(struct fair_view *sum, struct addr *largest, const struct fair_view *more,
		     const struct addr *more_largest)
{
	if (more->largest_cnts[0] > sum->largest_cnts[0])
		*largest = *more_largest;
	fair_view_add(sum, more);
}

static void pools_add(struct figures *sum, const struct worker_figures *worker)
{
	struct quic_stats *quic = &sum->quic;

	for (size_t i = 0; i < MESH_POOL_CNT; i++)
		pool_add(&sum->mesh.pools[i], &sum->mesh.pools_largest[i], &worker->mesh.pools[i],
			 &worker->mesh.pools_largest[i]);
	for (size_t i = 0; i < BLOBS_POOL_CNT; i++)
		pool_add(&sum->content.pools[i], &sum->content.pools_largest[i],
			 &worker->content.pools[i], &worker->content.pools_largest[i]);
	pool_add(&quic->conns, &quic->conns_largest, &worker->quic.conns,
		 &worker->quic.conns_largest);
	pool_add(&quic->handshakes, &quic->handshakes_largest, &worker->quic.handshakes,
		 &worker->quic.handshakes_largest);
}

static void figures_add(struct figures *sum, const struct worker_figures *worker)
{
	const struct figures more = {
		.quic = worker->quic,
		.mesh = worker->mesh,
		.content = worker->content,
		.worker_streams = worker->worker_streams,
		.rx = worker->rx,
		.tx = worker->tx,
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		figure_add(sum, &more, &counters[i]);
	for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++)
		figure_add(sum, &more, &fills[i]);
	pools_add(sum, worker);
	load_networks_add(sum->networks, worker->networks);
	sum->turn_cnt += worker->turn_cnt;
	sum->unknown_flow_cnt += worker->unknown_flow_cnt;
}

void api_figures_read(struct node *node, struct figures *out_figures)
{
	struct worker_figures home;

	worker_figures_read(&node->home, &home);
	*out_figures = (struct figures){
		.quic = home.quic,
		.mesh = home.mesh,
		.content = home.content,
		.rx = home.rx,
		.tx = home.tx,
		.turn_cnt = home.turn_cnt,
		.unknown_flow_cnt = home.unknown_flow_cnt,
	};
	memcpy(out_figures->networks, home.networks, sizeof(home.networks));
	store_stats(node->store, &out_figures->store);
	control_stats(node->control, &out_figures->control);
	for (unsigned i = 1; node->workers && i <= workers_cnt(node->workers); i++)
		figures_add(out_figures, workers_figures(node->workers, i));
}

struct api_int_map api_figures_counters(struct api_blocks *blocks, const struct figures *figures)
{
	struct api_int_map map = {0};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		api_push(blocks, &map,
			 {counters[i].name, api_uint(figure_value(figures, &counters[i]))});
	api_push(blocks, &map, {"node.turn_cnt", api_uint(figures->turn_cnt)});
	api_push(blocks, &map, {"node.unknown_flow_cnt", api_uint(figures->unknown_flow_cnt)});
	return map;
}
