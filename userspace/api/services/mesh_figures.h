/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_MESH_FIGURES_H
#define WEFT_API_SERVICES_MESH_FIGURES_H

#include "builtin/builtin.h"

/* The answer of mesh-stats (builtin/builtin.h); ctx is the struct api. Counts alone. */
void api_mesh_status(void *ctx, struct builtin_mesh_status *out_status);
void api_peers_summary(void *ctx, struct builtin_peers_summary *out_summary);

#endif
