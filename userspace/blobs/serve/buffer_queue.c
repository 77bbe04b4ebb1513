/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which call gets the next buffer. Calls wait here between blobs_serve_locate and
 * blobs_serve_call_work; what they found is given back meanwhile, so a call that
 * waits holds nothing but its place.
 *
 *	blobs_serve_call_start -> no buffer -> buffer_queue_put
 *	a buffer is given back -> buffer_queue_wake -> queue_run, at the end of
 *	the turn -> serve_call_start again, has_turn
 */
#include "buffer_queue.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "serve_state.h"
#include "blobs/blobs_state.h"

/* Levels of a path of turns; addresses between a network and its keys are no level of their own. */
enum level { LEVEL_CLASS, LEVEL_FAMILY, LEVEL_NETWORK, LEVEL_KEY, LEVEL_CNT };
_Static_assert(LEVEL_CNT <= TURNS_LEVEL_MAX, "turns nest as deep");

static const uint8_t weights[FAIR_CLASS_CNT] = FAIR_PEER_PARTS;

static struct fair_config waiting_config(const char *name)
{
	return (struct fair_config){.name = name,
				    .kind = FAIR_LASTING,
				    .cap_cnt = BUFFER_QUEUE_CAP,
				    .level_cnt = FAIR_PEER_LEVELS,
				    .parts = FAIR_PEER_PARTS,
				    .idle_ns = BUFFER_QUEUE_WAIT_NS,
				    .busy_ns = BUFFER_QUEUE_WAIT_NS};
}

#define ACCOUNT_CAP (LEVEL_CNT * (BUFFER_QUEUE_CAP + 1))

static struct serve_call *call_of_turn(const struct turns_item *item)
{
	return container_of(item, struct serve_call, turn);
}

static struct serve_call *call_of_place(struct fair_item *item)
{
	return container_of(item, struct serve_call, place);
}

/* --- which call may have a buffer --- */

/* The level of path's account in base/fair/fair that level is. */
static unsigned fair_level(const struct fair_path *path, unsigned level)
{
	unsigned last = path->level_cnt - 1u;

	if (level == LEVEL_KEY || level - LEVEL_FAMILY > last)
		return last;
	return level - LEVEL_FAMILY;
}

static uint32_t call_held(void *arg, const struct turns_item *item, unsigned level)
{
	struct buffer_queue *queue = arg;
	struct fair_path path = call_of_turn(item)->path;

	/* Classes are shared by their weights. */
	if (level == LEVEL_CLASS)
		return 0;
	/* Without floors the useful hold as the known. */
	if (path.class == FAIR_USEFUL)
		path.class = FAIR_KNOWN;
	return fair_held(queue->slots, &path, fair_level(&path, level));
}

/* An eighth, which is left to some; every pool has one such buffer. */
static uint32_t eighth(const struct buffer_queue *queue)
{
	return queue->buffers->cap_cnt >= 8 ? queue->buffers->cap_cnt / 8 : 1;
}

/* Unknown peers leave an eighth to peers that this node knows, where there are eight. */
static uint32_t free_for(const struct buffer_queue *queue, const struct serve_call *call)
{
	uint32_t free_cnt = queue->buffers->free_cnt, left = queue->buffers->cap_cnt / 8;

	if (call->path.class != FAIR_UNKNOWN)
		return free_cnt;
	return free_cnt > left ? free_cnt - left : 0;
}

static bool threshold_allows(struct buffer_queue *queue, const struct serve_call *call)
{
	return fair_may_hold(queue->slots, &call->path, free_for(queue, call));
}

bool blobs_buffer_queue_admits(struct buffer_queue *queue, const struct serve_call *call)
{
	/* No call passes those that wait. */
	return !queue->turns.cnt && threshold_allows(queue, call);
}

static bool call_may(void *arg, const struct turns_item *item)
{
	struct buffer_queue *queue = arg;
	const struct serve_call *call = call_of_turn(item);
	uint32_t free_cnt = free_for(queue, call);

	if (queue->turns.account_cnts[LEVEL_NETWORK] <= 1)
		return threshold_allows(queue, call);
	if (free_cnt == 0 || call->path.class == FAIR_CHOSEN)
		return free_cnt > 0;
	return free_cnt > eighth(queue) || call_held(queue, item, LEVEL_NETWORK) == 0;
}

/* --- in and out --- */

static struct turns_path turns_path_of(const struct fair_path *path)
{
	struct turns_path turns = {.weight = weights[path->class]};

	turns.ids[LEVEL_CLASS] = path->class;
	turns_peer_ids(path, turns.ids + LEVEL_FAMILY);
	return turns;
}

static void timer_follow(struct buffer_queue *queue)
{
	struct timer_wheel *timers = queue->serve->content->params.timers;
	uint64_t next_ns;

	if (fair_overdue(&queue->waiting, queue->serve->now_ns, &next_ns))
		next_ns = queue->serve->now_ns;
	if (next_ns == UINT64_MAX)
		timer_cancel(timers, &queue->timer);
	else
		timer_set(timers, &queue->timer, next_ns);
}

/* The asker left: the call has nothing but its place in the list. */
static void waiting_abandoned(void *arg)
{
	struct serve_call *call = arg;

	call->incoming = NULL;
	blobs_serve_call_drop(call);
}

static bool place_take(struct buffer_queue *queue, struct serve_call *call)
{
	struct fair_item *victim;

	switch (fair_take(&queue->waiting, &call->path, &call->place, queue->serve->now_ns,
			  &victim)) {
	case FAIR_TAKEN:
		return true;
	case FAIR_TAKEN_FROM:
		blobs_serve_call_refuse_busy(call_of_place(victim), &queue->waiting);
		return true;
	case FAIR_BUSY:
		break;
	}
	return false;
}

void blobs_buffer_queue_put(struct buffer_queue *queue, struct serve_call *call)
{
	struct serve *serve = queue->serve;
	struct turns_path path = turns_path_of(&call->path);
	struct turns_item *none;
	int err;

	blobs_serve_leave_place(call);
	/* Its way begins again with its turn. */
	call->seen_cnt = call->try_cnt = 0;
	if (queue->is_ended || !call->incoming ||
	    serve->now_ns - call->asked_ns > BUFFER_QUEUE_AGE_NS) {
		blobs_serve_call_refuse_busy(call, queue->slots);
		return;
	}
	if (!place_take(queue, call)) {
		blobs_serve_call_refuse_busy(call, &queue->waiting);
		return;
	}
	call->turn.cost_len = 1;
	err = turns_push(&queue->turns, &call->turn, &path, serve->now_ns, &none);
	weft_assert(err == 0); /* there are accounts for as many as wait */
	serve_mesh(serve)->hurry(serve->content->params.mesh.mesh);
	serve_mesh(serve)->abandoned(call->incoming, waiting_abandoned, call);
	blobs_buffer_queue_wake(queue);
}

void blobs_buffer_queue_leave(struct buffer_queue *queue, struct serve_call *call)
{
	turns_remove(&queue->turns, &call->turn);
	fair_release(&queue->waiting, &call->place, queue->serve->now_ns);
}

/* Not now: the call that gives a buffer back may be in the middle of its answer. */
void blobs_buffer_queue_wake(struct buffer_queue *queue)
{
	if (queue->turns.cnt)
		timer_set(queue->serve->content->params.timers, &queue->timer, 0);
}

/* --- turns --- */

static void call_go(struct buffer_queue *queue, struct serve_call *call)
{
	blobs_buffer_queue_leave(queue, call);
	blobs_serve_call_start(call);
}

static bool buffer_is_used(const struct buffer_queue *queue, const struct chunk_name *name)
{
	const struct chunk_buffer *buffer = blobs_chunk_buffers_peek(queue->buffers, name);

	return buffer && buffer->use_cnt > 0;
}

static struct serve_call *sharer_find(const struct buffer_queue *queue,
				      const struct chunk_name *name)
{
	struct turns_item *item = NULL;

	while ((item = turns_next(&queue->turns, item))) {
		struct serve_call *call = call_of_turn(item);

		if (call->is_named && memcmp(&call->name, name, sizeof(*name)) == 0)
			return call;
	}
	return NULL;
}

/* All others that wait for what is in a buffer now, or on its way into one, share it. */
static void sharers_go(struct buffer_queue *queue, const struct chunk_name *name)
{
	struct serve_call *call;

	while (buffer_is_used(queue, name) && (call = sharer_find(queue, name)))
		call_go(queue, call);
}

static void queue_run(struct timer *timer, uint64_t now_ns)
{
	struct buffer_queue *queue = container_of(timer, struct buffer_queue, timer);
	const struct turns_pick pick = {.may = call_may, .held = call_held, .arg = queue};
	struct turns_item *item;
	struct fair_item *late;
	uint64_t next_ns;

	queue->serve->now_ns = now_ns;
	while ((late = fair_overdue(&queue->waiting, now_ns, &next_ns)))
		blobs_serve_call_refuse_busy(call_of_place(late), queue->slots);
	while (queue->buffers->free_cnt && (item = turns_pop(&queue->turns, &pick, now_ns))) {
		struct serve_call *call = call_of_turn(item);
		struct chunk_name name = call->name;
		bool is_named = call->is_named;

		call->has_turn = true;
		call_go(queue, call);
		if (is_named)
			sharers_go(queue, &name);
	}
	timer_follow(queue);
}

int blobs_buffer_queue_init(struct buffer_queue *queue, struct arena *arena,
			    const struct buffer_queue_params *params, const uint64_t secret[2])
{
	static const struct turns_config turns = {.quantum_len = 1, .level_cnt = LEVEL_CNT};
	struct fair_config waiting = waiting_config(params->name);
	int err = fair_init(&queue->waiting, arena, &waiting, secret);

	if (!err)
		err = pool_init(&queue->accounts, arena, sizeof(struct turns_account), ACCOUNT_CAP);
	queue->serve = params->serve;
	queue->buffers = params->buffers;
	queue->slots = params->slots;
	turns_init(&queue->turns, &queue->accounts, &turns);
	timer_init(&queue->timer, queue_run);
	return err;
}

void blobs_buffer_queue_fini(struct buffer_queue *queue)
{
	struct turns_item *item;

	/* One that was never made has nothing to end. */
	if (!queue->serve)
		return;
	queue->is_ended = true;
	while ((item = turns_next(&queue->turns, NULL)))
		blobs_serve_call_refuse_busy(call_of_turn(item), queue->slots);
	timer_cancel(queue->serve->content->params.timers, &queue->timer);
}
