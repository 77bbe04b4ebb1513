/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/memory/heap.h"
#include "gateway/http_conn_state.h"
#include "api/http/pkarr_relay.h"

/*
 * Bytes of a client of the relay. The first byte of the input says how long
 * the pieces are that they come in, and what the DHT comes to.
 */
static struct pkarr_relay_call *waiting;
static uint64_t now_ns;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t wall_s(void)
{
	return 1700000000;
}

static const struct guard guard; /* the relay's route is open to all */

static bool admits(struct conn_shared *shared, const struct gateway_conn *conn, uint64_t at_ns)
{
	(void)shared;
	(void)conn;
	(void)at_ns;
	return true;
}

static void *get(void *ctx, const uint8_t key[static NODE_KEY_LEN], struct pkarr_relay_call *call,
		 uint64_t at_ns)
{
	(void)ctx;
	(void)key;
	(void)at_ns;
	if (waiting)
		abort();
	waiting = call;
	return call;
}

static void *put(void *ctx, const struct pkarr_packet *packet, struct pkarr_relay_call *call,
		 uint64_t at_ns)
{
	struct dht_item item;

	dht_pkarr_packet_item(packet, &item);
	if (dht_item_verify(&item) < 0 || item.value_len > DHT_VALUE_LEN_MAX)
		abort();
	return get(ctx, packet->key, call, at_ns);
}

static void cancel(void *ctx, void *run)
{
	(void)ctx;
	if (run != waiting)
		abort();
	waiting = NULL;
}

static void answer(uint8_t how)
{
	static const int errs[] = {0, WEFT_EABSENT, WEFT_ESTALE, WEFT_EUNREACHABLE};
	struct pkarr_relay_outcome outcome = {.err = errs[how % 4], .stored_cnt = how / 4 % 2};
	struct pkarr_relay_call *call = waiting;

	waiting = NULL;
	if (call)
		api_pkarr_relay_ended(call, &outcome, now_ns);
}

/* Every reply begins with a status line of this server. */
static void take_output(struct gateway_conn *conn)
{
	const char *out;
	size_t len;

	while ((len = gateway_conn_output(conn, &out)) != 0) {
		if (len < 12 || memcmp(out, "HTTP/1.1 ", 9) != 0)
			abort();
		gateway_conn_sent(conn, len, now_ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t secret[2];
	static struct gateway_conn conn;
	static struct heap *heap;
	struct pkarr_relay_params params = {
		.dht = {.get = get, .put = put, .cancel = cancel},
		.cache_cap = 2,
		.call_cap = 1,
		.wall_s = wall_s,
		.secret = secret,
	};
	struct gateway_route routes[2] = {{.path = NULL}, {.path = NULL}};
	struct conn_shared shared = {
		.routes = routes, .guard = &guard, .wall_s = wall_s, .admits = admits};
	struct addr remote = {.family = ADDR_IPV4};
	struct pkarr_relay *relay;
	uint8_t how = len ? *data++ : 0;

	if (api_pkarr_relay_new(&params, &relay) < 0 || (!heap && heap_new(1 << 20, &heap) < 0))
		abort();
	shared.heap = heap;
	routes[0] = api_pkarr_relay_route(relay);
	waiting = NULL;
	memset(&conn, 0, sizeof(conn));
	gateway_conn_init(&conn, &shared, &remote, ++now_ns);
	for (size_t left = len ? len - 1 : 0; left;) {
		char *room;
		size_t cap = gateway_conn_reserve(&conn, &room), piece = how % 64 + 1u;

		if (!cap)
			abort(); /* everything was answered and taken */
		piece = piece < left ? piece : left;
		piece = piece < cap ? piece : cap;
		memcpy(room, data, piece);
		data += piece;
		left -= piece;
		gateway_conn_commit(&conn, piece, ++now_ns);
		do {
			take_output(&conn);
			answer(how / 8);
		} while (waiting || gateway_conn_output(&conn, &(const char *){NULL}));
	}
	gateway_conn_fini(&conn);
	api_pkarr_relay_free(relay);
	return 0;
}
