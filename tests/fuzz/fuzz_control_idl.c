/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/idl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct idl *idl;
	unsigned line;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (control_idl_parse(text, &idl, &line) == 0)
		control_idl_free(idl);
	free(text);
	return 0;
}
