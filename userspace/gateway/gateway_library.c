/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that HTTP is linked with. */
#include "gateway/gateway_library.h"

#include <stdio.h>

#include <llhttp.h>

void gateway_libraries(struct library out[static GATEWAY_LIBRARY_CNT])
{
	/* It has no function that tells. */
	out[0].name = "llhttp";
	snprintf(out[0].version, sizeof(out[0].version), "%d.%d.%d", LLHTTP_VERSION_MAJOR,
		 LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
}
