/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_rules.h"

#include <string.h>

static bool prefixes_overlap(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	return memcmp(a, b, a_len < b_len ? a_len : b_len) == 0;
}

int overlay_rules_add(struct overlay_rules *rules, const struct overlay_rule *rule)
{
	if (!rule->check || !rule->prefix[0] || !rule->len_max ||
	    rule->len_max > OVERLAY_VALUE_LEN_MAX || !rule->key_max ||
	    rule->key_max > OVERLAY_KEY_MAX)
		return WEFT_EMALFORMED;
	for (unsigned i = 0; i < rules->cnt; i++)
		if (rules->rules[i].tag == rule->tag ||
		    prefixes_overlap(rules->rules[i].prefix, rule->prefix))
			return WEFT_EEXISTS;
	if (rules->cnt == OVERLAY_RULES_MAX)
		return WEFT_EFULL;
	rules->rules[rules->cnt++] = *rule;
	return 0;
}

const struct overlay_rule *overlay_rules_find(const struct overlay_rules *rules, uint8_t tag)
{
	for (unsigned i = 0; i < rules->cnt; i++)
		if (rules->rules[i].tag == tag)
			return &rules->rules[i];
	return NULL;
}

bool overlay_rule_has_name(const struct overlay_rule *rule, const void *name, size_t name_len)
{
	size_t prefix_len = strlen(rule->prefix);

	return name_len > prefix_len && name_len <= OVERLAY_NAME_LEN_MAX &&
	       memcmp(name, rule->prefix, prefix_len) == 0;
}

static enum overlay_reason reason_of(int err)
{
	switch (err) {
	case 0:
		return OVERLAY_STORED;
	case WEFT_EDAMAGED:
		return OVERLAY_BAD_SIGNATURE;
	case WEFT_ESTALE:
		return OVERLAY_EXPIRED;
	case WEFT_EREFUSED:
		return OVERLAY_AGAINST_RULE;
	case WEFT_ETOOLARGE:
		return OVERLAY_LONG_VALUE;
	default:
		return OVERLAY_BAD_VALUE;
	}
}

enum overlay_reason overlay_rules_judge(const struct overlay_rules *rules,
					const struct overlay_value *value, uint64_t wall_s,
					const struct overlay_rule **out_rule,
					struct overlay_claim *out_claim)
{
	const struct overlay_rule *rule =
		value->len ? overlay_rules_find(rules, value->bytes[0]) : NULL;
	enum overlay_reason reason;

	if (!rule)
		return OVERLAY_UNKNOWN_TAG;
	if (!overlay_rule_has_name(rule, value->name, value->name_len))
		return OVERLAY_FOREIGN_NAME;
	if (value->len > rule->len_max)
		return OVERLAY_LONG_VALUE;
	reason = reason_of(rule->check(rule->ctx, value, wall_s, out_claim));
	if (reason == OVERLAY_STORED && out_claim->expires_s <= wall_s)
		reason = OVERLAY_EXPIRED;
	*out_rule = rule;
	return reason;
}
