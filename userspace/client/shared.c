/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection that many calls share: requests with ids out, replies in
 * whatever order they end. It is made when the first call needs it and made
 * again when it was lost.
 */
#include "client/shared.h"

#include <errno.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "client/failure.h"

struct shared {
	struct loop_source source;
	struct varlink varlink;
	struct list_node asks; /* oldest first */
	uint64_t last_id;
};

struct shared_ask {
	struct loop_source source; /* its deadline; it has no descriptor */
	struct list_node node;
	struct shared *shared;
	uint64_t id;
	int timeout_ms;
	ask_fn fn;
	void (*gone)(void *arg);
	void *arg;
};

static struct shared *shared_of(struct loop_source *source)
{
	return container_of(source, struct shared, source);
}

static struct shared_ask *ask_of(struct loop_source *source)
{
	return container_of(source, struct shared_ask, source);
}

static void shared_free(struct loop_source *source)
{
	struct shared *shared = shared_of(source);

	if (source->client->shared == shared)
		source->client->shared = NULL;
	client_varlink_close(&shared->varlink);
	free(shared);
}

static void ask_free(struct loop_source *source)
{
	struct shared_ask *ask = ask_of(source);

	if (ask->gone)
		ask->gone(ask->arg);
	free(ask);
}

static void shared_flush(struct shared *shared)
{
	(void)client_varlink_flush(
		&shared->varlink); /* what the daemon said before it left is read */
	client_loop_want(&shared->source,
			 client_varlink_backlog_len(&shared->varlink) ? POLLIN | POLLOUT : POLLIN);
}

static void ask_end(struct shared_ask *ask, json_t *message, const struct weft_error *error)
{
	ask_fn fn = ask->fn;
	void *arg = ask->arg;

	list_unlink(&ask->node);
	client_loop_bury(&ask->source);
	fn(arg, message, error, true);
}

/* The connection is of no more use; the next call makes another. */
static void shared_lose(struct shared *shared, const struct weft_error *error)
{
	if (shared->source.client->shared == shared)
		shared->source.client->shared = NULL;
	client_loop_bury(&shared->source);
	while (!list_is_empty(&shared->asks))
		ask_end(container_of(shared->asks.next, struct shared_ask, node), NULL, error);
}

static struct shared_ask *ask_lookup(const struct shared *shared, uint64_t id)
{
	for (struct list_node *node = shared->asks.next; node != &shared->asks; node = node->next) {
		struct shared_ask *ask = container_of(node, struct shared_ask, node);

		if (ask->id == id)
			return ask;
	}
	return NULL;
}

/* A reply; true: it was the connection's last. One with an unknown id is of a call that was cancelled. */
static bool shared_reply(struct shared *shared, json_t *message)
{
	const json_t *id = json_object_get(message, "id");
	struct weft_error error;
	struct shared_ask *ask;
	int err = client_failure_of_reply(message, &error);

	if (!json_is_integer(id)) {
		if (err == 0)
			client_failure_set(&error, WEFT_EMALFORMED, "daemon",
					   "it does not take many calls on one connection",
					   "weft and weftd may be of different versions.");
		shared_lose(shared, &error);
		return true;
	}
	ask = ask_lookup(shared, (uint64_t)json_integer_value(id));
	if (ask)
		ask_end(ask, message, err < 0 ? &error : NULL);
	return shared->source.is_dead;
}

static void shared_ready(struct loop_source *source)
{
	struct shared *shared = shared_of(source);
	struct weft_error error;
	json_t *message;
	int got, err;

	shared_flush(shared);
	got = client_varlink_fill(&shared->varlink);
	while ((err = client_varlink_take(&shared->varlink, &message)) == 1) {
		bool is_over = shared_reply(shared, message);

		json_decref(message);
		if (is_over)
			return;
	}
	if (err == 0 && (got > 0 || got == -EAGAIN))
		return;
	client_failure_lost(&error, err < 0 ? err : got);
	shared_lose(shared, &error);
}

/* A connection that ended while nobody needed it is no reason to fail the next call. */
static int shared_find(struct weft_client *client, int timeout_ms, struct shared **out_shared,
		       struct weft_error *error)
{
	struct shared *shared = client->shared;
	int err;

	if (shared && list_is_empty(&shared->asks) && !client_varlink_is_fresh(&shared->varlink)) {
		client->shared = NULL;
		client_loop_bury(&shared->source);
	}
	*out_shared = client->shared;
	if (client->shared)
		return 0;
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return client_failure_memory(error);
	shared->source = (struct loop_source){.ready = shared_ready, .free = shared_free};
	list_init(&shared->asks);
	err = client_loop_connect(client, timeout_ms, &shared->varlink, error);
	if (err < 0) {
		free(shared);
		return err;
	}
	shared->source.fd = shared->varlink.fd;
	err = client_loop_add(client, &shared->source);
	if (err < 0) {
		client_varlink_close(&shared->varlink);
		free(shared);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	client->shared = *out_shared = shared;
	return 0;
}

/* shared_send takes parameters. */
static int shared_send(struct shared *shared, const char *method, json_t *parameters, uint64_t id)
{
	json_t *message = client_ask_message(method, parameters, NULL);
	int err = message ? json_object_set_new(message, "id", json_integer((json_int_t)id)) : -1;

	err = err < 0 ? -ENOMEM : client_varlink_send(&shared->varlink, message);
	json_decref(message);
	return err;
}

/* Whether the daemon hears of it or not, an answer that comes is dropped. */
static void daemon_cancel(struct shared_ask *ask)
{
	struct shared *shared = ask->shared;
	json_t *message =
		client_ask_message(ASK_INTERFACE "CancelCall",
				   json_pack("{s:I}", "call", (json_int_t)ask->id), "oneway");

	if (message && client_varlink_send(&shared->varlink, message) == 0)
		shared_flush(shared);
	json_decref(message);
}

static void ask_expired(struct loop_source *source)
{
	struct shared_ask *ask = ask_of(source);
	struct weft_error error;

	client_failure_silence(&error, source->client->path, ask->timeout_ms);
	daemon_cancel(ask);
	ask_end(ask, NULL, &error);
}

int client_shared_ask_start(struct weft_client *client, const struct ask_params *params,
			    struct shared_ask **out_ask, struct weft_error *error)
{
	struct shared_ask *ask = calloc(1, sizeof(*ask));
	int err;

	if (!ask) {
		json_decref(params->parameters);
		return client_failure_memory(error);
	}
	err = shared_find(client, params->timeout_ms, &ask->shared, error);
	if (err < 0) {
		json_decref(params->parameters);
		free(ask);
		return err;
	}
	ask->id = ++ask->shared->last_id;
	err = shared_send(ask->shared, params->method, params->parameters, ask->id);
	if (err < 0) {
		free(ask);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	ask->source = (struct loop_source){.expired = ask_expired, .free = ask_free};
	ask->timeout_ms = params->timeout_ms;
	ask->fn = params->fn;
	ask->gone = params->gone;
	ask->arg = params->arg;
	list_push_back(&ask->shared->asks, &ask->node);
	client_loop_add_deadline(client, &ask->source, params->timeout_ms);
	shared_flush(ask->shared);
	*out_ask = ask;
	return 0;
}

void client_shared_ask_cancel(struct shared_ask *ask)
{
	daemon_cancel(ask);
	list_unlink(&ask->node);
	client_loop_bury(&ask->source);
}
