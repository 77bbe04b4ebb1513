/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PORT_MAPPING_UPNP_TEXT_H
#define WEFT_PORT_MAPPING_UPNP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

/*
 * The texts of UPnP (UPnP Device Architecture 2.0): the search of SSDP, and calls of SOAP. Each URL
 * that a device names has to lead to the router itself, or a device could have this node write to
 * third parties. Any thread.
 */
#define UPNP_URL_CAP	 256
#define UPNP_SERVICE_CAP 128
#define UPNP_SEARCH_CAP	 256
#define UPNP_CALL_CAP	 1536

/* upnp_write_search: the question to host, "239.255.255.250:1900". Returns its length. */
size_t port_mapping_upnp_write_search(const char *host, char out[static UPNP_SEARCH_CAP]);
/*
 * upnp_read_found reads the answer to a search: false, unless it names a URL of router where its
 * description is.
 */
bool port_mapping_upnp_read_found(const char *data, size_t len, const struct addr *router,
				  char out_url[static UPNP_URL_CAP]);
/* upnp_is_of: url is one of HTTP at router. */
bool port_mapping_upnp_is_of(const char *url, const struct addr *router);
/* upnp_service_is_usable: service maps ports, and its name changes no text that it is put into. */
bool port_mapping_upnp_service_is_usable(const char *service);

/* An argument of a call: name and value are of characters that XML takes as they are. */
struct upnp_argument {
	const char *name, *value;
};
/* upnp_write_call: service's action with arguments, up to a NULL name. Returns its length, 0: too long. */
size_t port_mapping_upnp_write_call(const char *service, const char *action,
				    const struct upnp_argument *arguments,
				    char out[static UPNP_CALL_CAP]);

#endif
