/* SPDX-License-Identifier: Apache-2.0 */
/* Circuits that are closed before their rest is over. Home worker. */
#include <string.h>

#include "service/directory/service_id.h"
#include "service/service_state.h"

/* close_one: whether anything was held against it. */
static bool close_one(struct service_circuit *circuit)
{
	bool is_marked = circuit->failure_cnt > 0;

	service_circuit_close(circuit);
	return is_marked;
}

static void forgive(struct service_route *route)
{
	service_circuit_close(&route->circuit);
	route->away_until_ns = 0;
}

void service_peer_returned(struct service *service, const uint8_t *key)
{
	struct list_node *routes = &service->routes.by_age;

	for (struct list_node *node = routes->next; node != routes; node = node->next) {
		struct service_route *route = container_of(node, struct service_route, node);

		if (memcmp(route->key.provider, key, MESH_KEY_LEN) == 0)
			forgive(route);
	}
}

unsigned service_offer_close_circuits(struct service_offer *offer)
{
	struct service *service = offer->service;
	struct list_node *pairs = &service->callers.pairs_by_age;
	pool_handle handle = pool_handle_of(&service->registry.offers, offer);
	unsigned cnt = 0;

	for (struct list_node *node = pairs->next; node != pairs; node = node->next) {
		struct service_caller_pair *pair =
			container_of(node, struct service_caller_pair, node);

		if (pair->key.offer == handle)
			cnt += close_one(&pair->circuit);
	}
	return cnt;
}

unsigned service_reset(struct service *service, const char *name)
{
	struct list_node *routes = &service->routes.by_age;
	struct service_offer *offer = NULL;
	uint8_t id[SERVICE_ID_LEN];
	unsigned cnt = 0;

	for (struct list_node *node = routes->next; node != routes; node = node->next) {
		struct service_route *route = container_of(node, struct service_route, node);

		service_id_of(name, route->key.provider, id);
		if (memcmp(id, route->key.service_id, sizeof(id)) == 0)
			cnt += close_one(&route->circuit);
	}
	while ((offer = pool_next(&service->registry.offers, offer)) != NULL) {
		if (strcmp(offer->offering.name, name) == 0)
			cnt += service_offer_close_circuits(offer);
	}
	return cnt;
}
