/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "config/config_table.h"
#include "support/check.h"
#include "support/scratch.h"

/* A configuration file in a folder of its own. */
static char dir[SCRATCH_CAP], file[SCRATCH_CAP + 16];
static char message[CONFIG_MESSAGE_CAP];

static void begin(void)
{
	scratch_make(dir);
	scratch_path(file, sizeof(file), dir, "weft.conf");
	setenv("HOME", "/home/somebody", 1);
}

static void write_file(const char *name, const char *text)
{
	char path[SCRATCH_CAP + 64];

	scratch_write(scratch_path(path, sizeof(path), dir, name), text, strlen(text));
}

static int load(struct node_config **out_config)
{
	struct config_ask ask = {.file = file};

	return config_load(&ask, out_config, message);
}

static int load_text(const char *text, struct node_config **out_config)
{
	write_file("weft.conf", text);
	return load(out_config);
}

static const char *value_of(const struct node_config *config, const char *section, const char *key)
{
	static char text[CONFIG_VALUE_CAP];

	for (unsigned i = 0; i < config_key_cnt; i++) {
		if (!strcmp(config_keys[i].section, section) && !strcmp(config_keys[i].key, key))
			return config_value_format(&config_keys[i], config, text);
	}
	return "no such key";
}

static void test_an_empty_file_gives_the_modules_defaults(void)
{
	struct node_config *config;
	struct quic_config quic;

	begin();
	CHECK_EQ(load_text("", &config), 0);
	quic_config_defaults(&quic);
	CHECK_EQ(config->quic.conn_cap, quic.conn_cap);
	CHECK_EQ(config->udp.listen[0].port, 7000);
	CHECK_STR(config->store.dir, config->state_dir);
	CHECK_STR(config->control.path, config->control_path);
	CHECK_EQ(config->control.mode, 0600);
	config_free(config);
	scratch_remove(dir);
}

static void test_every_key_has_a_default_within_its_range(void)
{
	struct node_config *config;
	char text[CONFIG_VALUE_CAP], why[CONFIG_WHY_CAP];

	begin();
	CHECK_EQ(load_text("", &config), 0);
	for (unsigned i = 0; i < config_key_cnt; i++) {
		config_value_format(&config_keys[i], config, text);
		if (config_value_parse(&config_keys[i], text, false, config, why) < 0)
			printf("# %s.%s = %s: %s\n", config_keys[i].section, config_keys[i].key,
			       text, why);
		CHECK_EQ(config_value_parse(&config_keys[i], text, false, config, why), 0);
	}
	config_free(config);
	scratch_remove(dir);
}

/* number_text writes a number as the key's type wants it, in its smallest unit. */
static const char *number_text(const struct config_key *key, uint64_t number, char text[64])
{
	const char *unit = key->type == CONFIG_DURATION	 ? "ns"
			   : key->type == CONFIG_SECONDS ? "s"
			   : key->type == CONFIG_RATE	 ? "B"
							 : "";

	snprintf(text, 64, "%llu%s", (unsigned long long)number, number ? unit : "");
	return text;
}

static void test_every_number_is_held_to_its_range(void)
{
	struct node_config *config;
	char text[64], why[CONFIG_WHY_CAP];

	begin();
	CHECK_EQ(load_text("", &config), 0);
	for (unsigned i = 0; i < config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->type < CONFIG_COUNT || key->type > CONFIG_SECONDS)
			continue;
		number_text(key, key->min, text);
		CHECK_EQ(config_value_parse(key, text, false, config, why), 0);
		number_text(key, key->max, text);
		CHECK_EQ(config_value_parse(key, text, false, config, why), 0);
		CHECK(strtoull(value_of(config, key->section, key->key), NULL, 10) != 0);
		number_text(key, key->max + 1, text);
		CHECK_EQ(config_value_parse(key, text, false, config, why), WEFT_ETOOLARGE);
		CHECK(strstr(why, "out of range"));
		if (!key->min)
			continue;
		number_text(key, key->min - 1, text);
		CHECK_EQ(config_value_parse(key, text, false, config, why), WEFT_ETOOLARGE);
	}
	config_free(config);
	scratch_remove(dir);
}

static void test_every_text_is_held_to_its_length(void)
{
	static char text[CONFIG_VALUE_CAP + 2], got[CONFIG_VALUE_CAP];
	struct node_config *config;
	char why[CONFIG_WHY_CAP];
	unsigned text_cnt = 0;

	begin();
	CHECK_EQ(load_text("", &config), 0);
	for (unsigned i = 0; i < config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->type != CONFIG_PATH && key->type != CONFIG_NAME)
			continue;
		CHECK(key->max < CONFIG_VALUE_CAP && key->max < key->len);
		memset(text, '/', key->max + 1);
		text[key->max + 1] = '\0';
		CHECK_EQ(config_value_parse(key, text, false, config, why), WEFT_ETOOLARGE);
		CHECK(strstr(why, "longer than"));
		text[key->max] = '\0';
		CHECK_EQ(config_value_parse(key, text, false, config, why), 0);
		CHECK(strcmp(config_value_format(key, config, got), text) == 0);
		text_cnt++;
	}
	CHECK(text_cnt > 10);
	config_free(config);
	scratch_remove(dir);
}

static void test_values_are_read_in_their_units(void)
{
	static const struct {
		const char *section, *key, *text;
		const char *printed; /* NULL: refused */
	} rows[] = {
		{"quic", "idle_timeout", "90s", "90s"},
		{"quic", "idle_timeout", "60s", "1m"},
		{"quic", "idle_timeout", "3600S", "1h"},
		{"quic", "idle_timeout", "1500ms", "1500ms"},
		{"quic", "keepalive", "0", "0"},
		{"quic", "idle_timeout", "10", NULL},
		{"quic", "idle_timeout", "s", NULL},
		{"quic", "idle_timeout", "-10s", NULL},
		{"quic", "idle_timeout", "10 s", NULL},
		{"quic", "idle_timeout", "10ss", NULL},
		{"quic", "idle_timeout", "99999999999999999999s", NULL},
		{"mesh", "skew_max", "2h", "2h"},
		{"mesh", "skew_max", "1500ms", NULL},
		{"quic", "heap", "64M", "64M"},
		{"quic", "heap", "65536K", "64M"},
		{"quic", "heap", "67108865", "67108865"},
		{"quic", "heap", "64MB", NULL},
		{"quic", "heap", "18446744073709551615K", NULL},
		{"sharing", "upload", "10mbit", "10mbit"},
		{"sharing", "upload", "10000kbit", "10mbit"},
		{"sharing", "upload", "2gbit", "2gbit"},
		{"sharing", "upload", "1001B", "1001B"},
		{"sharing", "upload", "0", "0"},
		{"sharing", "upload", "10", NULL},
		{"sharing", "upload", "10MB", NULL},
		{"sharing", "zones", "10.0.0.0/8=0 192.0.2.0/24=50",
		 "10.0.0.0/8=0 192.0.2.0/24=50"},
		{"sharing", "zones", "10.0.0.0/8=1001", NULL},
		{"sharing", "zones", "10.0.0.1/8=1", NULL},
		{"quic", "conn_cap", "10K", NULL},
		{"quic", "conn_cap", "0x10", NULL},
		{"quic", "congestion", "bbr", "bbr"},
		{"quic", "congestion", "reno", NULL},
		{"quic", "congestion", "", NULL},
		{"quic", "pmtud", "off", "no"},
		{"quic", "pmtud", "maybe", NULL},
		{"udp", "io_uring", "no", "no"},
		{"log", "level", "debug", "debug"},
		{"node", "state", "/a b/c", "/a b/c"},
		{"node", "state", "relative", NULL},
		{"node", "listen", "127.0.0.1:1 , [::1]:2", "127.0.0.1:1, [::1]:2"},
		{"node", "listen", "", NULL},
		{"node", "listen", "host:1", NULL},
		{"node", "advertise", "", ""},
		{"node", "listen",
		 "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8",
		 "1.1.1.1:1, 1.1.1.1:2, 1.1.1.1:3, 1.1.1.1:4, 1.1.1.1:5, 1.1.1.1:6, 1.1.1.1:7, "
		 "1.1.1.1:8"},
		{"node", "listen",
		 "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8,"
		 "1.1.1.1:9",
		 NULL},
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct node_config *config;
		char text[600];
		int err;

		snprintf(text, sizeof(text), "[%s]\n%s = %s\n", rows[i].section, rows[i].key,
			 rows[i].text);
		err = load_text(text, &config);
		if ((err == 0) != (rows[i].printed != NULL))
			printf("# %s: %s\n", text, message);
		CHECK_EQ(err == 0, rows[i].printed != NULL);
		if (err < 0)
			continue;
		CHECK_STR(value_of(config, rows[i].section, rows[i].key), rows[i].printed);
		config_free(config);
	}
	scratch_remove(dir);
}

/* Also of keys with a third word; other words for them are read and never shown. */
static void test_a_switch_is_shown_as_yes_or_no(void)
{
	static const struct {
		const char *text, *section, *key, *shown;
	} rows[] = {
		{"[overlay]\nserve = on\n", "overlay", "serve", "yes"},
		{"[overlay]\nserve = false\n", "overlay", "serve", "no"},
		{"[overlay]\nserve = auto\n", "overlay", "serve", "auto"},
		{"[service]\naccess_log = on\n", "service", "access_log", "yes"},
		{"[service]\naccess_log = off\n", "service", "access_log", "no"},
		{"[service]\naccess_log = sampled\n", "service", "access_log", "sampled"},
		{"[dht]\nenabled = on\n", "dht", "enabled", "yes"},
	};
	struct node_config *config;

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(load_text(rows[i].text, &config), 0);
		CHECK_STR(value_of(config, rows[i].section, rows[i].key), rows[i].shown);
		config_free(config);
	}
	for (unsigned i = 0; i < config_key_cnt; i++)
		if (config_keys[i].type == CONFIG_CHOICE)
			CHECK(strncmp(config_keys[i].choices, "on ", 3) != 0 &&
			      !strstr(config_keys[i].choices, " on"));
	CHECK(load_text("[overlay]\nserve = maybe\n", &config) < 0);
	scratch_remove(dir);
}

static void test_io_uring_no_means_refuse(void)
{
	struct node_config *config;

	begin();
	CHECK_EQ(load_text("[udp]\nio_uring = no\n", &config), 0);
	CHECK(config->udp.refuse_io_uring);
	config_free(config);
	scratch_remove(dir);
}

static void test_faults_name_file_line_and_what_was_meant(void)
{
	static const struct {
		const char *text;
		int err;
		const char *said;
	} rows[] = {
		{"[quic]\nconn_kap = 5\n", WEFT_EUNKNOWN,
		 ":2: unknown key \"conn_kap\" in [quic]; did you mean \"conn_cap\" in [quic]?"},
		{"[mesh]\n\nconn_cap = 5\n", WEFT_EUNKNOWN,
		 ":3: unknown key \"conn_cap\" in [mesh]; "
		 "did you mean \"conn_cap\" in [quic]?"},
		{"[qiuc]\nconn_cap = 5\n", WEFT_EUNKNOWN,
		 ":2: unknown section [qiuc]; did you mean "
		 "[quic]?"},
		{"[quic]\nxyzzy = 5\n", WEFT_EUNKNOWN, "weft.conf(5) lists them"},
		{"state = /x\n", WEFT_EUNKNOWN, ":1: a key before the first [section]"},
		{"[quic]\nconn_cap = 5\nconn_cap = 6\n", WEFT_EMALFORMED,
		 ":3: quic.conn_cap is set twice in this file"},
		{"[quic]\nconn_cap = 0\n", WEFT_ETOOLARGE,
		 ":2: quic.conn_cap: 0 is out of range, 1 to 1000000"},
		{"[quic]\nconn_cap\n", WEFT_EMALFORMED, ":2: neither [section] nor key = value"},
		{"[quic\n", WEFT_EMALFORMED, ":1: neither [section] nor key = value"},
		{"[quic]\nwindow_min = 2M\nwindow_max = 1M\n", WEFT_EMALFORMED,
		 "quic.window_max is less than quic.window_min"},
		{"[control]\nview_group = no-such-group-here\n", WEFT_EABSENT,
		 "no group \"no-such-group-here\""},
	};

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct node_config *config;

		CHECK_EQ(load_text(rows[i].text, &config), rows[i].err);
		if (!strstr(message, rows[i].said))
			printf("# %s\n", message);
		CHECK(strstr(message, rows[i].said));
	}
	scratch_remove(dir);
}

static void test_a_named_file_must_be_there(void)
{
	struct node_config *config;

	begin();
	CHECK_EQ(load(&config), -ENOENT);
	CHECK(strstr(message, "weft.conf: No such file"));
	scratch_remove(dir);
}

static void test_drop_ins_then_the_command_line_win(void)
{
	static const struct config_override overrides[] = {
		{"node", "listen", "127.0.0.1:1", false},
		{"node", "listen", "127.0.0.1:2", true},
		{"quic", "stream_cap", "7", false},
	};
	struct config_ask ask = {file, overrides, 3};
	struct node_config *config;
	char drop[SCRATCH_CAP + 32];

	begin();
	scratch_path(drop, sizeof(drop), dir, "weft.conf.d");
	CHECK_EQ(mkdir(drop, 0700), 0);
	write_file("weft.conf", "[quic]\nconn_cap = 1\nstream_cap = 1\nretry_above = 1\n"
				"[node]\nlisten = 0.0.0.0:9\n");
	write_file("weft.conf.d/20-b.conf", "[quic]\nconn_cap = 3\nstream_cap = 3\n");
	write_file("weft.conf.d/10-a.conf", "[quic]\nconn_cap = 2\n");
	write_file("weft.conf.d/30-c.conf.bak", "[quic]\nconn_cap = 4\n");
	CHECK_EQ(config_load(&ask, &config, message), 0);
	CHECK_EQ(config->quic.conn_cap, 3);
	CHECK_EQ(config->quic.stream_cap, 7);
	CHECK_EQ(config->quic.retry_above_cnt, 1);
	CHECK_STR(value_of(config, "node", "listen"), "127.0.0.1:1, 127.0.0.1:2");
	config_free(config);
	scratch_remove(dir);
}

/* Collects settings as "section.key=value" lines, and one key's source. */
struct collected {
	char text[16384];
	size_t len;
	char source[CONFIG_PATH_CAP + 16];
};

static void collect(const struct node_config *config, struct collected *all)
{
	struct config_iter iter = {.config = config};
	struct config_setting setting;

	while (config_next(&iter, &setting)) {
		all->len +=
			(size_t)snprintf(all->text + all->len, sizeof(all->text) - all->len,
					 "%s.%s=%s\n", setting.section, setting.key, setting.value);
		if (strcmp(setting.section, "quic") == 0 && strcmp(setting.key, "conn_cap") == 0)
			snprintf(all->source, sizeof(all->source), "%s", setting.source);
	}
}

static void test_what_is_printed_reads_back_the_same(void)
{
	static struct collected before, after;
	struct node_config *config;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	begin();
	CHECK_EQ(load_text("[quic]\nconn_cap = 77\nidle_timeout = 61s\nheap = 100M\n"
			   "[node]\nstate = /x y\nlisten = [::1]:5\n[log]\nlevel = warning\n",
			   &config),
		 0);
	collect(config, &before);
	CHECK(strstr(before.source, "weft.conf:2"));
	out = open_memstream(&text, &len);
	config_print(config, out);
	fclose(out);
	config_free(config);
	CHECK_EQ(load_text(text, &config), 0);
	collect(config, &after);
	CHECK_STR(after.text, before.text);
	config_free(config);
	free(text);
	scratch_remove(dir);
}

struct changes {
	char text[256];
};

static void on_change(void *arg, const struct config_change *change)
{
	struct changes *changes = arg;
	size_t len = strlen(changes->text);

	snprintf(changes->text + len, sizeof(changes->text) - len, "%s=%s%s ", change->name,
		 change->after, change->is_applied ? "+" : "-");
}

static const char *pending_of(const struct node_config *config, const char *key)
{
	struct config_iter iter = {.config = config};
	struct config_setting setting;
	const char *value = "";

	while (config_next(&iter, &setting))
		if (strcmp(setting.key, key) == 0 && setting.pending)
			value = setting.pending;
	return value;
}

static void test_a_reload_applies_live_keys_and_reports_the_rest(void)
{
	struct changes changes = {""};
	static struct collected all;
	struct node_config *config;

	begin();
	CHECK_EQ(load_text("[quic]\nconn_cap = 5\n", &config), 0);
	write_file("weft.conf", "[log]\nlevel = error\n[quic]\nconn_cap = 6\n"
				"[content]\nshare_cap = 7\n");
	CHECK_EQ(config_reload(config, on_change, &changes, message), 0);
	CHECK_STR(changes.text, "log.level=error+ quic.conn_cap=6- content.share_cap=7+ ");
	CHECK_EQ(config->quic.conn_cap, 5);
	CHECK_EQ(config_live(config)->quic.conn_cap, 5);
	CHECK_EQ(config_live(config)->content.share_cap, 7);
	CHECK_STR(pending_of(config, "conn_cap"), "6");
	CHECK_STR(pending_of(config, "share_cap"), "");
	collect(config, &all);
	CHECK(strstr(all.text, "log.level=error\n"));
	CHECK(strstr(all.text, "quic.conn_cap=5\n"));
	/* The second time only what still waits is told. */
	changes.text[0] = '\0';
	CHECK_EQ(config_reload(config, on_change, &changes, message), 0);
	CHECK_STR(changes.text, "quic.conn_cap=6- ");
	/* What is taken back does not wait any more. */
	write_file("weft.conf", "[quic]\nconn_cap = 5\n[content]\nshare_cap = 7\n");
	CHECK_EQ(config_reload(config, on_change, &changes, message), 0);
	CHECK_STR(pending_of(config, "conn_cap"), "");
	log_init(LOG_INFO);
	config_free(config);
	scratch_remove(dir);
}

/* What ends the daemon and what limits its socket reads these when it comes to that. */
static void test_a_reload_reaches_the_drain_and_the_socket(void)
{
	struct changes changes = {""};
	const struct node_config *live;
	struct node_config *config;

	begin();
	CHECK_EQ(load_text("[node]\ndrain_timeout = 9s\n", &config), 0);
	CHECK_EQ(config_live(config)->drain_timeout_ns, 9 * NS_PER_S);
	write_file("weft.conf", "[node]\ndrain_timeout = 3s\n[control]\nrequest_rate = 17\n");
	CHECK_EQ(config_reload(config, on_change, &changes, message), 0);
	live = config_live(config);
	CHECK_EQ(live->drain_timeout_ns, 3 * NS_PER_S);
	CHECK_EQ(live->control.request_rate_per_s, 17);
	CHECK_EQ(config->drain_timeout_ns, 9 * NS_PER_S);
	log_init(LOG_INFO);
	config_free(config);
	scratch_remove(dir);
}

static void test_a_bad_reload_changes_nothing(void)
{
	struct changes changes = {""};
	static struct collected all;
	struct node_config *config;

	begin();
	CHECK_EQ(load_text("[log]\nlevel = info\n", &config), 0);
	write_file("weft.conf", "[log]\nlevel = error\n[quic]\nconn_kap = 6\n");
	CHECK_EQ(config_reload(config, on_change, &changes, message), WEFT_EUNKNOWN);
	CHECK(strstr(message, "conn_kap"));
	CHECK_STR(changes.text, "");
	collect(config, &all);
	CHECK(strstr(all.text, "log.level=info\n"));
	config_free(config);
	scratch_remove(dir);
}

static void test_groups_open_the_socket_to_themselves(void)
{
	struct node_config *config;

	begin();
	CHECK_EQ(load_text("[control]\noperate_group = root\n", &config), 0);
	CHECK_EQ(config->control.operate_gid, 0);
	CHECK_EQ(config->control.mode, 0660);
	config_free(config);
	CHECK_EQ(load_text("[control]\nview_group = 4711\n", &config), 0);
	CHECK_EQ(config->control.view_gid, 4711);
	CHECK_EQ(config->control.mode, 0666);
	config_free(config);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_an_empty_file_gives_the_modules_defaults);
	RUN(test_every_key_has_a_default_within_its_range);
	RUN(test_every_number_is_held_to_its_range);
	RUN(test_every_text_is_held_to_its_length);
	RUN(test_values_are_read_in_their_units);
	RUN(test_a_switch_is_shown_as_yes_or_no);
	RUN(test_io_uring_no_means_refuse);
	RUN(test_faults_name_file_line_and_what_was_meant);
	RUN(test_a_named_file_must_be_there);
	RUN(test_drop_ins_then_the_command_line_win);
	RUN(test_what_is_printed_reads_back_the_same);
	RUN(test_a_reload_applies_live_keys_and_reports_the_rest);
	RUN(test_a_reload_reaches_the_drain_and_the_socket);
	RUN(test_a_bad_reload_changes_nothing);
	RUN(test_groups_open_the_socket_to_themselves);
	return check_done();
}
