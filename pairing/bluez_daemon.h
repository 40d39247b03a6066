/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bluetoothd on the system bus: is it there, and what does it show? Kept up to date while the loop
 * runs: the owner of the name org.bluez is watched, its objects are read when it appears and followed by
 * its signals. Only the owner's own messages count. It is never started by the bus for our sake.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_DAEMON_H
#define SIMHOP_PAIRING_BLUEZ_DAEMON_H

#include "pairing/bluez_objects.h"
#include "system/bus.h"

struct sh_bluez_daemon_ops {
    /* SH_OK: its objects are known. Else, with a detail: bluetooth.no-daemon, bluetooth.permission,
     * bluetooth.refused, env.no-bus, env.permission. After each it may become another. */
    void (*state)(enum sh_cause cause, void *user);
    void (*changed)(const struct sh_bluez_change *change, void *user);
};

struct sh_bluez_daemon;

/* Fails with env.no-bus, env.permission, env.no-memory. Its callbacks may free it. */
SH_MUST_USE enum sh_cause sh_bluez_daemon_new(struct event_base *base,
                                              const struct sh_bluez_daemon_ops *ops, void *user,
                                              struct sh_bluez_daemon **ret_daemon);
/* NULL is fine. */
void sh_bluez_daemon_free(struct sh_bluez_daemon *daemon);

/* Empty while the state is not SH_OK. */
struct sh_bluez *sh_bluez_daemon_objects(struct sh_bluez_daemon *daemon);
/* NULL while there is none. Whatever was made on it is gone when it is: the state tells. */
struct sh_bus *sh_bluez_daemon_bus(struct sh_bluez_daemon *daemon);

/* Asks whether it is alive (D-Bus specification 0.41, "org.freedesktop.DBus.Peer"); where no answer comes for 3 s, the state
 * tells so, and is SH_OK again with its first answer. */
void sh_bluez_daemon_ping(struct sh_bluez_daemon *daemon);

/* A method call to an object of bluetoothd, which does not start it. Fails with env.no-memory, env.no-bus. */
SH_MUST_USE enum sh_cause sh_bluez_message(struct sh_bus *bus, const char *path,
                                           const char *interface, const char *method,
                                           sd_bus_message **ret_message);
/* What an error that bluetoothd, or the bus in its place, answered with means; "METHOD: name: text" as
 * detail. SH_OK if it is no error. */
enum sh_cause sh_bluez_error(sd_bus_message *answer, const char *method);

#endif
