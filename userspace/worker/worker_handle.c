/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker of the workers, on its own thread: it obeys orders at the end of
 * each turn and reports what happens. A full mailbox loses reports: figures
 * come again, paths are told again, the rest is counted. What peers cause has
 * credit by peer and by network (message_credit.h), so that none of them fills it.
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

#define REPORT_NS (200 * NS_PER_MS)
/* Sessions and unvalidated sources are reported in the middle of a second, as firewall/policy_record.c counts them. */
#define SECOND_OFF_NS (NS_PER_S / 2)

static void member_report(struct worker_handle *member, struct worker_message *message)
{
	(void)worker_message_credit_post(&member->credit, message, WORKER_MESSAGE_OWN);
}

/* A report that the peer of key at addr caused, and may cause again. */
static void member_report_of_peer(struct worker_handle *member, struct worker_message *message,
				  const uint8_t *key, const struct addr *addr)
{
	(void)worker_message_credit_post(
		&member->credit, message,
		worker_message_account_of_peer(&member->credit, key, addr));
}

/* One that unvalidated sources cause, or sessions together. */
static void member_report_of_kind(struct worker_handle *member, struct worker_message *message,
				  enum worker_message_kind kind)
{
	(void)worker_message_credit_post(&member->credit, message,
					 worker_message_account_of_kind(kind));
}

static void member_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_SESSION, 0);

	if (message) {
		message->session.peer = *peer;
		message->session.is_up = is_up;
	}
	member_report(ctx, message);
}

static void member_on_failure(void *ctx, const struct mesh_failure *failure)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_FAILURE, 0);

	if (message)
		message->failure = *failure;
	member_report_of_peer(ctx, message, failure->key, &failure->remote);
}

static void member_tell_paths(struct worker_handle *member)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_PATHS, 0);

	if (message) {
		message->paths.cnt = member->path_cnt;
		memcpy(message->paths.remotes, member->paths,
		       member->path_cnt * sizeof(member->paths[0]));
	}
	member_report_of_kind(member, message, WORKER_MESSAGE_PATHS);
	member->path_cnt = 0;
}

static void member_on_path(void *ctx, const struct addr *remote)
{
	struct worker_handle *member = ctx;

	member->paths[member->path_cnt++] = *remote;
	if (member->path_cnt == WORKER_MESSAGE_PATHS_MAX)
		member_tell_paths(member);
}

static void member_on_finding(void *ctx, const struct blobs_finding *finding)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_FINDING, finding->len);

	if (message) {
		message->finding.is_changed = finding->is_changed;
		message->finding.len = finding->len;
		memcpy(message->bytes, finding->bytes, finding->len);
	}
	member_report_of_kind(ctx, message, WORKER_MESSAGE_FINDING);
}

static void member_on_served(void *ctx, const uint8_t manifest_id[static 32], uint64_t len)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_SERVED, 0);

	if (message) {
		memcpy(message->served.manifest_id, manifest_id, 32);
		message->served.len = len;
	}
	member_report(ctx, message);
}

static void member_on_member(void *ctx, const struct blobs_member *told)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_MEMBER, 0);

	if (message)
		message->member = *told;
	member_report_of_peer(ctx, message, told->key, &told->from);
}

static void usage_write(void *arg, const struct blobs_usage *usage)
{
	struct worker_message *message = arg;
	struct blobs_usage *usages = (void *)message->bytes;

	usages[message->usages.cnt++] = *usage;
}

static void member_tell_usages(struct worker_handle *member)
{
	struct worker_message *message = worker_message_new(
		WORKER_MESSAGE_USAGES, 2 * BLOBS_USAGE_MAX * sizeof(struct blobs_usage));

	if (!message)
		return; /* told with the next */
	message->usages.cnt = 0;
	blobs_usage_changes_each(member->worker.content, usage_write, message);
	if (message->usages.cnt)
		member_report(member, message);
	else
		worker_message_free(message);
}

static void member_on_sample(void *ctx, const struct weft_sample *sample)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_SAMPLE, 0);

	if (message)
		message->sample = *sample;
	member_report_of_kind(ctx, message, WORKER_MESSAGE_SAMPLE);
}

static void member_tell_figures(struct worker_handle *member)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_FIGURES, 0);

	blobs_served_each(member->worker.content, member_on_served, member);
	member_tell_usages(member);
	if (message) {
		worker_figures_read(&member->worker, &message->figures);
		message->figures.report_lost_cnt = member->reports.lost_cnt;
		message->figures.report_refused_cnt = member->credit.refused_cnt;
		message->figures.worker_streams = member->relay.stats;
	}
	member_report(member, message);
	member->reported_turn_cnt = member->worker.turn_cnt;
}

static void member_on_arrivals(void *ctx, const struct arrivals_changes *changes)
{
	size_t len = changes->cnt * sizeof(changes->changes[0]);
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_ARRIVALS, len);

	if (message) {
		memcpy(message->bytes, changes->changes, len);
		message->arrivals = *changes;
		message->arrivals.changes = (const void *)message->bytes;
	}
	member_report(ctx, message);
}

struct sessions_telling {
	struct worker_handle *member;
	unsigned cnt;
	struct mesh_peer_info peers[WORKER_MESSAGE_SESSIONS_MAX];
};

static void sessions_post(struct sessions_telling *telling)
{
	size_t len = telling->cnt * sizeof(telling->peers[0]);
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_SESSIONS, len);

	if (message) {
		message->sessions.cnt = telling->cnt;
		memcpy(message->bytes, telling->peers, len);
	}
	member_report(telling->member, message);
	telling->cnt = 0;
}

static bool session_tell(void *arg, const struct mesh_peer_info *peer)
{
	struct sessions_telling *telling = arg;

	if (!peer->is_connected)
		return false; /* these come last */
	telling->peers[telling->cnt++] = *peer;
	if (telling->cnt == WORKER_MESSAGE_SESSIONS_MAX)
		sessions_post(telling);
	return true;
}

static void member_tell_sessions(struct worker_handle *member)
{
	struct sessions_telling telling = {.member = member};

	mesh_peers_each(member->worker.mesh, session_tell, &telling);
	if (telling.cnt)
		sessions_post(&telling);
}

static void second_due(struct timer *timer, uint64_t now_ns)
{
	struct worker_handle *member = container_of(timer, struct worker_handle, second_timer);

	member_tell_sessions(member);
	firewall_arrivals_report_each(&member->arrivals, member->worker.ingress, now_ns,
				      member_on_arrivals, member);
}

/* What happens before the second's report is in it: one is enough. */
static void report_due(struct timer *timer, uint64_t now_ns)
{
	struct worker_handle *member = container_of(timer, struct worker_handle, report_timer);
	uint64_t second_ns = now_ns - now_ns % NS_PER_S + SECOND_OFF_NS;

	member_tell_figures(member);
	if (!timer_is_set(&member->second_timer))
		timer_set(&member->worker.timers, &member->second_timer,
			  second_ns > now_ns ? second_ns : second_ns + NS_PER_S);
}

static void member_tell_left(struct worker_handle *member, const struct workers_queue *queue,
			     int err)
{
	struct worker_message *message = worker_message_new(WORKER_MESSAGE_QUEUE_LEFT, 0);

	if (message) {
		message->queue.at = *queue;
		message->queue.err = err;
	}
	/* What it counted comes before it. */
	member_tell_figures(member);
	member_report(member, message);
}

static void member_take_queue(struct worker_handle *member, const struct workers_queue *queue)
{
	int err = worker_add_queue(&member->worker, queue->queue);

	if (err < 0)
		member_tell_left(member, queue, err);
	else
		member_tell_figures(member);
}

static void member_leave_queue(struct worker_handle *member, const struct workers_queue *queue)
{
	worker_remove_queue(&member->worker, queue->queue);
	member_tell_left(member, queue, 0);
}

static void member_obey(struct worker_handle *member, struct worker_message *message)
{
	switch (message->kind) {
	case WORKER_MESSAGE_SERVED_INDEX:
		blobs_take_served(member->worker.content, message->served_index);
		message->served_index = NULL;
		break;
	case WORKER_MESSAGE_IN_PROGRESS:
		blobs_take_in_progress(member->worker.content, message->in_progress);
		message->in_progress = NULL;
		break;
	case WORKER_MESSAGE_LIMITS:
		blobs_limits_take(member->worker.content, message->limits.values,
				  message->limits.upload_part, member->worker.now_ns);
		blobs_credits_take(member->worker.content, message->limits.credits);
		break;
	case WORKER_MESSAGE_MEMBER:
		blobs_note_member(member->worker.content, &message->member, member->worker.now_ns);
		break;
	case WORKER_MESSAGE_CONFIGURE:
		quic_engine_configure(member->worker.quic, &message->config.quic);
		mesh_configure(member->worker.mesh, &message->config.mesh);
		blobs_configure(member->worker.content, &message->config.content);
		break;
	case WORKER_MESSAGE_BANS:
		worker_take_bans(&member->worker, message->bans, member->worker.now_ns);
		message->bans = NULL;
		break;
	case WORKER_MESSAGE_POLICY:
		firewall_ingress_configure(member->worker.ingress, &message->policy);
		break;
	case WORKER_MESSAGE_CAPS:
		mesh_set_caps(member->worker.mesh, message->caps);
		break;
	case WORKER_MESSAGE_SHARES:
		mesh_take_shares(member->worker.mesh, (const struct mesh_share *)message->bytes,
				 message->shares.cnt, member->worker.now_ns);
		break;
	case WORKER_MESSAGE_WALL:
		worker_set_wall(&member->worker, message->wall.wall_s, message->wall.now_ns);
		break;
	case WORKER_MESSAGE_ADD_QUEUE:
		member_take_queue(member, &message->queue.at);
		break;
	case WORKER_MESSAGE_REMOVE_QUEUE:
		member_leave_queue(member, &message->queue.at);
		break;
	case WORKER_MESSAGE_MTU:
		worker_set_mtu(&member->worker, message->mtu.device, message->mtu.mtu);
		break;
	case WORKER_MESSAGE_ROTATE_CIDS:
		worker_rotate_cids(&member->worker);
		member_tell_figures(member);
		break;
	case WORKER_MESSAGE_WAKE:
		worker_wake(&member->worker, member->worker.now_ns);
		break;
	case WORKER_MESSAGE_HOLD:
		worker_hold(&member->worker, &message->hold);
		break;
	default:
		member->is_stopping = true;
		break;
	}
	worker_message_free(message);
}

static void member_obey_all(struct worker_handle *member)
{
	struct worker_message *message;

	while ((message = worker_mailbox_take(&member->orders)))
		member_obey(member, message);
}

/* What home says goes out in this turn, and what comes in it is told at once. */
static bool member_turn_streams(struct worker_handle *member, uint64_t now_ns)
{
	bool is_busy = worker_stream_relay_read(&member->relay);

	is_busy |= worker_turn(&member->worker, now_ns);
	return worker_stream_relay_flush(&member->relay) || is_busy;
}

static bool member_turn(struct worker_handle *member, uint64_t now_ns)
{
	struct worker *worker = &member->worker;
	bool is_busy = member_turn_streams(member, now_ns);

	member_obey_all(member);
	if (member->path_cnt)
		member_tell_paths(member);
	/* One report's own wake-up is no reason for the next: an idle worker sleeps. */
	if (!timer_is_set(&member->report_timer) &&
	    worker->turn_cnt > member->reported_turn_cnt + 1)
		timer_set(&worker->timers, &member->report_timer, now_ns + REPORT_NS);
	return is_busy;
}

static void orders_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	(void)events, (void)now_ns;
	worker_mailbox_rest(watch->fd);
}

static void member_drain(struct worker_handle *member)
{
	struct worker *worker = &member->worker;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + member->params.config->drain_timeout_ns;

	worker_goodbye(worker, now_ns);
	do {
		(void)member_turn_streams(member, now_ns);
		if (poller_wait(worker->poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns && worker_is_draining(worker));
	member_tell_figures(member);
}

/* Ends by order, or when the event loop fails: then nothing would wake it. */
static int member_run(struct worker_handle *member)
{
	struct worker *worker = &member->worker;
	int err = 0;

	while (err >= 0) {
		bool is_busy = member_turn(member, clock_monotonic_ns());

		/* Before the wait: the order's wake-up was this turn's. */
		if (member->is_stopping)
			break;
		err = poller_wait(worker->poller, is_busy ? 0 : worker_next_ns(worker));
	}
	member_drain(member);
	return err < 0 ? err : 0;
}

static int member_open(struct worker_handle *member)
{
	int err;

	/* Devices are attached by home alone. */
	(void)privilege_drop();
	timer_init(&member->report_timer, report_due);
	timer_init(&member->second_timer, second_due);
	member->orders_watch.fd = member->orders.fd;
	member->orders_watch.ready = orders_ready;
	err = worker_open(&member->worker, &member->params, member->what);
	if (err == 0)
		err = poller_add(member->worker.poller, &member->orders_watch, POLLER_IN);
	if (err == 0 && member->params.config->relays_streams)
		err = worker_stream_relay_open(&member->relay,
					       mesh_stream_seam_of(member->worker.mesh),
					       member->params.config->mesh->stream_cap,
					       &member->stream_orders, &member->stream_reports);
	member->relay.load = &member->worker.load;
	/* Bans and limits are known before the first datagram is taken. */
	if (err == 0)
		member_obey_all(member);
	return err;
}

static void *member_main(void *arg)
{
	struct worker_handle *member = arg;
	char name[CRASH_THREAD_CAP];
	int err;

	snprintf(name, sizeof(name), "worker-%u", member->params.idx);
	crash_thread_begin(name);
	err = member_open(member);
	/* After it made its threads for disks, which would inherit this. */
	sandbox_enter(SANDBOX_WORKER);
	member->err = err;
	sem_post(&member->is_open);
	if (err == 0)
		err = member_run(member);
	worker_close(&member->worker);
	worker_stream_relay_close(&member->relay);
	member->err = err;
	sem_post(&member->ended);
	worker_mailbox_wake(member->reports.fd);
	return NULL;
}

/* ------------------------------------------------------------------ home */

int worker_handle_init(struct worker_handle *member, const struct worker_params *params,
		       int reports_fd, char *what)
{
	struct fair_paths paths = {.site = params->config->mesh->site};
	int orders_fd, err;

	snprintf(what, WORKER_WHAT_CAP, "mailboxes of worker %u", params->idx);
	sem_init(&member->is_open, 0, 0);
	sem_init(&member->ended, 0, 0);
	random_init_system(&member->random);
	member->params = *params;
	member->params.random = &member->random;
	member->params.on_session = member_on_session;
	member->params.on_failure = member_on_failure;
	member->params.on_path = member_on_path;
	member->params.on_finding = member_on_finding;
	member->params.on_member = member_on_member;
	member->params.on_sample = member_on_sample;
	member->params.ctx = member;
	orders_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (orders_fd < 0)
		return -errno;
	if (worker_mailbox_init(&member->orders, orders_fd) < 0) {
		close(orders_fd);
		return -ENOMEM;
	}
	err = worker_mailbox_init(&member->reports, reports_fd);
	random_fill(&member->random, paths.secret, sizeof(paths.secret));
	worker_message_credit_init(&member->credit, &member->reports, &paths);
	if (err == 0)
		err = worker_stream_queue_init(&member->stream_orders, orders_fd);
	if (err == 0)
		err = worker_stream_queue_init(&member->stream_reports, reports_fd);
	/* Here and not on the thread: the order of binding is the order of workers. */
	return err < 0 ? err : worker_listen(&member->worker, &member->params, what);
}

void worker_handle_fini(struct worker_handle *member)
{
	if (!member->orders.messages)
		return;
	if (!member->is_over)
		worker_close(&member->worker);
	worker_mailbox_fini(&member->orders);
	worker_mailbox_fini(&member->reports);
	worker_stream_queue_fini(&member->stream_orders);
	worker_stream_queue_fini(&member->stream_reports);
	close(member->orders.fd);
	sem_destroy(&member->is_open);
	sem_destroy(&member->ended);
}

int worker_handle_start(struct worker_handle *member, char *what)
{
	int err;

	snprintf(what, WORKER_WHAT_CAP, "thread of worker %u", member->params.idx);
	err = -pthread_create(&member->thread, NULL, member_main, member);
	if (err < 0)
		return err;
	member->is_running = true;
	while (sem_wait(&member->is_open) < 0)
		;
	if (member->err < 0)
		memcpy(what, member->what, WORKER_WHAT_CAP);
	return member->err;
}

bool worker_handle_has_ended(struct worker_handle *member)
{
	if (!member->is_over && sem_trywait(&member->ended) == 0)
		member->is_over = true;
	return member->is_over;
}

bool worker_handle_stop(struct worker_handle *member, uint64_t wait_ns)
{
	uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;

	while (!worker_handle_has_ended(member) &&
	       !worker_mailbox_post(&member->orders, worker_message_new(WORKER_MESSAGE_STOP, 0))) {
		if (clock_monotonic_ns() >= deadline_ns)
			return false;
		(void)usleep(1000);
	}
	return true;
}

bool worker_handle_join(struct worker_handle *member, uint64_t wait_ns)
{
	uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;

	if (!member->is_running)
		return true;
	while (!worker_handle_has_ended(member)) {
		if (clock_monotonic_ns() >= deadline_ns)
			return false;
		(void)usleep(1000);
	}
	/* It has nothing more to do than to return. */
	(void)pthread_join(member->thread, NULL);
	member->is_running = false;
	return true;
}
