/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_SPEC_H
#define WEFT_PROVIDER_SPEC_H

#include "base/byte_cursor.h"
#include "provider/capabilities.h"
#include "provider/provider.h"

/*
 * A spec as it is checked, stored and kept. The record in the store is a map
 *	{0: 1, 1: name, 2: version, 3: kind, 4: target, 5: [argument...], 6: health path,
 *	 7: {metadata}, 8: calls per minute, 9: payload bytes, 10: timeout ns, 11: concurrency,
 *	 12: memory bytes, 13: [key32...], 14: is hidden, 15: needs signature,
 *	 16: user, 17: is unconfined, 18: [read-only method...],
 *	 19: [[method, kind, key32 or group]...], 20: description,
 *	 21: body bytes, 22: {capabilities}}
 * of which 5 to 22 may be missing. Equal specs have equal records. One with 19 has version
 * 2: a daemon that does not know grants must not offer it to every caller. One with 22 has version
 * 3: its program would fail at a daemon that does not know capabilities.
 */
#define SPEC_RECORD_CAP (17424 + SERVICE_DESCRIPTION_LEN_MAX + CAPABILITIES_RECORD_CAP)

/* A spec with all that it points to. */
struct spec {
	struct provider_spec view;
	const char *args[PROVIDER_ARGS_MAX];
	struct service_metadata metadata[PROVIDER_METADATA_MAX];
	uint8_t allow[PROVIDER_ALLOW_MAX][MESH_KEY_LEN];
	struct service_grant grants[PROVIDER_GRANT_MAX];
	const char *read_only[PROVIDER_READ_ONLY_MAX];
	struct capabilities capabilities;
	char text[SPEC_RECORD_CAP];
	size_t text_len;
};

/*
 * provider_spec_check: 0 or WEFT_EMALFORMED with *out_why. Names, versions, methods and keys of
 * metadata are the service's to judge.
 */
WEFT_MUST_CHECK
int provider_spec_check(const struct provider_spec *view, const char **out_why);
/* provider_spec_write writes the record of what provider_spec_check took. */
void provider_spec_write(struct writer *w, const struct provider_spec *view);
/*
 * provider_spec_parse: 0, WEFT_EUNKNOWN (a later version's record), WEFT_EMALFORMED; then spec
 * holds nothing.
 */
WEFT_MUST_CHECK
int provider_spec_parse(const uint8_t *record, size_t len, struct spec *spec);

/* provider_spec_major: the major version of what provider_spec_check took. */
uint32_t provider_spec_major(const struct provider_spec *view);

/* The key of STORE_OFFERS: name, '@', major version. provider_spec_key_write returns its length. */
#define SPEC_KEY_CAP (SERVICE_NAME_LEN_MAX + 12)
size_t provider_spec_key_write(char key[static SPEC_KEY_CAP], const char *name, uint32_t major);

#endif
