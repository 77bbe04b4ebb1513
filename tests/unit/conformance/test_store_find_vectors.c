/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's answers to a scenario of puts and gets (BEP-44) are byte for byte in
 * tests/vectors/store_find.json. tests/conformance/test_store_find.py judges them by a
 * model of its own. With a path as its argument it writes that file instead.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "dht/dht_state.h"
#include "dht/items/item.h"
#include "dht/validated_addrs.h"
#include "support/check.h"
#include "support/dht_rig.h"
#include "support/hex_digits.h"

#define VECTORS	 "tests/vectors/store_find.json"
#define FILE_CAP (256u << 10)

static struct dht_rig rig;
static struct node_key *author;
static struct addr writer, reader;
static uint8_t token[8], sig[NODE_KEY_SIG_LEN], long_value[1200];
static char *text;
static size_t text_len;

static void text_add(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_len += (size_t)vsnprintf(text + text_len, FILE_CAP - text_len, fmt, args);
	va_end(args);
	if (text_len >= FILE_CAP)
		abort();
}

static void text_add_hex(const char *name, const uint8_t *bytes, size_t len, const char *end)
{
	text_add("   \"%s\": \"", name);
	for (size_t i = 0; i < len; i++)
		text_add("%02x", bytes[i]);
	text_add("\"%s\n", end);
}

/* One exchange; what it is called says what is to be seen in it. */
static void step(const char *name, const char *from, const struct addr *asker,
		 const struct krpc_query *query)
{
	uint8_t bytes[2048];
	struct writer w = writer_of(bytes, sizeof(bytes));

	dht_krpc_write_query(&w, query);
	CHECK(!w.bad);
	dht_rig_forget(&rig);
	dht_rig_input(&rig, asker, bytes, writer_len(&w));
	CHECK_EQ(rig.sent_cnt, 1);
	text_add("%s  {\n   \"name\": \"%s\",\n   \"from\": \"%s\",\n",
		 text[text_len - 2] == '[' ? "" : ",\n", name, from);
	text_add_hex("query", bytes, writer_len(&w), ",");
	text_add_hex("answer", rig.sent[0].data, rig.sent[0].len, "");
	text_add("  }");
}

static struct krpc_query put_of(const uint8_t *value, size_t len)
{
	struct krpc_query query = dht_rig_query(KRPC_PUT);

	query.token = (struct bencode_span){token, sizeof(token)};
	query.value = (struct bencode_span){value, len};
	return query;
}

static struct krpc_query signed_put(const char *value, const char *salt, int64_t seq)
{
	struct krpc_query query = put_of((const uint8_t *)value, strlen(value));
	struct dht_item item = {.key = node_key_public(author),
				.value = query.value.data,
				.value_len = query.value.len,
				.seq = seq};

	query.key = (struct bencode_span){item.key, NODE_KEY_LEN};
	if (salt[0])
		query.salt = dht_rig_span(salt);
	item.salt = query.salt.data;
	item.salt_len = query.salt.len;
	query.has_seq = true;
	query.seq = seq;
	dht_item_sign(&item, author, sig);
	query.sig = (struct bencode_span){sig, sizeof(sig)};
	return query;
}

static struct krpc_query get_of(const struct krpc_query *put)
{
	struct krpc_query query = dht_rig_query(KRPC_GET);
	const struct dht_item item = {.key = put->key.data,
				      .salt = put->salt.data,
				      .salt_len = put->salt.len,
				      .value = put->value.data,
				      .value_len = put->value.len};

	dht_item_target(&item, &query.target);
	return query;
}

static void scenario_immutable(void)
{
	struct krpc_query put = put_of((const uint8_t *)"12:Hello World!", 15);
	struct krpc_query get = get_of(&put);

	step("nothing is there yet, and a token is given", "writer", &writer, &get);
	(void)dht_rig_token(&rig, &writer, token);
	put.token = (struct bencode_span){(const uint8_t *)"aoeusnth", 8};
	step("a token that was never given", "writer", &writer, &put);
	put.token = (struct bencode_span){token, sizeof(token)};
	step("the token of another address", "reader", &reader, &put);
	step("it is stored", "writer", &writer, &put);
	step("it is found by another", "reader", &reader, &get);
	memset(long_value, 'x', sizeof(long_value));
	memcpy(long_value, "996:", 4);
	put = put_of(long_value, 1000);
	step("the longest value is stored", "writer", &writer, &put);
	memcpy(long_value, "997:", 4);
	put = put_of(long_value, 1001);
	step("one byte more is not", "writer", &writer, &put);
}

static void scenario_mutable(void)
{
	struct krpc_query put = signed_put("3:one", "", 5), get = get_of(&put);
	static char salt[66];

	step("a signed item is stored", "writer", &writer, &put);
	step("and found with key, signature and number", "reader", &reader, &get);
	put = signed_put("3:two", "", 6);
	step("a higher number replaces it", "writer", &writer, &put);
	put = signed_put("3:old", "", 5);
	step("a lower one does not", "writer", &writer, &put);
	put = signed_put("5:three", "", 7);
	put.has_cas = true;
	put.cas = 5;
	step("cas names another number", "writer", &writer, &put);
	put.cas = 6;
	step("cas names the one that is there", "writer", &writer, &put);
	put = signed_put("4:four", "", 8);
	put.value = dht_rig_span("4:five");
	step("the signature is of another value", "writer", &writer, &put);
	put = signed_put("6:salted", "salt", 1);
	step("with a salt it lies elsewhere", "writer", &writer, &put);
	get = get_of(&put);
	step("where it is found", "reader", &reader, &get);
	memset(salt, 's', 65);
	put = signed_put("1:x", salt, 1);
	step("a salt of 65 bytes", "writer", &writer, &put);
	put = signed_put("3:one", "", 5);
	get = get_of(&put);
	step("the newest of the first is what is found", "reader", &reader, &get);
}

static void scenario_write(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	dht_rig_init(&rig);
	dht_rig_start(&rig);
	writer = dht_rig_addr("198.51.100.7:6881");
	reader = dht_rig_addr("192.0.2.9:6881");
	dht_validated_add(rig.dht->validated, &writer, rig.now_ns);
	dht_validated_add(rig.dht->validated, &reader, rig.now_ns);
	if (node_key_from_seed(seed, &author) < 0)
		abort();
	text_add("{\n \"source\": \"Puts and gets (BEP-44) as they came and what this program "
		 "answered "
		 "(tests/unit/conformance/test_store_find_vectors PATH).\",\n \"steps\": [\n");
	scenario_immutable();
	scenario_mutable();
	text_add("\n ]\n}\n");
	node_key_free(author);
	dht_rig_fini(&rig);
}

static void test_puts_and_gets_are_answered_as_in_the_vectors(void)
{
	FILE *file = fopen(VECTORS, "r");
	char *want = calloc(1, FILE_CAP);
	size_t len = 0;

	if (!want)
		abort();
	CHECK(file);
	if (file) {
		len = fread(want, 1, FILE_CAP - 1, file);
		fclose(file);
	}
	scenario_write();
	CHECK_EQ(text_len, len);
	CHECK(text_len == len && memcmp(text, want, len) == 0);
	free(want);
}

int main(int argc, char **argv)
{
	FILE *file;

	text = calloc(1, FILE_CAP);
	if (!text)
		abort();
	if (argc < 2) {
		RUN(test_puts_and_gets_are_answered_as_in_the_vectors);
		free(text);
		return check_done();
	}
	file = fopen(argv[1], "w");
	if (!file)
		return 1;
	scenario_write();
	fwrite(text, 1, text_len, file);
	free(text);
	return fclose(file) == 0 ? 0 : 1;
}
