/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GC_H
#define WEFT_BLOBS_GC_H

#include "weft/err.h"

struct blobs;
struct gc;

/*
 * Sweeps the rows to which no share and no get refers; blobs_gc of blobs.h is implemented here.
 * Home worker, a few hundred rows per turn; compaction is a job. While it runs no import and no
 * get may start. It does not start while one runs (WEFT_EBUSY): no other part knows yet the rows
 * that these are about to refer to.
 */
WEFT_MUST_CHECK
int blobs_gc_new(struct blobs *content, struct gc **out_gc);
/* blobs_gc_stop ends a sweep without telling; a compaction under way is waited for. */
void blobs_gc_stop(struct gc *gc);
void blobs_gc_free(struct gc *gc);

#endif
