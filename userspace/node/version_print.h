/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_VERSION_PRINT_H
#define WEFT_NODE_VERSION_PRINT_H

#include <stdio.h>

/* node_version_print_json: weft's version and that of each linked library, as one JSON object. */
void node_version_print_json(FILE *out);

#endif
