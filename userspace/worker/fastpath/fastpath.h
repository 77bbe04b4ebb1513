/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_FASTPATH_FASTPATH_H
#define WEFT_WORKER_FASTPATH_FASTPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/thread/poller.h"
#include "base/timer.h"
#include "net/xdp/xdp.h"
#include "firewall/policy_limits.h"
#include "firewall/pressure.h"

struct addr;
struct bans;
struct random;
struct worker;
struct workers;
struct workers_queue;

/*
 * The fast path: which devices are attached, the tables of the XDP program
 * filled from what home knows, its mode moved with the load. Sessions never notice: the kernel's sockets are open all the time,
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
void worker_fastpath_config_defaults(struct fastpath_config *config);

typedef void (*fastpath_detached_fn)(void *ctx);

/* Home's knowledge of an attached device, besides that of net/. */
struct fastpath_device {
	struct timer confirm_timer; /* first: its fire finds the rest */
	struct fastpath *fastpath;
	unsigned number;
	uint64_t confirm_at_ns; /* detached then unless kept; 0: kept */
	uint32_t serial;   /* of its attachment, so that a late answer is not taken for another's */
	uint32_t away_set; /* queues that other workers have, by bit */
	const char *leaving;	       /* the event that will report its end; NULL: it stays */
	fastpath_detached_fn detached; /* of the caller that waits for that; may be NULL */
	void *detached_ctx;
};

struct fastpath_params {
	const struct fastpath_config *config; /* borrowed for life */
	struct pressure_config pressure;
	struct worker *home;
	const struct bans *bans;
	struct random *random;
	unsigned worker_cnt;
	const struct weft_relay_tables *relay; /* NULL: this node is no relay */
	/* The part of each worker's sockets is another now; something happened to device, "" all. */
	void (*policy_changed)(void *ctx);
	void (*event)(void *ctx, const char *kind, const char *device, const char *text);
	void *ctx;
};

struct fastpath {
	struct fastpath_params params;
	struct workers *workers; /* set by the node; NULL: home is the only worker */
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

/* worker_fastpath_new: a closed one; NULL: no memory. worker_fastpath_free: after the close; takes NULL. */
struct fastpath *worker_fastpath_new(void);
void worker_fastpath_free(struct fastpath *fastpath);
/* worker_fastpath_open begins to attach what config names. 0 or -errno. */
WEFT_MUST_CHECK
int worker_fastpath_open(struct fastpath *fastpath, const struct fastpath_params *params);
/* worker_fastpath_configure takes what a reload may change: limits and what moves the mode. */
void worker_fastpath_configure(struct fastpath *fastpath, const struct fastpath_config *config,
			       const struct pressure_config *pressure);
/* worker_fastpath_close comes after the workers have ended; takes a zeroed one, too. */
void worker_fastpath_close(struct fastpath *fastpath);

/*
 * worker_fastpath_attach begins to attach device name. done is called on the
 * worker with the device's number when it stands. When attaching failed, done has
 * a negative code and why. confirm_ns: detach after so long unless
 * worker_fastpath_keep; 0: stay. Returns 0, or WEFT_EBUSY (one is being attached
 * or detached), WEFT_EEXISTS (attached already), -errno.
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
int worker_fastpath_attach(struct fastpath *fastpath, const struct fastpath_attach *attach);
/* worker_fastpath_attach_forget: the caller is gone; done is not called. */
void worker_fastpath_attach_forget(struct fastpath *fastpath, void *ctx);
/* worker_fastpath_lookup: the number of the attached device called name, or WEFT_EABSENT. */
int worker_fastpath_lookup(const struct fastpath *fastpath, const char *name);
/* worker_fastpath_keep: 0, or WEFT_EABSENT. */
WEFT_MUST_CHECK
int worker_fastpath_keep(struct fastpath *fastpath, const char *name);
/*
 * worker_fastpath_detach: 1, it is detached; 0, detached is called on home once the
 * workers have let go of it. WEFT_EABSENT, or WEFT_EBUSY when one is being attached
 * or detached. worker_fastpath_detach_forget: the caller is gone.
 */
WEFT_MUST_CHECK
int worker_fastpath_detach(struct fastpath *fastpath, const char *name,
			   fastpath_detached_fn detached, void *ctx);
void worker_fastpath_detach_forget(struct fastpath *fastpath, void *ctx);
/* worker_fastpath_queue_worker: the worker whose queue this is, of any device. */
unsigned worker_fastpath_queue_worker(const struct fastpath *fastpath, unsigned queue);
/* worker_fastpath_on_queue_left: another worker let go of a queue, or did not take it (workers.h). */
void worker_fastpath_on_queue_left(struct fastpath *fastpath, const struct workers_queue *left,
				   int err);

/* worker_fastpath_on_path: a worker expects datagrams from remote (worker.h). */
void worker_fastpath_on_path(struct fastpath *fastpath, const struct addr *remote);
/* worker_fastpath_cids_rotated: there is a new generation of connection ids. */
void worker_fastpath_cids_rotated(struct fastpath *fastpath);
/* worker_fastpath_addresses_changed: this machine's addresses are others now. */
void worker_fastpath_addresses_changed(struct fastpath *fastpath);
/* worker_fastpath_force: mode by hand; WEFT_MODE_CNT lets it move again. */
void worker_fastpath_force(struct fastpath *fastpath, enum weft_mode mode);

/*
 * worker_fastpath_ban_changed: the ban of target is new, another one or gone.
 * worker_fastpath_bans_push writes all, and the configuration with their counts.
 */
struct ban_target;
void worker_fastpath_ban_changed(struct fastpath *fastpath, const struct ban_target *target);
void worker_fastpath_bans_push(struct fastpath *fastpath);

/*
 * worker_fastpath_counters: by reason, of the program and of all workers' sockets
 * together; worker_fastpath_socket_counters of the sockets alone.
 */
void worker_fastpath_socket_counters(const struct fastpath *fastpath,
				     struct weft_counter out_counters[static WEFT_REASON_CNT]);
void worker_fastpath_counters(const struct fastpath *fastpath,
			      struct weft_counter out_counters[static WEFT_REASON_CNT]);

/* Private to fastpath*.c. */
void worker_fastpath_tables_push(struct fastpath *fastpath);
bool worker_fastpath_is_changing(const struct fastpath *fastpath);
void worker_fastpath_devices_check(struct fastpath *fastpath);	/* lets go of what is lost */
void worker_fastpath_devices_repeat(struct fastpath *fastpath); /* orders that were not obeyed */
void worker_fastpath_devices_close(struct fastpath *fastpath);
void worker_fastpath_tell_mtu(struct fastpath *fastpath, unsigned device);
int worker_fastpath_device_taken(struct fastpath *fastpath, struct xdp_device *device,
				 const char **why);
void worker_fastpath_device_remove(struct fastpath *fastpath, unsigned device, const char *event);
void worker_fastpath_config_push(struct fastpath *fastpath);
void worker_fastpath_attach_named(struct fastpath *fastpath); /* the next of config's interfaces */
void worker_fastpath_attach_abandon(struct fastpath *fastpath); /* waits for the thread */

#endif
