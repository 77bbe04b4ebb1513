/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with decimals and times, as a user types and reads them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "offers/schema/schema_type.h"

#define DAY_S 86400

const char *offers_schema_number_print(const struct schema_field *field, int64_t number,
				       char buf[static SCHEMA_NUMBER_CAP])
{
	uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	uint64_t scale = 1, millionth = 1000000;
	size_t len;

	for (unsigned i = 0; i < field->decimals; i++) {
		scale *= 10;
		millionth /= 10;
	}
	snprintf(buf, SCHEMA_NUMBER_CAP, "%s%" PRIu64 ".%06" PRIu64, number < 0 ? "-" : "",
		 magnitude / scale, magnitude % scale * millionth);
	/* Without decimals a zero stands behind the point; it goes with the others. */
	len = strlen(buf);
	while (buf[len - 1] == '0')
		len--;
	if (buf[len - 1] == '.')
		len--;
	buf[len] = '\0';
	return buf;
}

/* Appends a digit; false on overflow. */
static bool digit_take(char c, uint64_t *number)
{
	if (c < '0' || c > '9')
		return false;
	return !__builtin_mul_overflow(*number, 10u, number) &&
	       !__builtin_add_overflow(*number, (uint64_t)(c - '0'), number);
}

bool offers_schema_number_read(const struct schema_field *field, const char *text, size_t len,
			       int64_t *out)
{
	bool is_negative = len > 0 && text[0] == '-';
	unsigned decimals = 0;
	uint64_t number = 0;
	size_t i = is_negative, digits = i;

	for (; i < len && text[i] != '.'; i++)
		if (!digit_take(text[i], &number))
			return false;
	if (i == digits)
		return false;
	if (i < len && i + 1 == len)
		return false;
	for (i++; i < len; i++)
		if (++decimals > field->decimals || !digit_take(text[i], &number))
			return false;
	for (; decimals < field->decimals; decimals++)
		if (!digit_take('0', &number))
			return false;
	if (number > INT64_MAX)
		return false;
	*out = is_negative ? -(int64_t)number : (int64_t)number;
	return true;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, years counted from March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t from_march = (month + 9) % 12;
	int64_t y = year - (month <= 2);

	return y * 365 + y / 4 - y / 100 + y / 400 + (from_march * 153 + 2) / 5 + day - 1 - 719468;
}

static void date_of(int64_t days, int64_t out[static 3])
{
	int64_t shifted = days + 719468;
	int64_t era = shifted / 146097, of_era = shifted % 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t from_march = (5 * of_year + 2) / 153;

	out[2] = of_year - (153 * from_march + 2) / 5 + 1;
	out[1] = from_march < 10 ? from_march + 3 : from_march - 9;
	out[0] = year + era * 400 + (out[1] <= 2);
}

/* Reads len digits at *io_at; false when there are others. */
static bool digits_read(const char **io_at, const char *end, unsigned len, int64_t *out)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < len; i++, (*io_at)++)
		if (*io_at == end || !digit_take(**io_at, &number))
			return false;
	*out = (int64_t)number;
	return true;
}

static bool letter_read(const char **io_at, const char *end, const char *letters)
{
	if (*io_at == end || !**io_at || !strchr(letters, **io_at))
		return false;
	(*io_at)++;
	return true;
}

static bool date_read(const char **io_at, const char *end, int64_t *out_days)
{
	int64_t year, month, day, back[3];

	if (!digits_read(io_at, end, 4, &year) || !letter_read(io_at, end, "-") ||
	    !digits_read(io_at, end, 2, &month) || !letter_read(io_at, end, "-") ||
	    !digits_read(io_at, end, 2, &day) || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*out_days = days_of(year, month, day);
	date_of(*out_days, back);
	/* The 31st of a month of 30 days would be the 1st of the next. */
	return year >= 1970 && back[1] == month;
}

static bool clock_read(const char **io_at, const char *end, int64_t *out_seconds)
{
	int64_t hours, minutes, seconds = 0;

	if (!digits_read(io_at, end, 2, &hours) || !letter_read(io_at, end, ":") ||
	    !digits_read(io_at, end, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	if (letter_read(io_at, end, ":") && !digits_read(io_at, end, 2, &seconds))
		return false;
	*out_seconds = hours * 3600 + minutes * 60 + seconds;
	return seconds <= 59;
}

bool offers_schema_time_read(const char *text, size_t len, int64_t *out)
{
	const char *at = text, *end = text + len;
	int64_t days, clock = 0, zone = 0;
	bool is_east;

	if (!date_read(&at, end, &days))
		return false;
	if (letter_read(&at, end, "T ")) {
		if (!clock_read(&at, end, &clock))
			return false;
		is_east = at != end && *at == '+';
		if (letter_read(&at, end, "+-") && !clock_read(&at, end, &zone))
			return false;
		clock -= is_east ? zone : -zone;
		if (zone == 0)
			(void)letter_read(&at, end, "Z");
	}
	if (at != end || days * DAY_S + clock < 0 || days * DAY_S + clock > SCHEMA_TIME_MAX)
		return false;
	*out = days * DAY_S + clock;
	return true;
}

const char *offers_schema_time_print(int64_t seconds, char buf[static SCHEMA_TIME_CAP])
{
	int64_t date[3], clock = seconds % DAY_S;
	int len;

	date_of(seconds / DAY_S, date);
	len = snprintf(buf, SCHEMA_TIME_CAP, "%04u-%02u-%02u", (unsigned)date[0] % 10000,
		       (unsigned)date[1] % 100, (unsigned)date[2] % 100);
	if (clock)
		len += snprintf(buf + len, SCHEMA_TIME_CAP - (size_t)len, "T%02u:%02u",
				(unsigned)(clock / 3600), (unsigned)(clock / 60 % 60));
	if (clock % 60)
		len += snprintf(buf + len, SCHEMA_TIME_CAP - (size_t)len, ":%02u",
				(unsigned)(clock % 60));
	if (clock)
		snprintf(buf + len, SCHEMA_TIME_CAP - (size_t)len, "Z");
	return buf;
}
