/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fault.h"

#include <stdio.h>

#include "weft/err.h"

const struct weft_reason_row service_faults[] = {
#define REASON WEFT_REASON_ROW
#include "service/faults.def"
};

const char *service_faults_write(const uint32_t cnts[static SERVICE_FAULT_CNT], char *text,
				 size_t cap)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 1; i < SERVICE_FAULT_CNT && len < cap; i++)
		if (cnts[i])
			len += (size_t)snprintf(text + len, cap - len, "%s%u %s", len ? ", " : "",
						cnts[i], service_faults[i].word);
	return text;
}
