/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_BUILTIN_REQUEST_H
#define WEFT_BUILTIN_BUILTIN_REQUEST_H

#include <stdbool.h>

#include <jansson.h>

#include "provider/tenant/tenant.h"
#include "varlink/builtin.h"
#include "varlink/type.h"

/*
 * A call of a built-in service: its payload is a JSON object (or nothing,
 * which is the empty one), and so is its answer.
 */
struct request {
	struct service_call *call;
	const struct service_caller *caller;
	json_t *fields; /* of the payload; whole for the length of the call */
	uint64_t now_ns;
};

struct request_method {
	const char *name;
	void (*run)(void *ctx, struct request *request);
	bool is_read_only; /* a call changes nothing: it may be made twice */
	/*
	 * The method's description: fields as "pod:string limit:?int", in the form of
	 * description.h.
	 */
	const char *takes, *gives, *about;
	const char *example; /* of what it takes; NULL: none */
	bool is_stream;	     /* a stream, not a call: run is NULL */
};

/*
 * builtin_request_run finds method in a table that ends with name NULL and runs it.
 * Answers SERVICE_METHOD_NOT_FOUND or, for no JSON object, SERVICE_INVALID_PAYLOAD.
 */
void builtin_request_run(const struct request_method *methods, void *ctx, struct service_call *call,
			 const struct service_input *input, uint64_t now_ns);

/*
 * builtin_request_describe is the description of a service that answers by that table, to be freed
 * with free(); NULL: no memory.
 */
WEFT_MUST_CHECK
char *builtin_request_describe(const char *about, const struct request_method *methods);

/*
 * builtin_request_unpack reads the fields as json_unpack does, a number or a list also from a text,
 * "{s:s, s?I}". Texts are borrowed, numbers are I, for i truncates to an int. Fields without a
 * place in the format are refused. False: the call was answered SERVICE_INVALID_PAYLOAD, with the
 * missing, wrong or unknown field.
 */
WEFT_MUST_CHECK
bool builtin_request_unpack(struct request *request, const char *format, ...);

/*
 * builtin_request_reply takes reply; builtin_request_refuse says why in one sentence. Both end the
 * call.
 */
void builtin_request_reply(const struct request *request, json_t *reply);
void builtin_request_refuse(const struct request *request, enum service_status status,
			    const char *text);

/*
 * builtin_json makes JSON of a type of replies.varlink, given as an initialiser: builtin_json(pod_id,
 * .pod = id). builtin_answer ends a call with it.
 */
#define builtin_json(name, ...)                                                                    \
	varlink_write(&api_builtin_##name##_type, &(const struct api_builtin_##name){__VA_ARGS__})
#define builtin_answer(request, name, ...)                                                         \
	builtin_request_reply((request), builtin_json(name, __VA_ARGS__))

/* builtin_request_key reads text as a peer's key, as z-base-32. False: the call was answered. */
WEFT_MUST_CHECK
bool builtin_request_key(const struct request *request, const char *text,
			 uint8_t out_key[MESH_KEY_LEN]);

/* builtin_reply_end ends call with reply, which it takes. */
void builtin_reply_end(struct service_call *call, json_t *reply, uint64_t now_ns);
/* builtin_key_text: z-base-32. NULL without memory. */
const char *builtin_key_text(struct varlink_blocks *blocks, const uint8_t key[MESH_KEY_LEN]);

#endif
