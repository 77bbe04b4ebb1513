/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_NODE_STATE_H
#define WEFT_NODE_NODE_STATE_H

#include "api/api.h"
#include "control/control.h"
#include "mesh/seam.h"
#include "net/local/advertise.h"
#include "net/packet_io.h"
#include "config/config.h"
#include "worker/fastpath/fastpath.h"
#include "firewall/firewall.h"
#include "node/node.h"
#include "locate/locate.h"
#include "port_mapping/port_mapping.h"
#include "deposits/deposits.h"
#include "offers/service_offers.h"
#include "social/social.h"
#include "punch/punch.h"
#include "reachability/reachability.h"
#include "relay/end/relay_end.h"
#include "relay/grants/held.h"
#include "relay/grants/honoured.h"
#include "relay/role/relay_role.h"
#include "relay/receipts/relay_receipts.h"
#include "relay/slots/relay_slots.h"
#include "relay/trust/relay_trust.h"
#include "worker/workers.h"
#include "worker/worker.h"
#include "node/fabric/fabric.h"
#include "node/sharing/sharing.h"

/* The clock of the machine, or simulated time's own. */
struct wall_clock {
	struct node *node;
	uint64_t started_ns;
	uint64_t started_s; /* wall clock at started_ns */
	struct timer timer; /* tells the rooms of a wall clock that was set */
};

/* The other threads of the node: home's orders to them and their reports. threads.c */
struct threads {
	struct worker_config config;   /* what all workers share of the configuration */
	struct workers *workers;       /* NULL: home is the only worker */
	struct handover *handover;     /* likewise */
	struct blobs_servers *servers; /* of content, on the workers */
	struct poller_watch workers_watch;
	struct poller_watch store_watch;
	uint32_t cid_epoch;
	uint64_t cids_rotated_ns;
	bool is_served_due;	    /* the workers have not heard what peers may read now */
	bool is_config_due;	    /* nor what a reload changed */
	bool is_bans_due;	    /* nor which bans hold now */
	bool is_policy_due;	    /* nor which limits and mode hold */
	bool is_shares_due;	    /* nor the peers that count as more than one in fair shares */
	bool is_addrs_due;	    /* nor the addresses that HELLO says */
	uint32_t told_caps;	    /* that they were given for HELLO */
	uint64_t told_keepalive_ns; /* and for flows through this network's NAT */
	int failure;		    /* why the node stops by itself; 0: it was ordered to */
	bool is_damage_told;	    /* of the store, in the log */
};

/* The machine's addresses, links and ports. machine.c */
struct machine {
	struct address_watch *addresses; /* NULL: simulated */
	struct port_probes *port_probes; /* likewise */
	struct advertised advertised;	 /* of QUIC: what links, records and descriptors carry */
	unsigned outer_cnt;	 /* its first ones: others proved them, or a router maps them */
	struct advertised hello; /* what HELLO says: with those of TCP */
	/* As last told in an event. */
	struct port_mapping_row mappings[PORT_MAPPING_PORTS_MAX];
};

/* Shared by the files of node/: the rooms, each of which makes its own state. Home worker only. */
/* nat_port.c */
struct nat_port {
	struct poller_watch watch; /* fd -1: there is none */
	struct node *node;	   /* NULL: it was never opened */
	enum addr_family family;
	struct udp_hold hold; /* nothing is sent into a link that is down */
};

/* punch_params.c: the sockets of a search, until it keeps one. */
struct punch_ports {
	struct node *node;
	struct poller_watch
		watch; /* of an epoll descriptor with all of them; fd -1: there is none */
	int fds[PUNCH_SEARCH_SOCKETS_MAX]; /* -1: closed, or kept */
	unsigned cnt;
};

struct node {
	const struct node_config *config;
	const struct node_key *key;
	struct random *random;
	struct launcher *launcher; /* NULL: simulated */
	struct store *store;
	struct wall_clock *wall;
	struct worker *home;
	struct threads *threads;
	struct machine *machine;
	struct fastpath *fastpath;
	struct firewall *firewall;
	struct locate *locate;
	struct reachability *reachability;
	struct nat_port nat_ports[REACHABILITY_LIFE_FAMILIES];
	struct punch *punch;
	struct punch_ports punch_ports;
	struct punch_question punch_question;	    /* to a relay, while one is under way */
	struct port_mapping *port_mapping;	    /* NULL: simulated, or off */
	struct relay *relay;			    /* NULL: this node is no relay */
	struct relay_broker *relay_broker;	    /* likewise */
	struct relay_honoured *relay_honoured;	    /* NULL: it honours no grants */
	struct relay_messages *relay_messages;	    /* likewise */
	struct relay_pool *relay_pool;		    /* NULL: its operator has no other relay */
	struct relay_role relay_role;		    /* whether it is a relay now */
	uint64_t role_served_cnt, role_faulted_cnt; /* of the mesh, as of its latest judgement */
	uint64_t role_saved_ns;
	/* A choice of the role that is on its way into the store. */
	struct {
		void (*done)(void *arg, int err); /* NULL: there is none */
		void *arg;
		enum relay_role_choice choice;
		bool is_void; /* this node ends */
	} role_choice;
	struct relay_held *relay_held;	       /* what it shows to relays */
	struct relay_trust_rule relay_trust;   /* of other relays */
	struct relay_end *relay_end;	       /* of flows through other relays */
	struct relay_web *relay_web;	       /* NULL: nor one over WebSocket */
	struct tcp_channels *channels;	       /* likewise */
	struct relay_web_end *relay_web_end;   /* NULL: no relay is used over WebSocket */
	struct tcp_channels *dialled_channels; /* likewise */
	struct fabric *fabric;		       /* NULL: services are off */
	struct sharing *sharing;	       /* NULL: it is off */
	struct api *api;		       /* what handlers see of all this */
	struct relay_receipts *relay_receipts; /* of what relays carried */
	struct relay_slots *relay_slots;
	struct service_offers *offers; /* NULL: they are off */
	struct deposits *deposits;     /* NULL: there are none */
	struct social *social;	       /* NULL: it is off */
};

/* node.c: the wall clock, or simulated time's own. Microseconds since 1970. */
uint64_t node_wall_us(const struct node *node);

/*
 * threads.c: node_open_workers when home is open. node_tell_workers repeats what found no room in their
 * mailboxes; node_rotate_cids begins the next generation of connection ids when that is due.
 */
WEFT_MUST_CHECK
int node_open_workers(struct node *node, const struct node_params *params, char *what);
void node_tell_workers(struct node *node, uint64_t now_ns);
void node_rotate_cids(struct node *node, uint64_t now_ns);
/* node_cid_epoch: of the connection ids that all workers begin with. */
uint32_t node_cid_epoch(const struct node_params *params);

/* worker_hooks.c: what workers take of config; home's loop turns dht, NULL: no more. */
struct worker_config node_worker_config(const struct node_config *config);
/* worker_hooks.c: home's end of the content of workers. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int node_open_servers(struct node *node);
void node_attach_dht(struct node *node, struct dht *dht);

/* firewall_params.c: what bans, drops and record use. */
struct firewall_params node_firewall_params(struct node *node);
void node_on_sample(void *ctx, const struct weft_sample *sample);
WEFT_MUST_CHECK
int node_open_fastpath(struct node *node);
void node_configure_fastpath(struct node *node, const struct node_config *config);

/* node.c: the addresses that others may use; how many. */
unsigned node_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
/* locate_params.c: locate_open, and mesh asks it. */
WEFT_MUST_CHECK
int node_open_locate(struct node *node, char *what);

/*
 * meta_row.c. node_meta_read copies the row's bytes; 0: it is absent, longer than cap, or cannot be
 * read. node_meta_write: 0, and done(arg, err) follows, or -ENOMEM or of store_submit. done may be NULL.
 */
struct node_meta {
	const char *name;
	const void *bytes;
	size_t len;
};
size_t node_meta_read(const struct node *node, const char *name, void *dst, size_t cap);
int node_meta_write(struct node *node, const struct node_meta *row,
		    void (*done)(void *arg, int err), void *arg);

/*
 * relay/relay_broker_params.c: relay is opened if the configuration says so, before all workers; its
 * broker once home has its mesh. next_ns: UINT64_MAX for a node that is no relay.
 */
WEFT_MUST_CHECK
int node_open_relay(struct node *node, const struct node_params *params, char *what);
WEFT_MUST_CHECK
int node_open_relay_broker(struct node *node, char *what);
/* relay_receipts_params.c: after the broker, whose bound of messages holds for claims. */
WEFT_MUST_CHECK
int node_open_relay_receipts(struct node *node, char *what);
void node_turn_relay_receipts(struct node *node, uint64_t now_ns);
WEFT_MUST_CHECK
int node_open_relay_slots(struct node *node, char *what);
/* relay_held_params.c: before the ends of flows. */
WEFT_MUST_CHECK
int node_open_relay_held(struct node *node, char *what);
void node_turn_relay(struct node *node, uint64_t now_ns);
/*
 * relay_role_params.c: before the broker. turn: when relay_role.next_ns is over; close: at the end.
 * node_choose_relay: ctx is struct node; as choose_relay of api.h.
 */
WEFT_MUST_CHECK
int node_choose_relay(void *ctx, enum relay_role_choice choice, void (*done)(void *arg, int err),
		      void *arg);
void node_open_relay_role(struct node *node);
void node_turn_relay_role(struct node *node, uint64_t now_ns);
void node_close_relay_role(struct node *node);
/* node_peer_class: what the peer of key is to this node; ctx: struct node. */
enum fair_class node_peer_class(void *ctx, const uint8_t *key);
/* node_refuses_key: a ban keeps the peer of key out; ctx: struct node. */
bool node_refuses_key(void *ctx, const uint8_t *key);
/* node_session_worker: the worker that has the session with key; ctx: struct node. */
unsigned node_session_worker(void *ctx, const uint8_t *key);
uint64_t node_relay_next_ns(const struct node *node);

/*
 * relay_web_params.c: opened once home has its poller. on_passed: an engine of any worker passed a
 * connection on. drain: clients hear that the relay restarts. close: after the workers ended.
 */
bool node_has_relay_web(const struct node_config *config);
/* node_has_relay_web_end: it may use relays over WebSocket. */
bool node_has_relay_web_end(const struct node_config *config);
/* node_relay_end_web: relays that this node uses over WebSocket, for the ends of flows. */
extern const struct relay_end_web node_relay_end_web;
WEFT_MUST_CHECK
int node_open_relay_web(struct node *node, char *what);
void node_close_relay_web(struct node *node);
void node_on_passed(void *ctx, const struct tcp_passed *passed);
bool node_is_guest(void *ctx, const uint8_t *key, struct addr *out_remote);
void node_guest_refused(void *ctx, const uint8_t *guest, const uint8_t *peer);
void node_guest_deliver(void *ctx, const struct relay_guest_dgram *dgram);
void node_turn_relay_web(struct node *node, uint64_t now_ns);
uint64_t node_relay_web_next_ns(const struct node *node);
void node_drain_relay_web(struct node *node, uint64_t now_ns);
/* node_expel_relays: home's bans changed. Sessions, and flows at this relay, have ended by then. */
void node_expel_relays(struct node *node, uint64_t now_ns);

/*
 * relay_trust_params.c: after the grants and before the ends. trust and rank as of relay_end.h and
 * known_relays.h; ctx: struct node. choose: the relays to use, in their order.
 */
WEFT_MUST_CHECK
int node_open_relay_trust(struct node *node, char *what);
unsigned node_relay_trust(void *ctx, const uint8_t *relay, const uint8_t *by);
unsigned node_relay_rank(void *ctx, const uint8_t *relay);
unsigned node_choose_relays(void *ctx, struct relay_end_place out[static RELAY_END_PLACES_MAX]);

/* relay_end_params.c: relay_end is opened, QUIC sends by it and mesh dials through it; close: no more. */
WEFT_MUST_CHECK
int node_open_relay_end(struct node *node, char *what);
void node_close_relay_end(struct node *node);
void node_on_barred(void *ctx, const uint8_t *key);

/* reachability_params.c: reachability is opened and home's loop gives it datagrams; close: no more. */
WEFT_MUST_CHECK
int node_open_reachability(struct node *node, const struct node_params *from, char *what);
void node_close_reachability(struct node *node);

/* punch_params.c: a session with key goes through a relay. */
WEFT_MUST_CHECK
int node_open_punch(struct node *node, const struct node_params *from, char *what);
void node_close_punch(struct node *node);

/* deposits_params.c: before offers, which leave some. stop: before the mesh is freed; close: behind that. */
WEFT_MUST_CHECK
int node_open_deposits(struct node *node, char *what);
void node_stop_deposits(struct node *node);
void node_close_deposits(struct node *node);
/* social_params.c: stop: before the mesh is freed; close: behind that. */
WEFT_MUST_CHECK
int node_open_social(struct node *node, char *what);
void node_stop_social(struct node *node);
void node_close_social(struct node *node);
/* node_store_peer: a STORE node as deposits dial it; what people leave is told to no locator. */
struct mesh_peer node_store_peer(void *ctx, unsigned kind, const uint8_t *store,
				 struct peer_places *out_places, uint64_t now_ns);
/* node_mail_boxes: of the node. node_register_mail, once the social layer is there: 0 or WEFT_EEXISTS. */
extern const struct mail_boxes node_mail_boxes;
WEFT_MUST_CHECK
int node_register_mail(struct node *node);
/* node_is_unsought: key is of people, and never looked for on a DHT. */
bool node_is_unsought(void *ctx, const uint8_t *key);
/* offers_params.c. */
WEFT_MUST_CHECK
int node_open_offers(struct node *node, char *what);
void node_close_offers(struct node *node);
void node_find_path(void *ctx, const uint8_t *key);

/*
 * nat_port.c: the ports that the life of a NAT is measured by. open: where they are, of each family; NULL:
 * there is none. load, save: the networks that were measured, of and for another run.
 */
void node_nat_ports_open(struct node *node, void *out_ports[static REACHABILITY_LIFE_FAMILIES]);
void node_nat_ports_close(struct node *node);
void node_nat_port_send(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
void node_nat_lives_load(struct node *node, uint64_t now_ns);
void node_nat_lives_save(void *ctx, uint64_t now_ns);

/* port_mapping_params.c: the router is asked for mappings, where this node listens for its networks. */
WEFT_MUST_CHECK
int node_open_port_mapping(struct node *node, char *what);
/* port_mapping_params.c: rooms and callers hear what is mapped now. */
void node_mappings_changed(struct node *node, uint64_t now_ns);

/*
 * machine.c: node_addresses_changed tells all rooms and peers of new addresses, if there are such.
 * node_outer_addrs writes those that others proved or a router maps. node_places: where others reach
 * this node, relays included.
 */
void node_addresses_changed(struct node *node, uint64_t now_ns);
void node_places(const struct node *node, struct peer_places *out_places);
unsigned node_outer_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);

/*
 * machine.c: node_advertise finds the addresses that links and HELLO carry. node_watch_machine follows
 * addresses, links and routes. node_port_probe: whether a server listens there (worker.h).
 */
void node_advertise(struct node *node);
WEFT_MUST_CHECK
int node_watch_machine(struct node *node);
void node_unwatch_machine(struct node *node);
void node_port_probe(void *ctx, const struct addr *remote);
/* node_stun_ask: reachability_params.c, for mesh_params. */
void node_stun_ask(void *ctx, const struct addr *remote);

/* session_hooks.c: what blobs/ and mesh/ say of what happened; ctx is the node. */
struct blobs_event;
struct mesh_failure;
struct mesh_peer_info;
void node_on_content(void *ctx, const struct blobs_event *event);
void node_on_line(void *ctx, const char *path, int err);
void node_on_verified(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len);
void node_on_sent(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t len);
void node_on_moved(void *ctx, const uint8_t *key, const struct addr *remote);
void node_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up);
void node_on_step(void *ctx, const struct mesh_step *step);
void node_on_failure(void *ctx, const struct mesh_failure *failure);
uint32_t node_choices(void *ctx, const uint8_t *key);

/* api_wire.c: api is given what it shows; workers and control come later. */
void node_wire_api(struct node *node, const struct last_crash *last_crash);

#endif
