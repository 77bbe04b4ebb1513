/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchEvents, ShowConfig, Reload, Shutdown.
 */
#include "api/methods.h"

void api_watch_events(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;

	(void)now_ns;
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EREFUSED, "WatchEvents", "it answers only with more",
			     "varlinkctl call --more, or weft event watch");
		return;
	}
	control_watch(node->control, call,
		      (uint64_t)json_integer_value(json_object_get(parameters, "since")));
}

void api_shutdown(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	(void)parameters, (void)now_ns;
	control_reply(call, NULL);
	node_stop(ctx);
}

static bool setting_collect(void *arg, const struct config_setting *setting)
{
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:s, s:b, s:s*}", "section",
					     setting->section, "key", setting->key, "value",
					     setting->value, "source", setting->source, "live",
					     setting->is_live, "pending", setting->pending));
	return true;
}

void api_show_config(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *settings = json_array();

	(void)parameters, (void)now_ns;
	node_config_each(node->config, setting_collect, settings);
	control_reply(call, json_pack("{s:o}", "settings", settings));
}

struct reloading {
	json_t *applied;
	json_t *pending;
};

static void reloading_collect(void *arg, const struct config_change *change)
{
	struct reloading *reloading = arg;

	json_array_append_new(change->is_applied ? reloading->applied : reloading->pending,
			      json_string(change->name));
}

void api_reload(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	struct reloading reloading = {json_array(), json_array()};
	char message[CONFIG_MESSAGE_CAP];
	int err = node_reload(node, reloading_collect, &reloading, message);

	(void)parameters, (void)now_ns;
	if (err < 0) {
		control_fail(call, err, "configuration", message,
			     "mend the file and reload again; nothing was changed");
		json_decref(reloading.applied);
		json_decref(reloading.pending);
		return;
	}
	control_reply(call, json_pack("{s:o, s:o}", "applied", reloading.applied, "pending",
				      reloading.pending));
}
