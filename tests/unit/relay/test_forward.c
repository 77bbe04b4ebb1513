/* SPDX-License-Identifier: Apache-2.0 */
/* Userspace's way of relayed datagrams: runs, labels, answers. */
#include <arpa/inet.h>
#include <string.h>

#include "relay/forward.h"
#include "support/check.h"

/* What was committed. */
static struct {
	struct dgram_sink sink;
	uint8_t room[65536];
	size_t cap;
	bool is_full;
	unsigned commit_cnt;
	size_t len;
	struct dgram_route route;
} wire;

static bool wire_reserve(struct dgram_sink *sink, size_t len, struct dgram_slot *out_slot)
{
	(void)sink;
	if (wire.is_full || len > wire.cap)
		return false;
	*out_slot = (struct dgram_slot){wire.room, wire.cap};
	return true;
}

static void wire_commit(struct dgram_sink *sink, const struct dgram_slot *slot, size_t len,
			const struct dgram_route *route)
{
	(void)sink, (void)slot;
	wire.commit_cnt++;
	wire.len = len;
	wire.route = *route;
}

static void wire_cancel(struct dgram_sink *sink, const struct dgram_slot *slot)
{
	(void)sink, (void)slot;
}

static const struct dgram_sink_ops wire_ops = {wire_reserve, wire_commit, wire_cancel};
static struct relay_forward forward;
static uint8_t payload[1500];

static void begin(size_t cap)
{
	memset(&wire, 0, sizeof(wire));
	wire.sink.ops = &wire_ops;
	wire.cap = cap;
	relay_forward_init(&forward, &wire.sink);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 3);
}

static struct weft_relay_way way_of(unsigned number, bool is_ipv6)
{
	const uint8_t ipv4[4] = {192, 0, 2, 9}, ipv6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	struct weft_relay_way way = {
		.label = {0x009e, 7}, .mtu = 1234, .out = {.label = {0x019e + number, 8}}};

	if (is_ipv6)
		weft_endpoint_set_ipv6(&way.out.remote, ipv6);
	else
		weft_endpoint_set_ipv4(&way.out.remote, ipv4);
	way.out.remote.port_be = htons(5151);
	way.out.local = way.out.remote;
	return way;
}

static void send_len(const struct weft_relay_way *way, size_t len, uint8_t ecn)
{
	const struct dgram dgram = {.data = payload, .len = len, .ecn = ecn};

	CHECK(relay_forward_input(&forward, &dgram, way, WEFT_REASON_RELAYED));
}

static void test_a_datagram_leaves_with_the_other_legs_label(void)
{
	struct weft_relay_way way = way_of(0, true);

	begin(65000);
	send_len(&way, 100, 2);
	CHECK_EQ(wire.commit_cnt, 0);
	relay_forward_flush(&forward);
	CHECK_EQ(wire.commit_cnt, 1);
	CHECK_EQ(wire.len, 100);
	CHECK_MEM(wire.room, &way.out.label, WEFT_RELAY_LABEL_LEN);
	CHECK_MEM(wire.room + 16, payload + 16, 84);
	CHECK_EQ(wire.route.ecn, 2);
	CHECK_EQ(wire.route.remote.family, ADDR_IPV6);
	CHECK_EQ(wire.route.remote.port, 5151);
	relay_forward_flush(&forward);
	CHECK_EQ(wire.commit_cnt, 1);
}

static void test_datagrams_of_one_leg_and_length_leave_as_one_run(void)
{
	struct weft_relay_way way = way_of(0, false);

	begin(65000);
	for (unsigned i = 0; i < 40; i++)
		send_len(&way, 1200, 0);
	send_len(&way, 700, 0);
	CHECK_EQ(wire.commit_cnt, 0);
	/* Behind a shorter one the run cannot go on. */
	send_len(&way, 700, 0);
	CHECK_EQ(wire.commit_cnt, 1);
	CHECK_EQ(wire.len, 40 * 1200 + 700);
	CHECK_EQ(wire.route.segment_len, 1200);
	relay_forward_flush(&forward);
	CHECK_EQ(forward.forwarded_cnt, 42);
	CHECK_EQ(forward.run_cnt, 2);
}

static void test_a_run_ends_where_its_datagrams_do(void)
{
	struct weft_relay_way way = way_of(0, false), other = way_of(1, false);

	begin(65000);
	send_len(&way, 1200, 0);
	send_len(&other, 1200, 0); /* another leg */
	CHECK_EQ(wire.commit_cnt, 1);
	send_len(&other, 1200, 1); /* another ECN */
	CHECK_EQ(wire.commit_cnt, 2);
	send_len(&other, 1300, 1); /* a longer one */
	CHECK_EQ(wire.commit_cnt, 3);
	for (unsigned i = 1; i < RELAY_RUN_CNT_MAX; i++)
		send_len(&other, 1300, 1);
	begin(3000); /* what a slot holds */
	for (unsigned i = 0; i < 3; i++)
		send_len(&way, 1200, 0);
	CHECK_EQ(wire.commit_cnt, 1);
	CHECK_EQ(wire.len, 2400);
	begin(65000);
	for (unsigned i = 0; i < RELAY_RUN_CNT_MAX + 1; i++)
		send_len(&way, 100, 0);
	CHECK_EQ(wire.commit_cnt, 1);
	CHECK_EQ(wire.len, RELAY_RUN_CNT_MAX * 100);
}

static void test_a_full_sender_loses_and_counts(void)
{
	struct weft_relay_way way = way_of(0, false);

	begin(65000);
	wire.is_full = true;
	send_len(&way, 100, 0);
	relay_forward_flush(&forward);
	CHECK_EQ(wire.commit_cnt, 0);
	CHECK_EQ(forward.full_cnt, 1);
	wire.is_full = false;
	send_len(&way, 100, 0);
	relay_forward_flush(&forward);
	CHECK_EQ(forward.forwarded_cnt, 1);
}

static void test_answers_go_back_by_their_own_label(void)
{
	struct weft_relay_way way = way_of(0, false);
	const struct dgram dgram = {.data = payload,
				    .len = 1400,
				    .remote = {.ip = {198, 51, 100, 7}, .family = ADDR_IPV4}};

	begin(65000);
	send_len(&way, 100, 0);
	CHECK(relay_forward_input(&forward, &dgram, &way, WEFT_REASON_RELAY_TOO_BIG));
	CHECK_EQ(wire.commit_cnt, 2);
	CHECK_EQ(wire.len, WEFT_RELAY_TOO_BIG_LEN);
	CHECK_EQ(wire.room[1], WEFT_RELAY_TOO_BIG);
	CHECK_EQ(wire.room[16] << 8 | wire.room[17], 1234);
	CHECK(addr_equal(&wire.route.remote, &dgram.remote));
	CHECK(relay_forward_input(&forward, &dgram, &way, WEFT_REASON_RELAY_UNKNOWN));
	CHECK_EQ(wire.len, WEFT_RELAY_LABEL_LEN);
	CHECK_EQ(wire.room[1], WEFT_RELAY_UNKNOWN);
	CHECK(!relay_forward_input(&forward, &dgram, &way, WEFT_REASON_RELAY_MOVED));
	CHECK_EQ(wire.commit_cnt, 3);
}

static struct addr leg_to;
static uint8_t leg_bytes[1500];
static size_t leg_len;

static void on_leg(void *ctx, const struct addr *leg, const struct dgram *dgram)
{
	(void)ctx;
	leg_to = *leg;
	leg_len = dgram->len;
	memcpy(leg_bytes, dgram->data, dgram->len);
}

static void test_a_leg_on_tcp_gets_datagrams_and_answers_without_the_sink(void)
{
	const uint8_t key[ADDR_LEG_NAME_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	const struct addr leg = addr_of_leg(key, 3);
	const struct dgram from_leg = {.data = payload, .len = 100, .local = leg, .remote = leg};
	struct weft_relay_way way = way_of(0, true), to_leg = way;

	begin(65000);
	forward.send_leg = on_leg;
	to_leg.out.remote = addr_endpoint(&leg);
	send_len(&way, 100, 0);
	send_len(&to_leg, 90, 0);
	CHECK(addr_equal(&leg_to, &leg));
	CHECK_EQ(leg_len, 90);
	CHECK_MEM(leg_bytes, &way.out.label, WEFT_RELAY_LABEL_LEN);
	CHECK_EQ(leg_bytes[16], 48);
	/* The run for the other leg is still open. */
	CHECK_EQ(wire.commit_cnt, 0);
	CHECK(relay_forward_input(&forward, &from_leg, &way, WEFT_REASON_RELAY_UNKNOWN));
	CHECK_EQ(leg_len, 16);
	CHECK_EQ(leg_bytes[1], 2);
	CHECK(relay_forward_input(&forward, &from_leg, &way, WEFT_REASON_RELAY_TOO_BIG));
	CHECK_EQ(leg_len, 18);
	CHECK_EQ(wire.commit_cnt, 0);
	relay_forward_flush(&forward);
	CHECK_EQ(wire.commit_cnt, 1);
}

int main(void)
{
	RUN(test_a_datagram_leaves_with_the_other_legs_label);
	RUN(test_datagrams_of_one_leg_and_length_leave_as_one_run);
	RUN(test_a_run_ends_where_its_datagrams_do);
	RUN(test_a_full_sender_loses_and_counts);
	RUN(test_answers_go_back_by_their_own_label);
	RUN(test_a_leg_on_tcp_gets_datagrams_and_answers_without_the_sink);
	return check_done();
}
