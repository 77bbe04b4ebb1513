/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"
#include "support/transport_pair.h"

#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "mesh/session/hello.h"

static struct mesh_hello full_hello(void)
{
	struct mesh_hello hello = {.caps = UINT32_MAX, .unix_s = INT64_MAX};

	for (unsigned i = 0; i < MESH_HELLO_ADDRS_MAX; i++) {
		hello.addrs[i] = pair_addr(i + 1);
		if (i & 1) {
			hello.addrs[i].family = ADDR_IPV6;
			memset(hello.addrs[i].ip, 0xfd, 16);
		}
	}
	hello.addr_cnt = MESH_HELLO_ADDRS_MAX;
	memset(hello.agent, 'a', MESH_AGENT_CAP - 1);
	return hello;
}

static void test_every_capability_has_a_name(void)
{
	char text[MESH_CAPS_TEXT_CAP];

	CHECK_STR(mesh_caps_text(0, text), "");
	CHECK_STR(mesh_caps_text(MESH_CAP_RELAY | MESH_CAP_STORE | 1u << 31, text), "store relay");
	CHECK_STR(mesh_caps_text(UINT32_MAX, text),
		  "dht store relay gateway content_seed mobile_light anchor "
		  "service_relay paged_browse search delta social_ranges");
}

static void test_hello_is_read_as_written(void)
{
	struct mesh_hello hello = full_hello(), got;
	uint8_t bytes[1200];
	struct writer w = writer_of(bytes, sizeof(bytes));

	mesh_hello_write(&w, &hello);
	CHECK(!w.bad);
	CHECK_EQ(mesh_hello_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.caps, hello.caps);
	CHECK(got.unix_s == hello.unix_s);
	CHECK_EQ(got.addr_cnt, hello.addr_cnt);
	CHECK_MEM(got.addrs, hello.addrs, sizeof(got.addrs));
	CHECK_STR(got.agent, hello.agent);
}

static void test_prefix_of_hello_is_refused(void)
{
	struct mesh_hello hello = full_hello(), got;
	uint8_t bytes[1200];
	struct writer w = writer_of(bytes, sizeof(bytes));

	mesh_hello_write(&w, &hello);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(mesh_hello_parse(bytes, len, &got), WEFT_EMALFORMED);
}

static void test_hello_rules(void)
{
	static const struct {
		const char *why;
		int want;
		size_t len;
		uint8_t bytes[32];
	} rows[] = {
		{"three fields are enough", 0, 7, {0xa3, 0, 1, 1, 0, 2, 0}},
		{"fields of later versions are skipped", 0, 9, {0xa4, 0, 1, 1, 0, 2, 0, 6, 0xf5}},
		{"empty", WEFT_EMALFORMED, 0, {0}},
		{"no version", WEFT_EMALFORMED, 5, {0xa2, 1, 0, 2, 0}},
		{"no caps", WEFT_EMALFORMED, 5, {0xa2, 0, 1, 2, 0}},
		{"no time", WEFT_EMALFORMED, 5, {0xa2, 0, 1, 1, 0}},
		{"version 2", WEFT_EUNKNOWN, 3, {0xa1, 0, 2}},
		{"version 0", WEFT_EUNKNOWN, 7, {0xa3, 0, 0, 1, 0, 2, 0}},
		{"version 2 of another shape", WEFT_EUNKNOWN, 5, {0xa2, 0, 2, 1, 0x60}},
		{"version is text", WEFT_EMALFORMED, 8, {0xa3, 0, 0x61, '1', 1, 0, 2, 0}},
		{"caps of 33 bits",
		 WEFT_EMALFORMED,
		 15,
		 {0xa3, 0, 1, 1, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0}},
		{"time of 64 bits",
		 WEFT_EMALFORMED,
		 15,
		 {0xa3, 0, 1, 1, 0, 2, 0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0}},
		{"time not shortest", WEFT_EMALFORMED, 8, {0xa3, 0, 1, 1, 0, 2, 0x18, 5}},
		{"field twice", WEFT_EMALFORMED, 9, {0xa4, 0, 1, 1, 0, 1, 0, 2, 0}},
		{"bytes after it", WEFT_EMALFORMED, 8, {0xa3, 0, 1, 1, 0, 2, 0, 0}},
		{"addresses are a map", WEFT_EMALFORMED, 9, {0xa4, 0, 1, 1, 0, 2, 0, 3, 0xa0}},
		{"role of three numbers", 0, 13, {0xa4, 0, 1, 1, 0, 2, 0, 4, 0x81, 0x83, 1, 7, 1}},
		{"role of two numbers",
		 WEFT_EMALFORMED,
		 12,
		 {0xa4, 0, 1, 1, 0, 2, 0, 4, 0x81, 0x82, 1, 7}},
		{"role of four numbers",
		 WEFT_EMALFORMED,
		 14,
		 {0xa4, 0, 1, 1, 0, 2, 0, 4, 0x81, 0x84, 1, 7, 1, 1}},
		{"role bits beyond consumer",
		 WEFT_EMALFORMED,
		 13,
		 {0xa4, 0, 1, 1, 0, 2, 0, 4, 0x81, 0x83, 1, 8, 1}},
		{"agent with a zero byte",
		 WEFT_EMALFORMED,
		 11,
		 {0xa4, 0, 1, 1, 0, 2, 0, 5, 0x62, 'a', 0}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mesh_hello got;

		if (mesh_hello_parse(rows[i].bytes, rows[i].len, &got) != rows[i].want)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(mesh_hello_parse(rows[i].bytes, rows[i].len, &got), rows[i].want);
	}
}

/* A HELLO with so many addresses, roles and letters of agent. */
static int counted_hello(unsigned addr_cnt, unsigned role_cnt, size_t agent_len)
{
	char agent[128];
	uint8_t bytes[1200];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct addr addr = pair_addr(1);
	struct peer_addr of = peer_addr_of(&addr);
	struct mesh_hello got;

	cbor_write_map(&w, 6);
	for (unsigned key = 0; key < 3; key++) {
		cbor_write_uint(&w, key);
		cbor_write_uint(&w, 1);
	}
	cbor_write_uint(&w, 3);
	cbor_write_array(&w, addr_cnt);
	for (unsigned i = 0; i < addr_cnt; i++)
		peer_addr_write(&w, &of);
	cbor_write_uint(&w, 4);
	cbor_write_array(&w, role_cnt);
	for (unsigned i = 0; i < role_cnt; i++) {
		cbor_write_array(&w, 3);
		cbor_write_uint(&w, UINT32_MAX);
		cbor_write_uint(&w, 1);
		cbor_write_uint(&w, 1);
	}
	memset(agent, 'a', sizeof(agent));
	cbor_write_uint(&w, 5);
	cbor_write_text(&w, agent, agent_len);
	return w.bad ? 1 : mesh_hello_parse(bytes, writer_len(&w), &got);
}

static void test_hello_limits_are_kept_to_one(void)
{
	CHECK_EQ(counted_hello(8, 32, 64), 0);
	CHECK_EQ(counted_hello(9, 32, 64), WEFT_EMALFORMED);
	CHECK_EQ(counted_hello(8, 33, 64), WEFT_EMALFORMED);
	CHECK_EQ(counted_hello(8, 32, 65), WEFT_EMALFORMED);
}

static int addr_parse_bytes(const uint8_t *bytes, size_t len, struct peer_addr *out)
{
	struct cbor_reader r;

	cbor_reader_init(&r, bytes, len);
	peer_addr_read(&r, out);
	return cbor_reader_finish(&r);
}

static struct peer_addr relayed_addr(void)
{
	struct addr addr = pair_addr(1);
	struct peer_addr of = peer_addr_of(&addr);

	of.peer.transport = PEER_ADDR_TCP;
	of.peer.addr.transport = ADDR_TCP;
	of.peer.has_key = true;
	memset(of.peer.key, 7, MESH_KEY_LEN);
	of.has_relay = true;
	of.relay.addr = pair_addr(2);
	of.relay.has_key = true;
	memset(of.relay.key, 9, MESH_KEY_LEN);
	of.relay_slot = UINT64_MAX;
	return of;
}

static void test_peer_addr_is_read_as_written(void)
{
	struct peer_addr addrs[3] = {relayed_addr(), relayed_addr(), {.relay_slot = 0}};

	/* A relay reached by url, and a plain url. */
	addrs[1].relay = (struct peer_addr_hop){.transport = PEER_ADDR_RELAY_URL};
	memset(addrs[1].relay.url, 'u', PEER_ADDR_URL_CAP - 1);
	addrs[2].peer.transport = PEER_ADDR_RELAY_URL;
	strcpy(addrs[2].peer.url, "wss://relay.example/");
	for (unsigned i = 0; i < 3; i++) {
		uint8_t bytes[512];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct peer_addr got;

		peer_addr_write(&w, &addrs[i]);
		CHECK_EQ(addr_parse_bytes(bytes, writer_len(&w), &got), 0);
		CHECK_MEM(&got, &addrs[i], sizeof(got));
		CHECK(!peer_addr_is_direct(&got));
		for (size_t len = 0; len < writer_len(&w); len++)
			CHECK_EQ(addr_parse_bytes(bytes, len, &got), WEFT_EMALFORMED);
	}
}

static void test_nested_relay_is_refused(void)
{
	static const uint8_t inner[] = {0xa3, 0, 0x44, 10, 0, 0, 1, 1, 0x19, 0x1b, 0x58, 2, 0};
	uint8_t bytes[256];
	struct peer_addr got;

	for (unsigned depth = 0; depth < 3; depth++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		for (unsigned i = 0; i < depth; i++) {
			writer_u8(&w, 0xa4);
			writer_bytes(&w, inner + 1, sizeof(inner) - 1);
			writer_u8(&w, 4);
			writer_u8(&w, 0xa2);
			writer_u8(&w, 0);
		}
		writer_bytes(&w, inner, sizeof(inner));
		for (unsigned i = 0; i < depth; i++) {
			writer_u8(&w, 1);
			writer_u8(&w, 5);
		}
		CHECK_EQ(addr_parse_bytes(bytes, writer_len(&w), &got),
			 depth < 2 ? 0 : WEFT_EMALFORMED);
	}
}

static void test_peer_addr_rules(void)
{
	static const struct {
		const char *why;
		int want;
		size_t len;
		uint8_t bytes[40];
	} rows[] = {
		{"plain", 0, 11, {0xa3, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 0}},
		{"unknown field skipped", 0, 13, {0xa4, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 0, 6, 0}},
		{"empty", WEFT_EMALFORMED, 1, {0xa0}},
		{"ip of five bytes",
		 WEFT_EMALFORMED,
		 12,
		 {0xa3, 0, 0x45, 1, 2, 3, 4, 5, 1, 9, 2, 0}},
		{"no port", WEFT_EMALFORMED, 9, {0xa2, 0, 0x44, 10, 0, 0, 1, 2, 0}},
		{"port 0", WEFT_EMALFORMED, 11, {0xa3, 0, 0x44, 10, 0, 0, 1, 1, 0, 2, 0}},
		{"port 65536",
		 WEFT_EMALFORMED,
		 15,
		 {0xa3, 0, 0x44, 10, 0, 0, 1, 1, 0x1a, 0, 1, 0, 0, 2, 0}},
		{"transport 3", WEFT_EMALFORMED, 11, {0xa3, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 3}},
		{"url with an ip",
		 WEFT_EMALFORMED,
		 14,
		 {0xa4, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 2, 5, 0x61, 'u'}},
		{"url of a quic address",
		 WEFT_EMALFORMED,
		 14,
		 {0xa4, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 0, 5, 0x61, 'u'}},
		{"url transport without url", WEFT_EMALFORMED, 3, {0xa1, 2, 2}},
		{"relay without slot", WEFT_EMALFORMED, 25, {0xa4, 0, 0x44, 10, 0, 0,	 1,
							     1,	   9, 2,    0,	4, 0xa1, 0,
							     0xa3, 0, 0x44, 10, 0, 0,	 1,
							     1,	   9, 2,    0}},
		{"key of one byte",
		 WEFT_EMALFORMED,
		 14,
		 {0xa4, 0, 0x44, 10, 0, 0, 1, 1, 9, 2, 0, 3, 0x41, 1}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer_addr got;

		if (addr_parse_bytes(rows[i].bytes, rows[i].len, &got) != rows[i].want)
			printf("# row \"%s\"\n", rows[i].why);
		CHECK_EQ(addr_parse_bytes(rows[i].bytes, rows[i].len, &got), rows[i].want);
	}
}

static void test_bye_is_read_as_written(void)
{
	struct mesh_bye bye = {.reason = 1, .not_before_ms = 60000}, got;
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	mesh_bye_write(&w, &bye);
	CHECK_EQ(mesh_bye_parse(bytes, writer_len(&w), &got), 0);
	CHECK_EQ(got.reason, 1);
	CHECK_EQ(got.not_before_ms, 60000);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(mesh_bye_parse(bytes, len, &got), WEFT_EMALFORMED);
	CHECK_EQ(mesh_bye_parse((const uint8_t *)"\xa1\x01\x05", 3, &got), WEFT_EMALFORMED);
	CHECK_EQ(mesh_bye_parse((const uint8_t *)"\xa1\x00\x05", 3, &got), 0);
}

static void test_a_code_of_a_goodbye_has_a_text_and_any_other_none(void)
{
	for (uint64_t code = MESH_BYE_DONE; code <= MESH_BYE_SILENT; code++)
		CHECK(mesh_bye_text(code) && *mesh_bye_text(code));
	CHECK_STR(mesh_bye_text(MESH_BYE_REFUSED), "banned");
	CHECK(!mesh_bye_text(MESH_BYE_SILENT + 1));
	CHECK(!mesh_bye_text(UINT64_MAX));
}

int main(void)
{
	RUN(test_every_capability_has_a_name);
	RUN(test_hello_is_read_as_written);
	RUN(test_prefix_of_hello_is_refused);
	RUN(test_hello_rules);
	RUN(test_hello_limits_are_kept_to_one);
	RUN(test_peer_addr_is_read_as_written);
	RUN(test_nested_relay_is_refused);
	RUN(test_peer_addr_rules);
	RUN(test_bye_is_read_as_written);
	RUN(test_a_code_of_a_goodbye_has_a_text_and_any_other_none);
	return check_done();
}
