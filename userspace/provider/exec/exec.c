/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process for each call: payload in, reply out, exit code. A process
 * whose call is gone is killed, and its place is free when the launcher says
 * that nothing of it is left.
 */
#include "exec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "exec_launch.h"
#include "launcher.h"
#include "process_place.h"
#include "provider/waiting.h"

#define OUTPUT_LEN_MIN 4096
#define READ_STEPS_MAX 16 /* reads of one event, so that others get their turn */
#define ERR_READ_LEN   1024
#define REAP_NS	       (5 * NS_PER_S) /* for the end of a killed process */

struct process {
	struct active active;
	struct fair_item place;
	struct service_call *call;	  /* NULL: it is answered, and the process is killed */
	bool is_kill_due;		  /* the launcher did not take it yet */
	struct poller_watch in, out, err; /* fd -1: closed */
	uint8_t *input;
	size_t input_len, input_sent_len;
	uint8_t *output;
	size_t output_len, output_cap;
	char line[PROVIDER_STDERR_LEN_MAX + 1]; /* of its standard error */
	size_t line_len;
};

size_t provider_exec_process_len(void)
{
	return sizeof(struct process);
}

static struct offer *offer_of(const struct process *process)
{
	return process->active.offer;
}

static struct heap *heap_of(const struct process *process)
{
	return offer_of(process)->provider->heap;
}

static void watch_close(struct process *process, struct poller_watch *watch)
{
	if (watch->fd < 0)
		return;
	poller_remove(offer_of(process)->provider->poller, watch);
	close(watch->fd);
	watch->fd = -1;
}

static void process_free(struct process *process)
{
	struct provider *provider = offer_of(process)->provider;

	watch_close(process, &process->in);
	watch_close(process, &process->out);
	watch_close(process, &process->err);
	heap_release(provider->heap, process->input);
	heap_release(provider->heap, process->output);
	provider_process_place_release(provider, &process->place);
	provider_offer_leave(&process->active);
	pool_release(&provider->processes, process);
}

static void process_answer(struct process *process, enum service_status status, const char *text,
			   uint64_t now_ns)
{
	struct service_call *call = process->call;
	bool is_ok = status == SERVICE_OK;

	process->call = NULL;
	if (call)
		service_reply(call,
			      &(struct service_outcome){.status = status,
							.text = text,
							.payload = is_ok ? process->output : NULL,
							.len = is_ok ? process->output_len : 0},
			      now_ns);
}

static void process_kill(struct process *process)
{
	struct provider *provider = offer_of(process)->provider;

	process->is_kill_due = !provider_launcher_kill(
		provider->launcher, pool_handle_of(&provider->processes, process));
}

/* process_cut answers before the program has ended, and ends it. */
static void process_cut(struct process *process, enum service_status status, const char *text,
			uint64_t now_ns)
{
	process_answer(process, status, text, now_ns);
	process_kill(process);
}

static void process_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	struct process *process = container_of(active, struct process, active);

	process_cut(process, SERVICE_UNAVAILABLE, why, now_ns);
}

static const struct active_kind process_kind = {.abandon = process_abandon};

static void in_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct process *process = container_of(watch, struct process, in);
	ssize_t n;

	(void)events, (void)now_ns;
	while (process->input_sent_len < process->input_len) {
		n = write(watch->fd, process->input + process->input_sent_len,
			  process->input_len - process->input_sent_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break; /* it reads no more; that is its affair */
		process->input_sent_len += (size_t)n;
	}
	watch_close(process, watch);
	heap_release(heap_of(process), process->input);
	process->input = NULL;
}

/* One byte more than the reply may have shows that it is too long. */
static bool output_reserve(struct process *process)
{
	size_t cap_max = provider_offer_payload_len_max(offer_of(process)) + 1;
	size_t cap = process->output_cap ? 2 * process->output_cap : OUTPUT_LEN_MIN;
	uint8_t *output;

	if (process->output_len < process->output_cap)
		return true;
	if (cap > cap_max)
		cap = cap_max;
	output = heap_resize(heap_of(process), process->output, cap);
	if (!output)
		return false;
	process->output = output;
	process->output_cap = cap;
	return true;
}

/* output_read: true while there may be more. */
static bool output_read(struct process *process, uint64_t now_ns)
{
	ssize_t n;

	if (!output_reserve(process)) {
		process_cut(process, SERVICE_UNAVAILABLE, "too many bodies are under way", now_ns);
		return false;
	}
	n = read(process->out.fd, process->output + process->output_len,
		 process->output_cap - process->output_len);
	if (n < 0)
		return errno == EINTR;
	if (n == 0) {
		watch_close(process, &process->out);
		return false;
	}
	process->output_len += (size_t)n;
	if (process->output_len <= provider_offer_payload_len_max(offer_of(process)))
		return true;
	provider_offer_failed(offer_of(process), "its reply is longer than it may be", now_ns);
	process_cut(process, SERVICE_PAYLOAD_TOO_LARGE,
		    "the reply is longer than the service may send", now_ns);
	return false;
}

static void out_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct process *process = container_of(watch, struct process, out);
	unsigned steps = 0;

	(void)events;
	if (!process->call) {
		watch_close(process, watch);
		return;
	}
	while (steps++ < READ_STEPS_MAX && output_read(process, now_ns))
		;
}

static void line_end(struct process *process, uint64_t now_ns)
{
	if (process->line_len == 0)
		return;
	process->line[process->line_len] = '\0';
	process->line_len = 0;
	provider_offer_said(offer_of(process), process->line, now_ns);
}

static void err_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct process *process = container_of(watch, struct process, err);
	char said[ERR_READ_LEN];
	ssize_t n = read(watch->fd, said, sizeof(said));

	(void)events;
	for (ssize_t i = 0; i < n; i++) {
		if (said[i] == '\n' || process->line_len == PROVIDER_STDERR_LEN_MAX)
			line_end(process, now_ns);
		if (said[i] != '\n')
			process->line[process->line_len++] =
				said[i] >= 0x20 && said[i] < 0x7f ? said[i] : '?';
	}
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	line_end(process, now_ns);
	watch_close(process, watch);
}

static void process_judge(struct process *process, int code, uint64_t now_ns)
{
	static const struct {
		int code;
		enum service_status status;
		const char *text;
	} rows[] = {
		{EX_OK, SERVICE_OK, ""},
		{EX_USAGE, SERVICE_METHOD_NOT_FOUND, "the service has no such method"},
		{EX_DATAERR, SERVICE_INVALID_PAYLOAD, "the service cannot use this payload"},
		{EX_NOINPUT, SERVICE_NOT_FOUND, "the service has nothing of that name"},
		{EX_UNAVAILABLE, SERVICE_UNAVAILABLE, "the service cannot answer now"},
		{EX_TEMPFAIL, SERVICE_RATE_LIMITED, "the service is busy: try again"},
		{EX_NOPERM, SERVICE_FORBIDDEN, "the service does not allow this to the caller"},
	};
	char fault[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code) {
			process_answer(process, rows[i].status, rows[i].text, now_ns);
			return;
		}
	if (process->call) {
		snprintf(fault, sizeof(fault),
			 code < 256 ? "it ended with exit code %d" : "it was killed by signal %d",
			 code < 256 ? code : code - 256);
		provider_offer_failed(offer_of(process), fault, now_ns);
	}
	process_answer(process, SERVICE_UNKNOWN_ERROR, "", now_ns);
}

/* process_over: the program and all its processes are gone; its remaining output is still read. */
static void process_over(struct process *process, uint32_t code, uint64_t now_ns)
{
	while (process->call && process->out.fd >= 0 && output_read(process, now_ns))
		;
	if (process->err.fd >= 0)
		err_ready(&process->err, POLLER_IN, now_ns);
	line_end(process, now_ns);
	process_judge(process, (int)code, now_ns);
	process_free(process);
}

static void process_fail(struct process *process, const char *fault, uint64_t now_ns)
{
	struct offer *offer = offer_of(process);

	provider_offer_failed(offer, fault, now_ns);
	provider_health_suspect(offer, now_ns);
	process_answer(process, SERVICE_UNAVAILABLE,
		       "the program behind this service cannot be run", now_ns);
	process_free(process);
}

static void launch_ended(void *ctx, const struct launch_end *end, uint64_t now_ns)
{
	struct provider *provider = ctx;
	struct process *process;

	if (end->id & EXEC_CHECK_ID) {
		struct offer *offer = pool_lookup(&provider->offers, end->id & ~EXEC_CHECK_ID);

		if (offer && !offer->is_gone)
			provider_health_checked(
				offer, end->err ? provider_exec_launch_fault(end) : NULL, now_ns);
		return;
	}
	process = pool_lookup(&provider->processes, end->id);
	if (process && end->err)
		process_fail(process, provider_exec_launch_fault(end), now_ns);
	else if (process)
		process_over(process, end->code, now_ns);
}

static void launch_writable(void *ctx, uint64_t now_ns)
{
	struct provider *provider = ctx;
	struct process *process = NULL;

	(void)now_ns;
	while ((process = pool_next(&provider->processes, process)))
		if (process->is_kill_due)
			process_kill(process);
}

static void launch_died(void *ctx, uint64_t now_ns)
{
	struct provider *provider = ctx;
	struct process *process = NULL;
	struct list_node *node = provider->offer_list.next, *next;

	while ((process = pool_next(&provider->processes, process)))
		process_fail(process, provider_exec_error_fault(WEFT_ECLOSED), now_ns);
	for (; node != &provider->offer_list; node = next) {
		struct offer *offer = container_of(node, struct offer, link);

		next = node->next;
		if (offer->spec.view.kind == PROVIDER_EXEC)
			provider_health_checked(offer, provider_exec_error_fault(WEFT_ECLOSED),
						now_ns);
	}
}

const struct launcher_events provider_exec_launcher_events = {
	.ended = launch_ended,
	.writable = launch_writable,
	.died = launch_died,
};

void provider_exec_reap_all(struct provider *provider)
{
	uint64_t end_ns = clock_monotonic_ns() + REAP_NS;
	struct process *process = NULL;

	while ((process = pool_next(&provider->processes, process)))
		process_kill(process);
	while (provider->processes.used_cnt && provider_launcher_wait(provider->launcher, end_ns))
		;
	while ((process = pool_next(&provider->processes, process)))
		process_free(process);
}

static int watch_open(struct process *process, struct poller_watch *watch, int *fd, unsigned events,
		      void (*ready)(struct poller_watch *, unsigned, uint64_t))
{
	int err;

	*watch = (struct poller_watch){.ready = ready, .fd = *fd};
	err = poller_add(offer_of(process)->provider->poller, watch, events);
	if (err < 0) {
		close(*fd);
		watch->fd = -1;
	}
	return err;
}

static int watches_open(struct process *process, int files[static LAUNCH_FD_CNT])
{
	int errs[] = {
		watch_open(process, &process->in, &files[EXEC_IN], POLLER_OUT, in_ready),
		watch_open(process, &process->out, &files[EXEC_OUT], POLLER_IN, out_ready),
		watch_open(process, &process->err, &files[EXEC_ERR], POLLER_IN, err_ready),
	};

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++)
		if (errs[i] < 0)
			return errs[i];
	return 0;
}

static struct process *process_new(struct offer *offer, const struct waiting_call *call,
				   uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct process *process = pool_acquire(&provider->processes);

	if (!process)
		goto refuse;
	if (!provider_process_place_take(provider, call->input->caller, &process->place, now_ns))
		goto release_process;
	process->in.fd = process->out.fd = process->err.fd = -1;
	process->input_len = call->input->len;
	process->input = heap_alloc(provider->heap, call->input->len);
	if (!process->input)
		goto release_place;
	if (call->input->len)
		memcpy(process->input, call->input->data, call->input->len);
	if (provider_offer_enter(offer, &process->active, &process_kind, call->input->caller,
				 now_ns))
		return process;
	heap_release(provider->heap, process->input);
	provider_process_place_release(provider, &process->place);
	pool_release(&provider->processes, process);
	return NULL;
release_place:
	provider_process_place_release(provider, &process->place);
release_process:
	pool_release(&provider->processes, process);
refuse:
	provider->stats.refused_cnt++;
	return NULL;
}

/* The program may be a shell: method has no character that means something to it. */
static bool method_is_plain(const char *method)
{
	for (; *method; method++)
		if (!(*method >= '0' && *method <= '9') && !(*method >= 'A' && *method <= 'Z') &&
		    !(*method >= 'a' && *method <= 'z') && !strchr("._-", *method))
			return false;
	return true;
}

static void exec_call(void *ctx, struct service_call *call, const struct service_input *input,
		      uint64_t now_ns)
{
	const struct waiting_call waiting = {call, input};
	struct offer *offer = ctx;
	struct exec_call launch = {.caller = input->caller, .method = input->method};
	int files[LAUNCH_FD_CNT], err;
	struct process *process;

	if (!method_is_plain(input->method)) {
		service_fail(call, SERVICE_METHOD_NOT_FOUND, "the service has no such method",
			     now_ns);
		return;
	}
	if (provider_waiting_takes(offer, &waiting, now_ns))
		return;
	process = process_new(offer, &waiting, now_ns);
	if (!process) {
		provider_waiting_refuse(offer, call, now_ns);
		return;
	}
	offer->call_cnt++;
	offer->provider->stats.call_cnt++;
	process->call = call;
	launch.id = pool_handle_of(&offer->provider->processes, process);
	err = provider_exec_launch(offer, &launch, now_ns, files);
	if (err < 0)
		process_fail(process, provider_exec_error_fault(err), now_ns);
	else if (watches_open(process, files) < 0)
		process_cut(process, SERVICE_UNAVAILABLE, "the service cannot answer now", now_ns);
}

static void exec_cancelled(void *ctx, struct service_call *call)
{
	struct offer *offer = ctx;
	struct list_node *node = offer->actives.next;

	if (provider_waiting_cancel(offer, call))
		return;
	for (; node != &offer->actives; node = node->next) {
		struct process *process = container_of(node, struct process, active.link);

		if (process->call != call)
			continue;
		process->call = NULL;
		process_kill(process);
		return;
	}
}

static void exec_stream(void *ctx, struct service_channel *channel,
			const struct service_input *input, uint64_t now_ns)
{
	(void)ctx, (void)input, (void)now_ns;
	service_channel_end(channel, SERVICE_METHOD_NOT_FOUND,
			    "this service takes calls, no streams and no HTTP");
}

const struct service_handler provider_exec_handler = {
	.call = exec_call,
	.cancelled = exec_cancelled,
	.stream = exec_stream,
};
