/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_H
#define WEFT_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/memory/arena.h"
#include "base/fair/load.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "mesh/seam.h"
#include "relay/forward.h"
#include "worker/carriers.h"
#include "worker/side_ports.h"
#include "weft/err.h"

struct blobs;
struct udp_config;
struct quic_config;
struct mesh_config;
struct blobs_config;
struct worker;
struct worker_params;
struct load_who;
struct mailbox_message;
struct dgram;
struct dgram_sink;
struct ban_set;
struct ingress;
struct handover;
struct jobs;
struct mesh;
struct mesh_failure;
struct mesh_peer_info;
struct mesh_step;
struct node_key;
struct packet_rx;
struct packet_tx;
struct quic_engine;
struct tcp_config;
struct tcp_engine;
struct tcp_passed;
struct tcp_sockets;
struct worker_lines;
struct random;
struct store;
struct weft_sample;
struct xdp_worker;
struct xdp_queue;

/* The protocol behind KRPC datagrams, without I/O: what the loop of home does with it. */
struct worker_krpc {
	void (*input)(void *ctx, const struct dgram *dgram, uint64_t now_ns);
	void (*flush)(void *ctx, uint64_t now_ns);
	void (*expire)(void *ctx, uint64_t now_ns);
	uint64_t (*next_ns)(const void *ctx);
	void (*set_sink)(void *ctx, struct dgram_sink *sink);
};

/* The part that answers STUN and path probes, without I/O, as the loop of home uses it. */
struct worker_reachability {
	void (*input)(void *ctx, const struct dgram *dgram, uint64_t now_ns);
	void (*set_sink)(void *ctx, struct dgram_sink *sink);
};

/* The ends of flows through relays, without I/O, as home uses them (relay/end/). */
struct worker_relay_end {
	/* True: dgram is a packet of QUIC now. False: it was dropped. */
	bool (*input)(void *ctx, struct dgram *dgram, uint64_t now_ns);
	/* What QUIC sends by, over sink. */
	struct dgram_sink *(*wrap)(void *ctx, struct dgram_sink *sink);
	/* The longest packet of a label's flow. */
	size_t (*len_max)(void *ctx, const struct addr *label);
	/* As relay_end_ask. */
	void (*ask)(void *ctx, const struct addr *label);
	/* As relay_end_leg_silent. */
	void (*leg_silent)(void *ctx, const struct addr *label);
	/* As relay_end_relabel. */
	bool (*relabel)(void *ctx, struct addr *label);
};

/* The parts of the configuration that a worker hands to its modules. Borrowed for its life. */
struct worker_config {
	const struct udp_config *udp;
	const struct quic_config *quic;
	const struct tcp_config *tcp;
	const struct mesh_config *mesh;
	const char *proxy_user; /* user:password for tcp->proxy; NULL: none */
	const char *store_dir;	/* for messages */
	unsigned worker_cnt;
	unsigned job_threads, job_cap;
	uint32_t session_cap;	   /* addresses that ingress knows as validated */
	unsigned local_watch_cap;  /* descriptors of local programs and of the node's own */
	uint64_t drain_timeout_ns; /* from the order to stop to the end */
	bool relays_streams;	   /* other workers pass streams of services to home */
	bool passes_http;	   /* TLS connections of HTTP go to on_passed */
	const struct worker_content_ops *content_ops;
	const struct blobs_config *content;    /* content_ops' */
	const struct weft_relay_tables *relay; /* NULL: this node is no relay */
};

/*
 * The part of a worker above its mesh: the node wires it, and worker/ knows nothing of
 * it. Context: the worker's thread.
 */
struct worker_content_ops {
	/* Sets worker->content, once all else of worker is there. As worker_open. */
	int (*open)(struct worker *worker, const struct worker_params *params, char *what);
	void (*close)(struct blobs *content);	/* takes NULL */
	int (*fd)(const struct blobs *content); /* readable when reap has work; -1: never */
	void (*reap)(struct blobs *content, uint64_t now_ns);
	bool (*is_busy)(const struct blobs *content); /* without threads, reap has more to do */
	/* Other workers than home: posts reports about the last turns (worker_report_content). */
	void (*report)(struct blobs *content, uint64_t now_ns);
};

/* Room for the object at fault when a worker does not start. */
#define WORKER_WHAT_CAP 384

/* Queues of attached devices that one worker serves: all there can be. */
#define WORKER_QUEUE_MAX 64

/*
 * A worker: everything between the wire and the files that one thread runs
 * and no other touches. Home, worker 0, is the node's; what only home
 * has, the store thread's answers and the control socket, is in struct node.
 */
struct worker {
	unsigned idx;		   /* 0: home */
	struct handover *handover; /* NULL: the only worker */
	struct packet_rx *rx;	   /* the kernel's sockets, open all the time */
	struct packet_tx *tx;
	struct packet_tx *fast_tx;     /* sends in tx's place; NULL: tx does */
	struct xdp_worker *xdp_worker; /* its share of attached devices; NULL: simulated */
	struct {
		struct xdp_queue *queue; /* NULL: free */
		struct poller_watch watch;
	} queues[WORKER_QUEUE_MAX]; /* with datagrams that the XDP program has judged */
	unsigned queue_cap;	    /* the last one used and one */
	struct addr bound[8];	    /* what its sockets listen on, ports filled in */
	unsigned bound_cnt;
	struct load load; /* of all its modules */
	struct arena arena;
	struct ingress *ingress;   /* of its kernel sockets; NULL: simulated */
	struct demux_judge *judge; /* of ingress */
	struct timer paths_timer;
	void (*on_path)(void *ctx, const struct addr *remote);
	void *ctx;
	struct jobs *jobs;
	struct quic_engine *quic;
	struct tcp_engine *tcp;	     /* NULL: simulated, or switched off */
	struct tcp_sockets *sockets; /* tcp's */
	struct worker_lines *lines;  /* home's, of tcp; NULL: none */
	struct carriers carriers;    /* quic and tcp, for mesh */
	struct mesh *mesh;
	struct key_seal *seal; /* of keys in the store */
	const struct worker_content_ops *content_ops;
	struct blobs *content;		/* content_ops' */
	const struct worker_krpc *krpc; /* home's; NULL: the DHT is off */
	void *krpc_ctx;
	const struct worker_reachability *reachability; /* home's; NULL: not open yet, or no more */
	void *reachability_ctx;
	const struct worker_relay_end *relay_end; /* home's; NULL: not open yet, or no more */
	void *relay_end_ctx;
	struct relay_forward relay; /* unused without config's tables */
	struct timer_wheel timers;
	/* Home: dgram is for a client of the relay over WebSocket. NULL: there are none. */
	void (*on_guest)(void *ctx, const struct dgram *dgram);
	void *guest_ctx;
	bool is_simulated; /* a simulator turns it: no threads, no sockets, no clock but now_ns */
	struct poller *poller;	 /* NULL: simulated without local programs */
	struct side_ports ports; /* home's: one session each */
	struct poller_watch rx_watch, handover_watch, jobs_watch, content_watch;
	uint64_t now_ns; /* of the turn */
	uint64_t turn_cnt, unknown_flow_cnt;
	bool is_tx_waiting; /* the kernel had no room at the last flush */
	bool has_handed;    /* others have datagrams of legs that they were not woken for */
};

/* Everything is borrowed for the worker's life but rx and tx, which are taken. */
struct worker_params {
	unsigned idx;		   /* 0: home; others only serve content and keep no peers */
	struct handover *handover; /* NULL: the only worker */
	const struct addr *listen; /* NULL: what config says; else what the first one bound */
	uint32_t cid_epoch;	   /* of connection ids, the same for all */
	const struct worker_config *config;
	const struct node_key *key;
	struct random *random;
	struct store *store;
	struct packet_rx *rx; /* NULL: UDP by config */
	struct packet_tx *tx;
	bool is_simulated; /* no threads, no sockets but those of local programs */
	bool has_locals;   /* simulated, and there are such */
	uint64_t now_ns;
	uint64_t wall_s;	  /* wall clock at now_ns */
	const struct addr *hello; /* the addresses that HELLO says; read by worker_open */
	unsigned hello_cnt;
	void (*on_session)(void *ctx, const struct mesh_peer_info *peer, bool is_up);
	void (*on_step)(void *ctx, const struct mesh_step *step); /* home */
	void (*on_failure)(void *ctx, const struct mesh_failure *failure);
	uint32_t (*choices)(void *ctx, const uint8_t key[MESH_KEY_LEN]);	    /* home */
	void (*on_moved)(void *ctx, const uint8_t *key, const struct addr *remote); /* home */
	void (*find_path)(void *ctx, const uint8_t *key);			    /* home */
	bool (*is_unsought)(void *ctx, const uint8_t *key);			    /* home */
	void (*on_barred)(void *ctx, const uint8_t *key);			    /* home */
	void (*port_probe)(void *ctx, const struct addr *remote);		    /* home */
	void (*stun_ask)(void *ctx, const struct addr *remote);			    /* home */
	/*
	 * Datagrams of a connection are expected from remote: called when that
	 * begins, and again within INGRESS_PATH_LIFE_NS while it lasts. May be NULL.
	 */
	void (*on_path)(void *ctx, const struct addr *remote);
	/* A TLS connection of HTTP, which it takes. Home's thread. */
	void (*on_passed)(void *ctx, const struct tcp_passed *passed);
	/* The device of a line is there (err 0), or failed by err (-errno). Home; may be NULL. */
	void (*on_line)(void *ctx, const char *path, int err);
	/* Some of the datagrams that the ingress dropped; may be NULL. */
	void (*on_sample)(void *ctx, const struct weft_sample *sample);
	void *ctx;
};

/* worker_new: a closed one, home; NULL: no memory. worker_free after worker_close; takes NULL. */
struct worker *worker_new(void);
void worker_free(struct worker *worker);

/*
 * A zeroed worker is started in two steps. worker_listen binds its sockets,
 * so that bound is known. worker_open makes the rest, resumes earlier work,
 * and puts its descriptors under watch. Both return 0, or a negative code
 * with what naming the object at fault (WORKER_WHAT_CAP). worker_close
 * takes what either left behind.
 */
WEFT_MUST_CHECK
int worker_listen(struct worker *worker, const struct worker_params *params, char *what);
WEFT_MUST_CHECK
int worker_open(struct worker *worker, const struct worker_params *params, char *what);
void worker_close(struct worker *worker);

/*
 * worker_turn receives a batch, drains mailboxes, runs timers and flushes.
 * Returns true when there is more to do at once. worker_next_ns: when to
 * turn again if nothing arrives before, or UINT64_MAX.
 */
bool worker_turn(struct worker *worker, uint64_t now_ns);
uint64_t worker_next_ns(const struct worker *worker);
/* worker_goodbye refuses new connections and tells every peer that we leave. */
void worker_goodbye(struct worker *worker, uint64_t now_ns);
/* worker_is_draining: jobs or datagrams are still on their way out. */
bool worker_is_draining(const struct worker *worker);

/*
 * worker_set_relay_end: QUIC sends by what ops wrap; NULL: by the sockets alone again.
 * worker_input_relayed gives QUIC a packet whose addresses are a label. Home.
 */
void worker_set_relay_end(struct worker *worker, const struct worker_relay_end *ops, void *ctx);
void worker_input_relayed(struct worker *worker, struct dgram *dgram);
/* worker_input_label: a labelled datagram for an end of this node, from a relay's address. Home. */
void worker_input_label(struct worker *worker, struct dgram *dgram);

/*
 * worker_add_port also receives from rx, and sends by tx what is to leave from the port of bound. It takes
 * both and lets them go once no connection uses the port; 0, WEFT_EFULL or -errno. Home.
 * worker_port_room: how many more there may be for owner (side_ports.h).
 */
WEFT_MUST_CHECK
int worker_add_port(struct worker *worker, const struct side_port *port, uint64_t now_ns);
unsigned worker_port_room(const struct worker *worker, const struct side_port_owner *owner);

/* worker_receive_queue takes a batch of one queue. Returns whether there are probably more. */
bool worker_receive_queue(struct worker *worker, struct packet_rx *rx);

/*
 * worker_add_queue also receives from queue, which is judged by the XDP
 * program, and sends by its device if that does; 0, WEFT_EFULL or -errno.
 * worker_remove_queue takes what has arrived there and then lets it go; one
 * that the worker has not got is nothing. worker_set_mtu: a device's is mtu
 * now. All at any time between turns; sessions do not notice.
 */
WEFT_MUST_CHECK
int worker_add_queue(struct worker *worker, struct xdp_queue *queue);
void worker_remove_queue(struct worker *worker, struct xdp_queue *queue);
void worker_set_mtu(struct worker *worker, unsigned device, uint32_t mtu);

/*
 * worker_take_bans enforces exactly set, which is freed, from now on: sessions
 * that it keeps out are closed, and handshakes with banned addresses end. NULL (no memory for it) changes nothing.
 */
void worker_take_bans(struct worker *worker, struct ban_set *set, uint64_t now_ns);

/*
 * worker_rotate_cids starts the next generation of connection ids, and
 * worker_set_wall says that the wall clock shows wall_s at now_ns; the ingress
 * follows both.
 */
void worker_rotate_cids(struct worker *worker);
void worker_set_wall(struct worker *worker, uint64_t wall_s, uint64_t now_ns);

/* worker_wake: the machine has a link, an address or a route more; see quic_engine_wake, mesh_wake. */
void worker_wake(struct worker *worker, uint64_t now_ns);
/* worker_hold: nothing leaves from these addresses (net_udp_tx_hold); not for simulated workers. */
struct udp_hold;
void worker_hold(struct worker *worker, const struct udp_hold *hold);

/*
 * worker_report_content posts a report that home's end of the content runs. cause: the peer;
 * without an address, peers together; NULL: the worker itself. ctx: as in worker_params, on
 * other workers than home.
 */
void worker_report_content(void *ctx, const struct mailbox_message *report,
			   const struct load_who *cause);

/* worker_watch wakes the worker when fd is readable; fd -1 is nothing. 0, WEFT_EFULL or -errno. */
WEFT_MUST_CHECK
int worker_watch(struct worker *worker, struct poller_watch *watch, int fd);

#endif
