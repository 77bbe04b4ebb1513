/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/offer_terms.h"

#include "codec/cbor.h"
#include "offers/message/service_message.h"
#include "support/check.h"
#include "support/hex_digits.h"

#define NOON_S 1800000000ull
#define PK_HEX "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
#define ID_HEX "000102030405060708090a0b0c0d0e0f"
/* Key 0 with the provider's key. */
#define OWN_KEY "005820" PK_HEX

static uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], provider_key[OFFER_KEY_LEN];
static uint8_t bytes[SERVICE_MESSAGE_PAYLOAD_MAX];

static struct service_message msg_of(uint8_t type, size_t len)
{
	return (struct service_message){.service = 2,
					.type = type,
					.is_full_cover = true,
					.provider = address,
					.timestamp_s = NOON_S,
					.payload = bytes,
					.payload_len = len};
}

static int terms_of(uint8_t type, const char *hex, struct offer_terms *out)
{
	struct service_message msg = msg_of(type, hex_parse(hex, bytes));

	return offer_terms_read(&msg, out);
}

static int seed_terms_of(uint8_t type, const char *hex, struct offer_terms *out)
{
	struct service_message msg = msg_of(type, hex_parse(hex, bytes));

	msg.is_full_cover = false;
	return offer_terms_read(&msg, out);
}

static const uint8_t types[] = {SERVICE_MESSAGE_ANNOUNCE, SERVICE_MESSAGE_UPDATE,
				SERVICE_MESSAGE_REVOKE};

static struct offer_terms full_terms(void)
{
	return (struct offer_terms){.provider_key = provider_key,
				    .has_sequence = true,
				    .sequence = UINT64_MAX,
				    .offer_id = "an id of sixteen",
				    .base = UINT64_MAX - 1,
				    .has_units = true,
				    .units = UINT32_MAX,
				    .has_reserve_key = true,
				    .reserve_key =
					    (const uint8_t *)"a key that has thirty-two bytes.",
				    .schema = "microscope",
				    .schema_len = 10};
}

static size_t written(uint8_t type, const struct offer_terms *terms)
{
	/* 1: 7, 239: "x" */
	static const uint8_t pairs[] = {1, 7, 0x18, 239, 0x61, 'x'};
	const struct offer_fields fields = {pairs, sizeof(pairs), 2};
	struct writer w = writer_of(bytes, sizeof(bytes));

	offer_terms_write(&w, type, terms, &fields);
	return w.bad ? 0 : writer_len(&w);
}

static void test_terms_are_read_as_written_beside_the_schemas_fields(void)
{
	struct offer_terms terms = full_terms(), heard;

	for (unsigned i = 0; i < sizeof(types); i++) {
		struct service_message msg = msg_of(types[i], written(types[i], &terms));

		CHECK(msg.payload_len > 0);
		CHECK_EQ(offer_terms_read(&msg, &heard), 0);
		CHECK_MEM(heard.provider_key, provider_key, OFFER_KEY_LEN);
		CHECK(heard.sequence == UINT64_MAX);
		CHECK_MEM(heard.offer_id, terms.offer_id, OFFER_ID_LEN);
		CHECK(heard.base == (types[i] == SERVICE_MESSAGE_UPDATE ? UINT64_MAX - 1 : 0));
		CHECK_EQ(heard.units, UINT32_MAX);
		CHECK_MEM(heard.reserve_key, terms.reserve_key, OFFER_KEY_LEN);
		CHECK_EQ(heard.schema_len, 10);
		CHECK_MEM(heard.schema, "microscope", 10);
	}
}

static void test_every_cut_is_refused(void)
{
	struct offer_terms terms = full_terms(), heard;
	size_t len = written(SERVICE_MESSAGE_UPDATE, &terms);

	for (size_t cut = 0; cut < len; cut++) {
		struct service_message msg = msg_of(SERVICE_MESSAGE_UPDATE, cut);
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		msg.payload = exact;
		CHECK_EQ(offer_terms_read(&msg, &heard), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_what_is_not_said_has_its_value(void)
{
	static const uint8_t none[OFFER_ID_LEN];
	struct offer_terms heard;

	CHECK_EQ(terms_of(SERVICE_MESSAGE_ANNOUNCE, "a1" OWN_KEY, &heard), 0);
	CHECK(!heard.has_sequence && !heard.has_units && !heard.has_reserve_key);
	CHECK_EQ(heard.sequence, NOON_S);
	CHECK_MEM(heard.offer_id, none, sizeof(none));
	CHECK_EQ(heard.units, 1);
	CHECK(!heard.reserve_key);
	CHECK(!heard.schema);
}

/* Whether each type takes a payload. */
static void test_a_payload_says_what_its_type_may_say(void)
{
	static const struct {
		const char *hex;
		bool announce, update, revoke;
		const char *why;
	} rows[] = {
		{"a1" OWN_KEY, true, false, true, "an Update has a base"},
		{"a2" OWN_KEY "18f205", false, true, false, "no other type has"},
		{"a0", false, false, true, "an Announce has its provider's key"},
		{"a1"
		 "18f205",
		 false, true, false, "an Update may leave it out"},
		{"a3" OWN_KEY "18f006"
		 "18f205",
		 false, true, false, "the sequence is above the base"},
		{"a3" OWN_KEY "18f005"
		 "18f205",
		 false, false, false, "and not the same"},
		{"a2" OWN_KEY "18f31affffffff", true, false, true, "units of 32 bits"},
		{"a2" OWN_KEY "18f31b0000000100000000", false, false, false, "and no more"},
		{"a2" OWN_KEY "18f3f6", false, false, false, "only an Update takes units back"},
		{"a3" OWN_KEY "18f205"
		 "18f3f6",
		 false, true, false, "as here"},
		{"a2" OWN_KEY "18f4f6", false, false, false, "only an Update takes a key back"},
		{"a3" OWN_KEY "18f205"
		 "18f4f6",
		 false, true, false, "as here"},
		{"a3" OWN_KEY "18f0f6"
		 "18f205",
		 false, false, false, "a sequence is never taken back"},
		{"a3" OWN_KEY "18f1f6"
		 "18f205",
		 false, false, false, "nor is an id"},
		{"a3" OWN_KEY "18f205"
		 "18f5f6",
		 false, false, false, "nor a schema"},
		{"a2" OWN_KEY "18f150" ID_HEX, true, false, true, "an id of 16 bytes"},
		{"a2" OWN_KEY "18f14f"
		 "000102030405060708090a0b0c0d0e",
		 false, false, false, "not 15"},
		{"a2" OWN_KEY "18f151" ID_HEX "10", false, false, false, "nor 17"},
		{"a2" OWN_KEY "18f45820" PK_HEX, true, false, true, "a key of 32 bytes"},
		{"a2" OWN_KEY "18f45821" PK_HEX "00", false, false, false, "not 33"},
		{"a2" OWN_KEY "18f560", false, false, false, "a schema has a name"},
		{"a2" OWN_KEY "18f56161", true, false, true, "of one letter at least"},
		{"a2" OWN_KEY "18f54161", false, false, false, "which is text"},
		{"a2" OWN_KEY "18f6f6", true, false, true, "later keys are passed over"},
		{"a2" OWN_KEY "190100f6", true, false, true, "also far ones"},
		{"a2" OWN_KEY OWN_KEY, false, false, false, "a key twice"},
		{"a2"
		 "18f001" OWN_KEY,
		 false, false, false, "keys that descend"},
		{"a2" OWN_KEY "18f01817", false, false, false, "a number in two bytes"},
		{"a2" OWN_KEY "6161f6", false, false, false, "text beside numbers"},
		{"a1"
		 "6161f6",
		 false, false, false, "names in full cover"},
		{"a1" OWN_KEY "00", false, false, false, "a byte behind the map"},
		{"80", false, false, false, "an array"},
		{"a2" OWN_KEY "01818181818181818180", false, false, false, "too deep"},
	};
	struct offer_terms heard;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const bool want[] = {rows[i].announce, rows[i].update, rows[i].revoke};

		for (unsigned at = 0; at < sizeof(types); at++) {
			int got = terms_of(types[at], rows[i].hex, &heard);

			if (got != (want[at] ? 0 : WEFT_EMALFORMED))
				printf("# type %u: %s\n", types[at], rows[i].why);
			CHECK_EQ(got, want[at] ? 0 : WEFT_EMALFORMED);
		}
	}
}

static void test_a_schemas_name_has_at_most_64_bytes(void)
{
	char hex[300] = "a2" OWN_KEY "18f57840";
	struct offer_terms heard;

	for (unsigned i = 0; i < 64; i++)
		strcat(hex, "78");
	CHECK_EQ(terms_of(SERVICE_MESSAGE_ANNOUNCE, hex, &heard), 0);
	CHECK_EQ(heard.schema_len, 64);
	strcat(hex, "78");
	hex[strlen("a2" OWN_KEY "18f5784")] = '1';
	CHECK_EQ(terms_of(SERVICE_MESSAGE_ANNOUNCE, hex, &heard), WEFT_EMALFORMED);
}

static void test_a_foreign_key_is_refused(void)
{
	struct offer_terms heard = {.units = 77};
	char hex[100] = "a1" OWN_KEY;

	hex[8] ^= 1;
	CHECK_EQ(terms_of(SERVICE_MESSAGE_ANNOUNCE, hex, &heard), WEFT_EWRONGKEY);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE, hex, &heard), WEFT_EWRONGKEY);
	CHECK_EQ(heard.units, 77);
}

static void test_a_seed_form_may_have_names_and_no_key(void)
{
	struct offer_terms heard;

	/* {"rent_euros": 450, "amenities": ["balcony"]}, which the shorter name begins. */
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE,
			       "a2"
			       "69616d656e6974696573"
			       "816762616c636f6e79"
			       "6a72656e745f6575726f73"
			       "1901c2",
			       &heard),
		 0);
	CHECK(!heard.provider_key);
	CHECK_EQ(heard.sequence, NOON_S);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE, "a0", &heard), 0);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_REVOKE,
			       "a1"
			       "6161f6",
			       &heard),
		 0);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_UPDATE,
			       "a1"
			       "6161f6",
			       &heard),
		 WEFT_EMALFORMED);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE,
			       "a2"
			       "6161f6"
			       "6161f6",
			       &heard),
		 WEFT_EMALFORMED);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE,
			       "a1"
			       "61fff6",
			       &heard),
		 WEFT_EMALFORMED);
	CHECK_EQ(seed_terms_of(SERVICE_MESSAGE_ANNOUNCE,
			       "a2"
			       "01f6"
			       "6161f6",
			       &heard),
		 WEFT_EMALFORMED);
}

static void test_the_custom_service_names_its_schema(void)
{
	struct service_message msg =
		msg_of(SERVICE_MESSAGE_ANNOUNCE, hex_parse("a1" OWN_KEY, bytes));
	struct offer_terms heard;

	msg.service = OFFERS_CUSTOM_SERVICE;
	CHECK_EQ(offer_terms_read(&msg, &heard), WEFT_EMALFORMED);
	msg.type = SERVICE_MESSAGE_REVOKE;
	CHECK_EQ(offer_terms_read(&msg, &heard), 0);
	msg.type = SERVICE_MESSAGE_ANNOUNCE;
	msg.payload_len = hex_parse("a2" OWN_KEY "18f56161", bytes);
	CHECK_EQ(offer_terms_read(&msg, &heard), 0);
}

static void test_other_types_have_no_terms(void)
{
	struct offer_terms heard;

	for (unsigned type = 0; type < 256; type++)
		if (!memchr(types, (int)type, sizeof(types)))
			CHECK_EQ(terms_of((uint8_t)type, "a1" OWN_KEY, &heard), WEFT_EMALFORMED);
}

static void test_an_update_changes_what_it_says(void)
{
	struct offer_terms announced = full_terms(), terms = announced, update;

	CHECK_EQ(terms_of(SERVICE_MESSAGE_UPDATE,
			  "a1"
			  "18f205",
			  &update),
		 0);
	offer_terms_update(&terms, &update);
	CHECK_EQ(terms.sequence, NOON_S);
	CHECK(!terms.has_sequence);
	CHECK_EQ(terms.units, announced.units);
	CHECK(terms.reserve_key == announced.reserve_key);
	CHECK_EQ(terms.schema_len, announced.schema_len);

	CHECK_EQ(terms_of(SERVICE_MESSAGE_UPDATE,
			  "a3"
			  "18f205"
			  "18f303"
			  "18f45820" PK_HEX,
			  &update),
		 0);
	terms = announced;
	offer_terms_update(&terms, &update);
	CHECK_EQ(terms.units, 3);
	CHECK_MEM(terms.reserve_key, provider_key, OFFER_KEY_LEN);

	CHECK_EQ(terms_of(SERVICE_MESSAGE_UPDATE,
			  "a3"
			  "18f205"
			  "18f3f6"
			  "18f4f6",
			  &update),
		 0);
	terms = announced;
	offer_terms_update(&terms, &update);
	CHECK_EQ(terms.units, 1);
	CHECK(!terms.reserve_key);

	CHECK_EQ(terms_of(SERVICE_MESSAGE_ANNOUNCE, "a1" OWN_KEY, &terms), 0);
	offer_terms_update(&terms, &update);
	CHECK(terms.has_units && terms.has_reserve_key);
}

static void test_a_buffer_too_small_is_reported(void)
{
	struct offer_terms terms = full_terms();
	size_t len = written(SERVICE_MESSAGE_UPDATE, &terms);

	for (size_t cap = 0; cap < len; cap++) {
		struct writer w = writer_of(bytes, cap);

		offer_terms_write(&w, SERVICE_MESSAGE_UPDATE, &terms, NULL);
		CHECK(w.bad || writer_len(&w) + 6 == len);
	}
}

int main(void)
{
	hex_parse(PK_HEX, provider_key);
	offers_address(provider_key, address);
	RUN(test_terms_are_read_as_written_beside_the_schemas_fields);
	RUN(test_every_cut_is_refused);
	RUN(test_what_is_not_said_has_its_value);
	RUN(test_a_payload_says_what_its_type_may_say);
	RUN(test_a_schemas_name_has_at_most_64_bytes);
	RUN(test_a_foreign_key_is_refused);
	RUN(test_a_seed_form_may_have_names_and_no_key);
	RUN(test_the_custom_service_names_its_schema);
	RUN(test_other_types_have_no_terms);
	RUN(test_an_update_changes_what_it_says);
	RUN(test_a_buffer_too_small_is_reported);
	return check_done();
}
