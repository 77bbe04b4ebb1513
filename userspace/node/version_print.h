/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_VERSION_PRINT_H
#define WEFT_NODE_VERSION_PRINT_H

#include <stdio.h>

/* version_print_json: weft's version and that of each linked library, as one JSON object. */
void version_print_json(FILE *out);

#endif
