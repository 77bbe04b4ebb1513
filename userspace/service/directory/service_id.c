/* SPDX-License-Identifier: Apache-2.0 */
#include "service_id.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "codec/text/zbase32.h"
#include "crypto/sha256.h"
#include "service/service.h"

#define PEER_PREFIX	"peer:"
#define PEER_PREFIX_LEN 5
#define PEER_CAP	65

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool service_name_is_valid(const char *name, size_t len)
{
	if (len == 0 || len > SERVICE_NAME_LEN_MAX || !is_alphanumeric(name[0]) ||
	    !is_alphanumeric(name[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alphanumeric(name[i]) && name[i] != '-' && name[i] != '.')
			return false;
	return true;
}

void service_id_of_peer(const char *name, const char *peer, uint8_t *out_id)
{
	char text[sizeof("svc::") + SERVICE_NAME_LEN_MAX + PEER_CAP];
	int len = snprintf(text, sizeof(text), "svc:%s:%s", name, peer);

	weft_assert(len > 0 && (size_t)len < sizeof(text));
	sha256(text, (size_t)len, out_id);
}

void service_id_of(const char *name, const uint8_t *owner, uint8_t *out_id)
{
	char peer[PEER_PREFIX_LEN + ZBASE32_KEY_TEXT_CAP] = PEER_PREFIX;

	zbase32_write(owner, MESH_KEY_LEN, peer + PEER_PREFIX_LEN);
	service_id_of_peer(name, peer, out_id);
}
