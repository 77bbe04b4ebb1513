/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CODEC_TEXT_SEMVER_H
#define WEFT_CODEC_TEXT_SEMVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Versions of services (Semantic Versioning 2.0.0) and the ranges in which
 * callers ask for them. Pure.
 */
#define SEMVER_LEN_MAX	       32
#define SEMVER_NUMBER_MAX      999999999u
#define SEMVER_RANGE_LEN_MAX   96u
#define SEMVER_RANGE_PARTS_MAX 8u

/* Borrows the text it was parsed from. */
struct semver {
	uint32_t major, minor, patch;
	const char *pre; /* "rc.1" of "1.0.0-rc.1" */
	size_t pre_len;	 /* 0: none */
};

/*
 * semver_parse reads len bytes: "1.2.3", "1.2.3-rc.1+build". 0 or
 * WEFT_EMALFORMED, also when longer than SEMVER_LEN_MAX.
 * semver_compare: < 0, 0, > 0 in the order of precedence; builds do not count.
 */
WEFT_MUST_CHECK
int semver_parse(const char *text, size_t len, struct semver *out_version);
int semver_compare(const struct semver *a, const struct semver *b);

/*
 * A range is parts divided by spaces, all of which a version has to meet:
 *
 *	=1.2.3		that version; =1.2 is any 1.2.x
 *	^1.2.3		>= 1.2.3, same first number that is not 0: ^0.2 is 0.2.x
 *	~1.2.3		>= 1.2.3, same major and minor; ~1 is any 1.x
 *	>=1.2 <3	in this order: 1.2.0 and later, before 3.0.0
 *
 * Numbers that are left out are 0; after = and ~ they may be any. No sign is =. An
 * empty text and "*" are every version. A pre-release is met only where a part names
 * one of the same three numbers.
 * Borrows its text.
 */
struct semver_range {
	unsigned part_cnt;
	struct semver_range_part {
		struct semver low;  /* inclusive */
		struct semver high; /* exclusive */
		bool is_exact;	    /* low, and no other */
		bool has_high;
	} parts[SEMVER_RANGE_PARTS_MAX];
};
WEFT_MUST_CHECK
int semver_range_parse(const char *text, size_t len, struct semver_range *out_range);
bool semver_range_has(const struct semver_range *range, const struct semver *version);

#endif
