/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the control interface by its structs. */
#include "api/caller.h"

const void *api_call(struct api_caller *caller, const char *method, json_t *parameters,
		     const struct api_type *out)
{
	const void *reply;

	api_caller_fini(caller);
	caller->err = caller->ask(caller, method, parameters, &caller->reply);
	if (caller->err < 0)
		return NULL;
	reply = api_read(out, caller->reply, &caller->blocks, NULL);
	if (!reply)
		caller->err = WEFT_EMALFORMED;
	return reply;
}

void api_caller_fini(struct api_caller *caller)
{
	api_blocks_free(&caller->blocks);
	json_decref(caller->reply);
	caller->reply = NULL;
}
