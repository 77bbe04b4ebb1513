/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_GET_RUN_CALLS_H
#define WEFT_BLOBS_GET_GET_RUN_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct get;
struct get_run;
struct link_node;
struct store_batch;
struct swarm_source_view;

/*
 * The calls of the table of gets to a get's run. blobs/get_run implements it and knows struct
 * get; the table does not know struct get_run. Home worker.
 */

/* Of why a get stopped. */
#define GET_DETAIL_CAP 512

/* blobs_get_run_start: 0 or -ENOMEM; blobs_get_ended follows. */
WEFT_MUST_CHECK
int blobs_get_run_start(struct get *get, bool is_clearing);
/* blobs_get_run_stop ends the run soon; the first reason counts. */
void blobs_get_run_stop(struct get_run *get_run, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* blobs_get_run_clear has the run remove what it staged, when it ends. */
void blobs_get_run_clear(struct get_run *get_run);
/* blobs_get_run_abandon ends the run now, at shut-down: it waits for jobs and forgets requests. */
void blobs_get_run_abandon(struct get_run *get_run);
/* blobs_get_run_serve_less: no peer has what is fetched from here any more (its seeding was stopped). */
void blobs_get_run_serve_less(struct get_run *get_run);
/* blobs_get_run_hint: node may have the collection, too. */
void blobs_get_run_hint(struct get_run *get_run, const struct link_node *node);
/* blobs_get_run_has_target: the target directory is open, so something may be staged in it. */
bool blobs_get_run_has_target(const struct get_run *get_run);
/* blobs_get_run_swarm: the nodes that the run asks. */
const struct swarm *blobs_get_run_swarm(const struct get_run *get_run);
/* blobs_get_run_intents_forget, blobs_get_run_links_forget delete notes of a get in the batch of its end. */
void blobs_get_run_intents_forget(struct store_batch *batch, uint64_t id);
void blobs_get_run_links_forget(struct store_batch *batch, const struct get *get);

#endif
