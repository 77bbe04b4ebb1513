/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_METHOD_SERVICE_TENANT_H
#define WEFT_API_SERVICES_METHOD_SERVICE_TENANT_H

#include "api/methods.h"
#include "provider/tenant/tenant.h"

/* Shared by the methods of rows, values and counters of programs. */

/*
 * api_service_tenant: the tenant of a service that a program of the caller's user offers, or of any
 * user for an administrator. NULL: call was failed.
 */
struct provider_tenant *api_service_tenant(struct api *api, struct control_call *call,
					   const char *name, const char *version);
/*
 * api_service_tenant_fail fails call for what the tenant said of a capability. name is the
 * service's, what the capability's: "rows", "tags" or "counters".
 */
void api_service_tenant_fail(struct control_call *call, int err, const char *name,
			     const char *what);
/*
 * api_service_bytes_read: the bytes of base64, of at most len_max; NULL: none. False: call was
 * failed, for the parameter of that name.
 */
struct service_bytes {
	const void *data;
	size_t len;
};
bool api_service_bytes_read(struct control_call *call, const char *base64, const char *parameter,
			    struct service_bytes *out_bytes);
/* api_service_capabilities: what tenant declared and uses, in blocks; NULL without memory. */
struct api_service_capabilities *api_service_capabilities(struct varlink_blocks *blocks,
							  const struct provider_tenant *tenant);

#endif
