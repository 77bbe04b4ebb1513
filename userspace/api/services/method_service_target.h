/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_METHOD_SERVICE_TARGET_H
#define WEFT_API_SERVICES_METHOD_SERVICE_TARGET_H

#include <jansson.h>

#include "api/methods.h"
#include "provider/provider.h"
#include "service/directory/named.h"
#include "service/service.h"

/*
 * Shared by CallService and OpenServiceStream: which service is meant,
 * and bytes in JSON.
 */
struct api_service_request {
	struct service_request service; /* borrows in and what follows */
	struct service_named named;
	uint8_t provider[MESH_KEY_LEN];
	struct service_trace trace;
	uint8_t *payload;
	bool is_json; /* the payload came as JSON, or was none */
};

/*
 * api_service_request_read reads in, which has what other methods share with CallService.
 * False: call was failed. The caller frees payload on success.
 */
bool api_service_request_read(struct api *api, struct control_call *call,
			      const struct api_call_service_in *in,
			      struct api_service_request *out_request);
/*
 * api_service_payload is bytes as a reply has them: json if they are one object and may be,
 * else base64, in blocks. The caller frees json.
 */
struct service_payload {
	json_t *json;
	const char *base64;
};
struct service_payload api_service_payload(struct varlink_blocks *blocks, const void *payload,
					   size_t len, bool may_be_json);
/* api_service_provider_of: the node that answered, in blocks; NULL: none. */
const char *api_service_provider_of(struct varlink_blocks *blocks,
				    const struct service_answer *answer);
/* api_service_call_fail: service_call_start refused; wait_ms is when there may be a place. */
void api_service_call_fail(struct control_call *call, int err, const char *name, uint32_t wait_ms);
/*
 * api_service_open_fail: a stream was refused, or ended before it was open. api_service_start_fail: service_channel_open
 * failed.
 */
void api_service_open_fail(struct control_call *call, const char *name,
			   const struct service_answer *answer);
void api_service_start_fail(struct control_call *call, int err, const char *name);
/*
 * api_service_description_read reads the description of PublishService (NULL: none), JSON or a varlink
 * interface, into *out_text, which the caller frees. Methods that it calls read-only are so in spec.
 * False: call was failed.
 */
bool api_service_description_read(struct control_call *call, const char *text,
				  const struct provider_spec *spec, char **out_text);
/* api_service_major_read: text is a version, or NULL for any. False: call was failed. */
bool api_service_major_read(struct control_call *call, const char *text, uint32_t *out_major);
/* api_service_status_err is the error of the interface that a stream's refusal is. */
int api_service_status_err(enum service_status status);

#endif
