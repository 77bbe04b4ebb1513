/* SPDX-License-Identifier: Apache-2.0 */
/* Overlay values of programs: the form, the rule of storers, and put and get by a tenant. */
#include "provider/tenant/program_value.h"

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "tenant_rig.h"

#define WALL_S 1800000000u

static struct node_key *key_of(uint8_t first)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {first};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static const struct program_value sample = {.name = (const uint8_t *)"app:chess:open:42",
					    .name_len = 17,
					    .number = 7,
					    .created_s = WALL_S,
					    .expires_s = WALL_S + 3600,
					    .bytes = (const uint8_t *)"e4",
					    .len = 2};

static size_t value_bytes(const struct program_value *value, uint8_t out[PROGRAM_VALUE_CAP])
{
	struct node_key *key = key_of(5);
	struct writer w = writer_of(out, PROGRAM_VALUE_CAP);

	provider_program_value_write(&w, value, key);
	node_key_free(key);
	return w.bad ? 0 : writer_len(&w);
}

static int judged_at(const char *name, const uint8_t *bytes, size_t len, uint64_t wall_s)
{
	const struct overlay_rule rule = provider_program_value_rule();
	const struct overlay_value value = {
		.name = name, .name_len = strlen(name), .bytes = bytes, .len = len};
	struct overlay_claim claim;

	return rule.check(rule.ctx, &value, wall_s, &claim);
}

static void test_a_value_is_read_as_written_and_no_prefix_of_it(void)
{
	uint8_t bytes[PROGRAM_VALUE_CAP];
	size_t len = value_bytes(&sample, bytes);
	struct program_value read;

	CHECK(len > 0);
	CHECK_EQ(provider_program_value_parse(bytes, len, &read), 0);
	CHECK_EQ(read.number, 7);
	CHECK_EQ(read.name_len, 17);
	CHECK_MEM(read.name, sample.name, 17);
	CHECK_EQ(read.len, 2);
	CHECK_MEM(read.bytes, "e4", 2);
	CHECK_EQ(judged_at("app:chess:open:42", bytes, len, WALL_S), 0);
	for (size_t part = 0; part < len; part++) {
		uint8_t *copy = malloc(part + 1);

		memcpy(copy, bytes, part);
		CHECK_EQ(provider_program_value_parse(copy, part, &read), WEFT_EMALFORMED);
		free(copy);
	}
	for (size_t at = 0; at < len; at++) {
		bytes[at] ^= 1;
		CHECK(judged_at("app:chess:open:42", bytes, len, WALL_S) < 0);
		bytes[at] ^= 1;
	}
}

/* The example of docs/wire/program_value.md. */
static void test_the_documented_bytes_are_what_is_written(void)
{
	static const char want[] =
		"51a3005826a500496170703a613a623a63011b000001a3185c5000021a6b49d200031a6b49e0100442"
		"6869015820f4bd46521ce7b57899ae6f4ca09eddec689327a86a2232d4a3f2a4f39ac68a9e0258405f"
		"edf2ef578ad222da3e3a33cd065753385c09ed51d5d420316d8d067c0c0f7624c8271a5e597405e212"
		"58784cf4fdae32232c28c6e25d71c47dab550f846703";
	const struct program_value value = {.name = (const uint8_t *)"app:a:b:c",
					    .name_len = 9,
					    .number = 1800000000000,
					    .created_s = WALL_S,
					    .expires_s = WALL_S + 3600,
					    .bytes = (const uint8_t *)"hi",
					    .len = 2};
	uint8_t bytes[PROGRAM_VALUE_CAP];
	char text[2 * PROGRAM_VALUE_CAP + 1] = "";
	size_t len = value_bytes(&value, bytes);

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	CHECK_STR(text, want);
}

static void test_a_storer_judges_times_and_names(void)
{
	static const struct {
		uint64_t created_s, expires_s, wall_s;
		int want;
	} rows[] = {
		{WALL_S, WALL_S + 60, WALL_S, 0},
		{WALL_S, WALL_S + PROGRAM_VALUE_LIFE_MAX_S, WALL_S, 0},
		{WALL_S, WALL_S + PROGRAM_VALUE_LIFE_MAX_S + 1, WALL_S, WEFT_EMALFORMED},
		{WALL_S, WALL_S, WALL_S, WEFT_EMALFORMED},
		{WALL_S + 300, WALL_S + 400, WALL_S, 0},
		{WALL_S + 301, WALL_S + 400, WALL_S, WEFT_EREFUSED},
		{WALL_S, WALL_S + 60, WALL_S + 60 + 300, 0},
		{WALL_S, WALL_S + 60, WALL_S + 60 + 301, WEFT_ESTALE},
	};
	uint8_t bytes[PROGRAM_VALUE_CAP];
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct program_value value = sample;

		value.created_s = rows[i].created_s;
		value.expires_s = rows[i].expires_s;
		len = value_bytes(&value, bytes);
		CHECK_EQ(judged_at("app:chess:open:42", bytes, len, rows[i].wall_s), rows[i].want);
	}
	len = value_bytes(&sample, bytes);
	CHECK_EQ(judged_at("app:chess:open:43", bytes, len, WALL_S), WEFT_EREFUSED);
	CHECK_EQ(judged_at("app:chess:open:4", bytes, len, WALL_S), WEFT_EREFUSED);
}

static void test_bounds_of_keys_and_bytes(void)
{
	static const uint8_t long_bytes[PROGRAM_VALUE_LEN_MAX + 1] = {1};
	uint8_t name[OVERLAY_NAME_LEN_MAX], bytes[PROGRAM_VALUE_CAP];
	static char service[SERVICE_NAME_LEN_MAX + 1], tag[PROVIDER_VALUE_TAG_LEN_MAX + 1];
	struct program_value value = sample;

	memset(service, 's', SERVICE_NAME_LEN_MAX);
	memset(tag, 't', PROVIDER_VALUE_TAG_LEN_MAX);
	CHECK_EQ(provider_program_value_name("a", "b", "c", 1, name), 9);
	CHECK_MEM(name, "app:a:b:c", 9);
	CHECK_EQ(provider_program_value_name("a", "b", "", 0, name), 0);
	value.name = name;
	value.name_len = provider_program_value_name(service, tag, long_bytes,
						     PROGRAM_VALUE_KEY_LEN_MAX, name);
	CHECK(value.name_len > 0);
	CHECK_EQ(provider_program_value_name("a", "b", long_bytes, PROGRAM_VALUE_KEY_LEN_MAX + 1,
					     name),
		 0);
	value.bytes = long_bytes;
	value.len = PROGRAM_VALUE_LEN_MAX;
	value.number = value.created_s = value.expires_s = UINT64_MAX;
	CHECK(value_bytes(&value, bytes) > PROGRAM_VALUE_LEN_MAX); /* the greatest fits */
	value.len++;
	CHECK_EQ(value_bytes(&value, bytes), 0);
}

/* ---- by a tenant ---- */

static struct {
	unsigned cnt, done_cnt;
	int err;
	char text[64];
} got;

static void on_value(void *arg, const uint8_t *value, size_t len, const struct overlay_claim *claim)
{
	struct program_value parsed;

	(void)arg, (void)claim;
	CHECK_EQ(provider_program_value_parse(value, len, &parsed), 0);
	got.cnt++;
	snprintf(got.text, sizeof(got.text), "%.*s", (int)parsed.len, (const char *)parsed.bytes);
}

static void on_end(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	(void)arg, (void)now_ns;
	got.done_cnt++;
	got.err = result->err;
}

static int put_value(struct provider_tenant *tenant, const char *tag, const char *text,
		     struct provider_run **out_run)
{
	const struct provider_value_put asked = {.key = {tag, "k", 1},
						 .bytes = text,
						 .len = strlen(text),
						 .life_s = 60,
						 .done = on_end};

	return provider_value_put(tenant, &asked, NS_PER_S, out_run);
}

static int get_value(struct provider_tenant *tenant, const char *tag, struct provider_run **out_run)
{
	const struct provider_value_get asked = {
		.key = {tag, "k", 1}, .value = on_value, .done = on_end};

	memset(&got, 0, sizeof(got));
	return provider_value_get(tenant, &asked, NS_PER_S, out_run);
}

static const char *const tags[] = {"open", "score"};

static struct provider_tenant *program_open(const char *name, uint32_t uid)
{
	const struct provider_declaration with = {.service = name,
						  .major = 1,
						  .is_of_program = true,
						  .uid = uid,
						  .run_max = PROVIDER_PROGRAM_RUN_MAX,
						  .value_tags = tags,
						  .value_tag_cnt = 2};
	struct provider_tenant *tenant;

	if (provider_tenant_open(rig.node, &with, &tenant) < 0)
		abort();
	return tenant;
}

static void test_a_program_gets_what_was_put_under_its_tags_alone(void)
{
	struct provider_tenant *chess, *go;
	struct provider_run *run;

	rig.key = key_of(5);
	start_with_key(&nothing);
	rig.overlay.wall_s = WALL_S;
	chess = program_open("chess", 1000);
	go = program_open("go", 1000);
	CHECK_EQ(put_value(chess, "open", "e4", &run), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	/* In the same millisecond: the later one counts. */
	CHECK_EQ(put_value(chess, "open", "d4", &run), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(got.err, 0);
	CHECK_EQ(get_value(chess, "open", &run), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_STR(got.text, "d4");
	CHECK_EQ(get_value(chess, "score", &run), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(got.cnt, 0);
	CHECK_EQ(get_value(go, "open", &run), 0);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(got.cnt, 0);
	CHECK_EQ(put_value(chess, "closed", "x", &run), WEFT_EREFUSED);
	CHECK_EQ(get_value(chess, "ope", &run), WEFT_EREFUSED);
	provider_tenant_leave(chess, NS_PER_S);
	provider_tenant_leave(go, NS_PER_S);
	stop();
	node_key_free(rig.key);
}

static void test_a_run_of_a_service_that_leaves_is_cancelled(void)
{
	struct provider_tenant *chess;
	struct provider_run *run;

	rig.key = key_of(5);
	start_with_key(&nothing);
	chess = program_open("chess", 1000);
	CHECK_EQ(get_value(chess, "open", &run), 0);
	provider_tenant_leave(chess, NS_PER_S);
	CHECK_EQ(got.done_cnt, 1);
	CHECK_EQ(got.err, WEFT_ECANCELLED);
	fake_overlay_turn(&rig.overlay, NS_PER_S);
	CHECK_EQ(got.done_cnt, 1);
	stop();
	node_key_free(rig.key);
}

static void test_runs_of_programs_are_shared(void)
{
	struct provider_tenant *tenants[16];
	struct provider_tenants_fills fills;
	struct provider_run *run;
	unsigned cnt = 0;
	char name[8];

	rig.key = key_of(5);
	start_with_key(&nothing);
	tenants[0] = program_open("first", 1000);
	for (unsigned i = 0; i < PROVIDER_PROGRAM_RUN_MAX; i++)
		CHECK_EQ(get_value(tenants[0], "open", &run), 0);
	CHECK_EQ(get_value(tenants[0], "open", &run), WEFT_EFULL);
	/* One user takes at most three quarters of the pool with any number of services. */
	for (unsigned i = 1; i < 15; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		tenants[i] = program_open(name, 1000);
		while (get_value(tenants[i], "open", &run) == 0)
			cnt++;
	}
	CHECK(cnt + PROVIDER_PROGRAM_RUN_MAX <= 3 * (RIG_OVERLAY_RUN_CAP / 2) / 4);
	provider_tenants_fills(rig.node, &fills);
	CHECK_EQ(fills.program_run_cap, RIG_OVERLAY_RUN_CAP / 2);
	CHECK_EQ(fills.program_run_cnt, cnt + PROVIDER_PROGRAM_RUN_MAX);
	tenants[15] = program_open("other", 1001);
	CHECK_EQ(get_value(tenants[15], "open", &run), 0);
	for (unsigned i = 0; i < 16; i++)
		provider_tenant_leave(tenants[i], NS_PER_S);
	stop();
	node_key_free(rig.key);
}

int main(void)
{
	RUN(test_a_value_is_read_as_written_and_no_prefix_of_it);
	RUN(test_the_documented_bytes_are_what_is_written);
	RUN(test_a_storer_judges_times_and_names);
	RUN(test_bounds_of_keys_and_bytes);
	RUN(test_a_program_gets_what_was_put_under_its_tags_alone);
	RUN(test_a_run_of_a_service_that_leaves_is_cancelled);
	RUN(test_runs_of_programs_are_shared);
	return check_done();
}
