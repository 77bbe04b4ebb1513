/* SPDX-License-Identifier: Apache-2.0 */
/* The routing table, once for each plane. */
#include "planes.h"

static struct arena arena;
static struct random dice;
static struct kad_table_config config;
static struct kad_table *table;
static const struct kad_id own = {{0x5a, 0xa5, 0x11}};

static void begin(void)
{
	kad_table_defaults(&config);
	config.k = plane->k;
	config.wide_cnt = plane->wide_cnt;
	random_init_seeded(&dice, 7);
	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    kad_table_new(&arena,
			  &(struct kad_table_params){
				  .config = &config, .own_id = &own, .random = &dice, .now_ns = 0},
			  &table) < 0)
		abort();
}

/* Members and candidates of a bucket whose size is the plane's k, below the wide ones. */
#define DEEP 9

/* Fills bucket DEEP with k members, numbered from 1000, that answered at 1 s. */
static void fill_deep(struct kad_contact members[static KAD_K_MAX])
{
	for (unsigned i = 0; i < config.k; i++) {
		members[i] = plane_contact(&own, DEEP, 1000 + i, &dice);
		(void)kad_table_answered(table, &members[i], SECOND / 10, SECOND);
	}
	/* Splits every bucket above DEEP off, as members nearer to us do. */
	for (unsigned i = 0; i < 200; i++) {
		struct kad_contact near = plane_contact(&own, 12 + i % 40, 2000 + i, &dice);

		(void)kad_table_answered(table, &near, 0, SECOND);
	}
}

/* The last member with this id, or NULL, and how many have it. */
static const struct kad_node *members_with(const struct kad_id *id, unsigned *out_cnt)
{
	struct kad_table_iter iter = {.table = table};
	const struct kad_node *node, *found = NULL;

	*out_cnt = 0;
	while ((node = kad_table_next(&iter))) {
		if (!kad_id_equal(&node->contact.id, id))
			continue;
		found = node;
		++*out_cnt;
	}
	return found;
}

/* The member with this id, or NULL. */
static const struct kad_node *member_lookup(const struct kad_id *id)
{
	unsigned cnt;

	return members_with(id, &cnt);
}

static struct kad_table_counts counts(uint64_t now_ns)
{
	struct kad_table_counts c;

	kad_table_count(table, now_ns, &c);
	return c;
}

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

static int nearness(const struct kad_id *target, const struct kad_id *a, const struct kad_id *b)
{
	return kad_id_is_nearer(target, a, b) ? -1 : kad_id_is_nearer(target, b, a);
}

struct all {
	struct kad_id ids[2048];
	unsigned cnt;
};

static void test_closest_are_those_a_full_scan_finds(void)
{
	static struct all all;
	const struct kad_node *found[KAD_K_MAX], *node;
	struct kad_table_iter iter = {0};

	begin();
	for (unsigned i = 0; i < 4000; i++) {
		struct kad_contact contact = plane_contact(&own, 200, i, &dice);

		if (i % 4 == 0)
			contact.id =
				kad_id_random_in(&own, (unsigned)random_below(&dice, 30), &dice);
		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	all.cnt = 0;
	iter.table = table;
	while ((node = kad_table_next(&iter)))
		all.ids[all.cnt++] = node->contact.id;
	CHECK(all.cnt > 5 * config.k);
	for (unsigned round = 0; round < 500; round++) {
		unsigned bits = round % 2 ? (unsigned)random_below(&dice, 40) : 200;
		struct kad_id target = kad_id_random_in(&own, bits, &dice);
		unsigned cnt = kad_table_closest(
			table, &(struct kad_near){&target, KAD_TELL, SECOND}, found, config.k);

		CHECK_EQ(cnt, config.k);
		for (unsigned i = 1; i < cnt; i++)
			CHECK(nearness(&target, &found[i - 1]->contact.id, &found[i]->contact.id) <
			      0);
		for (unsigned i = 0, nearer = 0; i < all.cnt; i++) {
			nearer += nearness(&target, &all.ids[i], &found[cnt - 1]->contact.id) < 0;
			CHECK(nearer < cnt);
		}
	}
}

static void test_besieged_key_is_answered_by_halves(void)
{
	static const struct {
		unsigned proven, unproven, want_proven;
	} rows[] = {{0, 8, 0}, {1, 8, 1}, {4, 8, 4}, {8, 8, 4}, {8, 0, 8}, {8, 3, 5}};
	const struct kad_node *found[8];

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct kad_id key;
		unsigned proven = 0;

		begin();
		key = kad_id_random_in(&own, 40, &dice);
		for (unsigned i = 0; i < rows[row].unproven; i++) {
			struct kad_contact near = plane_contact(&key, 60 + i, i, &dice);

			near.is_proven = false;
			(void)kad_table_answered(table, &near, 0, SECOND);
		}
		for (unsigned i = 0; i < rows[row].proven; i++) {
			struct kad_contact far = plane_contact(&own, 1 + i, 100 + i, &dice);

			(void)kad_table_answered(table, &far, 0, SECOND);
		}
		CHECK_EQ(kad_table_closest(table, &(struct kad_near){&key, KAD_TELL, SECOND}, found,
					   8),
			 rows[row].proven + rows[row].unproven < 8
				 ? rows[row].proven + rows[row].unproven
				 : 8);
		for (unsigned i = 0; i < 8; i++)
			proven += found[i]->contact.is_proven;
		CHECK_EQ(proven, rows[row].want_proven);
	}
}

static void test_only_the_own_bucket_splits(void)
{
	begin();
	for (unsigned i = 0; i < 1000; i++) {
		struct kad_contact contact = plane_contact(&own, 0, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK_EQ(counts(SECOND).buckets, 2);
	CHECK_EQ(counts(SECOND).good, plane->wide_cnt > plane->k ? plane->wide_cnt : plane->k);
	for (unsigned i = 0; i < 20000; i++) {
		struct kad_contact contact = plane_contact(&own, i % KAD_ID_BITS, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK(counts(SECOND).good <= counts(SECOND).member_cap);
	CHECK(counts(SECOND).buckets <= KAD_ID_BITS);
}

static void test_new_id_sorts_all_anew(void)
{
	struct kad_id other = kad_id_random_in(&own, 0, &dice);
	const struct kad_node *found[1];
	struct kad_table_counts before, after;

	begin();
	for (unsigned i = 0; i < 300; i++) {
		struct kad_contact contact = plane_contact(&own, 200, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	before = counts(SECOND);
	kad_table_set_own_id(table, &other, SECOND);
	after = counts(SECOND);
	CHECK(kad_id_equal(kad_table_own_id(table), &other));
	CHECK(after.good >= config.k && after.good <= before.good);
	CHECK_EQ(kad_table_closest(table, &(struct kad_near){&other, KAD_TELL, SECOND}, found, 1),
		 1);
	CHECK(member_lookup(&found[0]->contact.id) == found[0]);
}

static void test_member_is_removed_when_its_id_becomes_the_own_id(void)
{
	struct kad_contact contact;

	begin();
	contact = plane_contact(&own, 0, 1, &dice);
	(void)kad_table_answered(table, &contact, 0, SECOND);
	kad_table_set_own_id(table, &contact.id, SECOND);
	CHECK_EQ(counts(SECOND).good, 0);
}

static void test_refresh_is_due_once_per_bucket(void)
{
	struct kad_contact members[KAD_K_MAX];
	struct kad_id target;
	unsigned due = 0, buckets;

	begin();
	fill_deep(members);
	buckets = counts(SECOND).buckets;
	CHECK(!kad_table_next_refresh(table, config.refresh_ns - 1, &target));
	target = kad_id_random_in(&own, 3, &dice);
	kad_table_note_lookup(table, &target, config.refresh_ns);
	while (kad_table_next_refresh(table, config.refresh_ns, &target)) {
		CHECK(kad_id_common_bits(&own, &target) != 3);
		due++;
	}
	CHECK_EQ(due, buckets - 1);
}

static void test_random_target_shares_exactly_the_bits(void)
{
	begin();
	for (unsigned bits = 0; bits < KAD_ID_BITS; bits++) {
		struct kad_id made = kad_id_random_in(&own, bits, &dice);

		CHECK_EQ(kad_id_common_bits(&own, &made), bits);
	}
}

static void test_arena_too_small_is_refused(void)
{
	struct kad_table *none = NULL;
	struct arena small = {0};

	begin();
	CHECK_EQ(arena_open(&small, arena.used_len - 64), 0);
	CHECK_EQ(kad_table_new(
			 &small,
			 &(struct kad_table_params){
				 .config = &config, .own_id = &own, .random = &dice, .now_ns = 0},
			 &none),
		 WEFT_EFULL);
	CHECK(!none);
	arena_close(&small);
}

/* Whichever of the table's parts it is that finds no room. */
static void test_no_part_of_a_table_is_made_without_room(void)
{
	size_t len;

	begin();
	len = arena.used_len;
	for (unsigned i = 1; i < 64; i++) {
		struct kad_table *none = NULL;
		struct arena small = {0};

		CHECK_EQ(arena_open(&small, len * i / 64), 0);
		CHECK_EQ(kad_table_new(&small,
				       &(struct kad_table_params){.config = &config,
								  .own_id = &own,
								  .random = &dice,
								  .now_ns = 0},
				       &none),
			 WEFT_EFULL);
		CHECK(!none);
		arena_close(&small);
	}
}

/* All buckets but the last ones, in which hardly an id is: each member has a place of its own. */
static void test_full_buckets_share_no_place(void)
{
	struct kad_table_iter iter = {0};
	const struct kad_node *node;
	unsigned bad_cnt = 0, cnt;

	begin();
	for (unsigned i = 0; i < 100 * 100; i++) {
		struct kad_contact contact = plane_contact(&own, i % 100, i, &dice);

		(void)kad_table_answered(table, &contact, 0, SECOND);
	}
	CHECK(counts(SECOND).good >= 100 * config.k);
	iter.table = table;
	while ((node = kad_table_next(&iter))) {
		(void)members_with(&node->contact.id, &cnt);
		bad_cnt += cnt != 1;
	}
	CHECK_EQ(bad_cnt, 0);
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
	RUN_PLANES(test_failing_member_is_listed_to_no_node);
	RUN_PLANES(test_subnet_has_its_share_of_bucket_and_table);
	RUN_PLANES(test_private_network_is_one_subnet_and_not_capped);
	RUN_PLANES(test_taken_id_stays_where_it_is_until_bad);
	RUN_PLANES(test_address_has_one_id);
	RUN_PLANES(test_validated_takes_the_place_of_unvalidated);
	RUN_PLANES(test_flood_of_askers_does_not_displace_nodes_that_answered);
	RUN_PLANES(test_dropped_member_is_succeeded);
	RUN_PLANES(test_each_contact_is_a_member_or_waits);
	RUN_PLANES(test_closest_are_those_a_full_scan_finds);
	RUN_PLANES(test_besieged_key_is_answered_by_halves);
	RUN_PLANES(test_only_the_own_bucket_splits);
	RUN_PLANES(test_new_id_sorts_all_anew);
	RUN_PLANES(test_member_is_removed_when_its_id_becomes_the_own_id);
	RUN_PLANES(test_refresh_is_due_once_per_bucket);
	RUN_PLANES(test_random_target_shares_exactly_the_bits);
	RUN_PLANES(test_arena_too_small_is_refused);
	RUN_PLANES(test_no_part_of_a_table_is_made_without_room);
	RUN_PLANES(test_full_buckets_share_no_place);
	arena_close(&arena);
	return check_done();
}
