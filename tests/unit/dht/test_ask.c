/* SPDX-License-Identifier: Apache-2.0 */
/* The asking half among forty nodes: get, put, peers, announce, lookup, and how they end. */
#include "crypto/node_key.h"
#include "dht/item.h"
#include "dht/node_id.h"
#include "support/check.h"
#include "support/dht_lab.h"

#define SECOND 1000000000ull
#define HOUR   (3600 * SECOND)
#define NODES  40

static struct dht_lab lab;
static struct node_key *key;
static uint8_t sig[NODE_KEY_SIG_LEN];

/* Forty nodes that know each other. */
static void begin_with(enum dht_net net)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};

	dht_lab_init(&lab, 77, NODES + 24);
	lab.net = net;
	dht_lab_grow(&lab, NODES, SECOND / 10);
	(void)dht_lab_run(&lab, 60 * SECOND, NULL, NULL);
	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
}

static void begin(void)
{
	begin_with(DHT_NET_IPV4);
}

/* Who counts holders and rounds cannot do with datagrams that get lost. */
static void begin_without_loss(void)
{
	const struct mem_link link = {.delay_ns = 20000000, .jitter_ns = 80000000};

	begin();
	mem_net_set_default_link(lab.mem, &link);
}

static struct dht *dht_of(unsigned number)
{
	return lab.nodes[number].dht;
}

/* A mutable item of the test's key; value is bencoded. Signed anew by each call. */
static struct dht_item mutable_item(const char *value, int64_t seq, const char *salt)
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

static struct dht_get_params get_params(const struct dht_item *item)
{
	struct dht_get_params params = {
		.key = item->key, .salt = item->salt, .salt_len = item->salt_len};

	dht_item_target(item, &params.target);
	return params;
}

static bool put_done(unsigned number, const struct dht_put_params *params,
		     struct dht_lab_result *result)
{
	struct dht_asker asker = dht_lab_asker(result);

	return dht_put(dht_of(number), params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 30 * SECOND);
}

static bool get_done(unsigned number, const struct dht_get_params *params,
		     struct dht_lab_result *result)
{
	struct dht_asker asker = dht_lab_asker(result);

	return dht_get(dht_of(number), params, &asker, lab.now_ns) &&
	       dht_lab_wait(&lab, result, 30 * SECOND);
}

static bool value_is(const struct dht_lab_result *result, const char *want)
{
	return result->value_len == strlen(want) && memcmp(result->value, want, strlen(want)) == 0;
}

static void test_immutable_put_is_got_elsewhere(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;

	begin();
	CHECK(put_done(3, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(result.outcome.stored_cnt >= 6);
	CHECK_EQ(result.ended_cnt, 1);
	CHECK(get_done(17, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.item_cnt, 1);
	CHECK(value_is(&result, "5:hello"));
	CHECK(result.step_cnt > 0);
	dht_lab_fini(&lab);
}

static void test_what_lies_here_is_found_when_all_others_are_gone(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;
	struct dht_stats stats = {0};
	unsigned holder = 0;

	begin();
	CHECK(put_done(3, &put, &result));
	while (!stats.item_cnt && holder < NODES)
		dht_stats(dht_of(++holder), lab.now_ns, &stats);
	CHECK_EQ(stats.item_cnt, 1);
	for (unsigned i = 0; i < NODES; i++)
		if (i != holder)
			dht_lab_stop(&lab.nodes[i]);
	CHECK(get_done(holder, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(value_is(&result, "5:hello"));
	CHECK_EQ(result.outcome.answered_cnt, 0);
	dht_lab_fini(&lab);
}

static void test_mutable_put_with_salt_is_got_and_replaced(void)
{
	struct dht_lab_result result;
	struct dht_get_params get;
	struct dht_put_params put;
	struct dht_item item;

	begin();
	item = mutable_item("3:one", 1, "salt");
	get = get_params(&item);
	put = (struct dht_put_params){.item = &item};
	CHECK(put_done(3, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(get_done(17, &get, &result));
	CHECK(value_is(&result, "3:one"));
	item = mutable_item("3:two", 2, "salt");
	CHECK(put_done(4, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(get_done(18, &get, &result));
	CHECK(value_is(&result, "3:two"));
	CHECK_EQ(result.outcome.seq_max, 2);
	/* Without the salt nothing is there. */
	get.salt_len = 0;
	dht_item_target_of_key(get.key, NULL, 0, &get.target);
	CHECK(get_done(19, &get, &result));
	CHECK_EQ(result.outcome.err, WEFT_EABSENT);
	CHECK_EQ(result.item_cnt, 0);
	dht_lab_fini(&lab);
}

static void test_put_below_a_newer_one_is_stale_and_says_how_far(void)
{
	struct dht_lab_result result;
	struct dht_put_params put;
	struct dht_item item;

	begin();
	item = mutable_item("3:new", 1000, "");
	put = (struct dht_put_params){.item = &item};
	CHECK(put_done(3, &put, &result));
	item = mutable_item("3:old", 999, "");
	CHECK(put_done(4, &put, &result));
	CHECK_EQ(result.outcome.err, WEFT_ESTALE);
	CHECK_EQ(result.outcome.seq_max, 1000);
	CHECK_EQ(result.outcome.stored_cnt, 0);
	/* The clock is far above it: the next number is the clock's. */
	CHECK_EQ(dht_seq(dht_of(4), result.outcome.seq_max, lab.now_ns),
		 DHT_LAB_WALL_US + lab.now_ns / 1000);
	dht_lab_fini(&lab);
}

static void test_seq_is_the_clock_but_above_the_last(void)
{
	static const struct {
		int64_t skew_us, last, want;
	} rows[] = {
		{0, -1, (int64_t)DHT_LAB_WALL_US + 1000000},
		{0, 5, (int64_t)DHT_LAB_WALL_US + 1000000},
		{0, (int64_t)DHT_LAB_WALL_US + 1000000, (int64_t)DHT_LAB_WALL_US + 1000001},
		{-(int64_t)DHT_LAB_WALL_US, (int64_t)DHT_LAB_WALL_US, (int64_t)DHT_LAB_WALL_US + 1},
		{-(int64_t)DHT_LAB_WALL_US - 2000000, 7, 8}, /* before 1970 */
		{0, INT64_MAX - 1, INT64_MAX},
		{0, INT64_MAX, INT64_MAX},
	};

	dht_lab_init(&lab, 1, 10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dht_lab_node *node = dht_lab_add(&lab);

		node->wall_skew_us = rows[i].skew_us;
		dht_lab_start(node, NULL);
		CHECK_EQ(dht_seq(node->dht, rows[i].last, lab.now_ns), rows[i].want);
	}
	dht_lab_fini(&lab);
}

static void test_cas_that_does_not_match_is_refused_and_counted(void)
{
	struct dht_lab_result result;
	struct dht_put_params put;
	struct dht_item item;

	begin_without_loss();
	item = mutable_item("1:a", 10, "");
	put = (struct dht_put_params){.item = &item};
	CHECK(put_done(3, &put, &result));
	item = mutable_item("1:b", 11, "");
	/* Another's lookup may end at a node that has not got the first. */
	put.has_cas = true;
	put.cas = 9;
	CHECK(put_done(3, &put, &result));
	CHECK_EQ(result.outcome.err, WEFT_EREFUSED);
	CHECK(result.outcome.newer_cnt >= 6);
	put.cas = 10;
	CHECK(put_done(4, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	dht_lab_fini(&lab);
}

static void test_put_that_eight_hold_is_not_sent_again(void)
{
	struct dht_lab_result result;
	struct dht_put_params put;
	struct dht_item item;
	uint64_t puts;

	begin();
	item = mutable_item("3:one", 1, "");
	put = (struct dht_put_params){.item = &item};
	for (unsigned i = 0; i < 4; i++) /* lost datagrams leave gaps: until all hold it */
		CHECK(put_done(3, &put, &result));
	puts = lab.query_cnt[KRPC_PUT];
	CHECK(put_done(3, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(result.outcome.stored_cnt >= 8);
	CHECK_EQ(lab.query_cnt[KRPC_PUT], puts);
	dht_lab_fini(&lab);
}

static void test_kept_put_outlives_its_holders(void)
{
	struct dht_lab_result result, got;
	struct dht_get_params get;
	struct dht_put_params put;
	struct dht_asker asker;
	struct dht_item item;
	dht_handle handle;

	begin_without_loss();
	item = mutable_item("4:kept", 7, "");
	get = get_params(&item);
	put = (struct dht_put_params){.item = &item, .is_kept = true};
	asker = dht_lab_asker(&result);
	handle = dht_put(dht_of(3), &put, &asker, lab.now_ns);
	CHECK(handle);
	(void)dht_lab_run(&lab, 5 * HOUR, NULL, NULL);
	CHECK(result.ended_cnt >= 5 && result.ended_cnt <= 7);
	CHECK_EQ(result.outcome.err, 0);
	CHECK(get_done(21, &get, &got));
	CHECK_EQ(got.outcome.err, 0);
	CHECK(value_is(&got, "4:kept"));
	/* Cancelled, it is forgotten after two hours. */
	dht_cancel(dht_of(3), handle);
	(void)dht_lab_run(&lab, 3 * HOUR, NULL, NULL);
	CHECK(get_done(22, &get, &got));
	CHECK_EQ(got.outcome.err, WEFT_EABSENT);
	dht_lab_fini(&lab);
}

static void test_announced_peers_are_found(void)
{
	struct kad_id info_hash = {{0xab, 0xcd}};
	struct dht_announce_params params = {.info_hash = info_hash};
	struct dht_lab_result result;
	struct dht_asker asker;
	bool has_implied = false, has_port = false;

	begin();
	asker = dht_lab_asker(&result);
	CHECK(dht_announce(dht_of(3), &params, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK_EQ(result.outcome.err, 0);
	params.port = 7777;
	asker = dht_lab_asker(&result);
	CHECK(dht_announce(dht_of(4), &params, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	asker = dht_lab_asker(&result);
	CHECK(dht_peers(dht_of(25), &info_hash, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK_EQ(result.outcome.err, 0);
	for (unsigned i = 0; i < result.peer_cnt; i++) {
		struct addr want = lab.nodes[4].addr;

		want.port = 7777;
		has_implied |= addr_equal(&result.peers[i], &lab.nodes[3].addr);
		has_port |= addr_equal(&result.peers[i], &want);
	}
	CHECK(has_implied);
	CHECK(has_port);
	dht_lab_fini(&lab);
}

static void test_peers_that_lie_here_are_found_when_all_others_are_gone(void)
{
	struct kad_id info_hash = {{0xab, 0xcd}};
	struct dht_announce_params params = {.info_hash = info_hash};
	struct dht_lab_result result;
	struct dht_stats stats = {0};
	struct dht_asker asker;
	unsigned holder = 0;

	begin();
	asker = dht_lab_asker(&result);
	CHECK(dht_announce(dht_of(3), &params, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	while (!stats.peer_cnt && ++holder < NODES)
		dht_stats(dht_of(holder), lab.now_ns, &stats);
	CHECK_EQ(stats.peer_cnt, 1);
	for (unsigned i = 0; i < NODES; i++)
		if (i != holder)
			dht_lab_stop(&lab.nodes[i]);
	asker = dht_lab_asker(&result);
	CHECK(dht_peers(dht_of(holder), &info_hash, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 60 * SECOND));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.peer_cnt, 1);
	CHECK(addr_equal(&result.peers[0], &lab.nodes[3].addr));
	dht_lab_fini(&lab);
}

static void test_lookup_finds_the_nearest(void)
{
	struct dht_lab_result result;
	struct dht_asker asker;
	const struct kad_id *target;

	begin();
	target = dht_own_id(dht_of(30), DHT_NET_IPV4);
	asker = dht_lab_asker(&result);
	CHECK(dht_lookup(dht_of(2), DHT_NET_IPV4, target, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.node_cnt, 8);
	CHECK(kad_id_equal(&result.nodes[0].id, target));
	dht_lab_fini(&lab);
}

static void test_who_knows_nobody_is_told_at_once(void)
{
	struct kad_id target = {{1}};
	struct dht_get_params get = {.target = target};
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);
	struct dht_lab_node *alone;

	dht_lab_init(&lab, 1, 1);
	alone = dht_lab_add(&lab);
	dht_lab_start(alone, NULL);
	CHECK_EQ(dht_get(alone->dht, &get, &asker, lab.now_ns), 0);
	CHECK_EQ(dht_lookup(alone->dht, DHT_NET_IPV4, &target, &asker, lab.now_ns), 0);
	CHECK(!result.is_ended);
	dht_lab_fini(&lab);
}

static void test_dead_bootstrap_is_unreachable_and_tried_again(void)
{
	struct kad_id target = {{1}};
	struct dht_get_params get = {.target = target};
	struct dht_lab_node *alone, *late;
	struct dht_lab_result result;
	struct dht_asker asker = dht_lab_asker(&result);
	struct dht_stats stats;

	dht_lab_init(&lab, 1, 2);
	alone = dht_lab_add(&lab);
	late = dht_lab_add(&lab);
	dht_lab_start(alone, late);
	CHECK(dht_get(alone->dht, &get, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK_EQ(result.outcome.err, WEFT_EUNREACHABLE);
	(void)dht_lab_run(&lab, 600 * SECOND, NULL, NULL);
	dht_lab_start(late, NULL);
	(void)dht_lab_run(&lab, 70 * SECOND, NULL, NULL);
	dht_stats(alone->dht, lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].good, 1);
	/* And the other way round: who asked is known. */
	dht_stats(late->dht, lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].good, 1);
	dht_lab_fini(&lab);
}

static void test_who_was_cut_off_for_an_hour_comes_back(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;
	struct dht_stats stats;

	begin();
	mem_net_set_group(lab.mem, &lab.nodes[8].addr, 1);
	(void)dht_lab_run(&lab, HOUR, NULL, NULL);
	dht_stats(dht_of(8), lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].good, 0);
	CHECK(get_done(8, &get, &result));
	CHECK_EQ(result.outcome.err, WEFT_EUNREACHABLE);
	CHECK(put_done(3, &put, &result));
	mem_net_set_group(lab.mem, &lab.nodes[8].addr, 0);
	(void)dht_lab_run(&lab, 70 * SECOND, NULL, NULL);
	dht_stats(dht_of(8), lab.now_ns, &stats);
	CHECK(stats.nodes[DHT_NET_IPV4].good >= 8);
	CHECK(get_done(8, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	dht_lab_fini(&lab);
}

static void test_the_other_network_is_as_good(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;
	struct addr external;

	begin_with(DHT_NET_IPV6);
	CHECK(put_done(3, &put, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(get_done(17, &get, &result));
	CHECK(value_is(&result, "5:hello"));
	CHECK(dht_external(dht_of(17), DHT_NET_IPV6, &external));
	CHECK(addr_equal(&external, &lab.nodes[17].addr));
	CHECK(dht_node_id_fits(dht_own_id(dht_of(17), DHT_NET_IPV6), &external));
	dht_lab_fini(&lab);
}

static void test_get_ends_within_its_budget(void)
{
	struct kad_id target = {{0x42}};
	struct dht_get_params get = {.target = target, .budget_ns = SECOND / 100};
	struct dht_lab_result result;

	begin();
	CHECK(get_done(9, &get, &result));
	CHECK_EQ(result.outcome.err, WEFT_ETIMEOUT);
	CHECK(result.outcome.ended_ns - result.outcome.began_ns <= SECOND / 100 + 10000000);
	CHECK_EQ(result.ended_cnt, 1);
	dht_lab_fini(&lab);
}

static void test_first_item_is_enough_when_said_so(void)
{
	struct dht_lab_result quick, sure;
	struct dht_get_params get;
	struct dht_put_params put;
	struct dht_item item;

	begin();
	item = mutable_item("1:x", 3, "");
	get = get_params(&item);
	put = (struct dht_put_params){.item = &item};
	CHECK(put_done(3, &put, &sure));
	CHECK(get_done(11, &get, &sure));
	get.is_first_enough = true;
	CHECK(get_done(12, &get, &quick));
	CHECK_EQ(quick.outcome.err, 0);
	CHECK(quick.outcome.answered_cnt < sure.outcome.answered_cnt);
	dht_lab_fini(&lab);
}

static void test_cancelled_tells_nothing_more(void)
{
	struct kad_id target = {{0x42}};
	struct dht_get_params get = {.target = target};
	struct dht_lab_result result;
	struct dht_asker asker;
	struct dht_stats stats;
	dht_handle handle;

	begin();
	asker = dht_lab_asker(&result);
	handle = dht_get(dht_of(9), &get, &asker, lab.now_ns);
	CHECK(handle);
	(void)dht_lab_run(&lab, SECOND / 20, NULL, NULL);
	dht_cancel(dht_of(9), handle);
	dht_cancel(dht_of(9), handle);
	(void)dht_lab_run(&lab, 30 * SECOND, NULL, NULL);
	CHECK(!result.is_ended);
	dht_stats(dht_of(9), lab.now_ns, &stats);
	CHECK_EQ(stats.search_cnt, 0);
	dht_lab_fini(&lab);
}

static void test_one_search_too_many_is_refused(void)
{
	struct kad_id target = {{0x42}};
	struct dht_get_params get = {.target = target};
	struct dht_asker nobody = {0};
	unsigned begun = 0;

	begin();
	while (begun < 100 && dht_get(dht_of(9), &get, &nobody, lab.now_ns))
		begun++;
	CHECK_EQ(begun, lab.nodes[9].config.search_cap);
	(void)dht_lab_run(&lab, 30 * SECOND, NULL, NULL);
	CHECK(dht_get(dht_of(9), &get, &nobody, lab.now_ns));
	dht_lab_fini(&lab);
}

/* Who asked may be gone while the item lives on. */
static void test_kept_put_whose_asker_left_goes_on_untold(void)
{
	struct dht_lab_result result, got;
	struct dht_get_params get;
	struct dht_put_params put;
	struct dht_asker asker;
	struct dht_item item;
	dht_handle handle;

	begin();
	item = mutable_item("4:kept", 7, "");
	get = get_params(&item);
	put = (struct dht_put_params){.item = &item, .is_kept = true};
	asker = dht_lab_asker(&result);
	handle = dht_put(dht_of(3), &put, &asker, lab.now_ns);
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	dht_leave(dht_of(3), handle);
	(void)dht_lab_run(&lab, 5 * HOUR, NULL, NULL);
	CHECK_EQ(result.ended_cnt, 1);
	CHECK(get_done(21, &get, &got));
	CHECK(value_is(&got, "4:kept"));
	dht_lab_fini(&lab);
}

/* Whoever read the item may put it through us. */
static void test_a_passing_put_leaves_the_kept_one_alone(void)
{
	struct dht_lab_result result, once;
	struct dht_put_params put;
	struct dht_asker asker;
	struct dht_item item;

	begin();
	item = mutable_item("4:kept", 7, "");
	put = (struct dht_put_params){.item = &item, .is_kept = true};
	asker = dht_lab_asker(&result);
	CHECK(dht_put(dht_of(3), &put, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	put.is_kept = false;
	asker = dht_lab_asker(&once);
	CHECK(dht_put(dht_of(3), &put, &asker, lab.now_ns));
	(void)dht_lab_run(&lab, 5 * HOUR, NULL, NULL);
	CHECK_EQ(once.ended_cnt, 1);
	CHECK(result.ended_cnt >= 5);
	dht_lab_fini(&lab);
}

static void test_one_own_too_many_is_refused_and_one_target_is_one(void)
{
	struct dht_asker nobody = {0};
	struct dht_put_params put = {.is_kept = true};
	struct dht_stats stats;
	struct dht_item item;
	char salt[2] = "a";

	begin();
	put.item = &item;
	for (unsigned i = 0; i < lab.nodes[3].config.own_cap; i++, salt[0]++) {
		item = mutable_item("1:x", 1, salt);
		CHECK(dht_put(dht_of(3), &put, &nobody, lab.now_ns));
	}
	item = mutable_item("1:x", 1, salt);
	CHECK_EQ(dht_put(dht_of(3), &put, &nobody, lab.now_ns), 0);
	item = mutable_item("1:y", 2, "a");
	CHECK(dht_put(dht_of(3), &put, &nobody, lab.now_ns));
	dht_stats(dht_of(3), lab.now_ns, &stats);
	CHECK_EQ(stats.own_cnt, lab.nodes[3].config.own_cap);
	dht_lab_fini(&lab);
}

static void test_every_asker_of_one_target_is_told(void)
{
	struct dht_lab_result first, second;
	struct dht_asker askers[2] = {dht_lab_asker(&first), dht_lab_asker(&second)};
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};

	begin();
	CHECK(dht_put(dht_of(3), &put, &askers[0], lab.now_ns));
	CHECK(dht_put(dht_of(3), &put, &askers[1], lab.now_ns));
	CHECK(dht_lab_wait(&lab, &second, 30 * SECOND));
	CHECK(dht_lab_wait(&lab, &first, 30 * SECOND));
	CHECK_EQ(first.outcome.err, 0);
	CHECK_EQ(second.outcome.err, 0);

	/* One that is kept gives way to the next, and its asker hears of it. */
	put.is_kept = true;
	askers[0] = dht_lab_asker(&first);
	askers[1] = dht_lab_asker(&second);
	CHECK(dht_put(dht_of(3), &put, &askers[0], lab.now_ns));
	CHECK(dht_put(dht_of(3), &put, &askers[1], lab.now_ns));
	CHECK_EQ(first.ended_cnt, 1);
	CHECK_EQ(first.outcome.err, WEFT_ECANCELLED);
	CHECK(dht_lab_wait(&lab, &second, 30 * SECOND));
	CHECK_EQ(second.outcome.err, 0);
	dht_lab_fini(&lab);
}

static void test_item_that_nobody_would_store_is_not_put(void)
{
	static uint8_t longest[DHT_VALUE_LEN_MAX + 1];
	struct dht_item item = {.value = longest, .value_len = sizeof(longest)};
	struct dht_put_params put = {.item = &item};
	struct dht_asker nobody = {0};

	begin();
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "997:", 4);
	CHECK_EQ(dht_put(dht_of(3), &put, &nobody, lab.now_ns), 0);
	item.value_len--;
	CHECK(dht_put(dht_of(3), &put, &nobody, lab.now_ns));
	item = mutable_item("1:x", 1, "");
	sig[0] ^= 1;
	CHECK_EQ(dht_put(dht_of(3), &put, &nobody, lab.now_ns), 0);
	dht_lab_fini(&lab);
}

static void test_what_is_kept_for_this_life_alone_is_not_put_in_the_next(void)
{
	static uint8_t saved[DHT_SAVE_CAP];
	struct dht_put_params put = {.is_kept = true};
	struct dht_asker nobody = {0};
	struct dht_stats stats;
	struct dht_item item;

	begin();
	put.item = &item;
	for (unsigned unsaved = 0; unsaved < 2; unsaved++) {
		int len;

		item = mutable_item("4:kept", 7, unsaved ? "b" : "a");
		put.is_unsaved = unsaved;
		CHECK(dht_put(dht_of(5), &put, &nobody, lab.now_ns));
		dht_stats(dht_of(5), lab.now_ns, &stats);
		CHECK_EQ(stats.own_cnt, unsaved + 1);
		len = dht_save(dht_of(5), saved, sizeof(saved), lab.now_ns);
		CHECK(len > 0);
		dht_lab_stop(&lab.nodes[5]);
		dht_lab_start(&lab.nodes[5], NULL);
		CHECK_EQ(dht_load(dht_of(5), saved, (size_t)len, lab.now_ns), 0);
		dht_stats(dht_of(5), lab.now_ns, &stats);
		CHECK_EQ(stats.own_cnt, 1);
	}
	dht_lab_fini(&lab);
}

static void test_warm_start_needs_no_bootstrap(void)
{
	static uint8_t saved[DHT_SAVE_CAP];
	struct dht_lab_result result;
	struct dht_lab_node *again;
	struct dht_get_params get;
	struct dht_put_params put;
	struct dht_asker asker;
	struct dht_item item;
	struct kad_id id;
	int len;

	begin();
	item = mutable_item("4:kept", 7, "");
	get = get_params(&item);
	put = (struct dht_put_params){.item = &item, .is_kept = true};
	asker = dht_lab_asker(&result);
	CHECK(dht_put(dht_of(5), &put, &asker, lab.now_ns));
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK(lab.nodes[5].save_cnt > 0);
	len = dht_save(dht_of(5), saved, sizeof(saved), lab.now_ns);
	CHECK(len > 8 * 26);
	CHECK_EQ(dht_save(dht_of(5), saved, (size_t)len - 1, lab.now_ns), WEFT_ETOOSMALL);
	CHECK_EQ(dht_save(dht_of(5), saved, (size_t)len, lab.now_ns), len);
	id = *dht_own_id(dht_of(5), DHT_NET_IPV4);
	dht_lab_stop(&lab.nodes[5]);

	again = &lab.nodes[5];
	dht_lab_start(again, NULL);
	for (int cut = 0; cut < len; cut++)
		CHECK_EQ(dht_load(again->dht, saved, (size_t)cut, lab.now_ns), WEFT_EMALFORMED);
	CHECK(!kad_id_equal(dht_own_id(again->dht, DHT_NET_IPV4), &id));
	CHECK_EQ(dht_load(again->dht, saved, (size_t)len, lab.now_ns), 0);
	CHECK(kad_id_equal(dht_own_id(again->dht, DHT_NET_IPV4), &id));
	/* The first get after the start, by nodes of the last life. */
	get.is_first_enough = true;
	CHECK(get_done(5, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK(result.outcome.ended_ns - result.outcome.began_ns < SECOND / 2);
	/* What was kept is put again though nobody asked for it in this life. */
	(void)dht_lab_run(&lab, 4 * HOUR, NULL, NULL);
	CHECK(get_done(6, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	dht_lab_fini(&lab);
}

int main(void)
{
	RUN(test_immutable_put_is_got_elsewhere);
	RUN(test_what_lies_here_is_found_when_all_others_are_gone);
	RUN(test_mutable_put_with_salt_is_got_and_replaced);
	RUN(test_put_below_a_newer_one_is_stale_and_says_how_far);
	RUN(test_seq_is_the_clock_but_above_the_last);
	RUN(test_cas_that_does_not_match_is_refused_and_counted);
	RUN(test_put_that_eight_hold_is_not_sent_again);
	RUN(test_kept_put_outlives_its_holders);
	RUN(test_kept_put_whose_asker_left_goes_on_untold);
	RUN(test_a_passing_put_leaves_the_kept_one_alone);
	RUN(test_announced_peers_are_found);
	RUN(test_peers_that_lie_here_are_found_when_all_others_are_gone);
	RUN(test_lookup_finds_the_nearest);
	RUN(test_who_knows_nobody_is_told_at_once);
	RUN(test_dead_bootstrap_is_unreachable_and_tried_again);
	RUN(test_who_was_cut_off_for_an_hour_comes_back);
	RUN(test_the_other_network_is_as_good);
	RUN(test_get_ends_within_its_budget);
	RUN(test_first_item_is_enough_when_said_so);
	RUN(test_cancelled_tells_nothing_more);
	RUN(test_one_search_too_many_is_refused);
	RUN(test_one_own_too_many_is_refused_and_one_target_is_one);
	RUN(test_every_asker_of_one_target_is_told);
	RUN(test_item_that_nobody_would_store_is_not_put);
	RUN(test_what_is_kept_for_this_life_alone_is_not_put_in_the_next);
	RUN(test_warm_start_needs_no_bootstrap);
	node_key_free(key);
	return check_done();
}
