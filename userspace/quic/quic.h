/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_QUIC_QUIC_H
#define WEFT_QUIC_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dgram.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "base/transport.h"
#include "weft/err.h"

struct load;
struct node_key;
struct weft_cid_keys;
struct random;

/*
 * QUIC v1 (RFC 9000, 9001, 9002) between Ed25519 keys, without I/O:
 * datagrams, the time and a sink go in; streams come out through struct
 * transport_events. One engine belongs to one worker.
 *
 * TLS 1.3 by raw public keys (RFC 7250). A self-signed X.509 certificate
 * with the same kind of key is accepted, and offered to peers that cannot
 * do raw keys. A client without such a key gets its handshake and then
 * QUIC_CLOSE_NO_KEY; the speaker gets no event.
 *
 * Where the seam leaves room: A connection that the speaker refuses from
 * conn_ready still ends with conn_closed. A stream refused from
 * stream_opened is reset and not mentioned again. An empty span is given
 * back inside send. A dial that nothing ever answered ends with
 * WEFT_EUNREACHABLE, one that stalled with WEFT_ETIMEOUT. Data queued
 * when close is called goes first, as far as the window allows.
 */
struct quic_engine;

enum quic_congestion { QUIC_CUBIC, QUIC_BBR };

/* A peer that came and went just now proves little: so does a crowd of unvalidated sources. */
#define QUIC_KNOWN_AFTER_S 3600

struct quic_config {
	struct fair_site site;	      /* limits.site: connections are shared by its networks */
	uint32_t conn_cap;	      /* connections in all, beside handshakes */
	uint32_t conn_per_key_cap;    /* of them, of one key */
	uint32_t stream_per_conn_cap; /* bidirectional streams a peer may have open */
	uint32_t stream_cap;	      /* streams in all */
	/*
	 * Handshakes without a token beyond which a Retry is demanded. In any
	 * case at most a quarter of conn_cap, and 8 of a prefix (v4 /32, v6
	 * /64).
	 */
	uint32_t retry_above_cnt;
	uint64_t handshake_timeout_ns;
	uint64_t idle_timeout_ns;
	uint64_t keepalive_ns;	 /* 0: none */
	uint64_t window_len_min; /* receive window per connection at start, bytes */
	uint64_t window_len_max; /* and at most; both are less while the heap fills */
	size_t heap_cap;	 /* bytes for ngtcp2's objects, data out of order among them */
	enum quic_congestion congestion;
	bool is_pmtud_on;
	uint16_t worker; /* goes into connection ids */
};

void quic_config_defaults(struct quic_config *config);

/* Counters and fills, for status, limits and metrics. */
struct quic_stats {
#define FIGURE FIGURE_FIELD
#include "quic/quic_counters.def"
	struct fair_view conns, handshakes;	       /* of those with a token */
	struct addr conns_largest, handshakes_largest; /* of the account that pays next, or none */
};

/*
 * quic_path_fn gets the remote address of a path on which datagrams of a
 * connection are expected; it may not call the engine.
 */
typedef void (*quic_path_fn)(void *ctx, const struct addr *remote);

/*
 * quic_engine_new. key, events and random are borrowed for the engine's
 * life; ctx is handed to every event.
 * Returns 0 with *out_engine, -errno, or WEFT_EFULL (TLS set-up failed).
 */
struct quic_engine_params {
	struct quic_config config;
	const struct node_key *key;
	const struct transport_events *events;
	void *ctx;
	struct random *random;
	struct dgram_sink *sink;
	uint32_t cid_epoch; /* hours of the wall clock at start, the same for all workers */
	/* A connection is dialled to remote, or proved that it is there; may be NULL. */
	quic_path_fn on_path;
	/* The longest packet that a relay's flow carries, of a label (ADDR_RELAY). NULL: there are none. */
	size_t (*relayed_len_max)(void *ctx, const struct addr *label);
	/*
	 * The path of an accepted connection that came from label is silent. Its peer is to be asked
	 * through that relay to write. May be NULL.
	 */
	void (*ask_relayed)(void *ctx, const struct addr *label);
	/* The path of a connection on label is silent: perhaps the leg to the relay is. May be NULL. */
	void (*leg_silent)(void *ctx, const struct addr *label);
	/*
	 * A dialled connection goes back to label, and is to take another label of that flow: ngtcp2
	 * validates no path that it knows. False: the flow is not open. May be NULL.
	 */
	bool (*relabel)(void *ctx, struct addr *label);
	void *path_ctx;
	/*
	 * Asked at each Initial: does its address have one connection in all, which begins with
	 * a Retry? Not asked for a known peer with a token. NULL: no address has.
	 */
	bool (*is_limited)(void *ctx, const struct addr *remote);
	void *limited_ctx;
	/*
	 * The class of a proved key at this node, asked when its connection
	 * opens. NULL: its token says.
	 */
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	void *class_ctx;
	/*
	 * The accounts of costs and refusals (base/fair/load.h). They order the crypto of handshakes,
	 * which then waits for the next flush. NULL: nothing is counted, nothing waits.
	 */
	struct load *load;
	uint64_t now_ns;
	uint64_t wall_s; /* wall clock at now_ns, for tokens */
};
WEFT_MUST_CHECK
int quic_engine_new(const struct quic_engine_params *params, struct quic_engine **out_engine);
/* quic_engine_free drops connections without a word; close them first to be polite. */
void quic_engine_free(struct quic_engine *engine);

/*
 * quic_engine_serve: accepted connections of a further protocol, by its ALPN (static), raise the events of
 * another speaker. One protocol, once; events NULL: its connections end, and raise none any more.
 * 0, WEFT_EEXISTS or WEFT_EFULL.
 */
struct quic_guest {
	const char *alpn;
	const struct transport_events *events;
	void *ctx;
};
WEFT_MUST_CHECK
int quic_engine_serve(struct quic_engine *engine, const struct quic_guest *guest);
/* quic_engine_transport: the engine as what mesh/ speaks over. */
struct transport *quic_engine_transport(struct quic_engine *engine);
/* quic_engine_set_sink: sending moved to another backend. */
void quic_engine_set_sink(struct quic_engine *engine, struct dgram_sink *sink);

/* quic_engine_set_wall: the wall clock jumped or drifted; now_ns is wall_s. */
void quic_engine_set_wall(struct quic_engine *engine, uint64_t wall_s, uint64_t now_ns);
/*
 * quic_engine_token_keys: those under which tokens of Initials are made and
 * taken now (weft/token.h). They follow from the node's key and the day, so
 * all workers and all lives of a node have the same. Ask again when the day
 * of the wall clock has changed. 0, or WEFT_EFULL with those of before.
 */
struct weft_token_keys;
WEFT_MUST_CHECK
int quic_engine_token_keys(struct quic_engine *engine, struct weft_token_keys *out_keys);

/*
 * quic_engine_input takes one datagram with its judgement; its bytes are
 * decrypted in place and then let go. The verdict WEFT_ANSWER_RETRY is
 * carried out whatever the engine's own load says.
 */
void quic_engine_input(struct quic_engine *engine, struct dgram *dgram, uint64_t now_ns);
/*
 * Tags of connection ids are keyed by generation (weft/cid.h). Now and
 * then the node changes the keys of all its workers at once, when every
 * engine says that it can. quic_engine_cid_keys are those honoured now.
 */
bool quic_engine_can_rotate_cids(const struct quic_engine *engine);
void quic_engine_rotate_cids(struct quic_engine *engine);
const struct weft_cid_keys *quic_engine_cid_keys(const struct quic_engine *engine);
/*
 * quic_engine_flush writes what connections have to send into the sink,
 * until all are quiet or the sink is full (what is left stays queued).
 */
void quic_engine_flush(struct quic_engine *engine, uint64_t now_ns);
/* quic_engine_expire runs due timers; call at quic_engine_next_ns, UINT64_MAX: none. */
void quic_engine_expire(struct quic_engine *engine, uint64_t now_ns);
uint64_t quic_engine_next_ns(const struct quic_engine *engine);
/* quic_engine_review: classes of keys may have changed; each open connection is asked about. */
void quic_engine_review(struct quic_engine *engine);
/* quic_engine_drain refuses new connections from now on (shut-down). */
void quic_engine_drain(struct quic_engine *engine);
/*
 * quic_engine_rebind: our addresses changed. choose is asked for every live
 * connection that we dialled, with its remote and local address. When it
 * returns true with another local address of that family, the connection
 * moves there (RFC 9000 9.2).
 */
typedef bool (*quic_choose_local_fn)(void *ctx, const struct addr *remote, const struct addr *local,
				     struct addr *out_local);
void quic_engine_rebind(struct quic_engine *engine, quic_choose_local_fn choose, void *ctx,
			uint64_t now_ns);
/*
 * quic_engine_move: the open connection that we dialled and that leads to the address from shall go on
 * between local and remote. It stays where it is until that path is validated (RFC 9000 9.2), and for
 * good if nothing answers there. False: there is no such connection, or it cannot move now.
 */
bool quic_engine_move(struct quic_engine *engine, const struct addr *from, const struct addr *local,
		      const struct addr *remote, uint64_t now_ns);
/*
 * quic_engine_fall_back_to: a flow of label is open, to the peer of the open connection that leads to
 * remote. Should that path fall silent, the connection goes there (fallback.c).
 */
void quic_engine_fall_back_to(struct quic_engine *engine, const struct addr *remote,
			      const struct addr *label);
/*
 * quic_engine_fall_back_on: the same for a connection that we dialled and that came from no relay. It has
 * another direct path, between local and remote.
 */
void quic_engine_fall_back_on(struct quic_engine *engine, const struct addr *from,
			      const struct addr *local, const struct addr *remote);
/* quic_engine_relabel: the flow of a connection that came from label `from` has label `to` now. */
void quic_engine_relabel(struct quic_engine *engine, const struct addr *from,
			 const struct addr *to);
/*
 * quic_engine_path_is_back: packets to remote were lost for a time, and arrive again from now on. The
 * open connection that leads there asks its peer at once, whatever its probe timeout has grown to.
 */
void quic_engine_path_is_back(struct quic_engine *engine, const struct addr *remote,
			      uint64_t now_ns);
/*
 * quic_engine_set_nat_keepalive: the NAT of this network wants a datagram so often, at least; 0: it is not
 * known. Where the configuration has keep-alive, it is as often as the more frequent of both.
 */
void quic_engine_set_nat_keepalive(struct quic_engine *engine, uint64_t pause_ns, uint64_t now_ns);
/*
 * quic_engine_wake: the machine has a link, an address or a route that it had
 * not. Every open connection that stays silent from now on is sent a packet
 * that demands an answer. It is sent at once and after 50, 150 and 350 ms,
 * each round spread over 50 ms. False: that was asked for 8 times, and since
 * then more often than each 4 s; nothing is sent.
 */
bool quic_engine_wake(struct quic_engine *engine, uint64_t now_ns);
/*
 * quic_engine_configure takes what of config can change while it runs, for
 * connections that begin afterwards: retry_above,
 * stream_per_conn_cap, times, windows, congestion, pmtud.
 */
void quic_engine_configure(struct quic_engine *engine, const struct quic_config *config);
/*
 * quic_engine_expel ends every handshake under way with an address for
 * which refuses returns true, on either side, with one close packet.
 * conn_closed of dialled ones is raised in the call. Connections that are
 * open are their speaker's to close. Returns how many.
 */
typedef bool (*quic_refuse_fn)(void *ctx, const struct addr *remote);
unsigned quic_engine_expel(struct quic_engine *engine, quic_refuse_fn refuses, void *ctx,
			   uint64_t now_ns);
/*
 * quic_engine_path_next walks the last validated paths of the connections that are dialled or
 * open: starts with *at NULL, and ends with NULL.
 */
struct quic_conn;
const struct addr *quic_engine_path_next(const struct quic_engine *engine,
					 const struct quic_conn **at);
/* quic_engine_leaves_by: an open connection's path, or the one that it may fall back to, has this local port. */
bool quic_engine_leaves_by(const struct quic_engine *engine, uint16_t local_port);
void quic_engine_stats(const struct quic_engine *engine, struct quic_stats *out_stats);

/*
 * This protocol's wire constants. The codes are the engine's own application
 * codes; the speaker closes with others.
 */
#define QUIC_CLOSE_REFUSED 0x7765660 /* the speaker or a limit says no */
#define QUIC_CLOSE_NO_KEY  0x7765661 /* the peer showed no Ed25519 key */
/*
 * QUIC_CLOSE_BUSY: the place went to another peer, or there is none. The low 32 bits are
 * the milliseconds after which to come back, at most QUIC_CLOSE_BUSY_MS_MAX.
 */
#define QUIC_CLOSE_BUSY	       (0x7765663ull << 32)
#define QUIC_CLOSE_BUSY_MS_MAX 30000
#define QUIC_STREAM_REFUSED    0x7765662 /* no room for one more stream */

#endif
