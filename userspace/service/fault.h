/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_FAULT_H
#define WEFT_SERVICE_FAULT_H

#include <stddef.h>
#include <stdint.h>

#include "weft/reason_table.h"

/* A fault of a descriptor, and the index of its counter; SERVICE_FINE is 0. */
enum service_fault {
#define REASON WEFT_REASON_NAME
#include "service/faults.def"
	SERVICE_FAULT_CNT,
};
extern const struct weft_reason_row service_faults[SERVICE_FAULT_CNT];

/*
 * service_faults_write lists the counters that are not 0: "1 expired, 2 bad
 * signature"; "" when all are. Cut off after cap - 1 bytes; returns text.
 */
#define SERVICE_FAULTS_TEXT_CAP 640
const char *service_faults_write(const uint32_t cnts[static SERVICE_FAULT_CNT], char *text,
				 size_t cap);

#endif
