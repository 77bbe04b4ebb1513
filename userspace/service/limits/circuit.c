/* SPDX-License-Identifier: Apache-2.0 */
#include "service/limits/circuit.h"

#include "base/monotonic.h"
#include "service/limits/service_limits.h"

/* The end of a program ends its calls in hand within this time. */
#define TOGETHER_NS (50 * NS_PER_MS)
/* While the probe is under way, the others may ask again soon. */
#define PROBE_WAIT_NS NS_PER_S

/* fails_with: the call fails together with the one counted last, so both count as one. */
static bool fails_with(const struct service_circuit *circuit, const struct service_circuit_end *end,
		       uint64_t now_ns)
{
	return circuit->failure_cnt && end->began_ns < circuit->failed_ns &&
	       now_ns - circuit->failed_ns < TOGETHER_NS;
}

static bool is_open(const struct service_circuit *circuit, const struct service_limits *limits)
{
	return circuit->failure_cnt >= limits->circuit_failure_cnt;
}

bool service_circuit_admits(const struct service_circuit *circuit,
			    const struct service_limits *limits, uint64_t now_ns,
			    uint64_t *out_wait_ns)
{
	if (!is_open(circuit, limits))
		return true;
	if (now_ns < circuit->rests_until_ns) {
		*out_wait_ns = circuit->rests_until_ns - now_ns;
		return false;
	}
	*out_wait_ns = PROBE_WAIT_NS;
	return !circuit->is_probing;
}

bool service_circuit_pass(struct service_circuit *circuit, const struct service_limits *limits)
{
	circuit->is_probing = is_open(circuit, limits);
	return circuit->is_probing;
}

bool service_circuit_note(struct service_circuit *circuit, const struct service_limits *limits,
			  const struct service_circuit_end *end, uint64_t now_ns)
{
	service_circuit_forget(circuit, end->is_probe);
	if (!end->is_failure) {
		circuit->failure_cnt = 0;
		return false;
	}
	/* Those that passed before it opened fail late: they do not prolong the rest. */
	if (!end->is_probe && (is_open(circuit, limits) || fails_with(circuit, end, now_ns)))
		return false;
	circuit->failure_cnt++;
	circuit->failed_ns = now_ns;
	if (!is_open(circuit, limits))
		return false;
	circuit->rests_until_ns = now_ns + limits->circuit_rest_ns;
	return true;
}

void service_circuit_forget(struct service_circuit *circuit, bool is_probe)
{
	if (is_probe)
		circuit->is_probing = false;
}

void service_circuit_close(struct service_circuit *circuit)
{
	*circuit = (struct service_circuit){0};
}
