/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text/semver.h"

#include "service/service.h"
#include "support/check.h"

static struct semver version_of(const char *text)
{
	struct semver version = {0};

	if (semver_parse(text, strlen(text), &version) < 0)
		abort();
	return version;
}

static void test_versions_are_read(void)
{
	struct semver version = version_of("1.20.300-rc.1+build.007");

	CHECK_EQ(version.major, 1);
	CHECK_EQ(version.minor, 20);
	CHECK_EQ(version.patch, 300);
	CHECK_EQ(version.pre_len, 4);
	CHECK_MEM(version.pre, "rc.1", 4);
	version = version_of("999999999.0.0+x");
	CHECK_EQ(version.major, SEMVER_NUMBER_MAX);
	CHECK_EQ(version.pre_len, 0);
}

static void test_what_is_no_version_is_refused(void)
{
	static const char *const texts[] = {
		"",
		"1",
		"1.2",
		"1.2.",
		"1.2.3.",
		"1.2.3.4",
		"v1.2.3",
		"01.2.3",
		"1.02.3",
		"1.2.03",
		"-1.2.3",
		"1.2.3-",
		"1.2.3-01",
		"1.2.3-a..b",
		"1.2.3-a_b",
		"1.2.3+",
		"1.2.3+a+b",
		"1.2.3 ",
		" 1.2.3",
		"1000000000.0.0",
		"1.2.99999999999999999999",
		"1.2.3-a.",
		"1..3",
		"a.b.c",
		"1.2.3-01.a",
	};
	char longest[SEMVER_LEN_MAX + 2] = "1.2.3-";
	struct semver version;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (semver_parse(texts[i], strlen(texts[i]), &version) == 0)
			printf("# \"%s\"\n", texts[i]);
		CHECK_EQ(semver_parse(texts[i], strlen(texts[i]), &version), WEFT_EMALFORMED);
	}
	memset(longest + 6, 'a', sizeof(longest) - 7);
	CHECK_EQ(semver_parse(longest, SEMVER_LEN_MAX, &version), 0);
	CHECK_EQ(semver_parse(longest, SEMVER_LEN_MAX + 1, &version), WEFT_EMALFORMED);
}

/* The order that Semantic Versioning 2.0.0, 11, gives as its example, and more. */
static void test_precedence(void)
{
	static const char *const ascending[] = {
		"0.0.1",       "0.9.0",		"0.10.0",
		"1.0.0-1",     "1.0.0-2",	"1.0.0-10",
		"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta",  "1.0.0-beta.2",	"1.0.0-beta.11",
		"1.0.0-rc.1",  "1.0.0",		"1.0.1-0",
		"2.0.0",       "10.0.0",
	};

	for (size_t i = 0; i < sizeof(ascending) / sizeof(ascending[0]); i++)
		for (size_t j = 0; j < sizeof(ascending) / sizeof(ascending[0]); j++) {
			struct semver a = version_of(ascending[i]);
			struct semver b = version_of(ascending[j]);
			int order = semver_compare(&a, &b);

			if ((order > 0) - (order < 0) != (i > j) - (i < j))
				printf("# %s and %s\n", ascending[i], ascending[j]);
			CHECK_EQ((order > 0) - (order < 0), (i > j) - (i < j));
		}
	CHECK_EQ(semver_compare(&(struct semver){1, 0, 0, NULL, 0},
				&(struct semver){1, 0, 0, NULL, 0}),
		 0);
}

static void test_ranges(void)
{
	static const struct {
		const char *range;
		const char *version;
		bool is_met;
	} rows[] = {
		{"", "1.2.3", true},
		{"*", "0.0.0", true},
		{"*", "1.0.0-rc.1", false},
		{"1.2.3", "1.2.3", true},
		{"1.2.3", "1.2.3+build", true},
		{"1.2.3", "1.2.4", false},
		{"=1.2.3", "1.2.2", false},
		{"=1.2.3-rc.1", "1.2.3-rc.1", true},
		{"=1.2.3-rc.1", "1.2.3-rc.2", false},
		{"=1.2.3-rc.1", "1.2.3", false},
		{"=1.2", "1.2.0", true},
		{"=1.2", "1.2.99", true},
		{"=1.2", "1.3.0", false},
		{"1", "1.9.9", true},
		{"1", "2.0.0", false},
		{"^1", "1.0.0", true},
		{"^1", "1.99.99", true},
		{"^1", "2.0.0", false},
		{"^1", "0.9.9", false},
		{"^1", "2.0.0-rc.1", false},
		{"^1.2.3", "1.2.3", true},
		{"^1.2.3", "1.2.2", false},
		{"^1.2.3", "1.99.0", true},
		{"^0", "0.5.0", true},
		{"^0", "1.0.0", false},
		{"^0.2", "0.2.9", true},
		{"^0.2", "0.3.0", false},
		{"^0.2.3", "0.2.3", true},
		{"^0.2.3", "0.2.2", false},
		{"^0.2.3", "0.3.0", false},
		{"^0.0.3", "0.0.3", true},
		{"^0.0.3", "0.0.4", false},
		{"^0.0", "0.0.9", true},
		{"^0.0", "0.1.0", false},
		{"^1.2.3-rc.2", "1.2.3-rc.2", true},
		{"^1.2.3-rc.2", "1.2.3-rc.10", true},
		{"^1.2.3-rc.2", "1.2.3-rc.1", false},
		{"^1.2.3-rc.2", "1.2.4-rc.3", false},
		{"^1.2.3-rc.2", "1.9.0", true},
		{"~1.2.3", "1.2.3", true},
		{"~1.2.3", "1.2.99", true},
		{"~1.2.3", "1.3.0", false},
		{"~1.2", "1.2.0", true},
		{"~1.2", "1.1.9", false},
		{"~1", "1.9.0", true},
		{"~1", "2.0.0", false},
		{">=1.0.0", "99.0.0", true},
		{">=1.0.0", "0.9.9", false},
		{">=1.2", "1.2.0", true},
		{"<3", "2.99.99", true},
		{"<3", "3.0.0", false},
		{"<3", "3.0.0-rc.1", false},
		{"<1.2.3-rc.2", "1.2.3-rc.1", true},
		{"<1.2.3-rc.2", "1.2.3-rc.2", false},
		{">=1.0.0 <3", "2.0.0", true},
		{">=1.0.0 <3", "3.0.0", false},
		{">=1.0.0 <3", "0.1.0", false},
		{"^1 ^2", "1.0.0", false},
		{">=1 >=1 >=1 >=1 >=1 >=1 >=1 <2", "1.5.0", true},
		{"^999999999", "999999999.1.0", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct semver version = version_of(rows[i].version);
		struct semver_range range;

		CHECK_EQ(semver_range_parse(rows[i].range, strlen(rows[i].range), &range), 0);
		if (semver_range_has(&range, &version) != rows[i].is_met)
			printf("# \"%s\" %s\n", rows[i].range, rows[i].version);
		CHECK_EQ(semver_range_has(&range, &version), rows[i].is_met);
	}
}

static void test_what_is_no_range_is_refused(void)
{
	static const char *const texts[] = {
		" ",	      "^",	"1 ",
		" 1",	      "1  2",	">1",
		"<=1",	      "> =1",	"^^1",
		"1.2.",	      "1.2-rc", "1.x",
		"1.*",	      "**",	"1 || 2",
		"1,2",	      "=01",	"1.2.3.4",
		"1000000000", "^1\n",	">=1 >=1 >=1 >=1 >=1 >=1 >=1 >=1 <2", /* nine parts */
	};
	char longest[SEMVER_RANGE_LEN_MAX + 2] = "1.2.3-";
	struct semver_range range;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (semver_range_parse(texts[i], strlen(texts[i]), &range) == 0)
			printf("# \"%s\"\n", texts[i]);
		CHECK_EQ(semver_range_parse(texts[i], strlen(texts[i]), &range), WEFT_EMALFORMED);
	}
	memset(longest + 6, 'a', sizeof(longest) - 7);
	CHECK_EQ(semver_range_parse(longest, SEMVER_RANGE_LEN_MAX, &range), 0);
	CHECK_EQ(semver_range_parse(longest, SEMVER_RANGE_LEN_MAX + 1, &range), WEFT_EMALFORMED);
}

/* Every prefix in memory that ends where it ends; whole, each is one of the two. */
static void test_no_read_beyond_the_text(void)
{
	static const char *const texts[] = {"1.20.300-rc.1+build.7", ">=1.0.0-a <3 ~1.2 ^1.2.3"};

	for (size_t i = 0; i < 2; i++)
		for (size_t len = 0; len <= strlen(texts[i]); len++) {
			char *exact = malloc(len ? len : 1);
			struct semver version;
			struct semver_range range;
			bool is_version, is_range;

			memcpy(exact, texts[i], len);
			is_version = semver_parse(exact, len, &version) == 0;
			is_range = semver_range_parse(exact, len, &range) == 0;
			free(exact);
			CHECK(len < strlen(texts[i]) || is_range);
			CHECK(len < strlen(texts[i]) || is_version == (i == 0));
		}
}

int main(void)
{
	RUN(test_versions_are_read);
	RUN(test_what_is_no_version_is_refused);
	RUN(test_precedence);
	RUN(test_ranges);
	RUN(test_what_is_no_range_is_refused);
	RUN(test_no_read_beyond_the_text);
	return check_done();
}
