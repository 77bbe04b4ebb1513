/* SPDX-License-Identifier: Apache-2.0 */
/* The workers as home sees them: their lives, their sessions and their reports. Home's thread. */
#include "workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "base/log.h"
#include "base/random.h"
#include "worker_handle.h"

/* A worker takes orders every turn, and turns last microseconds. */
#define STOP_WAIT_NS NS_PER_S
/* For what comes after draining: closing tables and sockets. */
#define END_WAIT_NS (10 * NS_PER_S)

static int workers_lay_out(struct workers *workers)
{
	uint32_t cap = workers->cnt * workers->params.config->mesh->session_cap;
	struct random random;
	uint64_t secret[2];
	int err;

	random_init_system(&random);
	random_fill(&random, secret, sizeof(secret));
	err = arena_open(&workers->arena, ARENA_GROWS);
	if (!err)
		err = pool_init(&workers->sessions, &workers->arena, sizeof(struct workers_session),
				cap);
	if (!err)
		err = map_init(&workers->sessions_by_key, &workers->arena, MESH_KEY_LEN, cap,
			       secret);
	arena_fit(&workers->arena);
	return err;
}

static int workers_init_handles(struct workers *workers, char *what)
{
	const struct workers_params *params = &workers->params;
	struct worker_params worker = {
		.handover = params->handover,
		.listen = params->listen,
		.cid_epoch = params->cid_epoch,
		.config = params->config,
		.key = params->key,
		.store = params->store,
		.now_ns = clock_monotonic_ns(),
		.wall_s = clock_wall_s(),
		.hello = params->hello,
		.hello_cnt = params->hello_cnt,
	};
	int err = 0;

	for (unsigned i = 0; i < workers->cnt && !err; i++) {
		struct worker_handle *handle = &workers->handles[i];

		worker.idx = i + 1;
		handle->workers = workers;
		err = worker_handle_init(handle, &worker, workers->fd, what);
		if (!err && params->config->relays_streams)
			err = worker_stream_inlet_open(
				&handle->inlet, params->mesh, params->config->mesh->stream_cap,
				&handle->stream_orders, &handle->stream_reports);
	}
	return err;
}

int workers_new(const struct workers_params *params, struct workers **out_workers, char *what)
{
	unsigned cnt = params->config->worker_cnt - 1;
	struct workers *workers = calloc(1, sizeof(*workers) + cnt * sizeof(workers->handles[0]));
	int err;

	snprintf(what, WORKER_WHAT_CAP, "workers");
	if (!workers)
		return -ENOMEM;
	workers->params = *params;
	workers->cnt = cnt;
	workers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = workers->fd < 0 ? -errno : workers_lay_out(workers);
	if (!err)
		err = workers_init_handles(workers, what);
	if (err < 0) {
		workers_free(workers);
		return err;
	}
	*out_workers = workers;
	return 0;
}

int workers_start(struct workers *workers, char *what)
{
	int err = 0;

	for (unsigned i = 0; i < workers->cnt && !err; i++)
		err = worker_handle_start(&workers->handles[i], what);
	return err;
}

void workers_stop(struct workers *workers)
{
	workers->is_stopping = true;
	for (unsigned i = 0; i < workers->cnt; i++)
		if (workers->handles[i].is_running &&
		    !worker_handle_stop(&workers->handles[i], STOP_WAIT_NS))
			log_warn("worker %u takes no orders, so it gets none to stop", i + 1);
}

void workers_free(struct workers *workers)
{
	uint64_t wait_ns;

	if (!workers)
		return;
	wait_ns = workers->params.config->drain_timeout_ns + END_WAIT_NS;
	workers_stop(workers);
	for (unsigned i = 0; i < workers->cnt; i++) {
		if (!worker_handle_join(&workers->handles[i], wait_ns)) {
			log_error("worker %u does not end; ending the process", i + 1);
			abort();
		}
		worker_stream_inlet_close(&workers->handles[i].inlet, clock_monotonic_ns());
		worker_handle_fini(&workers->handles[i]);
	}
	if (workers->fd >= 0)
		close(workers->fd);
	arena_close(&workers->arena);
	free(workers);
}

/* A peer may have sessions with several workers; the newest stands for them. */
void workers_note_session(struct workers *workers, unsigned idx, const struct mesh_peer_info *peer,
			  bool is_up)
{
	struct workers_session *session = map_lookup(&workers->sessions_by_key, peer->key);

	if (is_up && !session) {
		session = pool_acquire(&workers->sessions);
		if (session && map_put(&workers->sessions_by_key, peer->key, session) < 0) {
			pool_release(&workers->sessions, session);
			session = NULL;
		}
	}
	if (is_up && session) {
		session->peer = *peer;
		session->worker_idx = idx;
	} else if (session && session->worker_idx == idx) {
		(void)map_delete(&workers->sessions_by_key, peer->key);
		pool_release(&workers->sessions, session);
	}
	workers->params.on_session(workers->params.ctx, peer, is_up);
}

/* Once: from then on it is known to be over. */
static void end_heard(struct workers *workers, struct worker_handle *handle)
{
	if (workers->is_stopping || !handle->is_running || handle->is_over ||
	    !worker_handle_has_ended(handle))
		return;
	workers->params.on_ended(workers->params.ctx, handle->params.idx, handle->err);
}

bool workers_reap(struct workers *workers, uint64_t now_ns)
{
	bool had_some = false;

	mailbox_rest(workers->fd);
	for (unsigned i = 0; i < workers->cnt; i++) {
		void *const objects[WORKER_MAIL_CNT] = {&workers->handles[i],
							workers->params.content};

		while (mailbox_run(&workers->handles[i].reports, objects))
			had_some = true;
		had_some |= worker_stream_inlet_read(&workers->handles[i].inlet, now_ns);
		end_heard(workers, &workers->handles[i]);
	}
	return had_some;
}

bool workers_flush(struct workers *workers)
{
	bool is_busy = false;

	for (unsigned i = 0; i < workers->cnt; i++)
		is_busy |= worker_stream_inlet_flush(&workers->handles[i].inlet);
	return is_busy;
}

int workers_fd(const struct workers *workers)
{
	return workers->fd;
}

unsigned workers_cnt(const struct workers *workers)
{
	return workers->cnt;
}

const struct worker_figures *workers_figures(const struct workers *workers, unsigned idx)
{
	return &workers->handles[idx - 1].figures;
}

unsigned workers_report_cnt(const struct workers *workers, unsigned idx)
{
	return mailbox_fill(&workers->handles[idx - 1].reports);
}

uint64_t workers_order_lost_cnt(const struct workers *workers, unsigned idx)
{
	return workers->handles[idx - 1].orders.lost_cnt;
}

const struct workers_session *workers_session_lookup(const struct workers *workers,
						     const uint8_t key[static MESH_KEY_LEN])
{
	return map_lookup(&workers->sessions_by_key, key);
}

const struct workers_session *workers_session_next(const struct workers *workers,
						   const struct workers_session *session)
{
	return pool_next(&workers->sessions, session);
}
