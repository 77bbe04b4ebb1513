/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of calls and streams of services, and payloads in JSON. */
#include "method_service_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/base64.h"
#include "codec/json_heap.h"
#include "codec/zbase32.h"

#define TIMEOUT_MS_MAX 86400000 /* a day */

static const char *text_of(const json_t *parameters, const char *name)
{
	return json_string_value(json_object_get(parameters, name));
}

/* provider_read: this node is one, too. */
static bool provider_read(struct node *node, struct control_call *call, const char *text,
			  struct service_request *request)
{
	uint8_t *key = request->provider;

	if (!text)
		return true;
	request->target.provider = key;
	if (zbase32_parse(text, strlen(text), key, MESH_KEY_LEN) == MESH_KEY_LEN &&
	    memcmp(key, node->own_key, MESH_KEY_LEN) == 0)
		return true;
	return api_node_id_read(node, call, text, key);
}

static int base64_payload(const json_t *base64, struct service_request *request)
{
	size_t text_len = json_string_length(base64);

	request->payload = malloc(text_len / 4 * 3 + 1);
	if (!request->payload)
		return -ENOMEM;
	return base64_read(json_string_value(base64), text_len, request->payload, text_len / 4 * 3,
			   &request->len);
}

static int json_payload(const json_t *json, struct service_request *request)
{
	request->is_json = true;
	if (!json)
		return 0;
	request->payload = (uint8_t *)json_dumps(json, JSON_COMPACT);
	if (!request->payload)
		return -ENOMEM;
	request->len = strlen((char *)request->payload);
	return 0;
}

static bool payload_read(struct control_call *call, const json_t *parameters,
			 struct service_request *request)
{
	const json_t *json = json_object_get(parameters, "json");
	const json_t *base64 = json_object_get(parameters, "base64");
	int err;

	if (json_is_object(json) && json_is_string(base64)) {
		control_fail(call, WEFT_EMALFORMED, "payload", "it is there twice",
			     "give json or base64, not both");
		return false;
	}
	err = json_is_string(base64) ? base64_payload(base64, request)
				     : json_payload(json_is_object(json) ? json : NULL, request);
	if (err == 0)
		return true;
	free(request->payload);
	if (err == -ENOMEM)
		control_fail(call, err, "payload", "no memory", "free some and try again");
	else
		control_fail_parameter(call, "base64");
	return false;
}

/* name_read: NAME[@NODE][@VERSION]; what is told apart counts beside it. */
static bool name_read(struct control_call *call, const json_t *parameters,
		      struct service_request *request)
{
	struct service_target *target = &request->target;
	struct service_named *named = &request->named;

	if (service_named_parse(text_of(parameters, "name"), named) < 0 ||
	    (named->version[0] && target->version)) {
		control_fail_parameter(call, "name");
		return false;
	}
	target->name = named->name;
	if (named->version[0])
		target->version = named->version;
	if (named->has_provider)
		target->provider = named->provider;
	return true;
}

/* prefer_read: whether this node's own offer comes first, as it does when nothing is told. */
static bool prefer_read(struct control_call *call, const json_t *parameters,
			struct service_request *request)
{
	const char *prefer = text_of(parameters, "prefer");

	request->target.is_own_last = prefer && strcmp(prefer, "mesh") == 0;
	if (!prefer || request->target.is_own_last || strcmp(prefer, "local") == 0)
		return true;
	control_fail_parameter(call, "prefer");
	return false;
}

static bool timeout_read(struct control_call *call, const json_t *parameters,
			 struct service_request *request)
{
	const json_t *json = json_object_get(parameters, "timeout_ms");
	json_int_t ms = json_integer_value(json);

	if (json_is_integer(json) && (ms <= 0 || ms > TIMEOUT_MS_MAX)) {
		control_fail_parameter(call, "timeout_ms");
		return false;
	}
	request->timeout_ns = (uint64_t)ms * NS_PER_MS;
	return true;
}

static bool trace_read(struct control_call *call, const json_t *parameters,
		       struct service_request *request)
{
	const char *text = text_of(parameters, "traceparent");

	if (!text)
		return true;
	request->target.trace = &request->trace;
	if (service_trace_parse(text, &request->trace))
		return true;
	control_fail_parameter(call, "traceparent");
	return false;
}

bool api_service_request_read(struct node *node, struct control_call *call,
			      const json_t *parameters, struct service_request *out_request)
{
	struct control_caller caller;

	*out_request = (struct service_request){
		.target = {.version = text_of(parameters, "version"),
			   .method = text_of(parameters, "method"),
			   .is_signed = json_is_true(json_object_get(parameters, "sign"))},
	};
	if (control_caller(call, &caller))
		out_request->target.asker = (struct service_asker){1, caller.uid, caller.pid};
	return name_read(call, parameters, out_request) &&
	       prefer_read(call, parameters, out_request) &&
	       timeout_read(call, parameters, out_request) &&
	       trace_read(call, parameters, out_request) &&
	       provider_read(node, call, text_of(parameters, "provider"), out_request) &&
	       payload_read(call, parameters, out_request);
}

void api_service_payload_set(json_t *parameters, const void *payload, size_t len, bool may_be_json)
{
	json_t *json = NULL;
	char *text;

	if (may_be_json && len &&
	    json_heap_load(payload, len, JSON_REJECT_DUPLICATES, &json) == -ENOMEM) {
		(void)json_heap_swap_lost(true);
		return;
	}
	if (json_is_object(json)) {
		json_object_set_new(parameters, "json", json);
		return;
	}
	json_decref(json);
	text = malloc(BASE64_LEN(len) + 1);
	if (text)
		json_object_set_new(parameters, "base64",
				    json_string(base64_write(payload, len, text)));
	else
		(void)json_heap_swap_lost(true);
	free(text);
}

int api_service_status_err(enum service_status status)
{
	switch (status) {
	case SERVICE_NOT_FOUND:
	case SERVICE_METHOD_NOT_FOUND:
		return WEFT_EABSENT;
	case SERVICE_INVALID_PAYLOAD:
		return WEFT_EMALFORMED;
	case SERVICE_PAYLOAD_TOO_LARGE:
		return WEFT_ETOOLARGE;
	case SERVICE_TIMEOUT:
		return WEFT_ETIMEOUT;
	case SERVICE_RATE_LIMITED:
	case SERVICE_UNAUTHORIZED:
	case SERVICE_FORBIDDEN:
	case SERVICE_UNAVAILABLE:
		return WEFT_EREFUSED;
	default:
		return WEFT_ECLOSED;
	}
}

void api_service_open_fail(struct control_call *call, const char *name,
			   const struct service_answer *answer)
{
	const char *next = "weft service find NAME shows who provides it";

	if (answer->status == SERVICE_METHOD_NOT_FOUND)
		next = "ask its provider for the names of its streams";
	else if (answer->not_before_ns || answer->status == SERVICE_UNAVAILABLE)
		next = "try again later";
	control_fail_with(call, api_service_status_err(answer->status), name,
			  answer->text && *answer->text ? answer->text
							: service_status_name(answer->status),
			  next, json_pack("{s:i}", "status", (int)answer->status));
}

void api_service_start_fail(struct control_call *call, int err, const char *name)
{
	if (err == WEFT_EFULL)
		control_fail(call, err, name, "as many streams are open as may be",
			     "try again, or raise service.streams in weft.conf");
	else if (err == WEFT_ETOOLARGE)
		control_fail(call, err, "payload", "larger than what may be sent with an opening",
			     "weft service limits shows it; send it as messages");
	else
		control_fail(call, err, name,
			     "no name of a service, a method or a range of versions",
			     "names have a-z, 0-9 and, inside, - and .; ranges are like ^1");
}
