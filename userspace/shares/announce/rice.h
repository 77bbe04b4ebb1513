/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SHARES_ANNOUNCE_RICE_H
#define WEFT_SHARES_ANNOUNCE_RICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Golomb-Rice code of ascending numbers. A number is coded by its difference to the one before
 * (to 0 at first). First comes the difference's quotient by 2^parameter as so many 1 bits and a
 * 0 bit, then its parameter low bits. All go from the highest bit of each byte on, and the last
 * byte is filled up with 0 bits. Numbers drawn evenly from cnt * 2^parameter take about
 * parameter + 1.58 bits each.
 */
#define RICE_PARAMETER_MAX 32u

struct rice_writer {
	uint8_t *bytes;
	size_t bit_cap, bit_cnt;
	uint64_t last;
	unsigned parameter; /* in [0, RICE_PARAMETER_MAX] */
};

void shares_rice_writer_init(struct rice_writer *w, unsigned parameter, uint8_t *bytes, size_t cap);
/* shares_rice_write adds value, not less than the last one. False: no room, and nothing was written. */
bool shares_rice_write(struct rice_writer *w, uint64_t value);
/* shares_rice_writer_len: bytes, the last one filled up. */
size_t shares_rice_writer_len(const struct rice_writer *w);

/* Callers may read bad: the bytes ended, or a number passed 2^63. */
struct rice_reader {
	const uint8_t *bytes;
	size_t bit_cnt, bit_at;
	uint64_t last;
	unsigned parameter;
	bool bad;
};

void shares_rice_reader_init(struct rice_reader *r, unsigned parameter, const uint8_t *bytes,
			     size_t len);
/* shares_rice_read gives the next number; 0 once it is bad. */
uint64_t shares_rice_read(struct rice_reader *r);
/* shares_rice_reader_is_over: nothing is left but the filling of the last byte, which is right. */
bool shares_rice_reader_is_over(const struct rice_reader *r);

#endif
