/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the daemon, shared by all calls: requests with ids out, replies in the order in
 * which they end. It is made again when a call needs it after it was lost.
 *
 * A function that waits reads for its own ask alone. Messages for others that come meanwhile are
 * kept in order, and delivered by the next dispatch.
 */
#include "client/client_ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "client/failure.h"

/* Bytes of replies kept for the next dispatch. Beyond it the ask that they are for ends. */
#define KEPT_LEN_MAX (64u << 20)

struct link {
	struct loop_source source;
	struct varlink varlink;
	struct list_node asks; /* oldest first */
	uint64_t last_id;
	const struct ask *waited; /* the innermost that a function waits for; NULL: none */
	json_t *kept;		  /* replies for the next dispatch, oldest first */
	size_t kept_len;	  /* bytes as they came */
	bool is_lost;
	json_t *farewell; /* what the daemon said of the connection; NULL: nothing */
	struct weft_error loss;
};

struct ask {
	struct loop_source source; /* its deadline; it has no descriptor */
	struct list_node node;
	struct link *link;
	uint64_t id;
	bool wants_more;
	bool is_overrun; /* too much was kept of it */
	int timeout_ms;
	ask_fn fn;
	void (*gone)(void *arg);
	void *arg;
};

static struct link *link_of(struct loop_source *source)
{
	return container_of(source, struct link, source);
}

static struct ask *ask_of(struct loop_source *source)
{
	return container_of(source, struct ask, source);
}

static void link_free(struct loop_source *source)
{
	struct link *link = link_of(source);

	if (source->client->link == link)
		source->client->link = NULL;
	client_varlink_close(&link->varlink);
	json_decref(link->kept);
	json_decref(link->farewell);
	free(link);
}

static void ask_free(struct loop_source *source)
{
	struct ask *ask = ask_of(source);

	if (ask->gone)
		ask->gone(ask->arg);
	free(ask);
}

static void link_flush(struct link *link)
{
	/* Messages that the daemon sent before it left are still read. */
	(void)client_varlink_flush(&link->varlink);
	client_loop_want(&link->source,
			 client_varlink_backlog_len(&link->varlink) ? POLLIN | POLLOUT : POLLIN);
}

/* ask_leave: a lost connection goes with its last ask. */
static void ask_leave(struct ask *ask)
{
	struct link *link = ask->link;

	list_unlink(&ask->node);
	client_loop_bury(&ask->source);
	if (link->is_lost && list_is_empty(&link->asks))
		client_loop_bury(&link->source);
}

static void ask_end(struct ask *ask, json_t *message, const struct weft_error *error)
{
	ask_fn fn = ask->fn;
	void *arg = ask->arg;

	ask_leave(ask);
	fn(arg, message, error, true);
}

/* ask_send: whether the send succeeds or not, a reply that comes to a cancelled ask is dropped. */
static int ask_send(const struct ask *ask, const char *method, json_t *parameters, const char *flag)
{
	bool is_oneway = flag && strcmp(flag, "oneway") == 0;
	json_t *message = json_pack("{s:s}", "method", method);
	int err;

	if (parameters)
		(void)json_object_set_new(message, "parameters", parameters);
	if (flag)
		(void)json_object_set_new(message, flag, json_true());
	if (!is_oneway && !ask->source.client->is_plain)
		(void)json_object_set_new(message, "id", json_integer((json_int_t)ask->id));
	err = message ? client_varlink_send(&ask->link->varlink, message) : -ENOMEM;
	json_decref(message);
	return err;
}

static void daemon_cancel(const struct ask *ask)
{
	const struct api_cancel_call_in in = {.call = (int64_t)ask->id};

	if (ask->source.client->is_plain) {
		/* The end of the connection is that of its call. */
		ask->source.client->link = NULL;
		ask->link->is_lost = true;
		client_loop_leave(&ask->link->source);
		client_varlink_close(&ask->link->varlink);
		return;
	}
	if (ask_send(ask, API_CANCEL_CALL_METHOD, api_cancel_call_in_write(&in), "oneway") == 0)
		link_flush(ask->link);
}

static struct ask *ask_lookup(const struct link *link, const json_t *message)
{
	bool is_plain = link->source.client->is_plain;
	uint64_t id = (uint64_t)json_integer_value(json_object_get(message, "id"));

	for (struct list_node *node = link->asks.next; node != &link->asks; node = node->next) {
		struct ask *ask = container_of(node, struct ask, node);

		if (is_plain || ask->id == id)
			return ask;
	}
	return NULL;
}

static void ask_tell(struct ask *ask, json_t *message)
{
	struct weft_error error;

	if (client_failure_of_reply(message, &error) < 0) {
		ask_end(ask, message, &error);
	} else if (!json_is_true(json_object_get(message, "continues"))) {
		ask_end(ask, message, NULL);
	} else {
		if (ask->wants_more)
			client_loop_set_deadline(&ask->source, -1);
		ask->fn(ask->arg, message, NULL, false);
	}
}

/* kept_tell tells one reply that was kept: of ask, or of any with NULL. False: there is none. */
static bool kept_tell(struct link *link, const struct ask *ask)
{
	for (size_t i = 0; i < json_array_size(link->kept); i++) {
		json_t *message = json_array_get(link->kept, i);
		struct ask *owner = ask_lookup(link, message);

		if (ask && owner != ask)
			continue;
		json_incref(message);
		(void)json_array_remove(link->kept, i);
		if (json_array_size(link->kept) == 0)
			link->kept_len = 0;
		if (owner)
			ask_tell(owner, message);
		json_decref(message);
		return true;
	}
	return false;
}

static void kept_add(struct link *link, struct ask *ask, json_t *message, size_t len)
{
	if (ask->is_overrun)
		return;
	link->kept_len += len;
	if (link->kept_len <= KEPT_LEN_MAX && json_array_append(link->kept, message) == 0) {
		client_loop_set_deadline(&link->source, 0);
		return;
	}
	ask->is_overrun = true;
	daemon_cancel(ask);
	client_loop_set_deadline(&ask->source, 0);
}

/* link_lose: the connection is of no more use; the next call makes another. */
static void link_lose(struct link *link, json_t *farewell, const struct weft_error *loss)
{
	if (link->source.client->link == link)
		link->source.client->link = NULL;
	link->is_lost = true;
	link->farewell = json_incref(farewell);
	link->loss = *loss;
	client_loop_leave(&link->source);
	client_loop_set_deadline(&link->source, 0);
	if (list_is_empty(&link->asks))
		client_loop_bury(&link->source);
}

/* A reply to a call that was cancelled is of no known ask, and dropped. */
static void link_reply(struct link *link, json_t *message, size_t len)
{
	struct weft_error error;
	struct ask *ask;

	if (!link->source.client->is_plain && !json_is_integer(json_object_get(message, "id"))) {
		if (client_failure_of_reply(message, &error) == 0)
			client_failure_set(&error, WEFT_EMALFORMED, "daemon",
					   "it does not take many calls on one connection",
					   "weft and weftd may be of different versions.");
		link_lose(link, message, &error);
		return;
	}
	ask = ask_lookup(link, message);
	if (!ask)
		return;
	if (ask == link->waited || (!link->waited && json_array_size(link->kept) == 0))
		ask_tell(ask, message);
	else
		kept_add(link, ask, message, len);
}

static void link_ready(struct loop_source *source)
{
	struct link *link = link_of(source);
	struct weft_error error;
	const uint8_t *data;
	json_t *message;
	size_t len;
	int got, err;

	link_flush(link);
	got = client_varlink_fill(&link->varlink);
	for (;;) {
		len = client_varlink_peek(&link->varlink, &data);
		err = client_varlink_take(&link->varlink, &message);
		if (err != 1)
			break;
		link_reply(link, message, len - client_varlink_peek(&link->varlink, &data));
		json_decref(message);
		if (link->is_lost || source->is_dead)
			return;
	}
	if (err == 0 && (got > 0 || got == -EAGAIN))
		return;
	client_failure_lost(&error, err < 0 ? err : got);
	link_lose(link, NULL, &error);
}

/* Replies were kept, or the connection is lost. */
static void link_due(struct loop_source *source)
{
	struct link *link = link_of(source);

	while (kept_tell(link, NULL))
		;
	while (link->is_lost && !list_is_empty(&link->asks))
		ask_end(container_of(link->asks.next, struct ask, node), link->farewell,
			&link->loss);
}

int client_link_open(struct weft_client *client, int timeout_ms, struct weft_error *error)
{
	struct link *link = calloc(1, sizeof(*link));
	int err;

	if (!link)
		return client_failure_memory(error);
	link->source =
		(struct loop_source){.ready = link_ready, .expired = link_due, .free = link_free};
	list_init(&link->asks);
	link->varlink.fd = -1;
	link->kept = json_array();
	link->source.client = client;
	err = link->kept ? client_loop_connect(client, timeout_ms, &link->varlink, error)
			 : client_failure_memory(error);
	if (err < 0) {
		link_free(&link->source);
		return err;
	}
	link->source.fd = link->varlink.fd;
	err = client_loop_add(client, &link->source);
	if (err < 0) {
		link_free(&link->source);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	client->link = link;
	return 0;
}

/* A connection that ended while no call needed it is no reason to fail the next call. */
static int link_find(struct weft_client *client, int timeout_ms, struct weft_error *error)
{
	struct link *link = client->link;

	if (link && list_is_empty(&link->asks) && !client_varlink_is_fresh(&link->varlink)) {
		client->link = NULL;
		client_loop_bury(&link->source);
	}
	return client->link ? 0 : client_link_open(client, timeout_ms, error);
}

static void ask_expired(struct loop_source *source)
{
	struct ask *ask = ask_of(source);
	struct weft_error error;

	if (ask->is_overrun) {
		client_failure_set(&error, WEFT_EFULL, "this program",
				   "too many replies wait for it to dispatch",
				   "Call weft_client_dispatch between calls that wait.");
	} else {
		client_failure_silence(&error, source->client->path, ask->timeout_ms);
		if (!ask->link->is_lost)
			daemon_cancel(ask);
	}
	ask_end(ask, NULL, &error);
}

int client_ask_start(struct weft_client *client, const struct ask_params *params,
		     struct ask **out_ask, struct weft_error *error)
{
	struct ask *ask = calloc(1, sizeof(*ask));
	int timeout_ms = params->timeout_ms > 0 ? params->timeout_ms : -1, err;

	err = ask ? link_find(client, timeout_ms, error) : client_failure_memory(error);
	if (err < 0) {
		json_decref(params->parameters);
		free(ask);
		return err;
	}
	ask->source =
		(struct loop_source){.client = client, .expired = ask_expired, .free = ask_free};
	ask->link = client->link;
	ask->id = ++ask->link->last_id;
	err = ask_send(ask, params->method, params->parameters, params->wants_more ? "more" : NULL);
	if (err < 0) {
		free(ask);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	ask->wants_more = params->wants_more;
	ask->timeout_ms = timeout_ms;
	ask->fn = params->fn;
	ask->gone = params->gone;
	ask->arg = params->arg;
	list_push_back(&ask->link->asks, &ask->node);
	client_loop_add_deadline(client, &ask->source, timeout_ms);
	link_flush(ask->link);
	*out_ask = ask;
	return 0;
}

void client_ask_cancel(struct ask *ask)
{
	if (!ask->link->is_lost && !ask->is_overrun)
		daemon_cancel(ask);
	ask_leave(ask);
}

/* wait_ms until source's deadline, rounded up. */
static int wait_ms(const struct loop_source *source)
{
	uint64_t now_ns = clock_monotonic_ns(), left_ms;

	if (!source->deadline_ns)
		return -1;
	if (source->deadline_ns <= now_ns)
		return 0;
	left_ms = (source->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
	return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

/* ask_turn does what is next for ask, waiting if need be. */
static void ask_turn(struct link *link, struct ask *ask)
{
	struct pollfd waiting = {.fd = link->source.fd, .events = (short)link->source.interest};
	int got;

	if (kept_tell(link, ask))
		return;
	if (link->is_lost) {
		ask_end(ask, link->farewell, &link->loss);
		return;
	}
	got = poll(&waiting, 1, wait_ms(&ask->source));
	if (got > 0)
		link_ready(&link->source);
	else if (got == 0)
		ask_expired(&ask->source);
}

int client_ask_run(struct ask *ask, const bool *is_done)
{
	struct weft_client *client = ask->source.client;
	struct link *link = ask->link;
	const struct ask *outer = link->waited;
	int err = 0;

	client_loop_begin(client);
	link->waited = ask;
	while (!*is_done && err == 0) {
		if (client->is_interrupted && client->is_interrupted())
			err = -EINTR;
		else
			ask_turn(link, ask);
	}
	link->waited = outer;
	client_loop_end(client);
	return err;
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

int client_ask_wait(struct weft_client *client, const struct ask_params *params,
		    json_t **out_parameters, struct weft_error *error)
{
	struct waiting waiting = {.is_done = false};
	struct ask_params started = *params;
	struct ask *ask;
	int err;

	started.fn = waiting_told;
	started.arg = &waiting;
	err = client_ask_start(client, &started, &ask, error);
	if (err < 0)
		return err;
	err = client_ask_run(ask, &waiting.is_done);
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

static int caller_ask(struct varlink_caller *caller, const char *method, json_t *parameters,
		      json_t **out_reply)
{
	const struct client_caller *own = container_of(caller, struct client_caller, caller);
	const struct ask_params params = {
		.method = method, .parameters = parameters, .timeout_ms = own->timeout_ms};

	return client_ask_wait(own->client, &params, out_reply, own->error);
}

struct client_caller client_caller_of(struct weft_client *client, int timeout_ms,
				      struct weft_error *error)
{
	return (struct client_caller){.caller = {.ask = caller_ask},
				      .client = client,
				      .timeout_ms = timeout_ms,
				      .error = error};
}
