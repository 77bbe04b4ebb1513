/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONTENT_GET_H
#define WEFT_CONTENT_GET_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

struct content;
struct content_stats;
struct gets;

/*
 * The table of gets, with STORE_GETS behind it; content_get_* of content.h
 * are implemented here. gets_new reads what is stored and resumes what was
 * running, so serve and shares exist before. Home worker.
 */
WEFT_MUST_CHECK
int gets_new(struct content *content, struct gets **out_gets);
void gets_free(struct gets *gets);

/* gets_has_manifest: id is the manifest of a get that is remembered, or a part of one. */
bool gets_has_manifest(const struct gets *gets, const uint8_t id[static 32]);
/* gets_has_path: the absolute path lies in the target of a get that is remembered. */
bool gets_has_path(const struct gets *gets, const char *path);
/* gets_fill_stats adds get_cnt, get_active_cnt, received_byte_cnt and bad_chunk_cnt. */
void gets_fill_stats(const struct gets *gets, struct content_stats *stats);

#endif
