/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_DIRECTORY_READ_ONLY_H
#define WEFT_SERVICE_DIRECTORY_READ_ONLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "service/fault.h"
#include "service/service.h"

/*
 * The methods of a service that its owner declares read-only. A call of one changes nothing at
 * the provider. So a caller that does not know whether the call ran may make it twice, or
 * elsewhere. The descriptor carries the list. The name "*" stands for every method. For a
 * service of HTTP the names are HTTP's own methods. A service that declares none has none. Pure.
 */
/* All names at their longest (SERVICE_METHOD_LEN_MAX). */
#define SERVICE_READ_ONLY_LEN_MAX (SERVICE_READ_ONLY_MAX * 64u)

struct service_read_only {
	unsigned cnt;
	uint8_t lens[SERVICE_READ_ONLY_MAX];
	const char *names[SERVICE_READ_ONLY_MAX]; /* borrowed, not NUL-terminated, ascending */
};

/*
 * service_read_only_take makes *out_list of names in any order. service_read_only_check: a list
 * that is in order. SERVICE_FINE, SERVICE_MANY_READ_ONLY or SERVICE_BAD_READ_ONLY (no name of a
 * method, or one that is there twice).
 */
enum service_fault service_read_only_take(const char *const *names, unsigned cnt,
					  struct service_read_only *out_list);
enum service_fault service_read_only_check(const struct service_read_only *list);
/* service_read_only_has: the list has method, or "*"; SERVICE_DESCRIBE is in every list. */
bool service_read_only_has(const struct service_read_only *list, const char *method);
bool service_read_only_equals(const struct service_read_only *a, const struct service_read_only *b);
/* service_read_only_write: the array of the descriptor's field. */
void service_read_only_write(struct writer *w, const struct service_read_only *list);

#endif
