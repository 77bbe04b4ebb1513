/* SPDX-License-Identifier: Apache-2.0 */
/* The varlink side of the command: connect, call, tell errors. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "text.h"

#define INTERFACE	   "net.weft.Node"
#define REPLY_LEN_MAX	   (256u << 20) /* a daemon gone mad should not take our memory too */
#define REPLY_CAP_FIRST	   65536
#define TIMEOUT_DEFAULT_MS 30000

struct connection {
	int fd;
	char *buf;
	size_t len, cap;
	size_t taken;	      /* of the reply given out last */
	uint64_t deadline_ns; /* for the next bytes; 0: none */
};

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
	/* In the background of a script Ctrl-C is not meant for us. */
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

/* --- where the daemon is --- */

/* A daemon that hangs does not take connections from its queue: connecting waits too. */
static int socket_connect(const char *path, uint64_t timeout_ms)
{
	struct timeval timeout = {(time_t)(timeout_ms / 1000), 0};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* socket_of: the named one, else the user's if it is there, else the system's. */
static const char *socket_of(const struct invocation *inv, char path[static 256])
{
	const char *named = inv->socket ? inv->socket : getenv("WEFT_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (named && *named)
		return named;
	if (runtime && *runtime == '/' &&
	    snprintf(path, 256, "%s/weft/control.sock", runtime) < 256 && access(path, F_OK) == 0)
		return path;
	return "/run/weft/control.sock";
}

static uint64_t timeout_of(const struct invocation *inv)
{
	return inv->timeout_ms ? inv->timeout_ms : TIMEOUT_DEFAULT_MS;
}

/* Somebody holds the socket and says nothing. */
static int say_silence(const struct invocation *inv)
{
	char usual[256], what[512], why[64];

	snprintf(what, sizeof(what), "daemon at %s", socket_of(inv, usual));
	snprintf(why, sizeof(why), "no answer within %llu s",
		 (unsigned long long)timeout_of(inv) / 1000);
	return client_say_error(STATUS_TIMEOUT, what, why,
				"It may be stopped or overloaded: see its log and state (ps), or "
				"wait longer with --timeout SECONDS.");
}

static int connection_open(const struct invocation *inv, struct connection *connection)
{
	char usual[256], what[512];
	const char *path = socket_of(inv, usual);
	uint64_t timeout_ms = timeout_of(inv);

	*connection = (struct connection){
		.fd = socket_connect(path, timeout_ms),
		.deadline_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS,
	};
	if (connection->fd >= 0)
		return STATUS_OK;
	if (connection->fd == -EAGAIN)
		return say_silence(inv);
	snprintf(what, sizeof(what), "no daemon answers at %s", path);
	if (connection->fd == -EACCES)
		return client_say_error(STATUS_UNREACHABLE, what, strerror(EACCES),
					"Run as the daemon's user, or join its operate or view "
					"group (weft.conf(5), [control]).");
	return client_say_error(STATUS_UNREACHABLE, what, strerror(-connection->fd),
				"Start one with: weftd --control PATH; or name its socket with -s "
				"PATH or $WEFT_SOCKET.");
}

static void connection_close(struct connection *connection)
{
	close(connection->fd);
	free(connection->buf);
}

/* --- a call --- */

/* A daemon that refuses a client closes early: what it said is still there to read. */
static void connection_send(struct connection *connection, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(connection->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n < 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

/* connection_wait: STATUS_OK when there is something to read or a signal came. */
static int connection_wait(const struct invocation *inv, const struct connection *connection)
{
	struct pollfd poller = {.fd = connection->fd, .events = POLLIN};
	uint64_t now_ns = clock_monotonic_ns();
	int wait_ms = -1, got;

	if (connection->deadline_ns)
		wait_ms = connection->deadline_ns <= now_ns
				  ? 0
				  : (int)((connection->deadline_ns - now_ns) / NS_PER_MS) + 1;
	got = poll(&poller, 1, wait_ms);
	return got == 0 ? say_silence(inv) : STATUS_OK;
}

static int connection_fill(const struct invocation *inv, struct connection *connection)
{
	ssize_t n;
	int status;

	if (connection->len == connection->cap) {
		size_t cap = connection->cap ? 2 * connection->cap : REPLY_CAP_FIRST;
		char *buf = cap <= REPLY_LEN_MAX ? realloc(connection->buf, cap) : NULL;

		if (!buf)
			return client_say_error(STATUS_FAILED, "reply", "too long to be held",
						NULL);
		connection->buf = buf;
		connection->cap = cap;
	}
	if (interrupted)
		return STATUS_INTERRUPTED;
	status = connection_wait(inv, connection);
	if (status != STATUS_OK)
		return status;
	n = recv(connection->fd, connection->buf + connection->len,
		 connection->cap - connection->len, MSG_DONTWAIT);
	if (n > 0)
		connection->len += (size_t)n;
	if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
		return STATUS_OK;
	return client_say_error(STATUS_UNREACHABLE, "daemon", "it closed the connection",
				"It may have been stopped; see its log.");
}

/* connection_next gives the next reply as JSON, owned by the caller. */
static int connection_next(const struct invocation *inv, struct connection *connection,
			   json_t **out_reply)
{
	size_t scanned = 0;
	const char *nul;

	if (connection->taken) {
		connection->len -= connection->taken;
		memmove(connection->buf, connection->buf + connection->taken, connection->len);
		connection->taken = 0;
	}
	for (;;) {
		nul = connection->len
			      ? memchr(connection->buf + scanned, '\0', connection->len - scanned)
			      : NULL;
		if (nul)
			break;
		scanned = connection->len;
		int status = connection_fill(inv, connection);

		if (status != STATUS_OK)
			return status;
	}
	connection->taken = (size_t)(nul - connection->buf) + 1;
	*out_reply =
		json_loadb(connection->buf, connection->taken - 1, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(*out_reply))
		return STATUS_OK;
	json_decref(*out_reply);
	return client_say_error(STATUS_FAILED, "reply", "the daemon sent something that is no JSON",
				NULL);
}

static const struct {
	const char *error;
	int status;
} error_statuses[] = {
	{INTERFACE ".Failed", STATUS_FAILED},
	{INTERFACE ".Invalid", STATUS_FAILED},
	{INTERFACE ".NotFound", STATUS_NOT_FOUND},
	{INTERFACE ".Refused", STATUS_REFUSED},
	{INTERFACE ".Timeout", STATUS_TIMEOUT},
	{INTERFACE ".NotVerified", STATUS_NOT_VERIFIED},
	{"org.varlink.service.PermissionDenied", STATUS_REFUSED},
	{"org.varlink.service.InvalidParameter", STATUS_USAGE},
};

static const char *text_of(const json_t *parameters, const char *name, const char *other)
{
	const char *text = json_string_value(json_object_get(parameters, name));

	return text ? text : other;
}

static int tell_error(const struct invocation *inv, const json_t *reply, const char *error)
{
	const json_t *parameters = json_object_get(reply, "parameters");
	const char *parameter = text_of(parameters, "parameter", NULL);
	const char *dot = strrchr(error, '.');
	int status = STATUS_FAILED;

	for (size_t i = 0; i < sizeof(error_statuses) / sizeof(error_statuses[0]); i++) {
		if (strcmp(error_statuses[i].error, error) == 0)
			status = error_statuses[i].status;
	}
	if (inv->is_json) {
		json_dumpf(reply, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		printf("\n");
	}
	if (parameter)
		return client_say_error(status, parameter, "the daemon does not take this value",
					"weft and weftd may be of different versions.");
	if (strcmp(error, "org.varlink.service.PermissionDenied") == 0)
		return client_say_error(status, "daemon", "you may not do this",
					"Run as the daemon's user, or join its operate group "
					"(weft.conf(5), [control]).");
	return client_say_error(status, text_of(parameters, "what", "daemon"),
				text_of(parameters, "why", dot ? dot + 1 : error),
				text_of(parameters, "next", NULL));
}

static int reply_handle(const struct invocation *inv, const struct client_call *call,
			const json_t *reply, bool *out_is_last)
{
	const char *error = json_string_value(json_object_get(reply, "error"));
	json_t *parameters = json_object_get(reply, "parameters");

	*out_is_last = !json_is_true(json_object_get(reply, "continues"));
	if (error) {
		*out_is_last = true;
		return tell_error(inv, reply, error);
	}
	if (!call->reply(call->arg, parameters, *out_is_last))
		*out_is_last = true;
	return STATUS_OK;
}

/*
 * connection_greet asks what any daemon answers at once: replies of the
 * call that follows may be far apart, and silence then means nothing.
 */
static int connection_greet(const struct invocation *inv, struct connection *connection)
{
	static const char greeting[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
	const char *error;
	json_t *reply;
	int status;

	connection_send(connection, greeting, sizeof(greeting));
	status = connection_next(inv, connection, &reply);
	if (status != STATUS_OK)
		return status;
	error = json_string_value(json_object_get(reply, "error"));
	if (error)
		status = tell_error(inv, reply, error);
	json_decref(reply);
	connection->deadline_ns = 0;
	return status;
}

static char *call_text(const struct client_call *call)
{
	json_t *message = json_pack("{s:s+}", "method", INTERFACE ".", call->method);
	char *text;

	if (call->parameters)
		(void)json_object_set_new(message, "parameters", call->parameters);
	if (call->wants_more)
		(void)json_object_set_new(message, "more", json_true());
	text = json_dumps(message, JSON_COMPACT);
	json_decref(message);
	return text;
}

int client_call(const struct invocation *inv, const struct client_call *call)
{
	struct connection connection;
	char *text = call_text(call);
	int status = text ? connection_open(inv, &connection) : STATUS_FAILED;
	bool is_last = false;

	if (status != STATUS_OK) {
		free(text);
		return status;
	}
	if (call->wants_more || call->is_long)
		status = connection_greet(inv, &connection);
	if (status == STATUS_OK)
		connection_send(&connection, text, strlen(text) + 1);
	free(text);
	while (status == STATUS_OK && !is_last) {
		json_t *reply;

		status = connection_next(inv, &connection, &reply);
		if (status == STATUS_OK) {
			status = reply_handle(inv, call, reply, &is_last);
			json_decref(reply);
		}
	}
	connection_close(&connection);
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

int client_ask(const struct invocation *inv, const char *method, json_t *parameters,
	       json_t **out_reply)
{
	json_t *reply = NULL;
	struct client_call call = {
		.method = method, .parameters = parameters, .reply = keep_reply, .arg = &reply};
	int status = client_call(inv, &call);

	if (status == STATUS_OK)
		*out_reply = reply;
	else
		json_decref(reply);
	return status;
}

int client_show(const struct invocation *inv, const char *method, json_t *parameters,
		client_print_fn print)
{
	json_t *reply;
	int status = client_ask(inv, method, parameters, &reply);

	if (status != STATUS_OK)
		return status;
	if (inv->is_json)
		text_print_json(reply);
	else if (print)
		print(inv, reply);
	json_decref(reply);
	return STATUS_OK;
}
