/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that was handed to a method: bytes to its owner, its owner's
 * bytes back. Home worker; knows nothing of what they mean.
 *
 * Inbound: client_turn -> pipe_read -> the owner's input. Outbound:
 * control_pipe_write -> client_append -> client_flush.
 *
 * Push-back: a connection whose owner leaves input unused is read no further. An
 * owner that writes faster than its reader reads sees the backlog, and is notified
 * when that is low.
 */
#include "control/control_server.h"

#include <errno.h>

#include "base/container_of.h"

static struct control_client *client_of(const struct control_pipe *pipe)
{
	return container_of(pipe, struct control_client, pipe);
}

struct control_pipe *control_upgrade(struct control_call *call, json_t *parameters,
				     const struct control_pipe_events *events, void *arg)
{
	struct control_client *client = call->client;

	control_call_reply_last(call, parameters);
	control_call_end(call);
	if (!client || client->state != CLIENT_OPEN)
		return NULL;
	client->state = CLIENT_UPGRADED;
	/* A stream may be silent for as long as it likes. */
	fair_wait_own(&client->control->places.fair, &client->place, client->control->now_ns);
	client->pipe = (struct control_pipe){.events = events, .arg = arg};
	/* Bytes behind the request are in the splitter already. */
	control_client_schedule(client);
	return &client->pipe;
}

/* pipe_give: false when the owner left some of it. */
static bool pipe_give(struct control_client *client)
{
	struct control_pipe *pipe = &client->pipe;
	const uint8_t *data;
	size_t len = control_request_peek(&client->splitter, &data);
	size_t used_len;

	if (pipe->is_held || len == 0)
		return !pipe->is_held;
	used_len = pipe->events->input(pipe->arg, data, len, client->control->now_ns);
	if (client->state != CLIENT_UPGRADED)
		return true; /* closed in there: nothing waits any more */
	control_request_skip(&client->splitter, used_len);
	pipe->is_held = used_len < len;
	return !pipe->is_held;
}

bool control_pipe_read(struct control_client *client)
{
	size_t read_len = 0;
	ssize_t n;

	while (pipe_give(client)) {
		if (client->state != CLIENT_UPGRADED || client->is_eof ||
		    read_len >= CLIENT_READ_MAX)
			return true;
		control_request_widen(&client->splitter);
		n = control_client_recv(client);
		if (n == 0)
			client->is_eof = true;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			control_client_break(client);
		if (n < 0) {
			control_request_shrink(&client->splitter);
			return true;
		}
		read_len += (size_t)n;
	}
	return false;
}

void control_pipe_tell(struct control_client *client)
{
	struct control_pipe *pipe = &client->pipe;
	uint64_t now_ns = client->control->now_ns;
	const uint8_t *data;

	if (pipe->is_full && control_client_backlog_len(client) < CONTROL_PIPE_LOW) {
		pipe->is_full = false;
		pipe->events->writable(pipe->arg, now_ns);
	}
	if (client->state == CLIENT_UPGRADED && client->is_eof && !pipe->is_eof_told &&
	    control_request_peek(&client->splitter, &data) == 0) {
		pipe->is_eof_told = true;
		/* When both directions are gone, gone is the only event. */
		if (!client->is_hung)
			pipe->events->eof(pipe->arg, now_ns);
	}
}

void control_pipe_gone(struct control_client *client)
{
	const struct control_pipe_events *events = client->pipe.events;

	client->pipe.events = NULL;
	if (events)
		events->gone(client->pipe.arg);
}

int control_pipe_write(struct control_pipe *pipe, const void *data, size_t len, uint64_t now_ns)
{
	struct control_client *client = client_of(pipe);

	client->control->now_ns = now_ns;
	if (client->state != CLIENT_UPGRADED)
		return WEFT_ECLOSED;
	control_client_append(client, data, len);
	control_client_schedule(client);
	if (control_client_backlog_len(client) >= CONTROL_PIPE_LOW)
		pipe->is_full = true;
	return client->state == CLIENT_UPGRADED ? 0 : WEFT_ECLOSED;
}

size_t control_pipe_backlog_len(const struct control_pipe *pipe)
{
	return control_client_backlog_len(client_of(pipe));
}

void control_pipe_resume(struct control_pipe *pipe)
{
	pipe->is_held = false;
	control_client_schedule(client_of(pipe));
}

void control_pipe_close(struct control_pipe *pipe, uint64_t now_ns)
{
	struct control_client *client = client_of(pipe);

	client->control->now_ns = now_ns;
	pipe->events = NULL;
	if (client->state == CLIENT_UPGRADED)
		control_client_drain(client, CLIENT_STALL_NS);
	control_client_schedule(client);
}
