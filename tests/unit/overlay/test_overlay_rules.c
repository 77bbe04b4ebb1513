/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay/overlay_rules.h"

#include <string.h>

#include "overlay/overlay_reason.h"
#include "support/check.h"

static struct overlay_rules rules;
static int check_err;
static uint64_t check_expires_s;

static int check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		 struct overlay_claim *out_claim)
{
	(void)ctx;
	(void)value;
	(void)wall_s;
	*out_claim = (struct overlay_claim){.expires_s = check_expires_s};
	return check_err;
}

static struct overlay_rule rule_of(uint8_t tag, const char *prefix)
{
	return (struct overlay_rule){
		.tag = tag, .prefix = prefix, .len_max = 100, .key_max = 4, .check = check};
}

static void begin(void)
{
	struct overlay_rule rule = rule_of(1, "one:");

	rules = (struct overlay_rules){0};
	check_err = 0;
	check_expires_s = 2000;
	if (overlay_rules_add(&rules, &rule) < 0)
		abort();
}

static void test_rules_that_make_no_sense_are_refused(void)
{
	struct overlay_rule good = rule_of(2, "two:"), rule;

	begin();
	rule = good;
	rule.prefix = "";
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule = good;
	rule.check = NULL;
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule = good;
	rule.len_max = 0;
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule.len_max = OVERLAY_VALUE_LEN_MAX + 1;
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule = good;
	rule.key_max = 0;
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule.key_max = OVERLAY_KEY_MAX + 1;
	CHECK_EQ(overlay_rules_add(&rules, &rule), WEFT_EMALFORMED);
	rule.key_max = OVERLAY_KEY_MAX;
	rule.len_max = OVERLAY_VALUE_LEN_MAX;
	CHECK_EQ(overlay_rules_add(&rules, &rule), 0);
}

static void test_a_name_has_one_rule(void)
{
	struct overlay_rule same_tag = rule_of(1, "two:"), same = rule_of(2, "one:");
	struct overlay_rule shorter = rule_of(2, "on"), longer = rule_of(2, "one:more:");
	struct overlay_rule beside = rule_of(2, "onf:");

	begin();
	CHECK_EQ(overlay_rules_add(&rules, &same_tag), WEFT_EEXISTS);
	CHECK_EQ(overlay_rules_add(&rules, &same), WEFT_EEXISTS);
	CHECK_EQ(overlay_rules_add(&rules, &shorter), WEFT_EEXISTS);
	CHECK_EQ(overlay_rules_add(&rules, &longer), WEFT_EEXISTS);
	CHECK_EQ(overlay_rules_add(&rules, &beside), 0);
}

static void test_one_rule_too_many_is_refused(void)
{
	static char prefixes[OVERLAY_RULES_MAX + 1][4];
	struct overlay_rule rule;

	rules = (struct overlay_rules){0};
	for (unsigned i = 0; i <= OVERLAY_RULES_MAX; i++) {
		snprintf(prefixes[i], sizeof(prefixes[i]), "%c:", 'a' + i);
		rule = rule_of((uint8_t)i, prefixes[i]);
		CHECK_EQ(overlay_rules_add(&rules, &rule), i < OVERLAY_RULES_MAX ? 0 : WEFT_EFULL);
	}
}

static void test_values_are_judged(void)
{
	static const char long_name[OVERLAY_NAME_LEN_MAX + 2] = "one:";
	static const struct {
		const char *name;
		size_t name_len, len;
		uint8_t tag;
		int err;
		uint64_t expires_s;
		enum overlay_reason want;
	} rows[] = {
		{"one:x", 5, 100, 1, 0, 1001, OVERLAY_STORED},
		{long_name, OVERLAY_NAME_LEN_MAX, 100, 1, 0, 1001, OVERLAY_STORED},
		{"one:x", 5, 0, 1, 0, 1001, OVERLAY_UNKNOWN_TAG},
		{"one:x", 5, 100, 2, 0, 1001, OVERLAY_UNKNOWN_TAG},
		{"two:x", 5, 100, 1, 0, 1001, OVERLAY_FOREIGN_NAME},
		{"one", 3, 100, 1, 0, 1001, OVERLAY_FOREIGN_NAME},
		{"one:", 4, 100, 1, 0, 1001, OVERLAY_FOREIGN_NAME}, /* names nothing */
		{long_name, OVERLAY_NAME_LEN_MAX + 1, 100, 1, 0, 1001, OVERLAY_FOREIGN_NAME},
		{"one:x", 5, 101, 1, 0, 1001, OVERLAY_LONG_VALUE},
		{"one:x", 5, 100, 1, WEFT_EMALFORMED, 1001, OVERLAY_BAD_VALUE},
		{"one:x", 5, 100, 1, WEFT_EDAMAGED, 1001, OVERLAY_BAD_SIGNATURE},
		{"one:x", 5, 100, 1, WEFT_ESTALE, 1001, OVERLAY_EXPIRED},
		{"one:x", 5, 100, 1, WEFT_EREFUSED, 1001, OVERLAY_AGAINST_RULE},
		{"one:x", 5, 100, 1, WEFT_ETOOLARGE, 1001, OVERLAY_LONG_VALUE},
		{"one:x", 5, 100, 1, 0, 1000, OVERLAY_EXPIRED}, /* its rule did not look */
	};
	uint8_t value[101] = {0};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct overlay_rule *rule;
		struct overlay_claim claim;

		value[0] = rows[i].tag;
		check_err = rows[i].err;
		check_expires_s = rows[i].expires_s;
		CHECK_EQ(overlay_rules_judge(&rules,
					     &(struct overlay_value){rows[i].name, rows[i].name_len,
								     value, rows[i].len},
					     1000, &rule, &claim),
			 rows[i].want);
	}
}

static void test_too_many_entries_are_not_reported_as_too_many_bytes_alone(void)
{
	/* A rule answers both with WEFT_ETOOLARGE: an eleventh entry of metadata, and a long text. */
	CHECK(strstr(overlay_reasons[OVERLAY_LONG_VALUE].text, "has more entries"));
	CHECK_STR(overlay_reasons[OVERLAY_LONG_VALUE].word, "long-value");
}

int main(void)
{
	RUN(test_rules_that_make_no_sense_are_refused);
	RUN(test_a_name_has_one_rule);
	RUN(test_one_rule_too_many_is_refused);
	RUN(test_values_are_judged);
	RUN(test_too_many_entries_are_not_reported_as_too_many_bytes_alone);
	return check_done();
}
