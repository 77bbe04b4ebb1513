/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_STATE_H
#define WEFT_TCP_TCP_STATE_H

#include <openssl/ssl.h>

#include "base/fair/fair_conns.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/heap.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "tcp/tcp.h"
#include "tcp/tcp_frame.h"
#include "tcp/tcp_proxy.h"
#include "tls/tls.h"

/*
 * Private to tcp/: the engine, its connections and streams, and what its files call in each other.
 * Everything runs on the worker that owns the engine.
 */

/* One TLS record with its head and tag, and room to spare. */
#define TCP_RECORD_CAP (TCP_FRAME_RECORD_LEN + 256)
/*
 * Records of a connection that its link has not taken. Frames are made while fewer than
 * TCP_RECORDS_FULL wait; the rest is for TLS's own words, which a peer causes without reading them.
 */
#define TCP_RECORDS_FULL 8
#define TCP_RECORDS_MAX	 10
/* A handshake's part: one flight. */
#define TCP_RECORDS_SHAKING 3

struct tcp_record {
	struct list_node link;
	uint32_t off, len; /* [off, len) waits */
	uint8_t data[TCP_RECORD_CAP];
};

struct tcp_dgram_slot {
	struct list_node link; /* conn->dgrams */
	struct list_node age;  /* engine->dgrams_by_age */
	struct tcp_conn *conn;
	uint64_t queued_ns;
	uint16_t len;
	uint8_t ecn;
	uint8_t data[TCP_DGRAM_LEN_MAX];
};

struct tcp_stream {
	struct transport_stream transport; /* first: the seam's pointer is this one */
	struct tcp_conn *conn;
	uint32_t id;		       /* 0: nothing of it is on the wire yet */
	struct list_node all_link;     /* conn->streams */
	struct list_node send_link;    /* conn->starting or conn->sending */
	struct list_node due_link;     /* conn->due */
	struct list_node starved_link; /* engine->starved */
	struct transport_span spans[TRANSPORT_SPANS_MAX];
	unsigned span_cnt;
	size_t span_off;    /* sent bytes of spans[0] */
	uint64_t send_left; /* credit that the peer gave and nothing used */
	uint64_t sent_len;  /* in all */
	uint64_t acked_len;
	uint64_t mark_len; /* sent_len when the connection's TLS bytes were mark_at */
	uint64_t mark_at;
	uint64_t recv_left;  /* credit that the peer has left */
	uint64_t unread_len; /* given to the speaker, which has not used it */
	uint64_t owed_len;   /* used, and not given back as credit */
	uint64_t window_len; /* what the peer may have under way */
	uint64_t credit_ns;  /* when credit was given last */
	size_t turn_len;     /* bytes of its turn that are left */
	uint64_t reset_code;
	bool is_own; /* this side opened it */
	bool is_marked;
	bool is_sending; /* on a list of conn's, by send_link */
	bool is_starting;
	bool is_due;	 /* on conn->due */
	bool is_starved; /* on engine->starved */
	bool is_credit_due;
	bool is_reset_due;
	bool is_fin_wanted, is_fin_sent;
	bool is_answered;     /* the peer's end has come */
	bool is_shut;	      /* the speaker gave it up */
	bool is_send_refused; /* the speaker waits for stream_writable */
	bool is_gone;	      /* in its last event */
};

enum tcp_conn_state {
	TCP_CONN_CONNECTING,
	TCP_CONN_SHAKING,
	TCP_CONN_OPEN,
	TCP_CONN_LINGER, /* its speaker has heard the end; records may wait */
};

/* A stream by its number, as a map's key. */
struct tcp_stream_name {
	uint64_t conn;
	uint32_t id;
	uint32_t zero;
};

struct tcp_conn {
	struct transport_conn transport; /* first: the seam's pointer is this one */
	struct tcp_engine *engine;
	enum tcp_conn_state state;
	struct tcp_links *links;
	struct tcp_link *link;
	SSL *ssl; /* NULL: not connected yet, or no word has come */
	struct timer timer;
	struct list_node ready_link;  /* engine->ready */
	struct list_node linger_link; /* engine->lingering */
	struct list_node streams, starting, sending, due;
	struct list_node records;
	unsigned record_cnt;
	struct list_node dgrams; /* of struct tcp_dgram_slot, the oldest first */
	unsigned dgram_cnt;
	const uint8_t *in; /* bytes that TLS may read, during input */
	size_t in_len;
	struct tcp_frame_reader reader;
	struct addr local, remote;
	uint8_t peer_key[TRANSPORT_KEY_LEN]; /* the wanted, then the proved one */
	uint8_t actual_key[TRANSPORT_KEY_LEN];
	struct fair_item share; /* of the handshakes while is_shaking, then of the connections */
	enum fair_class class;
	uint32_t next_id, next_peer_id;	       /* of streams */
	unsigned own_cnt, peer_cnt;	       /* streams open, by the side that opened them */
	uint32_t refused_ids[TCP_STREAMS_MAX]; /* resets due, of what is no object; in peer_cnt */
	unsigned refused_cnt;
	uint64_t began_ns, heard_ns, pinged_ns, wrote_ns, linger_ns;
	uint64_t sent_len, received_len; /* bytes of the link */
	uint64_t tls_len;		 /* bytes that TLS made, sent or not */
	size_t copied_len;		 /* of the heap */
	uint8_t pong[TCP_FRAME_PING_LEN];
	bool is_pong_due, is_ping_due;
	bool is_proxied;  /* dialled through the proxy */
	bool is_expected; /* accepted, and only of peer_key */
	bool is_narrow;	  /* on a line: little is on its way at once */
	bool is_dialler, is_shaking, is_ready, is_announced, is_resumed;
	bool is_blocked;    /* the link takes nothing now */
	bool is_start_next; /* which list has the next frame when both have streams */
	bool has_actual_key;
	bool has_key_place;		   /* counted in engine->key_counts */
	bool is_open_refused;		   /* the speaker waits for conn_streams_available */
	bool is_overfull;		   /* TLS had more to say than TCP_RECORDS_MAX hold */
	bool is_close_wanted;		   /* the next flush ends it with the fields below */
	bool is_shut;			   /* LINGER: the link knows that nothing follows */
	const struct transport_close *end; /* during the speaker's last event */
	int close_err;
	uint64_t close_code;
	uint32_t close_not_before_ms;
	char close_reason[TCP_FRAME_REASON_MAX + 1];
};

/* A key that has connections. */
struct tcp_key_count {
	uint8_t key[TRANSPORT_KEY_LEN];
	uint32_t cnt;
};

struct tcp_engine {
	struct transport transport; /* first: the seam's pointer is this one */
	struct tcp_config config;
	const struct transport_events *events;
	void *ctx;
	struct tcp_links *links, *lines; /* NULL: none */
	bool (*refuses)(void *ctx, const struct addr *remote);
	bool (*is_limited)(void *ctx, const struct addr *remote);
	void *refuses_ctx;
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	void *class_ctx;
	void (*pass)(void *ctx, const struct tcp_passed *passed);
	void *pass_ctx;
	uint64_t now_ns;
	struct arena arena;
	struct heap *heap;
	struct pool conns;
	struct pool streams;
	struct pool records;
	struct pool key_counts;
	struct map key_count_by_key;
	struct map stream_by_id; /* of struct tcp_stream_name */
	struct pool dgrams;
	struct list_node dgrams_by_age; /* all that wait, the oldest first */
	struct map
		conn_by_name; /* TCP_NAME_LEN bytes of a key -> its newest open struct tcp_conn */
	void (*on_dgram)(void *ctx, const uint8_t *key, const struct tcp_dgram *dgram,
			 uint64_t now_ns);
	void *dgram_ctx;
	struct tls tls;
	BIO_METHOD *bio;
	struct timer_wheel wheel;
	struct list_node ready;	    /* tcp_conn: has something to write, or may have */
	struct list_node lingering; /* tcp_conn, oldest first */
	uint32_t lingering_cnt;	    /* at most tcp_config_linger_cap */
	struct list_node starved;   /* tcp_stream: the heap had no room for its bytes */
	bool is_memory_freed;
	bool is_draining;
	unsigned shake_cnt; /* inputs to handshakes in this turn */
	struct fair_conns shares;
	uint8_t *plain; /* TCP_FRAME_RECORD_LEN: what TLS gave, or is to have */
	struct tcp_stats stats;
	struct tcp_proxy_view proxy;
};

/* tcp_config_linger_cap: connections that linger, at most. */
uint32_t tcp_config_linger_cap(const struct tcp_config *config);

/* tcp_conn.c: making and feeding. */
struct tcp_conn *tcp_conn_of(const struct transport_conn *transport);
bool tcp_conn_is_usable(const struct tcp_conn *conn);
int tcp_conn_dial(struct tcp_engine *engine, const struct transport_dial *dial,
		  struct tcp_conn **out_conn);
void tcp_conn_want_write(struct tcp_conn *conn);
void tcp_conn_rearm(struct tcp_conn *conn);
/* tcp_conn_refuse: the next flush ends conn with a word to its peer. */
void tcp_conn_refuse(struct tcp_conn *conn, uint64_t code, const char *reason);
enum fair_class tcp_conn_class(const struct tcp_conn *conn);

/*
 * tcp_conn_end.c: shut ends conn now: last events, then it lingers while is_told (a CLOSE is
 * among its records), or is gone. release forgets it; abandon is silent.
 */
void tcp_conn_shut(struct tcp_conn *conn, const struct transport_close *close, bool is_told);
/* tcp_conn_linger: a connection that lingers has time for its last records, from now. */
void tcp_conn_linger(struct tcp_conn *conn);
/* tcp_conn_finish: what is_close_wanted asks for. */
void tcp_conn_finish(struct tcp_conn *conn);
void tcp_conn_peer_closed(struct tcp_conn *conn, const struct tcp_frame *frame);
/* tcp_conn_lost: the link ended without a CLOSE. tcp_conn_break: the peer broke a rule. */
void tcp_conn_lost(struct tcp_conn *conn);
void tcp_conn_break(struct tcp_conn *conn, const char *reason);
void tcp_conn_release(struct tcp_conn *conn);
void tcp_conn_abandon(struct tcp_conn *conn);

/* tcp_handshake.c: TLS. start makes it; step goes on: false, conn is gone. */
WEFT_MUST_CHECK
int tcp_handshake_start(struct tcp_conn *conn);
bool tcp_handshake_step(struct tcp_conn *conn);
int tcp_handshake_keep_session(SSL *ssl, SSL_SESSION *session);
/* tcp_handshake_leave gives back the place of conn's key. */
void tcp_handshake_leave(struct tcp_conn *conn);

/* tcp_input.c: frames to events. False: conn is gone. */
bool tcp_input_frames(struct tcp_conn *conn);

/*
 * tcp_output.c: bio makes the method by which TLS reads conn->in and writes records. fill makes one
 * record of frames; false: there is nothing to send, or no room. write gives records to the link.
 */
BIO_METHOD *tcp_output_bio(void);
bool tcp_output_fill(struct tcp_conn *conn);
enum tcp_written {
	TCP_WRITTEN,	   /* and there is more */
	TCP_WRITTEN_QUIET, /* nothing is left, or the link takes nothing */
	TCP_WRITTEN_GONE,  /* conn ended */
};
enum tcp_written tcp_output_write(struct tcp_conn *conn);
void tcp_output_drop(struct tcp_conn *conn);

/*
 * tcp_dgram.c: enter: conn is the newest one of its key. leave: it is open no more, and what waits is
 * dropped. input: a frame with a datagram came. fill writes frames while they fit before limit.
 */
WEFT_MUST_CHECK
int tcp_dgram_init(struct tcp_engine *engine, const uint64_t secret[2]);
void tcp_dgram_enter(struct tcp_conn *conn);
void tcp_dgram_leave(struct tcp_conn *conn);
void tcp_dgram_input(struct tcp_conn *conn, const struct tcp_frame *frame);
void tcp_dgram_fill(struct tcp_conn *conn, struct writer *w, const uint8_t *limit);

/*
 * tcp_stream.c: new: of conn, not named yet. name gives id; 0 or WEFT_EFULL. close raises the last
 * event. due: a control frame is to go. next: the stream that has the next frame.
 */
struct tcp_stream *tcp_stream_new(struct tcp_conn *conn, bool is_own);
WEFT_MUST_CHECK
int tcp_stream_name(struct tcp_stream *stream, uint32_t id);
struct tcp_stream *tcp_stream_lookup(const struct tcp_conn *conn, uint32_t id);
void tcp_stream_release(struct tcp_stream *stream);
void tcp_stream_close(struct tcp_stream *stream, uint64_t code);
void tcp_stream_due(struct tcp_stream *stream);
void tcp_stream_want_write(struct tcp_stream *stream);
void tcp_stream_stop_write(struct tcp_stream *stream);
struct tcp_stream *tcp_stream_next(struct tcp_conn *conn);
/* tcp_stream_take copies up to cap bytes to send, and calls done of spans that are through. */
size_t tcp_stream_take(struct tcp_stream *stream, uint8_t *dst, size_t cap);
size_t tcp_stream_unsent(const struct tcp_stream *stream);
int tcp_stream_send(struct tcp_stream *stream, const struct transport_span *span);
int tcp_stream_send_copy(struct tcp_stream *stream, const void *data, size_t len);
void tcp_stream_consume(struct tcp_stream *stream, uint64_t len);
uint64_t tcp_stream_acked(struct tcp_stream *stream);
/* tcp_stream_wake raises stream_writable where memory was freed. */
void tcp_stream_wake(struct tcp_engine *engine);

/* tcp_share.c: which connections hold places in shares. As quic/limits/quic_share.c. */
WEFT_MUST_CHECK
int tcp_share_init(struct tcp_engine *engine, struct random *random);
void tcp_share_charge(struct tcp_conn *conn, uint32_t price);
void tcp_share_release(struct tcp_conn *conn);
void tcp_share_stats(const struct tcp_engine *engine, struct tcp_stats *out_stats);

/* tcp_transport.c */
extern const struct transport_ops tcp_transport_ops;

#endif
