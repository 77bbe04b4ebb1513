/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assignments, from files, their drop-ins and the command line, into a
 * configuration. Start-up and reload.
 */
#include "config/config_table.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ini.h"
#include "weft/nearest.h"

#define CONFIG_FILE_LEN_MAX (1024 * 1024)

/* The input at hand, for messages and for the source of each value. */
struct config_reading {
	struct node_config *config;
	const char *file;
	const char **set_here; /* per key: set in this file already */
	char *message;
};

void config_message_set(char *message, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, CONFIG_MESSAGE_CAP, fmt, args);
	va_end(args);
}

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

static void tell_unknown_section(const char *section, char why[static CONFIG_WHY_CAP])
{
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (unsigned i = 0; i < config_key_cnt; i++) {
		if (weft_is_nearer(section, config_keys[i].section, &best))
			nearest = config_keys[i].section;
	}
	if (!*section)
		snprintf(why, CONFIG_WHY_CAP, "a key before the first [section]");
	else if (nearest)
		snprintf(why, CONFIG_WHY_CAP, "unknown section [%s]; did you mean [%s]?", section,
			 nearest);
	else
		snprintf(why, CONFIG_WHY_CAP, "unknown section [%s]; weft.conf(5) lists them",
			 section);
}

static void tell_unknown_key(const char *section, const char *name, char why[static CONFIG_WHY_CAP])
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
		snprintf(why, CONFIG_WHY_CAP,
			 "unknown key \"%s\" in [%s]; did you mean \"%s\" in [%s]?", name, section,
			 nearest->key, nearest->section);
	else
		snprintf(why, CONFIG_WHY_CAP, "unknown key \"%s\" in [%s]; weft.conf(5) lists them",
			 name, section);
}

/* setting_lookup; NULL: there is none of that name, and why says so. */
static const struct config_key *setting_lookup(const char *section, const char *name,
					       unsigned *out_idx, char why[static CONFIG_WHY_CAP])
{
	const struct config_key *key = NULL;

	if (!section_is_known(section)) {
		tell_unknown_section(section, why);
	} else {
		key = key_lookup(section, name, out_idx);
		if (!key)
			tell_unknown_key(section, name, why);
	}
	return key;
}

static int assign(struct config_reading *reading, const char *where,
		  const struct config_override *line)
{
	char **sources = reading->config->origin->sources;
	const struct config_key *key;
	char why[CONFIG_WHY_CAP], *source;
	unsigned idx;
	int err;

	key = setting_lookup(line->section, line->key, &idx, why);
	if (!key) {
		config_message_set(reading->message, "%s: %s", where, why);
		return WEFT_EUNKNOWN;
	}
	if (reading->set_here && reading->set_here[idx]) {
		config_message_set(reading->message, "%s: %s.%s is set twice in this file", where,
				   line->section, line->key);
		return WEFT_EMALFORMED;
	}
	err = config_value_parse(key, line->value, line->is_appended, reading->config, why);
	if (err < 0) {
		config_message_set(reading->message, "%s: %s.%s: %s", where, line->section,
				   line->key, why);
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

static int on_line(void *ctx, const struct ini_line *line)
{
	struct config_reading *reading = ctx;
	char where[CONFIG_PATH_CAP + 16];

	snprintf(where, sizeof(where), "%s:%u", reading->file, line->number);
	return assign(reading, where,
		      &(struct config_override){line->section, line->key, line->value, false});
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
		config_message_set(message, "%s: %s", path, weft_err_text(err));
		return err;
	}
	message[0] = '\0';
	reading.set_here = calloc(config_key_cnt, sizeof(*reading.set_here));
	err = reading.set_here ? ini_parse(text, len, on_line, &reading, &line) : -ENOMEM;
	if (err < 0 && !message[0])
		config_message_set(message, "%s:%u: %s", path, line,
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
		config_message_set(message, "%s: %s", dir, strerror(-err));
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

int config_read_files(struct node_config *config, char message[static CONFIG_MESSAGE_CAP])
{
	const char *wanted = config->origin->file;
	char usual[CONFIG_PATH_CAP];
	const char *file = wanted ? wanted : config_file_default(usual);
	int err = file_read(config, file, message);

	if (err == -ENOENT && !wanted)
		err = 0;
	return err < 0 ? err : drop_ins_read(config, file, message);
}

int config_read_overrides(struct node_config *config, char message[static CONFIG_MESSAGE_CAP])
{
	struct config_reading reading = {config, NULL, NULL, message};
	const struct config_origin *origin = config->origin;
	int err = 0;

	for (unsigned i = 0; i < origin->override_cnt && err == 0; i++) {
		const struct config_override *o = &origin->overrides[i];

		if (!o->section || !o->key || !o->value)
			return -ENOMEM;
		err = assign(&reading, "command line", o);
	}
	return err;
}

int config_set(struct node_config *config, const char *name, const char *value,
	       char why[static CONFIG_WHY_CAP])
{
	const char *dot = strchr(name, '.');
	const struct config_key *key;
	char section[64] = "";
	unsigned idx;

	if (dot)
		snprintf(section, sizeof(section), "%.*s", (int)(dot - name), name);
	key = setting_lookup(section, dot ? dot + 1 : name, &idx, why);
	return key ? config_value_parse(key, value, false, config, why) : WEFT_EUNKNOWN;
}
