/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/cause.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct sh_cause_info causes[SH_CAUSE_COUNT] = {
    [SH_OK] = {"ok", SH_CAT_DONE, "Done.", ""},
#define CAUSE(id, name, category, sentence, next)                                                  \
    [SH_##id] = {name, SH_CAT_##category, sentence, next},
#include "proto/cause.def"
#undef CAUSE
};

static _Thread_local char detail[256];

const struct sh_cause_info *sh_cause_info(enum sh_cause cause)
{
    if ((unsigned)cause >= SH_CAUSE_COUNT)
        cause = SH_INTERNAL_BUG;
    return &causes[cause];
}

const char *sh_category_name(enum sh_category category)
{
    switch (category) {
    case SH_CAT_DONE:
        return "done";
    case SH_CAT_USAGE:
        return "usage";
    case SH_CAT_NOT_NEAR:
        return "not-near";
    case SH_CAT_REFUSED:
        return "refused";
    case SH_CAT_NO_LINK:
        return "no-link";
    case SH_CAT_DATA:
        return "data";
    case SH_CAT_INSTALL:
        return "install";
    case SH_CAT_ENVIRONMENT:
        return "environment";
    case SH_CAT_INTERRUPTED:
        return "interrupted";
    case SH_CAT_NOT_LINKED:
        return "not-linked";
    }
    return "environment";
}

enum sh_cause sh_cause_by_name(const char *name)
{
    for (size_t i = SH_OK + 1; i < SH_CAUSE_COUNT; i++) {
        if (strcmp(causes[i].name, name) == 0)
            return (enum sh_cause)i;
    }
    return SH_SESSION_PEER_FAILED;
}

enum sh_cause sh_fail(enum sh_cause cause, const char *format, ...)
{
    char line[sizeof(detail)];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    memcpy(detail, line, sizeof(detail)); /* an argument may be the old detail */
    return cause;
}

const char *sh_detail(void)
{
    return detail;
}

void sh_detail_clear(void)
{
    detail[0] = '\0';
}

enum sh_cause sh_cause_of_errno(int error, const char *what)
{
    static const struct {
        int error;
        enum sh_cause cause;
    } map[] = {
        {ENOSPC, SH_STORE_NO_SPACE}, {EDQUOT, SH_STORE_NO_SPACE}, {EROFS, SH_STORE_READ_ONLY},
        {EACCES, SH_ENV_PERMISSION}, {EPERM, SH_ENV_PERMISSION},  {EEXIST, SH_STORE_TARGET_EXISTS},
        {ENOMEM, SH_ENV_NO_MEMORY},  {EFBIG, SH_STORE_NO_SPACE},
    };
    enum sh_cause cause = SH_STORE_IO_ERROR;
    for (size_t i = 0; i < SH_COUNT(map); i++) {
        if (map[i].error == error)
            cause = map[i].cause;
    }
    return sh_fail(cause, "%s: %s", what, strerror(error));
}
