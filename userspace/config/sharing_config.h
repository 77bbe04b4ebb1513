/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONFIG_SHARING_CONFIG_H
#define WEFT_CONFIG_SHARING_CONFIG_H

#include "community/community.h"
#include "lan/lan_discovery.h"
#include "search/search.h"
#include "shares/announce/announce.h"
#include "shares/follow/follow.h"
#include "shares/publish/publish.h"
#include "shares/publish/share_watch.h"

/* The part of the configuration that shares, search, communities and the LAN use. */
struct sharing_config {
	bool is_on;
	struct announce_config announce;
	struct publisher_config publisher;
	struct watches_config watches;
	struct lan_discovery_config lan;
	struct follows_config follow;
	struct search_config search;
	struct community_config community;
};
void config_sharing_defaults(struct sharing_config *config);
/* config_sharing_footprint: bytes laid out, touched as they are used; 0 when it is off. */
size_t config_sharing_footprint(const struct sharing_config *config);

#endif
