/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a routing table, once for each plane: which contacts come in, wait and go. */
#include "table_rig.h"

static void test_a_node_that_only_asked_is_no_member(void)
{
	struct kad_contact contact, ping;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	CHECK_EQ(kad_table_asked(table, &contact, SECOND), KAD_WAITS);
	CHECK_EQ(counts(SECOND).good, 0);
	CHECK(kad_table_next_ping(table, SECOND, &ping));
	CHECK(kad_id_equal(&ping.id, &contact.id));
	CHECK(!kad_table_next_ping(table, SECOND, &ping));
	CHECK_EQ(kad_table_answered(table, &contact, SECOND / 20, SECOND + 1), KAD_ADDED);
	CHECK_EQ(counts(SECOND).good, 1);
	CHECK_EQ(member_lookup(&contact.id)->rtt_ns, SECOND / 20);
}

static void test_candidate_that_fails_is_forgotten(void)
{
	struct kad_contact contact, ping;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_asked(table, &contact, SECOND);
	CHECK(kad_table_next_ping(table, SECOND, &ping));
	kad_table_failed(table, &ping.id, &ping.addr, 3 * SECOND);
	CHECK_EQ(counts(SECOND).candidates, 0);
	CHECK(!kad_table_next_ping(table, 100 * SECOND, &ping));
}

static void test_impossible_contacts_are_refused(void)
{
	struct kad_contact contact;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	contact.addr.port = 0;
	CHECK_EQ(kad_table_answered(table, &contact, 0, 0), KAD_REFUSED_ADDR);
	CHECK_EQ(kad_table_asked(table, &contact, 0), KAD_REFUSED_ADDR);
	contact = plane_contact(&own, 0, 1, &dice);
	contact.id = own;
	CHECK_EQ(kad_table_answered(table, &contact, 0, 0), KAD_REFUSED_SELF);
	CHECK_EQ(counts(0).good + counts(0).candidates, 0);
}

static void test_good_members_do_not_give_way(void)
{
	struct kad_contact members[KAD_K_MAX], late;

	begin();
	fill_deep(members);
	late = plane_contact(&own, DEEP, 3000, &dice);
	CHECK_EQ(kad_table_answered(table, &late, 0, 2 * SECOND), KAD_WAITS);
	CHECK(!member_lookup(&late.id));
	for (unsigned i = 0; i < config.k; i++)
		CHECK(member_lookup(&members[i].id));
}

static void test_silent_member_is_pinged_and_replaced_when_bad(void)
{
	struct kad_contact members[KAD_K_MAX], late, ping;
	uint64_t now_ns, generation;

	begin();
	fill_deep(members);
	now_ns = SECOND + config.good_ns;
	late = plane_contact(&own, DEEP, 3000, &dice);
	CHECK_EQ(kad_table_answered(table, &late, 0, now_ns), KAD_WAITS);
	CHECK_EQ(kad_table_state(table, member_lookup(&members[0].id), now_ns - 1), KAD_GOOD);
	CHECK_EQ(kad_table_state(table, member_lookup(&members[0].id), now_ns), KAD_QUESTIONABLE);
	CHECK(!kad_table_next_ping(table, now_ns - 1, &ping));
	CHECK_EQ(kad_table_next_ping_ns(table), now_ns);
	CHECK(kad_table_next_ping(table, now_ns, &ping));
	generation = kad_table_generation(table);
	for (unsigned i = 1; i < config.failed_max; i++) {
		kad_table_failed(table, &members[0].id, &members[0].addr, now_ns);
		CHECK(member_lookup(&members[0].id));
	}
	CHECK_EQ(kad_table_generation(table), generation);
	kad_table_failed(table, &members[0].id, &members[0].addr, now_ns);
	CHECK(!member_lookup(&members[0].id));
	CHECK(member_lookup(&late.id));
	CHECK(kad_table_generation(table) > generation);
}

static void test_bad_member_without_successor_stays_and_comes_back(void)
{
	const struct kad_node *found[KAD_K_MAX];
	struct kad_contact contact, ping;
	uint64_t now_ns = SECOND;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, now_ns);
	for (unsigned i = 0; i < config.failed_max; i++)
		kad_table_failed(table, &contact.id, &contact.addr, now_ns);
	CHECK_EQ(counts(now_ns).bad, 1);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&own, KAD_TELL, now_ns}, found,
				   KAD_K_MAX),
		 0);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&own, KAD_ASK, now_ns}, found,
				   KAD_K_MAX),
		 1);
	CHECK(!kad_table_next_ping(table, now_ns, &ping));
	CHECK(kad_table_next_ping(table, now_ns + config.good_ns, &ping));
	CHECK_EQ(kad_table_answered(table, &contact, 0, now_ns + config.good_ns), KAD_KNOWN);
	CHECK_EQ(counts(now_ns + config.good_ns).good, 1);
}

/* Fails all of members, which have been there since 1 s, at now_ns. */
static void turn_bad(const struct kad_contact *members, unsigned cnt, uint64_t now_ns)
{
	for (unsigned i = 0; i < cnt * config.failed_max; i++)
		kad_table_failed(table, &members[i % cnt].id, &members[i % cnt].addr, now_ns);
	CHECK_EQ(counts(now_ns).bad, cnt);
}

/* Asks once for each ping that is due at now_ns; how many there were. */
static unsigned pings_at(uint64_t now_ns)
{
	struct kad_contact ping;
	unsigned cnt = 0;

	while (kad_table_next_ping(table, now_ns, &ping))
		cnt++;
	return cnt;
}

static void test_bad_member_is_pinged_more_rarely_the_longer_it_has_failed(void)
{
	struct kad_contact contact, ping;
	uint64_t end_ns = 3600 * SECOND, last_ns = SECOND, longest_ns = 0;
	unsigned cnt = 0;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	turn_bad(&contact, 1, SECOND);
	for (uint64_t now_ns = SECOND; now_ns < end_ns; now_ns += SECOND) {
		if (!kad_table_next_ping(table, now_ns, &ping))
			continue;
		CHECK(now_ns - last_ns >= config.ping_gap_ns);
		CHECK(now_ns - last_ns <= config.ping_gap_ns + (now_ns - SECOND) / 4);
		longest_ns = now_ns - last_ns > longest_ns ? now_ns - last_ns : longest_ns;
		last_ns = now_ns;
		cnt++;
		kad_table_failed(table, &ping.id, &ping.addr, now_ns);
	}
	CHECK(longest_ns <= config.good_ns);
	CHECK(cnt >= 16);
	CHECK(cnt <= 24);
}

static void test_bad_member_that_answers_has_all_of_them_pinged(void)
{
	struct kad_contact members[KAD_K_MAX];
	const unsigned cnt = 6;

	begin();
	for (unsigned i = 0; i < cnt; i++) {
		members[i] = plane_contact(&own, 0, 1 + i, &dice);
		(void)kad_table_answered(table, &members[i], 0, SECOND);
	}
	turn_bad(members, cnt, SECOND);
	CHECK_EQ(pings_at(11 * SECOND), cnt);
	for (unsigned i = 0; i < cnt; i++)
		kad_table_failed(table, &members[i].id, &members[i].addr, 100 * SECOND);
	CHECK_EQ(pings_at(101 * SECOND), 0);
	CHECK_EQ(kad_table_answered(table, &members[2], 0, 101 * SECOND), KAD_KNOWN);
	CHECK_EQ(pings_at(101 * SECOND), cnt - 1);
	/* One that comes and goes has the others pinged no more often than any contact. */
	for (unsigned i = 0; i < config.failed_max; i++)
		kad_table_failed(table, &members[2].id, &members[2].addr, 102 * SECOND);
	CHECK_EQ(kad_table_answered(table, &members[2], 0, 103 * SECOND), KAD_KNOWN);
	CHECK_EQ(pings_at(103 * SECOND), 0);
}

static void test_bad_member_that_asks_is_pinged_soon_and_not_often(void)
{
	struct kad_contact contact;
	unsigned cnt = 0;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	turn_bad(&contact, 1, SECOND);
	kad_table_failed(table, &contact.id, &contact.addr, 400 * SECOND);
	CHECK_EQ(pings_at(401 * SECOND), 0);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_EQ(kad_table_asked(table, &contact, 401 * SECOND + i * SECOND / 100),
			 KAD_KNOWN);
		cnt += pings_at(401 * SECOND + i * SECOND / 100);
	}
	/* Ten seconds of queries. */
	CHECK(cnt >= 10);
	CHECK(cnt <= 11);
}

static void test_failing_member_is_listed_to_no_node(void)
{
	const struct kad_node *found[KAD_K_MAX];
	struct kad_contact contact;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&own, KAD_TELL, SECOND}, found,
				   KAD_K_MAX),
		 1);
	kad_table_failed(table, &contact.id, &contact.addr, SECOND);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&own, KAD_TELL, SECOND}, found,
				   KAD_K_MAX),
		 0);
}

static void test_subnet_has_its_share_of_bucket_and_table(void)
{
	struct kad_contact members[KAD_K_MAX];
	unsigned in = 0, number = 1;

	begin();
	fill_deep(members);
	/* Empty buckets enough, each bit count its own: subnet_bucket of each fit, until the sum. */
	for (unsigned bits = 0; in < config.subnet_table; bits++)
		for (unsigned i = 0; i <= config.subnet_bucket; i++) {
			struct kad_contact contact = plane_contact(&own, bits, 7, &dice);
			enum kad_verdict want =
				i < config.subnet_bucket ? KAD_ADDED : KAD_REFUSED_BUCKET_SUBNET;

			contact.addr = plane_addr(7, number++);
			CHECK_EQ(kad_table_answered(table, &contact, 0, SECOND), want);
			in += want == KAD_ADDED;
		}
	members[0] = plane_contact(&own, 8, 7, &dice);
	members[0].addr = plane_addr(7, number);
	CHECK_EQ(kad_table_answered(table, &members[0], 0, SECOND), KAD_REFUSED_TABLE_SUBNET);
}

/* An address of an unrouted network, or of this host. */
static struct addr site_addr(unsigned host, unsigned port)
{
	struct addr addr = plane_addr(0, host);

	addr.ip[0] = plane->family == ADDR_IPV4 ? 10 : 0xfd;
	addr.port = (uint16_t)port;
	return addr;
}

static void test_private_network_is_one_subnet_and_not_capped(void)
{
	struct kad_contact contact;

	begin();
	for (unsigned i = 0; i < config.k; i++) {
		contact = plane_contact(&own, 0, 0, &dice);
		contact.addr = site_addr(1, 1000 + i);
		CHECK_EQ(kad_table_answered(table, &contact, 0, SECOND), KAD_ADDED);
	}
	for (unsigned i = 0; i < config.candidate_cnt; i++) {
		contact = plane_contact(&own, 0, 0, &dice);
		contact.addr = site_addr(2, 1000 + i);
		CHECK_EQ(kad_table_asked(table, &contact, SECOND), KAD_WAITS);
	}
}

static void test_taken_id_stays_where_it_is_until_bad(void)
{
	struct kad_contact contact, thief;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	thief = contact;
	thief.addr = plane_addr(2, 1);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	CHECK_EQ(kad_table_answered(table, &thief, 0, SECOND), KAD_REFUSED_TAKEN);
	CHECK_EQ(kad_table_asked(table, &thief, SECOND), KAD_REFUSED_TAKEN);
	for (unsigned i = 0; i < config.failed_max; i++)
		kad_table_failed(table, &thief.id, &thief.addr, SECOND);
	CHECK_EQ(counts(SECOND).good, 1);
	for (unsigned i = 0; i < config.failed_max; i++)
		kad_table_failed(table, &contact.id, &contact.addr, SECOND);
	CHECK_EQ(kad_table_answered(table, &thief, 0, SECOND), KAD_ADDED);
	CHECK(addr_equal(&member_lookup(&contact.id)->contact.addr, &thief.addr));
}

static void test_address_has_one_id(void)
{
	struct kad_contact before, after;

	begin();
	before = plane_contact(&own, 0, 1, &dice);
	after = plane_contact(&own, 1, 1, &dice);
	(void)kad_table_answered(table, &before, 0, SECOND);
	CHECK_EQ(kad_table_answered(table, &after, 0, 2 * SECOND), KAD_ADDED);
	CHECK(!member_lookup(&before.id));
	CHECK_EQ(counts(2 * SECOND).good, 1);
}

static void test_validated_takes_the_place_of_unvalidated(void)
{
	struct kad_contact members[KAD_K_MAX], proven, unproven;

	begin();
	fill_deep(members);
	members[3].is_proven = false;
	CHECK_EQ(kad_table_answered(table, &members[3], 0, SECOND), KAD_KNOWN);
	unproven = plane_contact(&own, DEEP, 3000, &dice);
	unproven.is_proven = false;
	CHECK_EQ(kad_table_answered(table, &unproven, 0, SECOND), KAD_WAITS);
	proven = plane_contact(&own, DEEP, 3001, &dice);
	CHECK_EQ(kad_table_answered(table, &proven, 0, SECOND), KAD_ADDED);
	CHECK(!member_lookup(&members[3].id));
}

static void test_flood_of_askers_does_not_displace_nodes_that_answered(void)
{
	struct kad_contact members[KAD_K_MAX], late, ping;
	unsigned pinged = 0;

	begin();
	fill_deep(members);
	late = plane_contact(&own, DEEP, 3000, &dice);
	CHECK_EQ(kad_table_answered(table, &late, 0, SECOND), KAD_WAITS);
	for (unsigned i = 0; i < 1000; i++) {
		struct kad_contact asker = plane_contact(&own, DEEP, 4000 + i, &dice);

		(void)kad_table_asked(table, &asker, 2 * SECOND);
	}
	CHECK(counts(SECOND).candidates <= counts(SECOND).buckets * config.candidate_cnt);
	/* There is no place for them, so they are not pinged either. */
	while (kad_table_next_ping(table, 3 * SECOND, &ping))
		pinged++;
	CHECK_EQ(pinged, 0);
	for (unsigned i = 0; i < config.failed_max; i++)
		kad_table_failed(table, &members[0].id, &members[0].addr, 4 * SECOND);
	CHECK(member_lookup(&late.id));
}

static void test_dropped_member_is_succeeded(void)
{
	struct kad_contact members[KAD_K_MAX], late;

	begin();
	fill_deep(members);
	late = plane_contact(&own, DEEP, 3000, &dice);
	(void)kad_table_answered(table, &late, 0, SECOND);
	kad_table_drop(table, &members[1].id, &members[1].addr);
	CHECK(!member_lookup(&members[1].id));
	CHECK(member_lookup(&late.id));
}

static void test_each_contact_is_a_member_or_waits(void)
{
	const struct kad_contact *found;
	struct kad_table_iter iter = {0};
	unsigned cnts[3] = {0};

	begin();
	for (unsigned i = 0; i < 3; i++) {
		struct kad_contact contact = plane_contact(&own, i, i + 1, &dice);

		contact.tag = i;
		if (i == 0)
			(void)kad_table_asked(table, &contact, SECOND);
		else
			(void)kad_table_answered(table, &contact, 0, SECOND);
		if (i == 2)
			kad_table_drop(table, &contact.id, &contact.addr);
	}
	iter.table = table;
	while ((found = kad_table_contact_next(&iter)))
		cnts[found->tag]++;
	CHECK_EQ(cnts[0], 1);
	CHECK_EQ(cnts[1], 1);
	CHECK_EQ(cnts[2], 0);
}

int main(void)
{
	RUN_PLANES(test_a_node_that_only_asked_is_no_member);
	RUN_PLANES(test_candidate_that_fails_is_forgotten);
	RUN_PLANES(test_impossible_contacts_are_refused);
	RUN_PLANES(test_good_members_do_not_give_way);
	RUN_PLANES(test_silent_member_is_pinged_and_replaced_when_bad);
	RUN_PLANES(test_bad_member_without_successor_stays_and_comes_back);
	RUN_PLANES(test_bad_member_is_pinged_more_rarely_the_longer_it_has_failed);
	RUN_PLANES(test_bad_member_that_answers_has_all_of_them_pinged);
	RUN_PLANES(test_bad_member_that_asks_is_pinged_soon_and_not_often);
	RUN_PLANES(test_failing_member_is_listed_to_no_node);
	RUN_PLANES(test_subnet_has_its_share_of_bucket_and_table);
	RUN_PLANES(test_private_network_is_one_subnet_and_not_capped);
	RUN_PLANES(test_taken_id_stays_where_it_is_until_bad);
	RUN_PLANES(test_address_has_one_id);
	RUN_PLANES(test_validated_takes_the_place_of_unvalidated);
	RUN_PLANES(test_flood_of_askers_does_not_displace_nodes_that_answered);
	RUN_PLANES(test_dropped_member_is_succeeded);
	RUN_PLANES(test_each_contact_is_a_member_or_waits);
	arena_close(&arena);
	return check_done();
}
