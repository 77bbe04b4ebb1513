/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_ARRIVALS_H
#define WEFT_FIREWALL_ARRIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"
#include "weft/xdp_maps.h"

struct sketch;

/*
 * The records of the places of unvalidated sources (struct weft_place) since they were last read.
 * The amount from each source goes to a sketch. This table keeps how often each limit refused, and
 * how near it is to that. Each table (a CPU's, a worker's) is read by itself, once a second.
 * Nothing is asked of a datagram. Pure, on one thread.
 */
struct arrivals_limit {
	uint64_t offered_cnt, refused_cnt; /* since the start */
	uint64_t refused_at_ns;		   /* the last time; 0: never */
	/* The emptiest bucket of those used, in the second at hand and in that before. */
	struct arrivals_credit {
		uint64_t left_ns, max_ns; /* 0 of 0: none was used */
	} credits[2];
};

struct arrivals_seen;

struct arrivals {
	struct sketch *sketch;
	unsigned table_cnt;
	struct arrivals_seen *seen; /* by table, class, level, place */
	struct arrivals_limit limits[WEFT_CLASS_CNT][WEFT_LEVEL_CNT];
};

#define ARRIVALS_TABLE_MAX 256

size_t firewall_arrivals_footprint(unsigned table_cnt);
/* firewall_arrivals_open: for tables in [0, table_cnt), at most ARRIVALS_TABLE_MAX. 0 or -ENOMEM. */
WEFT_MUST_CHECK
int firewall_arrivals_open(struct arrivals *arrivals, unsigned table_cnt, struct sketch *sketch);
/* firewall_arrivals_close takes a zeroed one, too. */
void firewall_arrivals_close(struct arrivals *arrivals);

/* firewall_arrivals_forget: table begins at zero again. */
void firewall_arrivals_forget(struct arrivals *arrivals, unsigned table);
/* firewall_arrivals_begin: a second begins, by which firewall_arrivals_credit goes. */
void firewall_arrivals_begin(struct arrivals *arrivals);
/* firewall_arrivals_credit: of the emptiest bucket in the second at hand and that before. */
struct arrivals_credit firewall_arrivals_credit(const struct arrivals_limit *limit);

/*
 * firewall_arrivals_read takes cnt places of a table, from first on. A worker's
 * sockets have limits of their own. CPUs count apart under limits that they
 * share, so their counts go to the sketch as one table's.
 */
struct arrivals_block {
	unsigned table, level;
	unsigned limits_table; /* the table whose limits they are */
	enum weft_class class;
	uint32_t first, cnt;
	const struct weft_place *places;
	struct weft_bucket_rate rate; /* in force, for the source of the place */
};
void firewall_arrivals_read(struct arrivals *arrivals, const struct arrivals_block *block,
			    uint64_t now_ns);

/* firewall_arrivals_class_cnt: what counters, by enum weft_reason, have of class; no place changes without. */
uint64_t firewall_arrivals_class_cnt(const struct weft_counter *counters, enum weft_class class);

#endif
