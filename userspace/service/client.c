/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of ours and openings of streams: find who provides it, wait for
 * a turn at that provider, ask, and tell how it ended.
 *
 *	service_call_start -> ask_find -> ask_route -> ask_wait -> ask_open ->
 *	the mesh -> ask_frame, ask_data -> ask_answered -> done
 *	offered by this node itself: ask_find -> service_router_call_local
 *
 * A call goes on to another provider only if no handler can have seen it, or it
 * has an idempotency key. Home worker.
 */
#include "service/client.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/random.h"
#include "service/answer.h"
#include "service/channel.h"
#include "service/id.h"
#include "service/proof.h"
#include "service/service_state.h"

/* Asks that are answered and wait for the end of their streams, beside those pending. */
#define ANSWERED_CNT 1024
#define DRAIN_NS     (10 * NS_PER_S)
/* Nobody tells us to stay away longer than this. */
#define WAIT_MAX_NS (3600 * NS_PER_S)
/* How long one of several providers may take to be reached. */
#define REACH_NS (5 * NS_PER_S)

static const struct mesh_stream_ops *ask_ops(const struct service_ask *ask)
{
	return ask->service->params.streams.ops;
}

static const struct service_provider *ask_provider(const struct service_ask *ask)
{
	return ask->provider_idx < ask->provider_cnt ? &ask->providers[ask->provider_idx] : NULL;
}

static bool ask_is_pending(const struct service_ask *ask)
{
	return ask->state != SERVICE_ASK_OPEN && ask->state != SERVICE_ASK_ANSWERED;
}

static void ask_release(struct service_ask *ask)
{
	struct service *service = ask->service;

	list_unlink(&ask->node);
	timer_cancel(service->params.timers, &ask->timer);
	service_intake_fini(&ask->intake);
	service_body_put(ask->payload);
	service_body_put(ask->answer);
	pool_release(&service->asks, ask);
}

static void ask_open(struct service_ask *ask, uint64_t now_ns);

/* Leaves its provider; the next that waits there has its turn. */
static void ask_leave(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_outlet *outlet = ask->outlet;

	ask->outlet = NULL;
	if (!outlet)
		return;
	if (ask->state != SERVICE_ASK_WAITING)
		outlet->busy_cnt--;
	list_unlink(&ask->node);
	while (!list_is_empty(&outlet->waiting) &&
	       outlet->busy_cnt < service_limits_of(service)->out_per_peer) {
		struct service_ask *next =
			list_entry(outlet->waiting.next, struct service_ask, node);

		list_unlink(&next->node);
		outlet->busy_cnt++;
		ask_open(next, now_ns);
	}
	service_outlet_release(&service->routes, outlet);
}

/* What its provider's circuit learns of how ask ended there. */
static void route_note(struct service_ask *ask, bool says_something, bool is_failure,
		       uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = ask_provider(ask);
	struct service_route *route;

	if (!ask->is_passing)
		return;
	route = service_routes_use(&service->routes, provider->service_id, provider->key);
	if (!says_something) {
		service_circuit_forget(&route->circuit, ask->is_probe);
	} else {
		route->failure_cnt += is_failure;
		route->ok_cnt += !is_failure;
		if (!is_failure)
			service_route_answered(route, now_ns - ask->sent_ns);
		if (service_circuit_note(&route->circuit, service_limits_of(service), ask->is_probe,
					 is_failure, now_ns))
			service_tell(service,
				     &(struct service_event){
					     .kind = SERVICE_EVENT_CIRCUIT_AT_PEER,
					     .peer_key = provider->key,
				     },
				     now_ns);
	}
	ask->is_probe = false;
	ask->is_passing = false;
}

/* Tells the asker. ask is gone before it hears, or but for the end of its stream. */
static void ask_finish(struct service_ask *ask, const struct service_outcome *outcome,
		       uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = ask_provider(ask);
	struct service_channel *channel = ask->channel;
	struct service_body *body = ask->answer;
	service_answer_fn done = ask->done;
	char text[SERVICE_TEXT_LEN_MAX + 1];
	void *arg = ask->arg;
	struct service_answer answer = {
		.status = outcome->status,
		.text = text,
		.not_before_ns = outcome->wait_ns ? now_ns + outcome->wait_ns : 0,
		.payload = outcome->payload,
		.len = outcome->len,
		.took_ns = now_ns - ask->began_ns,
	};

	service_text_copy(text, outcome->status == SERVICE_OK ? NULL : outcome->text);
	if (provider)
		memcpy(answer.provider, provider->key, sizeof(answer.provider));
	service_count(&service->stats.out, outcome->status, answer.took_ns);
	ask_leave(ask, now_ns);
	service->pending_cnt--;
	service_body_put(ask->payload);
	ask->payload = NULL;
	ask->answer = NULL;
	ask->channel = NULL;
	ask->state = SERVICE_ASK_ANSWERED;
	if (ask->stream) {
		list_push_back(&service->answered, &ask->node);
		timer_set(service->params.timers, &ask->timer, now_ns + DRAIN_NS);
	} else {
		ask_release(ask);
	}
	if (channel)
		service_channel_refused(channel, &answer, now_ns);
	else
		done(arg, &answer, now_ns);
	service_body_put(body);
}

/* Ends ask in a later turn. */
static void ask_finish_soon(struct service_ask *ask, enum service_status status, const char *text,
			    uint64_t wait_ns)
{
	ask->state = SERVICE_ASK_TELLING;
	ask->reply.status = status;
	service_text_copy(ask->reply.text, text);
	ask->wait_ns = wait_ns;
	timer_set(ask->service->params.timers, &ask->timer, 0);
}

/* Gives the stream up; the provider hears by the code whether it need go on. */
static void ask_reset(struct service_ask *ask, uint64_t code)
{
	if (ask->stream)
		ask_ops(ask)->reset(ask->stream, code);
	ask->stream = NULL;
}

static void ask_route(struct service_ask *ask, const char *why, uint64_t now_ns);

/* It failed at this provider: on to the next if that is safe. False: it is not. */
static bool ask_retry(struct service_ask *ask, bool is_unseen, const char *why, uint64_t now_ns)
{
	if (ask->is_named || ask->is_pinned || !(is_unseen || ask->head.has_key) ||
	    ask->provider_idx + 1 >= ask->provider_cnt || now_ns >= ask->deadline_ns)
		return false;
	ask_reset(ask, 0);
	ask_leave(ask, now_ns);
	service_intake_fini(&ask->intake);
	service_intake_begin(&ask->intake, 0);
	ask->is_touched = false;
	ask->provider_idx++;
	ask->service->stats.retried_cnt++;
	ask_route(ask, why, now_ns);
	return true;
}

/* The mesh, or what came, says that there will be no answer. */
static void ask_fail(struct service_ask *ask, enum service_status status, const char *text,
		     uint64_t now_ns)
{
	struct service_outcome outcome = {.status = status, .text = text};

	route_note(ask, true, true, now_ns);
	ask_reset(ask, MESH_CANCEL);
	if (!ask_retry(ask, !ask->is_touched, text, now_ns))
		ask_finish(ask, &outcome, now_ns);
}

static size_t ask_head_write(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct writer w = writer_of(service->scratch, MESH_STREAM_HEAD_LEN_MAX);
	uint64_t left_ms = ask->deadline_ns > now_ns ? (ask->deadline_ns - now_ns) / NS_PER_MS : 0;

	ask->head.left_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX;
	service_call_head_write(&w, &ask->head);
	weft_assert(!w.bad);
	return writer_len(&w);
}

/* Sends head and payload: 0, WEFT_EFULL (writable follows), WEFT_ECLOSED. */
static int ask_send(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_body *payload = ask->payload;
	size_t head_len = ask_head_write(ask, now_ns);
	struct mesh_stream_frame frame = {
		.type = ask->channel ? MESH_STREAM_OPEN : MESH_CALL,
		.payload_len = head_len + payload->len,
	};
	struct transport_span span = {payload->bytes, payload->len, service_body_done, payload};
	bool is_short = frame.payload_len <= MESH_STREAM_HEAD_LEN_MAX;
	int err;

	if (is_short)
		memcpy(service->scratch + head_len, payload->bytes, payload->len);
	else
		service_body_get(payload);
	err = ask_ops(ask)->send(ask->stream, &frame, service->scratch,
				 is_short ? frame.payload_len : head_len, is_short ? NULL : &span);
	if (err < 0 && !is_short)
		service_body_put(payload);
	if (err < 0)
		return err;
	ask->state = SERVICE_ASK_SENT;
	if (!ask->channel || ask->channel->is_finished)
		ask_ops(ask)->finish(ask->stream);
	return 0;
}

/* A signature names the session, so there has to be one. 0, or WEFT_EFULL: writable follows. */
static int ask_sign(struct service_ask *ask)
{
	struct service *service = ask->service;
	struct mesh_stream_peer peer;

	if (!ask->is_signed)
		return 0;
	if (ask_ops(ask)->peer(ask->stream, &peer) < 0)
		return WEFT_EFULL;
	service_proof_make(&ask->head, service->params.key, peer.session_id, ask->payload->bytes,
			   ask->payload->len, service_wall_ms(service));
	return 0;
}

/* Sends what can be sent now; an error is one that lasts. */
static int ask_start(struct service_ask *ask, uint64_t now_ns)
{
	int err = ask_sign(ask) ?: ask_send(ask, now_ns);

	return err == WEFT_EFULL ? 0 : err;
}

static const char *end_text(int err)
{
	switch (err) {
	case WEFT_ETIMEOUT:
	case WEFT_EUNREACHABLE:
		return "the provider cannot be reached";
	case WEFT_EWRONGKEY:
		return "another node answers where the provider was";
	case WEFT_EREFUSED:
		return "the provider does not want to be called";
	case WEFT_ETOOLARGE:
		return "the provider's answer is too large";
	default:
		return "the connection to the provider was lost";
	}
}

static void ask_frame(void *arg, const struct mesh_stream_frame *frame, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	ask->service->now_ns = now_ns;
	ask->is_touched = true;
	if (ask->state == SERVICE_ASK_OPEN)
		service_channel_frame(ask->channel, frame, now_ns);
	else if (ask->state != SERVICE_ASK_SENT)
		return;
	else if (frame->type != MESH_REPLY || !frame->payload_len)
		ask_fail(ask, SERVICE_UNAVAILABLE,
			 "the provider sent something else than an answer", now_ns);
	else
		service_intake_begin(&ask->intake, frame->payload_len);
}

/* The reply is whole; payload is borrowed. */
static void ask_answered(struct service_ask *ask, const uint8_t *payload, size_t len,
			 uint64_t now_ns)
{
	const struct service_reply_head *reply = &ask->reply;
	struct service_outcome outcome = {
		.status = reply->status,
		.text = reply->text,
		.wait_ns = reply->not_before_ms < WAIT_MAX_NS / NS_PER_MS
				   ? reply->not_before_ms * NS_PER_MS
				   : WAIT_MAX_NS,
		.payload = payload,
		.len = len,
	};
	bool is_failure =
		reply->status == SERVICE_UNKNOWN_ERROR || reply->status == SERVICE_TIMEOUT;

	if (now_ns > ask->deadline_ns) {
		ask->service->stats.late_cnt++;
		outcome = (struct service_outcome){
			.status = SERVICE_TIMEOUT,
			.text = "the answer came after the deadline",
		};
		is_failure = true;
	}
	route_note(ask, true, is_failure, now_ns);
	if (!reply->is_refused || !ask_retry(ask, true, reply->text, now_ns))
		ask_finish(ask, &outcome, now_ns);
}

static void ask_read_body(struct service_ask *ask, struct cursor *c, uint64_t now_ns)
{
	struct service_intake *intake = &ask->intake;
	const uint8_t *whole;

	if (!intake->body) {
		whole = service_intake_whole(intake, c);
		if (whole) {
			ask_answered(ask, whole, service_intake_body_len(intake), now_ns);
			return;
		}
		if (service_intake_collect(intake, ask->service->heap) < 0) {
			ask_fail(ask, SERVICE_UNAVAILABLE, "no memory for the answer", now_ns);
			return;
		}
	}
	if (!service_intake_body(intake, c))
		return;
	ask->answer = intake->body;
	intake->body = NULL;
	ask_answered(ask, ask->answer->bytes, ask->answer->len, now_ns);
}

/* The stream was taken: its channel has it from now on. */
static void ask_opened(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;

	route_note(ask, true, false, now_ns);
	service_count(&service->stats.out, SERVICE_OK, now_ns - ask->began_ns);
	service->stats.out.stream_cnt++;
	ask_leave(ask, now_ns);
	service->pending_cnt--;
	ask->state = SERVICE_ASK_OPEN;
	timer_cancel(service->params.timers, &ask->timer);
	service_channel_opened(ask->channel, ask_provider(ask)->key, now_ns);
}

static void ask_read_head(struct service_ask *ask, struct cursor *c, uint64_t now_ns)
{
	struct service_intake *intake = &ask->intake;
	size_t len;
	const uint8_t *at = service_intake_head(intake, c, SERVICE_REPLY_HEAD_LEN_MAX, &len);
	int map_len;

	if (!at)
		return;
	map_len = service_reply_head_parse(at, len, &ask->reply);
	if (map_len > 0)
		service_intake_read(intake, c, (size_t)map_len);
	if (map_len < 0 || ask->reply.body_len != service_intake_body_len(intake) ||
	    (ask->channel && ask->reply.status == SERVICE_OK && ask->reply.body_len) ||
	    memcmp(ask->reply.correlation, ask->head.correlation, SERVICE_KEY_LEN) != 0)
		ask_fail(ask, SERVICE_UNAVAILABLE, "the provider's answer is malformed", now_ns);
	else if (ask->reply.body_len > service_limits_of(ask->service)->payload_len)
		ask_fail(ask, SERVICE_PAYLOAD_TOO_LARGE, "the answer is too large", now_ns);
	else if (ask->channel && ask->reply.status == SERVICE_OK)
		ask_opened(ask, now_ns);
	else
		ask_read_body(ask, c, now_ns);
}

static void ask_data(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct service_ask *ask = arg;
	struct cursor c = cursor_of(data, len);

	if (ask->state == SERVICE_ASK_OPEN) {
		service_channel_data(ask->channel, data, len, now_ns);
		return;
	}
	ask_ops(ask)->consume(ask->stream, len);
	if (ask->state != SERVICE_ASK_SENT)
		return;
	if (!ask->intake.map_len)
		ask_read_head(ask, &c, now_ns);
	else
		ask_read_body(ask, &c, now_ns);
}

static void ask_finished(void *arg, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	if (ask->state == SERVICE_ASK_OPEN)
		service_channel_finished(ask->channel, now_ns);
	else if (ask->state == SERVICE_ASK_SENT)
		ask_fail(ask, SERVICE_UNAVAILABLE, "the provider ended without an answer", now_ns);
}

static void ask_writable(void *arg, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	if (ask->state == SERVICE_ASK_OPEN)
		service_channel_writable(ask->channel, now_ns);
	else if (ask->state == SERVICE_ASK_UNSENT && ask_start(ask, now_ns) < 0)
		ask_fail(ask, SERVICE_UNAVAILABLE, end_text(WEFT_ECLOSED), now_ns);
	else if (ask->state == SERVICE_ASK_SENT && ask->channel)
		service_channel_writable(ask->channel, now_ns);
}

/* Whether an end as err says that no byte of ours was seen. */
static bool end_is_unseen(int err)
{
	return err == WEFT_ETIMEOUT || err == WEFT_EUNREACHABLE || err == WEFT_EWRONGKEY ||
	       err == WEFT_EREFUSED;
}

static void ask_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	ask->service->now_ns = now_ns;
	ask->stream = NULL;
	if (ask->state == SERVICE_ASK_OPEN) {
		service_channel_ended(ask->channel, end, now_ns);
	} else if (ask->state == SERVICE_ASK_ANSWERED) {
		ask_release(ask);
	} else {
		ask->is_touched = ask->is_touched || !end_is_unseen(end->err);
		ask_fail(ask,
			 end->err == WEFT_ETOOLARGE ? SERVICE_PAYLOAD_TOO_LARGE
						    : SERVICE_UNAVAILABLE,
			 end_text(end->err), now_ns);
	}
}

static const struct mesh_stream_events ask_events = {
	.frame = ask_frame,
	.data = ask_data,
	.finished = ask_finished,
	.writable = ask_writable,
	.ended = ask_ended,
};

/* It is its turn at its provider. */
static void ask_open(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider = ask_provider(ask);
	uint64_t left_ns = ask->deadline_ns > now_ns ? ask->deadline_ns - now_ns : 1;
	bool is_last = ask->provider_idx + 1 == ask->provider_cnt;
	struct service_route *route =
		service_routes_use(&service->routes, provider->service_id, provider->key);
	struct mesh_stream_open open = {
		.peer = {.addrs = provider->addrs, .addr_cnt = provider->addr_cnt},
		.timeout_ns = is_last || left_ns < REACH_NS ? left_ns : REACH_NS,
		.events = &ask_events,
		.arg = ask,
	};
	uint64_t wait_ns;
	int err;

	/* It may have opened while ask waited. */
	ask->state = SERVICE_ASK_UNSENT;
	if (!service_circuit_admits(&route->circuit, service_limits_of(service), now_ns,
				    &wait_ns)) {
		ask_finish_soon(ask, SERVICE_UNAVAILABLE,
				"the service failed several times and rests", wait_ns);
		return;
	}
	memcpy(open.peer.key, provider->key, sizeof(open.peer.key));
	ask->is_probe = service_circuit_pass(&route->circuit, service_limits_of(service));
	ask->is_passing = true;
	ask->sent_ns = now_ns;
	err = service->params.streams.ops
		      ? service->params.streams.ops->open(service->params.streams.mesh, &open,
							  now_ns, &ask->stream)
		      : WEFT_EREFUSED;
	if (err == 0)
		err = ask_start(ask, now_ns);
	if (err == 0)
		return;
	route_note(ask, false, false, now_ns);
	ask_reset(ask, MESH_CANCEL);
	ask_finish_soon(ask, SERVICE_UNAVAILABLE,
			err == WEFT_EFULL ? "too many requests are under way" : end_text(err),
			NS_PER_S);
}

/* Takes ask to the first provider from here on whose circuit is closed. */
static void ask_route(struct service_ask *ask, const char *why, uint64_t now_ns)
{
	struct service *service = ask->service;
	const struct service_provider *provider;
	uint64_t wait_ns = 0;

	for (; (provider = ask_provider(ask)); ask->provider_idx++) {
		const struct service_route *route = service_routes_lookup(
			&service->routes, provider->service_id, provider->key);
		struct service_outlet *outlet;

		if (route && !service_circuit_admits(&route->circuit, service_limits_of(service),
						     now_ns, &wait_ns)) {
			why = "the service failed several times and rests";
			continue;
		}
		outlet = service_outlet_of(&service->routes, provider->key);
		memcpy(ask->head.service_id, provider->service_id, sizeof(ask->head.service_id));
		ask->head.has_major = provider->has_major;
		ask->head.major = provider->major;
		ask->outlet = outlet;
		if (outlet->busy_cnt >= service_limits_of(service)->out_per_peer) {
			ask->state = SERVICE_ASK_WAITING;
			list_push_back(&outlet->waiting, &ask->node);
			return;
		}
		outlet->busy_cnt++;
		ask_open(ask, now_ns);
		return;
	}
	ask_finish_soon(ask, SERVICE_UNAVAILABLE, why, wait_ns);
}

static void ask_expire(struct timer *timer, uint64_t now_ns)
{
	struct service_ask *ask = list_entry(timer, struct service_ask, timer);
	struct service_outcome outcome = {.status = SERVICE_TIMEOUT,
					  .text = "the service did not answer in time"};

	ask->service->now_ns = now_ns;
	if (ask->state == SERVICE_ASK_ANSWERED) {
		ask_reset(ask, 0);
		ask_release(ask);
		return;
	}
	if (ask->state == SERVICE_ASK_TELLING) {
		outcome = (struct service_outcome){
			.status = ask->reply.status,
			.text = ask->reply.text,
			.wait_ns = ask->wait_ns,
			.payload = ask->answer ? ask->answer->bytes : NULL,
			.len = ask->answer ? ask->answer->len : 0,
		};
	} else if (ask->state == SERVICE_ASK_WAITING) {
		outcome.text = "other calls to the provider took all the time there was";
	} else {
		route_note(ask, true, true, now_ns);
		ask_reset(ask, MESH_CANCEL);
	}
	ask_finish(ask, &outcome, now_ns);
}

struct service_body *service_client_payload(struct service_ask *ask)
{
	return service_body_get(ask->payload);
}

void service_client_answered(struct service_ask *ask, const struct service_outcome *outcome,
			     uint64_t now_ns)
{
	(void)now_ns;
	ask->call = NULL;
	if (outcome->len)
		ask->answer = service_body_copy(ask->service->heap, outcome->payload, outcome->len);
	if (outcome->len && !ask->answer)
		ask_finish_soon(ask, SERVICE_UNAVAILABLE, "no memory for the answer", 0);
	else
		ask_finish_soon(ask, outcome->status, outcome->text, outcome->wait_ns);
}

void service_client_opened(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;

	service_count(&service->stats.out, SERVICE_OK, now_ns - ask->began_ns);
	service->stats.out.stream_cnt++;
	service->pending_cnt--;
	ask_release(ask);
}

void service_client_gone(struct service_ask *ask)
{
	ask_release(ask);
}

bool service_client_is_started(const struct service_ask *ask)
{
	return ask->state == SERVICE_ASK_SENT || ask->state == SERVICE_ASK_OPEN;
}

/* Hands ask to an offer of this node. */
static void ask_local(struct service_ask *ask, const struct service_offer *offer, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct service_local_call asked = {
		.service = service,
		.head = &ask->head,
		.is_stream = ask->channel != NULL,
		.deadline_ns = ask->deadline_ns,
	};

	memcpy(ask->head.service_id, offer->id, sizeof(ask->head.service_id));
	ask->head.has_major = true;
	ask->head.major = offer->version.major;
	ask->provider_cnt = 1;
	memcpy(ask->providers[0].key, service->own_key, MESH_KEY_LEN);
	ask->head.left_ms = (uint32_t)((ask->deadline_ns - now_ns) / NS_PER_MS);
	ask->state = SERVICE_ASK_LOCAL;
	timer_cancel(service->params.timers, &ask->timer); /* the router keeps the deadline */
	ask->call = service_router_call_local(ask, &asked, now_ns);
}

/* Whom the caller named is asked without looking anybody up. */
static void ask_named(struct service_ask *ask, const struct service_target *target, uint64_t now_ns)
{
	struct service_provider *provider = &ask->providers[0];

	ask->is_named = true;
	ask->provider_cnt = 1;
	memcpy(provider->key, target->provider, sizeof(provider->key));
	if (target->id)
		memcpy(provider->service_id, target->id, sizeof(provider->service_id));
	else
		service_id_of(target->name, target->provider, provider->service_id);
	ask_route(ask, "the provider cannot be reached", now_ns);
}

static void ask_find(struct service_ask *ask, const struct service_target *target, uint64_t now_ns)
{
	struct service *service = ask->service;
	bool is_own =
		target->provider && memcmp(target->provider, service->own_key, MESH_KEY_LEN) == 0;
	struct service_offer *offer;

	if ((!target->provider || is_own) && service_registry_find(service, target, &offer) == 0)
		ask_local(ask, offer, now_ns);
	else if (target->provider && !is_own)
		ask_named(ask, target, now_ns);
	else
		ask_finish_soon(ask, SERVICE_NOT_FOUND, "nobody is known to provide this service",
				0);
}

static int target_check(const struct service_target *target)
{
	struct service_range range;

	if (!target->method || !service_method_is_valid(target->method) ||
	    (!target->id &&
	     (!target->name || !service_name_is_valid(target->name, strlen(target->name)))))
		return WEFT_EMALFORMED;
	if (target->version &&
	    service_range_parse(target->version, strlen(target->version), &range) < 0)
		return WEFT_EMALFORMED;
	return 0;
}

static uint64_t timeout_of(const struct service *service, const struct service_target *target,
			   uint64_t timeout_ns)
{
	uint64_t named_s =
		target->name ? service_named_value(service->config.timeouts, target->name) : 0;

	return timeout_ns ?: named_s * NS_PER_S ?: service_limits_of(service)->timeout_ns;
}

/* An ask, of the pool or the place of one that only drains. */
static struct service_ask *ask_acquire(struct service *service)
{
	if (service->pending_cnt >= service_limits_of(service)->out_pending_cnt)
		return NULL;
	if (service->asks.used_cnt == service->asks.cap_cnt && !list_is_empty(&service->answered)) {
		struct service_ask *oldest =
			list_entry(service->answered.next, struct service_ask, node);

		ask_reset(oldest, 0);
		ask_release(oldest);
	}
	return pool_acquire(&service->asks);
}

static int ask_new(struct service *service, const struct service_target *target,
		   const void *payload, size_t len, uint64_t timeout_ns, uint64_t now_ns,
		   struct service_ask **out_ask)
{
	int err = target_check(target);
	struct service_ask *ask;

	service->now_ns = now_ns;
	if (err < 0)
		return err;
	ask = ask_acquire(service);
	if (!ask)
		return WEFT_EFULL;
	ask->service = service;
	list_init(&ask->node);
	timer_init(&ask->timer, ask_expire);
	ask->payload = service_body_copy(service->heap, payload, len);
	if (!ask->payload) {
		ask_release(ask);
		return WEFT_EFULL;
	}
	ask->began_ns = now_ns;
	ask->deadline_ns = now_ns + timeout_of(service, target, timeout_ns);
	ask->is_signed = target->is_signed;
	ask->head.body_len = (uint32_t)len;
	strncpy(ask->head.method, target->method, sizeof(ask->head.method) - 1);
	random_fill(service->params.random, ask->head.correlation, sizeof(ask->head.correlation));
	service->pending_cnt++;
	timer_set(service->params.timers, &ask->timer, ask->deadline_ns);
	*out_ask = ask;
	return 0;
}

int service_call_start(struct service *service, const struct service_target *target,
		       const void *payload, size_t len, const uint8_t *idempotency_key,
		       uint64_t timeout_ns, service_answer_fn done, void *arg, uint64_t now_ns,
		       struct service_ask **out_ask)
{
	struct service_ask *ask;
	int err;

	if (len > service_limits_of(service)->payload_len)
		return WEFT_ETOOLARGE;
	if ((err = ask_new(service, target, payload, len, timeout_ns, now_ns, &ask)) < 0)
		return err;
	ask->done = done;
	ask->arg = arg;
	if (idempotency_key) {
		ask->head.has_key = true;
		memcpy(ask->head.key, idempotency_key, sizeof(ask->head.key));
	}
	ask_find(ask, target, now_ns);
	*out_ask = ask;
	return 0;
}

int service_client_open(struct service *service, const struct service_target *target,
			const void *head, size_t len, uint64_t timeout_ns,
			struct service_channel *channel, uint64_t now_ns)
{
	struct service_ask *ask;
	int err;

	if (len > service_limits_of(service)->head_len)
		return WEFT_ETOOLARGE;
	if ((err = ask_new(service, target, head, len, timeout_ns, now_ns, &ask)) < 0)
		return err;
	ask->channel = channel;
	channel->ask = ask;
	ask_find(ask, target, now_ns);
	return 0;
}

void service_call_cancel(struct service_ask *ask)
{
	struct service *service = ask->service;
	uint64_t now_ns = service->now_ns;

	weft_assert(ask_is_pending(ask));
	if (ask->call)
		service_router_cancel(ask->call, now_ns);
	ask->call = NULL;
	route_note(ask, false, false, now_ns);
	ask_reset(ask, MESH_CANCEL);
	ask_leave(ask, now_ns);
	service->pending_cnt--;
	ask_release(ask);
}

size_t service_client_footprint(const struct service_limits *limits)
{
	return pool_footprint(sizeof(struct service_ask),
			      (uint32_t)(limits->out_pending_cnt + limits->channel_cnt) +
				      ANSWERED_CNT);
}

int service_client_init(struct service *service)
{
	const struct service_limits *limits = service_limits_of(service);

	list_init(&service->answered);
	return pool_init(&service->asks, &service->arena, sizeof(struct service_ask),
			 (uint32_t)(limits->out_pending_cnt + limits->channel_cnt) + ANSWERED_CNT);
}

void service_client_fini(struct service *service)
{
	struct service_ask *ask = NULL;

	while ((ask = pool_next(&service->asks, ask)))
		timer_cancel(service->params.timers, &ask->timer);
}
