/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame off the wire, as an AF_XDP socket gives it. A datagram in it lies inside it; written
 * back to where it came from, it is read there as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/udp/udp_frame.h"

#define FRAME_CAP 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_answer(const uint8_t *link, size_t link_len, const struct dgram *dgram)
{
	static uint8_t answer[FRAME_CAP + LINK_HEADER_LEN_MAX];
	struct dgram_route route = {
		.remote = dgram->remote, .local = dgram->local, .ecn = dgram->ecn};
	struct link_header header;
	struct dgram heard;
	size_t len, heard_link_len;

	net_link_header_reverse(link, link_len, &header);
	weft_assert(header.len == link_len);
	len = net_udp_frame_write(&(struct dgram_slot){answer, sizeof(answer)}, &header, &route,
				  dgram->data, dgram->len);
	weft_assert(len);
	weft_assert(net_udp_frame_parse(answer, len, 1, &heard, &heard_link_len));
	weft_assert(heard_link_len == link_len && heard.len == dgram->len);
	weft_assert(memcmp(heard.data, dgram->data, dgram->len) == 0);
	weft_assert(addr_equal(&heard.remote, &dgram->local));
	weft_assert(addr_equal(&heard.local, &dgram->remote));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dgram dgram;
	size_t link_len;
	uint8_t *frame;

	if (len > FRAME_CAP)
		return 0;
	frame = malloc(len + 1);
	weft_assert(frame);
	memcpy(frame, data, len);
	if (net_udp_frame_parse(frame, len, 1, &dgram, &link_len)) {
		weft_assert(dgram.data > frame && dgram.data + dgram.len <= frame + len);
		weft_assert(link_len >= LINK_HEADER_LEN && link_len <= LINK_HEADER_LEN_MAX);
		check_answer(frame, link_len, &dgram);
	}
	free(frame);
	return 0;
}
