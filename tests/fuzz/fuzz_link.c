/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "blobs/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What parses is written as something that parses to the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1), again[LINK_TEXT_CAP];
	struct link link, got;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (blobs_link_parse(text, &link) == 0) {
		weft_assert(blobs_link_parse(blobs_link_write(&link, again), &got) == 0);
		weft_assert(memcmp(&link, &got, sizeof(link)) == 0);
	}
	free(text);
	return 0;
}
