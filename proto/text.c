/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/text.h"

#include <string.h>

uint32_t sh_utf8_next(const char **text)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)*text;
    uint8_t lead = p[0];
    if (lead == 0)
        return 0;
    unsigned more = lead < 0x80 ? 0 : (lead & 0xe0) == 0xc0 ? 1 : (lead & 0xf0) == 0xe0 ? 2 : 3;
    uint32_t c = more == 0 ? lead : lead & (0x3fU >> more);
    bool good = lead < 0x80 || (lead >= 0xc0 && lead < 0xf8);
    for (unsigned i = 1; good && i <= more; i++) {
        good = (p[i] & 0xc0) == 0x80; /* also false at the NUL */
        c = c << 6 | (p[i] & 0x3f);
    }
    if (!good || c < smallest[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        (*text)++;
        return SH_UTF8_BAD;
    }
    *text += more + 1;
    return c;
}

bool sh_char_is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           c > 0x10ffff;
}

bool sh_text_is_clean(const char *text, size_t max)
{
    if (strnlen(text, max < SIZE_MAX ? max + 1 : max) > max)
        return false;
    while (*text) {
        if (sh_char_is_unsafe(sh_utf8_next(&text)))
            return false;
    }
    return true;
}
