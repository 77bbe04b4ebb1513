/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to a program on a unix socket: a connection, a request, a reply. The
 * service keeps the deadline; when it is over, cancelled closes the connection.
 */
#include "program_socket.h"

#include <errno.h>

#include "program_link.h"
#include "provider/waiting.h"

struct socket_call {
	struct program_link link;
	struct service_call *call;
	uint64_t deadline_ns;
};

size_t provider_socket_call_len(void)
{
	return sizeof(struct socket_call);
}

static struct offer *offer_of(const struct socket_call *ask)
{
	return ask->link.active.offer;
}

static void call_free(struct socket_call *ask)
{
	struct provider *provider = offer_of(ask)->provider;

	provider_program_link_close(&ask->link);
	provider_offer_leave(&ask->link.active);
	pool_release(&provider->socket_calls, ask);
}

/* call_refuse answers by anything but a payload, and is done. */
static void call_refuse(struct socket_call *ask, enum service_status status, const char *text,
			uint64_t now_ns)
{
	struct service_call *call = ask->call;

	call_free(ask);
	service_fail(call, status, text, now_ns);
}

static void call_fail(struct socket_call *ask, enum service_status status, const char *text,
		      const char *fault, uint64_t now_ns)
{
	provider_offer_failed(offer_of(ask), fault, now_ns);
	call_refuse(ask, status, text, now_ns);
}

static void call_abandon(struct active *active, const char *why, uint64_t now_ns)
{
	call_refuse(container_of(active, struct socket_call, link.active), SERVICE_UNAVAILABLE, why,
		    now_ns);
}

static const struct active_kind call_kind = {.abandon = call_abandon};

static void call_unreachable(struct socket_call *ask, int err, uint64_t now_ns)
{
	provider_health_refused(offer_of(ask), err, now_ns);
	call_refuse(ask, SERVICE_UNAVAILABLE, "the program behind this service is not running",
		    now_ns);
}

static void call_answer(struct socket_call *ask, struct program_reply *reply, uint64_t now_ns)
{
	size_t len_max = provider_offer_payload_len_max(offer_of(ask));
	struct service_call *call = ask->call;

	if (reply->len > len_max) {
		provider_program_reply_fini(reply);
		call_fail(ask, SERVICE_PAYLOAD_TOO_LARGE,
			  "the reply is longer than the service may send",
			  "its reply is longer than it may be", now_ns);
		return;
	}
	if (reply->status == SERVICE_UNKNOWN_ERROR)
		provider_offer_failed(offer_of(ask), reply->text, now_ns);
	provider_health_call_answered(offer_of(ask), now_ns);
	call_free(ask);
	service_reply(call,
		      &(struct service_outcome){.status = reply->status,
						.text = reply->text,
						.payload = reply->payload,
						.len = reply->len},
		      now_ns);
	provider_program_reply_fini(reply);
}

static void call_read_failed(struct socket_call *ask, int err, uint64_t now_ns)
{
	if (err == WEFT_ETOOLARGE) {
		call_fail(ask, SERVICE_PAYLOAD_TOO_LARGE,
			  "the reply is longer than the service may send",
			  "its reply is longer than it may be", now_ns);
	} else if (err == WEFT_EFULL) {
		call_refuse(ask, SERVICE_UNAVAILABLE, "too many bodies are under way", now_ns);
	} else {
		provider_health_suspect(offer_of(ask), now_ns);
		call_fail(ask, SERVICE_UNKNOWN_ERROR, "",
			  "it closed the connection before its reply", now_ns);
	}
}

static void call_read(struct socket_call *ask, uint64_t now_ns)
{
	size_t len_max = PROGRAM_REPLY_LEN(provider_offer_payload_len_max(offer_of(ask)));
	struct program_reply reply;
	size_t reply_len;
	int got = provider_program_link_read(&ask->link, len_max), err;

	if (got < 0) {
		call_read_failed(ask, got, now_ns);
		return;
	}
	err = got ? provider_program_link_reply(&ask->link, &reply, &reply_len) : 0;
	if (err < 0)
		call_fail(ask, SERVICE_UNKNOWN_ERROR, "",
			  "its reply is not one of net.weft.Service", now_ns);
	else if (err > 0)
		call_answer(ask, &reply, now_ns);
}

static void call_ready(struct program_link *link, uint64_t now_ns)
{
	struct socket_call *ask = container_of(link, struct socket_call, link);
	bool was_connecting = link->is_connecting;
	size_t sent_len;
	int err = provider_program_link_turn(link, &sent_len);

	if (err < 0 && was_connecting) {
		call_unreachable(ask, err, now_ns);
		return;
	}
	/* A program that reads no request may have replied all the same. */
	if (err < 0)
		provider_queue_clear(&link->out);
	err = provider_program_link_watch(link);
	if (err < 0)
		call_refuse(ask, SERVICE_UNAVAILABLE, "the service cannot answer now", now_ns);
	else if (!was_connecting)
		call_read(ask, now_ns);
}

static struct socket_call *call_new(struct offer *offer, const struct service_caller *caller,
				    uint64_t now_ns)
{
	struct provider *provider = offer->provider;
	struct socket_call *ask = pool_acquire(&provider->socket_calls);

	if (!ask) {
		provider->stats.refused_cnt++;
		return NULL;
	}
	ask->link.watch.fd = -1;
	ask->link.out.heap = provider->heap;
	ask->link.ready = call_ready;
	if (provider_offer_enter(offer, &ask->link.active, &call_kind, caller, now_ns))
		return ask;
	pool_release(&provider->socket_calls, ask);
	return NULL;
}

static void socket_call(void *ctx, struct service_call *call, const struct service_input *input,
			uint64_t now_ns)
{
	const struct waiting_call waiting = {call, input};
	struct offer *offer = ctx;
	struct socket_call *ask;
	int err;

	if (provider_waiting_takes(offer, &waiting, now_ns))
		return;
	ask = call_new(offer, input->caller, now_ns);
	if (!ask) {
		service_fail(call, SERVICE_UNAVAILABLE, "the service has too many calls under way",
			     now_ns);
		return;
	}
	offer->call_cnt++;
	offer->provider->stats.call_cnt++;
	ask->call = call;
	ask->deadline_ns = input->caller->deadline_ns;
	if (provider_program_message_call(&ask->link.out, input, now_ns) < 0) {
		call_refuse(ask, SERVICE_UNAVAILABLE, "too many bodies are under way", now_ns);
		return;
	}
	err = provider_program_link_open(&ask->link);
	if (err < 0) {
		call_unreachable(ask, err, now_ns);
		return;
	}
	/* A unix socket is connected at once: the request is on its way when this returns. */
	call_ready(&ask->link, now_ns);
}

/* The deadline of a call that is overdue is now. */
static void call_cancelled(struct socket_call *ask)
{
	struct offer *offer = offer_of(ask);

	if (service_call_is_overdue(ask->call))
		provider_health_call_overdue(offer,
					     ask->deadline_ns - provider_offer_timeout_ns(offer),
					     ask->deadline_ns);
	call_free(ask);
}

static void socket_cancelled(void *ctx, struct service_call *call)
{
	struct offer *offer = ctx;
	struct list_node *node = offer->actives.next;

	if (provider_waiting_cancel(offer, call))
		return;
	for (; node != &offer->actives; node = node->next) {
		struct active *active = container_of(node, struct active, link);
		struct socket_call *ask;

		if (active->kind != &call_kind)
			continue;
		ask = container_of(active, struct socket_call, link.active);
		if (ask->call != call)
			continue;
		call_cancelled(ask);
		return;
	}
}

const struct service_handler provider_socket_handler = {
	.call = socket_call,
	.cancelled = socket_cancelled,
	.stream = provider_socket_stream_open,
};
