/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and fields: aligned for people, tab-separated for pipes. */
#include "print/output_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "command/invocation.h"
#include "print/terminal.h"
#include "print/text.h"

#define CELL_CAP	  4352 /* a path */
#define COLUMN_MAX	  16
#define ID_SHORT	  12
#define TEXT_WIDTH_MIN	  6 /* no column of text is made narrower */
#define HEADING_WIDTH_MIN 9 /* nor one for its heading */
#define ELLIPSIS	  "\xe2\x80\xa6"

/* The unit of a column's number. */
static enum column_kind number_kind(const struct column *column, const void *row, bool *is_rate)
{
	const unsigned *unit = column->unit ? varlink_field_at(column->unit, row) : NULL;
	const char *word = unit ? column->unit->type->words[*unit] : "";

	*is_rate = strcmp(word, "bytes_per_s") == 0;
	return *is_rate || strcmp(word, "bytes") == 0 ? COLUMN_BYTES : column->kind;
}

static void cell_human(const struct column *column, int64_t value, const void *row,
		       char cell[static CELL_CAP])
{
	uint64_t number = value < 0 ? (uint64_t)-value : (uint64_t)value;
	char brief[TEXT_SHORT_CAP];
	bool is_rate;

	switch (number_kind(column, row, &is_rate)) {
	case COLUMN_BYTES:
		snprintf(cell, CELL_CAP, "%s%s", text_bytes(number, brief), is_rate ? "/s" : "");
		break;
	case COLUMN_TIME:
		snprintf(cell, CELL_CAP, "%s", text_time(number, brief));
		break;
	case COLUMN_RTT:
		snprintf(cell, CELL_CAP, "%s", text_rtt(number, brief));
		break;
	case COLUMN_SECONDS:
		snprintf(cell, CELL_CAP, "%s%s", value < 0 ? "-" : "", text_seconds(number, brief));
		break;
	case COLUMN_ID:
		if (strlen(cell) > ID_SHORT)
			cell[ID_SHORT] = '\0';
		/* fallthrough */
	default:
		if (!*cell)
			snprintf(cell, CELL_CAP, "-");
	}
}

static void cell_write(const struct invocation *inv, const struct column *column, const void *row,
		       char cell[static CELL_CAP])
{
	const struct varlink_type *type = column->field.type;
	const void *value = row ? varlink_field_at(&column->field, row) : NULL;
	int64_t number = 0;

	if (!value || (type->kind == VARLINK_KIND_STRING && !*(const char *const *)value)) {
		snprintf(cell, CELL_CAP, "-");
		return;
	}
	switch (type->kind) {
	case VARLINK_KIND_BOOL:
		snprintf(cell, CELL_CAP, "%s", *(const bool *)value ? "yes" : "no");
		break;
	case VARLINK_KIND_INT:
		number = *(const int64_t *)value;
		snprintf(cell, CELL_CAP, "%" PRId64, number);
		break;
	case VARLINK_KIND_ENUM:
		snprintf(cell, CELL_CAP, "%s", type->words[*(const unsigned *)value]);
		break;
	default:
		weft_assert(type->kind == VARLINK_KIND_STRING);
		text_clean(*(const char *const *)value, cell, CELL_CAP);
	}
	if (inv->has_terminal_out)
		cell_human(column, number, row, cell);
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

/* What a line has too much for the terminal. */
static size_t width_over(const size_t *widths, unsigned column_cnt)
{
	size_t max = terminal_columns(STDOUT_FILENO), sum = 2 * (column_cnt - 1);

	for (unsigned i = 0; i < column_cnt; i++)
		sum += widths[i];
	return sum > max ? sum - max : 0;
}

/*
 * widths_fit takes from the widest column of text until a line fits the terminal. Then it cuts
 * headings that are wider than what is below them.
 */
static void widths_fit(size_t *widths, const size_t *cells, const struct column *columns,
		       unsigned column_cnt)
{
	size_t over = width_over(widths, column_cnt);

	while (over) {
		unsigned widest = column_cnt;

		for (unsigned i = 0; i < column_cnt; i++) {
			if (columns[i].kind == COLUMN_TEXT &&
			    widths[i] > strlen(columns[i].heading) && widths[i] > TEXT_WIDTH_MIN &&
			    (widest == column_cnt || widths[i] > widths[widest]))
				widest = i;
		}
		if (widest == column_cnt)
			break;
		widths[widest]--;
		over--;
	}
	for (unsigned i = 0; i < column_cnt; i++)
		for (; over && widths[i] > cells[i] && widths[i] > HEADING_WIDTH_MIN; over--)
			widths[i]--;
}

static const void *row_at(const struct table_rows *rows, size_t idx)
{
	return (const char *)rows->rows + idx * rows->len;
}

static void table_aligned(const struct invocation *inv, const struct table_rows *rows,
			  const struct column *columns, unsigned column_cnt)
{
	size_t widths[COLUMN_MAX], cells[COLUMN_MAX] = {0};
	char cell[CELL_CAP];

	for (size_t idx = 0; idx < rows->cnt; idx++) {
		for (unsigned i = 0; i < column_cnt; i++) {
			cell_write(inv, &columns[i], row_at(rows, idx), cell);
			if (text_width(cell) > cells[i])
				cells[i] = text_width(cell);
		}
	}
	for (unsigned i = 0; i < column_cnt; i++)
		widths[i] = strlen(columns[i].heading) > cells[i] ? strlen(columns[i].heading)
								  : cells[i];
	widths_fit(widths, cells, columns, column_cnt);
	for (unsigned i = 0; i < column_cnt; i++) {
		snprintf(cell, sizeof(cell), "%s", columns[i].heading);
		cell_print(cell, widths[i], column_is_number(&columns[i]), i + 1 == column_cnt);
	}
	for (size_t idx = 0; idx < rows->cnt; idx++) {
		for (unsigned i = 0; i < column_cnt; i++) {
			cell_write(inv, &columns[i], row_at(rows, idx), cell);
			cell_print(cell, widths[i], column_is_number(&columns[i]),
				   i + 1 == column_cnt);
		}
	}
}

/* kind may be NULL. */
static void table_piped(const struct invocation *inv, const char *kind,
			const struct table_rows *rows, const struct column *columns)
{
	char cell[CELL_CAP];

	for (size_t idx = 0; idx < rows->cnt; idx++) {
		if (kind)
			printf("%s\t", kind);
		for (unsigned i = 0; columns[i].heading; i++) {
			cell_write(inv, &columns[i], row_at(rows, idx), cell);
			printf("%s%s", i ? "\t" : "", cell);
		}
		printf("\n");
	}
}

/* For people: without the columns that only a pipe gets. */
static void table_shown(const struct invocation *inv, const struct table_rows *rows,
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

void table_print_part(const struct invocation *inv, const char *kind, struct table_rows rows,
		      const struct column *columns)
{
	if (inv->has_terminal_out)
		table_shown(inv, &rows, columns);
	else
		table_piped(inv, kind, &rows, columns);
}

void show_part(const struct invocation *inv, const char *kind, struct table_rows rows,
	       const struct column *columns)
{
	if (!rows.cnt)
		return;
	table_print_part(inv, kind, rows, columns);
	if (inv->has_terminal_out)
		printf("\n");
}

void table_print(const struct invocation *inv, struct table_rows rows, const struct column *columns,
		 const char *empty)
{
	if (inv->has_terminal_out && !rows.cnt)
		printf("%s\n", empty);
	else
		table_print_part(inv, NULL, rows, columns);
}

void fields_print(const struct invocation *inv, const void *object, const struct field *fields)
{
	char cell[CELL_CAP];

	for (; fields->name; fields++) {
		struct column column = fields->column;

		/* There is room for a whole id here. */
		if (column.kind == COLUMN_ID)
			column.kind = COLUMN_TEXT;
		cell_write(inv, &column, object, cell);
		if (inv->has_terminal_out)
			printf("%-*s  %s\n", FIELD_TITLE_WIDTH, column.heading, cell);
		else
			printf("%s\t%s\n", fields->name, cell);
	}
}

void texts_print(const struct invocation *inv, const char *title, const char *name,
		 struct table_rows texts)
{
	char clean[CELL_CAP];

	for (size_t i = 0; i < texts.cnt; i++) {
		text_clean(((const char *const *)texts.rows)[i], clean, sizeof(clean));
		if (inv->has_terminal_out)
			printf("%-*s  %s\n", FIELD_TITLE_WIDTH, i ? "" : title, clean);
		else if (name)
			printf("%s\t%s\n", name, clean);
	}
}

void table_tell_more(const char *cursor)
{
	if (cursor && *cursor)
		fprintf(stderr, "There are more: --cursor %s\n", cursor);
}
