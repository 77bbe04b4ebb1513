/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of calls that came in: counted, kept where an idempotency key asks
 * for it, and sent back the way the call came. Home worker.
 */
#include "call_answer.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/service_state.h"

/* A caller that does not take its answer within this time loses it. */
#define DRAIN_NS (30 * NS_PER_S)

static uint64_t ms_of(uint64_t ns)
{
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void reply_head_of(const struct service_call *call, const struct service_outcome *outcome,
			  struct service_reply_head *head)
{
	*head = (struct service_reply_head){
		.status = outcome->status,
		.not_before_ms = ms_of(outcome->wait_ns),
		.is_refused = outcome->is_refused,
		.body_len = (uint32_t)outcome->len,
	};
	memcpy(head->correlation, call->head.correlation, sizeof(head->correlation));
	if (outcome->status != SERVICE_OK)
		service_text_copy(head->text, outcome->text);
}

void service_call_send_unsent(struct service_call *call)
{
	const struct mesh_stream_ops *ops = call->service->params.streams.ops;
	struct service_body *body = call->unsent;
	struct mesh_stream_frame frame = {.type = MESH_REPLY};
	struct transport_span span;
	int err;

	if (!body)
		return;
	frame.payload_len = body->len;
	span = (struct transport_span){body->bytes, body->len, service_body_done, body};
	err = ops->send(call->stream, &frame, NULL, 0, &span);
	if (err == WEFT_EFULL)
		return;
	call->unsent = NULL;
	if (err < 0)
		service_body_put(body);
	ops->finish(call->stream);
}

/* A reply that is large, or found no room, is written to the heap and lent. */
static bool reply_lend(struct service_call *call, const uint8_t *head, size_t head_len,
		       const struct service_outcome *outcome)
{
	call->unsent = service_body_new(call->service->heap, head_len + outcome->len);
	if (!call->unsent)
		return false;
	memcpy(call->unsent->bytes, head, head_len);
	if (outcome->len)
		memcpy(call->unsent->bytes + head_len, outcome->payload, outcome->len);
	service_call_send_unsent(call);
	return true;
}

/* Sends the reply; false: there is no memory for it. */
static bool reply_send(struct service_call *call, const struct service_outcome *outcome)
{
	struct service *service = call->service;
	const struct mesh_stream_ops *ops = service->params.streams.ops;
	struct writer w = writer_of(service->scratch, MESH_STREAM_HEAD_LEN_MAX);
	struct mesh_stream_frame frame = {.type = MESH_REPLY};
	struct service_reply_head head;
	size_t head_len;

	reply_head_of(call, outcome, &head);
	service_reply_head_write(&w, &head);
	head_len = writer_len(&w);
	weft_assert(!w.bad);
	writer_bytes(&w, outcome->payload, outcome->len);
	frame.payload_len = head_len + outcome->len;
	if (w.bad || ops->send(call->stream, &frame, service->scratch, frame.payload_len, NULL) ==
			     WEFT_EFULL)
		return reply_lend(call, service->scratch, head_len, outcome);
	ops->finish(call->stream);
	return true;
}

void service_call_send_taken(struct service_call *call)
{
	struct service *service = call->service;
	struct writer w = writer_of(service->scratch, sizeof(service->scratch));
	struct mesh_stream_frame frame = {.type = MESH_REPLY};
	struct service_outcome taken = {.status = SERVICE_OK};
	struct service_reply_head head;

	reply_head_of(call, &taken, &head);
	service_reply_head_write(&w, &head);
	frame.payload_len = writer_len(&w);
	/* The first frame of this side always finds room; a lost session ends the stream. */
	(void)service->params.streams.ops->send(call->stream, &frame, service->scratch,
						frame.payload_len, NULL);
}

static void call_send(struct service_call *call, const struct service_outcome *outcome,
		      uint64_t now_ns)
{
	struct service_outcome full = {.status = SERVICE_UNAVAILABLE,
				       .text = "no memory for the answer"};

	if (!reply_send(call, outcome) && !reply_send(call, &full)) {
		call->service->params.streams.ops->reset(call->stream, 0);
		call->stream = NULL;
		service_call_release(call);
		return;
	}
	timer_set(call->service->params.timers, &call->timer, now_ns + DRAIN_NS);
}

void service_call_count(struct service_call *call, enum service_status status, uint64_t now_ns)
{
	uint64_t took_ns = now_ns - call->began_ns;

	if (call->admission.offer)
		service_count(&call->admission.offer->counts, status, took_ns);
	service_count(&call->service->stats.in, status, took_ns);
	/* A stream that was taken is noted at its end. */
	if (!call->is_stream || status != SERVICE_OK)
		service_call_note(call, status, now_ns);
}

/* Ends one call; its other waiters stay. */
static void call_end(struct service_call *call, const struct service_outcome *outcome,
		     uint64_t now_ns)
{
	bool ran = !outcome->is_refused && call->state == SERVICE_CALL_IN_HAND;

	if (!call->is_settled)
		service_call_count(call, outcome->status, now_ns);
	service_call_settle(call, ran, outcome->status, now_ns);
	call->state = SERVICE_CALL_ANSWERED;
	if (call->stream) {
		call_send(call, outcome, now_ns);
		return;
	}
	if (call->ask)
		call->ask_ops->answered(call->ask, outcome, now_ns);
	service_call_release(call);
}

/* Keeps the answer of a call with an idempotency key, and gives it to those that wait for it. */
static void idempotency_end(struct service *service, struct service_idempotent *idempotent,
			    const struct service_outcome *outcome, uint64_t now_ns)
{
	struct service_body *body =
		outcome->len ? service_body_copy(service->heap, outcome->payload, outcome->len)
			     : NULL;
	struct service_answer answer = {
		.status = outcome->status, .text = outcome->text, .len = outcome->len};

	service_idempotency_keep(&service->idempotent, idempotent, &answer, body,
				 now_ns + service_limits_of(service)->idempotency_ns);
	service_body_put(body);
	while (!list_is_empty(&idempotent->waiters)) {
		struct service_call *waiter = container_of(idempotent->waiters.next,
							   struct service_call, idempotent_node);

		service->stats.repeated_cnt++;
		call_end(waiter, outcome, now_ns);
	}
}

void service_call_answer(struct service_call *call, const struct service_outcome *outcome,
			 uint64_t now_ns)
{
	struct service *service = call->service;
	struct service_idempotent *idempotent = call->idempotent;

	call->idempotent = NULL;
	if (idempotent)
		idempotency_end(service, idempotent, outcome, now_ns);
	call_end(call, outcome, now_ns);
}

void service_call_refuse(struct service_call *call, const struct service_refusal *refusal,
			 uint64_t now_ns)
{
	const struct service_outcome outcome = {.status = refusal->status,
						.text = refusal->text,
						.wait_ns = refusal->wait_ns,
						.is_refused = true};

	call->service->stats.refused_cnt[refusal->reason]++;
	service_call_answer(call, &outcome, now_ns);
}

void service_call_answer_alike(struct service_call *call,
			       const struct service_idempotent *idempotent, uint64_t now_ns)
{
	struct service_outcome outcome = {
		.status = idempotent->status,
		.text = idempotent->text,
		.payload = idempotent->body ? idempotent->body->bytes : NULL,
		.len = idempotent->body ? idempotent->body->len : 0,
	};

	if (idempotent->is_lost) {
		outcome.status = SERVICE_UNAVAILABLE;
		outcome.text = "the call was run, and its answer is no longer kept";
	}
	call->service->stats.repeated_cnt++;
	call_end(call, &outcome, now_ns);
}

void service_reply(struct service_call *call, const struct service_outcome *replied,
		   uint64_t now_ns)
{
	struct service_outcome outcome = *replied;

	weft_assert(call->state == SERVICE_CALL_IN_HAND);
	call->service->now_ns = now_ns;
	if (now_ns > call->caller.deadline_ns) {
		call->service->stats.late_cnt++;
		outcome = (struct service_outcome){.status = SERVICE_TIMEOUT,
						   .text = "the service did not answer in time"};
	} else if (outcome.status == SERVICE_UNKNOWN_ERROR) {
		outcome.text = "the service failed";
	} else if (outcome.len > service_limits_of(call->service)->payload_len) {
		outcome = (struct service_outcome){.status = SERVICE_PAYLOAD_TOO_LARGE,
						   .text = "the answer is too large"};
	}
	service_call_answer(call, &outcome, now_ns);
}

/* Nothing is kept for the key of a call that did not run. */
void service_refuse(struct service_call *call, const char *text, uint64_t wait_ns, uint64_t now_ns)
{
	const struct service_outcome outcome = {.status = SERVICE_UNAVAILABLE,
						.text = text,
						.wait_ns = wait_ns,
						.is_refused = true};
	struct service *service = call->service;
	struct service_idempotent *idempotent = call->idempotent;

	weft_assert(call->state == SERVICE_CALL_IN_HAND);
	service->now_ns = now_ns;
	call->idempotent = NULL;
	while (idempotent && !list_is_empty(&idempotent->waiters))
		call_end(container_of(idempotent->waiters.next, struct service_call,
				      idempotent_node),
			 &outcome, now_ns);
	if (idempotent)
		service_idempotency_drop(&service->idempotent, idempotent);
	call_end(call, &outcome, now_ns);
}

bool service_spend(struct service_call *call, unsigned units, uint64_t now_ns)
{
	return service_admission_spend(call->service, &call->admission, units, now_ns);
}

void service_violation(struct service_call *call, const char *why, uint64_t now_ns)
{
	service_tell_violation(call->service, call->caller.key, why, now_ns);
}
