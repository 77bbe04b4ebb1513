/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/http_offers/web_offers_state.h"
#include "base/random.h"
#include "support/check.h"

static const struct schema_filter range = {.name = "when", .comparison = SCHEMA_BETWEEN};
static const struct schema_filter list = {.name = "kinds", .comparison = SCHEMA_ANY_OF};

static int form_read(const char *text, struct web_form *out)
{
	return api_http_form_read(text, strlen(text), out);
}

static void test_pairs_are_decoded(void)
{
	struct web_form form = {.cnt = 0};

	CHECK_EQ(form_read("a=1&b=x+y%2Bz&&c&d=&e=%C3%A4%0D%0Ab&a=2", &form), 0);
	CHECK_EQ(form.cnt, 6);
	CHECK_STR(api_http_form_value(&form, "a"), "1");
	CHECK_STR(api_http_form_value(&form, "b"), "x y+z");
	CHECK(!api_http_form_value(&form, "c"));
	CHECK(!api_http_form_value(&form, "d"));
	CHECK_STR(api_http_form_value(&form, "e"), "\xc3\xa4\nb");
	CHECK(api_http_form_has(&form, "a", "2"));
	CHECK(!api_http_form_has(&form, "a", "3"));
	api_http_form_fini(&form);
	CHECK_EQ(form_read("", &form), 0);
	CHECK_EQ(form.cnt, 0);
	api_http_form_fini(&form);
}

static void test_what_is_no_form_is_refused(void)
{
	static const char *const rows[] = {"a=%",   "a=%4",  "a=%zz", "%=1",
					   "a=%00", "%00=1", "a=%ff", "%c3=1"};
	struct web_form form = {.cnt = 0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		printf("# %s\n", rows[i]);
		CHECK_EQ(form_read(rows[i], &form), WEFT_EMALFORMED);
	}
	CHECK_EQ(api_http_form_read(NULL, 0, &form), 0); /* a body that is empty */
	CHECK_EQ(form.cnt, 0);
	api_http_form_fini(&form);
	CHECK_EQ(api_http_form_read("a=\0b", 4, &form), WEFT_EMALFORMED);
}

static void test_512_pairs_are_read_and_one_more_is_not(void)
{
	char text[2 * (WEB_FORM_PAIRS_MAX + 1) + 1];
	struct web_form form = {.cnt = 0};

	for (unsigned i = 0; i <= WEB_FORM_PAIRS_MAX; i++)
		memcpy(text + 2 * (size_t)i, "a&", 3);
	CHECK_EQ(form_read(text, &form), WEFT_ETOOLARGE);
	text[2 * (size_t)WEB_FORM_PAIRS_MAX] = '\0';
	CHECK_EQ(form_read(text, &form), 0);
	CHECK_EQ(form.cnt, WEB_FORM_PAIRS_MAX);
	api_http_form_fini(&form);
}

static void test_values_of_one_name_make_one_word(void)
{
	static const struct {
		const char *text, *of_list, *of_range;
	} rows[] = {
		{"kinds=a&kinds=&kinds=b", "kinds=a,b", NULL},
		{"kinds=a%2Cb", "kinds=a,b", NULL},
		{"kinds=&when=", NULL, NULL},
		{"when=1..5", NULL, "when=1..5"},
		{"when.from=1&when.to=5", NULL, "when=1..5"},
		{"when.from=1&when.to=", NULL, "when=1.."},
		{"when.to=5", NULL, "when=..5"},
		{"when=1..2&when.from=7", NULL, "when=1..2"},
		{"kinds.from=1", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct web_form form = {.cnt = 0};
		const char *word;

		printf("# %s\n", rows[i].text);
		CHECK_EQ(form_read(rows[i].text, &form), 0);
		word = api_http_form_filter(&form, &list);
		CHECK_STR(word ? word : "-", rows[i].of_list ? rows[i].of_list : "-");
		word = api_http_form_filter(&form, &range);
		CHECK_STR(word ? word : "-", rows[i].of_range ? rows[i].of_range : "-");
		api_http_form_fini(&form);
	}
}

/* Any bytes, and every beginning of good ones: read, or refused, and never beyond the end. */
static void test_no_bytes_are_read_beyond_the_end(void)
{
	static const char good[] = "when.from=%31&when.to=5&kinds=a&kinds=%C3%A4+b&x=%0d%0a&=&";
	static const char letters[] = "a=&%+0f.,\xc3\xa4\r\n";
	struct random random;

	random_init_seeded(&random, 17);
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = i < sizeof(good) ? i : random_below(&random, 200);
		struct web_form form = {.cnt = 0};
		char *text = malloc(len + 1);

		CHECK(text);
		for (size_t at = 0; at < len; at++)
			text[at] = i < sizeof(good)
					   ? good[at]
					   : letters[random_below(&random, sizeof(letters))];
		if (api_http_form_read(text, len, &form) == 0) {
			(void)api_http_form_filter(&form, &list);
			(void)api_http_form_filter(&form, &range);
			CHECK(form.words_len <= form.words_cap);
		}
		api_http_form_fini(&form);
		free(text);
	}
}

int main(void)
{
	RUN(test_pairs_are_decoded);
	RUN(test_what_is_no_form_is_refused);
	RUN(test_512_pairs_are_read_and_one_more_is_not);
	RUN(test_values_of_one_name_make_one_word);
	RUN(test_no_bytes_are_read_beyond_the_end);
	return check_done();
}
