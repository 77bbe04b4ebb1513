/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "codec/text/utf8.h"
#include "provider/socket/program_message.h"
#include "provider/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_reply(const uint8_t *data, size_t len)
{
	struct program_reply reply;

	if (provider_program_reply_parse((const char *)data, len, &reply) < 0)
		return;
	weft_assert(reply.status < SERVICE_STATUS_CNT);
	weft_assert(utf8_is_plain(reply.text, strlen(reply.text)));
	weft_assert(reply.status == SERVICE_OK || !reply.payload);
	weft_assert(reply.payload || reply.len == 0);
	provider_program_reply_fini(&reply);
}

/* What was read of a record is written as a record that reads the same. */
static void check_spec(const uint8_t *data, size_t len)
{
	static struct spec spec, again;
	uint8_t record[SPEC_RECORD_CAP], second[SPEC_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));
	struct writer w_again = writer_of(second, sizeof(second));

	if (provider_spec_parse(data, len, &spec) < 0)
		return;
	provider_spec_write(&w, &spec.view);
	weft_assert(!w.bad);
	weft_assert(provider_spec_parse(record, writer_len(&w), &again) == 0);
	provider_spec_write(&w_again, &again.view);
	weft_assert(writer_len(&w) == writer_len(&w_again));
	weft_assert(memcmp(record, second, writer_len(&w)) == 0);
}

/* What a program says of a call, and what the store says of a program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_reply(data, len);
	check_spec(data, len);
	return 0;
}
