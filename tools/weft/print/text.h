/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_TEXT_H
#define WEFT_TOOLS_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Text for people and for pipes. Names come from peers and file systems,
 * so whatever could steer a terminal is replaced before it is printed.
 */

/* text_clean copies text without control characters; returns buf. */
const char *text_clean(const char *text, char *buf, size_t cap);

#define TEXT_SHORT_CAP 32
/* text_bytes: "1.2 GiB"; text_seconds: "1m 05s"; text_time: local "2026-01-31 12:30". */
const char *text_bytes(uint64_t byte_cnt, char buf[static TEXT_SHORT_CAP]);
const char *text_seconds(uint64_t seconds, char buf[static TEXT_SHORT_CAP]);
const char *text_time(uint64_t wall_s, char buf[static TEXT_SHORT_CAP]);
/* text_rtt: "1.65 ms"; text_elapsed: "7 ms", "3.2 s". */
const char *text_rtt(uint64_t us, char buf[static TEXT_SHORT_CAP]);
const char *text_elapsed(uint64_t ms, char buf[static TEXT_SHORT_CAP]);
/* text_count: "1 file", "2 files". */
#define TEXT_COUNT_CAP 96
const char *text_count(uint64_t cnt, const char *one, const char *many,
		       char buf[static TEXT_COUNT_CAP]);

/* text_parse_count reads a decimal number; text_parse_size also 10K, 5M, 2G. */
bool text_parse_count(const char *text, uint64_t *out_count);
bool text_parse_size(const char *text, size_t len, uint64_t *out_size);

/* text_parse_seconds reads "90s", "10m", "12h", "7d"; more than 0. */
bool text_parse_seconds(const char *text, uint64_t *out_seconds);

/* text_print_json writes json indented, with a newline, in ASCII. */
void text_print_json(const json_t *json);
/* text_print_json_line: on one line. */
void text_print_json_line(const json_t *json);

#endif
