/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_QUIC_NET_H
#define WEFT_TESTS_QUIC_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dgram.h"
#include "base/random.h"
#include "base/transport.h"
#include "quic/quic.h"

/*
 * Engines back to back under a virtual clock: a wire with delay, loss, an MTU and a tap. On each
 * engine a speaker remembers its events. The speaker answers a stream of the peer, once its end
 * has come, with the number of received bytes as eight bytes. Bytes on streams follow
 * quic_net_byte, and receivers check them.
 */
#define QUIC_NET_NODES	 8
#define QUIC_NET_CONNS	 512
#define QUIC_NET_STREAMS 512

struct quic_net;
struct quic_node;

struct quic_test_conn {
	struct transport_conn *conn; /* NULL once closed */
	struct quic_node *node;
	bool is_ready;
	bool is_closed;
	unsigned streams_available_cnt;
	struct transport_close close;
	struct transport_conn_info info; /* as it was at conn_ready */
};

struct quic_test_stream {
	struct transport_stream *stream; /* NULL once closed */
	struct quic_test_conn *conn;
	bool is_ours;
	uint64_t received_len;
	uint64_t unconsumed_len;
	bool is_damaged; /* bytes did not follow quic_net_byte */
	bool has_fin;
	bool is_reset;
	uint64_t reset_code;
	bool is_closed;
	uint64_t close_code;
	uint64_t to_send_len; /* in all */
	uint64_t queued_len;
	unsigned spans_out; /* lent and not given back */
	unsigned writable_cnt;
	uint64_t reply; /* the eight bytes, on streams that this side opened */
	unsigned reply_len;
};

struct quic_node {
	struct quic_net *net;
	struct quic_engine *engine;
	struct transport *transport;
	struct node_key *key;
	struct dgram_sink sink;
	struct addr inner; /* what the engine thinks its address is */
	struct addr outer; /* what the wire shows */
	bool is_sink_full; /* reserve says no */
	bool is_consuming; /* default; else bytes pile up in unconsumed_len */
	int ready_answer;  /* returned from conn_ready */
	int opened_answer; /* returned from stream_opened */
	uint64_t more_len; /* of its answers, after the eight bytes */
	bool is_thinking;  /* its answers wait for quic_net_answer */
	uint8_t *slot;
	struct quic_test_conn conns[QUIC_NET_CONNS];
	unsigned conn_cnt;
	unsigned open_cnt, open_peak_cnt; /* ready and not closed */
	struct quic_test_stream streams[QUIC_NET_STREAMS];
	unsigned stream_cnt;
	uint64_t sent_cnt; /* datagrams */
	uint8_t token[64]; /* the newest that a peer gave */
	size_t token_len;
	unsigned token_cnt;
	bool is_showing_token; /* the next dial shows it */
	unsigned unheard_max;  /* of its dials */
	uint64_t met_s;	       /* since when it knows any key; 0: it knows none */
};

struct quic_net_dgram {
	uint64_t at_ns;
	struct addr from, to;
	uint8_t ecn;
	size_t len;
	uint8_t *data;
};

struct quic_net {
	uint64_t now_ns;
	uint64_t delay_ns;
	uint32_t loss_per_1000;
	size_t mtu_len; /* largest UDP payload */
	struct random random;
	struct quic_node *nodes[QUIC_NET_NODES];
	unsigned node_cnt;
	struct quic_net_dgram *queue;
	size_t queue_cnt, queue_cap;
	/* tap sees each datagram before loss; false drops it. */
	bool (*tap)(struct quic_net *net, struct quic_net_dgram *dgram);
	void *tap_arg;
};

void quic_net_init(struct quic_net *net, uint64_t seed);
void quic_net_fini(struct quic_net *net);
/* quic_net_config: small tables and short times that tests then change. */
void quic_net_config(struct quic_config *config);
/* quic_net_add makes a node whose key is derived from seed; config NULL: quic_net_config. */
struct quic_node *quic_net_add(struct quic_net *net, unsigned seed,
			       const struct quic_config *config);
void quic_node_free(struct quic_node *node);
const uint8_t *quic_node_key(const struct quic_node *node);

/* quic_net_run lets time pass until done(arg) or for_ns are over; returns done's last word. */
bool quic_net_run(struct quic_net *net, uint64_t for_ns, bool (*done)(void *arg), void *arg);
/* quic_net_settle runs for for_ns in any case. */
void quic_net_settle(struct quic_net *net, uint64_t for_ns);
/* quic_net_inject puts one datagram straight into node's engine, and flushes. */
void quic_net_inject(struct quic_node *node, const struct addr *from, const void *data, size_t len);

/* quic_net_dial dials to by key; the record is ready when the handshake is. */
struct quic_test_conn *quic_net_dial(struct quic_node *from, struct quic_node *to);
struct quic_test_conn *quic_net_dial_key(struct quic_node *from, const struct addr *to,
					 const uint8_t key[static 32]);
/* quic_net_connect dials and runs until ready or closed. */
struct quic_test_conn *quic_net_connect(struct quic_node *from, struct quic_node *to);
/* quic_net_send opens a stream and queues len bytes and the end. */
struct quic_test_stream *quic_net_send(struct quic_test_conn *conn, uint64_t len);
/* quic_net_answer sends what node has thought about, and lets it think no more. */
void quic_net_answer(struct quic_node *node);
/* quic_net_transfer sends, runs until the reply or for_ns; true when whole and undamaged. */
bool quic_net_transfer(struct quic_test_conn *conn, uint64_t len, uint64_t for_ns);
/* One wire and two nodes; config is b's, NULL: quic_net_config. */
struct quic_pair {
	struct quic_net net;
	struct quic_node *a, *b;
};
void quic_pair_init(struct quic_pair *pair, uint64_t seed, const struct quic_config *config);
void quic_pair_fini(struct quic_pair *pair);

uint8_t quic_net_byte(uint64_t off);
void quic_node_stats(const struct quic_node *node, struct quic_stats *out_stats);

#endif
