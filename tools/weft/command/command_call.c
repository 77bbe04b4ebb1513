/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that are one call, by their rows. Words of the command line become the struct of the
 * parameters, and the struct of the reply is shown.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/text/utf8.h"
#include "command/command_path.h"
#include "command/daemon_client.h"
#include "print/output_table.h"
#include "print/text.h"

/* --- parameters --- */

/* A word of the command line, and where it goes. */
struct typed {
	const struct invocation *inv;
	const struct command_word *word;
	const char *name; /* of the option; NULL: it is an argument */
	const char *text;
};

static int word_refuse(const struct typed *typed, const char *why, const char *next)
{
	const struct command_word *word = typed->word;
	const char *what = word->what ? word->what : typed->name;
	char option[40];

	if (!what || !*what)
		return client_say_error(STATUS_USAGE, typed->text, why, next);
	snprintf(option, sizeof(option), "%s%s", word->what ? "" : "--", what);
	return client_say_error(STATUS_USAGE, option, why, next);
}

static int number_read(const struct typed *typed, int64_t *out_number)
{
	const struct command_word *word = typed->word;
	uint64_t max = word->max ? word->max : INT64_MAX, number = 0;
	bool is_number = word->kind == WORD_COUNT ? text_parse_count(typed->text, &number)
			 : word->kind == WORD_SIZE
				 ? text_parse_size(typed->text, strlen(typed->text), &number)
				 : text_parse_seconds(typed->text, &number);

	if (!is_number || number < word->min || number > max)
		return word_refuse(typed, word->why, word->next);
	*out_number = (int64_t)(number * (word->factor ? word->factor : 1));
	return STATUS_OK;
}

static int yes_no_read(const struct typed *typed, bool *out_is_yes)
{
	*out_is_yes =
		!typed->word || typed->word->kind != WORD_YES_NO || strcmp(typed->text, "yes") == 0;
	if (*out_is_yes || strcmp(typed->text, "no") == 0)
		return STATUS_OK;
	return word_refuse(typed, typed->word->why, typed->word->next);
}

static int text_read(const struct typed *typed, const char **out_text)
{
	const struct command_word *word = typed->word;
	char path[PATH_MAX];

	*out_text = typed->text;
	if (!word || (word->kind != WORD_PATH && word->kind != WORD_PATH_HERE))
		return STATUS_OK;
	if (word->kind == WORD_PATH_HERE && !path_existing(typed->text, path))
		return client_say_error(STATUS_NOT_FOUND, typed->text, path, word->next);
	if (word->kind == WORD_PATH && !path_absolute(typed->text, path))
		return word_refuse(typed, word->why, word->next);
	if (!utf8_is_valid(path, strlen(path)))
		return client_say_error(STATUS_USAGE, typed->text, "the path is not UTF-8",
					"Rename it first.");
	*out_text = varlink_text(typed->inv->blocks, path);
	return STATUS_OK;
}

static int enum_read(const struct typed *typed, const struct varlink_type *type, unsigned *out_idx)
{
	char next[96], what[40];
	size_t len = 0;

	for (unsigned i = 0; i < type->cnt; i++) {
		if (strcmp(typed->text, type->words[i]) == 0) {
			*out_idx = i;
			return STATUS_OK;
		}
		len += (size_t)snprintf(next + len, sizeof(next) - len, "%s%s",
					i ? ", " : "one of ", type->words[i]);
	}
	snprintf(what, sizeof(what), "%s%s", typed->name ? "--" : "",
		 typed->name ? typed->name : typed->inv->command->args);
	return client_say_error(STATUS_USAGE, what, "no such word", next);
}

/* The lines of an option that may be given several times, or the one argument. */
static int lines_read(const struct typed *typed, struct api_string_list *list)
{
	bool is_dense = typed->word && typed->word->kind == WORD_LINES;
	struct varlink_blocks *blocks = typed->inv->blocks;
	int status = STATUS_OK;

	for (const char *line = typed->text; line && status == STATUS_OK;) {
		size_t len = typed->name ? strcspn(line, "\n") : strlen(line);
		struct typed one = *typed;
		const char *text;

		one.text = varlink_format(blocks, "%.*s", (int)len, line);
		if ((len || !is_dense) && (status = text_read(&one, &text)) == STATUS_OK)
			varlink_push(blocks, list, text);
		line = line[len] ? line + len + 1 : NULL;
	}
	return status;
}

static int field_fill(const struct typed *typed, const struct varlink_field *field, void *in)
{
	void *at = (char *)in + field->off;

	if (field->flag_off != VARLINK_NO_FLAG)
		*(bool *)((char *)in + field->flag_off) = true;
	switch (field->type->kind) {
	case VARLINK_KIND_STRING:
		return text_read(typed, at);
	case VARLINK_KIND_BOOL:
		return yes_no_read(typed, at);
	case VARLINK_KIND_INT:
		return number_read(typed, at);
	case VARLINK_KIND_ENUM:
		return enum_read(typed, field->type, at);
	default:
		weft_assert(field->type->kind == VARLINK_KIND_LIST &&
			    field->type->item->kind == VARLINK_KIND_STRING);
		return lines_read(typed, at);
	}
}

static const struct command_rule *rule_of(const struct command_call *call, const char *option)
{
	static const struct command_rule none = {0};

	for (unsigned i = 0; i < COMMAND_RULE_MAX && call->words[i].option; i++)
		if (strcmp(call->words[i].option, option) == 0)
			return &call->words[i];
	return &none;
}

/* The parameter of a name, with - for _; NULL: there is none. */
static const struct varlink_field *field_of(const struct varlink_type *type, const char *name)
{
	for (size_t i = 0; i < type->cnt; i++) {
		const char *at = type->fields[i].name, *of = name;

		while (*at && (*at == *of || (*at == '_' && *of == '-')))
			at++, of++;
		if (!*at && !*of)
			return &type->fields[i];
	}
	return NULL;
}

static int option_fill(const struct invocation *inv, unsigned idx, const struct varlink_type *type,
		       void *in)
{
	const struct command_option *option = &inv->command->options[idx];
	const struct command_rule *rule = rule_of(&inv->command->call, option->name);
	const struct typed typed = {inv, rule->word, option->name, inv->values[idx]};
	const struct varlink_field *field =
		field_of(type, rule->parameter ? rule->parameter : option->name);

	weft_assert(field || !rule->option);
	/* A number whose form no rule says is left to the command. */
	if (!field || (field->type->kind == VARLINK_KIND_INT && !rule->word))
		return STATUS_OK;
	return field_fill(&typed, field, in);
}

static int options_fill(const struct invocation *inv, const struct varlink_type *type, void *in)
{
	int status = STATUS_OK;

	for (unsigned i = 0; i < COMMAND_OPTION_MAX && status == STATUS_OK; i++)
		if (inv->values[i])
			status = option_fill(inv, i, type, in);
	return status;
}

static const struct varlink_field *field_at(const struct varlink_type *type, size_t off)
{
	for (size_t i = 0; i < type->cnt; i++)
		if (type->fields[i].off == off)
			return &type->fields[i];
	weft_assert(false);
	return NULL;
}

static int args_fill(const struct invocation *inv, const struct varlink_method *method, void *in)
{
	const struct command_take *takes = inv->command->call.takes;
	unsigned arg = 0;
	int status = STATUS_OK;

	for (unsigned i = 0; i < VARLINK_CNT_OF(inv->command->call.takes) && takes[i].is_taken;
	     i++) {
		const struct varlink_field *field = field_at(method->in, takes[i].off);
		bool is_list = field->type->kind == VARLINK_KIND_LIST;

		while (status == STATUS_OK && arg < inv->arg_cnt) {
			struct typed typed = {inv, takes[i].word, NULL, inv->args[arg++]};

			status = field_fill(&typed, field, in);
			if (!is_list)
				break;
		}
	}
	return status;
}

int command_fill(const struct invocation *inv, const struct varlink_method *method, void *in)
{
	const struct command_call *call = &inv->command->call;
	int status = args_fill(inv, method, in);

	if (status == STATUS_OK)
		status = options_fill(inv, method->in, in);
	if (status == STATUS_OK && call->fill)
		status = call->fill(inv, in);
	return status;
}

/* --- the reply --- */

static void part_print(const struct invocation *inv, const struct command_part *part,
		       const void *reply)
{
	const void *at = (const char *)reply + part->off;
	const struct varlink_list *list = at;

	if (part->fields)
		fields_print(inv, at, part->fields);
	else if (!part->columns)
		printf("%s\n", *(const char *const *)at);
	else if (part->kind)
		show_part(inv, part->kind,
			  (struct table_rows){list->rows, list->cnt, part->row_len}, part->columns);
	else
		table_print(inv, (struct table_rows){list->rows, list->cnt, part->row_len},
			    part->columns, part->empty);
}

void command_show(const struct invocation *inv, const void *reply)
{
	const struct command_call *call = &inv->command->call;
	const struct command_part *part = call->parts;

	if (call->print)
		call->print(inv, reply);
	else if (call->done && inv->has_terminal_out)
		printf("%s\n", call->done);
	for (unsigned i = 0; i < COMMAND_PART_MAX && part[i].is_shown; i++) {
		part_print(inv, &part[i], reply);
		if (part[i].fields && inv->has_terminal_out && i + 1 < COMMAND_PART_MAX &&
		    part[i + 1].is_shown)
			printf("\n");
	}
}

int command_call_run(const struct invocation *inv)
{
	const struct command_call *row = &inv->command->call;
	struct client_call call = {.request = {row->method, NULL},
				   .is_long = row->is_long,
				   .is_setting = row->is_setting};
	void *in = varlink_alloc(inv->blocks, row->method->in->len);
	int status = in ? command_fill(inv, row->method, in) : STATUS_FAILED;

	if (status != STATUS_OK)
		return status;
	call.request.in = in;
	status = client_show_call(inv, &call, command_show);
	if (status == STATUS_OK && row->judge)
		status = row->judge(inv, call.last.out);
	return status;
}
