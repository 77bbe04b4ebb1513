/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/page/page_token.h"

#include <string.h>

#include "support/check.h"

#define NOW_NS 1000000000ull

static struct page_tokens book;

static void begin(void)
{
	memset(&book, 0, sizeof(book));
}

static void test_a_code_gives_one_token(void)
{
	char code[PAGE_TEXT_CAP], token[PAGE_TEXT_CAP];

	begin();
	gateway_page_code_make(&book, NOW_NS, code);
	CHECK(!gateway_page_token_is(&book, code, NOW_NS));
	CHECK(gateway_page_code_take(&book, code, NOW_NS, token));
	CHECK(!gateway_page_code_take(&book, code, NOW_NS, token));
	CHECK(gateway_page_token_is(&book, token, NOW_NS));
	CHECK_EQ(gateway_page_token_cnt(&book, NOW_NS), 1);
}

static void test_codes_and_tokens_end(void)
{
	char code[PAGE_TEXT_CAP], token[PAGE_TEXT_CAP];

	begin();
	gateway_page_code_make(&book, NOW_NS, code);
	CHECK(!gateway_page_code_take(&book, code, NOW_NS + PAGE_CODE_NS, token));
	CHECK(gateway_page_code_take(&book, code, NOW_NS + PAGE_CODE_NS - 1, token));
	CHECK(gateway_page_token_is(&book, token, NOW_NS + PAGE_CODE_NS + PAGE_TOKEN_NS - 2));
	CHECK(!gateway_page_token_is(&book, token, NOW_NS + PAGE_CODE_NS + PAGE_TOKEN_NS - 1));
	CHECK_EQ(gateway_page_token_cnt(&book, NOW_NS + PAGE_CODE_NS + PAGE_TOKEN_NS), 0);
}

static void test_nothing_like_a_secret_passes(void)
{
	char code[PAGE_TEXT_CAP], token[PAGE_TEXT_CAP], other[PAGE_TEXT_CAP];

	begin();
	memset(other, '0', sizeof(other) - 1);
	other[PAGE_TEXT_CAP - 1] = '\0';
	CHECK(!gateway_page_token_is(&book, "", NOW_NS));
	CHECK(!gateway_page_token_is(&book, other, NOW_NS));
	CHECK(!gateway_page_code_take(&book, other, NOW_NS, token));
	gateway_page_code_make(&book, NOW_NS, code);
	CHECK(gateway_page_code_take(&book, code, NOW_NS, token));
	memcpy(other, token, sizeof(other));
	other[PAGE_TEXT_CAP - 2] ^= 1;
	CHECK(!gateway_page_token_is(&book, other, NOW_NS));
	other[PAGE_TEXT_CAP - 2] = '\0';
	CHECK(!gateway_page_token_is(&book, other, NOW_NS));
}

static void test_one_token_too_many_takes_the_place_of_the_oldest(void)
{
	char code[PAGE_TEXT_CAP], tokens[PAGE_TOKEN_CAP + 1][PAGE_TEXT_CAP];

	begin();
	for (unsigned i = 0; i <= PAGE_TOKEN_CAP; i++) {
		gateway_page_code_make(&book, NOW_NS + i, code);
		CHECK(gateway_page_code_take(&book, code, NOW_NS + i, tokens[i]));
	}
	CHECK(!gateway_page_token_is(&book, tokens[0], NOW_NS + PAGE_TOKEN_CAP));
	for (unsigned i = 1; i <= PAGE_TOKEN_CAP; i++)
		CHECK(gateway_page_token_is(&book, tokens[i], NOW_NS + PAGE_TOKEN_CAP));
}

static void test_tokens_are_ended_alone_and_together(void)
{
	char code[PAGE_TEXT_CAP], tokens[2][PAGE_TEXT_CAP];

	begin();
	CHECK(!gateway_page_token_end(&book, NULL));
	for (unsigned i = 0; i < 2; i++) {
		gateway_page_code_make(&book, NOW_NS, code);
		CHECK(gateway_page_code_take(&book, code, NOW_NS, tokens[i]));
	}
	CHECK(gateway_page_token_end(&book, tokens[0]));
	CHECK(!gateway_page_token_end(&book, tokens[0]));
	CHECK(!gateway_page_token_is(&book, tokens[0], NOW_NS));
	CHECK(gateway_page_token_is(&book, tokens[1], NOW_NS));
	gateway_page_code_make(&book, NOW_NS, code);
	CHECK(gateway_page_token_end(&book, NULL));
	CHECK(!gateway_page_token_is(&book, tokens[1], NOW_NS));
	CHECK(!gateway_page_code_take(&book, code, NOW_NS, tokens[0]));
}

int main(void)
{
	RUN(test_a_code_gives_one_token);
	RUN(test_codes_and_tokens_end);
	RUN(test_nothing_like_a_secret_passes);
	RUN(test_one_token_too_many_takes_the_place_of_the_oldest);
	RUN(test_tokens_are_ended_alone_and_together);
	return check_done();
}
