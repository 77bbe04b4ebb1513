/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pkarr relay's two requests. relay_handle -> relay_get or relay_put
 * -> the DHT -> pkarr_relay_ended -> a reply. A client that leaves cancels
 * what the DHT does for it. Home worker.
 */
#include "pkarr_relay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "gateway/date.h"
#include "pkarr_cache.h"

#define PACKET_TYPE "application/pkarr.org/relays#payload"
#define US_PER_S    1000000

/* How long a packet is served without asking the DHT: its TTL within pkarr's usual bounds. */
#define FRESH_MIN_S 300
#define FRESH_MAX_S 86400

struct pkarr_relay_call {
	struct pkarr_relay *relay;
	struct gateway_exchange *exchange;
	void *run;
	bool is_put;
	bool is_found;
	uint64_t unless_after_s; /* of If-Modified-Since; 0: not said */
	uint8_t key[NODE_KEY_LEN];
	struct pkarr_packet packet; /* of a put */
};

struct pkarr_relay {
	struct pkarr_relay_dht dht;
	uint64_t (*wall_s)(void);
	struct arena arena;
	struct pool calls;
	struct pkarr_cache cache;
};

int api_pkarr_relay_new(const struct pkarr_relay_params *params, struct pkarr_relay **out_relay)
{
	struct pkarr_relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	relay->dht = params->dht;
	relay->wall_s = params->wall_s;
	err = arena_open(&relay->arena, ARENA_GROWS);
	if (err == 0)
		err = pool_init(&relay->calls, &relay->arena, sizeof(struct pkarr_relay_call),
				params->call_cap);
	if (err == 0)
		err = api_pkarr_cache_init(&relay->cache, &relay->arena, params->cache_cap,
					   params->secret);
	arena_fit(&relay->arena);
	if (err < 0) {
		api_pkarr_relay_free(relay);
		return err;
	}
	*out_relay = relay;
	return 0;
}

size_t api_pkarr_relay_footprint(uint32_t cache_cap, uint32_t call_cap)
{
	const struct pkarr_relay_params params = {.cache_cap = cache_cap, .call_cap = call_cap};
	struct pkarr_relay *relay;
	size_t len;

	if (api_pkarr_relay_new(&params, &relay) < 0)
		return 0;
	len = relay->arena.used_len;
	api_pkarr_relay_free(relay);
	return len;
}

void api_pkarr_relay_free(struct pkarr_relay *relay)
{
	if (!relay)
		return;
	arena_close(&relay->arena);
	free(relay);
}

static bool key_parse(const char *path, uint8_t key[static NODE_KEY_LEN])
{
	return path[0] == '/' && strlen(path + 1) == ZBASE32_TEXT_LEN(NODE_KEY_LEN) &&
	       zbase32_parse(path + 1, strlen(path + 1), key, NODE_KEY_LEN) == NODE_KEY_LEN;
}

static void packet_reply(struct gateway_exchange *exchange, const struct pkarr_cache_entry *entry,
			 uint64_t unless_after_s, uint64_t now_ns)
{
	uint64_t made_s = entry->packet.seq / US_PER_S;
	uint8_t body[PKARR_BODY_LEN_MAX];
	char headers[256], made[HTTP_DATE_CAP], seen[HTTP_DATE_CAP];
	struct gateway_reply reply = {.status = 304, .headers = headers};

	snprintf(headers, sizeof(headers),
		 "Cache-Control: public, max-age=%" PRIu32 "\r\nLast-Modified: %s\r\n"
		 "Memento-Datetime: %s\r\n",
		 dht_pkarr_packet_ttl_s(&entry->packet), gateway_http_date_write(made_s, made),
		 gateway_http_date_write(entry->seen_wall_s, seen));
	if (!unless_after_s || made_s > unless_after_s) {
		reply.status = 200;
		reply.type = PACKET_TYPE;
		reply.body = body;
		reply.body_len = dht_pkarr_packet_write_body(&entry->packet, body);
	}
	gateway_reply(exchange, &reply, now_ns);
}

static void call_gone(void *arg)
{
	struct pkarr_relay_call *call = arg;

	call->relay->dht.cancel(call->relay->dht.ctx, call->run);
	pool_release(&call->relay->calls, call);
}

/* call_new: NULL when it was answered for want of room. */
static struct pkarr_relay_call *call_new(struct pkarr_relay *relay,
					 struct gateway_exchange *exchange,
					 const uint8_t key[static NODE_KEY_LEN], uint64_t now_ns)
{
	struct pkarr_relay_call *call = pool_acquire(&relay->calls);

	if (!call) {
		gateway_reply_text(exchange, 503, "Too many requests wait for the DHT; try again.",
				   now_ns);
		return NULL;
	}
	call->relay = relay;
	call->exchange = exchange;
	memcpy(call->key, key, sizeof(call->key));
	return call;
}

static const struct gateway_events call_events = {.gone = call_gone};

/* call_begun: run is what the DHT does for the call, or NULL. */
static void call_begun(struct pkarr_relay_call *call, void *run, uint64_t now_ns)
{
	struct gateway_exchange *exchange = call->exchange;

	call->run = run;
	if (run) {
		gateway_watch(exchange, &call_events, call);
		return;
	}
	pool_release(&call->relay->calls, call);
	gateway_reply_text(exchange, 503, "This relay knows no node of the DHT just now.", now_ns);
}

static void relay_get(struct pkarr_relay *relay, struct gateway_exchange *exchange,
		      const struct gateway_request *request, const uint8_t key[static NODE_KEY_LEN],
		      uint64_t now_ns)
{
	const struct pkarr_cache_entry *entry = api_pkarr_cache_lookup(&relay->cache, key);
	const char *condition = gateway_header(request, "If-Modified-Since");
	uint64_t unless_after_s = 0;
	struct pkarr_relay_call *call;

	if (condition && gateway_http_date_parse(condition, &unless_after_s) < 0)
		unless_after_s = 0;
	if (entry && entry->fresh_until_ns > now_ns) {
		packet_reply(exchange, entry, unless_after_s, now_ns);
		return;
	}
	call = call_new(relay, exchange, key, now_ns);
	if (!call)
		return;
	call->unless_after_s = unless_after_s;
	call_begun(call, relay->dht.get(relay->dht.ctx, call->key, call, now_ns), now_ns);
}

static void entry_seen(struct pkarr_relay *relay, struct pkarr_cache_entry *entry, uint64_t now_ns)
{
	uint64_t fresh_s = dht_pkarr_packet_ttl_s(&entry->packet);

	if (fresh_s < FRESH_MIN_S)
		fresh_s = FRESH_MIN_S;
	if (fresh_s > FRESH_MAX_S)
		fresh_s = FRESH_MAX_S;
	entry->seen_wall_s = relay->wall_s();
	entry->fresh_until_ns = now_ns + fresh_s * NS_PER_S;
}

static bool packet_is_equal(const struct pkarr_packet *a, const struct pkarr_packet *b)
{
	return a->seq == b->seq && a->value_len == b->value_len &&
	       memcmp(a->value, b->value, a->value_len) == 0;
}

/* packet_is_behind: a higher number is known, or the same one already means something else. */
static bool packet_is_behind(struct pkarr_relay *relay, const struct pkarr_packet *packet)
{
	const struct pkarr_cache_entry *entry = api_pkarr_cache_lookup(&relay->cache, packet->key);

	return entry && packet->seq <= entry->packet.seq &&
	       !packet_is_equal(packet, &entry->packet);
}

static void stored_reply(struct gateway_exchange *exchange, unsigned stored_cnt, uint64_t now_ns)
{
	char headers[64];
	struct gateway_reply reply = {.status = 204, .headers = headers};

	snprintf(headers, sizeof(headers), "Pkarr-Dht-Stored-Nodes: %u\r\n", stored_cnt);
	gateway_reply(exchange, &reply, now_ns);
}

static void relay_put(struct pkarr_relay *relay, struct gateway_exchange *exchange,
		      const struct gateway_request *request, const uint8_t key[static NODE_KEY_LEN],
		      uint64_t now_ns)
{
	struct pkarr_relay_call *call;
	struct pkarr_packet packet;
	int err = dht_pkarr_packet_parse_body(key, request->body, request->body_len, &packet);

	if (err == WEFT_EDAMAGED) {
		gateway_reply_text(exchange, 400, "The packet is not signed by this key.", now_ns);
	} else if (err < 0) {
		gateway_reply_text(
			exchange, 400,
			"The body is no pkarr packet: signature, timestamp, DNS message.", now_ns);
	} else if (packet_is_behind(relay, &packet)) {
		gateway_reply_text(exchange, 409, "A newer packet of this key is known.", now_ns);
	} else if (packet.value_len > DHT_VALUE_LEN_MAX) {
		/* Mainline refuses it, pkarr does not: it is served from here while there is room. */
		entry_seen(relay, api_pkarr_cache_put(&relay->cache, &packet), now_ns);
		stored_reply(exchange, 0, now_ns);
	} else if ((call = call_new(relay, exchange, key, now_ns)) != NULL) {
		call->is_put = true;
		call->packet = packet;
		call_begun(call, relay->dht.put(relay->dht.ctx, &call->packet, call, now_ns),
			   now_ns);
	}
}

static void relay_handle(void *ctx, struct gateway_exchange *exchange,
			 const struct gateway_request *request, uint64_t now_ns)
{
	uint8_t key[NODE_KEY_LEN];

	if (!key_parse(request->path, key))
		gateway_reply_text(exchange, 400, "The path is no key of 52 letters of z-base-32.",
				   now_ns);
	else if (request->method == GATEWAY_PUT)
		relay_put(ctx, exchange, request, key, now_ns);
	else
		relay_get(ctx, exchange, request, key, now_ns);
}

void api_pkarr_relay_found(struct pkarr_relay_call *call, const struct pkarr_packet *packet)
{
	struct pkarr_cache_entry *entry = api_pkarr_cache_put(&call->relay->cache, packet);

	/* A record older than the newest is not what is looked for. */
	if (packet_is_equal(&entry->packet, packet))
		call->is_found = true;
}

static void get_ended(struct pkarr_relay_call *call, struct gateway_exchange *exchange, int err,
		      uint64_t now_ns)
{
	struct pkarr_cache_entry *entry = api_pkarr_cache_lookup(&call->relay->cache, call->key);

	if (entry && call->is_found)
		entry_seen(call->relay, entry, now_ns);
	/* A packet seen earlier is still signed by its owner, and says when it was seen. */
	if (entry)
		packet_reply(exchange, entry, call->unless_after_s, now_ns);
	else if (err < 0 && err != WEFT_EABSENT && err != WEFT_ETIMEOUT)
		gateway_reply_text(exchange, 503, "The DHT does not answer just now.", now_ns);
	else
		gateway_reply_text(exchange, 404, "No packet of this key was found.", now_ns);
}

static void put_ended(struct pkarr_relay_call *call, struct gateway_exchange *exchange,
		      const struct pkarr_relay_outcome *outcome, uint64_t now_ns)
{
	if (outcome->err == WEFT_ESTALE) {
		gateway_reply_text(exchange, 409, "A newer packet of this key is on the DHT.",
				   now_ns);
	} else if (!outcome->stored_cnt) {
		gateway_reply_text(exchange, outcome->err == WEFT_EUNREACHABLE ? 503 : 500,
				   "No node of the DHT took the packet.", now_ns);
	} else {
		entry_seen(call->relay, api_pkarr_cache_put(&call->relay->cache, &call->packet),
			   now_ns);
		stored_reply(exchange, outcome->stored_cnt, now_ns);
	}
}

void api_pkarr_relay_ended(struct pkarr_relay_call *call, const struct pkarr_relay_outcome *outcome,
			   uint64_t now_ns)
{
	struct gateway_exchange *exchange = call->exchange;

	if (call->is_put)
		put_ended(call, exchange, outcome, now_ns);
	else
		get_ended(call, exchange, outcome->err, now_ns);
	pool_release(&call->relay->calls, call);
}

struct gateway_route api_pkarr_relay_route(struct pkarr_relay *relay)
{
	return (struct gateway_route){
		.path = "/",
		.methods = GATEWAY_GET | GATEWAY_PUT,
		.body_len_max = PKARR_BODY_LEN_MAX,
		.access = GATEWAY_PUBLIC,
		.handle = relay_handle,
		.ctx = relay,
	};
}
