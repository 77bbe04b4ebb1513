/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The address of the key whose seed is zeros; so inputs can have a key that fits. */
static const uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN] = {0x13, 0x9e, 0x39, 0x40, 0xe6, 0x4b,
							     0x54, 0x91, 0x72, 0x20, 0x88, 0xd9,
							     0xa0, 0xd7, 0x41, 0x62};

/* The terms without the schema's fields, read again, are the same. */
static void check_again(struct service_message msg, const struct offer_terms *terms)
{
	static uint8_t out[SERVICE_MESSAGE_PAYLOAD_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct offer_terms again;

	offer_terms_write(&w, msg.type, terms, NULL);
	msg.payload = out;
	msg.payload_len = writer_len(&w);
	if (w.bad || offer_terms_read(&msg, &again) < 0)
		abort();
	if (again.sequence != terms->sequence || again.base != terms->base ||
	    again.units != terms->units || again.schema_len != terms->schema_len ||
	    memcmp(again.offer_id, terms->offer_id, OFFER_ID_LEN) != 0)
		abort();
	offer_terms_update(&again, terms);
}

/* The first byte says the form, the second one the type; the others are the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct service_message msg = {.service = 2, .provider = address, .timestamp_s = 1800000000};
	struct offer_terms terms;

	if (len < 2)
		return 0;
	msg.is_full_cover = data[0] & 1;
	msg.type = data[1];
	msg.payload = data + 2;
	msg.payload_len = len - 2;
	if (offer_terms_read(&msg, &terms) == 0)
		check_again(msg, &terms);
	return 0;
}
