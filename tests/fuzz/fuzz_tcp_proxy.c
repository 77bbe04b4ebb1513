/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tcp/tcp_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	int rv;
	unsigned status;
	size_t used;
};

/* The answer in pieces of step bytes, each in memory of its own. */
static struct outcome answer_run(const uint8_t *data, size_t len, size_t step)
{
	struct tcp_proxy_reader reader = {0};
	struct outcome outcome = {0};

	for (size_t at = 0; at < len && outcome.rv == 0; at += step) {
		size_t piece = len - at < step ? len - at : step, used = 0;
		char *copy = malloc(piece);

		weft_assert(copy);
		memcpy(copy, data + at, piece);
		outcome.rv = tcp_proxy_read(&reader, copy, piece, &used);
		weft_assert(used <= piece);
		outcome.used = at + used;
		free(copy);
	}
	outcome.status = reader.status;
	if (outcome.rv == 0)
		weft_assert(len < TCP_PROXY_ANSWER_MAX + 1);
	return outcome;
}

/* However an answer is cut, it is the same one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct outcome whole, bytes;

	if (!len)
		return 0;
	whole = answer_run(data, len, len);
	bytes = answer_run(data, len, 1);
	weft_assert(whole.rv == bytes.rv);
	if (whole.rv != 1)
		return 0;
	weft_assert(whole.status == bytes.status && whole.used == bytes.used);
	weft_assert(whole.status >= 200 && whole.status <= TCP_PROXY_STATUS_MAX);
	weft_assert(whole.used <= TCP_PROXY_ANSWER_MAX);
	weft_assert(memcmp(data + whole.used - 4, "\r\n\r\n", 4) == 0);
	return 0;
}
