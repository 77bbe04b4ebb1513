/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_METHODS_PUBLISH_H
#define WEFT_NODE_METHODS_PUBLISH_H

#include "content/publish/publish.h"
#include "node/methods/methods.h"

/* What the methods about published shares have in common; publish.c. */

/* method_publisher: NULL: sharing is off, and call was failed. */
struct publisher *method_publisher(struct node *node, struct control_call *call);
/* method_published: the share that a call's "name" names; NULL: call was failed. */
const struct published *method_published(struct node *node, struct control_call *call,
					 const json_t *parameters);
json_t *method_json_published(const struct node *node, const struct published *share);

#endif
