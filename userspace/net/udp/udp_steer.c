/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several workers on one port. Their sockets form a reuseport group in the order in which they
 * were bound. A classic BPF program, which needs no privilege, chooses the socket for each
 * datagram by the connection id at its fixed place (weft/cid.h). So a connection keeps its worker
 * when the peer's address changes; the kernel's hash of addresses would move it.
 *
 * A client invents the id of its first flight. Byte 0 of that id, which is random, chooses the
 * worker, and chooses the same one for every retransmission. A datagram without an id goes to the
 * first worker.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "udp_socket.h"
#include "weft/cid.h"
#include "weft/relay_tables.h"

/* Offsets in a QUIC datagram, RFC 9000 17.2 and 17.3. */
#define SHORT_CID_OFF 1
#define LONG_CID_OFF  6
/* From a relay's label, weft/relay_tables.h. */
#define RELAY_KIND_OFF	 1
#define RELAY_WORKER_OFF 2

int net_udp_steer_join(int fd)
{
	const int one = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0 ? -errno : 0;
}

/*
 * A load beyond the datagram's end yields 0, the first worker. X is where the QUIC packet begins. A
 * relayed packet for an end follows its label, and its connection id decides. A packet for the
 * relay itself names the worker in its label. The relay's answers are for the first worker, which
 * has no id to go by.
 */
int net_udp_steer_start(int fd, unsigned worker_cnt)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0), BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WEFT_RELAY_FIRST_BYTE, 0, 8), /* to id: */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, RELAY_KIND_OFF),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 3),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WEFT_RELAY_TO_END, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WEFT_RELAY_TO_RELAY, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_LD | BPF_B | BPF_ABS, RELAY_WORKER_OFF),
		BPF_STMT(BPF_JMP | BPF_JA, 8), /* to worker: */
		BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, WEFT_RELAY_LABEL_LEN),
		/* id: */
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40, 0, 8), /* no QUIC: to the end */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, LONG_CID_OFF), BPF_STMT(BPF_JMP | BPF_JA, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, SHORT_CID_OFF),
		/* KRPC begins like a short header but for the top bit of this node's id. */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 3),
		/* worker: */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, WEFT_CID_WORKER_MAX),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, worker_cnt), BPF_STMT(BPF_RET | BPF_A, 0),
		BPF_STMT(BPF_RET | BPF_K, 0), /* the first worker */
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}
