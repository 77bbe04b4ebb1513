/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_ROUTES_STATE_H
#define WEFT_API_HTTP_WEB_ROUTES_STATE_H

#include "api/api.h"
#include "gateway/gateway.h"
#include "web_routes.h"

/*
 * Private to web*.c: one object per kind of route. Each is made with the node and gives its rows of
 * the gateway's table. It goes after the gateway, which has then reported the end of every exchange
 * to it.
 */

/* web_pkarr.c: the pkarr relay's way to the DHT. */
struct web_pkarr;
size_t api_http_pkarr_footprint(const struct web_config *config);
WEFT_MUST_CHECK
int api_http_pkarr_new(struct api *api, struct web_pkarr **out_pkarr);
void api_http_pkarr_free(struct web_pkarr *pkarr);
struct gateway_route api_http_pkarr_route(struct web_pkarr *pkarr);

/* web_api.c: POST /api/v1/METHOD. */
struct web_api;
size_t api_http_api_footprint(const struct web_config *config);
WEFT_MUST_CHECK
int api_http_api_new(struct api *api, struct web_api **out_api);
void api_http_api_free(struct web_api *api);
struct gateway_route api_http_api_route(struct web_api *api);

/* web_events.c: GET /events. */
struct web_events;
size_t api_http_events_footprint(void);
WEFT_MUST_CHECK
int api_http_events_new(struct api *api, struct web_events **out_events);
void api_http_events_free(struct web_events *events);
struct gateway_route api_http_events_route(struct web_events *events);

/* web_metrics.c: GET /metrics. */
struct gateway_route api_http_metrics_route(struct api *api);

#endif
