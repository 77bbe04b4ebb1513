/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_SCHEMA_H
#define WEFT_TOOLS_COMMAND_SCHEMA_H

#include "command/command.h"
#include "offers/schema/schema.h"

/* schema_fault_say: "bikes.ini:7: field size: ...", and the next step; returns a status. */
int schema_fault_say(const char *path, const struct schema_fault *fault);
/*
 * schema_file_read reads a file, "-" for standard input, or one byte more than a schema may have.
 * The text is the caller's to free. STATUS_OK, or it was said what is wrong.
 */
int schema_file_read(const char *path, char **out_text, size_t *out_len);
/* schema_ask: that of a name, as the daemon has it, to be freed by offers_schema_free. */
int schema_ask(const struct invocation *inv, const char *name, struct schema **out);

#endif
