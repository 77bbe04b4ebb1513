/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_PORT_SEARCH_RIG_H
#define WEFT_TESTS_PORT_SEARCH_RIG_H

/* A search of ports of one node, for tests that play the relay, the peer and the NAT. */
#include "punch_rig.h"

#include "codec/stun.h"

#define PEER_HOST  "203.0.113.9:4000"
#define THIRD_HOST "192.0.2.77:4000"
#define RELAY	   "198.51.100.200:7000"
#define MAPPED	   "198.51.100.1:34567"
#define TICK_NS	   (NS_PER_S / 32)

static inline void pass(uint64_t span_ns)
{
	for (uint64_t end_ns = now_ns + span_ns; now_ns < end_ns;) {
		now_ns += TICK_NS < end_ns - now_ns ? TICK_NS : end_ns - now_ns;
		timer_wheel_expire(&timers, now_ns);
	}
}

/* --- the relay --- */

static inline void say_witness(const char *host)
{
	const struct addr relay = addr_of(RELAY);
	struct addr there;
	void (*done)(void *arg, const struct addr *host, const struct addr *relay,
		     uint64_t now_ns) = witness.done;

	CHECK(done != NULL);
	if (!done)
		return;
	if (host)
		there = addr_of(host);
	witness.done = NULL;
	done(witness.arg, host ? &there : NULL, &relay, now_ns);
}

/* The answer to the STUN request that was sent last. */
static inline void say_mapped(const char *mapped)
{
	const struct addr seen = addr_of(mapped);
	struct stun_message request;
	uint8_t data[STUN_WRITE_CAP];
	struct dgram dgram = {.data = data, .local = addr_of("10.0.0.1:5000"), .remote = ports.to};

	CHECK_EQ(stun_read(ports.data, ports.len, &request), 0);
	dgram.len = stun_write_success(&request, &seen, data);
	punch_port_input(punch, ports.idx, &dgram, now_ns);
}

/* --- the peer --- */

static inline size_t message_of(enum punch_nat nat, const char *addr, uint8_t *payload)
{
	struct punch_candidates message = {.handle = "theirs", .nat = (uint8_t)nat};
	struct writer w = writer_of(payload, PUNCH_MESSAGE_LEN_MAX);

	if (addr)
		message.addrs[message.addr_cnt++] = addr_of(addr);
	punch_candidates_write(&w, &message);
	return writer_len(&w);
}

/* A round of this node's with a peer of that NAT at PEER_HOST ends in silence. */
static inline void round_silent(enum punch_nat nat, const char *host)
{
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct mesh_reply reply = {.type = MESH_CANDIDATES, .payload = payload};
	struct writer w;

	punch_begin(punch, peer_key, now_ns);
	CHECK_EQ(asked.type, MESH_CANDIDATES);
	reply.payload_len = message_of(nat, host, payload);
	asked.reply(asked.arg, &reply, now_ns);
	CHECK_EQ(asked.type, MESH_PUNCH_NOW);
	w = writer_of(payload, sizeof(payload));
	punch_result_write(&w, &(struct punch_result){.addr = {.family = ADDR_NONE}});
	reply.type = MESH_PUNCH_RESULT;
	reply.payload_len = writer_len(&w);
	asked.reply(asked.arg, &reply, now_ns);
}

static inline void answer_search(enum punch_nat nat, const char *addr)
{
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct mesh_reply reply = {.type = MESH_SEARCH_PORTS, .payload = payload};

	CHECK_EQ(asked.type, MESH_SEARCH_PORTS);
	reply.payload_len = message_of(nat, addr, payload);
	asked.reply(asked.arg, &reply, now_ns);
}

/* Peer number asks for a search. */
static inline void ask_search(unsigned number, enum punch_nat nat, const char *addr)
{
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX], key[MESH_KEY_LEN] = {(uint8_t)(number + 1), 7};
	struct mesh_call call = {.incoming = (struct mesh_incoming *)(uintptr_t)(number + 1),
				 .peer_key = key,
				 .type = MESH_SEARCH_PORTS,
				 .payload = payload};

	mesh.type = 1;
	call.payload_len = message_of(nat, addr, payload);
	mesh.on_search(mesh.ctx, &call, now_ns);
}

static inline struct punch_search_view view(void)
{
	struct punch_view all;

	if (!punch_show(punch, peer_key, &all))
		abort();
	return all.search;
}

/* This node, the easy side, searches the host of the peer. */
static inline void search_begin(void)
{
	round_silent(PUNCH_NAT_HARD, PEER_HOST);
	say_witness(PEER_HOST);
	say_mapped(MAPPED);
	answer_search(PUNCH_NAT_HARD, PEER_HOST);
}

/* A probe of the peer, or its answer, comes from remote to socket idx. */
static inline void hit(unsigned idx, const char *remote, const struct punch_probe *probe,
		       const uint8_t *key)
{
	uint8_t data[WEFT_PROBE_LEN];
	const struct dgram dgram = {.data = data,
				    .len = sizeof(data),
				    .local = addr_of("10.0.0.1:5000"),
				    .remote = addr_of(remote)};

	punch_probe_write(probe, key, data);
	punch_port_input(punch, idx, &dgram, now_ns);
}

/* The handle by which this node is probed: it said so in the last SEARCH_PORTS. */
static inline struct punch_probe probe_to(const uint8_t *payload, size_t len, bool is_askers)
{
	struct punch_probe probe = {.kind = PUNCH_PROBE, .nonce = {5}, .is_askers = is_askers};
	struct punch_candidates said;

	if (punch_candidates_parse(payload, len, &said) < 0)
		abort();
	memcpy(probe.handle, said.handle, sizeof(probe.handle));
	return probe;
}

#endif
