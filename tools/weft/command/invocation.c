/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the command line by the table of commands. */
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "print/text.h"
#include "weft/nearest.h"

const char *invocation_option(const struct invocation *inv, const char *name)
{
	unsigned idx;

	return command_takes_option(inv->command, name, &idx) ? inv->values[idx] : NULL;
}

bool command_takes_option(const struct command *command, const char *name, unsigned *out_idx)
{
	for (unsigned i = 0; i < COMMAND_OPTION_MAX && command->options[i].name; i++) {
		if (strcmp(command->options[i].name, name) == 0) {
			*out_idx = i;
			return true;
		}
	}
	return false;
}

const struct command *command_lookup(const char *object, const char *verb)
{
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) == 0 && strcmp(at->verb, verb) == 0)
			return at;
	}
	return NULL;
}

static bool object_is_known(const char *object)
{
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) == 0)
			return true;
	}
	return false;
}

/* The nearest of the objects, or of an object's verbs, NULL when none is near. */
static const char *nearest_word(const char *object, const char *wanted)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (const struct command *at = NULL; (at = command_next(at));) {
		const char *word = object ? at->verb : at->object;

		if ((!object || strcmp(at->object, object) == 0) && *word &&
		    weft_is_nearer(wanted, word, &best))
			nearest = word;
	}
	return nearest;
}

static int unknown_object(const char *object)
{
	const char *nearest = nearest_word(NULL, object);

	fprintf(stderr, "weft: unknown command \"%s\"", object);
	if (nearest)
		fprintf(stderr, "; did you mean \"weft %s\"?\n", nearest);
	else
		fprintf(stderr, "; weft help lists them\n");
	return STATUS_USAGE;
}

static int unknown_verb(const char *object, const char *verb)
{
	const char *nearest = nearest_word(object, verb);

	fprintf(stderr, "weft %s: unknown command \"%s\"", object, verb);
	if (nearest) {
		fprintf(stderr, "; did you mean \"weft %s %s\"?\n", object, nearest);
		return STATUS_USAGE;
	}
	fprintf(stderr, "; there is");
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) == 0 && *at->verb)
			fprintf(stderr, " %s", at->verb);
	}
	fprintf(stderr, "\n");
	return STATUS_USAGE;
}

static int unknown_option(const struct invocation *inv, const char *name)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < global_option_cnt; i++) {
		if (weft_is_nearer(name, global_options[i].name, &best))
			nearest = global_options[i].name;
	}
	for (unsigned i = 0; inv->command && i < COMMAND_OPTION_MAX; i++) {
		const char *known = inv->command->options[i].name;

		if (known && weft_is_nearer(name, known, &best))
			nearest = known;
	}
	fprintf(stderr, "weft: unknown option --%s", name);
	if (nearest)
		fprintf(stderr, "; did you mean --%s?\n", nearest);
	else
		fprintf(stderr, "; %s--help lists them\n", inv->command ? "" : "weft ");
	return STATUS_USAGE;
}

/* "weft relay grant new" is the verb grant-new. */
static const struct command *lookup_joined(const char *object, const char **words)
{
	char verb[32];
	int len = snprintf(verb, sizeof(verb), "%s-%s", words[0], words[1]);

	return len > 0 && (size_t)len < sizeof(verb) ? command_lookup(object, verb) : NULL;
}

/*
 * command_find takes object and verb off the words; what is left are the
 * command's arguments. No words at all ask for help, as "help" before others.
 */
static int command_find(struct invocation *inv, const char **words, unsigned word_cnt)
{
	const char *object = word_cnt ? words[0] : "";
	unsigned used = 2;

	if (!word_cnt)
		return STATUS_OK;
	if (strcmp(object, "help") == 0 && word_cnt > 1) {
		inv->is_help = true;
		return command_find(inv, words + 1, word_cnt - 1);
	}
	if (!object_is_known(object))
		return unknown_object(object);
	if (word_cnt > 2 && (inv->command = lookup_joined(object, words + 1)))
		used = 3;
	else
		inv->command = command_lookup(object, word_cnt > 1 ? words[1] : "");
	if (!inv->command || !*inv->command->verb) {
		inv->command = command_lookup(object, "");
		used = 1;
		/* "weft get lst" is a slip, "weft get mesh:..." is none. */
		if (word_cnt > 1 && (!inv->command || nearest_word(object, words[1])))
			return unknown_verb(object, words[1]);
	}
	if (!inv->command) {
		inv->args[0] = object;
		inv->arg_cnt = 1;
		return STATUS_OK;
	}
	for (unsigned i = used; i < word_cnt; i++)
		inv->args[inv->arg_cnt++] = words[i];
	return STATUS_OK;
}

struct option_word {
	const char *name;
	const char *value; /* NULL: none so far */
	bool is_global;	   /* it stands before the command, or is a letter */
};
#define OPTION_WORD_MAX 40
/* Values of one option that is given several times. */
#define OPTION_LIST_CAP 8192
#define TIMEOUT_MAX_S	86400

static int option_check(const struct command_option *option, const struct option_word *word)
{
	if (option->arg && !word->value)
		fprintf(stderr, "weft: --%s takes %s\n", word->name, option->arg);
	else if (!option->arg && word->value)
		fprintf(stderr, "weft: --%s takes no value\n", word->name);
	else
		return STATUS_OK;
	return STATUS_USAGE;
}

static const struct command_option *option_global(const char *name)
{
	for (unsigned i = 0; i < global_option_cnt; i++) {
		if (strcmp(global_options[i].name, name) == 0)
			return &global_options[i];
	}
	return NULL;
}

/* command_among: the command that words begin with, NULL when they do not say yet. */
static const struct command *command_among(const char **words, unsigned word_cnt)
{
	const struct command *command = NULL;

	if (word_cnt > 1)
		command = command_lookup(words[0], words[1]);
	if (!command && word_cnt > 0)
		command = command_lookup(words[0], "");
	return command;
}

/* option_needs_value, as the command has it, or any, as it may not be known yet. */
static bool option_needs_value(const struct option_word *word, const char **words,
			       unsigned word_cnt)
{
	const struct command *command = command_among(words, word_cnt);
	const struct command_option *global = option_global(word->name);
	const char *name = word->name;
	unsigned idx;

	if (!word->is_global && command && command_takes_option(command, name, &idx))
		return command->options[idx].arg != NULL;
	if (global)
		return global->arg != NULL;
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (command_takes_option(at, name, &idx) && at->options[idx].arg)
			return true;
	}
	return false;
}

static int option_set_global(struct invocation *inv, const struct option_word *word)
{
	uint64_t seconds;

	if (strcmp(word->name, "socket") == 0) {
		inv->socket = word->value;
	} else if (strcmp(word->name, "json") == 0) {
		inv->is_json = true;
	} else if (strcmp(word->name, "help") == 0) {
		inv->is_help = true;
	} else if (strcmp(word->name, "version") == 0) {
		inv->is_version = true;
	} else {
		if (!text_parse_count(word->value, &seconds) || !seconds ||
		    seconds > TIMEOUT_MAX_S) {
			fprintf(stderr, "weft: --timeout takes SECONDS, 1 to %d, not \"%s\"\n",
				TIMEOUT_MAX_S, word->value);
			return STATUS_USAGE;
		}
		inv->timeout_ms = seconds * 1000;
	}
	return STATUS_OK;
}

/* option_add appends to the values of an option that may be there several times, one a line. */
static int option_add(struct invocation *inv, unsigned idx, const struct option_word *word)
{
	static char lists[COMMAND_OPTION_MAX][OPTION_LIST_CAP];
	size_t len = strlen(lists[idx]);

	if (strchr(word->value, '\n') ||
	    snprintf(lists[idx] + len, OPTION_LIST_CAP - len, "%s%s", len ? "\n" : "",
		     word->value) >= (int)(OPTION_LIST_CAP - len)) {
		fprintf(stderr, "weft: --%s: that is too much, or has a line break\n", word->name);
		return STATUS_USAGE;
	}
	inv->values[idx] = lists[idx];
	return STATUS_OK;
}

static int option_set(struct invocation *inv, const struct option_word *word)
{
	const struct command_option *option = option_global(word->name);
	unsigned idx;
	bool is_own = inv->command && command_takes_option(inv->command, word->name, &idx) &&
		      (!option || !word->is_global);
	int status;

	if (is_own)
		option = &inv->command->options[idx];
	if (!option)
		return unknown_option(inv, word->name);
	status = option_check(option, word);
	if (status != STATUS_OK)
		return status;
	if (!is_own)
		return option_set_global(inv, word);
	if (option->arg && strstr(option->arg, "..."))
		return option_add(inv, idx, word);
	if (inv->values[idx] && option->arg) {
		fprintf(stderr, "weft: --%s is there twice, and takes one %s; give it once\n",
			word->name, option->arg);
		return STATUS_USAGE;
	}
	inv->values[idx] = word->value ? word->value : "";
	return STATUS_OK;
}

/* word_split makes "--name=value", "-s" and "-h" an option; false: it is a plain word. */
static bool word_split(const char *text, struct option_word *out_word, char name[static 32])
{
	const char *equals = strchr(text, '=');

	out_word->value = NULL;
	out_word->name = name;
	out_word->is_global = text[1] != '-';
	if (strcmp(text, "-s") == 0)
		snprintf(name, 32, "socket");
	else if (strcmp(text, "-h") == 0)
		snprintf(name, 32, "help");
	else if (strncmp(text, "--", 2) != 0)
		return false;
	else if (equals)
		snprintf(name, 32, "%.*s", (int)(equals - text - 2), text + 2);
	else
		snprintf(name, 32, "%s", text + 2);
	if (equals && text[1] == '-')
		out_word->value = equals + 1;
	return true;
}

static int words_check(const struct invocation *inv)
{
	const struct command *command = inv->command;

	if (!command || inv->is_help)
		return STATUS_OK;
	if (inv->arg_cnt < command->arg_min)
		fprintf(stderr, "weft %s%s%s: %s is missing\n", command->object,
			*command->verb ? " " : "", command->verb, command->args);
	else if (inv->arg_cnt > command->arg_max)
		fprintf(stderr, "weft %s%s%s: \"%s\" is one argument too many\n", command->object,
			*command->verb ? " " : "", command->verb, inv->args[command->arg_max]);
	else
		return STATUS_OK;
	fprintf(stderr, "  for example: %s\n", command->example);
	return STATUS_USAGE;
}

/* The daemon gets JSON, which is UTF-8 only. */
static int words_are_text(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		json_t *json = json_string(argv[i]);

		if (!json) {
			fprintf(stderr,
				"weft: argument %d is not UTF-8, and nothing else can be shared or "
				"named; rename the file first\n",
				i);
			return STATUS_USAGE;
		}
		json_decref(json);
	}
	return STATUS_OK;
}

int invocation_parse(int argc, char **argv, struct invocation *out_inv)
{
	static char names[OPTION_WORD_MAX][32];
	struct option_word options[OPTION_WORD_MAX];
	const char *words[INVOCATION_ARG_MAX];
	unsigned option_cnt = 0, word_cnt = 0;
	bool is_plain = false;
	int status = words_are_text(argc, argv);

	for (int i = 1; i < argc && status == STATUS_OK; i++) {
		struct option_word *option = &options[option_cnt];

		if (option_cnt == OPTION_WORD_MAX || word_cnt == INVOCATION_ARG_MAX) {
			fprintf(stderr,
				"weft: \"%s\" is one argument too many\n"
				"  quote words that belong together; a command is %u words at "
				"most\n",
				argv[i], INVOCATION_ARG_MAX);
			return STATUS_USAGE;
		}
		if (!is_plain && strcmp(argv[i], "--") == 0) {
			is_plain = true;
		} else if (is_plain || !word_split(argv[i], option, names[option_cnt])) {
			words[word_cnt++] = argv[i];
		} else {
			option->is_global |= word_cnt == 0;
			if (!option->value && option_needs_value(option, words, word_cnt) &&
			    i + 1 < argc)
				option->value = argv[++i];
			option_cnt++;
		}
	}
	if (status == STATUS_OK)
		status = command_find(out_inv, words, word_cnt);
	for (unsigned i = 0; i < option_cnt && status == STATUS_OK; i++)
		status = option_set(out_inv, &options[i]);
	return status == STATUS_OK ? words_check(out_inv) : status;
}
