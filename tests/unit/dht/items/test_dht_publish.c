/* SPDX-License-Identifier: Apache-2.0 */
/* Items in a network of nodes: put, got again, replaced, and kept. */
#include "unit/dht/ask_rig.h"

/* A node that holds an item itself asks no other for it. */
static unsigned node_without_items(void)
{
	struct dht_stats stats = {.item_cnt = 1};
	unsigned node = NODES;

	while (stats.item_cnt && node-- > 0)
		dht_stats(dht_of(node), lab.now_ns, &stats);
	return node;
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
	CHECK(get_done(node_without_items(), &get, &result));
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

static void test_a_survey_counts_the_holders_and_leaves_itself_out(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_put_params put = {.item = &item};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result;
	struct dht_stats stats;
	unsigned stored_cnt, holder = NODES;

	begin_without_loss();
	CHECK(put_done(3, &put, &result));
	stored_cnt = result.outcome.stored_cnt;
	CHECK(stored_cnt >= 6);
	get.is_survey = true;
	CHECK(get_done(node_without_items(), &get, &result));
	CHECK_EQ(result.outcome.err, 0);
	CHECK_EQ(result.outcome.holder_cnt, stored_cnt);
	for (unsigned i = 0; i < NODES; i++) {
		dht_stats(dht_of(i), lab.now_ns, &stats);
		if (stats.item_cnt)
			holder = i;
	}
	CHECK(holder < NODES);
	CHECK(get_done(holder, &get, &result));
	CHECK_EQ(result.outcome.holder_cnt, stored_cnt - 1);
	for (unsigned i = 0; i < NODES; i++)
		if (i != holder)
			dht_lab_stop(&lab.nodes[i]);
	CHECK(get_done(holder, &get, &result));
	CHECK_EQ(result.outcome.holder_cnt, 0);
	CHECK_EQ(result.item_cnt, 0);
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

/* A node that has just started does not know those nearest to its key yet. */
static void test_kept_put_is_repeated_once_after_a_minute(void)
{
	struct dht_lab_result result;
	struct dht_put_params put;
	struct dht_asker asker;
	struct dht_item item;

	begin_without_loss();
	item = mutable_item("4:kept", 7, "");
	put = (struct dht_put_params){.item = &item, .is_kept = true};
	asker = dht_lab_asker(&result);
	CHECK(dht_put(dht_of(3), &put, &asker, lab.now_ns));
	(void)dht_lab_run(&lab, 50 * SECOND, NULL, NULL);
	CHECK_EQ(result.ended_cnt, 1);
	CHECK_EQ(result.outcome.err, 0);
	(void)dht_lab_run(&lab, 30 * SECOND, NULL, NULL);
	CHECK_EQ(result.ended_cnt, 2);
	(void)dht_lab_run(&lab, HOUR - 600 * SECOND, NULL, NULL);
	CHECK_EQ(result.ended_cnt, 2);
	(void)dht_lab_run(&lab, 1200 * SECOND, NULL, NULL);
	CHECK_EQ(result.ended_cnt, 3);
	dht_lab_fini(&lab);
}

static void test_kept_put_without_its_asker_goes_on_without_a_callback(void)
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

/* A reader of the item may put it through this node. */
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

static void test_every_asker_of_one_target_is_answered(void)
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

/* A put is cancelled while its lookup is out: its asker hears nothing, and nothing of it stays. */
static void test_a_put_cancelled_in_its_search_ends_untold(void)
{
	struct dht_item item = {.value = (const uint8_t *)"5:hello", .value_len = 7};
	struct dht_get_params get = get_params(&item);
	struct dht_lab_result result, got;

	for (unsigned is_kept = 0; is_kept < 2; is_kept++) {
		struct dht_put_params put = {.item = &item, .is_kept = is_kept};
		struct dht_asker asker = dht_lab_asker(&result);
		struct dht_stats stats;
		dht_handle handle;

		begin();
		handle = dht_put(dht_of(3), &put, &asker, lab.now_ns);
		CHECK(handle);
		/* A kept one begins with the next turn of the timers. */
		do {
			(void)dht_lab_run(&lab, SECOND / 20, NULL, NULL);
			dht_stats(dht_of(3), lab.now_ns, &stats);
		} while (!stats.lookup_cnt && stats.own_cnt && !result.ended_cnt);
		CHECK_EQ(result.ended_cnt, 0);
		CHECK_EQ(stats.lookup_cnt, 1);
		CHECK_EQ(stats.own_cnt, 1);
		dht_cancel(dht_of(3), handle);
		dht_stats(dht_of(3), lab.now_ns, &stats);
		CHECK_EQ(stats.lookup_cnt, 0);
		CHECK_EQ(stats.own_cnt, 0);
		dht_cancel(dht_of(3), handle); /* it is gone: nothing */
		(void)dht_lab_run(&lab, 5 * HOUR, NULL, NULL);
		CHECK_EQ(result.ended_cnt, 0);
		CHECK(get_done(22, &get, &got));
		CHECK_EQ(got.outcome.err, WEFT_EABSENT);
		dht_lab_fini(&lab);
	}
}

static void test_item_that_no_node_would_store_is_not_put(void)
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

int main(void)
{
	RUN(test_immutable_put_is_got_elsewhere);
	RUN(test_what_lies_here_is_found_when_all_others_are_gone);
	RUN(test_a_survey_counts_the_holders_and_leaves_itself_out);
	RUN(test_mutable_put_with_salt_is_got_and_replaced);
	RUN(test_put_below_a_newer_one_is_stale_and_says_how_far);
	RUN(test_seq_is_the_clock_but_above_the_last);
	RUN(test_cas_that_does_not_match_is_refused_and_counted);
	RUN(test_put_that_eight_hold_is_not_sent_again);
	RUN(test_kept_put_outlives_its_holders);
	RUN(test_kept_put_is_repeated_once_after_a_minute);
	RUN(test_kept_put_without_its_asker_goes_on_without_a_callback);
	RUN(test_a_passing_put_leaves_the_kept_one_alone);
	RUN(test_one_own_too_many_is_refused_and_one_target_is_one);
	RUN(test_every_asker_of_one_target_is_answered);
	RUN(test_a_put_cancelled_in_its_search_ends_untold);
	RUN(test_item_that_no_node_would_store_is_not_put);
	RUN(test_what_is_kept_for_this_life_alone_is_not_put_in_the_next);
	node_key_free(key);
	return check_done();
}
