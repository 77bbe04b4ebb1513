/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_trust.h"

#include <string.h>

const char *relay_trust_word(enum relay_trust trust)
{
	static const char *const words[RELAY_TRUST_CNT] = {"own", "community", "contact", "unknown",
							   "refused"};

	return words[trust];
}

void relay_trust_config_defaults(struct relay_trust_config *config)
{
	*config = (struct relay_trust_config){.lets_unknown = true};
}

static struct relay_pool_place *own_find(struct relay_trust_rule *rule, const uint8_t *key)
{
	for (unsigned i = 0; i < rule->own_cnt; i++)
		if (memcmp(rule->own[i].key, key, MESH_KEY_LEN) == 0)
			return &rule->own[i];
	return NULL;
}

int relay_trust_own(struct relay_trust_rule *rule, const char *text,
		    const uint8_t own_key[static MESH_KEY_LEN])
{
	struct relay_pool_place places[RELAY_POOL_MAX];
	int cnt = relay_pool_parse(text, own_key, places);

	for (int i = 0; i < cnt; i++) {
		struct relay_pool_place *known = own_find(rule, places[i].key);

		if (known && known->addr.family == ADDR_NONE)
			known->addr = places[i].addr;
		else if (!known && rule->own_cnt == RELAY_TRUST_OWN_MAX)
			return WEFT_EFULL;
		else if (!known)
			rule->own[rule->own_cnt++] = places[i];
	}
	return cnt < 0 ? cnt : 0;
}

static bool is_own(const struct relay_trust_rule *rule, const uint8_t *relay)
{
	for (unsigned i = 0; i < rule->own_cnt; i++)
		if (memcmp(rule->own[i].key, relay, MESH_KEY_LEN) == 0)
			return true;
	return rule->is_granted && rule->is_granted(rule->ctx, relay);
}

enum relay_trust relay_trust_of(const struct relay_trust_rule *rule, const uint8_t *relay,
				const uint8_t *by)
{
	if (is_own(rule, relay))
		return RELAY_TRUST_OWN;
	if (rule->is_member && rule->is_member(rule->ctx, relay))
		return RELAY_TRUST_COMMUNITY;
	if (rule->is_contact &&
	    (rule->is_contact(rule->ctx, relay) || (by && rule->is_contact(rule->ctx, by))))
		return RELAY_TRUST_CONTACT;
	return rule->lets_unknown ? RELAY_TRUST_UNKNOWN : RELAY_TRUST_REFUSED;
}
