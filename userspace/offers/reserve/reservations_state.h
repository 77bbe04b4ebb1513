/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_RESERVE_RESERVATIONS_STATE_H
#define WEFT_OFFERS_RESERVE_RESERVATIONS_STATE_H

#include "base/fair/request_quota.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "reservations.h"

struct store_batch;

/* Private to offers/reserve/: what its files share. */

#define RESERVATIONS_CAP                                                                           \
	(RESERVATIONS_RECEIVED_MAX + RESERVATIONS_OVER_MAX + RESERVATIONS_MADE_MAX +               \
	 RESERVATIONS_LEAVING_MAX)
#define RESERVATIONS_LEAVING_MAX 256u  /* without a place, until their answer is in its box */
#define RESERVATION_CHANGES_MAX	 2048u /* on their way to the disk */
#define RESERVATION_PATH_LEVELS	 (FAIR_PEER_LEVELS + 1) /* of a neighbour's session, and the offer */
#define RESERVATION_COMMITS_MAX	 8u
#define RESERVATION_CALLS_MAX	 64u /* of boxes, at once */

/* A row. Its record's pointers lead into bytes, which are as the database has them, or will. */
struct reservation {
	struct fair_item share; /* first: a victim's leads to the rest. Of one that was received */
	struct fair *places;	/* that share is of */
	struct list_node link;	/* of reservations.over, while it was made here and is over */
	struct timer timer;
	struct reservations *owner;
	uint8_t id[RESERVATION_ID_LEN];
	struct reservation_record record;
	uint8_t *bytes;
	size_t len;
	uint8_t *
		former; /* as the database has it, while another record is on its way there; or NULL */
	size_t former_len;
	bool is_pending; /* one is; there is never a second */
	uint32_t try_cnt, pull_cnt;
	uint64_t try_ns,
		pull_ns; /* when it is sent next, or its box is looked into; UINT64_MAX: never */
	bool is_putting, is_pulling, is_reminded, is_slot_reminded;
	bool is_unsent; /* there was no way for it the last time */
};

/* A change on its way to the disk. */
struct reservation_waiter {
	struct list_node node;
	pool_handle row;
	uint8_t id[RESERVATION_ID_LEN];
	enum reservation_event_kind kind;
	bool is_mark;  /* of a mark, which has no row */
	bool is_boxed; /* ticket is to be settled */
	uint64_t ticket;
	void (*done)(void *arg, int err);
	void *arg;
};

/* What is left of a row that was received, while a copy of its Reserve may still come. */
struct reservation_mark {
	struct fair_item share; /* first: a victim's leads to the rest */
	uint8_t id[RESERVATION_ID_LEN];
	uint64_t until_s;
	bool is_cancelled; /* by a Cancel that came before its Reserve */
	bool is_pending;   /* it is on its way to the disk */
};

/* A box is asked; its row may leave meanwhile. */
struct reservation_call {
	struct reservations *owner;
	pool_handle row;
	uint8_t state; /* of row, when it began */
};

struct reservation_keep {
	bool is_open;		   /* something has changed */
	struct store_batch *batch; /* of what has; NULL: there was no memory for it */
	struct list_node waiting;  /* of batch */
	struct pool waiters, commits;
	struct timer timer;
};

struct reservations {
	struct reservations_params params;
	struct arena arena;
	struct fair_places places;  /* of those that were received and are open */
	struct fair over_places;    /* of those that were received and are over */
	struct fair mark_places;    /* of marks */
	struct request_quota quota; /* of those that are made */
	struct pool rows, calls, marks;
	struct map by_id, marks_by_id;
	struct timer mark_timer;
	struct list_node over; /* those made here; the one that ended first in front */
	uint32_t made_cnt;
	struct reservation_keep keep;
	struct reservations_stats stats;
	uint64_t now_ns; /* of the latest turn */
};

/* --- reservations.c --- */

/*
 * offers_reservation_id: what names a reservation: a hash of all that its box is bound to. The route
 * token is not, so a relay that alters it makes no second reservation.
 */
void offers_reservation_id(const struct reservation_record *record,
			   uint8_t out_id[static RESERVATION_ID_LEN]);
/*
 * offers_reservation_add makes a row of record, which is copied, and of what it points to. It has no
 * share yet. NULL: there is no memory.
 */
struct reservation *offers_reservation_add(struct reservations *reservations, const uint8_t *id,
					   const struct reservation_record *record);
/* offers_reservation_set gives row another record, likewise. 0 or -ENOMEM: row is as it was. */
WEFT_MUST_CHECK
int offers_reservation_set(struct reservation *row, const struct reservation_record *record);
/*
 * offers_reservation_settle puts row where its state belongs: a share, or the list of those that were
 * made and are over. One for which there is no place goes when it is due.
 */
void offers_reservation_settle(struct reservation *row, uint64_t now_ns);
/*
 * offers_reservation_drop frees row; is_deleted: its record, too. A mark takes its place if what came
 * of it is known, and its Reserve may still come.
 */
void offers_reservation_drop(struct reservation *row, bool is_deleted, uint64_t now_ns);
/* offers_reservation_share: a share for row, which has none; others may leave. false: there is none. */
bool offers_reservation_share(struct reservation *row, uint64_t now_ns);
static inline bool reservation_is_open(const struct reservation *row)
{
	return row->record.state == RESERVATION_ASKED || row->record.state == RESERVATION_CONFIRMED;
}
/* A consumer's Cancel that its provider did not answer yet. */
static inline bool reservation_is_untaken(const struct reservation *row)
{
	const struct reservation_record *record = &row->record;

	return record->is_made && record->state == RESERVATION_CANCELLED && !record->is_settled &&
	       record->message_len > 0;
}
static inline struct reservation_view reservation_view_of(const struct reservation *row)
{
	return (struct reservation_view){.id = row->id, .record = &row->record};
}
/* offers_reservation_path: where what came from a session belongs. */
void offers_reservation_path(const struct reservations *reservations,
			     const struct reservation_mark_record *account, struct fair_path *out);
/* offers_reservation_named: as offers_reservations_show; NULL with why in *out_err. */
struct reservation *offers_reservation_named(const struct reservations *reservations,
					     const char *name, int *out_err);
uint64_t offers_reservations_wall_s(const struct reservations *reservations);

/* --- reservation_keep.c --- */

WEFT_MUST_CHECK
int offers_reservation_keep_init(struct reservations *reservations);
void offers_reservation_keep_fini(struct reservations *reservations);
/* offers_reservation_keep_acquire: what a change takes; NULL: the disk does not keep up. */
struct reservation_waiter *offers_reservation_keep_acquire(struct reservations *reservations);
bool offers_reservation_keep_is_full(const struct reservations *reservations);
void offers_reservation_keep_cancel(struct reservations *reservations,
				    struct reservation_waiter *waiter);
/* offers_reservation_keep_put writes row as it is; waiter is taken. */
void offers_reservation_keep_put(struct reservation *row, struct reservation_waiter *waiter,
				 uint64_t now_ns);
void offers_reservation_keep_delete(struct reservations *reservations, const uint8_t *id,
				    uint64_t now_ns);
/* offers_reservation_keep_mark writes a mark; waiter, which is taken, may be NULL. */
void offers_reservation_keep_mark(struct reservations *reservations, const uint8_t *id,
				  const struct reservation_mark_record *mark,
				  struct reservation_waiter *waiter, uint64_t now_ns);
/*
 * offers_reservation_change sets row's record and writes it. 0, WEFT_EBUSY (the disk does not keep up, or
 * another change of row is on its way there) or -ENOMEM: row is as it was.
 */
WEFT_MUST_CHECK
int offers_reservation_change(struct reservation *row, const struct reservation_record *record,
			      const struct reservation_waiter *like, uint64_t now_ns);

/* --- reservation_marks.c --- */

WEFT_MUST_CHECK
int offers_reservation_marks_init(struct reservations *reservations, const uint64_t secret[2]);
/* offers_reservation_marks_begin: from now on those whose time is over go. */
void offers_reservation_marks_begin(struct reservations *reservations, uint64_t now_ns);
struct reservation_mark *offers_reservation_mark_lookup(const struct reservations *reservations,
							const uint8_t *id);
/*
 * offers_reservation_mark_add makes one, in the share of its account, and writes it. waiter is taken where
 * there is a place, and may be NULL. false: there is no place. load: it is in the database.
 */
WEFT_MUST_CHECK
bool offers_reservation_mark_add(struct reservations *reservations, const uint8_t *id,
				 const struct reservation_mark_record *record,
				 struct reservation_waiter *waiter, uint64_t now_ns);
bool offers_reservation_mark_load(struct reservations *reservations, const uint8_t *id,
				  const struct reservation_mark_record *record, uint64_t now_ns);
/* offers_reservation_mark_done: what was written of it is durable, or (err) is not. */
void offers_reservation_mark_done(struct reservations *reservations, const uint8_t *id, int err,
				  uint64_t now_ns);
/* offers_reservation_mark_forget frees one, if it is there; the database is the caller's. */
void offers_reservation_mark_forget(struct reservations *reservations, const uint8_t *id,
				    uint64_t now_ns);

/* --- reservation_due.c --- */

/* offers_reservation_due: does what is due for row, and sets its timer. It may be gone then. */
void offers_reservation_due(struct reservation *row, uint64_t now_ns);
/* offers_reservation_renew: what row sends and looks for begins anew, now. */
void offers_reservation_renew(struct reservation *row, uint64_t now_ns);
/* offers_reservation_hurry: what row has to send goes within five minutes, and not at once. */
void offers_reservation_hurry(struct reservation *row, uint64_t now_ns);

/* --- reservation_made.c --- */

/* offers_reservation_one_time: the consumer's key for answers, which the caller frees. 0 or -errno. */
WEFT_MUST_CHECK
int offers_reservation_one_time(const struct reservations *reservations, const uint8_t *token,
				struct node_key **out_key);
/* offers_reservation_seal_made: the seal of a reservation that this node made. The caller wipes it. */
WEFT_MUST_CHECK
int offers_reservation_seal_made(const struct reservations *reservations,
				 const struct reservation_record *record,
				 struct reservation_seal *seal);
/*
 * offers_reservation_cancel_renew makes the Cancel of row anew, with the time of now, into bytes. Its
 * length, or 0: the one that is there will do.
 */
size_t offers_reservation_cancel_renew(const struct reservation *row,
				       uint8_t bytes[static RESERVATION_MESSAGE_MAX]);
/* offers_reservation_cancel_made: 0, WEFT_ESTALE, WEFT_ETOOLARGE or of offers_reservation_change. */
WEFT_MUST_CHECK
int offers_reservation_cancel_made(struct reservation *row,
				   const struct reservation_change *change);
/* --- reservation_decided.c --- */

/* offers_reservation_name: of its offer. */
void offers_reservation_name(const struct reservation_record *record, struct offer_name *name);
/* offers_reservation_answer_make: a signed and sealed answer, into bytes; 0: it cannot be made. */
size_t offers_reservation_answer_make(struct reservations *reservations,
				      const struct reservation_record *record, uint8_t type,
				      const struct reservation_change *change,
				      uint8_t bytes[static RESERVATION_MESSAGE_MAX]);

/* --- reservation_received.c: of one that it received. */
WEFT_MUST_CHECK
int offers_reservation_seal_received(const struct reservations *reservations,
				     const struct reservation_record *record,
				     struct reservation_seal *seal);

#endif
