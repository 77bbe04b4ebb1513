/* SPDX-License-Identifier: Apache-2.0 */
#include "deposits/deposit_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deposits/deposit_seal.h"
#include "support/check.h"
#include "support/hex_digits.h"

static uint8_t bytes[DEPOSIT_RECORD_LEN_MAX + 8], sealed[DEPOSIT_SEALED_LEN_MAX + 1];
static const uint8_t peer[DEPOSIT_KEY_LEN] = {1}, recipient[DEPOSIT_KEY_LEN] = {2};
static const uint8_t id[DEPOSIT_ID_LEN] = {3}, receipt[DEPOSIT_RECEIPT_LEN] = {4};

static struct deposit_record record_of(enum deposit_record_kind kind)
{
	return (struct deposit_record){.kind = kind,
				       .is_own = kind == DEPOSIT_RECORD_OUT,
				       .class = FAIR_KNOWN,
				       .source = {.ip = {10, 1}, .family = ADDR_IPV4},
				       .expires_s = 1800000000,
				       .peer = peer,
				       .recipient = recipient,
				       .id = id,
				       .sealed = sealed,
				       .sealed_len = DEPOSIT_SEALED_LEN_MIN};
}

static size_t written(const struct deposit_record *record)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	deposits_record_write(&w, record);
	return writer_len(&w);
}

static int parsed(const struct deposit_record *record)
{
	struct deposit_record read;

	return deposits_record_parse(bytes, written(record), &read);
}

static void test_a_record_is_read_as_written(void)
{
	struct deposit_record record = record_of(DEPOSIT_RECORD_KEPT), read;

	CHECK_EQ(deposits_record_parse(bytes, written(&record), &read), 0);
	CHECK_EQ(read.kind, DEPOSIT_RECORD_KEPT);
	CHECK_EQ(read.class, FAIR_KNOWN);
	CHECK_EQ(read.source.ip[1], 1);
	CHECK_EQ(read.expires_s, 1800000000);
	CHECK_MEM(read.peer, peer, sizeof(peer));
	CHECK_MEM(read.recipient, recipient, sizeof(recipient));
	CHECK_MEM(read.id, id, sizeof(id));
	CHECK(!read.receipt);
	CHECK_EQ(read.sealed_len, DEPOSIT_SEALED_LEN_MIN);
	for (size_t cut = 0; cut < DEPOSIT_RECORD_HEAD_LEN + DEPOSIT_SEALED_LEN_MIN; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(deposits_record_parse(exact, cut, &read), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_each_kind_has_its_fields(void)
{
	struct deposit_record record = record_of(DEPOSIT_RECORD_KEPT);

	record.is_own = true;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record = record_of(DEPOSIT_RECORD_KEPT);
	record.receipt = receipt;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record = record_of(DEPOSIT_RECORD_DELIVERED);
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record.sealed_len = 0;
	CHECK_EQ(parsed(&record), 0);
	record.receipt = receipt;
	CHECK_EQ(parsed(&record), 0);
	record = record_of(DEPOSIT_RECORD_OUT);
	record.part = DEPOSIT_KIND_MAX;
	CHECK_EQ(parsed(&record), 0);
	record.part++;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record = record_of(DEPOSIT_RECORD_KEPT);
	record.class = FAIR_CLASS_CNT;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record = record_of(DEPOSIT_RECORD_KEPT);
	record.source.family = 5;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
	record = record_of(DEPOSIT_RECORD_KEPT);
	record.sealed_len = DEPOSIT_SEALED_LEN_MAX;
	CHECK_EQ(parsed(&record), 0);
	record.sealed_len++;
	CHECK_EQ(parsed(&record), WEFT_EMALFORMED);
}

/* --- seals --- */

static struct deposit_scratch scratch;
static struct deposit_row_message row;
static uint8_t out[DEPOSIT_SEALED_LEN_MAX];

static void seal_for(const struct node_key *key, const struct deposit_plain *plain)
{
	uint8_t fresh[NODE_BOX_RANDOM_LEN] = {1};

	CHECK_EQ(deposits_seal(node_key_public(key), plain, fresh, &scratch, out), 0);
	deposits_id_of(plain->receipt, row.id);
	row.sealed = out;
	row.sealed_len = DEPOSIT_SEALED_LEN_MIN + plain->len;
}

static void test_the_recipient_alone_opens_a_deposit_under_its_name(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};
	struct deposit_plain plain = {.kind = 1, .receipt = {9}, .expires_s = 7, .content = sealed},
			     opened;
	struct node_key *key, *other;

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other) < 0)
		abort();
	plain.len = DEPOSIT_CONTENT_LEN_MAX;
	seal_for(key, &plain);
	CHECK_EQ(deposits_unseal(key, &row, &scratch, &opened), 0);
	CHECK_EQ(opened.kind, 1);
	CHECK_EQ(opened.expires_s, 7);
	CHECK_EQ(opened.len, plain.len);
	CHECK_MEM(opened.content, sealed, opened.len);
	CHECK_MEM(opened.receipt, plain.receipt, sizeof(plain.receipt));
	CHECK_EQ(deposits_unseal(other, &row, &scratch, &opened), WEFT_EDAMAGED);
	plain.len = 0;
	seal_for(key, &plain);
	CHECK_EQ(deposits_unseal(key, &row, &scratch, &opened), 0);
	row.id[0] ^= 1;
	CHECK_EQ(deposits_unseal(key, &row, &scratch, &opened), WEFT_EDAMAGED);
	row.id[0] ^= 1;
	row.sealed_len--;
	CHECK_EQ(deposits_unseal(key, &row, &scratch, &opened), WEFT_EMALFORMED);
	node_key_free(key);
	node_key_free(other);
}

/* tests/conformance/test_deposits.py makes and opens the same bytes by foreign tools. */
static void test_the_published_put_is_made(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {0};
	struct deposit_plain plain = {
		.kind = 1, .expires_s = 1800000000, .content = (const uint8_t *)"marker", .len = 6};
	struct deposit_put_message message = {.expires_s = 1800000000, .sealed = out};
	uint8_t fresh[NODE_BOX_RANDOM_LEN], want[512];
	char text[1100] = "";
	FILE *file = fopen("tests/vectors/deposits/put.hex", "r");
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct node_key *key;
	size_t len = 0;

	if (!file || node_key_from_seed(seed, &key) < 0)
		abort();
	for (char line[128]; fgets(line, sizeof(line), file);) {
		line[strcspn(line, "\n")] = '\0';
		strcat(text, line);
	}
	(void)fclose(file);
	len = hex_parse(text, want);
	for (unsigned i = 0; i < DEPOSIT_RECEIPT_LEN; i++)
		plain.receipt[i] = (uint8_t)i;
	memset(fresh, 2, NODE_BOX_SECRET_LEN);
	for (unsigned i = 0; i < NODE_BOX_NONCE_LEN; i++)
		fresh[NODE_BOX_SECRET_LEN + i] = (uint8_t)(0x20 + i);
	memcpy(message.recipient, node_key_public(key), sizeof(message.recipient));
	deposits_id_of(plain.receipt, message.id);
	CHECK_EQ(deposits_seal(message.recipient, &plain, fresh, &scratch, out), 0);
	message.sealed_len = DEPOSIT_SEALED_LEN_MIN + plain.len;
	deposits_put_write(&w, &message);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(bytes, want, len);
	node_key_free(key);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(sealed); i++)
		sealed[i] = (uint8_t)(i * 3);
	RUN(test_a_record_is_read_as_written);
	RUN(test_each_kind_has_its_fields);
	RUN(test_the_published_put_is_made);
	RUN(test_the_recipient_alone_opens_a_deposit_under_its_name);
	return check_done();
}
