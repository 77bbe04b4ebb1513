/* SPDX-License-Identifier: Apache-2.0 */
#include "arrivals_report.h"

#include "arrivals.h"
#include "ingress.h"

/* A bucket is filled whenever it is asked. */
static bool is_changed(const struct arrivals_report *report, const struct weft_place *place)
{
	return place->offered_cnt && place->bucket.filled_at_ns >= report->told_at_ns;
}

/* A report of the class and level in told. */
static void level_report(const struct arrivals_report *report, const struct weft_place *places,
			 struct arrivals_changes told, arrivals_report_fn fn, void *ctx)
{
	struct arrivals_change changes[ARRIVALS_CHANGES_MAX];

	told.changes = changes;
	for (uint32_t i = 0; i < WEFT_PLACE_CNT; i++) {
		if (!is_changed(report, &places[i]))
			continue;
		changes[told.cnt++] = (struct arrivals_change){i, places[i]};
		if (told.cnt == ARRIVALS_CHANGES_MAX) {
			fn(ctx, &told);
			told.cnt = 0;
		}
	}
	if (told.cnt)
		fn(ctx, &told);
}

void firewall_arrivals_report_each(struct arrivals_report *report, const struct ingress *ingress,
				   uint64_t now_ns, arrivals_report_fn fn, void *ctx)
{
	for (unsigned class = 0; class < WEFT_CLASS_CNT; class ++) {
		uint64_t cnt =
			firewall_arrivals_class_cnt(firewall_ingress_counters(ingress), class);

		if (cnt == report->class_cnts[class])
			continue;
		report->class_cnts[class] = cnt;
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			level_report(report, firewall_ingress_places(ingress, class, level),
				     (struct arrivals_changes){.class = class, .level = level}, fn,
				     ctx);
	}
	report->told_at_ns = now_ns;
}
