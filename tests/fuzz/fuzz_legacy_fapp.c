/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the older wire of FAPP. What an announce means is a service message that parses. */
#include <string.h>

#include "base/assert.h"
#include "offers/legacy/legacy_fapp.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/schema/schema_registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct schema *schema;

static void announce(const struct cursor *map)
{
	static struct schema_record record, again;
	static uint8_t payload[LEGACY_FAPP_LEN_MAX], message[2 * LEGACY_FAPP_LEN_MAX];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(message, sizeof(message));
	struct legacy_fapp_announce read, got;
	struct service_message parsed;
	struct schema_fault fault;
	struct offer_terms terms;
	struct cursor rest;

	if (offers_legacy_fapp_announce(schema, map, &read, &record, &fault) < 0)
		return;
	offers_legacy_fapp_message(schema, &read, &record, &p, &w);
	if (w.bad)
		return;
	if (offers_message_parse(message, writer_len(&w), &parsed) == 0)
		weft_assert(offer_terms_read(&parsed, &terms) == 0 &&
			    terms.sequence == read.sequence);
	w = writer_of(message, sizeof(message));
	writer_u8(&w, LEGACY_FAPP_ANNOUNCE);
	offers_legacy_fapp_write(&w, schema, &read, &record);
	if (w.bad || writer_len(&w) > LEGACY_FAPP_LEN_MAX)
		return;
	weft_assert(offers_legacy_fapp_tag(message, writer_len(&w), &rest) == LEGACY_FAPP_ANNOUNCE);
	weft_assert(offers_legacy_fapp_announce(schema, &rest, &got, &again, &fault) == 0);
	weft_assert(got.sequence == read.sequence && got.timestamp_s == read.timestamp_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct schema_registry *registry;
	static struct schema_query query;
	static uint8_t words[LEGACY_FAPP_WORDS_CAP];
	struct writer w = writer_of(words, sizeof(words));
	struct schema_fault fault;
	struct cursor rest;
	unsigned result_cnt;

	if (!registry) {
		registry = offers_schema_registry_new(NULL, NULL);
		weft_assert(registry && offers_schema_registry_ship(registry) == 0);
		schema = offers_schema_registry_named(registry, "fapp");
		weft_assert(schema);
	}
	switch (offers_legacy_fapp_tag(data, len, &rest)) {
	case LEGACY_FAPP_ANNOUNCE:
		announce(&rest);
		break;
	case LEGACY_FAPP_QUERY:
		result_cnt = offers_legacy_fapp_results(&rest);
		weft_assert(result_cnt >= 1 && result_cnt <= LEGACY_FAPP_RESULTS_MAX);
		weft_assert(offers_legacy_fapp_query(schema, &rest, &query, &w, &fault) <= 0);
		break;
	default:
		break;
	}
	return 0;
}
