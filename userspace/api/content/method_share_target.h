/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_SHARE_TARGET_H
#define WEFT_API_CONTENT_METHOD_SHARE_TARGET_H

#include "shares/follow/follow.h"
#include "api/methods.h"

/* A person's name for a share: a link, or its name among the followed shares. */

/* api_sharing_is_on: false: call was failed. */
bool api_sharing_is_on(const struct api *api, struct control_call *call);
/* api_follow_named: the followed share that a call names; NULL: call was failed. */
const struct follow *api_follow_named(struct api *api, struct control_call *call, const char *name);

/*
 * api_hints_text says which nodes of a link gave no head of a share, and why, for people: ""
 * when all did. errs: as in struct follow. Returns text.
 */
#define METHOD_HINTS_CAP 256
const char *api_hints_text(const struct link_node *nodes, const int *errs, unsigned cnt,
			   char text[static METHOD_HINTS_CAP]);

/* The content to get: a collection by its own link, or a revision of a share. */
struct method_collection {
	const struct link *link; /* NULL: */
	const uint8_t *manifest_id;
	const struct link_node *nodes; /* that may have it */
	unsigned node_cnt;
};
/*
 * api_collection_find reads the link of in, a link or the name of a followed share, and calls
 * found, now or in a later turn. For a share's link that is when its newest head is known. For a
 * followed share it is with the revision that is here. When it cannot, it has failed call. in is
 * copied until then; nothing happens when the caller leaves.
 */
typedef void (*method_collection_fn)(struct api *api, struct control_call *call,
				     const struct api_get_in *in,
				     const struct method_collection *collection, uint64_t now_ns);
void api_collection_find(struct api *api, struct control_call *call, const struct api_get_in *in,
			 method_collection_fn found, uint64_t now_ns);

#endif
