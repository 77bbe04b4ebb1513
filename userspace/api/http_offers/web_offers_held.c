/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that change something, and wait for the store or for other nodes. Such a request shows the
 * token: in its head, or in the form. A page of another site knows no token, and its Origin is
 * refused before. Home worker.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node.h"
#include "web_offers_state.h"

static const struct web_offers_failure busy = {
	503, "gateway_busy", "Too many requests wait for an answer; try again.", NULL};
const struct web_offers_failure api_http_no_token = {
	401, "token_required",
	"The token is missing or wrong. It is in the file gateway.token of the node's state "
	"folder.",
	NULL};

/* --- the right to it --- */

bool api_http_has_right(const struct web_offers_view *view, const struct gateway_request *request)
{
	const char *token = request->method == GATEWAY_POST
				    ? api_http_form_value(&view->form, WEB_FORM_TOKEN)
				    : NULL;

	return view->has_token || (token && gateway_token_is(request, token));
}

/* --- waiting --- */

void api_http_held_free(struct web_held *held)
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
	api_http_held_free(held);
}

static const struct gateway_events held_events = {.gone = held_gone};

struct web_held *api_http_held_new(struct web_offers_view *view)
{
	struct web_held *held =
		view->offers->held_cnt < WEB_OFFERS_HELD_MAX ? calloc(1, sizeof(*held)) : NULL;

	if (!held) {
		api_http_offers_fail(view, &busy);
		return NULL;
	}
	held->view = *view;
	view->form = (struct web_form){.cnt = 0};
	if (view->schema)
		snprintf(held->schema, sizeof(held->schema), "%s", view->schema->name);
	view->offers->held_cnt++;
	gateway_watch(view->exchange, &held_events, held);
	return held;
}

bool api_http_held_wake(struct web_held *held)
{
	struct web_offers_view *view = &held->view;

	view->now_ns = view->offers->api->home->now_ns;
	/* Of several schemas the list sees whether they are there. */
	if (view->names[0])
		return true;
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

void api_http_see_other(const struct web_offers_view *view, char *path)
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

/* --- methods of the daemon --- */

static void on_answered(void *arg, const char *error, const json_t *parameters)
{
	struct web_held *held = arg;

	held->call = NULL;
	if (api_http_held_wake(held))
		held->answered(held, error, parameters);
	api_http_held_free(held);
}

static void ask_begin(struct web_held *held, const char *method, json_t *parameters)
{
	struct web_offers_view *view = &held->view;
	struct api *api = view->offers->api;
	struct control_call *call;
	const struct control_ask ask = {.role = api->config->web.role,
					.method = method,
					.parameters = parameters,
					.answered = on_answered,
					.arg = held};

	if (control_ask(api->control, &ask, view->now_ns, &call) < 0) {
		gateway_watch(view->exchange, &(struct gateway_events){0}, NULL);
		api_http_offers_fail(view, &busy);
		api_http_held_free(held);
	} else if (call) {
		held->call = call;
	}
}

void api_http_held_ask(struct web_offers_view *view, const struct web_held_ask *ask)
{
	struct web_held *held = ask->parameters ? api_http_held_new(view) : NULL;

	if (held) {
		held->answered = ask->answered;
		snprintf(held->offer, sizeof(held->offer), "%s", ask->offer ? ask->offer : "");
		snprintf(held->reservation, sizeof(held->reservation), "%s",
			 ask->reservation ? ask->reservation : "");
		ask_begin(held, ask->method, ask->parameters);
	} else if (!ask->parameters) {
		api_http_offers_fail(view, &busy);
	}
	json_decref(ask->parameters);
}

void api_http_held_why(const char *what, const json_t *parameters,
		       char text[static WEB_FAILURE_CAP])
{
	struct varlink_blocks blocks = {0};
	const struct api_failure *failure =
		varlink_read(&api_failure_type, (json_t *)parameters, &blocks, NULL);

	snprintf(text, WEB_FAILURE_CAP, "%s: %s; %s", what,
		 failure && failure->why ? failure->why : "gateway.role does not permit it",
		 failure && failure->next ? failure->next : "see weft.conf(5)");
	varlink_blocks_free(&blocks);
}

/* --- numbers of a form --- */

unsigned api_http_numbers_read(struct web_offers_view *view)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < WEB_NUMBER_CNT; i++) {
		const struct web_number *number = &view->number_rows[i];
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
