/* SPDX-License-Identifier: Apache-2.0 */
#include "pressure.h"

#include "base/monotonic.h"

void firewall_pressure_init(struct pressure *pressure, const struct pressure_config *config)
{
	*pressure = (struct pressure){.config = *config};
}

static bool is_of_unvalidated(enum weft_reason reason)
{
	switch (reason) {
	case WEFT_REASON_REPLAYED_ID:
	case WEFT_REASON_SMALL_INITIAL:
	case WEFT_REASON_BAD_INITIAL:
	case WEFT_REASON_SMALL_VERSION:
	case WEFT_REASON_EARLY_DATA:
	case WEFT_REASON_INITIAL_LIMIT:
	case WEFT_REASON_KRPC_LIMIT:
	case WEFT_REASON_KRPC_FLOOD:
	case WEFT_REASON_STUN_LIMIT:
	case WEFT_REASON_STUN_FLOOD:
	case WEFT_REASON_STUN_BUDGET:
	case WEFT_REASON_PROBE_LIMIT:
	case WEFT_REASON_ANSWER_LIMIT:
	case WEFT_REASON_BAD_TOKEN:
	case WEFT_REASON_LATE_TOKEN:
	case WEFT_REASON_UNKEYED_TOKEN:
	case WEFT_REASON_KRPC_BUDGET:
	case WEFT_REASON_NEW_PATH:
	case WEFT_REASON_INITIAL:
	case WEFT_REASON_RETRIED:
	case WEFT_REASON_KNOWN:
	case WEFT_REASON_KRPC:
	case WEFT_REASON_STUN:
	case WEFT_REASON_PROBE:
	case WEFT_REASON_KRPC_SENDER:
	case WEFT_REASON_VERSION_SENT:
	case WEFT_REASON_RETRY_SENT:
	case WEFT_REASON_KRPC_SENT:
	case WEFT_REASON_STUN_SENT:
		return true;
	/* Not for this node. */
	case WEFT_REASON_NOT_IP:
	case WEFT_REASON_NOT_UDP:
	case WEFT_REASON_IP_OPTIONS:
	case WEFT_REASON_FRAGMENT:
	case WEFT_REASON_CUT_SHORT:
	case WEFT_REASON_OTHER_PORT:
	case WEFT_REASON_OTHER_HOST:
	case WEFT_REASON_NO_TABLES:
	/* Junk. */
	case WEFT_REASON_BAD_LENGTH:
	case WEFT_REASON_BAD_SUM:
	case WEFT_REASON_BAD_SOURCE:
	case WEFT_REASON_BANNED:
	case WEFT_REASON_NO_PROTOCOL:
	case WEFT_REASON_BAD_ID:
	case WEFT_REASON_STRAY_VERSION:
	case WEFT_REASON_ANSWER_FAILED:
	/* Relayed: a wrong tag costs nothing, and with a right one each flow and grant has its rate. */
	case WEFT_REASON_RELAY_BAD ... WEFT_REASON_RELAY_VOLUME:
	case WEFT_REASON_RELAY_TO_END ... WEFT_REASON_RELAY_SLOW:
	case WEFT_REASON_RELAY_UNKNOWN:
	case WEFT_REASON_RELAY_TOO_BIG:
	case WEFT_REASON_RELAYED:
	/* From proven addresses. */
	case WEFT_REASON_SESSION:
	case WEFT_REASON_MAYBE_RESET:
	case WEFT_REASON_KRPC_REPLY:
	case WEFT_REASON_CNT:
		return false;
	}
	return false;
}

uint64_t
firewall_pressure_unvalidated_cnt(const struct weft_counter counters[static WEFT_REASON_CNT])
{
	uint64_t sum = 0;

	for (unsigned reason = 0; reason < WEFT_REASON_CNT; reason++)
		if (is_of_unvalidated((enum weft_reason)reason))
			sum += counters[reason].packet_cnt;
	return sum;
}

/* Per second; 0 when the count began again. */
static uint64_t rate_of(uint64_t now_cnt, uint64_t then_cnt, uint64_t elapsed_ns)
{
	if (now_cnt < then_cnt)
		return 0;
	return (uint64_t)((double)(now_cnt - then_cnt) * (double)NS_PER_S / (double)elapsed_ns);
}

static void rates_measure(struct pressure *pressure, const struct pressure_load *load,
			  uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns - pressure->measured_ns;

	pressure->half_open_cnt = pressure->handshake_cnt = load->handshake_cnt;
	if (pressure->measured_ns && elapsed_ns) {
		pressure->unvalidated_rate =
			rate_of(load->unvalidated_cnt, pressure->unvalidated_cnt, elapsed_ns);
		pressure->half_open_cnt +=
			rate_of(load->initial_cnt, pressure->initial_cnt, elapsed_ns);
	}
	pressure->measured_ns = now_ns;
	pressure->unvalidated_cnt = load->unvalidated_cnt;
	pressure->initial_cnt = load->initial_cnt;
}

/* The mode that the load asks for, thresholds divided by part. */
static enum weft_mode mode_of(const struct pressure *pressure, uint32_t part)
{
	if (pressure->unvalidated_rate > pressure->config.flood_above / part)
		return WEFT_MODE_FLOOD;
	if (pressure->half_open_cnt >= (pressure->config.pressured_from + part - 1) / part)
		return WEFT_MODE_PRESSURED;
	return WEFT_MODE_NORMAL;
}

enum weft_mode firewall_pressure_measure(struct pressure *pressure,
					 const struct pressure_load *load, uint64_t now_ns)
{
	enum weft_mode wanted;

	rates_measure(pressure, load, now_ns);
	if (pressure->is_forced)
		return pressure->mode;
	wanted = mode_of(pressure, 1);
	if (wanted > pressure->mode) {
		pressure->mode = wanted;
		pressure->calm_since_ns = 0;
		return pressure->mode;
	}
	if (mode_of(pressure, 2) >= pressure->mode) {
		pressure->calm_since_ns = 0;
		return pressure->mode;
	}
	if (!pressure->calm_since_ns) {
		pressure->calm_since_ns = now_ns;
	} else if (now_ns - pressure->calm_since_ns >= PRESSURE_CALM_NS) {
		pressure->mode--;
		pressure->calm_since_ns = now_ns;
	}
	return pressure->mode;
}

void firewall_pressure_force(struct pressure *pressure, enum weft_mode mode)
{
	pressure->mode = mode;
	pressure->is_forced = true;
}

void firewall_pressure_release(struct pressure *pressure)
{
	pressure->is_forced = false;
	pressure->calm_since_ns = 0;
}

const char *firewall_pressure_mode_name(enum weft_mode mode)
{
	static const char *const names[WEFT_MODE_CNT] = {
		[WEFT_MODE_NORMAL] = "normal",
		[WEFT_MODE_PRESSURED] = "pressured",
		[WEFT_MODE_FLOOD] = "flood",
	};

	return (unsigned)mode < WEFT_MODE_CNT ? names[mode] : "unknown";
}
