/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/item.h"

#include <string.h>

/* One character of UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF) at *at, which
 * moves on; UINT32_MAX if there is none. */
static uint32_t next_character(const unsigned char **at)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *at;
    unsigned length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (length == 0 || p[0] >= 0xf8)
        return UINT32_MAX;
    uint32_t character = length == 1 ? p[0] : p[0] & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) /* the closing NUL too */
            return UINT32_MAX;
        character = character << 6 | (p[i] & 0x3f);
    }
    if (character < smallest[length] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return UINT32_MAX;
    *at = p + length;
    return character;
}

/* C0, DEL, C1, line and paragraph separator, and what turns the direction of text around: with
 * those a name does not look like what it is. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

enum sh_cause sh_item_name_check(const char *name)
{
    size_t n = name ? strnlen(name, SH_ITEM_NAME_MAX + 1) : 0;
    if (n == 0 || n > SH_ITEM_NAME_MAX)
        return sh_fail(SH_STORE_BAD_NAME, "a name must have 1 to %d octets", SH_ITEM_NAME_MAX);
    if (name[0] == '.')
        return sh_fail(SH_STORE_BAD_NAME, "a name must not begin with a dot");
    const unsigned char *at = (const unsigned char *)name;
    while (*at) {
        size_t offset = (size_t)(at - (const unsigned char *)name);
        uint32_t c = next_character(&at);
        if (c == UINT32_MAX)
            return sh_fail(SH_STORE_BAD_NAME, "octet %zu of a name is not UTF-8", offset);
        if (c == '/' || is_control(c))
            return sh_fail(SH_STORE_BAD_NAME, "octet %zu of a name is %s", offset,
                           c == '/' ? "a slash" : "a control character");
    }
    return SH_OK;
}
