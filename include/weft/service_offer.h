/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_SERVICE_OFFER_H
#define WEFT_SERVICE_OFFER_H

/* The part of libweft for offers of services; weft/client.h has what holds for all of it. */
#include "weft/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Service offers: what providers announce of homes, repairs, lessons and the like (weft offer).
 * weft_service_offer_publish announces an offer of this node, and waits until it is kept; its
 * fields are those of its schema. weft_service_offer_revoke withdraws one.
 */
#define WEFT_SERVICE_OFFER_ID_CAP 32
struct weft_service_offer_params {
	const char *schema;
	const char *const *values; /* FIELD=VALUE */
	size_t value_cnt;
	unsigned units; /* how many of it there are; 0: one */
	unsigned hours; /* that it lives; 0: as the schema says */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_service_offer_publish(struct weft_client *client,
			       const struct weft_service_offer_params *params,
			       char out_id[WEFT_SERVICE_OFFER_ID_CAP], struct weft_error *error);
WEFT_MUST_CHECK
int weft_service_offer_revoke(struct weft_client *client, const char *id, int timeout_ms,
			      struct weft_error *error);

struct weft_service_value {
	const char *field, *value, *unit, *label;
};
struct weft_service_offer {
	const char *id, *schema;
	const char *provider; /* the id of its node */
	bool is_own;
	uint64_t units, published_s, expires_s;
	uint64_t lost; /* of a watch: so many before this one were left out */
	const struct weft_service_value *values;
	size_t value_cnt;
};
/* offer: NULL at the end of a watch, and error says why. */
typedef void (*weft_service_offer_fn)(void *arg, const struct weft_service_offer *offer,
				      const struct weft_error *error);
struct weft_service_find {
	const char *schema;	    /* or up to four, with commas: "fapp,tutor" */
	const char *const *filters; /* FILTER=VALUE, or SCHEMA.FILTER=VALUE */
	size_t filter_cnt;
	unsigned limit; /* of those found, the newest first; 0: 20 */
	bool asks_mesh; /* the nodes around are asked first, for two seconds */
	int timeout_ms;
	weft_service_offer_fn fn;
	void *arg;
};
/*
 * weft_service_offer_find gives fn each offer that this node keeps and that fits, in the call. It
 * returns how many there are.
 */
WEFT_MUST_CHECK
int weft_service_offer_find(struct weft_client *client, const struct weft_service_find *find,
			    struct weft_error *error);
/*
 * weft_service_offer_watch gives fn, from weft_client_dispatch, each offer that comes from now on
 * and fits, once. limit and asks_mesh are not used. The watch is gone after the end.
 */
struct weft_service_watch;
WEFT_MUST_CHECK
int weft_service_offer_watch(struct weft_client *client, const struct weft_service_find *find,
			     struct weft_service_watch **out_watch, struct weft_error *error);
void weft_service_watch_close(struct weft_service_watch *watch);

/*
 * Reservations of such offers. weft_service_offer_reserve asks the provider for units of one, and
 * waits until that is kept and on its way. The message is sealed: the provider alone reads it. The
 * provider's user answers, perhaps days later (weft reservation).
 */
#define WEFT_SERVICE_RESERVATION_ID_CAP 32
struct weft_service_reserve_params {
	const char *offer_id;
	const char *message;  /* NULL: none; at most 2,000 bytes */
	const char *reply_at; /* the node that keeps the answer; NULL: a neighbour is chosen */
	unsigned units;	      /* 0: one */
	unsigned hours;	      /* that the provider has to answer; 0: 72 */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_service_offer_reserve(struct weft_client *client,
			       const struct weft_service_reserve_params *params,
			       char out_id[WEFT_SERVICE_RESERVATION_ID_CAP],
			       struct weft_error *error);

enum weft_service_reservation_state {
	WEFT_SERVICE_RESERVATION_ASKED = 1,
	WEFT_SERVICE_RESERVATION_CONFIRMED,
	WEFT_SERVICE_RESERVATION_REFUSED,
	WEFT_SERVICE_RESERVATION_CANCELLED,
	WEFT_SERVICE_RESERVATION_EXPIRED, /* no answer came in time */
};
struct weft_service_reservation {
	const char *id, *offer_id;
	const char *schema;   /* NULL: it was removed here */
	const char *provider; /* the id of its node */
	bool is_received;     /* for an offer of this node; else it was made here */
	enum weft_service_reservation_state state;
	uint64_t units, made_s, changed_s, expires_s;
	const char *message; /* of the consumer; NULL: none */
	const char *answer;  /* of the provider; NULL: none */
};
/* reservation: NULL at the end of a watch, and error says why. */
typedef void (*weft_service_reservation_fn)(void *arg,
					    const struct weft_service_reservation *reservation,
					    const struct weft_error *error);
struct weft_service_reservations {
	const char *id; /* of the one that is meant, its first letters will do; NULL: all */
	int timeout_ms;
	weft_service_reservation_fn fn;
	void *arg;
};
/*
 * weft_service_reservations_each gives fn each reservation that this node made or received, in the
 * call. It returns how many there are.
 */
WEFT_MUST_CHECK
int weft_service_reservations_each(struct weft_client *client,
				   const struct weft_service_reservations *which,
				   struct weft_error *error);
/*
 * weft_service_reservations_watch gives fn, from weft_client_dispatch, each reservation as it comes
 * and as its state changes, from now on. If the daemon could not wait for a slow program, all are
 * given once more. The watch is gone after the end. The program's user needs the role operate: one
 * that may only look hears nothing.
 */
struct weft_service_reservations_watch;
WEFT_MUST_CHECK
int weft_service_reservations_watch(struct weft_client *client,
				    const struct weft_service_reservations *which,
				    struct weft_service_reservations_watch **out_watch,
				    struct weft_error *error);
void weft_service_reservations_watch_close(struct weft_service_reservations_watch *watch);
/*
 * weft_service_reservation_confirm gives the units to the consumer, and
 * weft_service_reservation_refuse says that it does not get them. Both are for one that was received.
 * weft_service_reservation_cancel gives one up that was made here, or takes back what this node had
 * confirmed. Each waits until it is kept; from then on the other side is told.
 */
struct weft_service_reservation_answer {
	const char *id;	     /* its first letters will do */
	const char *message; /* NULL: none; at most 2,000 bytes */
	int timeout_ms;
};
WEFT_MUST_CHECK
int weft_service_reservation_confirm(struct weft_client *client,
				     const struct weft_service_reservation_answer *answer,
				     struct weft_error *error);
WEFT_MUST_CHECK
int weft_service_reservation_refuse(struct weft_client *client,
				    const struct weft_service_reservation_answer *answer,
				    struct weft_error *error);
WEFT_MUST_CHECK
int weft_service_reservation_cancel(struct weft_client *client,
				    const struct weft_service_reservation_answer *answer,
				    struct weft_error *error);

#ifdef __cplusplus
}
#endif

#endif
