/* SPDX-License-Identifier: Apache-2.0 */
/* Which relays are used, and in which order. */
#include "relay/trust/relay_choice.h"

#include <string.h>

#include "support/check.h"

static struct relay_choice choice;
static struct relay_end_place out[RELAY_END_PLACES_MAX];

/* Number and network are the key's first bytes and the address's. */
static struct relay_end_place place_of(uint8_t number, uint8_t network)
{
	struct relay_end_place place = {.key = {number}, .addr_cnt = 1};

	place.addrs[0] =
		(struct addr){.family = ADDR_IPV4, .ip = {192, 0, network, number}, .port = 7000};
	return place;
}

static void add(uint8_t number, uint8_t network, enum relay_trust trust,
		enum relay_choice_source source)
{
	struct relay_end_place place = place_of(number, network);

	relay_choice_add(&choice, &place, trust, source);
}

/* The numbers in their order, as text. */
static const char *taken(void)
{
	static char text[RELAY_END_PLACES_MAX * 4 + 1];
	unsigned cnt = relay_choice_take(&choice, out);
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < cnt; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? " " : "",
					out[i].key[0]);
	memset(&choice, 0, sizeof(choice));
	return text;
}

static void test_trust_comes_before_all_else(void)
{
	add(1, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_SERVING);
	add(2, 2, RELAY_TRUST_CONTACT, RELAY_CHOICE_MET);
	add(3, 3, RELAY_TRUST_COMMUNITY, RELAY_CHOICE_DRAWN);
	add(4, 4, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	CHECK_STR(taken(), "4 3 2 1");
}

static void test_of_unknown_relays_those_that_served_come_first(void)
{
	add(1, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_MET);
	add(2, 2, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_CLAIMED);
	add(3, 3, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	add(4, 4, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_SERVING);
	CHECK_STR(taken(), "4 3 2 1");
}

/* Own relays that are down must not hide all others. */
static void test_one_trust_has_half_while_others_want_places(void)
{
	for (uint8_t i = 1; i <= 6; i++)
		add(i, i, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	for (uint8_t i = 11; i <= 13; i++)
		add(i, i, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "1 2 3 11 12 13");
	for (uint8_t i = 1; i <= 7; i++)
		add(i, i, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	add(11, 11, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "1 2 3 4 5 11");
	for (uint8_t i = 1; i <= 7; i++)
		add(i, i, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	CHECK_STR(taken(), "1 2 3 4 5 6");
}

static void test_claims_leave_half_to_what_is_drawn(void)
{
	for (uint8_t i = 1; i <= 60; i++)
		add(i, i, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_CLAIMED);
	for (uint8_t i = 101; i <= 103; i++)
		add(i, i, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "101 102 103 1 2 3");
}

static void test_a_network_has_two_while_others_want_places(void)
{
	for (uint8_t i = 1; i <= 60; i++)
		add(i, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	for (uint8_t i = 101; i <= 104; i++)
		add(i, i, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	/* What is beyond made room in the list, the last one first. */
	CHECK_STR(taken(), "1 2 104 103 102 101");
	/* The third of a network is beyond, whatever its source. */
	add(1, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_SERVING);
	add(2, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	for (uint8_t i = 3; i <= 6; i++)
		add(i, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_CLAIMED);
	for (uint8_t i = 101; i <= 103; i++)
		add(i, i, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_MET);
	CHECK_STR(taken(), "1 2 3 101 102 103");
	/* Alone it has them all; own relays are in one network as a rule. */
	for (uint8_t i = 1; i <= 6; i++)
		add(i, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "1 2 3 4 5 6");
	for (uint8_t i = 1; i <= 4; i++)
		add(i, 1, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	for (uint8_t i = 11; i <= 12; i++)
		add(i, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "1 2 3 4 11 12");
}

static void test_a_relay_is_chosen_once(void)
{
	struct relay_end_place bare = {.key = {9}};

	add(1, 1, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_SERVING);
	add(1, 2, RELAY_TRUST_UNKNOWN, RELAY_CHOICE_DRAWN);
	CHECK_STR(taken(), "1");
	/* A grant names a relay without an address. */
	relay_choice_add(&choice, &bare, RELAY_TRUST_OWN, RELAY_CHOICE_MET);
	add(9, 1, RELAY_TRUST_OWN, RELAY_CHOICE_SERVING);
	CHECK_STR(taken(), "9");
	CHECK_EQ(out[0].addr_cnt, 1);
}

static void test_refused_relays_are_counted(void)
{
	add(1, 1, RELAY_TRUST_REFUSED, RELAY_CHOICE_SERVING);
	add(2, 1, RELAY_TRUST_REFUSED, RELAY_CHOICE_DRAWN);
	CHECK_EQ(choice.refused_cnt, 2);
	CHECK_STR(taken(), "");
}

int main(void)
{
	RUN(test_trust_comes_before_all_else);
	RUN(test_of_unknown_relays_those_that_served_come_first);
	RUN(test_one_trust_has_half_while_others_want_places);
	RUN(test_claims_leave_half_to_what_is_drawn);
	RUN(test_a_network_has_two_while_others_want_places);
	RUN(test_a_relay_is_chosen_once);
	RUN(test_refused_relays_are_counted);
	return check_done();
}
