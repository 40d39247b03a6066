/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Causes: every way that a session can fail has a stable name, a category (which fixes the exit
 * status), one sentence and a next step for the person. They stand in one table, cause.def;
 * docs/causes.md is checked against it, scripts and the peer (message Abort) see the names.
 *
 * A function that can fail returns `enum sh_cause`, SH_OK or what went wrong, and the compiler
 * makes the caller look. What the table cannot know (a path, an errno) goes into the detail: one
 * line, a thread keeps its latest, written by sh_fail() and read by whoever reports.
 */
#ifndef SIMHOP_PROTO_CAUSE_H
#define SIMHOP_PROTO_CAUSE_H

#include "proto/base.h"

enum sh_category {
    SH_CAT_DONE = 0,  /* exit status 0 */
    SH_CAT_USAGE = 2, /* the values are the exit statuses of the program */
    SH_CAT_NOT_NEAR = 3,
    SH_CAT_REFUSED = 4,
    SH_CAT_NO_LINK = 5,
    SH_CAT_DATA = 6,
    SH_CAT_INSTALL = 7,
    SH_CAT_ENVIRONMENT = 8,
    SH_CAT_INTERRUPTED = 9,
    SH_CAT_NOT_LINKED = 10,
};

enum sh_cause {
    SH_OK = 0,
#define CAUSE(id, name, category, sentence, next) SH_##id,
#include "proto/cause.def"
#undef CAUSE
    SH_CAUSE_COUNT
};

struct sh_cause_info {
    const char *name; /* "store.no-space": stable */
    enum sh_category category;
    const char *message; /* one sentence */
    const char *next;    /* the next step for the person */
};

/* Never NULL; for a value outside the table, that of internal.bug. */
const struct sh_cause_info *sh_cause_info(enum sh_cause cause);

/* "environment", "refused", ...: the category's name in JSON. Never NULL. */
const char *sh_category_name(enum sh_category category);

/* The cause with this name, e.g. out of a peer's Abort; SH_SESSION_PEER_FAILED if none has it. */
enum sh_cause sh_cause_by_name(const char *name);

/* Sets the thread's detail line (cut at 255 bytes) and returns the cause:
 * `return sh_fail(SH_STORE_NO_SPACE, "%s: %s", path, strerror(errno));` Never give it secrets. */
SH_PRINTF(2, 3) enum sh_cause sh_fail(enum sh_cause cause, const char *format, ...);

/* The thread's detail line, "" if there is none. Valid until the next sh_fail or clear. */
const char *sh_detail(void);
void sh_detail_clear(void);

/* The cause that an errno of a file operation means: ENOSPC and EDQUOT store.no-space, EROFS
 * store.read-only, EACCES and EPERM env.permission, EEXIST store.target-exists, ENOMEM
 * env.no-memory, everything else store.io-error. Sets the detail to "WHAT: strerror". */
SH_MUST_USE enum sh_cause sh_cause_of_errno(int error, const char *what);

/* Returns from the calling function with the cause of a failed call. */
#define SH_TRY(call)                                                                               \
    do {                                                                                           \
        enum sh_cause sh_try_cause_ = (call);                                                      \
        if (sh_try_cause_ != SH_OK)                                                                \
            return sh_try_cause_;                                                                  \
    } while (0)

#endif
