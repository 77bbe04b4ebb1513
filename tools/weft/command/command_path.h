/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TOOLS_COMMAND_PATH_H
#define WEFT_TOOLS_COMMAND_PATH_H

#include <limits.h>
#include <stdbool.h>

/*
 * The daemon has its own working folder, so paths are made absolute here.
 *
 * path_existing resolves what must be there already; on failure path holds
 * the reason. path_absolute takes what need not exist as it is.
 */
bool path_existing(const char *name, char path[static PATH_MAX]);
bool path_absolute(const char *name, char path[static PATH_MAX]);

#endif
