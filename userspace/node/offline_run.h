/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_OFFLINE_RUN_H
#define WEFT_NODE_OFFLINE_RUN_H

struct node_config;

/*
 * What weftd does with a state folder that no daemon has open, told on
 * standard output and error. Each returns the exit status.
 */
int node_offline_salvage(const struct node_config *config);
/* node_offline_restore: of a folder that backup create --whole made, or of a file (node/backup). */
int node_offline_restore(const struct node_config *config, const char *backup, int passphrase_fd);

#endif
