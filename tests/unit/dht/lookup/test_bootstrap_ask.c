/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups in a network of nodes: what they find, when they end, and what they are told. */
#include "unit/dht/ask_rig.h"

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

/* What is sent in [lost_ms, lost_ms + 20) of a put between two nodes is lost; 20 ms are one way. */
static void put_with_a_loss(unsigned lost_ms)
{
	static const struct mem_link sound = {.delay_ns = 20000000};
	static const struct mem_link broken = {.delay_ns = 20000000, .loss_per_1000 = 1000};
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {5};
	struct dht_put_params params = {0};
	struct dht_lab_result result;
	struct dht_asker asker;
	struct dht_item item;

	dht_lab_init(&lab, 77, 8);
	net_mem_net_set_default_link(lab.mem, &sound);
	dht_lab_grow(&lab, 2, SECOND / 10);
	(void)dht_lab_run(&lab, 600 * SECOND, NULL, NULL);
	if (!key && node_key_from_seed(seed, &key) < 0)
		abort();
	item = mutable_item("5:value", 1, "");
	params.item = &item;
	asker = dht_lab_asker(&result);
	CHECK(dht_put(dht_of(0), &params, &asker, lab.now_ns));
	lab.nodes[0].next_ns = 0;
	(void)dht_lab_run(&lab, lost_ms * (SECOND / 1000), NULL, NULL);
	net_mem_net_set_default_link(lab.mem, &broken);
	(void)dht_lab_run(&lab, SECOND / 50, NULL, NULL);
	net_mem_net_set_default_link(lab.mem, &sound);
	CHECK(dht_lab_wait(&lab, &result, 30 * SECOND));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.outcome.stored_cnt, 1);
	dht_lab_fini(&lab);
}

static void test_one_lost_datagram_ends_no_put_in_a_network_of_two(void)
{
	/* The question, the answer, the put, its answer. */
	for (unsigned lost_ms = 0; lost_ms < 80; lost_ms += 10)
		put_with_a_loss(lost_ms);
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

static void test_an_ask_without_known_nodes_fails_at_once(void)
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
	/* And the other way round: the asker is known. */
	dht_stats(late->dht, lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].good, 1);
	dht_lab_fini(&lab);
}

static void test_a_node_that_was_cut_off_for_an_hour_comes_back(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;
	struct dht_stats stats;

	begin();
	net_mem_net_set_group(lab.mem, &lab.nodes[8].addr, 1);
	(void)dht_lab_run(&lab, HOUR, NULL, NULL);
	dht_stats(dht_of(8), lab.now_ns, &stats);
	CHECK_EQ(stats.nodes[DHT_NET_IPV4].good, 0);
	CHECK(get_done(8, &get, &result));
	CHECK_EQ(result.outcome.err, WEFT_EUNREACHABLE);
	CHECK(put_done(3, &put, &result));
	net_mem_net_set_group(lab.mem, &lab.nodes[8].addr, 0);
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

static void test_a_cancelled_ask_calls_no_callback(void)
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
	CHECK_EQ(stats.lookup_cnt, 0);
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
	CHECK_EQ(begun, lab.nodes[9].config.lookup_cap);
	(void)dht_lab_run(&lab, 30 * SECOND, NULL, NULL);
	CHECK(dht_get(dht_of(9), &get, &nobody, lab.now_ns));
	dht_lab_fini(&lab);
}

/* The asker may be gone while the item lives on. */
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
	/* A kept item is put again though no caller asked for it in this life. */
	(void)dht_lab_run(&lab, 4 * HOUR, NULL, NULL);
	CHECK(get_done(6, &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	dht_lab_fini(&lab);
}

int main(void)
{
	RUN(test_announced_peers_are_found);
	RUN(test_peers_that_lie_here_are_found_when_all_others_are_gone);
	RUN(test_one_lost_datagram_ends_no_put_in_a_network_of_two);
	RUN(test_lookup_finds_the_nearest);
	RUN(test_an_ask_without_known_nodes_fails_at_once);
	RUN(test_dead_bootstrap_is_unreachable_and_tried_again);
	RUN(test_a_node_that_was_cut_off_for_an_hour_comes_back);
	RUN(test_the_other_network_is_as_good);
	RUN(test_get_ends_within_its_budget);
	RUN(test_first_item_is_enough_when_said_so);
	RUN(test_a_cancelled_ask_calls_no_callback);
	RUN(test_one_search_too_many_is_refused);
	RUN(test_warm_start_needs_no_bootstrap);
	node_key_free(key);
	return check_done();
}
