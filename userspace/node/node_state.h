/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_NODE_STATE_H
#define WEFT_NODE_NODE_STATE_H

#include "control/control.h"
#include "mesh/seam.h"
#include "net/packet_io.h"
#include "firewall/bans.h"
#include "node/config/config.h"
#include "firewall/drop_counters.h"
#include "node/fastpath/fastpath_node.h"
#include "firewall/firewall.h"
#include "firewall/incidents.h"
#include "node/event_log.h"
#include "node/node.h"
#include "firewall/policy_record.h"
#include "locate/locate.h"
#include "worker/workers_content.h"
#include "worker/workers.h"
#include "worker/worker.h"

/* Gets whose progress events are thinned apart from each other's. */
#define NODE_PROGRESS_SLOTS 8

/*
 * What node/ files share. Home worker only.
 */
/* What to do about a damaged store. */
#define NODE_DAMAGE_NEXT                                                                           \
	"Stop weftd; weft backup restore DIR then puts a backup in its place, weft store salvage " \
	"keeps all of it that is sound"

struct node {
	const struct node_config *config;
	const struct node_key *key;
	const uint8_t *own_key;		     /* its public half */
	const struct last_crash *last_crash; /* NULL: the run before ended well */
	struct launcher *launcher;	     /* NULL: simulated */
	struct random *random;
	struct store *store;
	struct worker_config worker_config; /* what all workers share of config */
	struct worker home;
	struct fastpath fastpath;
	struct firewall_params firewall;
	struct bans bans;
	struct drops drops;
	struct incidents incidents;
	struct record record;
	struct locate locate;
	struct fabric *fabric;	   /* NULL: services are off */
	struct sharing *sharing;   /* NULL: it is off */
	struct web *web;	   /* NULL: it is off */
	struct workers *workers;   /* NULL: home is the only worker */
	struct handover *handover; /* likewise */
	struct poller_watch workers_watch;
	uint32_t cid_epoch;
	uint64_t cids_rotated_ns;
	struct workers_content workers_content;
	bool is_served_due;	 /* the workers has not heard what peers may read now */
	bool is_config_due;	 /* nor what a reload changed */
	bool is_bans_due;	 /* nor who is banned now */
	bool is_policy_due;	 /* nor which limits and mode hold */
	bool is_shares_due;	 /* nor the peers that count as more than one in fair shares */
	uint32_t told_caps;	 /* what they were told that HELLO says */
	struct control *control; /* NULL: simulated without local programs */
	struct event_log event_log;
	struct address_watch *addresses;
	struct port_probes *port_probes; /* NULL: simulated, or nobody was knocked at yet */
	struct import_record *imports;	 /* method_share.c */
	struct get_watch *get_watches;	 /* method_get.c */
	struct ping_run *ping_runs;	 /* method_ping.c */
	struct load_watch *load_watches; /* method_top.c */
	struct check_run *check_runs;	 /* method_check.c */
	struct dht_run *dht_runs;	 /* method_dht_lookup.c */
	struct bootstrap_check *bootstrap_checks;	       /* method_bootstrap_check.c */
	struct joining *joinings;			       /* method_community.c */
	struct idempotent_reply *idempotent_replies;	       /* method_idempotency.c */
	struct community_question_record *community_questions; /* method_community_show.c */
	struct poller_watch store_watch;
	struct addr advertised[MESH_PEER_ADDRS_MAX];
	unsigned advertised_cnt;
	uint64_t started_ns;
	uint64_t started_wall_s; /* wall clock at started_ns */
	struct timer wall_timer; /* tells mesh/ of a wall clock that was set */
	uint64_t progress_told_ns[NODE_PROGRESS_SLOTS]; /* by get id, for events */
	uint64_t import_told_ns;			/* one import runs at a time */
	bool is_stopping;
	int failure;			 /* why it stops by itself; 0: it was told to */
	bool is_damage_told;		 /* of the store, in the log */
	bool is_checking;		 /* a CheckStore or a BackupStore runs */
	struct files_check *files_check; /* the CheckFiles that runs */
};

/* node.c: the wall clock, or simulated time's own. Microseconds since 1970. */
uint64_t node_wall_us(const struct node *node);

/* worker_hooks.c: what workers take of config; home's loop turns dht, NULL: no more. */
struct worker_config node_worker_config(const struct node_config *config);
void node_attach_dht(struct node *node, struct dht *dht);

/* firewall_params.c: what bans, drops and record use, before they are opened. */
void node_firewall_params(struct node *node);

/* node.c: the addresses that others may use; how many. */
unsigned node_own_addrs(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
/* locate_params.c: locate_open, and mesh asks it. */
WEFT_MUST_CHECK
int node_open_locate(struct node *node, char *what);

/* advertise.c: the addresses that links and HELLO carry. */
void node_advertise(struct node *node);

/* address_watch.c: dialled connections follow when the machine's addresses change. */
WEFT_MUST_CHECK
int node_watch_addresses(struct node *node);
void node_unwatch_addresses(struct node *node);
/* A link is down, and nothing shall be sent into it. */
bool node_is_holding(const struct node *node);

/*
 * event_write.c: node_tell numbers an event for the control socket and writes its
 * line into the log; fields is taken. The others are what blobs/ and mesh/ tell.
 */
void node_tell(struct node *node, const char *kind, json_t *fields);
struct blobs_event;
struct mesh_failure;
struct mesh_peer_info;
void node_on_content(void *ctx, const struct blobs_event *event);
void node_on_verified(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len);
void node_on_session(void *ctx, const struct mesh_peer_info *peer, bool is_up);
void node_on_step(void *ctx, const struct mesh_step *step);
void node_on_failure(void *ctx, const struct mesh_failure *failure);
uint32_t node_choices(void *ctx, const uint8_t *key);

/* method_table.c: the method table of the control socket; ctx is the node. */
extern const struct control_method api_methods[];
extern const char *const api_upgrades[]; /* of them, those that take the connection */

#endif
