/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /legacy/fapp: a message of the older wire of FAPP, a byte and CBOR, and its answer
 * (docs/wire/legacy-fapp.md). It takes the token, as it publishes and asks in the name of others.
 */
#include <stdlib.h>
#include <string.h>

#include "web_offers_state.h"

#define PATH	     "/legacy/fapp"
#define BODY_LEN_MAX 16384 /* LEGACY_FAPP_LEN_MAX */

static void fail(struct gateway_exchange *exchange, enum offers_legacy_verdict verdict,
		 const char *why, uint64_t now_ns)
{
	static const struct gateway_error errors[] = {
		[OFFERS_LEGACY_OFF] = {404, "not_found",
				       "The older wire of FAPP is off here; see offers.legacy_fapp "
				       "in weft.conf(5).",
				       0},
		[OFFERS_LEGACY_MALFORMED] = {400, "malformed", NULL, 0},
		[OFFERS_LEGACY_REFUSED] = {403, "refused", NULL, 0},
		[OFFERS_LEGACY_TOO_MANY] = {429, "too_many",
					    "Too many such messages came in this minute; send it "
					    "again later.",
					    0},
	};
	struct gateway_error error = errors[verdict];

	if (!error.message)
		error.message = why;
	gateway_reply_error(exchange, &error, now_ns);
}

static void message_handle(struct service_offers *offers, struct gateway_exchange *exchange,
			   const struct gateway_request *request, uint64_t now_ns)
{
	static const struct gateway_error no_memory = {
		500, "no_memory", "This node has no memory for the answer; try again.", 0};
	uint8_t *bytes = malloc(OFFERS_LEGACY_ANSWER_MAX);
	struct writer answer = writer_of(bytes, bytes ? OFFERS_LEGACY_ANSWER_MAX : 0);
	struct offers_legacy_ask ask = {.bytes = (const uint8_t *)request->body,
					.len = request->body_len,
					.answer = &answer,
					.now_ns = now_ns};
	enum offers_legacy_verdict verdict;
	struct gateway_reply reply = {.type = "application/octet-stream",
				      .headers = "Cache-Control: no-store\r\n"};

	if (!bytes) {
		gateway_reply_error(exchange, &no_memory, now_ns);
		return;
	}
	verdict = offers_legacy_input(offers, &ask);
	if (verdict == OFFERS_LEGACY_TAKEN || verdict == OFFERS_LEGACY_ANSWERED) {
		reply.status = verdict == OFFERS_LEGACY_TAKEN ? 204 : 200;
		reply.body = (const char *)bytes;
		reply.body_len = writer_len(&answer);
		gateway_reply(exchange, &reply, now_ns);
	} else {
		fail(exchange, verdict, ask.why, now_ns);
	}
	free(bytes);
}

static void legacy_handle(void *ctx, struct gateway_exchange *exchange,
			  const struct gateway_request *request, uint64_t now_ns)
{
	struct service_offers *offers = api_http_offers_of(ctx);

	if (offers)
		message_handle(offers, exchange, request, now_ns);
	else
		fail(exchange, OFFERS_LEGACY_OFF, NULL, now_ns);
}

struct gateway_route api_http_offers_legacy_route(struct web_offers *offers)
{
	return (struct gateway_route){.path = PATH,
				      .methods = GATEWAY_POST,
				      .access = GATEWAY_GUARDED,
				      .body_len_max = BODY_LEN_MAX,
				      .handle = legacy_handle,
				      .ctx = offers};
}
