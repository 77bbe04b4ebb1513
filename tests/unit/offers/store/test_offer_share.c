/* SPDX-License-Identifier: Apache-2.0 */
/* Which offers leave a full store, and which never do. */
#include "offer_store_rig.h"

#define PUT(...) rig_put(&(struct rig_word){__VA_ARGS__})

static char text[24100];

static const char *text_of(size_t len)
{
	memcpy(text, "text=", 5);
	memset(text + 5, 'x', len);
	text[5 + len] = '\0';
	return text;
}

static unsigned live_cnt(unsigned provider, unsigned cnt)
{
	unsigned live = 0;

	for (unsigned i = 0; i < cnt; i++)
		live += rig_is_live(provider + i, 0);
	return live;
}

/* A flood of a thousand keys of one network, each with ever new offers. */
static void flood(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		(void)PUT(.provider = 100000 + i % 1000, .offer = i, .network = 9);
		rig.now_ns += NS_PER_MS;
		if (i % 1000 == 999)
			rig_pass(0);
	}
}

static void test_a_flood_of_a_thousand_keys_of_one_network_leaves_others_their_share(void)
{
	rig_begin(1024);
	for (unsigned i = 0; i < 200; i++)
		CHECK_EQ(PUT(.provider = i, .network = 100 + i % 20), OFFER_STORED);
	flood(seed_is_small() ? 20000 : 1000000);
	CHECK_EQ(rig_counts().unit_cnt, 1024);
	CHECK_EQ(live_cnt(0, 200), 200);
	/* And providers that come while it goes on. */
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(PUT(.provider = 1000 + i, .network = 200 + i % 20), OFFER_STORED);
		flood(20);
	}
	CHECK_EQ(live_cnt(0, 200), 200);
	CHECK_EQ(live_cnt(1000, 200), 200);
	rig_pass(0);
	rig_crash();
	CHECK_EQ(live_cnt(0, 200) + live_cnt(1000, 200), 400);
	CHECK_EQ(rig_counts().unit_cnt, 1024);
	flood(5000);
	CHECK_EQ(live_cnt(0, 200) + live_cnt(1000, 200), 400);
	rig_end();
}

static void test_a_provider_fills_an_idle_store_and_its_oldest_offers_go_first(void)
{
	rig_begin(64);
	for (unsigned i = 0; i < 70; i++) {
		rig.now_ns += NS_PER_S;
		CHECK_EQ(PUT(.provider = 1, .offer = i), OFFER_STORED);
	}
	CHECK_EQ(rig_counts().offer_cnt, 64);
	CHECK_EQ(rig_counts().evicted_cnt, 6);
	for (unsigned i = 0; i < 70; i++)
		CHECK_EQ(rig_is_live(1, i), i >= 6);
	/* The first of another network gets in at once, and the largest account pays. */
	CHECK_EQ(PUT(.provider = 2, .network = 2), OFFER_STORED);
	CHECK(!rig_get(1, 6) && rig_is_live(1, 7));
	rig_pass(0);
	rig_crash();
	CHECK_EQ(rig_counts().offer_cnt, 64);
	rig_end();
}

static void test_more_than_a_share_is_refused_until_others_are_old(void)
{
	struct rig_word word = {.provider = 64, .network = 64};
	static struct rig_message message;
	struct addr source = {.ip = {20, 0, 64, 1}, .port = 1, .family = ADDR_IPV4};
	struct offer_put put = {.bytes = message.bytes, .source = &source};

	rig_begin(64);
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(PUT(.provider = i, .network = 1000 + i), OFFER_STORED);
	rig_write(&word, &message);
	CHECK_EQ(rig_put_message(&word, &message), OFFER_FULL);
	put.msg = &message.msg;
	put.terms = &message.terms;
	put.now_ns = rig.now_ns;
	CHECK(offers_store_not_before_ms(rig.offers, &put) > 0);
	CHECK_EQ(live_cnt(0, 64), 64);
	CHECK_EQ(rig_counts().verdict_cnts[OFFER_FULL], 1);
	rig.now_ns += 60 * NS_PER_S;
	CHECK_EQ(rig_put_message(&word, &message), OFFER_STORED);
	CHECK_EQ(live_cnt(0, 64), 63);
	rig_end();
}

static void test_a_large_offer_takes_many_units_and_leaves_whole(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .fields = {"kind=flat", "rent=1", text_of(8000)}),
		 OFFER_STORED);
	CHECK(rig_counts().unit_cnt >= 8 && rig_counts().unit_cnt <= 9);
	/* Fewer bytes need less. */
	CHECK_EQ(PUT(.provider = 1, .sequence = 2), OFFER_REPLACED);
	CHECK_EQ(rig_counts().unit_cnt, 1);
	CHECK_EQ(
		PUT(.provider = 1, .sequence = 3, .fields = {"kind=flat", "rent=1", text_of(8000)}),
		OFFER_REPLACED);
	for (unsigned i = 0; i < 60; i++)
		CHECK_EQ(PUT(.provider = 2 + i, .network = 2 + i), OFFER_STORED);
	CHECK(!rig_get(1, 0));
	CHECK_EQ(rig_counts().offer_cnt, 60);
	CHECK_EQ(rig_counts().unit_cnt, 60);
	rig_end();
}

static void test_keys_take_room_too(void)
{
	static const char tags[] = "tags=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,1,2,3,"
				   "4,5,6,7,8,9,0,aa,bb,cc,dd";

	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1), OFFER_STORED);
	CHECK_EQ(rig_counts().unit_cnt, 1);
	CHECK_EQ(PUT(.provider = 1, .sequence = 2, .fields = {"kind=flat", "rent=1", tags}),
		 OFFER_REPLACED);
	CHECK(rig_counts().unit_cnt >= 2);
	CHECK_EQ(RIG_FIND("tags=dd"), 1);
	rig_end();
}

/* The largest account is the offer's own, which nothing else is in. */
static void test_an_offer_never_makes_room_for_itself_by_leaving(void)
{
	static char wide[24100] = "text=";

	for (unsigned i = 0; i < 7000; i++)
		memcpy(wide + 5 + 3 * i, "\xe2\x82\xac", 3);
	wide[5 + 3 * 7000] = '\0';
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .fields = {"kind=flat", "rent=1", wide}), OFFER_STORED);
	for (unsigned i = rig_counts().unit_cnt; i < 64; i++)
		CHECK_EQ(PUT(.provider = i, .network = i), OFFER_STORED);
	memcpy(wide + 5 + 3 * 7000, wide + 5, 1500);
	wide[5 + 3 * 7500] = '\0';
	rig.now_ns += 60 * NS_PER_S;
	CHECK_EQ(PUT(.provider = 1, .sequence = 2, .fields = {"kind=flat", "rent=1", wide}),
		 OFFER_FULL);
	CHECK(rig_is_live(1, 0));
	CHECK_EQ(rig_counts().unit_cnt, 64);
	CHECK_EQ(rig_counts().evicted_cnt, 0);
	CHECK_EQ(RIG_FIND("kind=flat"), rig_counts().offer_cnt);
	rig_end();
}

/* The attacker's network carries honest offers first, so that they count as its own. */
static void test_an_offer_is_charged_to_the_emptier_network_that_it_came_from(void)
{
	rig_begin(256);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(PUT(.provider = i, .network = 9), OFFER_STORED);
		rig.now_ns += NS_PER_MS;
	}
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(PUT(.provider = i, .network = 100 + i), OFFER_DUPLICATE);
	flood(2000);
	/* What its network still pays for had to be more than one offer. */
	CHECK(live_cnt(0, 20) >= 19);
	rig_end();
}

static void test_own_offers_are_not_evicted_by_unknown_peers(void)
{
	rig_begin(64);
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(PUT(.provider = 1, .offer = i, .is_own = true), OFFER_STORED);
	for (unsigned i = 0; i < 3000; i++) {
		(void)PUT(.provider = 2 + i, .network = i % 200);
		rig.now_ns += NS_PER_MS;
		if (i % 500 == 0)
			rig_pass(0);
	}
	CHECK_EQ(rig_counts().own_cnt, 20);
	rig_end();
}

/* 3/8 of the room; others may have that while it is not used. */
static void test_own_offers_fill_their_part_and_none_makes_room_for_another(void)
{
	const unsigned part = 64 * 6 / 16;

	rig_begin(64);
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(PUT(.provider = 10 + i, .network = 1 + i), OFFER_STORED);
	for (unsigned i = 0; i < part; i++)
		CHECK_EQ(PUT(.provider = 1, .offer = i, .is_own = true), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 1, .offer = part, .is_own = true), OFFER_FULL);
	/* A change that needs no more room, and a withdrawal, are taken. */
	CHECK_EQ(PUT(.provider = 1, .offer = 0, .sequence = 2, .is_own = true), OFFER_REPLACED);
	CHECK_EQ(PUT(.type = SERVICE_MESSAGE_REVOKE, .provider = 1, .offer = 1, .sequence = 2,
		     .is_own = true),
		 OFFER_REVOKED);
	for (unsigned i = 0; i < 200; i++)
		(void)PUT(.provider = 200 + i, .network = 200 + i);
	rig_pass(0);
	rig_crash();
	for (unsigned i = 0; i < part; i++)
		CHECK_EQ(rig_is_live(1, i), i != 1);
	CHECK_EQ(rig_counts().own_cnt, part);
	rig_end();
}

/* An offer that was heard of before its provider was this node's own, as after a new start. */
static void test_an_offer_that_becomes_own_is_charged_to_its_node(void)
{
	rig_begin(64);
	CHECK_EQ(PUT(.provider = 1, .network = 9), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 1, .sequence = 2, .is_own = true), OFFER_REPLACED);
	CHECK_EQ(rig_counts().own_cnt, 1);
	for (unsigned i = 0; i < 200; i++) {
		rig.now_ns += NS_PER_S;
		(void)PUT(.provider = 2 + i, .network = 9);
	}
	CHECK(rig_is_live(1, 0));
	rig_end();
}

static void test_a_smaller_store_keeps_its_newest_after_a_restart(void)
{
	rig_begin(256);
	for (unsigned i = 0; i < 200; i++) {
		rig.now_ns += NS_PER_S;
		CHECK_EQ(PUT(.provider = i, .network = i), OFFER_STORED);
	}
	rig_pass(0);
	rig.unit_cap = 64;
	rig.now_ns += 3600 * NS_PER_S;
	rig_crash();
	CHECK_EQ(rig_counts().unit_cnt, 64);
	/* What left is deleted, too. */
	rig_pass(0);
	rig.unit_cap = 256;
	rig_crash();
	CHECK_EQ(rig_counts().offer_cnt, 64);
	rig_end();
}

int main(void)
{
	RUN(test_a_flood_of_a_thousand_keys_of_one_network_leaves_others_their_share);
	RUN(test_a_provider_fills_an_idle_store_and_its_oldest_offers_go_first);
	RUN(test_more_than_a_share_is_refused_until_others_are_old);
	RUN(test_a_large_offer_takes_many_units_and_leaves_whole);
	RUN(test_keys_take_room_too);
	RUN(test_an_offer_never_makes_room_for_itself_by_leaving);
	RUN(test_an_offer_is_charged_to_the_emptier_network_that_it_came_from);
	RUN(test_an_offer_that_becomes_own_is_charged_to_its_node);
	RUN(test_a_smaller_store_keeps_its_newest_after_a_restart);
	RUN(test_own_offers_are_not_evicted_by_unknown_peers);
	RUN(test_own_offers_fill_their_part_and_none_makes_room_for_another);
	return check_done();
}
