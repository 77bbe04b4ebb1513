/* SPDX-License-Identifier: Apache-2.0 */
/* Instances of other programs: what is read of them, and how many of an address are listed. */
#include "lan/lan_foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "codec/dns.h"
#include "lan/dnssd.h"
#include "support/check.h"

#define TYPE "_quicproquo._udp.local"

static struct lan_foreign foreign;
static struct arena arena;
static uint64_t now_ns;

static void begin(void)
{
	now_ns = NS_PER_S;
	memset(&foreign, 0, sizeof(foreign));
	if (arena_open(&arena, ARENA_GROWS) < 0 || lan_foreign_init(&foreign, &arena) < 0)
		abort();
}

static void end(void)
{
	lan_foreign_forget(&foreign, NULL, now_ns);
	CHECK_EQ(foreign.entries.used_cnt, 0);
	arena_close(&arena);
}

static struct dns_name name_of(const char *text)
{
	struct dns_name name;

	if (dns_name_parse(text, &name) < 0)
		abort();
	return name;
}

/* An answer with SRV and TXT of one instance; texts are strings of a length each. */
static size_t answer_write(uint8_t *out, const char *instance, const char *const *texts,
			   uint32_t ttl_s)
{
	struct dns_name name = name_of(instance), host = name_of("host.local");
	struct dns_writer w;
	size_t off;

	dns_writer_init_flags(&w, out, DNSSD_LEN_MAX, DNS_FLAG_RESPONSE);
	off = dns_record_begin(&w, &name, DNS_TYPE_SRV, DNS_CLASS_IN, ttl_s);
	writer_be32(&w.w, 0);
	writer_be16(&w.w, 5001);
	dns_write_name(&w, &host);
	dns_record_end(&w, off);
	off = dns_record_begin(&w, &name, DNS_TYPE_TXT, DNS_CLASS_IN, ttl_s);
	for (; *texts; texts++) {
		writer_u8(&w.w, (uint8_t)strlen(*texts));
		writer_bytes(&w.w, *texts, strlen(*texts));
	}
	dns_record_end(&w, off);
	return (size_t)dns_writer_finish(&w);
}

static int hear(uint8_t host, const void *bytes, size_t len)
{
	const struct lan_packet packet = {
		.way = LAN_DNSSD,
		.source = {.family = ADDR_IPV4, .ip = {192, 0, 2, host}, .port = 5353},
		.bytes = bytes,
		.len = len};

	return lan_foreign_input(&foreign, &packet, "eth0", now_ns);
}

static const char *const usual[] = {"ver=1", "server=192.0.2.7:5001", "domain=example.org", NULL};

static void hear_number(uint8_t host, unsigned number, uint32_t ttl_s)
{
	char instance[64];
	uint8_t bytes[DNSSD_LEN_MAX];

	snprintf(instance, sizeof(instance), "instance%u." TYPE, number);
	CHECK_EQ(hear(host, bytes, answer_write(bytes, instance, usual, ttl_s)), 0);
}

static unsigned cnt_of(uint8_t host)
{
	const struct lan_foreign_node *node = NULL;
	unsigned cnt = 0;

	while ((node = lan_foreign_next(&foreign, node)))
		cnt += node->addr.ip[3] == host;
	return cnt;
}

static void test_an_instance_is_listed_with_its_words(void)
{
	static const char *const names[] = {"quicproquo", "quicprochat"};
	uint8_t bytes[DNSSD_LEN_MAX];

	for (unsigned i = 0; i < 2; i++) {
		const struct lan_foreign_node *node;
		char instance[64];

		begin();
		snprintf(instance, sizeof(instance), "bureau._%s._udp.local", names[i]);
		CHECK_EQ(hear(7, bytes, answer_write(bytes, instance, usual, 120)), 0);
		node = lan_foreign_next(&foreign, NULL);
		CHECK(node != NULL);
		CHECK_STR(node->service, names[i]);
		CHECK_STR(node->instance, "bureau");
		CHECK_STR(node->version, "1");
		CHECK_STR(node->server, "192.0.2.7:5001");
		CHECK_STR(node->domain, "example.org");
		CHECK_STR(node->interface, "eth0");
		CHECK_EQ(node->addr.port, 5001);
		CHECK_EQ(node->addr.ip[3], 7);
		end();
	}
}

static void test_other_services_and_other_types_are_stepped_over(void)
{
	static const char *const names[] = {"a._mesh._udp.local", "a._quicproquo._tcp.local",
					    "_quicproquo._udp.local", "a.b._quicproquo._udp.local",
					    "a._quicproquo2._udp.local"};
	uint8_t bytes[DNSSD_LEN_MAX];

	begin();
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_EQ(hear(7, bytes, answer_write(bytes, names[i], usual, 120)), 0);
	CHECK(lan_foreign_next(&foreign, NULL) == NULL);
	end();
}

static void test_bytes_that_are_not_printable_are_made_harmless(void)
{
	char wide[LAN_FOREIGN_TEXT_CAP + 9] = "server=";
	const char *const texts[] = {"VER=\x1b[31m", wide, "domain=a\nb\x7f\xc3\xa9", "other=x",
				     NULL};
	const struct lan_foreign_node *node;
	uint8_t bytes[DNSSD_LEN_MAX];

	memset(wide + 7, 's', sizeof(wide) - 8); /* longer by one than what is kept */
	begin();
	CHECK_EQ(hear(7, bytes, answer_write(bytes, "\x1b]0;x\a." TYPE, texts, 120)), 0);
	node = lan_foreign_next(&foreign, NULL);
	CHECK(node != NULL);
	CHECK_STR(node->instance, "?]0;x?");
	CHECK_STR(node->version, "?[31m");
	CHECK_STR(node->domain, "a?b???");
	CHECK_EQ(strlen(node->server), LAN_FOREIGN_TEXT_CAP - 1);
	end();
}

static void test_its_time_ends_and_so_does_a_goodbye(void)
{
	begin();
	hear_number(7, 1, 120);
	hear_number(7, 2, 1000000); /* no longer than 4500 s */
	now_ns += 120 * NS_PER_S - 1;
	lan_foreign_expire(&foreign, now_ns);
	CHECK_EQ(cnt_of(7), 2);
	now_ns++;
	lan_foreign_expire(&foreign, now_ns);
	CHECK_EQ(cnt_of(7), 1);
	hear_number(8, 2, 0); /* of another address: another instance */
	CHECK_EQ(cnt_of(7), 1);
	hear_number(7, 2, 0);
	CHECK_EQ(cnt_of(7), 0);
	hear_number(7, 3, 9000);
	now_ns += 4500 * NS_PER_S;
	lan_foreign_expire(&foreign, now_ns);
	CHECK_EQ(cnt_of(7), 0);
	end();
}

static void test_one_more_than_there_are_places_is_not_listed(void)
{
	begin();
	for (unsigned i = 0; i < LAN_FOREIGN_CAP; i++)
		hear_number(7, i, 120);
	CHECK_EQ(cnt_of(7), LAN_FOREIGN_CAP);
	CHECK_EQ(foreign.full_cnt, 0);
	hear_number(7, LAN_FOREIGN_CAP, 120);
	CHECK_EQ(cnt_of(7), LAN_FOREIGN_CAP);
	CHECK_EQ(foreign.full_cnt, 1);
	hear_number(7, 3, 120); /* one that is listed needs no place */
	CHECK_EQ(foreign.full_cnt, 1);
	end();
}

static void test_an_address_with_many_makes_room_for_others(void)
{
	begin();
	for (unsigned i = 0; i < LAN_FOREIGN_CAP; i++)
		hear_number(7, i, 120);
	hear_number(8, 0, 120);
	hear_number(9, 0, 120);
	CHECK_EQ(cnt_of(7), LAN_FOREIGN_CAP - 2);
	CHECK_EQ(cnt_of(8), 1);
	CHECK_EQ(cnt_of(9), 1);
	/* It cannot take them back. */
	for (unsigned i = 0; i < 1000; i++)
		hear_number(7, 1000 + i, 120);
	CHECK_EQ(cnt_of(8), 1);
	CHECK_EQ(cnt_of(9), 1);
	CHECK_EQ(foreign.entries.used_cnt, LAN_FOREIGN_CAP);
	end();
}

static void test_instances_of_a_message_beyond_so_many_are_left_out(void)
{
	struct dns_writer w;
	uint8_t bytes[DNSSD_LEN_MAX];

	begin();
	dns_writer_init_flags(&w, bytes, sizeof(bytes), DNS_FLAG_RESPONSE);
	for (unsigned i = 0; i < LAN_FOREIGN_MESSAGE_MAX + 1; i++) {
		char instance[64];
		struct dns_name name;

		snprintf(instance, sizeof(instance), "instance%u." TYPE, i);
		name = name_of(instance);
		dns_write_txt(&w, &name, 120, "ver=1", 5);
	}
	CHECK_EQ(hear(7, bytes, (size_t)dns_writer_finish(&w)), 0);
	CHECK_EQ(cnt_of(7), LAN_FOREIGN_MESSAGE_MAX);
	end();
}

static void test_every_prefix_of_an_answer_is_malformed(void)
{
	uint8_t bytes[DNSSD_LEN_MAX];
	size_t len = answer_write(bytes, "bureau." TYPE, usual, 120);

	begin();
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(hear(7, exact, cut), WEFT_EMALFORMED);
		free(exact);
	}
	CHECK_EQ(cnt_of(7), 0);
	CHECK_EQ(hear(7, bytes, DNSSD_LEN_MAX + 1), WEFT_EMALFORMED);
	end();
}

int main(void)
{
	RUN(test_an_instance_is_listed_with_its_words);
	RUN(test_other_services_and_other_types_are_stepped_over);
	RUN(test_bytes_that_are_not_printable_are_made_harmless);
	RUN(test_its_time_ends_and_so_does_a_goodbye);
	RUN(test_one_more_than_there_are_places_is_not_listed);
	RUN(test_an_address_with_many_makes_room_for_others);
	RUN(test_instances_of_a_message_beyond_so_many_are_left_out);
	RUN(test_every_prefix_of_an_answer_is_malformed);
	return check_done();
}
