/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests that are revisions of a share: signed ones. */
#include "blobs/manifest/manifest.h"

#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "shares/head.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

static struct node_key *key, *other_key;
static const uint8_t content_id[32] = {1, 2, 3};
static uint8_t ids[MANIFEST_RECOMMENDED_MAX + 1][32];

static struct manifest_revision revision_example(void)
{
	return (struct manifest_revision){
		.key = key,
		.seq = 5,
		.created_s = 1000,
		.expires_s = 2000,
		.title = "a title",
		.description = "two\nlines",
		.is_public = true,
		.communities = (const uint8_t(*)[32])ids,
		.community_cnt = 2,
		.recommended = (const uint8_t(*)[32])ids,
		.recommended_cnt = 3,
	};
}

static struct manifest_builder *builder_example(void)
{
	struct manifest_item item = {
		.content_id = content_id, .size = 3, .path = "d/a", .path_len = 3};
	struct manifest_builder *b = NULL;

	if (blobs_manifest_builder_new(&b) < 0 || blobs_manifest_builder_add_item(b, &item) < 0 ||
	    blobs_manifest_builder_add_dir(b, "e", 1) < 0)
		return NULL;
	return b;
}

static void test_what_was_signed_is_read_back(void)
{
	struct manifest_revision revision = revision_example();
	struct manifest_builder *b = builder_example();
	struct manifest *m;
	const uint8_t *bytes;
	uint8_t id[SHARE_ID_LEN];
	size_t len;

	CHECK_EQ(blobs_manifest_builder_sign(b, MANIFEST_WHOLE, &revision, &bytes, &len), 0);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK(m->is_signed);
	CHECK(m->is_public);
	CHECK_EQ(m->shape, MANIFEST_WHOLE);
	CHECK_EQ(m->seq, 5);
	CHECK_EQ(m->created_s, 1000);
	CHECK_EQ(m->expires_s, 2000);
	CHECK_STR(m->title, "a title");
	CHECK_EQ(m->description_len, 9);
	CHECK_MEM(m->description, "two\nlines", 9);
	CHECK_EQ(m->community_cnt, 2);
	CHECK_MEM(m->communities[1], ids[1], 32);
	CHECK_EQ(m->recommended_cnt, 3);
	CHECK_MEM(m->recommended[2], ids[2], 32);
	CHECK_MEM(m->share_key, node_key_public(key), 32);
	share_id_of(m->share_key, id);
	CHECK_MEM(m->share_id, id, 32);
	CHECK_EQ(m->item_cnt, 1);
	CHECK_EQ(m->dir_cnt, 1);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

static void test_a_root_is_signed_and_names_parts(void)
{
	struct manifest_part part = {content_id, 3000, 10, 20};
	struct manifest_revision revision = {.key = key, .seq = 1, .title = "", .description = ""};
	struct manifest_builder *b;
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&b), 0);
	CHECK_EQ(blobs_manifest_builder_add_part(b, &part), 0);
	CHECK_EQ(blobs_manifest_builder_sign(b, MANIFEST_ROOT, &revision, &bytes, &len), 0);
	CHECK_EQ(blobs_manifest_parse(bytes, len, &m), 0);
	CHECK_EQ(m->shape, MANIFEST_ROOT);
	CHECK(m->is_signed && !m->is_public && m->expires_s == 0 && !m->description);
	CHECK_EQ(m->all_item_cnt, 3000);
	blobs_manifest_free(m);
	blobs_manifest_builder_free(b);
}

/* One flipped bit anywhere breaks the signature or the form, visibility included. */
static void test_every_prefix_and_every_flipped_byte_is_refused(void)
{
	struct manifest_revision revision = revision_example();
	struct manifest_builder *b = builder_example();
	static uint8_t copy[4096];
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;

	CHECK_EQ(blobs_manifest_builder_sign(b, MANIFEST_WHOLE, &revision, &bytes, &len), 0);
	for (size_t i = 0; i < len; i++) {
		uint8_t *prefix = malloc(i ? i : 1);

		memcpy(prefix, bytes, i);
		CHECK(blobs_manifest_parse(prefix, i, &m) < 0);
		free(prefix);
		memcpy(copy, bytes, len);
		copy[i] ^= 1;
		CHECK(blobs_manifest_parse(copy, len, &m) < 0);
	}
	blobs_manifest_builder_free(b);
}

static int sign(const struct manifest_revision *revision)
{
	struct manifest_builder *b = builder_example();
	struct manifest *m;
	const uint8_t *bytes;
	size_t len;
	int err = blobs_manifest_builder_sign(b, MANIFEST_WHOLE, revision, &bytes, &len);

	if (err == 0) {
		err = blobs_manifest_parse(bytes, len, &m);
		if (err == 0)
			blobs_manifest_free(m);
	}
	blobs_manifest_builder_free(b);
	return err;
}

static void test_limits_of_a_revision(void)
{
	static char longest[MANIFEST_DESCRIPTION_LEN_MAX + 2];
	struct manifest_revision revision = revision_example();

	memset(longest, 'd', MANIFEST_DESCRIPTION_LEN_MAX);
	revision.description = longest;
	revision.community_cnt = MANIFEST_COMMUNITIES_MAX;
	revision.recommended_cnt = MANIFEST_RECOMMENDED_MAX;
	CHECK_EQ(sign(&revision), 0);
	longest[MANIFEST_DESCRIPTION_LEN_MAX] = 'd';
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.description = "\x1b[2J";
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.description = "";
	revision.community_cnt++;
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.community_cnt = 0;
	revision.recommended_cnt++;
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.recommended_cnt = 0;
	revision.expires_s = revision.created_s;
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.expires_s++;
	CHECK_EQ(sign(&revision), 0);
	revision.seq = 0;
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.seq = UINT64_MAX;
	CHECK_EQ(sign(&revision), WEFT_EMALFORMED);
	revision.seq--;
	CHECK_EQ(sign(&revision), 0);
}

/* --- bodies by hand, well signed --- */

struct craft {
	uint64_t seq, visibility, expires_s;
	uint32_t community_cnt, recommended_cnt;
	size_t description_len;
	const uint8_t *key, *id;
	unsigned without; /* this field is left out; 99: none */
	bool ids_fall;
};

static struct craft craft_example(void)
{
	static uint8_t id[SHARE_ID_LEN];

	share_id_of(node_key_public(key), id);
	return (struct craft){.seq = 1,
			      .visibility = 1,
			      .expires_s = 2000,
			      .key = node_key_public(key),
			      .id = id,
			      .without = 99};
}

static void craft_ids(struct writer *w, unsigned field, uint32_t cnt, bool fall)
{
	cbor_write_uint(w, field);
	cbor_write_array(w, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		cbor_write_bytes(w, ids[fall ? cnt - 1 - i : i], 32);
}

static size_t craft_body(const struct craft *craft, uint8_t *body, size_t cap)
{
	static char description[MANIFEST_DESCRIPTION_LEN_MAX + 1];
	struct writer w = writer_of(body, cap);

	memset(description, 'd', sizeof(description));
	cbor_write_map(&w, 11u - (craft->without != 99));
	for (unsigned field = 0; field < 12; field++) {
		if (field == craft->without || field == 6)
			continue;
		if (field == 9 || field == 11) {
			craft_ids(&w, field,
				  field == 9 ? craft->community_cnt : craft->recommended_cnt,
				  craft->ids_fall);
			continue;
		}
		cbor_write_uint(&w, field);
		if (field == 0)
			cbor_write_uint(&w, MANIFEST_VERSION);
		else if (field == 1)
			cbor_write_bytes(&w, craft->key, 32);
		else if (field == 2)
			cbor_write_bytes(&w, craft->id, 32);
		else if (field == 3)
			cbor_write_uint(&w, craft->seq);
		else if (field == 4)
			cbor_write_uint(&w, 1000);
		else if (field == 5)
			cbor_write_uint(&w, craft->expires_s);
		else if (field == 7)
			cbor_write_text(&w, description, craft->description_len);
		else if (field == 8)
			cbor_write_uint(&w, craft->visibility);
		else
			cbor_write_array(&w, 0);
	}
	return writer_len(&w);
}

static int craft_parse(const struct craft *craft, const struct node_key *signer, const char *tag)
{
	static uint8_t body[16384], bytes[20000];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct manifest *m;
	int err;

	signed_write(&w, signer, tag, body, craft_body(craft, body, sizeof(body)));
	err = blobs_manifest_parse(bytes, writer_len(&w), &m);
	if (err == 0)
		blobs_manifest_free(m);
	return err;
}

static void test_a_signature_for_something_else_is_none(void)
{
	static const uint8_t other[32] = {7};
	struct craft craft = craft_example();

	CHECK_EQ(craft_parse(&craft, key, "manifest"), 0);
	CHECK_EQ(craft_parse(&craft, key, "sharehead"), WEFT_EDAMAGED);
	CHECK_EQ(craft_parse(&craft, other_key, "manifest"), WEFT_EDAMAGED);
	craft.id = other;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EDAMAGED);
	craft = craft_example();
	craft.key = other;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EDAMAGED);
}

static void test_every_field_is_checked(void)
{
	static const struct {
		unsigned field;
		int want;
	} rows[] = {{0, WEFT_EMALFORMED},
		    {1, WEFT_EMALFORMED},
		    {2, WEFT_EMALFORMED},
		    {3, WEFT_EMALFORMED},
		    {4, WEFT_EMALFORMED},
		    {5, 0},
		    {7, 0},
		    {8, WEFT_EMALFORMED},
		    {9, 0},
		    {10, WEFT_EMALFORMED},
		    {11, 0}};
	struct craft craft;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		craft = craft_example();
		craft.without = rows[i].field;
		CHECK_EQ(craft_parse(&craft, key, "manifest"), rows[i].want);
	}
	craft = craft_example();
	craft.visibility = 2;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EMALFORMED);
	craft = craft_example();
	craft.seq = 0;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EMALFORMED);
	craft.seq = UINT64_MAX;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EMALFORMED);
	craft = craft_example();
	craft.expires_s = 1000;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EMALFORMED);
	craft = craft_example();
	craft.description_len = MANIFEST_DESCRIPTION_LEN_MAX + 1;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_ETOOLARGE);
	craft = craft_example();
	craft.community_cnt = MANIFEST_COMMUNITIES_MAX + 1;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_ETOOLARGE);
	craft = craft_example();
	craft.recommended_cnt = MANIFEST_RECOMMENDED_MAX + 1;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_ETOOLARGE);
	craft.recommended_cnt = 2;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), 0);
	craft.ids_fall = true;
	CHECK_EQ(craft_parse(&craft, key, "manifest"), WEFT_EMALFORMED);
}

/* The same body without a signature: no key stands for it. */
static void test_an_unsigned_manifest_says_nothing_of_a_share(void)
{
	struct craft craft = craft_example();
	static uint8_t body[16384];
	struct manifest *m;
	size_t len = craft_body(&craft, body, sizeof(body));

	CHECK_EQ(blobs_manifest_parse(body, len, &m), WEFT_EMALFORMED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {4}, other_seed[NODE_KEY_SEED_LEN] = {5};

	for (uint8_t i = 0; i <= MANIFEST_RECOMMENDED_MAX; i++)
		ids[i][0] = i;
	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	RUN(test_what_was_signed_is_read_back);
	RUN(test_a_root_is_signed_and_names_parts);
	RUN(test_every_prefix_and_every_flipped_byte_is_refused);
	RUN(test_limits_of_a_revision);
	RUN(test_a_signature_for_something_else_is_none);
	RUN(test_every_field_is_checked);
	RUN(test_an_unsigned_manifest_says_nothing_of_a_share);
	node_key_free(key);
	node_key_free(other_key);
	return check_done();
}
