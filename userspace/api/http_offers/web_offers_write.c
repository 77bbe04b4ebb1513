/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes something: an offer is published, the nodes around are asked. The request shows the
 * token: in its head, or in the form. A page of another site knows no token, and its Origin is
 * refused before. Home worker.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "varlink/node.h"
#include "web_offers_state.h"

/* Answers come by up to four hops, within this time. */
#define ASK_WAIT_NS (2 * NS_PER_S)

/* A request that waits for the store, or for the nodes around. */
struct web_held {
	struct timer timer;
	struct web_offers_view view;
	struct control_call *call; /* NULL: none, or answered */
	char schema[SCHEMA_NAME_CAP];
	bool is_form;
};

static const struct web_offers_failure busy = {
	503, "gateway_busy", "Too many requests wait for an answer; try again.", NULL};

/* held_new takes the view's form. NULL: the request was failed. */
static struct web_held *held_new(struct web_offers_view *view)
{
	struct web_held *held =
		view->offers->held_cnt < WEB_OFFERS_HELD_MAX ? calloc(1, sizeof(*held)) : NULL;

	if (!held) {
		api_http_offers_fail(view, &busy);
		return NULL;
	}
	held->view = *view;
	view->form = (struct web_form){.cnt = 0};
	snprintf(held->schema, sizeof(held->schema), "%s", view->schema->name);
	view->offers->held_cnt++;
	return held;
}

static void held_free(struct web_held *held)
{
	struct web_offers *offers = held->view.offers;

	timer_cancel(&offers->api->home->timers, &held->timer);
	offers->held_cnt--;
	api_http_form_fini(&held->view.form);
	free(held);
}

static void held_gone(void *arg)
{
	struct web_held *held = arg;

	if (held->call)
		control_ask_leave(held->call);
	held_free(held);
}

static const struct gateway_events held_events = {.gone = held_gone};

/* held_wake: the schema may have changed, or gone. False: the request was failed. */
static bool held_wake(struct web_held *held)
{
	struct web_offers_view *view = &held->view;

	view->now_ns = view->offers->api->home->now_ns;
	view->schema = offers_schema_registry_named(
		offers_registry(api_http_offers_of(view->offers)), held->schema);
	api_http_offers_faults_clear(view->offers);
	if (!view->schema)
		api_http_offers_fail(view,
				     &(struct web_offers_failure){404, "not_found",
								  "The schema was removed; /offers "
								  "lists those that are known.",
								  NULL});
	return view->schema != NULL;
}

/* The browser goes on at path, which it asks for by GET. path is taken, and may be NULL. */
static void see_other(const struct web_offers_view *view, char *path)
{
	static const struct gateway_error no_memory = {500, "no_memory",
						       "This node has no memory; try again.", 0};
	struct gateway_reply reply = {.status = 303};
	char *headers;

	if (!path || asprintf(&headers, "Cache-Control: no-store\r\nLocation: %s\r\n", path) < 0) {
		gateway_reply_error(view->exchange, &no_memory, view->now_ns);
	} else {
		reply.headers = headers;
		gateway_reply(view->exchange, &reply, view->now_ns);
		free(headers);
	}
	free(path);
}

/* has_right: the request shows the token, in its head or in its form. An address is no place for it. */
static bool has_right(const struct web_offers_view *view, const struct gateway_request *request)
{
	const char *token = request->method == GATEWAY_POST
				    ? api_http_form_value(&view->form, WEB_FORM_TOKEN)
				    : NULL;

	return view->has_token || (token && gateway_token_is(request, token));
}

/* --- publish --- */

static unsigned numbers_read(struct web_offers_view *view)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < WEB_NUMBER_CNT; i++) {
		const struct web_number *number = &api_http_offers_numbers[i];
		struct schema_fault *fault = &view->offers->number_faults[i];

		view->numbers[i] = 0;
		if (api_http_form_number(api_http_form_value(&view->form, number->name),
					 number->max, &view->numbers[i]))
			continue;
		snprintf(fault->what, sizeof(fault->what), "it is no number in 1 to %" PRIu64,
			 number->max);
		snprintf(fault->next, sizeof(fault->next), "give one, or leave it empty");
		wrong++;
	}
	return wrong;
}

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
	return wrong + numbers_read(view);
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
			name = api_http_offers_numbers[i].name;
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

/* on_published: error NULL: parameters have the offer. */
static void on_published(void *arg, const char *error, const json_t *parameters)
{
	struct web_held *held = arg;
	struct varlink_blocks blocks = {0};
	const struct api_failure *failure;
	char path[64], text[512];
	const char *id;

	held->call = NULL;
	if (!held_wake(held)) {
		held_free(held);
		return;
	}
	if (!error) {
		id = json_string_value(
			json_object_get(json_object_get(parameters, "offer"), "offer_id"));
		snprintf(path, sizeof(path), "/offers/%s/%s", held->schema, id ? id : "");
		see_other(&held->view, strdup(path));
	} else {
		failure = varlink_read(&api_failure_type, (json_t *)parameters, &blocks, NULL);
		snprintf(text, sizeof(text), "It is not published: %s; %s",
			 failure && failure->why ? failure->why : "gateway.role does not permit it",
			 failure && failure->next ? failure->next : "see weft.conf(5)");
		publish_refuse(&held->view,
			       &(struct web_offers_failure){409, "publish_failed", text, NULL});
	}
	varlink_blocks_free(&blocks);
	held_free(held);
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

static void publish_start(struct web_held *held, json_t *parameters)
{
	struct web_offers_view *view = &held->view;
	struct api *api = view->offers->api;
	struct control_call *call;
	const struct control_ask ask = {.role = api->config->web.role,
					.method = "PublishOffer",
					.parameters = parameters,
					.answered = on_published,
					.arg = held};

	gateway_watch(view->exchange, &held_events, held);
	if (control_ask(api->control, &ask, view->now_ns, &call) < 0) {
		gateway_watch(view->exchange, &(struct gateway_events){0}, NULL);
		api_http_offers_fail(view, &busy);
		held_free(held);
	} else if (call) {
		held->call = call;
	}
}

void api_http_offers_publish(struct web_offers_view *view, const struct gateway_request *request)
{
	static const struct web_offers_failure no_token = {
		401, "token_required",
		"The token is missing or wrong. It is in the file gateway.token of the node's "
		"state folder.",
		NULL};
	const char *words[SCHEMA_FIELDS_MAX];
	struct web_held *held;
	json_t *parameters;
	size_t word_cnt;

	if (!has_right(view, request)) {
		publish_refuse(view, &no_token);
		return;
	}
	if (fields_read(view, words, &word_cnt)) {
		fields_refuse(view);
		return;
	}
	parameters = publish_parameters(view, words, word_cnt);
	held = parameters ? held_new(view) : NULL;
	if (held)
		publish_start(held, parameters);
	else if (!parameters)
		api_http_offers_fail(view, &busy);
	json_decref(parameters);
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
	see_other(view, path);
}

static void asked_reply(struct web_held *held)
{
	if (held_wake(held)) {
		if (held->is_form)
			list_again(&held->view);
		else
			api_http_offers_list(&held->view);
	}
	held_free(held);
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
	cnt = offers_ask(api_http_offers_of(view->offers), view->schema, &view->offers->query,
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

	if (!has_right(view, request)) {
		api_http_offers_fail(view, &no_token);
		return;
	}
	/* What is wrong is said by the list. */
	if (api_http_offers_filters(view)) {
		api_http_offers_list(view);
		return;
	}
	cnt = ask_send(view);
	held = cnt < 0 ? NULL : held_new(view);
	if (!held)
		return;
	held->is_form = request->method == GATEWAY_POST;
	timer_init(&held->timer, ask_fire);
	gateway_watch(held->view.exchange, &held_events, held);
	timer_set(&held->view.offers->api->home->timers, &held->timer,
		  held->view.now_ns + (cnt ? ASK_WAIT_NS : 0));
}
