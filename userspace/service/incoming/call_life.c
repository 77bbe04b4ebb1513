/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call beside its bytes. It is listed while it is in hand, and gives back the
 * shares it was admitted with. It runs out of time, loses its caller or its offer, and is gone.
 * Home worker.
 */
#include <string.h>

#include "call_answer.h"
#include "service/service_channel.h"
#include "service/service_state.h"

static struct service_call_id call_id_of(const struct service_call *call)
{
	struct service_call_id id = {
		.caller = pool_handle_of(&call->service->callers.entries, call->admission.caller)};

	memcpy(id.correlation, call->head.correlation, sizeof(id.correlation));
	return id;
}

bool service_call_list(struct service_call *call)
{
	struct service *service = call->service;
	struct service_call_id id = call_id_of(call);

	if (map_lookup(&service->calls_by_id, &id))
		return false;
	call->is_listed = map_put(&service->calls_by_id, &id, call) == 0;
	return true;
}

void service_call_settle(struct service_call *call, bool ran, enum service_status status,
			 uint64_t now_ns)
{
	struct service *service = call->service;

	call->is_settled = true;
	list_unlink(&call->node);
	list_unlink(&call->idempotent_node);
	timer_cancel(service->params.timers, &call->timer);
	if (call->is_listed) {
		struct service_call_id id = call_id_of(call);

		map_delete(&service->calls_by_id, &id);
		call->is_listed = false;
	}
	service_admission_end(service, &call->admission, ran, status, now_ns);
	service_intake_fini(&call->intake);
}

void service_call_release(struct service_call *call)
{
	timer_cancel(call->service->params.timers, &call->timer);
	service_intake_fini(&call->intake);
	service_body_put(call->unsent);
	call->service->peer_call_cnt -= !call->caller.is_local;
	pool_release(&call->service->calls, call);
}

/*
 * Settles a call that a handler has, and calls its cancelled; the handler may withdraw the offer
 * then.
 */
static void call_cancel(struct service_call *call, bool ran, enum service_status status,
			uint64_t now_ns)
{
	const struct service_offering *offering = &call->admission.offer->offering;
	const struct service_handler *handler = offering->handler;
	void *ctx = offering->ctx;

	service_call_settle(call, ran, status, now_ns);
	if (!call->is_stream && handler->cancelled)
		handler->cancelled(ctx, call);
}

bool service_call_is_overdue(const struct service_call *call)
{
	return call->is_overdue;
}

void service_call_time_out(struct service_call *call, uint64_t now_ns)
{
	struct service_outcome outcome = {.status = SERVICE_TIMEOUT,
					  .text = "the service did not answer in time"};

	if (call->state == SERVICE_CALL_READING) {
		outcome.text = "the call did not arrive in time";
		outcome.is_refused = true;
	}
	if (call->state == SERVICE_CALL_IN_HAND) {
		call->is_overdue = !call->is_cut;
		service_call_count(call, outcome.status, now_ns);
		call_cancel(call, true, outcome.status, now_ns);
	}
	service_call_answer(call, &outcome, now_ns);
}

void service_router_cancel(struct service_call *call, bool is_taken_back, uint64_t now_ns)
{
	struct service *service = call->service;
	bool has_waiters = call->idempotent && !list_is_empty(&call->idempotent->waiters);

	call->stream = NULL;
	call->ask = NULL;
	if (call->state != SERVICE_CALL_ANSWERED)
		service->stats.cancelled_cnt++;
	if (call->state == SERVICE_CALL_IN_HAND) {
		if (call->idempotent && (!is_taken_back || has_waiters))
			return;
		call_cancel(call, false, SERVICE_OK, now_ns);
		if (call->idempotent)
			service_idempotency_drop(&service->idempotent, call->idempotent);
	}
	service_call_settle(call, false, SERVICE_OK, now_ns);
	service_call_release(call);
}

void service_router_withdraw(struct service_offer *offer, uint64_t now_ns)
{
	struct service_outcome outcome = {.status = SERVICE_UNAVAILABLE,
					  .text = "the service was withdrawn"};

	while (!list_is_empty(&offer->calls)) {
		struct service_call *call =
			container_of(offer->calls.next, struct service_call, node);

		outcome.is_refused = call->state != SERVICE_CALL_IN_HAND;
		if (call->channel)
			service_channel_end(call->channel, outcome.status, outcome.text);
		else
			service_call_answer(call, &outcome, now_ns);
	}
}

void service_router_taken(struct service_call *call)
{
	service_call_count(call, SERVICE_OK, call->service->now_ns);
	call->admission.offer->counts.stream_cnt++;
	call->service->stats.in.stream_cnt++;
}

void service_router_channel_over(struct service_call *call, enum service_status status,
				 uint64_t now_ns)
{
	service_call_note(call, status, now_ns);
	service_call_settle(call, true, status, now_ns);
}

void service_router_channel_gone(struct service_call *call)
{
	service_call_release(call);
}

void service_drain(struct service *service)
{
	service->is_draining = true;
}

bool service_is_drained(const struct service *service)
{
	const struct service_call *call = NULL;

	while ((call = pool_next(&service->calls, call)))
		if (!call->caller.is_local && !call->is_stream &&
		    call->state != SERVICE_CALL_ANSWERED)
			return false;
	return true;
}
