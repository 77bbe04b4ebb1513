/* SPDX-License-Identifier: Apache-2.0 */
#include "service/service.h"

const char *service_status_name(enum service_status status)
{
	static const char *const names[SERVICE_STATUS_CNT] = {
#define STATUS(name, number, word) [SERVICE_##name] = word,
#include "service/statuses.def"
	};

	return (unsigned)status < SERVICE_STATUS_CNT ? names[status] : "Undefined";
}
