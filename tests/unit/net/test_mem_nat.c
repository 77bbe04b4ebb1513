/* SPDX-License-Identifier: Apache-2.0 */
/* The NATs of the network in memory do what RFC 4787 says of their kind. */
#include "base/monotonic.h"
#include "base/random.h"
#include "net/mem.h"
#include "support/check.h"
#include "support/mem_nat.h"

enum place { IN, IN_TOO, X, X_OTHER_PORT, Y, PLACES };

static const struct addr addrs[PLACES] = {
	[IN] = {.ip = {10, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4},
	[IN_TOO] = {.ip = {10, 0, 0, 2}, .port = 7000, .family = ADDR_IPV4},
	[X] = {.ip = {198, 51, 100, 1}, .port = 1000, .family = ADDR_IPV4},
	[X_OTHER_PORT] = {.ip = {198, 51, 100, 1}, .port = 2000, .family = ADDR_IPV4},
	[Y] = {.ip = {198, 51, 100, 2}, .port = 1000, .family = ADDR_IPV4},
};
static const struct addr outside = {.ip = {203, 0, 113, 1}, .family = ADDR_IPV4};

struct yard {
	struct random random;
	struct mem_net *net;
	struct mem_nats nats;
	struct mem_nat nat;
	struct packet_rx *rx[PLACES];
	struct packet_tx *tx[PLACES];
	uint64_t now_ns;
};

static void yard_open(struct yard *yard, const struct mem_nat_rule *rule, uint64_t seed)
{
	memset(yard, 0, sizeof(*yard));
	random_init_seeded(&yard->random, seed);
	if (net_mem_net_new(PLACES, 64, &yard->random, &yard->net) < 0)
		abort();
	for (int i = 0; i < PLACES; i++)
		if (net_mem_net_attach(yard->net, &addrs[i], &yard->rx[i], &yard->tx[i]) < 0)
			abort();
	mem_nats_init(&yard->nats, yard->net);
	mem_nat_add(&yard->nats, &yard->nat, rule, &outside, seed);
	if (mem_nat_place(&yard->nat, &addrs[IN]) < 0 ||
	    mem_nat_place(&yard->nat, &addrs[IN_TOO]) < 0)
		abort();
}

static void yard_close(struct yard *yard)
{
	for (int i = 0; i < PLACES; i++) {
		packet_rx_close(yard->rx[i]);
		packet_tx_close(yard->tx[i]);
	}
	net_mem_net_free(yard->net);
}

static void yard_wait(struct yard *yard, uint64_t ns)
{
	yard->now_ns += ns;
	net_mem_net_advance(yard->net, yard->now_ns);
}

static void yard_send(struct yard *yard, enum place from, const struct addr *to)
{
	struct dgram_sink *sink = &yard->tx[from]->sink;
	struct dgram_route route = {.remote = *to};
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, 1, &slot))
		abort();
	slot.data[0] = 1;
	sink->ops->commit(sink, &slot, 1, &route);
	if (packet_tx_flush(yard->tx[from]) < 0)
		abort();
	yard_wait(yard, 1);
}

/* The source of the one datagram that came to at; family ADDR_NONE: none came. */
static struct addr yard_heard(struct yard *yard, enum place at)
{
	struct dgram dgram;

	if (packet_rx_burst(yard->rx[at], &dgram, 1) != 1)
		return (struct addr){.family = ADDR_NONE};
	return dgram.remote;
}

/* As which source at hears what from sends there. */
static struct addr yard_seen(struct yard *yard, enum place from, enum place at)
{
	yard_send(yard, from, &addrs[at]);
	return yard_heard(yard, at);
}

static bool yard_reaches(struct yard *yard, enum place from, const struct addr *to)
{
	yard_send(yard, from, to);
	return yard_heard(yard, IN).family != ADDR_NONE;
}

static struct mem_nat_rule rule_of(enum nat_dependence mapping, enum nat_dependence filtering)
{
	return (struct mem_nat_rule){
		.mapping = mapping, .filtering = filtering, .preserves_ports = true};
}

#define EACH_PAIR(mapping, filtering)                                                              \
	for (enum nat_dependence mapping = 0; mapping < NAT_DEPENDENCE_CNT; mapping++)             \
		for (enum nat_dependence filtering = 0; filtering < NAT_DEPENDENCE_CNT; filtering++)

static void test_mapping_depends_on_what_its_name_says(void)
{
	EACH_PAIR(mapping, filtering)
	{
		struct mem_nat_rule rule = rule_of(mapping, filtering);
		struct addr x, x_other, y;
		struct yard yard;

		yard_open(&yard, &rule, 1);
		x = yard_seen(&yard, IN, X);
		x_other = yard_seen(&yard, IN, X_OTHER_PORT);
		y = yard_seen(&yard, IN, Y);
		CHECK(addr_is_same_host(&x, &outside) && addr_is_same_host(&y, &outside));
		CHECK_EQ(x.port, 7000);
		CHECK_EQ(x_other.port == x.port, mapping != NAT_ADDRESS_AND_PORT_DEPENDENT);
		CHECK_EQ(y.port == x.port, mapping == NAT_ENDPOINT_INDEPENDENT);
		CHECK(y.port != x_other.port || mapping == NAT_ENDPOINT_INDEPENDENT);
		CHECK_EQ(yard_seen(&yard, IN, X).port, x.port);
		yard_close(&yard);
	}
}

static void test_filter_passes_what_its_name_says(void)
{
	EACH_PAIR(mapping, filtering)
	{
		struct mem_nat_rule rule = rule_of(mapping, filtering);
		struct yard yard;
		struct addr mapped;

		yard_open(&yard, &rule, 1);
		mapped = yard_seen(&yard, IN, X);
		CHECK(yard_reaches(&yard, X, &mapped));
		CHECK_EQ(yard_reaches(&yard, X_OTHER_PORT, &mapped),
			 filtering != NAT_ADDRESS_AND_PORT_DEPENDENT);
		CHECK_EQ(yard_reaches(&yard, Y, &mapped), filtering == NAT_ENDPOINT_INDEPENDENT);
		CHECK_EQ(yard.nat.filtered_cnt, filtering);
		mapped.port++;
		CHECK(!yard_reaches(&yard, X, &mapped));
		CHECK_EQ(yard.nat.unmapped_cnt, 1);
		yard_close(&yard);
	}
}

static void test_inside_address_is_not_reached_from_outside(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
	struct yard yard;

	yard_open(&yard, &rule, 1);
	CHECK(yard_seen(&yard, IN, X).family != ADDR_NONE);
	CHECK(!yard_reaches(&yard, X, &addrs[IN]));
	CHECK(yard_reaches(&yard, IN_TOO, &addrs[IN]));
	CHECK_EQ(yard.nat.out_cnt, 1);
	yard_close(&yard);
}

static void test_mapping_lives_from_the_last_datagram_out(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT);
	struct yard yard;
	struct addr mapped;

	rule.lifetime_ns = 60 * NS_PER_S;
	yard_open(&yard, &rule, 1);
	mapped = yard_seen(&yard, IN, X);
	yard_wait(&yard, 59 * NS_PER_S);
	CHECK(yard_reaches(&yard, X, &mapped));
	yard_wait(&yard, 2 * NS_PER_S);
	CHECK(!yard_reaches(&yard, X, &mapped)); /* what comes in refreshes nothing */
	mapped = yard_seen(&yard, IN, X);
	yard_wait(&yard, 59 * NS_PER_S);
	CHECK_EQ(yard_seen(&yard, IN, X).port, mapped.port);
	yard_wait(&yard, 59 * NS_PER_S);
	CHECK(yard_reaches(&yard, X, &mapped));
	yard_close(&yard);
}

static void test_filter_lives_by_its_own_datagrams(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT);
	struct yard yard;
	struct addr mapped;

	yard_open(&yard, &rule, 1);
	mapped = yard_seen(&yard, IN, X);
	yard_wait(&yard, MEM_NAT_LIFETIME_NS / 2 + 1);
	CHECK_EQ(yard_seen(&yard, IN, Y).port, mapped.port);
	yard_wait(&yard, MEM_NAT_LIFETIME_NS / 2);
	CHECK(yard_reaches(&yard, Y, &mapped));
	CHECK(!yard_reaches(&yard, X, &mapped));
	yard_close(&yard);
}

static void test_port_is_kept_only_while_it_is_free(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
	struct yard yard;

	yard_open(&yard, &rule, 1);
	CHECK_EQ(yard_seen(&yard, IN, X).port, 7000);
	CHECK(yard_seen(&yard, IN_TOO, X).port != 7000);
	yard_close(&yard);
	rule.preserves_ports = false;
	yard_open(&yard, &rule, 1);
	CHECK(yard_seen(&yard, IN, X).port != 7000);
	yard_close(&yard);
}

static void test_rebinding_gives_each_mapping_another_port(void)
{
	EACH_PAIR(mapping, filtering)
	{
		struct mem_nat_rule rule = rule_of(mapping, filtering);
		struct addr before, after;
		struct yard yard;

		yard_open(&yard, &rule, 1);
		before = yard_seen(&yard, IN, X);
		mem_nat_rebind(&yard.nat, yard.now_ns);
		CHECK(!yard_reaches(&yard, X, &before));
		after = yard_seen(&yard, IN, X);
		CHECK(after.port != before.port);
		CHECK(!yard_reaches(&yard, X, &before));
		CHECK(yard_reaches(&yard, X, &after));
		yard_close(&yard);
	}
}

static void test_hairpinning_is_by_the_outside_address_or_not_at_all(void)
{
	for (int hairpins = 0; hairpins < 2; hairpins++) {
		struct mem_nat_rule rule =
			rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
		struct addr mapped, heard;
		struct yard yard;

		rule.hairpins = hairpins;
		yard_open(&yard, &rule, 1);
		mapped = yard_seen(&yard, IN, X);
		yard_send(&yard, IN_TOO, &mapped);
		heard = yard_heard(&yard, IN);
		CHECK_EQ(heard.family != ADDR_NONE, hairpins);
		CHECK_EQ(addr_is_same_host(&heard, &outside), hairpins); /* RFC 4787 REQ-9a */
		CHECK_EQ(yard.nat.hairpin_cnt, !hairpins);
		yard_close(&yard);
	}
}

/* The NAT of yard is a home's then. */
static void carrier_add(struct yard *yard, struct mem_nat *carrier, const struct mem_nat_rule *rule)
{
	static const struct addr far = {.ip = {203, 0, 113, 200}, .family = ADDR_IPV4};

	mem_nat_add(&yard->nats, carrier, rule, &far, 5);
	if (mem_nat_place(carrier, &outside) < 0)
		abort();
}

static void test_two_nats_are_the_narrower_of_each_behaviour(void)
{
	EACH_PAIR(mapping, filtering)
	{
		struct mem_nat_rule home = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT);
		struct mem_nat_rule far = rule_of(mapping, filtering);
		static struct mem_nat carrier;
		struct addr x, y;
		struct yard yard;

		yard_open(&yard, &home, 1);
		carrier_add(&yard, &carrier, &far);
		x = yard_seen(&yard, IN, X);
		y = yard_seen(&yard, IN, Y);
		CHECK(addr_is_same_host(&x, &carrier.outside));
		CHECK_EQ(x.port == y.port, mapping == NAT_ENDPOINT_INDEPENDENT);
		CHECK(yard_reaches(&yard, X, &x));
		CHECK_EQ(yard_reaches(&yard, X_OTHER_PORT, &x),
			 filtering != NAT_ADDRESS_AND_PORT_DEPENDENT);
		/* The address between both means nothing elsewhere. */
		x = outside;
		x.port = addrs[IN].port;
		CHECK(!yard_reaches(&yard, X, &x));
		yard_close(&yard);
	}
}

static void test_a_carrier_hairpins_for_its_homes_or_not_at_all(void)
{
	for (int hairpins = 0; hairpins < 2; hairpins++) {
		struct mem_nat_rule rule =
			rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
		const struct addr next_door = {.ip = {203, 0, 113, 2}, .family = ADDR_IPV4};
		static struct mem_nat carrier, other;
		struct addr first, heard;
		struct yard yard;

		yard_open(&yard, &rule, 1);
		/* Its only host is elsewhere by now: it is behind the second home's NAT. */
		yard.nat.inside_cnt = 1;
		mem_nat_add(&yard.nats, &other, &rule, &next_door, 6);
		CHECK_EQ(mem_nat_place(&other, &addrs[IN_TOO]), 0);
		rule.hairpins = hairpins;
		carrier_add(&yard, &carrier, &rule);
		CHECK_EQ(mem_nat_place(&carrier, &next_door), 0);
		first = yard_seen(&yard, IN, X);
		yard_send(&yard, IN_TOO, &first);
		heard = yard_heard(&yard, IN);
		CHECK_EQ(heard.family != ADDR_NONE, hairpins);
		CHECK_EQ(addr_is_same_host(&heard, &carrier.outside), hairpins);
		CHECK_EQ(carrier.hairpin_cnt, !hairpins);
		yard_close(&yard);
	}
}

static void test_blocked_udp_passes_in_neither_direction(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
	struct yard yard;
	struct addr mapped;

	yard_open(&yard, &rule, 1);
	mapped = yard_seen(&yard, IN, X);
	rule.blocks_udp = true;
	mem_nat_change(&yard.nat, &rule, yard.now_ns);
	CHECK(yard_seen(&yard, IN, X).family == ADDR_NONE);
	CHECK(!yard_reaches(&yard, X, &mapped));
	CHECK_EQ(yard.nat.blocked_cnt, 2);
	CHECK(yard_reaches(&yard, IN_TOO, &addrs[IN]));
	rule.blocks_udp = false;
	mem_nat_change(&yard.nat, &rule, yard.now_ns);
	CHECK(yard_reaches(&yard, X, &mapped));
	yard_close(&yard);
}

static void test_another_filter_holds_for_the_mappings_there_are(void)
{
	struct mem_nat_rule rule = rule_of(NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT);
	struct yard yard;
	struct addr mapped;

	yard_open(&yard, &rule, 1);
	mapped = yard_seen(&yard, IN, X);
	CHECK(yard_reaches(&yard, Y, &mapped));
	rule.filtering = NAT_ADDRESS_DEPENDENT;
	mem_nat_change(&yard.nat, &rule, yard.now_ns);
	CHECK(!yard_reaches(&yard, Y, &mapped));
	CHECK(yard_reaches(&yard, X_OTHER_PORT, &mapped));
	yard_close(&yard);
}

/* One more than each table has room for. */
static void test_full_tables_drop_and_count(void)
{
	struct mem_nat_rule rule =
		rule_of(NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT);
	struct addr remote = addrs[Y];
	struct yard yard;

	yard_open(&yard, &rule, 1);
	for (unsigned i = 0; i < MEM_NAT_MAPPING_CAP; i++, remote.port++)
		yard_send(&yard, IN, &remote);
	CHECK_EQ(yard.nat.full_cnt, 0);
	CHECK(yard_seen(&yard, IN, X).family == ADDR_NONE);
	CHECK_EQ(yard.nat.full_cnt, 1);
	yard_wait(&yard, MEM_NAT_LIFETIME_NS);
	CHECK(yard_seen(&yard, IN, X).family != ADDR_NONE);
	yard_close(&yard);
	rule.mapping = NAT_ENDPOINT_INDEPENDENT;
	yard_open(&yard, &rule, 1);
	for (unsigned i = 0; i < MEM_NAT_FILTER_CAP; i++, remote.port++)
		yard_send(&yard, IN, &remote);
	CHECK_EQ(yard.nat.full_cnt, 0);
	CHECK(yard_seen(&yard, IN, X).family == ADDR_NONE);
	CHECK_EQ(yard.nat.full_cnt, 1);
	for (unsigned i = 2; i < MEM_NAT_INSIDE_CAP; i++)
		CHECK_EQ(mem_nat_place(&yard.nat, &addrs[IN]), 0);
	CHECK_EQ(mem_nat_place(&yard.nat, &addrs[IN]), WEFT_EFULL);
	yard_close(&yard);
}

static uint64_t run_hash(uint64_t seed)
{
	struct mem_nat_rule rule =
		rule_of(NAT_ADDRESS_AND_PORT_DEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT);
	struct yard yard;
	uint64_t hash;

	yard_open(&yard, &rule, seed);
	(void)yard_seen(&yard, IN, X);
	(void)yard_seen(&yard, IN, Y);
	(void)yard_seen(&yard, IN_TOO, X);
	hash = net_mem_net_trace_hash(yard.net);
	yard_close(&yard);
	return hash;
}

static void test_same_seed_gives_the_same_ports(void)
{
	CHECK(run_hash(1) == run_hash(1));
	CHECK(run_hash(1) != run_hash(2));
}

int main(void)
{
	RUN(test_mapping_depends_on_what_its_name_says);
	RUN(test_filter_passes_what_its_name_says);
	RUN(test_inside_address_is_not_reached_from_outside);
	RUN(test_mapping_lives_from_the_last_datagram_out);
	RUN(test_filter_lives_by_its_own_datagrams);
	RUN(test_port_is_kept_only_while_it_is_free);
	RUN(test_rebinding_gives_each_mapping_another_port);
	RUN(test_hairpinning_is_by_the_outside_address_or_not_at_all);
	RUN(test_two_nats_are_the_narrower_of_each_behaviour);
	RUN(test_a_carrier_hairpins_for_its_homes_or_not_at_all);
	RUN(test_blocked_udp_passes_in_neither_direction);
	RUN(test_another_filter_holds_for_the_mappings_there_are);
	RUN(test_full_tables_drop_and_count);
	RUN(test_same_seed_gives_the_same_ports);
	return check_done();
}
