/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_RULES_H
#define WEFT_OVERLAY_OVERLAY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "overlay_reason.h"
#include "mesh/seam_overlay.h"

/* The kinds of values that are known, each by its tag and by the prefix of its names. */
#define OVERLAY_RULES_MAX 16

struct overlay_rules {
	struct overlay_rule rules[OVERLAY_RULES_MAX];
	unsigned cnt;
};

/* overlay_rules_add: as overlay_ops.add_rule. */
WEFT_MUST_CHECK
int overlay_rules_add(struct overlay_rules *rules, const struct overlay_rule *rule);
/* overlay_rules_find: the rule of tag, or NULL; borrowed for good. */
const struct overlay_rule *overlay_rules_find(const struct overlay_rules *rules, uint8_t tag);
bool overlay_rule_has_name(const struct overlay_rule *rule, const void *name, size_t name_len);

/*
 * overlay_rules_judge looks at everything about a value that does not depend on what is
 * kept. OVERLAY_STORED with *out_rule and *out_claim, or why it is refused.
 */
enum overlay_reason overlay_rules_judge(const struct overlay_rules *rules,
					const struct overlay_value *value, uint64_t wall_s,
					const struct overlay_rule **out_rule,
					struct overlay_claim *out_claim);

#endif
