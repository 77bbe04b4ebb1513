/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of Initials (RFC 9000 8.1.2 to 8.1.4), the same that the BPF program
 * takes (weft/token.h). Their keys follow from the node's key and the day. So
 * every worker, in every life of the node, reads a token that another one
 * made. A Retry's is bound to the client's address and port, the id it first
 * chose, the id we gave it, and the time.
 *
 * A client gets a known one in NEW_TOKEN once its key is proved, and again
 * when it has moved. It is bound to the client's address and the time. It
 * names the key that it was given to and the time since when that key is
 * known. TLS has to prove that key before anything is built on it. This part
 * is sealed with a nonce, so that two tokens of one peer look like those of
 * two. It is good once. Tokens that were shown are remembered for as long as
 * any of them may live, in two Bloom filters (quinn's BloomTokenLog has the
 * idea). A token that a filter mistakes for one it has seen costs its client
 * a Retry.
 */
#include "quic/engine.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/monotonic.h"
#include "base/siphash_bytes.h"
#include "weft/token.h"

/* The days honoured: a known token lives two, and the clock may be set back over midnight. */
#define DAYS_BEFORE 2
#define DAYS_AFTER  1
_Static_assert(DAYS_BEFORE + 1 + DAYS_AFTER == WEFT_TOKEN_KEY_CNT, "one slot for each");

/* Four bits a token: one in 200 is mistaken when 70,000 were shown in two days. */
#define SEEN_BIT_CNT  (1u << 20)
#define SEEN_HASH_CNT 4
#define SEEN_WORD_CNT (SEEN_BIT_CNT / 64)

int quic_token_init(struct quic_engine *engine)
{
	for (unsigned i = 0; i < 2; i++) {
		engine->seen[i] = arena_alloc(&engine->arena, SEEN_WORD_CNT * sizeof(uint64_t));
		if (!engine->seen[i])
			return WEFT_EFULL;
	}
	return 0;
}

/* A filter is of one lifetime of tokens; the one before is asked, too. */
static void seen_turn(struct quic_engine *engine)
{
	uint32_t life = quic_token_wall_s(engine) / WEFT_TOKEN_KNOWN_LIFE_S;
	uint64_t *older = engine->seen[1];

	if (life <= engine->seen_life)
		return;
	if (life > engine->seen_life + 1)
		memset(engine->seen[0], 0, SEEN_WORD_CNT * sizeof(uint64_t));
	engine->seen_life = life;
	engine->seen[1] = engine->seen[0];
	engine->seen[0] = older;
	memset(older, 0, SEEN_WORD_CNT * sizeof(uint64_t));
}

bool quic_token_use(struct quic_engine *engine, const uint8_t token[static WEFT_TOKEN_LEN])
{
	/* A token ends with its tag, which is a keyed hash of the rest. */
	uint64_t tag = weft_load_le64(token + WEFT_TOKEN_LEN - sizeof(tag));
	bool is_new[2] = {false, false};

	seen_turn(engine);
	for (uint32_t i = 0; i < SEEN_HASH_CNT; i++) {
		uint32_t bit =
			((uint32_t)tag + i * ((uint32_t)(tag >> 32) | 1)) & (SEEN_BIT_CNT - 1);
		uint64_t mask = 1ull << bit % 64;

		for (unsigned k = 0; k < 2; k++)
			is_new[k] |= !(engine->seen[k][bit / 64] & mask);
		engine->seen[0][bit / 64] |= mask;
	}
	return is_new[0] && is_new[1];
}

uint32_t quic_token_wall_s(const struct quic_engine *engine)
{
	return (uint32_t)((engine->now_ns + engine->wall_offset_ns) / NS_PER_S);
}

static int derive_key(const struct quic_engine *engine, uint32_t day, __u64 out_key[2])
{
	uint8_t secret[QUIC_SECRET_LEN];
	char label[32];
	int err;

	snprintf(label, sizeof(label), "weft token 1 day %u", day);
	err = tls_derive(engine->key, label, secret);
	memcpy(out_key, secret, 2 * sizeof(out_key[0]));
	OPENSSL_cleanse(secret, sizeof(secret));
	return err;
}

int quic_token_keys_turn(struct quic_engine *engine)
{
	uint32_t today = weft_token_day(quic_token_wall_s(engine));
	struct weft_token_keys keys = {0};
	__u64 key[2];
	int err;

	if (engine->has_token_keys && engine->token_day == today)
		return 0;
	for (uint32_t i = 0; i < WEFT_TOKEN_KEY_CNT; i++) {
		err = derive_key(engine, today - DAYS_BEFORE + i, key);
		if (err < 0)
			return err;
		weft_token_keys_set(&keys, today - DAYS_BEFORE + i, key);
	}
	engine->token_keys = keys;
	engine->token_day = today;
	engine->has_token_keys = true;
	return 0;
}

bool quic_token_retry(struct quic_engine *engine, const struct addr *remote, const ngtcp2_cid *dcid,
		      struct quic_retry_answer *out_answer)
{
	struct weft_token token = {
		.client = addr_endpoint(remote),
		.issued_s = quic_token_wall_s(engine),
		.kind = WEFT_TOKEN_RETRY,
	};
	uint8_t room[WEFT_ID_ROOM_LEN] = {0};

	if (dcid->datalen > WEFT_ID_LEN_MAX || quic_token_keys_turn(engine) < 0)
		return false;
	memcpy(room, dcid->data, dcid->datalen);
	weft_id_load(&token.original, room, (__u32)dcid->datalen);
	weft_token_retry_scid(&engine->cids.keys, &engine->token_keys, engine->cids.worker, &token);
	if (!weft_token_write(&engine->token_keys, &token, out_answer->token))
		return false;
	ngtcp2_cid_init(&out_answer->scid, (const uint8_t *)token.retry_scid, WEFT_CID_LEN);
	return true;
}

bool quic_token_is_known(const struct quic_engine *engine, uint32_t met_s)
{
	uint32_t now_s = quic_token_wall_s(engine);

	return met_s <= now_s && now_s - met_s >= QUIC_KNOWN_AFTER_S;
}

/* Seals a claim and opens it again: words[0] of a known token is its nonce. */
static void claim_turn(const struct quic_engine *engine, __u64 words[3])
{
	for (unsigned i = 1; i <= 2; i++) {
		const uint64_t input[2] = {words[0], i};

		words[i] ^= siphash(engine->claim_secret, input, sizeof(input));
	}
	words[2] = (uint32_t)words[2]; /* the token has room for 20 bytes */
}

bool quic_token_known(struct quic_engine *engine, const struct addr *remote,
		      const struct quic_token_claim *claim,
		      uint8_t out_token[static WEFT_TOKEN_LEN])
{
	struct weft_token token = {
		.client = addr_endpoint(remote),
		.issued_s = quic_token_wall_s(engine),
		.kind = WEFT_TOKEN_KNOWN,
	};

	if (quic_token_keys_turn(engine) < 0)
		return false;
	random_fill(engine->random, &token.original.words[0], sizeof(token.original.words[0]));
	memcpy(&token.original.words[1], claim->key_head, sizeof(claim->key_head));
	token.original.words[2] = claim->met_s;
	claim_turn(engine, token.original.words);
	return weft_token_write(&engine->token_keys, &token, out_token);
}

static void claim_read(const struct quic_engine *engine, const struct weft_token *token,
		       struct quic_token_claim *out_claim)
{
	__u64 words[3];

	memcpy(words, token->original.words, sizeof(words));
	claim_turn(engine, words);
	memcpy(out_claim->key_head, &words[1], sizeof(out_claim->key_head));
	out_claim->met_s = (uint32_t)words[2];
}

enum quic_token quic_token_check(struct quic_engine *engine, const struct addr *remote,
				 const ngtcp2_pkt_hd *hd, struct quic_retry *out_retry,
				 struct quic_token_claim *out_claim)
{
	struct weft_token token = {.client = addr_endpoint(remote)};
	enum weft_token_verdict verdict;

	/* Another kind of token may be some former server's: as good as none (8.1.3). */
	if (hd->tokenlen != WEFT_TOKEN_LEN || quic_token_keys_turn(engine) < 0)
		return QUIC_TOKEN_NONE;
	if (hd->dcid.datalen == WEFT_CID_LEN)
		memcpy(token.retry_scid, hd->dcid.data, WEFT_CID_LEN);
	verdict =
		weft_token_read(&engine->token_keys, hd->token, quic_token_wall_s(engine), &token);
	/* A known one that is not good any more is none, too; a Retry was a moment ago. */
	if (token.kind == WEFT_TOKEN_KNOWN) {
		if (verdict != WEFT_TOKEN_GOOD)
			return QUIC_TOKEN_NONE;
		claim_read(engine, &token, out_claim);
		return QUIC_TOKEN_KNOWN;
	}
	if (verdict == WEFT_TOKEN_FOREIGN)
		return QUIC_TOKEN_NONE;
	if (verdict != WEFT_TOKEN_GOOD)
		return QUIC_TOKEN_BAD;
	/* The token is bound to the id that it came under. */
	out_retry->scid = hd->dcid;
	ngtcp2_cid_init(&out_retry->original, (const uint8_t *)token.original.words,
			token.original.len);
	return QUIC_TOKEN_VALID;
}
