/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pairing/bluez_advert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairing/bluez_daemon.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"

#define RETRY_MS     1000
#define REGISTER_MS  5000
#define POWER_MS     1000 /* what the controller chose is told much sooner */
#define POWER_OFF_DB 2    /* so far from what was asked for it may choose */
#define OBJECT       "org.bluez.LEAdvertisement1"

enum state { FREE, ASKED, UP };

/* What is left out when bluetoothd does not take all; the next form is tried when one is refused. */
enum form { POWERED, WHOLE, WITHOUT_INTERVAL, PLAIN, FORMS };

/* One object of ours. */
struct entry {
    struct sh_bluez_advert *advert;
    enum state state;
    bool stale; /* to be taken back as soon as another is up */
    char path[48];
    uint8_t data[SH_ADVERT_SERVICE_DATA];
    enum form form;
    int power_dbm;  /* POWERED: asked for, at asked_at */
    int chosen_dbm; /* what the controller took, as last told; SH_BLUEZ_NO_POWER: it is not told */
    sh_ms asked_at;
    sd_bus_slot *object, *call;
};

struct sh_bluez_advert {
    struct sh_bus *bus; /* NULL: not now */
    void (*told)(enum sh_cause cause, void *user);
    void *user;
    char adapter[SH_BLUEZ_PATH];
    struct sh_advert payload;
    struct sh_bluez_power power;
    bool power_refused; /* for good: it is not asked for any more */
    int proved_dbm; /* the least that a controller took as it was asked for; SH_BLUEZ_NO_POWER: none below the full one */
    bool wanted;
    enum form form; /* the fullest that was taken, or is tried */
    unsigned number;
    struct entry entries[2];
    struct event *retry;
};

static void review(struct sh_bluez_advert *advert);

/* ---- the object that bluetoothd reads ---- */

static int get_type(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                    const char *interface SH_UNUSED, const char *property SH_UNUSED,
                    sd_bus_message *reply, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    return sd_bus_message_append(reply, "s", "peripheral");
}

static int get_service_data(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                            const char *interface SH_UNUSED, const char *property SH_UNUSED,
                            sd_bus_message *reply, void *user, sd_bus_error *error SH_UNUSED)
{
    const struct entry *entry = user;
    const uint8_t *d = entry->data;
    _Static_assert(SH_ADVERT_SERVICE_DATA == 10, "as many as are given here");
    return sd_bus_message_append(reply, "a{sv}", 1, sh_advert_uuid_text, "ay", 10, d[0], d[1], d[2],
                                 d[3], d[4], d[5], d[6], d[7], d[8], d[9]);
}

static int get_discoverable(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                            const char *interface SH_UNUSED, const char *property SH_UNUSED,
                            sd_bus_message *reply, void *user SH_UNUSED,
                            sd_bus_error *error SH_UNUSED)
{
    return sd_bus_message_append(reply, "b", 1);
}

static int get_interval(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                        const char *interface SH_UNUSED, const char *property SH_UNUSED,
                        sd_bus_message *reply, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    return sd_bus_message_append(reply, "u", SH_BLUEZ_INTERVAL_MS);
}

static int get_power(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                     const char *interface SH_UNUSED, const char *property SH_UNUSED,
                     sd_bus_message *reply, void *user, sd_bus_error *error SH_UNUSED)
{
    const struct entry *entry = user;
    return sd_bus_message_append(reply, "n", entry->power_dbm);
}

static bool chose_well(const struct entry *entry)
{
    return entry->chosen_dbm != SH_BLUEZ_NO_POWER &&
           abs(entry->chosen_dbm - entry->power_dbm) <= POWER_OFF_DB;
}

/* bluetoothd says what the controller chose, each time that it has told it something. */
static int set_power(sd_bus *bus SH_UNUSED, const char *path SH_UNUSED,
                     const char *interface SH_UNUSED, const char *property SH_UNUSED,
                     sd_bus_message *value, void *user, sd_bus_error *error SH_UNUSED)
{
    static const struct timeval now = {0};
    struct entry *entry = user;
    struct sh_bluez_advert *advert = entry->advert;
    int16_t dbm = 0;
    int r = sd_bus_message_read_basic(value, 'n', &dbm);
    if (r < 0)
        return r;
    entry->chosen_dbm = dbm;
    bool lowered = entry->power_dbm < advert->power.full_dbm - POWER_OFF_DB;
    if (chose_well(entry) && lowered && entry->power_dbm < advert->proved_dbm) {
        sh_log("bluez: the controller lowers its power to %d dBm", dbm);
        advert->proved_dbm = entry->power_dbm;
        if (entry->state == UP)
            evtimer_add(advert->retry, &now); /* now the level is stated */
    }
    return 0;
}

/* bluetoothd dropped it by itself. */
static int on_release(sd_bus_message *call, void *user, sd_bus_error *error SH_UNUSED)
{
    struct entry *entry = user;
    sh_log("bluez: the advertisement was released");
    if (entry->state == UP) {
        entry->state = FREE;
        entry->object = sd_bus_slot_unref(entry->object);
        sh_bus_kick(entry->advert->bus);
        const struct timeval soon = {.tv_usec = 200000};
        evtimer_add(entry->advert->retry, &soon);
    }
    return sd_bus_message_get_expect_reply(call) > 0 ? sd_bus_reply_method_return(call, "") : 1;
}

#define OBJECT_HEAD                                                                                \
    SD_BUS_VTABLE_START(0),                                                                        \
        SD_BUS_METHOD("Release", "", "", on_release, SD_BUS_VTABLE_UNPRIVILEGED),                  \
        SD_BUS_PROPERTY("Type", "s", get_type, 0, 0),                                              \
        SD_BUS_PROPERTY("ServiceData", "a{sv}", get_service_data, 0,                               \
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define OBJECT_WHOLE                                                                               \
    OBJECT_HEAD, SD_BUS_PROPERTY("Discoverable", "b", get_discoverable, 0, 0),                     \
        SD_BUS_PROPERTY("MinInterval", "u", get_interval, 0, 0),                                   \
        SD_BUS_PROPERTY("MaxInterval", "u", get_interval, 0, 0)

static const sd_bus_vtable plain[] = {OBJECT_HEAD, SD_BUS_VTABLE_END};
static const sd_bus_vtable without_interval[] = {
    OBJECT_HEAD,
    SD_BUS_PROPERTY("Discoverable", "b", get_discoverable, 0, 0),
    SD_BUS_VTABLE_END,
};
static const sd_bus_vtable whole[] = {OBJECT_WHOLE, SD_BUS_VTABLE_END};
static const sd_bus_vtable powered[] = {
    OBJECT_WHOLE,
    SD_BUS_WRITABLE_PROPERTY("TxPower", "n", get_power, set_power, 0,
                             SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE | SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};
static const sd_bus_vtable *const vtables[FORMS] = {powered, whole, without_interval, plain};

/* ---- what is wanted ---- */

static enum form form_now(const struct sh_bluez_advert *advert)
{
    bool ask = advert->power.full_dbm != SH_BLUEZ_NO_POWER && !advert->power_refused;
    return ask ? advert->form : SH_MAX(advert->form, WHOLE);
}

/* The power and the data that this form has now. A lowered level is stated once the controller is known to lower its power:
 * one that is heard too weakly seems farther away, and that is the better mistake. */
static void fill(const struct sh_bluez_advert *advert, enum form form, struct entry *entry)
{
    struct sh_advert payload = advert->payload;
    int power = SH_BLUEZ_NO_POWER;
    if (form == POWERED)
        power = advert->power.full_dbm + advert->power.step_db;
    if (form != POWERED || power < advert->proved_dbm)
        sh_advert_step(&payload, -advert->power.step_db);
    entry->form = form;
    entry->power_dbm = power;
    sh_advert_service_data(&payload, entry->data);
}

static bool is_wanted(const struct sh_bluez_advert *advert, const struct entry *up)
{
    struct entry wanted = {0};
    fill(advert, form_now(advert), &wanted);
    return !up->stale && up->form == wanted.form && up->power_dbm == wanted.power_dbm &&
           memcmp(up->data, wanted.data, sizeof(up->data)) == 0;
}

static void refuse_power(struct sh_bluez_advert *advert, const struct entry *entry)
{
    sh_log("bluez: asked for %d dBm, got %d; the power is not lowered any more", entry->power_dbm,
           entry->chosen_dbm);
    advert->power_refused = true;
}

/* ---- registering ---- */

static void entry_clear(struct entry *entry)
{
    entry->call = sd_bus_slot_unref(entry->call);
    entry->object = sd_bus_slot_unref(entry->object);
    entry->state = FREE;
    entry->stale = false;
}

/* The answer is of no interest: it is gone, or never was. */
static void unregister(struct entry *entry)
{
    struct sh_bluez_advert *advert = entry->advert;
    sd_bus_message *m = NULL;
    if (entry->state != FREE && advert->bus &&
        sh_bluez_message(advert->bus, advert->adapter, SH_BLUEZ_ADV_MANAGER,
                         "UnregisterAdvertisement", &m) == SH_OK) {
        sd_bus_message_set_expect_reply(m, 0);
        if (sd_bus_message_append(m, "o", entry->path) >= 0)
            sd_bus_send(sh_bus_sd(advert->bus), m, NULL);
        sd_bus_message_unref(m);
        sh_bus_kick(advert->bus);
    }
    entry_clear(entry);
}

static enum sh_cause cause_of(sd_bus_message *answer)
{
    const sd_bus_error *error = sd_bus_message_get_error(answer);
    if (error && strcmp(error->name, "org.bluez.Error.NotPermitted") == 0)
        return sh_fail(SH_BLUETOOTH_SLOTS_FULL, "RegisterAdvertisement: %s",
                       error->message ? error->message : error->name);
    return sh_bluez_error(answer, "RegisterAdvertisement");
}

static void try_again(struct sh_bluez_advert *advert)
{
    const struct timeval tv = {.tv_sec = RETRY_MS / 1000, .tv_usec = RETRY_MS % 1000 * 1000};
    evtimer_add(advert->retry, &tv);
}

/* Something else than what was registered may still be taken; of what is not answered nothing is. */
static bool other_form_helps(const struct entry *entry, enum sh_cause cause, sd_bus_message *answer)
{
    return cause == SH_BLUETOOTH_REFUSED && entry->form + 1 < FORMS && !sh_bus_unanswered(answer);
}

static int on_registered(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    struct entry *entry = user;
    struct sh_bluez_advert *advert = entry->advert;
    struct entry *other = &advert->entries[entry == advert->entries];
    enum sh_cause cause = cause_of(answer);
    entry->call = sd_bus_slot_unref(entry->call);
    if (cause == SH_OK) {
        entry->state = UP;
        sh_log("bluez: advertising (%s)", entry->path);
        unregister(other);
        if (entry->form == POWERED && !chose_well(entry))
            refuse_power(advert, entry);
        review(advert);
    } else {
        bool full = cause == SH_BLUETOOTH_SLOTS_FULL && other->state == UP;
        bool other_form = other_form_helps(entry, cause, answer);
        sh_log("bluez: %s", sh_detail());
        if (cause == SH_BLUETOOTH_REFUSED && entry->form == POWERED)
            refuse_power(advert, entry);
        if (other_form)
            advert->form = entry->form + 1;
        unregister(
            entry); /* a bluetoothd that hung may still do it, of an object that is not there any more */
        if (full)
            unregister(other); /* ours is what fills them */
        if (full || other_form) {
            review(advert);
            return 1;
        }
        try_again(advert);
    }
    advert->told(cause, advert->user);
    return 1;
}

static enum sh_cause ask(struct sh_bluez_advert *advert, struct entry *entry)
{
    sd_bus_message *m = NULL;
    SH_TRY(sh_bluez_message(advert->bus, advert->adapter, SH_BLUEZ_ADV_MANAGER,
                            "RegisterAdvertisement", &m));
    enum sh_cause cause = SH_ENV_NO_MEMORY;
    if (sd_bus_message_append(m, "oa{sv}", entry->path, 0) >= 0)
        cause = sh_bus_call(advert->bus, m, on_registered, entry, REGISTER_MS, &entry->call);
    sd_bus_message_unref(m);
    return cause;
}

static void register_entry(struct sh_bluez_advert *advert, struct entry *entry)
{
    entry_clear(entry);
    fill(advert, form_now(advert), entry);
    entry->chosen_dbm = SH_BLUEZ_NO_POWER;
    entry->asked_at = sh_now();
    snprintf(entry->path, sizeof(entry->path), "/org/simhop1/advert%u", ++advert->number);
    if (sd_bus_add_object_vtable(sh_bus_sd(advert->bus), &entry->object, entry->path, OBJECT,
                                 vtables[entry->form], entry) < 0 ||
        ask(advert, entry) != SH_OK) {
        entry_clear(entry);
        try_again(advert);
        return;
    }
    entry->state = ASKED;
}

static void tell(const struct entry *entry, const char *property)
{
    struct sh_bus *bus = entry->advert->bus;
    int r =
        sd_bus_emit_properties_changed(sh_bus_sd(bus), entry->path, OBJECT, property, (char *)NULL);
    if (r < 0)
        sh_log("bluez: %s: %s", property, strerror(-r));
    sh_bus_kick(bus);
}

/* Another step of what is registered: its address stays, by which who listens knows that it is the same sender. bluetoothd
 * takes one property after the other; between them it is weaker than it says. */
static void step(struct sh_bluez_advert *advert, struct entry *entry)
{
    int before = entry->power_dbm;
    sh_ms now = sh_now();
    if (!chose_well(entry) && now >= entry->asked_at + POWER_MS) {
        refuse_power(advert, entry);
        review(advert);
        return;
    }
    fill(advert, POWERED, entry);
    if (entry->power_dbm != before)
        entry->asked_at = now;
    if (entry->power_dbm < before)
        tell(entry, "TxPower");
    tell(entry, "ServiceData");
    if (entry->power_dbm > before)
        tell(entry, "TxPower");
}

/* Does what is wanted and not yet done. */
static void review(struct sh_bluez_advert *advert)
{
    struct entry *up = NULL, *idle = NULL;
    if (!advert->bus)
        return;
    for (size_t i = 0; i < SH_COUNT(advert->entries); i++) {
        struct entry *entry = &advert->entries[i];
        if (entry->state == ASKED)
            return; /* its answer comes first */
        if (entry->state == UP && !advert->wanted)
            unregister(entry);
        if (entry->state == UP)
            up = entry;
        else
            idle = entry;
    }
    if (!advert->wanted || (up && is_wanted(advert, up)))
        return;
    if (up && !up->stale && up->form == POWERED && form_now(advert) == POWERED)
        step(advert, up);
    else if (idle)
        register_entry(advert, idle);
}

static void on_retry(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("bluez advert");
    review(user);
}

/* ---- life ---- */

enum sh_cause sh_bluez_advert_new(struct event_base *base,
                                  void (*told)(enum sh_cause cause, void *user), void *user,
                                  struct sh_bluez_advert **ret_advert)
{
    struct sh_bluez_advert *advert = calloc(1, sizeof(*advert));
    if (!advert)
        return SH_ENV_NO_MEMORY;
    advert->told = told;
    advert->user = user;
    advert->power.full_dbm = advert->proved_dbm = SH_BLUEZ_NO_POWER;
    for (size_t i = 0; i < SH_COUNT(advert->entries); i++)
        advert->entries[i].advert = advert;
    advert->retry = evtimer_new(base, on_retry, advert);
    if (!advert->retry) {
        free(advert);
        return SH_ENV_NO_MEMORY;
    }
    *ret_advert = advert;
    return SH_OK;
}

void sh_bluez_advert_free(struct sh_bluez_advert *advert)
{
    if (!advert)
        return;
    sh_bluez_advert_off(advert);
    event_free(advert->retry);
    free(advert);
}

void sh_bluez_advert_on(struct sh_bluez_advert *advert, struct sh_bus *bus, const char *path,
                        const struct sh_advert *payload, const struct sh_bluez_power *power)
{
    if (advert->bus != bus || strcmp(advert->adapter, path) != 0)
        sh_bluez_advert_off(advert);
    advert->bus = bus;
    if (!sh_strcopy(advert->adapter, sizeof(advert->adapter), path))
        return;
    advert->payload = *payload;
    advert->power = *power;
    advert->wanted = true;
    if (!evtimer_pending(advert->retry, NULL))
        review(advert);
}

void sh_bluez_advert_off(struct sh_bluez_advert *advert)
{
    advert->wanted = false;
    event_del(advert->retry);
    for (size_t i = 0; i < SH_COUNT(advert->entries); i++)
        unregister(&advert->entries[i]);
}

void sh_bluez_advert_again(struct sh_bluez_advert *advert)
{
    for (size_t i = 0; i < SH_COUNT(advert->entries); i++)
        advert->entries[i].stale = advert->entries[i].state == UP;
    review(advert);
}

void sh_bluez_advert_lost(struct sh_bluez_advert *advert)
{
    for (size_t i = 0; i < SH_COUNT(advert->entries); i++)
        entry_clear(&advert->entries[i]);
    advert->bus = NULL;
    advert->form = POWERED;
    event_del(advert->retry);
}

bool sh_bluez_advert_refused_power(const struct sh_bluez_advert *advert)
{
    return advert->power_refused;
}

bool sh_bluez_advert_is_on(const struct sh_bluez_advert *advert)
{
    return advert->entries[0].state == UP || advert->entries[1].state == UP;
}
