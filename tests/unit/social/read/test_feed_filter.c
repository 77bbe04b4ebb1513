/* SPDX-License-Identifier: Apache-2.0 */
#include "social/read/feed_filter.h"

#include "support/check.h"

static const uint8_t ann[NODE_KEY_LEN] = {1}, ben[NODE_KEY_LEN] = {2};

static bool is_person(void *ctx, const char *name, const uint8_t key[static NODE_KEY_LEN])
{
	(void)ctx;
	return strcmp(name, "ann") == 0 && memcmp(key, ann, NODE_KEY_LEN) == 0;
}

static bool is_member(void *ctx, const char *circle, const uint8_t key[static NODE_KEY_LEN])
{
	(void)ctx;
	return strcmp(circle, "family") == 0 && memcmp(key, ben, NODE_KEY_LEN) == 0;
}

static const struct feed_names names = {is_person, is_member, NULL};

static bool fits(const char *text, const struct feed_subject *subject)
{
	static struct feed_filter filter;
	const char *bad;

	return social_filter_parse(text, strlen(text), &filter, &bad) == 0 &&
	       social_filter_fits(&filter, subject, &names);
}

static void test_a_post_fits_when_all_terms_do(void)
{
	static const char text[] = "We sail to Malmö on Friday, ﬁrst thing";
	const struct feed_subject subject = {ann, FEED_PUBLIC | FEED_UNREAD | FEED_ATTACHMENT, text,
					     sizeof(text) - 1};
	static const struct {
		const char *filter;
		bool fits;
	} rows[] = {
		{"sail", true},
		{"SAIL friday", true},
		{"malmö", true},
		{"MALMÖ", true},
		{"first", true}, /* a ligature */
		{"fri", true},	 /* at the beginning */
		{"iday", true},	 /* inside */
		{"il", false},	 /* inside, and too short */
		{"sail boat", false},
		{"-boat sail", true},
		{"-sail", false},
		{"from:ann", true},
		{"from:ben", false},
		{"-from:ben", true},
		{"circle:family", false},
		{"-circle:family", true},
		{"is:unread is:public", true},
		{"is:private", false},
		{"-is:private has:attachment", true},
		{"is:own", false},
		{"is:reply", false},
		{"  \t from:ann\n sail ", true},
		{"friday,thing", true}, /* two words */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (fits(rows[i].filter, &subject) != rows[i].fits)
			printf("# %s\n", rows[i].filter);
		CHECK_EQ(fits(rows[i].filter, &subject), rows[i].fits);
	}
}

static void test_a_filter_that_says_nothing_or_too_much_is_refused(void)
{
	struct feed_filter filter;
	char text[FILTER_LEN_MAX + 1];
	const char *bad;
	size_t len = 0;

	CHECK_EQ(social_filter_parse("", 0, &filter, &bad), WEFT_EABSENT);
	CHECK_EQ(social_filter_parse(" , .", 4, &filter, &bad), WEFT_EABSENT);
	CHECK_EQ(social_filter_parse("is:blue", 7, &filter, &bad), WEFT_EMALFORMED);
	CHECK_STR(bad, "is:blue");
	CHECK_EQ(social_filter_parse("sail has:boat", 13, &filter, &bad), WEFT_EMALFORMED);
	CHECK_STR(bad, "has:boat");
	CHECK_EQ(social_filter_parse("\xff", 1, &filter, &bad), WEFT_EMALFORMED);
	CHECK_EQ(social_filter_parse("a\0b", 3, &filter, &bad), WEFT_EMALFORMED);
	memset(text, 'a', sizeof(text));
	CHECK_EQ(social_filter_parse(text, FILTER_LEN_MAX, &filter, &bad), 0);
	CHECK_EQ(filter.term_cnt, 1);
	CHECK_EQ(social_filter_parse(text, FILTER_LEN_MAX + 1, &filter, &bad), WEFT_ETOOLARGE);
	for (unsigned i = 0; i <= FILTER_TERMS_MAX; i++, len += 2)
		memcpy(text + len, "a ", 2);
	CHECK_EQ(social_filter_parse(text, len, &filter, &bad), WEFT_ETOOLARGE);
	CHECK_EQ(social_filter_parse(text, len - 2, &filter, &bad), 0);
	CHECK_EQ(filter.term_cnt, FILTER_TERMS_MAX);
}

/* Folding makes 33 bytes of three: the texts of a filter have room for all that fits in one. */
static void test_a_filter_of_letters_that_grow_fits(void)
{
	static const char grows[] = "\xef\xb7\xba"; /* U+FDFA */
	struct feed_filter filter;
	char text[FILTER_LEN_MAX];
	const char *bad;
	size_t len = 0;

	while (len + 3 <= sizeof(text)) {
		memcpy(text + len, grows, 3);
		len += 3;
	}
	CHECK_EQ(social_filter_parse(text, len, &filter, &bad), WEFT_ETOOLARGE); /* of terms */
	CHECK_EQ(social_filter_parse(text, 9, &filter, &bad), 0);
	CHECK(filter.term_cnt > 3);
	CHECK(fits("\xef\xb7\xba", &(struct feed_subject){ann, 0, grows, 3}));
}

static void test_an_empty_text_has_no_word(void)
{
	const struct feed_subject subject = {ben, 0, "", 0};

	CHECK(!fits("sail", &subject));
	CHECK(fits("-sail", &subject));
	CHECK(fits("circle:family", &subject));
}

int main(void)
{
	RUN(test_a_post_fits_when_all_terms_do);
	RUN(test_a_filter_that_says_nothing_or_too_much_is_refused);
	RUN(test_a_filter_of_letters_that_grow_fits);
	RUN(test_an_empty_text_has_no_word);
	return check_done();
}
