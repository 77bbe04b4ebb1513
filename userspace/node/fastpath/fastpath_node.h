/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_FASTPATH_NODE_H
#define WEFT_NODE_FASTPATH_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/poller.h"
#include "base/timer.h"
#include "net/xdp/xdp.h"
#include "firewall/policy_limits.h"
#include "firewall/pressure.h"

struct workers_queue;
struct node;

/*
 * The fast path of a node: which devices are attached, the tables of the
 * XDP program filled from what the node knows, its mode moved with the
 * load. Sessions never notice: the kernel's sockets are open all the time,
 * AF_XDP sockets are added beside them and taken away. Home worker only;
 * absent in the simulator.
 */
struct fastpath_config {
	char interfaces[64]; /* attached at start, apart by commas or blanks; "": none */
	struct xdp_config xdp;
	bool keeps_privilege; /* else given up when the devices named are attached */
	uint32_t flood_above; /* pressure_config */
	struct limits_config limits;
};
void node_fastpath_config_defaults(struct fastpath_config *config);
/* node_fastpath_policy_defaults: how much unvalidated sources may send, in mode normal. */
void node_fastpath_policy_defaults(struct weft_config *policy);

typedef void (*fastpath_detached_fn)(void *ctx);

/* What home knows of an attached device, besides what net/ does. */
struct fastpath_device {
	struct timer confirm_timer; /* first: its fire finds the rest */
	struct fastpath *fastpath;
	unsigned number;
	uint64_t confirm_at_ns; /* detached then unless kept; 0: kept */
	uint32_t serial;   /* of its attachment, so that a late answer is not taken for another's */
	uint32_t away_set; /* queues that other workers have, by bit */
	const char *leaving;	       /* the event that will tell of its end; NULL: it stays */
	fastpath_detached_fn detached; /* of who waits for that; NULL: nobody */
	void *detached_ctx;
};

struct fastpath {
	struct node *node;
	struct xdp *xdp;
	struct weft_config policy; /* the program's */
	struct weft_config part;   /* and that of each worker's sockets */
	struct pressure pressure;
	struct poller_watch watch; /* of devices */
	struct timer tick;
	uint64_t tick_cnt;
	struct attaching *attaching;
	struct fastpath_device devices[XDP_DEVICE_MAX];
	uint32_t serial_cnt;
	unsigned named_off; /* of config's interfaces, what was taken */
	bool is_privilege_dropped;
	char last_error[XDP_WHY_CAP]; /* of an attach at start; "": none */
};

/* node_fastpath_open makes it and begins to attach what config names. 0 or -errno. */
WEFT_MUST_CHECK
int node_fastpath_open(struct fastpath *fastpath, struct node *node);
/* node_fastpath_configure takes what a reload may change: limits and what moves the mode. */
struct node_config;
void node_fastpath_configure(struct fastpath *fastpath, const struct node_config *config);
/* node_fastpath_close comes after the workers has ended; takes a zeroed one, too. */
void node_fastpath_close(struct fastpath *fastpath);

/*
 * node_fastpath_attach begins to attach device name; done is called on the
 * worker when it stands, with its number, or failed, with a negative code
 * and why. confirm_ns: detach after so long unless node_fastpath_keep; 0: stay.
 * Returns 0, or WEFT_EBUSY (one is being attached or detached), WEFT_EEXISTS
 * (attached already), -errno.
 */
typedef void (*fastpath_attached_fn)(void *ctx, int device, const char *why);
struct fastpath_attach {
	const char *name;
	enum xdp_mode mode;
	enum xdp_send send;
	uint64_t confirm_ns;
	fastpath_attached_fn done; /* may be NULL */
	void *ctx;
};
WEFT_MUST_CHECK
int node_fastpath_attach(struct fastpath *fastpath, const struct fastpath_attach *attach);
/* node_fastpath_attach_forget: who asked is gone; done is not called. */
void node_fastpath_attach_forget(struct fastpath *fastpath, void *ctx);
/* node_fastpath_lookup: the number of the attached device called name, or WEFT_EABSENT. */
int node_fastpath_lookup(const struct fastpath *fastpath, const char *name);
/* node_fastpath_keep: 0, or WEFT_EABSENT. */
WEFT_MUST_CHECK
int node_fastpath_keep(struct fastpath *fastpath, const char *name);
/*
 * node_fastpath_detach: 1, it is detached; 0, detached is called on home once the
 * workers have let go of it; WEFT_EABSENT; or WEFT_EBUSY (one is being attached
 * or detached). node_fastpath_detach_forget: who asked is gone.
 */
WEFT_MUST_CHECK
int node_fastpath_detach(struct fastpath *fastpath, const char *name, fastpath_detached_fn detached,
			 void *ctx);
void node_fastpath_detach_forget(struct fastpath *fastpath, void *ctx);
/* node_fastpath_queue_worker: the worker whose queue this is, of any device. */
unsigned node_fastpath_queue_worker(const struct fastpath *fastpath, unsigned queue);
/* node_fastpath_on_queue_left: another worker let go of a queue, or did not take it (workers.h). */
void node_fastpath_on_queue_left(void *ctx, const struct workers_queue *left, int err);

/* node_fastpath_on_path: a worker expects datagrams from remote (worker.h); ctx is the node. */
void node_fastpath_on_path(void *ctx, const struct addr *remote);
/* node_fastpath_cids_rotated: there is a new generation of connection ids. */
void node_fastpath_cids_rotated(struct fastpath *fastpath);
/* node_fastpath_addresses_changed: this machine's addresses are others now. */
void node_fastpath_addresses_changed(struct fastpath *fastpath);
/* node_fastpath_force: mode by hand; WEFT_MODE_CNT lets it move again. */
void node_fastpath_force(struct fastpath *fastpath, enum weft_mode mode);

/*
 * node_fastpath_ban_changed: the node's ban of target is new, other or gone.
 * node_fastpath_bans_push writes all, and the configuration with their counts.
 */
struct ban_target;
void node_fastpath_ban_changed(struct fastpath *fastpath, const struct ban_target *target);
void node_fastpath_bans_push(struct fastpath *fastpath);

/*
 * node_fastpath_counters: by reason, of the program and of all workers' sockets
 * together; node_fastpath_socket_counters of the sockets alone.
 */
void node_fastpath_socket_counters(const struct fastpath *fastpath,
				   struct weft_counter out_counters[static WEFT_REASON_CNT]);
void node_fastpath_counters(const struct fastpath *fastpath,
			    struct weft_counter out_counters[static WEFT_REASON_CNT]);

/* Private to fastpath*.c. */
void node_fastpath_event(struct fastpath *fastpath, const char *kind, const char *device,
			 const char *text);
void node_fastpath_tables_push(struct fastpath *fastpath);
bool node_fastpath_is_changing(const struct fastpath *fastpath);
void node_fastpath_devices_check(struct fastpath *fastpath);  /* lets go of what is lost */
void node_fastpath_devices_repeat(struct fastpath *fastpath); /* orders that were not obeyed */
void node_fastpath_devices_close(struct fastpath *fastpath);
void node_fastpath_tell_mtu(struct fastpath *fastpath, unsigned device);
int node_fastpath_device_taken(struct fastpath *fastpath, struct xdp_device *device,
			       const char **why);
void node_fastpath_device_remove(struct fastpath *fastpath, unsigned device, const char *event);
void node_fastpath_config_push(struct fastpath *fastpath);
void node_fastpath_attach_named(struct fastpath *fastpath);   /* the next of config's interfaces */
void node_fastpath_attach_abandon(struct fastpath *fastpath); /* waits for the thread */
unsigned node_fastpath_locals(const struct fastpath *fastpath, struct addr *out_addrs,
			      unsigned cap);

#endif
