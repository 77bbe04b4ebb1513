/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_RETRY_H
#define WEFT_RETRY_H

#include "weft/cid.h"
#include "weft/classify.h"
#include "weft/ghash.h"
#include "weft/token.h"

/*
 * QUIC v1 Retry packets (RFC 9000 17.2.5) without state. The same trigger at the
 * same second gets the same Retry, byte for byte, from the BPF program and from
 * userspace. A file that includes this has defined
 *
 *   weft_call_ghash(ghash, sum, first, second)   weft_ghash_absorb, as best called
 */
#define WEFT_RETRY_LEN_MAX (1 + 4 + 1 + 20 + 1 + WEFT_CID_LEN + WEFT_TOKEN_LEN + WEFT_GHASH_TAG_LEN)

/*
 * The pseudo-packet that the tag is over (RFC 9001 5.8), then the tag: the
 * Retry begins behind the client's first destination id. The pseudo-packet
 * ends with the last of a fixed number of blocks. Blocks of zeros before it
 * add nothing to the sum, so nothing depends on its length.
 */
#define WEFT_RETRY_PSEUDO_LEN 112 /* holds 1 + 20 + WEFT_RETRY_LEN_MAX - 16 */
#define WEFT_RETRY_DRAFT_LEN  160 /* the tag, and what storing an id writes over */

struct weft_retry_draft {
	__u8 bytes[WEFT_RETRY_DRAFT_LEN];
};

/* The inputs of a Retry. */
struct weft_retry {
	struct weft_id dcid, scid; /* of the client's Initial */
	struct weft_endpoint client;
	__u32 now_s; /* wall clock */
	__u32 worker;
	struct weft_token token; /* made from the others */
};

/* The length of the pseudo-packet, 60 to 100. */
WEFT_INLINE __u32 weft_retry_pseudo_len(const struct weft_retry *retry)
{
	return 1 + (retry->dcid.len & 31) + 1 + 4 + 1 + (retry->scid.len & 31) + 1 + WEFT_CID_LEN +
	       WEFT_TOKEN_LEN;
}

/* Where in the draft it begins, at a whole block. */
WEFT_INLINE __u32 weft_retry_pseudo_begin(const struct weft_retry *retry)
{
	return (WEFT_RETRY_PSEUDO_LEN - weft_retry_pseudo_len(retry)) & 0x70;
}

/* weft_retry_begin: where in the draft the packet begins. */
WEFT_INLINE __u32 weft_retry_begin(const struct weft_retry *retry)
{
	return weft_retry_pseudo_begin(retry) + 1 + (retry->dcid.len & 31);
}

/* The tag over the pseudo-packet, which ends at end. */
WEFT_INLINE void weft_retry_tag(const struct weft_ghash *ghash, struct weft_retry_draft *draft,
				__u32 len, __u8 *end)
{
	struct weft_ghash_sum sum = {{0, 0}};

	/* Zeros up to the next whole block. */
	weft_store_le64(end, 0);
	weft_store_le64(end + 8, 0);
	WEFT_UNROLL
	for (__u32 off = 0; off < WEFT_RETRY_PSEUDO_LEN; off += WEFT_GHASH_BLOCK_LEN)
		weft_call_ghash(ghash, &sum, weft_load_le64(draft->bytes + off),
				weft_load_le64(draft->bytes + off + 8));
	weft_call_ghash(ghash, &sum, __builtin_bswap64((__u64)len * 8), 0);
	weft_store_le64(end, sum.words[0] ^ ghash->mask[0]);
	weft_store_le64(end + 8, sum.words[1] ^ ghash->mask[1]);
}

/*
 * weft_retry_write makes the Retry for retry, whose dcid has 8 to 20 bytes
 * and whose scid at most 20, in draft from weft_retry_begin on. Returns
 * its length, at most WEFT_RETRY_LEN_MAX and less than any Initial's, or 0
 * when today has no token key.
 */
WEFT_INLINE __u32 weft_retry_write(const struct weft_cid_keys *cid_keys,
				   const struct weft_token_keys *token_keys,
				   const struct weft_ghash *ghash, struct weft_retry *retry,
				   struct weft_retry_draft *draft)
{
	struct weft_token *token = &retry->token;
	__u32 off = weft_retry_pseudo_begin(retry);

	token->original = retry->dcid;
	token->client = retry->client;
	token->issued_s = retry->now_s;
	token->kind = WEFT_TOKEN_RETRY;
	weft_token_retry_scid(cid_keys, token_keys, retry->worker, token);
	__builtin_memset(draft->bytes, 0, WEFT_RETRY_PSEUDO_LEN);
	draft->bytes[off] = (__u8)retry->dcid.len;
	weft_id_store(&retry->dcid, draft->bytes + off + 1);
	off += 1 + (retry->dcid.len & 31);
	draft->bytes[off] = 0xf0; /* long header, fixed bit, Retry */
	weft_store_be32(draft->bytes + off + 1, WEFT_QUIC_V1);
	draft->bytes[off + 5] = (__u8)retry->scid.len;
	weft_id_store(&retry->scid, draft->bytes + off + 6);
	off += 6 + (retry->scid.len & 31);
	draft->bytes[off] = WEFT_CID_LEN;
	weft_store_le64(draft->bytes + off + 1, token->retry_scid[0]);
	weft_store_le64(draft->bytes + off + 9, token->retry_scid[1]);
	off += 1 + WEFT_CID_LEN;
	if (!weft_token_write(token_keys, token, draft->bytes + off))
		return 0;
	off += WEFT_TOKEN_LEN;
	weft_retry_tag(ghash, draft, weft_retry_pseudo_len(retry), draft->bytes + off);
	return off + WEFT_GHASH_TAG_LEN - weft_retry_begin(retry);
}

#endif
