/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_read.h"

#include <string.h>

bool sh_bluez_enter(sd_bus_message *m, char type, const char *contents)
{
    char is = 0;
    const char *has = NULL;
    if (sd_bus_message_peek_type(m, &is, &has) <= 0 || is != type || !has ||
        strcmp(has, contents) != 0)
        return false;
    return sd_bus_message_enter_container(m, type, contents) > 0;
}

bool sh_bluez_leave(sd_bus_message *m)
{
    while (sd_bus_message_at_end(m, false) == 0) {
        if (sd_bus_message_skip(m, NULL) <= 0)
            return false;
    }
    return sd_bus_message_exit_container(m) > 0;
}

void sh_bluez_each_property(sd_bus_message *m,
                            void (*each)(sd_bus_message *m, const char *key, void *user),
                            void *user)
{
    if (!sh_bluez_enter(m, 'a', "{sv}"))
        return;
    while (sh_bluez_enter(m, 'e', "sv")) {
        const char *key = NULL;
        if (sd_bus_message_read_basic(m, 's', &key) > 0)
            each(m, key, user);
        if (!sh_bluez_leave(m))
            return;
    }
    sh_bluez_leave(m);
}

/* One basic value of the type out of the variant that is next. */
static bool read_variant(sd_bus_message *m, char type, void *ret_value)
{
    const char contents[] = {type, '\0'};
    if (!sh_bluez_enter(m, 'v', contents))
        return false;
    bool read = sd_bus_message_read_basic(m, type, ret_value) > 0;
    return sh_bluez_leave(m) && read;
}

const char *sh_bluez_read_text(sd_bus_message *m)
{
    const char *text = NULL;
    return read_variant(m, 's', &text) ? text : NULL;
}

bool sh_bluez_read_bool(sd_bus_message *m, bool *ret_value)
{
    int value = 0;
    if (!read_variant(m, 'b', &value))
        return false;
    *ret_value = value != 0;
    return true;
}

bool sh_bluez_read_byte(sd_bus_message *m, unsigned *ret_value)
{
    uint8_t value = 0;
    if (!read_variant(m, 'y', &value))
        return false;
    *ret_value = value;
    return true;
}

bool sh_bluez_read_int16(sd_bus_message *m, int *ret_value)
{
    int16_t value = 0;
    if (!read_variant(m, 'n', &value))
        return false;
    *ret_value = value;
    return true;
}
