/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP dates without a locale. */
#include "gateway/date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_9999_END_S 253402300799ull

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

const char *gateway_http_date_write(uint64_t wall_s, char text[static HTTP_DATE_CAP])
{
	time_t time = (time_t)(wall_s > YEAR_9999_END_S ? YEAR_9999_END_S : wall_s);
	struct tm tm;

	gmtime_r(&time, &tm);
	snprintf(text, HTTP_DATE_CAP, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
		 (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
		 ((unsigned)tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return text;
}

int gateway_http_date_parse(const char *text, uint64_t *out_wall_s)
{
	char day[4], month[4], again[HTTP_DATE_CAP];
	struct tm tm = {0};
	time_t time;

	if (strlen(text) != HTTP_DATE_CAP - 1 ||
	    sscanf(text, "%3s, %2d %3s %4d %2d:%2d:%2d GMT", day, &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 7)
		return WEFT_EMALFORMED;
	tm.tm_year -= 1900;
	for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++)
		if (memcmp(months[tm.tm_mon], month, sizeof(month)) == 0)
			break;
	time = timegm(&tm);
	/*
	 * A text that we would not write just so for that moment is no date: a
	 * 31st of June, a wrong day.
	 */
	if (time < 0 || strcmp(gateway_http_date_write((uint64_t)time, again), text) != 0)
		return WEFT_EMALFORMED;
	*out_wall_s = (uint64_t)time;
	return 0;
}
