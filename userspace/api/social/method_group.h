/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SOCIAL_METHOD_GROUP_H
#define WEFT_API_SOCIAL_METHOD_GROUP_H

#include "api/methods.h"
#include "social/groups/groups.h"

/* Private to methods of groups. The functions with a call fail it where they give nothing. */
struct groups *api_groups(struct api *api, struct control_call *call);
bool api_group_find(struct api *api, struct control_call *call, const char *name,
		    uint8_t out_id[static GROUP_ID_LEN]);
bool api_invite_find(struct api *api, struct control_call *call, const char *name,
		     uint8_t out_id[static GROUP_ID_LEN]);
/* api_group_name_is_free: no other group has it, and it is one. */
bool api_group_name_is_free(struct api *api, struct control_call *call, const char *name);
struct api_group api_group_row(struct varlink_blocks *blocks, const struct group_view *view);
enum group_role api_group_role_read(enum api_group_role role);

#endif
