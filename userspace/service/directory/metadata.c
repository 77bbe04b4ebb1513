/* SPDX-License-Identifier: Apache-2.0 */
#include "metadata.h"

#include <string.h>
#include <strings.h>

#include "codec/cbor.h"
#include "codec/text/utf8.h"

/* "IPv4" and "ipv6" are the word ipv and a number. */
static const char *const private_words[] = {"username", "email", "ip", "ipv"};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool word_begins(const char *key, size_t at)
{
	return at == 0 || !is_letter(key[at - 1]) || (is_upper(key[at]) && !is_upper(key[at - 1]));
}

static bool word_ends(const char *key, size_t len, size_t at)
{
	return at == len || !is_letter(key[at]) || is_upper(key[at]);
}

static bool key_has_word(const char *key, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (size_t at = 0; at + word_len <= len; at++)
		if (strncasecmp(key + at, word, word_len) == 0 && word_begins(key, at) &&
		    word_ends(key, len, at + word_len))
			return true;
	return false;
}

static bool key_is_private(const char *key, size_t len)
{
	for (size_t i = 0; i < sizeof(private_words) / sizeof(private_words[0]); i++)
		if (key_has_word(key, len, private_words[i]))
			return true;
	return false;
}

/* Deterministic CBOR orders keys by their encoding, which begins with the length. */
static int key_compare(const struct service_pair *a, const struct service_pair *b)
{
	if (a->key_len != b->key_len)
		return a->key_len < b->key_len ? -1 : 1;
	return memcmp(a->key, b->key, a->key_len);
}

static bool keys_are_unique(const struct service_pair *pairs, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		for (unsigned j = 0; j < i; j++)
			if (key_compare(&pairs[i], &pairs[j]) == 0)
				return false;
	return true;
}

enum service_fault service_metadata_check(const struct service_pair *pairs, unsigned cnt)
{
	size_t len = 0;

	if (cnt > SERVICE_METADATA_MAX)
		return SERVICE_MANY_METADATA;
	for (unsigned i = 0; i < cnt; i++)
		len += pairs[i].key_len + pairs[i].value_len;
	if (len > SERVICE_METADATA_LEN_MAX)
		return SERVICE_LONG_METADATA;
	for (unsigned i = 0; i < cnt; i++) {
		const struct service_pair *pair = &pairs[i];

		if (pair->key_len == 0 || !utf8_is_plain(pair->key, pair->key_len) ||
		    !utf8_is_plain(pair->value, pair->value_len))
			return SERVICE_BAD_METADATA;
		if (key_is_private(pair->key, pair->key_len))
			return SERVICE_PRIVATE_METADATA;
	}
	return keys_are_unique(pairs, cnt) ? SERVICE_FINE : SERVICE_BAD_METADATA;
}

enum service_fault service_metadata_take(const struct service_metadata *texts, unsigned cnt,
					 struct service_pair pairs[static SERVICE_METADATA_MAX])
{
	if (cnt > SERVICE_METADATA_MAX)
		return SERVICE_MANY_METADATA;
	for (unsigned i = 0; i < cnt; i++)
		pairs[i] = (struct service_pair){
			.key = texts[i].key,
			.key_len = strnlen(texts[i].key, SERVICE_METADATA_LEN_MAX + 1),
			.value = texts[i].value,
			.value_len = strnlen(texts[i].value, SERVICE_METADATA_LEN_MAX + 1),
		};
	return service_metadata_check(pairs, cnt);
}

void service_metadata_sort(struct service_pair *pairs, unsigned cnt)
{
	for (unsigned i = 1; i < cnt; i++) {
		struct service_pair pair = pairs[i];
		unsigned at = i;

		for (; at > 0 && key_compare(&pairs[at - 1], &pair) > 0; at--)
			pairs[at] = pairs[at - 1];
		pairs[at] = pair;
	}
}

void service_metadata_write(struct writer *w, const struct service_pair *pairs, unsigned cnt)
{
	cbor_write_map(w, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		cbor_write_text(w, pairs[i].key, pairs[i].key_len);
		cbor_write_text(w, pairs[i].value, pairs[i].value_len);
	}
}
