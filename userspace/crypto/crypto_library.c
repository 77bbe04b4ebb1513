/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that keys and signatures are linked with. */
#include "crypto/crypto_library.h"

#include <stdio.h>

#include <sodium.h>

void crypto_libraries(struct library out[static CRYPTO_LIBRARY_CNT])
{
	out[0].name = "libsodium";
	snprintf(out[0].version, sizeof(out[0].version), "%s", sodium_version_string());
}
