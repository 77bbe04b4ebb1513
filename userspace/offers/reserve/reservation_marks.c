/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks of reservations that a provider has no more, or not yet, while a copy of their Reserve would
 * still be taken. A Reserve that is marked asks for nothing. One whose Cancel came before it is
 * entered as cancelled. A mark has the share of the session that brought its Reserve, as rows have.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "reservations_state.h"

#define SWEEP_NS (600 * NS_PER_S)

static const struct fair_config mark_pool = {
	.name = "marks of reservations",
	.kind = FAIR_WORK, /* the oldest one goes first: it has the least time left */
	.cap_cnt = RESERVATION_MARKS_MAX,
	.level_cnt = RESERVATION_PATH_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

struct reservation_mark *offers_reservation_mark_lookup(const struct reservations *reservations,
							const uint8_t *id)
{
	return map_lookup(&reservations->marks_by_id, id);
}

static void mark_free(struct reservations *reservations, struct reservation_mark *mark,
		      uint64_t now_ns)
{
	fair_release(&reservations->mark_places, &mark->share, now_ns);
	map_delete(&reservations->marks_by_id, mark->id);
	pool_release(&reservations->marks, mark);
}

void offers_reservation_mark_forget(struct reservations *reservations, const uint8_t *id,
				    uint64_t now_ns)
{
	struct reservation_mark *mark = offers_reservation_mark_lookup(reservations, id);

	if (mark)
		mark_free(reservations, mark, now_ns);
}

/* The record under its id may be that of a row by now. */
static void mark_delete(struct reservations *reservations, struct reservation_mark *mark,
			uint64_t now_ns)
{
	if (!map_lookup(&reservations->by_id, mark->id))
		offers_reservation_keep_delete(reservations, mark->id, now_ns);
	mark_free(reservations, mark, now_ns);
}

static struct reservation_mark *mark_make(struct reservations *reservations, const uint8_t *id,
					  const struct reservation_mark_record *record,
					  uint64_t now_ns)
{
	struct reservation_mark *mark = pool_acquire(&reservations->marks);
	struct fair_item *victim;
	struct fair_path path;

	if (!mark)
		return NULL;
	memcpy(mark->id, id, sizeof(mark->id));
	mark->until_s = record->until_s;
	mark->is_cancelled = record->is_cancelled;
	offers_reservation_path(reservations, record, &path);
	switch (fair_take(&reservations->mark_places, &path, &mark->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		reservations->stats.mark_lost_cnt++;
		mark_delete(reservations, (struct reservation_mark *)victim, now_ns);
		break;
	case FAIR_BUSY:
		reservations->stats.mark_lost_cnt++;
		pool_release(&reservations->marks, mark);
		return NULL;
	}
	if (map_put(&reservations->marks_by_id, mark->id, mark) == 0)
		return mark;
	fair_release(&reservations->mark_places, &mark->share, now_ns);
	pool_release(&reservations->marks, mark);
	return NULL;
}

bool offers_reservation_mark_add(struct reservations *reservations, const uint8_t *id,
				 const struct reservation_mark_record *record,
				 struct reservation_waiter *waiter, uint64_t now_ns)
{
	struct reservation_mark *mark = mark_make(reservations, id, record, now_ns);

	if (!mark)
		return false;
	mark->is_pending = waiter != NULL;
	offers_reservation_keep_mark(reservations, id, record, waiter, now_ns);
	return true;
}

bool offers_reservation_mark_load(struct reservations *reservations, const uint8_t *id,
				  const struct reservation_mark_record *record, uint64_t now_ns)
{
	return record->until_s > offers_reservations_wall_s(reservations) &&
	       mark_make(reservations, id, record, now_ns) != NULL;
}

void offers_reservation_mark_done(struct reservations *reservations, const uint8_t *id, int err,
				  uint64_t now_ns)
{
	struct reservation_mark *mark = offers_reservation_mark_lookup(reservations, id);

	if (!mark)
		return;
	mark->is_pending = false;
	if (err < 0)
		mark_free(reservations, mark, now_ns);
}

/* Those of which no copy is taken any more. */
static void on_sweep(struct timer *timer, uint64_t now_ns)
{
	struct reservations *reservations = container_of(timer, struct reservations, mark_timer);
	uint64_t wall_s = offers_reservations_wall_s(reservations);
	struct reservation_mark *mark = NULL;

	while ((mark = pool_next(&reservations->marks, mark))) {
		if (mark->until_s <= wall_s && !mark->is_pending)
			mark_delete(reservations, mark, now_ns);
	}
	timer_set(reservations->params.timers, timer, now_ns + SWEEP_NS);
}

int offers_reservation_marks_init(struct reservations *reservations, const uint64_t secret[2])
{
	struct arena *arena = &reservations->arena;
	int err;

	timer_init(&reservations->mark_timer, on_sweep);
	/* One more than shares: a mark is made before the one that it evicts has gone. */
	if ((err = fair_init(&reservations->mark_places, arena, &mark_pool, secret)) < 0 ||
	    (err = pool_init(&reservations->marks, arena, sizeof(struct reservation_mark),
			     RESERVATION_MARKS_MAX + 1)) < 0)
		return err;
	return map_init(&reservations->marks_by_id, arena, RESERVATION_ID_LEN,
			RESERVATION_MARKS_MAX + 1, secret);
}

void offers_reservation_marks_begin(struct reservations *reservations, uint64_t now_ns)
{
	timer_set(reservations->params.timers, &reservations->mark_timer, now_ns + SWEEP_NS);
}
