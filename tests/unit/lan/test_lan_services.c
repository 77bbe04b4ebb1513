/* SPDX-License-Identifier: Apache-2.0 */
/* Services as subtypes of DNS-SD: what a node says of its own, and what it hears of others'. */
#include "lan/lan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "codec/dns.h"
#include "lan/dnssd.h"
#include "support/check.h"

#define SENT_CAP 64

static const struct lan_services two = {.cnt = 2, .names = {"fapp", "housing"}};
static const uint8_t own_key[MESH_KEY_LEN] = {1}, other_key[MESH_KEY_LEN] = {2};
static const struct lan_interface eth0 = {
	.index = 2,
	.name = "eth0",
	.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}}},
	.addr_cnt = 1,
};
static const struct addr there = {.family = ADDR_IPV4, .ip = {192, 0, 2, 2}, .port = 5353};
static const struct dnssd_self other = {
	.label = "0123abcd", .key = other_key, .port = 7000, .services = &two};

static struct lan *lan;
static struct random source;
static uint64_t now_ns;
static unsigned found_cnt, sent_cnt;
static uint64_t found_services;
static struct {
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	size_t len;
} sent[SENT_CAP];

static void on_send(void *ctx, const struct lan_packet *packet)
{
	(void)ctx;
	if (packet->way != LAN_DNSSD || packet->family != ADDR_IPV4 || sent_cnt == SENT_CAP)
		return;
	memcpy(sent[sent_cnt].bytes, packet->bytes, packet->len);
	sent[sent_cnt++].len = packet->len;
}

static void on_found(void *ctx, const struct lan_node *node, uint64_t at_ns)
{
	(void)ctx;
	(void)at_ns;
	found_cnt++;
	found_services = node->services;
}

static void begin(const struct lan_services *services)
{
	const struct lan_params params = {.own_key = own_key,
					  .port = 7000,
					  .random = &source,
					  .node_cap = 8,
					  .source_max = 4,
					  .send = on_send,
					  .found = on_found};

	random_init_seeded(&source, 1);
	now_ns = NS_PER_S;
	found_cnt = sent_cnt = 0;
	if (lan_new(&params, &lan) < 0)
		abort();
	lan_set_services(lan, services, now_ns);
	lan_set_interfaces(lan, &eth0, 1, now_ns);
}

static void run(uint64_t for_ns)
{
	for (uint64_t end_ns = now_ns + for_ns; now_ns < end_ns; now_ns += 10 * NS_PER_MS)
		lan_expire(lan, now_ns);
}

static void hear_from(const struct addr *from, const void *bytes, size_t len)
{
	lan_input(lan,
		  &(struct lan_packet){.way = LAN_DNSSD,
				       .interface = eth0.index,
				       .source = *from,
				       .bytes = bytes,
				       .len = len},
		  now_ns);
}

static void hear_instance(uint32_t ttl_s)
{
	uint8_t bytes[LAN_PACKET_LEN_MAX];

	hear_from(&there, bytes,
		  lan_dnssd_write_answer(&other, &eth0, ttl_s, bytes, sizeof(bytes)));
}

static void hear_services(const struct addr *from, uint64_t subtypes, uint32_t ttl_s)
{
	const struct dnssd_services which = {.subtypes = subtypes, .ttl_s = ttl_s};
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned at = 0;

	hear_from(from, bytes, lan_dnssd_write_services(&other, &which, &at, bytes, sizeof(bytes)));
}

static uint64_t services_of(void)
{
	const struct lan_node *node = lan_next(lan, NULL);

	return node ? node->services : UINT64_MAX;
}

/* PTRs among what was sent whose name is that, of any TTL or (ttl_s 0) of goodbyes. */
static unsigned ptr_cnt(const char *name, bool is_goodbye)
{
	struct dns_name wanted;
	unsigned cnt = 0;

	if (dns_name_parse(name, &wanted) < 0)
		abort();
	for (unsigned i = 0; i < sent_cnt; i++) {
		struct dns_reader r;
		struct dns_record record;

		dns_reader_init(&r, sent[i].bytes, sent[i].len);
		while (dns_next_answer(&r, &record))
			cnt += record.type == DNS_TYPE_PTR && (record.ttl_s == 0) == is_goodbye &&
			       dns_name_equal(&record.name, &wanted);
	}
	return cnt;
}

static void ask(const char *name)
{
	uint8_t bytes[512];
	struct dns_writer w;
	struct dns_name asked;

	if (dns_name_parse(name, &asked) < 0)
		abort();
	dns_writer_init_flags(&w, bytes, sizeof(bytes), 0);
	dns_write_question(&w, &asked, DNS_TYPE_PTR, DNS_CLASS_IN);
	hear_from(&there, bytes, (size_t)dns_writer_finish(&w));
}

static void test_each_service_is_announced_as_a_subtype(void)
{
	begin(&two);
	run(2 * NS_PER_S);
	CHECK_EQ(ptr_cnt("_fapp._sub._mesh._udp.local", false), 2);
	CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", false), 2);
	/* No legal type: only those that ask for it hear it. */
	CHECK_EQ(ptr_cnt("_fapp._mesh._udp.local", false), 0);
	lan_free(lan);
}

static void test_a_question_is_answered_by_what_it_asks_for(void)
{
	static const struct {
		const char *asked;
		unsigned subtype_cnt, literal_cnt, instance_cnt;
	} rows[] = {
		{"_fapp._sub._mesh._udp.local", 1, 0, 1},
		{"_FAPP._Sub._mesh._udp.local", 1, 0, 1},
		{"_fapp._mesh._udp.local", 0, 1, 1},
		{"_mesh._udp.local", 0, 0, 1},
		{"_tutor._sub._mesh._udp.local", 0, 0, 0},
		{"_tutor._mesh._udp.local", 0, 0, 0},
		{"fapp._sub._mesh._udp.local", 0, 0, 0},
		{"_fapp._sub._sub._mesh._udp.local", 0, 0, 0},
		{"_fapp._sub._mesh._tcp.local", 0, 0, 0},
	};

	begin(&two);
	run(3 * NS_PER_S);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run(2 * NS_PER_S);
		sent_cnt = 0;
		ask(rows[i].asked);
		run(NS_PER_S);
		CHECK_EQ(ptr_cnt("_fapp._sub._mesh._udp.local", false), rows[i].subtype_cnt);
		CHECK_EQ(ptr_cnt("_fapp._mesh._udp.local", false), rows[i].literal_cnt);
		CHECK_EQ(ptr_cnt("_mesh._udp.local", false), rows[i].instance_cnt);
		CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", false), 0);
	}
	lan_free(lan);
}

static void test_questions_name_the_services_that_answers_name(void)
{
	static const char *const asked[] = {"_mesh._udp.local", "_fapp._sub._mesh._udp.local",
					    "_housing._sub._mesh._udp.local"};
	struct dns_question question;
	struct dns_reader r;
	struct dns_name name;
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned at = 0, cnt = 0;
	size_t len = lan_dnssd_write_query(&two, &at, bytes, sizeof(bytes));

	CHECK_EQ(at, 2);
	dns_reader_begin(&r, bytes, len);
	for (; dns_next_question(&r, &question); cnt++) {
		CHECK_EQ(dns_name_parse(asked[cnt], &name), 0);
		CHECK(dns_name_equal(&question.name, &name));
	}
	CHECK_EQ(cnt, 3);
}

static void test_all_services_that_there_may_be_fit_into_a_few_packets(void)
{
	static struct lan_services many = {.cnt = LAN_SERVICES_MAX};
	static struct dnssd_message message;
	struct dnssd_self self = other;
	const struct dnssd_services which = {UINT64_MAX, UINT64_MAX, 4500};
	uint64_t asked = 0, gained = 0;
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned packet_cnt = 0;
	size_t len;

	self.services = &many;
	for (unsigned i = 0; i < many.cnt; i++)
		snprintf(many.names[i], sizeof(many.names[i]), "a-name-as-long-as-it-may-be-%04x",
			 i & 0xffff);
	CHECK_EQ(strlen(many.names[0]), LAN_SERVICE_CAP - 1);
	for (unsigned at = 0; at < many.cnt; packet_cnt++) {
		len = lan_dnssd_write_query(&many, &at, bytes, sizeof(bytes));
		CHECK_EQ(lan_dnssd_parse(bytes, len, &self, &message), 0);
		asked |= message.subtypes;
	}
	for (unsigned at = 0; at < many.cnt; packet_cnt++) {
		len = lan_dnssd_write_services(&self, &which, &at, bytes, sizeof(bytes));
		CHECK_EQ(lan_dnssd_parse(bytes, len, &self, &message), 0);
		CHECK_EQ(message.instance_cnt, 1);
		gained |= message.instances[0].gained;
	}
	CHECK_EQ(asked, UINT64_MAX);
	CHECK_EQ(gained, UINT64_MAX);
	CHECK(packet_cnt < 20);
}

static void test_a_node_that_relays_a_service_is_found_so(void)
{
	begin(&two);
	hear_services(&there, 1, 4500); /* of a node that was not heard */
	CHECK_EQ(services_of(), UINT64_MAX);
	hear_instance(120);
	CHECK_EQ(found_cnt, 1);
	CHECK_EQ(services_of(), 0);
	hear_services(&there, 2, 4500);
	CHECK_EQ(services_of(), 2);
	CHECK_EQ(found_cnt, 2);
	CHECK_EQ(found_services, 2);
	/* Another host says so of it, too: nothing is believed but what comes from there. */
	hear_services(&(struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, 9}, .port = 5353}, 1,
		      4500);
	CHECK_EQ(services_of(), 2);
	/* Its own words of itself leave that alone; a goodbye takes it away. */
	hear_instance(120);
	CHECK_EQ(services_of(), 2);
	CHECK_EQ(found_cnt, 2);
	hear_services(&there, 2, 0);
	CHECK_EQ(services_of(), 0);
	lan_free(lan);
}

static void test_a_service_relay_that_is_heard_is_found_again_each_minute(void)
{
	begin(&two);
	hear_instance(120);
	hear_services(&there, 1, 4500);
	CHECK_EQ(found_cnt, 2);
	now_ns += LAN_RELAY_AGAIN_NS - 1;
	hear_instance(120);
	hear_services(&there, 1, 4500);
	CHECK_EQ(found_cnt, 2);
	now_ns++;
	hear_services(&there, 1, 4500);
	CHECK_EQ(found_cnt, 3);
	hear_instance(120); /* a flood of them finds it once a minute */
	CHECK_EQ(found_cnt, 3);
	/* One that relays nothing of this node's is not. */
	hear_services(&there, 1, 0);
	now_ns += 2 * LAN_RELAY_AGAIN_NS;
	hear_instance(120);
	CHECK_EQ(found_cnt, 3);
	lan_free(lan);
}

static void test_a_service_that_goes_is_withdrawn_and_the_others_keep_their_nodes(void)
{
	static const struct lan_services one = {.cnt = 1, .names = {"housing"}};

	begin(&two);
	hear_instance(120);
	hear_services(&there, 3, 4500);
	run(3 * NS_PER_S);
	sent_cnt = 0;
	lan_set_services(lan, &one, now_ns);
	CHECK_EQ(ptr_cnt("_fapp._sub._mesh._udp.local", true), 1);
	CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", true), 0);
	CHECK_EQ(services_of(), 1); /* housing is the first by now */
	CHECK_STR(lan_services(lan)->names[0], "housing");
	run(3 * NS_PER_S);
	CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", false), 2);
	CHECK_EQ(ptr_cnt("_fapp._sub._mesh._udp.local", false), 0);
	sent_cnt = 0;
	lan_set_services(lan, &one, now_ns); /* the same again is no news */
	run(NS_PER_S);
	CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", false), 0);
	lan_free(lan);
	CHECK_EQ(ptr_cnt("_housing._sub._mesh._udp.local", true), 1);
}

static void test_own_words_that_come_back_change_nothing(void)
{
	char before[LAN_INSTANCE_CAP], after[LAN_INSTANCE_CAP];
	static struct dnssd_message message;
	unsigned cnt;

	begin(&two);
	run(3 * NS_PER_S);
	CHECK_EQ(lan_dnssd_parse(sent[0].bytes, sent[0].len, &other, &message), 0);
	memcpy(before, message.instances[0].label, sizeof(before));
	cnt = sent_cnt;
	for (unsigned i = 0; i < cnt; i++)
		hear_from(&eth0.addrs[0], sent[i].bytes, sent[i].len);
	CHECK(services_of() == UINT64_MAX);
	sent_cnt = 0;
	ask("_mesh._udp.local");
	run(2 * NS_PER_S);
	CHECK_EQ(lan_dnssd_parse(sent[0].bytes, sent[0].len, &other, &message), 0);
	memcpy(after, message.instances[0].label, sizeof(after));
	CHECK_STR(after, before);
	lan_free(lan);
}

static void test_every_prefix_of_services_is_malformed(void)
{
	const struct dnssd_services which = {.subtypes = 3, .literals = 3, .ttl_s = 4500};
	static struct dnssd_message message;
	uint8_t bytes[LAN_PACKET_LEN_MAX];
	unsigned at = 0;
	size_t len = lan_dnssd_write_services(&other, &which, &at, bytes, sizeof(bytes));

	CHECK_EQ(lan_dnssd_parse(bytes, len, &other, &message), 0);
	CHECK_EQ(message.instances[0].gained, 3);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(lan_dnssd_parse(exact, cut, &other, &message), WEFT_EMALFORMED);
		free(exact);
	}
}

int main(void)
{
	RUN(test_each_service_is_announced_as_a_subtype);
	RUN(test_a_question_is_answered_by_what_it_asks_for);
	RUN(test_questions_name_the_services_that_answers_name);
	RUN(test_all_services_that_there_may_be_fit_into_a_few_packets);
	RUN(test_a_node_that_relays_a_service_is_found_so);
	RUN(test_a_service_relay_that_is_heard_is_found_again_each_minute);
	RUN(test_a_service_that_goes_is_withdrawn_and_the_others_keep_their_nodes);
	RUN(test_own_words_that_come_back_change_nothing);
	RUN(test_every_prefix_of_services_is_malformed);
	return check_done();
}
