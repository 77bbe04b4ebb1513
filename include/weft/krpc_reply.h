/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_KRPC_REPLY_H
#define WEFT_KRPC_REPLY_H

#include "weft/krpc.h"

/*
 * The transaction ids of our own DHT questions, made so that a reply shows
 * by itself that it was asked for:
 *
 *   bytes 0..1   random
 *   bytes 2..7   SipHash-2-4 over the address that was asked (16 bytes, v4-
 *                mapped), its port (2) and bytes 0..1, then four zeros. Only
 *                the low 48 bits, little-endian.
 *
 * The key changes each minute and that of the minute before is honoured, too. Only
 * the node that was asked, and those on its path, have seen such an id, and it is
 * worth nothing from another address. So a reply with a right one is outside all
 * limits of unvalidated sources. That holds in every mode and without a table of the
 * questions asked. Whether the question still waits, userspace knows.
 *
 * Keys stand in their order, so `t` is at a fixed distance from the end of
 * nearly every reply and error:
 *
 *   ...1:t8:TTTTTTTT1:y1:re   ...1:t8:TTTTTTTT1:v4:VVVV1:y1:re   and 1:y1:ee
 *
 * Another end, of a foreign `v`, makes it an unvalidated source's datagram as any.
 */
#define WEFT_KRPC_OWN_TRANSACTION_LEN 8
#define WEFT_KRPC_REPLY_KEY_CNT	      2
/* The last bytes of a datagram, which hold all that is looked at. */
#define WEFT_KRPC_TAIL_LEN 32

/*
 * A key of zeros is none. Userspace writes over the older key before it uses that one. A reader
 * meanwhile finds a key under which nothing was made.
 */
struct weft_krpc_reply_keys {
	__u64 keys[WEFT_KRPC_REPLY_KEY_CNT][2];
};

_Static_assert(sizeof(struct weft_krpc_reply_keys) == 32, "BPF map value layout");

/* weft_krpc_transaction: the id, as it lies in memory, for a question to remote. */
WEFT_INLINE __u64 weft_krpc_transaction(const __u64 key[2], const struct weft_endpoint *remote,
					__u16 random)
{
	struct weft_siphash s;

	weft_siphash_init(&s, key);
	weft_siphash_absorb(&s, remote->words[0]);
	weft_siphash_absorb(&s, remote->words[1]);
	weft_siphash_absorb(&s, remote->port_be | (__u64)random << 16);
	return weft_siphash_finish(&s, 3) << 16 | random;
}

/*
 * weft_krpc_tail_transaction reads `t` of the reply or error whose last
 * WEFT_KRPC_TAIL_LEN bytes are at tail. 0: there is none of our length where
 * it has to be.
 */
WEFT_INLINE _Bool weft_krpc_tail_transaction(const __u8 *tail, __u64 *out_transaction)
{
	__u64 end = weft_load_le64(tail + 24) >> 8;
	_Bool is_plain = weft_krpc_head(weft_load_le64(tail + 12), 5) == WEFT_KRPC_5("1:t8:");
	__u64 plain = weft_load_le64(tail + 17);

	/* The verifier follows no choice of offsets, which the compiler would make of it. */
	__asm__ volatile("" : "+r"(plain));
	*out_transaction = is_plain ? plain : weft_load_le64(tail + 8);
	if (end != WEFT_KRPC_7("1:y1:re") && end != WEFT_KRPC_7("1:y1:ee"))
		return 0;
	return is_plain || (weft_krpc_head(weft_load_le64(tail + 3), 5) == WEFT_KRPC_5("1:t8:") &&
			    weft_krpc_head(weft_load_le64(tail + 16), 5) == WEFT_KRPC_5("1:v4:"));
}

WEFT_INLINE _Bool weft_krpc_is_under(const __u64 key[2], const struct weft_endpoint *remote,
				     __u64 transaction)
{
	return (key[0] | key[1]) &&
	       weft_krpc_transaction(key, remote, (__u16)transaction) == transaction;
}

/*
 * weft_krpc_is_own: a node at remote was asked with this transaction id,
 * lately. One key after the other, or the compiler has both hashes on the
 * stack at once, which is too much for BPF. And not in a loop, which the
 * verifier takes for one without end.
 */
WEFT_INLINE _Bool weft_krpc_is_own(const struct weft_krpc_reply_keys *keys,
				   const struct weft_endpoint *remote, __u64 transaction)
{
	if (weft_krpc_is_under(keys->keys[0], remote, transaction))
		return 1;
	return weft_krpc_is_under(keys->keys[1], remote, transaction);
}

#endif
