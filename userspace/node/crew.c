/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and letters. A letter is allocated by who writes it and freed by
 * who reads it; a full ring loses reports (figures come again, the rest is
 * counted) and never orders, which home repeats.
 *
 * The functions on top, to the line below, run on a worker of the crew, the
 * rest on home.
 */
#include "node/crew.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/privilege.h"
#include "base/random.h"
#include "base/ring.h"
#include "net/handover.h"
#include "node/ban_list.h"
#include "node/config.h"
#include "node/gate.h"
#include "node/node.h"
#include "weft/cid.h"

/* Letters under way each way between home and one worker. Power of two. */
#define LETTER_CNT_MAX 1024
/* Proven paths that go together: those of all connections are told again and again. */
#define LETTER_PATHS_MAX 32
#define REPORT_NS	 (200 * NS_PER_MS)

enum letter_kind {
	LETTER_REACH, /* orders */
	LETTER_CONFIGURE,
	LETTER_BANS,
	LETTER_POLICY,
	LETTER_WALL,
	LETTER_ROTATE_CIDS,
	LETTER_STOP,
	LETTER_SESSION, /* reports */
	LETTER_FAILURE,
	LETTER_PATHS,
	LETTER_FINDING,
	LETTER_SERVED,
	LETTER_SAMPLE,
	LETTER_FIGURES,
};

struct letter {
	enum letter_kind kind;
	union {
		struct reach *reach;
		struct ban_set *bans;
		struct weft_config policy;
		struct {
			struct quic_config quic;
			struct mesh_config mesh;
			struct content_config content;
		} config;
		struct {
			uint64_t wall_s, now_ns;
		} wall;
		struct {
			struct mesh_peer_info peer;
			bool is_up;
		} session;
		struct mesh_failure failure;
		struct {
			unsigned cnt;
			struct addr remotes[LETTER_PATHS_MAX];
		} paths;
		struct {
			bool is_changed;
			size_t len;
		} finding; /* its bytes follow the letter */
		struct {
			uint8_t manifest_id[32];
			uint64_t len;
		} served;
		struct weft_sample sample;
		struct worker_figures figures;
	};
	uint8_t bytes[];
};

struct mailbox {
	struct ring *letters;
	int fd;
	uint64_t lost_cnt; /* the writer's */
};

/* The worker's thread owns worker, report_timer and random; home the rest. */
struct crew_member {
	struct crew *crew;
	struct worker worker;
	struct worker_params params;
	struct random random;
	struct timer report_timer;
	struct poller_watch orders_watch;
	uint64_t reported_turn_cnt;
	bool is_stopping;
	unsigned path_cnt; /* of paths, that wait for the turn's end */
	struct addr paths[LETTER_PATHS_MAX];

	struct mailbox orders;	/* home writes */
	struct mailbox reports; /* the worker writes */
	struct worker_figures figures;
	pthread_t thread;
	sem_t is_open; /* posted once err and what are set */
	int err;
	char what[NODE_WHAT_CAP];
	bool is_running;
};

struct crew {
	struct crew_params params;
	unsigned cnt;
	int fd; /* reports of all of them */
	struct arena arena;
	struct pool sessions;
	struct map sessions_by_key; /* the newest of each peer */
	struct crew_member members[];
};

static void wake(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void wake_clear(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

/* Takes letter on success. */
static bool mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	if (!letter || ring_push(mailbox->letters, letter) < 0) {
		mailbox->lost_cnt++;
		return false;
	}
	wake(mailbox->fd);
	return true;
}

/*
 * Allocated, for they are few: a letter goes with a session, a finding about
 * a file, an order, and figures some times a second; never with a packet or
 * a chunk. No more are out than the rings hold.
 */
static struct letter *letter_new(enum letter_kind kind, size_t bytes_len)
{
	struct letter *letter = malloc(sizeof(*letter) + bytes_len);

	if (letter)
		letter->kind = kind;
	return letter;
}

static void letter_free(struct letter *letter)
{
	if (letter && letter->kind == LETTER_REACH)
		content_reach_free(letter->reach);
	if (letter && letter->kind == LETTER_BANS)
		free(letter->bans);
	free(letter);
}

static bool member_report(struct crew_member *member, struct letter *letter)
{
	if (mailbox_post(&member->reports, letter))
		return true;
	letter_free(letter);
	return false;
}

static void member_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up)
{
	struct letter *letter = letter_new(LETTER_SESSION, 0);

	if (letter) {
		letter->session.peer = *peer;
		letter->session.is_up = is_up;
	}
	(void)member_report(ctx, letter);
}

static void member_on_failure(void *ctx, const struct mesh_failure *failure)
{
	struct letter *letter = letter_new(LETTER_FAILURE, 0);

	if (letter)
		letter->failure = *failure;
	(void)member_report(ctx, letter);
}

static void member_tell_paths(struct crew_member *member)
{
	struct letter *letter = letter_new(LETTER_PATHS, 0);

	if (letter) {
		letter->paths.cnt = member->path_cnt;
		memcpy(letter->paths.remotes, member->paths,
		       member->path_cnt * sizeof(member->paths[0]));
	}
	(void)member_report(member, letter);
	member->path_cnt = 0;
}

static void member_on_path(void *ctx, const struct addr *remote)
{
	struct crew_member *member = ctx;

	member->paths[member->path_cnt++] = *remote;
	if (member->path_cnt == LETTER_PATHS_MAX)
		member_tell_paths(member);
}

static void member_on_finding(void *ctx, const struct content_finding *finding)
{
	struct letter *letter = letter_new(LETTER_FINDING, finding->len);

	if (letter) {
		letter->finding.is_changed = finding->is_changed;
		letter->finding.len = finding->len;
		memcpy(letter->bytes, finding->bytes, finding->len);
	}
	(void)member_report(ctx, letter);
}

static void member_on_served(void *ctx, const uint8_t manifest_id[static 32], uint64_t len)
{
	struct letter *letter = letter_new(LETTER_SERVED, 0);

	if (letter) {
		memcpy(letter->served.manifest_id, manifest_id, 32);
		letter->served.len = len;
	}
	(void)member_report(ctx, letter);
}

static void member_on_sample(void *ctx, const struct weft_sample *sample)
{
	struct letter *letter = letter_new(LETTER_SAMPLE, 0);

	if (letter)
		letter->sample = *sample;
	(void)member_report(ctx, letter);
}

void worker_figures_read(const struct worker *worker, struct worker_figures *out_figures)
{
	*out_figures = (struct worker_figures){
		.rx = worker->rx->counters,
		.tx = worker->tx->counters,
		.turn_cnt = worker->turn_cnt,
		.unknown_flow_cnt = worker->unknown_flow_cnt,
		.can_rotate_cids = quic_engine_can_rotate_cids(worker->quic),
	};
	quic_engine_stats(worker->quic, &out_figures->quic);
	mesh_stats(worker->mesh, &out_figures->mesh);
	content_stats(worker->content, &out_figures->content);
	if (worker->gate)
		memcpy(out_figures->judged, gate_counters(worker->gate),
		       sizeof(out_figures->judged));
	if (!worker->handover)
		return;
	out_figures->handed_in_cnt = handover_rx(worker->handover, worker->idx)->counters.dgram_cnt;
	out_figures->handover_dropped_cnt = handover_dropped_cnt(worker->handover, worker->idx);
}

static void member_tell_figures(struct crew_member *member)
{
	struct letter *letter = letter_new(LETTER_FIGURES, 0);

	content_served_each(member->worker.content, member_on_served, member);
	if (letter)
		worker_figures_read(&member->worker, &letter->figures);
	(void)member_report(member, letter);
	member->reported_turn_cnt = member->worker.turn_cnt;
}

static void report_due(struct timer *timer, uint64_t now_ns)
{
	struct crew_member *member =
		(struct crew_member *)((char *)timer - offsetof(struct crew_member, report_timer));

	(void)now_ns;
	member_tell_figures(member);
}

static void member_obey(struct crew_member *member, struct letter *letter)
{
	switch (letter->kind) {
	case LETTER_REACH:
		content_take_reach(member->worker.content, letter->reach);
		letter->reach = NULL;
		break;
	case LETTER_CONFIGURE:
		quic_engine_configure(member->worker.quic, &letter->config.quic);
		mesh_configure(member->worker.mesh, &letter->config.mesh);
		content_configure(member->worker.content, &letter->config.content);
		break;
	case LETTER_BANS:
		worker_take_bans(&member->worker, letter->bans, member->worker.now_ns);
		letter->bans = NULL;
		break;
	case LETTER_POLICY:
		gate_configure(member->worker.gate, &letter->policy);
		break;
	case LETTER_WALL:
		worker_set_wall(&member->worker, letter->wall.wall_s, letter->wall.now_ns);
		break;
	case LETTER_ROTATE_CIDS:
		worker_rotate_cids(&member->worker);
		member_tell_figures(member);
		break;
	default:
		member->is_stopping = true;
		break;
	}
	letter_free(letter);
}

static bool member_turn(struct crew_member *member, uint64_t now_ns)
{
	struct worker *worker = &member->worker;
	struct letter *letter;
	bool is_busy = worker_turn(worker, now_ns);

	while ((letter = ring_pop(member->orders.letters)))
		member_obey(member, letter);
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
	wake_clear(watch->fd);
}

static void member_drain(struct crew_member *member)
{
	struct worker *worker = &member->worker;
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t deadline_ns = now_ns + member->params.config->drain_timeout_ns;

	worker_goodbye(worker, now_ns);
	do {
		(void)worker_turn(worker, now_ns);
		if (poller_wait(worker->poller, now_ns + NS_PER_MS) < 0)
			break;
		now_ns = clock_monotonic_ns();
	} while (now_ns < deadline_ns && worker_is_draining(worker));
	member_tell_figures(member);
}

static void member_run(struct crew_member *member)
{
	struct worker *worker = &member->worker;

	while (!member->is_stopping) {
		bool is_busy = member_turn(member, clock_monotonic_ns());

		if (poller_wait(worker->poller, is_busy ? 0 : worker_next_ns(worker)) < 0)
			break;
	}
	member_drain(member);
}

static void *member_main(void *arg)
{
	struct crew_member *member = arg;
	bool is_open;

	/* Devices are attached by home alone. */
	(void)privilege_drop();
	timer_init(&member->report_timer, report_due);
	member->orders_watch.fd = member->orders.fd;
	member->orders_watch.ready = orders_ready;
	member->err = worker_open(&member->worker, &member->params, member->what);
	if (member->err == 0)
		member->err = poller_add(member->worker.poller, &member->orders_watch, POLLER_IN);
	is_open = member->err == 0;
	sem_post(&member->is_open);
	if (is_open)
		member_run(member);
	worker_close(&member->worker);
	return NULL;
}

/* ------------------------------------------------------------------ home */

static int mailbox_init(struct mailbox *mailbox, int fd)
{
	mailbox->letters = ring_new(LETTER_CNT_MAX);
	mailbox->fd = fd;
	return mailbox->letters && fd >= 0 ? 0 : -ENOMEM;
}

static void mailbox_fini(struct mailbox *mailbox)
{
	struct letter *letter;

	while (mailbox->letters && (letter = ring_pop(mailbox->letters)))
		letter_free(letter);
	ring_free(mailbox->letters);
}

static int member_start(struct crew_member *member, char *what)
{
	const struct crew_params *params = &member->crew->params;
	int err;

	random_init_system(&member->random);
	member->params = (struct worker_params){
		.idx = member->worker.idx,
		.handover = params->handover,
		.listen = params->listen,
		.cid_epoch = params->cid_epoch,
		.config = params->config,
		.key = params->key,
		.random = &member->random,
		.store = params->store,
		.now_ns = clock_monotonic_ns(),
		.wall_s = clock_wall_s(),
		.advertised = params->advertised,
		.advertised_cnt = params->advertised_cnt,
		.on_session = member_on_session,
		.on_failure = member_on_failure,
		.on_path = member_on_path,
		.on_finding = member_on_finding,
		.on_sample = member_on_sample,
		.ctx = member,
	};
	/* Here and not on the thread: the order of binding is the order of workers. */
	err = worker_listen(&member->worker, &member->params, what);
	if (err < 0)
		return err;
	snprintf(what, NODE_WHAT_CAP, "thread of worker %u", member->worker.idx);
	err = -pthread_create(&member->thread, NULL, member_main, member);
	if (err < 0) {
		worker_close(&member->worker);
		return err;
	}
	member->is_running = true;
	while (sem_wait(&member->is_open) < 0)
		;
	if (member->err < 0)
		memcpy(what, member->what, NODE_WHAT_CAP);
	return member->err;
}

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
	for (unsigned i = 0; i < cnt; i++) {
		crew->members[i].crew = crew;
		crew->members[i].worker.idx = i + 1;
		crew->members[i].orders.fd = -1;
		sem_init(&crew->members[i].is_open, 0, 0);
	}
	err = crew_lay_out(crew);
	for (unsigned i = 0; i < cnt && !err; i++) {
		struct crew_member *member = &crew->members[i];

		err = mailbox_init(&member->orders, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
		if (!err)
			err = mailbox_init(&member->reports, crew->fd);
		if (!err)
			err = member_start(member, what);
	}
	if (err < 0) {
		crew_free(crew);
		return err;
	}
	*out_crew = crew;
	return 0;
}

/* An order that must arrive: the ring is emptied by a worker that lives. */
static void member_order(struct crew_member *member, enum letter_kind kind)
{
	struct letter *letter = letter_new(kind, 0);

	while (!mailbox_post(&member->orders, letter)) {
		if (!letter)
			letter = letter_new(kind, 0);
		(void)usleep(1000);
	}
}

void crew_stop(struct crew *crew)
{
	for (unsigned i = 0; i < crew->cnt; i++)
		if (crew->members[i].is_running)
			member_order(&crew->members[i], LETTER_STOP);
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	crew_stop(crew);
	for (unsigned i = 0; i < crew->cnt; i++) {
		struct crew_member *member = &crew->members[i];

		if (member->is_running)
			pthread_join(member->thread, NULL);
		mailbox_fini(&member->orders);
		mailbox_fini(&member->reports);
		if (member->orders.fd >= 0)
			close(member->orders.fd);
		sem_destroy(&member->is_open);
	}
	if (crew->fd >= 0)
		close(crew->fd);
	arena_close(&crew->arena);
	free(crew);
}

/* A peer may have sessions with several workers; the newest stands for them. */
static void session_heard(struct crew_member *member, const struct letter *letter)
{
	struct crew *crew = member->crew;
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
		session->worker_idx = member->worker.idx;
	} else if (session && session->worker_idx == member->worker.idx) {
		(void)map_delete(&crew->sessions_by_key, peer->key);
		pool_release(&crew->sessions, session);
	}
	crew->params.on_session(crew->params.ctx, peer, letter->session.is_up);
}

static void member_heard(struct crew_member *member, const struct letter *letter)
{
	const struct crew_params *params = &member->crew->params;

	switch (letter->kind) {
	case LETTER_SESSION:
		session_heard(member, letter);
		break;
	case LETTER_FAILURE:
		params->on_failure(params->ctx, &letter->failure);
		break;
	case LETTER_PATHS:
		for (unsigned i = 0; i < letter->paths.cnt; i++)
			params->on_path(params->ctx, &letter->paths.remotes[i]);
		break;
	case LETTER_FINDING:
		params->on_finding(params->ctx,
				   &(struct content_finding){letter->finding.is_changed,
							     letter->bytes, letter->finding.len});
		break;
	case LETTER_SAMPLE:
		params->on_sample(params->ctx, &letter->sample);
		break;
	case LETTER_SERVED:
		params->on_served(params->ctx, letter->served.manifest_id, letter->served.len);
		break;
	default:
		member->figures = letter->figures;
		break;
	}
}

unsigned crew_reap(struct crew *crew)
{
	struct letter *letter;
	unsigned cnt = 0;

	wake_clear(crew->fd);
	for (unsigned i = 0; i < crew->cnt; i++) {
		while ((letter = ring_pop(crew->members[i].reports.letters))) {
			member_heard(&crew->members[i], letter);
			letter_free(letter);
			cnt++;
		}
	}
	return cnt;
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

bool crew_spread_reach(struct crew *crew, struct content *content)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_REACH, 0);

		if (letter)
			letter->reach = content_reach_copy(content);
		if (letter && letter->reach && mailbox_post(&crew->members[i].orders, letter))
			continue;
		letter_free(letter);
		is_spread = false;
	}
	return is_spread;
}

bool crew_spread_bans(struct crew *crew, const struct ban_list *bans, uint64_t wall_s,
		      uint64_t now_ns)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_BANS, 0);

		if (letter)
			letter->bans = ban_list_copy(bans, wall_s, now_ns);
		if (letter && letter->bans && mailbox_post(&crew->members[i].orders, letter))
			continue;
		letter_free(letter);
		is_spread = false;
	}
	return is_spread;
}

bool crew_spread_policy(struct crew *crew, const struct weft_config *part)
{
	bool is_spread = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_POLICY, 0);

		if (letter)
			letter->policy = *part;
		if (mailbox_post(&crew->members[i].orders, letter))
			continue;
		letter_free(letter);
		is_spread = false;
	}
	return is_spread;
}

bool crew_configure(struct crew *crew, const struct node_config *live)
{
	bool is_told = true;

	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_CONFIGURE, 0);

		if (letter) {
			letter->config.quic = live->quic;
			letter->config.mesh = live->mesh;
			letter->config.content = live->content;
		}
		if (mailbox_post(&crew->members[i].orders, letter))
			continue;
		letter_free(letter);
		is_told = false;
	}
	return is_told;
}

void crew_set_wall(struct crew *crew, uint64_t wall_s, uint64_t now_ns)
{
	for (unsigned i = 0; i < crew->cnt; i++) {
		struct letter *letter = letter_new(LETTER_WALL, 0);

		if (letter) {
			letter->wall.wall_s = wall_s;
			letter->wall.now_ns = now_ns;
		}
		if (!mailbox_post(&crew->members[i].orders, letter))
			letter_free(letter);
	}
}

static bool crew_can_rotate_cids(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->cnt; i++)
		if (!crew->members[i].figures.can_rotate_cids ||
		    ring_fill(crew->members[i].orders.letters) > LETTER_CNT_MAX / 2)
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
