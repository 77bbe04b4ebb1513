/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints: calls whose replies bring a descriptor. Each has a connection of its own, so that a
 * descriptor belongs to the reply that is read.
 *
 * An endpoint's connection has two calls: 1 opens it and stays, the other waits for a stream. That
 * is asked before weft_accept is called, so the connection is readable when a stream is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "varlink/node_client.h"
#include "base/monotonic.h"
#include "client/client_loop.h"
#include "client/failure.h"

#define OPEN_ID	  1
#define ACCEPT_ID 2
#define GRACE_MS  5000 /* beyond the daemon's own time */

struct weft_endpoint {
	struct varlink varlink;
	char *path; /* of the daemon, for failures */
	char *name, *id, *address;
};

/* say sends a call; parameters is taken. id 0: none. */
static int say(struct varlink *varlink, const char *method, json_t *parameters, int id)
{
	json_t *message = json_pack("{s:s, s:o}", "method", method, "parameters", parameters);
	int err = message ? 0 : -ENOMEM;

	if (err == 0 && id)
		err = json_object_set_new(message, "id", json_integer(id)) < 0 ? -ENOMEM : 0;
	if (err == 0 && id == OPEN_ID)
		err = json_object_set_new(message, "more", json_true()) < 0 ? -ENOMEM : 0;
	if (err == 0)
		err = client_varlink_send(varlink, message);
	json_decref(message);
	return err;
}

/* ready_by: 1, 0 when until_ns passed, -errno. */
static int ready_by(const struct varlink *varlink, uint64_t until_ns)
{
	struct pollfd poll_fd = {.fd = varlink->fd, .events = POLLIN};
	uint64_t now_ns = clock_monotonic_ns();
	int left_ms = -1, n;

	if (client_varlink_backlog_len(varlink))
		poll_fd.events |= POLLOUT;
	if (until_ns != UINT64_MAX)
		left_ms = now_ns >= until_ns
				  ? 0
				  : (int)((until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
	n = poll(&poll_fd, 1, left_ms);
	return n < 0 ? -errno : n;
}

/* hear waits for the next message: 0, WEFT_ETIMEOUT, WEFT_ECLOSED, -errno. */
static int hear(struct varlink *varlink, uint64_t until_ns, json_t **out_message)
{
	int err;

	for (;;) {
		if ((err = client_varlink_flush(varlink)) < 0)
			return err == -EPIPE ? WEFT_ECLOSED : err;
		if ((err = client_varlink_take(varlink, out_message)) != 0)
			return err < 0 ? err : 0;
		if ((err = ready_by(varlink, until_ns)) <= 0)
			return err ? err : WEFT_ETIMEOUT;
		err = client_varlink_fill(varlink);
		if (err == 0 || err == -ECONNRESET)
			return WEFT_ECLOSED;
		if (err < 0 && err != -EAGAIN)
			return err;
	}
}

static uint64_t until(int timeout_ms)
{
	return timeout_ms > 0 ? clock_monotonic_ns() + (uint64_t)(unsigned)timeout_ms * NS_PER_MS
			      : UINT64_MAX;
}

static int hear_fail(struct weft_error *error, int err, const char *path, int timeout_ms)
{
	if (err == WEFT_ETIMEOUT)
		return client_failure_silence(error, path, timeout_ms);
	if (err == -ENOMEM)
		return client_failure_memory(error);
	if (err == -EINTR)
		return client_failure_set(error, err, "this program", "a signal came", NULL);
	return client_failure_lost(error, err);
}

/* fd_of: the descriptor that came with a reply, made to block. */
static int fd_of(struct varlink *varlink, struct weft_error *error)
{
	int fd = client_varlink_take_fd(varlink);
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return client_failure_set(error, WEFT_EMALFORMED, "the daemon",
				  "its reply has no descriptor",
				  "close some, if this program has as many open as it may");
}

int weft_connect(struct weft_client *client, const struct weft_connect_params *params,
		 struct weft_error *error)
{
	const struct api_connect_endpoint_in in = {
		.node = params->node,
		.name = params->name,
		.address = params->address,
		API_IF(timeout_ms, params->timeout_ms > 0, params->timeout_ms),
	};
	int timeout_ms = params->timeout_ms > 0 ? params->timeout_ms : -1, err;
	json_t *message = NULL;
	struct varlink varlink;

	err = client_loop_connect(client, timeout_ms, &varlink, error);
	if (err < 0)
		return err;
	err = say(&varlink, API_CONNECT_ENDPOINT_METHOD, api_connect_endpoint_in_write(&in), 0);
	if (err == 0)
		err = hear(&varlink, until(timeout_ms > 0 ? timeout_ms + GRACE_MS : -1), &message);
	if (err < 0)
		err = hear_fail(error, err, client->path, timeout_ms);
	else if ((err = client_failure_of_reply(message, error)) == 0)
		err = fd_of(&varlink, error);
	json_decref(message);
	client_varlink_close(&varlink);
	return err;
}

/* --- endpoints --- */

static int accept_ask(struct weft_endpoint *endpoint)
{
	const struct api_accept_endpoint_in in = {.name = endpoint->name};

	return say(&endpoint->varlink, API_ACCEPT_ENDPOINT_METHOD,
		   api_accept_endpoint_in_write(&in), ACCEPT_ID);
}

/* opened_keep: what the reply tells of the endpoint. False: no memory, or no such reply. */
static bool opened_keep(struct weft_endpoint *endpoint, json_t *parameters)
{
	struct varlink_blocks blocks = {0};
	const struct api_open_endpoint_out *out = api_open_endpoint_out_read(parameters, &blocks);

	if (out) {
		endpoint->id = strdup(out->node);
		endpoint->address = strdup(out->address);
	}
	varlink_blocks_free(&blocks);
	return endpoint->id && endpoint->address;
}

static int endpoint_opened(struct weft_endpoint *endpoint, int timeout_ms, struct weft_error *error)
{
	json_t *message = NULL;
	int err = hear(&endpoint->varlink, until(timeout_ms), &message);

	if (err < 0)
		return hear_fail(error, err, endpoint->path, timeout_ms);
	err = client_failure_of_reply(message, error);
	if (err == 0 && (!opened_keep(endpoint, json_object_get(message, "parameters")) ||
			 accept_ask(endpoint) < 0 || client_varlink_flush(&endpoint->varlink) < 0))
		err = client_failure_memory(error);
	json_decref(message);
	return err;
}

static int endpoint_ask(struct weft_endpoint *endpoint, const struct weft_endpoint_params *params)
{
	struct varlink_blocks blocks = {0};
	struct api_open_endpoint_in in = {.name = params->name};
	int err;

	for (size_t i = 0; params->allow && params->allow[i]; i++)
		varlink_push(&blocks, &in.allow, params->allow[i]);
	err = say(&endpoint->varlink, API_OPEN_ENDPOINT_METHOD, api_open_endpoint_in_write(&in),
		  OPEN_ID);
	varlink_blocks_free(&blocks);
	return err;
}

int weft_endpoint_open(struct weft_client *client, const struct weft_endpoint_params *params,
		       struct weft_endpoint **out_endpoint, struct weft_error *error)
{
	int timeout_ms = params->timeout_ms > 0 ? params->timeout_ms : -1, err;
	struct weft_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint)
		return client_failure_memory(error);
	endpoint->varlink.fd = -1;
	endpoint->name = strdup(params->name);
	endpoint->path = strdup(client->path);
	err = endpoint->name && endpoint->path
		      ? client_loop_connect(client, timeout_ms, &endpoint->varlink, error)
		      : client_failure_memory(error);
	if (err == 0 && endpoint_ask(endpoint, params) < 0)
		err = client_failure_memory(error);
	if (err == 0)
		err = endpoint_opened(endpoint, timeout_ms, error);
	if (err < 0) {
		weft_endpoint_close(endpoint);
		return err;
	}
	*out_endpoint = endpoint;
	return 0;
}

void weft_endpoint_close(struct weft_endpoint *endpoint)
{
	if (!endpoint)
		return;
	client_varlink_close(&endpoint->varlink);
	free(endpoint->path);
	free(endpoint->name);
	free(endpoint->id);
	free(endpoint->address);
	free(endpoint);
}

const char *weft_endpoint_id(const struct weft_endpoint *endpoint)
{
	return endpoint->id;
}

const char *weft_endpoint_address(const struct weft_endpoint *endpoint)
{
	return endpoint->address;
}

int weft_endpoint_fd(const struct weft_endpoint *endpoint)
{
	return endpoint->varlink.fd;
}

/* accepted: the descriptor of a reply, whose next one is asked for. */
static int accepted(struct weft_endpoint *endpoint, const json_t *message,
		    char peer[WEFT_NODE_ID_CAP], struct weft_error *error)
{
	struct varlink_blocks blocks = {0};
	const struct api_accept_endpoint_out *out;
	int err = client_failure_of_reply(message, error), fd;

	if (err < 0)
		return err == WEFT_EABSENT ? WEFT_ECLOSED : err;
	out = api_accept_endpoint_out_read(json_object_get(message, "parameters"), &blocks);
	if (peer)
		snprintf(peer, WEFT_NODE_ID_CAP, "%s", out ? out->node : "");
	varlink_blocks_free(&blocks);
	fd = fd_of(&endpoint->varlink, error);
	/* An endpoint that is gone is noticed by the next call. */
	if (accept_ask(endpoint) == 0)
		(void)client_varlink_flush(&endpoint->varlink);
	return fd;
}

int weft_accept(struct weft_endpoint *endpoint, int timeout_ms, char peer[WEFT_NODE_ID_CAP],
		struct weft_error *error)
{
	uint64_t until_ns = until(timeout_ms);
	json_t *message = NULL;
	int err = hear(&endpoint->varlink, until_ns, &message);

	if (err == WEFT_ETIMEOUT)
		return client_failure_set(error, err, endpoint->name,
					  "no node connected in that time", NULL);
	if (err < 0)
		return hear_fail(error, err, endpoint->path, timeout_ms);
	err = accepted(endpoint, message, peer, error);
	json_decref(message);
	return err;
}
