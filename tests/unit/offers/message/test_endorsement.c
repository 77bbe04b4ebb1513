/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/endorsement.h"

#include "codec/cbor.h"
#include "crypto/signed.h"
#include "support/check.h"

#define NOON_S 1800000000ull
#define DAY_S  86400ull

static struct node_key *endorser, *other;
static uint8_t bytes[ENDORSEMENT_LEN_MAX + 1];
static const uint8_t provider[SERVICE_MESSAGE_ADDRESS_LEN] = {1}, credential[32] = {2};
static char reason[ENDORSEMENT_REASON_LEN_MAX + 1];

static struct endorsement full(void)
{
	return (struct endorsement){.provider = provider,
				    .service = 2,
				    .made_s = NOON_S,
				    .expires_s = NOON_S + 30 * DAY_S,
				    .level = 3,
				    .credential = credential,
				    .reason = reason,
				    .reason_len = ENDORSEMENT_REASON_LEN_MAX};
}

/* What was written, 0 for nothing that is reported, SIZE_MAX for nothing that is not. */
static size_t written(const struct endorsement *endorsement)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_endorsement_write(&w, endorsement, endorser);
	return w.bad ? 0 : writer_len(&w) ? writer_len(&w) : SIZE_MAX;
}

static void test_both_forms_are_read_as_written(void)
{
	for (unsigned form = 0; form < 2; form++) {
		struct endorsement endorsement = full(), heard;
		size_t len;

		endorsement.is_seed_form = form;
		len = written(&endorsement);
		CHECK(len > 0 && len <= ENDORSEMENT_LEN_MAX);
		CHECK_EQ(offers_endorsement_parse(bytes, len, &heard), 0);
		CHECK_EQ(heard.is_seed_form, form);
		CHECK_MEM(heard.provider, provider, sizeof(provider));
		CHECK_EQ(heard.service, 2);
		CHECK_EQ(heard.made_s, NOON_S);
		CHECK_EQ(heard.expires_s, form ? NOON_S + 365 * DAY_S : endorsement.expires_s);
		CHECK_EQ(heard.level, 3);
		CHECK_MEM(heard.credential, credential, sizeof(credential));
		CHECK_EQ(heard.reason_len, ENDORSEMENT_REASON_LEN_MAX);
		CHECK_MEM(heard.endorser, node_key_public(endorser), NODE_KEY_LEN);
		CHECK_EQ(offers_endorsement_verify(&heard, heard.endorser), 0);
		CHECK_EQ(offers_endorsement_verify(&heard, node_key_public(other)), WEFT_EWRONGKEY);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1);

			memcpy(exact, bytes, cut);
			CHECK_EQ(offers_endorsement_parse(exact, cut, &heard), WEFT_EMALFORMED);
			free(exact);
		}
	}
}

/* The level of the seed form, and what it says beside, can be another's words. */
static void test_a_raised_level_is_noticed_in_full_cover(void)
{
	for (unsigned form = 0; form < 2; form++) {
		struct endorsement endorsement = full(), heard;
		size_t len, at = 0;

		endorsement.is_seed_form = form;
		endorsement.level = 1;
		len = written(&endorsement);
		while (memcmp(bytes + at, "\x03\x01\x04", 3) != 0)
			at++;
		bytes[at + 1] = 3;
		CHECK_EQ(offers_endorsement_parse(bytes, len, &heard), 0);
		CHECK_EQ(heard.level, 3);
		CHECK_EQ(offers_endorsement_verify(&heard, node_key_public(endorser)),
			 form ? 0 : WEFT_EDAMAGED);
	}
}

static void test_each_flipped_bit_of_full_cover_is_noticed(void)
{
	struct endorsement endorsement = full(), heard;
	size_t len = written(&endorsement);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(offers_endorsement_parse(bytes, len, &heard) < 0 ||
		      offers_endorsement_verify(&heard, node_key_public(endorser)) < 0);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* Of the seed form: provider, service, time, endorser and signature. */
static void test_a_seed_form_is_of_its_provider_service_and_time(void)
{
	struct endorsement endorsement = full(), heard;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {1};

	endorsement.is_seed_form = true;
	CHECK_EQ(offers_endorsement_parse(bytes, written(&endorsement), &heard), 0);
	heard.service++;
	CHECK_EQ(offers_endorsement_verify(&heard, heard.endorser), WEFT_EDAMAGED);
	heard.service--;
	heard.made_s++;
	CHECK_EQ(offers_endorsement_verify(&heard, heard.endorser), WEFT_EDAMAGED);
	heard.made_s--;
	address[15] ^= 1;
	heard.provider = address;
	CHECK_EQ(offers_endorsement_verify(&heard, heard.endorser), WEFT_EDAMAGED);
	address[15] ^= 1;
	CHECK_EQ(offers_endorsement_verify(&heard, heard.endorser), 0);
}

static void test_a_seed_form_counts_as_level_1_unless_of_a_registry(void)
{
	struct endorsement endorsement = full();

	for (unsigned level = 0; level <= ENDORSEMENT_LEVEL_MAX; level++) {
		endorsement.level = (uint8_t)level;
		endorsement.is_seed_form = false;
		CHECK_EQ(offers_endorsement_level(&endorsement, false), level);
		endorsement.is_seed_form = true;
		CHECK_EQ(offers_endorsement_level(&endorsement, false), level > 1 ? 1 : level);
		CHECK_EQ(offers_endorsement_level(&endorsement, true), level);
	}
}

static void test_what_no_reader_takes_is_not_written(void)
{
	uint8_t own[SERVICE_MESSAGE_ADDRESS_LEN];
	struct endorsement endorsement = full();

	endorsement.level = 4;
	CHECK_EQ(written(&endorsement), 0);
	endorsement = full();
	endorsement.reason_len++;
	CHECK_EQ(written(&endorsement), 0);
	endorsement = full();
	endorsement.expires_s = NOON_S;
	CHECK_EQ(written(&endorsement), 0);
	endorsement.expires_s = NOON_S + ENDORSEMENT_LIFE_S_MAX;
	CHECK(written(&endorsement) > 0);
	endorsement.expires_s++;
	CHECK_EQ(written(&endorsement), 0);
	endorsement = full();
	endorsement.service = OFFERS_ANY_SERVICE;
	CHECK_EQ(written(&endorsement), 0);
	endorsement.service = OFFERS_RESERVED_SERVICE;
	CHECK_EQ(written(&endorsement), 0);
	endorsement = full();
	offers_address(node_key_public(endorser), own);
	endorsement.provider = own;
	CHECK_EQ(written(&endorsement), 0);
}

/* Signed by another program. */
static int read_body(const struct endorsement *said, unsigned more)
{
	uint8_t body[ENDORSEMENT_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));
	struct endorsement heard;

	cbor_write_map(&b, 5u + (said->reason != NULL) + (more > 0));
	cbor_field_bytes(&b, 0, said->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	cbor_field_uint(&b, 1, said->service);
	cbor_field_uint(&b, 2, said->made_s);
	cbor_field_uint(&b, 3, said->level);
	if (said->reason)
		cbor_field_text(&b, 5, said->reason, said->reason_len);
	cbor_field_uint(&b, 6, said->expires_s);
	if (more)
		cbor_field_bytes(&b, more, credential, sizeof(credential));
	signed_write(&w, endorser, ENDORSEMENT_TAG, body, writer_len(&b));
	return w.bad ? -1 : offers_endorsement_parse(bytes, writer_len(&w), &heard);
}

static void test_each_bound_is_exceeded_by_one(void)
{
	struct endorsement said = full();

	CHECK_EQ(read_body(&said, 0), 0);
	said.reason_len++;
	CHECK_EQ(read_body(&said, 0), WEFT_EMALFORMED);
	said.reason_len = 0;
	CHECK_EQ(read_body(&said, 0), WEFT_EMALFORMED);
	said = full();
	said.level = 4;
	CHECK_EQ(read_body(&said, 0), WEFT_EMALFORMED);
	said = full();
	said.expires_s = said.made_s + ENDORSEMENT_LIFE_S_MAX;
	CHECK_EQ(read_body(&said, 0), 0);
	said.expires_s++;
	CHECK_EQ(read_body(&said, 0), WEFT_EMALFORMED);
	said.expires_s = said.made_s;
	CHECK_EQ(read_body(&said, 0), WEFT_EMALFORMED);
	said = full();
	said.reason = NULL;
	CHECK_EQ(read_body(&said, 9), WEFT_EMALFORMED); /* a field that is not known */
	CHECK_EQ(offers_endorsement_parse(bytes, ENDORSEMENT_LEN_MAX + 1, &said), WEFT_ETOOLARGE);
	CHECK_EQ(offers_endorsement_parse(bytes, ENDORSEMENT_LEN_MAX, &said), WEFT_EMALFORMED);
}

static void test_a_writer_that_was_bad_stays_so(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct endorsement endorsement = full();

	w.bad = true;
	offers_endorsement_write(&w, &endorsement, endorser);
	CHECK(w.bad);
}

static void test_a_form_has_its_own_fields_alone(void)
{
	static const uint8_t signature[NODE_KEY_SIG_LEN];
	struct endorsement said = full(), heard;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	said.reason = NULL;
	/* The seed form's signature, or its key, in what is signed. */
	CHECK_EQ(read_body(&said, 8), WEFT_EMALFORMED);
	offers_address(node_key_public(endorser), address);
	for (unsigned i = 0; i < 3; i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		cbor_write_map(&w, i == 0 ? 5 : i == 1 ? 6 : 7);
		cbor_field_bytes(&w, 0, provider, sizeof(provider));
		cbor_field_uint(&w, 1, 2);
		cbor_field_uint(&w, 2, UINT64_MAX - 5);
		cbor_field_uint(&w, 3, 1);
		cbor_field_bytes(&w, 6, address, sizeof(address));
		if (i > 0)
			cbor_field_bytes(&w, 7, signature, sizeof(signature));
		if (i > 1)
			cbor_field_bytes(&w, 8, node_key_public(other), NODE_KEY_LEN);
		CHECK_EQ(offers_endorsement_parse(bytes, writer_len(&w), &heard),
			 i == 0	  ? WEFT_EMALFORMED
			 : i == 1 ? 0
				  : WEFT_EWRONGKEY);
	}
}

static void test_an_endorsement_has_its_time(void)
{
	static const struct {
		uint64_t now_s;
		enum service_message_time want;
	} rows[] = {
		{NOON_S, SERVICE_MESSAGE_TIMELY},
		{NOON_S - 300, SERVICE_MESSAGE_TIMELY},
		{NOON_S - 301, SERVICE_MESSAGE_EARLY},
		{NOON_S + 30 * DAY_S - 1, SERVICE_MESSAGE_TIMELY},
		{NOON_S + 30 * DAY_S, SERVICE_MESSAGE_EXPIRED},
	};
	struct endorsement endorsement = full();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(offers_endorsement_time(&endorsement, rows[i].now_s), rows[i].want);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &endorser) < 0 || node_key_from_seed(other_seed, &other) < 0)
		return 1;
	memset(reason, 'r', sizeof(reason));
	RUN(test_both_forms_are_read_as_written);
	RUN(test_a_raised_level_is_noticed_in_full_cover);
	RUN(test_each_flipped_bit_of_full_cover_is_noticed);
	RUN(test_a_seed_form_is_of_its_provider_service_and_time);
	RUN(test_a_seed_form_counts_as_level_1_unless_of_a_registry);
	RUN(test_what_no_reader_takes_is_not_written);
	RUN(test_each_bound_is_exceeded_by_one);
	RUN(test_a_writer_that_was_bad_stays_so);
	RUN(test_a_form_has_its_own_fields_alone);
	RUN(test_an_endorsement_has_its_time);
	node_key_free(endorser);
	node_key_free(other);
	return check_done();
}
