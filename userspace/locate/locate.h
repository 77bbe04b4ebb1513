/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_LOCATE_LOCATE_H
#define WEFT_LOCATE_LOCATE_H

#include <stdbool.h>
#include <stdint.h>

#include "address_record.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "bootstrap.h"
#include "json_record.h"
#include "mainline.h"
#include "pkarr_client.h"
#include "signaling.h"

struct dgram_sink;
struct jobs;
struct load;
struct random;
struct weft_krpc_reply_keys;
struct xdp;

/*
 * Where the addresses of a key are found, and this node's own are published: the Mainline DHT,
 * pkarr relays, a signaling endpoint, bootstrap lists. Home worker only.
 */
enum locate_event_kind {
	LOCATE_DHT_JOINED, /* took_ns */
	LOCATE_DHT_LOST,
	LOCATE_DHT_ADDRESS,   /* net */
	LOCATE_DHT_PUBLISHED, /* node_cnt, took_ns */
};

struct locate_event {
	enum locate_event_kind kind;
	uint64_t took_ns;
	unsigned node_cnt;
	enum dht_net net;
};

struct pkarr_packet;

/* Everything is borrowed for the life of struct locate. */
struct locate_params {
	const struct mainline_config *mainline;
	const struct publish_config *publish;
	const struct pkarr_client_config *pkarr_client;
	const struct signaling_config *signaling;
	const struct node_key *key;
	struct random *random;
	struct store *store;
	struct timer_wheel *timers;
	struct poller *poller; /* NULL: simulated */
	struct jobs *jobs;
	struct load *load;
	struct dgram_sink *sink;
	const struct addr *bound; /* what the sockets listen on */
	unsigned bound_cnt;
	struct fair_site site;	/* its nodes share a network */
	uint32_t caps;		/* of the own record */
	bool has_given_addrs;	/* the configuration names the own addresses: no other is said */
	const uint64_t *now_ns; /* monotonic clock, of the turn */
	/* The wall clock, microseconds since 1970. */
	uint64_t (*wall_us)(void *ctx);
	/* Returns the tables of the XDP program; NULL: no device is attached. */
	struct xdp *(*xdp)(void *ctx);
	/* Writes the addresses that others reach by a router, or that others proved; first of all. */
	unsigned (*outer_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	/* Writes the addresses that others may use, those among them. */
	unsigned (*own_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	/* Writes the relays through which this node is reached; how many. */
	unsigned (*vias)(void *ctx, struct peer_via vias[static PEER_VIAS_MAX]);
	/* Home's sockets accept replies that these keys made. */
	void (*reply_keys)(void *ctx, const struct weft_krpc_reply_keys *keys);
	/* As mesh_connect. */
	int (*dial)(void *ctx, const struct mesh_peer *peer, uint64_t timeout_ns,
		    mesh_connect_fn dialled, void *arg);
	/* The node has no session. */
	bool (*is_alone)(void *ctx);
	/* Turns the node when fd is readable. 0, WEFT_EFULL or -errno. */
	int (*watch)(void *ctx, struct poller_watch *watch, int fd);
	void (*on_event)(void *ctx, const struct locate_event *event);
	void *ctx;
};

struct locate_stats {
#define FIGURE FIGURE_FIELD
#include "locate/locate_counters.def"
};

/* Readers: the parts, each NULL when it is off. A zeroed one may be closed, stopped and freed. */
struct locate {
	struct locate_params params;
	const uint8_t *own_key;
	struct dht *dht;
	struct mainline *mainline;
	struct bootstrap *bootstrap;
	struct publish *publish;
	struct json_record *json_record;
	struct pkarr_client *pkarr_client;
	struct signaling *signaling;
	struct mesh_locator locators[MESH_LOCATORS_MAX]; /* in the order in which mesh asks them */
	unsigned locator_cnt;
	struct locate_stats stats;
};

/* locate_new: a closed one; NULL: no memory. */
struct locate *locate_new(void);
/* locate_open: 0, or a negative code with what (LOCATE_WHAT_CAP) naming the object at fault. */
#define LOCATE_WHAT_CAP 384
WEFT_MUST_CHECK
int locate_open(struct locate *locate, const struct locate_params *params, char *what);
/*
 * The end in three steps. locate_close: nothing is looked for or published any more, while the
 * features that use the DHT are there. locate_stop saves and ends the DHT, while the worker is there.
 * locate_free comes behind the worker's disk threads; takes NULL.
 */
void locate_close(struct locate *locate);
void locate_stop(struct locate *locate);
void locate_free(struct locate *locate);
/* locate_turn takes in what was answered, and saves when that is due; true when there was something. */
bool locate_turn(struct locate *locate);

/*
 * locate_tell tells look what packet says of its owner's place; nothing if that is of no use. Look may
 * be over then.
 */
void locate_tell(struct locate *locate, const struct pkarr_packet *packet, struct mesh_look *look);

static inline uint64_t locate_now_ns(const struct locate *locate)
{
	return *locate->params.now_ns;
}

static inline uint64_t locate_wall_us(const struct locate *locate)
{
	return locate->params.wall_us(locate->params.ctx);
}

#endif
