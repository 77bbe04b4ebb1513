/* SPDX-License-Identifier: Apache-2.0 */
#include "service/limits/reputation.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "service/limits/reputation_record.h"
#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define WALL_S 1700000000ull
#define DAY_S  86400u

static const uint8_t key[MESH_KEY_LEN] = {1}, other_key[MESH_KEY_LEN] = {2};

static struct {
	struct service_reputation_params params;
	struct service_reputation *reputation;
	struct timer_wheel timers;
	struct random random;
	char dir[SCRATCH_CAP];
	uint64_t now_s;
	unsigned ban_cnt;
	uint8_t banned[MESH_KEY_LEN];
	uint64_t until_s;
	char reason[256];
} rig;

static uint64_t rig_wall_s(void *ctx)
{
	(void)ctx;
	return rig.now_s;
}

static void rig_ban(void *ctx, const uint8_t banned[MESH_KEY_LEN], uint64_t until_s,
		    const char *reason, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	rig.ban_cnt++;
	memcpy(rig.banned, banned, MESH_KEY_LEN);
	rig.until_s = until_s;
	snprintf(rig.reason, sizeof(rig.reason), "%s", reason);
}

static void reputation_open(void)
{
	if (service_reputation_new(&rig.params, &rig.reputation) < 0)
		abort();
}

static void setup(uint32_t peer_cap)
{
	memset(&rig, 0, sizeof(rig));
	rig.now_s = WALL_S;
	timer_wheel_init(&rig.timers, 0);
	random_init_seeded(&rig.random, 1);
	rig.params = (struct service_reputation_params){
		.peer_cap = peer_cap,
		.timers = &rig.timers,
		.random = &rig.random,
		.wall_s = rig_wall_s,
		.on_ban = rig_ban,
	};
	reputation_open();
}

static void teardown(void)
{
	service_reputation_free(rig.reputation);
}

static void note(const uint8_t *who, enum service_observation observation)
{
	service_reputation_note(rig.reputation, who, observation, NULL,
				(rig.now_s - WALL_S) * NS_PER_S);
}

static void note_many(const uint8_t *who, enum service_observation observation, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		note(who, observation);
}

static void test_each_observation_has_its_points(void)
{
	static const struct {
		enum service_observation observation;
		int points;
	} rows[] = {
		{SERVICE_OBSERVATION_GOOD_GET, 2},	  {SERVICE_OBSERVATION_FRIENDLY, 1},
		{SERVICE_OBSERVATION_ABORTED_GET, -3},	  {SERVICE_OBSERVATION_FAILED_GET, -5},
		{SERVICE_OBSERVATION_MALFORMED, -10},	  {SERVICE_OBSERVATION_VIOLATION, -15},
		{SERVICE_OBSERVATION_FALSE_CONTENT, -20},
	};

	CHECK_EQ(sizeof(rows) / sizeof(rows[0]), SERVICE_OBSERVATION_CNT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(16);
		CHECK_EQ(service_reputation_score(rig.reputation, key), 50);
		note(key, rows[i].observation);
		CHECK_EQ(service_reputation_score(rig.reputation, key), 50 + rows[i].points);
		CHECK_EQ(service_reputation_score(rig.reputation, other_key), 50);
		teardown();
	}
}

static void test_score_stays_between_0_and_100(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_GOOD_GET, 40);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 100);
	note_many(other_key, SERVICE_OBSERVATION_FAILED_GET, 40);
	CHECK_EQ(service_reputation_score(rig.reputation, other_key), 0);
	CHECK_STR(service_reputation_level(20), "untrusted");
	CHECK_STR(service_reputation_level(21), "normal");
	CHECK_STR(service_reputation_level(69), "normal");
	CHECK_STR(service_reputation_level(70), "trusted");
	teardown();
}

static void test_five_violations_within_an_hour_are_a_ban(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_MALFORMED, 4);
	CHECK_EQ(rig.ban_cnt, 0);
	CHECK(!service_reputation_is_banned(rig.reputation, key));
	service_reputation_note(rig.reputation, key, SERVICE_OBSERVATION_VIOLATION,
				"payload too large", 0);
	CHECK_EQ(rig.ban_cnt, 1);
	CHECK_MEM(rig.banned, key, sizeof(key));
	CHECK_EQ(rig.until_s, WALL_S + 60);
	CHECK_STR(rig.reason, "5 violations within an hour, the last one: payload too large");
	CHECK(service_reputation_is_banned(rig.reputation, key));
	CHECK(!service_reputation_is_banned(rig.reputation, other_key));
	rig.now_s += 59;
	CHECK(service_reputation_is_banned(rig.reputation, key));
	rig.now_s++;
	CHECK(!service_reputation_is_banned(rig.reputation, key));
	teardown();
}

static void test_violations_an_hour_apart_are_no_ban(void)
{
	setup(16);
	for (unsigned i = 0; i < 20; i++) {
		note(key, SERVICE_OBSERVATION_VIOLATION);
		rig.now_s += 900;
	}
	CHECK_EQ(rig.ban_cnt, 0);
	teardown();
	/* The fifth within 3,599 s is. */
	setup(16);
	note(key, SERVICE_OBSERVATION_VIOLATION);
	rig.now_s += 3599;
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 4);
	CHECK_EQ(rig.ban_cnt, 1);
	teardown();
}

static void test_failures_alone_are_no_ban(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_FAILED_GET, 60);
	CHECK_EQ(rig.ban_cnt, 0);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 0);
	teardown();
}

static void test_bans_double_up_to_an_hour_and_always_end(void)
{
	uint64_t want_s = 60;

	setup(16);
	for (unsigned i = 0; i < 40; i++) {
		note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
		CHECK_EQ(rig.ban_cnt, i + 1);
		CHECK_EQ(rig.until_s - rig.now_s, want_s);
		rig.now_s = rig.until_s;
		CHECK(!service_reputation_is_banned(rig.reputation, key));
		want_s = 2 * want_s < 3600 ? 2 * want_s : 3600;
	}
	teardown();
}

static void test_violations_while_banned_do_not_make_it_longer(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 10);
	CHECK_EQ(rig.ban_cnt, 1);
	CHECK_EQ(rig.until_s, WALL_S + 60);
	teardown();
}

static void test_what_was_90_days_ago_is_forgiven(void)
{
	struct service_reputation_state state;

	setup(16);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 0);
	rig.now_s += 90 * DAY_S - 1;
	note(key, SERVICE_OBSERVATION_FRIENDLY);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 1);
	rig.now_s += 90 * DAY_S;
	note(key, SERVICE_OBSERVATION_FRIENDLY);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 50 - 4 + 1);
	CHECK(service_reputation_look(rig.reputation, key, &state));
	CHECK_EQ(state.ban_cnt, 0);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
	CHECK_EQ(rig.until_s - rig.now_s, 60);
	teardown();
}

static void test_observations_of_an_hour_are_bounded(void)
{
	struct service_reputation_stats stats;

	setup(16);
	note_many(key, SERVICE_OBSERVATION_FRIENDLY, 200);
	service_reputation_stats(rig.reputation, &stats);
	CHECK_EQ(stats.observations[SERVICE_OBSERVATION_FRIENDLY], 95);
	CHECK_EQ(stats.ignored_cnt, 105);
	/*
	 * The last five are for violations, so that no peer is safe from a ban by good
	 * observations.
	 */
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 6);
	service_reputation_stats(rig.reputation, &stats);
	CHECK_EQ(stats.observations[SERVICE_OBSERVATION_VIOLATION], 5);
	CHECK_EQ(stats.ignored_cnt, 106);
	CHECK_EQ(rig.ban_cnt, 1);
	rig.now_s += 3600;
	note(key, SERVICE_OBSERVATION_FRIENDLY);
	service_reputation_stats(rig.reputation, &stats);
	CHECK_EQ(stats.observations[SERVICE_OBSERVATION_FRIENDLY], 96);
	teardown();
}

static void test_a_clock_set_back_ends_no_ban_early_and_makes_none(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 4);
	rig.now_s -= 10000;
	CHECK_EQ(service_reputation_score(rig.reputation, key), 0);
	note(key, SERVICE_OBSERVATION_VIOLATION);
	CHECK_EQ(rig.ban_cnt, 1);
	CHECK_EQ(rig.until_s, rig.now_s + 60);
	rig.now_s -= 1000;
	CHECK(service_reputation_is_banned(rig.reputation, key));
	teardown();
}

static void test_an_operators_pardon_forgets_violations(void)
{
	setup(16);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
	service_reputation_pardon(rig.reputation, key, 0);
	CHECK(!service_reputation_is_banned(rig.reputation, key));
	CHECK_EQ(service_reputation_score(rig.reputation, key), 50);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 4);
	CHECK_EQ(rig.ban_cnt, 1);
	note(key, SERVICE_OBSERVATION_VIOLATION);
	CHECK_EQ(rig.ban_cnt, 2);
	CHECK_EQ(rig.until_s - rig.now_s, 60);
	teardown();
}

/* What the store has under key, 0 bytes: nothing. */
static size_t record_stored(uint8_t out[static SERVICE_REPUTATION_RECORD_LEN_MAX])
{
	struct store_snapshot *snapshot;
	const void *value;
	size_t len = 0;

	store_flush(rig.params.store);
	if (store_snapshot_open(rig.params.store, &snapshot) < 0)
		abort();
	if (store_get(snapshot, STORE_REPUTATION, store_key(key, sizeof(key)), &value, &len) < 0)
		len = 0;
	else
		memcpy(out, value, len);
	store_snapshot_close(snapshot);
	return len;
}

static void write_all(void)
{
	timer_wheel_expire(&rig.timers, (rig.now_s - WALL_S + 100) * NS_PER_S);
	store_reap(rig.params.store);
}

static void test_a_pardon_leaves_no_trace(void)
{
	static const unsigned good_cnts[] = {0, 3};

	for (unsigned i = 0; i < 2; i++) {
		uint8_t before[SERVICE_REPUTATION_RECORD_LEN_MAX];
		uint8_t after[SERVICE_REPUTATION_RECORD_LEN_MAX];
		struct service_reputation_state state;
		struct service_reputation_stats stats;
		size_t before_len, after_len;

		setup(16);
		teardown();
		scratch_make(rig.dir);
		rig.params.store = scratch_store(rig.dir, true);
		reputation_open();
		note_many(key, SERVICE_OBSERVATION_GOOD_GET, good_cnts[i]);
		write_all();
		before_len = record_stored(before);
		rig.now_s += 30;
		note_many(key, SERVICE_OBSERVATION_FALSE_CONTENT, 5);
		CHECK(service_reputation_is_banned(rig.reputation, key));
		service_reputation_pardon(rig.reputation, key, 0);
		write_all();
		after_len = record_stored(after);
		CHECK_EQ(after_len, before_len);
		CHECK_MEM(after, before, before_len);
		CHECK_EQ(service_reputation_look(rig.reputation, key, &state), good_cnts[i] > 0);
		service_reputation_stats(rig.reputation, &stats);
		CHECK_EQ(stats.peer_cnt, good_cnts[i] > 0);
		teardown();
		store_close(rig.params.store);
		scratch_remove(rig.dir);
	}
}

static void test_a_score_that_was_set_is_kept_and_observations_go_on_from_it(void)
{
	uint8_t bytes[SERVICE_REPUTATION_RECORD_LEN_MAX];
	struct service_reputation_record record;

	setup(16);
	teardown();
	scratch_make(rig.dir);
	rig.params.store = scratch_store(rig.dir, true);
	reputation_open();
	note_many(key, SERVICE_OBSERVATION_FALSE_CONTENT, 2);
	CHECK_EQ(service_reputation_set(rig.reputation, key, 90, 0), 0);
	CHECK_EQ(service_reputation_set(rig.reputation, other_key, 101, 0), 0);
	CHECK_EQ(service_reputation_score(rig.reputation, other_key), 100);
	/* It is in the store without waiting for the timer. */
	CHECK_EQ(service_reputation_record_parse(bytes, record_stored(bytes), &record), 0);
	CHECK_EQ(record.state.score, 90);
	CHECK_EQ(record.state.violation_cnt, 2);
	note(key, SERVICE_OBSERVATION_FAILED_GET);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 85);
	note_many(key, SERVICE_OBSERVATION_FALSE_CONTENT, 3);
	CHECK(service_reputation_is_banned(rig.reputation, key)); /* two of them are from before */
	service_reputation_pardon(rig.reputation, key, 0);
	CHECK_EQ(service_reputation_score(rig.reputation, key), 85);
	teardown();
	store_close(rig.params.store);
	scratch_remove(rig.dir);
}

static const uint8_t *unknown_peer(unsigned i)
{
	static uint8_t unknown_peer_key[MESH_KEY_LEN];

	memcpy(unknown_peer_key, &i, sizeof(i));
	unknown_peer_key[31] = 9;
	return unknown_peer_key;
}

/* Identities are free: a flood of them displaces neither bans nor well known peers. */
static void test_unknown_peers_displace_no_peer_with_a_score(void)
{
	struct service_reputation_stats stats;

	setup(16);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
	note_many(other_key, SERVICE_OBSERVATION_GOOD_GET, 20);
	for (unsigned i = 0; i < 1000; i++)
		note(unknown_peer(i), SERVICE_OBSERVATION_FAILED_GET);
	CHECK(service_reputation_is_banned(rig.reputation, key));
	CHECK_EQ(service_reputation_score(rig.reputation, other_key), 90);
	service_reputation_stats(rig.reputation, &stats);
	CHECK_EQ(stats.peer_cnt, 16);
	CHECK_EQ(stats.evicted_cnt, 1000 - 14);
	teardown();
}

static void test_a_table_of_bans_loses_the_one_that_ends_first(void)
{
	struct service_reputation_stats stats;

	setup(4);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 5);
	rig.now_s = rig.until_s;
	note(key, SERVICE_OBSERVATION_VIOLATION); /* of two minutes */
	for (unsigned i = 0; i < 20; i++)
		note_many(unknown_peer(i), SERVICE_OBSERVATION_VIOLATION, 5);
	service_reputation_stats(rig.reputation, &stats);
	CHECK_EQ(rig.ban_cnt, 22);
	CHECK_EQ(stats.refused_cnt, 0);
	CHECK_EQ(stats.evicted_cnt, 17);
	CHECK(service_reputation_is_banned(rig.reputation, key));
	CHECK(service_reputation_is_banned(rig.reputation, unknown_peer(19)));
	teardown();
}

static unsigned worth_of(void *ctx, const uint8_t *of)
{
	(void)ctx;
	return memcmp(of, other_key, sizeof(other_key)) == 0;
}

static void test_violators_displace_no_valued_peer(void)
{
	setup(16);
	rig.params.worth = worth_of;
	teardown();
	reputation_open();
	note(other_key, SERVICE_OBSERVATION_FRIENDLY);
	for (unsigned i = 0; i < 1000; i++) {
		note_many(unknown_peer(i), SERVICE_OBSERVATION_VIOLATION, 5);
		rig.now_s += 61; /* its ban has ended: a peer of note, and an unknown peer */
	}
	CHECK_EQ(service_reputation_score(rig.reputation, other_key), 51);
	teardown();
}

/* In a process of its own, which is killed as soon as the violations are durable. */
static void violate_and_die(void)
{
	rig.params.store = scratch_store(rig.dir, false);
	reputation_open();
	service_reputation_note(rig.reputation, key, SERVICE_OBSERVATION_MALFORMED, "odd frame", 0);
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 4);
	note_many(other_key, SERVICE_OBSERVATION_VIOLATION, 4);
	store_flush(rig.params.store);
	kill(getpid(), SIGKILL);
}

static void test_bans_and_violations_survive_a_kill(void)
{
	struct service_reputation_state state;
	int status;
	pid_t pid;

	setup(16);
	teardown();
	scratch_make(rig.dir);
	pid = fork();
	if (pid == 0)
		violate_and_die();
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));

	rig.now_s += 30;
	rig.params.store = scratch_store(rig.dir, true);
	reputation_open();
	CHECK(service_reputation_is_banned(rig.reputation, key));
	CHECK(service_reputation_look(rig.reputation, key, &state));
	CHECK_EQ(state.score, 0);
	CHECK_EQ(state.ban_cnt, 1);
	CHECK_EQ(state.banned_until_s, WALL_S + 60);
	CHECK_EQ(state.violation_cnt, 5);
	CHECK_STR(state.violations[4].why, "odd frame");
	CHECK_STR(state.violations[0].why, "broken rule");
	/* The fifth of the other one comes after the restart. */
	note(other_key, SERVICE_OBSERVATION_VIOLATION);
	CHECK_EQ(rig.ban_cnt, 1);
	CHECK_MEM(rig.banned, other_key, sizeof(other_key));
	teardown();
	store_close(rig.params.store);
	scratch_remove(rig.dir);
}

static void test_scores_are_written_within_seconds(void)
{
	struct store *store;

	setup(16);
	teardown();
	scratch_make(rig.dir);
	store = rig.params.store = scratch_store(rig.dir, true);
	reputation_open();
	note_many(key, SERVICE_OBSERVATION_GOOD_GET, 3);
	timer_wheel_expire(&rig.timers, 5 * NS_PER_S);
	store_reap(store);
	teardown();
	store_crash(store);
	store = rig.params.store = scratch_store(rig.dir, true);
	reputation_open();
	CHECK_EQ(service_reputation_score(rig.reputation, key), 56);
	teardown();
	store_close(store);
	scratch_remove(rig.dir);
}

static void test_record_is_read_as_written_and_no_prefix_is(void)
{
	struct service_reputation_record got, record = {
						      .state = {.score = 33,
								.heard_s = WALL_S,
								.ban_cnt = 7,
								.banned_until_s = WALL_S + 5,
								.violation_cnt = 5},
						      .hour_s = WALL_S - 7,
						      .observation_cnt = 99,
						      .taken_points = 50,
						      .other_s = WALL_S - 9,
						      .hour_violation_cnt = 8,
					      };
	uint8_t bytes[SERVICE_REPUTATION_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (unsigned i = 0; i < 5; i++) {
		record.state.violations[i].at_s = UINT64_MAX;
		record.state.violations[i].observation = SERVICE_OBSERVATION_VIOLATION;
		memset(record.state.violations[i].why, 'w', SERVICE_VIOLATION_WHY_CAP - 1);
	}
	service_reputation_record_write(&w, &record);
	CHECK(!w.bad);
	CHECK_EQ(service_reputation_record_parse(bytes, writer_len(&w), &got), 0);
	CHECK_MEM(&got, &record, sizeof(got));
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(service_reputation_record_parse(bytes, len, &got), WEFT_EMALFORMED);
	bytes[2] = 2;
	CHECK_EQ(service_reputation_record_parse(bytes, writer_len(&w), &got), WEFT_ENEWER);
}

static void test_it_is_explained(void)
{
	char text[SERVICE_REPUTATION_TEXT_CAP];

	setup(16);
	CHECK_STR(service_reputation_explain(rig.reputation, key, text), "");
	note(key, SERVICE_OBSERVATION_GOOD_GET);
	CHECK_STR(service_reputation_explain(rig.reputation, key, text),
		  "Its reputation is 52 of 100 (normal).");
	note_many(key, SERVICE_OBSERVATION_VIOLATION, 4);
	service_reputation_note(rig.reputation, key, SERVICE_OBSERVATION_VIOLATION,
				"payload too large", 0);
	rig.now_s += 30;
	CHECK_STR(service_reputation_explain(rig.reputation, key, text),
		  "Its reputation is 0 of 100 (untrusted). It last broke a rule 0 min ago: payload "
		  "too large. It is banned for 1 min more, for 5 violations within an "
		  "hour (ban number 1); weft ban remove lifts it.");
	rig.now_s += 3600;
	CHECK_STR(
		service_reputation_explain(rig.reputation, key, text),
		"Its reputation is 0 of 100 (untrusted). It last broke a rule 60 min ago: payload "
		"too large. Bans so far: 1; the next one is of 2 min.");
	teardown();
}

int main(void)
{
	RUN(test_each_observation_has_its_points);
	RUN(test_score_stays_between_0_and_100);
	RUN(test_five_violations_within_an_hour_are_a_ban);
	RUN(test_violations_an_hour_apart_are_no_ban);
	RUN(test_failures_alone_are_no_ban);
	RUN(test_bans_double_up_to_an_hour_and_always_end);
	RUN(test_violations_while_banned_do_not_make_it_longer);
	RUN(test_what_was_90_days_ago_is_forgiven);
	RUN(test_observations_of_an_hour_are_bounded);
	RUN(test_a_clock_set_back_ends_no_ban_early_and_makes_none);
	RUN(test_an_operators_pardon_forgets_violations);
	RUN(test_unknown_peers_displace_no_peer_with_a_score);
	RUN(test_a_pardon_leaves_no_trace);
	RUN(test_a_score_that_was_set_is_kept_and_observations_go_on_from_it);
	RUN(test_a_table_of_bans_loses_the_one_that_ends_first);
	RUN(test_violators_displace_no_valued_peer);
	RUN(test_bans_and_violations_survive_a_kill);
	RUN(test_scores_are_written_within_seconds);
	RUN(test_record_is_read_as_written_and_no_prefix_is);
	RUN(test_it_is_explained);
	return check_done();
}
