/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a replay says of other limits, held against the policy itself under
 * these limits (weft/limit.h over a worker's tables), in virtual time.
 */
#include "firewall/replay.h"

#include <stdlib.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "net/ingress/ingress_policy.h"
#include "firewall/arrivals.h"
#include "firewall/policy_limits.h"
#include "support/check.h"

#define START_S	   (100 * SKETCH_SLOT_S)
#define MINUTES	   3
#define SECONDS	   (MINUTES * SKETCH_SLOT_S)
#define SOURCE_MAX 4000

static struct sketch sketch;
static struct arrivals arrivals;
static struct replay_result result;

/* Sources send rate datagrams in every period-th second. */
struct pattern {
	const char *name;
	unsigned source_cnt;
	uint32_t per_s, step; /* of the first; each further one step more */
	unsigned period;
	bool is_one_network, is_ipv6;
	uint32_t before, after; /* krpc_rate; burst is twice that */
	bool is_alone;		/* each has a row of its own */
};

static const struct pattern patterns[] = {
	{"one above the new rate", 1, 150, 0, 1, false, false, 200, 50, true},
	{"thirty, some above", 30, 1, 2, 1, false, false, 100, 20, true},
	{"bursts above the new burst", 10, 300, 0, 10, false, false, 200, 50, true},
	{"admitted again", 10, 150, 0, 1, false, false, 100, 1000, true},
	{"a network above its own", 40, 60, 0, 1, true, false, 100, 80, true},
	{"a network admitted again", 40, 60, 0, 1, true, false, 80, 200, true},
	{"three levels", 20, 90, 3, 1, true, true, 100, 60, true},
	{"more than there are rows", 3000, 30, 0, 1, false, false, 100, 10, false},
	{"nothing changes", 30, 50, 0, 1, false, false, 100, 80, true},
};

static struct weft_endpoint source_of(const struct pattern *pattern, unsigned i)
{
	struct weft_endpoint source = {.port_be = 1};
	uint8_t ipv4[4] = {10, (uint8_t)(i >> 8), (uint8_t)i, 1};
	uint8_t ipv6[16] = {0x20, 1, 0xd, 0xb8, 0, 0, (uint8_t)(i / 8), (uint8_t)i};

	if (pattern->is_one_network)
		memcpy(ipv4, (uint8_t[]){10, 0, 0, (uint8_t)(i + 1)}, sizeof(ipv4));
	if (pattern->is_ipv6)
		weft_endpoint_set_ipv6(&source, ipv6);
	else
		weft_endpoint_set_ipv4(&source, ipv4);
	return source;
}

static void config_of(struct weft_config *config, uint32_t krpc_rate)
{
	struct limits_config limits;

	memset(config, 0, sizeof(*config));
	firewall_limits_config_defaults(&limits);
	limits.classes[WEFT_CLASS_KRPC] = (struct limits_rate){krpc_rate, 2 * krpc_rate};
	firewall_limits_apply(&limits, config);
	config->salt[0] = 0x1234567;
	config->salt[1] = 0x89abcdef;
	config->salt[2] = 0x55aa55aa55;
}

static void second_read(struct weft_tables *tables, uint64_t now_ns)
{
	const struct sketch_second second = {.mode = WEFT_MODE_NORMAL};

	firewall_sketch_tell_second(&sketch, &second, now_ns);
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++) {
		const struct arrivals_block block = {
			.level = level,
			.class = WEFT_CLASS_KRPC,
			.cnt = WEFT_PLACE_CNT,
			.places = weft_table_place(tables, WEFT_CLASS_KRPC, level, 0),
			.rate = tables->config.rates[WEFT_CLASS_KRPC][level],
		};

		firewall_arrivals_read(&arrivals, &block, now_ns);
	}
}

/* All sources' datagrams of one second, mixed, each source's evenly spread. */
static uint64_t second_send(struct weft_tables *tables, const struct pattern *pattern,
			    unsigned second)
{
	static uint32_t sent[SOURCE_MAX];
	uint64_t refused_cnt = 0;

	memset(sent, 0, sizeof(sent));
	if (second % pattern->period)
		return 0;
	for (uint64_t ms = 1; ms <= 1000; ms++) {
		for (unsigned i = 0; i < pattern->source_cnt; i++) {
			struct weft_endpoint source = source_of(pattern, i);
			uint64_t due = (pattern->per_s + i * pattern->step) * ms / 1000;

			for (; sent[i] < due; sent[i]++)
				refused_cnt += !weft_limit_admit(tables, &source, WEFT_CLASS_KRPC,
								 (START_S + second) * NS_PER_S +
									 ms * NS_PER_MS);
		}
	}
	return refused_cnt;
}

/* Returns how many the policy itself refuses under krpc_rate. */
static uint64_t policy_run(const struct pattern *pattern, uint32_t krpc_rate, bool is_recorded)
{
	const struct demux_tables_params params = {.ban_cap = 1, .session_cap = 1};
	struct weft_tables *tables = calloc(1, sizeof(*tables));
	uint64_t refused_cnt = 0;
	struct arena arena;

	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    net_ingress_tables_init(tables, &arena, &params) < 0)
		abort();
	config_of(&tables->config, krpc_rate);
	for (unsigned second = 0; second < SECONDS; second++) {
		refused_cnt += second_send(tables, pattern, second);
		if (is_recorded)
			second_read(tables, (START_S + second) * NS_PER_S + NS_PER_S - 1);
	}
	arena_close(&arena);
	free(tables);
	return refused_cnt;
}

static void replay_limits_of(struct replay_limits *limits, uint32_t krpc_rate)
{
	struct weft_config config;

	config_of(&config, krpc_rate);
	*limits =
		(struct replay_limits){.flood_shift = LIMITS_FLOOD_SHIFT, .pressure = {256, 50000}};
	memcpy(limits->rates, config.rates, sizeof(limits->rates));
}

static void replay(uint32_t before, uint32_t after)
{
	struct replay_params params = {
		.sketch = &sketch,
		.from_minute = firewall_sketch_minute(START_S * NS_PER_S),
		.to_minute = firewall_sketch_minute((START_S + SECONDS) * NS_PER_S),
	};

	replay_limits_of(&params.before, before);
	replay_limits_of(&params.after, after);
	firewall_sketch_settle(&sketch);
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
}

static void record_begin(void)
{
	memset(&sketch, 0, sizeof(sketch));
	firewall_arrivals_close(&arrivals);
	CHECK_EQ(firewall_arrivals_open(&arrivals, 1, &sketch), 0);
}

static bool is_within(int64_t told, int64_t real, uint64_t unsure)
{
	return llabs(told - real) <= (int64_t)unsure;
}

static void test_the_estimate_is_what_the_policy_refuses_within_its_error(void)
{
	const struct replay_class *class = &result.classes[WEFT_CLASS_KRPC];

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const struct pattern *pattern = &patterns[i];
		int64_t real, told, before, after;

		record_begin();
		before = (int64_t)policy_run(pattern, pattern->before, true);
		after = (int64_t)policy_run(pattern, pattern->after, false);
		replay(pattern->before, pattern->after);
		real = after - before;
		told = (int64_t)class->newly_refused_cnt - (int64_t)class->newly_admitted_cnt;
		printf("# %s: %lld told, %lld so, unsure %llu of %llu\n", pattern->name,
		       (long long)told, (long long)real, (unsigned long long)class->unsure_cnt,
		       (unsigned long long)class->offered_cnt);
		CHECK(is_within(told, real, class->unsure_cnt));
		CHECK_EQ(real != 0, told != 0);
		/* And that is not because all is unsure. */
		if (pattern->is_alone)
			CHECK(class->unsure_cnt <= class->offered_cnt / 10);
		CHECK_EQ(result.known_s, SECONDS);
	}
	firewall_arrivals_close(&arrivals);
}

static void test_sources_and_times_are_named(void)
{
	const struct pattern quiet = {"quiet", 5, 10, 0, 1, false, false, 100, 50, true};
	struct pattern loud = {"loud", 1, 90, 0, 1, false, false, 100, 50, true};
	struct weft_endpoint source = source_of(&loud, 0);
	uint64_t first = firewall_sketch_minute(START_S * NS_PER_S);

	record_begin();
	(void)policy_run(&quiet, 100, true);
	record_begin();
	(void)policy_run(&loud, 100, true);
	replay(100, 50);
	CHECK_EQ(result.source_cnt, 1);
	CHECK_EQ(result.sources[0].prefix, weft_endpoint_prefix(&source, 0));
	source = weft_prefix_endpoint(result.sources[0].prefix);
	CHECK_EQ(weft_endpoint_ipv4(&source), 0x0a000001);
	CHECK_EQ(result.sources[0].first_minute, first);
	CHECK_EQ(result.sources[0].last_minute, first + MINUTES - 1);
	CHECK_EQ(result.classes[WEFT_CLASS_KRPC].newly_refused_sources, 1);
	CHECK_EQ(result.classes[WEFT_CLASS_KRPC].newly_admitted_sources, 0);
	CHECK_EQ(result.period_cnt, 1);
	CHECK_EQ(result.periods[0].from_minute, first);
	CHECK_EQ(result.periods[0].to_minute, first + MINUTES);
	CHECK_EQ(result.periods[0].newly_refused_cnt, result.sources[0].newly_refused_cnt);
	firewall_arrivals_close(&arrivals);
}

/* The sketch has but table 0: that of a worker's socket, or of a CPU. */
static void test_a_workers_socket_has_its_part_of_the_limit(void)
{
	const struct pattern steady = {"steady", 1, 60, 0, 1, true, false, 80, 80, true};
	struct replay_params params = {
		.sketch = &sketch,
		.from_minute = firewall_sketch_minute(START_S * NS_PER_S),
		.to_minute = firewall_sketch_minute((START_S + SECONDS) * NS_PER_S),
	};

	record_begin();
	(void)policy_run(&steady, 80, true);
	firewall_sketch_settle(&sketch);
	replay_limits_of(&params.before, 80);
	replay_limits_of(&params.after, 80);
	for (unsigned i = 0; i < WEFT_LEVEL_CNT; i++)
		params.after.worker_rates[WEFT_CLASS_KRPC][i] =
			(struct weft_bucket_rate){NS_PER_S / 30, NS_PER_S};
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
	CHECK_EQ(result.classes[WEFT_CLASS_KRPC].newly_refused_cnt, 0);
	params.after.worker_cnt = 1;
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
	CHECK(result.classes[WEFT_CLASS_KRPC].newly_refused_cnt > 25ull * SECONDS);
	firewall_arrivals_close(&arrivals);
}

static void test_arrivals_count_what_each_level_refused(void)
{
	const struct pattern network = {"network", 40, 60, 0, 1, true, false, 80, 80, true};
	const struct arrivals_limit *limits = arrivals.limits[WEFT_CLASS_KRPC];
	uint64_t refused_cnt;

	record_begin();
	refused_cnt = policy_run(&network, 80, true);
	CHECK_EQ(limits[0].offered_cnt, 40ull * 60 * SECONDS);
	CHECK_EQ(limits[0].refused_cnt, 0);
	CHECK_EQ(limits[1].offered_cnt, limits[0].offered_cnt);
	CHECK_EQ(limits[1].refused_cnt, refused_cnt);
	CHECK(limits[1].refused_at_ns > 0);
	CHECK_EQ(limits[0].refused_at_ns, 0);
	/* The network's bucket is empty, the sources' are not. */
	CHECK(firewall_arrivals_credit(&limits[1]).left_ns <
	      firewall_arrivals_credit(&limits[1]).max_ns / 100);
	CHECK(firewall_arrivals_credit(&limits[0]).left_ns >
	      firewall_arrivals_credit(&limits[0]).max_ns / 2);
	firewall_arrivals_close(&arrivals);
}

static void test_modes_follow_the_recorded_load(void)
{
	struct replay_params params = {.sketch = &sketch, .from_minute = 1, .to_minute = 3};

	memset(&sketch, 0, sizeof(sketch));
	for (uint64_t s = 0; s < 2 * SKETCH_SLOT_S; s++) {
		const struct sketch_second second = {
			.mode = WEFT_MODE_NORMAL,
			.half_open_cnt = s >= 20 && s < 30 ? 200 : 0,
			.unvalidated_cnt = s >= 60 && s < 70 ? 30000 : 10,
		};

		firewall_sketch_tell_second(&sketch, &second, s * NS_PER_S + 1);
	}
	replay_limits_of(&params.before, 100);
	replay_limits_of(&params.after, 100);
	firewall_sketch_settle(&sketch);
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
	CHECK_EQ(result.mode_after_s[WEFT_MODE_NORMAL], 120);
	params.after.pressure.pressured_from = 100;
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
	/* Ten seconds of it, and the calm after. */
	CHECK_EQ(result.mode_after_s[WEFT_MODE_PRESSURED], 20);
	CHECK_EQ(result.mode_before_s[WEFT_MODE_NORMAL], 120);
	params.after.pressure.flood_above = 20000;
	CHECK_EQ(firewall_replay_run(&params, &result), 0);
	CHECK_EQ(result.mode_after_s[WEFT_MODE_FLOOD], 20);
}

/* One at a time and all of a second at once come to the same, but for one. */
static void test_a_second_at_once_is_as_one_by_one(void)
{
	static const uint32_t cnts[] = {0, 1, 2, 5, 10, 99, 100, 101, 150, 200, 500, 3000};
	const struct limits_rate limit = {100, 200};
	struct weft_bucket_rate rate = firewall_limits_bucket_rate(&limit, 0);

	for (unsigned first = 0; first < sizeof(cnts) / sizeof(cnts[0]); first++) {
		struct weft_bucket one = {0}, all = {0};
		int64_t ahead = 0;

		for (unsigned s = 0; s < 40; s++) {
			uint32_t cnt = cnts[(first + s * 7) % (sizeof(cnts) / sizeof(cnts[0]))];
			uint64_t at_ns = (1000 + s) * NS_PER_S;

			for (uint32_t i = 1; i <= cnt; i++)
				ahead -= weft_bucket_take(&one, &rate, at_ns + i * NS_PER_S / cnt);
			ahead += firewall_replay_take(&all, &rate, cnt, at_ns);
			CHECK(llabs(ahead) <= 1 + (int64_t)s / 8);
		}
	}
}

int main(void)
{
	RUN(test_a_second_at_once_is_as_one_by_one);
	RUN(test_the_estimate_is_what_the_policy_refuses_within_its_error);
	RUN(test_sources_and_times_are_named);
	RUN(test_arrivals_count_what_each_level_refused);
	RUN(test_a_workers_socket_has_its_part_of_the_limit);
	RUN(test_modes_follow_the_recorded_load);
	return check_done();
}
