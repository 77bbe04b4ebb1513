/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_RUN_H
#define WEFT_OVERLAY_RUN_H

#include "overlay_state.h"
#include "overlay_query.h"

/*
 * Puts, gets and lookups: a lookup of kad/ driven over requests, and what is stored with the
 * nodes that it finds.
 *
 *     start -> flush: ask node after node (overlay_query.c)
 *         -> heard: values, further nodes -> flush ...
 *         -> the nearest are known: store -> done
 *
 * No callback runs before the next flush.
 */
size_t overlay_run_size(void);

/* overlay_run_{put,get}: as overlay_ops. */
int overlay_run_put(struct overlay *overlay, const struct overlay_put_params *params,
		    uint64_t now_ns, struct overlay_run **out_run);
int overlay_run_get(struct overlay *overlay, const struct overlay_get_params *params,
		    uint64_t now_ns, struct overlay_run **out_run);
/* overlay_run_nodes looks for the nodes around target, for what the table learns. NULL: no room. */
struct overlay_run *overlay_run_nodes(struct overlay *overlay, const struct kad_id *target,
				      overlay_done_fn done, void *arg, uint64_t now_ns);
void overlay_run_cancel(struct overlay_run *run);

/* overlay_run_hear: what a node answered. May free the run. */
void overlay_run_hear(struct overlay_run *run, const struct overlay_heard *heard, uint64_t now_ns);
/* overlay_runs_expire sends and ends what can be; overlay_runs_next_ns: when that is next. */
void overlay_runs_expire(struct overlay *overlay, uint64_t now_ns);
uint64_t overlay_runs_next_ns(const struct overlay *overlay);
/*
 * overlay_run_teller gives the address of the node that named the node in slot: of its session
 * where there is one. Family ADDR_NONE: this node's own table did.
 */
struct addr overlay_run_teller(const struct overlay_run *run, uint16_t slot);
/* overlay_runs_mark marks in the book what lookups name. */
void overlay_runs_mark(struct overlay *overlay);

#endif
