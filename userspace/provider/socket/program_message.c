/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies of net.weft.Service, by the structs of varlink/program.h. The payload of a
 * call is written behind its other parameters. A JSON object travels as it is, byte for byte,
 * and is parsed only to know that it is one.
 */
#include "program_message.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/program.h"
#include "base/monotonic.h"
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "codec/json_heap.h"
#include "codec/text/utf8.h"
#include "codec/text/zbase32.h"

/* payload_is_object: 1, 0 or -ENOMEM. */
static int payload_is_object(const uint8_t *payload, size_t len)
{
	json_t *value;
	int err = json_heap_load((const char *)payload, len, JSON_REJECT_DUPLICATES, &value);
	bool is_object = err == 0 && json_is_object(value);

	if (err == 0)
		json_decref(value);
	return err == -ENOMEM ? err : is_object;
}

/* A caller as parameters have it. */
struct caller_text {
	char key[ZBASE32_TEXT_LEN(MESH_KEY_LEN) + 1];
	char correlation[2 * SERVICE_KEY_LEN + 1];
	char trace[SERVICE_TRACE_TEXT_CAP];
	const char *traceparent; /* NULL: none */
};

static void caller_write(const struct service_caller *caller, struct caller_text *text)
{
	zbase32_write(caller->key, MESH_KEY_LEN, text->key);
	hex_write(caller->correlation, SERVICE_KEY_LEN, text->correlation);
	text->traceparent =
		caller->has_trace ? service_trace_write(&caller->trace, text->trace) : NULL;
}

/* request_begin: the request without the "}}" that ends parameters and itself. NULL: no memory. */
static char *request_begin(const struct varlink_type *type, const void *in, size_t *out_len)
{
	bool is_open = type == &api_program_open_in_type, had_lost = json_heap_swap_lost(false);
	json_t *parameters = varlink_write(type, in);
	json_t *request = is_open ? json_pack("{s:s, s:b, s:o}", "method", API_PROGRAM_OPEN,
					      "upgrade", 1, "parameters", parameters)
				  : json_pack("{s:s, s:o}", "method", API_PROGRAM_CALL,
					      "parameters", parameters);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;

	json_decref(request);
	if (json_heap_swap_lost(had_lost)) {
		free(text);
		text = NULL;
	}
	*out_len = text ? strlen(text) - strlen("}}") : 0;
	return text;
}

static int push_text(struct queue *queue, const char *text)
{
	return provider_queue_push(queue, text, strlen(text));
}

static int push_base64(struct queue *queue, const uint8_t *data, size_t len)
{
	int err = push_text(queue, ",\"base64\":\"");

	/* In multiples of three bytes pieces need no padding between them. */
	while (err == 0 && len) {
		char text[BASE64_LEN(3072) + 1];
		size_t piece = len < 3072 ? len : 3072;

		base64_write(data, piece, text);
		err = push_text(queue, text);
		data += piece;
		len -= piece;
	}
	return err == 0 ? push_text(queue, "\"") : err;
}

static int push_payload(struct queue *queue, const uint8_t *payload, size_t len)
{
	int err;

	if (len == 0)
		return 0;
	err = payload_is_object(payload, len);
	if (err <= 0)
		return err < 0 ? err : push_base64(queue, payload, len);
	err = push_text(queue, ",\"json\":");
	return err == 0 ? provider_queue_push(queue, payload, len) : err;
}

/* push_request: in is of type, without its payload, which is that of input. */
static int push_request(struct queue *queue, const struct varlink_type *type, const void *in,
			const struct service_input *input)
{
	size_t text_len;
	char *text = request_begin(type, in, &text_len);
	int err = text ? provider_queue_push(queue, text, text_len) : WEFT_EFULL;

	if (err == 0 && type == &api_program_call_in_type)
		err = push_payload(queue, input->data, input->len);
	else if (err == 0 && input->len)
		err = push_base64(queue, input->data, input->len);
	if (err == 0)
		err = provider_queue_push(queue, "}}", sizeof("}}")); /* a NUL ends a message */
	free(text);
	return err;
}

int provider_program_message_call(struct queue *queue, const struct service_input *input,
				  uint64_t now_ns)
{
	uint64_t deadline_ns = input->caller->deadline_ns;
	struct caller_text caller;

	caller_write(input->caller, &caller);
	return push_request(queue, &api_program_call_in_type,
			    &(struct api_program_call_in){
				    .method = input->method,
				    .caller = caller.key,
				    .correlation = caller.correlation,
				    .ms_left = api_uint(deadline_ns > now_ns
								? (deadline_ns - now_ns) / NS_PER_MS
								: 0),
				    .traceparent = caller.traceparent,
			    },
			    input);
}

int provider_program_message_open(struct queue *queue, const struct service_input *input)
{
	struct caller_text caller;

	caller_write(input->caller, &caller);
	return push_request(queue, &api_program_open_in_type,
			    &(struct api_program_open_in){
				    .method = input->method,
				    .caller = caller.key,
				    .correlation = caller.correlation,
				    .traceparent = caller.traceparent,
			    },
			    input);
}

/* A program's error text is shown to the caller, in one line. */
static void text_copy(char *text, const char *said)
{
	size_t len = strnlen(said, SERVICE_TEXT_LEN_MAX + 1);
	bool is_plain = len <= SERVICE_TEXT_LEN_MAX && utf8_is_plain(said, len);

	/* A cut text, or one with control characters, is reduced to ASCII. */
	len = len < SERVICE_TEXT_LEN_MAX ? len : SERVICE_TEXT_LEN_MAX;
	for (size_t i = 0; i < len; i++)
		text[i] = is_plain || (said[i] >= 0x20 && said[i] < 0x7f) ? said[i] : '?';
	text[len] = '\0';
}

static int error_parse(const char *error, json_t *parameters, struct varlink_blocks *blocks,
		       struct program_reply *reply)
{
	const struct api_program_failed_error *failed;

	if (strcmp(error, "org.varlink.service.MethodNotFound") == 0) {
		reply->status = SERVICE_METHOD_NOT_FOUND;
		text_copy(reply->text, "the service has no such method");
		return 0;
	}
	if (strcmp(error, API_PROGRAM_FAILED) != 0)
		return WEFT_EMALFORMED;
	failed = varlink_read(&api_program_failed_error_type, parameters, blocks, NULL);
	if (!failed || failed->status <= SERVICE_OK || failed->status >= SERVICE_STATUS_CNT)
		return WEFT_EMALFORMED;
	reply->status = (enum service_status)failed->status;
	text_copy(reply->text, failed->text);
	return 0;
}

static int payload_parse(json_t *parameters, struct varlink_blocks *blocks,
			 struct program_reply *reply)
{
	const struct api_program_call_out *out =
		varlink_read(&api_program_call_out_type, parameters, blocks, NULL);
	size_t text_len;

	if (!out || (out->json && out->base64))
		return WEFT_EMALFORMED;
	if (out->json) {
		reply->payload = json_dumps(out->json, JSON_COMPACT | JSON_REAL_PRECISION(17));
		reply->len = reply->payload ? strlen(reply->payload) : 0;
		return reply->payload ? 0 : WEFT_EMALFORMED;
	}
	if (!out->base64)
		return 0;
	text_len = strlen(out->base64);
	reply->payload = malloc(text_len + 1);
	if (!reply->payload)
		return WEFT_EMALFORMED;
	return base64_read(out->base64, text_len, (uint8_t *)reply->payload, text_len + 1,
			   &reply->len);
}

/* message_parse: parameters may be left out of a reply that has none. */
static int message_parse(json_t *message, struct varlink_blocks *blocks,
			 struct program_reply *reply)
{
	json_t *parameters = json_object_get(message, "parameters");
	const json_t *error = json_object_get(message, "error");

	if (!json_is_object(message) || json_is_true(json_object_get(message, "continues")))
		return WEFT_EMALFORMED;
	if (!error || json_is_null(error))
		return parameters ? payload_parse(parameters, blocks, reply) : 0;
	return json_is_string(error)
		       ? error_parse(json_string_value(error), parameters, blocks, reply)
		       : WEFT_EMALFORMED;
}

int provider_program_reply_parse(const char *text, size_t len, struct program_reply *out_reply)
{
	struct program_reply reply = {.status = SERVICE_OK};
	struct varlink_blocks blocks = {0};
	json_t *message;
	bool had_lost;
	int err;

	if (json_heap_load(text, len, JSON_REJECT_DUPLICATES, &message) < 0)
		return WEFT_EMALFORMED;
	had_lost = json_heap_swap_lost(false);
	err = message_parse(message, &blocks, &reply);
	(void)json_heap_swap_lost(had_lost);
	if (err < 0)
		provider_program_reply_fini(&reply);
	else
		*out_reply = reply;
	varlink_blocks_free(&blocks);
	json_decref(message);
	return err < 0 ? WEFT_EMALFORMED : 0;
}

void provider_program_reply_fini(struct program_reply *reply)
{
	free(reply->payload);
	reply->payload = NULL;
}
