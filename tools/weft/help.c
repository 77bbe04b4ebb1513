/* SPDX-License-Identifier: Apache-2.0 */
/* Help and completion, from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "command.h"

static void print_usage_of(const struct command *command)
{
	printf("weft %s%s%s%s%s", command->object, *command->verb ? " " : "", command->verb,
	       *command->args ? " " : "", command->args);
}

static void print_options(const struct command_option *options, unsigned cnt)
{
	for (unsigned i = 0; i < cnt && options[i].name; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s %s", options[i].name,
			 options[i].arg ? options[i].arg : "");
		printf("  %-20s %s\n", left, options[i].doc);
	}
}

static void print_row(const struct command *command)
{
	char left[48];

	snprintf(left, sizeof(left), "%s%s%s%s%s", command->object, *command->verb ? " " : "",
		 command->verb, *command->args ? " " : "", command->args);
	printf("  %-32s %s\n", left, command->doc);
}

static void print_all(void)
{
	printf("weft - speak to a mesh node\n\n"
	       "usage: weft [-s SOCKET] [--json] OBJECT VERB [ARGUMENT...]\n\n");
	for (unsigned i = 0; i < command_cnt; i++)
		print_row(&commands[i]);
	printf("\nOptions:\n");
	print_options(global_options, global_option_cnt);
	printf("\nExamples:\n"
	       "  weft share add /usr/share/doc\n"
	       "  weft get 'mesh:...' --to ~/Downloads\n"
	       "  weft status --json\n\n"
	       "weft OBJECT VERB --help tells more about one. See weft(1), weftd(8).\n");
}

static void print_object(const char *object)
{
	printf("usage: weft %s VERB\n\n", object);
	for (unsigned i = 0; i < command_cnt; i++) {
		if (strcmp(commands[i].object, object) == 0)
			print_row(&commands[i]);
	}
}

static void print_command(const struct command *command)
{
	printf("usage: ");
	print_usage_of(command);
	printf("%s\n\n%s.\n", command->options[0].name ? " [OPTION...]" : "", command->doc);
	if (command->more)
		printf("%s\n", command->more);
	printf("\nOptions:\n");
	print_options(command->options, COMMAND_OPTION_MAX);
	print_options(global_options, global_option_cnt);
	printf("\nExample:\n  %s\n", command->example);
}

void help_print(const struct invocation *inv)
{
	if (inv->command)
		print_command(inv->command);
	else if (inv->arg_cnt)
		print_object(inv->args[0]);
	else
		print_all();
}

/* The words that may follow an object: its verbs and options. */
static void print_words(const char *object)
{
	printf("\t%s) words=\"", object);
	for (unsigned i = 0; i < command_cnt; i++) {
		const struct command *command = &commands[i];

		if (strcmp(command->object, object) != 0)
			continue;
		printf("%s ", command->verb);
		for (unsigned j = 0; j < COMMAND_OPTION_MAX && command->options[j].name; j++)
			printf("--%s ", command->options[j].name);
	}
	printf("--json --help\" ;;\n");
}

void help_print_completion(void)
{
	printf("# bash completion for weft\n"
	       "_weft() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal object= words= i\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-s|--socket) ((i++)) ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) object=${COMP_WORDS[i]}; break ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $prev in\n"
	       "\t-s|--socket) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\t--to|add) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
	       "\tesac\n"
	       "\tcase $object in\n\t\"\") words=\"");
	for (unsigned i = 0; i < command_cnt; i++) {
		if (i == 0 || strcmp(commands[i].object, commands[i - 1].object) != 0)
			printf("%s ", commands[i].object);
	}
	printf("--socket --json --help --version\" ;;\n");
	for (unsigned i = 0; i < command_cnt; i++) {
		if (i == 0 || strcmp(commands[i].object, commands[i - 1].object) != 0)
			print_words(commands[i].object);
	}
	printf("\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "}\n"
	       "complete -F _weft weft\n");
}

int run_completion(struct invocation *inv)
{
	(void)inv;
	help_print_completion();
	return STATUS_OK;
}
