/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_TCP_NET_H
#define WEFT_TESTS_TCP_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/transport.h"
#include "tcp/tcp.h"

/*
 * TCP engines back to back under a virtual clock: links in memory with a delay, a send buffer, and
 * pieces of any length. On each engine a speaker remembers its events. It answers a stream of the
 * peer once its end has come. The answer is the number of received bytes as eight bytes, then
 * more_len bytes of the pattern.
 */
#define TCP_NET_NODES	4
#define TCP_NET_CONNS	512
#define TCP_NET_STREAMS 1024
#define TCP_NET_PATTERN (1u << 20)

struct tcp_net;
struct tcp_node;
struct tcp_link;

struct tcp_test_conn {
	struct transport_conn *conn; /* NULL once closed */
	struct tcp_node *node;
	bool is_ready, is_closed;
	unsigned streams_available_cnt;
	struct transport_close close;
	struct transport_conn_info info; /* as it was at conn_ready */
};

struct tcp_test_stream {
	struct transport_stream *stream; /* NULL once closed */
	struct tcp_test_conn *conn;
	bool is_ours, is_damaged, has_fin, is_reset, is_closed;
	uint64_t received_len, unconsumed_len;
	uint64_t reset_code, close_code;
	uint64_t to_send_len, queued_len;
	unsigned spans_out; /* lent and not given back */
	unsigned writable_cnt;
	uint64_t reply;
	unsigned reply_len;
};

struct tcp_node {
	struct tcp_net *net;
	struct tcp_engine *engine;
	struct transport *transport;
	struct tcp_links links;
	struct node_key *key;
	struct addr addr;
	bool is_consuming; /* default; else bytes pile up in unconsumed_len */
	bool is_deaf;	   /* no program listens there */
	bool is_silent;	   /* SYNs are lost */
	int ready_answer, opened_answer;
	uint64_t more_len; /* of its answers, after the eight bytes */
	/* Datagrams that came, and the last of them. */
	unsigned dgram_cnt;
	uint8_t dgram[TCP_DGRAM_LEN_MAX], dgram_key[TRANSPORT_KEY_LEN];
	size_t dgram_len;
	uint8_t dgram_ecn;
	struct tcp_test_conn conns[TCP_NET_CONNS];
	unsigned conn_cnt, open_cnt;
	struct tcp_test_stream streams[TCP_NET_STREAMS];
	unsigned stream_cnt;
};

struct tcp_net {
	uint64_t now_ns, delay_ns;
	size_t cut_len;	   /* bytes come in pieces of at most this; 0: as written */
	size_t buffer_len; /* of a link, on its way */
	bool is_cut;	   /* nothing passes */
	struct random random;
	struct tcp_node *nodes[TCP_NET_NODES];
	unsigned node_cnt;
	struct tcp_link *links;
	unsigned link_cnt; /* open ends of engines */
};

void tcp_net_init(struct tcp_net *net, uint64_t seed);
void tcp_net_fini(struct tcp_net *net);
/* tcp_net_config: small tables and short times that tests then change. */
void tcp_net_config(struct tcp_config *config);
/* tcp_net_add makes a node whose key is derived from seed; config NULL: tcp_net_config. */
struct tcp_node *tcp_net_add(struct tcp_net *net, unsigned seed, const struct tcp_config *config);
const uint8_t *tcp_node_key(const struct tcp_node *node);

/* tcp_net_run lets time pass until done(arg) or for_ns are over; returns done's last word. */
bool tcp_net_run(struct tcp_net *net, uint64_t for_ns, bool (*done)(void *arg), void *arg);

/* tcp_net_dial begins; key NULL: that of to. tcp_net_connect waits; NULL: it was not ready. */
struct tcp_test_conn *tcp_net_dial(struct tcp_node *from, struct tcp_node *to, const uint8_t *key);
struct tcp_test_conn *tcp_net_connect(struct tcp_node *from, struct tcp_node *to);
/* tcp_net_open: a stream that sends len bytes of the pattern and its end; NULL: refused. */
struct tcp_test_stream *tcp_net_open(struct tcp_test_conn *conn, uint64_t len);
/* tcp_net_transfer: the same, and the answer is waited for. True: it says len. */
bool tcp_net_transfer(struct tcp_test_conn *conn, uint64_t len, uint64_t for_ns);

/* tcp_net_inject has conn's TLS carry bytes that are no frames of the engine's. */
void tcp_net_inject(struct tcp_test_conn *conn, const void *data, size_t len);

/*
 * A client without an engine: tcp_raw_connect gives a link to node from an address of its own; NULL:
 * it was refused. say sends bytes of it, is_open: the node has not closed it. All are freed with net.
 */
struct tcp_link *tcp_raw_connect(struct tcp_node *to, const struct addr *from);
void tcp_raw_say(struct tcp_link *link, const void *data, size_t len);
bool tcp_raw_is_open(const struct tcp_link *link);

#endif
