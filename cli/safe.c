/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/safe.h"

#include <string.h>

unsigned sh_char_columns(uint32_t c)
{
    bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f000;
    return wide ? 2 : 1;
}

unsigned sh_safe_copy(char *out, size_t size, const char *text, unsigned max_columns)
{
    size_t n = 0;
    unsigned columns = 0;
    while (*text) {
        const char *start = text;
        uint32_t c = sh_utf8_next(&text);
        bool unsafe = sh_char_is_unsafe(c);
        size_t octets = unsafe ? 1 : (size_t)(text - start);
        unsigned width = unsafe ? 1 : sh_char_columns(c);
        if (n + octets + 1 > size || columns + width > max_columns)
            break;
        memcpy(out + n, unsafe ? "?" : start, octets);
        n += octets;
        columns += width;
    }
    out[n] = '\0';
    return columns;
}
