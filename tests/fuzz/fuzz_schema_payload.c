/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads and queries by a schema with every type. What is read is written again and read alike.
 * An index loses nothing: what matches has a key in a range of each condition. The first byte is
 * the length of the payload, behind which the query stands; its top bit says that fields may be
 * named.
 */
#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "offers/schema/schema_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char text[] =
	"[service]\nname = all\n"
	"[field number]\ntype = number\ndecimals = 2\n[field choice]\ntype = choice\n"
	"choices = x, y\n[field choices]\ntype = choices\nchoices = x, y, z\n"
	"[field text]\ntype = text\n[field words]\ntype = words\n[field time]\ntype = time\n"
	"[field times]\ntype = times\n[field flag]\ntype = flag\n[field postcode]\n"
	"type = postcode\n[field geohash]\ntype = geohash\n[field url]\ntype = url\n"
	"[field hash]\ntype = hash\n"
	"[filter max]\nfield = number\nmatch = at-most\n"
	"[filter in]\nfield = number\nmatch = between\n"
	"[filter choice]\nfield = choice\nmatch = any-of\n"
	"[filter choices]\nfield = choices\nmatch = all-of\n"
	"[filter text]\nfield = text\nmatch = prefix\n"
	"[filter words]\nfield = words\nmatch = all-of\n"
	"[filter times]\nfield = times\nmatch = between\n"
	"[filter flag]\nfield = flag\n"
	"[filter near]\nfield = postcode\nmatch = prefix\n"
	"[filter hash]\nfield = hash\n";

static bool condition_fits(const struct schema *schema, const struct schema_record *record,
			   const struct schema_condition *condition)
{
	uint64_t keys[SCHEMA_KEYS_MAX];
	unsigned cnt = offers_schema_keys(schema, condition->column, record, keys);

	weft_assert(cnt <= SCHEMA_KEYS_MAX && condition->range_cnt <= SCHEMA_RANGES_MAX);
	for (unsigned r = 0; r < condition->range_cnt; r++)
		for (unsigned i = 0; i < cnt; i++)
			if (keys[i] >= condition->ranges[r].first &&
			    keys[i] <= condition->ranges[r].last)
				return true;
	return false;
}

static void check_match(const struct schema *schema, const struct schema_record *record,
			const struct schema_query *query)
{
	struct schema_condition conditions[SCHEMA_FILTERS_MAX];
	unsigned cnt = offers_schema_conditions(schema, query, conditions);
	bool is_exact = true, fits = true;

	for (unsigned i = 0; i < cnt; i++) {
		is_exact &= conditions[i].is_exact;
		fits &= condition_fits(schema, record, &conditions[i]);
	}
	weft_assert(fits || !offers_schema_match(schema, record, query));
	weft_assert(!is_exact || fits == offers_schema_match(schema, record, query));
}

static void check_written(const struct schema *schema, const struct schema_record *record)
{
	static uint8_t bytes[65536], again[65536];
	static struct schema_record back;
	struct schema_payload payload = {
		.bytes = bytes, .version = schema->version, .is_update = record->is_update};
	struct writer w = writer_of(bytes, sizeof(bytes)), v = writer_of(again, sizeof(again));
	struct schema_fault fault;
	char printed[256];

	cbor_write_map(&w, offers_schema_fields_cnt(record));
	offers_schema_fields_write(schema, record, &w);
	payload.len = writer_len(&w);
	weft_assert(!w.bad && offers_schema_read(schema, &payload, &back, &fault) == 0);
	cbor_write_map(&v, offers_schema_fields_cnt(&back));
	offers_schema_fields_write(schema, &back, &v);
	weft_assert(writer_len(&v) == writer_len(&w));
	weft_assert(memcmp(bytes, again, writer_len(&w)) == 0);
	for (unsigned i = 0; i < schema->field_cnt; i++)
		(void)offers_schema_value_print(&schema->fields[i], &record->values[i], printed,
						sizeof(printed));
}

static void check_input(const struct schema *schema, const uint8_t *data, size_t len)
{
	static struct schema_record record;
	static struct schema_query query;
	size_t payload_len = data[0] & 0x7fu;
	struct schema_payload payload = {
		.bytes = data + 1,
		.len = payload_len < len - 1 ? payload_len : len - 1,
		.version = 1,
		.may_name = data[0] & 0x80,
		.is_update = len & 1,
	};
	const uint8_t *asked = payload.bytes + payload.len;
	struct schema_fault fault;

	if (offers_schema_read(schema, &payload, &record, &fault) < 0) {
		weft_assert(fault.what[0]);
		return;
	}
	check_written(schema, &record);
	if (offers_schema_query_read(schema, asked, (size_t)(data + len - asked), &query, &fault) <
	    0)
		weft_assert(fault.what[0]);
	else
		check_match(schema, &record, &query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct schema_fault fault;
	struct schema *schema;

	weft_assert(offers_schema_parse(text, sizeof(text) - 1, &schema, &fault) == 0);
	if (len > 0)
		check_input(schema, data, len);
	offers_schema_free(schema);
	return 0;
}
