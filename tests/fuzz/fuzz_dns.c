/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/*
 * A message that this code could write, a TXT record of one string, is written and read back the
 * same.
 */
static void write_again(const struct dns_record *record, struct dns_writer *w)
{
	struct cursor strings = record->data;
	struct dns_writer before = *w;
	const char *text;
	size_t len;

	if (!dns_txt_next(&strings, &text, &len) || cursor_left(&strings))
		return;
	dns_write_txt(w, &record->name, record->ttl_s, text, len);
	if (w->w.bad)
		*w = before;
}

static void compare(const struct dns_record *record, struct dns_reader *again)
{
	struct cursor strings = record->data;
	struct dns_record other;
	const char *text;
	size_t len;

	if (!again->answer_left || !dns_txt_next(&strings, &text, &len) || cursor_left(&strings))
		return;
	if (!dns_next_answer(again, &other) || other.ttl_s != record->ttl_s ||
	    !dns_name_equal(&other.name, &record->name) || cursor_left(&other.data) != len + 1 ||
	    memcmp(other.data.pos + 1, text, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t message[1 << 16];
	struct dns_reader r, again;
	struct dns_record record;
	struct dns_writer w;
	int written_len;

	dns_writer_init(&w, message, sizeof(message));
	dns_reader_init(&r, data, len);
	while (dns_next_answer(&r, &record))
		write_again(&record, &w);
	written_len = dns_writer_finish(&w);
	if (written_len < 0)
		abort();
	dns_reader_init(&again, message, (size_t)written_len);
	dns_reader_init(&r, data, len);
	while (dns_next_answer(&r, &record))
		compare(&record, &again);
	if (dns_reader_finish(&again) < 0)
		abort();
	if (dns_reader_finish(&r) == 0 && len < DNS_HEADER_LEN)
		abort();
	return 0;
}
