/* SPDX-License-Identifier: Apache-2.0 */
#include "blocklist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/hex.h"
#include "codec/text/zbase32.h"

#define ID_TEXT_CAP HEX_TEXT_CAP(BLOCKLIST_ID_LEN)
/* The shortest line that holds an id: "share", a space, 52 letters, a newline. */
#define LINE_LEN_MIN (sizeof("share") + ZBASE32_TEXT_LEN(BLOCKLIST_ID_LEN) + 1)

static const char *const kind_words[BLOCKLIST_KIND_CNT] = {
	[BLOCKLIST_SHARE] = "share",
	[BLOCKLIST_CONTENT] = "content",
};

/* The rest of a line that is looked at. */
struct piece {
	const char *at;
	size_t len;
};

static bool is_blank(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\r';
}

/* The next line of text without its comment; false at the end. */
static bool line_next(struct piece *text, struct piece *out_line)
{
	const char *end, *comment;

	if (!text->len)
		return false;
	end = memchr(text->at, '\n', text->len);
	out_line->at = text->at;
	out_line->len = end ? (size_t)(end - text->at) : text->len;
	text->len -= out_line->len + (end != NULL);
	text->at += out_line->len + (end != NULL);
	comment = memchr(out_line->at, '#', out_line->len);
	if (comment)
		out_line->len = (size_t)(comment - out_line->at);
	return true;
}

/* The next word of a line; one of length 0 at its end. */
static struct piece word_next(struct piece *line)
{
	struct piece word;

	while (line->len && is_blank(*line->at))
		line->at++, line->len--;
	word.at = line->at;
	while (line->len && !is_blank(*line->at))
		line->at++, line->len--;
	word.len = (size_t)(line->at - word.at);
	return word;
}

static bool kind_read(struct piece word, enum blocklist_kind *out_kind)
{
	for (unsigned kind = 0; kind < BLOCKLIST_KIND_CNT; kind++) {
		if (strlen(kind_words[kind]) == word.len &&
		    memcmp(kind_words[kind], word.at, word.len) == 0) {
			*out_kind = (enum blocklist_kind)kind;
			return true;
		}
	}
	return false;
}

static bool id_read(struct piece word, uint8_t id[static BLOCKLIST_ID_LEN])
{
	char text[ID_TEXT_CAP] = "";

	if (word.len == ZBASE32_TEXT_LEN(BLOCKLIST_ID_LEN))
		return zbase32_parse(word.at, word.len, id, BLOCKLIST_ID_LEN) ==
		       (int)BLOCKLIST_ID_LEN;
	if (word.len != ID_TEXT_CAP - 1)
		return false;
	memcpy(text, word.at, word.len);
	return hex_read(text, id, BLOCKLIST_ID_LEN);
}

/* The reason why a line is no entry; NULL: it is one, or there is nothing in it. */
static const char *line_read(struct blocklist *list, struct piece line)
{
	struct piece word = word_next(&line), id;
	enum blocklist_kind kind;

	if (!word.len)
		return NULL;
	if (!kind_read(word, &kind))
		return "it begins with neither share nor content";
	id = word_next(&line);
	if (!id.len)
		return "it names no id";
	if (!id_read(id, list->kinds[kind].ids[list->kinds[kind].cnt]))
		return "its id is neither 52 letters of z-base-32 nor 64 hexadecimal digits";
	if (word_next(&line).len)
		return "something follows the id; a remark begins with #";
	list->kinds[kind].cnt++;
	return NULL;
}

static void fault_note(struct blocklist_fault *fault, unsigned line, const char *why)
{
	if (!why)
		return;
	if (fault->line_cnt++ == 0) {
		fault->first_line = line;
		fault->why = why;
	}
}

static int id_order(const void *a, const void *b)
{
	return memcmp(a, b, BLOCKLIST_ID_LEN);
}

static bool is_no_list(const struct blocklist *list)
{
	return list->fault.line_cnt && !list->kinds[BLOCKLIST_SHARE].cnt &&
	       !list->kinds[BLOCKLIST_CONTENT].cnt;
}

int shares_blocklist_parse(const void *text, size_t len, struct blocklist *out_list)
{
	struct piece left = {text, len}, line;
	struct blocklist list = {.fault = {.line_cnt = 0}};
	struct blocklist_fault fault;
	unsigned number = 0;

	if (len > BLOCKLIST_LEN_MAX)
		return WEFT_ETOOLARGE;
	for (unsigned kind = 0; kind < BLOCKLIST_KIND_CNT; kind++) {
		list.kinds[kind].ids = malloc((len / LINE_LEN_MIN + 2) * BLOCKLIST_ID_LEN);
		if (!list.kinds[kind].ids) {
			shares_blocklist_fini(&list);
			return -ENOMEM;
		}
	}
	while (line_next(&left, &line))
		fault_note(&list.fault, ++number, line_read(&list, line));
	if (is_no_list(&list)) {
		fault = list.fault;
		shares_blocklist_fini(&list);
		*out_list = (struct blocklist){.fault = fault};
		return WEFT_EMALFORMED;
	}
	for (unsigned kind = 0; kind < BLOCKLIST_KIND_CNT; kind++)
		qsort(list.kinds[kind].ids, list.kinds[kind].cnt, BLOCKLIST_ID_LEN, id_order);
	*out_list = list;
	return 0;
}

void shares_blocklist_fini(struct blocklist *list)
{
	for (unsigned kind = 0; kind < BLOCKLIST_KIND_CNT; kind++)
		free(list->kinds[kind].ids);
	*list = (struct blocklist){0};
}

bool shares_blocklist_has(const struct blocklist *list, enum blocklist_kind kind,
			  const uint8_t id[static BLOCKLIST_ID_LEN])
{
	return list->kinds[kind].cnt && bsearch(id, list->kinds[kind].ids, list->kinds[kind].cnt,
						BLOCKLIST_ID_LEN, id_order) != NULL;
}
