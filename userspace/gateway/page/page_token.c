/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of addresses, and the tokens of pages. Home worker. */
#include "page_token.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/random.h"
#include "codec/text/hex.h"

#define SECRET_LEN ((PAGE_TEXT_CAP - 1) / 2)

/* Takes the place that ends first; a free one has ended long ago. */
static struct page_secret *secret_make(struct page_secret *secrets, unsigned cap,
				       uint64_t expires_ns)
{
	struct page_secret *first = &secrets[0];
	uint8_t bytes[SECRET_LEN];
	struct random random;

	for (unsigned i = 1; i < cap; i++)
		if (secrets[i].expires_ns < first->expires_ns)
			first = &secrets[i];
	random_init_system(&random);
	random_fill(&random, bytes, sizeof(bytes));
	hex_write(bytes, sizeof(bytes), first->text);
	first->expires_ns = expires_ns;
	return first;
}

/* All are compared, each as a whole, so that the time tells nothing of a secret. */
static const struct page_secret *secret_find(const struct page_secret *secrets, unsigned cap,
					     const char *text, uint64_t now_ns)
{
	const struct page_secret *found = NULL;

	if (strlen(text) != PAGE_TEXT_CAP - 1)
		return NULL;
	for (unsigned i = 0; i < cap; i++)
		if (now_ns < secrets[i].expires_ns &&
		    CRYPTO_memcmp(secrets[i].text, text, PAGE_TEXT_CAP - 1) == 0)
			found = &secrets[i];
	return found;
}

void gateway_page_code_make(struct page_tokens *book, uint64_t now_ns,
			    char out_code[static PAGE_TEXT_CAP])
{
	memcpy(out_code, secret_make(book->codes, PAGE_CODE_CAP, now_ns + PAGE_CODE_NS)->text,
	       PAGE_TEXT_CAP);
}

bool gateway_page_code_take(struct page_tokens *book, const char *code, uint64_t now_ns,
			    char out_token[static PAGE_TEXT_CAP])
{
	const struct page_secret *found = secret_find(book->codes, PAGE_CODE_CAP, code, now_ns);

	if (!found)
		return false;
	book->codes[found - book->codes] = (struct page_secret){0};
	memcpy(out_token, secret_make(book->tokens, PAGE_TOKEN_CAP, now_ns + PAGE_TOKEN_NS)->text,
	       PAGE_TEXT_CAP);
	return true;
}

bool gateway_page_token_is(const struct page_tokens *book, const char *text, uint64_t now_ns)
{
	return secret_find(book->tokens, PAGE_TOKEN_CAP, text, now_ns) != NULL;
}

bool gateway_page_token_end(struct page_tokens *book, const char *text)
{
	const struct page_secret *found =
		text ? secret_find(book->tokens, PAGE_TOKEN_CAP, text, 0) : NULL;
	bool has_ended = found;

	if (text && found)
		book->tokens[found - book->tokens] = (struct page_secret){0};
	if (!text)
		memset(book->codes, 0, sizeof(book->codes));
	for (unsigned i = 0; !text && i < PAGE_TOKEN_CAP; i++) {
		has_ended |= book->tokens[i].expires_ns != 0;
		book->tokens[i] = (struct page_secret){0};
	}
	return has_ended;
}

unsigned gateway_page_token_cnt(const struct page_tokens *book, uint64_t now_ns)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < PAGE_TOKEN_CAP; i++)
		cnt += now_ns < book->tokens[i].expires_ns;
	return cnt;
}
