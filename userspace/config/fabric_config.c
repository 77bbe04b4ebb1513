/* SPDX-License-Identifier: Apache-2.0 */
#include "config/fabric_config.h"

#include <stdio.h>

#include "service/limits/reputation.h"

void config_fabric_defaults(struct fabric_config *config)
{
	config->is_on = true;
	overlay_config_defaults(&config->overlay);
	mesh_pex_config_defaults(&config->pex);
	relay_find_config_defaults(&config->relay_find);
	service_config_defaults(&config->service);
	service_directory_config_defaults(&config->directory);
	service_publisher_config_defaults(&config->publisher);
	provider_tenants_config_defaults(&config->tenants);
	provider_config_defaults(&config->provider);
	builtin_config_defaults(&config->builtin);
	snprintf(config->builtin_names, sizeof(config->builtin_names),
		 "pod-chat shadow-index mesh-stats");
	config->reputation_peer_cap = 16384;
}

const char *config_fabric_check(const struct fabric_config *config)
{
	uint32_t offered;

	if (!builtin_names_parse(config->builtin_names, &offered))
		return "service.builtin: there are echo, pod-chat, shadow-index, mesh-stats, dht, "
		       "mesh-content and hole-punch";
	if (!builtin_forward_is_valid(config->builtin.forward.allow))
		return "forward.allow is at most 3 rows as NODE=127.0.0.1:80,10.0.0.5:22 or "
		       "community:ID=127.0.0.1:80, apart by blanks, each of at most 8 servers";
	if (service_config_check(&config->service) < 0)
		return "service.calls_of and service.timeouts_of are lists as \"mesh-stats:3 "
		       "echo:1000\"";
	return NULL;
}

size_t config_fabric_footprint(const struct fabric_config *config)
{
	if (!config->is_on)
		return 0;
	return overlay_footprint(&config->overlay) + mesh_pex_footprint(&config->pex) +
	       relay_find_footprint(&config->relay_find) + service_footprint(&config->service) +
	       service_directory_footprint(&config->directory) +
	       service_publisher_footprint(&config->publisher) +
	       service_reputation_footprint(config->reputation_peer_cap) +
	       provider_footprint(&config->provider) + builtin_footprint(&config->builtin);
}

unsigned config_fabric_watch_cap(const struct fabric_config *config)
{
	return config->is_on ? provider_watch_cap(&config->provider) + builtin_watch_cap() : 0;
}
