/* SPDX-License-Identifier: Apache-2.0 */
/* A router of this file's own making, and a clock that tests move. */
#include "port_mapping/mapper.h"

#include "base/byte_cursor.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

#define S NS_PER_S

static struct {
	struct mapper mapper;
	struct timer_wheel timers;
	struct random random;
	uint64_t now_ns;
	unsigned sent_cnt, changed_cnt, upnp_cnt, upnp_withdraw_cnt;
	bool is_upnp_busy;
	uint8_t sent[16][PCP_WRITE_CAP]; /* the last ones, by sent_cnt */
	size_t sent_len[16];
	uint32_t epoch_s;
} rig;

static const struct port_mapping_port both[] = {{ADDR_UDP, 7000}, {ADDR_TCP, 7001}};

static void on_send(void *ctx, const uint8_t *data, size_t len)
{
	(void)ctx;
	memcpy(rig.sent[rig.sent_cnt % 16], data, len);
	rig.sent_len[rig.sent_cnt++ % 16] = len;
}

static bool on_upnp(void *ctx, bool is_withdrawal)
{
	(void)ctx;
	if (rig.is_upnp_busy)
		return false;
	rig.upnp_cnt += !is_withdrawal;
	rig.upnp_withdraw_cnt += is_withdrawal;
	return true;
}

static void on_changed(void *ctx, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	rig.changed_cnt++;
}

static const struct mapper_ops ops = {.send = on_send, .upnp = on_upnp, .changed = on_changed};

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void begin(enum port_mapping_method method, unsigned port_cnt)
{
	const struct addr client = addr_of("192.168.1.2:0");
	const struct mapper_params params = {
		.config = {.method = method, .lifetime_ns = 600 * S},
		.ports = both,
		.port_cnt = port_cnt,
		.timers = &rig.timers,
		.random = &rig.random,
		.ops = &ops,
	};

	memset(&rig, 0, sizeof(rig));
	rig.now_ns = 1000 * S;
	rig.epoch_s = 5000;
	timer_wheel_init(&rig.timers, rig.now_ns);
	random_init_seeded(&rig.random, 1);
	port_mapping_mapper_init(&rig.mapper, &params);
	port_mapping_mapper_begin(&rig.mapper, &client, rig.now_ns);
}

/* The router's clock goes with this one. */
static void pass(uint64_t ns)
{
	uint64_t end_ns = rig.now_ns + ns, next_ns;

	while ((next_ns = timer_wheel_next_ns(&rig.timers)) <= end_ns) {
		uint64_t at_ns = next_ns > rig.now_ns ? next_ns : rig.now_ns;

		rig.epoch_s += (uint32_t)(at_ns / S - rig.now_ns / S);
		rig.now_ns = at_ns;
		timer_wheel_expire(&rig.timers, rig.now_ns);
	}
	rig.epoch_s += (uint32_t)(end_ns / S - rig.now_ns / S);
	rig.now_ns = end_ns;
}

static const uint8_t *last(void)
{
	return rig.sent[(rig.sent_cnt - 1) % 16];
}

static bool is_pcp(const uint8_t *sent)
{
	return sent[0] == PCP_VERSION;
}

struct pcp_reply {
	uint8_t result;
	uint32_t lifetime_s;
	uint16_t external_port;
	uint8_t ip[4];
};
static const struct pcp_reply granted = {0, 600, 7000, {198, 51, 100, 7}};

/* The answer of PCP to the request sent. */
static void answer_pcp(const uint8_t *sent, const struct pcp_reply *reply)
{
	uint8_t data[60] = {PCP_VERSION, 0x81, 0, reply->result};
	struct writer w = writer_of(data + 4, sizeof(data) - 4);

	writer_be32(&w, reply->lifetime_s);
	writer_be32(&w, rig.epoch_s);
	memcpy(data + 24, sent + 24, 36);
	data[42] = (uint8_t)(reply->external_port >> 8);
	data[43] = (uint8_t)reply->external_port;
	memset(data + 44, 0, 10);
	memset(data + 54, 0xff, 2);
	memcpy(data + 56, reply->ip, 4);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static void answer_nat_pmp_address(const uint8_t ip[4])
{
	uint8_t data[12] = {0, 0x80};
	struct writer w = writer_of(data + 4, 8);

	writer_be32(&w, rig.epoch_s);
	writer_bytes(&w, ip, 4);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static void answer_nat_pmp(const uint8_t *sent, uint16_t result, uint32_t lifetime_s)
{
	uint8_t data[16] = {0, (uint8_t)(sent[1] | 0x80)};
	struct writer w = writer_of(data + 2, 14);

	writer_be16(&w, result);
	writer_be32(&w, rig.epoch_s);
	writer_bytes(&w, sent + 4, 2);
	writer_bytes(&w, sent + 6, 2);
	writer_be32(&w, lifetime_s);
	port_mapping_mapper_input(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static const struct mapping *first(void)
{
	return &rig.mapper.mappings[0];
}

static bool is_mapped(void)
{
	return first()->external.family != ADDR_NONE;
}

/* --- PCP --- */

static void test_both_ports_are_asked_for_and_mapped(void)
{
	const struct addr udp = addr_of("198.51.100.7:7000");
	struct addr tcp = addr_of("tcp:198.51.100.7:7001");
	struct pcp_reply reply = granted;

	begin(PORT_MAPPING_AUTO, 2);
	CHECK_EQ(rig.sent_cnt, 2);
	CHECK_EQ(rig.sent[0][36], 17);
	CHECK_EQ(rig.sent[1][36], 6);
	CHECK(memcmp(rig.sent[0] + 24, rig.sent[1] + 24, PCP_NONCE_LEN) != 0);
	answer_pcp(rig.sent[0], &reply);
	reply.external_port = 7001;
	answer_pcp(rig.sent[1], &reply);
	CHECK(addr_equal(&rig.mapper.mappings[0].external, &udp));
	CHECK(addr_equal(&rig.mapper.mappings[1].external, &tcp));
	CHECK_EQ(rig.changed_cnt, 2);
}

static void test_renewal_is_at_half_of_the_lifetime(void)
{
	uint8_t nonce[PCP_NONCE_LEN];

	begin(PORT_MAPPING_AUTO, 1);
	memcpy(nonce, last() + 24, sizeof(nonce));
	answer_pcp(last(), &granted);
	pass(299 * S);
	CHECK_EQ(rig.sent_cnt, 1);
	pass(77 * S); /* RFC 6887 11.2.1: until 5/8 */
	CHECK_EQ(rig.sent_cnt, 2);
	CHECK_MEM(last() + 24, nonce, sizeof(nonce));
	answer_pcp(last(), &granted);
	CHECK_EQ(rig.changed_cnt, 1);
	CHECK_EQ(rig.mapper.stats.granted_cnt, 2);
	pass(599 * S);
	CHECK(is_mapped());
}

/* 300-375 s, then at half of what is left, no two within 4 s; then the mapping is over. */
static void test_an_unanswered_renewal_is_repeated_until_the_end(void)
{
	unsigned sent_cnt;

	begin(PORT_MAPPING_PCP, 1);
	answer_pcp(last(), &granted);
	pass(599 * S);
	CHECK(is_mapped());
	sent_cnt = rig.sent_cnt;
	CHECK(sent_cnt >= 6 && sent_cnt <= 8);
	pass(2 * S);
	CHECK(!is_mapped());
	CHECK_EQ(rig.changed_cnt, 2);
	CHECK_EQ(rig.mapper.stats.lost_cnt, 1);
	CHECK_EQ(rig.sent_cnt, sent_cnt + 1);
}

/* RFC 6887 8.1.1: 3, 6, 12 .. 1024 s, each by a tenth more or less. */
static void test_silence_backs_off_as_the_rfc_says(void)
{
	uint64_t wait_ns = 3 * S;

	begin(PORT_MAPPING_PCP, 1);
	for (unsigned i = 1; i < 14; i++) {
		uint64_t begun_ns = rig.now_ns;

		CHECK_EQ(rig.sent_cnt, i);
		while (rig.sent_cnt == i)
			pass(S / 10);
		CHECK(rig.now_ns - begun_ns >= wait_ns * 9 / 10);
		CHECK(rig.now_ns - begun_ns <= wait_ns * 11 / 10 + S / 10);
		wait_ns = wait_ns * 2 > 1024 * S ? 1024 * S : wait_ns * 2;
	}
	CHECK(is_pcp(last()));
}

static void test_a_router_that_forgot_is_asked_again(void)
{
	struct pcp_reply reply = granted;

	begin(PORT_MAPPING_AUTO, 2);
	answer_pcp(rig.sent[0], &granted);
	pass(2 * S);
	reply.external_port = 7001;
	rig.epoch_s = 3; /* it starts again between the two */
	answer_pcp(rig.sent[1], &reply);
	CHECK_EQ(rig.mapper.stats.restart_cnt, 1);
	CHECK_EQ(rig.sent_cnt, 2);
	pass(4 * S + 1);
	CHECK_EQ(rig.sent_cnt, 3);
	CHECK_EQ(last()[36], 17);
	CHECK(is_mapped());
}

/* Each answer says that all was forgotten: one request of a mapping in 4 s, no more. */
static void test_a_clock_that_always_jumps_costs_little(void)
{
	struct pcp_reply reply = granted;

	begin(PORT_MAPPING_AUTO, 2);
	for (unsigned i = 0, answered_cnt = 0; i < 400; i++) {
		for (; answered_cnt < rig.sent_cnt; answered_cnt++) {
			const uint8_t *sent = rig.sent[answered_cnt % 16];

			rig.epoch_s += 100000;
			reply.external_port = sent[36] == 6 ? 7001 : 7000;
			answer_pcp(sent, &reply);
		}
		pass(S / 10);
	}
	CHECK(rig.mapper.stats.restart_cnt > 0);
	CHECK(rig.sent_cnt <= 2 + 2 * (40 / 4));
}

static void announce_pcp(uint32_t epoch_s)
{
	uint8_t data[24] = {PCP_VERSION, 0x80};
	struct writer w = writer_of(data + 8, 4);

	writer_be32(&w, epoch_s);
	port_mapping_mapper_announced(&rig.mapper, data, sizeof(data), rig.now_ns);
}

static void test_announced_restart_is_asked_about_within_four_seconds(void)
{
	begin(PORT_MAPPING_AUTO, 1);
	answer_pcp(last(), &granted);
	pass(100 * S);
	announce_pcp(rig.epoch_s); /* its clock goes on: nothing is lost */
	pass(10 * S);
	CHECK_EQ(rig.sent_cnt, 1);
	rig.epoch_s = 0;
	announce_pcp(rig.epoch_s);
	CHECK_EQ(rig.mapper.stats.restart_cnt, 1);
	CHECK_EQ(rig.mapper.stats.announced_cnt, 2);
	CHECK_EQ(rig.sent_cnt, 1);
	pass(4 * S);
	CHECK_EQ(rig.sent_cnt, 2);
	answer_pcp(last(), &granted);
	CHECK(is_mapped());
	CHECK_EQ(rig.mapper.stats.restart_cnt, 1);
}

static void test_flood_of_announcements_costs_a_request_in_four_seconds(void)
{
	begin(PORT_MAPPING_AUTO, 1);
	answer_pcp(last(), &granted);
	for (unsigned i = 0; i < 400; i++) {
		announce_pcp(i % 2 ? 0 : UINT32_MAX);
		pass(S / 10);
	}
	CHECK(rig.mapper.stats.restart_cnt > 100);
	CHECK(rig.sent_cnt >= 2 && rig.sent_cnt <= 1 + 40 / 4);
}

static void test_announced_address_of_nat_pmp_is_asked_about(void)
{
	static const uint8_t first[4] = {198, 51, 100, 7}, second[4] = {198, 51, 100, 8};
	uint8_t data[12] = {0, 0x80};
	struct writer w = writer_of(data + 4, 8);
	unsigned sent_cnt;

	begin(PORT_MAPPING_NAT_PMP, 1);
	answer_nat_pmp_address(first);
	answer_nat_pmp(last(), 0, 600);
	CHECK(is_mapped());
	sent_cnt = rig.sent_cnt;
	writer_be32(&w, rig.epoch_s);
	writer_bytes(&w, first, 4);
	port_mapping_mapper_announced(&rig.mapper, data, sizeof(data), rig.now_ns);
	pass(5 * S);
	CHECK_EQ(rig.sent_cnt, sent_cnt);
	memcpy(data + 8, second, 4);
	data[7] = (uint8_t)(data[7] + 5);
	port_mapping_mapper_announced(&rig.mapper, data, sizeof(data), rig.now_ns);
	pass(4 * S);
	CHECK(rig.sent_cnt > sent_cnt);
	CHECK_EQ(rig.mapper.stats.restart_cnt, 0);
}

/* All ways fail; the next round is due in a minute. */
static void fail_round(void)
{
	const struct mapper_upnp_end end = {.why = "no router answers"};

	port_mapping_mapper_no_server(&rig.mapper, rig.now_ns);
	port_mapping_mapper_upnp_ended(&rig.mapper, &end, rig.now_ns);
}

/* A router that comes to life says so. */
static void test_announcement_ends_the_wait_for_the_next_round(void)
{
	unsigned sent_cnt;

	begin(PORT_MAPPING_AUTO, 1);
	fail_round();
	sent_cnt = rig.sent_cnt;
	pass(S);
	CHECK_EQ(rig.sent_cnt, sent_cnt);
	announce_pcp(0);
	pass(S / 10);
	CHECK_EQ(rig.sent_cnt, sent_cnt + 1);
	fail_round();
	for (unsigned i = 0; i < 90; i++) { /* nothing listens there: another host sends these */
		announce_pcp(0);
		pass(S / 10);
	}
	CHECK_EQ(rig.sent_cnt, sent_cnt + 1);
	pass(2 * S);
	CHECK_EQ(rig.sent_cnt, sent_cnt + 2);
}

/* PCP alone is asked for as often as the RFC says: up to 17 minutes lie between two requests. */
static void test_announcement_ends_the_wait_of_a_request(void)
{
	unsigned sent_cnt;

	begin(PORT_MAPPING_PCP, 1);
	pass(3000 * S);
	sent_cnt = rig.sent_cnt;
	announce_pcp(0);
	pass(S / 10);
	CHECK_EQ(rig.sent_cnt, sent_cnt + 1);
	answer_pcp(last(), &granted);
	CHECK(is_mapped());
}

static void test_malformed_announcement_is_counted(void)
{
	static const uint8_t data[24] = {PCP_VERSION, 0x80, 0, 3};

	begin(PORT_MAPPING_PCP, 1);
	port_mapping_mapper_announced(&rig.mapper, data, sizeof(data), rig.now_ns);
	port_mapping_mapper_announced(&rig.mapper, data, 0, rig.now_ns);
	CHECK_EQ(rig.mapper.stats.malformed_cnt, 2);
	CHECK_EQ(rig.mapper.stats.announced_cnt, 0);
}

/* RFC 6887 8.5: by a sixteenth and two seconds clocks may differ. */
static void test_a_clock_that_drifts_is_no_restart(void)
{
	begin(PORT_MAPPING_AUTO, 1);
	answer_pcp(last(), &granted);
	pass(376 * S);
	rig.epoch_s -= 376 / 16;
	answer_pcp(last(), &granted);
	CHECK_EQ(rig.mapper.stats.restart_cnt, 0);
	pass(376 * S);
	rig.epoch_s -= 376 / 16 + 4;
	answer_pcp(last(), &granted);
	CHECK_EQ(rig.mapper.stats.restart_cnt, 1);
}

static void test_a_passing_refusal_is_waited_out(void)
{
	const struct pcp_reply refused = {8, 100, 0, {0}}; /* no resources, for 100 s */
	char why[PORT_MAPPING_WHY_CAP];

	begin(PORT_MAPPING_AUTO, 1);
	answer_pcp(last(), &refused);
	CHECK(!is_mapped());
	port_mapping_mapper_why(&rig.mapper, first(), why);
	CHECK_STR(why, "the router has no room");
	pass(99 * S);
	CHECK_EQ(rig.sent_cnt, 1);
	pass(2 * S);
	CHECK_EQ(rig.sent_cnt, 2);
	answer_pcp(last(), &granted);
	CHECK(is_mapped());
}

static void test_a_mapping_that_would_be_refused_lasts_until_its_end(void)
{
	const struct pcp_reply refused = {2, 100, 0, {0}};

	begin(PORT_MAPPING_PCP, 1);
	answer_pcp(last(), &granted);
	pass(376 * S);
	answer_pcp(last(), &refused);
	CHECK(is_mapped());
	CHECK_EQ(rig.mapper.stats.refused_cnt, 1);
	pass(225 * S);
	CHECK(!is_mapped());
}

static void test_mappings_are_given_back(void)
{
	struct pcp_reply reply = granted;
	unsigned sent_cnt;

	begin(PORT_MAPPING_AUTO, 2);
	answer_pcp(rig.sent[0], &granted);
	reply.external_port = 7001;
	answer_pcp(rig.sent[1], &reply);
	port_mapping_mapper_withdraw(&rig.mapper, rig.now_ns);
	CHECK_EQ(rig.sent_cnt, 4);
	CHECK_MEM(rig.sent[2] + 4, "\0\0\0\0", 4);
	CHECK(port_mapping_mapper_is_withdrawing(&rig.mapper));
	reply = (struct pcp_reply){0, 0, 7000, {198, 51, 100, 7}};
	answer_pcp(rig.sent[2], &reply);
	CHECK_EQ(rig.mapper.stats.withdrawn_cnt, 1);
	CHECK(port_mapping_mapper_is_withdrawing(&rig.mapper));
	/* The other answer is lost each time. */
	pass(3 * S);
	CHECK_EQ(rig.sent_cnt, 4 + MAPPER_WITHDRAW_SENDS - 1);
	CHECK(!port_mapping_mapper_is_withdrawing(&rig.mapper));
	sent_cnt = rig.sent_cnt;
	pass(4000 * S);
	CHECK_EQ(rig.sent_cnt, sent_cnt);
}

static void test_another_router_is_asked_from_the_start(void)
{
	const struct addr client = addr_of("10.0.0.5:0");

	begin(PORT_MAPPING_AUTO, 1);
	answer_pcp(last(), &granted);
	port_mapping_mapper_begin(&rig.mapper, &client, rig.now_ns);
	CHECK(!is_mapped());
	CHECK_EQ(rig.changed_cnt, 2);
	CHECK_EQ(rig.sent_cnt, 2);
	CHECK_MEM(last() + 20, "\x0a\0\0\5", 4);
	port_mapping_mapper_stop(&rig.mapper, rig.now_ns);
	pass(4000 * S);
	CHECK_EQ(rig.sent_cnt, 2);
}

/* --- NAT-PMP --- */

static void test_a_router_without_pcp_is_asked_by_nat_pmp(void)
{
	static const uint8_t refusal[] = {0, 0x81, 0, 1, 0, 0, 0, 9}, ip[4] = {198, 51, 100, 7};
	const struct addr want = addr_of("198.51.100.7:7000");

	begin(PORT_MAPPING_AUTO, 1);
	port_mapping_mapper_input(&rig.mapper, refusal, sizeof(refusal), rig.now_ns);
	CHECK_EQ(rig.sent_len[1], 2); /* its address first */
	answer_nat_pmp_address(ip);
	CHECK_EQ(rig.sent_len[2], 12);
	answer_nat_pmp(last(), 0, 600);
	CHECK(addr_equal(&first()->external, &want));
	/* At the renewal the address is asked for again: it may be another one. */
	pass(376 * S);
	CHECK_EQ(rig.sent_len[3], 2);
	answer_nat_pmp_address((const uint8_t[]){198, 51, 100, 8});
	answer_nat_pmp(last(), 0, 600);
	CHECK_EQ(first()->external.ip[3], 8);
	CHECK_EQ(rig.changed_cnt, 2);
}

/* RFC 6886 3.1: nine sends, from 250 ms on doubled; then it is given up. */
static void test_nat_pmp_is_given_up_after_nine_sends(void)
{
	begin(PORT_MAPPING_NAT_PMP, 1);
	pass(63 * S + S / 2);
	CHECK_EQ(rig.sent_cnt, 8);
	CHECK(!first()->is_failed);
	pass(65 * S);
	CHECK_EQ(rig.sent_cnt, 9);
	CHECK(first()->is_failed);
	pass(59 * S);
	CHECK_EQ(rig.sent_cnt, 9);
	pass(1 * S);
	CHECK(rig.sent_cnt > 9);
}

/* --- one method after the other --- */

static void test_silence_leads_to_the_next_method_and_around(void)
{
	static const struct mapper_upnp_end none = {.why = "no router answers"};
	char why[PORT_MAPPING_WHY_CAP];

	begin(PORT_MAPPING_AUTO, 1);
	pass(10 * S);
	CHECK_EQ(rig.mapper.method, PORT_MAPPING_NAT_PMP);
	pass(4 * S);
	CHECK_EQ(rig.mapper.method, PORT_MAPPING_UPNP);
	CHECK_EQ(rig.upnp_cnt, 1);
	port_mapping_mapper_upnp_ended(&rig.mapper, &none, rig.now_ns);
	CHECK(first()->is_failed);
	port_mapping_mapper_why(&rig.mapper, first(), why);
	CHECK_STR(why, "pcp: no answer; nat-pmp: no answer; upnp: no router answers");
	rig.sent_cnt = 0;
	pass(59 * S);
	CHECK_EQ(rig.sent_cnt, 0);
	pass(2 * S);
	CHECK_EQ(rig.sent_cnt, 1);
	CHECK(is_pcp(last()));
}

static void test_a_closed_port_leads_to_upnp_at_once(void)
{
	const struct addr want = addr_of("198.51.100.7:7005");
	struct mapper_upnp_end end = {.external = addr_of("198.51.100.7:0"), .ports = {7005, 0}};

	begin(PORT_MAPPING_AUTO, 2);
	port_mapping_mapper_no_server(&rig.mapper, rig.now_ns);
	CHECK_EQ(rig.upnp_cnt, 1);
	port_mapping_mapper_upnp_ended(&rig.mapper, &end, rig.now_ns);
	CHECK(addr_equal(&first()->external, &want));
	CHECK(rig.mapper.mappings[1].is_failed);
	pass(299 * S);
	CHECK_EQ(rig.upnp_cnt, 1);
	pass(2 * S);
	CHECK_EQ(rig.upnp_cnt, 2);
	/* The router is silent from now on. */
	end.why = "no router answers";
	for (unsigned i = 0; i < 20 && is_mapped(); i++) {
		port_mapping_mapper_upnp_ended(&rig.mapper, &end, rig.now_ns);
		pass(100 * S);
	}
	CHECK(!is_mapped());
	CHECK_EQ(rig.mapper.stats.lost_cnt, 1);
	CHECK_EQ(rig.changed_cnt, 2);
}

static void test_upnp_withdraws_by_a_job(void)
{
	const struct mapper_upnp_end end = {.external = addr_of("198.51.100.7:0"), .ports = {7000}};

	begin(PORT_MAPPING_UPNP, 1);
	port_mapping_mapper_upnp_ended(&rig.mapper, &end, rig.now_ns);
	port_mapping_mapper_withdraw(&rig.mapper, rig.now_ns);
	CHECK_EQ(rig.upnp_withdraw_cnt, 1);
	CHECK(port_mapping_mapper_is_withdrawing(&rig.mapper));
	port_mapping_mapper_upnp_ended(&rig.mapper, &end, rig.now_ns);
	CHECK(!port_mapping_mapper_is_withdrawing(&rig.mapper));
	CHECK_EQ(rig.mapper.stats.withdrawn_cnt, 1);
}

static void test_a_second_job_waits_for_the_first(void)
{
	begin(PORT_MAPPING_AUTO, 1);
	rig.is_upnp_busy = true;
	port_mapping_mapper_no_server(&rig.mapper, rig.now_ns);
	pass(5 * S);
	CHECK_EQ(rig.upnp_cnt, 0);
	rig.is_upnp_busy = false;
	pass(2 * S);
	CHECK_EQ(rig.upnp_cnt, 1);
}

/* --- a hostile router, or a host in its name --- */

static void test_another_nonce_port_or_protocol_is_no_answer(void)
{
	static const unsigned changed[] = {24, 35, 36, 40, 41};
	uint8_t sent[PCP_WRITE_CAP];

	begin(PORT_MAPPING_AUTO, 1);
	for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
		memcpy(sent, last(), sizeof(sent));
		sent[changed[i]] = sent[changed[i]] == 17 ? 6 : sent[changed[i]] ^ 1;
		answer_pcp(sent, &granted);
		CHECK_EQ(rig.mapper.stats.stray_cnt, i + 1);
	}
	CHECK(!is_mapped());
	/* Nor one of the other protocol, nor a second one to the same request. */
	answer_nat_pmp((const uint8_t[]){0, 1, 0, 0, 0x1b, 0x58, 0x1b, 0x58}, 0, 600);
	CHECK(!is_mapped());
	answer_pcp(last(), &granted);
	answer_pcp(last(), &(struct pcp_reply){0, 600, 99, {203, 0, 113, 1}});
	CHECK_EQ(first()->external.port, 7000);
	CHECK_EQ(rig.changed_cnt, 1);
	port_mapping_mapper_input(&rig.mapper, (const uint8_t *)"\2", 1, rig.now_ns);
	CHECK_EQ(rig.mapper.stats.malformed_cnt, 1);
}

static void test_what_no_mapping_can_have_is_not_taken(void)
{
	static const struct pcp_reply rows[] = {
		{0, 0, 7000, {198, 51, 100, 7}},
		{0, MAPPER_LIFETIME_MIN_S - 1, 7000, {198, 51, 100, 7}},
		{0, 600, 0, {198, 51, 100, 7}},
		{0, 600, 7000, {0, 0, 0, 0}},
		{0, 600, 7000, {127, 0, 0, 1}},
		{0, 600, 7000, {224, 0, 0, 1}},
		{0, 600, 7000, {255, 255, 255, 255}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(PORT_MAPPING_PCP, 1);
		answer_pcp(last(), &rows[i]);
		CHECK(!is_mapped());
		CHECK_EQ(rig.mapper.stats.absurd_cnt, 1);
		CHECK_EQ(rig.changed_cnt, 0);
	}
}

static void test_a_lifetime_without_end_counts_as_a_day(void)
{
	const struct pcp_reply forever = {0, UINT32_MAX, 7000, {198, 51, 100, 7}};
	const struct pcp_reply shortest = {0, MAPPER_LIFETIME_MIN_S, 7000, {198, 51, 100, 7}};

	begin(PORT_MAPPING_PCP, 1);
	answer_pcp(last(), &forever);
	CHECK_EQ(first()->lifetime_s, 86400);
	pass(43199 * S);
	CHECK_EQ(rig.sent_cnt, 1);
	pass(10801 * S);
	CHECK_EQ(rig.sent_cnt, 2);
	begin(PORT_MAPPING_PCP, 1);
	answer_pcp(last(), &shortest);
	CHECK(is_mapped());
}

int main(void)
{
	RUN(test_both_ports_are_asked_for_and_mapped);
	RUN(test_renewal_is_at_half_of_the_lifetime);
	RUN(test_an_unanswered_renewal_is_repeated_until_the_end);
	RUN(test_silence_backs_off_as_the_rfc_says);
	RUN(test_a_router_that_forgot_is_asked_again);
	RUN(test_a_clock_that_always_jumps_costs_little);
	RUN(test_announced_restart_is_asked_about_within_four_seconds);
	RUN(test_flood_of_announcements_costs_a_request_in_four_seconds);
	RUN(test_announced_address_of_nat_pmp_is_asked_about);
	RUN(test_announcement_ends_the_wait_for_the_next_round);
	RUN(test_announcement_ends_the_wait_of_a_request);
	RUN(test_malformed_announcement_is_counted);
	RUN(test_a_clock_that_drifts_is_no_restart);
	RUN(test_a_passing_refusal_is_waited_out);
	RUN(test_a_mapping_that_would_be_refused_lasts_until_its_end);
	RUN(test_mappings_are_given_back);
	RUN(test_another_router_is_asked_from_the_start);
	RUN(test_a_router_without_pcp_is_asked_by_nat_pmp);
	RUN(test_nat_pmp_is_given_up_after_nine_sends);
	RUN(test_silence_leads_to_the_next_method_and_around);
	RUN(test_a_closed_port_leads_to_upnp_at_once);
	RUN(test_upnp_withdraws_by_a_job);
	RUN(test_a_second_job_waits_for_the_first);
	RUN(test_another_nonce_port_or_protocol_is_no_answer);
	RUN(test_what_no_mapping_can_have_is_not_taken);
	RUN(test_a_lifetime_without_end_counts_as_a_day);
	return check_done();
}
