/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CONTENT_SHARE_CALL_H
#define WEFT_API_CONTENT_SHARE_CALL_H

#include "shares/publish/publish.h"
#include "api/methods.h"

/* A call that waits for a share; freed unanswered by api_share_calls_forget if it still does. */
struct api_share_call {
	struct api_share_call *next;
	struct api *api;
	struct control_call *call; /* NULL: its caller left */
	bool cancels;		   /* what it waits for ends when its caller leaves */
	uint8_t share_id[SHARE_ID_LEN];
	char name[PUBLISH_NAME_LEN_MAX + 1]; /* what it is about */
	uint64_t numbers[2];		     /* likewise, the asker's own */
};
/* api_share_call_new: NULL: no memory. api_share_call_free takes it off the list. */
struct api_share_call *api_share_call_new(struct api *api);
void api_share_call_free(struct api_share_call *waiting);

/*
 * api_share_call_wait: call waits for what name names; NULL: call was failed.
 * api_share_call_refuse fails the call and frees waiting when err says that nothing began.
 */
struct api_share_call *api_share_call_wait(struct api *api, struct control_call *call,
					   const char *name);
void api_share_call_refuse(struct api_share_call *waiting, int err);

#endif
