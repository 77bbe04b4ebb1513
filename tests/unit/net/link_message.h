/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_LINK_MESSAGE_H
#define WEFT_TESTS_LINK_MESSAGE_H

#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>

/* A message about a network device, built as the kernel does: a header, then attributes, some nested. */
struct link_message {
	_Alignas(struct nlmsghdr) uint8_t bytes[1024];
	uint32_t len;
};

static inline struct ifinfomsg *link_message_info(struct link_message *message)
{
	return NLMSG_DATA((struct nlmsghdr *)message->bytes);
}

static inline void link_message_seal(struct link_message *message)
{
	((struct nlmsghdr *)message->bytes)->nlmsg_len = message->len;
}

static inline void link_message_begin(struct link_message *message, uint16_t type, int ifindex,
				      unsigned flags)
{
	struct nlmsghdr *header = (struct nlmsghdr *)message->bytes;

	memset(message, 0, sizeof(*message));
	header->nlmsg_type = type;
	link_message_info(message)->ifi_index = ifindex;
	link_message_info(message)->ifi_flags = flags;
	link_message_info(message)->ifi_type = ARPHRD_ETHER;
	message->len = NLMSG_LENGTH(sizeof(struct ifinfomsg));
	link_message_seal(message);
}

static inline struct rtattr *link_message_attr_begin(struct link_message *message, uint16_t type)
{
	struct rtattr *attr = (struct rtattr *)(message->bytes + message->len);

	attr->rta_type = type;
	message->len += RTA_LENGTH(0);
	return attr;
}

/* link_message_attr_end closes what link_message_attr_begin opened; both may nest. */
static inline void link_message_attr_end(struct link_message *message, struct rtattr *attr)
{
	attr->rta_len = (uint16_t)(message->bytes + message->len - (uint8_t *)attr);
	message->len = RTA_ALIGN(message->len);
	link_message_seal(message);
}

static inline void link_message_put(struct link_message *message, uint16_t type, const void *data,
				    size_t len)
{
	struct rtattr *attr = link_message_attr_begin(message, type);

	memcpy(message->bytes + message->len, data, len);
	message->len += (uint32_t)len;
	link_message_attr_end(message, attr);
}

static inline void link_message_u32(struct link_message *message, uint16_t type, uint32_t value)
{
	link_message_put(message, type, &value, sizeof(value));
}

#endif
