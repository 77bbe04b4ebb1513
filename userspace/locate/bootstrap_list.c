/* SPDX-License-Identifier: Apache-2.0 */
#include "bootstrap_list.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define SCHEME_LEN   (sizeof(BOOTSTRAP_SCHEME) - 1)
#define BODY_LEN_MAX (BOOTSTRAP_LEN_MAX - SIGNED_OVERHEAD_MAX)

_Static_assert(sizeof(((struct bootstrap_entry *)0)->key) == PEER_ADDR_KEY_LEN, "a node's key");

/* A list as it is signed. */
struct body {
	struct bootstrap_list list;
	bool has_too_many; /* entries */
};

static void entry_write(struct writer *w, const struct bootstrap_entry *entry)
{
	struct peer_addr addr = peer_addr_of(&entry->addr);

	addr.peer.has_key = entry->has_key;
	memcpy(addr.peer.key, entry->key, sizeof(addr.peer.key));
	peer_addr_write(w, &addr);
}

static void entries_write(struct writer *w, const void *of)
{
	const struct body *body = of;

	cbor_write_array(w, body->list.entry_cnt);
	for (unsigned i = 0; i < body->list.entry_cnt; i++)
		entry_write(w, &body->list.entries[i]);
}

static void entry_read(struct cbor_reader *r, struct bootstrap_list *list)
{
	struct bootstrap_entry *entry = &list->entries[list->entry_cnt];
	struct peer_addr addr = {0};

	peer_addr_read(r, &addr);
	if (cbor_is_bad(r) || !peer_addr_is_direct(&addr))
		return;
	entry->addr = addr.peer.addr;
	entry->has_key = addr.peer.has_key;
	memcpy(entry->key, addr.peer.key, sizeof(entry->key));
	list->entry_cnt++;
}

/* Of more entries than a list may have none is read. */
static void entries_read(struct cbor_reader *r, void *of)
{
	struct body *body = of;

	body->has_too_many = cbor_enter_array(r) > BOOTSTRAP_ENTRIES_MAX;
	if (body->has_too_many)
		cbor_fail(r);
	while (cbor_next(r))
		entry_read(r, &body->list);
}

static const struct cbor_field body_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct body, list.serial)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct body, list.made_s)},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct body, list.expires_s)},
	{3, CBOR_FIELD_CODED, CBOR_NEEDED, .read = entries_read, .write = entries_write},
	{4, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct body, list.title)},
};
static const struct cbor_table body_table = {CBOR_FIELDS(body_fields)};

void locate_bootstrap_list_write(struct writer *w, const struct node_key *key,
				 struct bootstrap_list *list)
{
	struct body body = {.has_too_many = false};
	uint8_t bytes[BODY_LEN_MAX];
	struct writer b = writer_of(bytes, sizeof(bytes));

	memcpy(list->issuer, node_key_public(key), sizeof(list->issuer));
	body.list = *list;
	cbor_fields_write(&b, &body_table, &body);
	w->bad |= b.bad;
	signed_write(w, key, BOOTSTRAP_TAG, bytes, writer_len(&b));
}

static bool times_fit(const struct bootstrap_list *list)
{
	return list->serial > 0 && list->expires_s > list->made_s &&
	       list->expires_s - list->made_s <= BOOTSTRAP_LIFE_S_MAX;
}

int locate_bootstrap_list_parse(const void *bytes, size_t len, struct bootstrap_list *out_list)
{
	struct signed_object object;
	struct body body;
	int err;

	if (len > BOOTSTRAP_LEN_MAX)
		return WEFT_ETOOLARGE;
	memset(&body, 0, sizeof(body));
	if ((err = signed_parse(bytes, len, &object)) < 0)
		return err;
	if ((err = cbor_fields_parse(object.body, object.body_len, &body_table, &body)) < 0)
		return body.has_too_many ? WEFT_ETOOLARGE : err;
	if (!times_fit(&body.list))
		return WEFT_EMALFORMED;
	memcpy(body.list.issuer, object.signer, sizeof(body.list.issuer));
	err = signed_verify(&object, BOOTSTRAP_TAG);
	if (err == 0)
		*out_list = body.list;
	return err;
}

static bool entry_equal(const struct bootstrap_entry *a, const struct bootstrap_entry *b)
{
	return addr_equal(&a->addr, &b->addr) && a->has_key == b->has_key &&
	       memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

bool locate_bootstrap_list_equal(const struct bootstrap_list *a, const struct bootstrap_list *b)
{
	if (memcmp(a->issuer, b->issuer, sizeof(a->issuer)) != 0 || a->serial != b->serial ||
	    a->made_s != b->made_s || a->expires_s != b->expires_s ||
	    strcmp(a->title, b->title) != 0 || a->entry_cnt != b->entry_cnt)
		return false;
	for (unsigned i = 0; i < a->entry_cnt; i++)
		if (!entry_equal(&a->entries[i], &b->entries[i]))
			return false;
	return true;
}

char *locate_bootstrap_text_write(const uint8_t *bytes, size_t len,
				  char text[static BOOTSTRAP_TEXT_CAP])
{
	memcpy(text, BOOTSTRAP_SCHEME, SCHEME_LEN);
	zbase32_write(bytes, len, text + SCHEME_LEN);
	return text;
}

int locate_bootstrap_text_read(const char *text, uint8_t bytes[static BOOTSTRAP_LEN_MAX],
			       size_t *out_len)
{
	static const char space[] = " \t\r\n";
	size_t letter_cnt;
	int len;

	text += strspn(text, space);
	if (strncmp(text, BOOTSTRAP_SCHEME, SCHEME_LEN) != 0)
		return WEFT_EMALFORMED;
	text += SCHEME_LEN;
	letter_cnt = strcspn(text, space);
	if (text[letter_cnt + strspn(text + letter_cnt, space)])
		return WEFT_EMALFORMED;
	len = zbase32_parse(text, letter_cnt, bytes, BOOTSTRAP_LEN_MAX);
	if (len == WEFT_ETOOSMALL)
		return WEFT_ETOOLARGE;
	*out_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? len : 0;
}
