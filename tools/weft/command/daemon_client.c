/* SPDX-License-Identifier: Apache-2.0 */
/* The command's side of a call: the daemon it means, what failed in words and as an exit code. */
#include "command/daemon_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/node.h"
#include "client/client_ask.h"
#include "client/failure.h"
#include "print/terminal.h"
#include "print/text.h"

#define TIMEOUT_DEFAULT_MS 30000

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

void client_catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART */
	struct sigaction before;

	sigaction(SIGTERM, &action, NULL);
	/* In the background of a script Ctrl-C is not meant for this program. */
	if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(SIGINT, &action, NULL);
}

int client_say_error(int status, const char *what, const char *why, const char *next)
{
	char clean[3][1024];

	fprintf(stderr, "weft: %s: %s\n", text_clean(what, clean[0], sizeof(clean[0])),
		text_clean(why, clean[1], sizeof(clean[1])));
	if (next && *next)
		fprintf(stderr, "  %s\n", text_clean(next, clean[2], sizeof(clean[2])));
	return status;
}

bool client_is_interrupted(void)
{
	return interrupted || terminal_quit_pressed();
}

int client_timeout_ms(const struct invocation *inv)
{
	return inv->timeout_ms ? (int)inv->timeout_ms : TIMEOUT_DEFAULT_MS;
}

static int status_of(const struct weft_error *error)
{
	if (error->err == -EINTR)
		return STATUS_INTERRUPTED;
	return error->err == WEFT_ETIMEOUT ? STATUS_TIMEOUT : STATUS_UNREACHABLE;
}

/* say_failure: the daemon did not answer at all. A signal needs no words. */
static int say_failure(const struct weft_error *error)
{
	int status = status_of(error);

	return status == STATUS_INTERRUPTED
		       ? status
		       : client_say_error(status, error->what, error->why, error->next);
}

int control_client_open(const struct invocation *inv, struct weft_client **out_client)
{
	struct weft_error error;

	if (weft_client_open(inv->socket, client_timeout_ms(inv), out_client, &error) < 0)
		return say_failure(&error);
	(*out_client)->is_interrupted = client_is_interrupted;
	(*out_client)->is_plain = true;
	return STATUS_OK;
}

static const struct {
	const char *error;
	int status;
} error_statuses[] = {
	{API_NODE_INTERFACE ".Failed", STATUS_FAILED},
	{API_NODE_INTERFACE ".Invalid", STATUS_FAILED},
	{API_NODE_INTERFACE ".NotFound", STATUS_NOT_FOUND},
	{API_NODE_INTERFACE ".Refused", STATUS_REFUSED},
	{API_NODE_INTERFACE ".Timeout", STATUS_TIMEOUT},
	{API_NODE_INTERFACE ".NotVerified", STATUS_NOT_VERIFIED},
	{"org.varlink.service.PermissionDenied", STATUS_REFUSED},
	{"org.varlink.service.InvalidParameter", STATUS_USAGE},
};

static int status_of_reply(const struct client_call *call, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "error"));

	if (call->is_setting && strcmp(name, API_NODE_INTERFACE ".Invalid") == 0)
		return STATUS_USAGE;
	for (size_t i = 0; i < sizeof(error_statuses) / sizeof(error_statuses[0]); i++) {
		if (strcmp(error_statuses[i].error, name) == 0)
			return error_statuses[i].status;
	}
	return STATUS_FAILED;
}

static int tell_error(const struct invocation *inv, const struct client_call *call,
		      const json_t *message, const struct weft_error *error)
{
	if (call->on_error)
		call->on_error(call->arg);
	if (!message)
		return error->err == WEFT_EMALFORMED || error->err == WEFT_ETOOLARGE
			       ? client_say_error(STATUS_FAILED, error->what, error->why, NULL)
			       : say_failure(error);
	if (inv->is_json) {
		json_dumpf(message, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		printf("\n");
	}
	return client_say_error(status_of_reply(call, message), error->what, error->why,
				error->next);
}

struct calling {
	const struct invocation *inv;
	const struct client_call *call;
	struct ask *ask;
	int status;
	bool is_done;
};

static void calling_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct calling *calling = arg;
	const struct client_call *call = calling->call;

	calling->is_done = is_last;
	if (error)
		calling->status = tell_error(calling->inv, call, message, error);
	else if (!call->reply(call->arg, json_object_get(message, "parameters"), is_last) &&
		 !is_last) {
		calling->is_done = true;
		client_ask_cancel(calling->ask);
	}
}

/* calling_run calls one method, which has timeout_ms to answer. */
static int calling_run(struct weft_client *client, struct calling *calling, const char *method,
		       json_t *parameters, int timeout_ms)
{
	struct ask_params params = {.method = method,
				    .parameters = parameters,
				    .wants_more = calling->call->wants_more,
				    .timeout_ms = timeout_ms,
				    .fn = calling_told,
				    .arg = calling};
	struct weft_error error;

	if (client_ask_start(client, &params, &calling->ask, &error) < 0)
		return say_failure(&error);
	if (client_ask_run(calling->ask, &calling->is_done) < 0) {
		client_ask_cancel(calling->ask);
		return STATUS_INTERRUPTED;
	}
	return calling->status;
}

static bool ignore_reply(void *arg, json_t *parameters, bool is_last)
{
	(void)arg, (void)parameters, (void)is_last;
	return true;
}

/*
 * greet asks what any daemon answers at once: replies of the call that
 * follows may be far apart, and silence then means nothing.
 */
static int greet(const struct invocation *inv, struct weft_client *client)
{
	static const struct client_call info = {.reply = ignore_reply};
	struct calling calling = {.inv = inv, .call = &info};

	return calling_run(client, &calling, "org.varlink.service.GetInfo", NULL,
			   client_timeout_ms(inv));
}

int client_call(const struct invocation *inv, const struct client_call *call)
{
	struct calling calling = {.inv = inv, .call = call};
	bool is_long = call->wants_more || call->is_long;
	struct weft_client *client;
	char method[128];
	int status = control_client_open(inv, &client);

	if (status != STATUS_OK) {
		json_decref(call->parameters);
		return status;
	}
	snprintf(method, sizeof(method), "%s.%s", api_node_method(call->method)->interface,
		 call->method);
	if (is_long)
		status = greet(inv, client);
	if (status == STATUS_OK)
		status = calling_run(client, &calling, method, call->parameters,
				     is_long ? -1 : client_timeout_ms(inv));
	else
		json_decref(call->parameters);
	weft_client_close(client);
	return status;
}

static bool keep_reply(void *arg, json_t *parameters, bool is_last)
{
	json_t **out = arg;

	(void)is_last;
	json_decref(*out);
	*out = json_incref(parameters);
	return true;
}

/* call_once makes call, which has one reply, given to the caller on STATUS_OK. */
static int call_once(const struct invocation *inv, struct client_call *call, json_t **out_reply)
{
	json_t *reply = NULL;
	int status;

	call->reply = keep_reply;
	call->arg = &reply;
	status = client_call(inv, call);
	call->arg = NULL;
	if (status == STATUS_OK)
		*out_reply = reply;
	else
		json_decref(reply);
	return status;
}

int client_ask(const struct invocation *inv, const char *method, json_t *parameters,
	       json_t **out_reply)
{
	return call_once(inv, &(struct client_call){.method = method, .parameters = parameters},
			 out_reply);
}

int client_show_call(const struct invocation *inv, struct client_call *call, client_print_fn *print)
{
	json_t *reply;
	int status = call_once(inv, call, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else if (print)
		print(inv, reply);
	json_decref(reply);
	return STATUS_OK;
}

int client_show(const struct invocation *inv, const char *method, json_t *parameters,
		client_print_fn *print)
{
	return client_show_call(
		inv, &(struct client_call){.method = method, .parameters = parameters}, print);
}

int client_set(const struct invocation *inv, const char *method, json_t *parameters,
	       client_print_fn *print)
{
	struct client_call call = {.method = method, .parameters = parameters, .is_setting = true};

	return client_show_call(inv, &call, print);
}
