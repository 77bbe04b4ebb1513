/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fastpath/pressure.h"

#include "base/clock.h"

void pressure_init(struct pressure *pressure, const struct pressure_config *config)
{
	*pressure = (struct pressure){.config = *config};
}

static void rate_measure(struct pressure *pressure, uint64_t stranger_cnt, uint64_t now_ns)
{
	uint64_t elapsed_ns = now_ns - pressure->measured_ns;

	if (pressure->measured_ns && elapsed_ns && stranger_cnt >= pressure->stranger_cnt)
		pressure->stranger_rate =
			(uint64_t)((double)(stranger_cnt - pressure->stranger_cnt) *
				   (double)NS_PER_S / (double)elapsed_ns);
	pressure->measured_ns = now_ns;
	pressure->stranger_cnt = stranger_cnt;
}

/* The mode that the load asks for, thresholds divided by shift's power of two. */
static enum weft_mode mode_of(const struct pressure *pressure, uint32_t handshake_cnt,
			      unsigned shift)
{
	if (pressure->stranger_rate > pressure->config.flood_above >> shift)
		return WEFT_MODE_FLOOD;
	if (handshake_cnt > pressure->config.pressured_above >> shift)
		return WEFT_MODE_PRESSURED;
	return WEFT_MODE_NORMAL;
}

enum weft_mode pressure_measure(struct pressure *pressure, const struct pressure_load *load,
				uint64_t now_ns)
{
	enum weft_mode wanted;

	rate_measure(pressure, load->stranger_cnt, now_ns);
	pressure->handshake_cnt = load->handshake_cnt;
	if (pressure->is_forced)
		return pressure->mode;
	wanted = mode_of(pressure, load->handshake_cnt, 0);
	if (wanted > pressure->mode) {
		pressure->mode = wanted;
		pressure->calm_since_ns = 0;
		return pressure->mode;
	}
	if (mode_of(pressure, load->handshake_cnt, 1) >= pressure->mode) {
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

void pressure_force(struct pressure *pressure, enum weft_mode mode)
{
	pressure->mode = mode;
	pressure->is_forced = true;
}

void pressure_release(struct pressure *pressure)
{
	pressure->is_forced = false;
	pressure->calm_since_ns = 0;
}

const char *pressure_mode_name(enum weft_mode mode)
{
	static const char *const names[WEFT_MODE_CNT] = {
		[WEFT_MODE_NORMAL] = "normal",
		[WEFT_MODE_PRESSURED] = "pressured",
		[WEFT_MODE_FLOOD] = "flood",
	};

	return (unsigned)mode < WEFT_MODE_CNT ? names[mode] : "unknown";
}
