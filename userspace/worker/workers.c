/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers as home sees it: orders go out, reports come in. A full mailbox
 * never loses an order that matters, for home gives it again.
 */
#include "workers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/monotonic.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/random.h"
#include "firewall/ban_list.h"
#include "workers_content.h"
#include "worker_handle.h"
#include "upload_parts.h"
#include "weft/cid.h"

/* A worker takes orders every turn, and turns last microseconds. */
#define STOP_WAIT_NS NS_PER_S
/* For what comes after draining: closing tables and sockets. */
#define END_WAIT_NS (10 * NS_PER_S)

struct workers {
	struct workers_params params;
	unsigned cnt;
	int fd; /* reports of all of them */
	bool is_stopping;
	struct arena arena;
	struct pool sessions;
	struct map sessions_by_key; /* the newest of each peer */
	struct worker_handle members[];
};

static int workers_lay_out(struct workers *workers)
{
	uint32_t cap = workers->cnt * workers->params.config->mesh->session_cap;
	struct random random;
	uint64_t secret[2];
	int err;

	random_init_system(&random);
	random_fill(&random, secret, sizeof(secret));
	err = arena_open(&workers->arena, pool_footprint(sizeof(struct workers_session), cap) +
						  map_footprint(MESH_KEY_LEN, cap));
	if (!err)
		err = pool_init(&workers->sessions, &workers->arena, sizeof(struct workers_session),
				cap);
	return err ? err
		   : map_init(&workers->sessions_by_key, &workers->arena, MESH_KEY_LEN, cap,
			      secret);
}

static int workers_init_members(struct workers *workers, char *what)
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
		.advertised = params->advertised,
		.advertised_cnt = params->advertised_cnt,
	};
	int err = 0;

	for (unsigned i = 0; i < workers->cnt && !err; i++) {
		struct worker_handle *member = &workers->members[i];

		worker.idx = i + 1;
		err = worker_handle_init(member, &worker, workers->fd, what);
		if (!err && params->config->relays_streams)
			err = worker_stream_inlet_open(
				&member->inlet, params->mesh, params->config->mesh->stream_cap,
				&member->stream_orders, &member->stream_reports);
	}
	return err;
}

int workers_new(const struct workers_params *params, struct workers **out_workers, char *what)
{
	unsigned cnt = params->config->worker_cnt - 1;
	struct workers *workers = calloc(1, sizeof(*workers) + cnt * sizeof(workers->members[0]));
	int err;

	snprintf(what, WORKER_WHAT_CAP, "workers");
	if (!workers)
		return -ENOMEM;
	workers->params = *params;
	workers->cnt = cnt;
	workers->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = workers->fd < 0 ? -errno : workers_lay_out(workers);
	if (!err)
		err = workers_init_members(workers, what);
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
		err = worker_handle_start(&workers->members[i], what);
	return err;
}

void workers_stop(struct workers *workers)
{
	workers->is_stopping = true;
	for (unsigned i = 0; i < workers->cnt; i++)
		if (workers->members[i].is_running &&
		    !worker_handle_stop(&workers->members[i], STOP_WAIT_NS))
			log_warn("worker %u takes no orders, so it is not told to stop", i + 1);
}

void workers_free(struct workers *workers)
{
	uint64_t wait_ns;

	if (!workers)
		return;
	wait_ns = workers->params.config->drain_timeout_ns + END_WAIT_NS;
	workers_stop(workers);
	for (unsigned i = 0; i < workers->cnt; i++) {
		if (!worker_handle_join(&workers->members[i], wait_ns)) {
			log_error("worker %u does not end; ending the process", i + 1);
			abort();
		}
		worker_stream_inlet_close(&workers->members[i].inlet, clock_monotonic_ns());
		worker_handle_fini(&workers->members[i]);
	}
	if (workers->fd >= 0)
		close(workers->fd);
	arena_close(&workers->arena);
	free(workers);
}

/* A peer may have sessions with several workers; the newest stands for them. */
static void session_heard(struct workers *workers, unsigned worker_idx,
			  const struct worker_message *message)
{
	const struct mesh_peer_info *peer = &message->session.peer;
	struct workers_session *session = map_lookup(&workers->sessions_by_key, peer->key);

	if (message->session.is_up && !session) {
		session = pool_acquire(&workers->sessions);
		if (session && map_put(&workers->sessions_by_key, peer->key, session) < 0) {
			pool_release(&workers->sessions, session);
			session = NULL;
		}
	}
	if (message->session.is_up && session) {
		session->peer = *peer;
		session->worker_idx = worker_idx;
	} else if (session && session->worker_idx == worker_idx) {
		(void)map_delete(&workers->sessions_by_key, peer->key);
		pool_release(&workers->sessions, session);
	}
	workers->params.on_session(workers->params.ctx, peer, message->session.is_up);
}

static void sessions_heard(struct workers *workers, unsigned worker_idx,
			   const struct worker_message *message)
{
	const struct mesh_peer_info *peers = (const void *)message->bytes;

	for (unsigned i = 0; i < message->sessions.cnt; i++) {
		struct workers_session *session =
			map_lookup(&workers->sessions_by_key, peers[i].key);

		if (session && session->worker_idx == worker_idx)
			session->peer = peers[i];
	}
}

static void worker_message_heard(struct workers *workers, struct worker_handle *member,
				 const struct worker_message *message)
{
	const struct workers_params *params = &workers->params;

	switch (message->kind) {
	case WORKER_MESSAGE_SESSION:
		session_heard(workers, member->params.idx, message);
		break;
	case WORKER_MESSAGE_SESSIONS:
		sessions_heard(workers, member->params.idx, message);
		break;
	case WORKER_MESSAGE_ARRIVALS:
		params->on_arrivals(params->ctx, member->params.idx, &message->arrivals);
		break;
	case WORKER_MESSAGE_FAILURE:
		params->on_failure(params->ctx, &message->failure);
		break;
	case WORKER_MESSAGE_PATHS:
		for (unsigned i = 0; i < message->paths.cnt; i++)
			params->on_path(params->ctx, &message->paths.remotes[i]);
		break;
	case WORKER_MESSAGE_QUEUE_LEFT:
		params->on_queue_left(params->ctx, &message->queue.at, message->queue.err);
		break;
	case WORKER_MESSAGE_FINDING:
		params->on_finding(params->ctx,
				   &(struct blobs_finding){message->finding.is_changed,
							   message->bytes, message->finding.len});
		break;
	case WORKER_MESSAGE_SAMPLE:
		params->on_sample(params->ctx, &message->sample);
		break;
	case WORKER_MESSAGE_MEMBER:
		params->on_member(params->ctx, member->params.idx, &message->member);
		break;
	case WORKER_MESSAGE_USAGES:
		for (unsigned i = 0; i < message->usages.cnt; i++)
			params->on_usage(params->ctx,
					 (const struct blobs_usage *)message->bytes + i);
		break;
	case WORKER_MESSAGE_SERVED:
		params->on_served(params->ctx, message->served.manifest_id, message->served.len);
		break;
	default:
		member->figures = message->figures;
		break;
	}
}

/* Once: from then on it is known to be over. */
static void end_heard(struct workers *workers, struct worker_handle *member)
{
	if (workers->is_stopping || !member->is_running || member->is_over ||
	    !worker_handle_has_ended(member))
		return;
	workers->params.on_ended(workers->params.ctx, member->params.idx, member->err);
}

bool workers_reap(struct workers *workers, uint64_t now_ns)
{
	struct worker_message *message;
	bool had_some = false;

	worker_mailbox_rest(workers->fd);
	for (unsigned i = 0; i < workers->cnt; i++) {
		while ((message = worker_mailbox_take(&workers->members[i].reports))) {
			worker_message_heard(workers, &workers->members[i], message);
			worker_message_free(message);
			had_some = true;
		}
		had_some |= worker_stream_inlet_read(&workers->members[i].inlet, now_ns);
		end_heard(workers, &workers->members[i]);
	}
	return had_some;
}

bool workers_flush(struct workers *workers)
{
	bool is_busy = false;

	for (unsigned i = 0; i < workers->cnt; i++)
		is_busy |= worker_stream_inlet_flush(&workers->members[i].inlet);
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
	return &workers->members[idx - 1].figures;
}

unsigned workers_report_cnt(const struct workers *workers, unsigned idx)
{
	return worker_mailbox_fill(&workers->members[idx - 1].reports);
}

uint64_t workers_order_lost_cnt(const struct workers *workers, unsigned idx)
{
	return workers->members[idx - 1].orders.lost_cnt;
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

/* Posts to every worker what write makes of a new message, which may find no memory for it. */
typedef bool (*worker_message_write_fn)(struct worker_message *message, void *arg);

static bool workers_spread(struct workers *workers, enum worker_message_kind kind,
			   worker_message_write_fn write, void *arg)
{
	bool is_spread = true;

	for (unsigned i = 0; i < workers->cnt; i++) {
		struct worker_message *message = worker_message_new(kind, 0);

		if (message && !write(message, arg)) {
			worker_message_free(message);
			message = NULL;
		}
		is_spread &= worker_mailbox_post(&workers->members[i].orders, message);
	}
	return is_spread;
}

static bool reach_write(struct worker_message *message, void *arg)
{
	message->served_index = blobs_served_copy(arg);
	return message->served_index != NULL;
}

bool workers_spread_served(struct workers *workers, struct blobs *content)
{
	return workers_spread(workers, WORKER_MESSAGE_SERVED_INDEX, reach_write, content);
}

static bool partials_write(struct worker_message *message, void *arg)
{
	message->in_progress = blobs_in_progress_copy(arg);
	return message->in_progress != NULL;
}

bool workers_spread_in_progress(struct workers *workers, struct blobs *content)
{
	return workers_spread(workers, WORKER_MESSAGE_IN_PROGRESS, partials_write, content);
}

bool workers_spread_limits(struct workers *workers, const uint64_t values[static BLOBS_LIMIT_CNT],
			   const struct workers_content *state)
{
	bool is_spread = true;

	for (unsigned i = 0; i < workers->cnt; i++) {
		struct worker_message *message = worker_message_new(WORKER_MESSAGE_LIMITS, 0);

		if (message) {
			memcpy(message->limits.values, values, sizeof(message->limits.values));
			message->limits.upload_part = state->parts[i + 1].part;
			memcpy(message->limits.credits, state->credits[i + 1].credits,
			       sizeof(message->limits.credits));
		}
		is_spread &= worker_mailbox_post(&workers->members[i].orders, message);
	}
	return is_spread;
}

void workers_spread_member(struct workers *workers, unsigned but_idx,
			   const struct blobs_member *member)
{
	for (unsigned i = 0; i < workers->cnt; i++) {
		struct worker_message *message;

		/* Peers cause these: they leave room for what home has to say. */
		if (i + 1 == but_idx ||
		    worker_mailbox_fill(&workers->members[i].orders) > WORKER_MESSAGE_CNT_MAX / 2)
			continue;
		message = worker_message_new(WORKER_MESSAGE_MEMBER, 0);
		if (message)
			message->member = *member;
		(void)worker_mailbox_post(&workers->members[i].orders, message);
	}
}

struct bans_order {
	const struct ban_list *bans;
	uint64_t wall_s, now_ns;
};

static bool bans_write(struct worker_message *message, void *arg)
{
	const struct bans_order *order = arg;

	message->bans = firewall_ban_list_copy(order->bans, order->wall_s, order->now_ns);
	return message->bans != NULL;
}

bool workers_spread_bans(struct workers *workers, const struct ban_list *bans, uint64_t wall_s,
			 uint64_t now_ns)
{
	struct bans_order order = {bans, wall_s, now_ns};

	return workers_spread(workers, WORKER_MESSAGE_BANS, bans_write, &order);
}

static bool policy_write(struct worker_message *message, void *arg)
{
	message->policy = *(const struct weft_config *)arg;
	return true;
}

bool workers_spread_policy(struct workers *workers, const struct weft_config *part)
{
	struct weft_config copy = *part;

	return workers_spread(workers, WORKER_MESSAGE_POLICY, policy_write, &copy);
}

static bool caps_write(struct worker_message *message, void *arg)
{
	const uint32_t *caps = arg;

	message->caps = *caps;
	return true;
}

bool workers_spread_caps(struct workers *workers, uint32_t caps)
{
	return workers_spread(workers, WORKER_MESSAGE_CAPS, caps_write, &caps);
}

bool workers_spread_shares(struct workers *workers, const struct mesh_share *shares, uint32_t cnt)
{
	bool is_spread = true;

	for (unsigned i = 0; i < workers->cnt; i++) {
		struct worker_message *message =
			worker_message_new(WORKER_MESSAGE_SHARES, cnt * sizeof(*shares));

		if (message) {
			message->shares.cnt = cnt;
			if (cnt)
				memcpy(message->bytes, shares, cnt * sizeof(*shares));
		}
		is_spread &= worker_mailbox_post(&workers->members[i].orders, message);
	}
	return is_spread;
}

static bool config_write(struct worker_message *message, void *arg)
{
	const struct worker_config *live = arg;

	message->config.quic = *live->quic;
	message->config.mesh = *live->mesh;
	message->config.content = *live->content;
	return true;
}

bool workers_configure(struct workers *workers, const struct worker_config *live)
{
	return workers_spread(workers, WORKER_MESSAGE_CONFIGURE, config_write, (void *)live);
}

struct wall_order {
	uint64_t wall_s, now_ns;
};

static bool wall_write(struct worker_message *message, void *arg)
{
	const struct wall_order *order = arg;

	message->wall.wall_s = order->wall_s;
	message->wall.now_ns = order->now_ns;
	return true;
}

void workers_set_wall(struct workers *workers, uint64_t wall_s, uint64_t now_ns)
{
	struct wall_order order = {wall_s, now_ns};

	(void)workers_spread(workers, WORKER_MESSAGE_WALL, wall_write, &order);
}

static bool queue_order(struct workers *workers, unsigned idx, enum worker_message_kind kind,
			const struct workers_queue *queue)
{
	struct worker_message *message = worker_message_new(kind, 0);

	if (message)
		message->queue.at = *queue;
	return worker_mailbox_post(&workers->members[idx - 1].orders, message);
}

bool workers_add_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue)
{
	return queue_order(workers, idx, WORKER_MESSAGE_ADD_QUEUE, queue);
}

bool workers_remove_queue(struct workers *workers, unsigned idx, const struct workers_queue *queue)
{
	return queue_order(workers, idx, WORKER_MESSAGE_REMOVE_QUEUE, queue);
}

struct mtu_order {
	unsigned device;
	uint32_t mtu;
};

static bool mtu_write(struct worker_message *message, void *arg)
{
	const struct mtu_order *order = arg;

	message->mtu.device = order->device;
	message->mtu.mtu = order->mtu;
	return true;
}

void workers_set_mtu(struct workers *workers, unsigned device, uint32_t mtu)
{
	struct mtu_order order = {device, mtu};

	(void)workers_spread(workers, WORKER_MESSAGE_MTU, mtu_write, &order);
}

static bool wake_write(struct worker_message *message, void *arg)
{
	(void)message;
	(void)arg;
	return true;
}

void workers_wake(struct workers *workers)
{
	(void)workers_spread(workers, WORKER_MESSAGE_WAKE, wake_write, NULL);
}

static bool hold_write(struct worker_message *message, void *arg)
{
	message->hold = *(const struct udp_hold *)arg;
	return true;
}

void workers_hold(struct workers *workers, const struct udp_hold *hold)
{
	struct udp_hold copy = *hold;

	(void)workers_spread(workers, WORKER_MESSAGE_HOLD, hold_write, &copy);
}

static bool workers_can_rotate_cids(const struct workers *workers)
{
	for (unsigned i = 0; i < workers->cnt; i++)
		if (!workers->members[i].figures.can_rotate_cids ||
		    worker_mailbox_fill(&workers->members[i].orders) > WORKER_MESSAGE_CNT_MAX / 2)
			return false;
	return true;
}

/* All or none: first the messages, then, as the rings have room, the posting. */
bool workers_try_rotate_cids(struct workers *workers)
{
	struct worker_message *messages[WEFT_CID_WORKER_MAX + 1] = {NULL};
	bool is_ready = workers_can_rotate_cids(workers);

	for (unsigned i = 0; i < workers->cnt && is_ready; i++)
		is_ready =
			(messages[i] = worker_message_new(WORKER_MESSAGE_ROTATE_CIDS, 0)) != NULL;
	for (unsigned i = 0; i < workers->cnt; i++) {
		if (!is_ready) {
			worker_message_free(messages[i]);
			continue;
		}
		/* What it said was of the last generation. */
		workers->members[i].figures.can_rotate_cids = false;
		(void)worker_mailbox_post(&workers->members[i].orders, messages[i]);
	}
	return is_ready;
}
