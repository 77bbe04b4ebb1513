/* SPDX-License-Identifier: Apache-2.0 */
/* What the directory remembers, how long, and how much of it. */
#include "unit/service/directory_rig.h"

#include "service/directory/service_id.h"
#include "support/scratch_store.h"

static const struct service_query by_name = {.name = "pod-chat"};
static const struct service_query by_name_anew = {.name = "pod-chat", .is_anew = true};

static void setup(void)
{
	rig_init();
	rig_open();
}

static void test_finds_of_one_name_share_a_get(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(rig_start(&by_name), 0);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	CHECK_EQ(rig.found_cnt_of_calls, 0);
	rig_pass(NS_PER_MS);
	CHECK_EQ(rig.found_cnt_of_calls, 10);
	rig_fini();
}

static void test_an_answer_is_fresh_for_a_while(void)
{
	struct service_finding finding;

	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	service_directory_peek(rig.directory, &by_name, 1, rig.now_ns, &finding);
	CHECK_EQ(finding.found_cnt, 0);
	CHECK(!finding.is_fresh);
	CHECK(rig_find(&by_name));
	service_directory_peek(rig.directory, &by_name, 1, rig.now_ns, &finding);
	CHECK_EQ(finding.found_cnt, 1);
	CHECK(finding.is_fresh);
	CHECK(rig_find(&by_name));
	CHECK(rig.finding.is_cached);
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig.overlay.get_cnt, 2);
	rig_pass(SERVICE_FRESH_NS);
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.overlay.get_cnt, 3);
	rig_fini();
}

static bool peek_is_fresh(void)
{
	struct service_finding finding;

	service_directory_peek(rig.directory, &by_name, 1, rig.now_ns, &finding);
	return finding.found_cnt == 1 && finding.is_fresh;
}

/* A caller that peeks often enough never waits: an entry that gets old is renewed meanwhile. */
static void test_a_peek_at_what_gets_old_asks_anew(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	CHECK(rig_find(&by_name));
	rig_pass(SERVICE_FRESH_NS - 2 * NS_PER_MS);
	CHECK(peek_is_fresh());
	CHECK_EQ(rig.overlay.get_cnt, 1);
	rig_pass(2 * NS_PER_MS);
	CHECK(peek_is_fresh());
	CHECK(peek_is_fresh());
	CHECK_EQ(rig.overlay.get_cnt, 2);
	rig_pass(NS_PER_MS);
	CHECK(peek_is_fresh());
	CHECK_EQ(rig.overlay.get_cnt, 2);
	/* A finder meanwhile shares the get, and may leave. */
	rig_pass(SERVICE_FRESH_NS);
	CHECK(peek_is_fresh());
	CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig.overlay.get_cnt, 3);
	/* After a long time no node vouches for it. */
	rig_pass(SERVICE_PEEK_NS);
	CHECK(!peek_is_fresh());
	CHECK_EQ(rig.overlay.get_cnt, 3);
	/* Nor when no node can be asked. */
	CHECK(rig_find(&by_name));
	rig_pass(SERVICE_FRESH_NS);
	rig.overlay.start_err = WEFT_EFULL;
	CHECK(!peek_is_fresh());
	rig_fini();
}

static void test_a_doubted_answer_is_not_given_again(void)
{
	uint8_t id[SERVICE_ID_LEN], other[SERVICE_ID_LEN] = {1};
	struct service_query by_id = {.id = id};

	setup();
	rig_publish(&(struct rig_descriptor){.owner = 3});
	CHECK(rig_find(&by_name));
	memcpy(id, rig.finding.found[0].descriptor->id, sizeof(id));
	CHECK(rig_find(&by_id));
	CHECK_EQ(rig.overlay.get_cnt, 2);
	service_directory_doubt(rig.directory, other);
	CHECK(peek_is_fresh());
	CHECK(rig_find(&by_id));
	CHECK_EQ(rig.overlay.get_cnt, 2);
	service_directory_doubt(rig.directory, id);
	CHECK(!peek_is_fresh());
	CHECK(rig_find(&by_name));
	CHECK(rig_find(&by_id));
	CHECK_EQ(rig.overlay.get_cnt, 4);
	CHECK(peek_is_fresh());
	rig_fini();
}

static void test_all_of_the_cache_is_shown_newest_first(void)
{
	struct service_directory_iter iter = {0};
	struct service_found found;

	setup();
	for (unsigned owner = 1; owner < 5; owner++) {
		char name[16];

		snprintf(name, sizeof(name), "service-%u", owner);
		rig_publish(&(struct rig_descriptor){.owner = owner, .name = name});
		CHECK(rig_find(&(struct service_query){.name = name}));
	}
	rig.banned = node_key_public(rig.owners[4]);
	iter = (struct service_directory_iter){.directory = rig.directory, .now_ns = rig.now_ns};
	for (unsigned owner = 3; owner > 0; owner--) {
		CHECK(service_directory_next(&iter, &found));
		CHECK_EQ(rig_owner(found.descriptor->owner), owner);
	}
	CHECK(!service_directory_next(&iter, &found));
	rig_fini();
}

/* One owner with more major versions than one may have. */
static void test_an_owner_has_so_many_versions(void)
{
	setup();
	for (unsigned major = 0; major < 9; major++) {
		char version[16];

		snprintf(version, sizeof(version), "%u.0.0", major);
		rig_publish(&(struct rig_descriptor){.owner = 1, .version = version});
	}
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 8);
	CHECK_EQ(rig.finding.hidden[SERVICE_CROWDED_OUT], 1);
	rig_fini();
}

static void test_offline_the_cache_answers_with_ages(void)
{
	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	CHECK(rig_find(&by_name));
	rig_pass(100 * NS_PER_S);
	rig.overlay.err = WEFT_EUNREACHABLE;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.err, WEFT_EUNREACHABLE);
	CHECK(rig.finding.is_cached);
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK_EQ(rig.finding.found[0].age_s, 100);
	rig.overlay.start_err = WEFT_EFULL;
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.err, WEFT_EFULL);
	CHECK_EQ(rig.finding.found_cnt, 1);
	rig_fini();
}

static void test_lookups_have_a_limit(void)
{
	struct service_find *find;
	uint64_t wait_ns = 0;

	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(rig_start(&by_name), 0);
	CHECK_EQ(rig_start_with(&by_name, rig_found, &find, &wait_ns), WEFT_EREFUSED);
	CHECK(wait_ns > 0);
	CHECK(wait_ns <= 120 * NS_PER_S);
	rig_pass(wait_ns);
	CHECK_EQ(rig.found_cnt_of_calls, 200);
	CHECK_EQ(rig_start(&by_name), 0);
	rig_fini();
}

static void test_fetches_have_a_limit_and_then_the_cache_answers(void)
{
	struct service_directory_stats stats;

	setup();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	for (unsigned i = 0; i < 100; i++)
		CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig.finding.err, 0);
	CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig.finding.err, WEFT_EBUSY);
	CHECK_EQ(rig.finding.found_cnt, 1);
	CHECK(rig.finding.is_cached);
	CHECK_EQ(rig.overlay.get_cnt, 100);
	service_directory_stats(rig.directory, &stats);
	CHECK_EQ(stats.held_back_cnt, 1);
	CHECK_EQ(stats.fetch_cnt, 100);
	rig_fini();
}

static void test_bad_queries_are_refused(void)
{
	static const struct service_query rows[] = {
		{.name = NULL},
		{.name = ""},
		{.name = "Pod"},
		{.name = "pod-chat", .version = ">1"},
		{.name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};

	setup();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(rig_start(&rows[i]), WEFT_EMALFORMED);
	CHECK_EQ(rig.overlay.get_cnt, 0);
	rig_fini();
}

static void test_table_of_finds_has_an_end(void)
{
	unsigned cnt = 0;

	rig_init();
	rig.params.config.find_cap = 8;
	rig_open();
	while (rig_start(&by_name) == 0)
		cnt++;
	CHECK_EQ(cnt, 8);
	CHECK_EQ(rig_start(&by_name), WEFT_EFULL);
	rig_pass(NS_PER_MS);
	CHECK_EQ(rig.found_cnt_of_calls, 8);
	CHECK_EQ(rig_start(&by_name), 0);
	rig_fini();
}

static void test_a_cancelled_lookup_calls_no_callback(void)
{
	struct service_find *finds[2];
	uint64_t wait_ns;

	setup();
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(rig_start_with(&by_name, rig_found, &finds[i], &wait_ns), 0);
	service_find_cancel(finds[0]);
	CHECK_EQ(rig.overlay.cancel_cnt, 0);
	service_find_cancel(finds[1]);
	CHECK_EQ(rig.overlay.cancel_cnt, 1);
	rig_pass(NS_PER_MS);
	CHECK_EQ(rig.found_cnt_of_calls, 0);
	rig_fini();
}

/* Found while it is told: the next one is asked, the other is taken back. */
static struct service_find *other_find;

static void found_cancels(void *arg, const struct service_finding *finding, uint64_t now_ns)
{
	rig_found(arg, finding, now_ns);
	service_find_cancel(other_find);
	if (rig_start(&by_name_anew) < 0)
		abort();
}

static void test_found_may_find_and_cancel(void)
{
	struct service_find *find;
	uint64_t wait_ns;

	setup();
	CHECK_EQ(rig_start_with(&by_name, found_cancels, &find, &wait_ns), 0);
	CHECK_EQ(rig_start_with(&by_name, rig_found, &other_find, &wait_ns), 0);
	rig_pass(NS_PER_MS);
	CHECK_EQ(rig.found_cnt_of_calls, 1);
	CHECK_EQ(rig.overlay.get_cnt, 2);
	rig_pass(NS_PER_MS);
	CHECK_EQ(rig.found_cnt_of_calls, 2);
	rig_fini();
}

/* 65 providers of one name, all of them real: a better one takes the place of the worst. */
static void test_a_name_has_so_many_places(void)
{
	setup();
	rig.reputation[64] = 10;
	for (unsigned owner = 0; owner < 65; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 20);
	CHECK_EQ(rig.finding.hidden[SERVICE_CROWDED_OUT], 1);
	rig.reputation[64] = 90;
	CHECK(rig_find(&by_name_anew));
	CHECK_EQ(rig_owner(rig.descriptors[0].owner), 64);
	rig_fini();
}

static void test_a_full_cache_forgets_what_was_heard_longest_ago(void)
{
	struct service_directory_stats stats;
	char name[16];

	rig_init();
	rig.params.config.entry_cap = 16;
	rig_open();
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "service-%u", i);
		rig_publish(&(struct rig_descriptor){.owner = 1, .name = name});
		CHECK(rig_find(&(struct service_query){.name = name}));
		CHECK_EQ(rig.finding.found_cnt, 1);
	}
	service_directory_stats(rig.directory, &stats);
	CHECK_EQ(stats.entry_cnt, 16);
	rig.overlay.err = WEFT_EUNREACHABLE;
	CHECK(rig_find(&(struct service_query){.name = "service-3"}));
	CHECK_EQ(rig.finding.found_cnt, 0);
	CHECK(rig_find(&(struct service_query){.name = "service-4"}));
	CHECK_EQ(rig.finding.found_cnt, 1);
	rig_fini();
}

/* {0: layout 1, 1: when it was heard, 2: the descriptor, of 24 to 255 bytes} */
static unsigned rows_of_the_layout(struct store *store)
{
	struct store_iter iter = store_iter_fresh(store, STORE_DIRECTORY, STORE_ALL);
	struct store_item item;
	unsigned cnt = 0;

	while (store_iter_next(&iter, &item)) {
		const uint8_t *row = item.value;
		uint8_t want[] = {0xa3, 0, 1, 1, 0x1a, 0, 0, 0, 0, 2, 0x58, 0};
		size_t len = item.value_len - sizeof(want);

		memcpy(want + 5, row + 5, 4); /* the time */
		want[11] = (uint8_t)len;
		cnt += memcmp(row, want, sizeof(want)) == 0;
	}
	return store_iter_end(&iter) == 0 ? cnt : 0;
}

static void test_the_cache_outlives_the_process(void)
{
	struct store *store;

	rig_init();
	scratch_make(rig.dir);
	store = rig.params.store = scratch_store(rig.dir, true);
	rig_open();
	for (unsigned owner = 1; owner < 4; owner++)
		rig_publish(&(struct rig_descriptor){.owner = owner});
	CHECK(rig_find(&by_name));
	rig_pass(5 * NS_PER_S); /* written by then */
	store_reap(store);
	CHECK_EQ(rows_of_the_layout(store), 3);
	service_directory_free(rig.directory);
	store_crash(store);

	rig_pass(3600 * NS_PER_S);
	store = rig.params.store = scratch_store(rig.dir, true);
	rig.overlay.err = WEFT_EUNREACHABLE;
	rig.overlay.rule_cnt = 0;
	rig_open();
	CHECK(rig_find(&by_name));
	CHECK_EQ(rig.finding.found_cnt, 3);
	CHECK(rig.finding.is_cached);
	CHECK(rig.finding.found[0].age_s >= 3600);
	rig_fini();
	store_close(store);
	scratch_remove(rig.dir);
}

static void test_what_is_over_is_not_loaded(void)
{
	struct store_stats stats;
	struct store *store;

	rig_init();
	scratch_make(rig.dir);
	store = rig.params.store = scratch_store(rig.dir, true);
	rig_open();
	rig_publish(&(struct rig_descriptor){.owner = 1});
	CHECK(rig_find(&by_name));
	service_directory_free(rig.directory);
	store_flush(store);
	store_stats(store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_DIRECTORY], 1);
	rig.now_ns += 4000 * NS_PER_S;
	rig.overlay.rule_cnt = 0;
	rig_open();
	rig_pass(5 * NS_PER_S);
	store_flush(store);
	store_stats(store, &stats);
	CHECK_EQ(stats.item_cnt[STORE_DIRECTORY], 0);
	rig_fini();
	store_close(store);
	scratch_remove(rig.dir);
}

int main(void)
{
	RUN(test_finds_of_one_name_share_a_get);
	RUN(test_an_answer_is_fresh_for_a_while);
	RUN(test_a_peek_at_what_gets_old_asks_anew);
	RUN(test_a_doubted_answer_is_not_given_again);
	RUN(test_all_of_the_cache_is_shown_newest_first);
	RUN(test_an_owner_has_so_many_versions);
	RUN(test_offline_the_cache_answers_with_ages);
	RUN(test_lookups_have_a_limit);
	RUN(test_fetches_have_a_limit_and_then_the_cache_answers);
	RUN(test_bad_queries_are_refused);
	RUN(test_table_of_finds_has_an_end);
	RUN(test_a_cancelled_lookup_calls_no_callback);
	RUN(test_found_may_find_and_cancel);
	RUN(test_a_name_has_so_many_places);
	RUN(test_a_full_cache_forgets_what_was_heard_longest_ago);
	RUN(test_the_cache_outlives_the_process);
	RUN(test_what_is_over_is_not_loaded);
	return check_done();
}
