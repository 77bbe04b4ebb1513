/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_POLICY_LIMITS_H
#define WEFT_FIREWALL_POLICY_LIMITS_H

#include <stdint.h>

#include "weft/xdp_maps.h"

/*
 * How much unvalidated sources may send, as people say it: the section [limits] of
 * weft.conf(5), which fills the rates of struct weft_config. Rates are of one
 * address (IPv4 /32, IPv6 /64), per second, of all CPUs together; each network above
 * it gets
 * LIMITS_LEVEL_FACTOR times as much. Pure.
 */
struct limits_rate {
	uint32_t per_s; /* 1..LIMITS_RATE_MAX */
	uint32_t burst; /* datagrams at once after a silence, LIMITS_BURST_MIN..LIMITS_RATE_MAX */
};

struct limits_config {
	struct limits_rate classes[WEFT_CLASS_CNT];
	struct limits_rate all_answers; /* to all addresses together */
	struct limits_rate new_path;	/* of one connection id */
	struct limits_rate validated;	/* of one proven address */
};

#define LIMITS_LEVEL_FACTOR 4
#define LIMITS_FLOOD_SHIFT  3			       /* in mode flood an eighth */
#define LIMITS_BURST_MIN    (1u << LIMITS_FLOOD_SHIFT) /* or mode flood admits nothing at all */
#define LIMITS_RATE_MAX	    1000000u

void firewall_limits_config_defaults(struct limits_config *config);
/* firewall_limits_bucket_rate: rate at a level, 0 for an address. */
struct weft_bucket_rate firewall_limits_bucket_rate(const struct limits_rate *rate, unsigned level);
/* firewall_limits_apply writes the rates of policy, and no other field. */
void firewall_limits_apply(const struct limits_config *config, struct weft_config *policy);

/* firewall_policy_defaults: all of policy as it is in mode normal, with the default limits. */
void firewall_policy_defaults(struct weft_config *policy);

/* "initial", "new-path", "krpc", "stun", "probe", "answer"; NULL beyond the last. */
const char *firewall_limits_class_name(enum weft_class class);

#endif
