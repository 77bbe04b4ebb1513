/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_REASON_TABLE_H
#define WEFT_REASON_TABLE_H

/*
 * A table of reasons says what became of a datagram, a request or a value.
 * It is a .def file of rows REASON(NAME, "word", code, "text") that
 * undefines REASON at its end. The file is included with REASON as
 * WEFT_REASON_NAME for the enum, which counts by it, and as WEFT_REASON_ROW
 * for the array. The word is stable and for programs, the text is for
 * people, and the code is what the table's peers or callers get.
 */
struct weft_reason_row {
	const char *word;
	const char *text;
	int code;
};

#define WEFT_REASON_NAME(name, word, code, text) name,
#define WEFT_REASON_ROW(name, word, code, text)	 [name] = {word, text, code},

#endif
