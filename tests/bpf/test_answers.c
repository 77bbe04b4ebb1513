/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the BPF program sends by itself, byte for byte, and what becomes of
 * the tokens it hands out.
 */
#include <string.h>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <openssl/evp.h>

#include "bpf/support/answered.h"
#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "net/ingress/ingress_policy.h"
#include "weft/frame.h"

#define SECOND_NS 1000000000ull
#define NOW_NS	  (1000 * SECOND_NS)
#define NOW_S	  ((uint32_t)(PARITY_RIG_WALL_S + 1000))

static struct parity_rig rig;
static struct payload_keys keys;

static struct packet packet_of(bool is_ipv6, unsigned vlan_cnt)
{
	return (struct packet){
		.source = packet_endpoint(is_ipv6 ? "2001:db8:1:2::3" : "192.0.2.1", 4242),
		.local = packet_endpoint(is_ipv6 ? "2001:db8::1" : "10.0.0.1", 7000),
		.vlan_cnt = vlan_cnt,
	};
}

static void set_state(enum weft_mode mode)
{
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};
	struct weft_endpoint v4 = packet_of(false, 0).local, v6 = packet_of(true, 0).local;

	config.mode = mode;
	config.queue_workers[0] = 5;
	weft_locals_put(&locals, &v4);
	weft_locals_put(&locals, &v6);
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_cid_keys(&rig, &keys.cid);
	parity_rig_set_token_keys(&rig, &keys.token);
	parity_rig_set_now(&rig, NOW_NS);
}

static enum weft_reason judge(struct packet *packet, const uint8_t *payload, size_t len,
			      struct parity_rig_verdict *verdict)
{
	return answered_judge(&rig, packet, payload, len, verdict);
}

static void test_version_negotiation_swaps_ids_of_every_length(void)
{
	uint8_t payload[PAYLOAD_LEN_MAX], want[PAYLOAD_LEN_MAX];

	set_state(WEFT_MODE_NORMAL);
	for (unsigned i = 0; i < 256 * 6; i++) {
		unsigned dcid_len = i % 256, scid_len = (i * 37 + i / 256) % 256;
		struct packet packet = packet_of(i & 1, i % 3);
		struct parity_rig_verdict verdict;
		uint8_t *at = want;

		memset(payload, 0, sizeof(payload));
		memcpy(payload, "\xff\x6b\x33\x43\xcf", 5);
		payload[5] = (uint8_t)dcid_len;
		memset(payload + 6, 0xd1, dcid_len);
		payload[6 + dcid_len] = (uint8_t)scid_len;
		memset(payload + 7 + dcid_len, 0x5c, scid_len);
		memcpy(at, "\xc0\0\0\0", 5);
		at += 5;
		*at++ = (uint8_t)scid_len;
		at = (uint8_t *)memset(at, 0x5c, scid_len) + scid_len;
		*at++ = (uint8_t)dcid_len;
		at = (uint8_t *)memset(at, 0xd1, dcid_len) + dcid_len;
		memcpy(at, "\0\0\0\1\x1a\x2a\x3a\x4a", 8);
		at += 8;

		parity_rig_set_now(&rig, rig.native.now_ns + SECOND_NS);
		CHECK_EQ(judge(&packet, payload, 1200, &verdict), WEFT_REASON_VERSION_SENT);
		CHECK(answered_is_way_back(&packet, &verdict.result, (size_t)(at - want)));
		CHECK_MEM(verdict.result.bytes + packet_headers_len(&packet), want,
			  (size_t)(at - want));
	}
}

static struct weft_id id_of(const uint8_t *at, unsigned len)
{
	uint8_t room[WEFT_ID_ROOM_LEN] = {0};
	struct weft_id id;

	memcpy(room, at, len);
	weft_id_load(&id, room, len);
	return id;
}

/* The Retry that userspace would make, by the same header. */
#define weft_call_ghash weft_ghash_absorb
#include "weft/retry.h"

static struct weft_ghash ghash;

static size_t retry_of(const struct packet *packet, const uint8_t *payload, uint32_t now_s,
		       const uint8_t **out_bytes)
{
	static struct weft_retry_draft draft;
	unsigned dcid_len = payload[5];
	struct weft_retry retry = {
		.dcid = id_of(payload + 6, dcid_len),
		.scid = id_of(payload + 7 + dcid_len, payload[6 + dcid_len]),
		.client = packet->source,
		.now_s = now_s,
		.worker = 5,
	};
	size_t len = weft_retry_write(&keys.cid, &keys.token, &ghash, &retry, &draft);

	*out_bytes = draft.bytes + weft_retry_begin(&retry);
	return len;
}

/* The tag by the book (RFC 9001 5.8): AES-128-GCM of nothing, with the pseudo-packet as data. */
static bool tag_by_gcm(const uint8_t *pseudo, size_t len, uint8_t out_tag[16])
{
	static const uint8_t key[16] = {0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a,
					0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e};
	static const uint8_t nonce[12] = {0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63,
					  0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb};
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int none;
	bool is_made = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) &&
		       EVP_EncryptUpdate(ctx, NULL, &none, pseudo, (int)len) &&
		       EVP_EncryptFinal_ex(ctx, out_tag, &none) &&
		       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out_tag);

	EVP_CIPHER_CTX_free(ctx);
	return is_made;
}

/* RFC 9001 A.4: a Retry for 8394c8f03e515708, from f067a5502a4262b5, with the token "token". */
static void test_integrity_tag_is_that_of_rfc_9001(void)
{
	static const uint8_t pseudo[] = "\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08"
					"\xff\x00\x00\x00\x01\x00\x08\xf0\x67\xa5\x50\x2a\x42\x62"
					"\xb5token";
	static const uint8_t want[16] = {0x04, 0xa2, 0x65, 0xba, 0x2e, 0xff, 0x4d, 0x82,
					 0x90, 0x58, 0xfb, 0x3f, 0x0f, 0x24, 0x96, 0xba};
	const size_t len = sizeof(pseudo) - 1;
	struct weft_retry_draft draft = {{0}};
	/* Whole blocks, the last of them at the draft's end. */
	uint8_t *begin = draft.bytes + WEFT_RETRY_PSEUDO_LEN - (len + 15) / 16 * 16, tag[16];

	memcpy(begin, pseudo, len);
	weft_retry_tag(&ghash, &draft, (__u32)len, begin + len);
	CHECK_MEM(begin + len, want, sizeof(want));
	CHECK(tag_by_gcm(pseudo, len, tag));
	CHECK_MEM(tag, want, sizeof(want));
}

/* What the program sent carries the tag that a client will compute. */
static bool has_good_tag(const uint8_t *retry, size_t len, const uint8_t *dcid, size_t dcid_len)
{
	uint8_t pseudo[256], tag[16];

	pseudo[0] = (uint8_t)dcid_len;
	memcpy(pseudo + 1, dcid, dcid_len);
	memcpy(pseudo + 1 + dcid_len, retry, len - sizeof(tag));
	return tag_by_gcm(pseudo, 1 + dcid_len + len - sizeof(tag), tag) &&
	       memcmp(retry + len - sizeof(tag), tag, sizeof(tag)) == 0;
}

static void test_retry_for_ids_of_every_length(void)
{
	uint8_t payload[PAYLOAD_LEN_MAX];

	set_state(WEFT_MODE_PRESSURED);
	for (unsigned dcid_len = 8; dcid_len <= 20; dcid_len++) {
		for (unsigned scid_len = 0; scid_len <= 20; scid_len++) {
			struct payload_long spec = {.dcid_len = dcid_len, .scid_len = scid_len};
			struct packet packet = packet_of(scid_len & 1, scid_len % 3);
			size_t len = payload_write_long(&keys, &spec, payload);
			struct parity_rig_verdict verdict;
			const uint8_t *want, *got;
			size_t want_len = retry_of(&packet, payload, NOW_S, &want);

			CHECK(want_len > 0 && want_len < 1200);
			CHECK_EQ(judge(&packet, payload, len, &verdict), WEFT_REASON_RETRY_SENT);
			CHECK(answered_is_way_back(&packet, &verdict.result, want_len));
			got = verdict.result.bytes + packet_headers_len(&packet);
			CHECK_MEM(got, want, want_len);
			CHECK(has_good_tag(got, want_len, payload + 6, dcid_len));
		}
	}
}

/* A client takes the program's Retry and comes back with what it holds. */
static size_t come_back(const struct program_result *result, size_t heads_len, const uint8_t *first,
			uint8_t *payload)
{
	const uint8_t *retry = result->bytes + heads_len;
	size_t scid_len = retry[5], off = 6 + scid_len;

	memcpy(payload, first, PAYLOAD_LEN_MAX);
	payload[5] = WEFT_CID_LEN;
	memcpy(payload + 6, retry + off + 1, WEFT_CID_LEN);
	payload[22] = (uint8_t)scid_len;
	memcpy(payload + 23, retry + 6, scid_len);
	payload[23 + scid_len] = WEFT_TOKEN_LEN;
	memcpy(payload + 24 + scid_len, retry + off + 1 + WEFT_CID_LEN, WEFT_TOKEN_LEN);
	return 1200;
}

static void test_retry_token_is_accepted_and_validates_its_source(void)
{
	uint8_t first[PAYLOAD_LEN_MAX], second[PAYLOAD_LEN_MAX], again[PAYLOAD_LEN_MAX];
	const struct payload_long spec = {.dcid_len = 11, .scid_len = 5};
	struct parity_rig_verdict verdict;

	for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		struct packet packet = packet_of(is_ipv6, 0);
		size_t heads_len = packet_headers_len(&packet);
		const struct weft_validated *validated;
		int way;

		set_state(WEFT_MODE_PRESSURED);
		CHECK_EQ(judge(&packet, first, payload_write_long(&keys, &spec, first), &verdict),
			 WEFT_REASON_RETRY_SENT);
		/* The id in it is one of this node, for the queue's worker. */
		CHECK(weft_cid_is_ours(&keys.cid, verdict.result.bytes + heads_len + 6 + 5 + 1));
		CHECK_EQ(weft_cid_worker(verdict.result.bytes + heads_len + 6 + 5 + 1), 5);
		(void)come_back(&verdict.result, heads_len, first, second);
		CHECK_EQ(judge(&packet, second, 1200, &verdict), WEFT_REASON_RETRIED);
		way = weft_validated_way(&rig.native, &packet.source);
		CHECK(way >= 0);
		validated = weft_validated_at(&rig.native, &packet.source, (__u32)way);
		CHECK_EQ(validated->expires_ns, NOW_NS + rig.native.config.token_life_ns);
		CHECK(!parity_rig_compare_tables(&rig));
		/* Proven: another first packet needs no Retry. */
		CHECK_EQ(judge(&packet, again, payload_write_long(&keys, &spec, again), &verdict),
			 WEFT_REASON_INITIAL);
	}
}

static void test_replayed_retry_spends_its_own_credit(void)
{
	uint8_t first[PAYLOAD_LEN_MAX], second[PAYLOAD_LEN_MAX];
	const struct payload_long spec = {.dcid_len = 8};
	struct packet packet = packet_of(false, 0);
	struct weft_config config;
	struct parity_rig_verdict verdict;

	set_state(WEFT_MODE_PRESSURED);
	config = rig.native.config;
	config.validated =
		(struct weft_bucket_rate){.cost_ns = SECOND_NS, .credit_max_ns = 3 * SECOND_NS};
	parity_rig_set_config(&rig, &config);
	CHECK_EQ(judge(&packet, first, payload_write_long(&keys, &spec, first), &verdict),
		 WEFT_REASON_RETRY_SENT);
	(void)come_back(&verdict.result, packet_headers_len(&packet), first, second);
	/* The first makes the entry that pays for the others. */
	for (unsigned i = 0; i < 1 + 3; i++)
		CHECK_EQ(judge(&packet, second, 1200, &verdict), WEFT_REASON_RETRIED);
	CHECK_EQ(judge(&packet, second, 1200, &verdict), WEFT_REASON_INITIAL_LIMIT);
	CHECK(!parity_rig_compare_tables(&rig));
}

static void test_token_is_valid_only_for_its_own_source(void)
{
	static const struct {
		const char *name;
		enum weft_reason want;
		uint8_t kind;
		int age_s;
		unsigned flip;
		bool is_other_addr, is_other_port, is_other_id, is_no_id, is_old_key, is_other_node;
	} rows[] = {
		/* clang-format off */
		{ "Retry token at once", WEFT_REASON_RETRIED, WEFT_TOKEN_RETRY, .age_s = 0 },
		{ "Retry token at its last second", WEFT_REASON_RETRIED, WEFT_TOKEN_RETRY, .age_s = 10 },
		{ "Retry token a second later", WEFT_REASON_LATE_TOKEN, WEFT_TOKEN_RETRY, .age_s = 11 },
		{ "clock set back by two seconds", WEFT_REASON_RETRIED, WEFT_TOKEN_RETRY, .age_s = -2 },
		{ "clock set back by three seconds", WEFT_REASON_LATE_TOKEN, WEFT_TOKEN_RETRY, .age_s = -3 },
		{ "Retry token of another address", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .is_other_addr = 1 },
		{ "Retry token of another port", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .is_other_port = 1 },
		{ "Retry token under another id of ours", WEFT_REASON_NEW_PATH, WEFT_TOKEN_RETRY, .is_other_id = 1 },
		{ "late Retry token under another id of ours", WEFT_REASON_NEW_PATH, WEFT_TOKEN_RETRY, .age_s = 11, .is_other_id = 1 },
		{ "Retry token under an id of nobody", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .is_no_id = 1 },
		{ "late known token under an id of ours", WEFT_REASON_NEW_PATH, WEFT_TOKEN_KNOWN, .age_s = 2 * 86400 + 1, .is_other_id = 1 },
		{ "Retry token of an old key", WEFT_REASON_UNKEYED_TOKEN, WEFT_TOKEN_RETRY, .is_old_key = 1 },
		{ "Retry token of another node", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .is_other_node = 1 },
		{ "Retry token with a kind of none", WEFT_REASON_RETRY_SENT, WEFT_TOKEN_RETRY, .flip = 1 },
		{ "Retry token with a long id", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .flip = 22 },
		{ "Retry token with a byte that is none", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .flip = 25 },
		{ "Retry token with another time", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .flip = 64 },
		{ "Retry token with another id in it", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .flip = 65 },
		{ "Retry token with a tag's last bit turned", WEFT_REASON_BAD_TOKEN, WEFT_TOKEN_RETRY, .flip = 288 },
		{ "known token", WEFT_REASON_KNOWN, WEFT_TOKEN_KNOWN, .age_s = 0 },
		{ "known token of yesterday", WEFT_REASON_KNOWN, WEFT_TOKEN_KNOWN, .age_s = 86400 },
		{ "known token at its last second", WEFT_REASON_KNOWN, WEFT_TOKEN_KNOWN, .age_s = 2 * 86400 },
		{ "known token a second later is none", WEFT_REASON_RETRY_SENT, WEFT_TOKEN_KNOWN, .age_s = 2 * 86400 + 1 },
		{ "known token from another port", WEFT_REASON_KNOWN, WEFT_TOKEN_KNOWN, .is_other_port = 1 },
		{ "known token under another id", WEFT_REASON_KNOWN, WEFT_TOKEN_KNOWN, .is_other_id = 1 },
		{ "known token of another address is none", WEFT_REASON_RETRY_SENT, WEFT_TOKEN_KNOWN, .is_other_addr = 1 },
		{ "known token of an old key is none", WEFT_REASON_RETRY_SENT, WEFT_TOKEN_KNOWN, .is_old_key = 1 },
		/* clang-format on */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet packet = packet_of(i & 1, 0);
		struct payload_long spec = {
			.dcid = rows[i].is_other_id ? PAYLOAD_ID_OURS
				: rows[i].is_no_id  ? PAYLOAD_ID_NOISE
						    : PAYLOAD_ID_RETRY,
			.token = {.kind = rows[i].kind,
				  .client = packet.source,
				  .issued_s = NOW_S - (uint32_t)rows[i].age_s,
				  .flip = rows[i].flip},
		};
		struct payload_keys maker = keys;
		struct parity_rig_verdict verdict;
		uint8_t payload[PAYLOAD_LEN_MAX];
		enum weft_reason got;

		/* Four days ago another key was in its place. */
		if (rows[i].is_old_key) {
			spec.token.issued_s -= 4 * 86400;
			payload_keys_init(&maker, spec.token.issued_s);
		}
		for (unsigned slot = 0; slot < WEFT_TOKEN_KEY_CNT; slot++)
			maker.token.slots[slot].key[1] += rows[i].is_other_node;
		if (rows[i].is_other_addr)
			spec.token.client.addr[15] ^= 1;
		if (rows[i].is_other_port)
			spec.token.client.port_be ^= 1;
		set_state(WEFT_MODE_PRESSURED);
		got = judge(&packet, payload, payload_write_long(&maker, &spec, payload), &verdict);
		if (got != rows[i].want)
			printf("# %s: %s\n", rows[i].name, weft_reason_word(verdict.reason));
		CHECK_EQ(got, rows[i].want);
	}
}

/* 65,535 ports of one address compete for eight places; no other source notices. */
static void test_tokens_from_all_ports_of_an_address_fill_its_own_set(void)
{
	struct packet packet = packet_of(false, 0);
	struct payload_long spec = {.dcid = PAYLOAD_ID_RETRY,
				    .token = {.kind = WEFT_TOKEN_RETRY, .issued_s = NOW_S}};
	struct weft_endpoint other = packet_endpoint("100.64.0.9", 1);
	unsigned validated_cnt = 0, other_cnt = 0;
	uint8_t payload[PAYLOAD_LEN_MAX];
	struct parity_rig_verdict verdict;

	set_state(WEFT_MODE_PRESSURED);
	parity_rig_prove(&rig, &other);
	for (unsigned port = 1; port < 2000; port++) {
		packet.source.port_be = htons((uint16_t)port);
		spec.token.client = packet.source;
		CHECK_EQ(judge(&packet, payload, payload_write_long(&keys, &spec, payload),
			       &verdict),
			 WEFT_REASON_RETRIED);
	}
	for (unsigned port = 1; port < 2000; port++) {
		packet.source.port_be = htons((uint16_t)port);
		validated_cnt += weft_validated_way(&rig.native, &packet.source) >= 0;
	}
	CHECK_EQ(validated_cnt, WEFT_VALIDATED_WAY_CNT);
	CHECK(weft_validated_way(&rig.native, &other) >= 0);
	for (unsigned i = 0; i < WEFT_VALIDATED_SET_CNT; i++)
		for (unsigned way = 0; way < WEFT_VALIDATED_WAY_CNT; way++)
			other_cnt += rig.native.validated[i].ways[way].expires_ns != 0;
	CHECK_EQ(other_cnt, WEFT_VALIDATED_WAY_CNT + 1);
	CHECK_EQ(rig.native.sessions.used_cnt, 0);
	CHECK(!parity_rig_compare_tables(&rig));
}

/* One NEW_TOKEN was good from 65,535 ports, and filled the map with them. */
static void test_known_token_makes_no_entry_and_pays_from_its_address(void)
{
	struct packet packet = packet_of(false, 0);
	struct payload_long spec = {.token = {.kind = WEFT_TOKEN_KNOWN, .issued_s = NOW_S}};
	uint8_t payload[PAYLOAD_LEN_MAX];
	struct parity_rig_verdict verdict;
	struct weft_config config;
	unsigned cnts[2] = {0};

	set_state(WEFT_MODE_PRESSURED);
	config = rig.native.config;
	config.rates[WEFT_CLASS_KNOWN][0] = (struct weft_bucket_rate){SECOND_NS, 5 * SECOND_NS};
	parity_rig_set_config(&rig, &config);
	for (unsigned port = 1; port < 100; port++) {
		enum weft_reason reason;

		packet.source.port_be = htons((uint16_t)port);
		spec.token.client = packet.source;
		reason = judge(&packet, payload, payload_write_long(&keys, &spec, payload),
			       &verdict);
		cnts[reason == WEFT_REASON_RETRY_SENT]++;
		CHECK(reason == WEFT_REASON_KNOWN || reason == WEFT_REASON_RETRY_SENT);
		CHECK_EQ(weft_validated_way(&rig.native, &packet.source), -1);
	}
	CHECK_EQ(cnts[0], 5);
	/* A neighbour of that address is not charged. */
	packet.source = spec.token.client = packet_endpoint("192.0.2.200", 5);
	CHECK_EQ(judge(&packet, payload, payload_write_long(&keys, &spec, payload), &verdict),
		 WEFT_REASON_KNOWN);
	CHECK(!parity_rig_compare_tables(&rig));
}

static void test_without_todays_key_no_retry_is_sent(void)
{
	const struct weft_token_keys none = {0};
	const struct payload_long spec = {.dcid_len = 8};
	struct packet packet = packet_of(false, 0);
	uint8_t payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX];
	struct parity_rig_verdict verdict;

	set_state(WEFT_MODE_PRESSURED);
	parity_rig_set_token_keys(&rig, &none);
	packet.payload = payload;
	packet.payload_len = payload_write_long(&keys, &spec, payload);
	CHECK(parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict));
	CHECK_EQ(verdict.reason, WEFT_REASON_RETRY_SENT);
	CHECK_EQ(verdict.result.action, XDP_DROP);
	CHECK_EQ(program_count(&rig.program, WEFT_REASON_ANSWER_FAILED), 1);
}

int main(void)
{
	const char *why = parity_rig_open(&rig);

	payload_keys_init(&keys, NOW_S);
	weft_ghash_fill(&ghash);
	if (why)
		SKIP_ALL(why);
	answered_pcap_open();
	RUN(test_integrity_tag_is_that_of_rfc_9001);
	RUN(test_version_negotiation_swaps_ids_of_every_length);
	RUN(test_retry_for_ids_of_every_length);
	RUN(test_retry_token_is_accepted_and_validates_its_source);
	RUN(test_replayed_retry_spends_its_own_credit);
	RUN(test_token_is_valid_only_for_its_own_source);
	RUN(test_tokens_from_all_ports_of_an_address_fill_its_own_set);
	RUN(test_known_token_makes_no_entry_and_pays_from_its_address);
	RUN(test_without_todays_key_no_retry_is_sent);
	parity_rig_close(&rig);
	answered_pcap_close();
	return check_done();
}
