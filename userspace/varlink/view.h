/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_VARLINK_VIEW_H
#define WEFT_VARLINK_VIEW_H

#include "varlink/type.h"

/*
 * How rows of a reply are shown to people: tools/varlink-c makes tables of
 * these from the notes beside the fields of include/varlink/.
 */
enum column_kind {
	COLUMN_TEXT,
	COLUMN_ID, /* cut to 12 letters on a terminal */
	COLUMN_COUNT,
	COLUMN_BYTES, /* 1.2 GiB on a terminal */
	COLUMN_TIME,
	COLUMN_SECONDS,	 /* 1m 05s on a terminal */
	COLUMN_RTT,	 /* microseconds; 1.65 ms on a terminal */
	COLUMN_QUANTITY, /* bytes, bytes_per_s or a count, as the unit says */
	COLUMN_BOOL,	 /* yes or no */
	COLUMN_PIPE,	 /* text that only a pipe gets */
};

/* A table ends with heading NULL. */
struct column {
	const char *heading;
	struct varlink_field field; /* of the row's struct */
	enum column_kind kind;
	const struct varlink_field *unit; /* of COLUMN_QUANTITY: the field that has it */
};

/* A line about one object: "title  value" on a terminal, else name TAB value. Ends with name NULL. */
struct field {
	const char *name; /* stable, for scripts */
	struct column column;
};

#endif
