/* SPDX-License-Identifier: Apache-2.0 */
/* Asks on streams of the mesh: the call goes out, the reply comes in. Home worker. */
#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "service/incoming/call_answer.h"
#include "call_ask.h"
#include "service/service_channel.h"
#include "service/incoming/descriptor_proof.h"
#include "service/service_state.h"

/* No provider can keep this node away longer than this. */
#define WAIT_MAX_NS (3600 * NS_PER_S)
/* A provider that was not reached is asked after the others for this long. */
#define AWAY_NS (120 * NS_PER_S)
/* One that refuses, at least for this; doubled each time in a row. */
#define BUSY_NS	    NS_PER_S
#define BUSY_MAX_NS (64 * NS_PER_S)

static size_t ask_head_write(struct service_ask *ask, uint64_t now_ns)
{
	struct service *service = ask->service;
	struct writer w = writer_of(service->scratch, MESH_STREAM_HEAD_LEN_MAX);
	uint64_t left_ms = ask->deadline_ns > now_ns ? (ask->deadline_ns - now_ns) / NS_PER_MS : 0;
	struct service_call_head head;

	ask->head.left_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX;
	ask->head.sent_ms = (uint32_t)((now_ns - ask->first_ns) / NS_PER_MS + 1);
	head = ask->head;
	head.has_trace = head.has_trace && !ask->leaves_trace;
	service_call_head_write(&w, &head);
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
	err = service_ask_ops(ask)->send(ask->stream, &frame, service->scratch,
					 is_short ? frame.payload_len : head_len,
					 is_short ? NULL : &span);
	if (err < 0 && !is_short)
		service_body_put(payload);
	if (err < 0)
		return err;
	ask->state = SERVICE_ASK_SENT;
	if (!ask->channel || ask->channel->is_finished)
		service_ask_ops(ask)->finish(ask->stream);
	return 0;
}

/* A signature names the session, so there has to be one. 0, or WEFT_EFULL: writable follows. */
static int ask_sign(struct service_ask *ask)
{
	const struct service *service = ask->service;
	struct mesh_stream_peer peer;
	const struct service_proof proof = {
		.session_id = peer.session_id,
		.payload = ask->payload->bytes,
		.len = ask->payload->len,
	};

	if (!ask->is_signed)
		return 0;
	if (service_ask_ops(ask)->peer(ask->stream, &peer) < 0)
		return WEFT_EFULL;
	service_proof_make(&ask->head, &proof, service->params.key, service_wall_ms(service));
	return 0;
}

/* The provider's HELLO says whether it reads a trace. 0, or WEFT_EFULL: writable follows. */
static int ask_trace(struct service_ask *ask)
{
	struct mesh_stream_peer peer;

	if (!ask->head.has_trace)
		return 0;
	if (service_ask_ops(ask)->peer(ask->stream, &peer) < 0)
		return WEFT_EFULL;
	ask->leaves_trace = !peer.takes_trace;
	return 0;
}

/* Sends the bytes that the stream takes now; an error is permanent. */
int service_ask_start(struct service_ask *ask, uint64_t now_ns)
{
	int err = ask_sign(ask) ?: ask_trace(ask) ?: ask_send(ask, now_ns);

	return err == WEFT_EFULL ? 0 : err;
}

/* The received bytes are no answer. */
static void ask_break(struct service_ask *ask, uint64_t now_ns)
{
	service_tell_violation(ask->service, service_ask_provider(ask)->key,
			       "sent a malformed answer", now_ns);
	service_ask_fail(ask, SERVICE_ASK_BROKEN, SERVICE_UNAVAILABLE,
			 "the provider's answer is malformed", now_ns);
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
		ask_break(ask, now_ns);
	else
		service_intake_begin(&ask->intake, frame->payload_len);
}

/* The next calls ask others first: until the time that it named, for longer each time in a row. */
static void ask_note_busy(const struct service_ask *ask, uint64_t now_ns)
{
	const struct service_provider *provider = service_ask_provider(ask);
	struct service_route *route =
		service_routes_use(&ask->service->routes, provider->service_id, provider->key);
	uint64_t busy_ns = BUSY_NS;

	for (unsigned i = 1; i < route->refusal_cnt && busy_ns < BUSY_MAX_NS; i++)
		busy_ns *= 2;
	route->busy_until_ns = now_ns + (busy_ns > ask->wait_ns ? busy_ns : ask->wait_ns);
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

	if (now_ns > ask->deadline_ns) {
		ask->service->stats.late_cnt++;
		outcome = (struct service_outcome){
			.status = SERVICE_TIMEOUT,
			.text = "the answer came after the deadline",
		};
	}
	service_ask_note(ask, service_verdict_of(outcome.status), now_ns);
	ask->wait_ns = outcome.wait_ns;
	if (service_verdict_of(outcome.status) == SERVICE_VERDICT_REFUSED)
		ask_note_busy(ask, now_ns);
	if (!reply->is_refused || !service_ask_retry(ask, SERVICE_ASK_REFUSED, reply->text, now_ns))
		service_ask_finish(ask, &outcome, now_ns);
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
			service_ask_fail(ask, SERVICE_ASK_BROKEN, SERVICE_UNAVAILABLE,
					 "no memory for the answer", now_ns);
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

	service_ask_note(ask, SERVICE_VERDICT_GOOD, now_ns);
	service_count(&service->stats.out, SERVICE_OK, now_ns - ask->began_ns);
	service->stats.out.stream_cnt++;
	service_ask_leave(ask, now_ns);
	service_ask_settle(ask);
	ask->state = SERVICE_ASK_OPEN;
	timer_cancel(service->params.timers, &ask->timer);
	service_channel_opened(ask->channel, service_ask_provider(ask)->key, now_ns);
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
		ask_break(ask, now_ns);
	else if (ask->reply.body_len > service_limits_of(ask->service)->payload_len)
		service_ask_fail(ask, SERVICE_ASK_BROKEN, SERVICE_PAYLOAD_TOO_LARGE,
				 "the answer is too large", now_ns);
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
	service_ask_ops(ask)->consume(ask->stream, len);
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
		service_ask_fail(ask, SERVICE_ASK_BROKEN, SERVICE_UNAVAILABLE,
				 "the provider ended without an answer", now_ns);
}

static void ask_writable(void *arg, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	if (ask->state == SERVICE_ASK_OPEN)
		service_channel_writable(ask->channel, now_ns);
	else if (ask->state == SERVICE_ASK_UNSENT && service_ask_start(ask, now_ns) < 0)
		service_ask_fail(ask, SERVICE_ASK_CUT_OFF, SERVICE_UNAVAILABLE,
				 service_ask_end_text(WEFT_ECLOSED), now_ns);
	else if (ask->state == SERVICE_ASK_SENT && ask->channel)
		service_channel_writable(ask->channel, now_ns);
}

/* Whether err means that the provider is gone. */
static bool end_is_loss(int err)
{
	return err == WEFT_ETIMEOUT || err == WEFT_EUNREACHABLE || err == WEFT_EWRONGKEY ||
	       err == WEFT_ECLOSED;
}

/* Whether end proves that no handler saw the call: it never left, or its peer's mesh refused it. */
static bool end_is_unseen(const struct mesh_stream_end *end)
{
	return end->is_unsent || end->err == WEFT_EREFUSED || end->err == WEFT_EBUSY;
}

/* An answer too long or malformed is no lost connection. */
static enum service_ask_loss loss_of(int err)
{
	return err == WEFT_ETOOLARGE || err == WEFT_EMALFORMED ? SERVICE_ASK_BROKEN
							       : SERVICE_ASK_CUT_OFF;
}

/* The next calls ask others first. */
static void ask_note_away(const struct service_ask *ask, uint64_t now_ns)
{
	const struct service_provider *provider = service_ask_provider(ask);

	service_routes_use(&ask->service->routes, provider->service_id, provider->key)
		->away_until_ns = now_ns + AWAY_NS;
}

static void ask_ended(void *arg, const struct mesh_stream_end *end, uint64_t now_ns)
{
	struct service_ask *ask = arg;

	ask->service->now_ns = now_ns;
	ask->stream = NULL;
	if (ask->state == SERVICE_ASK_OPEN) {
		service_channel_ended(ask->channel, end, now_ns);
	} else if (ask->state == SERVICE_ASK_ANSWERED) {
		service_ask_release(ask);
	} else {
		if (end->not_before_ns > now_ns)
			ask->wait_ns = end->not_before_ns - now_ns;
		ask->is_touched = ask->is_touched || !end_is_unseen(end);
		if (end_is_loss(end->err)) {
			service_ask_doubt(ask);
			if (end->is_unsent)
				ask_note_away(ask, now_ns);
		}
		/* A node that is away, busy or out of reach says nothing about the service. */
		if (loss_of(end->err) == SERVICE_ASK_CUT_OFF)
			service_ask_note(ask, SERVICE_VERDICT_NONE, now_ns);
		service_ask_fail(ask, loss_of(end->err),
				 end->err == WEFT_ETOOLARGE ? SERVICE_PAYLOAD_TOO_LARGE
							    : SERVICE_UNAVAILABLE,
				 service_ask_end_text(end->err), now_ns);
	}
}

const struct mesh_stream_events service_ask_events = {
	.frame = ask_frame,
	.data = ask_data,
	.finished = ask_finished,
	.writable = ask_writable,
	.ended = ask_ended,
};
