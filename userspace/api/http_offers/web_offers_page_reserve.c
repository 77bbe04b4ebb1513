/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form to reserve an offer, on the offer's page, and the page of a reservation. Messages and
 * answers come from any node: they are escaped as all that is written here.
 */
#include <inttypes.h>

#include "web_offers_state.h"

static const char *const states[] = {
	[API_RESERVATION_STATE_ASKED] = "asked",
	[API_RESERVATION_STATE_CONFIRMED] = "confirmed",
	[API_RESERVATION_STATE_REFUSED] = "refused",
	[API_RESERVATION_STATE_CANCELLED] = "cancelled",
	[API_RESERVATION_STATE_EXPIRED] = "expired",
};

static void message_write(FILE *out, const struct web_offers_view *view, const char *label)
{
	const char *value = api_http_form_value(&view->form, "message");

	api_http_tagged_write(out, "<p><label for=\"f-message\">", label,
			      "</label> <textarea id=\"f-message\" name=\"message\" rows=\"4\" "
			      "maxlength=\"2000\">\n");
	api_http_tagged_write(out, "", value ? value : "", "</textarea></p>\n");
}

static void one_path_write(FILE *out, const struct web_offers_view *view,
			   const struct api_reservation *row)
{
	api_http_path_write(out, view->schema, "/");
	api_http_html_write(out, row->offer_id);
	api_http_tagged_write(out, "/reservations/", row->reservation_id, "");
}

void api_http_reserve_write(FILE *out, const struct web_offers_view *view)
{
	const struct api_offer *row = &view->rows[0];

	fputs("<p><a href=\"", out);
	api_http_path_write(out, view->schema, "/");
	api_http_tagged_write(out, "", row->offer_id,
			      "/reservations\">Reservations of it at this node</a></p>\n");
	if (row->own)
		return;
	fputs("<h2>Reserve it</h2>\n<form method=\"post\" action=\"", out);
	api_http_path_write(out, view->schema, "/");
	api_http_tagged_write(out, "", row->offer_id,
			      "/reserve\">\n<p>The provider alone can read the message. The "
			      "answer comes to this node.</p>\n");
	message_write(out, view, "Message to the provider");
	api_http_number_write(out, view, WEB_NUMBER_UNITS);
	api_http_number_write(out, view, WEB_NUMBER_HOURS);
	api_http_token_write(out);
	fputs("<p><button>Reserve</button></p>\n</form>\n", out);
}

/* --- reservations --- */

void api_http_page_locked(FILE *out, const struct web_offers_view *view)
{
	api_http_page_begin(out, "Reservations");
	api_http_fault_write(out, view);
	api_http_tagged_write(out,
			      "<p>Reservations are shown to the user of this node.</p>\n<form "
			      "method=\"post\" action=\"",
			      view->path, "\">\n");
	/* What was typed stays. */
	if (api_http_form_value(&view->form, "message"))
		message_write(out, view, "Message");
	api_http_token_write(out);
	fputs("<p><button>Go on</button></p>\n</form>\n", out);
}

void api_http_page_reservations(FILE *out, const struct web_offers_view *view)
{
	api_http_page_begin(out, "Reservations");
	fputs(view->reservation_cnt ? "<ul>\n" : "<p>There is none.</p>\n<ul>\n", out);
	for (size_t i = 0; i < view->reservation_cnt; i++) {
		const struct api_reservation *row = &view->reservations[i];

		fputs("<li><a href=\"", out);
		one_path_write(out, view, row);
		fprintf(out, "\">%s</a>, ",
			row->side == API_RESERVATION_SIDE_MADE ? "made here" : "received");
		api_http_time_write(out, row->made_s);
		fprintf(out, ": %s", states[row->state]);
		api_http_tagged_write(out, " <bdi>", row->message ? row->message : "",
				      "</bdi></li>\n");
	}
	fputs("</ul>\n<p><a href=\"/offers\">All kinds of offers</a></p>\n", out);
}

/* --- one --- */

static void text_write(FILE *out, const char *label, const char *text)
{
	if (!text)
		return;
	api_http_tagged_write(out, "<dt>", label, "</dt><dd><bdi>");
	api_http_tagged_write(out, "", text, "</bdi></dd>\n");
}

static void button_write(FILE *out, const struct web_offers_view *view, const char *verb,
			 const char *label)
{
	fputs("<button formaction=\"", out);
	one_path_write(out, view, &view->reservations[0]);
	fprintf(out, "/%s\">%s</button>\n", verb, label);
}

/* What may still be decided here. */
static void decide_write(FILE *out, const struct web_offers_view *view)
{
	const struct api_reservation *row = &view->reservations[0];
	bool is_made = row->side == API_RESERVATION_SIDE_MADE;
	bool is_asked = row->state == API_RESERVATION_STATE_ASKED;

	if (!is_asked && row->state != API_RESERVATION_STATE_CONFIRMED)
		return;
	fputs("<h2>Decide</h2>\n<form method=\"post\">\n", out);
	message_write(out, view, is_made ? "Message to the provider" : "Message to the consumer");
	api_http_token_write(out);
	fputs("<p>", out);
	if (is_asked && !is_made) {
		button_write(out, view, "confirm", "Confirm");
		button_write(out, view, "refuse", "Refuse");
	} else {
		button_write(out, view, "cancel", "Cancel it");
	}
	fputs("</p>\n</form>\n", out);
}

void api_http_page_reservation(FILE *out, const struct web_offers_view *view)
{
	const struct api_reservation *row = &view->reservations[0];

	api_http_page_begin(out, "Reservation");
	api_http_fault_write(out, view);
	fprintf(out, "<dl>\n<dt>State</dt><dd>%s</dd>\n<dt>Units</dt><dd>%" PRId64 "</dd>\n",
		states[row->state], row->units);
	text_write(out, "Message", row->message);
	text_write(out, "Answer", row->answer);
	fputs("<dt>Made</dt><dd>", out);
	api_http_time_write(out, row->made_s);
	fputs("</dd>\n<dt>To be answered until</dt><dd>", out);
	api_http_time_write(out, row->expires_s);
	api_http_tagged_write(out, "</dd>\n<dt>Reservation</dt><dd><code>", row->reservation_id,
			      "</code></dd>\n</dl>\n");
	if (row->state == API_RESERVATION_STATE_ASKED && row->side == API_RESERVATION_SIDE_MADE)
		fputs("<p>Load this page again to see whether it was answered.</p>\n", out);
	decide_write(out, view);
	fputs("<p><a href=\"", out);
	api_http_path_write(out, view->schema, "/");
	api_http_tagged_write(out, "", row->offer_id, "\">The offer</a></p>\n");
}
