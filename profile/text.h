/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text that is put together piece by piece and may hold secrets: when it grows, the old memory is wiped, and so
 * is the rest when it is dropped. A failed allocation is remembered, so that only the end has to look.
 */
#ifndef SIMHOP_PROFILE_TEXT_H
#define SIMHOP_PROFILE_TEXT_H

#include "proto/base.h"
#include "proto/cause.h"

/* All zero is an empty text. */
struct sh_text {
    char *p; /* NUL-terminated when not NULL */
    size_t n, size;
    bool failed;
};

void sh_text_add(struct sh_text *text, const char *s);
void sh_text_add_n(struct sh_text *text, const char *s, size_t n);
SH_PRINTF(2, 3) void sh_text_addf(struct sh_text *text, const char *format, ...);

/* Gives the malloc'ed text away and empties the struct. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_text_take(struct sh_text *text, char **ret_text);

/* Wipes and frees what was not taken. */
void sh_text_drop(struct sh_text *text);

/* Wipes and frees a string that held something secret; NULL is fine. */
void sh_free_secret(char *s);
/* For `SH_CLEANUP(sh_free_secretp) char *s = NULL;` */
void sh_free_secretp(char **s);

#endif
