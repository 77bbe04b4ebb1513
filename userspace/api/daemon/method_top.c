/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchLoad: who makes this node work, in intervals. What is told was
 * counted anyway; a watcher costs its JSON.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "mesh/mesh.h"
#include "api/methods.h"
#include "quic/quic.h"

#define INTERVAL_MS	1000
#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000
#define SESSION_TOLD	50 /* busiest sessions of a reply */

/* Bytes of a session when it was last told of. */
struct session_seen {
	uint8_t key[MESH_KEY_LEN];
	uint64_t len;
};

struct load_watch {
	struct load_watch *next;
	struct timer timer;
	struct node *node;
	struct control_call *call;
	uint64_t interval_ns;
	struct session_seen *seen; /* sorted by key */
	unsigned seen_cnt;
};

static void watch_free(struct load_watch *watch)
{
	struct load_watch **at = &watch->node->load_watches;

	while (*at && *at != watch)
		at = &(*at)->next;
	if (*at)
		*at = watch->next;
	timer_cancel(&watch->node->home.timers, &watch->timer);
	free(watch->seen);
	free(watch);
}

void api_load_watches_forget(struct node *node)
{
	while (node->load_watches)
		watch_free(node->load_watches);
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

static bool session_collect(void *arg, const struct mesh_peer_info *peer)
{
	struct session_list *list = arg;

	if (!peer->is_connected)
		return false; /* these come last */
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

/* The busiest since the last reply; total is of all. */
static json_t *sessions_json(struct load_watch *watch)
{
	struct session_list list = {NULL, 0, 0};
	json_t *json = json_array();

	api_peers_each(watch->node, session_collect, &list);
	for (unsigned i = 0; i < list.cnt; i++)
		session_compare(watch, &list.sessions[i]);
	watch_note_seen(watch, &list);
	if (list.cnt)
		qsort(list.sessions, list.cnt, sizeof(list.sessions[0]), by_growth);
	for (unsigned i = 0; i < list.cnt && i < SESSION_TOLD; i++) {
		struct api_peer row = api_peer(watch->call, watch->node, &list.sessions[i].peer);

		json_array_append_new(json, api_peer_write(&row));
	}
	free(list.sessions);
	return json;
}

static json_t *devices_json(const struct node *node)
{
	struct api_xdp_device_list devices = {0};
	struct api_blocks blocks = {0};
	json_t *list = json_array();

	api_devices(&blocks, node, &devices);
	for (size_t i = 0; i < devices.cnt; i++)
		json_array_append_new(list, api_xdp_device_write(&devices.rows[i]));
	api_blocks_free(&blocks);
	return list;
}

static json_t *drops_json(const struct drops *drops)
{
	struct api_drop_list rows = {0};
	struct api_blocks blocks = {0};
	json_t *list = json_array();

	api_drops(&blocks, drops, &rows);
	for (size_t i = 0; i < rows.cnt; i++)
		json_array_append_new(list, api_drop_write(&rows.rows[i]));
	api_blocks_free(&blocks);
	return list;
}

static json_t *load_json(struct load_watch *watch, uint64_t now_ns)
{
	struct node *node = watch->node;
	const struct pressure *pressure = &node->fastpath.pressure;
	struct mesh_stats mesh;
	struct quic_stats quic;

	mesh_stats(node->home.mesh, &mesh);
	quic_engine_stats(node->home.quic, &quic);
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at_ms",
			 api_json_uint(now_ns / NS_PER_MS), "mode",
			 firewall_pressure_mode_name(pressure->mode), "unvalidated_rate",
			 api_json_uint(pressure->unvalidated_rate), "handshakes",
			 api_json_uint(pressure->handshake_cnt), "rss_bytes",
			 api_json_uint(api_resident_len()), "heap_bytes",
			 api_json_uint(quic.heap_used_len), "sessions", sessions_json(watch),
			 "workers", api_json_workers(node), "devices", devices_json(node),
			 "transfers", api_json_gets(node, false), "drops",
			 drops_json(&node->drops));
}

static void watch_fire(struct timer *timer, uint64_t now_ns)
{
	struct load_watch *watch = container_of(timer, struct load_watch, timer);

	timer_set(&watch->node->home.timers, timer, now_ns + watch->interval_ns);
	control_reply_more(watch->call, load_json(watch, now_ns));
}

/* interval_read: false when call was failed. */
static bool interval_read(struct control_call *call, const json_t *parameters,
			  json_int_t *out_interval_ms)
{
	const json_t *json = json_object_get(parameters, "interval_ms");
	json_int_t interval_ms = json_is_integer(json) ? json_integer_value(json) : INTERVAL_MS;

	*out_interval_ms = interval_ms;
	if (interval_ms >= INTERVAL_MS_MIN && interval_ms <= INTERVAL_MS_MAX)
		return true;
	control_fail_parameter(call, "interval_ms");
	return false;
}

void api_watch_load(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	struct load_watch *watch;
	json_int_t interval_ms;

	if (!interval_read(call, parameters, &interval_ms))
		return;
	watch = calloc(1, sizeof(*watch));
	if (!watch) {
		control_fail(call, -ENOMEM, "load", weft_err_text(-ENOMEM), "try again");
		return;
	}
	watch->node = node;
	watch->call = call;
	watch->interval_ns = (uint64_t)interval_ms * NS_PER_MS;
	timer_init(&watch->timer, watch_fire);
	if (!control_wants_more(call)) {
		control_reply(call, load_json(watch, now_ns));
		free(watch->seen);
		free(watch);
		return;
	}
	watch->next = node->load_watches;
	node->load_watches = watch;
	control_on_gone(call, watch_caller_left, watch);
	watch_fire(&watch->timer, now_ns);
}
