/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "provider/http/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	int err;
	bool has_head, is_whole;
	unsigned status;
	size_t body_len;
	uint64_t body_sum;
};

static void body_add(struct outcome *outcome, const uint8_t *body, size_t len)
{
	outcome->body_len += len;
	for (size_t i = 0; i < len; i++)
		outcome->body_sum = outcome->body_sum * 31 + body[i];
}

/* A reported head may be sent on, or refused as too long. */
static void check_head(const struct http_answer *answer)
{
	static uint8_t bytes[SERVICE_HTTP_HEAD_LEN_MAX + 64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_http_answer head;
	int err;

	provider_http_answer_head(answer, "127.0.0.1:80", &head);
	err = service_http_answer_write(&w, &head);
	weft_assert(err == 0 || err == WEFT_ETOOLARGE || err == WEFT_EMALFORMED);
	if (err == 0)
		weft_assert(service_http_answer_parse(bytes, writer_len(&w), &head) == 0);
}

/* The answer in pieces of step bytes, and then its end. */
static struct outcome answer_run(const uint8_t *data, size_t len, size_t step, bool is_to_head)
{
	struct http_answer *answer = malloc(sizeof(*answer));
	uint8_t *copy = malloc(step + 1);
	struct outcome outcome = {.err = 0};

	weft_assert(answer && copy);
	provider_http_answer_init(answer, is_to_head);
	for (size_t at = 0; at < len && outcome.err == 0 && !answer->is_whole; at += step) {
		size_t piece = len - at < step ? len - at : step, body_len = 0;

		memcpy(copy, data + at, piece);
		outcome.err = provider_http_answer_input(answer, copy, piece, &body_len);
		weft_assert(body_len <= piece);
		if (outcome.err == 0)
			body_add(&outcome, copy, body_len);
	}
	if (outcome.err == 0)
		outcome.err = provider_http_answer_eof(answer);
	weft_assert(outcome.err == 0 || answer->fault);
	weft_assert(outcome.err < 0 || (answer->is_whole && answer->has_head));
	if (answer->has_head)
		check_head(answer);
	outcome.has_head = answer->has_head;
	outcome.is_whole = answer->is_whole;
	outcome.status = answer->status;
	free(copy);
	free(answer);
	return outcome;
}

/* However an answer is cut, it is the same one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0 || len > HTTP_ANSWER_IDLE_MAX / 2)
		return 0;
	for (unsigned is_to_head = 0; is_to_head < 2; is_to_head++) {
		struct outcome whole = answer_run(data, len, len, is_to_head);
		struct outcome bytes = answer_run(data, len, 1, is_to_head);

		weft_assert(whole.err == bytes.err);
		if (whole.err < 0)
			continue;
		weft_assert(whole.status == bytes.status);
		weft_assert(whole.body_len == bytes.body_len);
		weft_assert(whole.body_sum == bytes.body_sum);
	}
	return 0;
}
