/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/grants/grant_record.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

#define NOW_S 1700000000ull

static struct node_key *operator_key, *holder_key, *other_key;
static uint8_t bytes[2 * RELAY_SHOWN_LEN_MAX], grant_bytes[RELAY_GRANT_RECORD_LEN_MAX];

static struct relay_grant_record grant_of(unsigned relay_cnt)
{
	struct relay_grant_record grant = {.serial = 7,
					   .per_s = 12500000,
					   .burst_len = 1 << 20,
					   .month_len = 1ull << 40,
					   .flow_max = 16,
					   .is_content = true,
					   .not_before_s = NOW_S,
					   .expires_s = NOW_S + 86400,
					   .relay_cnt = relay_cnt};

	memcpy(grant.holder, node_key_public(holder_key), sizeof(grant.holder));
	for (unsigned i = 0; i < relay_cnt; i++)
		memset(grant.relays[i], (int)i + 1, sizeof(grant.relays[i]));
	return grant;
}

static size_t grant_write(struct relay_grant_record *grant)
{
	struct writer w = writer_of(grant_bytes, sizeof(grant_bytes));

	relay_grant_record_write(&w, operator_key, grant);
	return w.bad ? 0 : writer_len(&w);
}

/* A set of key_cnt keys around grant_bytes, signed by key. */
static size_t set_write(const struct node_key *key, size_t grant_len, unsigned key_cnt)
{
	struct relay_shown shown = {.grant_bytes = grant_bytes,
				    .grant_len = grant_len,
				    .key_cnt = key_cnt,
				    .set_expires_s = NOW_S + 3600};
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (unsigned i = 0; i < key_cnt; i++)
		memset(shown.keys[i], 0x40 + (int)i, sizeof(shown.keys[i]));
	relay_set_write(&w, key, &shown);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	for (unsigned cnt = 0; cnt <= RELAY_GRANT_RELAYS_MAX; cnt++) {
		struct relay_grant_record grant = grant_of(cnt);
		struct relay_shown shown;
		size_t len = grant_write(&grant);

		CHECK(len > 0);
		CHECK_EQ(relay_shown_parse(grant_bytes, len, &shown), 0);
		CHECK_EQ(relay_shown_verify(&shown), 0);
		CHECK(!shown.has_set);
		CHECK_MEM(&shown.grant, &grant, sizeof(grant));
		CHECK_MEM(grant.issuer, node_key_public(operator_key), 32);
	}
}

static void test_the_longest_grant_and_set_fit(void)
{
	struct relay_grant_record grant = grant_of(RELAY_GRANT_RELAYS_MAX);
	struct relay_shown shown;
	size_t len;

	grant.serial = UINT64_MAX;
	grant.per_s = grant.burst_len = grant.month_len = RELAY_GRANT_BYTES_MAX;
	grant.flow_max = RELAY_GRANT_FLOWS_MAX;
	grant.not_before_s = INT64_MAX - 1;
	grant.expires_s = INT64_MAX;
	len = grant_write(&grant);
	CHECK(len > 0);
	len = set_write(holder_key, len, RELAY_SET_KEYS_MAX);
	CHECK(len > 0 && len <= RELAY_SHOWN_LEN_MAX);
	CHECK_EQ(relay_shown_parse(bytes, len, &shown), 0);
	CHECK_EQ(relay_shown_verify(&shown), 0);
	CHECK(shown.has_set);
	CHECK_EQ(shown.key_cnt, RELAY_SET_KEYS_MAX);
	CHECK_MEM(&shown.grant, &grant, sizeof(grant));
}

static int shown_read(const uint8_t *at, size_t len)
{
	struct relay_shown shown;
	int err = relay_shown_parse(at, len, &shown);

	return err < 0 ? err : relay_shown_verify(&shown);
}

static void test_every_prefix_and_every_changed_byte_is_refused(void)
{
	struct relay_grant_record grant = grant_of(1);
	size_t grant_len = grant_write(&grant), len = set_write(holder_key, grant_len, 2);

	CHECK_EQ(shown_read(bytes, len), 0);
	for (size_t i = 0; i < len; i++)
		CHECK(shown_read(bytes, i) < 0);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(shown_read(bytes, len) < 0);
		bytes[i] ^= 1;
	}
	for (size_t i = 0; i < grant_len; i++) {
		CHECK(shown_read(grant_bytes, i) < 0);
		grant_bytes[i] ^= 1;
		CHECK(shown_read(grant_bytes, grant_len) < 0);
		grant_bytes[i] ^= 1;
	}
}

static void test_each_number_that_cannot_be_is_refused(void)
{
	static const struct {
		size_t at; /* of a 64-bit number, or flow_max */
		uint64_t good, bad;
	} rows[] = {
		{offsetof(struct relay_grant_record, serial), 1, 0},
		{offsetof(struct relay_grant_record, per_s), RELAY_GRANT_PER_S_MIN,
		 RELAY_GRANT_PER_S_MIN - 1},
		{offsetof(struct relay_grant_record, per_s), RELAY_GRANT_BYTES_MAX,
		 RELAY_GRANT_BYTES_MAX + 1},
		{offsetof(struct relay_grant_record, per_s), 1000, 0},
		{offsetof(struct relay_grant_record, burst_len), RELAY_GRANT_BURST_MIN,
		 RELAY_GRANT_BURST_MIN - 1},
		{offsetof(struct relay_grant_record, burst_len), RELAY_GRANT_BYTES_MAX,
		 RELAY_GRANT_BYTES_MAX + 1},
		{offsetof(struct relay_grant_record, month_len), RELAY_GRANT_BYTES_MAX,
		 RELAY_GRANT_BYTES_MAX + 1},
		{offsetof(struct relay_grant_record, expires_s), NOW_S + RELAY_GRANT_LIFE_S_MAX,
		 NOW_S + RELAY_GRANT_LIFE_S_MAX + 1},
		{offsetof(struct relay_grant_record, expires_s), NOW_S + 1, NOW_S},
	};
	struct relay_grant_record grant = grant_of(0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		grant = grant_of(0);
		memcpy((uint8_t *)&grant + rows[i].at, &rows[i].good, 8);
		CHECK_EQ(shown_read(grant_bytes, grant_write(&grant)), 0);
		memcpy((uint8_t *)&grant + rows[i].at, &rows[i].bad, 8);
		CHECK_EQ(shown_read(grant_bytes, grant_write(&grant)), WEFT_EMALFORMED);
	}
	grant = grant_of(0);
	grant.flow_max = RELAY_GRANT_FLOWS_MAX + 1;
	CHECK_EQ(shown_read(grant_bytes, grant_write(&grant)), WEFT_EMALFORMED);
	grant.flow_max = 0;
	CHECK_EQ(shown_read(grant_bytes, grant_write(&grant)), WEFT_EMALFORMED);
}

/* A grant's body of relay_cnt relays with one more field, number last, signed under tag. */
static size_t foreign_write(unsigned relay_cnt, uint8_t last, const char *tag)
{
	static const uint8_t relay[32] = {1};
	uint8_t body[RELAY_SHOWN_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&b, 6u + (last != 0));
	cbor_field_uint(&b, 0, 1);
	cbor_field_bytes(&b, 1, relay, sizeof(relay));
	cbor_field_uint(&b, 5, 1);
	cbor_field_uint(&b, 7, NOW_S);
	cbor_field_uint(&b, 8, NOW_S + 1);
	cbor_write_uint(&b, 9);
	cbor_write_array(&b, relay_cnt);
	for (unsigned i = 0; i < relay_cnt; i++)
		cbor_write_bytes(&b, relay, sizeof(relay));
	if (last)
		cbor_field_uint(&b, last, 1);
	signed_write(&w, operator_key, tag, body, writer_len(&b));
	return writer_len(&w);
}

static void test_a_term_of_a_later_version_is_not_passed_over(void)
{
	CHECK_EQ(shown_read(bytes, foreign_write(2, 0, RELAY_GRANT_TAG)), 0);
	CHECK_EQ(shown_read(bytes, foreign_write(2, 10, RELAY_GRANT_TAG)), WEFT_EMALFORMED);
	CHECK_EQ(shown_read(bytes, foreign_write(2, 0, RELAY_SET_TAG)), WEFT_EDAMAGED);
	CHECK_EQ(shown_read(bytes, foreign_write(8, 0, RELAY_GRANT_TAG)), 0);
	CHECK_EQ(shown_read(bytes, foreign_write(9, 0, RELAY_GRANT_TAG)), WEFT_EMALFORMED);
}

static void test_lengths_beyond_the_limits_are_refused(void)
{
	struct relay_shown shown;

	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(relay_shown_parse(bytes, RELAY_SHOWN_LEN_MAX + 1, &shown), WEFT_ETOOLARGE);
	CHECK_EQ(relay_shown_parse(bytes, RELAY_SHOWN_LEN_MAX, &shown), WEFT_EMALFORMED);
	CHECK(foreign_write(12, 0, RELAY_GRANT_TAG) > RELAY_GRANT_RECORD_LEN_MAX);
	CHECK_EQ(shown_read(bytes, foreign_write(12, 0, RELAY_GRANT_TAG)), WEFT_ETOOLARGE);
}

/* Body of a set of key_cnt keys with one inside it, in place of a grant. */
static size_t set_in_set_write(size_t inner_len)
{
	static uint8_t inner[RELAY_SHOWN_LEN_MAX];
	struct relay_shown shown = {.grant_bytes = inner,
				    .grant_len = inner_len,
				    .key_cnt = 1,
				    .set_expires_s = NOW_S + 3600};
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(inner, bytes, inner_len);
	relay_set_write(&w, holder_key, &shown);
	return writer_len(&w);
}

static void test_a_set_is_its_holders_own_and_has_a_grant_and_keys(void)
{
	struct relay_grant_record grant = grant_of(0);
	size_t grant_len = grant_write(&grant);

	CHECK_EQ(shown_read(bytes, set_write(holder_key, grant_len, 1)), 0);
	CHECK_EQ(shown_read(bytes, set_write(other_key, grant_len, 1)), WEFT_EMALFORMED);
	CHECK_EQ(shown_read(bytes, set_write(operator_key, grant_len, 1)), WEFT_EMALFORMED);
	CHECK_EQ(shown_read(bytes, set_write(holder_key, grant_len, 0)), WEFT_EMALFORMED);
	CHECK_EQ(shown_read(bytes, set_in_set_write(set_write(holder_key, grant_len, 1))),
		 WEFT_EMALFORMED);
}

static void test_a_grant_is_judged_by_its_terms(void)
{
	static const uint8_t nobody[32] = {9}, first_relay[32] = {[0 ... 31] = 1},
			     member[32] = {[0 ... 31] = 0x40};
	const uint8_t *issuer = node_key_public(operator_key),
		      *holder = node_key_public(holder_key);
	const struct {
		struct relay_grant_place place;
		enum relay_grant_fault fault;
	} rows[] = {
		{{issuer, first_relay, holder, NOW_S}, RELAY_GRANT_FINE},
		{{issuer, first_relay, member, NOW_S}, RELAY_GRANT_FINE},
		{{issuer, NULL, NULL, NOW_S}, RELAY_GRANT_FINE},
		{{holder, first_relay, holder, NOW_S}, RELAY_GRANT_OPERATOR},
		{{issuer, nobody, holder, NOW_S}, RELAY_GRANT_RELAY},
		{{issuer, first_relay, nobody, NOW_S}, RELAY_GRANT_HOLDER},
		{{issuer, first_relay, holder, NOW_S - 300}, RELAY_GRANT_FINE},
		{{issuer, first_relay, holder, NOW_S - 301}, RELAY_GRANT_EARLY},
		{{issuer, first_relay, holder, NOW_S + 3599}, RELAY_GRANT_FINE},
		{{issuer, first_relay, member, NOW_S + 3600}, RELAY_GRANT_EXPIRED},
	};
	struct relay_grant_record grant = grant_of(2);
	size_t grant_len = grant_write(&grant);
	struct relay_shown shown;

	CHECK_EQ(relay_shown_parse(bytes, set_write(holder_key, grant_len, 1), &shown), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(relay_shown_judge(&shown, &rows[i].place), rows[i].fault);
	CHECK_EQ(relay_grant_times_judge(&grant, NOW_S + 86399), RELAY_GRANT_FINE);
	CHECK_EQ(relay_grant_times_judge(&grant, NOW_S + 86400), RELAY_GRANT_EXPIRED);
	for (unsigned i = 0; i < RELAY_GRANT_FAULT_CNT; i++)
		CHECK(relay_grant_fault_text(i) != NULL);
}

static void test_a_grant_without_relays_is_for_each_of_the_operator(void)
{
	static const uint8_t any[32] = {5};
	const struct relay_grant_place place = {node_key_public(operator_key), any, NULL, NOW_S};
	struct relay_grant_record grant = grant_of(0);
	struct relay_shown shown;

	CHECK_EQ(relay_shown_parse(grant_bytes, grant_write(&grant), &shown), 0);
	CHECK_EQ(relay_shown_judge(&shown, &place), RELAY_GRANT_FINE);
}

static void test_an_id_is_of_operator_and_serial(void)
{
	struct relay_grant_record one = grant_of(0), two = grant_of(1), three = grant_of(0);
	uint8_t ids[3][32];

	(void)grant_write(&one);
	(void)grant_write(&two);
	three.serial++;
	(void)grant_write(&three);
	relay_grant_id(&one, ids[0]);
	relay_grant_id(&two, ids[1]);
	relay_grant_id(&three, ids[2]);
	CHECK_MEM(ids[0], ids[1], 32);
	CHECK(memcmp(ids[0], ids[2], 32) != 0);
	memcpy(two.issuer, node_key_public(other_key), 32);
	relay_grant_id(&two, ids[1]);
	CHECK(memcmp(ids[0], ids[1], 32) != 0);
}

static void test_text_is_read_as_it_is_pasted(void)
{
	static char text[RELAY_GRANT_TEXT_CAP + 8], spaced[RELAY_GRANT_TEXT_CAP + 16];
	uint8_t back[RELAY_SHOWN_LEN_MAX];
	struct relay_grant_record grant = grant_of(3);
	size_t len = grant_write(&grant), back_len;

	relay_grant_text_write(grant_bytes, len, text);
	snprintf(spaced, sizeof(spaced), " \n%s\r\n", text);
	CHECK_EQ(relay_grant_text_read(spaced, back, &back_len), 0);
	CHECK_EQ(back_len, len);
	CHECK_MEM(back, grant_bytes, len);
	CHECK_EQ(relay_grant_text_read(text + 1, back, &back_len), WEFT_EMALFORMED);
	snprintf(spaced, sizeof(spaced), "%s x", text);
	CHECK_EQ(relay_grant_text_read(spaced, back, &back_len), WEFT_EMALFORMED);
	memset(bytes, 0, sizeof(bytes));
	relay_grant_text_write(bytes, RELAY_SHOWN_LEN_MAX, text);
	CHECK_EQ(relay_grant_text_read(text, back, &back_len), 0);
	strcat(text, "yy");
	CHECK_EQ(relay_grant_text_read(text, back, &back_len), WEFT_ETOOLARGE);
}

int main(void)
{
	static const uint8_t seeds[3][NODE_KEY_SEED_LEN] = {{1}, {2}, {3}};

	if (node_key_from_seed(seeds[0], &operator_key) < 0 ||
	    node_key_from_seed(seeds[1], &holder_key) < 0 ||
	    node_key_from_seed(seeds[2], &other_key) < 0)
		return 1;
	RUN(test_what_is_written_is_read);
	RUN(test_the_longest_grant_and_set_fit);
	RUN(test_every_prefix_and_every_changed_byte_is_refused);
	RUN(test_each_number_that_cannot_be_is_refused);
	RUN(test_a_term_of_a_later_version_is_not_passed_over);
	RUN(test_lengths_beyond_the_limits_are_refused);
	RUN(test_a_set_is_its_holders_own_and_has_a_grant_and_keys);
	RUN(test_a_grant_is_judged_by_its_terms);
	RUN(test_a_grant_without_relays_is_for_each_of_the_operator);
	RUN(test_an_id_is_of_operator_and_serial);
	RUN(test_text_is_read_as_it_is_pasted);
	node_key_free(operator_key);
	node_key_free(holder_key);
	node_key_free(other_key);
	return check_done();
}
