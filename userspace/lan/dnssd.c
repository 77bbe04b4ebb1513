/* SPDX-License-Identifier: Apache-2.0 */
#include "dnssd.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "codec/dns.h"
#include "codec/text/zbase32.h"

#define SERVICE	    "_mesh._udp.local"
#define ENUMERATION "_services._dns-sd._udp.local"
/* The top bit of a class: of a record, that it replaces what is known (RFC 6762, 10.2). */
#define CLASS_MASK  0x7fffu
#define CLASS_FLUSH 0x8001u
#define TTL_LONG_S  4500u /* RFC 6762, 10: of records that name no host */

static struct dns_name name_of(const char *label, const char *rest)
{
	char text[LAN_INSTANCE_CAP + 64];
	struct dns_name name = {.len = 0};

	snprintf(text, sizeof(text), "%s%s%s", label, *label ? "." : "", rest);
	/* Constants and our own label always are names. */
	if (dns_name_parse(text, &name) < 0)
		weft_assert(false);
	return name;
}

/* --- writing --- */

size_t lan_dnssd_write_query(uint8_t *out, size_t cap)
{
	struct dns_name service = name_of("", SERVICE);
	struct dns_writer w;
	int len;

	dns_writer_init_flags(&w, out, cap, 0);
	dns_write_question(&w, &service, DNS_TYPE_PTR, DNS_CLASS_IN);
	len = dns_writer_finish(&w);
	return len < 0 ? 0 : (size_t)len;
}

static void ptr_write(struct dns_writer *w, const struct dns_name *name,
		      const struct dns_name *target, uint32_t ttl_s)
{
	size_t off = dns_record_begin(w, name, DNS_TYPE_PTR, DNS_CLASS_IN, ttl_s);

	dns_write_name(w, target);
	dns_record_end(w, off);
}

static void srv_write(struct dns_writer *w, const struct dns_name *name,
		      const struct dns_name *host, uint16_t port, uint32_t ttl_s)
{
	size_t off = dns_record_begin(w, name, DNS_TYPE_SRV, CLASS_FLUSH, ttl_s);

	writer_be16(&w->w, 0); /* priority */
	writer_be16(&w->w, 0); /* weight */
	writer_be16(&w->w, port);
	dns_write_name(w, host);
	dns_record_end(w, off);
}

static void string_write(struct dns_writer *w, const char *text)
{
	writer_u8(&w->w, (uint8_t)strlen(text));
	writer_bytes(&w->w, text, strlen(text));
}

static void txt_write(struct dns_writer *w, const struct dns_name *name,
		      const struct dnssd_self *self, uint32_t ttl_s)
{
	size_t off = dns_record_begin(w, name, DNS_TYPE_TXT, CLASS_FLUSH, ttl_s);
	char text[80] = "id=";

	zbase32_write(self->key, MESH_KEY_LEN, text + 3);
	string_write(w, text);
	string_write(w, "v=1");
	snprintf(text, sizeof(text), "caps=%x", self->caps);
	string_write(w, text);
	snprintf(text, sizeof(text), "qp=%u", self->port);
	string_write(w, text);
	dns_record_end(w, off);
}

static void addr_write(struct dns_writer *w, const struct dns_name *host, const struct addr *addr,
		       uint32_t ttl_s)
{
	bool is_v4 = addr->family == ADDR_IPV4;
	size_t off =
		dns_record_begin(w, host, is_v4 ? DNS_TYPE_A : DNS_TYPE_AAAA, CLASS_FLUSH, ttl_s);

	writer_bytes(&w->w, addr->ip, is_v4 ? 4 : 16);
	dns_record_end(w, off);
}

size_t lan_dnssd_write_answer(const struct dnssd_self *self, const struct lan_interface *interface,
			      uint32_t ttl_s, uint8_t *out, size_t cap)
{
	struct dns_name service = name_of("", SERVICE), enumeration = name_of("", ENUMERATION);
	struct dns_name instance = name_of(self->label, SERVICE);
	struct dns_name host = name_of(self->label, "local");
	uint32_t long_s = ttl_s ? TTL_LONG_S : 0;
	struct dns_writer w;
	int len;

	dns_writer_init_flags(&w, out, cap, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE);
	ptr_write(&w, &service, &instance, long_s);
	/* Others may be there when we go: the service itself stays. */
	if (ttl_s)
		ptr_write(&w, &enumeration, &service, long_s);
	srv_write(&w, &instance, &host, self->port, ttl_s);
	txt_write(&w, &instance, self, long_s);
	for (unsigned i = 0; i < interface->addr_cnt; i++)
		addr_write(&w, &host, &interface->addrs[i], ttl_s);
	len = dns_writer_finish(&w);
	return len < 0 ? 0 : (size_t)len;
}

/* --- reading --- */

/* The label of an instance of the service; false: another name, or one that is not fit to be shown. */
static bool label_of(const struct dns_name *name, const struct dns_name *service,
		     char label[static LAN_INSTANCE_CAP])
{
	uint8_t len = name->bytes[0];
	struct dns_name rest = {.len = (uint8_t)(name->len - len - 1)};

	if (len == 0 || len >= LAN_INSTANCE_CAP || name->len <= len + 1u)
		return false;
	memcpy(rest.bytes, name->bytes + len + 1, rest.len);
	if (!dns_name_equal(&rest, service))
		return false;
	for (unsigned i = 0; i < len; i++)
		if (!isgraph(name->bytes[1 + i]) || name->bytes[1 + i] >= 0x7f)
			return false;
	memcpy(label, name->bytes + 1, len);
	label[len] = '\0';
	return true;
}

static struct dnssd_instance *instance_of(struct dnssd_message *message, const char *label)
{
	struct dnssd_instance *instance;

	for (unsigned i = 0; i < message->instance_cnt; i++)
		if (strcasecmp(message->instances[i].label, label) == 0)
			return &message->instances[i];
	if (message->instance_cnt == DNSSD_INSTANCES_MAX)
		return NULL;
	instance = &message->instances[message->instance_cnt++];
	*instance = (struct dnssd_instance){.ttl_s = UINT32_MAX};
	memcpy(instance->label, label, strlen(label) + 1);
	return instance;
}

static bool has_prefix(const char *text, size_t len, const char *prefix)
{
	return len >= strlen(prefix) && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static void string_take(struct dnssd_instance *instance, const char *text, size_t len)
{
	char word[80], *end;
	unsigned long number;

	if (len >= sizeof(word))
		return;
	memcpy(word, text, len);
	word[len] = '\0';
	if (has_prefix(word, len, "id=") &&
	    zbase32_parse(word + 3, len - 3, instance->key, MESH_KEY_LEN) == MESH_KEY_LEN)
		instance->has_key = true;
	if (has_prefix(word, len, "caps=")) {
		number = strtoul(word + 5, &end, 16);
		if (!*end && end != word + 5)
			instance->caps = (uint32_t)number;
	}
}

static void record_take(const struct dns_reader *r, struct dns_record *record,
			struct dnssd_instance *instance)
{
	struct dns_name host;
	const char *text;
	size_t len;

	if (record->type == DNS_TYPE_SRV) {
		(void)cursor_be32(&record->data); /* priority and weight */
		instance->port = cursor_be16(&record->data);
		dns_data_name(r, &record->data, &host);
		instance->has_srv = !record->data.bad;
	} else {
		while (dns_txt_next(&record->data, &text, &len))
			string_take(instance, text, len);
		instance->has_txt = !record->data.bad;
	}
	if (record->ttl_s < instance->ttl_s)
		instance->ttl_s = record->ttl_s;
}

static bool is_for_us(const struct dns_question *question, const struct dns_name *service,
		      const char *label)
{
	struct dns_name enumeration = name_of("", ENUMERATION), own = name_of(label, SERVICE);
	struct dns_name host = name_of(label, "local");

	return (question->class & CLASS_MASK) == DNS_CLASS_IN &&
	       (dns_name_equal(&question->name, service) ||
		dns_name_equal(&question->name, &enumeration) ||
		dns_name_equal(&question->name, &own) || dns_name_equal(&question->name, &host));
}

int lan_dnssd_parse(const void *bytes, size_t len, const char *label, struct dnssd_message *out)
{
	struct dns_name service = name_of("", SERVICE);
	struct dns_question question;
	struct dns_record record;
	struct dns_reader r;

	out->is_query = false;
	out->instance_cnt = 0;
	if (len > DNSSD_LEN_MAX)
		return WEFT_EMALFORMED;
	dns_reader_begin(&r, bytes, len);
	while (dns_next_question(&r, &question))
		if (!(r.flags & DNS_FLAG_RESPONSE) && is_for_us(&question, &service, label))
			out->is_query = true;
	while (dns_next_record(&r, &record)) {
		struct dnssd_instance *instance;
		char of[LAN_INSTANCE_CAP];

		if (!(r.flags & DNS_FLAG_RESPONSE) || (record.class & CLASS_MASK) != DNS_CLASS_IN ||
		    (record.type != DNS_TYPE_SRV && record.type != DNS_TYPE_TXT) ||
		    !label_of(&record.name, &service, of))
			continue;
		instance = instance_of(out, of);
		if (instance)
			record_take(&r, &record, instance);
	}
	return dns_reader_finish(&r);
}
