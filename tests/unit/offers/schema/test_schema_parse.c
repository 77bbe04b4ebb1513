/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "offers/schema/schema.h"
#include "support/check.h"
#include "support/fail_alloc.h"
#include "support/schema_file.h"

#define SERVICE "[service]\nname = bikes\n"
#define FIELD	"[field size]\ntype = number\n"

static const char sample[] = "[service]\n"
			     "name = Bikes\n"
			     "version = 3\n"
			     "title = Bicycles to lend\n"
			     "description = By the day.\n"
			     "min_verification = 1\n"
			     "ttl_hours = 48\n"
			     "announces_per_min = 6\n"
			     "queries_per_min = 60\n"
			     "reserves_per_min = 2\n"
			     "[filter max_price]\n"
			     "field = price\n"
			     "match = at-most\n"
			     "[filter min_price]\n"
			     "key = 9\n"
			     "field = price\n"
			     "match = at-least\n"
			     "label = From\n"
			     "help = Of a day.\n"
			     "[field kind]\n"
			     "label cargo-bike = With a box\n"
			     "choices = city,  cargo-bike , Race\n"
			     "type = choice\n"
			     "required = yes\n"
			     "listed = yes\n"
			     "[field price]\n"
			     "max = 99.5\n"
			     "decimals = 2\n"
			     "type = number\n"
			     "unit = EUR\n"
			     "since = 2\n"
			     "[field tags]\n"
			     "key = 7\n"
			     "type = words\n"
			     "items = 4\n"
			     "max = 12\n";

static void test_a_schema_has_what_its_text_says(void)
{
	char text[sizeof(sample)];
	struct schema_fault fault;
	struct schema *schema;

	/* A label stands behind its choices. */
	strcpy(text, sample);
	CHECK_EQ(offers_schema_parse(text, strlen(text), &schema, &fault), WEFT_EMALFORMED);
	CHECK_EQ(fault.line, 21);
	CHECK_STR(fault.field, "kind");
	memcpy(strstr(text, "label cargo-bike = With a box\nchoices = city,  cargo-bike , Race\n"),
	       "choices = city,  cargo-bike , Race\nlabel cargo-bike = With a box\n", 65);
	CHECK_EQ(offers_schema_parse(text, strlen(text), &schema, &fault), 0);
	CHECK_STR(schema->name, "bikes");
	CHECK_STR(schema->title, "Bicycles to lend");
	CHECK_STR(schema->description, "By the day.");
	CHECK_EQ(schema->version, 3);
	CHECK_EQ(schema->min_verification, 1);
	CHECK(!schema->takes_seed_form);
	CHECK_EQ(schema->ttl_hours, 48);
	CHECK_EQ(schema->announces_per_min, 6);
	CHECK_EQ(schema->queries_per_min, 60);
	CHECK_EQ(schema->reserves_per_min, 2);
	CHECK_EQ(schema->field_cnt, 3);
	CHECK_EQ(schema->filter_cnt, 2);
	CHECK_EQ(schema->column_cnt, 1);
	CHECK_EQ(schema->columns[0], 1);
	CHECK_EQ(schema->fields[0].column, SCHEMA_NO_COLUMN);
	CHECK_EQ(schema->fields[0].choice_cnt, 3);
	CHECK_STR(schema->fields[0].choices[1].word, "cargo-bike");
	CHECK_STR(schema->fields[0].choices[1].label, "With a box");
	CHECK_STR(schema->fields[0].choices[0].label, "City");
	CHECK_STR(schema->fields[0].label, "Kind");
	CHECK(schema->fields[0].is_required && schema->fields[0].is_listed);
	CHECK_EQ(schema->fields[1].key, 2);
	CHECK_EQ(schema->fields[1].max, 9950);
	CHECK_EQ(schema->fields[1].min, INT64_MIN);
	CHECK_EQ(schema->fields[1].since, 2);
	CHECK_EQ(schema->fields[1].column, 0);
	CHECK_STR(schema->fields[1].unit, "EUR");
	CHECK_EQ(schema->fields[2].key, 7);
	CHECK_EQ(schema->fields[2].item_max, 4);
	CHECK_EQ(schema->fields[2].max, 12);
	CHECK_EQ(schema->filters[0].key, 1);
	CHECK_STR(schema->filters[0].label, "Max price");
	CHECK_EQ(schema->filters[1].key, 9);
	CHECK_STR(schema->filters[1].label, "From");
	CHECK_STR(schema->filters[1].help, "Of a day.");
	CHECK_EQ(schema->filters[1].field, 1);
	CHECK_EQ(schema->filters[1].comparison, SCHEMA_AT_LEAST);
	offers_schema_free(schema);
	offers_schema_free(NULL);
}

/* What is refused, in which line, of which field or filter. */
static const struct {
	const char *text;
	unsigned line;
	const char *field;
} refused[] = {
	{"", 0, ""},
	{SERVICE, 0, ""},
	{"name = x\n", 1, ""},
	{"[field x]\ntype = flag\n", 1, ""},
	{"[service]\n" FIELD, 1, ""},
	{"[service]\nname = bikes\nname = cars\n" FIELD, 3, ""},
	{"[service]\nname = b i\n" FIELD, 2, ""},
	{"[service]\nname = -b\n" FIELD, 2, ""},
	{"[service]\nname = abcdefghijklmnopqrstuvwxyzabcdefg\n" FIELD, 2, ""},
	{"[service]\nname = bikes\nid = 7\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nid = 2\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nid = x\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nid = -1\n" FIELD, 3, ""},
	{"[service]\nname = housing\nid = 3\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nversion = 0\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nversion = 128\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nmin_verification = 4\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nttl_hours = 0\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nttl_hours = 8761\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nqueries_per_min = 1e3\n" FIELD, 3, ""},
	{"[service]\nname = bikes\nseed_form = maybe\n" FIELD, 3, ""},
	{"[service]\nname = bikes\ncolour = red\n" FIELD, 3, ""},
	{SERVICE "[service]\nname = cars\n" FIELD, 3, ""},
	{SERVICE "[fields x]\n", 3, ""},
	{SERVICE "[field]\n", 3, ""},
	{SERVICE "[field A]\n", 3, ""},
	{SERVICE "[field 1a]\n", 3, ""},
	{SERVICE "[field a b]\n", 3, ""},
	{SERVICE "[field abcdefghijklmnopqrstuvwxyzabcdefg]\n", 3, ""},
	{SERVICE "[field a]\n[field b]\ntype = flag\n", 3, "a"},
	{SERVICE "[field a]\nlabel = A\n", 3, "a"},
	{SERVICE "[field a]\ntype = float\n", 4, "a"},
	{SERVICE "[field a]\ntype = flag\n[field a]\ntype = flag\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nmin = 1\n", 5, "a"},
	{SERVICE "[field a]\ntype = time\nmax = 1\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nunit = m\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nitems = 2\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nchoices = x\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\ndecimals = 2\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nmax = 8001\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nmin = 0\n", 5, "a"},
	{SERVICE "[field a]\ntype = text\nmin = 9\nmax = 8\n", 6, "a"},
	{SERVICE "[field a]\ntype = text\nmin = 501\n", 5, "a"},
	{SERVICE "[field a]\ntype = number\nmin = 0.5\n", 5, "a"},
	{SERVICE "[field a]\ntype = number\ndecimals = 7\n", 5, "a"},
	{SERVICE "[field a]\ntype = words\nitems = 65\n", 5, "a"},
	{SERVICE "[field a]\ntype = words\nitems = 0\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\n", 3, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices =\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices = x,\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices = x y\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices = x, y, X\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices = -x\n", 5, "a"},
	{SERVICE "[field a]\ntype = choice\nchoices = x\nlabel y = Y\n", 6, "a"},
	{SERVICE "[field a]\ntype = flag\nsince = 2\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nrequired = 1\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nkey = 0\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nkey = 240\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nkey = 2\n[field b]\ntype = flag\nkey = 2\n", 8, "b"},
	{SERVICE "[field a]\ntype = flag\nkey = 239\n[field b]\ntype = flag\n", 6, "b"},
	{SERVICE "[field a]\ntype = flag\ntype = flag\n", 5, "a"},
	{SERVICE "[field a]\ntype = flag\nmatch = equal\n", 5, "a"},
	{SERVICE "[field a]\ntype = address\n", 4, "a"},
	{SERVICE "[field a]\ntype = coordinates\n", 4, "a"},
	{SERVICE "[field street]\ntype = text\n", 4, "street"},
	{SERVICE "[field a]\ntype = geohash\nmax = 6\n", 5, "a"},
	{SERVICE FIELD "[filter f]\n", 5, "f"},
	{SERVICE FIELD "[filter f]\nfield = x\n", 5, "f"},
	{SERVICE FIELD "[filter f]\nfield = size\nmatch = about\n", 7, "f"},
	{SERVICE FIELD "[filter f]\nfield = size\nmatch = prefix\n", 5, "f"},
	{SERVICE FIELD "[filter f]\nfield = size\n[filter f]\nfield = size\n", 7, "f"},
	{SERVICE FIELD "[filter f]\nfield = size\ntype = flag\n", 7, "f"},
	{SERVICE FIELD "what\n", 5, ""},
	{SERVICE FIELD "label = \xff\n", 5, ""},
	{SERVICE FIELD "label = a\tb\n", 5, "size"},
	{SERVICE FIELD "label = \xc2\x9b\n", 5, "size"},
	{"[service]\nname = bikes\ntitle = \xc2\x9b\n" FIELD, 3, ""},
};

static void test_what_is_wrong_is_said_with_its_line_and_name(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct schema_fault fault = {.line = 99};
		struct schema *schema = NULL;

		if (offers_schema_parse(refused[i].text, strlen(refused[i].text), &schema,
					&fault) != WEFT_EMALFORMED ||
		    fault.line != refused[i].line || strcmp(fault.field, refused[i].field) != 0 ||
		    !fault.what[0] || schema)
			printf("# row %zu: line %u, %s: %s\n%s\n", i, fault.line, fault.field,
			       fault.what, refused[i].text);
		CHECK(!schema);
		CHECK_EQ(fault.line, refused[i].line);
		CHECK_STR(fault.field, refused[i].field);
		CHECK(fault.what[0]);
	}
}

static void test_every_beginning_of_a_schema_compiles_or_is_refused(void)
{
	size_t len;
	char *text = schema_file_text("housing", &len);

	for (size_t cut = 0; cut <= len; cut++) {
		char *part = malloc(cut ? cut : 1);
		struct schema_fault fault;
		struct schema *schema = NULL;
		int err;

		memcpy(part, text, cut);
		err = offers_schema_parse(part, cut, &schema, &fault);
		CHECK(err == 0 ? schema != NULL : fault.what[0] && fault.line <= 300);
		offers_schema_free(schema);
		free(part);
	}
	free(text);
}

/* A text of so many fields of type number. */
static char *text_of_fields(unsigned cnt, size_t *out_len)
{
	size_t cap = 64 + (size_t)cnt * 48;
	char *text = malloc(cap);
	size_t len = (size_t)snprintf(text, cap, SERVICE);

	for (unsigned i = 0; i < cnt; i++)
		len += (size_t)snprintf(text + len, cap - len, "[field f%u]\ntype=number\n", i);
	*out_len = len;
	return text;
}

static int parse_of_fields(unsigned cnt, struct schema_fault *fault)
{
	struct schema *schema = NULL;
	size_t len;
	char *text = text_of_fields(cnt, &len);
	int err = offers_schema_parse(text, len, &schema, fault);

	offers_schema_free(schema);
	free(text);
	return err;
}

static void test_32_fields_are_taken_and_one_more_is_not(void)
{
	struct schema_fault fault;

	CHECK_EQ(parse_of_fields(SCHEMA_FIELDS_MAX, &fault), 0);
	CHECK_EQ(parse_of_fields(SCHEMA_FIELDS_MAX + 1, &fault), WEFT_EMALFORMED);
	CHECK_EQ(fault.line, 2 + 2 * SCHEMA_FIELDS_MAX + 1);
}

static void test_a_million_fields_are_refused_at_once(void)
{
	struct schema_fault fault;

	CHECK_EQ(parse_of_fields(1000000, &fault), WEFT_ETOOLARGE);
	CHECK(fault.what[0]);
}

static void test_16_filters_are_taken_and_one_more_is_not(void)
{
	char text[2048];
	size_t len = (size_t)snprintf(text, sizeof(text), SERVICE FIELD);
	struct schema_fault fault;
	struct schema *schema;

	for (unsigned i = 0; i <= SCHEMA_FILTERS_MAX; i++) {
		if (i == SCHEMA_FILTERS_MAX) {
			CHECK_EQ(offers_schema_parse(text, len, &schema, &fault), 0);
			CHECK_EQ(schema->filter_cnt, SCHEMA_FILTERS_MAX);
			CHECK_EQ(schema->column_cnt, 1);
			offers_schema_free(schema);
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"[filter f%u]\nfield = size\n", i);
	}
	CHECK_EQ(offers_schema_parse(text, len, &schema, &fault), WEFT_EMALFORMED);
	CHECK_EQ(fault.line, 4 + 2 * SCHEMA_FILTERS_MAX + 1);
}

/* cnt choices in fields of at most 64. */
static int parse_of_choices(unsigned cnt, unsigned in_field, struct schema_fault *fault)
{
	static char text[SCHEMA_TEXT_LEN_MAX];
	size_t len = (size_t)snprintf(text, sizeof(text), SERVICE);
	struct schema *schema = NULL;
	int err;

	for (unsigned i = 0; i < cnt; i++) {
		if (i % in_field == 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"[field f%u]\ntype=choice\n", i);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "choices = c%u\n", i);
	}
	err = offers_schema_parse(text, len, &schema, fault);
	offers_schema_free(schema);
	return err;
}

static void test_choices_are_bounded_in_a_field_and_in_a_schema(void)
{
	struct schema_fault fault;

	CHECK_EQ(parse_of_choices(SCHEMA_CHOICES_MAX, 1000, &fault), 0);
	CHECK_EQ(parse_of_choices(SCHEMA_CHOICES_MAX + 1, 1000, &fault), WEFT_EMALFORMED);
	CHECK_EQ(parse_of_choices(SCHEMA_CHOICES_ALL, SCHEMA_CHOICES_MAX, &fault), 0);
	CHECK_EQ(parse_of_choices(SCHEMA_CHOICES_ALL + 1, SCHEMA_CHOICES_MAX, &fault),
		 WEFT_EMALFORMED);
}

static void test_a_text_of_64_kib_is_taken_and_a_longer_one_is_not(void)
{
	char *text = malloc(SCHEMA_TEXT_LEN_MAX + 1);
	size_t len = strlen(SERVICE FIELD);
	struct schema_fault fault;
	struct schema *schema;

	memset(text, '\n', SCHEMA_TEXT_LEN_MAX + 1);
	memcpy(text, SERVICE FIELD, len);
	CHECK_EQ(offers_schema_parse(text, SCHEMA_TEXT_LEN_MAX, &schema, &fault), 0);
	offers_schema_free(schema);
	CHECK_EQ(offers_schema_parse(text, SCHEMA_TEXT_LEN_MAX + 1, &schema, &fault),
		 WEFT_ETOOLARGE);
	free(text);
}

/* What a number may be at most, with and without decimals, and one more. */
static void test_the_widest_range_is_taken_and_a_wider_one_is_not(void)
{
	static const struct {
		const char *bounds;
		int want;
	} rows[] = {
		{"min = -9223372036854775807\nmax = 9223372036854775807\n", 0},
		{"max = 9223372036854775808\n", WEFT_EMALFORMED},
		{"min = -9223372036854775809\n", WEFT_EMALFORMED},
		{"decimals = 6\nmin = -9223372036854.775807\nmax = 9223372036854.775807\n", 0},
		{"decimals = 6\nmax = 9223372036854.775808\n", WEFT_EMALFORMED},
		{"decimals = 6\nmax = 9223372036855\n", WEFT_EMALFORMED},
		{"decimals = 7\n", WEFT_EMALFORMED},
		{"min = 1e3\n", WEFT_EMALFORMED},
		{"max = 99999999999999999999999999999999999999999\n", WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct schema_fault fault;
		struct schema *schema = NULL;
		int err;

		snprintf(text, sizeof(text), "[service]\nname = x\n[field a]\ntype = number\n%s",
			 rows[i].bounds);
		err = offers_schema_parse(text, strlen(text), &schema, &fault);
		if (err != rows[i].want)
			printf("# %s\n", rows[i].bounds);
		CHECK_EQ(err, rows[i].want);
		if (err == 0)
			offers_schema_free(schema);
	}
}

static void test_the_id_follows_from_the_name(void)
{
	static const struct {
		const char *name;
		uint32_t id;
	} rows[] = {{"fapp", 1},    {"housing", 2},	{"repair", 3},	      {"tutor", 4},
		    {"medical", 5}, {"custom", 0xffff}, {"legal", 0xe5932c47}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(offers_schema_id_of_name(rows[i].name), rows[i].id);
}

static void test_an_experiment_has_any_name(void)
{
	struct schema *schema =
		schema_of_text("[service]\nname = moon-cheese\nid = 0xFFFF\n" FIELD);

	CHECK_EQ(schema->id, SCHEMA_ID_CUSTOM);
	offers_schema_free(schema);
}

static void test_without_memory_it_says_so(void)
{
	struct schema_fault fault;
	struct schema *schema;

	fail_alloc_arm(1, 1);
	CHECK_EQ(offers_schema_parse(SERVICE FIELD, strlen(SERVICE FIELD), &schema, &fault),
		 -ENOMEM);
	fail_alloc_disarm();
}

int main(void)
{
	RUN(test_a_schema_has_what_its_text_says);
	RUN(test_what_is_wrong_is_said_with_its_line_and_name);
	RUN(test_every_beginning_of_a_schema_compiles_or_is_refused);
	RUN(test_32_fields_are_taken_and_one_more_is_not);
	RUN(test_a_million_fields_are_refused_at_once);
	RUN(test_16_filters_are_taken_and_one_more_is_not);
	RUN(test_choices_are_bounded_in_a_field_and_in_a_schema);
	RUN(test_a_text_of_64_kib_is_taken_and_a_longer_one_is_not);
	RUN(test_the_widest_range_is_taken_and_a_wider_one_is_not);
	RUN(test_the_id_follows_from_the_name);
	RUN(test_an_experiment_has_any_name);
	RUN(test_without_memory_it_says_so);
	return check_done();
}
