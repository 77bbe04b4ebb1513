/* SPDX-License-Identifier: Apache-2.0 */
/* What the modules count, by tables of names and fields, summed over the workers. */
#include "method_figures.h"

#include <stddef.h>
#include <string.h>

#include "api/methods.h"
#include "blobs/serve/servers.h"

struct figure {
	const char *name, *meaning;
	size_t off;
	size_t len; /* of the field: 4 or 8 */
	bool is_counter;
};
#define FIGURE(section, field, meaning, is_counter)                                                \
	{#section "." #field, meaning, offsetof(struct figures, section.field),                    \
	 sizeof(((struct figures *)0)->section.field), is_counter},

/* Every counter and fill of a module, which Status and /metrics tell and workers' sums are made of. */
/* clang-format off */
static const struct figure all[] = {
#define COUNTER(field, meaning) FIGURE(quic, field, meaning, true)
#define FILL(field, meaning)	FIGURE(quic, field, meaning, false)
#define BYTES(field, meaning)	FIGURE(quic, field, meaning, false)
#include "quic/quic_counters.def"
#define COUNTER(field, meaning) FIGURE(mesh, field, meaning, true)
#define FILL(field, meaning)	FIGURE(mesh, field, meaning, false)
#define BYTES(field, meaning)	FIGURE(mesh, field, meaning, false)
#include "mesh/mesh_counters.def"
#define COUNTER(field, meaning) FIGURE(content, field, meaning, true)
#define FILL(field, meaning)	FIGURE(content, field, meaning, false)
#define BYTES(field, meaning)	FIGURE(content, field, meaning, false)
#include "blobs/blobs_counters.def"
#define COUNTER(field, meaning) FIGURE(store, field, meaning, true)
#define FILL(field, meaning)	FIGURE(store, field, meaning, false)
#define BYTES(field, meaning)	FIGURE(store, field, meaning, false)
#include "store/store_counters.def"
#define COUNTER(field, meaning) FIGURE(control, field, meaning, true)
#define FILL(field, meaning)	FIGURE(control, field, meaning, false)
#define BYTES(field, meaning)	FIGURE(control, field, meaning, false)
#include "control/control_counters.def"
FIGURE(worker_streams, refused_cnt, "streams refused for want of room between workers", true)
FIGURE(worker_streams, used_len, "", false)
FIGURE(worker_streams, peak_len, "", false)
FIGURE(node, turn_cnt, "turns of the workers' loops", true)
FIGURE(node, unknown_flow_cnt, "datagrams of no flow that a worker knows", true)
#define SIDE(side)                                                                                 \
	FIGURE(side, dgram_cnt, "", false) FIGURE(side, byte_cnt, "", false)                       \
	FIGURE(side, call_cnt, "", false) FIGURE(side, dropped_cnt, "", false)
SIDE(rx) SIDE(tx)
};
/* clang-format on */
#define FIGURE_CNT (sizeof(all) / sizeof(all[0]))

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

static void pools_add(struct figures *sum, const struct worker_figures *worker,
		      const struct blobs_stats *content)
{
	struct quic_stats *quic = &sum->quic;

	for (size_t i = 0; i < MESH_POOL_CNT; i++)
		pool_add(&sum->mesh.pools[i], &sum->mesh.pools_largest[i], &worker->mesh.pools[i],
			 &worker->mesh.pools_largest[i]);
	for (size_t i = 0; i < BLOBS_POOL_CNT; i++)
		pool_add(&sum->content.pools[i], &sum->content.pools_largest[i], &content->pools[i],
			 &content->pools_largest[i]);
	pool_add(&quic->conns, &quic->conns_largest, &worker->quic.conns,
		 &worker->quic.conns_largest);
	pool_add(&quic->handshakes, &quic->handshakes_largest, &worker->quic.handshakes,
		 &worker->quic.handshakes_largest);
}

static void figures_add(struct figures *sum, const struct worker_figures *worker,
			const struct blobs_stats *content)
{
	const struct figures more = {
		.quic = worker->quic,
		.mesh = worker->mesh,
		.content = *content,
		.worker_streams = worker->worker_streams,
		.rx = worker->rx,
		.tx = worker->tx,
		.node = {worker->turn_cnt, worker->unknown_flow_cnt},
	};

	for (size_t i = 0; i < FIGURE_CNT; i++)
		figure_add(sum, &more, &all[i]);
	pools_add(sum, worker, content);
	load_networks_add(sum->networks, worker->networks);
}

void api_figures_read(struct api *api, struct figures *out_figures)
{
	struct worker_figures home;

	worker_figures_read(api->home, &home);
	*out_figures = (struct figures){
		.quic = home.quic,
		.mesh = home.mesh,
		.rx = home.rx,
		.tx = home.tx,
		.node = {home.turn_cnt, home.unknown_flow_cnt},
	};
	blobs_stats(api->home->content, &out_figures->content);
	memcpy(out_figures->networks, home.networks, sizeof(home.networks));
	store_stats(api->store, &out_figures->store);
	control_stats(api->control, &out_figures->control);
	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++)
		figures_add(out_figures, workers_figures(api->workers, i),
			    blobs_servers_stats(api->servers, i));
}

void api_figures_each(const struct figures *figures, api_counter_fn fn, void *arg)
{
	for (size_t i = 0; i < FIGURE_CNT; i++)
		if (all[i].is_counter)
			fn(arg, all[i].name, all[i].meaning, figure_value(figures, &all[i]));
}
