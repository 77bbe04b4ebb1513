/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to an HTTP server behind a service (service/http_envelope.h): head
 * of the answer to the standard error, body to the standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/daemon_client.h"
#include "service/http_envelope.h"
#include "services/command_service_status.h"
#include "print/text.h"
#include "weft/client.h"

struct fetching {
	const struct invocation *inv;
	struct weft_stream *stream;
	const char *body; /* of the request */
	size_t body_len, body_off;
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	size_t head_len;
	unsigned status; /* of the answer; 0: its head is to come */
	bool is_bad, is_stuck, is_over;
	enum weft_call_status end;
	char text[256];
};

bool service_verb_is_http(const char *verb)
{
	static const char *const verbs[] = {"GET",   "HEAD",   "POST",	 "PUT",
					    "PATCH", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i], verb) == 0)
			return true;
	}
	return false;
}

static void print_head(const struct fetching *fetching, const struct service_http_answer *answer)
{
	char clean[512], value[512];

	fprintf(stderr, "%u\n", answer->status);
	if (!fetching->inv->has_terminal_err && !invocation_option(fetching->inv, "headers"))
		return;
	if (answer->body_len != SERVICE_HTTP_BODY_LEN_UNTOLD)
		fprintf(stderr, "Content-Length: %llu\n", (unsigned long long)answer->body_len);
	for (unsigned i = 0; i < answer->headers.cnt; i++) {
		const struct service_http_header *header = &answer->headers.list[i];

		snprintf(value, sizeof(value), "%.*s: %.*s", (int)header->name_len, header->name,
			 (int)header->value_len, header->value);
		fprintf(stderr, "%s\n", text_clean(value, clean, sizeof(clean)));
	}
}

static void head_take(struct fetching *fetching, const void *data, size_t len, bool is_last)
{
	struct service_http_answer answer;

	if (len > sizeof(fetching->head) - fetching->head_len) {
		fetching->is_bad = true;
		return;
	}
	memcpy(fetching->head + fetching->head_len, data, len);
	fetching->head_len += len;
	if (!is_last)
		return;
	if (service_http_answer_parse(fetching->head, fetching->head_len, &answer) < 0) {
		fetching->is_bad = true;
		return;
	}
	fetching->status = answer.status;
	print_head(fetching, &answer);
}

static void on_piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
		     unsigned flags)
{
	struct fetching *fetching = arg;

	(void)stream;
	if (!fetching->status)
		head_take(fetching, data, len, !(flags & WEFT_STREAM_MORE));
	else if (fwrite(data, 1, len, stdout) != len)
		fetching->is_stuck = true;
}

/* body_send sends what is left of the request's body, as far as it is taken. */
static void body_send(void *arg, struct weft_stream *stream)
{
	struct fetching *fetching = arg;
	int err = 0;

	while (err == 0 && fetching->body_off < fetching->body_len) {
		size_t left = fetching->body_len - fetching->body_off;
		size_t len = left < WEFT_STREAM_PIECE_MAX ? left : WEFT_STREAM_PIECE_MAX;

		err = weft_stream_send(stream, fetching->body + fetching->body_off, len, 0);
		if (err == 0)
			fetching->body_off += len;
	}
	if (err == WEFT_EFULL)
		return;
	weft_stream_finish(stream);
}

static void on_ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
		     const char *text)
{
	struct fetching *fetching = arg;

	(void)stream;
	fetching->is_over = true;
	fetching->end = status;
	snprintf(fetching->text, sizeof(fetching->text), "%s", text);
}

/* header_add: "Name: value"; false: it is none. */
static bool header_add(char *line, struct service_http_headers *headers)
{
	char *colon = strchr(line, ':');
	const char *value = colon ? colon + 1 + strspn(colon + 1, " \t") : NULL;

	if (!colon || colon == line || headers->cnt == SERVICE_HTTP_HEADERS_MAX)
		return false;
	headers->list[headers->cnt++] =
		(struct service_http_header){.name = line,
					     .name_len = (size_t)(colon - line),
					     .value = value,
					     .value_len = strlen(value)};
	return true;
}

/* trace_add names the trace of --trace, which is to be in one field only. */
static bool trace_add(const struct invocation *inv, struct service_http_headers *headers,
		      char text[static SERVICE_TRACE_TEXT_CAP])
{
	const struct service_http_header header = {
		.name = "traceparent",
		.name_len = strlen("traceparent"),
		.value = text,
		.value_len = SERVICE_TRACE_TEXT_CAP - 1,
	};

	if (service_trace_option(inv, text) != STATUS_OK)
		return false;
	if (!*text)
		return true;
	if (service_http_header_lookup(headers, header.name) ||
	    headers->cnt == SERVICE_HTTP_HEADERS_MAX) {
		client_say_error(STATUS_USAGE, "--trace",
				 "--header has a traceparent, or no room for one", NULL);
		return false;
	}
	headers->list[headers->cnt++] = header;
	return true;
}

/* request_write makes the head of the request; 0: it was said what is wrong. */
static size_t request_write(const struct invocation *inv, size_t body_len, uint8_t *head)
{
	static char lines[8192], trace[SERVICE_TRACE_TEXT_CAP];
	const char *given = invocation_option(inv, "header");
	struct service_http_request request = {
		.verb = inv->args[1],
		.verb_len = strlen(inv->args[1]),
		.target = inv->args[2],
		.target_len = strlen(inv->args[2]),
		.body_len = body_len,
	};
	struct writer w = writer_of(head, SERVICE_HTTP_HEAD_LEN_MAX);
	char *rest = lines, *line;
	int err;

	snprintf(lines, sizeof(lines), "%s", given ? given : "");
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line && !header_add(line, &request.headers)) {
			client_say_error(STATUS_USAGE, "--header", "not NAME: VALUE",
					 "for example: --header 'Accept: text/plain'");
			return 0;
		}
	}
	if (!trace_add(inv, &request.headers, trace))
		return 0;
	err = service_http_request_write(&w, &request);
	if (err < 0)
		client_say_error(
			STATUS_USAGE, inv->args[2],
			err == WEFT_ETOOLARGE ? "too long" : "not a path of a URL",
			"a path begins with / and has visible ASCII letters only; others are "
			"written as %XX");
	return err < 0 ? 0 : writer_len(&w);
}

static int status_exit(unsigned status)
{
	if (status < 400)
		return STATUS_OK;
	if (status == 404 || status == 410)
		return STATUS_NOT_FOUND;
	if (status == 401 || status == 403 || status == 429)
		return STATUS_REFUSED;
	return status == 408 || status == 504 ? STATUS_TIMEOUT : STATUS_FAILED;
}

static int fetching_end(const struct fetching *fetching)
{
	const char *name = fetching->inv->args[0];

	if (fetching->is_stuck)
		return client_say_error(STATUS_FAILED, "standard output", strerror(errno), NULL);
	if (fetching->is_bad)
		return client_say_error(STATUS_FAILED, name,
					"its answer has no head that can be read", NULL);
	if (fetching->end != WEFT_CALL_OK)
		return client_say_error(service_status_exit(fetching->end), name,
					*fetching->text ? fetching->text : "the stream ended",
					"weft service find NAME shows its providers.");
	if (!fetching->status)
		return client_say_error(STATUS_FAILED, name, "it gave no answer", NULL);
	return status_exit(fetching->status);
}

static int fetching_run(struct weft_client *client, struct fetching *fetching)
{
	while (!fetching->is_over && !fetching->is_bad && !fetching->is_stuck) {
		if (weft_client_dispatch(client, -1) == -EINTR)
			return STATUS_INTERRUPTED;
	}
	return fetching_end(fetching);
}

int service_http_call(struct invocation *inv)
{
	static const struct weft_stream_events events = {
		.piece = on_piece, .writable = body_send, .ended = on_ended};
	static struct fetching fetching;
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	struct weft_stream_params params = {
		.target = {.service = inv->args[0],
			   .version = invocation_option(inv, "version"),
			   .provider = invocation_option(inv, "provider"),
			   .is_signed = invocation_option(inv, "sign") != NULL},
		.method = SERVICE_HTTP_METHOD,
		.head = head,
		.timeout_ms = client_timeout_ms(inv),
		.events = &events,
		.arg = &fetching,
	};
	struct weft_client *client;
	struct weft_error error;
	char *body = service_payload(inv->arg_cnt > 3 ? inv->args[3] : NULL, &fetching.body_len);
	int status;

	params.len = body ? request_write(inv, fetching.body_len, head) : 0;
	status = params.len ? control_client_open(inv, &client) : STATUS_USAGE;
	if (status != STATUS_OK) {
		free(body);
		return body ? status : STATUS_FAILED;
	}
	fetching.inv = inv;
	fetching.body = body;
	client_catch_interrupt();
	if (weft_stream_open(client, &params, &fetching.stream, &error) < 0) {
		status = client_say_error(STATUS_UNREACHABLE, error.what, error.why, error.next);
	} else {
		body_send(&fetching, fetching.stream);
		status = fetching_run(client, &fetching);
	}
	weft_client_close(client);
	free(body);
	return status;
}
