/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchEvents, ShowConfig, Reload, Shutdown.
 */
#include "api/methods.h"

void api_watch_events(struct api *api, struct control_call *call,
		      const struct api_watch_events_in *in, uint64_t now_ns)
{
	(void)now_ns;
	if (!control_wants_more(call)) {
		control_fail(call, WEFT_EREFUSED, "WatchEvents", "it answers only with more",
			     "varlinkctl call --more, or weft event watch");
		return;
	}
	control_watch(api->control, call, (uint64_t)in->since);
}

void api_shutdown(struct api *api, struct control_call *call, const struct api_shutdown_in *in,
		  uint64_t now_ns)
{
	(void)in, (void)now_ns;
	control_reply(call, NULL);
	api->stop(api->ctx);
}

void api_show_config(struct api *api, struct control_call *call,
		     const struct api_show_config_in *in, uint64_t now_ns)
{
	struct config_iter iter = {.config = api->config};
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_setting_list rows = {0};
	struct config_setting setting;

	(void)in, (void)now_ns;
	while (config_next(&iter, &setting))
		varlink_push(blocks, &rows,
			     {.section = setting.section,
			      .key = setting.key,
			      .value = varlink_text(blocks, setting.value),
			      .source = varlink_text(blocks, setting.source),
			      .live = setting.is_live,
			      .pending = setting.pending ? varlink_text(blocks, setting.pending)
							 : NULL});
	api_reply(call, show_config, .settings = rows);
}

struct reloading {
	struct varlink_blocks *blocks;
	struct api_string_list applied, pending;
};

static void reloading_collect(void *arg, const struct config_change *change)
{
	struct reloading *reloading = arg;

	varlink_push(reloading->blocks,
		     change->is_applied ? &reloading->applied : &reloading->pending,
		     varlink_text(reloading->blocks, change->name));
}

void api_reload(struct api *api, struct control_call *call, const struct api_reload_in *in,
		uint64_t now_ns)
{
	struct reloading reloading = {.blocks = control_blocks(call)};
	char message[CONFIG_MESSAGE_CAP];
	int err = api->reload(api->ctx, reloading_collect, &reloading, message);

	(void)in, (void)now_ns;
	if (err < 0)
		control_fail(call, err, "configuration", message,
			     "mend the file and reload again; nothing was changed");
	else
		api_reply(call, reload, .applied = reloading.applied, .pending = reloading.pending);
}
