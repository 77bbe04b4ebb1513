/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_PAGE_PAGE_TOKEN_H
#define WEFT_GATEWAY_PAGE_PAGE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Private to gateway/: how a page of this gateway gets to act as this node. An address that is made
 * on the control socket has a code behind its '#', which no server and no log sees. The page gives the
 * code back once, and gets a token of its own for it, which it keeps in memory. So each tab has
 * another token. Both are kept here alone, and end with the daemon. When all places of
 * a kind are taken, the one that ends first makes room.
 */
#define PAGE_CODE_CAP  16
#define PAGE_TOKEN_CAP 64
#define PAGE_TEXT_CAP  65 /* 256 bits in hexadecimal */
#define PAGE_CODE_NS   (120ull * 1000000000)
#define PAGE_TOKEN_NS  (8ull * 3600 * 1000000000)

struct page_secret {
	char text[PAGE_TEXT_CAP];
	uint64_t expires_ns; /* 0: free */
};
struct page_tokens {
	struct page_secret codes[PAGE_CODE_CAP];
	struct page_secret tokens[PAGE_TOKEN_CAP];
};

/* gateway_page_code_make writes a code that is good once, for PAGE_CODE_NS. */
void gateway_page_code_make(struct page_tokens *book, uint64_t now_ns,
			    char out_code[static PAGE_TEXT_CAP]);
/* gateway_page_code_take gives a token for code, once; false: it is none, or over. */
bool gateway_page_code_take(struct page_tokens *book, const char *code, uint64_t now_ns,
			    char out_token[static PAGE_TEXT_CAP]);
/* gateway_page_token_is: text is a token that is not over; compared in constant time. */
bool gateway_page_token_is(const struct page_tokens *book, const char *text, uint64_t now_ns);
/* gateway_page_token_end: false when text is none. NULL: all of them, and all codes; true when there was one. */
bool gateway_page_token_end(struct page_tokens *book, const char *text);
unsigned gateway_page_token_cnt(const struct page_tokens *book, uint64_t now_ns);

#endif
