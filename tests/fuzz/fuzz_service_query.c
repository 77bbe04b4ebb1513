/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/service_message.h"
#include "offers/message/service_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[SERVICE_MESSAGE_PAYLOAD_MAX];

/* Each part is a query by itself, no longer than the whole was. */
static void check_parts(const struct service_message *msg, const struct service_query *query)
{
	static uint8_t part[SERVICE_QUERY_MESSAGE_LEN_MAX];
	struct service_message alone;
	struct service_query again;

	for (unsigned i = 0; i < query->part_cnt; i++) {
		size_t len = offers_query_part_write(msg, query, i, part);

		if (len > SERVICE_MESSAGE_HEAD_LEN + msg->payload_len ||
		    offers_message_parse(part, len, &alone) < 0 ||
		    offers_query_parse(&alone, &again) < 0 ||
		    alone.service != query->parts[i].service ||
		    again.parts[0].filters_len != query->parts[i].filters_len ||
		    memcmp(again.parts[0].filters, query->parts[i].filters,
			   again.parts[0].filters_len) != 0 ||
		    memcmp(again.token, query->token, SERVICE_QUERY_TOKEN_LEN) != 0)
			abort();
	}
}

static void check_query(struct service_message msg)
{
	struct writer w = writer_of(out, sizeof(out));
	struct service_query query, again;

	if (offers_query_parse(&msg, &query) < 0)
		return;
	if (query.part_cnt < 1 || query.part_cnt > SERVICE_QUERY_PARTS_MAX ||
	    query.result_max < 1 || query.result_max > SERVICE_QUERY_RESULTS_MAX)
		abort();
	if (msg.service == OFFERS_ANY_SERVICE)
		check_parts(&msg, &query);
	offers_query_write(&w, msg.service, &query);
	msg.payload = out;
	msg.payload_len = writer_len(&w);
	/* The most results may be said now, and were not before. */
	if (w.bad ||
	    (offers_query_parse(&msg, &again) < 0 && msg.payload_len <= SERVICE_QUERY_LEN_MAX))
		abort();
}

static void check_response(struct service_message msg)
{
	static struct service_response response, again;
	struct writer w = writer_of(out, sizeof(out));

	if (offers_response_parse(&msg, &response) < 0)
		return;
	offers_response_write(&w, &response);
	msg.payload = out;
	msg.payload_len = writer_len(&w);
	if (w.bad || offers_response_parse(&msg, &again) < 0 ||
	    again.entry_cnt != response.entry_cnt ||
	    again.endorsement_cnt != response.endorsement_cnt)
		abort();
}

/* The first byte says which it is, and whether of several services; the others are the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_message msg;

	if (len < 1)
		return 0;
	msg = (struct service_message){.service = data[0] & 2 ? OFFERS_ANY_SERVICE : 2,
				       .payload = data + 1,
				       .payload_len = len - 1};
	msg.type = data[0] & 1 ? SERVICE_MESSAGE_RESPONSE : SERVICE_MESSAGE_QUERY;
	if (data[0] & 1)
		check_response(msg);
	else
		check_query(msg);
	return 0;
}
