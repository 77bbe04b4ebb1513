/* SPDX-License-Identifier: Apache-2.0 */
/* An offer is published, the nodes around are asked. Home worker. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "varlink/node.h"
#include "web_offers_state.h"

/* Answers come by up to four hops, within this time. */
#define ASK_WAIT_NS (2 * NS_PER_S)

/* --- publish --- */

/* fields_read: the words of the form's fields, each that is wrong in faults. Returns how many are. */
static unsigned fields_read(struct web_offers_view *view, const char **words, size_t *out_cnt)
{
	const struct schema *schema = view->schema;
	struct schema_record *record = &view->offers->record;
	struct schema_fault *faults = view->offers->faults;
	unsigned wrong = 0;

	*out_cnt = 0;
	view->form.words_len = 0;
	offers_schema_record_init(record, false);
	for (unsigned i = 0; i < schema->field_cnt; i++) {
		const struct schema_field *field = &schema->fields[i];
		const char *word = api_http_form_field(&view->form, field);

		if (word)
			words[(*out_cnt)++] = word;
		if (word && offers_schema_value_from_text(schema, word, record, &faults[i]) < 0) {
			wrong++;
		} else if (!word && field->is_required) {
			faults[i] =
				(struct schema_fault){.what = "it is needed", .next = "fill it in"};
			wrong++;
		}
	}
	return wrong + api_http_numbers_read(view);
}

/* A page is the form again. */
static void publish_refuse(struct web_offers_view *view, const struct web_offers_failure *failure)
{
	view->fault = failure->message;
	if (view->wants_html)
		api_http_offers_page(view, failure->status, api_http_page_publish);
	else
		api_http_offers_fail(view, failure);
}

/* The page marks each field that is wrong, and JSON names the first. */
static void fields_refuse(struct web_offers_view *view)
{
	const struct web_offers *offers = view->offers;
	const struct schema *schema = view->schema;
	const struct schema_fault *fault = offers->number_faults;
	const char *name = NULL;
	char message[sizeof(fault->what) + sizeof(fault->next) + 8];

	for (unsigned i = 0; i < WEB_NUMBER_CNT && !name; i++)
		if (offers->number_faults[i].what[0]) {
			fault = &offers->number_faults[i];
			name = view->number_rows[i].name;
		}
	for (unsigned i = schema->field_cnt; i-- > 0;)
		if (offers->faults[i].what[0]) {
			fault = &offers->faults[i];
			name = schema->fields[i].name;
		}
	snprintf(message, sizeof(message), "%s%s%s", fault->what, fault->next[0] ? "; " : "",
		 fault->next);
	publish_refuse(
		view,
		&(struct web_offers_failure){
			400, "invalid_field",
			view->wants_html ? "It is not published: see the marked fields." : message,
			name});
}

static void on_published(struct web_held *held, const char *error, const json_t *parameters)
{
	char path[64], text[WEB_FAILURE_CAP];
	const char *id;

	if (!error) {
		id = json_string_value(
			json_object_get(json_object_get(parameters, "offer"), "offer_id"));
		snprintf(path, sizeof(path), "/offers/%s/%s", held->schema, id ? id : "");
		api_http_see_other(&held->view, strdup(path));
	} else {
		api_http_held_why("It is not published", parameters, text);
		publish_refuse(&held->view,
			       &(struct web_offers_failure){409, "publish_failed", text, NULL});
	}
}

static json_t *publish_parameters(const struct web_offers_view *view, const char *const *words,
				  size_t word_cnt)
{
	uint64_t units = view->numbers[WEB_NUMBER_UNITS], hours = view->numbers[WEB_NUMBER_HOURS];
	json_t *values = json_array();

	for (size_t i = 0; i < word_cnt; i++)
		(void)json_array_append_new(values, json_string(words[i]));
	return json_pack("{s:s, s:o, s:o*, s:o*}", "schema", view->schema->name, "values", values,
			 "units", units ? json_integer((json_int_t)units) : NULL, "ttl_hours",
			 hours ? json_integer((json_int_t)hours) : NULL);
}

void api_http_offers_publish(struct web_offers_view *view, const struct gateway_request *request)
{
	const char *words[SCHEMA_FIELDS_MAX];
	size_t word_cnt;

	if (!api_http_has_right(view, request))
		publish_refuse(view, &api_http_no_token);
	else if (fields_read(view, words, &word_cnt))
		fields_refuse(view);
	else
		api_http_held_ask(view, &(struct web_held_ask){.method = "PublishOffer",
							       .parameters = publish_parameters(
								       view, words, word_cnt),
							       .answered = on_published});
}

/* --- ask --- */

static void list_again(const struct web_offers_view *view)
{
	char *path = NULL;
	size_t len;
	FILE *out = open_memstream(&path, &len);

	if (out) {
		fprintf(out, "/offers/%s?", view->schema->name);
		api_http_form_query(&view->form, view->schema, out);
		(void)fclose(out);
	}
	/* Behind the last pair is a '&', or else the '?'. */
	if (path && len)
		path[len - 1] = '\0';
	api_http_see_other(view, path);
}

static void asked_reply(struct web_held *held)
{
	if (api_http_held_wake(held)) {
		if (held->is_form)
			list_again(&held->view);
		else
			api_http_offers_list(&held->view);
	}
	api_http_held_free(held);
}

static void ask_fire(struct timer *timer, uint64_t now_ns)
{
	(void)now_ns;
	asked_reply(container_of(timer, struct web_held, timer));
}

/* ask_send: how many neighbours were asked; below 0 the request was failed. */
static int ask_send(struct web_offers_view *view)
{
	int cnt;

	if (view->offers->api->config->web.role < CONTROL_OPERATE) {
		api_http_offers_fail(view, &(struct web_offers_failure){
						   403, "permission_denied",
						   "To ask the nodes around, gateway.role is to be "
						   "operate.",
						   NULL});
		return -1;
	}
	cnt = offers_ask(api_http_offers_of(view->offers), view->wanted, view->wanted_cnt,
			 view->now_ns);
	if (cnt < 0)
		api_http_offers_fail(
			view, &(struct web_offers_failure){
				      cnt == WEFT_EFULL ? 503u : 400u, "ask_failed",
				      cnt == WEFT_EFULL
					      ? "As many queries as may be are on their way; try "
						"again in a minute."
					      : "The filters are longer than a query; give fewer.",
				      NULL});
	return cnt;
}

void api_http_offers_ask(struct web_offers_view *view, const struct gateway_request *request)
{
	static const struct web_offers_failure no_token = {
		401, "token_required",
		"To ask the nodes around, show the token: it is in the file gateway.token of the "
		"node's state folder.",
		NULL};
	struct web_held *held;
	int cnt;

	if (!api_http_has_right(view, request)) {
		api_http_offers_fail(view, &no_token);
		return;
	}
	if (view->names[0] && !api_http_offers_check(view))
		return;
	/* What is wrong is said by the list. */
	if (!view->names[0] && api_http_offers_filters(view)) {
		api_http_offers_list(view);
		return;
	}
	cnt = ask_send(view);
	held = cnt < 0 ? NULL : api_http_held_new(view);
	if (!held)
		return;
	held->is_form = request->method == GATEWAY_POST;
	timer_init(&held->timer, ask_fire);
	timer_set(&held->view.offers->api->home->timers, &held->timer,
		  held->view.now_ns + (cnt ? ASK_WAIT_NS : 0));
}
