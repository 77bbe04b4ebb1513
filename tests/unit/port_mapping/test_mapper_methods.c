/* SPDX-License-Identifier: Apache-2.0 */
/* The next method: PCP, NAT-PMP and UPnP, and answers that belong to none. */
#include "mapper_rig.h"

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
