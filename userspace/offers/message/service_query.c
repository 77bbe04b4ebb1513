/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_query.h"

#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"

enum { QUERY_TOKEN = 0, QUERY_FILTERS = 1, QUERY_RESULTS = 2, QUERY_SCHEMA = 245 };
enum { RESPONSE_TOKEN = 0, RESPONSE_ENTRIES = 1, RESPONSE_MORE = 2, RESPONSE_ENDORSEMENTS = 3 };

/* A Response's map, its token, its flag and the heads of its arrays. */
#define RESPONSE_FRAME_LEN 27u

_Static_assert(RESPONSE_FRAME_LEN + SERVICE_RESPONSE_ENTRY_LEN_MAX + 7 <=
		       SERVICE_MESSAGE_PAYLOAD_MAX,
	       "an entry fits an empty Response with the heads of its parts");

/* --- queries --- */

static void filters_read(struct cbor_reader *r, struct service_query_part *part)
{
	const uint8_t *start = r->c.pos;

	if (cbor_peek(r) != CBOR_MAP)
		cbor_fail(r);
	cbor_skip(r);
	part->filters = start;
	part->filters_len = cbor_is_bad(r) ? 0 : (size_t)(r->c.pos - start);
}

static void part_read(struct cbor_reader *r, struct service_query *query)
{
	struct service_query_part *part = &query->parts[query->part_cnt];

	if (cbor_enter_array(r) != 2 || !cbor_next(r)) {
		cbor_fail(r);
		return;
	}
	part->service = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
	if (part->service == OFFERS_ANY_SERVICE || part->service == OFFERS_RESERVED_SERVICE ||
	    (query->part_cnt && part->service <= part[-1].service))
		cbor_fail(r);
	if (cbor_next(r))
		filters_read(r, part);
	(void)cbor_next(r);
	query->part_cnt++;
}

static void parts_read(struct cbor_reader *r, uint32_t service, struct service_query *query)
{
	if (service != OFFERS_ANY_SERVICE) {
		query->parts[0].service = service;
		query->part_cnt = 1;
		filters_read(r, &query->parts[0]);
		return;
	}
	cbor_enter_array(r);
	while (cbor_next(r)) {
		if (query->part_cnt == SERVICE_QUERY_PARTS_MAX) {
			cbor_fail(r);
			return;
		}
		part_read(r, query);
	}
	if (query->part_cnt == 0)
		cbor_fail(r);
}

static unsigned results_read(struct cbor_reader *r)
{
	uint64_t max = cbor_read_uint(r);

	if (max == 0)
		cbor_fail(r);
	return max < SERVICE_QUERY_RESULTS_MAX ? (unsigned)max : SERVICE_QUERY_RESULTS_MAX;
}

static void schema_read(struct cbor_reader *r, uint32_t service, struct service_query *query)
{
	query->schema = cbor_read_text(r, &query->schema_len);
	if (service != OFFERS_CUSTOM_SERVICE || query->schema_len == 0 ||
	    query->schema_len > SERVICE_QUERY_SCHEMA_LEN_MAX)
		cbor_fail(r);
}

int offers_query_parse(const struct service_message *msg, struct service_query *out_query)
{
	struct service_query query = {.result_max = SERVICE_QUERY_RESULTS_USUAL};
	struct cbor_reader r;
	uint64_t key;

	if (msg->type != SERVICE_MESSAGE_QUERY)
		return WEFT_EMALFORMED;
	if (msg->payload_len > SERVICE_QUERY_LEN_MAX)
		return WEFT_ETOOLARGE;
	cbor_reader_init(&r, msg->payload, msg->payload_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		switch (key) {
		case QUERY_TOKEN:
			query.token = cbor_read_exactly(&r, SERVICE_QUERY_TOKEN_LEN);
			break;
		case QUERY_FILTERS:
			parts_read(&r, msg->service, &query);
			break;
		case QUERY_RESULTS:
			query.result_max = results_read(&r);
			break;
		case QUERY_SCHEMA:
			schema_read(&r, msg->service, &query);
			break;
		default:
			cbor_skip(&r);
		}
	if (cbor_reader_finish_with(&r, CBOR_KEY(QUERY_TOKEN) | CBOR_KEY(QUERY_FILTERS)) < 0)
		return WEFT_EMALFORMED;
	*out_query = query;
	return 0;
}

void offers_query_write(struct writer *w, uint32_t service, const struct service_query *query)
{
	cbor_write_map(w, query->schema ? 4 : 3);
	cbor_field_bytes(w, QUERY_TOKEN, query->token, SERVICE_QUERY_TOKEN_LEN);
	cbor_write_uint(w, QUERY_FILTERS);
	if (service == OFFERS_ANY_SERVICE)
		cbor_write_array(w, query->part_cnt);
	for (unsigned i = 0; i < query->part_cnt; i++) {
		const struct service_query_part *part = &query->parts[i];

		if (service == OFFERS_ANY_SERVICE) {
			cbor_write_array(w, 2);
			cbor_write_uint(w, part->service);
		}
		writer_bytes(w, part->filters, part->filters_len);
	}
	cbor_field_uint(w, QUERY_RESULTS, query->result_max);
	if (query->schema)
		cbor_field_text(w, QUERY_SCHEMA, query->schema, query->schema_len);
}

size_t offers_query_part_write(const struct service_message *msg, const struct service_query *query,
			       unsigned part, uint8_t out[static SERVICE_QUERY_MESSAGE_LEN_MAX])
{
	const struct service_query alone = {
		.token = query->token,
		.parts = {query->parts[part]},
		.part_cnt = 1,
		.result_max = query->result_max,
	};
	uint8_t payload[SERVICE_QUERY_LEN_MAX];
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(out, SERVICE_QUERY_MESSAGE_LEN_MAX);
	struct service_message one = *msg;

	weft_assert(part < query->part_cnt);
	one.service = alone.parts[0].service;
	offers_query_write(&p, one.service, &alone);
	one.payload = payload;
	one.payload_len = writer_len(&p);
	offers_message_write(&w, &one);
	/* What is left out of it is longer than what it has more: the number of results, 2 bytes. */
	weft_assert(!p.bad && !w.bad);
	return writer_len(&w);
}

/* --- responses --- */

/* How much of the payload a byte string takes, with its head. */
static size_t bytes_cost(size_t len)
{
	return len + (len < 24 ? 1 : len < 256 ? 2 : len < 65536 ? 3 : 5);
}

static bool entry_fits(uint32_t service, const struct service_response_entry *entry)
{
	struct service_message announce, update;

	if (offers_message_parse(entry->announce, entry->announce_len, &announce) < 0 ||
	    announce.type != SERVICE_MESSAGE_ANNOUNCE || announce.service != service)
		return false;
	if (!entry->update)
		return true;
	return offers_message_parse(entry->update, entry->update_len, &update) == 0 &&
	       update.type == SERVICE_MESSAGE_UPDATE && update.service == announce.service &&
	       memcmp(update.provider, announce.provider, SERVICE_MESSAGE_ADDRESS_LEN) == 0;
}

static void entry_read(struct cbor_reader *r, uint32_t service, struct service_response *response)
{
	struct service_response_entry entry = {.update = NULL};
	uint64_t cnt = cbor_enter_array(r);

	if (cnt < 1 || cnt > 2 || response->entry_cnt == SERVICE_QUERY_RESULTS_MAX) {
		cbor_fail(r);
		return;
	}
	if (cbor_next(r))
		entry.announce = cbor_read_bytes(r, &entry.announce_len);
	if (cnt == 2 && cbor_next(r))
		entry.update = cbor_read_bytes(r, &entry.update_len);
	if (cbor_next(r) || cbor_is_bad(r) || !entry_fits(service, &entry)) {
		cbor_fail(r);
		return;
	}
	response->entries[response->entry_cnt++] = entry;
}

static void endorsement_read(struct cbor_reader *r, struct service_response *response)
{
	struct service_response_endorsement endorsement;

	endorsement.bytes = cbor_read_bytes(r, &endorsement.len);
	if (endorsement.len == 0 || endorsement.len > SERVICE_RESPONSE_ENDORSEMENT_LEN_MAX ||
	    response->endorsement_cnt == SERVICE_RESPONSE_ENDORSEMENTS_MAX)
		cbor_fail(r);
	else
		response->endorsements[response->endorsement_cnt++] = endorsement;
}

static void response_field_read(struct cbor_reader *r, uint64_t key, uint32_t service,
				struct service_response *response)
{
	switch (key) {
	case RESPONSE_TOKEN:
		response->token = cbor_read_exactly(r, SERVICE_QUERY_TOKEN_LEN);
		break;
	case RESPONSE_ENTRIES:
		cbor_enter_array(r);
		while (cbor_next(r))
			entry_read(r, service, response);
		break;
	case RESPONSE_MORE:
		response->has_more = cbor_read_bool(r);
		if (!response->has_more)
			cbor_fail(r);
		break;
	case RESPONSE_ENDORSEMENTS:
		cbor_enter_array(r);
		while (cbor_next(r))
			endorsement_read(r, response);
		break;
	default:
		cbor_skip(r);
	}
}

int offers_response_parse(const struct service_message *msg, struct service_response *out_response)
{
	struct service_response response;
	struct cbor_reader r;
	uint64_t key;

	if (msg->type != SERVICE_MESSAGE_RESPONSE)
		return WEFT_EMALFORMED;
	offers_response_init(&response, NULL);
	cbor_reader_init(&r, msg->payload, msg->payload_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		response_field_read(&r, key, msg->service, &response);
	if (cbor_reader_finish_with(&r, CBOR_KEY(RESPONSE_TOKEN) | CBOR_KEY(RESPONSE_ENTRIES)) < 0)
		return WEFT_EMALFORMED;
	response.len = msg->payload_len + RESPONSE_FRAME_LEN;
	*out_response = response;
	return 0;
}

void offers_response_init(struct service_response *response, const uint8_t *token)
{
	response->token = token;
	response->entry_cnt = 0;
	response->has_more = false;
	response->endorsement_cnt = 0;
	response->len = RESPONSE_FRAME_LEN;
}

bool offers_response_add_entry(struct service_response *response,
			       const struct service_response_entry *entry)
{
	size_t len = 1 + bytes_cost(entry->announce_len);

	if (entry->update)
		len += bytes_cost(entry->update_len);
	if (response->entry_cnt == SERVICE_QUERY_RESULTS_MAX ||
	    response->len + len > SERVICE_MESSAGE_PAYLOAD_MAX)
		return false;
	response->entries[response->entry_cnt++] = *entry;
	response->len += len;
	return true;
}

bool offers_response_add_endorsement(struct service_response *response, const uint8_t *bytes,
				     size_t len)
{
	size_t cost = bytes_cost(len);

	if (response->endorsement_cnt == SERVICE_RESPONSE_ENDORSEMENTS_MAX || len == 0 ||
	    len > SERVICE_RESPONSE_ENDORSEMENT_LEN_MAX ||
	    response->len + cost > SERVICE_MESSAGE_PAYLOAD_MAX)
		return false;
	response->endorsements[response->endorsement_cnt++] =
		(struct service_response_endorsement){bytes, len};
	response->len += cost;
	return true;
}

static void entries_write(struct writer *w, const struct service_response *response)
{
	cbor_write_uint(w, RESPONSE_ENTRIES);
	cbor_write_array(w, response->entry_cnt);
	for (unsigned i = 0; i < response->entry_cnt; i++) {
		const struct service_response_entry *entry = &response->entries[i];

		cbor_write_array(w, entry->update ? 2 : 1);
		cbor_write_bytes(w, entry->announce, entry->announce_len);
		if (entry->update)
			cbor_write_bytes(w, entry->update, entry->update_len);
	}
}

void offers_response_write(struct writer *w, const struct service_response *response)
{
	cbor_write_map(w, 2u + response->has_more + (response->endorsement_cnt > 0));
	cbor_field_bytes(w, RESPONSE_TOKEN, response->token, SERVICE_QUERY_TOKEN_LEN);
	entries_write(w, response);
	if (response->has_more)
		cbor_field_bool(w, RESPONSE_MORE, true);
	if (response->endorsement_cnt == 0)
		return;
	cbor_write_uint(w, RESPONSE_ENDORSEMENTS);
	cbor_write_array(w, response->endorsement_cnt);
	for (unsigned i = 0; i < response->endorsement_cnt; i++)
		cbor_write_bytes(w, response->endorsements[i].bytes, response->endorsements[i].len);
}
