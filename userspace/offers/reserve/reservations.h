/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_RESERVE_RESERVATIONS_H
#define WEFT_OFFERS_RESERVE_RESERVATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "offers/reserve/reservation_record.h"
#include "offers/store/offer_store.h"

struct node_key;
struct random;
struct store;
struct timer_wheel;

/*
 * Reservations of offers: those that this node made as a consumer, and those that it received as a
 * provider (docs/offers.md).
 *
 *	make -> seal -> batch -> durable -> send	  reservation_made.c
 *	hear -> open -> share -> batch -> durable -> event reservation_received.c
 *	confirm, refuse, cancel -> sign -> batch -> durable -> box	reservation_decided.c
 *	box -> deliver -> verify -> batch -> durable -> event	  reservation_made.c
 *	what is due: sent again, looked for, expired	reservation_due.c
 *	batches						  reservation_keep.c
 *	marks of those that are gone			  reservation_marks.c
 *	life, rows, names				  reservations.c
 *
 * asked -> confirmed, refused, cancelled or expired; confirmed -> cancelled. The provider's rows
 * decide: those confirmed never have more units than the offer has. An answer is signed once, and
 * leaves this node when it is durable. A Reserve that is sent again is the same bytes.
 *
 * A consumer's Cancel is sent until its provider answers it, by a Cancel of its own. It is made anew
 * when half of its life is over. A Cancel that comes before its Reserve is kept, and applied to it.
 *
 * Tables, and what fills them:
 *
 *	received  RESERVATIONS_RECEIVED_MAX: any unknown peer, since keys are free. Asked ones are shared
 *		  fairly by the sessions that brought them, then by offer; the youngest of the largest
 *		  account makes room. Confirmed ones are chosen, by this node's operator.
 *	over	  RESERVATIONS_OVER_MAX that were received, shared likewise; the one that ended first of
 *		  the largest account makes room. Those that this node refused are chosen.
 *	marks	  RESERVATION_MARKS_MAX names of those that are gone. A copy of their Reserve would be taken
 *		  still. Shared likewise; the oldest of the largest account makes room
 *	made	  RESERVATIONS_MADE_MAX: this node's operator and programs; those that are over make room
 *
 * What an honest consumer notices of a full table: its reservation is taken, or expires unanswered. A
 * provider may be asked again by a copy, if marks had no room.
 *
 * Home worker; nothing blocks.
 */
struct reservations;

#define RESERVATIONS_RECEIVED_MAX    4096u
#define RESERVATIONS_OVER_MAX	     1024u
#define RESERVATION_MARKS_MAX	     8192u
#define RESERVATIONS_MADE_MAX	     1024u
#define RESERVATIONS_MADE_PER_MIN    5u	 /* of one service, unless its schema says so */
#define RESERVATION_HOURS	     72u /* that a provider has to answer, unless it is said */
#define RESERVATION_HOURS_MAX	     168u
#define RESERVATION_OVER_LIFE_S	     (7u * 24 * 3600)
#define RESERVATION_CONFIRMED_LIFE_S (30u * 24 * 3600) /* after the offer's end */
#define RESERVATION_REMIND_S	     3600u	       /* before one that was received expires */
#define RESERVATION_SLOT_SOON_S	     (24u * 3600)      /* before the slot of a confirmed one */
#define RESERVATION_REF_TEXT_CAP     27u	       /* z-base-32 of an id, with its NUL */
#define RESERVATION_REF_TEXT_MIN     8u		       /* letters that name one */

/* What this node knows of an offer. */
struct reservation_offer {
	bool is_own;
	uint8_t version; /* of its schema */
	uint32_t units;
	uint64_t expires_s;
	uint64_t slot_s; /* the first of its times that is ahead; 0: none is */
	uint8_t provider_key[NODE_KEY_LEN];
	uint8_t reserve_key[AGREED_KEY_LEN]; /* X25519, to which a Reserve is sealed */
};

enum reservation_event_kind {
	RESERVATION_EVENT_NONE,
	RESERVATION_EVENT_ASKED,
	RESERVATION_EVENT_CONFIRMED,
	RESERVATION_EVENT_REFUSED,
	RESERVATION_EVENT_CANCELLED,
	RESERVATION_EVENT_EXPIRED,
	RESERVATION_EVENT_EXPIRES_SOON, /* one that was received, and has no answer yet */
	RESERVATION_EVENT_SLOT_SOON,	/* of a confirmed one, on either side */
	RESERVATION_EVENT_CNT,
};

/* A reservation, borrowed for the call that it is given to. */
struct reservation_view {
	const uint8_t *id; /* RESERVATION_ID_LEN */
	const struct reservation_record *record;
};
typedef void (*reservation_view_fn)(void *arg, const struct reservation_view *view);

/* What a consumer sends; borrowed for the call. */
struct reservation_sent {
	const uint8_t *bytes;
	size_t len;
	const uint8_t *store; /* NODE_KEY_LEN */
};

/*
 * What reservations need of the offers around them.
 *
 * offer: 0; WEFT_EABSENT: no such offer is known; WEFT_ESTALE: it was withdrawn, or its life is over.
 * send: a Reserve, or a Cancel of its consumer, goes its way; false: there is none now. The neighbour
 *     store has the box for answers, so it gets neither if there is another way.
 */
struct reservations_around {
	int (*offer)(void *ctx, const struct offer_name *name, struct reservation_offer *out_offer);
	bool (*send)(void *ctx, const struct reservation_sent *sent, uint64_t now_ns);
	void (*happened)(void *ctx, enum reservation_event_kind kind,
			 const struct reservation_view *view);
	uint64_t (*wall_s)(void *ctx);
	void *ctx;
};

/* A message for a key that is away; borrowed for the call. */
struct offers_deposit {
	const uint8_t *store;	  /* the node that is to have it; not of keep */
	const uint8_t *recipient; /* NODE_KEY_LEN */
	const uint8_t *bytes;
	size_t len;
	uint64_t expires_s;
	const uint8_t
		*receipt; /* 16 bytes that others cannot guess; the same ones: the same deposit */
};
/* A look into a box; borrowed for the call. */
struct offers_pull {
	const uint8_t *store; /* the node that has it */
	const struct node_key *key;
	void (*done)(void *arg, int err, unsigned cnt, uint64_t now_ns);
	void *arg;
};
/*
 * Boxes at nodes that keep messages for keys that are away: deposits/, or a test's. A table without
 * put is none.
 *
 * put: it is durable here when done says so, and goes to its STORE node until the recipient has it.
 * pull: asks a STORE node for what it has for key, which is borrowed for the call; it comes to
 *     offers_deliver. done: nothing more comes.
 * keep: it is kept here, in the share of the neighbour depositor. WEFT_EREFUSED: this is no STORE node.
 * settle: what offers_deliver took under ticket is durable, or (err) is to come again.
 */
struct offers_boxes {
	int (*put)(void *ctx, const struct offers_deposit *deposit,
		   void (*done)(void *arg, int err), void *arg, uint64_t now_ns);
	int (*pull)(void *ctx, const struct offers_pull *pull, uint64_t now_ns);
	int (*keep)(void *ctx, const struct offers_deposit *deposit, const uint8_t *depositor,
		    uint64_t now_ns);
	void (*settle)(void *ctx, uint64_t ticket, int err, uint64_t now_ns);
	void *ctx;
};

/* All borrowed until offers_reservations_close, but site and the tables, which are copied. */
struct reservations_params {
	const struct node_key *key;
	struct store *store;
	struct timer_wheel *timers;
	struct random *random;
	struct fair_site site;
	struct reservations_around around;
	struct offers_boxes boxes;
	uint64_t now_ns;
};
/* offers_reservations_open reads what is durable: 0 or a negative code. close takes NULL. */
WEFT_MUST_CHECK
int offers_reservations_open(const struct reservations_params *params,
			     struct reservations **out_reservations);
void offers_reservations_close(struct reservations *reservations);
/* offers_reservations_footprint: bytes that open lays out, and those of the records at most. */
size_t offers_reservations_footprint(void);
/* offers_reservations_session_up: a neighbour is there, which may have answers. */
void offers_reservations_session_up(struct reservations *reservations,
				    const uint8_t key[static NODE_KEY_LEN], uint64_t now_ns);

/* offers_reserve_secret: the secret of key 244 of an offer of this node's key. The caller wipes it. */
void offers_reserve_secret(const struct node_key *key, uint32_t service,
			   const uint8_t offer_id[static OFFER_ID_LEN],
			   uint8_t out_secret[static AGREED_KEY_LEN]);

/* --- the consumer's --- */

struct reservation_ask {
	const struct offer_name *name;
	const struct reservation_offer *offer;
	const uint8_t *store; /* NODE_KEY_LEN: the STORE node that gets the answer */
	uint32_t units;
	uint32_t per_min; /* of its service, by the schema; 0: RESERVATIONS_MADE_PER_MIN */
	uint16_t hours;	  /* 0: RESERVATION_HOURS; never beyond the offer's life */
	const char *text; /* for the provider; NULL, 0: none */
	size_t text_len;
	uint64_t now_ns;
	/* called once if the call returned 0: 0, it is durable, and on its way; else it is not */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * offers_reservations_make asks the provider of an offer for units of it. Returns 0, or:
 *   WEFT_EMALFORMED the key of the offer agrees on nothing
 *   WEFT_ETOOLARGE  the text is too long
 *   WEFT_ETOOSMALL  the offer has not so many units
 *   WEFT_EREFUSED   as many of the service as may be were made in this minute
 *   WEFT_EFULL      as many as may be are open
 *   WEFT_EBUSY      the disk does not keep up
 */
WEFT_MUST_CHECK
int offers_reservations_make(struct reservations *reservations, const struct reservation_ask *ask,
			     uint8_t out_id[static RESERVATION_ID_LEN]);

/* --- what comes --- */

enum reservation_verdict {
	RESERVATION_TAKEN,    /* it changes something here */
	RESERVATION_KNOWN,    /* it was here */
	RESERVATION_NOT_FOR,  /* malformed, or not sealed for this offer, or signed by another */
	RESERVATION_NO_OFFER, /* its offer is not here, or its life is over */
	RESERVATION_NO_ROOM,  /* for the neighbour that brought it */
	RESERVATION_LAGS,     /* the disk does not keep up */
	RESERVATION_VERDICT_CNT,
};
/* A Reserve, or a Cancel of its consumer; borrowed for the call. */
struct reservation_heard {
	const struct service_message *message;
	const uint8_t *neighbour; /* that brought it; NULL: it was in a box of this node */
	const struct addr *source;
	enum fair_class class;
	uint64_t
		ticket; /* with a box's: settle is called once where the verdict is RESERVATION_TAKEN */
	uint64_t now_ns;
};
enum reservation_verdict offers_reservations_hear(struct reservations *reservations,
						  const struct reservation_heard *heard);
/* offers_reservations_answer: what a box had for recipient, a one-time key of this node; likewise. */
enum reservation_verdict offers_reservations_answer(struct reservations *reservations,
						    const uint8_t *recipient,
						    const struct reservation_heard *heard);

/* --- what people decide --- */

enum reservation_decision {
	RESERVATION_CONFIRM, /* of a provider */
	RESERVATION_REFUSE,  /* of a provider */
	RESERVATION_CANCEL,  /* of either side */
};
struct reservation_change {
	enum reservation_decision decision;
	const char *name; /* the first letters of its id, RESERVATION_REF_TEXT_MIN and more */
	const char *text; /* for the other side; NULL, 0: none */
	size_t text_len;
	uint64_t now_ns;
	void (*done)(void *arg, int err); /* as of struct reservation_ask */
	void *arg;
};
/*
 * offers_reservations_decide signs or seals what the other side gets, once. Returns 0, or:
 *   WEFT_EABSENT, WEFT_EEXISTS, WEFT_EMALFORMED  as offers_reservations_show
 *   WEFT_EWRONGKEY  it is the other side that may do so
 *   WEFT_ESTALE     it is not in a state for it, or its time or its offer's is over
 *   WEFT_EFULL      the offer has not so many units left
 *   WEFT_ETOOLARGE  the text is too long
 *   WEFT_EBUSY      the disk does not keep up
 */
WEFT_MUST_CHECK
int offers_reservations_decide(struct reservations *reservations,
			       const struct reservation_change *change,
			       uint8_t out_id[static RESERVATION_ID_LEN]);

/* offers_reservations_show: 0, WEFT_EABSENT, WEFT_EEXISTS (several do) or WEFT_EMALFORMED (name). */
WEFT_MUST_CHECK
int offers_reservations_show(const struct reservations *reservations, const char *name,
			     reservation_view_fn fn, void *arg);
/* offers_reservations_each, and what names one: a new one is there when it is durable. */
void offers_reservations_each(const struct reservations *reservations, reservation_view_fn fn,
			      void *arg);
/*
 * offers_reservations_page gives fn the first limit ones behind after, by the time when they were made,
 * the newest first. after: made_s UINT64_MAX: from the start. Returns whether there are more; then
 * *out_last is the last one that was given.
 */
#define RESERVATION_PAGE_MAX 200u
struct reservation_place {
	uint64_t made_s;
	uint8_t id[RESERVATION_ID_LEN];
};
struct reservation_page_ask {
	struct reservation_place after;
	unsigned limit; /* 1 to RESERVATION_PAGE_MAX */
	reservation_view_fn fn;
	void *arg;
};
bool offers_reservations_page(const struct reservations *reservations,
			      const struct reservation_page_ask *ask,
			      struct reservation_place *out_last);
/* offers_reservations_confirmed: units of an offer of this node that are confirmed. */
uint64_t offers_reservations_confirmed(const struct reservations *reservations,
				       const struct offer_name *name);

struct reservations_stats {
#define FIGURE FIGURE_FIELD
#include "offers/reserve/offers_reserve_counters.def"
};
void offers_reservations_stats(const struct reservations *reservations,
			       struct reservations_stats *out_stats);
void offers_reservations_fair(const struct reservations *reservations, struct fair_view *out);

#endif
