/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/swarm/finder.h"

#include "base/monotonic.h"
#include "base/random.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/golomb_set.h"
#include "shares/announce/region_sets.h"
#include "mesh/seam.h"
#include "support/announce_rig.h"
#include "support/check.h"

#define FOUND_CAP 2048

static struct announce_rig rig;
static uint8_t wanted[32] = {0x5a, 0xb1, 2, 3};

struct outcome {
	unsigned found_cnt, done_cnt;
	uint8_t keys[FOUND_CAP][MESH_KEY_LEN];
	void *run;
};

static void note_found(void *arg, const struct mesh_peer *peer)
{
	struct outcome *outcome = arg;

	if (outcome->found_cnt < FOUND_CAP)
		memcpy(outcome->keys[outcome->found_cnt++], peer->key, MESH_KEY_LEN);
}

static void note_done(void *arg, uint64_t now_ns)
{
	(void)now_ns;
	((struct outcome *)arg)->done_cnt++;
}

static int search(enum finder_kind kind, const uint8_t *id, struct outcome *outcome)
{
	struct swarm_finder finder = shares_announce_finder(rig.announce);
	struct swarm_find asked = {kind, id, note_found, note_done, outcome};

	memset(outcome, 0, sizeof(*outcome));
	return finder.ops->find(finder.ctx, &asked, rig.now_ns, &outcome->run);
}

static bool has_found(const struct outcome *outcome, const struct node_key *key)
{
	for (unsigned i = 0; i < outcome->found_cnt; i++)
		if (memcmp(outcome->keys[i], node_key_public(key), MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static struct node_key *key_of(unsigned number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {0xee, (uint8_t)number, (uint8_t)(number >> 8)};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static void put_end(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	(void)arg, (void)result, (void)now_ns;
}

static void put(const uint8_t *name, size_t name_len, const struct writer *w)
{
	struct overlay_seam seam = fake_overlay_seam(&rig.fake);
	struct overlay_run *run;

	if (seam.ops->put(
		    seam.overlay,
		    &(struct overlay_put_params){.value = {name, name_len, w->start, writer_len(w)},
						 .done = put_end},
		    rig.now_ns, &run) < 0)
		abort();
	fake_overlay_turn(&rig.fake, rig.now_ns);
}

static void put_record(enum announce_tag tag, const uint8_t *id, const struct node_key *key)
{
	uint8_t bytes[1 + HOLDER_RECORD_LEN_MAX], name[ANNOUNCE_NAME_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct holder holder = {.time_s = rig.fake.wall_s};

	memcpy(holder.id, id, 32);
	writer_u8(&w, (uint8_t)tag);
	shares_holder_record_write(&w, key, &holder);
	put(name, shares_announce_name_of_id(tag, id, name), &w);
}

/* A set with filler_cnt others of the region, and id if it is not NULL. */
static void put_set(unsigned depth, const uint8_t *id, uint32_t filler_cnt,
		    const struct node_key *key, uint64_t time_s)
{
	static uint8_t ids[30001][32], code[GOLOMB_SET_LEN_MAX], bytes[1 + GOLOMB_SET_LEN_MAX];
	static uint64_t numbers[30001];
	uint8_t name[ANNOUNCE_NAME_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct golomb_set set = {
		.time_s = time_s,
		.depth = depth,
		.region = shares_golomb_set_region_of(wanted, depth),
		.parameter = GOLOMB_SET_PARAMETER,
		.code = code,
	};
	struct random random;

	random_init_seeded(&random, filler_cnt);
	random_fill(&random, ids, filler_cnt * sizeof(ids[0]));
	for (uint32_t i = 0; i < filler_cnt; i++)
		memcpy(ids[i], wanted, 2);
	if (id)
		memcpy(ids[filler_cnt], id, 32);
	set.item_cnt = filler_cnt + (id != NULL);
	set.code_len = shares_golomb_set_encode(
		&(struct golomb_contents){node_key_public(key), ids, set.item_cnt, numbers}, code,
		sizeof(code));
	writer_u8(&w, ANNOUNCE_SET);
	shares_golomb_set_write(&w, key, &set);
	put(name, shares_announce_name_of_region(depth, set.region, name), &w);
}

static void rig_begin(void)
{
	announce_rig_init(&rig);
	announce_rig_open(&rig);
	announce_rig_run(&rig, NS_PER_S);
}

static void test_holders_are_found_by_manifest_record_and_sets(void)
{
	struct node_key *keys[4];
	struct outcome outcome;

	rig_begin();
	for (unsigned i = 0; i < 4; i++)
		keys[i] = key_of(i);
	put_record(ANNOUNCE_MANIFEST, wanted, keys[0]);
	put_record(ANNOUNCE_CONTENT, wanted, keys[1]);
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 100, keys[2], rig.fake.wall_s);
	put_set(GOLOMB_SET_DEPTH_FINE, wanted, 100, keys[3], rig.fake.wall_s);
	CHECK_EQ(search(FINDER_MANIFEST, wanted, &outcome), 0);
	CHECK_EQ(outcome.done_cnt, 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK_EQ(outcome.found_cnt, 1);
	CHECK(has_found(&outcome, keys[0]));
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK_EQ(outcome.found_cnt, 3);
	for (unsigned i = 1; i < 4; i++)
		CHECK(has_found(&outcome, keys[i]));
	for (unsigned i = 0; i < 4; i++)
		node_key_free(keys[i]);
	announce_rig_fini(&rig);
}

static void test_each_holder_is_reported_once_and_the_own_key_never(void)
{
	struct node_key *key = key_of(1);
	struct outcome outcome;

	rig_begin();
	put_record(ANNOUNCE_CONTENT, wanted, rig.key);
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 10, rig.key, rig.fake.wall_s);
	put_record(ANNOUNCE_CONTENT, wanted, key);
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 10, key, rig.fake.wall_s);
	put_set(GOLOMB_SET_DEPTH_FINE, wanted, 10, key, rig.fake.wall_s);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK_EQ(outcome.found_cnt, 1);
	CHECK(has_found(&outcome, key));
	node_key_free(key);
	announce_rig_fini(&rig);
}

static void test_a_region_is_asked_for_once_in_ten_minutes(void)
{
	struct outcome first, second, third;
	uint8_t other[32];
	struct node_key *key = key_of(1);

	rig_begin();
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 100, key, rig.fake.wall_s);
	memcpy(other, wanted, 32);
	other[31] ^= 1;
	/* Two at once: three gets and one, for the records of the second. */
	CHECK_EQ(search(FINDER_CONTENT, wanted, &first), 0);
	CHECK_EQ(search(FINDER_CONTENT, other, &second), 0);
	CHECK_EQ(rig.fake.get_cnt, 4);
	announce_rig_run(&rig, NS_PER_S);
	CHECK(has_found(&first, key));
	CHECK(!has_found(&second, key));
	CHECK_EQ(second.done_cnt, 1);
	/* From what is kept it is told at once; the end comes with the records. */
	rig.now_ns += ANNOUNCE_SETS_KEEP_NS - 2 * NS_PER_S;
	CHECK_EQ(search(FINDER_CONTENT, wanted, &third), 0);
	CHECK_EQ(rig.fake.get_cnt, 5);
	CHECK(has_found(&third, key));
	CHECK_EQ(third.done_cnt, 0);
	announce_rig_run(&rig, 3 * NS_PER_S);
	CHECK_EQ(third.done_cnt, 1);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &third), 0);
	CHECK_EQ(rig.fake.get_cnt, 8);
	announce_rig_run(&rig, NS_PER_S);
	node_key_free(key);
	announce_rig_fini(&rig);
}

static void test_a_later_set_of_a_holder_takes_the_place_of_the_former(void)
{
	struct node_key *key = key_of(1);
	struct outcome outcome;

	rig_begin();
	/* Both versions are out, on different nodes; the later one has lost the file. */
	put_set(GOLOMB_SET_DEPTH_COARSE, NULL, 1, key, rig.fake.wall_s);
	rig.fake.values[rig.fake.value_cnt - 1].is_put = false;
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 0, key, rig.fake.wall_s - 100);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	/* A waiter hears of either, for the order of what is still to come is unknown. */
	CHECK_EQ(outcome.found_cnt, 1);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	CHECK_EQ(outcome.found_cnt, 0);
	announce_rig_run(&rig, NS_PER_S);
	node_key_free(key);
	announce_rig_fini(&rig);
}

static void test_a_cancelled_search_reports_nothing(void)
{
	struct swarm_finder finder;
	struct node_key *key = key_of(1);
	struct outcome first, second;

	rig_begin();
	finder = shares_announce_finder(rig.announce);
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 0, key, rig.fake.wall_s);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &first), 0);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &second), 0);
	finder.ops->cancel(first.run);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(first.found_cnt + first.done_cnt, 0);
	CHECK_EQ(second.found_cnt, 1);
	CHECK_EQ(second.done_cnt, 1);
	/* One that is under way when all ends. */
	CHECK_EQ(search(FINDER_CONTENT, wanted, &first), 0);
	node_key_free(key);
	announce_rig_fini(&rig);
	CHECK_EQ(first.done_cnt, 0);
}

static struct swarm_finder taken_back_finder;
static void *taken_back_run;

static void found_and_take_back(void *arg, const struct mesh_peer *peer)
{
	note_found(arg, peer);
	if (taken_back_run)
		taken_back_finder.ops->cancel(taken_back_run);
	taken_back_run = NULL;
}

static void test_a_callback_may_cancel_another_search(void)
{
	struct outcome outcome = {0}, other;
	struct swarm_find asked = {FINDER_CONTENT, wanted, found_and_take_back, note_done,
				   &outcome};
	struct node_key *key = key_of(1);

	rig_begin();
	taken_back_finder = shares_announce_finder(rig.announce);
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 0, key, rig.fake.wall_s);
	CHECK_EQ(taken_back_finder.ops->find(taken_back_finder.ctx, &asked, rig.now_ns,
					     &outcome.run),
		 0);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &other), 0);
	taken_back_run = other.run;
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.found_cnt, 1);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK_EQ(other.found_cnt + other.done_cnt, 0);
	node_key_free(key);
	announce_rig_fini(&rig);
}

static void test_a_search_too_many_is_refused(void)
{
	struct outcome first, second, third;

	announce_rig_init(&rig);
	rig.config.lookup_cap = 2;
	announce_rig_open(&rig);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &first), 0);
	CHECK_EQ(search(FINDER_MANIFEST, wanted, &second), 0);
	CHECK_EQ(search(FINDER_MANIFEST, wanted, &third), WEFT_EFULL);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(search(FINDER_MANIFEST, wanted, &third), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(first.done_cnt + second.done_cnt + third.done_cnt, 3);
	announce_rig_fini(&rig);
}

static void test_without_an_overlay_a_search_ends_with_nothing(void)
{
	struct outcome outcome;

	rig_begin();
	rig.fake.err = WEFT_EUNREACHABLE;
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK_EQ(outcome.found_cnt, 0);
	rig.fake.start_err = WEFT_EFULL;
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), WEFT_EFULL);
	announce_rig_fini(&rig);
}

static void test_the_real_one_is_found_among_1000_fakes(void)
{
	struct node_key *real = key_of(5000);
	static struct outcome outcome;

	rig_begin();
	for (unsigned i = 0; i < 1000; i++) {
		struct node_key *fake_key = key_of(i);

		put_record(ANNOUNCE_CONTENT, wanted, fake_key);
		node_key_free(fake_key);
	}
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 20, real, rig.fake.wall_s);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK_EQ(outcome.done_cnt, 1);
	CHECK(has_found(&outcome, real));
	node_key_free(real);
	announce_rig_fini(&rig);
}

static void test_sets_that_do_not_fit_are_reported_and_not_stored(void)
{
	static struct outcome outcome;
	struct node_key *real = key_of(5000);

	announce_rig_init(&rig);
	rig.config.set_memory_len = 1024 * 1024;
	announce_rig_open(&rig);
	announce_rig_run(&rig, NS_PER_S);
	for (unsigned i = 0; i < 60; i++) {
		struct node_key *fake_key = key_of(i);

		put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 30000, fake_key, rig.fake.wall_s);
		node_key_free(fake_key);
	}
	put_set(GOLOMB_SET_DEPTH_COARSE, wanted, 30000, real, rig.fake.wall_s);
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK(has_found(&outcome, real));
	CHECK(announce_rig_stats(&rig).set_len <= 1024 * 1024);
	/* What is not all there is asked for again, after a while. */
	rig.now_ns += 31 * NS_PER_S;
	CHECK_EQ(search(FINDER_CONTENT, wanted, &outcome), 0);
	announce_rig_run(&rig, NS_PER_S);
	CHECK(has_found(&outcome, real));
	node_key_free(real);
	announce_rig_fini(&rig);
}

static void test_regions_give_way_to_others(void)
{
	struct outcome outcome;

	announce_rig_init(&rig);
	rig.config.region_cap = 4;
	announce_rig_open(&rig);
	for (unsigned i = 0; i < 50; i++) {
		uint8_t id[32] = {(uint8_t)(5 * i), (uint8_t)(16 * i)};

		CHECK_EQ(search(FINDER_CONTENT, id, &outcome), 0);
		announce_rig_run(&rig, NS_PER_S);
		CHECK_EQ(outcome.done_cnt, 1);
		CHECK(announce_rig_stats(&rig).region_kept_cnt <= 4);
	}
	announce_rig_fini(&rig);
}

int main(void)
{
	RUN(test_holders_are_found_by_manifest_record_and_sets);
	RUN(test_each_holder_is_reported_once_and_the_own_key_never);
	RUN(test_a_region_is_asked_for_once_in_ten_minutes);
	RUN(test_a_later_set_of_a_holder_takes_the_place_of_the_former);
	RUN(test_a_cancelled_search_reports_nothing);
	RUN(test_a_callback_may_cancel_another_search);
	RUN(test_a_search_too_many_is_refused);
	RUN(test_without_an_overlay_a_search_ends_with_nothing);
	RUN(test_the_real_one_is_found_among_1000_fakes);
	RUN(test_sets_that_do_not_fit_are_reported_and_not_stored);
	RUN(test_regions_give_way_to_others);
	return check_done();
}
