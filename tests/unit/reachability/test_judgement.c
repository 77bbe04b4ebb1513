/* SPDX-License-Identifier: Apache-2.0 */
#include "reachability/judgement.h"

#include "reachability/dial_back.h"
#include "support/check.h"

static const struct {
	const char *why;
	enum reachability_kind want;
	struct reachability_findings found;
} rows[] = {
	/* clang-format off */
	{ "nothing is known", REACHABILITY_UNKNOWN, {0} },
	{ "a probe arrived at an address of the machine", REACHABILITY_DIRECT, {.has_arrived = true, .is_own = true} },
	{ "and another one was lost", REACHABILITY_DIRECT, {.has_arrived = true, .is_own = true, .lost_cnt = 1} },
	{ "a probe arrived by a router", REACHABILITY_MAPPED, {.has_arrived = true} },
	{ "all agree on the address, and no third node wrote", REACHABILITY_UNKNOWN, {.observed = {.ports = OBSERVED_PORTS_ALIKE, .voter_cnt = 9, .same_cnt = 9}} },
	{ "a probe came from where this node had written to", REACHABILITY_UNKNOWN, {.known_cnt = 2} },
	{ "probes were lost, one port", REACHABILITY_PUNCHABLE, {.lost_cnt = 2, .observed = {.ports = OBSERVED_PORTS_ALIKE}} },
	{ "probes were lost, many ports", REACHABILITY_HARD, {.lost_cnt = 2, .observed = {.ports = OBSERVED_PORTS_DIFFER}} },
	{ "probes were lost, ports not known", REACHABILITY_OUTBOUND, {.lost_cnt = 1} },
	{ "servers are silent", REACHABILITY_BLOCKED, {.silent_cnt = 2} },
	{ "servers are silent, peers are not", REACHABILITY_UNKNOWN, {.silent_cnt = 2, .has_sessions = true} },
	{ "one server is silent", REACHABILITY_UNKNOWN, {.silent_cnt = 1} },
	/* clang-format on */
};

static void test_only_a_third_node_makes_direct(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char evidence[REACHABILITY_EVIDENCE_CAP] = "";
		enum reachability_kind got = reachability_judge(&rows[i].found, evidence);

		if (got != rows[i].want)
			printf("# %s: %s\n", rows[i].why, reachability_word(got));
		CHECK_EQ(got, rows[i].want);
		CHECK(evidence[0]);
	}
}

static void test_a_network_has_its_part_of_the_probes(void)
{
	static struct probe_budget budget;
	uint64_t minute_ns = 60000000000ull, now_ns = minute_ns;

	for (unsigned i = 0; i < DIAL_BACK_NETWORK_MIN; i++)
		CHECK(reachability_budget_take(&budget, 1, now_ns));
	CHECK(!reachability_budget_take(&budget, 1, now_ns));
	CHECK(reachability_budget_take(&budget, 2, now_ns));
	CHECK(!reachability_budget_take(&budget, 1, now_ns + minute_ns - 1));
	CHECK(reachability_budget_take(&budget, 1, now_ns + minute_ns));
}

static void test_all_networks_have_the_budget_together(void)
{
	static struct probe_budget budget;

	for (uint64_t network = 1; network <= DIAL_BACK_PER_MIN; network++)
		CHECK(reachability_budget_take(&budget, network, 1));
	CHECK(!reachability_budget_take(&budget, DIAL_BACK_PER_MIN + 1, 1));
	CHECK(reachability_budget_take(&budget, DIAL_BACK_PER_MIN + 1, 60000000001ull));
}

int main(void)
{
	RUN(test_only_a_third_node_makes_direct);
	RUN(test_a_network_has_its_part_of_the_probes);
	RUN(test_all_networks_have_the_budget_together);
	return check_done();
}
