/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_OFFENDERS_H
#define WEFT_FIREWALL_OFFENDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/xdp_maps.h"

/*
 * The sources with the most drops in the last day: a table for each hour, of fixed size. It is kept
 * as Metwally, Agrawal and El Abbadi do ("Efficient Computation of Frequent and Top-k Elements in
 * Data Streams", 2005, Space-Saving). A newcomer to a full table takes the place of the least, with
 * its count as possible error. So cnt is never too small, and is too large by at most error_cnt. A
 * source of more than a 1/OFFENDERS_CAP of an hour's drops is in its table.
 *
 * A source is an IPv4 address or an IPv6 /64, of one reason. Pure, on one thread. A zeroed one is
 * empty.
 */
#define OFFENDERS_HOUR_CNT 25 /* the hour at hand and the 24 before */
#define OFFENDERS_CAP	   256
#define OFFENDERS_HOUR_NS  (3600ull * 1000000000)

struct offender {
	struct weft_endpoint source; /* no port; of IPv6 the first 64 bits */
	uint64_t cnt, error_cnt;
	uint64_t first_ns, last_ns;
	enum weft_reason reason;
};

struct offenders {
	struct offender_hour {
		uint64_t hour; /* number since the monotonic clock's 0, and 1; 0: empty */
		unsigned cnt;
		struct offender offenders[OFFENDERS_CAP];
	} hours[OFFENDERS_HOUR_CNT];
};

/* firewall_offenders_source: what a table knows of source. */
struct weft_endpoint firewall_offenders_source(const struct weft_endpoint *source);
/* firewall_offenders_add: weight drops of source for reason. A time before the hour at hand is ignored. */
void firewall_offenders_add(struct offenders *offenders, const struct weft_sample *sample);
/*
 * firewall_offenders_top adds up the last 24 hours at now_ns and writes those with
 * the most drops, the most first. Returns how many, at most cap.
 */
unsigned firewall_offenders_top(const struct offenders *offenders, uint64_t now_ns,
				struct offender *out_offenders, unsigned cap);

#endif
