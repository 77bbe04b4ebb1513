/* SPDX-License-Identifier: Apache-2.0 */
#include "service_limits.h"

#include <string.h>

/* clang-format off */
const struct service_limit_info service_limit_infos[SERVICE_LIMIT_CNT] = {
#define SERVICE_LIMIT(field, key, value, low, high, unit, change, text) \
	{key, text, SERVICE_UNIT_##unit, value, low, high, offsetof(struct service_limits, field)},
#include "service/limits.def"
#undef SERVICE_LIMIT
};
/* clang-format on */

void service_limits_defaults(struct service_limits *limits)
{
	for (unsigned i = 0; i < SERVICE_LIMIT_CNT; i++)
		memcpy((char *)limits + service_limit_infos[i].off, &service_limit_infos[i].initial,
		       sizeof(uint64_t));
}

uint64_t service_limit_value(const struct service_limits *limits, enum service_limit which)
{
	uint64_t value;

	memcpy(&value, (const char *)limits + service_limit_infos[which].off, sizeof(value));
	return value;
}

const char *service_unit_name(enum service_unit unit)
{
	switch (unit) {
	case SERVICE_UNIT_COUNT:
		return "";
	case SERVICE_UNIT_BYTES:
		return "bytes";
	case SERVICE_UNIT_DURATION:
		return "ns";
	case SERVICE_UNIT_CALLS_PER_MIN:
		return "calls/min";
	case SERVICE_UNIT_UNITS:
		return "units";
	case SERVICE_UNIT_UNITS_PER_MIN:
		return "units/min";
	case SERVICE_UNIT_PER_MIN:
		return "/min";
	}
	return "";
}
