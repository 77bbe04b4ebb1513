/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_ANSWER_RETRY_H
#define WEFT_BPF_ANSWER_RETRY_H

#include "send_back.h"
#include "weft/ghash.h"

/* A function by itself for the verifier's sake, as limit_admit. */
__attribute__((noinline)) int ghash_absorb(struct weft_ghash_sum *sum, __u64 first, __u64 second)
{
	const struct weft_ghash *ghash = bpf_map_lookup_elem(&weft_ghash, &only);

	if (!sum || !ghash)
		return 0;
	weft_ghash_absorb(ghash, sum, first, second);
	return 1;
}

WEFT_INLINE void weft_call_ghash(const struct weft_ghash *ghash, struct weft_ghash_sum *sum,
				 __u64 first, __u64 second)
{
	ghash_absorb(sum, first, second);
}

#include "weft/retry.h"

_Static_assert(sizeof(struct weft_retry_draft) <= WEFT_SCRATCH_LEN, "a Retry is drafted there");
_Static_assert(sizeof(struct weft_retry) <= sizeof(((struct weft_scratch *)0)->work),
	       "and made from what is there");

/* Drafts a QUIC Retry (RFC 9000 8.1.2) for the Initial described by facts. */
__attribute__((noinline)) int answer_draft_retry(struct xdp_md *ctx, const struct weft_facts *facts)
{
	const struct weft_config *config = weft_table_config(ctx);
	const struct weft_cid_keys *cid_keys = weft_table_cid_keys(ctx);
	const struct weft_token_keys *token_keys = weft_table_token_keys(ctx);
	struct weft_scratch *answer = scratch_acquire();
	const struct weft_ghash *ghash = bpf_map_lookup_elem(&weft_ghash, &only);
	struct weft_retry *retry;

	if (!config || !cid_keys || !token_keys || !answer || !ghash || !facts)
		return 0;
	retry = (struct weft_retry *)answer->work;
	retry->dcid = facts->dcid;
	retry->scid = facts->scid;
	retry->client = facts->source;
	retry->now_s = weft_config_wall_s(config, facts->now_ns);
	retry->worker = config->queue_workers[ctx->rx_queue_index % WEFT_QUEUE_CNT];
	answer->begin = weft_retry_begin(retry);
	answer->len = weft_retry_write(cid_keys, token_keys, ghash, retry,
				       (struct weft_retry_draft *)answer->bytes);
	return 1;
}

WEFT_INLINE _Bool answer_retry(struct xdp_md *ctx, const struct weft_frame *frame,
			       const struct weft_facts *facts)
{
	return answer_draft_retry(ctx, facts) && answer_send(ctx, frame);
}

#endif
