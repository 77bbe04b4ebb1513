/* SPDX-License-Identifier: Apache-2.0 */
/* A node's answers to 200, 201 and 202, for every asker. */
#include "base/monotonic.h"
#include "codec/cbor.h"
#include "crypto/sha256.h"
#include "overlay/overlay_message.h"
#include "support/check.h"
#include "support/overlay_lab.h"

static struct overlay_lab lab;
static struct overlay_lab_node *server, *asker;
static struct mesh_lab_ask ask;
static uint8_t payload[OVERLAY_STORE_LEN_MAX + 1024];
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static void begin(void)
{
	overlay_lab_init(&lab, 9, 48, &calm);
	server = overlay_lab_add(&lab);
	overlay_lab_start(server, NULL);
	asker = overlay_lab_scripted(&lab);
}

static uint64_t wall(void)
{
	return mesh_lab_wall_s(&lab.mesh);
}

static struct overlay_lab_value value_of(uint8_t writer, uint64_t seq)
{
	return (struct overlay_lab_value){
		.writer = writer, .seq = seq, .created_s = wall(), .expires_s = wall() + 86400};
}

/* A STORE; key NULL: the right one. */
static void store_from(struct overlay_lab_node *from, const char *name, const uint8_t *key,
		       const uint8_t *value, size_t len, uint64_t ttl_s)
{
	uint8_t hash[SHA256_HASH_LEN];
	struct writer w = writer_of(payload, sizeof(payload));
	struct overlay_store store = {.key = key ? key : hash,
				      .name = (const uint8_t *)name,
				      .name_len = strlen(name),
				      .value = value,
				      .value_len = len,
				      .ttl_s = ttl_s};

	sha256(name, strlen(name), hash);
	overlay_store_write(&w, &store);
	mesh_lab_ask(from->mesh, server->mesh, MESH_STORE, payload, writer_len(&w), &ask);
}

static void store(const char *name, const struct overlay_lab_value *value)
{
	uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];
	size_t len = overlay_lab_value_write(name, value, bytes);

	store_from(asker, name, NULL, bytes, len, 0);
}

static void find(unsigned type, const char *name, const uint8_t *after)
{
	uint8_t hash[SHA256_HASH_LEN];
	struct writer w = writer_of(payload, sizeof(payload));
	struct overlay_find what = {.target = hash, .after = after};

	sha256(name, strlen(name), hash);
	overlay_find_write(&w, &what, type == MESH_FIND_NODE ? KAD_ID_LEN : OVERLAY_KEY_LEN);
	mesh_lab_ask(asker->mesh, server->mesh, type, payload, writer_len(&w), &ask);
}

static uint64_t stored_s(void)
{
	uint64_t s = 0;

	return ask.reply.err == 0 && overlay_stored_parse(ask.reply.payload, ask.reply.payload_len,
							  &s) == 0
		       ? s
		       : 0;
}

static bool was_refused(enum overlay_reason reason)
{
	return ask.is_done && ask.reply.err < 0 &&
	       (int)ask.reply.code == overlay_reasons[reason].code &&
	       overlay_lab_count(server, reason) == 1;
}

static void test_client_serves_no_node(void)
{
	struct overlay_lab_value value;

	overlay_lab_init(&lab, 9, 4, &calm);
	server = overlay_lab_add(&lab);
	server->config.serve = OVERLAY_SERVE_OFF;
	overlay_lab_start(server, NULL);
	asker = overlay_lab_scripted(&lab);
	value = value_of(1, 1);
	store("lab:a", &value);
	CHECK(was_refused(OVERLAY_CLIENT));
	CHECK_EQ(ask.reply.err, WEFT_EUNKNOWN);
	find(MESH_FIND_VALUE, "lab:a", NULL);
	CHECK_EQ(ask.reply.err, WEFT_EUNKNOWN);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 0);
	overlay_lab_fini(&lab);
}

static void test_value_is_stored_and_returned(void)
{
	struct overlay_found found;
	struct overlay_lab_value value;

	begin();
	value = value_of(1, 1);
	store("lab:a", &value);
	CHECK_EQ(stored_s(), 86400);
	find(MESH_FIND_VALUE, "lab:a", NULL);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(overlay_found_parse(ask.reply.payload, ask.reply.payload_len, &found), 0);
	CHECK_EQ(found.value_cnt, 1);
	CHECK_EQ(found.values[0].data[0], OVERLAY_LAB_TAG);
	CHECK(!found.next);
	find(MESH_FIND_NODE, "lab:a", NULL);
	CHECK_EQ(ask.reply.err, 0);
	CHECK_EQ(overlay_found_parse(ask.reply.payload, ask.reply.payload_len, &found), 0);
	CHECK_EQ(found.value_cnt + found.node_cnt, 0);
	store("lab:a", &value);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_REFRESHED), 1);
	overlay_lab_fini(&lab);
}

/* One row for each way in which a value is not right; each is one count. */
static void test_bad_values_are_refused(void)
{
	uint8_t bytes[OVERLAY_VALUE_LEN_MAX + 1], wrong_key[32] = {1};
	struct overlay_lab_value value, changed;
	size_t len;

	begin();
	value = value_of(1, 5);
	len = overlay_lab_value_write("lab:a", &value, bytes);
	store_from(asker, "lab:a", wrong_key, bytes, len, 0);
	CHECK(was_refused(OVERLAY_KEY_MISMATCH));
	bytes[0]++;
	store_from(asker, "lab:a", NULL, bytes, len, 0);
	CHECK(was_refused(OVERLAY_UNKNOWN_TAG));
	bytes[0]--;
	store_from(asker, "svc:a", NULL, bytes, len, 0);
	CHECK(was_refused(OVERLAY_FOREIGN_NAME));
	store_from(asker, "lab:b", NULL, bytes, len, 0); /* signed for another name */
	CHECK(was_refused(OVERLAY_BAD_SIGNATURE));
	store_from(asker, "lab:a", NULL, bytes, 20, 0);
	CHECK(was_refused(OVERLAY_BAD_VALUE));
	changed = value;
	changed.len = OVERLAY_LAB_LEN_MAX;
	store("lab:long", &changed);
	CHECK_EQ(stored_s(), 86400);
	changed.len++;
	store("lab:long", &changed);
	CHECK(was_refused(OVERLAY_LONG_VALUE));
	changed = value;
	changed.expires_s = wall();
	store("lab:a", &changed);
	CHECK(was_refused(OVERLAY_EXPIRED));
	changed = value;
	changed.created_s = wall() + 310;
	store("lab:a", &changed);
	CHECK(was_refused(OVERLAY_AGAINST_RULE));
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 1);
	store("lab:a", &value);
	CHECK_EQ(stored_s(), 86400);
	changed = value;
	changed.seq--;
	store("lab:a", &changed);
	CHECK(was_refused(OVERLAY_OLD_SEQ));
	changed = value;
	changed.len = 100;
	store("lab:a", &changed);
	CHECK(was_refused(OVERLAY_EQUAL_SEQ));
	overlay_lab_fini(&lab);
}

static void test_each_flipped_byte_is_noticed(void)
{
	uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];
	struct overlay_lab_value value;
	size_t len;

	begin();
	value = value_of(1, 5);
	len = overlay_lab_value_write("lab:a", &value, bytes);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		store_from(asker, "lab:a", NULL, bytes, len, 0);
		CHECK(ask.reply.err < 0);
		bytes[i] ^= 1;
	}
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 0);
	overlay_lab_fini(&lab);
}

static void test_payloads_of_another_form_are_refused(void)
{
	static const unsigned types[] = {MESH_FIND_NODE, MESH_FIND_VALUE, MESH_STORE};

	begin();
	for (unsigned i = 0; i < 3; i++) {
		mesh_lab_ask(asker->mesh, server->mesh, types[i], "\xa0", 1, &ask);
		CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
		mesh_lab_ask(asker->mesh, server->mesh, types[i], "", 0, &ask);
		CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
	}
	CHECK_EQ(overlay_lab_count(server, OVERLAY_MALFORMED), 6);
	overlay_lab_fini(&lab);
}

static void test_third_writer_of_a_prefix_is_refused(void)
{
	struct overlay_lab_value value;

	begin();
	for (uint8_t i = 1; i <= OVERLAY_LAB_PREFIXES; i++) {
		value = value_of(i, 1);
		store("lab:a", &value);
		CHECK_EQ(stored_s(), 86400);
	}
	value = value_of(OVERLAY_LAB_PREFIXES + 1, 1);
	store("lab:a", &value);
	CHECK(was_refused(OVERLAY_PREFIX_FULL));
	CHECK_STR(server->mesh->refused_pool,
		  "overlay.value_cap: values of a prefix under one key");
	overlay_lab_fini(&lab);
}

static void test_life_is_what_was_asked_but_ends_with_the_value(void)
{
	static const struct {
		uint64_t ttl_s, life_s, want_s;
	} rows[] = {
		{0, 30 * 86400, 86400},
		{60, 30 * 86400, 60},
		{60, 30, 30},
		{7 * 86400, 30 * 86400, 7 * 86400},
		{0, 100, 100},
		{7 * 86400 + 1, 30 * 86400, 7 * 86400},
		{UINT64_MAX, 3600, 3600},
	};
	uint8_t bytes[OVERLAY_LAB_LEN_MAX + 1];

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overlay_lab_value value = value_of(1, i + 1);
		size_t len;

		value.expires_s = wall() + rows[i].life_s;
		len = overlay_lab_value_write("lab:a", &value, bytes);
		store_from(asker, "lab:a", NULL, bytes, len, rows[i].ttl_s);
		CHECK_EQ(stored_s(), rows[i].want_s);
	}
	overlay_lab_fini(&lab);
}

static void test_expired_value_is_not_returned(void)
{
	struct overlay_lab_value value;
	struct overlay_found found;

	begin();
	value = value_of(1, 1);
	value.expires_s = wall() + 60;
	store("lab:a", &value);
	(void)overlay_lab_run(&lab, 50 * NS_PER_S, NULL, NULL);
	/* The wall clock goes forward, so the value ends before it is forgotten. */
	overlay_set_wall(server->overlay, wall() + 30, lab.mesh.now_ns);
	find(MESH_FIND_VALUE, "lab:a", NULL);
	CHECK_EQ(overlay_found_parse(ask.reply.payload, ask.reply.payload_len, &found), 0);
	CHECK_EQ(found.value_cnt, 0);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_STORED_EXPIRED), 1);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 0);
	overlay_lab_fini(&lab);
}

static void test_one_request_too_many_in_a_minute_is_refused(void)
{
	struct overlay_lab_value value;

	begin();
	server->config.requests_per_min = 20;
	overlay_configure(server->overlay, &server->config, lab.mesh.now_ns);
	value = value_of(1, 1);
	for (unsigned i = 0; i < 20; i++) {
		store("lab:a", &value);
		CHECK_EQ(ask.reply.err, 0);
	}
	store("lab:a", &value);
	CHECK(was_refused(OVERLAY_FLOOD));
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK(ask.reply.not_before_ns > lab.mesh.now_ns + 50 * NS_PER_S &&
	      ask.reply.not_before_ns < lab.mesh.now_ns + 70 * NS_PER_S);
	CHECK_STR(server->mesh->refused_pool, "overlay.requests_per_minute");
	CHECK(server->mesh->refused_wait_ms > 50000);
	find(MESH_FIND_NODE, "lab:a", NULL);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	(void)overlay_lab_run(&lab, 120 * NS_PER_S, NULL, NULL);
	store("lab:a", &value);
	CHECK_EQ(ask.reply.err, 0);
	overlay_lab_fini(&lab);
}

static int page_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		      struct overlay_claim *out_claim)
{
	(void)ctx;
	*out_claim = (struct overlay_claim){.seq = 1, .expires_s = wall_s + 1000};
	memset(out_claim->writer, value->bytes[1], sizeof(out_claim->writer));
	return value->len > 1 ? 0 : WEFT_EMALFORMED;
}

/* Values of 64 KiB and of half, so that pages end in the middle and just at the end. */
static void test_answers_are_cut_into_pages(void)
{
	static const struct overlay_rule rule = {.tag = 0x71,
						 .prefix = "page:",
						 .len_max = OVERLAY_VALUE_LEN_MAX,
						 .key_max = 8,
						 .check = page_check};
	static const size_t lens[] = {65536, 32768, 32768, 65535, 2, 1000};
	static const unsigned want_cnts[] = {1, 2, 1, 2};
	static uint8_t bytes[OVERLAY_VALUE_LEN_MAX];
	struct overlay_found found;
	uint8_t after[OVERLAY_WRITER_LEN];
	const uint8_t *next = NULL;

	begin();
	CHECK_EQ(server->seam.ops->add_rule(server->overlay, &rule), 0);
	for (uint8_t i = 0; i < 6; i++) {
		memset(bytes, i, sizeof(bytes));
		bytes[0] = rule.tag;
		store_from(asker, "page:a", NULL, bytes, lens[i], 0);
		CHECK_EQ(ask.reply.err, 0);
	}
	for (unsigned page = 0; page < 4; page++) {
		find(MESH_FIND_VALUE, "page:a", next);
		CHECK_EQ(ask.reply.err, 0);
		CHECK_EQ(overlay_found_parse(ask.reply.payload, ask.reply.payload_len, &found), 0);
		CHECK_EQ(found.value_cnt, want_cnts[page]);
		CHECK_EQ(found.next != NULL, page < 3);
		if (found.next)
			memcpy(after, found.next, sizeof(after));
		next = after;
	}
	overlay_lab_fini(&lab);
}

static void test_full_store_says_so(void)
{
	struct overlay_lab_value value;
	unsigned full_cnt = 0;
	char name[16];

	overlay_lab_init(&lab, 9, 4, &calm);
	server = overlay_lab_add(&lab);
	server->config.value_cap = 16;
	overlay_lab_start(server, NULL);
	asker = overlay_lab_scripted(&lab);
	value = value_of(1, 1);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "lab:%u", i);
		store(name, &value);
		full_cnt += ask.reply.err == WEFT_EBUSY;
		CHECK_EQ(ask.reply.err == WEFT_EBUSY, ask.reply.not_before_ns > 0);
		CHECK_EQ(server->mesh->refused_cnt, full_cnt);
	}
	CHECK_STR(server->mesh->refused_pool, OVERLAY_LAB_POOL);
	CHECK(server->mesh->refused_wait_ms > 0);
	CHECK_EQ(overlay_lab_stats(server).value_cnt, 16);
	CHECK(full_cnt > 0);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_STORE_FULL), full_cnt);
	CHECK_EQ(overlay_lab_count(server, OVERLAY_EVICTED), 40 - 16 - full_cnt);
	overlay_lab_fini(&lab);
}

static void test_a_refused_writer_learns_that_its_subnet_is_full(void)
{
	struct overlay_lab_value value;

	overlay_lab_init(&lab, 9, 4, &calm);
	server = overlay_lab_add(&lab);
	server->config.subnet_max = 1;
	overlay_lab_start(server, NULL);
	asker = overlay_lab_scripted(&lab);
	value = value_of(1, 1);
	store("lab:a", &value);
	CHECK_EQ(ask.reply.err, 0);
	CHECK(!server->mesh->refused_pool);
	store("lab:b", &value);
	CHECK(was_refused(OVERLAY_SUBNET_FULL));
	CHECK_STR(server->mesh->refused_pool, "overlay.subnet_max");
	overlay_lab_fini(&lab);
}

static void test_an_asker_that_serves_becomes_a_member(void)
{
	struct overlay_lab_node *other;

	begin();
	find(MESH_FIND_NODE, "lab:a", NULL); /* the unknown peer does not say that it serves */
	CHECK_EQ(overlay_lab_stats(server).table.candidates, 0);
	other = overlay_lab_add(&lab);
	overlay_lab_start(other, server);
	(void)overlay_lab_run(&lab, 20 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_lab_stats(server).table.good, 1);
	CHECK_EQ(overlay_lab_stats(other).table.good, 1);
	overlay_lab_fini(&lab);
}

/* Its claim may name any host, and a node that hears it dials there. */
static void test_addresses_of_a_member_are_not_passed_on(void)
{
	struct overlay_found found;
	struct overlay_lab_node *other;
	struct addr victim;

	begin();
	if (addr_parse("8.8.8.8:53", &victim) < 0)
		abort();
	lab.mesh.announced = victim;
	other = overlay_lab_add(&lab);
	overlay_lab_start(other, server);
	(void)overlay_lab_run(&lab, 20 * NS_PER_S, NULL, NULL);
	CHECK_EQ(overlay_lab_stats(server).table.good, 1);
	find(MESH_FIND_NODE, "lab:a", NULL);
	CHECK_EQ(overlay_found_parse(ask.reply.payload, ask.reply.payload_len, &found), 0);
	CHECK_EQ(found.node_cnt, 1);
	CHECK_EQ(found.nodes[0].addr_cnt, 1);
	CHECK(addr_equal(&found.nodes[0].addrs[0], &other->mesh->addr));
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_client_serves_no_node);
	RUN(test_value_is_stored_and_returned);
	RUN(test_bad_values_are_refused);
	RUN(test_each_flipped_byte_is_noticed);
	RUN(test_payloads_of_another_form_are_refused);
	RUN(test_third_writer_of_a_prefix_is_refused);
	RUN(test_life_is_what_was_asked_but_ends_with_the_value);
	RUN(test_expired_value_is_not_returned);
	RUN(test_one_request_too_many_in_a_minute_is_refused);
	RUN(test_answers_are_cut_into_pages);
	RUN(test_full_store_says_so);
	RUN(test_a_refused_writer_learns_that_its_subnet_is_full);
	RUN(test_an_asker_that_serves_becomes_a_member);
	RUN(test_addresses_of_a_member_are_not_passed_on);
	return check_done();
}
