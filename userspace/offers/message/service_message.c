/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_message.h"

#include <string.h>

#include "crypto/blake3/blake3.h"
#include "crypto/sha256.h"
#include "crypto/statement.h"

#define FULL_COVER_BIT 0x80u
#define S_PER_HOUR     3600u

/* What each form covers in front of the payload. */
#define SEED_COVER_LEN 6u
#define FULL_COVER_LEN (17u + SERVICE_MESSAGE_ADDRESS_LEN)

static const uint8_t zeros[NODE_KEY_SIG_LEN];

_Static_assert(FULL_COVER_LEN + SERVICE_MESSAGE_PAYLOAD_MAX <= STATEMENT_BODY_LEN_ON_STACK,
	       "the longest message is signed and verified without memory");
_Static_assert(SERVICE_MESSAGE_ADDRESS_LEN <= SHA256_HASH_LEN, "an address begins a hash");

/* --- numbers --- */

static uint64_t le_read(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);
	uint64_t value = 0;

	for (size_t i = 0; at && i < len; i++)
		value |= (uint64_t)at[i] << 8 * i;
	return value;
}

static void le_write(struct writer *w, uint64_t value, size_t len)
{
	uint8_t *at = writer_reserve(w, len);

	for (size_t i = 0; at && i < len; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* --- reading --- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return memcmp(bytes, zeros, len) == 0;
}

enum service_message_proof offers_message_proof(const struct service_message *msg)
{
	switch (msg->type) {
	case SERVICE_MESSAGE_QUERY:
	case SERVICE_MESSAGE_RESPONSE:
		return SERVICE_MESSAGE_PROOF_NONE;
	case SERVICE_MESSAGE_RESERVE:
		return SERVICE_MESSAGE_PROOF_SEAL;
	case SERVICE_MESSAGE_CANCEL:
		return is_zero(msg->signature, NODE_KEY_SIG_LEN) ? SERVICE_MESSAGE_PROOF_SEAL
								 : SERVICE_MESSAGE_PROOF_SIGNATURE;
	case SERVICE_MESSAGE_ANNOUNCE:
	case SERVICE_MESSAGE_CONFIRM:
	case SERVICE_MESSAGE_UPDATE:
	case SERVICE_MESSAGE_REVOKE:
		return SERVICE_MESSAGE_PROOF_SIGNATURE;
	default:
		return SERVICE_MESSAGE_PROOF_UNKNOWN;
	}
}

/* The form of a signature is said where there is one, so that a message is written in one way. */
static bool outer_is_right(const struct service_message *msg)
{
	enum service_message_proof proof = offers_message_proof(msg);
	bool has_address = !is_zero(msg->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	bool has_signature = !is_zero(msg->signature, NODE_KEY_SIG_LEN);

	if (proof == SERVICE_MESSAGE_PROOF_UNKNOWN)
		return true;
	if (msg->service == OFFERS_ANY_SERVICE && msg->type != SERVICE_MESSAGE_QUERY)
		return false;
	if (proof == SERVICE_MESSAGE_PROOF_SIGNATURE)
		return has_address && has_signature;
	return has_address == (proof == SERVICE_MESSAGE_PROOF_SEAL) && !has_signature &&
	       !msg->is_full_cover;
}

int offers_message_parse(const void *bytes, size_t len, struct service_message *out_msg)
{
	struct cursor c = cursor_of(bytes, len);
	struct service_message msg;
	uint8_t version;

	msg.service = (uint32_t)le_read(&c, 4);
	msg.type = cursor_u8(&c);
	version = cursor_u8(&c);
	msg.version = version & (FULL_COVER_BIT - 1);
	msg.is_full_cover = version & FULL_COVER_BIT;
	msg.payload_len = (size_t)le_read(&c, 2);
	msg.provider = cursor_bytes(&c, SERVICE_MESSAGE_ADDRESS_LEN);
	msg.signature = cursor_bytes(&c, NODE_KEY_SIG_LEN);
	msg.hop_cnt = cursor_u8(&c);
	msg.hop_max = cursor_u8(&c);
	msg.ttl_hours = (uint16_t)le_read(&c, 2);
	msg.timestamp_s = le_read(&c, 8);
	msg.payload = cursor_bytes(&c, msg.payload_len);
	if (c.bad || cursor_left(&c) || msg.service == OFFERS_RESERVED_SERVICE ||
	    !outer_is_right(&msg))
		return WEFT_EMALFORMED;
	*out_msg = msg;
	return 0;
}

/* --- writing --- */

static uint8_t version_byte(const struct service_message *msg)
{
	return (uint8_t)(msg->version | (msg->is_full_cover ? FULL_COVER_BIT : 0));
}

static void head_write(struct writer *w, const struct service_message *msg)
{
	le_write(w, msg->service, 4);
	writer_u8(w, msg->type);
	writer_u8(w, version_byte(msg));
	le_write(w, msg->payload_len, 2);
	writer_bytes(w, msg->provider ? msg->provider : zeros, SERVICE_MESSAGE_ADDRESS_LEN);
	writer_bytes(w, msg->signature ? msg->signature : zeros, NODE_KEY_SIG_LEN);
	writer_u8(w, msg->hop_cnt);
	writer_u8(w, msg->hop_max);
	le_write(w, msg->ttl_hours, 2);
	le_write(w, msg->timestamp_s, 8);
}

void offers_message_write(struct writer *w, const struct service_message *msg)
{
	if (msg->payload_len > SERVICE_MESSAGE_PAYLOAD_MAX) {
		w->bad = true;
		return;
	}
	head_write(w, msg);
	writer_bytes(w, msg->payload, msg->payload_len);
}

/* --- signatures --- */

static void seed_cover_write(struct writer *w, const struct service_message *msg)
{
	le_write(w, msg->service, 4);
	writer_u8(w, msg->type);
	writer_u8(w, version_byte(msg));
}

static struct statement full_cover_make(const struct service_message *msg,
					uint8_t head[static FULL_COVER_LEN])
{
	struct writer w = writer_of(head, FULL_COVER_LEN);

	seed_cover_write(&w, msg);
	writer_u8(&w, msg->hop_max);
	le_write(&w, msg->ttl_hours, 2);
	le_write(&w, msg->timestamp_s, 8);
	writer_bytes(&w, msg->provider, SERVICE_MESSAGE_ADDRESS_LEN);
	return (struct statement){.tag = SERVICE_MESSAGE_TAG,
				  .head = head,
				  .head_len = FULL_COVER_LEN,
				  .rest = msg->payload,
				  .rest_len = msg->payload_len};
}

/* The text that the seed form covers, in one piece, as Ed25519 reads it twice. */
struct seed_text {
	size_t len;
	uint8_t bytes[SEED_COVER_LEN + SERVICE_MESSAGE_PAYLOAD_MAX];
};

static void seed_text_make(struct seed_text *text, const struct service_message *msg)
{
	struct writer w = writer_of(text->bytes, sizeof(text->bytes));

	seed_cover_write(&w, msg);
	writer_bytes(&w, msg->payload, msg->payload_len);
	text->len = writer_len(&w);
}

/*
 * The seed form's text begins with the service. Four letters there could begin a statement, or
 * an item of BEP 44, which the same key signs; no assigned service consists of letters.
 */
static bool service_is_assigned(uint32_t service)
{
	return service < 0x10000 || service >= 0x80000000;
}

static int signature_make(const struct service_message *msg, const struct node_key *key,
			  uint8_t out_signature[static NODE_KEY_SIG_LEN])
{
	uint8_t head[FULL_COVER_LEN];
	struct statement statement;
	struct seed_text text;

	if (msg->payload_len > SERVICE_MESSAGE_PAYLOAD_MAX || !service_is_assigned(msg->service))
		return WEFT_EREFUSED;
	if (msg->is_full_cover) {
		statement = full_cover_make(msg, head);
		return statement_sign(&statement, key, out_signature);
	}
	seed_text_make(&text, msg);
	node_key_sign(key, text.bytes, text.len, out_signature);
	return 0;
}

void offers_message_sign(struct writer *w, const struct service_message *msg,
			 const struct node_key *key)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], signature[NODE_KEY_SIG_LEN];
	struct service_message own = *msg;

	offers_address(node_key_public(key), address);
	own.provider = address;
	own.signature = signature;
	if (signature_make(&own, key, signature) < 0)
		w->bad = true;
	else
		offers_message_write(w, &own);
}

int offers_message_verify(const struct service_message *msg,
			  const uint8_t provider_key[static NODE_KEY_LEN])
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], head[FULL_COVER_LEN];
	struct statement statement;
	struct seed_text text;

	offers_address(provider_key, address);
	if (memcmp(address, msg->provider, sizeof(address)) != 0)
		return WEFT_EWRONGKEY;
	if (msg->is_full_cover) {
		statement = full_cover_make(msg, head);
		return statement_verify(&statement, provider_key, msg->signature);
	}
	seed_text_make(&text, msg);
	return node_key_verify(provider_key, text.bytes, text.len, msg->signature);
}

/* --- what the header says --- */

void offers_address(const uint8_t provider_key[static NODE_KEY_LEN],
		    uint8_t out_address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	uint8_t hash[SHA256_HASH_LEN];

	sha256(provider_key, NODE_KEY_LEN, hash);
	memcpy(out_address, hash, SERVICE_MESSAGE_ADDRESS_LEN);
}

void offers_message_id(const struct service_message *msg,
		       uint8_t out_id[static SERVICE_MESSAGE_ID_LEN])
{
	uint8_t head[SERVICE_MESSAGE_HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));
	struct service_message first = *msg;
	struct blake3 hash;

	first.hop_cnt = 0;
	head_write(&w, &first);
	blake3_init(&hash);
	blake3_update(&hash, head, sizeof(head));
	blake3_update(&hash, msg->payload, msg->payload_len);
	blake3_final(&hash, out_id, SERVICE_MESSAGE_ID_LEN);
}

enum service_message_hop offers_message_hop(const struct service_message *msg, unsigned policy_max)
{
	unsigned max = msg->hop_max < policy_max ? msg->hop_max : policy_max;

	if (msg->hop_cnt >= msg->hop_max)
		return SERVICE_MESSAGE_DROP;
	return msg->hop_cnt + 1u < max ? SERVICE_MESSAGE_FORWARD : SERVICE_MESSAGE_KEEP;
}

uint64_t offers_message_expires_s(const struct service_message *msg)
{
	uint64_t hours = msg->ttl_hours < SERVICE_MESSAGE_LIFE_H_MAX ? msg->ttl_hours
								     : SERVICE_MESSAGE_LIFE_H_MAX;
	uint64_t life_s = hours * S_PER_HOUR;

	return msg->timestamp_s > UINT64_MAX - life_s ? UINT64_MAX : msg->timestamp_s + life_s;
}

enum service_message_time offers_message_time(const struct service_message *msg, uint64_t now_s)
{
	if (msg->timestamp_s > now_s && msg->timestamp_s - now_s > SERVICE_MESSAGE_SKEW_S)
		return SERVICE_MESSAGE_EARLY;
	return now_s >= offers_message_expires_s(msg) ? SERVICE_MESSAGE_EXPIRED
						      : SERVICE_MESSAGE_TIMELY;
}
