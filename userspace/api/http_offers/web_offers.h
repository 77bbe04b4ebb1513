/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_OFFERS_WEB_OFFERS_H
#define WEFT_API_HTTP_OFFERS_WEB_OFFERS_H

#include <stddef.h>

#include "gateway/gateway.h"
#include "weft/err.h"

struct api;

/*
 * /offers: service offers over HTTP, for programs as JSON and for people as plain pages that are
 * made from the schemas. docs/offers.md is for their users.
 *
 *	web_offers.c	     from a request to a schema, an offer or a form; JSON
 *	web_offers_form.c    parameters of a query or a form, and the words of a schema in them
 *	web_offers_page.c    pages
 *	web_offers_events.c  new ones as they are stored
 *	web_offers_write.c   what changes something: publish, ask
 *	web_offers_legacy.c  POST /legacy/fapp: the older wire of FAPP
 *
 * Offers come from any node. Each of their words is escaped for where it stands, pages run no
 * scripts, and load nothing but the style sheet. Home worker.
 */
struct web_offers;

#define WEB_OFFERS_ROUTE_CNT 3

size_t api_http_offers_footprint(void);
WEFT_MUST_CHECK
int api_http_offers_new(struct api *api, struct web_offers **out_offers);
/* api_http_offers_free, when the gateway is gone. Takes NULL. */
void api_http_offers_free(struct web_offers *offers);
void api_http_offers_routes(struct web_offers *offers, struct gateway_route *routes);

#endif
