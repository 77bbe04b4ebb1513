/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_PKARR_RELAY_H
#define WEFT_API_HTTP_PKARR_RELAY_H

#include "dht/items/pkarr.h"
#include "gateway/gateway.h"
#include "weft/err.h"

/*
 * A pkarr relay (docs/wire/pkarr.md): the Mainline DHT for programs that can
 * only speak HTTP. GET /KEY brings the newest packet of a key, PUT /KEY
 * stores one. The relay keeps the packets for a while, so that one key is
 * not looked up each time it is asked for. Home worker only.
 */
struct pkarr_relay;
struct pkarr_relay_call; /* one request that waits for the DHT */

/* How the DHT's part of a call ended. */
struct pkarr_relay_outcome {
	int err; /* 0; WEFT_ESTALE (put: a higher number is there), WEFT_EABSENT, any other failure */
	unsigned stored_cnt; /* put: nodes that have it now */
};

/*
 * The way to the DHT. get and put begin something and return what names it for cancel, or NULL:
 * there is no node to ask. The DHT reports by api_pkarr_relay_found, any number of times, and by
 * api_pkarr_relay_ended, once and last. It never does so inside the call that began it.
 */
struct pkarr_relay_dht {
	void *(*get)(void *ctx, const uint8_t key[static NODE_KEY_LEN],
		     struct pkarr_relay_call *call, uint64_t now_ns);
	void *(*put)(void *ctx, const struct pkarr_packet *packet, struct pkarr_relay_call *call,
		     uint64_t now_ns);
	void (*cancel)(void *ctx, void *run);
	void *ctx;
};
void api_pkarr_relay_found(struct pkarr_relay_call *call, const struct pkarr_packet *packet);
void api_pkarr_relay_ended(struct pkarr_relay_call *call, const struct pkarr_relay_outcome *outcome,
			   uint64_t now_ns);

struct pkarr_relay_params {
	struct pkarr_relay_dht dht;
	uint32_t cache_cap; /* packets, at least 1 */
	uint32_t call_cap;  /* requests that wait at a time */
	uint64_t (*wall_s)(void);
	const uint64_t *secret; /* two secret numbers, for the table of keys */
};
size_t api_pkarr_relay_footprint(uint32_t cache_cap, uint32_t call_cap);
/* api_pkarr_relay_new: 0 with *out_relay, -errno, WEFT_EFULL. */
WEFT_MUST_CHECK
int api_pkarr_relay_new(const struct pkarr_relay_params *params, struct pkarr_relay **out_relay);
/* api_pkarr_relay_free: the gateway that had its route is closed. */
void api_pkarr_relay_free(struct pkarr_relay *relay);
/* api_pkarr_relay_route: /KEY, below which nothing else can be; the last row of a table. */
struct gateway_route api_pkarr_relay_route(struct pkarr_relay *relay);

#endif
