/* SPDX-License-Identifier: Apache-2.0 */
#include "weftd/options.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include "support/check.h"

#define ARG_CAP 160

static struct daemon_options options;
static char said[512]; /* on standard error, by the last read_args */

/* read_args reads a command line whose words end with NULL, and what it says on standard error. */
static int read_args(char **args)
{
	int argc = 1, pipe_fds[2], real_fd, status;
	char *argv[ARG_CAP + 2] = {(char[]){"weftd"}};
	ssize_t n;

	while (args[argc - 1] && argc <= ARG_CAP) {
		argv[argc] = args[argc - 1];
		argc++;
	}
	memset(&options, 0, sizeof(options));
	fflush(stderr);
	real_fd = dup(STDERR_FILENO);
	if (real_fd < 0 || pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC) < 0 ||
	    dup2(pipe_fds[1], STDERR_FILENO) < 0)
		abort();
	optind = 0; /* glibc: begin anew */
	status = weftd_options_read(argc, argv, &options);
	if (dup2(real_fd, STDERR_FILENO) < 0)
		abort();
	n = read(pipe_fds[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(real_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return status;
}

/* READ takes string literals, which getopt leaves as they are: no word but options is permuted. */
#define READ(...) read_args((char *[]){__VA_ARGS__, NULL})

static bool is_override(unsigned idx, const char *section, const char *key, const char *value)
{
	const struct config_override *override = &options.overrides[idx];

	return idx < options.override_cnt && strcmp(override->section, section) == 0 &&
	       strcmp(override->key, key) == 0 && strcmp(override->value, value) == 0;
}

static void test_options_become_lines_of_the_configuration(void)
{
	CHECK_EQ(READ("--state", "/var/x", "--dht-only", "--log-level=debug", "--set",
		      "quic.conn_cap=a.b=c"),
		 -1);
	CHECK_EQ(options.mode, OPTIONS_RUN);
	CHECK_EQ(options.override_cnt, 4);
	CHECK(is_override(0, "node", "state", "/var/x"));
	CHECK(is_override(1, "dht", "only", "yes"));
	CHECK(is_override(2, "log", "level", "debug"));
	/* Only the first dot and the first equals sign separate. */
	CHECK(is_override(3, "quic", "conn_cap", "a.b=c"));
	CHECK_STR(said, "");
}

/* A --set behind it is stronger: the last line of a key holds. */
static void test_relay_only_is_a_row_of_lines(void)
{
	CHECK_EQ(READ("--relay-only", "--set", "sharing.enabled=yes"), -1);
	CHECK_EQ(options.mode, OPTIONS_RUN);
	CHECK_EQ(options.override_cnt, 7);
	CHECK(is_override(0, "relay", "enabled", "yes"));
	CHECK(is_override(1, "relay", "use", "no"));
	CHECK(is_override(2, "sharing", "enabled", "no"));
	CHECK(is_override(3, "offers", "enabled", "no"));
	CHECK(is_override(4, "service", "builtin", ""));
	CHECK(is_override(5, "deposits", "enabled", "no"));
	CHECK(is_override(6, "sharing", "enabled", "yes"));
}

static void test_second_address_is_added_and_a_second_path_replaces(void)
{
	CHECK_EQ(READ("--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2", "--advertise",
		      "192.0.2.1:1", "--control", "/a", "--control", "/b"),
		 -1);
	CHECK_EQ(options.override_cnt, 5);
	CHECK(!options.overrides[0].is_appended);
	CHECK(options.overrides[1].is_appended);
	CHECK(!options.overrides[2].is_appended);
	CHECK(!options.overrides[3].is_appended && !options.overrides[4].is_appended);
}

static void test_relative_path_is_taken_from_the_current_folder(void)
{
	char cwd[PATH_MAX / 2], want[PATH_MAX];

	CHECK(getcwd(cwd, sizeof(cwd)) != NULL);
	CHECK_EQ(READ("--state", "here", "--control", "/there", "--listen", "0.0.0.0:1"), -1);
	snprintf(want, sizeof(want), "%s/here", cwd);
	CHECK(is_override(0, "node", "state", want));
	CHECK(is_override(1, "control", "path", "/there"));
	CHECK(is_override(2, "node", "listen", "0.0.0.0:1"));
}

static void test_each_mode_has_its_option(void)
{
	static const struct {
		char *option;
		enum options_mode mode;
	} rows[] = {
		{"--plan", OPTIONS_PLAN},	   {"--check-config", OPTIONS_CHECK},
		{"--print-config", OPTIONS_PRINT}, {"--print-reference", OPTIONS_REFERENCE},
		{"--version", OPTIONS_VERSION},	   {"--salvage", OPTIONS_SALVAGE},
		{"--dht-only", OPTIONS_RUN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(READ(rows[i].option), -1);
		CHECK_EQ(options.mode, rows[i].mode);
	}
	CHECK_EQ(READ("--restore", "/old", "--restore-passphrase-fd", "3"), -1);
	CHECK_EQ(options.mode, OPTIONS_RESTORE);
	CHECK_STR(options.backup, "/old");
	CHECK_EQ(options.passphrase_fd, 3);
	CHECK_EQ(READ("--version", "--json"), -1);
	CHECK(options.is_json);
}

static void test_faults_of_the_command_line_are_named(void)
{
	static const struct {
		char *args[2];
		const char *words;
	} rows[] = {
		{{"--lissen", "a"}, "unknown option --lissen; did you mean --listen?"},
		{{"--xyzzyx", NULL}, "unknown option --xyzzyx; see weftd --help"},
		{{"--state", NULL}, "--state takes a value"},
		{{"word", NULL}, "it takes no arguments"},
		{{"--json", NULL}, "--json goes with --version"},
		{{"--set", "quic=3"}, "--set takes SECTION.KEY=VALUE"},
		{{"--set", "quic.conn_cap"}, "--set takes SECTION.KEY=VALUE"},
		{{"--restore-passphrase-fd", "x"}, "takes the number of an open file"},
		{{"--restore-passphrase-fd", "3x"}, "takes the number of an open file"},
		{{"--restore-passphrase-fd", "-1"}, "takes the number of an open file"},
		{{"--restore-passphrase-fd", ""}, "takes the number of an open file"},
		{{"--set", "=a.b"}, "--set takes SECTION.KEY=VALUE"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(READ(rows[i].args[0], rows[i].args[1]), OPTIONS_EXIT_USAGE);
		if (!strstr(said, rows[i].words))
			printf("# said: %s", said);
		CHECK(strstr(said, rows[i].words) != NULL);
	}
}

static void test_one_option_more_than_fit_is_refused(void)
{
	char *args[OPTIONS_OVERRIDE_CAP + 2];

	for (unsigned i = 0; i < OPTIONS_OVERRIDE_CAP; i++)
		args[i] = "--listen=127.0.0.1:7000";
	args[OPTIONS_OVERRIDE_CAP] = NULL;
	CHECK_EQ(read_args(args), -1);
	CHECK_EQ(options.override_cnt, OPTIONS_OVERRIDE_CAP);
	args[OPTIONS_OVERRIDE_CAP] = "--listen=127.0.0.1:7000";
	args[OPTIONS_OVERRIDE_CAP + 1] = NULL;
	CHECK_EQ(read_args(args), OPTIONS_EXIT_USAGE);
	CHECK(strstr(said, "too many options") != NULL);
}

int main(void)
{
	RUN(test_options_become_lines_of_the_configuration);
	RUN(test_relay_only_is_a_row_of_lines);
	RUN(test_second_address_is_added_and_a_second_path_replaces);
	RUN(test_relative_path_is_taken_from_the_current_folder);
	RUN(test_each_mode_has_its_option);
	RUN(test_faults_of_the_command_line_are_named);
	RUN(test_one_option_more_than_fit_is_refused);
	return check_done();
}
