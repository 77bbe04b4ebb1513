/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PlanXdp, AttachXdp, KeepXdp, DetachXdp, ShowXdp, SetXdpMode,
 * ListXdpCounters.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/process/privilege.h"
#include "net/packet_io.h"
#include "api/methods.h"
#include "weft/reason.h"

/* The traffic that an attached program lets pass, whatever the device. */
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

/* choice is looked at when it was given. Off by configuration stays off, whatever is asked for. */
static enum xdp_mode mode_of(const struct api *api, bool has_choice, enum api_xdp_choice choice)
{
	static const enum xdp_mode modes[] = {
		[API_XDP_CHOICE_AUTO] = XDP_AUTO,
		[API_XDP_CHOICE_NATIVE] = XDP_NATIVE,
		[API_XDP_CHOICE_GENERIC] = XDP_GENERIC,
	};
	enum xdp_mode configured = api->config->fastpath.xdp.mode;

	return configured == XDP_OFF || !has_choice ? configured : modes[choice];
}

static enum api_xdp_mode mode_row(enum xdp_mode mode)
{
	return mode == XDP_NATIVE ? API_XDP_MODE_NATIVE : API_XDP_MODE_GENERIC;
}

_Static_assert((int)API_MODE_NORMAL == (int)WEFT_MODE_NORMAL &&
		       (int)API_MODE_PRESSURED == (int)WEFT_MODE_PRESSURED &&
		       (int)API_MODE_FLOOD == (int)WEFT_MODE_FLOOD,
	       "a mode has one number in both");

static struct api_xdp_plan plan_row(const struct xdp_plan *plan)
{
	return (struct api_xdp_plan){
		.device = plan->name,
		.kind = plan->kind,
		.driver = plan->driver,
		.possible = plan->is_possible,
		.why = plan->why,
		.mode = mode_row(plan->mode),
		.certain = plan->is_mode_certain,
		.zero_copy = plan->may_zero_copy,
		.mtu = plan->mtu,
		.queues = plan->queue_cnt,
		.queues_served = plan->served_cnt,
		.frame_bytes = plan->frame_len,
		.frames_bytes = api_uint(plan->frames_len),
		.tables_bytes = api_uint(plan->tables_len),
		.foreign_program = plan->foreign_id,
		.foreign_name = plan->foreign_name,
	};
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

/* The program attached there is this node's own. */
static void plan_note_attached(const struct api *api, struct xdp_plan *plan)
{
	const struct xdp_device_info *info;
	int device = worker_fastpath_lookup(api->fastpath, plan->name);

	if (device < 0)
		return;
	info = net_xdp_device_info(api->fastpath->xdp, (unsigned)device);
	plan->is_possible = false;
	plan->foreign_id = 0;
	plan->foreign_name[0] = '\0';
	snprintf(plan->why, sizeof(plan->why),
		 "attached already, by this daemon: program %u, %s mode; weft xdp detach %s takes "
		 "it off",
		 info->prog_id, mode_name(info->mode), plan->name);
}

void api_plan_xdp(struct api *api, struct control_call *call, const struct api_plan_xdp_in *in,
		  uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct xdp_config config = api->config->fastpath.xdp;
	struct api_plan_xdp_out out;
	struct xdp_plan plan;
	int err;

	(void)now_ns;
	config.mode = mode_of(api, in->has_mode, in->mode);
	err = net_xdp_plan(&config, in->device, &plan);
	if (err < 0) {
		fail_device(call, err, in->device, weft_err_text(err));
		return;
	}
	plan_note_attached(api, &plan);
	out.plan = plan_row(&plan);
	out.plan.attached = worker_fastpath_lookup(api->fastpath, in->device) >= 0;
	for (size_t i = 0; i < sizeof(untouched) / sizeof(untouched[0]); i++)
		varlink_push(blocks, &out.plan.untouched, untouched[i]);
	for (unsigned i = 0; i < plan.warning_cnt; i++)
		varlink_push(blocks, &out.plan.warnings, plan.warnings[i]);
	control_reply(call, api_plan_xdp_out_write(&out));
}

/* A worker says so some times a second: of one just given, nothing yet. */
static struct api_xdp_queue queue_row(const struct api *api, const struct worker_figures *home,
				      const struct xdp_queue *queue, struct queue_figures *sum)
{
	unsigned worker = worker_fastpath_queue_worker(api->fastpath, queue->idx);
	const struct queue_figures *figures = worker_figures_queue(
		worker ? workers_figures(api->workers, worker) : home, queue->device, queue->idx);
	struct packet_counters counters = {0};

	if (figures) {
		counters = figures->counters;
		sum->sent_cnt += figures->sent_cnt;
	}
	for (unsigned i = 0; figures && i < XDP_FRAME_OWNER_CNT; i++)
		sum->frames[i] += figures->frames[i];
	return (struct api_xdp_queue){
		.queue = queue->idx,
		.worker = worker,
		.backend = queue->rx->backend,
		.reason = queue->rx->reason,
		.datagrams = api_uint(counters.dgram_cnt),
		.bytes = api_uint(counters.byte_cnt),
		.system_calls = api_uint(counters.call_cnt),
		.dropped = api_uint(counters.dropped_cnt + queue->lost_cnt),
	};
}

static struct api_xdp_device device_row(struct varlink_blocks *blocks, const struct api *api,
					unsigned device)
{
	static const char *const owners[XDP_FRAME_OWNER_CNT] = {"free", "filling", "lent",
								"writing", "sending"};
	const struct fastpath *fastpath = api->fastpath;
	const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, device);
	uint64_t at_ns = fastpath->devices[device].confirm_at_ns, now_ns = clock_monotonic_ns();
	struct api_xdp_device row = {
		.device = info->name,
		.mode = mode_row(info->mode),
		.mode_reason = info->mode_reason,
		.program = info->prog_id,
		.mtu = info->mtu,
		.frame_bytes = info->frame_len,
		.queues = info->queue_cnt,
		.zero_copy = info->is_zero_copy,
		.huge_pages = info->is_huge,
		.running = info->is_running,
		.lost = api_uint(info->rx_lost_cnt),
	};
	struct queue_figures sum = {0};
	const struct xdp_queue *queue;
	struct worker_figures home;

	worker_figures_read(api->home, &home);
	for (unsigned i = 0; (queue = net_xdp_queue_of(fastpath->xdp, device, i)); i++)
		varlink_push(blocks, &row.receive, queue_row(api, &home, queue, &sum));
	row.sent = api_uint(sum.sent_cnt);
	for (unsigned i = 0; i < XDP_FRAME_OWNER_CNT; i++)
		varlink_push(blocks, &row.frames, {owners[i], api_uint(sum.frames[i])});
	for (unsigned i = 0; i < XDP_FAULT_CNT; i++)
		varlink_push(blocks, &row.faults,
			     {net_xdp_fault_name(i), api_uint(info->fault_cnt[i])});
	if (at_ns)
		API_SET(&row, confirm_ms,
			api_uint(at_ns > now_ns ? (at_ns - now_ns) / NS_PER_MS : 0));
	return row;
}

static const char changing[] = "a device is being attached or detached; try again";

/* AttachXdp and KeepXdp answer alike. */
static void device_reply(const struct api *api, struct control_call *call, unsigned device)
{
	const struct api_attach_xdp_out out = {
		.device = device_row(control_blocks(call), api, device)};

	control_reply(call, api_attach_xdp_out_write(&out));
}

struct attach_call {
	struct api *api;
	struct control_call *call;
	char name[XDP_NAME_CAP];
};

static void attach_done(void *ctx, int device, const char *why)
{
	struct attach_call *attach = ctx;

	if (device < 0)
		fail_device(attach->call, device, attach->name, why);
	else
		device_reply(attach->api, attach->call, (unsigned)device);
	free(attach);
}

/* The device is attached all the same. */
static void attach_caller_left(void *arg)
{
	struct attach_call *attach = arg;

	worker_fastpath_attach_forget(attach->api->fastpath, attach);
	free(attach);
}

void api_attach_xdp(struct api *api, struct control_call *call, const struct api_attach_xdp_in *in,
		    uint64_t now_ns)
{
	static const enum xdp_send sends[] = {
		[API_ATTACH_XDP_IN_SEND_AUTO] = XDP_SEND_AUTO,
		[API_ATTACH_XDP_IN_SEND_UDP] = XDP_SEND_UDP,
		[API_ATTACH_XDP_IN_SEND_AF_XDP] = XDP_SEND_AF_XDP,
	};
	const char *name = in->device;
	struct attach_call *caller = calloc(1, sizeof(*caller));
	struct fastpath_attach attach = {
		.name = name,
		.mode = mode_of(api, in->has_mode, in->mode),
		.send = in->has_send ? sends[in->send] : api->config->fastpath.xdp.send,
		.confirm_ns = (uint64_t)in->confirm_ms * NS_PER_MS,
		.done = attach_done,
		.ctx = caller,
	};
	int err = -ENOMEM;

	(void)now_ns;
	if (caller) {
		caller->api = api;
		caller->call = call;
		snprintf(caller->name, sizeof(caller->name), "%s", name);
		err = worker_fastpath_attach(api->fastpath, &attach);
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

void api_keep_xdp(struct api *api, struct control_call *call, const struct api_keep_xdp_in *in,
		  uint64_t now_ns)
{
	int err = worker_fastpath_keep(api->fastpath, in->device);

	(void)now_ns;
	if (err < 0)
		fail_device(call, err, in->device, "not attached");
	else
		device_reply(api, call,
			     (unsigned)worker_fastpath_lookup(api->fastpath, in->device));
}

struct detach_call {
	struct api *api;
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

	worker_fastpath_detach_forget(detach->api->fastpath, detach);
	free(detach);
}

void api_detach_xdp(struct api *api, struct control_call *call, const struct api_detach_xdp_in *in,
		    uint64_t now_ns)
{
	const char *name = in->device;
	struct detach_call *caller = calloc(1, sizeof(*caller));
	int err = -ENOMEM;

	(void)now_ns;
	if (caller) {
		*caller = (struct detach_call){api, call};
		err = worker_fastpath_detach(api->fastpath, name, detach_done, caller);
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

static struct api_packet_side send_row(const struct api *api)
{
	const struct packet_tx *tx = api->home->fast_tx ? api->home->fast_tx : api->home->tx;
	struct packet_counters sum = tx->counters;

	for (unsigned i = 1; api->workers && i <= workers_cnt(api->workers); i++) {
		const struct worker_figures *figures = workers_figures(api->workers, i);
		const struct packet_counters *more =
			api->home->fast_tx ? &figures->fast_tx : &figures->tx;

		sum.dgram_cnt += more->dgram_cnt;
		sum.byte_cnt += more->byte_cnt;
		sum.call_cnt += more->call_cnt;
		sum.dropped_cnt += more->dropped_cnt;
	}
	return api_side(tx->backend, tx->reason, &sum);
}

void api_devices(struct varlink_blocks *blocks, const struct api *api,
		 struct api_xdp_device_list *out_devices)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		struct api_xdp_device row;

		if (!net_xdp_device_info(api->fastpath->xdp, i))
			continue;
		row = device_row(blocks, api, i);
		varlink_push(blocks, out_devices, row);
	}
}

static enum api_show_xdp_out_privilege privilege_of(const struct fastpath *fastpath)
{
	if (fastpath->is_privilege_dropped)
		return API_SHOW_XDP_OUT_PRIVILEGE_DROPPED;
	return privilege_is_held() ? API_SHOW_XDP_OUT_PRIVILEGE_HELD
				   : API_SHOW_XDP_OUT_PRIVILEGE_MISSING;
}

void api_show_xdp(struct api *api, struct control_call *call, const struct api_show_xdp_in *in,
		  uint64_t now_ns)
{
	const struct fastpath *fastpath = api->fastpath;
	struct api_show_xdp_out out = {
		.mode = (enum api_mode)fastpath->pressure.mode,
		.forced = fastpath->pressure.is_forced,
		.unvalidated_rate = api_uint(fastpath->pressure.unvalidated_rate),
		.send = send_row(api),
		.privilege = privilege_of(fastpath),
		.last_error = fastpath->last_error,
	};

	(void)in, (void)now_ns;
	api_devices(control_blocks(call), api, &out.devices);
	control_reply(call, api_show_xdp_out_write(&out));
}

void api_set_xdp_mode(struct api *api, struct control_call *call,
		      const struct api_set_xdp_mode_in *in, uint64_t now_ns)
{
	static const enum weft_mode modes[] = {
		[API_SET_XDP_MODE_IN_MODE_AUTO] = WEFT_MODE_CNT,
		[API_SET_XDP_MODE_IN_MODE_NORMAL] = WEFT_MODE_NORMAL,
		[API_SET_XDP_MODE_IN_MODE_PRESSURED] = WEFT_MODE_PRESSURED,
		[API_SET_XDP_MODE_IN_MODE_FLOOD] = WEFT_MODE_FLOOD,
	};
	struct api_set_xdp_mode_out out;

	(void)now_ns;
	worker_fastpath_force(api->fastpath, modes[in->mode]);
	out.mode = (enum api_mode)api->fastpath->pressure.mode;
	control_reply(call, api_set_xdp_mode_out_write(&out));
}

static enum api_xdp_counter_verdict verdict_of(enum weft_reason reason)
{
	switch (weft_verdict(reason)) {
	case WEFT_PASS:
		return API_XDP_COUNTER_VERDICT_PASS;
	case WEFT_DROP:
		return API_XDP_COUNTER_VERDICT_DROP;
	case WEFT_DELIVER:
		return API_XDP_COUNTER_VERDICT_DELIVER;
	case WEFT_ANSWER_VERSION:
	case WEFT_ANSWER_RETRY:
	case WEFT_ANSWER_KRPC:
	case WEFT_ANSWER_STUN:
	case WEFT_ANSWER_RELAY:
	case WEFT_FORWARD:
		break;
	}
	return API_XDP_COUNTER_VERDICT_ANSWER;
}

void api_list_xdp_counters(struct api *api, struct control_call *call,
			   const struct api_list_xdp_counters_in *in, uint64_t now_ns)
{
	struct weft_counter counters[WEFT_REASON_CNT];
	struct api_xdp_counter rows[WEFT_REASON_CNT];
	const struct api_list_xdp_counters_out out = {.counters = API_ROWS(rows)};

	(void)in, (void)now_ns;
	worker_fastpath_counters(api->fastpath, counters);
	for (enum weft_reason i = 0; i < WEFT_REASON_CNT; i++)
		rows[i] = (struct api_xdp_counter){
			.reason = weft_reason_word(i),
			.verdict = verdict_of(i),
			.text = weft_reason_text(i),
			.packets = api_uint(counters[i].packet_cnt),
			.bytes = api_uint(counters[i].byte_cnt),
		};
	control_reply(call, api_list_xdp_counters_out_write(&out));
}
