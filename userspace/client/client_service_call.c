/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of services: payloads in base64 on the way, whole in memory at both ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "varlink/node_client.h"
#include "base/container_of.h"
#include "client/client_ask.h"
#include "client/failure.h"

/* The daemon keeps a call's time itself; this is for a daemon that does not. */
#define CALL_GRACE_MS 5000

/* A reply and what it points to. */
struct reply_box {
	struct weft_reply reply;
	struct varlink_blocks blocks;
	json_t *message;
};

/* box_fill: out is of box. */
static int box_fill(struct reply_box *box, const struct api_call_service_out *out)
{
	if (!out)
		return WEFT_EMALFORMED;
	box->reply = (struct weft_reply){
		.status = (enum weft_call_status)out->status,
		.text = out->text,
		.provider = out->provider ? out->provider : "",
		.took_us = out->took_us < 0 ? 0 : (uint64_t)out->took_us,
		.not_before_ms = out->has_not_before_ms && out->not_before_ms > 0
					 ? (uint64_t)out->not_before_ms
					 : 0,
	};
	return varlink_base64_read(&box->blocks, out->base64, &box->reply.payload, &box->reply.len);
}

static json_t *parameters_of(const struct weft_call_params *params)
{
	const struct weft_target *target = &params->target;
	struct varlink_blocks blocks = {0};
	const struct api_call_service_in in = {
		.name = target->service,
		.version = target->version,
		.provider = target->provider,
		.traceparent = target->traceparent,
		API_IF(sign, target->is_signed, true),
		.method = params->method,
		.base64 = varlink_base64(&blocks, params->payload, params->len),
		API_IF(timeout_ms, params->timeout_ms > 0, params->timeout_ms),
	};
	json_t *parameters = api_call_service_in_write(&in);

	varlink_blocks_free(&blocks);
	return parameters;
}

static int grace_ms(int timeout_ms)
{
	return timeout_ms <= 0 || timeout_ms > INT32_MAX - CALL_GRACE_MS
		       ? -1
		       : timeout_ms + CALL_GRACE_MS;
}

static void box_fini(struct reply_box *box)
{
	varlink_blocks_free(&box->blocks);
	json_decref(box->message);
}

void weft_reply_free(struct weft_reply *reply)
{
	if (!reply)
		return;
	box_fini(container_of(reply, struct reply_box, reply));
	free(container_of(reply, struct reply_box, reply));
}

int weft_call(struct weft_client *client, const struct weft_call_params *params,
	      struct weft_reply **out_reply, struct weft_error *error)
{
	const struct ask_params asked = {.method = API_CALL_SERVICE_METHOD,
					 .parameters = parameters_of(params),
					 .timeout_ms = grace_ms(params->timeout_ms)};
	struct reply_box *box = calloc(1, sizeof(*box));
	int err;

	if (!box) {
		json_decref(asked.parameters);
		return client_failure_memory(error);
	}
	err = client_ask_wait(client, &asked, &box->message, error);
	if (err == 0 && box_fill(box, api_call_service_out_read(box->message, &box->blocks)) < 0)
		err = client_failure_lost(error, -ENOMEM);
	if (err < 0)
		weft_reply_free(&box->reply);
	else
		*out_reply = &box->reply;
	return err;
}

struct weft_pending {
	struct ask *ask;
	struct weft_call_done done;
};

static void pending_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	const struct weft_pending *pending = arg;
	struct reply_box box = {.message = NULL};
	struct weft_error own;

	(void)is_last;
	if (!error) {
		json_t *parameters = json_object_get(message, "parameters");

		if (box_fill(&box, api_call_service_out_read(parameters, &box.blocks)) < 0) {
			client_failure_lost(&own, -ENOMEM);
			error = &own;
		}
	}
	pending->done.fn(pending->done.arg, error ? NULL : &box.reply, error);
	box_fini(&box);
}

int weft_call_start(struct weft_client *client, const struct weft_call_params *params,
		    struct weft_call_done done, struct weft_pending **out_pending,
		    struct weft_error *error)
{
	struct weft_pending *pending = calloc(1, sizeof(*pending));
	const struct ask_params asked = {
		.method = API_CALL_SERVICE_METHOD,
		.parameters = pending ? parameters_of(params) : NULL,
		.timeout_ms = grace_ms(params->timeout_ms),
		.fn = pending_reply,
		.gone = free,
		.arg = pending,
	};
	int err;

	if (!pending)
		return client_failure_memory(error);
	pending->done = done;
	err = client_ask_start(client, &asked, &pending->ask, error);
	if (err < 0) {
		free(pending);
		return err;
	}
	*out_pending = pending;
	return 0;
}

void weft_call_cancel(struct weft_pending *pending)
{
	if (pending)
		client_ask_cancel(pending->ask);
}
