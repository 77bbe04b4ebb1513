/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow index in the overlay. */
#include "codec/cbor.h"
#include "crypto/signed.h"
#include "builtin_rig.h"
#include "builtin/index/shadow_index.h"
#include "builtin/index/index_entry_value.h"

#define MBID	   "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
#define OTHER_MBID "c10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
#define NAME	   "mbid:recording:" MBID
#define HASH	   "00112233445566778899aabbccddeeff"

static void start(void)
{
	rig_start();
	rig.overlay = (struct fake_overlay){.wall_s = RIG_WALL_S};
	rig.has_overlay = true;
	rig_up();
}

static void stop(void)
{
	rig_stop();
	fake_overlay_fini(&rig.overlay);
}

static enum service_status register_track(unsigned who, const char *mbid, const char *codec)
{
	rig_call(BUILTIN_SHADOW_INDEX, who, "RegisterTrack",
		 json_pack("{s:s, s:s, s:i, s:i, s:s}", "mbid", mbid, "codec", codec, "kbps", 900,
			   "size", 1000, "sha256", HASH));
	return rig.call.status;
}

static json_t *lookup(void)
{
	return rig_call(BUILTIN_SHADOW_INDEX, 2, "LookupByMbId", json_pack("{s:s}", "mbid", MBID));
}

static size_t variant_cnt(void)
{
	return json_array_size(json_object_get(lookup(), "variants"));
}

static json_int_t peer_cnt(void)
{
	return json_integer_value(json_object_get(lookup(), "peer_cnt"));
}

/* A signed row of another writer. */
static size_t value_of(uint8_t seed_byte, const char *codec, uint64_t wall_s,
		       uint8_t out_value[SHARD_VALUE_LEN_MAX])
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {seed_byte};
	struct shard row = {.kind = SHARD_RECORDING, .mbid = MBID};
	struct shard_variant variant = {.kbps = 320, .size = 7, .prefix = {seed_byte}};
	struct writer w = writer_of(out_value, SHARD_VALUE_LEN_MAX);
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	snprintf(variant.codec, sizeof(variant.codec), "%s", codec);
	builtin_shard_add(&row, &variant);
	builtin_shard_value_write(&row, key, wall_s, &w);
	node_key_free(key);
	return w.bad ? 0 : writer_len(&w);
}

static void inject(uint8_t seed_byte, const char *codec, uint64_t wall_s)
{
	uint8_t value[SHARD_VALUE_LEN_MAX];
	size_t len = value_of(seed_byte, codec, wall_s, value);

	fake_overlay_inject(&rig.overlay, NAME, value, len);
}

static void test_own_tracks_are_published_and_found(void)
{
	const struct fake_value *value;

	start();
	CHECK_EQ(register_track(RIG_LOCAL, MBID, "flac"), SERVICE_OK);
	CHECK_EQ(register_track(1, MBID, "mp3"), SERVICE_OK);
	rig_pass_s(60);
	CHECK_EQ(rig.overlay.put_cnt, 0); /* no storer is there */
	builtin_hurry(rig.builtin, rig.now_ns);
	rig_pass_s(1);
	CHECK_EQ(rig.overlay.put_cnt, 1);
	value = fake_overlay_find(&rig.overlay, NAME, 0);
	CHECK(value != NULL);
	CHECK_EQ(value->bytes[0], SHARD_VALUE_TAG);
	CHECK_EQ(value->claim.expires_s - value->claim.created_s, SHARD_TTL_S);
	CHECK_MEM(value->claim.writer, node_key_public(rig.key), OVERLAY_WRITER_LEN);
	/* What a peer registered here is not this node's to publish. */
	rig_pass_s(60);
	CHECK_EQ(rig.overlay.put_cnt, 1);
	/* Another is of use at once. */
	CHECK_EQ(register_track(RIG_LOCAL, OTHER_MBID, "flac"), SERVICE_OK);
	rig_pass_s(1);
	CHECK_EQ(rig.overlay.put_cnt, 2);
	CHECK(fake_overlay_find(&rig.overlay, "mbid:recording:" OTHER_MBID, 0) != NULL);
	/* More are there now. */
	builtin_hurry(rig.builtin, rig.now_ns);
	rig_pass_s(1);
	rig_pass_s(1);
	CHECK_EQ(rig.overlay.put_cnt, 4);
	/* Its own row that comes back is the same one. */
	CHECK_EQ(variant_cnt(), 2);
	CHECK_EQ(peer_cnt(), 2);
	stop();
}

static void test_200_tracks_take_two_cycles(void)
{
	char mbid[SHARD_MBID_LEN + 1];

	start();
	for (unsigned i = 0; i < 200; i++) {
		if (i == 100)
			rig_down(), rig_up(); /* for another hundred in this hour */
		snprintf(mbid, sizeof(mbid), "%08x-0000-0000-0000-000000000000", i);
		CHECK_EQ(register_track(RIG_LOCAL, mbid, "flac"), SERVICE_OK);
	}
	builtin_hurry(rig.builtin, rig.now_ns);
	for (unsigned s = 0; s < 60; s++)
		rig_pass_s(1);
	CHECK(rig.overlay.put_cnt > 45 && rig.overlay.put_cnt <= 60);
	for (unsigned s = 0; s < 600; s++)
		rig_pass_s(1);
	CHECK_EQ(rig.overlay.put_cnt, 100);
	for (unsigned s = 0; s < 900; s++)
		rig_pass_s(1);
	CHECK_EQ(rig.overlay.put_cnt, 200);
	for (unsigned i = 0; i < 200; i++) {
		char name[SHARD_NAME_CAP];

		snprintf(mbid, sizeof(mbid), "%08x-0000-0000-0000-000000000000", i);
		builtin_shard_name(SHARD_RECORDING, mbid, name);
		CHECK(fake_overlay_find(&rig.overlay, name, 0) != NULL);
	}
	stop();
}

static void test_what_others_have_is_merged(void)
{
	start();
	register_track(1, MBID, "flac");
	inject(7, "opus", RIG_WALL_S);
	inject(8, "mp3", RIG_WALL_S);
	CHECK_EQ(variant_cnt(), 3);
	CHECK_EQ(peer_cnt(), 3);
	stop();
}

static void test_an_answer_of_the_overlay_is_kept_for_ten_minutes(void)
{
	start();
	CHECK_EQ(variant_cnt(), 0);
	inject(7, "opus", RIG_WALL_S);
	CHECK_EQ(variant_cnt(), 1);
	rig.overlay.get_cnt = 1;
	CHECK_EQ(variant_cnt(), 1);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	inject(8, "mp3", RIG_WALL_S);
	rig_pass_s(599);
	CHECK_EQ(variant_cnt(), 1);
	CHECK_EQ(rig.overlay.get_cnt, 1);
	/* What is registered here is there at once. */
	register_track(1, MBID, "flac");
	CHECK_EQ(variant_cnt(), 2);
	rig_pass_s(1);
	CHECK_EQ(variant_cnt(), 3);
	CHECK_EQ(rig.overlay.get_cnt, 2);
	stop();
}

static void test_a_failed_lookup_answers_what_is_here(void)
{
	start();
	register_track(1, MBID, "flac");
	rig.overlay.err = WEFT_ETIMEOUT;
	CHECK_EQ(variant_cnt(), 1);
	rig.overlay.err = 0;
	rig.overlay.start_err = WEFT_EFULL;
	CHECK_EQ(variant_cnt(), 1);
	rig.overlay.start_err = 0;
	inject(7, "opus", RIG_WALL_S);
	CHECK_EQ(variant_cnt(), 2);
	stop();
}

static void test_a_lookup_costs_work(void)
{
	static const char ask[] = "{\"mbid\":\"" MBID "\"}";
	const struct service_offering *offering;
	struct service_caller caller = {.is_local = false};

	start();
	offering = rig_offering(BUILTIN_SHADOW_INDEX);
	json_decref(rig.call.reply);
	rig.call = (struct service_call){.work_left = 0};
	offering->handler->call(
		offering->ctx, &rig.call,
		&(struct service_input){&caller, "LookupByMbId", (const uint8_t *)ask, strlen(ask)},
		rig.now_ns);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(rig.overlay.get_cnt, 0);
	stop();
}

static void test_a_caller_that_leaves_cancels_its_lookup(void)
{
	static const char ask[] = "{\"mbid\":\"" MBID "\"}";
	const struct service_offering *offering;

	start();
	offering = rig_offering(BUILTIN_SHADOW_INDEX);
	rig_ask_bytes(BUILTIN_SHADOW_INDEX, 1, "LookupByMbId", ask, strlen(ask));
	CHECK(!rig.call.is_answered);
	offering->handler->cancelled(offering->ctx, &rig.call);
	CHECK_EQ(rig.overlay.cancel_cnt, 1);
	fake_overlay_turn(&rig.overlay, rig.now_ns);
	CHECK(!rig.call.is_answered);
	/* A peer that stops withdraws all. */
	rig_ask_bytes(BUILTIN_SHADOW_INDEX, 1, "LookupByMbId", ask, strlen(ask));
	rig_down();
	CHECK_EQ(rig.overlay.cancel_cnt, 2);
	rig_up();
	stop();
}

/* ---- the rule ---- */

static int judge(const char *name, const uint8_t *value, size_t len, uint64_t wall_s)
{
	const struct overlay_rule rule = builtin_shard_value_rule();
	struct overlay_claim claim;

	return rule.check(rule.ctx, &(struct overlay_value){name, strlen(name), value, len}, wall_s,
			  &claim);
}

static void test_the_rule_judges_time_and_name(void)
{
	uint8_t value[SHARD_VALUE_LEN_MAX];
	size_t len = value_of(7, "opus", RIG_WALL_S, value);

	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S), 0);
	CHECK_EQ(judge("mbid:release:" MBID, value, len, RIG_WALL_S), WEFT_EREFUSED);
	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S - 300), 0);
	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S - 301), WEFT_EREFUSED);
	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S + SHARD_TTL_S + 300), 0);
	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S + SHARD_TTL_S + 301), WEFT_ESTALE);
}

static void test_no_byte_of_a_value_can_be_changed_or_left_out(void)
{
	uint8_t value[SHARD_VALUE_LEN_MAX];
	size_t len = value_of(7, "opus", RIG_WALL_S, value);

	for (size_t i = 0; i < len; i++) {
		CHECK(judge(NAME, value, i, RIG_WALL_S) < 0);
		value[i] ^= 1;
		CHECK(judge(NAME, value, len, RIG_WALL_S) < 0);
		value[i] ^= 1;
	}
	CHECK_EQ(judge(NAME, value, len, RIG_WALL_S), 0);
}

/* Signed, but not as a row is. */
static size_t odd_value(uint64_t created_s, uint64_t expires_s, unsigned quality,
			uint8_t out_value[SHARD_VALUE_LEN_MAX])
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7}, prefix[SHARD_PREFIX_LEN];
	uint8_t body[512];
	struct writer b = writer_of(body, sizeof(body));
	struct writer w = writer_of(out_value, SHARD_VALUE_LEN_MAX);
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	cbor_write_map(&b, 4);
	cbor_write_uint(&b, 0);
	cbor_write_text(&b, NAME, strlen(NAME));
	cbor_write_uint(&b, 1);
	cbor_write_uint(&b, created_s);
	cbor_write_uint(&b, 2);
	cbor_write_uint(&b, expires_s);
	cbor_write_uint(&b, 3);
	cbor_write_array(&b, 1);
	cbor_write_array(&b, 5);
	cbor_write_text(&b, "mp3", 3);
	cbor_write_uint(&b, quality);
	cbor_write_uint(&b, 320);
	cbor_write_uint(&b, 1);
	cbor_write_bytes(&b, prefix, sizeof(prefix));
	writer_u8(&w, SHARD_VALUE_TAG);
	signed_write(&w, key, "shard", body, writer_len(&b));
	node_key_free(key);
	return writer_len(&w);
}

static void test_what_no_row_says_is_refused_though_it_is_signed(void)
{
	static const struct {
		uint64_t created_s, expires_s;
		unsigned quality;
		int want;
	} rows[] = {
		{RIG_WALL_S, RIG_WALL_S + SHARD_TTL_S, 100, 0},
		{RIG_WALL_S, RIG_WALL_S + SHARD_TTL_S, 101, WEFT_EMALFORMED},
		{RIG_WALL_S, RIG_WALL_S + SHARD_TTL_S + 1, 100, WEFT_EMALFORMED},
		{RIG_WALL_S, RIG_WALL_S, 100, WEFT_EMALFORMED},
		{RIG_WALL_S, 0, 100, WEFT_EMALFORMED},
		{UINT64_MAX - 10, UINT64_MAX, 100, WEFT_EREFUSED},
	};
	uint8_t value[SHARD_VALUE_LEN_MAX];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len =
			odd_value(rows[i].created_s, rows[i].expires_s, rows[i].quality, value);

		CHECK_EQ(judge(NAME, value, len, RIG_WALL_S), rows[i].want);
	}
}

int main(void)
{
	RUN(test_own_tracks_are_published_and_found);
	RUN(test_200_tracks_take_two_cycles);
	RUN(test_what_others_have_is_merged);
	RUN(test_an_answer_of_the_overlay_is_kept_for_ten_minutes);
	RUN(test_a_failed_lookup_answers_what_is_here);
	RUN(test_a_lookup_costs_work);
	RUN(test_a_caller_that_leaves_cancels_its_lookup);
	RUN(test_the_rule_judges_time_and_name);
	RUN(test_no_byte_of_a_value_can_be_changed_or_left_out);
	RUN(test_what_no_row_says_is_refused_though_it_is_signed);
	return check_done();
}
