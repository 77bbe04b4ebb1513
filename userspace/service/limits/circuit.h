/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_CIRCUIT_H
#define WEFT_SERVICE_LIMITS_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

struct service_limits;

/*
 * A circuit breaker: after so many failures in a row nothing passes for
 * a while; then one call passes, and how that ends decides. Zeros are a
 * closed circuit. Pure.
 */
struct service_circuit {
	uint32_t failure_cnt; /* in a row */
	bool is_probing;      /* the one call is under way */
	uint64_t failed_ns;   /* when the last of them was counted */
	uint64_t rests_until_ns;
};

/* The end of a call that had passed. */
struct service_circuit_end {
	bool is_probe, is_failure;
	uint64_t began_ns;
};

/*
 * service_circuit_admits: whether a call may pass. If not, *out_wait_ns is when to ask again. pass:
 * a call passes, and is the probe if pass returns true. It ends by note, or by forget when its
 * outcome says nothing about the service. note is true when this failure opened the circuit. Calls
 * in hand that end with the last one counted fail as one with it: the end of a program ends all its
 * calls. close: the circuit is as new, whatever failed.
 */
bool service_circuit_admits(const struct service_circuit *circuit,
			    const struct service_limits *limits, uint64_t now_ns,
			    uint64_t *out_wait_ns);
bool service_circuit_pass(struct service_circuit *circuit, const struct service_limits *limits);
bool service_circuit_note(struct service_circuit *circuit, const struct service_limits *limits,
			  const struct service_circuit_end *end, uint64_t now_ns);
void service_circuit_forget(struct service_circuit *circuit, bool is_probe);
void service_circuit_close(struct service_circuit *circuit);

#endif
