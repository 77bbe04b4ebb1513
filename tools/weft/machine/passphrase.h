/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_PASSPHRASE_H
#define WEFT_TOOLS_PASSPHRASE_H

#include <stdbool.h>
#include <stddef.h>

struct invocation;

/*
 * passphrase_ask: from --passphrase-file or --passphrase-fd its first line, else from the
 * terminal without echo, twice where it is a new one. STATUS_OK with a NUL-terminated
 * passphrase, which the caller wipes, or an exit status after saying why not.
 */
#define PASSPHRASE_CAP 1024
int passphrase_ask(const struct invocation *inv, bool is_new,
		   char passphrase[static PASSPHRASE_CAP]);

#endif
