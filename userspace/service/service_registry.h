/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_SERVICE_REGISTRY_H
#define WEFT_SERVICE_SERVICE_REGISTRY_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "service/service.h"
#include "codec/text/semver.h"

struct arena;

/*
 * This node's offers by service id. The offers of one name have one id and different major
 * versions; the highest comes first.
 */
struct service_offer {
	struct service *service;
	struct service_offer *next; /* of the same id, with a lower major version */
	uint8_t id[SERVICE_ID_LEN];
	struct semver version;		  /* borrows offering.version */
	struct service_offering offering; /* its strings and lists are in text */
	void *text;			  /* one block of the heap, as is access */
	void *access;			  /* where allow and grants are */
	bool is_ready;
	struct list_node calls; /* in hand, streams among them */
	uint32_t in_hand_cnt;
	bool has_spent; /* its calls cause work elsewhere */
	struct service_counts counts;
	struct service_method_counts methods[SERVICE_METHODS_MAX + 1]; /* all others first */
	unsigned method_cnt;					       /* of named ones */
};

/*
 * service_offer_close_circuits lets all callers of it in again; returns how many were kept out or
 * counted.
 */
unsigned service_offer_close_circuits(struct service_offer *offer);

struct service_registry {
	struct pool offers;
	struct map by_id; /* the first of an id */
};

WEFT_MUST_CHECK
int service_registry_init(struct service_registry *registry, struct arena *arena,
			  const struct service_limits *limits, const uint64_t secret[2]);

/* service_registry_lookup: the offer of id and major version, or of the highest one for NULL. */
struct service_offer *service_registry_lookup(const struct service_registry *registry,
					      const uint8_t *id, const uint32_t *major);
/*
 * service_registry_find: the highest of name, or id, that is in range (NULL or
 * "": any). 0, WEFT_EABSENT or WEFT_EMALFORMED (name or range).
 */
WEFT_MUST_CHECK
int service_registry_find(struct service *service, const struct service_target *target,
			  struct service_offer **out_offer);

/*
 * The limits in force for an offer: its own, before it the configuration by name, else the default.
 */
uint64_t service_offer_calls_per_min(const struct service_offer *offer);
uint64_t service_offer_payload_len_max(const struct service_offer *offer);
uint64_t service_offer_timeout_ns(const struct service_offer *offer);

#endif
