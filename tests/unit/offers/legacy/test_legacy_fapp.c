/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The older wire of FAPP. Its bytes here were made by a Python program with cbor2 and nacl, as no
 * others are known: tests/system/test_legacy_fapp.py makes such messages, too.
 */
#include "offers/legacy/legacy_fapp.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/schema/schema_registry.h"
#include "support/check.h"
#include "support/hex_digits.h"

/* Announce, Query, Reserve and Confirm; the Announce as a service message. */
static const char announce_hex[] =
	"01ad62696450000102030405060708090a0b0c0d0e0f636b657958203b6a27bcceb6a42d62a3a8d02a6f0d73"
	"653215771de243a63ac048a18b59da2965736c6f7473811a6b49e01068706f7374636f646565313031313568"
	"73657175656e636501697369676e61747572655840ba6444b41d9ab07a18cb66471a2bf5c568a9e1dc6009d4"
	"579671b38743ac74d55f08d4b83d6dfcb07c91a3f0500af34d61063ab7200b75be935a68f75e15e00369736c"
	"6f745f747970656a66697273742d74616c6b6974696d657374616d701a6b49d2006974746c5f686f75727318"
	"486a6d6f64616c69746965738165766964656f6c636f73745f6265617265727382697374617475746f727968"
	"73656c662d7061796c6c6963656e63655f686173685820a665a45920422f9d417e4867efdc4fb8a04a1f3fff"
	"1fa07e998e86f7f7a27ae36c7370656369616c69746965738266747261756d6167616e7869657479";
static const char query_hex[] =
	"02a56474696d65821a6b49d2001a6b49ee2069736c6f745f747970656a66697273742d74616c6b6a706c7a5f"
	"707265666978633130316a7370656369616c6974798267616e78696574796a64657072657373696f6e6b6d61"
	"785f726573756c747305";
static const char reserve_hex[] =
	"04a262696450000102030405060708090a0b0c0d0e0f667365616c6564582800000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000";
static const char confirm_hex[] =
	"05a262696450000102030405060708090a0b0c0d0e0f687265736572766564f5";
static const char message_hex[] =
	"0100000001017800139e3940e64b5491722088d9a0d74162ba6444b41d9ab07a18cb66471a2bf5c568a9e1dc"
	"6009d4579671b38743ac74d55f08d4b83d6dfcb07c91a3f0500af34d61063ab7200b75be935a68f75e15e003"
	"00ff480000d2496b00000000aa0058203b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a1"
	"8b59da2901820a0d028101038200050465313031313505811a6b49e0100600075820a665a45920422f9d417e"
	"4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae318f00118f150000102030405060708090a0b0c0d0e0f";
static struct schema_registry *registry;
static const struct schema *schema;
static struct schema_record record;
static struct schema_query query;
static struct schema_fault fault;
static uint8_t bytes[LEGACY_FAPP_LEN_MAX + 1], words[LEGACY_FAPP_WORDS_CAP];
static uint8_t payload[LEGACY_FAPP_LEN_MAX], message[LEGACY_FAPP_LEN_MAX];

static size_t load(const char *hex)
{
	return hex_parse(hex, bytes);
}

static int announce_read(size_t len, struct legacy_fapp_announce *out)
{
	struct cursor map;

	if (offers_legacy_fapp_tag(bytes, len, &map) != LEGACY_FAPP_ANNOUNCE)
		return WEFT_EMALFORMED;
	return offers_legacy_fapp_announce(schema, &map, out, &record, &fault);
}

static int query_read(size_t len)
{
	struct writer w = writer_of(words, sizeof(words));
	struct cursor map;

	if (offers_legacy_fapp_tag(bytes, len, &map) != LEGACY_FAPP_QUERY)
		return WEFT_EMALFORMED;
	return offers_legacy_fapp_query(schema, &map, &query, &w, &fault);
}

static void test_each_tag_is_read(void)
{
	static const struct {
		const char *hex;
		enum legacy_fapp_tag tag;
	} rows[] = {
		{announce_hex, LEGACY_FAPP_ANNOUNCE},
		{query_hex, LEGACY_FAPP_QUERY},
		{"0380", LEGACY_FAPP_RESPONSE},
		{reserve_hex, LEGACY_FAPP_RESERVE},
		{confirm_hex, LEGACY_FAPP_CONFIRM},
		{"", 0},
		{"01", 0},
		{"00a0", 0},
		{"06a0", 0},
		{"ffa0", 0},
		{"0180", 0},
		{"03a0", 0},
		{"0100", 0},
		{"01a000", 0},
		{"01bf", 0},
		{"01a2616200616100", 0},
	};
	struct cursor rest;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = load(rows[i].hex);

		CHECK_EQ(offers_legacy_fapp_tag(bytes, len, &rest), rows[i].tag);
		if (rows[i].tag)
			CHECK_EQ(cursor_left(&rest), len - 1);
	}
}

static void test_every_prefix_of_each_message_is_refused(void)
{
	static const char *const texts[] = {announce_hex, query_hex, reserve_hex, confirm_hex};
	struct cursor rest;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t len = load(texts[i]);

		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc(cut + 1);

			memcpy(exact, bytes, cut);
			CHECK_EQ(offers_legacy_fapp_tag(exact, cut, &rest), 0);
			free(exact);
		}
	}
}

static void test_a_message_is_so_long_and_one_byte_more_is_refused(void)
{
	struct cursor rest;
	struct writer w = writer_of(bytes, sizeof(bytes));

	/* A map of one pair, whose value fills it. */
	writer_u8(&w, LEGACY_FAPP_RESERVE);
	cbor_write_map(&w, 1);
	cbor_write_text(&w, "x", 1);
	cbor_write_bytes_head(&w, LEGACY_FAPP_LEN_MAX - 7);
	CHECK_EQ(writer_len(&w), 7);
	CHECK_EQ(offers_legacy_fapp_tag(bytes, LEGACY_FAPP_LEN_MAX, &rest), LEGACY_FAPP_RESERVE);
	w = writer_of(bytes + 4, sizeof(bytes) - 4);
	cbor_write_bytes_head(&w, LEGACY_FAPP_LEN_MAX - 6);
	CHECK_EQ(offers_legacy_fapp_tag(bytes, LEGACY_FAPP_LEN_MAX + 1, &rest), 0);
}

static void test_an_announce_becomes_the_message_that_python_makes(void)
{
	struct legacy_fapp_announce announce;
	struct service_message parsed;
	struct offer_terms terms;
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(message, sizeof(message));
	uint8_t wanted[sizeof(message_hex) / 2];
	size_t wanted_len = hex_parse(message_hex, wanted);

	CHECK_EQ(announce_read(load(announce_hex), &announce), 0);
	offers_legacy_fapp_message(schema, &announce, &record, &p, &w);
	CHECK(!w.bad);
	CHECK_EQ(writer_len(&w), wanted_len);
	CHECK_MEM(message, wanted, wanted_len);
	CHECK_EQ(offers_message_parse(message, writer_len(&w), &parsed), 0);
	CHECK(!parsed.is_full_cover);
	CHECK_EQ(offer_terms_read(&parsed, &terms), 0);
	CHECK_EQ(offers_message_verify(&parsed, terms.provider_key), 0);
	/* Another price, another place, another therapist: the signature is not of them. */
	record.values[0].item_cnt--;
	p = writer_of(payload, sizeof(payload));
	w = writer_of(message, sizeof(message));
	offers_legacy_fapp_message(schema, &announce, &record, &p, &w);
	CHECK_EQ(offers_message_parse(message, writer_len(&w), &parsed), 0);
	CHECK(offers_message_verify(&parsed, announce.key) < 0);
}

static void test_what_is_written_is_what_was_read(void)
{
	struct legacy_fapp_announce announce;
	struct writer w = writer_of(message, sizeof(message));
	size_t len = load(announce_hex);

	CHECK_EQ(announce_read(len, &announce), 0);
	offers_legacy_fapp_write(&w, schema, &announce, &record);
	CHECK_EQ(writer_len(&w), len - 1);
	CHECK_MEM(message, bytes + 1, len - 1);
	/* Without a signature it has a pair less, so it is none that can be read. */
	announce.signature = NULL;
	w = writer_of(message + 1, sizeof(message) - 1);
	offers_legacy_fapp_write(&w, schema, &announce, &record);
	message[0] = LEGACY_FAPP_ANNOUNCE;
	memcpy(bytes, message, writer_len(&w) + 1);
	CHECK_EQ(announce_read(writer_len(&w) + 1, &announce), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "signature");
}

/* A map of the announce's pairs, where the value of key is another one, or (len 0) is left out. */
static size_t announce_with(const char *key, const void *value, size_t value_len)
{
	static uint8_t made[LEGACY_FAPP_LEN_MAX];
	size_t len = load(announce_hex);
	struct writer w = writer_of(made, sizeof(made));
	struct cbor_reader r;
	const char *at;
	size_t at_len;

	cbor_reader_init(&r, bytes + 1, len - 1);
	writer_u8(&w, LEGACY_FAPP_ANNOUNCE);
	cbor_write_map(&w, cbor_enter_map(&r) - (value_len == 0));
	while (cbor_next_text_key(&r, &at, &at_len)) {
		const uint8_t *begin = r.c.pos;
		bool is_it = strlen(key) == at_len && memcmp(key, at, at_len) == 0;

		cbor_skip(&r);
		if (is_it && value_len == 0)
			continue;
		cbor_write_text(&w, at, at_len);
		if (is_it)
			writer_bytes(&w, value, value_len);
		else
			writer_bytes(&w, begin, (size_t)(r.c.pos - begin));
	}
	memcpy(bytes, made, writer_len(&w));
	return writer_len(&w);
}

static void test_what_an_announce_must_have_is_named(void)
{
	static const char *const needed[] = {"id",	   "key",	"sequence",
					     "signature",  "timestamp", "specialities",
					     "modalities", "slot_type"};
	static const struct {
		const char *key, *value;
		size_t len;
	} wrong[] = {
		{"id", "\x41x", 2},
		{"key", "\x01", 1},
		{"sequence", "\x20", 1},
		{"signature", "\x40", 1},
		{"ttl_hours", "\x1a\0\1\0\0", 5},
		{"specialities", "\x81\x63xyz", 5},
		{"modalities", "\x01", 1},
		{"postcode",
		 "\x6b"
		 "12345678901",
		 12},
		{"slots", "\x81\x20", 2},
		{"licence_hash", "\x41x", 2},
	};
	struct legacy_fapp_announce announce;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		CHECK_EQ(announce_read(announce_with(needed[i], NULL, 0), &announce),
			 WEFT_EMALFORMED);
		CHECK_STR(fault.field, needed[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK_EQ(announce_read(announce_with(wrong[i].key, wrong[i].value, wrong[i].len),
				       &announce),
			 WEFT_EMALFORMED);
	/* The schema says how long an offer lives that does not. */
	CHECK_EQ(announce_read(announce_with("ttl_hours", NULL, 0), &announce), 0);
	CHECK_EQ(announce.ttl_hours, schema->ttl_hours);
}

static void test_a_query_is_read_by_the_filters_of_the_schema(void)
{
	size_t len = load(query_hex);
	struct cursor map;
	int at = offers_schema_filter_named(schema, "time", 4);

	CHECK_EQ(query_read(len), 0);
	CHECK_EQ(query.values[at].item_cnt, 2);
	CHECK_EQ(query.values[at].items[0].number, 1800000000);
	CHECK_EQ(query.values[at].items[1].number, 1800007200);
	at = offers_schema_filter_named(schema, "speciality", 10);
	CHECK_EQ(query.values[at].item_cnt, 2);
	at = offers_schema_filter_named(schema, "plz_prefix", 10);
	CHECK_EQ(query.values[at].items[0].len, 3);
	at = offers_schema_filter_named(schema, "modality", 8);
	CHECK_EQ(query.values[at].state, SCHEMA_ABSENT);
	CHECK_EQ(offers_legacy_fapp_tag(bytes, len, &map), LEGACY_FAPP_QUERY);
	CHECK_EQ(offers_legacy_fapp_results(&map), 5);
}

static void test_queries_that_are_wrong_ask_for_nothing(void)
{
	static const struct {
		const char *hex;
		int err;
		unsigned result_cnt;
	} rows[] = {
		{"02a0", 0, LEGACY_FAPP_RESULTS_MAX},
		{"02a16b6d61785f726573756c747300", 0, 1},
		{"02a16b6d61785f726573756c74731832", 0, LEGACY_FAPP_RESULTS_MAX},
		{"02a16b6d61785f726573756c74731833", 0, LEGACY_FAPP_RESULTS_MAX},
		{"02a16b6d61785f726573756c747320", 0, LEGACY_FAPP_RESULTS_MAX},
		/* A filter that is not there; a value that is no choice, and one with a comma. */
		{"02a16378797a01", WEFT_EMALFORMED, 0},
		{"02a1686d6f64616c69747963636174", WEFT_EMALFORMED, 0},
		{"02a1686d6f64616c69747965612c6262", WEFT_EMALFORMED, 0},
		{"02a16474696d65823bffffffffffffffff00", WEFT_EMALFORMED, 0},
		{"02a16474696d65821bffffffffffffffff00", WEFT_EMALFORMED, 0},
		{"02a16474696d6580", WEFT_EMALFORMED, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = load(rows[i].hex);
		struct cursor map;

		CHECK_EQ(query_read(len), rows[i].err);
		if (rows[i].result_cnt && offers_legacy_fapp_tag(bytes, len, &map))
			CHECK_EQ(offers_legacy_fapp_results(&map), rows[i].result_cnt);
	}
}

int main(void)
{
	registry = offers_schema_registry_new(NULL, NULL);
	if (!registry || offers_schema_registry_ship(registry) < 0)
		abort();
	schema = offers_schema_registry_named(registry, "fapp");
	if (!schema)
		abort();
	RUN(test_each_tag_is_read);
	RUN(test_every_prefix_of_each_message_is_refused);
	RUN(test_a_message_is_so_long_and_one_byte_more_is_refused);
	RUN(test_an_announce_becomes_the_message_that_python_makes);
	RUN(test_what_is_written_is_what_was_read);
	RUN(test_what_an_announce_must_have_is_named);
	RUN(test_a_query_is_read_by_the_filters_of_the_schema);
	RUN(test_queries_that_are_wrong_ask_for_nothing);
	offers_schema_registry_free(registry);
	return check_done();
}
