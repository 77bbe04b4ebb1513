/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_REASON_H
#define WEFT_REASON_H

#include "weft/bytes.h"
#include "weft/reason_table.h"

/* The verdict on a datagram. */
enum weft_verdict {
	WEFT_PASS,	     /* not ours: the kernel's stack goes on */
	WEFT_DROP,	     /* ends here */
	WEFT_DELIVER,	     /* to userspace, by AF_XDP or the kernel's socket */
	WEFT_ANSWER_VERSION, /* answered by QUIC version negotiation */
	WEFT_ANSWER_RETRY,   /* answered by a QUIC Retry */
	WEFT_ANSWER_KRPC,    /* answered as userspace's DHT would */
	WEFT_ANSWER_STUN,    /* answered as userspace would */
	WEFT_ANSWER_RELAY,   /* answered by the label of a relayed datagram */
	WEFT_FORWARD,	     /* relayed to the flow's other leg */
};

/* And why: the index of a counter. */
enum weft_reason {
#define REASON WEFT_REASON_NAME
#include "weft/reasons.def"
	WEFT_REASON_CNT,
};

/* weft_verdict: a reason has one. */
WEFT_INLINE enum weft_verdict weft_verdict(enum weft_reason reason)
{
	switch (reason) {
#define REASON(name, word, verdict, text)                                                          \
	case name:                                                                                 \
		return verdict;
#include "weft/reasons.def"
	case WEFT_REASON_CNT:
		break;
	}
	return WEFT_PASS;
}

#ifndef __bpf__
/* weft_reason_{word,text}: "bad-id" and what it means, for people; NULL beyond the last. */
WEFT_INLINE const struct weft_reason_row *weft_reason_row(enum weft_reason reason)
{
	static const struct weft_reason_row rows[WEFT_REASON_CNT + 1] = {
#define REASON WEFT_REASON_ROW
#include "weft/reasons.def"
	};

	return &rows[(unsigned)reason < WEFT_REASON_CNT ? reason : WEFT_REASON_CNT];
}

WEFT_INLINE const char *weft_reason_word(enum weft_reason reason)
{
	return weft_reason_row(reason)->word;
}

WEFT_INLINE const char *weft_reason_text(enum weft_reason reason)
{
	return weft_reason_row(reason)->text;
}
#endif

#endif
