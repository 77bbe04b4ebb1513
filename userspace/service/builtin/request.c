/* SPDX-License-Identifier: Apache-2.0 */
#include "service/builtin/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_heap.h"
#include "codec/zbase32.h"

void request_run(const struct request_method *methods, void *ctx, struct service_call *call,
		 const struct service_caller *caller, const char *method, const uint8_t *payload,
		 size_t len, uint64_t now_ns)
{
	struct request request = {.call = call, .caller = caller, .now_ns = now_ns};
	int err;

	while (methods->name && strcmp(methods->name, method) != 0)
		methods++;
	if (!methods->name) {
		request_refuse(&request, SERVICE_METHOD_NOT_FOUND,
			       "the service has no such method");
		return;
	}
	if (len)
		err = json_heap_load((const char *)payload, len, JSON_REJECT_DUPLICATES,
				     &request.fields);
	else
		err = (request.fields = json_object()) ? 0 : -ENOMEM;
	if (err == -ENOMEM)
		request_refuse(&request, SERVICE_UNAVAILABLE, "no memory to read it");
	else if (json_is_object(request.fields))
		methods->run(ctx, &request);
	else
		request_refuse(&request, SERVICE_INVALID_PAYLOAD, "the payload is no JSON object");
	json_decref(request.fields);
}

bool request_unpack(struct request *request, const char *format, ...)
{
	json_error_t error;
	va_list args;
	int err;

	va_start(args, format);
	err = json_vunpack_ex(request->fields, &error, JSON_STRICT, format, args);
	va_end(args);
	if (err)
		request_refuse(request, SERVICE_INVALID_PAYLOAD, error.text);
	return !err;
}

void reply_end(struct service_call *call, json_t *reply, uint64_t now_ns)
{
	char *text = json_dumps(reply, JSON_COMPACT);

	if (text && !json_heap_swap_lost(false))
		service_reply(call, SERVICE_OK, NULL, text, strlen(text), now_ns);
	else
		service_reply(call, SERVICE_UNAVAILABLE, "no memory for the answer", NULL, 0,
			      now_ns);
	free(text);
	json_decref(reply);
}

void request_reply(const struct request *request, json_t *reply)
{
	reply_end(request->call, reply, request->now_ns);
}

void request_refuse(const struct request *request, enum service_status status, const char *text)
{
	service_reply(request->call, status, text, NULL, 0, request->now_ns);
}

bool request_key(const struct request *request, const char *text, uint8_t out_key[MESH_KEY_LEN])
{
	if (strlen(text) == ZBASE32_TEXT_LEN(MESH_KEY_LEN) &&
	    zbase32_parse(text, strlen(text), out_key, MESH_KEY_LEN) == MESH_KEY_LEN)
		return true;
	request_refuse(request, SERVICE_INVALID_PAYLOAD,
		       "a peer is named by the 52 letters of its key");
	return false;
}

json_t *json_of_key(const uint8_t key[MESH_KEY_LEN])
{
	char text[ZBASE32_KEY_TEXT_CAP];

	return json_string(zbase32_write(key, MESH_KEY_LEN, text));
}
