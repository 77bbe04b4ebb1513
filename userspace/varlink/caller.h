/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_VARLINK_CALLER_H
#define WEFT_VARLINK_CALLER_H

#include "varlink/type.h"

/*
 * The caller of the stubs of varlink/node_client.h. A stub takes the struct of a method's
 * parameters and returns that of its reply, or NULL with err. ask asks the daemon: 0 and
 * *out_reply, which the caller owns then, or an error, which ask reported. It takes
 * parameters. All zero but ask is a caller.
 */
struct varlink_caller {
	int (*ask)(struct varlink_caller *caller, const char *method, json_t *parameters,
		   json_t **out_reply);
	int err;		      /* of the last call */
	json_t *reply;		      /* of the last call */
	struct varlink_blocks blocks; /* its struct */
};

/*
 * A call that is yet to be made, for a program that calls in its own way. A stub api_X_request
 * has the parameters of X, whose struct is in (NULL: none).
 */
struct varlink_request {
	const struct varlink_method *method;
	const void *in;
};

/* varlink_call is what every stub does: out is the type of the reply. */
const void *varlink_call(struct varlink_caller *caller, const char *method, json_t *parameters,
			 const struct varlink_type *out);
/* varlink_caller_fini frees the last reply. */
void varlink_caller_fini(struct varlink_caller *caller);

#endif
