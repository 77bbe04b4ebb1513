/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people and for pipes. */
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CELL_CAP   4352 /* a path */
#define COLUMN_MAX 16
#define ID_SHORT   12

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

void text_print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	printf("\n");
}

uint64_t field_uint(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

const char *field_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void cell_human(const struct column *column, const json_t *value, char cell[static CELL_CAP])
{
	uint64_t number = (uint64_t)json_integer_value(value);
	char brief[TEXT_SHORT_CAP];

	if (column->kind == COLUMN_BYTES)
		snprintf(cell, CELL_CAP, "%s", text_bytes(number, brief));
	else if (column->kind == COLUMN_TIME)
		snprintf(cell, CELL_CAP, "%s", text_time(number, brief));
	else if (column->kind == COLUMN_ID && strlen(cell) > ID_SHORT)
		cell[ID_SHORT] = '\0';
}

static void cell_write(const struct invocation *inv, const struct column *column,
		       const json_t *object, char cell[static CELL_CAP])
{
	const json_t *value = json_object_get(object, column->field);

	if (!value || json_is_null(value))
		snprintf(cell, CELL_CAP, "-");
	else if (json_is_boolean(value))
		snprintf(cell, CELL_CAP, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_integer(value))
		snprintf(cell, CELL_CAP, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		text_clean(field_text(object, column->field), cell, CELL_CAP);
	if (inv->has_terminal_out && value && !json_is_null(value))
		cell_human(column, value, cell);
}

static bool column_is_number(const struct column *column)
{
	return column->kind == COLUMN_COUNT || column->kind == COLUMN_BYTES;
}

/* A terminal column is as wide as its letters, not its bytes: UTF-8 counts once. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void cell_print(const char *cell, size_t width, bool is_number, bool is_last)
{
	int pad = (int)(width - text_width(cell));

	if (is_number)
		printf("%*s%s", pad, "", cell);
	else if (is_last)
		printf("%s", cell);
	else
		printf("%s%*s", cell, pad, "");
	printf("%s", is_last ? "\n" : "  ");
}

static void table_aligned(const struct invocation *inv, const json_t *rows,
			  const struct column *columns, unsigned column_cnt)
{
	size_t widths[COLUMN_MAX], idx;
	char cell[CELL_CAP];
	json_t *row;

	for (unsigned i = 0; i < column_cnt; i++)
		widths[i] = strlen(columns[i].heading);
	json_array_foreach(rows, idx, row)
	{
		for (unsigned i = 0; i < column_cnt; i++) {
			cell_write(inv, &columns[i], row, cell);
			if (text_width(cell) > widths[i])
				widths[i] = text_width(cell);
		}
	}
	for (unsigned i = 0; i < column_cnt; i++)
		cell_print(columns[i].heading, widths[i], column_is_number(&columns[i]),
			   i + 1 == column_cnt);
	json_array_foreach(rows, idx, row)
	{
		for (unsigned i = 0; i < column_cnt; i++) {
			cell_write(inv, &columns[i], row, cell);
			cell_print(cell, widths[i], column_is_number(&columns[i]),
				   i + 1 == column_cnt);
		}
	}
}

static void table_piped(const struct invocation *inv, const json_t *rows,
			const struct column *columns)
{
	char cell[CELL_CAP];
	json_t *row;
	size_t idx;

	json_array_foreach(rows, idx, row)
	{
		for (unsigned i = 0; columns[i].heading; i++) {
			cell_write(inv, &columns[i], row, cell);
			printf("%s%s", i ? "\t" : "", cell);
		}
		printf("\n");
	}
}

void table_print(const struct invocation *inv, const json_t *rows, const struct column *columns,
		 const char *empty)
{
	struct column shown[COLUMN_MAX];
	unsigned cnt = 0;

	if (!inv->has_terminal_out) {
		table_piped(inv, rows, columns);
		return;
	}
	if (json_array_size(rows) == 0) {
		printf("%s\n", empty);
		return;
	}
	for (; columns->heading; columns++) {
		if (columns->kind != COLUMN_PIPE)
			shown[cnt++] = *columns;
	}
	table_aligned(inv, rows, shown, cnt);
}

void fields_print(const struct invocation *inv, const json_t *object, const struct column *columns)
{
	char cell[CELL_CAP];

	for (; columns->heading; columns++) {
		struct column column = *columns;

		/* There is room for a whole id here. */
		if (column.kind == COLUMN_ID)
			column.kind = COLUMN_TEXT;
		cell_write(inv, &column, object, cell);
		if (inv->has_terminal_out)
			printf("%-18s %s\n", column.heading, cell);
		else
			printf("%s\t%s\n", column.heading, cell);
	}
}
