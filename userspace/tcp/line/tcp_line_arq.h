/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_LINE_TCP_LINE_ARQ_H
#define WEFT_TCP_LINE_TCP_LINE_ARQ_H

#include "tcp/line/tcp_line_frame.h"
#include "tcp/tcp.h"

/*
 * A connection over a line, which may lose and damage bytes but keeps their order. Bytes go in, and
 * come out at the other end once each, in order. Frames are repeated by go-back-N (RFC 3366 2.2), from
 * the first that is missing. That is once its receiver says so, or once the time-out is over.
 * Pure: frames and the time go in, frames come out. The other end of the line is the only one that
 * sends here. It fills nothing but the reader: a frame is used or dropped as it comes.
 *
 * The window bounds what waits in the kernel's buffer before the line: 1,600 bytes, 1.7 s at
 * 9,600 baud.
 */
#define TCP_LINE_WINDOW 8

enum tcp_line_state {
	TCP_LINE_CLOSED,
	TCP_LINE_OPENING, /* asked, and not answered yet */
	TCP_LINE_UP,
};

struct tcp_line_slot {
	uint8_t data[TCP_LINE_DATA_MAX];
	uint8_t len; /* 0: nothing follows */
	bool is_repeated;
	uint64_t sent_ns;
};

/*
 * seq numbers: slots [base, end) wait for their acknowledgement, those before next have gone in this
 * round, and those before sent at least once.
 */
struct tcp_line_arq {
	enum tcp_line_state state;
	struct tcp_line_stats *stats;
	struct tcp_line_slot slots[TCP_LINE_WINDOW];
	uint16_t id, unknown_id;
	uint8_t base, next, sent, end;
	uint8_t expected;	    /* from the peer */
	uint64_t due_ns;	    /* of a repetition; UINT64_MAX: none */
	uint64_t progress_ns;	    /* when the oldest frame became that */
	uint64_t rtt_ns, rttvar_ns; /* 0: not measured */
	uint64_t rto_ns;
	uint64_t acked_len, heard_cnt, repeated_cnt; /* of this connection */
	bool is_opener, is_recovering;
	bool is_fin_wanted, is_fin_queued, is_peer_finished;
	bool is_open_due, is_accept_due, is_ack_due, is_end_due;
	bool is_unknown_opener;
};

void tcp_line_arq_init(struct tcp_line_arq *arq, struct tcp_line_stats *stats);
/* tcp_line_arq_open asks the peer for a connection, again and again; accept: it asked with id. */
void tcp_line_arq_open(struct tcp_line_arq *arq, uint16_t id);
void tcp_line_arq_accept(struct tcp_line_arq *arq, uint16_t id, uint64_t now_ns);
/* tcp_line_arq_refuse: the peer that asked with id hears that there is no connection. */
void tcp_line_arq_refuse(struct tcp_line_arq *arq, uint16_t id);
/* tcp_line_arq_end forgets the connection; is_told: the peer hears it, if the line is good. */
void tcp_line_arq_end(struct tcp_line_arq *arq, bool is_told);

/* What a frame brought, as bits. */
enum tcp_line_news {
	TCP_LINE_NEWS_ASKED =
		1, /* the peer begins a connection, of the frame's id: accept or refuse */
	TCP_LINE_NEWS_OPENED = 2,   /* it accepted */
	TCP_LINE_NEWS_DATA = 4,	    /* the next bytes are the frame's */
	TCP_LINE_NEWS_FINISHED = 8, /* nothing follows them */
	TCP_LINE_NEWS_ROOM = 16,    /* frames were acknowledged */
	TCP_LINE_NEWS_ENDED =
		32, /* the peer knows the connection no more; this end is to forget it */
};
unsigned tcp_line_arq_input(struct tcp_line_arq *arq, const struct tcp_line_frame *frame,
			    uint64_t now_ns);

/* tcp_line_arq_write takes as many bytes as the window has room for, and returns how many. */
size_t tcp_line_arq_write(struct tcp_line_arq *arq, const void *data, size_t len);
/* tcp_line_arq_finish: nothing follows what was written. */
void tcp_line_arq_finish(struct tcp_line_arq *arq);
/* tcp_line_arq_is_drained: all that was written, and the end, is acknowledged. */
bool tcp_line_arq_is_drained(const struct tcp_line_arq *arq);

/* tcp_line_arq_next gives the frame that goes now; its data is valid until the next call. */
bool tcp_line_arq_next(struct tcp_line_arq *arq, uint64_t now_ns, struct tcp_line_frame *out_frame);
/*
 * tcp_line_arq_expire: call at tcp_line_arq_next_ns, UINT64_MAX: never. False: nothing was
 * acknowledged for TCP_LINE_GIVE_UP_NS, and the connection is to be ended.
 */
#define TCP_LINE_GIVE_UP_NS (60ull * 1000 * 1000 * 1000)
bool tcp_line_arq_expire(struct tcp_line_arq *arq, uint64_t now_ns);
uint64_t tcp_line_arq_next_ns(const struct tcp_line_arq *arq);

#endif
