/* SPDX-License-Identifier: Apache-2.0 */
/* weftd --version --json. Start-up only. */
#include "node/version_print.h"

#include <gnu/libc-version.h>
#include <jansson.h>
#include <stdlib.h>

#include "codec/codec_library.h"
#include "control/control_library.h"
#include "crypto/crypto_library.h"
#include "gateway/gateway_library.h"
#include "net/net_library.h"
#include "quic/quic_library.h"
#include "store/store_library.h"
#include "weft/version.h"

static void libraries_add(json_t *object, const struct library *libraries, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		json_object_set_new(object, libraries[i].name, json_string(libraries[i].version));
}

void node_version_print_json(FILE *out)
{
	struct {
		struct library quic[QUIC_LIBRARY_CNT], crypto[CRYPTO_LIBRARY_CNT];
		struct library store[STORE_LIBRARY_CNT], codec[CODEC_LIBRARY_CNT];
		struct library gateway[GATEWAY_LIBRARY_CNT], control[CONTROL_LIBRARY_CNT];
		struct library net[NET_LIBRARY_CNT];
	} all;
	json_t *libraries = json_object();
	json_t *version = json_pack("{s:s, s:O}", "weftd", WEFT_VERSION, "libraries", libraries);

	quic_libraries(all.quic);
	crypto_libraries(all.crypto);
	store_libraries(all.store);
	codec_libraries(all.codec);
	gateway_libraries(all.gateway);
	control_libraries(all.control);
	net_libraries(all.net);
	/* All of it is of libraries, one after the other. */
	libraries_add(libraries, (const struct library *)&all,
		      sizeof(all) / sizeof(struct library));
	json_object_set_new(libraries, "glibc", json_string(gnu_get_libc_version()));
	json_dumpf(version, out, JSON_INDENT(2) | JSON_SORT_KEYS);
	fputc('\n', out);
	json_decref(libraries);
	json_decref(version);
}
