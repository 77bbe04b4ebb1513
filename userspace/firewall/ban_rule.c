/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bans as text, as names of tables and as records of the store. Any
 * thread; no state.
 */
#include "ban_rule.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"
#include "codec/text/zbase32.h"

#define RECORD_LAYOUT 1
/* ::ffff:0:0/96 (RFC 4291 2.5.5.2) */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool firewall_ban_is_expired(const struct ban *ban, uint64_t wall_s)
{
	return ban->expires_s && ban->expires_s <= wall_s;
}

static unsigned bits_of(const struct addr *addr)
{
	return addr->family == ADDR_IPV4 ? 32 : 128;
}

/* The length behind the slash, or cap + 1 for what is none. */
static unsigned length_parse(const char *text, unsigned cap)
{
	unsigned value = 0;

	if (!*text)
		return cap + 1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > cap)
			return cap + 1;
		value = value * 10 + (unsigned)(*text - '0');
	}
	return value <= cap ? value : cap + 1;
}

static bool address_parse(const char *text, size_t len, struct addr *out_addr)
{
	struct addr addr = {.family = ADDR_IPV4};
	char alone[INET6_ADDRSTRLEN];

	if (len >= sizeof(alone))
		return false;
	memcpy(alone, text, len);
	alone[len] = '\0';
	if (inet_pton(AF_INET, alone, addr.ip) != 1) {
		addr.family = ADDR_IPV6;
		if (inet_pton(AF_INET6, alone, addr.ip) != 1)
			return false;
	}
	*out_addr = addr;
	return true;
}

/* ::ffff:192.0.2.0/120 is 192.0.2.0/24: datagrams from there are IPv4. */
static void unmap(struct addr *addr, unsigned *prefix_len)
{
	struct addr ipv4 = {.family = ADDR_IPV4};

	if (addr->family != ADDR_IPV6 || *prefix_len <= 96 ||
	    memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return;
	memcpy(ipv4.ip, addr->ip + sizeof(mapped_prefix), 4);
	*addr = ipv4;
	*prefix_len -= 96;
}

int firewall_ban_target_parse(const char *text, struct ban_target *out_target)
{
	const char *slash = strchr(text, '/');
	struct ban_target target = {0};
	struct addr addr;
	unsigned prefix_len;

	if (!address_parse(text, slash ? (size_t)(slash - text) : strlen(text), &addr))
		return WEFT_EMALFORMED;
	prefix_len = slash ? length_parse(slash + 1, bits_of(&addr)) : bits_of(&addr);
	if (prefix_len == 0 || prefix_len > bits_of(&addr))
		return WEFT_ETOOLARGE;
	unmap(&addr, &prefix_len);
	target.kind = addr.family == ADDR_IPV4 ? BAN_IPV4 : BAN_IPV6;
	target.addr = addr_prefix_key(&addr, prefix_len);
	target.prefix_len = prefix_len;
	*out_target = target;
	return addr_equal(&target.addr, &addr) ? 0 : WEFT_EUNSAFE;
}

struct ban_target firewall_ban_target_of(const struct addr *addr)
{
	struct ban_target target = {
		.kind = addr->family == ADDR_IPV4 ? BAN_IPV4 : BAN_IPV6,
		.prefix_len = bits_of(addr),
	};

	target.addr = addr_prefix_key(addr, target.prefix_len);
	return target;
}

const char *firewall_ban_target_format(const struct ban_target *target,
				       char buf[static BAN_TARGET_TEXT_CAP])
{
	char addr[INET6_ADDRSTRLEN] = "?", key[ZBASE32_KEY_TEXT_CAP];

	if (target->kind == BAN_KEY) {
		snprintf(buf, BAN_TARGET_TEXT_CAP, "%s",
			 zbase32_write(target->key, BAN_KEY_LEN, key));
		return buf;
	}
	inet_ntop(target->kind == BAN_IPV4 ? AF_INET : AF_INET6, target->addr.ip, addr,
		  sizeof(addr));
	if (target->prefix_len == bits_of(&target->addr))
		snprintf(buf, BAN_TARGET_TEXT_CAP, "%s", addr);
	else
		snprintf(buf, BAN_TARGET_TEXT_CAP, "%s/%u", addr, target->prefix_len);
	return buf;
}

bool firewall_ban_target_has(const struct ban_target *target, const struct addr *addr)
{
	struct addr prefix;

	if (target->kind == BAN_KEY || addr->family != target->addr.family)
		return false;
	prefix = addr_prefix_key(addr, target->prefix_len);
	return addr_equal(&prefix, &target->addr);
}

struct ban_target firewall_ban_target_cut(const struct ban_target *target, unsigned prefix_len)
{
	struct ban_target cut = *target;

	cut.addr = addr_prefix_key(&target->addr, prefix_len);
	cut.prefix_len = prefix_len;
	return cut;
}

void firewall_ban_target_id(const struct ban_target *target, uint8_t out_id[static BAN_ID_LEN])
{
	memset(out_id, 0, BAN_ID_LEN);
	out_id[0] = (uint8_t)target->kind;
	if (target->kind == BAN_KEY) {
		memcpy(out_id + 1, target->key, BAN_KEY_LEN);
		return;
	}
	memcpy(out_id + 1, target->addr.ip, sizeof(target->addr.ip));
	out_id[1 + sizeof(target->addr.ip)] = (uint8_t)target->prefix_len;
}

static int target_of_id(const uint8_t id[static BAN_ID_LEN], struct ban_target *out_target)
{
	struct ban_target target = {.kind = id[0]};
	struct addr prefix;

	if (id[0] > BAN_KEY)
		return WEFT_EMALFORMED;
	if (target.kind == BAN_KEY) {
		memcpy(target.key, id + 1, BAN_KEY_LEN);
		*out_target = target;
		return 0;
	}
	target.addr.family = target.kind == BAN_IPV4 ? ADDR_IPV4 : ADDR_IPV6;
	memcpy(target.addr.ip, id + 1, target.kind == BAN_IPV4 ? 4 : 16);
	target.prefix_len = id[1 + sizeof(target.addr.ip)];
	if (target.prefix_len == 0 || target.prefix_len > bits_of(&target.addr))
		return WEFT_EMALFORMED;
	prefix = addr_prefix_key(&target.addr, target.prefix_len);
	if (!addr_equal(&prefix, &target.addr))
		return WEFT_EMALFORMED;
	*out_target = target;
	return 0;
}

/* A ban, and what an earlier version said of it. */
struct record {
	struct ban ban;
	bool keeps_nothing_out; /* a ban of connection ids alone, for minutes */
};

static void source_write(struct writer *w, const void *member)
{
	struct peer_addr source = peer_addr_of(member);

	source.peer.addr.port = 1; /* a PeerAddr has one */
	peer_addr_write(w, &source);
}

static void source_read(struct cbor_reader *r, void *member)
{
	struct peer_addr source;

	peer_addr_read(r, &source);
	if (!cbor_is_bad(r))
		*(struct addr *)member = addr_prefix_key(&source.peer.addr, 128);
}

static const struct cbor_field record_fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_LAYOUT},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct record, ban.added_s)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct record, ban.expires_s)},
	{3, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct record, ban.reason)},
	{4, CBOR_FIELD_UINT, CBOR_FORMER, CBOR_AT(struct record, keeps_nothing_out), .max = 1},
	{5, CBOR_FIELD_UINT, CBOR_HAS(struct record, ban.is_automatic),
	 CBOR_AT(struct record, ban.cause)},
	{6, CBOR_FIELD_UINT, CBOR_WHEN(struct record, ban.is_automatic),
	 CBOR_AT(struct record, ban.is_limit), .max = 1},
	{7, CBOR_FIELD_CODED, CBOR_WHEN(struct record, ban.source.family),
	 CBOR_AT(struct record, ban.source), .read = source_read, .write = source_write},
};
static const struct cbor_table record_table = {CBOR_FIELDS(record_fields)};

void firewall_ban_record_write(struct writer *w, const struct ban *ban)
{
	const struct record record = {.ban = *ban};

	cbor_fields_write(w, &record_table, &record);
}

int firewall_ban_record_parse(const uint8_t id[static BAN_ID_LEN], const void *data, size_t len,
			      struct ban *out_ban)
{
	struct record record = {.keeps_nothing_out = false};
	struct cbor_reader r;
	int err = target_of_id(id, &record.ban.target);

	if (err == 0)
		err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);
	if (err < 0)
		return err;
	cbor_fields_read_on(&r, &record_table, &record);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (record.keeps_nothing_out)
		return WEFT_EABSENT;
	*out_ban = record.ban;
	return 0;
}
