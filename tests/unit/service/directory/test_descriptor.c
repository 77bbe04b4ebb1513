/* SPDX-License-Identifier: Apache-2.0 */
#include "service/directory/descriptor.h"

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "service/directory/service_id.h"
#include "service/directory/metadata.h"
#include "support/check.h"

#define WALL_S	  1700000000ull
#define NAME_65	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BYTES_CAP (SERVICE_DESCRIPTOR_LEN_MAX + 1024)

static struct node_key *key, *other_key;
static uint8_t bytes[BYTES_CAP];

/* A descriptor as any writer may make it, true or not; what is 0 is as it should be. */
struct forgery {
	const struct node_key *signer; /* NULL: key */
	const char *id_name;	       /* the id is that of this name */
	const char *name, *version;
	size_t filler_len; /* of an unknown field */
	unsigned endpoint_cnt, metadata_cnt;
	unsigned read_only_cnt;	  /* of names that ascend */
	const char *read_only[2]; /* these, in place of those */
	size_t metadata_len;	  /* at least; of keys and values */
	const char *metadata_key, *metadata_value;
	uint64_t created_s, expires_s;
	unsigned missing; /* bit per field that is left out */
};

static void endpoints_forge(struct writer *w, const struct forgery *f)
{
	struct addr addr = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000};
	struct peer_addr of = peer_addr_of(&addr);

	cbor_write_array(w, f->endpoint_cnt);
	for (unsigned i = 0; i < f->endpoint_cnt; i++)
		peer_addr_write(w, &of);
}

static void metadata_forge(struct writer *w, const struct forgery *f)
{
	static char value[8192];
	size_t left = f->metadata_len;

	memset(value, 'v', sizeof(value));
	if (f->metadata_key) {
		const char *text = f->metadata_value ? f->metadata_value : "x";

		cbor_write_map(w, 1);
		cbor_write_text(w, f->metadata_key, strlen(f->metadata_key));
		cbor_write_text(w, text, strlen(text));
		return;
	}
	cbor_write_map(w, f->metadata_cnt);
	for (unsigned i = 0; i < f->metadata_cnt; i++) {
		const char name[] = {'k', '0', (char)('0' + i)};
		size_t len = i + 1 == f->metadata_cnt && left > 3 ? left - 3 : 0;

		cbor_write_text(w, name, 3);
		cbor_write_text(w, value, len);
		left -= left > 3 ? 3 : left;
	}
}

static void field_forge(struct writer *w, const struct forgery *f, unsigned field)
{
	const char *name = f->name ? f->name : "pod-chat";
	const char *version = f->version ? f->version : "1.0.0";
	uint8_t id[SERVICE_ID_LEN];

	switch (field) {
	case 0:
		service_id_of(f->id_name	  ? f->id_name
			      : strlen(name) > 64 ? "a"
						  : name,
			      node_key_public(key), id);
		cbor_write_bytes(w, id, sizeof(id));
		break;
	case 1:
		cbor_write_text(w, name, strlen(name));
		break;
	case 2:
		cbor_write_text(w, version, strlen(version));
		break;
	case 3:
		cbor_write_bytes(w, node_key_public(key), NODE_KEY_LEN);
		break;
	case 4:
		endpoints_forge(w, f);
		break;
	case 5:
		metadata_forge(w, f);
		break;
	case 6:
		cbor_write_uint(w, f->created_s ? f->created_s : WALL_S);
		break;
	case 7:
		cbor_write_uint(w, f->expires_s ? f->expires_s : WALL_S + 3600);
		break;
	default:
		cbor_write_uint(w, 7);
	}
}

static void read_only_forge(struct writer *w, const struct forgery *f)
{
	char name[] = "a00";

	cbor_write_uint(w, 10);
	cbor_write_array(w, f->read_only[0] ? 1 + (f->read_only[1] != NULL) : f->read_only_cnt);
	for (unsigned i = 0; i < 2 && f->read_only[i]; i++)
		cbor_write_text(w, f->read_only[i], strlen(f->read_only[i]));
	for (unsigned i = 0; i < f->read_only_cnt; i++) {
		name[1] = (char)('0' + i / 10);
		name[2] = (char)('0' + i % 10);
		cbor_write_text(w, name, 3);
	}
}

static size_t forge(const struct forgery *f)
{
	static uint8_t body[BYTES_CAP], filler[BYTES_CAP];
	struct writer body_w = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));
	unsigned field_cnt = 9 - (unsigned)__builtin_popcount(f->missing);
	bool has_read_only = f->read_only_cnt || f->read_only[0];

	cbor_write_map(&body_w, field_cnt + has_read_only + (f->filler_len > 0));
	for (unsigned field = 0; field < 9; field++) {
		if (f->missing & 1u << field)
			continue;
		cbor_write_uint(&body_w, field);
		field_forge(&body_w, f, field);
	}
	if (has_read_only)
		read_only_forge(&body_w, f);
	if (f->filler_len) {
		cbor_write_uint(&body_w, 23);
		cbor_write_bytes(&body_w, filler, f->filler_len);
	}
	signed_write(&w, f->signer ? f->signer : key, SERVICE_DESCRIPTOR_TAG, body,
		     writer_len(&body_w));
	if (body_w.bad || w.bad)
		abort();
	return writer_len(&w);
}

static enum service_fault verify(size_t len)
{
	struct service_descriptor descriptor;

	return service_descriptor_verify(bytes, len, WALL_S, &descriptor);
}

static struct service_descriptor plain_descriptor(void)
{
	struct service_descriptor descriptor = {
		.name = "pod-chat",
		.version = "1.2.3",
		.created_s = WALL_S,
		.expires_s = WALL_S + 3600,
		.seq = 5,
		.places.addr_cnt = 2,
		.metadata_cnt = 3,
		.metadata = {{"kind", "http", 4, 4}, {"a", "", 1, 0}, {"room", "bl\xc3\xa5", 4, 4}},
	};

	for (unsigned i = 0; i < 2; i++)
		descriptor.places.addrs[i] = (struct addr){
			.family = i ? ADDR_IPV6 : ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000};
	return descriptor;
}

static size_t plain_write(void)
{
	struct service_descriptor descriptor = plain_descriptor();
	struct writer w = writer_of(bytes, sizeof(bytes));

	return service_descriptor_write(&w, key, &descriptor) ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	struct service_descriptor got, want = plain_descriptor();
	size_t len = plain_write();
	uint8_t id[SERVICE_ID_LEN];

	CHECK(len > 0);
	CHECK_EQ(service_descriptor_verify(bytes, len, WALL_S, &got), SERVICE_FINE);
	service_id_of("pod-chat", node_key_public(key), id);
	CHECK_MEM(got.id, id, sizeof(id));
	CHECK_MEM(got.owner, node_key_public(key), NODE_KEY_LEN);
	CHECK_STR(got.name, "pod-chat");
	CHECK_STR(got.version, "1.2.3");
	CHECK_EQ(got.major, 1);
	CHECK_EQ(got.seq, 5);
	CHECK_EQ(got.created_s, WALL_S);
	CHECK_EQ(got.expires_s, WALL_S + 3600);
	CHECK(!got.is_gone);
	CHECK_EQ(got.places.addr_cnt, 2);
	CHECK_MEM(got.places.addrs, want.places.addrs, 2 * sizeof(struct addr));
	CHECK_EQ(got.metadata_cnt, 3);
	CHECK_MEM(got.metadata[0].key, "a", 1);
	CHECK(service_descriptor_says(&got, "kind", "http"));
	CHECK(service_descriptor_says(&got, "a", ""));
	CHECK(!service_descriptor_says(&got, "kind", "htt"));
	CHECK(!service_descriptor_says(&got, "kin", "http"));
}

static void test_read_only_methods_are_read(void)
{
	static const char *const names[] = {"List", "Get", "GetAll"}, *const all[] = {"*"};
	struct service_descriptor got, descriptor = plain_descriptor();
	struct writer w = writer_of(bytes, sizeof(bytes));

	CHECK_EQ(plain_write() > 0, true);
	CHECK_EQ(service_descriptor_verify(bytes, plain_write(), WALL_S, &got), SERVICE_FINE);
	CHECK_EQ(got.read_only.cnt, 0); /* as an owner that knows no such field */
	CHECK(!service_read_only_has(&got.read_only, "Get"));
	CHECK_EQ(service_read_only_take(names, 3, &descriptor.read_only), SERVICE_FINE);
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_FINE);
	CHECK_EQ(service_descriptor_verify(bytes, writer_len(&w), WALL_S, &got), SERVICE_FINE);
	CHECK_EQ(got.read_only.cnt, 3);
	CHECK(service_read_only_has(&got.read_only, "Get"));
	CHECK(service_read_only_has(&got.read_only, "GetAll"));
	CHECK(!service_read_only_has(&got.read_only, "GetA"));
	CHECK(!service_read_only_has(&got.read_only, "Ge"));
	CHECK_EQ(service_read_only_take(all, 1, &got.read_only), SERVICE_FINE);
	CHECK(service_read_only_has(&got.read_only, "GetA"));
}

static void test_withdrawal_is_read(void)
{
	struct service_descriptor got, descriptor = plain_descriptor();
	struct writer w = writer_of(bytes, sizeof(bytes));

	descriptor.is_gone = true;
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_FINE);
	CHECK_EQ(service_descriptor_verify(bytes, writer_len(&w), WALL_S, &got), SERVICE_FINE);
	CHECK(got.is_gone);
}

static const struct {
	const char *why;
	struct forgery forgery;
	enum service_fault want;
} forgeries[] = {
	{"all as it should be", {0}, SERVICE_FINE},
	{"8 endpoints", {.endpoint_cnt = 8}, SERVICE_FINE},
	{"9 endpoints", {.endpoint_cnt = 9}, SERVICE_MANY_ENDPOINTS},
	{"10 entries of metadata", {.metadata_cnt = 10}, SERVICE_FINE},
	{"11 entries of metadata", {.metadata_cnt = 11}, SERVICE_MANY_METADATA},
	{"4,096 bytes of metadata", {.metadata_cnt = 1, .metadata_len = 4096}, SERVICE_FINE},
	{"4,097 bytes of metadata",
	 {.metadata_cnt = 1, .metadata_len = 4097},
	 SERVICE_LONG_METADATA},
	{"key email", {.metadata_key = "email"}, SERVICE_PRIVATE_METADATA},
	{"key without a letter", {.metadata_key = ""}, SERVICE_BAD_METADATA},
	{"escape in a value",
	 {.metadata_key = "a", .metadata_value = "\x1b[2J"},
	 SERVICE_BAD_METADATA},
	{"newline in a key", {.metadata_key = "a\nb"}, SERVICE_BAD_METADATA},
	{"32 read-only methods", {.read_only_cnt = 32}, SERVICE_FINE},
	{"33 read-only methods", {.read_only_cnt = 33}, SERVICE_MANY_READ_ONLY},
	{"a method of 64 letters", {.read_only = {&NAME_65[1]}}, SERVICE_FINE},
	{"a method of 65 letters", {.read_only = {NAME_65}}, SERVICE_BAD_READ_ONLY},
	{"a method of none", {.read_only = {""}}, SERVICE_BAD_READ_ONLY},
	{"a method with a space", {.read_only = {"a b"}}, SERVICE_BAD_READ_ONLY},
	{"a method twice", {.read_only = {"Get", "Get"}}, SERVICE_BAD_READ_ONLY},
	{"methods out of order", {.read_only = {"Get", "Fetch"}}, SERVICE_BAD_READ_ONLY},
	{"unknown field", {.filler_len = 1}, SERVICE_FINE},
	{"empty name", {.name = ""}, SERVICE_BAD_NAME},
	{"name with a space", {.name = "pod chat"}, SERVICE_BAD_NAME},
	{"name of 65", {.name = NAME_65}, SERVICE_BAD_NAME},
	{"version of two numbers", {.version = "1.0"}, SERVICE_BAD_VERSION},
	{"version of 33 bytes",
	 {.version = "1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	 SERVICE_BAD_VERSION},
	{"expires when it begins", {.created_s = WALL_S, .expires_s = WALL_S}, SERVICE_BAD_TIMES},
	{"expires before", {.created_s = WALL_S, .expires_s = WALL_S - 1}, SERVICE_BAD_TIMES},
	{"time beyond all reason",
	 {.created_s = WALL_S, .expires_s = UINT64_MAX},
	 SERVICE_MALFORMED},
	{"made 300 s ahead", {.created_s = WALL_S + 300, .expires_s = WALL_S + 3900}, SERVICE_FINE},
	{"made 301 s ahead",
	 {.created_s = WALL_S + 301, .expires_s = WALL_S + 3900},
	 SERVICE_FUTURE},
	{"expired 300 s ago", {.created_s = WALL_S - 900, .expires_s = WALL_S - 300}, SERVICE_FINE},
	{"expired 301 s ago",
	 {.created_s = WALL_S - 900, .expires_s = WALL_S - 301},
	 SERVICE_EXPIRED},
	{"lives a day, made an hour and 300 s ago",
	 {.created_s = WALL_S - 3900, .expires_s = WALL_S + 82500},
	 SERVICE_FINE},
	{"lives a day, made an hour and 301 s ago",
	 {.created_s = WALL_S - 3901, .expires_s = WALL_S + 82499},
	 SERVICE_EXPIRED},
	{"lives a second, made 360 s ago",
	 {.created_s = WALL_S - 360, .expires_s = WALL_S - 359},
	 SERVICE_FINE},
	{"id of another name", {.id_name = "pod-chas"}, SERVICE_WRONG_ID},
	{"no id", {.missing = 1u << 0}, SERVICE_MALFORMED},
	{"no name", {.missing = 1u << 1}, SERVICE_MALFORMED},
	{"no version", {.missing = 1u << 2}, SERVICE_MALFORMED},
	{"no owner", {.missing = 1u << 3}, SERVICE_MALFORMED},
	{"no endpoints", {.missing = 1u << 4}, SERVICE_MALFORMED},
	{"no metadata", {.missing = 1u << 5}, SERVICE_MALFORMED},
	{"no time", {.missing = 1u << 6}, SERVICE_MALFORMED},
	{"no end", {.missing = 1u << 7}, SERVICE_MALFORMED},
	{"no sequence number", {.missing = 1u << 8}, SERVICE_MALFORMED},
};

static void test_each_limit_has_its_fault(void)
{
	for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
		enum service_fault got = verify(forge(&forgeries[i].forgery));

		if (got != forgeries[i].want)
			printf("# %s: %s\n", forgeries[i].why, service_faults[got].word);
		CHECK_EQ(got, forgeries[i].want);
	}
}

static void test_longest_descriptor_and_one_byte_more(void)
{
	size_t len = forge(&(struct forgery){.filler_len = 1000});
	size_t filler_len = 1000 + SERVICE_DESCRIPTOR_LEN_MAX - len;

	len = forge(&(struct forgery){.filler_len = filler_len});
	CHECK_EQ(len, SERVICE_DESCRIPTOR_LEN_MAX);
	CHECK_EQ(verify(len), SERVICE_FINE);
	len = forge(&(struct forgery){.filler_len = filler_len + 1});
	CHECK_EQ(len, SERVICE_DESCRIPTOR_LEN_MAX + 1);
	CHECK_EQ(verify(len), SERVICE_TOO_LARGE);
}

static void test_foreign_owner_is_refused(void)
{
	CHECK_EQ(verify(forge(&(struct forgery){.signer = other_key})), SERVICE_FOREIGN_OWNER);
}

/* The foreign signer names the true owner as the signer, too. */
static void test_borrowed_name_of_a_signer_is_a_bad_signature(void)
{
	size_t len = forge(&(struct forgery){.signer = other_key});

	memcpy(bytes + len - NODE_KEY_SIG_LEN - 3 - NODE_KEY_LEN, node_key_public(key),
	       NODE_KEY_LEN);
	CHECK_EQ(verify(len), SERVICE_BAD_SIGNATURE);
}

static void test_flipped_byte_anywhere_is_refused(void)
{
	size_t len = plain_write(), bad_signature_cnt = 0;

	for (size_t at = 0; at < len; at++)
		for (unsigned mask = 1; mask < 256; mask = mask == 128 ? 255 : 2 * mask) {
			enum service_fault fault;

			bytes[at] ^= (uint8_t)mask;
			fault = verify(len);
			bytes[at] ^= (uint8_t)mask;
			CHECK(fault != SERVICE_FINE);
			bad_signature_cnt += fault == SERVICE_BAD_SIGNATURE;
			if (mask == 255)
				break;
		}
	/* The signature's own bytes at least, whatever the others turn into. */
	CHECK(bad_signature_cnt >= 9 * NODE_KEY_SIG_LEN);
	CHECK_EQ(verify(len), SERVICE_FINE);
}

static void test_every_prefix_is_refused(void)
{
	size_t len = plain_write();

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		struct service_descriptor descriptor;

		memcpy(exact, bytes, cut);
		CHECK_EQ(service_descriptor_verify(exact, cut, WALL_S, &descriptor),
			 SERVICE_MALFORMED);
		free(exact);
	}
}

static void test_private_keys(void)
{
	static const struct {
		const char *key;
		bool is_private;
	} rows[] = {
		{"username", true},   {"email", true},	       {"ip", true},
		{"IP", true},	      {"Email", true},	       {"USERNAME", true},
		{"ip-address", true}, {"my_ip", true},	       {"owner.email", true},
		{"publicIp", true},   {"publicIP", true},      {"IPAddress", true},
		{"ownerEmail", true}, {"ipv4", true},	       {"IPv6", true},
		{"ip4", true},	      {"4ip", true},	       {"emailAddress", true},
		{"\xc3\xa4ip", true}, {"zip", false},	       {"description", false},
		{"ipsum", false},     {"recipe", false},       {"shipping", false},
		{"emailed", false},   {"usernames", false},    {"user", false},
		{"name", false},      {"relationship", false}, {"SHIP", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service_pair pair = {rows[i].key, "x", strlen(rows[i].key), 1};
		enum service_fault got = service_metadata_check(&pair, 1);

		if (got != (rows[i].is_private ? SERVICE_PRIVATE_METADATA : SERVICE_FINE))
			printf("# %s\n", rows[i].key);
		CHECK_EQ(got, rows[i].is_private ? SERVICE_PRIVATE_METADATA : SERVICE_FINE);
	}
}

/* What is refused of others is refused before it is signed, with the same words. */
static void test_offerings_are_held_to_the_limits(void)
{
	static char long_value[4097];
	struct service_metadata eleven[11], one = {"key", long_value};
	char keys[11][12];
	struct service_offering offering = {.name = "echo", .version = "1.0.0"};

	CHECK_EQ(service_descriptor_check(&offering), SERVICE_FINE);
	for (unsigned i = 0; i < 11; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		eleven[i] = (struct service_metadata){keys[i], "v"};
	}
	offering.metadata = eleven;
	offering.metadata_cnt = 10;
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_FINE);
	offering.metadata_cnt = 11;
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_MANY_METADATA);
	eleven[1].key = "k0";
	offering.metadata_cnt = 2;
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_BAD_METADATA);
	eleven[1].key = "email";
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_PRIVATE_METADATA);
	offering.metadata = &one;
	offering.metadata_cnt = 1;
	memset(long_value, 'v', 4093);
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_FINE);
	long_value[4093] = 'v';
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_LONG_METADATA);
	offering.metadata_cnt = 0;
	offering.version = "1";
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_BAD_VERSION);
	offering.name = NAME_65;
	CHECK_EQ(service_descriptor_check(&offering), SERVICE_BAD_NAME);
}

static void test_nothing_faulty_is_signed(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_descriptor descriptor = plain_descriptor();

	descriptor.expires_s = descriptor.created_s;
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_BAD_TIMES);
	descriptor = plain_descriptor();
	descriptor.places.addr_cnt = 9;
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_MANY_ENDPOINTS);
	descriptor = plain_descriptor();
	descriptor.metadata[1].key = "ip";
	descriptor.metadata[1].key_len = 2;
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_PRIVATE_METADATA);
	descriptor = plain_descriptor();
	descriptor.version[0] = 'x';
	CHECK_EQ(service_descriptor_write(&w, key, &descriptor), SERVICE_BAD_VERSION);
	CHECK_EQ(writer_len(&w), 0);
}

static void test_faults_of_counts_are_described_in_words(void)
{
	uint32_t cnts[SERVICE_FAULT_CNT] = {0};
	char text[SERVICE_FAULTS_TEXT_CAP];

	CHECK_STR(service_faults_write(cnts, text, sizeof(text)), "");
	cnts[SERVICE_EXPIRED] = 1;
	cnts[SERVICE_BAD_SIGNATURE] = 2;
	cnts[SERVICE_BANNED] = 3;
	CHECK_STR(service_faults_write(cnts, text, sizeof(text)),
		  "1 expired, 2 bad signature, 3 banned");
	for (unsigned i = 0; i < SERVICE_FAULT_CNT; i++)
		cnts[i] = UINT32_MAX;
	service_faults_write(cnts, text, sizeof(text));
	CHECK(strlen(text) < sizeof(text) - 1);
	CHECK_STR(service_faults_write(cnts, text, 8), "4294967");
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &key) < 0 || node_key_from_seed(other_seed, &other_key) < 0)
		return 1;
	RUN(test_what_is_written_is_read);
	RUN(test_read_only_methods_are_read);
	RUN(test_withdrawal_is_read);
	RUN(test_each_limit_has_its_fault);
	RUN(test_longest_descriptor_and_one_byte_more);
	RUN(test_foreign_owner_is_refused);
	RUN(test_borrowed_name_of_a_signer_is_a_bad_signature);
	RUN(test_flipped_byte_anywhere_is_refused);
	RUN(test_every_prefix_is_refused);
	RUN(test_private_keys);
	RUN(test_offerings_are_held_to_the_limits);
	RUN(test_nothing_faulty_is_signed);
	RUN(test_faults_of_counts_are_described_in_words);
	node_key_free(other_key);
	node_key_free(key);
	return check_done();
}
