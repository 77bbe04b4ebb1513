/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_ENGINE_H
#define WEFT_QUIC_ENGINE_H

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>

#include "base/memory/arena.h"
#include "base/fair/fair_conns.h"
#include "base/memory/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "base/timer.h"
#include "quic/limits/backlog.h"
#include "quic/limits/quic_limits.h"
#include "quic/conn_path.h"
#include "quic/quic.h"
#include "tls/tls.h"
#include "weft/cid.h"
#include "weft/token.h"

/*
 * Private to quic/: the engine, its connections and streams, and what its
 * files call in each other. Everything runs on the worker that owns the
 * engine.
 */
#define QUIC_SECRET_LEN	    32
#define QUIC_REASON_LEN_MAX 64
/* Largest UDP payload that PMTUD tries: a 9000-byte link less IPv6 and UDP headers. */
#define QUIC_DGRAM_LEN_MAX 8952
/* The same for a 1500-byte link; sinks hold at least this much. */
#define QUIC_DGRAM_LEN_ETH 1452
/* Each path of QUIC carries this (RFC 9000 14). */
#define QUIC_SHORT_LEN NGTCP2_MAX_UDP_PAYLOAD_SIZE
/* A batch through a relay: at a flow's rates more is never due, and a label before each fits the sink. */
#define QUIC_RELAYED_BATCH_LEN 16384
/* Ids a peer may hold of one connection, retired but remembered ones included. */
#define QUIC_CONN_CID_CAP 16
/* Reset tokens of ids that we may be using towards a peer: current, probed, fallback. */
#define QUIC_CONN_TOKEN_CAP 6

/*
 * Which connection a datagram belongs to, asked in three ways. Ids of
 * this node are 16 bytes with a tag (weft/cid.h), and the ingress refuses a
 * forged one before any table is asked. The id that a client invents for its first
 * flight has no tag and its own table, which only long headers reach. And
 * a stateless reset is known by the token the peer once gave us.
 */
#define CID_ORIGIN_LEN_MAX  20 /* RFC 9000 17.2 */
#define CID_RESET_TOKEN_LEN 16

struct cid_origin {
	uint8_t len; /* 0: none */
	uint8_t data[CID_ORIGIN_LEN_MAX];
};

/*
 * Tags are keyed by generation. The newest four generations are honoured. A new
 * one may start only when the one it displaces has no living id, so a change loses
 * no connection. Keys are made of a secret and a count of hours. So all workers of
 * a node make the same ones. A node that starts again knows the ids of its last
 * life for those that it may reset.
 */
struct quic_cids {
	struct map ours;
	struct map origins;
	struct map reset_tokens;
	struct weft_cid_keys keys;
	uint32_t live_cnt[WEFT_CID_KEY_CNT]; /* ids in use, by generation % 4 */
	uint64_t secret[2];
	uint32_t epoch;	 /* of the newest generation, which is its last byte */
	void *last_conn; /* of last_cid: datagrams of one sender come in trains */
	uint8_t last_cid[WEFT_CID_LEN];
	uint16_t worker;
};

struct quic_cids_params {
	uint32_t conn_cap;
	uint16_t worker;
	uint32_t epoch;		/* the same for all workers of a node */
	uint64_t secret[2];	/* likewise, and in every life */
	uint64_t map_secret[2]; /* this engine's own */
};
WEFT_MUST_CHECK
int quic_cids_init(struct quic_cids *cids, struct arena *arena,
		   const struct quic_cids_params *params);
/* quic_cids_can_rotate: the generation that a new one displaces has no living id. */
bool quic_cids_can_rotate(const struct quic_cids *cids);
/* quic_cids_rotate starts a new generation. */
void quic_cids_rotate(struct quic_cids *cids);

/* quic_cids_issue makes a new id that leads to conn. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int quic_cids_issue(struct quic_cids *cids, struct random *random, void *conn,
		    uint8_t out_cid[static WEFT_CID_LEN]);
void quic_cids_retire(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN]);
/* quic_cids_lookup gives the connection that an id leads to, or NULL; the ingress checked the tag. */
void *quic_cids_lookup(struct quic_cids *cids, const uint8_t cid[static WEFT_CID_LEN]);

struct quic_stream {
	struct transport_stream transport; /* first: the seam's pointer is this one */
	struct quic_conn *conn;
	int64_t id;
	struct list_node all_link;			  /* conn->streams */
	struct list_node send_link;			  /* conn->sending */
	struct list_node starved_link;			  /* engine->starved */
	struct transport_span spans[TRANSPORT_SPANS_MAX]; /* oldest unacknowledged first */
	unsigned span_cnt;
	unsigned sent_idx;   /* the span that the next unsent byte is in */
	size_t sent_off;     /* and its place there */
	size_t acked_off;    /* acknowledged bytes of spans[0] */
	uint64_t acked_len;  /* acknowledged bytes in all */
	uint64_t unread_len; /* received and not yet given back as credit */
	uint64_t lent_len;   /* of it, what the connection has credit for already */
	bool is_sending;     /* on conn->starting or conn->sending */
	bool is_starting;    /* in its first turn: the former */
	size_t turn_len;     /* bytes of its turn that are left */
	bool is_fin_wanted;
	bool is_fin_sent;
	bool is_answered;     /* the peer's end has come */
	bool is_shut;	      /* the sending side was given up by either end */
	bool is_send_refused; /* the speaker waits for stream_writable */
	bool is_starved;      /* on engine->starved */
	bool is_gone;	      /* in its last event */
};

/*
 * A known token's statement about the peer that shows it, until TLS proves the
 * key.
 */
#define QUIC_TOKEN_CLAIM_KEY_LEN 8 /* to find another key that begins so takes 2^63 tries */
struct quic_token_claim {
	uint8_t key_head[QUIC_TOKEN_CLAIM_KEY_LEN];
	uint32_t met_s; /* wall clock */
};

enum quic_conn_state {
	QUIC_CONN_HANDSHAKE,
	QUIC_CONN_OPEN,
	QUIC_CONN_LINGER, /* closed: only ids and perhaps a close packet are left */
};

struct quic_conn {
	struct transport_conn transport; /* first: the seam's pointer is this one */
	struct quic_engine *engine;
	const struct transport_events *events; /* of its protocol's speaker, with its ctx */
	void *ctx;
	enum quic_conn_state state;
	ngtcp2_conn *ngtcp2; /* NULL in LINGER, as is ssl */
	ngtcp2_mem mem;	     /* the engine's functions, for this connection */
	size_t heap_len;     /* what it holds of the heap (quic_memory.c) */
	SSL *ssl;
	ngtcp2_crypto_ossl_ctx *ossl;
	ngtcp2_crypto_conn_ref ref;
	struct timer timer;
	struct list_node link;	   /* engine->ready, or engine->lingering */
	struct list_node streams;  /* of quic_stream, as the next two */
	uint64_t withheld_len;	   /* unread of all streams, and not lent */
	uint64_t lent_len;	   /* of all streams */
	struct list_node starting; /* streams in their first turn, which is short */
	struct list_node sending;  /* and in later ones */
	bool is_start_next;	   /* which has the next packet when both have streams */
	struct limit_count *key_count;
	struct addr local; /* at first, and again at the end; ngtcp2 knows better meanwhile */
	struct addr
		remote; /* dialled, or validated: where ngtcp2 sends may be neither (RFC 9000 9) */
	uint8_t peer_key[TRANSPORT_KEY_LEN]; /* the wanted, then the proved one */
	uint8_t actual_key[TRANSPORT_KEY_LEN];
	uint8_t cids[QUIC_CONN_CID_CAP][WEFT_CID_LEN];
	uint8_t reset_tokens[QUIC_CONN_TOKEN_CAP][CID_RESET_TOKEN_LEN];
	struct cid_origin origin;      /* the id a client invented for us */
	struct quic_token_claim claim; /* met_s 0: it showed no known token */
	struct fair_item share; /* of the handshakes while is_shaking, then of the connections */
	enum fair_class class;
	unsigned cid_cnt;
	unsigned reset_token_cnt;
	uint16_t half_open_place; /* while is_shaking; QUIC_HALF_OPEN_NONE: it showed a token */
	bool is_dialler;
	bool is_shaking;     /* accepted, its handshake is under way and counted */
	bool is_ready;	     /* on engine->ready */
	bool is_lingering;   /* on engine->lingering */
	bool is_announced;   /* conn_ready was raised */
	bool is_local_known; /* our address is no longer the kernel's choice */
	bool is_resumed;
	bool is_peer_checked;
	bool is_wrong_key;
	bool has_no_params; /* the ClientHello came without transport parameters */
	bool has_actual_key;
	bool has_heard;			   /* anything at all came back */
	unsigned unheard_cnt, unheard_max; /* datagrams sent before, and how many may be; 0: any */
	uint64_t unheard_ns;		   /* when the last of them was */
	bool is_peer_reset;		   /* ended by a stateless reset */
	const struct transport_close *end; /* during the speaker's last event; else NULL */
	bool is_condemned;    /* it holds most of a heap that is short, and is to end */
	bool is_close_wanted; /* the next flush ends it with the three fields below */
	bool is_open_refused; /* the speaker waits for conn_streams_available */
	int close_err;
	uint64_t close_code;
	char close_reason[QUIC_REASON_LEN_MAX + 1];
	uint8_t *close_packet; /* in LINGER, on the heap; NULL: only listen */
	size_t close_packet_len;
	uint32_t close_heard_cnt;    /* datagrams since the close */
	uint32_t key_prepared_cnt;   /* generations of packet keys made ready */
	uint64_t packets_since_keys; /* sent under the keys in use, about */
	uint64_t heard_ns;	     /* when a datagram came last */
	uint64_t read_ns;	     /* when ngtcp2 was given one last */
	uint64_t ahead_ns;	     /* of ngtcp2's clock before the engine's (probe.c) */
	uint64_t skipped_ns;	     /* of them, since a datagram came last */
	uint64_t deaf_until_ns;	     /* what comes before is of before a silence */
	uint64_t doubt_len;	     /* in flight when a silence ended, and nothing less since */
	unsigned doubt_cnt;	     /* probes for that */
	uint64_t probed_ns;	     /* when probe.c last sent something */
	uint64_t flight_ns;	     /* since when something is in flight, while has_flight */
	bool has_flight;
	bool has_left_out;	 /* a datagram, and has read none since */
	uint64_t awaited_ns;	 /* while is_awaiting: since when nothing of an answer has come */
	uint64_t asked_ns;	 /* when that was last asked about */
	bool is_awaiting;	 /* an answer, or the rest of one, may be owed */
	uint64_t moved_ns;	 /* when it last went to another path */
	unsigned unmeasured_cnt; /* PINGs left to learn that path's round trip; 0: it is known */
	bool is_validating;	 /* the path in use, which is a new one */
	bool is_data_written;	 /* the last packet has bytes of streams */
	bool is_batch_over;	 /* what is written ends with a packet of another path */
	bool is_path_back;	 /* while a probe is sent for that reason */
	bool is_probe_wanted;	 /* once the datagram that is read has been read */
	bool is_pinging;	 /* the keep-alive time is that of a PING now */
	struct quic_fallback fallback;
	struct quic_black_hole black_hole;
	struct quic_alias aliases[QUIC_ALIASES];
	unsigned alias_next;	 /* 0: there are none */
	uint16_t alias_port;	 /* the last one */
	uint64_t used_ns;	 /* bytes of a stream went or came */
	uint64_t burst_sent_len; /* since the pace was last kept (conn_write.c) */
};

/* probe.c: the rounds of quic_engine_wake. */
struct quic_wake {
	struct timer timer;
	struct quic_conn *at; /* the last of this round; its slot may be free by now */
	uint32_t slice_cnt;   /* connections of one slice */
	unsigned round;
	bool is_in_round;
	uint64_t began_ns, round_ns; /* when it was woken, and when the last round began */
	unsigned credit;
	uint64_t credit_ns;
};

struct quic_engine {
	struct transport transport; /* first: the seam's pointer is this one */
	struct quic_config config;
	const struct transport_events *events;
	void *ctx;
	struct quic_guest guest;
	struct random *random;
	struct dgram_sink *sink;
	quic_path_fn on_path;						/* may be NULL */
	size_t (*relayed_len_max)(void *ctx, const struct addr *label); /* may be NULL */
	void (*ask_relayed)(void *ctx, const struct addr *label);	/* may be NULL */
	void (*leg_silent)(void *ctx, const struct addr *label);	/* may be NULL */
	bool (*relabel)(void *ctx, struct addr *label);			/* may be NULL */
	bool (*is_limited)(void *ctx, const struct addr *remote);
	void *limited_ctx;
	void *path_ctx;
	size_t dgram_len_max; /* largest UDP payload any connection sends */
	uint64_t now_ns;
	struct arena arena;
	struct heap *heap;
	ngtcp2_mem mem;	       /* user_data is each connection's own */
	size_t heap_share_len; /* of the heap, that a connection may always hold */
	size_t excess_len;     /* held beyond their shares by all that are not condemned */
	size_t excess_cap;
	struct pool conns; /* open and dialled ones, handshakes, lingering ones together */
	struct pool streams;
	struct quic_cids cids;
	struct tls tls;
	struct quic_limits limits;
	struct timer_wheel wheel;
	struct quic_wake wake;
	struct list_node starved; /* quic_stream: the heap had no room for their bytes */
	uint32_t starved_cnt;
	bool is_memory_freed;	    /* since all of them were called */
	struct list_node ready;	    /* quic_conn: has something to write, or may have */
	struct list_node lingering; /* quic_conn, oldest first */
	uint32_t lingering_cnt;
	uint32_t linger_cap;
	struct fair_conns shares; /* of handshakes, those with a token of this node */
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	void *class_ctx;
	uint64_t reset_secrets[2][2]; /* for the halves of a token; outlive restarts */
	const struct node_key *key;
	uint64_t claim_secret[2];	   /* seals what known tokens say of their owner */
	struct weft_token_keys token_keys; /* of the days around token_day */
	uint32_t token_day;
	bool has_token_keys;
	uint64_t *
		seen[2]; /* known tokens that were shown, in this lifetime of tokens and the last */
	uint32_t seen_life;	       /* number of this lifetime */
	uint64_t wall_offset_ns;       /* wall clock less now_ns */
	uint64_t key_update_after_cnt; /* packets */
	struct backlog backlog;	       /* empty without load */
	bool is_serving;	       /* what is in the backlog */
	bool is_draining;
	uint64_t nat_keepalive_ns; /* 0: not known */
	bool is_sink_full;
	struct quic_stats stats; /* what is not read off pools and heap */
};

/*
 * quic_memory.c: the heap, how much each connection may hold, and the streams that
 * wait for it. alloc takes on conn's account; NULL: none is left, or conn holds
 * the most and ends. release takes it back, and NULL. window_len is the receive
 * window of a connection that begins now. It is wanted_len, but at most a
 * divisor-th of the memory that all may hold beyond their shares. await puts
 * stream in line for stream_writable, and forget takes it out. wake raises it
 * where memory was freed meanwhile; is_due says that wake has something to do.
 */
WEFT_MUST_CHECK
int quic_memory_init(struct quic_engine *engine, size_t cap);
void *quic_memory_alloc(struct quic_conn *conn, size_t len);
void quic_memory_release(struct quic_conn *conn, void *block);
uint64_t quic_memory_window_len(const struct quic_engine *engine, uint64_t wanted_len,
				unsigned divisor);
void quic_memory_await(struct quic_stream *stream);
void quic_memory_forget(struct quic_stream *stream);
void quic_memory_wake(struct quic_engine *engine);
bool quic_memory_is_due(const struct quic_engine *engine);

/*
 * quic_path.c: struct addr to and from what ngtcp2 compares. A path points
 * into its storage.
 */
void quic_path_init(ngtcp2_path_storage *storage, const struct addr *local,
		    const struct addr *remote);
void quic_path_addr(const ngtcp2_addr *from, struct addr *out_addr);
/* quic_path_tell: datagrams are expected from path's remote address. */
void quic_path_tell(const struct quic_engine *engine, const ngtcp2_path *path);

/*
 * conn.c: making.
 * accept makes a connection for a first Initial; NULL when something is
 *     full, and what accept holds stays the caller's.
 * want_write puts conn on the ready list; rearm sets its timer.
 */
struct quic_retry;
struct quic_accept {
	const ngtcp2_pkt_hd *hd;
	const struct quic_retry *retry;	      /* NULL: the client was asked for none */
	const struct quic_token_claim *claim; /* NULL: it showed no known token */
	uint16_t half_open_place;	      /* QUIC_HALF_OPEN_NONE: it showed a token */
};
struct quic_conn *quic_conn_accept(struct quic_engine *engine, const struct dgram *dgram,
				   const struct quic_accept *accept);
int quic_conn_dial(struct quic_engine *engine, const struct transport_dial *dial,
		   struct quic_conn **out_conn);
void quic_conn_want_write(struct quic_conn *conn);
void quic_conn_rearm(struct quic_conn *conn);
/*
 * quic_conn_see_path: conn may be on another path. To one that it was on in the last ten minutes ngtcp2
 * goes without validation, and without a word.
 */
void quic_conn_see_path(struct quic_conn *conn);
void quic_conn_rebind(struct quic_conn *conn, const struct addr *local);
bool quic_conn_move(struct quic_conn *conn, const struct addr *local, const struct addr *remote);
/* quic_conn_end_handshake takes conn out of the counts of handshakes, if it is in them. */
void quic_conn_end_handshake(struct quic_conn *conn);

/*
 * probe.c: packets that are to be answered, before ngtcp2 would send any.
 * silent_ns: since when what is in flight could have been answered, while has_flight.
 * send sends one in the next flush; 0, or the ngtcp2 error that ends conn. ping:
 *     a PING, where the congestion window has room.
 * was_sent: a packet left, or none could.
 * doubt: a datagram came; what is in flight is in doubt if conn was silent for
 *     patience_ns before. leaves_out: the datagram is not to be read. heard:
 *     it was, or was left out; returns as send does.
 * note_flight: a packet left, or nothing is left to write.
 * await: bytes of an answer came. next_ns: when expire is to be called, which
 *     returns as send does.
 */
/* quic_probe_measure: a datagram was read on a path whose round trip is not known yet. */
#define QUIC_MEASURE_MAX 4
void quic_probe_measure(struct quic_conn *conn);
uint64_t quic_probe_in_flight_len(const struct quic_conn *conn);
uint64_t quic_probe_silent_ns(const struct quic_conn *conn);
uint64_t quic_probe_patience_ns(const struct quic_conn *conn);
WEFT_MUST_CHECK
int quic_probe_send(struct quic_conn *conn);
int quic_probe_path_is_back(struct quic_conn *conn);
void quic_probe_ping(struct quic_conn *conn);
void quic_probe_was_sent(struct quic_conn *conn);
void quic_probe_doubt(struct quic_conn *conn);
bool quic_probe_leaves_out(struct quic_conn *conn, const struct dgram *dgram);
WEFT_MUST_CHECK
int quic_probe_heard(struct quic_conn *conn, bool is_read);
void quic_probe_note_flight(struct quic_conn *conn, bool did_send);
void quic_probe_await(struct quic_conn *conn);
uint64_t quic_probe_next_ns(const struct quic_conn *conn);
void quic_probe_expire(struct quic_conn *conn);
void quic_wake_init(struct quic_engine *engine);
/* quic_conn_clock_ns: the time as ngtcp2 has it for conn. */
static inline uint64_t quic_conn_clock_ns(const struct quic_conn *conn)
{
	return conn->engine->now_ns + conn->ahead_ns;
}

/*
 * black_hole.c. len: how long the next packet may be, of at most cap bytes; vecs is what it may carry.
 * wrote: it has len bytes, some of them stream's (NULL: of none). acked: bytes of stream arrived. look:
 * after a write. doubt: the path is silent, and what is to find out why is short. moved: the path is
 * another one. next_ns: when expire is to be called, which returns
 * as quic_probe_send does. path_len: what the path carries, as far as is known.
 */
size_t quic_black_hole_len(struct quic_conn *conn, size_t cap, const ngtcp2_vec *vecs,
			   unsigned cnt);
void quic_black_hole_wrote(struct quic_conn *conn, const struct quic_stream *stream, size_t len);
void quic_black_hole_acked(struct quic_stream *stream);
void quic_black_hole_look(struct quic_conn *conn);
void quic_black_hole_doubt(struct quic_conn *conn);
void quic_black_hole_moved(struct quic_conn *conn);
uint64_t quic_black_hole_next_ns(const struct quic_conn *conn);
WEFT_MUST_CHECK
int quic_black_hole_expire(struct quic_conn *conn);
size_t quic_black_hole_path_len(const struct quic_conn *conn);

/*
 * quic_share.c: which connections hold places in shares. release leaves one without a place
 * alone. charge: conn's handshake is complete, so its address and its key are proven.
 */
WEFT_MUST_CHECK
int quic_share_init(struct quic_engine *engine, uint32_t handshake_cap);
void quic_share_charge(struct quic_conn *conn);
void quic_share_release(struct quic_conn *conn);
void quic_share_stats(const struct quic_engine *engine, struct quic_stats *out_stats);
/* quic_conn_class: what the speaker and the token say of the proved key now (conn_events.c). */
enum fair_class quic_conn_class(const struct quic_conn *conn);

/*
 * conn_events.c: the table ngtcp2 calls, the tickets OpenSSL hands out, and
 * its look at a ClientHello.
 * refuse: a rule of this node is against the peer, which gets an application
 * close in the next flush.
 */
extern const ngtcp2_callbacks quic_conn_callbacks;
void quic_conn_refuse(struct quic_conn *conn, uint64_t code, const char *reason);
int quic_conn_keep_session(SSL *ssl, SSL_SESSION *session);
int quic_conn_check_hello(SSL *ssl, int *alert, void *arg);

/*
 * engine.c: turn: it is now_ns, or later. unvalidated_cap: handshakes without a token that may be
 * under way. engine_input.c: serve_waiting takes handshakes out of the backlog.
 */
void quic_engine_turn(struct quic_engine *engine, uint64_t now_ns);
uint32_t quic_engine_unvalidated_cap(const struct quic_engine *engine);
void quic_engine_serve_waiting(struct quic_engine *engine);

/* conn_ids.c: a connection's share of the id tables. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int quic_conn_issue_cid(struct quic_conn *conn, uint8_t out_cid[static WEFT_CID_LEN]);
void quic_conn_retire_cid(struct quic_conn *conn, const uint8_t cid[static WEFT_CID_LEN]);
void quic_conn_retire_cids(struct quic_conn *conn);
WEFT_MUST_CHECK
int quic_conn_set_origin(struct quic_conn *conn, const ngtcp2_cid *cid);
void quic_conn_learn_reset_token(struct quic_conn *conn, const uint8_t *token);
void quic_conn_forget_reset_token(struct quic_conn *conn, const uint8_t *token);
void quic_conn_forget_reset_tokens(struct quic_conn *conn);

/*
 * conn_write.c: one batch of conn's packets into the sink.
 */
enum quic_written {
	QUIC_WRITTEN,	    /* and there may be more */
	QUIC_WRITTEN_QUIET, /* nothing to write now; the timer is set */
	QUIC_WRITTEN_FULL,  /* the sink took nothing */
	QUIC_WRITTEN_GONE,  /* conn ended and must not be touched */
};
enum quic_written quic_conn_write(struct quic_conn *conn);
/*
 * quic_conn_is_mute: the peer was never heard, and no more may be sent to it
 * before it is.
 */
bool quic_conn_is_mute(const struct quic_conn *conn);
/* For the last datagram of a mute connection to be answered: what a handshake waits at first. */
#define QUIC_MUTE_WAIT_NS (1000ull * 1000 * 1000)

/*
 * conn_end.c: shut ends conn for an ngtcp2 error, or 0 for the request in
 * close_*: packet, last events, linger. release forgets a lingering one.
 * abandon is silent, for a half-built connection and quic_engine_free.
 */
void quic_conn_shut(struct quic_conn *conn, int liberr);
void quic_conn_abandon(struct quic_conn *conn);
void quic_conn_input_lingering(struct quic_conn *conn);
void quic_conn_release(struct quic_conn *conn);

/*
 * quic_stream.c: release gives spans back and forgets the stream; close raises
 * the last event first. unsent fills vecs and returns how many; sent says
 * that len bytes of them, and with all of them the end, are in packets.
 * Streams that send take turns of so many bytes (quic_stream.c).
 * send and send_copy as the seam says; writable ends the wait of a
 * speaker that they refused.
 */
struct quic_stream *quic_stream_new(struct quic_conn *conn, int64_t id);
void quic_stream_release(struct quic_stream *stream);
void quic_stream_close(struct quic_stream *stream, uint64_t code);
/* quic_stream_credit: the speaker used len bytes of what is unread; the connection has credit for them. */
void quic_stream_credit(struct quic_stream *stream, uint64_t len);
unsigned quic_stream_unsent(const struct quic_stream *stream,
			    ngtcp2_vec vecs[static TRANSPORT_SPANS_MAX]);
void quic_stream_sent(struct quic_stream *stream, size_t len);
/* quic_stream_sent_len: bytes of stream that are in packets, in all. */
uint64_t quic_stream_sent_len(const struct quic_stream *stream);
void quic_stream_want_write(struct quic_stream *stream);
void quic_stream_stop_write(struct quic_stream *stream);
/* quic_stream_next: the stream that has the next packet of conn; NULL: none. */
struct quic_stream *quic_stream_next(struct quic_conn *conn);
int quic_stream_send(struct quic_stream *stream, const struct transport_span *span);
int quic_stream_send_copy(struct quic_stream *stream, const void *data, size_t len);
void quic_stream_writable(struct quic_stream *stream);
int quic_stream_on_open(ngtcp2_conn *ngtcp2, int64_t id, void *user);
int quic_stream_on_data(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t offset,
			const uint8_t *data, size_t len, void *user, void *stream_user);
int quic_stream_on_acked(ngtcp2_conn *ngtcp2, int64_t id, uint64_t offset, uint64_t len, void *user,
			 void *stream_user);
int quic_stream_on_reset(ngtcp2_conn *ngtcp2, int64_t id, uint64_t final_size, uint64_t code,
			 void *user, void *stream_user);
int quic_stream_on_close(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t code, void *user,
			 void *stream_user);
int quic_stream_on_credit(ngtcp2_conn *ngtcp2, uint64_t max_streams, void *user);
int quic_stream_on_window(ngtcp2_conn *ngtcp2, int64_t id, uint64_t max_data, void *user,
			  void *stream_user);

/* quic_transport.c */
extern const struct transport_ops quic_transport_ops;

/*
 * stateless.c: datagrams that leave no state behind. Each takes credit from
 * that of all of its kind and is never larger than what triggered it.
 */
void quic_answer_version(struct quic_engine *engine, const struct dgram *dgram,
			 const ngtcp2_version_cid *ids);
void quic_answer_retry(struct quic_engine *engine, const struct dgram *dgram,
		       const ngtcp2_pkt_hd *hd);
void quic_answer_refuse(struct quic_engine *engine, const struct dgram *dgram,
			const ngtcp2_pkt_hd *hd, uint64_t code);
void quic_answer_reset(struct quic_engine *engine, const struct dgram *dgram,
		       const uint8_t cid[static WEFT_CID_LEN]);
/* quic_reset_token is the same for one id in every life of the node (RFC 9000 10.3.2). */
void quic_reset_token(const struct quic_engine *engine, const uint8_t cid[static WEFT_CID_LEN],
		      uint8_t out_token[static CID_RESET_TOKEN_LEN]);

/*
 * address_token.c: what the token of an Initial says (RFC 9000 8.1). A valid one
 * alone knows the Retry before it: its sender kept nothing, and
 * both ids go into the transport parameters (7.3).
 */
struct quic_retry {
	ngtcp2_cid original; /* destination of the client's first Initial */
	ngtcp2_cid scid;     /* the id that the Retry gave it instead */
};
enum quic_token {
	QUIC_TOKEN_NONE,  /* none, or a foreign one: the address is not validated */
	QUIC_TOKEN_VALID, /* our Retry reached this address a moment ago */
	QUIC_TOKEN_KNOWN, /* a session of this node had this address not long ago */
	QUIC_TOKEN_BAD,	  /* this node's, for another address, connection or time */
};
/*
 * quic_token_init: the memory of known tokens that were shown.
 * quic_token_use: false, when this one was shown before, or is mistaken for one.
 */
WEFT_MUST_CHECK
int quic_token_init(struct quic_engine *engine);
bool quic_token_use(struct quic_engine *engine, const uint8_t token[static WEFT_TOKEN_LEN]);
/* *out_retry is written for VALID, *out_claim for KNOWN. */
enum quic_token quic_token_check(struct quic_engine *engine, const struct addr *remote,
				 const ngtcp2_pkt_hd *hd, struct quic_retry *out_retry,
				 struct quic_token_claim *out_claim);
/* quic_token_retry: what a Retry for an Initial to dcid says. False when OpenSSL fails. */
struct quic_retry_answer {
	ngtcp2_cid scid;
	uint8_t token[WEFT_TOKEN_LEN];
};
bool quic_token_retry(struct quic_engine *engine, const struct addr *remote, const ngtcp2_cid *dcid,
		      struct quic_retry_answer *out_answer);
/* quic_token_known: for the next Initial from remote of the peer that claim names. As above. */
bool quic_token_known(struct quic_engine *engine, const struct addr *remote,
		      const struct quic_token_claim *claim,
		      uint8_t out_token[static WEFT_TOKEN_LEN]);
/* The wall clock, in seconds. */
uint32_t quic_token_wall_s(const struct quic_engine *engine);
/* A peer that is known since met_s is no unvalidated source now. */
bool quic_token_is_known(const struct quic_engine *engine, uint32_t met_s);
/* quic_token_keys_turn derives the keys of a new day. 0 or WEFT_EFULL, with the old ones kept. */
WEFT_MUST_CHECK
int quic_token_keys_turn(struct quic_engine *engine);

#endif
