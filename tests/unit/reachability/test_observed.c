/* SPDX-License-Identifier: Apache-2.0 */
#include "reachability/observed.h"

#include "support/check.h"

static struct observed observed;

/* network says that this node is at seen. */
static void vote(uint64_t network, const char *seen, uint64_t at_ns)
{
	struct observation row = {.network = network, .at_ns = at_ns};

	if (addr_parse(seen, &row.seen) < 0)
		abort();
	reachability_observed_add(&observed, &row);
}

static struct observed_view judged(uint64_t now_ns)
{
	struct observed_view view;

	reachability_observed_judge(&observed, now_ns, &view);
	return view;
}

static bool is_at(const struct observed_view *view, const char *text)
{
	char addr[ADDR_TEXT_CAP];

	return strcmp(addr_format(&view->addr, addr), text) == 0;
}

static void test_one_network_is_not_believed(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	view = judged(1);
	CHECK_EQ(view.voter_cnt, 0);
	for (unsigned i = 0; i < 8; i++)
		vote(1, "198.51.100.7:7000", 1);
	view = judged(1);
	CHECK_EQ(view.voter_cnt, 1);
	CHECK_EQ(view.addr.family, ADDR_NONE);
	CHECK_EQ(view.ports, OBSERVED_PORTS_UNKNOWN);
}

static void test_lies_of_fewer_than_half_have_no_effect(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	for (uint64_t network = 1; network <= 3; network++)
		vote(network, "198.51.100.7:7000", 1);
	for (uint64_t network = 4; network <= 5; network++)
		vote(network, "203.0.113.66:1", 1);
	view = judged(1);
	CHECK(is_at(&view, "198.51.100.7:7000"));
	CHECK_EQ(view.voter_cnt, 5);
	CHECK_EQ(view.same_cnt, 3);
	/* Half is no majority: then none counts. */
	vote(6, "203.0.113.66:1", 1);
	CHECK_EQ(judged(1).addr.family, ADDR_NONE);
}

static void test_ports_say_what_the_mapping_depends_on(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	vote(1, "198.51.100.7:7000", 1);
	vote(2, "198.51.100.7:7000", 1);
	CHECK_EQ(judged(1).ports, OBSERVED_PORTS_ALIKE);
	vote(2, "198.51.100.7:7001", 1);
	view = judged(1);
	CHECK_EQ(view.ports, OBSERVED_PORTS_DIFFER);
	CHECK(is_at(&view, "198.51.100.7:0"));
	/* A lie about the port by one of three is no other mapping. */
	vote(3, "198.51.100.7:7000", 1);
	CHECK_EQ(judged(1).ports, OBSERVED_PORTS_ALIKE);
}

/* Network 2 is not asked after the rebinding; then it is, and another mapping behaviour shows. */
static void test_votes_of_before_a_rebinding_do_not_differ(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	observed.round_ns = 10;
	vote(1, "198.51.100.7:7000", 11);
	vote(2, "198.51.100.7:7000", 12);
	observed.round_ns = 20;
	vote(1, "198.51.100.7:8000", 21);
	view = judged(21);
	CHECK_EQ(view.ports, OBSERVED_PORTS_UNKNOWN);
	CHECK(is_at(&view, "198.51.100.7:0"));
	vote(2, "198.51.100.7:8001", 22);
	CHECK_EQ(judged(22).ports, OBSERVED_PORTS_DIFFER);
	observed.round_ns = 30;
	vote(1, "198.51.100.7:8000", 31);
	CHECK_EQ(judged(31).ports, OBSERVED_PORTS_DIFFER);
	vote(2, "198.51.100.7:8000", 32);
	CHECK_EQ(judged(32).ports, OBSERVED_PORTS_ALIKE);
}

static void test_voter_that_lies_anew_changes_no_address(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	for (uint64_t network = 1; network <= 3; network++)
		vote(network, "198.51.100.7:7000", network);
	for (uint64_t round = 10; round < 20; round++) {
		observed.round_ns = round;
		vote(4, round % 2 ? "198.51.100.7:1" : "203.0.113.66:1", round);
		view = judged(round);
		CHECK(is_at(&view, "198.51.100.7:7000"));
		CHECK_EQ(view.ports, OBSERVED_PORTS_ALIKE);
	}
	observed.round_ns = 0;
}

static void test_a_network_has_its_newest_vote(void)
{
	struct observed_view view;

	reachability_observed_clear(&observed);
	vote(1, "198.51.100.7:7000", 1);
	vote(2, "198.51.100.7:7000", 1);
	vote(1, "203.0.113.5:7000", 2);
	vote(2, "203.0.113.5:7000", 2);
	view = judged(2);
	CHECK_EQ(view.voter_cnt, 2);
	CHECK(is_at(&view, "203.0.113.5:7000"));
}

static void test_old_votes_are_left_out(void)
{
	reachability_observed_clear(&observed);
	vote(1, "198.51.100.7:7000", 1);
	vote(2, "198.51.100.7:7000", 2);
	CHECK_EQ(judged(OBSERVED_LIFE_NS).voter_cnt, 2);
	CHECK_EQ(judged(OBSERVED_LIFE_NS + 1).voter_cnt, 1);
	CHECK_EQ(judged(OBSERVED_LIFE_NS + 1).addr.family, ADDR_NONE);
}

static void test_a_full_table_gives_up_the_oldest(void)
{
	reachability_observed_clear(&observed);
	for (uint64_t network = 1; network <= OBSERVED_CNT + 1; network++)
		vote(network, network == 1 ? "203.0.113.5:7000" : "198.51.100.7:7000", network);
	CHECK_EQ(judged(100).voter_cnt, OBSERVED_CNT);
	CHECK_EQ(judged(100).same_cnt, OBSERVED_CNT);
}

int main(void)
{
	RUN(test_one_network_is_not_believed);
	RUN(test_lies_of_fewer_than_half_have_no_effect);
	RUN(test_ports_say_what_the_mapping_depends_on);
	RUN(test_votes_of_before_a_rebinding_do_not_differ);
	RUN(test_voter_that_lies_anew_changes_no_address);
	RUN(test_a_network_has_its_newest_vote);
	RUN(test_old_votes_are_left_out);
	RUN(test_a_full_table_gives_up_the_oldest);
	return check_done();
}
