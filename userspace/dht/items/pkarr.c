/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pkarr packets and the address record in them. To publish:
 * dht_pkarr_record_select -> pkarr_packet_sign -> pkarr_packet_item (Mainline)
 * or dht_pkarr_packet_write_body (a relay). To resolve: dht_pkarr_packet_of_item or
 * dht_pkarr_packet_parse_body -> pkarr_record_read.
 */
#include "pkarr.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "codec/bencode.h"
#include "codec/dns.h"
#include "codec/text/zbase32.h"

#define OWN_LABEL    "_mesh"
#define LABEL_LEN    5 /* of OWN_LABEL and of others' that are read */
#define NAME_CAP     (LABEL_LEN + 1 + ZBASE32_KEY_TEXT_CAP)
#define ADDR_PREFIX  "addr="
#define RELAY_PREFIX "relay="
#define VIA_PREFIX   "via="
#define CAPS_PREFIX  "caps="

/* The fixed part of a record whose name was written before: pointer, type, class, ttl, two lengths. */
#define TXT_HEAD_LEN 13
#define ADDR_LEN_MAX (sizeof("addr=[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535") - 1)
#define URL_LEN_MAX  (PKARR_URL_CAP - 1)
#define DNS_LEN_WORST                                                                              \
	(DNS_HEADER_LEN + 1 + NAME_CAP + PKARR_ADDRS_MAX * (TXT_HEAD_LEN + ADDR_LEN_MAX) +         \
	 PKARR_RELAYS_MAX * (TXT_HEAD_LEN + sizeof(RELAY_PREFIX) - 1 + URL_LEN_MAX) +              \
	 TXT_HEAD_LEN + sizeof("caps=ffffffff") - 1)
/* "via=", a key, "@" and an address. */
#define VIA_LEN_MAX                                                                                \
	(sizeof(VIA_PREFIX) - 1 + ZBASE32_KEY_TEXT_CAP + ADDR_LEN_MAX - (sizeof(ADDR_PREFIX) - 1))
_Static_assert(TXT_HEAD_LEN + VIA_LEN_MAX <= PKARR_ADDRS_PER_VIA * (TXT_HEAD_LEN + ADDR_LEN_MAX),
	       "a relay takes the room of as many addresses");
_Static_assert(DNS_LEN_WORST <= PKARR_DNS_LEN_PUBLISHED_MAX, "a record always fits its packet");

static bool addr_is_usable(const struct addr *addr, bool allows_private)
{
	if (addr->port == 0 || addr->scope_id != 0)
		return false;
	return allows_private ? addr_is_unicast(addr) : addr_is_global(addr);
}

/* url_is_usable: http or https, of visible ASCII, and not too long. */
static bool url_is_usable(const char *url)
{
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return false;
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return strlen(url) < PKARR_URL_CAP;
}

static void record_add_addr(struct pkarr_record *record, const struct addr *addr,
			    bool allows_private)
{
	if (record->addr_cnt < PKARR_ADDRS_MAX && addr_is_usable(addr, allows_private))
		record->addrs[record->addr_cnt++] = *addr;
}

static void record_add_relay(struct pkarr_record *record, const char *url)
{
	if (record->relay_cnt < PKARR_RELAYS_MAX && url_is_usable(url))
		strcpy(record->relays[record->relay_cnt++], url);
}

static void record_add_via(struct pkarr_record *record, const struct peer_via *via,
			   bool allows_private)
{
	if (!addr_is_usable(&via->addr, allows_private) || record->via_cnt == PEER_VIAS_MAX)
		return;
	for (unsigned i = 0; i < record->via_cnt; i++)
		if (memcmp(record->vias[i].key, via->key, sizeof(via->key)) == 0)
			return;
	record->vias[record->via_cnt++] = *via;
}

/* The last addresses make room for vias. */
static void record_fit(struct pkarr_record *record)
{
	unsigned addr_max = PKARR_ADDRS_MAX - PKARR_ADDRS_PER_VIA * record->via_cnt;

	while (record->addr_cnt > addr_max)
		record->addrs[--record->addr_cnt] = (struct addr){.family = ADDR_NONE};
}

static bool record_is_of_use(const struct pkarr_record *record)
{
	return record->addr_cnt || record->relay_cnt || record->via_cnt;
}

int dht_pkarr_record_select(const struct pkarr_record *all, const struct pkarr_policy *policy,
			    struct pkarr_record *out_record)
{
	struct pkarr_record record = {.caps = all->caps};

	if (policy->publish == PKARR_OFF)
		return WEFT_EREFUSED;
	for (unsigned i = 0; i < all->relay_cnt; i++)
		record_add_relay(&record, all->relays[i]);
	for (unsigned i = 0; i < all->via_cnt; i++)
		record_add_via(&record, &all->vias[i], policy->allows_private);
	for (unsigned i = 0; i < all->addr_cnt && policy->publish == PKARR_DIRECT; i++)
		record_add_addr(&record, &all->addrs[i], policy->allows_private);
	record_fit(&record);
	if (!record_is_of_use(&record))
		return WEFT_EABSENT;
	*out_record = record;
	return 0;
}

uint64_t dht_pkarr_next_seq(uint64_t wall_us, uint64_t newest_seq)
{
	return wall_us > newest_seq ? wall_us : newest_seq + 1;
}

/* owner_name: a name of key's owner, label and the key's own text. */
static struct dns_name owner_name(const uint8_t key[static NODE_KEY_LEN], const char *label)
{
	char text[NAME_CAP];
	struct dns_name name;
	int len = snprintf(text, sizeof(text), "%.*s.", LABEL_LEN, label);
	int err;

	zbase32_write(key, NODE_KEY_LEN, text + len);
	err = dns_name_parse(text, &name);
	weft_assert(err == 0);
	return name;
}

static size_t record_write(const struct pkarr_record *record, const struct dns_name *name,
			   uint8_t dst[static PKARR_DNS_LEN_PUBLISHED_MAX])
{
	char text[sizeof(RELAY_PREFIX) + PKARR_URL_CAP], addr[ADDR_TEXT_CAP];
	char key[ZBASE32_KEY_TEXT_CAP];
	struct dns_writer w;
	int len;

	dns_writer_init(&w, dst, PKARR_DNS_LEN_PUBLISHED_MAX);
	for (unsigned i = 0; i < record->relay_cnt; i++) {
		len = snprintf(text, sizeof(text), RELAY_PREFIX "%s", record->relays[i]);
		dns_write_txt(&w, name, PKARR_TTL_S, text, (size_t)len);
	}
	for (unsigned i = 0; i < record->via_cnt; i++) {
		len = snprintf(text, sizeof(text), VIA_PREFIX "%s@%s",
			       zbase32_write(record->vias[i].key, NODE_KEY_LEN, key),
			       addr_format(&record->vias[i].addr, addr));
		dns_write_txt(&w, name, PKARR_TTL_S, text, (size_t)len);
	}
	for (unsigned i = 0; i < record->addr_cnt; i++) {
		len = snprintf(text, sizeof(text), ADDR_PREFIX "%s",
			       addr_format(&record->addrs[i], addr));
		dns_write_txt(&w, name, PKARR_TTL_S, text, (size_t)len);
	}
	if (record->caps) {
		len = snprintf(text, sizeof(text), CAPS_PREFIX "%" PRIx32, record->caps);
		dns_write_txt(&w, name, PKARR_TTL_S, text, (size_t)len);
	}
	len = dns_writer_finish(&w);
	weft_assert(len > 0);
	return (size_t)len;
}

/* packet_set_dns makes the message the packet's value; len is in [0, PKARR_DNS_LEN_MAX]. */
static void packet_set_dns(struct pkarr_packet *packet, const void *dns, size_t len)
{
	struct writer w = writer_of(packet->value, sizeof(packet->value));

	bencode_write_bytes(&w, dns, len);
	weft_assert(!w.bad);
	packet->value_len = (uint16_t)writer_len(&w);
	packet->dns_off = (uint16_t)(packet->value_len - len);
}

static const uint8_t *packet_dns(const struct pkarr_packet *packet, size_t *out_len)
{
	*out_len = (size_t)(packet->value_len - packet->dns_off);
	return packet->value + packet->dns_off;
}

static bool packet_is_dns(const struct pkarr_packet *packet)
{
	size_t len;
	const uint8_t *dns = packet_dns(packet, &len);
	struct dns_reader r;

	dns_reader_init(&r, dns, len);
	return dns_reader_finish(&r) == 0;
}

void dht_pkarr_packet_sign(const struct pkarr_record *record, const struct node_key *key,
			   uint64_t seq, struct pkarr_packet *out_packet)
{
	uint8_t dns[PKARR_DNS_LEN_PUBLISHED_MAX];
	struct dns_name name = owner_name(node_key_public(key), OWN_LABEL);
	struct dht_item item;

	memcpy(out_packet->key, node_key_public(key), NODE_KEY_LEN);
	out_packet->seq = seq;
	packet_set_dns(out_packet, dns, record_write(record, &name, dns));
	dht_pkarr_packet_item(out_packet, &item);
	dht_item_sign(&item, key, out_packet->sig);
}

void dht_pkarr_packet_item(const struct pkarr_packet *packet, struct dht_item *out_item)
{
	*out_item = (struct dht_item){
		.key = packet->key,
		.sig = packet->sig,
		.value = packet->value,
		.value_len = packet->value_len,
		.seq = (int64_t)packet->seq,
	};
}

int dht_pkarr_packet_of_item(const struct dht_item *item, struct pkarr_packet *out_packet)
{
	struct bencode_reader r;
	struct bencode_span dns;

	bencode_reader_init(&r, item->value, item->value_len);
	dns = bencode_read_bytes(&r);
	if (bencode_reader_finish(&r) < 0 || !item->key || item->salt_len ||
	    dns.len > PKARR_DNS_LEN_MAX)
		return WEFT_EMALFORMED;
	memcpy(out_packet->key, item->key, sizeof(out_packet->key));
	memcpy(out_packet->sig, item->sig, sizeof(out_packet->sig));
	out_packet->seq = (uint64_t)item->seq;
	packet_set_dns(out_packet, dns.data, dns.len);
	return packet_is_dns(out_packet) ? 0 : WEFT_EMALFORMED;
}

int dht_pkarr_packet_parse_body(const uint8_t key[static NODE_KEY_LEN], const void *body,
				size_t len, struct pkarr_packet *out_packet)
{
	struct cursor c = cursor_of(body, len);
	struct dht_item item;

	if (len > PKARR_BODY_LEN_MAX)
		return WEFT_ETOOLARGE;
	memcpy(out_packet->key, key, sizeof(out_packet->key));
	cursor_copy(&c, out_packet->sig, sizeof(out_packet->sig));
	out_packet->seq = cursor_be64(&c);
	if (c.bad || out_packet->seq > INT64_MAX)
		return WEFT_EMALFORMED;
	packet_set_dns(out_packet, c.pos, cursor_left(&c));
	if (!packet_is_dns(out_packet))
		return WEFT_EMALFORMED;
	dht_pkarr_packet_item(out_packet, &item);
	return dht_item_verify(&item);
}

size_t dht_pkarr_packet_write_body(const struct pkarr_packet *packet,
				   uint8_t dst[static PKARR_BODY_LEN_MAX])
{
	struct writer w = writer_of(dst, PKARR_BODY_LEN_MAX);
	size_t dns_len;
	const uint8_t *dns = packet_dns(packet, &dns_len);

	writer_bytes(&w, packet->sig, sizeof(packet->sig));
	writer_be64(&w, packet->seq);
	writer_bytes(&w, dns, dns_len);
	return writer_len(&w);
}

/* caps_parse: one to eight hex digits and nothing else; 0 for what is no such number. */
static uint32_t caps_parse(const char *text)
{
	uint32_t caps;
	int end = -1;

	if (strspn(text, "0123456789abcdefABCDEF") != strlen(text))
		return 0;
	return sscanf(text, "%8" SCNx32 "%n", &caps, &end) == 1 && text[end] == '\0' ? caps : 0;
}

/* KEY@ADDRESS:PORT */
static void via_take(struct pkarr_record *record, const char *text, bool allows_private)
{
	size_t key_len = strcspn(text, "@");
	struct peer_via via = {.addr = {.family = ADDR_NONE}};

	if (text[key_len] == '@' && key_len == ZBASE32_TEXT_LEN(NODE_KEY_LEN) &&
	    zbase32_parse(text, key_len, via.key, NODE_KEY_LEN) == NODE_KEY_LEN &&
	    addr_parse(text + key_len + 1, &via.addr) == 0)
		record_add_via(record, &via, allows_private);
}

static void string_take(struct pkarr_record *record, const char *string, size_t len,
			bool allows_private)
{
	char text[DNS_STRING_LEN_MAX + 1];
	struct addr addr;

	if (memchr(string, '\0', len))
		return;
	memcpy(text, string, len);
	text[len] = '\0';
	if (strncmp(text, ADDR_PREFIX, strlen(ADDR_PREFIX)) == 0) {
		if (addr_parse(text + strlen(ADDR_PREFIX), &addr) == 0)
			record_add_addr(record, &addr, allows_private);
	} else if (strncmp(text, RELAY_PREFIX, strlen(RELAY_PREFIX)) == 0) {
		record_add_relay(record, text + strlen(RELAY_PREFIX));
	} else if (strncmp(text, VIA_PREFIX, strlen(VIA_PREFIX)) == 0) {
		via_take(record, text + strlen(VIA_PREFIX), allows_private);
	} else if (strncmp(text, CAPS_PREFIX, strlen(CAPS_PREFIX)) == 0) {
		record->caps = caps_parse(text + strlen(CAPS_PREFIX));
	}
}

static void label_read(const struct pkarr_packet *packet, const char *label, bool allows_private,
		       struct pkarr_record *out_record)
{
	struct dns_name name = owner_name(packet->key, label);
	struct dns_record answer;
	struct dns_reader r;
	const char *string;
	size_t len;
	const uint8_t *dns = packet_dns(packet, &len);

	*out_record = (struct pkarr_record){.addr_cnt = 0};
	dns_reader_init(&r, dns, len);
	while (dns_next_answer(&r, &answer)) {
		if (answer.type != DNS_TYPE_TXT || answer.class != DNS_CLASS_IN ||
		    !dns_name_equal(&answer.name, &name))
			continue;
		while (dns_txt_next(&answer.data, &string, &len))
			string_take(out_record, string, len, allows_private);
	}
	record_fit(out_record);
}

int dht_pkarr_record_read(const struct pkarr_packet *packet, bool allows_private,
			  struct pkarr_record *out_record)
{
	static const char *const labels[] = {OWN_LABEL, "_iroh"};
	struct pkarr_record record;

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		label_read(packet, labels[i], allows_private, &record);
		if (!record_is_of_use(&record))
			continue;
		*out_record = record;
		return 0;
	}
	return WEFT_EABSENT;
}

uint32_t dht_pkarr_packet_ttl_s(const struct pkarr_packet *packet)
{
	uint32_t shortest_s = 0;
	bool is_first = true;
	struct dns_record answer;
	struct dns_reader r;
	size_t len;
	const uint8_t *dns = packet_dns(packet, &len);

	dns_reader_init(&r, dns, len);
	while (dns_next_answer(&r, &answer)) {
		if (is_first || answer.ttl_s < shortest_s)
			shortest_s = answer.ttl_s;
		is_first = false;
	}
	return shortest_s;
}
