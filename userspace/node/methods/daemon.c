/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchEvents, ShowConfig, CheckStore, Reload, Shutdown.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/jobs.h"
#include "node/methods/methods.h"
#include "store/store.h"

void method_watch_events(void *ctx, struct control_call *call, const json_t *parameters,
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

void method_shutdown(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
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

void method_show_config(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *settings = json_array();

	(void)parameters, (void)now_ns;
	config_each(node->config, setting_collect, settings);
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

void method_reload(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
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

/*
 * A check reads every blob, so it is a job. Findings are collected there,
 * bounded, and sent when it is done.
 */
#define FINDING_CAP 1000

struct checking {
	struct job job;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	bool is_repairing;
	json_t *findings;
	struct store_check_result result;
	int err;
};

static void checking_report(void *arg, const char *finding)
{
	struct checking *checking = arg;

	if (json_array_size(checking->findings) < FINDING_CAP)
		json_array_append_new(checking->findings, json_string(finding));
}

static void checking_run(struct job *job)
{
	struct checking *checking = (struct checking *)job;

	checking->err = store_check(checking->node->store, checking->is_repairing, checking_report,
				    checking, &checking->result);
}

static void checking_reply(struct checking *checking)
{
	const struct store_check_result *result = &checking->result;
	size_t cnt = json_array_size(checking->findings);

	for (size_t i = 0; i < cnt && control_wants_more(checking->call); i++)
		control_reply_more(
			checking->call,
			json_pack("{s:O}", "finding", json_array_get(checking->findings, i)));
	control_reply(checking->call, json_pack("{s:{s:o, s:o, s:o, s:o, s:o}}", "result", "blobs",
						method_json_uint(result->blob_cnt), "blobs_bad",
						method_json_uint(result->blob_bad_cnt), "items",
						method_json_uint(result->item_cnt), "items_bad",
						method_json_uint(result->item_bad_cnt), "repaired",
						method_json_uint(result->repaired_cnt)));
}

static void checking_fail(const struct checking *checking)
{
	size_t cnt = json_array_size(checking->findings);
	const char *last =
		cnt ? json_string_value(json_array_get(checking->findings, cnt - 1)) : NULL;

	if (checking->err == WEFT_EDAMAGED && last)
		control_fail(checking->call, checking->err, "store", last,
			     "stop weftd; weft backup restore DIR then puts a backup in its place, "
			     "weft store salvage keeps all of it that is sound");
	else
		control_fail(checking->call, checking->err, "store", weft_err_text(checking->err),
			     "see the daemon's log");
}

static void checking_done(struct job *job)
{
	struct checking *checking = (struct checking *)job;

	if (checking->call && checking->err < 0)
		checking_fail(checking);
	else if (checking->call)
		checking_reply(checking);
	checking->node->is_checking = false;
	json_decref(checking->findings);
	free(checking);
}

static void checking_caller_left(void *arg)
{
	((struct checking *)arg)->call = NULL;
}

void method_check_store(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	struct checking *checking = node->is_checking ? NULL : calloc(1, sizeof(*checking));
	int err = node->is_checking ? WEFT_EBUSY : -ENOMEM;

	(void)now_ns;
	if (checking) {
		checking->job = (struct job){.run = checking_run, .done = checking_done};
		checking->node = node;
		checking->call = call;
		checking->is_repairing = json_is_true(json_object_get(parameters, "repair"));
		checking->findings = json_array();
		err = jobs_submit(node->home.jobs, &checking->job);
	}
	if (err < 0) {
		control_fail(call, err, "store", weft_err_text(err),
			     "a check may be running already: wait for it");
		if (checking)
			json_decref(checking->findings);
		free(checking);
		return;
	}
	node->is_checking = true;
	control_on_gone(call, checking_caller_left, checking);
}
