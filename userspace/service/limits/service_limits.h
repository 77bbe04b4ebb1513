/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_SERVICE_LIMITS_H
#define WEFT_SERVICE_LIMITS_SERVICE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* The limits of limits.def as a struct and as a table. Pure. */
enum service_unit {
	SERVICE_UNIT_COUNT,
	SERVICE_UNIT_BYTES,
	SERVICE_UNIT_DURATION, /* nanoseconds */
	SERVICE_UNIT_CALLS_PER_MIN,
	SERVICE_UNIT_UNITS,
	SERVICE_UNIT_UNITS_PER_MIN,
	SERVICE_UNIT_PER_MIN,
};

struct service_limits {
#define SERVICE_LIMIT(field, key, value, low, high, unit, change, text) uint64_t field;
#include "service/limits.def"
#undef SERVICE_LIMIT
};

enum service_limit {
#define SERVICE_LIMIT(field, key, value, low, high, unit, change, text) SERVICE_LIMIT_##field,
#include "service/limits.def"
#undef SERVICE_LIMIT
	SERVICE_LIMIT_CNT,
};

struct service_limit_info {
	const char *key; /* of [service] in weft.conf(5) */
	const char *text;
	enum service_unit unit;
	uint64_t initial, min, max; /* inclusive */
	size_t off;		    /* of the uint64_t in struct service_limits */
};
extern const struct service_limit_info service_limit_infos[SERVICE_LIMIT_CNT];

void service_limits_defaults(struct service_limits *limits);
uint64_t service_limit_value(const struct service_limits *limits, enum service_limit which);
/* service_unit_name: "calls/min", "bytes", ...; "" for a plain count. */
const char *service_unit_name(enum service_unit unit);

#endif
