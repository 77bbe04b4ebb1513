/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/scheme_text.h"

#include <string.h>

#include "codec/text/zbase32.h"

char *relay_scheme_text_write(const char *scheme, const uint8_t *bytes, size_t len, char *text)
{
	size_t scheme_len = strlen(scheme);

	memcpy(text, scheme, scheme_len);
	zbase32_write(bytes, len, text + scheme_len);
	return text;
}

int relay_scheme_text_read(const char *scheme, const char *text, struct writer *w, size_t *out_len)
{
	static const char space[] = " \t\r\n";
	size_t scheme_len = strlen(scheme), letter_cnt;
	int len;

	text += strspn(text, space);
	if (strncmp(text, scheme, scheme_len) != 0)
		return WEFT_EMALFORMED;
	text += scheme_len;
	letter_cnt = strcspn(text, space);
	if (text[letter_cnt + strspn(text + letter_cnt, space)])
		return WEFT_EMALFORMED;
	len = zbase32_parse(text, letter_cnt, w->pos, (size_t)(w->end - w->pos));
	if (len == WEFT_ETOOSMALL)
		return WEFT_ETOOLARGE;
	*out_len = len < 0 ? 0 : (size_t)len;
	return len < 0 ? len : 0;
}
