/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the control socket: bytes in, bytes out, and when to
 * give up on it. Home worker.
 *
 * Push-back: nothing more is read from a client while a call runs, replies
 * wait to be read, or its request rate is used up.
 */
#include "control/control_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "varlink/node.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/json_heap.h"

#define CLIENT_DRAIN_NS	    (2 * NS_PER_S)
#define CLIENT_DRAIN_MAX    (16 * 1024 * 1024) /* bytes thrown away, so that the error is read */
#define CLIENT_BACKLOG_LOW  (64 * 1024)	       /* replies waiting beyond which no request runs */
#define CLIENT_OUT_CAP_MIN  4096
#define CLIENT_OUT_CAP_KEEP 65536 /* an empty buffer larger than this is given back */

size_t control_client_backlog_len(const struct control_client *client)
{
	return client->out_end - client->out_begin;
}

void control_client_schedule(struct control_client *client)
{
	timer_set(client->control->timers, &client->turn_timer, client->control->now_ns);
}

void control_client_break(struct control_client *client)
{
	client->state = CLIENT_BROKEN;
	control_client_schedule(client);
}

static void fd_drop(struct control_client *client)
{
	if (client->has_fd)
		close(client->fd);
	client->has_fd = false;
}

bool control_client_pass(struct control_client *client, int fd)
{
	if (client->has_fd)
		return false;
	client->has_fd = true;
	client->fd = fd;
	client->fd_off = control_client_backlog_len(client);
	return true;
}

/* send_with_fd: the descriptor goes with the first of len bytes. As send. */
static ssize_t send_with_fd(struct control_client *client, char *data, size_t len)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} room = {.bytes = {0}};
	struct iovec part = {data, len};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room.bytes,
				 .msg_controllen = sizeof(room.bytes)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	ssize_t n;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &client->fd, sizeof(int));
	n = sendmsg(client->watch.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		fd_drop(client);
	return n;
}

/* client_send sends of what waits at most up to the byte that a descriptor goes with. As send. */
static ssize_t client_send(struct control_client *client)
{
	char *data = client->out + client->out_begin;
	size_t len = control_client_backlog_len(client);
	ssize_t n;

	if (client->has_fd && client->fd_off == 0)
		return send_with_fd(client, data, len);
	if (client->has_fd)
		len = client->fd_off;
	n = send(client->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 && client->has_fd)
		client->fd_off -= (size_t)n;
	return n;
}

static void client_flush(struct control_client *client)
{
	while (control_client_backlog_len(client) && client->state != CLIENT_BROKEN) {
		ssize_t n = client_send(client);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != EAGAIN)
				control_client_break(client);
			return;
		}
		client->out_begin += (size_t)n;
		client->control->out_len -= (size_t)n;
		client->progress_ns = client->control->now_ns;
	}
	client->out_begin = client->out_end = 0;
	if (client->out_cap > CLIENT_OUT_CAP_KEEP) {
		free(client->out);
		client->out = NULL;
		client->out_cap = 0;
	}
}

static bool out_reserve(struct control_client *client, size_t len)
{
	size_t cap = client->out_cap ? client->out_cap : CLIENT_OUT_CAP_MIN;
	char *out;

	if (client->out_begin) {
		memmove(client->out, client->out + client->out_begin,
			control_client_backlog_len(client));
		client->out_end -= client->out_begin;
		client->out_begin = 0;
	}
	while (cap - client->out_end < len)
		cap *= 2;
	if (cap == client->out_cap)
		return true;
	out = realloc(client->out, cap);
	if (!out)
		return false;
	client->out = out;
	client->out_cap = cap;
	return true;
}

/* No memory to let it wait: the socket takes all of it now, or the connection ends. */
static void append_at_once(struct control_client *client, const void *data, size_t len)
{
	if (control_client_backlog_len(client) || client->has_fd ||
	    send(client->watch.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
		control_client_break(client);
}

void control_client_append(struct control_client *client, const void *data, size_t len)
{
	if (!out_reserve(client, len)) {
		append_at_once(client, data, len);
		return;
	}
	if (control_client_backlog_len(client) == 0)
		client->progress_ns = client->control->now_ns;
	if (len)
		memcpy(client->out + client->out_end, data, len);
	client->out_end += len;
	client->control->out_len += len;
}

static void client_queue(struct control_client *client, const char *text, size_t len)
{
	control_client_append(client, text, len + 1);
	if (client->is_running && control_client_backlog_len(client) < CLIENT_BACKLOG_LOW)
		return; /* flushed once at the end of the turn */
	client_flush(client);
	if (!client->is_running)
		control_client_schedule(client);
}

void control_client_write(struct control_client *client, const char *text, size_t len)
{
	size_t backlog_len = control_client_backlog_len(client);

	if (client->state == CLIENT_BROKEN)
		return;
	/* One reply may exceed the limit; a second one behind it may not. */
	if (backlog_len && backlog_len + len + 1 > client->control->config.output_len_max) {
		client->control->stats.dropped_slow_cnt++;
		control_client_break(client);
		return;
	}
	client_queue(client, text, len);
}

bool control_client_has_room(const struct control_client *client, size_t len)
{
	const struct control *control = client->control;
	size_t backlog_len = control_client_backlog_len(client);
	uint64_t common_len =
		(uint64_t)control->config.client_cap / 2 * control->config.output_len_max;

	return backlog_len == 0 || backlog_len + len + 1 <= control->config.output_len_max ||
	       control->out_len + len + 1 <= common_len;
}

void control_client_write_answer(struct control_client *client, const char *text, size_t len)
{
	if (client->state != CLIENT_BROKEN)
		client_queue(client, text, len);
}

bool control_client_is_waiting(const struct control_client *client)
{
	return client->call || !list_is_empty(&client->pending);
}

void control_client_call_ended(struct control_client *client, const struct control_call *call)
{
	if (client->call == call)
		client->call = NULL;
	if (client->state != CLIENT_UPGRADED && !control_client_is_waiting(client))
		fair_wait_peer(&client->control->places.fair, &client->place,
			       client->control->now_ns);
	if (!client->is_running)
		control_client_schedule(client);
}

static void client_abandon_pending(struct control_client *client)
{
	while (!list_is_empty(&client->pending))
		control_call_abandon(
			container_of(client->pending.next, struct control_call, of_client));
}

void control_client_drain(struct control_client *client, uint64_t patience_ns)
{
	client_abandon_pending(client);
	client->state = CLIENT_DRAINING;
	client->drain_until_ns = client->control->now_ns + patience_ns;
	control_request_fini(&client->splitter);
}

/* client_refuse sends an error that belongs to no call and stops listening to the client. */
static void client_refuse(struct control_client *client, int err, const char *why)
{
	char scarce[MESSAGE_SCARCE_CAP];
	size_t len;
	char *text = control_error_new(err, &(struct api_failure){.what = "request", .why = why},
				       NULL, &len);

	if (err == WEFT_EFULL)
		client->control->stats.refused_cnt++;
	else
		client->control->stats.malformed_cnt++;
	if (json_heap_swap_lost(false))
		control_client_write(
			client, scarce,
			control_message_scarce_write(scarce, "request", LOSS_MEMORY, NULL));
	else
		control_client_write(client, text, len);
	free(text);
	if (client->state != CLIENT_BROKEN)
		control_client_drain(client, CLIENT_DRAIN_NS);
}

/*
 * client_has_credit: a request costs the time that the rate leaves between
 * two; a second's worth may be saved up. False: the turn timer is set for
 * when there is credit.
 */
static bool client_has_credit(struct control_client *client)
{
	struct control *control = client->control;
	uint64_t cost_ns = NS_PER_S / control->config.request_rate_per_s;
	uint64_t earned_ns = control->now_ns - client->credit_at_ns;
	uint64_t room_ns = NS_PER_S - client->credit_ns;

	client->credit_ns += earned_ns < room_ns ? earned_ns : room_ns;
	client->credit_at_ns = control->now_ns;
	if (client->credit_ns >= cost_ns)
		return true;
	timer_set(control->timers, &client->turn_timer,
		  control->now_ns + cost_ns - client->credit_ns);
	return false;
}

static bool client_is_ready_to_run(const struct control_client *client)
{
	return client->state == CLIENT_OPEN && !client->call &&
	       control_client_backlog_len(client) < CLIENT_BACKLOG_LOW;
}

static void client_request(struct control_client *client, const char *text, size_t len)
{
	struct request request;
	int err = control_request_parse(text, len, &request);

	if (err == -ENOMEM)
		client_refuse(client, err, "no memory to read it");
	else if (err < 0)
		client_refuse(client, WEFT_EMALFORMED, "not a varlink call in JSON");
	else if (control_call_dispatch(client, &request) == WEFT_EFULL)
		client_refuse(client, WEFT_EFULL,
			      "too many calls are under way whose callers have left");
}

/*
 * client_run runs whole requests until one waits for its reply or the client
 * is pushed back. True: it ran dry, more bytes are wanted.
 */
static bool client_run(struct control_client *client)
{
	const char *text;
	size_t len;
	int err;

	while (client_is_ready_to_run(client) && client_has_credit(client)) {
		err = control_request_take(&client->splitter, &text, &len);
		if (err == 0)
			return true;
		client->credit_ns -= NS_PER_S / client->control->config.request_rate_per_s;
		if (err < 0)
			client_refuse(client, err, "longer than a request may be");
		else
			client_request(client, text, len);
	}
	return client->state == CLIENT_DRAINING;
}

ssize_t control_client_recv(struct control_client *client)
{
	char scratch[16384];
	char *room = scratch;
	size_t cap = sizeof(scratch);
	ssize_t n;
	int err = 0;

	if (client->state != CLIENT_DRAINING)
		err = control_request_reserve(&client->splitter, &room, &cap);
	if (err == WEFT_ETOOLARGE) {
		client_refuse(client, err, "longer than a request may be");
		return 1;
	}
	if (err < 0) {
		client_refuse(client, err, "no memory to read it");
		return 1;
	}
	n = recv(client->watch.fd, room, cap, MSG_DONTWAIT);
	if (n > 0 && room == scratch) {
		client->drained_len += (size_t)n;
		if (client->drained_len > CLIENT_DRAIN_MAX)
			control_client_break(client);
	}
	if (n > 0 && room != scratch) {
		control_request_commit(&client->splitter, (size_t)n);
		client->progress_ns = client->control->now_ns;
	}
	return n;
}

/* client_read takes in and runs what is there; true: it ran dry. */
static bool client_read(struct control_client *client)
{
	size_t read_len = 0;
	bool is_dry;
	ssize_t n;

	client->is_running = true;
	for (;;) {
		is_dry = client_run(client);
		if (!is_dry || client->is_eof || read_len >= CLIENT_READ_MAX)
			break;
		n = control_client_recv(client);
		if (n == 0)
			client->is_eof = true;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			control_client_break(client);
		if (n < 0)
			break;
		read_len += (size_t)n;
	}
	client->is_running = false;
	if (is_dry)
		control_request_shrink(&client->splitter);
	return is_dry;
}

static void client_watch(struct control_client *client, bool wants_bytes)
{
	unsigned interest = 0;

	if (wants_bytes && !client->is_eof)
		interest |= POLLER_IN;
	if (control_client_backlog_len(client))
		interest |= POLLER_OUT;
	if (interest == client->interest)
		return;
	client->interest = interest;
	if (poller_change(client->control->poller, &client->watch, interest) < 0)
		control_client_break(client);
}

static void client_guard(struct control_client *client, bool wants_bytes)
{
	struct timer_wheel *timers = client->control->timers;
	bool is_waiting = control_client_backlog_len(client) ||
			  (wants_bytes && control_request_is_partial(&client->splitter));

	if (client->state == CLIENT_DRAINING)
		timer_set(timers, &client->stall_timer, client->drain_until_ns);
	else if (!is_waiting)
		timer_cancel(timers, &client->stall_timer);
	else
		timer_set(timers, &client->stall_timer, client->progress_ns + CLIENT_STALL_NS);
}

/* client_is_over: nothing can come of this connection any more. */
static bool client_is_over(const struct control_client *client, bool is_dry)
{
	if (client->state == CLIENT_BROKEN || (client->is_hung && !is_dry))
		return true;
	if (!list_is_empty(&client->pending))
		return client->is_hung && client->is_eof;
	if (client->state == CLIENT_UPGRADED)
		return client->is_hung && client->is_eof;
	return client->is_eof && is_dry && control_client_backlog_len(client) == 0;
}

/* The call may end in it. */
static void call_pump(struct control_call *call)
{
	if (call->is_watching)
		control_event_pump(call);
	else if (call->drained && control_client_backlog_len(call->client) < CONTROL_PIPE_LOW)
		call->drained(call->drained_arg);
}

static void client_pump(struct control_client *client)
{
	struct list_node *node = client->pending.next, *next;

	if (client->call)
		call_pump(client->call);
	for (; client->watching_cnt && node != &client->pending; node = next) {
		struct control_call *call = container_of(node, struct control_call, of_client);

		next = node->next;
		call_pump(call);
	}
}

/* client_turn does all that can be done now, and leaves timers and watch set for the rest. */
static void client_turn(struct control_client *client)
{
	bool is_dry =
		client->state == CLIENT_UPGRADED ? control_pipe_read(client) : client_read(client);

	client_flush(client);
	if (client->state == CLIENT_UPGRADED)
		control_pipe_tell(client);
	client_pump(client);
	if (client_is_over(client, is_dry)) {
		control_client_close(client);
		return;
	}
	if (client->state == CLIENT_DRAINING && !client->is_shut &&
	    control_client_backlog_len(client) == 0) {
		client->is_shut = true;
		(void)shutdown(client->watch.fd, SHUT_WR);
	}
	client_watch(client, is_dry);
	client_guard(client, is_dry);
}

static void client_ready(struct poller_watch *watch, unsigned events, uint64_t now_ns)
{
	struct control_client *client = container_of(watch, struct control_client, watch);

	client->control->now_ns = now_ns;
	/*
	 * Calls that a client sent before it left still run; only a reply in
	 * the future is pointless.
	 */
	if (events & POLLER_HANGUP)
		client->is_hung = true;
	client_turn(client);
}

static void turn_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct control_client *client = container_of(timer, struct control_client, turn_timer);

	client->control->now_ns = now_ns;
	client_turn(client);
}

static void stall_timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct control_client *client = container_of(timer, struct control_client, stall_timer);

	client->control->now_ns = now_ns;
	if (client->state != CLIENT_DRAINING)
		client->control->stats.dropped_slow_cnt++;
	control_client_close(client);
}

int control_client_open(struct control *control, int fd, const struct place_peer *peer,
			uint32_t *out_wait_ms)
{
	struct control_client *client = pool_acquire(&control->clients);
	int err;

	if (!client)
		return WEFT_EFULL;
	client->control = control;
	err = control_place_take(client, peer, out_wait_ms);
	if (err < 0) {
		pool_release(&control->clients, client);
		return err;
	}
	client->peer = *peer;
	list_init(&client->pending);
	client->watch = (struct poller_watch){.ready = client_ready, .fd = fd};
	client->interest = POLLER_IN;
	client->splitter.len_max = control->config.request_len_max;
	client->credit_ns = NS_PER_S;
	client->credit_at_ns = client->progress_ns = control->now_ns;
	timer_init(&client->turn_timer, turn_timer_fire);
	timer_init(&client->stall_timer, stall_timer_fire);
	err = poller_add(control->poller, &client->watch, POLLER_IN);
	if (err < 0) {
		fair_release(&control->places.fair, &client->place, control->now_ns);
		pool_release(&control->clients, client);
		return err;
	}
	control->stats.client_cnt++;
	if (control->stats.client_cnt > control->stats.client_peak_cnt)
		control->stats.client_peak_cnt = control->stats.client_cnt;
	return 0;
}

void control_client_close(struct control_client *client)
{
	struct control *control = client->control;
	struct control_call *call = client->call;

	client->call = NULL;
	client->state = CLIENT_BROKEN;
	if (call)
		control_call_abandon(call);
	client_abandon_pending(client);
	control_pipe_gone(client);
	timer_cancel(control->timers, &client->turn_timer);
	timer_cancel(control->timers, &client->stall_timer);
	poller_remove(control->poller, &client->watch);
	close(client->watch.fd);
	fd_drop(client);
	control_request_fini(&client->splitter);
	control->out_len -= control_client_backlog_len(client);
	free(client->out);
	fair_release(&control->places.fair, &client->place, control->now_ns);
	pool_release(&control->clients, client);
	control->stats.client_cnt--;
}
