/* SPDX-License-Identifier: Apache-2.0 */
/* The policy at the kernel's sockets of one worker, and of several together. */
#include "firewall/ingress.h"
#include "net/ingress/ingress_verdict.h"

#include "base/dgram.h"
#include "worker/fastpath/fastpath.h"
#include "support/check.h"
#include "weft/cid.h"

#define WORKER_CNT  2
#define NOW_NS	    (5000 * 1000000000ull)
#define UNVALIDATED "192.0.2.1:9"

struct bench {
	struct weft_config policy;
	struct ingress *ingresses[WORKER_CNT];
};

static bool bench_open(struct bench *bench)
{
	const struct ingress_params params = {.secret = {1, 2}, .session_cap = 4};
	struct weft_config part;
	bool is_made = true;

	memset(bench, 0, sizeof(*bench));
	firewall_policy_defaults(&bench->policy);
	part = bench->policy;
	firewall_ingress_share(&part, WORKER_CNT);
	for (unsigned i = 0; i < WORKER_CNT && is_made; i++) {
		is_made = firewall_ingress_new(&params, &bench->ingresses[i]) == 0;
		if (is_made) {
			firewall_ingress_configure(bench->ingresses[i], &part);
			firewall_ingress_turn(bench->ingresses[i], NOW_NS);
		}
	}
	return is_made;
}

static void bench_close(struct bench *bench)
{
	for (unsigned i = 0; i < WORKER_CNT; i++)
		firewall_ingress_free(bench->ingresses[i]);
}

static enum weft_verdict judge(struct ingress *ingress, struct dgram *dgram)
{
	(void)net_ingress_judge_dgram(firewall_ingress_judge(ingress), dgram);
	return dgram->judged.verdict;
}

static bool admits(struct ingress *ingress, const char *from, const void *data, size_t len)
{
	uint8_t copy[1200] = {0};
	struct dgram dgram = {.data = copy, .len = len};

	memcpy(copy, data, len < 16 ? len : 16);
	return addr_parse(from, &dgram.remote) == 0 && judge(ingress, &dgram) == WEFT_DELIVER;
}

static bool admits_initial(struct ingress *ingress, const char *from)
{
	static const uint8_t initial[16] = {0xc3, 0, 0, 0, 1, 8};

	return admits(ingress, from, initial, 1200);
}

static bool admits_krpc(struct ingress *ingress, const char *from)
{
	return admits(ingress, from, "d1:ad2:id20:....", 16);
}

static bool admits_id_of(struct ingress *ingress, const struct weft_cid_keys *keys,
			 const char *from)
{
	static const uint8_t noise[WEFT_CID_RANDOM_LEN] = {7};
	uint8_t packet[100] = {0x40};
	struct dgram dgram = {.data = packet, .len = sizeof(packet)};

	weft_cid_write(keys, 0, noise, packet + 1);
	return addr_parse(from, &dgram.remote) == 0 && judge(ingress, &dgram) != WEFT_DROP;
}

static unsigned burst_of(const struct bench *bench, enum weft_class class)
{
	const struct weft_bucket_rate *rate = &bench->policy.rates[class][0];

	return (unsigned)(rate->credit_max_ns / rate->cost_ns);
}

static void test_two_workers_admit_together_what_the_limit_says_and_not_one_more(void)
{
	unsigned cnt = 0, burst;
	struct bench bench;

	CHECK(bench_open(&bench));
	burst = burst_of(&bench, WEFT_CLASS_INITIAL);
	for (unsigned i = 0; i < burst; i++)
		cnt += admits_initial(bench.ingresses[i % WORKER_CNT], UNVALIDATED);
	CHECK_EQ(cnt, burst);
	for (unsigned i = 0; i < WORKER_CNT; i++) {
		CHECK(!admits_initial(bench.ingresses[i], UNVALIDATED));
		/* Nor is it dropped: it is asked for proof. */
		CHECK_EQ(firewall_ingress_counters(bench.ingresses[i])[WEFT_REASON_RETRY_SENT]
				 .packet_cnt,
			 1);
	}
	bench_close(&bench);
}

static void test_a_second_brings_the_rate_to_both_together(void)
{
	unsigned cnt = 0, burst;
	struct bench bench;

	CHECK(bench_open(&bench));
	burst = burst_of(&bench, WEFT_CLASS_INITIAL);
	for (unsigned i = 0; i < burst; i++)
		(void)admits_initial(bench.ingresses[i % WORKER_CNT], UNVALIDATED);
	for (unsigned i = 0; i < WORKER_CNT; i++)
		firewall_ingress_turn(bench.ingresses[i], NOW_NS + 1000000000);
	for (unsigned i = 0; i < burst; i++)
		cnt += admits_initial(bench.ingresses[i % WORKER_CNT], UNVALIDATED);
	CHECK_EQ(cnt, 1000000000 / bench.policy.rates[WEFT_CLASS_INITIAL][0].cost_ns);
	bench_close(&bench);
}

static void test_what_comes_to_the_first_worker_alone_has_all_of_its_limit(void)
{
	unsigned cnt = 0, burst;
	struct bench bench;

	CHECK(bench_open(&bench));
	burst = burst_of(&bench, WEFT_CLASS_KRPC);
	for (unsigned i = 0; i < burst; i++)
		cnt += admits_krpc(bench.ingresses[0], UNVALIDATED);
	CHECK_EQ(cnt, burst);
	CHECK(!admits_krpc(bench.ingresses[0], UNVALIDATED));
	bench_close(&bench);
}

static void test_a_part_admits_one_at_least_in_a_flood_too(void)
{
	struct bench bench;

	CHECK(bench_open(&bench));
	bench.policy.mode = WEFT_MODE_FLOOD;
	firewall_ingress_share(&bench.policy, 1000);
	/* Except for sources whose queries userspace sees: none is reported as new in a flood. */
	for (unsigned class = 0; class < WEFT_CLASS_CNT; class ++) {
		const struct weft_bucket_rate *rate = &bench.policy.rates[class][0];

		CHECK(rate->credit_max_ns >= rate->cost_ns << bench.policy.flood_shift);
	}
	bench_close(&bench);
}

static void test_a_mode_reaches_what_is_judged(void)
{
	struct weft_config part;
	struct bench bench;

	CHECK(bench_open(&bench));
	part = bench.policy;
	part.mode = WEFT_MODE_PRESSURED;
	firewall_ingress_configure(bench.ingresses[1], &part);
	CHECK(!admits_initial(bench.ingresses[1], UNVALIDATED));
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[1])[WEFT_REASON_RETRY_SENT].packet_cnt,
		 1);
	part.mode = WEFT_MODE_FLOOD;
	firewall_ingress_configure(bench.ingresses[1], &part);
	for (unsigned i = burst_of(&bench, WEFT_CLASS_KRPC) >> LIMITS_FLOOD_SHIFT; i > 0; i--)
		CHECK(admits_krpc(bench.ingresses[1], UNVALIDATED));
	CHECK(!admits_krpc(bench.ingresses[1], UNVALIDATED));
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[1])[WEFT_REASON_KRPC_LIMIT].packet_cnt,
		 1);
	CHECK(admits_krpc(bench.ingresses[0], UNVALIDATED));
	bench_close(&bench);
}

static void test_ids_are_held_against_the_keys(void)
{
	const __u64 key[2] = {1, 2};
	struct weft_cid_keys keys = {0};
	struct bench bench;

	CHECK(bench_open(&bench));
	weft_cid_keys_rotate(&keys, key);
	CHECK(!admits_id_of(bench.ingresses[0], &keys, UNVALIDATED));
	firewall_ingress_set_cid_keys(bench.ingresses[0], &keys);
	CHECK(admits_id_of(bench.ingresses[0], &keys, UNVALIDATED));
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[0])[WEFT_REASON_BAD_ID].packet_cnt, 1);
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[0])[WEFT_REASON_NEW_PATH].packet_cnt, 1);
	bench_close(&bench);
}

static void test_a_path_is_validated_until_its_time_is_over(void)
{
	const __u64 key[2] = {1, 2};
	struct weft_cid_keys keys = {0};
	struct bench bench;
	struct ingress *ingress;
	struct addr remote;
	const struct ingress_session *session;

	CHECK(bench_open(&bench));
	ingress = bench.ingresses[0];
	weft_cid_keys_rotate(&keys, key);
	firewall_ingress_set_cid_keys(ingress, &keys);
	CHECK_EQ(addr_parse(UNVALIDATED, &remote), 0);
	firewall_ingress_prove(ingress, &remote, NOW_NS);
	session = firewall_ingress_session_next(ingress, NULL);
	CHECK(session);
	CHECK_EQ(weft_endpoint_ipv4(&session->source), 0xc0000201);
	CHECK_EQ(session->entry.expires_ns, NOW_NS + INGRESS_PATH_LIFE_NS);
	CHECK(!firewall_ingress_session_next(ingress, session));
	firewall_ingress_turn(ingress, NOW_NS + INGRESS_PATH_LIFE_NS - 1);
	CHECK(admits_id_of(ingress, &keys, UNVALIDATED));
	CHECK_EQ(firewall_ingress_counters(ingress)[WEFT_REASON_SESSION].packet_cnt, 1);
	firewall_ingress_turn(ingress, NOW_NS + INGRESS_PATH_LIFE_NS);
	CHECK(admits_id_of(ingress, &keys, UNVALIDATED));
	CHECK_EQ(firewall_ingress_counters(ingress)[WEFT_REASON_NEW_PATH].packet_cnt, 1);
	firewall_ingress_sweep(ingress);
	CHECK(!firewall_ingress_session_next(ingress, NULL));
	bench_close(&bench);
}

static void test_one_path_more_than_fits_is_an_unvalidated_source(void)
{
	static const char *const remotes[] = {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1",
					      "10.0.0.4:1", "10.0.0.5:1"};
	const __u64 key[2] = {1, 2};
	struct weft_cid_keys keys = {0};
	struct bench bench;
	struct addr remote;

	CHECK(bench_open(&bench));
	weft_cid_keys_rotate(&keys, key);
	firewall_ingress_set_cid_keys(bench.ingresses[0], &keys);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(addr_parse(remotes[i], &remote), 0);
		firewall_ingress_prove(bench.ingresses[0], &remote, NOW_NS);
		CHECK(admits_id_of(bench.ingresses[0], &keys, remotes[i]));
	}
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[0])[WEFT_REASON_SESSION].packet_cnt, 4);
	CHECK_EQ(firewall_ingress_counters(bench.ingresses[0])[WEFT_REASON_NEW_PATH].packet_cnt, 1);
	bench_close(&bench);
}

int main(void)
{
	RUN(test_two_workers_admit_together_what_the_limit_says_and_not_one_more);
	RUN(test_a_second_brings_the_rate_to_both_together);
	RUN(test_what_comes_to_the_first_worker_alone_has_all_of_its_limit);
	RUN(test_a_part_admits_one_at_least_in_a_flood_too);
	RUN(test_a_mode_reaches_what_is_judged);
	RUN(test_ids_are_held_against_the_keys);
	RUN(test_a_path_is_validated_until_its_time_is_over);
	RUN(test_one_path_more_than_fits_is_an_unvalidated_source);
	return check_done();
}
