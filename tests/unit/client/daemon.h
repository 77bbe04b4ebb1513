/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_CLIENT_DAEMON_H
#define WEFT_TESTS_CLIENT_DAEMON_H

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/check.h"
#include "weft/client.h"

/*
 * The stand-in for the daemon: a socket in a folder of its own, a thread for it and one for each
 * connection. A test says by daemon_open what becomes of a call.
 */
#define CONN_MAX 64

typedef void (*daemon_answer_fn)(int fd, const json_t *call);

static struct {
	char dir[64], path[96];
	int listener;
	daemon_answer_fn answer;
	pthread_t thread, conns[CONN_MAX];
	atomic_uint conn_cnt, call_cnt;
} fake;

/* daemon_listen is also what a program would call on: a listening socket at path. */
static inline int daemon_listen(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    listen(fd, 16) < 0)
		abort();
	return fd;
}

static inline int daemon_dial(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(sun.sun_path, path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
		abort();
	return fd;
}

static inline void say_bytes(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

/* Of the call that this connection answers; -1: it has none. */
static _Thread_local json_int_t control_call_id = -1;

/* say_text gives an object the id of the call. */
static inline void say_text(int fd, const char *text)
{
	char head[40] = "";

	if (control_call_id >= 0 && text[0] == '{')
		snprintf(head, sizeof(head), "{\"id\":%lld,", (long long)control_call_id);
	say_bytes(fd, head, strlen(head));
	say_bytes(fd, text + !!*head, strlen(text + !!*head) + 1);
}

/* say takes message. */
static inline void say(int fd, json_t *message)
{
	if (control_call_id >= 0)
		json_object_set_new(message, "id", json_integer(control_call_id));
	char *text = json_dumps(message, JSON_COMPACT);

	say_bytes(fd, text, strlen(text) + 1);
	free(text);
	json_decref(message);
}

/* hear waits for the next message, NULL at the end. */
static inline json_t *hear(int fd)
{
	static _Thread_local char text[3 << 20];
	size_t len = 0;

	while (len < sizeof(text) && recv(fd, text + len, 1, 0) == 1) {
		if (!text[len])
			return json_loads(text, 0, NULL);
		len++;
	}
	return NULL;
}

/* hear_bytes waits for len bytes; false at the end. */
static inline bool hear_bytes(int fd, void *data, size_t len)
{
	return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

static inline void *conn_run(void *arg)
{
	int fd = (int)(intptr_t)arg;
	json_t *call;

	while ((call = hear(fd)) != NULL) {
		fake.call_cnt++;
		control_call_id = json_object_get(call, "id")
					  ? json_integer_value(json_object_get(call, "id"))
					  : -1;
		fake.answer(fd, call);
		json_decref(call);
	}
	close(fd);
	return NULL;
}

static inline void *daemon_run(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(fake.listener, NULL, NULL)) >= 0) {
		if (fake.conn_cnt == CONN_MAX || pthread_create(&fake.conns[fake.conn_cnt], NULL,
								conn_run, (void *)(intptr_t)fd))
			abort();
		fake.conn_cnt++;
	}
	return NULL;
}

static inline void daemon_open(daemon_answer_fn answer)
{
	fake.conn_cnt = fake.call_cnt = 0;
	snprintf(fake.dir, sizeof(fake.dir), "/tmp/weft-client-XXXXXX");
	if (!mkdtemp(fake.dir))
		abort();
	snprintf(fake.path, sizeof(fake.path), "%s/control.sock", fake.dir);
	fake.listener = daemon_listen(fake.path);
	fake.answer = answer;
	if (pthread_create(&fake.thread, NULL, daemon_run, NULL))
		abort();
}

/* daemon_close: clients have left. */
static inline void daemon_close(void)
{
	shutdown(fake.listener, SHUT_RDWR);
	pthread_join(fake.thread, NULL);
	for (unsigned i = 0; i < fake.conn_cnt; i++)
		pthread_join(fake.conns[i], NULL);
	close(fake.listener);
	unlink(fake.path);
	rmdir(fake.dir);
}

static inline struct weft_client *client_of_fake(void)
{
	struct weft_client *client;

	if (weft_client_open(fake.path, 10000, &client, NULL) < 0)
		abort();
	return client;
}

static inline const json_t *parameter(const json_t *call, const char *name)
{
	return json_object_get(json_object_get(call, "parameters"), name);
}

static inline bool call_is(const json_t *call, const char *method)
{
	const char *name = json_string_value(json_object_get(call, "method"));

	return name && strcmp(name, method) == 0;
}

/* until turns a client until cond is true. */
#define UNTIL(client, cond)                                                                        \
	do {                                                                                       \
		while (!(cond))                                                                    \
			CHECK_EQ(weft_client_dispatch(client, -1), 0);                             \
	} while (0)

#endif
