/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers without state: version negotiation (RFC 9000 6), Retry (8.1.2),
 * refusal of a first Initial (5.2.2), stateless reset (10.3). Each is
 * smaller than the datagram that asked for it, so we are no use as a
 * reflector. Each kind has one limit in all: a forger would use up a limit
 * per prefix, and with it the answers that its owner needs.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/siphash_bytes.h"

/* A shorter reset can be distinguished from a packet; a longer one is a reset for sure (10.3). */
#define RESET_LEN_MIN  (NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN)
#define RESET_LEN_MAX  42
#define ANSWER_LEN_MAX 512

/* room is what answer may use; 0 from write means there is nothing to say. */
struct answer {
	struct quic_engine *engine;
	const struct dgram *dgram;
	struct dgram_slot slot;
	size_t room;
};

static bool answer_begin(struct answer *answer, struct quic_engine *engine,
			 const struct dgram *dgram, enum quic_answer kind)
{
	answer->engine = engine;
	answer->dgram = dgram;
	answer->room = dgram->len < ANSWER_LEN_MAX ? dgram->len : ANSWER_LEN_MAX;
	if (!quic_limits_may_answer(&engine->limits, kind, engine->now_ns)) {
		engine->stats.answer_limit_cnt++;
		return false;
	}
	return engine->sink->ops->reserve(engine->sink, answer->room, &answer->slot);
}

static bool answer_end(struct answer *answer, ngtcp2_ssize len)
{
	struct dgram_sink *sink = answer->engine->sink;
	struct dgram_route route = {.local = answer->dgram->local, .remote = answer->dgram->remote};

	if (len <= 0) {
		sink->ops->cancel(sink, &answer->slot);
		return false;
	}
	sink->ops->commit(sink, &answer->slot, (size_t)len, &route);
	return true;
}

void quic_answer_version(struct quic_engine *engine, const struct dgram *dgram,
			 const ngtcp2_version_cid *ids)
{
	/* One real version and one that no peer may rely on (RFC 9000 6.3). */
	const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, 0x1a2a3a4a};
	struct answer answer;
	uint8_t noise;

	if (!answer_begin(&answer, engine, dgram, QUIC_ANSWER_VERSION))
		return;
	random_fill(engine->random, &noise, sizeof(noise));
	engine->stats.version_sent_cnt +=
		answer_end(&answer, ngtcp2_pkt_write_version_negotiation(
					    answer.slot.data, answer.room, noise, ids->scid,
					    ids->scidlen, ids->dcid, ids->dcidlen, versions, 2));
}

void quic_answer_retry(struct quic_engine *engine, const struct dgram *dgram,
		       const ngtcp2_pkt_hd *hd)
{
	struct quic_retry_answer retry;
	struct answer answer;
	bool is_made;

	if (!answer_begin(&answer, engine, dgram, QUIC_ANSWER_RETRY))
		return;
	is_made = quic_token_retry(engine, &dgram->remote, &hd->dcid, &retry);
	engine->stats.retry_sent_cnt += answer_end(
		&answer, is_made ? ngtcp2_crypto_write_retry(
					   answer.slot.data, answer.room, hd->version, &hd->scid,
					   &retry.scid, &hd->dcid, retry.token, sizeof(retry.token))
				 : 0);
}

void quic_answer_refuse(struct quic_engine *engine, const struct dgram *dgram,
			const ngtcp2_pkt_hd *hd, uint64_t code)
{
	struct answer answer;

	if (!answer_begin(&answer, engine, dgram, QUIC_ANSWER_CLOSE))
		return;
	engine->stats.close_sent_cnt += answer_end(
		&answer,
		ngtcp2_crypto_write_connection_close(answer.slot.data, answer.room, hd->version,
						     &hd->scid, &hd->dcid, code, NULL, 0));
}

/* A PRF for short inputs, under a key for each half: four tokens are made per handshake. */
void quic_reset_token(const struct quic_engine *engine, const uint8_t cid[static WEFT_CID_LEN],
		      uint8_t out_token[static CID_RESET_TOKEN_LEN])
{
	const uint64_t halves[] = {siphash(engine->reset_secrets[0], cid, WEFT_CID_LEN),
				   siphash(engine->reset_secrets[1], cid, WEFT_CID_LEN)};

	_Static_assert(sizeof(halves) == CID_RESET_TOKEN_LEN, "the whole token is filled");
	memcpy(out_token, halves, sizeof(halves));
}

void quic_answer_reset(struct quic_engine *engine, const struct dgram *dgram,
		       const uint8_t cid[static WEFT_CID_LEN])
{
	uint8_t noise[RESET_LEN_MAX];
	ngtcp2_stateless_reset_token token;
	struct answer answer;
	size_t len = dgram->len - 1; /* smaller than the trigger, so that two of us fall silent */

	if (len > RESET_LEN_MAX)
		len = RESET_LEN_MAX;
	if (len < RESET_LEN_MIN || !answer_begin(&answer, engine, dgram, QUIC_ANSWER_RESET))
		return;
	random_fill(engine->random, noise, sizeof(noise));
	quic_reset_token(engine, cid, token.data);
	engine->stats.reset_sent_cnt += answer_end(
		&answer,
		ngtcp2_pkt_write_stateless_reset2(answer.slot.data, answer.room, &token, noise,
						  len - NGTCP2_STATELESS_RESET_TOKENLEN));
}
