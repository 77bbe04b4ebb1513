/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's life: defaults, checks across keys, load, reload.
 * Start-up and home worker.
 */
#include "config/config.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "config/config_table.h"
#include "weft/version.h"

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
	int len = 0;

	if (systemd && *systemd == '/')
		snprintf(path, CONFIG_SOCKET_CAP, "%.*s/control.sock", (int)strcspn(systemd, ":"),
			 systemd);
	else if (geteuid() == 0)
		snprintf(path, CONFIG_SOCKET_CAP, "/run/weft/control.sock");
	else if (runtime && *runtime == '/')
		len = snprintf(path, CONFIG_SOCKET_CAP, "%s/weft/control.sock", runtime);
	else if (config->state_dir[0])
		len = snprintf(path, CONFIG_SOCKET_CAP, "%s/control.sock", config->state_dir);
	/* A path too long for a socket's name is no default: keys_agree asks for one. */
	if (len >= CONFIG_SOCKET_CAP)
		path[0] = '\0';
}

const char *config_file_default(char path[static CONFIG_PATH_CAP])
{
	const char *config_home = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return CONFIG_FILE_DEFAULT;
	if (config_home && *config_home == '/')
		snprintf(path, CONFIG_PATH_CAP, "%s/weft/weft.conf", config_home);
	else
		snprintf(path, CONFIG_PATH_CAP, "%s/.config/weft/weft.conf", home ? home : "");
	return access(path, F_OK) == 0 ? path : CONFIG_FILE_DEFAULT;
}

static void listen_default(struct udp_config *udp)
{
	udp->listen[0] = (struct addr){.family = ADDR_IPV4, .port = 7000};
	udp->listen_cnt = 1;
	/* A kernel without IPv6 is no reason not to start; /proc may hold processes alone. */
	if (access("/proc/self/net/if_inet6", F_OK) == 0)
		udp->listen[udp->listen_cnt++] = (struct addr){.family = ADDR_IPV6, .port = 7000};
}

void config_defaults(struct node_config *config)
{
	quic_config_defaults(&config->quic);
	tcp_config_defaults(&config->tcp);
	mesh_config_defaults(&config->mesh);
	store_config_defaults(&config->store);
	control_config_defaults(&config->control);
	blobs_config_defaults(&config->content);
	config->content.scrub_rate = 4 << 20;
	worker_fastpath_config_defaults(&config->fastpath);
	locate_mainline_config_defaults(&config->mainline);
	config_web_defaults(&config->web);
	config_fabric_defaults(&config->fabric);
	config_sharing_defaults(&config->sharing);
	relay_config_defaults(&config->relay);
	relay_broker_config_defaults(&config->relay_broker);
	relay_messages_config_defaults(&config->relay_messages);
	relay_trust_config_defaults(&config->relay_trust);
	relay_end_config_defaults(&config->relay_end);
	relay_receipts_config_defaults(&config->relay_receipts);
	relay_slots_config_defaults(&config->relay_slots);
	relay_web_config_defaults(&config->relay_web);
	relay_web_end_config_defaults(&config->relay_web_end);
	port_mapping_config_defaults(&config->port_mapping);
	punch_config_defaults(&config->punch);
	offers_config_defaults(&config->offers);
	deposits_config_defaults(&config->deposits);
	social_config_defaults(&config->social);
	config->publish.policy.publish = PKARR_RELAY_ONLY;
	listen_default(&config->udp);
	config->udp.rx_buffer_len = 4 * 1024 * 1024;
	config->udp.tx_buffer_len = 4 * 1024 * 1024;
	config->worker_cnt = 1;
	config->is_sandboxed = true;
	config->job_threads = 4;
	config->job_cap = 1024;
	config->drain_timeout_ns = 5 * NS_PER_S;
	config->log_level = LOG_INFO;
	snprintf(config->mesh.agent, sizeof(config->mesh.agent), "weft/%s", WEFT_VERSION);
	state_dir_default(config->state_dir);
	control_path_default(config);
}

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
		config_message_set(
			message,
			"control.operate_group: no group \"%s\"; make it, or give a number",
			config->operate_group);
		return err;
	}
	err = group_lookup(config->view_group, &control->view_gid);
	if (err < 0) {
		config_message_set(message,
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

static int timetables_check(const struct blobs_config *config, char *message)
{
	static const char *const names[BLOBS_DIRECTION_CNT] = {
		[BLOBS_UPLOADS] = "upload_timetable",
		[BLOBS_DOWNLOADS] = "download_timetable",
	};
	struct timetable_fault fault;
	struct timetable table;

	for (unsigned i = 0; i < BLOBS_DIRECTION_CNT; i++) {
		int err = blobs_timetable_parse(config->timetables[i], &table, &fault);

		if (err < 0) {
			config_message_set(message, "sharing.%s: \"%.*s\": %s", names[i],
					   (int)fault.len, fault.at, fault.why);
			return err;
		}
	}
	return 0;
}

static int keys_agree(const struct node_config *config, char *message)
{
	const char *web_fault = config_web_fault(&config->web);
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
		{config->fastpath.xdp.frame_cnt & (config->fastpath.xdp.frame_cnt - 1),
		 "xdp.frames is not a power of two"},
		{config->content.get_active_cap > config->content.get_cap,
		 "content.get_active_cap is more than content.get_cap"},
		{web_fault != NULL, web_fault},
	};

	const char *fault = config_fabric_check(&config->fabric), *zone;
	struct zones zones;

	if (fault) {
		config_message_set(message, "%s", fault);
		return WEFT_EMALFORMED;
	}
	if (blobs_zones_parse(config->content.zones, &zones, &zone) < 0) {
		config_message_set(message,
				   "sharing.zones: \"%.*s\" is not NETWORK/BITS=PRICE with a price "
				   "of 0 to %u, is there twice, or is one too many",
				   (int)strcspn(zone, " ,\t"), zone, ZONE_PRICE_MAX);
		return WEFT_EMALFORMED;
	}
	if (timetables_check(&config->content, message) < 0)
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].is_bad) {
			config_message_set(message, "%s", rows[i].text);
			return WEFT_EMALFORMED;
		}
	}
	return 0;
}

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
	origin->pending = calloc(config_key_cnt, sizeof(*origin->pending));
	if (!origin->overrides || !origin->pending)
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
	for (unsigned i = 0; i < config_key_cnt; i++) {
		free(origin->sources[i]);
		if (origin->pending)
			free(origin->pending[i]);
	}
	free(origin->pending);
	for (unsigned i = 0; origin->overrides && i < origin->override_cnt; i++) {
		free((void *)origin->overrides[i].section);
		free((void *)origin->overrides[i].key);
		free((void *)origin->overrides[i].value);
	}
	free(origin->overrides);
	free(origin->file);
	free(origin);
}

int config_load(const struct config_ask *ask, struct node_config **out_config,
		char message[static CONFIG_MESSAGE_CAP])
{
	struct node_config *config = calloc(1, sizeof(*config));
	int err = config ? origin_new(ask, &config->origin) : -ENOMEM;

	message[0] = '\0';
	if (err == 0) {
		config_defaults(config);
		err = config_read_files(config, message);
	}
	if (err == 0)
		err = config_read_overrides(config, message);
	if (err == 0)
		err = keys_agree(config, message);
	if (err == 0)
		err = groups_resolve(config, message);
	if (err < 0) {
		if (!message[0])
			config_message_set(message, "configuration: %s", weft_err_text(err));
		config_free(config);
		return err;
	}
	config->store.dir = config->state_dir;
	config->control.path = config->control_path;
	config->fastpath.xdp.worker_cnt = config->worker_cnt;
	config->fastpath.xdp.relay_flow_cnt = config->relay.is_on ? config->relay.flow_cap : 0;
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

bool config_next(struct config_iter *iter, struct config_setting *out_setting)
{
	const struct config_origin *origin = iter->config->origin;
	const struct config_key *key = &config_keys[iter->idx];

	if (iter->idx == config_key_cnt)
		return false;
	*out_setting = (struct config_setting){
		.section = key->section,
		.key = key->key,
		.value = config_value_format(key, &origin->live, iter->value),
		.source = origin->sources[iter->idx] ? origin->sources[iter->idx] : "default",
		.doc = key->doc,
		.pending = origin->pending[iter->idx],
		.is_live = key->is_live,
	};
	iter->idx++;
	return true;
}

const struct node_config *config_live(const struct node_config *config)
{
	/* The simulator makes one without a file, which is never read again. */
	return config->origin ? &config->origin->live : config;
}

static void live_apply(struct node_config *live, const struct config_key *key, const char *value)
{
	char why[CONFIG_WHY_CAP];

	/* The value was parsed a moment ago from another copy. */
	if (config_value_parse(key, value, false, live, why) == 0)
		log_init((enum log_level)live->log_level);
}

/* Key idx differs in fresh: it becomes live, or waits. */
static void change_take(struct config_origin *origin, struct config_origin *fresh, unsigned idx,
			const char *after)
{
	char *source = origin->sources[idx];

	if (!config_keys[idx].is_live) {
		free(origin->pending[idx]);
		origin->pending[idx] = strdup(after);
		return;
	}
	live_apply(&origin->live, &config_keys[idx], after);
	origin->sources[idx] = fresh->sources[idx];
	fresh->sources[idx] = source;
}

int config_reload(const struct node_config *config, config_change_fn changed, void *arg,
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
		char before[CONFIG_VALUE_CAP], after[CONFIG_VALUE_CAP], name[96];
		struct config_change change = {name, before, after, key->is_live};

		if (strcmp(config_value_format(key, &origin->live, before),
			   config_value_format(key, fresh, after)) == 0) {
			free(origin->pending[i]);
			origin->pending[i] = NULL;
			continue;
		}
		snprintf(name, sizeof(name), "%s.%s", key->section, key->key);
		change_take(origin, fresh->origin, i, after);
		changed(arg, &change);
	}
	config_free(fresh);
	return 0;
}
