/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints of local programs. Inbound: the router -> endpoint_stream, where a stream waits ->
 * provider_endpoint_take, which makes its pair of sockets. Outbound: provider_endpoint_connect ->
 * the service fabric -> opened, or marked. The bytes are service/sockets/channel_socket.c's.
 * Home worker.
 */
#include "provider/endpoint/program_endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "provider/endpoint/endpoints.h"
#include "provider/program_offer.h"
#include "service/sockets/channel_socket.h"

#define NAME_PREFIX  "endpoint."
#define CROWDED_TEXT "callers of this network have as many streams there as they may"
#define EVICTED_TEXT "the place of the stream went to a caller that has fewer"
#define CLOSED_TEXT  "the program that has the endpoint has closed it"

_Static_assert(sizeof(NAME_PREFIX) - 1 + ENDPOINT_NAME_LEN_MAX == SERVICE_NAME_LEN_MAX,
	       "a name fits behind the prefix");

struct endpoint_stream {
	struct channel_socket socket; /* first */
	struct list_node link;	      /* of its endpoint's waiting */
	struct provider *provider;
	struct endpoint *endpoint; /* NULL: a program of this node opened it */
	struct fair_item place, waits;
	uint8_t key[MESH_KEY_LEN];
	bool waits_for_mark;
	void (*done)(void *arg, int fd, const struct service_answer *answer, uint64_t now_ns);
	void *arg;
};

static struct endpoints *endpoints_of(const struct provider *provider)
{
	return provider->endpoints;
}

/* endpoint_settle gives up the offer when nothing is left of a closed endpoint. */
static void endpoint_settle(struct endpoint *endpoint, uint64_t now_ns)
{
	if (endpoint->is_open || endpoint->stream_cnt || !endpoint->is_used)
		return;
	endpoint->is_used = false;
	service_withdraw(endpoint->offer, now_ns);
	endpoint->offer = NULL;
}

static void stream_release(struct endpoint_stream *stream, uint64_t now_ns)
{
	struct endpoints *endpoints = endpoints_of(stream->provider);
	struct endpoint *endpoint = stream->endpoint;

	list_unlink(&stream->link);
	if (endpoint) {
		fair_release(&endpoint->places.fair, &stream->waits, now_ns);
		fair_release(&endpoints->places.fair, &stream->place, now_ns);
		endpoint->stream_cnt--;
	} else {
		endpoints->asked_cnt--;
	}
	pool_release(&endpoints->streams, stream);
	if (endpoint)
		endpoint_settle(endpoint, now_ns);
}

static void stream_end(struct endpoint_stream *stream, enum service_status status, const char *text,
		       uint64_t now_ns)
{
	service_channel_socket_end(&stream->socket, status, text);
	stream_release(stream, now_ns);
}

/* stream_join gives the stream one end of a pair of sockets, and returns the other. */
static int stream_join(struct endpoint_stream *stream, uint64_t now_ns)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	service_channel_socket_start(&stream->socket, fds[0], now_ns);
	return fds[1];
}

/* --- the socket's events --- */

static void stream_over(struct channel_socket *socket, const struct service_answer *answer,
			uint64_t now_ns)
{
	struct endpoint_stream *stream = container_of(socket, struct endpoint_stream, socket);
	void (*done)(void *arg, int fd, const struct service_answer *answer, uint64_t now_ns) =
		stream->done;
	void *arg = stream->arg;

	stream_release(stream, now_ns);
	if (done)
		done(arg, -1, answer, now_ns);
}

/* asked_done hands the program's end of the pair over. */
static void asked_done(struct endpoint_stream *stream, uint64_t now_ns)
{
	void (*done)(void *arg, int fd, const struct service_answer *answer, uint64_t now_ns) =
		stream->done;
	struct service_answer answer = {.status = SERVICE_OK, .text = ""};
	int fd = stream_join(stream, now_ns);

	memcpy(answer.provider, stream->key, sizeof(answer.provider));
	stream->done = NULL;
	if (fd < 0) {
		answer = (struct service_answer){.status = SERVICE_UNAVAILABLE,
						 .text = "no descriptor is left"};
		service_channel_socket_end(&stream->socket, SERVICE_UNAVAILABLE, answer.text);
	}
	if (done)
		done(stream->arg, fd < 0 ? -1 : fd, &answer, now_ns);
	if (fd < 0)
		stream_release(stream, now_ns);
}

static void asked_opened(struct channel_socket *socket, const uint8_t *provider, uint64_t now_ns)
{
	struct endpoint_stream *stream = container_of(socket, struct endpoint_stream, socket);

	memcpy(stream->key, provider, sizeof(stream->key));
	if (!stream->waits_for_mark)
		asked_done(stream, now_ns);
}

static void asked_marked(struct channel_socket *socket, uint64_t now_ns)
{
	struct endpoint_stream *stream = container_of(socket, struct endpoint_stream, socket);

	if (stream->waits_for_mark)
		asked_done(stream, now_ns);
}

static const struct channel_socket_owner taken_owner = {.over = stream_over};
static const struct channel_socket_owner asked_owner = {
	.opened = asked_opened, .marked = asked_marked, .over = stream_over};

/* stream_new: there is one more than there are places, for a newcomer while a victim is closed. */
static struct endpoint_stream *stream_new(struct provider *provider,
					  const struct channel_socket_owner *owner)
{
	struct endpoint_stream *stream = pool_acquire(&endpoints_of(provider)->streams);

	if (!stream)
		return NULL;
	service_channel_socket_init(&stream->socket);
	stream->socket.owner = owner;
	stream->socket.poller = provider->poller;
	stream->socket.timers = provider->timers;
	stream->socket.memory = provider->heap;
	stream->provider = provider;
	stream->endpoint = NULL;
	stream->done = NULL;
	stream->waits_for_mark = false;
	stream->place = stream->waits = (struct fair_item){.taken_at_ns = 0};
	list_init(&stream->link);
	return stream;
}

/* --- from callers --- */

static void endpoint_tell(struct endpoint *endpoint, bool is_closed, uint64_t now_ns)
{
	endpoint_ready_fn ready = endpoint->ready;

	endpoint->ready = NULL;
	if (ready)
		ready(endpoint->arg, is_closed, now_ns);
}

/* place_take takes a place of fair for item; the stream that loses one ends. False: refused. */
static bool place_take(struct fair *fair, const struct fair_path *path, struct fair_item *item,
		       size_t item_off, uint64_t now_ns)
{
	struct fair_item *victim = NULL;

	if (fair_take(fair, path, item, now_ns, &victim) == FAIR_BUSY)
		return false;
	if (victim)
		stream_end((struct endpoint_stream *)((char *)victim - item_off),
			   SERVICE_RATE_LIMITED, EVICTED_TEXT, now_ns);
	return true;
}

static void endpoint_stream(void *ctx, struct service_channel *channel,
			    const struct service_input *input, uint64_t now_ns)
{
	struct endpoint *endpoint = ctx;
	struct provider *provider = endpoint->provider;
	struct endpoints *endpoints = endpoints_of(provider);
	const struct fair_path *path = &input->caller->path;
	struct endpoint_stream *stream;

	if (!endpoint->is_open) {
		service_channel_end(channel, SERVICE_UNAVAILABLE, CLOSED_TEXT);
		return;
	}
	stream = stream_new(provider, &taken_owner);
	weft_assert(stream);
	stream->endpoint = endpoint;
	endpoint->stream_cnt++;
	if (!place_take(&endpoints->places.fair, path, &stream->place,
			offsetof(struct endpoint_stream, place), now_ns) ||
	    !place_take(&endpoint->places.fair, path, &stream->waits,
			offsetof(struct endpoint_stream, waits), now_ns)) {
		endpoints->refused_cnt++;
		service_channel_end(channel, SERVICE_RATE_LIMITED, CROWDED_TEXT);
		stream_release(stream, now_ns);
		return;
	}
	memcpy(stream->key, input->caller->key, sizeof(stream->key));
	stream->socket.channel = channel;
	service_channel_accept(channel, &service_channel_socket_events, &stream->socket);
	list_push_back(&endpoint->waiting, &stream->link);
	endpoint_tell(endpoint, false, now_ns);
}

static const struct service_handler endpoint_handler = {.stream = endpoint_stream};

int provider_endpoint_take(struct endpoint *endpoint, uint8_t out_key[MESH_KEY_LEN],
			   uint64_t now_ns)
{
	struct endpoint_stream *stream;
	int fd;

	if (list_is_empty(&endpoint->waiting))
		return WEFT_EABSENT;
	stream = container_of(endpoint->waiting.next, struct endpoint_stream, link);
	fd = stream_join(stream, now_ns);
	if (fd < 0)
		return fd;
	list_unlink(&stream->link);
	fair_release(&endpoint->places.fair, &stream->waits, now_ns);
	memcpy(out_key, stream->key, MESH_KEY_LEN);
	return fd;
}

bool provider_endpoint_wait(struct endpoint *endpoint, endpoint_ready_fn ready, void *arg)
{
	if (ready && endpoint->ready)
		return false;
	endpoint->ready = ready;
	endpoint->arg = arg;
	return true;
}

/* --- the life of an endpoint --- */

static struct endpoint *endpoint_find(struct provider *provider, const char *service)
{
	struct endpoint *slots = endpoints_of(provider)->slots;

	for (unsigned i = 0; i < ENDPOINT_MAX; i++)
		if (slots[i].is_used && strcmp(slots[i].name, service) == 0)
			return &slots[i];
	return NULL;
}

static bool name_write(const char *name, char service[static SERVICE_NAME_LEN_MAX + 1])
{
	return strlen(name) <= ENDPOINT_NAME_LEN_MAX &&
	       snprintf(service, SERVICE_NAME_LEN_MAX + 1, NAME_PREFIX "%s", name) > 0;
}

struct endpoint *provider_endpoint_lookup(struct provider *provider, const char *name,
					  uint32_t user)
{
	char service[SERVICE_NAME_LEN_MAX + 1];
	struct endpoint *endpoint =
		name_write(name, service) ? endpoint_find(provider, service) : NULL;

	return endpoint && endpoint->is_open && endpoint->user == user ? endpoint : NULL;
}

static struct endpoint *endpoint_free_slot(struct provider *provider)
{
	struct endpoint *slots = endpoints_of(provider)->slots;

	for (unsigned i = 0; i < ENDPOINT_MAX; i++)
		if (!slots[i].is_used)
			return &slots[i];
	return NULL;
}

/* endpoint_offer: the offer is new, or is still that of a closed endpoint of the name. */
static int endpoint_offer(struct endpoint *endpoint, const struct endpoint_params *params,
			  uint64_t now_ns, const char **out_why)
{
	const struct service_offering offering = {
		.name = endpoint->name,
		.version = "1.0.0",
		.allow = params->allow,
		.allow_cnt = params->allow_cnt,
		.handler = &endpoint_handler,
		.ctx = endpoint,
	};

	if (endpoint->is_used) {
		*out_why = "too many nodes are allowed";
		return service_set_access(endpoint->offer, &offering);
	}
	return service_offer(endpoint->provider->service, &offering, now_ns, &endpoint->offer,
			     out_why);
}

int provider_endpoint_open(struct provider *provider, const struct endpoint_params *params,
			   uint64_t now_ns, struct endpoint **out_endpoint, const char **out_why)
{
	char service[SERVICE_NAME_LEN_MAX + 1];
	struct endpoint *endpoint;
	int err;

	*out_why = "the name is too long";
	if (!name_write(params->name, service))
		return WEFT_EMALFORMED;
	*out_why = "an endpoint of that name is open";
	endpoint = endpoint_find(provider, service);
	if (endpoint && endpoint->is_open)
		return WEFT_EEXISTS;
	*out_why = "as many endpoints are open as may";
	if (!endpoint && !(endpoint = endpoint_free_slot(provider)))
		return WEFT_EFULL;
	if (!endpoint->is_used) {
		endpoint->provider = provider;
		list_init(&endpoint->waiting);
		snprintf(endpoint->name, sizeof(endpoint->name), "%s", service);
	}
	err = endpoint_offer(endpoint, params, now_ns, out_why);
	if (err < 0)
		return err;
	endpoint->is_used = endpoint->is_open = true;
	endpoint->user = params->user;
	endpoint->ready = NULL;
	*out_endpoint = endpoint;
	return 0;
}

void provider_endpoint_close(struct endpoint *endpoint, uint64_t now_ns)
{
	if (!endpoint->is_open)
		return;
	endpoint->is_open = false;
	endpoint->stream_cnt++; /* so that the end of the last of them settles nothing */
	while (!list_is_empty(&endpoint->waiting))
		stream_end(container_of(endpoint->waiting.next, struct endpoint_stream, link),
			   SERVICE_UNAVAILABLE, CLOSED_TEXT, now_ns);
	endpoint->stream_cnt--;
	endpoint_tell(endpoint, true, now_ns);
	endpoint_settle(endpoint, now_ns);
}

/* --- to other nodes --- */

int provider_endpoint_connect(struct provider *provider, const struct endpoint_ask *ask,
			      uint64_t now_ns, struct endpoint_stream **out_stream)
{
	struct endpoints *endpoints = endpoints_of(provider);
	struct service_request request = ask->request;
	struct endpoint_stream *stream;
	int err;

	if (endpoints->asked_cnt >= ENDPOINT_ASKED_MAX)
		return WEFT_EFULL;
	stream = stream_new(provider, &asked_owner);
	weft_assert(stream);
	endpoints->asked_cnt++;
	stream->waits_for_mark = ask->waits_for_mark;
	stream->done = ask->done;
	stream->arg = ask->arg;
	request.events = &service_channel_socket_events;
	request.arg = &stream->socket;
	err = service_channel_open(provider->service, &request, now_ns, &stream->socket.channel);
	if (err < 0) {
		stream_release(stream, now_ns);
		return err;
	}
	*out_stream = stream;
	return 0;
}

void provider_endpoint_cancel(struct endpoint_stream *stream, uint64_t now_ns)
{
	stream_end(stream, SERVICE_UNAVAILABLE, "the program that opened it has left", now_ns);
}

/* --- the whole --- */

static const struct fair_config stream_config = {.name = "streams of endpoints",
						 .kind = FAIR_LASTING,
						 .cap_cnt = ENDPOINT_STREAM_MAX,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};
static const struct fair_config waiting_config = {.name = "streams that endpoints did not accept",
						  .kind = FAIR_LASTING,
						  .cap_cnt = ENDPOINT_WAITING_MAX,
						  .level_cnt = FAIR_PEER_LEVELS,
						  .parts = FAIR_PEER_PARTS};

int provider_endpoints_init(struct provider *provider, struct arena *arena)
{
	struct endpoints *endpoints = arena_alloc(arena, sizeof(*endpoints));
	int err;

	if (!endpoints)
		return WEFT_EFULL;
	provider->endpoints = endpoints;
	err = pool_init(&endpoints->streams, arena, sizeof(struct endpoint_stream),
			ENDPOINT_STREAM_MAX + ENDPOINT_ASKED_MAX + 1);
	if (err == 0)
		err = fair_places_init(&endpoints->places, arena, &stream_config);
	for (unsigned i = 0; err == 0 && i < ENDPOINT_MAX; i++)
		err = fair_places_init(&endpoints->slots[i].places, arena, &waiting_config);
	return err;
}

void provider_endpoints_end(struct provider *provider, uint64_t now_ns)
{
	struct endpoints *endpoints = endpoints_of(provider);
	struct endpoint_stream *stream = NULL;

	for (unsigned i = 0; i < ENDPOINT_MAX; i++) {
		endpoints->slots[i].ready = NULL;
		if (endpoints->slots[i].is_open)
			provider_endpoint_close(&endpoints->slots[i], now_ns);
	}
	while ((stream = pool_next(&endpoints->streams, stream)))
		stream_end(stream, SERVICE_UNAVAILABLE, "the node stops", now_ns);
}

void provider_endpoint_fills(const struct provider *provider, struct endpoint_fills *out)
{
	const struct endpoints *endpoints = endpoints_of(provider);

	*out = (struct endpoint_fills){.asked_cnt = endpoints->asked_cnt,
				       .stream_cnt =
					       endpoints->streams.used_cnt - endpoints->asked_cnt,
				       .refused_cnt = endpoints->refused_cnt};
	for (unsigned i = 0; i < ENDPOINT_MAX; i++) {
		const struct endpoint *endpoint = &endpoints->slots[i];

		out->open_cnt += endpoint->is_used;
		if (endpoint->places.fair.held_cnt > out->waiting_cnt)
			out->waiting_cnt = endpoint->places.fair.held_cnt;
	}
}

void provider_endpoint_places(const struct provider *provider, struct fair_view *out)
{
	fair_read(&endpoints_of(provider)->places.fair, out);
}

void provider_endpoint_waiting(const struct provider *provider, struct fair_view *out)
{
	const struct endpoints *endpoints = endpoints_of(provider);
	struct fair_view one;

	fair_read(&endpoints->slots[0].places.fair, out);
	for (unsigned i = 1; i < ENDPOINT_MAX; i++) {
		fair_read(&endpoints->slots[i].places.fair, &one);
		fair_view_add(out, &one);
	}
}
