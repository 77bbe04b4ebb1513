/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "offers/message/stock_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read is written as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct stock_entry entries[STOCK_MAX];
	static struct stock_lacks lacked;
	static uint8_t out[STOCK_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	int cnt = offers_stock_parse(data, len, entries);

	if (cnt > 0)
		offers_stock_write(&w, entries, (unsigned)cnt);
	else if (offers_lacks_parse(data, len, &lacked) == 0)
		offers_lacks_write(&w, &lacked);
	else
		return 0;
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0)
		abort();
	return 0;
}
