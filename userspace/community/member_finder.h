/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_MEMBER_FINDER_H
#define WEFT_COMMUNITY_MEMBER_FINDER_H

#include "blobs/swarm/finder.h"

struct communities;
struct member_finder;
struct timer_wheel;

#define COMMUNITY_FINDS_MAX 64u /* searches at once */

/* community_finder_new: NULL: no memory. Free it, which takes NULL, once no swarm is left. */
struct member_finder *community_finder_new(struct communities *communities,
					   struct timer_wheel *timers);
void community_finder_free(struct member_finder *finder);
/* community_finder: members of a community, asked for the manifests that are bound to it. */
struct swarm_finder community_finder(struct member_finder *finder);

#endif
