/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "codec/cbor_fields.h"
#include "support/cbor_sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t sample_write(const struct cbor_sample *sample, uint8_t *out, size_t cap)
{
	struct writer w = writer_of(out, cap);

	cbor_fields_write(&w, &cbor_sample_table, sample);
	if (w.bad)
		abort();
	return writer_len(&w);
}

/* What is written of a read struct is read again as the same; a closed table admits no more. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cbor_sample first = {0}, second = {0}, closed = {0};
	uint8_t once[512], again[512];
	size_t once_len;

	if (cbor_fields_parse(data, len, &cbor_sample_closed_table, &closed) == 0 &&
	    cbor_fields_parse(data, len, &cbor_sample_table, &first) < 0)
		abort();
	memset(&first, 0, sizeof(first));
	if (cbor_fields_parse(data, len, &cbor_sample_table, &first) < 0)
		return 0;
	once_len = sample_write(&first, once, sizeof(once));
	if (cbor_fields_parse(once, once_len, &cbor_sample_closed_table, &second) < 0 ||
	    sample_write(&second, again, sizeof(again)) != once_len ||
	    memcmp(once, again, once_len) != 0)
		abort();
	return 0;
}
