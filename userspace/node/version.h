/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_VERSION_H
#define WEFT_NODE_VERSION_H

/* Shown by --version, Status and HELLO's agent text. */
#define WEFT_VERSION "0.1.0"
#define WEFT_AGENT   "weft/" WEFT_VERSION

#endif
