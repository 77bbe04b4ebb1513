/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PlanXdp, AttachXdp, KeepXdp, DetachXdp, ShowXdp, SetXdpMode,
 * ListXdpCounters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/privilege.h"
#include "net/packet_io.h"
#include "node/methods/methods.h"
#include "weft/reason.h"

/* What an attached program lets pass, whatever the device. */
static const char *const untouched[] = {
	"everything that is not UDP: ssh and all other TCP, ping, ARP, neighbour discovery",
	"UDP to other ports, and to addresses that are not this machine's",
	"fragments, IPv4 with options, IPv6 with extension headers: they come by the kernel's "
	"socket",
};

static const char *mode_name(enum xdp_mode mode)
{
	return mode == XDP_NATIVE ? "native" : "generic";
}

/* The place of the parameter's word in words, or otherwise. */
static unsigned word_of(const json_t *parameters, const char *name, const char *const *words,
			unsigned otherwise)
{
	const char *text = json_string_value(json_object_get(parameters, name));

	for (unsigned i = 0; text && words[i]; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	return otherwise;
}

static enum xdp_mode mode_of(const struct node *node, const json_t *parameters)
{
	static const char *const words[] = {"auto", "native", "generic", NULL};
	enum xdp_mode configured = node->config->fastpath.xdp.mode;

	/* Off by configuration stays off, whatever is asked for. */
	return configured == XDP_OFF ? XDP_OFF : word_of(parameters, "mode", words, configured);
}

static json_t *texts_json(const char *const *texts, unsigned cnt)
{
	json_t *json = json_array();

	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(json, json_string(texts[i]));
	return json;
}

static json_t *plan_json(const struct xdp_plan *plan)
{
	const char *warnings[XDP_WARNING_MAX] = {NULL};
	json_t *json;

	for (unsigned i = 0; i < plan->warning_cnt; i++)
		warnings[i] = plan->warnings[i];
	json = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:b}", "device", plan->name, "kind",
			 plan->kind, "driver", plan->driver, "possible", plan->is_possible, "why",
			 plan->why, "mode", mode_name(plan->mode), "certain", plan->is_mode_certain,
			 "zero_copy", plan->may_zero_copy);
	json_object_update_new(
		json,
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "mtu",
			  method_json_uint(plan->mtu), "queues", method_json_uint(plan->queue_cnt),
			  "queues_served", method_json_uint(plan->served_cnt), "frame_bytes",
			  method_json_uint(plan->frame_len), "frames_bytes",
			  method_json_uint(plan->frames_len), "tables_bytes",
			  method_json_uint(plan->tables_len), "foreign_program",
			  method_json_uint(plan->foreign_id), "foreign_name", plan->foreign_name,
			  "untouched",
			  texts_json(untouched, sizeof(untouched) / sizeof(untouched[0])),
			  "warnings", texts_json(warnings, plan->warning_cnt)));
	return json;
}

static const char *parameter_device(const json_t *parameters)
{
	return json_string_value(json_object_get(parameters, "device"));
}

static void fail_device(struct control_call *call, int err, const char *name, const char *why)
{
	const char *next = "weft xdp plan DEVICE says what attaching would do";

	if (err == -ENODEV)
		next = "ip link shows the devices there are";
	else if (err == -EPERM)
		next = "the unit's AmbientCapabilities= gives them, or start weftd as root";
	else if (err == WEFT_EABSENT)
		next = "weft xdp status shows what is attached";
	control_fail(call, err, name, why, next);
}

/* What is there is ours, and no stranger's. */
static void plan_note_attached(const struct node *node, struct xdp_plan *plan)
{
	const struct xdp_device_info *info;
	int device = fastpath_lookup(&node->fastpath, plan->name);

	if (device < 0)
		return;
	info = xdp_device_info(node->fastpath.xdp, (unsigned)device);
	plan->is_possible = false;
	plan->foreign_id = 0;
	plan->foreign_name[0] = '\0';
	snprintf(plan->why, sizeof(plan->why),
		 "attached already, by this daemon: program %u, %s mode; weft xdp detach %s takes "
		 "it off",
		 info->prog_id, mode_name(info->mode), plan->name);
}

void method_plan_xdp(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	struct xdp_config config = node->config->fastpath.xdp;
	const char *name = parameter_device(parameters);
	struct xdp_plan plan;
	json_t *json;
	int err;

	(void)now_ns;
	config.mode = mode_of(node, parameters);
	err = xdp_plan(&config, name, &plan);
	if (err < 0) {
		fail_device(call, err, name, weft_err_text(err));
		return;
	}
	plan_note_attached(node, &plan);
	json = plan_json(&plan);
	json_object_set_new(json, "attached",
			    json_boolean(fastpath_lookup(&node->fastpath, name) >= 0));
	control_reply(call, json_pack("{s:o}", "plan", json));
}

/* A worker says so some times a second: of one just given, nothing yet. */
static void queue_add_json(const struct node *node, const struct worker_figures *home,
			   const struct xdp_queue *queue, json_t *receive,
			   struct queue_figures *sum)
{
	unsigned worker = fastpath_queue_worker(&node->fastpath, queue->idx);
	const struct queue_figures *figures = worker_figures_queue(
		worker ? crew_figures(node->crew, worker) : home, queue->device, queue->idx);
	struct packet_counters counters = {0};
	json_t *json;

	if (figures) {
		counters = figures->counters;
		sum->sent_cnt += figures->sent_cnt;
	}
	for (unsigned i = 0; figures && i < XDP_FRAME_OWNER_CNT; i++)
		sum->frames[i] += figures->frames[i];
	counters.dropped_cnt += queue->lost_cnt;
	json = method_json_side(queue->rx->backend, queue->rx->reason, &counters);
	json_object_set_new(json, "queue", method_json_uint(queue->idx));
	json_object_set_new(json, "worker", method_json_uint(worker));
	json_array_append_new(receive, json);
}

static json_t *frames_json(const uint32_t frames[static XDP_FRAME_OWNER_CNT])
{
	static const char *const owners[XDP_FRAME_OWNER_CNT] = {"free", "filling", "lent",
								"writing", "sending"};
	json_t *json = json_object();

	for (unsigned i = 0; i < XDP_FRAME_OWNER_CNT; i++)
		json_object_set_new(json, owners[i], method_json_uint(frames[i]));
	return json;
}

static json_t *device_json(const struct node *node, unsigned device)
{
	const struct fastpath *fastpath = &node->fastpath;
	const struct xdp_device_info *info = xdp_device_info(fastpath->xdp, device);
	uint64_t at_ns = fastpath->devices[device].confirm_at_ns, now_ns = clock_monotonic_ns();
	struct queue_figures sum = {0};
	json_t *receive = json_array(), *faults = json_object(), *json;
	const struct xdp_queue *queue;
	struct worker_figures home;

	worker_figures_read(&node->home, &home);
	for (unsigned i = 0; (queue = xdp_queue_of(fastpath->xdp, device, i)); i++)
		queue_add_json(node, &home, queue, receive, &sum);
	for (unsigned i = 0; i < XDP_FAULT_CNT; i++)
		json_object_set_new(faults, xdp_fault_name(i),
				    method_json_uint(info->fault_cnt[i]));
	json = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "device", info->name,
			 "mode", mode_name(info->mode), "mode_reason", info->mode_reason, "program",
			 method_json_uint(info->prog_id), "mtu", method_json_uint(info->mtu),
			 "frame_bytes", method_json_uint(info->frame_len), "queues",
			 method_json_uint(info->queue_cnt), "zero_copy", info->is_zero_copy,
			 "huge_pages", info->is_huge, "running", info->is_running);
	json_object_update_new(json, json_pack("{s:o, s:o, s:o, s:o, s:o}", "receive", receive,
					       "lost", method_json_uint(info->rx_lost_cnt), "sent",
					       method_json_uint(sum.sent_cnt), "frames",
					       frames_json(sum.frames), "faults", faults));
	if (at_ns)
		json_object_set_new(
			json, "confirm_ms",
			method_json_uint(at_ns > now_ns ? (at_ns - now_ns) / NS_PER_MS : 0));
	return json;
}

static const char changing[] = "a device is being attached or detached; try again";

struct attach_call {
	struct node *node;
	struct control_call *call;
	char name[XDP_NAME_CAP];
};

static void attach_done(void *ctx, int device, const char *why)
{
	struct attach_call *attach = ctx;

	if (device < 0)
		fail_device(attach->call, device, attach->name, why);
	else
		control_reply(attach->call, json_pack("{s:o}", "device",
						      device_json(attach->node, (unsigned)device)));
	free(attach);
}

/* The device is attached all the same. */
static void attach_caller_left(void *arg)
{
	struct attach_call *attach = arg;

	fastpath_attach_forget(&attach->node->fastpath, attach);
	free(attach);
}

void method_attach_xdp(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	static const char *const sends[] = {"auto", "udp", "af_xdp", NULL};
	struct node *node = ctx;
	const char *name = parameter_device(parameters);
	struct attach_call *caller = calloc(1, sizeof(*caller));
	struct fastpath_attach attach = {
		.name = name,
		.mode = mode_of(node, parameters),
		.send = word_of(parameters, "send", sends, node->config->fastpath.xdp.send),
		.confirm_ns =
			(uint64_t)json_integer_value(json_object_get(parameters, "confirm_ms")) *
			NS_PER_MS,
		.done = attach_done,
		.ctx = caller,
	};
	int err = -ENOMEM;

	(void)now_ns;
	if (caller) {
		caller->node = node;
		caller->call = call;
		snprintf(caller->name, sizeof(caller->name), "%s", name);
		err = fastpath_attach(&node->fastpath, &attach);
	}
	if (err == 0) {
		control_on_gone(call, attach_caller_left, caller);
		return;
	}
	free(caller);
	if (err == WEFT_EBUSY)
		fail_device(call, err, name, changing);
	else if (err == WEFT_EEXISTS)
		fail_device(call, err, name, "attached already");
	else
		fail_device(call, err, name, weft_err_text(err));
}

void method_keep_xdp(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = parameter_device(parameters);
	int err = fastpath_keep(&node->fastpath, name);

	(void)now_ns;
	if (err < 0)
		fail_device(call, err, name, "not attached");
	else
		control_reply(call, json_pack("{s:o}", "device",
					      device_json(node, (unsigned)fastpath_lookup(
									&node->fastpath, name))));
}

struct detach_call {
	struct node *node;
	struct control_call *call;
};

static void detach_done(void *ctx)
{
	struct detach_call *detach = ctx;

	control_reply(detach->call, NULL);
	free(detach);
}

static void detach_caller_left(void *arg)
{
	struct detach_call *detach = arg;

	fastpath_detach_forget(&detach->node->fastpath, detach);
	free(detach);
}

void method_detach_xdp(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;
	const char *name = parameter_device(parameters);
	struct detach_call *caller = calloc(1, sizeof(*caller));
	int err = -ENOMEM;

	(void)now_ns;
	if (caller) {
		*caller = (struct detach_call){node, call};
		err = fastpath_detach(&node->fastpath, name, detach_done, caller);
	}
	if (err == 0) {
		control_on_gone(call, detach_caller_left, caller);
		return;
	}
	free(caller);
	if (err == WEFT_EBUSY)
		fail_device(call, err, name, changing);
	else if (err == WEFT_EABSENT)
		fail_device(call, err, name, "not attached");
	else if (err < 0)
		fail_device(call, err, name, weft_err_text(err));
	else
		control_reply(call, NULL);
}

static json_t *send_json(const struct node *node)
{
	const struct packet_tx *tx = node->home.fast_tx ? node->home.fast_tx : node->home.tx;
	struct packet_counters sum = tx->counters;

	for (unsigned i = 1; node->crew && i <= crew_cnt(node->crew); i++) {
		const struct worker_figures *figures = crew_figures(node->crew, i);
		const struct packet_counters *more =
			node->home.fast_tx ? &figures->fast_tx : &figures->tx;

		sum.dgram_cnt += more->dgram_cnt;
		sum.byte_cnt += more->byte_cnt;
		sum.call_cnt += more->call_cnt;
		sum.dropped_cnt += more->dropped_cnt;
	}
	return method_json_side(tx->backend, tx->reason, &sum);
}

json_t *method_json_devices(const struct node *node)
{
	json_t *devices = json_array();

	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++)
		if (xdp_device_info(node->fastpath.xdp, i))
			json_array_append_new(devices, device_json(node, i));
	return devices;
}

void method_show_xdp(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	struct node *node = ctx;
	const struct fastpath *fastpath = &node->fastpath;
	const char *privilege = privilege_is_held() ? "held" : "missing";

	(void)parameters, (void)now_ns;
	control_reply(call, json_pack("{s:o, s:s, s:b, s:o, s:o, s:s, s:s}", "devices",
				      method_json_devices(node), "mode",
				      pressure_mode_name(fastpath->pressure.mode), "forced",
				      fastpath->pressure.is_forced, "stranger_rate",
				      method_json_uint(fastpath->pressure.stranger_rate), "send",
				      send_json(node), "privilege",
				      fastpath->is_privilege_dropped ? "dropped" : privilege,
				      "last_error", fastpath->last_error));
}

void method_set_xdp_mode(void *ctx, struct control_call *call, const json_t *parameters,
			 uint64_t now_ns)
{
	static const char *const words[] = {"normal", "pressured", "flood", NULL};
	struct node *node = ctx;

	(void)now_ns;
	fastpath_force(&node->fastpath, word_of(parameters, "mode", words, WEFT_MODE_CNT));
	control_reply(call,
		      json_pack("{s:s}", "mode", pressure_mode_name(node->fastpath.pressure.mode)));
}

static const char *verdict_name(enum weft_reason reason)
{
	switch (weft_verdict(reason)) {
	case WEFT_PASS:
		return "pass";
	case WEFT_DROP:
		return "drop";
	case WEFT_DELIVER:
		return "deliver";
	case WEFT_ANSWER_VERSION:
	case WEFT_ANSWER_RETRY:
	case WEFT_ANSWER_KRPC:
		break;
	}
	return "answer";
}

void method_list_xdp_counters(void *ctx, struct control_call *call, const json_t *parameters,
			      uint64_t now_ns)
{
	struct node *node = ctx;
	struct weft_counter counters[WEFT_REASON_CNT];
	json_t *list = json_array();

	(void)parameters, (void)now_ns;
	fastpath_counters(&node->fastpath, counters);
	for (unsigned i = 0; i < WEFT_REASON_CNT; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o, s:o}", "reason", weft_reason_word(i),
					"verdict", verdict_name(i), "text", weft_reason_text(i),
					"packets", method_json_uint(counters[i].packet_cnt),
					"bytes", method_json_uint(counters[i].byte_cnt)));
	control_reply(call, json_pack("{s:o}", "counters", list));
}
