/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_FIREWALL_H
#define WEFT_FIREWALL_FIREWALL_H

#include <stdint.h>

#include "bans.h"
#include "drop_counters.h"
#include "incidents.h"
#include "policy_record.h"
#include "weft/err.h"

struct ban;
struct ban_set;
struct ingress;
struct pressure;
struct random;
struct store;
struct timer_wheel;
struct weft_config;
struct weft_counter;
struct xdp;

/*
 * The parts of the node that bans, drop counters and the policy record use. Everything is borrowed
 * for their life. Home worker only.
 */
struct firewall_params {
	struct store *store;
	struct random *random;
	struct timer_wheel *timers;
	const uint64_t *now_ns; /* monotonic clock, of the turn */
	uint64_t started_ns, started_s;
	struct incidents *incidents;	  /* set by firewall_open */
	struct ingress *ingress;	  /* of home's sockets */
	const struct weft_config *policy; /* of the XDP program */
	const struct weft_config *part;	  /* of each worker's sockets */
	const struct pressure *pressure;
	unsigned worker_cnt;
	/* The wall clock, microseconds since 1970. */
	uint64_t (*wall_us)(void *ctx);
	/* Returns the tables of the XDP program; NULL: no device is attached. */
	struct xdp *(*xdp)(void *ctx);
	/* Both write what was counted by reason: of all workers' sockets, the other of the program, too. */
	void (*socket_counters)(void *ctx, struct weft_counter *out_counters);
	void (*counters)(void *ctx, struct weft_counter *out_counters);
	/* Enforces exactly set, which is freed: at home now, elsewhere with the next turn. */
	void (*enforce)(void *ctx, struct ban_set *set, uint64_t now_ns);
	/* The ban of target is new, other or gone: the driver's table follows. */
	void (*ban_changed)(void *ctx, const struct ban_target *target);
	/* The wall clock was set: the driver's table is written anew. */
	void (*bans_push)(void *ctx);
	/* A ban began, ended or was removed. */
	void (*on_ban)(void *ctx, enum incident_kind kind, const struct ban *ban);
	void *ctx;
};

/* The rooms' parts; a closed one in the simulator, where nothing is banned or counted. */
struct firewall {
	struct firewall_params params;
	struct bans bans;
	struct drops drops;
	struct incidents incidents;
	struct record record;
};

/*
 * firewall_new: a closed one; NULL: no memory. firewall_open opens drops and bans; the record is opened
 * after the fast path (firewall_record_open with params). 0 or negative. firewall_close takes one that
 * is half open or closed; firewall_free comes behind it and takes NULL.
 */
struct firewall *firewall_new(void);
WEFT_MUST_CHECK
int firewall_open(struct firewall *firewall, const struct firewall_params *params);
void firewall_close(struct firewall *firewall);
void firewall_free(struct firewall *firewall);

#endif
