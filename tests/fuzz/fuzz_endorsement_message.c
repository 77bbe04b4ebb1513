/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/endorsement_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read has its hop count in the one place where a relay raises it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t out[ENDORSEMENT_MESSAGE_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct endorsement_message message;

	if (offers_endorsement_message_parse(data, len, &message) < 0)
		return 0;
	offers_endorsement_message_write(&w, &message);
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0 ||
	    data[ENDORSEMENT_HOP_AT] != message.hop_cnt)
		abort();
	return 0;
}
