/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of services: payloads in base64 on the way, whole in memory at both ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client_call.h"
#include "client/failure.h"
#include "client/shared.h"
#include "client/client_target.h"
#include "codec/base64.h"

/* The daemon keeps a call's time itself; this is for a daemon that does not. */
#define CALL_GRACE_MS 5000
#define TEXT_CAP      256
#define NODE_ID_CAP   64

/* A reply and what its pointers point to, in one piece of memory. */
struct reply_box {
	struct weft_reply reply;
	char text[TEXT_CAP];
	char provider[NODE_ID_CAP];
	uint8_t payload[];
};

json_t *client_payload_json(const void *payload, size_t len)
{
	char *text = malloc(BASE64_LEN(len) + 1);
	json_t *json = text ? json_string(base64_write(payload, len, text)) : NULL;

	free(text);
	return json;
}

int client_payload_read(const json_t *parameters, uint8_t *payload, size_t cap, size_t *out_len)
{
	const json_t *text = json_object_get(parameters, "base64");

	*out_len = 0;
	return json_is_string(text) ? base64_read(json_string_value(text), json_string_length(text),
						  payload, cap, out_len)
				    : 0;
}

size_t client_payload_len_max(const json_t *parameters)
{
	return json_string_length(json_object_get(parameters, "base64")) / 4 * 3;
}

json_t *client_target_json(const struct weft_target *target, const char *method,
			   const void *payload, size_t len, int timeout_ms)
{
	json_t *json = json_pack("{s:s, s:s, s:o}", "name", target->service, "method", method,
				 "base64", client_payload_json(payload, len));

	if (json && target->version)
		(void)json_object_set_new(json, "version", json_string(target->version));
	if (json && target->provider)
		(void)json_object_set_new(json, "provider", json_string(target->provider));
	if (json && target->traceparent)
		(void)json_object_set_new(json, "traceparent", json_string(target->traceparent));
	if (json && target->is_signed)
		(void)json_object_set_new(json, "sign", json_true());
	if (json && timeout_ms >= 0)
		(void)json_object_set_new(json, "timeout_ms", json_integer(timeout_ms));
	return json;
}

static void text_copy(char *to, size_t cap, const json_t *parameters, const char *name)
{
	const char *text = json_string_value(json_object_get(parameters, name));

	snprintf(to, cap, "%s", text ? text : "");
}

static uint64_t uint_of(const json_t *parameters, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(parameters, name));

	return value < 0 ? 0 : (uint64_t)value;
}

/* reply_read: NULL when there is no memory, or the payload is no base64. */
static struct reply_box *reply_read(const json_t *parameters)
{
	size_t cap = client_payload_len_max(parameters);
	struct reply_box *box = malloc(sizeof(*box) + cap);

	if (!box)
		return NULL;
	text_copy(box->text, sizeof(box->text), parameters, "text");
	text_copy(box->provider, sizeof(box->provider), parameters, "provider");
	box->reply = (struct weft_reply){
		.status = (enum weft_call_status)uint_of(parameters, "status"),
		.text = box->text,
		.payload = box->payload,
		.provider = box->provider,
		.took_us = uint_of(parameters, "took_us"),
		.not_before_ms = uint_of(parameters, "not_before_ms"),
	};
	if (client_payload_read(parameters, box->payload, cap, &box->reply.len) < 0) {
		free(box);
		return NULL;
	}
	return box;
}

void weft_reply_free(struct weft_reply *reply)
{
	free(reply); /* the first member of its box */
}
_Static_assert(offsetof(struct reply_box, reply) == 0, "freed by its first member");

static int grace_ms(int timeout_ms)
{
	return timeout_ms < 0 || timeout_ms > INT32_MAX - CALL_GRACE_MS
		       ? -1
		       : timeout_ms + CALL_GRACE_MS;
}

int weft_call(struct weft_client *client, const struct weft_target *target, const char *method,
	      const void *payload, size_t len, int timeout_ms, struct weft_reply **out_reply,
	      struct weft_error *error)
{
	json_t *asked = client_target_json(target, method, payload, len, timeout_ms), *parameters;
	struct reply_box *box;
	int err;

	if (!asked)
		return client_failure_memory(error);
	err = client_ask_wait(client, ASK_INTERFACE "CallService", asked, grace_ms(timeout_ms),
			      &parameters, error);
	if (err < 0)
		return err;
	box = reply_read(parameters);
	json_decref(parameters);
	if (!box)
		return client_failure_lost(error, -ENOMEM);
	*out_reply = &box->reply;
	return 0;
}

struct weft_pending {
	struct shared_ask *ask;
	weft_call_fn done;
	void *arg;
};

static void pending_reply(void *arg, json_t *message, const struct weft_error *error, bool is_last)
{
	struct weft_pending *pending = arg;
	struct reply_box *box = NULL;
	struct weft_error own;

	(void)is_last;
	if (!error) {
		box = reply_read(json_object_get(message, "parameters"));
		client_failure_lost(&own, -ENOMEM);
	}
	pending->done(pending->arg, box ? &box->reply : NULL, error ? error : box ? NULL : &own);
	free(box);
}

int weft_call_start(struct weft_client *client, const struct weft_target *target,
		    const char *method, const void *payload, size_t len, int timeout_ms,
		    weft_call_fn done, void *arg, struct weft_pending **out_pending,
		    struct weft_error *error)
{
	struct weft_pending *pending = calloc(1, sizeof(*pending));
	struct ask_params params = {
		.method = ASK_INTERFACE "CallService",
		.parameters = client_target_json(target, method, payload, len, timeout_ms),
		.timeout_ms = grace_ms(timeout_ms),
		.fn = pending_reply,
		.gone = free,
		.arg = pending,
	};
	int err;

	if (!pending || !params.parameters) {
		json_decref(params.parameters);
		free(pending);
		return client_failure_memory(error);
	}
	pending->done = done;
	pending->arg = arg;
	err = client_shared_ask_start(client, &params, &pending->ask, error);
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
		client_shared_ask_cancel(pending->ask);
}
