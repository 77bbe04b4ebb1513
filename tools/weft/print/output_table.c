/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and fields: aligned for people, tab-separated for pipes. */
#include "print/output_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "print/terminal.h"
#include "print/text.h"

#define CELL_CAP       4352 /* a path */
#define COLUMN_MAX     16
#define ID_SHORT       12
#define TEXT_WIDTH_MIN 6 /* no column of text is made narrower */
#define ELLIPSIS       "\xe2\x80\xa6"

static void cell_human(const struct column *column, const json_t *object,
		       char cell[static CELL_CAP])
{
	json_int_t value = json_integer_value(json_object_get(object, column->field));
	uint64_t number = value < 0 ? (uint64_t)-value : (uint64_t)value;
	enum column_kind kind = column->kind;
	char brief[TEXT_SHORT_CAP];

	if (kind == COLUMN_QUANTITY && strcmp(field_text(object, "unit"), "bytes") == 0)
		kind = COLUMN_BYTES;
	if (kind == COLUMN_QUANTITY && strcmp(field_text(object, "unit"), "bytes_per_s") == 0)
		snprintf(cell, CELL_CAP, "%s/s", text_bytes(number, brief));
	else if (kind == COLUMN_BYTES)
		snprintf(cell, CELL_CAP, "%s", text_bytes(number, brief));
	else if (kind == COLUMN_TIME)
		snprintf(cell, CELL_CAP, "%s", text_time(number, brief));
	else if (kind == COLUMN_RTT)
		snprintf(cell, CELL_CAP, "%s", text_rtt(number, brief));
	else if (kind == COLUMN_SECONDS)
		snprintf(cell, CELL_CAP, "%s%s", value < 0 ? "-" : "", text_seconds(number, brief));
	else if (kind == COLUMN_ID && strlen(cell) > ID_SHORT)
		cell[ID_SHORT] = '\0';
	else if (!*cell)
		snprintf(cell, CELL_CAP, "-");
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
		cell_human(column, object, cell);
}

static bool column_is_number(const struct column *column)
{
	return column->kind == COLUMN_COUNT || column->kind == COLUMN_BYTES ||
	       column->kind == COLUMN_RTT || column->kind == COLUMN_QUANTITY;
}

/* A terminal column is as wide as its letters, not its bytes: UTF-8 counts once. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

/* cell_fit cuts what is wider than its column, and says so by its last letter. */
static void cell_fit(char *cell, size_t width)
{
	size_t kept = 0;

	if (text_width(cell) <= width)
		return;
	for (size_t at = 0; kept < width && cell[at]; at++) {
		kept += (cell[at] & 0xc0) != 0x80;
		if (kept == width)
			strcpy(cell + at, ELLIPSIS);
	}
}

static void cell_print(char *cell, size_t width, bool is_number, bool is_last)
{
	int pad;

	cell_fit(cell, width);
	pad = (int)(width - text_width(cell));
	if (is_number)
		printf("%*s%s", pad, "", cell);
	else if (is_last)
		printf("%s", cell);
	else
		printf("%s%*s", cell, pad, "");
	printf("%s", is_last ? "\n" : "  ");
}

/* widths_fit takes from the widest column of text until a line fits the terminal. */
static void widths_fit(size_t *widths, const struct column *columns, unsigned column_cnt)
{
	size_t max = terminal_columns(STDOUT_FILENO), sum = 2 * (column_cnt - 1);

	for (unsigned i = 0; i < column_cnt; i++)
		sum += widths[i];
	while (sum > max) {
		unsigned widest = column_cnt;

		for (unsigned i = 0; i < column_cnt; i++) {
			if (columns[i].kind == COLUMN_TEXT &&
			    widths[i] > strlen(columns[i].heading) && widths[i] > TEXT_WIDTH_MIN &&
			    (widest == column_cnt || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == column_cnt)
			return;
		widths[widest]--;
		sum--;
	}
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
	widths_fit(widths, columns, column_cnt);
	for (unsigned i = 0; i < column_cnt; i++) {
		snprintf(cell, sizeof(cell), "%s", columns[i].heading);
		cell_print(cell, widths[i], column_is_number(&columns[i]), i + 1 == column_cnt);
	}
	json_array_foreach(rows, idx, row)
	{
		for (unsigned i = 0; i < column_cnt; i++) {
			cell_write(inv, &columns[i], row, cell);
			cell_print(cell, widths[i], column_is_number(&columns[i]),
				   i + 1 == column_cnt);
		}
	}
}

/* kind may be NULL. */
static void table_piped(const struct invocation *inv, const char *kind, const json_t *rows,
			const struct column *columns)
{
	char cell[CELL_CAP];
	json_t *row;
	size_t idx;

	json_array_foreach(rows, idx, row)
	{
		if (kind)
			printf("%s\t", kind);
		for (unsigned i = 0; columns[i].heading; i++) {
			cell_write(inv, &columns[i], row, cell);
			printf("%s%s", i ? "\t" : "", cell);
		}
		printf("\n");
	}
}

/* For people: without the columns that only a pipe gets. */
static void table_shown(const struct invocation *inv, const json_t *rows,
			const struct column *columns)
{
	struct column shown[COLUMN_MAX];
	unsigned cnt = 0;

	for (; columns->heading; columns++) {
		if (columns->kind != COLUMN_PIPE)
			shown[cnt++] = *columns;
	}
	table_aligned(inv, rows, shown, cnt);
}

void table_print_part(const struct invocation *inv, const char *kind, const json_t *rows,
		      const struct column *columns)
{
	if (inv->has_terminal_out)
		table_shown(inv, rows, columns);
	else
		table_piped(inv, kind, rows, columns);
}

void table_print(const struct invocation *inv, const json_t *rows, const struct column *columns,
		 const char *empty)
{
	if (!inv->has_terminal_out)
		table_piped(inv, NULL, rows, columns);
	else if (json_array_size(rows) == 0)
		printf("%s\n", empty);
	else
		table_shown(inv, rows, columns);
}

void fields_print(const struct invocation *inv, const json_t *object, const struct field *fields)
{
	char cell[CELL_CAP];

	for (; fields->name; fields++) {
		struct column column = {fields->title, fields->field, fields->kind};

		/* There is room for a whole id here. */
		if (column.kind == COLUMN_ID)
			column.kind = COLUMN_TEXT;
		cell_write(inv, &column, object, cell);
		if (inv->has_terminal_out)
			printf("%-*s  %s\n", FIELD_TITLE_WIDTH, fields->title, cell);
		else
			printf("%s\t%s\n", fields->name, cell);
	}
}

void table_tell_more(const json_t *reply)
{
	const char *cursor = field_text(reply, "cursor");

	if (*cursor)
		fprintf(stderr, "There are more: --cursor %s\n", cursor);
}
