/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries: a map from a filter's key to what is asked. It comes from peers that are not named, so
 * its size bounds the work: 16 filters of at most 16 values.
 */
#include <stdio.h>
#include <string.h>

#include "offers/schema/schema_value.h"

void offers_schema_query_init(struct schema_query *query)
{
	memset(query->values, 0, sizeof(query->values));
	query->has_unknown = false;
	query->pool.item_cnt = 0;
	query->pool.byte_cnt = 0;
}

int offers_schema_filter_named(const struct schema *schema, const char *name, size_t len)
{
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		if (strlen(schema->filters[i].name) == len &&
		    memcmp(schema->filters[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

static struct schema_shape shape_of(const struct schema *schema, unsigned filter)
{
	return (struct schema_shape){
		.field = &schema->fields[schema->filters[filter].field],
		.filter = &schema->filters[filter],
	};
}

/* The names of the filters, as many as there is room for. */
static void names_list(const struct schema *schema, char *buf, size_t cap)
{
	size_t len = (size_t)snprintf(buf, cap, "filters:");

	for (unsigned i = 0; i < schema->filter_cnt && len < cap; i++)
		len += (size_t)snprintf(buf + len, cap - len, " %s", schema->filters[i].name);
}

int offers_schema_query_from_text(const struct schema *schema, const char *word,
				  struct schema_query *query, struct schema_fault *fault)
{
	size_t len = strcspn(word, "=");
	int idx = offers_schema_filter_named(schema, word, len);
	char next[sizeof(fault->next)];
	struct schema_shape shape;

	*fault = (struct schema_fault){.line = 0};
	if (idx < 0) {
		names_list(schema, next, sizeof(next));
		return offers_schema_fault_set(fault, "", next, "%s has no filter %.*s",
					       schema->name, len > 40 ? 40 : (int)len, word);
	}
	shape = shape_of(schema, (unsigned)idx);
	if (word[len] != '=') {
		snprintf(next, sizeof(next), "write %s=VALUE", shape.filter->name);
		return offers_schema_fault_set(fault, shape.filter->name, next, "%s has no value",
					       shape.filter->name);
	}
	if (query->values[idx].state != SCHEMA_ABSENT)
		return offers_schema_fault_set(fault, shape.filter->name, NULL, "%s is given twice",
					       shape.filter->name);
	return offers_schema_value_parse(word + len + 1, &shape, &query->pool, &query->values[idx],
					 fault);
}

void offers_schema_query_write(const struct schema *schema, const struct schema_query *query,
			       struct writer *w)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < schema->filter_cnt; i++)
		cnt += query->values[i].state == SCHEMA_PRESENT;
	cbor_write_map(w, cnt);
	for (unsigned i = 0; i < schema->filter_cnt; i++) {
		const struct schema_shape shape = shape_of(schema, i);

		if (query->values[i].state != SCHEMA_PRESENT)
			continue;
		cbor_write_uint(w, shape.filter->key);
		offers_schema_value_write(w, &shape, &query->values[i]);
	}
}

static int lookup_key(const struct schema *schema, uint64_t key)
{
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		if (schema->filters[i].key == key)
			return (int)i;
	return -1;
}

int offers_schema_query_read(const struct schema *schema, const uint8_t *bytes, size_t len,
			     struct schema_query *out, struct schema_fault *fault)
{
	struct cbor_reader r;
	uint64_t key;
	int err = 0;

	*fault = (struct schema_fault){.line = 0};
	offers_schema_query_init(out);
	cbor_reader_init(&r, bytes, len);
	(void)cbor_enter_map(&r);
	while (err == 0 && cbor_next_key(&r, &key)) {
		int idx = lookup_key(schema, key);
		const struct schema_shape shape = shape_of(schema, idx < 0 ? 0 : (unsigned)idx);

		if (idx < 0) {
			out->has_unknown = true;
			cbor_skip(&r);
		} else {
			err = offers_schema_value_read(&r, &shape, &out->pool, &out->values[idx],
						       fault);
		}
	}
	if (err == 0 && cbor_reader_finish(&r) < 0)
		err = offers_schema_fault_set(
			fault, "", NULL, "the query is not deterministic CBOR (RFC 8949 4.2.1)");
	return err;
}

static bool text_begins(const struct schema_item *item, const struct schema_item *with)
{
	return item->len >= with->len && memcmp(item->text, with->text, with->len) == 0;
}

static bool item_is_equal(const struct schema_item *a, const struct schema_item *b)
{
	return a->text ? a->len == b->len && text_begins(a, b) : a->number == b->number;
}

/* One member of a field and what a filter asks, of which there is one or a range. */
static bool item_fits(enum schema_comparison comparison, const struct schema_item *item,
		      const struct schema_item *asked)
{
	switch (comparison) {
	case SCHEMA_AT_MOST:
		return item->number <= asked->number;
	case SCHEMA_AT_LEAST:
		return item->number >= asked->number;
	case SCHEMA_BETWEEN:
		return item->number >= asked[0].number && item->number <= asked[1].number;
	case SCHEMA_PREFIX:
		return text_begins(item, asked);
	default:
		return item_is_equal(item, asked);
	}
}

/* A member of the value fits. */
static bool any_fits(enum schema_comparison comparison, const struct schema_value *value,
		     const struct schema_item *asked)
{
	for (unsigned i = 0; i < value->item_cnt; i++)
		if (item_fits(comparison, &value->items[i], asked))
			return true;
	return false;
}

static bool filter_fits(enum schema_comparison comparison, const struct schema_value *value,
			const struct schema_value *asked)
{
	unsigned found = 0;

	if (value->state != SCHEMA_PRESENT)
		return false;
	if (comparison != SCHEMA_ANY_OF && comparison != SCHEMA_ALL_OF)
		return any_fits(comparison, value, asked->items);
	for (unsigned i = 0; i < asked->item_cnt; i++)
		found += any_fits(SCHEMA_EQUAL, value, &asked->items[i]);
	return comparison == SCHEMA_ANY_OF ? found > 0 : found == asked->item_cnt;
}

bool offers_schema_match(const struct schema *schema, const struct schema_record *record,
			 const struct schema_query *query)
{
	for (unsigned i = 0; i < schema->filter_cnt; i++)
		if (query->values[i].state == SCHEMA_PRESENT &&
		    !filter_fits(schema->filters[i].comparison,
				 &record->values[schema->filters[i].field], &query->values[i]))
			return false;
	return true;
}
