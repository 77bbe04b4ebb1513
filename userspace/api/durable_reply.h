/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_DURABLE_REPLY_H
#define WEFT_API_DURABLE_REPLY_H

#include <jansson.h>

struct control_call;

/*
 * A reply that is sent when what its call changed is durable. Offers, rows and anchors are in force
 * before. They stay so for this run of the daemon when the store refuses them, and the call fails.
 * The role of a relay and a grant to show are in force with their commit.
 */
struct api_durable_reply;

/*
 * api_durable_reply_new takes reply. what names the object and again says how to repeat the change;
 * both are literals. NULL: no memory, and call was failed.
 */
struct api_durable_reply *api_durable_reply_new(struct control_call *call, const char *what,
						const char *again, json_t *reply);
/* api_durable_reply_send ends the call: arg is the reply, err 0 or the store's. */
void api_durable_reply_send(void *arg, int err);
/* api_durable_reply_cancel: nothing was changed; the call is the handler's to fail. */
void api_durable_reply_cancel(struct api_durable_reply *waiting);

#endif
