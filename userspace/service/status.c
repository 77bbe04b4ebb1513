/* SPDX-License-Identifier: Apache-2.0 */
#include "service/service.h"

const char *service_status_name(enum service_status status)
{
	static const char *const names[SERVICE_STATUS_CNT] = {
		[SERVICE_OK] = "OK",
		[SERVICE_UNKNOWN_ERROR] = "UnknownError",
		[SERVICE_NOT_FOUND] = "ServiceNotFound",
		[SERVICE_METHOD_NOT_FOUND] = "MethodNotFound",
		[SERVICE_INVALID_PAYLOAD] = "InvalidPayload",
		[SERVICE_TIMEOUT] = "Timeout",
		[SERVICE_RATE_LIMITED] = "RateLimited",
		[SERVICE_UNAUTHORIZED] = "Unauthorized",
		[SERVICE_FORBIDDEN] = "Forbidden",
		[SERVICE_PAYLOAD_TOO_LARGE] = "PayloadTooLarge",
		[SERVICE_UNAVAILABLE] = "ServiceUnavailable",
	};

	return (unsigned)status < SERVICE_STATUS_CNT ? names[status] : "Undefined";
}
