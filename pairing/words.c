/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/words.h"

#include <string.h>

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct sh_bytes sh_next_word(struct sh_bytes *line)
{
    const uint8_t *p = line->p;
    size_t left = line->n, n = 0;
    while (left > 0 && is_space(*p)) {
        p++;
        left--;
    }
    while (n < left && !is_space(p[n]))
        n++;
    if (left > 0) /* else p may be NULL */
        *line = (struct sh_bytes){p + n, left - n};
    else
        line->n = 0;
    return (struct sh_bytes){p, n};
}

bool sh_word_is(struct sh_bytes word, const char *text)
{
    return word.n == strlen(text) && memcmp(word.p, text, word.n) == 0;
}
