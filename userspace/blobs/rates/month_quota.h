/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_RATES_MONTH_QUOTA_H
#define WEFT_BLOBS_RATES_MONTH_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A cap of bytes a month, of one direction and zone. Bytes are granted before they
 * go, and only out of a lease that is durable: after a crash the whole lease counts as
 * used. So the ledger never says less than went, and at most a lease more.
 *
 * Until glide_percent of the cap is granted nothing else holds. From then on grants come at the
 * glide's rate: the rest of the cap over the rest of the month. So the cap is not reached before
 * the month's end.
 *
 * Pure: time is an argument, the owner makes leases durable.
 */
#define QUOTA_LEASE_MIN	  (8ull << 20)
#define QUOTA_LEASE_MAX	  (1ull << 30)
#define QUOTA_BURST_LEN	  (1ull << 19) /* that may be saved up of the glide: two chunks */
#define QUOTA_MONTH_S_MAX (31 * 86400ull)

struct quota {
	uint64_t cap; /* bytes; 0: none */
	unsigned glide_percent;
	uint64_t month,
		end_s;	 /* blobs_quota_month, and when it ends; 0: the clock is not known yet */
	uint64_t spent;	 /* granted in this month */
	uint64_t leased; /* durable: in [spent, cap], unless the cap became less */
	uint64_t before_month, before_spent; /* the month before, for a clock that is put back */
	double credit;			     /* of the glide, bytes */
	uint64_t credit_ns;
};

/*
 * blobs_quota_month returns the number of the month that local_s (seconds since 1970, local
 * time) is in. A month begins on reset_day, in [1, 28], at midnight. *out_end_s: when it ends,
 * local time.
 */
uint64_t blobs_quota_month(uint64_t local_s, unsigned reset_day, uint64_t *out_end_s);
/*
 * blobs_quota_enter: month it is. A later one begins at 0; of a clock that was put back the bytes
 * of both months count. True: it is another one, and leases of before are void.
 */
bool blobs_quota_enter(struct quota *quota, uint64_t month, uint64_t end_s);
bool blobs_quota_is_gliding(const struct quota *quota);
bool blobs_quota_is_reached(const struct quota *quota);
/* blobs_quota_glide: bytes per second, at least 1; 0: it does not glide, or the cap is reached. */
uint64_t blobs_quota_glide(const struct quota *quota, uint64_t wall_s);
/* blobs_quota_grant: of want bytes so many may go, and count as used. */
uint64_t blobs_quota_grant(struct quota *quota, uint64_t want, uint64_t wall_s, uint64_t now_ns);
/* blobs_quota_lease: bytes of the month that should be leased by now, at per_s lately; 0: enough are. */
uint64_t blobs_quota_lease(const struct quota *quota, uint64_t per_s);
/* blobs_quota_leased: len of that month are durable. */
void blobs_quota_leased(struct quota *quota, uint64_t month, uint64_t len);

#endif
