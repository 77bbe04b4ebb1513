/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PUNCH_PUNCH_H
#define WEFT_PUNCH_PUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "mesh/seam.h"
#include "weft/err.h"

struct dgram;
struct dgram_sink;
struct punch;
struct random;
struct timer_wheel;

/*
 * Hole punching (docs/wire/punch.md): two nodes behind NATs, whose session goes through a relay, find a
 * direct path for it. The node that dialled the session asks, its peer answers.
 *
 *	asks:	  CANDIDATES -> PUNCH_NOW, a probe to each candidate, and a second one later
 *	answers:  CANDIDATES -> PUNCH_NOW -> a probe to each candidate, and what was heard at the end
 *
 * A session that has a direct path may have others. Then rounds measure them, and it moves to one that
 * is better for some time (punch_warm.c).
 *
 * Where one NAT gives each remote another port and the other one lets in only a port that was written to,
 * a round finds nothing. Then a search of ports may follow (punch_search.c).
 *
 * A probe opens the sender's NAT for the peer. One that arrives is answered, and an answer shows that
 * datagrams pass both ways. Then the asker has QUIC move the session there.
 *
 * Peers can fill the rounds that are answered, by fair shares of their networks and keys. A candidate
 * may be a third party's address. It is sent one or two probes of 32 bytes in a round. A budget
 * bounds the probes to one network in all rounds together. Another one is shared by the peers that name
 * candidates, so none of them keeps others from being found. Home worker; nothing blocks, reads a clock or
 * logs.
 */
#define PUNCH_CANDIDATES_MAX  8
#define PUNCH_ASKED_MAX	      64 /* rounds of sessions that this node dialled */
#define PUNCH_ANSWERED_MAX    64 /* rounds of peers */
#define PUNCH_NAMED_MAX	      4	 /* addresses that punch_ask names */
#define PUNCH_EXPORTER_LABEL  "EXPORTER-mesh-probe-v1" /* of the key that proves probes */
#define PUNCH_NETWORK_PER_MIN 64   /* probes to one network that nothing was heard from */
#define PUNCH_PER_MIN	      2048 /* such probes in all, half of them for unknown peers */

/*
 * A search of ports. The hard side opens sockets, whose NAT gives each a port towards the other node. The
 * easy side sends probes to ports of the hard side's address until one is hit. Sockets and probes a
 * second are as many at most, and so is the time. The numbers per hour are those of all searches
 * together, of searches that unknown peers asked for, and of one network that is searched.
 */
#define PUNCH_SEARCH_SOCKETS_MIN  16
#define PUNCH_SEARCH_SOCKETS_MAX  256
#define PUNCH_SEARCH_PER_S	  256
#define PUNCH_SEARCH_PROBES_MAX	  2048
#define PUNCH_SEARCH_ASKED_MAX	  12
#define PUNCH_SEARCH_ANSWERED_MAX 24
#define PUNCH_SEARCH_UNKNOWN_MAX  12
#define PUNCH_SEARCH_NETWORK_MAX  4
#define PUNCH_SEARCH_KEPT_MAX	  4 /* sockets of one search that were hit */

struct punch_config {
	bool is_search_on;
	uint32_t search_socket_cnt;
};
void punch_config_defaults(struct punch_config *config);

enum punch_outcome {
	PUNCH_NEVER,	   /* no round has ended */
	PUNCH_MOVED,	   /* QUIC was given a path */
	PUNCH_SILENT,	   /* no probe was answered */
	PUNCH_UNANSWERED,  /* the peer did not answer CANDIDATES or PUNCH_NOW */
	PUNCH_NO_CANDIDATE /* one of both nodes knows no address of its own */
};

/* What a node says of its NAT: the words of reachability, as numbers of the wire. */
enum punch_nat {
	PUNCH_NAT_UNKNOWN,
	PUNCH_NAT_NONE, /* others can write first */
	PUNCH_NAT_EASY, /* one port for all */
	PUNCH_NAT_HARD, /* each remote sees another port */
	PUNCH_NAT_BLOCKED,
	PUNCH_NAT_CNT,
};

enum punch_search_outcome {
	PUNCH_SEARCH_NEVER,
	PUNCH_SEARCH_FOUND,
	PUNCH_SEARCH_SILENT,	 /* no port was hit */
	PUNCH_SEARCH_UNPROVED,	 /* the relay does not see the peer at an address that it names */
	PUNCH_SEARCH_REFUSED,	 /* the peer takes part in none */
	PUNCH_SEARCH_BUSY,	 /* the peer is in another one, or had its searches */
	PUNCH_SEARCH_UNMAPPED,	 /* the relay did not answer where it sees this node's socket */
	PUNCH_SEARCH_COMPLAINED, /* a router said that such datagrams may not pass */
	PUNCH_SEARCH_LIMITED,	 /* this node had its number of searches */
	PUNCH_SEARCH_OUTCOME_CNT,
};

struct punch_search_view {
	enum punch_search_outcome outcome; /* of the last search */
	bool is_under_way, is_hard;	   /* this node opened the sockets */
	unsigned probe_cnt, socket_cnt;	   /* of this node */
	uint64_t took_ns;
};

struct punch_stats {
#define FIGURE FIGURE_FIELD
#include "punch/punch_counters.def"
};

/* Where a session leads now. */
struct punch_path {
	struct addr local, remote;
	bool is_direct;	 /* by QUIC, through no relay */
	bool is_dialled; /* by this node, which is the one that moves it */
	bool is_used;	 /* a request or a stream was there a moment ago */
};

/*
 * A question to the relay of the session with key: at which of addrs does it see the peer? done gets
 * that one, or NULL, and the relay's own address.
 */
struct punch_question {
	const uint8_t *key;
	const struct addr *addrs;
	unsigned addr_cnt;
	void (*done)(void *arg, const struct addr *host, const struct addr *relay, uint64_t now_ns);
	void *arg;
};

/*
 * Sockets of a search. open: the number of one more, or a negative code. keep: the socket is the node's
 * from now on, for one session with owner. punch_input gets what comes there; false: there is no place.
 * close: all that were not kept. room: places for kept ones of owner.
 */
struct punch_port_owner {
	bool is_unknown;
	uint64_t network; /* by the relay (fair_network_of_addr); 0: not known yet */
};
struct punch_ports_ops {
	int (*open)(void *ctx);
	void (*send)(void *ctx, unsigned idx, const struct addr *to, const uint8_t *data,
		     size_t len);
	bool (*keep)(void *ctx, unsigned idx, const struct punch_port_owner *owner,
		     uint64_t now_ns);
	void (*close)(void *ctx);
	unsigned (*room)(void *ctx, const struct punch_port_owner *owner);
};

/* All borrowed. */
struct punch_params {
	struct punch_config config;
	struct dgram_sink *sink;
	struct timer_wheel *timers;
	struct random *random;
	struct mesh_seam mesh;
	struct fair_site site;
	/* Where this node may be, best first; how many. A bit of *out_mapped: a router forwards there. */
	unsigned (*candidates)(void *ctx, struct addr out[static PUNCH_CANDIDATES_MAX],
			       uint64_t *out_mapped);
	enum punch_nat (*nat)(void *ctx);
	/* A session with key, or a packet to addr, is not wanted. */
	bool (*refuses)(void *ctx, const uint8_t *key, const struct addr *addr);
	/* The place in fair shares of the peer with key, whose session goes by path. */
	void (*account)(void *ctx, const uint8_t *key, const struct punch_path *path,
			struct fair_path *out_account);
	/* Writes the 32 bytes of the session with key that probes are proved by. 0 or WEFT_EABSENT. */
	int (*probe_key)(void *ctx, const uint8_t *key, uint8_t out[static 32]);
	/* False: there is no session with key, or another worker has it. */
	bool (*path)(void *ctx, const uint8_t *key, struct punch_path *out_path);
	/* A packet from local reaches the peer at remote, and back. False: QUIC does not move there. */
	bool (*move)(void *ctx, const uint8_t *key, const struct addr *local,
		     const struct addr *remote);
	/* Another path of the session that leads to from is well, should that one break. */
	void (*spare)(void *ctx, const struct addr *from, const struct addr *local,
		      const struct addr *remote);
	/* Asks it. 0, or a negative code. unask: done is not called any more. */
	int (*witness)(void *ctx, const struct punch_question *question);
	void (*unask)(void *ctx);
	const struct punch_ports_ops *ports; /* NULL: this node searches no ports */
	void *ports_ctx;
	void *ctx;
};

/* punch_new registers the handlers of 110, 111 and 118. 0, -ENOMEM, WEFT_EFULL, or as mesh_ops.handle. */
WEFT_MUST_CHECK
int punch_new(const struct punch_params *params, struct punch **out_punch);
/* punch_stop, while the mesh is there, takes back what is under way. Both take NULL. */
void punch_stop(struct punch *punch);
void punch_free(struct punch *punch);
/* punch_set_sink: probes leave by sink from now on. */
void punch_set_sink(struct punch *punch, struct dgram_sink *sink);
/*
 * punch_begin: the session with key goes through a relay, or may have a better path. A round begins,
 * unless one is under way or its paths are kept warm.
 */
void punch_begin(struct punch *punch, const uint8_t key[static MESH_KEY_LEN], uint64_t now_ns);
/*
 * punch_ask begins a round for the session with key, whichever node dialled it. The cnt addresses of named
 * (PUNCH_NAMED_MAX at most) are sent one probe each, beside those that the peer gives.
 *
 * Returns 0, or:
 *   WEFT_EABSENT   there is no session with key, or another worker has it
 *   WEFT_EREFUSED  it is on TCP
 *   WEFT_EEXISTS   it has a direct path
 *   WEFT_EBUSY     a round for it is under way
 *   WEFT_EFULL     as many rounds are under way as there are places
 */
WEFT_MUST_CHECK
int punch_ask(struct punch *punch, const uint8_t key[static MESH_KEY_LEN], const struct addr *named,
	      unsigned cnt, uint64_t now_ns);
/* punch_may_ask: what punch_ask would return now. Nothing changes. */
WEFT_MUST_CHECK
int punch_may_ask(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN]);
/* punch_cancel ends a round that punch_ask began; false: none is under way. */
bool punch_cancel(struct punch *punch, const uint8_t key[static MESH_KEY_LEN]);
/* punch_input takes a path probe that ingress let in. False: it is of another kind. */
bool punch_input(struct punch *punch, const struct dgram *dgram, uint64_t now_ns);

/*
 * punch_port_input: dgram came to socket idx of a search, which is not kept yet. punch_port_complained:
 * a router complained of what a socket sent. The search ends, and none begins within the hour.
 */
void punch_port_input(struct punch *punch, unsigned idx, const struct dgram *dgram,
		      uint64_t now_ns);
void punch_port_complained(struct punch *punch, uint64_t now_ns);

struct punch_view {
	enum punch_outcome outcome; /* of the last round */
	enum punch_nat own, peers;
	unsigned round_cnt;
	uint64_t ended_ns; /* the last round; 0: none has */
	int err; /* the answer of the peer in it; WEFT_EUNKNOWN: it knows no hole punching */
	bool is_under_way;
	struct punch_search_view search;
};
/* punch_show: rounds for the session with key; false: there were none, or they are forgotten. */
bool punch_show(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN],
		struct punch_view *out_view);
/* What an address that answers is to a session that has a direct path. */
enum punch_rival {
	PUNCH_RIVAL_NONE,	/* nothing: it did not answer, or is not kept warm */
	PUNCH_RIVAL_NOT_NEEDED, /* the path in use is good enough */
	PUNCH_RIVAL_NOT_BETTER,
	PUNCH_RIVAL_BETTER, /* in better_cnt turns in a row */
};
#define PUNCH_BETTER_CNT 3 /* turns in a row until the session moves */
/* An address of the peer, in the last round for which it named some. */
struct punch_tried {
	struct addr addr;
	bool is_named;	/* by the peer; else a probe came from there */
	bool is_mapped; /* the peer says that a router forwards there */
	bool is_probed, is_answered;
	uint64_t rtt_ns;   /* of the last probe that was answered; 0: none was */
	uint64_t since_ns; /* the first answer; 0: there was none */
	unsigned lost_cnt; /* probes, after the first answer */
	enum punch_rival rival;
	unsigned better_cnt;
};
/* punch_tried: address idx for the session with key; false: there is none. */
bool punch_tried(const struct punch *punch, const uint8_t key[static MESH_KEY_LEN], unsigned idx,
		 struct punch_tried *out_tried);
void punch_stats(const struct punch *punch, struct punch_stats *out_stats);
/* punch_fair_view: the rounds that are answered. punch_search_fair_view: searches of the last hour. */
void punch_fair_view(const struct punch *punch, struct fair_view *out);
void punch_search_fair_view(const struct punch *punch, uint64_t now_ns, struct fair_view *out);

#endif
