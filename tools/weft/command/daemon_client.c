/* SPDX-License-Identifier: Apache-2.0 */
/* The command's side of a call: the daemon it means, what failed in words and as an exit code. */
#include "command/daemon_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node.h"
#include "varlink/standard.h"
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
	{API_FAILED_ERROR, STATUS_FAILED},
	{API_INVALID_ERROR, STATUS_FAILED},
	{API_NOT_FOUND_ERROR, STATUS_NOT_FOUND},
	{API_REFUSED_ERROR, STATUS_REFUSED},
	{API_TIMEOUT_ERROR, STATUS_TIMEOUT},
	{API_NOT_VERIFIED_ERROR, STATUS_NOT_VERIFIED},
	{API_PERMISSION_DENIED_ERROR, STATUS_REFUSED},
	{API_INVALID_PARAMETER_ERROR, STATUS_USAGE},
};

static int status_of_reply(const struct client_call *call, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "error"));

	if (call->is_setting && strcmp(name, API_INVALID_ERROR) == 0)
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
	if (inv->is_json)
		text_print_json(message);
	return client_say_error(status_of_reply(call, message), error->what, error->why,
				error->next);
}

/* A reply that lasts. */
struct client_replies {
	struct client_replies *next;
	struct varlink_blocks blocks;
	json_t *json;
};

void client_replies_free(struct client_replies *kept)
{
	while (kept) {
		struct client_replies *next = kept->next;

		varlink_blocks_free(&kept->blocks);
		json_decref(kept->json);
		free(kept);
		kept = next;
	}
}

struct calling {
	const struct invocation *inv;
	struct client_call *call;
	struct ask *ask;
	struct client_replies *kept; /* the newest reply */
	int status;
	bool is_done;
};

/* reply_read makes parameters the newest reply. False: they are not those of the method. */
static bool reply_read(struct calling *calling, json_t *parameters)
{
	struct client_call *call = calling->call;
	struct client_replies *kept = calloc(1, sizeof(*kept));
	char field[VARLINK_FIELD_CAP] = "", why[128 + VARLINK_FIELD_CAP];

	client_replies_free(calling->kept);
	calling->kept = kept;
	call->last = (struct client_reply){0};
	if (kept && (kept->json = parameters ? json_incref(parameters) : json_object()) != NULL) {
		call->last.json = kept->json;
		call->last.out =
			varlink_read(call->request.method->out, kept->json, &kept->blocks, field);
	}
	if (call->last.out)
		return true;
	if (call->on_error)
		call->on_error(call->arg);
	snprintf(why, sizeof(why), "the daemon sent something else for %s%s%s",
		 call->request.method->name, *field ? ": " : "", field);
	calling->status = client_say_error(STATUS_FAILED, "reply", why,
					   "weft and weftd may be of different versions.");
	return false;
}

static void calling_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct calling *calling = arg;
	struct client_call *call = calling->call;

	calling->is_done = is_last;
	if (error) {
		calling->status = tell_error(calling->inv, call, message, error);
		return;
	}
	if (reply_read(calling, json_object_get(message, "parameters"))) {
		call->last.is_last = is_last;
		if (!call->reply || call->reply(call->arg, &call->last))
			return;
	}
	if (!is_last) {
		calling->is_done = true;
		client_ask_cancel(calling->ask);
	}
}

/* ask_run asks the daemon, and waits until the answer is here. */
static int ask_run(struct weft_client *client, const struct ask_params *params,
		   struct calling *calling)
{
	struct weft_error error;

	if (client_ask_start(client, params, &calling->ask, &error) < 0)
		return say_failure(&error);
	if (client_ask_run(calling->ask, &calling->is_done) < 0) {
		client_ask_cancel(calling->ask);
		return STATUS_INTERRUPTED;
	}
	calling->is_done = false;
	return calling->status;
}

static void greeting_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct calling *calling = arg;

	calling->is_done = is_last;
	if (error)
		calling->status = tell_error(calling->inv, calling->call, message, error);
}

/*
 * greet asks what any daemon answers at once: replies of the call that
 * follows may be far apart, and silence then means nothing. The daemon may
 * refuse, as when its memory is short; that is no silence either.
 */
static int greet(struct weft_client *client, struct calling *calling)
{
	const struct ask_params params = {.method = API_STANDARD_GET_INFO,
					  .timeout_ms = client_timeout_ms(calling->inv),
					  .fn = greeting_told,
					  .arg = calling};

	return ask_run(client, &params, calling);
}

static int calling_run(struct weft_client *client, struct calling *calling)
{
	const struct client_call *call = calling->call;
	const struct varlink_method *method = call->request.method;
	bool is_long = call->wants_more || call->is_long;
	struct ask_params params = {.wants_more = call->wants_more,
				    .timeout_ms = is_long ? -1 : client_timeout_ms(calling->inv),
				    .fn = calling_told,
				    .arg = calling};
	int status = is_long ? greet(client, calling) : STATUS_OK;
	char name[128];

	if (status != STATUS_OK)
		return status;
	snprintf(name, sizeof(name), "%s.%s", method->interface, method->name);
	params.method = name;
	params.parameters = call->request.in ? varlink_write(method->in, call->request.in) : NULL;
	return ask_run(client, &params, calling);
}

int client_call(const struct invocation *inv, struct client_call *call)
{
	struct calling calling = {.inv = inv, .call = call};
	struct weft_client *client;
	int status = control_client_open(inv, &client);

	if (status != STATUS_OK)
		return status;
	status = calling_run(client, &calling);
	weft_client_close(client);
	if (status == STATUS_OK && calling.kept) {
		calling.kept->next = *inv->kept;
		*inv->kept = calling.kept;
	} else {
		client_replies_free(calling.kept);
		call->last = (struct client_reply){0};
	}
	return status;
}

int client_ask(const struct invocation *inv, struct varlink_request request, void *out_reply)
{
	struct client_call call = {.request = request};
	int status = client_call(inv, &call);

	if (status == STATUS_OK)
		*(const void **)out_reply = call.last.out;
	return status;
}

int client_show_call(const struct invocation *inv, struct client_call *call, client_print_fn *print)
{
	int status = client_call(inv, call);

	if (status != STATUS_OK || !call->last.out)
		return status;
	if (inv->is_json)
		text_print_json(call->last.json);
	else if (print)
		print(inv, call->last.out);
	return STATUS_OK;
}

int client_show(const struct invocation *inv, struct varlink_request request,
		client_print_fn *print)
{
	struct client_call call = {.request = request};

	return client_show_call(inv, &call, print);
}
