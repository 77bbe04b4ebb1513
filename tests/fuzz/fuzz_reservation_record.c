/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and marks of reservations in the store, damaged. What is accepted is written as the same bytes. */
#include <string.h>

#include "base/assert.h"
#include "offers/reserve/reservation_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[RESERVATION_RECORD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reservation_mark_record mark;
	struct reservation_record record;

	if (offers_reservation_mark_parse(data, len, &mark) == 0) {
		offers_reservation_mark_write(&w, &mark);
		weft_assert(!w.bad && writer_len(&w) == len && memcmp(bytes, data, len) == 0);
	}
	if (offers_reservation_record_parse(data, len, &record) < 0)
		return 0;
	weft_assert(record.units > 0 && record.state < RESERVATION_STATE_CNT);
	offers_reservation_record_write(&w, &record);
	weft_assert(!w.bad);
	weft_assert(writer_len(&w) == len);
	weft_assert(memcmp(bytes, data, len) == 0);
	return 0;
}
