/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of replies and events that the role view is not shown. Home worker. */
#include "control/redact.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"

#define LINK_OPENING "mesh:"
#define ID_LEN	     52 /* 32 bytes in z-base-32 */
#define ID_HEX_LEN   64
#define ID_SHOWN_LEN 8

#define ZBASE32_LETTERS "ybndrfg8ejkmcpqxot1uwisza345h769"
#define HEX_LETTERS	"0123456789abcdefABCDEF"

/* In strings with these names an id is that of a node. */
static const char *const node_fields[] = {"node_id", "node", "peer", "wanted_key", "actual_key"};

static bool is_node_field(const char *name)
{
	for (size_t i = 0; i < sizeof(node_fields) / sizeof(node_fields[0]); i++)
		if (name && strcmp(name, node_fields[i]) == 0)
			return true;
	return false;
}

static size_t word_len(const char *text)
{
	size_t len = 0;

	while (isalnum((unsigned char)text[len]))
		len++;
	return len;
}

static bool is_id(const char *word, size_t len)
{
	return (len == ID_LEN && strspn(word, ZBASE32_LETTERS) >= len) ||
	       (len == ID_HEX_LEN && strspn(word, HEX_LETTERS) >= len);
}

/* text_redacted: the result is never longer than text. NULL without memory. */
static char *text_redacted(const char *text)
{
	char *out = malloc(strlen(text) + 1), *end = out;

	while (out && *text) {
		size_t len = word_len(text), shown;

		if (strncmp(text, LINK_OPENING, strlen(LINK_OPENING)) == 0) {
			text += strcspn(text, " \t\r\n\"',;)");
			continue;
		}
		shown = is_id(text, len) ? ID_SHOWN_LEN : len;
		/* No word begins here: one character of what is between them. */
		if (!len)
			len = shown = 1;
		memcpy(end, text, shown);
		end += shown;
		text += len;
	}
	if (out)
		*end = '\0';
	return out;
}

static json_t *string_redacted(const json_t *value)
{
	char *text = text_redacted(json_string_value(value));
	json_t *copy = text ? json_string(text) : NULL;

	if (!text)
		(void)json_heap_swap_lost(true);
	free(text);
	return copy;
}

static json_t *array_redacted(const json_t *array)
{
	json_t *copy = json_array();
	const json_t *item;
	size_t i;

	json_array_foreach(array, i, item) if (json_array_append_new(
						       copy, control_redact_capabilities(item)) < 0)
	{
		json_decref(copy);
		return NULL;
	}
	return copy;
}

static json_t *object_redacted(const json_t *object)
{
	json_t *copy = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)object, name, value)
	{
		json_t *shown = json_is_string(value) && is_node_field(name)
					? json_deep_copy(value)
					: control_redact_capabilities(value);

		if (json_object_set_new(copy, name, shown) < 0) {
			json_decref(copy);
			return NULL;
		}
	}
	return copy;
}

json_t *control_redact_capabilities(const json_t *value)
{
	if (!value)
		return NULL;
	switch (json_typeof(value)) {
	case JSON_STRING:
		return string_redacted(value);
	case JSON_ARRAY:
		return array_redacted(value);
	case JSON_OBJECT:
		return object_redacted(value);
	default:
		return json_deep_copy(value);
	}
}
