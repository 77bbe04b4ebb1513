/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReserveOffer, ListReservations, ShowReservation, ConfirmReservation, RefuseReservation,
 * CancelReservation.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/events/events.h"
#include "api/services/method_offer.h"
#include "codec/text/zbase32.h"

/* --- rows --- */

static const enum api_reservation_state states[RESERVATION_STATE_CNT] = {
	[RESERVATION_ASKED] = API_RESERVATION_STATE_ASKED,
	[RESERVATION_CONFIRMED] = API_RESERVATION_STATE_CONFIRMED,
	[RESERVATION_REFUSED] = API_RESERVATION_STATE_REFUSED,
	[RESERVATION_CANCELLED] = API_RESERVATION_STATE_CANCELLED,
	[RESERVATION_EXPIRED] = API_RESERVATION_STATE_EXPIRED,
};

static const char *offer_ref(const struct reservation_record *record,
			     char text[static OFFER_REF_TEXT_CAP])
{
	uint8_t ref[OFFER_REF_LEN];

	offers_ref(record->service, record->parties.provider, record->parties.offer_id, ref);
	return zbase32_write(ref, sizeof(ref), text);
}

static const struct schema *schema_of(struct service_offers *offers,
				      const struct reservation_record *record)
{
	struct offer_name name = {.service = record->service};

	memcpy(name.provider, record->parties.provider, sizeof(name.provider));
	memcpy(name.offer_id, record->parties.offer_id, sizeof(name.offer_id));
	return offers_schema_of(offers, &name);
}

static const char *text_of(struct varlink_blocks *blocks, const char *text, size_t len)
{
	return text ? varlink_format(blocks, "%.*s", (int)len, text) : NULL;
}

struct listing {
	struct service_offers *offers;
	struct varlink_blocks *blocks;
	struct api_reservation_list list;
};

struct api_reservation api_reservation_row(struct service_offers *offers,
					   struct varlink_blocks *blocks,
					   const struct reservation_view *view)
{
	const struct reservation_record *record = view->record;
	const struct schema *schema = schema_of(offers, record);
	char id[RESERVATION_REF_TEXT_CAP], ref[OFFER_REF_TEXT_CAP];

	zbase32_write(view->id, RESERVATION_ID_LEN, id);
	return (struct api_reservation){
		.reservation_id = varlink_text(blocks, id),
		.offer_id = varlink_text(blocks, offer_ref(record, ref)),
		.schema = schema ? varlink_text(blocks, schema->name) : NULL,
		.side = record->is_made ? API_RESERVATION_SIDE_MADE : API_RESERVATION_SIDE_RECEIVED,
		.state = states[record->state],
		.units = record->units,
		.made_s = api_uint(record->made_s),
		.changed_s = api_uint(record->changed_s),
		.expires_s = api_uint(record->expires_s),
		.message = text_of(blocks, record->text, record->text_len),
		.answer = text_of(blocks, record->answer, record->answer_len),
		.provider = api_id(blocks, record->parties.provider_key),
		.reply_at = api_id(blocks, record->parties.store),
	};
}

static void on_view(void *arg, const struct reservation_view *view)
{
	struct listing *listing = arg;

	varlink_push(listing->blocks, &listing->list,
		     api_reservation_row(listing->offers, listing->blocks, view));
}

static bool reservation_show(struct api *api, struct control_call *call, const char *name,
			     struct api_reservation *out_row)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has no such reservation",
		 "weft reservation list shows those that it has"},
		{WEFT_EEXISTS, "several reservations begin so", "give more letters"},
		{0, "a reservation is named by 8 to 26 letters",
		 "copy them from weft reservation list"},
	};
	struct listing listing = {.offers = api->offers, .blocks = control_blocks(call)};
	int err =
		offers_reservations_show(offers_reservations(api->offers), name, on_view, &listing);

	if (err < 0) {
		control_fail_of(call, err, name, rows);
		return false;
	}
	*out_row = listing.list.rows[0];
	return true;
}

void api_show_reservation(struct api *api, struct control_call *call,
			  const struct api_show_reservation_in *in, uint64_t now_ns)
{
	struct api_reservation row;

	(void)now_ns;
	if (api_offers(api, call) && reservation_show(api, call, in->reservation_id, &row))
		api_reply(call, show_reservation, .reservation = row);
}

#define LIST_LIMIT 100

/* A cursor is the time and the name of the last row. */
static bool cursor_read(struct control_call *call, const char *text, struct reservation_place *out)
{
	char *end;

	out->made_s = UINT64_MAX;
	if (!text)
		return true;
	if (*text >= '0' && *text <= '9') {
		out->made_s = strtoull(text, &end, 10);
		if (*end == '.' && out->made_s < UINT64_MAX &&
		    zbase32_parse(end + 1, strlen(end + 1), out->id, sizeof(out->id)) ==
			    RESERVATION_ID_LEN)
			return true;
	}
	control_fail(call, WEFT_EMALFORMED, "cursor", "it is not that of a page",
		     "give what the page before said");
	return false;
}

static bool limit_read(struct control_call *call, const struct api_list_reservations_in *in,
		       unsigned *out)
{
	*out = in->has_limit ? (unsigned)in->limit : LIST_LIMIT;
	if (!in->has_limit || (in->limit >= 1 && in->limit <= (int64_t)RESERVATION_PAGE_MAX))
		return true;
	control_fail(call, WEFT_EMALFORMED, "limit", "it is not in 1 to 200",
		     "give a number of rows");
	return false;
}

void api_list_reservations(struct api *api, struct control_call *call,
			   const struct api_list_reservations_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct listing listing = {.offers = offers, .blocks = control_blocks(call)};
	struct reservation_page_ask ask = {.fn = on_view, .arg = &listing};
	struct reservation_place last;
	struct reservations_stats stats;
	char id[RESERVATION_REF_TEXT_CAP];
	bool has_more;

	(void)now_ns;
	if (!offers || !limit_read(call, in, &ask.limit) ||
	    !cursor_read(call, in->cursor, &ask.after))
		return;
	has_more = offers_reservations_page(offers_reservations(offers), &ask, &last);
	offers_reservations_stats(offers_reservations(offers), &stats);
	struct api_fill fills[] = {
		{"reservations received, and open", stats.received_cnt, RESERVATIONS_RECEIVED_MAX,
		 "fixed"},
		{"reservations received, and over", stats.over_cnt, RESERVATIONS_OVER_MAX, "fixed"},
		{"marks of reservations that are gone", stats.mark_cnt, RESERVATION_MARKS_MAX,
		 "fixed"},
		{"reservations made here", stats.own_cnt, RESERVATIONS_MADE_MAX, "fixed"},
	};
	api_reply(call, list_reservations, .reservations = listing.list,
		  .cursor = has_more
				    ? varlink_format(listing.blocks, "%" PRIu64 ".%s", last.made_s,
						     zbase32_write(last.id, RESERVATION_ID_LEN, id))
				    : NULL,
		  .fills = {fills, sizeof(fills) / sizeof(fills[0])});
}

/* --- changes --- */

/* A call that waits until its change is durable. */
struct reserving {
	struct reserving *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	bool is_new;
	enum reservation_decision decision;
	uint8_t id[RESERVATION_ID_LEN];
};

static void reserving_forget(struct reserving *reserving)
{
	struct reserving **at = &reserving->api->reservings;

	while (*at != reserving)
		at = &(*at)->next;
	*at = reserving->next;
	free(reserving);
}

void api_reservings_forget(struct api *api)
{
	while (api->reservings)
		reserving_forget(api->reservings);
}

static void reserving_reply(const struct reserving *reserving)
{
	char name[RESERVATION_REF_TEXT_CAP];
	struct api_reservation row;

	zbase32_write(reserving->id, RESERVATION_ID_LEN, name);
	if (!reservation_show(reserving->api, reserving->call, name, &row))
		return;
	if (reserving->is_new)
		api_reply(reserving->call, reserve_offer, .reservation = row);
	else if (reserving->decision == RESERVATION_CONFIRM)
		api_reply(reserving->call, confirm_reservation, .reservation = row);
	else if (reserving->decision == RESERVATION_REFUSE)
		api_reply(reserving->call, refuse_reservation, .reservation = row);
	else
		api_reply(reserving->call, cancel_reservation, .reservation = row);
}

static void reserving_done(void *arg, int err)
{
	struct reserving *reserving = arg;

	if (reserving->call && err < 0)
		control_fail(reserving->call, err, "reservation", "it could not be saved",
			     "see that the state directory can be written, and try again");
	else if (reserving->call)
		reserving_reply(reserving);
	reserving_forget(reserving);
}

static struct reserving *reserving_new(struct api *api, struct control_call *call)
{
	struct reserving *reserving = calloc(1, sizeof(*reserving));

	if (!reserving) {
		control_fail(call, -ENOMEM, "reservation", "no memory", "free some and try again");
		return NULL;
	}
	reserving->api = api;
	reserving->next = api->reservings;
	api->reservings = reserving;
	control_hold(call, &reserving->call);
	return reserving;
}

static bool ask_check(struct control_call *call, const struct api_reserve_offer_in *in)
{
	if (in->has_units && (in->units < 1 || in->units > UINT32_MAX))
		control_fail(call, WEFT_EMALFORMED, "units", "it is not in 1 to 4294967295",
			     "say how many of it are wanted");
	else if (in->has_hours && (in->hours < 1 || in->hours > RESERVATION_HOURS_MAX))
		control_fail(call, WEFT_EMALFORMED, "hours", "it is not in 1 to 168",
			     "a provider has a week at most");
	else
		return true;
	return false;
}

void api_reserve_offer(struct api *api, struct control_call *call,
		       const struct api_reserve_offer_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	uint8_t store[MESH_KEY_LEN];
	struct offer_reserve_ask ask = {
		.name = in->offer_id,
		.units = in->has_units ? (uint32_t)in->units : 1,
		.hours = in->has_hours ? (uint16_t)in->hours : 0,
		.text = in->message && in->message[0] ? in->message : NULL,
		.text_len = in->message ? strlen(in->message) : 0,
		.store = in->reply_at ? store : NULL,
		.done = reserving_done,
	};
	struct schema_fault fault = {0};
	struct reserving *reserving;
	int err;

	if (!offers || !ask_check(call, in) ||
	    (in->reply_at && !api_node_id_read(api, call, in->reply_at, store)) ||
	    !(reserving = reserving_new(api, call)))
		return;
	reserving->is_new = true;
	ask.arg = reserving;
	err = offers_reserve(offers, &ask, now_ns, reserving->id, &fault);
	if (err == 0)
		return;
	control_fail(call, err, in->offer_id, fault.what, fault.next);
	reserving_forget(reserving);
}

static void on_state(void *arg, const struct reservation_view *view)
{
	*(uint8_t *)arg = view->record->state;
}

/* Why nothing is to be decided any more. */
static void stale_fail(struct service_offers *offers, struct control_call *call, const char *name)
{
	static const char *const why[] = {
		[RESERVATION_ASKED] = "its offer was withdrawn, or the offer's time is over",
		[RESERVATION_CONFIRMED] = "it is confirmed already",
		[RESERVATION_REFUSED] = "it was refused",
		[RESERVATION_CANCELLED] = "it was cancelled",
		[RESERVATION_EXPIRED] = "it has expired",
	};
	uint8_t state = RESERVATION_EXPIRED;

	(void)!offers_reservations_show(offers_reservations(offers), name, on_state, &state);
	control_fail(call, WEFT_ESTALE, name, why[state], "weft reservation show says more");
}

/* words: the first letters of its id, and the message or NULL. */
static void decide(struct api *api, struct control_call *call, enum reservation_decision decision,
		   const char *const words[static 2], uint64_t now_ns)
{
	const char *name = words[0], *text = words[1];
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node has no such reservation",
		 "weft reservation list shows those that it has"},
		{WEFT_EEXISTS, "several reservations begin so", "give more letters"},
		{WEFT_EMALFORMED, "a reservation is named by 8 to 26 letters",
		 "copy them from weft reservation list"},
		{WEFT_EWRONGKEY, "it was made here, so the provider decides",
		 "weft reservation cancel gives it up"},
		{WEFT_EFULL, "the offer has not so many units left",
		 "refuse it, or change the units: weft offer update OFFER --units N"},
		{WEFT_ETOOSMALL, "this node keeps no more confirmed reservations",
		 "weft reservation cancel ends one, and each ends with its offer"},
		{WEFT_ETOOLARGE, "the message is longer than 2,000 bytes", "shorten it"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};
	struct reservation_change change = {
		.decision = decision,
		.name = name,
		.text = text && text[0] ? text : NULL,
		.text_len = text ? strlen(text) : 0,
		.now_ns = now_ns,
		.done = reserving_done,
	};
	struct service_offers *offers = api_offers(api, call);
	struct reserving *reserving = offers ? reserving_new(api, call) : NULL;
	int err;

	if (!reserving)
		return;
	reserving->decision = decision;
	change.arg = reserving;
	err = offers_reservations_decide(offers_reservations(offers), &change, reserving->id);
	if (err == 0)
		return;
	if (err == WEFT_ESTALE)
		stale_fail(offers, call, name);
	else
		control_fail_of(call, err, name, rows);
	reserving_forget(reserving);
}

void api_confirm_reservation(struct api *api, struct control_call *call,
			     const struct api_confirm_reservation_in *in, uint64_t now_ns)
{
	decide(api, call, RESERVATION_CONFIRM,
	       (const char *const[]){in->reservation_id, in->message}, now_ns);
}

void api_refuse_reservation(struct api *api, struct control_call *call,
			    const struct api_refuse_reservation_in *in, uint64_t now_ns)
{
	decide(api, call, RESERVATION_REFUSE,
	       (const char *const[]){in->reservation_id, in->message}, now_ns);
}

void api_cancel_reservation(struct api *api, struct control_call *call,
			    const struct api_cancel_reservation_in *in, uint64_t now_ns)
{
	decide(api, call, RESERVATION_CANCEL,
	       (const char *const[]){in->reservation_id, in->message}, now_ns);
}

/* --- events --- */

void api_tell_reservation(struct api *api, enum reservation_event_kind kind,
			  const struct reservation_view *view)
{
	static const char *const names[RESERVATION_EVENT_CNT] = {
		[RESERVATION_EVENT_ASKED] = "reservation.asked",
		[RESERVATION_EVENT_CONFIRMED] = "reservation.confirmed",
		[RESERVATION_EVENT_REFUSED] = "reservation.refused",
		[RESERVATION_EVENT_CANCELLED] = "reservation.cancelled",
		[RESERVATION_EVENT_EXPIRED] = "reservation.expired",
		[RESERVATION_EVENT_EXPIRES_SOON] = "reservation.expires-soon",
		[RESERVATION_EVENT_SLOT_SOON] = "reservation.slot-soon",
	};
	char id[RESERVATION_REF_TEXT_CAP], ref[OFFER_REF_TEXT_CAP];

	if (!api->control)
		return;
	zbase32_write(view->id, RESERVATION_ID_LEN, id);
	api_tell(api, names[kind], reservation, .reservation = id,
		 .offer = offer_ref(view->record, ref),
		 .side = view->record->is_made ? API_RESERVATION_EVENT_SIDE_MADE
					       : API_RESERVATION_EVENT_SIDE_RECEIVED,
		 .units = view->record->units);
}
