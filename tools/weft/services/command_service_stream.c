/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft service stream: the standard input as messages to a service, its
 * messages to the standard output, until both have ended.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/daemon_client.h"
#include "services/command_service_status.h"
#include "weft/client.h"

#define CHANNEL_DEFAULT "stream"

struct streaming {
	const struct invocation *inv;
	struct weft_stream *stream;
	bool has_lines; /* a message is a line */
	bool is_opened, is_blocked, is_in_ended;
	bool is_over, is_stuck; /* standard output */
	enum weft_call_status status;
	char text[256];
	char line[WEFT_STREAM_PIECE_MAX]; /* of the input, begun */
	size_t line_len;
};

static void on_opened(void *arg, struct weft_stream *stream, const char *provider)
{
	struct streaming *streaming = arg;

	(void)stream;
	streaming->is_opened = true;
	if (streaming->inv->has_terminal_err)
		fprintf(stderr, "streaming with %.12s\n", provider);
}

static void on_piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
		     unsigned flags)
{
	struct streaming *streaming = arg;

	(void)stream;
	if (fwrite(data, 1, len, stdout) != len ||
	    (streaming->has_lines && !(flags & WEFT_STREAM_MORE) && putchar('\n') == EOF) ||
	    fflush(stdout) != 0)
		streaming->is_stuck = true;
}

static void on_writable(void *arg, struct weft_stream *stream)
{
	struct streaming *streaming = arg;

	(void)stream;
	streaming->is_blocked = false;
}

static void on_ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
		     const char *text)
{
	struct streaming *streaming = arg;

	(void)stream;
	streaming->is_over = true;
	streaming->status = status;
	snprintf(streaming->text, sizeof(streaming->text), "%s", text);
}

/* send_lines sends whole lines of what was read; what is left begins the next one. */
static int send_lines(struct streaming *streaming)
{
	char *begin = streaming->line, *end = streaming->line + streaming->line_len, *nl;
	int err = 0;

	while (err == 0 && (nl = memchr(begin, '\n', (size_t)(end - begin))) != NULL) {
		err = weft_stream_send(streaming->stream, begin, (size_t)(nl - begin),
				       WEFT_STREAM_TEXT);
		if (err == 0)
			begin = nl + 1;
	}
	/* A line that fills the buffer is sent as it is. */
	if (err == 0 && begin == streaming->line &&
	    streaming->line_len == sizeof(streaming->line)) {
		err = weft_stream_send(streaming->stream, begin, streaming->line_len,
				       WEFT_STREAM_TEXT);
		begin = end;
	}
	streaming->line_len = (size_t)(end - begin);
	memmove(streaming->line, begin, streaming->line_len);
	return err;
}

static int send_bytes(struct streaming *streaming)
{
	int err = streaming->line_len ? weft_stream_send(streaming->stream, streaming->line,
							 streaming->line_len, 0)
				      : 0;

	if (err == 0)
		streaming->line_len = 0;
	return err;
}

/* input_send gives the stream what was read, as far as it takes it. */
static void input_send(struct streaming *streaming)
{
	int err = streaming->has_lines ? send_lines(streaming) : send_bytes(streaming);

	streaming->is_blocked = err == WEFT_EFULL;
	if (streaming->is_blocked || !streaming->is_in_ended)
		return;
	/* A last line without its end is one all the same. */
	if (streaming->line_len)
		err = weft_stream_send(streaming->stream, streaming->line, streaming->line_len,
				       streaming->has_lines ? WEFT_STREAM_TEXT : 0);
	if (err == WEFT_EFULL) {
		streaming->is_blocked = true;
		return;
	}
	streaming->line_len = 0;
	weft_stream_finish(streaming->stream);
}

static void input_read(struct streaming *streaming)
{
	size_t len = streaming->line_len;
	ssize_t n;

	/* A full line is sent first; the compiler does not know that. */
	if (len >= sizeof(streaming->line))
		return;
	n = read(STDIN_FILENO, streaming->line + len, sizeof(streaming->line) - len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		streaming->line_len += (size_t)n;
	else
		streaming->is_in_ended = true;
	input_send(streaming);
}

/* turn waits for either side; false: a signal came. */
static bool turn(struct weft_client *client, struct streaming *streaming)
{
	bool wants_input =
		streaming->is_opened && !streaming->is_in_ended && !streaming->is_blocked;
	struct pollfd fds[2] = {
		{.fd = weft_client_fd(client), .events = POLLIN},
		{.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
	};
	bool was_blocked = streaming->is_blocked;

	if (poll(fds, 2, -1) < 0)
		return errno != EINTR;
	if (fds[0].revents && weft_client_dispatch(client, 0) == -EINTR)
		return false;
	if (streaming->is_over)
		return true;
	if (was_blocked && !streaming->is_blocked)
		input_send(streaming);
	else if (fds[1].revents)
		input_read(streaming);
	return true;
}

static int streaming_end(const struct streaming *streaming)
{
	if (streaming->is_stuck)
		return client_say_error(STATUS_FAILED, "standard output", strerror(errno), NULL);
	if (streaming->status == WEFT_CALL_OK)
		return STATUS_OK;
	return client_say_error(service_status_exit(streaming->status), streaming->inv->args[0],
				*streaming->text ? streaming->text : "the stream ended",
				streaming->is_opened ? NULL
						     : "weft service find NAME shows its "
						       "providers.");
}

static int streaming_run(struct weft_client *client, struct streaming *streaming)
{
	while (!streaming->is_over && !streaming->is_stuck) {
		if (turn(client, streaming))
			continue;
		weft_stream_end(streaming->stream, WEFT_CALL_UNAVAILABLE, "interrupted");
		return STATUS_INTERRUPTED;
	}
	return streaming_end(streaming);
}

int run_service_stream(struct invocation *inv)
{
	static const struct weft_stream_events events = {
		.opened = on_opened, .piece = on_piece, .writable = on_writable, .ended = on_ended};
	static struct streaming streaming;
	struct weft_stream_params params = {
		.target = {.service = inv->args[0],
			   .version = invocation_option(inv, "version"),
			   .provider = invocation_option(inv, "provider"),
			   .is_signed = invocation_option(inv, "sign") != NULL},
		.method = inv->arg_cnt > 1 ? inv->args[1] : CHANNEL_DEFAULT,
		.timeout_ms = client_timeout_ms(inv),
		.events = &events,
		.arg = &streaming,
	};
	struct weft_client *client;
	struct weft_error error;
	char trace[SERVICE_TRACE_TEXT_CAP];
	int status = service_trace_option(inv, trace);

	if (status == STATUS_OK)
		status = control_client_open(inv, &client);
	if (status != STATUS_OK)
		return status;
	if (*trace)
		params.target.traceparent = trace;
	streaming.inv = inv;
	streaming.has_lines = invocation_option(inv, "lines") != NULL;
	client_catch_interrupt();
	if (weft_stream_open(client, &params, &streaming.stream, &error) < 0)
		status = client_say_error(STATUS_UNREACHABLE, error.what, error.why, error.next);
	else
		status = streaming_run(client, &streaming);
	weft_client_close(client);
	return status;
}
