/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_COMMUNITY_H
#define WEFT_API_CONTENT_METHOD_COMMUNITY_H

#include "community/community.h"
#include "api/methods.h"

/* Shared by method_community.c and method_community_show.c. */

/* api_communities: NULL: they are off, and call was failed. */
struct communities *api_communities(struct api *api, struct control_call *call);
/* api_community_find: false: name is none that was joined, and call was failed. */
bool api_community_find(struct communities *communities, struct control_call *call,
			const char *name, uint8_t out_id[static COMMUNITY_ID_LEN]);
/* api_questions_forget: as api_joinings_forget, which calls it. */
void api_questions_forget(struct api *api);

#endif
