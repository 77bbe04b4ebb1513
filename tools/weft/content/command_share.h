/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_SHARE_H
#define WEFT_TOOLS_COMMAND_SHARE_H

#include "command/daemon_client.h"

/*
 * share_import_run makes a call during which files are hashed: AddShare or PublishShare. Its
 * progress is shown, then what was left out, and the last reply by print. interrupted is said
 * when a signal ended it.
 */
int share_import_run(const struct invocation *inv, struct varlink_request request,
		     client_print_fn *print, const char *interrupted);

#endif
