/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that QUIC and TLS are linked with. */
#include "quic/quic_library.h"

#include <stdio.h>

#include <ngtcp2/ngtcp2.h>
#include <openssl/crypto.h>

void quic_libraries(struct library out[static QUIC_LIBRARY_CNT])
{
	out[0].name = "ngtcp2";
	snprintf(out[0].version, sizeof(out[0].version), "%s", ngtcp2_version(0)->version_str);
	out[1].name = "openssl";
	snprintf(out[1].version, sizeof(out[1].version), "%s",
		 OpenSSL_version(OPENSSL_VERSION_STRING));
}
