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
#include "codec/text/hex.h"
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
	struct calling *calling = arg;
	struct control_call *call = calling->call;
	struct varlink_blocks *blocks = control_blocks(call);
	struct service_payload payload = {.json = NULL};
	bool has_hint = answer->not_before_ns > now_ns;

	if (answer->status == SERVICE_OK)
		payload = api_service_payload(blocks, answer->payload, answer->len,
					      calling->may_be_json);
	control_on_gone(call, NULL, NULL);
	api_reply(call, call_service, .status = (int)answer->status,
		  .status_name = service_status_name(answer->status),
		  .text = answer->text ? answer->text : "",
		  .provider = api_service_provider_of(blocks, answer),
		  .took_us = api_uint(answer->took_ns / NS_PER_US),
		  API_IF(not_before_ms, has_hint,
			 api_uint((answer->not_before_ns - now_ns) / NS_PER_MS + 1)),
		  .json = payload.json, .base64 = payload.base64);
	json_decref(payload.json);
	free(calling);
}

static void fail_full(struct control_call *call, const char *name, uint32_t wait_ms)
{
	char next[128];

	snprintf(next, sizeof(next), "try again in %u ms, or raise service.pending in weft.conf",
		 wait_ms);
	control_fail_with(
		call, WEFT_EFULL,
		&(struct api_failure){.what = name,
				      .why = "this program, or its user, has as many calls under "
					     "way as its share of service.pending",
				      .next = next,
				      .has_not_before_ms = true,
				      .not_before_ms = wait_ms});
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

void api_cancel_call(struct api *api, struct control_call *call,
		     const struct api_cancel_call_in *in, uint64_t now_ns)
{
	(void)api, (void)now_ns;
	if (in->call < 0)
		control_fail_parameter(call, "call");
	else if (control_cancel(call, (uint64_t)in->call) == 0)
		control_fail(call, WEFT_EABSENT, "call",
			     "no call with this id is under way on this connection",
			     "it may have been answered; ids are those of the same connection");
	else
		control_reply(call, NULL);
}

void api_call_service(struct api *api, struct control_call *call,
		      const struct api_call_service_in *in, uint64_t now_ns)
{
	uint8_t key[SERVICE_KEY_LEN];
	struct api_service_request request;
	struct calling *calling;
	int err;

	if (!api_services_are_on(api, call))
		return;
	if (in->idempotency_key && !hex_read(in->idempotency_key, key, SERVICE_KEY_LEN)) {
		control_fail_parameter(call, "idempotency_key");
		return;
	}
	if (!api_service_request_read(api, call, in, &request))
		return;
	calling = calloc(1, sizeof(*calling));
	if (!calling) {
		free(request.payload);
		control_fail(call, -ENOMEM, request.service.target.name, "no memory",
			     "free some and try again");
		return;
	}
	calling->call = call;
	calling->may_be_json = request.is_json;
	request.service.idempotency_key = in->idempotency_key ? key : NULL;
	request.service.done = calling_answered;
	request.service.arg = calling;
	err = service_call_start(api->service, &request.service, now_ns, &calling->ask);
	free(request.payload);
	if (err < 0) {
		free(calling);
		api_service_call_fail(call, err, request.service.target.name,
				      service_pending_wait_ms(api->service));
		return;
	}
	control_on_gone(call, calling_gone, calling);
}
