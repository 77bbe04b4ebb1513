/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_FIREWALL_BAN_ROOM_H
#define WEFT_FIREWALL_BAN_ROOM_H

#include "ban_list.h"

/*
 * Which ban of this node's own making goes when one more comes. Its part of the list is
 * shared out by where offenders are: the network (IPv4 /24, IPv6 /48) with the
 * most loses one of its address with the most, the one that ends first. So whoever
 * has keys banned without end pushes out his own. Pure.
 */
const struct ban *firewall_ban_room_victim(const struct ban_list *list, const struct ban *newcomer);

#endif
