/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "provider/exec/launch_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_texts(const uint8_t *data, size_t len, const char *const *texts, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		const uint8_t *text = (const uint8_t *)texts[i];

		weft_assert(text > data && text < data + len);
		weft_assert(memchr(text, 0, (size_t)(data + len - text)));
	}
}

/* What weftd and its launcher say to each other; what is understood is said the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t again[LAUNCH_MESSAGE_LEN_MAX], more[LAUNCH_MESSAGE_LEN_MAX];
	struct launch_message message, second;
	int again_len;

	if (provider_launch_parse(data, len, &message) < 0)
		return 0;
	if (message.kind == LAUNCH_SETUP) {
		weft_assert(message.setup.hidden_cnt <= LAUNCH_HIDDEN_MAX);
		check_texts(data, len, message.setup.hidden, message.setup.hidden_cnt);
	}
	if (message.kind == LAUNCH_START) {
		weft_assert(message.start.argv_cnt && !message.start.argv[message.start.argv_cnt]);
		weft_assert(!message.start.envp[message.start.envp_cnt]);
		check_texts(data, len, message.start.argv, message.start.argv_cnt);
		check_texts(data, len, message.start.envp, message.start.envp_cnt);
	}
	again_len = provider_launch_write(&message, again);
	if (again_len < 0) {
		weft_assert(len > sizeof(again));
		return 0;
	}
	weft_assert((size_t)again_len == len);
	weft_assert(provider_launch_parse(again, (size_t)again_len, &second) == 0);
	weft_assert(provider_launch_write(&second, more) == again_len);
	weft_assert(memcmp(again, more, (size_t)again_len) == 0);
	return 0;
}
