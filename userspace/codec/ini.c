/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/ini.h"

#include <stdbool.h>
#include <string.h>

struct ini_state {
	char section[INI_LINE_LEN_MAX];
	char text[INI_LINE_LEN_MAX]; /* the line being read; key and value point into it */
	unsigned number;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
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

/* UTF-8 may pass; control characters, NUL among them, may not. */
static bool is_text(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t' && line[i] != '\r') ||
		    line[i] == 0x7f)
			return false;
	return true;
}

static int section_enter(struct ini_state *state, char *line)
{
	size_t len = strlen(line);

	if (len < 3 || line[len - 1] != ']')
		return WEFT_EMALFORMED;
	line[len - 1] = '\0';
	strcpy(state->section, trimmed(line + 1));
	return state->section[0] ? 0 : WEFT_EMALFORMED;
}

static int line_parse(struct ini_state *state, ini_line_fn on_line, void *ctx)
{
	char *line = trimmed(state->text);
	char *equals = strchr(line, '=');
	struct ini_line parsed = { .section = state->section, .number = state->number };

	if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
		return 0;
	if (line[0] == '[')
		return section_enter(state, line);
	if (!equals)
		return WEFT_EMALFORMED;
	*equals = '\0';
	parsed.key = trimmed(line);
	parsed.value = trimmed(equals + 1);
	return parsed.key[0] ? on_line(ctx, &parsed) : WEFT_EMALFORMED;
}

int ini_parse(const char *text, size_t len, ini_line_fn on_line, void *ctx,
	      unsigned *out_line_number)
{
	struct ini_state state = { .number = 0 };
	const char *end = text + len;
	int err = 0;

	while (text < end && err == 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t line_len = (size_t)((newline ? newline : end) - text);

		state.number++;
		if (line_len >= sizeof(state.text)) {
			err = WEFT_ETOOLARGE;
		} else if (!is_text(text, line_len)) {
			err = WEFT_EMALFORMED;
		} else {
			memcpy(state.text, text, line_len);
			state.text[line_len] = '\0';
			err = line_parse(&state, on_line, ctx);
		}
		text += line_len + 1;
	}
	if (err)
		*out_line_number = state.number;
	return err;
}
