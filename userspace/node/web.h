/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_WEB_H
#define WEFT_NODE_WEB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "gateway/gateway.h"
#include "weft/err.h"

struct node;

/*
 * What this node serves over HTTP: which routes the gateway has, and how
 * they reach the rest of the node. Off until somebody turns it on. Home
 * worker only.
 */
struct web_config {
	struct gateway_config gateway;
	char listen[ADDR_TEXT_CAP]; /* becomes gateway.listen */
	bool serves_pkarr;
	uint32_t pkarr_cache_cap; /* packets */
};
void web_config_defaults(struct web_config *config);
/* web_footprint: bytes laid out; 0 when it is off. */
size_t web_footprint(const struct web_config *config);

struct web;

/* web_open: 0 with node's web set unless it is off, or a negative code with what naming the object. */
WEFT_MUST_CHECK
int web_open(struct node *node, char *what);
/* web_close takes NULL; before the DHT goes. */
void web_close(struct web *web);
/* web_stats writes nothing when it is off. */
void web_stats(const struct web *web, struct gateway_stats *out_stats);

#endif
