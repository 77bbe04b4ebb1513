/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CONFIG_FABRIC_CONFIG_H
#define WEFT_CONFIG_FABRIC_CONFIG_H

#include "builtin/builtin.h"
#include "mesh/peers/pex.h"
#include "overlay/overlay.h"
#include "provider/provider.h"
#include "provider/tenant/tenant.h"
#include "relay/find/relay_find.h"
#include "service/directory/directory.h"
#include "service/directory/publisher.h"
#include "service/service.h"

/* The part of the configuration that services use, with the overlay below them. */
#define FABRIC_BUILTIN_CAP 128

enum fabric_access_log { FABRIC_ACCESS_OFF, FABRIC_ACCESS_ON, FABRIC_ACCESS_SAMPLED };

struct fabric_config {
	bool is_on;
	enum fabric_access_log access_log; /* of calls to services of this node */
	struct overlay_config overlay;	   /* is_public follows from what is advertised */
	struct service_config service;
	struct service_directory_config directory;
	struct service_publisher_config publisher;
	struct mesh_pex_config pex;
	struct relay_find_config relay_find;
	bool has_rendezvous; /* on the Mainline DHT */
	struct provider_config provider;
	struct builtin_config builtin;
	struct provider_tenants_config tenants;
	char builtin_names[FABRIC_BUILTIN_CAP]; /* of those offered, apart by blanks or commas */
	uint32_t reputation_peer_cap;
};
void config_fabric_defaults(struct fabric_config *config);
/* config_fabric_check: NULL, or what is wrong across keys, in a sentence. */
const char *config_fabric_check(const struct fabric_config *config);
/* config_fabric_footprint: bytes laid out, touched as they are used; 0 when it is off. */
size_t config_fabric_footprint(const struct fabric_config *config);
/* config_fabric_watch_cap: watches of home's poller, at worst. */
unsigned config_fabric_watch_cap(const struct fabric_config *config);

#endif
