/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asked nodes answer what they like. A node searches for an item, for
 * peers and for nodes, and puts; the input is cut into datagrams by two
 * bytes of length. The first byte of each chooses the sent query that it
 * answers, and "1:t8:" is followed by that query's number.
 */
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "base/random.h"
#include "dht/dht.h"
#include "dht/items/item.h"
#include "dht/krpc/krpc_message.h"
#include "weft/krpc_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SENT_MAX 64
#define STEP_NS	 100000000ull

struct sent {
	uint8_t transaction[WEFT_KRPC_OWN_TRANSACTION_LEN];
	struct addr remote;
};

struct asked {
	struct dgram_sink sink;
	uint8_t slot[1500];
	struct sent sent[SENT_MAX];
	unsigned sent_cnt;
};

static bool sink_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	struct asked *asked = (struct asked *)sink;

	*out_slot = (struct dgram_slot){asked->slot, len};
	return len <= sizeof(asked->slot);
}

static void sink_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	struct asked *asked = (struct asked *)sink;
	struct sent *sent = &asked->sent[asked->sent_cnt++ % SENT_MAX];
	struct krpc_message message;

	if (dht_krpc_parse(slot->data, len, &message) != DHT_ANSWERED || message.fault ||
	    message.kind != KRPC_QUERY || message.transaction.len != sizeof(sent->transaction))
		abort();
	memcpy(sent->transaction, message.transaction.data, sizeof(sent->transaction));
	sent->remote = route->remote;
}

static void sink_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink;
	(void)slot;
}

/* What is told must be good: an item that does not verify would be ours to answer for. */
static void judge_item(void *ctx, const struct dht_item *item)
{
	(void)ctx;
	if (dht_item_verify(item) < 0)
		abort();
}

static void judge_peers(void *ctx, const struct addr *addrs, unsigned cnt)
{
	(void)ctx;
	for (unsigned i = 0; i < cnt; i++)
		if (!addrs[i].port)
			abort();
}

static struct dht *node_new(struct asked *asked, struct random *random, uint64_t now_ns)
{
	struct dht_params params = {
		.random = random, .sink = &asked->sink, .now_ns = now_ns, .wall_us = 1000};
	const struct addr bootstrap = {.family = ADDR_IPV4, .port = 1, .ip = {20, 0, 0, 1}};
	struct dht *dht;

	dht_config_defaults(&params.config);
	params.config.is_on[DHT_NET_IPV6] = false;
	params.config.item_cap = params.config.peer_cap = 16;
	params.config.lookup_cap = 8;
	params.config.query_cap = SENT_MAX;
	if (dht_new(&params, &dht) < 0)
		abort();
	dht_bootstrap(dht, &bootstrap, 1, now_ns);
	return dht;
}

static void searches_start(struct dht *dht, uint64_t now_ns)
{
	static const uint8_t key[NODE_KEY_LEN] = {7};
	const struct dht_asker asker = {.item = judge_item, .peers = judge_peers};
	const struct dht_item item = {.value = (const uint8_t *)"1:x", .value_len = 3};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = {.key = key, .known_seq = 3};
	struct kad_id target = {{0x42}};

	dht_item_target_of_key(key, NULL, 0, &get.target);
	(void)dht_get(dht, &get, &asker, now_ns);
	(void)dht_peers(dht, &target, &asker, now_ns);
	(void)dht_lookup(dht, DHT_NET_IPV4, &target, &asker, now_ns);
	(void)dht_put(dht, &put, &asker, now_ns);
}

/* One datagram, as an answer to one of what was sent. */
static void answer(struct dht *dht, const struct asked *asked, const uint8_t *data, size_t len,
		   uint64_t now_ns)
{
	unsigned cnt = asked->sent_cnt < SENT_MAX ? asked->sent_cnt : SENT_MAX;
	const struct sent *sent = &asked->sent[data[0] % cnt];
	uint8_t bytes[1500];
	struct dgram dgram = {.data = bytes, .len = len - 1, .remote = sent->remote};
	uint8_t *number;

	memcpy(bytes, data + 1, len - 1);
	number = memmem(bytes, len - 1, "1:t8:", 5);
	if (number && number + 13 <= bytes + len - 1)
		memcpy(number + 5, sent->transaction, sizeof(sent->transaction));
	dht_input(dht, &dgram, now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct dgram_sink_ops ops = {sink_reserve, sink_commit, sink_cancel};
	struct asked asked = {.sink = {&ops, sizeof(asked.slot)}};
	struct cursor c = cursor_of(data, len);
	uint64_t now_ns = 3600 * 1000000000ull;
	struct random random;
	struct dht *dht;

	random_init_seeded(&random, 3);
	dht = node_new(&asked, &random, now_ns);
	searches_start(dht, now_ns);
	while (cursor_left(&c) > 2) {
		size_t dgram_len = cursor_be16(&c) % 1500;
		const uint8_t *dgram;

		dht_expire(dht, now_ns);
		dht_flush(dht, now_ns);
		if (dgram_len > cursor_left(&c))
			dgram_len = cursor_left(&c);
		dgram = cursor_bytes(&c, dgram_len);
		if (dgram_len > 1 && asked.sent_cnt)
			answer(dht, &asked, dgram, dgram_len, now_ns);
		now_ns += STEP_NS;
	}
	for (unsigned i = 0; i < 100; i++, now_ns += STEP_NS)
		dht_expire(dht, now_ns);
	dht_free(dht);
	return 0;
}
