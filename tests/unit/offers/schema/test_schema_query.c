/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor.h"
#include "offers/schema/schema_keys.h"
#include "support/check.h"
#include "support/hex_digits.h"
#include "support/schema_file.h"

static const char text[] =
	"[service]\nname = q\n"
	"[field number]\ntype = number\n[field choice]\ntype = choice\nchoices = x, y, z\n"
	"[field set]\ntype = choices\nchoices = x, y, z\n[field text]\ntype = text\n"
	"[field words]\ntype = words\n[field times]\ntype = times\n[field flag]\ntype = flag\n"
	"[field postcode]\ntype = postcode\n"
	"[filter number]\nfield = number\n"
	"[filter max]\nfield = number\nmatch = at-most\n"
	"[filter min]\nfield = number\nmatch = at-least\n"
	"[filter in]\nfield = number\nmatch = between\n"
	"[filter numbers]\nfield = number\nmatch = any-of\n"
	"[filter choice]\nfield = choice\nmatch = any-of\n"
	"[filter set_any]\nfield = set\nmatch = any-of\n"
	"[filter set_all]\nfield = set\nmatch = all-of\n"
	"[filter text]\nfield = text\n"
	"[filter text_begins]\nfield = text\nmatch = prefix\n"
	"[filter words]\nfield = words\nmatch = all-of\n"
	"[filter word_begins]\nfield = words\nmatch = prefix\n"
	"[filter times]\nfield = times\nmatch = between\n"
	"[filter flag]\nfield = flag\n"
	"[filter near]\nfield = postcode\nmatch = prefix\n";

static struct schema *schema;
static struct schema_record record;
static struct schema_query query;
static struct schema_fault fault;

/* Reads words that are separated by |. */
static int record_of(const char *words, char *copy)
{
	int err = 0;

	strcpy(copy, words);
	offers_schema_record_init(&record, false);
	for (char *rest = copy, *word; err == 0 && (word = strsep(&rest, "|")) != NULL;)
		err = *word ? offers_schema_value_from_text(schema, word, &record, &fault) : 0;
	return err;
}

static int query_of(const char *words, char *copy)
{
	int err = 0;

	strcpy(copy, words);
	offers_schema_query_init(&query);
	for (char *rest = copy, *word; err == 0 && (word = strsep(&rest, "|")) != NULL;)
		err = *word ? offers_schema_query_from_text(schema, word, &query, &fault) : 0;
	return err;
}

static bool range_has(const struct schema_range *range, const uint64_t *keys, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		if (keys[i] >= range->first && keys[i] <= range->last)
			return true;
	return false;
}

/* What an index would say: each condition has a range with a key of the row. */
static bool index_match(bool *out_is_exact)
{
	struct schema_condition conditions[SCHEMA_FILTERS_MAX];
	unsigned cnt = offers_schema_conditions(schema, &query, conditions);
	bool is_match = true;

	*out_is_exact = true;
	for (unsigned i = 0; i < cnt; i++) {
		uint64_t keys[SCHEMA_KEYS_MAX];
		unsigned key_cnt = offers_schema_keys(schema, conditions[i].column, &record, keys);
		bool is_found = false;

		for (unsigned r = 0; r < conditions[i].range_cnt; r++)
			is_found |= range_has(&conditions[i].ranges[r], keys, key_cnt);
		is_match &= is_found;
		*out_is_exact &= conditions[i].is_exact;
	}
	return is_match;
}

static const struct {
	const char *offer, *query;
	bool want, is_exact;
} rows[] = {
	{"", "", true, true},
	{"number=5", "", true, true},
	{"number=5", "number=5", true, true},
	{"number=5", "number=6", false, true},
	{"", "number=5", false, true},
	{"number=5", "max=5", true, true},
	{"number=6", "max=5", false, true},
	{"number=-6", "max=-5", true, true},
	{"", "max=5", false, true},
	{"number=5", "min=5", true, true},
	{"number=4", "min=5", false, true},
	{"number=-1", "min=-1|max=0", true, true},
	{"number=5", "min=5|max=5", true, true},
	{"number=5", "min=6|max=4", false, true},
	{"number=5", "min=5|max=9|number=5", true, true},
	{"number=5", "in=1..5", true, true},
	{"number=6", "in=1..5", false, true},
	{"number=6", "in=6..", true, true},
	{"number=-9", "in=..6", true, true},
	{"number=6", "numbers=7,6,6", true, true},
	{"number=6", "numbers=7,5", false, true},
	{"choice=y", "choice=x,y", true, true},
	{"choice=z", "choice=x,y", false, true},
	{"set=x,z", "set_any=y,z", true, true},
	{"set=x", "set_any=y,z", false, true},
	{"set=x,y,z", "set_all=y,z", true, true},
	{"set=x,z", "set_all=y,z", false, true},
	{"set=x,z", "set_all=z", true, true},
	{"text=abc", "text=abc", true, true},
	{"text=abcd", "text=abc", false, true},
	{"text=abcdefgh", "text=abcdefgh", true, false},
	{"text=abcdefghi", "text=abcdefgh", false, false},
	{"text=abcdefgh", "text_begins=abcdefgh", true, true},
	{"text=abcdefgX", "text_begins=abcdefgh", false, true},
	{"text=abcdefghij", "text_begins=abcdefghi", true, false},
	{"text=abcdefghXj", "text_begins=abcdefghi", false, false},
	{"text=Größe", "text_begins=Gr", true, true},
	{"words=lift,balcony", "words=balcony,lift", true, true},
	{"words=lift,balcony", "words=balcony,tub", false, true},
	{"words=lift,abcdefgh1", "words=lift,abcdefgh2", false, false},
	{"words=lift,balcony", "words=lift", true, true},
	{"words=lift,balconies", "words=balcony", false, true},
	{"words=lift,tub", "word_begins=tu", true, true},
	{"times=2027-01-15,2027-01-17", "times=2027-01-16..2027-01-18", true, true},
	{"times=2027-01-15,2027-01-19", "times=2027-01-16..2027-01-18", false, true},
	{"flag=yes", "flag=yes", true, true},
	{"flag=no", "flag=yes", false, true},
	{"postcode=10115", "near=101", true, true},
	{"postcode=10115", "near=1011523", false, true},
	{"postcode=SW1A 1AA", "near=sw1a 1", true, true},
	{"number=5|text=abc", "max=9|text=abd", false, true},
};

static void test_filters_find_what_they_say_with_and_without_an_index(void)
{
	char offer[256], asked[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is_exact, found;

		CHECK_EQ(record_of(rows[i].offer, offer), 0);
		if (query_of(rows[i].query, asked) < 0)
			printf("# %s: %s\n", rows[i].query, fault.what);
		CHECK_EQ(query_of(rows[i].query, asked), 0);
		if (offers_schema_match(schema, &record, &query) != rows[i].want)
			printf("# %s ? %s\n", rows[i].offer, rows[i].query);
		CHECK_EQ(offers_schema_match(schema, &record, &query), rows[i].want);
		found = index_match(&is_exact);
		CHECK_EQ(is_exact, rows[i].is_exact);
		/* What the index loses is lost; what it has too much, the match takes out. */
		CHECK(found || !rows[i].want);
		CHECK(!is_exact || found == rows[i].want);
	}
}

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* Random values in few words, so that many fit. */
static void words_make(uint64_t *seed, bool is_query, char *out, size_t cap)
{
	static const char *const names[] = {"number", "choice", "set", "text", "words", "flag"};
	static const char *const filters[] = {"max",	     "choice", "set_all",
					      "text_begins", "words",  "flag"};
	static const char *const marks[] = {"x", "y", "z"};
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < 6; i++) {
		unsigned a = (unsigned)(random_next(seed) % 3),
			 b = (unsigned)(random_next(seed) % 3);

		if (random_next(seed) % 3 == 0)
			continue;
		len += (size_t)snprintf(out + len, cap - len,
					"%s=", is_query ? filters[i] : names[i]);
		if (i == 0)
			len += (size_t)snprintf(out + len, cap - len, "%d|", (int)a - 1);
		else if (i == 3)
			len += (size_t)snprintf(out + len, cap - len, "%s%s|", marks[a],
						is_query ? "" : marks[b]);
		else if (i == 5)
			len += (size_t)snprintf(out + len, cap - len, "%s|", a ? "yes" : "no");
		else if (i == 1 && !is_query)
			len += (size_t)snprintf(out + len, cap - len, "%s|", marks[a]);
		else
			len += (size_t)snprintf(out + len, cap - len, "%s,%s|", marks[a], marks[b]);
	}
}

static void test_an_index_loses_no_random_offer(void)
{
	unsigned match_cnt = 0;
	uint64_t seed = 7;

	for (unsigned i = 0; i < 20000; i++) {
		char words[256], offer[256], asked[256];
		bool is_exact, found, is_match;

		words_make(&seed, false, words, sizeof(words));
		CHECK_EQ(record_of(words, offer), 0);
		words_make(&seed, true, words, sizeof(words));
		CHECK_EQ(query_of(words, asked), 0);
		is_match = offers_schema_match(schema, &record, &query);
		found = index_match(&is_exact);
		CHECK(found || !is_match);
		CHECK(!is_exact || found == is_match);
		match_cnt += is_match;
	}
	CHECK(match_cnt > 100);
}

static void test_two_filters_of_a_field_are_one_range(void)
{
	struct schema_condition conditions[SCHEMA_FILTERS_MAX];
	char asked[64];

	CHECK_EQ(query_of("max=9|min=5|flag=yes", asked), 0);
	CHECK_EQ(offers_schema_conditions(schema, &query, conditions), 2);
	CHECK_EQ(conditions[0].range_cnt, 1);
	CHECK_EQ(conditions[0].ranges[0].last - conditions[0].ranges[0].first, 4);
	CHECK_EQ(query_of("max=5|min=9", asked), 0);
	CHECK_EQ(offers_schema_conditions(schema, &query, conditions), 1);
	CHECK_EQ(conditions[0].range_cnt, 0);
}

static void test_keys_of_a_row_ascend_and_differ(void)
{
	uint64_t keys[SCHEMA_KEYS_MAX];
	unsigned column = schema->fields[4].column;
	char offer[64];

	CHECK_EQ(record_of("words=tub,lift,tub,abcdefgh1,abcdefgh2", offer), 0);
	CHECK_EQ(offers_schema_keys(schema, column, &record, keys), 3);
	CHECK_EQ(keys[0], 0x6162636465666768);
	CHECK_EQ(keys[1], 0x6c69667400000000);
	CHECK_EQ(keys[2], 0x7475620000000000);
	CHECK_EQ(record_of("", offer), 0);
	CHECK_EQ(offers_schema_keys(schema, column, &record, keys), 0);
}

static void test_words_of_a_user_are_refused_with_the_next_step(void)
{
	static const struct {
		const char *word, *next;
	} wrong[] = {
		{"colour=red", "filters: number"},
		{"max", "write max=VALUE"},
		{"max=", ""},
		{"max=x", "digits"},
		{"in=5", "1..5"},
		{"in=5..1", "1..5"},
		{"choice=castle", "one of: x"},
		{"numbers=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "leave some out"},
		{"near=12345678901", "10 capitals"},
		{"near=Main Street", "10 capitals"},
		{"times=2027-01-15", "1..5"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		offers_schema_query_init(&query);
		CHECK_EQ(offers_schema_query_from_text(schema, wrong[i].word, &query, &fault),
			 WEFT_EMALFORMED);
		if (!strstr(fault.next, wrong[i].next))
			printf("# %s: %s; %s\n", wrong[i].word, fault.what, fault.next);
		CHECK(strstr(fault.next, wrong[i].next));
		CHECK(fault.what[0]);
	}
	CHECK_EQ(offers_schema_query_from_text(schema, "max=1", &query, &fault), 0);
	CHECK_EQ(offers_schema_query_from_text(schema, "max=2", &query, &fault), WEFT_EMALFORMED);
}

static void test_the_published_query_has_its_filters(void)
{
	static const char *const names[] = {"room_type", "max_rent", "min_size", "plz_prefix",
					    "available_before"};
	struct schema *housing = schema_file_open("housing");
	uint8_t want[32], got[32];
	size_t len = hex_parse("a20219038404633"
			       "13031",
			       want);
	struct writer w = writer_of(got, sizeof(got));

	CHECK_EQ(offers_schema_query_read(housing, want, len, &query, &fault), 0);
	CHECK(!query.has_unknown);
	CHECK_EQ(query.values[1].items->number, 900);
	CHECK_EQ(query.values[3].items->len, 3);
	offers_schema_query_init(&query);
	CHECK_EQ(offers_schema_query_from_text(housing, "plz_prefix=101", &query, &fault), 0);
	CHECK_EQ(offers_schema_query_from_text(housing, "max_rent=900", &query, &fault), 0);
	offers_schema_query_write(housing, &query, &w);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(got, want, len);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(housing->filters[i].key, i + 1);
		CHECK_STR(housing->filters[i].name, names[i]);
	}
	offers_schema_free(housing);
}

static void test_every_query_of_words_is_read_back_from_its_bytes(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct schema_query back;
		uint8_t bytes[256], again[256];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct writer v = writer_of(again, sizeof(again));
		char asked[256];

		CHECK_EQ(query_of(rows[i].query, asked), 0);
		offers_schema_query_write(schema, &query, &w);
		CHECK_EQ(offers_schema_query_read(schema, bytes, writer_len(&w), &back, &fault), 0);
		offers_schema_query_write(schema, &back, &v);
		CHECK_EQ(writer_len(&v), writer_len(&w));
		CHECK_MEM(again, bytes, writer_len(&w));
		for (size_t cut = 0; cut < writer_len(&w); cut++) {
			uint8_t *part = malloc(cut ? cut : 1);

			memcpy(part, bytes, cut);
			CHECK_EQ(offers_schema_query_read(schema, part, cut, &back, &fault),
				 WEFT_EMALFORMED);
			free(part);
		}
	}
}

static int read_hex(const char *hex)
{
	static uint8_t bytes[512];

	return offers_schema_query_read(schema, bytes, hex_parse(hex, bytes), &query, &fault);
}

static void test_a_query_of_a_peer_is_bounded(void)
{
	/* 16 values of any-of, and 17. */
	CHECK_EQ(read_hex("a10590"
			  "000102030405060708090a0b0c0d0e0f"),
		 0);
	CHECK_EQ(read_hex("a10591"
			  "000102030405060708090a0b0c0d0e0f10"),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a10580"), WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a10481"
			  "01"),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a10483"
			  "010203"),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a1048202"
			  "01"),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a1048201"
			  "02"),
		 0);
	CHECK_EQ(read_hex("a102f6"), WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a1026161"), WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a20201"
			  "0201"),
		 WEFT_EMALFORMED);
	CHECK_EQ(read_hex("a1616101"), WEFT_EMALFORMED);
	CHECK_EQ(read_hex("f6"), WEFT_EMALFORMED);
}

static void test_a_filter_of_a_newer_schema_is_skipped_and_said(void)
{
	CHECK_EQ(read_hex("a2020118c801"), 0);
	CHECK(query.has_unknown);
	CHECK_EQ(query.values[1].state, SCHEMA_PRESENT);
	CHECK_EQ(read_hex("a0"), 0);
	CHECK(!query.has_unknown);
}

int main(void)
{
	schema = schema_of_text(text);
	RUN(test_filters_find_what_they_say_with_and_without_an_index);
	RUN(test_an_index_loses_no_random_offer);
	RUN(test_two_filters_of_a_field_are_one_range);
	RUN(test_keys_of_a_row_ascend_and_differ);
	RUN(test_words_of_a_user_are_refused_with_the_next_step);
	RUN(test_the_published_query_has_its_filters);
	RUN(test_every_query_of_words_is_read_back_from_its_bytes);
	RUN(test_a_query_of_a_peer_is_bounded);
	RUN(test_a_filter_of_a_newer_schema_is_skipped_and_said);
	offers_schema_free(schema);
	return check_done();
}
