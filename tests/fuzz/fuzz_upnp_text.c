/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "port_mapping/upnp_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct addr router = {.ip = {192, 168, 1, 1}, .family = ADDR_IPV4};
	char url[UPNP_URL_CAP];

	if (!port_mapping_upnp_read_found((const char *)data, len, &router, url))
		return 0;
	if (strlen(url) >= sizeof(url) || !port_mapping_upnp_is_of(url, &router) ||
	    strncmp(url, "http://192.168.1.1", 18) != 0)
		abort();
	return 0;
}
