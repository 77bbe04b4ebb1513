/* SPDX-License-Identifier: Apache-2.0 */
#include "base/monotonic.h"
#include "base/random.h"
#include "net/mem.h"
#include "support/check.h"

struct lab {
	struct random random;
	struct mem_net *net;
	struct addr addrs[2];
	struct packet_rx *rx[2];
	struct packet_tx *tx[2];
	uint64_t now_ns;
};

static struct addr addr_of(uint8_t host)
{
	return (struct addr){.ip = {10, 0, 0, host}, .port = 7000, .family = ADDR_IPV4};
}

static void lab_open(struct lab *lab, uint64_t seed, uint32_t dgram_cap,
		     const struct mem_link *link)
{
	memset(lab, 0, sizeof(*lab));
	random_init_seeded(&lab->random, seed);
	if (net_mem_net_new(2, dgram_cap, &lab->random, &lab->net) < 0)
		abort();
	net_mem_net_set_default_link(lab->net, link);
	for (int i = 0; i < 2; i++) {
		lab->addrs[i] = addr_of((uint8_t)(i + 1));
		if (net_mem_net_attach(lab->net, &lab->addrs[i], &lab->rx[i], &lab->tx[i]) < 0)
			abort();
	}
}

static void lab_close(struct lab *lab)
{
	for (int i = 0; i < 2; i++) {
		packet_rx_close(lab->rx[i]);
		packet_tx_close(lab->tx[i]);
	}
	net_mem_net_free(lab->net);
}

static void lab_advance(struct lab *lab, uint64_t ns)
{
	lab->now_ns += ns;
	net_mem_net_advance(lab->net, lab->now_ns);
}

/* Node 0 sends len bytes, each its low byte, cut at segment_len, to node 1. */
static void lab_send(struct lab *lab, size_t len, size_t segment_len)
{
	struct dgram_sink *sink = &lab->tx[0]->sink;
	struct dgram_route route = {.remote = lab->addrs[1], .segment_len = segment_len, .ecn = 2};
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot))
		abort();
	for (size_t i = 0; i < len; i++)
		slot.data[i] = (uint8_t)i;
	sink->ops->commit(sink, &slot, len, &route);
	if (packet_tx_flush(lab->tx[0]) < 0)
		abort();
}

static unsigned lab_receive_all(struct lab *lab)
{
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt, total = 0;

	while ((cnt = packet_rx_burst(lab->rx[1], dgrams, PACKET_BURST_MAX)) > 0)
		total += cnt;
	return total;
}

static void test_datagram_arrives_after_the_delay_and_not_before(void)
{
	struct lab lab;
	struct dgram dgram;

	lab_open(&lab, 1, 8, &(struct mem_link){.delay_ns = 5 * NS_PER_MS});
	lab_advance(&lab, NS_PER_S);
	lab_send(&lab, 100, 0);
	CHECK_EQ(net_mem_net_next_ns(lab.net), NS_PER_S + 5 * NS_PER_MS);
	lab_advance(&lab, 5 * NS_PER_MS - 1);
	CHECK_EQ(packet_rx_burst(lab.rx[1], &dgram, 1), 0);
	lab_advance(&lab, 1);
	CHECK_EQ(packet_rx_burst(lab.rx[1], &dgram, 1), 1);
	CHECK_EQ(dgram.len, 100);
	CHECK_EQ(dgram.data[99], 99);
	CHECK_EQ(dgram.ecn, 2);
	CHECK(memcmp(&dgram.remote, &lab.addrs[0], sizeof(struct addr)) == 0);
	CHECK(memcmp(&dgram.local, &lab.addrs[1], sizeof(struct addr)) == 0);
	CHECK(net_mem_net_next_ns(lab.net) == UINT64_MAX);
	lab_close(&lab);
}

static void test_run_is_cut_into_its_datagrams(void)
{
	struct lab lab;
	struct dgram dgrams[4];

	lab_open(&lab, 1, 8, &(struct mem_link){0});
	lab_send(&lab, 250, 100);
	lab_advance(&lab, 1);
	CHECK_EQ(packet_rx_burst(lab.rx[1], dgrams, 2), 2);
	CHECK_EQ(dgrams[0].len, 100);
	CHECK_EQ(dgrams[1].data[0], 100);
	CHECK_EQ(packet_rx_burst(lab.rx[1], dgrams, 4), 1);
	CHECK_EQ(dgrams[0].len, 50);
	CHECK_EQ(dgrams[0].data[0], 200);
	lab_close(&lab);
}

static uint64_t run_hash(uint64_t seed)
{
	const struct mem_link link = {.delay_ns = NS_PER_MS,
				      .jitter_ns = NS_PER_MS,
				      .loss_per_1000 = 100,
				      .duplicate_per_1000 = 100,
				      .reorder_per_1000 = 100};
	struct lab lab;
	uint64_t hash;

	lab_open(&lab, seed, 256, &link);
	for (size_t i = 0; i < 200; i++) {
		lab_send(&lab, 100 + i, 0);
		lab_advance(&lab, 300 * NS_PER_US);
		(void)lab_receive_all(&lab);
	}
	hash = net_mem_net_trace_hash(lab.net);
	lab_close(&lab);
	return hash;
}

static void test_same_seed_gives_the_same_trace(void)
{
	CHECK(run_hash(7) == run_hash(7));
	CHECK(run_hash(7) != run_hash(8));
}

static void test_loss_and_duplication_are_near_what_was_asked(void)
{
	static const struct {
		uint32_t loss, duplicate;
		unsigned min, max; /* of 10,000: five standard deviations */
	} rows[] = {
		{0, 0, 10000, 10000},	{50, 0, 9391, 9609}, {500, 0, 4750, 5250},
		{0, 200, 11800, 12200}, {1000, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab lab;
		unsigned got = 0;

		lab_open(&lab, 3, 16,
			 &(struct mem_link){.loss_per_1000 = rows[i].loss,
					    .duplicate_per_1000 = rows[i].duplicate});
		for (int j = 0; j < 10000; j++) {
			lab_send(&lab, 20, 0);
			lab_advance(&lab, 1);
			got += lab_receive_all(&lab);
		}
		lab_close(&lab);
		if (got < rows[i].min || got > rows[i].max)
			printf("# row %zu: %u arrived\n", i, got);
		CHECK(got >= rows[i].min && got <= rows[i].max);
	}
}

static void test_link_of_a_node_is_its_own(void)
{
	const struct mem_link lossless = {.delay_ns = NS_PER_MS};
	const struct mem_link dead = {.loss_per_1000 = 1000};
	struct dgram dgrams[4];
	struct lab lab;

	lab_open(&lab, 1, 16, &dead);
	lab_send(&lab, 100, 0);
	lab_advance(&lab, NS_PER_S);
	CHECK(!net_mem_rx_is_waiting(lab.rx[1]));
	net_mem_net_set_link(lab.net, &lab.addrs[0], &lossless);
	lab_send(&lab, 100, 0);
	lab_advance(&lab, NS_PER_S);
	CHECK(net_mem_rx_is_waiting(lab.rx[1]));
	CHECK_EQ(packet_rx_burst(lab.rx[1], dgrams, 4), 1);
	CHECK(!net_mem_rx_is_waiting(lab.rx[1]));
	lab_close(&lab);
}

static void test_reorder_lets_a_later_datagram_pass(void)
{
	struct lab lab;
	struct dgram dgrams[PACKET_BURST_MAX];
	unsigned cnt, swapped = 0;

	lab_open(&lab, 5, 128, &(struct mem_link){.delay_ns = NS_PER_MS, .reorder_per_1000 = 200});
	for (size_t i = 0; i < PACKET_BURST_MAX; i++)
		lab_send(&lab, i + 1, 0);
	lab_advance(&lab, 2 * NS_PER_MS);
	cnt = packet_rx_burst(lab.rx[1], dgrams, PACKET_BURST_MAX);
	CHECK_EQ(cnt, PACKET_BURST_MAX);
	for (unsigned i = 1; i < cnt; i++)
		swapped += dgrams[i].len < dgrams[i - 1].len;
	CHECK(swapped > 0);
	lab_close(&lab);
}

/* Their delays come in no order: each arrives in its millisecond, and not behind one that is due later. */
static void test_each_of_many_arrives_when_it_is_due(void)
{
	enum { CNT = 31 };
	struct lab lab;

	lab_open(&lab, 1, 64, &(struct mem_link){0});
	for (unsigned i = 0; i < CNT; i++) {
		uint64_t delay_ns = (1 + i * 12 % CNT) * NS_PER_MS;

		net_mem_net_set_default_link(lab.net, &(struct mem_link){.delay_ns = delay_ns});
		lab_send(&lab, 1 + i * 12 % CNT, 0);
	}
	for (unsigned ms = 1; ms <= CNT; ms++) {
		struct dgram dgrams[2];

		CHECK_EQ(net_mem_net_next_ns(lab.net), ms * NS_PER_MS);
		lab_advance(&lab, NS_PER_MS);
		CHECK_EQ(packet_rx_burst(lab.rx[1], dgrams, 2), 1);
		CHECK_EQ(dgrams[0].len, ms);
	}
	lab_close(&lab);
}

static void test_partition_cuts_and_heals(void)
{
	struct lab lab;

	lab_open(&lab, 1, 8, &(struct mem_link){.delay_ns = NS_PER_MS});
	lab_send(&lab, 10, 0);
	net_mem_net_set_group(lab.net, &lab.addrs[1], 1);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 0);
	net_mem_net_set_group(lab.net, &lab.addrs[0], 1);
	lab_send(&lab, 10, 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 1);
	lab_close(&lab);
}

/* One datagram of a hundred is on its way for a second more, others are lost. */
static uint64_t fate_of_some(void *ctx, const struct addr *from, const struct addr *to,
			     uint64_t now_ns)
{
	unsigned *cnt = ctx;

	(void)now_ns;
	if (from->ip[3] != 1 || to->ip[3] != 2)
		return 0;
	return ++*cnt == 1 ? NS_PER_S : MEM_LOST;
}

static void test_fate_delays_and_loses_what_the_link_did_not(void)
{
	unsigned cnt = 0;
	struct lab lab;

	lab_open(&lab, 1, 8, &(struct mem_link){.delay_ns = NS_PER_MS});
	net_mem_net_set_fate(lab.net, fate_of_some, &cnt);
	lab_send(&lab, 10, 0);
	lab_send(&lab, 10, 0);
	lab_advance(&lab, NS_PER_S);
	CHECK_EQ(lab_receive_all(&lab), 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 1);
	net_mem_net_set_fate(lab.net, NULL, NULL);
	lab_send(&lab, 10, 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 1);
	CHECK_EQ(cnt, 2);
	lab_close(&lab);
}

static void test_datagram_above_the_mtu_is_refused_and_counted(void)
{
	struct lab lab;

	lab_open(&lab, 1, 8, &(struct mem_link){0});
	lab_send(&lab, 1452, 0);
	lab_send(&lab, 1453, 0);
	lab_advance(&lab, 1);
	CHECK_EQ(lab_receive_all(&lab), 1);
	CHECK_EQ(lab.tx[0]->toobig_cnt, 1);
	net_mem_net_set_default_link(lab.net, &(struct mem_link){.mtu_len = MEM_DGRAM_LEN_MAX});
	lab_send(&lab, MEM_DGRAM_LEN_MAX, 0);
	lab_send(&lab, MEM_DGRAM_LEN_MAX + 1, 0);
	lab_advance(&lab, 1);
	CHECK_EQ(lab_receive_all(&lab), 1);
	CHECK_EQ(lab.tx[0]->toobig_cnt, 2);
	lab_close(&lab);
}

static void test_rate_spaces_datagrams_and_its_queue_is_bounded(void)
{
	struct lab lab;

	lab_open(&lab, 1, 1024, &(struct mem_link){.rate_bytes_per_s = 1000000});
	lab_send(&lab, 1000, 0);
	lab_send(&lab, 1000, 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 1);
	CHECK_EQ(net_mem_net_next_ns(lab.net), 2 * NS_PER_MS);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(lab_receive_all(&lab), 1);
	for (int i = 0; i < 263; i++)
		lab_send(&lab, 1000, 0);
	CHECK_EQ(lab.tx[0]->counters.dropped_cnt, 1);
	lab_close(&lab);
}

static void test_full_network_drops_and_recovers(void)
{
	struct lab lab;

	lab_open(&lab, 1, 4, &(struct mem_link){0});
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			lab_send(&lab, 10, 0);
		lab_advance(&lab, 1);
		CHECK_EQ(lab_receive_all(&lab), 4);
		CHECK_EQ(lab.tx[0]->counters.dropped_cnt, (uint64_t)round + 1);
	}
	lab_close(&lab);
}

static void test_full_inbox_drops_at_the_receiver(void)
{
	struct lab lab;

	lab_open(&lab, 1, 2000, &(struct mem_link){0});
	for (int i = 0; i < 1025; i++)
		lab_send(&lab, 10, 0);
	lab_advance(&lab, 1);
	CHECK_EQ(lab.rx[1]->counters.dropped_cnt, 1);
	CHECK_EQ(lab_receive_all(&lab), 1024);
	lab_close(&lab);
}

static void test_moved_node_sends_and_hears_under_its_new_address(void)
{
	struct addr moved = addr_of(9);
	struct dgram dgram;
	struct lab lab;

	lab_open(&lab, 1, 8, &(struct mem_link){.delay_ns = NS_PER_MS});
	CHECK_EQ(net_mem_net_move(lab.net, &lab.addrs[0], &lab.addrs[1]), WEFT_EEXISTS);
	CHECK_EQ(net_mem_net_move(lab.net, &moved, &lab.addrs[1]), WEFT_EABSENT);
	CHECK_EQ(net_mem_net_move(lab.net, &lab.addrs[0], &moved), 0);
	lab_send(&lab, 10, 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(packet_rx_burst(lab.rx[1], &dgram, 1), 1);
	CHECK(memcmp(&dgram.remote, &moved, sizeof(moved)) == 0);
	lab_send(&lab, 10, 0);
	CHECK_EQ(net_mem_net_move(lab.net, &lab.addrs[1], &lab.addrs[0]), 0);
	lab_advance(&lab, NS_PER_MS);
	CHECK_EQ(packet_rx_burst(lab.rx[1], &dgram, 1), 0);
	lab_close(&lab);
}

static void test_detached_address_can_be_attached_again(void)
{
	struct lab lab;
	struct packet_rx *rx;
	struct packet_tx *tx;
	struct addr third = addr_of(3);

	lab_open(&lab, 1, 2, &(struct mem_link){0});
	CHECK_EQ(net_mem_net_attach(lab.net, &lab.addrs[1], &rx, &tx), WEFT_EEXISTS);
	CHECK_EQ(net_mem_net_attach(lab.net, &third, &rx, &tx), WEFT_EFULL);
	lab_send(&lab, 10, 0);
	lab_send(&lab, 10, 0);
	packet_rx_close(lab.rx[1]);
	packet_tx_close(lab.tx[1]);
	lab_advance(&lab, 1);
	CHECK_EQ(net_mem_net_attach(lab.net, &lab.addrs[1], &lab.rx[1], &lab.tx[1]), 0);
	CHECK_EQ(lab_receive_all(&lab), 0);
	lab_send(&lab, 10, 0);
	lab_send(&lab, 10, 0);
	lab_advance(&lab, 1);
	CHECK_EQ(lab_receive_all(&lab), 2);
	lab_close(&lab);
}

int main(void)
{
	RUN(test_datagram_arrives_after_the_delay_and_not_before);
	RUN(test_run_is_cut_into_its_datagrams);
	RUN(test_same_seed_gives_the_same_trace);
	RUN(test_loss_and_duplication_are_near_what_was_asked);
	RUN(test_link_of_a_node_is_its_own);
	RUN(test_reorder_lets_a_later_datagram_pass);
	RUN(test_each_of_many_arrives_when_it_is_due);
	RUN(test_partition_cuts_and_heals);
	RUN(test_fate_delays_and_loses_what_the_link_did_not);
	RUN(test_datagram_above_the_mtu_is_refused_and_counted);
	RUN(test_rate_spaces_datagrams_and_its_queue_is_bounded);
	RUN(test_full_network_drops_and_recovers);
	RUN(test_full_inbox_drops_at_the_receiver);
	RUN(test_moved_node_sends_and_hears_under_its_new_address);
	RUN(test_detached_address_can_be_attached_again);
	return check_done();
}
