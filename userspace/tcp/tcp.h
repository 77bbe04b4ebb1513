/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TCP_TCP_H
#define WEFT_TCP_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "base/transport.h"
#include "weft/err.h"

struct load;
struct node_key;
struct tcp_proxy_view;
struct ssl_st;
struct random;

/*
 * Streams between Ed25519 keys over TLS 1.3 on TCP, without I/O, for peers whose network lets no
 * UDP through (docs/wire/tcp.md). Bytes of TCP connections, the time and a table of links go in;
 * streams come out through struct transport_events, as from quic/. One engine belongs to one worker.
 *
 * Keys are proved as on QUIC: raw public keys (RFC 7250), or self-signed X.509 certificates.
 *
 * Where the seam leaves room: done of a span is called once its bytes are encrypted, since TCP
 * repeats them by itself. acked follows what the peer's TCP acknowledged, and may be behind by what
 * the stream sent since the question before. A dial that TCP could not connect ends with
 * WEFT_EUNREACHABLE; its code is of enum tcp_proxy_fault. A connection that the speaker refuses from conn_ready still ends with
 * conn_closed; a stream refused from stream_opened is reset and not mentioned again. Data queued
 * when close is called goes first, as far as the connection's buffers hold it.
 */
struct tcp_engine;
struct tcp_conn;

/* A line: a serial port, or another device that carries bytes both ways. */
#define TCP_LINES_MAX	  4
#define TCP_LINE_PATH_CAP 256
struct tcp_line_config {
	char path[TCP_LINE_PATH_CAP];
	uint32_t baud; /* 0: as the device is set */
	bool has_key;  /* of the other end, which is then dialled; else any may come */
	uint8_t key[TRANSPORT_KEY_LEN];
};

struct tcp_config {
	bool is_on;		   /* dialled, and listened for */
	uint16_t port;		   /* 0: one above QUIC's */
	struct fair_site site;	   /* limits.site: connections are shared by its networks */
	uint32_t conn_cap;	   /* connections in all, beside handshakes */
	uint32_t conn_per_key_cap; /* of them, of one key */
	uint32_t handshake_cap;	   /* handshakes of peers that dialled, in all */
	uint32_t stream_cap;	   /* streams in all */
	uint64_t handshake_timeout_ns;
	uint64_t idle_timeout_ns;
	uint64_t keepalive_ns;	 /* 0: none */
	uint64_t window_len_max; /* credit of one stream, at most */
	size_t heap_cap;	 /* bytes for copies of what waits to be sent */
	uint32_t dgram_cap;	 /* datagrams of relay flows that wait, in all */
	struct addr proxy; /* an HTTP proxy that the Internet is dialled through; ADDR_NONE: none */
	struct tcp_line_config lines[TCP_LINES_MAX];
	unsigned line_cnt;
};
void tcp_config_defaults(struct tcp_config *config);
/* tcp_config_link_cap: links that an engine may have at once. */
unsigned tcp_config_link_cap(const struct tcp_config *config);
/* tcp_config_footprint: memory that its connections may take in all, but OpenSSL's. */
size_t tcp_config_footprint(const struct tcp_config *config);
/* tcp_config_addr: where this node listens that is on QUIC at udp. */
struct addr tcp_config_addr(const struct tcp_config *config, const struct addr *udp);

/* A TCP connection as its link knows it (TCP_INFO). */
struct tcp_figures {
	uint64_t rtt_ns;
	uint64_t cwnd_len;
	uint64_t mss_len;
	uint64_t lost_cnt;  /* segments sent again */
	uint64_t heard_cnt; /* segments received, acknowledgements among them */
	uint64_t acked_len; /* bytes of what write took, that the peer's TCP acknowledged */
};

/*
 * Links: TCP connections, as the engine uses them. A link belongs to one tcp_conn and is gone when
 * close returns. No op calls the engine.
 *
 * dial begins to connect to remote: 0 with *out_link, or a negative code; tcp_engine_connected or
 *     tcp_engine_lost follow.
 * write takes bytes: how many; 0: none now, and tcp_engine_writable follows; negative: it is lost.
 * shut says that nothing follows what was written.
 * close lets the link go; is_abort: what waits in it need not be delivered.
 * release gives the descriptor to the caller, and the link is gone. NULL: there are none.
 * proxy_fault says why a dial through config's proxy did not connect (enum tcp_proxy_fault), so far.
 *     NULL: nothing is dialled through one.
 */
struct tcp_link;
struct tcp_links;
struct tcp_links_ops {
	int (*dial)(struct tcp_links *links, struct tcp_conn *conn, const struct addr *remote,
		    struct tcp_link **out_link);
	ssize_t (*write)(struct tcp_link *link, const struct iovec *pieces, unsigned cnt);
	void (*shut)(struct tcp_link *link);
	void (*close)(struct tcp_link *link, bool is_abort);
	int (*release)(struct tcp_link *link);
	void (*figures)(struct tcp_link *link, struct tcp_figures *out_figures);
	unsigned (*proxy_fault)(const struct tcp_link *link);
};
struct tcp_links {
	const struct tcp_links_ops *ops;
};

/* Counters and fills, for status, limits and metrics. */
struct tcp_stats {
#define FIGURE FIGURE_FIELD
#include "tcp/tcp_counters.def"
	uint64_t heap_cap;
	struct fair_view conns, handshakes;
	struct addr conns_largest, handshakes_largest; /* of the account that pays next, or none */
};

/* Counters of lines (line/). */
struct tcp_line_stats {
#define FIGURE FIGURE_FIELD
#include "tcp/line_counters.def"
};

/*
 * Datagrams of relay flows, which need no stream (docs/decisions/0039-a-leg-of-a-flow-on-tcp.md).
 * Ends that send to a client that reads slowly fill the places. A connection's queue has at most
 * TCP_DGRAM_QUEUE_MAX of them, and at most as many as are free. So a client that reads loses none.
 */
#define TCP_DGRAM_LEN_MAX   1516
#define TCP_DGRAM_QUEUE_MAX 512
#define TCP_DGRAM_LATE_NS   2000000000ull
#define TCP_NAME_LEN	    9 /* of a key, by which its newest connection is found */
struct tcp_dgram {
	uint8_t *data;
	size_t len; /* 1 to TCP_DGRAM_LEN_MAX */
	uint8_t ecn;
};

/*
 * A TLS connection of HTTP, whose handshake is over and from which nothing was read yet. TLS has no
 * BIO. The receiver owns ssl and fd; tcp_passed_drop ends both.
 */
#define TCP_PASSED_UNREAD_MAX 16384
struct tcp_passed {
	struct ssl_st *ssl;
	int fd;
	struct addr remote;
	const uint8_t *unread; /* bytes that came behind the handshake; borrowed */
	size_t unread_len;
};
void tcp_passed_drop(const struct tcp_passed *passed);

/* Everything is borrowed for the engine's life; ctx is handed to every event. */
struct tcp_engine_params {
	struct tcp_config config;
	const struct node_key *key;
	const struct transport_events *events;
	void *ctx;
	struct random *random;
	/* Asked when a peer connects: its address is not welcome. NULL: all are. */
	bool (*refuses)(void *ctx, const struct addr *remote);
	/* Asked when a peer connects: its address has one connection in all. NULL: no address has. */
	bool (*is_limited)(void *ctx, const struct addr *remote);
	void *refuses_ctx;
	/*
	 * The class of a proved key at this node, asked when its connection
	 * opens. NULL: dialled, it is chosen.
	 */
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	void *class_ctx;
	/* A peer asked for HTTP (ALPN http/1.1, or none); NULL: it is refused. */
	void (*pass)(void *ctx, const struct tcp_passed *passed);
	void *pass_ctx;
	/*
	 * A datagram of the peer with key, which has proved it (tcp_engine_send_dgram there). data may be
	 * written to, and is borrowed. It raises no event of conn's. NULL: datagrams are dropped.
	 */
	void (*on_dgram)(void *ctx, const uint8_t *key, const struct tcp_dgram *dgram,
			 uint64_t now_ns);
	void *dgram_ctx;
	struct load *load; /* NULL: nothing is counted */
	uint64_t now_ns;
};
/* tcp_engine_new: 0 with *out_engine, -errno, or WEFT_EFULL (TLS set-up failed). */
WEFT_MUST_CHECK
int tcp_engine_new(const struct tcp_engine_params *params, struct tcp_engine **out_engine);
/* tcp_engine_free drops connections without a word; takes NULL. Before the links are freed. */
void tcp_engine_free(struct tcp_engine *engine);
/* tcp_engine_set_links: before the first dial and the first accept. Borrowed. */
void tcp_engine_set_links(struct tcp_engine *engine, struct tcp_links *links);
/* tcp_engine_set_lines: the links of lines, whose addresses are addr_of_line's; none without. */
void tcp_engine_set_lines(struct tcp_engine *engine, struct tcp_links *lines);
/* tcp_engine_transport: the engine as what mesh/ speaks over. */
struct transport *tcp_engine_transport(struct tcp_engine *engine);

/* tcp_engine_accept: a peer connected. The connection, or NULL: none is wanted, the link stays the caller's. */
struct tcp_conn *tcp_engine_accept(struct tcp_engine *engine, struct tcp_link *link,
				   const struct addr *local, const struct addr *remote,
				   uint64_t now_ns);
/* tcp_engine_expect: the peer that was just accepted is to prove key, or the connection ends. */
void tcp_engine_expect(struct tcp_conn *conn, const uint8_t key[static TRANSPORT_KEY_LEN]);
/* tcp_engine_connected: a dial reached its peer; local is this end. */
void tcp_engine_connected(struct tcp_conn *conn, const struct addr *local, uint64_t now_ns);
/*
 * tcp_engine_wants: input may be called now; false while handshakes have had their part of this
 * turn. tcp_engine_input takes bytes; len 0: the peer sends no more. Returns false when conn and its
 * link are gone.
 */
bool tcp_engine_wants(const struct tcp_conn *conn);
bool tcp_engine_input(struct tcp_conn *conn, const void *data, size_t len, uint64_t now_ns);
/* tcp_engine_writable: write takes bytes again. */
void tcp_engine_writable(struct tcp_conn *conn);
/* tcp_engine_lost: the link ended by err (-errno). conn and link are gone when it returns. */
void tcp_engine_lost(struct tcp_conn *conn, int err, uint64_t now_ns);

/*
 * tcp_engine_send_dgram queues a copy for the key whose first TCP_NAME_LEN bytes are name; the oldest
 * of a full queue is dropped. Returns 0, WEFT_EABSENT, WEFT_EFULL or WEFT_ETOOLARGE, all counted.
 */
WEFT_MUST_CHECK
int tcp_engine_send_dgram(struct tcp_engine *engine, const uint8_t name[static TCP_NAME_LEN],
			  const struct tcp_dgram *dgram, uint64_t now_ns);

/* tcp_engine_flush writes what connections have to send into their links. */
void tcp_engine_flush(struct tcp_engine *engine, uint64_t now_ns);
/* tcp_engine_expire runs due timers; call at tcp_engine_next_ns, UINT64_MAX: none. */
void tcp_engine_expire(struct tcp_engine *engine, uint64_t now_ns);
uint64_t tcp_engine_next_ns(const struct tcp_engine *engine);
/* tcp_engine_review: classes of keys may have changed; each open connection is asked about. */
void tcp_engine_review(struct tcp_engine *engine);
/* tcp_engine_drain refuses new connections from now on (shut-down). */
void tcp_engine_drain(struct tcp_engine *engine);
/* tcp_engine_expel ends handshakes under way with addresses that are not welcome now. How many. */
unsigned tcp_engine_expel(struct tcp_engine *engine, uint64_t now_ns);
void tcp_engine_stats(const struct tcp_engine *engine, struct tcp_stats *out_stats);
/* tcp_engine_proxy: the proxy, and how dials through it went. */
const struct tcp_proxy_view *tcp_engine_proxy(const struct tcp_engine *engine);

/* Wire constants: codes of CLOSE and RESET that are the engine's own, the same as on QUIC. */
#define TCP_CODE_REFUSED	0x7765660 /* the speaker or a limit says no */
#define TCP_CODE_NO_KEY		0x7765661 /* the peer showed no Ed25519 key */
#define TCP_CODE_STREAM_REFUSED 0x7765662 /* no room for one more stream */
#define TCP_CODE_MALFORMED	0x7765664 /* a frame breaks a rule */
#define TCP_NOT_BEFORE_MS_MAX	30000
/*
 * The bytes that a stream may send at first, and the number of streams that
 * each side may have open.
 */
#define TCP_FIRST_CREDIT_LEN (512u << 10)
#define TCP_STREAMS_MAX	     128

#endif
