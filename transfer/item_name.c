/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "proto/text.h"
#include "transfer/item.h"

enum sh_cause sh_item_name_check(const char *name)
{
    size_t n = name ? strnlen(name, SH_ITEM_NAME_MAX + 1) : 0;
    if (n == 0 || n > SH_ITEM_NAME_MAX)
        return sh_fail(SH_STORE_BAD_NAME, "a name must have 1 to %d octets", SH_ITEM_NAME_MAX);
    if (name[0] == '.')
        return sh_fail(SH_STORE_BAD_NAME, "a name must not begin with a dot");
    for (const char *at = name; *at;) {
        size_t offset = (size_t)(at - name);
        uint32_t c = sh_utf8_next(&at);
        if (c == SH_UTF8_BAD)
            return sh_fail(SH_STORE_BAD_NAME, "octet %zu of a name is not UTF-8", offset);
        if (c == '/' || sh_char_is_unsafe(c))
            return sh_fail(SH_STORE_BAD_NAME, "octet %zu of a name is %s", offset,
                           c == '/' ? "a slash" : "a control character");
    }
    return SH_OK;
}
