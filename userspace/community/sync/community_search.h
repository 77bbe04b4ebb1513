/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_SYNC_COMMUNITY_SEARCH_H
#define WEFT_COMMUNITY_SYNC_COMMUNITY_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "community/community.h"

struct community;

/*
 * Looking through titles and descriptions of a community's shares, in a job with a snapshot of
 * its own. A hit has all words, each anywhere in the folded text. Hits come in the order of
 * share ids, in pages.
 */
WEFT_MUST_CHECK
int community_search_init(struct communities *all);
/*
 * community_search_stop: no callbacks any more. community_search_turn answers the callers of ended
 * searches.
 */
void community_search_stop(struct communities *all);
void community_search_turn(struct communities *all, uint64_t now_ns);
bool community_search_is_due(const struct communities *all);
void community_search_forget_callers(struct communities *all);

/*
 * community_search_answer begins for a peer, which has one at a time, and answers it;
 * community_search_here for a caller. 0, WEFT_EBUSY, WEFT_EABSENT (no words), WEFT_ETOOLARGE, or what community_cursor_parse says.
 */
WEFT_MUST_CHECK
int community_search_answer(struct community *community, const struct mesh_call *call,
			    const struct community_request *request);
WEFT_MUST_CHECK
int community_search_here(struct community *community, const struct community_question *question);

#endif
