/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_message.h"

#include "base/random.h"
#include "mesh/message_types.h"
#include "mesh/seam.h"
#include "support/check.h"
#include "support/hex_digits.h"

#define NOON_S	    1800000000ull
#define HOUR_S	    3600ull
#define PAYLOAD_CAP (SERVICE_MESSAGE_PAYLOAD_MAX + 1)

static struct node_key *key, *other;
static uint8_t bytes[SERVICE_MESSAGE_LEN_MAX + 1], payload[PAYLOAD_CAP];
static const uint8_t some_address[SERVICE_MESSAGE_ADDRESS_LEN] = {7};
static const uint8_t some_signature[NODE_KEY_SIG_LEN] = {9};

static struct service_message announce_of(size_t payload_len)
{
	return (struct service_message){.service = 2,
					.type = SERVICE_MESSAGE_ANNOUNCE,
					.version = 1,
					.is_full_cover = true,
					.hop_max = 4,
					.ttl_hours = 72,
					.timestamp_s = NOON_S,
					.payload = payload,
					.payload_len = payload_len};
}

/* What was written, 0 for nothing that is reported, SIZE_MAX for nothing that is not. */
static size_t signed_len(const struct service_message *msg)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_message_sign(&w, msg, key);
	return w.bad ? 0 : writer_len(&w) ? writer_len(&w) : SIZE_MAX;
}

static size_t written_len(const struct service_message *msg)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_message_write(&w, msg);
	return w.bad ? 0 : writer_len(&w) ? writer_len(&w) : SIZE_MAX;
}

/* In memory of exactly that length, so that a sanitizer sees a read beyond it. */
static int parse_exact(size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct service_message msg;
	int err;

	memcpy(exact, bytes, len);
	err = offers_message_parse(len ? exact : NULL, len, &msg);
	free(exact);
	return err;
}

static void test_a_signed_message_is_read_as_written(void)
{
	struct service_message msg = announce_of(30), heard;
	size_t len = signed_len(&msg);
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	CHECK_EQ(len, SERVICE_MESSAGE_HEAD_LEN + 30);
	CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
	offers_address(node_key_public(key), address);
	CHECK_MEM(heard.provider, address, sizeof(address));
	CHECK_MEM(heard.payload, payload, 30);
	CHECK_EQ(heard.timestamp_s, NOON_S);
	CHECK_EQ(offers_message_proof(&heard), SERVICE_MESSAGE_PROOF_SIGNATURE);
	CHECK_EQ(offers_message_verify(&heard, node_key_public(key)), 0);
	CHECK_EQ(offers_message_verify(&heard, node_key_public(other)), WEFT_EWRONGKEY);
}

static void test_every_cut_and_every_byte_more_is_refused(void)
{
	struct service_message msg = announce_of(40);
	size_t len = signed_len(&msg);

	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(parse_exact(cut), WEFT_EMALFORMED);
	CHECK_EQ(parse_exact(len), 0);
	CHECK_EQ(parse_exact(len + 1), WEFT_EMALFORMED);
}

static void test_a_length_that_lies_is_refused(void)
{
	struct service_message msg = announce_of(300);
	size_t len = signed_len(&msg);

	for (unsigned said = 0; said <= UINT16_MAX; said++) {
		bytes[6] = (uint8_t)said;
		bytes[7] = (uint8_t)(said >> 8);
		CHECK_EQ(parse_exact(len), said == 300 ? 0 : WEFT_EMALFORMED);
	}
}

static void test_a_payload_of_65535_is_taken_and_one_more_is_not(void)
{
	struct service_message msg = announce_of(SERVICE_MESSAGE_PAYLOAD_MAX), heard;

	for (unsigned form = 0; form < 2; form++) {
		msg.is_full_cover = form;
		msg.payload_len = SERVICE_MESSAGE_PAYLOAD_MAX;
		CHECK_EQ(signed_len(&msg), SERVICE_MESSAGE_LEN_MAX);
		CHECK_EQ(offers_message_parse(bytes, SERVICE_MESSAGE_LEN_MAX, &heard), 0);
		CHECK_EQ(offers_message_verify(&heard, node_key_public(key)), 0);
		CHECK_EQ(offers_message_parse(bytes, SERVICE_MESSAGE_LEN_MAX + 1, &heard),
			 WEFT_EMALFORMED);
		msg.payload_len++;
		CHECK_EQ(signed_len(&msg), 0);
		CHECK_EQ(written_len(&msg), 0);
	}
}

static void test_messages_of_random_lengths_are_read_as_written(void)
{
	struct random random;

	random_init_seeded(&random, 17);
	for (unsigned i = 0; i < 300; i++) {
		struct service_message msg = announce_of(
					       random_below(&random, i < 150 ? 300 : 65536)),
				       heard;
		size_t len;

		msg.is_full_cover = i & 1;
		msg.hop_cnt = (uint8_t)random_u64(&random);
		random_fill(&random, payload, 64);
		len = signed_len(&msg);
		CHECK_EQ(len, SERVICE_MESSAGE_HEAD_LEN + msg.payload_len);
		CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
		CHECK_EQ(heard.payload_len, msg.payload_len);
		CHECK_EQ(heard.hop_cnt, msg.hop_cnt);
		CHECK_EQ(offers_message_verify(&heard, node_key_public(key)), 0);
		CHECK_EQ(offers_message_parse(bytes, random_below(&random, len), &heard),
			 WEFT_EMALFORMED);
	}
}

/* What is neither refused nor unverified after one byte was flipped. */
static size_t unnoticed(size_t len, uint8_t at[static 128])
{
	struct service_message heard;
	size_t cnt = 0;

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		if (offers_message_parse(bytes, len, &heard) == 0 &&
		    offers_message_verify(&heard, node_key_public(key)) == 0)
			at[cnt++] = (uint8_t)i;
		bytes[i] ^= 1;
	}
	return cnt;
}

static void test_full_cover_leaves_the_hop_count_alone_open(void)
{
	struct service_message msg = announce_of(20);
	uint8_t at[128];

	CHECK_EQ(unnoticed(signed_len(&msg), at), 1);
	CHECK_EQ(at[0], SERVICE_MESSAGE_HOP_AT);
}

/* Hop max, TTL and timestamp: what a receiver makes of those is offers_message_time's to say. */
static void test_the_seed_form_leaves_hops_and_time_open(void)
{
	struct service_message msg = announce_of(20);
	uint8_t at[128];
	size_t cnt;

	msg.is_full_cover = false;
	cnt = unnoticed(signed_len(&msg), at);
	CHECK_EQ(cnt, 12);
	for (size_t i = 0; i < cnt; i++)
		CHECK_EQ(at[i], SERVICE_MESSAGE_HOP_AT + i);
}

static void test_a_seed_form_sent_years_later_verifies_and_is_early_or_expired(void)
{
	static const struct {
		uint64_t timestamp_s;
		enum service_message_time want;
	} rows[] = {
		{NOON_S, SERVICE_MESSAGE_TIMELY},
		{NOON_S - 80 * HOUR_S, SERVICE_MESSAGE_EXPIRED},
		{NOON_S + 20000 * HOUR_S, SERVICE_MESSAGE_EARLY},
		{UINT64_MAX, SERVICE_MESSAGE_EARLY},
		{0, SERVICE_MESSAGE_EXPIRED},
	};
	struct service_message msg = announce_of(20), heard;
	size_t len;

	msg.is_full_cover = false;
	len = signed_len(&msg);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned at = 0; at < 8; at++)
			bytes[92 + at] = (uint8_t)(rows[i].timestamp_s >> 8 * at);
		CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
		CHECK_EQ(offers_message_verify(&heard, node_key_public(key)), 0);
		CHECK_EQ(offers_message_time(&heard, NOON_S), rows[i].want);
	}
}

static void test_forms_do_not_stand_for_each_other(void)
{
	struct service_message msg = announce_of(20), heard;

	for (unsigned form = 0; form < 2; form++) {
		size_t len;

		msg.is_full_cover = form;
		len = signed_len(&msg);
		bytes[5] ^= 0x80;
		CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
		CHECK_EQ(heard.is_full_cover, !form);
		CHECK_EQ(heard.version, 1);
		CHECK_EQ(offers_message_verify(&heard, node_key_public(key)), WEFT_EDAMAGED);
	}
}

static void test_each_type_has_its_outer_fields(void)
{
	/* Which of {nothing, an address, a signature, both} each type may have. */
	static const struct {
		uint8_t type;
		bool may[4];
	} rows[] = {
		{SERVICE_MESSAGE_ANNOUNCE, {false, false, false, true}},
		{SERVICE_MESSAGE_QUERY, {true, false, false, false}},
		{SERVICE_MESSAGE_RESPONSE, {true, false, false, false}},
		{SERVICE_MESSAGE_RESERVE, {false, true, false, false}},
		{SERVICE_MESSAGE_CONFIRM, {false, false, false, true}},
		{SERVICE_MESSAGE_CANCEL, {false, true, false, true}},
		{SERVICE_MESSAGE_UPDATE, {false, false, false, true}},
		{SERVICE_MESSAGE_REVOKE, {false, false, false, true}},
		{0, {true, true, true, true}},
		{9, {true, true, true, true}},
		{255, {true, true, true, true}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned has = 0; has < 4; has++) {
			struct service_message msg = announce_of(5);

			msg.type = rows[i].type;
			msg.is_full_cover = false;
			msg.provider = has & 1 ? some_address : NULL;
			msg.signature = has & 2 ? some_signature : NULL;
			CHECK_EQ(parse_exact(written_len(&msg)),
				 rows[i].may[has] ? 0 : WEFT_EMALFORMED);
		}
}

static void test_only_a_signature_has_a_form(void)
{
	static const uint8_t types[] = {SERVICE_MESSAGE_QUERY, SERVICE_MESSAGE_RESPONSE,
					SERVICE_MESSAGE_RESERVE, SERVICE_MESSAGE_CANCEL};

	for (size_t i = 0; i < sizeof(types); i++) {
		struct service_message msg = announce_of(5);

		msg.type = types[i];
		msg.provider = i < 2 ? NULL : some_address;
		CHECK_EQ(parse_exact(written_len(&msg)), WEFT_EMALFORMED);
		msg.is_full_cover = false;
		CHECK_EQ(parse_exact(written_len(&msg)), 0);
	}
}

static void test_a_cancel_is_the_providers_if_it_is_signed(void)
{
	struct service_message msg = announce_of(5), heard;
	size_t len;

	msg.type = SERVICE_MESSAGE_CANCEL;
	len = signed_len(&msg);
	CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
	CHECK_EQ(offers_message_proof(&heard), SERVICE_MESSAGE_PROOF_SIGNATURE);
	msg.provider = some_address;
	msg.is_full_cover = false;
	len = written_len(&msg);
	CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
	CHECK_EQ(offers_message_proof(&heard), SERVICE_MESSAGE_PROOF_SEAL);
	msg.type = 77;
	len = written_len(&msg);
	CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
	CHECK_EQ(offers_message_proof(&heard), SERVICE_MESSAGE_PROOF_UNKNOWN);
}

/* A seed form of service "MESH" would be the beginning of some signed object. */
static void test_the_reserved_service_is_neither_signed_nor_read(void)
{
	struct service_message msg = announce_of(5);

	msg.service = OFFERS_RESERVED_SERVICE;
	CHECK_EQ(signed_len(&msg), 0);
	msg.is_full_cover = false;
	CHECK_EQ(signed_len(&msg), 0);
	msg.provider = some_address;
	msg.signature = some_signature;
	CHECK_EQ(parse_exact(written_len(&msg)), WEFT_EMALFORMED);
	CHECK_MEM(bytes, "MESH", 4);
	msg.service++;
	CHECK_EQ(parse_exact(written_len(&msg)), 0);
}

/* "3:seqi1e..." is what the DHT has its writers sign. */
static void test_a_key_signs_for_assigned_services_alone(void)
{
	static const struct {
		uint32_t service;
		bool want;
	} rows[] = {{0, true},		 {0xffff, true},     {0x10000, false},	{0x65733a33, false},
		    {0x7fffffff, false}, {0x80000000, true}, {0xffffffff, true}};
	struct service_message msg = announce_of(5);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned form = 0; form < 2; form++) {
			msg.service = rows[i].service;
			msg.is_full_cover = form;
			CHECK_EQ(signed_len(&msg) > 0, rows[i].want);
		}
}

static void test_several_services_are_asked_for_and_never_announced(void)
{
	struct service_message msg = announce_of(5);

	msg.service = OFFERS_ANY_SERVICE;
	CHECK_EQ(parse_exact(signed_len(&msg)), WEFT_EMALFORMED);
	msg.type = SERVICE_MESSAGE_QUERY;
	msg.is_full_cover = false;
	CHECK_EQ(parse_exact(written_len(&msg)), 0);
	/* Each of them is answered by itself. */
	msg.type = SERVICE_MESSAGE_RESPONSE;
	CHECK_EQ(parse_exact(written_len(&msg)), WEFT_EMALFORMED);
}

static void test_a_message_reaches_as_far_as_both_say(void)
{
	static const struct {
		uint8_t hop_cnt, hop_max;
		unsigned policy_max;
		enum service_message_hop want;
	} rows[] = {
		{0, 4, 4, SERVICE_MESSAGE_FORWARD},    {2, 255, 4, SERVICE_MESSAGE_FORWARD},
		{3, 4, 4, SERVICE_MESSAGE_KEEP},       {3, 255, 4, SERVICE_MESSAGE_KEEP},
		{4, 4, 4, SERVICE_MESSAGE_DROP},       {0, 0, 4, SERVICE_MESSAGE_DROP},
		{200, 255, 4, SERVICE_MESSAGE_KEEP},   {255, 255, 255, SERVICE_MESSAGE_DROP},
		{254, 255, 255, SERVICE_MESSAGE_KEEP}, {0, 4, 0, SERVICE_MESSAGE_KEEP},
		{0, 1, 4, SERVICE_MESSAGE_KEEP},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_message msg = {.hop_cnt = rows[i].hop_cnt,
					      .hop_max = rows[i].hop_max};

		CHECK_EQ(offers_message_hop(&msg, rows[i].policy_max), rows[i].want);
	}
}

static void test_a_message_is_kept_for_its_ttl_and_at_most_a_year(void)
{
	static const struct {
		uint64_t timestamp_s;
		uint16_t ttl_hours;
		uint64_t want_s;
	} rows[] = {
		{NOON_S, 0, NOON_S},
		{NOON_S, 1, NOON_S + HOUR_S},
		{NOON_S, 8760, NOON_S + 8760 * HOUR_S},
		{NOON_S, 8761, NOON_S + 8760 * HOUR_S},
		{NOON_S, 65535, NOON_S + 8760 * HOUR_S},
		{UINT64_MAX - HOUR_S, 1, UINT64_MAX},
		{UINT64_MAX - HOUR_S + 1, 1, UINT64_MAX},
		{UINT64_MAX, 65535, UINT64_MAX},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_message msg = {.timestamp_s = rows[i].timestamp_s,
					      .ttl_hours = rows[i].ttl_hours};

		CHECK(offers_message_expires_s(&msg) == rows[i].want_s);
	}
}

static void test_a_message_has_its_time(void)
{
	static const struct {
		uint64_t now_s;
		enum service_message_time want;
	} rows[] = {
		{NOON_S, SERVICE_MESSAGE_TIMELY},
		{NOON_S - 300, SERVICE_MESSAGE_TIMELY},
		{NOON_S - 301, SERVICE_MESSAGE_EARLY},
		{0, SERVICE_MESSAGE_EARLY},
		{NOON_S + 72 * HOUR_S - 1, SERVICE_MESSAGE_TIMELY},
		{NOON_S + 72 * HOUR_S, SERVICE_MESSAGE_EXPIRED},
		{UINT64_MAX, SERVICE_MESSAGE_EXPIRED},
	};
	struct service_message msg = announce_of(0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(offers_message_time(&msg, rows[i].now_s), rows[i].want);
}

static void test_an_id_is_of_all_bytes_but_the_hop_count(void)
{
	uint8_t id[SERVICE_MESSAGE_ID_LEN], again[SERVICE_MESSAGE_ID_LEN];
	struct service_message msg = announce_of(20), heard;
	size_t len = signed_len(&msg), same = 0;

	CHECK_EQ(offers_message_parse(bytes, len, &heard), 0);
	offers_message_id(&heard, id);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		/* Of messages that can be read. */
		if (offers_message_parse(bytes, len, &heard) == 0) {
			offers_message_id(&heard, again);
			same += memcmp(id, again, sizeof(id)) == 0;
			CHECK_EQ(memcmp(id, again, sizeof(id)) == 0, i == SERVICE_MESSAGE_HOP_AT);
		}
		bytes[i] ^= 1;
	}
	CHECK_EQ(same, 1);
}

static void test_a_buffer_too_small_is_reported(void)
{
	struct service_message msg = announce_of(20);
	size_t len = signed_len(&msg);

	for (size_t cap = 0; cap < len; cap++) {
		struct writer w = writer_of(bytes, cap);

		offers_message_sign(&w, &msg, key);
		CHECK(w.bad);
	}
}

static void test_an_address_begins_the_hash_of_its_key(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN];
	uint8_t want[SERVICE_MESSAGE_ADDRESS_LEN], got[SERVICE_MESSAGE_ADDRESS_LEN];
	struct node_key *zero;

	CHECK_EQ(node_key_from_seed(seed, &zero), 0);
	offers_address(node_key_public(zero), got);
	node_key_free(zero);
	hex_parse("139e3940e64b5491722088d9a0d74162", want);
	CHECK_MEM(got, want, sizeof(want));
}

/* What the header can say is what a session carries. */
static void test_a_session_carries_the_longest_message(void)
{
	enum mesh_class class = mesh_registry_class(MESH_SERVICE_MESSAGE, false);

	CHECK(mesh_class_payload_max(class) >= SERVICE_MESSAGE_LEN_MAX);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other) < 0)
		return 1;
	RUN(test_a_signed_message_is_read_as_written);
	RUN(test_every_cut_and_every_byte_more_is_refused);
	RUN(test_a_length_that_lies_is_refused);
	RUN(test_a_payload_of_65535_is_taken_and_one_more_is_not);
	RUN(test_a_session_carries_the_longest_message);
	RUN(test_messages_of_random_lengths_are_read_as_written);
	RUN(test_full_cover_leaves_the_hop_count_alone_open);
	RUN(test_the_seed_form_leaves_hops_and_time_open);
	RUN(test_a_seed_form_sent_years_later_verifies_and_is_early_or_expired);
	RUN(test_forms_do_not_stand_for_each_other);
	RUN(test_each_type_has_its_outer_fields);
	RUN(test_only_a_signature_has_a_form);
	RUN(test_a_cancel_is_the_providers_if_it_is_signed);
	RUN(test_the_reserved_service_is_neither_signed_nor_read);
	RUN(test_a_key_signs_for_assigned_services_alone);
	RUN(test_several_services_are_asked_for_and_never_announced);
	RUN(test_a_message_reaches_as_far_as_both_say);
	RUN(test_a_message_is_kept_for_its_ttl_and_at_most_a_year);
	RUN(test_a_message_has_its_time);
	RUN(test_an_id_is_of_all_bytes_but_the_hop_count);
	RUN(test_a_buffer_too_small_is_reported);
	RUN(test_an_address_begins_the_hash_of_its_key);
	node_key_free(key);
	node_key_free(other);
	return check_done();
}
