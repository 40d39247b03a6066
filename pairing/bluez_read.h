/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values out of a D-Bus message whose types are not trusted (D-Bus specification 0.41, "Type
 * System"; sd-bus(3)): what has another type than the one asked for is left where it is, and whoever
 * walks passes over it. The message is left usable, whatever stands in it.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_READ_H
#define SIMHOP_PAIRING_BLUEZ_READ_H

#include <systemd/sd-bus.h>

#include "proto/base.h"

/* Enters the container that is next if it is this one: type 'a', 'v', 'e' (dict entry), 'r'. */
SH_MUST_USE bool sh_bluez_enter(sd_bus_message *m, char type, const char *contents);
/* Passes over the rest of the container and leaves it. */
bool sh_bluez_leave(sd_bus_message *m);

/* a{sv} is next: calls each with every key; the variant is next then, and each reads it or not. An array
 * of another kind is passed over. */
void sh_bluez_each_property(sd_bus_message *m,
                            void (*each)(sd_bus_message *m, const char *key, void *user),
                            void *user);

/* The variant that is next, if it has this type; the output is untouched otherwise. The text lives as long as
 * the message; NULL: another type. */
const char *sh_bluez_read_text(sd_bus_message *m);
bool sh_bluez_read_bool(sd_bus_message *m, bool *ret_value);
bool sh_bluez_read_byte(sd_bus_message *m, unsigned *ret_value);
bool sh_bluez_read_int16(sd_bus_message *m, int *ret_value);

#endif
