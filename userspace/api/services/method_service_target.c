/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of calls and streams of services, and payloads in JSON. */
#include "method_service_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/base64.h"
#include "codec/json_heap.h"
#include "codec/text/zbase32.h"

#define TIMEOUT_MS_MAX 86400000 /* a day */

/* provider_read: this node is one, too. */
static bool provider_read(struct api *api, struct control_call *call, const char *text,
			  struct api_service_request *request)
{
	uint8_t *key = request->provider;

	if (!text)
		return true;
	request->service.target.provider = key;
	if (zbase32_parse(text, strlen(text), key, MESH_KEY_LEN) == MESH_KEY_LEN &&
	    memcmp(key, api->own_key, MESH_KEY_LEN) == 0)
		return true;
	return api_node_id_read(api, call, text, key);
}

static int base64_payload(const char *base64, struct api_service_request *request)
{
	size_t text_len = strlen(base64);

	request->payload = malloc(text_len / 4 * 3 + 1);
	if (!request->payload)
		return -ENOMEM;
	return base64_read(base64, text_len, request->payload, text_len / 4 * 3,
			   &request->service.len);
}

static int json_payload(const json_t *json, struct api_service_request *request)
{
	request->is_json = true;
	if (!json)
		return 0;
	request->payload = (uint8_t *)json_dumps(json, JSON_COMPACT);
	if (!request->payload)
		return -ENOMEM;
	request->service.len = strlen((char *)request->payload);
	return 0;
}

static bool payload_read(struct control_call *call, const struct api_call_service_in *in,
			 struct api_service_request *request)
{
	int err;

	if (in->json && in->base64) {
		control_fail(call, WEFT_EMALFORMED, "payload", "it is there twice",
			     "give json or base64, not both");
		return false;
	}
	err = in->base64 ? base64_payload(in->base64, request) : json_payload(in->json, request);
	request->service.payload = request->payload;
	if (err == 0)
		return true;
	free(request->payload);
	if (err == -ENOMEM)
		control_fail(call, err, "payload", "no memory", "free some and try again");
	else
		control_fail_parameter(call, "base64");
	return false;
}

/* name_read: NAME[@NODE][@VERSION]; version and provider beside it are good for the rest. */
static bool name_read(const char *name, struct api_service_request *request)
{
	struct service_target *target = &request->service.target;
	struct service_named *named = &request->named;

	if (service_named_parse(name, named) < 0 || (named->version[0] && target->version))
		return false;
	target->name = named->name;
	if (named->version[0])
		target->version = named->version;
	if (named->has_provider)
		target->provider = named->provider;
	return true;
}

/* prefer_read: whether this node's own offer comes first, as it does by default. */
static bool prefer_read(const char *prefer, struct api_service_request *request)
{
	request->service.target.is_own_last = prefer && strcmp(prefer, "mesh") == 0;
	return !prefer || request->service.target.is_own_last || strcmp(prefer, "local") == 0;
}

static bool timeout_read(const struct api_call_service_in *in, struct api_service_request *request)
{
	request->service.timeout_ns = (uint64_t)in->timeout_ms * NS_PER_MS;
	return !in->has_timeout_ms || (in->timeout_ms > 0 && in->timeout_ms <= TIMEOUT_MS_MAX);
}

static bool trace_read(const char *text, struct api_service_request *request)
{
	if (text)
		request->service.target.trace = &request->trace;
	return !text || service_trace_parse(text, &request->trace);
}

bool api_service_request_read(struct api *api, struct control_call *call,
			      const struct api_call_service_in *in,
			      struct api_service_request *out_request)
{
	const char *wrong = NULL;
	struct control_caller caller;

	*out_request = (struct api_service_request){
		.service.target = {.version = in->version,
				   .method = in->method,
				   .is_signed = in->sign},
	};
	if (control_caller(call, &caller))
		out_request->service.target.asker =
			(struct service_asker){1, caller.uid, caller.pid};
	if (!name_read(in->name, out_request))
		wrong = "name";
	else if (!prefer_read(in->prefer, out_request))
		wrong = "prefer";
	else if (!timeout_read(in, out_request))
		wrong = "timeout_ms";
	else if (!trace_read(in->traceparent, out_request))
		wrong = "traceparent";
	if (wrong) {
		control_fail_parameter(call, wrong);
		return false;
	}
	return provider_read(api, call, in->provider, out_request) &&
	       payload_read(call, in, out_request);
}

struct service_payload api_service_payload(struct varlink_blocks *blocks, const void *payload,
					   size_t len, bool may_be_json)
{
	struct service_payload out = {.json = NULL};

	if (may_be_json && len &&
	    json_heap_load(payload, len, JSON_REJECT_DUPLICATES, &out.json) == -ENOMEM) {
		(void)json_heap_swap_lost(true);
		return out;
	}
	if (json_is_object(out.json))
		return out;
	json_decref(out.json);
	out.json = NULL;
	out.base64 = varlink_base64(blocks, payload, len);
	return out;
}

const char *api_service_provider_of(struct varlink_blocks *blocks,
				    const struct service_answer *answer)
{
	static const uint8_t none[MESH_KEY_LEN];

	return memcmp(answer->provider, none, sizeof(none)) == 0 ? NULL
								 : api_id(blocks, answer->provider);
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
	const char *next = "weft service find NAME lists its providers";

	if (answer->status == SERVICE_METHOD_NOT_FOUND)
		next = "ask its provider for the names of its streams";
	else if (answer->not_before_ns || answer->status == SERVICE_UNAVAILABLE)
		next = "try again later";
	control_fail_with(
		call, api_service_status_err(answer->status),
		&(struct api_failure){.what = name,
				      .why = answer->text && *answer->text
						     ? answer->text
						     : service_status_name(answer->status),
				      .next = next,
				      .has_status = true,
				      .status = (int)answer->status});
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
