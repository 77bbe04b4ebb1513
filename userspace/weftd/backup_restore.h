/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WEFTD_BACKUP_RESTORE_H
#define WEFT_WEFTD_BACKUP_RESTORE_H

#include "api/daemon/backup_file.h"

struct api_string_list;
struct node_config;

/*
 * weftd_backup_restore makes a new state folder of the file at path. A folder that has a key or
 * databases is refused and nothing is changed. The passphrase is the first line of passphrase_fd.
 * The outcome is printed on standard output and error. Returns the exit status.
 * Context: weftd --restore, before anything runs.
 */
int weftd_backup_restore(const struct node_config *config, const char *path, int passphrase_fd);

/*
 * weftd_old_node_answers asks at the addresses of a backup whether a node is still there, and waits a
 * second for an answer. True: out_addr is where.
 */
#define BACKUP_ADDR_CAP 64
bool weftd_old_node_answers(const struct api_string_list *addresses,
			    char out_addr[static BACKUP_ADDR_CAP]);

#endif
