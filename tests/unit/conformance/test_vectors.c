/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This code against tests/vectors/NAME.json, whose bytes were made and are
 * proved without it. tests/system/test_conformance.py also runs this with
 * vectors of its own in the folder WEFT_VECTORS.
 */
#include <jansson.h>

#include "codec/cbor.h"
#include "codec/text/zbase32.h"
#include "blobs/link.h"
#include "blobs/manifest/manifest.h"
#include "blobs/content_message.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "mesh/stream/mesh_frame.h"
#include "mesh/session/hello.h"
#include "service/directory/descriptor.h"
#include "service/http_envelope.h"
#include "support/check.h"

#define BYTES_CAP 131072

static const json_t *vector; /* the one at hand */

static json_t *vectors_load(const char *name)
{
	const char *dir = getenv("WEFT_VECTORS");
	char path[512];
	json_error_t error;
	json_t *file;

	snprintf(path, sizeof(path), "%s/%s.json", dir ? dir : "tests/vectors", name);
	file = json_load_file(path, 0, &error);
	if (!file)
		printf("# %s:%d: %s\n", path, error.line, error.text);
	return file;
}

/* Runs check for each vector of a file; a failed one is printed. */
static void vectors_each(const char *name, void (*check)(void))
{
	json_t *file = vectors_load(name);
	json_t *list = json_object_get(file, "vectors");
	size_t at;
	json_t *each;

	CHECK(json_array_size(list) > 0);
	json_array_foreach(list, at, each)
	{
		vector = each;
		check();
		if (check_failed) {
			printf("# vector %zu of %s\n", at, name);
			break;
		}
	}
	json_decref(file);
}

static size_t unhex(const char *hex, uint8_t *bytes)
{
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (len > BYTES_CAP)
		abort();
	for (size_t i = 0; i < len; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
			abort();
	return len;
}

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static size_t bytes_of(const json_t *object, const char *name, uint8_t *bytes)
{
	return unhex(text_of(object, name), bytes);
}

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void check_key(void)
{
	uint8_t seed[32], message[64], want_public[32], want_signature[64], bytes[64];
	size_t message_len = bytes_of(vector, "message", message);
	char text[NODE_KEY_TEXT_CAP];
	struct node_key *key;

	bytes_of(vector, "seed", seed);
	bytes_of(vector, "public", want_public);
	bytes_of(vector, "signature", want_signature);
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	CHECK_MEM(node_key_public(key), want_public, 32);
	CHECK_STR(zbase32_write(want_public, 32, text), text_of(vector, "text"));
	CHECK_EQ(zbase32_parse(text, strlen(text), bytes, 32), 32);
	CHECK_MEM(bytes, want_public, 32);
	node_key_sign(key, message, message_len, bytes);
	CHECK_MEM(bytes, want_signature, 64);
	CHECK_EQ(node_key_verify(want_public, message, message_len, want_signature), 0);
	node_key_free(key);
}

static void check_content(void)
{
	size_t len = number_of(vector, "len"), at;
	const json_t *chunks = json_object_get(vector, "chunks");
	bool is_one = json_array_size(chunks) == 1;
	uint8_t *data = malloc(len + 1), want[32], got[32];
	struct blake3_chunk_tree tree;
	json_t *chunk;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i % 251);
	blake3_chunk_tree_init(&tree);
	json_array_foreach(chunks, at, chunk)
	{
		size_t off = at * BLAKE3_CHUNK_LEN;
		size_t chunk_len = len - off < BLAKE3_CHUNK_LEN ? len - off : BLAKE3_CHUNK_LEN;

		blake3_subtree(data + off, chunk_len, off / BLAKE3_LEAF_LEN, is_one, got);
		unhex(json_string_value(chunk), want);
		CHECK_MEM(got, want, 32);
		blake3_chunk_tree_push(&tree, got);
	}
	bytes_of(vector, "id", want);
	blake3_hash(data, len, got);
	CHECK_MEM(got, want, 32);
	CHECK_EQ(blobs_manifest_chunk_cnt(len), json_array_size(chunks));
	if (len > 0) {
		blake3_chunk_tree_finish(&tree, got);
		CHECK_MEM(got, want, 32);
	}
	free(data);
}

static void check_cbor(void)
{
	static uint8_t bytes[BYTES_CAP];
	size_t len = bytes_of(vector, "hex", bytes);
	struct cbor_reader r;

	cbor_reader_init(&r, bytes, len);
	cbor_skip(&r);
	if ((cbor_reader_finish(&r) == 0) != json_is_true(json_object_get(vector, "ours")))
		printf("# %s\n", text_of(vector, "hex"));
	CHECK_EQ(cbor_reader_finish(&r) == 0, json_is_true(json_object_get(vector, "ours")));
}

static unsigned addrs_of(struct addr *addrs)
{
	json_t *list = json_object_get(vector, "addrs"), *each;
	uint8_t ip[16];
	size_t at;

	json_array_foreach(list, at, each)
	{
		size_t ip_len = bytes_of(each, "ip", ip);

		addrs[at] = (struct addr){
			.family = ip_len == 4 ? ADDR_IPV4 : ADDR_IPV6,
			.port = (uint16_t)number_of(each, "port"),
		};
		memcpy(addrs[at].ip, ip, ip_len);
	}
	return (unsigned)json_array_size(list);
}

static void check_frame(struct writer *w, const uint8_t *want, size_t len)
{
	static uint8_t payload[BYTES_CAP];
	struct mesh_frame got, frame = {
				       .type = (uint32_t)number_of(vector, "type"),
				       .req_id = (uint32_t)number_of(vector, "req_id"),
				       .flags = (uint32_t)number_of(vector, "flags"),
				       .payload_len = bytes_of(vector, "payload", payload),
			       };
	int head_len = mesh_frame_parse(want, len, &got);

	mesh_frame_write(w, &frame);
	writer_bytes(w, payload, frame.payload_len);
	CHECK_EQ(head_len, len - frame.payload_len);
	CHECK_EQ(got.type, frame.type);
	CHECK_EQ(got.req_id, frame.req_id);
	CHECK_EQ(got.flags, frame.flags);
	CHECK_EQ(got.payload_len, frame.payload_len);
}

static void check_hello(struct writer *w, const uint8_t *want, size_t len)
{
	struct mesh_hello got, hello = {
				       .caps = (uint32_t)number_of(vector, "caps"),
				       .unix_s = number_of(vector, "unix_s"),
			       };

	hello.addr_cnt = addrs_of(hello.addrs);
	snprintf(hello.agent, sizeof(hello.agent), "%s", text_of(vector, "agent"));
	mesh_hello_write(w, &hello);
	CHECK_EQ(mesh_hello_parse(want, len, &got), 0);
	CHECK_MEM(&got, &hello, sizeof(got));
}

static void check_goodbye(struct writer *w, const uint8_t *want, size_t len)
{
	struct mesh_bye got, bye = {
				     .reason = number_of(vector, "reason"),
				     .not_before_ms = number_of(vector, "not_before_ms"),
			     };

	mesh_bye_write(w, &bye);
	CHECK_EQ(mesh_bye_parse(want, len, &got), 0);
	CHECK_MEM(&got, &bye, sizeof(got));
}

static void check_error(struct writer *w, const uint8_t *want, size_t len)
{
	struct mesh_error got, error = {
				       .code = (uint32_t)number_of(vector, "code"),
				       .not_before_ms = number_of(vector, "not_before_ms"),
			       };

	snprintf(error.text, sizeof(error.text), "%s", text_of(vector, "text"));
	mesh_error_write(w, &error);
	CHECK_EQ(mesh_error_parse(want, len, &got), 0);
	CHECK_EQ(got.code, error.code);
	CHECK_STR(got.text, error.text);
	CHECK_EQ(got.not_before_ms, error.not_before_ms);
}

static void check_request(struct writer *w, const uint8_t *want, size_t len)
{
	struct message_request got, request = {
					    .first = number_of(vector, "first"),
					    .cnt = number_of(vector, "cnt"),
				    };
	unsigned type = (unsigned)number_of(vector, "type");
	uint8_t bytes[MESSAGE_REQUEST_CAP];

	bytes_of(vector, "id", request.id);
	writer_bytes(w, bytes, blobs_message_request_write(type, &request, bytes));
	CHECK_EQ(blobs_message_request_parse(type, want, len, &got), 0);
	CHECK_MEM(&got, &request, sizeof(got));
}

static void check_answer(struct writer *w, const uint8_t *want, size_t len)
{
	static uint8_t bytes[BYTES_CAP];
	uint8_t end[MESSAGE_END_CAP];
	struct message_answer got, answer = {
					   .first = number_of(vector, "first"),
					   .total = number_of(vector, "total"),
					   .bytes = bytes,
					   .len = bytes_of(vector, "bytes", bytes),
				   };
	unsigned type = (unsigned)number_of(vector, "type");

	bytes_of(vector, "id", answer.id);
	blobs_message_answer_write_head(w, type, &answer);
	writer_bytes(w, bytes, answer.len);
	writer_bytes(w, end, blobs_message_answer_write_end(type, &answer, end));
	CHECK_EQ(blobs_message_answer_parse(type, want, len, &got), 0);
	CHECK_MEM(got.id, answer.id, 32);
	CHECK_EQ(got.first, answer.first);
	CHECK_EQ(got.total, answer.total);
	CHECK_EQ(got.len, answer.len);
	CHECK_MEM(got.bytes, answer.bytes, answer.len);
}

static void headers_of(struct service_http_headers *headers)
{
	static uint8_t values[SERVICE_HTTP_HEADERS_MAX][256];
	json_t *list = json_object_get(vector, "headers"), *each;
	size_t at;

	json_array_foreach(list, at, each)
	{
		const char *name = json_string_value(json_array_get(each, 0));
		size_t len = unhex(json_string_value(json_array_get(each, 1)), values[at]);

		headers->list[headers->cnt++] = (struct service_http_header){
			name, (const char *)values[at], strlen(name), len};
	}
}

static uint64_t body_len_of(void)
{
	return json_object_get(vector, "body_len") ? number_of(vector, "body_len")
						   : SERVICE_HTTP_BODY_LEN_UNTOLD;
}

static void check_http_request(struct writer *w, const uint8_t *want, size_t len)
{
	struct service_http_request got, request = {
						 .verb = text_of(vector, "verb"),
						 .verb_len = strlen(text_of(vector, "verb")),
						 .target = text_of(vector, "target"),
						 .target_len = strlen(text_of(vector, "target")),
						 .body_len = body_len_of(),
					 };

	headers_of(&request.headers);
	CHECK_EQ(service_http_request_write(w, &request), 0);
	CHECK_EQ(service_http_request_parse(want, len, &got), 0);
	CHECK_EQ(got.headers.cnt, request.headers.cnt);
	CHECK(got.body_len == request.body_len);
}

static void check_http_answer(struct writer *w, const uint8_t *want, size_t len)
{
	struct service_http_answer got, answer = {
						.status = (unsigned)number_of(vector, "status"),
						.body_len = body_len_of(),
					};

	headers_of(&answer.headers);
	CHECK_EQ(service_http_answer_write(w, &answer), 0);
	CHECK_EQ(service_http_answer_parse(want, len, &got), 0);
	CHECK_EQ(got.status, answer.status);
	CHECK(got.body_len == answer.body_len);
}

static void manifest_add(struct manifest_builder *builder)
{
	json_t *items = json_object_get(vector, "items");
	json_t *dirs = json_object_get(vector, "dirs"), *each;
	uint8_t id[32];
	size_t at;

	json_array_foreach(items, at, each)
	{
		struct manifest_item item = {
			.content_id = id,
			.size = number_of(each, "size"),
			.path = text_of(each, "path"),
			.path_len = strlen(text_of(each, "path")),
			.mtime_ns = number_of(each, "mtime_ns"),
			.is_executable = json_is_true(json_object_get(each, "executable")),
		};

		bytes_of(each, "id", id);
		CHECK_EQ(blobs_manifest_builder_add_item(builder, &item), 0);
	}
	json_array_foreach(dirs, at, each)
		CHECK_EQ(blobs_manifest_builder_add_dir(builder, json_string_value(each),
							json_string_length(each)),
			 0);
	json_array_foreach(json_object_get(vector, "links"), at, each)
	{
		const char *path = json_string_value(json_array_get(each, 0));
		const char *text = json_string_value(json_array_get(each, 1));
		const struct manifest_link link = {path, strlen(path), text, strlen(text)};

		CHECK_EQ(blobs_manifest_builder_add_link(builder, &link), 0);
	}
}

static void check_manifest(struct writer *w, const uint8_t *want, size_t len)
{
	struct manifest_builder *builder;
	struct manifest *manifest;
	const uint8_t *bytes;
	size_t bytes_len;

	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	manifest_add(builder);
	bytes = blobs_manifest_builder_encode(builder, MANIFEST_WHOLE,
					      number_of(vector, "created_s"),
					      text_of(vector, "title"), &bytes_len);
	writer_bytes(w, bytes, bytes_len);
	blobs_manifest_builder_free(builder);
	CHECK_EQ(blobs_manifest_parse(want, len, &manifest), 0);
	CHECK_EQ(manifest->item_cnt, json_array_size(json_object_get(vector, "items")));
	CHECK_EQ(manifest->dir_cnt, json_array_size(json_object_get(vector, "dirs")));
	CHECK_EQ(manifest->link_cnt, json_array_size(json_object_get(vector, "links")));
	CHECK_STR(manifest->title, text_of(vector, "title"));
	blobs_manifest_free(manifest);
}

static void check_link(void)
{
	struct link got, link = {.kind = LINK_COLLECTION};
	char text[LINK_TEXT_CAP];

	bytes_of(vector, "manifest_id", link.manifest_id);
	bytes_of(vector, "node_key", link.node_key);
	link.places.addr_cnt = addrs_of(link.places.addrs);
	CHECK_STR(blobs_link_write(&link, text), text_of(vector, "text"));
	CHECK_EQ(blobs_link_parse(text, &got), 0);
	CHECK_MEM(&got, &link, sizeof(got));
}

static void check_signed(struct writer *w, const uint8_t *want, size_t len)
{
	static uint8_t body[BYTES_CAP];
	size_t body_len = bytes_of(vector, "body", body);
	struct signed_object object;
	struct node_key *key;
	uint8_t seed[32];

	bytes_of(vector, "seed", seed);
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	signed_write(w, key, text_of(vector, "tag"), body, body_len);
	CHECK_EQ(signed_parse(want, len, &object), 0);
	CHECK_EQ(object.body_len, body_len);
	CHECK_MEM(object.body, body, body_len);
	CHECK_MEM(object.signer, node_key_public(key), NODE_KEY_LEN);
	CHECK_EQ(signed_verify(&object, text_of(vector, "tag")), 0);
	node_key_free(key);
}

static void check_descriptor(struct writer *w, const uint8_t *want, size_t len)
{
	struct service_descriptor got,
		made = {
			.created_s = number_of(vector, "created_s"),
			.expires_s = number_of(vector, "expires_s"),
			.seq = number_of(vector, "seq"),
			.is_gone = json_is_true(json_object_get(vector, "gone")),
		};
	json_t *metadata = json_object_get(vector, "metadata"), *value;
	struct node_key *key;
	uint8_t seed[32];
	const char *name;

	json_object_foreach(metadata, name, value) made.metadata[made.metadata_cnt++] =
		(struct service_pair){name, json_string_value(value), strlen(name),
				      json_string_length(value)};
	made.places.addr_cnt = addrs_of(made.places.addrs);
	snprintf(made.name, sizeof(made.name), "%s", text_of(vector, "name"));
	snprintf(made.version, sizeof(made.version), "%s", text_of(vector, "version"));
	bytes_of(vector, "seed", seed);
	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	CHECK_EQ(service_descriptor_write(w, key, &made), SERVICE_FINE);
	node_key_free(key);
	CHECK_EQ(service_descriptor_verify(want, len, made.created_s, &got), SERVICE_FINE);
	CHECK_MEM(got.id, made.id, sizeof(got.id));
	CHECK_STR(got.name, made.name);
	CHECK_STR(got.version, made.version);
	CHECK_EQ(got.metadata_cnt, made.metadata_cnt);
	CHECK_EQ(got.places.addr_cnt, made.places.addr_cnt);
	CHECK_MEM(got.places.addrs, made.places.addrs, sizeof(got.places.addrs));
	CHECK_EQ(got.expires_s, made.expires_s);
	CHECK_EQ(got.seq, made.seq);
	CHECK_EQ(got.is_gone, made.is_gone);
}

static const struct {
	const char *kind;
	void (*check)(struct writer *w, const uint8_t *want, size_t len);
} wire_kinds[] = {
	{"frame", check_frame},
	{"hello", check_hello},
	{"goodbye", check_goodbye},
	{"error", check_error},
	{"request", check_request},
	{"answer", check_answer},
	{"http_request", check_http_request},
	{"http_answer", check_http_answer},
	{"manifest", check_manifest},
	{"signed", check_signed},
	{"descriptor", check_descriptor},
};

/* The kind's check parses the vector and writes its fields; both must be the same bytes. */
static void check_wire(void)
{
	static uint8_t want[BYTES_CAP], got[BYTES_CAP];
	size_t len = bytes_of(vector, "hex", want);
	struct writer w = writer_of(got, sizeof(got));
	const char *kind = text_of(vector, "kind");

	if (strcmp(kind, "link") == 0) {
		check_link();
		return;
	}
	for (size_t i = 0; i < sizeof(wire_kinds) / sizeof(wire_kinds[0]); i++) {
		if (strcmp(wire_kinds[i].kind, kind) != 0)
			continue;
		wire_kinds[i].check(&w, want, len);
		if (check_failed)
			return;
		CHECK(!w.bad);
		CHECK_EQ(writer_len(&w), len);
		CHECK_MEM(got, want, len);
		return;
	}
	CHECK_STR(kind, "a kind of wire_kinds");
}

static void test_keys_agree(void)
{
	vectors_each("keys", check_key);
}

static void test_content_agrees(void)
{
	vectors_each("content", check_content);
}

static void test_wire_bytes_agree(void)
{
	vectors_each("wire", check_wire);
}

static void test_cbor_agrees(void)
{
	vectors_each("cbor", check_cbor);
}

int main(void)
{
	RUN(test_keys_agree);
	RUN(test_content_agrees);
	RUN(test_wire_bytes_agree);
	RUN(test_cbor_agrees);
	return check_done();
}
