/* SPDX-License-Identifier: Apache-2.0 */
/* A method of the daemon called: request out, replies in, the time for them. */
#include "client/client_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "client/failure.h"

struct ask {
	struct loop_source source;
	struct varlink varlink;
	bool wants_more;
	int timeout_ms;
	ask_fn fn;
	void (*gone)(void *arg);
	void *arg;
};

static struct ask *ask_of(struct loop_source *source)
{
	return container_of(source, struct ask, source);
}

json_t *client_ask_message(const char *method, json_t *parameters, const char *flag)
{
	json_t *message = json_pack("{s:s}", "method", method);

	if (parameters)
		(void)json_object_set_new(message, "parameters", parameters);
	if (flag)
		(void)json_object_set_new(message, flag, json_true());
	return message;
}

static void ask_free(struct loop_source *source)
{
	struct ask *ask = ask_of(source);

	client_varlink_close(&ask->varlink);
	if (ask->gone)
		ask->gone(ask->arg);
	free(ask);
}

/* ask_end is the last of an ask; the connection, if it is whole, serves the next one. */
static void ask_end(struct ask *ask, json_t *message, const struct weft_error *error)
{
	ask_fn fn = ask->fn;
	void *arg = ask->arg;

	client_loop_leave(&ask->source);
	if (message)
		client_loop_keep(ask->source.client, &ask->varlink);
	client_loop_bury(&ask->source);
	fn(arg, message, error, true);
}

static void ask_lose(struct ask *ask, int err)
{
	struct weft_error error;

	client_failure_lost(&error, err);
	ask_end(ask, NULL, &error);
}

/* ask_reply: true when it was the last. */
static bool ask_reply(struct ask *ask, json_t *message)
{
	bool continues = json_is_true(json_object_get(message, "continues"));
	struct weft_error error;

	if (client_failure_of_reply(message, &error) < 0) {
		ask_end(ask, message, &error);
		return true;
	}
	if (!continues) {
		ask_end(ask, message, NULL);
		return true;
	}
	if (ask->wants_more)
		client_loop_set_deadline(&ask->source, -1);
	ask->fn(ask->arg, message, NULL, false);
	return ask->source.is_dead;
}

static void ask_ready(struct loop_source *source)
{
	struct ask *ask = ask_of(source);
	json_t *message;
	int got, err = client_varlink_flush(&ask->varlink);

	client_loop_want(source,
			 client_varlink_backlog_len(&ask->varlink) ? POLLIN | POLLOUT : POLLIN);
	/* A daemon that refuses a client closes early: what it said is still there to read. */
	got = client_varlink_fill(&ask->varlink);
	while ((err = client_varlink_take(&ask->varlink, &message)) == 1) {
		bool is_over = ask_reply(ask, message);

		json_decref(message);
		if (is_over)
			return;
	}
	if (err < 0)
		ask_lose(ask, err);
	else if (got <= 0 && got != -EAGAIN)
		ask_lose(ask, got);
}

static void ask_expired(struct loop_source *source)
{
	struct ask *ask = ask_of(source);
	struct weft_error error;

	client_failure_silence(&error, source->client->path, ask->timeout_ms);
	ask_end(ask, NULL, &error);
}

static int ask_send(struct ask *ask, const struct ask_params *params)
{
	json_t *message = client_ask_message(params->method, params->parameters,
					     params->wants_more ? "more" : NULL);
	int err = message ? client_varlink_send(&ask->varlink, message) : -ENOMEM;

	json_decref(message);
	return err;
}

int client_ask_start(struct weft_client *client, const struct ask_params *params,
		     struct ask **out_ask, struct weft_error *error)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int err;

	if (!ask) {
		json_decref(params->parameters);
		return client_failure_memory(error);
	}
	ask->source =
		(struct loop_source){.ready = ask_ready, .expired = ask_expired, .free = ask_free};
	ask->wants_more = params->wants_more;
	ask->timeout_ms = params->timeout_ms;
	ask->fn = params->fn;
	ask->arg = params->arg;
	ask->varlink.fd = -1;
	err = client_loop_connect(client, params->timeout_ms, &ask->varlink, error);
	if (err < 0) {
		json_decref(params->parameters);
		free(ask);
		return err;
	}
	ask->source.fd = ask->varlink.fd;
	err = ask_send(ask, params);
	if (err == 0)
		err = client_loop_add(client, &ask->source);
	if (err < 0) {
		ask_free(&ask->source);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	(void)client_varlink_flush(
		&ask->varlink); /* what the daemon said before it left is still read */
	client_loop_want(&ask->source,
			 client_varlink_backlog_len(&ask->varlink) ? POLLIN | POLLOUT : POLLIN);
	client_loop_set_deadline(&ask->source, params->timeout_ms);
	ask->gone = params->gone;
	*out_ask = ask;
	return 0;
}

void client_ask_cancel(struct ask *ask)
{
	client_loop_bury(&ask->source);
}

int client_ask_run(struct weft_client *client, struct ask *ask, const bool *is_done)
{
	return client_loop_run(client, &ask->source, is_done);
}

struct waiting {
	json_t *parameters;
	struct weft_error error;
	bool is_done;
};

static void waiting_told(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct waiting *waiting = arg;

	if (error)
		waiting->error = *error;
	else if (is_last)
		waiting->parameters = json_incref(json_object_get(message, "parameters"));
	waiting->is_done = is_last;
}

int client_ask_wait(struct weft_client *client, const char *method, json_t *parameters,
		    int timeout_ms, json_t **out_parameters, struct weft_error *error)
{
	struct waiting waiting = {.is_done = false};
	struct ask_params params = {.method = method,
				    .parameters = parameters,
				    .timeout_ms = timeout_ms,
				    .fn = waiting_told,
				    .arg = &waiting};
	struct ask *ask;
	int err = client_ask_start(client, &params, &ask, error);

	if (err < 0)
		return err;
	err = client_ask_run(client, ask, &waiting.is_done);
	if (err < 0) {
		client_ask_cancel(ask);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	if (waiting.error.err < 0) {
		if (error)
			*error = waiting.error;
		return waiting.error.err;
	}
	*out_parameters = waiting.parameters;
	return 0;
}
