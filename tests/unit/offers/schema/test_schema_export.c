/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/schema/schema_export.h"
#include "codec/cbor.h"
#include "offers/schema/schema_shipped.h"
#include "support/check.h"
#include "support/schema_file.h"

static char text[SCHEMA_TEXT_LEN_MAX], again[SCHEMA_TEXT_LEN_MAX];
static uint8_t record[SCHEMA_TEXT_LEN_MAX];
static struct schema_fault fault;

static struct schema *compile(const char *of, int len)
{
	struct schema *schema = NULL;

	if (len < 0 || offers_schema_parse(of, (size_t)len, &schema, &fault) < 0)
		printf("# %d: line %u, %s: %s\n", len, fault.line, fault.field, fault.what);
	return schema;
}

static size_t export_of(const struct schema *schema)
{
	struct writer w = writer_of(record, sizeof(record));

	offers_schema_export(schema, &w);
	return w.bad ? 0 : writer_len(&w);
}

static void test_each_shipped_schema_survives_its_text_and_its_record(void)
{
	for (const struct schema_shipped *row = offers_schema_shipped; row->name; row++) {
		struct schema *schema = schema_file_open(row->name), *from_text, *from_record;
		int len = offers_schema_text_write(schema, text, sizeof(text));
		size_t record_len;

		from_text = compile(text, len);
		CHECK(from_text);
		CHECK_EQ(offers_schema_text_write(from_text, again, sizeof(again)), len);
		CHECK_MEM(again, text, (size_t)len);
		record_len = export_of(schema);
		CHECK(offers_schema_is_record(record, record_len));
		CHECK(!offers_schema_is_record(row->text, row->len));
		from_record =
			compile(again, offers_schema_import(record, record_len, again, &fault));
		CHECK(from_record);
		CHECK_EQ(from_record->id, schema->id);
		CHECK_EQ(offers_schema_text_write(from_record, again, sizeof(again)), len);
		CHECK_MEM(again, text, (size_t)len);
		offers_schema_free(schema);
		offers_schema_free(from_text);
		offers_schema_free(from_record);
	}
}

static void test_every_truncation_of_a_record_is_refused(void)
{
	struct schema *schema = schema_file_open("housing");
	size_t len = export_of(schema);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *part = malloc(cut ? cut : 1);

		memcpy(part, record, cut);
		CHECK_EQ(offers_schema_import(part, cut, again, &fault), WEFT_EMALFORMED);
		CHECK(fault.what[0]);
		free(part);
	}
	CHECK_EQ(offers_schema_import(record, SCHEMA_TEXT_LEN_MAX + 1, again, &fault),
		 WEFT_EMALFORMED);
	offers_schema_free(schema);
}

/* Arrays in arrays, as deep as a record may be long, as the whole and as each of its parts. */
static void test_a_record_that_is_nested_is_refused(void)
{
	static uint8_t nested[SCHEMA_TEXT_LEN_MAX];
	struct schema *schema = schema_file_open("housing");
	size_t len = export_of(schema);

	memset(nested, 0x81, sizeof(nested));
	CHECK(offers_schema_import(nested, sizeof(nested), again, &fault) < 0);
	/* Each byte of a good record may begin such a part. */
	for (size_t at = 0; at < len; at++) {
		memcpy(nested, record, at);
		memset(nested + at, 0x81, sizeof(nested) - at);
		CHECK(offers_schema_import(nested, sizeof(nested), again, &fault) < 0);
	}
	offers_schema_free(schema);
}

static void test_a_text_that_does_not_fit_is_refused(void)
{
	struct schema *schema = schema_file_open("housing");
	int len = offers_schema_text_write(schema, text, sizeof(text));
	struct writer w = writer_of(record, 100);

	CHECK_EQ(offers_schema_text_write(schema, again, (size_t)len), len);
	CHECK_EQ(offers_schema_text_write(schema, again, (size_t)len - 1), WEFT_ETOOSMALL);
	offers_schema_export(schema, &w);
	CHECK(w.bad);
	offers_schema_free(schema);
}

/* A record with the given title and id, and one field. */
static int import_of(const char *title, uint64_t id)
{
	uint8_t part[256];
	struct writer p = writer_of(part, sizeof(part)), w = writer_of(record, sizeof(record));

	cbor_write_map(&p, 2);
	cbor_field_text(&p, 0, title, strlen(title));
	cbor_write_uint(&p, 4);
	cbor_write_array(&p, 1);
	cbor_write_map(&p, 2);
	cbor_field_text(&p, 0, "size", 4);
	cbor_field_text(&p, 1, "number", 6);
	cbor_write_map(&w, 8);
	cbor_field_uint(&w, 0, id);
	cbor_field_text(&w, 1, "bikes", 5);
	cbor_field_uint(&w, 2, 1);
	cbor_field_bytes(&w, 3, part, writer_len(&p));
	cbor_field_bytes(&w, 4, "\x80", 1);
	cbor_field_bytes(&w, 5, "\x80", 1);
	cbor_field_uint(&w, 6, 0);
	cbor_field_text(&w, 7, "", 0);
	return offers_schema_import(record, writer_len(&w), again, &fault);
}

static void test_a_record_has_no_lines_of_its_own_and_no_foreign_id(void)
{
	uint32_t id = offers_schema_id_of_name("bikes");
	struct schema *schema = compile(again, import_of("Bikes", id));
	int len;

	CHECK(schema);
	CHECK_STR(schema->title, "Bikes");
	offers_schema_free(schema);
	CHECK_EQ(import_of("Bikes\nmin_verification = 3", id), WEFT_EMALFORMED);
	len = import_of("Bikes", 7);
	CHECK(len > 0);
	CHECK_EQ(offers_schema_parse(again, (size_t)len, &schema, &fault), WEFT_EMALFORMED);
	CHECK(strstr(fault.what, "id"));
}

int main(void)
{
	RUN(test_each_shipped_schema_survives_its_text_and_its_record);
	RUN(test_every_truncation_of_a_record_is_refused);
	RUN(test_a_record_that_is_nested_is_refused);
	RUN(test_a_text_that_does_not_fit_is_refused);
	RUN(test_a_record_has_no_lines_of_its_own_and_no_foreign_id);
	return check_done();
}
