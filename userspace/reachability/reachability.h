/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_REACHABILITY_REACHABILITY_H
#define WEFT_REACHABILITY_REACHABILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "mesh/seam_neighbours.h"
#include "weft/err.h"

struct dgram;
struct dgram_sink;
struct observation;
struct random;
struct reachability;
struct timer_wheel;

/*
 * Where this node is, as others see it. It answers STUN, asks servers and peers for its own address,
 * and has third nodes write to it. Home worker, without I/O: datagrams and a time go in, datagrams
 * and messages go out.
 *
 * A round asks up to two STUN servers, three peers for the address they see, and two peers to have
 * another node send a probe. Its results are judged some seconds later. A round begins soon after
 * the start, after a change of addresses, with a first session, and then every ten minutes.
 */
#define REACHABILITY_EVIDENCE_CAP 256
#define REACHABILITY_SERVERS_MAX  8

enum reachability_kind {
	REACHABILITY_UNKNOWN, /* nothing shows it yet */
	REACHABILITY_DIRECT,  /* a third node wrote to an address of this machine */
	REACHABILITY_MAPPED,  /* and to one of a router, which passes it on */
	REACHABILITY_OUTBOUND, /* what third nodes wrote did not arrive; how ports change is not known */
	REACHABILITY_PUNCHABLE, /* likewise; most see one port, so that hole punching can work */
	REACHABILITY_HARD,	/* likewise; each sees another port */
	REACHABILITY_BLOCKED,	/* UDP brings no answer at all */
	REACHABILITY_KIND_CNT,
};
/* reachability_is_open: others can write first. is_hidden: they cannot; of UNKNOWN neither holds. */
static inline bool reachability_is_open(enum reachability_kind kind)
{
	return kind == REACHABILITY_DIRECT || kind == REACHABILITY_MAPPED;
}
static inline bool reachability_is_hidden(enum reachability_kind kind)
{
	return kind >= REACHABILITY_OUTBOUND;
}
/* reachability_word: "direct", for people and programs; stable. */
const char *reachability_word(enum reachability_kind kind);

struct reachability_config {
	struct addr servers[REACHABILITY_SERVERS_MAX]; /* of STUN, asked first; none by default */
	unsigned server_cnt;
};

struct reachability_view {
	enum reachability_kind kind;
	struct addr addr; /* where others reach or see this node; family ADDR_NONE: not known */
	char evidence[REACHABILITY_EVIDENCE_CAP];
	uint64_t judged_ns; /* 0: not yet */
	uint64_t since_ns;  /* kind is this */
	bool is_asking;	    /* a round is under way */
};

struct reachability_stats {
#define FIGURE FIGURE_FIELD
#include "reachability/reachability_counters.def"
};

#define REACHABILITY_LIFE_FAMILIES 2u /* IPv4 and IPv6, each with a port of its own */
#define REACHABILITY_LIFE_NETWORKS 8u /* of each family, at most */

/* All borrowed. */
struct reachability_params {
	struct reachability_config config;
	struct dgram_sink *sink;
	struct timer_wheel *timers;
	struct random *random;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct fair_site site; /* its nodes share a network */
	bool asks;	       /* begins rounds by itself */
	uint64_t now_ns;
	/* The addresses that this machine or its operator names; how many. */
	unsigned (*own_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	/* This node may have written to a node at the IP of addr, other than over a session. */
	bool (*has_contacted)(void *ctx, const struct addr *addr);
	/*
	 * A port of its own for each family (IPv4, IPv6), for reachability_life_heard; NULL: the life of
	 * mappings is not measured there.
	 */
	void (*nat_port_send)(void *port, const struct addr *to, const uint8_t *data, size_t len);
	void *nat_ports[REACHABILITY_LIFE_FAMILIES];
	/* reachability_keepalive_ns may say something else now. May be NULL. */
	void (*life_changed)(void *ctx, uint64_t now_ns);
	/* A network was measured, which another run may want to know. May be NULL. */
	void (*life_measured)(void *ctx, uint64_t now_ns);
	/* The kind or the address is another one now. Never inside a call. */
	void (*changed)(void *ctx, const struct reachability_view *view);
	/* A node is at remote, as reachability_check asked. May be NULL. */
	void (*checked)(void *ctx, const struct addr *remote, uint64_t now_ns);
	void *ctx;
};

/* reachability_new: 0, -ENOMEM, or as mesh_ops.handle. */
WEFT_MUST_CHECK
int reachability_new(const struct reachability_params *params,
		     struct reachability **out_reachability);
/* reachability_stop cancels what waits for mesh/, which is there still. Both take NULL. */
void reachability_stop(struct reachability *reachability);
void reachability_free(struct reachability *reachability);
/* reachability_input takes a datagram of STUN or a path probe, which ingress let in. */
void reachability_input(struct reachability *reachability, const struct dgram *dgram,
			uint64_t now_ns);
/* reachability_check sends a STUN request to remote, which any node answers. Not again if it is lost. */
void reachability_check(struct reachability *reachability, const struct addr *remote,
			uint64_t now_ns);
/* reachability_set_sink: datagrams leave by sink from now on. */
void reachability_set_sink(struct reachability *reachability, struct dgram_sink *sink);
/*
 * reachability_changed: the machine's addresses or links are others. What was seen of a family is
 * forgotten if its addresses are.
 */
void reachability_changed(struct reachability *reachability, uint64_t now_ns);
/* reachability_session: a session began, with a peer that may be asked. */
void reachability_session(struct reachability *reachability, uint64_t now_ns);
/*
 * reachability_set_mapped: a router forwards this address to the node's port, so that probes are asked
 * for there, too; NULL: none does.
 */
void reachability_set_mapped(struct reachability *reachability, const struct addr *mapped,
			     uint64_t now_ns);
/* reachability_look begins a round now, or ten seconds after the last one began. */
void reachability_look(struct reachability *reachability, uint64_t now_ns);
const struct reachability_view *reachability_show(const struct reachability *reachability);
/* reachability_seen gives row at of what others say, by family, the oldest first; false: no more. */
bool reachability_seen(const struct reachability *reachability, unsigned at,
		       struct observation *out_row);
/* reachability_observed: the address of family at which most other nodes see this one; false: not known. */
bool reachability_observed(const struct reachability *reachability, enum addr_family family,
			   uint64_t now_ns, struct addr *out_addr);
/*
 * reachability_ports: whether networks of IPv4 see this node at different ports, by the votes of now.
 * False: it is not known. Unlike the state it needs no third node.
 */
bool reachability_ports(const struct reachability *reachability, uint64_t now_ns, bool *out_differ);
/* reachability_life_heard: a datagram came to the port of family of nat_port_send. Takes NULL. */
#define REACHABILITY_LIFE_LEN_MAX 548
void reachability_life_heard(struct reachability *reachability, enum addr_family family,
			     const uint8_t *data, size_t len, uint64_t now_ns);
/*
 * reachability_life_at: networks that were measured, from 0, of IPv4 first; false: no more. life_load:
 * one that another run of this node measured. Both take NULL.
 */
struct reachability_life {
	struct addr outside; /* the host that others see; of IPv6 this node's own */
	struct addr inside;  /* this node's own host behind it */
	uint16_t
		life_s; /* a mapping of UDP, or a flow of IPv6, lasted for so long; 0: not for 5 s */
	uint64_t age_ns; /* since it was measured */
	bool is_present; /* the network in which this node is */
};
bool reachability_life_at(const struct reachability *reachability, unsigned at, uint64_t now_ns,
			  struct reachability_life *out_life);
void reachability_life_load(struct reachability *reachability, const struct reachability_life *life,
			    uint64_t now_ns);
/*
 * reachability_keepalive_ns: how often a flow of family is to have a datagram, by the life of the present
 * network; 0: not known. Of ADDR_NONE: the shorter of both that are known. Takes NULL.
 */
uint64_t reachability_keepalive_ns(const struct reachability *reachability,
				   enum addr_family family);
const struct reachability_stats *reachability_stats(const struct reachability *reachability);

#endif
