/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_ROUTES_H
#define WEFT_API_HTTP_WEB_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "control/control.h"
#include "config/web_config.h"
#include "gateway/gateway.h"
#include "weft/err.h"

struct api;

/*
 * This node's service over HTTP: the gateway's routes, and how they reach the
 * rest of the node. Off until the configuration turns it on. Home worker only.
 * docs/gateway.md is for its users.
 */
/* api_http_footprint: bytes laid out; 0 when it is off. */
size_t api_http_footprint(const struct web_config *config);

struct web;

/* api_http_open: 0 with node's web set unless it is off, or a negative code with what naming the object. */
WEFT_MUST_CHECK
int api_http_open(struct api *api, char *what);
/* api_http_adopt gives the gateway fd, which is taken, as if remote had connected; web is not NULL. */
void api_http_adopt(struct web *web, int fd, const struct addr *remote, uint64_t now_ns);
/*
 * api_http_pass_issue writes an address for a browser: gateway_pass_issue for the service that name says,
 * NAME or NAME@NODE. WEFT_EREFUSED: services have no hosts here, also for NULL; WEFT_EABSENT: it is none of
 * gateway.services; WEFT_EMALFORMED.
 */
WEFT_MUST_CHECK
int api_http_pass_issue(struct web *web, const char *name, uint64_t now_ns,
			char out_url[static GATEWAY_PASS_URL_CAP]);
/* api_http_page_issue: gateway_page_issue. WEFT_EREFUSED: the gateway is off. */
WEFT_MUST_CHECK
int api_http_page_issue(struct web *web, const char *path, uint64_t now_ns,
			char out_url[static GATEWAY_PAGE_URL_CAP]);
/* api_http_page_end_all: false when no page has a token; takes NULL. */
bool api_http_page_end_all(struct web *web);
/* api_http_close takes NULL; before services, the DHT and the control socket go. */
void api_http_close(struct web *web);
/* api_http_stats writes nothing when it is off. */
void api_http_stats(const struct web *web, struct gateway_stats *out_stats);
/* api_http_places: false when it is off. */
struct fair_view;
bool api_http_places(const struct web *web, struct fair_view *out);
/* api_http_sockets: of WebSockets; false when there are none. */
bool api_http_sockets(const struct web *web, struct fair_view *out);

#endif
