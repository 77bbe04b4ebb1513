/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WEFT_ERR_H
#define WEFT_ERR_H

/*
 * One list of error codes for the daemon, the command and the library.
 *
 * A function that can fail returns 0 or a positive result, else a
 * negative code. It is -errno for an error of the kernel, one of these
 * for ours. The values are stable: the control socket carries them.
 */

#define WEFT_MUST_CHECK __attribute__((warn_unused_result))

enum weft_err {
	WEFT_EFULL = -1000,	   /* a table, pool or ring has no room */
	WEFT_EMALFORMED = -1001,   /* bytes do not follow their format */
	WEFT_EABSENT = -1002,	   /* no such object */
	WEFT_ETOOSMALL = -1003,	   /* the caller's buffer is too small */
	WEFT_ETOOLARGE = -1004,	   /* input exceeds a stated limit */
	WEFT_EDAMAGED = -1005,	   /* stored or received bytes fail verification */
	WEFT_ECHANGED = -1006,	   /* a file shared in place is not what was hashed */
	WEFT_EUNKNOWN = -1007,	   /* a type, method or key that is not known */
	WEFT_EREFUSED = -1008,	   /* policy says no */
	WEFT_ETIMEOUT = -1009,	   /* no answer in time */
	WEFT_ECANCELLED = -1010,   /* the asker took it back */
	WEFT_EWRONGKEY = -1011,	   /* the peer proved another key than the wanted one */
	WEFT_ECLOSED = -1012,	   /* the session or stream is gone */
	WEFT_EEXISTS = -1013,	   /* the object is there already and differs */
	WEFT_ENEWER = -1014,	   /* stored by a newer version of weft */
	WEFT_EBUSY = -1015,	   /* held by another user, or too much in flight */
	WEFT_EUNSAFE = -1016,	   /* a name or path that must not be used */
	WEFT_EUNREACHABLE = -1017, /* no address of the peer answers */
	WEFT_ESTALE = -1018,	   /* older than what its owner published before */
	WEFT_ESEALED = -1019,	   /* a stored secret that another node key has sealed */
};

/*
 * weft_err_text names err in a few plain words ("no such object").
 *
 * Takes:   a code of enum weft_err or a negative errno.
 * Returns: a static string, never NULL.
 */
const char *weft_err_text(int err);

#endif
