/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/announce/golomb_set.h"

#include <stdlib.h>

#include "base/random.h"
#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

#define WALL_S	  1700000000ull
#define DEPTH	  GOLOMB_SET_DEPTH_COARSE
#define REGION	  0x5au
#define BYTES_CAP (GOLOMB_SET_LEN_MAX + 4096)

static struct node_key *key, *other_key;
static uint8_t bytes[BYTES_CAP];
static uint8_t ids[GOLOMB_SET_ITEMS_MAX + 1][32];
static uint64_t numbers[GOLOMB_SET_ITEMS_MAX + 1];
static uint8_t code[GOLOMB_SET_LEN_MAX];

static void ids_make(uint64_t seed)
{
	struct random random;

	random_init_seeded(&random, seed);
	random_fill(&random, ids, sizeof(ids));
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ids[i][0] = REGION;
}

static size_t set_write(uint32_t cnt)
{
	struct golomb_set set = {
		.places.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.places.addr_cnt = 1,
		.time_s = WALL_S,
		.depth = DEPTH,
		.region = REGION,
		.item_cnt = cnt,
		.parameter = GOLOMB_SET_PARAMETER,
		.code = code,
	};
	struct writer w = writer_of(bytes, sizeof(bytes));

	set.code_len = shares_golomb_set_encode(
		&(struct golomb_contents){node_key_public(key), ids, cnt, numbers}, code,
		sizeof(code));
	shares_golomb_set_write(&w, key, &set);
	return w.bad ? 0 : writer_len(&w);
}

static void test_all_that_is_in_it_is_found(void)
{
	static const uint32_t cnts[] = {0, 1, 2, 7, 1000, 40000};

	ids_make(1);
	for (size_t i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		size_t len = set_write(cnts[i]);
		struct golomb_set set;

		CHECK(len > 0);
		CHECK_EQ(shares_golomb_set_parse(bytes, len, &set), 0);
		CHECK_EQ(shares_golomb_set_verify_signature(bytes, len), 0);
		CHECK_EQ(set.item_cnt, cnts[i]);
		CHECK_EQ(set.places.addr_cnt, 1);
		for (uint32_t at = 0; at < cnts[i]; at += cnts[i] / 500 + 1)
			CHECK(shares_golomb_set_may_have(&set, ids[at]));
	}
}

static void test_one_in_64_of_others_looks_as_if_it_were_there(void)
{
	uint32_t false_cnt = 0;
	struct golomb_set set;
	size_t len;

	ids_make(2);
	len = set_write(2000);
	CHECK_EQ(shares_golomb_set_parse(bytes, len, &set), 0);
	for (uint32_t i = 2000; i < 12000; i++)
		false_cnt += shares_golomb_set_may_have(&set, ids[i]);
	/* 10,000 of which 156 are expected, give or take four times 12.4. */
	CHECK(false_cnt > 106 && false_cnt < 206);
}

static void test_others_of_another_holder_are_others(void)
{
	uint32_t first_cnt = 0, both_cnt = 0;
	static uint8_t again[BYTES_CAP];
	struct golomb_set set, other;
	size_t len;

	ids_make(3);
	len = set_write(2000);
	memcpy(again, bytes, len);
	CHECK_EQ(shares_golomb_set_parse(again, len, &set), 0);
	other = set;
	memcpy(other.key, node_key_public(other_key), sizeof(other.key));
	other.code = code;
	other.code_len = shares_golomb_set_encode(
		&(struct golomb_contents){other.key, ids, 2000, numbers}, code, sizeof(code));
	for (uint32_t i = 2000; i < 42000; i++) {
		first_cnt += shares_golomb_set_may_have(&set, ids[i]);
		both_cnt += shares_golomb_set_may_have(&set, ids[i]) &&
			    shares_golomb_set_may_have(&other, ids[i]);
	}
	CHECK(first_cnt > 500);
	CHECK(both_cnt < 30);
}

static void test_another_region_is_not_in_it(void)
{
	struct golomb_set set;
	size_t len;

	ids_make(4);
	len = set_write(100);
	CHECK_EQ(shares_golomb_set_parse(bytes, len, &set), 0);
	ids[7][0] = REGION + 1;
	CHECK(!shares_golomb_set_may_have(&set, ids[7]));
}

static void test_a_region_of_12_million_items_fits(void)
{
	/* A region of 256 has 46,875 of them on average, and 4 sigma more hardly ever. */
	ids_make(5);
	CHECK(set_write(46875 + 866) > 0);
	CHECK(set_write(46875 + 866) < GOLOMB_SET_LEN_MAX);
}

static void test_what_does_not_fit_is_not_written(void)
{
	ids_make(6);
	CHECK_EQ(shares_golomb_set_encode(&(struct golomb_contents){node_key_public(key), ids,
								    GOLOMB_SET_ITEMS_MAX, numbers},
					  code, sizeof(code)),
		 0);
}

static void test_every_prefix_is_refused(void)
{
	struct golomb_set set;
	size_t len;

	ids_make(7);
	len = set_write(50);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK(shares_golomb_set_parse(exact, cut, &set) < 0);
		free(exact);
	}
}

static void test_flipped_byte_anywhere_is_refused(void)
{
	size_t len;

	ids_make(8);
	len = set_write(20);
	for (size_t at = 0; at < len; at++) {
		struct golomb_set set;

		bytes[at] ^= 0x10;
		CHECK(shares_golomb_set_parse(bytes, len, &set) < 0 ||
		      shares_golomb_set_verify_signature(bytes, len) < 0);
		bytes[at] ^= 0x10;
	}
}

/* A set as any writer may make it; what is 0 is as it should be. */
struct forgery {
	const char *why;
	uint32_t depth, region, cnt, parameter;
	const struct node_key *holder;
	size_t code_more; /* bytes behind the code */
	unsigned missing; /* bit per field */
};

static size_t forge(const struct forgery *f)
{
	static uint8_t body[BYTES_CAP];
	const uint8_t *holder = node_key_public(f->holder ? f->holder : key);
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));
	size_t code_len = shares_golomb_set_encode(
		&(struct golomb_contents){holder, ids, 20, numbers}, code, sizeof(code));

	cbor_write_map(&b, 8 - (unsigned)__builtin_popcount(f->missing));
	for (unsigned field = 0; field < 8; field++) {
		if (f->missing & 1u << field)
			continue;
		cbor_write_uint(&b, field);
		if (field == 0)
			cbor_write_bytes(&b, holder, MESH_KEY_LEN);
		else if (field == 1)
			cbor_write_array(&b, 0);
		else if (field == 7)
			cbor_write_bytes(&b, code, code_len + f->code_more);
		else
			cbor_write_uint(&b,
					(uint64_t[]){0, 0, WALL_S, f->depth ? f->depth : DEPTH,
						     f->region ? f->region : REGION,
						     f->cnt ? f->cnt : 20,
						     f->parameter ? f->parameter
								  : GOLOMB_SET_PARAMETER}[field]);
	}
	signed_write(&w, key, "provset", body, writer_len(&b));
	return writer_len(&w);
}

static void test_fields_out_of_their_range_are_refused(void)
{
	static const struct forgery good;
	const struct forgery rows[] = {
		{.why = "no such depth", .depth = 9},
		{.why = "a depth beyond", .depth = 13},
		{.why = "a region beyond its depth", .region = 256},
		{.why = "fewer than the code has", .cnt = 1},
		{.why = "more than the code has", .cnt = 21},
		{.why = "more than there may be", .cnt = GOLOMB_SET_ITEMS_MAX + 1},
		{.why = "a coarser code", .parameter = GOLOMB_SET_PARAMETER - 1},
		{.why = "a finer code than there may be",
		 .parameter = GOLOMB_SET_PARAMETER_MAX + 1},
		{.why = "another's key", .holder = other_key},
		{.why = "bytes behind the code", .code_more = 1},
		{.why = "no key", .missing = 1},
		{.why = "no addresses", .missing = 2},
		{.why = "no time", .missing = 4},
		{.why = "no code", .missing = 128},
	};
	struct golomb_set set;
	size_t len;

	ids_make(9);
	len = forge(&good);
	CHECK_EQ(shares_golomb_set_parse(bytes, len, &set), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err;

		memset(code, 0, sizeof(code));
		len = forge(&rows[i]);
		err = shares_golomb_set_parse(bytes, len, &set);
		if (err != WEFT_EMALFORMED)
			printf("# taken: %s\n", rows[i].why);
		CHECK_EQ(err, WEFT_EMALFORMED);
	}
}

static void test_numbers_beyond_their_range_are_refused(void)
{
	static const uint8_t far[] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00};
	struct golomb_set set = {
		.time_s = WALL_S,
		.depth = DEPTH,
		.region = REGION,
		.item_cnt = 1,
		.parameter = GOLOMB_SET_PARAMETER,
		.code = far,
		.code_len = 5,
	};
	struct writer w = writer_of(bytes, sizeof(bytes));

	shares_golomb_set_write(&w, key, &set);
	CHECK_EQ(shares_golomb_set_parse(bytes, writer_len(&w), &set), WEFT_EMALFORMED);
}

static void test_the_longest_set_is_taken_and_a_byte_more_refused(void)
{
	struct golomb_set set;

	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(shares_golomb_set_parse(bytes, GOLOMB_SET_LEN_MAX, &set), WEFT_EMALFORMED);
	CHECK_EQ(shares_golomb_set_parse(bytes, GOLOMB_SET_LEN_MAX + 1, &set), WEFT_ETOOLARGE);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	RUN(test_all_that_is_in_it_is_found);
	RUN(test_one_in_64_of_others_looks_as_if_it_were_there);
	RUN(test_others_of_another_holder_are_others);
	RUN(test_another_region_is_not_in_it);
	RUN(test_a_region_of_12_million_items_fits);
	RUN(test_what_does_not_fit_is_not_written);
	RUN(test_every_prefix_is_refused);
	RUN(test_flipped_byte_anywhere_is_refused);
	RUN(test_fields_out_of_their_range_are_refused);
	RUN(test_numbers_beyond_their_range_are_refused);
	RUN(test_the_longest_set_is_taken_and_a_byte_more_refused);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
