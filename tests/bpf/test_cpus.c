/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits are of all CPUs together: a queue that moves between two, and two
 * that run at once, admit and answer as much as one.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/program.h"
#include "net/ingress/krpc_table_writer.h"
#include "support/check.h"

#define NOW_NS	  (1000 * 1000000000ull)
#define BURST_CNT 100
#define SENT_CNT  1000
#define CPU_MAX	  2

static const struct weft_bucket_rate plenty = {.cost_ns = 1, .credit_max_ns = 1ull << 40};
static const struct weft_bucket_rate burst = {.cost_ns = 1000, .credit_max_ns = BURST_CNT * 1000};
static struct program program;
static uint8_t frame[PACKET_LEN_MAX];
static size_t frame_len;

static bool move_to(unsigned cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
}

static void frame_of(const uint8_t *payload, size_t len)
{
	const struct packet packet = {
		.source = packet_endpoint("192.0.2.1", 4242),
		.local = packet_endpoint("10.0.0.1", 7000),
		.payload = payload,
		.payload_len = len,
	};

	frame_len = packet_write(&packet, frame);
}

static void publish(void)
{
	static const uint64_t key[2] = {7, 8};
	const uint8_t none[1] = {0};

	for (unsigned bucket = 0; bucket < WEFT_KRPC_BUCKET_CNT; bucket++)
		net_krpc_tables_set_nodes(&program.krpc, WEFT_KRPC_IPV4, bucket, none, 0);
	net_krpc_tables_set_token_key(&program.krpc, key);
	net_krpc_tables_set_id(&program.krpc, WEFT_KRPC_IPV4,
			       (const uint8_t *)"an IPv4 id of 20 by.");
}

static struct weft_config config_of(void)
{
	struct weft_config config = {.salt = {1, 2, 3}, .samples = plenty, .validated = plenty};

	for (unsigned class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[class][level] = plenty;
	for (unsigned total = 0; total < WEFT_TOTAL_CNT; total++)
		config.totals[total] = plenty;
	return config;
}

static void set_up(const struct weft_config *config)
{
	const struct weft_endpoint local = packet_endpoint("10.0.0.1", 7000);
	const struct weft_device device = packet_device();
	struct weft_locals locals = {0};
	const uint32_t only = 0;

	program_clear(&program);
	weft_locals_put(&locals, &local);
	program_put(&program, "weft_locals", &only, &locals);
	program_put(&program, "weft_device", &only, &device);
	program_put(&program, "weft_config", &only, config);
	program_set_now(&program, NOW_NS);
	publish();
}

/* How many of cnt frames that this CPU gets are not dropped. */
static unsigned run(unsigned cnt)
{
	static _Thread_local struct program_result result;
	unsigned passed_cnt = 0;

	for (unsigned i = 0; i < cnt; i++) {
		program_run(&program, frame, frame_len, &result);
		passed_cnt += result.action != XDP_DROP;
	}
	return passed_cnt;
}

static unsigned run_by_turns(void)
{
	unsigned passed_cnt = 0;

	for (unsigned i = 0; i < SENT_CNT; i++) {
		if (!move_to(i % CPU_MAX))
			return UINT32_MAX;
		passed_cnt += run(1);
	}
	return passed_cnt;
}

static void test_a_source_whose_queue_moves_has_one_rate(void)
{
	struct weft_config config = config_of();

	config.rates[WEFT_CLASS_KRPC][0] = burst;
	frame_of((const uint8_t *)"d1:ad2:id20:abcdefghij01234567899:", 34);
	set_up(&config);
	CHECK_EQ(run_by_turns(), BURST_CNT);
	/* And what a second brings, once. */
	program_set_now(&program, NOW_NS + 10 * burst.cost_ns);
	CHECK_EQ(run_by_turns(), 10);
}

/* Of the bytes that answers may have beyond their questions, no CPU has some of its own. */
static void test_two_cpus_answer_as_much_as_one(void)
{
	const struct payload_krpc ping = {.kind = WEFT_KRPC_PING, .is_read_only = true};
	struct weft_config config = config_of();
	uint8_t payload[PAYLOAD_LEN_MAX];
	unsigned by_one, by_two;

	config.totals[WEFT_TOTAL_KRPC_BYTES] =
		(struct weft_bucket_rate){.cost_ns = 1, .credit_max_ns = 5000};
	frame_of(payload, payload_write_krpc(&ping, payload));
	set_up(&config);
	CHECK(move_to(0));
	by_one = run(SENT_CNT);
	CHECK(by_one > 0 && by_one < SENT_CNT);
	set_up(&config);
	by_two = run_by_turns();
	CHECK_EQ(by_two, by_one);
}

static void *run_on(void *cpu)
{
	if (!move_to((unsigned)(uintptr_t)cpu))
		return (void *)(uintptr_t)UINT32_MAX;
	return (void *)(uintptr_t)run(50 * SENT_CNT);
}

/* Both at once: what is admitted twice would be one too many. */
static void test_two_cpus_at_once_admit_no_more_than_one(void)
{
	struct weft_config config = config_of();
	pthread_t threads[CPU_MAX];
	uintptr_t sum = 0;

	config.rates[WEFT_CLASS_KRPC][0] =
		(struct weft_bucket_rate){.cost_ns = 1, .credit_max_ns = 60 * SENT_CNT};
	frame_of((const uint8_t *)"d1:ad2:id20:abcdefghij01234567899:", 34);
	set_up(&config);
	for (uintptr_t i = 0; i < CPU_MAX; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, run_on, (void *)i), 0);
	for (unsigned i = 0; i < CPU_MAX; i++) {
		void *passed_cnt;

		CHECK_EQ(pthread_join(threads[i], &passed_cnt), 0);
		sum += (uintptr_t)passed_cnt;
	}
	CHECK_EQ(sum, 60 * SENT_CNT);
}

int main(void)
{
	const char *why = program_open(&program, 16);

	if (why)
		SKIP_ALL(why);
	if (sysconf(_SC_NPROCESSORS_ONLN) < CPU_MAX)
		SKIP_ALL("machine: has one CPU");
	RUN(test_a_source_whose_queue_moves_has_one_rate);
	RUN(test_two_cpus_answer_as_much_as_one);
	RUN(test_two_cpus_at_once_admit_no_more_than_one);
	program_close(&program);
	return check_done();
}
