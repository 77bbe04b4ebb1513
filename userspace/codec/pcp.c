/* SPDX-License-Identifier: Apache-2.0 */
/* PCP and NAT-PMP messages. Left out: PEER, and options, which are skipped. Any thread. */
#include "codec/pcp.h"

#include <string.h>

#include "base/byte_cursor.h"

#define OPCODE_ANNOUNCE 0
#define OPCODE_MAP	1
#define NAT_PMP_ADDRESS 0
#define NAT_PMP_MAP_UDP 1
#define NAT_PMP_MAP_TCP 2
#define ANSWER_BIT	0x80
#define PROTOCOL_TCP	6
#define PROTOCOL_UDP	17

/* IPv4 is v4-mapped (RFC 6887 5). */
static void pcp_addr_write(struct writer *w, const struct addr *addr)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (addr->family == ADDR_IPV6) {
		writer_bytes(w, addr->ip, 16);
		return;
	}
	writer_bytes(w, v4_mapped, sizeof(v4_mapped));
	writer_bytes(w, addr->ip, 4);
}

static void pcp_addr_read(struct cursor *c, struct addr *addr)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t ip[16];

	cursor_copy(c, ip, sizeof(ip));
	addr->family = memcmp(ip, v4_mapped, sizeof(v4_mapped)) == 0 ? ADDR_IPV4 : ADDR_IPV6;
	memset(addr->ip, 0, sizeof(addr->ip));
	if (addr->family == ADDR_IPV4)
		memcpy(addr->ip, ip + 12, 4);
	else
		memcpy(addr->ip, ip, 16);
}

static void zeros_write(struct writer *w, size_t len)
{
	uint8_t *at = writer_reserve(w, len);

	if (at)
		memset(at, 0, len);
}

size_t pcp_write_map(const struct pcp_request *request, uint8_t out[static PCP_WRITE_CAP])
{
	struct writer w = writer_of(out, PCP_WRITE_CAP);

	writer_u8(&w, PCP_VERSION);
	writer_u8(&w, OPCODE_MAP);
	zeros_write(&w, 2);
	writer_be32(&w, request->lifetime_s);
	pcp_addr_write(&w, &request->client);
	writer_bytes(&w, request->nonce, sizeof(request->nonce));
	writer_u8(&w, request->transport == ADDR_TCP ? PROTOCOL_TCP : PROTOCOL_UDP);
	zeros_write(&w, 3);
	writer_be16(&w, request->internal_port);
	writer_be16(&w, request->external.port);
	/* None is suggested by zeros of the client's family (RFC 6887 11.1). */
	if (request->external.family == ADDR_NONE && request->client.family == ADDR_IPV6)
		zeros_write(&w, 16);
	else
		pcp_addr_write(&w, &request->external);
	return writer_len(&w);
}

size_t pcp_write_nat_pmp_map(const struct pcp_request *request, uint8_t out[static PCP_WRITE_CAP])
{
	struct writer w = writer_of(out, PCP_WRITE_CAP);

	writer_u8(&w, PCP_VERSION_NAT_PMP);
	writer_u8(&w, request->transport == ADDR_TCP ? NAT_PMP_MAP_TCP : NAT_PMP_MAP_UDP);
	zeros_write(&w, 2);
	writer_be16(&w, request->internal_port);
	/* Taken back with port 0 (RFC 6886 3.4). */
	writer_be16(&w, request->lifetime_s ? request->external.port : 0);
	writer_be32(&w, request->lifetime_s);
	return writer_len(&w);
}

size_t pcp_write_nat_pmp_address(uint8_t out[static PCP_WRITE_CAP])
{
	out[0] = PCP_VERSION_NAT_PMP;
	out[1] = NAT_PMP_ADDRESS;
	return 2;
}

/* RFC 6887 7.2, 11.1, 14.1. An error may repeat the request, or end behind the header. */
static bool pcp_answer_read(struct cursor *c, size_t len, struct pcp_answer *answer)
{
	unsigned operation = cursor_u8(c) & ~(unsigned)ANSWER_BIT;
	uint8_t protocol;

	(void)cursor_u8(c);
	answer->result = cursor_u8(c);
	answer->lifetime_s = cursor_be32(c);
	answer->epoch_s = cursor_be32(c);
	(void)cursor_bytes(c, 12);
	if (len % 4 || (operation != OPCODE_MAP && operation != OPCODE_ANNOUNCE))
		return false;
	if (operation == OPCODE_ANNOUNCE) {
		answer->kind = PCP_ANNOUNCED;
		return !answer->result;
	}
	if (answer->result && !cursor_left(c))
		return true;
	cursor_copy(c, answer->nonce, sizeof(answer->nonce));
	protocol = cursor_u8(c);
	(void)cursor_bytes(c, 3);
	answer->transport = protocol == PROTOCOL_TCP ? ADDR_TCP : ADDR_UDP;
	answer->internal_port = cursor_be16(c);
	answer->external.port = cursor_be16(c);
	answer->external.transport = (uint8_t)answer->transport;
	pcp_addr_read(c, &answer->external);
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP;
}

/* RFC 6886 3.2, 3.3, 3.5. */
static bool nat_pmp_read(struct cursor *c, struct pcp_answer *answer)
{
	unsigned operation = cursor_u8(c) & ~(unsigned)ANSWER_BIT;

	answer->result = cursor_be16(c);
	answer->epoch_s = cursor_be32(c);
	if (answer->result)
		return true;
	if (operation == NAT_PMP_ADDRESS) {
		answer->kind = PCP_ADDRESS;
		answer->external.family = ADDR_IPV4;
		cursor_copy(c, answer->external.ip, 4);
		return true;
	}
	answer->transport = operation == NAT_PMP_MAP_TCP ? ADDR_TCP : ADDR_UDP;
	answer->internal_port = cursor_be16(c);
	answer->external.port = cursor_be16(c);
	answer->external.transport = (uint8_t)answer->transport;
	answer->lifetime_s = cursor_be32(c);
	return operation == NAT_PMP_MAP_UDP || operation == NAT_PMP_MAP_TCP;
}

int pcp_read(const void *data, size_t len, struct pcp_answer *out_answer)
{
	struct pcp_answer answer = {.kind = PCP_MAPPED};
	struct cursor c = cursor_of(data, len), peek;
	unsigned version = cursor_u8(&c);
	bool is_read;

	peek = c;
	if (len > PCP_LEN_MAX || !(cursor_u8(&peek) & ANSWER_BIT))
		return WEFT_EMALFORMED;
	if (version != PCP_VERSION && version != PCP_VERSION_NAT_PMP)
		return WEFT_EMALFORMED;
	answer.version = version;
	is_read = version == PCP_VERSION ? pcp_answer_read(&c, len, &answer)
					 : nat_pmp_read(&c, &answer);
	if (!is_read || c.bad)
		return WEFT_EMALFORMED;
	if (answer.result)
		answer.kind = PCP_REFUSED;
	*out_answer = answer;
	return 0;
}
