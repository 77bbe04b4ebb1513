/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_CONTENT_SERVICE_H
#define WEFT_BUILTIN_CONTENT_SERVICE_H

#include "base/fair/fair.h"
#include "base/list.h"
#include "base/memory/pool.h"
#include "builtin.h"
#include "builtin_request.h"

/*
 * The service mesh-content: bytes of a content that this node serves, by its id, for callers that
 * speak calls and streams but no mesh content. A call answers a range of at most
 * CONTENT_SERVICE_CALL_LEN bytes, a stream one of at most CONTENT_SERVICE_STREAM_LEN. A content
 * that a caller may not read is absent for it.
 *
 * Limits. All callers fill it. Keys are free, so the readings are shared by network
 * (base/fair/fair.h). When all are taken, the network with most gives one up, whose caller gets
 * SERVICE_RATE_LIMITED. A reading ends with its last byte, or when no byte moved for
 * CONTENT_SERVICE_STALL_NS, and is a unit of the work of the caller. Streams that sent all wait for
 * their callers; the oldest of these ends when there is no room. Home worker.
 */
#define CONTENT_SERVICE_CALL_LEN    (512u * 1024u)
#define CONTENT_SERVICE_STREAM_LEN  (32u * 1024u * 1024u)
#define CONTENT_SERVICE_READING_MAX 8u
#define CONTENT_SERVICE_STREAM_MAX  32u /* also those that sent all and wait for their callers */
#define CONTENT_SERVICE_STALL_NS    30000000000ull

struct content_service {
	struct builtin_content content;
	struct provider_tenant *tenant;
	struct pool readings, streams;
	struct fair places;    /* of readings */
	struct list_node sent; /* streams that sent all, oldest first */
	uint64_t now_ns;       /* of the last call, or end of a reading */
};

/* builtin_content_declare: the capabilities that it uses. */
void builtin_content_declare(const struct builtin_config *config, struct provider_declaration *out);
WEFT_MUST_CHECK
int builtin_content_init(struct content_service *service, struct arena *arena,
			 const struct builtin_params *params, struct provider_tenant *tenant);
/* builtin_content_service_places: which networks have the readings. */
void builtin_content_service_places(const struct content_service *service, struct fair_view *out);
/* builtin_content_fini ends all readings, untold. */
void builtin_content_fini(struct content_service *service);
/* builtin_content_forget: the call is gone; ctx is a struct content_service. */
void builtin_content_forget(void *ctx, const struct service_call *call);
/* builtin_content_stream: a stream is opened; the head has the fields of a call. */
void builtin_content_stream(void *ctx, struct service_channel *channel,
			    const struct service_input *input, uint64_t now_ns);

extern const struct request_method builtin_content_methods[]; /* ctx: struct content_service */

#endif
