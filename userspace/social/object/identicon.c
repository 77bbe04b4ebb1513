/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/identicon.h"

#include <stdio.h>

#include "crypto/blake3/blake3.h"

#define HALF ((IDENTICON_SIDE + 1) / 2)
/* Of what is derived: two bytes of cells, then one for each part of the colour. */
#define CELLS_LEN 2u
#define LOOK_LEN  (CELLS_LEN + 3)
/* The parts of a colour stay in this range, so that it is seen on white and on black. */
#define PART_MIN 64u
#define PART_CNT 128u

static void look_make(const uint8_t *key, uint8_t look[static LOOK_LEN])
{
	blake3_derive_key("mesh/distsoc/identicon/v1", key, NODE_KEY_LEN, look, LOOK_LEN);
}

static int is_filled(const uint8_t look[static LOOK_LEN], unsigned column, unsigned row)
{
	unsigned half = column < HALF ? column : IDENTICON_SIDE - 1 - column;
	unsigned bit = row * HALF + half;

	return look[bit / 8] >> bit % 8 & 1;
}

int social_identicon_cell(const uint8_t key[static NODE_KEY_LEN], unsigned column, unsigned row)
{
	uint8_t look[LOOK_LEN];

	look_make(key, look);
	return is_filled(look, column, row);
}

const char *social_identicon_write(const uint8_t key[static NODE_KEY_LEN],
				   char out[static IDENTICON_TEXT_CAP])
{
	uint8_t look[LOOK_LEN];
	size_t len;

	look_make(key, look);
	len = (size_t)snprintf(out, IDENTICON_TEXT_CAP,
			       "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 5 5\" "
			       "shape-rendering=\"crispEdges\"><path fill=\"#%02x%02x%02x\" d=\"",
			       PART_MIN + look[CELLS_LEN] % PART_CNT,
			       PART_MIN + look[CELLS_LEN + 1] % PART_CNT,
			       PART_MIN + look[CELLS_LEN + 2] % PART_CNT);
	for (unsigned row = 0; row < IDENTICON_SIDE; row++)
		for (unsigned column = 0; column < IDENTICON_SIDE; column++)
			if (is_filled(look, column, row))
				len += (size_t)snprintf(out + len, IDENTICON_TEXT_CAP - len,
							"M%u %uh1v1h-1z", column, row);
	snprintf(out + len, IDENTICON_TEXT_CAP - len, "\"/></svg>");
	return out;
}
