/* SPDX-License-Identifier: Apache-2.0 */
#include "named.h"

#include <string.h>

#include "codec/text/zbase32.h"

static bool node_take(struct service_named *named, const char *text, size_t len)
{
	if (named->has_provider || len != ZBASE32_TEXT_LEN(MESH_KEY_LEN) ||
	    zbase32_parse(text, len, named->provider, MESH_KEY_LEN) != MESH_KEY_LEN)
		return false;
	named->has_provider = true;
	return true;
}

static bool version_take(struct service_named *named, const char *text, size_t len)
{
	if (!len || len >= sizeof(named->version))
		return false;
	memcpy(named->version, text, len);
	named->version[len] = '\0';
	return true;
}

int service_named_parse(const char *text, struct service_named *out_named)
{
	struct service_named named = {.name = ""};
	size_t len = strcspn(text, "@");

	if (!len || len > SERVICE_NAME_LEN_MAX)
		return WEFT_EMALFORMED;
	memcpy(named.name, text, len);
	for (text += len; *text; text += len) {
		text++;
		len = strcspn(text, "@");
		/* Nothing stands behind a version. */
		if (named.version[0] ||
		    (!node_take(&named, text, len) && !version_take(&named, text, len)))
			return WEFT_EMALFORMED;
	}
	*out_named = named;
	return 0;
}
