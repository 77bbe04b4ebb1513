/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_overlay.h"

#include <stdlib.h>
#include <string.h>

struct overlay_run {
	struct fake_overlay *fake;
	struct overlay_run *next;
	bool is_get;
	char name[OVERLAY_NAME_LEN_MAX];
	size_t name_len;
	uint8_t tag;
	overlay_value_fn value;
	overlay_done_fn done;
	void *arg;
	uint64_t started_ns;
};

static struct fake_overlay *fake_of(struct overlay *overlay)
{
	return (struct fake_overlay *)(void *)overlay;
}

static const struct overlay_rule *rule_of(const struct fake_overlay *fake, uint8_t tag)
{
	for (unsigned i = 0; i < fake->rule_cnt; i++)
		if (fake->rules[i].tag == tag)
			return &fake->rules[i];
	return NULL;
}

static int fake_add_rule(struct overlay *overlay, const struct overlay_rule *rule)
{
	struct fake_overlay *fake = fake_of(overlay);

	if (rule_of(fake, rule->tag))
		return WEFT_EEXISTS;
	if (fake->rule_cnt == sizeof(fake->rules) / sizeof(fake->rules[0]))
		return WEFT_EFULL;
	fake->rules[fake->rule_cnt++] = *rule;
	return 0;
}

static struct overlay_run *run_add(struct fake_overlay *fake, const void *name, size_t name_len)
{
	struct overlay_run *run = calloc(1, sizeof(*run)), **end = &fake->runs;

	if (!run || name_len > sizeof(run->name))
		abort();
	run->fake = fake;
	memcpy(run->name, name, name_len);
	run->name_len = name_len;
	while (*end)
		end = &(*end)->next;
	*end = run;
	return run;
}

static struct fake_value *value_add(struct fake_overlay *fake, const void *name, size_t name_len,
				    const uint8_t *bytes, size_t len)
{
	struct fake_value *value;

	fake->values = realloc(fake->values, (fake->value_cnt + 1) * sizeof(*fake->values));
	if (!fake->values)
		abort();
	value = &fake->values[fake->value_cnt++];
	*value = (struct fake_value){.name_len = name_len, .len = len, .bytes = malloc(len + 1)};
	if (!value->bytes)
		abort();
	memcpy(value->name, name, name_len);
	memcpy(value->bytes, bytes, len);
	return value;
}

static bool value_is_under(const struct fake_value *value, const void *name, size_t name_len)
{
	return value->name_len == name_len && memcmp(value->name, name, name_len) == 0;
}

/* A later value of the same writer takes the place. */
static void value_merge(struct fake_overlay *fake, const void *name, size_t name_len,
			const uint8_t *bytes, size_t len, const struct overlay_claim *claim)
{
	struct fake_value *value;

	for (size_t i = 0; i < fake->value_cnt; i++) {
		value = &fake->values[i];
		if (!value->is_put || !value_is_under(value, name, name_len) ||
		    memcmp(value->claim.writer, claim->writer, sizeof(claim->writer)) != 0)
			continue;
		if (value->claim.seq > claim->seq)
			return;
		free(value->bytes);
		value->bytes = malloc(len + 1);
		if (!value->bytes)
			abort();
		memcpy(value->bytes, bytes, len);
		value->len = len;
		value->claim = *claim;
		return;
	}
	value = value_add(fake, name, name_len, bytes, len);
	value->is_put = true;
	value->claim = *claim;
}

static int fake_put(struct overlay *overlay, const struct overlay_put_params *params,
		    uint64_t now_ns, struct overlay_run **out_run)
{
	struct fake_overlay *fake = fake_of(overlay);
	const struct overlay_value *value = &params->value;
	const struct overlay_rule *rule = value->len ? rule_of(fake, value->bytes[0]) : NULL;
	struct overlay_claim claim;
	int err;

	if (fake->start_err)
		return fake->start_err;
	if (!rule)
		return WEFT_EUNKNOWN;
	if ((err = rule->check(rule->ctx, value, fake->wall_s, &claim)) < 0)
		return err;
	fake->put_cnt++;
	if (!fake->err)
		value_merge(fake, value->name, value->name_len, value->bytes, value->len, &claim);
	*out_run = run_add(fake, value->name, value->name_len);
	(*out_run)->done = params->done;
	(*out_run)->arg = params->arg;
	(*out_run)->started_ns = now_ns;
	return 0;
}

static int fake_get(struct overlay *overlay, const struct overlay_get_params *params,
		    uint64_t now_ns, struct overlay_run **out_run)
{
	struct fake_overlay *fake = fake_of(overlay);

	if (fake->start_err)
		return fake->start_err;
	fake->get_cnt++;
	*out_run = run_add(fake, params->name, params->name_len);
	(*out_run)->is_get = true;
	(*out_run)->tag = params->tag;
	(*out_run)->value = params->value;
	(*out_run)->done = params->done;
	(*out_run)->arg = params->arg;
	(*out_run)->started_ns = now_ns;
	return 0;
}

static void fake_cancel(struct overlay_run *run)
{
	struct overlay_run **at = &run->fake->runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	run->fake->cancel_cnt++;
	free(run);
}

static const struct overlay_ops fake_ops = {
	.add_rule = fake_add_rule,
	.put = fake_put,
	.get = fake_get,
	.cancel = fake_cancel,
};

struct overlay_seam fake_overlay_seam(struct fake_overlay *fake)
{
	fake->keeper_cnt = 3;
	return (struct overlay_seam){&fake_ops, (struct overlay *)(void *)fake};
}

void fake_overlay_fini(struct fake_overlay *fake)
{
	while (fake->runs)
		fake_cancel(fake->runs);
	for (size_t i = 0; i < fake->value_cnt; i++)
		free(fake->values[i].bytes);
	free(fake->values);
}

void fake_overlay_inject(struct fake_overlay *fake, const char *name, const uint8_t *value,
			 size_t len)
{
	value_add(fake, name, strlen(name), value, len);
}

static unsigned values_tell(struct fake_overlay *fake, const struct overlay_run *run)
{
	const struct overlay_rule *rule = rule_of(fake, run->tag);
	unsigned refused_cnt = 0;

	for (size_t i = 0; i < fake->value_cnt; i++) {
		const struct fake_value *value = &fake->values[i];
		struct overlay_claim claim;

		if (!value_is_under(value, run->name, run->name_len))
			continue;
		if (rule->check(rule->ctx,
				&(struct overlay_value){value->name, value->name_len, value->bytes,
							value->len},
				fake->wall_s, &claim) == 0)
			run->value(run->arg, value->bytes, value->len, &claim);
		else
			refused_cnt++;
	}
	return refused_cnt;
}

void fake_overlay_turn(struct fake_overlay *fake, uint64_t now_ns)
{
	struct overlay_run *last = fake->runs;

	while (last && last->next)
		last = last->next;
	while (fake->runs) {
		struct overlay_run *run = fake->runs;
		struct overlay_result result = {
			.err = fake->err,
			.took_ns = now_ns - run->started_ns,
			.asked_cnt = fake->err ? 0 : 3,
			.stored_cnt = fake->err || run->is_get ? 0 : fake->keeper_cnt,
		};
		bool is_last = run == last;

		if (run->is_get && !fake->err)
			result.refused_cnt = values_tell(fake, run);
		fake->runs = run->next;
		run->done(run->arg, &result, now_ns);
		free(run);
		if (is_last)
			return;
	}
}

const struct fake_value *fake_overlay_find(const struct fake_overlay *fake, const char *name,
					   unsigned n)
{
	for (size_t i = 0; i < fake->value_cnt; i++)
		if (fake->values[i].is_put &&
		    value_is_under(&fake->values[i], name, strlen(name)) && n-- == 0)
			return &fake->values[i];
	return NULL;
}
