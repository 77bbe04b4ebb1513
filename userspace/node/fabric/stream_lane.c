/* SPDX-License-Identifier: Apache-2.0 */
#include "node/fabric/stream_lane.h"

#include <errno.h>
#include <stdlib.h>

#include "base/ring.h"
#include "node/crew/crew_letter.h"

#define RING_CNT 4096

struct stream_letter *stream_letter_new(enum stream_letter_kind kind, pool_handle stream,
					size_t bytes_len)
{
	struct stream_letter *letter = malloc(sizeof(*letter) + bytes_len);

	if (letter) {
		letter->kind = kind;
		letter->stream = stream;
		letter->next = NULL;
	}
	return letter;
}

int stream_lane_init(struct stream_lane *lane, int fd)
{
	*lane = (struct stream_lane){.ring = ring_new(RING_CNT), .fd = fd};
	lane->last_at = &lane->first;
	return lane->ring ? 0 : -ENOMEM;
}

void stream_lane_fini(struct stream_lane *lane)
{
	struct stream_letter *letter;

	if (!lane->ring)
		return;
	while ((letter = stream_lane_drain(lane)))
		free(letter);
	ring_free(lane->ring);
	lane->ring = NULL;
}

void stream_lane_post(struct stream_lane *lane, struct stream_letter *letter)
{
	lane->has_news = true;
	if (!lane->first && ring_push(lane->ring, letter) == 0)
		return;
	letter->next = NULL;
	*lane->last_at = letter;
	lane->last_at = &letter->next;
}

bool stream_lane_flush(struct stream_lane *lane)
{
	struct stream_letter *letter;

	while ((letter = lane->first)) {
		struct stream_letter *next = letter->next;

		/* It is the reader's at once. */
		if (ring_push(lane->ring, letter) < 0)
			break;
		lane->first = next;
		if (!next)
			lane->last_at = &lane->first;
	}
	if (lane->has_news)
		mailbox_wake(lane->fd);
	lane->has_news = lane->first != NULL;
	return lane->first != NULL;
}

struct stream_letter *stream_lane_take(struct stream_lane *lane)
{
	return ring_pop(lane->ring);
}

struct stream_letter *stream_lane_drain(struct stream_lane *lane)
{
	struct stream_letter *letter = stream_lane_take(lane);

	if (letter || !lane->first)
		return letter;
	letter = lane->first;
	lane->first = letter->next;
	return letter;
}
