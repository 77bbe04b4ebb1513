/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_CALLER_H
#define WEFT_API_CALLER_H

#include "api/type.h"

/*
 * The caller of the stubs of api/node_client.h. A stub takes the struct of a method's
 * parameters and returns that of its reply, or NULL with err. ask asks the daemon: 0 and
 * *out_reply, which the caller owns then, or an error, which ask reported. It takes
 * parameters. All zero but ask is a caller.
 */
struct api_caller {
	int (*ask)(struct api_caller *caller, const char *method, json_t *parameters,
		   json_t **out_reply);
	int err;		  /* of the last call */
	json_t *reply;		  /* of the last call */
	struct api_blocks blocks; /* its struct */
};

/*
 * A call that is yet to be made, for a program that calls in its own way. A stub api_X_request
 * has the parameters of X, whose struct is in (NULL: none).
 */
struct api_request {
	const struct api_method *method;
	const void *in;
};

/* api_call is what every stub does: out is the type of the reply. */
const void *api_call(struct api_caller *caller, const char *method, json_t *parameters,
		     const struct api_type *out);
/* api_caller_fini frees the last reply. */
void api_caller_fini(struct api_caller *caller);

#endif
