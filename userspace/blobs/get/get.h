/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_GET_GET_H
#define WEFT_BLOBS_GET_GET_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct content;
struct content_stats;
struct gets;
struct served_filling;

/*
 * The table of gets, with STORE_GETS behind it; content_get_* of blobs.h
 * are implemented here. gets_new reads what is stored and resumes what was
 * running, so serve and shares exist before. Home worker.
 */
WEFT_MUST_CHECK
int gets_new(struct content *content, struct gets **out_gets);
void gets_free(struct gets *gets);

/* gets_fill_served adds manifests and their parts of all that were not taken back. */
WEFT_MUST_CHECK
int gets_fill_served(const struct gets *gets, struct served_filling *filling);
/* gets_note_served: len bytes of that collection were sent. */
void gets_note_served(struct gets *gets, const uint8_t manifest_id[static 32], uint64_t len);
/* gets_configured: the configuration's bounds of seeding changed. */
void gets_configured(struct gets *gets, uint64_t now_ns);
/* gets_again: finished gets of the collection begin again; a file of theirs is bad. */
void gets_again(struct gets *gets, const uint8_t manifest_id[static 32]);
/* gets_fill_stats adds get_cnt, get_active_cnt, received_byte_cnt and bad_chunk_cnt. */
void gets_fill_stats(const struct gets *gets, struct content_stats *stats);

#endif
