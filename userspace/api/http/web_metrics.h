/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_METRICS_H
#define WEFT_API_HTTP_WEB_METRICS_H

#include <stdint.h>
#include <stdio.h>

struct api;

/* Private to web_metrics*.c: what /metrics is made of. Home worker. */

/* One number that is a family of its own. */
struct metric_row {
	const char *name;
	const char *type; /* "counter", "gauge" */
	const char *help;
	uint64_t value;
};

/* api_metric_family_write begins a family; its samples follow. */
void api_metric_family_write(FILE *out, const char *name, const char *type, const char *help);
void api_metrics_rows_write(FILE *out, const struct metric_row *rows, size_t cnt);
#define METRICS_WRITE(out, rows) api_metrics_rows_write(out, rows, sizeof(rows) / sizeof((rows)[0]))

/* web_metrics_fabric.c: services, their directory and publisher, reputation, local programs. */
void api_metrics_fabric_write(FILE *out, const struct api *api);
/* web_metrics_sharing.c: following, announcing, the LAN. */
void api_metrics_sharing_write(FILE *out, const struct api *api);

#endif
