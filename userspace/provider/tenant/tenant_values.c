/* SPDX-License-Identifier: Apache-2.0 */
/* Overlay values of programs: their tags are words, and the node signs for its programs. */
#include <string.h>

#include "base/byte_cursor.h"
#include "provider/tenant/program_value.h"
#include "provider/tenant/tenant_state.h"

static bool tag_is_declared(const struct provider_tenant *tenant, const char *tag)
{
	for (unsigned i = 0; i < tenant->declared.value_tag_cnt; i++)
		if (strcmp(tenant->value_tags[i], tag) == 0)
			return true;
	return false;
}

/* name_of: its length, or an error. */
static int name_of(struct provider_tenant *tenant, const struct provider_value_key *key,
		   uint8_t out_name[static OVERLAY_NAME_LEN_MAX])
{
	size_t len;

	if (!tag_is_declared(tenant, key->tag))
		return provider_tenant_refuse(tenant, WEFT_EREFUSED);
	len = provider_program_value_name(tenant->service, key->tag, key->bytes, key->len,
					  out_name);
	return len ? (int)len : WEFT_ETOOLARGE;
}

/* Numbers of one node ascend, also when its clock steps back while it runs. */
static uint64_t number_next(struct provider_tenants *node, uint64_t wall_ms)
{
	if (node->value_number < wall_ms)
		node->value_number = wall_ms;
	else
		node->value_number++;
	return node->value_number;
}

int provider_value_put(struct provider_tenant *tenant, const struct provider_value_put *put,
		       uint64_t now_ns, struct provider_run **out_run)
{
	struct provider_tenants *node = tenant->node;
	uint8_t name[OVERLAY_NAME_LEN_MAX], bytes[PROGRAM_VALUE_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int name_len = name_of(tenant, &put->key, name);
	struct overlay_put_params params = {.done = put->done, .arg = put->arg};
	uint64_t wall_ms;

	if (name_len < 0)
		return name_len;
	if (put->len > PROGRAM_VALUE_LEN_MAX || put->life_s < PROGRAM_VALUE_LIFE_MIN_S ||
	    put->life_s > PROGRAM_VALUE_LIFE_MAX_S)
		return WEFT_ETOOLARGE;
	if (!node->params.key || !node->params.overlay.ops)
		return WEFT_EUNREACHABLE;
	wall_ms = node->params.wall_ms(node->params.ctx);
	provider_program_value_write(
		&w,
		&(struct program_value){.name = name,
					.name_len = (size_t)name_len,
					.number = number_next(node, wall_ms),
					.created_s = wall_ms / 1000,
					.expires_s = wall_ms / 1000 + put->life_s,
					.bytes = put->bytes,
					.len = put->len},
		node->params.key);
	if (w.bad)
		return WEFT_ETOOLARGE;
	params.value = (struct overlay_value){
		.name = name, .name_len = (size_t)name_len, .bytes = bytes, .len = writer_len(&w)};
	return provider_overlay_put(tenant, &params, now_ns, out_run);
}

int provider_value_get(struct provider_tenant *tenant, const struct provider_value_get *get,
		       uint64_t now_ns, struct provider_run **out_run)
{
	uint8_t name[OVERLAY_NAME_LEN_MAX];
	int name_len = name_of(tenant, &get->key, name);
	const struct overlay_get_params params = {.name = name,
						  .name_len = name_len < 0 ? 0 : (size_t)name_len,
						  .tag = PROGRAM_VALUE_OVERLAY_TAG,
						  .value = get->value,
						  .done = get->done,
						  .arg = get->arg};

	return name_len < 0 ? name_len : provider_overlay_get(tenant, &params, now_ns, out_run);
}

int provider_values_rule_add(struct provider_tenants *node)
{
	const struct overlay_seam *overlay = &node->params.overlay;
	const struct overlay_rule rule = provider_program_value_rule();

	return overlay->ops ? overlay->ops->add_rule(overlay->overlay, &rule) : 0;
}
