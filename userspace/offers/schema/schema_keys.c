/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of columns and ranges of keys: pure arithmetic on values that were checked before. */
#include "offers/schema/schema_keys.h"

#include <stdlib.h>
#include <string.h>

#define KEY_LEN 8

/* Where the text ends, filling takes the place of letters. */
static uint64_t text_key(const struct schema_item *item, uint8_t filling)
{
	uint64_t key = 0;

	for (size_t i = 0; i < KEY_LEN; i++)
		key = key << 8 | (i < item->len ? (uint8_t)item->text[i] : filling);
	return key;
}

static uint64_t item_key(const struct schema_item *item)
{
	return item->text ? text_key(item, 0) : (uint64_t)item->number ^ 1ull << 63;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

unsigned offers_schema_keys(const struct schema *schema, unsigned column,
			    const struct schema_record *record,
			    uint64_t out[static SCHEMA_KEYS_MAX])
{
	const struct schema_value *value = &record->values[schema->columns[column]];
	unsigned cnt = 0;

	if (value->state != SCHEMA_PRESENT)
		return 0;
	for (unsigned i = 0; i < value->item_cnt; i++)
		out[i] = item_key(&value->items[i]);
	qsort(out, value->item_cnt, sizeof(*out), compare_keys);
	for (unsigned i = 0; i < value->item_cnt; i++)
		if (i == 0 || out[i] != out[i - 1])
			out[cnt++] = out[i];
	return cnt;
}

/* Another value has the same key: a text has no NUL, so the key of a short one is its own. */
static bool key_is_shared(const struct schema_item *item)
{
	return item->text && item->len >= KEY_LEN;
}

/* Ranges of single keys, ascending and different. */
static void members_condition(const struct schema_item *items, unsigned cnt,
			      struct schema_condition *out)
{
	uint64_t keys[SCHEMA_MEMBERS];

	for (unsigned i = 0; i < cnt; i++) {
		keys[i] = item_key(&items[i]);
		out->is_exact &= !key_is_shared(&items[i]);
	}
	qsort(keys, cnt, sizeof(*keys), compare_keys);
	for (unsigned i = 0; i < cnt; i++)
		if (i == 0 || keys[i] != keys[i - 1])
			out->ranges[out->range_cnt++] = (struct schema_range){keys[i], keys[i]};
}

static struct schema_condition condition_of(const struct schema_filter *filter, uint8_t column,
					    const struct schema_value *asked)
{
	struct schema_condition out = {.column = column, .range_cnt = 1, .is_exact = true};
	struct schema_range *range = &out.ranges[0];

	switch (filter->comparison) {
	case SCHEMA_AT_MOST:
		*range = (struct schema_range){0, item_key(asked->items)};
		break;
	case SCHEMA_AT_LEAST:
		*range = (struct schema_range){item_key(asked->items), UINT64_MAX};
		break;
	case SCHEMA_BETWEEN:
		*range = (struct schema_range){item_key(&asked->items[0]),
					       item_key(&asked->items[1])};
		break;
	case SCHEMA_PREFIX:
		*range = (struct schema_range){text_key(asked->items, 0),
					       text_key(asked->items, 0xff)};
		out.is_exact = asked->items->len <= KEY_LEN;
		break;
	case SCHEMA_ALL_OF:
		/* The rows that have the first. The others have conditions of their own. */
		out.range_cnt = 0;
		members_condition(asked->items, 1, &out);
		out.is_exact &= asked->item_cnt == 1;
		break;
	default:
		out.range_cnt = 0;
		members_condition(asked->items, asked->item_cnt, &out);
	}
	return out;
}

/* A row has one key in the column, so two ranges are their common part. */
static bool condition_join(struct schema_condition *condition, const struct schema_condition *with)
{
	struct schema_range *range = &condition->ranges[0];
	const struct schema_range *other = &with->ranges[0];

	if (condition->column != with->column || condition->range_cnt > 1 || with->range_cnt > 1)
		return false;
	condition->is_exact &= with->is_exact;
	if (condition->range_cnt == 0 || with->range_cnt == 0) {
		condition->range_cnt = 0;
		return true;
	}
	if (other->first > range->first)
		range->first = other->first;
	if (other->last < range->last)
		range->last = other->last;
	condition->range_cnt = range->first <= range->last;
	return true;
}

/* A condition for each word but the first, as far as there are places that no filter needs. */
static unsigned all_of_add(const struct schema_value *asked, struct schema_condition *first,
			   unsigned *spare_cnt)
{
	unsigned cnt = 1;

	if (asked->item_cnt > 1 && asked->item_cnt - 1 <= *spare_cnt)
		first->is_exact = !key_is_shared(&asked->items[0]);
	for (; cnt < asked->item_cnt && *spare_cnt > 0; cnt++, --*spare_cnt) {
		first[cnt] = (struct schema_condition){.column = first->column, .is_exact = true};
		members_condition(&asked->items[cnt], 1, &first[cnt]);
	}
	return cnt;
}

unsigned offers_schema_conditions(const struct schema *schema, const struct schema_query *query,
				  struct schema_condition out[static SCHEMA_FILTERS_MAX])
{
	unsigned cnt = 0, spare_cnt = SCHEMA_FILTERS_MAX - schema->filter_cnt;

	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_filter *filter = &schema->filters[i];
		const struct schema_field *field = &schema->fields[filter->field];
		bool is_joined = false;

		if (query->values[i].state != SCHEMA_PRESENT)
			continue;
		out[cnt] = condition_of(filter, field->column, &query->values[i]);
		for (unsigned at = 0; at < cnt && !is_joined && !offers_schema_is_list(field->type);
		     at++)
			is_joined = condition_join(&out[at], &out[cnt]);
		if (filter->comparison == SCHEMA_ALL_OF)
			cnt += all_of_add(&query->values[i], &out[cnt], &spare_cnt);
		else
			cnt += !is_joined;
	}
	return cnt;
}
