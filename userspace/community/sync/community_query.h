/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_SYNC_COMMUNITY_QUERY_H
#define WEFT_COMMUNITY_SYNC_COMMUNITY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weft/err.h"

struct communities;

/*
 * Questions of callers that one member is asked: 406 and 412. A job verifies the answer before
 * the caller gets it. communities.c calls the functions.
 */
WEFT_MUST_CHECK
int community_query_init(struct communities *all);
void community_query_stop(struct communities *all);
void community_query_turn(struct communities *all, uint64_t now_ns);
bool community_query_is_due(const struct communities *all);
void community_query_forget_callers(struct communities *all);

#endif
