/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_FAULT_H
#define WEFT_SERVICE_FAULT_H

#include <stddef.h>
#include <stdint.h>

/* What is wrong with a descriptor, and the index of a counter (faults.def). */
enum service_fault {
	SERVICE_FINE = 0,
#define SERVICE_FAULT(name, word, err, text) SERVICE_##name,
#include "service/faults.def"
#undef SERVICE_FAULT
	SERVICE_FAULT_CNT,
};

/* service_fault_{word,text}: "bad signature" and a sentence for people; "" of SERVICE_FINE. */
const char *service_fault_word(enum service_fault fault);
const char *service_fault_text(enum service_fault fault);
/* service_fault_err: the WEFT_E code it is to the overlay and to callers; 0 of SERVICE_FINE. */
int service_fault_err(enum service_fault fault);

/*
 * service_faults_write lists the counters that are not 0: "1 expired, 2 bad
 * signature"; "" when all are. Cut off after cap - 1 bytes; returns text.
 */
#define SERVICE_FAULTS_TEXT_CAP 640
const char *service_faults_write(const uint32_t cnts[static SERVICE_FAULT_CNT], char *text,
				 size_t cap);

#endif
