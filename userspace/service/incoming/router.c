/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incoming calls and openings of streams: read within bounds, taken through the limits, handed to
 * their offer.
 *
 *	mesh -> router_accept -> call_frame, call_data -> call_read_head ->
 *	service_admit -> call_read_body -> call_arrived -> call_hand -> a handler
 *	call_client.c -> service_router_call_local -> service_admit -> call_hand
 *
 * Answers go out by call_answer.c. A refused call is answered at once and costs its stream; its
 * later bytes are dropped. Home worker.
 */
#include "router.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/limits/access.h"
#include "call_answer.h"
#include "service/service_channel.h"
#include "service/outgoing/call_client.h"
#include "service/directory/description.h"
#include "descriptor_proof.h"
#include "service/service_state.h"

/* This part of an offer's timeout may be over when a call that may use all of it arrives. */
#define WAY_PART 8

struct call_id {
	pool_handle caller;
	uint8_t correlation[SERVICE_KEY_LEN];
};

static struct call_id call_id_of(const struct service_call *call)
{
	struct call_id id = {
		.caller = pool_handle_of(&call->service->callers.entries, call->admission.caller)};

	memcpy(id.correlation, call->head.correlation, sizeof(id.correlation));
	return id;
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
		struct call_id id = call_id_of(call);

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

/* The deadline passed. */
static void call_time_out(struct service_call *call, uint64_t now_ns)
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

/* The body is to be held: is there room, of this peer's share and of all? */
static int call_hold_body(struct service_call *call)
{
	struct service *service = call->service;
	size_t len = service_intake_body_len(&call->intake);

	if (!service_admission_hold(service, &call->admission, &call->caller.path, len))
		return WEFT_EFULL;
	return service_intake_collect(&call->intake, service->heap);
}

static void call_read_body(struct service_call *call, struct cursor *c, uint64_t now_ns)
{
	struct service_intake *intake = &call->intake;
	struct service_body *body;
	const uint8_t *whole;

	if (!intake->body) {
		whole = service_intake_whole(intake, c);
		if (whole) {
			service_call_arrived(call, whole, service_intake_body_len(intake), NULL,
					     now_ns);
			return;
		}
		if (call_hold_body(call) < 0) {
			service_call_refuse(
				call,
				&(struct service_refusal){.reason = SERVICE_REFUSED_MEMORY,
							  .status = SERVICE_UNAVAILABLE,
							  .text = "no memory for the payload",
							  .wait_ns = SERVICE_MEMORY_WAIT_NS},
				now_ns);
			return;
		}
	}
	if (!service_intake_body(intake, c))
		return;
	body = intake->body;
	intake->body = NULL;
	service_call_arrived(call, body->bytes, body->len, body, now_ns);
}

/* The head is known: may it come in? */
static int call_admit(struct service_call *call, uint64_t now_ns)
{
	struct service *service = call->service;
	struct service_caller_call asked = {
		.key = call->caller.key,
		.is_local = call->caller.is_local,
		.is_stream = call->is_stream,
		.head = &call->head,
	};
	struct service_refusal refusal;
	struct call_id id;
	uint64_t timeout_ns;

	if (service->is_draining && !call->caller.is_local) {
		service_call_refuse(
			call,
			&(struct service_refusal){.reason = SERVICE_REFUSED_NOT_READY,
						  .status = SERVICE_UNAVAILABLE,
						  .text = "the provider's node is stopping"},
			now_ns);
		return WEFT_EREFUSED;
	}
	if (service_admit(service, &asked, now_ns, &call->admission, &refusal) < 0) {
		service_call_refuse(call, &refusal, now_ns);
		return WEFT_EREFUSED;
	}
	list_push_back(&call->admission.offer->calls, &call->node);
	id = call_id_of(call);
	if (map_lookup(&service->calls_by_id, &id)) {
		service_tell_violation(service, call->caller.key,
				       "used a correlation id twice at once", now_ns);
		service_call_refuse(call,
				    &(struct service_refusal){
					    .reason = SERVICE_REFUSED_DUPLICATE,
					    .status = SERVICE_INVALID_PAYLOAD,
					    .text = "the correlation id is that of a call in hand"},
				    now_ns);
		return WEFT_EREFUSED;
	}
	call->is_listed = map_put(&service->calls_by_id, &id, call) == 0;
	/*
	 * A call with an idempotency key runs on: a caller whose wait timed out asks for it again.
	 */
	timeout_ns = service_offer_timeout_ns(call->admission.offer);
	call->is_cut = !call->head.has_key &&
		       call->head.left_ms * NS_PER_MS < timeout_ns - timeout_ns / WAY_PART;
	if (timeout_ns > call->head.left_ms * NS_PER_MS && !call->head.has_key)
		timeout_ns = call->head.left_ms * NS_PER_MS;
	call->caller.deadline_ns = now_ns + timeout_ns;
	timer_set(service->params.timers, &call->timer, call->caller.deadline_ns);
	return 0;
}

static void call_malformed(struct service_call *call, uint64_t now_ns)
{
	service_tell_violation(call->service, call->caller.key, "sent a malformed call", now_ns);
	service_call_refuse(call,
			    &(struct service_refusal){.reason = SERVICE_REFUSED_MALFORMED,
						      .status = SERVICE_INVALID_PAYLOAD,
						      .text = "the call's head is malformed"},
			    now_ns);
}

/* caller_take: the statements of the head about the caller. */
static void caller_take(struct service_call *call)
{
	memcpy(call->caller.correlation, call->head.correlation, SERVICE_KEY_LEN);
	call->caller.has_trace = call->head.has_trace;
	call->caller.trace = call->head.trace;
}

static void call_read_head(struct service_call *call, struct cursor *c, uint64_t now_ns)
{
	size_t len;
	const uint8_t *at = service_intake_head(&call->intake, c, SERVICE_CALL_HEAD_LEN_MAX, &len);
	int map_len;

	if (!at)
		return;
	map_len = service_call_head_parse(at, len, &call->head);
	if (map_len < 0) {
		call_malformed(call, now_ns);
		return;
	}
	service_intake_read(&call->intake, c, (size_t)map_len);
	caller_take(call);
	if (service_intake_body_len(&call->intake) != call->head.body_len)
		call_malformed(call, now_ns);
	else if (call_admit(call, now_ns) == 0)
		call_read_body(call, c, now_ns);
}

static void call_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct service_call *call = arg;

	call->service->now_ns = now_ns;
	if (call->channel) {
		service_channel_frame(call->channel, frame, now_ns);
		return;
	}
	if (call->state != SERVICE_CALL_READING)
		return;
	service_intake_begin(&call->intake, frame->payload_len);
	if (!frame->payload_len)
		call_malformed(call, now_ns);
}

static void call_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct service_call *call = arg;
	struct service *service = call->service;
	struct cursor c = cursor_of(data, len);

	service->now_ns = now_ns;
	if (call->channel) {
		service_channel_data(call->channel, data, len, now_ns);
		return;
	}
	service->params.streams.ops->consume(call->stream, len);
	if (call->state != SERVICE_CALL_READING)
		return;
	if (!call->intake.map_len)
		call_read_head(call, &c, now_ns);
	else
		call_read_body(call, &c, now_ns);
}

static void call_finished(void *arg, uint64_t now_ns)
{
	struct service_call *call = arg;

	if (call->channel)
		service_channel_finished(call->channel, now_ns);
	else if (call->state == SERVICE_CALL_READING)
		call_malformed(call, now_ns);
}

static void call_writable(void *arg, uint64_t now_ns)
{
	struct service_call *call = arg;

	if (call->channel)
		service_channel_writable(call->channel, now_ns);
	else
		service_call_send_unsent(call);
}

/*
 * The caller is gone. A call that began under an idempotency key goes on, unless it was taken back.
 */
static void call_left(struct service_call *call, bool is_taken_back, uint64_t now_ns)
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

static void call_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct service_call *call = arg;

	if (call->channel) {
		call->stream = NULL;
		service_channel_ended(call->channel, end, now_ns);
		return;
	}
	call_left(call, end->err == WEFT_ECANCELLED && end->code == MESH_CANCEL, now_ns);
}

static const struct mesh_stream_events call_events = {
	.frame = call_frame,
	.data = call_data,
	.finished = call_finished,
	.writable = call_writable,
	.ended = call_ended,
};

static void call_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_call *call = container_of(timer, struct service_call, timer);

	call->service->now_ns = now_ns;
	if (call->state == SERVICE_CALL_STARTING) {
		struct service_body *payload = service_client_payload(call->ask);

		timer_set(call->service->params.timers, timer, call->caller.deadline_ns);
		service_call_arrived(call, payload->bytes, payload->len, payload, now_ns);
	} else if (call->state == SERVICE_CALL_ANSWERED) {
		if (call->stream)
			call->service->params.streams.ops->reset(call->stream, 0);
		service_call_release(call);
	} else {
		call_time_out(call, now_ns);
	}
}

static struct service_call *call_acquire(struct service *service, bool is_local, bool is_stream,
					 uint64_t now_ns)
{
	struct service_call *call;

	/* However many calls of peers are in hand, this node's programs reach its services. */
	if (!is_local && service->peer_call_cnt >= service_limits_of(service)->in_hand_cnt)
		return NULL;
	call = pool_acquire(&service->calls);
	if (!call)
		return NULL;
	service->peer_call_cnt += !is_local;
	call->service = service;
	call->caller.is_local = is_local;
	call->is_stream = is_stream;
	call->began_ns = now_ns;
	list_init(&call->node);
	list_init(&call->idempotent_node);
	timer_init(&call->timer, call_expire);
	return call;
}

static int router_accept(void *ctx, struct mesh_stream *stream, unsigned type, uint64_t now_ns,
			 struct mesh_stream_user *out_user)
{
	struct service *service = ctx;
	struct mesh_stream_peer peer;
	struct service_call *call;
	int err = service->params.streams.ops->peer(stream, &peer);

	if (err < 0)
		return err;
	call = call_acquire(service, false, type == MESH_STREAM_OPEN, now_ns);
	if (!call)
		return WEFT_EFULL;
	call->stream = stream;
	memcpy(call->caller.key, peer.key, sizeof(call->caller.key));
	service->params.streams.ops->peer_path(stream, &call->caller.path);
	memcpy(call->session_id, peer.session_id, sizeof(call->session_id));
	timer_set(service->params.timers, &call->timer,
		  now_ns + service_limits_of(service)->timeout_ns);
	*out_user = (struct mesh_stream_user){&call_events, call};
	return 0;
}

struct service_call *service_router_call_local(struct service_ask *ask,
					       const struct service_local_call *asked,
					       uint64_t now_ns)
{
	struct service *service = asked->service;
	struct service_outcome full = {.status = SERVICE_UNAVAILABLE,
				       .text = "too many calls are in hand",
				       .wait_ns = SERVICE_MEMORY_WAIT_NS,
				       .is_refused = true};
	struct service_call *call = call_acquire(service, true, asked->is_stream, now_ns);

	if (!call) {
		service_client_answered(ask, &full, now_ns);
		return NULL;
	}
	call->ask = ask;
	call->head = *asked->head;
	memcpy(call->caller.key, service->own_key, sizeof(call->caller.key));
	fair_path_start(FAIR_CHOSEN, &call->caller.path);
	fair_path_add(&service->askers.paths, &call->caller.path, service->own_key,
		      sizeof(service->own_key));
	caller_take(call);
	if (call_admit(call, now_ns) < 0)
		return NULL;
	if (call->caller.deadline_ns > asked->deadline_ns)
		call->caller.deadline_ns = asked->deadline_ns;
	call->state = SERVICE_CALL_STARTING;
	timer_set(service->params.timers, &call->timer, now_ns);
	return call;
}

void service_router_cancel(struct service_call *call, bool is_taken_back, uint64_t now_ns)
{
	call_left(call, is_taken_back, now_ns);
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

/* Calls of peers, and of this node's own programs as many as these may have under way. */
static uint32_t call_cap(const struct service_limits *limits)
{
	return (uint32_t)(limits->in_hand_cnt + limits->out_pending_cnt);
}

int service_router_init(struct service *service, const uint64_t secret[2])
{
	const struct mesh_stream_seam *streams = &service->params.streams;
	uint32_t cap = call_cap(service_limits_of(service));
	int err;

	if ((err = pool_init(&service->calls, &service->arena, sizeof(struct service_call), cap)) <
		    0 ||
	    (err = map_init(&service->calls_by_id, &service->arena, sizeof(struct call_id), cap,
			    secret)) < 0 ||
	    (err = service_memory_init(&service->memory, &service->arena, cap, secret)) < 0 ||
	    !streams->ops)
		return err;
	if ((err = streams->ops->accept(streams->mesh, MESH_CALL, router_accept, service)) < 0)
		return err;
	return streams->ops->accept(streams->mesh, MESH_STREAM_OPEN, router_accept, service);
}

void service_router_fini(struct service *service)
{
	struct service_call *call = NULL;

	while ((call = pool_next(&service->calls, call)))
		timer_cancel(service->params.timers, &call->timer);
}
