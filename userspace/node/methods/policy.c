/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowPolicy, TestPolicy: the limits, and others tried on the last day.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jobs.h"
#include "node/fastpath/gate.h"
#include "node/methods/methods.h"
#include "node/policy/replay.h"

/* --------------------------------------------------------------- show */

static const char *const class_keys[WEFT_CLASS_CNT] = {
	[WEFT_CLASS_INITIAL] = "limits.initial",
	[WEFT_CLASS_KRPC] = "limits.krpc",
	[WEFT_CLASS_STUN] = "limits.stun",
	[WEFT_CLASS_PROBE] = "limits.probe",
};

static const char *const level_names[WEFT_LEVEL_CNT] = {"/32, /64", "/24, /56", "/48"};

#define WHERE_STRANGERS "XDP program, per CPU; each worker's sockets"

static uint64_t wall_of(uint64_t at_ns)
{
	return clock_wall_s() - (clock_monotonic_ns() - at_ns) / NS_PER_S;
}

/* As it is in force: in mode flood strangers get a fraction. */
static json_t *rate_json(const char *name, const struct weft_bucket_rate *rate, unsigned shift)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", name, "kind", "rate", "where",
			 WHERE_STRANGERS, "per_s",
			 method_json_uint(NS_PER_S / (rate->cost_ns << shift)), "burst",
			 method_json_uint(rate->credit_max_ns / (rate->cost_ns << shift)));
}

static json_t *class_json(const struct node *node, enum weft_class class, unsigned level)
{
	const struct weft_config *policy = &node->fastpath.policy;
	const struct arrivals_limit *limit = &node->record.arrivals.limits[class][level];
	const struct arrivals_credit credit = arrivals_credit(limit);
	unsigned shift = policy->mode == WEFT_MODE_FLOOD ? policy->flood_shift : 0;
	json_t *json = rate_json(class_keys[class], &policy->rates[class][level], shift);

	json_object_update_new(json,
			       json_pack("{s:s, s:s, s:o, s:o}", "class", limits_class_name(class),
					 "prefixes", level_names[level], "offered",
					 method_json_uint(limit->offered_cnt), "refused",
					 method_json_uint(limit->refused_cnt)));
	if (credit.max_ns)
		json_object_set_new(json, "left_percent",
				    method_json_uint(credit.left_ns * 100 / credit.max_ns));
	if (limit->refused_at_ns)
		json_object_set_new(json, "last_refused_s",
				    method_json_uint(wall_of(limit->refused_at_ns)));
	return json;
}

static json_t *threshold_json(const char *name, const char *where, uint64_t limit, uint64_t used)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "name", name, "kind", "threshold",
			 "where", where, "unit", "count", "limit", method_json_uint(limit), "used",
			 method_json_uint(used));
}

static json_t *table_json(const char *name, const char *where, uint64_t limit)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", name, "kind", "table", "where", where,
			 "unit", "count", "limit", method_json_uint(limit));
}

/* Where a table of the node is, by the section of the setting that makes its limit. */
static const char *where_of(const char *name)
{
	static const struct {
		const char *section, *where;
	} rows[] = {
		{"quic.", "QUIC engine, of each worker"},
		{"mesh.", "sessions and requests, of each worker"},
		{"content.", "shares, gets and chunks"},
		{"store.", "the store"},
		{"control.", "the control socket"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strncmp(name, rows[i].section, strlen(rows[i].section)) == 0)
			return rows[i].where;
	return "the node";
}

static void tables_append(json_t *list, struct node *node)
{
	json_t *limits = method_json_limits(node), *row;
	size_t i;

	json_array_foreach(limits, i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		json_object_set_new(row, "kind", json_string("table"));
		json_object_set_new(row, "where", json_string(where_of(name)));
	}
	json_array_extend(list, limits);
	json_decref(limits);
}

void method_show_policy(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	const struct fastpath *fastpath = &node->fastpath;
	const struct weft_config *policy = &fastpath->policy;
	json_t *list = json_array();

	(void)parameters, (void)now_ns;
	drops_fetch(&node->drops);
	record_refresh(&node->record);
	for (enum weft_class class = 0; class < WEFT_CLASS_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			json_array_append_new(list, class_json(node, class, level));
	json_array_append_new(
		list, rate_json("limits.all_answers", &policy->answers[WEFT_ANSWERS_RETRY], 0));
	json_array_append_new(
		list, rate_json("limits.new_path", &policy->rates[WEFT_CLASS_NEW_PATH][0], 0));
	json_array_append_new(list, rate_json("limits.proven", &policy->validated, 0));
	json_array_append_new(list, threshold_json("quic.retry_above", "mode pressured",
						   fastpath->pressure.config.pressured_from,
						   fastpath->pressure.unproven_cnt));
	json_array_append_new(list, threshold_json("xdp.flood_above", "mode flood",
						   fastpath->pressure.config.flood_above,
						   fastpath->pressure.stranger_rate));
	json_array_append_new(list, table_json("xdp.session_cap", WHERE_STRANGERS,
					       node->config->fastpath.xdp.session_cap));
	tables_append(list, node);
	control_reply(call, json_pack("{s:o, s:s, s:o}", "since_s",
				      method_json_uint(node->drops.since_s), "mode",
				      pressure_mode_name(fastpath->pressure.mode), "limits", list));
}

/* --------------------------------------------------------------- test */

#define SINCE_DEFAULT_S 86400

/* On a copy of the record, on a thread of its own: a day takes tenths of a second. */
struct testing {
	struct job job;
	struct node *node;
	struct control_call *call; /* NULL: the caller left */
	struct sketch sketch;
	struct replay_params params;
	struct replay_result result;
	int err;
};

static void testing_run(struct job *job)
{
	struct testing *testing = (struct testing *)job;

	testing->err = replay_run(&testing->params, &testing->result);
}

static uint64_t minute_wall_s(uint64_t minute)
{
	uint64_t at_s = (minute - 1) * SKETCH_SLOT_S, now_s = clock_monotonic_ns() / NS_PER_S;

	return clock_wall_s() - now_s + at_s;
}

static json_t *classes_json(const struct testing *testing)
{
	json_t *list = json_array();

	for (enum weft_class i = 0; i < WEFT_CLASS_CNT; i++) {
		const struct replay_class *class = &testing->result.classes[i];

		if (!class->offered_cnt)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "class",
				  limits_class_name(i), "offered",
				  method_json_uint(class->offered_cnt), "refused",
				  method_json_uint(class->refused_before_cnt), "refused_then",
				  method_json_uint(class->refused_after_cnt), "newly_refused",
				  method_json_uint(class->newly_refused_cnt), "newly_admitted",
				  method_json_uint(class->newly_admitted_cnt), "unsure",
				  method_json_uint(class->unsure_cnt), "newly_refused_sources",
				  method_json_uint(class->newly_refused_sources),
				  "newly_admitted_sources",
				  method_json_uint(class->newly_admitted_sources)));
	}
	return list;
}

static json_t *sources_json(const struct testing *testing)
{
	enum control_role role = control_role_of(testing->call);
	json_t *list = json_array();

	for (unsigned i = 0; i < testing->result.source_cnt; i++) {
		const struct replay_source *source = &testing->result.sources[i];
		struct weft_endpoint endpoint = weft_prefix_endpoint(source->prefix);
		char name[METHOD_SOURCE_CAP];

		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "source",
				  method_source_name(&testing->node->drops, &endpoint, role, name),
				  "class", limits_class_name(source->class), "newly_refused",
				  method_json_uint(source->newly_refused_cnt), "newly_admitted",
				  method_json_uint(source->newly_admitted_cnt), "first_s",
				  method_json_uint(minute_wall_s(source->first_minute)), "last_s",
				  method_json_uint(minute_wall_s(source->last_minute + 1))));
	}
	return list;
}

static json_t *periods_json(const struct replay_result *result)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < result->period_cnt; i++) {
		const struct replay_period *period = &result->periods[i];

		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:o}", "from_s",
				  method_json_uint(minute_wall_s(period->from_minute)), "to_s",
				  method_json_uint(minute_wall_s(period->to_minute)),
				  "newly_refused", method_json_uint(period->newly_refused_cnt),
				  "newly_admitted", method_json_uint(period->newly_admitted_cnt)));
	}
	return list;
}

static json_t *modes_json(const uint64_t seconds[static WEFT_MODE_CNT])
{
	json_t *json = json_object();

	for (enum weft_mode mode = 0; mode < WEFT_MODE_CNT; mode++)
		json_object_set_new(json, pressure_mode_name(mode),
				    method_json_uint(seconds[mode]));
	return json;
}

static void testing_reply(const struct testing *testing)
{
	const struct replay_result *result = &testing->result;

	control_reply(testing->call,
		      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "from_s",
				method_json_uint(minute_wall_s(testing->params.from_minute)),
				"to_s", method_json_uint(minute_wall_s(testing->params.to_minute)),
				"known", method_json_uint(result->known_s), "classes",
				classes_json(testing), "sources", sources_json(testing), "periods",
				periods_json(result), "modes", modes_json(result->mode_before_s),
				"modes_then", modes_json(result->mode_after_s)));
}

static void testing_done(struct job *job)
{
	struct testing *testing = (struct testing *)job;

	testing->node->record.is_testing = false;
	if (testing->call && testing->err < 0)
		control_fail(testing->call, testing->err, "policy test",
			     weft_err_text(testing->err), "try again, with a shorter --since");
	else if (testing->call)
		testing_reply(testing);
	free(testing);
}

static void testing_caller_left(void *arg)
{
	((struct testing *)arg)->call = NULL;
}

static bool is_testable(const char *name)
{
	static const char *const others[] = {"xdp.flood_above", "quic.retry_above"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(name, others[i]) == 0)
			return true;
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++) {
		size_t len = strlen(class_keys[i]);

		if (strncmp(name, class_keys[i], len) == 0 &&
		    (strcmp(name + len, "_rate") == 0 || strcmp(name + len, "_burst") == 0))
			return true;
	}
	return false;
}

static void limits_of(const struct node *node, const struct node_config *config,
		      struct replay_limits *out_limits)
{
	struct weft_config policy = node->fastpath.policy;

	limits_apply(&config->fastpath.limits, &policy);
	memcpy(out_limits->rates, policy.rates, sizeof(out_limits->rates));
	out_limits->flood_shift = policy.flood_shift;
	out_limits->worker_cnt = config->worker_cnt;
	gate_share(&policy, config->worker_cnt);
	memcpy(out_limits->worker_rates, policy.rates, sizeof(out_limits->worker_rates));
	out_limits->pressure = (struct pressure_config){
		.pressured_from = config->quic.retry_above_cnt,
		.flood_above = config->fastpath.flood_above,
	};
}

/* changes_read writes them into config; false: call was failed. */
static bool changes_read(struct control_call *call, const json_t *changes,
			 struct node_config *config)
{
	char why[CONFIG_WHY_CAP];
	const char *name;
	json_t *value;

	if (json_object_size(changes) == 0) {
		control_fail(call, WEFT_EMALFORMED, "policy test", "no setting to try",
			     "weft policy test limits.krpc_rate=50; weft policy show names them");
		return false;
	}
	json_object_foreach((json_t *)changes, name, value)
	{
		int err = config_set(config, name, json_string_value(value), why);

		if (err < 0) {
			control_fail(call, WEFT_EMALFORMED, name, why,
				     "weft.conf(5) lists the settings and what they take");
			return false;
		}
		if (!is_testable(name)) {
			control_fail(call, WEFT_EREFUSED, name,
				     "no record is kept that it could be tried on",
				     "rates and bursts of strangers in [limits], "
				     "xdp.flood_above and quic.retry_above can be tried");
			return false;
		}
	}
	return true;
}

static void window_set(struct testing *testing, json_int_t since_s, uint64_t now_ns)
{
	uint64_t to_minute = sketch_minute(now_ns) + 1, minute_cnt;

	if (since_s <= 0 || since_s > SINCE_DEFAULT_S)
		since_s = SINCE_DEFAULT_S;
	/* The minute at hand counts as one. */
	minute_cnt = ((uint64_t)since_s + SKETCH_SLOT_S - 1) / SKETCH_SLOT_S + 1;
	testing->params.to_minute = to_minute;
	testing->params.from_minute = minute_cnt < to_minute ? to_minute - minute_cnt : 1;
}

/* testing_submit starts what is made, or fails call and frees it. */
static void testing_submit(struct testing *testing, struct control_call *call)
{
	struct node *node = testing->node;
	int err = jobs_submit(node->home.jobs, &testing->job);

	if (err < 0) {
		control_fail(call, err, "policy test", weft_err_text(err), "try again soon");
		free(testing);
		return;
	}
	node->record.is_testing = true;
	control_on_gone(call, testing_caller_left, testing);
}

void method_test_policy(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	struct node_config tried = *config_live(node->config);
	struct testing *testing;

	if (!changes_read(call, json_object_get(parameters, "changes"), &tried))
		return;
	testing = node->record.is_testing ? NULL : calloc(1, sizeof(*testing));
	if (!testing) {
		control_fail(call, node->record.is_testing ? WEFT_EBUSY : -ENOMEM, "policy test",
			     node->record.is_testing ? "another test runs" : "no memory",
			     "try again in a second");
		return;
	}
	testing->job = (struct job){.run = testing_run, .done = testing_done};
	testing->node = node;
	testing->call = call;
	record_refresh(&node->record);
	sketch_settle(node->record.sketch);
	memcpy(&testing->sketch, node->record.sketch, sizeof(testing->sketch));
	testing->params.sketch = &testing->sketch;
	limits_of(node, config_live(node->config), &testing->params.before);
	limits_of(node, &tried, &testing->params.after);
	window_set(testing, json_integer_value(json_object_get(parameters, "since")), now_ns);
	testing_submit(testing, call);
}
