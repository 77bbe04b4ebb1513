/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_COMMUNITY_H
#define WEFT_API_CONTENT_METHOD_COMMUNITY_H

#include "community/community.h"
#include "api/methods.h"

/* What methods/community.c and methods/community_show.c share. */

/* method_communities: NULL: they are off, and call was failed. */
struct communities *method_communities(struct node *node, struct control_call *call);
/* method_community_find: false: name is none that was joined, and call was failed. */
bool method_community_find(struct communities *communities, struct control_call *call,
			   const char *name, uint8_t out_id[static COMMUNITY_ID_LEN]);
/* method_questions_forget: as method_joinings_forget, which calls it. */
void method_questions_forget(struct node *node);

#endif
