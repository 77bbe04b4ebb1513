/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's life: defaults, files, command line, checks across
 * keys, reload. Start-up and home worker.
 */
#include "node/config.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ini.h"
#include "node/config_table.h"
#include "weft/nearest.h"
#include "weft/version.h"

#define CONFIG_FILE_LEN_MAX (1024 * 1024)

struct config_origin {
	char *file; /* NULL: the default one */
	struct config_override *overrides;
	unsigned override_cnt;
	struct node_config live; /* as config, with what reloads changed */
	char *sources[];	 /* per key; NULL: default */
};

/* What is being read, for messages and for the source of each value. */
struct config_reading {
	struct node_config *config;
	const char *file;
	const char **set_here; /* per key: set in this file already */
	char *message;
};

__attribute__((format(printf, 2, 3))) static void message_set(char *message, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, CONFIG_MESSAGE_CAP, fmt, args);
	va_end(args);
}

/* --- defaults --- */

static void state_dir_default(char dir[static CONFIG_PATH_CAP])
{
	const char *systemd = getenv("STATE_DIRECTORY");
	const char *state_home = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (systemd && *systemd == '/')
		snprintf(dir, CONFIG_PATH_CAP, "%.*s", (int)strcspn(systemd, ":"), systemd);
	else if (geteuid() == 0)
		snprintf(dir, CONFIG_PATH_CAP, "/var/lib/weft");
	else if (state_home && *state_home == '/')
		snprintf(dir, CONFIG_PATH_CAP, "%s/weft", state_home);
	else if (home && *home == '/')
		snprintf(dir, CONFIG_PATH_CAP, "%s/.local/state/weft", home);
}

static void control_path_default(struct node_config *config)
{
	const char *systemd = getenv("RUNTIME_DIRECTORY");
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *path = config->control_path;

	if (systemd && *systemd == '/')
		snprintf(path, CONFIG_SOCKET_CAP, "%.*s/control.sock", (int)strcspn(systemd, ":"),
			 systemd);
	else if (geteuid() == 0 || !runtime || *runtime != '/')
		snprintf(path, CONFIG_SOCKET_CAP, "/run/weft/control.sock");
	else
		snprintf(path, CONFIG_SOCKET_CAP, "%s/weft/control.sock", runtime);
}

static void listen_default(struct udp_config *udp)
{
	udp->listen[0] = (struct addr){.family = ADDR_IPV4, .port = 7000};
	udp->listen_cnt = 1;
	/* A kernel without IPv6 is no reason not to start. */
	if (access("/proc/net/if_inet6", F_OK) == 0)
		udp->listen[udp->listen_cnt++] = (struct addr){.family = ADDR_IPV6, .port = 7000};
}

static void config_defaults(struct node_config *config)
{
	quic_config_defaults(&config->quic);
	mesh_config_defaults(&config->mesh);
	store_config_defaults(&config->store);
	control_config_defaults(&config->control);
	content_config_defaults(&config->content);
	listen_default(&config->udp);
	config->udp.rx_buffer_len = 4 * 1024 * 1024;
	config->udp.tx_buffer_len = 4 * 1024 * 1024;
	config->job_threads = 4;
	config->job_cap = 1024;
	config->drain_timeout_ns = 5 * NS_PER_S;
	config->log_level = LOG_INFO;
	snprintf(config->mesh.agent, sizeof(config->mesh.agent), "weft/%s", WEFT_VERSION);
	state_dir_default(config->state_dir);
	control_path_default(config);
}

/* --- one assignment --- */

static const struct config_key *key_lookup(const char *section, const char *name, unsigned *out_idx)
{
	for (unsigned i = 0; i < config_key_cnt; i++) {
		if (strcmp(config_keys[i].section, section) == 0 &&
		    strcmp(config_keys[i].key, name) == 0) {
			*out_idx = i;
			return &config_keys[i];
		}
	}
	return NULL;
}

static bool section_is_known(const char *section)
{
	for (unsigned i = 0; i < config_key_cnt; i++) {
		if (strcmp(config_keys[i].section, section) == 0)
			return true;
	}
	return false;
}

static void tell_unknown_section(char *message, const char *where, const char *section)
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < config_key_cnt; i++) {
		if (weft_is_nearer(section, config_keys[i].section, &best))
			nearest = config_keys[i].section;
	}
	if (!*section)
		message_set(message, "%s: a key before the first [section]", where);
	else if (nearest)
		message_set(message, "%s: unknown section [%s]; did you mean [%s]?", where, section,
			    nearest);
	else
		message_set(message, "%s: unknown section [%s]; weft.conf(5) lists them", where,
			    section);
}

static void tell_unknown_key(char *message, const char *where, const char *section,
			     const char *name)
{
	const struct config_key *nearest = NULL;
	unsigned best = UINT_MAX;

	/* Its own section first, so that it wins a tie. */
	for (unsigned i = 0; i < 2 * config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i % config_key_cnt];

		if ((strcmp(key->section, section) == 0) != (i < config_key_cnt))
			continue;
		if (weft_is_nearer(name, key->key, &best))
			nearest = key;
	}
	if (nearest)
		message_set(message, "%s: unknown key \"%s\" in [%s]; did you mean \"%s\" in [%s]?",
			    where, name, section, nearest->key, nearest->section);
	else
		message_set(message, "%s: unknown key \"%s\" in [%s]; weft.conf(5) lists them",
			    where, name, section);
}

static int assign(struct config_reading *reading, const char *where, const char *section,
		  const char *name, const char *value, bool is_appended)
{
	char **sources = reading->config->origin->sources;
	const struct config_key *key;
	char why[CONFIG_WHY_CAP], *source;
	unsigned idx;
	int err;

	if (!section_is_known(section)) {
		tell_unknown_section(reading->message, where, section);
		return WEFT_EUNKNOWN;
	}
	key = key_lookup(section, name, &idx);
	if (!key) {
		tell_unknown_key(reading->message, where, section, name);
		return WEFT_EUNKNOWN;
	}
	if (reading->set_here && reading->set_here[idx]) {
		message_set(reading->message, "%s: %s.%s is set twice in this file", where, section,
			    name);
		return WEFT_EMALFORMED;
	}
	err = config_value_parse(key, value, is_appended, reading->config, why);
	if (err < 0) {
		message_set(reading->message, "%s: %s.%s: %s", where, section, name, why);
		return err;
	}
	source = strdup(where);
	if (!source)
		return -ENOMEM;
	free(sources[idx]);
	sources[idx] = source;
	if (reading->set_here)
		reading->set_here[idx] = key->key;
	return 0;
}

/* --- files --- */

static int on_line(void *ctx, const struct ini_line *line)
{
	struct config_reading *reading = ctx;
	char where[CONFIG_PATH_CAP + 16];

	snprintf(where, sizeof(where), "%s:%u", reading->file, line->number);
	return assign(reading, where, line->section, line->key, line->value, false);
}

static int text_read(const char *path, char **out_text, size_t *out_len)
{
	char *text = malloc(CONFIG_FILE_LEN_MAX + 1);
	FILE *file = fopen(path, "re");
	int err = 0;

	if (!file || !text) {
		err = file ? -ENOMEM : -errno;
	} else {
		*out_len = fread(text, 1, CONFIG_FILE_LEN_MAX + 1, file);
		if (ferror(file))
			err = errno ? -errno : -EIO;
		else if (*out_len > CONFIG_FILE_LEN_MAX)
			err = WEFT_ETOOLARGE;
	}
	if (file)
		fclose(file);
	if (err < 0)
		free(text);
	else
		*out_text = text;
	return err;
}

static int file_read(struct node_config *config, const char *path, char *message)
{
	struct config_reading reading = {config, path, NULL, message};
	unsigned line = 0;
	size_t len = 0;
	char *text = NULL;
	int err = text_read(path, &text, &len);

	if (err < 0) {
		message_set(message, "%s: %s", path, weft_err_text(err));
		return err;
	}
	message[0] = '\0';
	reading.set_here = calloc(config_key_cnt, sizeof(*reading.set_here));
	err = reading.set_here ? ini_parse(text, len, on_line, &reading, &line) : -ENOMEM;
	if (err < 0 && !message[0])
		message_set(message, "%s:%u: %s", path, line,
			    err == WEFT_EMALFORMED ? "neither [section] nor key = value"
						   : weft_err_text(err));
	free(reading.set_here);
	free(text);
	return err;
}

static int is_conf(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int drop_ins_read(struct node_config *config, const char *file, char *message)
{
	char dir[CONFIG_PATH_CAP], path[2 * CONFIG_PATH_CAP];
	struct dirent **entries;
	int cnt, err = 0;

	if (snprintf(dir, sizeof(dir), "%s.d", file) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	cnt = scandir(dir, &entries, is_conf, by_name);
	if (cnt < 0 && errno == ENOENT)
		return 0;
	if (cnt < 0) {
		err = -errno;
		message_set(message, "%s: %s", dir, strerror(-err));
		return err;
	}
	for (int i = 0; i < cnt; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		if (err == 0)
			err = file_read(config, path, message);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static int files_read(struct node_config *config, char *message)
{
	const char *wanted = config->origin->file;
	const char *file = wanted ? wanted : CONFIG_FILE_DEFAULT;
	int err = file_read(config, file, message);

	if (err == -ENOENT && !wanted)
		err = 0;
	return err < 0 ? err : drop_ins_read(config, file, message);
}

/* --- checks across keys --- */

/* The group file itself: a static program cannot load libc's name services. */
static int group_lookup(const char *name, uint32_t *out_gid)
{
	struct group *group;
	FILE *file;
	char *end;
	unsigned long gid = strtoul(name, &end, 10);

	*out_gid = UINT32_MAX;
	if (!*name)
		return 0;
	if (!*end && gid < UINT32_MAX) {
		*out_gid = (uint32_t)gid;
		return 0;
	}
	file = fopen("/etc/group", "re");
	if (!file)
		return -errno;
	while ((group = fgetgrent(file)) != NULL) {
		if (strcmp(group->gr_name, name) == 0)
			*out_gid = group->gr_gid;
	}
	fclose(file);
	return *out_gid == UINT32_MAX ? WEFT_EABSENT : 0;
}

static int groups_resolve(struct node_config *config, char *message)
{
	struct control_config *control = &config->control;
	int err = group_lookup(config->operate_group, &control->operate_gid);

	if (err < 0) {
		message_set(message,
			    "control.operate_group: no group \"%s\"; make it, or give a number",
			    config->operate_group);
		return err;
	}
	err = group_lookup(config->view_group, &control->view_gid);
	if (err < 0) {
		message_set(message,
			    "control.view_group: no group \"%s\"; make it, or give a number",
			    config->view_group);
		return err;
	}
	/* One group owns the file; with two, the socket's own check has to do. */
	control->mode = control->operate_gid != UINT32_MAX ? 0660 : 0600;
	if (control->view_gid != UINT32_MAX)
		control->mode = 0666;
	return 0;
}

static int keys_agree(const struct node_config *config, char *message)
{
	const struct {
		bool is_bad;
		const char *text;
	} rows[] = {
		{!config->state_dir[0], "node.state: no folder is named, and there is no HOME"},
		{!config->control_path[0], "control.path: no socket is named"},
		{config->quic.window_len_max < config->quic.window_len_min,
		 "quic.window_max is less than quic.window_min"},
		{config->store.map_len_max < config->store.map_len,
		 "store.map_max is less than store.map"},
		{config->content.get_active_cap > config->content.get_cap,
		 "content.get_active_cap is more than content.get_cap"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].is_bad) {
			message_set(message, "%s", rows[i].text);
			return WEFT_EMALFORMED;
		}
	}
	return 0;
}

/* --- life --- */

static char *text_copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int origin_new(const struct config_ask *ask, struct config_origin **out_origin)
{
	struct config_origin *origin =
		calloc(1, sizeof(*origin) + config_key_cnt * sizeof(origin->sources[0]));

	if (!origin)
		return -ENOMEM;
	*out_origin = origin;
	origin->file = text_copy(ask->file);
	origin->overrides = calloc(ask->override_cnt + 1, sizeof(*origin->overrides));
	if (!origin->overrides)
		return -ENOMEM;
	origin->override_cnt = ask->override_cnt;
	for (unsigned i = 0; i < ask->override_cnt; i++) {
		const struct config_override *from = &ask->overrides[i];

		origin->overrides[i] =
			(struct config_override){text_copy(from->section), text_copy(from->key),
						 text_copy(from->value), from->is_appended};
	}
	return 0;
}

static void origin_free(struct config_origin *origin)
{
	if (!origin)
		return;
	for (unsigned i = 0; i < config_key_cnt; i++)
		free(origin->sources[i]);
	for (unsigned i = 0; origin->overrides && i < origin->override_cnt; i++) {
		free((void *)origin->overrides[i].section);
		free((void *)origin->overrides[i].key);
		free((void *)origin->overrides[i].value);
	}
	free(origin->overrides);
	free(origin->file);
	free(origin);
}

static int overrides_read(struct node_config *config, char *message)
{
	struct config_reading reading = {config, NULL, NULL, message};
	const struct config_origin *origin = config->origin;
	int err = 0;

	for (unsigned i = 0; i < origin->override_cnt && err == 0; i++) {
		const struct config_override *o = &origin->overrides[i];

		if (!o->section || !o->key || !o->value)
			return -ENOMEM;
		err = assign(&reading, "command line", o->section, o->key, o->value,
			     o->is_appended);
	}
	return err;
}

int config_load(const struct config_ask *ask, struct node_config **out_config,
		char message[static CONFIG_MESSAGE_CAP])
{
	struct node_config *config = calloc(1, sizeof(*config));
	int err = config ? origin_new(ask, &config->origin) : -ENOMEM;

	message[0] = '\0';
	if (err == 0) {
		config_defaults(config);
		err = files_read(config, message);
	}
	if (err == 0)
		err = overrides_read(config, message);
	if (err == 0)
		err = keys_agree(config, message);
	if (err == 0)
		err = groups_resolve(config, message);
	if (err < 0) {
		if (!message[0])
			message_set(message, "configuration: %s", weft_err_text(err));
		config_free(config);
		return err;
	}
	config->store.dir = config->state_dir;
	config->control.path = config->control_path;
	config->origin->live = *config;
	*out_config = config;
	return 0;
}

void config_free(struct node_config *config)
{
	if (!config)
		return;
	origin_free(config->origin);
	free(config);
}

void config_each(const struct node_config *config,
		 bool (*fn)(void *arg, const struct config_setting *setting), void *arg)
{
	char value[CONFIG_VALUE_CAP];

	for (unsigned i = 0; i < config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i];
		const char *source = config->origin->sources[i];
		struct config_setting setting = {
			.section = key->section,
			.key = key->key,
			.value = config_value_format(key, &config->origin->live, value),
			.source = source ? source : "default",
			.doc = key->doc,
			.is_live = key->is_live,
		};

		if (!fn(arg, &setting))
			return;
	}
}

static void live_apply(struct node_config *live, const struct config_key *key, const char *value)
{
	char why[CONFIG_WHY_CAP];

	/* The value was parsed a moment ago from another copy. */
	if (config_value_parse(key, value, false, live, why) == 0)
		log_init((enum log_level)live->log_level);
}

int config_reload(const struct node_config *config,
		  void (*changed)(void *arg, const char *name, bool is_applied), void *arg,
		  char message[static CONFIG_MESSAGE_CAP])
{
	struct config_origin *origin = config->origin;
	struct config_ask ask = {origin->file, origin->overrides, origin->override_cnt};
	struct node_config *fresh;
	int err = config_load(&ask, &fresh, message);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i];
		char now[CONFIG_VALUE_CAP], wanted[CONFIG_VALUE_CAP], name[96];

		if (strcmp(config_value_format(key, &origin->live, now),
			   config_value_format(key, fresh, wanted)) == 0)
			continue;
		snprintf(name, sizeof(name), "%s.%s", key->section, key->key);
		if (key->is_live) {
			char *source = origin->sources[i];

			live_apply(&origin->live, key, wanted);
			origin->sources[i] = fresh->origin->sources[i];
			fresh->origin->sources[i] = source;
		}
		changed(arg, name, key->is_live);
	}
	config_free(fresh);
	return 0;
}

/* --- printing --- */

struct print_state {
	FILE *out;
	const char *section;
};

static bool print_setting(void *arg, const struct config_setting *setting)
{
	struct print_state *state = arg;

	if (!state->section || strcmp(state->section, setting->section) != 0)
		fprintf(state->out, "%s[%s]\n", state->section ? "\n" : "", setting->section);
	state->section = setting->section;
	fprintf(state->out, "# %s\n# From: %s\n%s = %s\n", setting->doc, setting->source,
		setting->key, setting->value);
	return true;
}

void config_print(const struct node_config *config, FILE *out)
{
	struct print_state state = {out, NULL};

	config_each(config, print_setting, &state);
}

void config_print_reference(FILE *out)
{
	struct node_config *config = calloc(1, sizeof(*config));
	const char *section = "";

	if (!config)
		return;
	config_defaults(config);
	for (unsigned i = 0; i < config_key_cnt; i++) {
		const struct config_key *key = &config_keys[i];
		char value[CONFIG_VALUE_CAP], range[CONFIG_WHY_CAP];

		if (strcmp(section, key->section) != 0)
			fprintf(out, ".SS [%s]\n", key->section);
		section = key->section;
		fprintf(out, ".TP\n.B %s\n%s\n", key->key, key->doc);
		fprintf(out, "Takes %s", config_range_format(key, range));
		/* Paths and addresses depend on who starts the daemon, and where. */
		if (key->type != CONFIG_PATH && key->type != CONFIG_ADDRS &&
		    key->type != CONFIG_NAME)
			fprintf(out, "; default %s", config_value_format(key, config, value));
		fprintf(out, ".%s\n", key->is_live ? " A reload applies it." : "");
	}
	free(config);
}
