/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/service_message.h"
#include "offers/message/service_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[SERVICE_MESSAGE_PAYLOAD_MAX];

static void check_query(struct service_message msg)
{
	struct writer w = writer_of(out, sizeof(out));
	struct service_query query, again;

	if (offers_query_parse(&msg, &query) < 0)
		return;
	if (query.part_cnt < 1 || query.part_cnt > SERVICE_QUERY_PARTS_MAX ||
	    query.result_max < 1 || query.result_max > SERVICE_QUERY_RESULTS_MAX)
		abort();
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
