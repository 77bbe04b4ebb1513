/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's command line, start and end, and a backup that becomes another folder. */
#include "support/check.h"
#include "support/daemon_rig.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSPHRASE "seven words nobody else would think of"

static struct daemon_rig rig;
static char out[65536];

/* Returns the exit status of weftd with these words; what it wrote is in out. */
#define WEFTD(...) daemon_run((const char *const[]){__VA_ARGS__, NULL}, out, sizeof(out))

static void test_options_that_there_are_not_name_the_nearest_one(void)
{
	static const struct {
		const char *words[4];
		const char *told;
	} rows[] = {
		{{"--stat"}, "takes a value"},
		{{"--lissten", "x"}, "unknown option --lissten; did you mean --listen?"},
		{{"--state"}, "weftd: --state takes a value; see weftd --help"},
		{{"word"}, "weftd: it takes no arguments"},
		{{"--set", "nothing"}, "--set takes SECTION.KEY=VALUE"},
		{{"--set", "node=1.2"}, "--set takes SECTION.KEY=VALUE"},
		{{"--json"}, "--json goes with --version"},
		{{"--check-config", "--json"}, "--json goes with --version"},
		{{"--set", "node.nothing=1"}, "nothing"},
		{{"--set", "quic.idle_timeout=x"}, "idle_timeout"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(daemon_run(rows[i].words, out, sizeof(out)), 2);
		CHECK(strstr(out, rows[i].told));
	}
}

static void test_help_and_versions_are_printed_without_a_daemon(void)
{
	json_t *json;

	CHECK_EQ(WEFTD("--help"), 0);
	CHECK(strstr(out, "usage: weftd [OPTION...]"));
	CHECK(strstr(out, "\n  --state DIR                folder for all the node remembers\n"));
	CHECK(strstr(out, "\n  --json                     with --version"));
	CHECK_EQ(WEFTD("--version"), 0);
	CHECK(strncmp(out, "weftd ", 6) == 0 && out[6] >= '0' && out[6] <= '9');
	CHECK_EQ(WEFTD("--version", "--json"), 0);
	json = json_loads(out, 0, NULL);
	CHECK(json_is_object(json));
	CHECK(strstr(out, "OpenSSL") || strstr(out, "openssl"));
	json_decref(json);
}

/* The line of a key of a section in out, up to its end; "": it is not there. */
static const char *printed(const char *section, const char *key)
{
	static char line[512];
	char text[80];
	const char *at;

	snprintf(text, sizeof(text), "[%s]", section);
	at = strstr(out, text);
	snprintf(text, sizeof(text), "\n%s = ", key);
	at = at ? strstr(at, text) : NULL;
	if (!at)
		return "";
	at += strlen(text);
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static void test_words_of_the_command_line_win_over_the_file(void)
{
	char here[256], wanted[512];
	const char *text = "[node]\nworkers = 3\n[log]\nlevel = debug\n";
	const char *conf = daemon_file(&rig, "one.conf", text, strlen(text));

	CHECK_EQ(WEFTD("--config", conf, "--print-config"), 0);
	CHECK_STR(printed("node", "workers"), "3");
	CHECK_STR(printed("log", "level"), "debug");
	CHECK_EQ(WEFTD("--config", conf, "--set", "node.workers=2", "--log-level", "error",
		       "--dht-only", "--listen", "127.0.0.1:1", "--listen", "127.0.0.1:2",
		       "--state", "sub", "--control", "/tmp/x.sock", "--print-config"),
		 0);
	CHECK_STR(printed("node", "workers"), "2");
	CHECK_STR(printed("log", "level"), "error");
	CHECK_STR(printed("dht", "only"), "yes");
	CHECK_STR(printed("control", "path"), "/tmp/x.sock");
	CHECK(strstr(out, "127.0.0.1:1") && strstr(out, "127.0.0.1:2"));
	CHECK(getcwd(here, sizeof(here)));
	snprintf(wanted, sizeof(wanted), "%s/sub", here);
	CHECK_STR(printed("node", "state"), wanted);
	CHECK_EQ(WEFTD("--config", conf, "--check-config"), 0);
	CHECK_STR(out, "configuration is good\n");
	CHECK_EQ(WEFTD("--config", daemon_path(&rig, "absent.conf"), "--check-config"), 2);
}

static void test_a_plan_adds_up_and_grows_with_its_limits(void)
{
	double first, second;

	CHECK_EQ(WEFTD("--config", "/dev/null", "--plan"), 0);
	CHECK(strstr(out, "in all, at worst"));
	first = atof(strstr(out, "in all, at worst") + 16);
	CHECK_EQ(WEFTD("--config", "/dev/null", "--set", "node.workers=4", "--plan"), 0);
	second = atof(strstr(out, "in all, at worst") + 16);
	CHECK(first > 1 && second > first);
	CHECK_EQ(WEFTD("--print-reference"), 0);
	CHECK(strstr(out, ".SS [gateway]\n") && strstr(out, ".B workers\n"));
	CHECK(strstr(out, "Takes 1 to 64; default 1."));
}

static void test_a_user_that_cannot_be_is_named(void)
{
	char state[512];

	if (geteuid() != 0)
		return;
	snprintf(state, sizeof(state), "%s", daemon_path(&rig, "user-state"));
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", state, "--control",
		       daemon_path(&rig, "user.sock"), "--set", "node.user=no-such-user"),
		 1);
	CHECK(strstr(out, "/etc/passwd has no such user"));
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", state, "--control",
		       daemon_path(&rig, "user.sock"), "--set", "node.user=root"),
		 1);
	CHECK(strstr(out, "node.user = root is root: leave it empty"));
	CHECK(access(state, F_OK) < 0);
	daemon_file(&rig, "user-state/db/data.mdb", "", 0);
	CHECK_EQ(chown(state, 65534, 65534), 0);
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", state, "--control",
		       daemon_path(&rig, "user.sock"), "--set", "node.user=nobody"),
		 1);
	CHECK(strstr(out, "user-state/db is not nobody's (node.user): run chown -R nobody: "));
}

static void test_a_second_daemon_reports_what_the_first_one_holds(void)
{
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", daemon_path(&rig, "state"), "--control",
		       daemon_path(&rig, "other.sock"), "--listen", "127.0.0.1:0"),
		 1);
	CHECK(strstr(out, "another weftd uses it"));
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", daemon_path(&rig, "other"), "--control",
		       daemon_path(&rig, "control.sock"), "--listen", "127.0.0.1:0"),
		 1);
	CHECK(strstr(out, "another daemon answers there"));
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", daemon_path(&rig, "other2"), "--control",
		       daemon_path(&rig, "other.sock"), "--listen", "192.0.2.1:7"),
		 1);
	CHECK(strstr(out, "this machine has no such address"));
}

/* What happened is a line of the log: subsystem, event and fields, and nothing that opens something. */
static void test_events_are_lines_of_the_log_with_their_fields(void)
{
	char first[80], line[200];

	CHECK_STR(daemon_ask(&rig, "CreateCommunity", "{'name': 'friends'}"), "");
	CHECK_STR(daemon_ask(&rig, "NewShare", "{'name': 'photos', 'public': true}"), "");
	snprintf(first, sizeof(first), "%.8s", daemon_text(&rig, "share.share_id"));
	daemon_file(&rig, "root/a.txt", "hello\n", 6);
	CHECK_STR(daemon_ask(&rig, "PublishShare", "{'name': 'photos', 'path': '%s/root'}"), "");
	CHECK_EQ(daemon_number(&rig, "share.revision"), 1);
	snprintf(line, sizeof(line), "share: revised share_id=%s name=photos revision=1\n", first);
	CHECK(daemon_logged(&rig, line));
	CHECK_STR(daemon_ask(&rig, "AddBan", "{'target': '192.0.2.7', 'reason': 'a b=c'}"), "");
	CHECK(daemon_logged(&rig, "ban: added\n"));
	CHECK(daemon_logged(&rig, "was banned by hand: a b=c\n"));
}

static void test_a_reload_reports_what_it_applied_and_what_waits(void)
{
	const char *conf = "[dht]\nbootstrap =\nprivate = yes\n[service]\ncalls = 77\n"
			   "[node]\nworkers = 2\n";

	daemon_file(&rig, "weft.conf", conf, strlen(conf));
	CHECK_STR(daemon_ask(&rig, "Reload", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "applied"), 1);
	CHECK(strstr(daemon_text(&rig, "applied.0"), "service.calls"));
	CHECK(strstr(daemon_text(&rig, "pending.0"), "node.workers"));
	CHECK_STR(daemon_ask(&rig, "Reload", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "applied"), 0);
	CHECK_EQ(daemon_cnt(&rig, "pending"), 1);
	kill(rig.pid, SIGHUP);
	CHECK(daemon_logged(&rig, "node.workers = 2 waits for a restart, 1 stays in force"));
	daemon_file(&rig, "weft.conf", "[service]\ncalls = many\n", 23);
	CHECK_STR(daemon_ask(&rig, "Reload", NULL), "Invalid");
	daemon_file(&rig, "weft.conf", conf, strlen(conf));
}

static void backup_make(const char *name)
{
	char asked[256];

	snprintf(asked, sizeof(asked), "{'path': '%%s/%s', 'passphrase': '" PASSPHRASE "'}", name);
	(void)daemon_ask(&rig, "BackupKeys", asked);
}

/* Restores file into the folder state by a passphrase's line; the exit status. */
static int restore(const char *file, const char *state, const char *passphrase)
{
	char path[512], folder[512], fd_text[16];
	int pipes[2], status;

	snprintf(path, sizeof(path), "%s", daemon_path(&rig, file));
	snprintf(folder, sizeof(folder), "%s", daemon_path(&rig, state));
	if (pipe(pipes) < 0)
		return -1;
	dprintf(pipes[1], "%s", passphrase);
	close(pipes[1]);
	snprintf(fd_text, sizeof(fd_text), "%d", pipes[0]);
	status = WEFTD("--config", "/dev/null", "--state", folder, "--restore", path,
		       "--restore-passphrase-fd", fd_text);
	close(pipes[0]);
	return status;
}

static void test_a_backup_is_made_once_and_for_its_user_alone(void)
{
	struct stat st;

	backup_make("node.backup");
	CHECK_STR(rig.error, "");
	CHECK(daemon_number(&rig, "rows") >= 3);
	CHECK_EQ(stat(daemon_path(&rig, "node.backup"), &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(daemon_number(&rig, "bytes"), st.st_size);
	backup_make("node.backup");
	CHECK(rig.error[0] && strcmp(rig.error, "no answer") != 0);
	backup_make("absent/node.backup");
	CHECK(rig.error[0] && strcmp(rig.error, "no answer") != 0);
	CHECK(daemon_ask(&rig, "BackupKeys", "{'path': 'relative', 'passphrase': 'x'}")[0]);
	CHECK(daemon_ask(&rig, "BackupKeys", "{'path': '%s/y', 'passphrase': ''}")[0]);
	CHECK(access(daemon_path(&rig, "y"), F_OK) < 0);
}

static void damage(const char *from, const char *to, long at, long cut)
{
	static char bytes[1 << 20];
	FILE *file = fopen(daemon_path(&rig, from), "r");
	size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0;

	if (file)
		fclose(file);
	if (at >= 0)
		bytes[at] ^= 1;
	daemon_file(&rig, to, bytes, len - (size_t)cut);
}

static void test_a_backup_that_is_not_whole_leaves_the_target_alone(void)
{
	damage("node.backup", "cut", -1, 40);
	damage("node.backup", "flipped", 300, 0);
	damage("node.backup", "headless", 0, 0);
	CHECK(restore("cut", "target", PASSPHRASE "\n") != 0);
	CHECK(strstr(out, "altered or cut short: nothing of it was used"));
	CHECK(access(daemon_path(&rig, "target"), F_OK) < 0);
	CHECK(restore("flipped", "target", PASSPHRASE "\n") != 0);
	CHECK(strstr(out, "altered or cut short"));
	CHECK(restore("headless", "target", PASSPHRASE "\n") != 0);
	CHECK(strstr(out, "is no backup of weft"));
	CHECK(restore("node.backup", "target", "another one\n") != 0);
	CHECK(strstr(out, "wrong passphrase"));
	CHECK_EQ(restore("node.backup", "target", "\n"), 2);
	CHECK_EQ(restore("node.backup", "target", ""), 2);
	CHECK(restore("nothing", "target", PASSPHRASE "\n") != 0);
	CHECK(access(daemon_path(&rig, "target"), F_OK) < 0);
	CHECK(restore("node.backup", "state", PASSPHRASE "\n") != 0);
	CHECK(strstr(out, "is there: a backup makes a new node's folder and overwrites none"));
}

static void test_what_is_restored_is_the_same_node(void)
{
	char node_id[80], share_id[80], community[80], text[256];

	CHECK_STR(daemon_ask(&rig, "GetNodeId", NULL), "");
	snprintf(node_id, sizeof(node_id), "%s", daemon_text(&rig, "node_id"));
	CHECK_STR(daemon_ask(&rig, "ListShares", NULL), "");
	snprintf(share_id, sizeof(share_id), "%s", daemon_text(&rig, "published.0.share_id"));
	CHECK_STR(daemon_ask(&rig, "ListCommunities", NULL), "");
	snprintf(community, sizeof(community), "%s",
		 daemon_text(&rig, "communities.0.community_id"));
	CHECK_EQ(daemon_stop(&rig), 0);
	/* The command reads the line alone: what follows is another program's. */
	CHECK_EQ(restore("node.backup", "new/deep", PASSPHRASE "\nmore"), 0);
	snprintf(text, sizeof(text), "restored node %s from ", node_id);
	CHECK(strstr(out, text));
	CHECK(strstr(out, "keys of 1 shares and 1 communities, 0 follows, "));
	CHECK(strstr(out, " 1 bans, 0 services, 0 peers\n"));
	snprintf(text, sizeof(text), "put back the files of %s, then: weft share publish photos\n",
		 daemon_path(&rig, "root"));
	CHECK(strstr(out, text));
	CHECK(!strstr(out, "the old node may still run"));
	CHECK(access(daemon_path(&rig, "new/deep/restored.conf"), F_OK) == 0);
	CHECK(access(daemon_path(&rig, "new/deep/restore"), F_OK) < 0);
	CHECK_EQ(rename(daemon_path(&rig, "new/deep"), daemon_path(&rig, "restored")), 0);
	CHECK_EQ(rename(daemon_path(&rig, "state"), daemon_path(&rig, "old")), 0);
	CHECK_EQ(rename(daemon_path(&rig, "restored"), daemon_path(&rig, "state")), 0);
	daemon_again(&rig, NULL);
	CHECK_STR(daemon_ask(&rig, "GetNodeId", NULL), "");
	CHECK_STR(daemon_text(&rig, "node_id"), node_id);
	CHECK_STR(daemon_ask(&rig, "ListShares", NULL), "");
	CHECK_STR(daemon_text(&rig, "published.0.share_id"), share_id);
	CHECK_STR(daemon_text(&rig, "published.0.name"), "photos");
	CHECK_STR(daemon_ask(&rig, "ListCommunities", NULL), "");
	CHECK_STR(daemon_text(&rig, "communities.0.community_id"), community);
	CHECK_STR(daemon_ask(&rig, "ListBans", NULL), "");
	CHECK_STR(daemon_text(&rig, "bans.0.target"), "192.0.2.7");
}

/* Started again, it has as many workers as its file says now; each of them has a row. */
static void test_workers_are_as_many_as_configured_and_each_reports_its_figures(void)
{
	CHECK_STR(daemon_ask(&rig, "Status", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "workers"), 2);
	CHECK_STR(daemon_text(&rig, "state"), "running");
	CHECK_STR(daemon_ask(&rig, "ShowMemory", NULL), "");
	CHECK(daemon_number(&rig, "rss_bytes") > 1000000);
	CHECK(daemon_cnt(&rig, "regions") > 10);
	CHECK_STR(daemon_ask(&rig, "ShowLimits", NULL), "");
	CHECK(daemon_cnt(&rig, "limits") > 50);
	CHECK(daemon_cnt(&rig, "pools") > 2);
}

static void test_a_store_is_checked_and_copied_while_it_runs(void)
{
	size_t cnt;

	CHECK_STR(daemon_ask_more(&rig, "CheckStore", "{}"), "");
	cnt = daemon_cnt(&rig, "replies");
	CHECK(cnt >= 1);
	CHECK_STR(daemon_ask_more(&rig, "CheckFiles", "{}"), "");
	CHECK_STR(daemon_ask(&rig, "BackupStore", "{'path': '%s/copy'}"), "");
	CHECK(access(daemon_path(&rig, "copy/db/data.mdb"), F_OK) == 0);
	CHECK(access(daemon_path(&rig, "copy/node.key"), F_OK) == 0);
	CHECK(daemon_ask(&rig, "BackupStore", "{'path': '%s/copy'}")[0]);
	CHECK_STR(daemon_ask(&rig, "PlanGc", NULL), "");
	CHECK_STR(daemon_ask(&rig, "RunGc", NULL), "");
}

static void test_shutdown_ends_it_well(void)
{
	CHECK_STR(daemon_ask(&rig, "Shutdown", NULL), "");
	CHECK_EQ(daemon_stop(&rig), 0);
	CHECK(access(daemon_path(&rig, "control.sock"), F_OK) < 0);
	CHECK_EQ(WEFTD("--config", "/dev/null", "--state", daemon_path(&rig, "state"), "--salvage"),
		 0);
	daemon_again(&rig, NULL);
	CHECK_STR(daemon_ask(&rig, "ListBans", NULL), "");
	CHECK_STR(daemon_text(&rig, "bans.0.target"), "192.0.2.7");
}

int main(void)
{
	daemon_start(&rig, "");
	RUN(test_options_that_there_are_not_name_the_nearest_one);
	RUN(test_help_and_versions_are_printed_without_a_daemon);
	RUN(test_words_of_the_command_line_win_over_the_file);
	RUN(test_a_plan_adds_up_and_grows_with_its_limits);
	RUN(test_a_user_that_cannot_be_is_named);
	RUN(test_a_second_daemon_reports_what_the_first_one_holds);
	RUN(test_events_are_lines_of_the_log_with_their_fields);
	RUN(test_a_reload_reports_what_it_applied_and_what_waits);
	RUN(test_a_backup_is_made_once_and_for_its_user_alone);
	RUN(test_a_backup_that_is_not_whole_leaves_the_target_alone);
	RUN(test_what_is_restored_is_the_same_node);
	RUN(test_workers_are_as_many_as_configured_and_each_reports_its_figures);
	RUN(test_a_store_is_checked_and_copied_while_it_runs);
	RUN(test_shutdown_ends_it_well);
	daemon_fini(&rig);
	return check_done();
}
