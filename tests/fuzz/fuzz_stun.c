/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/stun.h"
#include "weft/stun_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is answered is never much longer than what was asked, and can be read. */
static void answer_check(const struct stun_message *request, size_t len)
{
	static const char *const askers[] = {"192.0.2.1:32853", "[2001:db8::7]:1"};
	uint8_t out[STUN_WRITE_CAP];
	struct stun_message answer;
	struct addr asker;
	size_t out_len = stun_write_error(request, out);

	if (out_len > len + WEFT_STUN_ANSWER_LEN_GROWTH || stun_read(out, out_len, &answer) < 0 ||
	    answer.error != STUN_ERROR_UNKNOWN_ATTRIBUTE)
		abort();
	for (unsigned i = 0; i < 2; i++) {
		if (addr_parse(askers[i], &asker) < 0)
			abort();
		out_len = stun_write_success(request, &asker, out);
		if (out_len > len + WEFT_STUN_ANSWER_LEN_GROWTH ||
		    stun_read(out, out_len, &answer) < 0 || !addr_equal(&answer.mapped, &asker) ||
		    memcmp(answer.transaction, request->transaction, STUN_TRANSACTION_LEN) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct stun_message message;

	if (stun_read(data, len, &message) < 0)
		return 0;
	if (weft_classify(data, (__u32)len) != WEFT_FLOW_STUN ||
	    message.unknown_cnt > STUN_UNKNOWN_MAX || message.error > 699 ||
	    (message.is_xored && message.mapped.family == ADDR_NONE))
		abort();
	if (message.type == STUN_REQUEST)
		answer_check(&message, len);
	return 0;
}
