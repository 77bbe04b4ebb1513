/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of signed object that this program makes, made anew and compared with
 * tests/vectors/signed.json, which tests/conformance/test_signed.py proves with other
 * libraries. With a path as its argument it writes that file instead.
 */
#include <jansson.h>

#include "codec/text/hex.h"
#include "shares/announce/holder_record.h"
#include "shares/announce/golomb_set.h"
#include "community/access/epoch_key.h"
#include "community/record/community_record.h"
#include "shares/head.h"
#include "blobs/manifest/manifest.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "crypto/blake3/blake3.h"
#include "locate/bootstrap_list.h"
#include "relay/grants/grant_record.h"
#include "relay/grants/grant_revocations.h"
#include "relay/receipts/receipt_record.h"
#include "builtin/pods/room_record.h"
#include "builtin/index/index_entry_value.h"
#include "service/directory/descriptor.h"
#include "support/check.h"

#define VECTORS	   "tests/vectors/signed.json"
#define OBJECT_CAP 16384
#define TIME_S	   1700000000ull

/* RFC 8032 7.1, test 1: the public key is d75a98...511a. */
static const uint8_t seed[NODE_KEY_SEED_LEN] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
						0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
						0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
						0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
static const uint8_t other_seed[NODE_KEY_SEED_LEN] = {2};
static struct node_key *key, *other_key;

static void bytes_fill(uint8_t *bytes, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
}

static unsigned addrs_fill(struct addr *addrs)
{
	memset(addrs, 0, 2 * sizeof(*addrs));
	addrs[0] = (struct addr){.family = ADDR_IPV4, .port = 7000, .ip = {192, 0, 2, 1}};
	addrs[1] = (struct addr){
		.family = ADDR_IPV6, .port = 65535, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	return 2;
}

/* --- shares --- */

static void make_head(struct writer *w)
{
	struct share_head head = {.seq = 7, .updated_s = TIME_S};

	bytes_fill(head.manifest_id, 32, 1);
	shares_head_write(w, key, &head);
}

static void make_revocation(struct writer *w)
{
	struct share_head head = {.seq = HEAD_SEQ_REVOKED, .updated_s = TIME_S};

	shares_head_write(w, key, &head);
}

static void make_succession(struct writer *w)
{
	struct share_head head = {
		.seq = HEAD_SEQ_REVOKED, .updated_s = TIME_S, .has_successor = true};

	memcpy(head.successor, node_key_public(other_key), sizeof(head.successor));
	shares_head_write(w, key, &head);
}

static void manifest_make(struct writer *w, enum manifest_shape shape,
			  const struct manifest_revision *revision)
{
	static const struct manifest_tag tags[] = {{"live", 4}, {"lossless", 8}};
	struct manifest_builder *builder;
	const uint8_t *bytes;
	uint8_t id[32];
	size_t len;
	struct manifest_item item = {.content_id = id,
				     .size = 262145,
				     .path = "a/b.flac",
				     .path_len = 8,
				     .mime = "audio/flac",
				     .mime_len = 10,
				     .tags = tags,
				     .tag_cnt = 2};
	struct manifest_item plain = {
		.content_id = id, .size = 0, .path = "\xc3\xa9t\xc3\xa9", .path_len = 5};
	struct manifest_part part = {id, 3000, 1ull << 40, 70000};

	bytes_fill(id, 32, 0x40);
	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	if (shape == MANIFEST_ROOT) {
		CHECK_EQ(blobs_manifest_builder_add_part(builder, &part), 0);
	} else {
		CHECK_EQ(blobs_manifest_builder_add_item(builder, &item), 0);
		CHECK_EQ(blobs_manifest_builder_add_item(builder, &plain), 0);
		CHECK_EQ(blobs_manifest_builder_add_dir(builder, "empty", 5), 0);
	}
	CHECK_EQ(blobs_manifest_builder_sign(builder, shape, revision, &bytes, &len), 0);
	writer_bytes(w, bytes, len);
	blobs_manifest_builder_free(builder);
}

static void make_manifest(struct writer *w)
{
	uint8_t ids[2][32] = {{1}, {2}};
	const struct manifest_revision revision = {
		.key = key,
		.seq = 7,
		.created_s = TIME_S,
		.expires_s = TIME_S + 30 * 86400,
		.title = "Field recordings",
		.description = "two\nlines",
		.is_public = true,
		.communities = (const uint8_t(*)[32])ids,
		.community_cnt = 1,
		.recommended = (const uint8_t(*)[32])ids,
		.recommended_cnt = 2,
	};

	manifest_make(w, MANIFEST_WHOLE, &revision);
}

static void make_root(struct writer *w)
{
	const struct manifest_revision revision = {.key = key,
						   .seq = HEAD_SEQ_REVOKED - 1,
						   .created_s = TIME_S,
						   .title = "",
						   .description = ""};

	manifest_make(w, MANIFEST_ROOT, &revision);
}

/* --- holders --- */

static void make_holder(struct writer *w)
{
	struct holder holder = {.time_s = TIME_S};

	holder.places.addr_cnt = addrs_fill(holder.places.addrs);
	bytes_fill(holder.id, sizeof(holder.id), 3);
	shares_holder_record_write(w, key, &holder);
}

static void make_golomb_set(struct writer *w)
{
	static uint8_t ids[40][32], code[4096];
	uint64_t numbers[40];
	struct golomb_set set = {.time_s = TIME_S,
				 .depth = GOLOMB_SET_DEPTH_COARSE,
				 .region = 0xab,
				 .item_cnt = 40,
				 .parameter = GOLOMB_SET_PARAMETER,
				 .code = code};

	for (uint8_t i = 0; i < 40; i++) {
		bytes_fill(ids[i], 32, i);
		ids[i][0] = 0xab;
	}
	set.places.addr_cnt = addrs_fill(set.places.addrs);
	set.code_len = shares_golomb_set_encode(&(struct golomb_contents){node_key_public(key),
									  (const uint8_t(*)[32])ids,
									  40, numbers},
						code, sizeof(code));
	shares_golomb_set_write(w, key, &set);
}

/* --- communities --- */

static void community_key_id(uint8_t id[static COMMUNITY_ID_LEN])
{
	community_id_of(node_key_public(key), id);
}

static void make_token(struct writer *w)
{
	struct community_token token = {.issued_s = TIME_S, .expires_s = TIME_S + 86400};

	community_key_id(token.id);
	memcpy(token.member, node_key_public(other_key), sizeof(token.member));
	community_token_write(w, key, &token);
}

static void make_member(struct writer *w)
{
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct writer t = writer_of(token, sizeof(token));
	struct community_member member = {
		.seq = 3, .is_joined = true, .time_s = TIME_S, .token = token};

	make_token(&t);
	community_key_id(member.id);
	member.places.addr_cnt = addrs_fill(member.places.addrs);
	member.token_len = writer_len(&t);
	community_member_write(w, other_key, &member);
}

static void make_binding(struct writer *w)
{
	struct community_binding binding = {.seq = 7,
					    .is_bound = true,
					    .title = "Field recordings",
					    .title_len = 16,
					    .text = "two lines",
					    .text_len = 9,
					    .item_cnt = 2,
					    .byte_cnt = 262145};

	community_key_id(binding.id);
	community_id_of(node_key_public(other_key), binding.share_id);
	bytes_fill(binding.manifest_id, 32, 9);
	community_binding_write(w, other_key, &binding);
}

static void make_share(struct writer *w)
{
	uint8_t binding[COMMUNITY_BINDING_LEN_MAX];
	struct writer b = writer_of(binding, sizeof(binding));
	struct community_share share = {.seq = 4, .time_s = TIME_S, .binding_bytes = binding};

	make_binding(&b);
	community_key_id(share.id);
	share.binding_len = writer_len(&b);
	community_share_write(w, key, &share);
}

static void make_hint(struct writer *w)
{
	struct community_hint hint = {.seq = 5, .time_s = TIME_S, .sample_cnt = 1};

	community_key_id(hint.id);
	hint.places.addr_cnt = addrs_fill(hint.places.addrs);
	hint.samples[0] = node_key_public(other_key);
	community_hint_write(w, other_key, &hint);
}

static void make_strict_roll(struct writer *w)
{
	struct community_revocations revocations = {
		.epoch = 3, .time_s = TIME_S, .has_commit = true};
	uint8_t secret[EPOCH_KEY_LEN];

	for (unsigned i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	community_epoch_key_commit(secret, revocations.commit);
	memcpy(revocations.home, node_key_public(other_key), sizeof(revocations.home));
	community_revocations_write(w, key, &revocations);
}

static void make_roll(struct writer *w)
{
	struct community_revocations revocations = {
		.epoch = 2, .time_s = TIME_S, .expelled_cnt = 2};

	memcpy(revocations.home, node_key_public(other_key), sizeof(revocations.home));
	revocations.expelled[0][0] = 1;
	revocations.expelled[1][0] = 2;
	community_revocations_write(w, key, &revocations);
}

/* --- services --- */

static void make_descriptor(struct writer *w)
{
	struct service_descriptor descriptor = {.created_s = TIME_S,
						.expires_s = TIME_S + 3600,
						.seq = 12,
						.metadata_cnt = 1,
						.metadata = {{"lang", "en", 4, 2}}};

	snprintf(descriptor.name, sizeof(descriptor.name), "hello");
	snprintf(descriptor.version, sizeof(descriptor.version), "1.2.0");
	descriptor.places.addr_cnt = addrs_fill(descriptor.places.addrs);
	CHECK_EQ(service_descriptor_write(w, key, &descriptor), SERVICE_FINE);
}

/* A value of the overlay: its first byte is the overlay's tag, and not signed. */
static void make_shard(struct writer *w)
{
	static uint8_t value[SHARD_VALUE_LEN_MAX];
	struct writer v = writer_of(value, sizeof(value));
	struct shard row = {
		.kind = SHARD_RECORDING,
		.mbid = "b1a9c0e9-d987-4042-ae91-78d6a3267d69",
		.at_s = TIME_S,
		.variant_cnt = 1,
		.variants = {{.codec = "flac", .quality = 100, .kbps = 900, .size = 1 << 24}}};

	builtin_shard_value_write(&row, key, TIME_S, &v);
	writer_bytes(w, value + 1, writer_len(&v) - 1);
}

#define ROOM "pod:00112233445566778899aabbccddeeff"

/* Segment number of two, each the continuation of the one before; the second is a tail. */
static void room_segment_make(struct writer *w, unsigned number)
{
	static uint8_t bytes[OBJECT_CAP], first[OBJECT_CAP];
	struct room_segment segment = {.id = ROOM, .number = number, .event_cnt = 2};
	struct writer body = writer_of(bytes, sizeof(bytes));
	uint8_t sender[32], id[ROOM_EVENT_ID_LEN], signature[64];

	bytes_fill(sender, sizeof(sender), 1);
	bytes_fill(id, sizeof(id), 0x40);
	bytes_fill(signature, sizeof(signature), 0x80);
	if (number) {
		struct writer f = writer_of(first, sizeof(first));

		room_segment_make(&f, 0);
		blake3_hash(first, writer_len(&f), segment.previous);
	}
	body = writer_of(bytes, sizeof(bytes));
	builtin_room_segment_begin(&body, &segment);
	for (unsigned i = 0; i < 2; i++) {
		struct room_event event = {.sequence = TIME_S * 1000 + 2 * number + i,
					   .at_ms = TIME_S * 1000,
					   .kind = i ? ROOM_REACTION : ROOM_TEXT,
					   .sender = sender,
					   .id = id,
					   .signature = i ? NULL : signature,
					   .channel = "general",
					   .channel_len = 7,
					   .body = "t\xc3\xa9",
					   .body_len = 3};

		builtin_room_event_write(&body, &event);
	}
	builtin_room_segment_sign(w, key, &body);
}

static void make_room_segment(struct writer *w)
{
	room_segment_make(w, 0);
}

static void make_room_tail(struct writer *w)
{
	room_segment_make(w, 1);
}

static void make_room_head(struct writer *w)
{
	static uint8_t bytes[OBJECT_CAP];
	struct writer segment = writer_of(bytes, sizeof(bytes));
	struct room_head head = {.id = ROOM,
				 .name = "tea",
				 .visibility = POD_PRIVATE,
				 .days = 7,
				 .member_cnt = 2,
				 .sealed_cnt = 1,
				 .updated_ms = TIME_S * 1000 + 5};

	bytes_fill(head.members[0], 32, 1);
	bytes_fill(head.members[1], 32, 2);
	room_segment_make(&segment, 0);
	blake3_hash(bytes, writer_len(&segment), head.last);
	segment = writer_of(bytes, sizeof(bytes));
	room_segment_make(&segment, 1);
	blake3_hash(bytes, writer_len(&segment), head.tail);
	builtin_room_head_write(w, key, &head);
}

/* --- ways in --- */

static void make_bootstrap(struct writer *w)
{
	struct bootstrap_list list = {.serial = TIME_S,
				      .made_s = TIME_S,
				      .expires_s = TIME_S + 86400,
				      .title = "lab",
				      .entry_cnt = 2};
	struct addr addrs[2];

	addrs_fill(addrs);
	for (unsigned i = 0; i < 2; i++)
		list.entries[i].addr = addrs[i];
	list.entries[1].has_key = true;
	memcpy(list.entries[1].key, node_key_public(other_key), 32);
	locate_bootstrap_list_write(w, key, &list);
}

/* --- relays --- */

/* key is the operator's, the other one the holder's. */
static void make_grant(struct writer *w)
{
	struct relay_grant_record grant = {.serial = 7,
					   .per_s = 12500000,
					   .burst_len = 1 << 20,
					   .month_len = 1000000000000,
					   .flow_max = 16,
					   .is_content = true,
					   .not_before_s = TIME_S,
					   .expires_s = TIME_S + 30 * 86400,
					   .relay_cnt = 2};

	memcpy(grant.holder, node_key_public(other_key), sizeof(grant.holder));
	bytes_fill(grant.relays[0], 32, 0x10);
	bytes_fill(grant.relays[1], 32, 0x50);
	relay_grant_record_write(w, key, &grant);
}

static void make_least_grant(struct writer *w)
{
	struct relay_grant_record grant = {
		.serial = 8, .flow_max = 1, .not_before_s = TIME_S, .expires_s = TIME_S + 86400};

	memcpy(grant.holder, node_key_public(other_key), sizeof(grant.holder));
	relay_grant_record_write(w, key, &grant);
}

static void make_key_set(struct writer *w)
{
	uint8_t grant[RELAY_GRANT_RECORD_LEN_MAX];
	struct writer g = writer_of(grant, sizeof(grant));
	struct relay_shown shown = {
		.grant_bytes = grant, .key_cnt = 2, .set_expires_s = TIME_S + 7 * 86400};

	make_grant(&g);
	shown.grant_len = writer_len(&g);
	bytes_fill(shown.keys[0], 32, 0x80);
	bytes_fill(shown.keys[1], 32, 0xc0);
	relay_set_write(w, other_key, &shown);
}

static void make_grant_revocations(struct writer *w)
{
	static struct relay_revocations list = {
		.serial = 2, .made_s = TIME_S, .below = 5, .serials = {7, 300}, .cnt = 2};

	relay_revocations_write(w, key, &list);
}

/* key is the relay's, the other one the owner's. */
static void make_claim(struct writer *w)
{
	struct relay_claim claim = {
		.month = relay_month_of(TIME_S),
		.serial = 2,
		.counted = {5000000, 80000000},
		.made_s = TIME_S,
	};

	memcpy(claim.relay, node_key_public(key), sizeof(claim.relay));
	relay_claim_write(w, other_key, &claim);
}

static void make_receipt(struct writer *w)
{
	uint8_t claim[RELAY_CLAIM_LEN_MAX];
	struct writer c = writer_of(claim, sizeof(claim));
	struct relay_receipt receipt = {
		.claim_bytes = claim, .counted = {4990000, 80010000}, .made_s = TIME_S + 1};

	make_claim(&c);
	receipt.claim_len = writer_len(&c);
	relay_receipt_write(w, key, &receipt);
}

static const struct {
	const char *kind, *tag;
	bool is_named; /* by the BLAKE3 of its bytes */
	void (*make)(struct writer *w);
} kinds[] = {
	{"head", HEAD_TAG, false, make_head},
	{"head, revoked", HEAD_TAG, false, make_revocation},
	{"head, replaced", HEAD_TAG, false, make_succession},
	{"manifest", MANIFEST_TAG, true, make_manifest},
	{"manifest, root", MANIFEST_TAG, true, make_root},
	{"holder record", "provider", false, make_holder},
	{"holder set", "provset", false, make_golomb_set},
	{"community token", "commtoken", false, make_token},
	{"community member", "commmember", false, make_member},
	{"community binding", "commbind", false, make_binding},
	{"community share", "commshare", false, make_share},
	{"community hint", "commhint", false, make_hint},
	{"community roll", "commroll", false, make_roll},
	{"roll of a strict community", "commroll", false, make_strict_roll},
	{"service descriptor", SERVICE_DESCRIPTOR_TAG, false, make_descriptor},
	{"row of the shadow index", "shard", false, make_shard},
	{"room segment", "roomsegment", false, make_room_segment},
	{"room segment, tail", "roomsegment", false, make_room_tail},
	{"room head", "roomhead", false, make_room_head},
	{"bootstrap list", BOOTSTRAP_TAG, false, make_bootstrap},
	{"relay grant", RELAY_GRANT_TAG, false, make_grant},
	{"relay grant, least", RELAY_GRANT_TAG, false, make_least_grant},
	{"key set of a relay grant", RELAY_SET_TAG, false, make_key_set},
	{"relay revocations", RELAY_REVOKE_TAG, false, make_grant_revocations},
	{"relay claim", RELAY_CLAIM_TAG, false, make_claim},
	{"relay receipt", RELAY_RECEIPT_TAG, false, make_receipt},
};
#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))

/* object_make: the object of kind at, in hexadecimal. */
static void object_make(size_t at, char text[static 2 * OBJECT_CAP + 1])
{
	static uint8_t bytes[OBJECT_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct signed_object object;

	text[0] = '\0';
	kinds[at].make(&w);
	CHECK(!w.bad);
	CHECK_EQ(signed_parse(bytes, writer_len(&w), &object), 0);
	CHECK_EQ(signed_verify(&object, kinds[at].tag), 0);
	hex_write(bytes, writer_len(&w), text);
}

static void test_every_object_is_the_one_in_the_vectors(void)
{
	static char text[2 * OBJECT_CAP + 1];
	json_t *file = json_load_file(VECTORS, 0, NULL);
	json_t *list = json_object_get(file, "vectors");

	CHECK_EQ(json_array_size(list), KIND_CNT);
	for (size_t i = 0; i < KIND_CNT; i++) {
		const json_t *vector = json_array_get(list, i);

		CHECK_STR(json_string_value(json_object_get(vector, "kind")), kinds[i].kind);
		object_make(i, text);
		CHECK_STR(json_string_value(json_object_get(vector, "hex")), text);
	}
	json_decref(file);
}

static int vectors_write(const char *path)
{
	static char text[2 * OBJECT_CAP + 1];
	json_t *list = json_array();
	json_t *file = json_pack(
		"{s:s, s:o}", "source",
		"Signed objects as this program writes them "
		"(tests/unit/conformance/test_signed_vectors "
		"PATH). tests/conformance/test_signed.py proves each by python3-cbor2 in canonical "
		"mode, python3-nacl, sha256sum and b3sum.",
		"vectors", list);

	for (size_t i = 0; i < KIND_CNT; i++) {
		object_make(i, text);
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s}", "kind", kinds[i].kind,
						      "tag", kinds[i].tag, "named",
						      kinds[i].is_named, "hex", text));
	}
	return check_failed || json_dump_file(file, path, JSON_INDENT(1)) < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	if (argc > 1)
		return vectors_write(argv[1]);
	RUN(test_every_object_is_the_one_in_the_vectors);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
