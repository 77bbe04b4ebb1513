/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crew as home sees it: orders go out, reports come in. A full mailbox
 * never loses an order that matters, for home gives it again.
 */
#include "node/crew/crew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/random.h"
#include "node/bans/ban_list.h"
#include "node/config/config.h"
#include "node/crew/crew_content.h"
#include "node/crew/crew_member.h"
#include "node/crew/upload_parts.h"
#include "weft/cid.h"

/* A worker takes orders every turn, and turns last microseconds. */
#define STOP_WAIT_NS NS_PER_S
/* For what comes after draining: closing tables and sockets. */
#define END_WAIT_NS (10 * NS_PER_S)

struct crew {
	struct crew_params params;
	unsigned cnt;
	int fd; /* reports of all of them */
	bool is_stopping;
	struct arena arena;
	struct pool sessions;
	struct map sessions_by_key; /* the newest of each peer */
	struct crew_member members[];
};

static int crew_lay_out(struct crew *crew)
{
	uint32_t cap = crew->cnt * crew->params.config->mesh.session_cap;
	struct random random;
	uint64_t secret[2];
	int err;

	random_init_system(&random);
	random_fill(&random, secret, sizeof(secret));
	err = arena_open(&crew->arena, pool_footprint(sizeof(struct crew_session), cap) +
					       map_footprint(MESH_KEY_LEN, cap));
	if (!err)
		err = pool_init(&crew->sessions, &crew->arena, sizeof(struct crew_session), cap);
	return err ? err
		   : map_init(&crew->sessions_by_key, &crew->arena, MESH_KEY_LEN, cap, secret);
}

static int crew_init_members(struct crew *crew, char *what)
{
	const struct crew_params *params = &crew->params;
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

	for (unsigned i = 0; i < crew->cnt && !err; i++) {
		struct crew_member *member = &crew->members[i];

		worker.idx = i + 1;
		err = crew_member_init(member, &worker, crew->fd, what);
		if (!err && params->config->fabric.is_on)
			err = stream_inlet_open(&member->inlet, params->mesh,
						params->config->mesh.stream_cap,
						&member->stream_orders, &member->stream_reports);
	}
	return err;
}

int crew_new(const struct crew_params *params, struct crew **out_crew, char *what)
{
	unsigned cnt = params->config->worker_cnt - 1;
	struct crew *crew = calloc(1, sizeof(*crew) + cnt * sizeof(crew->members[0]));
	int err;

	snprintf(what, NODE_WHAT_CAP, "workers");
	if (!crew)
		return -ENOMEM;
	crew->params = *params;
	crew->cnt = cnt;
	crew->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = crew->fd < 0 ? -errno : crew_lay_out(crew);
	if (!err)
		err = crew_init_members(crew, what);
	if (err < 0) {
		crew_free(crew);
		return err;
	}
	*out_crew = crew;
	return 0;
}

int crew_start(struct crew *crew, char *what)
{
	int err = 0;

	for (unsigned i = 0; i < crew->cnt && !err; i++)
		err = crew_member_start(&crew->members[i], what);
	return err;
}

void crew_stop(struct crew *crew)
{
	crew->is_stopping = true;
	for (unsigned i = 0; i < crew->cnt; i++)
		if (crew->members[i].is_running &&
		    !crew_member_stop(&crew->members[i], STOP_WAIT_NS))
			log_warn("worker %u takes no orders, so it is not told to stop", i + 1);
}

void crew_free(struct crew *crew)
{
	uint64_t wait_ns;

	if (!crew)
		return;
	wait_ns = crew->params.config->drain_timeout_ns + END_WAIT_NS;
	crew_stop(crew);
	for (unsigned i = 0; i < crew->cnt; i++) {
		if (!crew_member_join(&crew->members[i], wait_ns)) {
			log_error("worker %u does not end; ending the process", i + 1);
			abort();
		}
		stream_inlet_close(&crew->members[i].inlet, clock_monotonic_ns());
		crew_member_fini(&crew->members[i]);
	}
	if (crew->fd >= 0)
		close(crew->fd);
	arena_close(&crew->arena);
	free(crew);
}

/* A peer may have sessions with several workers; the newest stands for them. */
static void session_heard(struct crew *crew, unsigned worker_idx, const struct letter *letter)
{
	const struct mesh_peer_info *peer = &letter->session.peer;
	struct crew_session *session = map_lookup(&crew->sessions_by_key, peer->key);

	if (letter->session.is_up && !session) {
		session = pool_acquire(&crew->sessions);
		if (session && map_put(&crew->sessions_by_key, peer->key, session) < 0) {
			pool_release(&crew->sessions, session);
			session = NULL;
		}
	}
	if (letter->session.is_up && session) {
		session->peer = *peer;
		session->worker_idx = worker_idx;
	} else if (session && session->worker_idx == worker_idx) {
		(void)map_delete(&crew->sessions_by_key, peer->key);
		pool_release(&crew->sessions, session);
	}
	crew->params.on_session(crew->params.ctx, peer, letter->session.is_up);
}

static void sessions_heard(struct crew *crew, unsigned worker_idx, const struct letter *letter)
{
	const struct mesh_peer_info *peers = (const void *)letter->bytes;

	for (unsigned i = 0; i < letter->sessions.cnt; i++) {
		struct crew_session *session = map_lookup(&crew->sessions_by_key, peers[i].key);

		if (session && session->worker_idx == worker_idx)
			session->peer = peers[i];
	}
}

static void letter_heard(struct crew *crew, struct crew_member *member, const struct letter *letter)
{
	const struct crew_params *params = &crew->params;

	switch (letter->kind) {
	case LETTER_SESSION:
		session_heard(crew, member->params.idx, letter);
		break;
	case LETTER_SESSIONS:
		sessions_heard(crew, member->params.idx, letter);
		break;
	case LETTER_ARRIVALS:
		params->on_arrivals(params->ctx, member->params.idx, &letter->arrivals);
		break;
	case LETTER_FAILURE:
		params->on_failure(params->ctx, &letter->failure);
		break;
	case LETTER_PATHS:
		for (unsigned i = 0; i < letter->paths.cnt; i++)
			params->on_path(params->ctx, &letter->paths.remotes[i]);
		break;
	case LETTER_QUEUE_LEFT:
		params->on_queue_left(params->ctx, &letter->queue.at, letter->queue.err);
		break;
	case LETTER_FINDING:
		params->on_finding(params->ctx,
				   &(struct content_finding){letter->finding.is_changed,
							     letter->bytes, letter->finding.len});
		break;
	case LETTER_SAMPLE:
		params->on_sample(params->ctx, &letter->sample);
		break;
	case LETTER_MEMBER:
		params->on_member(params->ctx, member->params.idx, &letter->member);
		break;
	case LETTER_USAGES:
		for (unsigned i = 0; i < letter->usages.cnt; i++)
			params->on_usage(params->ctx,
					 (const struct content_usage *)letter->bytes + i);
		break;
	case LETTER_SERVED:
		params->on_served(params->ctx, letter->served.manifest_id, letter->served.len);
		break;
	default:
		member->figures = letter->figures;
		break;
	}
}

/* Once: from then on it is known to be over. */
static void end_heard(struct crew *crew, struct crew_member *member)
{
	if (crew->is_stopping || !member->is_running || member->is_over ||
	    !crew_member_has_ended(member))
		return;
	crew->params.on_ended(crew->params.ctx, member->params.idx, member->err);
}

bool crew_reap(struct crew *crew, uint64_t now_ns)
{
	struct letter *letter;
	bool had_some = false;

	mailbox_rest(crew->fd);
	for (unsigned i = 0; i < crew->cnt; i++) {
		while ((letter = mailbox_take(&crew->members[i].reports))) {
			letter_heard(crew, &crew->members[i], letter);
			letter_free(letter);
			had_some = true;
		}
		had_some |= stream_inlet_read(&crew->members[i].inlet, now_ns);
		end_heard(crew, &crew->members[i]);
	}
	return had_some;
}

bool crew_flush(struct crew *crew)
{
	bool is_busy = false;

	for (unsigned i = 0; i < crew->cnt; i++)
		is_busy |= stream_inlet_flush(&crew->members[i].inlet);
	return is_busy;
}

int crew_fd(const struct crew *crew)
{
	return crew->fd;
}

unsigned crew_cnt(const struct crew *crew)
{
	return crew->cnt;
}

const struct worker_figures *crew_figures(const struct crew *crew, unsigned idx)
{
	return &crew->members[idx - 1].figures;
}

unsigned crew_report_cnt(const struct crew *crew, unsigned idx)
{
	return mailbox_fill(&crew->members[idx - 1].reports);
}

uint64_t crew_order_lost_cnt(const struct crew *crew, unsigned idx)
{
	return crew->members[idx - 1].orders.lost_cnt;
}

const struct crew_session *crew_session_lookup(const struct crew *crew,
					       const uint8_t key[static MESH_KEY_LEN])
{
	return map_lookup(&crew->sessions_by_key, key);
}

const struct crew_session *crew_session_next(const struct crew *crew,
					     const struct crew_session *session)
{
	return pool_next(&crew->sessions, session);
}

/* Posts to every worker what write makes of a new letter, which may find no memory for it. */
typedef bool (*letter_write_fn)(struct letter *letter, void *arg);

static bool crew_spread(struct crew *crew, enum letter_kind kind, letter_write_fn write, void *arg)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(kind, 0);

		if (letter && !write(letter, arg)) {
			letter_free(letter);
			letter = NULL;
		}
		is_spread &= mailbox_post(&crew->members[i].orders, letter);
	}
	return is_spread;
}

static bool reach_write(struct letter *letter, void *arg)
{
	letter->reach = content_reach_copy(arg);
	return letter->reach != NULL;
}

bool crew_spread_reach(struct crew *crew, struct content *content)
{
	return crew_spread(crew, LETTER_REACH, reach_write, content);
}

static bool partials_write(struct letter *letter, void *arg)
{
	letter->partials = content_partials_copy(arg);
	return letter->partials != NULL;
}

bool crew_spread_partials(struct crew *crew, struct content *content)
{
	return crew_spread(crew, LETTER_PARTIALS, partials_write, content);
}

bool crew_spread_limits(struct crew *crew, const uint64_t values[static CONTENT_LIMIT_CNT],
			const struct crew_content *state)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_LIMITS, 0);

		if (letter) {
			memcpy(letter->limits.values, values, sizeof(letter->limits.values));
			letter->limits.upload_part = state->parts[i + 1].part;
			memcpy(letter->limits.credits, state->credits[i + 1].credits,
			       sizeof(letter->limits.credits));
		}
		is_spread &= mailbox_post(&crew->members[i].orders, letter);
	}
	return is_spread;
}

void crew_spread_member(struct crew *crew, unsigned but_idx, const struct content_member *member)
{
	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter;

		/* Peers cause these: they leave room for what home has to say. */
		if (i + 1 == but_idx || mailbox_fill(&crew->members[i].orders) > LETTER_CNT_MAX / 2)
			continue;
		letter = letter_new(LETTER_MEMBER, 0);
		if (letter)
			letter->member = *member;
		(void)mailbox_post(&crew->members[i].orders, letter);
	}
}

struct bans_order {
	const struct ban_list *bans;
	uint64_t wall_s, now_ns;
};

static bool bans_write(struct letter *letter, void *arg)
{
	const struct bans_order *order = arg;

	letter->bans = ban_list_copy(order->bans, order->wall_s, order->now_ns);
	return letter->bans != NULL;
}

bool crew_spread_bans(struct crew *crew, const struct ban_list *bans, uint64_t wall_s,
		      uint64_t now_ns)
{
	struct bans_order order = {bans, wall_s, now_ns};

	return crew_spread(crew, LETTER_BANS, bans_write, &order);
}

static bool policy_write(struct letter *letter, void *arg)
{
	letter->policy = *(const struct weft_config *)arg;
	return true;
}

bool crew_spread_policy(struct crew *crew, const struct weft_config *part)
{
	struct weft_config copy = *part;

	return crew_spread(crew, LETTER_POLICY, policy_write, &copy);
}

static bool caps_write(struct letter *letter, void *arg)
{
	const uint32_t *caps = arg;

	letter->caps = *caps;
	return true;
}

bool crew_spread_caps(struct crew *crew, uint32_t caps)
{
	return crew_spread(crew, LETTER_CAPS, caps_write, &caps);
}

bool crew_spread_shares(struct crew *crew, const struct mesh_share *shares, uint32_t cnt)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_SHARES, cnt * sizeof(*shares));

		if (letter) {
			letter->shares.cnt = cnt;
			if (cnt)
				memcpy(letter->bytes, shares, cnt * sizeof(*shares));
		}
		is_spread &= mailbox_post(&crew->members[i].orders, letter);
	}
	return is_spread;
}

static bool config_write(struct letter *letter, void *arg)
{
	const struct node_config *const *live = arg;

	letter->config.quic = (*live)->quic;
	letter->config.mesh = (*live)->mesh;
	letter->config.content = (*live)->content;
	return true;
}

bool crew_configure(struct crew *crew, const struct node_config *live)
{
	return crew_spread(crew, LETTER_CONFIGURE, config_write, &live);
}

struct wall_order {
	uint64_t wall_s, now_ns;
};

static bool wall_write(struct letter *letter, void *arg)
{
	const struct wall_order *order = arg;

	letter->wall.wall_s = order->wall_s;
	letter->wall.now_ns = order->now_ns;
	return true;
}

void crew_set_wall(struct crew *crew, uint64_t wall_s, uint64_t now_ns)
{
	struct wall_order order = {wall_s, now_ns};

	(void)crew_spread(crew, LETTER_WALL, wall_write, &order);
}

static bool queue_order(struct crew *crew, unsigned idx, enum letter_kind kind,
			const struct crew_queue *queue)
{
	struct letter *letter = letter_new(kind, 0);

	if (letter)
		letter->queue.at = *queue;
	return mailbox_post(&crew->members[idx - 1].orders, letter);
}

bool crew_add_queue(struct crew *crew, unsigned idx, const struct crew_queue *queue)
{
	return queue_order(crew, idx, LETTER_ADD_QUEUE, queue);
}

bool crew_remove_queue(struct crew *crew, unsigned idx, const struct crew_queue *queue)
{
	return queue_order(crew, idx, LETTER_REMOVE_QUEUE, queue);
}

struct mtu_order {
	unsigned device;
	uint32_t mtu;
};

static bool mtu_write(struct letter *letter, void *arg)
{
	const struct mtu_order *order = arg;

	letter->mtu.device = order->device;
	letter->mtu.mtu = order->mtu;
	return true;
}

void crew_set_mtu(struct crew *crew, unsigned device, uint32_t mtu)
{
	struct mtu_order order = {device, mtu};

	(void)crew_spread(crew, LETTER_MTU, mtu_write, &order);
}

static bool wake_write(struct letter *letter, void *arg)
{
	(void)letter;
	(void)arg;
	return true;
}

void crew_wake(struct crew *crew)
{
	(void)crew_spread(crew, LETTER_WAKE, wake_write, NULL);
}

static bool hold_write(struct letter *letter, void *arg)
{
	letter->hold = *(const struct udp_hold *)arg;
	return true;
}

void crew_hold(struct crew *crew, const struct udp_hold *hold)
{
	struct udp_hold copy = *hold;

	(void)crew_spread(crew, LETTER_HOLD, hold_write, &copy);
}

static bool crew_can_rotate_cids(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->cnt; i++)
		if (!crew->members[i].figures.can_rotate_cids ||
		    mailbox_fill(&crew->members[i].orders) > LETTER_CNT_MAX / 2)
			return false;
	return true;
}

/* All or none: first the letters, then, as the rings have room, the posting. */
bool crew_try_rotate_cids(struct crew *crew)
{
	struct letter *letters[WEFT_CID_WORKER_MAX + 1] = {NULL};
	bool is_ready = crew_can_rotate_cids(crew);

	for (unsigned i = 0; i < crew->cnt && is_ready; i++)
		is_ready = (letters[i] = letter_new(LETTER_ROTATE_CIDS, 0)) != NULL;
	for (unsigned i = 0; i < crew->cnt; i++) {
		if (!is_ready) {
			letter_free(letters[i]);
			continue;
		}
		/* What it said was of the last generation. */
		crew->members[i].figures.can_rotate_cids = false;
		(void)mailbox_post(&crew->members[i].orders, letters[i]);
	}
	return is_ready;
}
