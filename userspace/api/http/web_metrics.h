/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_METRICS_H
#define WEFT_API_HTTP_WEB_METRICS_H

#include <stdio.h>

struct api;
struct figures;

/* Private to web_metrics*.c: what /metrics is made of. Home worker. */

/* api_metric_family_write begins a family; its samples follow. */
void api_metric_family_write(FILE *out, const char *name, const char *type, const char *help);
/* web_metrics_fabric.c: what services, their directory and reputation count by a label. */
void api_metrics_fabric_write(FILE *out, const struct api *api, const struct figures *figures);

#endif
