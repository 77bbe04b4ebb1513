/* SPDX-License-Identifier: Apache-2.0 */
/* How far a relay is trusted, by what this node knows of its key. */
#include "relay/trust/relay_trust.h"

#include <string.h>

#include "codec/text/zbase32.h"
#include "support/check.h"

static const uint8_t own_key[MESH_KEY_LEN] = {200};

/* Keys are told apart by their first byte: 10 granted, 20 members, 30 contacts. */
static bool is_granted(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return key[0] == 10;
}

static bool is_member(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return key[0] == 20;
}

static bool is_contact(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return key[0] == 30;
}

static struct relay_trust_rule rule_of(bool lets_unknown)
{
	return (struct relay_trust_rule){
		.lets_unknown = lets_unknown,
		.is_granted = is_granted,
		.is_member = is_member,
		.is_contact = is_contact,
	};
}

static enum relay_trust trust_of(const struct relay_trust_rule *rule, uint8_t number, uint8_t by)
{
	const uint8_t key[MESH_KEY_LEN] = {number}, named_by[MESH_KEY_LEN] = {by};

	return relay_trust_of(rule, key, by ? named_by : NULL);
}

/* "KEY" or "KEY@address", behind what text has. */
static void text_add(char *text, uint8_t number, const char *address)
{
	const uint8_t key[MESH_KEY_LEN] = {number};
	char id[ZBASE32_KEY_TEXT_CAP];

	zbase32_write(key, sizeof(key), id);
	if (text[0])
		strcat(text, ", ");
	strcat(text, id);
	strcat(text, address);
}

static void test_the_nearest_relation_counts(void)
{
	struct relay_trust_rule rule = rule_of(true);
	char text[RELAY_POOL_TEXT_CAP] = "";

	text_add(text, 1, "@192.0.2.1:7000");
	text_add(text, 20, "");
	CHECK_EQ(relay_trust_own(&rule, text, own_key), 0);
	CHECK_EQ(trust_of(&rule, 1, 0), RELAY_TRUST_OWN);
	CHECK_EQ(trust_of(&rule, 20, 0), RELAY_TRUST_OWN);
	CHECK_EQ(trust_of(&rule, 10, 0), RELAY_TRUST_OWN);
	rule.own_cnt = 0;
	CHECK_EQ(trust_of(&rule, 20, 0), RELAY_TRUST_COMMUNITY);
	CHECK_EQ(trust_of(&rule, 30, 0), RELAY_TRUST_CONTACT);
	CHECK_EQ(trust_of(&rule, 40, 0), RELAY_TRUST_UNKNOWN);
}

static void test_a_relay_that_a_contact_names_is_a_contacts(void)
{
	const struct relay_trust_rule rule = rule_of(false);

	CHECK_EQ(trust_of(&rule, 40, 30), RELAY_TRUST_CONTACT);
	CHECK_EQ(trust_of(&rule, 40, 41), RELAY_TRUST_REFUSED);
	CHECK_EQ(trust_of(&rule, 20, 30), RELAY_TRUST_COMMUNITY);
}

static void test_unknown_relays_are_kept_out_and_no_others(void)
{
	struct relay_trust_rule rule = rule_of(false);

	CHECK_EQ(trust_of(&rule, 40, 0), RELAY_TRUST_REFUSED);
	CHECK_EQ(trust_of(&rule, 10, 0), RELAY_TRUST_OWN);
	CHECK_EQ(trust_of(&rule, 20, 0), RELAY_TRUST_COMMUNITY);
	CHECK_EQ(trust_of(&rule, 30, 0), RELAY_TRUST_CONTACT);
	/* A rule without functions knows none. */
	rule = (struct relay_trust_rule){.lets_unknown = false};
	CHECK_EQ(trust_of(&rule, 20, 30), RELAY_TRUST_REFUSED);
}

static void test_own_relays_are_read_once_and_take_an_address(void)
{
	struct relay_trust_rule rule = {.own_cnt = 0};
	char first[RELAY_POOL_TEXT_CAP] = "", second[RELAY_POOL_TEXT_CAP] = "";

	text_add(first, 1, "");
	text_add(second, 200, ""); /* this node itself */
	text_add(second, 1, "@192.0.2.1:7000");
	text_add(second, 2, "");
	CHECK_EQ(relay_trust_own(&rule, first, own_key), 0);
	CHECK_EQ(relay_trust_own(&rule, second, own_key), 0);
	CHECK_EQ(rule.own_cnt, 2);
	CHECK_EQ(rule.own[0].addr.port, 7000);
	CHECK_EQ(relay_trust_own(&rule, "no key", own_key), WEFT_EMALFORMED);
	CHECK_EQ(rule.own_cnt, 2);
}

static void test_as_many_as_two_lists_have_fit_and_no_more(void)
{
	struct relay_trust_rule rule = {.own_cnt = 0};
	uint8_t number = 1;

	for (unsigned list = 0; list < 2; list++) {
		char text[RELAY_POOL_TEXT_CAP] = "";

		for (unsigned i = 0; i < RELAY_POOL_MAX; i++)
			text_add(text, number++, "");
		CHECK_EQ(relay_trust_own(&rule, text, own_key), 0);
	}
	CHECK_EQ(rule.own_cnt, RELAY_TRUST_OWN_MAX);
	{
		char text[RELAY_POOL_TEXT_CAP] = "";

		text_add(text, number, "");
		CHECK_EQ(relay_trust_own(&rule, text, own_key), WEFT_EFULL);
	}
}

static void test_each_trust_has_a_word_of_its_own(void)
{
	for (unsigned a = 0; a < RELAY_TRUST_CNT; a++)
		for (unsigned b = 0; b < a; b++)
			CHECK(strcmp(relay_trust_word(a), relay_trust_word(b)) != 0);
}

int main(void)
{
	RUN(test_the_nearest_relation_counts);
	RUN(test_a_relay_that_a_contact_names_is_a_contacts);
	RUN(test_unknown_relays_are_kept_out_and_no_others);
	RUN(test_own_relays_are_read_once_and_take_an_address);
	RUN(test_as_many_as_two_lists_have_fit_and_no_more);
	RUN(test_each_trust_has_a_word_of_its_own);
	return check_done();
}
