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
#define SUBTYPE	    "_sub." SERVICE
#define ENUMERATION "_services._dns-sd._udp.local"
/* The top bit of a class: of a record, that it replaces what is known (RFC 6762, 10.2). */
#define CLASS_MASK  0x7fffu
#define CLASS_FLUSH 0x8001u

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

static struct dns_name service_name(const char *service, const char *rest)
{
	char label[LAN_SERVICE_CAP + 1];

	snprintf(label, sizeof(label), "_%s", service);
	return name_of(label, rest);
}

/* --- writing --- */

size_t lan_dnssd_write_query(const struct lan_services *services, unsigned *at, uint8_t *out,
			     size_t cap)
{
	struct dns_name service = name_of("", SERVICE);
	struct dns_writer w, before;
	int len;

	dns_writer_init_flags(&w, out, cap, 0);
	if (*at == 0)
		dns_write_question(&w, &service, DNS_TYPE_PTR, DNS_CLASS_IN);
	for (; *at < services->cnt; ++*at) {
		struct dns_name subtype = service_name(services->names[*at], SUBTYPE);

		before = w;
		dns_write_question(&w, &subtype, DNS_TYPE_PTR, DNS_CLASS_IN);
		if (!w.w.bad)
			continue;
		w = before;
		break;
	}
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
	uint32_t long_s = ttl_s ? DNSSD_TTL_LONG_S : 0;
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

static bool has_bit(uint64_t bits, unsigned idx)
{
	return bits >> idx & 1;
}

size_t lan_dnssd_write_services(const struct dnssd_self *self, const struct dnssd_services *which,
				unsigned *at, uint8_t *out, size_t cap)
{
	struct dns_name instance = name_of(self->label, SERVICE);
	struct dns_writer w, before;
	int len;

	dns_writer_init_flags(&w, out, cap, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE);
	for (; *at < self->services->cnt; ++*at) {
		const char *service = self->services->names[*at];
		struct dns_name subtype = service_name(service, SUBTYPE);
		struct dns_name literal = service_name(service, SERVICE);

		before = w;
		if (has_bit(which->subtypes, *at))
			ptr_write(&w, &subtype, &instance, which->ttl_s);
		if (has_bit(which->literals, *at))
			ptr_write(&w, &literal, &instance, which->ttl_s);
		if (!w.w.bad)
			continue;
		w = before;
		break;
	}
	len = dns_writer_finish(&w);
	return len < 0 || w.answer_cnt == 0 ? 0 : (size_t)len;
}

/* --- reading --- */

/* The service of name, _NAME.REST, as its bit; 0: none that this node relays. */
static uint64_t service_of(const struct dns_name *name, const char *rest,
			   const struct lan_services *services)
{
	struct dns_name behind = name_of("", rest), after;
	uint8_t len = name->bytes[0];

	if (len < 2 || name->bytes[1] != '_' || name->len != len + 1u + behind.len)
		return 0;
	after.len = behind.len;
	memcpy(after.bytes, name->bytes + len + 1, after.len);
	if (!dns_name_equal(&after, &behind))
		return 0;
	for (unsigned i = 0; i < services->cnt; i++)
		if (strlen(services->names[i]) == len - 1u &&
		    strncasecmp((const char *)name->bytes + 2, services->names[i], len - 1u) == 0)
			return UINT64_C(1) << i;
	return 0;
}

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

/* A PTR of a subtype: its instance relays the service, or does no longer. */
static void subtype_take(const struct dns_reader *r, struct dns_record *record,
			 const struct dnssd_self *self, struct dnssd_message *out)
{
	uint64_t bit = service_of(&record->name, SUBTYPE, self->services);
	struct dns_name service = name_of("", SERVICE), target;
	struct dnssd_instance *instance;
	char of[LAN_INSTANCE_CAP];

	if (!bit)
		return;
	dns_data_name(r, &record->data, &target);
	if (record->data.bad || !label_of(&target, &service, of))
		return;
	instance = instance_of(out, of);
	if (instance && record->ttl_s)
		instance->gained |= bit;
	else if (instance)
		instance->lost |= bit;
}

static bool is_for_us(const struct dns_question *question, const struct dns_name *service,
		      const char *label)
{
	struct dns_name enumeration = name_of("", ENUMERATION), own = name_of(label, SERVICE);
	struct dns_name host = name_of(label, "local");

	return dns_name_equal(&question->name, service) ||
	       dns_name_equal(&question->name, &enumeration) ||
	       dns_name_equal(&question->name, &own) || dns_name_equal(&question->name, &host);
}

static void question_take(const struct dns_question *question, const struct dns_name *service,
			  const struct dnssd_self *self, struct dnssd_message *out)
{
	uint64_t subtypes = service_of(&question->name, SUBTYPE, self->services);
	uint64_t literals = service_of(&question->name, SERVICE, self->services);

	if ((question->class & CLASS_MASK) != DNS_CLASS_IN)
		return;
	out->subtypes |= subtypes;
	out->literals |= literals;
	out->is_query |= (subtypes | literals) || is_for_us(question, service, self->label);
}

int lan_dnssd_parse(const void *bytes, size_t len, const struct dnssd_self *self,
		    struct dnssd_message *out)
{
	struct dns_name service = name_of("", SERVICE);
	struct dns_question question;
	struct dns_record record;
	struct dns_reader r;

	out->is_query = false;
	out->subtypes = out->literals = 0;
	out->instance_cnt = 0;
	if (len > DNSSD_LEN_MAX)
		return WEFT_EMALFORMED;
	dns_reader_begin(&r, bytes, len);
	while (dns_next_question(&r, &question))
		if (!(r.flags & DNS_FLAG_RESPONSE))
			question_take(&question, &service, self, out);
	while (dns_next_record(&r, &record)) {
		struct dnssd_instance *instance;
		char of[LAN_INSTANCE_CAP];

		if (!(r.flags & DNS_FLAG_RESPONSE) || (record.class & CLASS_MASK) != DNS_CLASS_IN)
			continue;
		if (record.type == DNS_TYPE_PTR)
			subtype_take(&r, &record, self, out);
		if ((record.type != DNS_TYPE_SRV && record.type != DNS_TYPE_TXT) ||
		    !label_of(&record.name, &service, of))
			continue;
		instance = instance_of(out, of);
		if (instance)
			record_take(&r, &record, instance);
	}
	return dns_reader_finish(&r);
}
