/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ini.h"

#include <stdbool.h>
#include <string.h>

#include "codec/text/utf8.h"

struct ini_state {
	char section[INI_LINE_LEN_MAX + 1];
	char text[INI_LINE_LEN_MAX + 1]; /* the line being read; key and value point into it */
	unsigned number;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *trimmed(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* No control characters, NUL among them; a tab may stand for a blank. */
static bool line_is_text(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
			return false;
	return utf8_is_valid(line, len);
}

static int section_enter(struct ini_state *state, const struct ini_calls *calls, void *ctx,
			 char *line)
{
	struct ini_line head = {.section = state->section, "", "", state->number};
	size_t len = strlen(line);

	if (len < 3 || line[len - 1] != ']')
		return WEFT_EMALFORMED;
	line[len - 1] = '\0';
	strcpy(state->section, trimmed(line + 1));
	if (!state->section[0])
		return WEFT_EMALFORMED;
	return calls->on_section ? calls->on_section(ctx, &head) : 0;
}

static int line_parse(struct ini_state *state, const struct ini_calls *calls, void *ctx)
{
	char *line = trimmed(state->text);
	char *equals = strchr(line, '=');
	struct ini_line parsed = {.section = state->section, .number = state->number};

	if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
		return 0;
	if (line[0] == '[')
		return section_enter(state, calls, ctx, line);
	if (!equals)
		return WEFT_EMALFORMED;
	*equals = '\0';
	parsed.key = trimmed(line);
	parsed.value = trimmed(equals + 1);
	return parsed.key[0] ? calls->on_line(ctx, &parsed) : WEFT_EMALFORMED;
}

/* The line without its end becomes state->text. */
static int line_take(struct ini_state *state, const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len > INI_LINE_LEN_MAX)
		return WEFT_ETOOLARGE;
	if (!line_is_text(line, len))
		return WEFT_EMALFORMED;
	memcpy(state->text, line, len);
	state->text[len] = '\0';
	return 0;
}

int ini_parse_sections(const char *text, size_t len, const struct ini_calls *calls, void *ctx,
		       unsigned *out_line_number)
{
	struct ini_state state = {.number = 0};
	size_t off = 0;
	int err = 0;

	while (off < len && err == 0) {
		const char *newline = memchr(text + off, '\n', len - off);
		size_t line_len = newline ? (size_t)(newline - text) - off : len - off;

		state.number++;
		err = line_take(&state, text + off, line_len);
		if (err == 0)
			err = line_parse(&state, calls, ctx);
		off += line_len + 1;
	}
	if (err)
		*out_line_number = state.number;
	return err;
}

int ini_parse(const char *text, size_t len, ini_line_fn on_line, void *ctx,
	      unsigned *out_line_number)
{
	const struct ini_calls calls = {.on_line = on_line};

	return ini_parse_sections(text, len, &calls, ctx, out_line_number);
}
