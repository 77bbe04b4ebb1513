/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_SYNC_COMMUNITY_SERVE_H
#define WEFT_COMMUNITY_SYNC_COMMUNITY_SERVE_H

#include "weft/err.h"

struct communities;
struct community_page;
struct mesh_call;

/*
 * community_serve_init registers the handlers of 404, 406, 408, 410, 412 and 414. 0, WEFT_EEXISTS, ...
 *
 * A request is answered when the community was joined here and the asker is a member. The
 * asker's record says that the key of its session is one, in a strict community by a token that
 * is valid. That record is taken in then, if it is news. Every other asker gets "no such
 * community", be it joined here or not. The exception is an asker with an expired token of the
 * community: its answer says so.
 */
WEFT_MUST_CHECK
int community_serve_init(struct communities *all);
/*
 * community_answer_page answers call, which was admitted, with a copy of page that is lent to
 * the mesh until the asker has acknowledged it. An asker that acknowledges none of a few, or
 * comes when there is no memory, is deferred.
 */
void community_answer_page(struct communities *all, const struct mesh_call *call,
			   const struct community_page *page);

#endif
