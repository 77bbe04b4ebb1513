/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call whose payload is whole goes to its handler: its signature is checked, a repeated one is
 * answered alike, a stream is offered to its taker. Home worker.
 */
#include <string.h>

#include "base/monotonic.h"
#include "call_answer.h"
#include "descriptor_proof.h"
#include "service/directory/description.h"
#include "service/limits/access.h"
#include "service/service_channel.h"
#include "service/service_state.h"

/* stream_read_verb: of HTTP the method is in the request's own head; "" when there is none. */
static void stream_read_verb(struct service_call *call, const uint8_t *head, size_t len)
{
	struct service_http_request request;

	if (!service_http_is_method(call->head.method) ||
	    !service_offer_is_http(call->admission.offer) ||
	    service_http_request_parse(head, len, &request) < 0)
		return;
	memcpy(call->verb, request.verb, request.verb_len);
	call->verb[request.verb_len] = '\0';
}

/* stream_is_allowed: false: the caller may not make this request, and was refused. */
static bool stream_is_allowed(struct service_call *call, uint64_t now_ns)
{
	const struct service_offer *offer = call->admission.offer;
	enum service_access access = SERVICE_ACCESS_GIVEN;

	if (!call->caller.is_local)
		access = service_access_of(offer, call->caller.key, call->head.method, true);
	if (access == SERVICE_ACCESS_LATER)
		access = service_access_of_verb(offer, call->caller.key, call->verb);
	if (access == SERVICE_ACCESS_GIVEN)
		return true;
	service_call_refuse(call,
			    &(struct service_refusal){.reason = SERVICE_REFUSED_ALLOW,
						      .status = SERVICE_FORBIDDEN,
						      .text = service_access_text(access)},
			    now_ns);
	return false;
}

/* Hands a stream: its taker accepts it now, or it is ended. */
static void call_hand_stream(struct service_call *call, const uint8_t *head, size_t len,
			     uint64_t now_ns)
{
	const struct service_offering *offering = &call->admission.offer->offering;
	bool is_subscription = strcmp(call->head.method, SERVICE_SUBSCRIBE) == 0;
	struct service_channel *channel;

	stream_read_verb(call, head, len);
	if (!is_subscription && !stream_is_allowed(call, now_ns))
		return;
	channel = service_channel_offer(call);
	if (!channel) {
		service_call_refuse(call,
				    &(struct service_refusal){.reason = SERVICE_REFUSED_MEMORY,
							      .status = SERVICE_UNAVAILABLE,
							      .text = "too many streams are open",
							      .wait_ns = SERVICE_MEMORY_WAIT_NS},
				    now_ns);
		return;
	}
	call->channel = channel;
	timer_cancel(call->service->params.timers, &call->timer);
	if (is_subscription)
		service_topic_stream(call, head, len, now_ns);
	else
		offering->handler->stream(
			offering->ctx, channel,
			&(struct service_input){&call->caller, call->head.method, head, len},
			now_ns);
	service_channel_offered(channel, now_ns);
}

static void call_hand(struct service_call *call, const uint8_t *payload, size_t len,
		      uint64_t now_ns)
{
	const struct service_offering *offering = &call->admission.offer->offering;

	call->state = SERVICE_CALL_IN_HAND;
	if (call->is_stream)
		call_hand_stream(call, payload, len, now_ns);
	else if (strcmp(call->head.method, SERVICE_DESCRIBE) == 0)
		service_describe(call, now_ns);
	else
		offering->handler->call(
			offering->ctx, call,
			&(struct service_input){&call->caller, call->head.method, payload, len},
			now_ns);
}

/*
 * A call with an idempotency key: run it, have it wait, or answer it alike. True: it is to be run.
 */
static bool call_is_first(struct service_call *call, const uint8_t *payload, size_t len,
			  uint64_t now_ns)
{
	struct service *service = call->service;
	struct service_idempotent_key key;
	struct service_idempotent *idempotent;
	uint64_t digest =
		service_idempotency_digest(&service->idempotent, &call->head, payload, len);

	memcpy(key.caller, call->caller.key, sizeof(key.caller));
	memcpy(key.service_id, call->head.service_id, sizeof(key.service_id));
	memcpy(key.key, call->head.key, sizeof(key.key));
	idempotent = service_idempotency_lookup(&service->idempotent, &key);
	if (!idempotent &&
	    service_idempotency_is_forgotten(&service->idempotent, &call->head, now_ns)) {
		struct service_outcome outcome = {
			.status = SERVICE_UNAVAILABLE,
			.text = "the provider may have forgotten this call: "
				"nobody knows whether it ran"};

		service->stats.refused_cnt[SERVICE_REFUSED_FORGOTTEN]++;
		service_call_answer(call, &outcome, now_ns);
		return false;
	}
	if (!idempotent) {
		call->idempotent = service_idempotency_begin(&service->idempotent, &key, digest,
							     call, call->began_ns);
		if (call->idempotent)
			return true;
		service_call_refuse(call,
				    &(struct service_refusal){
					    .reason = SERVICE_REFUSED_MEMORY,
					    .status = SERVICE_UNAVAILABLE,
					    .text = "too many calls with idempotency keys run",
					    .wait_ns = SERVICE_MEMORY_WAIT_NS},
				    now_ns);
		return false;
	}
	if (idempotent->digest != digest) {
		service_call_refuse(
			call,
			&(struct service_refusal){
				.reason = SERVICE_REFUSED_DUPLICATE,
				.status = SERVICE_INVALID_PAYLOAD,
				.text = "the idempotency key was used for another call"},
			now_ns);
	} else if (idempotent->runner) {
		call->state = SERVICE_CALL_WAITING;
		list_push_back(&idempotent->waiters, &call->idempotent_node);
		timer_set(service->params.timers, &call->timer,
			  now_ns + call->head.left_ms * NS_PER_MS);
	} else {
		service_call_answer_alike(call, idempotent, now_ns);
	}
	return false;
}

void service_call_arrived(struct service_call *call, const uint8_t *payload, size_t len,
			  struct service_body *body, uint64_t now_ns)
{
	struct service *service = call->service;
	const struct service_proof proof = {
		.session_id = call->session_id, .payload = payload, .len = len};
	int err = 0;

	if (!call->caller.is_local && call->head.has_signature)
		err = service_proof_check(&call->head, &proof, call->caller.key,
					  service_wall_ms(service));
	if (err < 0) {
		service_tell_violation(service, call->caller.key,
				       "sent a call with a signature that is not its own", now_ns);
		service_call_refuse(
			call,
			&(struct service_refusal){
				.reason = SERVICE_REFUSED_SIGNATURE,
				.status = SERVICE_UNAUTHORIZED,
				.text = "the signature is not of this call on this session"},
			now_ns);
	} else if (call->is_stream || !call->head.has_key ||
		   call_is_first(call, payload, len, now_ns)) {
		call_hand(call, payload, len, now_ns);
	}
	service_body_put(body);
}
