/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin_rig.h"
#include "builtin/index/shadow_index.h"

#define INDEX(who, method, ...) rig_call(BUILTIN_SHADOW_INDEX, who, method, json_pack(__VA_ARGS__))
#define MBID			"b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d"
#define HASH			"00112233445566778899aabbccddeeff"

static json_t *track(const char *mbid, const char *codec, int kbps, const char *hash)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:s, s:i}", "mbid", mbid, "codec", codec, "kbps",
			 kbps, "size", 1000, "sha256", hash, "quality", 50);
}

static enum service_status register_track(unsigned who, const char *mbid, const char *codec,
					  int kbps, const char *hash)
{
	rig_call(BUILTIN_SHADOW_INDEX, who, "RegisterTrack", track(mbid, codec, kbps, hash));
	return rig.call.status;
}

static json_t *lookup(unsigned who)
{
	return INDEX(who, "LookupByMbId", "{s:s}", "mbid", MBID);
}

static size_t variant_cnt(void)
{
	return json_array_size(json_object_get(lookup(9), "variants"));
}

static json_t *variant(size_t i)
{
	return json_array_get(json_object_get(lookup(9), "variants"), i);
}

static void start(void)
{
	rig_start();
	rig_up();
}

static void test_keys_are_those_of_sha1sum(void)
{
	/* printf slskdn-vsf-mbid-KIND-v1:b10bbbfc-cf9e-42e0-be17-e2c3e1d2600d | sha1sum */
	static const char *const want[SHARD_KIND_CNT] = {
		"ed4d596b896fe1ca6a93afa01d982c3ad0155c65",
		"aa06137611d5970205a9e9be3bf9718f69282ec5",
		"01290fd38866eec3ebaf86f6145ecc7965a47e73"};
	json_t *reply;

	start();
	for (unsigned kind = 0; kind < SHARD_KIND_CNT; kind++) {
		reply = INDEX(1, "LookupByMbId", "{s:s, s:s}", "mbid", MBID, "kind",
			      builtin_shard_kinds[kind]);
		CHECK_STR(rig_text(reply, "key"), want[kind]);
		/* In capitals it is the same one. */
		reply = INDEX(1, "LookupByMbId", "{s:s, s:s}", "mbid",
			      "B10BBBFC-CF9E-42E0-BE17-E2C3E1D2600D", "kind",
			      builtin_shard_kinds[kind]);
		CHECK_STR(rig_text(reply, "key"), want[kind]);
	}
	rig_stop();
}

static void test_what_one_peer_registers_another_finds(void)
{
	json_t *reply;

	start();
	CHECK_EQ(register_track(1, MBID, "flac", 900, HASH), SERVICE_OK);
	reply = lookup(2);
	CHECK_STR(rig_text(reply, "version"), "1.0");
	CHECK_EQ(json_integer_value(json_object_get(reply, "timestamp")), RIG_WALL_S);
	CHECK_EQ(json_integer_value(json_object_get(reply, "ttl")), SHARD_TTL_S);
	CHECK_EQ(json_integer_value(json_object_get(reply, "peer_cnt")), 1);
	/* head -c 8 of the SHA-256 of the peer's key */
	CHECK_STR(json_string_value(json_array_get(json_object_get(reply, "peers"), 0)),
		  "ed8148a079078d4c");
	CHECK_STR(rig_text(variant(0), "codec"), "flac");
	CHECK_STR(rig_text(variant(0), "sha256"), HASH);
	CHECK_EQ(json_integer_value(json_object_get(variant(0), "kbps")), 900);
	CHECK_EQ(json_integer_value(json_object_get(variant(0), "size")), 1000);
	reply = INDEX(2, "QueryShard", "{s:s}", "key", "aa06137611d5970205a9e9be3bf9718f69282ec5");
	CHECK_EQ(json_array_size(json_object_get(reply, "variants")), 1);
	/* Of another kind there is nothing. */
	reply = INDEX(2, "LookupByMbId", "{s:s, s:s}", "mbid", MBID, "kind", "release");
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(json_array_size(json_object_get(reply, "variants")), 0);
	/* A path of the gateway means the same. */
	reply = INDEX(2, "lookup", "{s:s}", "mbid", MBID);
	CHECK_EQ(json_array_size(json_object_get(reply, "variants")), 1);
	rig_stop();
}

static void test_the_five_best_of_each_codec_are_kept(void)
{
	char hash[33];

	start();
	for (unsigned i = 0; i < 7; i++) {
		snprintf(hash, sizeof(hash), "%032x", i);
		CHECK_EQ(register_track(1 + i % 2, MBID, "mp3", 100 + 10 * (int)i, hash),
			 SERVICE_OK);
		CHECK_EQ(register_track(1, MBID, "opus", 100, hash), SERVICE_OK);
	}
	CHECK_EQ(variant_cnt(), 10);
	for (size_t i = 0; i < 5; i++) {
		CHECK_STR(rig_text(variant(i), "codec"), "mp3");
		CHECK_EQ(json_integer_value(json_object_get(variant(i), "kbps")),
			 160 - 10 * (json_int_t)i);
	}
	CHECK_EQ(json_integer_value(json_object_get(lookup(9), "peer_cnt")), 2);
	rig_stop();
}

static void test_one_file_is_one_variant(void)
{
	start();
	register_track(1, MBID, "flac", 900, HASH);
	register_track(2, MBID, "flac", 1000, HASH);
	register_track(1, MBID, "flac", 800, HASH);
	CHECK_EQ(variant_cnt(), 1);
	CHECK_EQ(json_integer_value(json_object_get(variant(0), "kbps")), 1000);
	/* The whole hash is the same file as its first half. */
	register_track(1, MBID, "flac", 1100, HASH HASH);
	CHECK_EQ(variant_cnt(), 1);
	rig_stop();
}

static void test_two_registrations_at_once_are_both_kept(void)
{
	json_t *flac = track(MBID, "flac", 900, HASH), *mp3 = track(MBID, "mp3", 320, HASH);
	char *first = json_dumps(flac, JSON_COMPACT), *second = json_dumps(mp3, JSON_COMPACT);

	start();
	rig_ask_bytes(BUILTIN_SHADOW_INDEX, 1, "RegisterTrack", first, strlen(first));
	CHECK(!rig.call.is_answered);
	rig_offering(BUILTIN_SHADOW_INDEX)
		->handler->cancelled(rig_offering(BUILTIN_SHADOW_INDEX)->ctx, &rig.call);
	rig_ask_bytes(BUILTIN_SHADOW_INDEX, 1, "RegisterTrack", second, strlen(second));
	store_flush(rig.store);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK_EQ(variant_cnt(), 2);
	rig_crash();
	CHECK_EQ(variant_cnt(), 2);
	rig_stop();
	json_decref(flac);
	json_decref(mp3);
	free(first);
	free(second);
}

static void test_the_101st_registration_of_an_hour_is_refused(void)
{
	char mbid[SHARD_MBID_LEN + 1];

	start();
	for (unsigned i = 0; i < SHADOW_INDEX_REGISTER_PER_HOUR; i++) {
		snprintf(mbid, sizeof(mbid), "%08x-0000-0000-0000-000000000000", i);
		CHECK_EQ(register_track(1, mbid, "flac", 900, HASH), SERVICE_OK);
	}
	CHECK_EQ(register_track(1, MBID, "flac", 900, HASH), SERVICE_RATE_LIMITED);
	CHECK_EQ(variant_cnt(), 0);
	CHECK_EQ(register_track(2, MBID, "flac", 900, HASH), SERVICE_OK);
	rig_pass_s(3599);
	CHECK_EQ(register_track(1, MBID, "flac", 900, HASH), SERVICE_RATE_LIMITED);
	rig_pass_s(1);
	CHECK_EQ(register_track(1, MBID, "flac", 900, HASH), SERVICE_OK);
	rig_stop();
}

static uint64_t track_cnt(void)
{
	struct provider_tenant_view view;

	provider_tenant_view(provider_tenant_find(rig.tenants, "shadow-index", 1), &view);
	return view.row_cnt;
}

static void test_what_is_no_track_is_not_written(void)
{
	static const char *const no_mbids[] = {"not-a-uuid",
					       "",
					       "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600",
					       "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600dd",
					       "b10bbbfc-cf9e-42e0-be17-e2c3e1d2600g",
					       "b10bbbfccf9e-42e0-be17-e2c3-e1d2600d0"};

	start();
	for (unsigned i = 0; i < sizeof(no_mbids) / sizeof(no_mbids[0]); i++)
		CHECK_EQ(register_track(1, no_mbids[i], "flac", 900, HASH),
			 SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(register_track(1, MBID, "FLAC", 900, HASH), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(register_track(1, MBID, "", 900, HASH), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(register_track(1, MBID, "ninelette", 900, HASH), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(register_track(1, MBID, "flac", -1, HASH), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(register_track(1, MBID, "flac", 900, "0011"), SERVICE_INVALID_PAYLOAD);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:i, s:i, s:s, s:i}", "mbid", MBID, "codec", "flac",
	      "kbps", 1, "size", 1, "sha256", HASH, "quality", 101);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:I, s:i, s:s}", "mbid", MBID, "codec", "flac",
	      "kbps", (json_int_t)UINT32_MAX + 1, "size", 1, "sha256", HASH);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:i, s:i, s:s, s:I}", "mbid", MBID, "codec", "flac",
	      "kbps", 1, "size", 1, "sha256", HASH, "quality", (json_int_t)UINT32_MAX + 2);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:i, s:i, s:s}", "mbid", MBID, "codec", "flac",
	      "kbps", 1, "size", 0, "sha256", HASH);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	INDEX(1, "LookupByMbId", "{s:s, s:s}", "mbid", MBID, "kind", "work");
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	INDEX(1, "QueryShard", "{s:s}", "key", "00");
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(track_cnt(), 0);
	rig_stop();
}

static void test_the_first_and_last_of_each_range_are_taken(void)
{
	start();
	CHECK_EQ(register_track(1, MBID, "eightlet", 0, HASH), SERVICE_OK);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:i, s:i, s:s, s:i}", "mbid", MBID, "codec", "a",
	      "kbps", 1, "size", 1, "sha256", HASH, "quality", 0);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	INDEX(1, "RegisterTrack", "{s:s, s:s, s:I, s:i, s:s, s:i}", "mbid", MBID, "codec", "b",
	      "kbps", (json_int_t)UINT32_MAX, "size", 1, "sha256", HASH, "quality", 100);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	rig_stop();
}

static void test_a_batch_is_at_most_20(void)
{
	json_t *mbids = json_array();

	start();
	register_track(1, MBID, "flac", 900, HASH);
	for (unsigned i = 0; i < SHADOW_INDEX_BATCH_MAX; i++)
		json_array_append_new(mbids, json_string(MBID));
	json_t *shards = json_object_get(INDEX(2, "QueryBatch", "{s:O}", "mbids", mbids), "shards");
	CHECK_EQ(json_array_size(shards), SHADOW_INDEX_BATCH_MAX);
	CHECK_EQ(json_array_size(json_object_get(json_array_get(shards, 19), "variants")), 1);
	json_array_append_new(mbids, json_string(MBID));
	INDEX(2, "QueryBatch", "{s:O}", "mbids", mbids);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	json_array_clear(mbids);
	json_array_append_new(mbids, json_integer(7));
	INDEX(2, "QueryBatch", "{s:o}", "mbids", mbids);
	CHECK_EQ(rig.call.status, SERVICE_INVALID_PAYLOAD);
	rig_stop();
}

static void test_a_full_index_takes_no_new_tracks(void)
{
	start();
	rig_down();
	rig.config.track_cnt = 1;
	rig_up();
	CHECK_EQ(register_track(1, MBID, "flac", 900, HASH), SERVICE_OK);
	CHECK_EQ(register_track(2, MBID, "flac", 900, HASH), SERVICE_UNAVAILABLE);
	CHECK_EQ(register_track(1, MBID, "mp3", 320, HASH), SERVICE_OK);
	CHECK_EQ(variant_cnt(), 2);
	rig_stop();
}

static void test_of_a_key_the_32_freshest_peers_are_kept(void)
{
	start();
	for (unsigned who = 1; who <= SHARD_PEER_MAX + 1; who++) {
		CHECK_EQ(register_track(who, MBID, "flac", (int)who, HASH), SERVICE_OK);
		rig_pass_s(1);
	}
	CHECK_EQ(json_integer_value(json_object_get(lookup(9), "peer_cnt")), SHARD_PEER_MAX);
	CHECK_EQ(track_cnt(), SHARD_PEER_MAX);
	/* The first one was the oldest. */
	json_t *peers = json_object_get(lookup(9), "peers"), *peer;
	size_t i;
	json_array_foreach(peers, i, peer)
		CHECK(strcmp(json_string_value(peer), "ed8148a079078d4c") != 0);
	rig_stop();
}

static void test_a_registration_ends_unless_it_is_renewed(void)
{
	start();
	register_track(1, MBID, "flac", 900, HASH);
	register_track(2, MBID, "mp3", 320, HASH);
	rig_pass_s(SHADOW_INDEX_LIFE_S);
	CHECK_EQ(variant_cnt(), 2);
	register_track(2, MBID, "mp3", 320, HASH);
	rig_pass_s(1);
	CHECK_EQ(variant_cnt(), 1);
	CHECK_EQ(json_integer_value(json_object_get(lookup(9), "peer_cnt")), 1);
	rig_pass_s(60);
	CHECK_EQ(track_cnt(), 1);
	rig_stop();
}

static void test_rows_of_all_tracks_are_swept_in_turns(void)
{
	char mbid[SHARD_MBID_LEN + 1];

	start();
	for (unsigned i = 0; i < 1500; i++) {
		snprintf(mbid, sizeof(mbid), "%08x-0000-0000-0000-000000000000", i);
		CHECK_EQ(register_track(1 + i / 100, mbid, "flac", 900, HASH), SERVICE_OK);
	}
	rig.wall_ms += (SHADOW_INDEX_LIFE_S + 1) * 1000ull;
	rig_pass_s(60);
	CHECK_EQ(track_cnt(), 1500 - 1024);
	rig_pass_s(60);
	CHECK_EQ(track_cnt(), 0);
	rig_stop();
}

static void test_a_shard_survives_its_record_and_no_cut_of_it(void)
{
	struct shard shard = {.kind = SHARD_ARTIST, .mbid = MBID, .at_s = RIG_WALL_S}, again;
	struct shard_variant one = {.codec = "flac", .quality = 100, .kbps = UINT32_MAX};
	uint8_t record[SHARD_RECORD_LEN_MAX], copy[SHARD_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record)),
		      of_copy = writer_of(copy, sizeof(copy));

	for (unsigned i = 0; i < 60; i++) {
		one.codec[3] = (char)('a' + i % 12);
		one.prefix[0] = (uint8_t)i;
		one.size = UINT64_MAX;
		builtin_shard_add(&shard, &one);
	}
	CHECK_EQ(shard.variant_cnt, SHARD_VARIANT_MAX);
	builtin_shard_write(&shard, &w);
	CHECK(!w.bad);
	CHECK_EQ(builtin_shard_parse(&again, record, writer_len(&w)), 0);
	CHECK_EQ(again.at_s, shard.at_s);
	builtin_shard_write(&again, &of_copy);
	CHECK_EQ(writer_len(&of_copy), writer_len(&w));
	CHECK_MEM(copy, record, writer_len(&w));
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(builtin_shard_parse(&again, record, len), WEFT_EMALFORMED);
}

static void test_an_answer_does_not_depend_on_the_order_of_arrival(void)
{
	struct shard forth = {.at_s = 1}, back = {.at_s = 1};
	unsigned cnt = 4 * SHARD_PEER_MAX;

	for (unsigned i = 0; i < cnt; i++) {
		struct shard_variant variant = {.quality = 90, .kbps = 900, .size = 1000};
		struct shard_variant other = variant;
		uint8_t key[32] = {(uint8_t)i}, other_key[32] = {(uint8_t)(cnt - 1 - i)};

		snprintf(variant.codec, sizeof(variant.codec), "c%u", i % 10);
		snprintf(other.codec, sizeof(other.codec), "c%u", (cnt - 1 - i) % 10);
		variant.prefix[0] = (uint8_t)i;
		other.prefix[0] = (uint8_t)(cnt - 1 - i);
		builtin_shard_add(&forth, &variant);
		builtin_shard_add(&back, &other);
		builtin_shard_add_peer(&forth, key);
		builtin_shard_add_peer(&back, other_key);
	}
	CHECK_EQ(forth.peer_cnt, SHARD_PEER_MAX);
	CHECK_EQ(back.peer_cnt, SHARD_PEER_MAX);
	CHECK_MEM(forth.hints, back.hints, sizeof(forth.hints));
	CHECK_EQ(forth.variant_cnt, SHARD_VARIANT_MAX);
	CHECK_EQ(back.variant_cnt, SHARD_VARIANT_MAX);
	for (unsigned i = 0; i < SHARD_VARIANT_MAX; i++) {
		CHECK_STR(forth.variants[i].codec, back.variants[i].codec);
		CHECK_MEM(forth.variants[i].prefix, back.variants[i].prefix, SHARD_PREFIX_LEN);
	}
}

static void test_a_row_has_the_bytes_of_its_version(void)
{
	static const uint8_t want[] = {0x85, 1,	   2,	 0x62, 'i',  'd', 0x18, 100, 0x81, 0x85,
				       0x63, 'm',  'p',	 '3',  0x18, 50,  0x19, 1,   0x40, 0x19,
				       3,    0xe8, 0x50, 1,    2,    0,	  0,	0,   0,	   0,
				       0,    0,	   0,	 0,    0,    0,	  0,	0,   0};
	struct shard got, row = {.kind = SHARD_ARTIST, .mbid = "id", .at_s = 100};
	struct shard_variant variant = {
		.codec = "mp3", .quality = 50, .kbps = 320, .size = 1000, .prefix = {1, 2}};
	uint8_t record[SHARD_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));

	builtin_shard_add(&row, &variant);
	builtin_shard_write(&row, &w);
	CHECK_EQ(writer_len(&w), sizeof(want));
	CHECK_MEM(record, want, sizeof(want));
	for (size_t len = 0; len < sizeof(want); len++)
		CHECK_EQ(builtin_shard_parse(&got, want, len), WEFT_EMALFORMED);
	CHECK_EQ(builtin_shard_parse(&got, want, sizeof(want)), 0);
	CHECK_EQ(got.kind, SHARD_ARTIST);
	CHECK_EQ(got.variant_cnt, 1);
	record[1] = 2; /* the version */
	CHECK_EQ(builtin_shard_parse(&got, record, sizeof(want)), WEFT_EMALFORMED);
	record[1] = 1;
	record[15] = 101; /* a quality that there is not */
	CHECK_EQ(builtin_shard_parse(&got, record, sizeof(want)), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_keys_are_those_of_sha1sum);
	RUN(test_what_one_peer_registers_another_finds);
	RUN(test_the_five_best_of_each_codec_are_kept);
	RUN(test_one_file_is_one_variant);
	RUN(test_two_registrations_at_once_are_both_kept);
	RUN(test_the_101st_registration_of_an_hour_is_refused);
	RUN(test_what_is_no_track_is_not_written);
	RUN(test_the_first_and_last_of_each_range_are_taken);
	RUN(test_a_batch_is_at_most_20);
	RUN(test_a_full_index_takes_no_new_tracks);
	RUN(test_of_a_key_the_32_freshest_peers_are_kept);
	RUN(test_a_registration_ends_unless_it_is_renewed);
	RUN(test_rows_of_all_tracks_are_swept_in_turns);
	RUN(test_a_shard_survives_its_record_and_no_cut_of_it);
	RUN(test_an_answer_does_not_depend_on_the_order_of_arrival);
	RUN(test_a_row_has_the_bytes_of_its_version);
	return check_done();
}
