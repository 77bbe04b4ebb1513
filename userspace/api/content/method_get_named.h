/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_METHOD_GET_NAMED_H
#define WEFT_API_CONTENT_METHOD_GET_NAMED_H

#include "varlink/node.h"

struct blobs_get;
struct control_call;
struct api;

/* api_get_named: the get of that number, or NULL after the call was failed. */
const struct blobs_get *api_get_named(struct api *api, struct control_call *call, int64_t id);
/* api_fail_get fails a call about get id. */
void api_fail_get(struct control_call *call, uint64_t id, int err, const char *why,
		  const char *next);
struct api_get_info api_get_info(struct varlink_blocks *blocks, const struct api *api,
				 const struct blobs_get *get);

#endif
