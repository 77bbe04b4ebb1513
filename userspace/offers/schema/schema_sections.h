/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_SECTIONS_H
#define WEFT_OFFERS_SCHEMA_SECTIONS_H

#include "offers/schema/schema_type.h"

/* Private to schema_parse.c, which reads lines, and schema_sections.c, which has their meaning. */
#define SCHEMA_NAME_LEN_MAX (SCHEMA_NAME_CAP - 1)

struct schema_compiled {
	struct schema schema; /* first: offers_schema_free gets its address */
	struct schema_choice choices[SCHEMA_CHOICES_ALL];
	unsigned choice_cnt;
	size_t text_len, text_cap;
	char text[];
};

enum schema_section { SECTION_NONE, SECTION_SERVICE, SECTION_FIELD, SECTION_FILTER };
#define SCHEMA_SECTION_KEYS 14

struct schema_parsing {
	struct schema_compiled *made;
	struct schema_fault *fault;
	enum schema_section section;
	unsigned head_line;			 /* of the section */
	const char *values[SCHEMA_SECTION_KEYS]; /* of the section's keys; NULL: not given */
	unsigned lines[SCHEMA_SECTION_KEYS];
	/* Of each filter what is bound at the end. */
	const char *filter_fields[SCHEMA_FILTERS_MAX];
	unsigned filter_lines[SCHEMA_FILTERS_MAX];
};

/* offers_schema_section_key_named: the index of a key in the section, or -1. */
int offers_schema_section_key_named(enum schema_section section, const char *name);
/* offers_schema_section_keys_list writes the names of the section's keys. */
void offers_schema_section_keys_list(enum schema_section section, char *buf, size_t cap);
/* offers_schema_section_name: of the field or filter under way, for faults. */
const char *offers_schema_section_name(const struct schema_parsing *parse);
/* offers_schema_section_end makes of the section's lines what it describes. */
WEFT_MUST_CHECK
int offers_schema_section_end(struct schema_parsing *parse);
/* offers_schema_name_is_valid: small letters, digits, and those of beside, but not first. */
bool offers_schema_name_is_valid(const char *name, const char *beside);
/* offers_schema_text_keep copies a text, of which each stands once in the file: all have room. */
char *offers_schema_text_keep(struct schema_parsing *parse, const char *text, size_t len);
/* offers_schema_label_make: shared-flat and min_size become Shared flat and Min size. */
const char *offers_schema_label_make(struct schema_parsing *parse, const char *name);
/* offers_schema_fault_at: the fault to be filled, with its line. */
struct schema_fault *offers_schema_fault_at(const struct schema_parsing *parse, unsigned line);

#endif
