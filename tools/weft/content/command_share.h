/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_SHARE_H
#define WEFT_TOOLS_COMMAND_SHARE_H

#include <jansson.h>
#include <stdbool.h>

#include "command/command.h"
#include "print/progress.h"

/* A call during which files are hashed: its progress is shown, its last reply kept. */
struct share_import {
	struct progress progress;
	json_t *last; /* the caller's; NULL: none came */
};
void share_import_begin(struct share_import *import, struct invocation *inv);
/* share_import_reply is client_call's reply; arg is the import. */
bool share_import_reply(void *arg, json_t *reply, bool is_last);
/* share_import_failed is its on_error. */
void share_import_failed(void *arg);
void share_import_end(struct share_import *import);

/*
 * share_tell_skipped prints what of the folder is not in the share, so that the user learns it at
 * once.
 */
void share_tell_skipped(const json_t *import);

#endif
