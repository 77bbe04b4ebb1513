/* SPDX-License-Identifier: Apache-2.0 */
/* weftd's command line, by one table. Start-up only. */
#include "weftd/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weft/nearest.h"

/* Options; those with a key stand for one line of the configuration. */
static const struct option_row {
	const char *name;
	const char *arg; /* NULL: takes none; one with a key says yes then */
	const char *section, *key;
	const char *doc;
	enum options_mode mode; /* of an option without key and arg */
} option_rows[] = {
	{"state", "DIR", "node", "state", "folder for all the node remembers", OPTIONS_RUN},
	{"listen", "ADDR:PORT", "node", "listen", "UDP address; may be given up to 8 times",
	 OPTIONS_RUN},
	{"advertise", "ADDR:PORT", "node", "advertise",
	 "address that links carry; may be given up to 8 times", OPTIONS_RUN},
	{"control", "PATH", "control", "path", "control socket", OPTIONS_RUN},
	{"dht-only", NULL, "dht", "only", "look nodes up on the DHT and nowhere else", OPTIONS_RUN},
	{"relay-only", NULL, NULL, NULL, "carry datagrams of others, and offer and share nothing",
	 OPTIONS_RUN},
	{"passphrase-file", "FILE", "node", "passphrase_file",
	 "its first line seals the node's key", OPTIONS_RUN},
	{"log-level", "LEVEL", "log", "level", "error, warning, notice, info or debug",
	 OPTIONS_RUN},
	{"set", "SECTION.KEY=VALUE", NULL, NULL, "any other line of weft.conf(5)", OPTIONS_RUN},
	{"config", "FILE", NULL, NULL, "configuration, with FILE.d/*.conf; default: see weftd(8)",
	 OPTIONS_RUN},
	{"plan", NULL, NULL, NULL, "print the memory needed at worst, and exit", OPTIONS_PLAN},
	{"check-config", NULL, NULL, NULL, "read the configuration, say if it is good, and exit",
	 OPTIONS_CHECK},
	{"print-config", NULL, NULL, NULL, "print the configuration in force, and exit",
	 OPTIONS_PRINT},
	{"print-reference", NULL, NULL, NULL, "print every key in roff, and exit",
	 OPTIONS_REFERENCE},
	{"salvage", NULL, NULL, NULL, "make a sound store of a damaged one, and exit",
	 OPTIONS_SALVAGE},
	{"restore", "FILE", NULL, NULL,
	 "make a new state folder of a backup, or put a whole copy in its place, and exit",
	 OPTIONS_RESTORE},
	{"restore-passphrase-fd", "FD", NULL, NULL,
	 "with --restore: where the backup's passphrase is read, one line; default 0", OPTIONS_RUN},
	{"help", NULL, NULL, NULL, "print this, and exit", OPTIONS_RUN},
	{"version", NULL, NULL, NULL, "print the version, and exit", OPTIONS_VERSION},
	{"json", NULL, NULL, NULL, "with --version: also the versions of linked libraries",
	 OPTIONS_RUN},
};
#define OPTION_CNT (sizeof(option_rows) / sizeof(option_rows[0]))

/* What --relay-only stands for. The overlay stays, for others find the relay in it. */
static const struct config_override relay_only[] = {
	{"relay", "enabled", "yes", false},  {"relay", "use", "no", false},
	{"sharing", "enabled", "no", false}, {"offers", "enabled", "no", false},
	{"service", "builtin", "", false},   {"deposits", "enabled", "no", false},
};

static void print_help(void)
{
	printf("weftd - mesh node daemon\n\nusage: weftd [OPTION...]\n\n");
	for (size_t i = 0; i < OPTION_CNT; i++) {
		char left[48];

		snprintf(left, sizeof(left), "--%s %s", option_rows[i].name,
			 option_rows[i].arg ? option_rows[i].arg : "");
		printf("  %-26s %s\n", left, option_rows[i].doc);
	}
	printf("\nExample:\n  weftd --state /tmp/a --listen 127.0.0.1:7000 --control /tmp/a.sock\n"
	       "\nSIGHUP reads the configuration again, SIGTERM drains and ends.\n"
	       "See weftd(8), weft.conf(5), weft(1).\n");
}

static int usage_error(const char *what)
{
	fprintf(stderr, "weftd: %s; see weftd --help\n", what);
	return OPTIONS_EXIT_USAGE;
}

static int option_error(const char *word, bool lacks_value)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (size_t i = 0; i < OPTION_CNT; i++) {
		if (weft_is_nearer(word + strspn(word, "-"), option_rows[i].name, &best))
			nearest = option_rows[i].name;
	}
	if (lacks_value)
		fprintf(stderr, "weftd: %s takes a value; see weftd --help\n", word);
	else if (nearest)
		fprintf(stderr, "weftd: unknown option %s; did you mean --%s?\n", word, nearest);
	else
		fprintf(stderr, "weftd: unknown option %s; see weftd --help\n", word);
	return OPTIONS_EXIT_USAGE;
}

/* text_of_option: a path on the command line is relative to where one stands. */
static void text_of_option(const struct option_row *option, const char *value, char *text)
{
	char cwd[PATH_MAX];
	bool is_path = option->arg &&
		       (strcmp(option->arg, "DIR") == 0 || strcmp(option->arg, "FILE") == 0 ||
			strcmp(option->arg, "PATH") == 0);

	if (is_path && *value && *value != '/' && getcwd(cwd, sizeof(cwd)) &&
	    snprintf(text, PATH_MAX, "%s/%s", cwd, value) < PATH_MAX)
		return;
	snprintf(text, PATH_MAX, "%s", value);
}

static int override_add(struct daemon_options *args, const struct option_row *option,
			const char *value)
{
	struct config_override *override = &args->overrides[args->override_cnt];
	char *text = args->texts[args->override_cnt];
	char *dot, *equals;

	if (args->override_cnt == OPTIONS_OVERRIDE_CAP)
		return usage_error("too many options");
	text_of_option(option, value, text);
	*override = (struct config_override){option->section, option->key, text, false};
	if (!option->section) {
		equals = strchr(text, '=');
		dot = equals ? memchr(text, '.', (size_t)(equals - text)) : NULL;
		if (!dot)
			return usage_error("--set takes SECTION.KEY=VALUE");
		*dot = *equals = '\0';
		*override = (struct config_override){text, dot + 1, equals + 1, false};
	}
	for (unsigned i = 0; i < args->override_cnt; i++) {
		if (option->arg && option->section && args->overrides[i].key == option->key)
			override->is_appended = strcmp(option->arg, "ADDR:PORT") == 0;
	}
	args->override_cnt++;
	return 0;
}

static int relay_only_add(struct daemon_options *args)
{
	for (size_t i = 0; i < sizeof(relay_only) / sizeof(relay_only[0]); i++) {
		if (args->override_cnt == OPTIONS_OVERRIDE_CAP)
			return usage_error("too many options");
		args->overrides[args->override_cnt++] = relay_only[i];
	}
	return 0;
}

static bool fd_read(const char *text, int *out_fd)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd < 0 || fd > INT_MAX)
		return false;
	*out_fd = (int)fd;
	return true;
}

int weftd_options_read(int argc, char **argv, struct daemon_options *args)
{
	struct option options[OPTION_CNT + 1] = {0};
	int idx, c;

	for (size_t i = 0; i < OPTION_CNT; i++)
		options[i] = (struct option){option_rows[i].name,
					     option_rows[i].arg ? required_argument : no_argument,
					     NULL, 0};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, &idx)) == 0) {
		const struct option_row *option = &option_rows[idx];

		if (strcmp(option->name, "help") == 0) {
			print_help();
			return EXIT_SUCCESS;
		} else if (strcmp(option->name, "json") == 0) {
			args->is_json = true;
		} else if (strcmp(option->name, "relay-only") == 0) {
			if (relay_only_add(args) != 0)
				return OPTIONS_EXIT_USAGE;
		} else if (strcmp(option->name, "config") == 0) {
			args->config_file = optarg;
		} else if (strcmp(option->name, "restore-passphrase-fd") == 0) {
			if (!fd_read(optarg, &args->passphrase_fd))
				return usage_error("--restore-passphrase-fd takes the number of an "
						   "open file");
		} else if (option->mode == OPTIONS_RESTORE) {
			args->mode = option->mode;
			args->backup = optarg;
		} else if (option->arg || option->key) {
			if (override_add(args, option, option->arg ? optarg : "yes") != 0)
				return OPTIONS_EXIT_USAGE;
		} else {
			args->mode = option->mode;
		}
	}
	if (c != -1)
		return option_error(argv[optind - 1], c == ':');
	if (optind < argc)
		return usage_error("it takes no arguments");
	if (args->is_json && args->mode != OPTIONS_VERSION)
		return usage_error("--json goes with --version");
	return -1;
}
