/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_GET_H
#define WEFT_BLOBS_GET_GET_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct blobs;
struct blobs_stats;
struct gets;
struct served_filling;

/*
 * The table of gets, with STORE_GETS behind it; blobs_get_* of blobs.h
 * are implemented here. blobs_gets_new reads what is stored and resumes what was
 * running, so serve and shares exist before. Home worker.
 */
WEFT_MUST_CHECK
int blobs_gets_new(struct blobs *content, struct gets **out_gets);
void blobs_gets_free(struct gets *gets);

/* blobs_gets_fill_served adds manifests and their parts of all that were not taken back. */
WEFT_MUST_CHECK
int blobs_gets_fill_served(const struct gets *gets, struct served_filling *filling);
/* blobs_gets_note_served: len bytes of that collection were sent. */
void blobs_gets_note_served(struct gets *gets, const uint8_t manifest_id[static 32], uint64_t len);
/* blobs_gets_configured: the configuration's bounds of seeding changed. */
void blobs_gets_configured(struct gets *gets, uint64_t now_ns);
/* blobs_gets_again restarts finished gets of the collection: one of their files is bad. */
void blobs_gets_again(struct gets *gets, const uint8_t manifest_id[static 32]);
/* blobs_gets_fill_stats adds get_cnt, get_active_cnt, received_byte_cnt and bad_chunk_cnt. */
void blobs_gets_fill_stats(const struct gets *gets, struct blobs_stats *stats);

#endif
