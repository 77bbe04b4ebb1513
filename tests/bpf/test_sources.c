/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decisions by source: addresses that cannot be, bans, rates of prefixes, samples. Program and native
 * build get each frame.
 */
#include "policy_rig.h"

static void check_sources(bool is_loopback)
{
	static const struct {
		const char *source, *local;
		uint16_t port;
		enum weft_reason want, want_on_loopback;
	} sources[] = {
		/* clang-format off */
		{ "192.0.2.1", "10.0.0.1", 0, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "0.0.0.0", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "0.1.2.3", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "1.0.0.0", "10.0.0.1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "223.255.255.255", "10.0.0.1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "224.0.0.1", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "255.255.255.255", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "127.0.0.1", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "127.0.0.1", "127.0.0.2", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "10.0.0.1", "10.0.0.1", PORT, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "10.0.0.1", "10.0.0.1", PORT + 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "::", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "::1", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "::1", "::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "::2", "2001:db8::1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "ff02::1", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "fe80::1", "2001:db8::1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "2001:db8::1", "2001:db8::1", PORT, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		/* clang-format on */
	};
	const struct row row = {.is_loopback = is_loopback, INITIAL()};
	struct weft_locals locals = {0};

	set_state(&row, &v4);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct weft_endpoint local = packet_endpoint(sources[i].local, PORT);

		CHECK(weft_locals_put(&locals, &local));
	}
	parity_rig_set_locals(&rig, &locals);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		enum weft_reason want = is_loopback ? sources[i].want_on_loopback : sources[i].want;
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];

		(void)write_frame(&row, &packet, frame);
		packet.dest = is_loopback ? (const uint8_t[6]){0} : NULL;
		packet.source = packet_endpoint(sources[i].source, sources[i].port);
		packet.local = packet_endpoint(sources[i].local, PORT);
		CHECK(!parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict));
		if (verdict.reason != want)
			printf("# %s to %s%s\n", sources[i].source, sources[i].local,
			       is_loopback ? " on loopback" : "");
		CHECK_EQ(verdict.reason, want);
	}
}

/* Judges a KRPC datagram from source, which needs no state. */
static enum weft_reason krpc_from(const char *source)
{
	static const struct row row = {.kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90};
	struct parity_rig_verdict verdict;
	struct packet packet;
	uint8_t frame[PACKET_LEN_MAX];
	const char *difference;

	(void)write_frame(&row, &packet, frame);
	packet.source = packet_endpoint(source, PEER_PORT);
	packet.local = weft_endpoint_is_ipv4(&packet.source) ? local_v4 : local_v6;
	difference = parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict);
	if (difference)
		printf("# %s: both differ in %s\n", source, difference);
	return difference ? WEFT_REASON_CNT : verdict.reason;
}

static void ban(const char *addr, unsigned prefix_len, uint64_t expires_ns)
{
	struct weft_endpoint endpoint = packet_endpoint(addr, 0);

	parity_rig_ban(&rig, &endpoint, prefix_len, expires_ns);
}

static void test_sources_that_cannot_be(void)
{
	check_sources(false);
	check_sources(true);
}

static void test_ban_holds_for_its_prefix_and_time(void)
{
	static const struct row row = {INITIAL()};
	struct weft_endpoint host = packet_endpoint("198.51.100.7", 0);

	set_state(&row, &v4);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_KRPC);
	ban("198.51.100.7", 32, 0);
	ban("203.0.113.0", 25, NOW_NS + 1);
	ban("2001:db8:5::", 47, 0);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("198.51.100.6"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("203.0.113.127"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("203.0.113.128"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("2001:db8:4:ffff::1"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("2001:db8:6::1"), WEFT_REASON_KRPC);
	/* The longest prefix decides: this one has expired. */
	ban("203.0.113.9", 32, NOW_NS);
	CHECK_EQ(krpc_from("203.0.113.9"), WEFT_REASON_KRPC);
	parity_rig_set_now(&rig, NOW_NS + 1);
	CHECK_EQ(krpc_from("203.0.113.8"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_BANNED);
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, 3);
	net_ingress_ban_delete(&rig.native, &host, 32);
	CHECK_EQ(parity_rig_judge_native(&rig, (const uint8_t *)"", 0), WEFT_REASON_CUT_SHORT);
	CHECK(!net_ingress_ban_lookup(&rig.native, &host));
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, 2);
}

static void test_everything_can_be_banned_by_family(void)
{
	static const struct row row = {INITIAL()};

	set_state(&row, &v4);
	ban("::", 0, 0);
	CHECK_EQ(krpc_from("192.0.2.77"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("2001:db8::77"), WEFT_REASON_BANNED);
	ban("0.0.0.0", 0, 0);
	CHECK_EQ(krpc_from("192.0.2.77"), WEFT_REASON_BANNED);
}

static void test_bans_are_refused_one_above_their_number(void)
{
	static const struct row row = {INITIAL()};
	const struct weft_ban forever = {.expires_ns = 0};
	struct weft_endpoint addr;
	unsigned cnt = 0;

	set_state(&row, &v4);
	do {
		uint8_t bytes[4] = {100, 0, 0, (uint8_t)cnt};

		weft_endpoint_set_ipv4(&addr, bytes);
	} while (net_ingress_ban_put(&rig.native, &addr, 32, &forever) == 0 && ++cnt < 1000);
	CHECK_EQ(cnt, PARITY_RIG_BAN_CAP);
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, PARITY_RIG_BAN_CAP);
	/* One that is there can still be changed. */
	addr = packet_endpoint("100.0.0.1", 0);
	CHECK_EQ(net_ingress_ban_put(&rig.native, &addr, 32, &(struct weft_ban){.expires_ns = 7}),
		 0);
	CHECK_EQ(net_ingress_ban_lookup(&rig.native, &addr)->expires_ns, 7);
}

/* Five at once for one address, eight for its /24 or /56, ten for a /48. */
static void set_tight_rates(enum weft_mode mode)
{
	const struct row row = {INITIAL(), .mode = mode};
	struct weft_config config;

	set_state(&row, &v4);
	config = rig.native.config;
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		config.rates[WEFT_CLASS_KRPC][level] =
			(struct weft_bucket_rate){.cost_ns = 100,
						  .credit_max_ns = level == 0	? 500
								   : level == 1 ? 800
										: 1000};
	parity_rig_set_config(&rig, &config);
}

static unsigned krpc_admitted(const char *source, unsigned cnt)
{
	unsigned admitted_cnt = 0;

	while (cnt-- > 0)
		admitted_cnt += krpc_from(source) == WEFT_REASON_KRPC;
	return admitted_cnt;
}

static void test_limits_hold_for_every_prefix(void)
{
	set_tight_rates(WEFT_MODE_NORMAL);
	CHECK_EQ(krpc_admitted("198.51.100.7", 20), 5);
	/* A neighbour finds what the /24 has left, an unvalidated source further off everything. */
	CHECK_EQ(krpc_admitted("198.51.100.8", 20), 3);
	CHECK_EQ(krpc_admitted("198.51.100.9", 20), 0);
	CHECK_EQ(krpc_admitted("198.51.101.7", 20), 5);
	/* A /64 is one source, whatever it calls itself. */
	CHECK_EQ(krpc_admitted("2001:db8:7:1::1", 3), 3);
	CHECK_EQ(krpc_admitted("2001:db8:7:1:ffff::", 20), 2);
	CHECK_EQ(krpc_admitted("2001:db8:7:2::1", 20), 3);
	CHECK_EQ(krpc_admitted("2001:db8:7:ff::1", 20), 0);
	CHECK_EQ(krpc_admitted("2001:db8:7:100::1", 20), 2);
	CHECK_EQ(krpc_admitted("2001:db8:7:200::1", 20), 0);
	CHECK_EQ(krpc_admitted("2001:db8:8:1::1", 20), 5);
	CHECK(!parity_rig_compare_tables(&rig));
	parity_rig_set_now(&rig, NOW_NS + 99);
	CHECK_EQ(krpc_admitted("198.51.100.7", 1), 0);
	parity_rig_set_now(&rig, NOW_NS + 100);
	CHECK_EQ(krpc_admitted("198.51.100.7", 2), 1);
	CHECK(!parity_rig_compare_tables(&rig));
}

/* Questions of unvalidated sources end in flood, so answers of STUN show what is left of a rate. */
static void test_flood_divides_rates(void)
{
	const struct row row = {
		.mode = WEFT_MODE_FLOOD,
		.kind = BYTES,
		.bytes = "\1\1\0\0\x21\x12\xa4\x42",
		.bytes_len = 8,
		.len = 20,
	};
	struct weft_config config;
	unsigned admitted_cnt = 0;

	set_state(&row, &v4);
	config = rig.native.config;
	config.flood_shift = 2;
	config.rates[WEFT_CLASS_STUN][0] = (struct weft_bucket_rate){100, 1700};
	parity_rig_set_config(&rig, &config);
	for (unsigned i = 0; i < 17; i++) {
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];

		CHECK(!parity_rig_judge(&rig, frame, write_frame(&row, &packet, frame), &verdict));
		admitted_cnt += verdict.reason == WEFT_REASON_STUN;
	}
	CHECK_EQ(admitted_cnt, 4);
	CHECK(!parity_rig_compare_tables(&rig));
}

/* The first drop is told at once, then few, and none is forgotten. */
static void test_samples_weigh_what_they_leave_out(void)
{
	static const struct row row = {.kind = SHORT, .len = 100};
	uint64_t told_cnt = 0, now_ns = NOW_NS;
	struct weft_sample sample = {0};
	struct weft_config config;
	struct parity_rig_verdict verdict;
	struct packet packet;
	uint8_t frame[PACKET_LEN_MAX];
	size_t len = write_frame(&row, &packet, frame);
	unsigned sample_cnt = 0;

	set_state(&row, &v4);
	config = rig.native.config;
	config.samples =
		(struct weft_bucket_rate){.cost_ns = 100000000, .credit_max_ns = 200000000};
	parity_rig_set_config(&rig, &config);
	/* A thousand drops in a second, at two and then ten samples a second. */
	for (unsigned i = 0; i < 1000; i++, now_ns += 1000000) {
		parity_rig_set_now(&rig, now_ns);
		CHECK(!parity_rig_judge(&rig, frame, len, &verdict));
		if (!rig.has_program || !program_samples(&rig.program, &sample))
			continue;
		sample_cnt++;
		told_cnt += sample.weight;
		CHECK_EQ(sample.at_ns, now_ns);
		CHECK_EQ(sample.reason, WEFT_REASON_BAD_ID);
		CHECK_EQ(sample.flow, WEFT_FLOW_QUIC_SHORT);
		CHECK_MEM(&sample.source, &packet.source, sizeof(sample.source));
	}
	CHECK(!parity_rig_compare_tables(&rig));
	told_cnt += rig.native.samplers[WEFT_REASON_BAD_ID].weight;
	if (!rig.has_program)
		return;
	CHECK(sample_cnt >= 10 && sample_cnt <= 12);
	CHECK_EQ(told_cnt, 1000);
}

static void test_full_set_of_addresses_refuses_one_more(void)
{
	struct weft_locals locals = {0};
	struct weft_endpoint first = packet_endpoint("10.0.0.0", PORT), last = first;
	unsigned put_cnt = 0;

	for (uint32_t i = 0; put_cnt < WEFT_LOCAL_WAY_CNT + 1; i++) {
		uint8_t addr[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		struct weft_endpoint next = {.port_be = first.port_be};

		weft_endpoint_set_ipv4(&next, addr);
		if (weft_locals_set(&next, next.port_be) != weft_locals_set(&first, first.port_be))
			continue;
		CHECK_EQ(weft_locals_put(&locals, &next), put_cnt < WEFT_LOCAL_WAY_CNT);
		CHECK_EQ(weft_locals_have(&locals, &next), put_cnt < WEFT_LOCAL_WAY_CNT);
		put_cnt++;
		last = next;
	}
	CHECK(!weft_locals_have(&locals, &last));
	/* What is there already takes no room. */
	CHECK(weft_locals_put(&locals, &first));
	/* An empty place is no address. */
	CHECK(!weft_locals_have(&locals, &(struct weft_endpoint){0}));
}

int main(void)
{
	policy_open();
	RUN(test_sources_that_cannot_be);
	RUN(test_ban_holds_for_its_prefix_and_time);
	RUN(test_everything_can_be_banned_by_family);
	RUN(test_bans_are_refused_one_above_their_number);
	RUN(test_limits_hold_for_every_prefix);
	RUN(test_flood_divides_rates);
	RUN(test_samples_weigh_what_they_leave_out);
	RUN(test_full_set_of_addresses_refuses_one_more);
	parity_rig_close(&rig);
	return check_done();
}
