/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"
#include "offers/schema/schema.h"
#include "support/check.h"
#include "support/hex_digits.h"
#include "support/schema_file.h"

/* The payloads of the published announce and update of a home. */
#define PROVIDER "0058203b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
#define LAYER	 "18f00118f150000102030405060708090a0b0c0d0e0f"
#define HOME	 "01000212031901c2041a6b49d2000565313031313506816762616c636f6e79"

static struct schema *housing;
static struct schema_record record;
static struct schema_fault fault;
static uint8_t bytes[65536];

static int read_hex(const struct schema *schema, const char *hex, uint8_t version, bool is_update)
{
	const struct schema_payload payload = {
		.bytes = bytes,
		.len = hex_parse(hex, bytes),
		.version = version,
		.is_update = is_update,
	};

	return offers_schema_read(schema, &payload, &record, &fault);
}

static const char *value_text(const struct schema *schema, const char *name)
{
	static char text[256];
	int idx = offers_schema_field_named(schema, name, strlen(name));

	return offers_schema_value_print(&schema->fields[idx], &record.values[idx], text,
					 sizeof(text));
}

static void test_the_published_announce_has_its_values(void)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"room_type", "shared-flat"},
		{"size", "18"},
		{"rent", "450"},
		{"available_from", "2027-01-15T08:00Z"},
		{"postcode", "10115"},
		{"amenities", "balcony"},
		{"url", ""},
	};

	CHECK_EQ(read_hex(housing, "a9" PROVIDER HOME LAYER, 1, false), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(housing->fields[i].key, i + 1);
		CHECK_STR(housing->fields[i].name, rows[i].name);
		CHECK_STR(value_text(housing, rows[i].name), rows[i].value);
	}
	CHECK_EQ(offers_schema_fields_cnt(&record), 6);
}

static void test_words_of_a_user_become_the_published_announce(void)
{
	static const char *const words[] = {"amenities=balcony",
					    "postcode=10115",
					    "rent=450",
					    "size=18",
					    "available_from=2027-01-15T09:00+01:00",
					    "room_type=Shared-Flat"};
	uint8_t want[256], got[256];
	struct writer w = writer_of(got, sizeof(got));
	size_t len = hex_parse(HOME, want);

	offers_schema_record_init(&record, false);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CHECK_EQ(offers_schema_value_from_text(housing, words[i], &record, &fault), 0);
	CHECK_EQ(offers_schema_check(housing, &record, &fault), 0);
	offers_schema_fields_write(housing, &record, &w);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(got, want, len);
}

static void test_the_published_update_changes_the_rent_alone(void)
{
	struct schema_record update;
	uint8_t update_bytes[256];
	const struct schema_payload payload = {
		.bytes = update_bytes,
		.len = hex_parse("a5" PROVIDER "031901ae18f00218f150000102030405060708090a0b0c0d0e"
				 "0f18f201",
				 update_bytes),
		.version = 1,
		.is_update = true,
	};

	CHECK_EQ(read_hex(housing, "a9" PROVIDER HOME LAYER, 1, false), 0);
	CHECK_EQ(offers_schema_read(housing, &payload, &update, &fault), 0);
	CHECK_EQ(offers_schema_fields_cnt(&update), 1);
	CHECK_EQ(offers_schema_record_merge(housing, &record, &update, &fault), 0);
	CHECK_STR(value_text(housing, "rent"), "430");
	CHECK_STR(value_text(housing, "size"), "18");
	CHECK_STR(value_text(housing, "amenities"), "balcony");
}

static void test_null_removes_an_optional_field_and_no_required_one(void)
{
	struct schema_record update;
	uint8_t update_bytes[16];
	struct schema_payload payload = {.bytes = update_bytes, .version = 1, .is_update = true};

	payload.len = hex_parse("a106f6", update_bytes);
	CHECK_EQ(read_hex(housing, "a6" HOME, 1, false), 0);
	CHECK_EQ(offers_schema_read(housing, &payload, &update, &fault), 0);
	CHECK_EQ(offers_schema_record_merge(housing, &record, &update, &fault), 0);
	CHECK_STR(value_text(housing, "amenities"), "");
	CHECK_EQ(offers_schema_fields_cnt(&record), 5);

	payload.len = hex_parse("a103f6", update_bytes);
	CHECK_EQ(offers_schema_read(housing, &payload, &update, &fault), 0);
	CHECK_EQ(offers_schema_record_merge(housing, &record, &update, &fault), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "rent");
	CHECK_STR(value_text(housing, "rent"), "450");
}

/* What is wrong with a payload, and of which field it is said. */
static const struct {
	const char *hex, *field;
} refused[] = {
	{"", ""},
	{"80", ""},
	{"a0", "room_type"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "056531303131",
	 "postcode"},
	{"a5"
	 "0102"
	 "0212"
	 "0363343530"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a5"
	 "0102"
	 "0212"
	 "0320"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a5"
	 "0102"
	 "0212"
	 "031a00010000"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a5"
	 "0102"
	 "0212"
	 "03fb4059000000000000"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a5"
	 "0102"
	 "0212"
	 "03f6"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a4"
	 "0102"
	 "0212"
	 "041a6b49d200"
	 "05653130313135",
	 "rent"},
	{"a5"
	 "0120"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 "room_type"},
	{"a5"
	 "0103"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 "room_type"},
	{"a5"
	 "0169"
	 "61706172746d656e74"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 "room_type"},
	{"a5"
	 "0102"
	 "0200"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 "size"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "0420"
	 "05653130313135",
	 "available_from"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041b0000003afff44180"
	 "05653130313135",
	 "available_from"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "0540",
	 "postcode"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "0560",
	 "postcode"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "0564"
	 "61316231",
	 "postcode"},
	/* 11 characters; a street; letters alone */
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "056b3130313135313031313531",
	 "postcode"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05684d41494e53542035",
	 "postcode"},
	{"a5"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "0563414243",
	 "postcode"},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "066762616c636f6e79",
	 "amenities"},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "068101",
	 "amenities"},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "068160",
	 "amenities"},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "0681"
	 "63612c62",
	 "amenities"},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "0681"
	 "6161ff",
	 ""},
	{"a6"
	 "0102"
	 "0212"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135"
	 "0769"
	 "667470"
	 "3a2f2f612f61",
	 "url"},
	/* the order of keys; a key twice; a long head */
	{"a5"
	 "0212"
	 "0102"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 ""},
	{"a5"
	 "0102"
	 "0102"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 ""},
	{"a5"
	 "0102"
	 "021812"
	 "031901c2"
	 "041a6b49d200"
	 "05653130313135",
	 "size"},
};

static void test_what_is_wrong_in_a_payload_is_said_with_the_field(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		int err = read_hex(housing, refused[i].hex, 1, false);

		if (err != WEFT_EMALFORMED || strcmp(fault.field, refused[i].field) != 0)
			printf("# row %zu: %d, %s: %s\n", i, err, fault.field, fault.what);
		CHECK_EQ(err, WEFT_EMALFORMED);
		CHECK_STR(fault.field, refused[i].field);
		CHECK(fault.what[0]);
	}
}

static void test_unknown_keys_and_those_of_the_layer_are_skipped(void)
{
	CHECK_EQ(read_hex(housing,
			  "a8"
			  "00a0" HOME "18eff5"
			  "18f0f5",
			  1, false),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex(housing,
			  "a9"
			  "00a0" HOME "18eff5"
			  "18f0f5",
			  1, false),
		 0);
	CHECK_EQ(offers_schema_fields_cnt(&record), 6);
}

static void test_an_empty_list_is_a_missing_field(void)
{
	CHECK_EQ(read_hex(housing,
			  "a6"
			  "0102"
			  "0212"
			  "031901c2"
			  "041a6b49d200"
			  "05653130313135"
			  "0680",
			  1, false),
		 0);
	CHECK_EQ(offers_schema_fields_cnt(&record), 5);
}

static void test_every_truncation_of_a_payload_is_refused(void)
{
	uint8_t whole[256];
	size_t len = hex_parse("a9" PROVIDER HOME LAYER, whole);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);
		const struct schema_payload payload = {.bytes = part, .len = cut, .version = 1};

		memcpy(part, whole, cut);
		CHECK_EQ(offers_schema_read(housing, &payload, &record, &fault), WEFT_EMALFORMED);
		free(part);
	}
}

/* The seed form: fields by name, in the order of the sender's struct, choices by word. */
static void test_fields_by_name_are_taken_where_that_is_allowed(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_payload payload = {.bytes = bytes, .version = 1, .may_name = true};

	cbor_write_map(&w, 6);
	cbor_write_text(&w, "room_type", 9);
	cbor_write_text(&w, "shared-flat", 11);
	cbor_write_text(&w, "size", 4);
	cbor_write_uint(&w, 18);
	cbor_write_text(&w, "rent", 4);
	cbor_write_uint(&w, 450);
	cbor_write_text(&w, "available_from", 14);
	cbor_write_uint(&w, 1800000000);
	cbor_write_text(&w, "postcode", 8);
	cbor_write_text(&w, "10115", 5);
	cbor_write_text(&w, "colour", 6);
	cbor_write_uint(&w, 7);
	payload.len = writer_len(&w);
	CHECK_EQ(offers_schema_read(housing, &payload, &record, &fault), 0);
	CHECK_STR(value_text(housing, "room_type"), "shared-flat");
	CHECK_STR(value_text(housing, "postcode"), "10115");
	payload.may_name = false;
	CHECK_EQ(offers_schema_read(housing, &payload, &record, &fault), WEFT_EMALFORMED);
}

static void test_a_name_may_be_there_once(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_payload payload = {
		.bytes = bytes, .version = 1, .may_name = true, .is_update = true};

	cbor_write_map(&w, 2);
	for (int i = 0; i < 2; i++) {
		cbor_write_text(&w, "size", 4);
		cbor_write_uint(&w, 18);
	}
	payload.len = writer_len(&w);
	CHECK_EQ(offers_schema_read(housing, &payload, &record, &fault), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "size");
}

static const char versions[] = "[service]\nname = v\nversion = 2\n"
			       "[field kind]\ntype = choice\nchoices = a, b\nrequired = yes\n"
			       "[field size]\ntype = number\nmax = 9\nrequired = yes\nsince = 2\n";

static void test_versions_meet(void)
{
	struct schema *schema = schema_of_text(versions);

	/* An older offer need not have what came later. */
	CHECK_EQ(read_hex(schema, "a10101", 1, false), 0);
	CHECK_EQ(read_hex(schema, "a10101", 2, false), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "size");
	/* Version 0 is no way round what is required. */
	CHECK_EQ(read_hex(schema, "a10101", 0, false), 0);
	CHECK_EQ(read_hex(schema, "a0", 0, false), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "kind");
	/* A newer one may have more choices and wider ranges, and may lack fields. */
	CHECK_EQ(read_hex(schema, "a201030209", 2, false), WEFT_EMALFORMED);
	CHECK_EQ(read_hex(schema, "a201010218ff", 2, false), WEFT_EMALFORMED);
	CHECK_EQ(read_hex(schema, "a201030218ff", 3, false), 0);
	CHECK_STR(value_text(schema, "kind"), "choice-3");
	CHECK_EQ(read_hex(schema, "a0", 3, false), 0);
	/* Types stay. */
	CHECK_EQ(read_hex(schema, "a2010302f5", 3, false), WEFT_EMALFORMED);
	offers_schema_free(schema);
}

static void test_an_update_needs_no_required_field(void)
{
	CHECK_EQ(read_hex(housing, "a10219ffff", 1, true), 0);
	CHECK_EQ(read_hex(housing, "a1021a00010000", 1, true), WEFT_EMALFORMED);
}

/* cnt words in a list of the schema "[field a] type = words". */
static int read_list(const struct schema *schema, unsigned field_cnt, unsigned cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct schema_payload payload = {.bytes = bytes, .len = 0, .version = 1};
	struct schema_payload filled = payload;

	cbor_write_map(&w, field_cnt);
	for (unsigned f = 0; f < field_cnt; f++) {
		cbor_write_uint(&w, f + 1);
		cbor_write_array(&w, cnt);
		for (unsigned i = 0; i < cnt; i++)
			cbor_write_text(&w, "w", 1);
	}
	filled.len = writer_len(&w);
	return offers_schema_read(schema, &filled, &record, &fault);
}

static void test_a_list_has_as_many_values_as_its_field_allows(void)
{
	struct schema *wide = schema_of_text("[service]\nname = w\n[field a]\ntype = words\n");
	struct schema *narrow =
		schema_of_text("[service]\nname = w\n[field a]\ntype = words\nitems = 3\n");

	CHECK_EQ(read_list(wide, 1, SCHEMA_ITEMS_MAX), 0);
	CHECK_EQ(read_list(wide, 1, SCHEMA_ITEMS_MAX + 1), WEFT_EMALFORMED);
	CHECK_EQ(read_list(narrow, 1, 3), 0);
	CHECK_EQ(read_list(narrow, 1, 4), WEFT_EMALFORMED);
	offers_schema_free(wide);
	offers_schema_free(narrow);
}

static void test_all_fields_have_256_values_together(void)
{
	struct schema *schema =
		schema_of_text("[service]\nname = w\n[field a]\ntype = words\n"
			       "[field b]\ntype = words\n[field c]\ntype = words\n"
			       "[field d]\ntype = words\n[field e]\ntype = words\n");

	CHECK_EQ(read_list(schema, 4, 64), 0);
	CHECK_EQ(read_list(schema, 5, 51), 0);
	CHECK_EQ(read_list(schema, 5, 52), WEFT_EMALFORMED);
	offers_schema_free(schema);
}

static void test_a_list_that_lies_about_its_length_is_refused(void)
{
	CHECK_EQ(read_hex(housing,
			  "a6"
			  "0102"
			  "0212"
			  "031901c2"
			  "041a6b49d200"
			  "05653130313135"
			  "069bffffffffffffffff",
			  1, false),
		 WEFT_EMALFORMED);
}

int main(void)
{
	housing = schema_file_open("housing");
	RUN(test_the_published_announce_has_its_values);
	RUN(test_words_of_a_user_become_the_published_announce);
	RUN(test_the_published_update_changes_the_rent_alone);
	RUN(test_null_removes_an_optional_field_and_no_required_one);
	RUN(test_what_is_wrong_in_a_payload_is_said_with_the_field);
	RUN(test_unknown_keys_and_those_of_the_layer_are_skipped);
	RUN(test_an_empty_list_is_a_missing_field);
	RUN(test_every_truncation_of_a_payload_is_refused);
	RUN(test_fields_by_name_are_taken_where_that_is_allowed);
	RUN(test_a_name_may_be_there_once);
	RUN(test_versions_meet);
	RUN(test_an_update_needs_no_required_field);
	RUN(test_a_list_has_as_many_values_as_its_field_allows);
	RUN(test_all_fields_have_256_values_together);
	RUN(test_a_list_that_lies_about_its_length_is_refused);
	offers_schema_free(housing);
	return check_done();
}
