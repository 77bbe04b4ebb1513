/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_ASK_RIG_H
#define WEFT_TESTS_ASK_RIG_H

#include "crypto/node_key.h"
#include "dht/items/item.h"
#include "dht/krpc/node_id.h"
#include "support/check.h"
#include "support/dht_lab.h"

#define SECOND 1000000000ull
#define HOUR   (3600 * SECOND)
#define NODES  40

static struct dht_lab lab;
static struct node_key *key;
static uint8_t sig[NODE_KEY_SIG_LEN];

/* Forty nodes that know each other. */
static inline void begin_with(enum dht_net net)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};

	dht_lab_init(&lab, 77, NODES + 24);
	lab.net = net;
	dht_lab_grow(&lab, NODES, SECOND / 10);
	(void)dht_lab_run(&lab, 60 * SECOND, NULL, NULL);
	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
}

static inline void begin(void)
{
	begin_with(DHT_NET_IPV4);
}

/* Tests that count holders and rounds cannot use datagrams that get lost. */
static inline void begin_without_loss(void)
{
	const struct mem_link link = {.delay_ns = 20000000, .jitter_ns = 80000000};

	begin();
	net_mem_net_set_default_link(lab.mem, &link);
}

static inline struct dht *dht_of(unsigned number)
{
	return lab.nodes[number].dht;
}

/* A mutable item of the test's key; value is bencoded. Signed anew by each call. */
static inline struct dht_item mutable_item(const char *value, int64_t seq, const char *salt)
{
	struct dht_item item = {.key = node_key_public(key),
				.sig = sig,
				.salt = (const uint8_t *)salt,
				.salt_len = strlen(salt),
				.value = (const uint8_t *)value,
				.value_len = strlen(value),
				.seq = seq};

	dht_item_sign(&item, key, sig);
	return item;
}

static inline struct dht_get_params get_params(const struct dht_item *item)
{
	struct dht_get_params params = {
		.key = item->key, .salt = item->salt, .salt_len = item->salt_len};

	dht_item_target(item, &params.target);
	return params;
}

static inline bool put_done(unsigned number, const struct dht_put_params *params,
			    struct dht_lab_result *result)
{
	struct dht_asker asker = dht_lab_asker(result);

	return dht_put(dht_of(number), params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 30 * SECOND);
}

static inline bool get_done(unsigned number, const struct dht_get_params *params,
			    struct dht_lab_result *result)
{
	struct dht_asker asker = dht_lab_asker(result);

	return dht_get(dht_of(number), params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 30 * SECOND);
}

static inline bool value_is(const struct dht_lab_result *result, const char *want)
{
	return result->value_len == strlen(want) && memcmp(result->value, want, strlen(want)) == 0;
}

#endif
