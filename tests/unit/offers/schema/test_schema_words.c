/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a user become values, and values words. */
#include "codec/cbor.h"
#include "offers/schema/schema.h"
#include "support/check.h"
#include "support/schema_file.h"

static struct schema *housing;
static struct schema_record record;
static struct schema_fault fault;
static uint8_t bytes[4096];

static const char *value_text(const struct schema *schema, const char *name)
{
	static char text[256];
	int idx = offers_schema_field_named(schema, name, strlen(name));

	return offers_schema_value_print(&schema->fields[idx], &record.values[idx], text,
					 sizeof(text));
}

static void test_words_of_a_user_are_refused_with_the_next_step(void)
{
	static const struct {
		const char *word, *field, *next;
	} rows[] = {
		{"colour=red", "", "fields: room_type"},
		{"rent", "rent", "write rent=VALUE"},
		{"rent=much", "rent", "digits"},
		{"rent=70000", "rent", ""},
		{"rent=450 EUR", "rent", "digits"},
		{"rent=4.5", "rent", "digits"},
		{"rent=", "rent", "leave"},
		{"rent=99999999999999999999", "rent", ""},
		{"room_type=castle", "room_type", "one of: shared-flat"},
		{"available_from=tomorrow", "available_from", "2027-01-15"},
		{"available_from=2027-02-30", "available_from", "2027-01-15"},
		{"postcode=Unter den Linden 5", "postcode", "at most 10"},
		{"amenities=a,,b", "amenities", "a,b"},
		{"url=example.org", "url", "https://"},
		{"furnished=maybe", "furnished", "yes or no"},
		{"rooms=2.55", "rooms", "12.5"},
		{"rooms=0.4", "rooms", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		offers_schema_record_init(&record, false);
		CHECK_EQ(offers_schema_value_from_text(housing, rows[i].word, &record, &fault),
			 WEFT_EMALFORMED);
		CHECK_STR(fault.field, rows[i].field);
		if (!strstr(fault.next, rows[i].next))
			printf("# %s: %s; %s\n", rows[i].word, fault.what, fault.next);
		CHECK(strstr(fault.next, rows[i].next));
		CHECK_EQ(offers_schema_fields_cnt(&record), 0);
	}
}

static void test_a_field_is_given_once(void)
{
	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(housing, "rent=1", &record, &fault), 0);
	CHECK_EQ(offers_schema_value_from_text(housing, "rent=2", &record, &fault),
		 WEFT_EMALFORMED);
	CHECK_EQ(offers_schema_check(housing, &record, &fault), WEFT_EMALFORMED);
	CHECK_STR(fault.field, "room_type");
	CHECK_STR(fault.next, "add room_type=VALUE");
}

static void test_an_empty_word_removes_in_an_update(void)
{
	uint8_t got[8];
	struct writer w = writer_of(got, sizeof(got));

	offers_schema_record_init(&record, true);
	CHECK_EQ(offers_schema_value_from_text(housing, "amenities=", &record, &fault), 0);
	CHECK_EQ(offers_schema_check(housing, &record, &fault), 0);
	offers_schema_fields_write(housing, &record, &w);
	CHECK_EQ(writer_len(&w), 2);
	CHECK_MEM(got, "\x06\xf6", 2);
	CHECK_EQ(offers_schema_value_from_text(housing, "rent=", &record, &fault), 0);
	CHECK_EQ(offers_schema_check(housing, &record, &fault), WEFT_EMALFORMED);
}

static const char all_types[] =
	"[service]\nname = all\n"
	"[field number]\ntype = number\ndecimals = 2\n[field choice]\ntype = choice\n"
	"choices = x, y\n[field choices]\ntype = choices\nchoices = x, y, z\n"
	"[field text]\ntype = text\n[field words]\ntype = words\n[field time]\ntype = time\n"
	"[field times]\ntype = times\n[field flag]\ntype = flag\n[field postcode]\n"
	"type = postcode\n[field geohash]\ntype = geohash\n[field url]\ntype = url\n"
	"[field hash]\ntype = hash\n";

static void test_each_type_is_read_written_and_printed_alike(void)
{
	static const char *const words[] = {
		"number=-12.5",
		"choice=y",
		"choices=z,x",
		"text=Größe, ungefähr",
		"words=a b,c",
		"time=2027-01-15T08:00:01Z",
		"times=2027-01-15,2027-01-15T08:00Z",
		"flag=no",
		"postcode=SW1A 1AA",
		"geohash=u33db",
		"url=https://example.org/a?b",
		"hash=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	};
	struct schema *schema = schema_of_text(all_types);
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct schema_payload payload = {.bytes = bytes, .version = 1};
	char word[256], name[64];

	offers_schema_record_init(&record, false);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CHECK_EQ(offers_schema_value_from_text(schema, words[i], &record, &fault), 0);
	cbor_write_map(&w, offers_schema_fields_cnt(&record));
	offers_schema_fields_write(schema, &record, &w);
	payload.len = writer_len(&w);
	CHECK_EQ(offers_schema_read(schema, &payload, &record, &fault), 0);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(words[i], "="), words[i]);
		snprintf(word, sizeof(word), "%s=%s", name, value_text(schema, name));
		CHECK_STR(word, words[i]);
	}
	offers_schema_free(schema);
}

static void test_letters_of_places_are_made_alike(void)
{
	struct schema *schema = schema_of_text(all_types);

	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(schema, "postcode= sw1a 1aa ", &record, &fault), 0);
	CHECK_EQ(offers_schema_value_from_text(schema, "geohash=U33DB", &record, &fault), 0);
	CHECK_STR(value_text(schema, "postcode"), "SW1A 1AA");
	CHECK_STR(value_text(schema, "geohash"), "u33db");
	CHECK_EQ(offers_schema_value_from_text(schema, "hash=00", &record, &fault),
		 WEFT_EMALFORMED);
	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(schema, "geohash=u33dbc", &record, &fault),
		 WEFT_EMALFORMED);
	CHECK(strstr(fault.next, "finer"));
	offers_schema_free(schema);
}

static void test_a_text_may_have_line_ends_and_no_escape_sequence(void)
{
	struct schema *schema = schema_of_text(all_types);

	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(schema, "text=a\nb\n", &record, &fault), 0);
	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(schema, "text=a\033[2J", &record, &fault),
		 WEFT_EMALFORMED);
	CHECK_EQ(offers_schema_value_from_text(schema, "words=a\nb", &record, &fault),
		 WEFT_EMALFORMED);
	offers_schema_free(schema);
}

static void test_characters_are_counted_and_not_bytes(void)
{
	struct schema *schema =
		schema_of_text("[service]\nname = t\n[field t]\ntype = text\nmax = 3\nmin = 2\n");

	offers_schema_record_init(&record, true);
	CHECK_EQ(offers_schema_value_from_text(schema, "t=äöü", &record, &fault), 0);
	offers_schema_record_init(&record, true);
	CHECK_EQ(offers_schema_value_from_text(schema, "t=äöüx", &record, &fault), WEFT_EMALFORMED);
	CHECK_EQ(offers_schema_value_from_text(schema, "t=ä", &record, &fault), WEFT_EMALFORMED);
	offers_schema_free(schema);
}

static void test_what_is_printed_is_cut_where_there_is_no_room(void)
{
	char text[8];

	offers_schema_record_init(&record, false);
	CHECK_EQ(offers_schema_value_from_text(housing, "amenities=lift,balcony,tub", &record,
					       &fault),
		 0);
	CHECK_STR(offers_schema_value_print(&housing->fields[5], &record.values[5], text,
					    sizeof(text)),
		  "lift,ba");
	CHECK_STR(offers_schema_value_print(&housing->fields[5], &record.values[5], text, 5),
		  "lift");
}

int main(void)
{
	housing = schema_file_open("housing");
	RUN(test_words_of_a_user_are_refused_with_the_next_step);
	RUN(test_a_field_is_given_once);
	RUN(test_an_empty_word_removes_in_an_update);
	RUN(test_each_type_is_read_written_and_printed_alike);
	RUN(test_letters_of_places_are_made_alike);
	RUN(test_a_text_may_have_line_ends_and_no_escape_sequence);
	RUN(test_characters_are_counted_and_not_bytes);
	RUN(test_what_is_printed_is_cut_where_there_is_no_room);
	offers_schema_free(housing);
	return check_done();
}
