/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a stream of a service and a socket. In: the channel's piece -> send, or held until
 * the socket is writable. Out: the socket is readable -> service_channel_send. Home worker; knows
 * nothing of what the bytes mean.
 *
 * A socket that is hung up is watched no more: what is left in it is read as the channel takes it.
 */
#include "service/sockets/channel_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/memory/heap.h"
#include "base/monotonic.h"

#define TURN_LEN_MAX (256 * 1024) /* bytes read from one socket in one turn */
#define HELD_CAP_MIN 16384
/* The program has left and its bytes were sent; the other side may end its direction so long. */
#define ORPHAN_NS   (60 * NS_PER_S)
#define LEFT_TEXT   "the program at this end of the stream has left"
#define MEMORY_TEXT "no memory is left for bytes that the program does not read"

static void socket_close(struct channel_socket *socket)
{
	if (socket->is_watched)
		poller_remove(socket->poller, &socket->watch);
	socket->is_watched = false;
	if (socket->watch.fd >= 0)
		close(socket->watch.fd);
	socket->watch.fd = -1;
	timer_cancel(socket->timers, &socket->timer);
	heap_release(socket->memory, socket->held);
	socket->held = NULL;
	socket->held_begin = socket->held_end = socket->held_cap = 0;
}

static void socket_over(struct channel_socket *socket, enum service_status status, const char *text,
			uint64_t now_ns)
{
	const struct service_answer answer = {.status = status, .text = text};

	socket_close(socket);
	socket->owner->over(socket, &answer, now_ns);
}

static void socket_fail(struct channel_socket *socket, const char *text, uint64_t now_ns)
{
	if (socket->channel)
		service_channel_end(socket->channel, SERVICE_UNAVAILABLE, text);
	socket->channel = NULL;
	socket_over(socket, SERVICE_UNAVAILABLE, text, now_ns);
}

static size_t held_len(const struct channel_socket *socket)
{
	return socket->held_end - socket->held_begin;
}

/* socket_send: how many of len bytes the socket took, or -errno. */
static ssize_t socket_send(struct channel_socket *socket, const uint8_t *data, size_t len,
			   uint64_t now_ns)
{
	ssize_t n;

	do {
		n = send(socket->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n > 0)
		socket->moved_ns = now_ns;
	if (socket->channel)
		service_channel_consume(socket->channel, (size_t)n);
	return n;
}

/* socket_write gives the socket what is held, and then the end. False: it takes nothing any more. */
static bool socket_write(struct channel_socket *socket, uint64_t now_ns)
{
	while (held_len(socket)) {
		ssize_t n = socket_send(socket, socket->held + socket->held_begin, held_len(socket),
					now_ns);

		if (n < 0)
			return false;
		if (n == 0)
			return true;
		socket->held_begin += (size_t)n;
	}
	socket->held_begin = socket->held_end = 0;
	heap_release(socket->memory, socket->held);
	socket->held = NULL;
	socket->held_cap = 0;
	if (socket->has_finish && !socket->is_shut) {
		socket->is_shut = true;
		(void)shutdown(socket->watch.fd, SHUT_WR);
	}
	return true;
}

/* socket_fill reads once. 1: there is something to send; 0: not now; -1: the socket failed. */
static int socket_fill(struct channel_socket *socket, uint64_t now_ns)
{
	ssize_t n;

	if (socket->read_len)
		return 1;
	do {
		n = recv(socket->watch.fd, socket->read, sizeof(socket->read), MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		socket->is_in_ended = true;
		service_channel_finish(socket->channel);
		return 0;
	}
	socket->moved_ns = now_ns;
	socket->read_len = (size_t)n;
	return 1;
}

/* socket_read hands on what the socket has, as far as the channel takes it. False: it failed. */
static bool socket_read(struct channel_socket *socket, uint64_t now_ns)
{
	size_t len = 0;

	while (!socket->is_in_ended && socket->channel && (socket->is_hung || len < TURN_LEN_MAX)) {
		int filled = socket_fill(socket, now_ns), err;
		struct service_piece piece = {
			.data = socket->read, .len = socket->read_len, .is_last = true};

		if (filled <= 0)
			return filled == 0;
		err = service_channel_send(socket->channel, &piece, NULL, NULL);
		if (err == WEFT_EFULL) {
			socket->is_blocked = true;
			return true;
		}
		if (err < 0)
			return false;
		len += socket->read_len;
		socket->read_len = 0;
	}
	return true;
}

/* socket_watch: with no interest the poller still tells of a hang-up, and again and again. */
static int socket_watch(struct channel_socket *socket)
{
	unsigned interest = 0;
	int err = 0;

	if (!socket->is_in_ended && !socket->is_blocked)
		interest |= POLLER_IN;
	if (held_len(socket))
		interest |= POLLER_OUT;
	if (socket->is_hung && socket->is_watched) {
		poller_remove(socket->poller, &socket->watch);
		socket->is_watched = false;
	}
	if (socket->is_hung || (socket->is_watched && interest == socket->interest))
		return 0;
	if (socket->is_watched)
		err = poller_change(socket->poller, &socket->watch, interest);
	else
		err = poller_add(socket->poller, &socket->watch, interest);
	if (err == 0) {
		socket->is_watched = true;
		socket->interest = interest;
	}
	return err;
}

/* socket_run does all that can be done now. The socket may be over then. */
static void socket_run(struct channel_socket *socket, uint64_t now_ns)
{
	if (!socket->is_started)
		return;
	if (!socket_write(socket, now_ns) || !socket_read(socket, now_ns))
		socket_fail(socket, LEFT_TEXT, now_ns);
	else if (!socket->channel && !held_len(socket))
		socket_over(socket, SERVICE_OK, "", now_ns);
	else if (socket_watch(socket) < 0)
		socket_fail(socket, "too many descriptors are watched", now_ns);
	else if (socket->is_hung && socket->is_in_ended && !timer_is_set(&socket->timer))
		timer_set(socket->timers, &socket->timer, now_ns + ORPHAN_NS);
}

static void socket_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct channel_socket *socket = container_of(watch, struct channel_socket, watch);

	if (events & POLLER_HANGUP)
		socket->is_hung = true;
	socket_run(socket, now_ns);
}

static void socket_expire(struct timer *timer, uint64_t now_ns)
{
	struct channel_socket *socket = container_of(timer, struct channel_socket, timer);

	if (socket->is_hung && socket->is_in_ended)
		socket_fail(socket, LEFT_TEXT, now_ns);
	else
		socket_run(socket, now_ns);
}

/* --- events of the channel --- */

static void on_opened(void *arg, const uint8_t provider[MESH_KEY_LEN], uint64_t now_ns)
{
	struct channel_socket *socket = arg;

	if (socket->owner->opened)
		socket->owner->opened(socket, provider, now_ns);
}

/* held_append: false: there is no memory. */
static bool held_append(struct channel_socket *socket, const uint8_t *data, size_t len)
{
	size_t cap = socket->held_cap ? socket->held_cap : HELD_CAP_MIN;
	uint8_t *held = socket->held;

	if (socket->held_begin && socket->held_cap - socket->held_end < len) {
		memmove(held, held + socket->held_begin, held_len(socket));
		socket->held_end -= socket->held_begin;
		socket->held_begin = 0;
	}
	while (cap - socket->held_end < len)
		cap *= 2;
	if (cap != socket->held_cap)
		held = heap_resize(socket->memory, held, cap);
	if (!held)
		return false;
	socket->held = held;
	socket->held_cap = cap;
	memcpy(held + socket->held_end, data, len);
	socket->held_end += len;
	return true;
}

static void on_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct channel_socket *socket = arg;
	ssize_t n = 0;

	if (!piece->len) {
		if (!socket->is_marked && socket->owner->marked) {
			socket->is_marked = true;
			socket->owner->marked(socket, now_ns);
		}
		return;
	}
	if (socket->is_started && !held_len(socket))
		n = socket_send(socket, piece->data, piece->len, now_ns);
	if (n < 0)
		socket_fail(socket, LEFT_TEXT, now_ns);
	else if ((size_t)n < piece->len &&
		 !held_append(socket, piece->data + n, piece->len - (size_t)n))
		socket_fail(socket, MEMORY_TEXT, now_ns);
	else if (held_len(socket) && socket->is_started && socket_watch(socket) < 0)
		socket_fail(socket, "too many descriptors are watched", now_ns);
}

static void on_finished(void *arg, uint64_t now_ns)
{
	struct channel_socket *socket = arg;

	socket->has_finish = true;
	socket_run(socket, now_ns);
}

static void on_writable(void *arg, uint64_t now_ns)
{
	struct channel_socket *socket = arg;

	socket->is_blocked = false;
	socket_run(socket, now_ns);
}

static void on_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct channel_socket *socket = arg;

	socket->channel = NULL;
	if (answer->status != SERVICE_OK || !socket->is_started) {
		socket_close(socket);
		socket->owner->over(socket, answer, now_ns);
		return;
	}
	/* Both directions have ended; the program may still have to read. */
	socket->has_finish = socket->is_in_ended = true;
	socket_run(socket, now_ns);
}

const struct service_channel_events service_channel_socket_events = {
	.opened = on_opened,
	.piece = on_piece,
	.finished = on_finished,
	.writable = on_writable,
	.ended = on_ended,
};

/* --- life --- */

void service_channel_socket_init(struct channel_socket *socket)
{
	socket->watch = (struct poller_watch){.ready = socket_ready, .fd = -1};
	timer_init(&socket->timer, socket_expire);
	socket->channel = NULL;
	socket->interest = 0;
	socket->is_watched = false;
	socket->is_started = socket->is_hung = socket->is_blocked = false;
	socket->is_in_ended = socket->has_finish = socket->is_shut = socket->is_marked = false;
	socket->held = NULL;
	socket->held_begin = socket->held_end = socket->held_cap = 0;
	socket->read_len = 0;
}

void service_channel_socket_start(struct channel_socket *socket, int fd, uint64_t now_ns)
{
	socket->watch.fd = fd;
	socket->is_started = true;
	socket->moved_ns = now_ns;
	timer_set(socket->timers, &socket->timer, now_ns);
}

void service_channel_socket_end(struct channel_socket *socket, enum service_status status,
				const char *text)
{
	if (socket->channel)
		service_channel_end(socket->channel, status, text);
	socket->channel = NULL;
	socket_close(socket);
}
