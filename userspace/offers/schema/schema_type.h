/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SCHEMA_TYPE_H
#define WEFT_OFFERS_SCHEMA_TYPE_H

#include "offers/schema/schema.h"

/* The types of fields: what each is called, how it is compared, and which values it has. */
struct schema_type_row {
	const char *name;
	const char *noun; /* "a number": of faults */
	bool is_list;
	bool is_text;	     /* items are CBOR text; else numbers, a flag or a hash */
	uint8_t comparisons; /* bits of enum schema_comparison */
};
const struct schema_type_row *offers_schema_type_of(enum schema_type type);
/* offers_schema_type_named, offers_schema_comparison_named: -1 when there is none. */
int offers_schema_type_named(const char *name);
int offers_schema_comparison_named(const char *name);
bool offers_schema_type_takes(enum schema_type type, enum schema_comparison comparison);

/* offers_schema_fault_set fills all but the line; returns WEFT_EMALFORMED. next may be NULL. */
__attribute__((format(printf, 4, 5))) int offers_schema_fault_set(struct schema_fault *fault,
								  const char *field,
								  const char *next,
								  const char *what, ...);

/*
 * offers_schema_item_check: the item is one that the field may have. is_newer: it was written by
 * a newer version, which may know more choices and wider ranges.
 */
WEFT_MUST_CHECK
int offers_schema_item_check(const struct schema_field *field, const struct schema_item *item,
			     bool is_newer, struct schema_fault *fault);
/* offers_schema_item_check_asked: the item is one that a filter may ask for. */
WEFT_MUST_CHECK
int offers_schema_item_check_asked(const struct schema_field *field,
				   const struct schema_filter *filter,
				   const struct schema_item *item, struct schema_fault *fault);

/* offers_schema_number_read: false when it is no number, or has more decimals than the field. */
bool offers_schema_number_read(const struct schema_field *field, const char *text, size_t len,
			       int64_t *out);

/* Seconds since 1970 of the last second of the year 9999. */
#define SCHEMA_TIME_MAX 253402300799
#define SCHEMA_TIME_CAP 32
/*
 * offers_schema_time_read reads 2027-01-15, 2027-01-15T08:00 and 2027-01-15T08:00:30+01:00;
 * without a zone it is UTC. offers_schema_time_print writes it in UTC, without the time at
 * midnight.
 */
bool offers_schema_time_read(const char *text, size_t len, int64_t *out);
const char *offers_schema_time_print(int64_t seconds, char buf[static SCHEMA_TIME_CAP]);

#endif
