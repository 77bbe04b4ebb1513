/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weft pipe: the standard input and output and a stream of an endpoint. weft forward: connections to
 * a local TCP port and streams of a node's private gateway, a process for each.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "command/daemon_client.h"
#include "weft/client.h"

#define CHILDREN_MAX  64  /* connections at once */
#define CHILD_LOOK_MS 500 /* between two looks for ended ones */
#define HOST_DEFAULT  "127.0.0.1"

/* One direction. */
struct way {
	int in, out;
	bool is_in_socket, is_out_socket;
	bool is_in_ended;
	bool is_over; /* all of it was written, and the end was told */
	size_t begin, end;
	char data[65536];
};

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void way_init(struct way *way, int in, int out)
{
	way->in = in;
	way->out = out;
	way->is_in_socket = is_socket(in);
	way->is_out_socket = is_socket(out);
	way->is_in_ended = way->is_over = false;
	way->begin = way->end = 0;
}

/* way_read: false: the input failed. */
static bool way_read(struct way *way)
{
	ssize_t n = way->is_in_socket ? recv(way->in, way->data, sizeof(way->data), MSG_DONTWAIT)
				      : read(way->in, way->data, sizeof(way->data));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	way->begin = 0;
	way->end = (size_t)n;
	way->is_in_ended = n == 0;
	return true;
}

/* way_write: false: the output takes nothing any more. So much never blocks a pipe that is ready. */
static bool way_write(struct way *way)
{
	size_t len = way->end - way->begin;
	ssize_t n;

	if (way->is_out_socket)
		n = send(way->out, way->data + way->begin, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		n = write(way->out, way->data + way->begin, len < PIPE_BUF ? len : PIPE_BUF);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	way->begin += (size_t)n;
	return true;
}

static void way_end(struct way *way)
{
	if (!way->is_in_ended || way->begin < way->end || way->is_over)
		return;
	way->is_over = true;
	if (way->is_out_socket)
		(void)shutdown(way->out, SHUT_WR);
}

/* way_poll: what the way waits for, in two entries. */
static void way_poll(const struct way *way, struct pollfd fds[static 2])
{
	bool has_data = way->begin < way->end;

	fds[0] = (struct pollfd){.fd = has_data || way->is_in_ended ? -1 : way->in,
				 .events = POLLIN};
	fds[1] = (struct pollfd){.fd = has_data ? way->out : -1, .events = POLLOUT};
}

/* way_turn: false: it failed. */
static bool way_turn(struct way *way, const struct pollfd fds[static 2])
{
	if (fds[0].revents && !way_read(way))
		return false;
	if (fds[1].revents && !way_write(way))
		return false;
	way_end(way);
	return true;
}

/* copy_both copies in to fd and fd to out until both have ended. */
static int copy_both(int in, int out, int fd)
{
	static struct way to, from;
	struct pollfd fds[5];

	way_init(&to, in, fd);
	way_init(&from, fd, out);
	while (!to.is_over || !from.is_over) {
		way_poll(&to, fds);
		way_poll(&from, fds + 2);
		/* A stream that is gone both ways, while nothing comes in here. */
		fds[4] = (struct pollfd){.fd = from.is_over ? fd : -1};
		if (poll(fds, 5, -1) < 0) {
			if (client_is_interrupted())
				return STATUS_INTERRUPTED;
			continue;
		}
		if (!way_turn(&to, fds) || !way_turn(&from, fds + 2))
			return client_say_error(STATUS_FAILED, "stream", strerror(errno), NULL);
		if (from.is_over && fds[4].revents & (POLLHUP | POLLERR))
			return STATUS_OK;
	}
	return STATUS_OK;
}

static int say_stream_error(int err, const struct weft_error *error)
{
	int status = STATUS_FAILED;

	if (err == WEFT_EREFUSED || err == WEFT_EFULL)
		status = STATUS_REFUSED;
	else if (err == WEFT_EABSENT)
		status = STATUS_NOT_FOUND;
	else if (err == WEFT_ETIMEOUT)
		status = STATUS_TIMEOUT;
	else if (err == -EINTR)
		return STATUS_INTERRUPTED;
	return client_say_error(status, error->what, error->why, error->next);
}

/* pipe_listen: the descriptor of the first stream to the endpoint name. */
static int pipe_listen(const struct invocation *inv, struct weft_client *client,
		       struct weft_error *error)
{
	const struct weft_endpoint_params params = {.name = inv->args[0],
						    .timeout_ms = client_timeout_ms(inv)};
	struct weft_endpoint *endpoint;
	int err = weft_endpoint_open(client, &params, &endpoint, error);

	if (err < 0)
		return err;
	fprintf(stderr, "waiting at %s\n", weft_endpoint_address(endpoint));
	err = weft_accept(endpoint, 0, NULL, error);
	weft_endpoint_close(endpoint);
	return err;
}

int run_pipe(struct invocation *inv)
{
	bool listens = invocation_option(inv, "listen") != NULL;
	const struct weft_connect_params params = {.node = inv->args[0],
						   .name = listens ? NULL : inv->args[1],
						   .timeout_ms = client_timeout_ms(inv)};
	struct weft_client *client;
	struct weft_error error;
	int status, fd;

	if (inv->arg_cnt != (listens ? 1 : 2))
		return client_say_error(STATUS_USAGE, "pipe", "an argument is missing or too many",
					"weft pipe NODE NAME, or weft pipe --listen NAME");
	status = control_client_open(inv, &client);
	if (status != STATUS_OK)
		return status;
	client_catch_interrupt();
	fd = listens ? pipe_listen(inv, client, &error) : weft_connect(client, &params, &error);
	if (fd < 0) {
		status = say_stream_error(fd, &error);
	} else {
		status = copy_both(STDIN_FILENO, STDOUT_FILENO, fd);
		close(fd);
	}
	weft_client_close(client);
	return status;
}

/* --- forward --- */

struct forward {
	const struct invocation *inv;
	char node[WEFT_NODE_ID_CAP];
	char address[ADDR_TEXT_CAP];
};

/* target_read reads NODE:PORT or NODE:ADDRESS:PORT. */
static bool target_read(const char *text, struct forward *forward)
{
	const char *colon = strchr(text, ':');
	struct addr addr;
	int len;

	if (!colon || (size_t)(colon - text) >= sizeof(forward->node))
		return false;
	snprintf(forward->node, sizeof(forward->node), "%.*s", (int)(colon - text), text);
	len = snprintf(forward->address, sizeof(forward->address), "%s%s",
		       strchr(colon + 1, ':') ? "" : HOST_DEFAULT ":", colon + 1);
	return len < (int)sizeof(forward->address) && addr_parse(forward->address, &addr) == 0 &&
	       addr.port != 0;
}

/* listen_at: a listening socket, whose address is printed; -1: failed, and said. */
static int listen_at(const char *text)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char shown[ADDR_TEXT_CAP];
	struct addr addr;
	int one = 1, fd;

	if (addr_parse(text, &addr) < 0) {
		(void)client_say_error(STATUS_USAGE, text, "no address and port",
				       "for example: 127.0.0.1:8080");
		return -1;
	}
	len = addr_to_sockaddr(&addr, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, &addr) < 0) {
		(void)client_say_error(STATUS_FAILED, text, strerror(errno), NULL);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	printf("%s\n", addr_format(&addr, shown));
	fflush(stdout);
	return fd;
}

/* connection_run is a child's life. */
static int connection_run(const struct forward *forward, int fd)
{
	const struct weft_connect_params params = {.node = forward->node,
						   .address = forward->address,
						   .timeout_ms = client_timeout_ms(forward->inv)};
	struct weft_client *client;
	struct weft_error error;
	int status = control_client_open(forward->inv, &client), stream;

	if (status != STATUS_OK)
		return status;
	stream = weft_connect(client, &params, &error);
	if (stream < 0)
		status = say_stream_error(stream, &error);
	else
		status = copy_both(fd, fd, stream);
	weft_client_close(client);
	return status;
}

static void connection_start(const struct forward *forward, int fd, unsigned *children_cnt)
{
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		_exit(connection_run(forward, fd));
	}
	if (child > 0)
		++*children_cnt;
	else
		(void)client_say_error(STATUS_FAILED, "a connection", strerror(errno), NULL);
	close(fd);
}

static int forward_run(const struct forward *forward, int listener)
{
	unsigned children_cnt = 0;

	while (!client_is_interrupted()) {
		struct pollfd wait = {.fd = children_cnt < CHILDREN_MAX ? listener : -1,
				      .events = POLLIN};
		int n = poll(&wait, 1, children_cnt ? CHILD_LOOK_MS : -1), fd;

		while (children_cnt && waitpid(-1, NULL, WNOHANG) > 0)
			children_cnt--;
		if (n <= 0 || (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
			continue;
		connection_start(forward, fd, &children_cnt);
	}
	return STATUS_INTERRUPTED;
}

int run_forward(struct invocation *inv)
{
	struct forward forward = {.inv = inv};
	int listener, status;

	if (!target_read(inv->args[1], &forward))
		return client_say_error(
			STATUS_USAGE, inv->args[1], "no node with the port of a server behind it",
			"NODE:80, or NODE:10.0.0.5:80 with an address of its network");
	listener = listen_at(inv->args[0]);
	if (listener < 0)
		return STATUS_FAILED;
	client_catch_interrupt();
	status = forward_run(&forward, listener);
	close(listener);
	return status;
}
