/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_BPF_ANSWER_VERSION_H
#define WEFT_BPF_ANSWER_VERSION_H

#include "send_back.h"

/*
 * QUIC version negotiation (RFC 8999 6). First the trigger's ids, swapped,
 * of up to 255 bytes each: a version we do not know may have such. Then
 * the versions we would speak.
 */
#define ANSWER_VERSION_IDS_OFF 5

__attribute__((noinline)) int answer_draft_version(struct xdp_md *ctx, __u32 payload_off)
{
	struct weft_scratch *answer = scratch_acquire();
	__u32 ids_off, off = ANSWER_VERSION_IDS_OFF;
	__u8 dcid_len, scid_len;

	if (!answer)
		return 0;
	ids_off = payload_off + ANSWER_VERSION_IDS_OFF;
	if (bpf_xdp_load_bytes(ctx, ids_off, &dcid_len, 1) < 0 ||
	    bpf_xdp_load_bytes(ctx, ids_off + 1 + dcid_len, &scid_len, 1) < 0)
		return 0;
	answer->bytes[0] = 0xc0;
	weft_store_le32(answer->bytes + 1, 0);
	if (bpf_xdp_load_bytes(ctx, ids_off + 1 + dcid_len, answer->bytes + off, 1 + scid_len) < 0)
		return 0;
	off += 1 + scid_len;
	if (bpf_xdp_load_bytes(ctx, ids_off, answer->bytes + off, 1 + dcid_len) < 0)
		return 0;
	off += 1 + dcid_len;
	weft_store_be32(answer->bytes + off, WEFT_QUIC_V1);
	weft_store_be32(answer->bytes + off + 4, WEFT_QUIC_GREASE);
	answer->begin = 0;
	answer->len = off + 8;
	return 1;
}

WEFT_INLINE _Bool answer_version(struct xdp_md *ctx, const struct weft_frame *frame)
{
	return answer_draft_version(ctx, frame->payload_off) && answer_send(ctx, frame);
}

#endif
