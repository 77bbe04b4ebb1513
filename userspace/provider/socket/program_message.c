/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies of net.weft.Service. A payload that is a JSON object travels
 * as it is, byte for byte; it is parsed only to know that it is one.
 */
#include "program_message.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

/* The parameters that a call and a stream share. */
static json_t *parameters_new(const struct service_caller *caller, const char *method)
{
	char key[ZBASE32_TEXT_LEN(MESH_KEY_LEN) + 1], correlation[2 * SERVICE_KEY_LEN + 1];
	char trace[SERVICE_TRACE_TEXT_CAP];
	json_t *parameters =
		json_pack("{s:s, s:s, s:s}", "method", method, "caller",
			  zbase32_write(caller->key, MESH_KEY_LEN, key), "correlation",
			  hex_write(caller->correlation, SERVICE_KEY_LEN, correlation));

	if (parameters && caller->has_trace)
		(void)json_object_set_new(parameters, "traceparent",
					  json_string(service_trace_write(&caller->trace, trace)));
	return parameters;
}

/* Takes parameters. The text ends inside them: the caller adds further ones and "}}". */
static char *request_begin(const char *method, json_t *parameters, bool is_upgrade, size_t *out_len)
{
	json_t *request =
		is_upgrade ? json_pack("{s:s, s:b, s:o}", "method", method, "upgrade", 1,
				       "parameters", parameters)
			   : json_pack("{s:s, s:o}", "method", method, "parameters", parameters);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;

	json_decref(request);
	*out_len = text ? strlen(text) - 2 : 0;
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

static int push_request(struct queue *queue, char *text, size_t text_len,
			const struct service_input *input, bool is_json_allowed)
{
	int err = WEFT_EFULL;

	if (text)
		err = provider_queue_push(queue, text, text_len);
	if (err == 0 && is_json_allowed)
		err = push_payload(queue, input->data, input->len);
	else if (err == 0 && input->len)
		err = push_base64(queue, input->data, input->len);
	if (err == 0)
		err = provider_queue_push(queue, "}}", 3);
	free(text);
	return err;
}

int provider_program_message_call(struct queue *queue, const struct service_input *input,
				  uint64_t now_ns)
{
	uint64_t left_ns =
		input->caller->deadline_ns > now_ns ? input->caller->deadline_ns - now_ns : 0;
	json_t *parameters = parameters_new(input->caller, input->method);
	char *text;
	size_t text_len;

	(void)json_object_set_new(parameters, "ms_left",
				  json_integer((json_int_t)(left_ns / NS_PER_MS)));
	text = request_begin("net.weft.Service.Call", parameters, false, &text_len);
	return push_request(queue, text, text_len, input, true);
}

int provider_program_message_open(struct queue *queue, const struct service_input *input)
{
	size_t text_len;
	char *text = request_begin("net.weft.Service.Open",
				   parameters_new(input->caller, input->method), true, &text_len);

	return push_request(queue, text, text_len, input, false);
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

static int error_parse(const char *error, const json_t *parameters, struct program_reply *reply)
{
	json_int_t status = json_integer_value(json_object_get(parameters, "status"));
	const json_t *text = json_object_get(parameters, "text");

	if (strcmp(error, "org.varlink.service.MethodNotFound") == 0) {
		reply->status = SERVICE_METHOD_NOT_FOUND;
		text_copy(reply->text, "the service has no such method");
		return 0;
	}
	if (strcmp(error, "net.weft.Service.Failed") != 0 || status <= SERVICE_OK ||
	    status >= SERVICE_STATUS_CNT)
		return WEFT_EMALFORMED;
	reply->status = (enum service_status)status;
	text_copy(reply->text, json_is_string(text) ? json_string_value(text) : "");
	return 0;
}

static int payload_parse(const json_t *parameters, struct program_reply *reply)
{
	json_t *json = json_object_get(parameters, "json");
	json_t *base64 = json_object_get(parameters, "base64");
	size_t text_len = json_string_length(base64);

	if (json_is_object(json) && (!base64 || json_is_null(base64))) {
		reply->payload = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
		reply->len = reply->payload ? strlen(reply->payload) : 0;
		return reply->payload ? 0 : WEFT_EMALFORMED;
	}
	if (json && !json_is_null(json))
		return WEFT_EMALFORMED;
	if (!base64 || json_is_null(base64))
		return 0;
	reply->payload = json_is_string(base64) ? malloc(text_len + 1) : NULL;
	if (!reply->payload)
		return WEFT_EMALFORMED;
	return base64_read(json_string_value(base64), text_len, (uint8_t *)reply->payload,
			   text_len + 1, &reply->len);
}

int provider_program_reply_parse(const char *text, size_t len, struct program_reply *out_reply)
{
	struct program_reply reply = {.status = SERVICE_OK};
	const json_t *parameters, *error;
	json_t *message;
	int err = WEFT_EMALFORMED;

	if (json_heap_load(text, len, JSON_REJECT_DUPLICATES, &message) < 0)
		return WEFT_EMALFORMED;
	parameters = json_object_get(message, "parameters");
	error = json_object_get(message, "error");
	if (!json_is_object(message) || json_is_true(json_object_get(message, "continues")))
		goto drop_message;
	if (error && !json_is_null(error))
		err = json_is_string(error)
			      ? error_parse(json_string_value(error), parameters, &reply)
			      : WEFT_EMALFORMED;
	else
		err = payload_parse(parameters, &reply);
	if (err < 0)
		provider_program_reply_fini(&reply);
	else
		*out_reply = reply;
drop_message:
	json_decref(message);
	return err < 0 ? WEFT_EMALFORMED : 0;
}

void provider_program_reply_fini(struct program_reply *reply)
{
	free(reply->payload);
	reply->payload = NULL;
}
