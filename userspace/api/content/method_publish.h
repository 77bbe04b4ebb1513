/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_PUBLISH_H
#define WEFT_API_CONTENT_METHOD_PUBLISH_H

#include "shares/publish/publish.h"
#include "api/methods.h"

/* Shared by the methods about published shares. */

/* The settings of a share in NewShare, PublishShare and SetShare; NULL: it is not given. */
struct share_settings {
	const char *name, *title, *description;
	const bool *public;
	const struct api_string_list *tags, *recommended, *communities;
	/* For PublishShare. */
	const char *path, *text, *as;
	const struct api_string_list *only;
};
#define SHARE_SETTINGS(in)                                                                         \
	{.name = (in)->name,                                                                       \
	 .title = (in)->title,                                                                     \
	 .description = (in)->description,                                                         \
	 .public = (in)->has_public ? &(in)->public : NULL,                                        \
	 .tags = (in)->has_tags ? &(in)->tags : NULL,                                              \
	 .recommended = (in)->has_recommended ? &(in)->recommended : NULL,                         \
	 .communities = (in)->has_communities ? &(in)->communities : NULL}

/* api_published: the share that a call names; NULL: call was failed. */
const struct published *api_published(struct api *api, struct control_call *call, const char *name);

/*
 * api_share_refuse answers what could not even begin. api_settings_take changes
 * settings as given says; api_text_take lets them lead to a file below the state
 * folder that has the text which is given. false: call was failed.
 */
void api_share_refuse(struct control_call *call, const char *name, int err);
bool api_settings_take(const struct api *api, struct control_call *call,
		       const struct share_settings *given, struct publish_settings *settings);
bool api_text_take(const struct api *api, struct control_call *call, const struct published *share,
		   const struct share_settings *given, struct publish_settings *settings);

/* method_published.c: a share for a reply that has but one, with how clocks stand; all. */
struct api_published_share api_published_share(struct varlink_blocks *blocks, struct api *api,
					       const struct published *share);
struct api_published_share_list api_published_shares(struct varlink_blocks *blocks,
						     const struct api *api);

#endif
