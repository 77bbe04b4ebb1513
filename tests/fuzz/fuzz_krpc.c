/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of unvalidated sources reach a node that stores what they put, and looks for an
 * item itself. The input is cut into datagrams by two bytes of length. The byte before gives
 * each its source: one of a few addresses, or the node that was asked last. Only the latter
 * knows the transaction id. Tokens are those that were issued.
 */
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/random.h"
#include "dht/dht.h"
#include "dht/krpc/krpc_message.h"
#include "weft/krpc_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct answered {
	struct dgram_sink sink;
	uint8_t slot[1500];
	size_t len; /* of the answer, 0: none */
	/* The node that was asked last, and the id of that query. */
	struct addr asked;
	uint8_t transaction[WEFT_KRPC_OWN_TRANSACTION_LEN];
	uint8_t token[WEFT_KRPC_TOKEN_LEN]; /* that we told last */
};

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct answered *answered = (struct answered *)sink;

	*out_slot = (struct dgram_slot){answered->slot, len};
	return len <= sizeof(answered->slot);
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct answered *answered = (struct answered *)sink;
	struct krpc_message message;

	(void)slot;
	if (dht_krpc_parse(answered->slot, len, &message) != DHT_ANSWERED || message.fault)
		abort();
	if (message.kind != KRPC_QUERY) {
		answered->len = len;
		if (message.token.data)
			memcpy(answered->token, message.token.data, sizeof(answered->token));
		return;
	}
	if (message.transaction.len != sizeof(answered->transaction))
		abort();
	answered->asked = route->remote;
	memcpy(answered->transaction, message.transaction.data, message.transaction.len);
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

/* What the fast path takes for a question is one to the strict reader, and the same. */
static void readers_compare(const uint8_t *data, size_t len)
{
	static const enum krpc_method methods[] = {
		[WEFT_KRPC_PING] = KRPC_PING,
		[WEFT_KRPC_FIND_NODE] = KRPC_FIND_NODE,
		[WEFT_KRPC_GET_PEERS] = KRPC_GET_PEERS,
		[WEFT_KRPC_GET] = KRPC_GET,
	};
	struct weft_krpc_text text = {{0}};
	struct weft_krpc_query query;
	struct krpc_message message;

	memcpy(text.bytes, data, len < sizeof(text.bytes) ? len : sizeof(text.bytes));
	if (!weft_krpc_query_read(&text, (uint32_t)len, WEFT_KRPC_IPV4, &query))
		return;
	if (dht_krpc_parse(data, len, &message) != DHT_ANSWERED || message.fault ||
	    message.kind != KRPC_QUERY || message.method != methods[query.kind] ||
	    message.is_read_only != query.is_read_only ||
	    message.transaction.len != query.transaction_len ||
	    memcmp(message.transaction.data, &query.transaction, query.transaction_len) != 0)
		abort();
	if (query.kind != WEFT_KRPC_PING &&
	    memcmp(message.target.bytes, query.target.bytes, KAD_ID_LEN) != 0)
		abort();
}

static void spans_walk(const uint8_t *data, size_t len)
{
	struct krpc_message message;
	struct bencode_reader iter;
	struct kad_id id;
	struct addr addr;
	struct cursor c;

	if (dht_krpc_parse(data, len, &message) != DHT_ANSWERED)
		return;
	dht_krpc_peers_begin(&message, &iter);
	while (dht_krpc_peers_next(&iter, &addr))
		;
	c = cursor_of(message.nodes.data, message.nodes.len);
	while (dht_krpc_node_read(&c, ADDR_IPV4, &id, &addr))
		;
	c = cursor_of(message.nodes6.data, message.nodes6.len);
	while (dht_krpc_node_read(&c, ADDR_IPV6, &id, &addr))
		;
}

/* The first bytes behind key become value: no peer guesses a token or a transaction id. */
static void secret_set(uint8_t *data, size_t len, const char *key, const void *value,
		       size_t value_len)
{
	uint8_t *at = memmem(data, len, key, strlen(key));

	if (at && at + strlen(key) + value_len <= data + len)
		memcpy(at + strlen(key), value, value_len);
}

static void datagram_input(struct dht *dht, struct answered *answered, uint8_t from,
			   const uint8_t *data, size_t len, uint64_t now_ns)
{
	uint8_t *exact = malloc(len);
	struct dgram dgram = {.data = exact, .len = len};

	if (!exact || addr_parse("203.0.113.1:7000", &dgram.local) < 0 ||
	    addr_parse("198.51.100.1:6881", &dgram.remote) < 0)
		abort();
	memcpy(exact, data, len);
	dgram.remote.ip[3] = from & 3;
	if (from & 4 && answered->asked.family) {
		dgram.remote = answered->asked;
		secret_set(exact, len, "1:t8:", answered->transaction,
			   sizeof(answered->transaction));
	}
	secret_set(exact, len, "5:token8:", answered->token, sizeof(answered->token));
	answered->len = 0;
	dht_input(dht, &dgram, now_ns);
	if (answered->len > KRPC_VALUE_SEND_LEN_MAX)
		abort();
	readers_compare(exact, len);
	spans_walk(exact, len);
	free(exact);
}

/* Looks for an item, by way of one node. */
static void search_start(struct dht *dht, uint64_t now_ns)
{
	static const struct dht_asker nobody;
	static const uint8_t key[32] = {1};
	const struct dht_get_params params = {.key = key};
	struct addr entry;

	if (addr_parse("198.51.100.9:6881", &entry) < 0)
		abort();
	dht_bootstrap(dht, &entry, 1, now_ns);
	(void)dht_get(dht, &params, &nobody, now_ns);
	dht_expire(dht, now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct dgram_sink_ops ops = {sink_reserve, sink_commit, sink_cancel};
	static const struct dht_events events;
	struct answered answered = {.sink = {&ops, sizeof(answered.slot)}};
	struct dht_params params = {
		.events = &events,
		.sink = &answered.sink,
		.now_ns = 1000000000,
		.wall_us = 1800000000000000,
	};
	struct random random;
	uint64_t now_ns = params.now_ns;
	struct dht *dht;

	random_init_seeded(&random, 1);
	dht_config_defaults(&params.config);
	params.config.item_cap = params.config.peer_cap = 16;
	params.config.query_cap = 16;
	params.config.lookup_cap = 4;
	params.random = &random;
	if (dht_new(&params, &dht) < 0)
		abort();
	search_start(dht, now_ns);
	while (len > 3) {
		size_t part = (size_t)data[1] << 8 | data[2];

		part = part < len - 3 ? part : len - 3;
		if (part)
			datagram_input(dht, &answered, data[0], data + 3, part, now_ns);
		/* The upper bits of the byte before it let time pass. */
		now_ns += (uint64_t)(data[0] >> 3) * 1000000000;
		dht_expire(dht, now_ns);
		data += 3 + part;
		len -= 3 + part;
	}
	dht_free(dht);
	return 0;
}
