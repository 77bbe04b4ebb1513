/* SPDX-License-Identifier: Apache-2.0 */
/* Help and completion, from the table of commands. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"

static void print_options(FILE *out, const struct command_option *options, unsigned cnt)
{
	for (unsigned i = 0; i < cnt && options[i].name; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s %s", options[i].name,
			 options[i].arg ? options[i].arg : "");
		fprintf(out, "  %-20s %s\n", left, options[i].doc);
	}
}

/* call_write: "peer connect NODE [ADDR:PORT...]" */
static const char *call_write(const struct command *command, char text[static 80])
{
	snprintf(text, 80, "%s%s%s%s%s", command->object, *command->verb ? " " : "", command->verb,
		 *command->args ? " " : "", command->args);
	return text;
}

static void print_row(FILE *out, const struct command *command)
{
	char call[80];

	fprintf(out, "  %-33s %s\n", call_write(command, call), command->doc);
}

/* Those that the command has of its own have another meaning there. */
static void print_globals(FILE *out, const struct command *but)
{
	unsigned idx;

	for (unsigned i = 0; i < global_option_cnt; i++) {
		if (!command_takes_option(but, global_options[i].name, &idx))
			print_options(out, &global_options[i], 1);
	}
}

/* The commands that most people need on most days. */
static const struct {
	const char *object, *verb;
} everyday[] = {
	{"status", ""}, {"share", "add"}, {"share", "list"}, {"get", ""},	  {"get", "list"},
	{"sub", "add"}, {"search", ""},	  {"peer", "list"},  {"service", "list"}, {"top", ""},
};
#define EVERYDAY_CNT (sizeof(everyday) / sizeof(everyday[0]))

/* The objects of the others, by what they are for. */
static const struct {
	const char *title;
	const char *objects[16];
} groups[] = {
	{"Sharing", {"share", "sub", "search", "get", "seed", "community", "lan"}},
	{"Services",
	 {"service", "offer", "reservation", "endorse", "schema", "deposits", "pipe", "forward"}},
	{"People and posts",
	 {"feed", "post", "dm", "profile", "follow", "circle", "request", "persona", "block",
	  "group", "replica", "quota", "anchor", "social"}},
	{"Nodes and how they are found",
	 {"node", "peer", "conns", "check", "reachability", "bootstrap", "route", "dht", "overlay",
	  "relay", "announce"}},
	{"Limits and unknown peers", {"limits", "ban", "why", "drops", "policy", "xdp"}},
	{"The daemon",
	 {"status", "top", "event", "config", "memory", "store", "backup", "gc", "daemon",
	  "version"}},
	{"Help", {"help", "completion"}},
};
#define GROUP_CNT (sizeof(groups) / sizeof(groups[0]))

static bool command_is_everyday(const struct command *command)
{
	for (size_t i = 0; i < EVERYDAY_CNT; i++) {
		if (strcmp(command->object, everyday[i].object) == 0 &&
		    strcmp(command->verb, everyday[i].verb) == 0)
			return true;
	}
	return false;
}

static void print_everyday(FILE *out)
{
	fprintf(out, "Every day:\n");
	for (size_t i = 0; i < EVERYDAY_CNT; i++)
		print_row(out, command_lookup(everyday[i].object, everyday[i].verb));
}

static void print_group(FILE *out, size_t group)
{
	fprintf(out, "\n%s:\n", groups[group].title);
	for (const char *const *object = groups[group].objects; *object; object++) {
		for (const struct command *at = NULL; (at = command_next(at));) {
			if (strcmp(at->object, *object) == 0 && !command_is_everyday(at))
				print_row(out, at);
		}
	}
}

static void print_all(FILE *out)
{
	fprintf(out, "weft - speak to a mesh node\n\n"
		     "usage: weft [-s SOCKET] [--json] OBJECT VERB [ARGUMENT...]\n\n");
	print_everyday(out);
	for (size_t i = 0; i < GROUP_CNT; i++)
		print_group(out, i);
	fprintf(out, "\nOptions:\n");
	print_options(out, global_options, global_option_cnt);
	fprintf(out, "\nExamples:\n"
		     "  weft share add /usr/share/doc\n"
		     "  weft get 'mesh:...' --to ~/Downloads\n"
		     "  weft status --json\n\n"
		     "weft help OBJECT VERB tells more about one. See weft(1), weftd(8).\n");
}

static void print_verbs(FILE *out, const char *object, const struct command *but)
{
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) == 0 && at != but)
			print_row(out, at);
	}
}

static void print_object(FILE *out, const char *object)
{
	fprintf(out, "usage: weft %s VERB\n\n", object);
	print_verbs(out, object, NULL);
	fprintf(out, "\nweft help %s VERB tells more about one.\n", object);
}

static bool object_has_verbs(const char *object)
{
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) == 0 && *at->verb)
			return true;
	}
	return false;
}

static void print_command(FILE *out, const struct command *command)
{
	char call[80];

	fprintf(out, "usage: weft %s%s\n\n%c%s.\n", call_write(command, call),
		command->options[0].name ? " [OPTION...]" : "", toupper(command->doc[0]),
		command->doc + 1);
	if (command->more)
		fprintf(out, "%s\n", command->more);
	if (command->options[0].name)
		fprintf(out, "\nOptions:\n");
	print_options(out, command->options, COMMAND_OPTION_MAX);
	fprintf(out, "\nOptions of all commands:\n");
	print_globals(out, command);
	if (!*command->verb && object_has_verbs(command->object)) {
		fprintf(out, "\nAlso:\n");
		print_verbs(out, command->object, command);
	}
	fprintf(out, "\nExample:\n  %s\n", command->example);
}

void help_print(const struct invocation *inv, FILE *out)
{
	if (inv->command)
		print_command(out, inv->command);
	else if (inv->arg_cnt)
		print_object(out, inv->args[0]);
	else
		print_all(out);
}

int run_help(struct invocation *inv)
{
	(void)inv;
	print_all(stdout);
	return STATUS_OK;
}

/* The words that may follow an object: its verbs and options. */
static void print_words(const char *object)
{
	printf("\t%s) words=\"", object);
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (strcmp(at->object, object) != 0)
			continue;
		printf("%s ", at->verb);
		for (unsigned j = 0; j < COMMAND_OPTION_MAX && at->options[j].name; j++)
			printf("--%s ", at->options[j].name);
	}
	printf("--json --timeout --help\" ;;\n");
}

/* What only the daemon knows, the one that the line names: schemas, their fields, ids. */
static const char asked_completion[] =
	"# what the daemon that the line names says\n"
	"_weft_ask() { \"${weft[@]}\" --timeout 2 \"$@\" 2>/dev/null; }\n"
	"# the names or ids that may follow OBJECT:VERB\n"
	"_weft_names() {\n"
	"\tlocal name\n"
	"\tcase $1 in\n"
	"\toffer:publish|offer:find|offer:list|offer:relays)\n"
	"\t\t_weft_ask schema list | awk -F'\\t' '$6 == \"yes\" { print $1 }' ;;\n"
	"\tschema:show|schema:export) _weft_ask schema list | cut -f1 ;;\n"
	"\tschema:add) _weft_ask schema list | awk -F'\\t' '$6 == \"no\" { print $1 }' ;;\n"
	"\tschema:remove)\n"
	"\t\t_weft_ask schema list | awk -F'\\t' '$6 == \"yes\" && $4 != \"core\" { print $1 }' "
	";;\n"
	"\toffer:update|offer:revoke) _weft_ask offer list | cut -f1 ;;\n"
	"\toffer:show|offer:reserve)\n"
	"\t\tfor name in $(_weft_names offer:find); do\n"
	"\t\t\t_weft_ask offer find \"$name\" --level 0 --limit 200 | cut -f1\n"
	"\t\tdone ;;\n"
	"\treservation:confirm|reservation:refuse) _weft_ask reservation list |\n"
	"\t\tawk -F'\\t' '$3 == \"received\" && $4 == \"asked\" { print $1 }' ;;\n"
	"\treservation:cancel) _weft_ask reservation list |\n"
	"\t\tawk -F'\\t' '$4 == \"asked\" || $4 == \"confirmed\" { print $1 }' ;;\n"
	"\treservation:show) _weft_ask reservation list | cut -f1 ;;\n"
	"\tesac\n"
	"}\n"
	"# current word, the one before, index of the object, OBJECT:VERB, what is in front of "
	"'='\n"
	"_weft_asked() {\n"
	"\tlocal words= kind kinds=${COMP_WORDS[$3+2]}\n"
	"\t((COMP_CWORD >= $3 + 2)) || return 1\n"
	"\t[[ $1 == -* || $2 == --* ]] && return 1\n"
	"\tif ((COMP_CWORD == $3 + 2)); then\n"
	"\t\twords=$(_weft_names \"$4\")\n"
	"\t\t[[ $4 == offer:find && $1 == *,* ]] && words=$(printf \"${1%,*},%s\\n\" $words)\n"
	"\telif [[ $5 && $1 != = && $2 != = ]]; then\n"
	"\t\tfor kind in ${kinds//,/ }; do\n"
	"\t\t\twords+=$(_weft_ask schema show \"$kind\" |\n"
	"\t\t\t\tawk -F'\\t' -v kind=\"$5\" -v name=\"$kind\" \\\n"
	"\t\t\t\t'$1 == kind { print $2 \"=\"; print name \".\" $2 \"=\" }')$'\\n'\n"
	"\t\tdone\n"
	"\t\t# of several, those alone by themselves that each has\n"
	"\t\tkind=${kinds//[^,]/}\n"
	"\t\twords=$(sort <<<\"$words\" | uniq -c | awk -v cnt=$((${#kind} + 1)) \\\n"
	"\t\t\t'$1 == cnt && !/\\./ { print $2 } cnt > 1 && /\\./ { print $2 }')\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\tfi\n"
	"\tCOMPREPLY=($(compgen -W \"$words\" -- \"$1\"))\n"
	"\tcase $4 in\n"
	"\tschema:add|schema:test|schema:export) COMPREPLY+=($(compgen -f -- \"$1\")) ;;\n"
	"\toffer:publish)\n"
	"\t\t((COMP_CWORD > $3 + 2 && ${#COMPREPLY[@]} == 0)) && COMPREPLY=($(compgen -f -- "
	"\"$1\")) ;;\n"
	"\tesac\n"
	"\treturn 0\n"
	"}\n";

/* An object's commands may stand in several places of the table. */
static bool object_is_first(const struct command *command)
{
	const struct command *at = command_next(NULL);

	while (strcmp(at->object, command->object) != 0)
		at = command_next(at);
	return at == command;
}

static void help_print_completion(void)
{
	printf("# bash completion for weft\n%s"
	       "_weft() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal object= words= i weft=(weft)\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t-s|--socket)\n"
	       "\t\t\t[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))\n"
	       "\t\t\t((i++))\n"
	       "\t\t\tweft+=(-s \"${COMP_WORDS[i]/#\\~\\//$HOME/}\") ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) object=${COMP_WORDS[i]}; break ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $prev in\n"
	       "\t-s|--socket) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\t--to) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
	       "\tesac\n"
	       "\tcase $object:${COMP_WORDS[i+1]} in\n"
	       "\toffer:publish) words=field ;;\n"
	       "\toffer:find) words=filter ;;\n"
	       "\tshare:add)\n"
	       "\t\t[[ $cur == -* ]] || { COMPREPLY=($(compgen -f -- \"$cur\")); return; } ;;\n"
	       "\tesac\n"
	       "\tcase $object in\n"
	       "\toffer|reservation|schema)\n"
	       "\t\t_weft_asked \"$cur\" \"$prev\" $i \"$object:${COMP_WORDS[i+1]}\" $words && "
	       "return ;;\n"
	       "\tesac\n"
	       "\tcase $object in\n\t\"\") words=\"",
	       asked_completion);
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (object_is_first(at))
			printf("%s ", at->object);
	}
	for (unsigned i = 0; i < global_option_cnt; i++)
		printf("--%s ", global_options[i].name);
	printf("\" ;;\n");
	for (const struct command *at = NULL; (at = command_next(at));) {
		if (object_is_first(at))
			print_words(at->object);
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
