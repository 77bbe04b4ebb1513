/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations of service offers: making, listing, watching and answering them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "client/client_ask.h"
#include "client/failure.h"

#define EVENT_PREFIX "reservation."

int weft_service_offer_reserve(struct weft_client *client,
			       const struct weft_service_reserve_params *params,
			       char out_id[WEFT_SERVICE_RESERVATION_ID_CAP],
			       struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, params->timeout_ms, error);
	const struct api_reserve_offer_in in = {
		.offer_id = params->offer_id,
		.has_units = params->units != 0,
		.units = params->units,
		.message = params->message,
		.has_hours = params->hours != 0,
		.hours = params->hours,
		.reply_at = params->reply_at,
	};
	const struct api_reserve_offer_out *out = api_reserve_offer_call(&caller.caller, &in);
	int err = caller.caller.err;

	if (out && strlen(out->reservation.reservation_id) >= WEFT_SERVICE_RESERVATION_ID_CAP)
		err = client_failure_set(error, WEFT_EMALFORMED, "reservation",
					 "its id is too long", NULL);
	else if (out)
		strcpy(out_id, out->reservation.reservation_id);
	varlink_caller_fini(&caller.caller);
	return err;
}

static const enum weft_service_reservation_state states[] = {
	[API_RESERVATION_STATE_ASKED] = WEFT_SERVICE_RESERVATION_ASKED,
	[API_RESERVATION_STATE_CONFIRMED] = WEFT_SERVICE_RESERVATION_CONFIRMED,
	[API_RESERVATION_STATE_REFUSED] = WEFT_SERVICE_RESERVATION_REFUSED,
	[API_RESERVATION_STATE_CANCELLED] = WEFT_SERVICE_RESERVATION_CANCELLED,
	[API_RESERVATION_STATE_EXPIRED] = WEFT_SERVICE_RESERVATION_EXPIRED,
};

static uint64_t count_of(int64_t value)
{
	return value < 0 ? 0 : (uint64_t)value;
}

static void reservation_tell(const struct weft_service_reservations *which,
			     const struct api_reservation *row)
{
	const struct weft_service_reservation reservation = {
		.id = row->reservation_id,
		.offer_id = row->offer_id,
		.schema = row->schema,
		.provider = row->provider,
		.is_received = row->side == API_RESERVATION_SIDE_RECEIVED,
		.state = states[row->state],
		.units = count_of(row->units),
		.made_s = count_of(row->made_s),
		.changed_s = count_of(row->changed_s),
		.expires_s = count_of(row->expires_s),
		.message = row->message,
		.answer = row->answer,
	};

	which->fn(which->arg, &reservation, NULL);
}

static int reservation_show(struct weft_client *client,
			    const struct weft_service_reservations *which, struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, which->timeout_ms, error);
	const struct api_show_reservation_in in = {.reservation_id = which->id};
	const struct api_show_reservation_out *out = api_show_reservation_call(&caller.caller, &in);
	int err = out ? 1 : caller.caller.err;

	if (out)
		reservation_tell(which, &out->reservation);
	varlink_caller_fini(&caller.caller);
	return err;
}

#define PAGE_ROWS 200
#define PAGES_MAX 64 /* more than a daemon has */

/* Where a page ends, and whether one follows. */
struct page {
	char cursor[64];
	bool has_more;
};

/* The rows of the page behind page->cursor, that fn wants. Returns how many, or a code. */
static int page_tell(struct weft_client *client, const struct weft_service_reservations *which,
		     struct page *page, const bool *is_closed, struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, which->timeout_ms, error);
	const struct api_list_reservations_in in = {.has_limit = true,
						    .limit = PAGE_ROWS,
						    .cursor = page->has_more ? page->cursor : NULL};
	const struct api_list_reservations_out *out =
		api_list_reservations_call(&caller.caller, &in);
	int err = out ? (int)out->reservations.cnt : caller.caller.err;

	page->has_more = out && out->cursor && strlen(out->cursor) < sizeof(page->cursor);
	if (page->has_more)
		snprintf(page->cursor, sizeof(page->cursor), "%s", out->cursor);
	for (size_t i = 0; out && !*is_closed && i < out->reservations.cnt; i++) {
		const struct api_reservation *row = &out->reservations.rows[i];

		if (!which->id || strncmp(which->id, row->reservation_id, strlen(which->id)) == 0)
			reservation_tell(which, row);
	}
	varlink_caller_fini(&caller.caller);
	return err;
}

int weft_service_reservations_each(struct weft_client *client,
				   const struct weft_service_reservations *which,
				   struct weft_error *error)
{
	const bool is_closed = false;
	struct page page = {.has_more = false};
	int cnt = 0, err;

	if (which->id)
		return reservation_show(client, which, error);
	for (unsigned i = 0; i < PAGES_MAX; i++) {
		err = page_tell(client, which, &page, &is_closed, error);
		if (err < 0)
			return err;
		cnt += err;
		if (!page.has_more)
			break;
	}
	return cnt;
}

struct weft_service_reservations_watch {
	struct ask *ask;
	struct weft_client *client;
	struct weft_service_reservations which; /* id: watch->id, or NULL */
	char id[WEFT_SERVICE_RESERVATION_ID_CAP];
	bool *is_closed; /* set where the watch is closed while all are given; else NULL */
};

/* The id of the reservation that an event is about, or NULL. */
static const char *event_id(const json_t *message)
{
	const json_t *event = json_object_get(json_object_get(message, "parameters"), "event");
	const char *kind = json_string_value(json_object_get(event, "kind"));

	if (!kind || strncmp(kind, EVENT_PREFIX, strlen(EVENT_PREFIX)) != 0)
		return NULL;
	return json_string_value(json_object_get(json_object_get(event, "fields"), "reservation"));
}

static bool is_meant(const struct weft_service_reservations_watch *watch, const char *id)
{
	return !watch->which.id || strncmp(watch->which.id, id, strlen(watch->which.id)) == 0;
}

/* fn may close watch, so nothing of it is looked at behind fn. */
static void event_tell(const struct weft_service_reservations_watch *watch, const char *id)
{
	struct weft_service_reservations which = watch->which;

	if (!is_meant(watch, id))
		return;
	which.id = id;
	/* One that is gone meanwhile has no state. */
	(void)reservation_show(watch->client, &which, NULL);
}

/*
 * fn may close watch, which frees it; *is_closed is true then. Inlined, the compiler takes the address
 * for one that outlives the call.
 */
__attribute__((noinline)) static void pages_tell(struct weft_service_reservations_watch *watch,
						 const struct weft_service_reservations *which,
						 bool *is_closed)
{
	struct weft_client *client = watch->client;
	struct page page = {.has_more = false};

	watch->is_closed = is_closed;
	for (unsigned i = 0; i < PAGES_MAX && !*is_closed; i++)
		if (page_tell(client, which, &page, is_closed, NULL) < 0 || !page.has_more)
			break;
	if (!*is_closed)
		watch->is_closed = NULL;
}

/* Events were missed. fn may close watch in the midst of it. */
static void all_tell(struct weft_service_reservations_watch *watch)
{
	/* fn may close watch, which frees it. */
	const struct weft_service_reservations which = watch->which;
	char id[WEFT_SERVICE_RESERVATION_ID_CAP];
	struct weft_service_reservations meant = which;
	bool is_closed = false;

	if (which.id) {
		snprintf(id, sizeof(id), "%s", which.id);
		meant.id = id;
	}
	pages_tell(watch, &meant, &is_closed);
}

static bool is_gap(const json_t *message)
{
	return json_integer_value(json_object_get(json_object_get(message, "parameters"), "gap")) >
	       0;
}

static void watch_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct weft_service_reservations_watch *watch = arg;
	struct weft_error own;
	const char *id;

	if (is_last) {
		if (!error)
			client_failure_lost(&own, WEFT_ECLOSED);
		watch->which.fn(watch->which.arg, NULL, error ? error : &own);
		return;
	}
	if (error)
		return;
	id = event_id(message);
	if (id)
		event_tell(watch, id);
	else if (is_gap(message))
		all_tell(watch);
}

int weft_service_reservations_watch(struct weft_client *client,
				    const struct weft_service_reservations *which,
				    struct weft_service_reservations_watch **out_watch,
				    struct weft_error *error)
{
	struct weft_service_reservations_watch *watch;
	struct ask_params asked = {
		.method = API_WATCH_EVENTS_METHOD,
		.wants_more = true,
		.fn = watch_reply,
		.gone = free,
	};
	int err;

	if (which->id && strlen(which->id) >= WEFT_SERVICE_RESERVATION_ID_CAP)
		return client_failure_set(error, WEFT_EMALFORMED, "reservation",
					  "its id is too long", NULL);
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return client_failure_memory(error);
	watch->client = client;
	watch->which = *which;
	if (which->id)
		watch->which.id = strcpy(watch->id, which->id);
	asked.arg = watch;
	asked.parameters = api_watch_events_in_write(&(struct api_watch_events_in){.since = 0});
	err = client_ask_start(client, &asked, &watch->ask, error);
	if (err < 0)
		free(watch);
	else
		*out_watch = watch;
	return err;
}

void weft_service_reservations_watch_close(struct weft_service_reservations_watch *watch)
{
	if (!watch)
		return;
	if (watch->is_closed)
		*watch->is_closed = true;
	client_ask_cancel(watch->ask);
}

/* --- answers --- */

int weft_service_reservation_confirm(struct weft_client *client,
				     const struct weft_service_reservation_answer *answer,
				     struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, answer->timeout_ms, error);
	const struct api_confirm_reservation_in in = {.reservation_id = answer->id,
						      .message = answer->message};

	(void)api_confirm_reservation_call(&caller.caller, &in);
	varlink_caller_fini(&caller.caller);
	return caller.caller.err;
}

int weft_service_reservation_refuse(struct weft_client *client,
				    const struct weft_service_reservation_answer *answer,
				    struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, answer->timeout_ms, error);
	const struct api_refuse_reservation_in in = {.reservation_id = answer->id,
						     .message = answer->message};

	(void)api_refuse_reservation_call(&caller.caller, &in);
	varlink_caller_fini(&caller.caller);
	return caller.caller.err;
}

int weft_service_reservation_cancel(struct weft_client *client,
				    const struct weft_service_reservation_answer *answer,
				    struct weft_error *error)
{
	struct client_caller caller = client_caller_of(client, answer->timeout_ms, error);
	const struct api_cancel_reservation_in in = {.reservation_id = answer->id,
						     .message = answer->message};

	(void)api_cancel_reservation_call(&caller.caller, &in);
	varlink_caller_fini(&caller.caller);
	return caller.caller.err;
}
