/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client: what it waits for, and the connections it has. One epoll
 * descriptor stands for all of it, deadlines included, so that a program with
 * a loop of its own has one thing to watch.
 */
#include "client/client_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "client/failure.h"

_Static_assert(POLLIN == (int)EPOLLIN && POLLOUT == (int)EPOLLOUT,
	       "one set of names does for both");

static int source_control(const struct loop_source *source, int op)
{
	struct epoll_event event = {.events = source->interest, .data.ptr = (void *)source};

	return epoll_ctl(source->client->epoll_fd, op, source->fd, &event) < 0 ? -errno : 0;
}

int client_loop_add(struct weft_client *client, struct loop_source *source)
{
	int err;

	source->client = client;
	source->interest = EPOLLIN;
	err = source_control(source, EPOLL_CTL_ADD);
	if (err == 0)
		list_push_back(&client->sources, &source->node);
	return err;
}

void client_loop_want(struct loop_source *source, unsigned interest)
{
	int op = !source->interest ? EPOLL_CTL_ADD : interest ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (source->interest == interest || source->fd < 0)
		return;
	source->interest = interest;
	(void)source_control(source, op);
}

void client_loop_leave(struct loop_source *source)
{
	if (source->fd >= 0 && source->interest)
		(void)source_control(source, EPOLL_CTL_DEL);
	source->fd = -1;
}

/* timer_arm sets the timer for the nearest deadline. */
static void timer_arm(struct weft_client *client)
{
	struct itimerspec at = {.it_value = {0, 0}};
	uint64_t nearest_ns = UINT64_MAX;

	for (struct list_node *node = client->sources.next; node != &client->sources;
	     node = node->next) {
		const struct loop_source *source = container_of(node, struct loop_source, node);

		if (source->deadline_ns && source->deadline_ns < nearest_ns)
			nearest_ns = source->deadline_ns;
	}
	if (nearest_ns != UINT64_MAX)
		at.it_value = (struct timespec){(time_t)(nearest_ns / NS_PER_S),
						(long)(nearest_ns % NS_PER_S)};
	(void)timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void client_loop_set_deadline(struct loop_source *source, int timeout_ms)
{
	uint64_t wait_ms = timeout_ms < 0 ? 0 : (uint64_t)timeout_ms;

	source->deadline_ns = timeout_ms < 0 ? 0 : clock_monotonic_ns() + wait_ms * NS_PER_MS;
	timer_arm(source->client);
}

void client_loop_add_deadline(struct weft_client *client, struct loop_source *source,
			      int timeout_ms)
{
	source->client = client;
	source->fd = -1;
	source->interest = 0;
	list_push_back(&client->sources, &source->node);
	client_loop_set_deadline(source, timeout_ms);
}

static void dead_free(struct weft_client *client)
{
	while (!list_is_empty(&client->dead)) {
		struct loop_source *source =
			container_of(client->dead.next, struct loop_source, node);

		list_unlink(&source->node);
		source->free(source);
	}
}

void client_loop_bury(struct loop_source *source)
{
	struct weft_client *client = source->client;

	client_loop_leave(source);
	source->is_dead = true;
	list_unlink(&source->node);
	list_push_back(&client->dead, &source->node);
	if (client->depth == 0)
		dead_free(client);
}

void client_loop_begin(struct weft_client *client)
{
	client->depth++;
}

void client_loop_end(struct weft_client *client)
{
	if (--client->depth == 0)
		dead_free(client);
}

static struct loop_source *expired_next(struct weft_client *client, uint64_t now_ns)
{
	for (struct list_node *node = client->sources.next; node != &client->sources;
	     node = node->next) {
		struct loop_source *source = container_of(node, struct loop_source, node);

		if (source->deadline_ns && source->deadline_ns <= now_ns)
			return source;
	}
	return NULL;
}

static void timer_ready(struct weft_client *client)
{
	uint64_t now_ns = clock_monotonic_ns(), expirations;
	struct loop_source *source;

	if (read(client->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	while ((source = expired_next(client, now_ns)) != NULL) {
		source->deadline_ns = 0;
		source->expired(source);
	}
	timer_arm(client);
}

#define EVENTS_MAX 32

int weft_client_dispatch(struct weft_client *client, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int cnt = epoll_wait(client->epoll_fd, events, EVENTS_MAX, timeout_ms);

	if (cnt < 0)
		return -errno;
	client_loop_begin(client);
	for (int i = 0; i < cnt; i++) {
		struct loop_source *source = events[i].data.ptr;

		if (!source)
			timer_ready(client);
		else if (!source->is_dead)
			source->ready(source);
	}
	client_loop_end(client);
	return 0;
}

int client_loop_connect(struct weft_client *client, int timeout_ms, struct varlink *out_varlink,
			struct weft_error *error)
{
	int err = client_varlink_connect(out_varlink, client->path, timeout_ms);

	if (err == -EAGAIN)
		return client_failure_silence(error, client->path, timeout_ms);
	return err < 0 ? client_failure_connect(error, client->path, err) : 0;
}

int weft_client_fd(const struct weft_client *client)
{
	return client->epoll_fd;
}

static int client_prepare(struct weft_client *client)
{
	struct epoll_event timer = {.events = EPOLLIN};

	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (client->epoll_fd < 0 || client->timer_fd < 0 ||
	    epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->timer_fd, &timer) < 0)
		return -errno;
	return 0;
}

int weft_client_open(const char *path, int timeout_ms, struct weft_client **out_client,
		     struct weft_error *error)
{
	struct weft_client *client = calloc(1, sizeof(*client));
	char usual[VARLINK_PATH_CAP];
	int err;

	if (!client)
		return client_failure_memory(error);
	client->epoll_fd = client->timer_fd = -1;
	list_init(&client->sources);
	list_init(&client->dead);
	client->path = strdup(client_varlink_path(path, usual));
	err = client->path ? client_prepare(client) : -ENOMEM;
	if (err < 0)
		client_failure_set(error, err, "this program", NULL, NULL);
	else
		err = client_link_open(client, timeout_ms, error);
	if (err < 0) {
		weft_client_close(client);
		return err;
	}
	*out_client = client;
	return 0;
}

void weft_client_close(struct weft_client *client)
{
	if (!client)
		return;
	while (!list_is_empty(&client->sources))
		client_loop_bury(container_of(client->sources.next, struct loop_source, node));
	if (client->epoll_fd >= 0)
		close(client->epoll_fd);
	if (client->timer_fd >= 0)
		close(client->timer_fd);
	free(client->path);
	free(client);
}
