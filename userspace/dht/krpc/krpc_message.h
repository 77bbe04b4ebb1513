/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_KRPC_KRPC_MESSAGE_H
#define WEFT_DHT_KRPC_KRPC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "codec/bencode.h"
#include "dht/dht_reason.h"
#include "kad/id.h"

/*
 * KRPC messages (BEP-5, 32, 42, 43, 44, 51; docs/wire/krpc.md): bytes to
 * struct and struct to bytes, nothing else. Unknown keys are stepped over.
 */
#define KRPC_TRANSACTION_LEN_MAX 32  /* of a peer's; this node's have 8 */
#define KRPC_TOKEN_LEN_MAX	 128 /* of a foreign node's, that this node returns */
/* The limit of a sent message: it reaches every node without fragments, also through tunnels. */
#define KRPC_SEND_LEN_MAX 1024
/* A message with a value of 1000 bytes, its key and signature is longer: up to this. */
#define KRPC_VALUE_SEND_LEN_MAX 1400

#define KRPC_PEER_LEN_IPV4 6
#define KRPC_PEER_LEN_IPV6 18
#define KRPC_NODE_LEN_IPV4 26
#define KRPC_NODE_LEN_IPV6 38

enum krpc_kind { KRPC_QUERY, KRPC_REPLY, KRPC_ERROR };

enum krpc_method {
	KRPC_PING,
	KRPC_FIND_NODE,
	KRPC_GET_PEERS,
	KRPC_ANNOUNCE_PEER,
	KRPC_GET,
	KRPC_PUT,
	KRPC_SAMPLE_INFOHASHES,
	KRPC_UNKNOWN,
};

/* dht_krpc_method_name: as it stands in messages; method is not KRPC_UNKNOWN. */
const char *dht_krpc_method_name(enum krpc_method method);

enum { KRPC_WANT_IPV4 = 1, KRPC_WANT_IPV6 = 2 };

/*
 * A message as received. Spans are borrowed from the datagram. A span whose data is NULL was not
 * there. fault names the first field of a wrong type or length. The transaction id is good all
 * the same, so that a query can be answered by an error.
 */
struct krpc_message {
	enum krpc_kind kind;
	enum krpc_method method; /* of a query */
	enum dht_reason fault;	 /* DHT_ANSWERED: none; of a reply DHT_SHORT_REPLY */
	struct bencode_span transaction;
	struct bencode_span version;
	struct bencode_span
		external; /* ip: this node's address as the sender sees it, 6 or 18 bytes */
	bool is_read_only;

	/* Arguments of a query and values of a reply. */
	bool has_id, has_target;
	struct kad_id id;
	struct kad_id target;		   /* of get_peers and announce_peer: info_hash */
	struct bencode_span token;	   /* any length */
	struct bencode_span nodes, nodes6; /* whole numbers of compact nodes */
	struct bencode_span peers;	   /* the list `values`, as encoded: dht_krpc_peers_next */
	struct bencode_span value;	   /* v, as encoded; any length */
	struct bencode_span key, sig;	   /* 32 and 64 bytes */
	struct bencode_span salt;	   /* any length */
	struct bencode_span samples;	   /* a whole number of ids */
	bool has_seq, has_cas, has_port, is_port_implied;
	int64_t seq, cas;
	int64_t port;	       /* of a query without fault in [1, 65535] unless implied */
	unsigned want;	       /* KRPC_WANT_*, 0: not said */
	int64_t interval, num; /* BEP-51, 0: not said */

	/* Of an error. */
	int64_t error_code;
	struct bencode_span error_text;

	/* For dht_krpc_parse alone. */
	bool has_body, has_error, has_info_hash;
	struct kad_id info_hash;
};

/*
 * dht_krpc_parse reads one datagram.
 *
 * Returns: DHT_ANSWERED with *out_message set; the reason why it is not
 *          worth an answer otherwise, with *out_message undefined.
 */
WEFT_MUST_CHECK
enum dht_reason dht_krpc_parse(const void *data, size_t len, struct krpc_message *out_message);

/*
 * Compact forms. dht_krpc_node_read takes the next node that cursor is over;
 * false at its end or when it is cut short. dht_krpc_peer_read takes 6 or 18
 * bytes; false: another length. dht_krpc_peers_next walks message->peers, iter
 * made by dht_krpc_peers_begin; entries of other lengths are stepped over.
 */
bool dht_krpc_node_read(struct cursor *c, enum addr_family family, struct kad_id *out_id,
			struct addr *out_addr);
bool dht_krpc_peer_read(const struct bencode_span *span, struct addr *out_addr);
void dht_krpc_peers_begin(const struct krpc_message *message, struct bencode_reader *iter);
bool dht_krpc_peers_next(struct bencode_reader *iter, struct addr *out_addr);
void dht_krpc_node_write(struct writer *w, const struct kad_id *id, const struct addr *addr);
void dht_krpc_peer_write(struct writer *w, const struct addr *addr);
/* krpc_{peer,node}_len: of one in compact form. */
size_t dht_krpc_peer_len(enum addr_family family);
size_t dht_krpc_node_len(enum addr_family family);

/*
 * A query of this node. The method decides which fields are read; spans that are not wanted stay
 * NULL.
 */
struct krpc_query {
	enum krpc_method method;
	struct bencode_span transaction;
	struct kad_id id;     /* this node's */
	struct kad_id target; /* find_node, get_peers, announce_peer, get, sample_infohashes */
	bool is_read_only;
	unsigned want;		   /* find_node, get_peers, get; 0: do not say */
	struct bencode_span token; /* announce_peer, put */
	uint16_t port;		   /* announce_peer */
	bool is_port_implied;
	struct bencode_span value, key, sig, salt; /* put; the last three of a mutable item */
	bool has_seq, has_cas;			   /* get: seq alone */
	int64_t seq, cas;
	size_t pad_len; /* get: bytes of an argument that no node reads (docs/wire/krpc.md) */
};

/* dht_krpc_write_query: bytes written into w, or w->bad when they do not fit. */
void dht_krpc_write_query(struct writer *w, const struct krpc_query *query);

/* An answer of this node; what stays NULL or false is left out. */
struct krpc_reply {
	struct bencode_span transaction;
	struct addr asker; /* returned as ip (BEP-42) */
	struct kad_id id;  /* this node's */
	struct bencode_span nodes, nodes6;
	struct bencode_span token;
	const struct addr *peers; /* values */
	unsigned peer_cnt;
	struct bencode_span value, key, sig;
	bool has_seq;
	int64_t seq;
	bool has_samples; /* BEP-51: none, come back in interval seconds */
	int64_t interval;
	int64_t num;
};

void dht_krpc_write_reply(struct writer *w, const struct krpc_reply *reply);
/* dht_krpc_write_error: reason has a code. */
void dht_krpc_write_error(struct writer *w, const struct bencode_span *transaction,
			  const struct addr *asker, enum dht_reason reason);

#endif
