/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "profile/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"

/* Room for n more octets and a NUL. */
static bool reserve(struct sh_text *text, size_t n)
{
    if (text->failed)
        return false;
    if (text->p && text->size - text->n > n)
        return true;
    size_t size = SH_MAX(256, 2 * (text->n + n + 1));
    char *p = malloc(size);
    if (!p) {
        text->failed = true;
        return false;
    }
    if (text->p) {
        memcpy(p, text->p, text->n + 1);
        sh_wipe(text->p, text->size);
        free(text->p);
    }
    text->p = p;
    text->size = size;
    return true;
}

void sh_text_add_n(struct sh_text *text, const char *s, size_t n)
{
    if (!reserve(text, n))
        return;
    memcpy(text->p + text->n, s, n);
    text->n += n;
    text->p[text->n] = '\0';
}

void sh_text_add(struct sh_text *text, const char *s)
{
    sh_text_add_n(text, s, strlen(s));
}

void sh_text_addf(struct sh_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        text->failed = true;
    else if (reserve(text, (size_t)n)) {
        vsnprintf(text->p + text->n, (size_t)n + 1, format, again);
        text->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

enum sh_cause sh_text_take(struct sh_text *text, char **ret_text)
{
    sh_text_add_n(text, "", 0);
    if (text->failed) {
        sh_text_drop(text);
        return SH_ENV_NO_MEMORY;
    }
    *ret_text = text->p;
    *text = (struct sh_text){0};
    return SH_OK;
}

void sh_text_drop(struct sh_text *text)
{
    if (text->p) {
        sh_wipe(text->p, text->size);
        free(text->p);
    }
    *text = (struct sh_text){0};
}

void sh_free_secret(char *s)
{
    if (s)
        sh_wipe(s, strlen(s));
    free(s);
}

void sh_free_secretp(char **s)
{
    sh_free_secret(*s);
    *s = NULL;
}
