/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of offers that are more than a parameter. A file of fields is checked here by the daemon's
 * schema, so a fault is said with its line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/text/utf8.h"
#include "command/daemon_client.h"
#include "services/command_schema.h"

/* A file of fields that is read. */
struct reading {
	const struct invocation *inv;
	const char *path;
	const struct schema *schema;
	struct schema_record *record;
	struct api_string_list *list;
};

static int line_refuse(const struct reading *reading, unsigned number, const char *what,
		       const char *next)
{
	struct schema_fault fault = {.line = number};

	snprintf(fault.what, sizeof(fault.what), "%s", what);
	snprintf(fault.next, sizeof(fault.next), "%s", next);
	return schema_fault_say(reading->path, &fault);
}

static bool is_blank(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\r';
}

static size_t blanks_ahead(const char *text, size_t len)
{
	size_t cnt = 0;

	while (cnt < len && is_blank(text[cnt]))
		cnt++;
	return cnt;
}

static size_t len_trimmed(const char *text, size_t len)
{
	while (len && is_blank(text[len - 1]))
		len--;
	return len;
}

/* A line of a file as the word that a user would type; there may be blanks around its '='. */
static int line_take(const struct reading *reading, const char *line, size_t len, unsigned number)
{
	size_t ahead = blanks_ahead(line, len), name_len, behind;
	struct schema_fault fault;
	const char *equals, *word;

	line += ahead;
	len = len_trimmed(line, len - ahead);
	if (!len || *line == '#')
		return STATUS_OK;
	if (memchr(line, '\0', len) || !utf8_is_valid(line, len))
		return line_refuse(reading, number, "the line is no UTF-8 text",
				   "write it in UTF-8");
	equals = memchr(line, '=', len);
	if (!equals)
		return line_refuse(reading, number, "the line has no =",
				   "write FIELD=VALUE, or # in front of a comment");
	behind = (size_t)(equals - line) + 1;
	name_len = len_trimmed(line, behind - 1);
	behind += blanks_ahead(line + behind, len - behind);
	word = varlink_format(reading->inv->blocks, "%.*s=%.*s", (int)name_len, line,
			      (int)(len - behind), line + behind);
	if (offers_schema_value_from_text(reading->schema, word, reading->record, &fault) < 0) {
		fault.line = number;
		return schema_fault_say(reading->path, &fault);
	}
	varlink_push(reading->inv->blocks, reading->list, word);
	return STATUS_OK;
}

static int lines_take(const struct reading *reading, const char *text, size_t len)
{
	const char *end = text + len;
	unsigned number = 0;
	int status = STATUS_OK;

	if (len > SCHEMA_TEXT_LEN_MAX)
		return line_refuse(reading, 0, "it has over 65536 bytes",
				   "an offer has at most 65400");
	while (status == STATUS_OK && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t line_len = (size_t)((stop ? stop : end) - text);

		status = line_take(reading, text, line_len, ++number);
		text += line_len + 1;
	}
	return status;
}

/* A word without = is a file. One that is none was most likely meant as a field. */
static int file_take(const struct invocation *inv, const char *path, struct api_string_list *list)
{
	struct reading reading = {.inv = inv, .path = path, .list = list};
	char *text = NULL, next[128];
	struct schema *schema;
	size_t len = 0;
	int status;

	if (strcmp(path, "-") != 0 && access(path, F_OK) != 0) {
		snprintf(next, sizeof(next), "write %.60s=VALUE for a field", path);
		return client_say_error(STATUS_NOT_FOUND, path, "no file has that name", next);
	}
	status = schema_ask(inv, inv->args[0], &schema);
	if (status != STATUS_OK)
		return status;
	reading.schema = schema;
	reading.record = malloc(sizeof(*reading.record));
	status = reading.record ? schema_file_read(path, &text, &len)
				: client_say_error(STATUS_FAILED, path, strerror(ENOMEM), NULL);
	if (status == STATUS_OK) {
		offers_schema_record_init(reading.record, false);
		status = lines_take(&reading, text, len);
	}
	free(text);
	free(reading.record);
	offers_schema_free(schema);
	return status;
}

/* --signature full|seed */
static int signature_take(const struct invocation *inv, bool *out_has, bool *out_is_seed)
{
	const char *word = invocation_option(inv, "signature");

	if (!word)
		return STATUS_OK;
	*out_has = true;
	*out_is_seed = strcmp(word, "seed") == 0;
	if (*out_is_seed || strcmp(word, "full") == 0)
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, "--signature", "no such word", "one of full, seed");
}

int fill_offer_publish(const struct invocation *inv, void *parameters)
{
	struct api_publish_offer_in *in = parameters;
	int status = signature_take(inv, &in->has_seed, &in->seed);

	for (unsigned i = 1; i < inv->arg_cnt && status == STATUS_OK; i++) {
		if (strchr(inv->args[i], '='))
			varlink_push(inv->blocks, &in->values, inv->args[i]);
		else
			status = file_take(inv, inv->args[i], &in->values);
	}
	return status;
}

int fill_offer_update(const struct invocation *inv, void *parameters)
{
	const struct api_update_offer_in *in = parameters;

	(void)inv;
	if (in->values.cnt || in->has_units)
		return STATUS_OK;
	return client_say_error(STATUS_USAGE, "offer update", "nothing is named that is to change",
				"give FIELD=VALUE or --units N");
}

int fill_endorse_make(const struct invocation *inv, void *parameters)
{
	struct api_make_endorsement_in *in = parameters;

	return signature_take(inv, &in->has_seed, &in->seed);
}
