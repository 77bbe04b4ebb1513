/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of a thousand nodes of which every fifth lies, and half of the
 * others are replaced while it runs. Is a record still found that its owner
 * put? Seeds are fixed; SEED=n plays another run.
 *
 * Liars of each kind, a third each: silent ones; those that list only other
 * liars, under ids as near to the target as they like. The last third give
 * false, old or foreign items. Besides, the record's key is besieged: liars
 * sit around it under made-up ids, nearer than any honest node can be. They
 * take puts, give nothing, and list each other.
 */
#include "crypto/node_key.h"
#include "dht/items/item.h"
#include "dht/krpc/node_id.h"
#include "support/check.h"
#include "support/dht_lab.h"
#include "support/seed.h"

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)

#define NODES	    1000
#define NODES_SMALL 300
#define LIARS	    (node_cnt / 5)
#define HONEST	    (node_cnt - LIARS)
#define BESIEGERS   30
#define REPLACED    (HONEST / 2)
#define GETS	    (REPLACED / 2)
#define FOUND_SHARE 95 /* percent that must be found */

static unsigned node_cnt; /* of the run */
static struct dht_lab lab;
static struct node_key *owner, *foreign;
static uint8_t sig[NODE_KEY_SIG_LEN], old_sig[NODE_KEY_SIG_LEN], foreign_sig[NODE_KEY_SIG_LEN];
static struct dht_item record, old_record, foreign_record;
static struct kad_id key_id;
static unsigned first_liar, liar_cnt, besieger_cnt;

static struct dht_item sign(struct node_key *key, const char *value, int64_t seq, uint8_t *out_sig)
{
	struct dht_item item = {.key = node_key_public(key),
				.sig = out_sig,
				.value = (const uint8_t *)value,
				.value_len = strlen(value),
				.seq = seq};

	dht_item_sign(&item, key, out_sig);
	return item;
}

/* --- liars --- */

static void be_silent(struct dht_lab_node *node, const struct krpc_message *query,
		      const struct addr *asker)
{
	(void)node;
	(void)query;
	(void)asker;
}

/* Eight liars, listed under ids next to target. */
static void tell_of_liars(struct dht_lab_node *node, const struct krpc_message *query,
			  const struct addr *asker, unsigned first, unsigned cnt)
{
	uint8_t nodes[8 * KRPC_NODE_LEN_IPV4];
	struct writer w = writer_of(nodes, sizeof(nodes));
	struct krpc_reply reply = {.token = {(const uint8_t *)"liar", 4},
				   .nodes = {nodes, sizeof(nodes)}};

	for (unsigned i = 0; i < 8; i++) {
		unsigned other = first + (unsigned)random_below(&node->random, cnt);
		struct kad_id id = first == first_liar
					   ? kad_id_random_in(&query->target, 20 + i, &node->random)
					   : lab.nodes[other].id;

		dht_krpc_node_write(&w, &id, &lab.nodes[other].addr);
	}
	dht_lab_reply(node, query, asker, &reply);
}

static void tell_wrong_nodes(struct dht_lab_node *node, const struct krpc_message *query,
			     const struct addr *asker)
{
	tell_of_liars(node, query, asker, first_liar, liar_cnt);
}

static void tell_wrong_values(struct dht_lab_node *node, const struct krpc_message *query,
			      const struct addr *asker)
{
	const struct dht_item *lies[] = {&record, &old_record, &foreign_record};
	unsigned kind = node->number % 3;
	struct krpc_reply reply = {
		.token = {(const uint8_t *)"liar", 4},
		.value = {lies[kind]->value, lies[kind]->value_len},
		.key = {lies[kind]->key, NODE_KEY_LEN},
		.sig = {kind ? lies[kind]->sig : old_sig, NODE_KEY_SIG_LEN},
		.has_seq = true,
		.seq = kind ? lies[kind]->seq : INT64_MAX,
	};

	if (query->method != KRPC_GET)
		reply = (struct krpc_reply){.token = {(const uint8_t *)"liar", 4}};
	dht_lab_reply(node, query, asker, &reply);
}

static void besiege(struct dht_lab_node *node, const struct krpc_message *query,
		    const struct addr *asker)
{
	tell_of_liars(node, query, asker, first_liar + liar_cnt, besieger_cnt);
}

static void liars_add(void)
{
	static const dht_lab_scripted_fn kinds[] = {be_silent, tell_wrong_nodes, tell_wrong_values};

	first_liar = lab.node_cnt;
	for (liar_cnt = 0; liar_cnt < LIARS - BESIEGERS; liar_cnt++)
		(void)dht_lab_scripted(&lab, kinds[liar_cnt % 3]);
	for (besieger_cnt = 0; besieger_cnt < BESIEGERS; besieger_cnt++) {
		struct dht_lab_node *node = dht_lab_scripted(&lab, besiege);

		node->id = kad_id_random_in(&key_id, 30 + besieger_cnt, &lab.dice);
	}
}

/* Every liar makes itself known to ten honest nodes: it asks them something. */
static void liars_advertise(void)
{
	for (unsigned i = first_liar; i < first_liar + LIARS; i++) {
		struct dht_lab_node *liar = &lab.nodes[i];

		for (unsigned j = 0; j < 10; j++) {
			const struct dht_lab_node *honest =
				&lab.nodes[random_below(&lab.dice, first_liar)];
			uint8_t bytes[256];
			struct writer w = writer_of(bytes, sizeof(bytes));
			struct krpc_query query = {.method = KRPC_FIND_NODE,
						   .transaction = {(const uint8_t *)"t", 1},
						   .id = liar->id,
						   .target = key_id};

			dht_krpc_write_query(&w, &query);
			dht_lab_send(liar, &honest->addr, bytes, writer_len(&w));
		}
		(void)dht_lab_run(&lab, SECOND / 10, NULL, NULL);
	}
}

/* --- honest nodes --- */

static struct dht_lab_node *any_honest_up(void)
{
	for (;;) {
		struct dht_lab_node *node = &lab.nodes[random_below(&lab.dice, lab.node_cnt)];

		if (node->dht && node->number > 1)
			return node;
	}
}

/* One honest node goes and another one comes. The first (bootstrap) and the owner stay. */
static void replace_one(void)
{
	struct dht_lab_node *young;

	dht_lab_stop(any_honest_up());
	young = dht_lab_add(&lab);
	dht_lab_start(young, &lab.nodes[0]);
}

static bool record_is_found(struct dht_lab_result *result)
{
	struct dht_get_params params = {.target = key_id, .key = record.key, .known_seq = 50};
	struct dht_asker asker = dht_lab_asker(result);

	return dht_get(any_honest_up()->dht, &params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 60 * SECOND) && result->outcome.err == 0 &&
	       result->seq == record.seq && result->value_len == record.value_len &&
	       memcmp(result->value, record.value, record.value_len) == 0;
}

static void keys_make(uint64_t seed)
{
	uint8_t seeds[2][NODE_KEY_SEED_LEN] = {{1}, {2}};

	memcpy(seeds[0] + 1, &seed, sizeof(seed));
	if (node_key_from_seed(seeds[0], &owner) < 0 || node_key_from_seed(seeds[1], &foreign) < 0)
		abort();
	record = sign(owner, "6:newest", 100, sig);
	old_record = sign(owner, "5:older", 10, old_sig);
	foreign_record = sign(foreign, "7:foreign", 1000, foreign_sig);
	dht_item_target(&record, &key_id);
}

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void test_record_is_found_among_liars_and_churn(void)
{
	uint64_t seed = seed_of_run(20);
	struct dht_put_params put = {.item = &record, .is_kept = true};
	struct dht_lab_result kept, result;
	struct dht_asker asker = dht_lab_asker(&kept);
	unsigned found = 0, asked = 0, rolled_back = 0;
	double took_ms[NODES];

	node_cnt = seed_is_small() ? NODES_SMALL : NODES;
	keys_make(seed);
	dht_lab_init(&lab, seed, node_cnt + REPLACED + 1);
	dht_lab_grow(&lab, HONEST, SECOND / 10);
	liars_add();
	liars_advertise();
	(void)dht_lab_run(&lab, 2 * MINUTE, NULL, NULL);
	CHECK(dht_put(lab.nodes[1].dht, &put, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &kept, 2 * MINUTE));
	printf("# put: stored with %u of %u asked, error %d\n", kept.outcome.stored_cnt,
	       kept.outcome.asked_cnt, kept.outcome.err);
	/* More than an hour, so that the owner has put again once. */
	for (unsigned i = 0; i < REPLACED; i++) {
		replace_one();
		(void)dht_lab_run(&lab, 70 * MINUTE / REPLACED, NULL, NULL);
		if (i % (REPLACED / GETS) || asked == GETS)
			continue;
		found += record_is_found(&result);
		took_ms[asked++] =
			(double)(result.outcome.ended_ns - result.outcome.began_ns) / 1e6;
		rolled_back += result.outcome.rolled_back_cnt;
	}
	qsort(took_ms, asked, sizeof(took_ms[0]), double_compare);
	printf("# found %u of %u, median %.0f ms, p95 %.0f ms; %u old records refused; seed %llu\n",
	       found, asked, took_ms[asked / 2], took_ms[asked * 95 / 100], rolled_back,
	       (unsigned long long)seed);
	CHECK_EQ(asked, GETS);
	CHECK(found * 100 >= asked * FOUND_SHARE);
	CHECK(rolled_back > 0 || seed_is_small());
	dht_lab_fini(&lab);
	node_key_free(owner);
	node_key_free(foreign);
}

int main(void)
{
	RUN(test_record_is_found_among_liars_and_churn);
	return check_done();
}
