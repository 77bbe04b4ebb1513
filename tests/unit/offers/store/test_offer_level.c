/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of verification as one more column of what offers are found by. */
#include "offer_store_rig.h"

#define PROVIDERS 64u

static unsigned levels[PROVIDERS]; /* of the providers' addresses, by their numbers */
static uint8_t addresses[PROVIDERS][SERVICE_MESSAGE_ADDRESS_LEN];

static unsigned on_level(void *ctx, uint32_t service, const uint8_t *provider)
{
	(void)ctx;
	if (service != rig.schema->id)
		abort();
	for (unsigned i = 0; i < PROVIDERS; i++)
		if (memcmp(addresses[i], provider, SERVICE_MESSAGE_ADDRESS_LEN) == 0)
			return levels[i];
	return 0;
}

static unsigned lifted_cnt, lifted_before, lifted_level;
static bool is_wanted;

static void on_lifted(void *ctx, const struct offer_view *view, unsigned before)
{
	(void)ctx;
	CHECK(view->announce_len > 0);
	lifted_cnt++;
	lifted_before = before;
	lifted_level = view->level;
}

static bool on_wants(void *ctx, uint32_t service)
{
	(void)ctx;
	return is_wanted && service == rig.schema->id;
}

static void level_open(void)
{
	struct offer_store_params params = {.random = &rig.dice,
					    .unit_cap = rig.unit_cap,
					    .level_of = on_level,
					    .lifted = on_lifted,
					    .wants_lifted = on_wants};

	rig.store = params.store = scratch_store(rig.dir, true);
	CHECK_EQ(offers_store_open(&params, &rig.offers), 0);
	CHECK_EQ(offers_store_add(rig.offers, rig.schema), 0);
	CHECK_EQ(offers_store_load(rig.offers, rig.now_s, rig.now_ns), 0);
}

static void level_begin(uint32_t unit_cap)
{
	rig_begin(unit_cap);
	rig_close();
	memset(levels, 0, sizeof(levels));
	for (unsigned i = 0; i < PROVIDERS; i++) {
		uint8_t key[OFFER_KEY_LEN];

		rig_key(i, key);
		offers_address(key, addresses[i]);
	}
	level_open();
}

struct found {
	unsigned cnt, visit_cnt;
	bool is_partial;
};

static struct found find(uint8_t level_min, uint8_t level_end)
{
	struct offer_search search = {.schema = rig.schema,
				      .before = OFFER_NEWEST,
				      .page_max = 7,
				      .now_s = rig.now_s,
				      .level_min = level_min,
				      .level_end = level_end,
				      .fn = rig_see};
	struct offer_search_result result;
	struct found found = {0};

	do {
		if (offers_store_search(rig.offers, &search, &result) < 0)
			abort();
		found.cnt += result.cnt;
		found.visit_cnt += result.visit_cnt;
		found.is_partial |= result.is_partial;
		search.before = result.next;
	} while (result.next);
	return found;
}

static void test_offers_are_found_by_the_level_of_their_provider(void)
{
	level_begin(1000);
	for (unsigned i = 0; i < 40; i++) {
		levels[i] = i % 4;
		CHECK_EQ(rig_put(&(struct rig_word){.provider = i}), OFFER_STORED);
	}
	CHECK_EQ(find(0, 0).cnt, 40);
	CHECK_EQ(find(1, 0).cnt, 30);
	CHECK_EQ(find(2, 0).cnt, 20);
	CHECK_EQ(find(3, 0).cnt, 10);
	CHECK_EQ(find(0, 2).cnt, 20);
	CHECK_EQ(find(1, 3).cnt, 20);
	CHECK(rig_get(6, 0));
	CHECK_EQ(rig_seen.view.level, 2);
	rig_end();
}

static void test_own_offers_are_found_at_each_level(void)
{
	level_begin(1000);
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 1, .is_own = true}), OFFER_STORED);
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 2}), OFFER_STORED);
	CHECK_EQ(find(3, 0).cnt, 1);
	CHECK_EQ(find(0, 3).cnt, 1);
	CHECK(rig_get(1, 0));
	CHECK_EQ(rig_seen.view.level, OFFER_LEVEL_OWN);
	rig_end();
}

static void test_another_level_holds_at_once_where_all_rows_are_looked_at(void)
{
	level_begin(1000);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(rig_put(&(struct rig_word){.provider = i, .offer = i}), OFFER_STORED);
	for (unsigned n = 0; n < 3; n++) {
		levels[5] = levels[9] = 2;
		offers_store_relevel(rig.offers, UINT32_MAX);
		CHECK_EQ(find(2, 0).cnt, 2);
		CHECK(!find(2, 0).is_partial);
		levels[5] = levels[9] = 0;
		offers_store_relevel(rig.offers, UINT32_MAX);
		CHECK_EQ(find(2, 0).cnt, 0);
		CHECK_EQ(find(0, 2).cnt, 40);
	}
	rig_end();
}

/* Before the rows were gone over a lower level holds already, and a higher one soon does. */
static void test_an_offer_that_is_lifted_is_given_once_and_one_that_falls_is_not(void)
{
	level_begin(1000);
	is_wanted = true;
	lifted_cnt = 0;
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(rig_put(&(struct rig_word){.provider = i, .offer = i}), OFFER_STORED);
	levels[5] = 1;
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(lifted_cnt, 1);
	CHECK_EQ(lifted_before, 0);
	CHECK_EQ(lifted_level, 1);
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(lifted_cnt, 1);
	/* By parts it comes with the part, and by the level before. */
	levels[5] = 3;
	levels[6] = 2;
	offers_store_relevel(rig.offers, 0);
	CHECK_EQ(lifted_cnt, 1);
	(void)rig_pass(0);
	CHECK_EQ(lifted_cnt, 3);
	levels[5] = levels[6] = 0;
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(lifted_cnt, 3);
	/* Nothing is read where it is not wanted. */
	is_wanted = false;
	levels[5] = 3;
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(lifted_cnt, 3);
	rig_end();
}

static void test_a_level_that_was_lost_is_never_shown(void)
{
	level_begin(1000);
	levels[5] = 2;
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 5}), OFFER_STORED);
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 6}), OFFER_STORED);
	levels[5] = 0;
	levels[6] = 2;
	offers_store_relevel(rig.offers, 0);
	CHECK_EQ(find(2, 0).cnt, 0);
	CHECK(find(2, 0).is_partial);
	CHECK_EQ(offers_store_next_ns(rig.offers, rig.now_s, rig.now_ns), rig.now_ns);
	(void)rig_pass(0);
	CHECK_EQ(find(2, 0).cnt, 1);
	CHECK(!find(2, 0).is_partial);
	rig_end();
}

static void test_levels_outlive_updates_and_restarts(void)
{
	level_begin(1000);
	levels[5] = 2;
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 5}), OFFER_STORED);
	CHECK_EQ(rig_put(&(struct rig_word){.type = SERVICE_MESSAGE_UPDATE,
					    .provider = 5,
					    .sequence = 2,
					    .base = 1,
					    .fields = {"rent=7"}}),
		 OFFER_REPLACED);
	CHECK_EQ(find(2, 3).cnt, 1);
	(void)rig_pass(0);
	rig_close();
	level_open();
	CHECK_EQ(find(2, 3).cnt, 1);
	CHECK_EQ(rig_put(&(struct rig_word){
			 .type = SERVICE_MESSAGE_REVOKE, .provider = 5, .sequence = 3}),
		 OFFER_REVOKED);
	levels[5] = 3;
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(find(0, 0).cnt, 0);
	rig_end();
}

static void test_an_offer_in_the_seed_form_is_of_level_1_at_most(void)
{
	level_begin(1000);
	for (unsigned i = 0; i < 4; i++) {
		levels[i] = i;
		CHECK_EQ(rig_put(&(struct rig_word){.provider = i, .is_seed_form = true}),
			 OFFER_STORED);
	}
	CHECK_EQ(find(0, 1).cnt, 1);
	CHECK_EQ(find(1, 2).cnt, 3);
	CHECK_EQ(find(2, 0).cnt, 0);
	CHECK(rig_get(3, 0));
	CHECK_EQ(rig_seen.view.level, 1);
	(void)rig_pass(0);
	rig_close();
	level_open();
	CHECK_EQ(find(2, 0).cnt, 0);
	levels[0] = 3;
	offers_store_relevel(rig.offers, UINT32_MAX);
	CHECK_EQ(find(1, 2).cnt, 4);
	/* The provider's own word in full cover has all of its level. */
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 3, .sequence = 2}), OFFER_REPLACED);
	CHECK_EQ(find(3, 0).cnt, 1);
	rig_end();
}

/* One verified offer behind thousands of others costs what the page costs, not a walk. */
static void test_a_find_by_level_looks_at_few_rows(void)
{
	level_begin(8000);
	levels[5] = 2;
	CHECK_EQ(rig_put(&(struct rig_word){.provider = 5}), OFFER_STORED);
	for (unsigned i = 0; i < 5000; i++)
		CHECK_EQ(rig_put(&(struct rig_word){.provider = 6 + i % 50, .offer = i}),
			 OFFER_STORED);
	CHECK_EQ(find(2, 0).cnt, 1);
	CHECK(find(2, 0).visit_cnt < 10);
	rig_end();
}

int main(void)
{
	RUN(test_offers_are_found_by_the_level_of_their_provider);
	RUN(test_own_offers_are_found_at_each_level);
	RUN(test_another_level_holds_at_once_where_all_rows_are_looked_at);
	RUN(test_an_offer_that_is_lifted_is_given_once_and_one_that_falls_is_not);
	RUN(test_a_level_that_was_lost_is_never_shown);
	RUN(test_levels_outlive_updates_and_restarts);
	RUN(test_an_offer_in_the_seed_form_is_of_level_1_at_most);
	RUN(test_a_find_by_level_looks_at_few_rows);
	return check_done();
}
