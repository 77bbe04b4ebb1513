/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GC_H
#define WEFT_BLOBS_GC_H

#include "weft/err.h"

struct content;
struct gc;

/*
 * Sweeping what no share and no get refers to; content_gc of blobs.h is
 * implemented here. Home worker, a few hundred rows per turn; compaction is
 * a job. While it runs no import and no get may start, and it does not
 * start while one runs (WEFT_EBUSY): what they are about to refer to is
 * known to nobody else.
 */
WEFT_MUST_CHECK
int gc_new(struct content *content, struct gc **out_gc);
/* gc_stop ends a sweep without telling; a compaction under way is waited for. */
void gc_stop(struct gc *gc);
void gc_free(struct gc *gc);

#endif
