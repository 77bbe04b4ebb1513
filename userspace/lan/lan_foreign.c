/* SPDX-License-Identifier: Apache-2.0 */
#include "lan_foreign.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "codec/dns.h"
#include "dnssd.h"

#define CLASS_MASK 0x7fffu
/* A cap on the time that an instance states, as of nodes. */
#define LIFE_MAX_S 4500u
/* Of IPv6; IPv4 has one less. */
#define LEVEL_CNT 4

static const struct {
	const char *name, *type;
} services[] = {
	{"quicproquo", "_quicproquo._udp.local"},
	{"quicprochat", "_quicprochat._udp.local"},
};
#define SERVICE_CNT (sizeof(services) / sizeof(services[0]))

struct foreign_entry {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct lan_foreign_node node;
	uint64_t until_ns;
};

/* What one message says of an instance. */
struct foreign_instance {
	struct lan_foreign_node node;
	bool has_srv, has_txt;
	uint32_t ttl_s;
};

static struct dns_name name_of(const char *text)
{
	struct dns_name name = {.len = 0};

	if (dns_name_parse(text, &name) < 0)
		weft_assert(false);
	return name;
}

size_t lan_foreign_write_query(uint8_t *out, size_t cap)
{
	struct dns_writer w;
	int len;

	dns_writer_init_flags(&w, out, cap, 0);
	for (unsigned i = 0; i < SERVICE_CNT; i++) {
		struct dns_name type = name_of(services[i].type);

		dns_write_question(&w, &type, DNS_TYPE_PTR, DNS_CLASS_IN);
	}
	len = dns_writer_finish(&w);
	return len < 0 ? 0 : (size_t)len;
}

/* --- reading --- */

/* Bytes of any host are shown to people: all that is not printable ASCII becomes '?'. */
static void text_take(char *out, size_t cap, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	size_t kept_len = len < cap - 1 ? len : cap - 1;

	for (size_t i = 0; i < kept_len; i++)
		out[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	out[kept_len] = '\0';
}

/* The name of the service whose instance name is, with its label; NULL: none. */
static const char *service_of(const struct dns_name *name, char label[static LAN_INSTANCE_CAP])
{
	uint8_t len = name->bytes[0];
	struct dns_name rest = {.len = (uint8_t)(name->len - len - 1)};

	if (len == 0 || name->len <= len + 1u)
		return NULL;
	memcpy(rest.bytes, name->bytes + len + 1, rest.len);
	for (unsigned i = 0; i < SERVICE_CNT; i++) {
		struct dns_name type = name_of(services[i].type);

		if (!dns_name_equal(&rest, &type))
			continue;
		text_take(label, LAN_INSTANCE_CAP, name->bytes + 1, len);
		return services[i].name;
	}
	return NULL;
}

static void string_take(struct lan_foreign_node *node, const char *text, size_t len)
{
	const struct {
		const char *prefix;
		char *out;
		size_t cap;
	} rows[] = {
		{"ver=", node->version, sizeof(node->version)},
		{"server=", node->server, sizeof(node->server)},
		{"domain=", node->domain, sizeof(node->domain)},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t prefix_len = strlen(rows[i].prefix);

		if (len >= prefix_len && strncasecmp(text, rows[i].prefix, prefix_len) == 0)
			text_take(rows[i].out, rows[i].cap, text + prefix_len, len - prefix_len);
	}
}

static void record_take(struct dns_record *record, struct foreign_instance *instance)
{
	const char *text;
	size_t len;

	if (record->type == DNS_TYPE_SRV) {
		(void)cursor_be32(&record->data); /* priority and weight */
		instance->node.addr.port = cursor_be16(&record->data);
		instance->has_srv = !record->data.bad;
	} else {
		while (dns_txt_next(&record->data, &text, &len))
			string_take(&instance->node, text, len);
		instance->has_txt = !record->data.bad;
	}
	if (record->ttl_s < instance->ttl_s)
		instance->ttl_s = record->ttl_s;
}

/* The instance of service and label among cnt ones, or a new one; NULL: there is no room. */
static struct foreign_instance *instance_of(struct foreign_instance *instances, unsigned *cnt,
					    const char *service, const char *label)
{
	struct foreign_instance *instance;

	for (unsigned i = 0; i < *cnt; i++)
		if (instances[i].node.service == service &&
		    strcasecmp(instances[i].node.instance, label) == 0)
			return &instances[i];
	if (*cnt == LAN_FOREIGN_MESSAGE_MAX)
		return NULL;
	instance = &instances[(*cnt)++];
	*instance = (struct foreign_instance){.node.service = service, .ttl_s = UINT32_MAX};
	memcpy(instance->node.instance, label, strlen(label) + 1);
	return instance;
}

static int message_parse(const struct lan_packet *packet, struct foreign_instance *instances,
			 unsigned *out_cnt)
{
	struct dns_question question;
	struct dns_record record;
	struct dns_reader r;

	*out_cnt = 0;
	if (packet->len > DNSSD_LEN_MAX)
		return WEFT_EMALFORMED;
	dns_reader_begin(&r, packet->bytes, packet->len);
	while (dns_next_question(&r, &question))
		;
	while (dns_next_record(&r, &record)) {
		struct foreign_instance *instance = NULL;
		char label[LAN_INSTANCE_CAP];
		const char *service;

		if (!(r.flags & DNS_FLAG_RESPONSE) || (record.class & CLASS_MASK) != DNS_CLASS_IN ||
		    (record.type != DNS_TYPE_SRV && record.type != DNS_TYPE_TXT))
			continue;
		service = service_of(&record.name, label);
		if (service)
			instance = instance_of(instances, out_cnt, service, label);
		if (instance)
			record_take(&record, instance);
	}
	return dns_reader_finish(&r);
}

/* --- the list --- */

static bool ips_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->scope_id == b->scope_id &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct foreign_entry *entry_find(const struct lan_foreign *foreign,
					const struct lan_foreign_node *node)
{
	struct foreign_entry *entry = NULL;

	while ((entry = pool_next(&foreign->entries, entry)))
		if (entry->node.service == node->service &&
		    ips_equal(&entry->node.addr, &node->addr) &&
		    strcasecmp(entry->node.instance, node->instance) == 0)
			return entry;
	return NULL;
}

static void entry_drop(struct lan_foreign *foreign, struct foreign_entry *entry, uint64_t now_ns)
{
	fair_release(&foreign->places.fair, &entry->share, now_ns);
	pool_release(&foreign->entries, entry);
}

static struct foreign_entry *entry_make(struct lan_foreign *foreign,
					const struct lan_foreign_node *node, uint64_t now_ns)
{
	struct foreign_entry *entry = pool_acquire(&foreign->entries);
	struct fair_item *victim;
	struct fair_path path;

	/* There is one more than places: a victim goes behind the one that takes its place. */
	weft_assert(entry != NULL);
	fair_path_of_addr(&foreign->places.paths, &node->addr, FAIR_UNKNOWN, &path);
	switch (fair_take(&foreign->places.fair, &path, &entry->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		return entry;
	case FAIR_TAKEN_FROM:
		foreign->full_cnt++;
		entry_drop(foreign, container_of(victim, struct foreign_entry, share), now_ns);
		return entry;
	case FAIR_BUSY:
		break;
	}
	foreign->full_cnt++;
	pool_release(&foreign->entries, entry);
	return NULL;
}

static void instance_note(struct lan_foreign *foreign, struct foreign_instance *instance,
			  const struct lan_packet *packet, uint64_t now_ns)
{
	uint32_t life_s = instance->ttl_s < LIFE_MAX_S ? instance->ttl_s : LIFE_MAX_S;
	uint16_t port = instance->node.addr.port;
	struct foreign_entry *entry;

	instance->node.addr = packet->source;
	instance->node.addr.port = port;
	entry = entry_find(foreign, &instance->node);
	if (!life_s && entry)
		entry_drop(foreign, entry, now_ns);
	/* Its TXT says what is listed; an SRV alone comes again with it. */
	if (!life_s || !instance->has_txt)
		return;
	if (!entry)
		entry = entry_make(foreign, &instance->node, now_ns);
	if (!entry)
		return;
	if (!instance->has_srv)
		instance->node.addr.port = entry->node.addr.port;
	entry->node = instance->node;
	entry->node.heard_ns = now_ns;
	entry->until_ns = now_ns + life_s * NS_PER_S;
}

int lan_foreign_input(struct lan_foreign *foreign, const struct lan_packet *packet,
		      const char *interface, uint64_t now_ns)
{
	struct foreign_instance instances[LAN_FOREIGN_MESSAGE_MAX];
	unsigned cnt;
	int err = message_parse(packet, instances, &cnt);

	for (unsigned i = 0; err == 0 && i < cnt; i++) {
		text_take(instances[i].node.interface, sizeof(instances[i].node.interface),
			  interface, strlen(interface));
		instance_note(foreign, &instances[i], packet, now_ns);
	}
	return err;
}

void lan_foreign_expire(struct lan_foreign *foreign, uint64_t now_ns)
{
	struct foreign_entry *entry = NULL;

	while ((entry = pool_next(&foreign->entries, entry)))
		if (now_ns >= entry->until_ns)
			entry_drop(foreign, entry, now_ns);
}

void lan_foreign_forget(struct lan_foreign *foreign, const char *interface, uint64_t now_ns)
{
	struct foreign_entry *entry = NULL;

	while ((entry = pool_next(&foreign->entries, entry)))
		if (!interface || strcmp(entry->node.interface, interface) == 0)
			entry_drop(foreign, entry, now_ns);
}

int lan_foreign_init(struct lan_foreign *foreign, struct arena *arena)
{
	static const struct fair_config config = {.name = "foreign instances",
						  .cap_cnt = LAN_FOREIGN_CAP,
						  .kind = FAIR_LASTING,
						  .level_cnt = LEVEL_CNT,
						  .parts = {16}};
	int err = fair_places_init(&foreign->places, arena, &config);

	if (err == 0)
		err = pool_init(&foreign->entries, arena, sizeof(struct foreign_entry),
				LAN_FOREIGN_CAP + 1);
	return err;
}

const struct lan_foreign_node *lan_foreign_next(const struct lan_foreign *foreign,
						const struct lan_foreign_node *node)
{
	const struct foreign_entry *entry =
		node ? container_of(node, struct foreign_entry, node) : NULL;

	entry = pool_next(&foreign->entries, entry);
	return entry ? &entry->node : NULL;
}
