/* SPDX-License-Identifier: Apache-2.0 */
/* ShowLimits: how full the tables of fixed capacity are, in the order of the data's way. */
#include "dht/dht.h"
#include "mesh/stream/deferral.h"
#include "overlay/overlay.h"
#include "mesh/peers/unverified.h"
#include "provider/endpoint/program_endpoint.h"
#include "provider/tenant/tenant.h"
#include "limit_rows.h"
#include "method_accounts.h"
#include "api/figures.h"
#include "api/methods.h"
#include "api/http/web_routes.h"

static void tcp_add(const struct limit_listing *limits, const struct tcp_config *config,
		    uint64_t worker_cnt, const struct tcp_stats *tcp)
{
	const struct limit_row rows[] = {
		{"tcp.conn_cap", COUNT, worker_cnt * config->conn_cap, tcp->conn_cnt,
		 tcp->conn_peak_cnt, (int64_t)tcp->refused_full_cnt},
		{"tcp.handshake_cap", COUNT, worker_cnt * config->handshake_cap, tcp->handshake_cnt,
		 NOT_KEPT, (int64_t)tcp->evicted_handshake_cnt},
		{"tcp.stream_cap", COUNT, worker_cnt * config->stream_cap, tcp->stream_cnt,
		 tcp->stream_peak_cnt, NOT_KEPT},
		{"tcp.heap", BYTES, worker_cnt * config->heap_cap, tcp->heap_used_len,
		 (int64_t)tcp->heap_peak_len, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void relay_web_add(const struct limit_listing *limits, const struct relay_web_config *config,
			  const struct relay_web_stats *web)
{
	const struct limit_row rows[] = {
		{"relay.web_clients", COUNT, config->client_cap, web->conn_cnt, NOT_KEPT,
		 (int64_t)(web->refused_cnt + web->evicted_cnt)},
		{"relay.web_memory", BYTES, config->memory_cap, web->memory_used_len, NOT_KEPT,
		 (int64_t)web->no_memory_cnt},
		{"relay.web_rate", BYTES, config->rate_per_s, 0, NOT_KEPT,
		 (int64_t)web->limited_cnt},
		{"relay.web: frames that wait for one client", COUNT, RELAY_WEB_QUEUE_MAX,
		 web->queue_cnt, web->queue_peak_cnt, (int64_t)web->queue_full_cnt},
		{"relay.web: bytes of one packet", BYTES, RELAY_WEB_PACKET_MAX, 0, NOT_KEPT,
		 (int64_t)web->too_large_cnt},
		{"relay.web: seconds for one write", COUNT, RELAY_WEB_WRITE_NS / 1000000000, 0,
		 NOT_KEPT, (int64_t)web->slow_cnt},
		{"relay.web: seconds for a proof", COUNT, RELAY_WEB_PROVE_NS / 1000000000, 0,
		 NOT_KEPT, (int64_t)web->late_cnt},
	};

	ROWS_ADD(limits, rows);
}

static void relay_web_end_add(const struct limit_listing *limits,
			      const struct relay_web_end_stats *end)
{
	const struct limit_row rows[] = {
		{"relay.websocket", COUNT, RELAY_WEB_END_CAP, end->open_cnt, NOT_KEPT, NOT_KEPT},
		{"relay.websocket: datagrams that wait for one relay", COUNT, RELAY_WEB_QUEUE_MAX,
		 end->queue_cnt, NOT_KEPT, (int64_t)end->queue_full_cnt},
	};

	ROWS_ADD(limits, rows);
}

/* worker_cnt: each has tables of its own. */
static void quic_add(const struct limit_listing *limits, const struct quic_config *config,
		     uint64_t worker_cnt, const struct quic_stats *quic)
{
	const struct limit_row rows[] = {
		{"quic.conn_cap", COUNT, worker_cnt * config->conn_cap, quic->conn_cnt,
		 quic->conn_peak_cnt, (int64_t)quic->refused_full_cnt},
		/* Beyond it they are asked for a Retry: that is what is counted. */
		{"handshakes without a token", COUNT, quic->half_open_cap, quic->half_open_cnt,
		 quic->half_open_peak_cnt, (int64_t)quic->half_open_retry_cnt},
		{"handshakes with a token", COUNT, quic->validated_cap, quic->validated_cnt,
		 NOT_KEPT, (int64_t)quic->evicted_handshake_cnt},
		/* Handshakes with a token, and those under way. */
		{"handshake datagrams that wait", COUNT, quic->waiting_cap, quic->waiting_cnt,
		 quic->waiting_peak_cnt, (int64_t)quic->waiting_dropped_cnt},
		{"quic.conn_per_key_cap", COUNT, config->conn_per_key_cap, 0, NOT_KEPT,
		 (int64_t)quic->refused_key_cnt},
		/* By class: the floor, what they hold, and how many made room. */
		{"quic.conn_cap: unvalidated", COUNT, worker_cnt * (config->conn_cap / 4),
		 quic->unknown_cnt, NOT_KEPT, (int64_t)quic->evicted_unknown_cnt},
		{"quic.conn_cap: known", COUNT, worker_cnt * (config->conn_cap / 4),
		 quic->known_cnt, NOT_KEPT, (int64_t)quic->evicted_known_cnt},
		{"quic.conn_cap: useful", COUNT, worker_cnt * (config->conn_cap / 8),
		 quic->useful_cnt, NOT_KEPT, (int64_t)quic->evicted_useful_cnt},
		{"quic.conn_cap: chosen", COUNT, worker_cnt * (config->conn_cap * 3 / 8),
		 quic->chosen_cnt, NOT_KEPT, (int64_t)quic->evicted_chosen_cnt},
		{"quic.stream_cap", COUNT, worker_cnt * config->stream_cap, quic->stream_cnt,
		 quic->stream_peak_cnt, NOT_KEPT},
		{"quic.heap", BYTES, worker_cnt * config->heap_cap, quic->heap_used_len,
		 (int64_t)quic->heap_peak_len, (int64_t)quic->refused_heap_cnt},
	};

	ROWS_ADD(limits, rows);
}

static void mesh_add(const struct limit_listing *limits, const struct mesh_config *config,
		     uint64_t worker_cnt, const struct mesh_stats *mesh)
{
	const struct limit_row rows[] = {
		{"mesh.session_cap", COUNT, worker_cnt * config->session_cap, mesh->session_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"mesh.request_cap", COUNT, config->request_cap, mesh->request_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"mesh.incoming_cap", COUNT, worker_cnt * config->incoming_cap, mesh->incoming_cnt,
		 NOT_KEPT, (int64_t)mesh->refused_cnt},
		/* Our own, and as many of peers. */
		{"mesh.stream_cap", COUNT, 2 * worker_cnt * config->stream_cap, mesh->stream_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"mesh.peer_cap", COUNT, config->peer_cap, mesh->peer_cnt, NOT_KEPT, NOT_KEPT},
		{"dials at addresses from peers", COUNT, MESH_UNVERIFIED_PER_MIN, mesh->told_cnt,
		 NOT_KEPT, (int64_t)mesh->unverified_refused_cnt},
		{"peers not asked before a time they named", COUNT,
		 MESH_DEFERRAL_SET_CNT * MESH_DEFERRAL_SET_WAYS, mesh->deferral_cnt, NOT_KEPT,
		 NOT_KEPT},
		/* Its parts, and how many each has forgotten for others of its own. */
		{"peers that are unknown", COUNT, mesh->unknown.cap, mesh->unknown.cnt, NOT_KEPT,
		 (int64_t)mesh->unknown.evicted_cnt},
		{"peers that are known", COUNT, mesh->known.cap, mesh->known.cnt, NOT_KEPT,
		 (int64_t)mesh->known.evicted_cnt},
		{"peers that are chosen", COUNT, mesh->chosen.cap, mesh->chosen.cnt, NOT_KEPT,
		 (int64_t)mesh->chosen.evicted_cnt},
	};

	ROWS_ADD(limits, rows);
}

static void dht_add(const struct limit_listing *limits, const struct dht_config *config,
		    const struct api *api)
{
	struct dht_stats dht = {0};

	if (api->locate->dht)
		dht_stats(api->locate->dht, api->home->now_ns, &dht);
	const struct limit_row rows[] = {
		{"dht.item_cap", COUNT, config->item_cap, dht.item_cnt, NOT_KEPT,
		 (int64_t)dht.reasons[DHT_STORE_FULL]},
		{"dht.peer_cap", COUNT, config->peer_cap, dht.peer_cnt, NOT_KEPT, NOT_KEPT},
		{"dht.query_cap", COUNT, config->query_cap, dht.query_cnt, NOT_KEPT, NOT_KEPT},
		{"dht.lookup_cap", COUNT, config->lookup_cap, dht.lookup_cnt, NOT_KEPT, NOT_KEPT},
		{"dht.own_cap", COUNT, config->own_cap, dht.own_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void programs_add(const struct limit_listing *limits, const struct api *api)
{
	struct provider_stats stats = {0};

	if (api->service)
		provider_stats(api->provider, &stats);
	const struct limit_row rows[] = {
		{"service.processes", COUNT, stats.process_cap, stats.process_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"programs of the launcher", COUNT, stats.launcher.slot_cap,
		 stats.launcher.slot_cnt, NOT_KEPT, (int64_t)stats.launcher.refused_cnt},
		{"calls waiting for programs", COUNT, stats.waiting_cap, stats.waiting_cnt,
		 NOT_KEPT, (int64_t)stats.waiting_evicted_cnt},
		{"calls that programs have", COUNT, stats.active_cap, stats.active_cnt,
		 stats.active_peak_cnt, (int64_t)stats.refused_cnt},
		{"WebSockets to web servers", COUNT, stats.upgrades.cap_cnt,
		 stats.upgrades.held_cnt, NOT_KEPT,
		 (int64_t)stats.upgrades.refused_cnts[FAIR_UNKNOWN]},
	};

	ROWS_ADD(limits, rows);
}

static void builtin_add(const struct limit_listing *limits, const struct api *api)
{
	unsigned reading_cnt = 0;
	unsigned reading_cap = api->builtin ? builtin_readings(api->builtin, &reading_cnt) : 0;
	struct builtin_rooms rooms = {0};

	if (api->builtin)
		builtin_rooms(api->builtin, &rooms);
	const struct limit_row rows[] = {
		{"kept histories of rooms", COUNT, rooms.kept_cap, rooms.kept_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"answers of histories under way", COUNT, rooms.answer_cap, rooms.answer_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"segments of a room's history", COUNT, rooms.segment_cap, rooms.segment_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"events of a room's history", COUNT, rooms.event_cap, rooms.event_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"bytes of a room's history", BYTES, rooms.len_cap, rooms.len, NOT_KEPT, NOT_KEPT},
		{"memory of histories of rooms", BYTES, rooms.memory_cap, rooms.memory_len,
		 NOT_KEPT, NOT_KEPT},
		{"readings of mesh-content", COUNT, reading_cap, reading_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

/* Rows of an offer, and its other places, where it declared any. */
static void tenant_add(const struct limit_listing *limits, const struct provider_tenant *tenant)
{
	struct provider_tenant_view view;

	provider_tenant_view(tenant, &view);
	const struct limit_row rows[] = {
		{"rows", COUNT, view.row_cnt_max, view.row_cnt, NOT_KEPT,
		 (int64_t)view.refused_cnt},
		{"bytes of rows", BYTES, view.row_len_max, view.row_len, NOT_KEPT, NOT_KEPT},
		{"writes of rows under way", COUNT,
		 view.row_cnt_max && !view.is_of_program ? PROVIDER_WRITE_MAX : 0, view.write_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"overlay runs", COUNT, view.run_max, view.run_cnt, NOT_KEPT, NOT_KEPT},
		{"timers", COUNT, view.timer_max, view.timer_cnt, NOT_KEPT, NOT_KEPT},
		{"sockets", COUNT, view.socket_max, view.socket_cnt, NOT_KEPT, NOT_KEPT},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct limit_row row = rows[i];

		if (!row.limit)
			continue;
		row.name = varlink_format(limits->blocks, "%s: %s", view.service, row.name);
		if (row.name)
			api_limit_rows_add(limits, &row, 1);
	}
}

static void tenants_add(const struct limit_listing *limits, const struct api *api)
{
	const struct provider_tenant *tenant = NULL;
	struct provider_tenants_fills fills = {0};
	struct provider_rows_fills kept;

	if (!api->tenants)
		return;
	provider_tenants_fills(api->tenants, &fills);
	provider_rows_fills(api->tenants, &kept);
	const struct limit_row rows[] = {
		{"services that declared capabilities", COUNT, PROVIDER_TENANT_MAX,
		 fills.tenant_cnt, NOT_KEPT, (int64_t)fills.refused_cnt},
		{"overlay runs of services", COUNT, PROVIDER_RUN_MAX, fills.run_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"walks through rows of services", COUNT, PROVIDER_WALK_MAX, fills.walk_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"service.rows", COUNT, kept.row_cap, kept.row_cnt, NOT_KEPT, NOT_KEPT},
		{"service.row_bytes", BYTES, kept.row_len_cap, kept.row_len, NOT_KEPT, NOT_KEPT},
		{"services of programs with rows", COUNT, PROVIDER_ACCOUNT_MAX, kept.account_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"writes of rows by programs", COUNT, PROVIDER_PROGRAM_WRITE_MAX, kept.write_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"overlay runs of programs", COUNT, fills.program_run_cap, fills.program_run_cnt,
		 NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
	while ((tenant = provider_tenants_next(api->tenants, tenant)))
		tenant_add(limits, tenant);
}

/* Streams of endpoints, and tunnels of the private gateway. */
static void streams_add(const struct limit_listing *limits, const struct api *api)
{
	struct endpoint_fills fills = {0};
	struct builtin_tunnels tunnels = {0};

	if (api->provider)
		provider_endpoint_fills(api->provider, &fills);
	if (api->builtin)
		builtin_tunnels(api->builtin, api->home->now_ns, &tunnels);
	const struct limit_row rows[] = {
		{"endpoints of programs", COUNT, ENDPOINT_MAX, fills.open_cnt, NOT_KEPT, NOT_KEPT},
		{"streams of endpoints", COUNT, ENDPOINT_STREAM_MAX, fills.stream_cnt, NOT_KEPT,
		 (int64_t)fills.refused_cnt},
		{"streams that one endpoint did not accept", COUNT, ENDPOINT_WAITING_MAX,
		 fills.waiting_cnt, NOT_KEPT, NOT_KEPT},
		{"streams that programs opened to endpoints", COUNT, ENDPOINT_ASKED_MAX,
		 fills.asked_cnt, NOT_KEPT, NOT_KEPT},
		{"forward: tunnels", COUNT, tunnels.tunnel_cap, tunnels.tunnel_cnt, NOT_KEPT,
		 (int64_t)tunnels.refused_cnt},
		{"forward: tunnels of one node", COUNT, tunnels.of_peer_cap, tunnels.of_peer_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"forward: nodes with tunnels", COUNT, tunnels.member_cap, tunnels.member_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"forward: new tunnels within a minute", COUNT, tunnels.new_cap, tunnels.new_cnt,
		 NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void gateway_add(const struct limit_listing *limits, const struct gateway_config *config,
			const struct web *web)
{
	struct gateway_stats stats = {0};

	api_http_stats(web, &stats);
	const struct limit_row rows[] = {
		{"gateway.connections", COUNT, config->conn_cap, stats.conn_cnt,
		 stats.conn_peak_cnt, (int64_t)stats.refused_cnt},
		{"gateway.sockets", COUNT, config->socket_cap, stats.socket_cnt,
		 stats.socket_peak_cnt, NOT_KEPT},
		{"addresses and cookies of weft service open", COUNT, stats.pass_cap,
		 stats.pass_cnt, NOT_KEPT, NOT_KEPT},
		{"gateway.memory", BYTES, config->memory_cap, stats.memory_used_len,
		 (int64_t)stats.memory_peak_len, (int64_t)stats.memory_refused_cnt},
		{"gateway.rate", COUNT, config->request_rate_per_s, 0, NOT_KEPT,
		 (int64_t)stats.limited_cnt},
	};

	ROWS_ADD(limits, rows);
}

static void worker_streams_add(const struct limit_listing *limits,
			       const struct stream_relay_stats *streams)
{
	const struct limit_row rows[] = {
		{"frames from home to streams of workers", COUNT, streams->frame_cap,
		 streams->frame_cnt, NOT_KEPT, (int64_t)streams->frame_refused_cnt},
	};

	if (streams->frame_cap)
		ROWS_ADD(limits, rows);
}

static void store_add(const struct limit_listing *limits, const struct store_stats *store)
{
	const struct limit_row rows[] = {
		{"store.map_max", BYTES, store->map_len_max, store->map_used_len, NOT_KEPT,
		 NOT_KEPT},
		{"store.batch_cap", COUNT, store->batch_cap, store->batch_waiting, NOT_KEPT,
		 NOT_KEPT},
		{"store.reader_cap", COUNT, store->reader_cap, store->reader_cnt, NOT_KEPT,
		 NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void bans_add(const struct limit_listing *limits, const struct bans *bans)
{
	const struct limit_row rows[] = {
		{"bans in all", COUNT, BAN_LIST_CAP,
		 bans->list ? firewall_ban_list_cnt(bans->list) : 0, NOT_KEPT, NOT_KEPT},
		{"bans by the node", COUNT, BAN_LIST_AUTO_CAP,
		 bans->list ? firewall_ban_list_auto_cnt(bans->list) : 0, NOT_KEPT,
		 (int64_t)bans->pushed_out_cnt},
	};

	ROWS_ADD(limits, rows);
}

static void control_add(const struct limit_listing *limits, const struct control_stats *control)
{
	const struct limit_row rows[] = {
		{"control.client_cap", COUNT, control->client_cap, control->client_cnt,
		 control->client_peak_cnt, (int64_t)control->refused_cnt},
		{"control.calls", COUNT, control->pending_cap, control->pending_cnt,
		 control->pending_peak_cnt, (int64_t)control->pending_refused_cnt},
	};

	ROWS_ADD(limits, rows);
}

/* With one worker there is no other to tell. */
static void workers_add(const struct limit_listing *limits, const struct api *api)
{
	unsigned cnt = api->workers ? workers_cnt(api->workers) : 0;
	struct limit_row row = {"reports of workers to home",
				COUNT,
				(uint64_t)cnt * WORKERS_REPORT_MAX,
				0,
				NOT_KEPT,
				0};

	for (unsigned idx = 1; idx <= cnt; idx++) {
		const struct worker_figures *figures = workers_figures(api->workers, idx);

		row.used += workers_report_cnt(api->workers, idx);
		row.refused += (int64_t)(figures->report_lost_cnt + figures->report_refused_cnt);
	}
	if (cnt)
		api_limit_rows_add(limits, &row, 1);
}

void api_limits(struct varlink_blocks *blocks, struct api *api, struct api_limit_list *out_limits)
{
	const struct node_config *config = config_live(api->config);
	const struct limit_listing listing = {blocks, out_limits}, *limits = &listing;
	struct figures f;

	api_figures_read(api, &f);
	quic_add(limits, &config->quic, config->worker_cnt, &f.quic);
	if (config->tcp.is_on)
		tcp_add(limits, &config->tcp, config->worker_cnt, &f.tcp);
	if (api->relay_web)
		relay_web_add(limits, &config->relay_web, &f.relay_web);
	if (api->relay_web_end)
		relay_web_end_add(limits, &f.relay_web_end);
	mesh_add(limits, &config->mesh, config->worker_cnt, &f.mesh);
	api_limit_rows_content(limits, config, api, &f);
	worker_streams_add(limits, &f.worker_streams);
	dht_add(limits, &config->mainline.dht, api);
	programs_add(limits, api);
	builtin_add(limits, api);
	tenants_add(limits, api);
	streams_add(limits, api);
	gateway_add(limits, &config->web.gateway, api->web);
	api_limit_rows_offers(limits, config, api, &f);
	store_add(limits, &f.store);
	bans_add(limits, api->bans);
	control_add(limits, &f.control);
	workers_add(limits, api);
}

void api_show_limits(struct api *api, struct control_call *call,
		     const struct api_show_limits_in *in, uint64_t now_ns)
{
	/* Limits of the driver and of the sockets, whether or not they bit. */
	static const enum weft_reason reasons[] = {
		WEFT_REASON_INITIAL_LIMIT, WEFT_REASON_REPLAYED_ID, WEFT_REASON_KRPC_LIMIT,
		WEFT_REASON_KRPC_FLOOD,	   WEFT_REASON_KRPC_BUDGET, WEFT_REASON_STUN_LIMIT,
		WEFT_REASON_STUN_FLOOD,	   WEFT_REASON_STUN_BUDGET, WEFT_REASON_PROBE_LIMIT,
		WEFT_REASON_ANSWER_LIMIT,
	};
	const struct accounts_of of = {.role = control_role_of(call)};
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_show_limits_out out = {.limits = {0}};

	(void)in, (void)now_ns;
	firewall_drops_fetch(api->drops);
	api_limits(blocks, api, &out.limits);
	api_pools(blocks, api, of.role, &out.pools);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		varlink_push(blocks, &out.drops, api_method_drop(api->drops, reasons[i]));
	api_networks(blocks, api, of.role, &out.networks);
	api_refusals(blocks, api, &of, &out.refusals);
	control_reply(call, api_show_limits_out_write(&out));
}
