/* SPDX-License-Identifier: Apache-2.0 */
/* This node's offers. They come and go by the operator's commands, not by packets. */
#include "service/service_registry.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory/heap.h"
#include "service/directory/descriptor.h"
#include "service/directory/service_id.h"
#include "service/incoming/router.h"
#include "service/service_state.h"

int service_registry_init(struct service_registry *registry, struct arena *arena,
			  const struct service_limits *limits, const uint64_t secret[2])
{
	uint32_t cap = (uint32_t)limits->offer_cnt;
	int err;

	if ((err = pool_init(&registry->offers, arena, sizeof(struct service_offer), cap)) < 0)
		return err;
	return map_init(&registry->by_id, arena, SERVICE_ID_LEN, cap, secret);
}

struct service_offer *service_registry_lookup(const struct service_registry *registry,
					      const uint8_t *id, const uint32_t *major)
{
	struct service_offer *offer = map_lookup(&registry->by_id, id);

	while (offer && major && offer->version.major != *major)
		offer = offer->next;
	return offer;
}

int service_registry_find(struct service *service, const struct service_target *target,
			  struct service_offer **out_offer)
{
	const char *version = target->version ? target->version : "";
	uint8_t id[SERVICE_ID_LEN];
	struct semver_range range;
	struct service_offer *offer;

	if (semver_range_parse(version, strlen(version), &range) < 0)
		return WEFT_EMALFORMED;
	if (target->id) {
		memcpy(id, target->id, sizeof(id));
	} else {
		if (!target->name || !service_name_is_valid(target->name, strlen(target->name)))
			return WEFT_EMALFORMED;
		service_id_of(target->name, service->own_key, id);
	}
	offer = map_lookup(&service->registry.by_id, id);
	while (offer && !semver_range_has(&range, &offer->version))
		offer = offer->next;
	if (!offer)
		return WEFT_EABSENT;
	*out_offer = offer;
	return 0;
}

uint64_t service_offer_calls_per_min(const struct service_offer *offer)
{
	const struct service_config *config = &offer->service->config;

	return service_named_value(config->calls, offer->offering.name)
		       ?: offer->offering.calls_per_min ?: config->limits.calls_per_min;
}

uint64_t service_offer_payload_len_max(const struct service_offer *offer)
{
	uint64_t max = offer->service->config.limits.payload_len;
	uint64_t own = offer->offering.payload_len_max;

	return own && own < max ? own : max;
}

uint64_t service_offer_timeout_ns(const struct service_offer *offer)
{
	return offer->offering.timeout_ns ?: offer->service->config.limits.timeout_ns;
}

static char *text_add(char **at, const char *text)
{
	size_t len = strlen(text) + 1;
	char *start = *at;

	memcpy(start, text, len);
	*at += len;
	return start;
}

static size_t offering_text_len(const struct service_offering *offering)
{
	size_t len = offering->metadata_cnt * sizeof(*offering->metadata) +
		     offering->read_only_cnt * sizeof(*offering->read_only) +
		     strlen(offering->name) + strlen(offering->version) + 2;

	for (unsigned i = 0; i < offering->metadata_cnt; i++)
		len += strlen(offering->metadata[i].key) + strlen(offering->metadata[i].value) + 2;
	for (unsigned i = 0; i < offering->read_only_cnt; i++)
		len += strlen(offering->read_only[i]) + 1;
	if (offering->description)
		len += strlen(offering->description) + 1;
	return len;
}

/* Copies offering into one block: first what needs alignment, then its text. */
static int offer_copy(struct service_offer *offer, const struct service_offering *offering)
{
	struct service_metadata *metadata;
	const char **read_only;
	char *at;

	offer->text = heap_alloc(offer->service->heap, offering_text_len(offering));
	if (!offer->text)
		return WEFT_EFULL;
	offer->offering = *offering;
	offer->offering.allow_cnt = offer->offering.grant_cnt = 0;
	metadata = offer->text;
	read_only = (void *)(metadata + offering->metadata_cnt);
	at = (char *)(read_only + offering->read_only_cnt);
	for (unsigned i = 0; i < offering->metadata_cnt; i++) {
		metadata[i].key = text_add(&at, offering->metadata[i].key);
		metadata[i].value = text_add(&at, offering->metadata[i].value);
	}
	for (unsigned i = 0; i < offering->read_only_cnt; i++)
		read_only[i] = text_add(&at, offering->read_only[i]);
	offer->offering.metadata = metadata;
	offer->offering.read_only = read_only;
	offer->offering.name = text_add(&at, offering->name);
	offer->offering.version = text_add(&at, offering->version);
	if (offering->description)
		offer->offering.description = text_add(&at, offering->description);
	if (service_set_access(offer, offering) < 0)
		return WEFT_EFULL;
	return semver_parse(offer->offering.version, strlen(offer->offering.version),
			    &offer->version);
}

static size_t access_len(const struct service_offering *offering)
{
	size_t len = offering->grant_cnt * sizeof(*offering->grants) +
		     offering->allow_cnt * MESH_KEY_LEN + 1;

	for (unsigned i = 0; i < offering->grant_cnt; i++)
		len += strlen(offering->grants[i].method) + strlen(offering->grants[i].group) + 2;
	return len;
}

int service_set_access(struct service_offer *offer, const struct service_offering *offering)
{
	struct service_grant *grants = heap_alloc(offer->service->heap, access_len(offering));
	uint8_t(*allow)[MESH_KEY_LEN];
	char *at;

	if (!grants)
		return WEFT_EFULL;
	allow = (void *)(grants + offering->grant_cnt);
	at = (char *)(allow + offering->allow_cnt);
	if (offering->allow_cnt)
		memcpy(allow, offering->allow, offering->allow_cnt * MESH_KEY_LEN);
	for (unsigned i = 0; i < offering->grant_cnt; i++) {
		grants[i] = offering->grants[i];
		grants[i].method = text_add(&at, offering->grants[i].method);
		grants[i].group = text_add(&at, offering->grants[i].group);
	}
	if (offer->access)
		heap_release(offer->service->heap, offer->access);
	offer->access = grants;
	offer->offering.grants = grants;
	offer->offering.grant_cnt = offering->grant_cnt;
	offer->offering.allow = (const void *)allow;
	offer->offering.allow_cnt = offering->allow_cnt;
	return 0;
}

/* Puts offer into the list of its id, the highest version first. */
static int offer_link(struct service_registry *registry, struct service_offer *offer)
{
	struct service_offer *first = map_lookup(&registry->by_id, offer->id);
	struct service_offer *before = NULL;

	for (struct service_offer *at = first; at && at->version.major > offer->version.major;
	     at = at->next)
		before = at;
	offer->next = before ? before->next : first;
	if (before) {
		before->next = offer;
		return 0;
	}
	return map_put(&registry->by_id, offer->id, offer);
}

static void offer_unlink(struct service_registry *registry, struct service_offer *offer)
{
	struct service_offer *at = map_lookup(&registry->by_id, offer->id);

	if (at != offer) {
		while (at->next != offer)
			at = at->next;
		at->next = offer->next;
	} else if (!offer->next) {
		map_delete(&registry->by_id, offer->id);
	} else {
		int err = map_put(&registry->by_id, offer->id, offer->next);

		weft_assert(err == 0); /* its key is there */
	}
}

static void offer_release(struct service_offer *offer)
{
	struct service *service = offer->service;

	if (offer->text)
		heap_release(service->heap, offer->text);
	if (offer->access)
		heap_release(service->heap, offer->access);
	pool_release(&service->registry.offers, offer);
}

static void offer_tell(const struct service_offer *offer, bool is_there, uint64_t now_ns)
{
	const struct service_params *params = &offer->service->params;

	if (offer->offering.is_published && params->on_offer)
		params->on_offer(params->ctx, &offer->offering, offer->version.major, is_there,
				 now_ns);
}

int service_offer(struct service *service, const struct service_offering *offering, uint64_t now_ns,
		  struct service_offer **out_offer, const char **out_why)
{
	struct service_registry *registry = &service->registry;
	enum service_fault fault = service_descriptor_check(offering);
	struct semver version;
	struct service_offer *offer;
	uint8_t id[SERVICE_ID_LEN];
	int err;

	*out_why = service_faults[fault].text;
	if (fault != SERVICE_FINE)
		return WEFT_EMALFORMED;
	*out_why = "the description is longer than 16 KiB";
	if (offering->description &&
	    strnlen(offering->description, SERVICE_DESCRIPTION_LEN_MAX + 1) >
		    SERVICE_DESCRIPTION_LEN_MAX)
		return WEFT_EMALFORMED;
	if ((err = semver_parse(offering->version, strlen(offering->version), &version)) < 0)
		return err;
	service_id_of(offering->name, service->own_key, id);
	if (service_registry_lookup(registry, id, &version.major))
		return WEFT_EEXISTS;
	offer = pool_acquire(&registry->offers);
	if (!offer)
		return WEFT_EFULL;
	offer->service = service;
	memcpy(offer->id, id, sizeof(id));
	list_init(&offer->calls);
	offer->is_ready = true;
	if ((err = offer_copy(offer, offering)) < 0 || (err = offer_link(registry, offer)) < 0) {
		offer_release(offer);
		return err;
	}
	*out_offer = offer;
	offer_tell(offer, true, now_ns);
	return 0;
}

void service_set_ready(struct service_offer *offer, bool is_ready, uint64_t now_ns)
{
	if (offer->is_ready == is_ready)
		return;
	offer->is_ready = is_ready;
	/* Earlier failures were those of the program that is gone. */
	if (is_ready)
		(void)service_offer_close_circuits(offer);
	offer_tell(offer, is_ready, now_ns);
}

void service_withdraw(struct service_offer *offer, uint64_t now_ns)
{
	if (offer->is_ready)
		offer_tell(offer, false, now_ns);
	service_topics_drop(&offer->service->topics, offer, now_ns);
	service_router_withdraw(offer, now_ns);
	service_callers_forget(&offer->service->callers, offer);
	offer_unlink(&offer->service->registry, offer);
	offer_release(offer);
}

bool service_next(struct service_iter *iter, struct service_info *out_info)
{
	const struct service_offer *offer = pool_next(&iter->service->registry.offers, iter->offer);

	iter->offer = offer;
	if (!offer)
		return false;
	*out_info = (struct service_info){
		.offer = (struct service_offer *)offer,
		.name = offer->offering.name,
		.version = offer->offering.version,
		.id = offer->id,
		.metadata = offer->offering.metadata,
		.metadata_cnt = offer->offering.metadata_cnt,
		.read_only = offer->offering.read_only,
		.read_only_cnt = offer->offering.read_only_cnt,
		.allow_cnt = offer->offering.allow_cnt + offer->offering.grant_cnt,
		.is_ready = offer->is_ready,
		.is_published = offer->offering.is_published,
		.needs_signature = offer->offering.needs_signature,
		.calls_per_min = service_offer_calls_per_min(offer),
		.payload_len_max = service_offer_payload_len_max(offer),
		.timeout_ns = service_offer_timeout_ns(offer),
		.in_hand_cnt = offer->in_hand_cnt,
		.counts = offer->counts,
		.methods = offer->methods,
		.method_cnt = offer->method_cnt + 1,
	};
	return true;
}
