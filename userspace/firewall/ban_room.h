/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_BAN_ROOM_H
#define WEFT_FIREWALL_BAN_ROOM_H

#include "ban_list.h"

/*
 * Which ban of this node's own making goes when one more comes. Its part of the list is shared by
 * the networks of offenders (IPv4 /24, IPv6 /48). The network with the most bans loses one, of its
 * address with the most, the one that ends first. So an offender that has keys banned without end
 * pushes out its own bans. Pure.
 */
const struct ban *firewall_ban_room_victim(const struct ban_list *list, const struct ban *newcomer);

#endif
