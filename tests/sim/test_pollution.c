/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A million records of others are put at one node of a network while it
 * looks for what its own users want. Every put has a good token, from a /24
 * of its own, some records are signed. Nothing of it is malformed, there is
 * only more than there is room for. Tables and limits are those of a node
 * as it ships.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "crypto/node_key.h"
#include "dht/dht_state.h"
#include "dht/items/item.h"
#include "support/check.h"
#include "support/dht_lab.h"
#include "support/seed.h"
#include "support/resident.h"

#define SECOND 1000000000ull

#define NODES	  60
#define RECORDS	  40 /* that others put, which the victim looks for */
#define PUTS	  1000000u
#define PUTS_FEW  100000u
#define PUTS_TURN 500u /* between two turns of the network */
#define TURN_NS	  (SECOND / 20)
#define SIGNED	  32 /* one put in so many */
#define FLAT_LEN  (1u << 20)

static struct dht_lab lab;
static struct node_key *flood_key;
static struct dht *victim;
static char values[RECORDS][32];
static uint32_t put_cnt;

struct lookups {
	struct dht_lab_result result;
	bool is_asked;
	unsigned asked_cnt, found_cnt;
	double took_ms[4096];
};

static struct dht_item record(unsigned i)
{
	int len = snprintf(values[i], sizeof(values[i]), "7:mine-%02u", i);

	return (struct dht_item){.value = (const uint8_t *)values[i], .value_len = (size_t)len};
}

static void network_up(uint64_t seed)
{
	static const uint8_t key_seed[NODE_KEY_SEED_LEN] = {9};
	struct dht_lab_node *node;

	dht_lab_init(&lab, seed, NODES + 1);
	dht_lab_grow(&lab, NODES, SECOND / 10);
	node = dht_lab_add(&lab);
	dht_config_defaults(&node->config);
	node->config.is_on[DHT_NET_IPV6] = false;
	dht_lab_start(node, &lab.nodes[0]);
	victim = node->dht;
	(void)dht_lab_run(&lab, 120 * SECOND, NULL, NULL);
	for (unsigned i = 0; i < RECORDS; i++) {
		struct dht_item item = record(i);
		const struct dht_put_params put = {.item = &item};
		struct dht_lab_result result;
		struct dht_asker asker = dht_lab_asker(&result);

		CHECK(dht_put(lab.nodes[1 + i].dht, &put, &asker, lab.now_ns));
		CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
		CHECK_EQ(result.outcome.err, 0);
	}
	if (node_key_from_seed(key_seed, &flood_key) < 0)
		abort();
}

static void network_down(void)
{
	dht_lab_fini(&lab);
	node_key_free(flood_key);
	flood_key = NULL;
}

/* --- the victim's own lookups --- */

/* One after the other; what the victim holds itself by chance is asked of the others, too. */
static void lookups_step(struct lookups *lookups)
{
	if (lookups->is_asked && lookups->result.is_ended) {
		const struct dht_outcome *outcome = &lookups->result.outcome;

		lookups->is_asked = false;
		lookups->found_cnt += outcome->err == 0;
		lookups->took_ms[lookups->asked_cnt++] =
			(double)(outcome->ended_ns - outcome->began_ns) / 1e6;
	}
	if (!lookups->is_asked &&
	    lookups->asked_cnt < sizeof(lookups->took_ms) / sizeof(lookups->took_ms[0])) {
		struct dht_asker asker = dht_lab_asker(&lookups->result);
		struct dht_get_params get = {.is_survey = true};
		struct dht_item item = record(lookups->asked_cnt % RECORDS);

		dht_item_target(&item, &get.target);
		lookups->is_asked = dht_get(victim, &get, &asker, lab.now_ns) != 0;
		CHECK(lookups->is_asked);
		lab.nodes[NODES].next_ns = 0; /* it has something to send now */
	}
}

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double percentile(struct lookups *lookups, unsigned percent)
{
	qsort(lookups->took_ms, lookups->asked_cnt, sizeof(lookups->took_ms[0]), double_compare);
	return lookups->asked_cnt ? lookups->took_ms[lookups->asked_cnt * percent / 100] : 0;
}

static void lookups_print(const char *when, struct lookups *lookups)
{
	double median_ms = percentile(lookups, 50);

	printf("# %s: %u of %u lookups found, median %.0f ms, p95 %.0f ms\n", when,
	       lookups->found_cnt, lookups->asked_cnt, median_ms, percentile(lookups, 95));
}

/* --- the flood --- */

static struct addr source_of(uint32_t i)
{
	return (struct addr){
		.family = ADDR_IPV4,
		.port = 6881,
		.ip = {(uint8_t)(150 + (i >> 16)), (uint8_t)(i >> 8), (uint8_t)i, 9},
	};
}

/* One record that is the number i, from its writer, which asked for a token before. */
static void flood_put(uint32_t i)
{
	const struct addr source = source_of(i);
	uint8_t token[WEFT_KRPC_TOKEN_LEN], bytes[512], sig[NODE_KEY_SIG_LEN];
	char value[32];
	int len = snprintf(value, sizeof(value), "i%ue", i);
	struct dht_item item = {.value = (const uint8_t *)value, .value_len = (size_t)len};
	struct krpc_query query = {
		.method = KRPC_PUT,
		.transaction = {(const uint8_t *)"fl", 2},
		.token = {token, sizeof(token)},
		.value = {item.value, item.value_len},
	};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct dgram dgram = {.data = bytes, .remote = source};

	random_fill(&lab.dice, query.id.bytes, KAD_ID_LEN);
	dht_tokens_make(&victim->tokens, &source, token);
	if (i % SIGNED == 0) {
		item.key = node_key_public(flood_key);
		item.salt = item.value;
		item.salt_len = item.value_len;
		item.seq = 1;
		dht_item_sign(&item, flood_key, sig);
		query.key = (struct bencode_span){item.key, NODE_KEY_LEN};
		query.sig = (struct bencode_span){sig, sizeof(sig)};
		query.salt = query.value;
		query.has_seq = true;
		query.seq = 1;
	}
	dht_krpc_write_query(&w, &query);
	CHECK(!w.bad);
	dgram.len = writer_len(&w);
	dht_input(victim, &dgram, lab.now_ns);
}

static void flood_until(uint32_t cnt, struct lookups *lookups)
{
	while (put_cnt < cnt) {
		for (unsigned i = 0; i < PUTS_TURN; i++)
			flood_put(put_cnt++);
		lookups_step(lookups);
		(void)dht_lab_run(&lab, TURN_NS, NULL, NULL);
	}
}

static void quiet_until(unsigned cnt, struct lookups *lookups)
{
	while (lookups->asked_cnt < cnt) {
		lookups_step(lookups);
		(void)dht_lab_run(&lab, TURN_NS, NULL, NULL);
	}
}

static void test_a_million_foreign_records_disturb_no_lookup(void)
{
	static struct lookups warming, before, during;
	struct dht_stats stats;
	size_t begin_len, end_len;
	const uint32_t puts_max = seed_is_small() ? PUTS_FEW : PUTS;

	put_cnt = 0;
	memset(&warming, 0, sizeof(warming));
	memset(&before, 0, sizeof(before));
	memset(&during, 0, sizeof(during));
	network_up(seed_of_run(27));
	/* A young node learns first how long others take to answer. */
	quiet_until(200, &warming);
	quiet_until(200, &before);
	/* The first ones fill the tables. */
	flood_until(puts_max / 10, &during);
	begin_len = resident_len();
	flood_until(puts_max, &during);
	end_len = resident_len();
	dht_stats(victim, lab.now_ns, &stats);
	lookups_print("before", &before);
	lookups_print("during", &during);
	printf("# %u puts: %u items kept of at most %u, %llu refused; resident %zu KiB after a "
	       "tenth, %zu KiB after all\n",
	       put_cnt, stats.item_cnt, lab.nodes[NODES].config.item_cap,
	       (unsigned long long)stats.reasons[DHT_STORE_FULL], begin_len >> 10, end_len >> 10);
	CHECK(stats.item_cnt <= lab.nodes[NODES].config.item_cap);
	CHECK(stats.reasons[DHT_STORED] + stats.reasons[DHT_STORE_FULL] >= puts_max);
	CHECK(during.asked_cnt >= (seed_is_small() ? 15 : 100));
	CHECK_EQ(before.found_cnt, before.asked_cnt);
	CHECK_EQ(during.found_cnt, during.asked_cnt);
	/* A turn is the clock's grain here; half as long again is more than chance. */
	CHECK(percentile(&during, 50) <= percentile(&before, 50) * 3 / 2);
	CHECK(percentile(&during, 95) <= percentile(&before, 95) * 2);
#ifndef WEFT_HOT_ASSERTS /* a sanitizer keeps a shadow beside it */
	CHECK(end_len <= begin_len + FLAT_LEN);
#endif
	network_down();
}

int main(void)
{
	RUN(test_a_million_foreign_records_disturb_no_lookup);
	return check_done();
}
