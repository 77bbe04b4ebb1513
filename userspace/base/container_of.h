/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_CONTAINER_OF_H
#define WEFT_BASE_CONTAINER_OF_H

#include <stddef.h>

/* container_of gives the object of the type whose member the pointer points to. */
#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
