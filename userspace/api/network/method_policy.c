/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowPolicy, TestPolicy: the limits, and others tried on the last day.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "firewall/ingress.h"
#include "api/methods.h"
#include "firewall/replay.h"

/* --------------------------------------------------------------- show */

static const char *const class_keys[WEFT_CLASS_CNT] = {
	[WEFT_CLASS_INITIAL] = "limits.initial",
	[WEFT_CLASS_KRPC] = "limits.krpc",
	[WEFT_CLASS_STUN] = "limits.stun",
	[WEFT_CLASS_PROBE] = "limits.probe",
};

static const char *const level_names[WEFT_LEVEL_CNT] = {"/32, /64", "/24, /56", "/48"};

#define WHERE_UNVALIDATED "XDP program, per CPU; each worker's sockets"

static uint64_t wall_of(uint64_t at_ns)
{
	return clock_wall_s() - (clock_monotonic_ns() - at_ns) / NS_PER_S;
}

/* As it is in force: in mode flood unvalidated sources get a fraction. */
static struct api_policy_limit rate_row(const char *name, const struct weft_bucket_rate *rate,
					unsigned shift)
{
	struct api_policy_limit row = {
		.name = name, .kind = API_POLICY_LIMIT_KIND_RATE, .where = WHERE_UNVALIDATED};

	API_SET(&row, per_s, api_uint(NS_PER_S / (rate->cost_ns << shift)));
	API_SET(&row, burst, api_uint(rate->credit_max_ns / (rate->cost_ns << shift)));
	return row;
}

static struct api_policy_limit class_row(const struct api *api, enum weft_class class,
					 unsigned level)
{
	const struct weft_config *policy = &api->fastpath->policy;
	const struct arrivals_limit *limit = &api->record->arrivals.limits[class][level];
	const struct arrivals_credit credit = firewall_arrivals_credit(limit);
	unsigned shift = policy->mode == WEFT_MODE_FLOOD ? policy->flood_shift : 0;
	struct api_policy_limit row =
		rate_row(class_keys[class], &policy->rates[class][level], shift);

	row.class = firewall_limits_class_name(class);
	row.prefixes = level_names[level];
	API_SET(&row, offered, api_uint(limit->offered_cnt));
	API_SET(&row, refused, api_uint(limit->refused_cnt));
	if (credit.max_ns)
		API_SET(&row, left_percent, api_uint(credit.left_ns * 100 / credit.max_ns));
	if (limit->refused_at_ns)
		API_SET(&row, last_refused_s, api_uint(wall_of(limit->refused_at_ns)));
	return row;
}

static struct api_policy_limit threshold_row(const char *name, const char *where, uint64_t limit,
					     uint64_t used)
{
	struct api_policy_limit row = {
		.name = name, .kind = API_POLICY_LIMIT_KIND_THRESHOLD, .where = where};

	API_SET(&row, unit, API_POLICY_LIMIT_UNIT_COUNT);
	API_SET(&row, limit, api_uint(limit));
	API_SET(&row, used, api_uint(used));
	return row;
}

/* Where a table of the node is, by the section of the setting that makes its limit. */
static const char *where_of(const char *name)
{
	static const struct {
		const char *section, *where;
	} rows[] = {
		{"quic.", "QUIC engine, of each worker"},
		{"tcp.", "TCP engine, of each worker"},
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

static struct api_policy_limit table_row(const struct api_limit *limit)
{
	struct api_policy_limit row = {.name = limit->name,
				       .kind = API_POLICY_LIMIT_KIND_TABLE,
				       .where = where_of(limit->name),
				       .has_peak = limit->has_peak,
				       .peak = limit->peak,
				       .has_refused = limit->has_refused,
				       .refused = limit->refused};

	API_SET(&row, unit,
		limit->unit == API_LIMIT_UNIT_BYTES ? API_POLICY_LIMIT_UNIT_BYTES
						    : API_POLICY_LIMIT_UNIT_COUNT);
	API_SET(&row, limit, limit->limit);
	API_SET(&row, used, limit->used);
	return row;
}

static void tables_add(struct varlink_blocks *blocks, struct api *api,
		       struct api_policy_limit_list *rows)
{
	struct api_policy_limit sessions = {.name = "xdp.session_cap",
					    .kind = API_POLICY_LIMIT_KIND_TABLE,
					    .where = WHERE_UNVALIDATED};
	struct api_limit_list limits = {0};

	API_SET(&sessions, unit, API_POLICY_LIMIT_UNIT_COUNT);
	API_SET(&sessions, limit, api->config->fastpath.xdp.session_cap);
	varlink_push(blocks, rows, sessions);
	api_limits(blocks, api, &limits);
	for (size_t i = 0; i < limits.cnt; i++)
		varlink_push(blocks, rows, table_row(&limits.rows[i]));
}

void api_show_policy(struct api *api, struct control_call *call,
		     const struct api_show_policy_in *in, uint64_t now_ns)
{
	const struct pressure *pressure = &api->fastpath->pressure;
	const struct weft_config *policy = &api->fastpath->policy;
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_show_policy_out out = {.mode = (enum api_mode)pressure->mode};

	(void)in, (void)now_ns;
	firewall_drops_fetch(api->drops);
	firewall_record_refresh(api->record);
	out.since_s = api_uint(api->drops->since_s);
	for (enum weft_class class = 0; class < WEFT_CLASS_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			varlink_push(blocks, &out.limits, class_row(api, class, level));
	const struct api_policy_limit others[] = {
		rate_row("limits.all_answers", &policy->answers[WEFT_ANSWERS_RETRY], 0),
		rate_row("limits.new_path", &policy->rates[WEFT_CLASS_NEW_PATH][0], 0),
		rate_row("limits.validated", &policy->validated, 0),
		threshold_row("quic.retry_above", "mode pressured", pressure->config.pressured_from,
			      pressure->half_open_cnt),
		threshold_row("xdp.flood_above", "mode flood", pressure->config.flood_above,
			      pressure->unvalidated_rate),
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		varlink_push(blocks, &out.limits, others[i]);
	tables_add(blocks, api, &out.limits);
	control_reply(call, api_show_policy_out_write(&out));
}

/* --------------------------------------------------------------- test */

#define SINCE_DEFAULT_S 86400

/* On a copy of the record, on a thread of its own: a day takes tenths of a second. */
struct testing {
	struct job job;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	struct sketch sketch;
	struct replay_params params;
	struct replay_result result;
	int err;
};

static void testing_run(struct job *job)
{
	struct testing *testing = (struct testing *)job;

	testing->err = firewall_replay_run(&testing->params, &testing->result);
}

static uint64_t minute_wall_s(uint64_t minute)
{
	uint64_t at_s = (minute - 1) * SKETCH_SLOT_S, now_s = clock_monotonic_ns() / NS_PER_S;

	return clock_wall_s() - now_s + at_s;
}

static void classes_add(struct varlink_blocks *blocks, const struct testing *testing,
			struct api_policy_class_list *classes)
{
	for (enum weft_class i = 0; i < WEFT_CLASS_CNT; i++) {
		const struct replay_class *class = &testing->result.classes[i];
		if (class->offered_cnt)
			varlink_push(
				blocks, classes,
				{.class = firewall_limits_class_name(i),
				 .offered = api_uint(class->offered_cnt),
				 .refused = api_uint(class->refused_before_cnt),
				 .refused_then = api_uint(class->refused_after_cnt),
				 .newly_refused = api_uint(class->newly_refused_cnt),
				 .newly_admitted = api_uint(class->newly_admitted_cnt),
				 .unsure = api_uint(class->unsure_cnt),
				 .newly_refused_sources = api_uint(class->newly_refused_sources),
				 .newly_admitted_sources =
					 api_uint(class->newly_admitted_sources)});
	}
}

static void sources_add(struct varlink_blocks *blocks, const struct testing *testing,
			struct api_policy_source_list *sources)
{
	enum control_role role = control_role_of(testing->call);

	for (unsigned i = 0; i < testing->result.source_cnt; i++) {
		const struct replay_source *source = &testing->result.sources[i];
		struct weft_endpoint endpoint = weft_prefix_endpoint(source->prefix);
		char text[METHOD_SOURCE_CAP];
		const char *name = api_source_name(testing->api->drops, &endpoint, role, text);
		varlink_push(blocks, sources,
			     {.source = varlink_text(blocks, name),
			      .class = firewall_limits_class_name(source->class),
			      .newly_refused = api_uint(source->newly_refused_cnt),
			      .newly_admitted = api_uint(source->newly_admitted_cnt),
			      .first_s = api_uint(minute_wall_s(source->first_minute)),
			      .last_s = api_uint(minute_wall_s(source->last_minute))});
	}
}

static void periods_add(struct varlink_blocks *blocks, const struct replay_result *result,
			struct api_policy_period_list *periods)
{
	for (unsigned i = 0; i < result->period_cnt; i++) {
		const struct replay_period *period = &result->periods[i];
		varlink_push(blocks, periods,
			     {.from_s = api_uint(minute_wall_s(period->from_minute)),
			      .to_s = api_uint(minute_wall_s(period->to_minute)),
			      .newly_refused = api_uint(period->newly_refused_cnt),
			      .newly_admitted = api_uint(period->newly_admitted_cnt)});
	}
}

static struct api_policy_modes modes_row(const uint64_t seconds[static WEFT_MODE_CNT])
{
	return (struct api_policy_modes){
		.normal = api_uint(seconds[WEFT_MODE_NORMAL]),
		.pressured = api_uint(seconds[WEFT_MODE_PRESSURED]),
		.flood = api_uint(seconds[WEFT_MODE_FLOOD]),
	};
}

static void testing_reply(const struct testing *testing)
{
	const struct replay_result *result = &testing->result;
	struct varlink_blocks *blocks = control_blocks(testing->call);
	struct api_test_policy_out out = {
		.from_s = api_uint(minute_wall_s(testing->params.from_minute)),
		.to_s = api_uint(minute_wall_s(testing->params.to_minute)),
		.known = api_uint(result->known_s),
		.modes = modes_row(result->mode_before_s),
		.modes_then = modes_row(result->mode_after_s),
	};

	classes_add(blocks, testing, &out.classes);
	sources_add(blocks, testing, &out.sources);
	periods_add(blocks, result, &out.periods);
	control_reply(testing->call, api_test_policy_out_write(&out));
}

static void testing_done(struct job *job)
{
	struct testing *testing = (struct testing *)job;

	testing->api->record->is_testing = false;
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

static void limits_of(const struct api *api, const struct node_config *config,
		      struct replay_limits *out_limits)
{
	struct weft_config policy = api->fastpath->policy;

	firewall_limits_apply(&config->fastpath.limits, &policy);
	memcpy(out_limits->rates, policy.rates, sizeof(out_limits->rates));
	out_limits->flood_shift = policy.flood_shift;
	out_limits->worker_cnt = config->worker_cnt;
	firewall_ingress_share(&policy, config->worker_cnt);
	memcpy(out_limits->worker_rates, policy.rates, sizeof(out_limits->worker_rates));
	out_limits->pressure = (struct pressure_config){
		.pressured_from = config->quic.retry_above_cnt,
		.flood_above = config->fastpath.flood_above,
	};
}

/* changes_read writes them into config; false: call was failed. */
static bool changes_read(struct control_call *call, const struct api_string_map *changes,
			 struct node_config *config)
{
	char why[CONFIG_WHY_CAP];

	if (changes->cnt == 0) {
		control_fail(call, WEFT_EMALFORMED, "policy test", "no setting to try",
			     "weft policy test limits.krpc_rate=50; weft policy show names them");
		return false;
	}
	for (size_t i = 0; i < changes->cnt; i++) {
		const char *name = changes->rows[i].key;
		int err = config_set(config, name, changes->rows[i].value, why);

		if (err < 0) {
			control_fail(call, WEFT_EMALFORMED, name, why,
				     "weft.conf(5) lists the settings and what they take");
			return false;
		}
		if (!is_testable(name)) {
			control_fail(call, WEFT_EREFUSED, name,
				     "no record is kept that it could be tried on",
				     "rates and bursts of unvalidated sources in [limits], "
				     "xdp.flood_above and quic.retry_above can be tried");
			return false;
		}
	}
	return true;
}

static void window_set(struct testing *testing, int64_t since_s, uint64_t now_ns)
{
	uint64_t to_minute = firewall_sketch_minute(now_ns) + 1, minute_cnt;

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
	struct api *api = testing->api;
	int err = jobs_submit(api->home->jobs, &testing->job);

	if (err < 0) {
		control_fail(call, err, "policy test", weft_err_text(err), "try again soon");
		free(testing);
		return;
	}
	api->record->is_testing = true;
	control_on_gone(call, testing_caller_left, testing);
}

void api_test_policy(struct api *api, struct control_call *call,
		     const struct api_test_policy_in *in, uint64_t now_ns)
{
	struct node_config tried = *config_live(api->config);
	struct testing *testing;

	if (!changes_read(call, &in->changes, &tried))
		return;
	testing = api->record->is_testing ? NULL : calloc(1, sizeof(*testing));
	if (!testing) {
		control_fail(call, api->record->is_testing ? WEFT_EBUSY : -ENOMEM, "policy test",
			     api->record->is_testing ? "another test runs" : "no memory",
			     "try again in a second");
		return;
	}
	testing->job = (struct job){.run = testing_run, .done = testing_done};
	testing->api = api;
	testing->call = call;
	firewall_record_refresh(api->record);
	firewall_sketch_settle(api->record->sketch);
	memcpy(&testing->sketch, api->record->sketch, sizeof(testing->sketch));
	testing->params.sketch = &testing->sketch;
	limits_of(api, config_live(api->config), &testing->params.before);
	limits_of(api, &tried, &testing->params.after);
	window_set(testing, in->since, now_ns);
	testing_submit(testing, call);
}
