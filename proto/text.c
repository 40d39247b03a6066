/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/text.h"

#include <string.h>

/* The length of the sequence that starts at s (n octets are left) and its code point; 0 if it is not UTF-8. */
static size_t decode(const uint8_t *s, size_t n, uint32_t *ret_code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80             ? 1
                    : (s[0] & 0xE0) == 0xC0 ? 2
                    : (s[0] & 0xF0) == 0xE0 ? 3
                    : (s[0] & 0xF8) == 0xF0 ? 4
                                            : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t code = length == 1 ? s[0] : s[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3F);
    }
    if (code < smallest[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        return 0;
    *ret_code = code;
    return length;
}

static bool is_printable(uint32_t code)
{
    return code >= 0x20 && !(code >= 0x7F && code <= 0x9F) && !(code >= 0x2028 && code <= 0x202E) &&
           !(code >= 0x2066 && code <= 0x2069);
}

bool sh_text_is_clean(const char *text, size_t max)
{
    size_t n = strnlen(text, max + 1);
    if (n > max)
        return false;
    for (size_t at = 0; at < n;) {
        uint32_t code = 0;
        size_t length = decode((const uint8_t *)text + at, n - at, &code);
        if (length == 0 || !is_printable(code))
            return false;
        at += length;
    }
    return true;
}
