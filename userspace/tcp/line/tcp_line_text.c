/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/line/tcp_line_text.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "codec/text/zbase32.h"

#define SPACE	 ", \t"
#define BAUD_MAX 4000000
#define KEY_LEN	 ZBASE32_TEXT_LEN(TRANSPORT_KEY_LEN)

/* A rate that terminals have, in digits alone; 0: it is none. */
static uint32_t baud_parse(const char *text, size_t len)
{
	struct termios termios = {0};
	uint32_t baud = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || baud > BAUD_MAX)
			return 0;
		baud = baud * 10 + (uint32_t)(text[i] - '0');
	}
	return baud > 0 && baud <= BAUD_MAX && cfsetspeed(&termios, baud) == 0 ? baud : 0;
}

/* The last letter of text[0, len) that is mark; NULL: none. */
static const char *last_of(const char *text, size_t len, char mark)
{
	while (len--)
		if (text[len] == mark)
			return text + len;
	return NULL;
}

/* Paths of /dev/serial/by-path have colons: a rate is what has digits alone behind the last. */
static int word_parse(const char *word, size_t len, struct tcp_line_config *out_line)
{
	const char *at = last_of(word, len, '@'), *colon;
	struct tcp_line_config line = {0};

	if (at) {
		size_t key_len = len - (size_t)(at + 1 - word);

		if (key_len != KEY_LEN ||
		    zbase32_parse(at + 1, key_len, line.key, sizeof(line.key)) < 0)
			return WEFT_EMALFORMED;
		line.has_key = true;
		len = (size_t)(at - word);
	}
	colon = last_of(word, len, ':');
	if (colon && colon + 1 + strspn(colon + 1, "0123456789") >= word + len) {
		line.baud = baud_parse(colon + 1, len - (size_t)(colon + 1 - word));
		if (!line.baud)
			return WEFT_EMALFORMED;
		len = (size_t)(colon - word);
	}
	if (word[0] != '/' || len >= sizeof(line.path))
		return WEFT_EMALFORMED;
	memcpy(line.path, word, len);
	*out_line = line;
	return 0;
}

int tcp_line_text_parse(const char *text, struct tcp_config *config, const char **out_word,
			size_t *out_len)
{
	struct tcp_line_config lines[TCP_LINES_MAX] = {0};
	unsigned cnt = 0;

	for (text += strspn(text, SPACE); *text; text += strspn(text, SPACE)) {
		size_t len = strcspn(text, SPACE);

		*out_word = text;
		*out_len = len;
		if (cnt == TCP_LINES_MAX)
			return WEFT_ETOOLARGE;
		if (word_parse(text, len, &lines[cnt]) < 0)
			return WEFT_EMALFORMED;
		for (unsigned i = 0; i < cnt; i++)
			if (strcmp(lines[i].path, lines[cnt].path) == 0)
				return WEFT_EMALFORMED;
		cnt++;
		text += len;
	}
	memcpy(config->lines, lines, sizeof(lines));
	config->line_cnt = cnt;
	return 0;
}

char *tcp_line_text_format(const struct tcp_config *config, char *text, size_t cap)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < config->line_cnt && len < cap; i++) {
		const struct tcp_line_config *line = &config->lines[i];
		char key[KEY_LEN + 1] = "", baud[16] = "";

		if (line->baud)
			snprintf(baud, sizeof(baud), ":%u", line->baud);
		if (line->has_key)
			zbase32_write(line->key, sizeof(line->key), key);
		len += (size_t)snprintf(text + len, cap - len, "%s%s%s%s%s", i ? ", " : "",
					line->path, baud, line->has_key ? "@" : "", key);
	}
	return text;
}
