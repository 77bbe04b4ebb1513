/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retry tokens (RFC 9000 8.1.2 to 8.1.4): sealed under a key of this
 * engine's life and bound to the client's address and port, the id it
 * first chose, the id we gave it, and the time. No NEW_TOKEN is handed
 * out: our own nodes resume by ticket and are asked for a Retry only under
 * pressure, where one round trip is the point.
 */
#include "quic/engine.h"

#include <string.h>

#include "base/clock.h"

/* Long enough for a slow path's Retry and answer, short enough to be useless when stolen. */
#define TOKEN_LIFE_NS (10 * NS_PER_S)

size_t quic_token_make(const struct quic_engine *engine, const struct addr *remote,
		       const ngtcp2_pkt_hd *hd, const ngtcp2_cid *retry_scid,
		       uint8_t out_token[static QUIC_TOKEN_LEN_MAX])
{
	ngtcp2_path_storage path;
	ngtcp2_ssize len;

	quic_path_init(&path, remote, remote);
	len = ngtcp2_crypto_generate_retry_token2(out_token, engine->token_secret,
						  sizeof(engine->token_secret), hd->version,
						  path.path.remote.addr, path.path.remote.addrlen,
						  retry_scid, &hd->dcid, engine->now_ns);
	return len > 0 ? (size_t)len : 0;
}

enum quic_token quic_token_check(const struct quic_engine *engine, const struct addr *remote,
				 const ngtcp2_pkt_hd *hd, struct quic_retry *out_retry)
{
	ngtcp2_path_storage path;
	ngtcp2_cid original;
	int rv;

	/* Another kind of token may be some former server's: as good as none (8.1.3). */
	if (hd->tokenlen == 0 || hd->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return QUIC_TOKEN_NONE;
	quic_path_init(&path, remote, remote);
	rv = ngtcp2_crypto_verify_retry_token2(
		&original, hd->token, hd->tokenlen, engine->token_secret,
		sizeof(engine->token_secret), hd->version, path.path.remote.addr,
		path.path.remote.addrlen, &hd->dcid, TOKEN_LIFE_NS, engine->now_ns);
	if (rv != 0)
		return QUIC_TOKEN_BAD;
	/* The token is bound to the id that it came under. */
	*out_retry = (struct quic_retry){.original = original, .scid = hd->dcid};
	return QUIC_TOKEN_VALID;
}
