/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/reservation_message.h"

#include "codec/cbor.h"
#include "support/check.h"

#define SERVICE 2u

static struct node_key *provider, *stranger;
static uint8_t bytes[RESERVATION_LEN_MAX + 100], opened[RESERVATION_CONTENT_LEN_MAX];
static uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], no_signature[NODE_KEY_SIG_LEN];
static const uint8_t some_signature[NODE_KEY_SIG_LEN] = {9};
static const uint8_t secret[AGREED_KEY_LEN] = {2}, nonce[AGREED_NONCE_LEN] = {3};
static const uint8_t consumer[NODE_KEY_LEN] = {4}, store[NODE_KEY_LEN] = {5};
static char text[RESERVATION_TEXT_LEN_MAX + 1];
static const uint8_t types[] = {SERVICE_MESSAGE_RESERVE, SERVICE_MESSAGE_CONFIRM,
				SERVICE_MESSAGE_CANCEL};

/* A consumer's seal to the provider. */
static struct reservation_seal seal_of(const struct node_key *to)
{
	struct reservation_seal seal = {.service = SERVICE, .token = {6}, .offer_id = {7}};
	uint8_t image[AGREED_KEY_LEN];

	memcpy(seal.provider, address, sizeof(address));
	if (agreed_public_of_node(node_key_public(to), image) < 0 ||
	    offers_reservation_begin(&seal, image, secret) < 0)
		abort();
	return seal;
}

static struct reservation_draft draft_of(uint8_t type)
{
	struct reservation_draft draft = {.type = type,
					  .nonce = nonce,
					  .content = {.text = text, .text_len = 11, .units = 3}};

	if (type == SERVICE_MESSAGE_RESERVE) {
		draft.content.consumer = consumer;
		draft.content.store = store;
	}
	return draft;
}

static struct service_message msg_of(const struct reservation_draft *draft, size_t len)
{
	bool is_signed = draft->is_providers || draft->type == SERVICE_MESSAGE_CONFIRM;

	return (struct service_message){.service = SERVICE,
					.type = draft->type,
					.provider = address,
					.signature = is_signed ? some_signature : no_signature,
					.payload = bytes,
					.payload_len = len};
}

/* What was written, 0 for nothing that is reported, SIZE_MAX for nothing that is not. */
static size_t written(const struct reservation_seal *seal, const struct reservation_draft *draft)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_reservation_write(&w, seal, draft);
	return w.bad ? 0 : writer_len(&w) ? writer_len(&w) : SIZE_MAX;
}

/* Written, parsed and opened by the same seal. */
static int pass(const struct reservation_draft *draft, struct reservation_content *out)
{
	struct reservation_seal seal = seal_of(provider);
	struct service_message msg = msg_of(draft, written(&seal, draft));
	struct reservation_message reservation;
	int err = offers_reservation_parse(&msg, &reservation);

	return err < 0 ? err : offers_reservation_open(&seal, &msg, &reservation, opened, out);
}

static void test_each_type_is_opened_as_sealed(void)
{
	for (unsigned i = 0; i < sizeof(types); i++) {
		struct reservation_draft draft = draft_of(types[i]);
		struct reservation_content content;

		CHECK_EQ(pass(&draft, &content), 0);
		CHECK_EQ(content.units, 3);
		CHECK_EQ(content.text_len, 11);
		CHECK_MEM(content.text, text, 11);
		CHECK_EQ(content.consumer != NULL, i == 0);
		CHECK_EQ(content.store != NULL, i == 0);
	}
}

static void test_the_provider_alone_meets_a_reserve(void)
{
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);
	struct reservation_seal seal = seal_of(provider), met;
	struct service_message msg = msg_of(&draft, written(&seal, &draft));
	struct reservation_message reservation;
	struct reservation_content content;

	CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
	CHECK_EQ(offers_reservation_meet(&met, &msg, &reservation, provider, NULL), 0);
	CHECK_MEM(&met, &seal, sizeof(seal));
	CHECK_EQ(offers_reservation_open(&met, &msg, &reservation, opened, &content), 0);
	CHECK_MEM(content.consumer, consumer, sizeof(consumer));
	CHECK_MEM(content.store, store, sizeof(store));
	CHECK_EQ(offers_reservation_meet(&met, &msg, &reservation, stranger, NULL), 0);
	CHECK_EQ(offers_reservation_open(&met, &msg, &reservation, opened, &content),
		 WEFT_EDAMAGED);
	/* The image of its own key, and not the key that the offer had. */
	CHECK_EQ(offers_reservation_meet(&met, &msg, &reservation, provider, consumer), 0);
	CHECK_EQ(offers_reservation_open(&met, &msg, &reservation, opened, &content),
		 WEFT_EDAMAGED);
}

static void test_a_key_of_small_order_makes_no_seal(void)
{
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);
	struct reservation_seal seal = seal_of(provider), met;
	static const uint8_t none[AGREED_KEY_LEN];
	struct reservation_message reservation;
	struct service_message msg;

	CHECK_EQ(offers_reservation_begin(&met, none, secret), WEFT_EMALFORMED);
	memset(seal.one_time, 0, sizeof(seal.one_time));
	msg = msg_of(&draft, written(&seal, &draft));
	CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
	CHECK_EQ(offers_reservation_meet(&met, &msg, &reservation, provider, NULL),
		 WEFT_EMALFORMED);
}

/* Of the message or the seal, one thing is another's. */
static void test_a_box_opens_for_its_own_reservation_alone(void)
{
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_CONFIRM);
	struct reservation_seal seal = seal_of(provider);
	size_t len = written(&seal, &draft);
	struct service_message msg = msg_of(&draft, len);
	struct reservation_message reservation;
	struct reservation_content content;
	size_t token_at;

	CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
	token_at = (size_t)(reservation.token - bytes);
	/* The token alone is under no proof: a relay that alters it spoils nothing. */
	for (unsigned i = 0; i < sizeof(seal); i++) {
		struct reservation_seal other = seal;
		bool is_token = i - offsetof(struct reservation_seal, token) < sizeof(seal.token);

		((uint8_t *)&other)[i] ^= 1;
		CHECK_EQ(offers_reservation_open(&other, &msg, &reservation, opened, &content),
			 is_token ? 0 : WEFT_EDAMAGED);
	}
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		if (offers_reservation_parse(&msg, &reservation) == 0)
			CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened,
							 &content),
				 i - token_at < sizeof(seal.token) ? 0 : WEFT_EDAMAGED);
		bytes[i] ^= 1;
	}
	CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
	msg.service++;
	CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened, &content),
		 WEFT_EDAMAGED);
	msg.service--;
	CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened, &content), 0);
}

static void test_a_box_of_one_type_is_none_of_another(void)
{
	struct reservation_seal seal = seal_of(provider);

	for (unsigned i = 0; i < sizeof(types); i++)
		for (unsigned as = 0; as < sizeof(types); as++) {
			struct reservation_draft draft = draft_of(types[i]);
			struct service_message msg = msg_of(&draft, written(&seal, &draft));
			struct reservation_message reservation;
			struct reservation_content content;

			msg.type = types[as];
			CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
			CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened,
							 &content),
				 i == as ? 0 : WEFT_EDAMAGED);
		}
}

/* Both sides seal a Cancel under one key; a signature says whose it is, and the box, too. */
static void test_a_cancel_of_one_side_is_none_of_the_other(void)
{
	struct reservation_seal seal = seal_of(provider);

	for (unsigned is_providers = 0; is_providers < 2; is_providers++)
		for (unsigned is_signed = 0; is_signed < 2; is_signed++) {
			struct reservation_draft draft = draft_of(SERVICE_MESSAGE_CANCEL);
			struct reservation_message reservation;
			struct reservation_content content;
			struct service_message msg;

			draft.is_providers = is_providers;
			msg = msg_of(&draft, written(&seal, &draft));
			msg.signature = is_signed ? some_signature : no_signature;
			CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
			CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened,
							 &content),
				 is_providers == is_signed ? 0 : WEFT_EDAMAGED);
		}
}

static void test_a_text_has_at_most_2000_bytes(void)
{
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);
	struct reservation_seal seal = seal_of(provider);
	struct reservation_content content;

	draft.content.text_len = RESERVATION_TEXT_LEN_MAX;
	draft.content.units = UINT32_MAX;
	CHECK_EQ(pass(&draft, &content), 0);
	CHECK_EQ(content.text_len, RESERVATION_TEXT_LEN_MAX);
	CHECK_EQ(content.units, UINT32_MAX);
	draft.content.text_len++;
	CHECK_EQ(written(&seal, &draft), 0);
	draft.content.text = NULL;
	draft.content.text_len = 0;
	CHECK_EQ(pass(&draft, &content), 0);
	CHECK_EQ(content.text_len, 0);
}

static void test_fields_of_another_type_are_not_written(void)
{
	struct reservation_seal seal = seal_of(provider);
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);

	draft.content.units = 0;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_RESERVE);
	draft.content.consumer = NULL;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_RESERVE);
	draft.content.store = NULL;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_RESERVE);
	draft.is_providers = true;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_CONFIRM);
	draft.content.consumer = consumer;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_CONFIRM);
	draft.is_providers = true;
	CHECK_EQ(written(&seal, &draft), 0);
	draft = draft_of(SERVICE_MESSAGE_ANNOUNCE);
	CHECK_EQ(written(&seal, &draft), 0);
}

/* Sealed all right, by a consumer of another make. */
static int open_content(uint8_t type, const uint8_t *inside, size_t len)
{
	struct reservation_seal seal = seal_of(provider);
	struct reservation_draft draft = draft_of(type);
	uint8_t key[AGREED_KEY_LEN], bound[68], box[RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN];
	const struct agreed_purpose purpose = {
		seal.offer_id, OFFER_ID_LEN,
		type == SERVICE_MESSAGE_RESERVE ? "mesh/svc/reserve/v1" : "mesh/svc/cancel/v1"};
	const struct agreed_box sealed = {key, nonce, bound, sizeof(bound)};
	struct reservation_message reservation = {seal.token, seal.offer_id, seal.one_time,
						  nonce,      box,	     len + AGREED_TAG_LEN};
	struct service_message msg = msg_of(&draft, 0);
	struct writer w = writer_of(bound, sizeof(bound));
	struct reservation_content content;

	writer_bytes(&w, "\2\0\0", 4);
	writer_bytes(&w, seal.provider, sizeof(seal.provider));
	writer_bytes(&w, seal.offer_id, sizeof(seal.offer_id));
	writer_bytes(&w, seal.one_time, sizeof(seal.one_time));
	agreed_key(seal.shared, &purpose, key);
	agreed_box_seal(&sealed, inside, len, box);
	return offers_reservation_open(&seal, &msg, &reservation, opened, &content);
}

/* A relay that dates a message of a consumer anew, or lengthens its life, spoils it. */
static void test_a_date_under_the_seal_is_that_of_the_header(void)
{
	static const uint8_t of_consumer[] = {SERVICE_MESSAGE_RESERVE, SERVICE_MESSAGE_CANCEL};
	struct reservation_seal seal = seal_of(provider);

	for (unsigned i = 0; i < 2; i++) {
		struct reservation_draft draft = draft_of(of_consumer[i]);
		struct reservation_message reservation;
		struct reservation_content content;
		struct service_message msg;

		draft.content.time_s = UINT64_MAX;
		draft.content.ttl_hours = UINT16_MAX;
		draft.content.text_len = RESERVATION_TEXT_LEN_MAX;
		draft.content.units = UINT32_MAX;
		msg = msg_of(&draft, written(&seal, &draft));
		msg.timestamp_s = UINT64_MAX;
		msg.ttl_hours = UINT16_MAX;
		CHECK_EQ(offers_reservation_parse(&msg, &reservation), 0);
		CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened, &content), 0);
		CHECK_EQ(content.time_s, UINT64_MAX);
		CHECK_EQ(content.ttl_hours, UINT16_MAX);
		msg.timestamp_s--;
		CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened, &content),
			 WEFT_EDAMAGED);
		msg.timestamp_s++;
		msg.ttl_hours--;
		CHECK_EQ(offers_reservation_open(&seal, &msg, &reservation, opened, &content),
			 WEFT_EDAMAGED);
		/* Both or none, and none where there is a signature. */
		draft.content.ttl_hours = 0;
		CHECK_EQ(written(&seal, &draft), 0);
		draft = draft_of(SERVICE_MESSAGE_CONFIRM);
		draft.content.time_s = draft.content.ttl_hours = 1;
		CHECK_EQ(written(&seal, &draft), 0);
	}
}

static void test_what_is_inside_follows_its_format(void)
{
	static const struct {
		const char *inside;
		size_t len;
		int want;
	} rows[] = {
		{"\xa0", 1, 0},
		{"\xa1\x03\x01", 3, 0},			    /* one unit, which need not be said */
		{"\xa1\x03\x00", 3, WEFT_EMALFORMED},	    /* no units */
		{"\xa1\x05\x01", 3, WEFT_EMALFORMED},	    /* a time without a TTL */
		{"\xa1\x06\x01", 3, WEFT_EMALFORMED},	    /* and the other way round */
		{"\xa2\x05\x01\x06\x01", 5, WEFT_EDAMAGED}, /* of another message */
		{"\xa2\x05\x01\x06\x1a\0\1\0\0", 9, WEFT_EMALFORMED}, /* no TTL is so long */
		{"\xa1\x03\x1b\0\0\0\1\0\0\0\0", 11, WEFT_EMALFORMED},
		{"\xa1\x02\x60", 3, WEFT_EMALFORMED}, /* text of no letters */
		{"\xa1\x04\xf4", 3, WEFT_EMALFORMED}, /* false */
		{"\xa1\x04\xf5", 3, WEFT_EDAMAGED},   /* the provider's, and not signed */
		{"\xa1\x18\x40\x00", 4, 0},	      /* a key of later versions */
		{"\xa0\x00", 2, WEFT_EMALFORMED},
		{"", 0, WEFT_EMALFORMED},
	};
	uint8_t inside[3 + 2 * 35 + RESERVATION_TEXT_LEN_MAX + 5];
	struct writer w = writer_of(inside, sizeof(inside));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(open_content(SERVICE_MESSAGE_CANCEL, (const uint8_t *)rows[i].inside,
				      rows[i].len),
			 rows[i].want);
		CHECK(open_content(SERVICE_MESSAGE_RESERVE, (const uint8_t *)rows[i].inside,
				   rows[i].len) < 0);
	}
	cbor_write_map(&w, 3);
	cbor_field_bytes(&w, 0, consumer, sizeof(consumer));
	cbor_field_bytes(&w, 1, store, sizeof(store));
	cbor_field_text(&w, 2, text, RESERVATION_TEXT_LEN_MAX);
	CHECK_EQ(open_content(SERVICE_MESSAGE_RESERVE, inside, writer_len(&w)), 0);
	CHECK_EQ(open_content(SERVICE_MESSAGE_CANCEL, inside, writer_len(&w)), WEFT_EMALFORMED);
	w = writer_of(inside, sizeof(inside));
	cbor_write_map(&w, 3);
	cbor_field_bytes(&w, 0, consumer, sizeof(consumer));
	cbor_field_bytes(&w, 1, store, sizeof(store));
	cbor_field_text(&w, 2, text, RESERVATION_TEXT_LEN_MAX + 1);
	CHECK_EQ(open_content(SERVICE_MESSAGE_RESERVE, inside, writer_len(&w)), WEFT_EMALFORMED);
}

/* Filled by a key that a later version may have. */
static void test_the_longest_box_is_opened(void)
{
	static uint8_t inside[RESERVATION_CONTENT_LEN_MAX];
	struct writer w = writer_of(inside, sizeof(inside));

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 63);
	cbor_write_bytes_head(&w, sizeof(inside) - writer_len(&w) - 3);
	CHECK_EQ(open_content(SERVICE_MESSAGE_CANCEL, inside, sizeof(inside)), 0);
}

static void test_every_cut_is_refused(void)
{
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);
	struct reservation_seal seal = seal_of(provider);
	size_t len = written(&seal, &draft);
	struct reservation_message reservation;

	for (size_t cut = 0; cut < len; cut++) {
		struct service_message msg = msg_of(&draft, cut);
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		msg.payload = exact;
		CHECK_EQ(offers_reservation_parse(&msg, &reservation), WEFT_EMALFORMED);
		free(exact);
	}
	for (unsigned type = 0; type < 256; type++) {
		struct service_message msg = msg_of(&draft, len);

		msg.type = (uint8_t)type;
		CHECK_EQ(offers_reservation_parse(&msg, &reservation),
			 memchr(types, (int)type, sizeof(types)) ? 0 : WEFT_EMALFORMED);
	}
}

/* A box of len bytes in a payload that is otherwise right, and more keys of other versions. */
static int parse_box(size_t len, size_t more)
{
	static uint8_t payload[8000];
	struct reservation_seal seal = seal_of(provider);
	struct reservation_draft draft = draft_of(SERVICE_MESSAGE_RESERVE);
	struct writer w = writer_of(payload, sizeof(payload));
	struct service_message msg = msg_of(&draft, 0);
	struct reservation_message reservation;
	static const uint8_t box[4000];

	cbor_write_map(&w, more ? 6 : 5);
	cbor_field_bytes(&w, 0, seal.token, sizeof(seal.token));
	cbor_field_bytes(&w, 1, seal.offer_id, sizeof(seal.offer_id));
	cbor_field_bytes(&w, 2, seal.one_time, sizeof(seal.one_time));
	cbor_field_bytes(&w, 3, nonce, sizeof(nonce));
	cbor_field_bytes(&w, 4, box, len);
	if (more)
		cbor_field_bytes(&w, 5, box, more - (writer_len(&w) + 4));
	msg.payload = payload;
	msg.payload_len = writer_len(&w);
	return offers_reservation_parse(&msg, &reservation);
}

static void test_a_box_and_a_payload_have_their_lengths(void)
{
	CHECK_EQ(parse_box(AGREED_TAG_LEN, 0), WEFT_EMALFORMED);
	CHECK_EQ(parse_box(AGREED_TAG_LEN + 1, 0), 0);
	CHECK_EQ(parse_box(RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN, 0), 0);
	CHECK_EQ(parse_box(RESERVATION_CONTENT_LEN_MAX + AGREED_TAG_LEN + 1, 0), WEFT_EMALFORMED);
	CHECK_EQ(parse_box(1000, RESERVATION_LEN_MAX), 0);
	CHECK_EQ(parse_box(1000, RESERVATION_LEN_MAX + 1), WEFT_EMALFORMED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &provider) < 0 ||
	    node_key_from_seed(other_seed, &stranger) < 0)
		return 1;
	offers_address(node_key_public(provider), address);
	memset(text, 'x', sizeof(text));
	RUN(test_each_type_is_opened_as_sealed);
	RUN(test_the_provider_alone_meets_a_reserve);
	RUN(test_a_key_of_small_order_makes_no_seal);
	RUN(test_a_box_opens_for_its_own_reservation_alone);
	RUN(test_a_box_of_one_type_is_none_of_another);
	RUN(test_a_cancel_of_one_side_is_none_of_the_other);
	RUN(test_a_text_has_at_most_2000_bytes);
	RUN(test_fields_of_another_type_are_not_written);
	RUN(test_a_date_under_the_seal_is_that_of_the_header);
	RUN(test_what_is_inside_follows_its_format);
	RUN(test_the_longest_box_is_opened);
	RUN(test_every_cut_is_refused);
	RUN(test_a_box_and_a_payload_have_their_lengths);
	node_key_free(provider);
	node_key_free(stranger);
	return check_done();
}
