/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BUILTIN_MESH_STATS_H
#define WEFT_BUILTIN_MESH_STATS_H

#include "builtin_request.h"

/* The service mesh-stats, which changes nothing; ctx is a struct builtin_figures. */
extern const struct request_method builtin_mesh_stats_methods[];

#endif
