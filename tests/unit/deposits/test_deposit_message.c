/* SPDX-License-Identifier: Apache-2.0 */
#include "deposits/deposit_message.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "crypto/signed.h"
#include "support/check.h"

static struct node_key *node, *other;
static uint8_t bytes[DEPOSIT_SEALED_LEN_MAX + 2048], sealed[DEPOSIT_SEALED_LEN_MAX + 1];
static const uint8_t session[MAILPULL_SESSION_LEN] = {1, 2, 3};
static const uint8_t other_session[MAILPULL_SESSION_LEN] = {1, 2, 4};

/* Each cut of what was written is refused, read from memory of just its length. */
static void cuts_are_refused(size_t len, int (*parse)(const void *bytes, size_t len))
{
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(parse(exact, cut), WEFT_EMALFORMED);
		free(exact);
	}
}

static int put_parse(const void *data, size_t len)
{
	struct deposit_put_message message;

	return deposits_put_parse(data, len, &message);
}

static int answer_parse(const void *data, size_t len)
{
	struct deposit_put_answer answer;

	return deposits_put_answer_parse(data, len, &answer);
}

static int pull_parse(const void *data, size_t len)
{
	struct deposit_pull_message message;

	return deposits_pull_parse(data, len, &message);
}

static int page_parse(const void *data, size_t len)
{
	static struct deposit_page page;

	return deposits_page_parse(data, len, &page);
}

static int ack_parse(const void *data, size_t len)
{
	struct deposit_ack_message message;

	return deposits_ack_parse(data, len, &message);
}

static int ack_answer_parse(const void *data, size_t len)
{
	uint64_t cnt;

	return deposits_ack_answer_parse(data, len, &cnt);
}

static size_t put_written(size_t sealed_len)
{
	struct deposit_put_message message = {.recipient = {5},
					      .id = {6},
					      .expires_s = 1800000000,
					      .sealed = sealed_len ? sealed : NULL,
					      .sealed_len = sealed_len};
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_put_write(&w, &message);
	if (w.bad)
		abort();
	return writer_len(&w);
}

static void test_a_put_is_read_as_written(void)
{
	size_t len = put_written(DEPOSIT_SEALED_LEN_MIN);
	struct deposit_put_message message;

	CHECK_EQ(deposits_put_parse(bytes, len, &message), 0);
	CHECK_EQ(message.recipient[0], 5);
	CHECK_EQ(message.id[0], 6);
	CHECK_EQ(message.expires_s, 1800000000);
	CHECK_EQ(message.sealed_len, DEPOSIT_SEALED_LEN_MIN);
	CHECK_MEM(message.sealed, sealed, message.sealed_len);
	cuts_are_refused(len, put_parse);
	len = put_written(0);
	CHECK_EQ(deposits_put_parse(bytes, len, &message), 0);
	CHECK(!message.sealed);
}

static void test_a_deposit_has_a_length_between_two(void)
{
	CHECK_EQ(put_parse(bytes, put_written(DEPOSIT_SEALED_LEN_MAX)), 0);
	CHECK(put_written(DEPOSIT_SEALED_LEN_MAX) <= MESH_ASK_LEN_MAX);
	CHECK_EQ(put_parse(bytes, put_written(DEPOSIT_SEALED_LEN_MAX + 1)), WEFT_EMALFORMED);
	CHECK_EQ(put_parse(bytes, put_written(DEPOSIT_SEALED_LEN_MIN - 1)), WEFT_EMALFORMED);
}

static size_t answer_written(const struct deposit_put_answer *answer)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_put_answer_write(&w, answer);
	return writer_len(&w);
}

static void test_an_answer_says_kept_or_delivered_with_a_receipt(void)
{
	struct deposit_put_answer answer = {.state = DEPOSIT_STATE_KEPT, .expires_s = 7}, heard;

	CHECK_EQ(deposits_put_answer_parse(bytes, answer_written(&answer), &heard), 0);
	CHECK(!heard.has_receipt);
	answer.has_receipt = true;
	CHECK_EQ(answer_parse(bytes, answer_written(&answer)), WEFT_EMALFORMED);
	answer.state = DEPOSIT_STATE_DELIVERED;
	answer.receipt[15] = 9;
	CHECK_EQ(deposits_put_answer_parse(bytes, answer_written(&answer), &heard), 0);
	CHECK(heard.has_receipt);
	CHECK_EQ(heard.receipt[15], 9);
	cuts_are_refused(answer_written(&answer), answer_parse);
	for (uint8_t state = 0; state <= 3; state += 3) {
		answer.state = state;
		CHECK_EQ(answer_parse(bytes, answer_written(&answer)), WEFT_EMALFORMED);
	}
}

static void test_a_pull_is_read_as_written(void)
{
	const struct deposit_pull_message usual = {.after = 0};
	struct deposit_pull_message message = {
		.after = 300, .mailpull = sealed, .mailpull_len = MAILPULL_LEN_MAX};
	struct deposit_pull_message heard;
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_pull_write(&w, &message);
	CHECK_EQ(deposits_pull_parse(bytes, writer_len(&w), &heard), 0);
	CHECK_EQ(heard.after, 300);
	CHECK_EQ(heard.mailpull_len, MAILPULL_LEN_MAX);
	cuts_are_refused(writer_len(&w), pull_parse);
	message.mailpull_len++;
	w = writer_of(bytes, sizeof(bytes));
	deposits_pull_write(&w, &message);
	CHECK_EQ(pull_parse(bytes, writer_len(&w)), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	deposits_pull_write(&w, &usual);
	CHECK_EQ(writer_len(&w), 1);
	CHECK_EQ(deposits_pull_parse(bytes, 1, &heard), 0);
	CHECK_EQ(heard.after, 0);
	CHECK(!heard.mailpull);
}

/* A page by another program. */
static size_t page_written(unsigned cnt, size_t sealed_len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const uint8_t id[DEPOSIT_ID_LEN] = {3};

	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_array(&w, 3);
		cbor_write_bytes(&w, id, sizeof(id));
		cbor_write_uint(&w, 1800000000 + i);
		cbor_write_bytes(&w, sealed, sealed_len);
	}
	cbor_field_uint(&w, 1, 77);
	if (w.bad)
		abort();
	return writer_len(&w);
}

static void test_a_page_has_at_most_64_deposits(void)
{
	static struct deposit_page page;
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len = page_written(DEPOSIT_PAGE_MAX, DEPOSIT_SEALED_LEN_MIN);

	CHECK_EQ(deposits_page_parse(bytes, len, &page), 0);
	CHECK_EQ(page.row_cnt, DEPOSIT_PAGE_MAX);
	CHECK_EQ(page.next, 77);
	CHECK_EQ(page.rows[63].expires_s, 1800000063);
	CHECK_EQ(page_parse(bytes, page_written(DEPOSIT_PAGE_MAX + 1, DEPOSIT_SEALED_LEN_MIN)),
		 WEFT_EMALFORMED);
	CHECK_EQ(page_parse(bytes, page_written(1, DEPOSIT_SEALED_LEN_MAX)), 0);
	CHECK_EQ(page_parse(bytes, page_written(1, DEPOSIT_SEALED_LEN_MAX + 1)), WEFT_EMALFORMED);
	len = page_written(2, DEPOSIT_SEALED_LEN_MIN);
	cuts_are_refused(len, page_parse);
	CHECK_EQ(deposits_page_parse(bytes, len, &page), 0);
	memcpy(sealed, page.rows[0].sealed, DEPOSIT_SEALED_LEN_MIN);
	page.rows[0].sealed = page.rows[1].sealed = sealed;
	deposits_page_write(&w, &page);
	CHECK_EQ(writer_len(&w), len);
}

static size_t ack_written(unsigned receipt_cnt, unsigned id_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	const uint8_t id[DEPOSIT_ID_LEN] = {3}, recipient[DEPOSIT_KEY_LEN] = {4};

	cbor_write_map(&w, 3);
	cbor_field_bytes(&w, 0, recipient, sizeof(recipient));
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, receipt_cnt);
	for (unsigned i = 0; i < receipt_cnt; i++)
		cbor_write_bytes(&w, id, sizeof(id));
	cbor_write_uint(&w, 2);
	cbor_write_array(&w, id_cnt);
	for (unsigned i = 0; i < id_cnt; i++)
		cbor_write_bytes(&w, id, sizeof(id));
	return writer_len(&w);
}

static void test_an_acknowledgement_has_at_most_64_of_each(void)
{
	struct deposit_ack_message message;
	uint64_t cnt;
	struct writer w;

	CHECK_EQ(deposits_ack_parse(bytes, ack_written(64, 64), &message), 0);
	CHECK_EQ(message.receipt_cnt, 64);
	CHECK_EQ(message.ids[63][0], 3);
	CHECK_EQ(message.recipient[0], 4);
	CHECK_EQ(ack_parse(bytes, ack_written(65, 0)), WEFT_EMALFORMED);
	CHECK_EQ(ack_parse(bytes, ack_written(0, 65)), WEFT_EMALFORMED);
	cuts_are_refused(ack_written(2, 1), ack_parse);
	w = writer_of(bytes, sizeof(bytes));
	deposits_ack_answer_write(&w, 300);
	CHECK_EQ(deposits_ack_answer_parse(bytes, writer_len(&w), &cnt), 0);
	CHECK_EQ(cnt, 300);
	cuts_are_refused(writer_len(&w), ack_answer_parse);
}

/* --- mailpull --- */

static int verify(size_t len, const uint8_t *of_session)
{
	uint8_t key[DEPOSIT_KEY_LEN];
	int err = deposits_mailpull_verify(bytes, len, of_session, key);

	if (err == 0 && memcmp(key, node_key_public(node), sizeof(key)) != 0)
		abort();
	return err;
}

static void test_a_mailpull_is_of_one_session(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	deposits_mailpull_write(&w, node, session);
	len = writer_len(&w);
	CHECK(len <= MAILPULL_LEN_MAX);
	CHECK_EQ(verify(len, session), 0);
	CHECK_EQ(verify(len, other_session), WEFT_EREFUSED);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(verify(len, session) < 0);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1), key[DEPOSIT_KEY_LEN];

		memcpy(exact, bytes, cut);
		CHECK_EQ(deposits_mailpull_verify(exact, cut, session, key), WEFT_EMALFORMED);
		free(exact);
	}
}

/* What is signed by one key for another, or under another tag. */
static int verify_made(const struct node_key *signer, const struct node_key *of, const char *tag)
{
	uint8_t body[128];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&b, 2);
	cbor_field_bytes(&b, 0, node_key_public(of), NODE_KEY_LEN);
	cbor_field_bytes(&b, 1, session, sizeof(session));
	signed_write(&w, signer, tag, body, writer_len(&b));
	return verify(writer_len(&w), session);
}

static void test_a_mailpull_is_signed_by_its_own_key_under_its_own_tag(void)
{
	CHECK_EQ(verify_made(node, node, "mailpull"), 0);
	CHECK_EQ(verify_made(other, node, "mailpull"), WEFT_EMALFORMED);
	CHECK_EQ(verify_made(node, node, "svccaps"), WEFT_EDAMAGED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &node) < 0 || node_key_from_seed(other_seed, &other) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(sealed); i++)
		sealed[i] = (uint8_t)(i * 7);
	RUN(test_a_put_is_read_as_written);
	RUN(test_a_deposit_has_a_length_between_two);
	RUN(test_an_answer_says_kept_or_delivered_with_a_receipt);
	RUN(test_a_pull_is_read_as_written);
	RUN(test_a_page_has_at_most_64_deposits);
	RUN(test_an_acknowledgement_has_at_most_64_of_each);
	RUN(test_a_mailpull_is_of_one_session);
	RUN(test_a_mailpull_is_signed_by_its_own_key_under_its_own_tag);
	node_key_free(node);
	node_key_free(other);
	return check_done();
}
