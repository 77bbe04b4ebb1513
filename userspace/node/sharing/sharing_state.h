/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_SHARING_STATE_H
#define WEFT_NODE_SHARING_STATE_H

#include "node/sharing/sharing.h"

/* Private to sharing*.c, with the methods that show or change a part. */
struct sharing {
	struct node *node;
};

#endif
