/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people and for pipes. */
#include "print/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* letter_len: bytes of the UTF-8 letter at c; 0: none that a terminal should see. */
static size_t letter_len(const unsigned char *c)
{
	size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	if (c[0] < 0x20 || c[0] == 0x7f || c[0] > 0xf4)
		return 0;
	/* The control characters of the upper half (C1). */
	if (c[0] == 0xc2 && c[1] < 0xa0)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

const char *text_clean(const char *text, char *buf, size_t cap)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t len = 0;

	while (*c) {
		size_t letter = letter_len(c);
		size_t step = letter ? letter : 1;

		if (len + step >= cap)
			break;
		if (letter)
			memcpy(buf + len, c, letter);
		else
			buf[len] = '?';
		len += step;
		c += step;
	}
	buf[len] = '\0';
	return buf;
}

const char *text_bytes(uint64_t byte_cnt, char buf[static TEXT_SHORT_CAP])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)byte_cnt;
	unsigned unit = 0;

	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	snprintf(buf, TEXT_SHORT_CAP, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buf;
}

const char *text_seconds(uint64_t seconds, char buf[static TEXT_SHORT_CAP])
{
	if (seconds >= 86400)
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 "d %02" PRIu64 "h", seconds / 86400,
			 seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 "h %02" PRIu64 "m", seconds / 3600,
			 seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 "m %02" PRIu64 "s", seconds / 60,
			 seconds % 60);
	else
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 "s", seconds);
	return buf;
}

const char *text_rtt(uint64_t us, char buf[static TEXT_SHORT_CAP])
{
	if (us < 1000)
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 " us", us);
	else
		snprintf(buf, TEXT_SHORT_CAP, us < 100000 ? "%.2f ms" : "%.0f ms",
			 (double)us / 1000);
	return buf;
}

const char *text_elapsed(uint64_t ms, char buf[static TEXT_SHORT_CAP])
{
	if (ms >= 60000)
		return text_seconds(ms / 1000, buf);
	if (ms >= 1000)
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 ".%" PRIu64 " s", ms / 1000,
			 ms / 100 % 10);
	else
		snprintf(buf, TEXT_SHORT_CAP, "%" PRIu64 " ms", ms);
	return buf;
}

const char *text_count(uint64_t cnt, const char *one, const char *many,
		       char buf[static TEXT_COUNT_CAP])
{
	snprintf(buf, TEXT_COUNT_CAP, "%" PRIu64 " %s", cnt, cnt == 1 ? one : many);
	return buf;
}

const char *text_time(uint64_t wall_s, char buf[static TEXT_SHORT_CAP])
{
	time_t at = (time_t)wall_s;
	struct tm tm;

	if (!wall_s || !localtime_r(&at, &tm))
		snprintf(buf, TEXT_SHORT_CAP, "never");
	else
		strftime(buf, TEXT_SHORT_CAP, "%Y-%m-%d %H:%M", &tm);
	return buf;
}

bool text_parse_size(const char *text, size_t len, uint64_t *out_size)
{
	static const char units[] = "KMGT";
	const char *unit = len ? strchr(units, text[len - 1]) : NULL;
	unsigned shift = unit && *unit ? 10 * (unsigned)(unit - units + 1) : 0;
	uint64_t size = 0;

	if (shift)
		len--;
	if (len == 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, (uint64_t)(text[i] - '0'), &size))
			return false;
	}
	/* JSON's integers are signed. */
	if (size > (uint64_t)INT64_MAX >> shift)
		return false;
	*out_size = size << shift;
	return true;
}

bool text_parse_count(const char *text, uint64_t *out_count)
{
	size_t len = strlen(text);

	return len && text[len - 1] >= '0' && text[len - 1] <= '9' &&
	       text_parse_size(text, len, out_count);
}

bool text_parse_seconds(const char *text, uint64_t *out_seconds)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t len = strlen(text);
	char digits[16];
	uint64_t cnt;

	if (len < 2 || len > sizeof(digits))
		return false;
	memcpy(digits, text, len - 1);
	digits[len - 1] = '\0';
	if (!text_parse_count(digits, &cnt) || !cnt || cnt > UINT32_MAX)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[len - 1] == units[i].unit) {
			*out_seconds = cnt * units[i].seconds;
			return true;
		}
	return false;
}

void text_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	printf("\n");
}

void text_print_json_line(const json_t *json)
{
	json_dumpf(json, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	printf("\n");
}
