/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SCRUB_H
#define WEFT_BLOBS_SCRUB_H

#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct blobs_files_ask;
struct blobs_stats;
struct scrub;

/*
 * A slow reader of all files that are recorded, those of shares and those that gets brought. So
 * bytes that a disk has changed are found by their owner and not by a peer. It reads scrub_rate
 * bytes a second (0: nothing), and rests while gets, imports or serving are under way. It begins
 * each day anew. The first time it begins anywhere, so that a node that is often started comes
 * to all files.
 *
 * A file whose stamp differs from the record was written by another program and is passed over.
 * A file with the recorded stamp and wrong bytes is reported as BLOBS_FILE_BAD. A file that a
 * get brought is fetched again by that get. A file that is shared in place is no longer served,
 * and stays marked as bad (object.h). After the records come the marks. A file whose bytes are
 * right again is recorded and served as before. A mark of a file that no share and no get has is
 * forgotten.
 * Home worker; reads in a job.
 */
WEFT_MUST_CHECK
int blobs_scrub_new(struct blobs *content, struct scrub **out_scrub);
/* blobs_scrub_free waits for the job. */
void blobs_scrub_free(struct scrub *scrub);
/* blobs_scrub_check and _cancel: blobs_check_files and _cancel. */
WEFT_MUST_CHECK
int blobs_scrub_check(struct scrub *scrub, const struct blobs_files_ask *ask, uint64_t now_ns);
void blobs_scrub_check_cancel(struct scrub *scrub);
/* blobs_scrub_bad_files: blobs_bad_files. */
unsigned blobs_scrub_bad_files(struct scrub *scrub, char *out_path, size_t cap);
/* blobs_scrub_configured: scrub_rate is another. */
void blobs_scrub_configured(struct scrub *scrub);
/* blobs_scrub_fill_stats fills in scrub_*; takes NULL. */
void blobs_scrub_fill_stats(const struct scrub *scrub, struct blobs_stats *stats);

#endif
