/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weftd: signals, the service manager; everything else is the node's. Home worker's thread.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/daemon/memory_plan.h"
#include "base/container_of.h"
#include "base/log.h"
#include "base/monotonic.h"
#include "base/process/crash.h"
#include "base/process/last_crash.h"
#include "base/process/sandbox.h"
#include "base/random.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "codec/codec_library.h"
#include "codec/text/zbase32.h"
#include "config/config.h"
#include "control/control_library.h"
#include "crypto/crypto_library.h"
#include "crypto/node_key.h"
#include "gateway/gateway_library.h"
#include "net/net_library.h"
#include "node/node.h"
#include "provider/exec/launcher.h"
#include "quic/quic.h"
#include "quic/quic_library.h"
#include "tls/tls_library.h"
#include "store/store.h"
#include "store/store_library.h"
#include "weft/version.h"
#include "weftd/backup_restore.h"
#include "weftd/key_source.h"
#include "weftd/notify.h"
#include "weftd/options.h"
#include "weftd/user.h"

enum { EXIT_FAILED = 1 };

struct daemon {
	const struct node_config *config;
	struct node *node;
	struct notify notify;
	struct poller_watch signals;
	int stop_fd; /* readable from the first signal that ends, until the loop takes that */
	struct timer watchdog;
	bool is_stopping;
	char proxy_user[KEY_SOURCE_PASSPHRASE_CAP]; /* "": none */
};

static int print_plan(const struct node_config *config)
{
	struct memory_region regions[MEMORY_REGION_CAP];
	unsigned cnt = api_memory_plan(config, regions);
	uint64_t sum = 0;

	for (unsigned i = 0; i < cnt; i++) {
		printf("%-44s %8.1f MiB\n", regions[i].name, (double)regions[i].len / 1048576);
		sum += regions[i].len;
	}
	printf("%-44s %8.1f MiB\n", "in all, at worst", (double)sum / 1048576);
	return EXIT_SUCCESS;
}

/* The advice for the error that stopped the start. */
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
		return "; weft backup restore DIR puts a backup in its place, weft store salvage "
		       "keeps all of it that is sound";
	case WEFT_ESEALED:
		return "; start with the node.key that was there when they were made; without it, "
		       "move "
		       "the folder db away: shares are published anew from keys that weft share "
		       "export-key wrote";
	case -EAGAIN:
		return "; there is no memory for another thread, or no more are allowed: see "
		       "TasksMax and ulimit -u";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return is_control ? "; choose a place you may write to with --control"
				  : "; choose a place you may write to with --state";
	default:
		return "";
	}
}

/* The service manager starts again what failed, but not what would fail again (weftd.service). */
static int exit_of(int err)
{
	bool is_refused = err == WEFT_EDAMAGED || err == WEFT_ENEWER || err == WEFT_ESEALED;

	return is_refused ? OPTIONS_EXIT_STORE : EXIT_FAILED;
}

static void reload_changed(void *arg, const struct config_change *change)
{
	(void)arg;
	if (change->is_applied)
		log_notice("configuration: %s = %s applied, was %s", change->name, change->after,
			   change->before);
	else
		log_notice("configuration: %s = %s waits for a restart, %s stays in force",
			   change->name, change->after, change->before);
}

static void daemon_reload(struct daemon *daemon)
{
	char message[CONFIG_MESSAGE_CAP];

	weftd_notify_reloading(&daemon->notify, clock_monotonic_ns());
	if (node_reload(daemon->node, reload_changed, NULL, message) < 0)
		log_error("configuration: %s; keeping what is in force", message);
	weftd_notify_ready(&daemon->notify, NULL);
}

static void signals_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct daemon *daemon = container_of(watch, struct daemon, signals);
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
		weftd_notify_stopping(&daemon->notify);
		daemon->is_stopping = true;
		node_stop(daemon->node);
	}
}

static void watchdog_fire(struct timer *timer, uint64_t now_ns)
{
	struct daemon *daemon = container_of(timer, struct daemon, watchdog);

	weftd_notify_alive(&daemon->notify);
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
	sigdelset(&set, SIGHUP);
	daemon->stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return daemon->signals.fd < 0 || daemon->stop_fd < 0 ? -errno : 0;
}

/* A core file and a debugger of our own user see every key. LSan is such a debugger. */
static void process_hide(const struct node_config *config)
{
	const struct rlimit no_core = {0, 0};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)config, (void)no_core;
#else
	/* A change of user clears the flag: it is set either way. */
	(void)prctl(PR_SET_DUMPABLE, config->keeps_core ? 1 : 0, 0, 0, 0);
	if (!config->keeps_core)
		(void)setrlimit(RLIMIT_CORE, &no_core);
#endif
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

/* process_prepare gives up what the daemon may not do, before it opens anything of its own. */
static int process_prepare(const struct node_config *config)
{
	const struct sandbox_config sandbox = {
		.is_on = config->is_sandboxed,
		.state_dir = config->state_dir,
		.readable = {config->pkarr_client.ca_file, config->signaling.ca_file,
			     config->relay_web_end.ca_file, getenv("SSL_CERT_FILE"),
			     getenv("SSL_CERT_DIR")},
	};
	char message[USER_MESSAGE_CAP];
	int err;

	process_confine();
	err = weftd_user_become(config, message);
	if (err < 0) {
		log_error("%s", message);
		return err;
	}
	process_hide(config);
	tls_openssl_init();
	sandbox_arm(&sandbox);
	return 0;
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
	weftd_notify_ready(&daemon->notify, status);
	/* All that takes more is done: ports, state, threads. */
	sandbox_enter(SANDBOX_HOME);
	err = node_run(daemon->node);
	if (!daemon->is_stopping)
		weftd_notify_stopping(&daemon->notify);
	if (err < 0)
		log_error("event loop: %s", weft_err_text(err));
	return err < 0 ? EXIT_FAILED : EXIT_SUCCESS;
}

/* crash_report_open also reports the run before, if a signal ended that. */
static int crash_report_open(const struct node_config *config, struct last_crash *last_crash)
{
	char text[LAST_CRASH_TEXT_CAP];
	int fd = last_crash_open(config->state_dir, last_crash);

	/* Busy: a second daemon, which the store refuses. */
	if (fd < 0 && fd != -EBUSY)
		log_warn("%s/crash.report: %s; a crash of this run is reported on standard error "
			 "alone",
			 config->state_dir, strerror(-fd));
	if (last_crash->died_at_s)
		log_error("%s; kept in %s/crash.last", last_crash_format(last_crash, text),
			  config->state_dir);
	return fd;
}

/* A start that was stopped on request has not failed. */
static int start_failed(int err, const char *what)
{
	if (err == WEFT_ECANCELLED) {
		log_info("stopped before it was ready");
		return EXIT_SUCCESS;
	}
	log_error("%s: %s%s", what, weft_err_text(err), start_advice(err, what));
	return exit_of(err);
}

static int secrets_load(struct daemon *daemon, struct node_key **out_key)
{
	char message[KEY_SOURCE_MESSAGE_CAP];
	int err = weftd_key_source_proxy_user(daemon->config, daemon->proxy_user, message);

	if (err == 0)
		err = weftd_key_source_load(daemon->config, out_key, message);
	if (err < 0)
		log_error("%s%s", message, start_advice(err, "key"));
	return err;
}

static int daemon_start(const struct node_config *config)
{
	struct daemon daemon = {.config = config};
	char what[NODE_WHAT_CAP] = "start";
	struct node_key *key = NULL;
	struct last_crash last_crash;
	struct random random;
	struct launcher *launcher;
	int err = provider_launcher_open(&launcher), report_fd, status = EXIT_FAILED;

	if (err < 0) {
		log_error("the process that starts programs: %s", weft_err_text(err));
		return EXIT_FAILED;
	}
	if (process_prepare(config) < 0)
		goto close_launcher;
	weftd_notify_open(&daemon.notify);
	err = signals_block(&daemon);
	if (err < 0) {
		log_error("signals: %s", weft_err_text(err));
		goto close_notify;
	}
	if (secrets_load(&daemon, &key) < 0)
		goto close_signals;
	report_fd = crash_report_open(config, &last_crash);
	random_init_system(&random);
	struct node_params params = {
		.config = config,
		.key = key,
		.proxy_user = *daemon.proxy_user ? daemon.proxy_user : NULL,
		.launcher = launcher,
		.random = &random,
		.last_crash = &last_crash,
		.now_ns = clock_monotonic_ns(),
		.wall_s = clock_wall_s(),
		.stop_fd = daemon.stop_fd,
	};
	err = node_new(&params, &daemon.node, what);
	if (err < 0) {
		status = start_failed(err, what);
		goto free_key;
	}
	status = daemon_run(&daemon, node_key_public(key));
	node_free(daemon.node);
	if (status == EXIT_SUCCESS)
		last_crash_close(config->state_dir, report_fd);
free_key:
	node_key_free(key);
	explicit_bzero(daemon.proxy_user, sizeof(daemon.proxy_user));
close_signals:
	close(daemon.stop_fd);
	close(daemon.signals.fd);
close_notify:
	weftd_notify_close(&daemon.notify);
close_launcher:
	provider_launcher_close(launcher);
	return status;
}

/* --- modes in which no daemon runs --- */

static void finding_print(void *arg, const char *finding)
{
	(void)arg;
	fprintf(stderr, "%s\n", finding);
}

static int offline_failed(const char *dir, int err)
{
	const char *advice = err == WEFT_EBUSY	  ? "; stop the weftd that has it open"
			     : err == WEFT_ENEWER ? "; use that version"
						  : "";

	fprintf(stderr, "weftd: %s: %s%s\n", dir, weft_err_text(err), advice);
	return err == WEFT_EDAMAGED || err == WEFT_ENEWER ? OPTIONS_EXIT_STORE : EXIT_FAILURE;
}

static int offline_salvage(const struct node_config *config)
{
	struct store_salvage_result result;
	int err = store_salvage(config->state_dir, finding_print, NULL, &result);

	if (err < 0)
		return offline_failed(config->state_dir, err);
	printf("%" PRIu64 " rows kept, %" PRIu64 " of them from behind damaged pages\n"
	       "%" PRIu64 " rows and what was on %" PRIu64 " pages left out\n"
	       "the damaged databases are in %s/%s: delete them when nothing is missed\n",
	       result.row_cnt, result.row_found_cnt, result.row_bad_cnt, result.page_bad_cnt,
	       config->state_dir, result.aside);
	if (result.has_lost_blobs)
		printf("start weftd and run weft store check --repair: it indexes what is stored "
		       "again\n");
	return EXIT_SUCCESS;
}

static int offline_restore(const struct node_config *config, const char *backup, int passphrase_fd)
{
	const struct store_restore_ask ask = {.from = backup,
					      .dir = config->state_dir,
					      .extra_file = "node.key",
					      .report = finding_print};
	struct store_restore_result result;
	struct stat st;
	int err;

	if (stat(backup, &st) == 0 && !S_ISDIR(st.st_mode))
		return weftd_backup_restore(config, backup, passphrase_fd);
	err = store_restore(&ask, &result);
	if (err < 0)
		return offline_failed(result.is_of_backup ? backup : config->state_dir, err);
	printf("restored from %s\n", backup);
	if (result.aside[0])
		printf("what was stored is in %s/%s: delete it when nothing is missed\n",
		       config->state_dir, result.aside);
	return EXIT_SUCCESS;
}

/* All libraries, one after the other. */
static void libraries_add(json_t *object, const struct library *libraries, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		json_object_set_new(object, libraries[i].name, json_string(libraries[i].version));
}

static void version_print_json(FILE *out)
{
	struct {
		struct library quic[QUIC_LIBRARY_CNT], crypto[CRYPTO_LIBRARY_CNT];
		struct library store[STORE_LIBRARY_CNT], codec[CODEC_LIBRARY_CNT];
		struct library gateway[GATEWAY_LIBRARY_CNT], control[CONTROL_LIBRARY_CNT];
		struct library net[NET_LIBRARY_CNT];
	} all;
	json_t *libraries = json_object();
	json_t *version = json_pack("{s:s, s:O}", "weftd", WEFT_VERSION, "libraries", libraries);

	quic_libraries(all.quic);
	crypto_libraries(all.crypto);
	store_libraries(all.store);
	codec_libraries(all.codec);
	gateway_libraries(all.gateway);
	control_libraries(all.control);
	net_libraries(all.net);
	/* All of it is of libraries, one after the other. */
	libraries_add(libraries, (const struct library *)&all,
		      sizeof(all) / sizeof(struct library));
	json_object_set_new(libraries, "glibc", json_string(gnu_get_libc_version()));
	json_dumpf(version, out, JSON_INDENT(2) | JSON_SORT_KEYS);
	fputc('\n', out);
	json_decref(libraries);
	json_decref(version);
}

int main(int argc, char **argv)
{
	static struct daemon_options args;
	char message[CONFIG_MESSAGE_CAP];
	struct node_config *config;
	int err, status = weftd_options_read(argc, argv, &args);

	if (status >= 0)
		return status;
	if (args.mode == OPTIONS_VERSION) {
		if (args.is_json)
			version_print_json(stdout);
		else
			printf("weftd %s\n", WEFT_VERSION);
		return EXIT_SUCCESS;
	}
	if (args.mode == OPTIONS_REFERENCE) {
		config_print_reference(stdout);
		return EXIT_SUCCESS;
	}
	const struct config_ask ask = {args.config_file, args.overrides, args.override_cnt};

	err = config_load(&ask, &config, message);
	if (err < 0) {
		fprintf(stderr, "weftd: %s\n", message);
		return err == -ENOMEM ? EXIT_FAILED : OPTIONS_EXIT_USAGE;
	}
	log_init((enum log_level)config->log_level);
	(void)crash_arm(WEFT_VERSION);
	crash_thread_begin("home");
	status = EXIT_SUCCESS;
	switch (args.mode) {
	case OPTIONS_PLAN:
		status = print_plan(config);
		break;
	case OPTIONS_PRINT:
		config_print(config, stdout);
		break;
	case OPTIONS_CHECK:
		printf("configuration is good\n");
		break;
	case OPTIONS_SALVAGE:
		status = offline_salvage(config);
		break;
	case OPTIONS_RESTORE:
		status = offline_restore(config, args.backup, args.passphrase_fd);
		break;
	default:
		status = daemon_start(config);
	}
	config_free(config);
	return status;
}
