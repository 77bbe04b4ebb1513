/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offering a service: a unix socket on which the daemon calls this program by
 * net.weft.Service, one call at a time on each connection.
 *
 * Inbound: offer_ready -> guest_ready -> guest_call -> the handler; out:
 * weft_request_reply -> guest_say. A request that outlives its connection is
 * answered into nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "varlink/node_client.h"
#include "varlink/program.h"
#include "base/container_of.h"
#include "client/client_ask.h"
#include "client/client_offer.h"
#include "client/failure.h"
#include "client/client_stream.h"

#define PUBLISH_TIMEOUT_MS  30000
#define WITHDRAW_TIMEOUT_MS 5000

struct weft_offer {
	struct loop_source source; /* the listener */
	struct list_node guests;
	char *name, *version, *path;
	const struct weft_handler *handler;
	void *ctx;
};

/* A connection of the daemon's. */
struct guest {
	struct loop_source source;
	struct list_node node;
	struct weft_offer *offer; /* NULL: closed */
	struct varlink varlink;
	struct weft_request *request; /* under way */
	bool is_upgrade;	      /* of that request */
};

struct weft_request {
	struct guest *guest;	      /* NULL: the daemon left */
	json_t *parameters;	      /* what info points into */
	char *text;		      /* of a payload in JSON */
	struct varlink_blocks blocks; /* the parameters' struct, and a payload in base64 */
	struct weft_request_info info;
};

static struct guest *guest_of(struct loop_source *source)
{
	return container_of(source, struct guest, source);
}

static void guest_free(struct loop_source *source)
{
	struct guest *guest = guest_of(source);

	client_varlink_close(&guest->varlink);
	free(guest);
}

static void guest_close(struct guest *guest)
{
	if (guest->request)
		guest->request->guest = NULL;
	guest->request = NULL;
	guest->offer = NULL;
	list_unlink(&guest->node);
	client_loop_bury(&guest->source);
}

static void request_free(struct weft_request *request)
{
	json_decref(request->parameters);
	varlink_blocks_free(&request->blocks);
	free(request->text);
	free(request);
}

/* guest_say sends a reply or an error; parameters is taken. */
static void guest_say(struct guest *guest, const char *error, json_t *parameters)
{
	json_t *message = json_object();

	if (error)
		(void)json_object_set_new(message, "error", json_string(error));
	(void)json_object_set_new(message, "parameters", parameters ? parameters : json_object());
	if (!message || client_varlink_send(&guest->varlink, message) < 0 ||
	    client_varlink_flush(&guest->varlink) < 0)
		client_loop_want(&guest->source, POLLIN | POLLOUT); /* its end is found there */
	else
		client_loop_want(&guest->source, client_varlink_backlog_len(&guest->varlink)
							 ? POLLIN | POLLOUT
							 : POLLIN);
	json_decref(message);
}

/* call_read, open_read: what came as "json" is handed on as its text. */
static int call_read(struct weft_request *request)
{
	const struct api_program_call_in *in = varlink_read(
		&api_program_call_in_type, request->parameters, &request->blocks, NULL);
	struct weft_request_info *info = &request->info;

	if (!in)
		return WEFT_EMALFORMED;
	*info = (struct weft_request_info){
		.method = in->method,
		.caller = in->caller,
		.correlation = in->correlation,
		.ms_left = (int)in->ms_left,
		.traceparent = in->traceparent,
	};
	if (!in->json)
		return varlink_base64_read(&request->blocks, in->base64, &info->payload,
					   &info->len);
	request->text = json_dumps(in->json, JSON_COMPACT);
	if (!request->text)
		return -ENOMEM;
	info->payload = request->text;
	info->len = strlen(request->text);
	return 0;
}

static int open_read(struct weft_request *request)
{
	const struct api_program_open_in *in = varlink_read(
		&api_program_open_in_type, request->parameters, &request->blocks, NULL);
	struct weft_request_info *info = &request->info;

	if (!in)
		return WEFT_EMALFORMED;
	*info = (struct weft_request_info){
		.method = in->method,
		.caller = in->caller,
		.correlation = in->correlation,
		.traceparent = in->traceparent,
	};
	return varlink_base64_read(&request->blocks, in->base64, &info->payload, &info->len);
}

/* request_new: NULL when there is no memory, or the parameters are none of the interface. */
static struct weft_request *request_new(struct guest *guest, bool is_stream, json_t *parameters)
{
	struct weft_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->guest = guest;
	request->parameters = json_incref(parameters);
	if ((is_stream ? open_read(request) : call_read(request)) < 0) {
		request_free(request);
		return NULL;
	}
	return request;
}

static void guest_fail(struct guest *guest, enum weft_call_status status, const char *text)
{
	const struct api_program_failed_error failed = {.status = status, .text = text};

	guest_say(guest, API_PROGRAM_FAILED, api_program_failed_error_write(&failed));
}

static void guest_request(struct guest *guest, bool is_stream, json_t *parameters)
{
	const struct weft_handler *handler = guest->offer->handler;
	void *ctx = guest->offer->ctx;
	struct weft_request *request = request_new(guest, is_stream, parameters);
	void (*handle)(void *ctx, struct weft_request *request,
		       const struct weft_request_info *info) =
		is_stream ? handler->stream : handler->call;

	if (!request) {
		guest_fail(guest, WEFT_CALL_INVALID_PAYLOAD, "the payload cannot be read");
		return;
	}
	guest->request = request;
	if (!handle) {
		weft_request_fail(request, WEFT_CALL_METHOD_NOT_FOUND,
				  is_stream ? "it takes no streams" : "it takes no calls");
		return;
	}
	handle(ctx, request, &request->info);
	/* A stream is taken in the call, or it is not; a guest that is still there knows. */
	if (is_stream && !guest->source.is_dead && guest->request == request)
		weft_request_fail(request, WEFT_CALL_METHOD_NOT_FOUND, "it takes no such stream");
}

static void guest_call(struct guest *guest, const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	json_t *parameters = json_object_get(message, "parameters");

	method = method ? method : "";
	guest->is_upgrade = json_is_true(json_object_get(message, "upgrade"));
	if (strcmp(method, API_PROGRAM_CALL) == 0 && !guest->is_upgrade)
		guest_request(guest, false, parameters);
	else if (strcmp(method, API_PROGRAM_OPEN) == 0 && guest->is_upgrade)
		guest_request(guest, true, parameters);
	else
		guest_say(guest, "org.varlink.service.MethodNotFound",
			  json_pack("{s:s}", "method", method));
}

static void guest_ready(struct loop_source *source)
{
	struct guest *guest = guest_of(source);
	json_t *message;
	int err = client_varlink_flush(&guest->varlink),
	    got = err < 0 ? err : client_varlink_fill(&guest->varlink);

	if (err == 0)
		client_loop_want(source, client_varlink_backlog_len(&guest->varlink)
						 ? POLLIN | POLLOUT
						 : POLLIN);
	while (guest->varlink.fd >= 0 && !guest->request &&
	       (err = client_varlink_take(&guest->varlink, &message)) == 1) {
		guest_call(guest, message);
		json_decref(message);
		if (source->is_dead)
			return;
	}
	if (err < 0 || (got <= 0 && got != -EAGAIN))
		guest_close(guest);
}

static void guest_admit(struct weft_offer *offer, int fd)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (!guest) {
		close(fd);
		return;
	}
	guest->source = (struct loop_source){
		.fd = fd, .ready = guest_ready, .expired = guest_ready, .free = guest_free};
	client_varlink_adopt(&guest->varlink, fd);
	guest->offer = offer;
	if (client_loop_add(offer->source.client, &guest->source) < 0)
		guest_free(&guest->source);
	else
		list_push_back(&offer->guests, &guest->node);
}

static struct weft_offer *offer_of(struct loop_source *source)
{
	return container_of(source, struct weft_offer, source);
}

static void offer_ready(struct loop_source *source)
{
	int fd;

	while ((fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		guest_admit(offer_of(source), fd);
}

static void offer_free(struct loop_source *source)
{
	struct weft_offer *offer = offer_of(source);

	while (!list_is_empty(&offer->guests))
		guest_close(container_of(offer->guests.next, struct guest, node));
	free(offer->name);
	free(offer->version);
	free(offer->path);
	free(offer);
}

/* Connecting to a file is refused, as to an abandoned socket. */
static bool is_socket(const char *path)
{
	struct stat stat;

	return lstat(path, &stat) == 0 && S_ISSOCK(stat.st_mode);
}

/* socket_bind replaces an abandoned socket: one on which no program answers. */
static int socket_bind(int fd, const struct sockaddr_un *sun)
{
	const struct sockaddr *sa = (const struct sockaddr *)sun;
	int probe, err;

	if (bind(fd, sa, sizeof(*sun)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	if (!is_socket(sun->sun_path))
		return -EEXIST;
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	err = connect(probe, sa, sizeof(*sun)) < 0 ? -errno : 0;
	close(probe);
	if (err != -ECONNREFUSED)
		return WEFT_EBUSY;
	if (unlink(sun->sun_path) < 0 || bind(fd, sa, sizeof(*sun)) < 0)
		return -errno;
	return 0;
}

static int socket_listen(const char *path, int *out_fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	err = socket_bind(fd, &sun);
	if (err == 0 && listen(fd, SOMAXCONN) < 0)
		err = -errno;
	if (err < 0)
		close(fd);
	else
		*out_fd = fd;
	return err;
}

static struct api_string_list list_of(struct varlink_blocks *blocks, const char *const *texts)
{
	struct api_string_list list = {0};

	for (; texts && *texts; texts++)
		varlink_push(blocks, &list, *texts);
	return list;
}

static struct api_string_map map_of(struct varlink_blocks *blocks, const char *const *pairs)
{
	struct api_string_map map = {0};

	for (; pairs && pairs[0]; pairs += 2)
		varlink_push(blocks, &map, {.key = pairs[0], .value = pairs[1]});
	return map;
}

static int64_t int_of(uint64_t number)
{
	return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

static int offer_publish(const struct weft_offer *offer, const struct weft_offering *offering,
			 const struct weft_capabilities *capabilities, struct weft_error *error)
{
	static const struct weft_capabilities none;
	const struct weft_capabilities *with = capabilities ? capabilities : &none;
	struct client_caller caller =
		client_caller_of(offer->source.client, PUBLISH_TIMEOUT_MS, error);
	struct varlink_blocks blocks = {0};
	const struct api_publish_service_in in = {
		.name = offer->name,
		.version = offer->version,
		.socket = offer->path,
		API_IF(calls_per_min, offering->calls_per_min, offering->calls_per_min),
		API_IF(concurrency, offering->concurrency, offering->concurrency),
		.description = offering->description,
		.has_metadata = true,
		.metadata = map_of(&blocks, offering->metadata),
		.has_read_only = true,
		.read_only = list_of(&blocks, offering->read_only),
		API_IF(signed_, offering->needs_signature, true),
		.has_allow = offering->allow && *offering->allow,
		.allow = list_of(&blocks, offering->allow),
		API_IF(rows, with->rows, int_of(with->rows)),
		API_IF(row_bytes, with->row_bytes, int_of(with->row_bytes)),
		.has_tags = with->tags && *with->tags,
		.tags = list_of(&blocks, with->tags),
		.has_counters = with->counters && *with->counters,
		.counters = list_of(&blocks, with->counters),
	};

	(void)api_publish_service_call(&caller.caller, &in);
	varlink_caller_fini(&caller.caller);
	varlink_blocks_free(&blocks);
	return caller.caller.err;
}

static struct weft_offer *offer_new(const struct weft_offering *offering)
{
	struct weft_offer *offer = calloc(1, sizeof(*offer));

	if (!offer)
		return NULL;
	list_init(&offer->guests);
	offer->source = (struct loop_source){.fd = -1, .ready = offer_ready, .free = offer_free};
	offer->name = strdup(offering->name);
	offer->version = strdup(offering->version ? offering->version : "1.0.0");
	offer->path = strdup(offering->socket_path);
	offer->handler = offering->handler;
	offer->ctx = offering->ctx;
	if (!offer->name || !offer->version || !offer->path) {
		offer_free(&offer->source);
		return NULL;
	}
	return offer;
}

static int offer_listen(struct weft_client *client, struct weft_offer *offer,
			struct weft_error *error)
{
	int fd = -1, err = socket_listen(offer->path, &fd);

	if (err == WEFT_EBUSY)
		return client_failure_set(error, err, offer->path, "another program answers there",
					  "end it, or choose another path");
	if (err < 0)
		return client_failure_set(error, err, offer->path, NULL, NULL);
	offer->source.fd = fd;
	err = client_loop_add(client, &offer->source);
	if (err < 0) {
		close(fd);
		unlink(offer->path);
		return client_failure_set(error, err, "this program", NULL, NULL);
	}
	return 0;
}

/* offer_end closes the socket, so that no connection comes any more. */
static void offer_end(struct weft_offer *offer)
{
	int fd = offer->source.fd;

	client_loop_leave(&offer->source);
	close(fd);
	unlink(offer->path);
	client_loop_bury(&offer->source);
}

struct client_offer_name client_offer_name(const struct weft_offer *offer)
{
	return (struct client_offer_name){offer->source.client, offer->name, offer->version};
}

int weft_offer_open(struct weft_client *client, const struct weft_offering *offering,
		    struct weft_offer **out_offer, struct weft_error *error)
{
	return weft_offer_open_with(client, offering, NULL, out_offer, error);
}

int weft_offer_open_with(struct weft_client *client, const struct weft_offering *offering,
			 const struct weft_capabilities *capabilities,
			 struct weft_offer **out_offer, struct weft_error *error)
{
	struct weft_offer *offer = offer_new(offering);
	int err;

	if (!offer)
		return client_failure_memory(error);
	err = offer_listen(client, offer, error);
	if (err < 0) {
		offer_free(&offer->source);
		return err;
	}
	err = offer_publish(offer, offering, capabilities, error);
	if (err < 0)
		offer_end(offer);
	else
		*out_offer = offer;
	return err;
}

void weft_offer_close(struct weft_offer *offer)
{
	struct client_caller caller;
	struct api_withdraw_service_in in;

	if (!offer)
		return;
	caller = client_caller_of(offer->source.client, WITHDRAW_TIMEOUT_MS, NULL);
	in = (struct api_withdraw_service_in){.name = offer->name, .version = offer->version};
	/* A daemon that is gone has it withdrawn by its own checks. */
	(void)api_withdraw_service_call(&caller.caller, &in);
	varlink_caller_fini(&caller.caller);
	offer_end(offer);
}

/* request_end frees a request; its guest may have the next one waiting. */
static void request_end(struct weft_request *request)
{
	struct guest *guest = request->guest;

	if (guest) {
		guest->request = NULL;
		client_loop_set_deadline(&guest->source, 0);
	}
	request_free(request);
}

void weft_request_reply(struct weft_request *request, const void *payload, size_t len)
{
	struct varlink_blocks blocks = {0};

	if (request->guest)
		guest_say(request->guest, NULL,
			  api_program_call_out_write(&(struct api_program_call_out){
				  .base64 = varlink_base64(&blocks, payload, len)}));
	varlink_blocks_free(&blocks);
	request_end(request);
}

void weft_request_fail(struct weft_request *request, enum weft_call_status status, const char *text)
{
	if (request->guest)
		guest_fail(request->guest, status, text);
	request_end(request);
}

struct weft_stream *weft_request_accept(struct weft_request *request,
					const struct weft_stream_events *events, void *arg)
{
	struct guest *guest = request->guest;
	struct weft_stream *stream;

	if (!guest || !guest->is_upgrade)
		return NULL;
	guest_say(guest, NULL, NULL);
	client_loop_leave(&guest->source);
	stream = client_stream_accept(guest->offer->source.client, &guest->varlink, events, arg);
	guest_close(guest);
	request_free(request);
	return stream;
}
