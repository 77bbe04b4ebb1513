/* SPDX-License-Identifier: Apache-2.0 */
/* Users behind connections over loopback. Home worker. */
#include "gateway/local_user.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_STATE_ESTABLISHED 1

struct diag_question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

int gateway_local_user_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
}

static void end_write(const struct addr *end, __be16 *out_port, __be32 out_ip[static 4])
{
	*out_port = htons(end->port);
	memcpy(out_ip, end->ip, end->family == ADDR_IPV4 ? 4 : 16);
}

/* The other end is the source of its own socket. */
static void question_write(struct diag_question *question, const struct addr *remote,
			   const struct addr *local)
{
	*question = (struct diag_question){
		.head = {.nlmsg_len = sizeof(*question),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = remote->family == ADDR_IPV4 ? AF_INET : AF_INET6,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = ~0u,
			 .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	end_write(remote, &question->body.id.idiag_sport, question->body.id.idiag_src);
	end_write(local, &question->body.id.idiag_dport, question->body.id.idiag_dst);
}

/* A socket that its program closed has no inode, and its uid says nothing. */
static bool answer_read(const char *data, size_t len, const struct diag_question *question,
			uint32_t *out_uid)
{
	struct nlmsghdr head;
	struct inet_diag_msg message;

	if (len < NLMSG_HDRLEN + sizeof(message))
		return false;
	memcpy(&head, data, sizeof(head));
	memcpy(&message, data + NLMSG_HDRLEN, sizeof(message));
	if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY || message.idiag_inode == 0 ||
	    message.idiag_state != TCP_STATE_ESTABLISHED ||
	    message.id.idiag_sport != question->body.id.idiag_sport ||
	    message.id.idiag_dport != question->body.id.idiag_dport)
		return false;
	*out_uid = message.idiag_uid;
	return true;
}

bool gateway_local_user_of(int diag_fd, int fd, const struct addr *remote, uint32_t *out_uid)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	struct diag_question question;
	struct addr local;
	char answer[1024];
	ssize_t len;

	if (diag_fd < 0 || !addr_is_loopback(remote) ||
	    getsockname(fd, (struct sockaddr *)&sa, &sa_len) < 0 ||
	    addr_from_sockaddr((struct sockaddr *)&sa, &local) < 0)
		return false;
	question_write(&question, remote, &local);
	/* The answer to an earlier question. */
	while (recv(diag_fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	if (send(diag_fd, &question, sizeof(question), MSG_NOSIGNAL) != sizeof(question))
		return false;
	len = recv(diag_fd, answer, sizeof(answer), MSG_DONTWAIT);
	return len > 0 && answer_read(answer, (size_t)len, &question, out_uid);
}
