/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARE_TARGET_H
#define WEFT_NODE_SHARE_TARGET_H

#include "content/follow/follow.h"
#include "node/methods/methods.h"

/* What people call a share: by a link, or as it is called among those that are followed. */

/* method_sharing_is_on: false: call was failed. */
bool method_sharing_is_on(const struct node *node, struct control_call *call);
/* method_follow_named: the followed share that a call names; NULL: call was failed. */
const struct follow *method_follow_named(struct node *node, struct control_call *call,
					 const char *name);

#endif
