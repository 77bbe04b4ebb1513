/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONNECT and its answer. The answer's head is looked at for its status and its end alone, since
 * nothing else in it says whether the connection is open. Any thread.
 */
#include "tcp/tcp_proxy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/text/base64.h"

#define SCHEME	   "http://"
#define HEAD_END   "\r\n\r\n"
#define STATUS_OFF 9  /* behind "HTTP/1.1 " */
#define STATUS_END 12 /* behind "HTTP/1.1 200" */

int tcp_proxy_parse(const char *text, struct addr *out_addr)
{
	char authority[ADDR_TEXT_CAP];
	struct addr addr;
	size_t len;

	if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
		return WEFT_EMALFORMED;
	text += strlen(SCHEME);
	len = strlen(text);
	if (len && text[len - 1] == '/')
		len--;
	if (!len || len >= sizeof(authority))
		return WEFT_EMALFORMED;
	memcpy(authority, text, len);
	authority[len] = '\0';
	if (addr_parse(authority, &addr) < 0 || addr.transport != ADDR_UDP || !addr.port)
		return WEFT_EMALFORMED;
	addr.transport = ADDR_TCP;
	*out_addr = addr;
	return 0;
}

bool tcp_proxy_serves(const struct addr *remote)
{
	return addr_is_global(remote);
}

bool tcp_proxy_is_of_destination(unsigned fault)
{
	switch (fault) {
	case 403:
	case 404:
	case 500:
	case 502:
	case 503:
	case 504:
		return true;
	default:
		return false;
	}
}

int tcp_proxy_field_write(const char *user, char field[static TCP_PROXY_FIELD_CAP])
{
	char text[BASE64_LEN(TCP_PROXY_USER_MAX) + 1];
	size_t len = strlen(user);

	if (len > TCP_PROXY_USER_MAX || !strchr(user, ':'))
		return WEFT_EMALFORMED;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)user[i]))
			return WEFT_EMALFORMED;
	base64_write((const uint8_t *)user, len, text);
	snprintf(field, TCP_PROXY_FIELD_CAP, "Proxy-Authorization: Basic %s\r\n", text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

size_t tcp_proxy_request_write(const struct addr *remote, const char *field,
			       char request[static TCP_PROXY_REQUEST_CAP])
{
	struct addr bare = *remote;
	char host[ADDR_TEXT_CAP];
	int len;

	bare.transport = ADDR_UDP; /* the text of TCP has a word in front */
	addr_format(&bare, host);
	len = snprintf(request, TCP_PROXY_REQUEST_CAP, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
		       host, host, field);
	weft_assert(len > 0 && len < TCP_PROXY_REQUEST_CAP);
	return (size_t)len;
}

/* Whether letter may follow the first line's bytes so far. */
static bool line_takes(const struct tcp_proxy_reader *reader, char letter)
{
	static const char line[] = "HTTP/1.0 000 "; /* 0: any digit */
	char wanted = line[reader->line_len];

	if (wanted == '0')
		return letter >= (reader->line_len == STATUS_OFF ? '1' : '0') && letter <= '9';
	return letter == wanted || (reader->line_len == STATUS_END && letter == '\r');
}

/* 1: the head ends with letter. */
static int reader_step(struct tcp_proxy_reader *reader, char letter)
{
	if (reader->len == TCP_PROXY_ANSWER_MAX)
		return WEFT_EMALFORMED;
	reader->len++;
	if (reader->line_len <= STATUS_END) {
		if (!line_takes(reader, letter))
			return WEFT_EMALFORMED;
		if (reader->line_len >= STATUS_OFF && reader->line_len < STATUS_END)
			reader->status = (uint16_t)(reader->status * 10 + letter - '0');
		reader->line_len++;
	}
	if (letter == HEAD_END[reader->end_len])
		reader->end_len++;
	else
		reader->end_len = letter == HEAD_END[0];
	return reader->end_len == strlen(HEAD_END);
}

int tcp_proxy_read(struct tcp_proxy_reader *reader, const char *data, size_t len, size_t *out_used)
{
	for (size_t i = 0; i < len; i++) {
		int rv = reader_step(reader, data[i]);

		if (rv < 0)
			return rv;
		if (rv && reader->status >= 200) {
			*out_used = i + 1;
			return 1;
		}
		if (rv)
			*reader = (struct tcp_proxy_reader){.len = reader->len};
	}
	return 0;
}
