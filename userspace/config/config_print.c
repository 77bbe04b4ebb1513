/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as a file, and its keys as a part of weft.conf(5). */
#include "config/config_table.h"

#include <stdlib.h>
#include <string.h>

void config_print(const struct node_config *config, FILE *out)
{
	struct config_iter iter = {.config = config};
	struct config_setting setting;
	const char *section = NULL;

	while (config_next(&iter, &setting)) {
		if (!section || strcmp(section, setting.section) != 0)
			fprintf(out, "%s[%s]\n", section ? "\n" : "", setting.section);
		section = setting.section;
		fprintf(out, "# %s\n# A change takes a %s.\n# From: %s\n%s = %s\n", setting.doc,
			setting.is_live ? "reload" : "restart", setting.source, setting.key,
			setting.value);
	}
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
		/* Paths and addresses depend on the user and the machine of the daemon. */
		if (key->type != CONFIG_PATH && key->type != CONFIG_ADDRS &&
		    key->type != CONFIG_NAME && key->type != CONFIG_SITE &&
		    key->type != CONFIG_PROXY)
			fprintf(out, "; default %s", config_value_format(key, config, value));
		fprintf(out, ".%s\n", key->is_live ? " A reload applies it." : "");
	}
	free(config);
}
