/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_TRANSPORT_PAIR_H
#define WEFT_TESTS_TRANSPORT_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/timer.h"
#include "base/transport.h"

/*
 * A transport in memory under a virtual clock: ends with a key and an
 * address, and knobs for faults. Connections and streams between them are
 * as base/transport.h promises. It asserts that the speaker keeps its side
 * of the contract: nothing is touched after its closed event, every
 * received byte is consumed.
 */
#define PAIR_MS	   1000000ull
#define PAIR_S	   (1000 * PAIR_MS)
#define PAIR_ENDS  6
#define PAIR_RULES 8
#define PAIR_DIALS 8

struct pair_event;
struct pair_conn;

/* What becomes of a dial to an address, other than what stands there. */
enum pair_fate {
	PAIR_NORMAL,
	PAIR_SILENT,  /* no answer: WEFT_ETIMEOUT after 5 s */
	PAIR_REFUSED, /* WEFT_EREFUSED after a round trip */
	PAIR_FULL,    /* dial itself gives WEFT_EFULL */
};

struct pair_rule {
	struct addr addr;
	enum pair_fate fate;
	uint64_t extra_delay_ns; /* of the handshake */
};

struct pair_net;

struct pair_end {
	struct transport transport;
	struct pair_net *net;
	uint8_t key[TRANSPORT_KEY_LEN];
	struct addr addr;
	struct addr alias; /* it is here too, unless ADDR_NONE */
	const struct transport_events *events;
	void *ctx;
	struct timer_wheel timers;
	unsigned send_full_cnt; /* the next so many sends are refused; writable follows */
	unsigned send_closed_cnt;
	bool is_dead; /* hears and says nothing more, as after kill -9 */
	unsigned dial_cnt, open_cnt, reset_cnt;
	struct addr dialled[PAIR_DIALS]; /* the first of them */
	uint8_t token[64];		 /* of the last dial */
	size_t token_len;		 /* 0: it had none */
	unsigned unheard_max;		 /* of the last dial */
	uint64_t close_code;		 /* of the last close op, and its reason */
	char close_reason[80];
};

struct pair_net {
	uint64_t now_ns;
	uint64_t delay_ns;		/* one way */
	size_t cut_len;			/* data arrives in pieces of at most this; 0: as sent */
	unsigned stream_credit;		/* streams an end may have open per connection */
	uint64_t first_stream_delay_ns; /* a connection's first stream is late by this */
	struct pair_rule rules[PAIR_RULES];
	unsigned rule_cnt;
	struct pair_end ends[PAIR_ENDS];
	unsigned end_cnt;
	unsigned conn_open_cnt; /* halves of connections */
	unsigned span_out_cnt;	/* lent and not given back */
	uint64_t seq;
	struct pair_event *queue;
	struct pair_conn *conns;
};

void pair_net_init(struct pair_net *net);
void pair_net_fini(struct pair_net *net);
/* pair_net_add: key is key_byte 32 times; 0 proves no key. The address is 10.0.0.<n>:7000. */
struct pair_end *pair_net_add(struct pair_net *net, uint8_t key_byte,
			      const struct transport_events *events, void *ctx);
struct addr pair_addr(unsigned n);
void pair_net_rule(struct pair_net *net, struct addr addr, enum pair_fate fate,
		   uint64_t extra_delay_ns);
/* pair_net_run lets the clock go on for len_ns. */
void pair_net_run(struct pair_net *net, uint64_t len_ns);

/* pair_net_give_token: every connection that end idx dialled and has gets a token. */
void pair_net_give_token(struct pair_net *net, unsigned idx, const void *data, size_t len);
/* pair_net_close_dialled ends, as by an idle timeout, sessions that end idx dialled. */
void pair_net_close_dialled(struct pair_net *net, unsigned idx);
/* pair_net_close_busy: the peers of those sessions have no place for them, for not_before_ms. */
void pair_net_close_busy(struct pair_net *net, unsigned idx, uint32_t not_before_ms);

#endif
