/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_PEOPLE_WEB_PEOPLE_H
#define WEFT_API_HTTP_PEOPLE_WEB_PEOPLE_H

#include <stddef.h>

#include "gateway/gateway.h"

struct api;

/*
 * /people/: a page for posts, people and messages (docs/social.md). It is a program in the browser,
 * which calls the methods of the control socket by POST /api/v1/METHOD and follows GET /events. What
 * it shows comes from any node, and it writes text as text alone.
 *
 * /page/token: POST gives a token for the code of weft social open, DELETE ends the token that is
 * shown. Home worker.
 */
#define WEB_PEOPLE_ROUTE_CNT 2
void api_http_people_routes(struct api *api, struct gateway_route *routes);

/* The files of the page, made by tools/text-c; the row behind the last one is NULL. */
struct web_people_file {
	const char *name, *text;
	size_t len;
};
extern const struct web_people_file api_http_people_files[];

#endif
