/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CallService: a call for a local program. Home worker; a call whose caller
 * leaves is cancelled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/hex.h"
#include "node/fabric/fabric.h"
#include "method_service_target.h"
#include "weft/client.h"

/* libweft tells its callers the same numbers. */
_Static_assert((int)WEFT_CALL_OK == (int)SERVICE_OK &&
		       (int)WEFT_CALL_TIMEOUT == (int)SERVICE_TIMEOUT &&
		       (int)WEFT_CALL_UNAVAILABLE == (int)SERVICE_UNAVAILABLE &&
		       (int)SERVICE_STATUS_CNT == (int)WEFT_CALL_UNAVAILABLE + 1,
	       "one set of statuses");

struct calling {
	struct control_call *call;
	struct service_ask *ask;
	bool may_be_json; /* the answer */
};

static void calling_gone(void *arg)
{
	struct calling *calling = arg;

	service_call_cancel(calling->ask);
	free(calling);
}

static void calling_answered(void *arg, const struct service_answer *answer, uint64_t now_ns)
{
	static const uint8_t nobody[MESH_KEY_LEN];
	struct calling *calling = arg;
	json_t *reply = json_pack("{s:i, s:s, s:s, s:o}", "status", (int)answer->status,
				  "status_name", service_status_name(answer->status), "text",
				  answer->text ? answer->text : "", "took_us",
				  api_json_uint(answer->took_ns / NS_PER_US));

	if (memcmp(answer->provider, nobody, sizeof(nobody)) != 0)
		json_object_set_new(reply, "provider", api_json_id(answer->provider));
	if (answer->not_before_ns > now_ns)
		json_object_set_new(
			reply, "not_before_ms",
			api_json_uint((answer->not_before_ns - now_ns) / NS_PER_MS + 1));
	if (answer->status == SERVICE_OK)
		api_service_payload_set(reply, answer->payload, answer->len, calling->may_be_json);
	control_on_gone(calling->call, NULL, NULL);
	control_reply(calling->call, reply);
	free(calling);
}

/* key_read: *out_key is NULL when there is none; false: call was failed. */
static bool key_read(struct control_call *call, const json_t *parameters,
		     uint8_t room[static SERVICE_KEY_LEN], const uint8_t **out_key)
{
	const char *text = json_string_value(json_object_get(parameters, "idempotency_key"));

	*out_key = text ? room : NULL;
	if (!text || hex_read(text, room, SERVICE_KEY_LEN))
		return true;
	control_fail_parameter(call, "idempotency_key");
	return false;
}

static void fail_full(struct control_call *call, const char *name, uint32_t wait_ms)
{
	char next[128];

	snprintf(next, sizeof(next), "try again in %u ms, or raise service.pending in weft.conf",
		 wait_ms);
	control_fail_with(call, WEFT_EFULL, name,
			  "this program, or its user, has as many calls under way as its share of "
			  "service.pending",
			  next, json_pack("{s:I}", "not_before_ms", (json_int_t)wait_ms));
}

void api_service_call_fail(struct control_call *call, int err, const char *name, uint32_t wait_ms)
{
	if (err == WEFT_EFULL)
		fail_full(call, name, wait_ms);
	else if (err == WEFT_ETOOLARGE)
		control_fail(call, err, "payload", "larger than a call's may be",
			     "weft service limits shows it; send it as a stream");
	else
		control_fail(call, err, name,
			     "no name of a service, a method or a range of versions",
			     "names have a-z, 0-9 and, inside, - and .; ranges are like ^1");
}

void api_cancel_call(void *ctx, struct control_call *call, const json_t *parameters,
		     uint64_t now_ns)
{
	json_int_t id = json_integer_value(json_object_get(parameters, "call"));

	(void)ctx, (void)now_ns;
	if (id < 0)
		control_fail_parameter(call, "call");
	else if (control_cancel(call, (uint64_t)id) == 0)
		control_fail(call, WEFT_EABSENT, "call",
			     "no call with this id is under way on this connection",
			     "it may have been answered; ids are those of the same connection");
	else
		control_reply(call, NULL);
}

void api_call_service(void *ctx, struct control_call *call, const json_t *parameters,
		      uint64_t now_ns)
{
	struct node *node = ctx;
	uint8_t room[SERVICE_KEY_LEN];
	struct service_request request;
	struct calling *calling;
	const uint8_t *key;
	int err;

	if (!api_services_are_on(node, call) || !key_read(call, parameters, room, &key) ||
	    !api_service_request_read(node, call, parameters, &request))
		return;
	calling = calloc(1, sizeof(*calling));
	if (!calling) {
		free(request.payload);
		control_fail(call, -ENOMEM, request.target.name, "no memory",
			     "free some and try again");
		return;
	}
	calling->call = call;
	calling->may_be_json = request.is_json;
	err = service_call_start(node_fabric_service(node->fabric), &request.target,
				 request.payload, request.len, key, request.timeout_ns,
				 calling_answered, calling, now_ns, &calling->ask);
	free(request.payload);
	if (err < 0) {
		free(calling);
		api_service_call_fail(call, err, request.target.name,
				      service_pending_wait_ms(node_fabric_service(node->fabric)));
		return;
	}
	control_on_gone(call, calling_gone, calling);
}
