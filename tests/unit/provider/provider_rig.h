/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PROVIDER_RIG_H
#define WEFT_TESTS_PROVIDER_RIG_H

#include "provider/exec/launcher.h"
#include "provider/provider.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "base/thread/poller.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "service/http_envelope.h"
#include "store/store.h"
#include "support/check.h"
#include "support/scratch.h"

/*
 * A provider on a real fabric without a mesh, whose one caller is local; the
 * programs are the test's, on real sockets, turned by hand. Time is that of
 * the system and what a test put before it.
 */
struct prig {
	char dir[SCRATCH_CAP];
	struct poller *poller;
	struct timer_wheel timers;
	struct store *store;
	struct random random;
	struct node_key *key;
	struct service *service;
	struct launcher *launcher;
	struct provider *provider;
	struct provider_config config;
	const char *hidden[PROVIDER_HIDDEN_MAX];
	uint64_t ahead_ns;
	unsigned event_cnts[PROVIDER_EVENT_DROPPED + 1];
	char event_text[PROVIDER_STDERR_LEN_MAX + 1]; /* of the last */
	unsigned done_cnt;
	int done_err;
};

static inline uint64_t prig_now(const struct prig *rig)
{
	return clock_monotonic_ns() + rig->ahead_ns;
}

static inline uint64_t prig_wall_ms(void *ctx)
{
	return 1800000000000ull + prig_now(ctx) / NS_PER_MS;
}

static inline void prig_event(void *ctx, const struct provider_event *event, uint64_t now_ns)
{
	struct prig *rig = ctx;

	(void)now_ns;
	rig->event_cnts[event->kind]++;
	snprintf(rig->event_text, sizeof(rig->event_text), "%s", event->text);
}

static inline void prig_done(void *arg, int err, uint64_t now_ns)
{
	struct prig *rig = arg;

	(void)now_ns;
	rig->done_cnt++;
	rig->done_err = err;
}

/* Repeats the work of a start of the daemon, on the contents of the folder. */
static inline void prig_start(struct prig *rig)
{
	struct store_config store;
	struct service_params service = {.timers = &rig->timers};
	struct provider_params provider = {.timers = &rig->timers};

	memset(rig->event_cnts, 0, sizeof(rig->event_cnts));
	store_config_defaults(&store);
	store.dir = rig->dir;
	store.is_inline = true;
	weft_assert(store_open(&store, &rig->store) == 0);
	weft_assert(poller_new(2000, &rig->poller) == 0);
	timer_wheel_init(&rig->timers, prig_now(rig));
	service_config_defaults(&service.config);
	service.config.limits.calls_per_min = service.config.limits.peer_calls_per_min = 1000000;
	service.config.limits.in_hand_per_peer = 1000;
	service.config.limits.circuit_failure_cnt = 1000;
	service.config.limits.out_per_peer = 1000;
	service.key = rig->key;
	service.random = &rig->random;
	service.now_ns = prig_now(rig);
	service.wall_ms = prig_wall_ms;
	service.ctx = rig;
	weft_assert(service_new(&service, &rig->service) == 0);
	provider.config = rig->config;
	provider.service = rig->service;
	provider.poller = rig->poller;
	provider.store = rig->store;
	weft_assert(provider_launcher_open(&rig->launcher) == 0);
	provider.launcher = rig->launcher;
	provider.random = &rig->random;
	provider.hidden = rig->hidden;
	provider.event = prig_event;
	provider.ctx = rig;
	weft_assert(provider_new(&provider, &rig->provider) == 0);
	weft_assert(provider_restore(rig->provider, prig_now(rig)) == 0);
}

static inline void prig_init(struct prig *rig)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {7};

	memset(rig, 0, sizeof(*rig));
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	scratch_make(rig->dir);
	weft_assert(node_key_from_seed(seed, &rig->key) == 0);
	random_init_seeded(&rig->random, 1);
	provider_config_defaults(&rig->config);
	prig_start(rig);
}

/* prig_stop ends the daemon: by its own will, or as kill -9 does. */
static inline void prig_stop(struct prig *rig, bool is_crash)
{
	if (is_crash)
		store_freeze(rig->store);
	provider_stop(rig->provider, prig_now(rig));
	service_free(rig->service);
	provider_free(rig->provider);
	provider_launcher_close(rig->launcher);
	poller_free(rig->poller);
	if (is_crash)
		store_crash(rig->store);
	else
		store_close(rig->store);
}

static inline void prig_fini(struct prig *rig)
{
	prig_stop(rig, false);
	node_key_free(rig->key);
	scratch_remove(rig->dir);
}

/* A turn of the worker; true: the poller had something. */
static inline bool prig_turn(struct prig *rig, uint64_t wait_ns)
{
	int cnt = poller_wait(rig->poller, wait_ns ? clock_monotonic_ns() + wait_ns : 0);

	weft_assert(cnt >= 0);
	(void)store_reap(rig->store);
	timer_wheel_expire(&rig->timers, prig_now(rig));
	return cnt > 0;
}

/* prig_run turns until eight turns in a row do nothing. */
static inline void prig_run(struct prig *rig)
{
	for (unsigned quiet = 0; quiet < 8; quiet++)
		if (prig_turn(rig, 0))
			quiet = 0;
}

/* The longest wait for a program that is to do something; then the test fails. */
#define PRIG_WAIT_NS (120 * NS_PER_S)

/* prig_pass lets time go by at once. */
static inline void prig_pass(struct prig *rig, uint64_t len_ns)
{
	rig->ahead_ns += len_ns;
	prig_run(rig);
}

/* CHECK_SOON turns until cond is true. */
#define CHECK_SOON(rig, cond)                                                                      \
	do {                                                                                       \
		uint64_t check_end_ns = clock_monotonic_ns() + PRIG_WAIT_NS;                       \
		while (!(cond) && clock_monotonic_ns() < check_end_ns)                             \
			prig_turn(rig, NS_PER_MS);                                                 \
		CHECK(cond);                                                                       \
	} while (0)

/* prig_publish: the error, or what the store said. */
static inline int prig_publish(struct prig *rig, const struct provider_spec *spec)
{
	unsigned done_cnt = rig->done_cnt;
	const char *why = NULL;
	int err = provider_publish(rig->provider, spec, &(struct provider_waiter){prig_done, rig},
				   prig_now(rig), &why);

	if (err < 0) {
		weft_assert(why);
		return err;
	}
	for (uint64_t end_ns = clock_monotonic_ns() + PRIG_WAIT_NS;
	     rig->done_cnt == done_cnt && clock_monotonic_ns() < end_ns;)
		prig_turn(rig, NS_PER_MS);
	prig_run(rig);
	return rig->done_cnt == done_cnt + 1 ? rig->done_err : -EIO;
}

/* prig_view: of the first offer; its strings are the provider's. */
static inline struct provider_view prig_view(const struct prig *rig)
{
	struct provider_iter iter = {.provider = rig->provider};
	struct provider_view view;

	return provider_next(&iter, &view) ? view
					   : (struct provider_view){.state = PROVIDER_CHECKING};
}

/* The test's program listens. */
struct prig_program {
	int listener;
	char target[PROVIDER_TARGET_LEN_MAX + 1]; /* of a spec */
};

static inline void program_listen_tcp(struct prig_program *program, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(in);
	int one = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	program->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(program->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	weft_assert(bind(program->listener, (struct sockaddr *)&in, sizeof(in)) == 0);
	weft_assert(listen(program->listener, 64) == 0);
	weft_assert(getsockname(program->listener, (struct sockaddr *)&in, &len) == 0);
	snprintf(program->target, sizeof(program->target), "127.0.0.1:%u", ntohs(in.sin_port));
}

static inline void program_listen_unix(struct prig_program *program, const struct prig *rig)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	scratch_path(un.sun_path, sizeof(un.sun_path), rig->dir, "program");
	(void)unlink(un.sun_path);
	program->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	weft_assert(bind(program->listener, (struct sockaddr *)&un, sizeof(un)) == 0);
	weft_assert(listen(program->listener, 64) == 0);
	snprintf(program->target, sizeof(program->target), "%s", un.sun_path);
}

/* program_accept: a connection that does not block, or -1 when none comes. */
static inline int program_accept(struct prig *rig, const struct prig_program *program)
{
	int fd = -1;

	for (unsigned i = 0; fd < 0 && i < 200; i++) {
		fd = accept4(program->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			prig_turn(rig, NS_PER_MS);
	}
	return fd;
}

/* program_is_left: the other side closed fd; what it said before is thrown away. */
static inline bool program_is_left(int fd)
{
	char bytes[4096];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0);
	return n == 0 || errno != EAGAIN;
}

static inline void program_say(int fd, const void *data, size_t len)
{
	weft_assert(send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len);
}

/* program_hear collects what comes until it holds end, or nothing more comes; NUL-terminated. */
static inline size_t program_hear(struct prig *rig, int fd, char *text, size_t cap, const char *end)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < 400 && len < cap - 1 && !memmem(text, len, end, strlen(end));
	     i++) {
		ssize_t n = recv(fd, text + len, cap - 1 - len, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else
			prig_turn(rig, NS_PER_MS);
		text[len] = '\0';
	}
	return len;
}

/* A stream as its caller sees it. */
struct prig_stream {
	struct service_channel *channel;
	bool is_http;	 /* the first message is a head */
	bool is_holding; /* nothing is consumed */
	size_t held_len;
	uint8_t head[SERVICE_HTTP_HEAD_LEN_MAX];
	size_t head_len;
	bool has_head;
	char *body; /* of body_cap bytes, what fits */
	size_t body_cap, body_len;
	unsigned message_cnt, finished_cnt, writable_cnt, ended_cnt;
	bool is_text;
	enum service_status status;
	char text[SERVICE_TEXT_LEN_MAX + 1];
};

static inline void stream_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct prig_stream *stream = arg;

	(void)now_ns;
	if (stream->is_holding)
		stream->held_len += piece->len;
	else
		service_channel_consume(stream->channel, piece->len);
	stream->is_text = piece->is_text;
	stream->message_cnt += piece->is_last;
	if (stream->is_http && !stream->has_head) {
		memcpy(stream->head + stream->head_len, piece->data, piece->len);
		stream->head_len += piece->len;
		stream->has_head = piece->is_last;
		return;
	}
	if (stream->body && stream->body_len + piece->len <= stream->body_cap)
		memcpy(stream->body + stream->body_len, piece->data, piece->len);
	stream->body_len += piece->len;
}

static inline void stream_finished(void *arg, uint64_t now_ns)
{
	struct prig_stream *stream = arg;

	(void)now_ns;
	stream->finished_cnt++;
}

static inline void stream_writable(void *arg, uint64_t now_ns)
{
	struct prig_stream *stream = arg;

	(void)now_ns;
	stream->writable_cnt++;
}

static inline void stream_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct prig_stream *stream = arg;

	(void)now_ns;
	stream->ended_cnt++;
	stream->status = answer->status;
	snprintf(stream->text, sizeof(stream->text), "%s", answer->text);
	stream->channel = NULL;
}

static const struct service_channel_events prig_stream_events = {
	.piece = stream_piece,
	.finished = stream_finished,
	.writable = stream_writable,
	.ended = stream_ended,
};

static inline int prig_open(struct prig *rig, struct prig_stream *stream, const char *name,
			    const char *method, const void *head, size_t len)
{
	struct service_target target = {.name = name, .method = method};

	return service_channel_open(rig->service,
				    &(struct service_request){.target = target,
							      .payload = head,
							      .len = len,
							      .events = &prig_stream_events,
							      .arg = stream},
				    prig_now(rig), &stream->channel);
}

static inline void stream_say(struct prig_stream *stream, const void *data, size_t len,
			      bool is_text)
{
	const struct service_piece piece = {
		.data = data, .len = len, .is_text = is_text, .is_last = true};

	weft_assert(service_channel_send(stream->channel, &piece, NULL, NULL) == 0);
}

/* A call as its caller sees it. */
struct prig_call {
	struct service_ask *ask;
	unsigned cnt;
	enum service_status status;
	uint64_t wait_ns; /* the time that it was asked to stay away */
	char text[SERVICE_TEXT_LEN_MAX + 1];
	char *payload; /* NUL-terminated copy */
	size_t len;
};

static inline void call_done(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	struct prig_call *call = arg;

	call->wait_ns = answer->not_before_ns ? answer->not_before_ns - now_ns : 0;
	call->cnt++;
	call->ask = NULL;
	call->status = answer->status;
	snprintf(call->text, sizeof(call->text), "%s", answer->text);
	free(call->payload);
	call->payload = calloc(1, answer->len + 1);
	memcpy(call->payload, answer->payload ? answer->payload : (const uint8_t *)"", answer->len);
	call->len = answer->len;
}

static inline int prig_call(struct prig *rig, struct prig_call *call, const char *name,
			    const char *method, const void *payload, size_t len)
{
	struct service_target target = {.name = name, .method = method};

	return service_call_start(rig->service,
				  &(struct service_request){.target = target,
							    .payload = payload,
							    .len = len,
							    .done = call_done,
							    .arg = call},
				  prig_now(rig), &call->ask);
}

#endif
