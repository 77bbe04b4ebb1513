/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fault.h"

#include <stdio.h>

#include "weft/err.h"

const char *service_fault_word(enum service_fault fault)
{
	static const char *const words[] = {
		"",
#define SERVICE_FAULT(name, word, err, text) word,
#include "service/faults.def"
#undef SERVICE_FAULT
	};

	return words[fault];
}

const char *service_fault_text(enum service_fault fault)
{
	static const char *const texts[] = {
		"",
#define SERVICE_FAULT(name, word, err, text) text,
#include "service/faults.def"
#undef SERVICE_FAULT
	};

	return texts[fault];
}

int service_fault_err(enum service_fault fault)
{
	static const int errs[] = {
		0,
#define SERVICE_FAULT(name, word, err, text) err,
#include "service/faults.def"
#undef SERVICE_FAULT
	};

	return errs[fault];
}

const char *service_faults_write(const uint32_t cnts[static SERVICE_FAULT_CNT], char *text,
				 size_t cap)
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 1; i < SERVICE_FAULT_CNT && len < cap; i++)
		if (cnts[i])
			len += (size_t)snprintf(text + len, cap - len, "%s%u %s", len ? ", " : "",
						cnts[i], service_fault_word(i));
	return text;
}
