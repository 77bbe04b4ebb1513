/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/service_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read is written as the same bytes, and whatever it says of time and hops is judged. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t key[NODE_KEY_LEN] = {1};
	static uint8_t out[SERVICE_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	uint8_t id[SERVICE_MESSAGE_ID_LEN];
	struct service_message msg;

	if (offers_message_parse(data, len, &msg) < 0)
		return 0;
	offers_message_write(&w, &msg);
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0)
		abort();
	if (msg.service == OFFERS_RESERVED_SERVICE || msg.version > 127)
		abort();
	if (offers_message_expires_s(&msg) < msg.timestamp_s)
		abort();
	if (offers_message_hop(&msg, 4) == SERVICE_MESSAGE_FORWARD && msg.hop_cnt >= 3)
		abort();
	if (offers_message_time(&msg, msg.timestamp_s) == SERVICE_MESSAGE_EARLY)
		abort();
	offers_message_id(&msg, id);
	if (offers_message_verify(&msg, key) == 0)
		abort(); /* a key of small order signs nothing */
	return 0;
}
