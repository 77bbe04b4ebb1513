/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker besides home, on its own thread: it obeys orders (worker_orders.c) at the end
 * of each turn and reports what happens (worker_reports.c).
 */
#include "worker_handle.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/process/crash.h"
#include "base/process/privilege.h"
#include "base/process/sandbox.h"
#include "firewall/ingress.h"

/* Bytes of messages under way: of as many orders as there may be, and of what peers can cause. */
#define ORDERS_LEN  ((size_t)4 << 20)
#define REPORTS_LEN ((size_t)8 << 20)

static void handle_obey_all(struct worker_handle *handle)
{
	void *const objects[WORKER_MAIL_CNT] = {handle, handle->worker.content};

	while (mailbox_run(&handle->orders, objects))
		;
}

/* Home's messages on streams leave in this turn, and bytes that arrive in it reach home at once. */
static bool handle_turn_streams(struct worker_handle *handle, uint64_t now_ns)
{
	bool is_busy = worker_stream_relay_read(&handle->relay);

	is_busy |= worker_turn(&handle->worker, now_ns);
	return worker_stream_relay_flush(&handle->relay) || is_busy;
}

static bool handle_turn(struct worker_handle *handle, uint64_t now_ns)
{
	bool is_busy = handle_turn_streams(handle, now_ns);

	handle_obey_all(handle);
	worker_reports_turn(handle, now_ns);
	return is_busy;
}

static void orders_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	(void)events, (void)now_ns;
	mailbox_rest(watch->fd);
}

static void handle_drain(struct worker_handle *handle)
{
	struct worker *worker = &handle->worker;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + handle->params.config->drain_timeout_ns;

	worker_goodbye(worker, now_ns);
	do {
		(void)handle_turn_streams(handle, now_ns);
		if (poller_wait(worker->poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns && worker_is_draining(worker));
	worker_report_figures(handle);
}

/* Ends by order, or when the event loop fails: then nothing would wake it. */
static int handle_run(struct worker_handle *handle)
{
	struct worker *worker = &handle->worker;
	int err = 0;

	while (err >= 0) {
		bool is_busy = handle_turn(handle, clock_monotonic_ns());

		/* Before the wait: the order's wake-up was this turn's. */
		if (handle->is_stopping)
			break;
		err = poller_wait(worker->poller, is_busy ? 0 : worker_next_ns(worker));
	}
	handle_drain(handle);
	return err < 0 ? err : 0;
}

static int handle_open(struct worker_handle *handle)
{
	int err;

	/* Devices are attached by home alone. */
	(void)privilege_drop();
	handle->orders_watch.fd = handle->orders.fd;
	handle->orders_watch.ready = orders_ready;
	err = worker_open(&handle->worker, &handle->params, handle->what);
	if (err == 0)
		err = poller_add(handle->worker.poller, &handle->orders_watch, POLLER_IN);
	if (err == 0 && handle->params.config->relays_streams)
		err = worker_stream_relay_open(&handle->relay,
					       mesh_stream_seam_of(handle->worker.mesh),
					       handle->params.config->mesh->stream_cap,
					       &handle->stream_orders, &handle->stream_reports);
	handle->relay.load = &handle->worker.load;
	/* Bans and limits are known before the first datagram is taken. */
	if (err == 0)
		handle_obey_all(handle);
	return err;
}

static void *handle_main(void *arg)
{
	struct worker_handle *handle = arg;
	char name[CRASH_THREAD_CAP];
	int err;

	snprintf(name, sizeof(name), "worker-%u", handle->params.idx);
	crash_thread_begin(name);
	err = handle_open(handle);
	/* After it made its threads for disks, which would inherit this. */
	sandbox_enter(SANDBOX_WORKER);
	handle->err = err;
	sem_post(&handle->is_open);
	if (err == 0)
		err = handle_run(handle);
	worker_close(&handle->worker);
	worker_stream_relay_close(&handle->relay);
	handle->err = err;
	sem_post(&handle->ended);
	mailbox_wake(handle->reports.fd);
	return NULL;
}

/* ------------------------------------------------------------------ home */

int worker_handle_init(struct worker_handle *handle, const struct worker_params *params,
		       int reports_fd, char *what)
{
	struct fair_paths paths = {.site = params->config->mesh->site};
	int orders_fd, err;

	snprintf(what, WORKER_WHAT_CAP, "mailboxes of worker %u", params->idx);
	sem_init(&handle->is_open, 0, 0);
	sem_init(&handle->ended, 0, 0);
	random_init_system(&handle->random);
	handle->params = *params;
	handle->params.random = &handle->random;
	orders_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (orders_fd < 0)
		return -errno;
	err = mailbox_init(&handle->orders, WORKER_ORDER_CNT_MAX, ORDERS_LEN, orders_fd);
	if (err < 0) {
		close(orders_fd);
		return err;
	}
	err = mailbox_init(&handle->reports, WORKERS_REPORT_MAX, REPORTS_LEN, reports_fd);
	random_fill(&handle->random, paths.secret, sizeof(paths.secret));
	worker_reports_init(handle, &paths);
	if (err == 0)
		err = worker_stream_relay_queues(&handle->stream_orders, orders_fd,
						 &handle->stream_reports, reports_fd);
	/* Here and not on the thread: the order of binding is the order of workers. */
	return err < 0 ? err : worker_listen(&handle->worker, &handle->params, what);
}

void worker_handle_fini(struct worker_handle *handle)
{
	if (!handle->orders.records)
		return;
	if (!handle->is_over)
		worker_close(&handle->worker);
	mailbox_fini(&handle->orders);
	mailbox_fini(&handle->reports);
	worker_stream_queue_fini(&handle->stream_orders);
	worker_stream_queue_fini(&handle->stream_reports);
	close(handle->orders.fd);
	sem_destroy(&handle->is_open);
	sem_destroy(&handle->ended);
}

int worker_handle_start(struct worker_handle *handle, char *what)
{
	int err;

	snprintf(what, WORKER_WHAT_CAP, "thread of worker %u", handle->params.idx);
	err = -pthread_create(&handle->thread, NULL, handle_main, handle);
	if (err < 0)
		return err;
	handle->is_running = true;
	while (sem_wait(&handle->is_open) < 0)
		;
	if (handle->err < 0)
		memcpy(what, handle->what, WORKER_WHAT_CAP);
	return handle->err;
}

bool worker_handle_has_ended(struct worker_handle *handle)
{
	if (!handle->is_over && sem_trywait(&handle->ended) == 0)
		handle->is_over = true;
	return handle->is_over;
}

static void stop(void *object, const void *bytes, size_t len)
{
	struct worker_handle *handle = object;

	(void)bytes, (void)len;
	handle->is_stopping = true;
}

bool worker_handle_stop(struct worker_handle *handle, uint64_t wait_ns)
{
	const struct mailbox_message order = {.run = stop};
	uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;

	while (!worker_handle_has_ended(handle) && !mailbox_post(&handle->orders, &order)) {
		if (clock_monotonic_ns() >= deadline_ns)
			return false;
		(void)usleep(1000);
	}
	return true;
}

bool worker_handle_join(struct worker_handle *handle, uint64_t wait_ns)
{
	uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;

	if (!handle->is_running)
		return true;
	while (!worker_handle_has_ended(handle)) {
		if (clock_monotonic_ns() >= deadline_ns)
			return false;
		(void)usleep(1000);
	}
	/* It has nothing more to do than to return. */
	(void)pthread_join(handle->thread, NULL);
	handle->is_running = false;
	return true;
}
