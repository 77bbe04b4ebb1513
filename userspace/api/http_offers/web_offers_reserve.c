/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Below an offer's path: reserve, reservations and reservations/ID, and what is decided about one.
 * Forms have fields, programs may send the parameters of the method as JSON. Home worker.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/text/zbase32.h"
#include "offers/reserve/reservations.h"
#include "web_offers_state.h"

#define RESERVATIONS "/reservations"
#define ID	     "reservation_id"

const struct web_number api_http_reserve_numbers[WEB_NUMBER_CNT] = {
	[WEB_NUMBER_UNITS] = {"units", "How many of it (1, if left empty)", UINT32_MAX},
	[WEB_NUMBER_HOURS] = {"hours", "Hours that the provider has to answer (72, if left empty)",
			      RESERVATION_HOURS_MAX},
};

bool api_http_offers_is_json(const struct gateway_request *request)
{
	const char *type = gateway_header(request, "Content-Type");

	return type && strncmp(type, "application/json", strlen("application/json")) == 0;
}

/* --- rows --- */

struct collecting {
	struct service_offers *offers;
	const char *offer; /* letters that its id begins with */
	uint32_t service;
	struct varlink_blocks *blocks;
	struct api_reservation rows[WEB_RESERVATIONS_MAX];
	unsigned cnt;
};

static int by_age(const void *a, const void *b)
{
	const struct api_reservation *one = a, *other = b;

	return (one->made_s < other->made_s) - (one->made_s > other->made_s);
}

static bool is_of_offer(const struct collecting *collecting,
			const struct reservation_record *record)
{
	const struct reservation_parties *parties = &record->parties;
	uint8_t ref[OFFER_REF_LEN];
	char text[OFFER_REF_TEXT_CAP];

	if (record->service != collecting->service)
		return false;
	offers_ref(record->service, parties->provider, parties->offer_id, ref);
	zbase32_write(ref, sizeof(ref), text);
	return strncmp(text, collecting->offer, strlen(collecting->offer)) == 0;
}

/* Where a row goes: behind the others, or in place of the oldest of them. */
static unsigned place_of(const struct collecting *collecting)
{
	unsigned at = 0;

	if (collecting->cnt < WEB_RESERVATIONS_MAX)
		return collecting->cnt;
	for (unsigned i = 1; i < collecting->cnt; i++)
		if (collecting->rows[i].made_s < collecting->rows[at].made_s)
			at = i;
	return at;
}

static void on_row(void *arg, const struct reservation_view *view)
{
	struct collecting *collecting = arg;
	unsigned at;

	if (!is_of_offer(collecting, view->record))
		return;
	at = place_of(collecting);
	if (at < collecting->cnt && collecting->rows[at].made_s >= (int64_t)view->record->made_s)
		return;
	collecting->cnt += at == collecting->cnt;
	collecting->rows[at] = api_reservation_row(collecting->offers, collecting->blocks, view);
}

static struct collecting collecting_of(const struct web_offers_view *view, const char *offer,
				       struct varlink_blocks *blocks)
{
	return (struct collecting){.offers = api_http_offers_of(view->offers),
				   .offer = offer,
				   .service = view->schema->id,
				   .blocks = blocks};
}

static void reservations_collect(const struct web_offers_view *view, const char *offer,
				 struct varlink_blocks *blocks, struct api_reservation_list *out)
{
	struct collecting collecting = collecting_of(view, offer, blocks);

	offers_reservations_each(offers_reservations(collecting.offers), on_row, &collecting);
	qsort(collecting.rows, collecting.cnt, sizeof(collecting.rows[0]), by_age);
	for (unsigned i = 0; i < collecting.cnt; i++)
		varlink_push(blocks, out, collecting.rows[i]);
}

static void list_reply(struct web_offers_view *view, const char *offer)
{
	struct varlink_blocks blocks = {0};
	struct api_list_reservations_out out = {.reservations = {0}};

	reservations_collect(view, offer, &blocks, &out.reservations);
	view->reservations = out.reservations.rows;
	view->reservation_cnt = out.reservations.cnt;
	if (view->wants_html)
		api_http_offers_page(view, 200, api_http_page_reservations);
	else
		api_http_offers_json(view, 200, api_list_reservations_out_write(&out));
	varlink_blocks_free(&blocks);
}

/* one_lookup: the reservation of that name, of the offer; false: there is none. */
static bool one_lookup(const struct web_offers_view *view, const char *offer, const char *name,
		       struct varlink_blocks *blocks, struct api_reservation *out)
{
	struct collecting collecting = collecting_of(view, offer, blocks);

	if (offers_reservations_show(offers_reservations(collecting.offers), name, on_row,
				     &collecting) < 0 ||
	    !collecting.cnt)
		return false;
	*out = collecting.rows[0];
	return true;
}

static void one_absent(struct web_offers_view *view)
{
	api_http_offers_absent(view, "This node has no such reservation of this offer; "
				     "/offers/SCHEMA/OFFER/reservations lists those that it has.");
}

/* one_reply: its page with status, or as JSON. */
static void one_reply(struct web_offers_view *view, const char *offer, const char *name,
		      unsigned status)
{
	struct varlink_blocks blocks = {0};
	struct api_reservation row;

	if (!one_lookup(view, offer, name, &blocks, &row)) {
		one_absent(view);
	} else if (view->wants_html) {
		view->reservations = &row;
		view->reservation_cnt = 1;
		api_http_offers_page(view, status, api_http_page_reservation);
	} else {
		api_http_offers_json(view, status,
				     api_show_reservation_out_write(&(
					     struct api_show_reservation_out){.reservation = row}));
	}
	varlink_blocks_free(&blocks);
}

/* --- what is asked for --- */

/* The parameters of a method as they were sent; NULL: they are none. */
static json_t *json_parameters(const struct gateway_request *request)
{
	json_t *json = NULL;

	if (json_heap_load((const char *)request->body, request->body_len, JSON_REJECT_DUPLICATES,
			   &json) < 0)
		return NULL;
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

/* A parameter that has no meaning is an error: a reservation is no place to guess. */
static const char *stranger(const struct web_form *form, bool has_numbers)
{
	static const char *const names[] = {WEB_FORM_TOKEN, "message", "units", "hours",
					    "reply_at"};
	unsigned known = has_numbers ? 5 : 2;

	for (unsigned i = 0; i < form->cnt; i++) {
		unsigned at = 0;

		while (at < known && strcmp(form->pairs[i].name, names[at]) != 0)
			at++;
		if (at == known)
			return form->pairs[i].name;
	}
	return NULL;
}

static json_t *text_of(const struct web_form *form, const char *name)
{
	const char *value = api_http_form_value(form, name);

	return value ? json_string(value) : NULL;
}

static json_t *number_of(uint64_t number)
{
	return number ? json_integer((json_int_t)number) : NULL;
}

/* reading: what a body says; NULL, failure: it was wrong. */
struct reading {
	json_t *parameters;
	struct web_offers_failure failure;
	char message[WEB_FAILURE_CAP];
};

static void number_refuse(const struct web_offers_view *view, struct reading *reading)
{
	const struct schema_fault *faults = view->offers->number_faults;
	unsigned at = faults[WEB_NUMBER_UNITS].what[0] ? WEB_NUMBER_UNITS : WEB_NUMBER_HOURS;
	const char *name = view->number_rows[at].name;

	snprintf(reading->message, sizeof(reading->message), "%s: %s; %s", name, faults[at].what,
		 faults[at].next);
	reading->failure =
		(struct web_offers_failure){400, "invalid_field", reading->message, name};
}

static void form_read(struct web_offers_view *view, bool has_numbers, struct reading *reading)
{
	const char *name = stranger(&view->form, has_numbers);

	view->number_rows = api_http_reserve_numbers;
	if (name) {
		reading->failure = (struct web_offers_failure){
			400, "invalid_field",
			"A field means nothing here; leave it away, or correct its name.", name};
		return;
	}
	if (has_numbers && api_http_numbers_read(view)) {
		number_refuse(view, reading);
		return;
	}
	reading->parameters =
		json_pack("{s:o*, s:o*, s:o*, s:o*}", "message", text_of(&view->form, "message"),
			  "reply_at", text_of(&view->form, "reply_at"), "units",
			  number_of(view->numbers[WEB_NUMBER_UNITS]), "hours",
			  number_of(view->numbers[WEB_NUMBER_HOURS]));
	reading->failure = (struct web_offers_failure){500, "no_memory",
						       "This node has no memory; try again.", NULL};
}

static void body_read(struct web_offers_view *view, const struct gateway_request *request,
		      bool has_numbers, struct reading *reading)
{
	if (!api_http_offers_is_json(request)) {
		form_read(view, has_numbers, reading);
		return;
	}
	reading->parameters = json_parameters(request);
	reading->failure = (struct web_offers_failure){
		400, "invalid_body", "The body is no JSON object; send the method's parameters.",
		NULL};
}

/* answer_failure: why a method of the daemon refused, in text. */
static struct web_offers_failure answer_failure(const char *error, const json_t *parameters,
						const char *what, char text[static WEB_FAILURE_CAP])
{
	const char *field = json_string_value(json_object_get(parameters, "parameter"));
	json_int_t code = json_integer_value(json_object_get(parameters, "code"));

	if (field && strcmp(error, "org.varlink.service.InvalidParameter") == 0) {
		snprintf(text, WEB_FAILURE_CAP,
			 "%s: %.64s is none of its parameters, or not of its "
			 "type; see net.weft.Services(7)",
			 what, field);
		return (struct web_offers_failure){400, "invalid_field", text, field};
	}
	api_http_held_why(what, parameters, text);
	/* Of the rights of a caller the protocol has no number. */
	if (!json_object_get(parameters, "code"))
		return (struct web_offers_failure){403, "permission_denied", text, NULL};
	return code == WEFT_EABSENT
		       ? (struct web_offers_failure){404, "not_found", text, NULL}
		       : (struct web_offers_failure){409, "reservation_failed", text, NULL};
}

/* --- reserve --- */

/* A page is the offer's, with the form as it was. */
static void reserve_refuse(struct web_offers_view *view, const char *offer,
			   const struct web_offers_failure *failure)
{
	view->fault = failure->message;
	if (view->wants_html)
		api_http_offers_show(view, offer, failure->status);
	else
		api_http_offers_fail(view, failure);
}

static void one_see(const struct web_offers_view *view, const json_t *parameters)
{
	const json_t *row = json_object_get(parameters, "reservation");
	const char *offer = json_string_value(json_object_get(row, "offer_id"));
	const char *id = json_string_value(json_object_get(row, ID));
	char path[160];

	snprintf(path, sizeof(path), "/offers/%s/%s" RESERVATIONS "/%s", view->schema->name,
		 offer ? offer : "", id ? id : "");
	api_http_see_other(view, strdup(path));
}

static void on_reserved(struct web_held *held, const char *error, const json_t *parameters)
{
	struct web_offers_view *view = &held->view;
	struct web_offers_failure failure;
	char text[WEB_FAILURE_CAP];

	if (error) {
		failure = answer_failure(error, parameters, "It is not reserved", text);
		reserve_refuse(view, held->offer, &failure);
	} else if (view->wants_html) {
		one_see(view, parameters);
	} else {
		api_http_offers_json(view, 201, json_deep_copy(parameters));
	}
}

static void reserve(struct web_offers_view *view, const struct gateway_request *request,
		    const char *offer)
{
	struct reading reading = {.parameters = NULL};

	if (!api_http_offers_has(view, offer)) {
		api_http_offers_show(view, offer, 404);
		return;
	}
	if (!api_http_has_right(view, request)) {
		reserve_refuse(view, offer, &api_http_no_token);
		return;
	}
	body_read(view, request, true, &reading);
	if (!reading.parameters) {
		reserve_refuse(view, offer, &reading.failure);
		return;
	}
	(void)json_object_set_new(reading.parameters, "offer_id", json_string(offer));
	api_http_held_ask(view, &(struct web_held_ask){.method = "ReserveOffer",
						       .offer = offer,
						       .parameters = reading.parameters,
						       .answered = on_reserved});
}

/* --- decide --- */

static void decide_refuse(struct web_offers_view *view, const char *offer, const char *id,
			  const struct web_offers_failure *failure)
{
	view->fault = failure->message;
	if (view->wants_html)
		one_reply(view, offer, id, failure->status);
	else
		api_http_offers_fail(view, failure);
}

static void on_decided(struct web_held *held, const char *error, const json_t *parameters)
{
	struct web_offers_view *view = &held->view;
	struct web_offers_failure failure;
	char text[WEB_FAILURE_CAP];

	if (error) {
		failure = answer_failure(error, parameters, "It stays as it was", text);
		decide_refuse(view, held->offer, held->reservation, &failure);
	} else {
		/* The message was for this once. */
		api_http_form_fini(&view->form);
		one_reply(view, held->offer, held->reservation, 200);
	}
}

static void decide(struct web_offers_view *view, const struct gateway_request *request,
		   const struct web_held_ask *ask)
{
	struct web_held_ask whole = *ask;
	struct reading reading = {.parameters = NULL};

	body_read(view, request, false, &reading);
	if (!reading.parameters) {
		decide_refuse(view, ask->offer, ask->reservation, &reading.failure);
		return;
	}
	(void)json_object_set_new(reading.parameters, ID, json_string(ask->reservation));
	whole.parameters = reading.parameters;
	api_http_held_ask(view, &whole);
}

/* --- paths --- */

static const char *method_of(const char *verb)
{
	static const char *const rows[][2] = {{"confirm", "ConfirmReservation"},
					      {"refuse", "RefuseReservation"},
					      {"cancel", "CancelReservation"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(verb, rows[i][0]) == 0)
			return rows[i][1];
	return NULL;
}

/*
 * Reservations are between two people, and no one else of this machine: they are shown to the token
 * alone. A browser shows it in a form. Whether there is one of that name is not said, either.
 */
static bool is_open(struct web_offers_view *view, const struct gateway_request *request)
{
	if (api_http_has_right(view, request))
		return true;
	view->path = request->path;
	/* No form was sent yet where a link was followed. */
	view->fault = request->method == GATEWAY_POST ? api_http_no_token.message : NULL;
	if (view->wants_html)
		api_http_offers_page(view, api_http_no_token.status, api_http_page_locked);
	else
		api_http_offers_fail(view, &api_http_no_token);
	return false;
}

/* rest: ID, or ID and what is decided. */
static void one_handle(struct web_offers_view *view, const struct gateway_request *request,
		       const char *offer, const char *rest)
{
	size_t len = strcspn(rest, "/");
	const char *slash = rest[len] ? rest + len : NULL;
	const char *method = slash ? method_of(slash + 1) : NULL;
	struct varlink_blocks blocks = {0};
	struct api_reservation row;
	char id[RESERVATION_REF_TEXT_CAP];

	if (len >= sizeof(id) || (slash && !method)) {
		one_absent(view);
		return;
	}
	memcpy(id, rest, len);
	id[len] = '\0';
	if (slash && request->method != GATEWAY_POST)
		api_http_offers_methods(view, GATEWAY_POST,
					"This path takes POST alone; the page of the reservation "
					"has a form for it.");
	else if (!is_open(view, request))
		return;
	else if (!one_lookup(view, offer, id, &blocks, &row))
		one_absent(view);
	else if (slash)
		decide(view, request,
		       &(struct web_held_ask){.method = method,
					      .offer = row.offer_id,
					      .reservation = row.reservation_id,
					      .answered = on_decided});
	else
		one_reply(view, offer, id, 200);
	varlink_blocks_free(&blocks);
}

bool api_http_offers_below(struct web_offers_view *view, const struct gateway_request *request,
			   const char *rest)
{
	bool is_post = request->method == GATEWAY_POST;
	const char *below = strchr(rest, '/');
	char offer[OFFER_REF_TEXT_CAP];

	if (!below || below == rest)
		return false;
	if (below - rest >= (ptrdiff_t)sizeof(offer)) {
		api_http_offers_absent(view,
				       "An offer is named by 26 letters, or the first of them.");
		return true;
	}
	snprintf(offer, sizeof(offer), "%.*s", (int)(below - rest), rest);
	if (strcmp(below, "/reserve") == 0 && is_post)
		reserve(view, request, offer);
	else if (strcmp(below, "/reserve") == 0)
		api_http_offers_methods(
			view, GATEWAY_POST,
			"This path takes POST alone; the page of the offer has a form for it.");
	else if (strncmp(below, RESERVATIONS "/", strlen(RESERVATIONS "/")) == 0)
		one_handle(view, request, offer, below + strlen(RESERVATIONS "/"));
	else if (strcmp(below, RESERVATIONS) != 0)
		return false;
	else if (is_open(view, request))
		list_reply(view, offer);
	return true;
}
