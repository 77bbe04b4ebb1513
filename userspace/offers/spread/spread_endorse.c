/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message 312 of a neighbour: an endorsement. It goes as far, and as often, as an announce of its
 * endorser would. It goes on when the handler says that it is new.
 */
#include "offers/message/endorsement_message.h"
#include "spread_state.h"

static const struct spread_refusal malformed = {MESH_CODE_MALFORMED, "no endorsement"};

/* NULL: it may be handled. */
static const struct spread_refusal *judge(struct offer_spread *spread, const struct mesh_call *call,
					  struct endorsement_message *message,
					  struct endorsement *said, uint64_t now_ns)
{
	struct service_message as_announce = {.type = SERVICE_MESSAGE_ANNOUNCE};

	if (offers_endorsement_message_parse(call->payload, call->payload_len, message) < 0 ||
	    offers_endorsement_parse(message->bytes, message->len, said) < 0) {
		spread->stats.malformed_cnt++;
		return &malformed;
	}
	if (message->hop_cnt >= spread->params.config.hops_max) {
		spread->stats.hops_cnt++;
		return &offers_spread_too_far;
	}
	as_announce.service = said->service;
	as_announce.provider = said->endorser_address;
	if (offers_spread_rates_take(spread, call->peer_key, &as_announce, now_ns)) {
		spread->stats.rate_cnt++;
		return &offers_spread_too_many;
	}
	return NULL;
}

static void pass_on(struct offer_spread *spread, const struct mesh_call *call,
		    const struct endorsement_message *message, uint32_t service, uint64_t now_ns)
{
	const struct spread_flood flood = {
		.type = MESH_ENDORSE,
		.service = service,
		.bytes = call->payload,
		.len = call->payload_len,
		.hop_cnt = (uint8_t)(message->hop_cnt + 1),
		.except = call->peer_key,
	};

	if (flood.hop_cnt < spread->params.config.hops_max && flood.hop_cnt < ENDORSEMENT_HOPS_END)
		(void)offers_spread_forward(spread, &flood, now_ns);
}

void offers_spread_handle_endorsement(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct offer_spread *spread = ctx;
	const struct spread_handler *handler = &spread->params.handler;
	struct endorsement_message message;
	struct endorsement said;
	const struct spread_refusal *refusal;
	const char *why = "this node keeps no endorsements";
	enum spread_verdict verdict = SPREAD_REFUSED;

	spread->stats.received_cnt++;
	refusal = judge(spread, call, &message, &said, now_ns);
	if (refusal) {
		offers_spread_refuse(spread, call, refusal);
		return;
	}
	if (handler->endorse)
		verdict = handler->endorse(
			handler->ctx,
			&(const struct spread_endorsement){message.bytes, message.len,
							   call->peer_key, now_ns},
			&why);
	spread->stats.dropped_cnt += verdict == SPREAD_REFUSED;
	spread->stats.known_cnt += verdict == SPREAD_KNOWN;
	if (verdict == SPREAD_REFUSED) {
		offers_spread_refuse(spread, call,
				     &(const struct spread_refusal){MESH_CODE_REFUSED, why});
		return;
	}
	if (verdict == SPREAD_NEW) {
		spread->stats.endorsed_cnt++;
		pass_on(spread, call, &message, said.service, now_ns);
	}
	(void)spread->params.mesh.ops->answer(call->incoming, MESH_ENDORSE, NULL, 0, NULL);
}

unsigned offers_spread_endorse(struct offer_spread *spread, const uint8_t *key, uint32_t service,
			       const struct spread_endorsement *endorsement)
{
	const struct endorsement_message message = {.bytes = endorsement->bytes,
						    .len = endorsement->len};
	uint8_t bytes[ENDORSEMENT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct spread_flood flood = {.type = MESH_ENDORSE, .service = service, .bytes = bytes};

	offers_endorsement_message_write(&w, &message);
	flood.len = writer_len(&w);
	if (w.bad)
		return 0;
	if (key && offers_spread_rank(spread, service, key) == SPREAD_RANK_NEVER)
		return 0;
	if (key)
		return offers_spread_send_to(spread, key, &flood, endorsement->now_ns);
	return offers_spread_forward(spread, &flood, endorsement->now_ns);
}
