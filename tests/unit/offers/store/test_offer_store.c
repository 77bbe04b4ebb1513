/* SPDX-License-Identifier: Apache-2.0 */
/* What messages do to the offers that they name, in memory and on the disk. */
#include "offer_store_rig.h"

#define PUT(...)    rig_put(&(struct rig_word){__VA_ARGS__})
#define UPDATE(...) PUT(.type = SERVICE_MESSAGE_UPDATE, __VA_ARGS__)
#define REVOKE(...) PUT(.type = SERVICE_MESSAGE_REVOKE, __VA_ARGS__)

static void test_an_offer_is_kept_as_it_was_received(void)
{
	static struct rig_message message;
	struct rig_word word = {.provider = 1, .fields = {"kind=flat", "rent=700"}};

	rig_begin(64);
	rig_write(&word, &message);
	CHECK_EQ(rig_put_message(&word, &message), OFFER_STORED);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(rig_get(1, 0));
		CHECK_EQ(rig_seen.view.announce_len, message.len);
		CHECK_MEM(rig_seen.announce, message.bytes, message.len);
		CHECK(!rig_seen.view.update);
		CHECK_EQ(rig_seen.view.expires_s, rig.now_s + 24 * 3600);
		CHECK_EQ(RIG_FIND("max_rent=700", "kind=flat"), 1);
		CHECK_EQ(RIG_FIND("max_rent=699"), 0);
		if (i == 0)
			rig_pass(0);
		else if (i == 1)
			rig_crash();
	}
	rig_end();
}

static void test_done_comes_when_it_is_durable_and_not_before(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1), OFFER_STORED);
	CHECK(rig_is_live(1, 0));
	(void)store_reap(rig.store);
	CHECK_EQ(rig.done_cnt, 0);
	rig_crash();
	CHECK(!rig_get(1, 0));
	CHECK_EQ(PUT(.provider = 1), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 2), OFFER_STORED);
	rig_pass(0);
	CHECK_EQ(rig.done_cnt, 2);
	CHECK_EQ(PUT(.provider = 3), OFFER_STORED);
	rig_crash();
	CHECK(rig_is_live(1, 0) && rig_is_live(2, 0) && !rig_get(3, 0));
	rig_end();
}

static void test_the_newest_word_counts_whatever_the_order(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .sequence = 5, .fields = {"kind=flat", "rent=500"}),
		 OFFER_STORED);
	CHECK_EQ(PUT(.provider = 1, .sequence = 5, .fields = {"kind=flat", "rent=500"}),
		 OFFER_DUPLICATE);
	CHECK_EQ(PUT(.provider = 1, .sequence = 4, .fields = {"kind=flat", "rent=400"}),
		 OFFER_OLDER);
	CHECK_EQ(PUT(.provider = 1, .sequence = 5, .at_s = rig.now_s - 1), OFFER_OLDER);
	CHECK_EQ(RIG_FIND("max_rent=499"), 0);
	CHECK_EQ(PUT(.provider = 1, .sequence = 5, .at_s = rig.now_s + 1,
		     .fields = {"kind=house", "rent=450"}),
		 OFFER_REPLACED);
	CHECK_EQ(PUT(.provider = 1, .sequence = 6, .fields = {"kind=house", "rent=300"}),
		 OFFER_REPLACED);
	CHECK_EQ(RIG_FIND("max_rent=300", "kind=house"), 1);
	CHECK_EQ(RIG_FIND("kind=flat"), 0);
	CHECK_EQ(rig_counts().offer_cnt, 1);
	/* Another offer of the provider, and the same of another one, are theirs. */
	CHECK_EQ(PUT(.provider = 1, .offer = 1), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 2), OFFER_STORED);
	CHECK_EQ(rig_counts().offer_cnt, 3);
	rig_end();
}

static void test_an_update_changes_what_it_names_and_prolongs_nothing(void)
{
	static struct rig_message update;
	struct rig_word word = {.type = SERVICE_MESSAGE_UPDATE,
				.provider = 1,
				.sequence = 2,
				.base = 1,
				.ttl_hours = 900,
				.fields = {"rent=430"}};
	uint64_t order;

	rig_begin(64);
	CHECK_EQ(UPDATE(.provider = 1, .sequence = 2, .base = 1, .fields = {"rent=1"}),
		 OFFER_NO_BASE);
	CHECK_EQ(PUT(.provider = 1, .fields = {"kind=flat", "rent=450", "postcode=10115"}),
		 OFFER_STORED);
	CHECK(rig_get(1, 0));
	order = rig_seen.view.order;
	rig_write(&word, &update);
	CHECK_EQ(rig_put_message(&word, &update), OFFER_REPLACED);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(RIG_FIND("max_rent=430", "kind=flat", "plz=101"), 1);
		CHECK_EQ(rig_seen.view.order, order);
		CHECK_EQ(rig_seen.view.update_len, update.len);
		CHECK_MEM(rig_seen.update, update.bytes, update.len);
		CHECK_EQ(rig_seen.view.expires_s, rig.now_s + 24 * 3600);
		if (i == 0)
			(void)rig_pass(0);
		else if (i == 1)
			rig_crash();
	}
	CHECK_EQ(rig_put_message(&word, &update), OFFER_DUPLICATE);
	/* Cumulative: the third says nothing of the rent, which is the Announce's again. */
	CHECK_EQ(UPDATE(.provider = 1, .sequence = 3, .base = 1, .fields = {"postcode="}),
		 OFFER_REPLACED);
	CHECK_EQ(RIG_FIND("max_rent=449"), 0);
	CHECK_EQ(RIG_FIND("max_rent=450"), 1);
	CHECK_EQ(RIG_FIND("plz=1"), 0);
	/* Of another Announce, or one that would leave nothing required. */
	CHECK_EQ(UPDATE(.provider = 1, .sequence = 9, .base = 2, .fields = {"rent=1"}),
		 OFFER_NO_BASE);
	CHECK_EQ(UPDATE(.provider = 1, .sequence = 9, .base = 1, .fields = {"kind="}), OFFER_UNFIT);
	CHECK_EQ(RIG_FIND("max_rent=450"), 1);
	/* A newer Announce takes the Update's place, too. */
	CHECK_EQ(PUT(.provider = 1, .sequence = 4, .fields = {"kind=house", "rent=10"}),
		 OFFER_REPLACED);
	CHECK(rig_get(1, 0) && !rig_seen.view.update);
	CHECK_EQ(UPDATE(.provider = 1, .sequence = 5, .base = 1, .fields = {"rent=1"}),
		 OFFER_NO_BASE);
	CHECK_EQ(rig_pass(24 * 3600), 1);
	rig_end();
}

static void test_a_revoked_offer_stays_gone(void)
{
	static struct rig_message announce;
	struct rig_word word = {.provider = 1, .ttl_hours = 48};

	rig_begin(64);
	rig_write(&word, &announce);
	CHECK_EQ(rig_put_message(&word, &announce), OFFER_STORED);
	/* Its own life is shorter than what it takes back. */
	CHECK_EQ(REVOKE(.provider = 1, .sequence = 2, .ttl_hours = 1), OFFER_REVOKED);
	CHECK_EQ(RIG_FIND("kind=flat"), 0);
	CHECK(rig_get(1, 0) && rig_seen.view.is_tombstone);
	rig_pass(0);
	for (unsigned i = 0; i < 47; i++) {
		CHECK_EQ(rig_put_message(&word, &announce), OFFER_GONE);
		CHECK_EQ(UPDATE(.provider = 1, .sequence = 3, .base = 1, .fields = {"rent=1"}),
			 OFFER_NO_BASE);
		if (i == 20)
			rig_crash();
		CHECK_EQ(rig_pass(3600), 0);
	}
	CHECK_EQ(rig_counts().tombstone_cnt, 1);
	CHECK_EQ(rig_pass(3600), 1);
	CHECK_EQ(rig_counts().tombstone_cnt, 0);
	CHECK_EQ(rig_put_message(&word, &announce), OFFER_EXPIRED);
	rig_end();
}

static void test_a_revoke_before_its_announce_bars_it(void)
{
	rig_begin(64);
	CHECK_EQ(REVOKE(.provider = 1, .sequence = 2), OFFER_REVOKED);
	CHECK_EQ(PUT(.provider = 1, .sequence = 1), OFFER_GONE);
	CHECK_EQ(REVOKE(.provider = 1, .sequence = 2), OFFER_DUPLICATE);
	/* The provider may offer it anew. */
	CHECK_EQ(PUT(.provider = 1, .sequence = 3), OFFER_REPLACED);
	CHECK(rig_is_live(1, 0));
	CHECK_EQ(RIG_FIND("kind=flat"), 1);
	CHECK_EQ(REVOKE(.provider = 1, .sequence = 3), OFFER_REVOKED);
	CHECK_EQ(PUT(.provider = 1, .sequence = 3), OFFER_GONE);
	rig_end();
}

static void test_times_out_of_bounds_are_refused(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .at_s = rig.now_s + 301), OFFER_EARLY);
	CHECK_EQ(PUT(.provider = 1, .at_s = rig.now_s + 300), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 2, .at_s = rig.now_s - 3600, .ttl_hours = 1), OFFER_EXPIRED);
	CHECK_EQ(PUT(.provider = 2, .at_s = rig.now_s - 3599, .ttl_hours = 1), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 3, .at_s = UINT64_MAX), OFFER_EARLY);
	CHECK_EQ(PUT(.provider = 4, .ttl_hours = 65535), OFFER_STORED);
	CHECK(rig_get(4, 0));
	CHECK_EQ(rig_seen.view.expires_s, rig.now_s + 8760 * 3600);
	rig_end();
}

static void test_as_many_expire_as_have_lived(void)
{
	rig_begin(4096);
	for (unsigned i = 0; i < 300; i++)
		CHECK_EQ(PUT(.provider = i, .ttl_hours = 1 + i % 3), OFFER_STORED);
	CHECK_EQ(rig_pass(3599), 0);
	CHECK_EQ(rig_pass(1), 100);
	CHECK_EQ(RIG_FIND("kind=flat"), 200);
	CHECK_EQ(rig_pass(3600), 100);
	/* Two hours pass while it is off. */
	rig.now_s += 3600;
	rig_crash();
	CHECK_EQ(rig_counts().offer_cnt, 0);
	CHECK_EQ(rig_counts().expired_cnt, 100);
	rig_pass(0);
	rig_crash();
	CHECK_EQ(rig_counts().expired_cnt, 0);
	rig_end();
}

static void test_an_expire_drops_no_more_than_a_part_at_once(void)
{
	rig_begin(4096);
	for (unsigned i = 0; i < OFFER_EXPIRE_MAX + 5; i++)
		CHECK_EQ(PUT(.provider = i, .ttl_hours = 1), OFFER_STORED);
	rig_pass(0);
	CHECK_EQ(rig_pass(3600), OFFER_EXPIRE_MAX);
	CHECK(offers_store_next_ns(rig.offers, rig.now_s, rig.now_ns) <= rig.now_ns);
	CHECK_EQ(rig_pass(0), 5);
	CHECK_EQ(rig_pass(0), 0);
	CHECK_EQ(offers_store_next_ns(rig.offers, rig.now_s, rig.now_ns), UINT64_MAX);
	rig_end();
}

/* What is no longer in life is not found, even if no expire came yet. */
static void test_an_offer_that_is_over_is_not_found(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .ttl_hours = 1), OFFER_STORED);
	rig.now_s += 3600;
	CHECK_EQ(RIG_FIND("kind=flat"), 0);
	CHECK_EQ(PUT(.provider = 1, .ttl_hours = 1), OFFER_STORED);
	CHECK_EQ(RIG_FIND("kind=flat"), 1);
	rig_end();
}

static void test_a_failed_disk_leaves_what_it_has(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .fields = {"kind=flat", "rent=100"}), OFFER_STORED);
	rig_pass(0);
	store_freeze(rig.store);
	CHECK_EQ(PUT(.provider = 1, .sequence = 2, .fields = {"kind=flat", "rent=90"}),
		 OFFER_REPLACED);
	CHECK_EQ(PUT(.provider = 2), OFFER_STORED);
	CHECK_EQ(RIG_FIND("max_rent=90"), 1);
	rig_pass(0);
	CHECK_EQ(rig.failed_cnt, 2);
	CHECK_EQ(rig_counts().failed_cnt, 2);
	CHECK(rig_is_live(1, 0) && !rig_get(2, 0));
	CHECK_EQ(RIG_FIND("max_rent=90"), 0);
	CHECK_EQ(RIG_FIND("max_rent=100"), 1);
	CHECK_EQ(rig_counts().offer_cnt, 1);
	rig_crash();
	CHECK_EQ(RIG_FIND("max_rent=100"), 1);
	rig_end();
}

static void test_a_disk_that_lags_refuses_before_anything_changes(void)
{
	static char text[8100] = "text=";
	unsigned put_cnt = 0;
	struct offer_store_counts counts;

	memset(text + 5, 'x', 8000);
	rig_begin(1u << 16);
	while (put_cnt < 5000 &&
	       PUT(.provider = put_cnt, .fields = {"kind=flat", "rent=1", text}) == OFFER_STORED)
		put_cnt++;
	counts = rig_counts();
	CHECK_EQ(counts.offer_cnt, put_cnt);
	CHECK_EQ(counts.verdict_cnts[OFFER_LAGS], 1);
	CHECK(put_cnt > 1000 && put_cnt < 5000);
	rig_pass(0);
	CHECK_EQ(rig.done_cnt, put_cnt);
	CHECK_EQ(PUT(.provider = put_cnt), OFFER_STORED);
	rig_end();
}

static void test_a_schema_that_comes_later_finds_what_is_there(void)
{
	struct schema_fault fault;
	struct schema *schema;

	rig_begin(4096);
	for (unsigned i = 0; i < 600; i++)
		CHECK_EQ(PUT(.provider = i), OFFER_STORED);
	CHECK_EQ(REVOKE(.provider = 599, .sequence = 2), OFFER_REVOKED);
	rig_pass(0);
	offers_store_remove(rig.offers, rig.schema);
	CHECK_EQ(offers_schema_parse(RIG_SCHEMA, strlen(RIG_SCHEMA), &schema, &fault), 0);
	offers_schema_free(rig.schema);
	rig.schema = schema;
	/* Without one an offer is kept, and found by its name alone. */
	CHECK_EQ(PUT(.provider = 600), OFFER_STORED);
	CHECK(rig_is_live(600, 0));
	CHECK_EQ(offers_store_add(rig.offers, rig.schema), 0);
	CHECK_EQ(RIG_FIND("kind=flat"), 0);
	CHECK_EQ(offers_store_next_ns(rig.offers, rig.now_s, rig.now_ns), rig.now_ns);
	for (unsigned i = 0; i < 3; i++)
		rig_pass(0);
	CHECK_EQ(RIG_FIND("kind=flat"), 600);
	CHECK_EQ(rig_counts().tombstone_cnt, 1);
	rig_end();
}

static bool each_count(void *arg, const struct offer_view *view)
{
	(void)view;
	++*(unsigned *)arg;
	return true;
}

static void test_own_offers_are_listed_and_survive(void)
{
	unsigned cnt = 0;

	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .is_own = true), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 1, .offer = 1, .is_own = true), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 2), OFFER_STORED);
	rig_pass(0);
	rig_crash();
	CHECK_EQ(rig_counts().own_cnt, 2);
	CHECK_EQ(offers_store_each(rig.offers, true, each_count, &cnt), 0);
	CHECK_EQ(cnt, 2);
	CHECK_EQ(offers_store_each(rig.offers, false, each_count, &cnt), 0);
	CHECK_EQ(cnt, 5);
	rig_end();
}

/* Offers whose refs begin as that of the first offer of provider. */
static bool count_ref(void *arg, const struct offer_name *name, bool is_own)
{
	(void)name, (void)is_own;
	return ++*(unsigned *)arg < 1000;
}

static unsigned refs_of(unsigned provider)
{
	uint8_t key[OFFER_KEY_LEN], ref[OFFER_REF_LEN];
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	const uint8_t offer_id[OFFER_ID_LEN] = {0};
	unsigned cnt = 0;

	rig_key(provider, key);
	offers_address(key, address);
	offers_ref(rig.schema->id, address, offer_id, ref);
	offers_store_refs(rig.offers, ref, count_ref, &cnt);
	return cnt;
}

static void test_an_offer_has_a_ref_as_long_as_it_lives(void)
{
	rig_begin(4096);
	for (unsigned i = 1; i <= 1000; i++)
		CHECK_EQ(PUT(.provider = i, .ttl_hours = i % 2 ? 24 : 48, .network = i),
			 OFFER_STORED);
	rig_pass(0);
	rig_crash();
	for (unsigned i = 1; i <= 1000; i++)
		CHECK_EQ(refs_of(i), 1);
	CHECK_EQ(refs_of(1001), 0);
	CHECK_EQ(REVOKE(.provider = 2, .sequence = 2), OFFER_REVOKED);
	CHECK_EQ(refs_of(2), 0);
	rig.now_s += 24 * 3600 + 1;
	while (rig_pass(0))
		;
	for (unsigned i = 3; i <= 1000; i++)
		CHECK_EQ(refs_of(i), i % 2 ? 0 : 1);
	rig_end();
}

static void test_what_changes_nothing_is_known_before_its_signature(void)
{
	static struct rig_message message;
	struct rig_word word = {.provider = 1, .sequence = 5};
	struct offer_put put = {.bytes = message.bytes,
				.msg = &message.msg,
				.terms = &message.terms,
				.source = &(struct addr){.ip = {20, 0, 1, 1}, .family = ADDR_IPV4}};

	rig_begin(64);
	rig_write(&word, &message);
	put.len = message.len;
	put.now_s = rig.now_s;
	put.now_ns = rig.now_ns;
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_STORED);
	CHECK(!rig_get(1, 0)); /* it puts nothing */
	CHECK_EQ(rig_put_message(&word, &message), OFFER_STORED);
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_DUPLICATE);
	word.sequence = 4;
	rig_write(&word, &message);
	put.len = message.len;
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_OLDER);
	CHECK_EQ(REVOKE(.provider = 1, .sequence = 6), OFFER_REVOKED);
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_GONE);
	CHECK_EQ(rig_counts().verdict_cnts[OFFER_DUPLICATE], 1);
	rig_end();
}

/* The seed form with text keys: its address is a hash, by which no signature can be checked. */
static void test_an_announce_without_its_providers_key_is_counted(void)
{
	static struct rig_message message;
	struct offer_put put = {.msg = &message.msg, .terms = &message.terms};
	struct offer_store_stats stats;

	rig_begin(64);
	rig_write(&(struct rig_word){.provider = 1}, &message);
	put.bytes = message.bytes;
	put.len = message.len;
	put.now_s = rig.now_s;
	put.now_ns = rig.now_ns;
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_STORED);
	message.terms.provider_key = NULL;
	CHECK_EQ(offers_store_judge(rig.offers, &put), OFFER_NO_KEY);
	offers_store_stats(rig.offers, &stats);
	CHECK_EQ(stats.keyless_cnt, 1);
	CHECK_EQ(stats.unfit_cnt, 0);
	rig_end();
}

int main(void)
{
	RUN(test_an_offer_is_kept_as_it_was_received);
	RUN(test_done_comes_when_it_is_durable_and_not_before);
	RUN(test_the_newest_word_counts_whatever_the_order);
	RUN(test_an_update_changes_what_it_names_and_prolongs_nothing);
	RUN(test_a_revoked_offer_stays_gone);
	RUN(test_a_revoke_before_its_announce_bars_it);
	RUN(test_times_out_of_bounds_are_refused);
	RUN(test_as_many_expire_as_have_lived);
	RUN(test_an_expire_drops_no_more_than_a_part_at_once);
	RUN(test_an_offer_that_is_over_is_not_found);
	RUN(test_a_failed_disk_leaves_what_it_has);
	RUN(test_a_disk_that_lags_refuses_before_anything_changes);
	RUN(test_a_schema_that_comes_later_finds_what_is_there);
	RUN(test_own_offers_are_listed_and_survive);
	RUN(test_an_offer_has_a_ref_as_long_as_it_lives);
	RUN(test_what_changes_nothing_is_known_before_its_signature);
	RUN(test_an_announce_without_its_providers_key_is_counted);
	return check_done();
}
