/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a caller with the grants of an offer and with groups of nodes. Pure but for one seam. */
#include "service/limits/access.h"

#include <string.h>
#include <strings.h>

#include "codec/text/zbase32.h"
#include "service/topic_event.h"
#include "service/http_envelope.h"
#include "service/service_registry.h"
#include "service/service_state.h"

#define ID_TEXT_LEN ZBASE32_TEXT_LEN(MESH_KEY_LEN)

bool service_group_name_is_valid(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') &&
		    name[i] != '-' && name[i] != '_')
			return false;
	return len > 0 && len <= SERVICE_GROUP_LEN_MAX;
}

/* ids_are_valid: "ID,ID", len bytes of it. */
static bool ids_are_valid(const char *text, size_t len)
{
	uint8_t key[MESH_KEY_LEN];

	while (len >= ID_TEXT_LEN) {
		if (zbase32_parse(text, ID_TEXT_LEN, key, sizeof(key)) != MESH_KEY_LEN)
			return false;
		if (len == ID_TEXT_LEN)
			return true;
		if (text[ID_TEXT_LEN] != ',')
			return false;
		text += ID_TEXT_LEN + 1;
		len -= ID_TEXT_LEN + 1;
	}
	return false;
}

bool service_groups_are_valid(const char *groups)
{
	for (groups += strspn(groups, " "); *groups; groups += strspn(groups, " ")) {
		size_t len = strcspn(groups, " "), name_len = strcspn(groups, ": ");

		if (name_len == len || !service_group_name_is_valid(groups, name_len) ||
		    !ids_are_valid(groups + name_len + 1, len - name_len - 1))
			return false;
		groups += len;
	}
	return true;
}

bool service_group_has(const char *groups, const char *group, const uint8_t key[MESH_KEY_LEN])
{
	char id[ID_TEXT_LEN + 1];
	size_t name_len = strlen(group);

	zbase32_write(key, MESH_KEY_LEN, id);
	for (groups += strspn(groups, " "); *groups; groups += strspn(groups, " ")) {
		size_t len = strcspn(groups, " ");

		if (len > name_len && memcmp(groups, group, name_len) == 0 &&
		    groups[name_len] == ':' && memmem(groups, len, id, ID_TEXT_LEN))
			return true;
		groups += len;
	}
	return false;
}

static bool grant_names(const struct service_offer *offer, const struct service_grant *grant,
			const uint8_t *key)
{
	const struct service *service = offer->service;

	switch (grant->kind) {
	case SERVICE_GRANT_NODE:
		return memcmp(grant->id, key, MESH_KEY_LEN) == 0;
	case SERVICE_GRANT_GROUP:
		return service_group_has(service->config.groups, grant->group, key);
	case SERVICE_GRANT_COMMUNITY:
		return service->params.is_member &&
		       service->params.is_member(service->params.ctx, grant->id, key);
	default:
		return false;
	}
}

/* Those of one method: how many name it, and whether one of them names the caller. */
struct granted {
	unsigned cnt;
	bool is_caller;
};

/* Servers of HTTP differ in whether "delete" is DELETE, so it is taken for it. */
static struct granted granted_of(const struct service_offer *offer, const uint8_t *key,
				 const char *method, bool is_http)
{
	const struct service_offering *offering = &offer->offering;
	struct granted granted = {0};

	for (unsigned i = 0; i < offering->grant_cnt; i++) {
		const struct service_grant *grant = &offering->grants[i];

		if (is_http ? strcasecmp(grant->method, method) != 0
			    : strcmp(grant->method, method) != 0)
			continue;
		granted.cnt++;
		granted.is_caller = granted.is_caller || grant_names(offer, grant, key);
	}
	return granted;
}

/* access_in_general: of a method that no grant names. */
static enum service_access access_in_general(const struct service_offer *offer, const uint8_t *key)
{
	const struct service_offering *offering = &offer->offering;
	struct granted granted = granted_of(offer, key, "", false);

	for (unsigned i = 0; i < offering->allow_cnt; i++)
		granted.is_caller =
			granted.is_caller || memcmp(offering->allow[i], key, MESH_KEY_LEN) == 0;
	return granted.is_caller || granted.cnt + offering->allow_cnt == 0 ? SERVICE_ACCESS_GIVEN
									   : SERVICE_ACCESS_NONE;
}

static enum service_access access_of_method(const struct service_offer *offer, const uint8_t *key,
					    const char *method, bool is_http)
{
	struct granted granted = granted_of(offer, key, method, is_http);

	if (granted.cnt)
		return granted.is_caller ? SERVICE_ACCESS_GIVEN : SERVICE_ACCESS_NOT_METHOD;
	if (is_http && strcasecmp(method, "HEAD") == 0)
		return access_of_method(offer, key, "GET", true);
	return access_in_general(offer, key);
}

bool service_offer_is_http(const struct service_offer *offer)
{
	const struct service_offering *offering = &offer->offering;

	for (unsigned i = 0; i < offering->metadata_cnt; i++)
		if (strcmp(offering->metadata[i].key, "kind") == 0)
			return strcmp(offering->metadata[i].value, "http") == 0;
	return false;
}

static bool offer_has_methods(const struct service_offer *offer)
{
	for (unsigned i = 0; i < offer->offering.grant_cnt; i++)
		if (offer->offering.grants[i].method[0])
			return true;
	return false;
}

/* All callers of any method of a service may read its description. */
static enum service_access access_of_description(const struct service_offer *offer,
						 const uint8_t *key)
{
	const struct service_offering *offering = &offer->offering;
	enum service_access access = access_in_general(offer, key);

	for (unsigned i = 0; access != SERVICE_ACCESS_GIVEN && i < offering->grant_cnt; i++)
		if (grant_names(offer, &offering->grants[i], key))
			access = SERVICE_ACCESS_GIVEN;
	return access;
}

enum service_access service_access_of(const struct service_offer *offer, const uint8_t *key,
				      const char *method, bool is_stream)
{
	if (!is_stream && strcmp(method, SERVICE_DESCRIBE) == 0)
		return access_of_description(offer, key);
	if (is_stream && strcmp(method, SERVICE_SUBSCRIBE) == 0)
		return SERVICE_ACCESS_LATER;
	if (is_stream && service_http_is_method(method) && service_offer_is_http(offer) &&
	    offer_has_methods(offer))
		return SERVICE_ACCESS_LATER;
	return access_of_method(offer, key, method, false);
}

enum service_access service_access_of_verb(const struct service_offer *offer, const uint8_t *key,
					   const char *verb)
{
	return verb[0] ? access_of_method(offer, key, verb, true) : access_in_general(offer, key);
}

const char *service_access_text(enum service_access access)
{
	return access == SERVICE_ACCESS_NOT_METHOD
		       ? "this method of the service is for others: its provider says for whom"
		       : "this service is for others";
}
