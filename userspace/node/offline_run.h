/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_OFFLINE_RUN_H
#define WEFT_NODE_OFFLINE_RUN_H

struct node_config;

/*
 * What weftd does with a state folder that no daemon has open, told on
 * standard output and error. Each returns the exit status.
 */
int offline_salvage(const struct node_config *config);
/* offline_restore: of a folder that backup create --whole made, or of a file (node/backup). */
int offline_restore(const struct node_config *config, const char *backup, int passphrase_fd);

#endif
