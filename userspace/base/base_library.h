/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_BASE_LIBRARY_H
#define WEFT_BASE_BASE_LIBRARY_H

#include <stddef.h>

/*
 * A library that this program is linked with, and its version: what the
 * library itself says while running, where it has a function for that.
 * Each folder that wraps libraries lists its own.
 */
struct library {
	const char *name;
	char version[32];
};

#endif
