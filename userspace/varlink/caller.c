/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the control interface by its structs. */
#include "varlink/caller.h"

const void *varlink_call(struct varlink_caller *caller, const char *method, json_t *parameters,
			 const struct varlink_type *out)
{
	const void *reply;

	varlink_caller_fini(caller);
	caller->err = caller->ask(caller, method, parameters, &caller->reply);
	if (caller->err < 0)
		return NULL;
	reply = varlink_read(out, caller->reply, &caller->blocks, NULL);
	if (!reply)
		caller->err = WEFT_EMALFORMED;
	return reply;
}

void varlink_caller_fini(struct varlink_caller *caller)
{
	varlink_blocks_free(&caller->blocks);
	json_decref(caller->reply);
	caller->reply = NULL;
}
