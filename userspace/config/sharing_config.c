/* SPDX-License-Identifier: Apache-2.0 */
#include "config/sharing_config.h"

#include "lan/lan.h"

void config_sharing_defaults(struct sharing_config *config)
{
	config->is_on = true;
	shares_announce_config_defaults(&config->announce);
	lan_discovery_config_defaults(&config->lan);
	shares_follows_config_defaults(&config->follow);
	shares_publisher_config_defaults(&config->publisher);
	shares_watches_config_defaults(&config->watches);
	search_config_defaults(&config->search);
	community_config_defaults(&config->community);
}

size_t config_sharing_footprint(const struct sharing_config *config)
{
	if (!config->is_on)
		return 0;
	return shares_announce_footprint(&config->announce) + lan_footprint(config->lan.node_cap) +
	       shares_follows_footprint(&config->follow) + search_footprint(&config->search) +
	       communities_footprint(&config->community);
}
