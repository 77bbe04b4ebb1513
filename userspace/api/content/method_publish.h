/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_PUBLISH_H
#define WEFT_API_CONTENT_METHOD_PUBLISH_H

#include "shares/publish/publish.h"
#include "api/methods.h"

/* What the methods about published shares have in common; method_publish.c, method_publish_settings.c. */

/* api_published: the share that a call's "name" names; NULL: call was failed. */
const struct published *api_published(struct node *node, struct control_call *call,
				      const json_t *parameters);

/*
 * api_share_refuse answers what could not even begin. api_settings_take changes
 * settings as parameters say; api_text_take lets them lead to a file below the state
 * folder that has the text which parameters may have. false: call was failed.
 */
void api_share_refuse(struct control_call *call, const char *name, int err);
bool api_settings_take(const struct node *node, struct control_call *call, const json_t *parameters,
		       struct publish_settings *settings);
bool api_text_take(const struct node *node, struct control_call *call,
		   const struct published *share, const json_t *parameters,
		   struct publish_settings *settings);

#endif
