/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchLoad: what makes this node work, in intervals. Its figures are counted anyway; a watcher
 * costs its JSON.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "api/figures.h"
#include "api/methods.h"
#include "quic/quic.h"

#define INTERVAL_MS	1000
#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000
#define SESSION_TOLD	50 /* busiest sessions of a reply */

/* Bytes of a session when it was last reported. */
struct session_seen {
	uint8_t key[MESH_KEY_LEN];
	uint64_t len;
};

struct load_watch {
	struct load_watch *next;
	struct timer timer;
	struct api *api;
	struct control_call *call;
	uint64_t interval_ns;
	bool has_counters;
	struct session_seen *seen; /* sorted by key */
	unsigned seen_cnt;
};

static void watch_free(struct load_watch *watch)
{
	struct load_watch **at = &watch->api->load_watches;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
	timer_cancel(&watch->api->home->timers, &watch->timer);
	free(watch->seen);
	free(watch);
}

void api_load_watches_forget(struct api *api)
{
	while (api->load_watches)
		watch_free(api->load_watches);
}

static void watch_caller_left(void *arg)
{
	watch_free(arg);
}

struct session {
	struct mesh_peer_info peer;
	uint64_t len, grown_len;
};

struct session_list {
	struct session *sessions;
	unsigned cnt, cap;
};

/* false: no memory. */
static bool session_add(struct session_list *list, const struct mesh_peer_info *peer)
{
	if (list->cnt == list->cap) {
		unsigned cap = list->cap ? 2 * list->cap : 64;
		void *more = realloc(list->sessions, cap * sizeof(list->sessions[0]));

		if (!more)
			return false;
		list->sessions = more;
		list->cap = cap;
	}
	list->sessions[list->cnt++] = (struct session){
		.peer = *peer, .len = peer->conn.sent_len + peer->conn.received_len};
	return true;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct session_seen *)a)->key, ((const struct session_seen *)b)->key,
		      MESH_KEY_LEN);
}

static int by_growth(const void *a, const void *b)
{
	const struct session *x = a, *y = b;

	if (x->grown_len != y->grown_len)
		return x->grown_len < y->grown_len ? 1 : -1;
	return x->len == y->len ? 0 : x->len < y->len ? 1 : -1;
}

/* Without memory the next reply compares with nothing. */
static void watch_note_seen(struct load_watch *watch, const struct session_list *list)
{
	free(watch->seen);
	watch->seen_cnt = 0;
	watch->seen = calloc(list->cnt + 1, sizeof(watch->seen[0]));
	for (unsigned i = 0; watch->seen && i < list->cnt; i++) {
		struct session_seen *seen = &watch->seen[watch->seen_cnt++];

		memcpy(seen->key, list->sessions[i].peer.key, MESH_KEY_LEN);
		seen->len = list->sessions[i].len;
	}
	if (watch->seen_cnt)
		qsort(watch->seen, watch->seen_cnt, sizeof(watch->seen[0]), by_key);
}

static void session_compare(const struct load_watch *watch, struct session *session)
{
	const struct session_seen *seen = NULL;
	struct session_seen key;

	memcpy(key.key, session->peer.key, MESH_KEY_LEN);
	if (watch->seen_cnt)
		seen = bsearch(&key, watch->seen, watch->seen_cnt, sizeof(key), by_key);
	session->grown_len =
		seen && seen->len <= session->len ? session->len - seen->len : session->len;
}

/* The busiest since the last reply. */
static void sessions_add(struct load_watch *watch, struct api_peer_list *rows)
{
	struct api_peer_iter iter = {.api = watch->api};
	struct session_list list = {NULL, 0, 0};
	struct mesh_peer_info peer;

	/* The connected ones come first. */
	while (api_peers_next(&iter, &peer) && peer.is_connected && session_add(&list, &peer))
		;
	for (unsigned i = 0; i < list.cnt; i++)
		session_compare(watch, &list.sessions[i]);
	watch_note_seen(watch, &list);
	if (list.cnt)
		qsort(list.sessions, list.cnt, sizeof(list.sessions[0]), by_growth);
	for (unsigned i = 0; i < list.cnt && i < SESSION_TOLD; i++)
		varlink_push(control_blocks(watch->call), rows,
			     api_peer(watch->call, watch->api, &list.sessions[i].peer));
	free(list.sessions);
}

static void counters_add(const struct load_watch *watch, struct api_counter_list *rows)
{
	static const enum api_counter_kind kinds[] = {
		[FIGURE_COUNTER] = API_COUNTER_KIND_COUNTER,
		[FIGURE_FILL] = API_COUNTER_KIND_FILL,
		[FIGURE_BYTES] = API_COUNTER_KIND_BYTES,
	};
	struct varlink_blocks *blocks = control_blocks(watch->call);
	struct figures figures;
	struct figure_iter iter = {.figures = &figures};
	struct figure figure;

	api_figures_read(watch->api, &figures);
	while (api_figures_next(&iter, &figure))
		varlink_push(blocks, rows,
			     {figure.name, kinds[figure.kind], api_uint(figure.value)});
}

static json_t *load_json(struct load_watch *watch, uint64_t now_ns)
{
	struct api *api = watch->api;
	const struct pressure *pressure = &api->fastpath->pressure;
	struct varlink_blocks *blocks = control_blocks(watch->call);
	struct api_watch_load_out out;
	struct quic_stats quic;

	quic_engine_stats(api->home->quic, &quic);
	out = (struct api_watch_load_out){
		.at_ms = api_uint(now_ns / NS_PER_MS),
		.mode = (enum api_mode)pressure->mode,
		.unvalidated_rate = api_uint(pressure->unvalidated_rate),
		.handshakes = api_uint(pressure->handshake_cnt),
		.rss_bytes = api_uint(api_resident_len()),
		.heap_bytes = api_uint(quic.heap_used_len),
		.gets = api_gets(blocks, api, false),
	};
	sessions_add(watch, &out.sessions);
	if (watch->has_counters)
		counters_add(watch, &out.counters);
	api_workers(blocks, api, &out.workers);
	api_devices(blocks, api, &out.devices);
	api_drops(blocks, api->drops, &out.drops);
	return api_watch_load_out_write(&out);
}

static void watch_fire(struct timer *timer, uint64_t now_ns)
{
	struct load_watch *watch = container_of(timer, struct load_watch, timer);

	timer_set(&watch->api->home->timers, timer, now_ns + watch->interval_ns);
	control_reply_more(watch->call, load_json(watch, now_ns));
}

void api_watch_load(struct api *api, struct control_call *call, const struct api_watch_load_in *in,
		    uint64_t now_ns)
{
	int64_t interval_ms = in->has_interval_ms ? in->interval_ms : INTERVAL_MS;
	struct load_watch *watch;

	if (interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX) {
		control_fail_parameter(call, "interval_ms");
		return;
	}
	watch = calloc(1, sizeof(*watch));
	if (!watch) {
		control_fail(call, -ENOMEM, "load", weft_err_text(-ENOMEM), "try again");
		return;
	}
	watch->api = api;
	watch->call = call;
	watch->interval_ns = (uint64_t)interval_ms * NS_PER_MS;
	watch->has_counters = in->has_counters && in->counters;
	timer_init(&watch->timer, watch_fire);
	if (!control_wants_more(call)) {
		control_reply(call, load_json(watch, now_ns));
		free(watch->seen);
		free(watch);
		return;
	}
	watch->next = api->load_watches;
	api->load_watches = watch;
	control_on_gone(call, watch_caller_left, watch);
	watch_fire(&watch->timer, now_ns);
}
