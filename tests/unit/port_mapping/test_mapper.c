/* SPDX-License-Identifier: Apache-2.0 */
/* A router of this file's own making, and a clock that tests move. */
#include "mapper_rig.h"

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
	return check_done();
}
