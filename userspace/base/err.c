/* SPDX-License-Identifier: Apache-2.0 */
/* Words for error codes; any thread. */
#include "weft/err.h"

#include <string.h>

static const char *const texts[] = {
	[-(WEFT_EFULL + 1000)] = "no room left in a table",
	[-(WEFT_EMALFORMED + 1000)] = "malformed",
	[-(WEFT_EABSENT + 1000)] = "no such object",
	[-(WEFT_ETOOSMALL + 1000)] = "too short",
	[-(WEFT_ETOOLARGE + 1000)] = "over a limit of size",
	[-(WEFT_EDAMAGED + 1000)] = "damaged: bytes do not match their hash",
	[-(WEFT_ECHANGED + 1000)] = "the file changed since it was shared",
	[-(WEFT_EUNKNOWN + 1000)] = "unknown kind",
	[-(WEFT_EREFUSED + 1000)] = "refused",
	[-(WEFT_ETIMEOUT + 1000)] = "no answer in time",
	[-(WEFT_ECANCELLED + 1000)] = "cancelled",
	[-(WEFT_EWRONGKEY + 1000)] = "another key answered",
	[-(WEFT_ECLOSED + 1000)] = "the connection is gone",
	[-(WEFT_EEXISTS + 1000)] = "exists already and differs",
	[-(WEFT_ENEWER + 1000)] = "written by a newer version of weft",
	[-(WEFT_EBUSY + 1000)] = "busy",
	[-(WEFT_EUNSAFE + 1000)] = "an unsafe name or path",
	[-(WEFT_EUNREACHABLE + 1000)] = "no address answers",
	[-(WEFT_ESTALE + 1000)] = "older than what its owner published before",
	[-(WEFT_ESEALED + 1000)] = "sealed by the key of another node",
};

const char *weft_err_text(int err)
{
	const int cnt = (int)(sizeof(texts) / sizeof(texts[0]));

	if (err <= -1000 && err > -1000 - cnt)
		return texts[-1000 - err];
	if (err < 0 && err > -1000 && strerrordesc_np(-err))
		return strerrordesc_np(-err);
	return err < 0 ? "unknown error" : "no error";
}
