/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"

#define REOPEN_MS 500
#define CALL_MS   3000
#define BACK_MS   60000 /* one that hung may answer yet */
#define READ_MS   2000  /* what it shows is read anew so often at most */

#define FROM_BLUEZ "type='signal',sender='" SH_BLUEZ_NAME "',"

static const char *const matches[] = {
    FROM_BLUEZ "interface='org.freedesktop.DBus.ObjectManager',path='/'",
    FROM_BLUEZ "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
               "path_namespace='/org/bluez'",
};
static const char owner_match[] =
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
    "member='NameOwnerChanged',arg0='" SH_BLUEZ_NAME "'";

struct sh_bluez_daemon {
    struct event_base *base;
    const struct sh_bluez_daemon_ops *ops;
    void *user;
    struct sh_bus *bus;
    struct event *reopen;
    sd_bus_slot *match[SH_COUNT(matches) + 1];
    sd_bus_slot *call; /* the one question under way */
    struct sh_bluez *objects;
    char owner[64]; /* its unique name; "": there is none */
    bool known;     /* the objects are read */
    sh_ms read_at;  /* anew, when it was last asked for */
};

static void on_lost(enum sh_cause cause, void *user);

static void slot_drop(sd_bus_slot **slot)
{
    sd_bus_slot_unref(*slot);
    *slot = NULL;
}

static void bus_drop(struct sh_bluez_daemon *daemon)
{
    for (size_t i = 0; i < SH_COUNT(daemon->match); i++)
        slot_drop(&daemon->match[i]);
    slot_drop(&daemon->call);
    sh_bus_free(daemon->bus);
    daemon->bus = NULL;
    daemon->owner[0] = '\0';
    daemon->known = false;
    sh_bluez_clear(daemon->objects);
}

/* The last thing that a handler does: the daemon may be gone after it. */
static int tell(struct sh_bluez_daemon *daemon, enum sh_cause cause)
{
    daemon->known = cause == SH_OK;
    if (cause != SH_OK)
        sh_bluez_clear(daemon->objects);
    daemon->ops->state(cause, daemon->user);
    return 1;
}

enum sh_cause sh_bluez_message(struct sh_bus *bus, const char *path, const char *interface,
                               const char *method, sd_bus_message **ret_message)
{
    sd_bus_message *m = NULL;
    if (sd_bus_message_new_method_call(sh_bus_sd(bus), &m, SH_BLUEZ_NAME, path, interface, method) <
        0)
        return SH_ENV_NO_MEMORY;
    sd_bus_message_set_auto_start(m, false);
    *ret_message = m;
    return SH_OK;
}

enum sh_cause sh_bluez_error(sd_bus_message *answer, const char *method)
{
    static const struct {
        const char *name;
        enum sh_cause cause;
    } known[] = {
        {"org.freedesktop.DBus.Error.AccessDenied", SH_BLUETOOTH_PERMISSION},
        {"org.freedesktop.DBus.Error.ServiceUnknown", SH_BLUETOOTH_NO_DAEMON},
        {"org.freedesktop.DBus.Error.NameHasNoOwner", SH_BLUETOOTH_NO_DAEMON},
        {"org.freedesktop.DBus.Error.UnknownMethod", SH_BLUETOOTH_DAEMON_OLD},
        {"org.freedesktop.DBus.Error.UnknownInterface", SH_BLUETOOTH_DAEMON_OLD},
        {"org.bluez.Error.NotAuthorized", SH_BLUETOOTH_PERMISSION},
        {"org.bluez.Error.NotReady", SH_BLUETOOTH_OFF},
        {"org.bluez.Error.NotSupported", SH_BLUETOOTH_NO_LE},
    };
    const sd_bus_error *error = sd_bus_message_get_error(answer);
    enum sh_cause cause = SH_BLUETOOTH_REFUSED;
    if (!error)
        return SH_OK;
    for (size_t i = 0; i < SH_COUNT(known); i++) {
        if (strcmp(error->name, known[i].name) == 0)
            cause = known[i].cause;
    }
    return sh_fail(cause, "%s: %s: %s", method, error->name, error->message ? error->message : "");
}

/* ---- reading the objects ---- */

static int hangs(struct sh_bluez_daemon *daemon, enum sh_cause cause);

static int on_objects(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_daemon *daemon = user;
    slot_drop(&daemon->call);
    enum sh_cause cause = sh_bluez_error(answer, "GetManagedObjects");
    if (sh_bus_unanswered(answer))
        return hangs(daemon, cause);
    return tell(daemon, cause == SH_OK ? sh_bluez_managed(daemon->objects, answer) : cause);
}

/* A device of which only a change was told is not known: it did not fit any more, or was not seen to appear. */
static int on_read_anew(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    static const struct sh_bluez_change all = {.adapter_gone = true};
    struct sh_bluez_daemon *daemon = user;
    slot_drop(&daemon->call);
    enum sh_cause cause = sh_bluez_error(answer, "GetManagedObjects");
    if (sh_bus_unanswered(answer))
        return hangs(daemon, cause);
    if (cause == SH_OK)
        cause = sh_bluez_managed(daemon->objects, answer);
    if (cause != SH_OK)
        return tell(daemon, cause);
    daemon->ops->changed(&all, daemon->user);
    return 1;
}

static enum sh_cause ask_objects(struct sh_bluez_daemon *daemon, sd_bus_message_handler_t answered,
                                 unsigned limit_ms)
{
    sd_bus_message *m = NULL;
    slot_drop(&daemon->call);
    SH_TRY(sh_bluez_message(daemon->bus, "/", "org.freedesktop.DBus.ObjectManager",
                            "GetManagedObjects", &m));
    enum sh_cause cause = sh_bus_call(daemon->bus, m, answered, daemon, limit_ms, &daemon->call);
    sd_bus_message_unref(m);
    return cause;
}

/* It does not answer. It is asked for longer: its first answer tells that it goes on. */
static int hangs(struct sh_bluez_daemon *daemon, enum sh_cause cause)
{
    char detail[256];
    snprintf(detail, sizeof(detail), "%s", sh_detail());
    if (ask_objects(daemon, on_objects, BACK_MS) != SH_OK)
        sh_log("bluez: what it shows cannot be asked for");
    return tell(daemon, sh_fail(cause, "%s", detail));
}

static void read_anew(struct sh_bluez_daemon *daemon)
{
    sh_ms now = sh_now();
    if (daemon->call || now < daemon->read_at + READ_MS)
        return;
    daemon->read_at = now;
    if (ask_objects(daemon, on_read_anew, CALL_MS) != SH_OK)
        sh_log("bluez: what it shows cannot be asked for");
}

static int on_ping(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_daemon *daemon = user;
    slot_drop(&daemon->call);
    enum sh_cause cause = sh_bluez_error(answer, "Ping");
    return cause == SH_OK || !daemon->known ? 1 : hangs(daemon, cause);
}

void sh_bluez_daemon_ping(struct sh_bluez_daemon *daemon)
{
    sd_bus_message *m = NULL;
    if (!daemon->known || daemon->call ||
        sh_bluez_message(daemon->bus, "/", "org.freedesktop.DBus.Peer", "Ping", &m) != SH_OK)
        return;
    if (sh_bus_call(daemon->bus, m, on_ping, daemon, CALL_MS, &daemon->call) != SH_OK)
        sh_log("bluez: Ping: %s", sh_detail());
    sd_bus_message_unref(m);
}

/* ---- who owns the name ---- */

static int owner_is(struct sh_bluez_daemon *daemon, const char *owner)
{
    slot_drop(&daemon->call);
    if (!sh_strcopy(daemon->owner, sizeof(daemon->owner), owner) || !daemon->owner[0])
        return tell(daemon, sh_fail(SH_BLUETOOTH_NO_DAEMON, "nobody is %s", SH_BLUEZ_NAME));
    enum sh_cause cause = ask_objects(daemon, on_objects, CALL_MS);
    return cause == SH_OK ? 1 : tell(daemon, cause);
}

static int on_owner(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_daemon *daemon = user;
    const char *owner = NULL;
    enum sh_cause cause = sh_bluez_error(answer, "GetNameOwner");
    if (sh_bus_unanswered(answer)) {
        on_lost(sh_fail(SH_ENV_NO_BUS, "GetNameOwner is not answered"), daemon);
        return 1;
    }
    if (cause != SH_OK && cause != SH_BLUETOOTH_NO_DAEMON) {
        slot_drop(&daemon->call);
        return tell(daemon, cause);
    }
    if (cause != SH_OK || sd_bus_message_read(answer, "s", &owner) <= 0)
        owner = "";
    return owner_is(daemon, owner);
}

static int on_owner_changed(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_daemon *daemon = user;
    const char *name = NULL, *before = NULL, *now = NULL;
    if (sd_bus_message_read(signal, "sss", &name, &before, &now) <= 0 ||
        strcmp(name, SH_BLUEZ_NAME) != 0)
        return 0;
    sh_log("bluez: bluetoothd %s", now[0] ? "is there" : "is gone");
    return owner_is(daemon, now);
}

static int on_signal(sd_bus_message *signal, void *user, sd_bus_error *error SH_UNUSED)
{
    struct sh_bluez_daemon *daemon = user;
    const char *sender = sd_bus_message_get_sender(signal);
    if (!daemon->known || !sender || strcmp(sender, daemon->owner) != 0)
        return 0;
    struct sh_bluez_change change = sh_bluez_signal(daemon->objects, signal);
    if (change.device && !change.device->address[0])
        read_anew(daemon);
    if (change.adapter || change.device || change.adapter_gone)
        daemon->ops->changed(&change, daemon->user);
    return 0;
}

/* ---- the bus ---- */

static enum sh_cause watch(struct sh_bluez_daemon *daemon)
{
    sd_bus_message *m = NULL;
    for (size_t i = 0; i < SH_COUNT(matches); i++)
        SH_TRY(sh_bus_match(daemon->bus, matches[i], on_signal, daemon, &daemon->match[i]));
    SH_TRY(sh_bus_match(daemon->bus, owner_match, on_owner_changed, daemon,
                        &daemon->match[SH_COUNT(matches)]));
    if (sd_bus_message_new_method_call(sh_bus_sd(daemon->bus), &m, "org.freedesktop.DBus",
                                       "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                       "GetNameOwner") < 0)
        return SH_ENV_NO_MEMORY;
    enum sh_cause cause = SH_ENV_NO_MEMORY;
    if (sd_bus_message_append(m, "s", SH_BLUEZ_NAME) >= 0)
        cause = sh_bus_call(daemon->bus, m, on_owner, daemon, CALL_MS, &daemon->call);
    sd_bus_message_unref(m);
    return cause;
}

static enum sh_cause open_bus(struct sh_bluez_daemon *daemon)
{
    SH_TRY(sh_bus_open(daemon->base, on_lost, daemon, &daemon->bus));
    enum sh_cause cause = watch(daemon);
    if (cause != SH_OK)
        bus_drop(daemon);
    return cause;
}

static void again(struct sh_bluez_daemon *daemon)
{
    const struct timeval tv = {.tv_usec = REOPEN_MS * 1000};
    evtimer_add(daemon->reopen, &tv);
}

static void on_lost(enum sh_cause cause, void *user)
{
    struct sh_bluez_daemon *daemon = user;
    bus_drop(daemon);
    again(daemon);
    tell(daemon, cause);
}

static void on_reopen(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez reopen");
    struct sh_bluez_daemon *daemon = user;
    enum sh_cause cause = open_bus(daemon);
    if (cause == SH_OK)
        return;
    again(daemon);
    tell(daemon, cause);
}

enum sh_cause sh_bluez_daemon_new(struct event_base *base, const struct sh_bluez_daemon_ops *ops,
                                  void *user, struct sh_bluez_daemon **ret_daemon)
{
    struct sh_bluez_daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon)
        return SH_ENV_NO_MEMORY;
    *daemon = (struct sh_bluez_daemon){.base = base, .ops = ops, .user = user};
    daemon->reopen = evtimer_new(base, on_reopen, daemon);
    enum sh_cause cause = daemon->reopen ? sh_bluez_new(&daemon->objects) : SH_ENV_NO_MEMORY;
    if (cause == SH_OK)
        cause = open_bus(daemon);
    if (cause != SH_OK) {
        sh_bluez_daemon_free(daemon);
        return cause;
    }
    *ret_daemon = daemon;
    return SH_OK;
}

void sh_bluez_daemon_free(struct sh_bluez_daemon *daemon)
{
    if (!daemon)
        return;
    if (daemon->objects)
        bus_drop(daemon);
    sh_bluez_free(daemon->objects);
    if (daemon->reopen)
        event_free(daemon->reopen);
    free(daemon);
}

struct sh_bluez *sh_bluez_daemon_objects(struct sh_bluez_daemon *daemon)
{
    return daemon->objects;
}

struct sh_bus *sh_bluez_daemon_bus(struct sh_bluez_daemon *daemon)
{
    return daemon->bus;
}
