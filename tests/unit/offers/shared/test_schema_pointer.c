/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/shared/schema_pointer.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

#define V  "v=mesh-schema1"
#define B3 " b3=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ID " id=0x80d9e1c4"

static const struct {
	const char *text;
	int want;
	const char *url; /* of one that is read */
} rows[] = {
	{V ID B3, 0, ""},
	{V B3 ID " u=https://example.org/boats.ini", 0, "https://example.org/boats.ini"},
	{V ID B3 " u=http://192.0.2.1:8/x", 0, "http://192.0.2.1:8/x"},
	{V " id=4" B3, 0, ""},
	{V ID B3 " later=thing", 0, ""},
	{V "  id=4 " B3, 0, ""},
	{"v=spf1 -all", WEFT_EUNKNOWN, NULL},
	{V "0" ID B3, WEFT_EUNKNOWN, NULL},
	{"", WEFT_EUNKNOWN, NULL},
	{V, WEFT_EMALFORMED, NULL},
	{V ID, WEFT_EMALFORMED, NULL},
	{V B3, WEFT_EMALFORMED, NULL},
	{V ID ID B3, WEFT_EMALFORMED, NULL},
	{V ID B3 B3, WEFT_EMALFORMED, NULL},
	{V ID B3 "0", WEFT_EMALFORMED, NULL},
	{V ID " b3=00", WEFT_EMALFORMED, NULL},
	{V " id=" B3, WEFT_EMALFORMED, NULL},
	{V " id=0" B3, WEFT_EMALFORMED, NULL},
	{V " id=-4" B3, WEFT_EMALFORMED, NULL},
	{V " id=0x" B3, WEFT_EMALFORMED, NULL},
	{V " id=4x" B3, WEFT_EMALFORMED, NULL},
	{V " id=4294967295" B3, 0, ""},
	{V " id=4294967296" B3, WEFT_EMALFORMED, NULL},
	{V " id=99999999999999999999" B3, WEFT_EMALFORMED, NULL},
	{V ID B3 " u=ftp://example.org/", WEFT_EMALFORMED, NULL},
	{V ID B3 " u=file:///etc/passwd", WEFT_EMALFORMED, NULL},
	{V ID B3 " u=http://a\tb", WEFT_EMALFORMED, NULL},
	{V ID B3 " u=http://\xc3\xa4", WEFT_EMALFORMED, NULL},
};

static void test_records_are_read_or_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct schema_pointer pointer = {.id = 7};
		int err = offers_schema_pointer_parse(rows[i].text, strlen(rows[i].text), &pointer);

		if (err != rows[i].want)
			printf("# %s\n", rows[i].text);
		CHECK_EQ(err, rows[i].want);
		if (err < 0) {
			CHECK_EQ(pointer.id, 7);
			continue;
		}
		CHECK_STR(pointer.url, rows[i].url);
		CHECK_EQ(pointer.hash[31], 0x1f);
	}
}

/* Every beginning, in memory of its own: refused, or read as far as it goes. */
static void test_no_beginning_is_read_beyond_its_end(void)
{
	static const char whole[] = V ID B3 " u=https://example.org/boats.ini";

	for (size_t len = 0; len < sizeof(whole); len++) {
		struct schema_pointer pointer;
		char *text = malloc(len ? len : 1);

		CHECK(text);
		memcpy(text, whole, len);
		if (offers_schema_pointer_parse(text, len, &pointer) == 0)
			CHECK_EQ(pointer.id, 0x80d9e1c4);
		free(text);
	}
	CHECK_EQ(offers_schema_pointer_parse(V ID B3 "\0", sizeof(V ID B3 "\0") - 1,
					     &(struct schema_pointer){0}),
		 WEFT_EMALFORMED);
}

static void test_a_record_and_a_url_are_exceeded_by_one(void)
{
	char text[SCHEMA_POINTER_LEN_MAX + 2] = V ID B3 " u=http://";
	struct schema_pointer pointer;
	const size_t url_off = strlen(text) - strlen("http://");

	for (unsigned over = 0; over < 2; over++) {
		size_t len = url_off + SCHEMA_POINTER_URL_CAP - 1 + over;

		memset(text + strlen(text), 'a', len - strlen(text));
		CHECK_EQ(offers_schema_pointer_parse(text, len, &pointer),
			 over ? WEFT_EMALFORMED : 0);
	}
	for (unsigned over = 0; over < 2; over++) {
		size_t len = SCHEMA_POINTER_LEN_MAX + over;

		strcpy(text, V ID B3 " x=");
		memset(text + strlen(text), 'a', len - strlen(text));
		CHECK_EQ(offers_schema_pointer_parse(text, len, &pointer),
			 over ? WEFT_EMALFORMED : 0);
	}
}

int main(void)
{
	RUN(test_records_are_read_or_refused);
	RUN(test_no_beginning_is_read_beyond_its_end);
	RUN(test_a_record_and_a_url_are_exceeded_by_one);
	return check_done();
}
