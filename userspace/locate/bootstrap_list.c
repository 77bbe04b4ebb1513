/* SPDX-License-Identifier: Apache-2.0 */
#include "bootstrap_list.h"

#include <string.h>

#include "codec/peer_addr.h"
#include "codec/text/zbase32.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"

#define SCHEME_LEN   (sizeof(BOOTSTRAP_SCHEME) - 1)
#define BODY_LEN_MAX (BOOTSTRAP_LEN_MAX - SIGNED_OVERHEAD_MAX)

_Static_assert(sizeof(((struct bootstrap_entry *)0)->key) == PEER_ADDR_KEY_LEN, "a node's key");

enum {
	KEY_SERIAL = 0,
	KEY_MADE = 1,
	KEY_EXPIRES = 2,
	KEY_ENTRIES = 3,
	KEYS_ALL = 0xf,
	KEY_TITLE = 4
};

static void entry_write(struct writer *w, const struct bootstrap_entry *entry)
{
	struct peer_addr addr = peer_addr_of(&entry->addr);

	addr.peer.has_key = entry->has_key;
	memcpy(addr.peer.key, entry->key, sizeof(addr.peer.key));
	peer_addr_write(w, &addr);
}

void locate_bootstrap_list_write(struct writer *w, const struct node_key *key,
				 struct bootstrap_list *list)
{
	uint8_t body[BODY_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));
	size_t title_len = strlen(list->title);

	memcpy(list->issuer, node_key_public(key), sizeof(list->issuer));
	cbor_write_map(&b, 4u + (title_len > 0));
	cbor_field_uint(&b, KEY_SERIAL, list->serial);
	cbor_field_uint(&b, KEY_MADE, list->made_s);
	cbor_field_uint(&b, KEY_EXPIRES, list->expires_s);
	cbor_write_uint(&b, KEY_ENTRIES);
	cbor_write_array(&b, list->entry_cnt);
	for (unsigned i = 0; i < list->entry_cnt; i++)
		entry_write(&b, &list->entries[i]);
	if (title_len)
		cbor_field_text(&b, KEY_TITLE, list->title, title_len);
	w->bad |= b.bad;
	signed_write(w, key, BOOTSTRAP_TAG, body, writer_len(&b));
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

/* False: there are more than a list may have. */
static bool entries_read(struct cbor_reader *r, struct bootstrap_list *list)
{
	if (cbor_enter_array(r) > BOOTSTRAP_ENTRIES_MAX)
		return false;
	while (cbor_next(r))
		entry_read(r, list);
	return true;
}

static int body_parse(const struct signed_object *object, struct bootstrap_list *list)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, object->body, object->body_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case KEY_SERIAL:
			list->serial = cbor_read_uint(&r);
			break;
		case KEY_MADE:
			list->made_s = cbor_read_uint(&r);
			break;
		case KEY_EXPIRES:
			list->expires_s = cbor_read_uint(&r);
			break;
		case KEY_ENTRIES:
			if (!entries_read(&r, list))
				return WEFT_ETOOLARGE;
			break;
		case KEY_TITLE:
			cbor_read_text_copy(&r, list->title, sizeof(list->title));
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish_with(&r, KEYS_ALL);
}

static bool times_fit(const struct bootstrap_list *list)
{
	return list->serial > 0 && list->expires_s > list->made_s &&
	       list->expires_s - list->made_s <= BOOTSTRAP_LIFE_S_MAX;
}

int locate_bootstrap_list_parse(const void *bytes, size_t len, struct bootstrap_list *out_list)
{
	struct bootstrap_list list;
	struct signed_object object;
	int err;

	if (len > BOOTSTRAP_LEN_MAX)
		return WEFT_ETOOLARGE;
	memset(&list, 0, sizeof(list));
	if ((err = signed_parse(bytes, len, &object)) < 0 || (err = body_parse(&object, &list)) < 0)
		return err;
	if (!times_fit(&list))
		return WEFT_EMALFORMED;
	memcpy(list.issuer, object.signer, sizeof(list.issuer));
	err = signed_verify(&object, BOOTSTRAP_TAG);
	if (err == 0)
		*out_list = list;
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
