/* SPDX-License-Identifier: Apache-2.0 */
#include "reachability/path_message.h"

#include "support/check.h"

static uint8_t bytes[PATH_MESSAGE_LEN_MAX];
static const uint8_t ticket[PATH_TICKET_LEN] = "a ticket of thirty random byte";

static size_t dial_back(uint16_t port)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct path_dial_back message = {.port = port};

	memcpy(message.ticket, ticket, sizeof(ticket));
	reachability_dial_back_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t send_probe(const char *addr)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct path_send_probe message = {.addr = {.port = 0}};

	if (addr_parse(addr, &message.addr) < 0)
		abort();
	memcpy(message.ticket, ticket, sizeof(ticket));
	reachability_send_probe_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t address(const char *text)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	reachability_address_write(&w, &addr);
	return w.bad ? 0 : writer_len(&w);
}

static void test_messages_are_read_as_written(void)
{
	struct path_dial_back asked;
	struct path_send_probe wanted;
	struct addr addr, want;

	CHECK_EQ(reachability_dial_back_parse(bytes, dial_back(0), &asked), 0);
	CHECK_EQ(asked.port, 0);
	CHECK_EQ(reachability_dial_back_parse(bytes, dial_back(7000), &asked), 0);
	CHECK_EQ(asked.port, 7000);
	CHECK_MEM(asked.ticket, ticket, sizeof(ticket));
	CHECK_EQ(addr_parse("[2001:db8::7]:7000", &want), 0);
	CHECK_EQ(reachability_send_probe_parse(bytes, send_probe("[2001:db8::7]:7000"), &wanted),
		 0);
	CHECK(addr_equal(&wanted.addr, &want));
	CHECK_MEM(wanted.ticket, ticket, sizeof(ticket));
	CHECK_EQ(reachability_address_parse(bytes, address("[2001:db8::7]:7000"), &addr), 0);
	CHECK(addr_equal(&addr, &want));
}

static void test_a_prefix_of_a_message_is_none(void)
{
	for (unsigned kind = 0; kind < 3; kind++) {
		size_t len = kind == 0	 ? dial_back(7000)
			     : kind == 1 ? send_probe("198.51.100.7:7000")
					 : address("198.51.100.7:7000");

		for (size_t cut = 0; cut < len; cut++) {
			struct path_dial_back asked;
			struct path_send_probe wanted;
			struct addr addr;
			uint8_t *exact = malloc(cut ? cut : 1);
			int err;

			memcpy(exact, bytes, cut);
			err = kind == 0	  ? reachability_dial_back_parse(exact, cut, &asked)
			      : kind == 1 ? reachability_send_probe_parse(exact, cut, &wanted)
					  : reachability_address_parse(exact, cut, &addr);
			free(exact);
			CHECK_EQ(err, WEFT_EMALFORMED);
		}
	}
}

/* Nothing is sent to many, to no address, or to no port. */
static void test_a_place_is_one_host_with_a_port(void)
{
	static const char *const none[] = {"198.51.100.7:0", "255.255.255.255:7000",
					   "224.0.0.1:7000", "0.0.0.0:7000",
					   "[ff02::1]:7000", "[::]:7000"};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct path_send_probe wanted;
		struct addr addr;

		CHECK_EQ(reachability_send_probe_parse(bytes, send_probe(none[i]), &wanted),
			 WEFT_EMALFORMED);
		CHECK_EQ(reachability_address_parse(bytes, address(none[i]), &addr),
			 WEFT_EMALFORMED);
	}
}

static void test_a_probe_carries_its_ticket(void)
{
	uint8_t probe[WEFT_PROBE_LEN + 1], got[PATH_TICKET_LEN];

	reachability_probe_write(ticket, probe);
	CHECK_EQ(weft_classify(probe, WEFT_PROBE_LEN), WEFT_FLOW_PROBE);
	CHECK(reachability_probe_parse(probe, WEFT_PROBE_LEN, got));
	CHECK_MEM(got, ticket, sizeof(ticket));
	for (size_t cut = 0; cut < WEFT_PROBE_LEN; cut++)
		CHECK(!reachability_probe_parse(probe, cut, got));
	CHECK(!reachability_probe_parse(probe, WEFT_PROBE_LEN + 1, got));
	probe[1]++;
	CHECK(!reachability_probe_parse(probe, WEFT_PROBE_LEN, got));
}

int main(void)
{
	RUN(test_messages_are_read_as_written);
	RUN(test_a_prefix_of_a_message_is_none);
	RUN(test_a_place_is_one_host_with_a_port);
	RUN(test_a_probe_carries_its_ticket);
	return check_done();
}
