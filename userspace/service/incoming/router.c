/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incoming calls and openings of streams: read within bounds, taken through the limits, handed to
 * their offer.
 *
 *	mesh -> router_accept -> call_frame, call_data -> call_read_head ->
 *	service_admit -> call_read_body -> call_arrived -> call_hand -> a handler
 *	call_client.c -> service_router_call_local -> service_admit -> call_hand
 *
 * Answers go out by call_answer.c; call_life.c has the other ends of a call. A refused call is answered at once and costs its stream; its
 * later bytes are dropped. Home worker.
 */
#include "router.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/limits/access.h"
#include "call_answer.h"
#include "service/service_channel.h"
#include "service/directory/description.h"
#include "descriptor_proof.h"
#include "service/service_state.h"

/* This part of an offer's timeout may be over when a call that may use all of it arrives. */
#define WAY_PART 8

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
			.text = "the provider may have forgotten this call: whether it ran is "
				"unknown"};

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

/* The payload is whole. It is borrowed: from the packet, or from body, which this gives back. */
static void call_arrived(struct service_call *call, const uint8_t *payload, size_t len,
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
			call_arrived(call, whole, service_intake_body_len(intake), NULL, now_ns);
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
	call_arrived(call, body->bytes, body->len, body, now_ns);
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
	if (!service_call_list(call)) {
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

static void call_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct service_call *call = arg;

	if (call->channel) {
		call->stream = NULL;
		service_channel_ended(call->channel, end, now_ns);
		return;
	}
	service_router_cancel(call, end->err == WEFT_ECANCELLED && end->code == MESH_CANCEL,
			      now_ns);
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
		struct service_body *payload = call->ask_ops->payload(call->ask);

		timer_set(call->service->params.timers, timer, call->caller.deadline_ns);
		call_arrived(call, payload->bytes, payload->len, payload, now_ns);
	} else if (call->state == SERVICE_CALL_ANSWERED) {
		if (call->stream)
			call->service->params.streams.ops->reset(call->stream, 0);
		service_call_release(call);
	} else {
		service_call_time_out(call, now_ns);
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
		asked->ask_ops->answered(ask, &full, now_ns);
		return NULL;
	}
	call->ask = ask;
	call->ask_ops = asked->ask_ops;
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
	    (err = map_init(&service->calls_by_id, &service->arena, sizeof(struct service_call_id),
			    cap, secret)) < 0 ||
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
