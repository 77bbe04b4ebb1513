/* SPDX-License-Identifier: Apache-2.0 */
#include "content_service.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/random.h"
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "codec/json_heap.h"

#define METHOD	       "GetByContentId"
#define FIELDS	       "{s:s, s?I, s?I}"
#define NUMBER_LEN_MAX 18 /* digits; the largest size has no more */
#define ABSENT_TEXT    "this node serves no such content to the caller" STRICT_TEXT
#define STRICT_TEXT    "; what strict communities alone share is fetched with weft get"
#define LINK_TEXT      "content: the 64 hexadecimal digits of one file; weft get fetches links"
#define CROWDED_TEXT   "too many readings of this caller's network are under way"
#define EVICTED_TEXT   "its place went to a caller that has fewer readings"

struct blobs_stream;

/* One range of one content on its way to a call or a stream. */
struct blobs_reading {
	struct builtin_reading base; /* first */
	struct provider_timer stall;
	struct fair_item place;
	struct content_service *service;
	struct service_call *call;   /* or: */
	struct blobs_stream *stream; /* its channel takes the bytes */
	uint8_t content_id[32];
	uint64_t off, len; /* as asked, then as they are; len 0: to the end */
	uint64_t size;	   /* of the content */
	uint64_t done_len; /* of the range */
	size_t piece_off;  /* of the piece in hand that was sent */
	const char *why;   /* why the range cannot be had, static */
	enum service_status status;
	uint8_t data[CONTENT_SERVICE_CALL_LEN]; /* of a call */
};

struct blobs_stream {
	struct content_service *service;
	struct service_channel *channel;
	struct blobs_reading *reading; /* NULL: all was sent */
	struct list_node node;	       /* then: of service's sent */
};

/* --- the end of a reading --- */

static void reading_release(struct blobs_reading *reading)
{
	provider_timer_release(&reading->stall);
	if (reading->stream)
		reading->stream->reading = NULL;
	fair_release(&reading->service->places, &reading->place, reading->service->now_ns);
	pool_release(&reading->service->readings, reading);
}

static void stream_release(struct blobs_stream *stream)
{
	struct content_service *service = stream->service;

	if (stream->reading) {
		service->content.cancel(service->content.ctx, &stream->reading->base);
		reading_release(stream->reading);
	}
	list_unlink(&stream->node);
	pool_release(&service->streams, stream);
}

/* Ends the call or the stream; the seam knows nothing of the reading any more. */
static void reading_refuse(struct blobs_reading *reading, enum service_status status,
			   const char *why, uint64_t now_ns)
{
	struct blobs_stream *stream = reading->stream;

	reading->service->now_ns = now_ns;
	if (!stream) {
		service_fail(reading->call, status, why, now_ns);
		reading_release(reading);
		return;
	}
	reading_release(reading);
	service_channel_end(stream->channel, status, why);
	stream_release(stream);
}

static void call_answer(struct blobs_reading *reading, uint64_t now_ns)
{
	struct varlink_blocks blocks = {NULL};
	char id[HEX_TEXT_CAP(32)];

	builtin_reply_end(
		reading->call,
		builtin_json(
			content_range, .content = hex_write(reading->content_id, 32, id),
			.size = api_uint(reading->size), .offset = api_uint(reading->off),
			.length = api_uint(reading->done_len),
			.data = varlink_base64(&blocks, reading->data, (size_t)reading->done_len)),
		now_ns);
	varlink_blocks_free(&blocks);
	reading_release(reading);
}

/* --- the seam's callbacks --- */

static uint64_t range_cap(const struct blobs_reading *reading)
{
	return reading->stream ? CONTENT_SERVICE_STREAM_LEN : CONTENT_SERVICE_CALL_LEN;
}

static bool on_opened(struct builtin_reading *base, uint64_t size, uint64_t *out_off,
		      uint64_t *out_len, uint64_t now_ns)
{
	struct blobs_reading *reading = (struct blobs_reading *)base;

	reading->size = size;
	if (reading->off > size || reading->len > size - reading->off) {
		reading_refuse(reading, SERVICE_INVALID_PAYLOAD,
			       "the range ends beyond the end of the content", now_ns);
		return false;
	}
	if (reading->len == 0)
		reading->len = size - reading->off;
	if (reading->len > range_cap(reading)) {
		reading_refuse(reading, SERVICE_PAYLOAD_TOO_LARGE,
			       reading->stream ? "a stream takes a range of at most 32 MiB: name "
						 "offset and length"
					       : "a call takes a range of at most 512 KiB: name "
						 "offset and length, or open a stream",
			       now_ns);
		return false;
	}
	*out_off = reading->off;
	*out_len = reading->len;
	return true;
}

static bool piece_send(struct blobs_reading *reading, const uint8_t *data, size_t len)
{
	while (reading->piece_off < len) {
		size_t left = len - reading->piece_off;
		struct service_piece piece = {
			.data = data + reading->piece_off,
			.len = left < SERVICE_COPY_LEN_MAX ? left : SERVICE_COPY_LEN_MAX,
			.is_last = true,
		};

		if (service_channel_send(reading->stream->channel, &piece, NULL, NULL) < 0)
			return false;
		reading->piece_off += piece.len;
	}
	return true;
}

static bool on_piece(struct builtin_reading *base, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct blobs_reading *reading = (struct blobs_reading *)base;
	size_t sent_before = reading->piece_off;
	bool is_taken = true;

	if (reading->stream)
		is_taken = piece_send(reading, data, len);
	else
		memcpy(reading->data + reading->done_len, data, len);
	if (is_taken || reading->piece_off > sent_before)
		provider_timer_set(&reading->stall, now_ns + CONTENT_SERVICE_STALL_NS);
	if (!is_taken)
		return false;
	reading->piece_off = 0;
	reading->done_len += len;
	return true;
}

static void on_ended(struct builtin_reading *base, int err, uint64_t now_ns)
{
	struct blobs_reading *reading = (struct blobs_reading *)base;
	struct blobs_stream *stream = reading->stream;

	if (err == WEFT_EABSENT || err == WEFT_EREFUSED) {
		reading_refuse(reading, SERVICE_NOT_FOUND, ABSENT_TEXT, now_ns);
	} else if (err < 0) {
		reading_refuse(reading, SERVICE_UNAVAILABLE,
			       "the content could not be read now: ask again", now_ns);
	} else if (stream) {
		reading->service->now_ns = now_ns;
		list_push_back(&reading->service->sent, &stream->node);
		reading_release(reading);
		service_channel_finish(stream->channel);
	} else {
		call_answer(reading, now_ns);
	}
}

/* Cancels the reading at the seam and ends the caller's call or stream. */
static void reading_abort(struct blobs_reading *reading, enum service_status status,
			  const char *why, uint64_t now_ns)
{
	struct builtin_content *content = &reading->service->content;

	content->cancel(content->ctx, &reading->base);
	reading_refuse(reading, status, why, now_ns);
}

static void on_stall(struct timer *timer, uint64_t now_ns)
{
	reading_abort(container_of(timer, struct blobs_reading, stall.base), SERVICE_TIMEOUT,
		      "no byte moved for 30 s", now_ns);
}

/* --- the begin of one --- */

/* The parameters of a call or of the head of a stream. */
struct read_params {
	const char *content;
	json_int_t off, len; /* len 0: to the end */
	uint8_t content_id[32];
};

/* read_params_check returns the fault, or NULL. */
static const char *read_params_check(struct read_params *params)
{
	if (!hex_read(params->content, params->content_id, sizeof(params->content_id)))
		return strncasecmp(params->content, "mesh:", 5) == 0
			       ? LINK_TEXT
			       : "content: 64 hexadecimal digits";
	if (params->off < 0)
		return "offset: 0 or more";
	if (params->len < 0)
		return "length: 0 or more; 0 is to the end";
	return NULL;
}

/* NULL: callers of that network have as many as they may. data is left as it is. */
static struct blobs_reading *reading_new(struct content_service *service,
					 const struct service_caller *caller,
					 const struct read_params *params, uint64_t now_ns)
{
	struct blobs_reading *reading = pool_acquire(&service->readings);
	struct fair_item *victim = NULL;
	int err;

	weft_assert(reading); /* there is one more than there are places */
	err = provider_timer_acquire(service->tenant, &reading->stall, on_stall);
	weft_assert(err == 0); /* as many are declared */
	service->now_ns = now_ns;
	reading->place = (struct fair_item){.taken_at_ns = 0};
	if (fair_take(&service->places, &caller->path, &reading->place, now_ns, &victim) ==
	    FAIR_BUSY) {
		provider_timer_release(&reading->stall);
		pool_release(&service->readings, reading);
		return NULL;
	}
	if (victim)
		reading_abort(container_of(victim, struct blobs_reading, place),
			      SERVICE_RATE_LIMITED, EVICTED_TEXT, now_ns);
	reading->base =
		(struct builtin_reading){.opened = on_opened, .piece = on_piece, .ended = on_ended};
	reading->service = service;
	reading->call = NULL;
	reading->stream = NULL;
	reading->off = (uint64_t)params->off;
	reading->len = (uint64_t)params->len;
	reading->done_len = 0;
	reading->piece_off = 0;
	memcpy(reading->content_id, params->content_id, sizeof(reading->content_id));
	return reading;
}

static void reading_start(struct blobs_reading *reading, const struct service_caller *caller,
			  uint64_t now_ns)
{
	struct content_service *service = reading->service;
	int err = service->content.read(service->content.ctx, caller->is_local ? NULL : caller->key,
					reading->content_id, &reading->base, now_ns);

	if (err == 0)
		provider_timer_set(&reading->stall, now_ns + CONTENT_SERVICE_STALL_NS);
	else if (err == WEFT_EABSENT || err == WEFT_EREFUSED)
		reading_refuse(reading, SERVICE_NOT_FOUND, ABSENT_TEXT, now_ns);
	else
		reading_refuse(reading, SERVICE_UNAVAILABLE,
			       "this node reads as many contents as it may: ask again", now_ns);
}

static void get_by_content_id(void *ctx, struct request *request)
{
	struct content_service *service = ctx;
	struct blobs_reading *reading;
	struct read_params params = {.off = 0};
	const char *fault;

	if (!builtin_request_unpack(request, FIELDS, "content", &params.content, "offset",
				    &params.off, "length", &params.len))
		return;
	fault = read_params_check(&params);
	if (fault) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, fault);
		return;
	}
	reading = reading_new(service, request->caller, &params, request->now_ns);
	if (!reading) {
		builtin_request_refuse(request, SERVICE_RATE_LIMITED, CROWDED_TEXT);
		return;
	}
	reading->call = request->call;
	if (service_spend(request->call, 1, request->now_ns))
		reading_start(reading, request->caller, request->now_ns);
	else
		reading_refuse(reading, SERVICE_RATE_LIMITED, "the caller's work is used up",
			       request->now_ns);
}

const struct request_method builtin_content_methods[] = {
	{METHOD, get_by_content_id, true, .takes = "content:string offset:?int length:?int",
	 .gives = "content:string size:int offset:int length:int data:string",
	 .about = "At most 512 KiB of a content, in base64; as a stream at most 32 MiB as they are",
	 .example = "{\"content\": "
		    "\"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\"}"},
	{.name = NULL},
};

/* --- streams --- */

static void channel_piece(void *arg, const struct service_piece *piece, uint64_t now_ns)
{
	struct blobs_stream *stream = arg;

	(void)now_ns;
	service_channel_consume(stream->channel, piece->len);
}

static void channel_finished(void *arg, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
}

static void channel_writable(void *arg, uint64_t now_ns)
{
	struct blobs_stream *stream = arg;
	struct builtin_content *content = &stream->service->content;

	if (stream->reading)
		content->resume(content->ctx, &stream->reading->base, now_ns);
}

static void channel_ended(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	(void)answer, (void)now_ns;
	stream_release(arg);
}

static const struct service_channel_events channel_events = {
	.piece = channel_piece,
	.finished = channel_finished,
	.writable = channel_writable,
	.ended = channel_ended,
};

/*
 * A number, or a text that is one, as a query of a URL has it. False: it is there and is neither.
 */
static bool number_read(const json_t *json, json_int_t *out_number)
{
	const char *text = json_string_value(json);
	char *end;

	if (json_is_integer(json))
		*out_number = json_integer_value(json);
	else if (text && *text && strlen(text) <= NUMBER_LEN_MAX)
		*out_number = strtoll(text, &end, 10);
	return !json || json_is_integer(json) ||
	       (text && *text && strlen(text) <= NUMBER_LEN_MAX && !*end);
}

/* head_read: as read_params_check; texts of params are of json. */
static const char *head_read(json_t *json, struct read_params *params)
{
	json_t *off = NULL, *len = NULL;

	if (json_unpack(json, "{s:s, s?o, s?o !}", "content", &params->content, "offset", &off,
			"length", &len) < 0 ||
	    !number_read(off, &params->off) || !number_read(len, &params->len))
		return "the head is a JSON object with content, and offset and length or none";
	return read_params_check(params);
}

static void sent_end_oldest(struct content_service *service)
{
	struct blobs_stream *stream = container_of(service->sent.next, struct blobs_stream, node);

	service_channel_end(stream->channel, SERVICE_OK, "");
	stream_release(stream);
}

static void stream_open(struct content_service *service, struct service_channel *channel,
			const struct service_caller *caller, const struct read_params *params,
			uint64_t now_ns)
{
	struct blobs_stream *stream = pool_acquire(&service->streams);

	if (!stream) {
		sent_end_oldest(service);
		stream = pool_acquire(&service->streams);
		weft_assert(stream); /* those that did not send all have a reading each */
	}
	*stream = (struct blobs_stream){.service = service, .channel = channel};
	list_init(&stream->node);
	stream->reading = reading_new(service, caller, params, now_ns);
	if (!stream->reading) {
		service_channel_end(channel, SERVICE_RATE_LIMITED, CROWDED_TEXT);
		stream_release(stream);
		return;
	}
	stream->reading->stream = stream;
	service_channel_accept(channel, &channel_events, stream);
	reading_start(stream->reading, caller, now_ns);
}

void builtin_content_stream(void *ctx, struct service_channel *channel,
			    const struct service_input *input, uint64_t now_ns)
{
	const char *fault = "the head is a JSON object with content";
	struct read_params params = {.off = 0};
	json_t *json = NULL;

	if (strcmp(input->method, METHOD) != 0) {
		service_channel_end(channel, SERVICE_METHOD_NOT_FOUND,
				    "the service has no such method");
		return;
	}
	if (input->len && json_heap_load((const char *)input->data, input->len,
					 JSON_REJECT_DUPLICATES, &json) == 0)
		fault = head_read(json, &params);
	if (fault)
		service_channel_end(channel, SERVICE_INVALID_PAYLOAD, fault);
	else
		stream_open(ctx, channel, input->caller, &params, now_ns);
	json_decref(json);
}

/* --- life --- */

static const struct fair_config places_config = {.name = "readings of mesh-content",
						 .kind = FAIR_WORK,
						 .cap_cnt = CONTENT_SERVICE_READING_MAX,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};

void builtin_content_declare(const struct builtin_config *config, struct provider_declaration *out)
{
	(void)config;
	out->timer_max = CONTENT_SERVICE_READING_MAX + 1; /* one for each reading */
}

int builtin_content_init(struct content_service *service, struct arena *arena,
			 const struct builtin_params *params, struct provider_tenant *tenant)
{
	uint64_t secret[2];
	int err;

	service->content = params->content;
	service->tenant = tenant;
	list_init(&service->sent);
	random_fill(params->random, secret, sizeof(secret));
	if ((err = pool_init(&service->readings, arena, sizeof(struct blobs_reading),
			     CONTENT_SERVICE_READING_MAX + 1)) < 0 ||
	    (err = pool_init(&service->streams, arena, sizeof(struct blobs_stream),
			     CONTENT_SERVICE_STREAM_MAX)) < 0)
		return err;
	return fair_init(&service->places, arena, &places_config, secret);
}

void builtin_content_service_places(const struct content_service *service, struct fair_view *out)
{
	fair_read(&service->places, out);
}

void builtin_content_forget(void *ctx, const struct service_call *call)
{
	struct content_service *service = ctx;
	struct blobs_reading *reading = NULL;

	while ((reading = pool_next(&service->readings, reading))) {
		if (call && reading->call != call)
			continue;
		service->content.cancel(service->content.ctx, &reading->base);
		reading_release(reading);
	}
}

void builtin_content_fini(struct content_service *service)
{
	builtin_content_forget(service, NULL);
}
