/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message 310 of a neighbour. A refusal says why. What is known already is taken without a word.
 */
#include <string.h>

#include "offers/message/service_query.h"
#include "spread_state.h"

static const struct spread_refusal malformed = {MESH_CODE_MALFORMED, "no service message"};
static const struct spread_refusal no_query = {MESH_CODE_MALFORMED, "a query without a token"};
const struct spread_refusal offers_spread_too_far = {MESH_CODE_REFUSED,
						     "the message came as far as it may"};
static const struct spread_refusal late = {MESH_CODE_REFUSED,
					   "the message has expired, or its time is ahead"};
static const struct spread_refusal no_place = {MESH_CODE_REFUSED,
					       "too many queries are on their way here"};
const struct spread_refusal offers_spread_too_many = {MESH_CODE_REFUSED,
						      "too many such messages in this minute"};

/* Without a time to come again: it would hold for each message 310, and an answer may be the next one. */
void offers_spread_refuse(struct offer_spread *spread, const struct mesh_call *call,
			  const struct spread_refusal *refusal)
{
	spread->params.mesh.ops->answer_error(call->incoming, refusal->code, refusal->text, 0);
}

/* The message was taken, whatever becomes of it. An asker that left meanwhile misses nothing. */
static void accept(struct offer_spread *spread, const struct mesh_call *call)
{
	(void)spread->params.mesh.ops->answer(call->incoming, MESH_SERVICE_MESSAGE, NULL, 0, NULL);
}

static void pass_on(struct offer_spread *spread, const struct spread_message *heard,
		    uint64_t jitter_ns)
{
	const struct service_message *message = heard->parsed;
	const struct spread_flood flood = {
		.bytes = heard->bytes,
		.len = heard->len,
		.hop_cnt = (uint8_t)(message->hop_cnt + 1),
		.except = heard->peer,
		.jitter_ns = jitter_ns,
	};

	if (offers_message_hop(message, spread->params.config.hops_max) == SERVICE_MESSAGE_FORWARD)
		(void)offers_spread_forward(spread, &flood, heard->now_ns);
}

static struct spread_message heard_of(const struct mesh_call *call,
				      const struct service_message *message, uint64_t now_ns)
{
	return (struct spread_message){.parsed = message,
				       .bytes = call->payload,
				       .len = call->payload_len,
				       .peer = call->peer_key,
				       .now_ns = now_ns};
}

static void on_announce(struct offer_spread *spread, const struct mesh_call *call,
			const struct service_message *message, uint64_t now_ns)
{
	const struct spread_handler *handler = &spread->params.handler;
	const struct spread_message heard = heard_of(call, message, now_ns);
	const char *why = "this node does not take it";
	enum spread_verdict verdict = handler->keep(handler->ctx, &heard, &why);
	bool is_proved = verdict == SPREAD_NEW;

	/* A true copy leads to the provider as well as the first one. */
	if (verdict == SPREAD_KNOWN && handler->is_kept &&
	    offers_spread_wants_proof(spread, message->provider, call->peer_key))
		is_proved = handler->is_kept(handler->ctx, &heard);
	if (verdict != SPREAD_REFUSED)
		offers_spread_note_way(
			spread,
			&(struct spread_way){.address = message->provider,
					     .key = call->peer_key,
					     .expires_s = offers_message_expires_s(message),
					     .is_proved = is_proved},
			now_ns);
	switch (verdict) {
	case SPREAD_NEW:
		spread->stats.kept_cnt++;
		if (handler->stock)
			handler->stock->passed(handler->ctx, call->peer_key);
		pass_on(spread, &heard, 0);
		break;
	case SPREAD_KNOWN:
		spread->stats.known_cnt++;
		break;
	case SPREAD_REFUSED:
		spread->stats.dropped_cnt++;
		offers_spread_refuse(spread, call,
				     &(const struct spread_refusal){MESH_CODE_REFUSED, why});
		return;
	}
	/* A known one may have come by a shorter way. */
	offers_spread_changed(spread, now_ns);
	accept(spread, call);
}

/* Of one service. NULL: it was taken, or was here before. */
static const struct spread_refusal *query_take(struct offer_spread *spread,
					       const struct mesh_call *call,
					       const struct spread_message *heard,
					       const uint8_t *token)
{
	const struct spread_handler *handler = &spread->params.handler;
	uint32_t service = heard->parsed->service;

	if (offers_spread_rates_take(spread, call->peer_key, heard->parsed, heard->now_ns)) {
		spread->stats.rate_cnt++;
		return &offers_spread_too_many;
	}
	if (offers_spread_token_take(spread, token, service, call, heard->now_ns)) {
		spread->stats.asked_cnt++;
		handler->answer(handler->ctx, heard, token);
		pass_on(spread, heard, SPREAD_JITTER_NS);
		return NULL;
	}
	if (offers_spread_token_find(spread, token, service, heard->now_ns)) {
		spread->stats.known_cnt++;
		return NULL;
	}
	spread->stats.rate_cnt++;
	return &no_place;
}

/*
 * A query for several services is one for each of them from here on, as if its neighbour had sent
 * these. Those beyond its rate are left out; with none left, the last refusal is its answer.
 */
static const struct spread_refusal *query_expand(struct offer_spread *spread,
						 const struct mesh_call *call,
						 const struct spread_message *heard,
						 const struct service_query *query)
{
	uint8_t bytes[SERVICE_QUERY_MESSAGE_LEN_MAX];
	const struct spread_refusal *refusal = NULL;
	struct spread_message part = *heard;
	struct service_message parsed;
	bool is_taken = false;

	part.parsed = &parsed;
	part.bytes = bytes;
	for (unsigned i = 0; i < query->part_cnt; i++) {
		const struct spread_refusal *why;

		part.len = offers_query_part_write(heard->parsed, query, i, bytes);
		if (offers_message_parse(bytes, part.len, &parsed) < 0)
			continue;
		why = query_take(spread, call, &part, query->token);
		is_taken |= !why;
		refusal = why ? why : refusal;
	}
	return is_taken ? NULL : refusal;
}

static void on_query(struct offer_spread *spread, const struct mesh_call *call,
		     const struct service_message *message, uint64_t now_ns)
{
	const struct spread_message heard = heard_of(call, message, now_ns);
	const struct spread_refusal *refusal;
	struct service_query query;

	if (offers_query_parse(message, &query) < 0) {
		spread->stats.malformed_cnt++;
		refusal = &no_query;
	} else if (message->service == OFFERS_ANY_SERVICE) {
		refusal = query_expand(spread, call, &heard, &query);
	} else {
		refusal = query_take(spread, call, &heard, query.token);
	}
	if (refusal)
		offers_spread_refuse(spread, call, refusal);
	else
		accept(spread, call);
}

static void on_response(struct offer_spread *spread, const struct mesh_call *call,
			const struct service_message *message, uint64_t now_ns)
{
	const struct spread_handler *handler = &spread->params.handler;
	const struct spread_message heard = heard_of(call, message, now_ns);
	const struct spread_flood flood = {
		.bytes = call->payload,
		.len = call->payload_len,
		.hop_cnt = (uint8_t)(message->hop_cnt + 1),
	};
	struct service_response *response = &spread->response;
	struct spread_token *asked = NULL;

	if (offers_response_parse(message, response) == 0)
		asked = offers_spread_token_find(spread, response->token, message->service, now_ns);
	if (asked && asked->response_cnt < SPREAD_RESPONSES_MAX)
		offers_spread_note_response(spread, call->peer_key, response, now_ns);
	if (!asked || asked->response_cnt == SPREAD_RESPONSES_MAX) {
		spread->stats.lost_cnt++;
	} else if (asked->is_own) {
		asked->response_cnt++;
		spread->stats.heard_cnt++;
		handler->hear(handler->ctx, &heard, response);
	} else if (!offers_spread_is_news(spread, asked, response)) {
		spread->stats.known_cnt++;
	} else if (offers_spread_send_to(spread, asked->from, &flood, now_ns)) {
		offers_spread_note(spread, asked, response);
		asked->response_cnt++;
		spread->stats.returned_cnt++;
	}
	accept(spread, call);
}

/* A Reserve, or a Cancel of its consumer: it goes to its provider. */
static void on_reserve(struct offer_spread *spread, const struct mesh_call *call,
		       const struct service_message *message, uint64_t now_ns)
{
	const struct spread_message heard = heard_of(call, message, now_ns);
	const char *why = "this node does not take it";

	if (offers_spread_pass(spread, &heard, &why) == SPREAD_REFUSED)
		offers_spread_refuse(spread, call,
				     &(const struct spread_refusal){MESH_CODE_REFUSED, why});
	else
		accept(spread, call);
}

/* NULL: the message may be handled. */
static const struct spread_refusal *judge(struct offer_spread *spread, const struct mesh_call *call,
					  const struct service_message *message, uint64_t now_ns)
{
	const struct spread_params *params = &spread->params;

	if (offers_message_hop(message, params->config.hops_max) == SERVICE_MESSAGE_DROP) {
		spread->stats.hops_cnt++;
		return &offers_spread_too_far;
	}
	if (offers_message_time(message, params->wall_s(params->ctx)) != SERVICE_MESSAGE_TIMELY) {
		spread->stats.time_cnt++;
		return &late;
	}
	/* Queries are counted by service, which those for several have in their payload. */
	if (message->type != SERVICE_MESSAGE_QUERY &&
	    offers_spread_rates_take(spread, call->peer_key, message, now_ns)) {
		spread->stats.rate_cnt++;
		return &offers_spread_too_many;
	}
	return NULL;
}

void offers_spread_handle(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct offer_spread *spread = ctx;
	struct service_message message;
	const struct spread_refusal *refusal;

	spread->stats.received_cnt++;
	if (offers_message_parse(call->payload, call->payload_len, &message) < 0) {
		spread->stats.malformed_cnt++;
		offers_spread_refuse(spread, call, &malformed);
		return;
	}
	refusal = judge(spread, call, &message, now_ns);
	if (refusal) {
		offers_spread_refuse(spread, call, refusal);
		return;
	}
	switch (message.type) {
	case SERVICE_MESSAGE_ANNOUNCE:
	case SERVICE_MESSAGE_UPDATE:
	case SERVICE_MESSAGE_REVOKE:
		on_announce(spread, call, &message, now_ns);
		break;
	case SERVICE_MESSAGE_QUERY:
		on_query(spread, call, &message, now_ns);
		break;
	case SERVICE_MESSAGE_RESPONSE:
		on_response(spread, call, &message, now_ns);
		break;
	case SERVICE_MESSAGE_RESERVE:
	case SERVICE_MESSAGE_CANCEL:
		if (offers_message_proof(&message) == SERVICE_MESSAGE_PROOF_SEAL) {
			on_reserve(spread, call, &message, now_ns);
			break;
		}
		/* A provider's goes to a box alone. */
		/* fall through */
	default:
		spread->stats.ignored_cnt++;
		accept(spread, call);
		break;
	}
}
