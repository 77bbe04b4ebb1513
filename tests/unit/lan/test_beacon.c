/* SPDX-License-Identifier: Apache-2.0 */
#include "lan/beacon.h"

#include <stdlib.h>

#include "codec/cbor.h"
#include "support/check.h"

static const struct beacon own = {
	.version = BEACON_VERSION,
	.instance = {0, 1, 2, 0xff},
	.quic_port = 7000,
	.caps = BEACON_CAP_DHT | BEACON_CAP_RELAY | BEACON_CAP_CONTENT_SEED,
	.has_key = true,
	.key = {9, 8, 7},
};

static size_t write(const struct beacon *beacon, uint8_t out[static BEACON_LEN_MAX])
{
	struct writer w = writer_of(out, BEACON_LEN_MAX);

	lan_beacon_write(&w, beacon);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	uint8_t bytes[BEACON_LEN_MAX];
	struct beacon got;
	size_t len = write(&own, bytes);

	CHECK(len > 0);
	CHECK_EQ(lan_beacon_parse(bytes, len, &got), 0);
	CHECK_MEM(&got, &own, sizeof(got));
}

static void text(struct writer *w, const char *word)
{
	cbor_write_text(w, word, strlen(word));
}

/* As the first version writes it; version and the ports may be anything. */
static size_t first_version(uint8_t *out, uint64_t version, unsigned id_cnt, uint64_t byte,
			    uint64_t port)
{
	struct writer w = writer_of(out, BEACON_LEN_MAX);

	cbor_write_map(&w, 3);
	text(&w, "version");
	cbor_write_uint(&w, version);
	text(&w, "instance_id");
	cbor_write_array(&w, id_cnt);
	for (unsigned i = 0; i < id_cnt; i++)
		cbor_write_uint(&w, byte);
	text(&w, "tcp_port");
	cbor_write_uint(&w, port);
	return writer_len(&w);
}

static void test_version_1_is_taken(void)
{
	uint8_t bytes[BEACON_LEN_MAX];
	struct beacon got;

	CHECK_EQ(lan_beacon_parse(bytes, first_version(bytes, 1, 16, 200, 7001), &got), 0);
	CHECK_EQ(got.version, 1);
	CHECK_EQ(got.instance[15], 200);
	CHECK_EQ(got.tcp_port, 7001);
	CHECK_EQ(got.quic_port, 0);
	CHECK(!got.has_key);
}

static void test_version_2_with_nothing_in_its_options_is_taken(void)
{
	static const char *const options[] = {"capabilities", "quic_port"};
	uint8_t bytes[BEACON_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct beacon got;

	w.pos += first_version(bytes, 2, 16, 1, 7001);
	bytes[0] = 0xa6;
	for (unsigned i = 0; i < 2; i++) {
		text(&w, options[i]);
		writer_u8(&w, 0xf6); /* null */
	}
	text(&w, "what is to come");
	cbor_write_array(&w, 1);
	text(&w, "?");
	CHECK_EQ(lan_beacon_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.caps, 0);
}

static void test_fields_out_of_their_range_are_malformed(void)
{
	const struct {
		uint64_t version;
		unsigned id_cnt;
		uint64_t byte, port;
	} rows[] = {{0, 16, 1, 1}, {256, 16, 1, 1}, {1, 15, 1, 1},
		    {1, 17, 1, 1}, {1, 16, 256, 1}, {1, 16, 1, 65536}};
	uint8_t bytes[BEACON_LEN_MAX];
	struct beacon got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(lan_beacon_parse(bytes,
					  first_version(bytes, rows[i].version, rows[i].id_cnt,
							rows[i].byte, rows[i].port),
					  &got),
			 WEFT_EMALFORMED);
	CHECK_EQ(lan_beacon_parse(bytes, BEACON_LEN_MAX + 1, &got), WEFT_EMALFORMED);
	CHECK_EQ(lan_beacon_parse("hello", 5, &got), WEFT_EMALFORMED);
	CHECK_EQ(lan_beacon_parse("\xa0", 1, &got), WEFT_EMALFORMED);
}

static void test_every_prefix_is_malformed(void)
{
	uint8_t bytes[BEACON_LEN_MAX];
	size_t len = write(&own, bytes);
	struct beacon got;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(lan_beacon_parse(exact, cut, &got), WEFT_EMALFORMED);
		free(exact);
	}
}

int main(void)
{
	RUN(test_what_is_written_is_read);
	RUN(test_version_1_is_taken);
	RUN(test_version_2_with_nothing_in_its_options_is_taken);
	RUN(test_fields_out_of_their_range_are_malformed);
	RUN(test_every_prefix_is_malformed);
	return check_done();
}
