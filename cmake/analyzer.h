/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Only for clang-tidy, which includes it before every file but those of proto/: its analyzer does not see that what
 * sh_fail and sh_cause_of_errno give back is never SH_OK, and so follows ways that no program takes.
 */
#include "proto/cause.h"

#define sh_fail(cause, ...) (sh_fail(cause, __VA_ARGS__), (cause))
#define sh_cause_of_errno(error, what)                                                             \
    (sh_cause_of_errno(error, what) ? SH_STORE_IO_ERROR : SH_INTERNAL_BUG)
