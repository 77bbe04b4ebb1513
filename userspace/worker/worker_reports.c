/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's reports to home. A function whose name ends in "heard" runs on home's thread. The
 * function below it posts it, and runs on the worker's thread. A full mailbox loses reports:
 * figures come again, paths come again, the rest is counted. Reports that peers cause have
 * credit by peer and by network (report_credit.h), so that none of them fills it.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/fair/load.h"
#include "mesh/mesh.h"
#include "tcp/tcp.h"
#include "firewall/ingress.h"
#include "worker_handle.h"

#define REPORT_NS (200 * NS_PER_MS)
/* Sessions and unvalidated sources are reported in the middle of a second, as firewall/policy_record.c counts them. */
#define SECOND_OFF_NS (NS_PER_S / 2)
/* Sessions whose figures go in one report. */
#define SESSIONS_MAX 32

static const struct workers_params *home_of(const void *object)
{
	const struct worker_handle *from = object;

	return &from->workers->params;
}

static void report_own(struct worker_handle *handle, mailbox_fn heard, const void *bytes,
		       size_t len)
{
	const struct mailbox_message report = {.run = heard, .bytes = bytes, .len = len};

	(void)worker_report_post(&handle->credit, &report, WORKER_REPORT_OWN);
}

/* A report that the peer of key at addr caused, and may cause again. */
static void report_of_peer(struct worker_handle *handle, const struct mailbox_message *report,
			   const uint8_t *key, const struct addr *addr)
{
	(void)worker_report_post(&handle->credit, report,
				 worker_report_account_of_peer(&handle->credit, key, addr));
}

/* One that unvalidated sources cause, or sessions together. */
static void report_of_function(struct worker_handle *handle, const struct mailbox_message *report)
{
	(void)worker_report_post(&handle->credit, report,
				 worker_report_account_of_function(report->run));
}

struct session_report {
	struct mesh_peer_info peer;
	bool is_up;
};

static void session_heard(void *object, const void *bytes, size_t len)
{
	const struct worker_handle *from = object;
	const struct session_report *report = bytes;

	(void)len;
	workers_note_session(from->workers, from->params.idx, &report->peer, report->is_up);
}

static void on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	const struct session_report report = {*peer, is_up};

	report_own(ctx, session_heard, &report, sizeof(report));
}

static void failure_heard(void *object, const void *bytes, size_t len)
{
	(void)len;
	home_of(object)->on_failure(home_of(object)->ctx, bytes);
}

static void on_failure(void *ctx, const struct mesh_failure *failure)
{
	const struct mailbox_message report = {
		.run = failure_heard, .bytes = failure, .len = sizeof(*failure)};

	report_of_peer(ctx, &report, failure->key, &failure->remote);
}

static void paths_heard(void *object, const void *bytes, size_t len)
{
	const struct addr *remotes = bytes;

	for (size_t i = 0; i < len / sizeof(*remotes); i++)
		home_of(object)->on_path(home_of(object)->ctx, &remotes[i]);
}

static void report_paths(struct worker_handle *handle)
{
	const struct mailbox_message report = {.run = paths_heard,
					       .bytes = handle->paths,
					       .len = handle->path_cnt * sizeof(handle->paths[0])};

	report_of_function(handle, &report);
	handle->path_cnt = 0;
}

static void on_path(void *ctx, const struct addr *remote)
{
	struct worker_handle *handle = ctx;

	handle->paths[handle->path_cnt++] = *remote;
	if (handle->path_cnt == WORKER_REPORT_PATHS_MAX)
		report_paths(handle);
}

void worker_report_content(void *ctx, const struct mailbox_message *report,
			   const struct load_who *cause)
{
	struct worker_handle *handle = ctx;
	struct mailbox_message to_content = *report;

	to_content.to = WORKER_MAIL_CONTENT;
	if (!cause)
		(void)worker_report_post(&handle->credit, &to_content, WORKER_REPORT_OWN);
	else if (cause->addr)
		report_of_peer(handle, &to_content, cause->key, cause->addr);
	else
		report_of_function(handle, &to_content);
}

/* The bytes are a struct tcp_passed, and behind it what is unread. */
static struct tcp_passed passed_of(const void *bytes)
{
	struct tcp_passed passed;

	memcpy(&passed, bytes, sizeof(passed));
	passed.unread = (const uint8_t *)bytes + sizeof(passed);
	return passed;
}

static void passed_heard(void *object, const void *bytes, size_t len)
{
	const struct tcp_passed passed = passed_of(bytes);

	(void)len;
	home_of(object)->on_passed(home_of(object)->ctx, &passed);
}

static void passed_drop(const void *bytes)
{
	const struct tcp_passed passed = passed_of(bytes);

	tcp_passed_drop(&passed);
}

static void on_passed(void *ctx, const struct tcp_passed *passed)
{
	static const uint8_t no_key[MESH_KEY_LEN];
	const struct mailbox_message report = {
		.run = passed_heard,
		.drop = passed_drop,
		.bytes = passed,
		.len = sizeof(*passed),
		.tail = passed->unread,
		.tail_len = passed->unread_len,
	};

	report_of_peer(ctx, &report, no_key, &passed->remote);
}

static void sample_heard(void *object, const void *bytes, size_t len)
{
	(void)len;
	home_of(object)->on_sample(home_of(object)->ctx, bytes);
}

static void on_sample(void *ctx, const struct weft_sample *sample)
{
	const struct mailbox_message report = {
		.run = sample_heard, .bytes = sample, .len = sizeof(*sample)};

	report_of_function(ctx, &report);
}

static void figures_heard(void *object, const void *bytes, size_t len)
{
	struct worker_handle *from = object;
	struct stream_relay_stats *streams = &from->figures.worker_streams;

	memcpy(&from->figures, bytes, len);
	streams->frame_cnt = from->inlet.own_frame_cnt + from->inlet.frame_slots.held_cnt;
	streams->frame_cap = from->inlet.streams.cap_cnt + from->inlet.frame_cap;
	streams->frame_refused_cnt = from->inlet.frame_refused_cnt;
}

void worker_report_figures(struct worker_handle *handle)
{
	struct worker_figures figures;

	handle->worker.content_ops->report(handle->worker.content, handle->worker.now_ns);
	worker_figures_read(&handle->worker, &figures);
	figures.report_lost_cnt = handle->reports.lost_cnt;
	figures.report_refused_cnt = handle->credit.refused_cnt;
	figures.worker_streams = handle->relay.stats;
	report_own(handle, figures_heard, &figures, sizeof(figures));
	handle->reported_turn_cnt = handle->worker.turn_cnt;
}

static void arrivals_heard(void *object, const void *bytes, size_t len)
{
	const struct worker_handle *from = object;
	struct arrivals_changes changes = *(const struct arrivals_changes *)bytes;

	(void)len;
	changes.changes = (const void *)((const uint8_t *)bytes + sizeof(changes));
	home_of(object)->on_arrivals(home_of(object)->ctx, from->params.idx, &changes);
}

static void on_arrivals(void *ctx, const struct arrivals_changes *changes)
{
	struct worker_handle *handle = ctx;
	const struct mailbox_message report = {
		.run = arrivals_heard,
		.bytes = changes,
		.len = sizeof(*changes),
		.tail = changes->changes,
		.tail_len = changes->cnt * sizeof(changes->changes[0]),
	};

	(void)worker_report_post(&handle->credit, &report, WORKER_REPORT_OWN);
}

static void sessions_heard(void *object, const void *bytes, size_t len)
{
	const struct worker_handle *from = object;
	const struct mesh_peer_info *peers = bytes;

	for (size_t i = 0; i < len / sizeof(*peers); i++) {
		struct workers_session *session =
			map_lookup(&from->workers->sessions_by_key, peers[i].key);

		if (session && session->worker_idx == from->params.idx)
			session->peer = peers[i];
	}
}

struct sessions_report {
	struct worker_handle *handle;
	unsigned cnt;
	struct mesh_peer_info peers[SESSIONS_MAX];
};

static void sessions_post(struct sessions_report *report)
{
	report_own(report->handle, sessions_heard, report->peers,
		   report->cnt * sizeof(report->peers[0]));
	report->cnt = 0;
}

static void report_sessions(struct worker_handle *handle)
{
	struct sessions_report report;
	struct mesh_walk walk = {0};

	report.handle = handle;
	report.cnt = 0;
	while (mesh_peers_next(handle->worker.mesh, &walk, &report.peers[report.cnt]) &&
	       report.peers[report.cnt].is_connected)
		if (++report.cnt == SESSIONS_MAX)
			sessions_post(&report);
	if (report.cnt)
		sessions_post(&report);
}

static void second_due(struct timer *timer, uint64_t now_ns)
{
	struct worker_handle *handle = container_of(timer, struct worker_handle, second_timer);

	report_sessions(handle);
	firewall_arrivals_report_each(&handle->arrivals, handle->worker.ingress, now_ns,
				      on_arrivals, handle);
}

/* Events before the second's report are in it: one is enough. */
static void report_due(struct timer *timer, uint64_t now_ns)
{
	struct worker_handle *handle = container_of(timer, struct worker_handle, report_timer);
	uint64_t second_ns = now_ns - now_ns % NS_PER_S + SECOND_OFF_NS;

	worker_report_figures(handle);
	if (!timer_is_set(&handle->second_timer))
		timer_set(&handle->worker.timers, &handle->second_timer,
			  second_ns > now_ns ? second_ns : second_ns + NS_PER_S);
}

struct queue_report {
	struct workers_queue queue;
	int err;
};

static void queue_left_heard(void *object, const void *bytes, size_t len)
{
	const struct queue_report *report = bytes;

	(void)len;
	home_of(object)->on_queue_left(home_of(object)->ctx, &report->queue, report->err);
}

void worker_report_queue_left(struct worker_handle *handle, const struct workers_queue *queue,
			      int err)
{
	const struct queue_report report = {*queue, err};

	/* Its counts come before it. */
	worker_report_figures(handle);
	report_own(handle, queue_left_heard, &report, sizeof(report));
}

void worker_reports_turn(struct worker_handle *handle, uint64_t now_ns)
{
	if (handle->path_cnt)
		report_paths(handle);
	/* One report's own wake-up is no reason for the next: an idle worker sleeps. */
	if (!timer_is_set(&handle->report_timer) &&
	    handle->worker.turn_cnt > handle->reported_turn_cnt + 1)
		timer_set(&handle->worker.timers, &handle->report_timer, now_ns + REPORT_NS);
}

void worker_reports_init(struct worker_handle *handle, const struct fair_paths *paths)
{
	worker_report_credit_init(&handle->credit, &handle->reports, paths);
	timer_init(&handle->report_timer, report_due);
	timer_init(&handle->second_timer, second_due);
	handle->params.on_session = on_session;
	handle->params.on_failure = on_failure;
	handle->params.on_path = on_path;
	handle->params.on_sample = on_sample;
	handle->params.on_passed = on_passed;
	handle->params.ctx = handle;
}
