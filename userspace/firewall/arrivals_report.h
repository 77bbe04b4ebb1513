/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_ARRIVALS_REPORT_H
#define WEFT_FIREWALL_ARRIVALS_REPORT_H

#include <stdint.h>

#include "weft/xdp_maps.h"

struct ingress;

/*
 * A worker's report of its ingress's places to the thread that keeps the record and may not read
 * them. It has the places that were used since the last report, as they stand now. Their counts are
 * sums, so what a lost report had comes with the next one of the same place. Pure, on the worker's
 * thread.
 */
struct arrivals_change {
	uint32_t idx; /* < WEFT_PLACE_CNT */
	struct weft_place place;
};

#define ARRIVALS_CHANGES_MAX 512

struct arrivals_changes {
	enum weft_class class;
	unsigned level, cnt; /* cnt <= ARRIVALS_CHANGES_MAX */
	const struct arrivals_change *changes;
};

/* A zeroed one has reported nothing yet. */
struct arrivals_report {
	uint64_t class_cnts[WEFT_CLASS_CNT]; /* datagrams counted of each at the last report */
	uint64_t told_at_ns;
};

/* firewall_arrivals_report_each calls fn, in portions, with what changed; now_ns is the worker's turn. */
typedef void (*arrivals_report_fn)(void *ctx, const struct arrivals_changes *changes);
void firewall_arrivals_report_each(struct arrivals_report *report, const struct ingress *ingress,
				   uint64_t now_ns, arrivals_report_fn fn, void *ctx);

#endif
