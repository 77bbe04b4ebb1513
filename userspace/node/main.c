/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd: options, signals, the service manager; everything else is the
 * node's. Home worker's thread.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/poller.h"
#include "base/random.h"
#include "base/timer.h"
#include "codec/zbase32.h"
#include "crypto/node_key.h"
#include "node/config.h"
#include "node/key_source.h"
#include "node/memory.h"
#include "node/node.h"
#include "node/notify.h"
#include "weft/nearest.h"
#include "weft/version.h"

#define OVERRIDE_CAP 64

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum daemon_mode { MODE_RUN, MODE_PLAN, MODE_CHECK, MODE_PRINT, MODE_REFERENCE };

/* Options; those with a key stand for one line of the configuration. */
static const struct daemon_option {
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *section, *key;
	const char *doc;
	enum daemon_mode mode; /* of an option without key and arg */
} daemon_options[] = {
	{"state", "DIR", "node", "state", "folder for all the node remembers", MODE_RUN},
	{"listen", "ADDR:PORT", "node", "listen", "UDP address; may be given up to 8 times",
	 MODE_RUN},
	{"advertise", "ADDR:PORT", "node", "advertise",
	 "address that links carry; may be given up to 8 times", MODE_RUN},
	{"control", "PATH", "control", "path", "control socket", MODE_RUN},
	{"passphrase-file", "FILE", "node", "passphrase_file",
	 "its first line seals the node's key", MODE_RUN},
	{"log-level", "LEVEL", "log", "level", "error, warning, notice, info or debug", MODE_RUN},
	{"set", "SECTION.KEY=VALUE", NULL, NULL, "any other line of weft.conf(5)", MODE_RUN},
	{"config", "FILE", NULL, NULL,
	 "configuration, with FILE.d/*.conf; default " CONFIG_FILE_DEFAULT, MODE_RUN},
	{"plan", NULL, NULL, NULL, "print the memory needed at worst, and exit", MODE_PLAN},
	{"check-config", NULL, NULL, NULL, "read the configuration, say if it is good, and exit",
	 MODE_CHECK},
	{"print-config", NULL, NULL, NULL, "print the configuration in force, and exit",
	 MODE_PRINT},
	{"print-reference", NULL, NULL, NULL, "print every key in roff, and exit", MODE_REFERENCE},
	{"help", NULL, NULL, NULL, "print this, and exit", MODE_RUN},
	{"version", NULL, NULL, NULL, "print the version, and exit", MODE_RUN},
};
#define OPTION_CNT (sizeof(daemon_options) / sizeof(daemon_options[0]))

struct daemon_args {
	struct config_override overrides[OVERRIDE_CAP];
	char texts[OVERRIDE_CAP][PATH_MAX];
	unsigned override_cnt;
	const char *config_file;
	enum daemon_mode mode;
};

struct daemon {
	const struct node_config *config;
	struct node *node;
	struct notify notify;
	struct poller_watch signals;
	struct timer watchdog;
	bool is_stopping;
};

static void print_help(void)
{
	printf("weftd - mesh node daemon\n\nusage: weftd [OPTION...]\n\n");
	for (size_t i = 0; i < OPTION_CNT; i++) {
		char left[48];

		snprintf(left, sizeof(left), "--%s %s", daemon_options[i].name,
			 daemon_options[i].arg ? daemon_options[i].arg : "");
		printf("  %-26s %s\n", left, daemon_options[i].doc);
	}
	printf("\nExample:\n  weftd --state /tmp/a --listen 127.0.0.1:7000 --control /tmp/a.sock\n"
	       "\nSIGHUP reads the configuration again, SIGTERM drains and ends.\n"
	       "See weftd(8), weft.conf(5), weft(1).\n");
}

static int usage_error(const char *what)
{
	fprintf(stderr, "weftd: %s; see weftd --help\n", what);
	return EXIT_USAGE;
}

static int option_error(const char *word, bool lacks_value)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (size_t i = 0; i < OPTION_CNT; i++) {
		if (weft_is_nearer(word + strspn(word, "-"), daemon_options[i].name, &best))
			nearest = daemon_options[i].name;
	}
	if (lacks_value)
		fprintf(stderr, "weftd: %s takes a value; see weftd --help\n", word);
	else if (nearest)
		fprintf(stderr, "weftd: unknown option %s; did you mean --%s?\n", word, nearest);
	else
		fprintf(stderr, "weftd: unknown option %s; see weftd --help\n", word);
	return EXIT_USAGE;
}

/* text_of_option: a path on the command line is relative to where one stands. */
static void text_of_option(const struct daemon_option *option, const char *value, char *text)
{
	char cwd[PATH_MAX];
	bool is_path = strcmp(option->arg, "DIR") == 0 || strcmp(option->arg, "FILE") == 0 ||
		       strcmp(option->arg, "PATH") == 0;

	if (is_path && *value && *value != '/' && getcwd(cwd, sizeof(cwd)) &&
	    snprintf(text, PATH_MAX, "%s/%s", cwd, value) < PATH_MAX)
		return;
	snprintf(text, PATH_MAX, "%s", value);
}

static int override_add(struct daemon_args *args, const struct daemon_option *option,
			const char *value)
{
	struct config_override *override = &args->overrides[args->override_cnt];
	char *text = args->texts[args->override_cnt];
	char *dot, *equals;

	if (args->override_cnt == OVERRIDE_CAP)
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
		if (option->section && args->overrides[i].key == option->key)
			override->is_appended = strcmp(option->arg, "ADDR:PORT") == 0;
	}
	args->override_cnt++;
	return 0;
}

/* args_read: 0, or the exit status plus one when weftd is done already. */
static int args_read(int argc, char **argv, struct daemon_args *args)
{
	struct option options[OPTION_CNT + 1] = {0};
	int idx, c;

	for (size_t i = 0; i < OPTION_CNT; i++)
		options[i] = (struct option){
			daemon_options[i].name,
			daemon_options[i].arg ? required_argument : no_argument, NULL, 0};
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, &idx)) == 0) {
		const struct daemon_option *option = &daemon_options[idx];

		if (strcmp(option->name, "help") == 0) {
			print_help();
			return 1 + EXIT_SUCCESS;
		} else if (strcmp(option->name, "version") == 0) {
			printf("weftd %s\n", WEFT_VERSION);
			return 1 + EXIT_SUCCESS;
		} else if (strcmp(option->name, "config") == 0) {
			args->config_file = optarg;
		} else if (option->arg) {
			if (override_add(args, option, optarg) != 0)
				return 1 + EXIT_USAGE;
		} else {
			args->mode = option->mode;
		}
	}
	if (c != -1)
		return 1 + option_error(argv[optind - 1], c == ':');
	if (optind < argc)
		return 1 + usage_error("it takes no arguments");
	return 0;
}

static int print_plan(const struct node_config *config)
{
	struct memory_region regions[MEMORY_REGION_CAP];
	unsigned cnt = memory_plan(config, regions);
	uint64_t sum = 0;

	for (unsigned i = 0; i < cnt; i++) {
		printf("%-44s %8.1f MiB\n", regions[i].name, (double)regions[i].len / 1048576);
		sum += regions[i].len;
	}
	printf("%-44s %8.1f MiB\n", "in all, at worst", (double)sum / 1048576);
	return EXIT_SUCCESS;
}

/* What to do about what stopped the start. */
static const char *start_advice(int err, const char *what)
{
	bool is_control = strncmp(what, "control", 7) == 0;

	switch (err) {
	case -EADDRINUSE:
		return "; another program listens there: stop it, or choose another with --listen";
	case -EADDRNOTAVAIL:
		return "; this machine has no such address: choose another with --listen";
	case WEFT_EBUSY:
		return is_control
			       ? "; another daemon answers there: choose another with --control"
			       : "; another weftd uses it: stop that one, or choose another with "
				 "--state";
	case -EEXIST:
		return is_control ? "; that is not a socket: remove it, or choose another with "
				    "--control"
				  : "";
	case WEFT_ENEWER:
		return "; use that version, or another folder with --state";
	case WEFT_EDAMAGED:
		return "; restore it from a copy, or move it away and start anew";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return is_control ? "; choose a place you may write to with --control"
				  : "; choose a place you may write to with --state";
	default:
		return "";
	}
}

static void reload_changed(void *arg, const char *name, bool is_applied)
{
	(void)arg;
	log_notice("configuration: %s %s", name, is_applied ? "applied" : "waits for a restart");
}

static void daemon_reload(struct daemon *daemon)
{
	char message[CONFIG_MESSAGE_CAP];

	notify_reloading(&daemon->notify, clock_monotonic_ns());
	if (config_reload(daemon->config, reload_changed, NULL, message) < 0)
		log_error("configuration: %s; keeping what is in force", message);
	notify_ready(&daemon->notify, NULL);
}

static void signals_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct daemon *daemon = (void *)((char *)watch - offsetof(struct daemon, signals));
	struct signalfd_siginfo info;

	(void)events;
	(void)now_ns;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			daemon_reload(daemon);
			continue;
		}
		if (daemon->is_stopping)
			continue;
		log_info("stopping");
		notify_stopping(&daemon->notify);
		daemon->is_stopping = true;
		node_stop(daemon->node);
	}
}

static void watchdog_fire(struct timer *timer, uint64_t now_ns)
{
	struct daemon *daemon = (void *)((char *)timer - offsetof(struct daemon, watchdog));

	notify_alive(&daemon->notify);
	/* Twice within the interval the manager allows. */
	timer_set(node_timers(daemon->node), timer, now_ns + daemon->notify.watchdog_ns / 2);
}

/* signals_block keeps the signals for the descriptor; threads inherit it. */
static int signals_block(struct daemon *daemon)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	daemon->signals.ready = signals_ready;
	daemon->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return daemon->signals.fd < 0 ? -errno : 0;
}

static void process_confine(void)
{
	struct rlimit files;

	/* Best effort: an old kernel or a tight limit is no reason not to run. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int daemon_run(struct daemon *daemon, const uint8_t *public_key)
{
	char id[ZBASE32_KEY_TEXT_CAP], status[128];
	int err = poller_add(node_poller(daemon->node), &daemon->signals, POLLER_IN);

	if (err < 0) {
		log_error("signals: %s", weft_err_text(err));
		return EXIT_FAILED;
	}
	timer_init(&daemon->watchdog, watchdog_fire);
	if (daemon->notify.watchdog_ns)
		watchdog_fire(&daemon->watchdog, clock_monotonic_ns());
	zbase32_write(public_key, NODE_KEY_LEN, id);
	snprintf(status, sizeof(status), "node %s", id);
	log_info("weftd %s ready: node %s, control socket %s", WEFT_VERSION, id,
		 daemon->config->control_path);
	notify_ready(&daemon->notify, status);
	err = node_run(daemon->node);
	if (!daemon->is_stopping)
		notify_stopping(&daemon->notify);
	if (err < 0)
		log_error("event loop: %s", weft_err_text(err));
	return err < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

static int daemon_start(const struct node_config *config)
{
	struct daemon daemon = {.config = config};
	char message[KEY_SOURCE_MESSAGE_CAP], what[NODE_WHAT_CAP] = "start";
	struct node_key *key = NULL;
	struct random random;
	int err, status = EXIT_FAILED;

	process_confine();
	notify_open(&daemon.notify);
	err = signals_block(&daemon);
	if (err < 0) {
		log_error("signals: %s", weft_err_text(err));
		goto close_notify;
	}
	err = key_source_load(config, &key, message);
	if (err < 0) {
		log_error("%s%s", message, start_advice(err, "key"));
		goto close_signals;
	}
	random_init_system(&random);
	struct node_params params = {
		.config = config,
		.key = key,
		.random = &random,
		.now_ns = clock_monotonic_ns(),
		.wall_s = clock_wall_s(),
	};
	err = node_new(&params, &daemon.node, what);
	if (err < 0) {
		log_error("%s: %s%s", what, weft_err_text(err), start_advice(err, what));
		goto free_key;
	}
	status = daemon_run(&daemon, node_key_public(key));
	node_free(daemon.node);
free_key:
	node_key_free(key);
close_signals:
	close(daemon.signals.fd);
close_notify:
	notify_close(&daemon.notify);
	return status;
}

int main(int argc, char **argv)
{
	static struct daemon_args args;
	char message[CONFIG_MESSAGE_CAP];
	struct node_config *config;
	int status = args_read(argc, argv, &args);

	if (status)
		return status - 1;
	if (args.mode == MODE_REFERENCE) {
		config_print_reference(stdout);
		return EXIT_SUCCESS;
	}
	const struct config_ask ask = {args.config_file, args.overrides, args.override_cnt};

	if (config_load(&ask, &config, message) < 0) {
		fprintf(stderr, "weftd: %s\n", message);
		return EXIT_USAGE;
	}
	log_init((enum log_level)config->log_level);
	switch (args.mode) {
	case MODE_PLAN:
		status = print_plan(config);
		break;
	case MODE_PRINT:
		config_print(config, stdout);
		break;
	case MODE_CHECK:
		printf("configuration is good\n");
		break;
	default:
		status = daemon_start(config);
	}
	config_free(config);
	return status;
}
