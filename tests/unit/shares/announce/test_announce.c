/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/announce/announce.h"

#include "base/monotonic.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/golomb_set.h"
#include "support/announce_rig.h"
#include "support/check.h"

#define MIN_NS	(60 * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)

static struct announce_rig rig;

static uint64_t record_time_s(enum announce_tag tag, const uint8_t *id)
{
	const struct fake_value *value = announce_rig_record(&rig, tag, id);

	return value ? value->claim.seq : 0;
}

static bool set_has(unsigned depth, const uint8_t *id)
{
	const struct fake_value *value = announce_rig_set(&rig, depth, id);
	struct golomb_set set;

	return value && shares_golomb_set_parse(value->bytes + 1, value->len - 1, &set) == 0 &&
	       shares_golomb_set_may_have(&set, id);
}

static unsigned told_cnt(const struct rig_manifest *manifest)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < manifest->cnt; i++)
		cnt += announce_rig_record(&rig, ANNOUNCE_CONTENT, rig.ids[manifest->first + i]) !=
		       NULL;
	return cnt;
}

static void test_manifests_are_announced_and_renewed_at_half_their_life(void)
{
	const struct rig_manifest *manifest;

	announce_rig_init(&rig);
	manifest = announce_rig_add(&rig, 3);
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(record_time_s(ANNOUNCE_MANIFEST, manifest->id), RIG_WALL_S);
	CHECK_EQ(rig.fake.put_cnt, 1);
	announce_rig_run(&rig, 10 * HOUR_NS);
	CHECK_EQ(rig.fake.put_cnt, 1);
	announce_rig_run(&rig, 2 * HOUR_NS);
	CHECK_EQ(rig.fake.put_cnt, 2);
	CHECK(record_time_s(ANNOUNCE_MANIFEST, manifest->id) > RIG_WALL_S + 11 * 3600);
	announce_rig_fini(&rig);
}

static void test_only_files_of_public_shares_are_announced(void)
{
	const struct rig_manifest *collection, *private_share;
	struct rig_manifest *public_share;

	announce_rig_init(&rig);
	collection = announce_rig_add(&rig, 3);
	private_share = announce_rig_add(&rig, 3);
	rig.manifests[1].is_signed = true;
	public_share = announce_rig_add(&rig, 3);
	public_share->is_signed = public_share->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 10 * MIN_NS);
	for (unsigned i = 0; i < 3; i++)
		CHECK(record_time_s(ANNOUNCE_MANIFEST, rig.manifests[i].id) > 0);
	CHECK_EQ(told_cnt(collection), 0);
	CHECK_EQ(told_cnt(private_share), 0);
	CHECK_EQ(told_cnt(public_share), 3);

	rig.config.scope = ANNOUNCE_ALL;
	shares_announce_configure(rig.announce, &rig.config, rig.now_ns);
	shares_announce_held_changed(rig.announce, collection->id, rig.now_ns);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(told_cnt(collection), 3);
	CHECK_EQ(told_cnt(private_share), 0);
	announce_rig_fini(&rig);
}

static void test_nothing_is_announced_when_it_is_off(void)
{
	announce_rig_init(&rig);
	announce_rig_add(&rig, 3)->is_public = true;
	rig.config.scope = ANNOUNCE_OFF;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 24 * HOUR_NS);
	CHECK_EQ(rig.fake.put_cnt, 0);
	rig.config.scope = ANNOUNCE_PUBLIC;
	shares_announce_configure(rig.announce, &rig.config, rig.now_ns);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 4);
	announce_rig_fini(&rig);
}

static void test_2000_files_are_announced_one_by_one_and_one_more_in_sets(void)
{
	struct rig_manifest *manifest, *more;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, ANNOUNCE_SINGLES_MAX);
	manifest->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).shape, ANNOUNCE_SINGLES);
	CHECK_EQ(told_cnt(manifest), ANNOUNCE_SINGLES_MAX);
	CHECK_EQ(rig.fake.put_cnt, 1 + ANNOUNCE_SINGLES_MAX);

	more = announce_rig_add(&rig, 1);
	more->is_public = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).shape, ANNOUNCE_SETS);
	CHECK_EQ(announce_rig_stats(&rig).depth, GOLOMB_SET_DEPTH_COARSE);
	/* One for each region that has any, all of 256 here, and the manifest. */
	CHECK_EQ(rig.fake.put_cnt, 1 + ANNOUNCE_SINGLES_MAX + 1 + 256);
	for (uint32_t i = 0; i < rig.id_cnt; i++)
		CHECK(set_has(GOLOMB_SET_DEPTH_COARSE, rig.ids[i]));
	announce_rig_fini(&rig);
}

static void test_more_than_12_million_are_announced_in_finer_sets(void)
{
	struct rig_manifest *manifest;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, 3000);
	manifest->is_public = true;
	manifest->item_cnt = ANNOUNCE_COARSE_MAX;
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).depth, GOLOMB_SET_DEPTH_COARSE);
	manifest->item_cnt++;
	shares_announce_held_changed(rig.announce, manifest->id, rig.now_ns);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).depth, GOLOMB_SET_DEPTH_FINE);
	CHECK_EQ(announce_rig_stats(&rig).region_cnt, 4096);
	for (uint32_t i = 0; i < rig.id_cnt; i++)
		CHECK(set_has(GOLOMB_SET_DEPTH_FINE, rig.ids[i]));
	announce_rig_fini(&rig);
}

static void test_puts_keep_their_budget_and_one_more_waits(void)
{
	announce_rig_init(&rig);
	rig.config.puts_per_min = 20;
	for (unsigned i = 0; i < 21; i++)
		(void)announce_rig_add(&rig, 1);
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 20);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(rig.fake.put_cnt, 21);
	CHECK_EQ(announce_rig_stats(&rig).manifest_announced_cnt, 21);
	announce_rig_fini(&rig);
}

static void test_a_restart_announces_nothing_twice(void)
{
	struct rig_manifest *manifest;
	unsigned put_cnt;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, 30);
	manifest->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	put_cnt = rig.fake.put_cnt;
	CHECK_EQ(put_cnt, 31);
	announce_rig_close(&rig);
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);

	(void)announce_rig_add(&rig, 5000);
	rig.manifests[1].is_public = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, 5 * MIN_NS);
	put_cnt = rig.fake.put_cnt;
	CHECK_EQ(put_cnt, 31 + 1 + 256);
	announce_rig_close(&rig);
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);
	/* What is new is told all the same. */
	announce_rig_close(&rig);
	(void)announce_rig_add(&rig, 1);
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 1);
	announce_rig_fini(&rig);
}

static void test_after_a_day_away_all_is_announced_within_the_budget(void)
{
	announce_rig_init(&rig);
	rig.config.puts_per_min = 10;
	for (unsigned i = 0; i < 30; i++)
		(void)announce_rig_add(&rig, 1);
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 30);
	announce_rig_close(&rig);
	rig.now_ns += 30 * HOUR_NS;
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 40);
	announce_rig_run(&rig, 2 * MIN_NS + NS_PER_S);
	CHECK_EQ(rig.fake.put_cnt, 60);
	announce_rig_fini(&rig);
}

/* This node is reached through the relay of number, alone or with the next one; none: 0. */
static void relays_set(unsigned number, unsigned cnt)
{
	rig.places.via_cnt = cnt;
	for (unsigned i = 0; i < cnt; i++)
		rig.places.vias[i] =
			(struct peer_via){.key = {(uint8_t)(number + i)},
					  .addr = {.family = ADDR_IPV4,
						   .ip = {192, 0, 2, (uint8_t)(number + i)},
						   .port = 7000}};
}

static void relays_change(unsigned number, unsigned cnt)
{
	relays_set(number, cnt);
	shares_announce_set_places(rig.announce, &rig.places, rig.now_ns);
	announce_rig_run(&rig, MIN_NS);
}

static void test_relays_are_announced_when_none_of_the_announced_is_left(void)
{
	static const struct {
		unsigned number, cnt, put_cnt;
	} steps[] = {
		{10, 2, 4}, /* nothing named one */
		{11, 2, 4}, /* all announcements name 11 */
		{0, 0, 4},  /* it may be back */
		{12, 2, 8}, /* 12 was not announced */
		{13, 1, 8}, {12, 1, 8}, {14, 1, 12},
	};
	struct rig_manifest *manifest;
	const struct fake_value *value;
	struct holder holder;
	unsigned put_cnt;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, 3);
	manifest->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	put_cnt = rig.fake.put_cnt;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		relays_change(steps[i].number, steps[i].cnt);
		CHECK_EQ(rig.fake.put_cnt, put_cnt + steps[i].put_cnt);
	}
	value = announce_rig_record(&rig, ANNOUNCE_MANIFEST, manifest->id);
	CHECK_EQ(shares_holder_record_parse(value->bytes + 1, value->len - 1, &holder), 0);
	CHECK(peer_places_equal(&holder.places, &rig.places));
	announce_rig_fini(&rig);
}

/* A restart without relays at first, then with those of before: nothing was put meanwhile. */
static void test_relays_of_before_a_restart_are_no_change(void)
{
	unsigned put_cnt;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	announce_rig_add(&rig, 3)->is_public = true;
	announce_rig_open(&rig);
	relays_change(10, 2);
	put_cnt = rig.fake.put_cnt;
	announce_rig_close(&rig);
	relays_set(0, 0);
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);
	relays_change(10, 2);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);
	announce_rig_close(&rig);
	relays_set(0, 0);
	announce_rig_open(&rig);
	announce_rig_add(&rig, 1)->is_public = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 2);
	/* Those two name none: all is put again. */
	relays_change(10, 2);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 2 + 6);
	announce_rig_fini(&rig);
}

static void test_changed_addresses_are_announced_also_over_a_restart(void)
{
	struct rig_manifest *manifest;
	const struct fake_value *value;
	struct holder holder;
	unsigned put_cnt;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, 3);
	manifest->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	put_cnt = rig.fake.put_cnt;
	CHECK_EQ(put_cnt, 4);
	rig.places.addrs[0].ip[3] = 99;
	shares_announce_set_places(rig.announce, &rig.places, rig.now_ns);
	announce_rig_run(&rig, 9 * NS_PER_S);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 4);
	value = announce_rig_record(&rig, ANNOUNCE_MANIFEST, manifest->id);
	CHECK_EQ(shares_holder_record_parse(value->bytes + 1, value->len - 1, &holder), 0);
	CHECK_EQ(holder.places.addrs[0].ip[3], 99);
	/* The same ones again are no change. */
	shares_announce_set_places(rig.announce, &rig.places, rig.now_ns);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 4);
	announce_rig_close(&rig);
	rig.places.addrs[0].ip[3] = 100;
	announce_rig_open(&rig);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 8);
	announce_rig_fini(&rig);
}

static void test_what_is_gone_is_left_out_of_its_set_and_expires_alone(void)
{
	struct rig_manifest *stays, *goes;
	unsigned put_cnt, found_cnt = 0;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	stays = announce_rig_add(&rig, 3000);
	goes = announce_rig_add(&rig, 3000);
	stays->is_public = goes->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	put_cnt = rig.fake.put_cnt;
	goes->is_gone = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt);
	announce_rig_run(&rig, 12 * HOUR_NS);
	for (uint32_t i = 0; i < stays->cnt; i++)
		CHECK(set_has(GOLOMB_SET_DEPTH_COARSE, rig.ids[stays->first + i]));
	for (uint32_t i = 0; i < goes->cnt; i++)
		found_cnt += set_has(GOLOMB_SET_DEPTH_COARSE, rig.ids[goes->first + i]);
	CHECK(found_cnt < 100); /* one in 64 of 3000 looks so */
	CHECK(rig.fake.put_cnt <= put_cnt + 257);
	announce_rig_fini(&rig);
}

static void test_a_file_more_puts_its_set_alone(void)
{
	struct rig_manifest *more;
	unsigned put_cnt;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	announce_rig_add(&rig, 5000)->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 5 * MIN_NS);
	put_cnt = rig.fake.put_cnt;
	more = announce_rig_add(&rig, 1);
	more->is_public = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, put_cnt + 2);
	CHECK(set_has(GOLOMB_SET_DEPTH_COARSE, rig.ids[more->first]));
	announce_rig_fini(&rig);
}

static void test_without_an_overlay_it_pauses_and_resumes_on_request(void)
{
	const struct rig_manifest *manifest;

	announce_rig_init(&rig);
	manifest = announce_rig_add(&rig, 1);
	rig.fake.err = WEFT_EUNREACHABLE;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 59 * NS_PER_S);
	CHECK_EQ(announce_rig_stats(&rig).put_cnt, 1);
	CHECK_EQ(announce_rig_stats(&rig).err, WEFT_EUNREACHABLE);
	CHECK(announce_rig_stats(&rig).paused_until_ns > 0);
	announce_rig_run(&rig, 2 * NS_PER_S);
	CHECK_EQ(announce_rig_stats(&rig).put_cnt, 2);
	rig.fake.err = 0;
	shares_announce_hurry(rig.announce);
	announce_rig_run(&rig, NS_PER_S);
	CHECK(announce_rig_record(&rig, ANNOUNCE_MANIFEST, manifest->id) != NULL);
	CHECK_EQ(announce_rig_stats(&rig).err, 0);
	announce_rig_fini(&rig);
}

static void test_a_record_that_one_node_took_is_announced_again_when_more_come(void)
{
	announce_rig_init(&rig);
	(void)announce_rig_add(&rig, 1);
	announce_rig_open(&rig);
	rig.fake.keeper_cnt = 1;
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 1);
	rig.fake.keeper_cnt = 3;
	shares_announce_hurry(rig.announce);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 2);
	shares_announce_hurry(rig.announce);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(rig.fake.put_cnt, 2);
	announce_rig_fini(&rig);
}

static void test_single_records_that_no_node_took_are_announced_later(void)
{
	struct rig_manifest *manifest;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 6000;
	manifest = announce_rig_add(&rig, 20);
	manifest->is_public = true;
	rig.fake.err = WEFT_ETIMEOUT;
	announce_rig_open(&rig);
	announce_rig_run(&rig, 30 * MIN_NS);
	CHECK_EQ(told_cnt(manifest), 0);
	rig.fake.err = 0;
	announce_rig_run(&rig, 5 * MIN_NS);
	CHECK_EQ(told_cnt(manifest), 20);
	announce_rig_fini(&rig);
}

static void test_one_manifest_more_than_there_is_room_for_is_counted(void)
{
	announce_rig_init(&rig);
	rig.config.manifest_cap = 4;
	for (unsigned i = 0; i < 5; i++)
		(void)announce_rig_add(&rig, 1);
	announce_rig_open(&rig);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).manifest_cnt, 4);
	CHECK_EQ(announce_rig_stats(&rig).manifest_left_out_cnt, 1);
	rig.manifests[0].is_gone = true;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, 10 * MIN_NS);
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, 10 * MIN_NS);
	CHECK_EQ(announce_rig_stats(&rig).manifest_left_out_cnt, 0);
	CHECK(record_time_s(ANNOUNCE_MANIFEST, rig.manifests[4].id) > 0);
	announce_rig_fini(&rig);
}

static void test_two_sets_of_one_second_have_two_numbers(void)
{
	struct rig_manifest *more;
	const uint8_t *id;
	uint64_t first_s;

	announce_rig_init(&rig);
	rig.config.puts_per_min = 60000;
	announce_rig_add(&rig, 5000)->is_public = true;
	announce_rig_open(&rig);
	announce_rig_run(&rig, NS_PER_S / 2);
	more = announce_rig_add(&rig, 1);
	more->is_public = true;
	id = rig.ids[more->first];
	first_s = announce_rig_set(&rig, GOLOMB_SET_DEPTH_COARSE, id)->claim.seq;
	shares_announce_held_changed(rig.announce, NULL, rig.now_ns);
	announce_rig_run(&rig, NS_PER_S / 4);
	CHECK(set_has(GOLOMB_SET_DEPTH_COARSE, id));
	CHECK_EQ(announce_rig_set(&rig, GOLOMB_SET_DEPTH_COARSE, id)->claim.seq, first_s + 1);
	announce_rig_fini(&rig);
}

int main(void)
{
	RUN(test_manifests_are_announced_and_renewed_at_half_their_life);
	RUN(test_only_files_of_public_shares_are_announced);
	RUN(test_nothing_is_announced_when_it_is_off);
	RUN(test_2000_files_are_announced_one_by_one_and_one_more_in_sets);
	RUN(test_more_than_12_million_are_announced_in_finer_sets);
	RUN(test_puts_keep_their_budget_and_one_more_waits);
	RUN(test_a_restart_announces_nothing_twice);
	RUN(test_after_a_day_away_all_is_announced_within_the_budget);
	RUN(test_changed_addresses_are_announced_also_over_a_restart);
	RUN(test_relays_are_announced_when_none_of_the_announced_is_left);
	RUN(test_relays_of_before_a_restart_are_no_change);
	RUN(test_what_is_gone_is_left_out_of_its_set_and_expires_alone);
	RUN(test_a_file_more_puts_its_set_alone);
	RUN(test_without_an_overlay_it_pauses_and_resumes_on_request);
	RUN(test_a_record_that_one_node_took_is_announced_again_when_more_come);
	RUN(test_single_records_that_no_node_took_are_announced_later);
	RUN(test_one_manifest_more_than_there_is_room_for_is_counted);
	RUN(test_two_sets_of_one_second_have_two_numbers);
	return check_done();
}
