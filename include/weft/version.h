/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

/* The version in `weftd --version`, `weft --version`, HELLO's agent and GetInfo. */
#define WEFT_VERSION "0.1.0"

#endif
